//! Push of a real node: a message for somebody who is not there reaches a webhook, also across a kill; what is read is not
//! told; what points inside is refused.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::ChannelId;
use protocol::body::message::SendText;
use protocol::body::sync::{MarkRead, SendAck};
use serde_json::{Value, json};

use crate::node::Node;
use crate::people::{PASSWORD, until};
use crate::raw::{Raw, token};

/// What is called, and what it was sent.
struct Hook {
    address: String,
    fails: Arc<AtomicBool>,
    /// Ids and bodies of the calls that it took, and how many it did not.
    taken: Arc<Mutex<Vec<(String, Value)>>>,
    refused: Arc<Mutex<usize>>,
}

fn hook(fails: bool) -> Hook {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hook = Hook {
        address: listener.local_addr().unwrap().to_string(),
        fails: Arc::new(AtomicBool::new(fails)),
        taken: Arc::default(),
        refused: Arc::default(),
    };
    let (fails, taken, refused) = (hook.fails.clone(), hook.taken.clone(), hook.refused.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            let Some(length) = value("content-length: ") else { continue };
            let mut body = vec![0; length.parse().unwrap()];
            if stream.read_exact(&mut body).is_err() {
                continue;
            }
            let status = if fails.load(Ordering::SeqCst) {
                *refused.lock().unwrap() += 1;
                "503 Service Unavailable"
            } else {
                let body = serde_json::from_slice(&body).unwrap();
                taken.lock().unwrap().push((value("webhook-id: ").unwrap(), body));
                "204 No Content"
            };
            let _ = stream.write_all(format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n").as_bytes());
        }
    });
    hook
}

fn wish(hook: &Hook) -> String {
    json!({
        "provider": "webhook", "endpoint": format!("http://{}/hook", hook.address), "preview": "text",
        "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    })
    .to_string()
}

fn ask(node: &Node, method: &str, path: &str, token: &str, body: Option<&str>) -> (u16, Value) {
    let answer = node.ask(method, path, token, body);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_there_is_told_also_across_a_kill_and_what_is_read_is_not_told() {
    let hook = hook(true);
    let mut node = Node::start(2, &["--push-allow", &hook.address]);
    let ann = node.account().signup("ann", PASSWORD).await.unwrap();
    let bob = node.account().signup("bob", PASSWORD).await.unwrap();
    let bobs = token(&node, bob, 2);
    assert_eq!(ask(&node, "GET", "/v1/push/key", &bobs, None).1["key"].as_str().unwrap().len(), 87);
    for (endpoint, field) in [
        ("https://127.0.0.1/x", "endpoint"),
        ("https://169.254.169.254/latest", "endpoint"),
        ("https://[::1]/", "endpoint"),
        ("http://push.example.com/", "endpoint"),
    ] {
        let body = json!({ "provider": "webhook", "endpoint": endpoint, "secret": "whsec_x" }).to_string();
        let (status, refused) = ask(&node, "POST", "/v1/push/subscriptions", &bobs, Some(&body));
        assert_eq!((status, &refused["field"]), (400, &json!(field)), "{endpoint}: {refused}");
    }
    assert_eq!(ask(&node, "POST", "/v1/push/subscriptions", &bobs, Some(&wish(&hook))).0, 204);
    let listed = ask(&node, "GET", "/v1/push/subscriptions", &bobs, None).1;
    assert_eq!(listed["subscriptions"][0]["host"], json!(format!("http://{}", hook.address)));

    let channel = ChannelId::direct(ann, bob);
    let mut device = Raw::live(&node, &token(&node, ann, 1));
    let say = |text: &str| SendText { channel: channel.0, text: text.into() };
    device.body(1, &say("are you there?"));
    device.answer_as::<SendAck>(1);
    until("the hook is called", || *hook.refused.lock().unwrap() >= 1).await;
    node.kill();
    hook.fails.store(false, Ordering::SeqCst);
    node.up(2);
    until("the hook takes it", || !hook.taken.lock().unwrap().is_empty()).await;
    let (_, said) = hook.taken.lock().unwrap()[0].clone();
    assert_eq!(
        (&said["title"], &said["body"], &said["badge"]),
        (&json!("ann"), &json!("are you there?"), &json!(1))
    );
    until("the job has ended", || node.metrics().contains("maru_pushes_total{end=\"sent\"} 1")).await;

    // It fails once, bob reads, and then there is nothing to tell.
    hook.fails.store(true, Ordering::SeqCst);
    let before = *hook.refused.lock().unwrap();
    let mut device = Raw::live(&node, &token(&node, ann, 1));
    device.body(2, &say("and now?"));
    device.answer_as::<SendAck>(2);
    until("the hook is called again", || *hook.refused.lock().unwrap() > before).await;
    let mut other = Raw::live(&node, &token(&node, bob, 3));
    other.body(9, &MarkRead { channel: channel.0, seq: 2 });
    until("the job is withdrawn", || {
        node.metrics().contains("maru_push_jobs_withdrawn_total")
            && node.metric("maru_push_jobs_withdrawn_total", "") >= 1
    })
    .await;
    hook.fails.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(hook.taken.lock().unwrap().len(), 1, "what is read is not told");
    assert_eq!(ask(&node, "DELETE", "/v1/push/subscriptions/webhook", &bobs, None).0, 204);
    assert_eq!(ask(&node, "GET", "/v1/push/subscriptions", &bobs, None).1["subscriptions"], json!([]));
    drop((device, other));
    node.stop();
    node.check();
}
