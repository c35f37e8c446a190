//! What devices show of push, as far as their providers can be told to show it no more. A row for each channel: it is written when
//! a provider has taken a push, says so once the user has read that message anywhere, and goes when the control plane has withdrawn
//! it.
//!
//! No job waits for any of it or is changed by it. While the disk is nearly full nothing of it is begun: then what is shown stays
//! until the app itself closes it.

use protocol::commit::{Row, ShownRow, Target};
use protocol::limits::{PUSH_JOBS_MAX, PUSH_SUBSCRIPTIONS_MAX};
use protocol::{ChannelId, Seq, UserId};

use super::Push;
use crate::pipeline::After;
use crate::shard::Shard;

/// What providers have taken, as the control plane says it.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) seq: Seq,
    pub(super) by: Vec<Target>,
    /// Its job was gone when that was said: the user read it while it was told. Whoever withdraws looks at the position again.
    pub(super) is_read: bool,
}

impl Push {
    /// Providers have taken a push. `None`: that is known already. Else the channel whose row gave way, if one did.
    fn show(&mut self, channel: ChannelId, taken: &Taken, now_ms: u64) -> Option<Option<ChannelId>> {
        let known = self.shown.get(&channel);
        let has_all = |row: &ShownRow| taken.by.iter().all(|target| row.targets.contains(target));
        if taken.by.is_empty() || known.is_some_and(|row| row.seq >= taken.seq && has_all(row)) {
            return None;
        }
        let is_full = known.is_none() && self.shown.len() >= PUSH_JOBS_MAX;
        let oldest = self.shown.iter().min_by_key(|(_, row)| row.time_ms).map(|(oldest, _)| *oldest);
        let gives_way = oldest.filter(|_| is_full);
        if let Some(oldest) = gives_way {
            self.shown.remove(&oldest);
        }
        let row = self.shown.entry(channel).or_default();
        (row.seq, row.time_ms, row.is_read) = (row.seq.max(taken.seq), now_ms, taken.is_read);
        for target in &taken.by {
            if !row.targets.contains(target) && row.targets.len() < PUSH_SUBSCRIPTIONS_MAX {
                row.targets.push(*target);
            }
        }
        Some(gives_way)
    }

    /// Whether a mark of what is read passes what is shown, and nobody knows that yet.
    pub(super) fn is_passed(&self, channel: ChannelId, seq: Seq) -> bool {
        self.shown.get(&channel).is_some_and(|row| !row.is_read && row.seq <= seq)
    }
}

impl Shard {
    /// Remembers what devices show from now on.
    pub(super) fn push_shown(&mut self, id: UserId, channel: ChannelId, taken: &Taken) {
        let now_ms = self.wall_ms;
        if self.space_low {
            return;
        }
        let push = self.users.get_mut(&id).and_then(|user| user.push.as_mut());
        let Some(push) = push.filter(|push| !push.is_off && !push.subscriptions.is_empty()) else { return };
        let Some(gives_way) = push.show(channel, taken, now_ms) else { return };
        for channel in gives_way.into_iter().chain([channel]) {
            self.write_shown(id, channel);
        }
    }

    /// The user has read it: it is to be withdrawn.
    pub(super) fn push_passed(&mut self, id: UserId, channel: ChannelId) {
        let push = self.users.get_mut(&id).and_then(|user| user.push.as_mut());
        let Some(row) = push.and_then(|push| push.shown.get_mut(&channel)) else { return };
        row.is_read = true;
        self.write_shown(id, channel);
    }

    /// The control plane has withdrawn it as far as `seq`, or has found that it is not to be withdrawn. What was shown since stays.
    pub(crate) fn push_withdrawn(&mut self, id: UserId, channel: ChannelId, seq: Seq) {
        let Some(user) = self.users.get_mut(&id) else { return };
        let has_ended = match user.push.as_mut() {
            Some(push) => {
                let is_it = push.shown.get(&channel).is_some_and(|row| row.is_read && row.seq == seq);
                is_it && push.shown.remove(&channel).is_some()
            }
            // What a crash or an older program left.
            None => true,
        };
        if has_ended {
            self.write_shown(id, channel);
        }
    }

    /// Writes what is shown of a channel now.
    pub(super) fn write_shown(&mut self, id: UserId, channel: ChannelId) {
        let push = self.users.get(&id).and_then(|user| user.push.as_ref());
        let row = push.and_then(|push| push.shown.get(&channel)).cloned();
        let wakes = row.as_ref().is_some_and(|row| row.is_read);
        self.user_row(id, Row::Shown { user: id, channel, row });
        if wakes {
            self.pipeline.push(After::Push(id, channel));
        }
    }
}
