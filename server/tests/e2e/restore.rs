//! A backup is a copy of a stopped directory. One that is restored and renewed has new generations: no device believes to
//! hold what was lost (promise 4).

use std::collections::BTreeMap;
use std::path::Path;

use client::session::{Content, Message};
use protocol::limits::U53_MAX;
use protocol::{ChannelId, Seq};

use crate::node::{Node, admin};
use crate::people::{Device, PASSWORD, until};
use crate::raw::{Carrier, Raw, token};

fn copy(from: &Path, to: &Path) {
    assert!(std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

fn count(device: &Device, channel: ChannelId) -> usize {
    device.held.lock().unwrap().messages.get(&channel).map_or(0, |messages| messages.len())
}

fn head_of(node: &Node, device: &Device) -> u64 {
    Raw::open(node).welcomed(&token(node, device.user, 900), 0, U53_MAX).1.head
}

fn drop_behind(device: &Device, channel: ChannelId, seq: u64) {
    device.held.lock().unwrap().messages.get_mut(&channel).unwrap().retain(|held, _| held.0 <= seq);
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
    let resyncs = |device: &Device| device.held.lock().unwrap().faults.len();
    until("ann is told to resync", || resyncs(&ann) == 1).await;
    drop_behind(&ann, channel, 1);
    // The new life passes the old one before bob's device comes back: no head says now what it lost.
    for text in ["new two", "new three", "new four"] {
        ann.say(channel, text).await;
    }
    until("ann's are stored", || count(&ann, channel) == 4).await;
    until("bob's pointers to them are", || head_of(&node, &bob) == 4).await;
    bob.open();
    until("bob is told to resync", || resyncs(&bob) == 1).await;
    let asked = bob.client().with_session(move |session| session.history(channel, None, None, 200, true));
    asked.await.unwrap().unwrap();
    until("bob has read the channel anew", || bob.held.lock().unwrap().pages.len() == 1).await;
    {
        let mut held = bob.held.lock().unwrap();
        let page = held.pages.remove(0);
        let text = |message: Message| match message.content {
            Content::Text(text) => (message.seq, text),
            other => panic!("{other:?}"),
        };
        let read: BTreeMap<Seq, String> = page.messages.into_iter().map(text).collect();
        assert_ne!(held.messages[&channel].get(&Seq(2)), read.get(&Seq(2)), "2 is another message now");
        // What the page told takes the place of what was held.
        held.messages.insert(channel, read);
    }
    ann.say(channel, "live").await;
    until("both have the live message", || [&ann, &bob].iter().all(|device| count(device, channel) == 5))
        .await;
    for device in [&ann, &bob] {
        let held = device.held.lock().unwrap();
        assert_eq!(held.faults, ["a resync nobody asked for"]);
        let texts: Vec<&str> = held.messages[&channel].values().map(String::as_str).collect();
        assert_eq!(texts, ["kept", "new two", "new three", "new four", "live"]);
    }
    assert_eq!(node.stop(), Some(0));
    node.check();
}
