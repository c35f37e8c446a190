//! The way of one message, as the control plane asks for it.

use protocol::commit::Target;
use protocol::query::Traced;
use protocol::{Seq, UserId};

use super::LiveUser;

/// What became of a message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trace {
    /// What is stored.
    pub stored: Traced,
    /// The bay of its channel, and the shard that is its home.
    pub home: (u16, u16),
    /// What their homes know of `stored.users` now, in the same order.
    pub live: Vec<LiveUser>,
    /// What happened to their jobs of push, oldest first.
    pub pushes: Vec<PushLine>,
    /// What happened to jobs before is not known any more, milliseconds since the Unix epoch.
    pub pushes_since_ms: u64,
}

/// What happened to a job of push.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PushLine {
    /// When, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who was to be told.
    pub user: UserId,
    /// The job's newest message.
    pub seq: Seq,
    /// How many it told of.
    pub count: u32,
    /// At which subscription, and its host; `None` for a whole job.
    pub target: Option<(Target, String)>,
    /// In a word.
    pub what: PushWord,
    /// The provider's words, or why it failed.
    pub words: String,
    /// When it is looked at again.
    pub until_ms: Option<u64>,
}

/// What can happen to a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PushWord {
    /// A provider took it.
    Taken,
    /// A provider knows the subscription no more.
    Gone,
    /// A provider refused it for good.
    Refused,
    /// It failed and is tried again.
    Failed,
    /// The device is not to be disturbed.
    Quiet,
    /// The host is not called for a while.
    Resting,
    /// A provider took it that it is read, behind the push itself.
    Withdrawn,
    /// The user had read it.
    Read,
    /// It was recalled.
    Recalled,
    /// The user does not want to be told.
    Unwanted,
    /// It was too old.
    Expired,
    /// Tried too often, or refused by all.
    Parked,
}

impl PushWord {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Taken,
        Self::Gone,
        Self::Refused,
        Self::Failed,
        Self::Quiet,
        Self::Resting,
        Self::Withdrawn,
        Self::Read,
        Self::Recalled,
        Self::Unwanted,
        Self::Expired,
        Self::Parked,
    ];

    /// As JSON has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Gone => "gone",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Quiet => "quiet",
            Self::Resting => "resting",
            Self::Withdrawn => "withdrawn",
            Self::Read => "read",
            Self::Recalled => "recalled",
            Self::Unwanted => "unwanted",
            Self::Expired => "expired",
            Self::Parked => "parked",
        }
    }
}
