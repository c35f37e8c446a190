//! When to look at what again, in slots. Of a second, where what waits is measured in seconds: heartbeats, access tokens,
//! stalls. Of less, where it is measured in milliseconds.

use std::collections::BTreeMap;

use crate::input::Tick;
use crate::session::SessionId;

/// Of a second.
const SLOT_MS: u64 = 1000;

/// Being early is cheap: who is not due is put back.
#[derive(Debug)]
pub(crate) struct Timer {
    slot_ms: u64,
    slots: BTreeMap<u64, Vec<SessionId>>,
}

impl Default for Timer {
    fn default() -> Self {
        Self::with_slots_of(SLOT_MS)
    }
}

impl Timer {
    pub(crate) fn with_slots_of(slot_ms: u64) -> Self {
        Self { slot_ms: slot_ms.max(1), slots: BTreeMap::new() }
    }

    /// Looks at the session at `at` or up to a slot later.
    pub(crate) fn set(&mut self, at: Tick, id: SessionId) {
        self.slots.entry(at.0.div_ceil(self.slot_ms)).or_default().push(id);
    }

    /// Takes one slot that is due.
    pub(crate) fn due(&mut self, now: Tick) -> Option<Vec<SessionId>> {
        let slot = *self.slots.first_key_value()?.0;
        if slot * self.slot_ms > now.0 {
            return None;
        }
        self.slots.remove(&slot)
    }

    pub(crate) fn next(&self) -> Option<Tick> {
        self.slots.first_key_value().map(|(slot, _)| Tick(slot * self.slot_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_early() {
        let mut timer = Timer::default();
        timer.set(Tick(1500), SessionId(1));
        timer.set(Tick(900), SessionId(2));
        assert_eq!(timer.next(), Some(Tick(1000)));
        assert_eq!(timer.due(Tick(999)), None);
        assert_eq!(timer.due(Tick(1000)), Some(vec![SessionId(2)]));
        assert_eq!(timer.due(Tick(1999)), None);
        assert_eq!(timer.due(Tick(2000)), Some(vec![SessionId(1)]));
        assert_eq!(timer.next(), None);
    }
}
