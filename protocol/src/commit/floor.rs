//! Where a channel's history begins: what stood below was purged. And for how long a channel keeps what is said in it.
//!
//! ```text
//! row tag 60   = channel u128 | from u64 | floor
//! row tag 61   = channel u128 | retention, or nothing
//! floor v1     = 1 | below u64 | time_ms u64
//! retention v1 = 1 | days u32 | messages u64
//! ```

use bytes::{BufMut, BytesMut};

use super::Row;
use super::encoding::Fields;
use crate::body::about::Recalled;
use crate::frame::{Frame, Stamp};
use crate::id::{ChannelId, SendId, Seq, UserId};

const VERSION: u8 = 1;
/// Tag of its key among what is said about a channel's messages.
pub const FLOOR_TAG: u8 = 60;

/// Tag of the key of how long it keeps them.
pub const RETENTION_TAG: u8 = 61;

/// How long a channel keeps its messages, in place of the server's setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RetentionRow {
    /// So many days; 0: for ever.
    pub days: u32,
    /// So many of the newest; 0: any number.
    pub messages: u64,
}

impl RetentionRow {
    pub(super) const BYTES: usize = 13;

    /// Whether nothing is ever purged by it.
    #[must_use]
    pub fn is_for_ever(&self) -> bool {
        *self == Self::default()
    }

    /// The stored value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::BYTES);
        out.put_u8(VERSION);
        out.put_u32_le(self.days);
        out.put_u64_le(self.messages);
        out
    }

    /// What these bytes say; `None` for any other bytes or a version that this program does not know.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let is_known = fields.u8()? == VERSION;
        let row = Self { days: fields.u32()?, messages: fields.u64()? };
        (is_known && fields.0.is_empty()).then_some(row)
    }
}

/// The messages of a channel that were purged: of each nothing is kept but that it was there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FloorRow {
    /// Those with a smaller seq; it only rises.
    pub below: Seq,
    /// The time of the newest of them: what is told as theirs, so that times never step back.
    pub time_ms: u64,
}

impl FloorRow {
    pub(super) const BYTES: usize = 17;

    /// Whether the message with this seq was purged.
    #[must_use]
    pub fn hides(&self, seq: Seq) -> bool {
        seq < self.below
    }

    /// The newest seq that was purged; 0 for none.
    #[must_use]
    pub fn last(&self) -> Seq {
        Seq(self.below.0.saturating_sub(1))
    }

    /// What is told in the place of a purged message: a tombstone as of a recalled one, by nobody.
    #[must_use]
    pub fn tombstone(&self, channel: ChannelId, seq: Seq) -> Frame {
        let time_ms = self.time_ms;
        let says = Recalled { channel: channel.0, target: seq.0, by: 0, user: 0, time_ms };
        says.tombstone(SendId(0), Stamp { seq, time_ms, sender: UserId(0) })
    }

    /// The stored value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::BYTES);
        out.put_u8(VERSION);
        out.put_u64_le(self.below.0);
        out.put_u64_le(self.time_ms);
        out
    }

    /// What these bytes say; `None` for any other bytes or a version that this program does not know.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let is_known = fields.u8()? == VERSION;
        let row = Self { below: Seq(fields.u64()?), time_ms: fields.u64()? };
        (is_known && fields.0.is_empty() && row.below > Seq(1)).then_some(row)
    }
}

pub(super) fn encode(channel: ChannelId, from: Seq, row: &FloorRow, out: &mut BytesMut) {
    out.put_u128_le(channel.0);
    out.put_u64_le(from.0);
    out.put_slice(&row.encode());
}

pub(super) fn row(channel: ChannelId, fields: &mut Fields<'_>) -> Option<Row> {
    let from = Seq(fields.u64()?);
    let row = FloorRow::decode(fields.rest())?;
    (from < row.below).then_some(Row::Floor { channel, from, row })
}

pub(super) fn encode_retention(channel: ChannelId, row: Option<&RetentionRow>, out: &mut BytesMut) {
    out.put_u128_le(channel.0);
    out.put_slice(&row.map(RetentionRow::encode).unwrap_or_default());
}

pub(super) fn retention(channel: ChannelId, fields: &mut Fields<'_>) -> Option<Row> {
    let value = fields.rest();
    let row = if value.is_empty() { None } else { Some(RetentionRow::decode(value)?) };
    Some(Row::Retention { channel, row })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kind;

    #[test]
    fn golden_value() {
        let row = FloorRow { below: Seq(0x0102), time_ms: 3 };
        let bytes = [1, 2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(row.encode(), bytes);
        assert_eq!(FloorRow::decode(&bytes), Some(row));
        assert_eq!(FloorRow::decode(&bytes[..16]), None);
        assert_eq!(FloorRow::decode(&[&bytes[..], &[0]].concat()), None);
        for (at, wrong) in [(0, 2), (0, 0)] {
            let mut bytes = bytes;
            bytes[at] = wrong;
            assert_eq!(FloorRow::decode(&bytes), None);
        }
        let row = RetentionRow { days: 0x0102, messages: 3 };
        let bytes = [1, 2, 1, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(row.encode(), bytes);
        assert_eq!(RetentionRow::decode(&bytes), Some(row));
        assert_eq!(RetentionRow::decode(&bytes[..12]), None);
        assert_eq!(
            FloorRow::decode(&FloorRow { below: Seq(1), time_ms: 3 }.encode()),
            None,
            "it purges nothing"
        );
    }

    #[test]
    fn a_tombstone_is_the_form_of_a_recall_and_names_nobody() {
        let row = FloorRow { below: Seq(9), time_ms: 7 };
        let frame = row.tombstone(ChannelId(5), Seq(8));
        assert_eq!((frame.kind(), frame.send_id()), (Kind::RECALLED, SendId(0)));
        let stamp = Stamp { seq: Seq(8), time_ms: 7, sender: UserId(0) };
        assert_eq!(frame.read_stamp(), Some(stamp));
        let says = Recalled::read(&frame).unwrap();
        assert!(says.is_purge());
        assert_eq!((says.channel, says.target, says.by, says.user), (5, 8, 0, 0));
        assert!(row.hides(Seq(8)) && !row.hides(Seq(9)));
    }
}
