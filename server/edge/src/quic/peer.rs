//! One QUIC connection: its control stream, its pages, its end.

use bytes::Bytes;
use protocol::limits::UNAUTHENTICATED_BYTES_MAX;
use protocol::{CloseCode, Frame, FramingFault, Header};
use quinn_proto::{Connection, ConnectionHandle, Event as Happened, StreamEvent, StreamId, VarInt};

use super::out::Out;
use super::{At, Counters, Key, Sink, Told};
use crate::inbound::{Fault, Gate, Passed};
use crate::limits::READ_BYTES_FULL;
use crate::{Event, Halves, Moment};

/// Bytes taken from a stream at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Set in the first byte of what belongs to a handshake, or names a version (RFC 8999 section 5.1).
pub(super) const LONG_HEADER: u8 = 0x80;
/// What it says of the sort of such a packet (RFC 9000 section 17.2).
const PACKET_TYPE: u8 = 0x30;
/// The packets behind the first ones.
const HANDSHAKE: u8 = 0x20;
/// Live frames go before pages, whatever waits.
const CONTROL_PRIORITY: i32 = 1;

/// Where a connection stands.
///
/// | phase | bytes in | output | next |
/// |---|---|---|---|
/// | Greeting | the handshake; then Hello, first on the control stream | Rejects | Live by Hello, Closing by anything else |
/// | Live | frames | frames | Closing by `close`, a fault or the end of the peer's control stream |
/// | Closing | dropped | what is queued, then its end; acknowledged, CONNECTION_CLOSE | Ended |
/// | Ended | dropped | CONNECTION_CLOSE again, if the peer still sends | |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Greeting,
    Live,
    Closing,
    Ended,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) proto: Connection,
    pub(super) handle: ConnectionHandle,
    pub(super) key: Key,
    pub(super) phase: Phase,
    gate: Gate,
    /// Bytes taken before Hello.
    received: u16,
    /// Bytes of datagrams that came from its first address and that went there, until it has shown that it is there.
    unproven: Option<(usize, usize)>,
    pub(super) is_dirty: bool,
    is_paused: bool,
    is_readable: bool,
    /// The end of the control stream was queued behind its last byte.
    is_finished: bool,
    /// What is told once the last byte is acknowledged.
    farewell: Option<(CloseCode, &'static str)>,
    /// Of the phase; 0 for none.
    pub(super) deadline_ms: u64,
    /// The earliest entry of the endpoint's timers that names it; 0 for none.
    pub(super) timer_ms: u64,
    /// What was told to be waiting.
    told_queued: usize,
    control: Option<StreamId>,
    /// A frame that came in part.
    partial: Vec<u8>,
    out: Option<Box<Out>>,
}

/// What a call may look at and tell.
pub(super) struct Context<'a, 's> {
    pub(super) moment: &'a Moment<'a>,
    pub(super) at: At,
    pub(super) counters: &'a mut Counters,
    pub(super) halves: &'a mut Halves<Key>,
    pub(super) sink: &'a mut Sink<'s>,
}

impl Peer {
    pub(super) fn new(proto: Connection, handle: ConnectionHandle, key: Key, deadline_ms: u64) -> Self {
        Self {
            proto,
            handle,
            key,
            phase: Phase::Greeting,
            gate: Gate::new(),
            received: 0,
            unproven: Some((0, 0)),
            is_dirty: false,
            is_paused: false,
            is_readable: false,
            is_finished: false,
            farewell: None,
            deadline_ms,
            timer_ms: 0,
            told_queued: 0,
            control: None,
            partial: Vec::new(),
            out: None,
        }
    }

    /// A datagram came. One of the handshake's later parts has keys that only who got our answer can have; quinn-proto
    /// holds who sends a false one.
    pub(super) fn on_datagram(&mut self, first: u8, len: usize) {
        let is_later = first & LONG_HEADER == 0 || first & PACKET_TYPE == HANDSHAKE;
        self.unproven = self.unproven.filter(|_| !is_later).map(|(came, went)| (came + len, went));
    }

    /// Whether another datagram may go to an address that may be made up: three times what came from there, all in all
    /// (RFC 9000 section 8.1). quinn-proto lets the last datagram pass that limit.
    pub(super) fn may_transmit(&self) -> bool {
        self.unproven.is_none_or(|(came, went)| went + usize::from(self.proto.current_mtu()) <= 3 * came)
    }

    /// Datagrams that may go at once.
    pub(super) fn datagrams_max(&self) -> usize {
        if self.unproven.is_some() { 1 } else { usize::MAX }
    }

    /// Datagrams went.
    pub(super) fn on_transmit(&mut self, len: usize) {
        self.unproven = self.unproven.map(|(came, went)| (came, went + len));
    }

    /// Takes what quinn-proto has to say, and reads.
    pub(super) fn take_events(&mut self, context: &mut Context<'_, '_>) {
        while let Some(event) = self.proto.poll() {
            match event {
                Happened::Stream(event) => self.on_stream(context, event),
                Happened::ConnectionLost { .. } => self.end(context),
                Happened::Connected => context.counters.handshakes += 1,
                Happened::HandshakeDataReady | Happened::DatagramReceived | Happened::DatagramsUnblocked => {}
            }
        }
        self.read(context);
    }

    fn on_stream(&mut self, context: &mut Context<'_, '_>, event: StreamEvent) {
        match event {
            StreamEvent::Opened { dir } => {
                while let Some(id) = self.proto.streams().accept(dir) {
                    if self.control.is_some() {
                        self.close(context, CloseCode::Protocol, "one control stream is all");
                        return;
                    }
                    self.control = Some(id);
                    self.is_readable = true;
                    let _ = self.proto.send_stream(id).set_priority(CONTROL_PRIORITY);
                }
            }
            StreamEvent::Readable { id } => self.is_readable |= self.control == Some(id),
            StreamEvent::Finished { id } | StreamEvent::Stopped { id, .. } if self.control == Some(id) => {
                // All of it has arrived, or nobody wants it.
                self.out = None;
                self.is_finished = true;
                let (code, reason) = self.farewell.unwrap_or((CloseCode::Normal, ""));
                self.hang_up(context, code, reason);
            }
            StreamEvent::Finished { id } => self.page_done(id),
            StreamEvent::Stopped { id, .. } => {
                let _ = self.proto.send_stream(id).reset(VarInt::from_u32(0));
                self.page_done(id);
            }
            StreamEvent::Writable { .. } | StreamEvent::Available { .. } => {}
        }
    }

    fn page_done(&mut self, id: StreamId) {
        if let Some(out) = &mut self.out {
            out.page_done(&mut self.proto, id);
        }
    }

    /// Reads the control stream, unless told not to, or there is no room for more of a frame that came in part. What is
    /// not read holds the peer by flow control.
    pub(super) fn read(&mut self, context: &mut Context<'_, '_>) {
        let Some(id) = self.control else { return };
        while self.is_readable && !self.is_paused && matches!(self.phase, Phase::Greeting | Phase::Live) {
            let has_half = !self.partial.is_empty();
            if has_half && !context.halves.may_read(self.key) {
                return;
            }
            let chunk_bytes =
                if has_half || context.halves.has_room() { CHUNK_BYTES } else { READ_BYTES_FULL };
            let next = {
                let mut stream = self.proto.recv_stream(id);
                let Ok(mut chunks) = stream.read(true) else {
                    self.is_readable = false;
                    return;
                };
                let next = chunks.next(chunk_bytes);
                // Whether there is credit to send is asked in `poll_transmit` anyway.
                let _ = chunks.finalize();
                next
            };
            match next {
                Ok(Some(chunk)) => {
                    self.take(context, &chunk.bytes);
                    if has_half || !self.partial.is_empty() {
                        let (held, now_ms) = (self.partial.capacity(), context.moment.now_ms);
                        context.halves.set(self.key, held, chunk.bytes.len(), now_ms);
                    }
                }
                Err(quinn_proto::ReadError::Blocked) => self.is_readable = false,
                Ok(None) | Err(_) => {
                    self.is_readable = false;
                    self.close(context, CloseCode::Normal, "");
                }
            }
        }
    }

    fn take(&mut self, context: &mut Context<'_, '_>, bytes: &[u8]) {
        if self.phase == Phase::Greeting {
            self.received = self.received.saturating_add(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
        }
        if self.partial.is_empty() {
            let taken = self.take_frames(context, bytes);
            self.partial.extend_from_slice(bytes.get(taken..).unwrap_or_default());
        } else {
            let mut partial = core::mem::take(&mut self.partial);
            partial.extend_from_slice(bytes);
            let taken = self.take_frames(context, &partial);
            // The rest of a long frame's memory is not kept for the few bytes behind it.
            self.partial = if taken == 0 { partial } else { partial.split_off(taken) };
        }
        if self.phase == Phase::Greeting && usize::from(self.received) > UNAUTHENTICATED_BYTES_MAX {
            self.close(context, CloseCode::HelloTimeout, "too many bytes before Hello");
        }
        if !matches!(self.phase, Phase::Greeting | Phase::Live) {
            self.partial = Vec::new();
        }
    }

    /// Takes whole frames from the front. Returns how many bytes they are.
    fn take_frames(&mut self, context: &mut Context<'_, '_>, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while matches!(self.phase, Phase::Greeting | Phase::Live) {
            let rest = bytes.get(taken..).unwrap_or_default();
            let Some(header) = Header::read(rest) else { break };
            let checked = header.check().map_err(Fault::Framing);
            let stamped = header.is_stamped().then_some(Fault::Framing(FramingFault::BadStamp));
            if let Some(fault) = checked.err().or(stamped) {
                context.counters.peer_faults += 1;
                self.close(context, fault.close_code(), fault.text());
                break;
            }
            let Some(frame) = rest.get(..header.frame_bytes()) else { break };
            taken += frame.len();
            // Into memory of its own: the datagram is larger, and the frame may live long.
            match Frame::receive(frame) {
                Ok(frame) => self.take_frame(context, frame),
                Err(fault) => self.close(context, Fault::Framing(fault).close_code(), ""),
            }
        }
        taken
    }

    fn take_frame(&mut self, context: &mut Context<'_, '_>, frame: Frame) {
        match self.gate.take(context.moment, frame, self.phase == Phase::Live) {
            Passed::Event(event) => {
                if matches!(event, Event::Hello(_)) {
                    self.phase = Phase::Live;
                    self.deadline_ms = 0;
                    context.counters.hellos += 1;
                }
                (context.sink)(self.key, Told::Event(event));
            }
            Passed::Refused { code, reject, close } => {
                self.transmit(reject);
                (context.sink)(self.key, Told::Event(Event::Refused(code)));
                if let Some((code, reason)) = close {
                    context.counters.peer_faults += 1;
                    self.close(context, code, reason);
                }
            }
        }
    }

    pub(super) fn pause(&mut self, halves: &mut Halves<Key>) {
        self.is_paused = true;
        halves.pause(self.key);
    }

    pub(super) fn resume(&mut self, context: &mut Context<'_, '_>) {
        self.is_paused = false;
        context.halves.resume(self.key, context.moment.now_ms);
        self.read(context);
    }

    /// Queues 1..n whole frames, shared with every other receiver. A page of history goes its own way.
    pub(super) fn transmit(&mut self, frames: Bytes) {
        if !matches!(self.phase, Phase::Greeting | Phase::Live) || frames.is_empty() {
            return;
        }
        self.out.get_or_insert_default().push(frames);
    }

    /// Ends the connection once what is queued has arrived.
    pub(super) fn close(&mut self, context: &mut Context<'_, '_>, code: CloseCode, reason: &'static str) {
        if !matches!(self.phase, Phase::Greeting | Phase::Live) {
            return;
        }
        if self.phase == Phase::Live {
            // Nothing more can come from it: the core need not wait for the farewell.
            (context.sink)(self.key, Told::Closed);
        } else if code == CloseCode::HelloTimeout {
            context.counters.hello_timeouts += 1;
        }
        context.counters.closes.add(code);
        self.phase = Phase::Closing;
        self.farewell = Some((code, reason));
        self.deadline_ms = context.moment.now_ms + context.moment.close_ms;
        self.drop_half(context.halves);
        if self.control.is_none() || self.is_finished {
            self.hang_up(context, code, reason);
        }
    }

    /// It stands still in the middle of a frame, and others wait for its memory.
    pub(super) fn give_up(&mut self, context: &mut Context<'_, '_>) {
        context.counters.halves_stalled += 1;
        self.close(context, CloseCode::HeartbeatTimeout, "no end to a frame, and others wait for its memory");
    }

    /// Forgets a frame that came in part.
    fn drop_half(&mut self, halves: &mut Halves<Key>) {
        self.partial = Vec::new();
        halves.remove(self.key);
    }

    /// The time of the phase is over.
    pub(super) fn on_own_deadline(&mut self, context: &mut Context<'_, '_>) {
        match self.phase {
            Phase::Greeting => self.close(context, CloseCode::HelloTimeout, ""),
            Phase::Live | Phase::Ended => self.deadline_ms = 0,
            Phase::Closing => {
                let (code, reason) = self.farewell.unwrap_or((CloseCode::Normal, ""));
                self.hang_up(context, code, reason);
            }
        }
    }

    /// CONNECTION_CLOSE now; what was not acknowledged is lost.
    pub(super) fn hang_up(&mut self, context: &mut Context<'_, '_>, code: CloseCode, reason: &'static str) {
        match self.phase {
            Phase::Ended => return,
            Phase::Closing => {}
            Phase::Greeting | Phase::Live => context.counters.closes.add(code),
        }
        let number = VarInt::from_u32(code.number().into());
        self.proto.close(context.at, number, Bytes::from_static(reason.as_bytes()));
        self.end(context);
    }

    fn end(&mut self, context: &mut Context<'_, '_>) {
        if self.phase == Phase::Live {
            (context.sink)(self.key, Told::Closed);
        }
        self.phase = Phase::Ended;
        self.deadline_ms = 0;
        self.out = None;
        self.drop_half(context.halves);
    }

    /// Gives quinn-proto as much as it takes.
    pub(super) fn write(&mut self, counters: &mut Counters) {
        if let Some(out) = &mut self.out {
            out.write_pages(&mut self.proto, counters);
            if let Some(id) = self.control {
                out.write_control(&mut self.proto, id);
            }
            if out.is_empty() {
                self.out = None;
            }
        }
        let is_written = self.out.as_ref().is_none_or(|out| out.is_written());
        if self.phase == Phase::Closing
            && is_written
            && !self.is_finished
            && let Some(id) = self.control
        {
            self.is_finished = true;
            let _ = self.proto.send_stream(id).finish();
        }
    }

    /// Tells what waits, if that is news.
    pub(super) fn tell_queued(&mut self, sink: &mut Sink<'_>) {
        let queued = self.out.as_ref().map_or(0, |out| out.bytes());
        if self.phase != Phase::Live {
            return;
        }
        if queued != self.told_queued {
            sink(self.key, Told::Queued(queued));
        }
        // A peer that does not read lets no stream go on.
        let streams = self.out.as_ref().map_or(0, |_| self.proto.stats().frame_tx.stream);
        if self.out.as_mut().is_some_and(|out| out.went_on(streams)) && queued >= self.told_queued {
            sink(self.key, Told::Took);
        }
        self.told_queued = queued;
    }
}
