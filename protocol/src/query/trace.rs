//! What became of one message, as far as rows say. Never its text, and of a subscription neither keys nor secret.

use crate::commit::{DeviceRow, JobRow, PositionRow, Target};
use crate::id::{DeviceId, Generation, InboxSeq, SendId, Seq, UserId};
use crate::kind::Kind;

/// Most users of one answer. With all their devices and subscriptions that is less than a mebibyte.
pub const TRACE_USERS_MAX: u32 = 25;

/// What became of a message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Traced {
    /// The channel's newest message; 0 for none.
    pub head: Seq,
    /// The message; `None` when there is none.
    pub message: Option<TracedMessage>,
    /// The number of its batch in the fan-out log of its channel's bay.
    pub batch: Traceable<u64>,
    /// How many users were to have it: the members at its seq, and its sender.
    pub recipients: u32,
    /// A page of them, rising.
    pub users: Vec<TracedUser>,
    /// Whether more follow behind the last.
    pub more: bool,
}

/// What may have been known once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Traceable<T> {
    /// It is this.
    Known(T),
    /// It is no more: what named it was trimmed, as it is once nobody needs it.
    Trimmed,
    /// It was not found within what one read may look at.
    #[default]
    Unfound,
}

/// A message without what it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TracedMessage {
    /// What it is.
    pub kind: Kind,
    /// Of the whole frame.
    pub bytes: u32,
    /// Who sent it.
    pub sender: UserId,
    /// Under which number.
    pub send_id: SendId,
    /// When it was given its seq, milliseconds since the Unix epoch.
    pub time_ms: u64,
}

/// One of those who were to have it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TracedUser {
    /// Who.
    pub user: UserId,
    /// Its place in the user's inbox; `None` when it was not found there.
    pub at: Option<InboxSeq>,
    /// The newest place of the inbox; 0 for none.
    pub inbox_head: InboxSeq,
    /// The inbox's life: a cursor of another one says nothing.
    pub generation: Generation,
    /// How far the user's bay has applied the log of the channel's.
    pub applied: u64,
    /// How far the user has come in the channel.
    pub position: PositionRow,
    /// Its devices, with what each had taken when it was last written down.
    pub devices: Vec<(DeviceId, DeviceRow)>,
    /// Where it is told of what it misses: the endpoint as it is stored.
    pub subscriptions: Vec<(Target, String)>,
    /// What it is still to be told of the channel.
    pub job: Option<JobRow>,
}
