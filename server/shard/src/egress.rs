//! What waits to be written to a session's link.

use crate::input::Tick;
use crate::ledger::{Holds, Ledger, Weight};
use crate::link::Link;

/// What waits to be written, as far as the core can know: the driver tells of queues that a flush left behind; all that
/// it does not tell of was drained by the flush at the end of its turn.
#[derive(Debug, Default)]
pub(crate) struct Egress {
    turn: u64,
    told: u32,
    fresh: u32,
    rare: Option<Box<Rare>>,
}

/// What most links never have.
#[derive(Debug, Default)]
struct Rare {
    /// A held connection: bytes spoken since the beginning. What its holder has not confirmed counts as waiting, because
    /// nobody else tells how full the rings between are.
    spoken: Option<u64>,
    /// Since when bytes have waited without one being taken.
    stalled_since: Option<Tick>,
    /// What waits, in the shard's ledger.
    weight: Option<Weight>,
}

impl Egress {
    pub(crate) fn of(link: Link) -> Self {
        let rare = link.is_held().then(|| Box::new(Rare { spoken: Some(0), ..Rare::default() }));
        Self { rare, ..Self::default() }
    }

    /// What waits at or on the way to a holder that has taken so many bytes and has some left.
    pub(crate) fn waiting(&self, through: u64, queued: usize) -> usize {
        let spoken = self.rare.as_ref().and_then(|rare| rare.spoken);
        let on_the_way = spoken.unwrap_or(0).saturating_sub(through);
        usize::try_from(on_the_way).unwrap_or(usize::MAX).saturating_add(queued)
    }

    pub(crate) fn add(&mut self, bytes: usize, turn: u64) {
        let counted = counted(bytes);
        if let Some(spoken) = self.rare.as_mut().and_then(|rare| rare.spoken.as_mut()) {
            *spoken += bytes as u64;
            self.told = self.told.saturating_add(counted);
            return;
        }
        if self.turn != turn {
            self.flushed(turn);
        }
        self.fresh = self.fresh.saturating_add(counted);
    }

    /// A turn has ended since bytes were added. They wait behind those that the driver told of, unless it tells otherwise;
    /// where it told of none, they were drained.
    fn flushed(&mut self, turn: u64) {
        if self.told > 0 {
            self.told = self.told.saturating_add(self.fresh);
        }
        self.turn = turn;
        self.fresh = 0;
    }

    /// What a flush left behind. It took bytes if less is left than was there, with what was added since the last word.
    pub(crate) fn tell(&mut self, queued: usize, now: Tick, turn: u64) {
        let queued = counted(queued);
        // What was added in this turn was not flushed yet.
        let before = if self.turn == turn { 0 } else { core::mem::take(&mut self.fresh) };
        let progress = queued < self.told.saturating_add(before);
        if queued > 0 {
            let rare = self.rare.get_or_insert_default();
            if progress || rare.stalled_since.is_none() {
                rare.stalled_since = Some(now);
            }
        } else if let Some(rare) = &mut self.rare {
            rare.stalled_since = None;
            if rare.spoken.is_none() {
                self.rare = None;
            }
        }
        self.told = queued;
    }

    /// Bytes were taken, however many wait.
    pub(crate) fn took(&mut self, now: Tick) {
        if let Some(stalled_since) = self.rare.as_mut().and_then(|rare| rare.stalled_since.as_mut()) {
            *stalled_since = now;
        }
    }

    /// Says in the ledger what waits as far as it was told. Nothing for a connection that every flush drains.
    pub(crate) fn weigh(&mut self, ledger: &Ledger) {
        if let Some(rare) = &mut self.rare {
            let weight = rare.weight.get_or_insert_with(|| ledger.weigh(Holds::Egress, 0));
            weight.set(self.told as usize);
        }
    }

    pub(crate) fn queued(&self, turn: u64) -> usize {
        let fresh = if self.turn == turn || self.told > 0 { self.fresh } else { 0 };
        self.told as usize + fresh as usize
    }

    /// Whether a frame of so many bytes may be added. What is alone always may, however large it is.
    pub(crate) fn takes(&self, bytes: usize, room: usize, turn: u64) -> bool {
        let queued = self.queued(turn);
        queued == 0 || queued + bytes <= room
    }

    /// Whether the driver will tell when the queue becomes shorter.
    pub(crate) fn is_told(&self) -> bool {
        self.told > 0
    }

    pub(crate) fn stalled_since(&self) -> Option<Tick> {
        self.rare.as_ref().and_then(|rare| rare.stalled_since)
    }
}

/// The bound of a queue is far below 4 GiB; larger values saturate.
fn counted(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use protocol::ShardId;

    use super::*;
    use crate::input::ConnId;

    #[test]
    fn what_a_holder_has_not_confirmed_waits() {
        let mut egress = Egress::of(Link::Held { holder: ShardId(3), conn: ConnId(7) });
        egress.add(100, 1);
        egress.add(50, 2);
        assert_eq!(egress.queued(9), 150);
        egress.tell(egress.waiting(100, 20), Tick(1), 9);
        assert_eq!(egress.queued(9), 70, "50 on the way and 20 at the holder");
        egress.tell(egress.waiting(150, 0), Tick(2), 9);
        assert_eq!((egress.queued(9), egress.stalled_since()), (0, None));
    }

    #[test]
    fn what_was_not_told_was_drained() {
        let mut egress = Egress::default();
        egress.add(100, 1);
        assert_eq!(egress.queued(1), 100);
        assert_eq!(egress.queued(2), 0);
        egress.add(10, 2);
        egress.tell(70, Tick(5), 3);
        egress.add(5, 3);
        assert_eq!(egress.queued(3), 75);
        assert_eq!(egress.stalled_since(), Some(Tick(5)));
        egress.tell(75, Tick(6), 4);
        assert_eq!(egress.stalled_since(), Some(Tick(5)), "grew: no byte was taken");
        egress.tell(74, Tick(7), 5);
        assert_eq!(egress.stalled_since(), Some(Tick(7)));
        egress.tell(0, Tick(8), 6);
        assert_eq!(egress.stalled_since(), None);
    }

    #[test]
    fn a_queue_that_grows_while_it_drains_is_not_stalled() {
        let mut egress = Egress::default();
        egress.add(1000, 1);
        egress.tell(900, Tick(1), 2);
        for turn in 2..20 {
            egress.add(100, turn);
            // The flush took 40 bytes, and 100 had come.
            let queued = 900 + 60 * (turn as usize - 1);
            egress.tell(queued, Tick(turn), turn + 1);
            assert_eq!(egress.stalled_since(), Some(Tick(turn)), "bytes were taken");
        }
        egress.add(100, 20);
        egress.add(100, 21);
        let queued = egress.queued(22);
        egress.tell(queued, Tick(22), 22);
        assert_eq!(egress.stalled_since(), Some(Tick(19)), "only what was added came");
        egress.add(50, 22);
        egress.tell(queued, Tick(23), 22);
        assert_eq!(egress.stalled_since(), Some(Tick(19)), "what this turn adds was not flushed yet");
        assert_eq!(egress.queued(22), queued + 50);
    }
}
