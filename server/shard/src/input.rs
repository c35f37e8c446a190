//! All that a shard is told.

use std::sync::Arc;

use protocol::commit::{AccountRow, Policy, Quota, Relation, RetentionRow, SubscriptionRow, Target};
use protocol::hello::{Hello, Reauth};
use protocol::hop::Hop;
use protocol::query::{Answer, Cut, ReadFault};
use protocol::{ChannelId, DeviceId, Frame, Seq, ShardId, UserId};

use crate::push::Providers;
use crate::words::Words;

/// Milliseconds on the driver's monotonic clock; the zero is arbitrary.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Tick(pub u64);

impl Tick {
    /// So many milliseconds later.
    #[must_use]
    pub fn after_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// The next whole second: what is looked at now and then is looked at together.
    #[must_use]
    pub(crate) fn to_second(self) -> Self {
        Self(self.0.next_multiple_of(1000))
    }
}

/// A driver's name for a connection; below [`ConnId::END`], and never used again within a process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId(pub u64);

impl ConnId {
    /// Drivers make numbers below this.
    pub const END: u64 = 1 << 57;
}

/// The control plane's name for a request that comes without a connection; never used again within a process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GuestId(pub u64);

/// What links an effect to its completion; never used again within a process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// One fact. Inputs of one source come in the order in which they happened.
#[derive(Debug)]
pub enum Input {
    /// A connection has said Hello with a valid token. It may send frames from now on. If the user's home is another
    /// shard, this one holds the connection, and the home serves it by hops.
    /// A lost one cannot be: the driver that loses a connection closes it, and the device comes again.
    Hello {
        /// The connection.
        conn: ConnId,
        /// What the device said.
        hello: Hello,
    },
    /// The connection has shown a fresh valid token of its own user and device.
    Reauth {
        /// The connection.
        conn: ConnId,
        /// What the device showed.
        reauth: Reauth,
    },
    /// A whole unstamped frame after Hello (never Hello or Reauth). Its body is not checked yet.
    Frame {
        /// From where.
        conn: ConnId,
        /// What.
        frame: Frame,
    },
    /// The connection's egress queue after a flush, in bytes. Told when a flush leaves bytes behind and whenever a queue
    /// told of before becomes shorter; a connection that is never told of is drained by every flush.
    Egress {
        /// Which.
        conn: ConnId,
        /// Bytes still waiting.
        queued: usize,
    },
    /// The connection took bytes, and what waits for it is no less than was told: it grew meanwhile, or leaves the queue as
    /// a whole. Told so that a slow reader is not taken for one that reads nothing; a lost one is made up for by the next.
    Took {
        /// Which.
        conn: ConnId,
    },
    /// The driver reads the connection no further until it has room for the rest of a message (false), or reads it again
    /// (true): meanwhile its silence says nothing. Told of connections that have said Hello.
    Reads {
        /// Which.
        conn: ConnId,
        /// Whether it is read.
        is_read: bool,
    },
    /// The connection is gone, whoever ended it. Also told after the core itself asked for the close.
    Closed {
        /// Which.
        conn: ConnId,
    },
    /// Somebody asks for one thing without a connection, with a token that was checked. Told to the user's home only.
    /// Answered by `Effect::Answered`, or ended by `Effect::Dismissed`, within [`crate::limits::GUEST_MS`] once the user is
    /// in memory. Lost only with the process: then it is asked again; a send is repeatable.
    Guest {
        /// The request.
        guest: GuestId,
        /// Who asks. The cursor does not matter.
        hello: Hello,
        /// A message, or a request that a page answers.
        frame: Frame,
    },
    /// Whoever waited for a guest's answer is gone. A lost one costs the guest's place until its time is over.
    GuestGone {
        /// Which.
        guest: GuestId,
    },
    /// A hop from the ring of another shard.
    Hop {
        /// From which shard.
        from: ShardId,
        /// What.
        hop: Hop,
    },
    /// Every batch of the shard up to and with `number` is on stable storage. An error has no input: the process ends.
    Stored {
        /// Cumulative.
        number: u64,
    },
    /// A query is answered; `Err` when the store could not read.
    Read {
        /// Of which effect.
        ticket: Ticket,
        /// What was found.
        answer: Result<Answer, ReadFault>,
    },
    /// The control plane wants something. Answered by `Effect::Reply` with the same ticket.
    Control {
        /// The control plane's own number, not the core's.
        ticket: Ticket,
        /// What.
        command: Command,
    },
    /// These words count from now on; `None`: none do. What was checked before goes on as it was.
    Words(Option<Arc<dyn Words>>),
    /// Devices are told of what they miss through these from now on.
    Providers(Arc<dyn Providers>),
    /// The control plane wants messages of a channel purged, or kept for another time than before. Told to the channel's home.
    /// Answered by `Effect::Reply` with the same ticket once it is durable. Repeatable; lost only with the process.
    Purge {
        /// The control plane's own number, not the core's.
        ticket: Ticket,
        /// Of which channel.
        channel: ChannelId,
        /// What.
        keeping: Keeping,
    },
    /// The control plane wants the next step of the erasure of a user from a channel. Told to the channel's home. Answered by
    /// `Effect::Reply` with the same ticket; asked again until it is [`CommandError::NothingLeft`]. Repeatable; lost only with the
    /// process.
    Erase {
        /// The control plane's own number, not the core's.
        ticket: Ticket,
        /// Which channel.
        channel: ChannelId,
        /// Who is erased. Its devices are gone.
        user: UserId,
    },
    /// Disk space fell below (true) or rose above (false) the reserve.
    SpaceLow(bool),
    /// Stop admitting; finish what is in flight; close every connection with a hint. Ends with `Effect::Drained`.
    Drain,
}

/// What the control plane can ask of a channel's home.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keeping {
    /// These messages are gone from now on.
    Purge(Cut),
    /// How long its messages are kept; `None`: as the server's setting says.
    Retain(Option<RetentionRow>),
    /// All of a user's own channel is gone, and what the user has noted there with it: drafts, settings, what it has hidden.
    Forget,
}

/// What the control plane can ask of a user's home. Every command is repeatable; what it changed is durable before the
/// answer. Lost only with the process: then there is no answer, and it is asked again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Make the user known to the core.
    CreateAccount {
        /// Who.
        user: UserId,
        /// Its row, if there is none yet.
        row: AccountRow,
    },
    /// Make a device exist, before a token for it is signed: a Hello makes none.
    AddDevice {
        /// Whose.
        user: UserId,
        /// Which.
        device: DeviceId,
        /// Every device that the control plane knows of the user. When all places are taken, the oldest devices that
        /// it does not know give way: nobody could ever name them to have them removed, so they would keep the user
        /// out for good. While there is room they stay, because a list can be older than a device.
        known: Vec<DeviceId>,
    },
    /// Forget a device and end its session.
    RemoveDevice {
        /// Whose.
        user: UserId,
        /// Which.
        device: DeviceId,
    },
    /// Who may come near a user from now on.
    SetPolicy {
        /// Who.
        user: UserId,
        /// Its policy.
        policy: Policy,
    },
    /// What a user may do in an hour from now on.
    SetQuota {
        /// Who.
        user: UserId,
        /// Its own bounds.
        quota: Quota,
    },
    /// What a user thinks of another from now on.
    Relate {
        /// Who.
        user: UserId,
        /// Of whom.
        other: UserId,
        /// What.
        relation: Relation,
    },
    /// For every shard, once a user's home has carried out one of those two: what the user said before is forgotten. From
    /// the answers on nothing passes that the user has refused.
    Withdraw {
        /// Who.
        user: UserId,
    },
    /// Forget all devices of a user, or all but one, end their sessions, and refuse older tokens.
    LogOutAll {
        /// Whose.
        user: UserId,
        /// Tokens that were issued before this are refused from now on, milliseconds since the Unix epoch. It never
        /// steps back.
        not_before_ms: u64,
        /// A device that stays; it needs a new token, too.
        keep: Option<DeviceId>,
    },
    /// Tell a device by push from now on, or elsewhere than before.
    Subscribe {
        /// Whose.
        user: UserId,
        /// Which device, through whom.
        target: Target,
        /// Where and how.
        row: Box<SubscriptionRow>,
    },
    /// Do not tell it there any more.
    Unsubscribe {
        /// Whose.
        user: UserId,
        /// Which.
        target: Target,
        /// Only the one that was made then: the provider says that it is dead, and the device may have made another.
        made_ms: Option<u64>,
    },
    /// Turn push off on all devices of a user, or on again. Subscriptions stay.
    SetPush {
        /// Whose.
        user: UserId,
        /// Off, or on again.
        is_off: bool,
    },
    /// What became of a job of push.
    Pushed {
        /// Who was to be told.
        user: UserId,
        /// Of which channel.
        channel: ChannelId,
        /// The job's newest message when it was read. A job that was replaced since is not ended by it.
        seq: Seq,
        /// What.
        outcome: PushOutcome,
        /// Whose providers have taken it since they were told last, and can be told that it is read.
        taken: Vec<Target>,
    },
    /// Devices were told that what they show is read, or it was found that they are not to be told.
    PushWithdrawn {
        /// Whose.
        user: UserId,
        /// Of which channel.
        channel: ChannelId,
        /// The newest message that they show. What they were shown since is not ended by it.
        seq: Seq,
    },
}

/// What became of a job of push.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PushOutcome {
    /// Everybody has it, or nobody wants it.
    Done {
        /// Of how many messages it told.
        count: u32,
    },
    /// Not now. After so many attempts it is parked.
    Retry {
        /// Not before then, milliseconds since the Unix epoch.
        at_ms: u64,
        /// Who does not have it yet.
        targets: Vec<Target>,
        /// It failed, and was not only too early.
        has_failed: bool,
    },
    /// Never, as it is: an operator looks at it.
    Park,
}

impl Command {
    /// Whose home is asked.
    #[must_use]
    pub fn user(&self) -> UserId {
        match self {
            Self::CreateAccount { user, .. }
            | Self::AddDevice { user, .. }
            | Self::RemoveDevice { user, .. }
            | Self::SetPolicy { user, .. }
            | Self::SetQuota { user, .. }
            | Self::Relate { user, .. }
            | Self::Withdraw { user }
            | Self::LogOutAll { user, .. }
            | Self::Subscribe { user, .. }
            | Self::Unsubscribe { user, .. }
            | Self::SetPush { user, .. }
            | Self::PushWithdrawn { user, .. }
            | Self::Pushed { user, .. } => *user,
        }
    }
}

/// Why a command was not carried out. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommandError {
    /// The user has its full number of devices, and the control plane knows all of them; or of subscriptions.
    Full,
    /// The user has no account here.
    NoSuchUser,
    /// Not now: the same command can be carried out after so many milliseconds.
    Busy {
        /// When to come again.
        retry_after_ms: u32,
    },
    /// The disk is nearly full: nothing is written.
    StorageFull,
    /// The user or the channel lives at another shard: the one who asked has another placement.
    OtherHome,
    /// The channel has no message.
    NoSuchChannel,
    /// Nothing of the user who is erased is left in the channel.
    NothingLeft,
    /// It is a user's own: what stands in it is what holds of the user's drafts and settings, and nothing of it is purged.
    OwnChannel,
}

impl core::fmt::Display for CommandError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Full => f.write_str("the user has its full number of devices"),
            Self::NoSuchUser => f.write_str("the core does not know the user"),
            Self::Busy { retry_after_ms } => {
                write!(f, "the user's rows cannot be read now; try again in {retry_after_ms} ms")
            }
            Self::StorageFull => f.write_str("the disk is nearly full"),
            Self::OtherHome => f.write_str("the user or the channel has another home"),
            Self::NothingLeft => f.write_str("nothing of the user is left in the channel"),
            Self::NoSuchChannel => f.write_str("there is no such channel with messages"),
            Self::OwnChannel => {
                f.write_str("it is a user's own channel, which holds drafts and settings and is not purged")
            }
        }
    }
}

impl core::error::Error for CommandError {}
