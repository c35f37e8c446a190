//! Groups become large channels by command. By their size they do so in other operations, where the world has large channels.

use protocol::ChannelId;

use crate::world::World;

/// Makes a group a large channel, which only its owner may.
pub fn act(world: &mut World, device: usize, group: ChannelId) {
    let device = &mut world.devices[device];
    if let Ok(id) = device.session.grow(group, None) {
        device.made(id);
    }
}
