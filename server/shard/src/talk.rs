//! Pages of threads, and of what mentions a user.

use protocol::body;
use protocol::body::talk::{GetMentions, GetThread, MentionCount, MentionItem, Mentions, Thread};
use protocol::commit::Interval;
use protocol::hop::{Hop, Origin};
use protocol::limits::PAGE_BYTES_MAX;
use protocol::query::{Mention, PageBounds, Query};
use protocol::{ChannelId, Frame, InboxSeq, Kind, Refusal, Seq};

use crate::asks::Asked;
use crate::channel::{Readable, Submit};
use crate::history::join;
use crate::invariant::impossible;
use crate::order::forbidden;
use crate::read::many_pages;
use crate::session::SessionId;
use crate::shard::Shard;

/// A part of a thread that a user may read and asked for: `low <= seq <= high`.
#[derive(Debug)]
pub(crate) struct ThreadPage {
    pub(crate) origin: Origin,
    pub(crate) id: u64,
    channel: ChannelId,
    root: Seq,
    low: Seq,
    high: Seq,
    newest: bool,
    /// Whether the reader may read more of what was asked for beyond this interval.
    beyond: bool,
}

/// What the store found of a thread.
#[derive(Debug)]
pub(crate) struct FoundThread {
    pub(crate) frames: Vec<Frame>,
    pub(crate) more: bool,
    pub(crate) total: u32,
    pub(crate) newest: Seq,
}

impl Shard {
    /// A window of a thread. Who may read it is decided as for a window of history.
    pub(crate) fn get_thread(&mut self, id: ChannelId, submit: Submit) {
        let Some(get) = body::read::<GetThread>(&submit.frame) else {
            return impossible!(self, "a request for a thread that was not checked");
        };
        let Some(channel) = self.channels.get(&id) else {
            return impossible!(self, "a thread of a channel that is not in memory");
        };
        let (user, durable) = (submit.origin.user, channel.durable());
        match channel.readable(user, Seq(get.after)) {
            Readable::Nothing => self.refuse(&submit, &forbidden()),
            Readable::Stay(stay) => self.read_thread(&submit, durable, &[stay]),
            Readable::Ask => self.ask_membership(id, submit, durable),
        }
    }

    /// Asks for the part of a thread that the reader may read: one interval at a time, from the end that was asked for.
    pub(crate) fn read_thread(&mut self, submit: &Submit, durable: Seq, readable: &[Interval]) {
        let (origin, id) = (submit.origin, submit.frame.header().id);
        let Some(get) = body::read::<GetThread>(&submit.frame) else {
            return impossible!(self, "a request for a thread that was not checked");
        };
        let (channel, root) = (ChannelId(get.channel), Seq(get.root));
        let high_of = |interval: &Interval| interval.left.unwrap_or(durable).min(durable);
        // An interval that begins with an unstored message is not visible yet.
        let last = readable.iter().rfind(|interval| interval.joined <= durable);
        let window = |interval: &Interval| {
            let low = interval.joined.max(Seq(get.after.saturating_add(1)));
            let high = high_of(interval).min(Seq(get.before.saturating_sub(1)));
            (low <= high).then_some((low, high))
        };
        let mut windows: Vec<(Seq, Seq)> = readable.iter().filter_map(window).collect();
        let chosen =
            if get.newest { windows.pop() } else { (!windows.is_empty()).then(|| windows.remove(0)) };
        let Some(((low, high), last)) = chosen.zip(last) else {
            let (channel, root) = (get.channel, get.root);
            let page = Thread { channel, root, from: 0, to: 0, total: 0, newest: 0, count: 0, more: false };
            return self.reply(origin, Kind::GET_THREAD, body::encode(id, &page));
        };
        if !self.asks.has_page_room() {
            return self.refuse(submit, &many_pages());
        }
        let (newest, beyond) = (get.newest, !windows.is_empty());
        let page = PageBounds { messages: get.limit, bytes: PAGE_BYTES_MAX };
        let counted = (last.joined, high_of(last));
        let (after, before) = (Seq(low.0 - 1), high.next());
        let query = Query::Thread { channel, root, after, before, newest, counted, page };
        let asked = ThreadPage { origin, id, channel, root, low, high, newest, beyond };
        self.ask(Asked::Thread(asked), query);
    }

    pub(crate) fn thread_page(&mut self, asked: &ThreadPage, found: FoundThread) {
        let FoundThread { frames, more, total, newest } = found;
        let seq_of = |frame: Option<&Frame>| frame.and_then(Frame::read_stamp).map(|stamp| stamp.seq);
        // A page that holds all of its window tells the window's end, where nothing may stand.
        let (from, to) = match asked.newest {
            true if more => (seq_of(frames.first()).unwrap_or(asked.low), asked.high),
            false if more => (asked.low, seq_of(frames.last()).unwrap_or(asked.high)),
            _ => (asked.low, asked.high),
        };
        let page = Thread {
            channel: asked.channel.0,
            root: asked.root.0,
            from: from.0,
            to: to.0,
            total,
            newest: newest.0,
            count: u32::try_from(frames.len()).unwrap_or(u32::MAX),
            more: more || asked.beyond,
        };
        let head = body::encode(asked.id, &page);
        let home = self.placement.user_home(asked.origin.user);
        let frames = join(&head, &frames);
        self.hops.push(home, Hop::Answer { origin: asked.origin, asked: Kind::GET_THREAD, frames });
    }

    /// What mentions the user, as far as it was delivered here.
    pub(crate) fn get_mentions(
        &mut self,
        session_id: SessionId,
        origin: Origin,
        frame: &Frame,
    ) -> Result<(), Refusal> {
        let get = body::ingest::<GetMentions>(frame)?;
        if !self.asks.has_page_room() {
            return Err(many_pages());
        }
        self.reserve_page(session_id, frame)?;
        let (before, limit) = (InboxSeq(get.before.to_native()), get.limit.to_native());
        let query = Query::Mentions { user: origin.user, before, limit };
        self.ask_own(origin.user, Asked::Mentions { origin, id: frame.header().id }, query);
        Ok(())
    }

    pub(crate) fn mentions_page(
        &mut self,
        (origin, id): (Origin, u64),
        items: &[Mention],
        unread: &[(ChannelId, u32)],
        more: bool,
    ) {
        let item = |item: &Mention| MentionItem {
            at: item.at.0,
            channel: item.channel.0,
            seq: item.seq.0,
            time_ms: item.time_ms,
            sender: item.sender.0,
        };
        let count =
            |(channel, unread): &(ChannelId, u32)| MentionCount { channel: channel.0, unread: *unread };
        let items = items.iter().map(item).collect();
        let page = Mentions { items, unread: unread.iter().map(count).collect(), more };
        self.answer(origin, Kind::GET_MENTIONS, body::encode(id, &page).into_bytes());
    }
}
