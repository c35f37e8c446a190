//! What channels keep: their homes are asked to purge, and the store what it has.

use api::{HomeError, KeepRefusal, Kept};
use protocol::query::{Answer, Cut, Query};
use protocol::{ChannelId, Seq};
use shard::{CommandError, Keeping};
use tokio::sync::oneshot;

use super::{ANSWER_TIMEOUT, DataPlane, not_now};
use crate::mesh::Post;

/// What is younger is not purged by an operator's word: whoever sent it may still wait for its ack, and devices for it.
const PURGE_AGE_MS: u64 = 10_000;

/// A purge that an operator asks for.
pub(super) fn by_hand(cut: Cut) -> Keeping {
    Keeping::Purge(Cut { younger_ms: api::now_ms().saturating_sub(PURGE_AGE_MS), ..cut })
}

impl DataPlane {
    /// Asks a channel's home to purge, or to keep; what holds then.
    pub(crate) async fn keep(&self, channel: ChannelId, keeping: Keeping) -> Result<Kept, KeepRefusal> {
        let not_now = |words: &str| KeepRefusal::NotNow(words.into());
        let home = self.outlets.to(self.placement.channel_home(channel));
        let home = home.ok_or_else(|| not_now("no such shard"))?;
        let (reply, answer) = oneshot::channel();
        let reply = Box::new(move |outcome| {
            // Whoever asked may have gone.
            let _ = reply.send(outcome);
        });
        let posted = home.try_post(Post::Purge { channel, keeping, reply });
        posted.map_err(|_| not_now("the shard's mailbox is full"))?;
        match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(CommandError::NoSuchChannel))) => return Err(KeepRefusal::Unknown),
            Ok(Ok(Err(CommandError::OwnChannel))) => return Err(KeepRefusal::OwnChannel),
            Ok(Ok(Err(CommandError::StorageFull))) => return Err(KeepRefusal::StorageFull),
            Ok(Ok(Err(CommandError::Busy { .. }))) => {
                return Err(not_now("something of the channel is being purged, or it cannot be read now"));
            }
            Ok(Ok(Err(error))) => return Err(not_now(&error.to_string())),
            Ok(Err(_)) => return Err(not_now("the shard has ended")),
            Err(_) => return Err(not_now("the shard did not answer in time")),
        }
        // Files of a channel with a family of its own are dropped now.
        self.mover.wake();
        self.kept_now(channel).await
    }

    /// What a channel keeps; one without messages is refused.
    pub(super) async fn kept_now(&self, channel: ChannelId) -> Result<Kept, KeepRefusal> {
        let found = self.floor(channel, Cut::default()).await;
        let (kept, _) = found.map_err(|error| KeepRefusal::NotNow(error.to_string()))?;
        if kept.head == Seq(0) { Err(KeepRefusal::Unknown) } else { Ok(kept) }
    }

    /// What a channel keeps, and where its history would begin behind a purge.
    pub(crate) async fn floor(&self, channel: ChannelId, cut: Cut) -> Result<(Kept, Seq), HomeError> {
        match self.read(Query::Floor { channel, cut }).await? {
            Answer::Floor { now, then, head, retention } => {
                Ok((Kept { floor: now, head, retention }, then.below))
            }
            other => Err(not_now(&format!("the store answered {other:?}"))),
        }
    }
}
