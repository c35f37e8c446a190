//! A frame about a channel, as it goes from its sender's home to the channel's.

use core::ops::Deref;

use super::ingest::{Body, Checked, ingest};
use super::message::{Change, Message};
use super::talk::{SendTextV2, Talk};
use crate::frame::Frame;
use crate::id::ChannelId;
use crate::reject::Refusal;

/// A frame that has passed every check, with what was read of it then: the channel, and what it changes there. A value of
/// this type is the proof: only the checks make one, and nobody changes the frame in it.
///
/// It keeps the facts and not a view of the body, since bytes cannot be viewed as a root without being checked again. A
/// text is only carried, so it costs nothing but the frame; a change of a group is one small allocation. Between shards
/// it moves as it is; a link between nodes carries the frame alone and the other node checks it as if it came from a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckedFrame {
    frame: Frame,
    channel: ChannelId,
    /// One pointer for all, and none for a plain text: a hop of this is moved often.
    facts: Option<Box<Facts>>,
}

/// What was read of a message besides its channel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Facts {
    /// It holds a word that whoever checked it looked for.
    has_word: bool,
    fact: Option<Fact>,
}

impl Facts {
    fn boxed(has_word: bool, fact: Option<Fact>) -> Option<Box<Self>> {
        (has_word || fact.is_some()).then(|| Box::new(Self { has_word, fact }))
    }
}

/// No message has both.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Fact {
    Change(Change),
    Talk(Talk),
}

impl CheckedFrame {
    /// Checks a message that a device sent.
    ///
    /// # Errors
    /// As for [`Message::ingest`].
    pub fn message(frame: Frame) -> Result<Self, Refusal> {
        Self::message_looked_at(frame, |_| false)
    }

    /// The same, and asks of what it says, a text or how one reads from now on, whether that holds a certain word: here its
    /// bytes are read, and nowhere else.
    ///
    /// # Errors
    /// As for [`Message::ingest`].
    pub fn message_looked_at(frame: Frame, holds_word: impl Fn(&str) -> bool) -> Result<Self, Refusal> {
        if Talk::may_be_in(&frame) {
            let wire = ingest::<SendTextV2>(&frame)?;
            let (channel, talk) = (ChannelId(wire.channel.to_native()), Talk::of(wire));
            let has_word = holds_word(&wire.text);
            return Ok(Self { frame, channel, facts: Facts::boxed(has_word, talk.map(Fact::Talk)) });
        }
        let message = Message::ingest(&frame)?;
        let has_word = match &message {
            Message::SendText(body) => holds_word(&body.text),
            Message::EditText(body) => holds_word(&body.text),
            _ => false,
        };
        let (channel, change) = (message.channel(), message.change());
        Ok(Self { frame, channel, facts: Facts::boxed(has_word, change.map(Fact::Change)) })
    }

    /// Checks a request of kind `T`, whose body names a channel.
    ///
    /// # Errors
    /// As for [`ingest`].
    pub fn request<T: Body>(
        frame: Frame,
        channel: impl Fn(Checked<'_, T>) -> ChannelId,
    ) -> Result<Self, Refusal> {
        let channel = channel(ingest::<T>(&frame)?);
        Ok(Self { frame, channel, facts: None })
    }

    /// The channel it is about.
    #[must_use]
    pub fn channel(&self) -> ChannelId {
        self.channel
    }

    /// Whether it holds a word that whoever checked it looked for.
    #[must_use]
    pub fn has_word(&self) -> bool {
        self.facts.as_deref().is_some_and(|facts| facts.has_word)
    }

    fn fact(&self) -> Option<&Fact> {
        self.facts.as_deref()?.fact.as_ref()
    }

    /// What it changes of the channel; `None` for a request, and for a message that is only something to read.
    #[must_use]
    pub fn change(&self) -> Option<&Change> {
        match self.fact() {
            Some(Fact::Change(change)) => Some(change),
            _ => None,
        }
    }

    /// What a text is about besides its words; `None` for a plain one and for everything else.
    #[must_use]
    pub fn talk(&self) -> Option<&Talk> {
        match self.fact() {
            Some(Fact::Talk(talk)) => Some(talk),
            _ => None,
        }
    }

    /// Bytes that it holds while it waits: the frame, and what was read of it.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let facts = self.change().map_or(0, Change::held_bytes) + self.talk().map_or(0, Talk::held_bytes);
        self.frame.bytes().len() + facts
    }

    /// The frame alone.
    #[must_use]
    pub fn into_frame(self) -> Frame {
        self.frame
    }
}

impl Deref for CheckedFrame {
    type Target = Frame;

    fn deref(&self) -> &Frame {
        &self.frame
    }
}
