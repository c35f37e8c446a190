//! Messages that have come in part: all connections of a shard together may hold so many bytes of them. Above that,
//! whoever holds one is read no further until there is room; one at a time of each carrier goes on all the same, so that
//! something is always finished; and whoever holds one without going on, while others wait, is closed.
//!
//! Each carrier keeps its own holders and is told what the other one holds ([`Halves::set_other`]): the bound is one.

use std::collections::{BTreeMap, VecDeque};

use crate::limits::{HALF_PROGRESS_BYTES, HALF_STALLED_MS};

/// How often it is looked for who stalls, while somebody waits.
const LOOK_MS: u64 = 1000;

#[derive(Debug)]
struct Holder {
    bytes: usize,
    /// Since when less than [`HALF_PROGRESS_BYTES`] came.
    since_ms: u64,
    came: usize,
    is_waiting: bool,
    /// The server itself does not read it, for other reasons: it is not its fault that it stands still.
    is_paused: bool,
}

/// What one carrier tells the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Share {
    /// Bytes that are held.
    pub bytes: usize,
    /// Whether somebody waits for room.
    pub is_waited: bool,
}

/// Who of a carrier holds how much.
#[derive(Debug)]
pub struct Halves<K> {
    max: usize,
    bytes: usize,
    other: Share,
    holders: BTreeMap<K, Holder>,
    /// Those that are not read; some of them gone.
    waiting: VecDeque<K>,
    /// Of them really there.
    waiters: usize,
    /// The one that goes on though there is no room.
    favoured: Option<K>,
    /// Whose reading was stopped (false) or goes on (true), in order.
    changes: Vec<(K, bool)>,
    look_ms: u64,
}

impl<K: Copy + Ord> Halves<K> {
    /// Nobody holds anything; all together may hold so much.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            max,
            bytes: 0,
            other: Share::default(),
            holders: BTreeMap::new(),
            waiting: VecDeque::new(),
            waiters: 0,
            favoured: None,
            changes: Vec::new(),
            look_ms: 0,
        }
    }

    /// What the other carrier is to know.
    #[must_use]
    pub fn share(&self) -> Share {
        Share { bytes: self.bytes, is_waited: self.waiters > 0 }
    }

    /// What the other carrier holds.
    pub fn set_other(&mut self, other: Share) {
        self.other = other;
    }

    /// Whether there is room for more.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.bytes + self.other.bytes < self.max
    }

    /// Whether a connection may be read. If not, it waits for [`Self::next`].
    pub fn may_read(&mut self, conn: K) -> bool {
        let has_room = self.has_room();
        let Some(holder) = self.holders.get_mut(&conn) else { return true };
        if holder.is_waiting {
            return false;
        }
        if has_room || self.favoured == Some(conn) {
            return true;
        }
        holder.is_waiting = true;
        self.waiters += 1;
        self.waiting.push_back(conn);
        self.changes.push((conn, false));
        false
    }

    /// After a read: what the connection holds now, and how much came.
    pub fn set(&mut self, conn: K, bytes: usize, came: usize, now_ms: u64) {
        if bytes == 0 {
            return self.remove(conn);
        }
        let new = Holder { bytes: 0, since_ms: now_ms, came: 0, is_waiting: false, is_paused: false };
        let holder = self.holders.entry(conn).or_insert(new);
        self.bytes = self.bytes - holder.bytes + bytes;
        holder.bytes = bytes;
        holder.came += came;
        if holder.came >= HALF_PROGRESS_BYTES {
            (holder.came, holder.since_ms) = (0, now_ms);
        }
    }

    /// A connection holds nothing any more.
    pub fn remove(&mut self, conn: K) {
        if let Some(holder) = self.holders.remove(&conn) {
            self.bytes -= holder.bytes;
            self.waiters -= usize::from(holder.is_waiting);
            self.favoured = self.favoured.filter(|favoured| *favoured != conn);
        }
    }

    /// The server reads a connection no further for other reasons.
    pub fn pause(&mut self, conn: K) {
        if let Some(holder) = self.holders.get_mut(&conn) {
            holder.is_paused = true;
            self.favoured = self.favoured.filter(|favoured| *favoured != conn);
        }
    }

    /// It reads it again.
    pub fn resume(&mut self, conn: K, now_ms: u64) {
        if let Some(holder) = self.holders.get_mut(&conn) {
            (holder.is_paused, holder.came, holder.since_ms) = (false, 0, now_ms);
        }
    }

    /// The next that waited and may be read.
    pub fn next(&mut self, now_ms: u64) -> Option<K> {
        while self.has_room() || self.favoured.is_none() {
            let conn = self.waiting.pop_front()?;
            // It is gone, and perhaps came again in the meantime.
            let Some(holder) = self.holders.get_mut(&conn).filter(|holder| holder.is_waiting) else {
                continue;
            };
            (holder.is_waiting, holder.came, holder.since_ms) = (false, 0, now_ms);
            self.waiters -= 1;
            self.changes.push((conn, true));
            let is_paused = holder.is_paused;
            if !self.has_room() && !is_paused {
                self.favoured = Some(conn);
            }
            return Some(conn);
        }
        None
    }

    /// Whose reading was stopped (false) or goes on (true) since this was asked last: while it is not read its silence is no
    /// fault of its peer.
    pub fn take_changes(&mut self) -> Vec<(K, bool)> {
        core::mem::take(&mut self.changes)
    }

    /// One that holds a half message, does not go on, and must give way to those that wait.
    pub fn stalled(&mut self, now_ms: u64) -> Option<K> {
        if !self.is_waited() || now_ms < self.look_ms {
            return None;
        }
        let oldest = self.holders.iter().filter(|(_, holder)| !holder.is_waiting && !holder.is_paused);
        let oldest = oldest.min_by_key(|(conn, holder)| (holder.since_ms, **conn));
        let stalled =
            oldest.filter(|(_, holder)| holder.since_ms + HALF_STALLED_MS <= now_ms).map(|(conn, _)| *conn);
        if stalled.is_none() {
            self.look_ms = now_ms + LOOK_MS;
        }
        stalled
    }

    /// Whether somebody waits, of whichever carrier, and somebody of this one may be in the way.
    fn is_waited(&self) -> bool {
        !self.holders.is_empty() && (self.waiters > 0 || self.other.is_waited)
    }

    /// When [`Self::next`] or [`Self::stalled`] is to be asked again; 0 for at once.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let may_go_on = self.waiters > 0 && (self.has_room() || self.favoured.is_none());
        self.is_waited().then_some(if may_go_on { 0 } else { self.look_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    /// So many that each hold a MiB.
    fn full(max: usize) -> Halves<usize> {
        let mut halves = Halves::new(max * MIB);
        (0..max).for_each(|number| halves.set(number, MIB, MIB, 1000));
        halves
    }

    #[test]
    fn whoever_would_hold_more_waits_and_one_at_a_time_goes_on() {
        let mut halves = full(4);
        assert!(!halves.has_room());
        assert!(halves.may_read(9), "one that holds nothing");
        assert!(!halves.may_read(0) && !halves.may_read(1) && !halves.may_read(1));
        assert_eq!(halves.next(1000), Some(0), "the one that waits longest goes on");
        assert_eq!(halves.next(1000), None, "and no other");
        assert_eq!(halves.next_deadline(), Some(0), "nobody was looked for who stalls");
        assert!(halves.may_read(0));
        halves.set(0, 0, MIB, 1000);
        assert_eq!((halves.share().bytes, halves.next(1000)), (3 * MIB, Some(1)), "there is room");
        assert!(halves.may_read(2));
        assert_eq!(halves.take_changes(), [(0, false), (1, false), (0, true), (1, true)]);
        assert_eq!(halves.take_changes(), []);
    }

    #[test]
    fn who_goes_while_waiting_is_forgotten() {
        let mut halves = full(2);
        assert!(!halves.may_read(0));
        halves.remove(0);
        assert_eq!((halves.share().bytes, halves.next(1000)), (MIB, None));
        assert_eq!(halves.next_deadline(), None);
    }

    #[test]
    fn who_stalls_while_others_wait_gives_way() {
        let mut halves = full(4);
        assert_eq!(halves.stalled(1000 + 2 * HALF_STALLED_MS), None, "nobody waits");
        assert!(!halves.may_read(3));
        assert_eq!(halves.stalled(1000 + HALF_STALLED_MS - 1), None);
        // A byte now and then is not going on; enough of them are.
        halves.set(0, MIB, HALF_PROGRESS_BYTES, 5000);
        halves.set(1, MIB, 1, 5000);
        let now_ms = 1000 + HALF_STALLED_MS + LOOK_MS;
        assert_eq!(halves.stalled(now_ms), Some(1));
        halves.remove(1);
        assert_eq!(halves.stalled(now_ms), Some(2));
        assert_eq!(halves.next_deadline(), Some(0), "there is room");
        halves.remove(2);
        assert_eq!(halves.stalled(now_ms), None, "the others go on, or wait");
    }

    #[test]
    fn who_waits_is_asked_once_and_its_turn_comes() {
        let mut halves = full(3);
        // QUIC asks with each datagram.
        assert!((0..5).all(|_| !halves.may_read(0)));
        assert!(!halves.may_read(1));
        halves.remove(2);
        assert!(!halves.may_read(1), "there is room, and another waited before it");
        assert_eq!((halves.next(1000), halves.next(1000), halves.next(1000)), (Some(0), Some(1), None));
    }

    #[test]
    fn who_is_not_read_for_other_reasons_does_not_stall_and_favours_nobody() {
        let mut halves = full(2);
        halves.pause(0);
        assert!(!halves.may_read(1));
        assert_eq!(halves.stalled(1000 + 2 * HALF_STALLED_MS), None, "its pause is ours");
        halves.resume(0, 50_000);
        assert_eq!(halves.stalled(50_000 + HALF_STALLED_MS - 1), None, "its time begins again");
        assert_eq!(halves.next(50_000), Some(1), "goes on");
        halves.pause(1);
        assert!(!halves.may_read(0));
        assert_eq!(halves.next(50_000), Some(0), "whoever is paused keeps nobody from going on");
        halves.resume(1, 50_000);
        assert!(!halves.may_read(1));
        assert_eq!(halves.stalled(51_000 + HALF_STALLED_MS), Some(0));
    }

    #[test]
    fn carriers_share_one_bound() {
        let (mut here, mut there) = (full(4), Halves::new(4 * MIB));
        there.set_other(here.share());
        there.set(7, 10, 10, 1000);
        assert!(!there.has_room() && !there.may_read(7));
        assert_eq!(there.next(1000), Some(7), "one of each goes on");
        there.set(8, 10, 10, 1000);
        assert!(!there.may_read(8));
        // Nobody waits here, and all the same whoever stands still here is in the way there.
        let late_ms = 1000 + HALF_STALLED_MS;
        assert_eq!((here.stalled(late_ms), here.next_deadline()), (None, None));
        here.set_other(there.share());
        assert_eq!(here.next_deadline(), Some(0));
        assert_eq!(here.stalled(late_ms), Some(0));
        here.remove(0);
        there.set_other(here.share());
        assert_eq!(there.next(late_ms), Some(8));
        here.set_other(there.share());
        assert_eq!(here.stalled(late_ms), None, "nobody waits any more");
    }
}
