//! Users whose account ends are erased from the history where the setting says so, or by an operator's word afterwards: what they
//! wrote is told to nobody again, others keep theirs, a device that was away hears of it in order, and kills change nothing about it.

use protocol::body::about::{EditText, React, Recalled};
use protocol::body::message::{CreateGroup, SendText};
use protocol::body::own::SetDraft;
use protocol::body::sync::SendAck;
use protocol::{ChannelId, Frame, Kind, SendId, UserId};
use serde_json::{Value, json};

use crate::node::{Node, admin};
use crate::people::until;
use crate::raw::{Raw, Seen, token};
use crate::recall::{asked, told, users};

const SECRET: &str = "nobody guesses this";
/// Enough that an erasure takes several steps.
const TEXTS: u64 = 300;

fn say(device: &mut Raw, channel: ChannelId, id: u64, text: &str) {
    device.body(id, &SendText { channel: channel.0, text: text.into() });
    device.answer_as::<SendAck>(id);
}

/// What `maru admin erasures` prints of a user.
fn erasure(node: &Node, user: UserId) -> Option<Value> {
    let at = ["--server", &node.admin, "--data", node.data.to_str().unwrap()];
    let output = admin(&[&["erasures"][..], &at].concat());
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.find(|line| line["user"] == user.to_string())
}

async fn until_done(node: &Node, user: UserId) {
    until("nothing is left", || erasure(node, user).is_some_and(|erasure| erasure["done_ms"].is_u64())).await;
}

/// The stamped frames that a device which was away is brought, up to the ERASE of each of these channels.
fn brought(device: &mut Raw, mut erased: Vec<ChannelId>) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    while !erased.is_empty() {
        match device.next() {
            Seen::Frame(frame) if frame.header().is_stamped() => {
                if frame.kind() == Kind::ERASE {
                    let channel = protocol::body::message::channel_of(&frame);
                    erased.retain(|one| Some(*one) != channel);
                }
                frames.push(frame);
            }
            Seen::Frame(_) => {}
            other => panic!("{other:?} instead of what was missed"),
        }
    }
    frames
}

fn holds(frame: &Frame, text: &str) -> bool {
    frame.bytes().windows(text.len()).any(|bytes| bytes == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_ends_its_account_is_erased_over_kills_and_others_keep_theirs() {
    let mut node = Node::start(2, &["--erase-history", "erase"]);
    let all = users(&node, &["ann", "bob"]).await;
    let (ann, bob) = (all[0], all[1]);
    let (group, direct) = (ChannelId::group(bob, SendId(1)), ChannelId::direct(ann, bob));
    let mut anns = Raw::live(&node, &token(&node, ann, 1));
    let mut bobs = Raw::live(&node, &token(&node, bob, 2));
    bobs.body(1, &CreateGroup { channel: group.0, name: "floor".into(), members: vec![ann.0] });
    assert_eq!(bobs.answer_as::<SendAck>(1).seq, 1);
    say(&mut bobs, group, 2, "of bob");
    say(&mut anns, direct, 3, SECRET);
    say(&mut bobs, direct, 4, "of bob, too");
    (0..TEXTS).for_each(|id| say(&mut anns, group, 1000 + id, SECRET));
    anns.body(5, &EditText { channel: group.0, target: 3, text: format!("{SECRET} now") });
    anns.answer_as::<SendAck>(5);
    anns.body(6, &React { channel: group.0, target: 2, on: true, emoji: "👍".into() });
    anns.answer_as::<SendAck>(6);
    let own = ChannelId::own(ann);
    anns.body(7, &SetDraft { channel: own.0, about: group.0, thread: 0, text: SECRET.into() });
    anns.answer_as::<SendAck>(7);
    let bobs_token = token(&node, bob, 4);
    let search = || asked(&node, "GET", "/v1/search?q=guesses", &bobs_token, None).1["hits"].to_string();
    until("the search finds it", || search().contains("guesses")).await;
    assert!(told(&node, group, &bobs_token).contains("guesses"));

    let answer = node.operate("/v1/admin/delete", &json!({ "name": "ann" }).to_string());
    assert!(answer.contains(" 204 "), "{answer}");
    // From its answer on it is to be done, whatever happens: now, and in the midst.
    node.kill();
    node.up(1);
    until("something is done", || {
        node.metric("maru_erasure_steps_total", "") > 1
            || erasure(&node, ann).is_some_and(|erasure| erasure["through_ms"].is_u64())
    })
    .await;
    node.kill();
    node.check();
    node.up(2);
    until_done(&node, ann).await;

    let bobs_token = token(&node, bob, 4);
    for channel in [group, direct] {
        let after = told(&node, channel, &bobs_token);
        assert!(!after.contains("guesses") && after.contains("of bob"), "{after}");
    }
    let (_, about) = asked(&node, "GET", &format!("/v1/channels/{group}/about"), &bobs_token, None);
    assert_eq!(about["messages"], json!([]), "its reactions are taken back: {about}");
    let (_, members) = asked(&node, "GET", &format!("/v1/channels/{group}/members"), &bobs_token, None);
    assert!(!members.to_string().contains(&ann.to_string()), "{members}");
    // A device that was away is brought what stands there, and hears of it in order.
    let mut away = Raw::live(&node, &token(&node, bob, 3));
    let frames = brought(&mut away, vec![group, direct]);
    assert!(frames.iter().all(|frame| !holds(frame, "guesses")));
    let gone = frames.iter().filter_map(Recalled::read).filter(|says| says.user == ann.0 && says.by > 0);
    assert_eq!(gone.count() as u64, TEXTS + 2, "each text and each edit");
    assert_eq!(frames.iter().filter(|frame| holds(frame, "of bob")).count(), 2);
    assert!(frames.iter().any(|frame| frame.kind() == Kind::LEAVE_GROUP));
    // Life goes on.
    let mut bobs = Raw::live(&node, &token(&node, bob, 2));
    say(&mut bobs, group, 20, "goes on");
    node.stop();
    node.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_erases_one_who_left_long_ago_and_nobody_who_has_not() {
    let mut node = Node::start(1, &[]);
    let all = users(&node, &["ann", "bob"]).await;
    let (ann, bob) = (all[0], all[1]);
    let direct = ChannelId::direct(ann, bob);
    let mut anns = Raw::live(&node, &token(&node, ann, 1));
    say(&mut anns, direct, 3, SECRET);
    let erase = |user: UserId| {
        let at = ["--server", &node.admin, "--data", node.data.to_str().unwrap()];
        let output = admin(&[&["erase", &user.to_string()][..], &at].concat());
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            Ok(serde_json::from_slice::<Value>(&output.stdout).unwrap())
        } else {
            Err(words)
        }
    };
    assert!(erase(ann).is_err_and(|words| words.contains("has an account")));
    assert!(erase(UserId(77)).is_err_and(|words| words.contains("has left")));
    let answer = node.operate("/v1/admin/delete", &json!({ "name": "ann" }).to_string());
    assert!(answer.contains(" 204 "), "{answer}");
    assert_eq!(erasure(&node, ann), None, "by the setting what was written is kept");
    let bobs_token = token(&node, bob, 4);
    assert!(told(&node, direct, &bobs_token).contains("guesses"));
    assert_eq!(erase(ann).unwrap()["done_ms"], Value::Null);
    until_done(&node, ann).await;
    assert!(!told(&node, direct, &bobs_token).contains("guesses"));
    node.stop();
    node.check();
}
