//! Presence: every device watches its neighbours, and now and then somebody leaves a device alone or comes back to it.

use protocol::UserId;
use protocol::body::presence::PresenceItem;

use super::Engine;

impl Engine {
    /// A device that is live watches its neighbours, half of them on each side; what it watches outlives connections.
    pub(super) fn watch_friends(&mut self, device: u32) {
        let half = self.spec.scenario.presence.friends / 2;
        let count = u32::try_from(self.devices.len()).unwrap_or(u32::MAX).max(1);
        let near = |step: u32| (u64::from(device) + u64::from(step)) % u64::from(count);
        let places = (1..=half.min(count / 2)).flat_map(|step| [near(step), near(count - step)]);
        let places: Vec<usize> = places.map(|place| usize::try_from(place).unwrap_or(0)).collect();
        let users =
            places.into_iter().filter_map(|place| self.devices.get(place)).map(|one| one.session.user());
        let users: Vec<UserId> = users.collect();
        if let Some(entry) = self.device(device) {
            // It has watched them before, or is refused no more than the scenario's check allows.
            let _ = entry.session.watch(&users);
        }
    }

    /// Somebody leaves a device alone, or comes back to it.
    pub(super) fn flip_due(&mut self, now: u64) {
        while self.flips.as_ref().is_some_and(|pace| pace.next_ns() <= now) {
            if let Some(pace) = &mut self.flips {
                pace.advance(&mut self.draws);
            }
            // In turn, so that each flips equally often: once round idle, once round back.
            let count = self.devices.len().max(1);
            let (place, is_idle) = (self.flipped % count, (self.flipped / count).is_multiple_of(2));
            self.flipped += 1;
            let device = u32::try_from(place).unwrap_or(0);
            if let Some(entry) = self.device(device) {
                entry.session.idle(is_idle);
            }
            self.settle(device, now);
        }
    }

    /// A device was told of others.
    pub(super) fn on_presence(&mut self, items: &[PresenceItem]) {
        self.interval.presences += items.len() as u64;
    }
}
