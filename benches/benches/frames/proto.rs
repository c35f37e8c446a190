//! The same bodies in protobuf.

use prost::Message;

/// A channel id as the 16 bytes that protobuf would carry it in.
pub fn id(channel: u128) -> Vec<u8> {
    channel.to_le_bytes().to_vec()
}

#[derive(Message)]
pub struct SendText {
    #[prost(bytes = "vec", tag = "1")]
    pub channel: Vec<u8>,
    #[prost(string, tag = "2")]
    pub text: String,
}

#[derive(Message)]
pub struct CreateGroup {
    #[prost(bytes = "vec", tag = "1")]
    pub channel: Vec<u8>,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(uint64, repeated, tag = "3")]
    pub members: Vec<u64>,
}

#[derive(Message)]
pub struct Hello {
    #[prost(uint64, tag = "1")]
    pub generation: u64,
    #[prost(uint64, tag = "2")]
    pub cursor: u64,
    #[prost(string, tag = "3")]
    pub token: String,
}

#[derive(Message)]
pub struct Heartbeat {
    #[prost(uint64, tag = "1")]
    pub time_ms: u64,
}

#[derive(Message)]
pub struct GetHistory {
    #[prost(bytes = "vec", tag = "1")]
    pub channel: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub after: u64,
    #[prost(uint64, tag = "3")]
    pub before: u64,
    #[prost(uint32, tag = "4")]
    pub limit: u32,
    #[prost(bool, tag = "5")]
    pub newest: bool,
}

#[derive(Message)]
pub struct SendAck {
    #[prost(bytes = "vec", tag = "1")]
    pub channel: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub seq: u64,
    #[prost(uint64, tag = "3")]
    pub time_ms: u64,
}

#[derive(Message)]
pub struct Complete {
    #[prost(uint64, tag = "1")]
    pub generation: u64,
    #[prost(uint64, tag = "2")]
    pub from: u64,
    #[prost(uint64, tag = "3")]
    pub to: u64,
    #[prost(uint64, tag = "4")]
    pub head: u64,
}

#[derive(Message)]
pub struct Members {
    #[prost(bytes = "vec", tag = "1")]
    pub channel: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub items: Vec<Member>,
    #[prost(bool, tag = "3")]
    pub more: bool,
}

#[derive(Message)]
pub struct Member {
    #[prost(uint64, tag = "1")]
    pub user: u64,
    #[prost(uint64, tag = "2")]
    pub joined: u64,
    #[prost(uint32, tag = "3")]
    pub role: u32,
}
