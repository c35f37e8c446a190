//! Who was in a channel before. Memory knows the present members only; of the others the store is asked when one of them
//! reads, or is about to join again.

use std::sync::Arc;

use protocol::body::message::Change;
use protocol::hop::Hop;
use protocol::query::{Earlier, Query};
use protocol::{ChannelId, Code, Refusal, UserId};

use crate::asks::Asked;
use crate::channel::{Channel, Standing, Submit};
use crate::order::busy;
use crate::shard::Shard;

/// A send whose new members are being looked for.
#[derive(Debug)]
pub(crate) struct Opening {
    /// Which opening of the channel this is: an answer to one that was given up is not for the next.
    number: u64,
    submit: Submit,
    /// Those who have not been found yet.
    unknown: Vec<UserId>,
    /// The store is asked what the group remembers of them.
    is_asking: bool,
}

impl Opening {
    pub(crate) fn new(number: u64, submit: Submit, newcomers: Vec<UserId>, is_asking: bool) -> Self {
        Self { number, submit, unknown: newcomers, is_asking }
    }

    pub(crate) fn into_submit(self) -> Submit {
        self.submit
    }

    /// Whether everything is known.
    fn is_done(&self) -> bool {
        self.unknown.is_empty() && !self.is_asking
    }
}

impl Shard {
    /// Asks whether those exist whom a send would make members, and, of a group, how often they were in it. The store
    /// answers behind what is on the way to it, so that a stay that has just ended counts.
    pub(crate) fn open_newcomers(&mut self, id: ChannelId, submit: Submit, users: Vec<UserId>) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let is_asking = matches!(submit.frame.change(), Some(Change::Joins(_)));
        let (number, dirty) = (channel.open(submit, users.clone(), is_asking), channel.dirty());
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
        let Some(opening) = channel.opening().filter(|opening| opening.number == number) else { return };
        let Some(earlier) = earlier else { return self.end_opening(id, Some(busy())) };
        opening.is_asking = false;
        opening.submit.newcomers = users.iter().copied().zip(earlier).collect();
        if opening.is_done() {
            self.end_opening(id, None);
        }
    }

    /// A newcomer's home has answered; `None` when it could not be read there.
    pub(crate) fn opened(&mut self, id: ChannelId, user: UserId, exists: Option<bool>) {
        // The opening may have been given up, and its channel have left memory.
        let Some(opening) = self.channels.get_mut(&id).and_then(Channel::opening) else { return };
        let Some(place) = opening.unknown.iter().position(|unknown| *unknown == user) else { return };
        opening.unknown.swap_remove(place);
        let refusal = match exists {
            Some(true) if opening.is_done() => None,
            Some(true) => return,
            Some(false) => {
                let text = format!("user {user} does not exist");
                Some(Refusal::new(Code::NoSuchUser, "members", text))
            }
            None => Some(busy()),
        };
        self.end_opening(id, refusal);
    }

    /// All newcomers are known, or the send is refused; then the others go on.
    fn end_opening(&mut self, id: ChannelId, refusal: Option<Refusal>) {
        let Some(submit) = self.channels.get_mut(&id).and_then(Channel::end_opening) else { return };
        match refusal {
            None => self.order(id, submit, Standing::Opened),
            Some(refusal) => self.refuse(&submit, &refusal),
        }
        self.order_waiting(id);
    }
}
