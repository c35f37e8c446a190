//! Scenarios of direct channels: inputs -> effects.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use desk::{Desk, user_answer};
use protocol::body::message::SendText;
use protocol::commit::{PresenceRow, Row};
use protocol::query::{Answer, Sent};
use protocol::{BayId, ChannelId, CloseCode, Code, Frame, InboxSeq, Kind, SendId, Seq, Stamp, UserId};
use shard::{ConnId, Limits};

fn direct(a: u64, b: u64) -> ChannelId {
    ChannelId::direct(UserId(a), UserId(b))
}

fn pair() -> Desk {
    let mut desk = Desk::new(1);
    desk.join(1, 10, 1);
    desk.join(2, 20, 2);
    desk
}

fn stamped(channel: ChannelId, seq: u64, sender: u64, id: u64, text: &str) -> Frame {
    let frame = protocol::body::encode(id, &SendText { channel: channel.0, text: text.into() });
    frame.stamp(Stamp { seq: Seq(seq), time_ms: 5, sender: UserId(sender) })
}

#[test]
fn an_ack_leaves_only_when_the_message_is_stored() {
    let mut desk = pair();
    desk.text(1, 10, direct(10, 20), 501, "hi");
    desk.answer_all_empty();
    assert_eq!(desk.batches.len(), 1);
    assert!(desk.seen(1).is_empty() && desk.seen(2).is_empty());
    let batch = desk.store_one();
    assert!(matches!(batch.rows.first(), Some(Row::Message { seq: Seq(1), .. })));
    assert!(matches!(batch.rows.last(), Some(Row::Fanout { number: 1, .. })));
    assert_eq!(desk.seen(1), ["ack 501 seq 1"]);
    assert_eq!(desk.seen(2), ["message 1 from 10"]);
    let batch = desk.store_one();
    let pointers = desk::pointers(&batch.rows);
    assert_eq!(pointers, 2, "one pointer a member");
    assert!(
        desk::marks(&batch.rows, BayId::of_channel(direct(10, 20))).contains(&1),
        "pointers and mark are one batch"
    );
}

#[test]
fn a_repeat_of_an_unstored_send_waits_on_the_same_ticket() {
    let mut desk = pair();
    let channel = direct(10, 20);
    desk.text(1, 10, channel, 501, "hi");
    desk.answer_all_empty();
    desk.text(1, 10, channel, 501, "hi");
    assert!(desk.seen(1).is_empty());
    let rows = desk.run();
    assert_eq!(desk.seen(1), ["ack 501 seq 1", "ack 501 seq 1"]);
    assert_eq!(rows.iter().filter(|row| matches!(row, Row::Message { .. })).count(), 1);
    desk.text(1, 10, channel, 501, "hi");
    assert_eq!(desk.seen(1), ["ack 501 seq 1"]);
    desk.text(1, 10, channel, 501, "other");
    assert_eq!(desk.seen(1), ["reject 501 conflict"]);
}

#[test]
fn a_repeat_after_a_cold_load_is_found_in_the_window() {
    let mut desk = pair();
    let channel = direct(10, 20);
    desk.text(1, 10, channel, 501, "hi");
    desk.answer(Answer::Channel {
        row: None,
        members: Vec::new(),
        head: Seq(4),
        time_ms: 9,
        rules: protocol::query::RuleRows::default(),
    });
    let known = stamped(channel, 3, 10, 501, "hi");
    let fingerprint = known.fingerprint();
    desk.answer(Answer::Window(vec![Sent {
        seq: Seq(3),
        time_ms: 5,
        sender: UserId(10),
        send_id: SendId(501),
        fingerprint,
    }]));
    assert!(desk.batches.is_empty());
    assert_eq!(desk.seen(1), ["ack 501 seq 3"]);
}

#[test]
fn nobody_sends_into_a_channel_of_others_or_to_nobody() {
    let mut desk = pair();
    desk.text(1, 10, direct(20, 30), 7, "x");
    assert_eq!(desk.seen(1), ["reject 7 forbidden"]);
    desk.text(1, 10, direct(10, 99), 8, "x");
    desk.answer(Answer::Channel {
        row: None,
        members: Vec::new(),
        head: Seq(0),
        time_ms: 0,
        rules: protocol::query::RuleRows::default(),
    });
    desk.answer(Answer::User {
        account: None,
        devices: Vec::new(),
        inbox_head: InboxSeq(0),
        presence: PresenceRow::default(),
        push: Default::default(),
    });
    assert_eq!(desk.seen(1), ["reject 8 no_such_user"]);
    desk.text(1, 10, direct(10, 20), 0, "x");
    assert_eq!(desk.seen(1), ["reject 0 limit"]);
    let stranger = Frame::build(Kind(0x0777), 1, 9, &[]);
    desk.frame(1, 10, stranger);
    assert_eq!(desk.seen(1), ["reject 9 unknown_kind"]);
}

#[test]
fn time_never_steps_back_within_a_channel() {
    let mut desk = pair();
    let channel = direct(10, 20);
    desk.text(1, 10, channel, 1, "a");
    desk.run();
    desk.wall_ms -= 60_000;
    desk.text(2, 20, channel, 2, "b");
    desk.run();
    let times: Vec<u64> =
        desk.take(2).iter().chain(&desk.take(1)).filter_map(Frame::read_stamp).map(|s| s.time_ms).collect();
    assert_eq!(times.len(), 2);
    assert!(times.iter().all(|time| *time == times[0]));
}

#[test]
fn a_page_reaches_the_tail_in_memory_and_goes_live_in_the_same_step() {
    let mut desk = Desk::new(1);
    let channel = direct(10, 20);
    desk.join(1, 10, 1);
    desk.hello(2, 20, 2, 3);
    assert!(desk.paused[&ConnId(2)], "what it sends waits until the user is loaded");
    desk.answer(user_answer(UserId(20), 5));
    assert!(!desk.paused[&ConnId(2)]);
    assert_eq!(desk.seen(2), ["welcome start 3 head 5"]);
    // While the page is on the way a message arrives that no page can bring yet.
    let (shard, ticket, query) = desk.queries.pop_front().unwrap();
    desk.text(1, 10, channel, 501, "live");
    desk.answer(Answer::Channel {
        row: None,
        members: Vec::new(),
        head: Seq(8),
        time_ms: 0,
        rules: protocol::query::RuleRows::default(),
    });
    desk.answer(Answer::Window(Vec::new()));
    desk.store_one();
    assert!(desk.seen(2).is_empty(), "behind: the page will bring it");
    desk.queries.push_front((shard, ticket, query));
    let frames = vec![stamped(channel, 7, 10, 1, "x"), stamped(channel, 8, 10, 2, "y")];
    desk.answer(Answer::Inbox { frames, through: InboxSeq(5) });
    assert_eq!(
        desk.seen(2),
        ["message 7 from 10", "message 8 from 10", "complete 3..5 head 5", "message 9 from 10"],
        "complete stops at what is durable"
    );
}

#[test]
fn complete_rides_on_heartbeats_and_never_passes_what_is_durable() {
    let mut desk = pair();
    desk.text(1, 10, direct(10, 20), 5, "x");
    desk.answer_all_empty();
    desk.store_one();
    desk.take(2);
    let beat = protocol::body::session::Heartbeat { time_ms: 1 };
    desk.send(2, 20, 77, &beat);
    assert_eq!(desk.seen(2), ["heartbeat 77"], "the pointer is not durable");
    desk.store_one();
    desk.send(2, 20, 78, &beat);
    assert_eq!(desk.seen(2), ["complete 0..1 head 1", "heartbeat 78"]);
}

#[test]
fn a_new_hello_of_a_device_ends_its_old_connection_first() {
    let mut desk = pair();
    desk.hello(3, 20, 2, 0);
    assert_eq!(desk.closed, [(ConnId(2), CloseCode::Replaced)]);
    desk.text(1, 10, direct(10, 20), 5, "x");
    desk.run();
    assert!(desk.seen(2).is_empty());
    assert_eq!(desk.seen(3), ["welcome start 0 head 0", "complete 0..0 head 0", "message 1 from 10"]);
}

#[test]
fn silence_expiry_and_stall_end_a_session() {
    let mut desk = pair();
    desk.pass(74_000);
    assert!(desk.closed.is_empty());
    desk.send(1, 10, 1, &protocol::body::session::Heartbeat { time_ms: 1 });
    desk.pass(2_000);
    assert_eq!(desk.closed, [(ConnId(2), CloseCode::HeartbeatTimeout)]);
    desk.turn(0, vec![shard::Input::Egress { conn: ConnId(1), queued: 10 }]);
    for _ in 0..7 {
        desk.pass(10_000);
        desk.send(1, 10, 1, &protocol::body::session::Heartbeat { time_ms: 1 });
    }
    assert_eq!(desk.closed.last(), Some(&(ConnId(1), CloseCode::SlowReader)));
    desk.join(3, 10, 1);
    for _ in 0..(3_600 / 60 + 1) {
        desk.send(3, 10, 1, &protocol::body::session::Heartbeat { time_ms: 1 });
        desk.pass(60_000);
    }
    assert_eq!(desk.closed.last(), Some(&(ConnId(3), CloseCode::Expired)));
}

#[test]
fn a_slow_reader_falls_behind_and_is_paged_later() {
    let limits = Limits { egress_bytes: 1024 * 1024, ..Limits::default() };
    let mut desk = Desk::limited(1, limits);
    desk.join(1, 10, 1);
    desk.join(2, 20, 2);
    let channel = direct(10, 20);
    desk.turn(0, vec![shard::Input::Egress { conn: ConnId(2), queued: 1024 * 1024 - 10 }]);
    desk.text(1, 10, channel, 1, "for a slow reader");
    desk.run();
    assert!(desk.seen(2).is_empty(), "its egress is full");
    assert_eq!(desk.seen(1), ["ack 1 seq 1"], "nobody else notices");
    desk.turn(0, vec![shard::Input::Egress { conn: ConnId(2), queued: 0 }]);
    let frame = stamped(channel, 1, 10, 1, "for a slow reader");
    desk.answer(Answer::Inbox { frames: vec![frame], through: InboxSeq(1) });
    assert_eq!(desk.seen(2), ["message 1 from 10", "complete 0..1 head 1"]);
}

#[test]
fn a_full_pipeline_pauses_senders_before_it_refuses_them() {
    let limits = Limits { frames_burst: 100_000, ..Limits::default() };
    let mut desk = Desk::limited(1, limits);
    desk.join(1, 10, 1);
    desk.join(2, 20, 2);
    let mut sent = 0;
    while desk.paused.get(&ConnId(1)) != Some(&true) {
        sent += 1;
        assert!(sent < 10_000, "never paused");
        desk.text(1, 10, direct(10, 20), sent, "x");
        desk.answer_all_empty();
    }
    assert!(desk.batches.len() <= shard::limits::BATCHES_IN_FLIGHT_MAX);
    let rows = desk.run();
    assert_eq!(desk.paused.get(&ConnId(1)), Some(&false));
    let stored = rows.iter().filter(|row| matches!(row, Row::Message { .. })).count();
    assert_eq!(stored as u64, sent, "nothing was refused");
    let acks = desk.seen(1);
    assert_eq!(acks.iter().filter(|word| word.starts_with("ack")).count() as u64, sent);
}

#[test]
fn a_full_disk_refuses_sends() {
    let mut desk = pair();
    desk.turn(0, vec![shard::Input::SpaceLow(true)]);
    desk.text(1, 10, direct(10, 20), 5, "x");
    assert_eq!(desk.seen(1), [format!("reject 5 {}", Code::StorageFull.word())]);
    desk.turn(0, vec![shard::Input::SpaceLow(false)]);
    desk.text(1, 10, direct(10, 20), 5, "x");
    desk.run();
    assert_eq!(desk.seen(1), ["ack 5 seq 1"]);
}

#[test]
fn drain_answers_what_is_in_flight_then_sends_everybody_away() {
    let mut desk = pair();
    desk.text(1, 10, direct(10, 20), 5, "x");
    desk.answer_all_empty();
    desk.turn(0, vec![shard::Input::Drain]);
    desk.pass(1_000);
    assert_eq!(desk.drained, 0, "a batch is in flight");
    desk.run();
    desk.pass(200);
    assert_eq!(desk.seen(1), ["ack 5 seq 1", "going_away 0"]);
    assert_eq!(desk.closed.len(), 2);
    assert_eq!(desk.drained, 1);
    desk.hello(9, 10, 1, 0);
    assert_eq!(desk.seen(9), ["going_away 0"]);
}

#[test]
fn a_read_that_fails_costs_who_asked_and_ends_nothing_else() {
    let mut desk = pair();
    desk.text(1, 10, direct(10, 20), 5, "x");
    desk.fail_read();
    assert_eq!(desk.seen(1), ["reject 5 busy"]);
    desk.pass(shard::limits::READ_PAUSE_MIN_MS);
    desk.text(1, 10, direct(10, 20), 5, "x");
    desk.run();
    assert_eq!(desk.seen(1), ["ack 5 seq 1"]);
}

#[test]
fn who_sends_only_what_is_refused_is_closed_and_one_ack_forgives() {
    let limits = Limits { frames_burst: 100_000, ..Limits::default() };
    let mut desk = Desk::limited(1, limits);
    desk.join(1, 10, 1);
    desk.join(2, 20, 2);
    let group = ChannelId::group(UserId(99), SendId(1));
    let refused = |desk: &mut Desk, count: u64| {
        for id in 1..=count {
            desk.text(1, 10, group, id, "not a member");
            desk.answer_all_empty();
        }
    };
    refused(&mut desk, 1023);
    desk.text(1, 10, direct(10, 20), 5, "an honest one");
    desk.run();
    refused(&mut desk, 1023);
    assert!(desk.closed.is_empty());
    refused(&mut desk, 1);
    assert_eq!(desk.closed, [(ConnId(1), CloseCode::TooManyFaults)]);
}
