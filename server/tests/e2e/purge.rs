//! Messages that are purged by an operator or by a retention: what they said is told to nobody again, histories stay dense, counts
//! follow, and a kill changes nothing about it.

use protocol::body::about::{Pin, React, Recalled};
use protocol::body::message::{CreateGroup, SendText};
use protocol::body::sync::SendAck;
use protocol::{ChannelId, Code, SendId, UserId};
use serde_json::{Value, json};

use crate::node::{Node, admin};
use crate::people::until;
use crate::raw::{Raw, Seen, token};
use crate::recall::{asked, told, users};

const SECRET: &str = "nobody guesses this";
const DAY_MS: u64 = 86_400_000;

/// `maru admin` with these words on the running server; what it prints, or its complaint.
fn operate(node: &Node, args: &[&str]) -> Result<Value, String> {
    let at = ["--server", &node.admin, "--data", node.data.to_str().unwrap()];
    let output = admin(&[args, &at].concat());
    if output.status.success() {
        return Ok(serde_json::from_slice(&output.stdout).unwrap());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Asks for a purge until all of it is old enough to go.
async fn purge(node: &Node, channel: ChannelId, before: u64) {
    let (id, seq) = (channel.to_string(), before.to_string());
    until("all of it is old enough", || {
        let kept = operate(node, &["purge", &id, "--before", &seq]).unwrap();
        assert!(kept["begins"].as_u64().unwrap() <= before, "{kept}");
        kept["begins"] == before
    })
    .await;
}

/// Seqs and kinds of a channel's newest page, rising.
fn kinds(node: &Node, channel: ChannelId, token: &str) -> Vec<(u64, String)> {
    let path = format!("/v1/channels/{channel}/messages?limit=200");
    let (status, page) = asked(node, "GET", &path, token, None);
    assert_eq!(status, 200, "{page}");
    let one = |one: &Value| (one["seq"].as_u64().unwrap(), one["kind"].as_str().unwrap().to_owned());
    page["messages"].as_array().unwrap().iter().map(one).collect()
}

/// So many tombstones, and texts behind them.
fn purged_to(floor: u64, head: u64) -> Vec<(u64, String)> {
    let kind = |seq| if seq < floor { "recalled" } else { "text" };
    (1..=head).map(|seq| (seq, kind(seq).to_owned())).collect()
}

fn say(device: &mut Raw, channel: ChannelId, id: u64, text: &str) {
    device.body(id, &SendText { channel: channel.0, text: text.into() });
    device.answer_as::<SendAck>(id);
}

/// The stamped frames that a device which was away is brought, up to a seq.
fn brought(device: &mut Raw, last: u64) -> Vec<(u64, bool)> {
    let mut found = Vec::new();
    while found.last().is_none_or(|(seq, _)| *seq < last) {
        match device.next() {
            Seen::Frame(frame) => {
                let is_purged = Recalled::read(&frame).is_some_and(|says| says.is_purge());
                found.extend(frame.read_stamp().map(|stamp| (stamp.seq.0, is_purged)));
            }
            other => panic!("{other:?} instead of what was missed"),
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_is_gone_for_everybody_and_outlives_a_kill() {
    let mut node = Node::start(2, &[]);
    let all = users(&node, &["ann", "bob"]).await;
    let (ann, bob) = (all[0], all[1]);
    let group = ChannelId::group(ann, SendId(1));
    let channel = group.0;
    let mut device = Raw::live(&node, &token(&node, ann, 1));
    let mut bobs = Raw::live(&node, &token(&node, bob, 2));
    device.body(1, &CreateGroup { channel, name: "floor".into(), members: vec![bob.0] });
    assert_eq!(device.answer_as::<SendAck>(1).seq, 1);
    (2..=4).for_each(|id| say(&mut device, group, id, SECRET));
    bobs.body(5, &React { channel, target: 2, on: true, emoji: "👍".into() });
    assert_eq!(bobs.answer_as::<SendAck>(5).seq, 5);
    device.body(6, &Pin { channel, target: 3, on: true });
    assert_eq!(device.answer_as::<SendAck>(6).seq, 6);
    say(&mut device, group, 7, "stays");
    say(&mut device, group, 8, "stays too");
    let bobs_token = token(&node, bob, 4);
    let search = || asked(&node, "GET", "/v1/search?q=guesses", &bobs_token, None).1["hits"].to_string();
    until("the search finds it", || search().contains("guesses")).await;
    let unread = |node: &Node, token: &str| {
        asked(node, "GET", "/v1/channels", token, None).1["channels"][0]["unread"].clone()
    };
    assert_eq!(unread(&node, &bobs_token), json!(5));

    purge(&node, group, 7).await;
    // From its answer on nothing tells it.
    let after = told(&node, group, &bobs_token);
    assert!(!after.contains("guesses") && after.contains("stays too"), "{after}");
    let (_, about) = asked(&node, "GET", &format!("/v1/channels/{group}/about"), &bobs_token, None);
    assert_eq!((&about["messages"], &about["pins"]), (&json!([]), &json!([])), "{about}");
    device.refuses(10, &React { channel, target: 2, on: true, emoji: "x".into() }, Code::Limit, "target");
    let gone: Vec<String> = operate(&node, &["retention", &group.to_string()])
        .unwrap()
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert!(gone.contains(&"begins=7".to_owned()) && gone.contains(&"head=8".to_owned()), "{gone:?}");

    for again in [false, true] {
        if again {
            node.kill();
            node.check();
            node.up(1);
        }
        let bobs_token = token(&node, bob, 4);
        assert!(!told(&node, group, &bobs_token).contains("guesses"));
        assert_eq!(kinds(&node, group, &bobs_token), purged_to(7, 8));
        // A jump to the middle of what is gone.
        let path = format!("/v1/channels/{group}/messages?around=4&limit=3");
        let (_, page) = asked(&node, "GET", &path, &bobs_token, None);
        let jumped = page["messages"].as_array().unwrap();
        assert_eq!(jumped.iter().map(|one| one["seq"].clone()).collect::<Vec<_>>(), [3, 4, 5], "{page}");
        assert_eq!((&jumped[1]["kind"], &jumped[1]["by"]), (&json!("recalled"), &json!(0)), "{page}");
        assert_eq!(unread(&node, &bobs_token), json!(2), "what is gone is nothing to read");
        // A device that was away is brought what stands there.
        let mut away = Raw::live(&node, &token(&node, bob, 3 + u64::from(again) * 10));
        let expected: Vec<(u64, bool)> = (1..=8).map(|seq| (seq, seq < 7)).collect();
        assert_eq!(brought(&mut away, 8), expected);
    }
    // Life goes on, and the next purge begins there.
    let mut device = Raw::live(&node, &token(&node, ann, 1));
    say(&mut device, group, 20, "goes on");
    purge(&node, group, 8).await;
    assert_eq!(kinds(&node, group, &token(&node, bob, 4)), purged_to(8, 9));
    node.stop();
    node.check();
}

/// Of a channel with a family of its own whole files are dropped, behind the answer: a kill falls in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_before_its_files_are_dropped_brings_nothing_back() {
    let mut node = Node::start(1, &[]);
    let all = users(&node, &["ann", "bob"]).await;
    let direct = ChannelId::direct(all[0], all[1]);
    let mut device = Raw::live(&node, &token(&node, all[0], 1));
    const TEXTS: u64 = 60;
    (1..=TEXTS).for_each(|id| say(&mut device, direct, id, &format!("{SECRET} {}", "x".repeat(3000))));
    let id = direct.to_string();
    let families = |node: &Node, word: &str| {
        let at = ["--server", &node.admin, "--data", node.data.to_str().unwrap()];
        let output = admin(&[&["families", word, &id], &at[..]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    families(&node, "give");
    until("all of it is moved", || node.metric("maru_store_moving_channels", "") == 0).await;
    for floor in [21, 41] {
        purge(&node, direct, floor).await;
        node.kill();
        node.check();
        node.up(1);
        assert_eq!(kinds(&node, direct, &token(&node, all[1], 2)), purged_to(floor, TEXTS));
    }
    // Back in the shared family nothing of it has come back either.
    families(&node, "return");
    until("all of it is back", || node.metric("maru_store_own_families", "") == 0).await;
    assert_eq!(kinds(&node, direct, &token(&node, all[1], 2)), purged_to(41, TEXTS));
    node.stop();
    node.check();
}

/// Three people: the first two talk, and the first with the third.
async fn two_channels(node: &Node) -> (Vec<UserId>, [ChannelId; 2]) {
    let all = users(node, &["ann", "bob", "eve"]).await;
    let channels = [ChannelId::direct(all[0], all[1]), ChannelId::direct(all[0], all[2])];
    let mut device = Raw::live(node, &token(node, all[0], 1));
    for (at, channel) in channels.into_iter().enumerate() {
        (1..=5).for_each(|id| say(&mut device, channel, 10 * at as u64 + id, SECRET));
    }
    (all, channels)
}

/// The retention's clock is days ahead of the wall clock, as after one that was wrong for long: it stands, and by it all that was
/// said now is old.
fn set_the_clock_ahead(node: &Node) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let reading = u64::try_from(now.as_millis()).unwrap() + 3 * DAY_MS;
    std::fs::write(node.data.join("retention.clock"), format!("{reading}\n")).unwrap();
    reading
}

fn clock(node: &Node) -> u64 {
    std::fs::read_to_string(node.data.join("retention.clock")).unwrap().trim().parse().unwrap()
}

async fn until_begins(node: &Node, channel: ChannelId, seq: u64) {
    until(&format!("{channel} begins at {seq}"), || {
        operate(node, &["retention", &channel.to_string()]).unwrap()["begins"] == seq
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_keeps_what_its_own_retention_says_and_all_others_everything() {
    let mut node = Node::start(1, &[]);
    let (all, [first, second]) = two_channels(&node).await;
    let id = first.to_string();
    let kept = operate(&node, &["retention", &id, "--messages", "2"]).unwrap();
    assert_eq!(
        (&kept["messages"], &kept["days"], &kept["begins"]),
        (&json!(2), &json!(0), &json!(1)),
        "{kept}"
    );
    node.stop();
    let reading = set_the_clock_ahead(&node);
    node.up(1);
    until_begins(&node, first, 4).await;
    until("the round is over", || clock(&node) == reading).await;
    assert_eq!(kinds(&node, first, &token(&node, all[1], 2)), purged_to(4, 5));
    assert_eq!(kinds(&node, second, &token(&node, all[2], 3)), purged_to(1, 5));
    // As the server's settings say again.
    let kept = operate(&node, &["retention", &id, "--server-default"]).unwrap();
    assert_eq!((&kept["messages"], &kept["begins"]), (&Value::Null, &json!(4)), "{kept}");
    node.kill();
    node.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_retention_holds_for_all_that_do_not_say_otherwise() {
    let mut node = Node::start(1, &["--retention-days", "2"]);
    let (all, [first, second]) = two_channels(&node).await;
    operate(&node, &["retention", &second.to_string(), "--days", "0"]).unwrap();
    node.stop();
    set_the_clock_ahead(&node);
    node.up(1);
    until_begins(&node, first, 6).await;
    assert_eq!(kinds(&node, first, &token(&node, all[1], 2)), purged_to(6, 5));
    assert_eq!(kinds(&node, second, &token(&node, all[2], 3)), purged_to(1, 5));
    // A channel of which nothing is left goes on where it was.
    let mut device = Raw::live(&node, &token(&node, all[0], 1));
    say(&mut device, first, 30, "goes on");
    assert_eq!(kinds(&node, first, &token(&node, all[1], 2)), purged_to(6, 6));
    node.kill();
    node.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_purged_is_refused_in_words() {
    let mut node = Node::start(1, &[]);
    let (all, [first, _]) = two_channels(&node).await;
    let id = first.to_string();
    let refused = |args: &[&str], words: &str| {
        let complaint = operate(&node, args).unwrap_err();
        assert!(complaint.contains(words), "{args:?}: {complaint}");
    };
    let nobody = ChannelId::direct(UserId(77), UserId(78)).to_string();
    refused(&["purge", &nobody, "--before", "2"], "no such channel");
    refused(&["retention", &nobody], "no such channel");
    refused(&["purge", &ChannelId::own(all[0]).to_string(), "--keep", "0"], "not purged");
    refused(&["purge", &id], "--before");
    refused(&["purge", &id, "--before", "yesterday"], "2026-11-27");
    refused(&["retention", &id, "--days", "36501"], "36500");
    let body = |path: &str, method: &str, body: &str| -> Value {
        let answer = node.ask_admin(
            method,
            &format!("/v1/admin/channels/{id}/{path}"),
            &node.admin_token(),
            Some(body),
        );
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    let far = "9007199254740992";
    for (path, method, wrong, field) in [
        ("purge", "POST", "{}".to_owned(), "below"),
        ("purge", "POST", format!("{{\"keep\":{far}}}"), "keep"),
        ("retention", "PUT", "{\"days\":36501}".to_owned(), "days"),
        ("retention", "PUT", format!("{{\"messages\":{far}}}"), "messages"),
    ] {
        let refusal = body(path, method, &wrong);
        assert_eq!((&refusal["code"], &refusal["field"]), (&json!("bad_field"), &json!(field)), "{refusal}");
    }
    assert_eq!(kinds(&node, first, &token(&node, all[1], 2)), purged_to(1, 5));
    node.stop();
    let output = admin(&["purge", &id, "--before", "2", "--data", node.data.to_str().unwrap()]);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && complaint.contains("running server"), "{complaint}");
}
