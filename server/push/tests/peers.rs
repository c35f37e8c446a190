//! The outbox against real peers on loopback: what a provider can answer, and what becomes of the job; a browser that is none
//! of ours reads what is sent.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::type_complexity)]

mod world;

use std::collections::VecDeque;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use protocol::Seq;
use protocol::commit::{Notify, Provider, SubscriptionRow};
use protocol::query::PushFacts;
use push::outbox::Outcome;
use push::{webhook, webpush};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use world::{Fake, facts, hooks, job, no_tls, start, until};

/// What a provider does with one request.
#[derive(Clone, Copy)]
enum Does {
    Answers(&'static str),
    /// Reads it and breaks the connection.
    Resets,
}

/// A provider, and the requests that it read.
struct Provides {
    address: String,
    read: Arc<Mutex<Vec<(String, Vec<u8>)>>>,
}

async fn provider(script: &[Does]) -> Provides {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let read = Arc::new(Mutex::new(Vec::new()));
    let (mut script, seen) = (script.iter().copied().collect::<VecDeque<_>>(), read.clone());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let length = value(&head, "content-length").unwrap().parse().unwrap();
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            seen.lock().unwrap().push((head, body));
            match script.pop_front().unwrap_or(Does::Answers("201 Created")) {
                Does::Answers(words) => {
                    let answer =
                        format!("HTTP/1.1 {words}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                }
                Does::Resets => drop(stream),
            }
        }
    });
    Provides { address, read }
}

fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let line = |line: &'a str| line.split_once(": ").filter(|(known, _)| known.eq_ignore_ascii_case(name));
    head.lines().find_map(line).map(|(_, value)| value)
}

fn hook(address: &str) -> SubscriptionRow {
    world::hook(&format!("http://{address}"))
}

#[tokio::test]
async fn what_a_provider_answers_is_what_becomes_of_the_job() {
    let is_retry = |outcome: &Outcome| matches!(outcome, Outcome::Retry { has_failed: true, targets, .. } if targets.len() == 1);
    let cases: [(Does, &dyn Fn(&Outcome) -> bool, usize); 9] = [
        (Does::Answers("201 Created"), &|outcome| *outcome == Outcome::Done, 0),
        (Does::Answers("410 Gone"), &|outcome| *outcome == Outcome::Done, 1),
        (Does::Answers("404 Not Found"), &|outcome| *outcome == Outcome::Done, 1),
        (Does::Answers("400 Bad Request"), &|outcome| *outcome == Outcome::Park, 0),
        (Does::Answers("413 Content Too Large"), &|outcome| *outcome == Outcome::Park, 0),
        // The place it points to is not called.
        (
            Does::Answers("302 Found\r\nlocation: http://127.0.0.1:1/"),
            &|outcome| *outcome == Outcome::Park,
            0,
        ),
        (Does::Answers("500 Oh"), &is_retry, 0),
        (Does::Answers("429 Slow Down\r\nretry-after: 120"), &is_retry, 0),
        (Does::Resets, &is_retry, 0),
    ];
    for (n, (does, expected, gone)) in cases.iter().enumerate() {
        let peer = provider(&[*does]).await;
        let fake = Arc::new(Fake::default());
        let id = job(n as u64);
        fake.facts.lock().unwrap().insert(id, facts(id, hook(&peer.address), Provider::Webhook));
        let before =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
        // It finds the job by reading the bays, as after a crash.
        let _outbox = start(&fake, hooks(&[&peer.address], &no_tls()));
        until("an outcome", || !fake.ended.lock().unwrap().is_empty()).await;
        let outcome = fake.ended.lock().unwrap()[0].clone();
        assert!(expected(&outcome), "case {n}: {outcome:?}");
        assert_eq!(fake.gone.lock().unwrap().len(), *gone, "case {n}");
        if let Outcome::Retry { at_ms, .. } = outcome {
            let least = if n == 7 { 120_000 } else { 2500 };
            assert!(at_ms >= before + least, "case {n}");
        }
        assert_eq!(peer.read.lock().unwrap().len(), 1, "case {n}");
    }
}

#[tokio::test]
async fn a_job_that_was_reset_behind_the_request_is_sent_again_under_the_same_id() {
    let peer = provider(&[Does::Resets]).await;
    let fake = Arc::new(Fake::default());
    let id = job(1);
    fake.facts.lock().unwrap().insert(id, facts(id, hook(&peer.address), Provider::Webhook));
    let (_outbox, bell) = start(&fake, hooks(&[&peer.address], &no_tls()));
    until("the first", || fake.ended.lock().unwrap().len() == 1).await;
    // The job's time has come.
    bell.ring(id);
    until("the second", || fake.ended.lock().unwrap().len() == 2).await;
    assert_eq!(fake.ended.lock().unwrap()[1], Outcome::Done);
    let read = peer.read.lock().unwrap();
    let ids: Vec<_> = read.iter().map(|(head, _)| value(head, "webhook-id").unwrap().to_owned()).collect();
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "whoever is called knows the repeat");
    let (head, body) = &read[1];
    let row = hook(&peer.address);
    let time: u64 = value(head, "webhook-timestamp").unwrap().parse().unwrap();
    let again = webhook::call(&row, &ids[1], body, time * 1000);
    let signed = again.headers.iter().find(|(name, _)| *name == "webhook-signature").unwrap();
    assert_eq!(value(head, "webhook-signature"), Some(signed.1.as_str()));
}

#[tokio::test]
async fn who_does_not_want_it_or_has_read_it_is_not_called() {
    let peer = provider(&[]).await;
    let fake = Arc::new(Fake::default());
    let all: [&dyn Fn(&mut PushFacts); 5] = [
        &|facts| facts.read = Seq(4),
        &|facts| facts.prefs.muted_until_ms = u64::MAX,
        &|facts| facts.prefs.notify = Notify::Nothing,
        &|facts| facts.prefs.notify = Notify::Mentions,
        &|facts| facts.job.as_mut().unwrap().time_ms -= 25 * 3600 * 1000,
    ];
    for (n, change) in all.iter().enumerate() {
        let id = job(n as u64);
        let mut facts = facts(id, hook(&peer.address), Provider::Webhook);
        change(&mut facts);
        fake.facts.lock().unwrap().insert(id, facts);
    }
    let (outbox, _bell) = start(&fake, hooks(&[&peer.address], &no_tls()));
    until("all ended", || fake.ended.lock().unwrap().len() == all.len()).await;
    assert!(fake.ended.lock().unwrap().iter().all(|outcome| *outcome == Outcome::Done));
    assert!(peer.read.lock().unwrap().is_empty());
    let count = |figure: &std::sync::atomic::AtomicU64| figure.load(std::sync::atomic::Ordering::Relaxed);
    let figures = outbox.figures();
    assert_eq!((count(&figures.read), count(&figures.unwanted), count(&figures.expired)), (1, 3, 1));
}

#[tokio::test]
async fn a_subscription_of_an_address_that_is_not_allowed_any_more_is_not_called() {
    let peer = provider(&[]).await;
    let fake = Arc::new(Fake::default());
    let id = job(1);
    fake.facts.lock().unwrap().insert(id, facts(id, hook(&peer.address), Provider::Webhook));
    let _outbox = start(&fake, hooks(&["somewhere.else"], &no_tls()));
    until("an outcome", || !fake.ended.lock().unwrap().is_empty()).await;
    assert_eq!(fake.ended.lock().unwrap()[0], Outcome::Park);
    assert!(peer.read.lock().unwrap().is_empty());
}

fn browser(args: &[&str], input: &str) -> Option<String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !here.join("../../clients/web/sdk/node_modules/http_ece").exists() {
        // `make web` installs it.
        eprintln!("http_ece is not installed: no browser reads this");
        return None;
    }
    let mut node = Command::new("node");
    node.arg(here.join("tests/browser.mjs")).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut node = node.spawn().unwrap();
    node.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn a_browser_of_others_reads_what_is_sent_and_knows_who_sent_it() {
    let Some(keys) = browser(&["keys"], "") else { return };
    let keys: serde_json::Value = serde_json::from_str(&keys).unwrap();
    let text = |name: &str| keys[name].as_str().unwrap();
    let (key, secret) = webpush::read_keys(text("p256dh"), text("auth")).unwrap();
    let peer = provider(&[]).await;
    let endpoint = format!("http://{}/wpush/v2/x", peer.address);
    let row = SubscriptionRow { endpoint, key, secret, ..Default::default() };
    let fake = Arc::new(Fake::default());
    let id = job(1);
    fake.facts.lock().unwrap().insert(id, facts(id, row, Provider::WebPush));
    let (outbox, _bell) = start(&fake, hooks(&[&peer.address], &no_tls()));
    until("an outcome", || !fake.ended.lock().unwrap().is_empty()).await;
    assert_eq!(fake.ended.lock().unwrap()[0], Outcome::Done);
    let (head, body) = peer.read.lock().unwrap()[0].clone();
    assert!(head.starts_with("POST /wpush/v2/x HTTP/1.1\r\n"), "{head}");
    assert_eq!(value(&head, "content-encoding"), Some("aes128gcm"));
    // What is left of a day, if this machine is busy.
    let ttl: u64 = value(&head, "ttl").unwrap().parse().unwrap();
    assert!((86_000..=86_400).contains(&ttl), "{ttl}");
    assert_eq!(value(&head, "urgency"), Some("normal"));
    let topic = value(&head, "topic").unwrap();
    assert!(topic.len() <= 32 && topic.chars().all(|c| c.is_ascii_alphanumeric()), "RFC 8030 section 5.4");
    let input =
        serde_json::json!({ "private": text("private"), "auth": text("auth"), "body": BASE64.encode(&body) });
    let read: serde_json::Value =
        serde_json::from_str(&browser(&["open"], &input.to_string()).unwrap()).unwrap();
    assert_eq!((&read["title"], &read["body"]), (&"Ann".into(), &"안녕 hello".into()));
    assert_eq!(
        (&read["channel"], &read["seq"], &read["badge"]),
        (&id.1.to_string().into(), &"4".into(), &5.into())
    );
    signed(
        value(&head, "authorization").unwrap(),
        &outbox.senders().vapid().public_key(),
        &format!("http://{}", peer.address),
    );
}

/// RFC 8292: the token is signed by the key beside it, for this service, and ends within a day.
fn signed(authorization: &str, key: &str, origin: &str) {
    let (token, beside) = authorization.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
    assert_eq!(beside, key);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let public = BASE64.decode(key).unwrap();
    let public = ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, public);
    public.verify(signed.as_bytes(), &BASE64.decode(signature).unwrap()).unwrap();
    let claims = BASE64.decode(signed.split_once('.').unwrap().1).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!((&claims["aud"], &claims["sub"]), (&origin.into(), &"mailto:ops@example.org".into()));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let expires = claims["exp"].as_u64().unwrap();
    assert!(now < expires && expires <= now + 24 * 3600);
}
