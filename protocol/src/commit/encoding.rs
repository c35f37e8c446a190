//! The stable encoding of a [`Batch`]. All integers are little endian.
//!
//! ```text
//! batch  = version u8 (2) | shard u16 | number u64 | parts u16 | parts
//! part   = bay u16 | len u32 | len bytes: count u32 | count rows
//! row    = tag u8 | len u32 | len bytes: the fields in the order of the type; what has no fixed size is last
//! ```
//! A reader skips the part of a bay that is not its own by `len`. Tags are never reused: 3, 6, 7 and 12 were rows of
//! version 1 (a member's intervals in one row, a read position, one inbox pointer, one mark), whose batches were never
//! written anywhere. Decoding is total and strict: an unknown version or tag, a missing or a left-over byte is a fault, so
//! a batch has exactly one encoding.

use core::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    About, AccountRow, Batch, ChannelRow, DeviceRow, IntervalRow, Note, Part, PositionRow, PresenceRow,
    Relation, Row, Rule, erased, floor, push,
};
use crate::frame::Frame;
use crate::id::{BayId, ChannelId, DeviceId, InboxSeq, Seq, ShardId, UserId};
use crate::partition::BAYS;

const VERSION: u8 = 2;
/// Version, shard, number and count of a batch.
const BATCH_HEAD_BYTES: usize = 13;
/// Bay, length and count of a part.
pub(super) const PART_HEAD_BYTES: usize = 10;
/// Tag and length of a row.
pub(super) const ROW_HEAD_BYTES: usize = 5;
/// Channel and seq.
pub(super) const POINTER_BYTES: usize = 24;
/// Bay and number.
pub(super) const MARK_BYTES: usize = 10;

mod tag {
    pub(super) const MESSAGE: u8 = 1;
    pub(super) const CHANNEL: u8 = 2;
    pub(super) const JOINED: u8 = 4;
    pub(super) const LEFT: u8 = 5;
    pub(super) const DEVICE: u8 = 8;
    pub(super) const DEVICE_GONE: u8 = 9;
    pub(super) const ACCOUNT: u8 = 10;
    pub(super) const FANOUT: u8 = 11;
    pub(super) const TRIM_FANOUT: u8 = 13;
    pub(super) const INTERVAL: u8 = 14;
    pub(super) const POSITION: u8 = 15;
    pub(super) const RUN: u8 = 16;
    pub(super) const MARKS: u8 = 17;
    pub(super) const RELATION: u8 = 18;
    pub(super) const REWRITE: u8 = 19;
    pub(super) const ABOUT: u8 = 20;
    pub(super) const THREAD: u8 = 21;
    pub(super) const MENTION: u8 = 22;
    pub(super) const NOTE: u8 = 24;
    pub(super) const PRESENCE: u8 = 35;
    pub(super) const SUBSCRIPTION: u8 = 45;
    pub(super) const SUBSCRIPTION_GONE: u8 = 46;
    pub(super) const JOB: u8 = 47;
    pub(super) const PUSH_OFF: u8 = 48;
    pub(super) const SHOWN: u8 = 49;
    pub(super) const RULE: u8 = 50;
    pub(super) const FOLLOWED: u8 = 56;
    pub(super) const FLOOR: u8 = 60;
    pub(super) const RETENTION: u8 = 61;
    pub(super) const ERASED: u8 = 62;
    pub(super) const FORGOTTEN: u8 = 63;
}

/// Why bytes are not a batch. On a disk or a log that is damage, or a newer program's work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BatchFault {
    /// The bytes end too early.
    Truncated,
    /// Bytes follow the last part, or the last row of a part.
    LeftOver,
    /// A version that this program does not know.
    UnknownVersion(u8),
    /// A part of a bay beyond the last.
    NoSuchBay(u16),
    /// A row tag that this program does not know, or one of an old version.
    UnknownTag(u8),
    /// A row with this tag whose bytes are not its fields.
    BadRow(u8),
}

impl fmt::Display for BatchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => write!(f, "the batch ends too early"),
            Self::LeftOver => write!(f, "bytes follow the last part or row of the batch"),
            Self::UnknownVersion(found) => {
                write!(f, "batch version {found}; this program knows {VERSION}")
            }
            Self::NoSuchBay(found) => write!(f, "a part for bay {found}; bays are 0 to {}", BAYS - 1),
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
        let parts: usize = self.parts.iter().map(Part::encoded_bytes).sum();
        let mut out = BytesMut::with_capacity(BATCH_HEAD_BYTES + parts);
        out.put_u8(VERSION);
        out.put_u16_le(self.shard.0);
        out.put_u64_le(self.number);
        out.put_u16_le(self.parts.len() as u16);
        for part in &self.parts {
            part.encode(&mut out);
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
        let shard = ShardId(input.u16().ok_or(BatchFault::Truncated)?);
        let number = input.u64().ok_or(BatchFault::Truncated)?;
        let count = usize::from(input.u16().ok_or(BatchFault::Truncated)?);
        // A count is only believed as far as the bytes can bear it out.
        let mut parts = Vec::with_capacity(count.min(input.0.len() / PART_HEAD_BYTES));
        for _ in 0..count {
            parts.push(Part::decode(&mut input)?);
        }
        if input.0.is_empty() { Ok(Self { shard, number, parts }) } else { Err(BatchFault::LeftOver) }
    }
}

impl Part {
    #[allow(clippy::cast_possible_truncation)]
    fn encode(&self, out: &mut BytesMut) {
        out.put_u16_le(self.bay.0);
        // `len` counts from behind itself, and `count` is part of it.
        out.put_u32_le((self.encoded_bytes() - PART_HEAD_BYTES + 4) as u32);
        out.put_u32_le(self.rows.len() as u32);
        for row in &self.rows {
            out.put_u8(row.tag());
            out.put_u32_le((row.encoded_bytes() - ROW_HEAD_BYTES) as u32);
            row.encode(out);
        }
    }

    fn decode(input: &mut Fields<'_>) -> Result<Self, BatchFault> {
        let bay = input.u16().ok_or(BatchFault::Truncated)?;
        let len = input.u32().ok_or(BatchFault::Truncated)? as usize;
        let mut own = Fields(input.take(len).ok_or(BatchFault::Truncated)?);
        if bay >= BAYS {
            return Err(BatchFault::NoSuchBay(bay));
        }
        let count = own.u32().ok_or(BatchFault::Truncated)? as usize;
        let mut rows = Vec::with_capacity(count.min(own.0.len() / ROW_HEAD_BYTES));
        for _ in 0..count {
            let tag = own.u8().ok_or(BatchFault::Truncated)?;
            let len = own.u32().ok_or(BatchFault::Truncated)? as usize;
            let fields = own.take(len).ok_or(BatchFault::Truncated)?;
            rows.push(Row::decode(tag, fields)?);
        }
        if own.0.is_empty() { Ok(Self { bay: BayId(bay), rows }) } else { Err(BatchFault::LeftOver) }
    }
}

impl Row {
    fn tag(&self) -> u8 {
        match self {
            Self::Message { .. } => tag::MESSAGE,
            Self::Rewrite { .. } => tag::REWRITE,
            Self::Channel { .. } => tag::CHANNEL,
            Self::Joined { .. } => tag::JOINED,
            Self::Left { .. } => tag::LEFT,
            Self::Device { .. } => tag::DEVICE,
            Self::DeviceGone { .. } => tag::DEVICE_GONE,
            Self::Account { .. } => tag::ACCOUNT,
            Self::Fanout { .. } => tag::FANOUT,
            Self::TrimFanout { .. } => tag::TRIM_FANOUT,
            Self::Interval { .. } => tag::INTERVAL,
            Self::Position { .. } => tag::POSITION,
            Self::Run { .. } => tag::RUN,
            Self::Marks { .. } => tag::MARKS,
            Self::Relation { .. } => tag::RELATION,
            Self::Thread { .. } => tag::THREAD,
            Self::Mention { .. } => tag::MENTION,
            Self::Note { .. } => tag::NOTE,
            Self::About { .. } => tag::ABOUT,
            Self::Presence { .. } => tag::PRESENCE,
            Self::Subscription { .. } => tag::SUBSCRIPTION,
            Self::SubscriptionGone { .. } => tag::SUBSCRIPTION_GONE,
            Self::Job { .. } => tag::JOB,
            Self::PushOff { .. } => tag::PUSH_OFF,
            Self::Shown { .. } => tag::SHOWN,
            Self::Rule { .. } => tag::RULE,
            Self::Followed { .. } => tag::FOLLOWED,
            Self::Floor { .. } => tag::FLOOR,
            Self::Retention { .. } => tag::RETENTION,
            Self::Erased { .. } => tag::ERASED,
            Self::Forgotten { .. } => tag::FORGOTTEN,
        }
    }

    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Message { channel, seq, frame } | Self::Rewrite { channel, seq, frame } => {
                out.put_u128_le(channel.0);
                out.put_u64_le(seq.0);
                out.put_slice(frame.bytes());
            }
            Self::Channel { channel, row } => {
                out.put_u128_le(channel.0);
                out.put_slice(&row.encode());
            }
            Self::Joined { user, channel, joined: seq } | Self::Left { user, channel, left: seq } => {
                out.put_u64_le(user.0);
                out.put_u128_le(channel.0);
                out.put_u64_le(seq.0);
            }
            Self::Device { .. }
            | Self::DeviceGone { .. }
            | Self::Account { .. }
            | Self::Relation { .. }
            | Self::Presence { .. } => self.encode_user(out),
            Self::Fanout { number, messages } => {
                out.put_u64_le(*number);
                put_pointers(messages, out);
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
            Self::Run { user, first, entries } => {
                out.put_u64_le(user.0);
                out.put_u64_le(first.0);
                put_pointers(entries, out);
            }
            Self::Thread { .. } | Self::Mention { .. } | Self::About { .. } => self.encode_talk(out),
            Self::Subscription { .. }
            | Self::SubscriptionGone { .. }
            | Self::Job { .. }
            | Self::PushOff { .. }
            | Self::Shown { .. } => push::encode(self, out),
            Self::Followed { user, channel, is_in } => {
                out.put_u64_le(user.0);
                out.put_u128_le(channel.0);
                out.put_u8((*is_in).into());
            }
            Self::Rule { channel, rule } => {
                out.put_u128_le(channel.0);
                rule.encode(out);
            }
            Self::Floor { channel, from, row } => floor::encode(*channel, *from, row, out),
            Self::Retention { channel, row } => floor::encode_retention(*channel, row.as_ref(), out),
            Self::Erased { channel, user, row } => erased::encode(*channel, *user, row, out),
            Self::Forgotten { user } => out.put_u64_le(user.0),
            Self::Note { user, seq, note } => {
                out.put_u64_le(user.0);
                out.put_u64_le(seq.0);
                note.encode(out);
            }
            Self::Marks { through } => put_marks(through, out),
        }
    }

    fn encode_user(&self, out: &mut BytesMut) {
        match self {
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
            Self::Relation { user, other, relation } => {
                out.put_u64_le(user.0);
                out.put_u64_le(other.0);
                // Unlike the store, a batch has a value for the end of a relation.
                out.put_u8(relation.bits());
            }
            Self::Presence { user, row } => {
                out.put_u64_le(user.0);
                out.put_slice(&row.encode());
            }
            _ => {}
        }
    }

    fn encode_talk(&self, out: &mut BytesMut) {
        match self {
            Self::Thread { channel, root, seq } => {
                out.put_u128_le(channel.0);
                out.put_u64_le(root.0);
                out.put_u64_le(seq.0);
            }
            Self::Mention { user, at, channel, seq, time_ms, sender } => {
                out.put_u64_le(user.0);
                out.put_u64_le(at.0);
                out.put_u128_le(channel.0);
                out.put_u64_le(seq.0);
                out.put_u64_le(*time_ms);
                out.put_u64_le(sender.0);
            }
            Self::About { channel, about } => {
                out.put_u128_le(channel.0);
                about.encode(out);
            }
            _ => {}
        }
    }

    fn decode(tag: u8, bytes: &[u8]) -> Result<Self, BatchFault> {
        let mut fields = Fields(bytes);
        let row = Self::decode_fields(tag, &mut fields)?.ok_or(BatchFault::BadRow(tag))?;
        if fields.0.is_empty() { Ok(row) } else { Err(BatchFault::BadRow(tag)) }
    }

    fn decode_fields(tag: u8, fields: &mut Fields<'_>) -> Result<Option<Self>, BatchFault> {
        Ok(match tag {
            tag::MESSAGE => {
                fields.message().map(|(channel, seq, frame)| Self::Message { channel, seq, frame })
            }
            tag::REWRITE => {
                fields.message().map(|(channel, seq, frame)| Self::Rewrite { channel, seq, frame })
            }
            tag::CHANNEL => fields.channel_row(),
            tag::JOINED => {
                fields.place().map(|(user, channel, joined)| Self::Joined { user, channel, joined })
            }
            tag::LEFT => fields.place().map(|(user, channel, left)| Self::Left { user, channel, left }),
            tag::DEVICE => fields.device_row(),
            tag::DEVICE_GONE => fields.device().map(|(user, device)| Self::DeviceGone { user, device }),
            tag::ACCOUNT => fields.account_row(),
            tag::FANOUT => fields.fanout(),
            tag::TRIM_FANOUT => fields.u64().map(|below| Self::TrimFanout { below }),
            tag::INTERVAL => fields.interval(),
            tag::POSITION => fields.position(),
            tag::RUN => fields.run(),
            tag::MARKS => fields.marks(),
            tag::RELATION => fields.relation(),
            tag::THREAD => fields.thread(),
            tag::MENTION => fields.mention(),
            tag::NOTE => Note::row(fields),
            tag::ABOUT => fields.channel().and_then(|channel| About::row(channel, fields)),
            tag::PRESENCE => fields.presence(),
            tag::SUBSCRIPTION => push::subscription(fields),
            tag::SUBSCRIPTION_GONE => push::subscription_gone(fields),
            tag::JOB => push::job(fields),
            tag::PUSH_OFF => push::off(fields),
            tag::SHOWN => push::shown(fields),
            tag::RULE => fields.channel().and_then(|channel| Rule::row(channel, fields)),
            tag::FOLLOWED => fields.followed(),
            tag::FLOOR => fields.channel().and_then(|channel| floor::row(channel, fields)),
            tag::RETENTION => fields.channel().and_then(|channel| floor::retention(channel, fields)),
            tag::ERASED => fields.channel().and_then(|channel| erased::row(channel, fields)),
            tag::FORGOTTEN => fields.u64().map(|user| Self::Forgotten { user: UserId(user) }),
            unknown => return Err(BatchFault::UnknownTag(unknown)),
        })
    }
}

fn put_marks(through: &[(BayId, u64)], out: &mut BytesMut) {
    for (bay, number) in through {
        out.put_u16_le(bay.0);
        out.put_u64_le(*number);
    }
}

fn put_pointers(pointers: &[(ChannelId, Seq)], out: &mut BytesMut) {
    for (channel, seq) in pointers {
        out.put_u128_le(channel.0);
        out.put_u64_le(seq.0);
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

    fn message(&mut self) -> Option<(ChannelId, Seq, Frame)> {
        let (channel, seq) = (self.channel()?, self.seq()?);
        let frame = Frame::new(Bytes::copy_from_slice(self.rest())).ok()?;
        let stamp = frame.read_stamp()?;
        (stamp.seq == seq).then_some((channel, seq, frame))
    }

    fn followed(&mut self) -> Option<Row> {
        let (user, channel) = (self.user()?, self.channel()?);
        let is_in = self.u8().filter(|is_in| *is_in <= 1)? == 1;
        Some(Row::Followed { user, channel, is_in })
    }

    fn channel_row(&mut self) -> Option<Row> {
        Some(Row::Channel { channel: self.channel()?, row: ChannelRow::decode(self.rest())? })
    }

    fn device_row(&mut self) -> Option<Row> {
        let (user, device) = self.device()?;
        Some(Row::Device { user, device, row: DeviceRow::decode(self.rest())? })
    }

    fn account_row(&mut self) -> Option<Row> {
        Some(Row::Account { user: self.user()?, row: AccountRow::decode(self.rest())? })
    }

    fn presence(&mut self) -> Option<Row> {
        Some(Row::Presence { user: self.user()?, row: PresenceRow::decode(self.rest())? })
    }

    fn relation(&mut self) -> Option<Row> {
        let (user, other) = (self.user()?, self.user()?);
        Some(Row::Relation { user, other, relation: Relation::from_bits(self.u8()?)? })
    }

    fn thread(&mut self) -> Option<Row> {
        Some(Row::Thread { channel: self.channel()?, root: self.seq()?, seq: self.seq()? })
    }

    fn mention(&mut self) -> Option<Row> {
        let (user, at) = (self.user()?, InboxSeq(self.u64()?));
        let (channel, seq) = (self.channel()?, self.seq()?);
        Some(Row::Mention { user, at, channel, seq, time_ms: self.u64()?, sender: self.user()? })
    }

    fn pointers(&mut self) -> Option<Vec<(ChannelId, Seq)>> {
        let mut pointers = Vec::with_capacity(self.0.len() / POINTER_BYTES);
        while !self.0.is_empty() {
            pointers.push((self.channel()?, self.seq()?));
        }
        Some(pointers)
    }

    fn fanout(&mut self) -> Option<Row> {
        Some(Row::Fanout { number: self.u64()?, messages: self.pointers()? })
    }

    fn interval(&mut self) -> Option<Row> {
        let (channel, user, joined) = (self.channel()?, self.user()?, self.seq()?);
        Some(Row::Interval { channel, user, joined, row: IntervalRow::decode(self.rest())? })
    }

    fn position(&mut self) -> Option<Row> {
        let (channel, user) = (self.channel()?, self.user()?);
        Some(Row::Position { channel, user, row: PositionRow::decode(self.rest())? })
    }

    fn run(&mut self) -> Option<Row> {
        let (user, first) = (self.user()?, InboxSeq(self.u64()?));
        let entries = self.pointers()?;
        (!entries.is_empty()).then_some(Row::Run { user, first, entries })
    }

    fn marks(&mut self) -> Option<Row> {
        let mut through = Vec::with_capacity(self.0.len() / MARK_BYTES);
        while !self.0.is_empty() {
            let bay = BayId(self.u16().filter(|bay| *bay < BAYS)?);
            through.push((bay, self.u64()?));
        }
        Some(Row::Marks { through })
    }
}
