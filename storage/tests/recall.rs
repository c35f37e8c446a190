//! Recalled texts, in memory and in RocksDB: no query finds what they said, whatever moves meanwhile, and the check says where a
//! store contradicts itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[macro_use]
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use protocol::body::about::{EditText, Pin, React, Recall, Recalled};
use protocol::body::talk::Talk;
use protocol::body::{Body, encode};
use protocol::commit::{About, Batch, Part, Said};
use protocol::query::{ANY_CONTENT, ListOrder, Pivot};
use protocol::{BayId, Bays, ChannelId, InboxSeq, Kind, SendId, Seq, ShardId, Stamp, UserId};
use storage::{Answer, Moved, PageBounds, Query, Row, Store, Tier};
use world::{PAGE, World};

const ONE: UserId = UserId(1);
const TWO: UserId = UserId(2);
const SECRET: &str = "the secret";

contract! {
    no_query_finds_what_was_said
    what_is_said_about_it_goes_with_it
    a_thread_outlives_its_root_and_a_recalled_answer_its_words
    once_more_changes_nothing
    a_resend_is_known_by_its_key_alone
    the_check_finds_a_recall_that_is_not_whole
    a_move_between_families_brings_nothing_back
    a_recall_falls_into_a_move_at_any_place
}

fn direct() -> ChannelId {
    ChannelId::direct(ONE, TWO)
}

fn say<T: Body>(world: &mut World, sender: UserId, body: &T) -> Seq {
    let frame = encode(world.next_send(), body);
    world.append(direct(), sender, &frame)
}

fn recall(world: &mut World, target: Seq) -> Seq {
    say(world, ONE, &Recall { channel: direct().0, target: target.0 })
}

/// A text about others, edited twice, reacted to, pinned and recalled; its seq, and that of the RECALL.
fn recalled(world: &mut World) -> (Seq, Seq) {
    world.account(ONE);
    world.account(TWO);
    let channel = direct().0;
    let root = world.text(direct(), TWO, "root");
    let talk = Talk { thread: Some(root), mentions: vec![TWO], ..Talk::default() };
    let frame = encode(world.next_send(), &talk.text(direct(), SECRET));
    let target = world.append(direct(), ONE, &frame);
    for _ in 0..2 {
        say(world, ONE, &EditText { channel, target: target.0, text: SECRET.into() });
    }
    for (user, emoji) in [(ONE, "👍"), (TWO, "👍"), (TWO, "👀")] {
        say(world, user, &React { channel, target: target.0, on: true, emoji: emoji.into() });
    }
    say(world, ONE, &Pin { channel, target: target.0, on: true });
    world.deliver_all();
    let by = recall(world, target);
    world.deliver_all();
    assert_eq!(world.findings(), [""; 0]);
    (target, by)
}

/// Everything that names a message, and what stands there in words.
fn all_queries(world: &World, (target, by): (Seq, Seq)) -> Vec<(Query, String)> {
    let (channel, page) = (direct(), PAGE);
    let (after, before, newest) = (Seq(0), Seq(u64::MAX), false);
    let mut all = vec![
        Query::History { channel, after, before, newest, page },
        Query::Window { channel, count: 100, since_ms: 0 },
        Query::Thread { channel, root: Seq(1), after, before, newest, counted: (Seq(1), by), page },
        Query::Target { channel, seq: target, user: ONE, edits: true },
        Query::Replay {
            source: BayId::of_channel(channel),
            after: 0,
            until: u64::MAX,
            dests: Bays::ALL,
            page,
        },
    ];
    for user in [ONE, TWO] {
        let readable = vec![(Seq(1), by)];
        all.push(Query::Inbox { user, after: InboxSeq(0), page });
        all.push(Query::Listing { user, order: ListOrder::Id(ChannelId(0)), limit: 9 });
        all.push(Query::Around { channel, user, readable, pivot: Pivot::Seq(target), page });
        all.push(Query::About { channel, from: Seq(1), through: by, user, who: false, page });
        all.push(Query::Mentions { user, before: InboxSeq(u64::MAX), limit: 9 });
        all.push(Query::Push { user, channel });
    }
    all.into_iter().map(|query| (query.clone(), format!("{:?}", world.read(&query)))).collect()
}

fn frames(world: &World, range: (u64, u64)) -> Vec<protocol::Frame> {
    let (after, before) = (Seq(range.0), Seq(range.1));
    let query = Query::History { channel: direct(), after, before, newest: false, page: PAGE };
    match world.read(&query) {
        Answer::History(frames) => frames,
        other => panic!("{other:?}"),
    }
}

/// As the debug words of a frame show its body.
fn shown(text: &str) -> String {
    let bytes = format!("{:?}", text.as_bytes());
    bytes.trim_matches(['[', ']']).to_owned()
}

fn no_query_finds_what_was_said(mut world: World) {
    let (target, by) = recalled(&mut world);
    for (query, answer) in all_queries(&world, (target, by)) {
        assert!(!answer.contains(&shown(SECRET)) && !answer.contains(SECRET), "{query:?}: {answer}");
    }
    // Such words would be found: an answer that holds a text shows it so.
    let text = world.text(direct(), ONE, SECRET);
    let answers = all_queries(&world, (text, text));
    assert!(answers.iter().any(|(_, answer)| answer.contains(&shown(SECRET))));
    let all = frames(&world, (0, u64::MAX));
    let kinds: Vec<Kind> = all.iter().map(protocol::Frame::kind).collect();
    let (text, gone, react) = (Kind::SEND_TEXT, Kind::RECALLED, Kind::REACT);
    let expected = [text, gone, gone, gone, react, react, react, Kind::PIN, Kind::RECALL, text];
    assert_eq!(kinds, expected);
    let says: Vec<Recalled> = all.iter().filter_map(Recalled::read).collect();
    assert!(says.iter().all(|says| (says.target, says.by, says.user) == (target.0, by.0, ONE.0)), "{says:?}");
    let stamps: Vec<Stamp> = all.iter().filter_map(protocol::Frame::read_stamp).collect();
    assert!(stamps.windows(2).all(|pair| pair[0].time_ms < pair[1].time_ms && pair[0].seq < pair[1].seq));
}

fn what_is_said_about_it_goes_with_it(mut world: World) {
    let (target, by) = recalled(&mut world);
    let page = PAGE;
    let query = Query::About { channel: direct(), from: Seq(1), through: by, user: TWO, who: true, page };
    assert_eq!(world.read(&query), Answer::About { pins: vec![], items: vec![], more: false });
    let query = Query::Target { channel: direct(), seq: target, user: TWO, edits: true };
    let Answer::Target { message, recalled, facts, edits } = world.read(&query) else { panic!() };
    assert_eq!(
        message.map(|(kind, sent)| (kind, sent.sender, sent.fingerprint)),
        Some((Kind::RECALLED, ONE, ANY_CONTENT))
    );
    assert_eq!((recalled.map(|says| says.by), facts, edits), (Some(by.0), Default::default(), vec![]));
    // Neighbours keep what is said of them.
    let other = world.text(direct(), TWO, "other");
    let emoji = "👍".to_owned();
    say(&mut world, TWO, &React { channel: direct().0, target: other.0, on: true, emoji: emoji.clone() });
    let text = world.text(direct(), ONE, "mine");
    recall(&mut world, text);
    let query =
        Query::About { channel: direct(), from: Seq(1), through: Seq(99), user: TWO, who: false, page };
    let Answer::About { items, .. } = world.read(&query) else { panic!() };
    assert_eq!(
        items.iter().map(|item| (item.seq, item.own.clone())).collect::<Vec<_>>(),
        [(other, vec![emoji])]
    );
    world.deliver_all();
    assert_eq!(world.findings(), [""; 0]);
}

fn a_thread_outlives_its_root_and_a_recalled_answer_its_words(mut world: World) {
    world.account(ONE);
    world.account(TWO);
    let root = world.text(direct(), ONE, "root");
    let talk = Talk { thread: Some(root), ..Talk::default() };
    let answers = [world.about(direct(), ONE, &talk), world.about(direct(), TWO, &talk)];
    recall(&mut world, root);
    recall(&mut world, answers[0]);
    world.deliver_all();
    let counted = (Seq(1), Seq(99));
    let (after, before) = (Seq(0), Seq(99));
    let query = Query::Thread { channel: direct(), root, after, before, newest: false, counted, page: PAGE };
    let Answer::Thread { frames, total: 2, .. } = world.read(&query) else { panic!() };
    assert_eq!(
        frames.iter().map(protocol::Frame::kind).collect::<Vec<_>>(),
        [Kind::RECALLED, Kind::SEND_TEXT]
    );
    assert_eq!(world.findings(), [""; 0]);
}

fn once_more_changes_nothing(mut world: World) {
    let (target, by) = recalled(&mut world);
    let before = frames(&world, (0, by.0 + 1));
    recall(&mut world, target);
    world.deliver_all();
    assert_eq!(frames(&world, (0, by.0 + 1)), before);
    assert_eq!(world.findings(), [""; 0]);
}

fn a_resend_is_known_by_its_key_alone(mut world: World) {
    let (target, _) = recalled(&mut world);
    let Answer::Window(sent) = world.read(&Query::Window { channel: direct(), count: 100, since_ms: 0 })
    else {
        panic!()
    };
    let any: Vec<u64> =
        sent.iter().filter(|one| one.fingerprint == ANY_CONTENT).map(|one| one.seq.0).collect();
    assert_eq!(any, [target.0, target.0 + 1, target.0 + 2], "the text and its edits");
    assert!(sent.iter().all(|one| one.send_id != SendId(0)));
}

/// The rows of one message of ONE, as the next batch of its channel.
fn commit(world: &mut World, rows: Vec<Row>) {
    world.commit(BayId::of_channel(direct()), rows);
}

fn the_check_finds_a_recall_that_is_not_whole(mut world: World) {
    let (target, by) = recalled(&mut world);
    let channel = direct();
    let found = |world: &World| world.findings().len();
    let history = frames(&world, (0, by.0 + 1));
    let tombstone = history[target.0 as usize - 1].clone();
    // The text is there still.
    let text = encode(2, &protocol::body::message::SendText { channel: channel.0, text: SECRET.into() });
    let text = text.stamp(tombstone.read_stamp().unwrap());
    commit(&mut world, vec![Row::Rewrite { channel, seq: target, frame: text }]);
    assert!(found(&world) > 0, "a recalled text that is there");
    commit(&mut world, vec![Row::Rewrite { channel, seq: target, frame: tombstone.clone() }]);
    assert_eq!(found(&world), 0);
    // An edit is.
    let edit_seq = target.next();
    let gone = history[edit_seq.0 as usize - 1].clone();
    let edit = encode(3, &EditText { channel: channel.0, target: target.0, text: SECRET.into() });
    let edit = edit.stamp(gone.read_stamp().unwrap());
    commit(&mut world, vec![Row::Rewrite { channel, seq: edit_seq, frame: edit }]);
    assert!(found(&world) > 0, "an edit of a recalled text that is there");
    commit(&mut world, vec![Row::Rewrite { channel, seq: edit_seq, frame: gone }]);
    assert_eq!(found(&world), 0);
    // It names a message that recalls nothing.
    let says = Recalled::read(&tombstone).unwrap();
    let wrong =
        Recalled { by: by.0 - 1, ..says }.tombstone(tombstone.send_id(), tombstone.read_stamp().unwrap());
    commit(&mut world, vec![Row::Rewrite { channel, seq: target, frame: wrong }]);
    assert!(found(&world) > 0, "recalled by another message");
    commit(&mut world, vec![Row::Rewrite { channel, seq: target, frame: tombstone }]);
    // What was said about it is there.
    let said = Said { edits: vec![], reactions: vec![("👍".into(), 1)] };
    let left = [
        About::Message { seq: target, said },
        About::Reactor { seq: target, user: TWO, emoji: vec!["👍".into()] },
    ];
    for about in left {
        commit(&mut world, vec![Row::About { channel, about }]);
        assert_eq!(found(&world), 1, "a row about a recalled text");
        let about = About::Recalled { seq: target, has_reactors: true };
        commit(&mut world, vec![Row::About { channel, about }]);
        assert_eq!(found(&world), 0);
    }
}

/// One recall in the middle of each kind of move, at whatever place that has come to.
fn a_move_between_families_brings_nothing_back(mut world: World) {
    world.account(ONE);
    world.account(TWO);
    for _ in 0..40 {
        world.text(direct(), ONE, SECRET);
    }
    world.deliver_all();
    let store = Arc::clone(&world.stores[0]);
    store.give_family(direct()).unwrap();
    let mut next = [3, 38, 20, 7, 33, 12, 27, 1, 40].into_iter();
    let mut gone = Vec::new();
    let mut step = |world: &mut World, gone: &mut Vec<u64>| {
        if let Some(target) = next.next() {
            recall(world, Seq(target));
            gone.push(target);
        }
        are_gone(world, gone);
    };
    for _ in 0..4 {
        store.move_messages(400).unwrap();
        step(&mut world, &mut gone);
    }
    while store.move_messages(400).unwrap() != Moved::Nothing {}
    are_gone(&world, &gone);
    store.return_family(direct()).unwrap();
    for _ in 0..4 {
        store.move_messages(400).unwrap();
        step(&mut world, &mut gone);
    }
    while store.move_messages(400).unwrap() != Moved::Nothing {}
    world.deliver_all();
    are_gone(&world, &gone);
    assert_eq!(world.findings(), [""; 0]);
}

fn are_gone(world: &World, gone: &[u64]) {
    for frame in frames(world, (0, u64::MAX)) {
        let seq = frame.read_stamp().unwrap().seq.0;
        assert_eq!(frame.kind() == Kind::RECALLED, gone.contains(&seq), "{seq}");
    }
}

/// A mover that never rests, and a writer that recalls: what it was told is gone stays gone, whichever came first.
fn a_recall_falls_into_a_move_at_any_place(mut world: World) {
    const TEXTS: u64 = 300;
    world.account(ONE);
    world.account(TWO);
    for _ in 0..TEXTS {
        world.text(direct(), ONE, SECRET);
    }
    world.deliver_all();
    let (store, is_done) = (Arc::clone(&world.stores[0]), Arc::new(AtomicBool::new(false)));
    let moves = Arc::new(AtomicU64::new(0));
    let mover = std::thread::spawn({
        let (store, is_done, moves) = (Arc::clone(&store), Arc::clone(&is_done), Arc::clone(&moves));
        move || {
            while !is_done.load(Ordering::Acquire) {
                match store.move_messages(300).unwrap() {
                    Moved::Messages(_) => drop(moves.fetch_add(1, Ordering::AcqRel)),
                    Moved::Nothing if store.families().is_empty() => {
                        drop(store.give_family(direct()).unwrap())
                    }
                    Moved::Nothing => store.return_family(direct()).unwrap(),
                    Moved::Switched | Moved::Waiting => std::thread::yield_now(),
                }
            }
        }
    });
    let until = Instant::now() + Duration::from_secs(60);
    for target in (1..=TEXTS).step_by(2) {
        // Something moves between any two recalls, on a machine that is busy with other things, too.
        let before = moves.load(Ordering::Acquire);
        while moves.load(Ordering::Acquire) == before {
            assert!(Instant::now() < until, "the mover moves nothing");
            std::thread::yield_now();
        }
        recall(&mut world, Seq(target));
        assert!(is_gone(&store, target), "{target}");
    }
    is_done.store(true, Ordering::Release);
    mover.join().unwrap();
    for target in 1..=TEXTS {
        assert_eq!(is_gone(&store, target), target % 2 == 1, "{target}");
    }
    while store.move_messages(1 << 20).unwrap() != Moved::Nothing {}
    assert!((1..=TEXTS).step_by(2).all(|target| is_gone(&store, target)));
    world.deliver_all();
    assert_eq!(world.findings(), [""; 0]);
}

fn is_gone(store: &Store, target: u64) -> bool {
    let (after, before) = (Seq(target - 1), Seq(target + 1));
    let page = PageBounds { messages: 1, bytes: 1 << 20 };
    let query = Query::History { channel: direct(), after, before, newest: false, page };
    match store.read(&query, Tier::Any).unwrap() {
        Some(Answer::History(frames)) => frames[0].kind() == Kind::RECALLED,
        other => panic!("{other:?}"),
    }
}

/// A row that rewrites belongs into the bay of its channel, like the message itself.
#[test]
fn a_rewrite_in_another_bay_is_refused() {
    let store = Store::memory();
    let (channel, seq) = (direct(), Seq(1));
    let recalled = Recalled { channel: channel.0, target: 1, by: 2, user: 1, time_ms: 3 };
    let frame = recalled.tombstone(SendId(4), Stamp { seq, time_ms: 5, sender: ONE });
    let bay = BayId((BayId::of_channel(channel).0 + 1) % 64);
    let parts = vec![Part { bay, rows: vec![Row::Rewrite { channel, seq, frame }] }];
    assert!(store.commit(&[Batch { shard: ShardId(0), number: 1, parts }]).is_err());
}
