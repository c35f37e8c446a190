//! Text, to one or to a group; now and then in bursts.

use super::some_channel;
use crate::world::World;

/// How often beside the other operations.
pub const WEIGHT: u64 = 60;

/// Sends one message, or a burst of them.
pub fn act(world: &mut World, device: usize) {
    let user = world.devices[device].user;
    let channel = some_channel(world, user);
    let (burst, often) = if world.plan.flood { (200, 300) } else { (8, 50) };
    let count = if world.rng.chance(often) { world.rng.between(1, burst) } else { 1 };
    for _ in 0..count {
        let text = text(world);
        let device = &mut world.devices[device];
        if let Ok(id) = device.session.send_text(channel, &text, None) {
            device.made(id);
        }
    }
}

fn text(world: &mut World) -> String {
    let chars = world.rng.between(1, world.plan.text_chars);
    let first = char::from_u32(0xac00 + u32::try_from(world.rng.below(11_172)).unwrap_or(0)).unwrap_or('a');
    (0..chars).map(|at| if at == 0 { first } else { 'x' }).collect()
}
