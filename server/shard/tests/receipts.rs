//! Scenarios of receipts: who is told how far members have come, when, and what that costs.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use std::collections::BTreeSet;

use desk::Desk;
use protocol::body;
use protocol::body::marks::{GetReceipts, MarkDelivered, ReceiptItem, Receipts};
use protocol::body::message::{CreateGroup, LeaveGroup, RemoveMember};
use protocol::body::sync::MarkRead;
use protocol::commit::{Policy, PositionRow, Row};
use protocol::hop::Hop;
use protocol::query::{Answer, Member, Query};
use protocol::{ChannelId, Frame, Kind, SendId, Seq, ShardId, UserId};
use shard::limits::{DELIVERED_EVERY_MS, OFFERED_MEMBERS_MAX, RECEIPTS_GATHER_MS};
use shard::{Command, ConnId, Input, Limits};

const A: u64 = 10;
const B: u64 = 20;
const C: u64 = 30;
/// The second device of B, and its connection.
const B_TOO: u64 = 2;
/// Longer than changes are gathered.
const SOON_MS: u64 = RECEIPTS_GATHER_MS + 100;

fn direct() -> ChannelId {
    ChannelId::direct(UserId(A), UserId(B))
}

fn read(channel: ChannelId, seq: u64) -> MarkRead {
    MarkRead { channel: channel.0, seq }
}

fn delivered(channel: ChannelId, seq: u64) -> MarkDelivered {
    MarkDelivered { channel: channel.0, seq }
}

fn ask(channel: ChannelId) -> GetReceipts {
    GetReceipts { channel: channel.0, after: 0, limit: 500 }
}

/// A group of A, B and C, of which B has two devices, with so many texts of A behind its seq 1.
fn group(shards: u16, limits: Limits, texts: u64) -> (Desk, ChannelId) {
    let mut desk = Desk::limited(shards, limits);
    for user in [A, B, C] {
        desk.join(user, user, user);
    }
    desk.join(B_TOO, B, B_TOO);
    let channel = ChannelId::group(UserId(A), SendId(1));
    desk.send(A, A, 1, &CreateGroup { channel: channel.0, name: "team".into(), members: vec![B, C] });
    for id in 2..=texts + 1 {
        desk.text(A, A, channel, id, "hello");
    }
    desk.run();
    desk.sent.clear();
    (desk, channel)
}

fn hide(desk: &mut Desk, user: u64, hides_receipts: bool) {
    let policy = Policy { hides_receipts, ..Policy::default() };
    desk.command(Command::SetPolicy { user: UserId(user), policy }).unwrap();
}

type Shown = Vec<(u64, u64, u64)>;

fn items(frame: &Frame) -> Shown {
    let receipts = body::read::<Receipts>(frame).unwrap();
    receipts.items.iter().map(|ReceiptItem { user, read, delivered }| (*user, *read, *delivered)).collect()
}

/// The receipts that a connection was sent, each frame for itself.
fn told(desk: &mut Desk, conn: u64) -> Vec<Shown> {
    desk.take(conn).iter().filter(|frame| frame.kind() == Kind::RECEIPTS).map(items).collect()
}

fn positions(rows: &[Row]) -> Vec<(u64, u64, u64)> {
    let position = |row: &Row| match row {
        Row::Position { user, row, .. } => Some((user.0, row.read.0, row.delivered.0)),
        _ => None,
    };
    rows.iter().filter_map(position).collect()
}

#[test]
fn changes_are_gathered_and_the_newest_is_told_once() {
    for shards in [1, 3] {
        let (mut desk, channel) = group(shards, Limits::default(), 5);
        for (id, seq) in [(11, 2), (12, 4), (13, 5)] {
            desk.send(B, B, id, &read(channel, seq));
        }
        desk.send(C, C, 11, &delivered(channel, 6));
        desk.run();
        assert!(told(&mut desk, A).is_empty(), "nothing before they are gathered");
        desk.pass(SOON_MS);
        let all = vec![vec![(B, 5, 5), (C, 0, 6)]];
        // The reader's other device hears of it like the others, and so agrees on what is unread.
        for conn in [A, B_TOO, C] {
            assert_eq!(told(&mut desk, conn), all, "{shards} shards, {conn}");
        }
        desk.pass(10 * SOON_MS);
        assert!(told(&mut desk, A).is_empty(), "nothing changed since");
    }
}

#[test]
fn nothing_is_told_before_it_is_stored() {
    let (mut desk, channel) = group(2, Limits::default(), 2);
    desk.send(B, B, 11, &read(channel, 3));
    desk.pass(SOON_MS);
    desk.send(C, C, 12, &ask(channel));
    assert!(desk.sent.is_empty(), "it is on its way to the disk");
    desk.run();
    assert_eq!(told(&mut desk, C), [[(A, 0, 0), (B, 3, 3), (C, 0, 0)]]);
    assert!(told(&mut desk, A).is_empty());
    desk.pass(SOON_MS);
    assert_eq!(told(&mut desk, A), [[(B, 3, 3)]]);
}

#[test]
fn delivered_is_never_ahead_never_back_and_not_answered() {
    let (mut desk, channel) = group(1, Limits::default(), 2);
    desk.send(B, B, 11, &delivered(channel, 3));
    desk.send(B, B, 12, &delivered(channel, 1));
    desk.send(B, B, 13, &delivered(channel, 4));
    assert_eq!(desk.seen(B), ["reject 13 limit"]);
    desk.pass(SOON_MS);
    assert_eq!(told(&mut desk, A), [[(B, 0, 3)]]);
    desk.send(B, B, 14, &delivered(channel, 2));
    desk.pass(SOON_MS);
    assert!(told(&mut desk, A).is_empty());
    desk.sent.clear();
    desk.text(A, A, channel, 20, "on the way");
    desk.send(B, B, 15, &delivered(channel, 4));
    assert_eq!(desk.seen(B), ["reject 15 limit"], "above what is stored");
}

#[test]
fn delivered_is_written_lazily_and_what_is_read_implies_it() {
    let (mut desk, channel) = group(1, Limits::default(), 3);
    desk.send(B, B, 11, &delivered(channel, 2));
    desk.send(B, B, 12, &delivered(channel, 3));
    desk.pass(DELIVERED_EVERY_MS - 1000);
    assert_eq!(positions(&desk.run()), []);
    desk.pass(1100);
    assert_eq!(positions(&desk.run()), [(B, 0, 3)], "one row for all that came");
    desk.send(B, B, 13, &read(channel, 4));
    assert_eq!(positions(&desk.run()), [(B, 4, 4)]);
    desk.send(B, B, 14, &delivered(channel, 4));
    desk.pass(2 * DELIVERED_EVERY_MS);
    assert_eq!(positions(&desk.run()), [], "it is known");
    desk.text(A, A, channel, 20, "more");
    desk.run();
    desk.send(B, B, 15, &delivered(channel, 5));
    desk.send(B, B, 16, &read(channel, 5));
    assert_eq!(positions(&desk.run()), [(B, 5, 5)]);
    desk.pass(2 * DELIVERED_EVERY_MS);
    assert_eq!(positions(&desk.run()), [], "it was written with what was read");
}

#[test]
fn what_was_delivered_is_written_when_the_server_stops() {
    let (mut desk, channel) = group(1, Limits::default(), 3);
    desk.send(B, B, 11, &delivered(channel, 2));
    desk.turn(0, vec![Input::Drain]);
    desk.pass(100);
    assert_eq!(positions(&desk.run()), [(B, 0, 2)]);
}

#[test]
fn a_channel_stays_in_memory_until_what_was_delivered_is_written() {
    let (mut desk, channel) = group(1, Limits { idle_channels: 0, ..Limits::default() }, 3);
    let load = |desk: &mut Desk| {
        let members =
            [A, B, C].map(|user| (UserId(user), Member { joined: Seq(1), number: 1, ..Member::default() }));
        let row = Some(protocol::commit::ChannelRow { name: "team".into() });
        desk.answer(Answer::Channel {
            row,
            members: members.into(),
            head: Seq(4),
            time_ms: 7,
            rules: protocol::query::RuleRows::default(),
        });
    };
    desk.send(B, B, 11, &delivered(channel, 3));
    if matches!(desk.queries.front(), Some((_, _, Query::Channel(_)))) {
        load(&mut desk);
    }
    for _ in 0..9 {
        desk.settle();
    }
    desk.send(C, C, 12, &ask(channel));
    assert!(desk.queries.is_empty(), "it would be loaded without what was delivered");
    assert_eq!(told(&mut desk, C), [[(A, 0, 0), (B, 0, 3), (C, 0, 0)]]);
    desk.pass(DELIVERED_EVERY_MS + 100);
    assert_eq!(positions(&desk.run()), [(B, 0, 3)]);
    for _ in 0..9 {
        desk.settle();
    }
    desk.send(C, C, 13, &ask(channel));
    assert!(matches!(desk.queries.front(), Some((_, _, Query::Channel(_)))), "now it may go");
}

#[test]
fn who_was_away_asks_in_pages() {
    let (mut desk, channel) = group(2, Limits::default(), 3);
    desk.send(B, B, 11, &read(channel, 4));
    desk.run();
    desk.pass(SOON_MS);
    desk.sent.clear();
    let page = |after, limit| GetReceipts { channel: channel.0, after, limit };
    desk.send(C, C, 12, &page(0, 2));
    desk.send(C, C, 13, &page(B, 2));
    let pages = desk.take(C);
    assert_eq!(pages.iter().map(items).collect::<Vec<_>>(), [vec![(A, 0, 0), (B, 4, 4)], vec![(C, 0, 0)]]);
    let more = |frame: &Frame| body::read::<Receipts>(frame).unwrap().more;
    assert_eq!(
        pages.iter().map(|page| (page.header().id, more(page))).collect::<Vec<_>>(),
        [(12, true), (13, false)]
    );
    desk.guest(1, C, C, 14, &page(0, 10));
    assert_eq!(desk.answer_of(1), ["receipts 14"], "over HTTP, too");
    desk.guest(2, C, C, 15, &read(channel, 2));
    assert_eq!(positions(&desk.run()), [(C, 2, 2)]);
    assert_eq!(desk.answer_of(2), ["done 15"]);
}

#[test]
fn strangers_and_who_has_left_see_and_mark_nothing() {
    let (mut desk, channel) = group(2, Limits::default(), 3);
    desk.send(A, A, 20, &RemoveMember { channel: channel.0, member: B });
    desk.send(C, C, 21, &LeaveGroup { channel: channel.0 });
    desk.run();
    desk.sent.clear();
    for user in [B, C] {
        desk.send(user, user, 31, &delivered(channel, 2));
        desk.send(user, user, 32, &ask(channel));
        assert_eq!(desk.seen(user), ["reject 31 forbidden", "reject 32 forbidden"]);
    }
    desk.send(A, A, 33, &read(channel, 4));
    desk.run();
    desk.pass(SOON_MS);
    assert_eq!(told(&mut desk, A), [[(A, 4, 4)]]);
    assert!(told(&mut desk, B).is_empty() && told(&mut desk, C).is_empty());
    // A direct channel is for its two users, once it has a message.
    desk.send(C, C, 34, &delivered(direct(), 0));
    desk.send(C, C, 35, &ask(direct()));
    desk.run();
    assert_eq!(desk.seen(C), ["reject 34 forbidden", "reject 35 forbidden"]);
    desk.send(A, A, 36, &ask(direct()));
    desk.run();
    assert_eq!(desk.seen(A), ["done 33", "reject 36 forbidden"].split_at(1).1);
}

#[test]
fn who_leaves_before_it_is_told_is_not_told_of() {
    let (mut desk, channel) = group(2, Limits::default(), 3);
    desk.send(B, B, 11, &read(channel, 4));
    desk.send(C, C, 12, &read(channel, 3));
    desk.send(B, B, 13, &LeaveGroup { channel: channel.0 });
    desk.run();
    desk.pass(SOON_MS);
    assert_eq!(told(&mut desk, A), [[(C, 3, 3)]]);
    assert!(told(&mut desk, B_TOO).is_empty());
}

#[test]
fn who_hides_is_shown_to_nobody_and_shown_nobody() {
    let (mut desk, channel) = group(2, Limits::default(), 5);
    hide(&mut desk, B, true);
    desk.send(B, B, 11, &read(channel, 4));
    desk.send(C, C, 11, &read(channel, 5));
    let rows = desk.run();
    let hidden = |row: &Row| matches!(row, Row::Position { row: PositionRow { hides: true, .. }, .. });
    assert_eq!(positions(&rows.into_iter().filter(hidden).collect::<Vec<_>>()), [(B, 4, 4)]);
    desk.pass(SOON_MS);
    assert_eq!(told(&mut desk, A), [[(C, 5, 5)]]);
    assert_eq!(told(&mut desk, B_TOO), [[(B, 4, 4)]], "its own devices agree all the same");
    desk.sent.clear();
    desk.send(A, A, 12, &ask(channel));
    assert_eq!(told(&mut desk, A), [[(A, 0, 0), (C, 5, 5)]]);
    desk.send(B, B, 12, &ask(channel));
    assert_eq!(told(&mut desk, B), [[(B, 4, 4)]]);
    // From the next mark on the others see it again.
    hide(&mut desk, B, false);
    desk.send(B, B, 13, &read(channel, 4));
    desk.run();
    desk.pass(SOON_MS);
    assert_eq!(told(&mut desk, A), [[(B, 4, 4)]]);
    desk.sent.clear();
    desk.send(B, B, 14, &ask(channel));
    assert_eq!(told(&mut desk, B), [[(A, 0, 0), (B, 4, 4), (C, 5, 5)]]);
}

#[test]
fn receipts_are_the_first_thing_that_is_dropped() {
    let (mut desk, channel) = group(1, Limits::default(), 5);
    // A's connection has taken nothing for a while: less waits than would hold a message back.
    let waits = Limits::default().egress_bytes / 2;
    desk.turn(0, vec![Input::Egress { conn: ConnId(A), queued: waits }]);
    desk.send(B, B, 11, &read(channel, 4));
    desk.run();
    desk.pass(SOON_MS);
    assert!(told(&mut desk, A).is_empty());
    assert_eq!(told(&mut desk, C), [[(B, 4, 4)]], "it costs nobody else anything");
    assert_eq!(desk.shards[0].counters().offers_dropped, 1);
    desk.text(C, C, channel, 12, "a message still goes out");
    desk.run();
    assert_eq!(desk.seen(A), ["message 7 from 30"]);
    desk.turn(0, vec![Input::Egress { conn: ConnId(A), queued: 0 }]);
    desk.send(A, A, 13, &ask(channel));
    assert_eq!(told(&mut desk, A), [[(A, 0, 0), (B, 4, 4), (C, 0, 0)]], "and who asks has it");
}

#[test]
fn while_much_waits_at_the_home_nothing_is_offered() {
    let limits = Limits { waiting_bytes: 100, ..Limits::default() };
    let (mut desk, channel) = group(1, limits, 0);
    desk.send(B, B, 11, &read(channel, 1));
    desk.run();
    desk.text(A, A, channel, 2, "so much waits unstored that nobody may ask for more");
    desk.sent.clear();
    desk.pass(SOON_MS);
    assert!(desk.sent.is_empty());
    assert_eq!(desk.shards[0].counters().offers_dropped, 1);
    desk.run();
    desk.send(C, C, 12, &ask(channel));
    assert_eq!(told(&mut desk, C), [[(A, 0, 0), (B, 1, 1), (C, 0, 0)]], "who asks has it");
}

#[test]
fn there_is_one_hop_a_shard_and_a_lost_one_is_made_up_for_by_asking() {
    let (mut desk, channel) = group(3, Limits::default(), 5);
    let home = usize::from(desk.placement.channel_home(channel).0);
    let shards: BTreeSet<usize> = [A, B, C].iter().map(|user| desk.home(*user)).collect();
    assert!(shards.len() > 1, "members live at several shards");
    desk.send(B, B, 11, &read(channel, 4));
    desk.run();
    desk.rings_open = false;
    desk.pass(SOON_MS);
    let mut offers = 0;
    for to in (0..3).map(ShardId) {
        while let Some(hop) = desk.shards[home].poll_hop(to) {
            offers += usize::from(matches!(hop, Hop::Offer(_)));
        }
    }
    assert_eq!(offers, shards.iter().filter(|shard| **shard != home).count());
    desk.rings_open = true;
    desk.pass(SOON_MS);
    desk.sent.clear();
    desk.send(C, C, 12, &ask(channel));
    assert_eq!(told(&mut desk, C), [[(A, 0, 0), (B, 4, 4), (C, 0, 0)]]);
}

/// A group of so many, each with a session; all have read what A sent. Gives frames and bytes of receipts.
fn all_read(shards: u16, members: u64) -> (u64, u64) {
    let limits = Limits { group_members: 500, ..Limits::default() };
    let mut desk = Desk::limited(shards, limits);
    let users: Vec<u64> = (1000..1000 + members).collect();
    for user in &users {
        desk.join(*user, *user, *user);
    }
    let channel = ChannelId::group(UserId(1000), SendId(1));
    let others = users[1..].to_vec();
    desk.send(1000, 1000, 1, &CreateGroup { channel: channel.0, name: "all".into(), members: others });
    desk.run();
    desk.text(1000, 1000, channel, 2, "read me");
    desk.run();
    desk.sent.clear();
    for user in &users[1..] {
        desk.send(*user, *user, 9, &read(channel, 2));
    }
    desk.run();
    desk.pass(SOON_MS);
    let all = desk.sent.values().flatten().filter(|frame| frame.kind() == Kind::RECEIPTS);
    all.fold((0, 0), |(frames, bytes), frame| (frames + 1, bytes + frame.bytes().len() as u64))
}

/// The figures of docs/performance.md: `cargo test -p shard --test receipts figures -- --nocapture`.
#[test]
fn figures_of_a_group_of_100() {
    let (frames, bytes) = all_read(2, 100);
    let reads = 99;
    println!("99 reads of one message within {RECEIPTS_GATHER_MS} ms, 100 sessions, 2 shards:");
    println!(
        "{frames} frames and {bytes} bytes of receipts; a read: {:.2} frames, {} bytes",
        frames as f64 / 99.0,
        bytes / reads
    );
    println!("a read for each of those who are told: {} bytes", bytes / reads / 100);
    assert_eq!(frames, 100, "one frame for each session, whoever read");
    assert_eq!(bytes, 100 * (16 + 25 + 99 * 24));
}

#[test]
fn in_a_channel_of_many_each_is_told_its_own() {
    let members = OFFERED_MEMBERS_MAX as u64 + 1;
    let (frames, bytes) = all_read(2, members);
    assert_eq!((frames, bytes), (members - 1, (members - 1) * (16 + 25 + 24)));
}
