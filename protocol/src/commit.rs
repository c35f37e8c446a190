//! A commit as a value: what a shard's turn makes durable, and what the store's state is a function of.
//!
//! It lives here and not in `storage` because the shard core, which may not see `storage`, makes it, and because in a
//! cluster its encoding is what a node's replicated log holds. Keys and families are storage's own.

mod about;
mod encoding;
mod erased;
mod floor;
mod grown;
mod note;
mod presence;
mod push;
mod rules;
mod values;
mod weight;

pub use about::{
    About, Act, Facts, MESSAGE_TAG, PINS_TAG, Pinned, REACTOR_TAG, Said, decode_pins, decode_reactor,
};
pub use encoding::BatchFault;
pub use erased::{ERASED_TAG, ErasedRow};
pub use floor::{FLOOR_TAG, FloorRow, RETENTION_TAG, RetentionRow};
pub use grown::{FOLLOWED_TAG, Grown};
pub use note::{DRAFT_TAG, HIDDEN_TAG, Note, Notify, PREFS_TAG, Prefs, decode_draft, decode_hidden};
pub use presence::{PRESENCE_TAG, PresenceRow, Shows};
pub use push::{JobRow, Language, Preview, Provider, ShownRow, SubscriptionRow, Target};
pub use rules::{Rule, SANCTION_TAG, SENT_TAG, SLOW_TAG, Sanction, decode_sent, decode_slow};

use core::num::NonZeroU32;

use crate::frame::Frame;
use crate::id::{BayId, ChannelId, Cursor, DeviceId, InboxSeq, Seq, ShardId, UserId};

/// Everything that one turn of a shard changes; applied whole or not at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// Whose turn.
    pub shard: ShardId,
    /// Dense number within this process and shard, from 1: what a completion names.
    pub number: u64,
    /// The changes by bay. Parts and their rows are applied in order.
    pub parts: Vec<Part>,
}

/// What a batch changes in one bay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Which bay; all rows belong there.
    pub bay: BayId,
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
    /// A message of a channel that is stored reads otherwise from here on: what stands in the place of one that was recalled.
    /// In the part of the message that recalls it.
    Rewrite {
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
    /// What a user has said of another.
    Relation {
        /// Who said it.
        user: UserId,
        /// Of whom.
        other: UserId,
        /// What; nothing of it removes the row.
        relation: Relation,
    },
    /// The bay's fan-out log: the messages of this part. One row a part that holds messages.
    Fanout {
        /// Dense within the bay, from 1, for ever.
        number: u64,
        /// The part's messages in order.
        messages: Vec<(ChannelId, Seq)>,
    },
    /// The bay's fan-out log below `below` is no longer needed by any bay. Never covers the newest row: the log's
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
    /// Consecutive entries of an inbox.
    Run {
        /// Whose inbox.
        user: UserId,
        /// The dense position of the first entry there.
        first: InboxSeq,
        /// The messages, in order; never empty.
        entries: Vec<(ChannelId, Seq)>,
    },
    /// A message stands in a thread of its channel. In the part of the message.
    Thread {
        /// The channel.
        channel: ChannelId,
        /// Seq of the message with which the thread begins.
        root: Seq,
        /// The message.
        seq: Seq,
    },
    /// A message mentions a user. In the part of the user's pointer to it.
    Mention {
        /// Who is meant.
        user: UserId,
        /// The pointer's place in the inbox.
        at: InboxSeq,
        /// The channel.
        channel: ChannelId,
        /// The message.
        seq: Seq,
        /// Its time.
        time_ms: u64,
        /// Who sent it.
        sender: UserId,
    },
    /// What a user has noted for its own devices: what now holds, besides the message that says so.
    Note {
        /// Who.
        user: UserId,
        /// The message in the user's own channel.
        seq: Seq,
        /// What.
        note: Note,
    },
    /// What now holds of what is said about messages. In the part of the message that says it.
    About {
        /// The channel.
        channel: ChannelId,
        /// The row's whole value.
        about: About,
    },
    /// What now holds of what is laid down for a group. In the part of the message that lays it down, and, of when a member
    /// sent, of that text.
    Rule {
        /// The group.
        channel: ChannelId,
        /// The row's whole value.
        rule: Rule,
    },
    /// What is stored of a user's presence.
    Presence {
        /// Whose.
        user: UserId,
        /// Its values.
        row: PresenceRow,
    },
    /// The fan-out logs of other bays are applied to this bay's inboxes up to and with these numbers. The mark of a source
    /// that is not named stays as it is.
    Marks {
        /// By source bay; changed ones only.
        through: Vec<(BayId, u64)>,
    },
    /// Where a device of a user is told of what it misses.
    Subscription {
        /// Whose.
        user: UserId,
        /// Which device.
        device: DeviceId,
        /// Through whom.
        provider: Provider,
        /// Its values.
        row: SubscriptionRow,
    },
    /// It is not told there any more.
    SubscriptionGone {
        /// Whose.
        user: UserId,
        /// Which device.
        device: DeviceId,
        /// Through whom.
        provider: Provider,
    },
    /// What a user is still to be told of a channel. In the part of the pointer that finds no live device.
    Job {
        /// Who.
        user: UserId,
        /// Of which channel.
        channel: ChannelId,
        /// What; `None` for nothing any more.
        row: Option<JobRow>,
    },
    /// Whether a channel of the user's own list is a large one: then the user's sessions follow it. In the part of the pointer
    /// to the message that says so.
    Followed {
        /// Whose list.
        user: UserId,
        /// Which channel.
        channel: ChannelId,
        /// It is, or the user is a member no more.
        is_in: bool,
    },
    /// What devices of a user show of a channel by push, and what of it is still to be withdrawn.
    Shown {
        /// Whose.
        user: UserId,
        /// Which channel.
        channel: ChannelId,
        /// What; `None` for nothing any more.
        row: Option<ShownRow>,
    },
    /// Whether a user has turned push off on all devices. Subscriptions stay.
    PushOff {
        /// Who.
        user: UserId,
        /// Off, or on again.
        is_off: bool,
    },
    /// The messages of a channel below a seq are gone, and all that was said about them. Written by the channel's home alone,
    /// so that it only rises.
    Floor {
        /// The channel.
        channel: ChannelId,
        /// What it was before, or a smaller seq: below this nothing is left to remove.
        from: Seq,
        /// Its values.
        row: FloorRow,
    },
    /// How long a channel keeps its messages.
    Retention {
        /// The channel.
        channel: ChannelId,
        /// Its values; `None`: as the server's setting says.
        row: Option<RetentionRow>,
    },
    /// How far the erasure of a user from a channel has come; how far the user had come in the channel is forgotten with it. In
    /// the batch of the rewrites that it counts.
    Erased {
        /// The channel.
        channel: ChannelId,
        /// Who is erased.
        user: UserId,
        /// Its values.
        row: ErasedRow,
    },
    /// What a user has noted is gone: how it wants channels shown, drafts, what it has hidden. In the batch of the floor that
    /// takes the messages which said so.
    Forgotten {
        /// Who.
        user: UserId,
    },
}

/// A group.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChannelRow {
    /// Its name now.
    pub name: String,
    /// What a large channel knows of its members, who are too many to be held; `None` for a group that is none.
    pub grown: Option<Grown>,
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
    /// The user's devices hold everything up to and with this seq, as far as that was written: lazily, and it may be below
    /// `read`, which implies it.
    pub delivered: Seq,
    /// When this was last said, the user showed nobody how far it comes.
    pub hides: bool,
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
    /// Tokens that were issued before this are refused, milliseconds since the Unix epoch; 0 when the user was never
    /// logged out everywhere.
    pub not_before_ms: u64,
    /// Who may come near the user.
    pub policy: Policy,
    /// Whether the user has ever said anything of another: if not, nobody looks for it.
    pub has_relations: bool,
    /// What an operator lets this user do in an hour, in place of the server's settings.
    pub quota: Quota,
}

/// Bounds of one user's own: 0 is none, as in the settings that they stand in for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Quota {
    /// Groups that it may make in an hour.
    pub groups_per_h: OwnBound,
    /// Direct channels that it may begin in an hour.
    pub directs_per_h: OwnBound,
    /// Mebibytes of messages that it may have stored in an hour.
    pub mib_per_h: OwnBound,
}

impl Quota {
    /// The bounds in the order of their encoding.
    pub(crate) const fn bounds(self) -> [OwnBound; 3] {
        [self.groups_per_h, self.directs_per_h, self.mib_per_h]
    }
}

/// A number of the user's own, or the server's setting. Four bytes, since every user in memory has three.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OwnBound(Option<NonZeroU32>);

impl OwnBound {
    /// `None` is the server's setting. The largest number that there is counts as the one below it.
    #[must_use]
    pub const fn new(bound: Option<u32>) -> Self {
        match bound {
            Some(bound) => Self(Some(NonZeroU32::MIN.saturating_add(bound))),
            None => Self(None),
        }
    }

    /// The number; `None`: the server's setting.
    #[must_use]
    pub const fn get(self) -> Option<u32> {
        match self.0 {
            Some(above) => Some(above.get() - 1),
            None => None,
        }
    }
}

/// Who may do something to a user. The number is stored; it is never reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Audience {
    /// Whoever is not blocked.
    #[default]
    Everyone = 0,
    /// Those whom the user has for a friend.
    Friends = 1,
    /// Nobody.
    Nobody = 2,
}

impl Audience {
    /// The audience with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Everyone),
            1 => Some(Self::Friends),
            2 => Some(Self::Nobody),
            _ => None,
        }
    }
}

/// Who may come near a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Policy {
    /// Who may send messages.
    pub message: Audience,
    /// Who may put the user into a group without asking.
    pub add: Audience,
    /// Who may see more of the user than the name.
    pub see: Audience,
    /// Nobody is shown how far the user has come in channels, nor is the user shown how far others have.
    pub hides_receipts: bool,
}

impl Policy {
    /// Nobody may do anything: of a user who is no more.
    pub const NOBODY: Self = Self {
        message: Audience::Nobody,
        add: Audience::Nobody,
        see: Audience::Nobody,
        hides_receipts: false,
    };
}

/// What a user has said of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Relation {
    /// A friend.
    pub is_friend: bool,
    /// May do nothing to the user, friend or not.
    pub is_blocked: bool,
}

impl Relation {
    /// Whether the other is one of these.
    #[must_use]
    pub const fn is_of(self, audience: Audience) -> bool {
        match audience {
            _ if self.is_blocked => false,
            Audience::Everyone => true,
            Audience::Friends => self.is_friend,
            Audience::Nobody => false,
        }
    }
}
