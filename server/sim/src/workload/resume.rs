//! Devices look back and come back: windows of history, lists, read marks, new devices, devices that are removed.

use protocol::limits::U53_MAX;
use protocol::{ChannelId, Seq, UserId};
use shard::Command;

use super::some_channel;
use crate::plan::LOOK_BACK_MAX;
use crate::world::World;

/// How often beside the other operations.
pub const WEIGHT: u64 = 14;

/// One look back, at a channel that may be anybody's, or one change of the user's devices.
pub fn act(world: &mut World, device: usize) {
    let user = world.devices[device].user;
    // The limit is 16; the seventeenth is refused, more are of no use.
    let own = world.devices.iter().filter(|other| other.user == user && !other.retired).count();
    if world.rng.chance(15) && own < 17 {
        return world.install(user);
    }
    if world.rng.chance(8) && own > 1 {
        let device = world.devices[device].id;
        return if world.oracle.has_device(user, device) {
            world.order(Command::RemoveDevice { user, device })
        };
    }
    if world.rng.chance(4) {
        return log_out_all(world, device);
    }
    let foreign = world.rng.chance(150).then(|| foreign(world)).flatten();
    let channel = foreign.unwrap_or_else(|| some_channel(world, user));
    let head = world.oracle.head(channel).0;
    let after = Seq(world.rng.below(head + 2));
    let before = Seq(world.rng.between(after.0, head + 3));
    let (low, high) = (world.rng.chance(500).then_some(after), world.rng.chance(500).then_some(before));
    let (newest, limit) =
        (world.rng.chance(500), u32::try_from(world.rng.between(1, LOOK_BACK_MAX)).unwrap_or(1));
    let draw = world.rng.below(100);
    // Devices of one user read the same: some of the marks come again, or lower, while the first is on its way to the store.
    if draw == 85 || draw == 86 {
        return mark_everywhere(world, user, channel, after);
    }
    let session = &mut world.devices[device].session;
    let request = match draw {
        0..=49 => session.history(channel, low, high, limit, newest),
        50..=69 => session.channels(ChannelId(0), limit),
        70..=84 => session.members(channel, UserId(0), limit),
        87..=95 => session.mark_read(channel, after),
        // What nobody can have read, and what is not there.
        96..=97 => session.mark_read(channel, Seq(U53_MAX)),
        _ => session.mark_read(ChannelId(u128::from(limit) + 1), after),
    };
    world.devices[device].has_asked(request);
}

/// All devices of a user mark one channel, each its own way.
fn mark_everywhere(world: &mut World, user: UserId, channel: ChannelId, seq: Seq) {
    for place in 0..world.devices.len() {
        let device = &world.devices[place];
        if device.user != user || device.retired {
            continue;
        }
        for _ in 0..2 {
            let read = if world.rng.chance(500) { seq } else { Seq(world.rng.below(seq.0 + 1)) };
            let request = world.devices[place].session.mark_read(channel, read);
            world.devices[place].has_asked(request);
        }
    }
}

/// Logs out everywhere, or everywhere but here; then there is another device that goes on.
fn log_out_all(world: &mut World, device: usize) {
    let (user, id) = (world.devices[device].user, world.devices[device].id);
    let keep = world.rng.chance(500).then_some(id).filter(|id| world.oracle.has_device(user, *id));
    let not_before_ms = world.now + world.wall_ahead;
    world.order(Command::LogOutAll { user, not_before_ms, keep });
    world.install(user);
}

/// Any channel there is.
fn foreign(world: &mut World) -> Option<ChannelId> {
    let all: Vec<ChannelId> = world.oracle.channels.keys().copied().collect();
    world.rng.pick(&all)
}
