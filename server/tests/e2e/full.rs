//! A disk that somebody else has filled to the last byte: the server starts, serves what it has, refuses whatever writes, and
//! takes everything again once there is space.

use std::path::Path;
use std::process::Command;

use protocol::body::message::SendText;
use protocol::body::sync::{GetHistory, HistoryPage, SendAck};
use protocol::limits::U53_MAX;
use protocol::{ChannelId, Code};

use crate::node::Node;
use crate::people::{PASSWORD, until};
use crate::raw::{Raw, token};

const SETTINGS: &[&str] = &["--space-reserve-mib", "16"];

/// A file system of its own, in memory; `None` where this process may not mount.
pub struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    pub fn mount(at: &'a Path, options: &str) -> Option<Self> {
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "maru-test"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(at))
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

/// Takes all that is left.
fn fill_up(file: &Path) {
    let to = format!("of={}", file.display());
    let filled = Command::new("dd").args(["if=/dev/zero", "bs=64k", &to]).output();
    assert!(!filled.unwrap().status.success(), "dd ends when there is no space left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_on_a_full_disk_serves_reads() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(folder.path(), "size=512m") else {
        eprintln!("SKIPPED: this process may not mount a file system; run it as root");
        return;
    };
    let mut node = Node::start_in(&folder.path().join("data"), 1, SETTINGS);
    let account = node.account();
    let ann = account.signup("ann", PASSWORD).await.unwrap();
    let bob = account.signup("bob", PASSWORD).await.unwrap();
    let token = token(&node, ann, 1);
    let send = SendText { channel: ChannelId::direct(ann, bob).0, text: "hello".into() };
    let mut device = Raw::live(&node, &token);
    device.body(5, &send);
    device.answer_as::<SendAck>(5);
    let ballast = node.data.join("ballast");
    until("the ballast is laid down", || ballast.exists()).await;
    node.kill();

    let fill = folder.path().join("fill");
    fill_up(&fill);
    node.up(1);
    assert!(!ballast.exists(), "it was given back");
    // What the dead process had laid out for its logs is free again: it is taken too.
    fill_up(&fill.with_extension("more"));
    until("the disk is seen to be full", || node.metric("maru_disk_low", "") == 1).await;
    let mut device = Raw::live(&node, &token);
    let get = GetHistory { channel: send.channel, after: 0, before: U53_MAX, limit: 10, newest: true };
    device.body(6, &get);
    assert_eq!(device.answer_as::<HistoryPage>(6).count, 1);
    device.body(7, &send);
    let reject = device.reject(7);
    assert_eq!(reject.code, Code::StorageFull.number());
    assert!(reject.retry_after_ms > 0);

    std::fs::remove_file(fill).unwrap();
    std::fs::remove_file(folder.path().join("fill.more")).unwrap();
    until("everything is taken again", || node.metric("maru_disk_low", "") == 0).await;
    device.body(8, &send);
    assert_eq!(device.answer_as::<SendAck>(8).seq, 2);
    until("the ballast is there again", || ballast.exists()).await;
    drop(node);
    drop(disk);
}
