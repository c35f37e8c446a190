//! A channel leaves one server and comes into another, by the commands that docs/operations.md shows: the second server's export is
//! the first one's, byte for byte. And a user takes along what is its own, while others go on writing.

use std::path::Path;
use std::process::{Command, Output};

use protocol::body::about::{EditText, Pin, React, Recall};
use protocol::body::message::{AddMembers, CreateGroup, LeaveGroup, SendText};
use protocol::body::sync::SendAck;
use protocol::{ChannelId, SendId, UserId};
use serde_json::Value;

use crate::node::{Node, admin, maru};
use crate::people::until;
use crate::raw::{Raw, token};
use crate::recall::users;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The commands of the page behind a mark, with other places in them.
fn documented(mark: &str, places: &[(&str, &str)]) -> String {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (_, rest) = page.split_once(&format!("<!-- run: {mark} -->\n```sh\n")).expect("the mark");
    let block = rest.split_once("```").expect("the end of the block").0.to_owned();
    places.iter().fold(block, |block, (from, to)| {
        assert!(block.contains(from), "{from} is not in {block}");
        block.replace(from, to)
    })
}

fn shell(script: &str, at: &Path) -> String {
    let path = format!("{}:{}", maru().parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output =
        Command::new("bash").args(["-euc", script]).env("PATH", path).current_dir(at).output().unwrap();
    assert!(output.status.success(), "{script}: {}", words(&output));
    words(&output)
}

fn export(node: &Node, args: &[&str]) -> Output {
    let fixed = ["--data", node.data.to_str().unwrap(), "--server", &node.admin];
    admin(&[&["export"], args, &fixed].concat())
}

/// Without the first line, which has the time.
fn body(text: &str) -> &str {
    text.split_once('\n').unwrap().1
}

fn lines(text: &str, word: &str) -> Vec<Value> {
    let read = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    text.lines().skip(1).map(read).filter(|line| line["line"] == word).collect()
}

/// A group with one of everything.
fn live(node: &Node, [ann, bob, eve]: [UserId; 3]) -> ChannelId {
    let group = ChannelId::group(ann, SendId(1));
    let channel = group.0;
    let mut anns = Raw::live(node, &token(node, ann, 1));
    let mut bobs = Raw::live(node, &token(node, bob, 2));
    let acked = |device: &mut Raw, id: u64| device.answer_as::<SendAck>(id).seq;
    anns.body(1, &CreateGroup { channel, name: "마루".into(), members: vec![bob.0] });
    assert_eq!(acked(&mut anns, 1), 1);
    for (id, text) in [(2, "kept"), (3, "to be recalled"), (4, "\"quoted\"\n")] {
        anns.body(id, &SendText { channel, text: text.into() });
        assert_eq!(acked(&mut anns, id), id);
    }
    anns.body(5, &EditText { channel, target: 2, text: "reads otherwise".into() });
    assert_eq!(acked(&mut anns, 5), 5);
    bobs.body(6, &React { channel, target: 2, on: true, emoji: "👍".into() });
    assert_eq!(acked(&mut bobs, 6), 6);
    anns.body(7, &Pin { channel, target: 2, on: true });
    assert_eq!(acked(&mut anns, 7), 7);
    anns.body(8, &Recall { channel, target: 3 });
    assert_eq!(acked(&mut anns, 8), 8);
    anns.body(9, &AddMembers { channel, members: vec![eve.0] });
    assert_eq!(acked(&mut anns, 9), 9);
    bobs.body(10, &LeaveGroup { channel });
    assert_eq!(acked(&mut bobs, 10), 10);
    anns.body(11, &SendText { channel, text: "bob is not there".into() });
    assert_eq!(acked(&mut anns, 11), 11);
    group
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_moves_to_another_server_by_the_documented_commands() {
    let node = Node::start(2, &[]);
    let all = users(&node, &["ann", "bob", "eve"]).await;
    let (ann, bob) = (all[0], all[1]);
    let group = live(&node, [ann, bob, all[2]]);
    // A list is stored a little behind the message that opens it.
    until("bob's list has the group that he left", || {
        let path = format!("/v1/admin/users/{bob}/channels");
        node.ask_admin("GET", &path, &node.admin_token(), None).contains("\"left\":10")
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let (id, data) = (group.to_string(), node.data.to_str().unwrap().to_owned());
    let target = folder.path().join("new");
    let places = [
        ("7310442183966793728", id.as_str()),
        ("--data /var/lib/maru", &format!("--data {data}")),
        ("http://127.0.0.1:8082", &node.admin),
        ("USER", "bob"),
    ];
    shell(&documented("export", &places), folder.path());
    let file = folder.path().join("channel.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(lines(&text, "user").iter().any(|line| line["name"] == "eve"), "{text}");
    assert_eq!(lines(&text, "message").len(), 11);
    assert!(!text.contains("to be recalled"), "{text}");
    // What is there is not written over.
    let again = export(&node, &["channel", &id, "--out", file.to_str().unwrap()]);
    assert!(!again.status.success() && words(&again).contains("is there already"), "{}", words(&again));
    // Bob's view ends where he left.
    let view = std::fs::read_to_string(folder.path().join("user.jsonl")).unwrap();
    assert!(view.contains("\"kept\"") && !view.contains("bob is not there"), "{view}");
    for secret in ["argon2", "password_hash", "\"frame\""] {
        assert!(!view.contains(secret), "{secret} is in {view}");
    }

    let target_words = format!("--data {}", target.display());
    let said = shell(&documented("import", &[("--data /var/lib/maru", &target_words)]), folder.path());
    assert!(said.contains("broken 0, lost 0") && said.contains("11 messages"), "{said}");
    let other = Node::start_in(&target, 1, &[]);
    let second = export(&other, &["channel", &id]);
    assert!(second.status.success(), "{}", words(&second));
    assert_eq!(body(&String::from_utf8(second.stdout).unwrap()), body(&text));
    // People are there, without a password; with one they have their channels.
    let password = Command::new("bash")
        .args([
            "-euc",
            &format!(
                "echo 'a new long password' | {} admin password --user ann --data {} --server {}",
                maru().display(),
                target.display(),
                other.admin
            ),
        ])
        .output()
        .unwrap();
    assert!(password.status.success(), "{}", words(&password));
    let login = other.account().login("ann", "a new long password", None).await.unwrap();
    let history = other.ask("GET", &format!("/v1/channels/{group}/messages"), &login.token, None);
    assert!(history.contains("bob is not there") && history.contains("\"recalled\""), "{history}");
    let list = other.ask("GET", "/v1/channels", &login.token, None);
    assert!(list.contains(&format!("\"channel\":\"{group}\"")), "{list}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_imported_whole_leaves_nothing() {
    let node = Node::start(1, &[]);
    let all = users(&node, &["ann", "bob", "eve"]).await;
    let group = live(&node, [all[0], all[1], all[2]]);
    let output = export(&node, &["channel", &group.to_string()]);
    assert!(output.status.success(), "{}", words(&output));
    let whole = String::from_utf8(output.stdout).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (file, target) = (folder.path().join("f"), folder.path().join("new"));
    let import = |files: &[&Path]| {
        let files: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
        admin(&[&["import"], &files[..], &["--data", target.to_str().unwrap()]].concat())
    };
    let long = format!("{}\n", "x".repeat(10 << 20));
    let half = whole.rsplit_once("{\"line\":\"end\"").unwrap().0;
    for (text, says) in [
        (half.to_owned(), "without its last line"),
        (whole.replacen("\"name\":\"ann\"", "\"name\":\"amy\"", 1), "checksum"),
        (whole.replacen("\"version\":1", "\"version\":9", 1), "of version 9"),
        ("hello\n".to_owned(), "no export of Maru"),
        (whole.replacen('\n', &format!("\n{long}"), 1), "longer than"),
        (whole.replacen("{\"line\":\"user\"", "{\"more\":1,\"line\":\"user\"", 1), "unknown field `more`"),
    ] {
        std::fs::write(&file, text).unwrap();
        let refused = import(&[&file]);
        let said = words(&refused);
        assert!(
            !refused.status.success() && said.contains(says) && said.contains(": line "),
            "{says}: {said}"
        );
        assert!(!target.exists(), "{says}");
    }
    std::fs::write(&file, &whole).unwrap();
    let twice = import(&[&file, &file]);
    assert!(words(&twice).contains("in another file too") && !target.exists(), "{}", words(&twice));
    // Somebody's directory is not touched.
    std::fs::create_dir(&target).unwrap();
    std::fs::write(target.join("thesis"), "mine").unwrap();
    let occupied = import(&[&file]);
    assert!(words(&occupied).contains("thesis"), "{}", words(&occupied));
    assert_eq!(std::fs::read_dir(&target).unwrap().count(), 1);
    std::fs::remove_file(target.join("thesis")).unwrap();
    // One that was cut short is refused by every other command.
    std::fs::write(target.join("IMPORTING"), "").unwrap();
    let check = admin(&["check", "--data", target.to_str().unwrap()]);
    assert!(words(&check).contains("not imported to the end"), "{}", words(&check));
    std::fs::remove_file(target.join("IMPORTING")).unwrap();
    let done = import(&[&file]);
    assert!(done.status.success(), "{}", words(&done));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_of_one_moment_while_messages_come() {
    let node = Node::start(2, &[]);
    let all = users(&node, &["ann", "bob"]).await;
    let direct = ChannelId::direct(all[0], all[1]);
    let mut anns = Raw::live(&node, &token(&node, all[0], 1));
    let mut id = 0;
    let mut say = |count: u64| {
        for _ in 0..count {
            id += 1;
            anns.body(id, &SendText { channel: direct.0, text: format!("text {id}") });
            assert_eq!(anns.answer_as::<SendAck>(id).seq, id);
        }
    };
    say(50);
    for _ in 0..3 {
        let (node, direct) = (&node, direct.to_string());
        std::thread::scope(|scope| {
            let exporting = scope.spawn(|| export(node, &["channel", &direct]));
            say(100);
            let output = exporting.join().unwrap();
            assert!(output.status.success(), "{}", words(&output));
            let text = String::from_utf8(output.stdout).unwrap();
            let head = lines(&text, "channel")[0]["head"].as_u64().unwrap();
            let seqs: Vec<u64> =
                lines(&text, "message").iter().map(|line| line["seq"].as_u64().unwrap()).collect();
            assert!(head >= 50 && seqs == (1..=head).collect::<Vec<_>>(), "{head} {seqs:?}");
        });
    }
    // One's own, over HTTP.
    let of_bob = token(&node, all[1], 7);
    until("bob's list has the channel", || {
        node.ask("GET", "/v1/channels", &of_bob, None).contains(&direct.to_string())
    })
    .await;
    let answer = node.ask("GET", "/v1/me/export", &of_bob, None);
    assert!(answer.contains("application/jsonl") && answer.contains("\"line\":\"end\""), "{answer}");
    assert!(answer.contains("\"text 350\"") && answer.contains("\"name\":\"ann\""), "{answer}");
}
