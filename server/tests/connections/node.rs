//! Shard threads around the echo.

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use protocol::{Placement, ShardId, UserId};
use server::driver::{self, Counters, Door, Io, Limits};
use server::mesh::{self, Outlets, Post, Reply};
use server::turn::{Core, ShardReport, ShardThread};
use server::watchdog::Pulse;
use shard::Command;

use crate::device;
use crate::echo::{Echo, Seen};
use crate::ports;

/// Ends a test that has failed; decides nothing else.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is beneath the drivers: epoll, unless `E2E_IO` says otherwise.
pub fn io() -> Io {
    if std::env::var("E2E_IO").as_deref() == Ok("uring") { Io::Uring } else { Io::Epoll }
}

pub struct Node {
    pub address: SocketAddr,
    pub placement: Placement,
    pub outlets: Outlets,
    pub pulses: Vec<Arc<Pulse>>,
    seen: Vec<Arc<Mutex<Seen>>>,
    threads: Vec<JoinHandle<()>>,
    drained: Receiver<()>,
    readies: Receiver<()>,
}

impl Node {
    /// A node of echoes.
    pub fn start(shards: u16, limits: Limits) -> Self {
        Self::behind(Door::default(), shards, limits)
    }

    /// The same with proxies in front.
    pub fn behind(door: Door, shards: u16, limits: Limits) -> Self {
        let seen: Vec<Arc<Mutex<Seen>>> = (0..shards).map(|_| Arc::default()).collect();
        let cores = seen.clone();
        let core = move |shard: ShardId| Echo {
            shard,
            seen: cores[usize::from(shard.0)].clone(),
            open: Default::default(),
            paused: Vec::new(),
            turn: 0,
            in_turn: 0,
            is_draining: false,
            was_ready: false,
            was_drained: false,
        };
        let node = Self::start_behind(door, shards, limits, seen, core);
        for _ in 0..shards {
            node.readies.recv_timeout(PATIENCE).unwrap();
        }
        node.outlets.all().for_each(|outlet| outlet.post(Post::Listen));
        // Behind Listen in every mailbox: once answered, all listen.
        (0..shards).for_each(|shard| {
            node.report(shard);
        });
        node
    }

    /// A node of other cores, which does not listen.
    pub fn start_with<C: Core + Send + 'static>(
        shards: u16,
        limits: Limits,
        seen: Vec<Arc<Mutex<Seen>>>,
        core: impl Fn(ShardId) -> C,
    ) -> Self {
        Self::start_behind(Door::default(), shards, limits, seen, core)
    }

    fn start_behind<C: Core + Send + 'static>(
        door: Door,
        shards: u16,
        limits: Limits,
        seen: Vec<Arc<Mutex<Seen>>>,
        core: impl Fn(ShardId) -> C,
    ) -> Self {
        let reserved = driver::reserve(ports::own("127.0.0.1:0").parse().unwrap()).unwrap();
        let placement = Placement::new(shards).unwrap();
        let (mailboxes, outlets) = mesh::build(shards);
        let (ready, readies) = mpsc::channel();
        let (drain, drained) = mpsc::channel();
        let (mut threads, mut pulses) = (Vec::new(), Vec::new());
        for mailbox in mailboxes {
            let (ready, drain) = (ready.clone(), drain.clone());
            let pulse = Arc::<Pulse>::default();
            pulses.push(pulse.clone());
            let core = core(mailbox.shard());
            let thread = ShardThread {
                config: shard::Config {
                    shard: mailbox.shard(),
                    placement,
                    limits: shard::Limits::default(),
                    own: Vec::new(),
                    fanout_heads: Vec::new(),
                    seed: 1,
                },
                address: reserved.address,
                mailbox,
                keys: [device::key()].into(),
                tls: None,
                quic: None,
                limits: limits.clone(),
                door: Arc::new(door.clone()),
                io: io(),
                cached: Box::new(|_| None),
                appender: Box::new(|_| None),
                reader: Box::new(|_, _| {}),
                latency: Arc::default(),
                bell: push::outbox::bell().0,
                flagging: server::words::flagging().0,
                on_ready: Box::new(move || ready.send(()).unwrap()),
                on_drained: Box::new(move || drain.send(()).unwrap()),
                pulse,
                pin_to: Some(0),
            };
            threads.push(std::thread::spawn(move || thread.run_with(core).unwrap()));
        }
        Self { address: reserved.address, placement, outlets, pulses, seen, threads, drained, readies }
    }

    pub fn report(&self, shard: u16) -> ShardReport {
        let (tell, told) = mpsc::channel();
        let inspect = Post::Inspect(Box::new(move |report| tell.send(report).unwrap()));
        self.outlets.to(ShardId(shard)).unwrap().post(inspect);
        told.recv_timeout(PATIENCE).unwrap()
    }

    /// Stops a shard's thread until the sender is dropped.
    pub fn hold(&self, shard: u16) -> mpsc::Sender<()> {
        let (hold, held) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let wait = move |_| {
            tell.send(()).unwrap();
            let _ = held.recv();
        };
        self.outlets.to(ShardId(shard)).unwrap().post(Post::Inspect(Box::new(wait)));
        told.recv_timeout(PATIENCE).unwrap();
        hold
    }

    pub fn counters(&self, shard: u16) -> Counters {
        self.report(shard).driver
    }

    pub fn echo(&self, shard: u16) -> Seen {
        *self.seen[usize::from(shard)].lock().unwrap()
    }

    pub fn control(&self, shard: u16, reply: Reply) {
        let command = Command::RemoveDevice { user: UserId(1), device: protocol::DeviceId(1) };
        self.outlets.to(ShardId(shard)).unwrap().post(Post::Control { command, reply });
    }

    pub fn drain(&self) {
        self.outlets.all().for_each(|outlet| outlet.post(Post::Drain));
    }

    pub fn wait_drained(&self) {
        for _ in &self.threads {
            self.drained.recv_timeout(PATIENCE).unwrap();
        }
    }

    /// Looks again until it is so.
    pub fn until(&self, is_so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert!(start.elapsed() < PATIENCE, "{:?}", self.report(0));
            std::thread::yield_now();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.outlets.all().for_each(|outlet| outlet.post(Post::Stop));
        for thread in self.threads.drain(..) {
            let outcome = thread.join();
            assert!(outcome.is_ok() || std::thread::panicking(), "a shard's thread panicked");
        }
    }
}
