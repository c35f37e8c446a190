//! People subscribe to push, change their quiet hours, mute channels and end it again. Drawn from a stream of its own, in
//! worlds with push alone.

use protocol::ChannelId;
use protocol::commit::{Notify, Prefs, Provider, SubscriptionRow};
use shard::Command;

use crate::rng::Rng;
use crate::world::World;

/// Steps in which somebody does one of these, in a thousand.
const ACTIVITY: u64 = 60;

/// Mostly somebody subscribes.
pub fn act(world: &mut World) {
    if !world.plan.push || world.plan.activity == 0 || !world.outbox.rng.chance(ACTIVITY) {
        return;
    }
    let place = world.outbox.rng.place(world.devices.len());
    let Some(device) = world.devices.get(place).filter(|device| !device.retired) else { return };
    let (user, id) = (device.user, device.id);
    if !world.oracle.has_device(user, id) {
        return;
    }
    let wall = world.now + world.wall_ahead;
    let rng = &mut world.outbox.rng;
    let provider = if rng.chance(500) { Provider::WebPush } else { Provider::Webhook };
    let target = (id, provider);
    match rng.below(100) {
        0..=59 => {
            let quiet = quiet(rng, wall);
            let endpoint = format!("https://push.example/{}", rng.below(1000));
            let row = SubscriptionRow { created_ms: wall, quiet, endpoint, ..SubscriptionRow::default() };
            world.order(Command::Subscribe { user, target, row: Box::new(row) });
        }
        60..=69 => world.order(Command::Unsubscribe { user, target, made_ms: None }),
        draw => {
            let is_wide = draw > 90;
            let heads = world.oracle.channels.keys().copied().collect::<Vec<ChannelId>>();
            let rng = &mut world.outbox.rng;
            let Some(about) = rng.pick(&heads) else { return };
            let muted_until_ms = if rng.chance(200) { wall + rng.below(20_000) } else { 0 };
            let notify = if is_wide { Notify::All } else { notify(rng) };
            let prefs = Prefs { muted_until_ms, notify, ..Prefs::default() };
            if let Ok(id) = world.devices[place].session.set_prefs(about, prefs, None) {
                world.devices[place].made(id);
            }
        }
    }
}

fn notify(rng: &mut Rng) -> Notify {
    match rng.below(4) {
        0 => Notify::Nothing,
        1 => Notify::Mentions,
        _ => Notify::All,
    }
}

/// Mostly never; else often now, and not for long.
fn quiet(rng: &mut Rng, wall: u64) -> (u16, u16) {
    if rng.chance(600) {
        return (0, 0);
    }
    let minute = u16::try_from(wall / 60_000 % 1440).unwrap_or(0);
    let from = (minute + 1440 - u16::try_from(rng.below(3)).unwrap_or(0)) % 1440;
    (from, (from + 1 + u16::try_from(rng.below(120)).unwrap_or(0)) % 1440)
}
