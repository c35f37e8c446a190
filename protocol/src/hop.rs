//! What one shard tells another. The same type travels in a ring and, later, on a link between nodes. Facts flow
//! forward only: a hop never carries a reply channel.

mod presence;

use std::sync::Arc;

use bytes::Bytes;

use crate::body::CheckedFrame;
use crate::frame::Frame;
use crate::hello::{Hello, Reauth};
use crate::id::{BayId, ChannelId, DeviceId, ShardId, UserId};
use crate::kind::Kind;
use crate::query::Delivery;
use crate::reject::CloseCode;

pub use presence::{Look, Seen, Shown, Watch};

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
    /// list of members, a read position). Lost only with the process; the device sends it again.
    Submit {
        /// Who asks.
        origin: Origin,
        /// The frame, with its channel and what it changes there, so that nobody reads its bytes again to learn that.
        frame: CheckedFrame,
        /// Whether its user shows nobody how far it has come, and is shown nobody's; what only marks and requests for
        /// receipts look at.
        hides: bool,
    },
    /// Channel's home -> user's home: ready frames for one session (the answer to a repeated send, a Reject, a page).
    /// Dropped when the session is gone. Lost only with the process; the device asks again.
    Answer {
        /// For whom.
        origin: Origin,
        /// The kind of the frame that it answers: numbers of frames tell apart those of one kind.
        asked: Kind,
        /// 1..n whole frames.
        frames: Bytes,
    },
    /// Channels' home -> recipients' home: what one stored batch holds for the users there. A missed one is a gap in the
    /// sources' fan-out logs, and the destination reads the logs from there.
    Deliver {
        /// One a source bay.
        spans: Vec<Span>,
    },
    /// Channel's home -> user's home: may `by` put `user` into `channel`, invite the user, or write to the user there? Lost only with the process; the send that asked
    /// is sent again.
    Open {
        /// For which channel; the answer goes to its home.
        channel: ChannelId,
        /// Who would be a member, or get the message.
        user: UserId,
        /// Who sends.
        by: UserId,
        /// What.
        wants: Wants,
        /// The asker's number for this question; unique within a process.
        opening: u64,
    },
    /// User's home -> channel's home: the answer.
    Opened {
        /// For which channel.
        channel: ChannelId,
        /// About whom.
        user: UserId,
        /// Which question: an answer to one that was given up is older than the next.
        opening: u64,
        /// What the user says to it; `None` when that cannot be read now.
        consent: Option<Consent>,
    },
    /// Recipients' home -> sources' home: all bays of `by` have durably applied these logs. A lost one only delays
    /// trimming.
    Applied {
        /// By which shard.
        by: ShardId,
        /// How far, by source bay; changed ones only.
        through: Vec<(BayId, u64)>,
    },
    /// Channel's home -> members' home: something for their live sessions that is stored nowhere. Whoever has no room is
    /// offered nothing, and so is everybody while much waits on either side: the next one is newer, and positions can be
    /// asked for.
    Offer(Offer),
    /// Followers' home -> large channel's home: sessions of `by` follow the channel, or none does any more. Lost only with the
    /// process: followers say it again every few seconds, and what was missed is read from the channel's history.
    Follow {
        /// Which channel.
        channel: ChannelId,
        /// Which shard.
        by: ShardId,
        /// It follows.
        on: bool,
    },
    /// Large channel's home -> followers' home: from here on each message is told, and what was stored before is in the
    /// history. The answer to [`Hop::Follow`], and said again when messages were dropped on the way.
    Followed {
        /// Which channel.
        channel: ChannelId,
    },
    /// Large channel's home -> followers' home: what one stored batch holds of the channel, rising and without a hole.
    /// A missed one is a hole in the seqs, and the destination reads the history from there.
    Tell {
        /// Which channel.
        channel: ChannelId,
        /// The stamped frames.
        frames: Arc<[Frame]>,
    },
    /// A shard -> every other: it takes no more sends for now, or takes them again. Who sends there is not read until
    /// then. While it is on it is said again each second; what is not said again is over after three, so that
    /// no loss lasts.
    Pressure {
        /// Which shard.
        shard: ShardId,
        /// Full, or relieved.
        on: bool,
    },
    /// Holder of a connection -> its user's home: what the connection said. In order within a connection. Lost only with
    /// the process, and the connection with it.
    Held {
        /// The shard whose driver holds the connection; answers go there.
        holder: ShardId,
        /// The holder's name for the connection.
        conn: u64,
        /// What.
        fact: Held,
    },
    /// User's home -> holder of the connection: what is to be done with it. In order within a connection. Nothing when the
    /// connection is gone: the home is told so. Lost only with the process, and the connection with it.
    Speak {
        /// The holder's name for the connection.
        conn: u64,
        /// What.
        fact: Speak,
    },
    /// Watchers' home -> watched users' home: who watches whom. What recovers the loss of each fact stands there.
    Watch {
        /// The watching shard; answers go there.
        by: ShardId,
        /// What.
        fact: Watch,
    },
    /// Watched users' home -> watchers' home: what the users show now, as far as one turn changed it. What recovers the loss
    /// of each fact stands there.
    Seen(Vec<Seen>),
}

/// A frame for live sessions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// Users of the destination.
    pub users: Arc<[UserId]>,
    /// The frame, for all their sessions.
    pub frame: Frame,
    /// To which of them.
    pub to: OfferedTo,
}

/// What the home of a user looks at before it passes on what a channel's home offers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OfferedTo {
    /// All of them: it is their own.
    Themselves,
    /// Those who show others how far they have come.
    WhoShows,
    /// All but this one, who makes it.
    Others(UserId),
    /// All but this one, of whom it is not known whether the other of the two takes messages from it: nobody reads that
    /// now, so only who takes them from everybody is offered this.
    WhoTakesFromAll(UserId),
}

/// What somebody wants of a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wants {
    /// To write to the user.
    Message,
    /// To begin a conversation, asked of who begins it: so many an hour.
    Begin,
    /// To put the user into a group.
    Add,
    /// To ask whether the user joins one.
    Invite,
}

/// What a user says to who would write, or add the user to a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Consent {
    /// Yes.
    Given,
    /// No.
    Withheld,
    /// Nothing: there is no such user.
    NoSuchUser,
    /// The user has begun as many conversations as it may within the hour.
    Spent {
        /// Another can be begun then.
        wait_s: u32,
    },
}

/// A stretch of one bay's fan-out log, as far as it concerns the destination of a hop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// Whose log.
    pub source: BayId,
    /// The last number that concerned the destination before this one: nothing between the two does.
    pub after: u64,
    /// The span covers the log up to and with this number.
    pub through: u64,
    /// In log order; empty when the span only moves the mark.
    pub deliveries: Vec<Delivery>,
    /// For each delivery that a session of this node sent: which, so that it gets a SendAck instead.
    pub origins: Vec<(usize, Origin)>,
}

/// What a connection that another shard holds has said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Held {
    /// A valid Hello. First, once.
    Hello(Hello),
    /// A fresh valid token.
    Reauth(Reauth),
    /// A whole unstamped frame.
    Frame(Frame),
    /// How much of what was spoken has reached the holder, and what waits there to be written.
    Taken {
        /// Bytes of frames since the beginning.
        through: u64,
        /// Bytes that the connection has not taken yet.
        queued: usize,
    },
    /// It took bytes although what waits is no less: it is slow, and not stalled.
    Took,
    /// Whether the holder reads the connection: not while the ring to the home is too full. Its silence then says nothing.
    /// In order with the frames.
    Read(bool),
    /// The connection is gone. Last.
    Closed,
}

/// What a connection's holder is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Speak {
    /// Queue 1..n whole frames.
    Frames(Bytes),
    /// Flush, send the close code, end the connection.
    Close(CloseCode),
    /// Read no more from the connection.
    Pause,
    /// Read again.
    Resume,
}
