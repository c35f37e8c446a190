//! One shard's end of QUIC: which datagram is whose, who may come in, what is due.

use core::cmp::Reverse;
use core::fmt;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use protocol::CloseCode;
use quinn_proto::{ConnectionHandle, DatagramEvent, EndpointEvent, Incoming, Transmit};

use super::clock::{At, Wall, Zero};
use super::peer::{Context, LONG_HEADER, Peer, Phase};
use super::{Counters, Key, Path, Settings, Sink, Told};
use crate::limits::QUIC_RESPONSES_MAX;
use crate::{Halves, Moment, Share, Table};

/// One shard's end of QUIC. See the module for the calling contract.
pub struct Endpoint {
    proto: quinn_proto::Endpoint,
    settings: Settings,
    wall: Arc<Wall>,
    zero: Zero,
    /// By key.
    peers: Table<Peer>,
    /// The key of each handle, which quinn-proto uses again.
    handles: Vec<Option<Key>>,
    /// Those without Hello, oldest first; some of them stale.
    greeting: VecDeque<Key>,
    /// Of them really without.
    unauthenticated: usize,
    /// Those whose farewell is not sent yet.
    closing: usize,
    /// Those that may have something to send.
    dirty: VecDeque<Key>,
    /// Each connection stands here once or a few times; an entry that is not its `timer_ms` is stale.
    timers: BinaryHeap<Reverse<(u64, Key)>>,
    responses: VecDeque<(Transmit, Vec<u8>)>,
    /// Those in the middle of a frame.
    halves: Halves<Key>,
    is_open: bool,
    counters: Counters,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("connections", &self.peers.len()).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// An endpoint without connections; `None` when the TLS configuration is not one of [`crate::tls::config`].
    #[must_use]
    pub fn new(settings: Settings) -> Option<Self> {
        let wall = Arc::<Wall>::default();
        let server = Arc::new(settings.server(&wall)?);
        let proto = quinn_proto::Endpoint::new(Arc::new(settings.endpoint()), Some(server), false, None);
        Some(Self {
            proto,
            zero: Zero::new(settings.at, settings.now_ms),
            halves: Halves::new(settings.half_bytes_max),
            settings,
            wall,
            peers: Table::default(),
            handles: Vec::new(),
            greeting: VecDeque::new(),
            unauthenticated: 0,
            closing: 0,
            dirty: VecDeque::new(),
            timers: BinaryHeap::new(),
            responses: VecDeque::new(),
            is_open: true,
            counters: Counters::default(),
        })
    }

    /// Takes one datagram.
    pub fn on_datagram(
        &mut self,
        moment: &Moment<'_>,
        at: At,
        path: Path,
        data: BytesMut,
        sink: &mut Sink<'_>,
    ) {
        self.wall.set(moment.wall_ms);
        self.counters.datagrams += 1;
        let (first, len) = (data.first().copied().unwrap_or_default(), data.len());
        let mut buffer = Vec::new();
        match self.proto.handle(at, path.remote, path.local, path.ecn, data, &mut buffer) {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                // quinn-proto names only handles that it was not told to be drained.
                let Some(key) = self.handles.get(handle.0).copied().flatten() else { return };
                let Some(peer) = peer_at(&mut self.peers, key) else { return };
                peer.proto.handle_event(event);
                peer.on_datagram(first, len);
                self.with(moment, at, sink, key, |peer, context| peer.take_events(context));
            }
            Some(DatagramEvent::NewConnection(incoming)) => {
                self.on_incoming(moment, at, incoming, len, buffer, sink);
            }
            Some(DatagramEvent::Response(transmit)) => {
                match buffer.as_slice() {
                    [first, ..] if first & LONG_HEADER == 0 => self.counters.resets += 1,
                    [_, 0, 0, 0, 0, ..] => self.counters.versions_refused += 1,
                    _ => {}
                }
                self.respond(transmit, buffer);
            }
            None => self.counters.dropped += 1,
        }
    }

    fn on_incoming(
        &mut self,
        moment: &Moment<'_>,
        at: At,
        incoming: Incoming,
        len: usize,
        mut buffer: Vec<u8>,
        sink: &mut Sink<'_>,
    ) {
        let is_valid = incoming.remote_address_validated();
        if !self.is_open || self.peers.len() >= self.settings.connections_max {
            self.counters.refused_full += 1;
            let transmit = self.proto.refuse(incoming, &mut buffer);
            return self.respond(transmit, buffer);
        }
        if self.unauthenticated >= self.settings.retry_above && !is_valid {
            self.counters.retries += 1;
            if let Ok(transmit) = self.proto.retry(incoming, &mut buffer) {
                self.respond(transmit, buffer);
            }
            return;
        }
        if self.unauthenticated >= self.settings.unauthenticated_max {
            self.evict(moment, at, sink);
        }
        match self.proto.accept(incoming, at, &mut buffer, None) {
            Ok((handle, connection)) => {
                let Some(key) = self.admit(moment, handle, connection) else { return };
                self.with(moment, at, sink, key, |peer, context| {
                    peer.on_datagram(LONG_HEADER, len);
                    peer.take_events(context);
                });
            }
            Err(error) => {
                if let Some(transmit) = error.response {
                    self.respond(transmit, buffer);
                }
            }
        }
    }

    fn admit(
        &mut self,
        moment: &Moment<'_>,
        handle: ConnectionHandle,
        connection: quinn_proto::Connection,
    ) -> Option<Key> {
        let deadline_ms = moment.now_ms + self.settings.hello_ms;
        let peer = Box::new(Peer::new(connection, handle, Key(0), deadline_ms));
        let Some(key) = self.peers.insert(peer).map(Key) else {
            // Keys have run out, after 2^56 connections.
            self.proto.handle_event(handle, EndpointEvent::drained());
            return None;
        };
        if let Some(peer) = self.peers.get_mut(key.0) {
            peer.key = key;
        }
        if self.handles.len() <= handle.0 {
            self.handles.resize(handle.0 + 1, None);
        }
        if let Some(named) = self.handles.get_mut(handle.0) {
            *named = Some(key);
        }
        self.unauthenticated += 1;
        self.counters.accepted += 1;
        self.greeting.push_back(key);
        Some(key)
    }

    /// Closes the oldest connection that has not said Hello.
    fn evict(&mut self, moment: &Moment<'_>, at: At, sink: &mut Sink<'_>) {
        while let Some(key) = self.greeting.pop_front() {
            if self.peer(key).is_some_and(|peer| peer.phase == Phase::Greeting) {
                self.counters.evicted += 1;
                self.with(moment, at, sink, key, |peer, context| {
                    peer.hang_up(context, CloseCode::HelloTimeout, "")
                });
                return;
            }
        }
    }

    /// Lets `work` do something to a connection, then looks at it: its standing, its timers.
    fn with(
        &mut self,
        moment: &Moment<'_>,
        at: At,
        sink: &mut Sink<'_>,
        key: Key,
        work: impl FnOnce(&mut Peer, &mut Context<'_, '_>),
    ) {
        let Some(peer) = peer_at(&mut self.peers, key) else { return };
        let before = peer.phase;
        let mut context =
            Context { moment, at, counters: &mut self.counters, halves: &mut self.halves, sink };
        work(peer, &mut context);
        let after = peer.phase;
        if !peer.is_dirty {
            peer.is_dirty = true;
            self.dirty.push_back(key);
        }
        self.count(before, after);
        // Stale entries are dropped when they are more than half, so that the queue stays near its true length. Those
        // that stay keep their order: the oldest is the one to go.
        if self.greeting.len() > 2 * self.unauthenticated + 64 {
            let peers = &self.peers;
            self.greeting.retain(|key| peers.get(key.0).is_some_and(|peer| peer.phase == Phase::Greeting));
        }
    }

    /// Counts a connection that has gone from one phase to another.
    fn count(&mut self, before: Phase, after: Phase) {
        self.unauthenticated -= usize::from(before == Phase::Greeting && after != Phase::Greeting);
        self.closing += usize::from(after == Phase::Closing);
        self.closing -= usize::from(before == Phase::Closing);
    }

    /// Whether somebody has not been told of the end of its connection: a close code waits for what was queued to
    /// arrive, or for [`Self::poll_transmit`].
    #[must_use]
    pub fn has_farewells(&self) -> bool {
        self.closing > 0 || !self.dirty.is_empty()
    }

    fn respond(&mut self, transmit: Transmit, buffer: Vec<u8>) {
        if self.responses.len() < QUIC_RESPONSES_MAX {
            self.responses.push_back((transmit, buffer));
        }
    }

    /// What the other carrier is to know of the frames that came in part.
    #[must_use]
    pub fn halves(&self) -> Share {
        self.halves.share()
    }

    /// What the other carrier holds of messages that came in part.
    pub fn set_other_halves(&mut self, other: Share) {
        self.halves.set_other(other);
    }

    /// Closes those that stand still in the middle of a frame while others wait, and lets those go on that waited.
    fn make_room(&mut self, moment: &Moment<'_>, at: At, sink: &mut Sink<'_>) {
        while let Some(key) = self.halves.stalled(moment.now_ms) {
            self.halves.remove(key);
            self.with(moment, at, sink, key, |peer, context| peer.give_up(context));
        }
        while let Some(key) = self.halves.next(moment.now_ms) {
            self.with(moment, at, sink, key, |peer, context| peer.read(context));
        }
    }

    /// Does what is due.
    pub fn on_deadline(&mut self, moment: &Moment<'_>, at: At, sink: &mut Sink<'_>) {
        self.make_room(moment, at, sink);
        for (key, is_read) in self.halves.take_changes() {
            if peer_at(&mut self.peers, key).is_some_and(|peer| peer.phase == Phase::Live) {
                sink(key, Told::Reads(is_read));
            }
        }
        let now_ms = moment.now_ms;
        while let Some(Reverse((due_ms, key))) = self.timers.peek().copied() {
            if due_ms > now_ms {
                return;
            }
            self.timers.pop();
            let Some(peer) = peer_at(&mut self.peers, key) else { continue };
            if peer.timer_ms == due_ms {
                peer.timer_ms = 0;
            }
            self.with(moment, at, sink, key, |peer, context| {
                if peer.deadline_ms > 0 && peer.deadline_ms <= now_ms {
                    peer.on_own_deadline(context);
                }
                if peer.proto.poll_timeout().is_some_and(|due| due <= at) {
                    peer.proto.handle_timeout(at);
                }
                peer.take_events(context);
            });
        }
    }

    /// When [`Self::on_deadline`] is due, in milliseconds; not before [`Self::poll_transmit`] had nothing.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let timer = self.timers.peek().map(|Reverse((due_ms, _))| *due_ms);
        timer.into_iter().chain(self.halves.next_deadline()).min()
    }

    /// Queues 1..n whole frames, shared with every other receiver.
    pub fn transmit(&mut self, key: Key, frames: Bytes) {
        let Some(peer) = peer_at(&mut self.peers, key) else { return };
        peer.transmit(frames);
        if !peer.is_dirty {
            peer.is_dirty = true;
            self.dirty.push_back(key);
        }
    }

    /// Ends a connection once what is queued has arrived.
    pub fn close(&mut self, moment: &Moment<'_>, at: At, key: Key, code: CloseCode, sink: &mut Sink<'_>) {
        self.with(moment, at, sink, key, |peer, context| peer.close(context, code, ""));
    }

    /// Reads no more from a connection.
    pub fn pause(&mut self, key: Key) {
        if let Some(peer) = peer_at(&mut self.peers, key) {
            peer.pause(&mut self.halves);
        }
    }

    /// Reads again.
    pub fn resume(&mut self, moment: &Moment<'_>, at: At, key: Key, sink: &mut Sink<'_>) {
        self.with(moment, at, sink, key, |peer, context| peer.resume(context));
    }

    /// Takes no new connections, and closes those that have not said Hello.
    pub fn stop_accepting(&mut self, moment: &Moment<'_>, at: At, sink: &mut Sink<'_>) {
        self.is_open = false;
        while let Some(key) = self.greeting.pop_front() {
            self.with(moment, at, sink, key, |peer, context| {
                if peer.phase == Phase::Greeting {
                    peer.close(context, CloseCode::GoingAway, "");
                }
            });
        }
    }

    /// The next datagrams to send, appended to `buffer`, at most `datagrams_max` of one size in one go (GSO). `None`
    /// when there is nothing until something happens.
    pub fn poll_transmit(
        &mut self,
        moment: &Moment<'_>,
        at: At,
        datagrams_max: usize,
        buffer: &mut Vec<u8>,
        sink: &mut Sink<'_>,
    ) -> Option<Transmit> {
        if let Some((transmit, bytes)) = self.responses.pop_front() {
            buffer.extend_from_slice(&bytes);
            return Some(transmit);
        }
        while let Some(key) = self.dirty.front().copied() {
            if let Some(transmit) = self.poll_peer(moment, at, key, datagrams_max, buffer, sink) {
                return Some(transmit);
            }
            self.dirty.pop_front();
            self.look_after(key, sink);
        }
        None
    }

    fn poll_peer(
        &mut self,
        moment: &Moment<'_>,
        at: At,
        key: Key,
        datagrams_max: usize,
        buffer: &mut Vec<u8>,
        sink: &mut Sink<'_>,
    ) -> Option<Transmit> {
        let peer = peer_at(&mut self.peers, key)?;
        let before = peer.phase;
        let transmit = loop {
            let (counters, halves) = (&mut self.counters, &mut self.halves);
            peer.take_events(&mut Context { moment, at, counters, halves, sink });
            peer.write(&mut self.counters);
            let transmit = if peer.may_transmit() {
                peer.proto.poll_transmit(at, datagrams_max.min(peer.datagrams_max()), buffer)
            } else {
                None
            };
            peer.on_transmit(transmit.as_ref().map_or(0, |transmit| transmit.size));
            let mut has_news = false;
            while let Some(event) = peer.proto.poll_endpoint_events() {
                has_news = true;
                if let Some(event) = self.proto.handle_event(peer.handle, event) {
                    peer.proto.handle_event(event);
                }
            }
            if transmit.is_some() || !has_news {
                break transmit;
            }
        };
        let after = peer.phase;
        self.count(before, after);
        transmit
    }

    /// A connection has nothing to send: forgets it, or sees to its timer.
    fn look_after(&mut self, key: Key, sink: &mut Sink<'_>) {
        let Some(peer) = peer_at(&mut self.peers, key) else { return };
        peer.is_dirty = false;
        if peer.proto.is_drained() {
            // quinn-proto has been told, so the handle may come again.
            if let Some(peer) = self.peers.remove(key.0)
                && let Some(named) = self.handles.get_mut(peer.handle.0)
                && *named == Some(key)
            {
                *named = None;
            }
            return;
        }
        peer.tell_queued(sink);
        let own = (peer.deadline_ms > 0).then_some(peer.deadline_ms);
        let proto = peer.proto.poll_timeout().map(|due| self.zero.ms(due));
        if let Some(due_ms) = own.into_iter().chain(proto).min()
            && (peer.timer_ms == 0 || due_ms < peer.timer_ms)
        {
            peer.timer_ms = due_ms;
            self.timers.push(Reverse((due_ms, key)));
        }
    }

    fn peer(&mut self, key: Key) -> Option<&mut Peer> {
        peer_at(&mut self.peers, key)
    }

    #[cfg(test)]
    pub(super) fn is_greeting(&self, key: Key) -> bool {
        self.peers.get(key.0).is_some_and(|peer| peer.phase == Phase::Greeting)
    }

    /// Those without Hello in the order in which they would have to go.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> impl Iterator<Item = Key> + '_ {
        self.greeting.iter().copied().filter(|key| self.is_greeting(*key))
    }

    /// Whether a connection exists.
    #[must_use]
    pub fn has(&self, key: Key) -> bool {
        self.peers.get(key.0).is_some()
    }

    /// Counters for the operator.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            connections_now: self.peers.len() as u64,
            unauthenticated_now: self.unauthenticated as u64,
            ..self.counters
        }
    }
}

fn peer_at(peers: &mut Table<Peer>, key: Key) -> Option<&mut Peer> {
    peers.get_mut(key.0)
}
