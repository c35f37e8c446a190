//! `check` names every kind of damage: each is done to a fresh copy of the same clean rows.
// The lint configuration knows test functions only, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod world;

use protocol::body::encode;
use protocol::body::message::SendText;
use protocol::{BayId, ChannelId, DeviceId, InboxSeq, Seq, Stamp, UserId};
use storage::{ChannelRow, DeviceRow, IntervalRow, PositionRow, Row};
use world::World;

const TWO: UserId = UserId(2);

fn direct() -> ChannelId {
    ChannelId::direct(UserId(1), TWO)
}

fn bay_of(row: &Row) -> BayId {
    match row {
        Row::Run { user, .. }
        | Row::Joined { user, .. }
        | Row::Device { user, .. }
        | Row::Left { user, .. } => BayId::of_user(*user),
        Row::Message { channel, .. }
        | Row::Channel { channel, .. }
        | Row::Interval { channel, .. }
        | Row::Position { channel, .. } => BayId::of_channel(*channel),
        Row::Marks { .. } => BayId::of_user(TWO),
        _ => BayId::of_channel(direct()),
    }
}

/// Does the damage; a finding of this severity with these words must name it.
fn names(severity: &str, words: &str, damage: impl Fn(&World, ChannelId) -> Row) {
    let mut world = World::memory();
    let group = world.talk();
    world.deliver_all();
    assert_eq!(world.findings(), [""; 0]);
    let row = damage(&world, group);
    world.commit(bay_of(&row), vec![row]);
    let findings = world.findings();
    let named = |line: &String| line.starts_with(&format!("{severity}: bay ")) && line.contains(words);
    assert!(findings.iter().any(named), "{severity} {words}: {findings:#?}");
}

/// A run of one entry of user 2 so far behind the last.
fn behind(world: &World, behind: u64, seq: u64) -> Row {
    run(TWO, world.inboxes[&TWO] + behind, &[(direct(), seq)])
}

fn run(user: UserId, first: u64, entries: &[(ChannelId, u64)]) -> Row {
    let entries = entries.iter().map(|(channel, seq)| (*channel, Seq(*seq))).collect();
    Row::Run { user, first: InboxSeq(first), entries }
}

#[test]
fn inboxes() {
    names("lost", "above its head", |world, _| behind(world, 1, 99));
    names("lost", "the inbox has a hole", |world, _| behind(world, 2, 5));
    names("broken", "twice, or out of order", |world, _| behind(world, 1, 5));
    // One behind the last is missing.
    names("broken", "before it has no entry", |_, group| {
        run(UserId(4), 1, &[(group, 6), (group, 8), (group, 9)])
    });
    names("broken", "was not sent", |_, group| run(UserId(5), 1, &[(group, 1)]));
    // The last run is one entry shorter, so that a message has none.
    names("broken", "the inbox misses", |_, group| run(UserId(4), 1, &[(group, 6), (group, 7), (group, 8)]));
}

/// A row of a bay that contradicts another is named with its bay and its place.
#[test]
fn runs_that_contradict_each_other() {
    names("broken", "the inbox holds 2 twice: a run before it ends at", |_, group| {
        run(UserId(4), 2, &[(group, 7)])
    });
    names("broken", "the inbox holds 4 twice", |_, group| run(UserId(4), 4, &[(group, 9), (direct(), 1)]));
    names("lost", "the inbox has a hole: 7 follows 4", |_, group| run(UserId(4), 7, &[(group, 9)]));
}

/// A stay of user 2, whose only one in the talk is 1 to 8.
fn stay(channel: ChannelId, joined: u64, number: u32, left: Option<u64>, name: &str) -> Row {
    let row = IntervalRow { number, role: 0, left: left.map(Seq), name: name.into() };
    Row::Interval { channel, user: TWO, joined: Seq(joined), row }
}

#[test]
fn groups_and_members() {
    names("broken", "its history says", |_, channel| stay(channel, 1, 1, Some(7), "대청마루"));
    names("broken", "its history says", |_, channel| stay(channel, 9, 2, None, ""));
    names("broken", "has the intervals", |_, channel| stay(channel, 3, 2, None, ""));
    names("broken", "says that it is number 2", |_, channel| stay(channel, 1, 2, Some(8), "대청마루"));
    names("broken", "at that time", |_, channel| stay(channel, 1, 1, Some(8), "a later name"));
    names("broken", "never joined it", |_, channel| {
        let row = IntervalRow { number: 1, ..IntervalRow::default() };
        Row::Interval { channel, user: UserId(5), joined: Seq(2), row }
    });
    names("broken", "never joined it", |_, channel| Row::Position {
        channel,
        user: UserId(5),
        row: PositionRow::default(),
    });
    names("broken", "not one of its two users", |_, _| Row::Position {
        channel: direct(),
        user: UserId(5),
        row: PositionRow::default(),
    });
    names("lost", "has read 6 and received 0, its head is 5", |_, _| Row::Position {
        channel: direct(),
        user: TWO,
        row: PositionRow { read: Seq(6), ..PositionRow::default() },
    });
    names("broken", "is named", |_, channel| Row::Channel {
        channel,
        row: ChannelRow { name: "other".into(), grown: None },
    });
    names("broken", "which is direct or has no messages", |_, _| Row::Channel {
        channel: ChannelId(7),
        row: ChannelRow::default(),
    });
}

#[test]
fn own_lists_and_devices() {
    names("broken", "membership says", |_, channel| Row::Joined { user: TWO, channel, joined: Seq(9) });
    names("broken", "membership says", |_, channel| Row::Left { user: UserId(1), channel, left: Seq(9) });
    names("odd", "has no account", |_, _| Row::Device {
        user: UserId(50),
        device: DeviceId(1),
        row: DeviceRow::default(),
    });
    let mut world = World::memory();
    world.account(TWO);
    for device in 1..=17 {
        assert_eq!(world.findings(), [""; 0]);
        let row = Row::Device { user: TWO, device: DeviceId(device), row: DeviceRow::default() };
        world.commit(bay_of(&row), vec![row]);
    }
    assert!(world.findings().join("").contains("17 devices; at most 16 are allowed"));
}

/// A text that no home would have stamped so.
fn message(channel: ChannelId, seq: u64, sender: u64, time_ms: u64, send_id: u64) -> Row {
    let body = SendText { channel: channel.0, text: "x".into() };
    let stamp = Stamp { seq: Seq(seq), time_ms, sender: UserId(sender) };
    Row::Message { channel, seq: Seq(seq), frame: encode(send_id, &body).stamp(stamp) }
}

#[test]
fn histories() {
    names("lost", "has a hole", |_, group| message(group, 12, 1, u64::MAX, 999));
    names("broken", "its time 1 is before", |_, _| message(direct(), 6, 1, 1, 999));
    // The second message of the talk was sent by user 2 under 2.
    names("broken", "send id 2 of user 2 stands twice", |_, _| message(direct(), 6, 2, u64::MAX, 2));
    names("broken", "its sender 5 was no member", |_, group| message(group, 10, 5, u64::MAX, 999));
    names("broken", "not from one of its two users", |_, _| message(direct(), 6, 5, u64::MAX, 999));
    names("broken", "its body cannot be read or names another channel", |_, group| {
        let Row::Message { frame, .. } = message(group, 6, 1, u64::MAX, 999) else { panic!() };
        Row::Message { channel: direct(), seq: Seq(6), frame }
    });
    names("broken", "its stamp says seq 7", |_, _| {
        let Row::Message { channel, frame, .. } = message(direct(), 7, 1, u64::MAX, 999) else { panic!() };
        Row::Message { channel, seq: Seq(6), frame }
    });
}

#[test]
fn logs_and_marks() {
    let source = BayId::of_channel(direct());
    let head = move |world: &World| world.stores[0].state(source).unwrap().fanout_head;
    let mark = move |through| Row::Marks { through: vec![(source, through)] };
    names("lost", "the fan-out log has a hole", move |world, _| Row::Fanout {
        number: head(world) + 2,
        messages: vec![(direct(), Seq(6))],
    });
    names("lost", "above its head", move |world, _| Row::Fanout {
        number: head(world) + 1,
        messages: vec![(direct(), Seq(6))],
    });
    names("broken", "the whole fan-out log names", move |world, _| Row::Fanout {
        number: head(world) + 1,
        messages: vec![(direct(), Seq(5))],
    });
    names("broken", "not marked as applied", move |_, _| mark(4));
    names("lost", "has applied 1000", move |_, _| mark(1000));
    let mut world = World::memory();
    world.talk();
    world.commit(source, vec![Row::TrimFanout { below: 3 }]);
    assert!(world.findings().join("").contains("the fan-out log begins at 3, applied through 0 only"));
}
