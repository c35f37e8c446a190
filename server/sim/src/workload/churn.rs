//! People join, leave, are removed and get other roles, while messages are on their way.

use protocol::UserId;

use super::{some_group, somebody};
use crate::world::World;

/// How often beside the other operations.
pub const WEIGHT: u64 = 14;

/// One change of a group's members, allowed or not.
pub fn act(world: &mut World, device: usize) {
    let user = world.devices[device].user;
    let Some(group) = some_group(world, user) else { return };
    let member = some_member(world, group);
    let draw = world.rng.below(100);
    let joining: Vec<UserId> = (0..world.rng.between(1, 3)).map(|_| somebody(world)).collect();
    let role = u8::try_from(world.rng.below(3)).unwrap_or(0);
    let device = &mut world.devices[device];
    let session = &mut device.session;
    let made = match draw {
        0..=44 => session.add_members(group, &joining, None),
        45..=69 => session.remove_member(group, member, None),
        70..=84 => session.leave(group, None),
        _ => session.set_role(group, member, role, None),
    };
    if let Ok(id) = made {
        device.made(id);
    }
}

fn some_member(world: &mut World, group: protocol::ChannelId) -> UserId {
    if world.rng.chance(100) {
        return somebody(world);
    }
    let members = world.oracle.members_now(group);
    world.rng.pick(&members).unwrap_or(UserId(1))
}
