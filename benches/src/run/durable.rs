//! Budget 3 and the first half of 5: what the store threads do at saturation, and how long acks and deliveries take at
//! half load.

use super::part::{Figures, Part, Row};
use super::server::{Kind, Server};
use super::{Order, Outcome, disk, load};

/// Small durable writes that the disk is asked for.
const WRITES: usize = 500;

pub(super) const PART: Part = Part {
    name: "durable",
    title: "The durable path and its tails (budgets 3 and 5)",
    how: "Saturation: `maru-load direct --devices 2000 --depth 16`. Half load: `--rate` at half of what 2,000 devices with \
          `--depth 1` get acked, an open loop of single messages, latency from the intended time. The disk: 500 times \
          4 KiB and fdatasync, right after, on the same file system (`target/release/fdatasync`).",
    rows: &[
        Row::at_most("store threads' CPU us a direct message, saturation", 12.0),
        Row::at_least("messages a fsync, saturation", 50.0),
        Row::shown("half load, messages/s"),
        Row::shown("fdatasync p50, us"),
        Row::shown("fdatasync p99, us"),
        Row::shown("ack p50 at half load, us"),
        Row::shown("ack p99 at half load, us"),
        Row::at_most("ack p99 at half load over fdatasync p99", 2.5),
        Row::shown("delivery p50 at half load, us"),
        Row::at_most("delivery p99 over p50 at half load (aim)", 2.5),
        Row::at_most("delivery p99.9 over p50 at half load (aim)", 5.0),
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
    let before = counted()?;
    load::run(order, &server, &["direct", "--devices", "2000", "--depth", "16"])?;
    let after = counted()?;
    let [messages, commits, store_us] = std::array::from_fn(|index| {
        after.get(index).copied().unwrap_or_default() - before.get(index).copied().unwrap_or_default()
    });
    let rate = half_load(order, &server, &["direct", "--devices", "2000"])?;
    let half = load::run(order, &server, &["direct", "--devices", "2000", "--rate", &rate])?.sound()?;
    drop(server);
    let sync = disk::fdatasync(&order.work, WRITES)?;
    let figures = [
        ("store threads' CPU us a direct message, saturation", store_us / messages),
        ("messages a fsync, saturation", messages / commits),
        ("half load, messages/s", half.acked_per_s),
        ("fdatasync p50, us", sync.p50_us),
        ("fdatasync p99, us", sync.p99_us),
        ("ack p50 at half load, us", half.ack_p50_us),
        ("ack p99 at half load, us", half.ack_p99_us),
        ("ack p99 at half load over fdatasync p99", half.ack_p99_us / sync.p99_us),
        ("delivery p50 at half load, us", half.delivery_p50_us),
        ("delivery p99 over p50 at half load (aim)", half.delivery_p99_us / half.delivery_p50_us),
        ("delivery p99.9 over p50 at half load (aim)", half.delivery_p999_us / half.delivery_p50_us),
    ];
    Ok(figures.map(|(name, figure)| (name.to_owned(), figure)).into())
}

/// Half of the messages a second that senders get acked who wait for each ack.
pub(super) fn half_load(order: &Order, server: &Server, shape: &[&str]) -> Outcome<String> {
    let full = load::run(order, server, &[shape, &["--depth", "1"]].concat())?;
    Ok((full.acked_per_s / 2.0).max(1.0).round().to_string())
}
