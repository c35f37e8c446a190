//! Values as vectors.json spells them: 64 and 128-bit integers as decimal strings, long strings of one repeated
//! character as `{"repeat": c, "times": n}`.

use protocol::Frame;
use protocol::body::about::{
    About, AboutItem, EditText, GetAbout, Pin, PinItem, React, ReactionItem, ReactorItem, Recall, Recalled,
};
use protocol::body::erase::Erase;
use protocol::body::large::{HeadItem, Heads};
use protocol::body::list::{ChannelDetail, ChannelsV2, GetChannelsV2, GetHistoryV2, HistoryPageV2};
use protocol::body::marks::{GetReceipts, MarkDelivered, ReceiptItem, Receipts, Typing};
use protocol::body::message::{
    AddMembers, CreateGroup, GrowGroup, InviteMembers, JoinGroup, LeaveGroup, RemoveMember, RenameGroup,
    SendText, SetRole,
};
use protocol::body::own::{DraftItem, GetNotes, HiddenItem, Hide, Notes, SetDraft, SetPrefs};
use protocol::body::presence::{
    GetOwnPresence, GetPresence, Idle, OwnPresence, Presence, PresenceItem, PresentDevice, SetPresence,
    Unwatch, Watch,
};
use protocol::body::push::{GetPush, Push, PushItem, SetPush, SubscribePush, UnsubscribePush};
use protocol::body::rules::{BanMember, GetRules, MuteMember, Rules, SanctionItem, SetSlow, UnbanMember};
use protocol::body::session::{
    Done, GoingAway, Heartbeat, Hello, KindVersion, Reauth, Reject, Welcome, WelcomeV2,
};
use protocol::body::sync::{
    ChannelItem, Channels, Complete, CursorAck, GetChannels, GetHistory, GetMembers, HistoryPage, MarkRead,
    MemberItem, Members, MembersV2, SendAck,
};
use protocol::body::talk::{GetMentions, GetThread, MentionCount, MentionItem, Mentions, SendTextV2, Thread};
use protocol::body::{Body, encode, read};
use serde_json::{Map, Value, json};

/// Strings of more bytes than this are written with `repeat` where they can be.
const SPELLED_BYTES_MAX: usize = 100;

pub(crate) trait Json {
    fn to_json(&self) -> Value;
    fn from_json(value: &Value) -> Self;
}

macro_rules! numbers {
    ($($small:ident)*; $($large:ident)*) => {
        $(impl Json for $small {
            fn to_json(&self) -> Value {
                json!(self)
            }
            fn from_json(value: &Value) -> Self {
                value.as_u64().expect("a number").try_into().expect("in range")
            }
        })*
        $(impl Json for $large {
            fn to_json(&self) -> Value {
                json!(self.to_string())
            }
            fn from_json(value: &Value) -> Self {
                value.as_str().expect("a decimal string").parse().expect("in range")
            }
        })*
    };
}

numbers!(u8 u16 u32; u64 u128);

impl Json for bool {
    fn to_json(&self) -> Value {
        json!(self)
    }
    fn from_json(value: &Value) -> Self {
        value.as_bool().expect("a bool")
    }
}

impl Json for String {
    fn to_json(&self) -> Value {
        match self.chars().next() {
            Some(first) if self.len() > SPELLED_BYTES_MAX && self.chars().all(|c| c == first) => {
                json!({ "repeat": first.to_string(), "times": self.chars().count() })
            }
            _ => json!(self),
        }
    }
    fn from_json(value: &Value) -> Self {
        match value {
            Value::String(text) => text.clone(),
            _ => {
                let times = value["times"].as_u64().expect("a count") as usize;
                value["repeat"].as_str().expect("a character").repeat(times)
            }
        }
    }
}

impl<T: Json> Json for Vec<T> {
    fn to_json(&self) -> Value {
        self.iter().map(T::to_json).collect()
    }
    fn from_json(value: &Value) -> Self {
        value.as_array().expect("a list").iter().map(T::from_json).collect()
    }
}

macro_rules! structs {
    (roots { $($root:ident { $($field:ident)* })* } older { $($older:ident { $($older_field:ident)* })* } items { $($item:ident { $($item_field:ident)* })* }) => {
        $(structs!(@one $root { $($field)* });)*
        $(structs!(@one $older { $($older_field)* });)*
        $(structs!(@one $item { $($item_field)* });)*

        /// The value of a frame of any kind and known version, read as a receiver does.
        pub(crate) fn value_of(frame: &Frame) -> Option<Value> {
            match (frame.kind(), frame.header().version) {
                $((<$older as Body>::KIND, <$older as Body>::VERSION) => value_as(stringify!($older), frame),)*
                $((<$root as Body>::KIND, _) => value_as(stringify!($root), frame),)*
                _ => None,
            }
        }

        /// The value of a frame as a receiver reads it that knows no other version than this type's.
        pub(crate) fn value_as(root: &str, frame: &Frame) -> Option<Value> {
            match root {
                $(stringify!($root) => read::<$root>(frame).map(|value| value.to_json()),)*
                $(stringify!($older) => read::<$older>(frame).map(|value| value.to_json()),)*
                other => panic!("{other} is not a root type"),
            }
        }

        /// The frame that Rust makes of a value.
        pub(crate) fn frame_of(root: &str, id: u64, value: &Value) -> Frame {
            match root {
                $(stringify!($root) => encode(id, &$root::from_json(value)),)*
                $(stringify!($older) => encode(id, &$older::from_json(value)),)*
                other => panic!("{other} is not a root type"),
            }
        }
    };
    (@one $type:ident { $($field:ident)* }) => {
        impl Json for $type {
            fn to_json(&self) -> Value {
                let mut map = Map::new();
                $(map.insert(stringify!($field).to_owned(), self.$field.to_json());)*
                Value::Object(map)
            }
            fn from_json(value: &Value) -> Self {
                Self { $($field: Json::from_json(&value[stringify!($field)]),)* }
            }
        }
    };
}

structs! {
roots {
    SendTextV2 { reply_to thread forwarded_from mentions mention_flags channel text }
    EditText { channel target text }
    Recall { channel target }
    React { channel target on emoji }
    Pin { channel target on }
    CreateGroup { channel name members }
    AddMembers { channel members }
    RemoveMember { channel member }
    LeaveGroup { channel }
    RenameGroup { channel name }
    SetRole { channel member role }
    InviteMembers { channel members }
    JoinGroup { channel }
    GrowGroup { channel }
    Erase { channel }
    MuteMember { channel member for_s }
    BanMember { channel member }
    UnbanMember { channel member }
    SetSlow { channel interval_s }
    SetPrefs { channel about muted_until_ms pinned marked_unread notify archived }
    SetDraft { channel about thread text }
    Hide { channel about seq through }
    Hello { generation cursor token }
    WelcomeV2 {
        tokens_per_s tokens_burst token_bytes
        user device generation start head time_ms expires_ms heartbeat_ms group_members_max kinds
    }
    Reauth { token }
    Heartbeat { time_ms }
    GoingAway { reconnect_after_ms reason }
    Done { kind }
    SendAck { channel seq time_ms }
    Complete { generation from to head }
    CursorAck { generation cursor }
    GetHistoryV2 { at around channel after before limit newest }
    HistoryPageV2 { pivot more_before more_after channel from to head count more }
    GetMembers { channel after limit }
    MembersV2 { total channel items more }
    GetChannelsV2 { generation at order after limit }
    ChannelsV2 { generation through next needs_snapshot details items more }
    MarkRead { channel seq }
    GetAbout { channel from through limit who }
    About { channel from to pins items reactions who more }
    GetThread { channel root after before limit newest }
    Thread { channel root from to total newest count more }
    GetMentions { before limit }
    Recalled { channel target by user time_ms }
    MarkDelivered { channel seq }
    Receipts { channel items more }
    GetReceipts { channel after limit }
    Typing { channel user expires_ms state }
    Mentions { items unread more }
    GetNotes { about after_about after what limit }
    Notes { drafts hidden more }
    GetRules { channel after limit }
    Rules { channel interval_s items more }
    Heads { items }
    Watch { users }
    Unwatch { users }
    Presence { items }
    SetPresence { shows status_until_ms status }
    Idle { is_idle }
    GetPresence { users }
    GetOwnPresence { device }
    OwnPresence { state shows status_until_ms status devices }
    SubscribePush { provider preview language quiet_from quiet_until zone address p256dh secret }
    UnsubscribePush { device provider }
    SetPush { is_off }
    GetPush { device }
    Push { is_off key items }
    Reject { code retry_after_ms path text }
}
older {
    SendText { channel text }
    Welcome { user device generation start head time_ms expires_ms heartbeat_ms group_members_max kinds }
    GetHistory { channel after before limit newest }
    HistoryPage { channel from to head count more }
    Members { channel items more }
    GetChannels { after limit }
    Channels { items more }
}
items {
    HeadItem { channel head }
    KindVersion { kind version }
    MemberItem { user joined role }
    ReceiptItem { user read delivered }
    PresenceItem { user state last_active_ms status_until_ms status }
    PresentDevice { device state seen_ms }
    PushItem { device provider created_ms }
    ChannelItem { channel head read unread member name }
    MentionItem { at channel seq time_ms sender }
    PinItem { seq by }
    AboutItem { seq edited edits text }
    ReactionItem { seq count own emoji }
    ReactorItem { seq user reaction }
    MentionCount { channel unread }
    ChannelDetail {
        mentions last_seq last_sender last_ms last_kind
        muted_until_ms pinned notify marked_unread archived has_draft text
    }
    DraftItem { about thread time_ms text }
    HiddenItem { about at seq through }
    SanctionItem { user muted_until_ms is_banned }
}
}
