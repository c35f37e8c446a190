//! The erasure of a user from a channel: one message says that all that the user wrote there is gone, however much it was.

use rkyv::{Archive, Deserialize, Serialize};

use super::about::{ArchivedEditText, EditText, Recalled};
use super::ingest::{Body, view};
use super::message::{channel_of_checked, check_channel};
use crate::frame::Frame;
use crate::id::{ChannelId, Seq, UserId};
use crate::kind::Kind;
use crate::reject::Refusal;

/// ERASE v1: of its sender, who has no account any more, nothing is kept in this channel: the texts before it, and their edits,
/// are gone, and its reactions hold no more. The channel's home sends it; no device does.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Erase {
    /// The channel.
    pub channel: u128,
}

/// What a stored ERASE says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Erasure {
    /// The channel.
    pub channel: ChannelId,
    /// Who is erased.
    pub user: UserId,
    /// Seq of the ERASE: what stands before it is meant.
    pub by: Seq,
    /// Its time.
    pub time_ms: u64,
}

impl Erasure {
    /// `None` for any other frame.
    #[must_use]
    pub fn of(frame: &Frame) -> Option<Self> {
        if frame.kind() != Kind::ERASE {
            return None;
        }
        let (wire, stamp) = (view::<Erase>(frame)?, frame.read_stamp()?);
        let channel = ChannelId(wire.channel.to_native());
        Some(Self { channel, user: stamp.sender, by: stamp.seq, time_ms: stamp.time_ms })
    }

    /// What the tombstone of a text says, given by its seq, and that of an edit of the text.
    #[must_use]
    pub fn says(&self, target: Seq) -> Recalled {
        let Self { channel, user, by, time_ms } = *self;
        Recalled { channel: channel.0, target: target.0, by: by.0, user: user.0, time_ms }
    }

    /// The tombstone of a stored message that is gone with it. `None` for any other message, and for one that is a tombstone
    /// already.
    #[must_use]
    pub fn replaces(&self, frame: &Frame) -> Option<Frame> {
        let stamp = frame.read_stamp().filter(|stamp| stamp.sender == self.user && stamp.seq < self.by)?;
        let target = written(frame).filter(|_| channel_of_checked(frame) == Some(self.channel))?;
        Some(self.says(target).tombstone(frame.send_id(), stamp))
    }
}

/// The text to which the words of a stored message belong: its own seq, or that of the text of which it is an edit. `None` for
/// a message without words of its sender.
#[must_use]
pub fn written(frame: &Frame) -> Option<Seq> {
    match frame.kind() {
        Kind::SEND_TEXT => frame.read_stamp().map(|stamp| stamp.seq),
        Kind::EDIT_TEXT => {
            let edit: &ArchivedEditText = view::<EditText>(frame)?;
            Some(Seq(edit.target.to_native()))
        }
        _ => None,
    }
}

impl Body for Erase {
    const KIND: Kind = Kind::ERASE;
    fn check(wire: &ArchivedErase) -> Result<(), Refusal> {
        check_channel(wire.channel.to_native())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::encode;
    use crate::body::message::SendText;
    use crate::frame::Stamp;
    use crate::id::SendId;

    const CHANNEL: ChannelId = ChannelId(7);

    fn said(seq: u64, sender: u64) -> Stamp {
        Stamp { seq: Seq(seq), time_ms: 10 * seq, sender: UserId(sender) }
    }

    #[test]
    fn it_replaces_what_its_sender_wrote_before_it_and_nothing_else() {
        let erase = encode(9, &Erase { channel: CHANNEL.0 }).stamp(said(6, 1));
        let erasure = Erasure::of(&erase).unwrap();
        assert_eq!(erasure, Erasure { channel: CHANNEL, user: UserId(1), by: Seq(6), time_ms: 60 });
        let text = |seq, sender, channel| {
            encode(seq, &SendText { channel, text: "a".into() }).stamp(said(seq, sender))
        };
        let gone = erasure.replaces(&text(2, 1, 7)).unwrap();
        assert_eq!(
            (gone.kind(), gone.send_id(), gone.read_stamp()),
            (Kind::RECALLED, SendId(2), Some(said(2, 1)))
        );
        assert_eq!(
            Recalled::read(&gone),
            Some(Recalled { channel: 7, target: 2, by: 6, user: 1, time_ms: 60 })
        );
        let edit = encode(4, &EditText { channel: 7, target: 2, text: "b".into() }).stamp(said(4, 1));
        assert_eq!(Recalled::read(&erasure.replaces(&edit).unwrap()).map(|says| says.target), Some(2));
        for kept in [text(3, 2, 7), text(7, 1, 7), text(2, 1, 8), gone, erase] {
            assert_eq!(erasure.replaces(&kept), None);
        }
    }
}
