//! What one shard tells another. The same type travels in a ring and, later, on a link between nodes. Facts flow
//! forward only: a hop never carries a reply channel.

use bytes::Bytes;

use crate::frame::Frame;
use crate::id::{ChannelId, DeviceId, StoreId, UserId};
use crate::query::Delivery;

/// The session that a frame came from, and where an answer about it goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Origin {
    /// Its user.
    pub user: UserId,
    /// Its device.
    pub device: DeviceId,
    /// Which of the device's sessions; unique within a process.
    pub session: u64,
}

/// One message from shard to shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hop {
    /// User's home -> channel's home: a checked frame about a channel (a send, a group change, a window of history, a
    /// list of members). Lost only with the process; the device sends it again.
    Submit {
        /// Who asks.
        origin: Origin,
        /// The channel named in the body.
        channel: ChannelId,
        /// The whole frame.
        frame: Frame,
    },
    /// Channel's home -> user's home: ready frames for one session (the answer to a repeated send, a Reject, a page).
    /// Dropped when the session is gone. Lost only with the process; the device asks again.
    Answer {
        /// For whom.
        origin: Origin,
        /// 1..n whole frames.
        frames: Bytes,
    },
    /// Channel's home -> a store of the recipients: what one batch committed. A missed one is a gap in the source's
    /// fan-out log, and the destination reads the log from there.
    Deliver {
        /// Whose log.
        source: StoreId,
        /// For whose users.
        dest: StoreId,
        /// The last number that concerned `dest` before this one: nothing between the two does.
        after: u64,
        /// This hop covers the log up to and with this number.
        through: u64,
        /// In log order; empty when the hop only moves the mark.
        deliveries: Vec<Delivery>,
        /// For each delivery that a session of this node sent: which, so that it gets a SendAck instead.
        origins: Vec<(usize, Origin)>,
    },
    /// Channel's home -> user's home: may `user` be put into `channel`? Lost only with the process; the send that asked
    /// is sent again.
    Open {
        /// For which channel; the answer goes to its home.
        channel: ChannelId,
        /// Who would be a member.
        user: UserId,
    },
    /// User's home -> channel's home: the answer.
    Opened {
        /// For which channel.
        channel: ChannelId,
        /// About whom.
        user: UserId,
        /// Whether the user exists; `None` when that cannot be read now.
        exists: Option<bool>,
    },
    /// Recipients' store -> source's home: its log is durably applied. A lost one only delays trimming.
    Applied {
        /// Whose log.
        source: StoreId,
        /// By which store.
        dest: StoreId,
        /// How far.
        through: u64,
    },
}
