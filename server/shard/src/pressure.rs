//! Stores that take no more sends for now, of every shard: who sends to one of them waits, and nobody else.
//!
//! A store is full when so much waits unstored in it (see [`crate::pipeline`]). Its home tells every shard, itself included,
//! and says it again each second; a shard pauses a session when it has passed on a send of it to such a store. What was on
//! the way still finds room behind what waits, up to a bound of its own, and above that it is refused.

use protocol::hop::Hop;
use protocol::{ShardId, StoreId};

use crate::input::Tick;
use crate::limits::{MARKS_EVERY_MS, PRESSURE_FORGOTTEN_MS};
use crate::pauses::Why;
use crate::shard::Shard;

/// By store: until when it counts as full unless that is said again; `None` for one that takes sends.
#[derive(Debug)]
pub(crate) struct Pressure(Vec<Option<Tick>>);

impl Pressure {
    pub(crate) fn new(stores: u16) -> Self {
        Self(vec![None; usize::from(stores)])
    }

    fn is_on(&self, store: StoreId) -> bool {
        self.0.get(usize::from(store.0)).is_some_and(Option::is_some)
    }

    /// Whether it was said to be full, and not again for too long.
    fn is_over(&self, store: StoreId, now: Tick) -> bool {
        self.0.get(usize::from(store.0)).is_some_and(|until| until.is_some_and(|until| until < now))
    }
}

impl Shard {
    /// Whether who sends to this store has to wait.
    pub(crate) fn is_pressed(&self, store: StoreId) -> bool {
        self.pressure.is_on(store)
    }

    /// Tells of the own stores that became full, or have room again.
    pub(crate) fn tell_pressure(&mut self) {
        for index in 0..self.pipelines.len() {
            let Some(pipeline) = self.pipelines.get_mut(index) else { break };
            let store = pipeline.store();
            if let Some(on) = pipeline.pressure_changed() {
                self.say_pressure(store, on);
                self.pressed(store, on);
            }
        }
    }

    /// Says again which own stores are full, and forgets what others have not said again.
    pub(crate) fn say_pressure_again(&mut self) {
        for store in (0..self.placement.stores()).map(StoreId) {
            let own = self.own(store).and_then(|index| self.pipelines.get(index));
            match own.map(|pipeline| pipeline.is_pressing()) {
                Some(true) => self.say_pressure(store, true),
                Some(false) => {}
                None if self.pressure.is_over(store, self.now) => {
                    self.pressed(store, false);
                }
                None => {}
            }
        }
    }

    fn say_pressure(&mut self, store: StoreId, on: bool) {
        for shard in (0..self.placement.shards()).map(ShardId).filter(|shard| *shard != self.config.shard) {
            self.hops.push(shard, Hop::Pressure { store, on });
        }
    }

    /// A store is full, or takes sends again.
    pub(crate) fn pressed(&mut self, store: StoreId, on: bool) {
        let until = on.then(|| self.now.after_ms(PRESSURE_FORGOTTEN_MS));
        if let Some(entry) = self.pressure.0.get_mut(usize::from(store.0)) {
            *entry = until;
        }
        if !on {
            self.unpause_all(Why::Store(store));
        }
    }
}

const _: () = assert!(PRESSURE_FORGOTTEN_MS >= 3 * MARKS_EVERY_MS);
