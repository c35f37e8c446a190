//! The shard's account of bytes: who holds how many that wait or are being answered. Each holder has a [`Weight`], which
//! gives back what it took when it is dropped, so no way out of a queue can forget to.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use protocol::hop::Span;
use protocol::query::Delivery;
use protocol::{Code, Frame, Refusal};

use crate::limits::{
    CROWDED_PART, EGRESS_ALL_MAX, HELD_ALL_MAX, INBOUND_ALL_MAX, LANES_ALL_MAX, LOADED_RETRY_MS,
    PAGES_ALL_MAX, TAILS_ALL_MAX, UNSTORED_ALL_MAX, WAITING_ALL_MAX, WINDOWS_ALL_MAX,
};
use crate::pages::asks_for_a_page;
use crate::session::SessionId;
use crate::shard::Shard;

/// What holds bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holds {
    /// Frames that wait to be written to the connections of our sessions, as far as a flush left them behind.
    Egress,
    /// Room reserved for pages that were asked for and are not there yet.
    Pages,
    /// Frames that wait for a user or a channel to be loaded, for a window, or for new members to be found.
    Waiting,
    /// Frames that wait to be written to connections that we hold for other shards.
    Held,
    /// Frames in hops that wait for the ring of another shard.
    Lanes,
    /// Frames of messages that are not stored yet.
    Unstored,
    /// Frames of deliveries whose recipients are being loaded.
    Inbound,
    /// Entries of inboxes that are not stored yet, without their frames, which all recipients share.
    Tails,
    /// What channels remember of their newest sends. A cache: it has a bound of its own and refuses nobody.
    Windows,
}

impl Holds {
    /// All of them, in the order of [`Figures`].
    pub const ALL: [Self; 9] = [
        Self::Egress,
        Self::Pages,
        Self::Waiting,
        Self::Held,
        Self::Lanes,
        Self::Unstored,
        Self::Inbound,
        Self::Tails,
        Self::Windows,
    ];

    /// The label in metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Egress => "egress",
            Self::Pages => "pages",
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Lanes => "lanes",
            Self::Unstored => "unstored",
            Self::Inbound => "inbound",
            Self::Tails => "tails",
            Self::Windows => "windows",
        }
    }

    /// From so many bytes on, whoever would make more of it is refused or not read.
    #[must_use]
    pub const fn bound(self) -> usize {
        match self {
            Self::Egress => EGRESS_ALL_MAX,
            Self::Pages => PAGES_ALL_MAX,
            Self::Waiting => WAITING_ALL_MAX,
            Self::Held => HELD_ALL_MAX,
            Self::Lanes => LANES_ALL_MAX,
            Self::Unstored => UNSTORED_ALL_MAX,
            Self::Inbound => INBOUND_ALL_MAX,
            Self::Tails => TAILS_ALL_MAX,
            Self::Windows => WINDOWS_ALL_MAX,
        }
    }
}

/// Bytes by what holds them, in the order of [`Holds::ALL`].
pub type Figures = [u64; Holds::ALL.len()];

/// The account. Only the shard's own thread counts; the numbers are atomic because a shard moves to its thread once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<[AtomicU64; Holds::ALL.len()]>);

impl Ledger {
    /// So many bytes are held from now on, until the weight is dropped.
    pub(crate) fn weigh(&self, of: Holds, bytes: usize) -> Weight {
        let mut weight = Weight { ledger: self.clone(), of, bytes: 0 };
        weight.set(bytes);
        weight
    }

    pub(crate) fn of(&self, of: Holds) -> u64 {
        self.number(of).load(Ordering::Relaxed)
    }

    fn number(&self, of: Holds) -> &AtomicU64 {
        let [egress, pages, waiting, held, lanes, unstored, inbound, tails, windows] = &*self.0;
        match of {
            Holds::Egress => egress,
            Holds::Pages => pages,
            Holds::Waiting => waiting,
            Holds::Held => held,
            Holds::Lanes => lanes,
            Holds::Unstored => unstored,
            Holds::Inbound => inbound,
            Holds::Tails => tails,
            Holds::Windows => windows,
        }
    }
}

/// What one holder holds.
#[derive(Debug)]
pub(crate) struct Weight {
    ledger: Ledger,
    of: Holds,
    bytes: u32,
}

impl Weight {
    /// It holds so many bytes from now on.
    pub(crate) fn set(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let number = self.ledger.number(self.of);
        if bytes >= self.bytes {
            number.fetch_add(u64::from(bytes - self.bytes), Ordering::Relaxed);
        } else {
            number.fetch_sub(u64::from(self.bytes - bytes), Ordering::Relaxed);
        }
        self.bytes = bytes;
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes as usize
    }
}

impl Clone for Weight {
    fn clone(&self) -> Self {
        self.ledger.weigh(self.of, self.bytes())
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// Bytes of the frames of spans.
pub(crate) fn span_bytes(spans: &[Span]) -> usize {
    spans.iter().map(|span| frame_bytes(&span.deliveries)).sum()
}

/// Bytes of the frames of deliveries.
pub(crate) fn frame_bytes(deliveries: &[Delivery]) -> usize {
    deliveries.iter().map(|delivery| delivery.frame.bytes().len()).sum()
}

impl Shard {
    /// Bytes that wait or are being answered, in the order of [`Holds::ALL`].
    #[must_use]
    pub fn ledger(&self) -> Figures {
        Holds::ALL.map(|of| match of {
            // These know their bytes for reasons of their own.
            Holds::Lanes => self.hops.bytes() as u64,
            Holds::Unstored => self.pipeline.unstored_bytes() as u64,
            Holds::Tails => (self.spare_tails.bytes_in_use() + self.gathered.bytes()) as u64,
            Holds::Windows => self.windows.bytes() as u64,
            _ => self.ledger.of(of),
        })
    }

    /// Whether so much waits here that nobody may ask for more now. What waits for connections that do not read does not
    /// count: that would make senders pay for them. It makes their own room smaller instead, see [`Self::egress_room`].
    pub(crate) fn is_loaded(&self) -> bool {
        let not_theirs = |of: Holds| matches!(of, Holds::Egress | Holds::Held | Holds::Windows);
        let waits = Holds::ALL.into_iter().zip(self.ledger()).filter(|(of, _)| !not_theirs(*of));
        let mut all = 0;
        for (of, bytes) in waits {
            if bytes >= of.bound() as u64 {
                return true;
            }
            all += bytes;
        }
        all >= self.config.limits.waiting_bytes as u64 / 2
    }

    /// What may wait for one connection now: less while so much waits for all of them that somebody does not read.
    pub(crate) fn egress_room(&self) -> usize {
        let limits = &self.config.limits;
        let most = Holds::Egress.bound().min(limits.waiting_bytes / 2) as u64;
        if self.ledger.of(Holds::Egress) < most {
            limits.egress_bytes
        } else {
            limits.egress_bytes / CROWDED_PART
        }
    }

    /// Refuses what would make more wait, while too much does. What makes less of it (heartbeats, cursors) goes on.
    pub(crate) fn admit(&mut self, session_id: SessionId, frame: &Frame) -> Result<(), Refusal> {
        let kind = frame.kind();
        if !(kind.is_message() || asks_for_a_page(kind)) || !self.is_loaded() {
            return Ok(());
        }
        self.keep_back_sends(session_id, frame);
        let text = "too much waits at the server; send again from this frame on, in order";
        Err(Refusal::retry(Code::Busy, LOADED_RETRY_MS, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back() {
        let ledger = Ledger::default();
        let mut first = ledger.weigh(Holds::Pages, 100);
        let second = first.clone();
        assert_eq!(ledger.of(Holds::Pages), 200);
        first.set(30);
        assert_eq!((first.bytes(), ledger.of(Holds::Pages)), (30, 130));
        drop(second);
        first.set(31);
        assert_eq!(ledger.of(Holds::Pages), 31);
        drop(first);
        assert_eq!(ledger.of(Holds::Pages), 0);
    }

    #[test]
    fn every_holder_has_a_number_of_its_own() {
        let ledger = Ledger::default();
        let weights: Vec<Weight> =
            Holds::ALL.iter().zip(1..).map(|(of, bytes)| ledger.weigh(*of, bytes)).collect();
        assert_eq!(Holds::ALL.map(|of| ledger.of(of)), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        drop(weights);
    }
}
