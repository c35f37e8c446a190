//! Channels whose history has a family of its own: which messages stand there, and which in the hashed family still.
//!
//! A family of its own has a channel's messages from one seq up to another; those before and behind stand in the hashed
//! family. So a switch is one seq in one row, and a channel that moves is readable throughout.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use bytes::BufMut;
use protocol::{ChannelId, Seq};

use crate::family::Family;

/// Version of the row.
const V1: u8 = 1;
/// Behind every message that there will be.
pub(crate) const ENDLESS: Seq = Seq(u64::MAX);

/// One channel's family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Own {
    /// Which of the [`crate::family::OWN_MAX`].
    pub(crate) slot: u8,
    /// Its first message.
    pub(crate) from: Seq,
    /// The first message behind it; [`ENDLESS`] while new messages go there.
    pub(crate) until: Seq,
}

impl Own {
    pub(crate) fn family(self) -> Family {
        Family::Own(self.slot)
    }

    /// Whether the channel gives its family back.
    pub(crate) fn is_returning(self) -> bool {
        self.until < ENDLESS
    }

    /// Whether messages are still to be moved, one way or the other.
    pub(crate) fn is_moving(self) -> bool {
        self.is_returning() || self.from > Seq(1)
    }

    fn holds(self, seq: Seq) -> bool {
        self.from <= seq && seq < self.until
    }

    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(18);
        out.put_u8(V1);
        out.put_u8(self.slot);
        out.put_u64(self.from.0);
        out.put_u64(self.until.0);
        out
    }

    #[cfg(any(feature = "rocks", test))]
    pub(crate) fn decode(value: &[u8]) -> Option<Self> {
        let ([V1, slot], rest) = value.split_first_chunk()? else { return None };
        let (from, until) = rest.split_first_chunk()?;
        let own = Self {
            slot: *slot,
            from: Seq(u64::from_be_bytes(*from)),
            until: Seq(u64::from_be_bytes(until.try_into().ok()?)),
        };
        (own.slot < crate::family::OWN_MAX && own.from <= own.until).then_some(own)
    }
}

/// A stretch of a channel's history within one family: `from <= seq < until`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stretch {
    pub(crate) family: Family,
    pub(crate) from: Seq,
    pub(crate) until: Seq,
}

/// Where histories stand, as one read or one commit sees it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Owned {
    /// Hashed families.
    histories: u8,
    channels: BTreeMap<ChannelId, Own>,
    /// Of those of them of which messages were purged: the first that was not. A file of purged rows is dropped as a whole, and
    /// what said that rows are removed may be dropped with it before the rows are: so nobody looks below.
    floors: BTreeMap<ChannelId, Seq>,
}

impl Owned {
    pub(crate) fn new(histories: u8) -> Self {
        Self { histories, channels: BTreeMap::new(), floors: BTreeMap::new() }
    }

    pub(crate) fn histories(&self) -> u8 {
        self.histories
    }

    pub(crate) fn get(&self, channel: ChannelId) -> Option<Own> {
        self.channels.get(&channel).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ChannelId, Own)> {
        self.channels.iter().map(|(channel, own)| (*channel, *own))
    }

    pub(crate) fn len(&self) -> usize {
        self.channels.len()
    }

    /// The same with one channel's family changed, or without it.
    pub(crate) fn with(&self, channel: ChannelId, own: Option<Own>) -> Self {
        let mut changed = self.clone();
        match own {
            Some(own) => changed.channels.insert(channel, own),
            None => {
                changed.floors.remove(&channel);
                changed.channels.remove(&channel)
            }
        };
        changed
    }

    /// The same with the first message of a channel that was not purged; nothing changes for one without a family of its own.
    pub(crate) fn with_floor(&self, channel: ChannelId, floor: Seq) -> Self {
        let mut changed = self.clone();
        if changed.channels.contains_key(&channel) && floor > Seq(0) {
            changed.floors.insert(channel, floor);
        }
        changed
    }

    /// The first message of a channel that may be looked at.
    pub(crate) fn floor(&self, channel: ChannelId) -> Seq {
        self.floors.get(&channel).copied().unwrap_or_default()
    }

    /// The family that a channel hashes to.
    pub(crate) fn hashed(&self, channel: ChannelId) -> Family {
        Family::of_history(channel, self.histories)
    }

    /// Where one message stands.
    pub(crate) fn family(&self, channel: ChannelId, seq: Seq) -> Family {
        match self.get(channel) {
            Some(own) if own.holds(seq) => own.family(),
            _ => self.hashed(channel),
        }
    }

    /// Where the messages with `from <= seq < until` stand, rising; empty stretches are left out.
    pub(crate) fn stretches(
        &self,
        channel: ChannelId,
        from: Seq,
        until: Seq,
    ) -> impl DoubleEndedIterator<Item = Stretch> {
        let (hashed, from) = (self.hashed(channel), from.max(self.floor(channel)));
        // Without a family of its own everything is before it.
        let own = self.get(channel).unwrap_or(Own { slot: 0, from: ENDLESS, until: ENDLESS });
        let parts =
            [(hashed, Seq(0), own.from), (own.family(), own.from, own.until), (hashed, own.until, ENDLESS)];
        let cut = move |(family, first, behind): (Family, Seq, Seq)| {
            let stretch = Stretch { family, from: from.max(first), until: until.min(behind) };
            (stretch.from < stretch.until).then_some(stretch)
        };
        parts.into_iter().filter_map(cut)
    }
}

/// Where histories stand now, for readers at work and for whoever changes it.
#[derive(Debug)]
pub(crate) struct Owners {
    now: RwLock<Arc<Owned>>,
    /// What was so before. While a reader holds one, rows that only it would find are not removed.
    before: Mutex<Vec<Weak<Owned>>>,
}

impl Owners {
    pub(crate) fn new(owned: Owned) -> Self {
        Self { now: RwLock::new(Arc::new(owned)), before: Mutex::default() }
    }

    /// As it is now; to be held for as long as rows are read by it.
    pub(crate) fn now(&self) -> Arc<Owned> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From here on readers and commits go by this.
    pub(crate) fn publish(&self, owned: Owned) {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *now, Arc::new(owned));
        self.before.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&before));
    }

    /// Whether nobody reads by what was so before.
    pub(crate) fn is_settled(&self) -> bool {
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        before.retain(|owned| owned.strong_count() > 0);
        before.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNEL: ChannelId = ChannelId(7);

    fn owned(from: u64, until: u64) -> Owned {
        Owned::new(4).with(CHANNEL, Some(Own { slot: 3, from: Seq(from), until: Seq(until) }))
    }

    fn stretches(owned: &Owned, from: u64, until: u64) -> Vec<(Family, u64, u64)> {
        let stretches = owned.stretches(CHANNEL, Seq(from), Seq(until));
        stretches.map(|stretch| (stretch.family, stretch.from.0, stretch.until.0)).collect()
    }

    #[test]
    fn a_range_is_cut_where_the_family_changes() {
        let (hashed, own) = (Family::of_history(CHANNEL, 4), Family::Own(3));
        let all = [(hashed, 1, 10), (own, 10, 20), (hashed, 20, 99)];
        assert_eq!(stretches(&owned(10, 20), 1, 99), all);
        assert_eq!(stretches(&owned(10, 20), 12, 15), [(own, 12, 15)]);
        assert_eq!(stretches(&owned(10, 20), 20, 21), [(hashed, 20, 21)]);
        assert_eq!(stretches(&owned(1, u64::MAX), 1, 99), [(own, 1, 99)]);
        assert_eq!(stretches(&owned(10, 10), 9, 12), [(hashed, 9, 10), (hashed, 10, 12)]);
        assert_eq!(stretches(&Owned::new(4), 5, 6), [(hashed, 5, 6)]);
        assert_eq!(stretches(&owned(10, 20), 6, 6), []);
        for seq in 1..30 {
            let found = stretches(&owned(10, 20), seq, seq + 1);
            assert_eq!(found, [(owned(10, 20).family(CHANNEL, Seq(seq)), seq, seq + 1)]);
        }
    }

    #[test]
    fn golden_row() {
        let own = Own { slot: 63, from: Seq(258), until: ENDLESS };
        let bytes = own.encode();
        assert_eq!(bytes, [&[1, 63, 0, 0, 0, 0, 0, 0, 1, 2][..], &[0xff; 8]].concat());
        assert_eq!(Own::decode(&bytes), Some(own));
        for (at, wrong) in [(0, 2), (1, 64), (2, 0xff)] {
            let mut bytes = Own { until: Seq(300), ..own }.encode();
            bytes[at] = wrong;
            assert_eq!(Own::decode(&bytes), None, "{at}");
        }
        assert_eq!(Own::decode(&bytes[..17]), None);
        assert_eq!(Own::decode(&[&bytes[..], &[0]].concat()), None);
    }
}
