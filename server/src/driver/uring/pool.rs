//! Who has which receive buffer: the kernel, or a connection whose bytes were not read yet. Accounts alone: the memory is
//! [`super::ring`]'s.

use super::super::kernel::READ_BYTES;

/// Receive buffers of a shard; a power of two, as the kernel asks.
pub(super) const BUFFERS: u16 = 1024;
/// Bytes of one. Most frames are far shorter; whoever sends much is read by system calls (see [`super::intake`]).
pub(super) const BUFFER_BYTES: usize = 2048;

const _: () = assert!(BUFFERS.is_power_of_two() && BUFFER_BYTES <= READ_BYTES);

const NONE: u16 = u16::MAX;
const _: () = assert!(BUFFERS < NONE);

/// The buffers that one connection holds, oldest first: a list through [`Pool`], so that it costs eight bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Chain {
    first: u16,
    last: u16,
    count: u16,
    /// Bytes of the first that were read already.
    offset: u16,
}

impl Default for Chain {
    fn default() -> Self {
        Self { first: NONE, last: NONE, count: 0, offset: 0 }
    }
}

impl Chain {
    pub(super) fn len(self) -> u16 {
        self.count
    }
}

/// A piece of a buffer that is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    pub(super) buffer: u16,
    pub(super) from: usize,
    pub(super) len: usize,
    /// The buffer is empty behind it: it goes back to the kernel once the piece was read.
    pub(super) is_last: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Kernel,
    Held {
        next: u16,
        len: u16,
    },
    /// Read to its end, and to be given back.
    Spent,
}

/// All buffers of a shard.
#[derive(Debug)]
pub(super) struct Pool {
    places: Box<[Place]>,
    held: u16,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self { places: vec![Place::Kernel; BUFFERS.into()].into_boxed_slice(), held: 0 }
    }

    /// Buffers that the kernel does not have.
    pub(super) fn held(&self) -> u16 {
        self.held
    }

    /// The kernel has filled a buffer for a connection. False: it was not the kernel's, or has no such length.
    #[must_use]
    pub(super) fn fill(&mut self, chain: &mut Chain, buffer: u16, len: usize) -> bool {
        let len = match u16::try_from(len) {
            Ok(len) if len > 0 && usize::from(len) <= BUFFER_BYTES => len,
            _ => return false,
        };
        match self.places.get_mut(usize::from(buffer)) {
            Some(place) if *place == Place::Kernel => *place = Place::Held { next: NONE, len },
            _ => return false,
        }
        if let Some(Place::Held { next, .. }) = self.places.get_mut(usize::from(chain.last)) {
            *next = buffer;
        } else {
            chain.first = buffer;
        }
        chain.last = buffer;
        chain.count += 1;
        self.held += 1;
        true
    }

    /// The next bytes of a connection, at most so many.
    pub(super) fn next(&mut self, chain: &mut Chain, limit: usize) -> Option<Piece> {
        let (buffer, from) = (chain.first, usize::from(chain.offset));
        let place = self.places.get_mut(usize::from(buffer))?;
        let Place::Held { next, len: filled } = *place else { return None };
        let rest = usize::from(filled) - from;
        if rest > limit {
            // A buffer's length fits.
            chain.offset += u16::try_from(limit).unwrap_or(u16::MAX);
            return Some(Piece { buffer, from, len: limit, is_last: false });
        }
        *place = Place::Spent;
        *chain = if next == NONE {
            Chain::default()
        } else {
            Chain { first: next, last: chain.last, count: chain.count - 1, offset: 0 }
        };
        Some(Piece { buffer, from, len: rest, is_last: true })
    }

    /// The bytes of a spent buffer are not needed any more: the kernel has it again. False: it was not spent.
    #[must_use]
    pub(super) fn give_back(&mut self, buffer: u16) -> bool {
        match self.places.get_mut(usize::from(buffer)) {
            Some(place) if *place == Place::Spent => *place = Place::Kernel,
            _ => return false,
        }
        self.held -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_in_order_and_every_buffer_goes_back_once() {
        let (mut pool, mut one, mut other) = (Pool::new(), Chain::default(), Chain::default());
        for (buffer, len) in [(7, 10), (3, 2048), (9, 1)] {
            assert!(pool.fill(&mut one, buffer, len));
        }
        assert!(pool.fill(&mut other, 0, 5));
        assert_eq!((pool.held(), one.len(), other.len()), (4, 3, 1));
        let piece = |buffer, from, len, is_last| Some(Piece { buffer, from, len, is_last });
        assert_eq!(pool.next(&mut one, 64), piece(7, 0, 10, true));
        assert_eq!(pool.next(&mut one, 2000), piece(3, 0, 2000, false));
        assert_eq!(pool.next(&mut one, 2000), piece(3, 2000, 48, true));
        assert!(pool.give_back(7) && pool.give_back(3));
        assert!(!pool.give_back(3) && !pool.give_back(9), "the kernel has it, a connection has it");
        assert!(pool.fill(&mut one, 3, 4));
        assert_eq!(pool.next(&mut one, 64), piece(9, 0, 1, true));
        assert_eq!(pool.next(&mut one, 64), piece(3, 0, 4, true));
        assert_eq!(pool.next(&mut one, 64), None);
        assert_eq!(one, Chain::default());
        assert!(pool.give_back(9) && pool.give_back(3));
        assert_eq!(pool.held(), 1);
    }

    #[test]
    fn what_the_kernel_cannot_say_is_refused() {
        let (mut pool, mut chain) = (Pool::new(), Chain::default());
        assert!(pool.fill(&mut chain, 1, 1));
        assert!(!pool.fill(&mut chain, 1, 1), "it is held");
        assert!(
            !pool.fill(&mut chain, BUFFERS, 1) && !pool.fill(&mut chain, NONE, 1),
            "there is no such buffer"
        );
        assert!(
            !pool.fill(&mut chain, 2, 0) && !pool.fill(&mut chain, 2, BUFFER_BYTES + 1),
            "it is no such length"
        );
        assert_eq!((pool.held(), chain.len()), (1, 1));
    }
}
