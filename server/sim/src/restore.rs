//! A backup is restored: the stores go back to what they were, under a new generation, and traffic goes on. Seqs and inbox
//! positions of the lost life are given again, to devices that are ahead of the backup or behind it, and some of which
//! come back only when the new life has passed the old one.

use storage::Store;

use crate::oracle::{Check, Oracle};
use crate::world::World;

/// What was durable at some moment.
#[derive(Debug)]
pub(crate) struct Backup {
    store: Store,
    oracle: Oracle,
}

impl World {
    pub(crate) fn back_up(&mut self) {
        self.trace.say(self.now, || "backup".to_owned());
        let oracle = self.oracle.clone();
        self.backup = self.disk.backup().map(|store| Backup { store, oracle });
    }

    /// The newest backup takes the place of the stores, if there is one.
    pub(crate) fn restore(&mut self) -> Check {
        let Some(Backup { store, oracle }) = self.backup.take() else { return Ok(()) };
        if self.node.is_some() {
            self.crash()?;
        }
        // No connection outlives the lost life: nothing of it is heard any more.
        let (_, devices, mut scene) = self.parts();
        for device in devices.iter_mut().filter(|device| device.link.is_some()) {
            device.hang_up(&mut scene);
            device.session.disconnected(scene.now);
        }
        self.oracle.restore(oracle);
        self.disk.restore(store, self.oracle.generation)?;
        self.devices.iter_mut().for_each(|device| device.lose(&self.oracle));
        self.tally.restores += 1;
        self.trace.say(self.now, || format!("restored as life {}", self.oracle.generation));
        Ok(())
    }
}
