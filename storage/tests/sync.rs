//! An ack is durable: what a commit returns for was synced. RocksDB's own count says so for each commit, and the kernel's
//! for a whole process, where strace can be had.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::Path;
use std::process::Command;

use protocol::commit::{AccountRow, Batch, Row};
use protocol::query::Query;
use protocol::{StoreId, UserId};
use storage::{Answer, Options, Stores, Tier};

const COMMITS: u64 = 20;

fn open(dir: &Path) -> Stores {
    Stores::open(dir, &Options { stores: 1, history_families: 2, ..Options::default() }).unwrap()
}

fn commit(stores: &Stores, number: u64) {
    let row = Row::Account { user: UserId(number), row: AccountRow { created_ms: number, not_before_ms: 0 } };
    let batch = Batch { store: StoreId(0), number, rows: vec![row] };
    stores.commit(StoreId(0), std::slice::from_ref(&batch)).unwrap();
}

#[test]
fn every_commit_is_a_sync_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let stores = open(dir.path());
    for number in 1..=COMMITS {
        let before = stores.stats()[0].syncs;
        commit(&stores, number);
        assert!(stores.stats()[0].syncs > before, "commit {number} returned without a sync");
    }
}

/// What a start finds in the log may be pages that were never synced, so it is in table files, which are, before anything
/// is acked that builds on it.
#[test]
fn what_a_start_recovers_is_in_files() {
    let dir = tempfile::tempdir().unwrap();
    let stores = open(dir.path());
    let empty = stores.stats()[0];
    (1..=COMMITS).for_each(|number| commit(&stores, number));
    drop(stores);
    let stores = open(dir.path());
    let opened = stores.stats()[0];
    assert!(opened.disk_bytes > empty.disk_bytes, "{opened:?} {empty:?}");
    let found = stores.read(&Query::User(UserId(COMMITS)), Tier::Any).unwrap();
    assert!(matches!(found, Some(Answer::User { account: Some(_), .. })));
}

/// Not a test of its own: what is counted from outside.
#[test]
#[ignore = "run by the test below, under strace"]
fn a_process_that_commits() {
    let Some(dir) = std::env::var_os("COMMIT_INTO") else { return };
    let stores = open(Path::new(&dir));
    (1..=COMMITS).for_each(|number| commit(&stores, number));
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
