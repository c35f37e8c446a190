//! This build beside another, in turns: what a delivery costs now and cost before.

use super::part::{Figures, Part, Row};
use super::server::{Kind, Server};
use super::{Order, Outcome, load};

const DIRECT: &[&str] = &["direct", "--devices", "200", "--depth"];
const GROUP: &[&str] = &["group", "--devices", "100", "--group-size", "100", "--senders", "1", "--depth"];

/// Name in the rows, the load and its depth.
const LOADS: &[(&str, &[&str], &str)] =
    &[("1:1, depth 1", DIRECT, "1"), ("1:1, depth 16", DIRECT, "16"), ("group of 100", GROUP, "1")];
const STORES: &[(&str, Kind)] = &[("in memory", Kind::MaruMemory), ("durable", Kind::MaruRocks)];

macro_rules! rows {
    ($($name:literal)*) => {
        &[$(
            Row::shown(concat!($name, ": us")),
            Row::shown(concat!($name, ": us before")),
            Row::at_most(concat!($name, ": over before"), 1.03),
        )*]
    };
}

pub(super) const PART: Part = Part {
    name: "before",
    title: "CPU a delivery against the build before",
    how: "`rounds --before DIR`, where `maru` of another build is: `maru-load direct --devices 200 --depth D` and \
          `maru-load group --devices 100 --group-size 100 --senders 1 --depth 1` against the one and then the other.",
    rows: rows!(
        "1:1, depth 1, in memory" "1:1, depth 1, durable" "1:1, depth 16, in memory" "1:1, depth 16, durable"
        "group of 100, in memory" "group of 100, durable"
    ),
    round,
    rounds_max: usize::MAX,
};

fn round(order: &Order) -> Outcome<Figures> {
    let old = order.of_before().ok_or("--before is not given")?;
    let mut figures = Figures::new();
    for (load, shape, depth) in LOADS {
        for (store, kind) in STORES {
            let cpu_us = |which: &Order| -> Outcome<f64> {
                Ok(load::run(order, &Server::start(which, *kind, 200)?, &[*shape, &[depth]].concat())?.cpu_us)
            };
            let (now, before) = (cpu_us(order)?, cpu_us(&old)?);
            let made = [("us", now), ("us before", before), ("over before", now / before)];
            figures.extend(made.map(|(name, figure)| (format!("{load}, {store}: {name}"), figure)));
        }
    }
    Ok(figures)
}
