//! What a user's devices tell each other in the user's own channel: kinds 0x0120 to 0x012f. They are messages like any
//! other, so that a device that was away hears of them; what they say now stands in rows, so that a new device need not read
//! them all.

use rkyv::{Archive, Deserialize, Serialize};

use super::ingest::{Body, check_u53};
use super::message::{check_channel, check_text};
use crate::commit::{Note, Notify, Prefs};
use crate::id::{ChannelId, Seq};
use crate::kind::Kind;
use crate::limits::{LIST_ITEMS_MAX, TEXT_BYTES_MAX, TEXT_CHARS_MAX};
use crate::reject::{Code, Refusal};

/// SET_PREFS v1: how the user wants a channel to be shown and told of, all of it; what was said before is over.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct SetPrefs {
    /// The sender's own channel.
    pub channel: u128,
    /// Which channel it is about.
    pub about: u128,
    /// Quiet until then, milliseconds since the Unix epoch; 0 for not, 2^53 - 1 for ever.
    pub muted_until_ms: u64,
    /// 0 for not pinned; else its order among the pinned ones, smaller first.
    pub pinned: u32,
    /// Shown as unread although everything was read.
    pub marked_unread: bool,
    /// What is told of: 0 all, 1 mentions, 2 nothing.
    pub notify: u8,
    /// Out of the way.
    pub archived: bool,
}

/// SET_DRAFT v1: what the user is writing in a channel, or in a thread of it, and has not sent.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct SetDraft {
    /// The sender's own channel.
    pub channel: u128,
    /// Which channel it is about.
    pub about: u128,
    /// The seq that the thread begins with; 0 for the channel itself.
    pub thread: u64,
    /// At most 100,000 characters; empty for none.
    pub text: String,
}

/// HIDE v1: the user does not want to see these messages of a channel any more. Nobody else notices.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Hide {
    /// The sender's own channel.
    pub channel: u128,
    /// Which channel it is about.
    pub about: u128,
    /// The first.
    pub seq: u64,
    /// The last.
    pub through: u64,
}

/// GET_NOTES v1: the user's drafts, or what the user has hidden.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct GetNotes {
    /// Of this channel only; 0 for all.
    pub about: u128,
    /// What stands behind this channel and `after`; 0 for the first page.
    pub after_about: u128,
    /// The thread of the last draft, or `at` of the last hidden range, of the page before; 0 for the first page.
    pub after: u64,
    /// [`NOTES_DRAFTS`] or [`NOTES_HIDDEN`].
    pub what: u8,
    /// 1 to 500.
    pub limit: u32,
}

/// Drafts are asked for.
pub const NOTES_DRAFTS: u8 = 0;
/// Hidden messages are asked for.
pub const NOTES_HIDDEN: u8 = 1;

/// NOTES v1: one of the two lists, rising by channel and thread, or by channel and `at`.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Notes {
    /// Drafts.
    pub drafts: Vec<DraftItem>,
    /// Hidden messages.
    pub hidden: Vec<HiddenItem>,
    /// Whether more follow behind the last.
    pub more: bool,
}

/// A draft.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct DraftItem {
    /// The channel.
    pub about: u128,
    /// The thread, or 0.
    pub thread: u64,
    /// When it was written, milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// The text.
    pub text: String,
}

/// Messages that the user does not want to see. Ranges may overlap.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct HiddenItem {
    /// The channel.
    pub about: u128,
    /// The seq in the user's own channel with which it was said.
    pub at: u64,
    /// The first.
    pub seq: u64,
    /// The last.
    pub through: u64,
}

impl ArchivedSetPrefs {
    pub(super) fn note(&self) -> Note {
        let prefs = Prefs {
            muted_until_ms: self.muted_until_ms.to_native(),
            pinned: self.pinned.to_native(),
            marked_unread: self.marked_unread,
            // Checked, or stored by a newer program: then whatever is told of less is told of.
            notify: Notify::from_number(self.notify).unwrap_or_default(),
            archived: self.archived,
        };
        Note::Prefs { about: ChannelId(self.about.to_native()), prefs }
    }
}

impl ArchivedSetDraft {
    pub(super) fn note(&self) -> Note {
        let (about, thread) = (ChannelId(self.about.to_native()), Seq(self.thread.to_native()));
        Note::Draft { about, thread, is_empty: self.text.is_empty() }
    }
}

impl ArchivedHide {
    pub(super) fn note(&self) -> Note {
        let (from, through) = (Seq(self.seq.to_native()), Seq(self.through.to_native()));
        Note::Hidden { about: ChannelId(self.about.to_native()), from, through }
    }
}

fn check_own(channel: u128, about: u128) -> Result<(), Refusal> {
    if ChannelId(channel).owner().is_none() {
        let text = "notes go to the sender's own channel: the own user id in both halves";
        return Err(Refusal::new(Code::Limit, "channel", text));
    }
    check_about(about)
}

fn check_about(about: u128) -> Result<(), Refusal> {
    check_channel(about).map_err(|refusal| Refusal { path: "about".into(), ..refusal })
}

impl Body for SetPrefs {
    const KIND: Kind = Kind::SET_PREFS;

    fn check(wire: &ArchivedSetPrefs) -> Result<(), Refusal> {
        check_own(wire.channel.to_native(), wire.about.to_native())?;
        check_u53("muted_until_ms", wire.muted_until_ms.to_native())?;
        if Notify::from_number(wire.notify).is_none() {
            let text = format!("{}; expected 0 all, 1 mentions or 2 nothing", wire.notify);
            return Err(Refusal::new(Code::Limit, "notify", text));
        }
        Ok(())
    }
}

impl Body for SetDraft {
    const KIND: Kind = Kind::SET_DRAFT;

    fn check(wire: &ArchivedSetDraft) -> Result<(), Refusal> {
        check_own(wire.channel.to_native(), wire.about.to_native())?;
        check_u53("thread", wire.thread.to_native())?;
        if wire.text.is_empty() {
            return Ok(());
        }
        check_text("text", &wire.text, TEXT_CHARS_MAX, TEXT_BYTES_MAX)
    }
}

impl Body for Hide {
    const KIND: Kind = Kind::HIDE;

    fn check(wire: &ArchivedHide) -> Result<(), Refusal> {
        check_own(wire.channel.to_native(), wire.about.to_native())?;
        check_u53("through", wire.through.to_native())?;
        let (seq, through) = (wire.seq.to_native(), wire.through.to_native());
        if seq == 0 || seq > through {
            let text = format!("{seq}; must be 1 or more, and at most `through`, which is {through}");
            return Err(Refusal::new(Code::Limit, "seq", text));
        }
        Ok(())
    }
}

impl Body for GetNotes {
    const KIND: Kind = Kind::GET_NOTES;

    fn check(wire: &ArchivedGetNotes) -> Result<(), Refusal> {
        if wire.about.to_native() != 0 {
            check_about(wire.about.to_native())?;
        }
        check_u53("after", wire.after.to_native())?;
        if wire.what > NOTES_HIDDEN {
            let text = format!("{}; expected 0 drafts or 1 hidden messages", wire.what);
            return Err(Refusal::new(Code::Limit, "what", text));
        }
        super::sync::check_count(wire.limit.to_native(), LIST_ITEMS_MAX)
    }
}

impl Body for Notes {
    const KIND: Kind = Kind::NOTES;
}
