//! What people do, one file an operation. Each has `weight` (how often it is drawn beside the others) and `act` (one
//! action of one device; what cannot be done now is simply not done).

pub mod about;
pub mod churn;
pub mod consent;
pub mod group;
pub mod guest;
pub mod large;
pub mod marks;
pub mod own;
pub mod presence;
pub mod purge;
pub mod push;
pub mod resend;
pub mod resume;
pub mod rules;
pub mod send;
pub mod talk;

use protocol::{ChannelId, UserId};

use crate::world::World;

type Act = fn(&mut World, usize);

/// The operations with their weights.
const OPERATIONS: [(u64, Act); 13] = [
    (send::WEIGHT, send::act),
    (group::WEIGHT, group::act),
    (churn::WEIGHT, churn::act),
    (consent::WEIGHT, consent::act),
    (resume::WEIGHT, resume::act),
    (resend::WEIGHT, resend::act),
    (guest::WEIGHT, guest::act),
    (marks::WEIGHT, marks::act),
    (own::WEIGHT, own::act),
    (presence::WEIGHT, presence::act),
    (talk::WEIGHT, talk::act),
    (about::WEIGHT, about::act),
    (rules::WEIGHT, rules::act),
];

/// One device does one thing.
pub fn act(world: &mut World, device: usize) {
    if world.devices[device].retired {
        return;
    }
    let all: u64 = OPERATIONS.iter().map(|(weight, _)| weight).sum();
    let mut draw = world.rng.below(all);
    for (weight, act) in OPERATIONS {
        if draw < weight {
            return act(world, device);
        }
        draw -= weight;
    }
}

/// Somebody; now and then somebody who has no account.
fn somebody(world: &mut World) -> UserId {
    if world.rng.chance(10) {
        return UserId(1 + world.rng.below(1 << 40));
    }
    let users = &world.users;
    world.rng.pick(users).unwrap_or_default()
}

/// A group that exists; mostly one of the user's own.
fn some_group(world: &mut World, user: UserId) -> Option<ChannelId> {
    let mut groups = world.oracle.groups();
    if world.rng.chance(900) {
        groups.retain(|group| world.oracle.member(*group, user).is_some_and(|row| row.is_member()));
    }
    world.rng.pick(&groups)
}

/// A channel to talk in or to look at.
fn some_channel(world: &mut World, user: UserId) -> ChannelId {
    if world.rng.chance(600)
        && let Some(group) = some_group(world, user)
    {
        return group;
    }
    ChannelId::direct(user, somebody(world))
}
