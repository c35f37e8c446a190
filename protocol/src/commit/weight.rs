//! What a row weighs before it is encoded: bounds count bytes, and most rows are weighed more often than encoded.

use super::encoding::ROW_HEAD_BYTES;
use super::{IntervalRow, Row};

impl Row {
    /// Bytes of the row in the encoding of a batch.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        let fields = match self {
            Self::Message { frame, .. } => 24 + frame.bytes().len(),
            Self::Channel { row, .. } => 17 + row.name.len(),
            Self::Member { row, .. } => 26 + row.intervals.len() * 16,
            Self::Joined { .. } | Self::Left { .. } | Self::Read { .. } => 32,
            Self::Pointer { .. } => 40,
            Self::Device { .. } => 41,
            Self::DeviceGone { .. } => 16,
            Self::Account { .. } => 17,
            Self::Fanout { messages, .. } => 8 + messages.len() * 24,
            Self::Applied { .. } => 10,
            Self::TrimFanout { .. } => 8,
            Self::Interval { row, .. } => 32 + IntervalRow::FIXED_BYTES + row.name.len(),
            Self::Position { .. } => 41,
        };
        ROW_HEAD_BYTES + fields
    }
}
