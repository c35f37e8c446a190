//! The sends of one turn: what each connection gives is copied into one area, which begins anew when all of it has been
//! taken. Accounts alone: the memory is [`super::ring`]'s.
//!
//! A send never waits in the kernel (MSG_DONTWAIT): what a socket does not take stays with its connection. So nothing lies
//! here from one turn to the next, and slow readers cost nothing.

use shard::ConnId;

/// Bytes of all sends under way.
pub(super) const AREA_BYTES: usize = 512 * 1024;
/// Bytes of one send; whoever has more sends again.
pub(super) const SEND_BYTES_MAX: usize = 64 * 1024;
/// Sends under way at a time.
pub(super) const SENDS_MAX: usize = 1024;

const _: () = assert!(SEND_BYTES_MAX <= AREA_BYTES);

/// One send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Send {
    pub(super) conn: ConnId,
    /// The number of its socket.
    pub(super) socket: u64,
    /// Where its bytes lie.
    pub(super) from: usize,
    pub(super) len: usize,
}

/// All that are under way.
#[derive(Debug, Default)]
pub(super) struct Sends {
    /// `None`: completed.
    places: Vec<Option<Send>>,
    used: usize,
    under_way: usize,
}

impl Sends {
    pub(super) fn under_way(&self) -> usize {
        self.under_way
    }

    /// A place for one more, and its number; `None`: there is none before those under way have completed.
    pub(super) fn add(&mut self, conn: ConnId, socket: u64, len: usize) -> Option<(u64, Send)> {
        if self.under_way == 0 {
            self.places.clear();
            self.used = 0;
        }
        let len = len.min(SEND_BYTES_MAX);
        if self.places.len() >= SENDS_MAX || self.used + len > AREA_BYTES {
            return None;
        }
        let send = Send { conn, socket, from: self.used, len };
        let number = self.places.len() as u64;
        self.places.push(Some(send));
        self.used += len;
        self.under_way += 1;
        Some((number, send))
    }

    /// The kernel is done with it. `None`: it was already.
    pub(super) fn complete(&mut self, number: u64) -> Option<Send> {
        let send = self.places.get_mut(usize::try_from(number).ok()?)?.take()?;
        self.under_way -= 1;
        Some(send)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_is_used_twice_before_all_have_completed() {
        let mut sends = Sends::default();
        let mut end = 0;
        let mut numbers = Vec::new();
        while let Some((number, send)) = sends.add(ConnId(1), 9, 100_000) {
            assert_eq!((send.from, send.len), (end, SEND_BYTES_MAX));
            end += send.len;
            numbers.push(number);
        }
        assert_eq!(end, AREA_BYTES);
        let last = numbers.pop().unwrap();
        for number in numbers {
            assert!(sends.complete(number).is_some() && sends.complete(number).is_none());
            assert_eq!(sends.add(ConnId(1), 9, 1), None, "one is under way still");
        }
        assert!(sends.complete(last).is_some());
        assert_eq!(sends.add(ConnId(2), 7, 5).map(|(_, send)| (send.conn, send.from)), Some((ConnId(2), 0)));
    }

    #[test]
    fn there_are_not_more_than_the_ring_takes() {
        let mut sends = Sends::default();
        for _ in 0..SENDS_MAX {
            assert!(sends.add(ConnId(1), 1, 1).is_some());
        }
        assert_eq!(sends.add(ConnId(1), 1, 1), None);
        assert_eq!(sends.complete(SENDS_MAX as u64), None);
    }
}
