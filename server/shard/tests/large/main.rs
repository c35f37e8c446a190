//! Scenarios of large channels: a message goes once to each shard that follows, and no member has a pointer for it but those
//! whom it names.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod cold;
#[path = "../desk/mod.rs"]
mod desk;
mod store;

use desk::Desk;
use protocol::body::large::Heads;
use protocol::body::marks::GetReceipts;
use protocol::body::message::{
    AddMembers, CreateGroup, GrowGroup, LeaveGroup, ROLE_OWNER, RemoveMember, SetRole,
};
use protocol::body::read;
use protocol::body::sync::{GetMembers, MembersV2};
use protocol::body::talk::{MENTION_ALL, SendTextV2};
use protocol::commit::{ChannelRow, Grown, PositionRow, Row};
use protocol::hop::Hop;
use protocol::query::{Answer, Member, Query};
use protocol::{ChannelId, Frame, Kind, SendId, Seq, ShardId, UserId};
use shard::{Input, Limits};
use store::Store;

const A: u64 = 10;
const B: u64 = 20;
const C: u64 = 30;

/// What a connection was sent, with heads as words.
fn seen(desk: &mut Desk, conn: u64) -> Vec<String> {
    let heads = |frame: &Frame| {
        let Heads { items } = read(frame).unwrap();
        items.iter().map(|item| format!("head {}", item.head)).collect::<Vec<_>>().join(" ")
    };
    let frames = desk.take(conn);
    let shown = frames.iter().filter(|frame| frame.kind() != Kind::COMPLETE);
    shown.map(|frame| if frame.kind() == Kind::HEADS { heads(frame) } else { desk::word(frame) }).collect()
}

/// A's group with B and C, who all are there, and which A has made a large channel with its second message.
fn grown(shards: u16) -> (Desk, Store, ChannelId) {
    let (mut desk, mut store) = (Desk::new(shards), Store::default());
    for user in [A, B, C] {
        desk.join(user, user, user);
        store.stays.push((user, 1, None));
    }
    store.roles.insert(A, ROLE_OWNER);
    let channel = ChannelId::group(UserId(A), SendId(1));
    desk.send(A, A, 1, &CreateGroup { channel: channel.0, name: "team".into(), members: vec![B, C] });
    store.run(&mut desk);
    desk.send(A, A, 2, &GrowGroup { channel: channel.0 });
    let rows = store.run(&mut desk);
    let of = |user: u64| Row::Followed { user: UserId(user), channel, is_in: true };
    assert!([A, B, C].iter().all(|user| rows.contains(&of(*user))), "{rows:?}");
    let grown = Grown { since: Seq(2), members: 3, owners: 1 };
    let row = ChannelRow { name: "team".into(), grown: Some(grown) };
    assert!(rows.contains(&Row::Channel { channel, row }), "{rows:?}");
    assert_eq!(desk::pointers(&rows), 3, "the last message with a pointer for each");
    assert_eq!(seen(&mut desk, A), ["ack 1 seq 1", "ack 2 seq 2", "head 2"]);
    assert_eq!(seen(&mut desk, B), ["message 1 from 10", "message 2 from 10", "head 2"]);
    seen(&mut desk, C);
    (desk, store, channel)
}

#[test]
fn a_message_has_one_pointer_and_reaches_everybody_who_is_there() {
    for shards in [1, 2, 3] {
        let (mut desk, mut store, channel) = grown(shards);
        desk.text(A, A, channel, 3, "to all");
        desk.text(B, B, channel, 4, "from another");
        let rows = store.run(&mut desk);
        assert_eq!(desk::pointers(&rows), 2, "of those who sent");
        assert_eq!(seen(&mut desk, A), ["ack 3 seq 3", "message 4 from 20"]);
        assert_eq!(seen(&mut desk, B), ["message 3 from 10", "ack 4 seq 4"]);
        assert_eq!(seen(&mut desk, C), ["message 3 from 10", "message 4 from 20"]);
        desk.text(A, A, channel, 3, "to all");
        store.run(&mut desk);
        assert_eq!(seen(&mut desk, A), ["ack 3 seq 3"], "a repeat is one");
    }
}

#[test]
fn who_is_mentioned_has_it_in_the_inbox_and_once() {
    let (mut desk, mut store, channel) = grown(2);
    let text = |mentions, mention_flags| SendTextV2 {
        reply_to: 0,
        thread: 0,
        forwarded_from: 0,
        mentions,
        mention_flags,
        channel: channel.0,
        text: "you".into(),
    };
    desk.send(A, A, 3, &text(vec![B], 0));
    let rows = store.run(&mut desk);
    assert_eq!(desk::pointers(&rows), 2);
    assert!(rows.iter().any(|row| matches!(row, Row::Mention { user: UserId(B), .. })));
    assert_eq!(seen(&mut desk, B), ["message 3 from 10"]);
    assert_eq!(seen(&mut desk, C), ["message 3 from 10"]);
    desk.send(A, A, 4, &text(vec![], MENTION_ALL));
    store.run(&mut desk);
    assert_eq!(seen(&mut desk, A), ["ack 3 seq 3", "reject 4 limit"]);
}

#[test]
fn whoever_is_removed_or_leaves_is_told_nothing_behind_it() {
    let (mut desk, mut store, channel) = grown(2);
    desk.send(A, A, 3, &RemoveMember { channel: channel.0, member: C });
    desk.text(A, A, channel, 4, "without C");
    desk.send(B, B, 5, &LeaveGroup { channel: channel.0 });
    desk.text(A, A, channel, 6, "without B");
    let rows = store.run(&mut desk);
    let gone = |user: u64| Row::Followed { user: UserId(user), channel, is_in: false };
    assert!(rows.contains(&gone(B)) && rows.contains(&gone(C)));
    assert_eq!(seen(&mut desk, C), ["message 3 from 10"]);
    assert_eq!(seen(&mut desk, B), ["message 3 from 10", "message 4 from 10", "ack 5 seq 5"]);
    assert_eq!(seen(&mut desk, A), ["ack 3 seq 3", "ack 4 seq 4", "message 5 from 20", "ack 6 seq 6"]);
    desk.send(A, A, 7, &LeaveGroup { channel: channel.0 });
    store.run(&mut desk);
    assert_eq!(seen(&mut desk, A), ["ack 7 seq 7"], "nobody else is left");
}

#[test]
fn the_last_owner_stays_while_others_are_there() {
    let (mut desk, mut store, channel) = grown(1);
    desk.send(A, A, 3, &LeaveGroup { channel: channel.0 });
    desk.send(A, A, 4, &GrowGroup { channel: channel.0 });
    desk.send(B, B, 5, &GrowGroup { channel: channel.0 });
    desk.send(A, A, 6, &GetReceipts { channel: channel.0, after: 0, limit: 9 });
    store.run(&mut desk);
    assert_eq!(seen(&mut desk, A), ["reject 3 limit", "reject 4 limit", "reject 6 limit"]);
    assert_eq!(seen(&mut desk, B), ["reject 5 forbidden"]);
    desk.send(A, A, 7, &SetRole { channel: channel.0, member: B, role: ROLE_OWNER });
    desk.send(A, A, 8, &LeaveGroup { channel: channel.0 });
    let rows = store.run(&mut desk);
    assert_eq!(seen(&mut desk, A), ["ack 7 seq 3", "ack 8 seq 4"]);
    let grown = Grown { since: Seq(2), members: 2, owners: 1 };
    let row = ChannelRow { name: "team".into(), grown: Some(grown) };
    assert!(rows.contains(&Row::Channel { channel, row }), "{rows:?}");
}

/// The hop with a message is lost; what follows shows the hole, and the history fills it first.
#[test]
fn what_was_missed_is_read_before_what_is_behind_it() {
    let (mut desk, mut store, channel) = grown(2);
    let home = usize::from(desk.placement.channel_home(channel).0);
    let away = [B, C].into_iter().find(|user| desk.home(*user) != home);
    let Some(away) = away else { panic!("choose users of two homes") };
    desk.rings_open = false;
    desk.text(A, A, channel, 3, "lost on the way");
    let mut dropped = 0;
    for _ in 0..20 {
        while !desk.queries.is_empty() {
            store.answer(&mut desk);
        }
        if let Some((_, batch)) = desk.batches.front() {
            for row in batch.parts.iter().flat_map(|part| &part.rows) {
                if let Row::Message { frame, .. } = row {
                    store.frames.push(frame.clone());
                }
            }
            desk.store_one();
        }
        for from in 0..2_u16 {
            let to = 1 - from;
            while let Some(hop) = desk.shards[usize::from(from)].poll_hop(ShardId(to)) {
                if matches!(hop, Hop::Tell { .. }) {
                    dropped += 1;
                    continue;
                }
                desk.turn_only(usize::from(to), vec![Input::Hop { from: ShardId(from), hop }]);
            }
        }
    }
    assert_eq!(dropped, 1);
    desk.rings_open = true;
    assert!(seen(&mut desk, away).is_empty());
    desk.text(A, A, channel, 4, "behind it");
    store.asked.clear();
    store.run(&mut desk);
    assert_eq!(seen(&mut desk, away), ["message 3 from 10", "message 4 from 10"]);
    assert!(store.asked.contains(&"missed"), "{:?}", store.asked);
}

#[test]
fn who_comes_later_is_told_the_head_and_asked_for_once() {
    let (mut desk, mut store, channel) = grown(2);
    desk.text(A, A, channel, 3, "while D is away");
    store.run(&mut desk);
    store.stays.push((40, 1, None));
    // Of the list of one who left it is not known yet at its home.
    store.stays.push((50, 1, Some(2)));
    store.followed = vec![channel];
    for user in [40, 50] {
        desk.hello(user, user, 1, 0);
    }
    store.run(&mut desk);
    desk.text(A, A, channel, 4, "while D is there");
    store.run(&mut desk);
    let of = |desk: &mut Desk, conn| {
        let words = seen(desk, conn);
        words
            .into_iter()
            .filter(|word| word.starts_with("head") || word.starts_with("message"))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&mut desk, 40), ["head 3", "message 4 from 10"]);
    assert_eq!(of(&mut desk, 50), [""; 0]);
    assert_eq!(desk.shards.iter().map(|shard| shard.counters().follows_now).max(), Some(1));
}

/// A channel that comes from the store has no member in memory.
#[test]
fn members_of_a_cold_channel_are_looked_up_once_and_stay_in_order() {
    let (mut desk, mut store) = (Desk::new(1), Store::default());
    for user in [A, B, C] {
        desk.join(user, user, user);
    }
    store.stays = vec![(A, 1, None), (B, 1, None)];
    store.roles.insert(A, ROLE_OWNER);
    let channel = ChannelId::group(UserId(A), SendId(1));
    desk.text(A, A, channel, 3, "one");
    desk.text(A, A, channel, 4, "two");
    desk.text(C, C, channel, 5, "from outside");
    let grown = Grown { since: Seq(2), members: 1_000_000, owners: 1 };
    let row = Some(ChannelRow { name: "all".into(), grown: Some(grown) });
    let rules = protocol::query::RuleRows::default();
    desk.answer(Answer::Channel { row, members: Vec::new(), head: Seq(9), time_ms: 7, rules });
    store.run(&mut desk);
    assert_eq!(seen(&mut desk, A), ["ack 3 seq 10", "ack 4 seq 11"]);
    assert_eq!(seen(&mut desk, C), ["reject 5 forbidden"]);
    assert_eq!(store.asked.iter().filter(|asked| **asked == "members").count(), 2, "A and C, once each");
    // Nobody is added beyond the bound, and one who was removed while it was looked up is no member.
    desk.send(A, A, 6, &AddMembers { channel: channel.0, members: vec![C] });
    store.run(&mut desk);
    assert_eq!(seen(&mut desk, A), ["reject 6 limit"]);
    desk.send(A, A, 7, &RemoveMember { channel: channel.0, member: B });
    desk.text(B, B, channel, 8, "too late");
    store.run(&mut desk);
    assert_eq!(seen(&mut desk, B), ["reject 8 forbidden", "message 12 from 10"]);
    desk.send(A, A, 9, &GetMembers { channel: channel.0, after: 0, limit: 2 });
    let Some((_, _, Query::MembersPage { limit: 2, .. })) = desk.queries.front() else { panic!("no query") };
    let member = Member { role: 0, joined: Seq(1), number: 1, position: PositionRow::default() };
    desk.answer(Answer::MembersPage { items: vec![(UserId(A), member)], more: true });
    let page: MembersV2 = read(&desk.take(A).pop().unwrap()).unwrap();
    assert_eq!((page.items.len(), page.items[0].user, page.more, page.total), (1, A, true, 999_999));
}

#[test]
fn a_group_that_takes_more_than_a_group_may_have_grows_with_that_message() {
    let limits = Limits { group_members: 2, large_members: 3, ..Limits::default() };
    let (mut desk, mut store) = (Desk::limited(2, limits), Store::default());
    for user in [A, B, C, 40] {
        desk.join(user, user, user);
        store.stays.push((user, 1, None));
    }
    let channel = ChannelId::group(UserId(A), SendId(1));
    desk.send(A, A, 1, &CreateGroup { channel: channel.0, name: "team".into(), members: vec![B] });
    store.run(&mut desk);
    desk.send(A, A, 2, &AddMembers { channel: channel.0, members: vec![C] });
    let rows = store.run(&mut desk);
    assert_eq!(desk::pointers(&rows), 3);
    assert_eq!(seen(&mut desk, C), ["message 2 from 10", "head 2"]);
    desk.send(A, A, 3, &AddMembers { channel: channel.0, members: vec![40] });
    desk.text(B, B, channel, 4, "hello");
    let rows = store.run(&mut desk);
    assert_eq!(
        seen(&mut desk, A),
        ["ack 1 seq 1", "ack 2 seq 2", "head 2", "reject 3 limit", "message 3 from 20"]
    );
    assert_eq!(desk::pointers(&rows), 1);
}
