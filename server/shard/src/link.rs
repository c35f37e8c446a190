//! What a session speaks through. Only this file and `remote.rs`, where a shard holds connections for others, know where
//! a connection is; to everybody else a session has a link, and what it is makes no difference.

use core::hash::{Hash, Hasher};

use protocol::ShardId;
use protocol::hop::{Hop, Speak};

use crate::effect::Effect;
use crate::hops::Hops;
use crate::input::{ConnId, GuestId};

/// What a session speaks through. Another kind of link is another variant: it needs a way out in [`Link::speak`], and
/// whoever hears something through it looks its session up by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Link {
    /// A connection of this shard's own driver.
    Local(ConnId),
    /// A connection that another shard's driver holds.
    Held {
        /// Which shard.
        holder: ShardId,
        /// Its name for it.
        conn: ConnId,
    },
    /// No connection: whoever asked one thing waits for one answer.
    Guest(GuestId),
}

impl Link {
    /// Does something with what is behind it.
    pub(crate) fn speak(self, fact: Speak, out: &mut Vec<Effect>, hops: &mut Hops) {
        match self {
            Self::Local(conn) => out.push(match fact {
                Speak::Frames(frames) => Effect::Transmit { conn, frames },
                Speak::Close(code) => Effect::Close { conn, code },
                Speak::Pause => Effect::Pause { conn },
                Speak::Resume => Effect::Resume { conn },
            }),
            Self::Held { holder, conn } => hops.push(holder, Hop::Speak { conn: conn.0, fact }),
            Self::Guest(guest) => out.extend(match fact {
                Speak::Frames(frames) => Some(Effect::Answered { guest, frames }),
                Speak::Close(code) => Some(Effect::Dismissed { guest, code }),
                // It has said all that it will say.
                Speak::Pause | Speak::Resume => None,
            }),
        }
    }

    /// Whether what it takes is known only by what its holder confirms.
    pub(crate) fn is_held(self) -> bool {
        matches!(self, Self::Held { .. })
    }

    /// Whether it is for one answer only.
    pub(crate) fn is_guest(self) -> bool {
        matches!(self, Self::Guest(_))
    }

    /// A number for hashes and draws.
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Local(conn) => conn.0,
            Self::Held { holder, conn } => conn.0 ^ (u64::from(holder.0) + 1).rotate_right(7),
            Self::Guest(guest) => !guest.0,
        }
    }
}

impl Hash for Link {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.number());
    }
}
