//! A large channel: a group takes more members than a group may have, and goes on without a pointer for each of them. Who is
//! there is told, who was away reads, who leaves is told nothing more, and what is stored is what was promised.

use protocol::body::large::Heads;
use protocol::body::marks::GetReceipts;
use protocol::body::message::{AddMembers, CreateGroup, LeaveGroup, RemoveMember, SendText};
use protocol::body::read;
use protocol::body::sync::{GetHistory, GetMembers, HistoryPage, MembersV2, SendAck};
use protocol::limits::U53_MAX;
use protocol::{ChannelId, Code, Kind, SendId, UserId};
use serde_json::json;

use crate::node::Node;
use crate::raw::{Carrier, Raw, Seen};

over_both! {
    three_hundred_members_and_who_of_them_is_there
}

/// Users that exist, with a token each, rising.
fn users(node: &Node, count: usize) -> Vec<(UserId, String)> {
    let made = node.operate("/v1/admin/users", &json!({ "count": count }).to_string());
    let lines = made.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        let (user, _, token) = (fields.next()?.parse().ok()?, fields.next()?, fields.next()?);
        Some((UserId(user), token.to_owned()))
    });
    let mut users: Vec<_> = lines.collect();
    assert_eq!(users.len(), count, "{made}");
    users.sort_unstable();
    users
}

/// The next message of a channel, and by whom.
fn message(device: &mut Raw, channel: ChannelId) -> u64 {
    loop {
        match device.next() {
            Seen::Frame(frame) => {
                let Some(stamp) = frame.read_stamp() else { continue };
                if protocol::body::message::channel_of(&frame) == Some(channel) {
                    return stamp.seq.0;
                }
            }
            other => panic!("{other:?} instead of a message"),
        }
    }
}

/// The head of a channel that the device begins to follow.
fn head(device: &mut Raw, channel: ChannelId) -> u64 {
    loop {
        match device.next() {
            Seen::Frame(frame) if frame.kind() == Kind::HEADS => {
                let heads: Heads = read(&frame).unwrap();
                if let Some(item) = heads.items.iter().find(|item| item.channel == channel.0) {
                    return item.head;
                }
            }
            Seen::Frame(_) => {}
            other => panic!("{other:?} instead of a head"),
        }
    }
}

fn acked<T: protocol::body::Body>(device: &mut Raw, id: u64, body: &T) -> u64 {
    device.body(id, body);
    device.answer_as::<SendAck>(id).seq
}

/// All members, in pages, each of which says how many there are.
fn members(device: &mut Raw, channel: ChannelId) -> Vec<u64> {
    let (mut all, mut after, mut totals) = (Vec::new(), 0, Vec::new());
    for id in 9000.. {
        device.body(id, &GetMembers { channel: channel.0, after, limit: 100 });
        let page: MembersV2 = device.answer_as(id);
        totals.push(page.total as usize);
        all.extend(page.items.iter().map(|item| item.user));
        after = all.last().copied().unwrap_or_default();
        if !page.more {
            break;
        }
    }
    assert!(totals.iter().all(|total| *total == all.len()), "{totals:?} of {}", all.len());
    all
}

async fn three_hundred_members_and_who_of_them_is_there(carrier: Carrier) {
    let mut node = Node::over(carrier, 2, &["--frames-burst", "100000", "--user-frames-burst", "100000"]);
    let all = users(&node, 320);
    let text = |channel: ChannelId| SendText { channel: channel.0, text: "안녕".into() };
    let mut owner = Raw::live(&node, &all[0].1);
    let channel = ChannelId::group(all[0].0, SendId(7));
    let ids: Vec<u64> = all[1..].iter().map(|(user, _)| user.0).collect();
    let create = CreateGroup { channel: channel.0, name: "마루".into(), members: ids[..99].to_vec() };
    assert_eq!(acked(&mut owner, 7, &create), 1);
    // One of them is there when it grows, one comes later, one is added while it is there.
    let mut early = Raw::live(&node, &all[1].1);
    let mut late = Raw::live(&node, &all[319].1);
    assert_eq!(message(&mut early, channel), 1);
    assert_eq!(acked(&mut owner, 8, &AddMembers { channel: channel.0, members: ids[99..200].to_vec() }), 2);
    assert_eq!(message(&mut early, channel), 2, "the message with which it grew is in every inbox");
    assert_eq!(head(&mut early, channel), 2);
    assert_eq!(acked(&mut owner, 9, &AddMembers { channel: channel.0, members: ids[200..].to_vec() }), 3);
    assert_eq!(message(&mut early, channel), 3);
    assert_eq!(message(&mut late, channel), 3, "who is added has it in the inbox");
    assert_eq!(head(&mut late, channel), 3);
    for id in 10..15 {
        assert_eq!(acked(&mut owner, id, &text(channel)), id - 6);
        assert_eq!((message(&mut early, channel), message(&mut late, channel)), (id - 6, id - 6));
    }
    assert_eq!(acked(&mut late, 20, &text(channel)), 9, "whom memory does not know is looked up");
    assert_eq!(message(&mut early, channel), 9);
    let listed = members(&mut owner, channel);
    let mut everybody: Vec<u64> = all.iter().map(|(user, _)| user.0).collect();
    assert_eq!(listed, everybody);

    // Whoever leaves or is removed is told so, and nothing more.
    assert_eq!(acked(&mut late, 21, &LeaveGroup { channel: channel.0 }), 10);
    let removed = RemoveMember { channel: channel.0, member: all[1].0.0 };
    assert_eq!(acked(&mut owner, 22, &removed), 11);
    assert_eq!(message(&mut early, channel), 10);
    assert_eq!(message(&mut early, channel), 11);
    assert_eq!(acked(&mut owner, 23, &text(channel)), 12);
    for (device, id) in [(&mut early, 30), (&mut late, 31)] {
        device.refuses(id, &text(channel), Code::Forbidden, "channel");
        // Whatever was on its way is before the answer to a heartbeat.
        device.is_served(id + 10);
    }
    owner.refuses(40, &LeaveGroup { channel: channel.0 }, Code::Limit, "channel");
    owner.refuses(41, &GetReceipts { channel: channel.0, after: 0, limit: 10 }, Code::Limit, "channel");

    // Who was away is told how far it has come, also behind a kill, and reads.
    node.kill();
    node.up(1);
    let mut away = Raw::live(&node, &all[150].1);
    assert_eq!(head(&mut away, channel), 12);
    away.body(50, &GetHistory { channel: channel.0, after: 3, before: U53_MAX, limit: 100, newest: false });
    assert_eq!(away.answer_as::<HistoryPage>(50).to, 12);
    let mut owner = Raw::live(&node, &all[0].1);
    assert_eq!(acked(&mut owner, 60, &text(channel)), 13);
    loop {
        // The page is read as messages too.
        if message(&mut away, channel) == 13 {
            break;
        }
    }
    everybody.retain(|user| *user != all[1].0.0 && *user != all[319].0.0);
    assert_eq!(members(&mut owner, channel), everybody);
    assert_eq!(node.stop(), Some(0));
    node.check();
}
