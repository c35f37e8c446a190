//! People block, befriend and shut themselves off, and change their minds.

use protocol::UserId;
use protocol::commit::{Audience, Policy, Relation};
use shard::Command;

use super::somebody;
use crate::world::World;

/// How often beside the other operations.
pub const WEIGHT: u64 = 3;

/// A user says something of another, or of all.
pub fn act(world: &mut World, device: usize) {
    let user = world.devices[device].user;
    // Mostly something kind, so that people go on talking.
    if world.rng.chance(250) {
        let message = audience(world);
        let add = audience(world);
        let policy = Policy { message, add, ..Policy::default() };
        return world.order(Command::SetPolicy { user, policy });
    }
    let other: UserId = somebody(world);
    let (is_friend, is_blocked) = (world.rng.chance(500), world.rng.chance(250));
    if other != user {
        world.order(Command::Relate { user, other, relation: Relation { is_friend, is_blocked } });
    }
}

fn audience(world: &mut World) -> Audience {
    match world.rng.below(8) {
        0 => Audience::Nobody,
        1 | 2 => Audience::Friends,
        _ => Audience::Everyone,
    }
}
