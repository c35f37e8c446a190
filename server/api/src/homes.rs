//! What the control plane asks of the data plane.

mod export;
mod poll;
mod push;
mod search;
mod trace;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use protocol::commit::{FloorRow, Policy, Provider, Quota, Relation, RetentionRow};
use protocol::query::{Cut, JoinedItem, Member};
use protocol::token::{Claims, Key};
use protocol::{ChannelId, DeviceId, Frame, Seq, UserId};

pub use export::{Export, ExportBroken, ExportOf, ExportRefusal};
pub use poll::{PollAnswer, PollRefusal, PollRequest};
pub use push::{ParkedJob, PushRefusal, Subscribe, Subscription, Subscriptions, TestAnswer};
pub use search::{Search, SearchHit, SearchPage, SearchRefusal, SearchReport};
pub use trace::{PushLine, PushWord, Trace};

/// An answer that is on its way.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where a user's devices connect best. Only a hint: every address serves everybody.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The user's home.
    pub shard: u16,
    /// How many there are.
    pub shards: u16,
    /// Where QUIC is, and the SHA-256 of its certificate in hex; `None` when it is off.
    pub quic: Option<(SocketAddr, String)>,
}

/// What somebody asks of the data plane without a connection.
#[derive(Clone, Debug)]
pub struct Visit {
    /// In whose name; the token was checked, and the user's home checks whether it still counts.
    pub claims: Claims,
    /// A message, or a request that a page answers.
    pub frame: Frame,
}

/// Why the data plane did not do it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HomeError {
    /// The user has its full number of devices.
    #[error("the user has its full number of devices")]
    Full,
    /// The user is not known to its home.
    #[error("the core does not know the user")]
    NoSuchUser,
    /// The disk is nearly full.
    #[error("the disk is nearly full")]
    StorageFull,
    /// Not now; words for the log. It may have been done all the same.
    #[error("{0}")]
    NotNow(String),
}

/// Most channels whose history has a family of its own.
pub const FAMILIES_MAX: usize = 64;

/// A channel whose history has a RocksDB family of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Family {
    /// The channel.
    pub channel: ChannelId,
    /// The family's name in the store.
    pub name: String,
    /// Its first message.
    pub from: Seq,
    /// The first message behind it; none while new messages go there.
    pub until: Option<Seq>,
    /// Whether messages are still being moved.
    pub is_moving: bool,
    /// Bytes in files and in memory.
    pub bytes: u64,
}

/// What a channel keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Kept {
    /// Where its history begins.
    pub floor: FloorRow,
    /// Its newest message.
    pub head: Seq,
    /// How long it keeps what is said, where that is said of it alone.
    pub retention: Option<RetentionRow>,
}

/// Why nothing was purged, and nothing said of the retention.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeepRefusal {
    /// No message was ever sent there.
    #[error("there is no such channel with messages")]
    Unknown,
    /// It is a user's own.
    #[error("it is a user's own channel, which holds drafts and settings and is not purged")]
    OwnChannel,
    /// The disk is nearly full.
    #[error("the disk is nearly full")]
    StorageFull,
    /// Not now; words for who asked.
    #[error("{0}")]
    NotNow(String),
}

/// Why a channel's history stays where it is.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FamilyRefusal {
    /// No message was ever sent there.
    #[error("there is no such channel with messages")]
    Unknown,
    /// It is so already, or is on its way to it.
    #[error("the channel has a family of its own already, has none to give back, or is giving it back")]
    Unchanged,
    /// As many as may have one.
    #[error(
        "{FAMILIES_MAX} channels have a family of their own, and no more may; let another give its back first"
    )]
    AllTaken,
    /// The disk is nearly full.
    #[error("the disk is nearly full")]
    StorageFull,
    /// The store failed; words for the log.
    #[error("{0}")]
    Failed(String),
}

/// A user at its home, now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LiveUser {
    /// The home.
    pub shard: u16,
    /// The newest position of the inbox; `None` when the home has not read it lately.
    pub inbox_head: Option<u64>,
    /// Connected devices.
    pub sessions: Vec<LiveSession>,
    /// Bounds of its own, set by an operator.
    pub quota: Quota,
    /// Groups, conversations and bytes of messages that the user may still make, begin and have stored within the hour;
    /// `None`: any number.
    pub left: [Option<u64>; 3],
}

/// A connected device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LiveSession {
    /// Which.
    pub device: DeviceId,
    /// By which way.
    pub transport: Transport,
    /// How long nothing came from it, milliseconds.
    pub silent_ms: u64,
    /// Bytes that wait to be written to it.
    pub waiting_bytes: u64,
    /// Messages of the inbox that it was not sent yet.
    pub behind: u64,
    /// When its token ends, milliseconds since the Unix epoch.
    pub expires_ms: u64,
}

/// How a device speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// A WebSocket.
    WebSocket,
    /// A QUIC connection.
    Quic,
    /// Requests by HTTP.
    Poll,
}

impl Transport {
    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Quic => "quic",
            Self::Poll => "poll",
        }
    }
}

/// A channel as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StoredChannel {
    /// A group's name; empty for a direct channel.
    pub name: String,
    /// Its newest seq.
    pub head: u64,
    /// When its newest message was stored, milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// The present members, rising.
    pub members: Vec<(UserId, Member)>,
}

/// Why no backup was begun.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BackupRefused {
    /// The place is no place for a backup; says why.
    #[error("{0}")]
    Place(String),
    /// What is there, or what this server is, stands in the way; says what.
    #[error("{0}")]
    Conflict(String),
    /// Another one is being made.
    #[error("a backup is being made to {0}; wait for its end")]
    Running(String),
    /// There is no room for it; says where and how much is missing.
    #[error("{0}")]
    NoSpace(String),
}

/// The backup that is being made, or the one that was made last.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BackupReport {
    /// Where.
    pub to: String,
    /// Whether it is being made still.
    pub is_running: bool,
    /// When it was begun, milliseconds since the Unix epoch.
    pub began_ms: u64,
    /// When it ended; 0 while it runs.
    pub ended_ms: u64,
    /// Files in it, and their bytes; 0 while it runs.
    pub files: u64,
    /// See `files`.
    pub bytes: u64,
    /// Why there is none.
    pub error: Option<String>,
}

/// The data plane as the control plane sees it. Every command is repeatable, so an answer that was lost costs nothing
/// but asking again.
pub trait Homes: Send + Sync + 'static {
    /// Makes the user known to its home, durably.
    fn create_account(&self, user: UserId, created_ms: u64) -> Pending<'_, Result<(), HomeError>>;

    /// Makes the device known to its user's home, durably. `known` are all devices that SQL has of the user: when all
    /// places are taken, others give way.
    fn add_device(
        &self,
        user: UserId,
        device: DeviceId,
        known: Vec<DeviceId>,
    ) -> Pending<'_, Result<(), HomeError>>;

    /// Makes the user's home forget the device and end its session, durably.
    fn remove_device(&self, user: UserId, device: DeviceId) -> Pending<'_, Result<(), HomeError>>;

    /// Makes the user's home forget all devices but one, end their sessions and refuse tokens that were issued before
    /// `not_before_ms`, durably.
    fn log_out_all(
        &self,
        user: UserId,
        not_before_ms: u64,
        keep: Option<DeviceId>,
    ) -> Pending<'_, Result<(), HomeError>>;

    /// Makes the user's home know what the user thinks of another, durably, and every shard act by it.
    fn relate(&self, user: UserId, other: UserId, relation: Relation) -> Pending<'_, Result<(), HomeError>>;

    /// Makes the user's home know who may come near the user, durably, and every shard act by it.
    fn set_policy(&self, user: UserId, policy: Policy) -> Pending<'_, Result<(), HomeError>>;

    /// Makes the user's home know what the user may do in an hour, durably.
    fn set_quota(&self, user: UserId, quota: Quota) -> Pending<'_, Result<(), HomeError>>;

    /// What a device asks by HTTP in place of a connection.
    fn poll(&self, request: PollRequest) -> Pending<'_, Result<PollAnswer, PollRefusal>>;

    /// A device ends such a session. Nobody else's is ended.
    fn end_poll(&self, claims: Claims, session: u64) -> Pending<'_, Result<(), PollRefusal>>;

    /// Makes every shard verify tokens with these keys and no others; answered when all of them do.
    fn take_keys(&self, keys: Arc<[Key]>) -> Pending<'_, Result<(), HomeError>>;

    /// Asks the user's home for one thing, and gives all of its answer: the frame that a connection would get, be it a
    /// refusal, and a page's messages behind it. Whoever drops it asks no longer; a send may be carried out all the same.
    fn visit(&self, visit: Visit) -> Pending<'_, Result<Vec<Frame>, HomeError>>;

    /// What a user's home knows of it now.
    fn live_user(&self, user: UserId) -> Pending<'_, Result<LiveUser, HomeError>>;

    /// A page of a user's own list, rising by channel, and whether more follow.
    fn channels_of(
        &self,
        user: UserId,
        after: ChannelId,
        limit: u32,
    ) -> Pending<'_, Result<(Vec<JoinedItem>, bool), HomeError>>;

    /// A channel as it is stored; `None` when there was never a message.
    fn stored_channel(&self, channel: ChannelId) -> Pending<'_, Result<Option<StoredChannel>, HomeError>>;

    /// A stored message and behind it its edits, rising; empty when there is none.
    fn message_with_edits(&self, channel: ChannelId, seq: Seq) -> Pending<'_, Result<Vec<Frame>, HomeError>>;

    /// The channels whose history has a family of its own.
    fn families(&self) -> Pending<'_, Vec<Family>>;

    /// Gives a channel's history a family of its own; messages are moved beside all else.
    fn give_family(&self, channel: ChannelId) -> Pending<'_, Result<(), FamilyRefusal>>;

    /// Lets a channel give its family back.
    fn return_family(&self, channel: ChannelId) -> Pending<'_, Result<(), FamilyRefusal>>;

    /// Purges messages of a channel; durable with the answer.
    fn purge(&self, channel: ChannelId, cut: Cut) -> Pending<'_, Result<Kept, KeepRefusal>>;

    /// Sets how long a channel keeps its messages.
    fn retain(&self, channel: ChannelId, row: Option<RetentionRow>)
    -> Pending<'_, Result<Kept, KeepRefusal>>;

    /// What a channel keeps.
    fn kept(&self, channel: ChannelId) -> Pending<'_, Result<Kept, KeepRefusal>>;

    /// Ends the server as SIGTERM does: what is admitted is finished, and clients are told to come back.
    fn drain(&self);

    /// Where a user's devices connect best.
    fn route(&self, user: UserId) -> Route {
        let _ = user;
        Route { shard: 0, shards: 1, quic: None }
    }

    /// Whether the disk is so nearly full that whatever makes rows is refused.
    fn is_storage_full(&self) -> bool {
        false
    }

    /// Which shards have stopped working and why it is thought so, in words; `None`: all work.
    fn stalled(&self) -> Option<String> {
        None
    }

    /// Whether every shard serves and none drains.
    fn is_ready(&self) -> bool;

    /// What keeps the server from being ready, in words.
    fn waits_for(&self) -> Pending<'_, String> {
        Box::pin(async { "the server starts or drains".to_owned() })
    }

    /// Begins a backup of everything into a directory of the server's machine. It goes on when whoever asked has gone.
    fn begin_backup(&self, to: std::path::PathBuf) -> Pending<'_, Result<(), BackupRefused>> {
        let _ = to;
        Box::pin(async { Err(BackupRefused::Conflict("this server has nothing to back up".into())) })
    }

    /// The backup that is being made, or the last one since the start.
    fn backup(&self) -> Option<BackupReport> {
        None
    }

    /// Begins an export, from what is stored at this moment. It goes on as it is taken, and ends when whoever asked has gone.
    fn export(&self, of: ExportOf) -> Pending<'_, Result<Export, ExportRefusal>> {
        let _ = of;
        Box::pin(async { Err(ExportRefusal::Unknown) })
    }

    /// Finds messages that the user may read.
    fn search(&self, search: Search) -> Pending<'_, Result<SearchPage, SearchRefusal>> {
        let _ = search;
        Box::pin(async { Err(SearchRefusal::Off) })
    }

    /// The index that searches are answered from; `None`: there is none.
    fn search_report(&self) -> Option<SearchReport> {
        None
    }

    /// Makes the index anew from the histories; it goes on when whoever asked has gone.
    ///
    /// # Errors
    /// [`SearchRefusal::Off`].
    fn rebuild_search(&self) -> Result<(), SearchRefusal> {
        Err(SearchRefusal::Off)
    }

    /// The data plane's metrics in the Prometheus text format.
    fn metrics(&self) -> Pending<'_, String>;

    /// The key by which push services know this server; `None`: it tells nobody by push.
    fn push_key(&self) -> Option<String> {
        None
    }

    /// Tells a device by push from now on, durably.
    fn subscribe(
        &self,
        _user: UserId,
        _device: DeviceId,
        _subscribe: Subscribe,
    ) -> Pending<'_, Result<(), PushRefusal>> {
        Box::pin(async { Ok(()) })
    }

    /// Tells it no more, durably.
    fn unsubscribe(
        &self,
        _user: UserId,
        _device: DeviceId,
        _provider: Provider,
    ) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(async { Ok(()) })
    }

    /// Every subscription of a user.
    fn subscriptions(&self, _user: UserId) -> Pending<'_, Result<Subscriptions, HomeError>> {
        Box::pin(async { Ok(Subscriptions::default()) })
    }

    /// Turns push off on all devices of a user, or on again, durably.
    fn set_push(&self, _user: UserId, _is_off: bool) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(async { Ok(()) })
    }

    /// Calls every subscription of a user with a test; what each answered, in words.
    fn test_push(&self, _user: UserId) -> Pending<'_, Result<Vec<TestAnswer>, HomeError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// What became of a message, with a page of those who were to have it, behind `after`.
    fn trace(
        &self,
        _channel: ChannelId,
        _seq: Seq,
        _after: UserId,
        _limit: u32,
    ) -> Pending<'_, Result<Trace, HomeError>> {
        Box::pin(async { Ok(Trace::default()) })
    }

    /// Jobs that were tried too often, the first of them.
    fn parked_pushes(&self) -> Pending<'_, Result<Vec<ParkedJob>, HomeError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}
