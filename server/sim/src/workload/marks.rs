//! People type, and look how far others have come; some show nobody how far they have. What was delivered the sessions say
//! by themselves.

use protocol::UserId;
use protocol::commit::Policy;
use shard::Command;

use super::some_channel;
use crate::world::World;

/// How often beside the other operations.
pub const WEIGHT: u64 = 6;

/// One of these, in a channel that may be somebody else's.
pub fn act(world: &mut World, device: usize) {
    let user = world.devices[device].user;
    let channel = some_channel(world, user);
    let draw = world.rng.below(100);
    if draw < 4 {
        let policy = Policy { hides_receipts: world.rng.chance(500), ..Policy::default() };
        return world.order(Command::SetPolicy { user, policy });
    }
    let (limit, types) = (u32::try_from(world.rng.between(1, 10)).unwrap_or(1), world.rng.chance(700));
    let session = &mut world.devices[device].session;
    if draw < 60 {
        return session.typing(channel, types);
    }
    let asked = session.receipts(channel, UserId(0), limit);
    world.devices[device].has_asked(asked);
}
