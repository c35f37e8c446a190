//! Budgets 1 and 2: CPU a delivery against the floor and against an ordinary server.

use super::part::{Figures, Part, Row};
use super::server::{Kind, Server};
use super::{Order, Outcome, load};

const DIRECT_1: &[&str] = &["direct", "--devices", "200", "--depth", "1"];
const DIRECT_16: &[&str] = &["direct", "--devices", "200", "--depth", "16"];
const GROUP_10: &[&str] =
    &["group", "--devices", "200", "--group-size", "10", "--senders", "1", "--depth", "1"];
const GROUP_100: &[&str] =
    &["group", "--devices", "200", "--group-size", "100", "--senders", "1", "--depth", "1"];
/// Receivers of a message that the larger group has more than the smaller.
const EXTRA_RECEIVERS: f64 = 90.0;

/// Each is run once a round and gives CPU a delivery.
const RUNS: &[(&str, Kind, &[&str])] = &[
    ("1:1, depth 1, us: floor, mio", Kind::FloorMio, DIRECT_1),
    ("1:1, depth 1, us: floor, io_uring", Kind::FloorUring, DIRECT_1),
    ("1:1, depth 1, us: floor, tokio-uring", Kind::FloorTokioUring, DIRECT_1),
    ("1:1, depth 1, us: Maru, memory store", Kind::MaruMemory, DIRECT_1),
    ("1:1, depth 16, us: floor, mio", Kind::FloorMio, DIRECT_16),
    ("1:1, depth 16, us: floor, io_uring", Kind::FloorUring, DIRECT_16),
    ("1:1, depth 16, us: floor, tokio-uring", Kind::FloorTokioUring, DIRECT_16),
    ("1:1, depth 16, us: Maru, memory store", Kind::MaruMemory, DIRECT_16),
    ("group of 10, us: floor, mio", Kind::FloorMio, GROUP_10),
    ("group of 10, us: Maru, memory store", Kind::MaruMemory, GROUP_10),
    ("group of 100, us: floor, mio", Kind::FloorMio, GROUP_100),
    ("group of 100, us: Maru, memory store", Kind::MaruMemory, GROUP_100),
    ("durable 1:1, depth 1, us: ordinary", Kind::Ordinary, DIRECT_1),
    ("durable 1:1, depth 1, us: Maru", Kind::MaruRocks, DIRECT_1),
    ("durable 1:1, depth 16, us: ordinary", Kind::Ordinary, DIRECT_16),
    ("durable 1:1, depth 16, us: Maru", Kind::MaruRocks, DIRECT_16),
];

pub(super) const PART: Part = Part {
    name: "relays",
    title: "CPU a delivery: floor, Maru, ordinary (budgets 1 and 2)",
    how: "`maru-load direct --devices 200 --depth D` and `maru-load group --devices 200 --group-size G --senders 1 \
          --depth 1`, each with `--chars 64 --warmup 1 --cpu 1 --workers 1`. One more receiver is the slope of CPU a \
          message between groups of 10 and of 100. Where the tool was the bottleneck, CPU a delivery stands all the \
          same: the server did what it was given.",
    rows: &[
        Row::shown("1:1, depth 1, us: floor, mio"),
        Row::shown("1:1, depth 1, us: floor, io_uring"),
        Row::shown("1:1, depth 1, us: floor, tokio-uring"),
        Row::shown("1:1, depth 1, us: Maru, memory store"),
        Row::at_most("1:1, depth 1: Maru over the mio floor", 1.6),
        Row::shown("1:1, depth 16, us: floor, mio"),
        Row::shown("1:1, depth 16, us: floor, io_uring"),
        Row::shown("1:1, depth 16, us: floor, tokio-uring"),
        Row::shown("1:1, depth 16, us: Maru, memory store"),
        Row::at_most("1:1, depth 16: Maru over the mio floor", 3.0),
        Row::shown("one more receiver, us: floor, mio"),
        Row::shown("one more receiver, us: Maru, memory store"),
        Row::at_most("one more receiver: Maru over the mio floor", 1.2),
        Row::shown("durable 1:1, depth 1, us: ordinary"),
        Row::shown("durable 1:1, depth 1, us: Maru"),
        Row::shown("durable 1:1, depth 1, deliveries/s: ordinary"),
        Row::shown("durable 1:1, depth 1, deliveries/s: Maru"),
        Row::at_least("deliveries a CPU-second over ordinary, durable, depth 1", 2.5),
        Row::shown("durable 1:1, depth 16, us: ordinary"),
        Row::shown("durable 1:1, depth 16, us: Maru"),
        Row::shown("durable 1:1, depth 16, deliveries/s: ordinary"),
        Row::shown("durable 1:1, depth 16, deliveries/s: Maru"),
        Row::at_least("deliveries a CPU-second over ordinary, durable, depth 16", 8.0),
    ],
    round,
    rounds_max: usize::MAX,
};

fn round(order: &Order) -> Outcome<Figures> {
    let mut figures = Figures::new();
    for (name, kind, shape) in RUNS {
        // One that the kernel does not allow (io_uring) leaves a gap, not a failed round.
        match Server::start(order, *kind, 200).and_then(|server| load::run(order, &server, shape)) {
            Ok(found) => {
                figures.insert((*name).to_owned(), found.cpu_us);
                figures.insert(name.replace(", us:", ", deliveries/s:"), found.delivered_per_s);
            }
            Err(error) => eprintln!("  {name}: {error}"),
        }
    }
    let of = |name: &str| figures.get(name).copied().unwrap_or(f64::NAN);
    let receiver = |server: &str| {
        let [small, large] =
            ["group of 10", "group of 100"].map(|group| of(&format!("{group}, us: {server}")));
        (large * 99.0 - small * 9.0) / EXTRA_RECEIVERS
    };
    let (floor, maru) = (receiver("floor, mio"), receiver("Maru, memory store"));
    let over = |depth: u8| {
        let [maru, floor] = ["Maru, memory store", "floor, mio"]
            .map(|server| of(&format!("1:1, depth {depth}, us: {server}")));
        maru / floor
    };
    let ordinary = |depth: u8| {
        let [ordinary, maru] =
            ["ordinary", "Maru"].map(|server| of(&format!("durable 1:1, depth {depth}, us: {server}")));
        ordinary / maru
    };
    let made = [
        ("1:1, depth 1: Maru over the mio floor", over(1)),
        ("1:1, depth 16: Maru over the mio floor", over(16)),
        ("one more receiver, us: floor, mio", floor),
        ("one more receiver, us: Maru, memory store", maru),
        ("one more receiver: Maru over the mio floor", maru / floor),
        ("deliveries a CPU-second over ordinary, durable, depth 1", ordinary(1)),
        ("deliveries a CPU-second over ordinary, durable, depth 16", ordinary(16)),
    ];
    figures.extend(made.map(|(name, figure)| (name.to_owned(), figure)));
    Ok(figures)
}
