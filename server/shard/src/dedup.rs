//! The dedup window of a channel: which (sender, send_id) of its newest messages is which seq.
//!
//! A channel's seqs are dense, so an entry's seq follows from its place. An entry is 20 bytes: a keyed 64-bit digest of
//! (sender, send_id), 48 bits of time and 48 bits of the content's fingerprint. The index from digest to place adds some 8
//! bytes, so that a full window of 10,000 messages takes about 280 KB: 28 bytes an entry.
//!
//! Two sends with the same digest would be taken for one. A send meets one of 10,000 others by chance once in 2^64 / 10,000,
//! about 1.8 * 10^15 sends, and is refused `conflict` then; that its 48 bits of fingerprint agree too, so that it would be
//! answered as a repeat, is 2^48 times rarer still (as rare as that other content is taken for that of a message because its
//! fingerprint ends with 48 zeros, which stand for a recalled message: any content is taken for that). The digest is keyed by the shard's secret seed, so nobody can make one.

use std::collections::VecDeque;

use hashbrown::HashTable;
use protocol::limits::DEDUP_MESSAGES_MAX;
use protocol::partition::mix64;
use protocol::query::{ANY_CONTENT, Sent};
use protocol::{SendId, Seq, UserId};

use crate::idmap::Seeded;

/// A message that already has its seq.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Known {
    pub(crate) seq: Seq,
    pub(crate) time_ms: u64,
    fingerprint: [u8; 6],
}

impl Known {
    /// Whether this is the fingerprint of its content. Of what a message said that was recalled nothing is known: any content
    /// is taken for it, so that whoever sends it again hears that it was sent.
    pub(crate) fn has_content(&self, fingerprint: u64) -> bool {
        self.fingerprint == low_48(fingerprint) || self.fingerprint == low_48(ANY_CONTENT)
    }
}

/// Bytes only, so that nothing is lost to alignment.
#[derive(Clone, Copy, Debug)]
struct Entry {
    digest: [u8; 8],
    time_ms: [u8; 6],
    fingerprint: [u8; 6],
}

const _: () = assert!(size_of::<Entry>() == 20);

impl Entry {
    fn digest(&self) -> u64 {
        u64::from_le_bytes(self.digest)
    }

    fn known(&self, seq: Seq) -> Known {
        let [a, b, c, d, e, f] = self.time_ms;
        Known { seq, time_ms: u64::from_le_bytes([a, b, c, d, e, f, 0, 0]), fingerprint: self.fingerprint }
    }
}

#[derive(Debug)]
pub(crate) struct Dedup {
    seed: Seeded,
    /// The seq of the first entry.
    first: Seq,
    entries: VecDeque<Entry>,
    /// The lower half of the seq of every entry, by digest.
    index: HashTable<u32>,
}

impl Dedup {
    /// The window that a store answered: rising by seq. `None` when its seqs are not dense.
    pub(crate) fn new(window: &[Sent], seed: Seeded) -> Option<Self> {
        let first = window.first().map_or(Seq(0), |sent| sent.seq);
        let (entries, index) =
            (VecDeque::with_capacity(window.len()), HashTable::with_capacity(window.len()));
        let mut dedup = Self { seed, first, entries, index };
        window.iter().all(|sent| dedup.remember(sent)).then_some(dedup)
    }

    pub(crate) fn find(&self, sender: UserId, send_id: SendId) -> Option<Known> {
        let digest = self.digest(sender, send_id);
        let same = |at: &u32| self.entry(*at).is_some_and(|(_, entry)| entry.digest() == digest);
        let (seq, entry) = self.entry(*self.index.find(digest, same)?)?;
        Some(entry.known(seq))
    }

    /// Remembers the channel's next message, and forgets the oldest of a full window. False when it is not the next one.
    pub(crate) fn remember(&mut self, sent: &Sent) -> bool {
        if self.entries.is_empty() {
            self.first = sent.seq;
        }
        if sent.seq.0 != self.first.0 + self.entries.len() as u64 {
            return false;
        }
        if self.entries.len() >= DEDUP_MESSAGES_MAX as usize {
            self.forget_oldest();
        }
        self.make_room();
        let digest = self.digest(sent.sender, sent.send_id);
        let (time_ms, fingerprint) = (low_48(sent.time_ms), low_48(sent.fingerprint));
        self.entries.push_back(Entry { digest: digest.to_le_bytes(), time_ms, fingerprint });
        let at = low_32(sent.seq);
        // The same key once more can only come from a history that is longer than the window: the newest one counts.
        let (entries, first) = (&self.entries, self.first);
        let digest_of = |at: &u32| entries.get(place(first, *at)).map_or(0, Entry::digest);
        if let Ok(found) = self.index.find_entry(digest, |other| digest_of(other) == digest) {
            found.remove();
        }
        self.index.insert_unique(digest, at, digest_of);
        true
    }

    /// A message was recalled: what it said is forgotten. Nothing happens when it is not in the window.
    pub(crate) fn forget_content(&mut self, seq: Seq) {
        let place = seq.0.checked_sub(self.first.0).and_then(|place| usize::try_from(place).ok());
        if let Some(entry) = place.and_then(|place| self.entries.get_mut(place)) {
            entry.fingerprint = low_48(ANY_CONTENT);
        }
    }

    /// What it takes of the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>() + self.index.allocation_size()
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.entries.front().map(Entry::digest) else { return };
        let at = low_32(self.first);
        if let Ok(found) = self.index.find_entry(oldest, |other| *other == at) {
            found.remove();
        }
        self.entries.pop_front();
        self.first = self.first.next();
    }

    /// Room for a quarter more instead of twice as many: most windows stay small, and none needs more than a full one.
    fn make_room(&mut self) {
        let len = self.entries.len();
        if len == self.entries.capacity() {
            let most = (DEDUP_MESSAGES_MAX as usize).saturating_sub(len);
            self.entries.reserve_exact((len / 4).clamp(4, most.max(4)));
        }
    }

    fn entry(&self, at: u32) -> Option<(Seq, &Entry)> {
        let place = place(self.first, at);
        let entry = self.entries.get(place)?;
        Some((Seq(self.first.0 + place as u64), entry))
    }

    fn digest(&self, sender: UserId, send_id: SendId) -> u64 {
        mix64(mix64(self.seed.0 ^ sender.0) ^ send_id.0)
    }
}

/// The place of the entry whose seq ends with `at`.
fn place(first: Seq, at: u32) -> usize {
    at.wrapping_sub(low_32(first)) as usize
}

fn low_32(seq: Seq) -> u32 {
    let [a, b, c, d, ..] = seq.0.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// The lower six bytes: as milliseconds they reach beyond the year 10,000.
fn low_48(value: u64) -> [u8; 6] {
    let [a, b, c, d, e, f, ..] = value.to_le_bytes();
    [a, b, c, d, e, f]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: u64 = DEDUP_MESSAGES_MAX as u64;

    fn sent(n: u64) -> Sent {
        Sent { seq: Seq(n), time_ms: n, sender: UserId(1), send_id: SendId(n), fingerprint: n << 20 | 1 }
    }

    fn filled(from: u64, to: u64) -> Dedup {
        let window: Vec<Sent> = (from..=to).map(sent).collect();
        Dedup::new(&window, Seeded(7)).expect("dense")
    }

    fn seq_of(dedup: &Dedup, sender: u64, send_id: u64) -> Option<u64> {
        dedup.find(UserId(sender), SendId(send_id)).map(|known| known.seq.0)
    }

    #[test]
    fn remembers_the_window_and_no_more() {
        let mut dedup = filled(1, 1);
        for n in 2..=FULL {
            assert!(dedup.remember(&sent(n)));
        }
        assert_eq!(seq_of(&dedup, 1, 1), Some(1));
        assert!(dedup.remember(&sent(FULL + 1)));
        assert_eq!(seq_of(&dedup, 1, 1), None);
        for n in 2..=FULL + 1 {
            let known = dedup.find(UserId(1), SendId(n)).expect("in the window");
            assert_eq!((known.seq.0, known.time_ms), (n, n));
            assert!(known.has_content(n << 20 | 1) && !known.has_content(n << 20));
        }
        assert_eq!(seq_of(&dedup, 2, 2), None, "another sender");
    }

    #[test]
    fn is_compact_however_it_was_filled() {
        let loaded = filled(1, FULL);
        let mut grown = filled(1, 1);
        let mut most = 0;
        for n in 2..=3 * FULL {
            grown.remember(&sent(n));
            most = most.max(grown.bytes());
        }
        for bytes in [loaded.bytes(), most] {
            assert!(bytes <= 32 * DEDUP_MESSAGES_MAX as usize, "{bytes}");
        }
        let small = filled(5, 104);
        assert!(small.bytes() <= 100 * 32, "{}", small.bytes());
    }

    #[test]
    fn grows_by_a_quarter() {
        let mut dedup = filled(1, 1);
        for n in 2..=FULL {
            let before = dedup.entries.capacity();
            dedup.remember(&sent(n));
            let after = dedup.entries.capacity();
            assert!(after <= (before + before / 4 + 4).min(DEDUP_MESSAGES_MAX as usize), "{before} {after}");
        }
    }

    #[test]
    fn the_seqs_of_a_window_are_dense() {
        assert!(Dedup::new(&[sent(1), sent(3)], Seeded(7)).is_none());
        let mut dedup = filled(5, 6);
        assert!(!dedup.remember(&sent(8)));
        assert!(!dedup.remember(&sent(6)));
        assert!(dedup.remember(&sent(7)));
    }

    #[test]
    fn the_newest_of_a_repeated_key_counts_and_outlives_the_oldest() {
        let mut dedup = filled(1, 2);
        for n in 3..=FULL {
            dedup.remember(&Sent { seq: Seq(n), ..sent(if n == FULL { 1 } else { n }) });
        }
        assert_eq!(seq_of(&dedup, 1, 1), Some(FULL));
        dedup.remember(&sent(FULL + 1));
        assert_eq!(seq_of(&dedup, 1, 1), Some(FULL), "the oldest left without it");
    }

    #[test]
    fn seqs_beyond_32_bits_are_found() {
        let at = u64::from(u32::MAX) - 2;
        let dedup = filled(at, at + 9);
        for n in at..at + 10 {
            assert_eq!(seq_of(&dedup, 1, n), Some(n));
        }
    }
}
