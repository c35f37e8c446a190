//! An ack is durable: what a commit returns for was synced. RocksDB's own count says so for each commit, and the kernel's
//! for a whole process, where strace can be had.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::Path;
use std::process::Command;

use protocol::commit::{AccountRow, Batch, Part, Row};
use protocol::query::Query;
use protocol::{BayId, ShardId, UserId};
use storage::{Answer, Options, Store, Tier};

const COMMITS: u64 = 20;

fn open(dir: &Path) -> Store {
    Store::open(dir, &Options { history_families: 2, ..Options::default() }).unwrap()
}

fn commit(store: &Store, number: u64) {
    let row = Row::Account {
        user: UserId(number),
        row: AccountRow { created_ms: number, ..AccountRow::default() },
    };
    let parts = vec![Part { bay: BayId::of_user(UserId(number)), rows: vec![row] }];
    store.commit(&[Batch { shard: ShardId(0), number, parts }]).unwrap();
}

#[test]
fn every_commit_is_a_sync_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for number in 1..=COMMITS {
        let before = store.stats().syncs;
        commit(&store, number);
        assert!(store.stats().syncs > before, "commit {number} returned without a sync");
    }
}

/// What a start finds in the log may be pages that were never synced, so it is in table files, which are, before anything
/// is acked that builds on it.
#[test]
fn what_a_start_recovers_is_in_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let empty = store.stats();
    (1..=COMMITS).for_each(|number| commit(&store, number));
    drop(store);
    let store = open(dir.path());
    let opened = store.stats();
    assert!(opened.disk_bytes > empty.disk_bytes, "{opened:?} {empty:?}");
    let found = store.read(&Query::User(UserId(COMMITS)), Tier::Any).unwrap();
    assert!(matches!(found, Some(Answer::User { account: Some(_), .. })));
}

/// Not a test of its own: what is counted from outside.
#[test]
#[ignore = "run by the test below, under strace"]
fn a_process_that_commits() {
    let Some(dir) = std::env::var_os("COMMIT_INTO") else { return };
    let store = open(Path::new(&dir));
    (1..=COMMITS).for_each(|number| commit(&store, number));
}

#[test]
fn the_kernel_is_asked_to_sync_at_least_once_a_commit() {
    let dir = tempfile::tempdir().unwrap();
    let counts = dir.path().join("counts");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=fsync,fdatasync", "-o"]).arg(&counts);
    strace.arg(std::env::current_exe().unwrap());
    strace.args(["--exact", "a_process_that_commits", "--ignored"]);
    strace.env("COMMIT_INTO", dir.path().join("data"));
    let ran = strace.output();
    if !ran.is_ok_and(|ran| ran.status.success()) {
        println!("SKIPPED: strace is not here or may not trace; only RocksDB's own counts were checked");
        return;
    }
    let calls = std::fs::read_to_string(&counts).unwrap();
    // The write-ahead log is the only file that is synced again and again; the other syncs are of a start.
    let syncs = calls.lines().filter(|line| line.contains("fdatasync(")).count() as u64;
    assert!(syncs >= COMMITS, "{syncs} calls of fdatasync for {COMMITS} commits:\n{calls}");
}

/// What several threads bring at once is synced together, and all of it is there.
#[test]
fn threads_that_commit_at_once_share_syncs() {
    const THREADS: u64 = 8;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let users = |thread: u64| {
        (1..).map(UserId).filter(move |user| u64::from(BayId::of_user(*user).0) % THREADS == thread)
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || users(thread).take(COMMITS as usize).for_each(|user| commit(store, user.0)));
        }
    });
    assert_eq!(store.stats().commits, THREADS * COMMITS);
    drop(store);
    let store = open(dir.path());
    for user in (0..THREADS).flat_map(|thread| users(thread).take(COMMITS as usize)) {
        let found = store.read(&Query::User(user), Tier::Any).unwrap();
        assert!(matches!(found, Some(Answer::User { account: Some(_), .. })), "{user} is gone");
    }
}
