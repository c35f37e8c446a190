//! Who was in a channel before. Memory knows the present members only; of the others the store is asked when one of them
//! reads, or is about to join again.

use std::sync::Arc;

use protocol::body::message::Change;
use protocol::commit::PositionRow;
use protocol::hop::Hop;
use protocol::query::{Earlier, Query};
use protocol::{ChannelId, UserId};

use crate::asks::Asked;
use crate::channel::{Channel, Opening, Submit};
use crate::order::busy;
use crate::shard::Shard;

impl Channel {
    /// How far a member has come, as far as its membership is stored.
    pub(crate) fn position(&mut self, user: UserId) -> Option<&mut PositionRow> {
        let durable = self.durable;
        let member = self.members.get_mut(&user).filter(|member| member.joined <= durable)?;
        Some(&mut member.position)
    }
}

impl Shard {
    /// Asks whether those exist whom a send would make members, and, of a group, how often they were in it. The store
    /// answers behind what is on the way to it, so that a stay that has just ended counts.
    pub(crate) fn open_newcomers(&mut self, id: ChannelId, submit: Submit, users: Vec<UserId>) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
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
        let Some(channel) = self.channels.get_mut(&id) else { return };
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
