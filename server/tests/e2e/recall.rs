//! Texts that are taken back for everybody: over a connection and over HTTP, for a device that was away, while a channel moves between
//! families, and over a kill: what they said is not told to anybody again, by whatever way.

use protocol::body::about::{EditText, Pin, React, Recall, Recalled};
use protocol::body::message::{CreateGroup, SendText};
use protocol::body::sync::SendAck;
use protocol::{ChannelId, Code, Frame, Kind, SendId, UserId};
use serde_json::{Value, json};

use crate::node::{Node, admin};
use crate::people::{PASSWORD, until};
use crate::raw::{Carrier, Raw, Seen, token};

over_both! {
    a_recalled_text_is_gone_for_everybody_and_outlives_a_kill
}

const SECRET: &str = "nobody guesses this";

/// Asks with these headers besides the token; the status and the body.
pub fn asked(node: &Node, method: &str, path: &str, token: &str, body: Option<&Value>) -> (u16, Value) {
    static KEYS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let key = KEYS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    keyed(node, (method, path, &key.to_string()), token, body)
}

fn keyed(
    node: &Node,
    (method, path, key): (&str, &str, &str),
    token: &str,
    body: Option<&Value>,
) -> (u16, Value) {
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = node.http_raw(&request);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// Everything that HTTP tells of a channel.
pub fn told(node: &Node, channel: ChannelId, token: &str) -> String {
    let paths = [
        format!("/v1/channels/{channel}/messages?limit=200"),
        format!("/v1/channels/{channel}/messages?around=2"),
        format!("/v1/channels/{channel}/thread?root=1"),
        format!("/v1/channels/{channel}/about"),
        "/v1/channels?order=recent".to_owned(),
        "/v1/search?q=guesses".to_owned(),
    ];
    let answers = paths.iter().map(|path| asked(node, "GET", path, token, None));
    answers.map(|(status, answer)| format!("{status} {answer}\n")).collect()
}

fn kind_at(node: &Node, channel: ChannelId, token: &str, seq: u64) -> Value {
    let path = format!("/v1/channels/{channel}/messages?around={seq}&limit=1");
    let (_, page) = asked(node, "GET", &path, token, None);
    page["messages"].as_array().unwrap().iter().find(|one| one["seq"] == seq).unwrap_or(&Value::Null)["kind"]
        .clone()
}

pub async fn users(node: &Node, names: &[&str]) -> Vec<UserId> {
    let mut users = Vec::new();
    for name in names {
        users.push(node.account().signup(name, PASSWORD).await.unwrap());
    }
    users
}

/// The messages that a device which was away is brought, until the RECALL.
fn brought(device: &mut Raw) -> Vec<Frame> {
    let mut frames = Vec::new();
    while frames.last().is_none_or(|frame: &Frame| frame.kind() != Kind::RECALL) {
        match device.next() {
            Seen::Frame(frame) => frames.extend(frame.header().is_stamped().then_some(frame)),
            other => panic!("{other:?} instead of what was missed"),
        }
    }
    frames
}

async fn a_recalled_text_is_gone_for_everybody_and_outlives_a_kill(carrier: Carrier) {
    let mut node = Node::over(carrier, 2, &[]);
    let all = users(&node, &["ann", "bob"]).await;
    let (ann, bob) = (all[0], all[1]);
    let group = ChannelId::group(ann, SendId(1));
    let channel = group.0;
    let mut device = Raw::live(&node, &token(&node, ann, 1));
    let mut bobs = Raw::live(&node, &token(&node, bob, 2));
    let acked = |device: &mut Raw, id: u64| device.answer_as::<SendAck>(id).seq;
    device.body(1, &CreateGroup { channel, name: "floor".into(), members: vec![bob.0] });
    assert_eq!(acked(&mut device, 1), 1);
    device.body(2, &SendText { channel, text: SECRET.into() });
    assert_eq!(acked(&mut device, 2), 2);
    device.body(3, &EditText { channel, target: 2, text: format!("{SECRET} now") });
    assert_eq!(acked(&mut device, 3), 3);
    bobs.body(4, &React { channel, target: 2, on: true, emoji: "👍".into() });
    assert_eq!(acked(&mut bobs, 4), 4);
    device.body(5, &Pin { channel, target: 2, on: true });
    assert_eq!(acked(&mut device, 5), 5);
    let bobs_token = token(&node, bob, 4);
    let search = || asked(&node, "GET", "/v1/search?q=guesses", &bobs_token, None).1["hits"].to_string();
    until("the search finds it", || search().contains("guesses")).await;
    assert!(told(&node, group, &bobs_token).matches("guesses").count() >= 6);

    bobs.refuses(10, &Recall { channel, target: 2 }, Code::Forbidden, "target");
    bobs.refuses(11, &Recall { channel, target: 1 }, Code::Limit, "target");
    bobs.refuses(12, &Recall { channel, target: 99 }, Code::Limit, "target");
    device.body(6, &Recall { channel, target: 2 });
    assert_eq!(acked(&mut device, 6), 6);
    // From its ack on nothing tells it.
    let after = told(&node, group, &bobs_token);
    assert!(!after.contains("guesses") && after.matches("\"recalled\"").count() >= 2, "{after}");
    device.refuses(13, &EditText { channel, target: 2, text: "x".into() }, Code::Limit, "target");
    bobs.refuses(14, &React { channel, target: 2, on: true, emoji: "x".into() }, Code::Limit, "target");
    device.refuses(15, &Recall { channel, target: 6 }, Code::Limit, "target");
    // A resend of the text is the text, whatever it says now; once more is a message that changes nothing.
    device.body(2, &SendText { channel, text: "not what it was".into() });
    assert_eq!(acked(&mut device, 2), 2);
    device.body(7, &Recall { channel, target: 2 });
    assert_eq!(acked(&mut device, 7), 7);

    for again in [false, true] {
        if again {
            node.kill();
            node.check();
            node.up(1);
        }
        let bobs_token = token(&node, bob, 4);
        assert!(!told(&node, group, &bobs_token).contains("guesses"));
        // Bob's device that was away is brought what stands there, and the message that put it there.
        let mut away = Raw::live(&node, &token(&node, bob, 3));
        let frames = brought(&mut away);
        let gone: Vec<Recalled> = frames.iter().filter_map(Recalled::read).collect();
        let seqs: Vec<u64> = frames.iter().map(|frame| frame.read_stamp().unwrap().seq.0).collect();
        assert_eq!(seqs, [1, 2, 3, 4, 5, 6]);
        assert_eq!(
            gone.iter().map(|gone| (gone.target, gone.by, gone.user)).collect::<Vec<_>>(),
            [(2, 6, ann.0); 2]
        );
        assert_eq!(frames[1].send_id(), SendId(2), "whoever sent it knows it still");
        let mut device = Raw::live(&node, &token(&node, ann, 1));
        device.body(2, &SendText { channel, text: SECRET.into() });
        assert_eq!(acked(&mut device, 2), 2, "a resend after a restart");
        let (_, channels) = asked(&node, "GET", "/v1/channels", &bobs_token, None);
        assert_eq!(channels["channels"][0]["unread"], json!(0), "what is gone is nothing to read");
    }
    node.stop();
    node.check();
}

/// Edits, reactions and recalls over HTTP, each under its key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_each_is_one_message_under_its_key() {
    let node = Node::start(2, &["--recall-window-s", "3600"]);
    let all = users(&node, &["ann", "bob"]).await;
    let (anns, bobs) = (token(&node, all[0], 1), token(&node, all[1], 2));
    let direct = ChannelId::direct(all[0], all[1]);
    let path = format!("/v1/users/{}/messages", all[1]);
    let (status, _) = asked(&node, "POST", &path, &anns, Some(&json!({ "text": SECRET })));
    assert_eq!(status, 201);
    let text = format!("/v1/channels/{direct}/messages/1");
    let thumb = format!("{text}/reactions/%F0%9F%91%8D");
    let edit = json!({ "text": "reads otherwise" });
    for _ in 0..2 {
        let (status, said) = keyed(&node, ("PATCH", &text, "edit"), &anns, Some(&edit));
        assert_eq!((status, &said["seq"]), (200, &json!(2)), "{said}");
        let (status, said) = keyed(&node, ("PUT", &thumb, "thumb"), &bobs, None);
        assert_eq!((status, &said["seq"]), (200, &json!(3)), "{said}");
    }
    let (_, about) = asked(&node, "GET", &format!("/v1/channels/{direct}/about?who=true"), &anns, None);
    assert_eq!(about["messages"][0]["reactions"][0]["users"], json!([all[1].to_string()]), "{about}");
    let (status, _) = keyed(&node, ("DELETE", &thumb, "no-thumb"), &bobs, None);
    assert_eq!(status, 200);
    let refused = |answer: (u16, Value)| (answer.0, answer.1["code"].clone(), answer.1["field"].clone());
    let nobodys = |method, path: &str, token: &str, body: Option<&Value>| {
        refused(asked(&node, method, path, token, body))
    };
    assert_eq!(nobodys("PATCH", &text, &bobs, Some(&edit)), (403, json!("not_yours"), Value::Null));
    assert_eq!(nobodys("DELETE", &text, &bobs, None), (403, json!("not_yours"), Value::Null));
    let far = format!("/v1/channels/{direct}/messages/99");
    assert_eq!(nobodys("DELETE", &far, &anns, None), (400, json!("bad_field"), json!("seq")));
    assert_eq!(
        nobodys("PATCH", &text, &anns, Some(&json!({ "text": "" }))),
        (400, json!("bad_field"), json!("text"))
    );
    let long = format!("{text}/reactions/{}", "x".repeat(33));
    assert_eq!(nobodys("PUT", &long, &anns, None), (400, json!("bad_field"), json!("emoji")));
    assert_eq!(
        nobodys("DELETE", "/v1/channels/x/messages/1", &anns, None),
        (400, json!("bad_field"), json!("id"))
    );
    let stranger = format!("/v1/channels/{}/messages/1", ChannelId::direct(UserId(5), UserId(6)));
    assert_eq!(nobodys("DELETE", &stranger, &anns, None), (404, json!("not_found"), Value::Null));

    // What operators may read is their setting, and no recalled text is there to read.
    for _ in 0..2 {
        let (status, said) = keyed(&node, ("DELETE", &text, "gone"), &anns, None);
        assert_eq!((status, &said["seq"]), (200, &json!(5)), "{said}");
    }
    assert_eq!(kind_at(&node, direct, &bobs, 1), json!("recalled"));
    let (status, said) = keyed(&node, ("PATCH", &text, "gone"), &anns, Some(&edit));
    assert_eq!((status, &said["code"]), (422, &json!("idempotency_key_reused")));
    assert_eq!(nobodys("PATCH", &text, &anns, Some(&edit)), (400, json!("bad_field"), json!("seq")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_read_how_a_text_read_before_where_the_setting_says_so() {
    for shows in ["true", "false"] {
        let node = Node::start(1, &["--show-edits", shows]);
        let all = users(&node, &["ann", "bob"]).await;
        let anns = token(&node, all[0], 1);
        let direct = ChannelId::direct(all[0], all[1]);
        let path = format!("/v1/users/{}/messages", all[1]);
        asked(&node, "POST", &path, &anns, Some(&json!({ "text": "one" })));
        let text = format!("/v1/channels/{direct}/messages/1");
        for words in ["two", "three"] {
            asked(&node, "PATCH", &text, &anns, Some(&json!({ "text": words })));
        }
        let edits = format!("/v1/admin/channels/{direct}/messages/1/edits");
        let see = |path: &str| -> Value {
            let answer = node.ask_admin("GET", path, &node.admin_token(), None);
            serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
        };
        let seen = || see(&edits);
        if shows == "false" {
            assert_eq!(seen()["code"], json!("edits_off"));
            continue;
        }
        let texts = |page: &Value| -> Vec<Value> {
            page["messages"].as_array().unwrap().iter().map(|one| one["text"].clone()).collect()
        };
        assert_eq!(texts(&seen()), [json!("one"), json!("two"), json!("three")]);
        asked(&node, "DELETE", &text, &anns, None);
        let gone = seen();
        assert_eq!((texts(&gone), &gone["messages"][0]["kind"]), (vec![Value::Null], &json!("recalled")));
        let none = see(&edits.replace("/1/", "/77/"));
        assert_eq!(none["code"], json!("not_found"));
    }
}

/// Recalls while the channel's messages move into a family of their own and back, and a kill in the middle of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_moves_brings_no_recalled_text_back() {
    let mut node = Node::start(1, &[]);
    let all = users(&node, &["ann", "bob"]).await;
    let direct = ChannelId::direct(all[0], all[1]);
    let channel = direct.0;
    let mut device = Raw::live(&node, &token(&node, all[0], 1));
    const TEXTS: u64 = 60;
    for id in 1..=TEXTS {
        device.body(id, &SendText { channel, text: format!("{SECRET} {}", "x".repeat(3000)) });
        device.answer_as::<SendAck>(id);
    }
    let families = |node: &Node, word: &str| {
        let (id, server, data) =
            (direct.to_string(), node.admin.clone(), node.data.to_str().unwrap().to_owned());
        let output = admin(&["families", word, &id, "--server", &server, "--data", &data]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let mut gone = Vec::new();
    let recall = |device: &mut Raw, gone: &mut Vec<u64>, target: u64| {
        device.body(1000 + target, &Recall { channel, target });
        device.answer_as::<SendAck>(1000 + target);
        gone.push(target);
    };
    families(&node, "give");
    for target in (1..=TEXTS / 2).step_by(3) {
        recall(&mut device, &mut gone, target);
    }
    node.kill();
    node.check();
    node.up(1);
    let mut device = Raw::live(&node, &token(&node, all[0], 1));
    until("all of it is moved", || node.metric("maru_store_moving_channels", "") == 0).await;
    families(&node, "return");
    for target in (TEXTS / 2 + 1..=TEXTS).step_by(3) {
        recall(&mut device, &mut gone, target);
    }
    until("all of it is back", || node.metric("maru_store_own_families", "") == 0).await;
    let bobs = token(&node, all[1], 2);
    for target in 1..=TEXTS {
        let expected = if gone.contains(&target) { "recalled" } else { "text" };
        assert_eq!(kind_at(&node, direct, &bobs, target), json!(expected), "{target}");
    }
    node.stop();
    node.check();
}
