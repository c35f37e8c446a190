use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64 as Number;

use protocol::body::about::{EditText, Recall, Recalled};
use protocol::body::message::SendText;
use protocol::body::{Body, encode};
use protocol::commit::{FloorRow, IntervalRow, Part};
use protocol::{Generation, Seq, ShardId, Stamp};
use search::Sought;

use super::*;

/// A store in memory, a directory, and a shard that only numbers.
struct World {
    data: Arc<Store>,
    dir: tempfile::TempDir,
    has_room: Arc<AtomicBool>,
    logs: Mutex<HashMap<BayId, u64>>,
    heads: Mutex<HashMap<ChannelId, u64>>,
    batches: Number,
}

const ANN: UserId = UserId(1);
const BOB: UserId = UserId(2);

impl World {
    fn new() -> Self {
        Self {
            data: Arc::new(Store::memory()),
            dir: tempfile::tempdir().unwrap(),
            has_room: Arc::new(AtomicBool::new(true)),
            logs: Mutex::default(),
            heads: Mutex::default(),
            batches: Number::new(0),
        }
    }

    fn start(&self) -> (Search, Following) {
        let has_room = self.has_room.clone();
        Search::start(&self.data, self.dir.path(), move |_| has_room.load(Ordering::Acquire)).unwrap()
    }

    fn commit(&self, search: Option<&Search>, bay: BayId, rows: Vec<Row>) {
        let number = self.batches.fetch_add(1, Ordering::AcqRel) + 1;
        let batch = Batch { shard: ShardId(0), number, parts: vec![Part { bay, rows }] };
        self.data.commit(std::slice::from_ref(&batch)).unwrap();
        if let Some(search) = search {
            search.committed(&[batch]);
        }
    }

    /// A message at the end of its channel; its seq.
    fn say(&self, search: Option<&Search>, channel: ChannelId, text: &str) -> u64 {
        self.send(search, channel, &SendText { channel: channel.0, text: text.into() })
    }

    fn send<T: Body>(&self, search: Option<&Search>, channel: ChannelId, body: &T) -> u64 {
        let bay = BayId::of_channel(channel);
        let (mut logs, mut heads) = (self.logs.lock().unwrap(), self.heads.lock().unwrap());
        let (number, seq) = (logs.entry(bay).or_default(), heads.entry(channel).or_default());
        (*number, *seq) = (*number + 1, *seq + 1);
        let frame = encode(*seq, body);
        let stamp = Stamp { seq: Seq(*seq), time_ms: 1000 + *seq, sender: ANN };
        let message = Row::Message { channel, seq: Seq(*seq), frame: frame.stamp(stamp) };
        let fanout = Row::Fanout { number: *number, messages: vec![(channel, Seq(*seq))] };
        self.commit(search, bay, vec![message, fanout]);
        *seq
    }

    /// Takes message `target` back, and its edits.
    fn recall(&self, search: Option<&Search>, channel: ChannelId, target: u64, edits: &[u64]) {
        let bay = BayId::of_channel(channel);
        let (mut logs, mut heads) = (self.logs.lock().unwrap(), self.heads.lock().unwrap());
        let (number, seq) = (logs.entry(bay).or_default(), heads.entry(channel).or_default());
        (*number, *seq) = (*number + 1, *seq + 1);
        let stamp = |seq: u64| Stamp { seq: Seq(seq), time_ms: 1000 + seq, sender: ANN };
        let frame = encode(*seq, &Recall { channel: channel.0, target }).stamp(stamp(*seq));
        let recalled = Recalled::of(&frame).unwrap();
        let rewrite = |seq: &u64| {
            let frame = recalled.tombstone(protocol::SendId(*seq), stamp(*seq));
            Row::Rewrite { channel, seq: Seq(*seq), frame }
        };
        let mut rows: Vec<Row> = std::iter::once(&target).chain(edits).map(rewrite).collect();
        rows.push(Row::Message { channel, seq: Seq(*seq), frame });
        rows.push(Row::Fanout { number: *number, messages: vec![(channel, Seq(*seq))] });
        self.commit(search, bay, rows);
    }

    /// What is below a seq is gone.
    fn purge(&self, search: Option<&Search>, channel: ChannelId, below: u64) {
        let from = self.data.floor(channel).unwrap().below;
        let row = FloorRow { below: Seq(below), time_ms: 1000 + below - 1 };
        self.commit(search, BayId::of_channel(channel), vec![Row::Floor { channel, from, row }]);
    }

    fn trim(&self, channel: ChannelId) {
        let bay = BayId::of_channel(channel);
        let below = *self.logs.lock().unwrap().get(&bay).unwrap();
        self.commit(None, bay, vec![Row::TrimFanout { below }]);
    }

    fn lists(&self, user: UserId, channel: ChannelId) {
        self.commit(None, BayId::of_user(user), vec![Row::Joined { user, channel, joined: Seq(1) }]);
    }

    fn stays(&self, user: UserId, channel: ChannelId, joined: u64, left: Option<u64>) {
        let row = IntervalRow { left: left.map(Seq), ..IntervalRow::default() };
        let row = Row::Interval { channel, user, joined: Seq(joined), row };
        self.commit(None, BayId::of_channel(channel), vec![row]);
    }
}

fn direct() -> ChannelId {
    ChannelId::direct(ANN, BOB)
}

fn asked(words: &str) -> Asked {
    Asked::of(Sought::parse(words).unwrap())
}

/// The seqs that a user finds; none while the index is away.
fn found(search: &Search, user: UserId, words: &str) -> Vec<u64> {
    let found = search.find(user, &asked(words)).map(|found| found.hits).unwrap_or_default();
    let mut seqs: Vec<u64> = found.iter().map(|hit| hit.seq.0).collect();
    seqs.sort_unstable();
    seqs
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn until_found(search: &Search, user: UserId, words: &str, expected: &[u64]) {
    eventually(&format!("{words} at {expected:?}"), || found(search, user, words) == expected);
}

#[test]
fn an_edited_text_is_found_as_it_reads_now_and_where_it_stands() {
    let world = World::new();
    world.lists(ANN, direct());
    let (search, following) = world.start();
    world.say(Some(&search), direct(), "at noon");
    until_found(&search, ANN, "noon", &[1]);
    let edit = |text: &str| EditText { channel: direct().0, target: 1, text: text.into() };
    world.send(Some(&search), direct(), &edit("at midnight"));
    until_found(&search, ANN, "midnight", &[1]);
    assert_eq!(found(&search, ANN, "noon"), [0; 0]);
    following.end();
    // Said and edited while nobody follows.
    world.say(None, direct(), "at dawn");
    world.send(None, direct(), &edit("at dusk"));
    let (search, following) = world.start();
    until_found(&search, ANN, "dusk", &[1]);
    assert_eq!((found(&search, ANN, "midnight"), found(&search, ANN, "dawn")), (vec![], vec![3]));
    following.end();
}

#[test]
fn a_recalled_text_is_found_no_more_not_even_before_the_index_hears_of_it() {
    let world = World::new();
    world.lists(ANN, direct());
    let (search, following) = world.start();
    world.say(Some(&search), direct(), "at noon");
    world.say(Some(&search), direct(), "at noon too");
    until_found(&search, ANN, "noon", &[1, 2]);
    let edit = |text: &str| EditText { channel: direct().0, target: 1, text: text.into() };
    world.send(Some(&search), direct(), &edit("at midnight"));
    until_found(&search, ANN, "midnight", &[1]);
    following.end();
    // Nobody follows: the index has the text still, and the store says that it is gone.
    world.recall(None, direct(), 1, &[3]);
    assert_eq!((found(&search, ANN, "midnight"), found(&search, ANN, "noon")), (vec![], vec![2]));
    let before = search.meter().read().sizes.documents;
    drop(search);
    let (search, following) = world.start();
    eventually("the index has heard of it", || search.meter().read().sizes.documents < before);
    assert_eq!((found(&search, ANN, "midnight"), found(&search, ANN, "noon")), (vec![], vec![2]));
    following.end();
    // And one that is made anew has never heard of the text. What the old one does beside may end a moment later.
    drop(search);
    eventually("its files are gone", || std::fs::remove_dir_all(world.dir.path().join(DIRECTORY)).is_ok());
    let (search, following) = world.start();
    until_found(&search, ANN, "noon", &[2]);
    assert_eq!(found(&search, ANN, "midnight"), [0; 0]);
    following.end();
}

#[test]
fn what_is_committed_is_found_and_once_after_a_restart() {
    let world = World::new();
    world.lists(ANN, direct());
    let (search, following) = world.start();
    world.say(Some(&search), direct(), "한글날 행사");
    until_found(&search, ANN, "한글", &[1]);
    assert_eq!(found(&search, BOB, "한글"), [0; 0], "it is not on the list of the other yet");
    following.end();
    // Said while nobody follows, as between a crash and a start.
    world.say(None, direct(), "한글 다시");
    let (search, following) = world.start();
    world.trim(direct());
    until_found(&search, ANN, "한글", &[1, 2]);
    assert_eq!(search.meter().read().changes, 1, "it went on from where it was");
    following.end();
}

#[test]
fn whoever_sleeps_is_woken() {
    let world = World::new();
    world.lists(ANN, direct());
    let (search, following) = world.start();
    for n in 1..=3 {
        eventually("there is nothing to do", || {
            search.meter().read().rebuilding == 0 && search.0.grown.load(Ordering::Acquire) == 0
        });
        world.say(Some(&search), direct(), "hello");
        until_found(&search, ANN, "hello", &(1..=n).collect::<Vec<_>>());
    }
    following.end();
}

#[test]
fn what_was_taken_is_committed_at_the_end() {
    let world = World::new();
    world.lists(ANN, direct());
    let (search, following) = world.start();
    for n in 0..100 {
        world.say(Some(&search), direct(), &format!("number{n}"));
    }
    eventually("all are taken", || search.meter().read().changes == 100);
    following.end();
    assert_eq!(found(&search, ANN, "number99"), [100]);
}

#[test]
fn a_directory_that_was_removed_is_made_again() {
    let world = World::new();
    world.lists(ANN, direct());
    for n in 1..=5 {
        world.say(None, direct(), &format!("hello number{n}"));
    }
    let other = ChannelId::direct(UserId(7), UserId(8));
    world.say(None, other, "hello elsewhere");
    world.trim(direct());
    for _ in 0..2 {
        let (search, following) = world.start();
        until_found(&search, ANN, "hello", &[1, 2, 3, 4, 5]);
        eventually("all is looked at", || {
            let counts = search.meter().read();
            counts.rebuilding == 0 && counts.sizes.documents == 6
        });
        following.end();
        std::fs::remove_dir_all(world.dir.path().join(DIRECTORY)).unwrap();
    }
}

#[test]
fn a_log_that_does_not_reach_back_is_no_gap_and_no_repeat() {
    let world = World::new();
    world.lists(ANN, direct());
    let (search, following) = world.start();
    world.say(Some(&search), direct(), "hello");
    until_found(&search, ANN, "hello", &[1]);
    following.end();
    // Nobody keeps the log now, as where search was off for a while.
    world.data.keep_log(BayId::of_channel(direct()), u64::MAX);
    for _ in 2..=40 {
        world.say(None, direct(), "hello");
    }
    world.trim(direct());
    let (search, following) = world.start();
    // More comes while histories are read.
    for _ in 41..=60 {
        world.say(Some(&search), direct(), "hello");
    }
    until_found(&search, ANN, "hello", &(1..=60).collect::<Vec<_>>());
    // What is found is counted a moment later.
    eventually("each is there once", || {
        let counts = search.meter().read();
        (counts.sizes.documents, counts.changes) == (60, 59)
    });
    following.end();
}

#[test]
fn an_index_of_another_past_is_made_anew() {
    let world = World::new();
    world.lists(ANN, direct());
    let (search, following) = world.start();
    world.say(Some(&search), direct(), "hello");
    until_found(&search, ANN, "hello", &[1]);
    following.end();
    // As a restored backup is: another life, in which seq 1 may be another message.
    world.data.begin_life(BayId::of_channel(direct()), Generation(9)).unwrap();
    let (search, following) = world.start();
    eventually("it is read again", || search.meter().read().changes == 1);
    until_found(&search, ANN, "hello", &[1]);
    following.end();
}

#[test]
fn an_index_of_another_past_is_made_anew_also_where_it_had_only_begun() {
    let world = World::new();
    world.lists(ANN, direct());
    let bay = BayId::of_channel(direct());
    world.data.begin_life(bay, Generation(8)).unwrap();
    world.say(None, direct(), "hello");
    // What a crash leaves while histories are read: some of a bay's, and no place in its log.
    let (mut index, _) = search::Index::open(&world.dir.path().join(DIRECTORY)).unwrap();
    let begun = SendText { channel: direct().0, text: "of another past".into() };
    let frame = encode(1, &begun).stamp(Stamp { seq: Seq(1), time_ms: 1, sender: ANN });
    index.apply(change::of(direct(), &frame).unwrap()).unwrap();
    let mut places = search::Places::default();
    places.set(bay, Some(search::Place { generation: Generation(8), number: None }));
    index.commit(&places).unwrap();
    drop(index);
    let (search, following) = world.start();
    eventually("it is compared", || search.meter().read().rebuilding == 0);
    assert_eq!((found(&search, ANN, "past"), search.meter().read().changes), (vec![1], 0), "the same past");
    following.end();
    drop(search);
    world.data.begin_life(bay, Generation(9)).unwrap();
    let (search, following) = world.start();
    until_found(&search, ANN, "hello", &[1]);
    assert_eq!(found(&search, ANN, "past"), [0; 0]);
    following.end();
}

#[test]
fn it_is_made_anew_by_command() {
    let world = World::new();
    world.lists(ANN, direct());
    let (search, following) = world.start();
    world.say(Some(&search), direct(), "hello");
    until_found(&search, ANN, "hello", &[1]);
    search.rebuild();
    eventually("it is read again", || search.meter().read().changes == 2);
    until_found(&search, ANN, "hello", &[1]);
    world.say(Some(&search), direct(), "hello");
    until_found(&search, ANN, "hello", &[1, 2]);
    following.end();
}

#[test]
fn nothing_is_written_while_the_disk_is_nearly_full() {
    let world = World::new();
    world.lists(ANN, direct());
    world.has_room.store(false, Ordering::Release);
    let (search, following) = world.start();
    world.say(Some(&search), direct(), "hello");
    eventually("it is asked for", || search.0.grown.load(Ordering::Acquire) != 0);
    assert_eq!(search.meter().read().changes, 0);
    world.has_room.store(true, Ordering::Release);
    until_found(&search, ANN, "hello", &[1]);
    following.end();
}

#[test]
fn whoever_left_finds_what_was_said_before_and_whoever_comes_back_what_is_said_since() {
    let world = World::new();
    let (group, carl) = (ChannelId(77), UserId(3));
    let (search, following) = world.start();
    for n in 1..=9 {
        world.say(Some(&search), group, &format!("word number{n}"));
    }
    world.lists(ANN, group);
    world.stays(ANN, group, 1, None);
    until_found(&search, ANN, "word", &(1..=9).collect::<Vec<_>>());
    assert_eq!(found(&search, carl, "word"), [0; 0], "a stranger");
    world.lists(carl, group);
    world.stays(carl, group, 2, Some(4));
    assert_eq!(found(&search, carl, "word"), [2, 3, 4]);
    world.stays(carl, group, 8, None);
    assert_eq!(found(&search, carl, "word"), [2, 3, 4, 8, 9]);
    assert_eq!(found(&search, carl, "number6"), [0; 0]);
    let named = |user, channel| {
        let asked = Asked { channel: Some(channel), ..asked("word") };
        search.find(user, &asked).unwrap().hits.len()
    };
    assert_eq!((named(carl, group), named(UserId(4), group), named(carl, direct())), (5, 0, 0));
    following.end();
}

/// What the index holds, and that it waits for nothing.
fn until_held(search: &Search, documents: u64) {
    eventually(&format!("the index holds {documents} texts"), || {
        let counts = search.meter().read();
        counts.rebuilding == 0 && counts.sizes.documents == documents
    });
}

#[test]
fn a_purged_text_is_found_no_longer_and_leaves_the_index() {
    let world = World::new();
    world.lists(ANN, direct());
    let (search, following) = world.start();
    for _ in 0..4 {
        world.say(Some(&search), direct(), "at noon");
    }
    until_found(&search, ANN, "noon", &[1, 2, 3, 4]);
    world.purge(Some(&search), direct(), 3);
    // The store says so at once, the index a little later.
    assert_eq!(found(&search, ANN, "noon"), [3, 4]);
    until_held(&search, 2);
    // An edit of a purged text brings nothing back.
    let edit = EditText { channel: direct().0, target: 2, text: "at midnight".into() };
    world.send(Some(&search), direct(), &edit);
    world.say(Some(&search), direct(), "at dawn");
    until_found(&search, ANN, "dawn", &[6]);
    assert_eq!(found(&search, ANN, "midnight"), [0; 0]);
    until_held(&search, 3);
    following.end();
}

#[test]
fn a_purge_of_which_the_index_did_not_hear_is_made_up_for_by_the_next_start() {
    let world = World::new();
    world.lists(ANN, direct());
    let (search, following) = world.start();
    for _ in 0..4 {
        world.say(Some(&search), direct(), "at noon");
    }
    until_held(&search, 4);
    following.end();
    world.purge(None, direct(), 4);
    let (search, following) = world.start();
    until_held(&search, 1);
    assert_eq!(found(&search, ANN, "noon"), [4]);
    following.end();
}

#[test]
fn an_index_that_is_made_anew_begins_at_the_floor() {
    let world = World::new();
    world.lists(ANN, direct());
    let (search, following) = world.start();
    for _ in 0..4 {
        world.say(Some(&search), direct(), "at noon");
    }
    world.purge(Some(&search), direct(), 4);
    until_held(&search, 1);
    let changes = search.meter().read().changes;
    search.rebuild();
    eventually("it is read again", || search.meter().read().changes > changes);
    until_held(&search, 1);
    until_found(&search, ANN, "noon", &[4]);
    assert_eq!(search.meter().read().changes, changes + 1, "no tombstone is a change");
    // Nor does one whose log is gone too, so that all comes from the histories.
    following.end();
    drop(search);
    world.trim(direct());
    eventually("its files are gone", || std::fs::remove_dir_all(world.dir.path().join(DIRECTORY)).is_ok());
    let (search, following) = world.start();
    until_found(&search, ANN, "noon", &[4]);
    until_held(&search, 1);
    following.end();
}
