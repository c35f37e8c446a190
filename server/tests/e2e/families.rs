//! A channel's history in a RocksDB family of its own, given and taken back on the running server and in a stopped directory:
//! nobody who writes or reads notices.

use protocol::ChannelId;
use serde_json::Value;

use crate::node::{Node, admin};
use crate::people::{Device, PASSWORD, until};

/// `maru admin families` with these words; the lines that it prints, without the bytes.
#[track_caller]
fn families(node: &Node, args: &[&str]) -> Vec<String> {
    let output = admin(&[&["families"], args, &["--data", node.data.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| line.rsplit_once('\t').unwrap().0.replace('\t', " ")).collect()
}

#[track_caller]
fn refused(node: &Node, args: &[&str], words: &str) {
    let output = admin(&[&["families"], args, &["--data", node.data.to_str().unwrap()]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(words), "{args:?}: {said}");
}

/// The texts of the channel's newest page over HTTP, rising.
fn history(node: &Node, token: &str, channel: ChannelId) -> Vec<String> {
    let request = format!(
        "GET /v1/channels/{channel}/messages?limit=200 HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    let answer = node.http_raw(&request);
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let messages = body["messages"].as_array().unwrap_or_else(|| panic!("{answer}"));
    messages.iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect()
}

/// What was said may still be on its way.
async fn all_there(node: &Node, token: &str, channel: ChannelId, said: &[String]) {
    until("all that was said is there", || {
        let found = history(node, token, channel);
        assert_eq!(found, said[..found.len()]);
        found.len() == said.len()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_moves_and_nobody_notices() {
    let mut node = Node::start(2, &[]);
    let account = node.account();
    for name in ["ann", "bob"] {
        account.signup(name, PASSWORD).await.unwrap();
    }
    let (ann, bob) = (Device::login(&account, "ann").await, Device::login(&account, "bob").await);
    let channel = ChannelId::direct(ann.user, bob.user);
    let id = channel.to_string();
    let token = account.login("bob", PASSWORD, None).await.unwrap().token;
    let mut said = Vec::new();
    let say = async |said: &mut Vec<String>, count: usize| {
        for _ in 0..count {
            said.push(format!("number {}", said.len()));
            ann.say(channel, said.last().unwrap()).await;
        }
    };
    let server = node.admin.clone();
    refused(&node, &["give", &id, "--server", &server], "no such channel");
    say(&mut said, 40).await;
    all_there(&node, &token, channel, &said).await;

    let at = ["--server", &server];
    families(&node, &[&["give", &id], &at[..]].concat());
    refused(&node, &[&["give", &id], &at[..]].concat(), "already");
    say(&mut said, 20).await;
    all_there(&node, &token, channel, &said).await;
    let settled = format!("{id} own0 1 - settled");
    until("all of it is moved", || families(&node, &[&["list"], &at[..]].concat()) == [settled.clone()])
        .await;
    all_there(&node, &token, channel, &said).await;
    assert_eq!(node.metric("maru_store_own_families", ""), 1);
    assert!(node.metric("maru_store_moved_messages_total", "") >= 40);

    families(&node, &[&["return", &id], &at[..]].concat());
    say(&mut said, 20).await;
    all_there(&node, &token, channel, &said).await;
    until("all of it is back", || families(&node, &[&["list"], &at[..]].concat()).is_empty()).await;
    families(&node, &[&["give", &id], &at[..]].concat());
    say(&mut said, 20).await;
    until("bob has all", || {
        bob.held.lock().unwrap().messages.get(&channel).map_or(0, |held| held.len()) == said.len()
    })
    .await;

    // The operator ends it; the rest is done in the stopped directory.
    let output = admin(&["drain", "--server", &server, "--data", node.data.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(node.ended(), Some(0));
    assert!(admin(&["check", "--data", node.data.to_str().unwrap()]).status.success());
    assert_eq!(families(&node, &["list"]).len(), 1);
    families(&node, &["return", &id]);
    assert_eq!(families(&node, &["list"]), [""; 0]);
    assert!(admin(&["check", "--data", node.data.to_str().unwrap()]).status.success());
    refused(&node, &["return", &id], "no family of its own");
    families(&node, &["give", &id]);
    assert_eq!(families(&node, &["list"]), [settled]);
    node.up(2);
    say(&mut said, 1).await;
    all_there(&node, &token, channel, &said).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_channel_has_a_family_where_it_is_set_so() {
    let node = Node::start(1, &["--own-family-messages", "1"]);
    let account = node.account();
    for name in ["ann", "bob", "cat"] {
        account.signup(name, PASSWORD).await.unwrap();
    }
    let ann = Device::login(&account, "ann").await;
    for other in ["bob", "cat"] {
        let other = Device::login(&account, other).await;
        ann.say(ChannelId::direct(ann.user, other.user), "hello").await;
    }
    until("both have one", || node.metric("maru_store_own_families", "") == 2).await;
    until("both are settled", || node.metric("maru_store_moving_channels", "") == 0).await;
}
