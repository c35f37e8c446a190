//! People save messages, set prefs, write drafts and hide messages in their own channels, from whichever of their devices, and
//! read back what they have noted, their channels by time, and histories around a place.

use client::session::{Around, ListOrder};
use protocol::commit::{Notify, Prefs};
use protocol::{ChannelId, Cursor, InboxSeq, Seq};

use super::some_channel;
use crate::plan::LOOK_BACK_MAX;
use crate::world::World;

/// How often beside the other operations.
pub const WEIGHT: u64 = 14;

/// One note, or one look at them.
pub fn act(world: &mut World, device: usize) {
    let user = world.devices[device].user;
    let about = some_channel(world, user);
    let draw = world.rng.below(100);
    if draw >= 60 {
        return ask(world, device, about);
    }
    let (number, flag) = (world.rng.below(4), world.rng.chance(500));
    let seq = 1 + world.rng.below(world.oracle.head(about).0 + 2);
    let through = seq + world.rng.below(3);
    let thread = flag.then_some(Seq(seq));
    let device = &mut world.devices[device];
    let (session, own) = (&mut device.session, ChannelId::own(user));
    let made = match draw {
        0..=9 => session.send_text(own, "for myself", None),
        10..=29 => {
            let prefs = Prefs {
                muted_until_ms: number,
                pinned: u32::try_from(number).unwrap_or(0),
                marked_unread: flag,
                notify: Notify::from_number(u8::try_from(number % 3).unwrap_or(0)).unwrap_or_default(),
                archived: !flag && number > 1,
            };
            session.set_prefs(about, prefs, None)
        }
        30..=44 => session.set_draft(about, thread, if number == 0 { "" } else { "not yet" }, None),
        _ => session.hide(about, (Seq(seq), Seq(through)), None),
    };
    if let Ok(id) = made {
        device.made(id);
    }
}

fn ask(world: &mut World, device: usize, about: ChannelId) {
    let user = world.devices[device].user;
    let limit = u32::try_from(world.rng.between(1, LOOK_BACK_MAX)).unwrap_or(1);
    let at = InboxSeq(world.rng.below(world.oracle.inbox_head(user) + 2));
    let generation = world.oracle.generation;
    let cursor = Cursor { generation, at };
    let seq = Seq(world.rng.below(world.oracle.head(about).0 + 3));
    let time_ms = (world.now + world.wall_ahead).saturating_sub(world.rng.below(20_000));
    let draw = world.rng.below(100);
    let session = &mut world.devices[device].session;
    let request = match draw {
        0..=14 => session.list(ListOrder::Id(ChannelId(0)), limit),
        15..=29 => session.list(ListOrder::Recent((draw > 20).then_some(cursor)), limit),
        30..=44 => session.list(ListOrder::Changed(cursor), limit),
        45..=54 => session.drafts(None, (ChannelId(0), Seq(0)), limit),
        55..=64 => session.hidden((draw > 60).then_some(about), (ChannelId(0), Seq(0)), limit),
        65..=79 => session.history_around(about, Around::Seq(seq), limit),
        80..=89 => session.history_around(about, Around::Time(time_ms), limit),
        _ => session.history_around(about, Around::Unread, limit),
    };
    world.devices[device].has_asked(request);
}
