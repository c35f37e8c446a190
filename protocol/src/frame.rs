//! The frame: a 16-byte header, an optional 24-byte stamp, a body.
//!
//! ```text
//!  0        4      6   7   8                16 (flag STAMPED:)  24       32       40
//!  | len u32| kind |ver|flg| id u64          | seq u64 | time_ms u64 | sender u64 | body ...
//! ```
//! `len` counts the bytes after the header. All integers are little endian.

use bytes::{BufMut, Bytes, BytesMut};

use crate::id::{SendId, Seq, UserId};
use crate::kind::Kind;
use crate::limits::{FRAME_BYTES_MAX, HEADER_BYTES, STAMP_BYTES};
use crate::partition::mix64;
use crate::reject::CloseCode;

/// Flag bit 0: a stamp stands between header and body.
pub const STAMPED: u8 = 1;

/// The first 16 bytes of every frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Bytes after the header.
    pub len: u32,
    /// What the body is; the high byte is the family.
    pub kind: Kind,
    /// Version of the (kind, version) root type, from 1.
    pub version: u8,
    /// Bit 0 [`STAMPED`]; the others are 0.
    pub flags: u8,
    /// The client's send id or request id; a reply or Reject repeats it; 0 = unsolicited.
    pub id: u64,
}

/// What the channel's home adds to a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Dense position in the channel.
    pub seq: Seq,
    /// Milliseconds since the Unix epoch; never steps back within a channel.
    pub time_ms: u64,
    /// Who sent it.
    pub sender: UserId,
}

/// A fault in the framing itself. It closes the connection: the next frame boundary is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FramingFault {
    /// `len` is above the kind's maximum or [`FRAME_BYTES_MAX`].
    TooLarge,
    /// A flag bit other than [`STAMPED`] is set.
    UnknownFlag,
    /// A device may not send stamped frames, and a stamped frame must hold its stamp.
    BadStamp,
    /// Version 0 does not exist.
    VersionZero,
    /// The bytes end inside a frame, or go on behind it.
    WrongLength,
}

impl FramingFault {
    /// The code to close the connection with.
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::TooLarge => CloseCode::TooBig,
            Self::UnknownFlag | Self::BadStamp | Self::VersionZero | Self::WrongLength => CloseCode::Protocol,
        }
    }

    /// What was wrong, short enough for the reason of a close frame.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::TooLarge => "frame length above its kind's maximum",
            Self::UnknownFlag => "unknown flag bit",
            Self::BadStamp => "stamp missing, or sent by a device",
            Self::VersionZero => "version 0",
            Self::WrongLength => "bytes missing or left over",
        }
    }
}

impl Header {
    /// Reads a header; `None` while fewer than 16 bytes are there.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let head: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        let [l0, l1, l2, l3, k0, k1, version, flags, id @ ..] = *head;
        Some(Self {
            len: u32::from_le_bytes([l0, l1, l2, l3]),
            kind: Kind(u16::from_le_bytes([k0, k1])),
            version,
            flags,
            id: u64::from_le_bytes(id),
        })
    }

    /// Checks what can be checked before the body is there.
    ///
    /// # Errors
    /// The fault that makes the rest of the bytes unreadable.
    pub fn check(&self) -> Result<(), FramingFault> {
        if self.flags & !STAMPED != 0 {
            return Err(FramingFault::UnknownFlag);
        }
        let stamp = if self.is_stamped() { STAMP_BYTES } else { 0 };
        if (self.len as usize) < stamp {
            return Err(FramingFault::BadStamp);
        }
        if self.len as usize > (self.kind.body_bytes_max() + stamp).min(FRAME_BYTES_MAX - HEADER_BYTES) {
            return Err(FramingFault::TooLarge);
        }
        if self.version == 0 {
            return Err(FramingFault::VersionZero);
        }
        Ok(())
    }

    /// Whether the stamp is there.
    #[must_use]
    pub fn is_stamped(&self) -> bool {
        self.flags & STAMPED != 0
    }

    /// Header plus everything behind it.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        HEADER_BYTES + self.len as usize
    }

    /// Writes the 16 bytes.
    pub fn write(&self, out: &mut impl BufMut) {
        out.put_u32_le(self.len);
        out.put_u16_le(self.kind.0);
        out.put_u8(self.version);
        out.put_u8(self.flags);
        out.put_u64_le(self.id);
    }
}

/// One whole frame, header included, in one shared buffer: what is stored, fanned out, paged and sent.
#[derive(Clone)]
pub struct Frame {
    header: Header,
    buffer: Bytes,
    /// Where the frame begins in the buffer: behind room for a stamp if it was received, else at 0.
    start: usize,
}

impl Frame {
    /// Takes exactly one frame.
    ///
    /// # Errors
    /// The framing fault; left-over or missing bytes are [`FramingFault::WrongLength`].
    pub fn new(bytes: Bytes) -> Result<Self, FramingFault> {
        let header = Header::read(&bytes).ok_or(FramingFault::WrongLength)?;
        header.check()?;
        if header.frame_bytes() != bytes.len() {
            return Err(FramingFault::WrongLength);
        }
        Ok(Self { header, buffer: bytes, start: 0 })
    }

    /// Copies one frame out of a read buffer, with room for the stamp in front: the one copy that a message's body sees
    /// between the socket and the store.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn receive(bytes: &[u8]) -> Result<Self, FramingFault> {
        let header = Header::read(bytes).ok_or(FramingFault::WrongLength)?;
        header.check()?;
        if header.frame_bytes() != bytes.len() {
            return Err(FramingFault::WrongLength);
        }
        let mut buffer = BytesMut::with_capacity(STAMP_BYTES + bytes.len());
        buffer.put_bytes(0, STAMP_BYTES);
        buffer.put_slice(bytes);
        Ok(Self { header, buffer: buffer.freeze(), start: STAMP_BYTES })
    }

    /// Takes the next frame off the front of a WebSocket message, which holds 1..n whole frames; `None` at its end.
    /// The frame shares the message's buffer.
    ///
    /// # Errors
    /// The framing fault; a frame that is not whole is [`FramingFault::WrongLength`].
    pub fn take(message: &mut Bytes) -> Result<Option<Self>, FramingFault> {
        if message.is_empty() {
            return Ok(None);
        }
        let header = Header::read(message).ok_or(FramingFault::WrongLength)?;
        header.check()?;
        if header.frame_bytes() > message.len() {
            return Err(FramingFault::WrongLength);
        }
        Ok(Some(Self { header, buffer: message.split_to(header.frame_bytes()), start: 0 }))
    }

    /// Builds an unstamped frame around an encoded body.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn build(kind: Kind, version: u8, id: u64, body: &[u8]) -> Self {
        debug_assert!(body.len() + HEADER_BYTES <= FRAME_BYTES_MAX);
        let header = Header { len: body.len() as u32, kind, version, flags: 0, id };
        let mut bytes = BytesMut::with_capacity(header.frame_bytes());
        header.write(&mut bytes);
        bytes.put_slice(body);
        Self { header, buffer: bytes.freeze(), start: 0 }
    }

    /// The message that this sent frame becomes: a new header, the stamp, the same body bytes. In place, if the frame was
    /// received and nobody else holds it; else by a copy.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn stamp(self, stamp: Stamp) -> Self {
        let header = Header { len: (self.body().len() + STAMP_BYTES) as u32, flags: STAMPED, ..self.header };
        let mut front = [0; HEADER_BYTES + STAMP_BYTES];
        let mut fields = &mut front[..];
        header.write(&mut fields);
        fields.put_u64_le(stamp.seq.0);
        fields.put_u64_le(stamp.time_ms);
        fields.put_u64_le(stamp.sender.0);
        let own = if self.start == STAMP_BYTES { self.buffer.try_into_mut() } else { Err(self.buffer) };
        let buffer = match own {
            Ok(mut buffer) => {
                for (to, from) in buffer.iter_mut().zip(front) {
                    *to = from;
                }
                buffer
            }
            Err(shared) => {
                let body = shared.get(self.start + HEADER_BYTES..).unwrap_or_default();
                let mut buffer = BytesMut::with_capacity(header.frame_bytes());
                buffer.put_slice(&front);
                buffer.put_slice(body);
                buffer
            }
        };
        Self { header, buffer: buffer.freeze(), start: 0 }
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> Header {
        self.header
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.header.kind
    }

    /// The header's id as the idempotency key of a send.
    #[must_use]
    pub fn send_id(&self) -> SendId {
        SendId(self.header.id)
    }

    /// The stamp, if there is one.
    #[must_use]
    pub fn read_stamp(&self) -> Option<Stamp> {
        let stamp: &[u8; STAMP_BYTES] = self.bytes().get(HEADER_BYTES..)?.first_chunk()?;
        let (seq, rest) = stamp.split_first_chunk::<8>()?;
        let (time_ms, sender) = rest.split_first_chunk::<8>()?;
        self.header.is_stamped().then_some(Stamp {
            seq: Seq(u64::from_le_bytes(*seq)),
            time_ms: u64::from_le_bytes(*time_ms),
            sender: UserId(u64::from_le_bytes(*sender.first_chunk()?)),
        })
    }

    /// The body: everything behind header and stamp.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        let start = HEADER_BYTES + if self.header.is_stamped() { STAMP_BYTES } else { 0 };
        self.bytes().get(start..).unwrap_or_default()
    }

    /// A 64-bit digest of kind, version and body, for telling "the same again" from "other content under the same key".
    /// It never leaves the process and may change between versions.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let body = self.body();
        let mut digest = mix64(u64::from(self.header.kind.0) << 8 | u64::from(self.header.version));
        digest = mix64(digest ^ body.len() as u64);
        let (words, rest) = body.as_chunks::<8>();
        for word in words {
            digest = mix64(digest ^ u64::from_le_bytes(*word));
        }
        for byte in rest {
            digest = mix64(digest ^ u64::from(*byte));
        }
        digest
    }

    /// The whole frame.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// The whole frame, shared.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.buffer.slice(self.start..)
    }

    /// The whole frame, by value.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.buffer.slice(self.start..)
    }
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Frame {}

impl core::fmt::Debug for Frame {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Frame").field("header", &self.header).field("body", &self.body()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_received_frame_is_stamped_in_place_and_a_shared_one_by_a_copy() {
        let sent = Frame::build(Kind::SEND_TEXT, 1, 7, b"a body of some bytes");
        let stamp = Stamp { seq: Seq(3), time_ms: 5, sender: UserId(9) };
        let copied = sent.clone().stamp(stamp);
        let received = Frame::receive(sent.bytes()).unwrap();
        assert_eq!(received, sent);
        let shared = received.clone();
        assert_eq!(shared.stamp(stamp), copied, "somebody else holds it");
        let place = received.body().as_ptr();
        let stamped = received.stamp(stamp);
        assert_eq!(stamped, copied);
        assert_eq!(stamped.body().as_ptr(), place, "the body did not move");
        assert_eq!(stamped.read_stamp(), Some(stamp));
    }
}
