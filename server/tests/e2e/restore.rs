//! A backup is a copy of a stopped directory. One that is restored and renewed has new generations: no device believes to
//! hold what was lost (promise 4).

use std::path::Path;

use protocol::ChannelId;
use protocol::limits::U53_MAX;

use crate::node::{Node, admin};
use crate::people::{Device, PASSWORD, until};
use crate::raw::{Carrier, Raw, token};

fn copy(from: &Path, to: &Path) {
    assert!(std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

fn count(device: &Device, channel: ChannelId) -> usize {
    device.held.lock().unwrap().messages.get(&channel).map_or(0, |messages| messages.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_is_a_new_life_for_every_device() {
    let mut node = Node::over(Carrier::drawn(), 2, &[]);
    let account = node.account();
    for name in ["ann", "bob"] {
        account.signup(name, PASSWORD).await.unwrap();
    }
    let (ann, mut bob) = (Device::login(&account, "ann").await, Device::login(&account, "bob").await);
    let channel = ChannelId::direct(ann.user, bob.user);
    ann.say(channel, "kept").await;
    until("bob has it", || count(&bob, channel) == 1).await;

    assert_eq!(node.stop(), Some(0));
    let backup = node.data.with_file_name("backup");
    copy(&node.data, &backup);
    node.up(2);
    ann.say(channel, "lost with the disk").await;
    until("bob has both", || count(&bob, channel) == 2).await;
    // A device is told of a message before its own pointer to it is stored; the head counts what is stored.
    let mut before = None;
    until("both pointers are stored", || {
        let welcome = Raw::open(&node).welcomed(&token(&node, bob.user, 900), 0, U53_MAX).1;
        before = (welcome.head == 2).then_some(welcome);
        before.is_some()
    })
    .await;
    let before = before.unwrap();
    // Whoever runs is refused: the directory is in use.
    let data = node.data.to_str().unwrap().to_owned();
    let running = admin(&["renew", "--data", &data]);
    assert!(!running.status.success() && String::from_utf8_lossy(&running.stderr).contains("in use"));

    bob.close().await;
    node.kill();
    std::fs::remove_dir_all(&node.data).unwrap();
    copy(&backup, &node.data);
    let renewed = admin(&["renew", "--data", &data]);
    assert!(renewed.status.success(), "{}", String::from_utf8_lossy(&renewed.stderr));
    node.check();
    node.up(1);

    // The old cursor counts in a life that is over: the device begins at the head, and is told so.
    let (raw, after) =
        Raw::open(&node).welcomed(&token(&node, bob.user, 900), before.generation, before.head);
    drop(raw);
    assert_ne!(after.generation, before.generation);
    assert!(after.start == after.head && after.head < before.head, "{after:?}");
    bob.open();
    let resyncs = |device: &Device| device.held.lock().unwrap().faults.len();
    until("both devices are told to resync", || resyncs(&ann) == 1 && resyncs(&bob) == 1).await;
    for device in [&ann, &bob] {
        assert_eq!(device.held.lock().unwrap().faults, ["a resync nobody asked for"]);
        // An app drops what it holds above the channel's head; here that is seq 2.
        device.held.lock().unwrap().messages.get_mut(&channel).unwrap().retain(|seq, _| seq.0 <= 1);
    }
    ann.say(channel, "in the new life").await;
    until("bob has the new message", || count(&bob, channel) == 2).await;
    let held = bob.held.lock().unwrap().messages[&channel].clone();
    assert_eq!(
        held.into_iter().map(|(seq, text)| (seq.0, text)).collect::<Vec<_>>(),
        [(1, "kept".to_owned()), (2, "in the new life".to_owned())]
    );
    assert_eq!(node.stop(), Some(0));
    node.check();
}
