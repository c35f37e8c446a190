//! Family 02 and 0f: the life of a session, and refusals.

use rkyv::{Archive, Deserialize, Serialize};

use super::ingest::{Body, check_u53};
use crate::kind::Kind;
use crate::limits::TOKEN_BYTES_MAX;
use crate::reject::{Code, Refusal};

/// HELLO v1: the first frame of a connection.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The inbox generation that `cursor` counts in; 0 for a device that holds nothing.
    pub generation: u64,
    /// The device holds everything up to and with this inbox position. Below 2^53.
    pub cursor: u64,
    /// The access token from login: names user and device. 1 to 8,192 bytes.
    pub token: String,
}

/// WELCOME v1: the session begins. Servers send v2, [`WelcomeV2`], which ends with this one.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Welcome {
    /// Who the token says.
    pub user: u64,
    /// Which device the token says.
    pub device: u64,
    /// This inbox's generation. If it is not the one in Hello, the device reads its channels anew
    /// and sets its cursor to `start`.
    pub generation: u64,
    /// The range that the pages after this Welcome begin behind: the cursor of Hello, or, after a change of
    /// generation, the head.
    pub start: u64,
    /// The inbox's newest durable position. Below 2^53.
    pub head: u64,
    /// Milliseconds since the Unix epoch at the server.
    pub time_ms: u64,
    /// When the token ends, in the same clock. Send Reauth before.
    pub expires_ms: u64,
    /// Send a Heartbeat when nothing else was sent for so long.
    pub heartbeat_ms: u32,
    /// Members a group may have.
    pub group_members_max: u32,
    /// What the server knows; a device sends no higher version.
    pub kinds: Vec<KindVersion>,
}

/// WELCOME v2: the session begins, and how much it may send is said.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct WelcomeV2 {
    /// Tokens that this session is given in a second; see [`crate::cost`]. Never 0.
    pub tokens_per_s: u32,
    /// Tokens that are there at once after a pause. What costs more than that takes them all. Never 0.
    pub tokens_burst: u32,
    /// So many bytes of a body cost one more token. Never 0.
    pub token_bytes: u32,
    /// From here on as in v1.
    pub user: u64,
    /// As in v1.
    pub device: u64,
    /// As in v1.
    pub generation: u64,
    /// As in v1.
    pub start: u64,
    /// As in v1.
    pub head: u64,
    /// As in v1.
    pub time_ms: u64,
    /// As in v1.
    pub expires_ms: u64,
    /// As in v1.
    pub heartbeat_ms: u32,
    /// As in v1.
    pub group_members_max: u32,
    /// As in v1.
    pub kinds: Vec<KindVersion>,
}

/// The highest version of one kind.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub struct KindVersion {
    /// The kind.
    pub kind: u16,
    /// Its highest known version.
    pub version: u8,
}

/// REAUTH v1: a fresh token of the same user and device; answered by Done.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Reauth {
    /// As in Hello.
    pub token: String,
}

/// HEARTBEAT v1: answered by the same frame, after a Complete if the range moved.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Heartbeat {
    /// The sender's clock in milliseconds; the answer repeats it. Below 2^53.
    pub time_ms: u64,
}

/// GOING_AWAY v1: the connection will close.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct GoingAway {
    /// Come back after so long; drawn at random per connection, so that not all come at once.
    pub reconnect_after_ms: u32,
    /// The close code that follows.
    pub reason: u16,
}

/// DONE v1: the request with this header id was carried out.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Done {
    /// The kind of the request.
    pub kind: u16,
}

/// REJECT v1: the frame with this header id was refused.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Reject {
    /// [`crate::reject::Code`].
    pub code: u16,
    /// 0: do not retry; otherwise retry the same frame after so many milliseconds.
    pub retry_after_ms: u32,
    /// The field at fault.
    pub path: String,
    /// What was found and what was expected.
    pub text: String,
}

fn check_token(token: &str) -> Result<(), Refusal> {
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
        let text = format!("{} bytes; must be 1 to {TOKEN_BYTES_MAX}", token.len());
        return Err(Refusal::new(Code::Limit, "token", text));
    }
    Ok(())
}

impl Body for Hello {
    const KIND: Kind = Kind::HELLO;
    fn check(wire: &ArchivedHello) -> Result<(), Refusal> {
        check_u53("generation", wire.generation.to_native())?;
        check_u53("cursor", wire.cursor.to_native())?;
        check_token(&wire.token)
    }
}

impl Body for Reauth {
    const KIND: Kind = Kind::REAUTH;
    fn check(wire: &ArchivedReauth) -> Result<(), Refusal> {
        check_token(&wire.token)
    }
}

impl Body for Heartbeat {
    const KIND: Kind = Kind::HEARTBEAT;
    fn check(wire: &ArchivedHeartbeat) -> Result<(), Refusal> {
        check_u53("time_ms", wire.time_ms.to_native())
    }
}

impl Body for Welcome {
    const KIND: Kind = Kind::WELCOME;
}
impl Body for WelcomeV2 {
    const KIND: Kind = Kind::WELCOME;
    const VERSION: u8 = 2;
}
impl Body for GoingAway {
    const KIND: Kind = Kind::GOING_AWAY;
}
impl Body for Done {
    const KIND: Kind = Kind::DONE;
}
impl Body for Reject {
    const KIND: Kind = Kind::REJECT;
}
