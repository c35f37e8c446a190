//! Why connections are not read. One that is paused for two reasons is read again when both are gone.
//!
//! Kept beside the sessions, because few connections are paused at a time, and because two kinds that have no session
//! here are paused too: those whose user is being loaded, and those that are held for another shard.

use std::collections::BTreeSet;

use protocol::ShardId;
use protocol::hop::Speak;

use crate::idmap::{IdMap, Seeded};
use crate::input::ConnId;
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
    /// The driver has no room for the rest of a message.
    Room,
    /// The shard stops.
    Drain,
    /// We hold it for its user's home, and the home wants nothing more of it for now.
    Home,
}

/// All reasons of one connection. A connection without any has no entry.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Reasons {
    plain: u8,
    lanes: u64,
    unstored: u64,
}

/// The connections that are not read.
#[derive(Debug)]
pub(crate) struct Pauses {
    of: IdMap<ConnId, Reasons>,
    /// Those that wait for a lane, by shard; in order, so that they are resumed the same way in every run.
    lanes: Vec<BTreeSet<ConnId>>,
    /// Those that wait for a shard to store more, by shard.
    unstored: Vec<BTreeSet<ConnId>>,
}

impl Reasons {
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
        Why::Room => 64,
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
    pub(crate) fn note(&mut self, conn: ConnId, why: Why) {
        self.add(conn, why);
    }

    /// Adds a reason. True when it is the first: the connection was read until now.
    fn add(&mut self, conn: ConnId, why: Why) -> bool {
        if let Some(list) = self.list(why) {
            list.insert(conn);
        }
        let reasons = self.of.entry(conn).or_default();
        let first = *reasons == Reasons::default();
        reasons.set(why);
        first
    }

    /// Takes a reason away. True when it was the last one: the connection is to be read again.
    fn remove(&mut self, conn: ConnId, why: Why) -> bool {
        if let Some(list) = self.list(why) {
            list.remove(&conn);
        }
        let Some(reasons) = self.of.get_mut(&conn) else { return false };
        reasons.clear(why);
        let last = *reasons == Reasons::default();
        if last {
            self.of.remove(&conn);
        }
        last
    }

    /// The connection ends.
    pub(crate) fn forget(&mut self, conn: ConnId) {
        let Some(reasons) = self.of.remove(&conn) else { return };
        for (number, list) in (0u16..).zip(&mut self.lanes) {
            if reasons.lanes & bit(number) != 0 {
                list.remove(&conn);
            }
        }
        for (number, list) in (0u16..).zip(&mut self.unstored) {
            if reasons.unstored & bit(number) != 0 {
                list.remove(&conn);
            }
        }
    }

    /// Whether there is this reason not to read it.
    pub(crate) fn has(&self, conn: ConnId, why: Why) -> bool {
        self.of.get(&conn).is_some_and(|reasons| match why {
            Why::Lane(shard) => reasons.lanes & bit(shard.0) != 0,
            Why::Unstored(shard) => reasons.unstored & bit(shard.0) != 0,
            _ => reasons.plain & plain(why) != 0,
        })
    }

    /// Whether there is any reason not to read it.
    pub(crate) fn holds(&self, conn: ConnId) -> bool {
        self.of.contains_key(&conn)
    }

    pub(crate) fn waits_for_lane(&self, shard: ShardId) -> bool {
        self.lanes.get(usize::from(shard.0)).is_some_and(|list| !list.is_empty())
    }

    /// Those that wait for a lane or a shard, in order. Empty for other reasons, of which nobody keeps a list.
    pub(crate) fn waiting_for(&self, why: Why) -> Vec<ConnId> {
        let list = match why {
            Why::Lane(shard) => self.lanes.get(usize::from(shard.0)),
            Why::Unstored(shard) => self.unstored.get(usize::from(shard.0)),
            _ => None,
        };
        list.into_iter().flatten().copied().collect()
    }

    fn list(&mut self, why: Why) -> Option<&mut BTreeSet<ConnId>> {
        match why {
            Why::Lane(shard) => self.lanes.get_mut(usize::from(shard.0)),
            Why::Unstored(shard) => self.unstored.get_mut(usize::from(shard.0)),
            _ => None,
        }
    }
}

impl Shard {
    /// Reads a connection no more until this reason, and every other one, is gone. What was read already still comes.
    pub(crate) fn pause(&mut self, conn: ConnId, why: Why) {
        if self.pauses.add(conn, why) {
            self.speak(conn, Speak::Pause);
        }
    }

    /// A reason is gone; nothing happens if it was none. With the last one the connection is read again, and it is silent
    /// from now on only: what it said meanwhile could not be heard.
    pub(crate) fn unpause(&mut self, conn: ConnId, why: Why) {
        let is_last = self.pauses.remove(conn, why);
        if matches!(why, Why::Lane(_) | Why::Room) {
            self.held_is_read(conn);
        }
        if !is_last {
            return;
        }
        let now = self.now;
        if let Some(session) = self.sessions.get_mut(&conn) {
            session.heard_at = now;
        }
        self.speak(conn, Speak::Resume);
    }

    /// The driver reads a connection no further, or again, for a reason of its own.
    pub(crate) fn read_by_driver(&mut self, conn: ConnId, is_read: bool) {
        if is_read {
            self.unpause(conn, Why::Room);
        } else if self.sessions.contains_key(&conn)
            || self.held.contains_key(&conn)
            || self.pauses.holds(conn)
        {
            self.pauses.note(conn, Why::Room);
            self.held_is_not_read(conn);
        }
    }

    /// The lane or the store has room again.
    pub(crate) fn unpause_all(&mut self, why: Why) {
        for conn in self.pauses.waiting_for(why) {
            self.unpause(conn, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_again_when_the_last_reason_is_gone() {
        let mut pauses = Pauses::new(4, Seeded(1));
        let conn = ConnId(7);
        assert!(pauses.add(conn, Why::Egress), "it was read until now");
        assert!(!pauses.add(conn, Why::Unstored(ShardId(3))));
        assert!(!pauses.add(conn, Why::Unstored(ShardId(1))));
        assert!(!pauses.add(conn, Why::Lane(ShardId(1))));
        assert!(!pauses.add(conn, Why::Egress), "the same reason twice is one");
        assert_eq!(pauses.waiting_for(Why::Unstored(ShardId(3))), [conn]);
        assert!(!pauses.remove(conn, Why::Egress));
        assert!(!pauses.remove(conn, Why::Unstored(ShardId(3))));
        assert!(
            !pauses.remove(conn, Why::Unstored(ShardId(3))),
            "a reason that is gone takes no other with it"
        );
        assert!(!pauses.remove(conn, Why::Lane(ShardId(1))));
        assert!(pauses.holds(conn));
        assert!(pauses.remove(conn, Why::Unstored(ShardId(1))));
        assert!(!pauses.holds(conn));
        assert!(!pauses.remove(conn, Why::Unstored(ShardId(1))), "it is read already");
    }

    #[test]
    fn a_connection_that_ends_waits_for_nothing() {
        let mut pauses = Pauses::new(4, Seeded(1));
        pauses.add(ConnId(7), Why::Lane(ShardId(1)));
        pauses.add(ConnId(7), Why::Unstored(ShardId(2)));
        pauses.forget(ConnId(7));
        assert!(pauses.waiting_for(Why::Lane(ShardId(1))).is_empty());
        assert!(pauses.waiting_for(Why::Unstored(ShardId(2))).is_empty());
        assert!(!pauses.holds(ConnId(7)));
    }
}
