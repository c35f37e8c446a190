//! What the store promises, once for memory and once for RocksDB. Inboxes have a file of their own.
// The lint configuration knows test functions only, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[macro_use]
mod world;

use protocol::commit::{PresenceRow, Shows};
use protocol::query::PushRows;
use protocol::{
    BayId, Bays, ChannelId, Cursor, DeviceId, Generation, InboxSeq, SendId, Seq, ShardId, UserId,
};
use storage::{Answer, Batch, DeviceRow, JoinedItem, Member, PageBounds, Part, Query, Row, StoreError};
use world::{PAGE, Stays, World, texts};

contract! {
    an_empty_store
    marks_are_a_vector_a_bay
    history_from_both_ends
    a_page_stops_before_its_bounds_and_holds_one_message
    holes_in_a_history_are_named
    window_is_the_newest_sends
    own_list_follows_membership
    users_and_devices
    channels_with_members_and_head
    replay_delivers_to_the_members_of_then
    replay_of_several_bays_is_the_sum_of_each
    replay_stops_at_log_rows
    replay_names_what_was_trimmed
    several_batches_in_one_commit
    several_threads_commit_at_once
    a_talk_is_clean
}

fn an_empty_store(world: World) {
    let store = &world.stores[0];
    let states = store.states().unwrap();
    assert_eq!(states.len(), 64);
    for (bay, state) in BayId::all().zip(states) {
        assert!(state.generation.0 > 0 && state.generation.0 < 1 << 53);
        assert_eq!((state.bay, state.fanout_head, state.fanout_tail), (bay, 0, 0));
        assert_eq!(state.applied, [0; 64]);
        assert_eq!(store.state(bay).unwrap(), state);
    }
    assert!(matches!(store.state(BayId(64)), Err(StoreError::Corrupt { .. })));
    assert!(store.begin_life(BayId(64), Generation(1)).is_err());
    assert_eq!(store.commit(&[]), Ok(()));
    assert!(world.findings().is_empty());
}

fn marks_are_a_vector_a_bay(mut world: World) {
    let marks = |through: &[(u16, u64)]| Row::Marks {
        through: through.iter().map(|(bay, number)| (BayId(*bay), *number)).collect(),
    };
    world.commit(BayId(5), vec![marks(&[(0, 3), (63, 1 << 40)])]);
    world.commit(BayId(5), vec![marks(&[(1, 4)])]);
    world.commit(BayId(6), vec![marks(&[(63, 9)])]);
    world.commit(BayId(5), vec![marks(&[(0, 5)]), marks(&[])]);
    let applied = |bay| world.stores[0].state(BayId(bay)).unwrap().applied;
    let (five, six) = (applied(5), applied(6));
    assert_eq!((five[0], five[1], five[2], five[63]), (5, 4, 0, 1 << 40));
    assert_eq!((six[0], six[63]), (0, 9));
    world.stores[0].begin_life(BayId(5), Generation(77)).unwrap();
    let state = world.stores[0].state(BayId(5)).unwrap();
    assert_eq!((state.generation, state.applied), (Generation(77), five), "a life changes nothing else");
    assert_ne!(world.stores[0].state(BayId(6)).unwrap().generation, Generation(77));
}

fn history(
    world: &World,
    channel: ChannelId,
    range: (u64, u64),
    newest: bool,
    page: PageBounds,
) -> Vec<String> {
    let (after, before) = (Seq(range.0), Seq(range.1));
    match world.read(&Query::History { channel, after, before, newest, page }) {
        Answer::History(frames) => texts(&frames),
        other => panic!("{other:?}"),
    }
}

fn history_from_both_ends(mut world: World) {
    let channel = ChannelId::direct(UserId(1), UserId(2));
    // A neighbour above and below must not be seen.
    for other in [ChannelId::direct(UserId(1), UserId(3)), ChannelId::direct(UserId(1), UserId(1000))] {
        world.text(other, UserId(1), "neighbour");
    }
    for number in 1..=9 {
        world.text(channel, UserId(1), &number.to_string());
    }
    let two = PageBounds { messages: 2, ..PAGE };
    let all = u64::MAX;
    assert_eq!(history(&world, channel, (0, all), false, two), ["1", "2"]);
    assert_eq!(history(&world, channel, (0, all), true, two), ["8", "9"]);
    assert_eq!(history(&world, channel, (3, 6), false, PAGE), ["4", "5"]);
    assert_eq!(history(&world, channel, (3, 6), true, PAGE), ["4", "5"]);
    assert_eq!(history(&world, channel, (3, 9), true, two), ["7", "8"]);
    assert_eq!(history(&world, channel, (3, 4), true, PAGE), [""; 0]);
    assert_eq!(history(&world, channel, (9, all), false, PAGE), [""; 0]);
    assert_eq!(history(&world, channel, (all, all), true, PAGE), [""; 0]);
    assert_eq!(history(&world, ChannelId(77), (0, all), true, PAGE), [""; 0]);
}

fn a_page_stops_before_its_bounds_and_holds_one_message(mut world: World) {
    let channel = ChannelId::direct(UserId(1), UserId(2));
    let large = "마".repeat(100_000);
    world.text(channel, UserId(1), &large);
    world.text(channel, UserId(1), "small");
    world.text(channel, UserId(1), "small");
    world.deliver_all();
    let all = (0, u64::MAX);
    let none = PageBounds { messages: 0, bytes: 0 };
    for newest in [false, true] {
        assert_eq!(history(&world, channel, all, newest, none).len(), 1);
    }
    assert_eq!(history(&world, channel, all, false, PAGE), [large]);
    assert_eq!(history(&world, channel, all, true, PAGE), ["small", "small"]);
    let page = |after, page| match world.read(&Query::Inbox { user: UserId(2), after: InboxSeq(after), page })
    {
        Answer::Inbox { frames, through } => (frames.len(), through.0),
        other => panic!("{other:?}"),
    };
    assert_eq!(page(0, PAGE), (1, 1));
    assert_eq!(page(0, none), (1, 1));
    assert_eq!(page(1, PAGE), (2, 3));
    let Answer::History(frames) =
        world.read(&Query::History { channel, after: Seq(1), before: Seq(3), newest: false, page: PAGE })
    else {
        panic!()
    };
    // At the bound, and one byte below.
    let both = frames[0].bytes().len() * 2;
    assert_eq!(page(1, PageBounds { messages: 9, bytes: both }), (2, 3));
    assert_eq!(page(1, PageBounds { messages: 9, bytes: both - 1 }), (1, 2));
}

/// A message that no order of events could have put there.
fn misplaced(world: &mut World, channel: ChannelId, seq: u64) {
    let stamp = protocol::Stamp { seq: Seq(seq), time_ms: u64::MAX, sender: channel.users().unwrap().0 };
    let text = protocol::body::message::SendText { channel: channel.0, text: "x".into() };
    let frame = protocol::body::encode(world.next_send(), &text).stamp(stamp);
    world.commit(BayId::of_channel(channel), vec![Row::Message { channel, seq: Seq(seq), frame }]);
}

fn holes_in_a_history_are_named(mut world: World) {
    let channel = ChannelId::direct(UserId(1), UserId(2));
    world.text(channel, UserId(1), "one");
    misplaced(&mut world, channel, 3);
    for newest in [false, true] {
        let query = Query::History { channel, after: Seq(0), before: Seq(9), newest, page: PAGE };
        assert!(world.corrupt(&query).contains("seq 2 is missing"));
    }
    assert!(world.findings().iter().any(|line| line.starts_with("lost") && line.contains("has a hole")));
}

fn window_is_the_newest_sends(mut world: World) {
    let channel = ChannelId::direct(UserId(1), UserId(2));
    for number in 1..=5 {
        world.text(channel, UserId(1 + number % 2), "same");
    }
    let Answer::Window(sent) = world.read(&Query::Window { channel, count: 2, since_ms: 0 }) else {
        panic!()
    };
    let keys: Vec<_> = sent.iter().map(|sent| (sent.seq, sent.sender, sent.send_id)).collect();
    assert_eq!(keys, [(Seq(4), UserId(1), SendId(4)), (Seq(5), UserId(2), SendId(5))]);
    assert_eq!(sent[0].fingerprint, sent[1].fingerprint);
    assert!(sent[0].time_ms < sent[1].time_ms);
    assert_eq!(world.read(&Query::Window { channel, count: 0, since_ms: 0 }), Answer::Window(Vec::new()));
    let Answer::Window(all) = world.read(&Query::Window { channel, count: 10_000, since_ms: u64::MAX })
    else {
        panic!()
    };
    assert_eq!(all.len(), 5);
}

fn own_list_follows_membership(mut world: World) {
    let group = world.talk();
    world.deliver_all();
    let direct = ChannelId::direct(UserId(1), UserId(2));
    let list = |user, after, limit| match world.read(&Query::Joined {
        user: UserId(user),
        after: ChannelId(after),
        limit,
    }) {
        Answer::Joined { items, more } => (items, more),
        other => panic!("{other:?}"),
    };
    let item = |channel, joined, left: Option<u64>, unread, name: &str| JoinedItem {
        channel,
        joined: Seq(joined),
        left: left.map(Seq),
        read: Seq(0),
        unread,
        head: left.map_or(world.heads[&channel], Seq),
        name: name.into(),
    };
    let (in_group, in_direct) = (item(group, 1, None, 2, "대청마루"), item(direct, 1, None, 2, ""));
    assert_eq!(list(1, 0, 500), (vec![in_group.clone(), in_direct.clone()], false));
    assert_eq!(list(1, 0, 1), (vec![in_group], true));
    assert_eq!(list(1, group.0, 1), (vec![in_direct], false));
    assert_eq!(list(1, u128::MAX, 1), (vec![], false));
    assert_eq!(list(1, 0, 0), (vec![], true));
    assert_eq!(list(2, 0, 1).0, vec![item(group, 1, Some(8), 1, "대청마루")]);
    assert_eq!(list(3, 0, 9), (vec![item(group, 5, None, 0, "대청마루")], false));
    assert_eq!(list(4, 0, 9).0, vec![item(group, 6, None, 1, "대청마루")]);
    assert_eq!(list(99, 0, 9), (vec![], false));
}

fn users_and_devices(mut world: World) {
    let user = UserId(7);
    let nobody = Answer::User {
        account: None,
        devices: vec![],
        inbox_head: InboxSeq(0),
        presence: PresenceRow::default(),
        push: PushRows::default(),
    };
    assert_eq!(world.read(&Query::User(user)), nobody);
    world.account(user);
    let bay = BayId::of_user(user);
    let cursor = Cursor { generation: Generation(4), at: InboxSeq(6) };
    let row = DeviceRow { cursor, seen_ms: 9 };
    let device = |device| Row::Device { user, device: DeviceId(device), row };
    world.commit(bay, vec![device(2), device(1), device(3)]);
    world.commit(bay, vec![Row::DeviceGone { user, device: DeviceId(2) }]);
    let Answer::User { account, devices, inbox_head, presence, .. } = world.read(&Query::User(user)) else {
        panic!()
    };
    assert_eq!(account.map(|row| row.created_ms), Some(5));
    assert_eq!(devices, [(DeviceId(1), row), (DeviceId(3), row)]);
    assert_eq!((inbox_head, presence), (InboxSeq(0), PresenceRow::default()));
    let seen =
        PresenceRow { last_active_ms: 7, shows: Shows::Away, status_until_ms: 0, status: "tea".into() };
    world.commit(bay, vec![Row::Presence { user, row: seen.clone() }]);
    let Answer::User { presence, .. } = world.read(&Query::User(user)) else { panic!() };
    assert_eq!(presence, seen);
    world.text(ChannelId::direct(UserId(1), user), UserId(1), "one");
    world.deliver_all();
    let Answer::User { inbox_head, .. } = world.read(&Query::User(user)) else { panic!() };
    assert_eq!(inbox_head, InboxSeq(1));
}

fn channels_with_members_and_head(mut world: World) {
    let group = world.talk();
    let Answer::Channel { row, members, head, time_ms, .. } = world.read(&Query::Channel(group)) else {
        panic!()
    };
    assert_eq!(row.map(|row| row.name).as_deref(), Some("대청마루"));
    let present = |(user, stays): (&UserId, &Stays)| {
        let (joined, number) = (stays.0.last()?.joined, stays.0.len() as u32);
        stays.is_member().then(|| (*user, Member { role: 0, joined, number, ..Member::default() }))
    };
    assert_eq!(members, world.groups[&group].members.iter().filter_map(present).collect::<Vec<_>>());
    assert_eq!(members.len(), 3, "who has left is not brought into memory");
    assert_eq!(head, world.heads[&group]);
    assert!(time_ms > 1_700_000_000_000);
    let direct = ChannelId::direct(UserId(1), UserId(2));
    let Answer::Channel { row, members, head, .. } = world.read(&Query::Channel(direct)) else { panic!() };
    assert_eq!((row, members, head), (None, vec![], Seq(5)));
    let nothing = Answer::Channel {
        row: None,
        members: vec![],
        head: Seq(0),
        time_ms: 0,
        rules: protocol::query::RuleRows::default(),
    };
    assert_eq!(world.read(&Query::Channel(ChannelId(12345))), nothing);
}

fn replay_delivers_to_the_members_of_then(mut world: World) {
    let group = world.talk();
    let source = BayId::of_channel(group);
    let mut recipients: Vec<Vec<u64>> = vec![vec![]; 9];
    for dest in BayId::all() {
        let page = PageBounds { messages: 1000, bytes: usize::MAX };
        let dests = Bays::from_iter([dest]);
        let Answer::Replay { deliveries, .. } =
            world.read(&Query::Replay { source, after: 0, until: u64::MAX, dests, page })
        else {
            panic!()
        };
        for (_, delivery) in deliveries.iter().filter(|(_, delivery)| delivery.channel == group) {
            assert_eq!(delivery.frame.read_stamp().unwrap().seq, delivery.seq);
            for user in delivery.recipients.iter() {
                assert_eq!(BayId::of_user(*user), dest);
                recipients[delivery.seq.0 as usize - 1].push(user.0);
            }
        }
    }
    for users in &mut recipients {
        users.sort_unstable();
    }
    let expected: [&[u64]; 9] = [
        &[1, 2, 3],
        &[1, 2, 3],
        &[1, 2, 3],
        &[1, 2],
        &[1, 2, 3],
        &[1, 2, 3, 4],
        &[1, 2, 3, 4],
        &[1, 2, 3, 4],
        &[1, 3, 4],
    ];
    assert_eq!(recipients, expected);
}

/// One pass for several bays says what a pass for each would, with the numbers of the log, sorted by (bay, user).
fn replay_of_several_bays_is_the_sum_of_each(mut world: World) {
    let group = world.talk();
    let source = BayId::of_channel(group);
    let replay = |dests| match world.read(&Query::Replay {
        source,
        after: 1,
        until: 8,
        dests,
        page: PageBounds { messages: 1000, bytes: usize::MAX },
    }) {
        Answer::Replay { deliveries, through } => (deliveries, through),
        other => panic!("{other:?}"),
    };
    let two = Bays::from_iter([2, 3].map(|user| BayId::of_user(UserId(user))));
    for dests in [Bays::ALL, two] {
        let (all, through) = replay(dests);
        assert_eq!(through, 8);
        let said = all.iter().flat_map(|(number, delivery)| {
            let key = |user: &UserId| (BayId::of_user(*user), *user);
            assert!(delivery.recipients.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])));
            delivery.recipients.iter().map(|user| (*number, delivery.channel, delivery.seq, user.0))
        });
        let mut said: Vec<_> = said.collect();
        let mut sum: Vec<_> = Vec::new();
        for dest in dests.iter() {
            for (number, delivery) in replay(Bays::from_iter([dest])).0 {
                sum.extend(
                    delivery.recipients.iter().map(|user| (number, delivery.channel, delivery.seq, user.0)),
                );
            }
        }
        said.sort_unstable();
        sum.sort_unstable();
        assert_eq!(said, sum);
        assert!(said.iter().all(|(number, ..)| (2..=8).contains(number)));
    }
    assert_eq!(replay(Bays(0)), (vec![], 8), "nobody's bay: the log is covered all the same");
}

fn replay_stops_at_log_rows(mut world: World) {
    let (a, b) = (ChannelId::direct(UserId(1), UserId(2)), UserId(1));
    let source = BayId::of_channel(a);
    let dests = Bays::from_iter([BayId::of_user(UserId(2))]);
    for _ in 0..5 {
        world.text(a, b, "text");
    }
    let replay = |after, messages, bytes| {
        let page = PageBounds { messages, bytes };
        match world.read(&Query::Replay { source, after, until: u64::MAX, dests, page }) {
            Answer::Replay { deliveries, through } => (deliveries.len(), through),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(replay(0, 2, usize::MAX), (2, 2));
    assert_eq!(replay(2, 2, usize::MAX), (2, 4));
    assert_eq!(replay(4, 2, usize::MAX), (1, 5));
    assert_eq!(replay(5, 2, usize::MAX), (0, 5));
    assert_eq!(replay(0, 0, 0), (1, 1));
    let Answer::Replay { deliveries, .. } =
        world.read(&Query::Replay { source, after: 0, until: u64::MAX, dests, page: PAGE })
    else {
        panic!()
    };
    let size = deliveries[0].1.frame.bytes().len();
    assert_eq!(replay(0, 9, size * 3), (3, 3));
    assert_eq!(replay(0, 9, size * 3 - 1), (2, 2));
    // Rows that concern other bays are covered without a delivery.
    let mut dests = Bays::ALL;
    for user in [1, 2] {
        dests.0 &= !Bays::from_iter([BayId::of_user(UserId(user))]).0;
    }
    let other = world.read(&Query::Replay { source, after: 0, until: u64::MAX, dests, page: PAGE });
    assert_eq!(other, Answer::Replay { deliveries: vec![], through: 5 });
}

fn replay_names_what_was_trimmed(mut world: World) {
    let channel = ChannelId::direct(UserId(1), UserId(2));
    let source = BayId::of_channel(channel);
    for _ in 0..5 {
        world.text(channel, UserId(1), "text");
    }
    let state = |world: &World| {
        let state = world.stores[0].state(source).unwrap();
        (state.fanout_tail, state.fanout_head)
    };
    world.deliver_all();
    assert_eq!(state(&world), (1, 5));
    world.commit(source, vec![Row::TrimFanout { below: 3 }]);
    assert_eq!(state(&world), (3, 5));
    world.trim(source);
    assert_eq!(state(&world), (5, 5));
    world.commit(source, vec![Row::TrimFanout { below: 2 }]);
    assert_eq!(state(&world), (5, 5));
    let replay = |after| Query::Replay { source, after, until: u64::MAX, dests: Bays::ALL, page: PAGE };
    assert!(world.corrupt(&replay(3)).contains("misses 4"));
    assert!(matches!(world.read(&replay(4)), Answer::Replay { through: 5, .. }));
    assert!(world.findings().iter().all(|line| line.starts_with("odd")), "{:?}", world.findings());
}

fn several_batches_in_one_commit(world: World) {
    let user = UserId(3);
    let (bay, device) = (BayId::of_user(user), DeviceId(1));
    let row = DeviceRow::default();
    let batch = |number, rows| Batch { shard: ShardId(0), number, parts: vec![Part { bay, rows }] };
    let batches = [
        batch(1, vec![Row::Device { user, device, row }]),
        batch(2, vec![Row::DeviceGone { user, device }, Row::Device { user, device: DeviceId(2), row }]),
        Batch { shard: ShardId(1), number: 1, parts: vec![] },
    ];
    world.stores[0].commit(&batches).unwrap();
    let Answer::User { devices, .. } = world.read(&Query::User(user)) else { panic!() };
    assert_eq!(devices, [(DeviceId(2), row)]);
    let stats = world.stores[0].stats();
    assert_eq!((stats.commits, stats.batches, stats.rows), (1, 3, 3));
    assert!(stats.memory_bytes > 0);
}

/// Each thread brings the rows of bays of its own, as a shard's writer does.
fn several_threads_commit_at_once(world: World) {
    const THREADS: u16 = 4;
    let store = &world.stores[0];
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for number in 1..=50u64 {
                    let own = BayId::all().filter(|bay| bay.0 % THREADS == thread);
                    let part = |bay: BayId| Part {
                        bay,
                        rows: vec![
                            Row::Fanout { number, messages: vec![] },
                            Row::TrimFanout { below: number },
                            Row::Marks { through: vec![(bay, number), (BayId(0), number * 2)] },
                        ],
                    };
                    let parts = own.map(part).collect();
                    store.commit(&[Batch { shard: ShardId(thread), number, parts }]).unwrap();
                }
            });
        }
    });
    for state in store.states().unwrap() {
        assert_eq!((state.fanout_tail, state.fanout_head), (50, 50), "bay {}", state.bay);
        assert_eq!(state.applied[usize::from(state.bay.0)], if state.bay.0 == 0 { 100 } else { 50 });
        assert_eq!(state.applied[0], 100);
    }
    assert_eq!(store.stats().commits, 200);
}

fn a_talk_is_clean(mut world: World) {
    world.talk();
    // Undelivered is not damage: the log covers it.
    assert_eq!(world.findings(), [""; 0]);
    let (sources, dests) = (world.sources(), Bays::from_iter([BayId::of_user(UserId(2))]));
    for source in &sources {
        world.deliver(*source, dests, PageBounds { messages: 1, bytes: 0 });
        assert_eq!(world.findings(), [""; 0]);
    }
    world.deliver_all();
    sources.into_iter().for_each(|source| world.trim(source));
    let mut findings = Vec::new();
    let summary = world.stores[0].check(&mut |finding| findings.push(finding)).unwrap();
    assert_eq!(findings, []);
    assert!(summary.is_clean());
    assert_eq!((summary.channels, summary.messages, summary.users, summary.members), (2, 14, 6, 4));
    assert_eq!(summary.pointers, 5 * 2 + 3 + 3 + 3 + 2 + 3 + 4 * 3 + 3);
}

#[test]
fn a_copy_shares_nothing() {
    let mut world = World::memory();
    world.talk();
    let copy = world.stores[0].copy().unwrap();
    let before = world::dump(&copy, &[UserId(1)], &[]);
    world.text(ChannelId::direct(UserId(1), UserId(2)), UserId(1), "later");
    world.deliver_all();
    assert_eq!(world::dump(&copy, &[UserId(1)], &[]), before);
    assert_ne!(world::dump(&world.stores[0], &[UserId(1)], &[]), before);
}
