//! Whom the sessions of this shard watch, and what each was told. What is due is a name, not a frame: a session is told what
//! holds when its turn comes, so that a newer change takes the place of an older one that was not sent yet.

use std::collections::VecDeque;
use std::sync::Arc;

use protocol::UserId;
use protocol::body::presence::{PresenceItem, STATE_UNKNOWN};
use protocol::hop::{Look, Shown};

use crate::admit::{Bucket, Pace};
use crate::idmap::{IdMap, Seeded};
use crate::input::Tick;
use crate::limits::{PRESENCE_FRAME_BYTES, PRESENCE_REFRESH_MS, PRESENCE_REFRESHED_MAX, WATCHES_MAX};
use crate::session::SessionId;

/// Bytes of a frame of PRESENCE besides its items, and of an item besides its status.
const FRAME_BYTES: usize = 24;
const ITEM_BYTES: usize = 33;

/// A user whom somebody here watches.
#[derive(Debug, Default)]
struct Watched {
    /// What its home said last.
    version: u64,
    shown: Option<Arc<Shown>>,
    by: Vec<SessionId>,
}

/// What a session watches.
#[derive(Debug)]
struct Views {
    viewer: UserId,
    /// Rising by user.
    all: Vec<View>,
    /// Those of whom it is to be told, the longest waiting first.
    due: VecDeque<UserId>,
    /// What it may still be told.
    bucket: Bucket,
    /// It is among those that are looked at, or will be.
    is_queued: bool,
}

/// One user whom a session watches.
#[derive(Debug)]
struct View {
    user: UserId,
    sight: Sight,
    told: Told,
    is_due: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sight {
    /// The user's home has not said.
    Asked,
    Given,
    Withheld,
    /// The home knows no such user yet.
    Missing,
}

/// What a session knows of a user.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Told {
    Nothing,
    Unknown,
    Shown(Arc<Shown>),
}

/// A frame for a session.
#[derive(Debug)]
pub(crate) struct ToTell {
    pub(crate) items: Vec<PresenceItem>,
    bytes: usize,
    /// Of them, those that the budget pays for: what is told of a user first was paid with the request.
    paid: usize,
    news: Vec<(UserId, Told)>,
}

/// What becomes of a session that is to be told.
#[derive(Debug)]
pub(crate) enum Due {
    /// Nothing is.
    Nothing,
    /// It has used up what it may be told; it is looked at again then.
    Later(Tick),
    Now(ToTell),
}

/// All of them.
#[derive(Debug)]
pub(crate) struct WatchedUsers {
    users: IdMap<UserId, Watched>,
    sessions: IdMap<SessionId, Box<Views>>,
    /// How many views there are.
    views: usize,
    /// When each is said to be watched again; rising.
    refresh: VecDeque<(Tick, UserId)>,
    /// Sessions to look at in this turn.
    queue: VecDeque<SessionId>,
    pace: Pace,
}

impl Views {
    fn view(&mut self, user: UserId) -> Option<&mut View> {
        let at = self.all.binary_search_by_key(&user, |view| view.user).ok()?;
        self.all.get_mut(at)
    }
}

impl WatchedUsers {
    /// `bytes_per_s` is what one session is told at most.
    pub(crate) fn new(seed: Seeded, bytes_per_s: u32) -> Self {
        Self {
            users: IdMap::with_hasher(seed),
            sessions: IdMap::with_hasher(seed),
            views: 0,
            refresh: VecDeque::new(),
            queue: VecDeque::new(),
            pace: Pace { per_s: bytes_per_s, burst: bytes_per_s },
        }
    }

    pub(crate) fn views(&self) -> usize {
        self.views
    }

    /// How many users a session would watch with these, and whether the shard has room for them.
    pub(crate) fn with(&self, session: SessionId, users: &[UserId]) -> (usize, bool) {
        let all = self.sessions.get(&session).map(|views| views.all.as_slice()).unwrap_or_default();
        let is_new = |user: &&UserId| all.binary_search_by_key(*user, |view| view.user).is_err();
        let new = users.iter().filter(is_new).count();
        (all.len() + new, self.views + new <= WATCHES_MAX)
    }

    /// A session watches these users; gives those whom it did not.
    pub(crate) fn watch(
        &mut self,
        session: SessionId,
        viewer: UserId,
        users: &[UserId],
        now: Tick,
    ) -> Vec<UserId> {
        let views = self.sessions.entry(session).or_insert_with(|| {
            let (all, due, bucket) = (Vec::new(), VecDeque::new(), Bucket::default());
            Box::new(Views { viewer, all, due, bucket, is_queued: false })
        });
        let mut new = Vec::new();
        for user in users {
            let Err(at) = views.all.binary_search_by_key(user, |view| view.user) else { continue };
            let view = View { user: *user, sight: Sight::Asked, told: Told::Nothing, is_due: false };
            views.all.insert(at, view);
            new.push(*user);
            let watched = self.users.entry(*user).or_default();
            if watched.by.is_empty() {
                self.refresh.push_back((now.after_ms(PRESENCE_REFRESH_MS).to_second(), *user));
            }
            watched.by.push(session);
        }
        self.views += new.len();
        new
    }

    /// A session does not watch these users any more; gives those whom nobody here watches now.
    pub(crate) fn unwatch(&mut self, session: SessionId, users: &[UserId]) -> Vec<UserId> {
        let Some(views) = self.sessions.get_mut(&session) else { return Vec::new() };
        let mut gone = Vec::new();
        for user in users {
            let Ok(at) = views.all.binary_search_by_key(user, |view| view.user) else { continue };
            views.all.remove(at);
            gone.push(*user);
        }
        views.due.retain(|user| !gone.contains(user));
        self.left(session, &gone)
    }

    /// A session has ended; gives those whom nobody here watches now.
    pub(crate) fn end(&mut self, session: SessionId) -> Vec<UserId> {
        let Some(views) = self.sessions.remove(&session) else { return Vec::new() };
        let users: Vec<UserId> = views.all.iter().map(|view| view.user).collect();
        self.left(session, &users)
    }

    fn left(&mut self, session: SessionId, users: &[UserId]) -> Vec<UserId> {
        self.views -= users.len();
        let mut unwatched = Vec::new();
        for user in users {
            let Some(watched) = self.users.get_mut(user) else { continue };
            watched.by.retain(|other| *other != session);
            if watched.by.is_empty() {
                self.users.remove(user);
                unwatched.push(*user);
            }
        }
        unwatched
    }

    /// The home of a user says what it shows.
    pub(crate) fn seen(&mut self, user: UserId, version: u64, shown: Option<Arc<Shown>>) {
        // Nobody watches it any more; its home is being told.
        let Some(watched) = self.users.get_mut(&user) else { return };
        (watched.version, watched.shown) = (version, shown);
        for session in watched.by.clone() {
            self.due(session, user);
        }
    }

    /// The home of a user says whether somebody may see it.
    pub(crate) fn may(&mut self, look: Look, sees: bool) {
        self.sight(look, if sees { Sight::Given } else { Sight::Withheld });
    }

    /// The home of a user does not know it, yet: it is asked again with each refresh.
    pub(crate) fn missing(&mut self, look: Look) {
        self.sight(look, Sight::Missing);
    }

    fn sight(&mut self, look: Look, sight: Sight) {
        let by = self.users.get(&look.user).map(|watched| watched.by.clone()).unwrap_or_default();
        for session in by {
            let Some(views) = self.sessions.get_mut(&session) else { continue };
            if views.viewer != look.viewer {
                continue;
            }
            if let Some(view) = views.view(look.user) {
                view.sight = sight;
            }
            self.due(session, look.user);
        }
    }

    /// Whoever watches the user is to ask whether it may; gives who that is. Until it is answered nothing is told.
    pub(crate) fn again(&mut self, user: UserId) -> Vec<UserId> {
        let by = self.users.get(&user).map(|watched| watched.by.clone()).unwrap_or_default();
        let mut viewers = Vec::with_capacity(by.len());
        for session in by {
            let Some(views) = self.sessions.get_mut(&session) else { continue };
            viewers.push(views.viewer);
            if let Some(view) = views.view(user) {
                view.sight = Sight::Asked;
            }
        }
        viewers.sort_unstable();
        viewers.dedup();
        viewers
    }

    /// Who is to be said to be watched again, with the version that is known, and who has not been answered yet.
    pub(crate) fn refresh(&mut self, now: Tick) -> (Vec<(UserId, u64)>, Vec<Look>) {
        let (mut kept, mut asked) = (Vec::new(), Vec::new());
        for _ in 0..PRESENCE_REFRESHED_MAX {
            let Some((_, user)) = self.refresh.pop_front_if(|(at, _)| *at <= now) else { break };
            let Some(watched) = self.users.get(&user) else { continue };
            self.refresh.push_back((now.after_ms(PRESENCE_REFRESH_MS).to_second(), user));
            kept.push((user, watched.version));
            for views in watched.by.iter().filter_map(|session| self.sessions.get(session)) {
                let at = views.all.binary_search_by_key(&user, |view| view.user);
                let view = at.ok().and_then(|at| views.all.get(at));
                if view.is_some_and(|view| matches!(view.sight, Sight::Asked | Sight::Missing)) {
                    asked.push(Look { viewer: views.viewer, user });
                }
            }
        }
        (kept, asked)
    }

    /// When something is due.
    pub(crate) fn next(&self) -> Option<Tick> {
        let queued = (!self.queue.is_empty()).then_some(Tick(0));
        self.refresh.front().map(|(at, _)| *at).into_iter().chain(queued).min()
    }

    /// The next session to look at.
    pub(crate) fn next_session(&mut self) -> Option<SessionId> {
        self.queue.pop_front()
    }

    /// How many sessions are to be looked at.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// It is time to look at a session again.
    pub(crate) fn look_at(&mut self, session: SessionId) {
        if self.sessions.contains_key(&session) {
            self.queue.push_back(session);
        }
    }

    /// What a session is to be told, as far as it may be.
    pub(crate) fn take_due(&mut self, session: SessionId, wall_ms: u64, now: Tick) -> Due {
        let Some(views) = self.sessions.get_mut(&session) else { return Due::Nothing };
        let mut tells = ToTell { items: Vec::new(), bytes: FRAME_BYTES, paid: 0, news: Vec::new() };
        let mut later = None;
        while let Some(user) = views.due.front().copied() {
            let (pace, bucket) = (self.pace, views.bucket);
            let Some(view) = views.view(user) else { break };
            let news = news(view, self.users.get(&user));
            let Some(told) = news.filter(|told| *told != view.told) else {
                view.is_due = false;
                views.due.pop_front();
                continue;
            };
            let item = item(user, &told, wall_ms);
            let bytes = ITEM_BYTES + item.status.len();
            if tells.bytes + bytes > PRESENCE_FRAME_BYTES {
                break;
            }
            let frame = if tells.paid == 0 { FRAME_BYTES } else { 0 };
            let paid = if view.told == Told::Nothing { 0 } else { bytes + frame };
            // What is more than there ever can be goes alone.
            let is_more = tells.paid > 0 && tells.paid + paid > pace.burst as usize;
            let wait_ms = bucket.wait_ms((tells.paid + paid) as u64, pace, now);
            if paid > 0 && (is_more || wait_ms > 0) {
                later = Some(now.after_ms(wait_ms.into()));
                break;
            }
            views.due.pop_front();
            (tells.bytes, tells.paid) = (tells.bytes + bytes, tells.paid + paid);
            tells.items.push(item);
            tells.news.push((user, told));
        }
        match later {
            _ if !tells.items.is_empty() => Due::Now(tells),
            Some(at) => Due::Later(at),
            None => {
                views.is_queued = false;
                Due::Nothing
            }
        }
    }

    /// It was told; or had no room, and is told later.
    pub(crate) fn told(&mut self, session: SessionId, tells: ToTell, was_sent: bool, now: Tick) {
        let pace = self.pace;
        let Some(views) = self.sessions.get_mut(&session) else { return };
        if was_sent {
            views.bucket.take(tells.paid as u64, pace, now);
        }
        for (user, told) in tells.news {
            if !was_sent {
                views.due.push_back(user);
                continue;
            }
            if let Some(view) = views.view(user) {
                (view.told, view.is_due) = (told, false);
            }
        }
    }

    /// A session is to be told of a user, if that is news.
    fn due(&mut self, session: SessionId, user: UserId) {
        let Some(views) = self.sessions.get_mut(&session) else { return };
        let Some(view) = views.view(user) else { return };
        if core::mem::replace(&mut view.is_due, true) {
            return;
        }
        views.due.push_back(user);
        if !core::mem::replace(&mut views.is_queued, true) {
            self.queue.push_back(session);
        }
    }
}

/// What a session should know of a user; `None` while nothing can be said.
fn news(view: &View, watched: Option<&Watched>) -> Option<Told> {
    match view.sight {
        Sight::Asked => None,
        Sight::Withheld | Sight::Missing => Some(Told::Unknown),
        Sight::Given => watched?.shown.clone().map(Told::Shown),
    }
}

fn item(user: UserId, told: &Told, wall_ms: u64) -> PresenceItem {
    match told {
        Told::Shown(shown) => shown_item(user, shown, wall_ms),
        Told::Nothing | Told::Unknown => unknown(user),
    }
}

/// What is told of a user who shows this.
pub(crate) fn shown_item(user: UserId, shown: &Shown, wall_ms: u64) -> PresenceItem {
    let is_over = shown.status_until_ms != 0 && shown.status_until_ms <= wall_ms;
    PresenceItem {
        user: user.0,
        state: shown.state,
        last_active_ms: shown.last_active_ms,
        status_until_ms: if is_over { 0 } else { shown.status_until_ms },
        status: if is_over { String::new() } else { shown.status.to_string() },
    }
}

/// What is told of a user of whom nothing is.
pub(crate) fn unknown(user: UserId) -> PresenceItem {
    PresenceItem {
        user: user.0,
        state: STATE_UNKNOWN,
        last_active_ms: 0,
        status_until_ms: 0,
        status: String::new(),
    }
}
