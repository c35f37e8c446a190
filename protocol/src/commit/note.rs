//! What a user has noted for its own devices, as rows hold it.
//!
//! ```text
//! row tag 24 = user u64 | seq u64 | about u128 | sort u8 (the tag of its key), then of that sort:
//!   3 prefs: the value below | 4 draft: thread u64, is_empty u8 | 5 hidden: from u64, through u64
//! prefs  v1 = 1 | muted_until_ms u64 | pinned u32 | notify u8 | 1 marked unread, 2 archived, or both u8
//! draft  v1 = 1 | seq u64 of the message that holds it
//! hidden v1 = 1 | from u64 | through u64
//! ```

use bytes::{BufMut, BytesMut};

use super::Row;
use super::encoding::Fields;
use crate::id::{ChannelId, Seq, UserId};

const VERSION: u8 = 1;
/// Tag of the keys of prefs.
pub const PREFS_TAG: u8 = 3;
/// Tag of the keys of drafts.
pub const DRAFT_TAG: u8 = 4;
/// Tag of the keys of hidden messages.
pub const HIDDEN_TAG: u8 = 5;

/// One thing that a user has noted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Note {
    /// How the user wants a channel to be shown and told of.
    Prefs {
        /// Which channel.
        about: ChannelId,
        /// How.
        prefs: Prefs,
    },
    /// What the user is writing; the text stays in the message.
    Draft {
        /// Where.
        about: ChannelId,
        /// The seq that the thread begins with; 0 for the channel itself.
        thread: Seq,
        /// Whether there is none any more.
        is_empty: bool,
    },
    /// Messages that the user does not want to see.
    Hidden {
        /// Of which channel.
        about: ChannelId,
        /// The first.
        from: Seq,
        /// The last.
        through: Seq,
    },
}

/// How a user wants a channel to be shown and told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Prefs {
    /// Quiet until then, milliseconds since the Unix epoch; 0 for not.
    pub muted_until_ms: u64,
    /// 0 for not pinned; else its order among the pinned ones.
    pub pinned: u32,
    /// Shown as unread although everything was read.
    pub marked_unread: bool,
    /// What is told of.
    pub notify: Notify,
    /// Out of the way.
    pub archived: bool,
}

/// What a user is told of in a channel. The number is stored; it is never reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Notify {
    /// Every message.
    #[default]
    All = 0,
    /// Messages that mention the user.
    Mentions = 1,
    /// Nothing.
    Nothing = 2,
}

impl Notify {
    /// What has this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::All),
            1 => Some(Self::Mentions),
            2 => Some(Self::Nothing),
            _ => None,
        }
    }
}

impl Note {
    /// The channel that it is about.
    #[must_use]
    pub const fn about(&self) -> ChannelId {
        match self {
            Self::Prefs { about, .. } | Self::Draft { about, .. } | Self::Hidden { about, .. } => *about,
        }
    }

    /// The tag of its key.
    #[must_use]
    pub const fn tag(&self) -> u8 {
        match self {
            Self::Prefs { .. } => PREFS_TAG,
            Self::Draft { .. } => DRAFT_TAG,
            Self::Hidden { .. } => HIDDEN_TAG,
        }
    }

    /// The rest of its key behind the channel, and its value; no value removes the row. `seq` is that of the message.
    #[must_use]
    pub fn place(&self, seq: Seq) -> (Option<u64>, Option<Vec<u8>>) {
        match self {
            Self::Prefs { prefs, .. } if *prefs == Prefs::default() => (None, None),
            Self::Prefs { prefs, .. } => (None, Some(prefs.encode())),
            Self::Draft { thread, is_empty: true, .. } => (Some(thread.0), None),
            Self::Draft { thread, .. } => (Some(thread.0), Some(encode_seqs(&[seq]))),
            Self::Hidden { from, through, .. } => (Some(seq.0), Some(encode_seqs(&[*from, *through]))),
        }
    }

    /// Bytes behind user, seq, channel and sort.
    pub(super) const fn encoded_bytes(&self) -> usize {
        match self {
            Self::Prefs { .. } => Prefs::BYTES,
            Self::Draft { .. } => 9,
            Self::Hidden { .. } => 16,
        }
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        out.put_u128_le(self.about().0);
        out.put_u8(self.tag());
        match self {
            Self::Prefs { prefs, .. } => out.put_slice(&prefs.encode()),
            Self::Draft { thread, is_empty, .. } => {
                out.put_u64_le(thread.0);
                out.put_u8((*is_empty).into());
            }
            Self::Hidden { from, through, .. } => {
                out.put_u64_le(from.0);
                out.put_u64_le(through.0);
            }
        }
    }

    pub(super) fn row(fields: &mut Fields<'_>) -> Option<Row> {
        let (user, seq) = (UserId(fields.u64()?), Seq(fields.u64()?));
        let (low, high) = (fields.u64()?, fields.u64()?);
        let about = ChannelId((u128::from(high) << 64) | u128::from(low));
        let note = match fields.u8()? {
            PREFS_TAG => Self::Prefs { about, prefs: Prefs::decode(fields.rest())? },
            DRAFT_TAG => {
                let (thread, is_empty) = (Seq(fields.u64()?), fields.u8().filter(|flag| *flag < 2)? == 1);
                Self::Draft { about, thread, is_empty }
            }
            HIDDEN_TAG => Self::Hidden { about, from: Seq(fields.u64()?), through: Seq(fields.u64()?) },
            _ => return None,
        };
        Some(Row::Note { user, seq, note })
    }
}

impl Prefs {
    const BYTES: usize = 15;

    /// The stored value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::BYTES);
        out.push(VERSION);
        out.extend_from_slice(&self.muted_until_ms.to_le_bytes());
        out.extend_from_slice(&self.pinned.to_le_bytes());
        out.push(self.notify as u8);
        out.push(u8::from(self.marked_unread) | u8::from(self.archived) << 1);
        out
    }

    /// The prefs in these bytes; `None` for any other bytes or a version that this program does not know.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let is_known = fields.u8()? == VERSION;
        let (muted_until_ms, pinned) = (fields.u64()?, fields.u32()?);
        let (notify, flags) = (Notify::from_number(fields.u8()?)?, fields.u8()?);
        let (marked_unread, archived) = (flags & 1 != 0, flags & 2 != 0);
        let is_whole = is_known && flags < 4 && fields.0.is_empty();
        is_whole.then_some(Self { muted_until_ms, pinned, marked_unread, notify, archived })
    }
}

fn encode_seqs(seqs: &[Seq]) -> Vec<u8> {
    let mut out = vec![VERSION];
    seqs.iter().for_each(|seq| out.extend_from_slice(&seq.0.to_le_bytes()));
    out
}

/// The seq of the message that holds a draft; `None` for any other bytes.
#[must_use]
pub fn decode_draft(bytes: &[u8]) -> Option<Seq> {
    let mut fields = Fields(bytes);
    let (version, seq) = (fields.u8()?, Seq(fields.u64()?));
    (version == VERSION && fields.0.is_empty()).then_some(seq)
}

/// The first and the last hidden seq; `None` for any other bytes.
#[must_use]
pub fn decode_hidden(bytes: &[u8]) -> Option<(Seq, Seq)> {
    let mut fields = Fields(bytes);
    let (version, from, through) = (fields.u8()?, Seq(fields.u64()?), Seq(fields.u64()?));
    (version == VERSION && fields.0.is_empty()).then_some((from, through))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_values() {
        let prefs = Prefs {
            muted_until_ms: 258,
            pinned: 3,
            marked_unread: true,
            notify: Notify::Mentions,
            archived: true,
        };
        assert_eq!(prefs.encode(), [1, 2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1, 3]);
        assert_eq!(Prefs::decode(&prefs.encode()), Some(prefs));
        for (place, wrong) in [(0, 2), (13, 3), (14, 4)] {
            let mut bytes = prefs.encode();
            bytes[place] = wrong;
            assert_eq!(Prefs::decode(&bytes), None, "{place}");
        }
        assert_eq!(Prefs::decode(&[&prefs.encode()[..], &[0]].concat()), None);
        let hidden = Note::Hidden { about: ChannelId(9), from: Seq(1), through: Seq(2) };
        let (at, value) = hidden.place(Seq(7));
        assert_eq!(at, Some(7));
        assert_eq!(value.as_deref().and_then(decode_hidden), Some((Seq(1), Seq(2))));
        assert_eq!(value.as_deref().and_then(decode_draft), None);
        let draft = Note::Draft { about: ChannelId(9), thread: Seq(4), is_empty: false };
        assert_eq!(draft.place(Seq(7)).1.as_deref().and_then(decode_draft), Some(Seq(7)));
    }

    #[test]
    fn what_says_nothing_has_no_row() {
        let prefs = Note::Prefs { about: ChannelId(9), prefs: Prefs::default() };
        assert_eq!(prefs.place(Seq(7)), (None, None));
        let draft = Note::Draft { about: ChannelId(9), thread: Seq(4), is_empty: true };
        assert_eq!(draft.place(Seq(7)), (Some(4), None));
    }
}
