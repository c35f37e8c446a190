//! Who waits for whom: only those who send to what is full, only as long as it is, and nobody is closed for it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use desk::{Desk, GENERATION};
use protocol::body::session::Heartbeat;
use protocol::body::sync::GetHistory;
use protocol::hello::{Hello, Reauth};
use protocol::hop::Hop;
use protocol::{ChannelId, CloseCode, Cursor, DeviceId, Generation, InboxSeq, ShardId, UserId, body};
use shard::limits::{HOPS_WAITING_MAX, PARKED_FACTOR, PRESSURE_FORGOTTEN_MS};
use shard::{ConnId, Input, Limits};

const FEW: usize = 4;

fn few() -> Limits {
    Limits { unstored_messages: FEW, frames_burst: 1_000_000, ..Limits::default() }
}

fn direct(one: u64, other: u64) -> ChannelId {
    ChannelId::direct(UserId(one), UserId(other))
}

fn is_paused(desk: &Desk, conn: u64) -> bool {
    desk.paused.get(&ConnId(conn)) == Some(&true)
}

fn heartbeat() -> Heartbeat {
    Heartbeat { time_ms: 1 }
}

fn hello(desk: &Desk, conn: u64, user: u64) -> Input {
    Input::Hello {
        conn: ConnId(conn),
        hello: Hello {
            user: UserId(user),
            device: DeviceId((conn - 1) % 5 + 1),
            cursor: Cursor { generation: Generation(GENERATION), at: InboxSeq(0) },
            id: 99,
            expires_ms: desk.wall_ms + 360_000_000,
            issued_ms: desk.wall_ms,
        },
    }
}

/// A user whose direct channels with those of [`at_home`] are at home there: they live with the smaller number.
fn peer(desk: &Desk, home: ShardId) -> u64 {
    (1..1000).find(|user| desk.placement.user_home(UserId(*user)) == home).unwrap()
}

fn at_home(desk: &Desk, home: usize, after: u64) -> u64 {
    (after.max(1000) + 1..).find(|user| desk.home(*user) == home).unwrap()
}

/// Stores and answers all but what is of one shard, for which nothing is written.
fn run_without(desk: &mut Desk, stopped: ShardId) {
    loop {
        desk.answer_all_empty();
        let Some(place) = desk.batches.iter().position(|(_, batch)| batch.shard != stopped) else { return };
        let (shard, batch) = desk.batches.remove(place).unwrap();
        desk.turn(shard, vec![Input::Stored { number: batch.number }]);
    }
}

#[test]
fn a_full_shard_pauses_those_who_send_there_and_nobody_else() {
    let mut desk = Desk::limited(4, few());
    let (full, other) = (ShardId(1), ShardId(3));
    let sender = at_home(&desk, 0, 0);
    let bystander = at_home(&desk, 0, 5000);
    let both = at_home(&desk, 0, sender);
    desk.join(1, sender, 1);
    desk.join(2, bystander, 2);
    desk.join(3, both, 3);
    let to_full = direct(sender, peer(&desk, full));
    let mut sent = 0;
    while !is_paused(&desk, 1) {
        sent += 1;
        assert!(sent < 100, "never paused");
        desk.text(1, sender, to_full, sent, "x");
        run_without(&mut desk, full);
    }
    // The sender of the next lines is at home where the first is, and goes on.
    for id in 1..=20 {
        let to_other = direct(bystander, peer(&desk, other));
        desk.text(2, bystander, to_other, id, "x");
        run_without(&mut desk, full);
        assert!(!is_paused(&desk, 2), "it sends elsewhere");
    }
    assert_eq!(desk.seen(2).iter().filter(|word| word.starts_with("ack")).count(), 20, "and is acked");
    // Reads and heartbeats go on beside, and for the full shard too.
    let get = GetHistory {
        channel: direct(both, peer(&desk, full)).0,
        after: 0,
        before: 9,
        newest: true,
        limit: 1,
    };
    desk.send(3, both, 7, &get);
    desk.send(3, both, 8, &heartbeat());
    desk.answer_all_empty();
    assert!(!is_paused(&desk, 3));
    assert!(desk.seen(3).iter().any(|word| word == "heartbeat 8"));
    // One frame for the full shard, and it waits as well.
    desk.text(3, both, direct(both, peer(&desk, full)), 9, "x");
    assert!(is_paused(&desk, 3));
    desk.run();
    assert!(!is_paused(&desk, 1) && !is_paused(&desk, 3), "it has room again");
    assert_eq!(desk.seen(1).iter().filter(|word| word.starts_with("ack")).count() as u64, sent);
    assert!(desk.seen(3).contains(&"ack 9 seq 1".to_owned()));
}

#[test]
fn what_was_on_the_way_keeps_its_order_and_more_is_refused() {
    let mut desk = Desk::limited(1, few());
    desk.join(1, 10, 1);
    let most = (PARKED_FACTOR * FEW) as u64;
    // The first makes the channel known; then all frames were read before the pause.
    desk.text(1, 10, direct(10, 20), 1, "x");
    desk.answer_all_empty();
    let text =
        |id| body::encode(id, &body::message::SendText { channel: direct(10, 20).0, text: "x".into() });
    let frames = (2..=most + 2).map(|id| Input::Frame { conn: ConnId(1), frame: text(id) });
    desk.turn(0, frames.collect());
    assert!(is_paused(&desk, 1));
    let refused = [format!("reject {} busy", most + 1), format!("reject {} busy", most + 2)];
    assert_eq!(desk.seen(1), refused);
    // Not before there is room for all: what comes later would overtake what was refused.
    desk.store_one();
    desk.text(1, 10, direct(10, 20), most + 3, "x");
    let is_full = desk.shards[0].is_full();
    assert_eq!(desk.seen(1).iter().any(|word| word.starts_with("reject")), is_full);
    desk.run();
    assert!(!is_paused(&desk, 1));
    desk.turn(0, vec![Input::Frame { conn: ConnId(1), frame: text(most + 1) }]);
    desk.run();
    let seen = desk.seen(1);
    assert_eq!(seen.last().unwrap(), &format!("ack {} seq {}", most + 1, most + 1), "{seen:?}");
}

#[test]
fn a_lost_word_of_a_full_shard_is_said_again_and_does_not_last() {
    let mut desk = Desk::limited(2, few());
    let full = ShardId(1);
    let (far, near) = (at_home(&desk, 0, 0), at_home(&desk, 1, 0));
    desk.join(1, far, 1);
    desk.join(2, near, 2);
    for id in 1..=FEW as u64 {
        desk.text(2, near, direct(near, peer(&desk, full)), id, "x");
        desk.answer_all_empty();
        if id == 1 {
            desk.rings_open = false;
        }
    }
    assert!(desk.shards[1].is_full());
    let lose = |desk: &mut Desk| {
        let mut words = Vec::new();
        while let Some(hop) = desk.shards[1].poll_hop(ShardId(0)) {
            words.extend(matches!(hop, Hop::Pressure { .. }).then_some(hop));
        }
        words
    };
    assert_eq!(lose(&mut desk), [Hop::Pressure { shard: full, on: true }]);
    desk.pass(1000);
    let again = lose(&mut desk);
    assert_eq!(again, [Hop::Pressure { shard: full, on: true }]);
    desk.turn(0, again.into_iter().map(|hop| Input::Hop { from: ShardId(1), hop }).collect());
    desk.text(1, far, direct(far, peer(&desk, full)), 1, "x");
    assert!(is_paused(&desk, 1));
    // From now on every word is lost.
    for _ in 0..PRESSURE_FORGOTTEN_MS / 1000 + 2 {
        desk.pass(1000);
        lose(&mut desk);
    }
    assert!(!is_paused(&desk, 1), "nobody waits for ever");
}

#[test]
fn who_is_paused_for_two_reasons_waits_for_both() {
    let mut desk = Desk::limited(1, few());
    desk.join(1, 10, 1);
    desk.text(1, 10, direct(10, 20), 1, "x");
    desk.answer_all_empty();
    for id in 2..=FEW as u64 + 1 {
        desk.text(1, 10, direct(10, 20), id, "x");
    }
    assert!(is_paused(&desk, 1), "for what is unstored");
    let limit = Limits::default().egress_bytes;
    desk.turn(0, vec![Input::Egress { conn: ConnId(1), queued: limit }]);
    desk.send(1, 10, 90, &heartbeat());
    desk.turn(0, vec![Input::Egress { conn: ConnId(1), queued: 0 }]);
    assert!(is_paused(&desk, 1), "its egress has room, the store has not");
    desk.turn(0, vec![Input::Egress { conn: ConnId(1), queued: limit }]);
    desk.send(1, 10, 91, &heartbeat());
    desk.run();
    assert!(is_paused(&desk, 1), "the store has room, its egress has not");
    desk.turn(0, vec![Input::Egress { conn: ConnId(1), queued: 0 }]);
    assert!(!is_paused(&desk, 1));
}

#[test]
fn who_is_not_read_is_not_silent() {
    let mut desk = Desk::limited(1, few());
    desk.join(1, 10, 1);
    desk.text(1, 10, direct(10, 20), 1, "x");
    desk.answer_all_empty();
    for id in 2..=FEW as u64 + 1 {
        desk.text(1, 10, direct(10, 20), id, "x");
    }
    assert!(is_paused(&desk, 1));
    for _ in 0..60 {
        desk.pass(10_000);
    }
    assert_eq!(desk.closed, [], "ten minutes without a heartbeat that anybody could have heard");
    desk.run();
    assert!(!is_paused(&desk, 1));
    desk.pass(74_000);
    assert_eq!(desk.closed, [], "silent for less than two heartbeats and a half since it is read again");
    desk.pass(80_000);
    assert_eq!(desk.closed, [(ConnId(1), CloseCode::HeartbeatTimeout)]);
}

#[test]
fn who_is_not_read_by_its_holder_is_not_silent() {
    let mut desk = Desk::limited(2, Limits { frames_burst: 1_000_000, ..Limits::default() });
    let (one, other) = (at_home(&desk, 0, 0), at_home(&desk, 0, at_home(&desk, 0, 0)));
    for (conn, user) in [(1, one), (2, other)] {
        let hello = hello(&desk, conn, user);
        desk.turn(1, vec![hello]);
        desk.run();
    }
    desk.rings_open = false;
    let frames = |conn, count| {
        (0..count)
            .map(move |_| Input::Frame { conn: ConnId(conn), frame: body::encode(1, &heartbeat()) })
            .collect()
    };
    let pressed = HOPS_WAITING_MAX / 4;
    desk.turn(1, frames(1, pressed + 1));
    assert!(is_paused(&desk, 1), "the ring is full");
    desk.turn(1, frames(2, pressed));
    // The home takes what the one connection said, and no more for minutes: the way stays full.
    let hops: Vec<Input> = (0..pressed + 2)
        .map(|_| Input::Hop { from: ShardId(1), hop: desk.shards[1].poll_hop(ShardId(0)).unwrap() })
        .collect();
    desk.turn(0, hops);
    desk.closed.clear();
    for _ in 0..30 {
        desk.pass(10_000);
    }
    assert!(is_paused(&desk, 1));
    let told = std::iter::from_fn(|| desk.shards[0].poll_hop(ShardId(1)));
    let closes: Vec<Hop> = told
        .filter(|hop| matches!(hop, Hop::Speak { conn: 1, fact: protocol::hop::Speak::Close(_) }))
        .collect();
    assert_eq!(closes, []);
}

#[test]
fn who_waits_for_room_in_the_driver_is_not_silent() {
    // Its own shard's connection, and one that another shard holds.
    for reader in [0, 1] {
        let mut desk = Desk::limited(2, Limits::default());
        let user = at_home(&desk, 0, 0);
        let hello = hello(&desk, 1, user);
        desk.turn(reader, vec![hello]);
        desk.run();
        let reads = |is_read| vec![Input::Reads { conn: ConnId(1), is_read }];
        desk.turn(reader, reads(false));
        for _ in 0..30 {
            desk.pass(10_000);
            desk.run();
        }
        assert_eq!(desk.closed, [], "five minutes in which nobody could have heard it");
        desk.turn(reader, reads(true));
        desk.run();
        desk.pass(74_000);
        desk.run();
        assert_eq!(desk.closed, []);
        desk.pass(2_000);
        desk.run();
        assert_eq!(desk.closed, [(ConnId(1), CloseCode::HeartbeatTimeout)], "silent while it is read");
        // A word about one that is gone leaves nothing behind.
        desk.turn(reader, vec![Input::Closed { conn: ConnId(1) }]);
        desk.turn(reader, reads(false));
        assert!(!is_paused(&desk, 1));
    }
}

#[test]
fn what_the_driver_waits_for_takes_no_reason_of_ours_away() {
    let mut desk = Desk::limited(1, few());
    desk.join(1, 10, 1);
    desk.text(1, 10, direct(10, 20), 1, "x");
    desk.answer_all_empty();
    let reads = |is_read| vec![Input::Reads { conn: ConnId(1), is_read }];
    desk.turn(0, reads(false));
    for id in 2..=FEW as u64 + 1 {
        desk.text(1, 10, direct(10, 20), id, "x");
    }
    assert!(is_paused(&desk, 1), "the driver is told of what is unstored, whatever it waits for itself");
    desk.turn(0, reads(true));
    assert!(is_paused(&desk, 1), "its word takes ours not back");
    desk.run();
    assert!(!is_paused(&desk, 1));
}

#[test]
fn a_reader_that_takes_bytes_all_the_time_stays_and_one_that_takes_none_goes() {
    let mut desk = Desk::new(1);
    desk.join(1, 10, 1);
    desk.join(2, 20, 2);
    let waits = |conn| Input::Egress { conn: ConnId(conn), queued: 500_000 };
    desk.turn(0, vec![waits(1), waits(2)]);
    for round in 0..60 {
        desk.pass(10_000);
        desk.send(1, 10, 1, &heartbeat());
        desk.send(2, 20, 1, &heartbeat());
        // As much comes as is taken: the queue is no shorter.
        if round % 2 == 0 {
            desk.turn(0, vec![Input::Took { conn: ConnId(1) }]);
        }
    }
    assert_eq!(desk.closed, [(ConnId(2), CloseCode::SlowReader)]);
}

#[test]
fn crowded_sessions_cost_nothing_while_nothing_changes() {
    const USERS: u64 = 2000;
    const DEVICES: u64 = 5;
    // So little a session that all of them together stay below the bound of the shard's ledger.
    let limits =
        Limits { frames_burst: 1_000_000, egress_bytes: 8192, user_directs_per_h: 0, ..Limits::default() };
    let full = limits.egress_bytes;
    let mut desk = Desk::limited(1, limits);
    desk.join(1, 10, 1);
    let users: Vec<u64> = (100..100 + USERS).collect();
    let conn = |user: u64, device: u64| 1000 + user * DEVICES + device;
    let conns: Vec<(u64, u64)> =
        users.iter().flat_map(|user| (0..DEVICES).map(move |device| (conn(*user, device), *user))).collect();
    let hellos = conns.iter().map(|(conn, user)| hello(&desk, *conn, *user)).collect();
    desk.turn(0, hellos);
    desk.run();
    let waits = |queued| move |(conn, _): &(u64, u64)| Input::Egress { conn: ConnId(*conn), queued };
    desk.turn(0, conns.iter().map(waits(full)).collect());
    for user in &users {
        desk.text(1, 10, direct(10, *user), *user, "for slow readers");
        desk.run();
    }
    assert_eq!(desk.shards[0].counters().fell_behind, USERS * DEVICES);
    let looks = desk.shards[0].counters().crowded_looks;
    for _ in 0..100 {
        desk.turn(0, Vec::new());
    }
    assert_eq!(desk.shards[0].counters().crowded_looks, looks, "nothing changed");
    assert!(desk.shards[0].next_deadline().unwrap().0 > desk.now, "and nothing is due");
    // One of them is read, and it alone is looked at.
    desk.turn(0, vec![waits(0)(&conns[7])]);
    assert_eq!(desk.shards[0].counters().crowded_looks, looks + 1);
    assert_eq!(desk.queries.len(), 1, "a page is read for it");
}

#[test]
fn a_crowded_session_that_a_flush_drained_goes_on() {
    let limits = Limits { egress_bytes: 2000, frames_burst: 1_000_000, ..Limits::default() };
    let mut desk = Desk::limited(1, limits);
    desk.join(1, 10, 1);
    let frame = |id| Input::Frame { conn: ConnId(1), frame: body::encode(id, &heartbeat()) };
    // Answers of one turn beyond the bound; the driver writes them all, and so tells nothing.
    desk.turn_only(0, (1..100).map(frame).collect());
    assert!(is_paused(&desk, 1));
    assert_eq!(desk.shards[0].next_deadline().map(|due| due.0), Some(desk.now), "nobody will tell");
    desk.turn_only(0, Vec::new());
    assert!(!is_paused(&desk, 1));
    assert!(desk.shards[0].next_deadline().unwrap().0 > desk.now);
}

/// Answers in one turn all that was asked.
fn answer_together(desk: &mut Desk) {
    let asked = std::mem::take(&mut desk.queries);
    let mut inputs = Vec::new();
    for (_, ticket, query) in asked {
        use protocol::query::{Answer, Query};
        let answer = match query {
            Query::User(user) => desk::user_answer(user, 0),
            Query::Channel(_) => Answer::Channel {
                row: None,
                members: Vec::new(),
                head: protocol::Seq(0),
                time_ms: 0,
                rules: protocol::query::RuleRows::default(),
            },
            other => panic!("{other:?}"),
        };
        inputs.push(Input::Read { ticket, answer: Ok(answer) });
    }
    desk.turn_only(0, inputs);
}

#[test]
fn eviction_keeps_its_bounds_when_a_turn_loads_thousands() {
    // As many as a shard asks the readers for at once.
    const COLD: u64 = 4000;
    let (idle_users, idle_channels) = (10, 20);
    let limits = Limits {
        idle_users,
        idle_channels,
        frames_burst: 1_000_000,
        unstored_messages: 1_000_000,
        user_directs_per_h: 0,
        ..Limits::default()
    };
    let mut desk = Desk::limited(1, limits);
    desk.join(1, 10, 1);
    let text =
        |user| body::encode(user, &body::message::SendText { channel: direct(10, user).0, text: "x".into() });
    let frames = (100..100 + COLD).map(|user| Input::Frame { conn: ConnId(1), frame: text(user) });
    desk.turn_only(0, frames.collect());
    let (mut most_users, mut most_channels) = (0, 0);
    while !desk.queries.is_empty() || !desk.batches.is_empty() {
        if let Some((_, last)) = std::mem::take(&mut desk.batches).back() {
            desk.turn_only(0, vec![Input::Stored { number: last.number }]);
        }
        answer_together(&mut desk);
        let counters = desk.shards[0].counters();
        most_users = most_users.max(counters.users_now);
        most_channels = most_channels.max(counters.channels_now);
    }
    assert!(
        most_users > COLD / 4 && most_channels >= COLD,
        "{most_users} {most_channels} were in use at once"
    );
    for _ in 0..3 {
        desk.turn_only(0, Vec::new());
    }
    let counters = desk.shards[0].counters();
    assert!(counters.users_now as usize <= idle_users + 1, "{} users", counters.users_now);
    assert!(counters.channels_now as usize <= idle_channels, "{} channels", counters.channels_now);
}

#[test]
fn reauth_while_the_user_is_loaded_is_answered_in_order() {
    let mut desk = Desk::new(1);
    desk.hello(1, 10, 1, 0);
    desk.send(1, 10, 5, &heartbeat());
    let expires_ms = desk.wall_ms + 7_200_000;
    let issued_ms = desk.wall_ms;
    desk.turn(0, vec![Input::Reauth { conn: ConnId(1), reauth: Reauth { id: 6, expires_ms, issued_ms } }]);
    desk.send(1, 10, 7, &heartbeat());
    assert!(desk.seen(1).is_empty());
    desk.run();
    let seen = desk.seen(1);
    assert_eq!(seen[0], "welcome start 0 head 0");
    let answers: Vec<&String> = seen[1..].iter().filter(|word| !word.starts_with("complete")).collect();
    assert_eq!(answers, ["heartbeat 5", "done 6", "heartbeat 7"]);
    // The new token counts: the first one has ended by then.
    for _ in 0..(5_400 / 60) {
        desk.pass(60_000);
        desk.send(1, 10, 8, &heartbeat());
    }
    assert_eq!(desk.closed, []);
}

#[test]
fn the_turn_that_empties_a_lane_leads_to_the_next_which_resumes_its_senders() {
    let mut desk = Desk::limited(2, Limits { frames_burst: 1_000_000, ..Limits::default() });
    let sender = at_home(&desk, 0, 0);
    desk.join(1, sender, 1);
    desk.rings_open = false;
    let channel = direct(sender, peer(&desk, ShardId(1)));
    let text = |id| body::encode(id, &body::message::SendText { channel: channel.0, text: "x".into() });
    let frames =
        (1..=HOPS_WAITING_MAX as u64 / 4 + 1).map(|id| Input::Frame { conn: ConnId(1), frame: text(id) });
    desk.turn_only(0, frames.collect());
    assert!(is_paused(&desk, 1));
    assert!(desk.shards[0].next_deadline().unwrap().0 > desk.now, "the lane is full");
    while desk.shards[0].poll_hop(ShardId(1)).is_some() {}
    assert_eq!(desk.shards[0].next_deadline().map(|due| due.0), Some(desk.now));
    desk.turn_only(0, Vec::new());
    assert!(!is_paused(&desk, 1));
}

#[test]
fn deliveries_wait_in_the_log_while_a_shard_has_no_room_for_pointers() {
    let limits = Limits { unstored_rows: 6, ..few() };
    let mut desk = Desk::limited(2, limits);
    // Nothing is written where the inbox of the reader is; the channel is at the other shard.
    let stopped = ShardId(1);
    let (sender, reader) = (peer(&desk, ShardId(0)), at_home(&desk, 1, 0));
    desk.join(1, sender, 1);
    desk.join(2, reader, 2);
    for id in 1..=50 {
        desk.text(1, sender, direct(sender, reader), id, "x");
        run_without(&mut desk, stopped);
    }
    assert!(!is_paused(&desk, 1), "it sends to a shard that works");
    assert_eq!(desk.seen(1).iter().filter(|word| word.starts_with("ack")).count(), 50);
    let before = desk.seen(2).iter().filter(|word| word.starts_with("message")).count();
    assert!(before < 50, "what has no room waits");
    desk.run();
    let after = desk.seen(2).iter().filter(|word| word.starts_with("message")).count();
    assert_eq!(before + after, 50, "and comes");
}
