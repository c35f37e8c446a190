//! The driver, whatever is beneath it: who comes in and goes out, whose turn it is to be read, what is due. How bytes come
//! from the kernel and go to it is a [`Kernel`]'s. What the kernel still holds when a connection's share of a turn is used
//! up is remembered here instead of asked for again.

mod accept;
mod socket;
mod strangers;
mod transfer;

pub(crate) use socket::BACKLOG;
pub(super) use socket::bind;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use edge::tls::Scratch;
use edge::{Carrier, Flow, Halves, Moment, Table};
use protocol::hello::Hello;
use protocol::{CloseCode, Rejects};
use shard::{ConnId, Input};

use self::strangers::Strangers;
use self::transfer::sink;
use super::kernel::{Event, Kernel};
use super::timers::Timers;
use super::udp::{Udp, is_quic};
use super::{Counters, Driver, Quic, Setup, Told};
use crate::clock::Now;
use crate::handover::Parcel;
use crate::mesh::Bell;

/// One connection.
#[derive(Debug)]
struct Entry<S> {
    socket: S,
    edge: Carrier,
    /// The core has been told Hello and not yet Closed.
    is_known: bool,
    /// The core asked for the close and is told Closed at the end of it.
    core_closes: bool,
    counts_as_unauthenticated: bool,
    is_paused: bool,
    /// The kernel may hold bytes that were not read.
    is_readable: bool,
    /// The kernel has said that the peer ends: read until there is nothing.
    peer_ends: bool,
    /// The kernel took everything so far.
    is_writable: bool,
    is_in_readers: bool,
    is_dirty: bool,
    /// The kernel has taken something since the core was last told what waits.
    has_taken: bool,
    is_shut: bool,
    /// Its close is in the counters.
    is_close_counted: bool,
    /// It stands in `halves`.
    has_half: bool,
    /// The deadline for which it stands in a timer queue.
    timer_ms: u64,
    /// What the core was told to be waiting.
    told_queued: u32,
}

/// Of an idle plain connection this is all that the driver and the edge hold, besides 16 bytes in the table.
const _: () = assert!(size_of::<Entry<u64>>() <= 224);

/// Who leaves for the home of its user, and waits for the kernel to be done with its socket.
type Leaving = HashMap<ConnId, (Carrier, Hello)>;

/// The driver over one kernel interface.
#[derive(Debug)]
pub struct Sockets<K: Kernel> {
    setup: Setup,
    kernel: K,
    is_listening: bool,
    /// Nobody new is let in, and those who are in are served to the end.
    is_draining: bool,
    /// The kernel may hold connections that were not accepted.
    may_accept: bool,
    /// Not before this time; 0 for any.
    accept_again_ms: u64,
    udp: Option<Udp>,
    table: Table<Entry<K::Socket>>,
    leaving: Leaving,
    /// Those that have not said Hello.
    strangers: Strangers,
    /// Those with unread bytes that had their share of the last turn.
    readers: VecDeque<ConnId>,
    /// Not everybody was looked at in the last turn.
    was_cut: bool,
    /// Those in the middle of a message.
    halves: Halves<ConnId>,
    /// Those to look at in the next flush.
    dirty: Vec<ConnId>,
    hello_timers: Timers,
    close_timers: Timers,
    /// What TLS needs.
    scratch: Scratch,
    counters: Counters,
}

impl<K: Kernel> Sockets<K> {
    /// A driver without connections that does not listen yet.
    pub fn new(setup: Setup, kernel: K) -> Self {
        Self {
            halves: Halves::new(setup.limits.half_bytes_max),
            setup,
            kernel,
            is_listening: false,
            is_draining: false,
            may_accept: false,
            accept_again_ms: 0,
            udp: None,
            table: Table::default(),
            leaving: Leaving::new(),
            strangers: Strangers::default(),
            readers: VecDeque::new(),
            was_cut: false,
            dirty: Vec::new(),
            hello_timers: Timers::default(),
            close_timers: Timers::default(),
            scratch: Scratch::default(),
            counters: Counters::default(),
        }
    }

    /// Gives the driver its QUIC socket; it is read once the driver listens.
    ///
    /// # Errors
    /// Of the kernel.
    pub fn add_quic(&mut self, quic: Quic, now: Now) -> io::Result<()> {
        self.udp = Some(Udp::new(&self.setup, quic, now)?);
        Ok(())
    }

    fn moment(setup: &Setup, now: Now) -> Moment<'_> {
        Moment {
            now_ms: now.tick.0,
            wall_ms: now.wall_ms,
            close_ms: setup.limits.close_ms,
            keys: &setup.keys,
            rules: &setup.door.rules,
        }
    }

    /// Hands a connection over whose user's home is another shard.
    fn give_away(&mut self, conn: ConnId, hello: Hello, told: &mut Vec<Told>) {
        let Some(entry) = self.take_out(conn) else { return };
        self.counters.hellos += 1;
        self.counters.handed_over += 1;
        let Entry { socket, edge, .. } = *entry;
        match self.kernel.leave(conn, socket) {
            Err(error) => tracing::debug!(%error, "a connection could not leave for its home"),
            Ok(Some(stream)) => self.send_away(Parcel { stream, edge, hello }, told),
            Ok(None) => drop(self.leaving.insert(conn, (edge, hello))),
        }
    }

    /// The kernel is done with a socket that leaves; these bytes it had read before.
    fn on_left(
        &mut self,
        now: Now,
        conn: ConnId,
        (stream, mut received): (TcpStream, Vec<u8>),
        told: &mut Vec<Told>,
    ) {
        let Some((mut edge, hello)) = self.leaving.remove(&conn) else { return };
        if !received.is_empty() {
            self.counters.bytes_read += received.len() as u64;
            // It is held since its Hello: this goes behind what it has kept, and nothing is told.
            let mut sink = |_| Flow::Hold;
            let moment = Self::moment(&self.setup, now);
            edge.on_bytes(&moment, &mut received, &mut self.scratch, &mut sink);
        }
        self.send_away(Parcel { stream, edge, hello }, told);
    }

    fn send_away(&self, parcel: Parcel, told: &mut Vec<Told>) {
        let home = self.setup.placement.user_home(parcel.hello.user);
        told.push(Told::Away { home, parcel: Box::new(parcel) });
    }

    /// Looks at a connection after anything happened to it: its standing, its timers, its end.
    fn look_after(&mut self, conn: ConnId, told: &mut Vec<Told>) {
        let Some(entry) = self.table.get_mut(conn.0) else { return };
        let edge = &entry.edge;
        if let Some(code) = edge.close_code()
            && !entry.is_close_counted
        {
            entry.is_close_counted = true;
            self.counters.closes.add(code);
        }
        if entry.counts_as_unauthenticated && !edge.is_unauthenticated() {
            entry.counts_as_unauthenticated = false;
            self.strangers.remove(conn);
            if edge.is_live() {
                self.counters.hellos += 1;
            } else if edge.is_refused() {
                self.counters.upgrades_refused += 1;
            } else if edge.is_unannounced() {
                self.counters.unannounced += 1;
            } else if edge.close_code() == Some(CloseCode::HelloTimeout) {
                self.counters.hello_timeouts += 1;
            }
        }
        if !edge.is_live() && !entry.core_closes {
            if edge.close_code().is_some_and(|code| code != CloseCode::Normal) && entry.is_known {
                self.counters.peer_faults += 1;
            }
            if entry.is_known {
                // Nothing more can come from it, and nothing more reach it: the core need not wait for the farewell.
                entry.is_known = false;
                told.push(Told::Input(Input::Closed { conn }));
            }
        }
        if edge.is_finished() {
            if self.forget(conn) == Some(true) {
                told.push(Told::Input(Input::Closed { conn }));
            }
            return;
        }
        if let Some(deadline_ms) = edge.next_deadline()
            && deadline_ms != entry.timer_ms
        {
            entry.timer_ms = deadline_ms;
            self.close_timers.push(deadline_ms, conn);
        }
        if edge.is_written_out() && !entry.is_shut {
            entry.is_shut = true;
            self.kernel.shut(&entry.socket);
        }
        if entry.is_readable && !entry.is_paused && !entry.is_in_readers {
            entry.is_in_readers = true;
            self.readers.push_back(conn);
        }
        if edge.has_output() && entry.is_writable {
            self.touch(conn);
        }
    }

    fn touch(&mut self, conn: ConnId) {
        if let Some(entry) = self.table.get_mut(conn.0)
            && !entry.is_dirty
        {
            entry.is_dirty = true;
            self.dirty.push(conn);
        }
    }

    /// Both carriers have one bound for half messages.
    fn share_halves(&mut self) {
        if let Some(udp) = &mut self.udp {
            let other = udp.share_halves(self.halves.share());
            self.halves.set_other(other);
        }
    }

    fn on_deadlines(&mut self, now: Now, told: &mut Vec<Told>) {
        let due = |timers: &mut Timers| timers.pop_due(now.tick.0);
        while let Some(conn) = due(&mut self.hello_timers).or_else(|| due(&mut self.close_timers)) {
            let moment = Self::moment(&self.setup, now);
            if let Some(entry) = self.table.get_mut(conn.0) {
                let waited = entry.edge.is_unauthenticated();
                entry.edge.on_deadline(&moment);
                if waited && entry.edge.is_finished() {
                    self.counters.hello_timeouts += 1;
                }
                self.look_after(conn, told);
            }
        }
    }

    /// Takes what the kernel told. Only flags are set here: reading comes after, in order.
    fn on_events(&mut self, now: Now, told: &mut Vec<Told>) {
        while let Some(event) = self.kernel.next_event(now.tick.0) {
            match event {
                Event::Accept => self.may_accept = true,
                Event::Udp { is_readable, is_writable } => {
                    if let Some(udp) = &mut self.udp {
                        udp.on_event(is_readable, is_writable);
                    }
                }
                Event::Ready { conn, is_readable, is_writable, is_ended } => {
                    self.on_ready(conn, (is_readable, is_writable, is_ended));
                }
                Event::Left { conn, stream, received } => self.on_left(now, conn, (stream, received), told),
            }
        }
    }

    fn on_ready(&mut self, conn: ConnId, (is_readable, is_writable, is_ended): (bool, bool, bool)) {
        let Some(entry) = self.table.get_mut(conn.0) else { return };
        entry.peer_ends |= is_ended;
        entry.is_readable |= is_readable || entry.peer_ends;
        if entry.is_readable && !entry.is_in_readers && !entry.is_paused {
            entry.is_in_readers = true;
            self.readers.push_back(conn);
        }
        if is_writable {
            entry.is_writable = true;
            if entry.edge.has_output() && !entry.is_dirty {
                entry.is_dirty = true;
                self.dirty.push(conn);
            }
        }
    }
}

impl<K: Kernel> Sockets<K> {
    /// Frames that the edge refused, of both transports.
    fn rejects(&self) -> Rejects {
        let mut rejects = self.counters.rejects;
        if let Some(udp) = &self.udp {
            rejects.join(&udp.rejects);
        }
        rejects
    }
}

impl<K: Kernel> Driver for Sockets<K> {
    fn bell(&self) -> io::Result<Bell> {
        self.kernel.bell()
    }

    fn take_keys(&mut self, keys: std::sync::Arc<[protocol::token::Key]>) {
        self.setup.keys = keys;
    }

    fn listen(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = socket::listen(address)?;
        let address = listener.local_addr()?;
        self.kernel.listen(listener)?;
        self.is_listening = true;
        if let Some(udp) = &mut self.udp {
            self.kernel.watch(udp.socket())?;
        }
        self.may_accept = true;
        Ok(address)
    }

    fn stop_listening(&mut self, now: Now, told: &mut Vec<Told>) {
        self.kernel.stop_listening();
        self.is_listening = false;
        self.is_draining = true;
        self.may_accept = false;
        let moment = Self::moment(&self.setup, now);
        if let Some(udp) = &mut self.udp {
            udp.stop(&moment, now, told);
        }
        while let Some(conn) = self.hello_timers.pop() {
            let Some(entry) = self.table.get_mut(conn.0) else { continue };
            if entry.counts_as_unauthenticated {
                entry.edge.close(&moment, CloseCode::GoingAway);
                if !entry.is_dirty {
                    entry.is_dirty = true;
                    self.dirty.push(conn);
                }
            }
        }
    }

    fn poll(
        &mut self,
        timeout: Option<Duration>,
        clock: &mut dyn FnMut() -> Now,
        told: &mut Vec<Told>,
    ) -> io::Result<()> {
        // Where store and shard share a processor, what is durable must be told before the next share of a burst is read.
        if std::mem::take(&mut self.was_cut) {
            std::thread::yield_now();
        }
        self.kernel.wait(timeout)?;
        let now = clock();
        self.on_events(now, told);
        self.accept(now);
        self.share_halves();
        self.make_room(now, told);
        let mut is_cut = self.read_all(now, clock, told);
        self.share_halves();
        self.on_deadlines(now, told);
        if let (Some(udp), true) = (&mut self.udp, self.is_listening || self.is_draining) {
            let moment = Self::moment(&self.setup, now);
            is_cut |= udp.read(&moment, now, clock, told);
            udp.on_deadlines(&moment, now, told);
            self.share_halves();
        }
        self.was_cut = is_cut;
        self.counters.turns_cut += u64::from(is_cut);
        Ok(())
    }

    fn take_over(&mut self, now: Now, parcel: Parcel, told: &mut Vec<Told>) {
        let Parcel { stream, edge, hello } = parcel;
        if self.table.len() >= self.setup.limits.connections_max && !self.evict() {
            self.counters.refused_full += 1;
            return;
        }
        let Some(conn) = self.register(stream, edge) else { return };
        self.counters.taken_over += 1;
        told.push(Told::Input(Input::Hello { conn, hello }));
        let moment = Self::moment(&self.setup, now);
        if let Some(entry) = self.table.get_mut(conn.0) {
            entry.is_known = true;
            self.kernel.settled(&mut entry.socket);
            // A second Hello is refused by the edge, so nothing can go away from here.
            let mut away = None;
            let mut sink =
                sink(&self.setup, conn, &mut entry.is_known, (&mut away, told), &mut self.counters.rejects);
            entry.edge.resume(&moment, &mut sink);
            let half = entry.edge.half_bytes();
            if half > 0 {
                entry.has_half = true;
                self.halves.set(conn, half, 0, now.tick.0);
            }
        }
        self.look_after(conn, told);
    }

    fn transmit(&mut self, conn: ConnId, frames: Bytes) {
        if is_quic(conn) {
            if let Some(udp) = &mut self.udp {
                udp.transmit(conn, frames);
            }
            return;
        }
        if let Some(entry) = self.table.get_mut(conn.0) {
            entry.edge.transmit(frames);
            self.touch(conn);
        }
    }

    fn close(&mut self, now: Now, conn: ConnId, code: CloseCode, told: &mut Vec<Told>) {
        let moment = Self::moment(&self.setup, now);
        if is_quic(conn) {
            if let Some(udp) = &mut self.udp {
                udp.close(&moment, now, conn, code, told);
            }
            return;
        }
        if let Some(entry) = self.table.get_mut(conn.0) {
            entry.core_closes = entry.is_known;
            entry.is_paused = false;
            entry.edge.close(&moment, code);
            self.touch(conn);
        }
    }

    fn pause(&mut self, conn: ConnId) {
        if let (true, Some(udp)) = (is_quic(conn), &mut self.udp) {
            udp.pause(conn);
        }
        if let Some(entry) = self.table.get_mut(conn.0) {
            entry.is_paused = true;
            self.kernel.pause(&mut entry.socket);
            self.halves.pause(conn);
        }
    }

    fn resume(&mut self, now: Now, conn: ConnId, told: &mut Vec<Told>) {
        if let (true, Some(udp)) = (is_quic(conn), &mut self.udp) {
            udp.resume(&Self::moment(&self.setup, now), now, conn, told);
        }
        if let Some(entry) = self.table.get_mut(conn.0) {
            entry.is_paused = false;
            self.halves.resume(conn, now.tick.0);
            if entry.is_readable && !entry.is_in_readers {
                entry.is_in_readers = true;
                self.readers.push_back(conn);
            }
        }
    }

    fn flush(&mut self, now: Now, told: &mut Vec<Told>) {
        // What a write touches again is for the next flush.
        let mut dirty = std::mem::take(&mut self.dirty);
        for conn in dirty.drain(..) {
            self.write(conn, told);
        }
        // What the kernel takes together; whoever has more writes again within this loop.
        while let Some((conn, outcome)) = self.kernel.next_written() {
            self.on_written(conn, outcome, told);
        }
        dirty.append(&mut self.dirty);
        self.dirty = dirty;
        if let Some(udp) = &mut self.udp {
            udp.flush(&Self::moment(&self.setup, now), now, told);
            if !udp.is_writable() {
                self.kernel.wait_for_udp_room();
            }
        }
    }

    fn next_deadline(&mut self) -> Option<u64> {
        if !self.readers.is_empty() || !self.dirty.is_empty() {
            return Some(0);
        }
        let accept = (self.is_listening && self.may_accept).then_some(self.accept_again_ms);
        let table = &self.table;
        let stale = |conn: ConnId, deadline_ms: u64| {
            table.get(conn.0).is_none_or(|entry| entry.timer_ms != deadline_ms)
                || table.get(conn.0).is_some_and(|entry| entry.edge.next_deadline() != Some(deadline_ms))
        };
        let hello = self.hello_timers.next(stale);
        let close = self.close_timers.next(stale);
        let halves = self.halves.next_deadline();
        let is_serving = self.is_listening || self.is_draining;
        let udp = self.udp.as_ref().filter(|_| is_serving).and_then(Udp::next_deadline);
        [accept, hello, close, halves, udp].into_iter().flatten().min()
    }

    fn is_idle(&self) -> bool {
        self.table.is_empty()
            && self.leaving.is_empty()
            && self.udp.as_ref().is_none_or(|udp| !udp.has_farewells())
    }

    fn counters(&self) -> Counters {
        let own = &self.counters;
        let (quic, udp) = match &self.udp {
            Some(udp) => (udp.counters(), (udp.bytes_read, udp.bytes_written, udp.reads, udp.writes)),
            None => (edge::quic::Counters::default(), (0, 0, 0, 0)),
        };
        let mut closes = own.closes;
        closes.join(&quic.closes);
        Counters {
            half_bytes_now: (self.halves.share().bytes + self.udp.as_ref().map_or(0, Udp::half_bytes)) as u64,
            halves_stalled: own.halves_stalled + quic.halves_stalled,
            connections_now: self.table.len() as u64 + quic.connections_now,
            unauthenticated_now: self.strangers.len() as u64 + quic.unauthenticated_now,
            accepted: own.accepted + quic.accepted,
            refused_full: own.refused_full + quic.refused_full,
            evicted: own.evicted + quic.evicted,
            hello_timeouts: own.hello_timeouts + quic.hello_timeouts,
            hellos: own.hellos + quic.hellos,
            peer_faults: own.peer_faults + quic.peer_faults,
            rejects: self.rejects(),
            closes,
            quic,
            ring: self.kernel.counters(),
            bytes_read: own.bytes_read + udp.0,
            bytes_written: own.bytes_written + udp.1,
            reads: own.reads + udp.2,
            writes: own.writes + udp.3,
            ..*own
        }
    }
}
