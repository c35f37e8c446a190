//! A group of 100: what durability costs when each message has 99 receivers.

use super::part::{Figures, Part, Row};
use super::server::{Kind, Server};
use super::{Order, Outcome, load};

const GROUP: &[&str] = &["group", "--devices", "100", "--group-size", "100", "--senders", "1", "--depth"];

pub(super) const PART: Part = Part {
    name: "groups",
    title: "A group of 100, one and eight messages outstanding",
    how: "`maru-load group --devices 100 --group-size 100 --senders 1 --depth 1`, and `--depth 8`. CPU a delivery.",
    rows: &[
        Row::shown("one outstanding, us: in memory"),
        Row::shown("one outstanding, us: durable"),
        Row::shown("one outstanding, us: ordinary"),
        Row::at_most("one outstanding: durable over in memory", 1.25),
        Row::at_most("one outstanding: durable over ordinary", 1.0),
        Row::shown("eight outstanding, us: in memory"),
        Row::shown("eight outstanding, us: durable"),
        Row::shown("eight outstanding, us: ordinary"),
        Row::at_most("eight outstanding: durable over in memory", 1.25),
        Row::at_most("eight outstanding: durable over ordinary", 1.0),
    ],
    round,
    rounds_max: usize::MAX,
};

fn round(order: &Order) -> Outcome<Figures> {
    let mut figures = Figures::new();
    for (words, depth) in [("one outstanding", "1"), ("eight outstanding", "8")] {
        let cpu_us = |kind: Kind| -> Outcome<f64> {
            Ok(load::run(order, &Server::start(order, kind, 100)?, &[GROUP, &[depth]].concat())?.cpu_us)
        };
        let (memory, durable) = (cpu_us(Kind::MaruMemory)?, cpu_us(Kind::MaruRocks)?);
        let ordinary = cpu_us(Kind::Ordinary)?;
        let made = [
            (", us: in memory", memory),
            (", us: durable", durable),
            (", us: ordinary", ordinary),
            (": durable over in memory", durable / memory),
            (": durable over ordinary", durable / ordinary),
        ];
        figures.extend(made.map(|(name, figure)| (format!("{words}{name}"), figure)));
    }
    Ok(figures)
}
