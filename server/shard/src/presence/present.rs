//! The users of this home who are there, or are watched: what each shows, and which shards are told when that changes.
//!
//! ```text
//!            first device                      last device gone            grace over
//!   Gone  ---------------> Idle or Active  ------------------> in grace ----------------> Gone, last_active_ms stored
//!                              ^                                  |
//!                              +------- a device within grace ----+   nobody is told anything
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use protocol::body::presence::{STATE_AWAY, STATE_OFFLINE, STATE_ONLINE};
use protocol::commit::PresenceRow;
use protocol::hop::{Seen, Shown};
use protocol::{ShardId, UserId};

use super::state::{Devices, state};
use crate::idmap::{IdMap, Seeded};
use crate::input::Tick;
use crate::limits::{
    LAST_ACTIVE_EVERY_MS, PRESENCE_EVERY_MS, PRESENCE_FORGOTTEN_MS, PRESENCE_LOOK_MS, PRESENCE_LOOKS_MAX,
    PRESENT_MAX,
};
use crate::session::SessionId;

/// One user who is there, was a moment ago, or is watched.
#[derive(Debug)]
struct Present {
    /// Its sessions, and whether nobody is at the device.
    live: Vec<(SessionId, bool)>,
    /// The last device is gone, and it is not over yet.
    grace_until: Option<Tick>,
    /// What the devices did when the last of them went, and when that was.
    was: Devices,
    went_ms: u64,
    row: Arc<PresenceRow>,
    /// The shards that watch it, and when they last said so.
    shards: Vec<(ShardId, Tick)>,
    /// Of what they were told last.
    version: u64,
    shown: Option<Arc<Shown>>,
    /// They are told again at the earliest.
    again_at: Tick,
    /// It is looked at then whether that is news.
    is_waiting: bool,
    /// It is looked at whether it is still needed, and whether it was seen long ago.
    look_at: Tick,
}

/// What a turn found out that is to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ToStore {
    pub(crate) user: UserId,
    pub(crate) row: Arc<PresenceRow>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct PresentUsers {
    users: IdMap<UserId, Present>,
    /// Who is offline when; rising, since the grace is equally long for all.
    grace: VecDeque<(Tick, UserId)>,
    /// Who changed too soon after a change that was told; rising.
    late: VecDeque<(Tick, UserId)>,
    /// Whom to look at; rising.
    looks: VecDeque<(Tick, UserId)>,
    /// Until then nobody is said to be offline: devices come back after a start.
    quiet_until: Option<Tick>,
    versions: u64,
    /// What the shards are to be told at the end of the turn.
    told: BTreeMap<ShardId, Vec<Seen>>,
    /// What is to be written.
    stores: Vec<ToStore>,
    grace_ms: u64,
}

/// The time, of both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) tick: Tick,
    pub(crate) wall_ms: u64,
}

impl Present {
    fn devices(&self) -> Devices {
        if self.live.iter().any(|(_, is_idle)| !is_idle) {
            Devices::Active
        } else if !self.live.is_empty() {
            Devices::Idle
        } else if self.grace_until.is_some() {
            self.was
        } else {
            Devices::Gone
        }
    }

    fn is_needed(&self) -> bool {
        !self.live.is_empty() || self.grace_until.is_some() || !self.shards.is_empty()
    }
}

/// What a user with this row shows while its devices do that. What is over is not shown; when it ends nobody is told, since
/// everybody knows when.
fn shown(row: &PresenceRow, devices: Devices, wall_ms: u64) -> Shown {
    let state = state(row.shows, devices);
    let is_over = row.status_until_ms != 0 && row.status_until_ms <= wall_ms;
    let says = !is_over && !row.status.is_empty();
    Shown {
        state,
        last_active_ms: if state == STATE_OFFLINE { row.last_active_ms } else { 0 },
        status_until_ms: if says { row.status_until_ms } else { 0 },
        status: if says { row.status.as_str().into() } else { Box::default() },
    }
}

impl PresentUsers {
    pub(crate) fn new(seed: Seeded, grace_ms: u64) -> Self {
        Self {
            users: IdMap::with_hasher(seed),
            grace: VecDeque::new(),
            late: VecDeque::new(),
            looks: VecDeque::new(),
            quiet_until: None,
            versions: seed.0,
            told: BTreeMap::new(),
            stores: Vec::new(),
            grace_ms,
        }
    }

    /// The process has begun: for as long as the grace nobody is said to be offline.
    pub(crate) fn begin(&mut self, now: Tick) {
        self.quiet_until = Some(now.after_ms(self.grace_ms));
    }

    pub(crate) fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether a user must stay in memory: it is there, or what is stored of it is about to change.
    pub(crate) fn holds(&self, user: UserId) -> bool {
        self.users.get(&user).is_some_and(|own| !own.live.is_empty() || own.grace_until.is_some())
    }

    /// A user has a new session.
    pub(crate) fn came(&mut self, user: UserId, session: SessionId, row: &Arc<PresenceRow>, now: Now) {
        let own = self.entry(user, row, now);
        own.grace_until = None;
        own.live.push((session, false));
        self.changed(user, now);
    }

    /// A session of a user has ended.
    pub(crate) fn went(&mut self, user: UserId, session: SessionId, now: Now) {
        let Some(own) = self.users.get_mut(&user) else { return };
        let was = own.devices();
        own.live.retain(|(other, _)| *other != session);
        if own.live.is_empty() {
            let until = now.tick.after_ms(self.grace_ms);
            (own.grace_until, own.was, own.went_ms) = (Some(until), was, now.wall_ms);
            self.grace.push_back((until, user));
        }
        self.changed(user, now);
    }

    /// Nobody is at a device, or somebody is again.
    pub(crate) fn idles(&mut self, user: UserId, session: SessionId, is_idle: bool, now: Now) {
        let Some(own) = self.users.get_mut(&user) else { return };
        if let Some((_, idle)) = own.live.iter_mut().find(|(other, _)| *other == session) {
            *idle = is_idle;
        }
        self.changed(user, now);
    }

    /// The user shows something else.
    pub(crate) fn set(&mut self, user: UserId, row: &Arc<PresenceRow>, now: Now) {
        if let Some(own) = self.users.get_mut(&user) {
            own.row = row.clone();
            self.changed(user, now);
        }
    }

    /// What a session's device does.
    pub(crate) fn device(&self, user: UserId, session: SessionId) -> u8 {
        let live = self.users.get(&user).map(|own| own.live.as_slice()).unwrap_or_default();
        match live.iter().find(|(other, _)| *other == session) {
            Some((_, true)) => STATE_AWAY,
            Some((_, false)) => STATE_ONLINE,
            None => STATE_OFFLINE,
        }
    }

    /// What a user with this row shows; `None` while nobody knows.
    pub(crate) fn shows(&self, user: UserId, row: &PresenceRow, now: Now) -> Option<Shown> {
        let devices = self.users.get(&user).map_or(Devices::Gone, Present::devices);
        let shown = shown(row, devices, now.wall_ms);
        let is_quiet = self.quiet_until.is_some_and(|until| now.tick < until);
        // Who is invisible is as silent as who is not there yet, or the silence would tell them apart.
        (!is_quiet || shown.state != STATE_OFFLINE).then_some(shown)
    }

    /// A shard watches a user, or still does. False when that is not possible now.
    pub(crate) fn watch(&mut self, user: UserId, by: ShardId, row: &Arc<PresenceRow>, now: Now) -> bool {
        if self.users.len() >= PRESENT_MAX && !self.users.contains_key(&user) {
            return false;
        }
        let is_new = !self.users.contains_key(&user);
        let own = self.entry(user, row, now);
        match own.shards.iter_mut().find(|(shard, _)| *shard == by) {
            Some((_, kept)) => *kept = now.tick,
            None => own.shards.push((by, now.tick)),
        }
        if is_new {
            let shown = self.shows(user, row, now).map(Arc::new);
            if let Some(own) = self.users.get_mut(&user) {
                own.shown = shown;
            }
        }
        self.tell(user, by);
        true
    }

    /// A shard watches a user still, and knows this version. False when it is not known to watch it.
    pub(crate) fn keep(&mut self, user: UserId, by: ShardId, version: u64, now: Now) -> bool {
        let Some(own) = self.users.get_mut(&user) else { return false };
        let Some((_, kept)) = own.shards.iter_mut().find(|(shard, _)| *shard == by) else { return false };
        *kept = now.tick;
        if own.version != version {
            self.tell(user, by);
        }
        true
    }

    pub(crate) fn is_watched_by(&self, user: UserId, shard: ShardId) -> bool {
        self.users.get(&user).is_some_and(|own| own.shards.iter().any(|(by, _)| *by == shard))
    }

    /// A shard does not watch a user any more.
    pub(crate) fn unwatch(&mut self, user: UserId, by: ShardId) {
        let Some(own) = self.users.get_mut(&user) else { return };
        own.shards.retain(|(shard, _)| *shard != by);
        if !own.is_needed() {
            self.users.remove(&user);
        }
    }

    /// The user has said something else of who may see it. Whoever watches begins anew: until it does it is told nothing, and
    /// one that does not hear of it learns so when it says that it watches still.
    pub(crate) fn ask_again(&mut self, user: UserId) {
        let shards =
            self.users.get_mut(&user).map(|own| core::mem::take(&mut own.shards)).unwrap_or_default();
        for (shard, _) in shards {
            self.say(shard, Seen::Again { user });
        }
    }

    /// Something for a shard that watches, at the end of the turn.
    pub(crate) fn say(&mut self, to: ShardId, seen: Seen) {
        self.told.entry(to).or_default().push(seen);
    }

    /// What the shards are to be told.
    pub(crate) fn take_told(&mut self) -> BTreeMap<ShardId, Vec<Seen>> {
        core::mem::take(&mut self.told)
    }

    /// Looks at whose time has come; gives what is to be written.
    pub(crate) fn look(&mut self, now: Now) -> Vec<ToStore> {
        self.look_at_quiet(now);
        while let Some((at, user)) = self.grace.pop_front_if(|(at, _)| *at <= now.tick) {
            self.grace_over(user, at, now);
        }
        while let Some((_, user)) = self.late.pop_front_if(|(at, _)| *at <= now.tick) {
            if let Some(own) = self.users.get_mut(&user) {
                own.is_waiting = false;
                self.changed(user, now);
            }
        }
        for _ in 0..PRESENCE_LOOKS_MAX {
            let Some((at, user)) = self.looks.pop_front_if(|(at, _)| *at <= now.tick) else { break };
            self.look_at(user, at, now);
        }
        core::mem::take(&mut self.stores)
    }

    /// When something is due.
    pub(crate) fn next(&self) -> Option<Tick> {
        let fronts = [self.grace.front(), self.late.front(), self.looks.front()];
        let fronts = fronts.into_iter().flatten().map(|(at, _)| *at);
        let told = (!self.told.is_empty()).then_some(Tick(0));
        fronts.chain(self.quiet_until).chain(told).min()
    }

    fn entry(&mut self, user: UserId, row: &Arc<PresenceRow>, now: Now) -> &mut Present {
        let Self { users, looks, versions, .. } = self;
        users.entry(user).or_insert_with(|| {
            let look_at = now.tick.after_ms(PRESENCE_LOOK_MS).to_second();
            looks.push_back((look_at, user));
            *versions = versions.wrapping_add(1);
            Present {
                live: Vec::new(),
                grace_until: None,
                was: Devices::Gone,
                went_ms: 0,
                row: row.clone(),
                shards: Vec::new(),
                version: *versions,
                shown: None,
                again_at: Tick(0),
                is_waiting: false,
                look_at,
            }
        })
    }

    /// Tells the shards that watch a user, if what it shows has changed: at most once in a while, the latest then.
    fn changed(&mut self, user: UserId, now: Now) {
        let Some(own) = self.users.get(&user) else { return };
        let shown = self.shows(user, &own.row, now);
        let Some(own) = self.users.get_mut(&user) else { return };
        if own.shown.as_deref() == shown.as_ref() {
            return;
        }
        if now.tick < own.again_at {
            if !own.is_waiting {
                own.is_waiting = true;
                self.late.push_back((now.tick.after_ms(PRESENCE_EVERY_MS), user));
            }
            return;
        }
        self.versions = self.versions.wrapping_add(1);
        own.shown = shown.map(Arc::new);
        own.version = self.versions;
        own.again_at = now.tick.after_ms(PRESENCE_EVERY_MS);
        for shard in own.shards.iter().map(|(shard, _)| *shard).collect::<Vec<_>>() {
            self.tell(user, shard);
        }
    }

    fn tell(&mut self, user: UserId, to: ShardId) {
        let Some(own) = self.users.get(&user) else { return };
        let seen = Seen::Now { user, version: own.version, shown: own.shown.clone() };
        self.say(to, seen);
    }

    /// The first grace of the process is over: whoever is not there by now is offline.
    fn look_at_quiet(&mut self, now: Now) {
        if self.quiet_until.take_if(|until| *until <= now.tick).is_none() {
            return;
        }
        let mut users: Vec<UserId> = self.users.keys().copied().collect();
        users.sort_unstable();
        users.into_iter().for_each(|user| self.changed(user, now));
    }

    fn grace_over(&mut self, user: UserId, at: Tick, now: Now) {
        let Some(own) = self.users.get_mut(&user) else { return };
        // It came back, and may have gone again since.
        if own.grace_until.take_if(|until| *until == at).is_none() {
            return;
        }
        if state(own.row.shows, own.was) != STATE_OFFLINE {
            let row = PresenceRow { last_active_ms: own.went_ms, ..PresenceRow::clone(&own.row) };
            own.row = Arc::new(row);
            self.stores.push(ToStore { user, row: own.row.clone() });
        }
        self.changed(user, now);
        if self.users.get(&user).is_some_and(|own| !own.is_needed()) {
            self.users.remove(&user);
        }
    }

    /// Forgets shards that have long said nothing, and notes now and then that a user is there: a crash forgets no more.
    fn look_at(&mut self, user: UserId, at: Tick, now: Now) {
        let Some(own) = self.users.get_mut(&user).filter(|own| own.look_at == at) else { return };
        own.shards.retain(|(_, kept)| now.tick < kept.after_ms(PRESENCE_FORGOTTEN_MS));
        if !own.is_needed() {
            self.users.remove(&user);
            return;
        }
        let is_seen = !own.live.is_empty() && state(own.row.shows, own.devices()) != STATE_OFFLINE;
        if is_seen && now.wall_ms >= own.row.last_active_ms.saturating_add(LAST_ACTIVE_EVERY_MS) {
            let row = PresenceRow { last_active_ms: now.wall_ms, ..PresenceRow::clone(&own.row) };
            own.row = Arc::new(row);
            self.stores.push(ToStore { user, row: own.row.clone() });
        }
        own.look_at = now.tick.after_ms(PRESENCE_LOOK_MS).to_second();
        self.looks.push_back((own.look_at, user));
    }
}
