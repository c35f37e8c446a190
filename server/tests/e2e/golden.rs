//! Directories that released versions wrote: this one opens them, finds nothing wrong, and shows what was said.
//!
//! `tests/golden/format-2.tar.gz` was written by version 0.2.0. `BLESS_GOLDEN=1` writes it anew, with what it must show
//! beside it: once a format is released, its directory is for ever, and a new format gets a file of its own.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use protocol::body::message::{CreateGroup, SendText};
use protocol::body::sync::SendAck;
use protocol::{ChannelId, SendId, UserId};
use serde_json::{Value, json};

use crate::backup::words;
use crate::node::{Node, maru};
use crate::raw::Raw;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
const PASSWORD: &str = "golden horse battery staple";
const NAMES: [&str; 3] = ["ann", "bob", "carl"];

fn archive() -> PathBuf {
    Path::new(GOLDEN).join("format-2.tar.gz")
}

fn told() -> PathBuf {
    Path::new(GOLDEN).join("format-2.txt")
}

fn tar(args: &[&str], folder: &Path) {
    let output =
        Command::new("tar").args(args).arg(archive()).arg("-C").arg(folder).arg("data").output().unwrap();
    assert!(output.status.success(), "{}", words(&output));
}

fn ask(node: &Node, method: &str, path: &str, token: &str, body: Option<&Value>) -> Value {
    let answer = node.ask(method, path, token, body.map(Value::to_string).as_deref());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 20"), "{path}: {answer}");
    serde_json::from_str(body).unwrap_or_default()
}

/// Token and id.
fn login(node: &Node, name: &str) -> (String, String) {
    let answer = ask(node, "POST", "/v1/login", "", Some(&json!({ "name": name, "password": PASSWORD })));
    let text = |field: &str| answer[field].as_str().unwrap().to_owned();
    (text("token"), text("user"))
}

/// Everything that three people see.
fn shown(node: &Node) -> String {
    let mut out = String::new();
    for name in NAMES {
        let (token, user) = login(node, name);
        let profile = ask(node, "GET", &format!("/v1/users/{user}"), &token, None);
        writeln!(out, "{name} {user} {} {}", profile["display_name"], profile["about"]).unwrap();
        writeln!(out, "friends {}", ask(node, "GET", "/v1/friends", &token, None)["friends"]).unwrap();
        writeln!(out, "blocks {}", ask(node, "GET", "/v1/blocks", &token, None)["blocks"]).unwrap();
        writeln!(out, "privacy {}", ask(node, "GET", "/v1/privacy", &token, None)).unwrap();
        let channels = ask(node, "GET", "/v1/channels", &token, None);
        for channel in channels["channels"].as_array().unwrap() {
            writeln!(out, "{channel}").unwrap();
            let id = channel["channel"].as_str().unwrap();
            let members = ask(node, "GET", &format!("/v1/channels/{id}/members"), &token, None);
            writeln!(out, "  {}", members["members"]).unwrap();
            let page =
                ask(node, "GET", &format!("/v1/channels/{id}/messages?after=0&limit=200"), &token, None);
            for message in page["messages"].as_array().unwrap() {
                writeln!(out, "  {message}").unwrap();
            }
        }
    }
    out
}

/// A small life: people who talk, befriend and block each other, with profiles and a bot.
fn live(node: &Node) {
    for name in NAMES {
        ask(node, "POST", "/v1/signup", "", Some(&json!({ "name": name, "password": PASSWORD })));
    }
    let [ann, bob, carl] = NAMES.map(|name| login(node, name));
    let say = |from: &str, to: &str, text: &str, number: u32| {
        let key = format!("\r\nIdempotency-Key: golden-{number}");
        let body = json!({ "text": text });
        let answer = node.ask(
            "POST",
            &format!("/v1/users/{to}/messages"),
            &format!("{from}{key}"),
            Some(&body.to_string()),
        );
        assert!(answer.contains(" 201 "), "{answer}");
    };
    for number in 0..20 {
        say(&ann.0, &bob.1, &format!("{number}: 안녕 bob, héllo \u{1f600}"), number);
        say(&bob.0, &ann.1, &"long ".repeat(20 * usize::try_from(number).unwrap() + 1), 100 + number);
    }
    let (creator, send_id) = (UserId(ann.1.parse().unwrap()), SendId(77));
    let channel = ChannelId::group(creator, send_id).0;
    let mut members: Vec<u64> = [&bob, &carl].map(|(_, user)| user.parse().unwrap()).into();
    members.sort_unstable();
    let mut device = Raw::live(node, &ann.0);
    device.body(send_id.0, &CreateGroup { channel, name: "floor".into(), members });
    device.answer_as::<SendAck>(send_id.0);
    for number in 100..110 {
        device.body(number, &SendText { channel, text: format!("to everybody, {number}") });
        device.answer_as::<SendAck>(number);
    }
    drop(device);
    say(&carl.0, &ann.1, "a line\nand another", 200);
    ask(node, "PATCH", "/v1/profile", &ann.0, Some(&json!({ "display_name": "Ann 가", "about": "first" })));
    ask(node, "PUT", &format!("/v1/friends/{}", bob.1), &ann.0, None);
    ask(node, "PUT", &format!("/v1/friends/{}", ann.1), &bob.0, None);
    node.ask("PUT", &format!("/v1/blocks/{}", carl.1), &bob.0, None);
    ask(node, "PATCH", "/v1/privacy", &carl.0, Some(&json!({ "message": "friends" })));
    ask(node, "POST", "/v1/bots", &ann.0, Some(&json!({ "name": "herald" })));
}

fn bless() {
    let mut node = Node::start(1, &[]);
    live(&node);
    assert_eq!(node.stop(), Some(0));
    // Once more, so that a log was recovered and tables were written.
    node.up(2);
    let text = shown(&node);
    assert_eq!(node.stop(), Some(0));
    node.check();
    std::fs::create_dir_all(GOLDEN).unwrap();
    std::fs::write(told(), text).unwrap();
    let holder = node.data.parent().unwrap();
    tar(&["--exclude=ballast", "--exclude=LOG*", "--owner=0", "--group=0", "-czf"], holder);
}

#[test]
fn the_directory_of_format_2_opens_and_shows_what_was_said() {
    if std::env::var_os("BLESS_GOLDEN").is_some_and(|value| value == "1") {
        return bless();
    }
    let folder = tempfile::tempdir().unwrap();
    tar(&["-xzf"], folder.path());
    let data = folder.path().join("data");
    let check = Command::new(maru()).args(["admin", "check", "--data"]).arg(&data).output().unwrap();
    assert!(check.status.success(), "{}", words(&check));
    let mut node = Node::start_in(&data, 2, &[]);
    let (found, wanted) = (shown(&node), std::fs::read_to_string(told()).unwrap());
    for (found, wanted) in found.lines().zip(wanted.lines()) {
        // What came to the answers since: nobody had chosen it then.
        let found = found.replace(r#""receipts":"everyone","#, "");
        assert_eq!(found, wanted);
    }
    assert_eq!(found.lines().count(), wanted.lines().count());
    // It goes on.
    let (token, _) = login(&node, "ann");
    let sent = node.ask(
        "POST",
        &format!("/v1/users/{}/messages", login(&node, "bob").1),
        &format!("{token}\r\nIdempotency-Key: today"),
        Some(r#"{"text":"still here"}"#),
    );
    assert!(sent.contains(r#""seq":41"#), "{sent}");
    assert_eq!(node.stop(), Some(0));
    node.check();
}
