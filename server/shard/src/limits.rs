//! Every bound of the core that is not a bound of the wire, and what an operator may set.

use crate::admit::Pace;
use protocol::limits::{
    DEVICES_MAX, FRAME_BYTES_MAX, GROUP_MEMBERS_DEFAULT, GROUP_MEMBERS_MAX, INTERVALS_MAX, LARGE_MEMBERS_MAX,
    PAGE_BYTES_MAX, WS_MESSAGE_BYTES_MAX,
};

/// What becomes of a text that holds a word of the operator's list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WordAction {
    /// It is refused.
    #[default]
    Refuse,
    /// It is sent, and the operator is told.
    Report,
}

/// What an operator may set, within these documented bounds.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Members of a group, 2 ..= 500.
    pub group_members: usize,
    /// Members of a large channel, which a group becomes that takes more than the bound above; 0: none does.
    /// At most 1,000,000.
    pub large_members: usize,
    /// How often one user may join one group, 1 ..= 256.
    pub member_stays: u32,
    /// Tokens that a session is given in a second, 1 ..= 1,000,000. A small frame costs one; see [`protocol::cost`].
    pub frames_per_s: u32,
    /// Tokens that a session has at once after a pause, 1 ..= 1,000,000.
    pub frames_burst: u32,
    /// Tokens that all devices of a user are given together in a second; `None`: four times those of a session.
    pub user_frames_per_s: Option<u32>,
    /// Tokens that they have at once after a pause; `None`: four times those of a session.
    pub user_frames_burst: Option<u32>,
    /// Groups that a user may make in an hour, and at once; 0: any number. At most 1,000,000.
    pub user_groups_per_h: u32,
    /// Conversations with one other that a user may begin in an hour, and at once; 0: any number. At most 1,000,000.
    pub user_directs_per_h: u32,
    /// MiB of messages that a user may have stored in an hour, and at once; 0: any number. At most 4,095.
    pub user_mib_per_h: u32,
    /// For how many seconds the sender of a text may recall it; 0: for ever. At most 315,360,000. Owners and admins of a group
    /// are not bound by it.
    pub recall_window_s: u32,
    /// What becomes of a text that holds a word of the list.
    pub words: WordAction,
    /// A device sends a heartbeat when nothing else was sent for so long; a session that was silent for
    /// two and a half times as long is closed. 1,000 ..= 600,000.
    pub heartbeat_ms: u32,
    /// How long after the last device of a user is gone others are told, 0 ..= 600,000.
    pub presence_grace_ms: u32,
    /// Bytes of presence that a session is told in a second, and at once after a pause, 256 ..= 1,000,000.
    pub presence_bytes_per_s: u32,
    /// Bytes that may wait at this shard, in all that its ledger counts, before whoever asks for more is refused. At least
    /// the egress of one connection; more than [`SHARD_BYTES_MAX`] is never reached.
    pub waiting_bytes: usize,
    /// Bytes that may wait for one connection before the session falls behind. At least one frame and a page.
    pub egress_bytes: usize,
    /// A connection that has not read a byte for so long while bytes waited is closed.
    pub stalled_ms: u64,
    /// Users kept in memory while they have no session.
    pub idle_users: usize,
    /// Channels kept in memory while nothing is in flight.
    pub idle_channels: usize,
    /// Messages that may wait unstored at one shard before their senders are no longer read.
    pub unstored_messages: usize,
    /// Bytes of frames that may wait unstored at one shard before their senders are no longer read. At least one frame.
    pub unstored_bytes: usize,
    /// Rows that may wait unstored at one shard before no more deliveries are applied there.
    pub unstored_rows: usize,
    /// Bytes of dedup windows in memory. Over it those of channels with nothing in flight are dropped, and new ones are read
    /// one at a time.
    pub dedup_bytes: usize,
    /// How long rows that nobody waits for (pointers, marks) wait for a batch to ride on.
    pub trailing_ms: u64,
    /// How long inbox pointers are gathered before they are among those rows. A crash replays at most so much.
    pub gather_ms: u64,
    /// A live device that has not taken a message within so long is taken for none: the user is told by push.
    pub push_ack_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            group_members: GROUP_MEMBERS_DEFAULT,
            large_members: LARGE_MEMBERS_MAX,
            member_stays: INTERVALS_MAX,
            frames_per_s: 200,
            frames_burst: 1000,
            user_frames_per_s: None,
            user_frames_burst: None,
            user_groups_per_h: 200,
            user_directs_per_h: 1000,
            user_mib_per_h: 1024,
            recall_window_s: 86_400,
            words: WordAction::default(),
            heartbeat_ms: 30_000,
            presence_grace_ms: 30_000,
            presence_bytes_per_s: 1024,
            waiting_bytes: SHARD_BYTES_MAX,
            egress_bytes: 1024 * 1024,
            stalled_ms: 60_000,
            idle_users: 65_536,
            idle_channels: 16_384,
            unstored_messages: UNSTORED_MESSAGES_MAX,
            unstored_bytes: UNSTORED_BYTES_MAX,
            unstored_rows: UNSTORED_ROWS_MAX,
            dedup_bytes: WINDOWS_ALL_MAX,
            trailing_ms: 10,
            gather_ms: 1000,
            push_ack_ms: PUSH_ACK_MS,
        }
    }
}

impl Limits {
    /// What one session may spend. Never more at once than its user: a new session begins with what its user has, so one
    /// with a larger store would begin with a debt each time, and be refused for it each time it comes again.
    pub(crate) fn session_pace(&self) -> Pace {
        Pace { per_s: self.frames_per_s, burst: self.frames_burst.min(self.user_pace().burst) }
    }

    /// What all sessions of a user may spend together.
    pub(crate) fn user_pace(&self) -> Pace {
        let set = |set: Option<u32>, of: u32| set.unwrap_or_else(|| of.saturating_mul(USER_SESSIONS));
        Pace {
            per_s: set(self.user_frames_per_s, self.frames_per_s),
            burst: set(self.user_frames_burst, self.frames_burst),
        }
    }
}

/// Members of a large channel that its home has in memory: those who sent or were named lately. Beyond them all are forgotten
/// as soon as nothing waits, and asked for again.
pub(crate) const KNOWN_MEMBERS_MAX: usize = 4096;
/// Members of one large channel whom the store is asked for at a time.
pub(crate) const LOOKUPS_MAX: usize = 64;
/// Large channels of one user that its sessions follow; the others are read when they are opened.
pub(crate) const FOLLOWED_MAX: usize = 512;
/// Followers about whom a shard asks the store at a time whether they are members.
pub(crate) const FOLLOWERS_ASKED_MAX: usize = 32;
/// So often a shard says again which large channels it follows.
pub(crate) const FOLLOW_EVERY_MS: u64 = 10_000;

/// In a group of more members than this only owners and admins mention all of them.
pub(crate) const MENTION_ALL_MEMBERS_MAX: usize = 32;

const MIB: usize = 1024 * 1024;
/// A user may spend as much as so many sessions at full speed, unless the operator says otherwise.
const USER_SESSIONS: u32 = 4;
/// Batches of one shard that may be in flight; more turns join the open batch.
pub const BATCHES_IN_FLIGHT_MAX: usize = 8;
/// Messages in one batch; the next ones open another.
pub const BATCH_MESSAGES_MAX: usize = 512;
/// Bytes of frames in one batch, or one message.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;
/// Rows that nobody waits for, until they leave in a batch of their own.
pub const TRAILING_ROWS_MAX: usize = 2048;
/// Inbox pointers that are gathered at most.
pub const GATHERED_POINTERS_MAX: usize = 16_384;
/// They leave bay by bay in this part of the time for which they are gathered.
pub const LEAVING_PART: u64 = 4;
/// Pointers that leave at a time at least, if there are so many.
pub const LEAVING_POINTERS: usize = 128;
/// Bytes of the frames that inboxes keep for gathered pointers, at most; and a span's.
pub const GATHERED_BYTES_MAX: usize = 4 * MIB;
/// Messages that may wait unstored at one shard before their senders are no longer read.
pub const UNSTORED_MESSAGES_MAX: usize = 4096;
/// Bytes of frames that may wait unstored at one shard before their senders are no longer read.
pub const UNSTORED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What was on the way to a shard when its senders were paused still waits there, up to so many times what may wait
/// before; more is refused Busy until there is room again. So one shard holds at most
/// `PARKED_FACTOR * UNSTORED_BYTES_MAX` and a frame.
pub const PARKED_FACTOR: usize = 3;
/// Rows that may wait unstored at one shard before no more deliveries are applied there.
pub const UNSTORED_ROWS_MAX: usize = 65_536;
/// A shard that said it is full, and did not say so again for so long, takes sends again.
pub const PRESSURE_FORGOTTEN_MS: u64 = 3000;
/// Bytes of frames in hops that may wait for one shard before this shard stops reading the senders.
pub const LANE_BYTES_MAX: usize = 8 * MIB;
/// Hops that may wait for one shard before this shard stops reading the senders.
pub const HOPS_WAITING_MAX: usize = 4096;
/// Deliveries that may wait at one shard for their recipients to be loaded; more are read again from the log.
pub const DELIVERIES_WAITING_MAX: usize = 1024;
/// Users of whom a shard remembers that they said something new to others; beyond them all are asked anew.
pub const WITHDRAWN_MAX: usize = 4096;
/// Inputs that may wait for one user or channel while it is loaded or opened; one above is refused Busy.
pub const WAITING_MAX: usize = 1024;
/// Bytes of frames that may wait for one connection while its user is loaded: two messages of a WebSocket.
pub const GREETING_BYTES_MAX: usize = 2 * WS_MESSAGE_BYTES_MAX;
/// Once so much waits for all connections together, one has only such a part of its room.
pub const CROWDED_PART: usize = 8;
/// A shard at a bound of its ledger says to come back after so long.
pub const LOADED_RETRY_MS: u32 = 500;
/// Bytes left behind by flushes, over all sessions.
pub const EGRESS_ALL_MAX: usize = 256 * MIB;
/// Bytes reserved for pages, over all sessions.
pub const PAGES_ALL_MAX: usize = 128 * MIB;
/// Bytes of frames that wait for users, channels and windows.
pub const WAITING_ALL_MAX: usize = 64 * MIB;
/// Bytes left behind by flushes, over all connections held for other shards.
pub const HELD_ALL_MAX: usize = 256 * MIB;
/// Bytes of frames in all lanes.
pub const LANES_ALL_MAX: usize = 64 * MIB;
/// Bytes of frames that are not stored yet.
pub const UNSTORED_ALL_MAX: usize = 64 * MIB;
/// Bytes of frames in deliveries that wait for their recipients.
pub const INBOUND_ALL_MAX: usize = 64 * MIB;
/// Bytes of inbox entries that are not stored yet.
pub const TAILS_ALL_MAX: usize = 64 * MIB;
/// Bytes of all dedup windows, unless it is set otherwise.
pub const WINDOWS_ALL_MAX: usize = 64 * MIB;
/// All that waits at one shard, at most, and what one step adds before the next frame is refused.
pub const SHARD_BYTES_MAX: usize = EGRESS_ALL_MAX
    + PAGES_ALL_MAX
    + WAITING_ALL_MAX
    + HELD_ALL_MAX
    + LANES_ALL_MAX
    + UNSTORED_ALL_MAX
    + INBOUND_ALL_MAX
    + TAILS_ALL_MAX
    + WINDOWS_ALL_MAX;
/// Pages that a shard may have asked the readers for: of history, of inboxes, of own lists. One above is refused Busy, or,
/// for an inbox, waits.
pub const PAGES_ASKED_MAX: usize = 128;
/// Channels of one shard of which messages are being purged at a time. One above is refused Busy.
pub const PURGES_MAX: usize = 64;
/// Channels of one shard from which somebody is being erased at a time. One above is refused Busy.
pub const ERASURES_MAX: usize = 16;
/// Texts and reactions of a user that one step of an erasure takes, and the bytes that are read for them are a page's. The edits of
/// a text go with it, 64 at most.
pub const ERASED_AT_ONCE: u32 = 64;
/// Loads that a shard may have asked the readers for: users, channels, dedup windows. One above is refused Busy, or, for a
/// delivery, waits. Replays are not counted: there is at most one a source.
pub const LOADS_ASKED_MAX: usize = 4096;
/// A read that failed rests so long before it is asked again; each failure doubles it.
pub const READ_PAUSE_MIN_MS: u64 = 100;
/// A read that failed rests at most so long.
pub const READ_PAUSE_MAX_MS: u64 = 30_000;
/// Reads that failed and are remembered although only a request would ask again.
pub const RESTS_MAX: usize = 4096;
/// Frames in a row that no retry helps before the connection is closed.
pub const FAULTS_MAX: u32 = 32;
/// So many refusals that a retry helps weigh as much as one that no retry helps.
pub const FAULT_WEIGHT: u32 = 32;
/// After a send was refused for want of tokens and not sent again, others are taken again after so long behind the hint.
pub const ORDER_KEPT_MS: u64 = 10_000;
/// Sessions that wait for tokens are looked at this often.
pub const TOKENS_SLOT_MS: u64 = 10;
/// Requests without a connection that may be under way at one shard; one above is refused Busy.
pub const GUESTS_MAX: usize = 1024;
/// The same of one user.
pub const USER_GUESTS_MAX: usize = 16;
/// Such a request that is not answered within so long is told that it was not.
pub const GUEST_MS: u64 = 10_000;
/// Refused sends that a session remembers; the first one is what counts.
pub const REFUSED_IDS_MAX: usize = 64;
/// Pages that one session may have asked for and not been given yet.
pub const PAGES_UNDER_WAY_MAX: usize = 4;
/// Changes of how far the members of a channel have come are gathered for so long before they are told.
pub const RECEIPTS_GATHER_MS: u64 = 500;
/// What is due within such a time is told in one turn.
pub const RECEIPTS_SLOT_MS: u64 = 50;
/// Channels whose changes one turn tells.
pub const RECEIPTS_A_TURN_MAX: usize = 128;
/// How far messages were delivered is written so much later. A crash forgets at most so much of it.
pub const DELIVERED_EVERY_MS: u64 = 10_000;
/// Changes that may wait to be told or written. What was delivered beyond them is not noted.
pub const CHANGES_MAX: usize = 65_536;
/// Members of a channel of which each is told live how far the others have come, and who types.
pub const OFFERED_MEMBERS_MAX: usize = 100;
/// What is offered to a connection may take such a part of its room: messages come first.
pub const OFFERS_PART: usize = 4;
/// A session is heard once in so long to type in a channel, and once to stop.
pub const TYPING_EVERY_MS: u64 = 3000;
/// Who typed so long ago and was not heard since does so no more.
pub const TYPING_EXPIRES_MS: u32 = 10_000;
/// Channels of which that is remembered for each session; in one above it is not heard.
pub const TYPED_IN_MAX: usize = 8;
/// Users of one home who are there, were a moment ago, or are watched. More can be looked at and not watched.
pub const PRESENT_MAX: usize = 1024 * 1024;
/// Pairs of a session and a user whom it watches, at one shard; one above is refused Busy.
pub const WATCHES_MAX: usize = 4 * 1024 * 1024;
/// What a user shows is told at most this often to each shard that watches; the latest then.
pub const PRESENCE_EVERY_MS: u64 = 1000;
/// A watching shard says of each user that it watches it, this often.
pub const PRESENCE_REFRESH_MS: u64 = 60_000;
/// Users of whom one turn says that.
pub const PRESENCE_REFRESHED_MAX: usize = 1024;
/// A watching shard that did not say so for so long is told no more.
pub const PRESENCE_FORGOTTEN_MS: u64 = 180_000;
/// Whoever is there or is watched is looked at this often: whether it still is.
pub const PRESENCE_LOOK_MS: u64 = 60_000;
/// Users whom one turn looks at.
pub const PRESENCE_LOOKS_MAX: usize = 1024;
/// While a user is there it is written this often that it was seen. A crash forgets at most so much.
pub const LAST_ACTIVE_EVERY_MS: u64 = 60 * 60 * 1000;
/// Sessions that one turn tells what others show.
pub const PRESENCE_A_TURN_MAX: usize = 4096;
/// Most bytes of one frame of that.
pub const PRESENCE_FRAME_BYTES: usize = 16 * 1024;
/// A session without room for it is looked at again after so long.
pub const PRESENCE_NO_ROOM_MS: u64 = 1000;
/// Complete ranges ride at most this often on live traffic.
pub const COMPLETE_EVERY_MS: u64 = 1000;
/// Device cursors are written at most this often.
pub const CURSOR_EVERY_MS: u64 = 10_000;
/// Fan-out marks are told to the sources, and logs trimmed, this often.
pub const MARKS_EVERY_MS: u64 = 1000;
/// Drain gives up waiting for its own tickets after this long; the rest is replay.
pub const DRAIN_MS: u64 = 5000;
/// Drain says goodbye once nothing was on the way for so long: the other shards may still have answers for us.
pub const DRAIN_QUIET_MS: u64 = 100;
/// Emptied inbox tails that a shard keeps for the next inbox that needs one.
pub const SPARE_TAILS_MAX: usize = 1024;
/// Entries that a kept tail has room for; larger ones are given back to the heap.
pub const SPARE_TAIL_ENTRIES_MAX: usize = 16;
/// Users, and channels, that every turn may look at for eviction.
pub const LOOKS_MIN: usize = 64;
/// Looks for eviction that come with each user or channel that a turn loaded or whose rows it saw stored: the first finds
/// it used, the second lets go of it.
pub const LOOKS_EACH: usize = 2;
/// A live device that has not taken a message within so long is taken for none: the user is told by push. Our clients tell
/// their cursor within 5 s.
pub const PUSH_ACK_MS: u64 = 10_000;
/// After so many attempts a job of push is parked: with waits that double up to an hour that is most of a day.
pub const PUSH_ATTEMPTS_MAX: u16 = 24;
/// Devices reconnect within this window after a drain.
pub const RECONNECT_SPREAD_MS: u32 = 5000;

const _: () = assert!(GROUP_MEMBERS_DEFAULT <= GROUP_MEMBERS_MAX);
const _: () = assert!(UNSTORED_BYTES_MAX >= 8 * FRAME_BYTES_MAX);
const _: () = assert!(PAGE_BYTES_MAX + FRAME_BYTES_MAX <= 1024 * 1024);
const _: () = assert!(DEVICES_MAX <= 64);
const _: () = assert!((TYPING_EXPIRES_MS as u64) > 3 * TYPING_EVERY_MS);
const _: () = assert!(PRESENCE_FORGOTTEN_MS > 2 * PRESENCE_REFRESH_MS);
const _: () = assert!(SHARD_BYTES_MAX <= 1024 * MIB);
const _: () = assert!(LANE_BYTES_MAX / 8 >= FRAME_BYTES_MAX);
const _: () = assert!(GREETING_BYTES_MAX < WAITING_ALL_MAX);
const _: () = assert!(PARKED_FACTOR * UNSTORED_BYTES_MAX < UNSTORED_ALL_MAX);
const _: () = assert!(GATHERED_POINTERS_MAX <= UNSTORED_ROWS_MAX / 2);
const _: () = assert!(GATHERED_BYTES_MAX < TAILS_ALL_MAX / 2);
