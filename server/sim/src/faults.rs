//! What goes wrong in a step: connections, the process, its stores and shards, the clock, the disk's space, the apps.

use protocol::StoreId;

use crate::disk::Unreadable;
use crate::node::Node;
use crate::oracle::Check;
use crate::plan::Faults;
use crate::world::World;

impl World {
    /// Draws what goes wrong in this step.
    pub(crate) fn faults(&mut self) -> Check {
        let faults = self.plan.faults;
        if self.rng.rarely(faults.cut) {
            self.cut();
        }
        if self.rng.rarely(faults.crash + faults.failed_commit) && self.node.is_some() {
            self.crash()?;
        }
        if self.rng.rarely(faults.restore * 4) {
            self.back_up();
        }
        if self.rng.rarely(faults.restore) {
            self.restore()?;
        }
        self.process_faults(faults);
        self.device_faults(faults);
        if self.rng.rarely(faults.clock_jump) {
            // Up to a day forward or back; the monotonic clock goes on as if nothing was.
            let jump = self.rng.below(86_400_000);
            let back = self.rng.chance(500);
            self.wall_ahead = if back { self.wall_ahead - jump } else { self.wall_ahead + jump };
            self.trace.say(self.now, || format!("the wall clock jumps {jump} ms, back: {back}"));
        }
        if self.rng.rarely(faults.unreadable) {
            self.make_unreadable();
        }
        if self.rng.rarely(faults.long_pause) {
            self.now += self.rng.below(20_000);
        }
        Ok(())
    }

    fn process_faults(&mut self, faults: Faults) {
        let store = self.rng.place(usize::from(self.plan.stores));
        if self.rng.rarely(faults.stop_store) {
            self.disk.stop(store, self.now + self.rng.below(3000));
        }
        let until = self.now + self.rng.below(1000);
        let low =
            if self.rng.rarely(faults.space_low) { Some(self.now + self.rng.below(2000)) } else { None };
        let high = self.space_low_until.is_some_and(|at| at <= self.now);
        if let Some(node) = &mut self.node {
            if self.rng.rarely(faults.stop_shard) {
                node.stop_shard(self.rng.place(node.shards()), until);
            }
            if self.rng.rarely(faults.drain) && node.is_ready() {
                node.drain(self.now);
                self.trace.say(self.now, || "drain".to_owned());
            }
            if low.is_some() {
                node.space_low(true);
            } else if high {
                node.space_low(false);
            }
        }
        if low.is_some() {
            self.space_low_until = low;
        } else if high {
            self.space_low_until = None;
        }
    }

    fn device_faults(&mut self, faults: Faults) {
        let place = self.rng.place(self.devices.len());
        let stop = self.rng.rarely(faults.stop_reading);
        let crash = self.rng.rarely(faults.app_crash);
        let again = self.rng.rarely(faults.dial_again);
        let listening = self.node.as_ref().is_some_and(Node::is_ready);
        let (_, devices, mut scene) = self.parts();
        let device = &mut devices[place];
        if device.retired {
            return;
        }
        if stop {
            device.stop_reading_until = scene.now + scene.rng.below(8000);
        }
        if crash {
            device.crash(&mut scene);
        } else if again && listening && device.link.is_some() {
            device.dial_again(&mut scene);
        }
        self.tally.app_crashes += u64::from(crash);
    }

    /// For a while that is sometimes longer than the longest pause between two attempts.
    fn make_unreadable(&mut self) {
        let channels: Vec<_> = self.oracle.channels.keys().copied().collect();
        let (user, channel) = (self.rng.pick(&self.users), self.rng.pick(&channels));
        let log = StoreId(self.rng.place(usize::from(self.plan.stores)) as u16);
        let what = match self.rng.below(3) {
            0 => user.map(Unreadable::User),
            1 => channel.map(Unreadable::History),
            _ => Some(Unreadable::Log(log)),
        };
        let longest = if self.rng.chance(100) { 60_000 } else { 2_000 };
        let until = self.now + self.rng.below(longest);
        if let Some(what) = what {
            self.trace.say(self.now, || format!("{what:?} cannot be read until {until}"));
            self.disk.make_unreadable(what, until);
        }
    }

    /// Logs are read at boot and hardly ever else: sometimes one cannot be read then, for a while.
    pub(crate) fn hide_a_log(&mut self) {
        if self.plan.faults.unreadable > 0 && self.rng.chance(200) {
            let log = StoreId(self.rng.place(usize::from(self.plan.stores)) as u16);
            let until = self.now + self.rng.below(2_000);
            self.trace.say(self.now, || format!("the log of store {log} cannot be read until {until}"));
            self.disk.make_unreadable(Unreadable::Log(log), until);
        }
    }

    fn cut(&mut self) {
        let links: Vec<_> = self.devices.iter().filter_map(|device| device.link).collect();
        if let Some(link) = self.rng.pick(&links) {
            self.trace.say(self.now, || format!("cut {link:?}"));
            self.tally.cuts += 1;
            self.network.cut(link, &mut self.rng, self.now, 5000);
        }
    }
}
