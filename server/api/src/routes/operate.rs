//! For the operator: does it live, does it serve, what does it count.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use crate::error::ApiError;
use crate::server::Shared;

/// What the API counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    signups: AtomicU64,
    logins: AtomicU64,
    logins_failed: AtomicU64,
    logins_limited: AtomicU64,
    /// By code. As many as there are words in the source, none of a stranger's.
    refused: Mutex<BTreeMap<&'static str, u64>>,
    broken: AtomicU64,
}

impl Counters {
    pub(crate) fn signup(&self) {
        self.signups.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn login(&self) {
        self.logins.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn login_failed(&self) {
        self.logins_failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn login_limited(&self) {
        self.logins_limited.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was refused.
    pub(crate) fn refused(&self, code: &'static str) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(code).or_default() += 1;
    }

    /// A connection ended with an error: what came was not HTTP, or nothing came in time.
    pub(crate) fn broken(&self) {
        self.broken.fetch_add(1, Ordering::Relaxed);
    }

    fn text(&self, hashed: u64) -> String {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut text = format!(
            "# HELP maru_signups_total Accounts made over HTTP.\n# TYPE maru_signups_total counter\n\
             maru_signups_total {}\n\
             # HELP maru_logins_total Logins by outcome.\n# TYPE maru_logins_total counter\n\
             maru_logins_total{{outcome=\"good\"}} {}\n\
             maru_logins_total{{outcome=\"wrong\"}} {}\n\
             maru_logins_total{{outcome=\"limited\"}} {}\n\
             # HELP maru_passwords_hashed_total Passwords hashed, at 20 MiB and tens of milliseconds each.\n\
             # TYPE maru_passwords_hashed_total counter\n\
             maru_passwords_hashed_total {hashed}\n\
             # HELP maru_http_broken_total HTTP connections that ended with an error or in silence.\n\
             # TYPE maru_http_broken_total counter\n\
             maru_http_broken_total {}\n\
             # HELP maru_http_refused_total HTTP requests refused, by code.\n\
             # TYPE maru_http_refused_total counter\n",
            read(&self.signups),
            read(&self.logins),
            read(&self.logins_failed),
            read(&self.logins_limited),
            read(&self.broken),
        );
        for (code, count) in self.refused.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = writeln!(text, "maru_http_refused_total{{code=\"{code}\"}} {count}");
        }
        text
    }
}

/// The process lives and its control plane answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Every shard serves, none drains.
pub(crate) async fn readyz(State(api): State<Shared>) -> Result<&'static str, ApiError> {
    if api.homes.is_ready() {
        return Ok("ready\n");
    }
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", api.homes.waits_for().await))
}

pub(crate) async fn metrics(State(api): State<Shared>) -> impl IntoResponse {
    let text = api.homes.metrics().await + &api.counters.text(api.hasher.hashed());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
