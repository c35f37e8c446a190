//! Budget 3: what the store thread does at saturation.

use super::part::{Figures, Part, Row};
use super::server::{Kind, Server};
use super::{Order, Outcome, load};

pub(super) const PART: Part = Part {
    name: "durable",
    title: "The durable path at saturation (budget 3)",
    how: "`maru-load direct --devices 2000 --depth 16`.",
    rows: &[
        Row::at_least("messages/s, one core", 168_000.0),
        Row::at_most("store thread's CPU us a message", 2.6),
        Row::at_least("messages a fsync", 50.0),
    ],
    round,
    rounds_max: usize::MAX,
};

fn round(order: &Order) -> Outcome<Figures> {
    let server = Server::start(order, Kind::MaruRocks, 2000)?;
    let counted = || -> Outcome<[f64; 3]> {
        let messages = server.metric("maru_store_messages_total")?;
        Ok([messages, server.metric("maru_store_write_seconds_count")?, server.thread_us("store-")])
    };
    let [messages, writes, store_us] = counted()?;
    let found = load::run(order, &server, &["direct", "--devices", "2000", "--depth", "16"])?;
    let [messages_after, writes_after, store_us_after] = counted()?;
    let messages = messages_after - messages;
    let figures = [
        ("messages/s, one core", found.acked_per_s),
        ("store thread's CPU us a message", (store_us_after - store_us) / messages),
        ("messages a fsync", messages / (writes_after - writes)),
    ];
    Ok(figures.map(|(name, figure)| (name.to_owned(), figure)).into())
}
