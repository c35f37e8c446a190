//! The same bodies in JSON; a channel id is digits in a string, because JSON numbers end at 2^53.

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct SendText {
    pub channel: String,
    pub text: String,
}

#[derive(Serialize, Deserialize)]
pub struct CreateGroup {
    pub channel: String,
    pub name: String,
    pub members: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
pub struct Hello {
    pub generation: u64,
    pub cursor: u64,
    pub token: String,
}

#[derive(Serialize, Deserialize)]
pub struct Heartbeat {
    pub time_ms: u64,
}

#[derive(Serialize, Deserialize)]
pub struct GetHistory {
    pub channel: String,
    pub after: u64,
    pub before: u64,
    pub limit: u32,
    pub newest: bool,
}

#[derive(Serialize, Deserialize)]
pub struct SendAck {
    pub channel: String,
    pub seq: u64,
    pub time_ms: u64,
}

#[derive(Serialize, Deserialize)]
pub struct Complete {
    pub generation: u64,
    pub from: u64,
    pub to: u64,
    pub head: u64,
}

#[derive(Serialize, Deserialize)]
pub struct Members {
    pub channel: String,
    pub items: Vec<Member>,
    pub more: bool,
}

#[derive(Serialize, Deserialize)]
pub struct Member {
    pub user: u64,
    pub joined: u64,
    pub role: u32,
}
