//! `check` names every kind of damage: each is done to a fresh copy of the same clean rows.
// The lint configuration knows test functions only, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod world;

use protocol::body::encode;
use protocol::body::message::SendText;
use protocol::{ChannelId, DeviceId, InboxSeq, Seq, Stamp, StoreId, UserId};
use storage::{ChannelRow, DeviceRow, Interval, IntervalRow, MemberRow, PositionRow, Row};
use world::World;

const TWO: UserId = UserId(2);

fn direct() -> ChannelId {
    ChannelId::direct(UserId(1), TWO)
}

fn store_of(world: &World, row: &Row) -> StoreId {
    let place = world.placement;
    match row {
        Row::Pointer { user, .. }
        | Row::Joined { user, .. }
        | Row::Read { user, .. }
        | Row::Device { user, .. }
        | Row::Left { user, .. } => place.user_store(*user),
        Row::Message { channel, .. }
        | Row::Channel { channel, .. }
        | Row::Member { channel, .. }
        | Row::Interval { channel, .. }
        | Row::Position { channel, .. } => place.channel_store(*channel),
        Row::Applied { .. } => place.user_store(TWO),
        _ => place.channel_store(direct()),
    }
}

/// Does the damage; a finding of this severity with these words must name it.
fn names(severity: &str, words: &str, damage: impl Fn(&World, ChannelId) -> Row) {
    let mut world = World::memory(4);
    let group = world.talk();
    world.deliver_all();
    assert_eq!(world.findings(), [""; 0]);
    let row = damage(&world, group);
    world.commit(store_of(&world, &row), vec![row]);
    let findings = world.findings();
    let named = |line: &String| line.starts_with(severity) && line.contains(words);
    assert!(findings.iter().any(named), "{severity} {words}: {findings:#?}");
}

/// An entry of user 2 so far behind the last.
fn behind(world: &World, behind: u64, seq: u64) -> Row {
    let at = InboxSeq(world.inboxes[&TWO] + behind);
    Row::Pointer { user: TWO, at, channel: direct(), seq: Seq(seq) }
}

#[test]
fn inboxes() {
    names("lost", "above its head", |world, _| behind(world, 1, 99));
    names("lost", "the inbox has a hole", |world, _| behind(world, 2, 5));
    names("broken", "twice, or out of order", |world, _| behind(world, 1, 5));
    names("broken", "before it has no entry", |_, _| Row::Pointer {
        user: TWO,
        at: InboxSeq(1),
        channel: direct(),
        seq: Seq(2),
    });
    names("broken", "was not sent", |_, group| Row::Pointer {
        user: UserId(5),
        at: InboxSeq(1),
        channel: group,
        seq: Seq(1),
    });
    // The last entry names something else, so that its own message has none.
    names("broken", "the inbox misses", |world, group| {
        let at = InboxSeq(world.inboxes[&UserId(4)]);
        Row::Pointer { user: UserId(4), at, channel: group, seq: Seq(8) }
    });
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
        let intervals = vec![Interval { joined: Seq(2), left: None }];
        Row::Member { channel, user: UserId(5), row: MemberRow { role: 0, intervals } }
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
        row: PositionRow { read: Seq(6), delivered: Seq(0) },
    });
    names("broken", "is named", |_, channel| Row::Channel {
        channel,
        row: ChannelRow { name: "other".into() },
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
    names("odd", "has read", |_, _| Row::Read { user: TWO, channel: direct(), seq: Seq(6) });
    names("odd", "has no account", |_, _| Row::Device {
        user: UserId(50),
        device: DeviceId(1),
        row: DeviceRow::default(),
    });
    let mut world = World::memory(4);
    world.account(TWO);
    for device in 1..=17 {
        assert_eq!(world.findings(), [""; 0]);
        let row = Row::Device { user: TWO, device: DeviceId(device), row: DeviceRow::default() };
        world.commit(store_of(&world, &row), vec![row]);
    }
    assert!(world.findings().join("").contains("17 devices; allowed are 16"));
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
    let source = |world: &World| world.placement.channel_store(direct());
    let head = move |world: &World| world.stores[0].state(source(world)).unwrap().fanout_head;
    names("lost", "the fan-out log has a hole", |world, _| Row::Fanout {
        number: head(world) + 2,
        messages: vec![(direct(), Seq(6))],
    });
    names("lost", "above its head", |world, _| Row::Fanout {
        number: head(world) + 1,
        messages: vec![(direct(), Seq(6))],
    });
    names("broken", "the whole fan-out log names", |world, _| Row::Fanout {
        number: head(world) + 1,
        messages: vec![(direct(), Seq(5))],
    });
    names("broken", "not marked as applied", |world, _| Row::Applied { source: source(world), through: 4 });
    names("lost", "has applied 1000", |world, _| Row::Applied { source: source(world), through: 1000 });
    let mut world = World::memory(4);
    world.talk();
    let store = source(&world);
    world.commit(store, vec![Row::TrimFanout { below: 3 }]);
    assert!(world.findings().join("").contains("the fan-out log begins at 3, applied through 0 only"));
}
