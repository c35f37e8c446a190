//! Every root and item type with its size, offsets and limits: asserted when the crate is compiled, and the source of
//! the tables in docs/protocol.md and of the layouts in vectors.json. What stands here is frozen.

use core::mem::offset_of;

use rkyv::Archived;

use super::about::{
    About, AboutItem, EditText, GetAbout, Pin, PinItem, React, ReactionItem, ReactorItem, Recall, Recalled,
};
use super::erase::Erase;
use super::ingest::{Body, ingest, read};
use super::large::{HeadItem, Heads};
use super::list::{ChannelDetail, ChannelsV2, GetChannelsV2, GetHistoryV2, HistoryPageV2};
use super::marks::{GetReceipts, MarkDelivered, ReceiptItem, Receipts, Typing};
use super::message::{
    AddMembers, CreateGroup, GrowGroup, InviteMembers, JoinGroup, LeaveGroup, RemoveMember, RenameGroup,
    SendText, SetRole,
};
use super::own::{DraftItem, GetNotes, HiddenItem, Hide, Notes, SetDraft, SetPrefs};
use super::presence::{
    GetOwnPresence, GetPresence, Idle, OwnPresence, Presence, PresenceItem, PresentDevice, SetPresence,
    Unwatch, Watch,
};
use super::push::{GetPush, Push, PushItem, SetPush, SubscribePush, UnsubscribePush};
use super::rules::{BanMember, GetRules, MuteMember, Rules, SanctionItem, SetSlow, UnbanMember};
use super::session::{Done, GoingAway, Heartbeat, Hello, KindVersion, Reauth, Reject, Welcome, WelcomeV2};
use super::sync::{
    ChannelItem, Channels, Complete, CursorAck, GetChannels, GetHistory, GetMembers, HistoryPage, MarkRead,
    MemberItem, Members, MembersV2, SendAck,
};
use super::talk::{GetMentions, GetThread, MentionCount, MentionItem, Mentions, SendTextV2, Thread};
use crate::frame::Frame;
use crate::kind::Kind;
use crate::reject::{Code, Refusal};

/// How one type lies in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// The type's name.
    pub name: &'static str,
    /// Kind and version of a root; `None` for an item of a list.
    pub root: Option<(Kind, u8)>,
    /// Bytes of the fixed part: a root is the last so many bytes of its body.
    pub size: usize,
    /// In order of offset, without gaps.
    pub fields: &'static [Field],
}

/// One field of a [`Layout`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Bytes from the beginning of the fixed part.
    pub offset: usize,
    /// Its Rust type: an integer, `bool`, `String`, or `Vec` of an integer or an item type.
    pub rust_type: &'static str,
    /// Meaning and bounds in a few words.
    pub limit: &'static str,
}

macro_rules! layout {
    ($type:ident, $root:expr, $size:literal, { $($field:ident: $rust:ty, $offset:literal, $limit:literal;)* }) => {{
        const _: () = assert!(size_of::<Archived<$type>>() == $size);
        const _: () = assert!(align_of::<Archived<$type>>() == 1);
        $(
            const _: () = assert!(offset_of!(Archived<$type>, $field) == $offset);
            const _: fn(&Archived<$type>) -> &Archived<$rust> = |wire| &wire.$field;
        )*
        const _: () = assert!(0 $(+ size_of::<Archived<$rust>>())* == $size);
        Layout {
            name: stringify!($type),
            root: $root,
            size: $size,
            fields: &[$(Field {
                name: stringify!($field),
                offset: $offset,
                rust_type: stringify!($rust),
                limit: $limit,
            },)*],
        }
    }};
}

macro_rules! layouts {
    (
        roots { $($root:ident $root_size:literal $root_fields:tt)* }
        older { $($older:ident $older_size:literal $older_fields:tt)* }
        items { $($item:ident $item_size:literal $item_fields:tt)* }
    ) => {
        /// Every root type in its kind's highest version, in the order of kinds.
        pub const ROOTS: &[Layout] = &[$(
            layout!($root, Some((<$root as Body>::KIND, <$root as Body>::VERSION)), $root_size, $root_fields),
        )*];

        /// Every root type of a lower version, which readers still meet.
        pub const OLDER: &[Layout] = &[$(
            layout!($older, Some((<$older as Body>::KIND, <$older as Body>::VERSION)), $older_size, $older_fields),
        )*];

        /// Every type that is an item of a list.
        pub const ITEMS: &[Layout] = &[$(layout!($item, None, $item_size, $item_fields),)*];

        /// Every known kind with its highest version, in the order of kinds.
        pub const KINDS: &[(Kind, u8)] = &[$((<$root as Body>::KIND, <$root as Body>::VERSION),)*];

        /// Checks a frame of any known kind as [`ingest`] does.
        ///
        /// # Errors
        /// The refusal for the device; [`Code::UnknownKind`] for a kind without a type.
        pub fn check(frame: &Frame) -> Result<(), Refusal> {
            match (frame.kind(), frame.header().version) {
                $((<$older as Body>::KIND, <$older as Body>::VERSION) => ingest::<$older>(frame).map(|_| ()),)*
                $((<$root as Body>::KIND, _) => ingest::<$root>(frame).map(|_| ()),)*
                (unknown, _) => {
                    let text = format!("kind {:#06x} is unknown", unknown.0);
                    Err(Refusal::new(Code::UnknownKind, "", text))
                }
            }
        }

        /// Whether a frame of any known kind, perhaps of a newer version, can be read as [`read`] does.
        #[must_use]
        pub fn is_readable(frame: &Frame) -> bool {
            match (frame.kind(), frame.header().version) {
                $((<$older as Body>::KIND, <$older as Body>::VERSION) => read::<$older>(frame).is_some(),)*
                $((<$root as Body>::KIND, _) => read::<$root>(frame).is_some(),)*
                _ => false,
            }
        }
    };
}

layouts! {
roots {
    SendTextV2 57 {
        reply_to: u64, 0, "a seq of this channel; 0 for no reply";
        thread: u64, 8, "the seq with which the thread begins; 0 for none";
        forwarded_from: u64, 16, "a user id, as the sender says; 0 for no forward";
        mentions: Vec<u64>, 24, "users: rising, no repeats, no 0; at most 50";
        mention_flags: u8, 32, "1 all, 2 online, 3 both; 0 for none";
        channel: u128, 33, "a channel id";
        text: String, 49, "1 to 100,000 characters";
    }
    EditText 32 {
        channel: u128, 0, "a channel id";
        target: u64, 16, "seq of a text of the sender's own; not 0";
        text: String, 24, "1 to 100,000 characters";
    }
    Recall 24 {
        channel: u128, 0, "a channel id";
        target: u64, 16, "seq of a text; not 0";
    }
    React 33 {
        channel: u128, 0, "a channel id";
        target: u64, 16, "seq of a text; not 0";
        on: bool, 24, "false takes it back";
        emoji: String, 25, "1 to 32 bytes, no control characters";
    }
    Pin 25 {
        channel: u128, 0, "a channel id";
        target: u64, 16, "seq of a text; not 0";
        on: bool, 24, "false takes it down";
    }
    CreateGroup 32 {
        channel: u128, 0, "the group id made of sender and send id";
        name: String, 16, "1 to 100 characters";
        members: Vec<u64>, 24, "the others: rising, no repeats, no 0; with the sender at most the group limit";
    }
    AddMembers 24 {
        channel: u128, 0, "a group id";
        members: Vec<u64>, 16, "rising, no repeats, no 0; at least 1, at most 500";
    }
    RemoveMember 24 {
        channel: u128, 0, "a group id";
        member: u64, 16, "not 0";
    }
    LeaveGroup 16 {
        channel: u128, 0, "a group id";
    }
    RenameGroup 24 {
        channel: u128, 0, "a group id";
        name: String, 16, "1 to 100 characters";
    }
    SetRole 25 {
        channel: u128, 0, "a group id";
        member: u64, 16, "not 0";
        role: u8, 24, "0 member, 1 admin, 2 owner";
    }
    InviteMembers 24 {
        channel: u128, 0, "a group id";
        members: Vec<u64>, 16, "who may join: rising, no repeats, no 0, at least one";
    }
    JoinGroup 16 {
        channel: u128, 0, "a group id";
    }
    MuteMember 28 {
        channel: u128, 0, "a group id";
        member: u64, 16, "not 0";
        for_s: u32, 24, "from the stamp's time on, at most 315,360,000; 0 lifts a mute, 2^32 - 1 has no end";
    }
    BanMember 24 {
        channel: u128, 0, "a group id";
        member: u64, 16, "not 0; a member or not";
    }
    UnbanMember 24 {
        channel: u128, 0, "a group id";
        member: u64, 16, "not 0";
    }
    SetSlow 20 {
        channel: u128, 0, "a group id";
        interval_s: u32, 16, "at most 21,600; 0 for no wait";
    }
    GrowGroup 16 {
        channel: u128, 0, "a group id";
    }
    Erase 16 {
        channel: u128, 0, "a channel id";
    }
    SetPrefs 47 {
        channel: u128, 0, "the sender's own channel";
        about: u128, 16, "a channel id";
        muted_until_ms: u64, 32, "below 2^53; 0 for not muted, 2^53 - 1 for ever";
        pinned: u32, 40, "0 for not pinned; else its order, smaller first";
        marked_unread: bool, 44, "shown as unread";
        notify: u8, 45, "told of: 0 all, 1 mentions, 2 nothing";
        archived: bool, 46, "out of the way";
    }
    SetDraft 48 {
        channel: u128, 0, "the sender's own channel";
        about: u128, 16, "a channel id";
        thread: u64, 32, "below 2^53; 0 for the channel itself";
        text: String, 40, "at most 100,000 characters; empty for none";
    }
    Hide 48 {
        channel: u128, 0, "the sender's own channel";
        about: u128, 16, "a channel id";
        seq: u64, 32, "the first: 1 or more";
        through: u64, 40, "the last: below 2^53";
    }
    Hello 24 {
        generation: u64, 0, "below 2^53; 0 for a device that holds nothing";
        cursor: u64, 8, "below 2^53";
        token: String, 16, "1 to 8,192 bytes";
    }
    WelcomeV2 84 {
        tokens_per_s: u32, 0, "tokens in a second, on average; at least 1";
        tokens_burst: u32, 4, "tokens at once after a pause; at least 1";
        token_bytes: u32, 8, "bytes of a body that cost one more token";
        user: u64, 12, "who the token says";
        device: u64, 20, "which device the token says";
        generation: u64, 28, "below 2^53";
        start: u64, 36, "below 2^53; pages begin behind it";
        head: u64, 44, "below 2^53; the inbox's newest position";
        time_ms: u64, 52, "the server's clock, Unix epoch";
        expires_ms: u64, 60, "when the token ends, Unix epoch";
        heartbeat_ms: u32, 68, "longest silence of a device";
        group_members_max: u32, 72, "members of a group";
        kinds: Vec<KindVersion>, 76, "what the server knows";
    }
    Reauth 8 {
        token: String, 0, "1 to 8,192 bytes";
    }
    Heartbeat 8 {
        time_ms: u64, 0, "below 2^53; the sender's clock";
    }
    GoingAway 6 {
        reconnect_after_ms: u32, 0, "come back after so long";
        reason: u16, 4, "the close code that follows";
    }
    Done 2 {
        kind: u16, 0, "the kind of the request";
    }
    SendAck 32 {
        channel: u128, 0, "the channel";
        seq: u64, 16, "below 2^53";
        time_ms: u64, 24, "the stamp's time";
    }
    Complete 32 {
        generation: u64, 0, "below 2^53";
        from: u64, 8, "exclusive lower end";
        to: u64, 16, "inclusive upper end";
        head: u64, 24, "the inbox's newest position";
    }
    CursorAck 16 {
        generation: u64, 0, "below 2^53";
        cursor: u64, 8, "below 2^53";
    }
    GetHistoryV2 46 {
        at: u64, 0, "below 2^53; a seq or a time, else 0";
        around: u8, 8, "0 nothing, 1 a seq, 2 a time, 3 the first unread";
        channel: u128, 9, "a channel id";
        after: u64, 25, "below 2^53; exclusive lower end, 0 for none";
        before: u64, 33, "below 2^53; exclusive upper end, 2^53 - 1 for none";
        limit: u32, 41, "1 to 200";
        newest: bool, 45, "begin at the upper end";
    }
    HistoryPageV2 55 {
        pivot: u64, 0, "the place; above `head` when nothing is there";
        more_before: bool, 8, "more may be read below `from`";
        more_after: bool, 9, "more may be read above `to`";
        channel: u128, 10, "the channel";
        from: u64, 26, "inclusive lower end of what the page tells; 0 for nothing";
        to: u64, 34, "inclusive upper end; 0 for nothing";
        head: u64, 42, "the newest seq that the reader may read";
        count: u32, 50, "stamped frames that follow";
        more: bool, 54, "the window holds more";
    }
    GetMembers 28 {
        channel: u128, 0, "a group id";
        after: u64, 16, "members with a larger user id; 0 for the first page";
        limit: u32, 24, "1 to 500";
    }
    MembersV2 29 {
        total: u32, 0, "members of the group";
        channel: u128, 4, "the group";
        items: Vec<MemberItem>, 20, "rising by user id";
        more: bool, 28, "more follow behind the last";
    }
    GetChannelsV2 37 {
        generation: u64, 0, "below 2^53; the life of the inbox, 0 with `at` 0";
        at: u64, 8, "below 2^53; a position of the inbox, or 0";
        order: u8, 16, "0 by id, 1 the newest first, 2 what changed behind `at`";
        after: u128, 17, "channels with a larger id; 0 for the first page";
        limit: u32, 33, "1 to 500";
    }
    ChannelsV2 42 {
        generation: u64, 0, "below 2^53";
        through: u64, 8, "the inbox position that the page is as of";
        next: u64, 16, "`at` of the next page, the newest first";
        needs_snapshot: bool, 24, "too much lies behind `at`";
        details: Vec<ChannelDetail>, 25, "in the order of `items`";
        items: Vec<ChannelItem>, 33, "in the order asked for; of version 1 rising by channel id";
        more: bool, 41, "more follow behind the last";
    }
    MarkRead 24 {
        channel: u128, 0, "a channel id";
        seq: u64, 16, "at most the channel's head; never moves back";
    }
    GetAbout 37 {
        channel: u128, 0, "a channel id";
        from: u64, 16, "the first, from 1";
        through: u64, 24, "the last; 2^53 - 1 for the newest";
        limit: u32, 32, "1 to 200 messages of which something is said";
        who: bool, 36, "who reacted is told, and not how texts read now";
    }
    About 65 {
        channel: u128, 0, "the channel";
        from: u64, 16, "the page tells all that is said of messages from here ...";
        to: u64, 24, "... to here; both 0 when the reader may read none of them";
        pins: Vec<PinItem>, 32, "what is pinned in the channel, in the order in which it was";
        items: Vec<AboutItem>, 40, "rising by `seq`; messages of which nothing is said are left out";
        reactions: Vec<ReactionItem>, 48, "rising by `seq`; of one message in the order of their first use";
        who: Vec<ReactorItem>, 56, "rising by `seq` and user; empty unless asked for";
        more: bool, 64, "something may be said of messages above `to`";
    }
    GetThread 45 {
        channel: u128, 0, "a channel id";
        root: u64, 16, "the seq with which the thread begins; not 0";
        after: u64, 24, "exclusive; 0 for none";
        before: u64, 32, "exclusive; 2^53 - 1 for none";
        limit: u32, 40, "1 to 200";
        newest: bool, 44, "true: the ones next to `before`; false: the ones next to `after`";
    }
    Thread 57 {
        channel: u128, 0, "the channel";
        root: u64, 16, "as asked";
        from: u64, 24, "the page tells all of the thread that the reader may read from here ...";
        to: u64, 32, "... to here; both 0 when there is nothing";
        total: u32, 40, "messages of the thread in the reader's newest stay; 1,000 stands for 1,000 or more";
        newest: u64, 44, "the newest of them; 0 for none";
        count: u32, 52, "stamped frames that follow";
        more: bool, 56, "the thread holds more in the direction asked for";
    }
    GetMentions 12 {
        before: u64, 0, "an inbox position; 2^53 - 1 for the newest";
        limit: u32, 8, "1 to 100";
    }
    Recalled 48 {
        channel: u128, 0, "the channel";
        target: u64, 16, "seq of the recalled text: the stamp's, or of which this was an edit";
        by: u64, 24, "seq of the RECALL; 0: purged";
        user: u64, 32, "who recalled it";
        time_ms: u64, 40, "when, Unix epoch";
    }
    MarkDelivered 24 {
        channel: u128, 0, "a channel id";
        seq: u64, 16, "at most the channel's head; never moves back";
    }
    Receipts 25 {
        channel: u128, 0, "the channel";
        items: Vec<ReceiptItem>, 16, "of a page rising by user id";
        more: bool, 24, "more follow behind the last; false when it was not asked for";
    }
    GetReceipts 28 {
        channel: u128, 0, "a channel id";
        after: u64, 16, "members with a larger user id; 0 for the first page";
        limit: u32, 24, "1 to 500";
    }
    Typing 29 {
        channel: u128, 0, "a channel id";
        user: u64, 16, "who; 0 from a device";
        expires_ms: u32, 24, "over after so long; 0 from a device, and of who stopped";
        state: u8, 28, "0 stopped, 1 typing";
    }
    Mentions 17 {
        items: Vec<MentionItem>, 0, "falling by `at`";
        unread: Vec<MentionCount>, 8, "the channels of `items`, rising";
        more: bool, 16, "there are older ones";
    }
    GetNotes 45 {
        about: u128, 0, "a channel id; 0 for all";
        after_about: u128, 16, "the last channel of the page before, or 0";
        after: u64, 32, "below 2^53; the last thread or `at` of the page before, or 0";
        what: u8, 40, "0 drafts, 1 hidden messages";
        limit: u32, 41, "1 to 500";
    }
    Notes 17 {
        drafts: Vec<DraftItem>, 0, "rising by channel and thread";
        hidden: Vec<HiddenItem>, 8, "rising by channel and `at`";
        more: bool, 16, "more follow behind the last";
    }
    GetRules 28 {
        channel: u128, 0, "a group id";
        after: u64, 16, "users with a larger id; 0 for the first page";
        limit: u32, 24, "1 to 500";
    }
    Rules 29 {
        channel: u128, 0, "the group";
        interval_s: u32, 16, "as in SetSlow";
        items: Vec<SanctionItem>, 20, "rising by user id; for a plain member of itself only";
        more: bool, 28, "more follow behind the last";
    }
    Heads 8 {
        items: Vec<HeadItem>, 0, "large channels, each once";
    }
    Watch 8 {
        users: Vec<u64>, 0, "rising, no repeats, no 0; at least 1, with those before at most 500";
    }
    Unwatch 8 {
        users: Vec<u64>, 0, "rising, no repeats, no 0; 1 to 500";
    }
    Presence 8 {
        items: Vec<PresenceItem>, 0, "each user once";
    }
    SetPresence 17 {
        shows: u8, 0, "0 activity, 1 away, 2 do not disturb, 3 invisible";
        status_until_ms: u64, 1, "below 2^53; when the status ends, Unix epoch; 0 for never";
        status: String, 9, "0 to 128 characters, no control characters";
    }
    Idle 1 {
        is_idle: bool, 0, "nobody has touched the device for a while";
    }
    GetPresence 8 {
        users: Vec<u64>, 0, "rising, no repeats, no 0; 1 to 100";
    }
    GetOwnPresence 8 {
        device: u64, 0, "this device only; 0 for all";
    }
    OwnPresence 26 {
        state: u8, 0, "what others are shown: see `PresenceItem`";
        shows: u8, 1, "as in `SetPresence`";
        status_until_ms: u64, 2, "as in `SetPresence`";
        status: String, 10, "as in `SetPresence`, even if it is over";
        devices: Vec<PresentDevice>, 18, "rising by device";
    }
    SubscribePush 39 {
        provider: u8, 0, "1 Web Push, 2 webhook, 3 FCM, 4 APNs";
        preview: u8, 1, "0 nothing, 1 the sender, 2 the text";
        language: u8, 2, "0 English, 1 Korean";
        quiet_from: u16, 3, "0 to 1439: a minute of the day";
        quiet_until: u16, 5, "the same; equal to `quiet_from`: never quiet";
        zone: String, 7, "an IANA time zone; empty for UTC";
        address: String, 15, "at most 2,048 bytes: a URL, or the app's token";
        p256dh: String, 23, "of Web Push: the browser's key, base64url";
        secret: String, 31, "of Web Push: the browser's secret, base64url; of a webhook `whsec_` and base64";
    }
    UnsubscribePush 9 {
        device: u64, 0, "a device of the user; 0 for this one";
        provider: u8, 8, "as in `SubscribePush`";
    }
    SetPush 1 {
        is_off: bool, 0, "none of the user's devices is told";
    }
    GetPush 8 {
        device: u64, 0, "this device only; 0 for all";
    }
    Push 17 {
        is_off: bool, 0, "none of the user's devices is told";
        key: String, 1, "what a browser subscribes with, base64url";
        items: Vec<PushItem>, 9, "oldest first; at most 24";
    }
    Reject 22 {
        code: u16, 0, "see the table of reject codes";
        retry_after_ms: u32, 2, "0: do not retry";
        path: String, 6, "the field at fault, or empty";
        text: String, 14, "for the person who writes the client";
    }
}
older {
    SendText 24 {
        channel: u128, 0, "a channel id";
        text: String, 16, "1 to 100,000 characters";
    }
    Welcome 72 {
        user: u64, 0, "who the token says";
        device: u64, 8, "which device the token says";
        generation: u64, 16, "below 2^53";
        start: u64, 24, "below 2^53; pages begin behind it";
        head: u64, 32, "below 2^53; the inbox's newest position";
        time_ms: u64, 40, "the server's clock, Unix epoch";
        expires_ms: u64, 48, "when the token ends, Unix epoch";
        heartbeat_ms: u32, 56, "longest silence of a device";
        group_members_max: u32, 60, "members of a group";
        kinds: Vec<KindVersion>, 64, "what the server knows";
    }
    GetHistory 37 {
        channel: u128, 0, "a channel id";
        after: u64, 16, "below 2^53; exclusive lower end, 0 for none";
        before: u64, 24, "below 2^53; exclusive upper end, 2^53 - 1 for none";
        limit: u32, 32, "1 to 200";
        newest: bool, 36, "begin at the upper end";
    }
    HistoryPage 45 {
        channel: u128, 0, "the channel";
        from: u64, 16, "inclusive lower end of what the page tells; 0 for nothing";
        to: u64, 24, "inclusive upper end; 0 for nothing";
        head: u64, 32, "the newest seq that the reader may read";
        count: u32, 40, "stamped frames that follow";
        more: bool, 44, "the window holds more";
    }
    Members 25 {
        channel: u128, 0, "the group";
        items: Vec<MemberItem>, 16, "rising by user id";
        more: bool, 24, "more follow behind the last";
    }
    GetChannels 20 {
        after: u128, 0, "channels with a larger id; 0 for the first page";
        limit: u32, 16, "1 to 500";
    }
    Channels 9 {
        items: Vec<ChannelItem>, 0, "in the order asked for; of version 1 rising by channel id";
        more: bool, 8, "more follow behind the last";
    }
}
items {
    HeadItem 24 {
        channel: u128, 0, "a large channel";
        head: u64, 16, "its newest message, 0 for none";
    }
    KindVersion 3 {
        kind: u16, 0, "the kind";
        version: u8, 2, "its highest known version";
    }
    MemberItem 17 {
        user: u64, 0, "who";
        joined: u64, 8, "since which seq";
        role: u8, 16, "0 member, 1 admin, 2 owner";
    }
    ReceiptItem 24 {
        user: u64, 0, "who";
        read: u64, 8, "how far it has read; 0 for nothing";
        delivered: u64, 16, "how far its devices hold everything; at least `read`";
    }
    PresenceItem 33 {
        user: u64, 0, "who";
        state: u8, 8, "0 unknown, 1 offline, 2 online, 3 away, 4 do not disturb";
        last_active_ms: u64, 9, "of who is offline: seen last, Unix epoch; else 0, and 0 if it is not known";
        status_until_ms: u64, 17, "when the status ends, Unix epoch; 0 for never";
        status: String, 25, "0 to 128 characters";
    }
    PushItem 17 {
        device: u64, 0, "whose";
        provider: u8, 8, "as in `SubscribePush`";
        created_ms: u64, 9, "when it was made, Unix epoch";
    }
    PresentDevice 17 {
        device: u64, 0, "which";
        state: u8, 8, "1 offline, 2 online, 3 idle";
        seen_ms: u64, 9, "when it last spoke, as far as that was written, Unix epoch";
    }
    ChannelItem 49 {
        channel: u128, 0, "the channel";
        head: u64, 16, "the newest seq the user may read";
        read: u64, 24, "how far the user has said to have read";
        unread: u64, 32, "messages of others above `read`; section 6 says how they are counted";
        member: bool, 40, "a member now";
        name: String, 41, "a group's name, as it was when the user left; empty for a direct channel";
    }
    MentionItem 48 {
        at: u64, 0, "place in the user's inbox: the `before` of the next page";
        channel: u128, 8, "the channel";
        seq: u64, 24, "the message that mentions the user";
        time_ms: u64, 32, "its time";
        sender: u64, 40, "who sent it";
    }
    PinItem 16 {
        seq: u64, 0, "the message";
        by: u64, 8, "seq of the PIN that pinned it";
    }
    AboutItem 28 {
        seq: u64, 0, "the message";
        edited: u64, 8, "seq of its newest edit; 0 for none";
        edits: u32, 16, "how often it was edited: at most 64";
        text: String, 20, "how it reads now; empty when it was not edited or `who` was asked for";
    }
    ReactionItem 21 {
        seq: u64, 0, "the message";
        count: u32, 8, "how many users";
        own: bool, 12, "the reader is among them";
        emoji: String, 13, "1 to 32 bytes";
    }
    ReactorItem 20 {
        seq: u64, 0, "the message";
        user: u64, 8, "who";
        reaction: u32, 16, "place of the way in `reactions`, from 0";
    }
    MentionCount 20 {
        channel: u128, 0, "the channel";
        unread: u32, 16, "mentions above the read position; 100 stands for 100 or more";
    }
    ChannelDetail 58 {
        mentions: u64, 0, "unread messages that mention the user";
        last_seq: u64, 8, "the newest message to show; 0 for none";
        last_sender: u64, 16, "who sent it";
        last_ms: u64, 24, "its time";
        last_kind: u16, 32, "its kind";
        muted_until_ms: u64, 34, "as in SetPrefs";
        pinned: u32, 42, "as in SetPrefs";
        notify: u8, 46, "as in SetPrefs";
        marked_unread: bool, 47, "as in SetPrefs";
        archived: bool, 48, "as in SetPrefs";
        has_draft: bool, 49, "in the channel or in a thread of it";
        text: String, 50, "the first 100 characters of a text";
    }
    DraftItem 40 {
        about: u128, 0, "the channel";
        thread: u64, 16, "the thread, or 0";
        time_ms: u64, 24, "when it was written";
        text: String, 32, "1 to 100,000 characters";
    }
    SanctionItem 17 {
        user: u64, 0, "who";
        muted_until_ms: u64, 8, "may not send before then, Unix epoch; 0 for not muted, 2^53 - 1 for no end";
        is_banned: bool, 16, "cannot become a member";
    }
    HiddenItem 40 {
        about: u128, 0, "the channel";
        at: u64, 16, "the seq in the user's own channel with which it was said";
        seq: u64, 24, "the first";
        through: u64, 32, "the last";
    }
}
}

/// What Welcome lists: [`KINDS`] as its items.
#[must_use]
pub fn kinds() -> Vec<KindVersion> {
    KINDS.iter().map(|(kind, version)| KindVersion { kind: kind.0, version: *version }).collect()
}

#[cfg(test)]
mod tests {
    use super::{Field, KINDS, OLDER, ROOTS};
    use crate::kind::Kind;

    #[test]
    fn every_kind_has_one_root_in_order() {
        let known: Vec<Kind> = Kind::ALL.iter().map(|(kind, _)| *kind).collect();
        let roots: Vec<Kind> = KINDS.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(roots, known);
    }

    #[test]
    fn fields_follow_each_other_from_0() {
        for layout in ROOTS.iter().chain(OLDER).chain(super::ITEMS) {
            assert_eq!(layout.fields.first().map(|field| field.offset), Some(0), "{}", layout.name);
            assert!(layout.fields.is_sorted_by(|a, b| a.offset < b.offset), "{}", layout.name);
        }
    }

    #[test]
    fn a_higher_version_ends_with_the_lower_one() {
        for older in OLDER {
            let newer = ROOTS.iter().find(|layout| layout.root.map(|r| r.0) == older.root.map(|r| r.0));
            let Some(newer) = newer else { panic!("{} has no higher version", older.name) };
            let before = newer.size - older.size;
            let tail = newer.fields.iter().filter(|field| field.offset >= before);
            let tail: Vec<Field> =
                tail.map(|field| Field { offset: field.offset - before, ..*field }).collect();
            assert_eq!(tail, older.fields, "{}", newer.name);
            assert!(newer.root.map(|r| r.1) > older.root.map(|r| r.1), "{}", newer.name);
        }
    }

    #[test]
    fn the_largest_fixed_part_fits_its_kind() {
        for layout in ROOTS {
            let Some((kind, _)) = layout.root else { panic!("{} has no kind", layout.name) };
            assert!(layout.size <= kind.body_bytes_max(), "{}", layout.name);
        }
    }
}
