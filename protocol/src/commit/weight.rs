//! What a row weighs before it is encoded: bounds count bytes, and most rows are weighed more often than encoded.

use super::encoding::{MARK_BYTES, PART_HEAD_BYTES, POINTER_BYTES, ROW_HEAD_BYTES};
use super::{ErasedRow, FloorRow, IntervalRow, JobRow, Part, RetentionRow, Row, ShownRow};

impl Row {
    /// Bytes of the row in the encoding of a batch.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        let fields = match self {
            Self::Message { frame, .. } | Self::Rewrite { frame, .. } => 24 + frame.bytes().len(),
            Self::Channel { row, .. } => 16 + row.encoded_bytes(),
            Self::Followed { .. } => 25,
            Self::Joined { .. } | Self::Left { .. } => 32,
            Self::Device { .. } => 41,
            Self::DeviceGone { .. } => 16,
            Self::Account { row, .. } => 8 + row.encoded_bytes(),
            Self::Relation { .. } => 17,
            Self::Fanout { messages, .. } => 8 + messages.len() * POINTER_BYTES,
            Self::TrimFanout { .. } => 8,
            Self::Interval { row, .. } => 32 + IntervalRow::FIXED_BYTES + row.name.len(),
            Self::Position { row, .. } => 24 + row.encoded_bytes(),
            Self::Run { entries, .. } => 16 + entries.len() * POINTER_BYTES,
            Self::Thread { .. } => 32,
            Self::Mention { .. } => 56,
            Self::Note { note, .. } => 33 + note.encoded_bytes(),
            Self::About { about, .. } => 17 + about.encoded_bytes(),
            Self::Presence { row, .. } => 8 + row.encoded_bytes(),
            Self::Subscription { row, .. } => 17 + row.encoded_bytes(),
            Self::SubscriptionGone { .. } => 17,
            Self::PushOff { .. } => 9,
            Self::Rule { rule, .. } => 17 + rule.encoded_bytes(),
            Self::Floor { .. } => 24 + FloorRow::BYTES,
            Self::Retention { row, .. } => 16 + row.map_or(0, |_| RetentionRow::BYTES),
            Self::Erased { .. } => 24 + ErasedRow::BYTES,
            Self::Forgotten { .. } => 8,
            Self::Job { row, .. } => 24 + row.as_ref().map_or(0, JobRow::encoded_bytes),
            Self::Shown { row, .. } => 24 + row.as_ref().map_or(0, ShownRow::encoded_bytes),
            Self::Marks { through } => through.len() * MARK_BYTES,
        };
        ROW_HEAD_BYTES + fields
    }
}

impl Part {
    /// Bytes of the part in the encoding of a batch.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        PART_HEAD_BYTES + self.rows.iter().map(Row::encoded_bytes).sum::<usize>()
    }
}
