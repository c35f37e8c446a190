//! One connection as a value.

use core::mem;
use core::net::IpAddr;
use std::io::IoSlice;

use bytes::Bytes;
use protocol::CloseCode;
use protocol::limits::{UNAUTHENTICATED_BYTES_MAX, WS_MESSAGE_BYTES_MAX};
use protocol::ws::{self, ControlFrame, Decoder, Role};

use crate::egress::Egress;
use crate::http::{self, Answer};
use crate::inbound::Gate;
use crate::limits::{CONTROL_FRAMES_MAX, PONG_BYTES_MAX};
use crate::preamble::{self, Preamble};
use crate::{Event, Flow, Moment};

/// Where a connection stands.
///
/// | phase | bytes in | output | next |
/// |---|---|---|---|
/// | Preamble | the header of a trusted proxy | - | Request, Ended by any other bytes or by time |
/// | Request | HTTP head | - | Unauthenticated by 101, Refused by any other answer or by time |
/// | Unauthenticated | WebSocket; the first frame must be Hello | Rejects | Live by Hello, Closing by anything else |
/// | Live | frames | frames | Closing by `close`, a fault or the peer's close |
/// | Closing | looked through for the peer's close | what is queued, then the close frame | Ended |
/// | Refused | dropped | the HTTP answer | Ended |
/// | Ended | dropped | none | |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    Preamble,
    Request,
    Unauthenticated,
    Live,
    Closing,
    Refused,
    Ended,
}

/// One connection. See the crate for the calling contract.
#[derive(Debug)]
pub struct Connection {
    pub(crate) decoder: Decoder,
    pub(crate) state: State,
}

/// Everything besides the decoder, apart so that its sink can borrow it.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// The peer broke the framing: nothing it sends can be read any more.
    pub(crate) is_deaf: bool,
    /// The peer's close frame has come.
    pub(crate) peer_closed: bool,
    close_sent: bool,
    close_code: Option<CloseCode>,
    pub(crate) gate: Gate,
    /// Bytes taken before Hello.
    received: u16,
    /// Of the phase; 0 for none.
    deadline_ms: u64,
    egress: Egress,
    pub(crate) rare: Option<Box<Rare>>,
}

/// What a connection seldom has.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    /// A proxy's header or a request head that came in part.
    pub(crate) head: Vec<u8>,
    /// Who connects, by the proxy's header, until the driver takes it.
    source: Option<IpAddr>,
    /// The proxy's header did not come.
    is_unannounced: bool,
    /// Set while postponed: what was not taken.
    pub(crate) postponed: Option<Postponed>,
    /// What the close frame says besides the code.
    pub(crate) reason: &'static str,
}

impl Rare {
    fn is_empty(&self) -> bool {
        let has_input = !self.head.is_empty() || self.postponed.is_some();
        !has_input && self.source.is_none() && !self.is_unannounced && self.reason.is_empty()
    }
}

/// Input that waits for [`Connection::resume`].
#[derive(Debug, Default)]
pub(crate) struct Postponed {
    /// Rest of a message, already unmasked; comes first.
    pub(crate) frames: Vec<u8>,
    /// Bytes behind it, as they came.
    pub(crate) input: Vec<u8>,
}

impl Connection {
    /// A connection that was just accepted. It has until `deadline_ms` to say Hello.
    #[must_use]
    pub fn new(deadline_ms: u64) -> Self {
        Self {
            decoder: Decoder::new(Role::Server, WS_MESSAGE_BYTES_MAX),
            state: State {
                phase: Phase::Request,
                is_deaf: false,
                peer_closed: false,
                close_sent: false,
                close_code: None,
                gate: Gate::new(),
                received: 0,
                deadline_ms,
                egress: Egress::default(),
                rare: None,
            },
        }
    }

    /// The same from a proxy that has to say first who really connects: see [`Self::take_source`].
    #[must_use]
    pub fn behind_proxy(deadline_ms: u64) -> Self {
        let mut connection = Self::new(deadline_ms);
        connection.state.phase = Phase::Preamble;
        connection
    }

    /// Who connects, once, when a proxy's header has said so.
    pub fn take_source(&mut self) -> Option<IpAddr> {
        let source = self.state.rare.as_mut()?.source.take();
        self.state.tidy();
        source
    }

    /// Takes a proxy's header ahead of everything else, also of TLS. Returns how many bytes belong to it; 0 once it has come.
    pub(crate) fn take_preamble(&mut self, input: &[u8]) -> usize {
        match self.state.phase {
            Phase::Preamble => self.state.take_preamble(input),
            _ => 0,
        }
    }

    /// Whether it ended because the proxy's header did not come, or was none.
    #[must_use]
    pub fn is_unannounced(&self) -> bool {
        self.state.rare.as_ref().is_some_and(|rare| rare.is_unannounced)
    }

    /// Takes what was read. The bytes are unmasked in place. While postponed, they are kept as they are: read no more then.
    pub fn on_bytes(&mut self, moment: &Moment<'_>, input: &mut [u8], sink: &mut impl FnMut(Event) -> Flow) {
        if let Some(postponed) = self.state.postponed() {
            postponed.input.extend_from_slice(input);
        } else {
            self.take(moment, input, sink);
        }
    }

    /// Takes no more input until [`Self::resume`]: what comes in is kept.
    pub fn hold(&mut self) {
        self.state.rare.get_or_insert_default().postponed.get_or_insert_default();
    }

    /// Whether input is kept back.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.state.rare.as_ref().is_some_and(|rare| rare.postponed.is_some())
    }

    /// Goes on with what was kept, and takes input again.
    pub fn resume(&mut self, moment: &Moment<'_>, sink: &mut impl FnMut(Event) -> Flow) {
        let Some(postponed) = self.state.rare.as_mut().and_then(|rare| rare.postponed.take()) else { return };
        let Postponed { frames, mut input } = postponed;
        self.state.take_frames(moment, &frames, sink);
        self.state.tidy();
        self.on_bytes(moment, &mut input, sink);
    }

    /// The peer will send no more. A farewell that waits to be written is still written.
    pub fn on_end(&mut self) {
        if matches!(self.state.phase, Phase::Closing | Phase::Refused) {
            self.state.peer_closed = true;
            self.state.is_deaf = true;
        } else {
            self.state.phase = Phase::Ended;
        }
    }

    /// The socket is broken: nothing comes and nothing goes.
    pub fn on_broken(&mut self) {
        self.state.phase = Phase::Ended;
    }

    /// What is below the connection has failed: nothing more can be heard or said over it. What says so to the peer is not
    /// ours.
    pub(crate) fn on_fault(&mut self, moment: &Moment<'_>) {
        let state = &mut self.state;
        if state.phase != Phase::Ended {
            state.phase = Phase::Refused;
            state.is_deaf = true;
            state.egress = Egress::default();
            state.deadline_ms = moment.now_ms + moment.close_ms;
        }
    }

    /// The time of [`Self::next_deadline`] has come: no Hello, or no end to the closing.
    pub fn on_deadline(&mut self, moment: &Moment<'_>) {
        if self.next_deadline().is_none_or(|deadline| deadline > moment.now_ms) {
            return;
        }
        match self.state.phase {
            Phase::Unauthenticated => self.close(moment, CloseCode::HelloTimeout),
            _ => self.state.phase = Phase::Ended,
        }
    }

    /// When [`Self::on_deadline`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        (self.state.deadline_ms > 0).then_some(self.state.deadline_ms)
    }

    /// Queues 1..n whole frames, shared with every other receiver.
    pub fn transmit(&mut self, frames: Bytes) {
        if matches!(self.state.phase, Phase::Unauthenticated | Phase::Live) {
            self.state.egress.push(frames);
        }
    }

    /// Bytes of memory that a message which came in part holds.
    #[must_use]
    pub fn half_bytes(&self) -> usize {
        self.decoder.held_bytes()
    }

    /// Ends a connection that stands still in the middle of a message: what came of it is forgotten, and nothing more is
    /// read.
    pub fn give_up(&mut self, moment: &Moment<'_>) {
        self.decoder = Decoder::new(Role::Server, WS_MESSAGE_BYTES_MAX);
        self.state.is_deaf = true;
        self.state.close(
            moment,
            CloseCode::HeartbeatTimeout,
            "no end to a message, and others wait for its memory",
        );
    }

    /// Ends the connection once what is queued is written: sends the close code and waits for the peer's answer. One
    /// that has not said a whole request just ends.
    pub fn close(&mut self, moment: &Moment<'_>, code: CloseCode) {
        self.state.close(moment, code, "");
    }

    /// The pieces of the next vectored write, in order; 0 when there is nothing to write. All whole frames that are
    /// queued go out as one WebSocket message where the bounds of the wire allow, so call it once a turn and then for
    /// as long as the kernel takes everything.
    pub fn poll_transmit<'a>(&'a mut self, out: &mut [IoSlice<'a>]) -> usize {
        let state = &mut self.state;
        if state.phase == Phase::Closing && !state.close_sent && state.egress.is_empty() {
            state.close_sent = true;
            let reason = state.rare.as_ref().map_or("", |rare| rare.reason);
            let code = state.close_code.map_or(0, CloseCode::number);
            state.egress.push_own(ControlFrame::close(code, reason, None).as_bytes());
        }
        state.egress.slices(out)
    }

    /// Whether [`crate::SLICES_FEW`] pieces are enough for the next vectored write: most are short.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.state.egress.is_short()
    }

    /// The kernel took so many bytes of the last [`Self::poll_transmit`].
    pub fn advance(&mut self, written: usize) {
        self.state.egress.advance(written);
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.state.egress.queued_bytes()
    }

    /// Whether [`Self::poll_transmit`] has something.
    #[must_use]
    pub fn has_output(&self) -> bool {
        let close_waits = self.state.phase == Phase::Closing && !self.state.close_sent;
        self.state.phase != Phase::Ended && (close_waits || !self.state.egress.is_empty())
    }

    /// Whether the last byte is written: the driver shuts its sending side and drops what still comes.
    #[must_use]
    pub fn is_written_out(&self) -> bool {
        self.is_leaving() && !self.has_output()
    }

    /// Whether no byte follows what waits to be written.
    pub(crate) fn is_leaving(&self) -> bool {
        matches!(self.state.phase, Phase::Closing | Phase::Refused)
    }

    /// Whether the peer's farewell has come.
    pub(crate) fn has_peer_closed(&self) -> bool {
        self.state.peer_closed
    }

    /// Whether nothing comes and nothing goes any more.
    pub(crate) fn is_ended(&self) -> bool {
        self.state.phase == Phase::Ended
    }

    /// Whether the socket can be closed.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state.phase == Phase::Ended || (self.state.peer_closed && self.is_written_out())
    }

    /// Whether Hello has not been said yet, and nothing else ended the connection.
    #[must_use]
    pub fn is_unauthenticated(&self) -> bool {
        matches!(self.state.phase, Phase::Preamble | Phase::Request | Phase::Unauthenticated)
    }

    /// Whether frames still come from it: after a close, a fault or an end none do.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.state.phase == Phase::Live
    }

    /// Whether the request was answered with anything but an upgrade.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.state.phase == Phase::Refused
    }

    /// The code of the close, if the server or a fault began it.
    #[must_use]
    pub fn close_code(&self) -> Option<CloseCode> {
        self.state.close_code
    }

    fn take(&mut self, moment: &Moment<'_>, mut input: &mut [u8], sink: &mut impl FnMut(Event) -> Flow) {
        while !input.is_empty() {
            if let Some(postponed) = self.state.postponed() {
                postponed.input.extend_from_slice(input);
                return;
            }
            let taken = match self.state.phase {
                Phase::Preamble => self.state.take_preamble(input),
                Phase::Request => self.state.take_head(moment, input),
                Phase::Unauthenticated => {
                    let room = UNAUTHENTICATED_BYTES_MAX - usize::from(self.state.received);
                    if room == 0 {
                        self.state.close(moment, CloseCode::HelloTimeout, "too many bytes before Hello");
                        continue;
                    }
                    let end = room.min(input.len());
                    let taken = self.take_messages(moment, input.get_mut(..end).unwrap_or_default(), sink);
                    self.state.count(taken);
                    taken
                }
                Phase::Live | Phase::Closing if !self.state.is_deaf => {
                    self.take_messages(moment, input, sink)
                }
                _ => return,
            };
            input = input.get_mut(taken..).unwrap_or_default();
        }
    }

    /// Lets the decoder take bytes until the phase changes, input is postponed or all is taken.
    fn take_messages(
        &mut self,
        moment: &Moment<'_>,
        input: &mut [u8],
        sink: &mut impl FnMut(Event) -> Flow,
    ) -> usize {
        let Self { decoder, state } = self;
        let len = input.len();
        let taken = decoder.push(input, &mut |event| {
            let before = state.phase;
            match event {
                ws::Event::Message(message) => state.take_message(moment, message, sink),
                ws::Event::Ping(payload) => {
                    state.count_controls(moment, 1);
                    state.pong(payload);
                }
                ws::Event::Pong(_) => state.count_controls(moment, 1),
                ws::Event::Close { .. } => state.on_peer_close(moment),
            }
            state.phase == before && state.postponed().is_none()
        });
        state.count_controls(moment, decoder.take_empty_fragments());
        taken.unwrap_or_else(|fault| {
            self.state.is_deaf = true;
            self.state.close(moment, fault.close_code(), fault.text());
            len
        })
    }
}

impl State {
    pub(crate) fn postponed(&mut self) -> Option<&mut Postponed> {
        self.rare.as_mut()?.postponed.as_mut()
    }

    /// Frees what is empty.
    fn tidy(&mut self) {
        if self.rare.as_ref().is_some_and(|rare| rare.is_empty()) {
            self.rare = None;
        }
    }

    fn count(&mut self, taken: usize) {
        #[allow(clippy::cast_possible_truncation)]
        {
            self.received = self.received.saturating_add(taken.min(UNAUTHENTICATED_BYTES_MAX) as u16);
        }
    }

    /// Counts frames that carry nothing: they cost the server as much as others, and no bound of messages meets them.
    fn count_controls(&mut self, moment: &Moment<'_>, count: u16) {
        let is_flood = count > 0 && self.gate.count_controls(moment, count) > CONTROL_FRAMES_MAX;
        if is_flood && matches!(self.phase, Phase::Unauthenticated | Phase::Live) {
            self.is_deaf = true;
            self.close(
                moment,
                CloseCode::TooManyFaults,
                "too many control frames or empty fragments a second",
            );
        }
    }

    /// Takes bytes of a proxy's header. Returns how many.
    fn take_preamble(&mut self, input: &[u8]) -> usize {
        let rare = self.rare.get_or_insert_default();
        let before = rare.head.len();
        // It is short and comes once: keeping a copy of what comes with it costs little.
        rare.head.extend_from_slice(input);
        match preamble::read(&rare.head) {
            Preamble::Incomplete => input.len(),
            Preamble::Whole(len, source) => {
                rare.head = Vec::new();
                rare.source = source;
                self.phase = Phase::Request;
                self.tidy();
                // What was there before was not whole.
                len - before
            }
            Preamble::Fault => {
                rare.is_unannounced = true;
                self.phase = Phase::Ended;
                input.len()
            }
        }
    }

    /// Takes bytes of the request. Returns how many.
    fn take_head(&mut self, moment: &Moment<'_>, input: &[u8]) -> usize {
        let mut head = self.rare.as_mut().map(|rare| mem::take(&mut rare.head)).unwrap_or_default();
        let before = head.len();
        let answer = if before == 0 {
            http::answer(input, moment.rules)
        } else {
            head.extend_from_slice(input);
            http::answer(&head, moment.rules)
        };
        let taken = match answer {
            Answer::Incomplete => {
                if before == 0 {
                    head.extend_from_slice(input);
                }
                self.rare.get_or_insert_default().head = head;
                return input.len();
            }
            Answer::Upgrade(response, len) => {
                self.egress.push_own(&response);
                self.phase = Phase::Unauthenticated;
                self.count(len);
                len - before
            }
            Answer::Refuse(response) => {
                self.egress.push_own(&response);
                self.phase = Phase::Refused;
                self.deadline_ms = moment.now_ms + moment.close_ms;
                input.len()
            }
        };
        self.tidy();
        taken
    }

    fn pong(&mut self, payload: &[u8]) {
        let pong = ControlFrame::pong(payload, None);
        let fits = self.egress.own_bytes() + pong.as_bytes().len() <= PONG_BYTES_MAX;
        if fits && matches!(self.phase, Phase::Unauthenticated | Phase::Live) {
            self.egress.push_own(pong.as_bytes());
        }
    }

    fn on_peer_close(&mut self, moment: &Moment<'_>) {
        self.peer_closed = true;
        if self.phase != Phase::Closing {
            // Who closes reads no more: only what is half written goes out before the answer.
            self.egress.forget_unbegun();
            self.close(moment, CloseCode::Normal, "");
        }
    }

    /// Queues one frame of the edge's own.
    pub(crate) fn transmit(&mut self, frame: Bytes) {
        self.egress.push(frame);
    }

    /// Hello was said.
    pub(crate) fn go_live(&mut self) {
        self.phase = Phase::Live;
        self.deadline_ms = 0;
    }

    pub(crate) fn close(&mut self, moment: &Moment<'_>, code: CloseCode, reason: &'static str) {
        match self.phase {
            Phase::Preamble | Phase::Request => self.phase = Phase::Ended,
            Phase::Unauthenticated | Phase::Live => {
                self.phase = Phase::Closing;
                self.close_code = Some(code);
                self.deadline_ms = moment.now_ms + moment.close_ms;
                if !reason.is_empty() {
                    self.rare.get_or_insert_default().reason = reason;
                }
            }
            Phase::Closing | Phase::Refused | Phase::Ended => {}
        }
    }
}

const _: () = assert!(protocol::limits::WS_MESSAGE_FRAMES_MAX == 4096, "the words of Fault::TooMany");
const _: () = assert!(UNAUTHENTICATED_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(size_of::<Connection>() <= 176);

#[cfg(test)]
mod tests;
