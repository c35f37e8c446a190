//! Putting a node together: store, store threads, readers, shards; and taking it apart again.
//!
//! Order matters. The store comes first, because opening it locks the data directory. Shards replay fan-out before any
//! of them listens. At the end shards stop first; what they appended is then committed, because a store thread ends
//! only when nobody can append any more.

mod cores;
mod descriptors;
mod memory;

pub(crate) use cores::{available as available_cores, raise_descriptors};
pub(crate) use descriptors::Shares;
pub(crate) use memory::limit as memory_limit;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use protocol::partition::SHARDS_MAX;
use protocol::query::{Answer, BayState, Query, ReadFault};
use protocol::token::Key;
use protocol::{Placement, ShardId};
use push::outbox::{Bell, Told};
use storage::{Store, StoreError, Tier};

use crate::certificate::{self, CertificateError, Certificates, Loaded};
use crate::config::{Config, QuicAt, StoreKind};
use crate::driver::{self, Reserved};
use crate::families::Families;
use crate::fatal;
use crate::latency::Latency;
use crate::mesh::{self, Mailbox, Outlet, Outlets, Post};
use crate::metrics::{Metrics, waits};
use crate::notify::Notify;
use crate::plane::DataPlane;
use crate::reader::Readers;
use crate::search::{Following, Search};
use crate::space::{Gate, Keep, Watcher};
use crate::spans::Spans;
use crate::store::{self, Appender, SHARDS_PER_THREAD, Work};
use crate::turn::{Append, ShardReport, ShardThread};
use crate::watchdog::{self, Pulse, Watchdog};
use crate::words::{self, FlaggedTold, Flagging};

/// Rows that a shard's own thread looks at to answer a query: tens of microseconds.
const INLINE_ROWS: u32 = 64;
/// QUIC waits so much longer than three heartbeats before it drops a silent connection, milliseconds.
const QUIC_IDLE_SLACK_MS: u32 = 5000;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The store: locked, damaged, too new, or the disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address cannot be listened on.
    #[error("{what} cannot listen on {address}: {error}")]
    Listen {
        /// HTTP or the chat port.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// One of certificate and key is missing.
    #[error("tls_cert and tls_key are set together, or neither")]
    HalfCertificate,
    /// io_uring is wanted and nothing else.
    #[error("io = \"uring\": {0}; \"auto\" goes by epoll then")]
    NoRing(#[from] driver::NoRing),
    /// No thread, no descriptor, no random bytes.
    #[error("{what}: {error}")]
    System {
        /// What was wanted.
        what: &'static str,
        /// Why not.
        error: io::Error,
    },
}

/// What happens to a running node, for the thread that looks after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A shard has replayed fan-out.
    Ready(ShardId),
    /// A shard has answered everything and closed every connection.
    Drained(ShardId),
    /// The operator wants an end.
    Signal,
}

/// QUIC as the outside sees it.
#[derive(Clone, Debug)]
pub struct QuicFace {
    /// Where it is, a port each shard if the kernel does not steer.
    pub addresses: Vec<SocketAddr>,
    /// What is served there.
    pub certificates: Arc<Certificates>,
}

/// A node whose threads run.
#[derive(Debug)]
pub struct Node {
    plane: DataPlane,
    outlets: Outlets,
    chat: Reserved,
    quic: Option<QuicFace>,
    certificates: Option<Arc<Certificates>>,
    watcher: Watcher,
    pulses: Vec<Arc<Pulse>>,
    stalls: Arc<watchdog::Meter>,
    shards: Vec<JoinHandle<()>>,
    stores: Vec<JoinHandle<()>>,
    readers: Vec<JoinHandle<()>>,
    families: Families,
    following: Option<Following>,
    /// What the shards tell of push, for whoever carries it out.
    told: Option<Told>,
    flagged: Option<FlaggedTold>,
    // Last: its lock is given back when every thread is done with it.
    data: Arc<Store>,
}

impl Node {
    /// Starts every thread on a store that is open. Shards tell `events`; nothing listens yet.
    ///
    /// # Errors
    /// [`BootError`]; threads that were started end by themselves.
    pub fn start(
        config: &Config,
        began: Instant,
        data: Arc<Store>,
        keys: &[Key],
        events: &Sender<Event>,
    ) -> Result<Self, BootError> {
        let io = driver::choose(config.io)?;
        let placement = placement(config)?;
        let chat = chat_port(config)?;
        let Secured { certificates, tls, quic, face } =
            Secured::of(config, chat.address, placement.shards())?;
        let (mailboxes, outlets) = mesh::build(placement.shards());
        let watcher = watch_disk(config, &outlets).map_err(system("the data directory's disk"))?;
        let traced = config.trace_endpoint.is_some().then(|| Spans::new(config.trace_sample));
        let latency = Arc::new(Latency::traced(traced));
        // Before anything is committed: it keeps the logs that it has not followed yet.
        let (search, following) = start_search(config, &data, &watcher).unzip();
        let commits = Commits { data: data.clone(), gate: watcher.gate(), search: search.clone() };
        let (appenders, meters, stores) = store_threads(&commits, placement, &outlets, &latency)?;
        let (lane, readers) =
            Readers::start(config.readers, placement, &data).map_err(system("a reader thread"))?;
        let metrics = Metrics {
            began,
            latency: latency.clone(),
            outlets: outlets.clone(),
            store: data.clone(),
            meters,
            readers: lane.meter(),
            space: watcher.meter(),
            certificates: certificates.clone(),
            stalls: Arc::default(),
            search,
        };
        let (stalls, shares) = (metrics.stalls.clone(), Shares::of_process(config));
        let pulses: Vec<Arc<Pulse>> = (0..placement.shards()).map(|_| Arc::default()).collect();
        shares.tell(config, placement.shards());
        let ((bell, told), (flagging, flagged)) = (push::outbox::bell(), words::flagging());
        let plan = Plan {
            config,
            io,
            placement,
            states: data.states()?,
            data: &data,
            keys: keys.into(),
            tls,
            listen: chat.address,
            appenders,
            readers: lane,
            latency,
            shares,
            pulses: &pulses,
            bell,
            flagging,
            events,
        };
        let shards = plan.start_shards(mailboxes, quic)?;
        let families = start_families(&data, &watcher).map_err(system("the thread of families"))?;
        let (mover, events) = (families.mover(), events.clone());
        let plane = DataPlane::new(placement, outlets.clone(), metrics, face.clone(), mover, events);
        Ok(Self {
            plane,
            outlets,
            chat,
            quic: face,
            certificates,
            watcher,
            pulses,
            stalls,
            shards,
            stores,
            readers,
            families,
            following,
            told: Some(told),
            flagged: Some(flagged),
            data,
        })
    }

    /// What the control plane talks to.
    #[must_use]
    pub fn plane(&self) -> &DataPlane {
        &self.plane
    }

    /// What the shards tell of push; once.
    pub fn take_told(&mut self) -> Option<Told> {
        self.told.take()
    }

    /// What the shards tell of messages that hold a word of the operator's list; once.
    pub fn take_flagged(&mut self) -> Option<FlaggedTold> {
        self.flagged.take()
    }

    /// The ways to the shards.
    #[must_use]
    pub fn outlets(&self) -> &Outlets {
        &self.outlets
    }

    /// The server's own times, and traces.
    #[must_use]
    pub fn latency(&self) -> &Latency {
        self.plane.latency()
    }

    /// Where the chat port is, or will be once the shards listen.
    #[must_use]
    pub fn chat(&self) -> SocketAddr {
        self.chat.address
    }

    /// Where QUIC is; `None` when it is off.
    #[must_use]
    pub fn quic(&self) -> Option<&QuicFace> {
        self.quic.as_ref()
    }

    /// The certificate of all that speaks TLS; `None` when nothing does.
    #[must_use]
    pub fn certificates(&self) -> Option<&Arc<Certificates>> {
        self.certificates.as_ref()
    }

    /// Number of shards.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.outlets.shards()
    }

    /// Every shard is ready: they accept from now on. Returns when all of them listen.
    pub fn listen(&self) {
        let (listens, listening) = channel();
        for outlet in self.outlets.all() {
            outlet.post(Post::Listen);
            // Posts are taken in order: whoever answers this one listens already.
            let listens = listens.clone();
            outlet.post(Post::Inspect(Box::new(move |_| listens.send(()).unwrap_or_default())));
        }
        drop(listens);
        while listening.recv().is_ok() {}
        self.plane.set_ready(true);
    }

    /// What keeps each shard from being ready, in words.
    #[must_use]
    pub fn waits_for(&self) -> Vec<String> {
        let (tells, told) = channel();
        for outlet in self.outlets.all() {
            let tells = tells.clone();
            let tell = move |report: ShardReport| tells.send(report).unwrap_or_default();
            outlet.post(Post::Inspect(Box::new(tell)));
        }
        drop(tells);
        let reports: Vec<_> = told.iter().collect();
        waits::of(self.outlets.shards(), &reports)
    }

    /// Looks after the shards from now on. To be dropped before [`Self::stop`].
    ///
    /// # Errors
    /// No thread.
    pub fn watch(&self, limit: Duration, notify: Notify) -> Result<Watchdog, BootError> {
        let started = Watchdog::start(self.pulses.clone(), &self.outlets, limit, notify, self.stalls.clone());
        started.map_err(system("the watchdog's thread"))
    }

    /// Stops admitting; each shard tells when it is done.
    pub fn drain(&self) {
        self.plane.set_ready(false);
        self.post_all(|| Post::Drain);
    }

    /// Ends every thread; what was appended is committed. Connections that are left are dropped.
    pub fn stop(self) {
        self.post_all(|| Post::Stop);
        let Self { watcher, shards, stores, readers, families, following, chat, data, plane, .. } = self;
        drop((watcher, plane));
        families.end();
        for thread in shards.into_iter().chain(stores).chain(readers) {
            // A thread that panicked has ended the process already.
            let _ = thread.join();
        }
        // Behind the store threads: what they committed last is followed too.
        following.map(Following::end).unwrap_or_default();
        drop(chat);
        drop(data);
    }

    fn post_all(&self, post: impl Fn() -> Post) {
        for outlet in self.outlets.all() {
            outlet.post(post());
        }
    }
}

/// What all shards are made from.
struct Plan<'a> {
    config: &'a Config,
    io: driver::Io,
    placement: Placement,
    states: Vec<BayState>,
    data: &'a Arc<Store>,
    keys: Arc<[Key]>,
    tls: Option<Arc<rustls::ServerConfig>>,
    listen: SocketAddr,
    appenders: Vec<Appender>,
    readers: Readers,
    latency: Arc<Latency>,
    shares: Shares,
    pulses: &'a [Arc<Pulse>],
    bell: Bell,
    flagging: Flagging,
    events: &'a Sender<Event>,
}

impl Plan<'_> {
    fn start_shards(
        &self,
        mailboxes: Vec<Mailbox>,
        quic: Vec<driver::Quic>,
    ) -> Result<Vec<JoinHandle<()>>, BootError> {
        let mut quic = quic.into_iter();
        mailboxes.into_iter().map(|mailbox| self.start_shard(mailbox, quic.next())).collect()
    }

    fn start_shard(&self, mailbox: Mailbox, quic: Option<driver::Quic>) -> Result<JoinHandle<()>, BootError> {
        let shard = mailbox.shard();
        let thread = self.thread(mailbox, quic)?;
        let name = format!("shard-{shard}");
        let spawned = std::thread::Builder::new().name(name).spawn(move || {
            if let Err(error) = thread.run() {
                fatal::shard_failed(shard, &error);
            }
        });
        spawned.map_err(system("a shard's thread"))
    }

    fn thread(&self, mailbox: Mailbox, quic: Option<driver::Quic>) -> Result<ShardThread, BootError> {
        let shard = mailbox.shard();
        let outlet: Option<Outlet> = mailbox.outlets().to(shard);
        let outlet = outlet.ok_or_else(|| system("a mailbox")(io::ErrorKind::NotFound.into()))?;
        let (data, readers) = (self.data.clone(), self.readers.clone());
        let meter = readers.meter();
        let driver_limits = driver::Limits {
            connections_max: self.shares.of_shard(self.config, self.placement.shards()),
            hello_ms: self.config.hello_timeout_ms,
            ..driver::Limits::default()
        };
        Ok(ShardThread {
            config: self.core(shard)?,
            address: self.listen,
            mailbox,
            keys: self.keys.clone(),
            tls: self.tls.clone(),
            quic,
            limits: driver_limits,
            door: self.door(),
            io: self.io,
            cached: Box::new(move |query| {
                let answer = cached(&data, query);
                if let Some(Err(fault)) = &answer {
                    meter.failed(query, fault);
                }
                answer
            }),
            appender: self.appender(shard)?,
            reader: Box::new(move |ticket, query| readers.read(&outlet, ticket, query)),
            latency: self.latency.clone(),
            bell: self.bell.clone(),
            flagging: self.flagging.clone(),
            on_ready: Box::new(self.tell(Event::Ready(shard))),
            on_drained: Box::new(self.tell(Event::Drained(shard))),
            pulse: self.pulses.get(usize::from(shard.0)).cloned().unwrap_or_default(),
            pin_to: self.core_of(shard).map(usize::from),
        })
    }

    fn door(&self) -> Arc<driver::Door> {
        let access = &self.config.access;
        let proxies = if self.config.proxy_protocol {
            access.proxies.trusted.clone()
        } else {
            api::Networks::default()
        };
        Arc::new(driver::Door { rules: access.rules(self.listen), proxies })
    }

    /// Where a shard's batches go: to its store thread, which waits for the disk in its place. In memory there is
    /// nothing to wait for, and no hand-over either.
    fn appender(&self, shard: ShardId) -> Result<Append, BootError> {
        if self.config.store == StoreKind::Memory {
            let data = self.data.clone();
            return Ok(Box::new(move |batch| match data.commit(std::slice::from_ref(&batch)) {
                Ok(()) => Some(batch.number),
                Err(error) => fatal::commit_failed(&error),
            }));
        }
        let appender = self.appenders.get(usize::from(shard.0 / SHARDS_PER_THREAD)).cloned();
        let appender = appender.ok_or_else(|| system("a store thread")(io::ErrorKind::NotFound.into()))?;
        Ok(Box::new(move |batch| {
            appender.append(batch);
            None
        }))
    }

    fn core(&self, shard: ShardId) -> Result<shard::Config, BootError> {
        let seed =
            getrandom::u64().map_err(|error| system("random bytes")(io::Error::other(error.to_string())))?;
        let own = self.states.iter().filter(|state| self.placement.home(state.bay) == shard);
        Ok(shard::Config {
            shard,
            placement: self.placement,
            limits: shard::Limits {
                waiting_bytes: memory::waiting_bytes(self.config.waiting_bytes, self.placement.shards()),
                ..self.config.limits.clone()
            },
            own: own.cloned().collect(),
            fanout_heads: self.states.iter().map(|state| state.fanout_head).collect(),
            seed,
        })
    }

    fn tell(&self, event: Event) -> impl Fn() + Send + use<> {
        let events = self.events.clone();
        // Nobody listens any more when the process is ending anyway.
        move || events.send(event).unwrap_or_default()
    }

    fn core_of(&self, shard: ShardId) -> Option<u16> {
        self.config.pin.core_of(shard.0, self.placement.shards(), &cores::available())
    }
}

/// What speaks TLS.
struct Secured {
    certificates: Option<Arc<Certificates>>,
    tls: Option<Arc<rustls::ServerConfig>>,
    quic: Vec<driver::Quic>,
    face: Option<QuicFace>,
}

impl Secured {
    fn of(config: &Config, chat: SocketAddr, shards: u16) -> Result<Self, BootError> {
        let loaded = load_certificate(config)?;
        let certificates = loaded.as_ref().map(|loaded| loaded.certificates.clone());
        let tls = match &certificates {
            Some(certificates) if config.has_tls() => Some(tls(certificates, edge::tls::ALPN)?),
            _ => None,
        };
        let (quic, face) = match loaded.filter(|_| config.quic != QuicAt::Off) {
            Some(loaded) => {
                let (parts, face) = reserve_quic(config, chat, shards, loaded)?;
                (parts, Some(face))
            }
            None => (Vec::new(), None),
        };
        Ok(Self { certificates, tls, quic, face })
    }
}

type QuicParts = (Vec<driver::Quic>, QuicFace);

/// The certificate, if anything speaks TLS.
fn load_certificate(config: &Config) -> Result<Option<Loaded>, BootError> {
    let files = match (&config.tls_cert, &config.tls_key) {
        (Some(certificate), Some(key)) => Some((certificate.as_path(), key.as_path())),
        (None, None) => None,
        _ => return Err(BootError::HalfCertificate),
    };
    if config.quic == QuicAt::Off && !config.has_tls() {
        return Ok(None);
    }
    Ok(Some(certificate::load(&config.data, files)?))
}

/// TLS with the certificate of the moment.
pub(crate) fn tls(
    certificates: &Arc<Certificates>,
    protocol: &[u8],
) -> Result<Arc<rustls::ServerConfig>, CertificateError> {
    Ok(edge::tls::config(certificates.clone(), protocol)?)
}

/// The sockets of QUIC, one a shard, and what they serve.
fn reserve_quic(
    config: &Config,
    chat: SocketAddr,
    shards: u16,
    loaded: Loaded,
) -> Result<QuicParts, BootError> {
    let reserve = |address| {
        let group = driver::reserve_quic(address, shards, config.quic_steering);
        group.map_err(|error| BootError::Listen { what: "QUIC", address, error })
    };
    let group = match config.quic {
        QuicAt::At(address) => reserve(address)?,
        QuicAt::Beside | QuicAt::Off => reserve(chat).or_else(|error| {
            tracing::warn!(%error, "QUIC takes another port than the chat port's");
            reserve(SocketAddr::new(chat.ip(), 0))
        })?,
    };
    let Loaded { certificates, secret } = loaded;
    let tls = tls(&certificates, edge::quic::ALPN)?;
    // A silent session is ended by the core after two and a half heartbeats, with a close code. That goes first, also on
    // a machine that is late.
    let idle_ms = config.limits.heartbeat_ms.saturating_mul(3).saturating_add(QUIC_IDLE_SLACK_MS);
    let addresses = group.addresses.clone();
    let mut parts = Vec::with_capacity(group.sockets.len());
    for socket in group.sockets {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| system("random bytes")(io::Error::other(error.to_string())))?;
        parts.push(driver::Quic { socket, tls: tls.clone(), secret, seed, idle_ms });
    }
    Ok((parts, QuicFace { addresses, certificates }))
}

/// From memory, on the shard's own thread.
fn cached(data: &Store, query: &Query) -> Option<Result<Answer, ReadFault>> {
    data.read(query, Tier::Cached { rows: INLINE_ROWS }).map_err(ReadFault::from).transpose()
}

fn placement(config: &Config) -> Result<Placement, BootError> {
    let cores = u16::try_from(cores::available().len()).unwrap_or(u16::MAX).clamp(1, SHARDS_MAX);
    let placement = Placement::new(config.shards.unwrap_or(cores));
    placement.ok_or_else(|| system("the number of shards")(io::ErrorKind::InvalidInput.into()))
}

fn start_families(data: &Arc<Store>, watcher: &Watcher) -> io::Result<Families> {
    let (gate, space) = (watcher.gate(), watcher.meter());
    Families::start(data, move |bytes| {
        gate.before_write(bytes);
        let (_, is_low) = space.read();
        !is_low
    })
}

fn chat_port(config: &Config) -> Result<Reserved, BootError> {
    let (what, address) = ("the chat port", config.listen);
    driver::reserve(address).map_err(|error| BootError::Listen { what, address, error })
}

fn watch_disk(config: &Config, outlets: &Outlets) -> io::Result<Watcher> {
    let keep = Keep { set: config.space_reserve_bytes, needed: config.storage().space_needed() };
    Watcher::start(&config.data, keep, outlets.clone())
}

/// `None`: it is off, or cannot be; nothing else needs it.
fn start_search(config: &Config, data: &Arc<Store>, watcher: &Watcher) -> Option<(Search, Following)> {
    if !config.search || config.store == StoreKind::Memory {
        return None;
    }
    let space = watcher.meter();
    let started = Search::start(data, &config.data, move |_| {
        let (_, is_low) = space.read();
        !is_low
    });
    let why =
        |error: &io::Error| tracing::error!(%error, "search cannot start, and is off until the next start");
    started.inspect_err(why).ok()
}

/// What store threads commit to, and who is told behind it.
struct Commits {
    data: Arc<Store>,
    gate: Gate,
    search: Option<Search>,
}

type StoreThreads = (Vec<Appender>, Vec<Arc<store::meter::StoreMeter>>, Vec<JoinHandle<()>>);

fn store_threads(
    to: &Commits,
    placement: Placement,
    outlets: &Outlets,
    latency: &Arc<Latency>,
) -> Result<StoreThreads, BootError> {
    let (mut appenders, mut meters, mut threads) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..placement.shards().div_ceil(SHARDS_PER_THREAD) {
        let meter = Arc::<store::meter::StoreMeter>::default();
        let (commits, gate, search) = (to.data.clone(), to.gate.clone(), to.search.clone());
        let (outlets, latency) = (outlets.clone(), latency.clone());
        let work = Work {
            commit: Box::new(move |batches| {
                gate.before_write(store::bytes_of(batches));
                let began = Instant::now();
                commits.commit(batches).inspect(|()| {
                    latency.stored(batches, began);
                    if let Some(search) = &search {
                        search.committed(batches);
                    }
                })
            }),
            stored: Box::new(move |shard, number| {
                // A batch comes from a shard of this node alone.
                if let Some(outlet) = outlets.to(shard) {
                    outlet.post(Post::Stored { number });
                }
            }),
            failed: Box::new(|error| fatal::commit_failed(&error)),
            meter: meter.clone(),
        };
        let (appender, thread) = store::start(number, work).map_err(system("a store thread"))?;
        appenders.push(appender);
        meters.push(meter);
        threads.push(thread);
    }
    Ok((appenders, meters, threads))
}

fn system(what: &'static str) -> impl Fn(io::Error) -> BootError {
    move |error| BootError::System { what, error }
}
