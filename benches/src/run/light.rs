//! A light load, as a small community makes it: what a message costs when nearly every one comes alone.

use super::load::Found;
use super::part::{Figures, Part, Row};
use super::server::{Kind, Server};
use super::{Order, Outcome, disk, load};

const RATE: f64 = 200.0;
const SHAPE: &[&str] = &["direct", "--devices", "200", "--rate", "200"];
/// Seconds of load that each run has besides those that count.
const WARMUP_S: f64 = 1.0;

pub(super) const PART: Part = Part {
    name: "light",
    title: "Light load: 200 messages a second",
    how: "`maru-load direct --devices 200 --rate 200`. Device flushes are those of the whole machine (`/proc/diskstats`), \
          synced writes those of the server's own count.",
    rows: &[
        Row::shown("CPU a delivery, us: Maru, durable"),
        Row::shown("CPU a delivery, us: ordinary"),
        Row::shown("CPU a delivery, us: floor"),
        Row::at_most("CPU a delivery: Maru, durable, over ordinary", 1.0),
        Row::shown("CPU a delivery: Maru, durable, over the floor"),
        Row::shown("device flushes a message: Maru, durable"),
        Row::shown("device flushes a message: ordinary"),
        Row::shown("synced writes a message: Maru, durable"),
        Row::shown("ack p50, us: Maru, durable"),
        Row::shown("ack p99, us: Maru, durable"),
    ],
    round,
    rounds_max: usize::MAX,
};

fn round(order: &Order) -> Outcome<Figures> {
    let server = Server::start(order, Kind::MaruRocks, 200)?;
    let counted = || -> Outcome<[f64; 2]> {
        let syncs = server.metric("maru_store_write_seconds_count")?;
        Ok([syncs, server.metric("maru_store_messages_total")?])
    };
    let [syncs, stored] = counted()?;
    let (maru, flushes) = run(order, &server, &[SHAPE, &["--metrics"]].concat())?;
    let [syncs_after, stored_after] = counted()?;
    drop(server);
    let (ordinary, ordinary_flushes) = run(order, &Server::start(order, Kind::Ordinary, 200)?, SHAPE)?;
    let (floor, _) = run(order, &Server::start(order, Kind::FloorMio, 200)?, SHAPE)?;
    let figures = [
        ("CPU a delivery, us: Maru, durable", maru.cpu_us),
        ("CPU a delivery, us: ordinary", ordinary.cpu_us),
        ("CPU a delivery, us: floor", floor.cpu_us),
        ("CPU a delivery: Maru, durable, over ordinary", maru.cpu_us / ordinary.cpu_us),
        ("CPU a delivery: Maru, durable, over the floor", maru.cpu_us / floor.cpu_us),
        ("device flushes a message: Maru, durable", flushes),
        ("device flushes a message: ordinary", ordinary_flushes),
        ("synced writes a message: Maru, durable", (syncs_after - syncs) / (stored_after - stored)),
        ("ack p50, us: Maru, durable", maru.own_ack_p50_us),
        ("ack p99, us: Maru, durable", maru.own_ack_p99_us),
    ];
    Ok(figures.map(|(name, figure)| (name.to_owned(), figure)).into())
}

/// What was found, and the device flushes for each message.
fn run(order: &Order, server: &Server, shape: &[&str]) -> Outcome<(Found, f64)> {
    let before = disk::flushes();
    let found = load::run(order, server, shape)?;
    let messages = RATE * (WARMUP_S + f64::from(order.seconds));
    Ok((found, (disk::flushes() - before) / messages))
}
