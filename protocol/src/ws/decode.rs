//! Reading WebSocket frames, resumable at any byte.

use super::{CONTROL_BYTES_MAX, HEADER_BYTES_MAX, Opcode, Role, WsFault, is_close_code, mask};

/// What came in. The slices live until the sink returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event<'a> {
    /// A whole binary message.
    Message(&'a [u8]),
    /// A ping: answer it with a pong of the same bytes.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// The peer closes. Answer with a close unless one was sent. Nothing comes after it.
    Close {
        /// The code, if there is one.
        code: Option<u16>,
        /// The reason, perhaps empty.
        reason: &'a str,
    },
}

/// The state of one direction of a connection.
///
/// Call [`Self::push`] with what was read, for as long as it takes all; keep what it did not take and push that first
/// the next time. Between frames it owns no heap memory. Of a message that came in part it keeps what came, never
/// more than twice that and never more than the message.
#[derive(Debug)]
pub struct Decoder {
    role: Role,
    ended: Ended,
    head: [u8; HEADER_BYTES_MAX],
    head_len: u8,
    /// Since [`Self::take_empty_fragments`].
    empty_fragments: u16,
    message_bytes_max: u32,
    frame: Option<Payload>,
    /// Parts of the message so far; `None` outside a fragmented message.
    parts: Option<Box<Partial>>,
    /// The payload of the frame that is being received, when it is a control frame that came in part.
    control: Option<Box<Partial>>,
}

/// What seldom is there, behind one pointer: most connections are between frames.
#[derive(Debug, Default)]
struct Partial {
    bytes: Vec<u8>,
}

/// Whether anything can still come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ended {
    No,
    Closed,
    Faulty(WsFault),
}

/// A frame whose header has been read.
#[derive(Clone, Copy, Debug)]
struct Payload {
    opcode: Opcode,
    is_final: bool,
    key: Option<[u8; 4]>,
    len: u32,
    taken: u32,
}

impl Payload {
    /// Bytes that are still to come.
    fn left(self) -> usize {
        (self.len - self.taken) as usize
    }
}

const _: () = assert!(size_of::<Decoder>() <= 56);

impl Decoder {
    /// A decoder for what reaches `role`. A message of more than `message_bytes_max` bytes, all its parts together, or of
    /// 4 GiB is a fault.
    #[must_use]
    pub fn new(role: Role, message_bytes_max: usize) -> Self {
        Self {
            role,
            ended: Ended::No,
            head: [0; HEADER_BYTES_MAX],
            head_len: 0,
            empty_fragments: 0,
            message_bytes_max: u32::try_from(message_bytes_max).unwrap_or(u32::MAX),
            frame: None,
            parts: None,
            control: None,
        }
    }

    /// Takes bytes, unmasking in place what it takes, and tells the sink each event as soon as it is whole. A sink
    /// that returns false ends the call behind its event. Returns how many bytes of `input` were taken; the others
    /// are untouched.
    ///
    /// After a close everything is taken and nothing told.
    ///
    /// # Errors
    /// The breach; events before it were told. Every later call returns the same.
    pub fn push(
        &mut self,
        input: &mut [u8],
        sink: &mut impl FnMut(Event<'_>) -> bool,
    ) -> Result<usize, WsFault> {
        let mut at = 0;
        let mut go_on = true;
        while go_on {
            match self.ended {
                Ended::No => {}
                Ended::Closed => return Ok(input.len()),
                Ended::Faulty(fault) => return Err(fault),
            }
            let Some(rest) = input.get_mut(at..) else { break };
            let outcome = match self.frame {
                None if rest.is_empty() => break,
                None => self.push_header(rest),
                Some(payload) if rest.is_empty() && payload.taken < payload.len => break,
                Some(payload) => self.push_payload(payload, rest, sink, &mut go_on),
            };
            match outcome {
                Ok(taken) => at += taken,
                Err(fault) => {
                    self.forget();
                    self.ended = Ended::Faulty(fault);
                }
            }
        }
        Ok(at)
    }

    /// Whether the last byte taken ended a frame and no message is half here: the connection could move now without
    /// taking memory along.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.head_len == 0 && self.frame.is_none() && self.parts.is_none()
    }

    /// Bytes of heap memory held for a message that is not whole yet.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        [&self.parts, &self.control].into_iter().flatten().map(|held| held.bytes.capacity()).sum()
    }

    /// Fragments without a byte that did not end their message either, since the last call: RFC 6455 allows them, they
    /// mean nothing, and no bound of a message meets them.
    pub fn take_empty_fragments(&mut self) -> u16 {
        core::mem::take(&mut self.empty_fragments)
    }

    fn forget(&mut self) {
        self.head_len = 0;
        self.frame = None;
        self.parts = None;
        self.control = None;
    }

    /// Takes header bytes. The first two are judged as soon as they are there.
    fn push_header(&mut self, input: &[u8]) -> Result<usize, WsFault> {
        let mut taken = 0;
        loop {
            let have = usize::from(self.head_len);
            let need = if have < 2 { 2 } else { self.header_bytes() };
            if have == need {
                self.frame = Some(self.parse_header()?);
                self.head_len = 0;
                return Ok(taken);
            }
            let Some(byte) = input.get(taken) else { return Ok(taken) };
            if let Some(slot) = self.head.get_mut(have) {
                *slot = *byte;
            }
            self.head_len += 1;
            taken += 1;
            if self.head_len == 2 {
                self.judge()?;
            }
        }
    }

    fn header_bytes(&self) -> usize {
        let [_, second, ..] = self.head;
        let length = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if second & 0x80 == 0 { 0 } else { 4 }
    }

    /// Everything that the first two bytes can do wrong.
    fn judge(&self) -> Result<(), WsFault> {
        let [first, second, ..] = self.head;
        if first & 0x70 != 0 {
            return Err(WsFault::ReservedBits);
        }
        let opcode = opcode_of(first)?;
        if (second & 0x80 != 0) != (self.role == Role::Server) {
            return Err(WsFault::Masking);
        }
        if opcode.is_control() {
            if first & 0x80 == 0 {
                return Err(WsFault::FragmentedControl);
            }
            if usize::from(second & 0x7f) > CONTROL_BYTES_MAX {
                return Err(WsFault::LongControl);
            }
        } else if opcode == Opcode::Continuation && self.parts.is_none() {
            return Err(WsFault::NothingToContinue);
        } else if opcode == Opcode::Binary && self.parts.is_some() {
            return Err(WsFault::Interleaved);
        }
        Ok(())
    }

    fn parse_header(&self) -> Result<Payload, WsFault> {
        let [first, second, l0, l1, l2, l3, l4, l5, l6, l7, ..] = self.head;
        let (len, key_at) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes([l0, l1])), 4),
            127 => (u64::from_be_bytes([l0, l1, l2, l3, l4, l5, l6, l7]), 10),
            small => (u64::from(small), 2),
        };
        let shortest = match second & 0x7f {
            126 => len > 125,
            127 => len > u64::from(u16::MAX) && len >> 63 == 0,
            _ => true,
        };
        if !shortest {
            return Err(WsFault::Length);
        }
        let opcode = opcode_of(first)?;
        let held = self.parts.as_ref().filter(|_| !opcode.is_control());
        let before = held.map_or(0, |parts| parts.bytes.len() as u64);
        // A control frame is short: `judge` has seen to it.
        let room = u64::from(self.message_bytes_max).saturating_sub(before);
        let len = u32::try_from(len).ok().filter(|len| opcode.is_control() || u64::from(*len) <= room);
        let Some(len) = len else { return Err(WsFault::TooBig) };
        let key = self.head.get(key_at..).and_then(|tail| tail.first_chunk::<4>());
        let key = if second & 0x80 == 0 { None } else { key.copied() };
        Ok(Payload { opcode, is_final: first & 0x80 != 0, key, len, taken: 0 })
    }

    /// Takes payload bytes: the whole payload borrowed if it is here, else what is here into memory.
    fn push_payload(
        &mut self,
        payload: Payload,
        input: &mut [u8],
        sink: &mut impl FnMut(Event<'_>) -> bool,
        go_on: &mut bool,
    ) -> Result<usize, WsFault> {
        let end = payload.left().min(input.len());
        let chunk = input.get_mut(..end).unwrap_or_default();
        if let Some(key) = payload.key {
            mask(chunk, key, payload.taken as usize);
        }
        let is_whole = end == payload.left();
        if payload.opcode.is_control() {
            self.push_control(payload, chunk, is_whole, sink, go_on)?;
        } else if is_whole && payload.taken == 0 && payload.is_final && self.parts.is_none() {
            *go_on = sink(Event::Message(chunk));
        } else {
            if payload.len == 0 && !payload.is_final {
                self.empty_fragments = self.empty_fragments.saturating_add(1);
            }
            let parts = &mut self.parts.get_or_insert_default().bytes;
            parts.reserve_exact(payload.left().min(end.max(parts.len())));
            parts.extend_from_slice(chunk);
            if is_whole && payload.is_final {
                let message = self.parts.take().unwrap_or_default();
                *go_on = sink(Event::Message(&message.bytes));
            }
        }
        #[allow(clippy::cast_possible_truncation)]
        let taken = payload.taken + end as u32;
        self.frame = (!is_whole).then_some(Payload { taken, ..payload });
        Ok(end)
    }

    fn push_control(
        &mut self,
        payload: Payload,
        chunk: &[u8],
        is_whole: bool,
        sink: &mut impl FnMut(Event<'_>) -> bool,
        go_on: &mut bool,
    ) -> Result<(), WsFault> {
        if !is_whole {
            self.control.get_or_insert_default().bytes.extend_from_slice(chunk);
            return Ok(());
        }
        let mut held = self.control.take();
        let bytes = match &mut held {
            None => chunk,
            Some(held) => {
                held.bytes.extend_from_slice(chunk);
                &held.bytes
            }
        };
        let event = match payload.opcode {
            Opcode::Ping => Event::Ping(bytes),
            Opcode::Pong => Event::Pong(bytes),
            _ => {
                let event = close_event(bytes)?;
                self.ended = Ended::Closed;
                self.parts = None;
                event
            }
        };
        *go_on = sink(event);
        Ok(())
    }
}

fn opcode_of(first: u8) -> Result<Opcode, WsFault> {
    match first & 0x0f {
        0x0 => Ok(Opcode::Continuation),
        0x1 => Err(WsFault::Text),
        0x2 => Ok(Opcode::Binary),
        0x8 => Ok(Opcode::Close),
        0x9 => Ok(Opcode::Ping),
        0xa => Ok(Opcode::Pong),
        _ => Err(WsFault::ReservedOpcode),
    }
}

fn close_event(payload: &[u8]) -> Result<Event<'_>, WsFault> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() {
            Ok(Event::Close { code: None, reason: "" })
        } else {
            Err(WsFault::BadCloseCode)
        };
    };
    let code = u16::from_be_bytes(*code);
    if !is_close_code(code) {
        return Err(WsFault::BadCloseCode);
    }
    let reason = core::str::from_utf8(reason).map_err(|_| WsFault::BadCloseReason)?;
    Ok(Event::Close { code: Some(code), reason })
}
