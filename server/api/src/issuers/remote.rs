//! An issuer's keys at an address: fetched in the background and when no key that is there fits a token, kept while the
//! issuer is away.
//!
//! Nobody makes us a hammer: one fetch at a time, and for the sake of tokens one in a while at most. A fetch that was
//! begun is finished, whoever has gone meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use serde_json::Value;
use tokio::time::Instant;

use super::fetch::{self, Url};
use crate::jwt::fault::{Fault, Reason};
use crate::jwt::key::Checked;
use crate::jwt::{KeySet, Token, object};

/// Where an issuer's configuration is (OpenID Connect Discovery 1.0 section 4).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// Where the keys are said to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum At {
    /// Where the issuer's configuration says.
    Discovered(Url),
    /// There.
    Url(Url),
}

impl At {
    /// What the issuer's name leads to.
    pub(crate) fn discovered(issuer: &str) -> Result<Self, String> {
        Url::parse(&format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/'))).map(Self::Discovered)
    }

    pub(crate) fn url(&self) -> &Url {
        let (Self::Discovered(url) | Self::Url(url)) = self;
        url
    }
}

/// How long and how often.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pace {
    /// Fetched this often.
    pub(crate) refresh: Duration,
    /// Good for so long after the last good fetch.
    pub(crate) stale: Duration,
    /// No earlier for a token's sake, and the first wait after a failure.
    pub(crate) again: Duration,
}

/// The keys of one issuer.
pub(crate) struct Remote {
    issuer: String,
    at: At,
    tls: Option<Arc<ClientConfig>>,
    pace: Pace,
    state: Mutex<State>,
    /// Whoever holds it fetches.
    flight: Arc<tokio::sync::Mutex<()>>,
    good: AtomicU64,
    failed: AtomicU64,
}

#[derive(Default)]
struct State {
    keys: Option<(Arc<KeySet>, Instant)>,
    /// When the last fetch began, or has ended.
    tried: Option<Instant>,
    /// Fetches in a row that brought nothing.
    failures: u32,
}

impl State {
    fn usable(&self, stale: Duration, now: Instant) -> Option<Arc<KeySet>> {
        let (keys, since) = self.keys.as_ref()?;
        (now.saturating_duration_since(*since) < stale).then(|| keys.clone())
    }

    /// How long until another fetch may be made for a token.
    fn wait(&self, again: Duration, now: Instant) -> Duration {
        self.tried.map_or(Duration::ZERO, |tried| (tried + again).saturating_duration_since(now))
    }
}

/// What the metrics tell.
pub(crate) struct Counts {
    pub(crate) good: u64,
    pub(crate) failed: u64,
    pub(crate) keys: usize,
    /// Of the keys; `None`: there are none.
    pub(crate) age: Option<Duration>,
}

impl Remote {
    pub(crate) fn new(issuer: &str, at: At, tls: Option<Arc<ClientConfig>>, pace: Pace) -> Self {
        Self {
            issuer: issuer.to_owned(),
            at,
            tls,
            pace,
            state: Mutex::default(),
            flight: Arc::default(),
            good: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Whether the token is signed by a key of the issuer.
    pub(crate) async fn check(self: &Arc<Self>, token: &Token<'_>) -> Result<(), Fault> {
        if let Some(Ok(())) = self.look(token) {
            return Ok(());
        }
        // Also where a key of that name is known: there are issuers that change keys and not their names.
        self.fetch_for_a_token().await;
        if let Some(outcome) = self.look(token) {
            return outcome;
        }
        let now = Instant::now();
        let (is_known, wait) = {
            let state = self.state();
            (state.usable(self.pace.stale, now).is_some(), state.wait(self.pace.again, now))
        };
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        if is_known {
            let words = "it is signed with a key that its issuer does not publish";
            return Err(Fault::new(Reason::UnknownKey, words).again_after(wait_ms));
        }
        let words = "the keys of its issuer cannot be fetched now";
        Err(Fault::new(Reason::Unreachable, words).again_after(wait_ms))
    }

    /// `None`: no key that is here fits.
    fn look(&self, token: &Token<'_>) -> Option<Result<(), Fault>> {
        let keys = self.state().usable(self.pace.stale, Instant::now())?;
        match keys.check(token) {
            Checked::Good => Some(Ok(())),
            Checked::Forged => Some(Err(Fault::new(Reason::Forged, "the signature does not fit"))),
            Checked::NoKey => None,
        }
    }

    /// Fetches unless somebody has just done so. Returns when that is done.
    async fn fetch_for_a_token(self: &Arc<Self>) {
        let flight = self.flight.clone().lock_owned().await;
        if !self.state().wait(self.pace.again, Instant::now()).is_zero() {
            return;
        }
        let remote = self.clone();
        let fetching = tokio::spawn(async move {
            remote.fetch().await;
            drop(flight);
        });
        let _ = fetching.await;
    }

    /// Fetches again and again. Ends when it is dropped.
    pub(crate) async fn keep_fresh(self: Arc<Self>) {
        loop {
            let flight = self.flight.clone().lock_owned().await;
            self.fetch().await;
            drop(flight);
            tokio::time::sleep(self.pause()).await;
        }
    }

    fn pause(&self) -> Duration {
        let failures = self.state().failures;
        if failures == 0 { self.pace.refresh } else { backoff(self.pace, failures) }
    }

    async fn fetch(&self) {
        self.state().tried = Some(Instant::now());
        let fetched = self.fetched().await;
        // From its end: whoever has waited for a slow one does not begin another.
        self.state().tried = Some(Instant::now());
        match fetched {
            Ok(keys) => {
                self.good.fetch_add(1, Ordering::Relaxed);
                self.keep(keys);
            }
            Err(fault) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                let mut state = self.state();
                state.failures = state.failures.saturating_add(1);
                let has_keys = state.usable(self.pace.stale, Instant::now()).is_some();
                drop(state);
                tracing::warn!(issuer = self.issuer, %fault, has_keys, "an issuer's keys cannot be fetched");
            }
        }
    }

    fn keep(&self, keys: KeySet) {
        let mut state = self.state();
        let is_news = state.keys.as_ref().is_none_or(|(old, _)| old.kids() != keys.kids());
        if is_news || state.failures > 0 {
            tracing::info!(issuer = self.issuer, keys = ?keys, "an issuer's keys were fetched");
        }
        state.keys = Some((Arc::new(keys), Instant::now()));
        state.failures = 0;
    }

    async fn fetched(&self) -> Result<KeySet, String> {
        let url = match &self.at {
            At::Url(url) => url.clone(),
            At::Discovered(url) => self.discovered(url).await?,
        };
        let keys = fetch::get(&url, self.tls.as_ref()).await?;
        KeySet::parse(&keys).map_err(|fault| format!("{}: {fault}", url.text()))
    }

    async fn discovered(&self, url: &Url) -> Result<Url, String> {
        let refuse = |fault: String| format!("{}: {fault}", url.text());
        let document = fetch::get(url, self.tls.as_ref()).await?;
        let document = object(&document).map_err(refuse)?;
        let named = document.get("issuer").and_then(Value::as_str).unwrap_or_default();
        if named != self.issuer {
            return Err(refuse(format!("it is of {named:?}, not of {:?}", self.issuer)));
        }
        let keys = document.get("jwks_uri").and_then(Value::as_str);
        let keys =
            Url::parse(keys.ok_or_else(|| refuse("it has no \"jwks_uri\"".into()))?).map_err(refuse)?;
        if url.is_secure() && !keys.is_secure() {
            return Err(refuse(format!("its \"jwks_uri\" is {:?}; expected https", keys.text())));
        }
        Ok(keys)
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.state();
        Counts {
            good: self.good.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            keys: state.keys.as_ref().map_or(0, |(keys, _)| keys.len()),
            age: state.keys.as_ref().map(|(_, since)| since.elapsed()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Twice as long after each failure, up to the ordinary pace.
fn backoff(pace: Pace, failures: u32) -> Duration {
    let times = 1_u32.checked_shl(failures.saturating_sub(1)).filter(|times| *times < 1 << 16);
    times.map_or(pace.refresh, |times| pace.again.saturating_mul(times)).min(pace.refresh)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        refresh: Duration::from_secs(3600),
        stale: Duration::from_secs(86_400),
        again: Duration::from_secs(10),
    };

    #[test]
    fn keys_are_good_for_their_time() {
        let now = Instant::now();
        let keys = KeySet::parse(crate::jwt::tests::ED25519_SET.as_bytes()).unwrap();
        let mut state = State { keys: Some((Arc::new(keys), now)), ..State::default() };
        assert!(state.usable(PACE.stale, now + PACE.stale - Duration::from_millis(1)).is_some());
        assert!(state.usable(PACE.stale, now + PACE.stale).is_none());
        assert_eq!(state.wait(PACE.again, now), Duration::ZERO);
        state.tried = Some(now);
        assert_eq!(state.wait(PACE.again, now + Duration::from_secs(3)), Duration::from_secs(7));
        assert_eq!(state.wait(PACE.again, now + Duration::from_secs(10)), Duration::ZERO);
    }

    #[test]
    fn failures_slow_it_down() {
        let waits: Vec<u64> = [1, 2, 3, 9, 10, 40].map(|failures| backoff(PACE, failures).as_secs()).into();
        assert_eq!(waits, [10, 20, 40, 2560, 3600, 3600]);
    }
}
