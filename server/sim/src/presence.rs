//! Who is there, in the end: every watcher's view is what the user shows, by what is stored of it and by its devices.

use std::collections::{BTreeMap, BTreeSet};

use client::session::State;
use protocol::UserId;
use protocol::body::presence::{
    Presence, PresenceItem, STATE_AWAY, STATE_DO_NOT_DISTURB, STATE_OFFLINE, STATE_ONLINE, STATE_UNKNOWN,
};
use protocol::body::read;
use protocol::commit::{PresenceRow, Relation, Shows};
use protocol::limits::WATCHED_MAX;
use protocol::{Frame, query::Answer, query::Query};
use shard::limits::PRESENCE_EVERY_MS;
use storage::Tier;

use crate::broken;
use crate::device::Device;
use crate::oracle::Check;
use crate::world::World;

/// What a device was told, and what its app asked for.
#[derive(Debug, Default)]
pub struct Views {
    /// Whom it watches.
    pub watched: BTreeSet<UserId>,
    /// The newest that it was told unasked.
    pub told: BTreeMap<u64, PresenceItem>,
    /// Nobody is at it.
    pub is_idle: bool,
}

impl Device {
    /// The app wants to be shown these.
    pub fn watches(&mut self, users: &[UserId]) {
        let users: BTreeSet<UserId> = users.iter().copied().collect();
        let named: Vec<UserId> = users.iter().copied().collect();
        if self.views.watched.len() + users.len() <= WATCHED_MAX && self.session.watch(&named).is_ok() {
            self.views.watched.extend(users);
        }
    }

    /// And these no more.
    pub fn watches_no_more(&mut self, users: &[UserId]) {
        if self.session.unwatch(users).is_ok() {
            self.views.watched.retain(|user| !users.contains(user));
            users.iter().for_each(|user| drop(self.views.told.remove(&user.0)));
        }
    }

    /// Somebody is at it, or not.
    pub fn idles(&mut self, is_idle: bool) {
        self.session.idle(is_idle);
        self.views.is_idle = is_idle;
    }

    /// What the session tells.
    pub(crate) fn take_presences(&mut self, items: Vec<PresenceItem>) {
        self.views.told.extend(items.into_iter().map(|item| (item.user, item)));
    }
}

/// A frame that names each user once, and of nobody more than its state allows.
pub(crate) fn check(frame: &Frame) -> Check {
    let Some(body) = read::<Presence>(frame) else { broken!("unreadable Presence") };
    let mut named = BTreeSet::new();
    for item in &body.items {
        let is_there = item.state > STATE_OFFLINE;
        let says_too_much = (is_there && item.last_active_ms > 0)
            || (item.state == STATE_UNKNOWN && !(item.status.is_empty() && item.last_active_ms == 0));
        if !named.insert(item.user) || says_too_much {
            broken!("{item:?} in {body:?}");
        }
    }
    Ok(())
}

impl World {
    /// The hours that passed may have ended tokens, so that devices came again a moment ago: what that changes of what users show
    /// is told within two of its beats.
    pub(crate) fn let_presence_come(&mut self) -> Check {
        let until = self.now + 2 * PRESENCE_EVERY_MS;
        while self.now < until {
            if self.is_idle() {
                self.skip();
            }
            self.step()?;
        }
        self.settle()
    }
}

/// Compares what all devices were told with what there is. Everything is at rest, and the grace is over.
pub(crate) fn at_rest(world: &World) -> Check {
    for device in world.devices.iter().filter(|device| !device.retired) {
        for user in &device.views.watched {
            let (state, status) = shows(world, *user, device.user)?;
            let found = device.views.told.get(&user.0).map(|item| (item.state, item.status.as_str()));
            if found != Some((state, status.as_str())) {
                broken!(
                    "device {} of {} sees {user} as {found:?}; it shows {state} {status:?}",
                    device.id,
                    device.user
                );
            }
        }
    }
    Ok(())
}

/// What a user shows to a viewer, by the store and by who is connected.
fn shows(world: &World, user: UserId, viewer: UserId) -> Result<(u8, String), String> {
    let store = world.disk.store();
    let Ok(Some(Answer::User { account, presence, .. })) = store.read(&Query::User(user), Tier::Any) else {
        broken!("the rows of {user} cannot be read");
    };
    let Some(account) = account else { return Ok((STATE_UNKNOWN, String::new())) };
    let query = Query::Relation { user, other: viewer };
    let Ok(Some(Answer::Relation(relation))) = store.read(&query, Tier::Any) else {
        broken!("the relations of {user} cannot be read");
    };
    if user != viewer && !may_see(account.policy.see, relation) {
        return Ok((STATE_UNKNOWN, String::new()));
    }
    Ok((state(world, user, &presence), presence.status))
}

fn may_see(see: protocol::commit::Audience, relation: Relation) -> bool {
    relation.is_of(see)
}

fn state(world: &World, user: UserId, row: &PresenceRow) -> u8 {
    let is_live =
        |device: &&Device| device.user == user && !device.retired && device.session.state() == State::Live;
    let mut live = world.devices.iter().filter(is_live).peekable();
    if live.peek().is_none() || row.shows == Shows::Invisible {
        return STATE_OFFLINE;
    }
    let is_idle = live.all(|device| device.views.is_idle);
    match row.shows {
        Shows::DoNotDisturb => STATE_DO_NOT_DISTURB,
        Shows::Activity if !is_idle => STATE_ONLINE,
        _ => STATE_AWAY,
    }
}
