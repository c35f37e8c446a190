//! Directories of format 1 become directories of the present one, to the last row, whatever interrupts it. Both golden
//! directories were written by programs of format 1: `v1` by an early one, with rows that later ones only read, and
//! `format1` by the last one, which was killed while it worked; `expected.txt` is what that one answered about it.
#![cfg(feature = "rocks")]
// The lint configuration knows test functions only, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use protocol::{BayId, ChannelId, DeviceId, Frame, InboxSeq, Seq, UserId};
use storage::{
    Answer, DeviceRow, Migrated, Options, PageBounds, PositionRow, Query, Row, Store, StoreError, Tier,
};
use world::World;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
const ALL: PageBounds = PageBounds { messages: 1000, bytes: usize::MAX };

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

/// A copy of a golden directory of format 1.
fn golden(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&Path::new(GOLDEN).join(name).join("data"), dir.path());
    dir
}

fn options() -> Options {
    Options { history_families: 3, ..Options::default() }
}

fn migrate(dir: &Path) -> Result<Option<Migrated>, StoreError> {
    storage::migrate(dir, &options())
}

fn open(dir: &Path) -> Arc<Store> {
    Arc::new(Store::open(dir, &options()).unwrap())
}

fn read(store: &Store, query: &Query) -> Answer {
    store.read(query, Tier::Any).unwrap().unwrap()
}

fn history(store: &Store, channel: ChannelId) -> Vec<Frame> {
    let query = Query::History { channel, after: Seq(0), before: Seq(u64::MAX), newest: false, page: ALL };
    match read(store, &query) {
        Answer::History(frames) => frames,
        other => panic!("{other:?}"),
    }
}

/// How many log rows each bay has not applied, in all.
fn unapplied(store: &Store) -> u64 {
    let states = store.states().unwrap();
    let of_dest = |applied: &[u64]| -> u64 {
        states.iter().zip(applied).map(|(source, mark)| source.fanout_head - mark).sum()
    };
    states.iter().map(|dest| of_dest(&dest.applied)).sum()
}

/// What the early program's world is, written by this one: the same life.
fn twin_of_v1() -> World {
    let mut world = World::memory();
    world.talk();
    world.deliver_all();
    let channel = ChannelId::direct(UserId(1), UserId(2));
    world.text(channel, UserId(2), "from the log");
    world.deliver_all();
    let (user, device) = (UserId(1), DeviceId(9));
    let row = DeviceRow { seen_ms: 77, ..DeviceRow::default() };
    world.commit(BayId::of_user(user), vec![Row::Device { user, device, row }]);
    // It was a row of the reader's own list.
    let row = PositionRow { read: Seq(6), ..PositionRow::default() };
    world.commit(BayId::of_channel(channel), vec![Row::Position { channel, user, row }]);
    world
}

/// Everything but logs and marks, whose numbers begin anew.
fn answers(store: &Store, world: &World) -> String {
    let users: Vec<_> = (1..=6).map(UserId).collect();
    let channels: Vec<_> = world.heads.keys().copied().collect();
    let dump = world::dump(store, &users, &channels);
    let end = dump.find("Replay").unwrap();
    dump[..end].to_owned()
}

#[test]
fn rows_of_old_become_rows_of_today() {
    let dir = golden("v1");
    let migrated = migrate(dir.path()).unwrap().unwrap();
    let (store, twin) = (open(dir.path()), twin_of_v1());
    assert_eq!(world::findings(&store), [""; 0]);
    assert_eq!(answers(&store, &twin), answers(&twin.stores[0], &twin));
    assert_eq!(unapplied(&store), 0);
    assert_eq!((migrated.stores, migrated.messages, migrated.positions), (2, 15, 1));
    // Two of three, and three of four; the creator's and the last one's first stays.
    assert_eq!(migrated.intervals, 5);
    assert!(migrated.runs < migrated.pointers, "{migrated:?}");
    let mut summary = store.check(&mut |_| {}).unwrap();
    assert_eq!((summary.pointers, summary.runs), (migrated.pointers, migrated.runs));
    // Life goes on: the next message, and a trim of what everybody has.
    let mut world = World::new(vec![store]);
    (world.heads, world.inboxes) = (twin.heads, twin.inboxes);
    for state in world.stores[0].states().unwrap() {
        world.set_log(state.bay, state.fanout_head);
    }
    let channel = ChannelId::direct(UserId(1), UserId(2));
    world.pass(1_000_000);
    for _ in 0..100 {
        world.next_send();
    }
    world.text(channel, UserId(1), "in the new store");
    world.deliver_all();
    world.trim(BayId::of_channel(channel));
    assert_eq!(world.findings(), [""; 0]);
    summary = world.stores[0].check(&mut |_| {}).unwrap();
    assert_eq!(summary.messages, 16);
    let newest = fs::read(Path::new(GOLDEN).join("v1/newest-frame.bin")).unwrap();
    assert_eq!(history(&world.stores[0], channel)[5].bytes()[..], newest[..]);
}

/// The last program of format 1 was killed; what it answered about the directory when it ran again.
#[derive(Default)]
struct Expected {
    /// By channel, rising: the words of each message.
    messages: BTreeMap<ChannelId, Vec<String>>,
    /// By user and channel: head, read, unread, whether a member, name.
    listed: BTreeMap<(UserId, ChannelId), Vec<String>>,
    /// By channel and user: role and since when.
    members: BTreeMap<(ChannelId, UserId), (String, String)>,
    inbox: BTreeMap<(UserId, ChannelId), Vec<u64>>,
}

impl Expected {
    fn load() -> Self {
        let mut all = Self::default();
        let text = fs::read_to_string(Path::new(GOLDEN).join("format1/expected.txt")).unwrap();
        for line in text.lines() {
            let (kind, rest) = line.split_once(' ').unwrap();
            let fields: Vec<&str> = rest.split(' ').collect();
            let user = |at: usize| UserId(fields[at].parse().unwrap());
            let channel = |at: usize| ChannelId(fields[at].parse().unwrap());
            match kind {
                "message" => {
                    let words = rest.split_once(' ').unwrap().1.to_owned();
                    all.messages.entry(channel(0)).or_default().push(words);
                }
                "listed" => {
                    let words = fields[2..].iter().map(ToString::to_string).collect();
                    all.listed.insert((user(0), channel(1)), words);
                }
                "member" => {
                    let value = (fields[2].to_owned(), fields[3].to_owned());
                    all.members.insert((channel(0), user(1)), value);
                }
                "inbox" => {
                    all.inbox.entry((user(0), channel(1))).or_default().push(fields[2].parse().unwrap());
                }
                other => panic!("{other}"),
            }
        }
        all
    }

    fn users(&self) -> BTreeSet<UserId> {
        self.listed.keys().map(|(user, _)| *user).collect()
    }
}

/// Seq, sender, send id, time, kind and text, as `expected.txt` has them.
fn words(frame: &Frame) -> String {
    use protocol::Kind;
    let stamp = frame.read_stamp().unwrap();
    let kind = match frame.kind() {
        Kind::SEND_TEXT => "text",
        Kind::CREATE_GROUP => "created",
        Kind::ADD_MEMBERS => "added",
        Kind::REMOVE_MEMBER => "removed",
        Kind::LEAVE_GROUP => "left",
        Kind::RENAME_GROUP => "renamed",
        _ => "role",
    };
    let text =
        if kind == "text" { world::texts(std::slice::from_ref(frame)).remove(0) } else { String::new() };
    format!("{} {} {} {} {kind} {text}", stamp.seq, stamp.sender, frame.send_id(), stamp.time_ms)
}

/// A world that goes on where the migrated store stands.
fn world_of(store: Arc<Store>, users: &BTreeSet<UserId>) -> World {
    let mut world = World::new(vec![store]);
    for state in world.stores[0].states().unwrap() {
        world.set_log(state.bay, state.fanout_head);
    }
    for user in users {
        if let Answer::User { inbox_head, .. } = read(&world.stores[0], &Query::User(*user)) {
            world.inboxes.insert(*user, inbox_head.0);
        }
    }
    world
}

#[test]
fn a_killed_program_of_format_1_is_carried_on() {
    let (dir, expected) = (golden("format1"), Expected::load());
    // What is not the store's stays where it is.
    for name in ["accounts.sqlite", "keys", "ballast"] {
        fs::write(dir.path().join(name), name).unwrap();
    }
    let migrated = migrate(dir.path()).unwrap().unwrap();
    assert_eq!((migrated.stores, migrated.intervals, migrated.positions), (4, 6, 2));
    assert!(migrated.runs * 10 < migrated.pointers, "{migrated:?}");
    assert_eq!(migrate(dir.path()), Ok(None), "it has this format already");
    for name in ["accounts.sqlite", "keys", "ballast"] {
        assert_eq!(fs::read_to_string(dir.path().join(name)).unwrap(), name);
    }
    let store = open(dir.path());
    assert_eq!(world::findings(&store), [""; 0]);
    assert!(unapplied(&store) > 0, "the kill met deliveries on their way");
    let pointers = store.check(&mut |_| {}).unwrap().pointers;
    assert_eq!(pointers, migrated.pointers);

    let mut world = world_of(store, &expected.users());
    world.deliver_all();
    assert_eq!(world.findings(), [""; 0]);
    assert_eq!(unapplied(&world.stores[0]), 0);
    compare(&world.stores[0], &expected);
    for source in world.sources() {
        world.trim(source);
    }
    drop(world);
    compare(&open(dir.path()), &expected);
}

/// Every message, list, member and inbox.
fn compare(store: &Store, expected: &Expected) {
    let summary = store.check(&mut |finding| panic!("{finding}")).unwrap();
    assert_eq!(summary.messages as usize, expected.messages.values().map(Vec::len).sum::<usize>());
    for (channel, messages) in &expected.messages {
        let found: Vec<_> = history(store, *channel).iter().map(words).collect();
        assert_eq!(&found, messages, "{channel:?}");
    }
    let mut entries = 0;
    for user in expected.users() {
        let query = Query::Inbox { user, after: InboxSeq(0), page: ALL };
        let Answer::Inbox { frames, .. } = read(store, &query) else { panic!() };
        entries += frames.len() as u64;
        let mut inbox: BTreeMap<(UserId, ChannelId), Vec<u64>> = BTreeMap::new();
        for frame in &frames {
            let channel = protocol::body::message::channel_of(frame).unwrap();
            inbox.entry((user, channel)).or_default().push(frame.read_stamp().unwrap().seq.0);
        }
        for (place, seqs) in expected.inbox.iter().filter(|((of, _), _)| *of == user) {
            assert_eq!(inbox.get(place), Some(seqs), "{place:?}");
        }
        let listed = Query::Joined { user, after: ChannelId(0), limit: 500 };
        let Answer::Joined { items, more: false } = read(store, &listed) else { panic!() };
        let known: Vec<_> = expected.listed.iter().filter(|((of, _), _)| *of == user).collect();
        assert_eq!(items.len(), known.len());
        for (item, ((_, channel), words)) in items.iter().zip(known) {
            let member = u8::from(item.left.is_none());
            let numbers =
                [item.head.0, item.read.0, item.unread, member.into()].map(|number| number.to_string());
            assert_eq!((item.channel, &numbers[..]), (*channel, &words[..4]), "{user}");
            // The name with which a stay ended was not in every row of format 1; the history has it.
            let name = if words[4].is_empty() && member == 0 { "대청마루" } else { &words[4] };
            assert_eq!(item.name, name, "{user} {channel:?}");
        }
    }
    assert_eq!(entries, summary.pointers);
    assert_eq!(entries as usize, expected.inbox.values().map(Vec::len).sum::<usize>());
    for ((channel, user), (role, joined)) in &expected.members {
        let Answer::Channel { members, .. } = read(store, &Query::Channel(*channel)) else { panic!() };
        let (_, member) = members.iter().find(|(of, _)| of == user).unwrap();
        let roles = ["member", "admin", "owner"];
        assert_eq!(
            (roles[usize::from(member.role)], member.joined.to_string()),
            (role.as_str(), joined.clone())
        );
    }
}

/// The write-ahead log of a store of format 1.
fn wal(dir: &Path, store: u16) -> PathBuf {
    let files = fs::read_dir(dir.join(format!("store-{store:02}"))).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|ext| ext == "log")).max().unwrap()
}

#[test]
fn torn_tails_are_cut_off() {
    let (dir, expected) = (golden("format1"), Expected::load());
    for store in 0..4 {
        // Half of a write that nobody was told of.
        let path = wal(dir.path(), store);
        let whole = fs::read(&path).unwrap();
        let len = usize::from(u16::from_le_bytes([whole[4], whole[5]]));
        fs::write(&path, [&whole[..], &whole[..7 + len / 2]].concat()).unwrap();
    }
    migrate(dir.path()).unwrap().unwrap();
    let mut world = world_of(open(dir.path()), &expected.users());
    world.deliver_all();
    compare(&world.stores[0], &expected);
}

/// Everything in the directory by name, without what opening a RocksDB changes.
fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn what_contradicts_itself_is_refused_and_left_as_it_is() {
    let marker = |dir: &Path| fs::read_to_string(dir.join("MARU")).unwrap();
    let refused = |damage: &dyn Fn(&Path), words: &str| {
        let dir = golden("format1");
        damage(dir.path());
        let error = migrate(dir.path()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(marker(dir.path()).starts_with("maru data, format 1\n"));
        assert!(!names(dir.path()).contains("store"));
        for store in 0..4 {
            assert!(dir.path().join(format!("store-{store:02}")).exists() || words.contains("missing"));
        }
    };
    // A store that lost its end, which others have applied.
    refused(
        &|dir| fs::write(wal(dir, 1), b"").unwrap(),
        "store-01: committed data is gone: its fan-out log was applied through",
    );
    // A hole in a log.
    refused(
        &|dir| {
            let path = wal(dir, 2);
            let mut bytes = fs::read(&path).unwrap();
            bytes[5] = 0xff;
            fs::write(path, bytes).unwrap();
        },
        "is damaged at byte 0, and committed records follow",
    );
    refused(&|dir| fs::remove_dir_all(dir.join("store-03")).unwrap(), "store-03 is missing");
    refused(
        &|dir| {
            fs::remove_dir_all(dir.join("store-03")).unwrap();
            copy(&dir.join("store-02"), &dir.join("store-03"));
        },
        "store-03, family default",
    );
}

#[test]
fn other_formats_and_directories_are_refused() {
    let dir = golden("format1");
    fs::write(dir.path().join("MARU"), "maru data, format 6\nstores 4\n").unwrap();
    assert_eq!(migrate(dir.path()), Err(StoreError::Newer { found: 6, known: 5 }));
    fs::write(dir.path().join("MARU"), "maru data, format 1\nstores 65\nhistory_families 4\n").unwrap();
    assert!(migrate(dir.path()).unwrap_err().to_string().contains("65 stores"));
    fs::remove_file(dir.path().join("MARU")).unwrap();
    assert!(migrate(dir.path()).unwrap_err().to_string().contains("no marker file"));
    let fresh = tempfile::tempdir().unwrap();
    let store = open(fresh.path());
    assert_eq!(migrate(fresh.path()), Err(StoreError::Locked { dir: fresh.path().to_owned() }));
    drop(store);
    assert_eq!(migrate(fresh.path()), Ok(None));
}

#[test]
fn what_an_interrupted_migration_left_is_no_hindrance() {
    let (dir, expected) = (golden("format1"), Expected::load());
    for name in ["store.new", "store"] {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join("CURRENT"), "of an earlier attempt").unwrap();
    }
    migrate(dir.path()).unwrap().unwrap();
    // Interrupted behind the switch: one of the old stores was not moved yet.
    fs::rename(dir.path().join("format-1/store-02"), dir.path().join("store-02")).unwrap();
    assert_eq!(world::findings(&open(dir.path())), [""; 0]);
    assert_eq!(migrate(dir.path()), Ok(None));
    let kept = ["MARU", "store-00", "store-01", "store-02", "store-03"];
    assert_eq!(names(&dir.path().join("format-1")), kept.map(str::to_owned).into());
    assert_eq!(names(dir.path()), ["LOCK", "MARU", "format-1", "store"].map(str::to_owned).into());
    // What is kept is a directory of format 1 like before.
    let again = tempfile::tempdir().unwrap();
    copy(&dir.path().join("format-1"), again.path());
    migrate(again.path()).unwrap().unwrap();
    let mut world = world_of(open(again.path()), &expected.users());
    world.deliver_all();
    compare(&world.stores[0], &expected);
}

const DIR: &str = "MARU_MIGRATE_TEST_DIR";

#[test]
#[ignore = "the child of the test below"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    migrate(Path::new(&dir)).unwrap();
}

#[test]
fn a_migration_that_is_killed_begins_again() {
    let (dir, expected) = (golden("format1"), Expected::load());
    let (mut killed, mut step_ms) = (0, 1);
    loop {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored"])
            .env(DIR, dir.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(step_ms));
        step_ms += step_ms / 4 + 1;
        let ended = child.try_wait().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let marker = fs::read_to_string(dir.path().join("MARU")).unwrap();
        if marker.starts_with("maru data, format 5\n") {
            break;
        }
        // Until the switch it is a directory of format 1, with all its stores in their places.
        assert!(marker.starts_with("maru data, format 1\nstores 4\n"), "{marker}");
        assert!(ended.is_none(), "it ended without a switch");
        let found = names(dir.path());
        assert!((0..4).all(|store| found.contains(&format!("store-{store:02}"))), "{found:?}");
        killed += 1;
    }
    assert!(killed > 0, "not once before its end");
    assert_eq!(migrate(dir.path()), Ok(None));
    let mut world = world_of(open(dir.path()), &expected.users());
    world.deliver_all();
    compare(&world.stores[0], &expected);
}
