//! What a data directory is: created once, in an empty place, and never again beside what is left of one.
#![cfg(feature = "rocks")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod world;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use protocol::{ChannelId, UserId};
use storage::{Options, Store, StoreError, promise, promised};
use world::World;

fn open(dir: &Path) -> Result<Arc<Store>, StoreError> {
    Store::open(dir, &Options { history_families: 2, ..Options::default() }).map(Arc::new)
}

fn refused(dir: &Path) -> String {
    open(dir).unwrap_err().to_string()
}

#[test]
fn it_is_made_for_its_owner_alone_and_in_an_empty_place_only() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("above/data");
    drop(open(&data).unwrap());
    assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    // What belongs to a volume, and the lock of a start that came no further.
    let volume = folder.path().join("volume");
    fs::create_dir(&volume).unwrap();
    for name in ["lost+found", ".snapshot", "LOCK"] {
        fs::write(volume.join(name), "").unwrap();
    }
    drop(open(&volume).unwrap());
    // Somebody else's.
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("photo.jpg"), "x").unwrap();
    let words = refused(&other);
    assert!(words.contains("photo.jpg") && words.contains("not a Maru data directory"), "{words}");
    assert_eq!(fs::read_dir(&other).unwrap().count(), 1, "nothing is left there");
    // A file.
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    assert!(refused(&file).contains("file"));
}

#[test]
fn without_its_marker_it_is_not_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let marker = fs::read_to_string(dir.path().join("MARU")).unwrap();
    fs::remove_file(dir.path().join("MARU")).unwrap();
    let words = refused(dir.path());
    assert!(words.contains("store") && words.contains("no file MARU"), "{words}");
    for broken in ["", "maru", "maru data, format x", "maru data, format 2"] {
        fs::write(dir.path().join("MARU"), broken).unwrap();
        let words = refused(dir.path());
        assert!(words.contains("MARU") || words.contains("history_families"), "{broken}: {words}");
    }
    fs::write(dir.path().join("MARU"), marker.replace("format 5", "format 6")).unwrap();
    assert!(refused(dir.path()).contains("use a newer maru"));
    fs::write(dir.path().join("MARU"), &marker).unwrap();
    drop(open(dir.path()).unwrap());
}

/// Format 3 is format 2 with two more families, format 4 has one more and format 5 another, which a start makes.
#[test]
fn an_older_directory_is_raised_by_its_start() {
    let dir = tempfile::tempdir().unwrap();
    let marker = || fs::read_to_string(dir.path().join("MARU")).unwrap();
    drop(open(dir.path()).unwrap());
    promise(dir.path(), &["keys"]).unwrap();
    let of_now = marker();
    // As the versions wrote it, and as it is when a start ends before the marker says what the store says.
    for (marked, store_says) in [(2_u32, 2_u32), (2, 3), (2, 4), (2, 5), (3, 3), (3, 5), (4, 4), (4, 5)] {
        fs::write(dir.path().join("MARU"), of_now.replace("format 5", &format!("format {marked}"))).unwrap();
        let layout = [&store_says.to_be_bytes()[..], &[2]].concat();
        let lacks: &[&str] = match store_says {
            2 => &["about", "notes", "push", "kept"],
            3 => &["push", "kept"],
            4 => &["kept"],
            _ => &[],
        };
        rewrite(&dir.path().join("store"), lacks, &layout);
        drop(open(dir.path()).unwrap());
        assert_eq!(marker(), of_now, "{marked}, and the store said {store_says}");
        let mut found = Vec::new();
        assert!(open(dir.path()).unwrap().check(&mut |finding| found.push(finding)).unwrap().is_clean());
        assert!(found.is_empty(), "{found:?}");
    }
    // Two that say different things in any other way were never one.
    fs::write(dir.path().join("MARU"), of_now.replace("families 2", "families 4")).unwrap();
    assert!(refused(dir.path()).contains("the store says"));
}

/// Takes away families, and puts what the store says of its layout.
fn rewrite(store: &Path, lacks: &[&str], layout: &[u8]) {
    let options = rocksdb::Options::default();
    let names = rocksdb::DB::list_cf(&options, store).unwrap();
    let db = rocksdb::DB::open_cf(&options, store, names).unwrap();
    for family in lacks {
        db.drop_cf(family).unwrap();
    }
    db.put(b"layout", layout).unwrap();
}

#[test]
fn without_its_store_it_is_not_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let (store, away) = (dir.path().join("store"), dir.path().join("away"));
    fs::rename(&store, &away).unwrap();
    assert!(refused(dir.path()).contains("the marker file promises it"));
    assert!(!store.exists());
    fs::create_dir(&store).unwrap();
    assert!(refused(dir.path()).contains("the marker file promises it"));
    assert_eq!(fs::read_dir(&store).unwrap().count(), 0);
}

#[test]
fn a_creation_that_was_cut_short_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    // As if it had died before the marker got its name; with other options the layout stays the one that was begun.
    fs::rename(dir.path().join("MARU"), dir.path().join("MARU.new")).unwrap();
    let options = Options { history_families: 5, ..Options::default() };
    drop(Store::open(dir.path(), &options).unwrap());
    assert!(dir.path().join("MARU").exists() && !dir.path().join("MARU.new").exists());
    // Before its text was on the disk.
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("MARU.new"), "").unwrap();
    drop(open(dir.path()).unwrap());
}

#[test]
fn the_marker_promises_what_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(promised(dir.path()).unwrap(), None);
    drop(open(dir.path()).unwrap());
    assert_eq!(promised(dir.path()).unwrap(), None);
    promise(dir.path(), &["keys", "accounts.sqlite"]).unwrap();
    promise(dir.path(), &["keys", "tls.key.pem"]).unwrap();
    let names = promised(dir.path()).unwrap().unwrap();
    assert_eq!(names, ["keys", "accounts.sqlite", "tls.key.pem"]);
    drop(open(dir.path()).unwrap());
    assert_eq!(promised(dir.path()).unwrap().unwrap(), names, "opening keeps them");
}

#[test]
fn a_checkpoint_is_a_store_of_the_moment() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut world = World::new(vec![open(&data).unwrap()]);
    world.talk();
    world.deliver_all();
    let users = [UserId(1), UserId(2), UserId(3), UserId(4), UserId(5)];
    let channels: Vec<_> = world.heads.keys().copied().collect();
    let before = world::dump(&world.stores[0], &users, &channels);
    let copy = folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    world.stores[0].checkpoint(&copy.join("store")).unwrap();
    assert!(world.stores[0].checkpoint(&copy.join("store")).is_err(), "it is there already");
    world.text(ChannelId::direct(UserId(1), UserId(2)), UserId(1), "after it");
    world.deliver_all();
    assert_ne!(world::dump(&world.stores[0], &users, &channels), before);
    fs::copy(data.join("MARU"), copy.join("MARU")).unwrap();
    let copied = open(&copy).unwrap();
    assert_eq!(world::dump(&copied, &users, &channels), before);
    assert!(copied.check(&mut |_| {}).unwrap().is_clean());
    assert!(Store::memory().checkpoint(&copy.join("more")).unwrap_err().to_string().contains("in memory"));
}
