//! What only a disk can do: reopen, lock, age, tear and rot.
#![cfg(feature = "rocks")]
// The lint configuration knows test functions only, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::{ChannelId, InboxSeq, Seq, StoreId, UserId};
use storage::{Answer, Options, PageBounds, Query, Row, StoreError, Stores, Tier};
use world::{PAGE, World};

fn options(stores: u16) -> Options {
    Options { stores, history_families: 2, ..Options::default() }
}

fn open(dir: &Path, stores: u16) -> Result<Arc<Stores>, StoreError> {
    Stores::open(dir, &options(stores)).map(Arc::new)
}

const USERS: [UserId; 5] = [UserId(1), UserId(2), UserId(3), UserId(4), UserId(5)];

fn everything(stores: &Stores, world: &World) -> String {
    let channels: Vec<_> = world.heads.keys().copied().collect();
    world::dump(stores, &USERS, &channels)
}

#[test]
fn reopening_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(vec![open(dir.path(), 3).unwrap()]);
    world.talk();
    world.deliver_all();
    let before = everything(&world.stores[0], &world);
    let generation = world.stores[0].state(StoreId(1)).unwrap().generation;
    assert_ne!(generation, world.stores[0].state(StoreId(0)).unwrap().generation);
    for _ in 0..3 {
        world.stores.clear();
        // Another number of stores in the options changes nothing.
        world.stores.push(open(dir.path(), 7).unwrap());
        assert_eq!(world.stores[0].count(), 3);
        assert_eq!(everything(&world.stores[0], &world), before);
        assert_eq!(world.stores[0].state(StoreId(1)).unwrap().generation, generation);
        assert_eq!(world.findings(), [""; 0]);
    }
    world.text(ChannelId::direct(UserId(1), UserId(2)), UserId(1), "and it goes on");
    world.deliver_all();
    world.trim(StoreId(0));
    assert_eq!(world.findings(), [""; 0]);
}

/// What a shard's own thread may look at.
const INLINE: Tier = Tier::Cached { rows: 64 };

#[test]
fn cached_tier_misses_what_only_the_disk_has() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(vec![open(dir.path(), 1).unwrap()]);
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
        let stores = open(dir.path(), 1).unwrap();
        // Opening reads pointers, log rows and the messages that they name; nobody's account.
        assert_eq!(stores.read(&Query::User(UserId(2)), INLINE).unwrap(), None);
        let any = stores.read(&query, Tier::Any).unwrap();
        assert!(any.is_some());
        assert_eq!(stores.read(&query, INLINE).unwrap(), any);
        assert!(stores.stats()[0].misses >= 1);
    }
}

#[test]
fn a_renewed_directory_has_new_generations_and_nothing_else_new() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(vec![open(dir.path(), 3).unwrap()]);
    world.talk();
    world.deliver_all();
    let generations = |stores: &Stores| -> Vec<_> {
        (0..3).map(|store| stores.state(StoreId(store)).unwrap().generation).collect()
    };
    let (before, old) = (everything(&world.stores[0], &world), generations(&world.stores[0]));
    world.stores[0].renew().unwrap();
    let new = generations(&world.stores[0]);
    assert!(old.iter().zip(&new).all(|(old, new)| old != new && new.0 > 0), "{old:?} {new:?}");
    world.stores.clear();
    world.stores.push(open(dir.path(), 3).unwrap());
    assert_eq!(generations(&world.stores[0]), new, "it is on stable storage");
    assert_eq!(everything(&world.stores[0], &world), before);
    assert_eq!(world.findings(), [""; 0]);
}

#[test]
fn a_second_opening_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), 2).unwrap();
    let error = open(dir.path(), 2).unwrap_err();
    assert_eq!(error, StoreError::Locked { dir: dir.path().to_owned() });
    assert!(error.to_string().contains("in use by another process"));
    drop(first);
    open(dir.path(), 2).unwrap();
}

#[test]
fn a_newer_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), 2).unwrap());
    fs::write(dir.path().join("MARU"), "maru data, format 2\nand what only format 2 knows\n").unwrap();
    assert_eq!(open(dir.path(), 2).unwrap_err(), StoreError::Newer { found: 2, known: 1 });
    fs::write(dir.path().join("MARU"), "something else").unwrap();
    assert!(matches!(open(dir.path(), 2), Err(StoreError::Io { .. })));
}

#[test]
fn a_missing_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), 2).unwrap());
    fs::remove_dir_all(dir.path().join("store-01")).unwrap();
    let error = open(dir.path(), 2).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { store: StoreId(1), .. }), "{error}");
    // A store of another directory is no substitute.
    let other = tempfile::tempdir().unwrap();
    drop(open(other.path(), 3).unwrap());
    fs::rename(other.path().join("store-01"), dir.path().join("store-01")).unwrap();
    let error = open(dir.path(), 2).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { store: StoreId(1), .. }), "{error}");
}

#[test]
fn an_interrupted_creation_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), 2).unwrap());
    fs::remove_file(dir.path().join("MARU")).unwrap();
    fs::remove_dir_all(dir.path().join("store-01")).unwrap();
    assert_eq!(open(dir.path(), 2).unwrap().count(), 2);
    assert!(dir.path().join("MARU").exists());
}

#[test]
fn options_out_of_bounds_are_refused() {
    for (stores, history_families) in [(0, 4), (65, 4), (8, 0), (8, 33)] {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { stores, history_families, ..Options::default() };
        assert!(matches!(Stores::open(dir.path(), &options), Err(StoreError::Io { .. })));
    }
}

/// The newest write-ahead log of a store.
fn wal(dir: &Path, store: u16) -> PathBuf {
    let files = fs::read_dir(dir.join(format!("store-{store:02}"))).unwrap();
    let logs = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "log"));
    let log = logs.max().unwrap();
    assert!(fs::metadata(&log).unwrap().len() > 0);
    log
}

/// Ten texts in one store, closed. None is delivered, so that nothing else points at them.
fn ten_texts(dir: &Path) -> (World, ChannelId) {
    let mut world = World::new(vec![open(dir, 1).unwrap()]);
    let channel = ChannelId::direct(UserId(1), UserId(2));
    for number in 1..=10 {
        world.text(channel, UserId(1), &format!("text number {number}"));
    }
    world.stores.clear();
    (world, channel)
}

fn head(stores: &Stores, channel: ChannelId) -> Seq {
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
        let log = wal(dir.path(), 0);
        let bytes = fs::read(&log).unwrap();
        fs::write(&log, &bytes[..bytes.len() - cut]).unwrap();
        world.stores.push(open(dir.path(), 1).unwrap());
        let head = head(&world.stores[0], channel).0;
        assert!((8..10).contains(&head), "{head} after {cut} bytes");
        assert_eq!(world.stores[0].state(StoreId(0)).unwrap().fanout_head, head, "batches are whole");
        assert_eq!(world.findings().iter().filter(|line| !line.starts_with("odd")).count(), 0);
        // What was recovered stays, with what follows.
        world.heads.insert(channel, Seq(head));
        drop(world);
        assert_eq!(self::head(&open(dir.path(), 1).unwrap(), channel).0, head);
    }
}

#[test]
fn a_hole_in_the_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(ten_texts(dir.path()));
    let log = wal(dir.path(), 0);
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
        let error = open(dir.path(), 1).map(|_| damaged.clone()).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { store: StoreId(0), .. }), "{damaged:?}: {error}");
    }
    fs::write(&log, whole).unwrap();
    assert!(open(dir.path(), 1).is_ok());
}

#[test]
fn a_store_that_lost_its_end_is_refused() {
    // Store 1 comes back from an old copy; the others have applied more of its log.
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(vec![open(dir.path(), 2).unwrap()]);
    let far = (1..).map(UserId).find(|user| world.placement.user_store(*user) == StoreId(1)).unwrap();
    let near =
        (far.0 + 1..).map(UserId).find(|user| world.placement.user_store(*user) == StoreId(0)).unwrap();
    let channel = ChannelId::direct(far, near);
    world.text(channel, far, "one");
    world.deliver_all();
    world.stores.clear();
    let old = tempfile::tempdir().unwrap();
    copy(&dir.path().join("store-01"), &old.path().join("store-01"));
    world.stores.push(open(dir.path(), 2).unwrap());
    world.text(channel, far, "two");
    world.deliver_all();
    world.stores.clear();
    fs::remove_dir_all(dir.path().join("store-01")).unwrap();
    copy(&old.path().join("store-01"), &dir.path().join("store-01"));
    let error = open(dir.path(), 2).unwrap_err();
    let StoreError::Corrupt { store, what, .. } = error else { panic!("{error}") };
    assert_eq!(store, StoreId(1));
    assert!(what.contains("committed data is gone"), "{what}");
}

#[test]
fn a_pointer_above_its_head_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(vec![open(dir.path(), 2).unwrap()]);
    let (user, channel) = (UserId(2), ChannelId::direct(UserId(1), UserId(2)));
    let store = world.placement.user_store(user);
    world.commit(store, vec![Row::Pointer { user, at: InboxSeq(1), channel, seq: Seq(1) }]);
    world.stores.clear();
    let error = open(dir.path(), 2).unwrap_err().to_string();
    assert!(error.contains("the inbox of user 2 at 1"), "{error}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/v1");

/// The golden directory's rows: part in table files, part in the log.
fn golden_world(stores: Arc<Stores>) -> World {
    let mut world = World::new(vec![stores]);
    // It was written before each stay had a row of its own.
    world.is_old = true;
    world.talk();
    world.deliver_all();
    world
}

fn golden_rest(world: &mut World) {
    let direct = ChannelId::direct(UserId(1), UserId(2));
    world.text(direct, UserId(2), "from the log");
    world.deliver_all();
    world.trim(StoreId(1));
    let (user, channel) = (UserId(1), direct);
    let device = protocol::DeviceId(9);
    let row = storage::DeviceRow { seen_ms: 77, ..storage::DeviceRow::default() };
    let rows = vec![Row::Read { user, channel, seq: Seq(6) }, Row::Device { user, device, row }];
    world.commit(world.placement.user_store(user), rows);
}

/// A directory that this format's first binary wrote is read to the last row by every later one.
#[test]
fn the_golden_directory_is_read() {
    let dir = tempfile::tempdir().unwrap();
    copy(Path::new(GOLDEN).join("data").as_path(), dir.path());
    let stores = open(dir.path(), 8).unwrap();
    assert_eq!(stores.count(), 2);
    let mut twin = golden_world(Arc::new(Stores::memory(2)));
    golden_rest(&mut twin);
    assert_eq!(everything(&stores, &twin), everything(&twin.stores[0], &twin));
    assert_eq!(world::findings(&stores), [""; 0]);
    let page = PageBounds { messages: 1, bytes: 0 };
    let query = Query::History {
        channel: ChannelId::direct(UserId(1), UserId(2)),
        after: Seq(0),
        before: Seq(u64::MAX),
        newest: true,
        page,
    };
    let Answer::History(frames) = stores.read(&query, Tier::Any).unwrap().unwrap() else { panic!() };
    assert_eq!(fs::read(Path::new(GOLDEN).join("newest-frame.bin")).unwrap(), frames[0].bytes()[..]);
}

/// Writes the golden directory: `cargo test -p storage --test disk -- --ignored bless`. Only for a new format version.
#[test]
#[ignore = "writes the golden directory"]
fn bless_the_golden_directory() {
    let data = Path::new(GOLDEN).join("data");
    fs::remove_dir_all(GOLDEN).ok();
    let options = Options { stores: 2, history_families: 1, ..Options::default() };
    let open = || Arc::new(Stores::open(&data, &options).unwrap());
    drop(golden_world(open()));
    let mut world = golden_world(Arc::new(Stores::memory(2)));
    world.stores = vec![open()];
    golden_rest(&mut world);
    let query = Query::History {
        channel: ChannelId::direct(UserId(1), UserId(2)),
        after: Seq(0),
        before: Seq(u64::MAX),
        newest: true,
        page: PAGE,
    };
    let Answer::History(frames) = world.read(&query) else { panic!() };
    fs::write(Path::new(GOLDEN).join("newest-frame.bin"), frames.last().unwrap().bytes()).unwrap();
    drop(world);
    // RocksDB does not need its logs for people, nor its copy of the options, and they name this machine.
    for store in 0..2 {
        for file in fs::read_dir(data.join(format!("store-{store:02}"))).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("LOG") || name.starts_with("OPTIONS") || name == "LOCK" {
                fs::remove_file(path).unwrap();
            }
        }
    }
    fs::remove_file(data.join("LOCK")).unwrap();
}
