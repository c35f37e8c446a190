//! Purged messages, in memory and in RocksDB: no query finds what they said, histories stay dense, what was said about them goes
//! too, and the check takes what is left for whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[macro_use]
mod world;

use std::sync::Arc;

use protocol::body::about::{EditText, Pin, React, Recalled};
use protocol::body::talk::Talk;
use protocol::body::{Body, encode};
use protocol::commit::{FloorRow, RetentionRow};
use protocol::query::{Cut, ListOrder, Pivot};
use protocol::{BayId, Bays, ChannelId, Frame, InboxSeq, Kind, Seq, UserId};
use storage::{Answer, Moved, PageBounds, Query, Row, Tier};
use world::{PAGE, World};

const ONE: UserId = UserId(1);
const TWO: UserId = UserId(2);
const SECRET: &str = "the secret";

contract! {
    no_query_finds_what_was_purged
    histories_stay_dense_in_every_page
    what_was_said_about_it_goes_and_nothing_else
    counts_and_lists_follow
    a_group_lives_on_without_its_first_messages
    all_of_a_channel_may_go
    what_a_purge_would_take
    a_purge_before_its_delivery
    a_purge_in_a_family_of_its_own
    a_retention_is_kept
    those_that_keep_something_are_listed_alone
}

fn direct() -> ChannelId {
    ChannelId::direct(ONE, TWO)
}

fn people(world: &mut World) {
    world.account(ONE);
    world.account(TWO);
}

fn say<T: Body>(world: &mut World, sender: UserId, body: &T) -> Seq {
    let frame = encode(world.next_send(), body);
    world.append(direct(), sender, &frame)
}

/// As a channel's home does: it asks, and writes what was answered.
fn purge(world: &mut World, channel: ChannelId, cut: Cut) -> FloorRow {
    let cut = Cut { younger_ms: u64::MAX, ..cut };
    let Answer::Floor { now, then, .. } = world.read(&Query::Floor { channel, cut }) else { panic!() };
    if then.below > now.below {
        world.commit(BayId::of_channel(channel), vec![Row::Floor { channel, from: now.below, row: then }]);
    }
    then
}

fn below(seq: u64) -> Cut {
    Cut { below: Seq(seq), ..Cut::default() }
}

fn history(
    world: &World,
    channel: ChannelId,
    (after, before): (u64, u64),
    newest: bool,
    most: u32,
) -> Vec<Frame> {
    let page = PageBounds { messages: most, ..PAGE };
    let query = Query::History { channel, after: Seq(after), before: Seq(before), newest, page };
    match world.read(&query) {
        Answer::History(frames) => frames,
        other => panic!("{other:?}"),
    }
}

fn seqs(frames: &[Frame]) -> Vec<u64> {
    frames.iter().map(|frame| frame.read_stamp().unwrap().seq.0).collect()
}

/// As the debug words of a frame show its body.
fn shown(text: &str) -> String {
    let bytes = format!("{:?}", text.as_bytes());
    bytes.trim_matches(['[', ']']).to_owned()
}

fn all_queries(world: &World, head: Seq) -> Vec<(Query, String)> {
    let (channel, page) = (direct(), PAGE);
    let (after, before) = (Seq(0), Seq(u64::MAX));
    let mut all = vec![
        Query::Window { channel, count: 100, since_ms: 0 },
        Query::Thread { channel, root: Seq(1), after, before, newest: false, counted: (Seq(1), head), page },
        Query::Replay {
            source: BayId::of_channel(channel),
            after: 0,
            until: u64::MAX,
            dests: Bays::ALL,
            page,
        },
        Query::Channel(channel),
    ];
    all.extend([false, true].map(|newest| Query::History { channel, after, before, newest, page }));
    for seq in 1..=head.0 {
        all.push(Query::Target { channel, seq: Seq(seq), user: ONE, edits: true });
    }
    for user in [ONE, TWO] {
        let readable = vec![(Seq(1), head)];
        all.push(Query::Inbox { user, after: InboxSeq(0), page });
        all.push(Query::Listing { user, order: ListOrder::Id(ChannelId(0)), limit: 9 });
        all.push(Query::About { channel, from: Seq(1), through: head, user, who: false, page });
        all.push(Query::Mentions { user, before: InboxSeq(u64::MAX), limit: 9 });
        all.push(Query::Push { user, channel });
        for pivot in [Pivot::Seq(Seq(2)), Pivot::Time(1), Pivot::Unread] {
            all.push(Query::Around { channel, user, readable: readable.clone(), pivot, page });
        }
    }
    all.into_iter().map(|query| (query.clone(), format!("{:?}", world.read(&query)))).collect()
}

/// Five secrets, one of them in a thread, edited, reacted to and pinned.
fn secrets(world: &mut World) -> Seq {
    people(world);
    let channel = direct().0;
    let root = world.text(direct(), TWO, SECRET);
    let talk = Talk { thread: Some(root), mentions: vec![TWO], ..Talk::default() };
    let frame = encode(world.next_send(), &talk.text(direct(), SECRET));
    let target = world.append(direct(), ONE, &frame).0;
    say(world, ONE, &EditText { channel, target, text: SECRET.into() });
    say(world, TWO, &React { channel, target, on: true, emoji: "👀".into() });
    say(world, TWO, &Pin { channel, target, on: true });
    world.deliver_all();
    assert_eq!(world.findings(), [""; 0]);
    world.heads[&direct()]
}

fn no_query_finds_what_was_purged(mut world: World) {
    let head = secrets(&mut world);
    assert!(all_queries(&world, head).iter().any(|(_, answer)| answer.contains(&shown(SECRET))));
    world.text(direct(), ONE, "this stays");
    world.deliver_all();
    purge(&mut world, direct(), below(6));
    for (query, answer) in all_queries(&world, Seq(6)) {
        assert!(!answer.contains(&shown(SECRET)) && !answer.contains(SECRET), "{query:?}: {answer}");
    }
    let all = history(&world, direct(), (0, u64::MAX), false, 200);
    assert_eq!(seqs(&all), [1, 2, 3, 4, 5, 6]);
    assert!(all[..5].iter().all(|frame| Recalled::read(frame).is_some_and(|says| says.is_purge())));
    assert_eq!(all[5].kind(), Kind::SEND_TEXT);
    let times: Vec<u64> = all.iter().map(|frame| frame.read_stamp().unwrap().time_ms).collect();
    assert!(times.is_sorted() && times[0] == times[4] && times[4] < times[5], "{times:?}");
    assert_eq!(world.findings(), [""; 0]);
}

fn histories_stay_dense_in_every_page(mut world: World) {
    people(&mut world);
    for number in 1..=12 {
        world.text(direct(), ONE, &number.to_string());
    }
    world.deliver_all();
    for floor in [4, 5, 9, 13] {
        assert_eq!(purge(&mut world, direct(), below(floor)).below, Seq(floor));
        // It only rises.
        assert_eq!(purge(&mut world, direct(), below(floor - 1)).below, Seq(floor));
        for after in 0..=12 {
            for before in after + 1..=13 {
                for most in [1, 3, 200] {
                    let wanted: Vec<u64> = (after + 1..before).collect();
                    let few = wanted.len().min(most as usize);
                    let rising = history(&world, direct(), (after, before), false, most);
                    assert_eq!(seqs(&rising), wanted[..few], "{floor}: {after}..{before}");
                    let falling = history(&world, direct(), (after, before), true, most);
                    assert_eq!(seqs(&falling), wanted[wanted.len() - few..], "{floor}: {after}..{before}");
                    let gone = |frame: &Frame| frame.kind() == Kind::RECALLED;
                    let both = rising.iter().chain(&falling);
                    assert!(both.clone().all(|f| gone(f) == (f.read_stamp().unwrap().seq.0 < floor)));
                }
            }
        }
        assert_eq!(world.findings(), [""; 0], "{floor}");
    }
    // And it goes on behind.
    assert_eq!(world.text(direct(), TWO, "13"), Seq(13));
    world.deliver_all();
    assert_eq!(seqs(&history(&world, direct(), (11, u64::MAX), false, 9)), [12, 13]);
    assert_eq!(world.findings(), [""; 0]);
}

fn what_was_said_about_it_goes_and_nothing_else(mut world: World) {
    let head = secrets(&mut world);
    let channel = direct().0;
    let other = world.text(direct(), TWO, "other").0;
    say(&mut world, ONE, &React { channel, target: other, on: true, emoji: "👍".into() });
    say(&mut world, ONE, &Pin { channel, target: other, on: true });
    world.deliver_all();
    purge(&mut world, direct(), below(head.0 + 1));
    let query =
        Query::About { channel: direct(), from: Seq(1), through: Seq(99), user: ONE, who: true, page: PAGE };
    let Answer::About { pins, items, more } = world.read(&query) else { panic!() };
    assert_eq!(items.iter().map(|item| item.seq.0).collect::<Vec<_>>(), [other]);
    assert_eq!((pins.iter().map(|pin| pin.seq.0).collect::<Vec<_>>(), more), (vec![other], false));
    let target = Query::Target { channel: direct(), seq: Seq(2), user: ONE, edits: true };
    let Answer::Target { recalled, facts, edits, .. } = world.read(&target) else { panic!() };
    assert!(recalled.is_some_and(|says| says.is_purge()));
    assert_eq!((facts.said, edits, facts.pins.len()), (Default::default(), vec![], 1));
    assert_eq!(world.findings(), [""; 0]);
    // An act about a message that is gone leaves no row: what comes behind the floor is about what is there.
    purge(&mut world, direct(), below(other + 1));
    let Answer::About { pins, items, .. } = world.read(&query) else { panic!() };
    assert_eq!((pins, items), (vec![], vec![]));
    assert_eq!(world.findings(), [""; 0]);
}

fn counts_and_lists_follow(mut world: World) {
    secrets(&mut world);
    for number in 0..3 {
        world.text(direct(), ONE, &number.to_string());
    }
    world.deliver_all();
    let listed = |world: &World| {
        let query = Query::Listing { user: TWO, order: ListOrder::Id(ChannelId(0)), limit: 9 };
        let Answer::Listing(listing) = world.read(&query) else { panic!() };
        let (item, detail) = listing.items[0].clone();
        (item.unread, detail.mentions, detail.last_seq)
    };
    let mentions = |world: &World| {
        let query = Query::Mentions { user: TWO, before: InboxSeq(u64::MAX), limit: 9 };
        let Answer::Mentions { items, unread, more } = world.read(&query) else { panic!() };
        (items.len(), unread.iter().map(|(_, count)| *count).sum::<u32>(), more)
    };
    assert_eq!((listed(&world).1, mentions(&world)), (1, (1, 1, false)));
    purge(&mut world, direct(), below(7));
    assert_eq!((listed(&world), mentions(&world)), ((2, 0, 8), (0, 0, false)));
    purge(&mut world, direct(), below(9));
    assert_eq!((listed(&world), mentions(&world)), ((0, 0, 0), (0, 0, false)));
    let job = Query::Push { user: TWO, channel: direct() };
    assert!(matches!(world.read(&job), Answer::Push(_)));
    assert_eq!(world.findings(), [""; 0]);
}

fn a_group_lives_on_without_its_first_messages(mut world: World) {
    for user in 1..=4 {
        world.account(UserId(user));
    }
    let group = world.create(ONE, &[2, 3], "first");
    world.remove(group, TWO, TWO);
    world.rename(group, ONE, "second");
    world.add(group, ONE, TWO);
    let last = world.text(group, TWO, "here").0;
    world.deliver_all();
    for floor in 2..=last + 1 {
        purge(&mut world, group, below(floor));
        assert_eq!(world.findings(), [""; 0], "{floor}");
        let Answer::Channel { row, members, head, time_ms, .. } = world.read(&Query::Channel(group)) else {
            panic!()
        };
        assert_eq!((row.unwrap().name.as_str(), members.len(), head.0), ("second", 3, last));
        assert!(time_ms > 0);
    }
    // What ended a stay nobody knows any more: who left is invited, and not put back unasked.
    world.remove(group, ONE, UserId(3));
    let left = world.heads[&group];
    purge(&mut world, group, below(left.0 + 1));
    let users: Arc<[UserId]> = vec![UserId(3)].into();
    let Answer::Earlier(earlier) = world.read(&Query::Earlier { channel: group, users }) else { panic!() };
    assert_eq!(earlier[0].ended, protocol::query::Ended::Left);
    world.rename(group, ONE, "third");
    world.deliver_all();
    assert_eq!(world.findings(), [""; 0]);
}

fn all_of_a_channel_may_go(mut world: World) {
    let head = secrets(&mut world);
    let floor = purge(&mut world, direct(), Cut { keep: Some(0), ..Cut::default() });
    assert_eq!(floor.below, head.next());
    let Answer::Channel { head: found, time_ms, .. } = world.read(&Query::Channel(direct())) else {
        panic!()
    };
    assert_eq!((found, time_ms), (head, floor.time_ms));
    assert_eq!(
        world.read(&Query::Window { channel: direct(), count: 9, since_ms: 0 }),
        Answer::Window(vec![])
    );
    assert_eq!(world.findings(), [""; 0]);
    let next = world.text(direct(), ONE, "again");
    assert_eq!(next, head.next());
    world.deliver_all();
    assert_eq!(world.findings(), [""; 0]);
}

fn what_a_purge_would_take(mut world: World) {
    people(&mut world);
    let mut times = Vec::new();
    for number in 0..10 {
        world.pass(1000);
        let seq = world.text(direct(), ONE, &number.to_string());
        times.push(
            history(&world, direct(), (seq.0 - 1, seq.0 + 1), false, 1)[0].read_stamp().unwrap().time_ms,
        );
    }
    world.deliver_all();
    let would = |world: &World, cut: Cut| {
        let Answer::Floor { now, then, head, .. } = world.read(&Query::Floor { channel: direct(), cut })
        else {
            panic!()
        };
        assert!(head == Seq(10) && then.below >= now.below);
        if then.below > now.below {
            assert_eq!(then.time_ms, times[then.below.0 as usize - 2]);
        }
        then.below.0
    };
    let all = Cut { younger_ms: u64::MAX, ..Cut::default() };
    for (cut, expected) in [
        (all, 0),
        (Cut { below: Seq(1), ..all }, 0),
        (Cut { below: Seq(4), ..all }, 4),
        (Cut { below: Seq(99), ..all }, 11),
        (Cut { before_ms: times[2], ..all }, 3),
        (Cut { before_ms: times[2] + 1, ..all }, 4),
        (Cut { before_ms: u64::MAX, ..all }, 11),
        (Cut { keep: Some(10), ..all }, 0),
        (Cut { keep: Some(11), ..all }, 0),
        (Cut { keep: Some(3), ..all }, 8),
        (Cut { keep: Some(0), below: Seq(2), ..all }, 11),
        (Cut { keep: Some(0), younger_ms: times[5], ..all }, 6),
        (Cut { keep: Some(0), younger_ms: 0, ..all }, 0),
        (Cut { keep: Some(0), most: 2, ..all }, 3),
    ] {
        assert_eq!(would(&world, cut), expected, "{cut:?}");
    }
    purge(&mut world, direct(), below(5));
    assert_eq!(would(&world, Cut { below: Seq(3), ..all }), 5);
    assert_eq!(would(&world, Cut { keep: Some(0), most: 2, ..all }), 7);
    assert_eq!(would(&world, Cut { before_ms: times[1], ..all }), 5);
    let stranger = ChannelId::direct(UserId(8), UserId(9));
    let query = Query::Floor { channel: stranger, cut: Cut { keep: Some(0), ..all } };
    let Answer::Floor { then, head, .. } = world.read(&query) else { panic!() };
    assert_eq!((then.below, head), (Seq(0), Seq(0)));
}

/// What was purged before it was delivered is delivered as it is now: dense, and to those who were to have it.
fn a_purge_before_its_delivery(mut world: World) {
    for user in 1..=3 {
        world.account(UserId(user));
    }
    let group = world.create(ONE, &[2], "team");
    let last = world.text(group, TWO, SECRET).0;
    purge(&mut world, group, below(last + 1));
    world.deliver_all();
    for user in [ONE, TWO] {
        let query = Query::Inbox { user, after: InboxSeq(0), page: PAGE };
        let Answer::Inbox { frames, through } = world.read(&query) else { panic!() };
        assert_eq!((frames.len() as u64, through.0), (last, last));
    }
    assert_eq!(world.inboxes.len(), 2, "nobody else is sent anything: {:?}", world.inboxes);
    assert_eq!(world.findings(), [""; 0]);
}

/// Files go, and what a move has left behind does not come back, whenever the purge falls.
fn a_purge_in_a_family_of_its_own(mut world: World) {
    people(&mut world);
    for _ in 0..60 {
        world.text(direct(), ONE, SECRET);
    }
    world.deliver_all();
    let store = Arc::clone(&world.stores[0]);
    store.give_family(direct()).unwrap();
    let mut floor = 2;
    let mut step = |world: &mut World| {
        floor += 3;
        purge(world, direct(), below(floor));
        let all = history(world, direct(), (0, u64::MAX), false, 200);
        assert_eq!(all.len(), 60);
        for frame in &all {
            assert_eq!(frame.kind() == Kind::RECALLED, frame.read_stamp().unwrap().seq.0 < floor);
        }
    };
    for _ in 0..3 {
        store.move_messages(400).unwrap();
        step(&mut world);
    }
    while store.move_messages(400).unwrap() != Moved::Nothing {}
    step(&mut world);
    while store.move_messages(400).unwrap() != Moved::Nothing {}
    step(&mut world);
    assert_eq!(world.findings(), [""; 0]);
    store.return_family(direct()).unwrap();
    for _ in 0..3 {
        store.move_messages(400).unwrap();
        step(&mut world);
    }
    while store.move_messages(400).unwrap() != Moved::Nothing {}
    step(&mut world);
    store.give_family(direct()).unwrap();
    purge(&mut world, direct(), Cut { keep: Some(0), ..Cut::default() });
    while store.move_messages(400).unwrap() != Moved::Nothing {}
    assert_eq!(history(&world, direct(), (0, u64::MAX), true, 200).len(), 60);
    assert_eq!(world.findings(), [""; 0]);
}

fn a_retention_is_kept(mut world: World) {
    people(&mut world);
    world.text(direct(), ONE, "hello");
    world.deliver_all();
    let (channel, bay) = (direct(), BayId::of_channel(direct()));
    let kept = |world: &World| {
        let Answer::Floor { retention, .. } = world.read(&Query::Floor { channel, cut: Cut::default() })
        else {
            panic!()
        };
        retention
    };
    assert_eq!(kept(&world), None);
    let row = Some(RetentionRow { days: 7, messages: 0 });
    world.commit(bay, vec![Row::Retention { channel, row }]);
    assert_eq!(kept(&world), row);
    assert_eq!(world.findings(), [""; 0]);
    world.commit(bay, vec![Row::Retention { channel, row: None }]);
    assert_eq!(kept(&world), None);
}

fn those_that_keep_something_are_listed_alone(mut world: World) {
    for user in 1..=40 {
        world.account(UserId(user));
    }
    let channels: Vec<ChannelId> = (2..=40).map(|user| ChannelId::direct(ONE, UserId(user))).collect();
    for channel in &channels {
        world.text(*channel, ONE, "hello");
    }
    world.deliver_all();
    let listed = |world: &World, limit: usize| {
        let mut all = Vec::new();
        for bay in BayId::all() {
            let mut after = None;
            loop {
                let page = world.stores[0].keeps(bay, after, limit).unwrap();
                assert!(
                    page.len() <= limit && page.iter().all(|keeps| BayId::of_channel(keeps.channel) == bay)
                );
                after = page.last().map(|last| last.channel);
                let is_last = page.len() < limit;
                all.extend(page);
                if is_last {
                    break;
                }
            }
        }
        all
    };
    assert_eq!(listed(&world, 1), []);
    let row = Some(RetentionRow { days: 7, messages: 3 });
    for (at, channel) in channels.iter().enumerate() {
        if at % 3 == 1 {
            purge(&mut world, *channel, below(2));
        }
        if at % 2 == 1 {
            world.commit(BayId::of_channel(*channel), vec![Row::Retention { channel: *channel, row }]);
        }
    }
    for limit in [1, 2, 100] {
        let mut found = listed(&world, limit);
        found.sort_by_key(|keeps| channels.iter().position(|channel| *channel == keeps.channel));
        let expected: Vec<ChannelId> = channels
            .iter()
            .enumerate()
            .filter(|(at, _)| at % 3 == 1 || at % 2 == 1)
            .map(|(_, id)| *id)
            .collect();
        assert_eq!(found.iter().map(|keeps| keeps.channel).collect::<Vec<_>>(), expected, "{limit}");
        for keeps in found {
            let at = channels.iter().position(|channel| *channel == keeps.channel).unwrap();
            assert_eq!((keeps.floor.below == Seq(2), keeps.retention.is_some()), (at % 3 == 1, at % 2 == 1));
        }
    }
    assert_eq!(world.findings(), [""; 0]);
}

/// After a restart the floor is where it was, also where files of a family of its own are gone.
#[cfg(feature = "rocks")]
#[test]
fn a_floor_outlives_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let open = || storage::Store::open(dir.path(), &storage::Options::default()).unwrap();
    let mut world = World::new(vec![Arc::new(open())]);
    people(&mut world);
    for _ in 0..200 {
        world.text(direct(), ONE, &SECRET.repeat(50));
    }
    world.deliver_all();
    let store = Arc::clone(&world.stores[0]);
    store.give_family(direct()).unwrap();
    while store.move_messages(4000).unwrap() != Moved::Nothing {}
    purge(&mut world, direct(), below(151));
    while store.move_messages(4000).unwrap() != Moved::Nothing {}
    drop((world, store));
    let store = open();
    let query =
        Query::History { channel: direct(), after: Seq(0), before: Seq(u64::MAX), newest: false, page: PAGE };
    let Some(Answer::History(frames)) = store.read(&query, Tier::Any).unwrap() else { panic!() };
    assert_eq!(frames.len(), 200);
    assert_eq!(frames.iter().filter(|frame| frame.kind() == Kind::RECALLED).count(), 150);
    assert_eq!(world::findings(&store), [""; 0]);
}

/// A row that stands below its floor, and a floor of another bay, are found.
#[test]
fn the_check_finds_what_a_purge_has_left() {
    let mut world = World::memory();
    people(&mut world);
    for _ in 0..4 {
        world.text(direct(), ONE, SECRET);
    }
    world.deliver_all();
    let first = history(&world, direct(), (0, 2), false, 1)[0].clone();
    purge(&mut world, direct(), below(3));
    assert_eq!(world.findings(), [""; 0]);
    world.commit(
        BayId::of_channel(direct()),
        vec![Row::Rewrite { channel: direct(), seq: Seq(1), frame: first }],
    );
    assert!(!world.findings().is_empty(), "a message below the floor");
}

/// A floor above the newest message, and one of a channel of which nobody has heard: the log names fewer messages.
#[test]
fn the_check_finds_a_floor_that_is_too_high() {
    let mut world = World::memory();
    people(&mut world);
    world.text(direct(), ONE, SECRET);
    world.deliver_all();
    let row = FloorRow { below: Seq(3), time_ms: 1 };
    for channel in [direct(), ChannelId::direct(TWO, UserId(3))] {
        let bay = BayId::of_channel(channel);
        world.commit(bay, vec![Row::Floor { channel, from: Seq(0), row }]);
        let found = world.findings();
        assert!(
            found.iter().any(|found| found.contains("the whole fan-out log names")),
            "{channel:?}: {found:?}"
        );
    }
}
