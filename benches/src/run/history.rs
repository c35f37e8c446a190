//! Budget 6, second part: what a delivery costs when there is more history.

use super::part::{Figures, Part, Row};
use super::server::{Kind, Server};
use super::{Order, Outcome, load};

/// Where it is measured first.
const YOUNG: f64 = 1_000_000.0;
const PAIRS: &[&str] = &["direct", "--devices", "2000", "--rate", "10000"];
const FILL: &[&str] = &["direct", "--devices", "2000", "--depth", "32", "--seconds", "10"];

pub(super) const PART: Part = Part {
    name: "history",
    title: "Flat over history (budget 6)",
    how: "One server is filled by `maru-load direct --devices 2000 --depth 32` to a million stored messages and then to \
          `--history` (20 million in `make bench`); at both points `--rate 10000`, three times.",
    rows: &[
        Row::shown("messages stored at first"),
        Row::shown("CPU a delivery then, us"),
        Row::shown("messages stored at last"),
        Row::shown("CPU a delivery at last, us"),
        Row::at_most("the second over the first", 1.3),
        Row::shown("delivery p99 then, us"),
        Row::shown("delivery p99 at last, us"),
    ],
    round,
    rounds_max: 1,
};

fn round(order: &Order) -> Outcome<Figures> {
    let server = Server::start(order, Kind::MaruRocks, 2000)?;
    #[allow(clippy::cast_precision_loss)]
    let goal = order.history as f64;
    let (young, young_us, young_p99) = at(order, &server, YOUNG.min(goal))?;
    let (old, old_us, old_p99) = at(order, &server, goal)?;
    let figures = [
        ("messages stored at first", young),
        ("CPU a delivery then, us", young_us),
        ("messages stored at last", old),
        ("CPU a delivery at last, us", old_us),
        ("the second over the first", old_us / young_us),
        ("delivery p99 then, us", young_p99),
        ("delivery p99 at last, us", old_p99),
    ];
    Ok(figures.map(|(name, figure)| (name.to_owned(), figure)).into())
}

/// Fills up to so many messages; how many there are then, and the medians of CPU and p99 of three runs.
fn at(order: &Order, server: &Server, goal: f64) -> Outcome<(f64, f64, f64)> {
    while server.metric("maru_store_messages_total")? < goal {
        load::run(order, server, FILL)?;
    }
    let stored = server.metric("maru_store_messages_total")?;
    let (mut cpu, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let found = load::run(order, server, PAIRS)?;
        cpu.push(found.cpu_us);
        p99.push(found.delivery_p99_us);
    }
    let median = |mut figures: Vec<f64>| {
        figures.sort_by(f64::total_cmp);
        figures.get(1).copied().unwrap_or(f64::NAN)
    };
    Ok((stored, median(cpu), median(p99)))
}
