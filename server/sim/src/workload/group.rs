//! Groups begin and get other names; some become large channels.

use protocol::UserId;

use super::{large, some_group, somebody};
use crate::world::World;

/// How often beside the other operations.
pub const WEIGHT: u64 = 4;

/// Creates a group, sometimes a larger one than the limit allows, or renames one.
pub fn act(world: &mut World, device: usize) {
    let user = world.devices[device].user;
    if world.rng.chance(300) {
        return rename(world, device);
    }
    let count = world.rng.between(0, world.plan.limits.group_members as u64);
    let members: Vec<UserId> = (0..count).map(|_| somebody(world)).filter(|member| *member != user).collect();
    // Where there are large channels, half of the groups become one at once, and others by their size.
    let grows = world.plan.limits.large_members > 0 && count.is_multiple_of(2);
    let created = world.devices[device].session.create_group("마루", &members, None);
    let Ok((id, group)) = created else { return };
    world.devices[device].made(id);
    if grows {
        large::act(world, device, group);
    }
}

fn rename(world: &mut World, device: usize) {
    let user = world.devices[device].user;
    let Some(group) = some_group(world, user) else { return };
    let number = world.rng.below(1000);
    if number.is_multiple_of(4) {
        return large::act(world, device, group);
    }
    let name = format!("group {number}");
    let device = &mut world.devices[device];
    if let Ok(id) = device.session.rename(group, &name, None) {
        device.made(id);
    }
}
