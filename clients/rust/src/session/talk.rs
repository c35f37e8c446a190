//! Texts that answer others, stand in threads, mention people or come from elsewhere; threads and mentions read.

use protocol::body::sync::HistoryPage;
use protocol::body::talk::{
    GetMentions, GetThread, MentionCount, MentionItem, Mentions, Talk, Thread as Head,
};
use protocol::limits::TEXT_BYTES_MAX;
use protocol::{ChannelId, Frame, InboxSeq, Kind, Refusal, SendId, Seq, UserId};

use super::command::check_bytes;
use super::event::{Event, History, Message, RequestId};
use super::{OpenPage, Session};

/// A window of a thread.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Thread {
    /// The answered request.
    pub request: RequestId,
    /// The channel.
    pub channel: ChannelId,
    /// With which message it begins; that one is not among the messages.
    pub root: Seq,
    /// The page tells all of the thread that may be read with `from <= seq <= to`; both 0 when there is nothing.
    pub from: Seq,
    /// Inclusive upper end.
    pub to: Seq,
    /// Messages of the thread since the user came the last time; 1,000 stands for 1,000 or more.
    pub total: u32,
    /// The newest of them; 0 for none.
    pub newest: Seq,
    /// Whether the thread holds more in the direction asked for.
    pub more: bool,
    /// Rising by seq.
    pub messages: Vec<Message>,
}

/// One message that mentions the user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mention {
    /// Its place in the inbox; older ones are asked for before the last of a page.
    pub at: InboxSeq,
    /// The channel.
    pub channel: ChannelId,
    /// Its position there.
    pub seq: Seq,
    /// Its time.
    pub time_ms: u64,
    /// Who sent it.
    pub sender: UserId,
}

impl Session {
    /// Sends text as [`Self::send_text`] does, and says what it is about. Mentions may come in any order; who is named
    /// twice is meant once.
    ///
    /// # Errors
    /// As for [`Self::send_text`]. Text and mentions share the room of one text: 8 bytes of it a mention.
    pub fn send_talk(
        &mut self,
        channel: ChannelId,
        text: &str,
        talk: &Talk,
        send_id: Option<SendId>,
    ) -> Result<SendId, Refusal> {
        if talk.is_plain() {
            return self.send_text(channel, text, send_id);
        }
        let mut talk = talk.clone();
        talk.mentions.sort_unstable();
        talk.mentions.dedup();
        check_bytes("text", text, TEXT_BYTES_MAX.saturating_sub(8 * talk.mentions.len()))?;
        self.send(channel, &talk.text(channel, text), send_id)
    }

    /// Asks for messages of a thread with `after < seq < before`, as [`Self::history`] does for those of a channel.
    ///
    /// # Errors
    /// As for [`Self::history`].
    pub fn thread(
        &mut self,
        (channel, root): (ChannelId, Seq),
        after: Option<Seq>,
        before: Option<Seq>,
        limit: u32,
        newest: bool,
    ) -> Result<RequestId, Refusal> {
        let after = after.map_or(0, |seq| seq.0);
        let before = before.map_or(protocol::limits::U53_MAX, |seq| seq.0);
        self.request(&GetThread { channel: channel.0, root: root.0, after, before, limit, newest })
    }

    /// Asks for up to `limit` (1 to 100) messages that mention the user, the newest first; those before a place in the
    /// inbox, or the newest of all.
    ///
    /// # Errors
    /// As for [`Self::history`].
    pub fn mentions(&mut self, before: Option<InboxSeq>, limit: u32) -> Result<RequestId, Refusal> {
        let before = before.map_or(protocol::limits::U53_MAX, |at| at.0);
        self.request(&GetMentions { before, limit })
    }

    /// The head of a thread's page does not answer its request, only the whole page does.
    pub(super) fn begin_thread(&mut self, id: u64, frame: &Frame) {
        if !self.requests.is_written(id, Kind::GET_THREAD) {
            return;
        }
        self.page = protocol::body::read(frame).map(|head: Head| {
            let Head { channel, from, to, newest, count, more, .. } = head;
            let as_page = HistoryPage { channel, from, to, head: newest, count, more };
            OpenPage { thread: Some(head), ..OpenPage::new(RequestId(id), &as_page, None) }
        });
        if self.page.as_ref().is_some_and(|page| page.left == 0) {
            self.end_page();
        }
    }
}

/// A whole page of a thread.
pub(super) fn thread(head: &Head, page: History) -> Event {
    let History { request, channel, from, to, more, messages, .. } = page;
    let (root, total, newest) = (Seq(head.root), head.total, Seq(head.newest));
    Event::Thread(Thread { request, channel, root, from, to, total, newest, more, messages })
}

/// A page of mentions.
pub(super) fn mentions(request: RequestId, page: Mentions) -> Event {
    let item = |item: MentionItem| Mention {
        at: InboxSeq(item.at),
        channel: ChannelId(item.channel),
        seq: Seq(item.seq),
        time_ms: item.time_ms,
        sender: UserId(item.sender),
    };
    let count = |count: MentionCount| (ChannelId(count.channel), count.unread);
    let items = page.items.into_iter().map(item).collect();
    let unread = page.unread.into_iter().map(count).collect();
    Event::Mentions { request, items, unread, more: page.more }
}
