//! The compiled RocksDB in the user's cache is linked only if it is the one that was compiled.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::{root, said};

fn verify(dir: &Path) -> Output {
    Command::new(root().join("storage/rocksdb/verify.sh")).arg(dir).output().unwrap()
}

fn refusal(dir: &Path) -> String {
    let output = verify(dir);
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A directory as build.sh leaves one.
fn compiled(dir: &Path) {
    fs::write(dir.join("librocksdb.a"), "an archive").unwrap();
    let hash = Command::new("sha256sum").arg("librocksdb.a").current_dir(dir).output().unwrap();
    fs::write(dir.join("sha256"), said(&hash)).unwrap();
    mode(&dir.join("librocksdb.a"), 0o644);
    mode(&dir.join("sha256"), 0o644);
    mode(dir, 0o755);
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_was_compiled_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    compiled(dir.path());
    said(&verify(dir.path()));
}

#[test]
fn another_library_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    compiled(dir.path());
    fs::write(dir.path().join("librocksdb.a"), "an archivE").unwrap();
    let words = refusal(dir.path());
    assert!(words.contains("is not what was compiled"), "{words}");
    fs::remove_file(dir.path().join("sha256")).unwrap();
    assert!(refusal(dir.path()).contains("no SHA-256"));
    fs::remove_file(dir.path().join("librocksdb.a")).unwrap();
    assert!(refusal(dir.path()).contains("no librocksdb.a"));
}

#[test]
fn what_others_may_write_is_refused() {
    for place in [".", "librocksdb.a", "sha256"] {
        let dir = tempfile::tempdir().unwrap();
        compiled(dir.path());
        mode(&dir.path().join(place), 0o777);
        let words = refusal(dir.path());
        assert!(words.contains("can be written by others (mode 777)"), "{words}");
    }
}

/// The library that this very test was linked with, copied and changed by one byte: build.sh says no before anything links it.
#[test]
fn the_build_looks_before_it_links() {
    let linked = fs::canonicalize(root().join(".rocksdb")).unwrap();
    let name = linked.file_name().unwrap();
    let cache = tempfile::tempdir().unwrap();
    let copy = cache.path().join(name);
    let look = || {
        let mut command = Command::new(root().join("storage/rocksdb/build.sh"));
        command.arg("--check").env("MARU_CACHE", cache.path()).output().unwrap()
    };
    fs::create_dir(&copy).unwrap();
    mode(&copy, 0o755);
    for file in ["librocksdb.a", "sha256"] {
        fs::copy(linked.join(file), copy.join(file)).unwrap();
    }
    said(&look());
    let mut bytes = fs::read(copy.join("librocksdb.a")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(copy.join("librocksdb.a"), bytes).unwrap();
    let output = look();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && words.contains("is not what was compiled"), "{words}");
}
