//! Exports of channels and users, as the control plane asks for them.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use hyper::body::{Body, Frame};
use protocol::{ChannelId, UserId};
use tokio::sync::mpsc::Receiver;

/// What is exported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExportOf {
    /// A channel, whole.
    Channel(ChannelId),
    /// A user, and what the user may read.
    User(UserId),
}

/// Why there is no export.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ExportRefusal {
    /// Nothing was ever said in such a channel, or nobody has the id.
    #[error("there is no such channel with messages, or no such user")]
    Unknown,
    /// As many as there may be are being made, or one of this user is.
    #[error("{0}")]
    Busy(&'static str),
    /// Words for the log.
    #[error("{0}")]
    Failed(String),
}

/// An export that has begun. It ends behind its last line; where it breaks off there is none, and the answer is cut.
#[derive(Debug)]
pub struct Export(Receiver<Result<Bytes, ExportBroken>>);

/// The rest cannot be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the export broke off; the server's log says why")]
pub struct ExportBroken;

impl Export {
    /// Of pieces that somebody makes. Whoever drops it wants no more.
    #[must_use]
    pub fn new(pieces: Receiver<Result<Bytes, ExportBroken>>) -> Self {
        Self(pieces)
    }

    /// The next piece; `None` behind the last.
    pub async fn next(&mut self) -> Option<Result<Bytes, ExportBroken>> {
        self.0.recv().await
    }
}

impl Body for Export {
    type Data = Bytes;
    type Error = ExportBroken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ExportBroken>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
