//! The sending side of fan-out for one own bay: what each shard was told of its log, and how far the bays of each have
//! durably applied it.

use protocol::{BayId, ShardId};

#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) bay: BayId,
    /// Newest number of the log that is stored.
    head: u64,
    /// Everything below was trimmed.
    tail: u64,
    dests: Vec<Dest>,
}

#[derive(Clone, Copy, Debug)]
struct Dest {
    /// The last number that a hop told the destination of.
    told: u64,
    /// Durably applied through.
    applied: u64,
}

/// What a destination's next hop covers: `after < number <= through`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Covers {
    pub(crate) after: u64,
    pub(crate) through: u64,
}

impl Source {
    /// Boot replays every log to its head before anything is sent, so every destination counts as told.
    pub(crate) fn new(bay: BayId, tail: u64, head: u64, shards: u16) -> Self {
        let dest = Dest { told: head, applied: 0 };
        Self { bay, head, tail: tail.max(1), dests: vec![dest; usize::from(shards)] }
    }

    /// A batch with this number is stored.
    pub(crate) fn stored(&mut self, number: u64) {
        self.head = self.head.max(number);
    }

    /// A hop that covers everything up to `through` is about to leave for `dest`.
    pub(crate) fn tell(&mut self, dest: ShardId, through: u64) -> Covers {
        let Some(entry) = self.dests.get_mut(usize::from(dest.0)) else {
            return Covers { after: through, through };
        };
        let after = core::mem::replace(&mut entry.told, through);
        Covers { after, through }
    }

    /// Whether a destination must be told of the head by a hop without deliveries: it missed one, its mark has fallen
    /// behind because nothing concerned it, or it has not said that it is through, so that the last hop may be lost. One
    /// that knows already forgets it.
    pub(crate) fn hint(&mut self, dest: ShardId) -> Option<Covers> {
        let head = self.head;
        let entry = self.dests.get_mut(usize::from(dest.0))?;
        if entry.applied >= head {
            return None;
        }
        let after = core::mem::replace(&mut entry.told, head);
        Some(Covers { after, through: head })
    }

    /// A destination has durably applied the log through here.
    pub(crate) fn applied(&mut self, dest: ShardId, through: u64) {
        if let Some(entry) = self.dests.get_mut(usize::from(dest.0)) {
            entry.applied = entry.applied.max(through);
        }
    }

    /// The exclusive upper end of what no destination needs any more, if that is more than before. The newest row stays:
    /// the head is read from it at boot.
    pub(crate) fn trim(&mut self) -> Option<u64> {
        let slowest = self.dests.iter().map(|dest| dest.applied).min()?;
        let below = (slowest + 1).min(self.head);
        if below <= self.tail {
            return None;
        }
        self.tail = below;
        Some(below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_chain_and_hints_close_them() {
        let mut source = Source::new(BayId(0), 3, 5, 2);
        source.stored(6);
        assert_eq!(source.tell(ShardId(1), 6), Covers { after: 5, through: 6 });
        source.stored(9);
        assert_eq!(source.hint(ShardId(1)), Some(Covers { after: 6, through: 9 }));
        assert_eq!(source.hint(ShardId(1)), Some(Covers { after: 9, through: 9 }));
        assert_eq!(source.trim(), None);
        source.applied(ShardId(0), 9);
        assert_eq!(source.hint(ShardId(0)), None, "it is through");
        source.applied(ShardId(1), 7);
        assert_eq!(source.trim(), Some(8));
        assert_eq!(source.trim(), None);
        source.applied(ShardId(1), 9);
        assert_eq!(source.trim(), Some(9), "the newest row stays");
    }
}
