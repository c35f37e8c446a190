//! What a store can be asked, and what it answers. Answers hold committed facts only.

mod fault;
mod trace;

use std::sync::Arc;

use crate::body::about::Recalled;
use crate::body::list::ChannelDetail;
use crate::commit::{
    AccountRow, ChannelRow, DeviceRow, ErasedRow, Facts, FloorRow, Interval, JobRow, Pinned, PositionRow,
    Prefs, PresenceRow, Provider, Relation, RetentionRow, Said, Sanction, ShownRow, SubscriptionRow, Target,
};
use crate::frame::{Frame, Stamp};
use crate::id::{BayId, ChannelId, DeviceId, Generation, InboxSeq, SendId, Seq, UserId};
use crate::kind::Kind;
use crate::partition::Bays;

pub use fault::ReadFault;
pub use trace::{TRACE_USERS_MAX, Traceable, Traced, TracedMessage, TracedUser};

/// A question. Each is answered by the [`Answer`] of the same name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Query {
    /// A user's rows, to load it cold.
    User(UserId),
    /// A channel's rows, to load it cold.
    Channel(ChannelId),
    /// Who sent the newest messages of a channel under which send id: the dedup window. The newest
    /// [`DEDUP_MESSAGES_MIN`] always; beyond them it ends where a message is older than `since_ms`, or where more than
    /// [`DEDUP_BYTES_MAX`] of frames would have to be read.
    ///
    /// [`DEDUP_MESSAGES_MIN`]: crate::limits::DEDUP_MESSAGES_MIN
    /// [`DEDUP_BYTES_MAX`]: crate::limits::DEDUP_BYTES_MAX
    Window {
        /// The channel.
        channel: ChannelId,
        /// Most messages.
        count: u32,
        /// The least time of a message beyond the newest.
        since_ms: u64,
    },
    /// An inbox behind `after`, with the messages that the pointers name.
    Inbox {
        /// Whose.
        user: UserId,
        /// Exclusive lower end.
        after: InboxSeq,
        /// Bounds; at least one message is answered whatever its size.
        page: PageBounds,
    },
    /// Messages with `after < seq < before`.
    History {
        /// The channel.
        channel: ChannelId,
        /// Exclusive lower end.
        after: Seq,
        /// Exclusive upper end.
        before: Seq,
        /// From the upper end instead of the lower. The answer is rising either way.
        newest: bool,
        /// Bounds; at least one message is answered whatever its size.
        page: PageBounds,
    },
    /// The user's own list, with names and heads.
    Joined {
        /// Whose.
        user: UserId,
        /// Channels with a larger id.
        after: ChannelId,
        /// At most so many.
        limit: u32,
    },
    /// The user's own list with what a first screen shows.
    Listing {
        /// Whose.
        user: UserId,
        /// Which of them, and in which order.
        order: ListOrder,
        /// At most so many.
        limit: u32,
    },
    /// What a user has noted: drafts with their messages, or hidden messages.
    Notes {
        /// Who.
        user: UserId,
        /// Whether hidden messages, and not drafts.
        hidden: bool,
        /// Of this channel only.
        about: Option<ChannelId>,
        /// Behind this channel, and thread or seq of the note.
        after: (ChannelId, u64),
        /// Bounds; at least one is answered whatever its size.
        page: PageBounds,
    },
    /// Messages before a place and from there on.
    Around {
        /// The channel.
        channel: ChannelId,
        /// Who reads.
        user: UserId,
        /// What the user may read, rising, both ends inclusive; not empty.
        readable: Vec<(Seq, Seq)>,
        /// The place.
        pivot: Pivot,
        /// Bounds: half of the messages before the place. At least one message is answered whatever its size.
        page: PageBounds,
    },
    /// When a user was a member of a group, now or before.
    Membership {
        /// The group.
        channel: ChannelId,
        /// Who.
        user: UserId,
    },
    /// How often users were members of a group before, and how far they had come.
    Earlier {
        /// The group.
        channel: ChannelId,
        /// At most as many as a group has members.
        users: Arc<[UserId]>,
    },
    /// Users as members of a large channel now.
    Members {
        /// The channel.
        channel: ChannelId,
        /// Who.
        users: Arc<[UserId]>,
    },
    /// The present members of a large channel, rising.
    MembersPage {
        /// The channel.
        channel: ChannelId,
        /// Those with a larger id.
        after: UserId,
        /// At most so many.
        limit: u32,
    },
    /// What a user has said of another.
    Relation {
        /// Who.
        user: UserId,
        /// Of whom.
        other: UserId,
    },
    /// Messages of a thread with `after < seq < before`.
    Thread {
        /// The channel.
        channel: ChannelId,
        /// With which message the thread begins.
        root: Seq,
        /// Exclusive lower end.
        after: Seq,
        /// Exclusive upper end.
        before: Seq,
        /// From the upper end instead of the lower. The answer is rising either way.
        newest: bool,
        /// First and last seq of those that are counted.
        counted: (Seq, Seq),
        /// Bounds; at least one message is answered whatever its size.
        page: PageBounds,
    },
    /// A message about which something is to be said, and what is said of it already.
    Target {
        /// The channel.
        channel: ChannelId,
        /// The message.
        seq: Seq,
        /// Who says it.
        user: UserId,
        /// Whether its edits are told too: each is one more message to read.
        edits: bool,
    },
    /// What is said about messages with `from <= seq <= through`, and what is pinned in their channel.
    About {
        /// The channel.
        channel: ChannelId,
        /// The first.
        from: Seq,
        /// The last.
        through: Seq,
        /// Whose own reactions are told.
        user: UserId,
        /// Who reacted is told, and not how texts read now.
        who: bool,
        /// Bounds, of messages of which something is said and of bytes; one is answered whatever its size.
        page: PageBounds,
    },
    /// What mentions a user, newest first.
    Mentions {
        /// Who is meant.
        user: UserId,
        /// Those whose place in the inbox is before this.
        before: InboxSeq,
        /// At most so many.
        limit: u32,
    },
    /// The fan-out log of `source` behind `after`, as deliveries for the users of the bays `dests`. The recipients of seq
    /// n are the members at n and its sender, whatever changed since.
    Replay {
        /// Whose log.
        source: BayId,
        /// Exclusive lower end.
        after: u64,
        /// Inclusive upper end: nothing beyond is read.
        until: u64,
        /// For whose users.
        dests: Bays,
        /// Bounds; at least one log row is answered whatever its size.
        page: PageBounds,
    },
    /// What the users of a bay are still to be told by push.
    Jobs {
        /// Which bay.
        bay: BayId,
        /// Behind this one.
        after: Option<(UserId, ChannelId)>,
        /// At most so many.
        limit: u32,
    },
    /// What the users of a bay have read and devices may still show: it is still to be withdrawn.
    Withdrawals {
        /// Which bay.
        bay: BayId,
        /// Behind this one.
        after: Option<(UserId, ChannelId)>,
        /// At most so many.
        limit: u32,
    },
    /// All that a push to a user of a channel is made of.
    Push {
        /// Who is told.
        user: UserId,
        /// Of which channel.
        channel: ChannelId,
    },
    /// Where a channel's history begins, and where it would begin behind a purge.
    Floor {
        /// The channel.
        channel: ChannelId,
        /// What is to be purged.
        cut: Cut,
    },
    /// What of a user is still to be erased from a channel, from where its erasure has come to.
    Written {
        /// The channel.
        channel: ChannelId,
        /// Who is erased.
        user: UserId,
        /// Bounds: of texts and reactions that are found, and of bytes that are read for them.
        page: PageBounds,
    },
    /// What became of a message, for an operator.
    Trace {
        /// The channel.
        channel: ChannelId,
        /// Which message.
        seq: Seq,
        /// Of those who were to have it, those with a larger id.
        after: UserId,
        /// At most so many of them, and at most [`TRACE_USERS_MAX`].
        limit: u32,
    },
}

/// What is to be purged of a channel: a message is, for which one of these says so. All of them spare what is younger than
/// `younger_ms`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cut {
    /// Those with a smaller seq; 0 for none.
    pub below: Seq,
    /// Those of before this time, in milliseconds since the Unix epoch; 0 for none.
    pub before_ms: u64,
    /// All but so many of the newest.
    pub keep: Option<u64>,
    /// None of this time or later.
    pub younger_ms: u64,
    /// At most so many at once, the oldest of them; 0 for any number.
    pub most: u64,
}

/// Which channels of a user, and in which order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListOrder {
    /// Rising by id, behind this one.
    Id(ChannelId),
    /// Pinned ones, then the newest message first, below this position of the inbox; 0 for all.
    Recent(InboxSeq),
    /// Those of which the inbox holds something behind this position.
    Changed(InboxSeq),
}

/// A place in a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pivot {
    /// This seq.
    Seq(Seq),
    /// The first message at or after this time, in milliseconds since the Unix epoch.
    Time(u64),
    /// The first message behind the reader's position.
    Unread,
}

/// Bounds of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageBounds {
    /// Most messages.
    pub messages: u32,
    /// Most bytes of frames.
    pub bytes: usize,
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// See [`Query::User`].
    User {
        /// `None`: no such user.
        account: Option<AccountRow>,
        /// At most [`crate::limits::DEVICES_MAX`].
        devices: Vec<(DeviceId, DeviceRow)>,
        /// The newest pointer's position; 0 for none.
        inbox_head: InboxSeq,
        /// What is stored of its presence.
        presence: PresenceRow,
        /// Of push.
        push: PushRows,
        /// Large channels in which the user is, as far as its home knows.
        followed: Box<[ChannelId]>,
    },
    /// See [`Query::Channel`].
    Channel {
        /// `None` for a direct channel and for a group that does not exist.
        row: Option<ChannelRow>,
        /// The present members, rising by user; of a direct channel those of the two who have a position, of a large one none.
        members: Vec<(UserId, Member)>,
        /// The newest message's seq; 0 for none.
        head: Seq,
        /// The newest message's time; 0 for none.
        time_ms: u64,
        /// What is laid down for a group.
        rules: RuleRows,
    },
    /// See [`Query::Window`]: rising by seq.
    Window(Vec<Sent>),
    /// See [`Query::Inbox`].
    Inbox {
        /// The messages in inbox order; the first is at `after + 1`.
        frames: Vec<Frame>,
        /// The position of the last; `after` when there is none.
        through: InboxSeq,
    },
    /// See [`Query::History`]: rising by seq.
    History(Vec<Frame>),
    /// See [`Query::Joined`]: rising by channel.
    Joined {
        /// The page.
        items: Vec<JoinedItem>,
        /// Whether more follow behind the last.
        more: bool,
    },
    /// See [`Query::Listing`].
    Listing(Listing),
    /// See [`Query::Notes`]: rising.
    Notes {
        /// The page.
        notes: Noted,
        /// Whether more follow behind the last.
        more: bool,
    },
    /// See [`Query::Around`].
    Around {
        /// The place, or the next that may be read; above the last readable seq when there is none.
        pivot: Seq,
        /// Rising by seq, without a gap.
        frames: Vec<Frame>,
    },
    /// See [`Query::Membership`]: rising, at most [`crate::limits::INTERVALS_MAX`] of them; empty for a stranger.
    Membership(Vec<Interval>),
    /// See [`Query::Earlier`]: in the order of the users.
    Earlier(Vec<Earlier>),
    /// See [`Query::Members`]: in the order of the users; `None` for who is no member.
    Members(Vec<Option<Member>>),
    /// See [`Query::MembersPage`].
    MembersPage {
        /// The page.
        items: Vec<(UserId, Member)>,
        /// Whether more follow behind the last.
        more: bool,
    },
    /// See [`Query::Relation`].
    Relation(Relation),
    /// See [`Query::Thread`].
    Thread {
        /// Rising by seq.
        frames: Vec<Frame>,
        /// Whether the window holds more in the direction asked for.
        more: bool,
        /// How many of the thread stand between the counted ends, at most [`crate::limits::THREAD_COUNTED_MAX`].
        total: u32,
        /// The newest of them; 0 for none.
        newest: Seq,
    },
    /// See [`Query::Mentions`].
    Mentions {
        /// Falling by `at`.
        items: Vec<Mention>,
        /// The channels of the page, rising, with their unread mentions: at most
        /// [`crate::limits::MENTIONS_COUNTED_MAX`] are counted of each.
        unread: Vec<(ChannelId, u32)>,
        /// Whether there are older ones.
        more: bool,
    },
    /// See [`Query::Target`].
    Target {
        /// Kind and key of the message; `None` when there is none.
        message: Option<(Kind, Sent)>,
        /// What stands in its place, when it was recalled.
        recalled: Option<Box<Recalled>>,
        /// What is said of it.
        facts: Facts,
        /// Keys of its edits, rising, when they were asked for.
        edits: Vec<Sent>,
    },
    /// See [`Query::About`].
    About {
        /// In the order in which they were pinned.
        pins: Vec<Pinned>,
        /// Rising by seq.
        items: Vec<AboutMessage>,
        /// Whether something is said of messages of the range behind the last.
        more: bool,
    },
    /// See [`Query::Replay`].
    Replay {
        /// Messages that have recipients in `dests`, in log order, each with its log row's number.
        deliveries: Vec<(u64, Delivery)>,
        /// The log is covered up to and with this number; `after` when there is no more.
        through: u64,
    },
    /// See [`Query::Jobs`]: in the order of the partitions, of each rising by user and channel.
    Jobs {
        /// The page.
        items: Vec<(UserId, ChannelId, JobRow)>,
        /// Whether more follow behind the last.
        more: bool,
    },
    /// See [`Query::Withdrawals`]: in the order of [`Self::Jobs`].
    Withdrawals {
        /// The page.
        items: Vec<(UserId, ChannelId)>,
        /// Whether more follow behind the last.
        more: bool,
    },
    /// See [`Query::Push`].
    Push(Box<PushFacts>),
    /// See [`Query::Floor`].
    Floor {
        /// As it is.
        now: FloorRow,
        /// As it would be; the same where nothing is to be purged.
        then: FloorRow,
        /// The newest message's seq; 0 for none.
        head: Seq,
        /// How long the channel keeps its messages, where that is said.
        retention: Option<RetentionRow>,
    },
    /// See [`Query::Written`].
    Written(Box<Written>),
    /// See [`Query::Trace`].
    Trace(Box<Traced>),
}

/// What a user has left in a part of a channel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Written {
    /// How far its erasure has come; `None` when none has begun.
    pub row: Option<ErasedRow>,
    /// Its texts, rising, each with what is said of it.
    pub texts: Vec<(Sent, Said)>,
    /// Edits, each with the text that it is of: of those texts, and of texts that are no more.
    pub edits: Vec<(Sent, Seq)>,
    /// Texts of others to which it reacts, each with what is said of it and the ways.
    pub reactions: Vec<(Seq, Said, Vec<String>)>,
    /// What is pinned in the channel.
    pub pins: Vec<Pinned>,
    /// The newest message for which one of these stands here; 0 for none.
    pub newest: Seq,
    /// The channel was looked at up to and with this message.
    pub through: Seq,
    /// The newest message's seq; 0 for none.
    pub head: Seq,
}

impl Written {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.newest == Seq(0)
    }
}

/// What a user's home keeps in memory of push.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PushRows {
    /// Its subscriptions and when each was made; none for most users.
    pub subscriptions: Vec<(Target, u64)>,
    /// What it is still to be told, rising by channel; read only of who has a subscription.
    pub jobs: Vec<(ChannelId, JobRow)>,
    /// What its devices may show, in no order; read as the jobs are.
    pub shown: Vec<(ChannelId, ShownRow)>,
    /// The user has turned push off.
    pub is_off: bool,
}

/// What a push is made of.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PushFacts {
    /// The job; `None` when there is none any more.
    pub job: Option<JobRow>,
    /// Every subscription of the user.
    pub subscriptions: Vec<(DeviceId, Provider, SubscriptionRow)>,
    /// How the user wants to be told of the channel.
    pub prefs: Prefs,
    /// How far the user has read there.
    pub read: Seq,
    /// The job's message.
    pub message: Option<Frame>,
    /// Whether the user has blocked who sent it.
    pub is_blocked: bool,
    /// Name of a group; empty for a direct channel.
    pub name: String,
    /// What devices may show of the channel, and is read.
    pub shown: Option<ShownRow>,
    /// The user has turned push off.
    pub is_off: bool,
}

/// What is laid down for a group.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RuleRows {
    /// A plain member sends a text only so many seconds after its last; 0 for no wait.
    pub interval_s: u32,
    /// Who is muted or banned, rising; at most [`crate::limits::SANCTIONS_MAX`].
    pub sanctions: Vec<(UserId, Sanction)>,
    /// When members sent last, rising by user; read only of a group that is slow.
    pub sent: Vec<(UserId, u64)>,
}

/// What is said of one message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AboutMessage {
    /// Which.
    pub seq: Seq,
    /// What.
    pub said: Said,
    /// How the user who asks reacts.
    pub own: Vec<String>,
    /// How it reads now, when it was edited and that was asked for.
    pub text: String,
    /// Who reacts and how, rising by user, when that was asked for.
    pub who: Vec<(UserId, Vec<String>)>,
}

/// The fingerprint of a message that was recalled: any content counts as its own, since nothing is kept that tells what it
/// was.
pub const ANY_CONTENT: u64 = 0;

/// The idempotency key of a stored message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sent {
    /// Its position.
    pub seq: Seq,
    /// Its time.
    pub time_ms: u64,
    /// Who sent it.
    pub sender: UserId,
    /// Under which number.
    pub send_id: SendId,
    /// [`Frame::fingerprint`] of it; [`ANY_CONTENT`] for one that was recalled.
    pub fingerprint: u64,
}

impl Sent {
    /// The key of a stored message.
    #[must_use]
    pub fn of(frame: &Frame) -> Option<Self> {
        let Stamp { seq, time_ms, sender } = frame.read_stamp()?;
        let is_recalled = frame.kind() == Kind::RECALLED;
        let fingerprint = if is_recalled { ANY_CONTENT } else { frame.fingerprint() };
        Some(Self { seq, time_ms, sender, send_id: frame.send_id(), fingerprint })
    }

    /// Its stamp.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp { seq: self.seq, time_ms: self.time_ms, sender: self.sender }
    }
}

/// A present member of a channel. Who was one before costs no memory: the store is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Member {
    /// As in SetRole.
    pub role: u8,
    /// Seq of the message that made the user a member; 1 in a direct channel.
    pub joined: Seq,
    /// The how many-th stay this is, from 1.
    pub number: u32,
    /// How far the user has come.
    pub position: PositionRow,
}

/// What a group's rows remember of a user who is not in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Earlier {
    /// How often the user was a member.
    pub stays: u32,
    /// How the last stay ended.
    pub ended: Ended,
    /// How far the user had come.
    pub position: PositionRow,
}

/// How a user's last stay in a group ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ended {
    /// There was none, or the user was removed.
    #[default]
    Not,
    /// The user left.
    Left,
    /// It was none, but an invitation.
    Invited {
        /// Whose.
        by: UserId,
    },
}

/// One message that mentions a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mention {
    /// Its place in the user's inbox.
    pub at: InboxSeq,
    /// The channel.
    pub channel: ChannelId,
    /// Its position there.
    pub seq: Seq,
    /// Its time.
    pub time_ms: u64,
    /// Who sent it.
    pub sender: UserId,
}

/// One row of a user's own list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinedItem {
    /// The channel.
    pub channel: ChannelId,
    /// Since when.
    pub joined: Seq,
    /// `None` while a member.
    pub left: Option<Seq>,
    /// How far read; 0 for nothing.
    pub read: Seq,
    /// Messages of others above `read`, as docs/protocol.md counts them.
    pub unread: u64,
    /// The newest seq that the user may read.
    pub head: Seq,
    /// A group's name, now or when the user left; empty for a direct channel.
    pub name: String,
}

/// A page of a user's own list with what a first screen shows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Listing {
    /// In the order asked for.
    pub items: Vec<(JoinedItem, ChannelDetail)>,
    /// The newest position of the inbox when it was read.
    pub through: InboxSeq,
    /// Where the next page by time begins.
    pub next: InboxSeq,
    /// Too much has changed to tell; nothing is.
    pub needs_snapshot: bool,
    /// Whether more follow.
    pub more: bool,
}

/// What a user has noted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Noted {
    /// Channel, thread, and the message that holds the draft.
    Drafts(Vec<(ChannelId, Seq, Frame)>),
    /// Channel, seq of the note in the user's own channel, first and last hidden seq.
    Hidden(Vec<(ChannelId, Seq, (Seq, Seq))>),
}

/// One message for some of its recipients.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// The channel.
    pub channel: ChannelId,
    /// The position.
    pub seq: Seq,
    /// The stamped frame.
    pub frame: Frame,
    /// Of an answer those whose bay was asked for, of a hop those whose home is its destination; sorted by (bay, user).
    pub recipients: Arc<[UserId]>,
    /// Of a large channel the message with which it became one; `None` for any other, and for messages before it.
    pub grown: Option<Seq>,
}

/// What a shard must know of a bay before its first step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BayState {
    /// Which bay.
    pub bay: BayId,
    /// The life of every inbox in it.
    pub generation: Generation,
    /// The newest number of its fan-out log; 0 for none.
    pub fanout_head: u64,
    /// The oldest number still in its log; 0 for none.
    pub fanout_tail: u64,
    /// Applied through, by source bay: 64 numbers.
    pub applied: Vec<u64>,
}
