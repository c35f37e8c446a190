//! Who is there: whom the app wants to see, which every new connection is told again, and what the user shows of itself.

use std::collections::{BTreeMap, BTreeSet};

use protocol::body::encode;
use protocol::body::presence::{
    GetOwnPresence, GetPresence, Idle, OwnPresence, Presence, SetPresence, Unwatch, Watch,
};
use protocol::body::session::Welcome;
use protocol::commit::Shows;
use protocol::limits::WATCHED_MAX;
use protocol::{Code, Frame, Kind, Refusal, UserId};

use super::event::{Event, RequestId};
use super::marks::UNANSWERED;
use super::{Session, State};

#[derive(Debug, Default)]
pub(super) struct Presences {
    /// Whom the app wants to see.
    watched: BTreeSet<UserId>,
    /// Who was asked for once and not answered yet, by request.
    looks: BTreeMap<u64, BTreeSet<u64>>,
    is_idle: bool,
    /// Whether this connection was told that.
    is_idle_said: bool,
    /// It was refused, perhaps, and is to be said again.
    is_idle_doubted: bool,
    /// Whether the server of this connection knows what presence is.
    is_known: bool,
}

impl Presences {
    fn idle_frame(&mut self) -> Frame {
        (self.is_idle_said, self.is_idle_doubted) = (true, false);
        encode(UNANSWERED, &Idle { is_idle: self.is_idle })
    }

    pub(super) fn doubt_idle(&mut self) {
        self.is_idle_doubted = self.is_idle_said;
    }

    pub(super) fn is_idle_doubted(&self) -> bool {
        self.is_idle_doubted
    }

    /// The frame that says it again, if that is to be done.
    pub(super) fn idle_again(&mut self) -> Option<Frame> {
        self.is_idle_doubted.then(|| self.idle_frame())
    }
}

impl Session {
    /// Shows these users from now on, on this connection and every later one. Answered by [`Event::Presence`] of each.
    ///
    /// # Errors
    /// More than 500 with those before; or as for [`Self::history`].
    pub fn watch(&mut self, users: &[UserId]) -> Result<(), Refusal> {
        let new: BTreeSet<UserId> =
            users.iter().filter(|user| !self.presences.watched.contains(user)).copied().collect();
        if self.presences.watched.len() + new.len() > WATCHED_MAX {
            let text = format!("at most {WATCHED_MAX} users are watched at a time");
            return Err(Refusal::new(Code::Limit, "users", text));
        }
        if !new.is_empty() && self.tells_presence() {
            self.request(&Watch { users: new.iter().map(|user| user.0).collect() })?;
        }
        self.presences.watched.extend(new);
        Ok(())
    }

    /// Shows these users no more.
    ///
    /// # Errors
    /// As for [`Self::history`].
    pub fn unwatch(&mut self, users: &[UserId]) -> Result<(), Refusal> {
        let known: BTreeSet<UserId> =
            users.iter().filter(|user| self.presences.watched.contains(user)).copied().collect();
        if !known.is_empty() && self.tells_presence() {
            self.request(&Unwatch { users: known.iter().map(|user| user.0).collect() })?;
        }
        self.presences.watched.retain(|user| !known.contains(user));
        Ok(())
    }

    /// Says what the user shows from now on, and a status that ends then (milliseconds since the Unix epoch; 0 for never).
    /// Answered by [`Event::Done`].
    ///
    /// # Errors
    /// As for [`Self::history`].
    pub fn set_presence(
        &mut self,
        shows: Shows,
        status: &str,
        status_until_ms: u64,
    ) -> Result<RequestId, Refusal> {
        self.request(&SetPresence { shows: shows as u8, status_until_ms, status: status.to_owned() })
    }

    /// Nobody has touched the device for a while, or somebody does again. What is no news goes no further.
    pub fn idle(&mut self, is_idle: bool) {
        if core::mem::replace(&mut self.presences.is_idle, is_idle) != is_idle && self.tells_presence() {
            let frame = self.presences.idle_frame();
            self.control.push_back(frame);
        }
    }

    /// Asks for up to 100 users once. Answered by [`Event::Presence`], the last of them without `more`.
    ///
    /// # Errors
    /// As for [`Self::history`].
    pub fn presence(&mut self, users: &[UserId]) -> Result<RequestId, Refusal> {
        let named: BTreeSet<u64> = users.iter().map(|user| user.0).collect();
        let request = self.request(&GetPresence { users: named.iter().copied().collect() })?;
        self.presences.looks.insert(request.0, named);
        Ok(request)
    }

    /// Asks for what the user shows, and for its devices. Answered by [`Event::OwnPresence`].
    ///
    /// # Errors
    /// As for [`Self::history`].
    pub fn own_presence(&mut self) -> Result<RequestId, Refusal> {
        self.request(&GetOwnPresence { device: 0 })
    }

    fn tells_presence(&self) -> bool {
        self.presences.is_known && matches!(self.state, State::CatchingUp | State::Live)
    }

    /// A connection begins anew: the server knows nothing of what was watched.
    pub(super) fn begin_presence(&mut self, welcome: &Welcome) {
        (self.presences.is_idle_said, self.presences.is_idle_doubted) = (false, false);
        self.presences.is_known = welcome.kinds.iter().any(|known| known.kind == Kind::WATCH.0);
        if !self.presences.is_known {
            return;
        }
        // What was asked on the last connection and is asked again says less than this.
        self.requests.forget(Kind::WATCH);
        self.requests.forget(Kind::UNWATCH);
        let users: Vec<u64> = self.presences.watched.iter().map(|user| user.0).collect();
        if !users.is_empty() {
            // A device with a thousand requests waiting is shown nobody until it comes again.
            drop(self.request(&Watch { users }));
        }
        if self.presences.is_idle {
            let frame = self.presences.idle_frame();
            self.control.push_back(frame);
        }
    }

    pub(super) fn take_presence(&mut self, id: u64, told: Presence) {
        let items = told.items;
        if id == 0 {
            self.events.push_back(Event::Presence { request: None, items, more: false });
            return;
        }
        let Some(awaited) = self.presences.looks.get_mut(&id) else { return };
        awaited.retain(|user| !items.iter().any(|item| item.user == *user));
        let more = !awaited.is_empty();
        if !more {
            self.presences.looks.remove(&id);
            self.requests.answered(id, Kind::GET_PRESENCE);
        }
        self.events.push_back(Event::Presence { request: Some(RequestId(id)), items, more });
    }

    pub(super) fn take_own_presence(&mut self, id: u64, own: OwnPresence) {
        let request = if id == 0 {
            None
        } else {
            match self.requests.answered(id, Kind::GET_OWN_PRESENCE) {
                Some(request) => Some(request),
                None => return,
            }
        };
        self.events.push_back(Event::OwnPresence { request, own });
    }

    /// A request was refused for good.
    pub(super) fn forget_look(&mut self, id: u64) {
        self.presences.looks.remove(&id);
    }
}
