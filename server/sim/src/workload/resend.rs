//! A careless app behind the session's back: the same frame again, other content under a used key, and noise. The
//! network of a real world repeats whole connections; this repeats single frames.

use protocol::body::encode;
use protocol::body::message::{SendText, channel_of};
use protocol::{Frame, Kind};

use crate::device::Outcome;
use crate::world::World;

/// How often beside the other operations.
pub const WEIGHT: u64 = 8;

/// Puts one frame between those of the session.
pub fn act(world: &mut World, device: usize) {
    if world.rng.chance(50) {
        let noise = Frame::build(Kind::SEND_TEXT, 1, 1 + world.rng.below(1 << 62), &[1, 2, 3]);
        world.devices[device].raw.push_back(noise);
        return;
    }
    let place = world.rng.place(world.devices[device].recent.len());
    let other = world.rng.chance(300);
    let device = &mut world.devices[device];
    let Some(frame) = device.recent.get(place).cloned() else { return };
    let id = frame.send_id();
    let Some(channel) = channel_of(&frame) else { return };
    match device.kept.sends.get(&id) {
        // Only what is durable for certain has an answer that is certain: refused.
        Some(Outcome::Acked(..)) if other => {
            let text = format!("not what was sent as {id}");
            device.raw.push_back(encode(id.0, &SendText { channel: channel.0, text }));
        }
        Some(Outcome::Acked(..) | Outcome::Pending) => {
            device.repeated.insert(id);
            device.raw.push_back(frame);
        }
        _ => {}
    }
}
