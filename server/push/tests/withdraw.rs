//! What was read elsewhere is withdrawn where it is shown: against peers that speak as the providers do.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::Version;
use protocol::commit::{Provider, ShownRow, SubscriptionRow, Target};
use protocol::query::PushFacts;
use protocol::{DeviceId, Seq};
use push::outbox::{JobId, Outbox, Outcome};
use serde_json::json;
use world::{
    APPLE_DEVICE, Authority, Fake, GOOGLE_APP, Peer, Seen, Speaks, USER, apns, app, facts, fcm, google, hook,
    hooks, job, no_tls, peer, run, says, start, until,
};

/// Shown there as far as message 4, and read.
fn read(job: JobId, row: SubscriptionRow, provider: Provider) -> PushFacts {
    let facts = facts(job, row, provider);
    let targets = facts.subscriptions.iter().map(|(device, provider, _)| (*device, *provider)).collect();
    let shown = ShownRow { seq: Seq(4), time_ms: 9, is_read: true, targets };
    PushFacts { job: None, message: None, read: Seq(4), shown: Some(shown), ..facts }
}

fn messages(peer: &Peer) -> Vec<Seen> {
    peer.seen.lock().unwrap().iter().filter(|seen| seen.path != "/token").cloned().collect()
}

fn withdrawn(fake: &Fake) -> usize {
    fake.withdrawn.lock().unwrap().len()
}

#[tokio::test]
async fn an_app_on_android_is_told_by_data_alone_which_nobody_sees() {
    let peer = peer(Speaks::H1, google(3600, |_, _| says(200, &[], "{}"))).await;
    let fake = Arc::new(Fake::default());
    fake.put(job(1), facts(job(1), app(GOOGLE_APP), Provider::Fcm));
    let (outbox, bell) = start(&fake, hooks(&[], &no_tls()).with_fcm(fcm(&peer.url)));
    until("it is told", || fake.outcomes() == [Outcome::Done]).await;
    let taken = fake.taken.lock().unwrap().clone();
    assert_eq!(
        taken,
        [(job(1), Seq(4), vec![(world::DEVICE, Provider::Fcm)])],
        "its home hears who shows it"
    );
    fake.put(job(1), read(job(1), app(GOOGLE_APP), Provider::Fcm));
    bell.ring(job(1));
    until("it is withdrawn", || withdrawn(&fake) == 1).await;
    let sent = messages(&peer);
    assert_eq!(sent.len(), 2);
    let (shown, gone) = (sent[0].json()["message"].clone(), sent[1].json()["message"].clone());
    assert!(gone.get("notification").is_none() && gone["android"].get("notification").is_none());
    assert_eq!(gone["token"], GOOGLE_APP);
    let data = json!({
        "v": "1", "event": "push.withdrawn", "withdrawn": "true", "user": USER.to_string(), "channel": job(1).1.to_string(),
        "seq": "4", "badge": "5",
    });
    assert_eq!(gone["data"], data);
    assert_eq!(gone["android"]["collapse_key"], shown["android"]["collapse_key"]);
    assert_eq!(gone["android"]["priority"], "NORMAL");
    assert_eq!(gone["apns"]["headers"]["apns-push-type"], "background");
    // Nothing is left to do, however often somebody says that there is.
    bell.ring(job(1));
    until("the figures", || outbox.figures().withdrawn.load(Ordering::Relaxed) == 1).await;
    assert_eq!((messages(&peer).len(), withdrawn(&fake)), (2, 1));
}

#[tokio::test]
async fn an_app_on_ios_is_told_in_the_background_and_takes_no_message_out_of_its_place() {
    let authority = Authority::new();
    let peer = peer(authority.names("localhost", &["h2"]), |_, _| says(200, &[], "")).await;
    let fake = Arc::new(Fake::default());
    fake.put(job(1), read(job(1), app(APPLE_DEVICE), Provider::Apns));
    let senders = hooks(&[], &authority.believed()).with_apns(apns(&peer.url).0);
    // Nobody tells of it: a process that has just begun reads what is to be withdrawn.
    let _outbox = start(&fake, senders);
    until("it is withdrawn", || withdrawn(&fake) == 1).await;
    let sent = messages(&peer);
    assert_eq!((sent.len(), sent[0].version), (1, Version::HTTP_2));
    assert_eq!(
        (
            sent[0].header("apns-push-type"),
            sent[0].header("apns-priority"),
            sent[0].header("apns-expiration")
        ),
        ("background", "5", "0")
    );
    assert!(sent[0].headers.get("apns-collapse-id").is_none());
    let body = sent[0].json();
    assert_eq!(body["aps"], json!({ "content-available": 1 }));
    assert_eq!((&body["maru"]["event"], &body["maru"]["seq"]), (&json!("push.withdrawn"), &json!("4")));
}

#[tokio::test]
async fn a_browser_is_not_told_and_who_took_nothing_neither() {
    let peer = peer(Speaks::H1, |_, _| says(201, &[], "")).await;
    let fake = Arc::new(Fake::default());
    let row = SubscriptionRow { endpoint: format!("{}/wpush/v2/x", peer.url), ..SubscriptionRow::default() };
    fake.put(job(1), read(job(1), row, Provider::WebPush));
    let mut facts = read(job(2), hook(&peer.url), Provider::Webhook);
    facts.shown.as_mut().unwrap().targets = vec![(DeviceId(99), Provider::Webhook)];
    fake.put(job(2), facts);
    // One that was read no further than what is shown.
    let mut facts = read(job(3), hook(&peer.url), Provider::Webhook);
    facts.read = Seq(3);
    fake.put(job(3), facts);
    let _outbox = start(&fake, hooks(&[&peer.url], &no_tls()));
    until("nothing is left", || withdrawn(&fake) == 3).await;
    assert_eq!(peer.count(), 0);
}

#[tokio::test]
async fn a_withdrawal_that_fails_is_tried_again_and_given_up_in_the_end() {
    let peer = peer(Speaks::H1, |_, _| says(503, &[], "")).await;
    let fake = Arc::new(Fake::default());
    fake.put(job(1), read(job(1), hook(&peer.url), Provider::Webhook));
    let now = Arc::new(AtomicU64::new(world::system_ms()));
    let clock = now.clone();
    let outbox = Outbox::new(fake.clone(), hooks(&[&peer.url], &no_tls()));
    let (outbox, bell) = run(outbox.with_clock(Arc::new(move || clock.load(Ordering::SeqCst))));
    for attempt in 1..=usize::from(carry::WITHDRAW_ATTEMPTS_MAX) {
        until("it is tried", || peer.count() == attempt).await;
        let failed = || outbox.figures().withdrawals_failed.load(Ordering::Relaxed) == attempt as u64;
        until("it has failed", failed).await;
        until("it waits", || outbox.calls(Provider::Webhook) == 0).await;
        now.fetch_add(3_600_000, Ordering::SeqCst);
        bell.ring(job(1));
    }
    until("it is given up", || withdrawn(&fake) == 1).await;
    let ids: Vec<String> = messages(&peer).iter().map(|seen| seen.header("webhook-id").to_owned()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "one name for all attempts: {ids:?}");
}

#[tokio::test]
async fn a_newer_message_goes_first_and_takes_the_place_of_the_withdrawal() {
    let peer = peer(Speaks::H1, |_, _| says(204, &[], "")).await;
    let fake = Arc::new(Fake::default());
    let shown = read(job(1), hook(&peer.url), Provider::Webhook);
    let mut both = facts(job(1), hook(&peer.url), Provider::Webhook);
    both.job.as_mut().unwrap().seq = Seq(5);
    (both.read, both.shown) = (Seq(4), shown.shown);
    fake.put(job(1), both);
    let _outbox = start(&fake, hooks(&[&peer.url], &no_tls()));
    until("both are done", || fake.outcomes() == [Outcome::Done] && withdrawn(&fake) == 1).await;
    let bodies: Vec<_> = messages(&peer).iter().map(Seen::json).collect();
    assert_eq!((&bodies[0]["seq"], bodies[0].get("event")), (&json!("5"), None));
    assert_eq!((&bodies[1]["seq"], &bodies[1]["event"]), (&json!("4"), &json!("push.withdrawn")));
    let targets: Vec<Target> = fake.taken.lock().unwrap()[0].2.clone();
    assert_eq!(targets, [(world::DEVICE, Provider::Webhook)]);
}

#[tokio::test]
async fn without_withdrawals_nobody_is_told_and_nothing_is_remembered() {
    let peer = peer(Speaks::H1, |_, _| says(204, &[], "")).await;
    let fake = Arc::new(Fake::default());
    fake.put(job(1), read(job(1), hook(&peer.url), Provider::Webhook));
    fake.put(job(2), facts(job(2), hook(&peer.url), Provider::Webhook));
    let outbox = Outbox::new(fake.clone(), hooks(&[&peer.url], &no_tls()));
    let _outbox = run(outbox.without_withdrawals());
    until("both are done", || fake.outcomes() == [Outcome::Done] && withdrawn(&fake) == 1).await;
    assert_eq!(messages(&peer).len(), 1);
    assert!(fake.taken.lock().unwrap().iter().all(|(.., taken)| taken.is_empty()));
}
