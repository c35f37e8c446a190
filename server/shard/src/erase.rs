//! A user who has no account any more is erased from a channel, a step at a time: the control plane asks again until nothing is
//! left. First the user leaves; then one message, ERASE, says that what the user wrote before it is gone, which is all that
//! devices need; then the messages are rewritten, so many a step. What was done is in the store, so a step that was cut off is done
//! again, and it is the store that says when nothing is left.
//!
//! A request goes the way of a frame of the user as far as its channel, so that the channel is in memory and the user is known. While
//! the store is asked the channel's sends wait: nothing may be said about a text that is about to go.

use std::collections::BTreeMap;

use protocol::body::erase::Erase;
use protocol::body::message::LeaveGroup;
use protocol::body::{self, Body, CheckedFrame};
use protocol::hop::Origin;
use protocol::limits::PAGE_BYTES_MAX;
use protocol::query::{PageBounds, Query, Written};
use protocol::{BayId, ChannelId, DeviceId, Seq, UserId};

use crate::asks::Asked;
use crate::channel::{Standing, Submit};
use crate::effect::Effect;
use crate::input::{CommandError, Ticket};
use crate::invariant::impossible;
use crate::ledger::Holds;
use crate::limits::{ERASED_AT_ONCE, ERASURES_MAX};
use crate::pipeline::After;
use crate::shard::Shard;

/// From whom something is being erased; one user of a channel at a time.
#[derive(Debug, Default)]
pub(crate) struct Erasures(BTreeMap<ChannelId, Erasing>);

#[derive(Clone, Copy, Debug)]
struct Erasing {
    /// The control plane's.
    ticket: Ticket,
    user: UserId,
}

impl Shard {
    /// The control plane wants the next step.
    pub(crate) fn erase(&mut self, ticket: Ticket, channel: ChannelId, user: UserId) {
        let has_place = self.erasures.0.len() < ERASURES_MAX && !self.erasures.0.contains_key(&channel);
        let may_not = if self.placement.channel_home(channel) != self.config.shard {
            Some(CommandError::OtherHome)
        } else if channel.owner().is_some() {
            // It is purged as a whole.
            Some(CommandError::OwnChannel)
        } else if self.space_low {
            Some(CommandError::StorageFull)
        } else if !has_place
            || self.draining.is_some()
            || self.pipeline.is_refusing()
            || !self.asks.has_load_room()
        {
            Some(busy(1000))
        } else {
            None
        };
        let frame = CheckedFrame::message(body::encode(1, &Erase { channel: channel.0 }));
        let frame = match (may_not, frame) {
            (None, Ok(frame)) => frame,
            (error, _) => {
                let outcome = Err(error.unwrap_or(CommandError::NoSuchChannel));
                return self.out.push(Effect::Reply { ticket, outcome });
            }
        };
        self.erasures.0.insert(channel, Erasing { ticket, user });
        let weight = self.ledger.weigh(Holds::Waiting, frame.held_bytes());
        self.submit(channel, Submit::new(nobodys(user), frame, false, weight));
    }

    /// Its channel is in memory. Whoever waits there goes first.
    pub(crate) fn erase_in(&mut self, id: ChannelId) {
        let Some(Erasing { user, .. }) = self.erasures.0.get(&id).copied() else {
            return impossible!(self, "an erasure reaches its channel that did not begin");
        };
        let Some(channel) = self.channels.get_mut(&id) else {
            return impossible!(self, "an erasure in a channel that is not in memory");
        };
        if !channel.hold() {
            return self.erased(id, Err(busy(50)));
        }
        let dirty = channel.dirty();
        let page = PageBounds { messages: ERASED_AT_ONCE, bytes: PAGE_BYTES_MAX };
        self.ask_after(dirty, Asked::Written(id), Query::Written { channel: id, user, page });
    }

    /// The store has said what is left; `None` when it cannot be read now.
    pub(crate) fn written_read(&mut self, id: ChannelId, written: Option<Written>) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return impossible!(self, "a channel left memory while it was held");
        };
        channel.release();
        self.channels.may_be_idle();
        match written {
            Some(written) => self.erase_some(id, written),
            None => self.erased(id, Err(busy(1000))),
        }
        self.order_waiting(id);
    }

    /// One step of what is left.
    fn erase_some(&mut self, id: ChannelId, written: Written) {
        let (Some(Erasing { user, .. }), Some(channel)) =
            (self.erasures.0.get(&id).copied(), self.channels.get_mut(&id))
        else {
            return impossible!(self, "an erasure goes on that did not begin");
        };
        let by = written.row.unwrap_or_default().by;
        if channel.may_leave(user) {
            self.erased(id, Ok(()));
            return self.say_for(id, user, &LeaveGroup { channel: id.0 });
        }
        if written.newest > by {
            self.erased(id, Ok(()));
            return self.say_for(id, user, &Erase { channel: id.0 });
        }
        let has_begun = written.row.is_some() || written.head == Seq(0);
        if written.is_empty() && written.through >= written.head && has_begun {
            return self.erased(id, Err(CommandError::NothingLeft));
        }
        let rows = channel.erase(user, written);
        let mut number = 0;
        for row in rows {
            number = self.pipeline.row(BayId::of_channel(id), row);
        }
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.wrote(number);
        }
        let Some(Erasing { ticket, .. }) = self.erasures.0.remove(&id) else { return };
        if let Some(after) = self.pipeline.after_number(number, After::Reply(ticket)) {
            self.after_stored(after);
        }
    }

    /// What the user would say, who cannot any more. It is not waited for: whether it was stored shows with the next step.
    fn say_for<T: Body>(&mut self, id: ChannelId, user: UserId, body: &T) {
        let Some(channel) = self.channels.get(&id) else {
            return impossible!(self, "an erasure in a channel that is not in memory");
        };
        // One of its own at each place, so that none is taken for a repeat.
        let send_id = SEND_IDS ^ channel.head().0;
        let Ok(frame) = CheckedFrame::message(body::encode(send_id, body)) else {
            return impossible!(self, "a message of our own that is none");
        };
        let weight = self.ledger.weigh(Holds::Waiting, frame.held_bytes());
        self.order(id, Submit::new(nobodys(user), frame, false, weight), Standing::Last);
    }

    /// A request did not reach its channel.
    pub(crate) fn erase_refused(&mut self, id: ChannelId) {
        if self.erasures.0.contains_key(&id) {
            self.erased(id, Err(busy(1000)));
        }
    }

    fn erased(&mut self, id: ChannelId, outcome: Result<(), CommandError>) {
        let Some(Erasing { ticket, .. }) = self.erasures.0.remove(&id) else {
            return impossible!(self, "an erasure ends that did not begin");
        };
        self.out.push(Effect::Reply { ticket, outcome });
    }
}

/// Begins the send ids of what is said for users who are erased: their devices choose at random among 2^64.
const SEND_IDS: u64 = 0xe4a5_0000_0000_0000;

/// A session that never was: what is answered to it is answered to nobody.
fn nobodys(user: UserId) -> Origin {
    Origin { user, device: DeviceId(0), session: 0 }
}

fn busy(retry_after_ms: u32) -> CommandError {
    CommandError::Busy { retry_after_ms }
}
