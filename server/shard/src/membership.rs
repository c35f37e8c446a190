//! Who was in a channel before. Memory knows the present members only; of the others the store is asked when one of them
//! reads, or is about to join again.

use std::sync::Arc;

use protocol::body;
use protocol::body::message::Change;
use protocol::body::sync::GetHistory;
use protocol::commit::{Interval, PositionRow};
use protocol::hop::Hop;
use protocol::query::{Earlier, Query};
use protocol::{ChannelId, Seq, UserId};

use crate::channel::{Channel, Opening, Submit};
use crate::invariant::impossible;
use crate::order::{busy, forbidden};
use crate::shard::{Asked, Shard, Slot};

/// When a user may have read what was asked for.
enum Readable {
    /// Never.
    Nothing,
    /// While the present stay lasts; what is asked for does not reach back behind it.
    Stay(Interval),
    /// The store knows.
    Ask,
}

impl Channel {
    /// How far a member has come, as far as its membership is stored.
    pub(crate) fn position(&mut self, user: UserId) -> Option<&mut PositionRow> {
        let durable = self.durable;
        let member = self.members.get_mut(&user).filter(|member| member.joined <= durable)?;
        Some(&mut member.position)
    }

    /// What `user` may read behind `after`.
    fn readable(&self, user: UserId, after: Seq) -> Readable {
        if !self.exists {
            return Readable::Nothing;
        }
        match self.members.get(&user) {
            Some(member) if member.number == 1 || after.next() >= member.joined => {
                Readable::Stay(Interval { joined: member.joined, left: None })
            }
            None if self.id.users().is_some() => Readable::Nothing,
            _ => Readable::Ask,
        }
    }
}

impl Shard {
    /// A window of history: at once for a member that is in the channel for the first time, else when the store has said
    /// when the user was.
    pub(crate) fn get_history(&mut self, id: ChannelId, submit: Submit) {
        let Some(get) = body::read::<GetHistory>(&submit.frame) else {
            return impossible!(self, "a request for history that was not checked");
        };
        let Some(Slot::Live(channel)) = self.channels.get(&id) else {
            return impossible!(self, "history of a channel that is not in memory");
        };
        let (user, durable) = (submit.origin.user, channel.durable);
        match channel.readable(user, Seq(get.after)) {
            Readable::Nothing => self.refuse(&submit, &forbidden()),
            Readable::Stay(stay) => self.read_history(id, &submit, durable, &[stay]),
            Readable::Ask => {
                self.ask(Asked::Membership { submit, durable }, Query::Membership { channel: id, user });
            }
        }
    }

    /// The store has said when the user was a member. `durable` is from before it was asked: a stay that lasts there may
    /// end with any message behind.
    pub(crate) fn membership(&mut self, submit: &Submit, durable: Seq, stays: &[Interval]) {
        let Some(get) = body::read::<GetHistory>(&submit.frame) else {
            return impossible!(self, "a request for history that was not checked");
        };
        if stays.is_empty() {
            return self.refuse(submit, &forbidden());
        }
        self.read_history(ChannelId(get.channel), submit, durable, stays);
    }

    /// Asks whether those exist whom a send would make members, and, of a group, how often they were in it. The store
    /// answers behind what is on the way to it, so that a stay that has just ended counts.
    pub(crate) fn open_newcomers(&mut self, id: ChannelId, submit: Submit, users: Vec<UserId>) {
        let Some(Slot::Live(channel)) = self.channels.get_mut(&id) else { return };
        channel.openings += 1;
        let (number, dirty) = (channel.openings, channel.dirty);
        let is_asking = matches!(submit.frame.change(), Some(Change::Joins(_)));
        channel.opening = Some(Opening { submit, unknown: users.clone(), is_asking, number });
        if is_asking {
            let users: Arc<[UserId]> = users.iter().copied().collect();
            let asked = Asked::Earlier { channel: id, number, users: users.clone() };
            self.ask_after(dirty, asked, Query::Earlier { channel: id, users });
        }
        for user in users {
            let home = self.placement.user_home(user);
            self.hops.push(home, Hop::Open { channel: id, user });
        }
    }

    /// The store has said what the group remembers of its newcomers; `None` when it cannot be read now.
    pub(crate) fn newcomers_read(
        &mut self,
        id: ChannelId,
        number: u64,
        users: &[UserId],
        earlier: Option<Vec<Earlier>>,
    ) {
        let Some(Slot::Live(channel)) = self.channels.get_mut(&id) else { return };
        // A newcomer that does not exist has ended the opening, and another may have begun.
        let Some(opening) = channel.opening.as_mut().filter(|opening| opening.number == number) else {
            return;
        };
        let refusal = match earlier {
            None => Some(busy()),
            Some(earlier) => {
                opening.is_asking = false;
                opening.submit.newcomers = users.iter().copied().zip(earlier).collect();
                if !opening.unknown.is_empty() {
                    return;
                }
                None
            }
        };
        self.end_opening(id, refusal);
    }
}
