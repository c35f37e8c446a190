//! Every bound and every pause of the device side, with the relations between them asserted at compile time.

/// Sends that may wait for their ack, written or not; one above is refused Busy at once.
pub const PENDING_MAX: usize = 8192;
/// Sends written and not yet acked; more wait in the session.
pub const IN_FLIGHT_MAX: usize = 256;
/// What refusals narrow that window to, at most.
pub const IN_FLIGHT_MIN: usize = 8;
/// The share of the server's pace that is used: clocks differ.
pub const PACE_PERCENT: u64 = 95;
/// The share of the server's burst that is used: what the network holds back arrives at once.
pub const TOKENS_BURST_PERCENT: u64 = 75;
/// How often refusals halve the pace, at most.
pub const HALVED_MAX: u32 = 5;
/// A halved pace is doubled again after so long without a refusal.
pub const HALVED_MS: u64 = 10_000;
/// Refusals that come closer together have one reason.
pub const REFUSALS_APART_MS: u64 = 1000;
/// The pace of a server that names none.
pub const TOKENS_PER_S_DEFAULT: u32 = 200;
/// The burst of a server that names none.
pub const TOKENS_BURST_DEFAULT: u32 = 1000;
/// How far requests or sends may be ahead of each other in tokens when both wait.
pub const TURN_TOKENS: i64 = 32;
/// Requests (pages, lists, marks) that may wait; one above is refused Busy at once.
pub const REQUESTS_WAITING_MAX: usize = 1024;
/// Requests written and not yet answered; the server refuses more than 8 of one session.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 8;
/// Channels whose delivered seqs are remembered.
pub const CHANNELS_SEEN_MAX: usize = 4096;
/// Separate runs of seqs known by acks only that one channel remembers.
pub const ACKED_RUNS_MAX: usize = 2 * IN_FLIGHT_MAX;
/// What was delivered is said after this pause, or with whatever is written before ...
pub const DELIVERED_WAIT_MS: u64 = 1000;
/// ... and so often of one channel.
pub const DELIVERED_EVERY_MS: u64 = 1000;
/// What was said so lately is said again on the next connection: a server that died had not written it.
pub const DELIVERED_AGAIN_MS: u64 = 20_000;
/// A user that goes on typing says so again after so long. The server lets one pass in 3 seconds.
pub const TYPING_EVERY_MS: u64 = 4000;
/// Somebody of whom nothing more is heard types at most so much longer, whatever the server says.
pub const TYPING_EXPIRES_MS_MAX: u64 = 60_000;
/// Channels in which the user types, and others who do, that are remembered.
pub const TYPISTS_MAX: usize = 1024;
/// A cursor that moved is told to the server at the latest after this pause ...
pub const CURSOR_TELL_MS: u64 = 5000;
/// ... or after so many positions.
pub const CURSOR_TELL_POSITIONS: u64 = 100;
/// A Hello that is not answered for so long means a dead connection.
pub const WELCOME_WAIT_MS: u64 = 15_000;
/// After the device woke, a heartbeat that is not answered for so long means a dead connection.
pub const WOKE_WAIT_MS: u64 = 5000;
/// Shortest accepted heartbeat pause, whatever the server says.
pub const HEARTBEAT_MS_MIN: u64 = 100;
/// Default lower end of the pause before a reconnect.
pub const RECONNECT_MS_MIN: u64 = 250;
/// Default upper end of the pause before a reconnect.
pub const RECONNECT_MS_MAX: u64 = 30_000;

const _: () = assert!(IN_FLIGHT_MIN <= IN_FLIGHT_MAX && IN_FLIGHT_MAX <= PENDING_MAX);
const _: () = assert!(PACE_PERCENT <= 100 && TOKENS_BURST_PERCENT <= 100);
const _: () = assert!(REQUESTS_IN_FLIGHT_MAX <= REQUESTS_WAITING_MAX);
const _: () = assert!(RECONNECT_MS_MIN <= RECONNECT_MS_MAX);
const _: () = assert!(CHANNELS_SEEN_MAX > protocol::limits::PAGE_MESSAGES_MAX as usize);
