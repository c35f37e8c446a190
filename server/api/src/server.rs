//! The HTTP server: what it is made of, its two listeners, what every request passes.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use protocol::web::WebRules;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::access::{self, Access};
use crate::accounts::{Accounts, History, Lifetimes};
use crate::admin_tokens::AdminTokens;
use crate::audit::{self, Tap};
use crate::error::{ApiError, RefusalCode};
use crate::hasher::Hasher;
use crate::homes::Homes;
use crate::issuers::Issuers;
use crate::keys::Keys;
use crate::limiter::Limiter;
use crate::port::{Audience, Port, Ports};
use crate::routes::{self, Counters, Waiting};
use crate::texts::Texts;
use crate::turns::Turns;

/// When a request may come again that took too long, milliseconds.
const LATE_RETRY_MS: u64 = 1000;

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
    /// Who vouches for people besides this server.
    pub issuers: Issuers,
    /// Bots that a user may have; 0: only the operator makes bots.
    pub user_bots: u32,
    /// Tokens that a bot may have.
    pub bot_tokens: u32,
    /// What becomes of the messages of those whose account ends.
    pub history: History,
    /// Whether operators may read how edited texts read before.
    pub show_edits: bool,
    /// Who may ask, and how much.
    pub access: Access,
}

/// What the API is made of.
pub struct Parts {
    /// The relational side.
    pub accounts: Accounts,
    /// Signing keys.
    pub keys: Keys,
    /// The operators'.
    pub admin: AdminTokens,
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
    /// Of two changes of the keys the second waits for the first.
    pub(crate) keys_turn: tokio::sync::Mutex<()>,
    pub(crate) admin: AdminTokens,
    pub(crate) homes: Arc<dyn Homes>,
    pub(crate) settings: Settings,
    pub(crate) hasher: Hasher,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) turns: Turns,
    pub(crate) texts: Texts,
    pub(crate) polls: Waiting,
    pub(crate) counters: Counters,
    /// Of refusals that the audit tells.
    pub(crate) audit_tap: Tap,
    pub(crate) ports: Ports,
}

impl Inner {
    /// Whether a peer is one of our own proxies.
    pub(crate) fn is_proxy(&self, peer: IpAddr) -> bool {
        self.settings.access.proxies.trusted.contain(peer)
    }
}

impl Api {
    /// Puts the parts together. Hashes one password, which takes tens of milliseconds.
    ///
    /// # Errors
    /// Words for the log when the system gave no random bytes.
    pub fn new(parts: Parts) -> Result<Self, String> {
        let Parts { accounts, keys, admin, homes, settings } = parts;
        let limits = &settings.access.limits;
        let (ports, limiter) = (Ports::new(limits), Arc::new(Limiter::new(limits.clone())));
        let hasher = Hasher::new(settings.hashers, limiter.clone())?;
        let (turns, counters) = (Turns::default(), Counters::default());
        let texts = Texts::new(limiter.clone());
        let polls = Waiting::new(limits.connections_max);
        let keys_turn = tokio::sync::Mutex::default();
        let inner = Inner {
            accounts,
            keys,
            keys_turn,
            admin,
            homes,
            settings,
            hasher,
            limiter,
            turns,
            texts,
            polls,
            counters,
            audit_tap: Tap::default(),
            ports,
        };
        Ok(Self { shared: Arc::new(inner), tls: None })
    }

    /// The same over TLS: the public listener, and the admin listener where it is not on loopback.
    #[must_use]
    pub fn with_tls(mut self, tls: Arc<rustls::ServerConfig>) -> Self {
        self.tls = Some(tls);
        self
    }
}

/// The address that a request came from: the peer's, or what our own proxies say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Where the API listens.
#[derive(Debug)]
pub struct Listeners {
    /// For everybody.
    pub public: TcpListener,
    /// For operators, metrics and health.
    pub admin: TcpListener,
}

/// Serves until `end` completes, then lets what is under way end, for a bounded time.
pub async fn serve(listeners: Listeners, api: Api, end: impl Future<Output = ()>) {
    let telling = tokio::spawn(routes::tell_rest(api.shared.clone()));
    let (ends, ended) = watch::channel(());
    let Listeners { public, admin } = listeners;
    let [public, admin] = [(Audience::Public, public), (Audience::Admin, admin)]
        .map(|(audience, listener)| port(audience, listener, &api).serve(ended.clone()));
    let fresh = api.shared.settings.issuers.clone().keep_fresh();
    let both = async {
        tokio::select! {
            _ = async { tokio::join!(public, admin) } => {}
            () = fresh => {}
        }
    };
    let end = async {
        end.await;
        drop(ends);
    };
    tokio::join!(both, end);
    telling.abort();
}

fn port(audience: Audience, listener: TcpListener, api: &Api) -> Port {
    let Api { shared, tls } = api;
    let access = &shared.settings.access;
    let address = listener.local_addr();
    // An address that cannot be told is not loopback's: then nothing is assumed to be safe.
    let is_local = address.as_ref().is_ok_and(|address| address.ip().to_canonical().is_loopback());
    let rules = match (address, audience) {
        (Ok(address), Audience::Public) => access.rules(address),
        // No page elsewhere has anything to do there, and names are checked where DNS rebinding could reach it.
        _ => WebRules::new(Vec::new(), if is_local { access.hosts.clone() } else { Vec::new() }, is_local),
    };
    let router = match audience {
        Audience::Public => routes::public(shared.clone()),
        Audience::Admin => routes::admin(shared.clone(), !is_local || access.metrics_token),
    };
    let hsts_s = if audience == Audience::Public { access.hsts_s } else { 0 };
    // What is on this machine needs no TLS to ask after its health.
    let tls = tls.clone().filter(|_| audience == Audience::Public || !is_local);
    Port { audience, listener, tls, router: dressed(router, shared, rules, hsts_s), shared: shared.clone() }
}

/// What every request passes, the last one first.
fn dressed(router: Router, shared: &Shared, rules: WebRules, hsts_s: u32) -> Router {
    router
        .layer(from_fn_with_state(shared.settings.access.limits.patience.request, in_time))
        .layer(from_fn_with_state(shared.clone(), audit::audited))
        .layer(from_fn_with_state(Arc::new(rules), access::guarded))
        .layer(from_fn_with_state(shared.clone(), counted))
        .layer(from_fn_with_state(hsts_s, access::headed))
}

async fn counted(State(api): State<Shared>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if let Some(RefusalCode(code)) = response.extensions().get() {
        api.counters.refused(code);
    }
    response
}

async fn in_time(State(time): State<std::time::Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let error = ApiError::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the request took too long");
            error.after_ms(LATE_RETRY_MS).into_response()
        }
    }
}
