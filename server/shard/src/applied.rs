//! The receiving side of fan-out for one own store: the marks "applied through L from source S", and the deliveries that
//! wait until their recipients are loaded. Repeats, drops, crashes and boot are one rule: what is not the next span
//! is either known already or read from the source's log.

use std::collections::VecDeque;

use protocol::hop::Origin;
use protocol::query::Delivery;
use protocol::{StoreId, UserId};

use crate::ledger::Weight;
use crate::limits::DELIVERIES_WAITING_MAX;

/// One span of a source's log with its messages for this store.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) source: StoreId,
    pub(crate) through: u64,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) origins: Vec<(usize, Origin)>,
    /// Its frames, for as long as it waits.
    pub(crate) _weight: Weight,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    /// Queued or applied through here, without a gap.
    queued: u64,
    /// Rows written through here.
    applied: u64,
    /// Rows stored through here.
    stored: u64,
    /// The source knows that we stored through here.
    told: u64,
    /// The source's log reaches at least here.
    seen: u64,
    /// A read of the source's log is on the way.
    replaying: bool,
}

#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) store: StoreId,
    marks: Vec<Mark>,
    waiting: VecDeque<Inbound>,
}

impl Applied {
    /// `heads` are the logs' heads at boot, by store; all of them are read before the shard is ready.
    pub(crate) fn new(store: StoreId, marks: &[(StoreId, u64)], heads: &[u64]) -> Self {
        let mark = |source: usize, seen: &u64| {
            let found = marks.iter().find(|(store, _)| usize::from(store.0) == source);
            let through = found.map_or(0, |(_, through)| *through);
            Mark {
                queued: through,
                applied: through,
                stored: through,
                told: 0,
                seen: *seen,
                replaying: false,
            }
        };
        let marks = heads.iter().enumerate().map(|(source, head)| mark(source, head)).collect();
        Self { store, marks, waiting: VecDeque::new() }
    }

    /// A hop came. It is queued if it is next, and forgotten if it is known; if it shows a gap, or too much waits, the
    /// log will be read.
    pub(crate) fn offer(&mut self, after: u64, inbound: Inbound) {
        let crowded = self.waiting.len() >= DELIVERIES_WAITING_MAX;
        let Some(mark) = self.marks.get_mut(usize::from(inbound.source.0)) else { return };
        mark.seen = mark.seen.max(inbound.through);
        if mark.replaying || crowded || after > mark.queued || inbound.through <= mark.queued {
            return;
        }
        mark.queued = inbound.through;
        self.waiting.push_back(inbound);
    }

    /// The source and position from which its log must be read, if one is behind. Marks it as being read.
    pub(crate) fn gap(&mut self) -> Option<(StoreId, u64)> {
        if self.waiting.len() >= DELIVERIES_WAITING_MAX {
            return None;
        }
        let behind =
            self.marks.iter_mut().enumerate().find(|(_, mark)| !mark.replaying && mark.queued < mark.seen);
        let (source, mark) = behind?;
        mark.replaying = true;
        Some((StoreId(u16::try_from(source).ok()?), mark.queued))
    }

    /// The log was read from the mark on.
    pub(crate) fn replayed(&mut self, inbound: Inbound) {
        let Some(mark) = self.marks.get_mut(usize::from(inbound.source.0)) else { return };
        mark.replaying = false;
        if inbound.through > mark.queued {
            mark.queued = inbound.through;
            self.waiting.push_back(inbound);
        }
    }

    /// The log could not be read; it will be tried again.
    pub(crate) fn replay_failed(&mut self, source: StoreId) {
        if let Some(mark) = self.marks.get_mut(usize::from(source.0)) {
            mark.replaying = false;
        }
    }

    /// The span to apply next.
    pub(crate) fn front(&self) -> Option<&Inbound> {
        self.waiting.front()
    }

    /// Whether the span to apply next is for this user: one who was loaded for it stays until all are.
    pub(crate) fn needs(&self, user: UserId) -> bool {
        self.front().is_some_and(|front| front.deliveries.iter().any(|d| d.recipients.contains(&user)))
    }

    /// The span that came last.
    pub(crate) fn back(&self) -> Option<&Inbound> {
        self.waiting.back()
    }

    /// Takes the span to apply now.
    pub(crate) fn pop(&mut self) -> Option<Inbound> {
        let inbound = self.waiting.pop_front()?;
        if let Some(mark) = self.marks.get_mut(usize::from(inbound.source.0)) {
            mark.applied = inbound.through;
        }
        Some(inbound)
    }

    /// The rows through here are stored.
    pub(crate) fn stored(&mut self, source: StoreId, through: u64) {
        if let Some(mark) = self.marks.get_mut(usize::from(source.0)) {
            mark.stored = mark.stored.max(through);
        }
    }

    /// Marks that their sources do not know yet.
    pub(crate) fn untold(&mut self) -> Vec<(StoreId, u64)> {
        let mut untold = Vec::new();
        for (source, mark) in (0u16..).zip(self.marks.iter_mut()) {
            if mark.told < mark.stored {
                mark.told = mark.stored;
                untold.push((StoreId(source), mark.stored));
            }
        }
        untold
    }

    /// Whether every log is applied as far as it was seen.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.marks.iter().all(|mark| mark.applied >= mark.seen)
    }

    /// Whether so much waits that hops should wait in their rings.
    pub(crate) fn is_crowded(&self) -> bool {
        self.waiting.len() >= DELIVERIES_WAITING_MAX / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Holds, Ledger};

    fn inbound(source: u16, through: u64) -> Inbound {
        let _weight = Ledger::default().weigh(Holds::Inbound, 0);
        Inbound { source: StoreId(source), through, deliveries: Vec::new(), origins: Vec::new(), _weight }
    }

    #[test]
    fn next_repeat_and_gap() {
        let mut applied = Applied::new(StoreId(0), &[(StoreId(1), 4)], &[0, 4]);
        assert!(applied.is_caught_up());
        applied.offer(4, inbound(1, 6));
        applied.offer(4, inbound(1, 6));
        assert_eq!(applied.gap(), None);
        assert_eq!(applied.pop().map(|i| i.through), Some(6));
        assert!(applied.pop().is_none(), "a repeat is forgotten");
        applied.offer(8, inbound(1, 9));
        assert!(applied.pop().is_none(), "a gap is not applied");
        assert_eq!(applied.gap(), Some((StoreId(1), 6)));
        assert_eq!(applied.gap(), None, "one read at a time");
        applied.offer(9, inbound(1, 12));
        applied.replayed(inbound(1, 10));
        assert_eq!(applied.gap(), Some((StoreId(1), 10)), "what came meanwhile is read too");
        applied.replayed(inbound(1, 12));
        assert_eq!(applied.gap(), None);
        assert!(!applied.is_caught_up());
        assert_eq!(applied.pop().map(|i| i.through), Some(10));
        assert_eq!(applied.pop().map(|i| i.through), Some(12));
        assert!(applied.is_caught_up());
        assert_eq!(applied.untold(), vec![(StoreId(1), 4)]);
        applied.stored(StoreId(1), 12);
        assert_eq!(applied.untold(), vec![(StoreId(1), 12)]);
        assert!(applied.untold().is_empty());
    }
}
