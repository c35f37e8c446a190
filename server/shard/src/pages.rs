//! Pages that a session has asked for and not been given yet. Their room is reserved before a store is asked, so that what
//! is read, joined and on its way fits the connection's bound, whoever asks for how much.

use protocol::body;
use protocol::body::sync::{GetChannels, GetMembers};
use protocol::limits::{NAME_BYTES_MAX, STAMP_BYTES, TEXT_BYTES_MAX};
use protocol::{Frame, Kind};

use crate::limits::PAGES_UNDER_WAY_MAX;

/// Bytes of the largest message as it is sent.
const MESSAGE_BYTES_MAX: usize = protocol::limits::HEADER_BYTES + STAMP_BYTES + TEXT_BYTES_MAX + 64;
/// Bytes of a page's own frame: header and root.
const HEAD_BYTES: usize = 128;
const MEMBER_BYTES: usize = 17;
const CHANNEL_BYTES: usize = 49 + NAME_BYTES_MAX;

/// The largest page there is: one message is in it whatever its size.
pub(crate) const PAGE_COST_MAX: usize = HEAD_BYTES
    + if MESSAGE_BYTES_MAX > protocol::limits::PAGE_BYTES_MAX {
        MESSAGE_BYTES_MAX
    } else {
        protocol::limits::PAGE_BYTES_MAX
    };

/// What one session has under way.
#[derive(Debug, Default)]
pub(crate) struct Pages(Vec<Page>);

#[derive(Clone, Copy, Debug)]
struct Page {
    kind: Kind,
    id: u64,
    bytes: u32,
}

impl Pages {
    /// Bytes of all that is under way.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|page| page.bytes as usize).sum()
    }

    /// Reserves room for the answer to a request, if there is that much in `room` bytes.
    pub(crate) fn reserve(&mut self, kind: Kind, id: u64, bytes: usize, room: usize) -> Result<(), Full> {
        if self.0.len() >= PAGES_UNDER_WAY_MAX || self.bytes().saturating_add(bytes) > room {
            return Err(Full);
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.0.push(Page { kind, id, bytes });
        Ok(())
    }

    /// The request is answered. How many bytes were reserved for it; `None` if none were.
    pub(crate) fn give_back(&mut self, kind: Kind, id: u64) -> Option<usize> {
        let place = self.0.iter().position(|page| page.kind == kind && page.id == id)?;
        let page = self.0.swap_remove(place);
        Some(page.bytes as usize)
    }
}

/// No room for another page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Full;

/// Whether a request of this kind is answered by a page.
pub(crate) fn asks_for_a_page(kind: Kind) -> bool {
    matches!(kind, Kind::GET_HISTORY | Kind::GET_MEMBERS | Kind::GET_CHANNELS)
}

/// The most bytes that the answer to a request can have.
pub(crate) fn page_bytes(request: &Frame) -> usize {
    let rows = |limit: u32, bytes: usize| {
        let limit = limit.min(protocol::limits::LIST_ITEMS_MAX);
        HEAD_BYTES + usize::try_from(limit).unwrap_or(usize::MAX) * bytes
    };
    let known = match request.kind() {
        Kind::GET_MEMBERS => body::read::<GetMembers>(request).map(|get| rows(get.limit, MEMBER_BYTES)),
        Kind::GET_CHANNELS => body::read::<GetChannels>(request).map(|get| rows(get.limit, CHANNEL_BYTES)),
        _ => None,
    };
    known.unwrap_or(PAGE_COST_MAX)
}

const _: () = assert!(CHANNEL_BYTES * 500 + HEAD_BYTES <= PAGE_COST_MAX);
const _: () = assert!(PAGE_COST_MAX < 1 << 31);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_once_and_given_back_once() {
        let mut pages = Pages::default();
        assert_eq!(pages.reserve(Kind::GET_HISTORY, 1, 600, 1000), Ok(()));
        assert_eq!(pages.reserve(Kind::GET_HISTORY, 2, 600, 1000), Err(Full));
        assert_eq!(pages.reserve(Kind::GET_MEMBERS, 1, 400, 1000), Ok(()));
        assert_eq!((pages.0.len(), pages.bytes()), (2, 1000));
        assert_eq!(pages.give_back(Kind::SEND_TEXT, 1), None, "another frame of the same number");
        assert_eq!(pages.give_back(Kind::GET_HISTORY, 1), Some(600));
        assert_eq!(pages.give_back(Kind::GET_HISTORY, 1), None);
        assert_eq!(pages.give_back(Kind::GET_MEMBERS, 1), Some(400));
        assert_eq!((pages.0.len(), pages.bytes()), (0, 0));
    }

    #[test]
    fn few_are_under_way_at_a_time_whatever_their_size() {
        let mut pages = Pages::default();
        for id in 0..PAGES_UNDER_WAY_MAX as u64 {
            assert_eq!(pages.reserve(Kind::GET_MEMBERS, id, 1, 1000), Ok(()));
        }
        assert_eq!(pages.reserve(Kind::GET_MEMBERS, 9, 1, 1000), Err(Full));
    }
}
