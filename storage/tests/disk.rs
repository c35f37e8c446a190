//! What only a disk can do: reopen, lock, age, tear and rot.
#![cfg(feature = "rocks")]
// The lint configuration knows test functions only, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::{BayId, ChannelId, InboxSeq, Seq, UserId};
use storage::{Answer, Options, PageBounds, Query, Row, Store, StoreError, Tier};
use world::{PAGE, World};

fn open(dir: &Path) -> Result<Arc<Store>, StoreError> {
    Store::open(dir, &Options { history_families: 2, ..Options::default() }).map(Arc::new)
}

const USERS: [UserId; 5] = [UserId(1), UserId(2), UserId(3), UserId(4), UserId(5)];

fn everything(stores: &Store, world: &World) -> String {
    let channels: Vec<_> = world.heads.keys().copied().collect();
    world::dump(stores, &USERS, &channels)
}

#[test]
fn reopening_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(vec![open(dir.path()).unwrap()]);
    world.talk();
    world.deliver_all();
    let before = everything(&world.stores[0], &world);
    let generation = world.stores[0].state(BayId(1)).unwrap().generation;
    assert_ne!(generation, world.stores[0].state(BayId(0)).unwrap().generation);
    for _ in 0..3 {
        world.stores.clear();
        // Another number of history families in the options changes nothing.
        let options = Options { history_families: 5, ..Options::default() };
        world.stores.push(Arc::new(Store::open(dir.path(), &options).unwrap()));
        assert_eq!(everything(&world.stores[0], &world), before);
        assert_eq!(world.stores[0].state(BayId(1)).unwrap().generation, generation);
        assert_eq!(world.findings(), [""; 0]);
    }
    world.text(ChannelId::direct(UserId(1), UserId(2)), UserId(1), "and it goes on");
    world.deliver_all();
    world.trim(BayId::of_user(UserId(1)));
    assert_eq!(world.findings(), [""; 0]);
}

/// What a shard's own thread may look at.
const INLINE: Tier = Tier::Cached { rows: 64 };

#[test]
fn cached_tier_misses_what_only_the_disk_has() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(vec![open(dir.path()).unwrap()]);
    let channel = ChannelId::direct(UserId(1), UserId(2));
    world.account(UserId(2));
    world.text(channel, UserId(1), "text");
    world.deliver_all();
    let queries = [
        Query::Inbox { user: UserId(2), after: InboxSeq(0), page: PAGE },
        Query::Channel(channel),
        Query::History {
            channel,
            after: Seq(0),
            before: Seq(9),
            newest: true,
            page: PageBounds { messages: 9, ..PAGE },
        },
    ];
    // What was just written is in memory.
    for query in &queries {
        assert!(world.stores[0].read(query, INLINE).unwrap().is_some());
    }
    for query in queries {
        world.stores.clear();
        let stores = open(dir.path()).unwrap();
        // Opening reads pointers, log rows and the messages that they name; nobody's account.
        assert_eq!(stores.read(&Query::User(UserId(2)), INLINE).unwrap(), None);
        let any = stores.read(&query, Tier::Any).unwrap();
        assert!(any.is_some());
        assert_eq!(stores.read(&query, INLINE).unwrap(), any);
        assert!(stores.stats().misses >= 1);
    }
}

#[test]
fn a_renewed_directory_has_new_generations_and_nothing_else_new() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(vec![open(dir.path()).unwrap()]);
    world.talk();
    world.deliver_all();
    let generations = |store: &Store| -> Vec<_> {
        store.states().unwrap().into_iter().map(|state| state.generation).collect()
    };
    let (before, old) = (everything(&world.stores[0], &world), generations(&world.stores[0]));
    world.stores[0].renew().unwrap();
    let new = generations(&world.stores[0]);
    assert!(old.iter().zip(&new).all(|(old, new)| old != new && new.0 > 0), "{old:?} {new:?}");
    world.stores.clear();
    world.stores.push(open(dir.path()).unwrap());
    assert_eq!(generations(&world.stores[0]), new, "it is on stable storage");
    assert_eq!(everything(&world.stores[0], &world), before);
    assert_eq!(world.findings(), [""; 0]);
}

#[test]
fn a_second_opening_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert_eq!(error, StoreError::Locked { dir: dir.path().to_owned() });
    assert!(error.to_string().contains("in use by another process"));
    drop(first);
    open(dir.path()).unwrap();
}

#[test]
fn a_newer_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    fs::write(dir.path().join("MARU"), "maru data, format 6\nand what only format 6 knows\n").unwrap();
    let error = open(dir.path()).unwrap_err();
    assert_eq!(error, StoreError::Newer { found: 6, known: 5 });
    assert!(
        error.to_string().contains("format 6") && error.to_string().contains("use a newer maru"),
        "{error}"
    );
    for damaged in
        ["something else", "", "maru data, format 0\n", "maru data, format 2\nhistory_families 0\n"]
    {
        fs::write(dir.path().join("MARU"), damaged).unwrap();
        assert!(matches!(open(dir.path()), Err(StoreError::Io { .. })), "{damaged:?}");
    }
}

#[test]
fn a_directory_of_format_1_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("MARU"), "maru data, format 1\nstores 2\nhistory_families 4\n").unwrap();
    let error = open(dir.path()).unwrap_err();
    assert_eq!(error, StoreError::Older { found: 1, known: 5 });
    assert!(error.to_string().contains("maru admin migrate"), "{error}");
    assert!(!dir.path().join("store").exists(), "nothing was made beside the old rows");
}

#[test]
fn a_missing_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { bay: None, .. }), "{error}");
    // The store of another directory, which has another form, is no substitute.
    let other = tempfile::tempdir().unwrap();
    drop(Store::open(other.path(), &Options { history_families: 3, ..Options::default() }).unwrap());
    fs::rename(other.path().join("store"), dir.path().join("store")).unwrap();
    assert!(open(dir.path()).is_err());
}

#[test]
fn options_out_of_bounds_are_refused() {
    for history_families in [0, 33] {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { history_families, ..Options::default() };
        assert!(matches!(Store::open(dir.path(), &options), Err(StoreError::Io { .. })));
    }
}

/// The newest write-ahead log.
fn wal(dir: &Path) -> PathBuf {
    let files = fs::read_dir(dir.join("store")).unwrap();
    let logs = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "log"));
    let log = logs.max().unwrap();
    assert!(fs::metadata(&log).unwrap().len() > 0);
    log
}

/// Ten texts in one channel, closed. None is delivered, so that nothing else points at them.
fn ten_texts(dir: &Path) -> (World, ChannelId) {
    let mut world = World::new(vec![open(dir).unwrap()]);
    let channel = ChannelId::direct(UserId(1), UserId(2));
    for number in 1..=10 {
        world.text(channel, UserId(1), &format!("text number {number}"));
    }
    world.stores.clear();
    (world, channel)
}

fn head(stores: &Store, channel: ChannelId) -> Seq {
    match stores.read(&Query::Channel(channel), Tier::Any).unwrap().unwrap() {
        Answer::Channel { head, .. } => head,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_torn_tail_is_cut_off() {
    for cut in [1, 7, 60, 150] {
        let dir = tempfile::tempdir().unwrap();
        let (mut world, channel) = ten_texts(dir.path());
        let log = wal(dir.path());
        let bytes = fs::read(&log).unwrap();
        fs::write(&log, &bytes[..bytes.len() - cut]).unwrap();
        world.stores.push(open(dir.path()).unwrap());
        let head = head(&world.stores[0], channel).0;
        assert!((8..10).contains(&head), "{head} after {cut} bytes");
        assert_eq!(
            world.stores[0].state(BayId::of_channel(channel)).unwrap().fanout_head,
            head,
            "batches are whole"
        );
        assert_eq!(world.findings().iter().filter(|line| !line.starts_with("odd")).count(), 0);
        // What was recovered stays, with what follows.
        world.heads.insert(channel, Seq(head));
        drop(world);
        assert_eq!(self::head(&open(dir.path()).unwrap(), channel).0, head);
    }
}

#[test]
fn a_hole_in_the_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(ten_texts(dir.path()));
    let log = wal(dir.path());
    let whole = fs::read(&log).unwrap();
    // A record well before the end: walk the headers to the fifth.
    let mut at = 0;
    for _ in 0..5 {
        at += 7 + usize::from(u16::from_le_bytes([whole[at + 4], whole[at + 5]]));
    }
    let len = usize::from(u16::from_le_bytes([whole[at + 4], whole[at + 5]]));
    for damaged in
        [at..at + 1, at + 5..at + 6, at + 6..at + 7, at + 40..at + 41, at..at + 7, at..at + 7 + len]
    {
        let mut bytes = whole.clone();
        let flip = damaged.len() == 1;
        bytes[damaged.clone()].iter_mut().for_each(|byte| *byte = if flip { *byte ^ 0x81 } else { 0 });
        fs::write(&log, bytes).unwrap();
        let error = open(dir.path()).map(|_| damaged.clone()).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { bay: None, .. }), "{damaged:?}: {error}");
    }
    fs::write(&log, whole).unwrap();
    assert!(open(dir.path()).is_ok());
}

#[test]
fn a_bay_that_lost_its_end_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(vec![open(dir.path()).unwrap()]);
    let channel = ChannelId::direct(UserId(1), UserId(2));
    let source = BayId::of_channel(channel);
    world.text(channel, UserId(1), "one");
    world.deliver_all();
    world.commit(BayId::of_user(UserId(2)), vec![Row::Marks { through: vec![(source, 2)] }]);
    world.stores.clear();
    let error = open(dir.path()).unwrap_err();
    let StoreError::Corrupt { bay, what, .. } = error else { panic!("{error}") };
    assert_eq!(bay, Some(source));
    assert!(what.contains("committed data is gone"), "{what}");
}

#[test]
fn a_pointer_above_its_head_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(vec![open(dir.path()).unwrap()]);
    let (user, channel) = (UserId(2), ChannelId::direct(UserId(1), UserId(2)));
    let entries = vec![(channel, Seq(1))];
    world.commit(BayId::of_user(user), vec![Row::Run { user, first: InboxSeq(1), entries }]);
    world.stores.clear();
    let error = open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("the inbox of user 2 at 1"), "{error}");
}
