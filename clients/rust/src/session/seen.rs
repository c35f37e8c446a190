//! Which (channel, seq) were told already. Bounded.
//!
//! The server sends an inbox in its order, and a channel's seqs rise there. After a cut, or when a slow session falls
//! back, it begins again behind a completed range. So what was delivered is a prefix, and one number a channel says
//! which: `through`. Only the answer to a repeated send jumps ahead of that order; such seqs are kept as runs.
//!
//! What lies at or below the cursor does not come again, so a channel may be forgotten once everything told of it lies
//! there. A frame does not carry its inbox position, but on one connection the n-th delivery after a Welcome cannot lie
//! behind `start + n`: that bound is what is compared with the cursor.

use std::collections::BTreeMap;

use protocol::{ChannelId, InboxSeq, Seq};

use super::limits::{ACKED_RUNS_MAX, CHANNELS_SEEN_MAX};

#[derive(Debug, Default)]
pub(super) struct Seen {
    channels: BTreeMap<ChannelId, Delivered>,
    /// The newest delivery lies at or below this inbox position.
    at_most: InboxSeq,
}

#[derive(Debug, Default)]
struct Delivered {
    /// Everything at or below that this user may read was told.
    through: u64,
    /// Told by ack, above `through`: inclusive runs, rising, not touching.
    runs: Vec<(u64, u64)>,
    /// Everything told of this channel lies at or below this inbox position.
    at_most: InboxSeq,
}

impl Seen {
    /// A connection begins behind `start`. What was told and not completed may have other positions now, but none
    /// behind `head`: a server replays its fan-out before it says Welcome.
    pub(super) fn begin(&mut self, start: InboxSeq, head: InboxSeq) {
        for delivered in self.channels.values_mut() {
            if delivered.at_most > start {
                delivered.at_most = delivered.at_most.max(head);
            }
        }
        self.at_most = start;
    }

    /// Forgets all: another generation may give the same seqs to other messages.
    pub(super) fn clear(&mut self) {
        self.channels.clear();
    }

    /// A message came in inbox order. Whether it is new.
    pub(super) fn message(&mut self, channel: ChannelId, seq: Seq, cursor: InboxSeq) -> bool {
        let delivered = self.touch(channel, cursor);
        if seq.0 <= delivered.through {
            return false;
        }
        let is_new = !delivered.runs.iter().any(|(first, last)| (*first..=*last).contains(&seq.0));
        delivered.through = seq.0;
        delivered.absorb();
        is_new
    }

    /// An own message is known by its ack, in order or not.
    pub(super) fn acked(&mut self, channel: ChannelId, seq: Seq, cursor: InboxSeq) {
        let delivered = self.touch(channel, cursor);
        if seq.0 > delivered.through {
            delivered.insert(seq.0);
            delivered.absorb();
        }
    }

    fn touch(&mut self, channel: ChannelId, cursor: InboxSeq) -> &mut Delivered {
        self.at_most = self.at_most.next();
        if self.channels.len() >= CHANNELS_SEEN_MAX && !self.channels.contains_key(&channel) {
            self.make_room(cursor);
        }
        let delivered = self.channels.entry(channel).or_default();
        delivered.at_most = delivered.at_most.max(self.at_most);
        delivered
    }

    fn make_room(&mut self, cursor: InboxSeq) {
        self.channels.retain(|_, delivered| delivered.at_most > cursor);
        if self.channels.len() < CHANNELS_SEEN_MAX {
            return;
        }
        // More channels spoke since the last complete range than are remembered. To forget the oldest can tell a
        // message twice after a cut; it can never lose one.
        let oldest = self.channels.iter().min_by_key(|(_, delivered)| delivered.at_most).map(|(c, _)| *c);
        if let Some(oldest) = oldest {
            self.channels.remove(&oldest);
        }
    }
}

impl Delivered {
    fn insert(&mut self, seq: u64) {
        let place = self.runs.partition_point(|(_, last)| last.saturating_add(1) < seq);
        match self.runs.get_mut(place) {
            Some((first, last)) if first.saturating_sub(1) <= seq => {
                *first = seq.min(*first);
                *last = seq.max(*last);
            }
            _ => self.runs.insert(place, (seq, seq)),
        }
        if let (Some((_, last)), Some((next, end))) =
            (self.runs.get(place).copied(), self.runs.get(place + 1).copied())
            && last.saturating_add(1) == next
        {
            self.runs.remove(place + 1);
            if let Some(run) = self.runs.get_mut(place) {
                run.1 = end;
            }
        }
        if self.runs.len() > ACKED_RUNS_MAX {
            self.runs.remove(0);
        }
    }

    /// Drops runs that `through` has reached, and moves it over one that begins right behind it.
    fn absorb(&mut self) {
        let mut through = self.through;
        self.runs.retain(|(first, last)| {
            if *first <= through.saturating_add(1) {
                through = through.max(*last);
                return false;
            }
            true
        });
        self.through = through;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ChannelId = ChannelId(7);
    const NONE: InboxSeq = InboxSeq(0);

    #[test]
    fn a_repeat_is_not_new() {
        let mut seen = Seen::default();
        assert!(seen.message(A, Seq(3), NONE));
        assert!(seen.message(A, Seq(5), NONE));
        assert!(!seen.message(A, Seq(3), NONE));
        assert!(
            !seen.message(A, Seq(4), NONE),
            "a seq below one that came in order is not this user's to read"
        );
        assert!(seen.message(ChannelId(8), Seq(3), NONE));
    }

    #[test]
    fn an_ack_that_jumps_ahead_hides_only_itself() {
        let mut seen = Seen::default();
        assert!(seen.message(A, Seq(1), NONE));
        seen.acked(A, Seq(4), NONE);
        assert!(seen.message(A, Seq(2), NONE));
        assert!(seen.message(A, Seq(3), NONE));
        assert!(!seen.message(A, Seq(4), NONE));
        assert!(seen.message(A, Seq(5), NONE));
    }

    #[test]
    fn runs_join() {
        let mut delivered = Delivered { through: 10, ..Delivered::default() };
        for seq in [20, 22, 30, 21, 19, 31] {
            delivered.insert(seq);
        }
        assert_eq!(delivered.runs, [(19, 22), (30, 31)]);
        delivered.through = 18;
        delivered.absorb();
        assert_eq!((delivered.through, delivered.runs.as_slice()), (22, &[(30, 31)][..]));
        for seq in 0..2000 {
            delivered.insert(100 + 2 * seq);
        }
        assert_eq!(delivered.runs.len(), ACKED_RUNS_MAX);
    }

    #[test]
    fn channels_below_the_cursor_make_room() {
        let mut seen = Seen::default();
        seen.begin(InboxSeq(0), InboxSeq(0));
        for channel in 1..=CHANNELS_SEEN_MAX as u128 {
            assert!(seen.message(ChannelId(channel), Seq(1), NONE));
        }
        let half = InboxSeq(CHANNELS_SEEN_MAX as u64 / 2);
        assert!(seen.message(ChannelId(1 << 40), Seq(1), half));
        assert_eq!(seen.channels.len(), CHANNELS_SEEN_MAX / 2 + 1);
        assert!(!seen.message(ChannelId(CHANNELS_SEEN_MAX as u128), Seq(1), half), "above the cursor: kept");
    }

    #[test]
    fn the_table_is_bounded_even_without_a_cursor() {
        let mut seen = Seen::default();
        for channel in 1..=(CHANNELS_SEEN_MAX as u128 + 50) {
            assert!(seen.message(ChannelId(channel), Seq(1), NONE));
        }
        assert_eq!(seen.channels.len(), CHANNELS_SEEN_MAX);
    }
}
