//! Scenarios of the fan-out log: a dropped delivery, a crash at boot and a full ring are one path.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use desk::Desk;
use protocol::body::message::SendText;
use protocol::commit::Row;
use protocol::query::{Answer, BayState, Delivery, Query};
use protocol::{BayId, ChannelId, Seq, Stamp, UserId};
use shard::{Limits, Tick};

/// Two users whose homes are different shards: (home of the channel, other).
fn apart(desk: &Desk) -> (u64, u64) {
    let first = 10;
    let other = (11..100).find(|user| desk.home(*user) != desk.home(first)).unwrap();
    (first, other)
}

#[test]
fn boot_reads_the_logs_before_it_is_ready() {
    let mut desk = Desk::with(1, Limits::default(), &|bay| {
        let mut state = desk::empty(bay);
        state.applied[0] = 1;
        if bay == BayId(0) { BayState { fanout_head: 3, fanout_tail: 1, ..state } } else { state }
    });
    assert_eq!(desk.ready, 0);
    let Some((_, _, Query::Replay { after: 1, .. })) = desk.queries.front() else { panic!("no replay") };
    let channel = ChannelId::direct(UserId(10), UserId(20));
    let frame = protocol::body::encode(5, &SendText { channel: channel.0, text: "x".into() });
    let frame = frame.stamp(Stamp { seq: Seq(9), time_ms: 1, sender: UserId(10) });
    let recipients = [UserId(10), UserId(20)].into();
    let deliveries = vec![(2, Delivery { channel, seq: Seq(9), frame, recipients, grown: None })];
    desk.answer(Answer::Replay { deliveries, through: 2 });
    assert_eq!(desk.ready, 0, "half of the log");
    let rows = desk.run_replay(3);
    assert_eq!(desk.ready, 1);
    assert_eq!(desk::pointers(&rows), 2);
    let marks = desk::marks(&rows, BayId(0));
    assert!(marks.contains(&2) && marks.contains(&3), "{marks:?}");
}

#[test]
fn a_full_ring_drops_deliveries_and_the_log_brings_them() {
    let mut desk = Desk::limited(2, Limits { frames_burst: 1_000_000, ..Limits::default() });
    let (first, other) = apart(&desk);
    desk.join(1, first, 1);
    desk.join(2, other, 2);
    let channel = ChannelId::direct(UserId(first), UserId(other));
    desk.text(1, first, channel, 1, "opens");
    desk.run();
    desk.take(2);
    desk.rings_open = false;
    let mut id = 1;
    let mut log = Vec::new();
    while desk.shards[desk.home(first)].counters().deliveries_dropped == 0 {
        id += 1;
        assert!(id < 100_000, "never full");
        desk.text(1, first, channel, id, "x");
        log.extend(desk.run());
    }
    desk.rings_open = true;
    for _ in 0..3 {
        desk.pass(1_100);
        while !desk.batches.is_empty() && desk.queries.is_empty() {
            desk.store_one();
        }
    }
    let Some((_, _, Query::Replay { source, dests, after, .. })) = desk.queries.front() else {
        unreachable!()
    };
    assert_eq!(*source, BayId::of_channel(channel));
    assert!(dests.contains(BayId::of_user(UserId(other))) && !dests.contains(*source));
    assert!(*after < id);
    let deliveries = log.into_iter().filter_map(|row| match row {
        Row::Message { channel, seq, frame } if seq.0 > *after => {
            Some((seq.0, Delivery { channel, seq, frame, recipients: [UserId(other)].into(), grown: None }))
        }
        _ => None,
    });
    let deliveries = deliveries.collect();
    desk.answer(Answer::Replay { deliveries, through: id });
    desk.run();
    let seen = desk.seen(2).into_iter().filter(|word| word.starts_with("message "));
    let expected = (2..=id).map(|seq| format!("message {seq} from {first}"));
    assert!(seen.eq(expected), "every message, once, in order");
}

#[test]
fn logs_are_trimmed_below_the_slowest_mark_but_for_the_newest_row() {
    let mut desk = Desk::new(2);
    let (first, other) = apart(&desk);
    desk.join(1, first, 1);
    desk.join(2, other, 2);
    let channel = ChannelId::direct(UserId(first), UserId(other));
    for id in 1..=5 {
        desk.text(1, first, channel, id, "x");
        desk.run();
    }
    let mut rows = Vec::new();
    for _ in 0..4 {
        desk.pass(1_100);
        rows.extend(desk.run());
    }
    let below =
        rows.iter().filter_map(|row| if let Row::TrimFanout { below } = row { Some(*below) } else { None });
    assert_eq!(below.max(), Some(5));
}

#[test]
fn pointers_ride_on_the_next_message_and_do_not_wait_long_for_one() {
    let mut desk = Desk::trailing(1, 10);
    desk.join(1, 10, 1);
    desk.join(2, 20, 2);
    let channel = ChannelId::direct(UserId(10), UserId(20));
    let log = BayId::of_channel(channel);
    // The mark of each own bay.
    let marks = |rows: &[Row]| desk::marks(rows, log).len();
    desk.text(1, 10, channel, 501, "one");
    desk.answer_all_empty();
    desk.store_one();
    assert_eq!(desk.seen(2), ["message 1 from 10"], "nobody waits for the pointer");
    assert!(desk.batches.is_empty(), "and the pointer waits");
    let due = desk.shards[0].next_deadline();
    assert_eq!(due, Some(Tick(desk.now + 10)), "but not for ever");
    desk.text(1, 10, channel, 502, "two");
    let rows = desk.store_one().rows;
    assert!(rows.iter().any(|row| matches!(row, Row::Message { seq: Seq(2), .. })));
    assert_eq!((desk::pointers(&rows), marks(&rows)), (2, 64), "those of the first ride on the second");
    desk.now += 9;
    desk.settle();
    assert!(desk.batches.is_empty());
    desk.now += 1;
    desk.settle();
    let rows = desk.store_one().rows;
    assert_eq!((desk::pointers(&rows), marks(&rows)), (2, 64));
    assert!(desk.batches.is_empty());
}
