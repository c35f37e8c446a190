//! Edits, reactions, pins and recalls, good ones and such as are refused; and pages of what is said.

use protocol::Seq;

use super::some_channel;
use crate::world::World;

/// How often beside the other operations.
pub const WEIGHT: u64 = 14;

/// Few, so that the same is said twice and taken back.
const WAYS: [&str; 3] = ["👍", "👀", "ok"];

/// One thing that is said about a message, or one look at what is.
pub fn act(world: &mut World, device: usize) {
    let user = world.devices[device].user;
    let channel = some_channel(world, user);
    let head = world.oracle.head(channel).0;
    // Mostly one of the newest, which may be on its way; at times one that there is not.
    let low = head.saturating_sub(world.rng.below(8)).max(1);
    let beyond = u64::from(world.rng.chance(100) || head == 0);
    let target = Seq(world.rng.between(low, head.max(low) + beyond));
    let (draw, on, who) = (world.rng.below(100), world.rng.chance(700), world.rng.chance(500));
    let way = world.rng.pick(&WAYS).unwrap_or("ok");
    let limit = u32::try_from(world.rng.between(1, 5)).unwrap_or(1);
    let session = &mut world.devices[device].session;
    let sent = match draw {
        0..25 => session.edit_text(channel, target, "reads otherwise", None),
        25..65 => session.react(channel, target, (way, on), None),
        65..78 => session.pin(channel, target, on, None),
        78..86 => session.recall(channel, target, None),
        _ => {
            let request = session.said_about(channel, (Seq(low), None), limit, who);
            return world.devices[device].has_asked(request);
        }
    };
    if let Ok(id) = sent {
        world.devices[device].made(id);
    }
}
