//! From bytes to frames, and the two kinds that the edge answers itself: Hello and Reauth.

use bytes::Bytes;
use protocol::body::{encode, ingest, session};
use protocol::hello::{Hello, Reauth};
use protocol::limits::WS_MESSAGE_FRAMES_MAX;
use protocol::token::{self, Claims};
use protocol::{
    CloseCode, Code, Cursor, DeviceId, Frame, FramingFault, Generation, Header, InboxSeq, Kind, Refusal,
    UserId,
};

use crate::connection::{Phase, State};
use crate::limits::FAULTS_MAX;
use crate::{Event, Flow, Moment};

/// What is wrong with the bytes of a message or of a control stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    Framing(FramingFault),
    /// Bytes behind the last whole frame, or none at all.
    LeftOver,
    /// More than [`WS_MESSAGE_FRAMES_MAX`] frames in a message.
    TooMany,
}

impl Fault {
    pub(crate) fn close_code(self) -> CloseCode {
        match self {
            Self::Framing(FramingFault::TooLarge) | Self::TooMany => CloseCode::TooBig,
            _ => CloseCode::Protocol,
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::TooMany => "more than 4096 frames in a message",
            Self::Framing(FramingFault::TooLarge) => "frame above the limit of its kind",
            Self::Framing(FramingFault::UnknownFlag) => "unknown frame flag",
            Self::Framing(FramingFault::BadStamp) => "a device sends no stamped frames",
            Self::Framing(FramingFault::VersionZero) => "frame version 0",
            Self::Framing(FramingFault::WrongLength) | Self::LeftOver => {
                "a message holds 1..n whole frames and nothing else"
            }
        }
    }
}

/// Splits the next frame off, copied into memory of its own: the read buffer is shared by all connections, and the
/// frame may live long.
pub(crate) fn split(message: &[u8]) -> Result<(Frame, &[u8]), Fault> {
    let header = Header::read(message).ok_or(Fault::LeftOver)?;
    header.check().map_err(Fault::Framing)?;
    if header.is_stamped() {
        return Err(Fault::Framing(FramingFault::BadStamp));
    }
    let (frame, rest) = message.split_at_checked(header.frame_bytes()).ok_or(Fault::LeftOver)?;
    let frame = Frame::receive(frame).map_err(Fault::Framing)?;
    Ok((frame, rest))
}

impl State {
    /// Takes a whole message.
    pub(crate) fn take_message(
        &mut self,
        moment: &Moment<'_>,
        message: &[u8],
        sink: &mut impl FnMut(Event) -> Flow,
    ) {
        if message.is_empty() {
            self.breach(moment, Fault::LeftOver);
        } else {
            self.take_frames(moment, message, sink);
        }
    }

    /// The next frame boundary is lost, so nothing more can be read.
    fn breach(&mut self, moment: &Moment<'_>, fault: Fault) {
        self.is_deaf = true;
        self.close(moment, fault.close_code(), fault.text());
    }

    /// Takes the frames of a message, or of the rest of one. What the sink does not want is kept. Of a message with too
    /// many frames those within the bound are taken; the rest of one that began with Hello is too short for so many.
    pub(crate) fn take_frames(
        &mut self,
        moment: &Moment<'_>,
        mut message: &[u8],
        sink: &mut impl FnMut(Event) -> Flow,
    ) {
        let mut taken = 0;
        while !message.is_empty() && matches!(self.phase, Phase::Unauthenticated | Phase::Live) {
            if taken >= WS_MESSAGE_FRAMES_MAX {
                return self.breach(moment, Fault::TooMany);
            }
            taken += 1;
            let (frame, rest) = match split(message) {
                Ok(split) => split,
                Err(fault) => return self.breach(moment, fault),
            };
            message = rest;
            if sink(self.take_frame(moment, frame)) == Flow::Hold {
                let postponed = self.rare.get_or_insert_default().postponed.get_or_insert_default();
                postponed.frames.extend_from_slice(message);
                return;
            }
        }
    }

    fn take_frame(&mut self, moment: &Moment<'_>, frame: Frame) -> Event {
        let is_welcome = self.phase == Phase::Live;
        match self.gate.take(moment, frame, is_welcome) {
            Passed::Event(event) => {
                if let Event::Hello(_) = &event {
                    self.go_live();
                }
                event
            }
            Passed::Refused { code, reject, close } => {
                self.transmit(reject);
                if let Some((close, reason)) = close {
                    self.close(moment, close, reason);
                }
                Event::Refused(code)
            }
        }
    }
}

/// What the edge must remember to judge frames: whose connection it is, and how often it was refused in a row.
#[derive(Debug)]
pub(crate) struct Gate {
    user: UserId,
    device: DeviceId,
    faults: u8,
    /// Control frames and empty fragments in the second that `controls_s` names.
    controls: u8,
    /// The low bits of the second.
    controls_s: u16,
}

/// What became of a frame.
#[derive(Debug)]
pub(crate) enum Passed {
    /// It is told.
    Event(Event),
    /// It is refused with these bytes, and perhaps it was one too many.
    Refused { code: Code, reject: Bytes, close: Option<(CloseCode, &'static str)> },
}

impl Gate {
    pub(crate) const fn new() -> Self {
        Self { user: UserId(0), device: DeviceId(0), faults: 0, controls: 0, controls_s: 0 }
    }

    /// Counts control frames and empty fragments. Returns how many came in this second of the clock.
    pub(crate) fn count_controls(&mut self, moment: &Moment<'_>, count: u16) -> u8 {
        #[allow(clippy::cast_possible_truncation)]
        let second = (moment.now_ms / 1000) as u16;
        if self.controls_s != second {
            (self.controls_s, self.controls) = (second, 0);
        }
        self.controls = self.controls.saturating_add(u8::try_from(count).unwrap_or(u8::MAX));
        self.controls
    }

    /// Judges a frame of a connection that has, or has not, said Hello.
    pub(crate) fn take(&mut self, moment: &Moment<'_>, frame: Frame, is_welcome: bool) -> Passed {
        let id = frame.header().id;
        let outcome = match (is_welcome, frame.kind()) {
            (false, Kind::HELLO) => self.hello(moment, &frame),
            (false, _) => {
                Err(Refusal::new(Code::Unauthenticated, "", "the first frame of a connection is Hello"))
            }
            (true, Kind::HELLO) => {
                Err(Refusal::new(Code::Forbidden, "", "Hello was said; send Reauth for a new token"))
            }
            (true, Kind::REAUTH) => self.reauth(moment, &frame),
            _ => return Passed::Event(Event::Frame(frame)),
        };
        match outcome {
            Ok(event) => {
                self.faults = 0;
                Passed::Event(event)
            }
            Err(refusal) => self.refuse(id, &refusal, is_welcome),
        }
    }

    fn hello(&mut self, moment: &Moment<'_>, frame: &Frame) -> Result<Event, Refusal> {
        let body = ingest::<session::Hello>(frame)?;
        let claims = verify(moment, &body.token)?;
        (self.user, self.device) = (claims.user, claims.device);
        let cursor = Cursor {
            generation: Generation(body.generation.to_native()),
            at: InboxSeq(body.cursor.to_native()),
        };
        let Claims { user, device, expires_ms, issued_ms } = claims;
        Ok(Event::Hello(Hello { user, device, cursor, id: frame.header().id, expires_ms, issued_ms }))
    }

    fn reauth(&self, moment: &Moment<'_>, frame: &Frame) -> Result<Event, Refusal> {
        let body = ingest::<session::Reauth>(frame)?;
        let claims = verify(moment, &body.token)?;
        if (claims.user, claims.device) != (self.user, self.device) {
            let text = "the token names another user or device than Hello did";
            return Err(Refusal::new(Code::Forbidden, "token", text));
        }
        let Claims { expires_ms, issued_ms, .. } = claims;
        Ok(Event::Reauth(Reauth { id: frame.header().id, expires_ms, issued_ms }))
    }

    /// Says what was wrong. Before Hello that is the end, after it only when it goes on.
    fn refuse(&mut self, id: u64, refusal: &Refusal, is_welcome: bool) -> Passed {
        self.faults = self.faults.saturating_add(1);
        let close = if !is_welcome {
            Some((CloseCode::Unauthenticated, refusal.code.word()))
        } else {
            (self.faults >= FAULTS_MAX).then_some((CloseCode::TooManyFaults, ""))
        };
        Passed::Refused { code: refusal.code, reject: encode(id, &refusal.body()).into_bytes(), close }
    }
}

fn verify(moment: &Moment<'_>, token: &str) -> Result<Claims, Refusal> {
    token::verify(moment.keys, token, moment.wall_ms).map_err(token::TokenFault::refusal)
}
