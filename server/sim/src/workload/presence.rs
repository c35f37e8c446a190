//! People watch each other, hide, say that they are away, and leave their devices alone.

use protocol::UserId;
use protocol::commit::{Audience, Policy, Shows};
use shard::Command;

use super::somebody;
use crate::world::World;

/// How often beside the other operations.
pub const WEIGHT: u64 = 8;

/// One of these.
pub fn act(world: &mut World, device: usize) {
    let user = world.devices[device].user;
    let others: Vec<UserId> = (0..world.rng.between(1, 3)).map(|_| somebody(world)).collect();
    let (draw, flag) = (world.rng.below(100), world.rng.chance(500));
    if draw < 5 {
        let see = world.rng.pick(&[Audience::Everyone, Audience::Friends, Audience::Nobody]);
        let policy = Policy { see: see.unwrap_or_default(), ..Policy::default() };
        return world.order(Command::SetPolicy { user, policy });
    }
    let shows = [Shows::Activity, Shows::Away, Shows::DoNotDisturb, Shows::Invisible];
    let shows = world.rng.pick(&shows).unwrap_or_default();
    let status = if flag { "tea" } else { "" };
    let device = &mut world.devices[device];
    match draw {
        5..=39 => device.watches(&others),
        40..=49 => device.watches_no_more(&others),
        50..=64 => device.idles(flag),
        65..=79 => {
            let asked = device.session.set_presence(shows, status, 0);
            device.has_asked(asked);
        }
        80..=89 => {
            let asked = device.session.presence(&others);
            device.has_asked(asked);
        }
        _ => {
            let asked = device.session.own_presence();
            device.has_asked(asked);
        }
    }
}
