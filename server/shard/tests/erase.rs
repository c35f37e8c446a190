//! A channel's home erases a user: it leaves, one message says so to devices, and what it wrote goes a step at a time.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use desk::Desk;
use protocol::body::about::Recalled;
use protocol::body::erase::Erase;
use protocol::body::message::{CreateGroup, LeaveGroup};
use protocol::commit::{About, ErasedRow, FloorRow, Pinned, PresenceRow, Row, Said};
use protocol::query::{Answer, Query, Sent, Written};
use protocol::{BayId, ChannelId, Frame, Kind, SendId, Seq, UserId};
use shard::{CommandError, Input, Keeping, Ticket};

const A: u64 = 10;
const B: u64 = 20;
const C: u64 = 30;

/// A made a group with B and C and wrote messages 2 and 3.
fn group() -> (Desk, ChannelId) {
    let mut desk = Desk::new(1);
    for user in [A, B, C] {
        desk.join(user, user, user);
    }
    let channel = ChannelId::group(UserId(A), SendId(1));
    desk.send(A, A, 1, &CreateGroup { channel: channel.0, name: "team".into(), members: vec![B, C] });
    desk.run();
    for id in [2, 3] {
        desk.text(A, A, channel, id, "a secret");
        desk.run();
    }
    for conn in [A, B, C] {
        desk.take(conn);
    }
    (desk, channel)
}

fn direct() -> ChannelId {
    ChannelId::direct(UserId(A), UserId(B))
}

fn step(desk: &mut Desk, ticket: u64, channel: ChannelId) {
    desk.turn(0, vec![Input::Erase { ticket: Ticket(ticket), channel, user: UserId(A) }]);
}

fn replies(desk: &mut Desk) -> Vec<(u64, Result<(), CommandError>)> {
    std::mem::take(&mut desk.replies).into_iter().map(|(ticket, outcome)| (ticket.0, outcome)).collect()
}

/// Answers the question for what is left.
fn tell(desk: &mut Desk, written: Written) {
    assert!(matches!(desk.queries.front(), Some((_, _, Query::Written { .. }))), "{:?}", desk.queries);
    desk.answer(Answer::Written(Box::new(written)));
}

fn text(desk: &Desk, seq: u64) -> Sent {
    Sent { seq: Seq(seq), time_ms: desk.wall_ms, sender: UserId(A), send_id: SendId(seq), fingerprint: 3 }
}

fn messages(rows: &[Row]) -> Vec<(Seq, Kind, UserId)> {
    let one = |row: &Row| match row {
        Row::Message { seq, frame, .. } => Some((*seq, frame.kind(), frame.read_stamp()?.sender)),
        _ => None,
    };
    rows.iter().filter_map(one).collect()
}

/// What the store says of A's two texts when the group's head is `head`.
fn two_texts(desk: &Desk, row: Option<ErasedRow>, head: u64) -> Written {
    let texts = vec![(text(desk, 2), Said::default()), (text(desk, 3), Said::default())];
    Written { row, texts, newest: Seq(3), through: Seq(head), head: Seq(head), ..Written::default() }
}

#[test]
fn it_leaves_then_one_message_says_so_then_what_it_wrote_goes() {
    let (mut desk, channel) = group();
    step(&mut desk, 1, channel);
    let found = two_texts(&desk, None, 3);
    tell(&mut desk, found.clone());
    assert_eq!(replies(&mut desk), [(1, Ok(()))]);
    assert_eq!(messages(&desk.run()), [(Seq(4), Kind::LEAVE_GROUP, UserId(A))]);
    step(&mut desk, 2, channel);
    tell(&mut desk, Written { head: Seq(4), through: Seq(4), ..found.clone() });
    let rows = desk.run();
    assert_eq!(messages(&rows), [(Seq(5), Kind::ERASE, UserId(A))]);
    let row = ErasedRow { by: Seq(5), time_ms: desk.wall_ms, next: Seq(0) };
    assert!(rows.contains(&Row::Erased { channel, user: UserId(A), row }), "{rows:?}");
    for conn in [B, C] {
        assert_eq!(desk.seen(conn), ["message 4 from 10", "message 5 from 10"]);
    }
    step(&mut desk, 3, channel);
    tell(&mut desk, Written { row: Some(row), head: Seq(5), through: Seq(5), ..found });
    let rows = desk.run();
    let gone: Vec<Recalled> =
        rows.iter().filter_map(rewritten).filter_map(|frame| Recalled::read(&frame)).collect();
    assert_eq!(
        gone.iter().map(|says| (says.target, says.by, says.user)).collect::<Vec<_>>(),
        [(2, 5, A), (3, 5, A)]
    );
    assert!(rows.contains(&Row::Erased { channel, user: UserId(A), row: ErasedRow { next: Seq(6), ..row } }));
    assert_eq!(replies(&mut desk), [(2, Ok(())), (3, Ok(()))]);
    step(&mut desk, 4, channel);
    let row = Some(ErasedRow { next: Seq(6), ..row });
    tell(&mut desk, Written { row, head: Seq(5), through: Seq(5), ..Written::default() });
    assert_eq!(replies(&mut desk), [(4, Err(CommandError::NothingLeft))]);
    assert!(desk.run().is_empty());
}

fn rewritten(row: &Row) -> Option<Frame> {
    match row {
        Row::Rewrite { frame, .. } => Some(frame.clone()),
        _ => None,
    }
}

#[test]
fn what_was_said_about_its_texts_goes_with_them_and_what_it_said_about_others() {
    let (mut desk, channel) = group();
    let row = ErasedRow { by: Seq(9), time_ms: 1, next: Seq(0) };
    desk.send(A, A, 8, &LeaveGroup { channel: channel.0 });
    desk.run();
    step(&mut desk, 1, channel);
    let said = Said { edits: vec![Seq(5)], reactions: vec![("👍".into(), 1)] };
    let others = Said { edits: vec![], reactions: vec![("👍".into(), 2), ("👀".into(), 1)] };
    let pins = vec![Pinned { seq: Seq(2), by: Seq(7) }, Pinned { seq: Seq(4), by: Seq(7) }];
    let found = Written {
        row: Some(row),
        texts: vec![(text(&desk, 2), said)],
        edits: vec![(text(&desk, 5), Seq(2))],
        reactions: vec![(Seq(4), others, vec!["👍".into(), "👀".into()])],
        pins: pins.clone(),
        newest: Seq(6),
        through: Seq(8),
        head: Seq(9),
    };
    tell(&mut desk, found);
    let rows = desk.run();
    let abouts: Vec<About> = rows
        .iter()
        .filter_map(|row| match row {
            Row::About { about, .. } => Some(about.clone()),
            _ => None,
        })
        .collect();
    let left = Said { edits: vec![], reactions: vec![("👍".into(), 1)] };
    let wanted = [
        About::Recalled { seq: Seq(2), has_reactors: true },
        About::Pins(vec![pins[1]]),
        About::Message { seq: Seq(4), said: left },
        About::Reactor { seq: Seq(4), user: UserId(A), emoji: vec![] },
    ];
    assert_eq!(abouts, wanted);
    let gone: Vec<Recalled> =
        rows.iter().filter_map(rewritten).filter_map(|frame| Recalled::read(&frame)).collect();
    assert_eq!(gone.iter().map(|says| (says.target, says.by)).collect::<Vec<_>>(), [(2, 9), (2, 9)]);
    assert_eq!(replies(&mut desk), [(1, Ok(()))]);
}

#[test]
fn of_a_direct_channel_nobody_leaves_and_who_wrote_nothing_costs_no_message() {
    let mut desk = Desk::new(1);
    for user in [A, B] {
        desk.join(user, user, user);
    }
    desk.text(B, B, direct(), 1, "hello");
    desk.run();
    step(&mut desk, 1, direct());
    tell(&mut desk, Written { head: Seq(1), through: Seq(1), ..Written::default() });
    let rows = desk.run();
    let row = ErasedRow { next: Seq(2), ..ErasedRow::default() };
    assert_eq!(rows, [Row::Erased { channel: direct(), user: UserId(A), row }]);
    assert_eq!(replies(&mut desk), [(1, Ok(()))]);
    // Nor does a channel of which nobody knows.
    let stranger = ChannelId::direct(UserId(A), UserId(C));
    step(&mut desk, 2, stranger);
    desk.answer_all_empty();
    assert_eq!(replies(&mut desk), [(2, Err(CommandError::NothingLeft))]);
    assert_eq!(desk.run(), []);
}

/// Nothing may be said about a text between the answer of the store and its end.
#[test]
fn sends_wait_while_the_store_is_asked_and_go_on_in_order() {
    let (mut desk, channel) = group();
    step(&mut desk, 1, channel);
    for id in [7, 8] {
        desk.text(B, B, channel, id, "meanwhile");
    }
    assert!(desk.batches.is_empty());
    // One step of a channel at a time.
    step(&mut desk, 2, channel);
    assert_eq!(replies(&mut desk), [(2, Err(CommandError::Busy { retry_after_ms: 1000 }))]);
    let found = two_texts(&desk, None, 3);
    tell(&mut desk, found);
    let rows = desk.run();
    let kinds: Vec<Kind> = messages(&rows).iter().map(|(_, kind, _)| *kind).collect();
    assert_eq!(kinds.len(), 3, "{rows:?}");
    assert_eq!(kinds.iter().filter(|kind| **kind == Kind::SEND_TEXT).count(), 2);
    assert!(kinds.contains(&Kind::LEAVE_GROUP));
    let own: Vec<String> = desk.seen(B).into_iter().filter(|word| word.starts_with("ack")).collect();
    assert_eq!(own.len(), 2, "{own:?}");
    assert!(own[0].starts_with("ack 7") && own[1].starts_with("ack 8"), "{own:?}");
}

#[test]
fn what_cannot_be_read_is_asked_for_again_and_lets_sends_go_on() {
    let (mut desk, channel) = group();
    step(&mut desk, 1, channel);
    desk.text(B, B, channel, 7, "meanwhile");
    desk.fail_read();
    assert_eq!(replies(&mut desk), [(1, Err(CommandError::Busy { retry_after_ms: 1000 }))]);
    assert_eq!(messages(&desk.run()), [(Seq(4), Kind::SEND_TEXT, UserId(B))]);
}

#[test]
fn no_device_says_it() {
    let (mut desk, channel) = group();
    desk.send(A, A, 9, &Erase { channel: channel.0 });
    assert_eq!(desk.seen(A), ["reject 9 unknown_kind"]);
    assert_eq!(desk.run(), []);
}

#[test]
fn an_own_channel_goes_as_a_whole_and_nobody_elses_does() {
    let mut desk = Desk::new(1);
    desk.join(A, A, A);
    let own = ChannelId::own(UserId(A));
    desk.text(A, A, own, 1, "a note");
    desk.run();
    step(&mut desk, 1, own);
    assert_eq!(replies(&mut desk), [(1, Err(CommandError::OwnChannel))]);
    let forget = |ticket, channel| Input::Purge { ticket: Ticket(ticket), channel, keeping: Keeping::Forget };
    desk.turn(0, vec![forget(2, direct())]);
    assert_eq!(replies(&mut desk), [(2, Err(CommandError::OwnChannel))]);
    desk.turn(0, vec![forget(3, own)]);
    let then = FloorRow { below: Seq(2), time_ms: 1 };
    desk.answer(Answer::Floor { now: FloorRow::default(), then, head: Seq(1), retention: None });
    let rows = desk.run();
    let user = UserId(A);
    let wanted = [
        Row::Floor { channel: own, from: Seq(0), row: then },
        Row::Presence { user, row: PresenceRow::default() },
        Row::Forgotten { user },
    ];
    let found: Vec<Row> = rows.into_iter().filter(|row| !matches!(row, Row::Marks { .. })).collect();
    assert_eq!(found, wanted);
    assert_eq!(replies(&mut desk), [(3, Ok(()))]);
    // What was noted while the store was asked is not lost to the rows: it is asked again.
    desk.turn(0, vec![forget(4, own)]);
    desk.text(A, A, own, 2, "another");
    desk.answer(Answer::Floor { now: then, then, head: Seq(1), retention: None });
    assert_eq!(replies(&mut desk), [(4, Err(CommandError::Busy { retry_after_ms: 1000 }))]);
    assert_eq!(BayId::of_channel(own), BayId::of_user(user), "one commit holds both");
}

/// The texts were there when the store was asked. A row of one that is purged would be one that nobody removes.
#[test]
fn what_is_purged_meanwhile_gets_no_row() {
    let (mut desk, channel) = group();
    desk.send(A, A, 8, &LeaveGroup { channel: channel.0 });
    desk.run();
    step(&mut desk, 1, channel);
    let asked = desk.queries.pop_front().unwrap();
    let cut = protocol::query::Cut { below: Seq(3), ..Default::default() };
    desk.turn(0, vec![Input::Purge { ticket: Ticket(2), channel, keeping: Keeping::Purge(cut) }]);
    let then = FloorRow { below: Seq(3), time_ms: 1 };
    desk.answer(Answer::Floor { now: FloorRow::default(), then, head: Seq(4), retention: None });
    desk.queries.push_front(asked);
    let row = ErasedRow { by: Seq(4), time_ms: 1, next: Seq(0) };
    let found = two_texts(&desk, Some(row), 4);
    tell(&mut desk, found);
    let rows = desk.run();
    let gone: Vec<u64> = rows
        .iter()
        .filter_map(rewritten)
        .filter_map(|frame| Recalled::read(&frame))
        .map(|says| says.target)
        .collect();
    assert_eq!(gone, [3]);
}
