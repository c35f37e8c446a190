//! What waits is counted where it waits, and over a bound whoever asks for more is refused before anything is done.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use desk::Desk;
use protocol::body::session::Heartbeat;
use protocol::body::sync::{GetChannels, GetHistory};
use protocol::{ChannelId, ShardId, UserId};
use shard::limits::SHARD_BYTES_MAX;
use shard::{ConnId, Holds, Input, Limits};

fn direct(a: u64, b: u64) -> ChannelId {
    ChannelId::direct(UserId(a), UserId(b))
}

fn held(desk: &Desk, of: Holds) -> u64 {
    let place = Holds::ALL.iter().position(|known| *known == of).unwrap();
    desk.shards.iter().map(|shard| shard.ledger()[place]).sum()
}

/// All that waits; what channels remember does not.
fn all(desk: &Desk) -> u64 {
    Holds::ALL.iter().filter(|of| **of != Holds::Windows).map(|of| held(desk, *of)).sum()
}

#[test]
fn the_sum_of_all_bounds_is_the_bound_of_a_shard() {
    assert_eq!(Holds::ALL.iter().map(|of| of.bound()).sum::<usize>(), SHARD_BYTES_MAX);
    let words: Vec<&str> = Holds::ALL.iter().map(|of| of.word()).collect();
    assert_eq!(
        words,
        ["egress", "pages", "waiting", "held", "lanes", "unstored", "inbound", "tails", "windows"]
    );
}

#[test]
fn a_send_is_counted_on_all_its_way_and_nothing_is_left() {
    let mut desk = Desk::limited(1, Limits::default());
    desk.join(1, 10, 1);
    desk.join(2, 20, 2);
    assert_eq!(all(&desk), 0);
    desk.text(1, 10, direct(10, 20), 1, &"x".repeat(1000));
    assert!(held(&desk, Holds::Waiting) > 1000, "it waits for its channel");
    desk.answer_all_empty();
    assert_eq!(held(&desk, Holds::Waiting), 0);
    assert!(held(&desk, Holds::Unstored) > 1000, "it waits for the disk");
    desk.store_one();
    assert_eq!(held(&desk, Holds::Unstored), 0);
    assert!(held(&desk, Holds::Tails) > 0, "its pointers wait for the disk");
    desk.run();
    assert_eq!(all(&desk), 0);
    desk.turn(0, vec![Input::Egress { conn: ConnId(2), queued: 700 }]);
    assert_eq!(held(&desk, Holds::Egress), 700);
    desk.turn(0, vec![Input::Closed { conn: ConnId(2) }]);
    assert_eq!(held(&desk, Holds::Egress), 0, "gone with its session");
}

#[test]
fn a_refused_send_and_a_session_that_ends_give_back_what_they_held() {
    let mut desk = Desk::limited(1, Limits::default());
    desk.join(1, 10, 1);
    desk.text(1, 10, direct(10, 20), 1, "x");
    desk.fail_read();
    assert_eq!(all(&desk), 0);
    // The read that failed rests for a while.
    desk.pass(1000);
    let get = GetHistory { channel: direct(10, 20).0, after: 0, before: 9, limit: 200, newest: true };
    desk.send(1, 10, 1, &get);
    desk.send(1, 10, 2, &GetChannels { after: 0, limit: 500 });
    assert!(held(&desk, Holds::Pages) > 200_000 && held(&desk, Holds::Waiting) > 0);
    desk.turn(0, vec![Input::Closed { conn: ConnId(1) }]);
    assert_eq!(held(&desk, Holds::Pages), 0);
    desk.run();
    assert_eq!(all(&desk), 0);
}

#[test]
fn hops_that_wait_for_a_ring_are_counted_by_their_frames() {
    let mut desk = Desk::limited(2, Limits::default());
    let near = 10;
    let far = (11..100).find(|user| desk.home(*user) != desk.home(near)).unwrap();
    desk.join(1, near, 1);
    desk.join(2, far, 2);
    desk.rings_open = false;
    let sender = if near < far { far } else { near };
    let conn = if sender == near { 1 } else { 2 };
    desk.text(conn, sender, direct(near, far), 1, &"x".repeat(5000));
    assert!(held(&desk, Holds::Lanes) > 5000);
    assert!(desk.shards[desk.home(sender)].has_hops(ShardId(1 - desk.home(sender) as u16)));
    desk.rings_open = true;
    desk.settle();
    assert_eq!(held(&desk, Holds::Lanes), 0);
    desk.run();
    assert_eq!(all(&desk), 0);
}

#[test]
fn over_the_bound_new_work_is_refused_and_the_rest_goes_on() {
    let limits = Limits { waiting_bytes: 500_000, ..Limits::default() };
    let mut desk = Desk::limited(1, limits);
    desk.join(1, 10, 1);
    desk.join(2, 20, 2);
    // A page of another is under way.
    desk.send(2, 20, 1, &GetChannels { after: 0, limit: 500 });
    let asked = desk.queries.len();
    assert!(held(&desk, Holds::Pages) < 250_000);
    desk.send(2, 20, 2, &GetChannels { after: 0, limit: 500 });
    assert_eq!(desk.queries.len(), asked + 1);
    desk.text(1, 10, direct(10, 20), 1, "x");
    desk.text(1, 10, direct(10, 20), 2, "y");
    desk.send(1, 10, 3, &GetChannels { after: 0, limit: 5 });
    desk.send(1, 10, 4, &Heartbeat { time_ms: 1 });
    assert_eq!(desk.seen(1), ["reject 1 busy", "reject 2 rate", "reject 3 busy", "heartbeat 4"]);
    assert!(desk.queries.len() == asked + 1 && desk.batches.is_empty(), "nothing was done for them");
    desk.run();
    desk.text(1, 10, direct(10, 20), 1, "x");
    desk.text(1, 10, direct(10, 20), 2, "y");
    desk.run();
    assert_eq!(desk.seen(1)[..2], ["ack 1 seq 1", "ack 2 seq 2"]);
}

#[test]
fn senders_do_not_pay_for_those_who_do_not_read() {
    let limits = Limits { waiting_bytes: 1_000_000, ..Limits::default() };
    // Much less than it may have otherwise, and too much for a page.
    let room = limits.egress_bytes / 4 + 1;
    assert!(room > limits.egress_bytes / shard::limits::CROWDED_PART);
    let mut desk = Desk::limited(1, limits);
    desk.join(1, 10, 1);
    desk.join(2, 20, 2);
    desk.join(3, 30, 3);
    desk.turn(0, vec![Input::Egress { conn: ConnId(2), queued: 600_000 }]);
    // Sends go on, and who reads is sent everything.
    desk.text(1, 10, direct(10, 30), 1, "x");
    desk.text(1, 10, direct(10, 20), 2, "y");
    desk.run();
    assert_eq!(desk.seen(1)[..2], ["ack 1 seq 1", "ack 2 seq 1"]);
    assert_eq!(desk.seen(3)[0], "message 1 from 10");
    // Who does not has less room now: it is behind at once.
    assert!(desk.seen(2).is_empty());
    desk.turn(0, vec![Input::Egress { conn: ConnId(3), queued: room }]);
    desk.text(1, 10, direct(10, 30), 3, "z");
    desk.run();
    assert!(desk.seen(3).is_empty());
    assert_eq!(desk.shards[0].counters().fell_behind, 2);
}
