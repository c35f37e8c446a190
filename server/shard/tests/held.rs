//! A connection held for another home that takes nothing: it costs its budget and holds up nobody.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use desk::Desk;
use protocol::hello::Hello;
use protocol::{ChannelId, Cursor, DeviceId, Generation, InboxSeq, ShardId, UserId};
use shard::{ConnId, Input, Limits};

const MESSAGES: u64 = 600;
/// The connections of the test, by who is behind them.
const SENDER: u64 = 1;
const STALLED: u64 = 2;
const OTHER: u64 = 3;

/// Bytes handed to a connection.
fn handed(desk: &Desk, conn: u64) -> usize {
    desk.sent.get(&ConnId(conn)).map_or(0, |frames| frames.iter().map(|frame| frame.bytes().len()).sum())
}

#[test]
fn a_held_connection_that_takes_nothing_costs_its_budget_and_holds_up_nobody() {
    let limits = Limits { frames_burst: 1_000_000, stalled_ms: 600_000, ..Limits::default() };
    let budget = limits.egress_bytes;
    let mut desk = Desk::limited(2, limits);
    let sender = 10;
    let at = |desk: &Desk, home: usize| (11..100).find(|user| desk.home(*user) == home).unwrap();
    let home = desk.home(sender);
    let holder = 1 - home;
    // The stalled one lives with the sender and is held by the shard where the other lives: all ways are shared.
    let (stalled, other) = (at(&desk, home), at(&desk, holder));
    desk.join(SENDER, sender, 1);
    desk.join(OTHER, other, 3);
    let hello = Input::Hello {
        conn: ConnId(STALLED),
        hello: Hello {
            user: UserId(stalled),
            device: DeviceId(2),
            cursor: Cursor { generation: Generation(desk::GENERATION), at: InboxSeq(0) },
            id: 99,
            expires_ms: desk.wall_ms + 3_600_000,
            issued_ms: desk.wall_ms,
        },
    };
    desk.turn(holder, vec![hello]);
    desk.run();
    desk.take(STALLED);

    let text = "x".repeat(4000);
    for id in 1..=MESSAGES {
        desk.text(SENDER, sender, ChannelId::direct(UserId(sender), UserId(stalled)), 2 * id, &text);
        desk.text(SENDER, sender, ChannelId::direct(UserId(sender), UserId(other)), 2 * id + 1, "hello");
        desk.run();
        let queued = handed(&desk, STALLED);
        desk.turn(holder, vec![Input::Egress { conn: ConnId(STALLED), queued }]);
        assert_ne!(desk.paused.get(&ConnId(SENDER)), Some(&true), "the sender goes on");
        assert!(!desk.shards[home].has_hops(ShardId(holder as u16)), "nothing waits on the way");
    }
    let queued = handed(&desk, STALLED);
    assert!(queued > budget / 2 && queued <= budget, "{queued} of {budget}");
    assert_eq!(desk.seen(OTHER).iter().filter(|word| word.starts_with("message")).count() as u64, MESSAGES);
    assert!(desk.queries.is_empty() && desk.shards[home].counters().fell_behind == 1);
    // Once it reads, it is brought the rest from the store.
    desk.turn(holder, vec![Input::Egress { conn: ConnId(STALLED), queued: 0 }]);
    assert!(!desk.queries.is_empty(), "a page is read");
}
