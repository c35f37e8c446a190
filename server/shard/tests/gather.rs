//! Pointers are gathered for a while and leave as runs, with the marks that cover them.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod desk;

use desk::{Desk, marks, pointers};
use protocol::body::message::{CreateGroup, SendText};
use protocol::body::sync::GetChannels;
use protocol::commit::Row;
use protocol::hop::Hop;
use protocol::query::{Answer, BayState, Delivery, Query};
use protocol::{BayId, ChannelId, InboxSeq, SendId, Seq, ShardId, Stamp, UserId};
use shard::limits::{GATHERED_BYTES_MAX, LEAVING_PART, LEAVING_POINTERS};
use shard::{ConnId, Input, Limits, Tick};

const SECOND: u64 = 1000;
/// When the first of it leaves; the last has left within the second.
const LEAVES: u64 = SECOND - SECOND / LEAVING_PART;

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
    desk.pass(LEAVES - 1);
    assert!(desk.batches.is_empty());
    desk.pass(1);
    let rows = desk.store_one().rows;
    let runs = rows.iter().filter(|row| matches!(row, Row::Run { .. })).count();
    assert_eq!((runs, pointers(&rows)), (2, 10));
    assert_eq!(marks(&rows, BayId::of_channel(direct(10, 20))), vec![5; 64]);
    assert!(!desk.shards[0].has_trailing());
}

/// However much it is, no turn and no write has much of it.
#[test]
fn much_leaves_bay_by_bay_within_the_second_each_bay_with_its_marks() {
    const USERS: u64 = 64;
    const EACH: u64 = 16;
    let mut desk = gathering();
    for user in 100..100 + USERS {
        desk.join(user, user, 1);
    }
    let began = desk.now;
    for id in 1..=EACH {
        for user in 100..100 + USERS {
            desk.text(user, user, direct(user, user ^ 1), id, "x");
        }
        assert_eq!(pointers(&desk.run()), 0);
    }
    let (mut pointed, mut writes) = (0, 0);
    let mut marked = Vec::new();
    while desk.now < began + SECOND {
        desk.pass(1);
        while !desk.batches.is_empty() {
            let rows = desk.store_one().rows;
            let bays = rows.iter().filter_map(|row| match row {
                Row::Run { user, .. } => Some(BayId::of_user(*user)),
                _ => None,
            });
            let most =
                2 * EACH as usize * bays.clone().filter(|bay| Some(*bay) == bays.clone().last()).count();
            assert!(pointers(&rows) < LEAVING_POINTERS + most, "{} pointers in one write", pointers(&rows));
            assert!(bays.clone().all(|bay| !marked.contains(&bay)), "pointers behind the marks of their bay");
            marked.extend(bays.collect::<std::collections::BTreeSet<_>>());
            assert!(rows.iter().any(|row| matches!(row, Row::Marks { .. })));
            pointed += pointers(&rows);
            writes += usize::from(pointers(&rows) > 0);
        }
    }
    assert_eq!(pointed as u64, 2 * EACH * USERS);
    assert!(writes >= 8, "{writes} writes");
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
    let delivery =
        Delivery { channel, seq: Seq(2), frame, recipients: [UserId(10), UserId(20)].into(), grown: None };
    desk.answer(Answer::Replay { deliveries: vec![(2, delivery)], through: 2 });
    let rows = desk.run_replay(2);
    let of =
        |user| rows.iter().filter(move |row| matches!(row, Row::Run { user: of, .. } if *of == UserId(user)));
    assert_eq!((of(10).count(), of(20).count()), (0, 1));
    assert!(marks(&rows, source).iter().all(|through| *through == 2), "a mark never steps back");
    assert_eq!(desk.ready, 1);
}

#[test]
fn a_turn_is_asked_for_when_what_is_gathered_leaves() {
    let mut desk = gathering();
    desk.pass(SECOND / 3);
    let began = desk.now;
    talk(&mut desk, 1..=1);
    // The marks are told each second of the shard's own, which ends before.
    desk.pass(SECOND - SECOND / 3);
    assert_eq!(desk.shards[0].next_deadline(), Some(Tick(began + LEAVES)));
}

/// Batches leave in between, of which some let all of it leave.
#[test]
fn marks_never_leave_without_the_pointers_they_cover() {
    let mut desk = gathering();
    let source = BayId::of_channel(direct(10, 20));
    let mut pointed = 0;
    let mut marked = 0;
    for id in 1..=12 {
        desk.text(1, 10, direct(10, 20), id, "x");
        if id % 4 == 0 {
            desk.send(2, 20, 100 + id, &GetChannels { after: 0, limit: 10 });
        }
        desk.pass(300);
        desk.answer_all_empty();
        while !desk.batches.is_empty() {
            let rows = desk.store_one().rows;
            pointed += pointers(&rows) as u64;
            marked = marks(&rows, source).into_iter().max().unwrap_or(marked);
            assert!(2 * marked <= pointed, "{marked} numbers are marked and {pointed} pointers written");
        }
    }
    desk.pass(SECOND);
    desk.run();
    assert!(marked >= 8, "some left on the way: {marked}");
}

#[test]
fn a_span_that_waits_for_its_recipient_is_in_no_mark() {
    let source = BayId::of_channel(direct(10, 20));
    // The channel is in memory, and its other user is not any more.
    let limits = Limits { idle_users: 0, ..Limits::default() };
    let mut desk = Desk::gathering(1, SECOND, limits);
    desk.join(1, 10, 1);
    desk.join(3, 30, 3);
    talk(&mut desk, 1..=1);
    for _ in 0..20 {
        desk.pass(SECOND);
        desk.run();
    }
    // What was gathered before, of the same log, leaves meanwhile.
    assert_eq!(BayId::of_channel(direct(10, 30)), source);
    desk.text(1, 10, direct(10, 30), 2, "x");
    desk.answer_all_empty();
    desk.store_one();
    desk.text(1, 10, direct(10, 20), 3, "x");
    desk.store_one();
    assert!(matches!(desk.queries.front(), Some((_, _, Query::User(UserId(20))))), "{:?}", desk.queries);
    desk.pass(2 * SECOND);
    let mut rows = Vec::new();
    while !desk.batches.is_empty() {
        rows.extend(desk.store_one().rows);
    }
    assert_eq!((pointers(&rows), marks(&rows, source)), (2, vec![2; 64]));
    desk.answer(desk::user_answer(UserId(20), 1));
    desk.pass(SECOND);
    let rows = desk.store_one().rows;
    assert_eq!((pointers(&rows), marks(&rows, source)), (2, vec![3; 64]));
}

/// What the store holds of the log: numbers and messages, with who receives them.
fn log(rows: &[Row], channel: ChannelId) -> Vec<(u64, Delivery)> {
    let frame_of = |wanted: Seq| {
        let of = |row: &Row| match row {
            Row::Message { seq, frame, .. } if *seq == wanted => Some(frame.clone()),
            _ => None,
        };
        rows.iter().find_map(of).unwrap()
    };
    let recipients = || [UserId(10), UserId(20)].into();
    let mut log = Vec::new();
    for row in rows {
        let Row::Fanout { number, messages } = row else { continue };
        for (_, seq) in messages {
            let delivery =
                Delivery { channel, seq: *seq, frame: frame_of(*seq), recipients: recipients(), grown: None };
            log.push((*number, delivery));
        }
    }
    log
}

fn runs_of(rows: &[Row], wanted: u64) -> Vec<(InboxSeq, Vec<(ChannelId, Seq)>)> {
    let of = |row: &Row| match row {
        Row::Run { user, first, entries } if *user == UserId(wanted) => Some((*first, entries.clone())),
        _ => None,
    };
    rows.iter().filter_map(of).collect()
}

#[test]
fn a_crash_loses_what_is_gathered_and_the_log_brings_it_once() {
    let channel = direct(10, 20);
    let source = BayId::of_channel(channel);
    let mut desk = gathering();
    let mut stored = talk(&mut desk, 1..=2);
    desk.pass(SECOND);
    stored.extend(desk.run());
    assert_eq!(pointers(&stored), 4);
    stored.extend(talk(&mut desk, 3..=5));
    assert_eq!(pointers(&stored), 4, "the crash comes before the rest is written");
    drop(desk);

    let boot = |rows: &[Row]| {
        let through = marks(rows, source).into_iter().max().unwrap();
        let head = log(rows, channel).last().unwrap().0;
        Desk::with(1, Limits::default(), &|bay| {
            let mut state = desk::empty(bay);
            state.applied[usize::from(source.0)] = through;
            let head = if bay == source { head } else { 0 };
            BayState { fanout_head: head, fanout_tail: head.min(1), ..state }
        })
    };
    let mut desk = boot(&stored);
    let Some((_, _, Query::Replay { after: 2, until: 5, .. })) = desk.queries.front() else {
        panic!("{:?}", desk.queries)
    };
    assert_eq!(desk.ready, 0);
    let deliveries = log(&stored, channel).into_iter().filter(|(number, _)| *number > 2).collect();
    desk.answer(Answer::Replay { deliveries, through: 5 });
    for user in [10, 20] {
        let asked = |(_, _, query): &(_, _, Query)| matches!(query, Query::User(of) if *of == UserId(user));
        let place = desk.queries.iter().position(asked).unwrap();
        let query = desk.queries.remove(place).unwrap();
        desk.queries.push_front(query);
        desk.answer(desk::user_answer(UserId(user), 2));
    }
    let again = desk.run();
    let expected: Vec<_> = (3..=5).map(|seq| (channel, Seq(seq))).collect();
    for user in [10, 20] {
        assert_eq!(runs_of(&again, user), [(InboxSeq(3), expected.clone())]);
    }
    assert_eq!((marks(&again, source), desk.ready), (vec![5; 64], 1));

    stored.extend(again);
    let mut desk = boot(&stored);
    assert_eq!((desk.queries.len(), desk.ready), (0, 1), "nothing is missing any more");
    assert_eq!(pointers(&desk.run()), 0);
}

/// The first groups of a creator whose home is the first shard: two, of different bays.
fn groups_here(desk: &Desk, creator: u64) -> [(u64, ChannelId); 2] {
    let group = |id| (id, ChannelId::group(UserId(creator), SendId(id)));
    let mut here = (1..100).map(group).filter(|(_, id)| desk.placement.channel_home(*id) == ShardId(0));
    let one = here.next().unwrap();
    let other = here.find(|(_, id)| BayId::of_channel(*id) != BayId::of_channel(one.1)).unwrap();
    [one, other]
}

#[test]
fn a_frame_crosses_a_lane_once_however_many_bays_its_recipients_have() {
    let mut desk = Desk::new(2);
    let (here, there): (Vec<u64>, Vec<u64>) = (100..160).partition(|user| desk.home(*user) == 0);
    let creator = here[0];
    desk.join(1, creator, 1);
    let groups = groups_here(&desk, creator);
    for (id, group) in groups {
        let create = CreateGroup { channel: group.0, name: "team".into(), members: there.clone() };
        desk.send(1, creator, id, &create);
        desk.run();
    }
    let mut recipients: Vec<UserId> = there.into_iter().map(UserId).collect();
    recipients.sort_by_key(|user| (BayId::of_user(*user), *user));
    let bays: std::collections::BTreeSet<_> = recipients.iter().map(|user| BayId::of_user(*user)).collect();
    assert!(bays.len() > 10, "{bays:?}");

    desk.rings_open = false;
    while desk.shards[0].poll_hop(ShardId(1)).is_some() {}
    // All in one turn, and so in one batch.
    let text = |(at, (_, group)): (u64, &(u64, ChannelId))| {
        let frame = protocol::body::encode(1000 + at, &SendText { channel: group.0, text: "x".into() });
        Input::Frame { conn: ConnId(1), frame }
    };
    let texts = (0..4).zip(groups.iter().cycle()).map(text).collect();
    desk.turn(0, texts);
    assert_eq!(desk.batches.len(), 1);
    desk.store_one();
    let Some(Hop::Deliver { spans }) = desk.shards[0].poll_hop(ShardId(1)) else { panic!("no delivery") };
    assert!(desk.shards[0].poll_hop(ShardId(1)).is_none(), "one hop a batch and lane");
    let sources: Vec<BayId> = spans.iter().map(|span| span.source).collect();
    assert_eq!(sources, groups.map(|(_, group)| BayId::of_channel(group)), "one span a log");
    for (span, (_, group)) in spans.iter().zip(groups) {
        let frames: Vec<_> =
            span.deliveries.iter().map(|delivery| (delivery.channel, delivery.seq.0)).collect();
        assert_eq!(frames, [(group, 2), (group, 3)], "each frame once");
        assert!(span.deliveries.iter().all(|delivery| delivery.recipients.iter().eq(&recipients)));
    }
}
