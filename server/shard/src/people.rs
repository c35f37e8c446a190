//! Users in memory: each is loaded when something asks for it, and what asked waits until it is there. They leave again by
//! [`Shard::evict`].

use protocol::query::Query;
use protocol::{CloseCode, Code, Refusal, UserId};

use crate::asks::Asked;
use crate::effect::Effect;
use crate::input::CommandError;
use crate::invariant::impossible;
use crate::limits::WAITING_MAX;
use crate::memory::Found;
use crate::shard::Shard;
use crate::unread::Load;
use crate::user::{User, Waiting};

impl Shard {
    /// Whether the user is in memory. If not it is being loaded now, and what was given waits for it; if too
    /// much waits already, it is refused.
    pub(crate) fn with_user(&mut self, id: UserId, waiting: impl FnOnce() -> Waiting) -> bool {
        match self.users.find(&id, self.turn) {
            Found::Live(_) => true,
            Found::Loading(list) => {
                if list.len() < WAITING_MAX {
                    list.push(waiting());
                } else {
                    self.refuse_waiting(id, waiting());
                }
                false
            }
            Found::Nowhere => {
                let waiting = waiting();
                if self.may_load(Load::User(id), matches!(waiting, Waiting::Delivery)) {
                    self.users.begin(id, vec![waiting]);
                    self.ask(Asked::User(id), Query::User(id));
                } else {
                    self.refuse_waiting(id, waiting);
                }
                false
            }
        }
    }

    pub(crate) fn user_loaded(&mut self, id: UserId, user: User) {
        let Some(waiting) = self.users.loaded(id, user, self.turn) else {
            return impossible!(self, "a user is loaded that was not asked for");
        };
        for waiting in waiting {
            match waiting {
                Waiting::Hello(link, hello) => self.welcome_greeted(link, &hello),
                Waiting::Open(request) => self.open(id, request),
                Waiting::Control(ticket, command) => self.control(ticket, command),
                Waiting::Look(looker) => self.look(id, looker),
                Waiting::Delivery => {}
            }
        }
        self.recipient_loaded(id);
    }

    pub(crate) fn refuse_waiting(&mut self, user: UserId, waiting: Waiting) {
        match waiting {
            // The connection may have closed while the user was loaded.
            Waiting::Hello(link, _) if self.greeting.remove(&link).is_none() => {}
            Waiting::Hello(link, hello) => {
                let refusal = Refusal::retry(Code::Busy, 1000, "the user's rows cannot be read now");
                self.reject_at(link, hello.id, &refusal);
                self.hang_up(link, CloseCode::Internal);
            }
            Waiting::Open(request) => self.consent(user, request, None),
            Waiting::Look(looker) => self.looked(user, looker, None),
            Waiting::Control(ticket, _) => {
                let outcome = Err(CommandError::Busy { retry_after_ms: 1000 });
                self.out.push(Effect::Reply { ticket, outcome });
            }
            Waiting::Delivery => {}
        }
    }
}
