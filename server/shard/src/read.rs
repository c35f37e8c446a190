//! Asking the store, within bounds, and what becomes of an answer or of a read that failed.

use protocol::query::{Answer, Query, ReadFault};
use protocol::{ChannelId, Code, Kind, Refusal, UserId};

use crate::about::AboutPage;
use crate::asks::{Asked, Asks};
use crate::channel::{Channel, Rules, Target};
use crate::consents::says;
use crate::effect::{Effect, Fault};
use crate::input::Ticket;
use crate::invariant::impossible;
use crate::limits::READ_PAUSE_MAX_MS;
use crate::pipeline::After;
use crate::session::SessionId;
use crate::shard::Shard;
use crate::talk::{FoundThread, ThreadPage};
use crate::unread::Load;
use crate::user::{User, Waiting};

impl Shard {
    /// Asks the store.
    pub(crate) fn ask(&mut self, asked: Asked, query: Query) -> Ticket {
        let ticket = self.asks.add(asked);
        self.out.push(Effect::Read { ticket, query });
        ticket
    }

    /// Asks the store once a batch is stored, so that a user sees what it was told is done.
    pub(crate) fn ask_after(&mut self, number: u64, asked: Asked, query: Query) {
        let ticket = self.asks.add(asked);
        let after = After::Read(ticket, query);
        if let Some(after) = self.pipeline.after_number(number, after) {
            self.after_stored(after);
        }
    }

    /// Whether this may be asked for now: it does not rest, and there is room. If something waits for it that cannot be
    /// refused it is asked for once both are so.
    pub(crate) fn may_load(&mut self, load: Load, wanted: bool) -> bool {
        if self.unread.rests(load, self.now, wanted).is_some() {
            return false;
        }
        let has_room = self.asks.has_load_room();
        if !has_room && wanted {
            self.unread.later(load, self.now);
        }
        has_room
    }

    pub(crate) fn read(&mut self, ticket: Ticket, answer: Result<Answer, ReadFault>) {
        let Some(asked) = self.asks.take(ticket) else {
            return impossible!(self, "an answer to a query that was not asked");
        };
        match answer {
            Ok(answer) => self.answered(ticket, asked, answer),
            // Whatever needs the row can never go on: the process ends and names it.
            Err(fault @ ReadFault::Corrupt { .. }) => {
                self.out.push(Effect::Fault(Fault::Unreadable(fault)));
            }
            Err(ReadFault::Io { place, what }) => {
                self.counters.reads_failed += 1;
                self.unread.because(&place, &what);
                self.read_failed(asked);
            }
        }
        self.ask_waiting_page();
        self.load_wanted();
    }

    fn answered(&mut self, ticket: Ticket, asked: Asked, answer: Answer) {
        match (asked, answer) {
            (Asked::User(user), Answer::User { account, devices, inbox_head, presence, push, followed }) => {
                self.unread.forget(Load::User(user));
                let loaded = User::new(account, devices, inbox_head, (presence, push), followed);
                self.user_loaded(user, loaded);
            }
            (Asked::Channel(id), Answer::Channel { row, members, head, time_ms, rules }) => {
                self.unread.forget(Load::Channel(id));
                let rules = Rules::new(rules, self.now, self.wall_ms);
                self.channel_loaded(id, Channel::new(id, row, members, head, time_ms, rules));
            }
            (Asked::Window(id), Answer::Window(window)) => {
                self.unread.forget(Load::Window(id));
                self.window_loaded(id, &window);
            }
            (Asked::Page(session_id), Answer::Inbox { frames, through }) => {
                self.unread.forget(Load::Page(session_id));
                self.page(session_id, ticket, frames, through);
            }
            (Asked::History(history), Answer::History(frames)) => self.history_page(&history, frames),
            (Asked::Channels { origin, id }, Answer::Joined { items, more }) => {
                self.channels_page(origin, id, items, more);
            }
            (Asked::Thread(asked), Answer::Thread { frames, more, total, newest }) => {
                self.thread_page(&asked, FoundThread { frames, more, total, newest });
            }
            (Asked::About(asked), Answer::About { pins, items, more }) => {
                self.about_page(&asked, pins, items, more);
            }
            (Asked::Target { channel, number }, Answer::Target { message, recalled, facts, edits }) => {
                self.target_read(channel, number, Some(Target { message, recalled, facts, edits }));
            }
            (Asked::Mentions { origin, id }, Answer::Mentions { items, unread, more }) => {
                self.mentions_page((origin, id), &items, &unread, more);
            }
            (Asked::History(history), Answer::Around { pivot, frames }) => {
                self.around_page(history, pivot, frames);
            }
            (Asked::Listing { origin, id }, Answer::Listing(listing)) => {
                self.listing_page(origin, id, listing);
            }
            (Asked::Notes { origin, id }, Answer::Notes { notes, more }) => {
                self.notes_page(origin, id, notes, more);
            }
            (Asked::Membership { submit, durable }, Answer::Membership(stays)) => {
                self.membership(&submit, durable, &stays);
            }
            (Asked::Earlier { channel, number, users }, Answer::Earlier(earlier)) => {
                self.newcomers_read(channel, number, &users, Some(earlier));
            }
            (Asked::Relation { user, policy, request }, Answer::Relation(relation)) => {
                self.consent(user, request, Some(says(policy, request.wants, relation)));
            }
            (Asked::Sight { user, looker, is_stale: true, .. }, Answer::Relation(_)) => {
                self.look(user, looker)
            }
            (Asked::Sight { user, policy, looker, .. }, Answer::Relation(relation)) => {
                self.sight_read(user, policy, looker, relation);
            }
            (Asked::Created(submit), Answer::History(frames)) => self.created(submit, &frames),
            (Asked::Floor(channel), Answer::Floor { now, then, head, .. }) => {
                self.floor_read(channel, Some((now, then, head)));
            }
            (Asked::Written(channel), Answer::Written(written)) => self.written_read(channel, Some(*written)),
            (Asked::Replay { source }, Answer::Replay { deliveries, through }) => {
                self.unread.forget(Load::Replay { source });
                self.replayed(source, through, deliveries);
            }
            (asked, answer) => self.answered_of_large(asked, answer),
        }
    }

    /// What is asked of large channels alone.
    fn answered_of_large(&mut self, asked: Asked, answer: Answer) {
        match (asked, answer) {
            (Asked::Members { channel, user, users }, Answer::Members(members)) => {
                self.members_read(channel, user, &users, Some(members));
            }
            (Asked::Roles { channel, number, users }, Answer::Members(members)) => {
                self.roles_read(channel, number, &users, Some(members));
            }
            (Asked::MembersPage { origin, id, channel, total }, Answer::MembersPage { items, more }) => {
                self.members_page((origin, id), (channel, total), &items, more);
            }
            (Asked::Head(channel), Answer::History(frames)) => self.head_read(channel, &frames),
            (Asked::Missed(channel), Answer::History(frames)) => self.missed_read(channel, &frames),
            (Asked::Follower { channel, user, number }, Answer::Membership(stays)) => {
                self.follower_read(channel, user, number, &stays);
            }
            (_, _) => impossible!(self, "an answer of another kind than was asked"),
        }
    }

    /// What was asked could not be read this time. Nothing is asked again in this step.
    fn read_failed(&mut self, asked: Asked) {
        match asked {
            Asked::User(id) => self.user_not_loaded(id),
            Asked::Channel(id) => {
                self.unread.failed(Load::Channel(id), self.now, false);
                self.channel_not_loaded(id);
            }
            Asked::Window(id) => {
                self.unread.failed(Load::Window(id), self.now, false);
                self.window_not_loaded(id);
            }
            // The session waits for it and nothing else: it stays, and its page is asked for again.
            Asked::Page(session_id) if self.sessions.contains_key(&session_id) => {
                self.unread.failed(Load::Page(session_id), self.now, true);
            }
            // The connection closed meanwhile.
            Asked::Page(session_id) => self.unread.forget(Load::Page(session_id)),
            Asked::History(history) => {
                self.refuse_at(history.origin, Kind::GET_HISTORY, history.id, &cannot_read());
            }
            Asked::Notes { origin, id } => self.refuse_at(origin, Kind::GET_NOTES, id, &cannot_read()),
            Asked::Channels { origin, id } | Asked::Listing { origin, id } => {
                self.refuse_at(origin, Kind::GET_CHANNELS, id, &cannot_read());
            }
            Asked::Thread(ThreadPage { origin, id, .. }) => {
                self.refuse_at(origin, Kind::GET_THREAD, id, &cannot_read());
            }
            Asked::About(AboutPage { origin, id, .. }) => {
                self.refuse_at(origin, Kind::GET_ABOUT, id, &cannot_read());
            }
            Asked::Target { channel, number } => self.target_read(channel, number, None),
            Asked::Mentions { origin, id } => {
                self.refuse_at(origin, Kind::GET_MENTIONS, id, &cannot_read());
            }
            Asked::Created(submit) | Asked::Membership { submit, .. } => self.refuse(&submit, &cannot_read()),
            Asked::Earlier { channel, number, users } => self.newcomers_read(channel, number, &users, None),
            Asked::Members { channel, user, users } => self.members_read(channel, user, &users, None),
            Asked::Roles { channel, number, users } => self.roles_read(channel, number, &users, None),
            Asked::MembersPage { origin, id, .. } => {
                self.refuse_at(origin, Kind::GET_MEMBERS, id, &cannot_read());
            }
            Asked::Head(channel) | Asked::Missed(channel) => self.follows.read_failed(channel),
            Asked::Follower { channel, user, number } => self.follows.not_asked(channel, user, number),
            Asked::Relation { user, request, .. } => self.consent(user, request, None),
            Asked::Floor(channel) => self.floor_read(channel, None),
            Asked::Written(channel) => self.written_read(channel, None),
            Asked::Sight { user, looker, .. } => self.looked(user, looker, None),
            // The log stays marked as being read, so that no gap asks for it before its pause is over.
            Asked::Replay { source } => {
                self.unread.failed(Load::Replay { source }, self.now, true);
            }
        }
    }

    /// The user's rows could not be read: whoever can be told is told to come again. Deliveries cannot be refused: for
    /// them the user is asked for again.
    fn user_not_loaded(&mut self, id: UserId) {
        let Some(waiting) = self.users.not_loaded(&id) else {
            return impossible!(self, "a user that was asked for is not being loaded");
        };
        let wanted = self.applied.awaits(id);
        self.unread.failed(Load::User(id), self.now, wanted);
        for waiting in waiting {
            self.refuse_waiting(id, waiting);
        }
    }

    fn channel_not_loaded(&mut self, id: ChannelId) {
        let Some(waiting) = self.channels.not_loaded(&id) else {
            return impossible!(self, "a channel that was asked for is not being loaded");
        };
        for submit in waiting {
            self.refuse(&submit, &cannot_read());
        }
    }

    /// Asks again for what has rested long enough and is still wanted.
    pub(crate) fn ask_again(&mut self) {
        if self.unread.next().is_none_or(|next| next > self.now) {
            return;
        }
        for load in self.unread.due(self.now) {
            match load {
                Load::User(user) => {
                    self.with_user(user, || Waiting::Delivery);
                }
                Load::Replay { source } => self.applied.replay_failed(source),
                Load::Page(session_id) => self.page_again(session_id),
                // Asked for by requests alone, which are refused and never wait here.
                Load::Channel(_) | Load::Window(_) => {}
            }
        }
    }

    /// A session's page is asked for again.
    fn page_again(&mut self, session_id: SessionId) {
        match self.sessions.get_mut(&session_id) {
            Some(session) => {
                session.page_failed();
                self.advance(session_id, false);
            }
            None => self.unread.forget(Load::Page(session_id)),
        }
    }

    /// Lets the first session that waits for a place among the pages ask for its own.
    fn ask_waiting_page(&mut self) {
        while let Some(session_id) = self.asks.next_waiting() {
            if let Some(session) = self.sessions.get_mut(&session_id)
                && session.takes_page(Asks::WAITS)
            {
                self.advance(session_id, false);
            }
        }
    }
}

/// The disk did not give what was asked for.
pub(crate) fn cannot_read() -> Refusal {
    Refusal::retry(Code::Busy, 1000, "the disk cannot be read now; try again")
}

/// Too many pages of other devices are being read.
pub(crate) fn many_pages() -> Refusal {
    Refusal::retry(Code::Busy, 500, "many pages are being read; try again")
}

const _: () = assert!(READ_PAUSE_MAX_MS <= 60_000);
