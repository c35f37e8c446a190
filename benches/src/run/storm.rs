//! Budget 7: everybody drops at once and returns.

use super::part::{Figures, Part, Row};
use super::server::{Kind, Server};
use super::{Order, Outcome, load};

const DEVICES: u32 = 10_000;
/// 8,000 drop, 2,000 go on talking.
const SHAPE: &[&str] =
    &["storm", "--devices", "10000", "--rate", "1000", "--seconds", "30", "--set", "cut.storms_at_s=[5]"];

pub(super) const PART: Part = Part {
    name: "storm",
    title: "Reconnect storm (budget 7)",
    how: "`maru-load storm --devices 10000 --rate 1000 --seconds 30 --set cut.storms_at_s=[5]`: 8,000 idle devices drop at \
          once and return as fast as they are let, 256 at a time, while 2,000 talk 1:1; then the same with \
          `--set cut.spread_ms=10000`, so that they come back within 10 s, for what those who go on talking notice of it. The floor \
          accepts, upgrades, answers a Hello that it does not check, and closes: what the kernel and the tool leave of a core.",
    rows: &[
        Row::shown("Maru: authenticated connections/s"),
        Row::shown("ordinary: authenticated connections/s"),
        Row::at_least("Maru over ordinary", 3.0),
        Row::shown("floor: connections/s"),
        Row::at_least("Maru over the floor", 0.8),
        Row::shown("standing delivery p99 before and after, us"),
        Row::shown("standing delivery p99 while they return within 10 s, us"),
        Row::at_most("the second over the first", 2.0),
        Row::shown("standing delivery p99 while they return as fast as they can, us"),
    ],
    round,
    rounds_max: 3,
};

fn round(order: &Order) -> Outcome<Figures> {
    let run = |kind: Kind, spread: &[&str]| {
        let server = Server::start(order, kind, DEVICES)?;
        load::run(order, &server, &[SHAPE, spread].concat())
    };
    let (maru, ordinary) = (run(Kind::MaruRocks, &[])?, run(Kind::Ordinary, &[])?);
    let floor = run(Kind::FloorMio, &[])?;
    let spread = run(Kind::MaruRocks, &["--set", "cut.spread_ms=10000"])?;
    let figures = [
        ("Maru: authenticated connections/s", maru.returned_per_s),
        ("ordinary: authenticated connections/s", ordinary.returned_per_s),
        ("Maru over ordinary", maru.returned_per_s / ordinary.returned_per_s),
        ("floor: connections/s", floor.returned_per_s),
        ("Maru over the floor", maru.returned_per_s / floor.returned_per_s),
        ("standing delivery p99 before and after, us", spread.calm_p99_us),
        ("standing delivery p99 while they return within 10 s, us", spread.storm_p99_us),
        ("the second over the first", spread.storm_p99_us / spread.calm_p99_us),
        ("standing delivery p99 while they return as fast as they can, us", maru.storm_p99_us),
    ];
    Ok(figures.map(|(name, figure)| (name.to_owned(), figure)).into())
}
