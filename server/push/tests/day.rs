//! A provider that is down for a day, by a clock that the test moves: what waits is bounded by age, the provider is hardly called, and
//! what is young enough is told once it is back.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use protocol::commit::Provider;
use push::limits::RETRY_MAX;
use push::outbox::{Outbox, Outcome};
use world::{Fake, Speaks, facts, hook, hooks, job, no_tls, peer, run, says, until};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const OLD: u64 = 40;
const YOUNG: u64 = 10;

#[tokio::test]
async fn a_provider_that_is_down_for_a_day() {
    let is_down = Arc::new(AtomicBool::new(true));
    let down = is_down.clone();
    let peer =
        peer(Speaks::H1, move |_, _| says(if down.load(Ordering::SeqCst) { 503 } else { 200 }, &[], ""))
            .await;
    let fake = Arc::new(Fake::default());
    fake.keeps_times.store(true, Ordering::SeqCst);
    let began = world::system_ms();
    let put = |n: u64, at_ms: u64| {
        let mut facts = facts(job(n), hook(&peer.url), Provider::Webhook);
        facts.job.as_mut().unwrap().time_ms = at_ms;
        fake.put(job(n), facts);
    };
    (0..OLD).for_each(|n| put(n, began));
    let now = Arc::new(AtomicU64::new(began));
    let clock = now.clone();
    let outbox = Outbox::new(fake.clone(), hooks(&[&peer.url], &no_tls()));
    let (outbox, bell) = run(outbox.with_clock(Arc::new(move || clock.load(Ordering::SeqCst))));
    // Nothing is due: everything waits for its own time, or for its host's.
    let settled = || {
        let now = now.load(Ordering::SeqCst);
        let waits = fake
            .facts
            .lock()
            .unwrap()
            .values()
            .all(|facts| facts.job.as_ref().is_none_or(|job| job.is_parked || job.retry_at_ms > now));
        outbox.calls(Provider::Webhook) == 0 && (waits || outbox.resting() == 1)
    };
    // No such job: it only wakes the outbox, which looks at its clock then.
    let wake = || bell.ring(job(9999));
    until("the first calls", settled).await;
    while now.load(Ordering::SeqCst) < began + 24 * HOUR_MS - MINUTE_MS {
        now.fetch_add(10 * MINUTE_MS, Ordering::SeqCst);
        if now.load(Ordering::SeqCst) == began + 20 * HOUR_MS {
            for n in OLD..OLD + YOUNG {
                put(n, began + 20 * HOUR_MS);
                bell.ring(job(n));
            }
        }
        wake();
        until("nothing is due", settled).await;
    }
    let figures = outbox.figures();
    let load = |figure: &AtomicU64| figure.load(Ordering::SeqCst);
    assert_eq!(load(&figures.of(Provider::Webhook).sent), 0);
    let calls = peer.count() as u64;
    // The host is left alone: without that, each of forty jobs would have called it every hour.
    assert!(calls < OLD * 24, "{calls}");
    assert_eq!(load(&figures.of(Provider::Webhook).failed), calls);

    is_down.store(false, Ordering::SeqCst);
    // Every wait is over then, and the old ones are too old.
    let most = u64::try_from(RETRY_MAX.as_millis()).unwrap();
    now.store(began + 24 * HOUR_MS + 2 * most, Ordering::SeqCst);
    until("all have ended", || {
        wake();
        fake.facts.lock().unwrap().values().all(|facts| facts.job.as_ref().is_none_or(|job| job.is_parked))
    })
    .await;
    let parked = fake.facts.lock().unwrap().values().filter(|facts| facts.job.is_some()).count() as u64;
    assert_eq!(load(&figures.expired) + parked, OLD, "old ones end by their age, or by their attempts");
    assert_eq!(load(&figures.of(Provider::Webhook).sent), YOUNG, "and young ones are told");
    assert_eq!(
        fake.outcomes().iter().filter(|outcome| **outcome == Outcome::Done).count() as u64,
        OLD - parked + YOUNG
    );
    until("nothing waits in memory", || {
        wake();
        load(&figures.waiting) == 0
    })
    .await;
}
