//! A conversation with replies, a thread and mentions: over a connection and over HTTP, and the same after a kill.

use protocol::body::message::CreateGroup;
use protocol::body::sync::{MarkRead, SendAck};
use protocol::body::talk::{GetMentions, GetThread, Mentions, Talk, Thread};
use protocol::limits::U53_MAX;
use protocol::{ChannelId, Code, SendId, Seq, UserId};
use serde_json::{Value, json};

use crate::node::Node;
use crate::people::PASSWORD;
use crate::raw::{Carrier, Raw, token};

over_both! {
    a_conversation_is_the_same_over_http_and_after_a_kill
}

fn get(node: &Node, path: &str, token: &str) -> Value {
    let answer = node.ask("GET", path, token, None);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{answer}");
    serde_json::from_str(body).unwrap()
}

fn post(node: &Node, path: &str, token: &str, key: &str, body: &Value) -> (String, Value) {
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = node.http_raw(&request);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().to_owned(), serde_json::from_str(body).unwrap())
}

/// Seqs of a list of messages or mentions.
fn seqs(list: &Value) -> Vec<u64> {
    list.as_array().unwrap().iter().map(|item| item["seq"].as_u64().unwrap()).collect()
}

async fn a_conversation_is_the_same_over_http_and_after_a_kill(carrier: Carrier) {
    let mut node = Node::over(carrier, 2, &[]);
    let mut users = Vec::new();
    for name in ["ann", "bob", "eve"] {
        users.push(node.account().signup(name, PASSWORD).await.unwrap());
    }
    let (ann, bob, eve) = (users[0], users[1], users[2]);
    let group = ChannelId::group(ann, SendId(1));
    let mut device = Raw::live(&node, &token(&node, ann, 1));
    device.body(1, &CreateGroup { channel: group.0, name: "floor".into(), members: vec![bob.0] });
    device.answer_as::<SendAck>(1);
    let say = |talk: Talk| talk.text(group, "about something");
    device.body(2, &say(Talk { reply_to: Some(Seq(1)), mentions: vec![bob], ..Talk::default() }));
    assert_eq!(device.answer_as::<SendAck>(2).seq, 2);
    device.body(3, &say(Talk { thread: Some(Seq(2)), all: true, ..Talk::default() }));
    device.answer_as::<SendAck>(3);
    device.refuses(4, &say(Talk { thread: Some(Seq(9)), ..Talk::default() }), Code::Limit, "thread");
    device.refuses(5, &say(Talk { mentions: vec![eve], ..Talk::default() }), Code::Limit, "mentions[0]");
    let other = ChannelId::direct(ann, eve);
    let across = Talk { reply_to: Some(Seq(3)), ..Talk::default() }.text(other, "what was said elsewhere");
    device.refuses(6, &across, Code::Limit, "reply_to");

    let bobs = token(&node, bob, 2);
    let path = format!("/v1/channels/{group}/messages");
    let body = json!({ "text": "over HTTP", "thread": 2, "reply_to": 3, "mentions": [ann.to_string()],
        "forwarded_from": eve.to_string() });
    let (status, answer) = post(&node, &path, &bobs, "one", &body);
    assert_eq!((status.as_str(), &answer["seq"]), ("201", &json!(4)), "{answer}");
    assert_eq!(post(&node, &path, &bobs, "one", &body).1, answer, "the same key with the same content");
    let (status, answer) = post(&node, &path, &bobs, "one", &json!({ "text": "over HTTP", "thread": 2 }));
    assert_eq!((status.as_str(), &answer["code"]), ("422", &json!("idempotency_key_reused")));
    let (status, answer) = post(&node, &path, &bobs, "two", &json!({ "text": "x", "mentions": ["9"] }));
    assert_eq!((status.as_str(), &answer["field"]), ("400", &json!("mentions[0]")), "{answer}");

    for again in [false, true] {
        if again {
            node.kill();
            node.up(1);
            device = Raw::live(&node, &token(&node, ann, 1));
        }
        let get_thread =
            GetThread { channel: group.0, root: 2, after: 0, before: U53_MAX, limit: 9, newest: true };
        device.body(10, &get_thread);
        let page = device.answer_as::<Thread>(10);
        assert_eq!((page.count, page.total, page.newest, page.more), (2, 2, 4, false));
        device.is_served(11);
        device.body(12, &GetMentions { before: U53_MAX, limit: 9 });
        let found = device.answer_as::<Mentions>(12);
        assert_eq!(
            found.items.iter().map(|item| (item.seq, UserId(item.sender))).collect::<Vec<_>>(),
            [(4, bob)]
        );
        let bobs = token(&node, bob, 2);
        let thread = get(&node, &format!("/v1/channels/{group}/thread?root=2"), &bobs);
        assert_eq!((seqs(&thread["messages"]), &thread["total"]), (vec![3, 4], &json!(2)));
        let last = &thread["messages"][1];
        assert_eq!((&last["reply_to"], &last["mentions"]), (&json!(3), &json!([ann.to_string()])));
        assert_eq!((&last["forwarded_from"], &last["text"]), (&json!(eve.to_string()), &json!("over HTTP")));
        let first = get(&node, &format!("/v1/channels/{group}/thread?root=2&after=0&limit=1"), &bobs);
        assert_eq!((seqs(&first["messages"]), &first["next"]), (vec![3], &json!("3")));
        let mentions = get(&node, "/v1/mentions", &bobs);
        let unread = if again { 1 } else { 2 };
        assert_eq!(
            (seqs(&mentions["mentions"]), &mentions["unread"][0]["unread"]),
            (vec![3, 2], &json!(unread))
        );
        if !again {
            let mut reader = Raw::live(&node, &token(&node, bob, 2));
            reader.body(13, &MarkRead { channel: group.0, seq: 2 });
            reader.answer(13);
        }
    }
    let answer = node.ask("GET", &format!("/v1/channels/{group}/thread?root=2"), &token(&node, eve, 3), None);
    assert!(answer.contains(" 404 "), "{answer}");
    node.stop();
    node.check();
}
