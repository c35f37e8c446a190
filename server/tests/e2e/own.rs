//! A user's own channel through the binary: two devices, one of them away; the list, jumps and notes, over crashes, for programs
//! and over HTTP.

use serde_json::{Value, json};

use crate::node::Node;
use crate::terminal::Chat;

/// The body of an answer.
fn body(answer: &str) -> Value {
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

fn signed_up(node: &Node, name: &str) -> Chat {
    let mut chat = Chat::start(node, name);
    chat.say(&json!({"cmd": "signup", "name": name, "password": "long enough 1"}));
    chat.event("ready");
    chat
}

/// The message of this kind in the own channel, as the other device is told.
fn told(chat: &Chat, kind: &str) -> Value {
    loop {
        let message = chat.event("message");
        if message["kind"] == kind {
            return message;
        }
    }
}

fn acked(chat: &mut Chat, command: &Value) -> Value {
    chat.say(command);
    chat.event("ack")
}

#[test]
fn what_one_device_notes_the_other_has_and_a_new_one_reads() {
    let mut node = Node::start(2, &[]);
    let mut ann = signed_up(&node, "ann");
    let mut bob = signed_up(&node, "bob");
    for number in 1..=9 {
        acked(&mut bob, &json!({"cmd": "send", "to": "ann", "text": format!("number {number}")}));
    }
    let direct = ann.event("message")["channel"].clone();
    let mut phone = Chat::start(&node, "ann");
    phone.say(&json!({"cmd": "login", "name": "ann", "password": "long enough 1"}));
    let ready = phone.event("ready");
    phone.event("live");

    // One device is there, and goes away; the other notes something, and the process dies.
    let own = acked(&mut ann, &json!({"cmd": "send", "to": "ann", "text": "milk"}))["channel"].clone();
    // What bob said comes first.
    while told(&phone, "text")["text"] != json!("milk") {}
    let last = phone.event("complete");
    phone.quit();
    let prefs =
        json!({"cmd": "prefs", "channel": direct, "pinned": 1, "muted_until_ms": 5, "notify": "mentions"});
    assert_eq!(acked(&mut ann, &prefs)["channel"], own);
    acked(&mut ann, &json!({"cmd": "draft", "channel": direct, "text": "I wanted to say"}));
    acked(&mut ann, &json!({"cmd": "hide", "channel": direct, "seq": 8, "through": 9}));
    node.kill();
    node.up(1);

    // It comes back behind its cursor, and is told.
    let mut phone = Chat::start(&node, "ann");
    phone.say(&json!({
        "cmd": "login", "name": "ann", "password": "long enough 1", "device": ready["device"],
        "generation": last["generation"], "cursor": last["to"],
    }));
    let told_prefs = told(&phone, "prefs");
    assert_eq!((&told_prefs["about"], &told_prefs["pinned"]), (&direct, &json!(1)));
    assert_eq!(told(&phone, "draft")["text"], json!("I wanted to say"));
    let hidden = told(&phone, "hidden");
    assert_eq!((&hidden["from_seq"], &hidden["through"]), (&json!(8), &json!(9)));

    // A new device reads what holds now.
    phone.say(&json!({"cmd": "list", "order": "recent"}));
    let list = phone.event("list");
    let first = &list["channels"][0];
    assert_eq!((&first["channel"], &first["with"], &first["unread"]), (&direct, &json!("bob"), &json!(9)));
    assert_eq!(
        (&first["pinned"], &first["notify"], &first["draft"]),
        (&json!(1), &json!("mentions"), &json!(true))
    );
    assert_eq!(first["last"]["text"], json!("number 7"), "the last two are hidden: {first}");
    assert_eq!(list["channels"][1]["last"]["text"], json!("milk"));
    phone.say(&json!({"cmd": "drafts"}));
    let notes = phone.event("notes");
    assert_eq!(notes["drafts"][0]["text"], json!("I wanted to say"));
    phone.say(&json!({"cmd": "hidden", "channel": direct}));
    assert_eq!(phone.event("notes")["hidden"][0]["seq"], json!(8));

    // Only what changed since.
    phone.say(&json!({
        "cmd": "list", "order": "changed", "cursor": list["cursor"], "generation": list["generation"],
    }));
    assert_eq!(phone.event("list")["channels"], json!([]));
    acked(&mut bob, &json!({"cmd": "send", "to": "ann", "text": "number 10"}));
    told(&phone, "text");
    phone.say(&json!({
        "cmd": "list", "order": "changed", "cursor": list["cursor"], "generation": list["generation"],
    }));
    let changed = phone.event("list");
    assert_eq!(changed["channels"].as_array().unwrap().len(), 1, "{changed}");
    assert_eq!(changed["channels"][0]["last"]["text"], json!("number 10"));
    for chat in [ann, bob, phone] {
        chat.quit();
    }
    assert_eq!(node.stop(), Some(0));
    node.check();
}

#[test]
fn a_jump_shows_what_was_said_around_a_place() {
    let mut node = Node::start(2, &[]);
    let (mut ann, mut bob) = (signed_up(&node, "ann"), signed_up(&node, "bob"));
    let mut times = Vec::new();
    for number in 1..=20 {
        let ack = acked(&mut bob, &json!({"cmd": "send", "to": "ann", "text": format!("number {number}")}));
        times.push(ack["time_ms"].as_u64().unwrap());
    }
    let direct = ann.event("message")["channel"].clone();
    let mut around = |field: &str, place: Value| {
        ann.say(&json!({"cmd": "history", "channel": direct, "limit": 4, field: place}));
        let page = ann.event("history");
        (page["pivot"].clone(), page["from"].clone(), page["to"].clone(), page["more_after"].clone())
    };
    assert_eq!(around("around", json!(10)), (json!(10), json!(8), json!(11), json!(true)));
    assert_eq!(around("around", json!(99)), (json!(21), json!(17), json!(20), json!(false)));
    assert_eq!(around("first_unread", json!(true)), (json!(1), json!(1), json!(4), json!(true)));
    let first_then = times.iter().position(|time| *time == times[9]).unwrap() as u64 + 1;
    assert_eq!(around("at_ms", json!(times[9])).0, json!(first_then));
    ann.say(&json!({"cmd": "read", "channel": direct, "seq": 15}));
    ann.event("done");
    ann.say(&json!({"cmd": "history", "channel": direct, "limit": 4, "first_unread": true}));
    assert_eq!(ann.event("history")["pivot"], json!(16));
    ann.say(&json!({"cmd": "history", "channel": direct, "first_unread": true, "around": 3}));
    assert_eq!(ann.event("reject")["code"], json!("malformed"));

    let token = tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(async { node.account().login("ann", "long enough 1", None).await.unwrap().token });
    let (id, before) = (direct.as_str().unwrap(), "before=3&around=five");
    let page = body(&node.ask("GET", &format!("/v1/channels/{id}/messages?around=10&limit=4"), &token, None));
    assert_eq!((&page["pivot"], &page["from"], &page["more_before"]), (&json!(10), &json!(8), &json!(true)));
    let wrong = node.ask("GET", &format!("/v1/channels/{id}/messages?{before}"), &token, None);
    assert!(wrong.starts_with("HTTP/1.0 400"), "{wrong}");
    let list = body(&node.ask("GET", "/v1/channels?order=recent&limit=5", &token, None));
    assert_eq!(
        (&list["channels"][0]["last"]["text"], &list["needs_snapshot"]),
        (&json!("number 20"), &json!(false))
    );
    let cursor = list["cursor"].as_str().unwrap();
    let changed = body(&node.ask("GET", &format!("/v1/channels?order=changed&at={cursor}"), &token, None));
    assert_eq!(changed["channels"], json!([]));
    ann.quit();
    bob.quit();
    assert_eq!(node.stop(), Some(0));
    node.check();
}
