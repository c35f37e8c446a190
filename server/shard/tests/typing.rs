//! Scenarios of typing: offered from memory, never stored, never answered.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use desk::Desk;
use protocol::body;
use protocol::body::marks::{TYPING_GOES_ON, TYPING_STOPPED, Typing};
use protocol::body::message::{CreateGroup, RemoveMember};
use protocol::commit::{Audience, Policy, Relation};
use protocol::query::{Answer, Query};
use protocol::{ChannelId, Frame, Kind, SendId, UserId};
use shard::limits::{TYPING_EVERY_MS, TYPING_EXPIRES_MS};
use shard::{Command, ConnId, Input, Limits};

const A: u64 = 10;
const B: u64 = 20;
const C: u64 = 30;
/// The second device of A, and its connection.
const A_TOO: u64 = 2;

fn typing(channel: ChannelId, state: u8) -> Typing {
    Typing { channel: channel.0, user: 0, expires_ms: 0, state }
}

fn direct() -> ChannelId {
    ChannelId::direct(UserId(A), UserId(B))
}

/// A (twice), B and C, connected.
fn people(shards: u16) -> Desk {
    let mut desk = Desk::limited(shards, Limits::default());
    for user in [A, B, C] {
        desk.join(user, user, user);
    }
    desk.join(A_TOO, A, A_TOO);
    desk
}

fn group(shards: u16) -> (Desk, ChannelId) {
    let mut desk = people(shards);
    let channel = ChannelId::group(UserId(A), SendId(1));
    desk.send(A, A, 1, &CreateGroup { channel: channel.0, name: "team".into(), members: vec![B] });
    desk.run();
    desk.sent.clear();
    (desk, channel)
}

/// Who types, as a connection was told.
fn told(desk: &mut Desk, conn: u64) -> Vec<(u64, u32)> {
    let shown = |frame: &Frame| {
        let typing = body::read::<Typing>(frame).unwrap();
        (typing.user, typing.expires_ms)
    };
    desk.take(conn).iter().filter(|frame| frame.kind() == Kind::TYPING).map(shown).collect()
}

#[test]
fn the_others_are_told_and_nothing_is_stored() {
    for shards in [1, 3] {
        let (mut desk, channel) = group(shards);
        desk.send(A, A, 9, &typing(channel, TYPING_GOES_ON));
        desk.send(A, A, 10, &typing(channel, TYPING_STOPPED));
        assert_eq!(told(&mut desk, B), [(A, TYPING_EXPIRES_MS), (A, 0)]);
        for conn in [A, A_TOO, C] {
            assert!(desk.take(conn).is_empty(), "neither its own devices nor strangers: {conn}");
        }
        assert!(desk.batches.is_empty() && desk.queries.is_empty());
    }
}

#[test]
fn once_in_three_seconds_passes_and_the_rest_costs_a_token_and_no_fault() {
    let (mut desk, channel) = group(1);
    for id in 0..40 {
        desk.send(A, A, id, &typing(channel, TYPING_GOES_ON));
    }
    assert_eq!(told(&mut desk, B).len(), 1);
    assert!(desk.take(A).is_empty() && desk.closed.is_empty(), "dropped without a word");
    desk.send(A_TOO, A, 1, &typing(channel, TYPING_GOES_ON));
    assert_eq!(told(&mut desk, B).len(), 1, "another session counts for itself");
    desk.pass(TYPING_EVERY_MS);
    desk.send(A, A, 41, &typing(channel, TYPING_GOES_ON));
    assert_eq!(told(&mut desk, B).len(), 1);
    for id in 0..1200 {
        desk.send(A, A, id, &typing(channel, TYPING_GOES_ON));
    }
    let last = desk.seen(A).pop().unwrap();
    assert!(last.ends_with(" rate"), "each costs a token: {last}");
}

#[test]
fn strangers_and_who_was_removed_are_not_heard() {
    let (mut desk, channel) = group(2);
    desk.send(C, C, 9, &typing(channel, TYPING_GOES_ON));
    desk.send(C, C, 10, &typing(direct(), TYPING_GOES_ON));
    assert_eq!(desk.seen(C), ["reject 10 forbidden"], "whose channel it is not shows at once");
    desk.send(A, A, 2, &RemoveMember { channel: channel.0, member: B });
    desk.run();
    desk.sent.clear();
    desk.send(B, B, 9, &typing(channel, TYPING_GOES_ON));
    assert!(desk.sent.is_empty());
    desk.send(A, A, 9, &typing(channel, TYPING_GOES_ON));
    assert!(told(&mut desk, B).is_empty(), "who was removed is not told");
}

#[test]
fn what_only_the_server_says_is_refused() {
    let (mut desk, channel) = group(1);
    desk.send(A, A, 9, &Typing { user: B, ..typing(channel, TYPING_GOES_ON) });
    desk.send(A, A, 10, &Typing { expires_ms: 1, ..typing(channel, TYPING_GOES_ON) });
    desk.send(A, A, 11, &typing(channel, 2));
    assert_eq!(desk.seen(A), ["reject 9 limit", "reject 10 limit", "reject 11 limit"]);
    assert!(desk.take(B).is_empty());
}

#[test]
fn a_channel_that_is_not_in_memory_is_not_read_for_it() {
    let mut desk = people(1);
    desk.send(A, A, 9, &typing(direct(), TYPING_GOES_ON));
    desk.send(A, A, 10, &typing(ChannelId::group(UserId(B), SendId(7)), TYPING_GOES_ON));
    assert!(desk.queries.is_empty() && desk.sent.is_empty());
}

/// Answers what a send in the direct channel asks of B, who has said this of A.
fn says(desk: &mut Desk, relation: Relation) {
    while let Some((_, _, query)) = desk.queries.front() {
        if matches!(query, Query::Relation { .. }) {
            desk.answer(Answer::Relation(relation));
        } else {
            desk.answer_all_empty();
        }
    }
    desk.run();
}

fn relate(desk: &mut Desk, user: u64, other: u64, relation: Relation) {
    desk.command(Command::Relate { user: UserId(user), other: UserId(other), relation }).unwrap();
    withdraw(desk, user);
}

fn withdraw(desk: &mut Desk, user: u64) {
    for shard in 0..desk.shards.len() {
        let ticket = shard::Ticket(2_000_000 + desk.replies.len() as u64);
        desk.turn(shard, vec![Input::Control { ticket, command: Command::Withdraw { user: UserId(user) } }]);
    }
}

#[test]
fn who_blocks_the_sender_is_not_told() {
    let mut desk = people(2);
    desk.text(A, A, direct(), 1, "hello");
    desk.run();
    desk.sent.clear();
    let mut id = 100;
    let mut shows = |desk: &mut Desk| {
        desk.pass(TYPING_EVERY_MS);
        id += 1;
        desk.send(A, A, id, &typing(direct(), TYPING_GOES_ON));
        assert!(desk.queries.is_empty(), "nothing is read for it");
        told(desk, B).len() == 1
    };
    assert!(shows(&mut desk), "B has said nothing of anybody");
    let blocked = Relation { is_blocked: true, is_friend: false };
    relate(&mut desk, B, A, blocked);
    assert!(!shows(&mut desk), "B has said something, and of whom is not looked up");
    desk.text(A, A, direct(), 2, "still there?");
    says(&mut desk, blocked);
    assert!(!shows(&mut desk));
    let friend = Relation { is_friend: true, is_blocked: false };
    relate(&mut desk, B, A, friend);
    assert!(!shows(&mut desk));
    desk.text(A, A, direct(), 3, "friends?");
    says(&mut desk, friend);
    desk.sent.clear();
    assert!(shows(&mut desk), "B was asked, and takes messages from A");
    let policy = Policy { message: Audience::Nobody, ..Policy::default() };
    desk.command(Command::SetPolicy { user: UserId(B), policy }).unwrap();
    withdraw(&mut desk, B);
    assert!(!shows(&mut desk));
}

#[test]
fn who_has_no_room_is_not_told() {
    let (mut desk, channel) = group(1);
    let queued = Limits::default().egress_bytes / 2;
    desk.turn(0, vec![Input::Egress { conn: ConnId(B), queued }]);
    desk.send(A, A, 9, &typing(channel, TYPING_GOES_ON));
    assert!(told(&mut desk, B).is_empty());
    assert_eq!(desk.shards[0].counters().offers_dropped, 1);
}
