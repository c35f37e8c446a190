//! Requests over HTTP beside live devices: what is sent arrives everywhere, once; what is read is what devices hold; who may
//! not read is told nothing; and a repeat is one message, whatever happened to the server in between.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use client::dial::Transport;
use protocol::{ChannelId, Seq};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::node::{Node, PATIENCE, bare};
use crate::people::{Device, PASSWORD, until};

/// Somebody who speaks HTTP.
#[derive(Clone)]
struct Http {
    base: String,
    token: String,
    client: reqwest::Client,
}

impl Http {
    fn new(node: &Node, token: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { base: node.http.clone(), token: token.into(), client }
    }

    async fn login(node: &Node, name: &str) -> Self {
        Self::new(node, &node.account().login(name, PASSWORD, None).await.unwrap().token)
    }

    /// `None` when there was no answer.
    async fn try_ask(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Value)>,
    ) -> Option<(StatusCode, Value)> {
        let mut request =
            self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some((key, body)) = body {
            request = request.header("Idempotency-Key", key).json(&body);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status();
        Some((status, serde_json::from_str(&answer.text().await.ok()?).unwrap_or_default()))
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.try_ask(Method::GET, path, None).await.unwrap()
    }

    async fn send(&self, path: &str, key: &str, text: &str) -> (StatusCode, Value) {
        self.try_ask(Method::POST, path, Some((key, json!({ "text": text })))).await.unwrap()
    }

    /// All of a channel, page by page, in either direction.
    async fn history(&self, channel: ChannelId, limit: u32, is_forward: bool) -> BTreeMap<u64, String> {
        let mut all = BTreeMap::new();
        let mut at = if is_forward { "after=0".to_owned() } else { String::new() };
        loop {
            let (status, page) =
                self.get(&format!("/v1/channels/{channel}/messages?limit={limit}&{at}")).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            for message in page["messages"].as_array().unwrap() {
                let text = message["text"].as_str().or_else(|| message["kind"].as_str()).unwrap().to_owned();
                assert!(
                    all.insert(message["seq"].as_u64().unwrap(), text).is_none(),
                    "told twice: {message}"
                );
            }
            let Some(next) = page["next"].as_str() else { return all };
            at = format!("{}={next}", if is_forward { "after" } else { "before" });
        }
    }
}

fn code(answer: &(StatusCode, Value)) -> (u16, &str) {
    (answer.0.as_u16(), answer.1["code"].as_str().unwrap_or_default())
}

async fn live(devices: &[&Device]) {
    until("all are live", || devices.iter().all(|device| device.held.lock().unwrap().live)).await;
}

fn held(device: &Device, channel: ChannelId) -> BTreeMap<Seq, String> {
    device.held.lock().unwrap().messages.get(&channel).cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_over_http_arrives_everywhere_once() {
    let node = Node::start(2, &[]);
    let account = node.account();
    for name in ["ann", "ben", "eve"] {
        account.signup(name, PASSWORD).await.unwrap();
    }
    let over = async |name, transport| Device::login_over(&account, name, transport).await;
    let (ann_ws, ann_quic) = (over("ann", Transport::Ws).await, over("ann", Transport::Quic).await);
    let (ben_ws, ben_quic) = (over("ben", Transport::Ws).await, over("ben", Transport::Quic).await);
    let all = [&ann_ws, &ann_quic, &ben_ws, &ben_quic];
    live(&all).await;

    // With the token of a device that is connected, to a person to whom nobody has written.
    let ann = Http::new(&node, ann_ws.token());
    let path = format!("/v1/users/{}/messages", ben_ws.user);
    let channel = ChannelId::direct(ann_ws.user, ben_ws.user);
    let (status, first) = ann.send(&path, "one", "hello over HTTP").await;
    assert_eq!((status, &first["seq"]), (StatusCode::CREATED, &json!(1)), "{first}");
    assert_eq!(
        ann.send(&path, "one", "hello over HTTP").await,
        (status, first.clone()),
        "the first answer again"
    );
    let by_channel = format!("/v1/channels/{channel}/messages");
    assert_eq!(ann.send(&by_channel, "\"one\"", "hello over HTTP").await, (status, first));
    assert_eq!(code(&ann.send(&path, "one", "something else").await), (422, "idempotency_key_reused"));
    let long = "가".repeat(100_000);
    assert_eq!(ann.send(&by_channel, "long", &long).await.1["seq"], 2);
    ben_quic.say(channel, "and back").await;
    let said = ["hello over HTTP", long.as_str(), "and back"];
    until("everybody holds all three", || {
        all.iter()
            .all(|device| held(device, channel).into_values().eq(said.iter().map(|text| (*text).to_owned())))
    })
    .await;
    for device in all {
        let held = device.held.lock().unwrap();
        assert_eq!((held.connects, held.faults.len(), held.rejected.len()), (1, 0, 0), "{:?}", held.faults);
    }

    // What is read is what the devices hold.
    let expected: BTreeMap<u64, String> =
        held(&ben_ws, channel).into_iter().map(|(seq, text)| (seq.0, text)).collect();
    for (limit, is_forward) in [(1, true), (1, false), (2, false), (200, true)] {
        assert_eq!(ann.history(channel, limit, is_forward).await, expected, "{limit} {is_forward}");
    }
    let (_, list) = ann.get("/v1/channels").await;
    assert_eq!(list["channels"].as_array().unwrap().len(), 1);
    let (_, one) = ann.get(&format!("/v1/channels/{channel}")).await;
    assert_eq!(
        (&one, &one["with"], &one["head"]),
        (&list["channels"][0], &json!(ben_ws.user.to_string()), &json!(3))
    );
    let (_, members) = ann.get(&format!("/v1/channels/{channel}/members")).await;
    assert_eq!(members["members"].as_array().unwrap().len(), 2);

    // A stranger is told of it what is told of a channel that is none.
    let eve = Http::login(&node, "eve").await;
    let none = ChannelId::direct(protocol::UserId(3), protocol::UserId(4));
    for part in ["", "/members", "/messages"] {
        let of = async |channel| eve.get(&format!("/v1/channels/{channel}{part}")).await;
        let answer = of(channel).await;
        assert_eq!(code(&answer), (404, "not_found"));
        assert_eq!(answer, of(none).await);
    }
    let of = async |channel| eve.send(&format!("/v1/channels/{channel}/messages"), "k", "let me in").await;
    assert_eq!((code(&of(channel).await), of(channel).await), ((404, "not_found"), of(none).await));
    assert_eq!(code(&eve.send("/v1/users/12345/messages", "k", "anybody?").await), (404, "not_found"));
    assert_eq!(held(&ann_ws, channel).len(), 3);
    until("nobody is a guest any more", || node.metric("maru_guests", "") == 0).await;
}

/// 200 sends under keys of their own, each repeated until it is answered, while the server is killed five times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_is_one_message_over_kill_9() {
    const SENDS: usize = 200;
    let mut node = Node::start(2, &["--frames-per-s", "100000", "--frames-burst", "100000"]);
    let account = node.account();
    for name in ["ann", "ben"] {
        account.signup(name, PASSWORD).await.unwrap();
    }
    let ben = Device::login(&account, "ben").await;
    let ann = Http::login(&node, "ann").await;
    let channel = {
        let (_, me) = ann.get("/v1/users/by-name/ann").await;
        ChannelId::direct(protocol::UserId(me["user"].as_str().unwrap().parse().unwrap()), ben.user)
    };
    let path = format!("/v1/users/{}/messages", ben.user);
    let answered = Arc::<AtomicUsize>::default();
    let sending = tokio::spawn({
        let (ann, path, answered) = (ann.clone(), path.clone(), answered.clone());
        async move {
            let mut answers = Vec::new();
            for number in 0..SENDS {
                let (key, body) = (format!("key-{number}"), json!({ "text": format!("message {number}") }));
                let answer = loop {
                    match ann.try_ask(Method::POST, &path, Some((&key, body.clone()))).await {
                        Some((StatusCode::CREATED, answer)) => break answer,
                        // Whatever it was, the same request is the way out: no answer, or not now.
                        None => {}
                        Some((status, words)) => assert!(status.is_server_error(), "{status} {words}"),
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                };
                answers.push(answer);
                answered.fetch_add(1, Ordering::Release);
            }
            answers
        }
    });
    for (round, shards) in [1, 4, 2, 1, 2].into_iter().enumerate() {
        until("some are answered", || answered.load(Ordering::Acquire) >= (round + 1) * SENDS / 7).await;
        node.kill();
        node.check();
        node.up(shards);
    }
    let answers = sending.await.unwrap();
    let expected: BTreeMap<u64, String> =
        (0..SENDS).map(|number| (number as u64 + 1, format!("message {number}"))).collect();
    assert_eq!(ann.history(channel, 50, true).await, expected, "each once, in order");
    for (number, answer) in answers.iter().enumerate() {
        let (status, again) = ann.send(&path, &format!("key-{number}"), &format!("message {number}")).await;
        assert_eq!((status, &again), (StatusCode::CREATED, answer), "the first answer again");
    }
    until("they have arrived", || held(&ben, channel).len() == SENDS).await;
    assert_eq!(node.stop(), Some(0));
    node.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_member_and_a_revoked_token_read_nothing_new() {
    let node = Node::start(2, &[]);
    let account = node.account();
    for name in ["ann", "ben"] {
        account.signup(name, PASSWORD).await.unwrap();
    }
    let ann = Device::login(&account, "ann").await;
    let ben = Device::login(&account, "ben").await;
    live(&[&ann, &ben]).await;
    let group = ann.group("plan", &[ben.user]).await;
    until("ben is in", || held(&ben, group).len() == 1).await;
    let http = Http::login(&node, "ben").await;
    let path = format!("/v1/channels/{group}/messages");
    assert_eq!(http.send(&path, "a", "from ben").await.1["seq"], 2);
    let (_, members) = http.get(&format!("/v1/channels/{group}/members?limit=1")).await;
    assert_eq!((members["members"].as_array().unwrap().len(), members["next"].is_string()), (1, true));
    let user = ben.user;
    ann.client()
        .with_session(move |session| session.remove_member(group, user, None))
        .await
        .unwrap()
        .unwrap();
    until("ben is out", || held(&ben, group).len() == 3).await;
    ann.say(group, "without ben").await;
    until("ann has said so", || held(&ann, group).values().any(|text| text == "without ben")).await;
    assert_eq!(http.history(group, 50, false).await.len(), 3, "what was said while ben was there");
    assert_eq!(code(&http.get(&format!("/v1/channels/{group}/members")).await), (404, "not_found"));
    assert_eq!(code(&http.send(&path, "b", "still there?").await), (404, "not_found"));
    // What was sent is answered as it was, whatever changed since.
    assert_eq!(http.send(&path, "a", "from ben").await.1["seq"], 2);
    let (_, one) = http.get(&format!("/v1/channels/{group}")).await;
    assert_eq!((&one["member"], &one["head"]), (&json!(false), &json!(3)));
    // Deep, and beyond the end.
    for (query, messages) in
        [("?before=1", 0), ("?after=9007199254740990", 0), ("?after=2&before=4&limit=1", 1)]
    {
        let (status, page) = http.get(&format!("{path}{query}")).await;
        assert_eq!(
            (status, page["messages"].as_array().unwrap().len()),
            (StatusCode::OK, messages),
            "{query}"
        );
    }
    node.operate("/v1/admin/revoke", r#"{"name":"ben"}"#);
    assert_eq!(code(&http.get("/v1/channels").await), (401, "unauthenticated"));
    assert_eq!(code(&http.send(&path, "a", "from ben").await), (401, "unauthenticated"));
}

/// One user who asks for all there is and takes nothing, with bodies that never come, costs nobody else anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_hangs_on_requests_costs_nobody_else_anything() {
    let node = Node::start(2, &[]);
    let account = node.account();
    for name in ["ann", "ben", "eve"] {
        account.signup(name, PASSWORD).await.unwrap();
    }
    let ben = Device::login(&account, "ben").await;
    live(&[&ben]).await;
    let (ann, eve) = (Http::login(&node, "ann").await, Http::login(&node, "eve").await);
    let path = format!("/v1/users/{}/messages", ben.user);
    // Bodies that are announced and do not come: eight have a place, the others are refused.
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\nidempotency-key: k\r\n\
         content-type: application/json\r\ncontent-length: 1000000\r\n\r\n{{",
        eve.token
    );
    let hanging: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = TcpStream::connect(bare(&node.http)).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    until("some are refused", || node.metric("maru_limit_refused_total", "texts_user") > 0).await;
    // Requests of which nobody waits for the answer.
    let ask = format!(
        "GET /v1/channels HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\n\r\n",
        eve.token
    );
    for _ in 0..100 {
        let mut stream = TcpStream::connect(bare(&node.http)).unwrap();
        stream.write_all(ask.as_bytes()).unwrap();
    }
    let flood: Vec<_> = (0..20)
        .map(|_| {
            let eve = eve.clone();
            tokio::spawn(async move {
                for _ in 0..100 {
                    let answer = eve.get("/v1/channels").await;
                    assert!([200, 429, 503].contains(&answer.0.as_u16()), "{answer:?}");
                }
            })
        })
        .collect();
    for number in 0..20 {
        let (status, answer) = ann.send(&path, &format!("k{number}"), "meanwhile").await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
    }
    for one in flood {
        one.await.unwrap();
    }
    let channel = held_channel(&ben);
    until("all of ann's have arrived", || held(&ben, channel).len() == 20).await;
    drop(hanging);
    until("nobody is a guest any more", || node.metric("maru_guests", "") == 0).await;
    assert_eq!(node.metric("maru_impossible_total", ""), 0);
}

/// The one channel that a device holds.
fn held_channel(device: &Device) -> ChannelId {
    let held = device.held.lock().unwrap();
    *held.messages.keys().next().expect("a channel")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_answers_in_a_group_and_connects_as_a_device() {
    let node = Node::start(2, &[]);
    let account = node.account();
    account.signup("ann", PASSWORD).await.unwrap();
    let ann = Device::login(&account, "ann").await;
    live(&[&ann]).await;
    let owner = Http::new(&node, ann.token());
    let made =
        owner.try_ask(Method::POST, "/v1/bots", Some(("-", json!({ "name": "siren" })))).await.unwrap();
    assert_eq!(made.0, StatusCode::CREATED, "{made:?}");
    let id = made.1["bot"].as_str().unwrap().to_owned();
    let bot_user = protocol::UserId(id.parse().unwrap());
    let bot = Http::new(&node, made.1["token"].as_str().unwrap());
    // Not to somebody who never wrote to it; the owner is nobody else in this.
    let to_ann = format!("/v1/users/{}/messages", ann.user);
    assert_eq!(code(&bot.send(&to_ann, "k", "buy!").await), (403, "bot"));
    let group = ann.group("alarms", &[bot_user]).await;
    until("the group is there", || held(&ann, group).len() == 1).await;
    let (_, list) = bot.get("/v1/channels").await;
    assert_eq!(list["channels"][0]["channel"], json!(group.to_string()));
    assert_eq!(bot.send(&format!("/v1/channels/{group}/messages"), "k", "it burns").await.1["seq"], 2);
    let direct = ChannelId::direct(ann.user, bot_user);
    ann.say(direct, "where?").await;
    until("ann's question is stored", || held(&ann, direct).len() == 1).await;
    assert_eq!(bot.send(&to_ann, "k", "in the kitchen").await.1["seq"], 2);
    until("ann has heard", || held(&ann, group).len() == 2 && held(&ann, direct).len() == 2).await;

    // With `connect` the SDK comes in with the bot's own token in place of a refresh token.
    let body = json!({ "name": "sdk", "scopes": ["connect"] });
    let tokens = format!("/v1/bots/{id}/tokens");
    let connect = owner.try_ask(Method::POST, &tokens, Some(("-", body))).await.unwrap().1;
    let login = account.renew(connect["token"].as_str().unwrap()).await.unwrap();
    assert_eq!((login.user, login.refresh.as_str()), (bot_user, connect["token"].as_str().unwrap()));
    let options = client::dial::Options { account: account.clone(), login, renew: None, saved: None };
    let (client, mut events) = client::dial::Client::start_over(options, Transport::Ws).unwrap();
    client.send_text(group, "over a connection").await.unwrap();
    until("ann has heard that, too", || held(&ann, group).len() == 3).await;
    // Revoked is revoked: the connection ends, and nothing brings it back.
    let path = format!("{tokens}/{}", connect["id"].as_str().unwrap());
    let gone = owner.try_ask(Method::DELETE, &path, None).await.unwrap();
    assert_eq!(gone.0, StatusCode::NO_CONTENT);
    let end = loop {
        match tokio::time::timeout(PATIENCE, events.next()).await.expect("the end") {
            Ok(_) => {}
            Err(end) => break end.to_string(),
        }
    };
    assert!(!end.is_empty());
    assert!(account.renew(connect["token"].as_str().unwrap()).await.is_err());
    assert_eq!(bot.get("/v1/channels").await.0, StatusCode::OK, "the other token goes on");
    assert_eq!(
        owner.try_ask(Method::DELETE, &format!("/v1/bots/{id}"), None).await.unwrap().0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(code(&bot.get("/v1/channels").await), (401, "unauthenticated"));
    drop(client);
}
