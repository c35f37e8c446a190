//! For the operator: does it live, does it serve, what does it count.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::admin::{Owner, Watcher};
use crate::error::ApiError;
use crate::limits::Limit;
use crate::port::Audience;
use crate::server::Shared;

/// The server ends as by SIGTERM.
pub(crate) async fn drain(State(api): State<Shared>, Owner(by): Owner) -> StatusCode {
    tracing::info!(by_token = by, "an operator asks for the end");
    api.homes.drain();
    StatusCode::NO_CONTENT
}

/// Prometheus' text format.
pub(crate) const METRICS_MEDIA: &str = "text/plain; version=0.0.4; charset=utf-8";
/// When one who waits for the server may ask again, milliseconds.
const READY_RETRY_MS: u64 = 1000;

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

/// The process lives, its control plane answers and no shard stands still. It asks no shard, so it costs nothing.
pub(crate) async fn healthz(State(api): State<Shared>) -> Result<&'static str, ApiError> {
    match api.homes.stalled() {
        None => Ok("ok\n"),
        Some(_) => Err(stalled("a shard stands still; the log and the admin listener say which")),
    }
}

/// The same for operators, in words.
pub(crate) async fn healthz_in_words(State(api): State<Shared>) -> Result<&'static str, ApiError> {
    api.homes.stalled().map_or(Ok("ok\n"), |words| Err(stalled(words)))
}

fn stalled(words: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "stalled", words).after_ms(READY_RETRY_MS)
}

/// Every shard serves, none drains. For everybody: it asks no shard, so it costs nothing.
pub(crate) async fn readyz(State(api): State<Shared>) -> Result<&'static str, ApiError> {
    if api.homes.is_ready() {
        return Ok("ready\n");
    }
    let words = "the server starts or drains; the admin listener says what it waits for";
    Err(not_ready(words))
}

/// The same for operators, with what is waited for.
pub(crate) async fn readyz_in_words(State(api): State<Shared>) -> Result<&'static str, ApiError> {
    if api.homes.is_ready() {
        return Ok("ready\n");
    }
    Err(not_ready(api.homes.waits_for().await))
}

fn not_ready(words: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", words).after_ms(READY_RETRY_MS)
}

pub(crate) async fn metrics(State(api): State<Shared>) -> impl IntoResponse {
    let text = api.homes.metrics().await
        + &api.counters.text(api.hasher.hashed())
        + &audit_text(&api)
        + &limits_text(&api)
        + &api.settings.issuers.metrics()
        + &ports_text(&api);
    ([(header::CONTENT_TYPE, METRICS_MEDIA)], text)
}

pub(crate) async fn metrics_for_operators(_asks: Watcher, state: State<Shared>) -> impl IntoResponse {
    metrics(state).await
}

fn audit_text(api: &Shared) -> String {
    format!(
        "# HELP maru_audit_omitted_total Refusals that the audit did not tell: there were too many.\n\
         # TYPE maru_audit_omitted_total counter\n\
         maru_audit_omitted_total {}\n",
        api.audit_tap.omitted()
    )
}

fn limits_text(api: &Shared) -> String {
    let mut text = "# HELP maru_limit What each limit of the control plane lets through at once.\n\
                    # TYPE maru_limit gauge\n"
        .to_owned();
    for limit in Limit::ALL {
        let _ = writeln!(text, "maru_limit{{limit=\"{}\"}} {}", limit.label(), api.limiter.bound(limit));
    }
    text += "# HELP maru_limit_refused_total Requests and connections that a limit refused.\n\
             # TYPE maru_limit_refused_total counter\n";
    for limit in Limit::ALL {
        let _ = writeln!(
            text,
            "maru_limit_refused_total{{limit=\"{}\"}} {}",
            limit.label(),
            api.limiter.refused(limit)
        );
    }
    text
}

fn ports_text(api: &Shared) -> String {
    let ports = [(Audience::Public, &api.ports.public), (Audience::Admin, &api.ports.admin)];
    let counts = ports.map(|(audience, places)| (audience.label(), places.counts()));
    let heads = [
        ("maru_http_connections", "gauge", "HTTP connections now."),
        ("maru_http_gave_way_total", "counter", "HTTP connections that gave their place to another."),
        ("maru_http_cut_total", "counter", "HTTP connections cut because an exchange took too long."),
    ];
    let mut text = String::new();
    for (column, (name, kind, help)) in heads.into_iter().enumerate() {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for (label, counts) in counts {
            let _ = writeln!(text, "{name}{{port=\"{label}\"}} {}", counts.get(column).unwrap_or(&0));
        }
    }
    text
}
