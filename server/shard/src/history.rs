//! Pages of a channel's history: who may read which part of it, and what becomes of what the store gives.

use bytes::{Bytes, BytesMut};
use protocol::body;
use protocol::body::list::{AROUND_SEQ, AROUND_TIME, AROUND_UNREAD, GetHistoryV2, HistoryPageV2};
use protocol::body::sync::{GetHistory, HistoryPage};
use protocol::commit::Interval;
use protocol::hop::{Hop, Origin};
use protocol::limits::PAGE_BYTES_MAX;
use protocol::query::{PageBounds, Pivot, Query};
use protocol::{ChannelId, Frame, Kind, Seq};

use crate::asks::Asked;
use crate::channel::{Channel, Readable, Submit};
use crate::invariant::impossible;
use crate::order::{busy, forbidden};
use crate::read::many_pages;
use crate::shard::Shard;

/// A part of history that a user may read and asked for: `low <= seq <= high`.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) origin: Origin,
    pub(crate) id: u64,
    channel: ChannelId,
    low: Seq,
    high: Seq,
    newest: bool,
    /// Whether the reader may read more of what was asked for beyond this interval.
    beyond: bool,
    head: Seq,
    /// What version 2 says besides; `None` for version 1.
    sides: Option<Sides>,
}

/// What the reader may read beside a page.
#[derive(Clone, Copy, Debug)]
struct Sides {
    /// The place that was asked for; 0 for none.
    pivot: Seq,
    /// The oldest seq that the reader may read.
    oldest: Seq,
}

impl Shard {
    /// A window of history: at once for a member that is in the channel for the first time, else when the store has said
    /// when the user was.
    pub(crate) fn get_history(&mut self, id: ChannelId, submit: Submit) {
        let Some(get) = body::read::<GetHistory>(&submit.frame) else {
            return impossible!(self, "a request for history that was not checked");
        };
        let Some(channel) = self.channels.get(&id) else {
            return impossible!(self, "history of a channel that is not in memory");
        };
        let (user, durable) = (submit.origin.user, channel.durable());
        match channel.readable(user, Seq(get.after)) {
            Readable::Nothing => self.refuse(&submit, &forbidden()),
            Readable::Stay(stay) => self.read_history(id, &submit, durable, &[stay]),
            Readable::Ask => self.ask_membership(id, submit, durable),
        }
    }

    /// Asks when a user was a member. Of strangers, too: so it has a bound of its own, or they could fill the readers' lane.
    pub(crate) fn ask_membership(&mut self, channel: ChannelId, submit: Submit, durable: Seq) {
        if !self.asks.has_load_room() {
            return self.refuse(&submit, &busy());
        }
        let user = submit.origin.user;
        self.ask(Asked::Membership { submit, durable }, Query::Membership { channel, user });
    }

    /// The store has said when the user was a member. `durable` is from before it was asked: a stay that lasts there may
    /// end with any message behind.
    pub(crate) fn membership(&mut self, submit: &Submit, durable: Seq, stays: &[Interval]) {
        if stays.is_empty() {
            return self.refuse(submit, &forbidden());
        }
        if submit.frame.kind() == Kind::GET_THREAD {
            return self.read_thread(submit, durable, stays);
        }
        let Some(get) = body::read::<GetHistory>(&submit.frame) else {
            return impossible!(self, "a request for history that was not checked");
        };
        self.read_history(ChannelId(get.channel), submit, durable, stays);
    }

    /// Asks for the part of a window that the reader may read.
    pub(crate) fn read_history(
        &mut self,
        id: ChannelId,
        submit: &Submit,
        durable: Seq,
        readable: &[Interval],
    ) {
        let origin = submit.origin;
        let request = submit.frame.header().id;
        let Some(get) = body::read::<GetHistory>(&submit.frame) else {
            return impossible!(self, "a request for history that was not checked");
        };
        let high_of = |interval: &Interval| interval.left.unwrap_or(durable).min(durable);
        // An interval that begins with an unstored message is not visible yet.
        let head = readable.iter().rfind(|i| i.joined <= durable).map_or(Seq(0), high_of);
        let window = |interval: &Interval| {
            let low = interval.joined.max(Seq(get.after.saturating_add(1)));
            let high = high_of(interval).min(Seq(get.before.saturating_sub(1)));
            (low <= high).then_some((low, high))
        };
        let mut windows: Vec<(Seq, Seq)> = readable.iter().filter_map(window).collect();
        let newer = body::read::<GetHistoryV2>(&submit.frame);
        if let Some(pivot) = newer.as_ref().and_then(pivot).filter(|_| !windows.is_empty()) {
            return self.read_around(id, submit, windows, (pivot, head));
        }
        let chosen =
            if get.newest { windows.pop() } else { (!windows.is_empty()).then(|| windows.remove(0)) };
        let Some((low, high)) = chosen else {
            let page = HistoryPage { channel: id.0, from: 0, to: 0, head: head.0, count: 0, more: false };
            let page = page_of(request, page, newer.as_ref().map(|_| Sides::NONE));
            return self.reply(origin, Kind::GET_HISTORY, page);
        };
        let oldest = readable.first().map_or(Seq(0), |first| first.joined);
        let sides = newer.as_ref().map(|_| Sides { pivot: Seq(0), oldest });
        let (newest, beyond) = (get.newest, !windows.is_empty());
        if !self.asks.has_page_room() {
            return self.refuse(submit, &many_pages());
        }
        let page = PageBounds { messages: get.limit, bytes: PAGE_BYTES_MAX };
        let (after, before) = (Seq(low.0 - 1), high.next());
        let query = Query::History { channel: id, after, before, newest, page };
        let history = History { origin, id: request, channel: id, low, high, newest, beyond, head, sides };
        self.ask(Asked::History(history), query);
    }

    /// Asks for messages around a place, behind what is on its way to the store: the read position may be.
    fn read_around(
        &mut self,
        id: ChannelId,
        submit: &Submit,
        readable: Vec<(Seq, Seq)>,
        (pivot, head): (Pivot, Seq),
    ) {
        let Some(get) = body::read::<GetHistory>(&submit.frame) else {
            return impossible!(self, "a request for history that was not checked");
        };
        if !self.asks.has_page_room() {
            return self.refuse(submit, &many_pages());
        }
        let (origin, request) = (submit.origin, submit.frame.header().id);
        let oldest = readable.first().map_or(Seq(0), |(low, _)| *low);
        let history = History {
            origin,
            id: request,
            channel: id,
            low: oldest,
            high: head,
            newest: false,
            beyond: false,
            head,
            sides: Some(Sides { pivot: Seq(0), oldest }),
        };
        let page = PageBounds { messages: get.limit, bytes: PAGE_BYTES_MAX };
        let query = Query::Around { channel: id, user: origin.user, readable, pivot, page };
        let dirty = self.channels.get(&id).map_or(0, Channel::dirty);
        self.ask_after(dirty, Asked::History(history), query);
    }

    /// Messages around a place are here.
    pub(crate) fn around_page(&mut self, history: History, pivot: Seq, frames: Vec<Frame>) {
        let seq_of = |frame: Option<&Frame>| frame.and_then(Frame::read_stamp).map(|stamp| stamp.seq);
        let (Some(from), Some(to)) = (seq_of(frames.first()), seq_of(frames.last())) else {
            return impossible!(self, "nothing around a place, where something may be read");
        };
        let sides = history.sides.map(|sides| Sides { pivot, ..sides });
        let more = from > history.low || to < history.high;
        let History { origin, id, channel, head, .. } = history;
        self.tell_page(origin, id, (channel, head, sides), (from, to, more), &frames);
    }

    pub(crate) fn history_page(&mut self, history: &History, frames: Vec<Frame>) {
        let seq_of = |frame: Option<&Frame>| frame.and_then(Frame::read_stamp).map(|stamp| stamp.seq);
        let first = seq_of(frames.first()).unwrap_or(history.high);
        let last = seq_of(frames.last()).unwrap_or(history.low);
        let (from, to) = if history.newest { (first, history.high) } else { (history.low, last) };
        let rest = if history.newest { from > history.low } else { to < history.high };
        let History { origin, id, channel, head, sides, .. } = *history;
        self.tell_page(origin, id, (channel, head, sides), (from, to, rest || history.beyond), &frames);
    }

    fn tell_page(
        &mut self,
        origin: Origin,
        id: u64,
        (channel, head, sides): (ChannelId, Seq, Option<Sides>),
        (from, to, more): (Seq, Seq, bool),
        frames: &[Frame],
    ) {
        let count = u32::try_from(frames.len()).unwrap_or(u32::MAX);
        let page = HistoryPage { channel: channel.0, from: from.0, to: to.0, head: head.0, count, more };
        let frames = join(&page_of(id, page, sides), frames);
        let home = self.placement.user_home(origin.user);
        self.hops.push(home, Hop::Answer { origin, asked: Kind::GET_HISTORY, frames });
    }
}

impl Sides {
    const NONE: Self = Self { pivot: Seq(0), oldest: Seq(0) };
}

/// The head of a page, in the version that was asked for.
fn page_of(id: u64, page: HistoryPage, sides: Option<Sides>) -> Frame {
    let Some(Sides { pivot, oldest }) = sides else { return body::encode(id, &page) };
    let HistoryPage { channel, from, to, head, count, more } = page;
    let (more_before, more_after) = (from > oldest.0, to != 0 && to < head);
    let pivot = pivot.0;
    let page = HistoryPageV2 { pivot, more_before, more_after, channel, from, to, head, count, more };
    body::encode(id, &page)
}

/// The place that is asked for; `None` for a window.
fn pivot(get: &GetHistoryV2) -> Option<Pivot> {
    match get.around {
        AROUND_SEQ => Some(Pivot::Seq(Seq(get.at))),
        AROUND_TIME => Some(Pivot::Time(get.at)),
        AROUND_UNREAD => Some(Pivot::Unread),
        _ => None,
    }
}

/// Several frames as one run of bytes.
pub(crate) fn join(first: &Frame, rest: &[Frame]) -> Bytes {
    let bytes = first.bytes().len() + rest.iter().map(|frame| frame.bytes().len()).sum::<usize>();
    let mut run = BytesMut::with_capacity(bytes);
    run.extend_from_slice(first.bytes());
    for frame in rest {
        run.extend_from_slice(frame.bytes());
    }
    run.freeze()
}
