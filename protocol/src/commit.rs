//! A commit as a value: what a shard's turn makes durable in one store, and what that store's state is a function of.
//!
//! It lives here and not in `storage` because the shard core, which may not see `storage`, makes it, and because in a
//! cluster its encoding crosses the wire to the partition groups' replicated logs. Keys and families are storage's own.

mod encoding;
mod values;
mod weight;

pub use encoding::BatchFault;

use crate::frame::Frame;
use crate::id::{ChannelId, Cursor, DeviceId, InboxSeq, Seq, StoreId, UserId};

/// Everything that one turn changes in one store; applied whole or not at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// Which store.
    pub store: StoreId,
    /// Dense number within this process and store, from 1: what a completion names.
    pub number: u64,
    /// The changes, in order.
    pub rows: Vec<Row>,
}

/// One change. A variant's place in the encoding (its tag) is never reused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Row {
    /// A message of a channel: the stamped frame, exactly as it is sent.
    Message {
        /// The channel.
        channel: ChannelId,
        /// Its position; the same as in the stamp.
        seq: Seq,
        /// The wire bytes.
        frame: Frame,
    },
    /// A group's row (a direct channel has none).
    Channel {
        /// The group.
        channel: ChannelId,
        /// Its values.
        row: ChannelRow,
    },
    /// A user's membership in a group as one row of all its intervals. Read for ever, no longer written: it grew with
    /// every stay, and a [`Self::Interval`] of the same `joined` counts instead of what it says.
    Member {
        /// The group.
        channel: ChannelId,
        /// Who.
        user: UserId,
        /// Role and intervals.
        row: MemberRow,
    },
    /// The user's own list: in this channel since `joined`.
    Joined {
        /// Whose list.
        user: UserId,
        /// Which channel.
        channel: ChannelId,
        /// Seq of the membership message, or 1 in a direct channel.
        joined: Seq,
    },
    /// The user's own list: no longer a member since `left`. A later `Joined` has a larger seq.
    Left {
        /// Whose list.
        user: UserId,
        /// Which channel.
        channel: ChannelId,
        /// Seq of the membership message.
        left: Seq,
    },
    /// The user's own list: has read up to `seq`. Read for ever, no longer written: it is a floor below
    /// [`Self::Position`].
    Read {
        /// Whose list.
        user: UserId,
        /// Which channel.
        channel: ChannelId,
        /// How far.
        seq: Seq,
    },
    /// An inbox entry.
    Pointer {
        /// Whose inbox.
        user: UserId,
        /// Its dense position there.
        at: InboxSeq,
        /// The message's channel.
        channel: ChannelId,
        /// The message's seq.
        seq: Seq,
    },
    /// A device of a user.
    Device {
        /// Whose.
        user: UserId,
        /// Which.
        device: DeviceId,
        /// Its values.
        row: DeviceRow,
    },
    /// A device is removed.
    DeviceGone {
        /// Whose.
        user: UserId,
        /// Which.
        device: DeviceId,
    },
    /// A user exists.
    Account {
        /// Who.
        user: UserId,
        /// Its values.
        row: AccountRow,
    },
    /// The fan-out log: the messages of this batch. One row a batch that holds messages.
    Fanout {
        /// Dense within the store, from 1, for ever.
        number: u64,
        /// The batch's messages in order.
        messages: Vec<(ChannelId, Seq)>,
    },
    /// The fan-out log of `source` is applied to this store's inboxes up to and with `through`.
    Applied {
        /// Whose log.
        source: StoreId,
        /// How far.
        through: u64,
    },
    /// This store's fan-out log below `below` is no longer needed by any store. Never covers the newest row: the log's
    /// head is read from it at boot.
    TrimFanout {
        /// Exclusive upper end.
        below: u64,
    },
    /// One stay of a user in a group. Written when it begins, when the role changes, and when it ends.
    Interval {
        /// The group.
        channel: ChannelId,
        /// Who.
        user: UserId,
        /// Seq of the message that made the user a member.
        joined: Seq,
        /// Its values.
        row: IntervalRow,
    },
    /// How far a user has come in a channel, at the channel's home. It outlives the membership.
    Position {
        /// The group or direct channel.
        channel: ChannelId,
        /// Who.
        user: UserId,
        /// Its values.
        row: PositionRow,
    },
}

/// A group.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChannelRow {
    /// Its name now.
    pub name: String,
}

/// A user's membership in a group, all of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MemberRow {
    /// [`crate::body::message::ROLE_MEMBER`] and so on; of no meaning while outside.
    pub role: u8,
    /// Rising and disjoint; only the last can be open.
    pub intervals: Vec<Interval>,
}

/// Seqs during which a user was a member. The membership messages themselves belong to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interval {
    /// Seq of the message that made the user a member.
    pub joined: Seq,
    /// Seq of the message that ended it; `None` while it lasts.
    pub left: Option<Seq>,
}

impl Interval {
    /// Whether the user was a member at `seq`.
    #[must_use]
    pub fn holds(&self, seq: Seq) -> bool {
        self.joined <= seq && self.left.is_none_or(|left| seq <= left)
    }
}

impl MemberRow {
    /// Whether the user is a member now.
    #[must_use]
    pub fn is_member(&self) -> bool {
        self.intervals.last().is_some_and(|interval| interval.left.is_none())
    }

    /// Whether the user was a member at `seq`, and so may read it and was sent it.
    #[must_use]
    pub fn holds(&self, seq: Seq) -> bool {
        self.intervals.iter().any(|interval| interval.holds(seq))
    }
}

/// One stay of a user in a group.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IntervalRow {
    /// The user's how many-th stay in this group it is, from 1: how often one may come back is bounded, and nobody has to
    /// count.
    pub number: u32,
    /// [`crate::body::message::ROLE_MEMBER`] and so on.
    pub role: u8,
    /// Seq of the message that ended it; `None` while it lasts.
    pub left: Option<Seq>,
    /// The group's name when it ended, which is the last one that the user may see; empty while it lasts.
    pub name: String,
}

/// How far a user has come in a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PositionRow {
    /// The user has read up to and with this seq.
    pub read: Seq,
    /// The user's devices hold everything up to and with this seq; 0 for now.
    pub delivered: Seq,
}

/// A device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeviceRow {
    /// How far it had taken its inbox when it last said so; written lazily, its own cursor counts.
    pub cursor: Cursor,
    /// When it last spoke, milliseconds since the Unix epoch.
    pub seen_ms: u64,
}

/// What the core needs to know of an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AccountRow {
    /// Milliseconds since the Unix epoch.
    pub created_ms: u64,
}
