//! Requests without a connection, as over HTTP: a send, the same send again or other content under its key, and pages. Some
//! who ask hang up before there is an answer.

use protocol::body::encode;
use protocol::body::marks::GetReceipts;
use protocol::body::message::{SendText, channel_of};
use protocol::body::sync::{GetChannels, GetHistory, GetMembers};
use protocol::hello::Hello;
use protocol::limits::U53_MAX;
use protocol::{Cursor, Frame, UserId};

use super::some_channel;
use crate::plan::LOOK_BACK_MAX;
use crate::world::World;

/// How often beside the other operations.
pub const WEIGHT: u64 = 8;
/// Sends that may be repeated.
const SENT_MAX: usize = 64;

/// One device asks for one thing.
pub fn act(world: &mut World, device: usize) {
    let (user, device) = (world.devices[device].user, world.devices[device].id);
    let frame = match world.rng.below(100) {
        0..=49 => send(world, user),
        50..=64 => again(world, user),
        _ => page(world, user),
    };
    let Some(frame) = frame else { return };
    let wall_ms = world.now + world.wall_ahead;
    // As at a login: a token is never older than what the control plane has forbidden, but some show an old one.
    let asked_ms = world.oracle.not_before_asked.get(&user).copied().unwrap_or(0);
    let issued_ms = if world.rng.chance(900) { wall_ms.max(asked_ms) } else { wall_ms };
    let id = frame.header().id;
    let hello =
        Hello { user, device, cursor: Cursor::default(), id, expires_ms: wall_ms + 60_000, issued_ms };
    let hangs_up = world.rng.chance(100);
    world.visit(hello, frame, hangs_up);
}

fn send(world: &mut World, user: UserId) -> Option<Frame> {
    let channel = some_channel(world, user);
    let text = format!("sent by {user} without a connection");
    let frame = encode(1 + world.rng.below(u64::MAX - 1), &SendText { channel: channel.0, text });
    if world.visited.len() >= SENT_MAX {
        world.visited.pop_front();
    }
    world.visited.push_back((user, frame.clone()));
    Some(frame)
}

/// Whatever became of it: it may be under way, stored, refused or lost.
fn again(world: &mut World, user: UserId) -> Option<Frame> {
    let own: Vec<Frame> =
        world.visited.iter().filter(|(of, _)| *of == user).map(|(_, frame)| frame.clone()).collect();
    let frame = own.get(world.rng.place(own.len()))?.clone();
    if world.rng.chance(700) {
        return Some(frame);
    }
    let text = "other content".to_owned();
    Some(encode(frame.header().id, &SendText { channel: channel_of(&frame)?.0, text }))
}

fn page(world: &mut World, user: UserId) -> Option<Frame> {
    let channel = some_channel(world, user).0;
    let id = 1 + world.rng.below(1000);
    let limit = u32::try_from(world.rng.between(1, LOOK_BACK_MAX)).unwrap_or(1);
    Some(match world.rng.below(5) {
        0 => encode(id, &GetChannels { after: 0, limit }),
        2 => encode(id, &GetReceipts { channel, after: 0, limit }),
        1 => encode(id, &GetMembers { channel, after: 0, limit }),
        _ => {
            let newest = world.rng.chance(500);
            let after = world.rng.below(5);
            encode(id, &GetHistory { channel, after, before: U53_MAX, limit, newest })
        }
    })
}
