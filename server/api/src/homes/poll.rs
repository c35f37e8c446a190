//! Devices that ask by HTTP in place of a connection.

use std::time::Duration;

use axum::body::Bytes;
use protocol::CloseCode;
use protocol::token::Claims;

/// One request of a session.
#[derive(Clone, Debug)]
pub struct PollRequest {
    /// Whose token came with it.
    pub claims: Claims,
    /// Which session; `None` begins one.
    pub session: Option<u64>,
    /// From 1, which begins it.
    pub number: u64,
    /// Whole frames.
    pub frames: Bytes,
    /// How long it may wait for something to be answered with.
    pub wait: Duration,
}

/// The answer to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PollAnswer {
    /// The session.
    pub session: u64,
    /// The request's number.
    pub number: u64,
    /// Whole frames.
    pub frames: Vec<Bytes>,
    /// The session has ended with these frames.
    pub close: Option<CloseCode>,
}

/// Why a request is not answered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PollRefusal {
    /// There is no such session of this device, or no more.
    #[error("there is no such session of this device, or no more; begin another with Hello")]
    Unknown,
    /// The session waits for another request.
    #[error(
        "the session's next request is number {expected}; of those before it, only the last two can come again"
    )]
    Number {
        /// This one.
        expected: u64,
    },
    /// The same request came again.
    #[error("the same request came again, and its answer goes there")]
    Repeated,
    /// Not now.
    #[error("the server takes no more of this session now; send the same request again")]
    Busy,
    /// The data plane did not answer; words for the log.
    #[error("{0}")]
    Failed(String),
}
