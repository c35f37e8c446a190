//! A connection that carries frames, whichever way it goes.

use protocol::Frame;

use super::quic::Quic;
use super::socket::{Lost, Socket};

#[derive(Debug)]
pub(super) enum Link {
    Ws(Socket),
    Quic(Box<Quic>),
}

impl Link {
    /// Whether all that was queued is written: only then is more taken, so that the rest waits where it can still be
    /// ordered and dropped.
    pub(super) fn is_drained(&self) -> bool {
        match self {
            Self::Ws(link) => link.is_drained(),
            Self::Quic(link) => link.is_drained(),
        }
    }

    /// Queues frames. False when there was none.
    pub(super) fn queue(&mut self, next: impl FnMut() -> Option<Frame>) -> bool {
        match self {
            Self::Ws(link) => link.queue(next),
            Self::Quic(link) => link.queue(next),
        }
    }

    /// Reads (when `may_read`) or writes once; frames that came are appended. Dropping the future loses nothing.
    pub(super) async fn turn(&mut self, may_read: bool, frames: &mut Vec<Frame>) -> Result<(), Lost> {
        match self {
            Self::Ws(link) => link.turn(may_read, frames).await,
            Self::Quic(link) => link.turn(may_read, frames).await,
        }
    }

    /// Says goodbye, as far as the connection still takes it.
    pub(super) async fn close(self) {
        match self {
            Self::Ws(link) => link.close().await,
            Self::Quic(link) => link.close().await,
        }
    }
}
