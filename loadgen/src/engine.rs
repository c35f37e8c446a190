//! One thread that drives tens of thousands of devices.
//!
//! A turn waits for the kernel, reads what came, does what is due by the clock, and writes once per device that has
//! something to say. Times of the open loop come from a timerfd, because epoll counts in whole milliseconds.

mod device;
mod dial;
mod phases;
mod presence;
mod storm;
mod traffic;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::io;
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use protocol::{ChannelId, UserId};
use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::cast::Cast;
use crate::clock::{MS, SECOND, cpu_ns, now_ns, seconds};
use crate::draws::Draws;
use crate::ledger::Ledger;
use crate::link::{Kit, Lost};
use crate::meter::{Interval, Phase};
use crate::pace::Pace;
use crate::text::{NONCE_BITS, Writer};
use crate::wire::{Line, Outcome, Spec, Word};
use device::{Device, Stands};
use storm::Storm;

const EVENTS_PER_TURN: usize = 1024;
const TIMER: Token = Token(usize::MAX);
const BELL: Token = Token(usize::MAX - 1);
/// Length of an interval.
const INTERVAL_NS: u64 = SECOND;
/// While connecting: memory over connections needs points.
const CONNECT_INTERVAL_NS: u64 = SECOND / 5;

/// A worker's whole state.
#[derive(Debug)]
pub(crate) struct Engine {
    spec: Spec,
    nonce: u32,
    cast: Cast,
    devices: Vec<Device>,
    group_channels: HashMap<ChannelId, u32>,
    /// Who is still to be added to a group.
    to_add: HashMap<u32, Vec<UserId>>,
    /// Devices and large channels that they follow.
    following: HashSet<(u32, ChannelId)>,
    ledger: Option<Ledger>,
    poll: Poll,
    timer: OwnedFd,
    timer_ns: u64,
    /// Devices by their next deadline in milliseconds, each once at most.
    timers: BTreeSet<(u64, u32)>,
    dirty: Vec<u32>,
    /// Devices that want a connection, and since when.
    dials: VecDeque<(u32, u64)>,
    dialing: u32,
    dialed: u64,
    kit: Kit,
    draws: Draws,
    writer: Writer,
    text_bounds: Vec<f64>,
    sends: Option<Pace>,
    cuts: Option<Pace>,
    /// Devices that are left alone, or not any more.
    flips: Option<Pace>,
    flipped: usize,
    storms_ns: Vec<u64>,
    /// The latest storm.
    storm: Storm,
    /// Closed loops go on.
    is_looping: bool,
    next_number: u64,
    /// Latencies count for messages intended in here.
    window_ns: (u64, u64),
    interval: Interval,
    interval_begin_ns: u64,
    phase_begin_ns: u64,
    cpu_before_ns: u64,
    connected: u64,
    been_live: u64,
    created: usize,
    unacked: u64,
    owed: u64,
    delivered: u64,
    last_delivery_ns: u64,
    last_progress_ns: u64,
    last_error: String,
    outcome: Outcome,
    fatal: Option<String>,
    lines: Sender<Line>,
    words: Option<Receiver<Word>>,
    /// When load begins, once the coordinator has said it.
    begin_ns: Option<u64>,
}

impl Engine {
    /// A worker that has not dialled yet. Also gives what wakes it from another thread.
    ///
    /// # Errors
    /// Words.
    pub(crate) fn new(mut spec: Spec, lines: Sender<Line>) -> Result<(Self, Waker), String> {
        let words = |error: io::Error| format!("epoll: {error}");
        let users: Vec<UserId> = spec.logins.iter().map(|login| UserId(login.user)).collect();
        let cast = Cast::new(&spec.scenario, &users)?;
        let mut draws = Draws::new(spec.seed);
        let nonce = u32::try_from(draws.next() >> (64 - NONCE_BITS)).unwrap_or(0);
        let logins = std::mem::take(&mut spec.logins).into_iter();
        let devices: Vec<Device> = logins.map(|login| Device::new(login, draws.next())).collect();
        let ledger = spec.verify.then(|| Ledger::new(nonce, now_ns(), users, &cast.channels));
        let poll = Poll::new().map_err(words)?;
        let waker = Waker::new(poll.registry(), BELL).map_err(words)?;
        let timer = timer(&poll)?;
        let mut sum = 0.0;
        let text_bounds = spec.scenario.texts.iter().map(|texts| {
            sum += texts.weight;
            sum
        });
        let (text_bounds, now) = (text_bounds.collect(), now_ns());
        let kit = Kit::new(&spec, now)?;
        let engine = Self {
            nonce,
            cast,
            devices,
            group_channels: HashMap::new(),
            to_add: HashMap::new(),
            following: HashSet::new(),
            ledger,
            poll,
            timer,
            timer_ns: 0,
            timers: BTreeSet::new(),
            dirty: Vec::new(),
            dials: VecDeque::new(),
            dialing: 0,
            dialed: 0,
            kit,
            draws,
            writer: Writer::new(),
            text_bounds,
            sends: None,
            cuts: None,
            flips: None,
            flipped: 0,
            storms_ns: Vec::new(),
            storm: Storm::default(),
            is_looping: false,
            next_number: 0,
            window_ns: (u64::MAX, u64::MAX),
            interval: Interval::new(Phase::Connect, 0),
            interval_begin_ns: now,
            phase_begin_ns: now,
            cpu_before_ns: cpu_ns(),
            connected: 0,
            been_live: 0,
            created: 0,
            unacked: 0,
            owed: 0,
            delivered: 0,
            last_delivery_ns: now,
            last_progress_ns: now,
            last_error: String::new(),
            outcome: Outcome::default(),
            fatal: None,
            lines,
            words: None,
            begin_ns: None,
            spec,
        };
        Ok((engine, waker))
    }

    /// Waits, reads, does what is due, writes. Comes back at `until_ns` at the latest.
    fn turn(&mut self, events: &mut Events, until_ns: u64) -> Result<(), String> {
        let now = now_ns();
        self.arm(now);
        let deadline = until_ns.min(self.interval_end_ns()).min(self.next_timer_ns());
        let wait_ns = if self.next_event_ns() <= now { 0 } else { deadline.saturating_sub(now) };
        let wait = Duration::from_nanos(wait_ns.next_multiple_of(MS));
        match self.poll.poll(events, Some(wait)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(format!("epoll: {error}"));
            }
            _ => {}
        }
        for event in events.iter() {
            match event.token() {
                BELL => self.listen(),
                TIMER => self.quiet_timer(),
                Token(number) => {
                    let device = u32::try_from(number).unwrap_or(u32::MAX);
                    self.on_ready(device, event.is_readable() || event.is_read_closed(), event.is_writable());
                }
            }
        }
        let now = now_ns();
        self.on_due(now);
        self.pump_dials(now);
        self.send_due(now);
        self.flip_due(now);
        self.flush();
        if now >= self.interval_end_ns() {
            self.rotate(now);
        }
        match self.fatal.take() {
            Some(words) => Err(words),
            None => Ok(()),
        }
    }

    /// The coordinator has said something.
    fn listen(&mut self) {
        while let Some(word) = self.words.as_ref().and_then(|words| words.try_recv().ok()) {
            match word {
                Word::Go { at_ns } => self.begin_ns = Some(at_ns),
                Word::Stop if self.begin_ns.is_some() => {
                    self.outcome.cut_short = Some("stopped by a signal".into())
                }
                Word::Stop => self.fatal = Some("stopped by a signal before load began".into()),
            }
        }
    }

    fn interval_end_ns(&self) -> u64 {
        let length = if self.interval.phase == Phase::Connect { CONNECT_INTERVAL_NS } else { INTERVAL_NS };
        self.interval_begin_ns + length
    }

    /// The next thing that the schedule wants to the nanosecond.
    fn next_event_ns(&self) -> u64 {
        let dial = self.dials.front().filter(|_| self.may_dial()).map(|(_, at)| *at);
        let paces = [&self.sends, &self.cuts, &self.flips].into_iter().flatten().map(Pace::next_ns);
        let storm = if self.storm.is_breaking() { Some(0) } else { self.storms_ns.last().copied() };
        paces.chain(dial).chain(storm).min().unwrap_or(u64::MAX)
    }

    fn arm(&mut self, now: u64) {
        let next = self.next_event_ns();
        if next == self.timer_ns || next == u64::MAX || next <= now {
            return;
        }
        self.timer_ns = next;
        let value = Timespec {
            tv_sec: i64::try_from(next / SECOND).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(next % SECOND).unwrap_or(0),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        // It fails only for values that are no times.
        let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once);
    }

    fn quiet_timer(&mut self) {
        let mut ticks = [0; 8];
        let _ = rustix::io::read(&self.timer, &mut ticks);
        self.timer_ns = 0;
    }

    fn next_timer_ns(&self) -> u64 {
        self.timers.first().map_or(u64::MAX, |(at_ms, _)| at_ms.saturating_mul(MS))
    }

    /// Sessions and connections whose time has come.
    fn on_due(&mut self, now: u64) {
        let now_ms = now / MS;
        while let Some((_, device)) = self.timers.first().copied().filter(|(at_ms, _)| *at_ms <= now_ms) {
            self.timers.pop_first();
            let Self { devices, kit, .. } = self;
            let Some(entry) = devices.get_mut(device as usize) else { continue };
            entry.timer_ms = u64::MAX;
            let outcome = match &mut entry.link {
                Some(link) => link.on_deadline(kit, now),
                None => Ok(false),
            };
            if entry.session.next_deadline().is_some_and(|deadline| deadline <= now_ms) {
                entry.session.tick(now_ms);
            }
            self.come_back(device, now);
            self.take(device, outcome, now);
        }
    }

    /// After anything happened to a device: its events, its timer, its turn to write.
    fn settle(&mut self, device: u32, now: u64) {
        while let Some(event) = self.device(device).and_then(|entry| entry.session.poll_event()) {
            self.on_event(device, event, now);
        }
        self.set_timer(device, now);
        let Some(entry) = self.devices.get_mut(device as usize) else { return };
        if entry.link.is_some() && !entry.is_dirty {
            entry.is_dirty = true;
            self.dirty.push(device);
        }
    }

    /// Sees to it that a device is looked at in time.
    fn set_timer(&mut self, device: u32, now: u64) {
        let Self { devices, kit, timers, .. } = self;
        let Some(entry) = devices.get_mut(device as usize) else { return };
        let mut next = entry.session.next_deadline().unwrap_or(u64::MAX);
        if let Some(link) = &mut entry.link {
            next = next.min(link.deadline_ms(kit).unwrap_or(u64::MAX));
        } else if !entry.is_queued && entry.away_until_ms > 0 {
            next = next.min(entry.away_until_ms);
        }
        // Never now: a deadline that does not move must not hold the loop.
        next = next.max(now / MS + 1);
        if next < entry.timer_ms {
            timers.remove(&(entry.timer_ms, device));
            timers.insert((next, device));
            entry.timer_ms = next;
        }
    }

    fn device(&mut self, device: u32) -> Option<&mut Device> {
        self.devices.get_mut(device as usize)
    }

    /// One write per device.
    fn flush(&mut self) {
        let now = now_ns();
        while let Some(device) = self.dirty.pop() {
            let Self { devices, kit, .. } = self;
            let Some(entry) = devices.get_mut(device as usize) else { continue };
            entry.is_dirty = false;
            let Device { session, link: Some(link), .. } = entry else { continue };
            let written = link.write(kit, now, || session.poll_transmit());
            let is_paced = session.waits_for_pace();
            let is_timed = is_paced || link.deadline_ms(kit).is_some();
            self.outcome.paced += u64::from(is_paced);
            match written {
                Ok(()) if is_timed => self.set_timer(device, now),
                Ok(()) => {}
                Err(lost) => self.lose(device, lost, now),
            }
        }
    }

    /// The kernel has something for a device.
    fn on_ready(&mut self, device: u32, readable: bool, writable: bool) {
        let now = now_ns();
        let Self { devices, kit, .. } = self;
        let Some(Device { link: Some(link), is_stalled, .. }) = devices.get_mut(device as usize) else {
            return;
        };
        let outcome = link.on_ready(kit, readable && !*is_stalled, writable, now);
        self.take(device, outcome, now);
    }

    /// What a connection gave: its opening, frames, its end.
    fn take(&mut self, device: u32, outcome: Result<bool, Lost>, now: u64) {
        if matches!(outcome, Ok(true)) {
            self.on_open(device, now);
        }
        let mut frames = std::mem::take(&mut self.kit.frames);
        for frame in frames.drain(..) {
            self.count_frame(&frame);
            if let Some(entry) = self.device(device) {
                entry.session.receive(now / MS, frame);
            }
        }
        self.kit.frames = frames;
        self.settle(device, now);
        if let Err(lost) = outcome {
            self.lose(device, lost, now);
        }
    }

    /// Closes the interval and begins another.
    fn rotate(&mut self, now: u64) {
        let Interval { phase, index, .. } = self.interval;
        let mut done = std::mem::replace(&mut self.interval, Interval::new(phase, index + 1));
        let cpu = cpu_ns();
        done.begin_s = seconds(self.interval_begin_ns.saturating_sub(self.phase_begin_ns));
        done.seconds = seconds(now.saturating_sub(self.interval_begin_ns));
        done.connected = self.connected;
        done.cpu_s = seconds(cpu.saturating_sub(self.cpu_before_ns));
        self.cpu_before_ns = cpu;
        self.interval_begin_ns = now;
        // The coordinator is gone only when the run is being given up.
        let _ = self.lines.send(Line::Interval(Box::new(done)));
    }

    fn enter(&mut self, phase: Phase, now: u64) {
        if now > self.interval_begin_ns {
            self.rotate(now);
        }
        self.interval = Interval::new(phase, 0);
        self.phase_begin_ns = now;
    }

    fn is_welcomed(&self, device: u32) -> bool {
        self.devices.get(device as usize).is_some_and(|entry| entry.stands == Stands::Welcomed)
    }
}

/// The timer of a worker, whose end wakes the poll.
fn timer(poll: &Poll) -> Result<OwnedFd, String> {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)
        .map_err(|error| format!("timerfd: {error}"))?;
    let mut source = SourceFd(&timer.as_raw_fd());
    mio::event::Source::register(&mut source, poll.registry(), TIMER, Interest::READABLE)
        .map_err(|error| format!("epoll: {error}"))?;
    Ok(timer)
}
