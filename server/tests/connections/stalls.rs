//! A shard whose thread does not come back from what it does, and the watchdog.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::ShardId;
use server::driver::Limits;
use server::notify::Notify;
use server::watchdog::{Meter, Watchdog};

use crate::node::Node;

const PATIENCE: Duration = Duration::from_secs(60);

fn until(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_shard_that_hangs_is_noticed_and_one_that_goes_on_is_forgotten() {
    let node = Node::start(2, Limits::default());
    let meter = Arc::<Meter>::default();
    let limit = Duration::from_millis(400);
    let (pulses, notify) = (node.pulses.clone(), Notify::default());
    let watchdog = Watchdog::start(pulses, &node.outlets, limit, notify, meter.clone()).unwrap();
    // Behind whatever a busy machine may have made of the other one.
    let is_stalled = || meter.stalled().contains(&ShardId(1));
    let before = node.report(0).turns;
    let hold = node.hold(1);
    until("nobody notices", is_stalled);
    assert!(meter.total() >= 1);
    drop(hold);
    until("it is not forgotten", || !is_stalled());
    assert!(node.report(0).turns > before, "an idle shard is asked and turns");
    drop(watchdog);
}
