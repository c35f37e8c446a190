//! What is said about a message that is there: edits, reactions, pins, and the page that tells what now holds. They are
//! messages like any other, so that a device that was away hears of them in order; what they add up to stands in rows
//! ([`crate::commit::Facts`]), so that nobody has to read them all.

use rkyv::{Archive, Deserialize, Serialize};

use super::ingest::{Body, check_u53, encode, read, view};
use super::message::{channel_of_checked, check_channel, check_text};
use super::sync::check_count;
use crate::commit::Act;
use crate::frame::{Frame, Stamp};
use crate::id::{SendId, Seq};
use crate::kind::Kind;
use crate::limits::{EMOJI_BYTES_MAX, PAGE_MESSAGES_MAX, TEXT_BYTES_MAX, TEXT_CHARS_MAX};
use crate::reject::{Code, Refusal};

/// EDIT_TEXT v1: a text of the sender's own reads like this from here on. Whom it mentions and what it answers stays.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct EditText {
    /// The channel.
    pub channel: u128,
    /// Seq of the text.
    pub target: u64,
    /// 1 to 100,000 Unicode scalar values.
    pub text: String,
}

/// RECALL v1: a text is taken back for everybody. What stood in it, and in its edits, is gone from here on; in its place
/// stands a [`Recalled`].
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Recall {
    /// The channel.
    pub channel: u128,
    /// Seq of the text.
    pub target: u64,
}

/// RECALLED v1: stamped with seq, time and sender of the message in whose place it stands, and with its send id in the
/// header, so that whoever sent it still knows it. Of what it said nothing is left, not even a digest against which a guess
/// could be tried.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recalled {
    /// The channel.
    pub channel: u128,
    /// Seq of the recalled text: its own, or that of the text of which the message was an edit.
    pub target: u64,
    /// Seq of the RECALL; 0 when it was purged with all before it, which no message says.
    pub by: u64,
    /// Who recalled it; 0 for a purge, and so is the sender of its stamp and the id of its header.
    pub user: u64,
    /// Time of the RECALL; of a purge the time of the newest message that is gone.
    pub time_ms: u64,
}

/// REACT v1: the sender reacts to a text, or does so no more.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct React {
    /// The channel.
    pub channel: u128,
    /// Seq of the text.
    pub target: u64,
    /// False takes it back.
    pub on: bool,
    /// 1 to 32 bytes without control characters: an emoji, however it is composed.
    pub emoji: String,
}

/// PIN v1: a text is pinned in its channel, or is so no more.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Pin {
    /// The channel.
    pub channel: u128,
    /// Seq of the text.
    pub target: u64,
    /// False takes it down.
    pub on: bool,
}

/// GET_ABOUT v1: what now holds of messages with `from <= seq <= through`, and what is pinned in the channel.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct GetAbout {
    /// The channel.
    pub channel: u128,
    /// The first, from 1.
    pub from: u64,
    /// The last; 2^53 - 1 for the newest.
    pub through: u64,
    /// 1 to 200 messages of which something is said.
    pub limit: u32,
    /// Who reacted is told, and not how texts read now.
    pub who: bool,
}

/// ABOUT v1: messages of which nothing is said are left out.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct About {
    /// The channel.
    pub channel: u128,
    /// The page tells all that is said of messages with `from <= seq <= to`; both 0 when the reader may read none.
    pub from: u64,
    /// Inclusive upper end.
    pub to: u64,
    /// What is pinned in the channel and the reader may read, in the order in which it was.
    pub pins: Vec<PinItem>,
    /// Rising by `seq`.
    pub items: Vec<AboutItem>,
    /// Rising by `seq`; of one message in the order in which each was used first.
    pub reactions: Vec<ReactionItem>,
    /// Rising by `seq` and user; empty unless it was asked for.
    pub who: Vec<ReactorItem>,
    /// Whether something may be said of messages above `to`.
    pub more: bool,
}

/// A pinned message.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub struct PinItem {
    /// The message.
    pub seq: u64,
    /// Seq of the PIN that pinned it.
    pub by: u64,
}

/// A message of which something is said.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct AboutItem {
    /// The message.
    pub seq: u64,
    /// Seq of its newest edit; 0 for none.
    pub edited: u64,
    /// How often it was edited.
    pub edits: u32,
    /// How it reads now; empty when it was not edited, and when who reacted was asked for.
    pub text: String,
}

/// How many reacted to a message in one way.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct ReactionItem {
    /// The message.
    pub seq: u64,
    /// How many users.
    pub count: u32,
    /// Whether the reader is among them.
    pub own: bool,
    /// The way.
    pub emoji: String,
}

/// One user's reaction.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReactorItem {
    /// The message.
    pub seq: u64,
    /// Who.
    pub user: u64,
    /// Place of the way in `reactions`, from 0.
    pub reaction: u32,
}

impl ArchivedEditText {
    pub(super) fn act(&self) -> (Seq, Act) {
        (Seq(self.target.to_native()), Act::Edits)
    }
}

impl ArchivedRecall {
    pub(super) fn act(&self) -> (Seq, Act) {
        (Seq(self.target.to_native()), Act::Recalls)
    }
}

impl Recalled {
    /// Whether the message was purged, and not recalled by somebody.
    #[must_use]
    pub fn is_purge(&self) -> bool {
        self.by == 0
    }

    /// The tombstone of a message, given by its send id and stamp.
    #[must_use]
    pub fn tombstone(&self, send_id: SendId, stamp: Stamp) -> Frame {
        encode(send_id.0, self).stamp(stamp)
    }

    /// The tombstone of a stored message that this says something of: the recalled text, or an edit of it. `None` for any
    /// other message, and for one that is a tombstone already.
    #[must_use]
    pub fn replaces(&self, frame: &Frame) -> Option<Frame> {
        let stamp = frame.read_stamp()?;
        let is_it = match frame.kind() {
            Kind::SEND_TEXT => stamp.seq.0 == self.target,
            Kind::EDIT_TEXT => view::<EditText>(frame)?.target.to_native() == self.target,
            _ => false,
        };
        let is_here = is_it && channel_of_checked(frame)?.0 == self.channel;
        is_here.then(|| self.tombstone(frame.send_id(), stamp))
    }

    /// What a stored RECALL puts in the place of what it recalls; `None` for any other frame.
    #[must_use]
    pub fn of(frame: &Frame) -> Option<Self> {
        if frame.kind() != Kind::RECALL {
            return None;
        }
        let (wire, stamp) = (view::<Recall>(frame)?, frame.read_stamp()?);
        let (channel, target) = (wire.channel.to_native(), wire.target.to_native());
        Some(Self { channel, target, by: stamp.seq.0, user: stamp.sender.0, time_ms: stamp.time_ms })
    }

    /// What a tombstone says; `None` for any other frame.
    #[must_use]
    pub fn read(frame: &Frame) -> Option<Self> {
        if frame.kind() == Kind::RECALLED { read::<Self>(frame) } else { None }
    }
}

impl ArchivedReact {
    pub(super) fn act(&self) -> (Seq, Act) {
        let emoji = self.emoji.as_str().to_owned();
        (Seq(self.target.to_native()), Act::Reacts { emoji, on: self.on })
    }
}

impl ArchivedPin {
    pub(super) fn act(&self) -> (Seq, Act) {
        (Seq(self.target.to_native()), Act::Pins(self.on))
    }
}

fn check_target(channel: u128, target: u64) -> Result<(), Refusal> {
    check_channel(channel)?;
    check_u53("target", target)?;
    if target == 0 {
        return Err(Refusal::new(Code::Limit, "target", "0; a message has a seq from 1"));
    }
    Ok(())
}

impl Body for EditText {
    const KIND: Kind = Kind::EDIT_TEXT;
    fn check(wire: &ArchivedEditText) -> Result<(), Refusal> {
        check_target(wire.channel.to_native(), wire.target.to_native())?;
        check_text("text", &wire.text, TEXT_CHARS_MAX, TEXT_BYTES_MAX)
    }
}

impl Body for Recall {
    const KIND: Kind = Kind::RECALL;
    fn check(wire: &ArchivedRecall) -> Result<(), Refusal> {
        check_target(wire.channel.to_native(), wire.target.to_native())
    }
}

impl Body for Recalled {
    const KIND: Kind = Kind::RECALLED;
}

impl Body for React {
    const KIND: Kind = Kind::REACT;
    fn check(wire: &ArchivedReact) -> Result<(), Refusal> {
        check_target(wire.channel.to_native(), wire.target.to_native())?;
        let (bytes, most) = (wire.emoji.len(), EMOJI_BYTES_MAX);
        if bytes == 0 || bytes > most {
            let text = format!("{bytes} bytes; must be 1 to {most}");
            return Err(Refusal::new(Code::Limit, "emoji", text));
        }
        if wire.emoji.chars().any(char::is_control) {
            return Err(Refusal::new(Code::Limit, "emoji", "a control character; expected an emoji"));
        }
        Ok(())
    }
}

impl Body for Pin {
    const KIND: Kind = Kind::PIN;
    fn check(wire: &ArchivedPin) -> Result<(), Refusal> {
        check_target(wire.channel.to_native(), wire.target.to_native())
    }
}

impl Body for GetAbout {
    const KIND: Kind = Kind::GET_ABOUT;
    fn check(wire: &ArchivedGetAbout) -> Result<(), Refusal> {
        check_channel(wire.channel.to_native())?;
        let (from, through) = (wire.from.to_native(), wire.through.to_native());
        check_u53("through", through)?;
        if from == 0 || from > through {
            let text = format!("{from}; must be 1 or more, and at most `through`, which is {through}");
            return Err(Refusal::new(Code::Limit, "from", text));
        }
        check_count(wire.limit.to_native(), PAGE_MESSAGES_MAX)
    }
}

impl Body for About {
    const KIND: Kind = Kind::ABOUT;
}
