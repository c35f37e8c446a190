//! Pages of what is said about messages.

use protocol::body;
use protocol::body::about::{About, AboutItem, GetAbout, PinItem, ReactionItem, ReactorItem};
use protocol::commit::Pinned;
use protocol::hop::Origin;
use protocol::limits::PAGE_BYTES_MAX;
use protocol::query::{AboutMessage, PageBounds, Query};
use protocol::{ChannelId, Kind, Seq};

use crate::asks::Asked;
use crate::channel::Submit;
use crate::invariant::impossible;
use crate::order::forbidden;
use crate::read::many_pages;
use crate::shard::Shard;

/// Messages of which a member asked what is said: `low <= seq <= high`.
#[derive(Debug)]
pub(crate) struct AboutPage {
    pub(crate) origin: Origin,
    pub(crate) id: u64,
    channel: ChannelId,
    /// The first message of the reader's present stay.
    joined: Seq,
    low: Seq,
    high: Seq,
}

impl Shard {
    /// What is said about messages of the reader's present stay. Of those of an earlier stay nothing is told: it may have
    /// been said when the reader was not there.
    pub(crate) fn get_about(&mut self, id: ChannelId, submit: &Submit) {
        let Some(get) = body::read::<GetAbout>(&submit.frame) else {
            return impossible!(self, "a request for what is said that was not checked");
        };
        let Some(channel) = self.channels.get(&id) else {
            return impossible!(self, "a request for what is said in a channel that is not in memory");
        };
        let (origin, request) = (submit.origin, submit.frame.header().id);
        let Some(joined) = channel.present_since(origin.user) else {
            return self.refuse(submit, &forbidden());
        };
        let (low, high) = (Seq(get.from).max(joined), Seq(get.through).min(channel.durable()));
        if low > high {
            let (channel, pins, items) = (id.0, Vec::new(), Vec::new());
            let (reactions, who) = (Vec::new(), Vec::new());
            let page = About { channel, from: 0, to: 0, pins, items, reactions, who, more: false };
            return self.reply(origin, Kind::GET_ABOUT, body::encode(request, &page));
        }
        if !self.asks.has_page_room() {
            return self.refuse(submit, &many_pages());
        }
        let page = PageBounds { messages: get.limit, bytes: PAGE_BYTES_MAX };
        let (user, who) = (origin.user, get.who);
        let query = Query::About { channel: id, from: low, through: high, user, who, page };
        let asked = AboutPage { origin, id: request, channel: id, joined, low, high };
        self.ask(Asked::About(asked), query);
    }

    pub(crate) fn about_page(
        &mut self,
        asked: &AboutPage,
        pins: Vec<Pinned>,
        items: Vec<AboutMessage>,
        more: bool,
    ) {
        let last = items.last().map(|item| item.seq).filter(|_| more);
        let pins = pins.into_iter().filter(|pin| pin.seq >= asked.joined);
        let mut page = About {
            channel: asked.channel.0,
            from: asked.low.0,
            to: last.unwrap_or(asked.high).0,
            pins: pins.map(|pin| PinItem { seq: pin.seq.0, by: pin.by.0 }).collect(),
            items: Vec::with_capacity(items.len()),
            reactions: Vec::new(),
            who: Vec::new(),
            more,
        };
        items.into_iter().for_each(|item| add(&mut page, item));
        self.reply(asked.origin, Kind::GET_ABOUT, body::encode(asked.id, &page));
    }
}

fn add(page: &mut About, item: AboutMessage) {
    let AboutMessage { seq, said, own, text, who } = item;
    let edited = said.edits.last().map_or(0, |edit| edit.0);
    let edits = u32::try_from(said.edits.len()).unwrap_or(u32::MAX);
    page.items.push(AboutItem { seq: seq.0, edited, edits, text });
    let first = page.reactions.len();
    for (user, ways) in who {
        for way in ways {
            let Some(place) = said.reactions.iter().position(|(emoji, _)| *emoji == way) else { continue };
            let reaction = u32::try_from(first + place).unwrap_or(u32::MAX);
            page.who.push(ReactorItem { seq: seq.0, user: user.0, reaction });
        }
    }
    for (emoji, count) in said.reactions {
        let is_own = own.contains(&emoji);
        page.reactions.push(ReactionItem { seq: seq.0, count, own: is_own, emoji });
    }
}
