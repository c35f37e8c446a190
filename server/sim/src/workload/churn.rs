//! People join, are invited, leave, are removed and get other roles, while messages are on their way.

use protocol::{ChannelId, UserId};

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
    let invited = some_invitation(world, user);
    let device = &mut world.devices[device];
    let session = &mut device.session;
    let made = match draw {
        0..=29 => session.add_members(group, &joining, None),
        30..=42 => session.invite_members(group, &joining, None),
        43..=54 => session.join(invited.unwrap_or(group), None),
        55..=69 => session.remove_member(group, member, None),
        70..=84 => session.leave(group, None),
        _ => session.set_role(group, member, role, None),
    };
    if let Ok(id) = made {
        device.made(id);
    }
}

/// A group that the user was invited to and is not in.
fn some_invitation(world: &mut World, user: UserId) -> Option<ChannelId> {
    let mut groups = world.oracle.groups();
    groups.retain(|group| world.oracle.member(*group, user).is_some_and(|row| row.invitation().is_some()));
    world.rng.pick(&groups)
}

fn some_member(world: &mut World, group: ChannelId) -> UserId {
    if world.rng.chance(100) {
        return somebody(world);
    }
    let members = world.oracle.members_now(group);
    world.rng.pick(&members).unwrap_or(UserId(1))
}
