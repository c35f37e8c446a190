//! Who is there. A heartbeat costs nothing here: only what changes travels, once to each shard that watches, and what
//! waits there for a session is replaced by what is newer.
//!
//! The home of a user decides what others see and who may; see [`present`]. The home of a watcher keeps what each of its
//! sessions was told; see [`watching`]. Both are in memory alone. After a start nobody is said to be offline until the grace
//! is over: whoever was there comes back within it, and a restart shows nothing.

mod present;
mod state;
mod watching;

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::body;
use protocol::body::presence::{
    GetOwnPresence, GetPresence, Idle, OwnPresence, Presence, PresenceItem, PresentDevice, STATE_OFFLINE,
    STATE_ONLINE, SetPresence, Unwatch, Watch, named,
};
use protocol::body::session::Done;
use protocol::commit::{Policy, PresenceRow, Relation, Row, Shows};
use protocol::hop::{Hop, Look, Origin, Seen, Watch as WatchFact};
use protocol::limits::WATCHED_MAX;
use protocol::query::Query;
use protocol::{BayId, Code, DeviceId, Frame, Kind, Refusal, ShardId, UserId};

use crate::asks::Asked;
use crate::invariant::impossible;
use crate::limits::{OFFERS_PART, PRESENCE_A_TURN_MAX, PRESENCE_NO_ROOM_MS};
use crate::offer::Outlet;
use crate::pauses::Why;
use crate::presence::present::{Now, ToStore};
use crate::presence::watching::{Due, ToTell, shown_item, unknown};
use crate::session::SessionId;
use crate::shard::Shard;
use crate::timer::Wake;
use crate::user::Waiting;

pub(crate) use present::PresentUsers;
pub(crate) use watching::WatchedUsers;

/// Who looks at a user once, and where the answer goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Looker {
    /// A session that asked with this number.
    Once(Origin, u64),
    /// A shard, for one of its users.
    Watching(ShardId, UserId),
}

impl Looker {
    fn viewer(self) -> UserId {
        match self {
            Self::Once(origin, _) => origin.user,
            Self::Watching(_, viewer) => viewer,
        }
    }
}

impl Shard {
    fn clocks(&self) -> Now {
        Now { tick: self.now, wall_ms: self.wall_ms }
    }

    /// A device has a session.
    pub(crate) fn presence_came(&mut self, user: UserId, session: SessionId) {
        let now = self.clocks();
        let Some(row) = self.users.get(&user).map(|user| user.presence()) else {
            return impossible!(self, "a session of a user who is not in memory");
        };
        self.present.came(user, session, &row, now);
    }

    /// A session has ended.
    pub(crate) fn presence_went(&mut self, user: UserId, session: SessionId) {
        let now = self.clocks();
        self.present.went(user, session, now);
        let unwatched = self.watched.end(session);
        self.say_unwatched(unwatched);
    }

    /// The session is to be shown users.
    pub(crate) fn watch(&mut self, id: SessionId, origin: Origin, frame: &Frame) -> Result<(), Refusal> {
        let users = named(&body::ingest::<Watch>(frame)?.users);
        let (all, has_room) = self.watched.with(id, &users);
        if all > WATCHED_MAX {
            let text =
                format!("{all} users with those before; at most {WATCHED_MAX} are watched by one session");
            return Err(Refusal::new(Code::Limit, "users", text));
        }
        if !has_room {
            return Err(Refusal::retry(Code::Busy, 10_000, "very many users are watched; try again"));
        }
        let new = self.watched.watch(id, origin.user, &users, self.now);
        self.ask_to_see(id, origin.user, &new);
        self.transmit_body(id, frame.header().id, &Done { kind: Kind::WATCH.0 });
        Ok(())
    }

    pub(crate) fn unwatch(&mut self, id: SessionId, frame: &Frame) -> Result<(), Refusal> {
        let users = named(&body::ingest::<Unwatch>(frame)?.users);
        let unwatched = self.watched.unwatch(id, &users);
        self.say_unwatched(unwatched);
        self.transmit_body(id, frame.header().id, &Done { kind: Kind::UNWATCH.0 });
        Ok(())
    }

    pub(crate) fn idles(&mut self, id: SessionId, user: UserId, frame: &Frame) -> Result<(), Refusal> {
        let is_idle = body::ingest::<Idle>(frame)?.is_idle;
        let now = self.clocks();
        self.present.idles(user, id, is_idle, now);
        Ok(())
    }

    /// Asks the homes of these users for what they show, once.
    pub(crate) fn get_presence(
        &mut self,
        id: SessionId,
        origin: Origin,
        frame: &Frame,
    ) -> Result<(), Refusal> {
        let users = named(&body::ingest::<GetPresence>(frame)?.users);
        // It is answered once, and each home answers for its own.
        self.refuse_guest_if(users.len() > 1, id).map_err(|_| {
            Refusal::new(Code::Limit, "users", "without a connection one user is asked for at a time")
        })?;
        let homes = self.by_home(&users, |user| user);
        let is_pressed = homes.keys().any(|home| self.hops.is_pressed(*home));
        self.refuse_guest_if(is_pressed, id)?;
        for (home, users) in homes {
            let fact = WatchFact::Once { origin, id: frame.header().id, users };
            self.hops.push(home, Hop::Watch { by: self.config.shard, fact });
            self.pause_if_pressed(id, home);
        }
        Ok(())
    }

    /// The user shows something else from now on.
    pub(crate) fn set_presence(
        &mut self,
        id: SessionId,
        origin: Origin,
        frame: &Frame,
    ) -> Result<(), Refusal> {
        let set = body::ingest::<SetPresence>(frame)?;
        self.check_writable()?;
        let now = self.clocks();
        let was_shown = self.shows(origin.user).is_some_and(|shown| shown >= STATE_ONLINE);
        let Some(user) = self.users.get_mut(&origin.user) else {
            impossible!(self, "a frame of a user who is not in memory");
            return Ok(());
        };
        let shows = Shows::from_number(set.shows).unwrap_or_default();
        // Who hides is seen last now, and from then on nothing it does tells anybody more.
        let hides = was_shown && shows == Shows::Invisible;
        let before = user.presence();
        let row = Arc::new(PresenceRow {
            last_active_ms: if hides { now.wall_ms } else { before.last_active_ms },
            shows,
            status_until_ms: set.status_until_ms.to_native(),
            status: set.status.as_str().to_owned(),
        });
        if row != before {
            user.set_presence(row.clone());
            self.user_row(origin.user, Row::Presence { user: origin.user, row: PresenceRow::clone(&row) });
            self.present.set(origin.user, &row, now);
            self.tell_own_devices(id, origin.user);
        }
        self.done_once_stored(origin, frame);
        Ok(())
    }

    /// What the user shows, and its devices.
    pub(crate) fn get_own_presence(
        &mut self,
        id: SessionId,
        user: UserId,
        frame: &Frame,
    ) -> Result<(), Refusal> {
        let device = body::ingest::<GetOwnPresence>(frame)?.device.to_native();
        let own = self.own_presence(user, (device != 0).then_some(DeviceId(device)));
        self.transmit_body(id, frame.header().id, &own);
        Ok(())
    }

    fn own_presence(&self, id: UserId, only: Option<DeviceId>) -> OwnPresence {
        let user = self.users.get(&id);
        let row = user.map(|user| user.presence()).unwrap_or_default();
        let devices = user.map(|user| user.devices.as_slice()).unwrap_or_default();
        let devices = devices.iter().filter(|(device, _)| only.is_none_or(|only| only == *device));
        let mut devices: Vec<PresentDevice> = devices
            .map(|(device, row)| {
                let sessions = self.sessions_of_device(id, *device).into_iter();
                let states = sessions.map(|session| self.present.device(id, session));
                // Online is less than idle; what is offline is said of none.
                let state = states.min().unwrap_or(STATE_OFFLINE);
                PresentDevice { device: device.0, state, seen_ms: row.seen_ms }
            })
            .collect();
        devices.sort_unstable_by_key(|device| device.device);
        OwnPresence {
            state: self.shows(id).unwrap_or_default(),
            shows: row.shows as u8,
            status_until_ms: row.status_until_ms,
            status: row.status.clone(),
            devices,
        }
    }

    /// What others see of a user of this home who is in memory.
    fn shows(&self, id: UserId) -> Option<u8> {
        let row = self.users.get(&id)?.presence();
        self.present.shows(id, &row, self.clocks()).map(|shown| shown.state)
    }

    /// The user's other sessions are told what one of them has set, if they have room.
    fn tell_own_devices(&mut self, by: SessionId, user: UserId) {
        let frame = body::encode(0, &self.own_presence(user, None));
        let (room, turn) = (self.egress_room() / OFFERS_PART, self.turn);
        let sessions = self.users.get(&user).map(|user| user.sessions.clone()).unwrap_or_default();
        for id in sessions.into_iter().filter(|id| *id != by) {
            let Some(session) = self.sessions.get_mut(&id) else { continue };
            let mut outlet = Outlet { out: &mut self.out, hops: &mut self.hops, ledger: &self.ledger, turn };
            outlet.offer(session, &frame, room);
        }
    }

    /// Asks the homes of these users whether the viewer may see them.
    fn ask_to_see(&mut self, id: SessionId, viewer: UserId, users: &[UserId]) {
        let by = self.config.shard;
        for (home, looks) in self.by_home(users, |user| Look { viewer, user }) {
            self.hops.push(home, Hop::Watch { by, fact: WatchFact::See(looks) });
            self.pause_if_pressed(id, home);
        }
    }

    fn pause_if_pressed(&mut self, id: SessionId, home: ShardId) {
        if self.hops.is_pressed(home) {
            self.pause(id, Why::Lane(home));
        }
    }

    fn say_unwatched(&mut self, users: Vec<UserId>) {
        let by = self.config.shard;
        for (home, users) in self.by_home(&users, |user| user) {
            if !self.hops.is_full(home) {
                self.hops.push(home, Hop::Watch { by, fact: WatchFact::End(users) });
            }
        }
    }

    fn by_home<T>(&self, users: &[UserId], fact: impl Fn(UserId) -> T) -> BTreeMap<ShardId, Vec<T>> {
        let mut homes: BTreeMap<ShardId, Vec<T>> = BTreeMap::new();
        for user in users {
            homes.entry(self.placement.user_home(*user)).or_default().push(fact(*user));
        }
        homes
    }

    /// A shard says whom of ours it watches.
    pub(crate) fn watched_by(&mut self, by: ShardId, fact: WatchFact) {
        let now = self.clocks();
        match fact {
            WatchFact::See(looks) => {
                for Look { viewer, user } in looks {
                    self.look(user, Looker::Watching(by, viewer));
                }
            }
            WatchFact::Keep(kept) => {
                for (user, version) in kept {
                    if !self.present.keep(user, by, version, now) {
                        self.present.say(by, Seen::Again { user });
                    }
                }
            }
            WatchFact::End(users) => users.into_iter().for_each(|user| self.present.unwatch(user, by)),
            WatchFact::Once { origin, id, users } => {
                for user in users {
                    self.look(user, Looker::Once(origin, id));
                }
            }
        }
    }

    /// Somebody wants to see a user of ours.
    pub(crate) fn look(&mut self, id: UserId, looker: Looker) {
        if !self.with_user(id, || Waiting::Look(looker)) {
            return;
        }
        let now = self.clocks();
        let Some(user) = self.users.get(&id) else {
            return impossible!(self, "a user who was loaded for a look is not in memory");
        };
        let Some(account) = user.account else { return self.looked_for_nobody(id, looker) };
        let (row, dirty) = (user.presence(), user.dirty);
        if let Looker::Watching(by, _) = looker
            && !self.present.watch(id, by, &row, now)
        {
            return self.looked(id, looker, None);
        }
        if looker.viewer() == id {
            return self.looked(id, looker, Some(true));
        }
        if !account.has_relations {
            return self.looked(id, looker, Some(may_see(account.policy, Relation::default())));
        }
        if !self.asks.has_load_room() {
            return self.looked(id, looker, None);
        }
        let asked = Asked::Sight { user: id, policy: account.policy, looker, is_stale: false };
        self.ask_after(dirty, asked, Query::Relation { user: id, other: looker.viewer() });
    }

    /// The user has said something new of somebody, who may watch it.
    pub(crate) fn presence_related(&mut self, user: UserId, other: UserId, relation: Relation) {
        self.asks.sights_are_stale(user);
        let home = self.placement.user_home(other);
        let Some(account) = self.users.get(&user).and_then(|user| user.account) else { return };
        if self.present.is_watched_by(user, home) {
            let (look, sees) = (Look { viewer: other, user }, may_see(account.policy, relation));
            self.present.say(home, Seen::May { look, sees: Some(sees) });
        }
    }

    /// What the user says of somebody who wants to see it was read.
    pub(crate) fn sight_read(&mut self, user: UserId, policy: Policy, looker: Looker, of: Relation) {
        self.looked(user, looker, Some(may_see(policy, of)));
    }

    /// Who is looked for does not exist, as far as is known now.
    fn looked_for_nobody(&mut self, user: UserId, looker: Looker) {
        match looker {
            Looker::Watching(by, viewer) => {
                self.present.say(by, Seen::Missing { look: Look { viewer, user } });
            }
            Looker::Once(..) => self.looked(user, looker, Some(false)),
        }
    }

    /// It is known whether somebody may see a user; or, `None`, it cannot be found out now.
    pub(crate) fn looked(&mut self, user: UserId, looker: Looker, sees: Option<bool>) {
        match looker {
            Looker::Watching(by, viewer) => {
                self.present.say(by, Seen::May { look: Look { viewer, user }, sees });
            }
            Looker::Once(origin, id) => {
                let row = self.users.get(&user).map(|user| user.presence()).unwrap_or_default();
                let shown = self.present.shows(user, &row, self.clocks());
                let shown = shown.filter(|_| sees == Some(true));
                let item = shown.map_or_else(|| unknown(user), |s| shown_item(user, &s, self.wall_ms));
                self.reply(origin, Kind::GET_PRESENCE, presence_frame(id, vec![item]));
            }
        }
    }

    /// The home of users whom sessions of ours watch says something.
    pub(crate) fn seen(&mut self, seen: Vec<Seen>) {
        for seen in seen {
            match seen {
                Seen::Now { user, version, shown } => self.watched.seen(user, version, shown),
                Seen::May { look, sees: Some(sees) } => self.watched.may(look, sees),
                Seen::Missing { look } => self.watched.missing(look),
                // It is asked again with the next refresh.
                Seen::May { sees: None, .. } => {}
                Seen::Again { user } => {
                    let viewers = self.watched.again(user);
                    let looks: Vec<Look> = viewers.into_iter().map(|viewer| Look { viewer, user }).collect();
                    self.say_watched(user, looks);
                }
            }
        }
    }

    fn say_watched(&mut self, user: UserId, looks: Vec<Look>) {
        let (home, by) = (self.placement.user_home(user), self.config.shard);
        if !looks.is_empty() && !self.hops.is_full(home) {
            self.hops.push(home, Hop::Watch { by, fact: WatchFact::See(looks) });
        }
    }

    /// At the end of a turn, before the hops to ourselves are taken: whose time has come, and what watching shards are told.
    pub(crate) fn look_at_presence(&mut self) {
        let now = self.clocks();
        for ToStore { user, row } in self.present.look(now) {
            self.store_presence(user, row);
        }
        self.refresh_watches();
        for (to, seen) in self.present.take_told() {
            if self.hops.is_full(to) {
                // It begins anew with the next Keep, and is told nothing until then.
                seen.iter().for_each(|seen| self.present.unwatch(seen.user(), to));
            } else {
                self.hops.push(to, Hop::Seen(seen));
            }
        }
    }

    /// Seen last: nobody waits for it, and while the disk is nearly full it is not written.
    fn store_presence(&mut self, id: UserId, row: Arc<PresenceRow>) {
        let Some(user) = self.users.get_mut(&id) else {
            return impossible!(self, "a user who was there is not in memory");
        };
        user.set_presence(row.clone());
        if !self.space_low {
            let row = Row::Presence { user: id, row: PresenceRow::clone(&row) };
            let number = self.pipeline.trailing_row(BayId::of_user(id), row);
            if let Some(user) = self.users.get_mut(&id) {
                user.dirty = number;
            }
        }
    }

    fn refresh_watches(&mut self) {
        let (kept, asked) = self.watched.refresh(self.now);
        let by = self.config.shard;
        let mut homes: BTreeMap<ShardId, Vec<(UserId, u64)>> = BTreeMap::new();
        for (user, version) in kept {
            homes.entry(self.placement.user_home(user)).or_default().push((user, version));
        }
        for (home, kept) in homes {
            if !self.hops.is_full(home) {
                self.hops.push(home, Hop::Watch { by, fact: WatchFact::Keep(kept) });
            }
        }
        for look in asked {
            self.say_watched(look.user, vec![look]);
        }
    }

    /// At the end of a turn: the sessions that watch are told, each as far as it may be.
    pub(crate) fn show_watchers(&mut self) {
        for _ in 0..self.watched.queued().min(PRESENCE_A_TURN_MAX) {
            let Some(id) = self.watched.next_session() else { return };
            match self.watched.take_due(id, self.wall_ms, self.now) {
                Due::Nothing => {}
                Due::Later(at) => self.timer.set(at, Wake::Presence(id)),
                Due::Now(tells) => self.show(id, tells),
            }
        }
    }

    fn show(&mut self, id: SessionId, mut tells: ToTell) {
        let (room, turn) = (self.egress_room() / OFFERS_PART, self.turn);
        let items = core::mem::take(&mut tells.items);
        let count = items.len() as u64;
        let frame = presence_frame(0, items);
        // One that has ended watches nothing.
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let mut outlet = Outlet { out: &mut self.out, hops: &mut self.hops, ledger: &self.ledger, turn };
        let was_sent = outlet.offer(session, &frame, room);
        self.watched.told(id, tells, was_sent, self.now);
        if was_sent {
            self.counters.presences_sent += count;
            self.watched.look_at(id);
        } else {
            self.counters.offers_dropped += 1;
            self.timer.set(self.now.after_ms(PRESENCE_NO_ROOM_MS), Wake::Presence(id));
        }
    }
}

fn may_see(policy: Policy, of: Relation) -> bool {
    of.is_of(policy.see)
}

fn presence_frame(id: u64, items: Vec<PresenceItem>) -> Frame {
    body::encode(id, &Presence { items })
}
