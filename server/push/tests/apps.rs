//! FCM and APNs against peers that check what they are sent: tokens by their signature, HTTP/2 by the connection, and that tokens and
//! connections are used again.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hyper::Version;
use protocol::commit::Provider;
use push::call::Answer;
use push::outbox::{Outbox, Outcome};
use push::senders::Senders;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use world::{
    APPLE_DEVICE, Authority, Fake, GOOGLE_APP, Peer, SERVICE_ACCOUNT_KEY, Says, Seen, USER, apns, app, facts,
    fcm, google, hooks, job, peer, says, start, until,
};

/// A status, its reason, what is expected of the job, and how many subscriptions go.
type Case<'a> = (u16, &'static str, &'a dyn Fn(&Outcome) -> bool, usize);

/// Head and claims of a token, once its signature is found to be of this key.
fn signed(token: &str, verify: impl Fn(&[u8], &[u8]) -> bool) -> (Value, Value) {
    let (words, signature) = token.rsplit_once('.').unwrap();
    assert!(verify(words.as_bytes(), &BASE64.decode(signature).unwrap()), "{token}");
    let (head, claims) = words.split_once('.').unwrap();
    let read = |part: &str| serde_json::from_slice(&BASE64.decode(part).unwrap()).unwrap();
    (read(head), read(claims))
}

fn seen(peer: &Peer, of: &str) -> Vec<Seen> {
    peer.seen.lock().unwrap().iter().filter(|seen| seen.path.starts_with(of)).cloned().collect()
}

fn fault(code: &str) -> String {
    json!({ "error": { "details": [{ "errorCode": code }] } }).to_string()
}

fn taken() -> Says {
    says(200, &[], r#"{"name":"projects/maru-test/messages/0:1"}"#)
}

#[tokio::test]
async fn fcm_is_told_what_an_app_on_android_is_to_show() {
    let authority = Authority::new();
    let peer = peer(authority.names("localhost", &["h2", "http/1.1"]), google(3600, |_, _| taken())).await;
    let fake = Arc::new(Fake::default());
    for n in 0..3 {
        fake.put(job(n), facts(job(n), app(GOOGLE_APP), Provider::Fcm));
    }
    let tls = authority.believed();
    let (outbox, _bell) = start(&fake, hooks(&[], &tls).with_fcm(fcm(&peer.url)));
    until("all are told", || fake.outcomes().len() == 3).await;
    assert!(fake.outcomes().iter().all(|outcome| *outcome == Outcome::Done), "{:?}", fake.outcomes());
    assert_eq!(outbox.figures().of(Provider::Fcm).sent.load(Ordering::Relaxed), 3);

    let grants = seen(&peer, "/token");
    assert_eq!(grants.len(), 1, "one token for all");
    let form = String::from_utf8(grants[0].body.clone()).unwrap();
    let assertion = form
        .strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=")
        .unwrap();
    let der = PrivatePkcs8KeyDer::from_pem_slice(SERVICE_ACCOUNT_KEY.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref().to_vec());
    let (head, claims) = signed(assertion, |words, signature| public.verify(words, signature).is_ok());
    assert_eq!(head, json!({ "alg": "RS256", "typ": "JWT", "kid": "kid-1" }));
    assert_eq!(claims["aud"], json!(format!("{}/token", peer.url)));
    assert_eq!(claims["iss"], "maru@maru-test.iam.gserviceaccount.com");
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/firebase.messaging");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);

    let sent = seen(&peer, "/v1/projects/maru-test/messages:send");
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|seen| seen.header("authorization") == "Bearer grant-1"));
    assert!(sent.iter().all(|seen| seen.version == Version::HTTP_2), "as the peer can");
    let message = &sent[0].json()["message"];
    assert_eq!(message["token"], GOOGLE_APP);
    assert_eq!(message["notification"], json!({ "title": "Ann", "body": "안녕 hello" }));
    let data = message["data"].as_object().unwrap();
    assert!(data.values().all(Value::is_string), "FCM takes nothing else: {data:?}");
    assert_eq!(
        (&data["user"], &data["seq"], &data["badge"]),
        (&json!(USER.to_string()), &json!("4"), &json!("5"))
    );
    assert!(!data.contains_key("title") && !data.contains_key("body"));
    let android = &message["android"];
    assert_eq!(
        (&android["priority"], &android["notification"]["notification_count"]),
        (&json!("HIGH"), &json!(5))
    );
    assert_eq!(android["collapse_key"], android["notification"]["tag"]);
    assert_eq!(android["collapse_key"].as_str().unwrap().len(), 32);
    let ttl: u64 = android["ttl"].as_str().unwrap().strip_suffix('s').unwrap().parse().unwrap();
    assert!((86_000..=86_400).contains(&ttl));
}

#[tokio::test]
async fn what_fcm_answers_is_what_becomes_of_the_job() {
    let is_retry = |outcome: &Outcome| matches!(outcome, Outcome::Retry { has_failed: true, .. });
    let cases: [Case<'_>; 8] = [
        (404, "UNREGISTERED", &|outcome| *outcome == Outcome::Done, 1),
        (400, "INVALID_ARGUMENT", &|outcome| *outcome == Outcome::Park, 0),
        (403, "SENDER_ID_MISMATCH", &|outcome| *outcome == Outcome::Park, 0),
        (429, "QUOTA_EXCEEDED", &is_retry, 0),
        (500, "INTERNAL", &is_retry, 0),
        (503, "UNAVAILABLE", &is_retry, 0),
        (403, "PERMISSION_DENIED", &is_retry, 0),
        // No word of FCM's: another project, or another service. No subscription ends by it.
        (404, "", &is_retry, 0),
    ];
    for (status, code, expected, gone) in cases {
        let script = google(3600, move |_, _| {
            let body = if code.is_empty() { "not here".into() } else { fault(code) };
            says(status, &[("retry-after", "120")], body)
        });
        let peer = peer(world::Speaks::H1, script).await;
        let (fake, before) = (Arc::new(Fake::default()), world::system_ms());
        fake.put(job(1), facts(job(1), app(GOOGLE_APP), Provider::Fcm));
        let _outbox = start(&fake, hooks(&[], &world::no_tls()).with_fcm(fcm(&peer.url)));
        until("an outcome", || !fake.outcomes().is_empty()).await;
        let outcome = fake.outcomes()[0].clone();
        assert!(expected(&outcome), "{status} {code}: {outcome:?}");
        assert_eq!(fake.gone.lock().unwrap().len(), gone, "{status} {code}");
        if let Outcome::Retry { at_ms, .. } = outcome {
            assert!(at_ms >= before + 120_000, "{status} {code}");
        }
        assert_eq!(seen(&peer, "/v1/").len(), 1, "{status} {code}");
    }
}

#[tokio::test]
async fn an_access_token_that_is_refused_is_replaced_once_and_one_that_ends_is_renewed_before() {
    let script = google(3600, |seen, _| {
        if seen.header("authorization") == "Bearer grant-2" { taken() } else { says(401, &[], "") }
    });
    let peer = peer(world::Speaks::H1, script).await;
    let now = Arc::new(AtomicU64::new(world::system_ms()));
    let clock = now.clone();
    let senders: Senders = hooks(&[], &world::no_tls()).with_fcm(fcm(&peer.url));
    let outbox = Outbox::new(Arc::new(Fake::default()), senders)
        .with_clock(Arc::new(move || clock.load(Ordering::SeqCst)));
    let tell = async || outbox.test(USER, Provider::Fcm, &app(GOOGLE_APP)).await;
    assert_eq!(tell().await, Answer::Taken, "the second token is good");
    assert_eq!((seen(&peer, "/token").len(), seen(&peer, "/v1/").len()), (2, 2));
    now.fetch_add(54 * 60_000, Ordering::SeqCst);
    assert_eq!(tell().await, Answer::Taken);
    assert_eq!(seen(&peer, "/token").len(), 2, "good for six minutes still");
    now.fetch_add(2 * 60_000, Ordering::SeqCst);
    let answer = tell().await;
    // The third is refused, and so is the fourth: that is said, and not tried for ever.
    assert!(matches!(answer, Answer::Later { is_of_host: true, .. }), "{answer:?}");
    assert_eq!((seen(&peer, "/token").len(), seen(&peer, "/v1/").len()), (4, 5));
}

#[tokio::test]
async fn without_an_access_token_a_job_waits_and_google_is_not_asked_for_each() {
    let peer = peer(world::Speaks::H1, |_, _| says(400, &[], r#"{"error":"invalid_grant"}"#)).await;
    let fake = Arc::new(Fake::default());
    for n in 0..20 {
        fake.put(job(n), facts(job(n), app(GOOGLE_APP), Provider::Fcm));
    }
    fake.keeps_times.store(true, Ordering::SeqCst);
    let _outbox = start(&fake, hooks(&[], &world::no_tls()).with_fcm(fcm(&peer.url)));
    until("some have failed", || fake.outcomes().len() >= 8).await;
    assert!(fake.outcomes().iter().all(|outcome| matches!(outcome, Outcome::Retry { has_failed: true, .. })));
    assert_eq!(seen(&peer, "/v1/").len(), 0);
    // As many as there were rests of five seconds, and not as many as jobs.
    assert!(peer.count() < 8, "{}", peer.count());
}

#[tokio::test]
async fn apns_is_told_by_http_2_and_one_connection_and_one_token_serve_all() {
    let authority = Authority::new();
    let peer = peer(authority.names("localhost", &["h2"]), |_, _| says(200, &[], "")).await;
    let (sender, public) = apns(&peer.url);
    let fake = Arc::new(Fake::default());
    let senders = hooks(&[], &authority.believed()).with_apns(sender);
    let (outbox, bell) = start(&fake, senders);
    for n in 0..20 {
        fake.put(job(n), facts(job(n), app(APPLE_DEVICE), Provider::Apns));
        bell.ring(job(n));
        until("it is told", || fake.outcomes().len() as u64 == n + 1).await;
    }
    assert!(fake.outcomes().iter().all(|outcome| *outcome == Outcome::Done), "{:?}", fake.outcomes());
    assert_eq!(outbox.figures().of(Provider::Apns).sent.load(Ordering::Relaxed), 20);
    let sent = seen(&peer, &format!("/3/device/{APPLE_DEVICE}"));
    assert_eq!(sent.len(), 20);
    assert!(sent.iter().all(|seen| seen.version == Version::HTTP_2 && seen.connection == 0), "one for all");
    let first = &sent[0];
    assert!(sent.iter().all(|seen| seen.header("authorization") == first.header("authorization")));
    let token = first.header("authorization").strip_prefix("bearer ").unwrap();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public);
    let (head, claims) = signed(token, |words, signature| key.verify(words, signature).is_ok());
    assert_eq!(
        (&head["alg"], &head["kid"], &claims["iss"]),
        (&json!("ES256"), &json!("ABC123DEFG"), &json!("DEF123GHIJ"))
    );
    let now = world::system_ms() / 1000;
    assert!((now - 300..=now).contains(&claims["iat"].as_u64().unwrap()));
    assert_eq!((first.header("apns-topic"), first.header("apns-push-type")), ("org.example.maru", "alert"));
    assert_eq!((first.header("apns-priority"), first.header("apns-collapse-id").len()), ("10", 32));
    let expires: u64 = first.header("apns-expiration").parse().unwrap();
    assert!((now + 86_000..=now + 86_400).contains(&expires));
    let body = first.json();
    assert_eq!(body["aps"]["alert"], json!({ "title": "Ann", "body": "안녕 hello" }));
    assert_eq!((&body["aps"]["badge"], &body["aps"]["sound"]), (&json!(5), &json!("default")));
    assert_eq!((&body["maru"]["seq"], &body["maru"]["channel"]), (&json!("4"), &json!(job(0).1.to_string())));
    assert!(body["maru"].get("body").is_none() && first.body.len() <= 4096);
}

#[tokio::test]
async fn an_apns_that_speaks_http_1_is_not_called() {
    let authority = Authority::new();
    let peer = peer(authority.names("localhost", &["http/1.1"]), |_, _| says(200, &[], "")).await;
    let outbox = Outbox::new(
        Arc::new(Fake::default()),
        hooks(&[], &authority.believed()).with_apns(apns(&peer.url).0),
    );
    let answer = outbox.test(USER, Provider::Apns, &app(APPLE_DEVICE)).await;
    assert!(matches!(answer, Answer::Later { is_of_host: true, .. }), "{answer:?}");
    assert_eq!(peer.count(), 0);
}

#[tokio::test]
async fn what_apns_answers_is_what_becomes_of_the_job() {
    let is_retry = |outcome: &Outcome| matches!(outcome, Outcome::Retry { has_failed: true, .. });
    let cases: [Case<'_>; 9] = [
        (410, "Unregistered", &|outcome| *outcome == Outcome::Done, 1),
        (400, "BadDeviceToken", &|outcome| *outcome == Outcome::Done, 1),
        (400, "BadTopic", &|outcome| *outcome == Outcome::Park, 0),
        (413, "PayloadTooLarge", &|outcome| *outcome == Outcome::Park, 0),
        (429, "TooManyRequests", &is_retry, 0),
        (429, "TooManyProviderTokenUpdates", &is_retry, 0),
        (500, "InternalServerError", &is_retry, 0),
        (503, "ServiceUnavailable", &is_retry, 0),
        (403, "InvalidProviderToken", &is_retry, 0),
    ];
    for (status, reason, expected, gone) in cases {
        let body = json!({ "reason": reason, "timestamp": 1_454_948_015_990_u64 }).to_string();
        let peer = peer(world::Speaks::H2, move |_, _| says(status, &[], body.clone())).await;
        let fake = Arc::new(Fake::default());
        fake.put(job(1), facts(job(1), app(APPLE_DEVICE), Provider::Apns));
        let _outbox = start(&fake, hooks(&[], &world::no_tls()).with_apns(apns(&peer.url).0));
        until("an outcome", || !fake.outcomes().is_empty()).await;
        assert!(expected(&fake.outcomes()[0]), "{status} {reason}: {:?}", fake.outcomes());
        assert_eq!(fake.gone.lock().unwrap().len(), gone, "{status} {reason}");
        assert_eq!(peer.count(), 1, "{status} {reason}");
    }
}

#[tokio::test]
async fn a_provider_token_that_apns_calls_too_old_is_replaced_but_not_again_and_again() {
    let is_old = says(403, &[], r#"{"reason":"ExpiredProviderToken"}"#).into_parts();
    let (head, body) = is_old;
    let peer = peer(world::Speaks::H2, move |_, n| match n {
        // Refused at once, refused after 30 minutes, and then taken.
        0 | 1 => Says::from_parts(head.clone(), body.clone()),
        _ => says(200, &[], ""),
    })
    .await;
    let now = Arc::new(AtomicU64::new(world::system_ms()));
    let clock = now.clone();
    let outbox =
        Outbox::new(Arc::new(Fake::default()), hooks(&[], &world::no_tls()).with_apns(apns(&peer.url).0))
            .with_clock(Arc::new(move || clock.load(Ordering::SeqCst)));
    let tell = async || outbox.test(USER, Provider::Apns, &app(APPLE_DEVICE)).await;
    let answer = tell().await;
    assert!(
        matches!(answer, Answer::Later { is_of_host: true, .. }),
        "a token of now is not replaced: {answer:?}"
    );
    assert_eq!(peer.count(), 1);
    now.fetch_add(30 * 60_000, Ordering::SeqCst);
    assert_eq!(tell().await, Answer::Taken);
    let tokens: Vec<String> =
        peer.seen.lock().unwrap().iter().map(|seen| seen.header("authorization").to_owned()).collect();
    assert_eq!(tokens.len(), 3);
    assert!(tokens[0] == tokens[1] && tokens[1] != tokens[2]);
}

#[tokio::test]
async fn a_subscription_at_a_provider_without_an_account_is_parked_and_not_lost() {
    let fake = Arc::new(Fake::default());
    fake.put(job(1), facts(job(1), app(APPLE_DEVICE), Provider::Apns));
    fake.put(job(2), facts(job(2), app(GOOGLE_APP), Provider::Fcm));
    let _outbox = start(&fake, hooks(&[], &world::no_tls()));
    until("both have ended", || fake.outcomes().len() == 2).await;
    assert_eq!(fake.outcomes(), [Outcome::Park, Outcome::Park]);
    assert!(fake.gone.lock().unwrap().is_empty());
}
