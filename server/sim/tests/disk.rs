//! What the simulator must notice about the disk: a lost ack, and a row that is damaged for good.
#![allow(clippy::unwrap_used)]

use sim::trace::Mode;
use sim::world::World;

/// What was told `Stored` was not synced, and a power cut drops it. A world in which that happens must fail, or nothing
/// would notice a lost ack.
#[test]
fn a_disk_that_lies_about_a_sync_is_found_out() {
    let mut cuts = 0;
    for seed in 0..20 {
        let mut honest = World::new(seed, Mode::Off);
        // Often enough that nearly every life has a power cut.
        honest.plan.faults.crash = 20_000;
        // What is lost by going back to a backup is no lost ack.
        honest.plan.faults.restore = 0;
        let tally = sim::run_world(seed, sim::TICKS, honest).unwrap_or_else(|failure| panic!("{failure:?}"));
        if tally.crashes == 0 || tally.messages == 0 {
            continue;
        }
        let mut world = World::new(seed, Mode::Off);
        world.plan.faults.crash = 20_000;
        world.plan.faults.restore = 0;
        world.disk.lie();
        assert!(sim::run_world(seed, sim::TICKS, world).is_err(), "seed {seed}: the loss went unnoticed");
        cuts += 1;
    }
    assert!(cuts >= 10, "only {cuts} worlds had a power cut");
}
