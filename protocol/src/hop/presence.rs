//! What shards tell each other of who is there. All of it is in memory alone, on both sides; whatever is lost is made up
//! for by [`Watch::Keep`], which each watching shard says of each user that it watches about once a minute.

use std::sync::Arc;

use super::Origin;
use crate::id::UserId;

/// What a watching shard says to the home of the users that it watches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Watch {
    /// Somebody there wants to see somebody here. From now on the shard is told of those users, and of each whether the
    /// viewer may see it. Asked again for as long as it is not answered.
    See(Vec<Look>),
    /// The shard still watches these users, and knows these versions of what they show. A lost one is followed by the next
    /// in time, or the shard is no longer told and learns so from the one after.
    Keep(Vec<(UserId, u64)>),
    /// It does not watch them any more. After a lost one it is told for a few minutes in vain.
    End(Vec<UserId>),
    /// Somebody wants to see these users once. Lost only with the process; the device asks again.
    Once {
        /// Who, and where the answer goes.
        origin: Origin,
        /// The number of the request.
        id: u64,
        /// Whom.
        users: Vec<UserId>,
    },
}

/// Who wants to see whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    /// A user of the watching shard.
    pub viewer: UserId,
    /// A user of the destination.
    pub user: UserId,
}

/// What the home of watched users says to a shard that watches them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    /// What a user shows now, to whoever may see it: the latest wins. After a lost one the next `Keep` is answered with it.
    Now {
        /// Who.
        user: UserId,
        /// Another one each time; what two of them have in common is nothing but whether they are equal.
        version: u64,
        /// What; `None` while that is not known, just after a start.
        shown: Option<Arc<Shown>>,
    },
    /// Whether somebody may see a user. After a lost one it is asked again.
    May {
        /// Who asked whom.
        look: Look,
        /// The answer; `None` when it cannot be found out now, which is asked again.
        sees: Option<bool>,
    },
    /// Whoever watches the user is to ask again whether it may: the user has said something else than before, or the shard
    /// is not known to watch it. It is told nothing of the user until one of them has. After a lost one the next `Keep`
    /// brings it again.
    Again {
        /// Who.
        user: UserId,
    },
    /// The user does not exist, as far as its home knows; asked again with each refresh, since it may be there by then.
    /// After a lost one it is asked again as well.
    Missing {
        /// Who asked for whom.
        look: Look,
    },
}

impl Seen {
    /// About whom.
    #[must_use]
    pub const fn user(&self) -> UserId {
        match self {
            Self::Now { user, .. }
            | Self::May { look: Look { user, .. }, .. }
            | Self::Missing { look: Look { user, .. } }
            | Self::Again { user } => *user,
        }
    }
}

/// What a user shows to those who may see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// [`crate::body::presence::STATE_ONLINE`] and so on.
    pub state: u8,
    /// As in [`crate::body::presence::PresenceItem`].
    pub last_active_ms: u64,
    /// As there.
    pub status_until_ms: u64,
    /// As there.
    pub status: Box<str>,
}
