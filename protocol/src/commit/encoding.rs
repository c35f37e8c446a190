//! The stable encoding of a [`Batch`]. All integers are little endian.
//!
//! ```text
//! batch  = version u8 (1) | store u16 | number u64 | count u32 | count rows
//! row    = tag u8 | len u32 | len bytes: the fields in the order of the type; what has no fixed size is last
//! ```
//! Tags are never reused. Decoding is total and strict: an unknown version or tag, a missing or a left-over byte is a
//! fault, so a batch has exactly one encoding.

use core::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::{AccountRow, Batch, ChannelRow, DeviceRow, IntervalRow, MemberRow, PositionRow, Row};
use crate::frame::Frame;
use crate::id::{ChannelId, DeviceId, InboxSeq, Seq, StoreId, UserId};

const VERSION: u8 = 1;
/// Tag and length of a row.
pub(super) const ROW_HEAD_BYTES: usize = 5;

mod tag {
    pub(super) const MESSAGE: u8 = 1;
    pub(super) const CHANNEL: u8 = 2;
    pub(super) const MEMBER: u8 = 3;
    pub(super) const JOINED: u8 = 4;
    pub(super) const LEFT: u8 = 5;
    pub(super) const READ: u8 = 6;
    pub(super) const POINTER: u8 = 7;
    pub(super) const DEVICE: u8 = 8;
    pub(super) const DEVICE_GONE: u8 = 9;
    pub(super) const ACCOUNT: u8 = 10;
    pub(super) const FANOUT: u8 = 11;
    pub(super) const APPLIED: u8 = 12;
    pub(super) const TRIM_FANOUT: u8 = 13;
    pub(super) const INTERVAL: u8 = 14;
    pub(super) const POSITION: u8 = 15;
}

/// Why bytes are not a batch. On a disk or a log that is damage, or a newer program's work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BatchFault {
    /// The bytes end too early.
    Truncated,
    /// Bytes follow the last row.
    LeftOver,
    /// A version that this program does not know.
    UnknownVersion(u8),
    /// A row tag that this program does not know.
    UnknownTag(u8),
    /// A row with this tag whose bytes are not its fields.
    BadRow(u8),
}

impl fmt::Display for BatchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => write!(f, "the batch ends too early"),
            Self::LeftOver => write!(f, "bytes follow the last row of the batch"),
            Self::UnknownVersion(found) => {
                write!(f, "batch version {found}; this program knows {VERSION}")
            }
            Self::UnknownTag(found) => write!(f, "row tag {found} is unknown to this program"),
            Self::BadRow(tag) => write!(f, "a row with tag {tag} does not hold its fields"),
        }
    }
}

impl core::error::Error for BatchFault {}

impl Batch {
    /// The stable encoding.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(15 + self.rows.len() * 64);
        out.put_u8(VERSION);
        out.put_u16_le(self.store.0);
        out.put_u64_le(self.number);
        out.put_u32_le(self.rows.len() as u32);
        for row in &self.rows {
            let start = out.len();
            out.put_u8(row.tag());
            out.put_u32_le(0);
            row.encode(&mut out);
            let len = (out.len() - start - ROW_HEAD_BYTES) as u32;
            if let Some(slot) = out.get_mut(start + 1..start + ROW_HEAD_BYTES) {
                slot.copy_from_slice(&len.to_le_bytes());
            }
        }
        out.freeze()
    }

    /// The batch in these bytes, all of them.
    ///
    /// # Errors
    /// The first fault.
    pub fn decode(bytes: &[u8]) -> Result<Self, BatchFault> {
        let mut input = Fields(bytes);
        let version = input.u8().ok_or(BatchFault::Truncated)?;
        if version != VERSION {
            return Err(BatchFault::UnknownVersion(version));
        }
        let store = StoreId(input.u16().ok_or(BatchFault::Truncated)?);
        let number = input.u64().ok_or(BatchFault::Truncated)?;
        let count = input.u32().ok_or(BatchFault::Truncated)? as usize;
        // The count is only believed as far as the bytes can bear it out.
        let mut rows = Vec::with_capacity(count.min(input.0.len() / ROW_HEAD_BYTES));
        for _ in 0..count {
            let tag = input.u8().ok_or(BatchFault::Truncated)?;
            let len = input.u32().ok_or(BatchFault::Truncated)? as usize;
            let fields = input.take(len).ok_or(BatchFault::Truncated)?;
            rows.push(Row::decode(tag, fields)?);
        }
        if input.0.is_empty() { Ok(Self { store, number, rows }) } else { Err(BatchFault::LeftOver) }
    }
}

impl Row {
    fn tag(&self) -> u8 {
        match self {
            Self::Message { .. } => tag::MESSAGE,
            Self::Channel { .. } => tag::CHANNEL,
            Self::Member { .. } => tag::MEMBER,
            Self::Joined { .. } => tag::JOINED,
            Self::Left { .. } => tag::LEFT,
            Self::Read { .. } => tag::READ,
            Self::Pointer { .. } => tag::POINTER,
            Self::Device { .. } => tag::DEVICE,
            Self::DeviceGone { .. } => tag::DEVICE_GONE,
            Self::Account { .. } => tag::ACCOUNT,
            Self::Fanout { .. } => tag::FANOUT,
            Self::Applied { .. } => tag::APPLIED,
            Self::TrimFanout { .. } => tag::TRIM_FANOUT,
            Self::Interval { .. } => tag::INTERVAL,
            Self::Position { .. } => tag::POSITION,
        }
    }

    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Message { channel, seq, frame } => {
                out.put_u128_le(channel.0);
                out.put_u64_le(seq.0);
                out.put_slice(frame.bytes());
            }
            Self::Channel { channel, row } => {
                out.put_u128_le(channel.0);
                out.put_slice(&row.encode());
            }
            Self::Member { channel, user, row } => {
                out.put_u128_le(channel.0);
                out.put_u64_le(user.0);
                out.put_slice(&row.encode());
            }
            Self::Joined { user, channel, joined: seq }
            | Self::Left { user, channel, left: seq }
            | Self::Read { user, channel, seq } => {
                out.put_u64_le(user.0);
                out.put_u128_le(channel.0);
                out.put_u64_le(seq.0);
            }
            Self::Pointer { user, at, channel, seq } => {
                out.put_u64_le(user.0);
                out.put_u64_le(at.0);
                out.put_u128_le(channel.0);
                out.put_u64_le(seq.0);
            }
            Self::Device { user, device, row } => {
                out.put_u64_le(user.0);
                out.put_u64_le(device.0);
                out.put_slice(&row.encode());
            }
            Self::DeviceGone { user, device } => {
                out.put_u64_le(user.0);
                out.put_u64_le(device.0);
            }
            Self::Account { user, row } => {
                out.put_u64_le(user.0);
                out.put_slice(&row.encode());
            }
            Self::Fanout { number, messages } => {
                out.put_u64_le(*number);
                for (channel, seq) in messages {
                    out.put_u128_le(channel.0);
                    out.put_u64_le(seq.0);
                }
            }
            Self::Applied { source, through } => {
                out.put_u16_le(source.0);
                out.put_u64_le(*through);
            }
            Self::TrimFanout { below } => out.put_u64_le(*below),
            Self::Interval { channel, user, joined, row } => {
                out.put_u128_le(channel.0);
                out.put_u64_le(user.0);
                out.put_u64_le(joined.0);
                out.put_slice(&row.encode());
            }
            Self::Position { channel, user, row } => {
                out.put_u128_le(channel.0);
                out.put_u64_le(user.0);
                out.put_slice(&row.encode());
            }
        }
    }

    fn decode(tag: u8, bytes: &[u8]) -> Result<Self, BatchFault> {
        let mut fields = Fields(bytes);
        let row = Self::decode_fields(tag, &mut fields)?.ok_or(BatchFault::BadRow(tag))?;
        if fields.0.is_empty() { Ok(row) } else { Err(BatchFault::BadRow(tag)) }
    }

    fn decode_fields(tag: u8, fields: &mut Fields<'_>) -> Result<Option<Self>, BatchFault> {
        Ok(match tag {
            tag::MESSAGE => fields.message(),
            tag::CHANNEL => fields.channel_row(),
            tag::MEMBER => fields.member_row(),
            tag::JOINED => {
                fields.place().map(|(user, channel, joined)| Self::Joined { user, channel, joined })
            }
            tag::LEFT => fields.place().map(|(user, channel, left)| Self::Left { user, channel, left }),
            tag::READ => fields.place().map(|(user, channel, seq)| Self::Read { user, channel, seq }),
            tag::POINTER => fields.pointer(),
            tag::DEVICE => fields.device_row(),
            tag::DEVICE_GONE => fields.device().map(|(user, device)| Self::DeviceGone { user, device }),
            tag::ACCOUNT => fields.account_row(),
            tag::FANOUT => fields.fanout(),
            tag::APPLIED => fields.applied(),
            tag::TRIM_FANOUT => fields.u64().map(|below| Self::TrimFanout { below }),
            tag::INTERVAL => fields.interval(),
            tag::POSITION => fields.position(),
            unknown => return Err(BatchFault::UnknownTag(unknown)),
        })
    }
}

/// What is left of a row; each call takes one field, or several that always stand together.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.0)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn channel(&mut self) -> Option<ChannelId> {
        self.array().map(u128::from_le_bytes).map(ChannelId)
    }

    fn user(&mut self) -> Option<UserId> {
        self.u64().map(UserId)
    }

    fn seq(&mut self) -> Option<Seq> {
        self.u64().map(Seq)
    }

    fn place(&mut self) -> Option<(UserId, ChannelId, Seq)> {
        Some((self.user()?, self.channel()?, self.seq()?))
    }

    fn device(&mut self) -> Option<(UserId, DeviceId)> {
        Some((self.user()?, DeviceId(self.u64()?)))
    }

    fn message(&mut self) -> Option<Row> {
        let (channel, seq) = (self.channel()?, self.seq()?);
        let frame = Frame::new(Bytes::copy_from_slice(self.rest())).ok()?;
        let stamp = frame.read_stamp()?;
        (stamp.seq == seq).then_some(Row::Message { channel, seq, frame })
    }

    fn channel_row(&mut self) -> Option<Row> {
        Some(Row::Channel { channel: self.channel()?, row: ChannelRow::decode(self.rest())? })
    }

    fn member_row(&mut self) -> Option<Row> {
        let (channel, user) = (self.channel()?, self.user()?);
        Some(Row::Member { channel, user, row: MemberRow::decode(self.rest())? })
    }

    fn pointer(&mut self) -> Option<Row> {
        let (user, at) = (self.user()?, InboxSeq(self.u64()?));
        Some(Row::Pointer { user, at, channel: self.channel()?, seq: self.seq()? })
    }

    fn device_row(&mut self) -> Option<Row> {
        let (user, device) = self.device()?;
        Some(Row::Device { user, device, row: DeviceRow::decode(self.rest())? })
    }

    fn account_row(&mut self) -> Option<Row> {
        Some(Row::Account { user: self.user()?, row: AccountRow::decode(self.rest())? })
    }

    fn fanout(&mut self) -> Option<Row> {
        let number = self.u64()?;
        let mut messages = Vec::with_capacity(self.0.len() / 24);
        while !self.0.is_empty() {
            messages.push((self.channel()?, self.seq()?));
        }
        Some(Row::Fanout { number, messages })
    }

    fn interval(&mut self) -> Option<Row> {
        let (channel, user, joined) = (self.channel()?, self.user()?, self.seq()?);
        Some(Row::Interval { channel, user, joined, row: IntervalRow::decode(self.rest())? })
    }

    fn position(&mut self) -> Option<Row> {
        let (channel, user) = (self.channel()?, self.user()?);
        Some(Row::Position { channel, user, row: PositionRow::decode(self.rest())? })
    }

    fn applied(&mut self) -> Option<Row> {
        Some(Row::Applied { source: StoreId(self.u16()?), through: self.u64()? })
    }
}
