//! Sessions whose devices ask by HTTP: on the thread of their user's home, beside the driver and to the core just like its
//! connections. The control plane brings requests ([`crate::mesh::Post::Poll`]) and takes answers to HTTP; it keeps the time that
//! a request waits, for it has timers, and this room has none but for farewells.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use edge::poll::{Answer, Misplaced, Poll, Taken};
use edge::{Event, Flow, Moment};
use protocol::token::Key;
use protocol::{CloseCode, Closes, DeviceId, Rejects, UserId};
use shard::{ConnId, Input};

use crate::clock::Now;
use crate::driver::Told;

/// Most sessions of a shard.
pub const SESSIONS_MAX: usize = 65_536;
/// How long a session that has ended is kept for a device that does not wait just then, milliseconds: one that asks every ten
/// seconds hears why.
const FAREWELL_MS: u64 = 30_000;
/// Set in the connection numbers of polls; the drivers' tables end below.
const POLL: u64 = ConnId::END >> 2;

/// The connection number of the node's so-manyth session.
#[must_use]
pub fn conn_of(number: u64) -> ConnId {
    ConnId((number % POLL) | POLL)
}

/// Whether a connection is a poll's.
pub(crate) fn is_poll(conn: ConnId) -> bool {
    conn.0 & (ConnId::END >> 1) == 0 && conn.0 & POLL != 0
}

/// Why a request is not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotPolled {
    /// There is no such session here, or no more.
    Unknown,
    /// The session waits for another request.
    Number {
        /// This one.
        expected: u64,
    },
    /// The same request came again: its answer goes to whoever asked last.
    Repeated,
    /// Not now: the session is to say no more, or too many have one.
    Busy,
}

/// The answer to a request.
pub type PollReply = Box<dyn FnOnce(Result<Answer, NotPolled>) + Send>;

/// What the control plane brings.
pub enum Polling {
    /// A request; the first begins the session. `reply` is called on the shard's thread: it must be short and must not block.
    Request {
        /// Which session.
        conn: ConnId,
        /// Whose token came with it.
        device: (UserId, DeviceId),
        /// From 1.
        number: u64,
        /// Whole frames.
        frames: Bytes,
        /// Told the answer.
        reply: PollReply,
    },
    /// A request has waited long enough: it is answered with what there is.
    Enough {
        /// Which session.
        conn: ConnId,
        /// Which.
        number: u64,
    },
    /// Whoever waited for the answer to a request is gone. A lost one is made up for when the answer finds nobody: it is kept.
    Gone {
        /// Which session.
        conn: ConnId,
        /// Which.
        number: u64,
    },
    /// The device ends its session.
    End {
        /// Which session.
        conn: ConnId,
        /// Whose token came with it.
        device: (UserId, DeviceId),
    },
}

/// For the operator; all rise for ever except those named `_now`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Sessions begun.
    pub begun: u64,
    /// Requests taken.
    pub requests: u64,
    /// Answers without a frame: the time was over, or the device asked for what there was.
    pub empty: u64,
    /// Requests that came again.
    pub repeated: u64,
    /// Requests that were not the session's next, or whose session was not there.
    pub misplaced: u64,
    /// Sessions refused because there were too many.
    pub refused_full: u64,
    /// Bytes of requests.
    pub bytes_read: u64,
    /// Bytes of answers.
    pub bytes_written: u64,
    /// Frames that the edge refused.
    pub rejects: Rejects,
    /// How sessions ended.
    pub closes: Closes,
    /// Sessions now.
    pub sessions_now: u64,
    /// Of them, those whose device waits for an answer.
    pub waiting_now: u64,
}

struct Entry {
    /// Whose it is: nobody else asks in it, and its Hello names no other.
    device: (UserId, DeviceId),
    poll: Poll,
    /// Who is to be told the answer to the request that waits.
    waiter: Option<PollReply>,
    /// The core has been told Hello and not yet Closed.
    is_known: bool,
    is_dirty: bool,
    /// What the core was told to be waiting.
    told_queued: usize,
    /// Its end is in the counters and in `farewells`.
    is_over: bool,
}

/// Those of one shard.
pub(crate) struct Polls {
    keys: Arc<[Key]>,
    entries: HashMap<ConnId, Entry>,
    /// The newest session of each device: it has no other.
    of_device: HashMap<(UserId, DeviceId), ConnId>,
    /// Those to look at in the next flush.
    dirty: Vec<ConnId>,
    /// Those that have ended, and when they are forgotten, milliseconds.
    farewells: VecDeque<(u64, ConnId)>,
    counters: Counters,
}

impl Polls {
    pub(crate) fn new(keys: Arc<[Key]>) -> Self {
        Self {
            keys,
            entries: HashMap::new(),
            of_device: HashMap::new(),
            dirty: Vec::new(),
            farewells: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    pub(crate) fn take_keys(&mut self, keys: Arc<[Key]>) {
        self.keys = keys;
    }

    pub(crate) fn ask(&mut self, now: Now, polling: Polling, told: &mut Vec<Told>) {
        match polling {
            Polling::Request { conn, device, number, frames, reply } => {
                self.request(now, (conn, device), (number, frames), reply, told);
            }
            Polling::Enough { conn, number } => {
                if let Some(entry) = self.entries.get_mut(&conn)
                    && entry.poll.waits(number)
                {
                    reply_to(entry, &mut self.counters);
                    self.touch(conn);
                }
            }
            Polling::Gone { conn, number } => {
                if let Some(entry) = self.entries.get_mut(&conn)
                    && entry.poll.waits(number)
                {
                    entry.waiter = None;
                }
            }
            Polling::End { conn, device } => {
                if self.entries.get(&conn).is_some_and(|entry| entry.device == device) {
                    self.close(now, conn, CloseCode::Normal, told);
                }
            }
        }
    }

    fn request(
        &mut self,
        now: Now,
        (conn, device): (ConnId, (UserId, DeviceId)),
        (number, frames): (u64, Bytes),
        reply: PollReply,
        told: &mut Vec<Told>,
    ) {
        if number == 1 && !self.entries.contains_key(&conn) {
            if let Some(before) = self.of_device.get(&device).copied() {
                self.close(now, before, CloseCode::Replaced, told);
                self.forget(before);
            }
            if self.entries.len() >= SESSIONS_MAX {
                self.counters.refused_full += 1;
                return reply(Err(NotPolled::Busy));
            }
            self.counters.begun += 1;
            self.of_device.insert(device, conn);
            self.entries.insert(conn, Entry::new(device));
        }
        let Some(entry) = self.entries.get_mut(&conn).filter(|entry| entry.device == device) else {
            self.counters.misplaced += 1;
            return reply(Err(NotPolled::Unknown));
        };
        if entry.poll.waits_before(number) {
            reply_to(entry, &mut self.counters);
        }
        let moment = moment(&self.keys, now);
        let mut sink =
            sink(conn, entry.device, &mut entry.is_known, (&mut *told, &mut self.counters.rejects));
        let taken = entry.poll.on_request(&moment, number, &frames, &mut sink);
        drop(sink);
        match taken {
            Ok(Taken::New) => {
                self.counters.requests += 1;
                self.counters.bytes_read += frames.len() as u64;
                entry.waiter = Some(reply);
            }
            Ok(Taken::Waits) => {
                self.counters.repeated += 1;
                if let Some(before) = entry.waiter.replace(reply) {
                    before(Err(NotPolled::Repeated));
                }
            }
            Ok(Taken::Again(answer)) => {
                self.counters.repeated += 1;
                self.counters.bytes_written += answer.len() as u64;
                reply(Ok(answer));
            }
            Err(Misplaced::Number { expected }) => {
                self.counters.misplaced += 1;
                reply(Err(NotPolled::Number { expected }));
            }
            Err(Misplaced::Paused) => reply(Err(NotPolled::Busy)),
        }
        // It began with no frame at all, or with somebody else's Hello.
        let is_nobody = (!entry.is_known && !entry.is_over).then_some(CloseCode::Unauthenticated);
        if let Some(code) = entry.poll.close_code().or(is_nobody) {
            self.close(now, conn, code, told);
        }
        self.touch(conn);
    }

    /// Whoever still waits is told of the end.
    fn forget(&mut self, conn: ConnId) {
        let Some(mut entry) = self.entries.remove(&conn) else { return };
        reply_to(&mut entry, &mut self.counters);
        if self.of_device.get(&entry.device) == Some(&conn) {
            self.of_device.remove(&entry.device);
        }
    }

    fn touch(&mut self, conn: ConnId) {
        if let Some(entry) = self.entries.get_mut(&conn)
            && !entry.is_dirty
        {
            entry.is_dirty = true;
            self.dirty.push(conn);
        }
    }

    /// A session has ended, whoever wanted it. The core need not wait for the farewell.
    pub(crate) fn close(&mut self, now: Now, conn: ConnId, code: CloseCode, told: &mut Vec<Told>) {
        let Some(entry) = self.entries.get_mut(&conn) else { return };
        entry.poll.close(code);
        if !std::mem::replace(&mut entry.is_over, true) {
            self.counters.closes.add(code);
            self.farewells.push_back((now.tick.0 + FAREWELL_MS, conn));
        }
        if std::mem::take(&mut entry.is_known) {
            told.push(Told::Input(Input::Closed { conn }));
        }
        self.touch(conn);
    }

    pub(crate) fn transmit(&mut self, conn: ConnId, frames: Bytes) {
        if let Some(entry) = self.entries.get_mut(&conn) {
            entry.poll.transmit(frames);
            self.touch(conn);
        }
    }

    pub(crate) fn pause(&mut self, conn: ConnId) {
        if let Some(entry) = self.entries.get_mut(&conn) {
            entry.poll.pause();
        }
    }

    pub(crate) fn resume(&mut self, now: Now, conn: ConnId, told: &mut Vec<Told>) {
        let Some(entry) = self.entries.get_mut(&conn) else { return };
        let mut sink =
            sink(conn, entry.device, &mut entry.is_known, (&mut *told, &mut self.counters.rejects));
        entry.poll.resume(&moment(&self.keys, now), &mut sink);
        drop(sink);
        if let Some(code) = entry.poll.close_code() {
            self.close(now, conn, code, told);
        }
        self.touch(conn);
    }

    /// Answers whoever waits and has something, and forgets those that have said farewell.
    pub(crate) fn flush(&mut self, now: Now, told: &mut Vec<Told>) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for conn in dirty.drain(..) {
            let Some(entry) = self.entries.get_mut(&conn) else { continue };
            entry.is_dirty = false;
            if entry.poll.has_answer() && entry.waiter.is_some() {
                reply_to(entry, &mut self.counters);
            }
            let queued = entry.poll.queued_bytes();
            if entry.is_known && queued != entry.told_queued {
                entry.told_queued = queued;
                told.push(Told::Input(Input::Egress { conn, queued }));
            }
        }
        self.dirty = dirty;
        while let Some((_, conn)) = self.farewells.pop_front_if(|(due_ms, _)| *due_ms <= now.tick.0) {
            self.forget(conn);
        }
    }

    /// When [`Self::flush`] must be called though nothing happens, milliseconds of the tick.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.farewells.front().map(|(due_ms, _)| *due_ms)
    }

    /// Whether nobody is connected any more, and all who wait for an answer have one.
    pub(crate) fn is_idle(&self) -> bool {
        self.entries.values().all(|entry| entry.is_over && entry.waiter.is_none())
    }

    pub(crate) fn counters(&self) -> Counters {
        let is_here = |entry: &&Entry| !entry.is_over;
        let here = self.entries.values().filter(is_here);
        Counters {
            waiting_now: here.clone().filter(|entry| entry.waiter.is_some()).count() as u64,
            sessions_now: here.count() as u64,
            ..self.counters
        }
    }
}

impl Entry {
    fn new(device: (UserId, DeviceId)) -> Self {
        let (poll, waiter) = (Poll::default(), None);
        Self { device, poll, waiter, is_known: false, is_dirty: false, told_queued: 0, is_over: false }
    }
}

/// Answers the request that waits, if its device still does. Where it does not, frames wait for the request that repeats it.
fn reply_to(entry: &mut Entry, counters: &mut Counters) {
    let waiter = entry.waiter.take();
    if let Some(answer) = entry.poll.answer()
        && let Some(reply) = waiter
    {
        counters.bytes_written += answer.len() as u64;
        counters.empty += u64::from(answer.is_empty());
        reply(Ok(answer));
    }
}

fn moment(keys: &[Key], now: Now) -> Moment<'_> {
    // Pages and hosts are looked at by the control plane, and a farewell has its own time.
    Moment { now_ms: now.tick.0, wall_ms: now.wall_ms, close_ms: 0, keys, rules: &protocol::web::ANYBODY }
}

/// What a session says, as the core is to hear it. A Hello of somebody else is not told: the session never begins.
fn sink<'a>(
    conn: ConnId,
    device: (UserId, DeviceId),
    is_known: &'a mut bool,
    (told, rejects): (&'a mut Vec<Told>, &'a mut Rejects),
) -> impl FnMut(Event) -> Flow + 'a {
    move |event| {
        let input = match event {
            Event::Hello(hello) => {
                *is_known = (hello.user, hello.device) == device;
                Input::Hello { conn, hello }
            }
            Event::Reauth(reauth) => Input::Reauth { conn, reauth },
            Event::Frame(frame) => Input::Frame { conn, frame },
            Event::Refused(code) => {
                rejects.add(code);
                return Flow::More;
            }
        };
        if *is_known {
            told.push(Told::Input(input));
        }
        Flow::More
    }
}

#[cfg(test)]
mod tests;
