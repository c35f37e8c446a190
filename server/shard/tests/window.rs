//! Scenarios of the dedup window, of recipients that are not in memory, and of acks that wait for none of them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use std::sync::Arc;

use desk::{Desk, user_answer};
use protocol::body::message::SendText;
use protocol::commit::{ChannelRow, Row};
use protocol::hop::{Hop, Span};
use protocol::limits::DEDUP_AGE_MS_MAX;
use protocol::query::{Answer, Delivery, Member, Query, Sent};
use protocol::{BayId, ChannelId, Frame, SendId, Seq, ShardId, Stamp, UserId};
use shard::{ConnId, Input, Limits};

const COLD: u64 = 30;

fn direct(a: u64, b: u64) -> ChannelId {
    ChannelId::direct(UserId(a), UserId(b))
}

/// A group of three, one of whom is not in memory. In a direct channel the other is asked for consent, and so is.
const GROUP: ChannelId = ChannelId(7);

fn members() -> Vec<(UserId, Member)> {
    let member = Member { joined: Seq(1), number: 1, ..Member::default() };
    [10, 11, COLD].map(|user| (UserId(user), member)).to_vec()
}

fn stamped(channel: ChannelId, seq: u64, sender: u64, id: u64) -> Frame {
    let frame = protocol::body::encode(id, &SendText { channel: channel.0, text: "x".into() });
    frame.stamp(Stamp { seq: Seq(seq), time_ms: 5, sender: UserId(sender) })
}

/// Answers the queries that wait except for those about a cold user, which stay.
fn answer_but_cold(desk: &mut Desk) {
    for _ in 0..desk.queries.len() + 8 {
        match desk.queries.front() {
            Some((_, _, Query::User(user))) if user.0 >= COLD => {
                let query = desk.queries.pop_front().unwrap();
                desk.queries.push_back(query);
            }
            Some((_, _, Query::User(user))) => {
                let user = *user;
                desk.answer(user_answer(user, 0));
            }
            Some((_, _, Query::Channel(channel))) => {
                let (row, members) = match channel.users() {
                    Some(_) => (None, Vec::new()),
                    None => (Some(ChannelRow { name: "cold".into() }), members()),
                };
                desk.answer(Answer::Channel {
                    row,
                    members,
                    head: Seq(7),
                    time_ms: 9,
                    rules: protocol::query::RuleRows::default(),
                });
            }
            Some((_, _, Query::Window { .. })) => desk.answer(Answer::Window(Vec::new())),
            Some(other) => panic!("unexpected {other:?}"),
            None => return,
        }
    }
}

fn store_all(desk: &mut Desk) -> Vec<Row> {
    let mut rows = Vec::new();
    while !desk.batches.is_empty() {
        rows.extend(desk.store_one().rows);
        answer_but_cold(desk);
    }
    rows
}

fn text(desk: &mut Desk, conn: u64, user: u64, channel: ChannelId, id: u64) {
    desk.text(conn, user, channel, id, "x");
    answer_but_cold(desk);
}

#[test]
fn one_cold_recipient_holds_nobodys_ack() {
    let mut desk = Desk::new(1);
    desk.join(1, 10, 1);
    desk.join(2, 20, 2);
    text(&mut desk, 1, 10, GROUP, 501);
    store_all(&mut desk);
    assert_eq!(desk.seen(1), ["ack 501 seq 8"], "its own recipient is not in memory");
    text(&mut desk, 2, 20, direct(10, 20), 601);
    text(&mut desk, 2, 20, direct(10, 20), 602);
    store_all(&mut desk);
    assert_eq!(desk.seen(2), ["ack 601 seq 8", "ack 602 seq 9"], "others wait for no load of a stranger");
    assert!(desk.seen(1).is_empty(), "messages keep the inbox's order and come once all are there");
    assert_eq!(desk.queries.len(), 1, "one load");
    desk.answer(user_answer(UserId(COLD), 0));
    let rows = store_all(&mut desk);
    assert_eq!(desk::pointers(&rows), 7);
    assert_eq!(desk.seen(1), ["message 8 from 20", "message 9 from 20"], "and no ack twice");
    assert!(desk.seen(2).is_empty(), "and no ack twice");
    desk.pass(1_000);
    let beat = protocol::body::session::Heartbeat { time_ms: 1 };
    desk.send(1, 10, 77, &beat);
    desk.send(2, 20, 78, &beat);
    assert_eq!(desk.seen(1), ["complete 0..3 head 3", "heartbeat 77"], "what was acked counts as sent");
    assert_eq!(desk.seen(2), ["complete 0..2 head 2", "heartbeat 78"]);
}

#[test]
fn other_devices_get_the_message_that_its_sender_was_acked_before() {
    let mut desk = Desk::new(1);
    desk.join(1, 10, 1);
    desk.join(2, 10, 2);
    text(&mut desk, 1, 10, GROUP, 501);
    store_all(&mut desk);
    assert_eq!(desk.seen(1), ["ack 501 seq 8"]);
    assert!(desk.seen(2).is_empty());
    // The device comes anew: for its new session the message is a message.
    desk.hello(3, 10, 1, 0);
    assert_eq!(desk.seen(3), ["welcome start 0 head 0", "complete 0..0 head 0"]);
    desk.answer(user_answer(UserId(COLD), 0));
    store_all(&mut desk);
    assert_eq!(desk.seen(2), ["message 8 from 10"]);
    assert_eq!(desk.seen(3), ["message 8 from 10"]);
}

#[test]
fn early_acks_do_not_overtake_those_that_wait_in_the_inbox() {
    // Pointers are gathered all the while, so that messages are stored and the sender's pointers are not.
    let mut desk = Desk::gathering(1, 1_000_000, Limits::default());
    let (other, sender, cold) = (11, 12, COLD);
    desk.join(1, sender, 1);
    desk.join(2, other, 2);
    let full = Limits::default().egress_bytes;
    desk.turn(0, vec![Input::Egress { conn: ConnId(1), queued: full - 10 }]);
    text(&mut desk, 1, sender, direct(other, sender), 501);
    store_all(&mut desk);
    assert!(desk.seen(1).is_empty(), "its ack waits for the connection to drain");
    text(&mut desk, 2, other, GROUP, 601);
    store_all(&mut desk);
    text(&mut desk, 1, sender, direct(other, sender), 502);
    store_all(&mut desk);
    assert!(desk.seen(1).is_empty(), "the later ack stays behind the earlier one");
    desk.turn(0, vec![Input::Egress { conn: ConnId(1), queued: 0 }]);
    assert_eq!(desk.seen(1), ["ack 501 seq 8"], "its inbox has no place for the second yet");
    text(&mut desk, 1, sender, direct(other, sender), 503);
    store_all(&mut desk);
    assert!(desk.seen(1).is_empty(), "the third stays behind the second, which comes with its span");
    desk.answer(user_answer(UserId(cold), 0));
    assert_eq!(desk.seen(1), ["ack 502 seq 9", "ack 503 seq 10"]);
}

/// A hop of the log of bay 0 as another shard would send it.
fn deliver(after: u64, recipients: Vec<UserId>) -> Hop {
    let channel = direct(1, 2);
    let frame = stamped(channel, after + 1, 1, after + 1);
    let deliveries =
        vec![Delivery { channel, seq: Seq(after + 1), frame, recipients: Arc::from(recipients) }];
    let span = Span { source: BayId(0), after, through: after + 1, deliveries, origins: Vec::new() };
    Hop::Deliver { spans: vec![span] }
}

#[test]
fn cold_recipients_are_asked_for_once_and_stay_until_their_spans_are_applied() {
    let limits = Limits { idle_users: 0, ..Limits::default() };
    let mut desk = Desk::limited(1, limits);
    let users = |span: u64| (span * 50..span * 50 + 100).map(|user| UserId(1000 + user));
    for span in 0..10 {
        let hop = deliver(span, users(span).collect());
        desk.turn(0, vec![Input::Hop { from: ShardId(0), hop }]);
    }
    assert_eq!(desk.queries.len(), 550, "each of them once");
    // All but one, newest first: nothing can be applied, and nobody leaves memory although no more than nobody may stay.
    let first = desk.queries.pop_front().unwrap();
    while let Some((shard, ticket, query)) = desk.queries.pop_back() {
        let Query::User(user) = query else { panic!() };
        desk.turn(shard, vec![Input::Read { ticket, answer: Ok(user_answer(user, 0)) }]);
    }
    assert!(desk.batches.is_empty());
    assert_eq!(desk.shards[0].counters().users_now, 550);
    desk.queries.push_back(first);
    desk.answer(user_answer(UserId(1000), 0));
    let rows = store_all(&mut desk);
    assert_eq!(desk::pointers(&rows), 1000);
    assert!(desk.queries.is_empty(), "nobody is asked for twice");
    for _ in 0..20 {
        desk.pass(10);
    }
    assert_eq!(desk.shards[0].counters().users_now, 0, "then they go");
}

#[test]
fn a_load_that_fails_is_asked_for_again() {
    let mut desk = Desk::new(1);
    desk.turn(0, vec![Input::Hop { from: ShardId(0), hop: deliver(0, vec![UserId(1), UserId(2)]) }]);
    desk.fail_read();
    desk.answer(user_answer(UserId(2), 0));
    assert!(desk.batches.is_empty() && desk.queries.is_empty(), "not before its pause is over");
    desk.pass(shard::limits::READ_PAUSE_MIN_MS);
    desk.answer(user_answer(UserId(1), 0));
    assert_eq!(desk::pointers(&store_all(&mut desk)), 2);
}

#[test]
fn hops_behind_a_gap_are_kept_and_only_the_gap_is_read() {
    let mut desk = Desk::new(1);
    desk.join(1, 1, 1);
    desk.join(2, 2, 2);
    for after in [0, 2, 3] {
        desk.turn(0, vec![Input::Hop { from: ShardId(0), hop: deliver(after, vec![UserId(1), UserId(2)]) }]);
    }
    assert_eq!(desk.seen(2), ["message 1 from 1"]);
    let Some((_, _, Query::Replay { after: 1, until: 2, .. })) = desk.queries.front() else {
        panic!("{:?}", desk.queries)
    };
    desk.turn(0, vec![Input::Hop { from: ShardId(0), hop: deliver(4, vec![UserId(1), UserId(2)]) }]);
    let Hop::Deliver { mut spans } = deliver(1, vec![UserId(1), UserId(2)]) else { panic!() };
    let deliveries = spans.remove(0).deliveries.into_iter().map(|delivery| (2, delivery)).collect();
    desk.answer(Answer::Replay { deliveries, through: 2 });
    assert_eq!(
        desk.seen(2),
        ["message 2 from 1", "message 3 from 1", "message 4 from 1", "message 5 from 1"]
    );
    assert!(desk.queries.is_empty(), "what came meanwhile is not read");
}

fn sent(seq: u64, id: u64) -> Sent {
    let frame = stamped(direct(10, 20), seq, 10, id);
    Sent {
        seq: Seq(seq),
        time_ms: 5,
        sender: UserId(10),
        send_id: SendId(id),
        fingerprint: frame.fingerprint(),
    }
}

#[test]
fn a_window_reaches_back_a_day_from_the_newest_message() {
    let mut desk = Desk::new(1);
    desk.join(1, 10, 1);
    desk.text(1, 10, direct(10, 20), 5, "x");
    let time_ms = 1_700_000_000_000;
    desk.answer(Answer::Channel {
        row: None,
        members: Vec::new(),
        head: Seq(900),
        time_ms,
        rules: protocol::query::RuleRows::default(),
    });
    let Some((_, _, Query::Window { count: 10_000, since_ms, .. })) = desk.queries.front() else {
        panic!("{:?}", desk.queries)
    };
    assert_eq!(*since_ms, time_ms - DEDUP_AGE_MS_MAX);
}

/// Answers the load of one of the channels of user 10, whose windows hold `head` messages.
fn load_channel(desk: &mut Desk, head: u64) {
    let place = desk.queries.iter().position(|(_, _, query)| matches!(query, Query::Channel(_))).unwrap();
    let query = desk.queries.remove(place).unwrap();
    desk.queries.push_front(query);
    desk.answer(Answer::Channel {
        row: None,
        members: Vec::new(),
        head: Seq(head),
        time_ms: 9,
        rules: protocol::query::RuleRows::default(),
    });
}

#[test]
fn windows_have_one_bound_of_bytes_and_are_read_again_when_needed() {
    const HEAD: u64 = 1000;
    let limits = Limits { dedup_bytes: 100 * 1024, ..Limits::default() };
    let mut desk = Desk::limited(1, limits);
    desk.join(1, 10, 1);
    for other in 100..120 {
        desk.join(other, other, other);
        desk.text(1, 10, direct(10, other), HEAD + other, "x");
        load_channel(&mut desk, HEAD);
        let window: Vec<Sent> = (1..=HEAD).map(|seq| sent(seq, seq)).collect();
        desk.answer(Answer::Window(window));
        desk.run();
        desk.pass(10);
        let bytes = desk.shards[0].dedup_bytes();
        assert!((1..=100 * 1024).contains(&bytes), "{bytes}");
    }
    assert_eq!(desk.shards[0].counters().channels_now, 20, "the channels stay");
    desk.seen(1);
    // The window of the first was dropped; its repeat is found all the same.
    desk.text(1, 10, direct(10, 100), HEAD + 100, "x");
    let Some((_, _, Query::Window { .. })) = desk.queries.front() else { panic!("{:?}", desk.queries) };
    let mut again = sent(HEAD + 1, HEAD + 100);
    let frame =
        protocol::body::encode(HEAD + 100, &SendText { channel: direct(10, 100).0, text: "x".into() });
    again.fingerprint = frame.fingerprint();
    desk.answer(Answer::Window(vec![again]));
    assert_eq!(desk.seen(1), ["ack 1100 seq 1001"]);
}

#[test]
fn a_window_with_something_in_flight_stays_whatever_the_bound() {
    let limits = Limits { dedup_bytes: 0, ..Limits::default() };
    let mut desk = Desk::limited(1, limits);
    desk.join(1, 10, 1);
    desk.join(2, 20, 2);
    desk.text(1, 10, direct(10, 20), 5, "x");
    desk.answer_all_empty();
    for _ in 0..3 {
        desk.pass(10);
    }
    desk.text(1, 10, direct(10, 20), 5, "x");
    assert!(desk.queries.is_empty(), "only the window knows what is not stored");
    let rows = desk.run();
    assert_eq!(rows.iter().filter(|row| matches!(row, Row::Message { .. })).count(), 1);
    assert_eq!(desk.seen(1), ["ack 5 seq 1", "ack 5 seq 1"]);
    for _ in 0..3 {
        desk.pass(10);
    }
    assert_eq!(desk.shards[0].dedup_bytes(), 0, "then it goes");
}

#[test]
fn windows_without_room_are_read_one_at_a_time_and_all_come() {
    let limits = Limits { dedup_bytes: 0, ..Limits::default() };
    let mut desk = Desk::limited(1, limits);
    desk.join(1, 10, 1);
    for other in 20..25 {
        desk.join(other, other, 2);
    }
    for other in 20..25 {
        desk.text(1, 10, direct(10, other), 1000 + other, "x");
        load_channel(&mut desk, 50);
    }
    for answered in 0..5 {
        assert_eq!(desk.queries.len(), 1);
        if answered == 2 {
            desk.fail_read();
        } else {
            desk.answer(Answer::Window((1..=50).map(|seq| sent(seq, seq)).collect()));
        }
    }
    assert!(desk.queries.is_empty());
    let mut rows = Vec::new();
    while !desk.batches.is_empty() {
        rows.extend(desk.store_one().rows);
    }
    assert_eq!(rows.iter().filter(|row| matches!(row, Row::Message { .. })).count(), 4);
    assert_eq!(desk.seen(1).iter().filter(|word| word.contains("busy")).count(), 1);
}

#[test]
fn sends_that_waited_are_taken_in_order_past_those_that_are_refused() {
    let limits = Limits { frames_burst: 100_000, ..Limits::default() };
    let mut desk = Desk::limited(1, limits);
    desk.join(1, 10, 1);
    desk.join(2, 20, 2);
    let waiting = shard::limits::WAITING_MAX as u64;
    desk.text(1, 10, direct(10, 20), 1, "x");
    load_channel(&mut desk, 1);
    for id in 2..=waiting {
        desk.text(1, 10, direct(10, 20), id, if id % 100 == 7 { "other" } else { "x" });
    }
    desk.text(1, 10, direct(10, 20), waiting + 1, "one too many");
    assert_eq!(desk.seen(1), [format!("reject {} busy", waiting + 1)]);
    desk.answer(Answer::Window(vec![Sent { seq: Seq(1), ..sent(1, 7) }]));
    assert_eq!(desk.seen(1), ["reject 7 conflict"]);
    let rows: Vec<Row> = core::iter::from_fn(|| (!desk.batches.is_empty()).then(|| desk.store_one()))
        .flat_map(|batch| batch.rows)
        .collect();
    let ids: Vec<u64> = rows
        .iter()
        .filter_map(|row| if let Row::Message { frame, .. } = row { Some(frame.send_id().0) } else { None })
        .collect();
    assert_eq!(ids, (1..=waiting).filter(|id| *id != 7).collect::<Vec<u64>>());
}
