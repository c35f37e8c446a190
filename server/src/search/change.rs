//! What a message means to the index. A kind that is not named here is not searched.

use protocol::body::message::Message;
use protocol::body::talk::Talk;
use protocol::{ChannelId, Frame, Kind, Seq};
use search::{Change, Document, EVERYBODY};

/// What a committed message changes of what is found; `None`: nothing. Read again it gives the same, and in the order of a
/// channel it comes out the same however often it is read.
pub(super) fn of(channel: ChannelId, frame: &Frame) -> Option<Change> {
    match Message::read(frame)? {
        Message::SendText(body) => document(channel, frame, body.text.as_str()).map(Change::Put),
        Message::Recall(body) => Some(Change::Remove { channel, seq: Seq(body.target.to_native()) }),
        Message::Erase(_) => {
            let stamp = frame.read_stamp()?;
            Some(Change::Erase { channel, sender: stamp.sender, below: stamp.seq })
        }
        // They say who is in a group and what it is called, which is no text of anybody.
        _ => None,
    }
}

/// The text that an edit is of, when it is one.
pub(super) fn edited(frame: &Frame) -> Option<Seq> {
    match Message::read(frame)? {
        Message::EditText(body) => Some(Seq(body.target.to_native())),
        _ => None,
    }
}

/// A text as an edit has it; it stays where it is in the channel and in time.
pub(super) fn edit(channel: ChannelId, text: &Frame, edit: &Frame) -> Option<Change> {
    if text.kind() != Kind::SEND_TEXT {
        // It was recalled since: the RECALL comes, and removes it.
        return None;
    }
    let Message::EditText(body) = Message::read(edit)? else { return None };
    document(channel, text, body.text.as_str()).map(Change::Replace)
}

/// A text as it reads now. Whom it mentions no edit changes.
fn document(channel: ChannelId, frame: &Frame, text: &str) -> Option<Document> {
    let stamp = frame.read_stamp()?;
    let talk = Talk::read(frame).unwrap_or_default();
    Some(Document {
        channel,
        seq: stamp.seq,
        sender: stamp.sender,
        time_ms: stamp.time_ms,
        kind: frame.kind().0,
        mentions: talk.all.then_some(EVERYBODY).into_iter().chain(talk.mentions).collect(),
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use protocol::body::about::EditText;
    use protocol::body::encode;
    use protocol::body::message::SendText;
    use protocol::{Stamp, UserId};

    use super::*;

    #[test]
    fn a_text_of_either_version_is_found_by_its_words() {
        let channel = ChannelId(1 << 64 | 2);
        let stamp = Stamp { seq: Seq(4), time_ms: 7, sender: UserId(1) };
        let reply = Talk { reply_to: Some(Seq(3)), mentions: vec![UserId(2)], ..Talk::default() };
        let plain = encode(9, &SendText { channel: channel.0, text: "at noon".into() });
        for frame in [plain, encode(9, &reply.text(channel, "at noon"))] {
            let Some(Change::Put(document)) = of(channel, &frame.stamp(stamp)) else { panic!() };
            assert_eq!((document.text.as_str(), document.channel), ("at noon", channel));
        }
    }

    #[test]
    fn who_is_erased_leaves_the_index_up_to_the_message_that_says_so() {
        let channel = ChannelId(1 << 64 | 2);
        let stamp = Stamp { seq: Seq(4), time_ms: 7, sender: UserId(1) };
        let frame = encode(9, &protocol::body::erase::Erase { channel: channel.0 }).stamp(stamp);
        let gone = Change::Erase { channel, sender: UserId(1), below: Seq(4) };
        assert_eq!(of(channel, &frame), Some(gone));
    }

    #[test]
    fn an_edited_text_mentions_whom_it_did() {
        let channel = ChannelId(1 << 64 | 2);
        let stamp = |seq| Stamp { seq: Seq(seq), time_ms: 7, sender: UserId(1) };
        let talk = Talk { mentions: vec![UserId(2), UserId(5)], all: true, online: true, ..Talk::default() };
        let text = encode(9, &talk.text(channel, "at noon")).stamp(stamp(4));
        let Some(Change::Put(document)) = of(channel, &text) else { panic!() };
        assert_eq!(document.mentions, [EVERYBODY, UserId(2), UserId(5)]);
        let body = EditText { channel: channel.0, target: 4, text: "at one".into() };
        let Some(Change::Replace(edited)) = edit(channel, &text, &encode(10, &body).stamp(stamp(5))) else {
            panic!()
        };
        assert_eq!((&edited.mentions, edited.seq, &*edited.text), (&document.mentions, Seq(4), "at one"));
    }
}
