//! Backups of a running server, under load, compared message by message with what was acked; and everything that is no
//! backup, or no place for one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use protocol::body::message::SendText;
use protocol::body::session::Reject;
use protocol::body::sync::SendAck;
use protocol::{ChannelId, Kind, UserId, body};
use serde_json::{Value, json};

use crate::full::Disk;
use crate::node::{Node, PATIENCE, admin, maru};
use crate::raw::{Raw, Seen};

/// Somebody with a device, whose token is good for a week.
#[derive(Clone)]
pub struct Person {
    pub user: UserId,
    pub token: String,
}

/// Makes so many.
pub fn people(node: &Node, count: usize) -> Vec<Person> {
    let made = node.operate("/v1/admin/users", &json!({ "count": count }).to_string());
    let (_, lines) = made.split_once("\r\n\r\n").unwrap();
    let person = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        Person { user: UserId(fields[0].parse().unwrap()), token: fields[2].to_owned() }
    };
    lines.lines().map(person).collect()
}

static SEND_IDS: AtomicU64 = AtomicU64::new(1 << 32);

/// What was acked: text by channel and seq.
pub type Said = Mutex<BTreeMap<(u128, u64), String>>;

pub fn held(said: &Said) -> MutexGuard<'_, BTreeMap<(u128, u64), String>> {
    said.lock().unwrap()
}

/// The seq that a send was given, or why it was refused. A device that was behind is brought its own message by a page, in
/// place of the ack.
pub fn outcome(device: &mut Raw, me: UserId, id: u64) -> Result<u64, Reject> {
    loop {
        let frame = match device.next() {
            Seen::Frame(frame) if frame.header().id == id => frame,
            Seen::Frame(_) => continue,
            other => panic!("{other:?} instead of the answer to {id}"),
        };
        match frame.read_stamp() {
            Some(stamp) if stamp.sender == me => return Ok(stamp.seq.0),
            Some(_) => {}
            None if frame.kind() == Kind::REJECT => return Err(body::read(&frame).unwrap()),
            None => return Ok(body::read::<SendAck>(&frame).unwrap().seq),
        }
    }
}

/// Sends texts of so many letters one after another until it is told to stop; each is noted when it is acked.
pub fn write(
    node: &Node,
    from: &Person,
    to: &Person,
    letters: usize,
    said: &Said,
    goes_on: impl Fn(usize) -> bool,
) {
    let mut device = Raw::live(node, &from.token);
    let channel = ChannelId::direct(from.user, to.user).0;
    let mut number = 0;
    while goes_on(number) {
        number += 1;
        // Also of a later call.
        let id = SEND_IDS.fetch_add(1, Ordering::Relaxed);
        let text = format!("{} {id} {}", from.user, "x".repeat(letters));
        device.body(id, &SendText { channel, text: text.clone() });
        let seq = outcome(&mut device, from.user, id).unwrap_or_else(|reject| panic!("{reject:?}"));
        held(said).insert((channel, seq), text);
    }
}

fn json_of(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or_else(|_| panic!("{answer}"))
}

/// Every message of a channel that a server shows.
pub fn shown(node: &Node, reader: &Person, other: UserId) -> BTreeMap<(u128, u64), String> {
    let channel = ChannelId::direct(reader.user, other);
    let (mut all, mut after) = (BTreeMap::new(), "0".to_owned());
    loop {
        let path = format!("/v1/channels/{channel}/messages?after={after}&limit=200");
        let page = json_of(&node.ask("GET", &path, &reader.token, None));
        if page["status"] == 429 {
            // Reading costs tokens too.
            std::thread::sleep(std::time::Duration::from_millis(page["retry_after_ms"].as_u64().unwrap()));
            continue;
        }
        for message in page["messages"].as_array().unwrap_or_else(|| panic!("{page}")) {
            let seq = message["seq"].as_u64().unwrap();
            all.insert((channel.0, seq), message["text"].as_str().unwrap().to_owned());
        }
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => return all,
        }
    }
}

pub fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub fn back_up(node: &Node, to: &Path) -> Output {
    admin(&["backup", "--server", &node.admin, "--data", text(&node.data), "--to", text(to)])
}

pub fn restore(from: &Path, data: &Path, more: &[&str]) -> Output {
    admin(&[&["restore", "--from", text(from), "--data", text(data)], more].concat())
}

fn succeeds(output: Output) -> String {
    assert!(output.status.success(), "{}", words(&output));
    words(&output)
}

fn fails(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", words(output));
    words(output)
}

const FAST: &[&str] = &["--frames-per-s", "100000", "--frames-burst", "100000"];

#[test]
fn a_backup_under_load_has_all_that_was_acked_before() {
    let mut node = Node::start(2, FAST);
    let folder = tempfile::tempdir().unwrap();
    let people = people(&node, 4);
    let said = Said::default();
    // Some MiB first, so that a backup takes its time.
    write(&node, &people[0], &people[1], 50_000, &said, |number| number < 200);
    let (stop, acks) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (before, backup) = std::thread::scope(|scope| {
        let load = |from: usize, to: usize| {
            let (node, people, said, stop, acks) = (&node, &people, &said, &stop, &acks);
            move || {
                write(node, &people[from], &people[to], 100, said, |number| {
                    acks.fetch_add(usize::from(number > 0), Ordering::AcqRel);
                    !stop.load(Ordering::Acquire)
                });
            }
        };
        for (from, to) in [(0, 1), (1, 0), (2, 3), (3, 2)] {
            scope.spawn(load(from, to));
        }
        // Whoever panics must not leave the writers behind.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let since = Instant::now();
            for number in 0.. {
                let before = held(&said).clone();
                let backup = folder.path().join(format!("backup-{number}"));
                let at_first = acks.load(Ordering::Acquire);
                succeeds(back_up(&node, &backup));
                // Acks go on meanwhile; on a machine that stands still another backup is made.
                if acks.load(Ordering::Acquire) > at_first && before.len() > 300 {
                    return (before, backup);
                }
                assert!(since.elapsed() < PATIENCE, "nobody was acked during a backup");
            }
            unreachable!()
        }));
        stop.store(true, Ordering::Release);
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    assert_eq!(node.stop(), Some(0));
    node.check();
    assert!(!node.data.join("backup.making").exists());

    let data = folder.path().join("restored");
    let told = succeeds(restore(&backup, &data, &[]));
    assert!(told.contains("all as they were") && told.contains("broken 0, lost 0"), "{told}");
    let mut restored = Node::start_in(&data, 1, FAST);
    let mut there = shown(&restored, &people[0], people[1].user);
    there.extend(shown(&restored, &people[2], people[3].user));
    for (place, text) in &before {
        assert_eq!(there.get(place), Some(text), "{place:?} was acked before the backup");
    }
    // What is more than that was said while it was made.
    let all = held(&said);
    for (place, text) in &there {
        assert_eq!(all.get(place).unwrap_or(text), text, "{place:?}");
    }
    drop(all);
    // It goes on from there.
    let more = Said::default();
    write(&restored, &people[0], &people[1], 10, &more, |number| number < 3);
    let head =
        there.keys().filter(|(channel, _)| *channel == ChannelId::direct(people[0].user, people[1].user).0);
    assert_eq!(held(&more).keys().next().unwrap().1, head.max().unwrap().1 + 1);
    assert_eq!(restored.stop(), Some(0));
    restored.check();
}

#[test]
fn what_is_no_place_for_a_backup_is_refused() {
    let mut node = Node::start(1, &[]);
    let folder = tempfile::tempdir().unwrap();
    let occupied = folder.path().join("occupied");
    std::fs::create_dir(&occupied).unwrap();
    std::fs::write(occupied.join("x"), "x").unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    std::fs::create_dir(folder.path().join("cut.partial")).unwrap();
    std::os::unix::fs::symlink(&node.data, folder.path().join("link")).unwrap();
    let cases: Vec<(PathBuf, &str)> = vec![
        ("relative".into(), "absolute path"),
        (folder.path().join("a/../b"), "absolute path"),
        ("/".into(), "expected the path of a directory"),
        (node.data.join("backup"), "within the data directory"),
        (folder.path().join("link/backup"), "within the data directory"),
        (node.data.clone(), "within the data directory"),
        (folder.path().join("nowhere/backup"), "nowhere: No such file"),
        (occupied.clone(), "is there and not empty"),
        (folder.path().join("file"), "is there and no empty directory"),
        (folder.path().join("link"), "is there and not empty"),
        (folder.path().join("cut"), "cut.partial is there"),
        (node.data.parent().unwrap().to_owned(), "holds it"),
    ];
    let mut is_running = true;
    for _ in 0..2 {
        for (to, told) in &cases {
            let output = if is_running {
                back_up(&node, to)
            } else {
                admin(&["backup", "--data", text(&node.data), "--to", text(to)])
            };
            assert!(fails(&output).contains(told), "{}: {}", to.display(), words(&output));
        }
        // A stopped directory is asked the same.
        if is_running {
            let busy =
                admin(&["backup", "--data", text(&node.data), "--to", text(&folder.path().join("busy"))]);
            assert!(fails(&busy).contains("in use by another process"));
            assert_eq!(node.stop(), Some(0));
            is_running = false;
        }
    }
    assert_eq!(std::fs::read_dir(&occupied).unwrap().count(), 1);
    // An empty directory is a place.
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    succeeds(admin(&["backup", "--data", text(&node.data), "--to", text(&empty)]));
    succeeds(restore(&empty, &folder.path().join("restored"), &[]));
}

#[test]
fn half_a_backup_and_a_changed_one_are_refused_by_the_files_name() {
    let mut node = Node::start(1, &[]);
    let people = people(&node, 2);
    write(&node, &people[0], &people[1], 10, &Said::default(), |number| number < 5);
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    succeeds(back_up(&node, &whole));
    assert_eq!(node.stop(), Some(0));
    let copied = |name: &str| {
        let to = folder.path().join(name);
        assert!(Command::new("cp").arg("-a").args([&whole, &to]).status().unwrap().success());
        to
    };
    let data = folder.path().join("data");
    let refused = |backup: &Path, told: &[&str]| {
        let words = fails(&restore(backup, &data, &[]));
        assert!(told.iter().all(|part| words.contains(part)), "{told:?}: {words}");
        assert!(!data.exists(), "nothing is written before all is verified");
    };
    let table = std::fs::read_dir(whole.join("store")).unwrap().map(|entry| entry.unwrap().file_name());
    let table = table.map(|name| name.into_string().unwrap()).find(|name| name.ends_with(".sst")).unwrap();
    refused(&folder.path().join("nothing"), &["maru-backup.json is missing", "cut short"]);
    let backup = copied("without-manifest");
    std::fs::remove_file(backup.join("maru-backup.json")).unwrap();
    refused(&backup, &["maru-backup.json is missing"]);
    let backup = copied("half-manifest");
    let manifest = std::fs::read(backup.join("maru-backup.json")).unwrap();
    std::fs::write(backup.join("maru-backup.json"), &manifest[..manifest.len() / 2]).unwrap();
    refused(&backup, &["maru-backup.json"]);
    let backup = copied("missing");
    std::fs::remove_file(backup.join("store").join(&table)).unwrap();
    refused(&backup, &[&table, "is missing"]);
    let backup = copied("cut");
    let bytes = std::fs::read(backup.join("accounts.sqlite")).unwrap();
    std::fs::write(backup.join("accounts.sqlite"), &bytes[..bytes.len() - 1]).unwrap();
    refused(&backup, &["accounts.sqlite", "bytes"]);
    let backup = copied("flipped");
    let mut bytes = std::fs::read(backup.join("store").join(&table)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(backup.join("store").join(&table), bytes).unwrap();
    refused(&backup, &[&table, "has changed"]);

    // Nor into a directory that holds something, or that half of one is in.
    let words = fails(&restore(&whole, &node.data, &[]));
    assert!(words.contains("a backup is restored into an empty directory"), "{words}");
    node.check();
    succeeds(restore(&whole, &data, &[]));
    std::fs::write(data.join("RESTORING"), "").unwrap();
    for task in [&["check"][..], &["renew"], &["list-users"], &["keys", "list"]] {
        let words = fails(&admin(&[task, &["--data", text(&data)]].concat()));
        assert!(words.contains("was not restored to the end"), "{task:?}: {words}");
    }
    let serve = Command::new("timeout")
        .arg("120")
        .arg(maru())
        .args(["serve", "--data", text(&data)])
        .output()
        .unwrap();
    assert!(fails(&serve).contains("was not restored to the end"));
}

#[test]
fn a_full_disk_leaves_nothing_of_a_backup() {
    let node = Node::start(1, FAST);
    let people = people(&node, 2);
    write(&node, &people[0], &people[1], 50_000, &Said::default(), |number| number < 100);
    let folder = tempfile::tempdir().unwrap();
    // Too few bytes, and, which nobody can see before, too few files.
    for options in ["size=200k", "size=100m,nr_inodes=5"] {
        let Some(disk) = Disk::mount(folder.path(), options) else {
            eprintln!("SKIPPED: this process may not mount a file system; run it as root");
            return;
        };
        let words = fails(&back_up(&node, &folder.path().join("backup")));
        assert!(words.contains("no room at"), "{options}: {words}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{options}");
        assert!(!node.data.join("backup.making").exists());
        drop(disk);
    }
    write(&node, &people[0], &people[1], 10, &Said::default(), |number| number < 3);
    let other = tempfile::tempdir().unwrap();
    succeeds(back_up(&node, &other.path().join("backup")));
}

#[test]
fn who_was_logged_out_after_the_backup_stays_out_if_the_operator_wants_it() {
    let mut node = Node::start(1, &[]);
    let people = people(&node, 2);
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup");
    succeeds(back_up(&node, &backup));
    let revoked =
        node.operate("/v1/admin/revoke", &json!({ "user": people[0].user.to_string() }).to_string());
    assert!(revoked.contains(" 204 "), "{revoked}");
    assert_eq!(node.stop(), Some(0));
    for (more, status) in [(&[][..], " 200 "), (&["--revoke-all"][..], " 401 ")] {
        let data = folder.path().join(format!("restored{}", more.len()));
        let told = succeeds(restore(&backup, &data, more));
        assert_eq!(told.contains("devices logged out: 2"), !more.is_empty(), "{told}");
        let restored = Node::start_in(&data, 1, &[]);
        for person in &people {
            let answer = restored.ask("GET", "/v1/devices", &person.token, None);
            assert!(answer.contains(status), "{more:?}: {answer}");
        }
    }
}

/// The commands of docs/operations.md behind a mark, with other places in them.
fn documented(mark: &str, places: &[(&str, &str)]) -> Vec<String> {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md")).unwrap();
    let (_, rest) = page.split_once(&format!("<!-- run: {mark} -->\n```sh\n")).expect("the mark");
    let block = rest.split_once("```").expect("the end of the block").0;
    let line = |line: &str| places.iter().fold(line.to_owned(), |line, (from, to)| line.replace(from, to));
    block.lines().map(line).collect()
}

fn shell(line: &str, at: &Path) {
    let path = format!("{}:{}", maru().parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output =
        Command::new("bash").args(["-euc", line]).env("PATH", path).current_dir(at).output().unwrap();
    assert!(output.status.success(), "{line}: {}", words(&output));
}

/// systemd's `DynamicUser`: `/var/lib/maru` is a link into `/var/lib/private`, which is closed.
#[test]
fn the_documented_commands_work_on_the_layout_of_the_unit() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let lib = folder.path().join("lib");
    for name in ["maru", "maru-backup"] {
        std::fs::create_dir_all(lib.join("private").join(name)).unwrap();
        symlink(format!("private/{name}"), lib.join(name)).unwrap();
    }
    std::fs::set_permissions(lib.join("private"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut node = Node::start_in(&lib.join("maru"), 1, &[]);
    let people = people(&node, 2);
    let said = Said::default();
    write(&node, &people[0], &people[1], 10, &said, |number| number < 5);
    let (there, server) = (lib.to_str().unwrap().to_owned(), node.admin.clone());
    let bin = folder.path().join("bin").to_str().unwrap().to_owned();
    let places = [
        ("/var/lib", there.as_str()),
        ("/usr/local/bin", bin.as_str()),
        ("http://127.0.0.1:8082", server.as_str()),
    ];
    // The program to install is none here.
    std::fs::create_dir(folder.path().join("bin")).unwrap();
    std::fs::write(folder.path().join("maru"), "the next version").unwrap();
    for mark in ["upgrade", "backup", "restore"] {
        for line in documented(mark, &places) {
            match line.split('#').next().unwrap().trim() {
                "systemctl stop maru" => assert_eq!(node.stop(), Some(0)),
                "systemctl start maru" => node.up(1),
                line => shell(line, folder.path()),
            }
        }
        // What was said after the backup is gone afterwards.
        if mark == "backup" {
            write(&node, &people[1], &people[0], 10, &Said::default(), |number| number < 1);
        }
    }
    assert_eq!(shown(&node, &people[0], people[1].user), *held(&said));
    assert!(lib.join("maru").is_symlink() && lib.join("private/maru.broken/MARU").exists());
    assert_eq!(node.stop(), Some(0));
    node.check();
}
