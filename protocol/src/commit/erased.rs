//! Users who are being erased from channels, and what goes of a user with its own channel.
//!
//! ```text
//! row tag 62 = channel u128 | user u64 | erased
//! row tag 63 = user u64
//! erased v1  = 1 | by u64 | time_ms u64 | next u64
//! ```

use bytes::{BufMut, BytesMut};

use super::Row;
use super::encoding::Fields;
use crate::body::erase::Erasure;
use crate::id::{ChannelId, Seq, UserId};

const VERSION: u8 = 1;
/// Tag of its key among what is said about a channel's messages.
pub const ERASED_TAG: u8 = 62;

/// How far the erasure of a user from a channel has come. It is never removed: it says why the tombstones are there, and where
/// one that begins again goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ErasedRow {
    /// Seq of the newest ERASE of the user; 0 as long as nothing was found that needs one.
    pub by: Seq,
    /// Its time.
    pub time_ms: u64,
    /// Of the messages below nothing of the user's is left.
    pub next: Seq,
}

impl ErasedRow {
    pub(super) const BYTES: usize = 25;

    /// What the ERASE says.
    #[must_use]
    pub fn erasure(&self, channel: ChannelId, user: UserId) -> Erasure {
        Erasure { channel, user, by: self.by, time_ms: self.time_ms }
    }

    /// The stored value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::BYTES);
        out.put_u8(VERSION);
        out.put_u64_le(self.by.0);
        out.put_u64_le(self.time_ms);
        out.put_u64_le(self.next.0);
        out
    }

    /// What these bytes say; `None` for any other bytes or a version that this program does not know.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let is_known = fields.u8()? == VERSION;
        let row = Self { by: Seq(fields.u64()?), time_ms: fields.u64()?, next: Seq(fields.u64()?) };
        (is_known && fields.0.is_empty()).then_some(row)
    }
}

pub(super) fn encode(channel: ChannelId, user: UserId, row: &ErasedRow, out: &mut BytesMut) {
    out.put_u128_le(channel.0);
    out.put_u64_le(user.0);
    out.put_slice(&row.encode());
}

pub(super) fn row(channel: ChannelId, fields: &mut Fields<'_>) -> Option<Row> {
    let user = UserId(fields.u64()?);
    Some(Row::Erased { channel, user, row: ErasedRow::decode(fields.rest())? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_value() {
        let row = ErasedRow { by: Seq(0x0102), time_ms: 3, next: Seq(4) };
        let mut bytes = vec![1, 2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(row.encode(), bytes);
        assert_eq!(ErasedRow::decode(&bytes), Some(row));
        assert_eq!(ErasedRow::decode(&bytes[..24]), None);
        bytes.push(0);
        assert_eq!(ErasedRow::decode(&bytes), None);
        bytes.pop();
        bytes[0] = 2;
        assert_eq!(ErasedRow::decode(&bytes), None);
    }
}
