//! Replies, threads and mentions, good ones and such as are refused; and pages of them.

use protocol::body::talk::Talk;
use protocol::{InboxSeq, Seq, UserId};

use super::{some_channel, somebody};
use crate::world::World;

/// How often beside the other operations.
pub const WEIGHT: u64 = 14;

/// One text that is about something, or one look at a thread or at the mentions.
pub fn act(world: &mut World, device: usize) {
    let user = world.devices[device].user;
    if world.rng.chance(300) {
        return look(world, device);
    }
    let channel = some_channel(world, user);
    let talk = Talk {
        reply_to: world.rng.chance(500).then(|| some_seq(world, channel)),
        thread: world.rng.chance(500).then(|| some_root(world, channel)),
        forwarded_from: world.rng.chance(100).then(|| somebody(world)),
        mentions: some_users(world, channel),
        all: world.rng.chance(200),
        online: world.rng.chance(100),
    };
    let device = &mut world.devices[device];
    if let Ok(id) = device.session.send_talk(channel, "about something", &talk, None) {
        device.made(id);
    }
}

/// Mostly one that there is; at times one too high.
fn some_seq(world: &mut World, channel: protocol::ChannelId) -> Seq {
    let head = world.oracle.head(channel).0;
    let beyond = u64::from(world.rng.chance(100) || head == 0);
    Seq(world.rng.between(1, head + beyond))
}

/// Few, so that threads grow.
fn some_root(world: &mut World, channel: protocol::ChannelId) -> Seq {
    let head = world.oracle.head(channel).0;
    Seq(world.rng.between(1, head.clamp(1, 3)))
}

/// Members, and now and then anybody.
fn some_users(world: &mut World, channel: protocol::ChannelId) -> Vec<UserId> {
    let members = match channel.users() {
        Some((small, large)) => vec![small, large],
        None => world.oracle.members_now(channel),
    };
    let count = world.rng.below(4);
    let mut users: Vec<UserId> = (0..count).filter_map(|_| world.rng.pick(&members)).collect();
    if world.rng.chance(50) {
        users.push(somebody(world));
    }
    users
}

fn look(world: &mut World, device: usize) {
    let user = world.devices[device].user;
    let channel = some_channel(world, user);
    let (root, after) = (some_root(world, channel), Seq(world.rng.below(4)));
    let (after, newest) = (world.rng.chance(500).then_some(after), world.rng.chance(500));
    let limit = u32::try_from(world.rng.between(1, 5)).unwrap_or(1);
    let before = InboxSeq(world.rng.between(1, 1 + world.oracle.inbox_head(user)));
    let before = world.rng.chance(500).then_some(before);
    let is_thread = world.rng.chance(500);
    let session = &mut world.devices[device].session;
    let request = if is_thread {
        session.thread((channel, root), after, None, limit, newest)
    } else {
        session.mentions(before, limit)
    };
    world.devices[device].has_asked(request);
}
