//! One shard's thread: turns around the pure core, by the calling contract of the `shard` crate.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::commit::{Batch, Quota};
use protocol::hop::Hop;
use protocol::query::{Answer, Query, ReadFault};
use protocol::token::Key;
use protocol::{ShardId, UserId};
use push::outbox::Bell;
use shard::{Effect, Fault, GuestId, Input, Shard, Tick, Ticket};

use crate::clock::{Clock, Now};
use crate::driver::budget::{LOOK_EVERY, TIME_PER_TURN};
use crate::driver::{self, Driver, Io, Setup, Sockets, Told, epoll::Epoll, kernel::Kernel, uring::Uring};
use crate::handover::Parcel;
use crate::latency::{Latency, Stopwatch};
use crate::mesh::{GuestReply, Mailbox, Outlet, Post, Reply, Visitor};
use crate::polls::{self, Polls, is_poll};
use crate::watchdog::Pulse;
use crate::words::{Flagged, Flagging};

/// Posts taken in one turn; the rest comes in the next.
const POSTS_PER_TURN: usize = 1024;
/// Hops taken in one turn; the rest comes in the next.
const HOPS_PER_TURN: usize = 4096;
/// How soon a handover is tried again that found the home's mailbox full.
const HANDOVER_RETRY_MS: u64 = 1;

/// Answers a query from memory, or `None` when that is not possible without touching the disk.
pub type Cached = Box<dyn FnMut(&Query) -> Option<Result<Answer, ReadFault>> + Send>;
/// Takes a batch and says the number through which the shard's batches are durable now, if that is known at once: where there is
/// no disk to wait for. Else [`Post::Stored`] says it.
pub type Append = Box<dyn FnMut(Batch) -> Option<u64> + Send>;
/// Told once.
pub type Once = Box<dyn FnOnce() + Send>;

/// A snapshot of one shard for metrics.
#[derive(Clone, Debug)]
pub struct ShardReport {
    /// Which shard.
    pub shard: ShardId,
    /// Everything that it has to read before it serves is read.
    pub is_ready: bool,
    /// A read that failed and that it waits for.
    pub resting: Option<shard::Resting>,
    /// What the core counts.
    pub core: shard::Counters,
    /// What the driver counts.
    pub driver: driver::Counters,
    /// What is counted of sessions by polls.
    pub polls: polls::Counters,
    /// Turns taken.
    pub turns: u64,
    /// Times the thread went to sleep.
    pub sleeps: u64,
    /// Hops that wait in the rings towards this shard now.
    pub hops_waiting_now: u64,
    /// Posts that wait for this shard now.
    pub posts_waiting_now: u64,
}

/// The core as a turn sees it: [`Shard`], or what a test puts in its place. The methods are those of [`Shard`].
#[allow(missing_docs)]
pub trait Core {
    fn begin_turn(&mut self, now: Tick, wall_ms: u64);
    fn step(&mut self, input: Input, effects: &mut Vec<Effect>);
    fn end_turn(&mut self, effects: &mut Vec<Effect>);
    fn poll_hop(&mut self, to: ShardId) -> Option<Hop>;
    fn has_hops(&self, to: ShardId) -> bool;
    fn next_deadline(&self) -> Option<Tick>;
    fn counters(&self) -> shard::Counters;
    fn resting(&self) -> Option<shard::Resting> {
        None
    }
    fn report_user(&self, _user: UserId, _stored: Quota) -> shard::UserReport {
        shard::UserReport::default()
    }
}

impl Core for Shard {
    fn begin_turn(&mut self, now: Tick, wall_ms: u64) {
        Self::begin_turn(self, now, wall_ms);
    }
    fn step(&mut self, input: Input, effects: &mut Vec<Effect>) {
        Self::step(self, input, effects);
    }
    fn end_turn(&mut self, effects: &mut Vec<Effect>) {
        Self::end_turn(self, effects);
    }
    fn poll_hop(&mut self, to: ShardId) -> Option<Hop> {
        Self::poll_hop(self, to)
    }
    fn has_hops(&self, to: ShardId) -> bool {
        Self::has_hops(self, to)
    }
    fn next_deadline(&self) -> Option<Tick> {
        Self::next_deadline(self)
    }
    fn counters(&self) -> shard::Counters {
        Self::counters(self)
    }
    fn resting(&self) -> Option<shard::Resting> {
        Self::resting(self)
    }
    fn report_user(&self, user: UserId, stored: Quota) -> shard::UserReport {
        Self::report_user(self, user, stored)
    }
}

/// Everything that one shard's thread is given. All functions are called on that thread and must not block.
pub struct ShardThread {
    /// For the core: which shard, where users live, limits, what is on disk.
    pub config: shard::Config,
    /// Where to listen once told [`Post::Listen`]: the same for every shard, from [`driver::reserve`].
    pub address: SocketAddr,
    /// Its own mailbox, through which it also finds the others.
    pub mailbox: Mailbox,
    /// The keys of valid tokens.
    pub keys: Arc<[Key]>,
    /// TLS of WebSockets; `None`: they are plain.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// QUIC's socket and secrets; `None`: TCP only.
    pub quic: Option<driver::Quic>,
    /// Bounds of the driver.
    pub limits: driver::Limits,
    /// Who may come in.
    pub door: Arc<driver::Door>,
    /// What is beneath the driver, from [`driver::choose`].
    pub io: Io,
    /// Asked first.
    pub cached: Cached,
    /// Gives a batch to the store.
    pub appender: Append,
    /// Gives a query to a reader thread, which posts [`Post::Read`].
    pub reader: Box<dyn FnMut(Ticket, Query) + Send>,
    /// Where the times of all shards are kept.
    pub latency: Arc<Latency>,
    /// Whom the shard tells of jobs of push.
    pub bell: Bell,
    /// Whom it tells of messages that hold a word of the operator's list.
    pub flagging: Flagging,
    /// Fan-out is replayed: the shard may be told to listen. Called once.
    pub on_ready: Once,
    /// After [`Post::Drain`]: every connection is closed, and whoever still takes something was sent its close code.
    /// Called once.
    pub on_drained: Once,
    /// Where turns are counted for the watchdog.
    pub pulse: Arc<Pulse>,
    /// Which processor to stay on, by the kernel's number. Best effort: a container may not allow it.
    pub pin_to: Option<usize>,
}

impl fmt::Debug for ShardThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardThread").field("shard", &self.config.shard).finish_non_exhaustive()
    }
}

impl ShardThread {
    /// Runs the shard on this thread until [`Post::Stop`].
    ///
    /// # Errors
    /// Of the kernel: no epoll or ring, no listener. The process should end.
    pub fn run(self) -> io::Result<()> {
        let core = Shard::new(self.config.clone());
        self.run_with(core)
    }

    /// The same with another core.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_with(self, core: impl Core) -> io::Result<()> {
        if let Some(processor) = self.pin_to {
            let mut set = rustix::thread::CpuSet::new();
            set.set(processor);
            let _ = rustix::thread::sched_setaffinity(None, &set);
        }
        let shard = self.config.shard;
        // A ring belongs to the thread that made it.
        match (self.io, (self.io != Io::Epoll).then(Uring::new)) {
            (_, Some(Ok(ring))) => self.run_over(ring, core),
            (Io::Uring, Some(Err(error))) => Err(error),
            (_, failed) => {
                if let Some(Err(error)) = failed {
                    tracing::warn!(%shard, %error, "this shard has no io_uring, and goes by epoll");
                }
                self.run_over(Epoll::new()?, core)
            }
        }
    }

    /// The same over an interface of the kernel.
    fn run_over(self, kernel: impl Kernel, core: impl Core) -> io::Result<()> {
        let setup = Setup {
            shard: self.config.shard,
            placement: self.config.placement,
            keys: self.keys.clone(),
            tls: self.tls,
            limits: self.limits.clone(),
            door: self.door.clone(),
        };
        let clock = Clock::start();
        let mut driver = Sockets::new(setup, kernel);
        if let Some(quic) = self.quic {
            driver.add_quic(quic, clock.now())?;
        }
        self.mailbox.hang_bell(driver.bell()?);
        self.pulse.begin();
        let others = self.mailbox.outlets().all().zip(0..).map(|(outlet, id)| (ShardId(id), outlet));
        let others = others.filter(|(id, _)| *id != self.config.shard).collect();
        Turns {
            now: clock.now(),
            clock,
            core,
            driver,
            polls: Polls::new(self.keys),
            others,
            told: Vec::new(),
            effects: Vec::new(),
            answers: Vec::new(),
            away: VecDeque::new(),
            replies: HashMap::new(),
            guests: HashMap::new(),
            next_ticket: 0,
            mailbox: self.mailbox,
            address: self.address,
            shard: self.config.shard,
            cached: self.cached,
            appender: self.appender,
            reader: self.reader,
            bell: self.bell,
            flagging: self.flagging,
            on_ready: Some(self.on_ready),
            on_drained: Some(self.on_drained),
            is_drained: false,
            is_stopped: false,
            stopwatch: Stopwatch::new(self.latency, self.config.shard),
            pulse: self.pulse,
            turns: 0,
            turns_cut: 0,
            sleeps: 0,
        }
        .run()
    }
}

/// The loop's state.
struct Turns<C, D> {
    shard: ShardId,
    mailbox: Mailbox,
    address: SocketAddr,
    cached: Cached,
    appender: Append,
    reader: Box<dyn FnMut(Ticket, Query) + Send>,
    core: C,
    driver: D,
    polls: Polls,
    clock: Clock,
    now: Now,
    others: Vec<(ShardId, Outlet)>,
    /// What the driver told and the core was not stepped with yet.
    told: Vec<Told>,
    effects: Vec<Effect>,
    /// Queries answered and batches stored inline: inputs of the next turn.
    answers: Vec<Input>,
    /// Handovers that found the home's mailbox full.
    away: VecDeque<(ShardId, Box<Parcel>)>,
    replies: HashMap<Ticket, Reply>,
    /// Who waits for a guest's answer.
    guests: HashMap<GuestId, GuestReply>,
    next_ticket: u64,
    bell: Bell,
    flagging: Flagging,
    on_ready: Option<Once>,
    on_drained: Option<Once>,
    /// The core has said so.
    is_drained: bool,
    is_stopped: bool,
    stopwatch: Stopwatch,
    pulse: Arc<Pulse>,
    turns: u64,
    /// Turns whose posts or hops took too long.
    turns_cut: u64,
    sleeps: u64,
}

impl<C: Core, D: Driver> Turns<C, D> {
    fn run(mut self) -> io::Result<()> {
        while !self.is_stopped {
            self.wait()?;
            self.turn()?;
            self.pulse.turn(self.turns);
        }
        self.pulse.end();
        Ok(())
    }

    /// Sleeps until something happens, if nothing has; then lets the driver read.
    fn wait(&mut self) -> io::Result<()> {
        let timeout = self.timeout();
        if timeout != Some(Duration::ZERO) {
            self.sleeps += 1;
        }
        let clock = self.clock;
        let mut woke = None;
        let mut now = || {
            let now = clock.now();
            woke.get_or_insert(now.at);
            now
        };
        self.driver.poll(timeout, &mut now, &mut self.told)?;
        // Whoever was told of space in a ring towards another shard tries again at the end of this turn anyway.
        let _ = self.mailbox.get_up();
        self.now = self.clock.now();
        self.stopwatch.woke(woke.unwrap_or(self.now.at));
        Ok(())
    }

    fn timeout(&mut self) -> Option<Duration> {
        if !self.told.is_empty() || !self.answers.is_empty() {
            return Some(Duration::ZERO);
        }
        let now_ms = self.clock.now().tick.0;
        let retry = (!self.away.is_empty()).then_some(now_ms + HANDOVER_RETRY_MS);
        let core = self.core.next_deadline().map(|tick| tick.0);
        let deadline = [retry, core, self.driver.next_deadline(), self.polls.next_deadline()]
            .into_iter()
            .flatten()
            .min();
        if deadline.is_some_and(|deadline| deadline <= now_ms) || !self.mailbox.lie_down() {
            return Some(Duration::ZERO);
        }
        deadline.map(|deadline| Duration::from_millis(deadline - now_ms))
    }

    fn turn(&mut self) -> io::Result<()> {
        self.turns += 1;
        self.core.begin_turn(self.now.tick, self.now.wall_ms);
        for answer in std::mem::take(&mut self.answers) {
            self.step(answer);
        }
        self.step_told();
        let mut is_cut = false;
        let since = self.now.at;
        for taken in 1..=POSTS_PER_TURN {
            let Some(post) = self.mailbox.next_post() else { break };
            self.on_post(post)?;
            if self.is_late(taken, since) {
                is_cut = true;
                break;
            }
        }
        // Hops have time of their own: however many posts there are, some hops are taken.
        let since = self.clock.now().at;
        for taken in 1..=HOPS_PER_TURN {
            if self.is_late(taken, since) {
                is_cut = true;
                break;
            }
            let Some((from, hop)) = self.mailbox.next_hop() else { break };
            self.step(Input::Hop { from, hop });
        }
        self.turns_cut += u64::from(is_cut);
        let before = self.effects.len();
        self.core.end_turn(&mut self.effects);
        self.stopwatch.looks(self.effects.get(before..).unwrap_or_default(), true);
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            self.carry_out(effect);
        }
        self.effects = effects;
        self.driver.flush(self.now, &mut self.told);
        self.polls.flush(self.now, &mut self.told);
        self.stopwatch.flushed(|| self.clock.now().at);
        self.send_hops();
        self.send_away();
        self.tell_drained();
        Ok(())
    }

    /// The core is done before the last close code has left: the process must not end in between.
    fn tell_drained(&mut self) {
        if self.is_drained
            && self.driver.is_idle()
            && self.polls.is_idle()
            && let Some(on_drained) = self.on_drained.take()
        {
            on_drained();
        }
    }

    /// Whether so many posts or hops have used up their time. The clock is looked at seldom.
    fn is_late(&self, taken: usize, since: Instant) -> bool {
        taken.is_multiple_of(LOOK_EVERY) && self.clock.now().at >= since + TIME_PER_TURN
    }

    /// Steps the core with what the driver told, in order.
    fn step_told(&mut self) {
        let mut told = std::mem::take(&mut self.told);
        for told in told.drain(..) {
            match told {
                Told::Input(input) => self.step(input),
                Told::Away { home, parcel } => self.away.push_back((home, parcel)),
            }
        }
        self.told = told;
    }

    fn step(&mut self, input: Input) {
        let is_live = self.stopwatch.notes(&input);
        let before = self.effects.len();
        self.core.step(input, &mut self.effects);
        self.stopwatch.looks(self.effects.get(before..).unwrap_or_default(), is_live);
    }

    fn on_post(&mut self, post: Post) -> io::Result<()> {
        let input = match post {
            Post::Handover(parcel) => {
                self.driver.take_over(self.now, *parcel, &mut self.told);
                self.step_told();
                return Ok(());
            }
            Post::Stored { number } => Input::Stored { number },
            Post::Read { ticket, answer } => Input::Read { ticket, answer: *answer },
            Post::Control { command, reply } => {
                self.next_ticket += 1;
                let ticket = Ticket(self.next_ticket);
                self.replies.insert(ticket, reply);
                Input::Control { ticket, command }
            }
            Post::Purge { channel, keeping, reply } => {
                self.next_ticket += 1;
                let ticket = Ticket(self.next_ticket);
                self.replies.insert(ticket, reply);
                Input::Purge { ticket, channel, keeping }
            }
            Post::Erase { channel, user, reply } => {
                self.next_ticket += 1;
                let ticket = Ticket(self.next_ticket);
                self.replies.insert(ticket, reply);
                Input::Erase { ticket, channel, user }
            }
            Post::Guest(visitor) => {
                let Visitor { guest, hello, frame, reply } = *visitor;
                self.guests.insert(guest, reply);
                Input::Guest { guest, hello, frame }
            }
            Post::GuestGone(guest) => {
                self.guests.remove(&guest);
                Input::GuestGone { guest }
            }
            Post::SpaceLow(is_low) => Input::SpaceLow(is_low),
            Post::Words(words) => Input::Words(Some(words)),
            Post::Providers(providers) => Input::Providers(providers),
            Post::Poll(polling) => {
                self.polls.ask(self.now, *polling, &mut self.told);
                self.step_told();
                return Ok(());
            }
            Post::Keys { keys, taken } => {
                self.polls.take_keys(keys.clone());
                self.driver.take_keys(keys);
                taken();
                return Ok(());
            }
            Post::Listen => return self.driver.listen(self.address).map(|_| ()),
            Post::Drain => {
                self.driver.stop_listening(self.now, &mut self.told);
                Input::Drain
            }
            Post::Stop => {
                self.is_stopped = true;
                return Ok(());
            }
            Post::Inspect(tell) => {
                tell(self.report());
                return Ok(());
            }
            Post::LookAt { user, stored, tell } => {
                tell(self.core.report_user(user, stored));
                return Ok(());
            }
        };
        self.step(input);
        Ok(())
    }

    fn report(&self) -> ShardReport {
        let (posts, hops) = self.mailbox.waiting();
        let mut driver = self.driver.counters();
        driver.turns_cut += self.turns_cut;
        ShardReport {
            shard: self.shard,
            is_ready: self.on_ready.is_none(),
            resting: self.core.resting(),
            core: self.core.counters(),
            driver,
            polls: self.polls.counters(),
            turns: self.turns,
            sleeps: self.sleeps,
            hops_waiting_now: hops as u64,
            posts_waiting_now: posts as u64,
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Transmit { conn, frames } if is_poll(conn) => self.polls.transmit(conn, frames),
            Effect::Close { conn, code } if is_poll(conn) => {
                self.polls.close(self.now, conn, code, &mut self.told);
            }
            Effect::Pause { conn } if is_poll(conn) => self.polls.pause(conn),
            Effect::Resume { conn } if is_poll(conn) => self.polls.resume(self.now, conn, &mut self.told),
            Effect::Transmit { conn, frames } => self.driver.transmit(conn, frames),
            Effect::Close { conn, code } => self.driver.close(self.now, conn, code, &mut self.told),
            Effect::Pause { conn } => self.driver.pause(conn),
            Effect::Resume { conn } => self.driver.resume(self.now, conn, &mut self.told),
            Effect::Append(batch) => {
                let stored = (self.appender)(batch);
                self.answers.extend(stored.map(|number| Input::Stored { number }));
            }
            Effect::Read { ticket, query } => match (self.cached)(&query) {
                Some(answer) => self.answers.push(Input::Read { ticket, answer }),
                None => (self.reader)(ticket, query),
            },
            Effect::Reply { ticket, outcome } => {
                if let Some(reply) = self.replies.remove(&ticket) {
                    reply(outcome);
                }
            }
            Effect::Push { user, channel } => self.bell.ring((user, channel)),
            Effect::Flagged { channel, seq, sender } => self.flagging.tell(Flagged { channel, seq, sender }),
            Effect::Answered { guest, frames } => {
                if let Some(reply) = self.guests.remove(&guest) {
                    reply(Ok(frames));
                }
            }
            Effect::Dismissed { guest, code } => {
                if let Some(reply) = self.guests.remove(&guest) {
                    reply(Err(code));
                }
            }
            Effect::Fault(Fault::Impossible { what }) => crate::fatal::impossible(self.shard, what),
            Effect::Fault(Fault::Unreadable(fault)) => crate::fatal::unreadable(self.shard, &fault),
            Effect::Ready => {
                if let Some(on_ready) = self.on_ready.take() {
                    on_ready();
                }
            }
            Effect::Drained => self.is_drained = true,
        }
    }

    /// Moves hops from the core into the rings for as long as these have space. The others wait in the core, which
    /// decides what becomes of them; the first space in a full ring wakes this thread.
    fn send_hops(&mut self) {
        for (to, outlet) in &self.others {
            while self.core.has_hops(*to) && outlet.has_space(self.shard) {
                let Some(hop) = self.core.poll_hop(*to) else { break };
                // This thread alone fills the ring, so the space that was seen is still there.
                let sent = outlet.try_hop(self.shard, hop);
                debug_assert!(sent.is_ok(), "somebody else fills this ring");
            }
        }
    }

    /// Posts handovers. A shard must not wait for another one's mailbox, so what does not fit is tried again.
    fn send_away(&mut self) {
        for _ in 0..self.away.len() {
            let Some((home, parcel)) = self.away.pop_front() else { break };
            let outlet = self.others.iter().find(|(id, _)| *id == home);
            // Without such a shard the parcel is dropped, which closes the socket: the device connects again.
            let Some((_, outlet)) = outlet else { continue };
            if let Err(Post::Handover(parcel)) = outlet.try_post(Post::Handover(parcel)) {
                self.away.push_back((home, parcel));
            }
        }
    }
}
