//! Every bound of the wire, with the relations between them asserted when the crate is compiled.

/// Bytes of the frame header.
pub const HEADER_BYTES: usize = 16;
/// Bytes of the stamp between header and body of a stamped frame.
pub const STAMP_BYTES: usize = 24;
/// Largest frame, header included.
pub const FRAME_BYTES_MAX: usize = 512 * 1024;
/// Largest WebSocket message (1..n whole frames).
pub const WS_MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Most frames in one WebSocket message.
pub const WS_MESSAGE_FRAMES_MAX: usize = 4096;
/// Bytes a connection may send before it is authenticated (outside tokens can be long).
pub const UNAUTHENTICATED_BYTES_MAX: usize = 16 * 1024;
/// Largest token.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Longest text in Unicode scalar values.
pub const TEXT_CHARS_MAX: usize = 100_000;
/// Longest text in UTF-8 bytes: the worst case of [`TEXT_CHARS_MAX`].
pub const TEXT_BYTES_MAX: usize = 400_000;
/// Longest group name in Unicode scalar values.
pub const NAME_CHARS_MAX: usize = 100;
/// Longest group name in UTF-8 bytes.
pub const NAME_BYTES_MAX: usize = 400;
/// Members of a group unless configured otherwise.
pub const GROUP_MEMBERS_DEFAULT: usize = 100;
/// What the member limit can be configured to at most.
pub const GROUP_MEMBERS_MAX: usize = 500;
/// Members of a large channel at most.
pub const LARGE_MEMBERS_MAX: usize = 1_000_000;
/// How often one user may join one group; each stay is a row for ever.
pub const INTERVALS_MAX: u32 = 256;
/// Users that one text mentions by name.
pub const MENTIONS_MAX: usize = 50;
/// Mentions in a page of them.
pub const MENTIONS_PAGE_MAX: u32 = 100;
/// Edits of one text.
pub const EDITS_MAX: usize = 64;
/// Longest reaction in UTF-8 bytes.
pub const EMOJI_BYTES_MAX: usize = 32;
/// Ways in which one message is reacted to.
pub const REACTIONS_MAX: usize = 64;
/// Ways in which one user reacts to one message.
pub const REACTIONS_OWN_MAX: usize = 16;
/// Pinned messages of a channel.
pub const PINS_MAX: usize = 100;
/// Unread mentions of a channel that are counted for a page of mentions; so many stand for as many or more.
pub const MENTIONS_COUNTED_MAX: u32 = 100;
/// Messages of a thread that are counted; so many stand for as many or more.
pub const THREAD_COUNTED_MAX: u32 = 1000;
/// Messages below a channel's head that are looked at to tell what counts as unread.
pub const UNREAD_MESSAGES_MAX: usize = 256;
/// Bytes of them after which no more are looked at.
pub const UNREAD_BYTES_MAX: usize = 1024 * 1024;
/// Devices of one account.
pub const DEVICES_MAX: usize = 16;
/// Subscriptions for push of one account: as many as devices, and half as many more.
pub const PUSH_SUBSCRIPTIONS_MAX: usize = DEVICES_MAX + DEVICES_MAX / 2;
/// Channels of which one user is still to be told by push; the one that waits longest gives way to a new one.
pub const PUSH_JOBS_MAX: usize = 64;
/// Bytes of the URL of a subscription.
pub const PUSH_ENDPOINT_BYTES_MAX: usize = 2048;
/// Bytes of its time zone's name, and of each of its keys as text.
pub const PUSH_WORD_BYTES_MAX: usize = 128;
/// Seconds between two texts of a plain member that a group's slow mode may ask for: six hours.
pub const SLOW_S_MAX: u32 = 6 * 60 * 60;
/// Seconds that a mute with an end may last: ten years.
pub const MUTE_S_MAX: u32 = 315_360_000;
/// Users of a group who may be muted or banned at a time. All are in memory with the group.
pub const SANCTIONS_MAX: usize = 1000;
/// Messages in a page.
pub const PAGE_MESSAGES_MAX: u32 = 200;
/// Bytes of message frames in a page. A page carries at least one message, whatever its size.
pub const PAGE_BYTES_MAX: usize = 256 * 1024;
/// Rows in a page of channels or members.
pub const LIST_ITEMS_MAX: u32 = 500;
/// Bytes of a page of channels in its second version; one channel is in it whatever its size.
pub const CHANNELS_BYTES_MAX: usize = 100_000;
/// Characters of a text that a list of channels shows.
pub const PREVIEW_CHARS_MAX: usize = 100;
/// Pointers of an inbox that a list of channels in the order of time looks at.
pub const WALK_POINTERS_MAX: u64 = 16_384;
/// Most messages of a channel whose send ids are remembered: the dedup window.
pub const DEDUP_MESSAGES_MAX: u32 = 10_000;
/// The newest messages whose send ids are remembered whatever their age and size.
pub const DEDUP_MESSAGES_MIN: u32 = 256;
/// Of the others only those that are at most so much older than the channel's newest message.
pub const DEDUP_AGE_MS_MAX: u64 = 24 * 60 * 60 * 1000;
/// Bytes of frames that the dedup window of a channel covers; only [`DEDUP_MESSAGES_MIN`] may be more.
pub const DEDUP_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Numbers that a browser reads as `number` stay below this.
pub const U53_MAX: u64 = (1 << 53) - 1;

/// Users that one session may watch.
pub const WATCHED_MAX: usize = 500;
/// Users of whom one request may ask whether they are there.
pub const LOOKED_AT_MAX: usize = 100;
/// Longest status, in characters.
pub const STATUS_CHARS_MAX: usize = 128;
/// Longest status in UTF-8 bytes.
pub const STATUS_BYTES_MAX: usize = 512;

const _: () = assert!(STATUS_BYTES_MAX == STATUS_CHARS_MAX * 4);
const _: () = assert!(TEXT_BYTES_MAX == TEXT_CHARS_MAX * 4);
const _: () = assert!(NAME_BYTES_MAX == NAME_CHARS_MAX * 4);
const _: () = assert!(HEADER_BYTES + STAMP_BYTES + TEXT_BYTES_MAX + 64 <= FRAME_BYTES_MAX);
const _: () = assert!(FRAME_BYTES_MAX <= WS_MESSAGE_BYTES_MAX);
const _: () = assert!(TOKEN_BYTES_MAX + 1024 <= UNAUTHENTICATED_BYTES_MAX);
const _: () = assert!(DEDUP_MESSAGES_MIN < DEDUP_MESSAGES_MAX);
const _: () = assert!(GROUP_MEMBERS_DEFAULT <= GROUP_MEMBERS_MAX);
const _: () = assert!(GROUP_MEMBERS_MAX <= LIST_ITEMS_MAX as usize);
