//! Push of a real node: a message for somebody who is not there reaches a webhook, also across a kill, and an app through FCM; what is
//! read, and who has turned it off, is not told; what points inside is refused.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use protocol::body::message::SendText;
use protocol::body::push::{GetPush, Push, SetPush, SubscribePush, UnsubscribePush};
use protocol::body::session::{Done, Reject};
use protocol::body::sync::{MarkRead, SendAck};
use protocol::commit::Provider;
use protocol::{ChannelId, Code};
use serde_json::{Value, json};

use crate::node::Node;
use crate::peer::{field, peer};
use crate::people::{PASSWORD, until};
use crate::raw::{Carrier, Raw, token};

/// What is called, and what it was sent.
struct Hook {
    address: String,
    fails: Arc<AtomicBool>,
    /// Ids and bodies of the calls that it took, and how many it did not.
    taken: Arc<Mutex<Vec<(String, Value)>>>,
    refused: Arc<Mutex<usize>>,
}

impl Hook {
    /// Ids and bodies of the calls of this event; of messages, which name none, with an empty word.
    fn events(&self, event: &str) -> Vec<(String, Value)> {
        let taken = self.taken.lock().unwrap();
        taken
            .iter()
            .filter(|(_, body)| body["event"].as_str().unwrap_or_default() == event)
            .cloned()
            .collect()
    }
}

fn hook(fails: bool) -> Hook {
    let (fails, taken, refused) = (Arc::new(AtomicBool::new(fails)), Arc::default(), Arc::default());
    let mut hook = Hook { address: String::new(), fails, taken, refused };
    let (fails, taken, refused) = (hook.fails.clone(), hook.taken.clone(), hook.refused.clone());
    hook.address = peer(move |head, body| {
        let status = if fails.load(Ordering::SeqCst) {
            *refused.lock().unwrap() += 1;
            "503 Service Unavailable"
        } else {
            let id = field(head, "webhook-id").unwrap().to_owned();
            taken.lock().unwrap().push((id, serde_json::from_slice(body).unwrap()));
            "204 No Content"
        };
        (status.to_owned(), String::new())
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

    // It fails once, bob reads, and then there is nothing to tell of it; what the hook took before is withdrawn.
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
    until("the hook is told that it is read", || hook.events("push.withdrawn").len() == 1).await;
    let (id, read) = hook.events("push.withdrawn").remove(0);
    assert_eq!(
        (&read["user"], &read["channel"], &read["seq"], &read["badge"]),
        (&json!(bob.to_string()), &json!(channel.to_string()), &json!("1"), &json!(0))
    );
    let (first, _) = hook.events("")[0].clone();
    assert!(id != first && id[..32] == first[..32], "{id} {first}");
    drop(other);
    device.body(3, &say("the last one"));
    device.answer_as::<SendAck>(3);
    until("the hook takes the next", || hook.events("").len() == 2).await;
    let (_, said) = hook.events("").remove(1);
    assert_eq!((&said["seq"], &said["count"]), (&json!("3"), &json!(1)), "what is read is not told");
    until("it is counted", || node.metric("maru_push_withdrawals_total", "end=\"sent\"") == 1).await;
    assert_eq!(ask(&node, "DELETE", "/v1/push/subscriptions/webhook", &bobs, None).0, 204);
    assert_eq!(ask(&node, "GET", "/v1/push/subscriptions", &bobs, None).1["subscriptions"], json!([]));
    drop(device);
    node.stop();
    node.check();
}

over_both! {
    a_device_subscribes_over_its_session_and_is_told_also_across_a_kill
}

async fn a_device_subscribes_over_its_session_and_is_told_also_across_a_kill(carrier: Carrier) {
    let hook = hook(false);
    let mut node = Node::over(carrier, 2, &["--push-allow", &hook.address]);
    let ann = node.account().signup("ann", PASSWORD).await.unwrap();
    let bob = node.account().signup("bob", PASSWORD).await.unwrap();
    let (anns, bobs) = (token(&node, ann, 1), token(&node, bob, 2));
    let mut device = Raw::live(&node, &bobs);
    let webhook = |endpoint: &str| SubscribePush {
        provider: Provider::Webhook as u8,
        preview: 2,
        zone: "Asia/Seoul".into(),
        address: endpoint.into(),
        secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(),
        ..SubscribePush::default()
    };
    let good = format!("http://{}/hook", hook.address);
    let browser = SubscribePush { provider: 1, ..webhook("https://push.example.net/1") };
    for (number, (wish, path)) in [
        (webhook("https://127.0.0.1/x"), "address"),
        (webhook("https://[::1]/"), "address"),
        (webhook(""), "address"),
        (SubscribePush { secret: "whsec_x".into(), ..webhook(&good) }, "secret"),
        (SubscribePush { zone: "Asia/Nowhere".into(), ..webhook(&good) }, "zone"),
        (SubscribePush { p256dh: "AAAA".into(), ..browser.clone() }, "p256dh"),
        (browser, "p256dh"),
        (SubscribePush { provider: 3, ..webhook("token") }, "provider"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = 10 + number as u64;
        device.body(id, &wish);
        let reject = device.answer_as::<Reject>(id);
        assert_eq!((reject.code, reject.path.as_str()), (Code::Limit.number(), path), "{}", reject.text);
        assert_eq!(reject.retry_after_ms, 0, "{}", reject.text);
    }
    device.body(1, &webhook(&good));
    device.answer_as::<Done>(1);
    device.body(2, &GetPush { device: 0 });
    let told = device.answer_as::<Push>(2);
    assert_eq!((told.is_off, told.key.len(), told.items.len()), (false, 87, 1));
    assert_eq!((told.items[0].device, told.items[0].provider), (2, Provider::Webhook as u8));
    let (listed, host) = (ask(&node, "GET", "/v1/push/subscriptions", &bobs, None).1, &hook.address);
    let listed = &listed["subscriptions"][0];
    assert_eq!((&listed["zone"], &listed["host"]), (&json!("Asia/Seoul"), &json!(format!("http://{host}"))));

    node.kill();
    drop(device);
    node.up(1);
    let channel = ChannelId::direct(ann, bob);
    let mut sender = Raw::live(&node, &anns);
    let say = |text: &str| SendText { channel: channel.0, text: text.into() };
    sender.body(1, &say("are you there?"));
    sender.answer_as::<SendAck>(1);
    until("the hook is called", || hook.events("").len() == 1).await;

    let mut device = Raw::live(&node, &bobs);
    device.body(3, &SetPush { is_off: true });
    device.answer_as::<Done>(3);
    assert_eq!(ask(&node, "GET", "/v1/push/subscriptions", &bobs, None).1["off"], json!(true));
    device.body(4, &SetPush { is_off: false });
    device.answer_as::<Done>(4);
    device.body(5, &UnsubscribePush { device: 0, provider: Provider::Webhook as u8 });
    device.answer_as::<Done>(5);
    device.body(6, &GetPush { device: 0 });
    assert_eq!(device.answer_as::<Push>(6).items, []);
    drop((device, sender));
    assert_eq!(node.stop(), Some(0));
    node.check();
}

/// FCM, as far as a node sees it: gives access tokens, and says this of messages.
struct Google {
    url: String,
    knows_the_app: Arc<AtomicBool>,
    told: Arc<Mutex<Vec<Value>>>,
}

fn google() -> Google {
    let (knows_the_app, told) = (Arc::new(AtomicBool::new(true)), Arc::default());
    let mut google = Google { url: String::new(), knows_the_app, told };
    let (knows, told) = (google.knows_the_app.clone(), google.told.clone());
    let address = peer(move |head, body| {
        let (status, answer) = if head.starts_with("POST /token ") {
            ("200 OK", json!({ "access_token": "grant", "expires_in": 3600 }))
        } else if knows.load(Ordering::SeqCst) {
            assert!(head.starts_with("POST /v1/projects/maru-test/messages:send "), "{head}");
            told.lock().unwrap().push(serde_json::from_slice(body).unwrap());
            ("200 OK", json!({ "name": "projects/maru-test/messages/1" }))
        } else {
            ("404 Not Found", json!({ "error": { "details": [{ "errorCode": "UNREGISTERED" }] } }))
        };
        (status.to_owned(), answer.to_string())
    });
    google.url = format!("http://{address}");
    google
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_is_told_through_fcm_until_push_is_off_or_the_app_is_gone() {
    let google = google();
    let account = json!({
        "project_id": "maru-test", "client_email": "maru@maru-test.iam.gserviceaccount.com",
        "private_key": include_str!("../../push/tests/world/service-account.pem"),
        "token_uri": format!("{}/token", google.url),
    })
    .to_string();
    let args = ["--push-fcm", "env:FCM_ACCOUNT", "--push-fcm-url", &google.url];
    let mut node = Node::start_by(&[], &[("FCM_ACCOUNT", &account)], 2, &args);
    let ann = node.account().signup("ann", PASSWORD).await.unwrap();
    let bob = node.account().signup("bob", PASSWORD).await.unwrap();
    let bobs = token(&node, bob, 2);
    let app = json!({ "provider": "fcm", "token": "bk3RNwTe3H0:CI2k_HHwgIpoDKCIZvvDMExUdFQ3P1", "preview": "text" });
    for (change, field) in [
        (json!({ "token": "a b" }), "token"),
        (json!({ "token": null }), "token"),
        (json!({ "endpoint": "https://push.example.com/x" }), "token"),
        // No account of Apple's here.
        (json!({ "provider": "apns", "token": "0a".repeat(32) }), "provider"),
        (json!({ "provider": "webhook", "endpoint": "https://push.example.com/x" }), "token"),
    ] {
        let mut wish = app.clone();
        wish.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (status, refused) = ask(&node, "POST", "/v1/push/subscriptions", &bobs, Some(&wish.to_string()));
        assert_eq!((status, &refused["field"]), (400, &json!(field)), "{wish}: {refused}");
    }
    let subscribed =
        |device: &str| ask(&node, "POST", "/v1/push/subscriptions", device, Some(&app.to_string())).0;
    assert_eq!(subscribed(&bobs), 204);
    let list = || ask(&node, "GET", "/v1/push/subscriptions", &bobs, None).1;
    assert_eq!((&list()["subscriptions"][0]["host"], &list()["off"]), (&json!("fcm"), &json!(false)));
    assert!(!list().to_string().contains("CI2k_HHwgIpo"), "a token is shown to nobody");

    let channel = ChannelId::direct(ann, bob);
    let mut device = Raw::live(&node, &token(&node, ann, 1));
    let mut say = |n: u64, text: &str| {
        device.body(n, &SendText { channel: channel.0, text: text.into() });
        device.answer_as::<SendAck>(n);
    };
    say(1, "are you there?");
    until("the app is told", || google.told.lock().unwrap().len() == 1).await;
    let message = google.told.lock().unwrap()[0]["message"].clone();
    assert_eq!(message["notification"], json!({ "title": "ann", "body": "are you there?" }));
    assert_eq!((&message["data"]["seq"], &message["data"]["badge"]), (&json!("1"), &json!("1")));
    until("that is counted", || node.metric("maru_push_calls_total", "provider=\"fcm\",end=\"sent\"") == 1)
        .await;

    assert_eq!(ask(&node, "PUT", "/v1/push/off", &bobs, None).0, 204);
    assert_eq!((list()["off"].clone(), list()["subscriptions"].as_array().unwrap().len()), (json!(true), 1));
    say(2, "while it is off");
    // An ack says that it is stored, and not that it has come to bob's home.
    let traced = || node.ask_admin("GET", &format!("/v1/admin/trace/{channel}/2"), &node.admin_token(), None);
    until("it is in both inboxes", || traced().matches(r#""state":"in_inbox""#).count() == 2).await;
    assert_eq!(ask(&node, "DELETE", "/v1/push/off", &bobs, None).0, 204);
    assert_eq!(list()["off"], json!(false));
    say(3, "while it is on");
    until("the app is told again", || google.told.lock().unwrap().len() == 2).await;
    let message = google.told.lock().unwrap()[1]["message"].clone();
    assert_eq!(
        (&message["data"]["seq"], &message["data"]["count"]),
        (&json!("3"), &json!("1")),
        "and of that alone"
    );

    google.knows_the_app.store(false, Ordering::SeqCst);
    say(4, "to nobody");
    until("the subscription is removed", || list()["subscriptions"] == json!([])).await;
    // Another device of bob's registers, and the first one ends that.
    let other = token(&node, bob, 3);
    assert_eq!(subscribed(&other), 204);
    let id = list()["subscriptions"][0]["device"].as_str().unwrap().to_owned();
    assert_eq!(ask(&node, "DELETE", "/v1/push/subscriptions/fcm", &bobs, None).0, 204);
    assert_eq!(
        list()["subscriptions"].as_array().unwrap().len(),
        1,
        "of the device that asks, and it has none"
    );
    assert_eq!(ask(&node, "DELETE", &format!("/v1/push/subscriptions/fcm?device={id}"), &bobs, None).0, 204);
    assert_eq!(list()["subscriptions"], json!([]));
    assert_eq!(ask(&node, "DELETE", "/v1/push/subscriptions/fcm?device=x", &bobs, None).0, 400);
    drop(device);
    node.stop();
    node.check();
}
