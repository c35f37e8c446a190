//! The trace of one message: who has it at which device, what was pushed and what the provider answered, also behind a kill.
//! docs/operations.md shows one, and the shape of what it shows is what the command prints; `BLESS=1` puts this one there (what begins with MARU is a setting to the server that it starts).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use protocol::ChannelId;
use protocol::body::message::{CreateGroup, SendText};
use protocol::body::sync::{CursorAck, MarkRead, SendAck};
use serde_json::{Value, json};

use crate::node::{Node, admin};
use crate::peer::peer;
use crate::people::{PASSWORD, until};
use crate::raw::{Raw, token};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
const BEGIN: &str = "<!-- trace -->\n```text\n";
const END: &str = "```\n<!-- end: trace -->";

/// A push service: it answers 503 so many times, and then takes what comes.
struct Sink {
    address: String,
    fails: Arc<AtomicUsize>,
    /// The status of every answer.
    answers: Arc<Mutex<Vec<u16>>>,
}

fn sink(fails: usize) -> Sink {
    let (fails, answers) = (Arc::new(AtomicUsize::new(fails)), Arc::default());
    let mut sink = Sink { address: String::new(), fails, answers };
    let (fails, answers) = (sink.fails.clone(), sink.answers.clone());
    sink.address = peer(move |_, _| {
        let less = |fails: usize| fails.checked_sub(1);
        let fails = fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok();
        let (status, words) = if fails { (503, "503 Service Unavailable") } else { (201, "201 Created") };
        answers.lock().unwrap().push(status);
        (words.to_owned(), String::new())
    });
    sink
}

fn has_answered(sink: &Sink, status: u16) -> usize {
    sink.answers.lock().unwrap().iter().filter(|answer| **answer == status).count()
}

fn run(node: &Node, channel: ChannelId, seq: &str, args: &[&str]) -> (bool, String) {
    let (channel, data) = (channel.to_string(), node.data.to_str().unwrap());
    let fixed = ["trace", &channel, seq, "--data", data, "--server", &node.admin];
    let output = admin(&[&fixed[..], args].concat());
    let words = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(words).unwrap())
}

fn trace(node: &Node, channel: ChannelId, seq: u64) -> Value {
    let (is_good, words) = run(node, channel, &seq.to_string(), &["--json"]);
    assert!(is_good, "{words}");
    serde_json::from_str(&words).unwrap()
}

/// What push did for the third of its users, in words.
fn pushes(trace: &Value) -> Vec<&str> {
    trace["users"][2]["pushes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|push| push["what"].as_str().unwrap())
        .collect()
}

/// A text without its numbers.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    for letter in text.chars() {
        match letter {
            '0'..='9' if shape.ends_with('#') => {}
            '0'..='9' => shape.push('#'),
            other => shape.push(other),
        }
    }
    shape
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_followed_to_every_device_and_through_push() {
    let sink = sink(1);
    let mut node = Node::start(2, &["--push-allow", &sink.address]);
    let mut users = Vec::new();
    for name in ["ann", "bob", "cyd"] {
        users.push(node.account().signup(name, PASSWORD).await.unwrap());
    }
    let [ann, bob, cyd] = users[..] else { panic!("three") };
    let wish = json!({
        "provider": "webpush", "endpoint": format!("http://{}/send/whoever-has-this-may-push", sink.address),
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    });
    let answer = node.ask("POST", "/v1/push/subscriptions", &token(&node, cyd, 4), Some(&wish.to_string()));
    assert!(answer.contains(" 204 "), "{answer}");

    // Bob has one device that is there and one that is not, Cyd is away.
    let group = ChannelId::group(ann, protocol::SendId(7));
    let mut sender = Raw::live(&node, &token(&node, ann, 1));
    let (mut device, welcome) = Raw::open(&node).welcomed(&token(&node, bob, 2), 0, 0);
    token(&node, bob, 3);
    let (channel, name) = (group.0, "team".into());
    sender.body(7, &CreateGroup { channel, name, members: vec![bob.0, cyd.0] });
    sender.answer_as::<SendAck>(7);
    sender.body(8, &SendText { channel, text: "nobody may read this".into() });
    assert_eq!(sender.answer_as::<SendAck>(8).seq, 2);
    until("it is in all inboxes", || {
        let users = trace(&node, group, 2)["users"].clone();
        users.as_array().unwrap().iter().all(|user| user["state"] == "in_inbox")
    })
    .await;
    let of_bob = |trace: &Value| trace["users"][1]["devices"].clone();
    assert_eq!(of_bob(&trace(&node, group, 2))[0]["state"], "sent");
    device.body(9, &MarkRead { channel, seq: 2 });
    until("bob holds it and has read it", || {
        // A cursor is written down every ten seconds at most, as a device says it again and again.
        device.body(0, &CursorAck { generation: welcome.generation, cursor: 2 });
        let trace = trace(&node, group, 2);
        of_bob(&trace)[0]["state"] == "holds" && trace["users"][1]["has_read"] == true
    })
    .await;
    assert_eq!(of_bob(&trace(&node, group, 2))[1]["state"], "away");
    until("a push failed and was taken then", || {
        let trace = trace(&node, group, 2);
        pushes(&trace) == ["failed", "taken"] && trace["users"][2]["job"].is_null()
    })
    .await;
    let first = trace(&node, group, 2);
    let failed = first["users"][2]["pushes"][0].clone();
    assert_eq!((&failed["provider"], &failed["words"]), (&"webpush".into(), &"status 503".into()));
    assert_eq!(first["recipients"], 3);
    assert_eq!(first["committed"]["state"], "in_log", "it is the newest of its bay");
    let (_, words) = run(&node, group, "2", &[]);
    is_on_the_page(&words);
    for secret in ["nobody may read this", "whoever-has", "BTBZ", "BCVx"] {
        assert!(!format!("{words}{first}").contains(secret), "{secret}");
    }

    behind_a_kill(&mut node, &sink, group, (sender, device)).await;
    refusals(&node, group);
    node.stop();
    node.check();
}

/// What was known of an attempt ends with the process, the job does not.
async fn behind_a_kill(node: &mut Node, sink: &Sink, group: ChannelId, devices: (Raw, Raw)) {
    let (mut sender, device) = devices;
    sink.fails.store(usize::MAX, Ordering::SeqCst);
    let before = has_answered(sink, 201);
    sender.body(10, &SendText { channel: group.0, text: "and this?".into() });
    assert_eq!(sender.answer_as::<SendAck>(10).seq, 3);
    until("a push failed", || pushes(&trace(node, group, 3)).contains(&"failed")).await;
    let failed_ms = trace(node, group, 3)["users"][2]["pushes"][0]["at_ms"].as_u64().unwrap();
    node.kill();
    drop((sender, device));
    sink.fails.store(0, Ordering::SeqCst);
    node.up(1);
    until("a push was taken", || has_answered(sink, 201) > before).await;
    until("the job has ended", || trace(node, group, 3)["users"][2]["job"].is_null()).await;
    let after = trace(node, group, 3);
    assert_eq!(pushes(&after), ["taken"]);
    assert!(after["pushes_since_ms"].as_u64().unwrap() > failed_ms, "what was before is not known any more");
    // The older message was told of before, and with this one nobody was told of it again.
    let older = trace(node, group, 2);
    assert_eq!(older["users"][2]["pushes"][0]["seq"], 3);
    assert_eq!(older["users"][1]["devices"][0]["state"], "holds");
}

fn refusals(node: &Node, group: ChannelId) {
    let (is_good, words) = run(node, group, "4", &[]);
    assert!(!is_good && words.contains("the channel's newest message is 3; there is no 4"), "{words}");
    let (is_good, words) = run(node, ChannelId::direct(protocol::UserId(5), protocol::UserId(6)), "1", &[]);
    assert!(!is_good && words.contains("nothing was ever said in such a channel"), "{words}");
    let (is_good, words) = run(node, group, "0", &[]);
    assert!(!is_good && words.contains("0 is not in 1.."), "{words}");
}

fn is_on_the_page(words: &str) {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the mark of the trace");
    let (shown, after) = rest.split_once(END).expect("its end");
    if shape(shown) != shape(words) && std::env::var_os("BLESS").is_some_and(|value| value == "1") {
        std::fs::write(PAGE, format!("{before}{BEGIN}{words}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(shape(shown), shape(words), "run again with BLESS=1");
}
