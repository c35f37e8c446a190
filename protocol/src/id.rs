//! Names of things: newtypes, so that a position in a history is never added to a position in an inbox.

use core::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

id!(
    /// A person. Snowflake-like, made by the control plane, never 0.
    UserId, u64
);
id!(
    /// One installed app of one user. Unique over all users, never 0.
    DeviceId, u64
);
id!(
    /// Dense position of a message in its channel: 1, 2, 3 ... ; 0 means "before the first".
    Seq, u64
);
id!(
    /// Dense position of a pointer in a user's inbox: 1, 2, 3 ... ; 0 means "before the first".
    InboxSeq, u64
);
id!(
    /// The device's own random number for a mutating frame; with (channel, sender) the idempotency key. Never 0.
    SendId, u64
);
id!(
    /// Which life of an inbox a cursor belongs to. A restored backup begins a new one. Below 2^53, never 0.
    Generation, u64
);
id!(
    /// A fixed 64th of all users and channels: 0 .. 63. It numbers a fan-out log, holds marks, has a generation and one
    /// home.
    BayId, u16
);
id!(
    /// One thread and the bays that are home there: 0 .. S-1 within a node.
    ShardId, u16
);

impl Seq {
    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl InboxSeq {
    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A conversation with one order. The high half tells the kinds apart: a direct channel is
/// `(smaller user id, larger user id)`, a group is `(0, number)`. A direct channel of one user twice is that user's own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ChannelId(pub u128);

impl ChannelId {
    /// The one direct channel of two users. Needs no creation, and nobody can make two.
    #[must_use]
    pub fn direct(a: UserId, b: UserId) -> Self {
        let (small, large) = if a <= b { (a, b) } else { (b, a) };
        Self((u128::from(small.0) << 64) | u128::from(large.0))
    }

    /// The user's own channel, of one member: what its devices tell each other, and what the user saves.
    #[must_use]
    pub fn own(user: UserId) -> Self {
        Self::direct(user, user)
    }

    /// Whose own channel it is, if it is one.
    #[must_use]
    pub fn owner(self) -> Option<UserId> {
        let (high, low) = self.halves();
        (high != 0 && high == low).then_some(UserId(low))
    }

    /// The group that `creator` makes with the frame `send_id`. It is a function of the idempotency key, so a
    /// repeated creation names the same group with nothing remembered; a client computes it and the home checks it.
    #[must_use]
    pub fn group(creator: UserId, send_id: SendId) -> Self {
        let number = crate::partition::mix64(crate::partition::mix64(creator.0) ^ send_id.0);
        Self(u128::from(number.max(1)))
    }

    /// The two users of a direct channel, smaller first, which in a user's own channel are one; `None` for a group.
    #[must_use]
    pub fn users(self) -> Option<(UserId, UserId)> {
        let (high, low) = self.halves();
        (high != 0).then_some((UserId(high), UserId(low)))
    }

    /// High and low 64 bits.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn halves(self) -> (u64, u64) {
        ((self.0 >> 64) as u64, self.0 as u64)
    }

    /// Whether the number can name a channel: a group with a number, or two users in rising order,
    /// who may be one.
    #[must_use]
    pub fn is_well_formed(self) -> bool {
        let (high, low) = self.halves();
        low != 0 && high <= low
    }
}

impl fmt::Debug for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (high, low) = self.halves();
        match high {
            0 => write!(f, "Group({low})"),
            _ if high == low => write!(f, "Own({low})"),
            _ => write!(f, "Direct({high},{low})"),
        }
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl core::str::FromStr for ChannelId {
    type Err = core::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A position in an inbox as a device remembers it: the end of the contiguous prefix it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cursor {
    /// The life of the inbox that `at` counts in; 0 with `at` 0 for a device that holds nothing.
    pub generation: Generation,
    /// Everything up to and with this position is held.
    pub at: InboxSeq,
}
