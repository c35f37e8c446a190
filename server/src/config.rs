//! What an operator sets: flags over `MARU_*` environment over a TOML file over defaults, read once into one value.
//!
//! A name that is none and a value out of its bounds are refused at start, with where it came from, what was found and
//! what is allowed. Every layer is checked, also where a higher one overrides it: a mistake that waits is worse.

#[cfg(test)]
mod fuzz;
mod issuers;
mod pin;
mod providers;
mod settings;
mod source;

pub use issuers::issuers;
pub use pin::Pin;
pub use providers::PushAccounts;
pub use settings::{SETTINGS, Setting};
pub use source::{ConfigError, Source, environment, file, load, written};

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use api::History;
use protocol::commit::RetentionRow;
use tracing::level_filters::LevelFilter;

use crate::driver::Io;
use crate::logging::{Format, Wanted};
use crate::spans::export::Endpoint;

const DAY_MS: u64 = 24 * 3600 * 1000;

/// Where messages are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoreKind {
    /// On disk, in RocksDB: an ack is durable.
    Rocks,
    /// In memory, for benches: no ack is durable, and all is lost at the end of the process.
    Memory,
}

impl StoreKind {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "rocks" => Some(Self::Rocks),
            "memory" => Some(Self::Memory),
            _ => None,
        }
    }
}

/// Everything that can be set, whole and within bounds.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data directory.
    pub data: PathBuf,
    /// The PostgreSQL that has the accounts; `None`: SQLite in the data directory.
    pub database: Option<api::PostgresUrl>,
    /// Where the control plane listens.
    pub http: SocketAddr,
    /// Where operators, metrics and health are served; `None`: see [`Config::admin_listen`].
    pub admin_listen: Option<SocketAddr>,
    /// Where the chat port listens.
    pub listen: SocketAddr,
    /// Where QUIC listens.
    pub quic: QuicAt,
    /// How datagrams find their shard.
    pub quic_steering: Steering,
    /// Whether the TCP ports speak TLS.
    pub tls: Tls,
    /// The TLS certificate (PEM); `None`: our own.
    pub tls_cert: Option<PathBuf>,
    /// Its key (PEM); set together with the certificate.
    pub tls_key: Option<PathBuf>,
    /// Whether passwords and messages may cross a network in clear text.
    pub insecure: bool,
    /// What a login tells devices to connect to; `None`: derived from `listen` and from how the caller reached `http`.
    pub chat_url: Option<String>,
    /// Shards; `None`: as many as cores.
    pub shards: Option<u16>,
    /// What is beneath the sockets of devices.
    pub io: Io,
    /// Where messages are kept.
    pub store: StoreKind,
    /// Whether shards are pinned to cores.
    pub pin: Pin,
    /// A shard that takes no turn for so long is stalled, milliseconds.
    pub watchdog_ms: u64,
    /// Connections of devices; `None`: as many as there are descriptors for.
    pub connections: Option<u64>,
    /// Threads that read what is not in memory.
    pub readers: u16,
    /// What may wait in memory over all shards, bytes; `None`: half of the memory that there is.
    pub waiting_bytes: Option<usize>,
    /// What the core may take.
    pub limits: shard::Limits,
    /// Who may sign up; `None`: anybody if HTTP is on loopback, otherwise nobody.
    pub signup: Option<api::Signup>,
    /// Open invites that a user may have.
    pub user_invites: u32,
    /// The file of issuers whose people may come in.
    pub issuers: Option<PathBuf>,
    /// The file of words that texts may not hold, or that are reported.
    pub words: Option<PathBuf>,
    /// Whom a push service may write to.
    pub push_contact: Option<String>,
    /// Private hosts that a push may go to.
    pub push_allow: Vec<String>,
    /// Whether devices are told that what they show was read elsewhere.
    pub push_withdraw: bool,
    /// Accounts at providers of push.
    pub push_accounts: PushAccounts,
    /// Bots that a user may have.
    pub user_bots: u32,
    /// Tokens that a bot may have.
    pub bot_tokens: u32,
    /// Whether operators may read how edited texts read before.
    pub show_edits: bool,
    /// How long channels keep their messages that say nothing of it themselves.
    pub retention: RetentionRow,
    /// What becomes of the messages of those whose account ends.
    pub history: History,
    /// Who may ask the control plane, and how much.
    pub access: api::Access,
    /// Our own proxies say who connects to the chat port.
    pub proxy_protocol: bool,
    /// An access token is valid for so long, milliseconds.
    pub token_ms: u64,
    /// How long refresh tokens and logins last.
    pub lifetimes: api::Lifetimes,
    /// A connection must say Hello within so long, milliseconds.
    pub hello_timeout_ms: u64,
    /// Sends are refused while less than so many bytes are free; `None`: 5 % of the disk, at most 1 GiB.
    pub space_reserve_bytes: Option<u64>,
    /// Block cache of the store, bytes.
    pub cache_bytes: usize,
    /// Memtables of the store, bytes.
    pub memtable_bytes: usize,
    /// Write-ahead log of the store, bytes.
    pub wal_bytes: u64,
    /// Messages at which a channel gets a RocksDB family of its own; `None`: by command alone.
    pub own_family_messages: Option<u64>,
    /// Whether messages are found by their words.
    pub search: bool,
    /// What is logged.
    pub log: LevelFilter,
    /// How.
    pub log_format: Format,
    /// Whether audit events are.
    pub audit: bool,
    /// Where traces go; `None`: there are none.
    pub trace_endpoint: Option<Endpoint>,
    /// One message in so many is traced.
    pub trace_sample: u64,
    /// Whether a crash may leave a core dump.
    pub core_dumps: bool,
}

/// Whether the TCP ports speak TLS. QUIC always does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tls {
    /// When there is a certificate of the operator.
    Auto,
    /// Also with our own certificate.
    On,
    /// Never: a proxy before them does.
    Off,
}

/// Where QUIC listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QuicAt {
    /// Nowhere.
    Off,
    /// On the UDP port that has the number of the chat port; on another one if that is taken.
    Beside,
    /// There and nowhere else.
    At(SocketAddr),
}

/// How QUIC's datagrams find their shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Steering {
    /// All shards have one port and the kernel steers by the connection id (BPF); where it cannot, a port each.
    Auto,
    /// A port each: the first shard has the port that was set, the others the next ones, or any where those are taken.
    Ports,
}

impl Default for Config {
    fn default() -> Self {
        let store = storage::Options::default();
        Self {
            data: PathBuf::from("./data"),
            database: None,
            http: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            admin_listen: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            quic: QuicAt::Beside,
            quic_steering: Steering::Auto,
            tls: Tls::Auto,
            tls_cert: None,
            tls_key: None,
            insecure: false,
            chat_url: None,
            shards: None,
            io: Io::Epoll,
            store: StoreKind::Rocks,
            pin: Pin::Auto,
            watchdog_ms: 10_000,
            connections: None,
            readers: readers(),
            waiting_bytes: None,
            limits: shard::Limits::default(),
            signup: None,
            user_invites: 0,
            issuers: None,
            words: None,
            push_contact: None,
            push_allow: Vec::new(),
            push_withdraw: true,
            push_accounts: PushAccounts::default(),
            user_bots: 5,
            bot_tokens: 8,
            show_edits: false,
            retention: RetentionRow::default(),
            history: History::Keep,
            access: api::Access::default(),
            proxy_protocol: false,
            token_ms: 3600 * 1000,
            lifetimes: api::Lifetimes { refresh_ms: 90 * DAY_MS, login_ms: 365 * DAY_MS },
            hello_timeout_ms: 10_000,
            space_reserve_bytes: None,
            cache_bytes: store.cache_bytes,
            memtable_bytes: store.memtable_bytes,
            wal_bytes: store.wal_bytes,
            own_family_messages: None,
            search: true,
            log: LevelFilter::INFO,
            log_format: Format::Text,
            audit: true,
            trace_endpoint: None,
            trace_sample: 65_536,
            core_dumps: false,
        }
    }
}

/// The port of the admin listener unless it is set.
const ADMIN_PORT: u16 = 8082;

impl Config {
    /// Where the accounts are.
    #[must_use]
    pub fn accounts(&self) -> api::Database {
        match &self.database {
            Some(url) => api::Database::Postgres(url.clone()),
            None => api::Database::in_directory(&self.data),
        }
    }

    /// Who may sign up, whether it was set or not: a server that strangers reach is closed until its operator opens it.
    #[must_use]
    pub fn signup(&self) -> api::Signup {
        let unset = if self.http.ip().is_loopback() { api::Signup::Open } else { api::Signup::Closed };
        self.signup.unwrap_or(unset)
    }

    /// Whether the TCP ports speak TLS.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        match self.tls {
            Tls::Auto => self.tls_cert.is_some(),
            Tls::On => true,
            Tls::Off => false,
        }
    }

    /// Refuses addresses on which others could read along.
    ///
    /// # Errors
    /// [`ConfigError::ClearText`]
    pub fn refuse_clear_text(&self) -> Result<(), ConfigError> {
        if self.has_tls() || self.insecure {
            return Ok(());
        }
        let ports = [("http", self.http), ("listen", self.listen), ("admin_listen", self.admin_listen())];
        match ports.into_iter().find(|(_, address)| !is_loopback(address.ip())) {
            Some((key, address)) => Err(ConfigError::ClearText { key, address }),
            None => Ok(()),
        }
    }

    /// Where operators, metrics and health are served: on loopback unless it is set, on a free port if HTTP takes one.
    #[must_use]
    pub fn admin_listen(&self) -> SocketAddr {
        let port = if self.http.port() == 0 { 0 } else { ADMIN_PORT };
        self.admin_listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// What is logged.
    #[must_use]
    pub fn logged(&self) -> Wanted {
        Wanted { level: self.log, audit: self.audit }
    }

    /// What the store is opened with.
    #[must_use]
    pub fn storage(&self) -> storage::Options {
        storage::Options {
            cache_bytes: self.cache_bytes,
            memtable_bytes: self.memtable_bytes,
            wal_bytes: self.wal_bytes,
            own_from: self.own_family_messages,
            ..storage::Options::default()
        }
    }
}

/// Also where an IPv4 address is written as an IPv6 one.
fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Reader threads unless an operator says otherwise: one a core, and two at least, so that a long read holds up no other.
fn readers() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u16::try_from(cores.clamp(2, 64)).unwrap_or(2)
}
