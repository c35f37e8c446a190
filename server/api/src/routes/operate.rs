//! For the operator: does it live, does it serve, what does it count.

use std::sync::atomic::{AtomicU64, Ordering};

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

    fn text(&self) -> String {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        format!(
            "# HELP maru_signups_total Accounts made over HTTP.\n# TYPE maru_signups_total counter\n\
             maru_signups_total {}\n\
             # HELP maru_logins_total Logins by outcome.\n# TYPE maru_logins_total counter\n\
             maru_logins_total{{outcome=\"good\"}} {}\n\
             maru_logins_total{{outcome=\"wrong\"}} {}\n\
             maru_logins_total{{outcome=\"limited\"}} {}\n",
            read(&self.signups),
            read(&self.logins),
            read(&self.logins_failed),
            read(&self.logins_limited),
        )
    }
}

/// The process lives and its control plane answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Every shard serves, none drains.
pub(crate) async fn readyz(State(api): State<Shared>) -> Result<&'static str, ApiError> {
    if api.core.is_ready() {
        return Ok("ready\n");
    }
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", "the server starts or drains"))
}

pub(crate) async fn metrics(State(api): State<Shared>) -> impl IntoResponse {
    let text = api.core.metrics().await + &api.counters.text();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
