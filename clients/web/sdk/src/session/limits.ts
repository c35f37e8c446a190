/** Every bound and every pause of a session; the same numbers as in clients/rust/src/session/limits.rs. */

/** Sends that may wait for their ack, written or not; one above is refused `busy` at once. */
export const PENDING_MAX = 8192;
/** Sends written and not yet acked; more wait in the session. */
export const IN_FLIGHT_MAX = 256;
/** What refusals narrow that window to, at most. */
export const IN_FLIGHT_MIN = 8;
/** The share of the server's pace that is used: clocks differ. */
export const PACE_PERCENT = 95;
/** The share of the server's burst that is used: what the network holds back arrives at once. */
export const TOKENS_BURST_PERCENT = 75;
/** How often refusals halve the pace, at most. */
export const HALVED_MAX = 5;
/** A halved pace is doubled again after so long without a refusal. */
export const HALVED_MS = 10_000;
/** Refusals that come closer together have one reason. */
export const REFUSALS_APART_MS = 1000;
/** The pace and the burst of a server that names none, and the bytes of a body that cost one more token. */
export const TOKENS_PER_S_DEFAULT = 200;
export const TOKENS_BURST_DEFAULT = 1000;
export const TOKEN_BYTES = 4096;
/** So many items that a page may have cost one more token. */
export const TOKEN_PAGE_ITEMS = 8;
/** How far requests or sends may be ahead of each other in tokens when both wait. */
export const TURN_TOKENS = 32;
/** Requests that may wait; one above is refused `busy` at once. */
export const REQUESTS_WAITING_MAX = 1024;
/** Requests written and not yet answered; the server refuses more than 8 of one session. */
export const REQUESTS_IN_FLIGHT_MAX = 8;
/** Channels whose delivered seqs are remembered. */
export const CHANNELS_SEEN_MAX = 4096;
/** Separate runs of seqs known by acks only that one channel remembers. */
export const ACKED_RUNS_MAX = 2 * IN_FLIGHT_MAX;
/** A cursor that moved is told to the server at the latest after this pause, or after so many positions. */
export const CURSOR_TELL_MS = 5000;
export const CURSOR_TELL_POSITIONS = 100;
/** A Hello that is not answered for so long means a dead connection. */
export const WELCOME_WAIT_MS = 15_000;
/** After the device woke, a heartbeat that is not answered for so long means a dead connection. */
export const WOKE_WAIT_MS = 5000;
/** Shortest accepted heartbeat pause, whatever the server says. */
export const HEARTBEAT_MS_MIN = 100;
/** Default ends of the pause before a reconnect. */
export const RECONNECT_MS_MIN = 250;
export const RECONNECT_MS_MAX = 30_000;
/** What a full session tells the app to wait. */
export const BUSY_RETRY_MS = 100;
/** What was delivered is said so long after the message, and so often of one channel at most. */
export const DELIVERED_WAIT_MS = 1000;
export const DELIVERED_EVERY_MS = 1000;
/** What was said so lately before a connection ended is said again on the next: the server writes it lazily. */
export const DELIVERED_AGAIN_MS = 20_000;
/** That the user types is said once in so long. */
export const TYPING_EVERY_MS = 4000;
/** Nobody is shown to type for longer without another word, whatever the server says. */
export const TYPING_EXPIRES_MS_MAX = 60_000;
/** People who type, and channels in which this user does. */
export const TYPISTS_MAX = 1024;
/** Bytes of an emoji; what is one is not judged. */
export const EMOJI_BYTES_MAX = 32;
/** Users that a session watches, users that are looked at at once, and characters of a status. */
export const WATCHED_MAX = 500;
export const LOOKED_AT_MAX = 100;
/** Bytes of the address of a subscription for push, and of its time zone and each of its keys. */
export const PUSH_ENDPOINT_BYTES_MAX = 2048;
export const PUSH_WORD_BYTES_MAX = 128;
/** What a subscription costs in tokens besides. */
export const SUBSCRIBE_TOKENS = 16;
export const STATUS_CHARS_MAX = 128;
/** So many users to be shown cost one more token. */
export const TOKEN_LOOKS = 4;
/** What a list of channels in an order of time costs besides, and a draft. */
export const ORDERED_LIST_TOKENS = 16;
export const DRAFT_TOKENS = 4;
/** Drafts of one page: each may be as long as a message. */
export const DRAFTS_PAGE = 64;
