//! An operator purges channels. Drawn from a stream of its own, in some worlds.

use protocol::ChannelId;

use crate::world::World;

/// Steps in which the operator does it, in a thousand.
const ACTIVITY: u64 = 25;

/// One channel loses what is oldest in it.
pub fn act(world: &mut World) {
    if !world.plan.purges || world.plan.activity == 0 || !world.purges.rng.chance(ACTIVITY) {
        return;
    }
    let own = |channel: &&ChannelId| channel.owner().is_none();
    let channels: Vec<ChannelId> = world.oracle.channels.keys().filter(own).copied().collect();
    if let Some(channel) = world.purges.rng.pick(&channels) {
        world.order_purge(channel);
    }
}
