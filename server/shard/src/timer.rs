//! When to look at what again, in slots. Being early is cheap: who is not due is put back.

use std::collections::BTreeMap;

use protocol::UserId;

use crate::input::Tick;
use crate::limits::TOKENS_SLOT_MS;
use crate::session::SessionId;

/// What to look at. Whatever waits for a time is one of these; what a turn looks at anyway keeps a deadline of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wake {
    /// A session: its silence, its access token, whether it takes what it is sent.
    Session(SessionId),
    /// A session that has spent its tokens.
    Tokens(SessionId),
    /// A session that was told as much of others as it may be.
    Presence(SessionId),
    /// A user whose live devices were offered messages and may not have taken them.
    Untaken(UserId),
}

impl Wake {
    /// A second for what is measured in seconds, less for what is measured in milliseconds.
    fn slot_ms(self) -> u64 {
        match self {
            Self::Session(_) | Self::Untaken(_) => 1000,
            Self::Presence(_) => 100,
            Self::Tokens(_) => TOKENS_SLOT_MS,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Timer {
    /// By the end of the slot, milliseconds.
    slots: BTreeMap<u64, Vec<Wake>>,
}

impl Timer {
    /// Wakes it at `at` or up to a slot later.
    pub(crate) fn set(&mut self, at: Tick, wake: Wake) {
        let end_ms = at.0.div_ceil(wake.slot_ms()) * wake.slot_ms();
        self.slots.entry(end_ms).or_default().push(wake);
    }

    /// Takes one slot that is due.
    pub(crate) fn due(&mut self, now: Tick) -> Option<Vec<Wake>> {
        self.next().filter(|end| *end <= now)?;
        self.slots.pop_first().map(|(_, wakes)| wakes)
    }

    pub(crate) fn next(&self) -> Option<Tick> {
        self.slots.first_key_value().map(|(end_ms, _)| Tick(*end_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_early_and_at_most_a_slot_late() {
        let (late, soon) = (Wake::Session(SessionId(1)), Wake::Session(SessionId(2)));
        let tokens = Wake::Tokens(SessionId(1));
        let mut timer = Timer::default();
        timer.set(Tick(1500), late);
        timer.set(Tick(900), soon);
        timer.set(Tick(1001), tokens);
        assert_eq!(timer.next(), Some(Tick(1000)));
        assert_eq!(timer.due(Tick(999)), None);
        assert_eq!(timer.due(Tick(1000)), Some(vec![soon]));
        assert_eq!(timer.due(Tick(1000)), None);
        assert!(timer.next().is_some_and(|next| next.0 > 1000 && next.0 <= 1001 + TOKENS_SLOT_MS));
        assert_eq!(timer.due(Tick(1999)), Some(vec![tokens]));
        assert_eq!(timer.due(Tick(1999)), None);
        assert_eq!(timer.due(Tick(2000)), Some(vec![late]));
        assert_eq!(timer.next(), None);
    }
}
