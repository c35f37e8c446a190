//! Mutes, bans, slow mode: laid down, lifted, and tried by those who may not; and those who are banned are called back.

use protocol::UserId;

use super::{some_group, somebody};
use crate::world::World;

/// How often beside the other operations.
pub const WEIGHT: u64 = 8;

/// One thing that is laid down for a group, allowed or not, or one look at what is.
pub fn act(world: &mut World, device: usize) {
    let user = world.devices[device].user;
    let Some(group) = some_group(world, user) else { return };
    let members = world.oracle.members_now(group);
    let member = world.rng.pick(&members).unwrap_or_else(|| somebody(world));
    let banned = world.oracle.banned(group);
    let banned = world.rng.pick(&banned);
    let for_s = [0, 1, 5, 30, u32::MAX];
    let for_s = world.rng.pick(&for_s).unwrap_or(1);
    let interval_s = [0, 0, 1, 3];
    let interval_s = world.rng.pick(&interval_s).unwrap_or(0);
    let draw = world.rng.below(100);
    let device = &mut world.devices[device];
    let session = &mut device.session;
    let made = match (draw, banned) {
        (0..=34, _) => session.mute_member(group, member, for_s, None),
        (35..=49, _) => session.ban_member(group, member, None),
        (50..=59, _) => session.set_slow(group, interval_s, None),
        (60..=67, _) => {
            let request = session.rules(group, UserId(0), 5);
            return device.has_asked(request);
        }
        // Somebody who is banned comes back, or tries to.
        (68..=81, Some(banned)) => session.add_members(group, &[banned], None),
        (82..=87, Some(banned)) => session.invite_members(group, &[banned], None),
        (_, Some(banned)) => session.unban_member(group, banned, None),
        (_, None) => session.unban_member(group, member, None),
    };
    if let Ok(id) = made {
        device.made(id);
    }
}
