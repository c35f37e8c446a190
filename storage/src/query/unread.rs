//! What counts as unread: messages of others, and no changes of the group. There is no row for it: the newest messages
//! above the position are looked at, up to a bound, and what is older counts as it stands.

use protocol::limits::{UNREAD_BYTES_MAX, UNREAD_MESSAGES_MAX};
use protocol::{ChannelId, Seq, UserId};

use super::history;
use crate::rows::{Direction, Found};
use crate::view::View;

/// Messages that the channels of one page may look at together.
const PAGE_MESSAGES_MAX: usize = 16 * UNREAD_MESSAGES_MAX;
/// Bytes of them.
const PAGE_BYTES_MAX: usize = 4 * UNREAD_BYTES_MAX;

/// What a page may still look at. A channel is counted with its whole bounds or stands on the next page, so that a number
/// never depends on the channels before it.
#[derive(Debug)]
pub(super) struct Budget {
    messages: usize,
    bytes: usize,
}

impl Budget {
    pub(super) fn of_a_page() -> Self {
        Self { messages: PAGE_MESSAGES_MAX, bytes: PAGE_BYTES_MAX }
    }

    /// So much was looked at.
    pub(super) fn spend(&mut self, messages: usize, bytes: usize) {
        self.messages = self.messages.saturating_sub(messages);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Whether another channel may be counted.
    pub(super) fn is_enough(&self) -> bool {
        self.messages >= UNREAD_MESSAGES_MAX && self.bytes >= UNREAD_BYTES_MAX
    }
}

/// The unread messages of a user with `floor < seq <= head`.
pub(super) fn count(
    view: &View<'_>,
    (channel, user): (ChannelId, UserId),
    (floor, head): (Seq, Seq),
    budget: &mut Budget,
) -> Found<u64> {
    let all = head.0.saturating_sub(floor.0);
    if all == 0 {
        return Ok(0);
    }
    let (mut messages, mut bytes, mut read) = (0, 0, 0);
    history::visit(view, channel, (floor, head.next()), Direction::Falling, &mut |frame, stamp| {
        messages += 1;
        bytes += frame.bytes().len();
        read += u64::from(stamp.sender == user || !frame.kind().counts_as_unread());
        messages < UNREAD_MESSAGES_MAX && bytes < UNREAD_BYTES_MAX
    })?;
    budget.spend(messages, bytes);
    Ok(all.saturating_sub(read))
}
