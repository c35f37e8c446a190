//! `maru serve`: the life of a node from its configuration to its end.

mod flags;
mod guard;
mod memory;
mod reload;

pub use flags::Flags;

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use api::{Accounts, Api, ChatUrl, Issuers, Listeners, Parts, Settings, Signup};
use storage::Store;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::backup::running::Backups;
use crate::boot::{self, BootError, Event, Node, Shares, raise_descriptors};
use crate::certificate;
use crate::config::{self, Config, StoreKind};
use crate::directory::{self, Parts as DirectoryParts};
use crate::export::running::Exports;
use crate::logging::{self, tell};
use crate::notify::Notify;
use crate::space::{Keep, ballast};
use crate::spans::export::Exporter;
use crate::{backup, erasures, fatal, heap, owner, push, retention, words};

/// Threads of the control plane: what is hot runs elsewhere.
const CONTROL_THREADS: usize = 2;
/// Shards give up on a drain by themselves after [`shard::limits::DRAIN_MS`], and then wait for the farewells of the
/// slow, [`crate::driver::Limits::close_ms`]; whoever has not by now is left.
const DRAIN_DEADLINE: Duration = Duration::from_millis(shard::limits::DRAIN_MS + 7000);
/// How long what blocks in the control plane is waited for at the end.
const CONTROL_DEADLINE: Duration = Duration::from_secs(5);
/// A start that takes longer says so this often.
const STILL_STARTING: Duration = Duration::from_secs(10);

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Runs a node until it is told to end.
///
/// # Errors
/// What kept it from starting, in words for the operator.
pub fn run(flags: &Flags) -> Outcome<ExitCode> {
    logging::open();
    let outcome = start(flags);
    logging::flush();
    outcome
}

fn start(flags: &Flags) -> Outcome<ExitCode> {
    let began = Instant::now();
    heap::give_back_large_blocks();
    let config = config::load(&flags.set, config::environment(), flags.config.as_deref())?;
    config.refuse_clear_text()?;
    logging::start(config.logged(), config.log_format);
    fatal::end_on_panic();
    guard::keep_to_itself(config.core_dumps);
    raise_descriptors();
    // Opening the store locks the directory: nothing else is touched before. Without a byte left no store opens, the lock's file is there already, and a file that only takes room is nobody's data.
    ballast::give_back_if_full(&config.data)?;
    let data = Arc::new(match config.store {
        StoreKind::Rocks => directory::open_store(&config)?,
        StoreKind::Memory => memory::open(&config)?,
    });
    owner::close_to_others(&config.data)?;
    backup::clear(&config.data);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()?;
    let notify = Notify::from_environment();
    let issuers = config::issuers(config.issuers.as_deref())?;
    reload::watch(&runtime, flags, &config, issuers.clone(), notify.clone())?;
    let outcome = live(&config, began, data, issuers, &runtime, &notify);
    runtime.shutdown_timeout(CONTROL_DEADLINE);
    outcome
}

fn live(
    config: &Config,
    began: Instant,
    data: Arc<Store>,
    issuers: Issuers,
    runtime: &Runtime,
    notify: &Notify,
) -> Outcome<ExitCode> {
    let DirectoryParts { keys, admin, accounts } = runtime.block_on(directory::open_parts(config, &data))?;
    if config.store == StoreKind::Memory {
        runtime.block_on(memory::seed(&data, &accounts))?;
    }
    let listeners = Listeners {
        public: bind(runtime, "HTTP", config.http)?,
        admin: bind(runtime, "the admin listener (admin_listen)", config.admin_listen())?,
    };
    let faces = Faces {
        http: listeners.public.local_addr()?,
        admin: listeners.admin.local_addr()?,
        is_secure: config.has_tls(),
    };
    let (events, happens) = channel();
    watch_signals(runtime, events.clone())?;
    let mut node = Node::start(config, began, data.clone(), &keys.all(), &events)?;
    // Certificates are made with the node; from here on nothing is missing.
    directory::promise(config)?;
    let mut plane = node.plane().clone().with_exports(Exports::new(data.clone(), accounts.clone()));
    if config.store == StoreKind::Rocks {
        let keep = Keep { set: config.space_reserve_bytes, needed: config.storage().space_needed() };
        plane = plane.with_backups(Backups::new(&config.data, keep, data, accounts.clone()));
    }
    if let Some(told) = node.take_told() {
        let outbox = push::start(runtime, config, (&plane, accounts.clone()), (told, node.outlets()))?;
        plane = plane.with_push(outbox);
    }
    look_for_words(config, runtime, &mut node, &accounts)?;
    retention::start(runtime, &plane, config);
    let erasing = erasures::start(runtime, &plane, accounts.clone());
    plane = plane.with_erasures(erasing);
    let exporter = Exporter::start(runtime, node.latency(), config.trace_endpoint.as_ref());
    let watchdog = node.watch(Duration::from_millis(config.watchdog_ms), notify.clone())?;
    let mut api = Api::new(Parts {
        accounts: accounts.clone(),
        keys,
        admin,
        homes: Arc::new(plane),
        settings: Settings { issuers, ..settings(config, faces.http, node.chat()) },
    })?;
    if let Some(certificates) = node.certificates() {
        certificate::watch(runtime, certificates.clone())?;
        if config.has_tls() {
            api = api.with_tls(boot::tls(certificates, edge::tls::ALPN)?);
        }
    }
    let control = serve_http(runtime, listeners, api);
    greet(faces, &node);
    if wait_ready(&node, &happens) {
        node.listen();
        tell_signup(config);
        announce(faces, &node);
        notify.ready();
        tracing::info!(shards = node.shards(), "serving");
        wait_signal(&happens);
        notify.stopping();
        drain(&node, &happens);
    }
    let _ = control.end.send(());
    let _ = runtime.block_on(control.task);
    drop(watchdog);
    if let Some(exporter) = exporter {
        exporter.end(runtime);
    }
    node.stop();
    runtime.block_on(accounts.close());
    tracing::info!("ended");
    Ok(ExitCode::SUCCESS)
}

/// Texts with words of the operator's list are refused or reported from here on.
fn look_for_words(config: &Config, runtime: &Runtime, node: &mut Node, accounts: &Accounts) -> Outcome<()> {
    if let Some(told) = node.take_flagged() {
        words::report(runtime, accounts.clone(), told);
    }
    if let Some(path) = &config.words {
        words::watch(runtime, path.clone(), words::WordList::read(path)?, node.outlets().clone())?;
    }
    Ok(())
}

fn bind(runtime: &Runtime, what: &'static str, address: SocketAddr) -> Result<TcpListener, BootError> {
    let bound = runtime.block_on(TcpListener::bind(address));
    bound.map_err(|error| BootError::Listen { what, address, error })
}

/// The HTTP server's task, and how it is ended.
struct Control {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

fn serve_http(runtime: &Runtime, listeners: Listeners, api: Api) -> Control {
    let (end, ended) = oneshot::channel();
    let task = runtime.spawn(api::serve(listeners, api, async {
        let _ = ended.await;
    }));
    Control { end, task }
}

fn settings(config: &Config, http: SocketAddr, chat: SocketAddr) -> Settings {
    // Whoever listens everywhere is reached under whatever name the caller used; and a certificate is for that name.
    let is_named = chat.ip().is_unspecified() || (config.has_tls() && chat.ip() == http.ip());
    let chat_url = match &config.chat_url {
        Some(url) => ChatUrl::Fixed(url.clone()),
        None if is_named && config.has_tls() => ChatUrl::SecurePort(chat.port()),
        None if is_named => ChatUrl::Port(chat.port()),
        None => ChatUrl::Fixed(format!("{}://{chat}/ws", if config.has_tls() { "wss" } else { "ws" })),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let devices_max = u32::try_from(protocol::limits::DEVICES_MAX).unwrap_or(u32::MAX);
    Settings {
        chat_url,
        token_ms: config.token_ms,
        lifetimes: config.lifetimes,
        devices_max,
        // Hashing leaves a core to the shards.
        hashers: cores.saturating_sub(1).max(1),
        signup: config.signup(),
        user_invites: config.user_invites,
        issuers: Issuers::default(),
        user_bots: config.user_bots,
        show_edits: config.show_edits,
        history: config.history,
        bot_tokens: config.bot_tokens,
        access: access(config),
    }
}

/// As it was set, within what descriptors allow.
fn access(config: &Config) -> api::Access {
    let mut access = config.access.clone();
    access.limits.connections_max = Shares::of_process(config).http;
    access
}

/// Who may sign up, for the operator: it may be closed without having been set so.
fn tell_signup(config: &Config) {
    let why =
        if config.signup.is_some() { "" } else { " (by the address of http: the setting signup decides)" };
    match config.signup() {
        Signup::Open => tracing::info!("sign-up is open{why}: anybody can make an account"),
        Signup::Invite => tracing::info!("sign-up is by invitation: maru admin invite makes invites"),
        Signup::Closed => tracing::info!("sign-up is closed{why}: maru admin create-user makes accounts"),
    }
}

/// SIGTERM and SIGINT.
fn watch_signals(runtime: &Runtime, events: Sender<Event>) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let _inside = runtime.enter();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    runtime.spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if events.send(Event::Signal).is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// Until every shard has replayed fan-out; false when the operator wants an end before.
fn wait_ready(node: &Node, happens: &Receiver<Event>) -> bool {
    let mut missing = node.shards();
    while missing > 0 {
        match happens.recv_timeout(STILL_STARTING) {
            Ok(Event::Ready(_)) => missing -= 1,
            Ok(Event::Signal) | Err(RecvTimeoutError::Disconnected) => return false,
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => {
                for wait in node.waits_for() {
                    tracing::warn!(missing, "not ready: {wait}");
                }
            }
        }
    }
    true
}

fn wait_signal(happens: &Receiver<Event>) {
    while let Ok(event) = happens.recv() {
        if event == Event::Signal {
            return;
        }
    }
}

/// Every shard finishes what it has admitted, under a deadline. A second signal ends the wait.
fn drain(node: &Node, happens: &Receiver<Event>) {
    tracing::info!("draining");
    node.drain();
    let deadline = Instant::now() + DRAIN_DEADLINE;
    let mut missing = node.shards();
    while missing > 0 {
        match happens.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Event::Drained(_)) => missing -= 1,
            Ok(Event::Signal) => return tracing::warn!("a second signal: the drain is cut short"),
            Ok(_) => {}
            Err(_) => return tracing::warn!(missing, "the drain took too long; clients send the rest again"),
        }
    }
}

/// The TCP ports as the outside sees them.
#[derive(Clone, Copy)]
struct Faces {
    http: SocketAddr,
    admin: SocketAddr,
    is_secure: bool,
}

/// Of the control plane, of the chat and of the admin listener.
struct Urls {
    http: String,
    chat: String,
    admin: String,
}

impl Faces {
    fn urls(self, node: &Node) -> Urls {
        let s = |is_secure| if is_secure { "s" } else { "" };
        let (of_all, of_admin) =
            (s(self.is_secure), s(self.is_secure && !self.admin.ip().to_canonical().is_loopback()));
        Urls {
            http: format!("http{of_all}://{}", reachable(self.http)),
            chat: format!("ws{of_all}://{}/ws", reachable(node.chat())),
            admin: format!("http{of_admin}://{}", reachable(self.admin)),
        }
    }
}

/// Where to point a client, for people.
fn greet(faces: Faces, node: &Node) {
    let Urls { http, chat, admin } = faces.urls(node);
    tell(&format!("From a terminal:  maru chat --server {http} --user NAME"));
    tell(&format!("From a program:   accounts at {http}/v1, WebSocket at {chat} (docs/protocol.md)"));
    tell(&format!("For operators:    {admin} (health, metrics, /v1/admin)"));
    if let Some(certificates) = node.certificates() {
        let of = if faces.is_secure { "TLS" } else { "QUIC" };
        let (whose, fingerprint) = (certificates.whose(), certificates.fingerprint());
        tell(&format!("{of} certificate ({whose}), SHA-256:  {fingerprint}"));
    }
}

/// The one line that programs wait for.
fn announce(faces: Faces, node: &Node) {
    let Urls { http, chat, admin } = faces.urls(node);
    let quic = node.quic().and_then(|quic| quic.addresses.first()).copied().map(reachable);
    let quic = quic.map_or_else(String::new, |quic| format!(" quic={quic}"));
    tell(&format!("maru ready http={http} ws={chat} admin={admin}{quic}"));
}

/// An address that can be connected to from this machine: "everywhere" is here.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everywhere_is_here() {
        let at = |address: &str| reachable(address.parse().unwrap()).to_string();
        assert_eq!(at("0.0.0.0:1"), "127.0.0.1:1");
        assert_eq!(at("[::]:1"), "[::1]:1");
        assert_eq!(at("192.0.2.1:1"), "192.0.2.1:1");
    }

    #[test]
    fn a_login_is_told_where_to_connect() {
        let chat =
            |config: &Config, address: &str| settings(config, config.http, address.parse().unwrap()).chat_url;
        let mut config = Config::default();
        assert_eq!(chat(&config, "127.0.0.1:7"), ChatUrl::Fixed("ws://127.0.0.1:7/ws".into()));
        assert_eq!(chat(&config, "0.0.0.0:7"), ChatUrl::Port(7));
        config.tls = config::Tls::On;
        assert_eq!(
            chat(&config, "127.0.0.1:7"),
            ChatUrl::SecurePort(7),
            "by the name that the certificate is for"
        );
        assert_eq!(chat(&config, "0.0.0.0:7"), ChatUrl::SecurePort(7));
        assert_eq!(chat(&config, "192.0.2.1:7"), ChatUrl::Fixed("wss://192.0.2.1:7/ws".into()));
        config.chat_url = Some("wss://chat.example.org/ws".into());
        assert_eq!(chat(&config, "0.0.0.0:7"), ChatUrl::Fixed("wss://chat.example.org/ws".into()));
    }
}
