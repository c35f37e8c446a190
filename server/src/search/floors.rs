//! Purges that the index may not have heard of: they were said to a process that died before it committed them, or came while
//! nobody followed. Whenever an index is opened, the channels of which something was purged are gone through once, a slice at a
//! time.

use std::collections::VecDeque;

use protocol::{BayId, ChannelId, Seq};
use storage::{Store, StoreError};

/// Channels of a slice.
const SLICE: usize = 256;

/// How far it has come.
#[derive(Debug)]
pub(super) struct Floors {
    bays: VecDeque<BayId>,
    /// Of the first of them.
    after: Option<ChannelId>,
}

impl Floors {
    pub(super) fn begin() -> Self {
        Self { bays: BayId::all().collect(), after: None }
    }

    /// The next channels, each with the first seq that is left of it; `None` behind the last. Bays of which nothing was purged cost
    /// a look each.
    pub(super) fn slice(&mut self, data: &Store) -> Result<Option<Vec<(ChannelId, Seq)>>, StoreError> {
        while let Some(bay) = self.bays.front() {
            let kept = data.keeps(*bay, self.after, SLICE)?;
            self.after = kept.last().map(|last| last.channel);
            if kept.len() < SLICE {
                self.after = None;
                self.bays.pop_front();
            }
            let purged = kept.into_iter().map(|keeps| (keeps.channel, keeps.floor.below));
            let purged: Vec<(ChannelId, Seq)> = purged.filter(|(_, below)| *below > Seq(1)).collect();
            if !purged.is_empty() {
                return Ok(Some(purged));
            }
        }
        Ok(None)
    }
}
