//! Pointers are gathered for a while and leave as runs, with the marks that cover them.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use desk::{Desk, marks, pointers};
use protocol::body::message::SendText;
use protocol::body::sync::GetChannels;
use protocol::commit::Row;
use protocol::query::{Answer, BayState, Delivery, Query};
use protocol::{BayId, ChannelId, Seq, Stamp, UserId};
use shard::limits::GATHERED_BYTES_MAX;
use shard::{Input, Limits};

const SECOND: u64 = 1000;

fn direct(one: u64, other: u64) -> ChannelId {
    ChannelId::direct(UserId(one), UserId(other))
}

fn gathering() -> Desk {
    let limits = Limits { frames_burst: 1_000_000, ..Limits::default() };
    let mut desk = Desk::gathering(1, SECOND, limits);
    desk.join(1, 10, 1);
    desk.join(2, 20, 2);
    desk
}

/// Sends so many and stores them; the rows that were stored.
fn talk(desk: &mut Desk, ids: std::ops::RangeInclusive<u64>) -> Vec<Row> {
    let mut rows = Vec::new();
    for id in ids {
        desk.text(1, 10, direct(10, 20), id, "x");
        rows.extend(desk.run());
    }
    rows
}

#[test]
fn pointers_of_a_second_leave_as_one_run_a_user_with_the_marks_of_all_own_bays() {
    let mut desk = gathering();
    let rows = talk(&mut desk, 1..=5);
    assert_eq!((pointers(&rows), marks(&rows, BayId::of_channel(direct(10, 20)))), (0, vec![]));
    assert!(desk.shards[0].has_trailing());
    assert_eq!(desk.seen(2).len(), 5, "nobody waits for them");
    desk.pass(SECOND - 1);
    assert!(desk.batches.is_empty());
    desk.pass(1);
    let rows = desk.store_one().rows;
    let runs = rows.iter().filter(|row| matches!(row, Row::Run { .. })).count();
    assert_eq!((runs, pointers(&rows)), (2, 10));
    assert_eq!(marks(&rows, BayId::of_channel(direct(10, 20))), vec![5; 64]);
    assert!(!desk.shards[0].has_trailing());
}

#[test]
fn complete_never_passes_a_stored_pointer() {
    let mut desk = gathering();
    let beat = |desk: &mut Desk, id| {
        desk.send(2, 20, id, &protocol::body::session::Heartbeat { time_ms: 1 });
        desk.seen(2)
    };
    talk(&mut desk, 1..=3);
    desk.take(2);
    assert_eq!(beat(&mut desk, 90), ["heartbeat 90"], "nothing is complete yet");
    desk.pass(SECOND);
    desk.store_one();
    desk.pass(SECOND);
    desk.run();
    let seen = beat(&mut desk, 91);
    assert!(seen.iter().any(|word| word.starts_with("complete 0..3")), "{seen:?}");
}

#[test]
fn a_list_shows_what_its_user_was_sent() {
    let mut desk = gathering();
    talk(&mut desk, 1..=1);
    desk.send(2, 20, 70, &GetChannels { after: 0, limit: 10 });
    assert!(desk.queries.is_empty(), "the list is read behind its rows");
    let rows = desk.store_one().rows;
    assert!(rows.iter().any(|row| matches!(row, Row::Joined { user: UserId(20), .. })), "{rows:?}");
    assert!(matches!(desk.queries.front(), Some((_, _, Query::Joined { user: UserId(20), .. }))));
}

#[test]
fn much_leaves_before_its_time() {
    let mut desk = gathering();
    let channel = direct(10, 20);
    let text = "a".repeat(100_000);
    let mut sent = 0;
    let mut rows = Vec::new();
    while pointers(&rows) == 0 {
        sent += 1;
        assert!(sent * text.len() <= GATHERED_BYTES_MAX + 2 * text.len(), "never left");
        desk.text(1, 10, channel, sent as u64, &text);
        rows.extend(desk.run());
    }
    let mut few = Desk::gathering(1, SECOND, Limits { unstored_rows: 8, ..Limits::default() });
    few.join(1, 10, 1);
    few.text(1, 10, channel, 1, "x");
    few.run();
    few.text(1, 10, channel, 2, "x");
    assert_eq!(pointers(&few.run()), 4, "a shard with little room does not fill it by gathering");
}

#[test]
fn a_shard_that_stops_keeps_nothing_back() {
    let mut desk = gathering();
    talk(&mut desk, 1..=2);
    desk.turn(0, vec![Input::Drain]);
    assert_eq!(pointers(&desk.run()), 4);
}

#[test]
fn who_has_gathered_pointers_stays_in_memory() {
    let limits = Limits { idle_users: 0, ..Limits::default() };
    let mut desk = Desk::gathering(1, SECOND, limits);
    desk.join(1, 10, 1);
    talk(&mut desk, 1..=1);
    for _ in 0..20 {
        desk.pass(10);
    }
    assert_eq!(desk.shards[0].counters().users_now, 2, "the second has no session");
    desk.pass(SECOND);
    desk.run();
    for _ in 0..20 {
        desk.pass(10);
    }
    assert_eq!(desk.shards[0].counters().users_now, 1);
}

/// Bays that were at home on different shards, one of which wrote its pointers and one did not.
#[test]
fn bays_that_differ_are_read_from_the_least_and_nobody_gets_a_second_pointer() {
    let channel = direct(10, 20);
    let (source, ahead) = (BayId::of_channel(channel), BayId::of_user(UserId(10)));
    assert_ne!(ahead, BayId::of_user(UserId(20)));
    let at = usize::from(source.0);
    let mut desk = Desk::with(1, Limits::default(), &|bay| {
        let mut state = desk::empty(bay);
        state.applied[at] = if bay == ahead { 2 } else { 1 };
        if bay == source { BayState { fanout_head: 2, fanout_tail: 1, ..state } } else { state }
    });
    let Some((_, _, Query::Replay { after: 1, until: 2, .. })) = desk.queries.front() else { panic!() };
    let frame = protocol::body::encode(5, &SendText { channel: channel.0, text: "x".into() });
    let frame = frame.stamp(Stamp { seq: Seq(2), time_ms: 1, sender: UserId(10) });
    let delivery = Delivery { channel, seq: Seq(2), frame, recipients: [UserId(10), UserId(20)].into() };
    desk.answer(Answer::Replay { deliveries: vec![(2, delivery)], through: 2 });
    let rows = desk.run_replay(2);
    let of =
        |user| rows.iter().filter(move |row| matches!(row, Row::Run { user: of, .. } if *of == UserId(user)));
    assert_eq!((of(10).count(), of(20).count()), (0, 1));
    assert!(marks(&rows, source).iter().all(|through| *through == 2), "a mark never steps back");
    assert_eq!(desk.ready, 1);
}
