//! The HTTP server: listening, limits on connections and requests, graceful end.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::accounts::{Accounts, Lifetimes};
use crate::admin_token::AdminToken;
use crate::error::{ApiError, RefusalCode};
use crate::homes::Homes;
use crate::keys::Keys;
use crate::limiter::Limiter;
use crate::password::Hasher;
use crate::routes::{self, Counters};
use crate::tls::Stream;
use crate::turns::Turns;

/// Connections at a time; one above waits to be accepted.
const CONNECTIONS_MAX: usize = 1024;
/// A request's head must be whole after so long, the first of a connection and each later one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// A request, its body included, is answered after so long or given up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// What is under way may end within so long after the end was asked for.
const GRACE: Duration = Duration::from_secs(5);
/// After an error of accept (no descriptors left, most likely).
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Where a login tells a device to connect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChatUrl {
    /// Always there.
    Fixed(String),
    /// At the host that the request named, on this port.
    Port(u16),
    /// The same with TLS.
    SecurePort(u16),
}

/// Who may make an account for themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signup {
    /// Anybody.
    Open,
    /// Whoever has an invite.
    Invite,
    /// Nobody: the operator makes accounts.
    Closed,
}

/// What an operator may set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where devices connect.
    pub chat_url: ChatUrl,
    /// How long an access token is valid, milliseconds.
    pub token_ms: u64,
    /// How long refresh tokens and logins last.
    pub lifetimes: Lifetimes,
    /// Devices of one account.
    pub devices_max: u32,
    /// Passwords hashed at a time.
    pub hashers: usize,
    /// Who may sign up.
    pub signup: Signup,
    /// Open invites that a user may have; 0: only the operator invites.
    pub user_invites: u32,
}

/// What the API is made of.
pub struct Parts {
    /// The relational side.
    pub accounts: Accounts,
    /// Signing keys.
    pub keys: Keys,
    /// The operator's.
    pub admin: AdminToken,
    /// The data plane.
    pub homes: Arc<dyn Homes>,
    /// What an operator set.
    pub settings: Settings,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The API, ready to serve. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    pub(crate) shared: Shared,
    tls: Option<Arc<rustls::ServerConfig>>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

/// What every request sees.
pub(crate) type Shared = Arc<Inner>;

pub(crate) struct Inner {
    pub(crate) accounts: Accounts,
    pub(crate) keys: Keys,
    pub(crate) admin: AdminToken,
    pub(crate) homes: Arc<dyn Homes>,
    pub(crate) settings: Settings,
    pub(crate) hasher: Hasher,
    pub(crate) limiter: Limiter,
    /// Of its own, so that strangers who fill the other cannot make it forget.
    pub(crate) code_limiter: Limiter,
    pub(crate) turns: Turns,
    pub(crate) counters: Counters,
}

impl Api {
    /// Puts the parts together. Hashes one password, which takes tens of milliseconds.
    ///
    /// # Errors
    /// Words for the log when the system gave no random bytes.
    pub fn new(parts: Parts) -> Result<Self, String> {
        let Parts { accounts, keys, admin, homes, settings } = parts;
        let hasher = Hasher::new(settings.hashers)?;
        let (limiter, code_limiter) = (Limiter::default(), Limiter::default());
        let (turns, counters) = (Turns::default(), Counters::default());
        let inner =
            Inner { accounts, keys, admin, homes, settings, hasher, limiter, code_limiter, turns, counters };
        Ok(Self { shared: Arc::new(inner), tls: None })
    }

    /// The same over TLS.
    #[must_use]
    pub fn with_tls(mut self, tls: Arc<rustls::ServerConfig>) -> Self {
        self.tls = Some(tls);
        self
    }
}

/// The address that a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Serves until `end` completes, then lets what is under way end, for a bounded time.
pub async fn serve(listener: TcpListener, api: Api, end: impl Future<Output = ()>) {
    let (shared, tls) = (api.shared.clone(), api.tls.clone());
    let router = routes::router(api)
        .layer(axum::middleware::from_fn(in_time))
        .layer(axum::middleware::from_fn_with_state(shared.clone(), counted));
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    tokio::pin!(end);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = &mut end => break,
        };
        let Some((stream, address, place)) = accepted else { continue };
        let (router, shared) = (router.clone(), shared.clone());
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(Peer(address.ip()));
            router.clone().oneshot(request)
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
        let connection =
            graceful.watch(http.serve_connection(TokioIo::new(Stream::new(stream, tls.as_ref())), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                shared.counters.broken();
                tracing::debug!(%address, %error, "an HTTP connection broke");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("HTTP requests were still under way at the end");
    }
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<Accepted> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, address)) => Some((stream, address, place)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept an HTTP connection");
            tokio::time::sleep(ACCEPT_RETRY).await;
            None
        }
    }
}

async fn counted(State(api): State<Shared>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if let Some(RefusalCode(code)) = response.extensions().get() {
        api.counters.refused(code);
    }
    response
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            ApiError::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the request took too long").into_response()
        }
    }
}
