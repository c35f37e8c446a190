//! More shards than cores.

use super::part::{Figures, Part, Row};
use super::server::{Kind, Server};
use super::{Order, Outcome, load};

const SHAPE: &[&str] = &["direct", "--devices", "2000", "--peers", "8", "--depth", "4", "--verify"];

macro_rules! rows {
    ($($shards:literal)*) => {
        &[$(
            Row::at_most(concat!($shards, " shards: lost, doubled, reordered, foreign, damaged"), 0.0),
            Row::shown(concat!($shards, " shards: deliveries/s")),
            Row::shown(concat!($shards, " shards: CPU a delivery, us")),
            Row::shown(concat!($shards, " shards: messages a synced write")),
        )*]
    };
}

pub(super) const PART: Part = Part {
    name: "shards",
    title: "4, 8 and 16 shards on 2 cores",
    how: "`maru-load direct --devices 2000 --peers 8 --depth 4 --verify`, durable; the server may use both cores, the tool has \
          one of them too. With 4 shards three of four messages go to another shard, with 16 nearly all.",
    rows: rows!("4" "8" "16"),
    round,
    rounds_max: 3,
};

fn round(order: &Order) -> Outcome<Figures> {
    let mut figures = Figures::new();
    for shards in [4, 8, 16] {
        let server = Server::start(order, Kind::MaruShards(shards), 2000)?;
        let found = load::run(order, &server, SHAPE)?;
        let messages = server.metric("maru_store_messages_total")?;
        let writes = server.metric("maru_store_write_seconds_count")?;
        let made = [
            ("lost, doubled, reordered, foreign, damaged", found.violations),
            ("deliveries/s", found.delivered_per_s),
            ("CPU a delivery, us", found.cpu_us),
            ("messages a synced write", messages / writes),
        ];
        figures.extend(made.map(|(name, figure)| (format!("{shards} shards: {name}"), figure)));
    }
    Ok(figures)
}
