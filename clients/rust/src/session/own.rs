//! What the user's devices tell each other in the user's own channel, and requests for what is noted there; the list of
//! channels with what a first screen shows; and pages of history around a place.

use protocol::body::list::{
    AROUND_SEQ, AROUND_TIME, AROUND_UNREAD, GetChannelsV2, GetHistoryV2, ORDER_CHANGED, ORDER_ID,
    ORDER_RECENT,
};
use protocol::body::own::{GetNotes, Hide, NOTES_DRAFTS, NOTES_HIDDEN, SetDraft, SetPrefs};
use protocol::commit::Prefs;
use protocol::limits::{TEXT_BYTES_MAX, U53_MAX};
use protocol::{ChannelId, Cursor, Refusal, SendId, Seq};

use super::command::check_bytes;
use super::{RequestId, Session};

/// A place in a channel to read around.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Around {
    /// This seq, or the next that may be read.
    Seq(Seq),
    /// The first message at or after this time, milliseconds since the Unix epoch.
    Time(u64),
    /// The first message that the user has not read.
    Unread,
}

/// Which of the user's channels, and in which order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListOrder {
    /// Rising by id, behind this one.
    Id(ChannelId),
    /// Pinned ones, then the newest first. `None` for the first page, else `next` of the page before.
    Recent(Option<Cursor>),
    /// What changed behind `through` of a list.
    Changed(Cursor),
}

impl Session {
    /// The user's own channel: what is saved there is a message like any other.
    #[must_use]
    pub fn own_channel(&self) -> ChannelId {
        ChannelId::own(self.config.user)
    }

    /// Says how the user wants a channel to be shown and told of, on all devices.
    ///
    /// # Errors
    /// As for [`Self::send_text`].
    pub fn set_prefs(
        &mut self,
        about: ChannelId,
        prefs: Prefs,
        send_id: Option<SendId>,
    ) -> Result<SendId, Refusal> {
        let channel = self.own_channel();
        let body = SetPrefs {
            channel: channel.0,
            about: about.0,
            muted_until_ms: prefs.muted_until_ms,
            pinned: prefs.pinned,
            marked_unread: prefs.marked_unread,
            notify: prefs.notify as u8,
            archived: prefs.archived,
        };
        self.send(channel, &body, send_id)
    }

    /// Says what the user is writing in a channel, or in its thread that begins with `thread`; an empty text for nothing any
    /// more. Each is a message for ever and costs as one: it is said when the user pauses, not with every letter.
    ///
    /// # Errors
    /// As for [`Self::send_text`].
    pub fn set_draft(
        &mut self,
        about: ChannelId,
        thread: Option<Seq>,
        text: &str,
        send_id: Option<SendId>,
    ) -> Result<SendId, Refusal> {
        check_bytes("text", text, TEXT_BYTES_MAX)?;
        let (channel, thread) = (self.own_channel(), thread.unwrap_or_default().0);
        let body = SetDraft { channel: channel.0, about: about.0, thread, text: text.to_owned() };
        self.send(channel, &body, send_id)
    }

    /// The user does not want to see these messages of a channel any more; nobody else notices.
    ///
    /// # Errors
    /// As for [`Self::send_text`].
    pub fn hide(
        &mut self,
        about: ChannelId,
        (seq, through): (Seq, Seq),
        send_id: Option<SendId>,
    ) -> Result<SendId, Refusal> {
        let channel = self.own_channel();
        let body = Hide { channel: channel.0, about: about.0, seq: seq.0, through: through.0 };
        self.send(channel, &body, send_id)
    }

    /// Asks for up to `limit` (1 to 500) of the user's channels with what a first screen shows. Answered by
    /// [`super::Event::List`].
    ///
    /// # Errors
    /// As for [`Self::history`].
    pub fn list(&mut self, order: ListOrder, limit: u32) -> Result<RequestId, Refusal> {
        let (number, after, at) = match order {
            ListOrder::Id(after) => (ORDER_ID, after, Cursor::default()),
            ListOrder::Recent(next) => (ORDER_RECENT, ChannelId(0), next.unwrap_or_default()),
            ListOrder::Changed(since) => (ORDER_CHANGED, ChannelId(0), since),
        };
        let (generation, at) = (at.generation.0, at.at.0);
        self.request(&GetChannelsV2 { generation, at, order: number, after: after.0, limit })
    }

    /// Asks for up to `limit` (1 to 200) messages around a place: half of them before it. Answered by
    /// [`super::Event::History`].
    ///
    /// # Errors
    /// As for [`Self::history`].
    pub fn history_around(
        &mut self,
        channel: ChannelId,
        around: Around,
        limit: u32,
    ) -> Result<RequestId, Refusal> {
        let (around, at) = match around {
            Around::Seq(seq) => (AROUND_SEQ, seq.0),
            Around::Time(ms) => (AROUND_TIME, ms),
            Around::Unread => (AROUND_UNREAD, 0),
        };
        let (channel, after, before) = (channel.0, 0, U53_MAX);
        self.request(&GetHistoryV2 { at, around, channel, after, before, limit, newest: false })
    }

    /// Asks for up to `limit` (1 to 500) of the user's drafts, of one channel or of all, behind a channel and thread.
    /// Answered by [`super::Event::Notes`].
    ///
    /// # Errors
    /// As for [`Self::history`].
    pub fn drafts(
        &mut self,
        about: Option<ChannelId>,
        after: (ChannelId, Seq),
        limit: u32,
    ) -> Result<RequestId, Refusal> {
        self.notes(NOTES_DRAFTS, about, after, limit)
    }

    /// The same of what the user has hidden, behind a channel and the `at` of a range.
    ///
    /// # Errors
    /// As for [`Self::history`].
    pub fn hidden(
        &mut self,
        about: Option<ChannelId>,
        after: (ChannelId, Seq),
        limit: u32,
    ) -> Result<RequestId, Refusal> {
        self.notes(NOTES_HIDDEN, about, after, limit)
    }

    fn notes(
        &mut self,
        what: u8,
        about: Option<ChannelId>,
        (after_about, after): (ChannelId, Seq),
        limit: u32,
    ) -> Result<RequestId, Refusal> {
        let about = about.unwrap_or_default().0;
        self.request(&GetNotes { about, after_about: after_about.0, after: after.0, what, limit })
    }
}
