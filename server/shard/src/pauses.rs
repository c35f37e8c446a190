//! Who is not read, why, and who wants it so: one value for all connections of which this shard knows. One that is paused
//! for two reasons is read again when both are gone. A driver, and a shard that holds a connection for us, only do what
//! this says.
//!
//! Kept beside the sessions, because few connections are paused at a time, and because two kinds that have no session
//! here are paused too: those whose user is being loaded, and those that are held for another shard.

use std::collections::BTreeSet;

use protocol::ShardId;
use protocol::hop::Speak;

use crate::idmap::{IdMap, Seeded};
use crate::link::Link;
use crate::session::{Session, SessionId};
use crate::shard::Shard;

/// Why a connection is not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    /// Too much waits to be written to it.
    Egress,
    /// It was refused for want of tokens.
    Tokens,
    /// It has asked for as many pages as may be under way.
    Pages,
    /// What it sends waits for the lane to this shard.
    Lane(ShardId),
    /// What it sends waits until this shard has stored more.
    Unstored(ShardId),
    /// Its user is being loaded.
    Greeting,
    /// The shard stops.
    Drain,
    /// We hold it for its user's home, and the home wants nothing more of it for now.
    Home,
    /// Whoever has it, our driver or the shard that holds it for us, does not read it for a reason of its own.
    Holder,
}

/// All reasons of one connection. A connection without any has no entry.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Reasons {
    plain: u8,
    lanes: u64,
    unstored: u64,
}

/// What a reason more or less has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Change {
    /// The reason was not there before, or is not there any more.
    is_news: bool,
    /// With it our own word changes: the connection was read until now, or is to be read from now on.
    turns: bool,
}

/// The connections that are not read.
#[derive(Debug)]
pub(crate) struct Pauses {
    of: IdMap<Link, Reasons>,
    /// Those that wait for a lane, by shard; in order, so that they are resumed the same way in every run.
    lanes: Vec<BTreeSet<Link>>,
    /// Those that wait for a shard to store more, by shard.
    unstored: Vec<BTreeSet<Link>>,
}

impl Reasons {
    /// Whether we want the connection not to be read. A holder's own reason is the holder's matter.
    fn are_ours(self) -> bool {
        Self { plain: self.plain & !plain(Why::Holder), ..self } != Self::default()
    }

    fn set(&mut self, why: Why) {
        match why {
            Why::Lane(shard) => self.lanes |= bit(shard.0),
            Why::Unstored(shard) => self.unstored |= bit(shard.0),
            _ => self.plain |= plain(why),
        }
    }

    fn clear(&mut self, why: Why) {
        match why {
            Why::Lane(shard) => self.lanes &= !bit(shard.0),
            Why::Unstored(shard) => self.unstored &= !bit(shard.0),
            _ => self.plain &= !plain(why),
        }
    }
}

fn plain(why: Why) -> u8 {
    match why {
        Why::Egress => 1,
        Why::Greeting => 2,
        Why::Drain => 4,
        Why::Home => 8,
        Why::Tokens => 16,
        Why::Pages => 32,
        Why::Holder => 64,
        Why::Lane(_) | Why::Unstored(_) => 0,
    }
}

/// Shards are at most 64.
fn bit(number: u16) -> u64 {
    1u64.checked_shl(number.into()).unwrap_or(0)
}

const _: () = assert!(protocol::partition::SHARDS_MAX <= 64);

impl Pauses {
    pub(crate) fn new(shards: u16, seed: Seeded) -> Self {
        let none = || (0..shards).map(|_| BTreeSet::new()).collect();
        Self { of: IdMap::with_hasher(seed), lanes: none(), unstored: none() }
    }

    /// Adds a reason for which the connection is not read already.
    pub(crate) fn note(&mut self, link: Link, why: Why) {
        self.add(link, why);
    }

    /// Takes back a reason that [`Self::note`] added and no word of ours followed.
    pub(crate) fn unnote(&mut self, link: Link, why: Why) {
        self.remove(link, why);
    }

    fn add(&mut self, link: Link, why: Why) -> Change {
        if let Some(list) = self.list(why) {
            list.insert(link);
        }
        let reasons = self.of.entry(link).or_default();
        let before = *reasons;
        reasons.set(why);
        Change { is_news: *reasons != before, turns: reasons.are_ours() != before.are_ours() }
    }

    fn remove(&mut self, link: Link, why: Why) -> Change {
        if let Some(list) = self.list(why) {
            list.remove(&link);
        }
        let Some(reasons) = self.of.get_mut(&link) else { return Change { is_news: false, turns: false } };
        let before = *reasons;
        reasons.clear(why);
        let after = *reasons;
        if after == Reasons::default() {
            self.of.remove(&link);
        }
        Change { is_news: after != before, turns: after.are_ours() != before.are_ours() }
    }

    /// The connection ends.
    pub(crate) fn forget(&mut self, link: Link) {
        let Some(reasons) = self.of.remove(&link) else { return };
        for (number, list) in (0u16..).zip(&mut self.lanes) {
            if reasons.lanes & bit(number) != 0 {
                list.remove(&link);
            }
        }
        for (number, list) in (0u16..).zip(&mut self.unstored) {
            if reasons.unstored & bit(number) != 0 {
                list.remove(&link);
            }
        }
    }

    /// Whether there is this reason not to read it.
    pub(crate) fn has(&self, link: Link, why: Why) -> bool {
        self.of.get(&link).is_some_and(|reasons| match why {
            Why::Lane(shard) => reasons.lanes & bit(shard.0) != 0,
            Why::Unstored(shard) => reasons.unstored & bit(shard.0) != 0,
            _ => reasons.plain & plain(why) != 0,
        })
    }

    /// Whether there is any reason not to read it.
    pub(crate) fn holds(&self, link: Link) -> bool {
        self.of.contains_key(&link)
    }

    pub(crate) fn waits_for_lane(&self, shard: ShardId) -> bool {
        self.lanes.get(usize::from(shard.0)).is_some_and(|list| !list.is_empty())
    }

    /// Those that wait for a lane or a shard, in order. Empty for other reasons, of which nobody keeps a list.
    pub(crate) fn waiting_for(&self, why: Why) -> Vec<Link> {
        let list = match why {
            Why::Lane(shard) => self.lanes.get(usize::from(shard.0)),
            Why::Unstored(shard) => self.unstored.get(usize::from(shard.0)),
            _ => None,
        };
        list.into_iter().flatten().copied().collect()
    }

    fn list(&mut self, why: Why) -> Option<&mut BTreeSet<Link>> {
        match why {
            Why::Lane(shard) => self.lanes.get_mut(usize::from(shard.0)),
            Why::Unstored(shard) => self.unstored.get_mut(usize::from(shard.0)),
            _ => None,
        }
    }
}

impl Shard {
    /// Reads a session's connection no more, see [`Self::pause_link`].
    pub(crate) fn pause(&mut self, id: SessionId, why: Why) {
        // It may have ended meanwhile.
        if let Some(link) = self.sessions.get(&id).map(Session::link) {
            self.pause_link(link, why);
        }
    }

    /// A reason not to read a session's connection is gone, see [`Self::unpause_link`].
    pub(crate) fn unpause(&mut self, id: SessionId, why: Why) {
        // It may have ended meanwhile.
        if let Some(link) = self.sessions.get(&id).map(Session::link) {
            self.unpause_link(link, why);
        }
    }

    /// Reads a connection no more until this reason, and every other one, is gone. What was read already still comes.
    pub(crate) fn pause_link(&mut self, link: Link, why: Why) {
        if self.pauses.add(link, why).turns {
            self.speak(link, Speak::Pause);
        }
    }

    /// A reason is gone; nothing happens if it was none. With the last one the connection is read again, and it is silent
    /// from now on only: what it said meanwhile could not be heard.
    pub(crate) fn unpause_link(&mut self, link: Link, why: Why) {
        let change = self.pauses.remove(link, why);
        if change.is_news && matches!(why, Why::Lane(_)) {
            self.held_is_read(link);
        }
        if !change.turns {
            return;
        }
        let now = self.now;
        if let Some(id) = self.sessions.at(link)
            && let Some(session) = self.sessions.get_mut(&id)
        {
            session.heard(now);
        }
        self.speak(link, Speak::Resume);
    }

    /// The lane or the store has room again.
    pub(crate) fn unpause_all(&mut self, why: Why) {
        for link in self.pauses.waiting_for(why) {
            self.unpause_link(link, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::ConnId;

    const LINK: Link = Link::Local(ConnId(7));
    /// A reason more, or one less of several.
    const MORE: Change = Change { is_news: true, turns: false };
    const NOTHING: Change = Change { is_news: false, turns: false };
    const TURNS: Change = Change { is_news: true, turns: true };

    #[test]
    fn read_again_when_the_last_reason_is_gone() {
        let mut pauses = Pauses::new(4, Seeded(1));
        assert_eq!(pauses.add(LINK, Why::Egress), TURNS, "it was read until now");
        assert_eq!(pauses.add(LINK, Why::Unstored(ShardId(3))), MORE);
        assert_eq!(pauses.add(LINK, Why::Unstored(ShardId(1))), MORE);
        assert_eq!(pauses.add(LINK, Why::Lane(ShardId(1))), MORE);
        assert_eq!(pauses.add(LINK, Why::Egress), NOTHING, "the same reason twice is one");
        assert_eq!(pauses.waiting_for(Why::Unstored(ShardId(3))), [LINK]);
        assert_eq!(pauses.remove(LINK, Why::Egress), MORE);
        assert_eq!(pauses.remove(LINK, Why::Unstored(ShardId(3))), MORE);
        let again = pauses.remove(LINK, Why::Unstored(ShardId(3)));
        assert_eq!(again, NOTHING, "a reason that is gone takes no other with it");
        assert_eq!(pauses.remove(LINK, Why::Lane(ShardId(1))), MORE);
        assert!(pauses.holds(LINK));
        assert_eq!(pauses.remove(LINK, Why::Unstored(ShardId(1))), TURNS);
        assert!(!pauses.holds(LINK));
        assert_eq!(pauses.remove(LINK, Why::Unstored(ShardId(1))), NOTHING, "it is read already");
    }

    /// A holder that does not read for its own reason has not heard a word of ours, and resumes by itself.
    #[test]
    fn a_holders_reason_changes_no_word_of_ours() {
        let mut pauses = Pauses::new(4, Seeded(1));
        let link = Link::Held { holder: ShardId(2), conn: ConnId(7) };
        assert_eq!(pauses.add(link, Why::Holder), MORE);
        assert!(pauses.holds(link), "its silence says nothing");
        assert_eq!(
            pauses.add(link, Why::Egress),
            TURNS,
            "the holder is told, or it would read again too soon"
        );
        assert_eq!(pauses.remove(link, Why::Egress), TURNS);
        assert_eq!(pauses.remove(link, Why::Holder), MORE);
        assert!(!pauses.holds(link));
    }

    #[test]
    fn a_connection_that_ends_waits_for_nothing() {
        let mut pauses = Pauses::new(4, Seeded(1));
        pauses.add(LINK, Why::Lane(ShardId(1)));
        pauses.add(LINK, Why::Unstored(ShardId(2)));
        pauses.forget(LINK);
        assert!(pauses.waiting_for(Why::Lane(ShardId(1))).is_empty());
        assert!(pauses.waiting_for(Why::Unstored(ShardId(2))).is_empty());
        assert!(!pauses.holds(LINK));
    }
}
