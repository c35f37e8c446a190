//! Shards that take no more sends for now: who sends to the channels of one of them waits, and nobody else.
//!
//! A shard is full when so much waits unstored in it (see [`crate::pipeline`]). It tells every shard, itself included,
//! and says it again each second; a shard pauses a session when it has passed on a send of it to such a shard. What was on
//! the way still finds room behind what waits, up to a bound of its own, and above that it is refused.

use protocol::ShardId;
use protocol::hop::Hop;

use crate::input::Tick;
use crate::limits::{MARKS_EVERY_MS, PRESSURE_FORGOTTEN_MS};
use crate::pauses::Why;
use crate::shard::Shard;

/// By shard: until when it counts as full unless that is said again; `None` for one that takes sends.
#[derive(Debug)]
pub(crate) struct Pressure(Vec<Option<Tick>>);

impl Pressure {
    pub(crate) fn new(shards: u16) -> Self {
        Self(vec![None; usize::from(shards)])
    }

    fn is_on(&self, shard: ShardId) -> bool {
        self.0.get(usize::from(shard.0)).is_some_and(Option::is_some)
    }

    /// Whether it was said to be full, and not again for too long.
    fn is_over(&self, shard: ShardId, now: Tick) -> bool {
        self.0.get(usize::from(shard.0)).is_some_and(|until| until.is_some_and(|until| until < now))
    }
}

impl Shard {
    /// Whether who sends to this shard has to wait.
    pub(crate) fn is_pressed(&self, shard: ShardId) -> bool {
        self.pressure.is_on(shard)
    }

    /// Tells that this shard became full, or has room again.
    pub(crate) fn tell_pressure(&mut self) {
        if let Some(on) = self.pipeline.pressure_changed() {
            self.say_pressure(on);
            self.pressed(self.config.shard, on);
        }
    }

    /// Says again that this shard is full, and forgets what others have not said again.
    pub(crate) fn say_pressure_again(&mut self) {
        if self.pipeline.is_pressing() {
            self.say_pressure(true);
        }
        for shard in self.others() {
            if self.pressure.is_over(shard, self.now) {
                self.pressed(shard, false);
            }
        }
    }

    fn say_pressure(&mut self, on: bool) {
        let shard = self.config.shard;
        for other in self.others() {
            self.hops.push(other, Hop::Pressure { shard, on });
        }
    }

    fn others(&self) -> impl Iterator<Item = ShardId> + use<> {
        let own = self.config.shard;
        (0..self.placement.shards()).map(ShardId).filter(move |shard| *shard != own)
    }

    /// A shard is full, or takes sends again.
    pub(crate) fn pressed(&mut self, shard: ShardId, on: bool) {
        let until = on.then(|| self.now.after_ms(PRESSURE_FORGOTTEN_MS));
        if let Some(entry) = self.pressure.0.get_mut(usize::from(shard.0)) {
            *entry = until;
        }
        if !on {
            self.unpause_all(Why::Unstored(shard));
        }
    }
}

const _: () = assert!(PRESSURE_FORGOTTEN_MS >= 3 * MARKS_EVERY_MS);
