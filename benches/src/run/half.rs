//! Latency and CPU at half load, beside the disk and the floor, and the same while RocksDB compacts.

use std::time::Instant;

use super::load::Found;
use super::part::{Figures, Part, Row};
use super::server::{Kind, Server};
use super::{Order, Outcome, disk, load};

const SHAPE: &[&str] = &["direct", "--devices", "2000"];
/// Written again and again until RocksDB compacts what was written.
const FILL: &[&str] = &["direct", "--devices", "2000", "--depth", "16", "--chars", "4000", "--seconds", "3"];
/// RocksDB's threads for it.
const COMPACTION: &str = "rocksdb:low";
const FILLS_MAX: usize = 20;
/// Microseconds of compaction that show that it has begun.
const BEGUN_US: f64 = 50_000.0;
/// Small durable writes that the disk is asked for.
const WRITES: usize = 500;

pub(super) const PART: Part = Part {
    name: "half",
    title: "Half load: latency over the disk, CPU over the floor",
    how: "`maru-load sweep direct --devices 2000 --busy 0.85 --metrics`: half of the highest open-loop rate at which the \
          server's process is at most 85 % of one core busy, and a run there. Acks are timed by the server itself, from the \
          read of a frame to the ack handed to the kernel. The floor then gets the same rate: \
          `maru-load direct --devices 2000 --rate R`. The disk: 500 times 4 KiB and fdatasync, right after. Compaction: \
          4,000-character texts at `--depth 16` on the same server until RocksDB's threads for it have begun, then the run at half \
          load at once; the share of a core that they had in that run says how much there was.",
    rows: &[
        Row::shown("half load, durable, messages/s"),
        Row::shown("half load, durable, share of one core"),
        Row::shown("fdatasync p50, us"),
        Row::shown("fdatasync p99, us"),
        Row::shown("ack p50, durable, us"),
        Row::shown("ack p99, durable, us"),
        Row::at_most("ack p50 over fdatasync p50", 3.0),
        Row::at_most("ack p99 over fdatasync p99", 8.0),
        Row::shown("ack p50, durable, by the tool, us"),
        Row::shown("ack p99, durable, by the tool, us"),
        Row::shown("ack p50 while RocksDB compacts, us"),
        Row::shown("ack p99 while RocksDB compacts, us"),
        Row::at_most("ack p50 while RocksDB compacts over without", 2.0),
        Row::at_most("ack p99 while RocksDB compacts over without", 2.0),
        Row::shown("compaction's share of a core in that run"),
        Row::shown("CPU a delivery, durable, us"),
        Row::shown("CPU a delivery, floor at that rate, us"),
        Row::at_most("CPU a delivery over the floor's, durable", 2.0),
        Row::shown("half load, in memory, messages/s"),
        Row::shown("ack p99, in memory, us"),
        Row::shown("CPU a delivery, in memory, us"),
        Row::shown("CPU a delivery, floor at the rate of memory, us"),
        Row::at_most("CPU a delivery over the floor's, in memory", 1.5),
    ],
    round,
    rounds_max: usize::MAX,
};

fn round(order: &Order) -> Outcome<Figures> {
    let server = Server::start(order, Kind::MaruRocks, 2000)?;
    let durable = half(order, &server, "durable")?;
    let sync = disk::fdatasync(&order.work, WRITES)?;
    let (busy, compaction) = compacting(order, &server, durable.rate)?;
    drop(server);
    let floor = floor_us(order, durable.rate)?;
    let memory = half(order, &Server::start(order, Kind::MaruMemory, 2000)?, "in memory")?;
    let memory_floor = floor_us(order, memory.rate)?;
    let own = |found: &Found| (found.own_ack_p50_us, found.own_ack_p99_us);
    let ((p50, p99), (busy_p50, busy_p99)) = (own(&durable.found), own(&busy));
    let mut figures: Figures = [
        ("half load, durable, messages/s", durable.rate),
        ("half load, durable, share of one core", durable.busy),
        ("fdatasync p50, us", sync.p50_us),
        ("fdatasync p99, us", sync.p99_us),
        ("ack p50, durable, us", p50),
        ("ack p99, durable, us", p99),
        ("ack p50 over fdatasync p50", p50 / sync.p50_us),
        ("ack p99 over fdatasync p99", p99 / sync.p99_us),
        ("ack p50 while RocksDB compacts, us", busy_p50),
        ("ack p99 while RocksDB compacts, us", busy_p99),
        ("ack p50 while RocksDB compacts over without", busy_p50 / p50),
        ("ack p99 while RocksDB compacts over without", busy_p99 / p99),
        ("compaction's share of a core in that run", compaction),
        ("CPU a delivery, durable, us", durable.found.cpu_us),
        ("CPU a delivery, floor at that rate, us", floor),
        ("CPU a delivery over the floor's, durable", durable.found.cpu_us / floor),
        ("half load, in memory, messages/s", memory.rate),
        ("ack p99, in memory, us", memory.found.own_ack_p99_us),
        ("CPU a delivery, in memory, us", memory.found.cpu_us),
        ("CPU a delivery, floor at the rate of memory, us", memory_floor),
        ("CPU a delivery over the floor's, in memory", memory.found.cpu_us / memory_floor),
    ]
    .map(|(name, figure)| (name.to_owned(), figure))
    .into();
    // A tool that was late leaves a gap here; the server's own figures stand.
    if let Ok(tool) = durable.found.sound() {
        figures.insert("ack p50, durable, by the tool, us".to_owned(), tool.ack_p50_us);
        figures.insert("ack p99, durable, by the tool, us".to_owned(), tool.ack_p99_us);
    }
    Ok(figures)
}

fn half(order: &Order, server: &Server, which: &str) -> Outcome<load::Half> {
    let half = load::half(order, server, &[SHAPE, &["--metrics"]].concat())?;
    if half.tool_was_limit {
        eprintln!("  {which}: the tool could not offer more, half load is above {}/s", half.rate);
    }
    Ok(half)
}

fn floor_us(order: &Order, rate: f64) -> Outcome<f64> {
    let server = Server::start(order, Kind::FloorMio, 2000)?;
    Ok(load::run(order, &server, &[SHAPE, &["--rate", &rate.to_string()]].concat())?.cpu_us)
}

/// The run at half load while what was written before is compacted, and the share of a core that this took.
fn compacting(order: &Order, server: &Server, rate: f64) -> Outcome<(Found, f64)> {
    for _ in 0..FILLS_MAX {
        load::run(order, server, FILL)?;
        if server.thread_us(COMPACTION) > BEGUN_US {
            break;
        }
    }
    let (before, began) = (server.thread_us(COMPACTION), Instant::now());
    let found = load::run(order, server, &[SHAPE, &["--metrics", "--rate", &rate.to_string()]].concat())?;
    let share = (server.thread_us(COMPACTION) - before) / (began.elapsed().as_secs_f64() * 1e6);
    Ok((found, share))
}
