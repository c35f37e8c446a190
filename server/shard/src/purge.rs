//! A channel's history begins later from now on: what an operator or the retention purges. The store is asked what there is to
//! purge, behind everything that is on its way there; the row that raises the floor goes the way of all rows of the channel,
//! and whoever asked is answered once it is stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::commit::{FloorRow, PresenceRow, Row};
use protocol::query::{Cut, Query};
use protocol::{BayId, ChannelId, Seq};

use crate::asks::Asked;
use crate::channel::Channel;
use crate::effect::Effect;
use crate::input::{CommandError, Keeping, Ticket};
use crate::invariant::impossible;
use crate::limits::PURGES_MAX;
use crate::pipeline::After;
use crate::shard::Shard;

/// What is being purged. One of a channel at a time, so that a floor never falls: what the store says of it is what holds.
#[derive(Debug, Default)]
pub(crate) struct Purges(BTreeMap<ChannelId, Purging>);

#[derive(Clone, Copy, Debug)]
struct Purging {
    /// The control plane's.
    ticket: Ticket,
    /// The floor that is on its way to the disk; 0 while the store is asked.
    below: Seq,
    keeping: Keeping,
}

impl Purges {
    /// The floor of a channel that is on its way to the disk; 0 for none.
    pub(crate) fn below(&self, channel: ChannelId) -> Seq {
        self.0.get(&channel).map_or(Seq(0), |purging| purging.below)
    }
}

impl Shard {
    /// The control plane wants messages of a channel purged, or kept for another time.
    pub(crate) fn purge(&mut self, ticket: Ticket, channel: ChannelId, keeping: Keeping) {
        let may_not = if self.placement.channel_home(channel) != self.config.shard {
            Some(CommandError::OtherHome)
        } else if channel.owner().is_some() != (keeping == Keeping::Forget) {
            Some(CommandError::OwnChannel)
        } else if self.purges.0.contains_key(&channel)
            || self.purges.0.len() >= PURGES_MAX
            || self.draining.is_some()
            || !self.asks.has_load_room()
        {
            Some(CommandError::Busy { retry_after_ms: 1000 })
        } else {
            None
        };
        if let Some(error) = may_not {
            return self.out.push(Effect::Reply { ticket, outcome: Err(error) });
        }
        let cut = match keeping {
            Keeping::Purge(cut) => cut,
            // Only whether the channel is there is asked.
            Keeping::Retain(_) => Cut::default(),
            Keeping::Forget => Cut { below: Seq(u64::MAX), younger_ms: u64::MAX, ..Cut::default() },
        };
        self.purges.0.insert(channel, Purging { ticket, below: Seq(0), keeping });
        let dirty = self.channels.get(&channel).map_or(0, |channel| channel.dirty());
        self.ask_after(dirty, Asked::Floor(channel), Query::Floor { channel, cut });
    }

    /// The store has said what there is to purge; `None` when it cannot be read now.
    pub(crate) fn floor_read(&mut self, id: ChannelId, found: Option<(FloorRow, FloorRow, Seq)>) {
        let keeping = self.purges.0.get(&id).map(|purging| purging.keeping);
        let outcome = match found {
            None => Err(CommandError::Busy { retry_after_ms: 1000 }),
            // Who has said nothing to itself has noted nothing, but may have shown something.
            Some((now, then, _)) if keeping == Some(Keeping::Forget) => {
                return self.forget_own(id, now, then);
            }
            Some((.., Seq(0))) => Err(CommandError::NoSuchChannel),
            Some((now, then, _)) => match keeping {
                Some(Keeping::Retain(row)) => {
                    return self.write_of(id, Row::Retention { channel: id, row });
                }
                _ if then.below > now.below => return self.raise_floor(id, now, then),
                _ => Ok(()),
            },
        };
        self.purged(id, outcome);
    }

    fn raise_floor(&mut self, id: ChannelId, now: FloorRow, then: FloorRow) {
        if let Some(purging) = self.purges.0.get_mut(&id) {
            purging.below = then.below;
        }
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.purged(then.below);
        }
        self.write_of(id, Row::Floor { channel: id, from: now.below, row: then });
    }

    /// What a user's own channel says, and the rows that follow from it, are gone at once; and what others were shown of the user.
    fn forget_own(&mut self, id: ChannelId, now: FloorRow, then: FloorRow) {
        let Some(user) = id.owner() else { return self.purged(id, Err(CommandError::OwnChannel)) };
        let is_left = |channel: &Channel| channel.head().next() > then.below.max(Seq(1));
        if self.channels.get(&id).is_some_and(is_left) {
            // It was said while the store was asked.
            return self.purged(id, Err(CommandError::Busy { retry_after_ms: 1000 }));
        }
        if then.below > now.below {
            self.pipeline.row(BayId::of_user(user), Row::Floor { channel: id, from: now.below, row: then });
            if let Some(channel) = self.channels.get_mut(&id) {
                channel.purged(then.below);
            }
        }
        if let Some(known) = self.users.get_mut(&user) {
            known.set_presence(Arc::default());
        }
        self.user_row(user, Row::Presence { user, row: PresenceRow::default() });
        self.write_of(id, Row::Forgotten { user });
    }

    fn write_of(&mut self, id: ChannelId, row: Row) {
        let number = self.pipeline.row(BayId::of_channel(id), row);
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.wrote(number);
        }
        if let Some(after) = self.pipeline.after_number(number, After::Purged(id)) {
            self.after_stored(after);
        }
    }

    /// It is over, and stored if it changed anything.
    pub(crate) fn purged(&mut self, id: ChannelId, outcome: Result<(), CommandError>) {
        self.channels.may_be_idle();
        let Some(Purging { ticket, .. }) = self.purges.0.remove(&id) else {
            return impossible!(self, "a purge ends that did not begin");
        };
        self.out.push(Effect::Reply { ticket, outcome });
    }
}
