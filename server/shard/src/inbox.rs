//! One user's inbox at its home: how far it reaches, how much of that is durable, and the entries that no page can
//! bring yet because their pointers are still on the way to the disk.

use std::collections::VecDeque;

use protocol::body::about::Recalled;
use protocol::body::erase::Erasure;
use protocol::{Frame, InboxSeq};

use crate::limits::{SPARE_TAIL_ENTRIES_MAX, SPARE_TAILS_MAX};
use crate::session::SessionId;

/// Entries kept beyond the durable ones for a session whose page is on the way.
const TAIL_MAX: usize = 256;

/// One message in an inbox.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) frame: Frame,
    /// What the session that sent it is told instead.
    pub(crate) ack: Ack,
}

/// The SendAck that the session which sent a message gets in place of the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ack {
    /// No session of ours sent it, or none that is known.
    None,
    /// This session gets it at the message's place in the inbox.
    Due(SessionId),
    /// This session has got it, before the message had its place.
    Sent(SessionId),
}

impl Ack {
    /// The session that gets no message.
    pub(crate) fn session(self) -> Option<SessionId> {
        match self {
            Self::None => None,
            Self::Due(session) | Self::Sent(session) => Some(session),
        }
    }
}

/// Emptied tails of all inboxes of a shard: an idle inbox holds no memory, and one that wakes allocates none.
#[derive(Debug, Default)]
#[allow(clippy::vec_box, reason = "a tail moves between here and an inbox as the box that it is")]
pub(crate) struct SpareTails {
    spare: Vec<Box<Tail>>,
    /// Entries in the tails of all inboxes.
    entries: usize,
}

/// Newest entries, oldest of them first.
#[derive(Debug, Default)]
struct Tail {
    entries: VecDeque<Entry>,
}

impl SpareTails {
    fn give(&mut self, tail: Box<Tail>) {
        if self.spare.len() < SPARE_TAILS_MAX && tail.entries.capacity() <= SPARE_TAIL_ENTRIES_MAX {
            self.spare.push(tail);
        }
    }

    fn take(&mut self) -> Box<Tail> {
        self.spare.pop().unwrap_or_default()
    }

    /// Bytes of all entries that inboxes hold, without their frames.
    pub(crate) fn bytes_in_use(&self) -> usize {
        self.entries * size_of::<Entry>()
    }
}

#[derive(Debug)]
pub(crate) struct Inbox {
    head: InboxSeq,
    durable: InboxSeq,
    /// Entries `head - tail.len() + 1 ..= head`: at least those above `durable`.
    /// Not there when there are none.
    tail: Option<Box<Tail>>,
}

impl Inbox {
    pub(crate) fn new(head: InboxSeq) -> Self {
        Self { head, durable: head, tail: None }
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
    pub(crate) fn append(&mut self, spare: &mut SpareTails, entry: Entry) -> InboxSeq {
        self.head = self.head.next();
        spare.entries += 1;
        self.tail.get_or_insert_with(|| spare.take()).entries.push_back(entry);
        self.head
    }

    /// The pointer at `at` is durable. `keep` says that a page is on the way, which the newest entries will continue.
    pub(crate) fn stored(&mut self, spare: &mut SpareTails, at: InboxSeq, keep: bool) {
        self.durable = self.durable.max(at);
        self.trim(spare, keep);
    }

    /// Drops entries that a page can bring.
    pub(crate) fn trim(&mut self, spare: &mut SpareTails, keep: bool) {
        let unstored = self.unstored();
        let most = if keep { unstored.max(TAIL_MAX) } else { unstored };
        let Some(tail) = &mut self.tail else { return };
        while tail.entries.len() > most {
            tail.entries.pop_front();
            spare.entries -= 1;
        }
        if tail.entries.is_empty()
            && let Some(tail) = self.tail.take()
        {
            spare.give(tail);
        }
    }

    /// A message was recalled. What of it and its edits is still in memory is not shown to anybody from here on.
    pub(crate) fn recall(&mut self, recalled: &Recalled) {
        for entry in self.tail.iter_mut().flat_map(|tail| &mut tail.entries) {
            if let Some(tombstone) = recalled.replaces(&entry.frame) {
                entry.frame = tombstone;
            }
        }
    }

    /// A user was erased from a channel: the same of what it wrote there.
    pub(crate) fn erase(&mut self, erasure: &Erasure) {
        for entry in self.tail.iter_mut().flat_map(|tail| &mut tail.entries) {
            if let Some(tombstone) = erasure.replaces(&entry.frame) {
                entry.frame = tombstone;
            }
        }
    }

    /// The entry at a position, if it is still in memory.
    pub(crate) fn entry(&self, at: InboxSeq) -> Option<&Entry> {
        let entries = &self.tail.as_ref()?.entries;
        let first = self.head.0 + 1 - entries.len() as u64;
        let index = at.0.checked_sub(first)?;
        entries.get(usize::try_from(index).ok()?)
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
        Entry { frame: Frame::build(Kind::SEND_TEXT, 1, id, &[]), ack: Ack::None }
    }

    #[test]
    fn tail_holds_what_is_not_durable() {
        let spare = &mut SpareTails::default();
        let mut inbox = Inbox::new(InboxSeq(10));
        assert!(inbox.entry(InboxSeq(10)).is_none());
        assert_eq!(inbox.append(spare, entry(1)), InboxSeq(11));
        assert_eq!(inbox.append(spare, entry(2)), InboxSeq(12));
        inbox.stored(spare, InboxSeq(11), false);
        assert_eq!(inbox.durable(), InboxSeq(11));
        assert!(inbox.entry(InboxSeq(11)).is_none());
        assert_eq!(inbox.entry(InboxSeq(12)).map(|e| e.frame.header().id), Some(2));
        assert!(inbox.entry(InboxSeq(13)).is_none());
        inbox.append(spare, entry(3));
        inbox.stored(spare, InboxSeq(13), true);
        assert!(inbox.entry(InboxSeq(12)).is_some(), "kept for a page on the way");
        inbox.trim(spare, false);
        assert!(inbox.entry(InboxSeq(13)).is_none());
        assert_eq!(inbox.head(), InboxSeq(13));
    }

    #[test]
    fn an_idle_inbox_holds_no_memory_and_wakes_without_asking_for_any() {
        let spare = &mut SpareTails::default();
        let mut first = Inbox::new(InboxSeq(0));
        first.append(spare, entry(1));
        let capacity = |inbox: &Inbox| inbox.tail.as_ref().map(|tail| tail.entries.capacity());
        let before = capacity(&first);
        first.stored(spare, InboxSeq(1), false);
        assert_eq!((first.tail.is_none(), spare.spare.len()), (true, 1));
        first.trim(spare, false);
        assert_eq!(spare.spare.len(), 1, "what is not there is not kept");
        let mut second = Inbox::new(InboxSeq(0));
        second.append(spare, entry(2));
        assert_eq!((capacity(&second), spare.spare.len()), (before, 0));
        for _ in 0..=SPARE_TAIL_ENTRIES_MAX {
            second.append(spare, entry(3));
        }
        second.stored(spare, second.head(), false);
        assert_eq!(spare.spare.len(), 0, "a large one is given back to the heap");
    }
}
