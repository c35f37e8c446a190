//! What a message means to the index. A kind that is not named here is not searched.

use protocol::body::message::Message;
use protocol::{ChannelId, Frame, Seq};
use search::{Change, Document};

/// What a committed message changes of what is found; `None`: nothing. Read again it gives the same, and in the order of a
/// channel it comes out the same however often it is read.
pub(super) fn of(channel: ChannelId, seq: Seq, frame: &Frame) -> Option<Change> {
    let stamp = frame.read_stamp()?;
    let document = |text: &str| Document {
        channel,
        seq,
        sender: stamp.sender,
        time_ms: stamp.time_ms,
        kind: frame.kind().0,
        text: text.to_owned(),
    };
    match Message::read(frame)? {
        Message::SendText(body) => Some(Change::Put(document(body.text.as_str()))),
        // They say who is in a group and what it is called, which is no text of anybody.
        _ => None,
    }
}
