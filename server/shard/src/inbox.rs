//! One user's inbox at its home: how far it reaches, how much of that is durable, and the entries that no page can
//! bring yet because their pointers are still on the way to the disk.

use std::collections::VecDeque;

use protocol::hop::Origin;
use protocol::{Frame, InboxSeq};

/// Entries kept beyond the durable ones for a session whose page is on the way.
const TAIL_MAX: usize = 256;

/// One message in an inbox.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) frame: Frame,
    /// The session that sent it, and is told so by a SendAck.
    pub(crate) origin: Option<Origin>,
}

#[derive(Debug)]
pub(crate) struct Inbox {
    head: InboxSeq,
    durable: InboxSeq,
    /// Entries `head - tail.len() + 1 ..= head`: at least those above `durable`.
    tail: VecDeque<Entry>,
}

impl Inbox {
    pub(crate) fn new(head: InboxSeq) -> Self {
        Self { head, durable: head, tail: VecDeque::new() }
    }

    /// The newest position.
    pub(crate) fn head(&self) -> InboxSeq {
        self.head
    }

    /// The newest position on stable storage.
    pub(crate) fn durable(&self) -> InboxSeq {
        self.durable
    }

    /// Appends an entry and says its position.
    pub(crate) fn append(&mut self, entry: Entry) -> InboxSeq {
        self.head = self.head.next();
        self.tail.push_back(entry);
        self.head
    }

    /// The pointer at `at` is durable. `keep` says that a page is on the way, which the newest entries will continue.
    pub(crate) fn stored(&mut self, at: InboxSeq, keep: bool) {
        self.durable = self.durable.max(at);
        self.trim(keep);
    }

    /// Drops entries that a page can bring.
    pub(crate) fn trim(&mut self, keep: bool) {
        let unstored = self.unstored();
        let most = if keep { unstored.max(TAIL_MAX) } else { unstored };
        while self.tail.len() > most {
            self.tail.pop_front();
        }
        if self.tail.is_empty() {
            // An idle inbox holds no memory.
            self.tail = VecDeque::new();
        }
    }

    /// The entry at a position, if it is still in memory.
    pub(crate) fn entry(&self, at: InboxSeq) -> Option<&Entry> {
        let first = self.head.0 + 1 - self.tail.len() as u64;
        let index = at.0.checked_sub(first)?;
        self.tail.get(usize::try_from(index).ok()?)
    }

    fn unstored(&self) -> usize {
        usize::try_from(self.head.0 - self.durable.0).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use protocol::Kind;

    use super::*;

    fn entry(id: u64) -> Entry {
        Entry { frame: Frame::build(Kind::SEND_TEXT, 1, id, &[]), origin: None }
    }

    #[test]
    fn tail_holds_what_is_not_durable() {
        let mut inbox = Inbox::new(InboxSeq(10));
        assert!(inbox.entry(InboxSeq(10)).is_none());
        assert_eq!(inbox.append(entry(1)), InboxSeq(11));
        assert_eq!(inbox.append(entry(2)), InboxSeq(12));
        inbox.stored(InboxSeq(11), false);
        assert_eq!(inbox.durable(), InboxSeq(11));
        assert!(inbox.entry(InboxSeq(11)).is_none());
        assert_eq!(inbox.entry(InboxSeq(12)).map(|e| e.frame.header().id), Some(2));
        assert!(inbox.entry(InboxSeq(13)).is_none());
        inbox.append(entry(3));
        inbox.stored(InboxSeq(13), true);
        assert!(inbox.entry(InboxSeq(12)).is_some(), "kept for a page on the way");
        inbox.trim(false);
        assert!(inbox.entry(InboxSeq(13)).is_none());
        assert_eq!(inbox.head(), InboxSeq(13));
    }
}
