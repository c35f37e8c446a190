//! Scenarios of positions and of who comes back: both belong to the channel's home.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use desk::Desk;
use protocol::body;
use protocol::body::message::{AddMembers, CreateGroup, RemoveMember, RenameGroup};
use protocol::body::session::Reject;
use protocol::body::sync::MarkRead;
use protocol::commit::{IntervalRow, PositionRow, Row};
use protocol::limits::U53_MAX;
use protocol::query::{Answer, Earlier, Member, Query};
use protocol::{ChannelId, SendId, Seq, UserId};
use shard::{Input, Limits};

const A: u64 = 10;
const B: u64 = 20;
const C: u64 = 30;

fn direct() -> ChannelId {
    ChannelId::direct(UserId(A), UserId(B))
}

fn mark(channel: ChannelId, seq: u64) -> MarkRead {
    MarkRead { channel: channel.0, seq }
}

/// Three users with a session each.
fn people(shards: u16, limits: Limits) -> Desk {
    let mut desk = Desk::limited(shards, limits);
    for user in [A, B, C] {
        desk.join(user, user, user);
    }
    desk
}

/// A and B have said this much to each other.
fn talk(texts: u64) -> Desk {
    let mut desk = people(2, Limits::default());
    for id in 1..=texts {
        desk.text(A, A, direct(), id, "hello");
    }
    desk.run();
    desk.sent.clear();
    desk
}

fn group(limits: Limits) -> (Desk, ChannelId) {
    let mut desk = people(1, limits);
    let channel = ChannelId::group(UserId(A), SendId(1));
    desk.send(A, A, 1, &CreateGroup { channel: channel.0, name: "team".into(), members: vec![B] });
    desk.run();
    desk.sent.clear();
    (desk, channel)
}

fn positions(rows: &[Row]) -> Vec<(u64, u64)> {
    let position = |row: &Row| match row {
        Row::Position { user, row, .. } => Some((user.0, row.read.0)),
        _ => None,
    };
    rows.iter().filter_map(position).collect()
}

fn stays(rows: &[Row]) -> Vec<(u64, u64, IntervalRow)> {
    let stay = |row: &Row| match row {
        Row::Interval { user, joined, row, .. } => Some((user.0, joined.0, row.clone())),
        _ => None,
    };
    rows.iter().filter_map(stay).collect()
}

fn reject(desk: &mut Desk, conn: u64) -> Reject {
    body::read(&desk.take(conn)[0]).unwrap()
}

#[test]
fn done_says_that_the_mark_is_stored() {
    let mut desk = talk(3);
    desk.send(B, B, 9, &mark(direct(), 2));
    assert!(desk.seen(B).is_empty(), "nothing before it is stored");
    assert_eq!(positions(&desk.run()), [(B, 2)]);
    assert_eq!(desk.seen(B), ["done 9"]);
}

#[test]
fn a_mark_never_moves_back_and_a_repeat_waits_for_the_first() {
    let mut desk = talk(3);
    desk.send(B, B, 8, &mark(direct(), 3));
    desk.send(B, B, 9, &mark(direct(), 3));
    desk.send(B, B, 10, &mark(direct(), 1));
    assert!(desk.seen(B).is_empty());
    assert_eq!(positions(&desk.run()), [(B, 3)]);
    assert_eq!(desk.seen(B), ["done 8", "done 9", "done 10"]);
    desk.send(B, B, 11, &mark(direct(), 2));
    assert_eq!((desk.seen(B), desk.batches.len()), (vec!["done 11".to_owned()], 0), "no row");
}

#[test]
fn strangers_and_channels_that_are_not_there_are_refused() {
    let mut desk = talk(1);
    desk.send(C, C, 9, &mark(direct(), 1));
    assert_eq!(desk.seen(C), ["reject 9 forbidden"]);
    desk.send(C, C, 10, &mark(ChannelId::direct(UserId(A), UserId(C)), 0));
    desk.send(C, C, 11, &mark(ChannelId(77), 1));
    desk.send(C, C, 12, &mark(ChannelId(78), 0));
    assert_eq!(desk.run(), []);
    assert_eq!(desk.seen(C), ["reject 10 forbidden", "reject 11 forbidden", "reject 12 forbidden"]);
    let (mut desk, channel) = group(Limits::default());
    desk.send(C, C, 9, &mark(channel, 1));
    assert_eq!(desk.run(), []);
    assert_eq!(desk.seen(C), ["reject 9 forbidden"]);
}

#[test]
fn who_was_removed_marks_no_more_and_who_is_not_stored_yet_does_not_yet() {
    let (mut desk, channel) = group(Limits::default());
    desk.send(A, A, 2, &RemoveMember { channel: channel.0, member: B });
    desk.send(B, B, 9, &mark(channel, 1));
    assert_eq!(desk.seen(B), ["reject 9 forbidden"]);
    desk.run();
    desk.send(A, A, 3, &AddMembers { channel: channel.0, members: vec![C] });
    desk.answer_all_empty();
    assert_eq!(desk.batches.len(), 1, "on the way to the store");
    desk.send(C, C, 9, &mark(channel, 1));
    assert_eq!(desk.seen(C), ["reject 9 forbidden"]);
    desk.run();
    desk.sent.clear();
    desk.send(C, C, 10, &mark(channel, 3));
    assert_eq!(positions(&desk.run()), [(C, 3)]);
}

#[test]
fn above_what_is_stored_is_refused() {
    let mut desk = talk(2);
    desk.text(A, A, direct(), 7, "on the way");
    for seq in [3, 4, U53_MAX] {
        desk.send(B, B, 9, &mark(direct(), seq));
        let refused = reject(&mut desk, B);
        assert_eq!((refused.code, refused.path.as_str(), refused.retry_after_ms), (6, "seq", 0));
        assert!(refused.text.contains("above the newest message, which is 2"), "{}", refused.text);
    }
    assert_eq!(positions(&desk.run()), []);
    desk.sent.clear();
    desk.send(B, B, 10, &mark(direct(), 3));
    assert_eq!(positions(&desk.run()), [(B, 3)]);
}

#[test]
fn nothing_is_marked_while_the_disk_is_nearly_full() {
    let mut desk = talk(1);
    let home = desk.home(B);
    desk.turn(home, vec![Input::SpaceLow(true)]);
    desk.send(B, B, 9, &mark(direct(), 1));
    assert_eq!(desk.run(), []);
    assert_eq!(desk.seen(B), ["reject 9 storage_full"]);
}

#[test]
fn a_loaded_channel_knows_how_far_its_members_have_come() {
    let mut desk = people(1, Limits::default());
    desk.send(B, B, 8, &mark(direct(), 4));
    let position = PositionRow { read: Seq(5), ..PositionRow::default() };
    let member = Member { joined: Seq(1), number: 1, position, ..Member::default() };
    let members = vec![(UserId(B), member)];
    desk.answer(Answer::Channel {
        row: None,
        members,
        head: Seq(9),
        time_ms: 7,
        rules: protocol::query::RuleRows::default(),
    });
    assert_eq!((desk.seen(B), desk.batches.len()), (vec!["done 8".to_owned()], 0));
}

#[test]
fn a_channel_stays_in_memory_until_its_marks_are_stored() {
    let limits = Limits { idle_channels: 0, ..Limits::default() };
    let mut desk = people(1, limits);
    desk.text(A, A, direct(), 1, "one");
    desk.text(A, A, direct(), 2, "two");
    desk.run();
    desk.send(B, B, 9, &mark(direct(), 2));
    if let Some((_, _, Query::Channel(_))) = desk.queries.front() {
        desk.answer(Answer::Channel {
            row: None,
            members: Vec::new(),
            head: Seq(2),
            time_ms: 7,
            rules: protocol::query::RuleRows::default(),
        });
    }
    for _ in 0..9 {
        desk.settle();
    }
    desk.send(B, B, 10, &mark(direct(), 1));
    assert!(desk.queries.is_empty(), "it would be loaded without the mark on the way");
    assert_eq!(positions(&desk.run()), [(B, 2)]);
}

#[test]
fn a_stay_is_one_row_and_ends_with_the_name_of_its_time() {
    let (mut desk, channel) = group(Limits::default());
    desk.send(A, A, 2, &RemoveMember { channel: channel.0, member: B });
    desk.send(A, A, 3, &RenameGroup { channel: channel.0, name: "without B".into() });
    let rows = desk.run();
    let left = IntervalRow { number: 1, role: 0, left: Some(Seq(2)), name: "team".into() };
    assert_eq!(stays(&rows), [(B, 1, left)]);
    desk.send(A, A, 4, &AddMembers { channel: channel.0, members: vec![B] });
    let position = PositionRow { read: Seq(2), ..PositionRow::default() };
    desk.answer(Answer::Earlier(vec![Earlier { stays: 1, position, ..Earlier::default() }]));
    let again = IntervalRow { number: 2, ..IntervalRow::default() };
    assert_eq!(stays(&desk.run()), [(B, 4, again)]);
    desk.sent.clear();
    desk.send(B, B, 5, &mark(channel, 1));
    assert_eq!((desk.seen(B), desk.batches.len()), (vec!["done 5".to_owned()], 0), "it had read 2 before");
}

#[test]
fn who_came_and_went_too_often_does_not_come_back() {
    let (mut desk, channel) = group(Limits { member_stays: 3, ..Limits::default() });
    let add = AddMembers { channel: channel.0, members: vec![B, C] };
    desk.send(A, A, 2, &RemoveMember { channel: channel.0, member: B });
    desk.run();
    desk.send(A, A, 3, &add);
    let often = |stays| Earlier { stays, ..Earlier::default() };
    desk.answer(Answer::Earlier(vec![often(2), often(3)]));
    assert_eq!(desk.run(), []);
    let refused = body::read::<Reject>(desk.take(A).last().unwrap()).unwrap();
    assert_eq!((refused.code, refused.path.as_str(), refused.retry_after_ms), (6, "members[1]", 0));
    assert!(refused.text.contains("3 times"), "{}", refused.text);
    desk.send(A, A, 4, &add);
    desk.answer(Answer::Earlier(vec![often(2), often(2)]));
    let numbers: Vec<(u64, u32)> =
        stays(&desk.run()).iter().map(|(user, _, row)| (*user, row.number)).collect();
    assert_eq!(numbers, [(B, 3), (C, 3)]);
}

#[test]
fn a_stay_that_has_just_ended_counts() {
    let (mut desk, channel) = group(Limits::default());
    desk.send(A, A, 2, &RemoveMember { channel: channel.0, member: B });
    desk.send(A, A, 3, &AddMembers { channel: channel.0, members: vec![B] });
    assert!(desk.queries.is_empty(), "asked behind the row that is on its way");
    desk.store_one();
    assert!(matches!(desk.queries.front(), Some((_, _, Query::Earlier { .. }))));
}

#[test]
fn newcomers_that_cannot_be_read_cost_only_who_named_them() {
    let (mut desk, channel) = group(Limits::default());
    desk.send(A, A, 2, &AddMembers { channel: channel.0, members: vec![C] });
    desk.text(A, A, channel, 3, "behind");
    desk.fail_read();
    desk.run();
    assert_eq!(desk.seen(A), ["reject 2 busy", "ack 3 seq 2"]);
}

#[test]
fn a_list_shows_what_the_store_has_counted() {
    use protocol::body::sync::{Channels, GetChannels};
    use protocol::query::JoinedItem;
    let mut desk = talk(1);
    desk.send(B, B, 9, &GetChannels { after: 0, limit: 10 });
    let item = JoinedItem {
        channel: direct(),
        joined: Seq(1),
        left: Some(Seq(6)),
        read: Seq(4),
        unread: 1,
        head: Seq(6),
        name: "then".into(),
    };
    desk.answer(Answer::Joined { items: vec![item], more: false });
    let found = body::read::<Channels>(&desk.take(B)[0]).unwrap().items.remove(0);
    assert_eq!((found.head, found.read, found.unread, found.member), (6, 4, 1, false));
    assert_eq!(found.name, "then");
}
