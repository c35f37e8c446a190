//! The list of channels in its second version, and what a user has noted: read from the store, behind what the user was told
//! is done.

use protocol::body;
use protocol::body::list::{ChannelsV2, GetChannelsV2, ORDER_CHANGED, ORDER_RECENT};
use protocol::body::message::Message;
use protocol::body::own::{DraftItem, GetNotes, HiddenItem, NOTES_HIDDEN, Notes};
use protocol::hop::Origin;
use protocol::limits::PAGE_BYTES_MAX;
use protocol::query::{ListOrder, Listing, Noted, PageBounds, Query};
use protocol::{ChannelId, Frame, Generation, InboxSeq, Kind, Refusal, Seq};

use crate::asks::Asked;
use crate::lists::channel_item;
use crate::read::many_pages;
use crate::session::SessionId;
use crate::shard::Shard;

impl Shard {
    pub(crate) fn get_listing(
        &mut self,
        session_id: SessionId,
        origin: Origin,
        frame: &Frame,
    ) -> Result<(), Refusal> {
        let get = body::ingest::<GetChannelsV2>(frame)?;
        if !self.asks.has_page_room() {
            return Err(many_pages());
        }
        self.reserve_page(session_id, frame)?;
        let id = frame.header().id;
        let at = InboxSeq(get.at.to_native());
        let same_life =
            at == InboxSeq(0) || Generation(get.generation.to_native()) == self.generation(origin.user);
        let order = match get.order {
            ORDER_RECENT | ORDER_CHANGED if !same_life => {
                // What was held is of another life of the inbox: no position in it means anything here.
                let listing = Listing { needs_snapshot: true, ..Listing::default() };
                self.listing_page(origin, id, listing);
                return Ok(());
            }
            ORDER_RECENT => ListOrder::Recent(at),
            ORDER_CHANGED => ListOrder::Changed(at),
            _ => ListOrder::Id(ChannelId(get.after.to_native())),
        };
        let query = Query::Listing { user: origin.user, order, limit: get.limit.to_native() };
        self.ask_own(origin.user, Asked::Listing { origin, id }, query);
        Ok(())
    }

    pub(crate) fn listing_page(&mut self, origin: Origin, id: u64, listing: Listing) {
        let generation = self.generation(origin.user).0;
        let Listing { items, through, next, needs_snapshot, more } = listing;
        let (items, details) = items.into_iter().map(|(item, detail)| (channel_item(item), detail)).unzip();
        let (through, next) = (through.0, next.0);
        let page = ChannelsV2 { generation, through, next, needs_snapshot, details, items, more };
        self.answer(origin, Kind::GET_CHANNELS, body::encode(id, &page).into_bytes());
    }

    pub(crate) fn get_notes(
        &mut self,
        session_id: SessionId,
        origin: Origin,
        frame: &Frame,
    ) -> Result<(), Refusal> {
        let get = body::ingest::<GetNotes>(frame)?;
        if !self.asks.has_page_room() {
            return Err(many_pages());
        }
        self.reserve_page(session_id, frame)?;
        let about = Some(ChannelId(get.about.to_native())).filter(|about| about.0 != 0);
        let query = Query::Notes {
            user: origin.user,
            hidden: get.what == NOTES_HIDDEN,
            about,
            after: (ChannelId(get.after_about.to_native()), get.after.to_native()),
            page: PageBounds { messages: get.limit.to_native(), bytes: PAGE_BYTES_MAX },
        };
        self.ask_own(origin.user, Asked::Notes { origin, id: frame.header().id }, query);
        Ok(())
    }

    pub(crate) fn notes_page(&mut self, origin: Origin, id: u64, notes: Noted, more: bool) {
        let (drafts, hidden) = match notes {
            Noted::Drafts(drafts) => (drafts.into_iter().filter_map(draft_item).collect(), Vec::new()),
            Noted::Hidden(hidden) => (Vec::new(), hidden.into_iter().map(hidden_item).collect()),
        };
        let page = body::encode(id, &Notes { drafts, hidden, more });
        self.answer(origin, Kind::GET_NOTES, page.into_bytes());
    }
}

fn draft_item((about, thread, frame): (ChannelId, Seq, Frame)) -> Option<DraftItem> {
    let (stamp, message) = (frame.read_stamp()?, Message::read(&frame)?);
    let Message::SetDraft(body) = message else { return None };
    let text = body.text.as_str().to_owned();
    Some(DraftItem { about: about.0, thread: thread.0, time_ms: stamp.time_ms, text })
}

fn hidden_item((about, at, (from, through)): (ChannelId, Seq, (Seq, Seq))) -> HiddenItem {
    HiddenItem { about: about.0, at: at.0, seq: from.0, through: through.0 }
}
