//! Messages that have come in part: all WebSocket connections of a shard together may hold so many bytes of them. Above
//! that, whoever holds one is read no further until there is room; one at a time goes on all the same, so that
//! something is always finished; and whoever holds one without going on, while others wait, is closed.

use std::collections::{HashMap, VecDeque};

use shard::ConnId;

/// Bytes of half messages of a shard unless set otherwise. Above it, connections that hold none are still served, [`READ_BYTES_FULL`] at a
/// time: so much more each of them can come to hold.
pub(super) const HALF_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of one read while there is no room.
pub(super) const READ_BYTES_FULL: usize = 1024;
/// Whoever holds a half message and sends less than [`PROGRESS_BYTES`] in so long is closed, if others wait.
pub(super) const STALLED_MS: u64 = 10_000;
/// What counts as going on.
pub(super) const PROGRESS_BYTES: usize = 16 * 1024;
/// How often it is looked for who stalls, while somebody waits.
const LOOK_MS: u64 = 1000;

const _: () = assert!(HALF_BYTES_MAX >= 16 * protocol::limits::WS_MESSAGE_BYTES_MAX);

#[derive(Debug)]
struct Holder {
    bytes: usize,
    /// Since when less than [`PROGRESS_BYTES`] came.
    since_ms: u64,
    came: usize,
    is_waiting: bool,
}

/// Who holds how much.
#[derive(Debug)]
pub(super) struct Halves {
    max: usize,
    bytes: usize,
    holders: HashMap<ConnId, Holder>,
    /// Those that are not read; some of them gone.
    waiting: VecDeque<ConnId>,
    /// The one that goes on though there is no room.
    favoured: Option<ConnId>,
    look_ms: u64,
}

impl Halves {
    /// Nobody holds anything; all together may hold so much.
    pub(super) fn new(max: usize) -> Self {
        Self { max, bytes: 0, holders: HashMap::new(), waiting: VecDeque::new(), favoured: None, look_ms: 0 }
    }

    /// Bytes held now.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is room for more.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < self.max
    }

    /// Whether a connection may be read. If not, it waits for [`Self::next`].
    pub(super) fn may_read(&mut self, conn: ConnId) -> bool {
        let has_room = self.has_room();
        let Some(holder) = self.holders.get_mut(&conn) else { return true };
        if has_room || self.favoured == Some(conn) {
            return true;
        }
        holder.is_waiting = true;
        self.waiting.push_back(conn);
        false
    }

    /// After a read: what the connection holds now, and how much came.
    pub(super) fn set(&mut self, conn: ConnId, bytes: usize, came: usize, now_ms: u64) {
        if bytes == 0 {
            return self.remove(conn);
        }
        let new = Holder { bytes: 0, since_ms: now_ms, came: 0, is_waiting: false };
        let holder = self.holders.entry(conn).or_insert(new);
        self.bytes = self.bytes - holder.bytes + bytes;
        holder.bytes = bytes;
        holder.came += came;
        if holder.came >= PROGRESS_BYTES {
            (holder.came, holder.since_ms) = (0, now_ms);
        }
    }

    /// A connection holds nothing any more.
    pub(super) fn remove(&mut self, conn: ConnId) {
        if let Some(holder) = self.holders.remove(&conn) {
            self.bytes -= holder.bytes;
            if self.favoured == Some(conn) {
                self.favoured = None;
            }
        }
    }

    /// The next that waited and may be read.
    pub(super) fn next(&mut self, now_ms: u64) -> Option<ConnId> {
        while self.has_room() || self.favoured.is_none() {
            let conn = self.waiting.pop_front()?;
            // It is gone, and perhaps came again in the meantime.
            let Some(holder) = self.holders.get_mut(&conn).filter(|holder| holder.is_waiting) else {
                continue;
            };
            (holder.is_waiting, holder.came, holder.since_ms) = (false, 0, now_ms);
            if !self.has_room() {
                self.favoured = Some(conn);
            }
            return Some(conn);
        }
        None
    }

    /// One that holds a half message, does not go on, and must give way to those that wait.
    pub(super) fn stalled(&mut self, now_ms: u64) -> Option<ConnId> {
        if self.waiting.is_empty() || now_ms < self.look_ms {
            return None;
        }
        let oldest = self.holders.iter().filter(|(_, holder)| !holder.is_waiting);
        let oldest = oldest.min_by_key(|(conn, holder)| (holder.since_ms, **conn));
        let stalled =
            oldest.filter(|(_, holder)| holder.since_ms + STALLED_MS <= now_ms).map(|(conn, _)| *conn);
        if stalled.is_none() {
            self.look_ms = now_ms + LOOK_MS;
        }
        stalled
    }

    /// When [`Self::stalled`] is to be asked again.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        (!self.waiting.is_empty()).then_some(self.look_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn conn(number: usize) -> ConnId {
        ConnId(number as u64)
    }

    /// So many that each hold a MiB.
    fn full(max: usize) -> Halves {
        let mut halves = Halves::new(max * MIB);
        (0..max).for_each(|number| halves.set(conn(number), MIB, MIB, 1000));
        halves
    }

    #[test]
    fn whoever_would_hold_more_waits_and_one_at_a_time_goes_on() {
        let mut halves = full(4);
        assert!(!halves.has_room());
        assert!(halves.may_read(conn(9)), "one that holds nothing");
        assert!(!halves.may_read(conn(0)) && !halves.may_read(conn(1)));
        assert_eq!(halves.next(1000), Some(conn(0)), "the one that waits longest goes on");
        assert_eq!(halves.next(1000), None, "and no other");
        assert!(halves.may_read(conn(0)));
        halves.set(conn(0), 0, MIB, 1000);
        assert_eq!((halves.bytes(), halves.next(1000)), (3 * MIB, Some(conn(1))), "there is room");
        assert!(halves.may_read(conn(2)));
    }

    #[test]
    fn who_goes_while_waiting_is_forgotten() {
        let mut halves = full(2);
        assert!(!halves.may_read(conn(0)));
        halves.remove(conn(0));
        assert_eq!((halves.bytes(), halves.next(1000)), (MIB, None));
        assert_eq!(halves.next_deadline(), None);
    }

    #[test]
    fn who_stalls_while_others_wait_gives_way() {
        let mut halves = full(4);
        assert_eq!(halves.stalled(1000 + 2 * STALLED_MS), None, "nobody waits");
        assert!(!halves.may_read(conn(3)));
        assert_eq!(halves.stalled(1000 + STALLED_MS - 1), None);
        // A byte now and then is not going on; enough of them are.
        halves.set(conn(0), MIB, PROGRESS_BYTES, 5000);
        halves.set(conn(1), MIB, 1, 5000);
        let now_ms = 1000 + STALLED_MS + LOOK_MS;
        assert_eq!(halves.stalled(now_ms), Some(conn(1)));
        halves.remove(conn(1));
        assert_eq!(halves.stalled(now_ms), Some(conn(2)));
        halves.remove(conn(2));
        assert_eq!(halves.stalled(now_ms), None, "the others go on, or wait");
        assert_eq!(halves.next_deadline(), Some(now_ms + LOOK_MS));
    }
}
