//! Registered enemies with many devices and the server's default limits: what they ask for costs them, is bounded in
//! memory, and holds up nobody. Times are not asserted: docs/performance.md ("Registered enemies") has them.

use protocol::body::encode;
use protocol::body::message::{CreateGroup, SendText};
use protocol::body::sync::{GetChannels, GetHistory, SendAck};
use protocol::limits::U53_MAX;
use protocol::partition::mix64;
use protocol::{ChannelId, Code, SendId, UserId};

use crate::node::Node;
use crate::pair::Pair;
use crate::people::{PASSWORD, until};
use crate::raw::{Carrier, Raw, token, ws};

over_both! {
    pages_that_nobody_reads_cost_their_askers
    groups_of_people_who_do_not_exist_cost_their_founder
    half_messages_are_counted_and_forgotten
}

/// What a session may cost: what waits for its connection, and one page.
const SESSION_KIB: u64 = 1024 + 256;
const SLACK_KIB: u64 = 32 * 1024;

/// Sixteen sessions of one user ask for a thousand pages and lists each and read nothing.
async fn pages_that_nobody_reads_cost_their_askers(carrier: Carrier) {
    let node = Node::over(carrier, 2, &[]);
    let (enemy, other) = (user(&node, "enemy").await, user(&node, "other").await);
    let pair = Pair::start(&node).await;
    let channel = ChannelId::direct(enemy, other).0;
    let mut devices: Vec<Raw> = (1..=16).map(|n| Raw::live(&node, &token(&node, enemy, n))).collect();
    for id in 1..=4 {
        // Nearly a page each.
        devices[0].body(id, &SendText { channel, text: "가".repeat(80_000) });
        devices[0].answer_as::<SendAck>(id);
    }
    let before = node.resident_kib();
    let get = GetHistory { channel, after: 0, before: U53_MAX, limit: 200, newest: true };
    let requests: Vec<u8> = (1..=500)
        .flat_map(|id| {
            let list = encode(2 * id, &GetChannels { after: 0, limit: 500 });
            [encode(2 * id + 1, &get).bytes(), list.bytes()].concat()
        })
        .collect();
    for device in &mut devices {
        device.message(&requests);
    }
    for _ in 0..5 {
        pair.beat().await;
        let grown = node.resident_kib().saturating_sub(before);
        assert!(grown <= 16 * SESSION_KIB + SLACK_KIB, "{grown} KiB more");
    }
    assert_eq!(node.metric("maru_impossible_total", ""), 0);
    // Who reads at last is served.
    drop(devices);
    Raw::live(&node, &token(&node, enemy, 1)).is_served(7);
    pair.end().await;
}

/// Groups of hundreds of made-up members: each name is paid for, so that few are looked for, and none is made.
async fn groups_of_people_who_do_not_exist_cost_their_founder(carrier: Carrier) {
    let node = Node::over(carrier, 2, &["--group-members", "500"]);
    let enemy = user(&node, "enemy").await;
    let pair = Pair::start(&node).await;
    let mut device = Raw::live(&node, &token(&node, enemy, 1));
    let mut refused = [0; 2];
    for id in 1..=20u64 {
        let mut members: Vec<u64> = (0..499).map(|n| mix64(id << 32 | n) >> 1).collect();
        members.sort_unstable();
        let channel = ChannelId::group(enemy, SendId(id)).0;
        device.body(id, &CreateGroup { channel, name: "ghosts".into(), members });
        let reject = device.reject(id);
        match Code::from_number(reject.code) {
            Some(Code::NoSuchUser) => refused[0] += 1,
            Some(Code::Rate) => refused[1] += 1,
            code => panic!("{code:?} {}", reject.text),
        }
    }
    // A burst of 1,000 tokens pays for two such groups; what else passes was earned while the others were refused.
    assert!(refused[0] >= 1 && refused[1] >= 1, "{refused:?}");
    assert_eq!(
        node.metric("maru_channels_in_memory", "") as usize,
        1 + refused[0],
        "the pair's, and those that were tried"
    );
    pair.end().await;
}

/// A message or a frame that has no end is memory, over either carrier: the shard that holds it counts it towards its bound.
async fn half_messages_are_counted_and_forgotten(carrier: Carrier) {
    const HALF: usize = 300_000;
    let node = Node::over(carrier, 2, &[]);
    let enemy = user(&node, "enemy").await;
    let pair = Pair::start(&node).await;
    let frame = encode(9, &SendText { channel: 1, text: "가".repeat(100_000) });
    let message = match carrier {
        Carrier::Ws => ws(2, frame.bytes()),
        Carrier::Quic => frame.bytes().to_vec(),
    };
    let mut devices: Vec<Raw> = (1..=8).map(|n| Raw::live(&node, &token(&node, enemy, n))).collect();
    for device in &mut devices {
        device.send(&message[..HALF - 1]);
        // The last bytes that are on the way, and what the server says to them.
        if carrier == Carrier::Quic {
            device.quic().turn();
        }
    }
    let half = || node.metric("maru_half_bytes", "") as usize;
    until("all of it is counted", || {
        devices.iter_mut().filter(|_| carrier == Carrier::Quic).for_each(|device| device.quic().turn());
        half() >= 8 * (HALF - 1)
    })
    .await;
    pair.beat().await;
    // One goes on, and is answered; the others go.
    devices[0].send(&message[HALF - 1..]);
    devices[0].reject(9);
    drop(devices);
    until("nothing of it is left", || half() == 0).await;
    pair.end().await;
}

async fn user(node: &Node, name: &str) -> UserId {
    node.account().signup(name, PASSWORD).await.unwrap()
}
