//! 10,000 messages between people with three devices each, while devices come and go and the server is killed with -9 and
//! started with another number of shards, twenty times. Nothing acked is lost, nothing is told twice, nothing is missing,
//! and every device tells the same.

use std::collections::{BTreeMap, BTreeSet};

use protocol::partition::mix64;
use protocol::{ChannelId, Seq};

use crate::node::Node;
use crate::people::{Device, PASSWORD, until};

const USERS: usize = 8;
const DEVICES: usize = 3;
const ROUNDS: u64 = 20;
const MESSAGES_A_ROUND: u64 = 500;
const SHARDS: [u16; 3] = [1, 2, 4];

struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = mix64(self.0);
        (self.0 % bound as u64) as usize
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_twenty_times_and_nothing_is_lost() {
    let mut node = Node::start(SHARDS[0], &["--frames-per-s", "100000", "--frames-burst", "100000"]);
    let account = node.account();
    let mut devices: Vec<Device> = Vec::new();
    for user in 0..USERS {
        let name = format!("person{user}");
        account.signup(&name, PASSWORD).await.unwrap();
        for _ in 0..DEVICES {
            devices.push(Device::login(&account, &name).await);
        }
    }
    until("all are live", || devices.iter().all(|device| device.held.lock().unwrap().live)).await;

    let users: Vec<_> = devices.iter().step_by(DEVICES).map(|device| device.user).collect();
    let mut channels: Vec<(ChannelId, Vec<usize>)> = Vec::new();
    for (maker, members) in
        [(0, vec![1, 2, 3]), (2, vec![3, 4, 5, 6]), (5, (0..USERS).filter(|u| *u != 5).collect())]
    {
        let ids: Vec<_> = members.iter().map(|user| users[*user]).collect();
        let channel = devices[maker * DEVICES].group("group", &ids).await;
        channels.push((channel, members.into_iter().chain([maker]).collect()));
    }
    for (a, b) in [(0, 1), (1, 2), (3, 7), (6, 2), (4, 5)] {
        channels.push((ChannelId::direct(users[a], users[b]), vec![a, b]));
    }

    // Who sends to a group before its creation has arrived is rightly told that there is none.
    until("the groups exist", || all_acked(&devices)).await;

    let mut draw = Draw(20_261_122);
    let mut number = 0;
    for round in 0..ROUNDS {
        for _ in 0..MESSAGES_A_ROUND {
            let (channel, members) = &channels[draw.below(channels.len())];
            let sender = members[draw.below(members.len())] * DEVICES + draw.below(DEVICES);
            number += 1;
            devices[sender].say(*channel, &format!("message {number} of {sender}")).await;
            if draw.below(100) == 0 {
                let gone = draw.below(devices.len());
                devices[gone].close().await;
                devices[gone].open();
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(draw.below(150) as u64)).await;
        node.kill();
        node.check();
        node.up(SHARDS[(round as usize + 1) % SHARDS.len()]);
    }
    assert_eq!(number, ROUNDS * MESSAGES_A_ROUND);

    let sent: usize = devices.iter().map(|device| device.held.lock().unwrap().sent.len()).sum();
    until("every send is acked", || all_acked(&devices)).await;
    let expected = expected(&devices, &channels);
    until("every device holds everything", || {
        devices.iter().enumerate().all(|(at, device)| {
            let held = device.held.lock().unwrap();
            expected[at / DEVICES].iter().all(|(channel, head)| {
                held.messages.get(channel).map_or(0, |messages| messages.len() as u64) >= *head
            })
        })
    })
    .await;
    verify(&devices, &channels, sent);
    assert_eq!(node.stop(), Some(0));
    node.check();
}

/// Whether nothing that was sent waits any more. What was refused would wait for ever.
fn all_acked(devices: &[Device]) -> bool {
    devices.iter().all(|device| {
        let held = device.held.lock().unwrap();
        assert_eq!(held.rejected, Vec::<String>::new(), "{}", device.name);
        held.acked.len() == held.sent.len()
    })
}

/// By user: channel -> its head, which is the number of messages ever sent to it.
fn expected(devices: &[Device], channels: &[(ChannelId, Vec<usize>)]) -> Vec<BTreeMap<ChannelId, u64>> {
    let mut heads: BTreeMap<ChannelId, u64> = BTreeMap::new();
    for device in devices {
        for (channel, _) in device.held.lock().unwrap().sent.keys() {
            *heads.entry(*channel).or_default() += 1;
        }
    }
    let own = |user| channels.iter().filter(move |(_, members)| members.contains(&user));
    (0..USERS).map(|user| own(user).map(|(channel, _)| (*channel, heads[channel])).collect()).collect()
}

fn verify(devices: &[Device], channels: &[(ChannelId, Vec<usize>)], sent: usize) {
    let mut all_texts = BTreeSet::new();
    for (channel, members) in channels {
        let mut order: Option<BTreeMap<Seq, String>> = None;
        for device in members.iter().flat_map(|user| &devices[user * DEVICES..(user + 1) * DEVICES]) {
            let held = device.held.lock().unwrap();
            assert_eq!(held.faults, Vec::<String>::new(), "{}", device.name);
            let messages = held.messages[channel].clone();
            let head = messages.len() as u64;
            assert_eq!(messages.keys().copied().collect::<Vec<_>>(), (1..=head).map(Seq).collect::<Vec<_>>());
            match &order {
                Some(order) => assert_eq!(*order, messages, "{} tells {channel:?} otherwise", device.name),
                None => order = Some(messages),
            }
            drop(held);
        }
        let first = members[0] * DEVICES;
        let held = devices[first].held.lock().unwrap();
        for (seq, text) in &held.messages[channel] {
            assert!(all_texts.insert((*channel, text.clone())), "{channel:?} {seq} stands twice: {text:?}");
        }
    }
    assert_eq!(all_texts.len(), sent, "every send is there, once");
}
