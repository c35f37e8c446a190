//! A part of a data directory that cannot be missing, and is: the start is refused by its name, and nothing is made anew.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::backup::{people, words};
use crate::full::Disk;
use crate::node::{Node, admin, maru};

/// What a start says that must fail.
fn refused(data: &Path, args: &[&str]) -> String {
    // One that starts all the same fails the test and does not hold it up.
    let mut command = Command::new("timeout");
    command.arg("120").arg(maru());
    command.args(["serve", "--http", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--shards", "1", "--data"]);
    let output = command.arg(data).args(args).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    words(&output)
}

fn names(data: &Path) -> Vec<String> {
    let entries = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

/// A stopped directory with somebody in it.
fn stopped() -> Node {
    let mut node = Node::start(1, &[]);
    people(&node, 1);
    assert_eq!(node.stop(), Some(0));
    // Beside the write-ahead log, which is gone when it is folded in.
    assert!(!node.data.join("accounts.sqlite-wal").exists());
    let _ = fs::remove_file(node.data.join("ballast"));
    node
}

#[test]
fn what_is_missing_or_emptied_is_named_and_not_made_anew() {
    let mut node = stopped();
    let marker = fs::read_to_string(node.data.join("MARU")).unwrap();
    for part in ["must keys\n", "must accounts.sqlite\n", "must tls.key.pem\n"] {
        assert!(marker.contains(part), "{marker}");
    }
    let away = node.data.with_file_name("away");
    for (name, told) in [
        ("keys", "keys is missing"),
        ("accounts.sqlite", "accounts.sqlite is missing"),
        ("tls.key.pem", "tls.key.pem is missing"),
        ("tls.crt.pem", "tls.crt.pem"),
        ("store", "store is missing"),
        ("MARU", "no file MARU"),
    ] {
        let part = node.data.join(name);
        fs::rename(&part, &away).unwrap();
        let before = names(&node.data);
        let told_now = refused(&node.data, &[]);
        assert!(told_now.contains(told), "{name}: {told_now}");
        assert_eq!(names(&node.data), before, "{name}: nothing is made");
        // Empty in its place.
        if away.is_dir() {
            fs::create_dir(&part).unwrap()
        } else {
            fs::write(&part, "").unwrap()
        }
        let meta = fs::metadata(&away).unwrap();
        fs::set_permissions(&part, meta.permissions()).unwrap();
        let told_now = refused(&node.data, &[]);
        assert!(told_now.contains(name), "{name}, emptied: {told_now}");
        let is_empty =
            if part.is_dir() { names(&part).is_empty() } else { fs::metadata(&part).unwrap().len() == 0 };
        assert!(is_empty, "{name} was filled");
        if part.is_dir() {
            fs::remove_dir(&part).unwrap()
        } else {
            fs::remove_file(&part).unwrap()
        }
        fs::rename(&away, &part).unwrap();
    }
    // A new certificate is made for whoever says so.
    fs::remove_file(node.data.join("tls.key.pem")).unwrap();
    fs::write(node.data.join("MARU"), marker.replace("must tls.key.pem\n", "")).unwrap();
    node.up(1);
    assert_eq!(node.stop(), Some(0));
    assert_eq!(fs::read_to_string(node.data.join("MARU")).unwrap(), marker, "promised again");
    node.check();
}

#[test]
fn a_directory_of_before_the_promises_makes_none_with_people_in_it() {
    let mut node = stopped();
    let whole = fs::read_to_string(node.data.join("MARU")).unwrap();
    let old: String =
        whole.lines().filter(|line| !line.starts_with("must ")).map(|line| format!("{line}\n")).collect();
    fs::write(node.data.join("MARU"), &old).unwrap();
    let (keys, away) = (node.data.join("keys"), node.data.with_file_name("away"));
    fs::rename(&keys, &away).unwrap();
    assert!(refused(&node.data, &[]).contains("keys is missing"));
    assert!(!keys.exists());
    fs::rename(&away, &keys).unwrap();
    node.up(1);
    assert_eq!(node.stop(), Some(0));
    assert_eq!(fs::read_to_string(node.data.join("MARU")).unwrap(), whole, "it promises from now on");
}

#[test]
fn accounts_do_not_move_to_another_database_by_a_setting() {
    let node = stopped();
    let told = refused(&node.data, &["--database", "postgres://maru@127.0.0.1:9/maru"]);
    assert!(told.contains("accounts.sqlite") && told.contains("`database`"), "{told}");
}

#[test]
fn a_newer_directory_is_refused_and_stays_as_it_is() {
    let node = stopped();
    let marker = node.data.join("MARU");
    let newer = fs::read_to_string(&marker).unwrap().replace("format 5", "format 6");
    fs::write(&marker, &newer).unwrap();
    let before = names(&node.data);
    assert!(refused(&node.data, &[]).contains("use a newer maru"));
    for task in ["check", "renew", "migrate", "stats"] {
        let output = admin(&[task, "--data", node.data.to_str().unwrap()]);
        assert!(
            !output.status.success() && words(&output).contains("use a newer maru"),
            "{}",
            words(&output)
        );
    }
    assert_eq!((names(&node.data), fs::read_to_string(&marker).unwrap()), (before, newer));
}

#[test]
fn an_account_before_the_first_start_makes_the_whole_directory() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let made = Command::new(maru())
        .args(["admin", "create-user", "ann", "--password-env", "OF_ANN", "--data"])
        .arg(&data)
        .env("OF_ANN", "correct horse battery staple")
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", words(&made));
    assert!(["MARU", "keys", "accounts.sqlite", "store"].iter().all(|name| data.join(name).exists()));
    let mut node = Node::start_in(&data, 1, &[]);
    let body = r#"{"name":"ann","password":"correct horse battery staple"}"#;
    assert!(node.ask("POST", "/v1/login", "", Some(body)).contains(" 200 "));
    assert_eq!(node.stop(), Some(0));
    node.check();
    // Not beside what is somebody else's.
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("letter.txt"), "x").unwrap();
    assert!(refused(&other, &[]).contains("letter.txt"));
    assert_eq!(names(&other), ["letter.txt"]);
}

/// What Kubernetes makes of a volume at each mount when the pod has an `fsGroup`.
#[test]
fn a_volume_of_a_pods_group_is_served_and_stays_as_it_is() {
    let mut node = stopped();
    let data = node.data.to_str().unwrap().to_owned();
    let mount = format!(
        "chgrp -R 2000 {data} && chmod -R g+rw {data} && find {data} -type d -exec chmod g+rwxs {{}} +"
    );
    let mounted = Command::new("sh").args(["-c", &mount]).output().unwrap();
    if !mounted.status.success() {
        eprintln!("SKIPPED: this process may not give files to another group; run it as root");
        return;
    }
    node.up(1);
    assert_eq!(node.stop(), Some(0));
    let mode = |name: &str| fs::metadata(node.data.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("."), mode("keys")), (0o2770, 0o660));
    node.check();
    // Elsewhere a secret that a group may read is none, and a directory of one's own is closed to others.
    fs::set_permissions(&node.data, fs::Permissions::from_mode(0o755)).unwrap();
    let told = refused(&node.data, &[]);
    assert!(told.contains("keys has mode 660"), "{told}");
    assert_eq!(mode("."), 0o700);
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(folder.path(), "size=1m,ro") else {
        eprintln!("SKIPPED: this process may not mount a file system; run it as root");
        return;
    };
    let told = refused(folder.path(), &[]);
    assert!(told.contains(folder.path().to_str().unwrap()) && told.contains("Read-only"), "{told}");
    drop(disk);
}
