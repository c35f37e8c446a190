//! What an app does with what it holds once the inbox has begun a new life ([`Event::Resync`]).
//!
//! A restored backup and what a device holds have a beginning in common in each channel. Behind it they differ: the lost
//! seqs are given to other messages. Where the beginning ends nobody knows any more, for the channel's head may have
//! passed all that was lost. So the app compares: it reads each channel from its newest message down, until it meets a
//! message that it held before, that is the same one (seq, sender, send id and time) and below which it misses nothing.
//! Below that all is as it was; what it meets above is true, and what it held there and does not meet is gone. Channels
//! that the server does not list are gone as a whole.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use protocol::limits::LIST_ITEMS_MAX;
use protocol::{ChannelId, Refusal, SendId, Seq, UserId};

use super::Session;
use super::event::{About, Event, History, Message, RequestId};
use super::limits::REQUESTS_IN_FLIGHT_MAX;

/// What tells a message from another one under the same (channel, seq).
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Who sent it.
    pub sender: UserId,
    /// Under which send id.
    pub send_id: SendId,
    /// When, as the stamp says.
    pub time_ms: u64,
    /// Nothing is missing below it in its channel: it was told by [`Event::Message`] while no reading anew was under way,
    /// or such a reading has ended since. Not so by itself: what an ack or a page brought.
    pub is_gapless: bool,
}

impl Known {
    /// Whether both are one message.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (self.sender, self.send_id, self.time_ms) == (other.sender, other.send_id, other.time_ms)
    }
}

impl From<&Message> for Known {
    fn from(message: &Message) -> Self {
        let Message { sender, send_id, time_ms, .. } = *message;
        Self { sender, send_id, time_ms, is_gapless: false }
    }
}

/// One reading anew. Its user
/// 1. begins it at [`Event::Resync`] with all that it holds; a further Resync begins another one with all that it holds
///    then;
/// 2. gives it every event before acting on it, drops what [`Self::take`] says, and then takes the messages of
///    [`Event::Message`], [`Event::Ack`] and [`Event::History`] in, *over* what it holds under the same (channel, seq);
/// 3. counts nothing that comes as gapless, and all of it once [`Self::is_done`];
/// 4. keeps the old [`super::Saved`] until [`Self::is_done`]: an app that ends before begins again.
#[derive(Debug, Default)]
pub struct Reread {
    /// What was held before and is not settled.
    doubts: BTreeMap<ChannelId, BTreeMap<Seq, Known>>,
    listed: BTreeSet<ChannelId>,
    waiting: VecDeque<Ask>,
    asked: BTreeMap<RequestId, Ask>,
    page_messages: u32,
}

#[derive(Clone, Copy, Debug)]
enum Ask {
    List { after: ChannelId },
    Page { channel: ChannelId, before: Option<Seq> },
}

impl Reread {
    /// Begins, and asks for the list of channels. `page_messages` (1 to 200) are read at a time.
    pub fn begin(
        session: &mut Session,
        held: impl IntoIterator<Item = (ChannelId, Seq, Known)>,
        page_messages: u32,
    ) -> Self {
        let mut reread = Self { page_messages, ..Self::default() };
        for (channel, seq, known) in held {
            reread.doubts.entry(channel).or_default().insert(seq, known);
        }
        reread.waiting.push_back(Ask::List { after: ChannelId(0) });
        reread.ask(session);
        reread
    }

    /// Whether every channel is read as far as needed.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.asked.is_empty()
    }

    /// Whether the request is one of this reading.
    #[must_use]
    pub fn asked_for(&self, request: RequestId) -> bool {
        self.asked.contains_key(&request)
    }

    /// Takes an event, and says what is held no more.
    pub fn take(&mut self, session: &mut Session, event: &Event) -> Vec<(ChannelId, Seq)> {
        let mut gone = Vec::new();
        match event {
            // What is told now is of the new life, and takes the place of what was held.
            Event::Message(message) => self.settle(message.channel, message.seq),
            Event::Ack { channel, seq, .. } => self.settle(*channel, *seq),
            Event::History(page) => match self.asked.remove(&page.request) {
                Some(Ask::Page { before, .. }) => self.compare(page, before, &mut gone),
                _ => page.messages.iter().for_each(|message| self.settle(page.channel, message.seq)),
            },
            Event::Channels { request, items, more } if self.asked.remove(request).is_some() => {
                let channels: Vec<ChannelId> = items.iter().map(|item| ChannelId(item.channel)).collect();
                self.list(&channels, *more, &mut gone);
            }
            Event::Rejected { about: About::Request(request), .. } => {
                // Not the reader's any more, since the list was read.
                if let Some(Ask::Page { channel, .. }) = self.asked.remove(request) {
                    self.drop_channel(channel, &mut gone);
                }
            }
            _ => {}
        }
        self.ask(session);
        gone
    }

    fn settle(&mut self, channel: ChannelId, seq: Seq) {
        if let Some(doubts) = self.doubts.get_mut(&channel) {
            doubts.remove(&seq);
        }
    }

    fn list(&mut self, channels: &[ChannelId], more: bool, gone: &mut Vec<(ChannelId, Seq)>) {
        self.listed.extend(channels);
        let pages = channels.iter().map(|channel| Ask::Page { channel: *channel, before: None });
        self.waiting.extend(pages);
        match channels.last() {
            Some(last) if more => self.waiting.push_front(Ask::List { after: *last }),
            _ => {
                let doubted = self.doubts.keys().copied();
                let unlisted: Vec<_> = doubted.filter(|channel| !self.listed.contains(channel)).collect();
                unlisted.into_iter().for_each(|channel| self.drop_channel(channel, gone));
            }
        }
    }

    /// A page tells all that may be read from its lower end up to where it was asked to end.
    fn compare(&mut self, page: &History, before: Option<Seq>, gone: &mut Vec<(ChannelId, Seq)>) {
        let channel = page.channel;
        let is_empty = page.to == Seq(0);
        let lower = if is_empty { Seq(0) } else { page.from };
        let doubts = self.doubts.entry(channel).or_default();
        let mut above = doubts.split_off(&lower);
        // What is at or above `before` was settled by the page before, or came since.
        let settled = before.map(|before| above.split_off(&before)).unwrap_or_default();
        let mut meets = false;
        for message in &page.messages {
            let held = above.remove(&message.seq);
            meets |= held.is_some_and(|held| held.is_gapless && held.is_same(&Known::from(message)));
        }
        gone.extend(above.into_keys().chain(settled.into_keys()).map(|seq| (channel, seq)));
        if meets {
            // Below this all is as it was.
            self.doubts.remove(&channel);
        } else if page.more && !is_empty {
            self.waiting.push_back(Ask::Page { channel, before: Some(page.from) });
        } else {
            self.drop_channel(channel, gone);
        }
    }

    fn drop_channel(&mut self, channel: ChannelId, gone: &mut Vec<(ChannelId, Seq)>) {
        let doubts = self.doubts.remove(&channel).unwrap_or_default();
        gone.extend(doubts.into_keys().map(|seq| (channel, seq)));
    }

    fn ask(&mut self, session: &mut Session) {
        while self.asked.len() < REQUESTS_IN_FLIGHT_MAX
            && let Some(ask) = self.waiting.pop_front()
        {
            match ask.put(session, self.page_messages) {
                Ok(request) => drop(self.asked.insert(request, ask)),
                // The session is full: one of the app's own answers comes first.
                Err(_) => return self.waiting.push_front(ask),
            }
        }
    }
}

impl Ask {
    fn put(self, session: &mut Session, page_messages: u32) -> Result<RequestId, Refusal> {
        match self {
            Self::List { after } => session.channels(after, LIST_ITEMS_MAX),
            Self::Page { channel, before } => session.history(channel, None, before, page_messages, true),
        }
    }
}
