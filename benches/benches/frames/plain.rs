//! The bodies of protocol/ as most would write them: one struct that is a protobuf message and a JSON object. A channel id
//! is 16 bytes in protobuf, and digits in a string in JSON, whose numbers end at 2^53.

use prost::Message;
use serde::{Deserialize, Serialize};

/// A channel id as the bytes that protobuf carries it in.
pub fn id(channel: u128) -> Vec<u8> {
    channel.to_le_bytes().to_vec()
}

mod digits {
    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::ptr_arg)]
    pub fn serialize<S: Serializer>(id: &Vec<u8>, to: S) -> Result<S::Ok, S::Error> {
        let id: [u8; 16] = id.as_slice().try_into().unwrap_or_default();
        to.collect_str(&u128::from_le_bytes(id))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = <&str>::deserialize(from)?;
        text.parse().map(super::id).map_err(serde::de::Error::custom)
    }
}

/// Declares bodies. A field's sort says how both dialects carry it.
macro_rules! bodies {
    ($($name:ident { $($tag:literal $field:ident: $sort:tt,)* })*) => {
        $(bodies!(@fields $name {} $($tag $field: $sort,)*);)*
    };
    (@fields $name:ident {$($done:tt)*}) => {
        #[derive(Message, Serialize, Deserialize)]
        pub struct $name { $($done)* }
    };
    (@fields $name:ident {$($done:tt)*} $tag:literal $field:ident: id, $($rest:tt)*) => {
        bodies!(@fields $name {$($done)*
            #[prost(bytes = "vec", tag = $tag)] #[serde(with = "digits")] pub $field: Vec<u8>,
        } $($rest)*);
    };
    (@fields $name:ident {$($done:tt)*} $tag:literal $field:ident: string, $($rest:tt)*) => {
        bodies!(@fields $name {$($done)* #[prost(string, tag = $tag)] pub $field: String,} $($rest)*);
    };
    (@fields $name:ident {$($done:tt)*} $tag:literal $field:ident: u64, $($rest:tt)*) => {
        bodies!(@fields $name {$($done)* #[prost(uint64, tag = $tag)] pub $field: u64,} $($rest)*);
    };
    (@fields $name:ident {$($done:tt)*} $tag:literal $field:ident: u32, $($rest:tt)*) => {
        bodies!(@fields $name {$($done)* #[prost(uint32, tag = $tag)] pub $field: u32,} $($rest)*);
    };
    (@fields $name:ident {$($done:tt)*} $tag:literal $field:ident: bool, $($rest:tt)*) => {
        bodies!(@fields $name {$($done)* #[prost(bool, tag = $tag)] pub $field: bool,} $($rest)*);
    };
    (@fields $name:ident {$($done:tt)*} $tag:literal $field:ident: users, $($rest:tt)*) => {
        bodies!(@fields $name {$($done)* #[prost(uint64, repeated, tag = $tag)] pub $field: Vec<u64>,} $($rest)*);
    };
    (@fields $name:ident {$($done:tt)*} $tag:literal $field:ident: [$item:ident], $($rest:tt)*) => {
        bodies!(@fields $name {$($done)* #[prost(message, repeated, tag = $tag)] pub $field: Vec<$item>,} $($rest)*);
    };
}

bodies! {
    Hello { "1" generation: u64, "2" cursor: u64, "3" token: string, }
    Welcome {
        "1" user: u64, "2" device: u64, "3" generation: u64, "4" start: u64, "5" head: u64, "6" time_ms: u64,
        "7" expires_ms: u64, "8" heartbeat_ms: u32, "9" group_members_max: u32, "10" kinds: [KindVersion],
    }
    KindVersion { "1" kind: u32, "2" version: u32, }
    Reauth { "1" token: string, }
    Heartbeat { "1" time_ms: u64, }
    GoingAway { "1" reconnect_after_ms: u32, "2" reason: u32, }
    Done { "1" kind: u32, }
    Reject { "1" code: u32, "2" retry_after_ms: u32, "3" path: string, "4" text: string, }
    SendText { "1" channel: id, "2" text: string, }
    CreateGroup { "1" channel: id, "2" name: string, "3" members: users, }
    AddMembers { "1" channel: id, "2" members: users, }
    RemoveMember { "1" channel: id, "2" member: u64, }
    LeaveGroup { "1" channel: id, }
    RenameGroup { "1" channel: id, "2" name: string, }
    SetRole { "1" channel: id, "2" member: u64, "3" role: u32, }
    SendAck { "1" channel: id, "2" seq: u64, "3" time_ms: u64, }
    Complete { "1" generation: u64, "2" from: u64, "3" to: u64, "4" head: u64, }
    CursorAck { "1" generation: u64, "2" cursor: u64, }
    GetHistory { "1" channel: id, "2" after: u64, "3" before: u64, "4" limit: u32, "5" newest: bool, }
    HistoryPage { "1" channel: id, "2" from: u64, "3" to: u64, "4" head: u64, "5" count: u32, "6" more: bool, }
    GetMembers { "1" channel: id, "2" after: u64, "3" limit: u32, }
    Members { "1" channel: id, "2" items: [MemberItem], "3" more: bool, }
    MemberItem { "1" user: u64, "2" joined: u64, "3" role: u32, }
    GetChannels { "1" after: id, "2" limit: u32, }
    Channels { "1" items: [ChannelItem], "2" more: bool, }
    ChannelItem {
        "1" channel: id, "2" head: u64, "3" read: u64, "4" unread: u64, "5" member: bool, "6" name: string,
    }
    MarkRead { "1" channel: id, "2" seq: u64, }
    MarkDelivered { "1" channel: id, "2" seq: u64, }
    Receipts { "1" channel: id, "2" items: [ReceiptItem], "3" more: bool, }
    ReceiptItem { "1" user: u64, "2" read: u64, "3" delivered: u64, }
    GetReceipts { "1" channel: id, "2" after: u64, "3" limit: u32, }
    Typing { "1" channel: id, "2" user: u64, "3" expires_ms: u32, "4" state: u32, }
}
