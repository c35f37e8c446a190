//! Peers that misbehave, each with its documented outcome (docs/operations.md, Push), for callers by HTTP/1.1 and by HTTP/2.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../../tests/e2e/ports.rs"]
mod ports;
mod world;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::commit::Provider;
use protocol::query::PushFacts;
use push::call::Answer;
use push::limits::{AT_A_HOST, AT_A_PROVIDER, HOST_FAILURES_MAX};
use push::outbox::{JobId, Outbox, Outcome};
use push::senders::Senders;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use world::{
    APPLE_DEVICE, Authority, Fake, GOOGLE_APP, Peer, Says, Seen, Speaks, USER, apns, app, fcm, google, hook,
    hooks, job, no_tls, peer, says, start, until,
};

/// Long enough for what answers, however busy the machine.
const PATIENT: Duration = Duration::from_secs(600);
/// For what never answers.
const HASTY: Duration = Duration::from_millis(300);
/// Those of whom the host is called as it is, without TLS.
const ALL: [Provider; 3] = [Provider::Webhook, Provider::Fcm, Provider::Apns];

/// Senders to a provider that is there.
fn senders(provider: Provider, url: &str, wait: Duration) -> Senders {
    let senders = hooks(&[url], &no_tls()).with_call_wait(wait);
    match provider {
        Provider::Fcm => senders.with_fcm(fcm(url)),
        Provider::Apns => senders.with_apns(apns(url).0),
        Provider::WebPush | Provider::Webhook => senders,
    }
}

fn speaks(provider: Provider) -> Speaks {
    if provider == Provider::Apns { Speaks::H2 } else { Speaks::H1 }
}

fn facts(provider: Provider, url: &str, id: JobId) -> PushFacts {
    let row = match provider {
        Provider::Fcm => app(GOOGLE_APP),
        Provider::Apns => app(APPLE_DEVICE),
        Provider::WebPush | Provider::Webhook => hook(url),
    };
    world::facts(id, row, provider)
}

/// The outcome of one job.
async fn outcome(provider: Provider, url: &str, senders: Senders) -> Outcome {
    let fake = Arc::new(Fake::default());
    fake.put(job(1), facts(provider, url, job(1)));
    let _outbox = start(&fake, senders);
    until("an outcome", || !fake.outcomes().is_empty()).await;
    fake.outcomes()[0].clone()
}

fn is_retry(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Retry { has_failed: true, .. })
}

/// What the script says to every call, with tokens for those who want one first.
fn always(
    answer: impl Fn() -> Says + Send + Sync + 'static,
) -> impl Fn(&Seen, usize) -> Says + Send + Sync + 'static {
    google(3600, move |_, _| answer())
}

#[tokio::test]
async fn too_much_is_tried_again_no_sooner_than_the_provider_says_in_seconds_or_as_a_date() {
    for provider in ALL {
        for status in [429, 503] {
            let date = jiff::Timestamp::from_millisecond(world::system_ms() as i64 + 1_000_000).unwrap();
            let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).unwrap();
            for (value, least_ms) in [("900".to_owned(), 900_000), (date, 900_000), ("0".into(), 2500)] {
                let said = value.clone();
                let script = always(move || says(status, &[("retry-after", &said)], ""));
                let peer = peer(speaks(provider), script).await;
                let before = world::system_ms();
                let outcome = outcome(provider, &peer.url, senders(provider, &peer.url, PATIENT)).await;
                let Outcome::Retry { at_ms, has_failed: true, .. } = outcome else { panic!("{outcome:?}") };
                assert!(at_ms >= before + least_ms, "{provider:?} {status} {value}");
                assert!(at_ms <= world::system_ms() + 1_300_000, "{provider:?} {status} {value}");
            }
        }
    }
}

#[tokio::test]
async fn a_server_error_and_a_proxy_in_between_are_tried_again() {
    for provider in ALL {
        for status in [500, 502, 504, 599] {
            let peer = peer(speaks(provider), always(move || says(status, &[], "<html>oh"))).await;
            let outcome = outcome(provider, &peer.url, senders(provider, &peer.url, PATIENT)).await;
            assert!(is_retry(&outcome), "{provider:?} {status}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn a_redirect_is_refused_and_the_place_it_names_is_not_called() {
    for provider in ALL {
        for status in [301, 302, 307, 308] {
            let elsewhere = peer(speaks(provider), |_, _| says(200, &[], "")).await;
            let place = elsewhere.url.clone();
            let peer =
                peer(speaks(provider), always(move || says(status, &[("location", &place)], ""))).await;
            let outcome = outcome(provider, &peer.url, senders(provider, &peer.url, PATIENT)).await;
            assert_eq!(outcome, Outcome::Park, "{provider:?} {status}");
            assert_eq!(elsewhere.connections.load(Ordering::SeqCst), 0, "{provider:?} {status}");
        }
    }
}

/// Reads one request of HTTP/1.1.
async fn read_request(stream: &mut TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let mut body = vec![0; length.parse().ok()?];
    stream.read_exact(&mut body).await.ok().map(|_| ())
}

#[tokio::test]
async fn a_head_says_what_became_of_it_though_its_body_never_ends() {
    for (status, is_good) in [("201 Created", true), ("503 Busy", false)] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await.unwrap();
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: 1000\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            // A byte now and then, for ever: it never is too long, and never at its end.
            while stream.write_all(b".").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        let outcome = outcome(Provider::Webhook, &url, senders(Provider::Webhook, &url, PATIENT)).await;
        assert_eq!(outcome == Outcome::Done, is_good, "{status}: {outcome:?}");
        assert_eq!(is_retry(&outcome), !is_good, "{status}: {outcome:?}");
    }
}

const HUGE: usize = 100 << 20;

#[tokio::test]
async fn of_a_body_of_100_mb_next_to_nothing_is_read() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (written, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, end) = (written.clone(), ended.clone());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await.unwrap();
        let head = format!("HTTP/1.1 201 Created\r\ncontent-length: {HUGE}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        while count.load(Ordering::SeqCst) < HUGE
            && let Ok(more) = stream.write(&[b'x'; 65_536]).await
        {
            count.fetch_add(more, Ordering::SeqCst);
        }
        end.store(true, Ordering::SeqCst);
    });
    let told = outcome(Provider::Webhook, &url, senders(Provider::Webhook, &url, PATIENT)).await;
    assert_eq!(told, Outcome::Done);
    until("the connection is closed", || ended.load(Ordering::SeqCst)).await;
    // What lies in the buffers of both sockets, at most.
    assert!(written.load(Ordering::SeqCst) < HUGE / 4, "{}", written.load(Ordering::SeqCst));

    for (status, is_good) in [(200, true), (500, false)] {
        let peer = peer(Speaks::H2, move |_, _| says(status, &[], vec![b'x'; HUGE])).await;
        let told = outcome(Provider::Apns, &peer.url, senders(Provider::Apns, &peer.url, PATIENT)).await;
        assert_eq!((told == Outcome::Done, is_retry(&told)), (is_good, !is_good), "{told:?}");
    }
}

#[tokio::test]
async fn a_head_without_an_end_is_not_read_for_ever() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 201 Created\r\n").await;
            while stream.write_all(b"x-more: and more and more and more\r\n").await.is_ok() {}
        }
    });
    let told = outcome(Provider::Webhook, &url, senders(Provider::Webhook, &url, PATIENT)).await;
    assert!(is_retry(&told), "{told:?}");
}

#[tokio::test]
async fn who_hangs_after_accept_is_given_up_and_tried_again() {
    for provider in ALL {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let mut all = Vec::new();
            loop {
                all.push(listener.accept().await.unwrap());
            }
        });
        let told = outcome(provider, &url, senders(provider, &url, HASTY)).await;
        assert!(is_retry(&told), "{provider:?}: {told:?}");
    }
}

#[tokio::test]
async fn who_speaks_something_else_or_listens_no_more_is_tried_again() {
    for provider in ALL {
        for words in [&b"220 mail.example.org ESMTP\r\n"[..], b"", &[0xff; 64]] {
            let listener = TcpListener::bind(ports::own("127.0.0.1:0")).await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let serves = tokio::spawn(async move {
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let _ = stream.write_all(words).await;
                }
            });
            let told = outcome(provider, &url, senders(provider, &url, PATIENT)).await;
            assert!(is_retry(&told), "{provider:?} {words:?}: {told:?}");
            serves.abort();
            let _ = serves.await;
            let told = outcome(provider, &url, senders(provider, &url, PATIENT)).await;
            assert!(is_retry(&told), "{provider:?}, nobody listens: {told:?}");
        }
    }
}

/// A wire between a caller and a peer, which can be cut and can die without a word.
#[derive(Clone)]
struct Wire {
    url: String,
    /// Connections that pass nothing any more.
    frozen: Arc<Mutex<usize>>,
    made: Arc<AtomicUsize>,
    cut: Arc<Notify>,
}

impl Wire {
    async fn to(peer: &Peer) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let wire = Self { url, frozen: Arc::default(), made: Arc::default(), cut: Arc::default() };
        let (own, to) = (wire.clone(), peer.url.strip_prefix("http://").unwrap().to_owned());
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let n = own.made.fetch_add(1, Ordering::SeqCst);
                let far = TcpStream::connect(&to).await.unwrap();
                tokio::spawn(own.clone().pass(n, near, far));
            }
        });
        wire
    }

    async fn pass(self, n: usize, mut near: TcpStream, mut far: TcpStream) {
        let (mut up, mut down) = ([0; 4096], [0; 4096]);
        loop {
            let (bytes, is_up) = tokio::select! {
                () = self.cut.notified() => {
                    near.set_zero_linger().unwrap();
                    return;
                }
                read = near.read(&mut up) => (read, true),
                read = far.read(&mut down) => (read, false),
            };
            let Ok(bytes @ 1..) = bytes else { return };
            if n < *self.frozen.lock().unwrap() {
                // It still is there, and nothing comes out of it.
                std::future::pending::<()>().await;
            }
            let passed =
                if is_up { far.write_all(&up[..bytes]).await } else { near.write_all(&down[..bytes]).await };
            if passed.is_err() {
                return;
            }
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_reset_behind_the_request_is_tried_again_under_the_same_name() {
    for provider in ALL {
        let cut: Arc<Mutex<Option<Arc<Notify>>>> = Arc::default();
        let (own, resets) = (cut.clone(), AtomicBool::new(true));
        let script = google(3600, move |_, _| {
            if resets.swap(false, Ordering::SeqCst) {
                own.lock().unwrap().as_ref().unwrap().notify_waiters();
            }
            says(200, &[], "")
        });
        let peer = peer(speaks(provider), script).await;
        let wire = Wire::to(&peer).await;
        *cut.lock().unwrap() = Some(wire.cut.clone());
        let fake = Arc::new(Fake::default());
        fake.put(job(1), facts(provider, &wire.url, job(1)));
        let (_outbox, bell) = start(&fake, senders(provider, &wire.url, PATIENT));
        until("the first", || fake.outcomes().len() == 1).await;
        assert!(is_retry(&fake.outcomes()[0]), "{provider:?}: {:?}", fake.outcomes());
        // The job's time has come.
        bell.ring(job(1));
        until("the second", || fake.outcomes().len() == 2).await;
        assert_eq!(fake.outcomes()[1], Outcome::Done, "{provider:?}");
        let seen = peer.seen.lock().unwrap();
        let pushes: Vec<&Seen> = seen.iter().filter(|seen| seen.path != "/token").collect();
        assert_eq!(pushes.len(), 2, "{provider:?}: it was taken, and nobody can know that here");
        let name = |seen: &Seen| match provider {
            Provider::Fcm => seen.json()["message"]["android"]["collapse_key"].to_string(),
            Provider::Apns => seen.header("apns-collapse-id").to_owned(),
            Provider::WebPush | Provider::Webhook => seen.header("webhook-id").to_owned(),
        };
        assert_eq!(name(pushes[0]), name(pushes[1]), "{provider:?}: so that the repeat replaces it");
    }
}

#[tokio::test]
async fn a_kept_connection_that_is_half_open_costs_one_call_and_not_those_behind_it() {
    for provider in ALL {
        let peer = peer(speaks(provider), always(|| says(200, &[], ""))).await;
        let wire = Wire::to(&peer).await;
        // Longer than a ping takes to find it, and no longer than what a call of HTTP/1.1 waits in vain.
        let wait = if provider == Provider::Apns { PATIENT } else { Duration::from_secs(5) };
        let outbox = Outbox::new(Arc::new(Fake::default()), senders(provider, &wire.url, wait));
        let (_, row) = {
            let facts = facts(provider, &wire.url, job(1));
            let (_, provider, row) = facts.subscriptions[0].clone();
            (provider, row)
        };
        let tell = async || outbox.test(USER, provider, &row).await;
        assert_eq!(tell().await, Answer::Taken, "{provider:?}");
        let made = wire.made.load(Ordering::SeqCst);
        *wire.frozen.lock().unwrap() = made;
        let answer = tell().await;
        assert!(matches!(answer, Answer::Later { is_of_host: true, .. }), "{provider:?}: {answer:?}");
        assert_eq!(wire.made.load(Ordering::SeqCst), made, "{provider:?}: on the connection that was kept");
        let mut answer = tell().await;
        // What a busy machine makes of five seconds is no fault.
        for _ in 0..5 {
            if answer != Answer::Taken {
                answer = tell().await;
            }
        }
        assert_eq!(answer, Answer::Taken, "{provider:?}: on a new one");
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_or_name_is_not_talked_to() {
    let (good, bad) = (Authority::new(), Authority::new());
    for (authority, name) in [(&bad, "localhost"), (&good, "push.example.org")] {
        for provider in ALL {
            let peer = peer(authority.names(name, &["h2", "http/1.1"]), always(|| says(200, &[], ""))).await;
            let senders =
                hooks(&[&peer.url], &good.believed()).with_fcm(fcm(&peer.url)).with_apns(apns(&peer.url).0);
            let told = outcome(provider, &peer.url, senders).await;
            assert!(is_retry(&told), "{provider:?} {name}: {told:?}");
            assert_eq!(peer.count(), 0, "{provider:?} {name}");
        }
    }
    let peer = peer(good.names("localhost", &["h2", "http/1.1"]), |_, _| says(200, &[], "")).await;
    let told = outcome(Provider::Webhook, &peer.url, hooks(&[&peer.url], &good.believed())).await;
    assert_eq!(told, Outcome::Done, "and one that is right is");
}

/// Accepts and never says a word, at so many ports.
async fn silent(ports: usize) -> (Vec<String>, Arc<AtomicUsize>) {
    let (mut urls, accepted) = (Vec::new(), Arc::new(AtomicUsize::new(0)));
    for _ in 0..ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        urls.push(format!("http://{}", listener.local_addr().unwrap()));
        let count = accepted.clone();
        tokio::spawn(async move {
            let mut all = Vec::new();
            loop {
                all.push(listener.accept().await.unwrap());
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    (urls, accepted)
}

#[tokio::test]
async fn a_provider_that_hangs_holds_no_job_of_another() {
    let (urls, _) = silent(2 * AT_A_PROVIDER / AT_A_HOST).await;
    let google = peer(Speaks::H1, always(|| says(200, &[], ""))).await;
    let fake = Arc::new(Fake::default());
    // Far more jobs of hooks that hang than there are places for jobs.
    let mut n = 0;
    for url in &urls {
        for _ in 0..100 {
            fake.put(job(n), facts(Provider::Webhook, url, job(n)));
            n += 1;
        }
    }
    let allowed: Vec<&str> = urls.iter().map(String::as_str).collect();
    let senders = hooks(&allowed, &no_tls()).with_fcm(fcm(&google.url)).with_call_wait(PATIENT);
    let (outbox, bell) = start(&fake, senders);
    until("hooks hold all that they may", || outbox.calls(Provider::Webhook) == AT_A_PROVIDER).await;
    for app in n..n + 100 {
        fake.put(job(app), facts(Provider::Fcm, "", job(app)));
        bell.ring(job(app));
    }
    until("the others are told", || fake.outcomes().len() == 100).await;
    assert!(fake.outcomes().iter().all(|outcome| *outcome == Outcome::Done));
    assert_eq!(outbox.calls(Provider::Webhook), AT_A_PROVIDER);
}

#[tokio::test]
async fn a_subscription_that_hangs_holds_back_no_other_of_its_user() {
    let (urls, _) = silent(1).await;
    let google = peer(Speaks::H1, always(|| says(200, &[], ""))).await;
    let fake = Arc::new(Fake::default());
    let mut both = facts(Provider::Webhook, &urls[0], job(1));
    both.subscriptions.extend(facts(Provider::Fcm, "", job(1)).subscriptions);
    fake.put(job(1), both);
    let senders = hooks(&[&urls[0]], &no_tls()).with_fcm(fcm(&google.url)).with_call_wait(PATIENT);
    let (outbox, _bell) = start(&fake, senders);
    until("the app is told", || outbox.figures().of(Provider::Fcm).sent.load(Ordering::SeqCst) == 1).await;
    assert_eq!(outbox.calls(Provider::Webhook), 1);
}

#[tokio::test]
async fn a_host_that_hangs_is_left_alone_after_some_calls() {
    let (urls, accepted) = silent(1).await;
    let fake = Arc::new(Fake::default());
    for n in 0..200 {
        fake.put(job(n), facts(Provider::Webhook, &urls[0], job(n)));
    }
    fake.keeps_times.store(true, Ordering::SeqCst);
    let now = world::system_ms();
    let outbox = Outbox::new(fake.clone(), senders(Provider::Webhook, &urls[0], HASTY));
    // Time stands still, so that its rest does not end here.
    let (outbox, _bell) = world::run(outbox.with_clock(Arc::new(move || now)));
    until("it rests", || outbox.resting() == 1 && outbox.calls(Provider::Webhook) == 0).await;
    let most = AT_A_HOST + HOST_FAILURES_MAX as usize;
    assert!(accepted.load(Ordering::SeqCst) <= most, "{}", accepted.load(Ordering::SeqCst));
    until("the others wait in memory", || outbox.figures().waiting.load(Ordering::SeqCst) == 200).await;
    assert!(fake.outcomes().len() <= most);
}

#[tokio::test]
async fn who_waits_for_room_gets_it_when_there_is_some() {
    // Four times as many as have room, none of which looks again by itself for half a minute.
    let peer = peer(Speaks::H1, |_, _| says(200, &[], "")).await;
    let fake = Arc::new(Fake::default());
    for n in 0..400 {
        fake.put(job(n), facts(Provider::Webhook, &peer.url, job(n)));
    }
    let now = world::system_ms();
    let outbox = Outbox::new(fake.clone(), senders(Provider::Webhook, &peer.url, PATIENT));
    let (_outbox, _bell) = world::run(outbox.with_clock(Arc::new(move || now)));
    until("all are told", || fake.outcomes().len() == 400).await;
    assert!(fake.outcomes().iter().all(|outcome| *outcome == Outcome::Done));
    assert_eq!(peer.count(), 400);
    // Connections are kept: no more than have room at a time, and some that were closed meanwhile.
    assert!(peer.connections.load(Ordering::SeqCst) < 100, "{}", peer.connections.load(Ordering::SeqCst));
}
