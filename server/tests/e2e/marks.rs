//! Marks of those who have nothing to mark, and people who are put into a group and out of it without end.

use protocol::body::encode;
use protocol::body::message::{AddMembers, CreateGroup, RemoveMember, RenameGroup, SendText};
use protocol::body::session::Done;
use protocol::body::sync::{ChannelItem, Channels, GetChannels, MarkRead, SendAck};
use protocol::limits::{INTERVALS_MAX, U53_MAX};
use protocol::{ChannelId, Code, Kind, SendId, UserId};

use crate::node::Node;
use crate::people::PASSWORD;
use crate::raw::{Carrier, Raw, token};

over_both! {
    strangers_mark_nothing_and_marks_outlive_a_kill
    who_comes_and_goes_without_end_stays_outside
}

fn mark(channel: ChannelId, seq: u64) -> MarkRead {
    MarkRead { channel: channel.0, seq }
}

async fn users(node: &Node, names: &[&str]) -> Vec<UserId> {
    let mut users = Vec::new();
    for name in names {
        users.push(node.account().signup(name, PASSWORD).await.unwrap());
    }
    users
}

/// The user's own list, of one channel.
fn listed(device: &mut Raw, id: u64) -> ChannelItem {
    device.body(id, &GetChannels { after: 0, limit: 10 });
    let mut channels = device.answer_as::<Channels>(id);
    assert_eq!(channels.items.len(), 1, "{channels:?}");
    channels.items.remove(0)
}

async fn strangers_mark_nothing_and_marks_outlive_a_kill(carrier: Carrier) {
    let mut node = Node::over(carrier, 2, &[]);
    let users = users(&node, &["ann", "bob", "eve"]).await;
    let (ann, bob, eve) = (users[0], users[1], users[2]);
    let direct = ChannelId::direct(ann, bob);
    let mut ann_device = Raw::live(&node, &token(&node, ann, 1));
    for id in 20..23 {
        ann_device.body(id, &SendText { channel: direct.0, text: "hello".into() });
        ann_device.answer_as::<SendAck>(id);
    }
    let mut eve_device = Raw::live(&node, &token(&node, eve, 3));
    let made_up = [direct, ChannelId(77), ChannelId::direct(ann, eve), ChannelId::group(eve, SendId(9))];
    for channel in made_up {
        eve_device.refuses(30, &mark(channel, 1), Code::Forbidden, "channel");
    }
    for number in 100..110 {
        eve_device.refuses(31, &mark(ChannelId(number), 1), Code::Forbidden, "channel");
        eve_device.is_served(32);
    }
    let mut bob_device = Raw::live(&node, &token(&node, bob, 2));
    for above in [4, U53_MAX] {
        bob_device.refuses(33, &mark(direct, above), Code::Limit, "seq");
    }
    assert_eq!(listed(&mut bob_device, 34).unread, 3);
    bob_device.body(35, &mark(direct, 2));
    assert_eq!(bob_device.answer_as::<Done>(35).kind, Kind::MARK_READ.0);
    node.kill();
    node.up(1);
    let mut bob_device = Raw::live(&node, &token(&node, bob, 2));
    bob_device.body(36, &mark(direct, 1));
    bob_device.answer_as::<Done>(36);
    let item = listed(&mut bob_device, 37);
    assert_eq!((item.read, item.unread, item.head), (2, 1, 3), "done is durable, and never moves back");
    let mut ann_device = Raw::live(&node, &token(&node, ann, 1));
    assert_eq!(listed(&mut ann_device, 38).unread, 0, "own sends");
    node.stop();
    node.check();
}

async fn who_comes_and_goes_without_end_stays_outside(carrier: Carrier) {
    let mut node = Node::over(carrier, 1, &[]);
    let users = users(&node, &["ann", "mallory"]).await;
    let (ann, mallory) = (users[0], users[1]);
    let mut device = Raw::live(&node, &token(&node, ann, 1));
    let group = ChannelId::group(ann, SendId(1000)).0;
    let create = CreateGroup { channel: group, name: "everybody".into(), members: vec![mallory.0] };
    device.body(1000, &create);
    device.answer_as::<SendAck>(1000);
    let add = AddMembers { channel: group, members: vec![mallory.0] };
    let remove = RemoveMember { channel: group, member: mallory.0 };
    let mut id = 2000;
    for _ in 1..INTERVALS_MAX {
        for frame in [encode(id, &remove), encode(id + 1, &add)] {
            device.frame(&frame);
            device.answer_as::<SendAck>(frame.header().id);
        }
        id += 2;
    }
    device.body(id, &remove);
    device.answer_as::<SendAck>(id);
    for again in 1..4 {
        device.refuses(id + again, &add, Code::Limit, "members[0]");
        device.is_served(id + again);
    }
    device.body(9000, &RenameGroup { channel: group, name: "without mallory".into() });
    device.answer_as::<SendAck>(9000);
    let mut mallory_device = Raw::live(&node, &token(&node, mallory, 2));
    let item = listed(&mut mallory_device, 40);
    assert_eq!((item.name.as_str(), item.member, item.unread), ("everybody", false, 0));
    node.stop();
    node.check();
}
