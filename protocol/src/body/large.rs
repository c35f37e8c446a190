//! Family 03, the part of large channels: what a session is told of them besides their messages, and whose inbox a message
//! of one still enters.

use rkyv::{Archive, Deserialize, Serialize};

use super::ingest::Body;
use super::message::Change;
use super::talk::Talk;
use crate::frame::Frame;
use crate::id::UserId;
use crate::kind::Kind;

/// HEADS v1: from here on the session is sent the messages of these channels behind these heads. What it does not hold up to
/// a head it reads from the channel's history. Said when a session begins to follow a channel, and again when it could not
/// be sent messages for a while.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Heads {
    /// Each channel once.
    pub items: Vec<HeadItem>,
}

/// How far one large channel has come.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeadItem {
    /// The channel.
    pub channel: u128,
    /// The newest message before those that the session is sent.
    pub head: u64,
}

impl Body for Heads {
    const KIND: Kind = Kind::HEADS;
}

/// Whose inboxes a stored message of a large channel enters: its sender's, and those of whom it names; rising. Of all others
/// the live sessions are sent it, and who is away reads the history.
#[must_use]
pub fn pointed(frame: &Frame) -> Vec<UserId> {
    let Some(stamp) = frame.read_stamp() else { return Vec::new() };
    pointed_by(stamp.sender, Change::read(frame).as_ref(), Talk::read(frame).as_ref())
}

/// The same of a message whose sender, change and talk were read before.
#[must_use]
pub fn pointed_by(sender: UserId, change: Option<&Change>, talk: Option<&Talk>) -> Vec<UserId> {
    let mut users = vec![sender];
    users.extend_from_slice(change.map_or(&[], Change::named));
    users.extend(change.and_then(|change| change.leaver(sender)));
    users.extend_from_slice(talk.map_or(&[], |talk| &talk.mentions));
    users.sort_unstable();
    users.dedup();
    users
}
