//! The dedup window of a channel: which (sender, send_id) of its newest messages is which seq.

use std::collections::VecDeque;

use protocol::query::Sent;
use protocol::{SendId, Seq, UserId};

use crate::idmap::{IdMap, Seeded};
use crate::limits::DEDUP_WINDOW;

/// A message that already has its seq.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Known {
    pub(crate) seq: Seq,
    pub(crate) time_ms: u64,
    pub(crate) fingerprint: u64,
}

#[derive(Debug)]
pub(crate) struct Dedup {
    known: IdMap<(UserId, SendId), Known>,
    order: VecDeque<(UserId, SendId)>,
}

impl Dedup {
    pub(crate) fn new(window: &[Sent], seed: Seeded) -> Self {
        let mut dedup = Self { known: IdMap::with_hasher(seed), order: VecDeque::new() };
        for sent in window {
            dedup.remember(sent);
        }
        dedup
    }

    pub(crate) fn find(&self, sender: UserId, send_id: SendId) -> Option<Known> {
        self.known.get(&(sender, send_id)).copied()
    }

    pub(crate) fn remember(&mut self, sent: &Sent) {
        let key = (sent.sender, sent.send_id);
        let known = Known { seq: sent.seq, time_ms: sent.time_ms, fingerprint: sent.fingerprint };
        if self.known.insert(key, known).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > DEDUP_WINDOW as usize
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(n: u64) -> Sent {
        Sent { seq: Seq(n), time_ms: n, sender: UserId(1), send_id: SendId(n), fingerprint: n }
    }

    #[test]
    fn remembers_the_window_and_no_more() {
        let mut dedup = Dedup::new(&[sent(1)], Seeded(7));
        for n in 2..=u64::from(DEDUP_WINDOW) {
            dedup.remember(&sent(n));
        }
        assert_eq!(dedup.find(UserId(1), SendId(1)).map(|k| k.seq), Some(Seq(1)));
        dedup.remember(&sent(u64::from(DEDUP_WINDOW) + 1));
        assert_eq!(dedup.find(UserId(1), SendId(1)), None);
        assert!(dedup.find(UserId(1), SendId(2)).is_some());
        assert!(dedup.find(UserId(2), SendId(2)).is_none());
    }
}
