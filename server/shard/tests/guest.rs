//! Scenarios of guests: requests without a connection. inputs -> effects.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use desk::{Desk, user_answer};
use protocol::body::about::Recalled;
use protocol::body::message::SendText;
use protocol::body::session::Heartbeat;
use protocol::body::sync::{ChannelItem, Channels, GetChannels, GetHistory, GetMembers};
use protocol::body::{self};
use protocol::commit::{AccountRow, PresenceRow, Row};
use protocol::hello::Hello;
use protocol::hop::Hop;
use protocol::query::{Answer, Delivery, JoinedItem};
use protocol::{ChannelId, CloseCode, Cursor, DeviceId, InboxSeq, Seq, ShardId, Stamp, UserId};
use shard::limits::{GUEST_MS, GUESTS_MAX, USER_GUESTS_MAX};
use shard::{Command, GuestId, Input, Limits};

fn direct(a: u64, b: u64) -> ChannelId {
    ChannelId::direct(UserId(a), UserId(b))
}

fn text(channel: ChannelId, text: &str) -> SendText {
    SendText { channel: channel.0, text: text.into() }
}

fn newest(channel: ChannelId) -> GetHistory {
    GetHistory { channel: channel.0, after: 0, before: (1 << 53) - 1, limit: 50, newest: true }
}

fn pair() -> Desk {
    let mut desk = Desk::new(1);
    desk.join(1, 10, 1);
    desk.join(2, 20, 2);
    desk
}

/// Nothing of any guest is left.
fn is_over(desk: &Desk) {
    for shard in &desk.shards {
        let counters = shard.counters();
        assert_eq!(counters.guests_now, 0);
        let held = shard::Holds::ALL.iter().zip(counters.ledger_now);
        let held: Vec<_> = held.filter(|(of, bytes)| **of != shard::Holds::Windows && *bytes > 0).collect();
        assert!(held.is_empty(), "{held:?}");
    }
}

#[test]
fn a_guest_sends_and_every_live_device_of_both_gets_the_message() {
    for shards in [1, 4] {
        let mut desk = Desk::new(shards);
        for (conn, user, device) in [(1, 10, 1), (2, 10, 2), (3, 20, 3)] {
            desk.join(conn, user, device);
        }
        // The device of the first connection asks over HTTP as well.
        desk.guest(7, 10, 1, 501, &text(direct(10, 20), "hi"));
        desk.answer_all_empty();
        assert!(desk.answer_of(7).is_empty(), "an ack leaves only when the message is stored");
        desk.run();
        assert_eq!(desk.answer_of(7), ["ack 501 seq 1"]);
        for conn in [1, 2, 3] {
            assert_eq!(desk.seen(conn), ["message 1 from 10"], "{shards} shards");
        }
        assert!(desk.closed.is_empty() && desk.dismissed.is_empty(), "it replaces no connection");
        desk.run();
        is_over(&desk);
    }
}

#[test]
fn a_device_that_connects_ends_no_guest_and_a_guest_no_device() {
    let mut desk = pair();
    desk.guest(7, 10, 1, 501, &text(direct(10, 20), "hi"));
    desk.hello(9, 10, 1, 0);
    assert_eq!(desk.closed, [(shard::ConnId(1), CloseCode::Replaced)]);
    desk.run();
    assert_eq!(desk.answer_of(7), ["ack 501 seq 1"]);
    desk.text(9, 10, direct(10, 20), 502, "there");
    desk.run();
    assert!(desk.seen(9).contains(&"ack 502 seq 2".to_owned()));
}

#[test]
fn a_repeat_is_answered_with_the_first_and_other_content_is_refused() {
    let mut desk = pair();
    let channel = direct(10, 20);
    desk.guest(1, 10, 1, 501, &text(channel, "hi"));
    desk.answer_all_empty();
    // Two more while the first is not stored: one repeats it, one does not.
    desk.guest(2, 10, 1, 501, &text(channel, "hi"));
    desk.guest(3, 10, 1, 501, &text(channel, "other"));
    assert_eq!(desk.answer_of(3), ["reject 501 conflict"]);
    let rows = desk.run();
    assert_eq!(rows.iter().filter(|row| matches!(row, Row::Message { .. })).count(), 1);
    assert_eq!([desk.answer_of(1), desk.answer_of(2)], [["ack 501 seq 1"], ["ack 501 seq 1"]]);
    // A frame of the device's connection under the same key is the same send.
    desk.text(1, 10, channel, 501, "hi");
    assert!(desk.seen(1).contains(&"ack 501 seq 1".to_owned()));
    desk.guest(4, 10, 1, 501, &text(channel, "hi"));
    assert_eq!(desk.answer_of(4), ["ack 501 seq 1"]);
    desk.run();
    is_over(&desk);
}

#[test]
fn a_delivery_that_was_dropped_and_read_again_answers_the_guest() {
    read_again(|stored| stored);
}

/// What the log brings then is what stands in the message's place: of what it said nobody knows any more.
#[test]
fn so_does_one_that_was_recalled_meanwhile() {
    read_again(|stored| {
        let (channel, stamp) = (stored.channel.0, stored.frame.read_stamp().unwrap());
        let (target, by, user) = (stored.seq.0, 2, stamp.sender.0);
        let recalled = Recalled { channel, target, by, user, time_ms: stamp.time_ms };
        Delivery { frame: recalled.replaces(&stored.frame).unwrap(), ..stored }
    });
}

fn read_again(becomes: impl Fn(Delivery) -> Delivery) {
    let mut desk = Desk::new(2);
    // The channel's home is that of the smaller user, and the guest's user is at home elsewhere.
    let home = |user: u64| desk.placement.user_home(UserId(user));
    let small = (10..).find(|user| home(*user) == ShardId(0)).unwrap();
    let large = (small + 1..).find(|user| home(*user) == ShardId(1)).unwrap();
    desk.join(1, small, small);
    desk.join(2, large, large);
    desk.guest(7, large, large, 501, &text(direct(small, large), "hi"));
    desk.answer_all_empty();
    desk.rings_open = false;
    desk.store_one();
    // The hop that would have brought it is lost; what follows shows the gap.
    let lost = desk.shards[0].poll_hop(ShardId(1)).expect("a delivery");
    let Hop::Deliver { mut spans } = lost else { panic!("{lost:?}") };
    let stored = spans[0].deliveries[0].clone();
    let through = spans[0].through;
    spans[0].after = through;
    spans[0].deliveries.clear();
    spans[0].origins.clear();
    desk.turn(1, vec![Input::Hop { from: ShardId(0), hop: Hop::Deliver { spans } }]);
    assert!(desk.answer_of(7).is_empty());
    desk.answer(Answer::Replay { deliveries: vec![(through, becomes(stored))], through });
    assert_eq!(desk.answer_of(7), ["ack 501 seq 1"]);
}

#[test]
fn a_guest_whose_user_is_not_in_memory_waits_for_it() {
    let mut desk = Desk::new(1);
    desk.guest(7, 10, 1, 501, &text(direct(10, 20), "hi"));
    desk.answer(user_answer(UserId(10), 0));
    desk.run();
    assert_eq!(desk.answer_of(7), ["ack 501 seq 1"]);
    desk.guest(8, 30, 1, 502, &text(direct(30, 20), "hi"));
    desk.fail_read();
    assert_eq!(desk.answer_of(8), ["reject 502 busy"]);
    desk.run();
    is_over(&desk);
}

#[test]
fn pages_are_those_that_a_session_gets() {
    let mut desk = pair();
    let channel = direct(10, 20);
    desk.text(2, 20, channel, 1, "a");
    desk.run();
    desk.guest(7, 10, 1, 9, &newest(channel));
    let stored = body::encode(1, &text(channel, "a"));
    let stamp = Stamp { seq: Seq(1), time_ms: desk.wall_ms, sender: UserId(20) };
    desk.answer(Answer::History(vec![stored.stamp(stamp)]));
    assert_eq!(desk.answer_of(7), ["history_page 9", "message 1 from 20"]);
    desk.guest(8, 10, 1, 9, &GetMembers { channel: channel.0, after: 0, limit: 10 });
    assert_eq!(desk.answer_of(8), ["members 9"]);
    desk.guest(9, 10, 1, 9, &GetChannels { after: 0, limit: 10 });
    let name = String::new();
    let (joined, head, read) = (Seq(1), Seq(1), Seq(0));
    let item = JoinedItem { channel, joined, head, read, unread: 1, left: None, name };
    desk.answer(Answer::Joined { items: vec![item], more: false });
    let answer = desk.answered.remove(&GuestId(9)).unwrap();
    let Channels { items, more } = body::read(&answer[0]).unwrap();
    let expected =
        ChannelItem { channel: channel.0, head: 1, read: 0, unread: 1, member: true, name: String::new() };
    assert_eq!((items, more), (vec![expected], false));
    desk.run();
    is_over(&desk);
}

#[test]
fn a_foreign_channel_is_as_one_that_does_not_exist() {
    let mut desk = pair();
    desk.text(2, 20, direct(20, 30), 1, "secret");
    desk.run();
    for (guest, channel) in [(1, direct(20, 30)), (2, direct(77, 78)), (3, ChannelId(5))] {
        desk.guest(guest, 10, 1, 9, &newest(channel));
        desk.answer_all_empty();
        assert_eq!(desk.answer_of(guest), ["reject 9 forbidden"], "{channel:?}");
        desk.guest(guest, 10, 1, 9, &text(channel, "x"));
        desk.answer_all_empty();
        assert_eq!(desk.answer_of(guest), ["reject 9 forbidden"], "{channel:?}");
    }
    is_over(&desk);
}

#[test]
fn a_token_that_no_longer_counts_asks_for_nothing() {
    let mut desk = pair();
    let hello = |device, expires_ms| Hello {
        user: UserId(10),
        device: DeviceId(device),
        cursor: Cursor::default(),
        id: 9,
        expires_ms,
        issued_ms: 0,
    };
    let frame = body::encode(9, &newest(direct(10, 20)));
    let now = desk.wall_ms;
    for (guest, hello, refused) in
        [(1, hello(77, now + 1), "reject 9 unauthenticated"), (2, hello(1, now), "reject 9 expired")]
    {
        desk.turn(0, vec![Input::Guest { guest: GuestId(guest), hello, frame: frame.clone() }]);
        assert_eq!(desk.answer_of(guest), [refused]);
    }
    is_over(&desk);
}

#[test]
fn a_device_that_is_removed_takes_its_guests_along() {
    let mut desk = pair();
    desk.guest(7, 10, 1, 501, &text(direct(10, 20), "hi"));
    desk.guest(8, 10, 3, 502, &text(direct(10, 20), "ho"));
    assert_eq!(desk.command(Command::RemoveDevice { user: UserId(10), device: DeviceId(1) }), Ok(()));
    assert_eq!(desk.answer_of(7), ["reject 0 unauthenticated"]);
    assert_eq!(desk.answer_of(8), ["ack 502 seq 2"], "another device's goes on");
    desk.run();
    is_over(&desk);
}

#[test]
fn only_what_has_an_answer_may_be_asked() {
    let mut desk = pair();
    desk.guest(7, 10, 1, 9, &Heartbeat { time_ms: 1 });
    assert_eq!(desk.answer_of(7), ["reject 9 unknown_kind"]);
    is_over(&desk);
}

#[test]
fn a_guest_is_told_when_its_time_is_over() {
    let mut desk = pair();
    desk.guest(7, 10, 1, 501, &text(direct(10, 20), "hi"));
    desk.answer_all_empty();
    desk.pass(GUEST_MS - 1);
    assert!(desk.answer_of(7).is_empty());
    desk.pass(1001);
    assert_eq!(desk.answer_of(7), ["reject 501 busy"]);
    assert_eq!(desk.shards[0].counters().guests_now, 0);
    // It is stored all the same, and a repeat says so.
    desk.run();
    desk.guest(8, 10, 1, 501, &text(direct(10, 20), "hi"));
    assert_eq!(desk.answer_of(8), ["ack 501 seq 1"]);
    is_over(&desk);
}

#[test]
fn whoever_hangs_up_leaves_nothing_behind() {
    let mut desk = pair();
    desk.guest(7, 10, 1, 9, &newest(direct(10, 20)));
    desk.guest(8, 10, 1, 501, &text(direct(10, 20), "hi"));
    desk.guest(9, 40, 1, 502, &text(direct(10, 40), "hi"));
    for guest in [7, 8, 9] {
        desk.turn(0, vec![Input::GuestGone { guest: GuestId(guest) }]);
    }
    desk.run();
    assert!(desk.answered.is_empty(), "{:?}", desk.answered);
    is_over(&desk);
}

#[test]
fn one_user_has_so_many_and_a_shard_so_many() {
    let mut desk = pair();
    let most = USER_GUESTS_MAX as u64;
    for guest in 0..=most {
        desk.guest(guest, 10, 1, guest + 1, &text(direct(10, 20), "hi"));
    }
    assert_eq!(desk.answer_of(most), [format!("reject {} busy", most + 1)]);
    assert_eq!(desk.shards[0].counters().guests_now, most);
    // Others have room until the shard is full; their users are being loaded.
    let mut others = 0;
    while desk.shards[0].counters().guests_now < GUESTS_MAX as u64 {
        others += 1;
        desk.guest(1000 + others, 1000 + others, 1, 1, &newest(direct(10, 20)));
    }
    desk.guest(1, 20, 2, 9, &newest(direct(10, 20)));
    assert_eq!(desk.answer_of(1), ["reject 9 busy"]);
    desk.run();
    desk.pass(0);
    is_over(&desk);
}

#[test]
fn a_guest_pays_what_its_user_has() {
    let limits = Limits { frames_per_s: 1, frames_burst: 2, user_frames_burst: Some(4), ..Limits::default() };
    let mut desk = Desk::limited(1, limits);
    desk.join(1, 10, 1);
    desk.join(2, 20, 2);
    let mut refused = 0;
    for guest in 0..6 {
        desk.guest(guest, 10, 1, guest + 1, &text(direct(10, 20), "hi"));
        desk.run();
        refused += u64::from(desk.answer_of(guest) == [format!("reject {} rate", guest + 1)]);
    }
    assert_eq!(refused, 2, "four tokens are four sends, however they come");
    is_over(&desk);
}

#[test]
fn a_full_disk_refuses_what_writes_and_a_drain_everything() {
    let mut desk = pair();
    desk.turn(0, vec![Input::SpaceLow(true)]);
    desk.guest(1, 10, 1, 501, &text(direct(10, 20), "hi"));
    assert_eq!(desk.answer_of(1), ["reject 501 storage_full"]);
    desk.turn(0, vec![Input::SpaceLow(false)]);
    desk.guest(2, 10, 1, 502, &text(direct(10, 20), "hi"));
    desk.turn(0, vec![Input::Drain]);
    desk.guest(3, 10, 1, 503, &newest(direct(10, 20)));
    assert_eq!(desk.answer_of(3), ["going_away 0"]);
    desk.run();
    assert_eq!(desk.answer_of(2), ["ack 502 seq 1"], "what was let in is answered");
    is_over(&desk);
}

/// A user with guests stays in memory, and leaves it afterwards.
#[test]
fn a_guest_keeps_its_user_in_memory() {
    let limits = Limits { idle_users: 0, idle_channels: 0, ..Limits::default() };
    let mut desk = Desk::limited(1, limits);
    desk.guest(7, 10, 1, 501, &text(direct(10, 20), "hi"));
    desk.answer(user_answer(UserId(10), 0));
    for _ in 0..4 {
        desk.pass(100);
    }
    desk.run();
    assert_eq!(desk.answer_of(7), ["ack 501 seq 1"]);
    for _ in 0..10 {
        desk.pass(1000);
        desk.run();
    }
    assert_eq!(desk.shards[0].counters().users_now, 0);
    is_over(&desk);
}

#[test]
fn an_account_that_the_core_does_not_know_is_said_so() {
    let mut desk = Desk::new(1);
    desk.guest(7, 10, 1, 9, &newest(direct(10, 20)));
    desk.answer(Answer::User {
        account: None,
        devices: Vec::new(),
        inbox_head: InboxSeq(0),
        presence: PresenceRow::default(),
        push: Default::default(),
        followed: Box::default(),
    });
    assert_eq!(desk.answer_of(7), ["reject 9 no_such_user"]);
    let account = Some(AccountRow { created_ms: 1, ..AccountRow::default() });
    desk.guest(8, 30, 1, 9, &newest(direct(10, 30)));
    desk.answer(Answer::User {
        account,
        devices: Vec::new(),
        inbox_head: InboxSeq(0),
        presence: PresenceRow::default(),
        push: Default::default(),
        followed: Box::default(),
    });
    assert_eq!(desk.answer_of(8), ["reject 9 unauthenticated"]);
    is_over(&desk);
}
