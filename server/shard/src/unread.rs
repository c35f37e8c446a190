//! Reads that failed and may not fail next time: what rests until it is asked again, and for how long. Nothing is asked
//! again in the step in which it failed; each failure doubles the pause. Who waits for an answer is refused at once; what
//! has nobody to refuse (deliveries, logs, pages of an inbox) is asked for again when its pause is over.

use core::fmt;
use std::collections::BTreeMap;

use protocol::{BayId, ChannelId, UserId};

use crate::input::Tick;
use crate::limits::{READ_PAUSE_MAX_MS, READ_PAUSE_MIN_MS, RESTS_MAX};
use crate::session::SessionId;

/// What was read in vain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Load {
    User(UserId),
    Channel(ChannelId),
    Window(ChannelId),
    Page(SessionId),
    Replay { source: BayId },
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user {user}"),
            Self::Channel(channel) => write!(f, "channel {channel}"),
            Self::Window(channel) => write!(f, "the newest messages of channel {channel}"),
            Self::Page(session) => write!(f, "a page of the inbox for session {}", session.0),
            Self::Replay { source } => write!(f, "the fan-out log of bay {source}"),
        }
    }
}

/// A read that failed, that something waits for, and that is asked again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resting {
    /// What is read.
    pub what: String,
    /// Why it failed last: the place, and the words of the system.
    pub why: String,
    /// How often it failed in a row.
    pub failed: u32,
    /// When it is asked again, milliseconds from now.
    pub again_ms: u64,
}

impl fmt::Display for Resting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, why, failed, again_ms } = self;
        write!(f, "{what} could not be read, {failed} times in a row ({why}), next try in {again_ms} ms")
    }
}

#[derive(Clone, Debug)]
struct Rest {
    pause_ms: u64,
    failed: u32,
    why: String,
    until: Tick,
    /// Something waits for it that cannot be refused.
    wanted: bool,
}

/// Everything that rests.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    rests: BTreeMap<Load, Rest>,
    /// Why the read failed that is being looked at.
    why: String,
}

impl Unread {
    /// A read has just failed for this reason; what rests for it is told by [`Self::failed`].
    pub(crate) fn because(&mut self, place: &str, what: &str) {
        self.why = format!("{place}: {what}");
    }

    /// A read failed: it rests, twice as long as the last time. `wanted` says that it must be asked again.
    pub(crate) fn failed(&mut self, load: Load, now: Tick, wanted: bool) {
        if self.rests.len() >= RESTS_MAX {
            // Who is asked for by a request alone is asked for again by the next one.
            self.rests.retain(|_, rest| rest.wanted || now < rest.until);
        }
        if !wanted && self.rests.len() >= RESTS_MAX {
            return;
        }
        let (last, failed) = self.rests.get(&load).map_or((0, 0), |rest| (rest.pause_ms, rest.failed));
        let (failed, why) = (failed.saturating_add(1), self.why.clone());
        let pause_ms = (last * 2).clamp(READ_PAUSE_MIN_MS, READ_PAUSE_MAX_MS);
        self.rests.insert(load, Rest { pause_ms, failed, why, until: now.after_ms(pause_ms), wanted });
    }

    /// There is no room to ask for this now: it is asked for a little later, because something waits for it.
    pub(crate) fn later(&mut self, load: Load, now: Tick) {
        let new = Rest { pause_ms: 0, failed: 0, why: String::new(), until: now, wanted: true };
        let rest = self.rests.entry(load).or_insert(new);
        (rest.until, rest.wanted) = (now.after_ms(READ_PAUSE_MIN_MS), true);
    }

    /// How long until this may be asked again, if it rests; `wanted` makes it be asked again then.
    pub(crate) fn rests(&mut self, load: Load, now: Tick, wanted: bool) -> Option<u64> {
        if self.rests.is_empty() {
            return None;
        }
        let rest = self.rests.get_mut(&load).filter(|rest| now < rest.until)?;
        rest.wanted |= wanted;
        Some(rest.until.0 - now.0)
    }

    /// A read was answered, or nobody wants it any more.
    pub(crate) fn forget(&mut self, load: Load) {
        if !self.rests.is_empty() {
            self.rests.remove(&load);
        }
    }

    /// Forgets what nobody has asked for again for long.
    pub(crate) fn sweep(&mut self, now: Tick) {
        if !self.rests.is_empty() {
            self.rests.retain(|_, rest| rest.wanted || now < rest.until.after_ms(READ_PAUSE_MAX_MS));
        }
    }

    /// What is to be asked again now.
    pub(crate) fn due(&mut self, now: Tick) -> Vec<Load> {
        let due = self.rests.iter_mut().filter(|(_, rest)| rest.wanted && rest.until <= now);
        due.map(|(load, rest)| {
            rest.wanted = false;
            *load
        })
        .collect()
    }

    /// When something is to be asked again.
    pub(crate) fn next(&self) -> Option<Tick> {
        self.rests.values().filter(|rest| rest.wanted).map(|rest| rest.until).min()
    }

    /// Of the reads that rest and must be asked again, the one that failed most often.
    pub(crate) fn worst(&self, now: Tick) -> Option<Resting> {
        let wanted = self.rests.iter().filter(|(_, rest)| rest.wanted && rest.failed > 0);
        let (load, rest) = wanted.max_by_key(|(_, rest)| rest.failed)?;
        Some(Resting {
            what: load.to_string(),
            why: rest.why.clone(),
            failed: rest.failed,
            again_ms: rest.until.0.saturating_sub(now.0),
        })
    }

    /// How many reads rest that must be asked again.
    pub(crate) fn wanted(&self) -> usize {
        self.rests.values().filter(|rest| rest.wanted).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_begin_anew_after_an_answer() {
        let (mut unread, load) = (Unread::default(), Load::User(UserId(1)));
        let mut now = Tick(0);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            unread.failed(load, now, true);
            assert!(unread.rests(load, now, false).is_some(), "not in the same step");
            let next = unread.next().unwrap();
            pauses.push(next.0 - now.0);
            now = next;
            assert_eq!(unread.due(now), vec![load]);
            assert!(unread.due(now).is_empty(), "once");
        }
        assert_eq!(pauses[..3], [READ_PAUSE_MIN_MS, 2 * READ_PAUSE_MIN_MS, 4 * READ_PAUSE_MIN_MS]);
        assert_eq!(pauses.last(), Some(&READ_PAUSE_MAX_MS));
        unread.forget(load);
        unread.failed(load, now, true);
        assert_eq!(unread.next(), Some(now.after_ms(READ_PAUSE_MIN_MS)));
    }

    #[test]
    fn what_nobody_waits_for_is_bounded_and_never_asked_by_itself() {
        let mut unread = Unread::default();
        for user in 0..2 * RESTS_MAX as u64 {
            unread.failed(Load::User(UserId(user)), Tick(0), false);
        }
        assert!(unread.rests.len() <= RESTS_MAX);
        assert_eq!((unread.next(), unread.wanted()), (None, 0));
        unread.failed(Load::User(UserId(u64::MAX)), Tick(0), true);
        assert_eq!(unread.wanted(), 1, "what must be asked again always has room");
    }
}
