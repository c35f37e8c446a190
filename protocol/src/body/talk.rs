//! Texts that are about other texts and about people: SEND_TEXT v2 with replies, threads, mentions and forwards, and the
//! pages that are read of them.
//!
//! A text of version 2 ends with the whole of version 1, so everybody who only wants channel and text reads
//! [`SendText`](super::message::SendText) and need not know. [`Talk`] is the rest: what the channel's home judges, and what rows follow from.

use rkyv::{Archive, Deserialize, Serialize};

use super::ingest::{Body, Checked, check_u53, check_users, view};
use super::message::{check_channel, check_text};
use super::sync::check_count;
use crate::frame::Frame;
use crate::id::{ChannelId, Seq, UserId};
use crate::kind::Kind;
use crate::limits::{MENTIONS_MAX, MENTIONS_PAGE_MAX, PAGE_MESSAGES_MAX, TEXT_BYTES_MAX, TEXT_CHARS_MAX};
use crate::reject::{Code, Refusal};

/// All members are mentioned.
pub const MENTION_ALL: u8 = 1;
/// Whoever is connected when it arrives is mentioned, and nobody else ever.
pub const MENTION_ONLINE: u8 = 2;

/// SEND_TEXT v2: a text that may answer another, stand in a thread, mention people, and come from elsewhere.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct SendTextV2 {
    /// Seq of the message of this channel that it answers; 0 for none.
    pub reply_to: u64,
    /// Seq of the message of this channel with which its thread begins; 0 for none.
    pub thread: u64,
    /// Who sent it where it was taken from, as the sender of this one says; 0 when it is no forward.
    pub forwarded_from: u64,
    /// Who is meant: rising, no repeats, at most 50.
    pub mentions: Vec<u64>,
    /// [`MENTION_ALL`] and [`MENTION_ONLINE`].
    pub mention_flags: u8,
    /// As in version 1.
    pub channel: u128,
    /// As in version 1.
    pub text: String,
}

/// GET_THREAD v1: messages of a thread with `after < seq < before`, as GET_HISTORY asks for those of a channel.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct GetThread {
    /// The channel.
    pub channel: u128,
    /// Seq of the message with which the thread begins; it is not on the page itself.
    pub root: u64,
    /// Exclusive lower end; 0 for none.
    pub after: u64,
    /// Exclusive upper end; 2^53 - 1 for none.
    pub before: u64,
    /// 1 to 200 messages.
    pub limit: u32,
    /// Which end to begin from.
    pub newest: bool,
}

/// THREAD v1: head of a page; `count` stamped frames follow directly on the same stream.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Thread {
    /// The channel.
    pub channel: u128,
    /// With which message the thread begins.
    pub root: u64,
    /// The page tells all of the thread that the reader may read with `from <= seq <= to`; both 0 when there is nothing.
    pub from: u64,
    /// Inclusive upper end.
    pub to: u64,
    /// Messages of the whole thread that the reader may read in its newest stay; 1,000 stands for 1,000 or more.
    pub total: u32,
    /// The newest of them; 0 for none.
    pub newest: u64,
    /// Messages that follow.
    pub count: u32,
    /// Whether the thread holds more in the direction asked for.
    pub more: bool,
}

/// GET_MENTIONS v1: messages that mention the user, newest first.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct GetMentions {
    /// Those whose place in the inbox is before this; 2^53 - 1 for the newest.
    pub before: u64,
    /// 1 to 100.
    pub limit: u32,
}

/// MENTIONS v1.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Mentions {
    /// Falling by `at`.
    pub items: Vec<MentionItem>,
    /// The channels of the page, rising, with their unread mentions.
    pub unread: Vec<MentionCount>,
    /// Whether there are older ones.
    pub more: bool,
}

/// One message that mentions the user.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct MentionItem {
    /// Its place in the user's inbox: what the next page's `before` is.
    pub at: u64,
    /// The channel.
    pub channel: u128,
    /// Its position there.
    pub seq: u64,
    /// Its time.
    pub time_ms: u64,
    /// Who sent it.
    pub sender: u64,
}

/// How many mentions are unread in a channel.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct MentionCount {
    /// The channel.
    pub channel: u128,
    /// Mentions above the user's read position; 100 stands for 100 or more.
    pub unread: u32,
}

impl Body for SendTextV2 {
    const KIND: Kind = Kind::SEND_TEXT;
    const VERSION: u8 = 2;
    fn check(wire: &ArchivedSendTextV2) -> Result<(), Refusal> {
        check_u53("reply_to", wire.reply_to.to_native())?;
        check_u53("thread", wire.thread.to_native())?;
        check_users("mentions", &wire.mentions, MENTIONS_MAX)?;
        if wire.mention_flags > (MENTION_ALL | MENTION_ONLINE) {
            let text = format!("{}; only 1 (all) and 2 (online) have a meaning", wire.mention_flags);
            return Err(Refusal::new(Code::Limit, "mention_flags", text));
        }
        check_channel(wire.channel.to_native())?;
        check_text("text", &wire.text, TEXT_CHARS_MAX, TEXT_BYTES_MAX)
    }
}

impl Body for GetThread {
    const KIND: Kind = Kind::GET_THREAD;
    fn check(wire: &ArchivedGetThread) -> Result<(), Refusal> {
        check_channel(wire.channel.to_native())?;
        check_u53("root", wire.root.to_native())?;
        if wire.root.to_native() == 0 {
            return Err(Refusal::new(Code::Limit, "root", "0; a thread begins with a message, from 1"));
        }
        check_u53("after", wire.after.to_native())?;
        check_u53("before", wire.before.to_native())?;
        check_count(wire.limit.to_native(), PAGE_MESSAGES_MAX)
    }
}

impl Body for GetMentions {
    const KIND: Kind = Kind::GET_MENTIONS;
    fn check(wire: &ArchivedGetMentions) -> Result<(), Refusal> {
        check_u53("before", wire.before.to_native())?;
        check_count(wire.limit.to_native(), MENTIONS_PAGE_MAX)
    }
}

impl Body for Thread {
    const KIND: Kind = Kind::THREAD;
}
impl Body for Mentions {
    const KIND: Kind = Kind::MENTIONS;
}

/// What a text is about besides its words. Small and owned, so that it goes along with the frame.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Talk {
    /// The message that it answers.
    pub reply_to: Option<Seq>,
    /// The message with which its thread begins.
    pub thread: Option<Seq>,
    /// Who is said to have sent it first.
    pub forwarded_from: Option<UserId>,
    /// Who is meant by name, rising.
    pub mentions: Vec<UserId>,
    /// Whether all members are meant.
    pub all: bool,
    /// Whether those are meant who are connected.
    pub online: bool,
}

impl Talk {
    /// Whether a frame can hold any: a text of version 2 or above. Version 1 pays no more than this.
    #[must_use]
    pub fn may_be_in(frame: &Frame) -> bool {
        frame.header().version >= SendTextV2::VERSION && frame.kind() == Kind::SEND_TEXT
    }

    /// What a stored text is about; `None` when that is nothing.
    #[must_use]
    pub fn read(frame: &Frame) -> Option<Self> {
        if !Self::may_be_in(frame) {
            return None;
        }
        view::<SendTextV2>(frame).and_then(Self::of)
    }

    pub(super) fn of(wire: Checked<'_, SendTextV2>) -> Option<Self> {
        let seq = |seq: u64| (seq != 0).then_some(Seq(seq));
        let talk = Self {
            reply_to: seq(wire.reply_to.to_native()),
            thread: seq(wire.thread.to_native()),
            forwarded_from: Some(UserId(wire.forwarded_from.to_native())).filter(|user| user.0 != 0),
            mentions: wire.mentions.iter().map(|user| UserId(user.to_native())).collect(),
            all: wire.mention_flags & MENTION_ALL != 0,
            online: wire.mention_flags & MENTION_ONLINE != 0,
        };
        (!talk.is_plain()).then_some(talk)
    }

    /// Whether there is nothing to say but the words: a text of version 1 does.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// The text that says it.
    #[must_use]
    pub fn text(&self, channel: ChannelId, text: &str) -> SendTextV2 {
        let seq = |seq: Option<Seq>| seq.map_or(0, |seq| seq.0);
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        SendTextV2 {
            reply_to: seq(self.reply_to),
            thread: seq(self.thread),
            forwarded_from: self.forwarded_from.map_or(0, |user| user.0),
            mentions: self.mentions.iter().map(|user| user.0).collect(),
            mention_flags: flag(self.all, MENTION_ALL) | flag(self.online, MENTION_ONLINE),
            channel: channel.0,
            text: text.to_owned(),
        }
    }

    /// Whether a user is mentioned so that it is kept: by name, or as one of all. Nobody mentions oneself.
    #[must_use]
    pub fn is_kept_for(&self, user: UserId, sender: UserId) -> bool {
        user != sender && (self.all || self.mentions.binary_search(&user).is_ok())
    }

    /// Bytes of memory that it takes.
    pub(super) fn held_bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.mentions)
    }
}
