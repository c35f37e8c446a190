//! What is said about messages that are there: edits, reactions, pins; and what now holds, asked for by range.

use protocol::body::about::{EditText, GetAbout, Pin, React, Recall};
use protocol::limits::{TEXT_BYTES_MAX, U53_MAX};
use protocol::{ChannelId, Refusal, SendId, Seq};

use super::command::check_bytes;
use super::{RequestId, Session};

impl Session {
    /// One of the user's own texts reads like this from here on. What it answers and whom it mentions stays.
    ///
    /// # Errors
    /// As for [`Self::send_text`].
    pub fn edit_text(
        &mut self,
        channel: ChannelId,
        target: Seq,
        text: &str,
        send_id: Option<SendId>,
    ) -> Result<SendId, Refusal> {
        check_bytes("text", text, TEXT_BYTES_MAX)?;
        self.send(channel, &EditText { channel: channel.0, target: target.0, text: text.to_owned() }, send_id)
    }

    /// Takes a text back for everybody: one of the user's own, or as an owner or admin of its group. What it and its edits said
    /// is gone; a [`super::Content::Recalled`] stands in its place. Once more is no fault.
    ///
    /// # Errors
    /// As for [`Self::send_text`].
    pub fn recall(
        &mut self,
        channel: ChannelId,
        target: Seq,
        send_id: Option<SendId>,
    ) -> Result<SendId, Refusal> {
        self.send(channel, &Recall { channel: channel.0, target: target.0 }, send_id)
    }

    /// Reacts to a text with an emoji, or takes that back.
    ///
    /// # Errors
    /// As for [`Self::send_text`].
    pub fn react(
        &mut self,
        channel: ChannelId,
        target: Seq,
        (emoji, on): (&str, bool),
        send_id: Option<SendId>,
    ) -> Result<SendId, Refusal> {
        let body = React { channel: channel.0, target: target.0, on, emoji: emoji.to_owned() };
        self.send(channel, &body, send_id)
    }

    /// Pins a text in its channel, or takes it down.
    ///
    /// # Errors
    /// As for [`Self::send_text`].
    pub fn pin(
        &mut self,
        channel: ChannelId,
        target: Seq,
        on: bool,
        send_id: Option<SendId>,
    ) -> Result<SendId, Refusal> {
        self.send(channel, &Pin { channel: channel.0, target: target.0, on }, send_id)
    }

    /// Asks what is said about messages of a channel, up to `limit` (1 to 200) of them: how they read now, how many react
    /// and what is pinned; with `who` who reacts, and not how they read. Answered by [`super::Event::Said`].
    ///
    /// # Errors
    /// As for [`Self::history`].
    pub fn said_about(
        &mut self,
        channel: ChannelId,
        (from, through): (Seq, Option<Seq>),
        limit: u32,
        who: bool,
    ) -> Result<RequestId, Refusal> {
        let through = through.map_or(U53_MAX, |seq| seq.0);
        self.request(&GetAbout { channel: channel.0, from: from.0, through, limit, who })
    }
}
