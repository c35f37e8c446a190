//! The second half of budget 5: receivers that stop reading, and the others.

use super::part::{Figures, Part, Row};
use super::server::{Kind, Server};
use super::{Order, Outcome, load};

const SHAPE: &[&str] = &["group", "--devices", "2000", "--group-size", "100", "--senders", "1"];

pub(super) const PART: Part = Part {
    name: "stall",
    title: "One receiver in a hundred stops reading (budget 5)",
    how: "`maru-load group --devices 2000 --group-size 100 --senders 1 --rate R` at half load, found by \
          `maru-load sweep --busy 0.85`, without and then with `--stalled 0.01`: so many of the devices that send nothing stop reading once they are \
          live. Deliveries to the others.",
    rows: &[
        Row::shown("delivery p99, all read, us"),
        Row::shown("delivery p99 of the others, us"),
        Row::at_most("p99 of the others over p99 when all read", 1.2),
        Row::shown("resident memory, all read, KiB"),
        Row::shown("most resident memory with the stalled, KiB"),
        Row::at_most("growth for each stalled receiver over the egress budget", 1.5),
    ],
    round,
    rounds_max: usize::MAX,
};

/// Stalled devices: one in a hundred.
const STALLED: f64 = 20.0;
/// What the core queues for a connection before it stops (docs/operations.md, `egress_bytes`).
const EGRESS_KIB: f64 = 1024.0;

fn round(order: &Order) -> Outcome<Figures> {
    let server = Server::start(order, Kind::MaruRocks, 2000)?;
    let half = load::half(order, &server, SHAPE)?;
    let (rate, calm) = (half.rate.to_string(), half.found.sound()?);
    let before = server.kib("VmHWM");
    let stalled =
        load::run(order, &server, &[SHAPE, &["--rate", &rate, "--stalled", "0.01"]].concat())?.sound()?;
    let after = server.kib("VmHWM");
    let figures = [
        ("delivery p99, all read, us", calm.delivery_p99_us),
        ("delivery p99 of the others, us", stalled.delivery_p99_us),
        ("p99 of the others over p99 when all read", stalled.delivery_p99_us / calm.delivery_p99_us),
        ("resident memory, all read, KiB", before),
        ("most resident memory with the stalled, KiB", after),
        ("growth for each stalled receiver over the egress budget", (after - before) / STALLED / EGRESS_KIB),
    ];
    Ok(figures.map(|(name, figure)| (name.to_owned(), figure)).into())
}
