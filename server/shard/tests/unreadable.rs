//! What cannot be read: for ever, for a while, and for good.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod desk;

use desk::{Desk, user_answer};
use protocol::commit::{PresenceRow, Row};
use protocol::query::{Answer, BayState, Delivery, Query, ReadFault};
use protocol::{BayId, ChannelId, CloseCode, InboxSeq, Seq, UserId};
use shard::limits::{PAGES_ASKED_MAX, READ_PAUSE_MAX_MS, READ_PAUSE_MIN_MS};
use shard::{ConnId, Fault, Input, Limits};

/// Fails the oldest query for good.
fn damage(desk: &mut Desk) -> ReadFault {
    let fault = ReadFault::Corrupt {
        bay: Some(BayId(0)),
        family: "member".into(),
        key: "0102".into(),
        what: "the row cannot be read".into(),
    };
    let (shard, ticket, _) = desk.queries.pop_front().unwrap();
    desk.turn(shard, vec![Input::Read { ticket, answer: Err(fault.clone()) }]);
    fault
}

/// At boot the log holds a message for user 2, who is asked for.
fn behind_a_cold_recipient() -> Desk {
    let mut desk = Desk::with(1, Limits::default(), &logged);
    let channel = ChannelId::direct(UserId(1), UserId(2));
    let text = protocol::body::message::SendText { channel: channel.0, text: "hello".into() };
    let stamp = protocol::Stamp { seq: Seq(1), time_ms: 5, sender: UserId(1) };
    let frame = protocol::body::encode(9, &text).stamp(stamp);
    let delivery = Delivery { channel, seq: Seq(1), frame, recipients: [UserId(2)].into(), grown: None };
    desk.answer(Answer::Replay { deliveries: vec![(1, delivery)], through: 1 });
    desk
}

/// A log of one row that is not applied.
fn logged(bay: BayId) -> BayState {
    let rows = u64::from(bay == BayId(0));
    BayState { fanout_head: rows, fanout_tail: rows, ..desk::empty(bay) }
}

#[test]
fn a_damaged_row_ends_the_process_with_its_name() {
    let mut desk = Desk::new(1);
    desk.hello(1, 1, 1, 0);
    let fault = damage(&mut desk);
    assert_eq!(desk.faults, vec![Fault::Unreadable(fault)]);
    assert!(desk.queries.is_empty(), "nothing is asked again");
}

#[test]
fn a_recipient_that_cannot_be_read_is_asked_for_again_after_pauses_that_double() {
    let mut desk = behind_a_cold_recipient();
    let mut pause = READ_PAUSE_MIN_MS;
    for _ in 0..10 {
        desk.fail_read();
        assert!(desk.queries.is_empty(), "not in the same step");
        desk.pass(pause - 1);
        assert!(desk.queries.is_empty(), "not before its pause is over");
        desk.pass(1);
        assert!(matches!(desk.queries.front(), Some((_, _, Query::User(UserId(2))))), "after {pause} ms");
        assert_eq!(desk.queries.len(), 1);
        pause = (pause * 2).min(READ_PAUSE_MAX_MS);
    }
    assert_eq!(desk.shards[0].counters().reads_failed, 10);
    assert_eq!(desk.ready, 0);
    desk.answer(user_answer(UserId(2), 0));
    let rows = desk.run();
    assert!(rows.iter().any(|row| matches!(row, Row::Run { user: UserId(2), .. })), "{rows:?}");
    assert_eq!((desk.shards[0].counters().reads_resting_now, desk.ready), (0, 1));
}

#[test]
fn others_are_served_while_one_user_cannot_be_read() {
    let mut desk = Desk::new(1);
    desk.hello(1, 1, 1, 0);
    desk.fail_read();
    assert_eq!(desk.seen(1), ["reject 99 busy"]);
    assert_eq!(desk.closed, vec![(ConnId(1), CloseCode::Internal)]);
    // Who comes while it rests is refused without a read.
    desk.hello(2, 1, 1, 0);
    assert!(desk.queries.is_empty());
    assert_eq!(desk.seen(2), ["reject 99 busy"]);
    desk.join(3, 3, 1);
    desk.text(3, 3, ChannelId::direct(UserId(3), UserId(4)), 5, "hello");
    desk.run();
    assert!(desk.seen(3).contains(&"ack 5 seq 1".to_owned()));
    // Nobody needs it, so nobody asks by himself.
    desk.pass(READ_PAUSE_MAX_MS);
    assert!(desk.queries.is_empty());
    desk.hello(5, 1, 1, 0);
    assert_eq!(desk.queries.len(), 1, "the next one tries again");
}

#[test]
fn a_log_that_cannot_be_read_is_asked_for_again_and_then_the_shard_is_ready() {
    let mut desk = Desk::with(1, Limits::default(), &logged);
    let (mut pause, mut failed) = (READ_PAUSE_MIN_MS, 0);
    for _ in 0..5 {
        assert!(matches!(desk.queries.front(), Some((_, _, Query::Replay { .. }))));
        desk.fail_read();
        assert!(desk.queries.is_empty(), "not in the same turn");
        desk.pass(pause - 1);
        assert!(desk.queries.is_empty());
        let resting = desk.shards[0].resting().unwrap();
        failed += 1;
        assert_eq!((resting.failed, resting.again_ms), (failed, 1));
        assert!(resting.what.contains("bay 0") && resting.why == "store 0: Input/output error", "{resting}");
        desk.pass(1);
        pause *= 2;
    }
    assert_eq!(desk.ready, 0);
    desk.run_replay(1);
    assert_eq!(desk.shards[0].resting(), None, "it was read");
    assert_eq!(desk.ready, 1);
}

#[test]
fn a_page_of_an_inbox_that_cannot_be_read_is_asked_for_again_and_the_session_stays() {
    let mut desk = Desk::new(1);
    desk.hello(1, 1, 1, 0);
    desk.answer(user_answer(UserId(1), 3));
    assert!(matches!(desk.queries.front(), Some((_, _, Query::Inbox { .. }))));
    desk.fail_read();
    assert!(desk.queries.is_empty());
    assert!(desk.closed.is_empty(), "the session waits");
    desk.pass(READ_PAUSE_MIN_MS);
    desk.answer(Answer::Inbox { frames: Vec::new(), through: InboxSeq(3) });
    assert!(desk.seen(1).contains(&"complete 0..3 head 3".to_owned()));
}

#[test]
fn pages_are_bounded_and_wait_for_each_other() {
    let mut desk = Desk::new(1);
    let over = PAGES_ASKED_MAX + 3;
    for user in 1..=over as u64 {
        desk.hello(user, user, 1, 0);
        let (shard, ticket, _) = desk.queries.pop_back().unwrap();
        desk.turn(shard, vec![Input::Read { ticket, answer: Ok(user_answer(UserId(user), 1)) }]);
    }
    let pages = desk.queries.iter().filter(|(_, _, query)| matches!(query, Query::Inbox { .. })).count();
    assert_eq!(pages, PAGES_ASKED_MAX);
    // A request is refused before anything is asked; an inbox waits its turn.
    desk.send(1, 1, 7, &protocol::body::sync::GetChannels { after: ChannelId(0).0, limit: 10 });
    assert!(desk.seen(1).contains(&"reject 7 busy".to_owned()));
    assert_eq!(desk.queries.len(), PAGES_ASKED_MAX);
    for _ in 0..over {
        let (_, _, query) = desk.queries.front().unwrap();
        assert!(matches!(query, Query::Inbox { .. }));
        desk.answer(Answer::Inbox { frames: Vec::new(), through: InboxSeq(1) });
    }
    assert!(desk.queries.is_empty(), "every session had its page");
}

#[test]
fn while_the_disk_is_nearly_full_marks_and_accounts_are_refused_and_cursors_are_not_written() {
    use protocol::body::sync::{CursorAck, MarkRead};
    use protocol::commit::AccountRow;
    use shard::{Command, CommandError, Ticket};
    let mut desk = Desk::new(1);
    desk.join(1, 1, 1);
    desk.turn(0, vec![Input::SpaceLow(true)]);
    desk.text(1, 1, ChannelId::direct(UserId(1), UserId(2)), 5, "hello");
    desk.send(1, 1, 6, &MarkRead { channel: ChannelId::direct(UserId(1), UserId(2)).0, seq: 1 });
    assert_eq!(desk.seen(1), ["reject 5 storage_full", "reject 6 storage_full"]);
    desk.wall_ms += 3_600_000;
    desk.send(1, 1, 0, &CursorAck { generation: desk::GENERATION, cursor: 0 });
    let command = Command::CreateAccount {
        user: UserId(9),
        row: AccountRow { created_ms: 1, ..AccountRow::default() },
    };
    desk.turn(0, vec![Input::Control { ticket: Ticket(1), command }]);
    desk.answer(Answer::User {
        account: None,
        devices: Vec::new(),
        inbox_head: InboxSeq(0),
        presence: PresenceRow::default(),
        push: Default::default(),
        followed: Box::default(),
    });
    assert_eq!(desk.replies, vec![(Ticket(1), Err(CommandError::StorageFull))]);
    assert!(desk.batches.is_empty(), "nothing is written");
    desk.turn(0, vec![Input::SpaceLow(false)]);
    desk.text(1, 1, ChannelId::direct(UserId(1), UserId(2)), 5, "hello");
    desk.run();
    assert!(desk.seen(1).contains(&"ack 5 seq 1".to_owned()));
}

#[test]
#[should_panic(expected = "bays that are not its own")]
fn a_shard_with_another_shards_bay_does_not_begin() {
    let placement = protocol::Placement::new(1).unwrap();
    // All are this shard's, but not in order.
    let mut own: Vec<BayState> = BayId::all().map(desk::empty).collect();
    own.swap(0, 1);
    let shard = protocol::ShardId(0);
    let fanout_heads = vec![0; own.len()];
    drop(shard::Shard::new(shard::Config {
        shard,
        placement,
        limits: Limits::default(),
        own,
        fanout_heads,
        seed: 1,
    }));
}
