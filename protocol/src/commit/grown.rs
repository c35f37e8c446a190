//! Large channels: what stands in the row of one, and the user's own row that says that a channel of the list is one.
//!
//! ```text
//! grown    = since u64 | members u32 | owners u32
//! followed v1 = 1
//! ```

use crate::id::Seq;

/// Tag of [`super::Row::Followed`] among the notes of a user.
pub const FOLLOWED_TAG: u8 = 56;

/// What a large channel knows of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Grown {
    /// The message with which it became one: the last with a pointer for every member.
    pub since: Seq,
    /// Members now.
    pub members: u32,
    /// Of them, owners.
    pub owners: u32,
}

impl Grown {
    /// Bytes of the encoding.
    pub(super) const BYTES: usize = 16;

    /// Whether the message with this seq goes to followers instead of to every member's inbox.
    #[must_use]
    pub fn holds(&self, seq: Seq) -> bool {
        seq > self.since
    }

    pub(super) fn encode(self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        let fields = self.since.0.to_le_bytes().into_iter();
        let fields = fields.chain(self.members.to_le_bytes()).chain(self.owners.to_le_bytes());
        out.iter_mut().zip(fields).for_each(|(place, byte)| *place = byte);
        out
    }
}
