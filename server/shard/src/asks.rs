//! What the store was asked and has not answered, within bounds: the readers have room for so many loads and so many pages
//! of each shard.

use std::collections::VecDeque;
use std::sync::Arc;

use protocol::commit::Policy;
use protocol::hop::Origin;
use protocol::{BayId, ChannelId, Seq, UserId};

use crate::about::AboutPage;
use crate::channel::Submit;
use crate::consents::Request;
use crate::history::History;
use crate::idmap::{IdMap, Seeded};
use crate::input::Ticket;
use crate::limits::{LOADS_ASKED_MAX, PAGES_ASKED_MAX};
use crate::presence::Looker;
use crate::session::SessionId;
use crate::talk::ThreadPage;

/// What a query was asked for.
#[derive(Debug)]
pub(crate) enum Asked {
    User(UserId),
    Channel(ChannelId),
    Window(ChannelId),
    Page(SessionId),
    History(History),
    Channels {
        origin: Origin,
        id: u64,
    },
    /// A part of a thread.
    Thread(ThreadPage),
    /// What is said about messages.
    About(AboutPage),
    /// What mentions a user.
    Mentions {
        origin: Origin,
        id: u64,
    },
    /// Version 2 of the list of channels.
    Listing {
        origin: Origin,
        id: u64,
    },
    Notes {
        origin: Origin,
        id: u64,
    },
    /// When a reader of history was a member; what was stored when it was asked.
    Membership {
        submit: Submit,
        durable: Seq,
    },
    /// What a group remembers of those who are about to join it.
    Earlier {
        channel: ChannelId,
        /// Of the opening.
        number: u64,
        users: Arc<[UserId]>,
    },
    /// Those whom a frame of `user` concerns, as members of a large channel.
    Members {
        channel: ChannelId,
        user: UserId,
        users: Arc<[UserId]>,
    },
    /// By whose roles the frame of an opening of a large channel is judged.
    Roles {
        channel: ChannelId,
        /// Of the opening.
        number: u64,
        users: Arc<[UserId]>,
    },
    /// A page of the members of a large channel.
    MembersPage {
        origin: Origin,
        id: u64,
        channel: ChannelId,
        /// How many there are.
        total: u32,
    },
    /// How far a large channel that is followed has come.
    Head(ChannelId),
    /// What was missed of one.
    Missed(ChannelId),
    /// Whether a user may follow one.
    Follower {
        channel: ChannelId,
        user: UserId,
        /// Which of the shard's questions this is.
        number: u64,
    },
    /// The message about which something is to be said.
    Target {
        channel: ChannelId,
        /// Of the opening.
        number: u64,
    },
    /// What a user thinks of who would write, or add it.
    Relation {
        user: UserId,
        policy: Policy,
        request: Request,
    },
    /// What a user thinks of who wants to see it.
    Sight {
        user: UserId,
        policy: Policy,
        looker: Looker,
        /// The user has said something new meanwhile: it is asked again.
        is_stale: bool,
    },
    /// Seq 1 of a group that someone wants to create again.
    Created(Submit),
    Replay {
        source: BayId,
    },
    /// What there is to purge.
    Floor(ChannelId),
    /// What is left of a user who is erased.
    Written(ChannelId),
}

impl Asked {
    /// Whether it is answered with a page for a device. The readers serve loads first.
    fn is_page(&self) -> bool {
        match self {
            Self::Page(_)
            | Self::History(_)
            | Self::Channels { .. }
            | Self::Thread(_)
            | Self::About(_)
            | Self::Mentions { .. }
            | Self::Listing { .. }
            | Self::Notes { .. }
            | Self::MembersPage { .. }
            | Self::Created(_) => true,
            Self::User(_)
            | Self::Channel(_)
            | Self::Window(_)
            | Self::Membership { .. }
            | Self::Earlier { .. }
            | Self::Members { .. }
            | Self::Roles { .. }
            | Self::Head(_)
            | Self::Missed(_)
            | Self::Follower { .. }
            | Self::Target { .. }
            | Self::Relation { .. }
            | Self::Sight { .. }
            | Self::Floor(_)
            | Self::Written(_)
            | Self::Replay { .. } => false,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Asks {
    open: IdMap<Ticket, Asked>,
    /// Of them, those that are answered with a page.
    pages: usize,
    /// Sessions whose page of the inbox waits for a place among those.
    waiting: VecDeque<SessionId>,
    /// The newest ticket.
    last: u64,
}

impl Asks {
    /// In place of a ticket: the session waits for a place among the pages.
    pub(crate) const WAITS: Ticket = Ticket(0);

    pub(crate) fn new(seed: Seeded) -> Self {
        Self { open: IdMap::with_hasher(seed), pages: 0, waiting: VecDeque::new(), last: Self::WAITS.0 }
    }

    /// Something is asked. Its answer comes with this ticket.
    pub(crate) fn add(&mut self, asked: Asked) -> Ticket {
        self.last += 1;
        self.pages += usize::from(asked.is_page());
        let ticket = Ticket(self.last);
        self.open.insert(ticket, asked);
        ticket
    }

    /// It is answered.
    pub(crate) fn take(&mut self, ticket: Ticket) -> Option<Asked> {
        let asked = self.open.remove(&ticket)?;
        self.pages -= usize::from(asked.is_page());
        Some(asked)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// A user says something new of others: what is on the way from the store may be older.
    pub(crate) fn sights_are_stale(&mut self, of: UserId) {
        for asked in self.open.values_mut() {
            if let Asked::Sight { user, is_stale, .. } = asked {
                *is_stale |= *user == of;
            }
        }
    }

    /// Whether another page may be asked for.
    pub(crate) fn has_page_room(&self) -> bool {
        self.pages < PAGES_ASKED_MAX
    }

    /// Whether another load may be asked for.
    pub(crate) fn has_load_room(&self) -> bool {
        self.open.len() - self.pages < LOADS_ASKED_MAX
    }

    /// A session's page waits for a place, with [`Self::WAITS`] as its ticket.
    pub(crate) fn wait(&mut self, session: SessionId) {
        self.waiting.push_back(session);
    }

    /// The first session that waits, if there is a place. It may have ended.
    pub(crate) fn next_waiting(&mut self) -> Option<SessionId> {
        if !self.has_page_room() {
            return None;
        }
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_loads_have_room_of_their_own() {
        let mut asks = Asks::new(Seeded(7));
        let page = |session| Asked::Page(SessionId(session));
        let tickets: Vec<Ticket> =
            (0..PAGES_ASKED_MAX as u64).map(|session| asks.add(page(session))).collect();
        assert!(!tickets.contains(&Asks::WAITS));
        assert!(!asks.has_page_room() && asks.has_load_room());
        asks.wait(SessionId(900));
        asks.wait(SessionId(901));
        assert_eq!(asks.next_waiting(), None);
        assert!(tickets.first().is_some_and(|first| asks.take(*first).is_some()));
        assert!(tickets.first().is_some_and(|first| asks.take(*first).is_none()), "it is answered once");
        assert_eq!(asks.next_waiting(), Some(SessionId(900)));
        asks.add(page(900));
        assert_eq!(asks.next_waiting(), None);
        for user in 0..LOADS_ASKED_MAX as u64 {
            asks.add(Asked::User(UserId(user)));
        }
        assert!(!asks.has_load_room());
    }
}
