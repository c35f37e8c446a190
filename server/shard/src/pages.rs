//! Pages that a session has asked for and not been given yet. Their room is reserved before a store is asked, so that what
//! is read, joined and on its way fits the connection's bound, whoever asks for how much.

use protocol::body::list::GetChannelsV2;
use protocol::body::marks::GetReceipts;
use protocol::body::rules::GetRules;
use protocol::body::sync::{GetChannels, GetMembers};
use protocol::body::talk::GetMentions;
use protocol::body::{self, Body};
use protocol::limits::{
    CHANNELS_BYTES_MAX, EMOJI_BYTES_MAX, NAME_BYTES_MAX, PINS_MAX, PREVIEW_CHARS_MAX, REACTIONS_MAX,
    STAMP_BYTES, TEXT_BYTES_MAX,
};
use protocol::{Frame, Kind};

use crate::ledger::Weight;
use crate::limits::PAGES_UNDER_WAY_MAX;

/// Bytes of the largest message as it is sent.
const MESSAGE_BYTES_MAX: usize = protocol::limits::HEADER_BYTES + STAMP_BYTES + TEXT_BYTES_MAX + 64;
/// Bytes of a page's own frame: header and root.
const HEAD_BYTES: usize = 128;
const MEMBER_BYTES: usize = 17;
const RECEIPT_BYTES: usize = 24;
const SANCTION_BYTES: usize = 17;
const CHANNEL_BYTES: usize = 49 + NAME_BYTES_MAX;
/// The same in version 2, with the first characters of a text.
const LISTED_BYTES: usize = CHANNEL_BYTES + 58 + 4 * PREVIEW_CHARS_MAX;
/// A page of them.
const LISTING_BYTES: usize = HEAD_BYTES + CHANNELS_BYTES_MAX;
/// The item, and the count of a channel of its own.
const MENTION_BYTES: usize = 48 + 20;

/// What is said of one message besides its text, and what is pinned in its channel.
const SAID_BYTES: usize = 64 + REACTIONS_MAX * (32 + EMOJI_BYTES_MAX) + PINS_MAX * 16;

/// The largest page there is: one message is in it whatever its size, and what is said of it.
pub(crate) const PAGE_COST_MAX: usize = HEAD_BYTES
    + SAID_BYTES
    + if MESSAGE_BYTES_MAX > protocol::limits::PAGE_BYTES_MAX {
        MESSAGE_BYTES_MAX
    } else {
        protocol::limits::PAGE_BYTES_MAX
    };

/// What one session has under way.
#[derive(Debug, Default)]
pub(crate) struct Pages(Vec<Page>);

/// A page that was asked for, by kind and number of the request, and its room.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) asked: Kind,
    pub(crate) id: u64,
    pub(crate) weight: Weight,
}

impl Pages {
    /// Bytes of all that is under way.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|page| page.weight.bytes()).sum()
    }

    /// Reserves room for a page, if there is that much in `room` bytes.
    pub(crate) fn reserve(&mut self, page: Page, room: usize) -> Result<(), Full> {
        if self.0.len() >= PAGES_UNDER_WAY_MAX || self.bytes().saturating_add(page.weight.bytes()) > room {
            return Err(Full);
        }
        self.0.push(page);
        Ok(())
    }

    /// The request is answered, and its room is free once the page is dropped; `None` if none was reserved.
    pub(crate) fn give_back(&mut self, asked: Kind, id: u64) -> Option<Page> {
        let place = self.0.iter().position(|page| page.asked == asked && page.id == id)?;
        Some(self.0.swap_remove(place))
    }
}

/// No room for another page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Full;

/// Whether a request of this kind is answered by a page.
pub(crate) fn asks_for_a_page(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::GET_HISTORY
            | Kind::GET_MEMBERS
            | Kind::GET_CHANNELS
            | Kind::GET_RECEIPTS
            | Kind::GET_RULES
            | Kind::GET_NOTES
            | Kind::GET_THREAD
            | Kind::GET_MENTIONS
            | Kind::GET_ABOUT
    )
}

/// The most bytes that the answer to a request can have.
pub(crate) fn page_bytes(request: &Frame) -> usize {
    let rows = |limit: u32, bytes: usize| {
        let limit = limit.min(protocol::limits::LIST_ITEMS_MAX);
        HEAD_BYTES + usize::try_from(limit).unwrap_or(usize::MAX) * bytes
    };
    let known = match request.kind() {
        Kind::GET_MEMBERS => body::read::<GetMembers>(request).map(|get| rows(get.limit, MEMBER_BYTES)),
        Kind::GET_RECEIPTS => body::read::<GetReceipts>(request).map(|get| rows(get.limit, RECEIPT_BYTES)),
        Kind::GET_RULES => body::read::<GetRules>(request).map(|get| rows(get.limit, SANCTION_BYTES)),
        Kind::GET_CHANNELS if request.header().version == GetChannelsV2::VERSION => {
            body::read::<GetChannelsV2>(request).map(|get| rows(get.limit, LISTED_BYTES).min(LISTING_BYTES))
        }
        Kind::GET_CHANNELS => body::read::<GetChannels>(request).map(|get| rows(get.limit, CHANNEL_BYTES)),
        Kind::GET_MENTIONS => body::read::<GetMentions>(request).map(|get| rows(get.limit, MENTION_BYTES)),
        _ => None,
    };
    known.unwrap_or(PAGE_COST_MAX)
}

const _: () = assert!(CHANNEL_BYTES * 500 + HEAD_BYTES <= PAGE_COST_MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Holds, Ledger};

    fn page(ledger: &Ledger, asked: Kind, id: u64, bytes: usize) -> Page {
        Page { asked, id, weight: ledger.weigh(Holds::Pages, bytes) }
    }

    #[test]
    fn room_is_given_once_and_given_back_once() {
        let ledger = Ledger::default();
        let page = |asked, id, bytes| page(&ledger, asked, id, bytes);
        let mut pages = Pages::default();
        assert_eq!(pages.reserve(page(Kind::GET_HISTORY, 1, 600), 1000), Ok(()));
        assert_eq!(pages.reserve(page(Kind::GET_HISTORY, 2, 600), 1000), Err(Full));
        assert_eq!(pages.reserve(page(Kind::GET_MEMBERS, 1, 400), 1000), Ok(()));
        assert_eq!((pages.0.len(), pages.bytes(), ledger.of(Holds::Pages)), (2, 1000, 1000));
        assert!(pages.give_back(Kind::SEND_TEXT, 1).is_none(), "another frame of the same number");
        assert!(pages.give_back(Kind::GET_HISTORY, 1).is_some());
        assert!(pages.give_back(Kind::GET_HISTORY, 1).is_none());
        assert_eq!(ledger.of(Holds::Pages), 400);
        assert!(pages.give_back(Kind::GET_MEMBERS, 1).is_some());
        assert_eq!((pages.0.len(), pages.bytes(), ledger.of(Holds::Pages)), (0, 0, 0));
    }

    #[test]
    fn few_are_under_way_at_a_time_whatever_their_size() {
        let ledger = Ledger::default();
        let mut pages = Pages::default();
        for id in 0..PAGES_UNDER_WAY_MAX as u64 {
            assert_eq!(pages.reserve(page(&ledger, Kind::GET_MEMBERS, id, 1), 1000), Ok(()));
        }
        assert_eq!(pages.reserve(page(&ledger, Kind::GET_MEMBERS, 9, 1), 1000), Err(Full));
    }
}
