//! A channel's home purges: what the store says is there goes in one row, one purge of a channel at a time, and whoever asked hears
//! of it once it is stored.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use desk::Desk;
use protocol::body::about::{React, Recalled};
use protocol::commit::{Facts, FloorRow, RetentionRow, Row};
use protocol::query::{Answer, Cut, Query, Sent};
use protocol::{BayId, ChannelId, Kind, SendId, Seq, UserId};
use shard::{CommandError, Input, Keeping, Ticket};

const A: u64 = 10;
const B: u64 = 20;
const CUT: Cut = Cut { below: Seq(3), before_ms: 0, keep: None, younger_ms: 9, most: 0 };

fn direct() -> ChannelId {
    ChannelId::direct(UserId(A), UserId(B))
}

/// A and B have said two things each.
fn talked() -> Desk {
    let mut desk = Desk::new(1);
    for user in [A, B] {
        desk.join(user, user, user);
    }
    for (id, user) in [(1, A), (2, B), (3, A), (4, B)] {
        desk.text(user, user, direct(), id, "a word");
        desk.run();
    }
    desk.take(A);
    desk.take(B);
    desk
}

fn ask(desk: &mut Desk, ticket: u64, keeping: Keeping) {
    desk.turn(0, vec![Input::Purge { ticket: Ticket(ticket), channel: direct(), keeping }]);
}

fn floor(below: u64) -> FloorRow {
    FloorRow { below: Seq(below), time_ms: 5 }
}

fn tell(desk: &mut Desk, now: FloorRow, then: FloorRow, head: u64) {
    assert!(matches!(desk.queries.front(), Some((_, _, Query::Floor { .. }))), "{:?}", desk.queries);
    desk.answer(Answer::Floor { now, then, head: Seq(head), retention: None });
}

fn floors(rows: &[Row]) -> Vec<Row> {
    rows.iter().filter(|row| matches!(row, Row::Floor { .. } | Row::Retention { .. })).cloned().collect()
}

fn replies(desk: &mut Desk) -> Vec<(u64, Result<(), CommandError>)> {
    std::mem::take(&mut desk.replies).into_iter().map(|(ticket, outcome)| (ticket.0, outcome)).collect()
}

#[test]
fn what_the_store_says_is_there_goes_and_is_answered_once_stored() {
    let mut desk = talked();
    ask(&mut desk, 7, Keeping::Purge(CUT));
    let (_, _, query) = desk.queries.front().cloned().unwrap();
    assert_eq!(query, Query::Floor { channel: direct(), cut: CUT });
    tell(&mut desk, FloorRow::default(), floor(3), 4);
    assert_eq!(replies(&mut desk), [], "it is not stored");
    let rows = desk.run();
    let row = Row::Floor { channel: direct(), from: Seq(0), row: floor(3) };
    assert_eq!(floors(&rows), [row]);
    assert_eq!(replies(&mut desk), [(7, Ok(()))]);
    // The next one begins where that ended.
    ask(&mut desk, 8, Keeping::Purge(CUT));
    tell(&mut desk, floor(3), floor(5), 4);
    let rows = desk.run();
    assert_eq!(floors(&rows), [Row::Floor { channel: direct(), from: Seq(3), row: floor(5) }]);
    assert_eq!(replies(&mut desk), [(8, Ok(()))]);
}

#[test]
fn nothing_to_purge_writes_nothing_and_a_stranger_is_none() {
    let mut desk = talked();
    ask(&mut desk, 1, Keeping::Purge(CUT));
    tell(&mut desk, floor(4), floor(4), 4);
    assert_eq!((floors(&desk.run()), replies(&mut desk)), (vec![], vec![(1, Ok(()))]));
    ask(&mut desk, 2, Keeping::Purge(CUT));
    tell(&mut desk, FloorRow::default(), FloorRow::default(), 0);
    assert_eq!(replies(&mut desk), [(2, Err(CommandError::NoSuchChannel))]);
    let own = ChannelId::own(UserId(A));
    desk.turn(0, vec![Input::Purge { ticket: Ticket(3), channel: own, keeping: Keeping::Purge(CUT) }]);
    assert_eq!(replies(&mut desk), [(3, Err(CommandError::OwnChannel))]);
    ask(&mut desk, 4, Keeping::Purge(CUT));
    desk.fail_read();
    assert_eq!(replies(&mut desk), [(4, Err(CommandError::Busy { retry_after_ms: 1000 }))]);
    assert_eq!(floors(&desk.run()), []);
}

#[test]
fn one_at_a_time_so_that_a_floor_never_falls() {
    let mut desk = talked();
    ask(&mut desk, 1, Keeping::Purge(CUT));
    ask(&mut desk, 2, Keeping::Purge(CUT));
    let busy = Err(CommandError::Busy { retry_after_ms: 1000 });
    assert_eq!(replies(&mut desk), [(2, busy)]);
    tell(&mut desk, FloorRow::default(), floor(3), 4);
    // Until it is stored the store knows an older floor.
    ask(&mut desk, 3, Keeping::Purge(CUT));
    assert_eq!(replies(&mut desk), [(3, busy)]);
    desk.run();
    assert_eq!(replies(&mut desk), [(1, Ok(()))]);
    ask(&mut desk, 4, Keeping::Purge(CUT));
    assert!(matches!(desk.queries.front(), Some((_, _, Query::Floor { .. }))));
}

/// The store was asked about a message before it was purged, and answers behind that.
#[test]
fn nothing_is_said_about_what_went_in_between() {
    let mut desk = talked();
    let react = React { channel: direct().0, target: 2, on: true, emoji: "👍".into() };
    desk.send(A, A, 9, &react);
    let asked = desk.queries.pop_front().unwrap();
    assert!(matches!(asked.2, Query::Target { .. }), "{asked:?}");
    ask(&mut desk, 1, Keeping::Purge(CUT));
    tell(&mut desk, FloorRow::default(), floor(3), 4);
    desk.run();
    desk.queries.push_front(asked);
    let sent = Sent { seq: Seq(2), time_ms: 1, sender: UserId(B), send_id: SendId(2), fingerprint: 3 };
    let message = Some((Kind::SEND_TEXT, sent));
    desk.answer(Answer::Target { message, recalled: None, facts: Facts::default(), edits: vec![] });
    assert!(desk.run().iter().all(|row| !matches!(row, Row::About { .. } | Row::Message { .. })));
    assert_eq!(desk.seen(A), ["reject 9 limit"]);
    // Of what was purged before the channel came into memory the store says so.
    desk.send(A, A, 10, &React { target: 3, ..react });
    let says = Recalled { channel: direct().0, target: 3, by: 0, user: 0, time_ms: 1 };
    let sent = Sent { seq: Seq(3), sender: UserId(0), send_id: SendId(0), ..sent };
    let message = Some((Kind::RECALLED, sent));
    let (recalled, facts, edits) = (Some(Box::new(says)), Facts::default(), vec![]);
    desk.answer(Answer::Target { message, recalled, facts, edits });
    desk.run();
    assert_eq!(desk.seen(A), ["reject 10 limit"]);
}

#[test]
fn a_retention_is_a_row_of_the_channel() {
    let mut desk = talked();
    let row = Some(RetentionRow { days: 30, messages: 0 });
    ask(&mut desk, 1, Keeping::Retain(row));
    tell(&mut desk, FloorRow::default(), FloorRow::default(), 4);
    assert_eq!(floors(&desk.run()), [Row::Retention { channel: direct(), row }]);
    assert_eq!(replies(&mut desk), [(1, Ok(()))]);
    ask(&mut desk, 2, Keeping::Retain(None));
    tell(&mut desk, FloorRow::default(), FloorRow::default(), 0);
    assert_eq!(replies(&mut desk), [(2, Err(CommandError::NoSuchChannel))]);
}

#[test]
fn a_channel_of_another_home_is_not_purged_here() {
    let mut desk = Desk::new(2);
    let elsewhere = 1 - usize::from(BayId::of_channel(direct()).0 % 2);
    let input = Input::Purge { ticket: Ticket(1), channel: direct(), keeping: Keeping::Purge(CUT) };
    desk.turn(elsewhere, vec![input]);
    assert_eq!(replies(&mut desk), [(1, Err(CommandError::OtherHome))]);
}
