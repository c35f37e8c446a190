//! A channel's home is asked for the next step of an erasure.

use api::HomeError;
use protocol::{ChannelId, UserId};
use shard::CommandError;
use tokio::sync::oneshot;

use super::{ANSWER_TIMEOUT, DataPlane, not_now, refusal};
use crate::mesh::Post;

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Erased {
    /// There may be more.
    Step,
    /// Nothing is left.
    Whole,
}

impl DataPlane {
    /// The next step of the erasure of a user from a channel.
    pub(crate) async fn erase(&self, channel: ChannelId, user: UserId) -> Result<Erased, HomeError> {
        let home = self.outlets.to(self.placement.channel_home(channel));
        let home = home.ok_or_else(|| not_now("no such shard"))?;
        let (reply, answer) = oneshot::channel();
        let reply = Box::new(move |outcome| {
            // Whoever asked may have gone.
            let _ = reply.send(outcome);
        });
        let posted = home.try_post(Post::Erase { channel, user, reply });
        posted.map_err(|_| not_now("the shard's mailbox is full"))?;
        match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
            Ok(Ok(Ok(()))) => Ok(Erased::Step),
            Ok(Ok(Err(CommandError::NothingLeft))) => Ok(Erased::Whole),
            Ok(Ok(Err(error))) => Err(refusal(error)),
            Ok(Err(_)) => Err(not_now("the shard has ended")),
            Err(_) => Err(not_now("the shard did not answer in time")),
        }
    }
}
