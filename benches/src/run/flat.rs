//! Budget 6, first part: what a delivery costs when there are more connections and more channels.

use super::part::{Figures, Part, Row};
use super::server::{Kind, Server};
use super::{Order, Outcome, load};

pub(super) const PART: Part = Part {
    name: "flat",
    title: "Flat over connections and channels (budget 6)",
    how: "Connections: 1,000 devices talk 1:1 at `--rate 10000` while the others are idle (`maru-load direct --devices N \
          --set roles={direct=1000,idle=N-1000}`). Channels: 2,000 devices at `--rate 10000`, before and after every one \
          of them has talked for 90 s in 1,000 direct channels in turn (`--peers 1000 --depth 8`; a million channels when \
          the time is enough, 60 times what a shard keeps in memory); \"among all\" sends to all of them in turn, so that \
          nearly every message is for a channel that has to be read first. Cold memory: resident memory of the server \
          started again on that directory, over that of one without channels.",
    rows: &[
        Row::shown("CPU a delivery at 1,000 connections, us"),
        Row::shown("CPU a delivery at 10,000 connections, us"),
        Row::shown("CPU a delivery at 17,000 connections, us"),
        Row::at_most("most over least of these", 1.3),
        Row::shown("CPU a delivery with 1,000 channels, us"),
        Row::shown("channels made, at least"),
        Row::shown("CPU a delivery with all channels there, us"),
        Row::at_most("the second over the first", 1.3),
        Row::shown("CPU a delivery among all channels, us"),
        Row::shown("memory for each cold channel, bytes"),
    ],
    round,
    rounds_max: 3,
};

/// 2,000 devices with 1,000 others each.
const CHANNELS: f64 = 1_000_000.0;
const PAIRS: &[&str] = &["direct", "--devices", "2000", "--rate", "10000"];

fn round(order: &Order) -> Outcome<Figures> {
    let mut figures = connections(order)?;
    figures.extend(channels(order)?);
    Ok(figures)
}

fn connections(order: &Order) -> Outcome<Figures> {
    let mut figures = Figures::new();
    let mut costs = Vec::new();
    for (devices, name) in [
        (1000, "CPU a delivery at 1,000 connections, us"),
        (10_000, "CPU a delivery at 10,000 connections, us"),
        (17_000, "CPU a delivery at 17,000 connections, us"),
    ] {
        let server = Server::start(order, Kind::MaruRocks, devices)?;
        let (count, roles) =
            (devices.to_string(), format!("roles={{ direct = 1000.0, idle = {}.0 }}", devices - 1000));
        let shape = ["direct", "--devices", &count, "--rate", "10000", "--set", &roles];
        let found = load::run(order, &server, &shape)?;
        costs.push(found.cpu_us);
        figures.insert(name.to_owned(), found.cpu_us);
    }
    costs.sort_by(f64::total_cmp);
    if let (Some(least), Some(most)) = (costs.first(), costs.last()) {
        figures.insert("most over least of these".to_owned(), most / least);
    }
    Ok(figures)
}

fn channels(order: &Order) -> Outcome<Figures> {
    let empty = Server::start(order, Kind::MaruRocks, 2000)?.restart(order)?;
    let bare = empty.kib("VmRSS");
    drop(empty);
    let server = Server::start(order, Kind::MaruRocks, 2000)?;
    let few = load::run(order, &server, PAIRS)?;
    let before = server.metric("maru_store_messages_total")?;
    let fill = ["direct", "--devices", "2000", "--peers", "1000", "--depth", "8", "--seconds", "90"];
    load::run(order, &server, &fill)?;
    // Every device goes through its channels in turn, and each channel has two.
    let channels = ((server.metric("maru_store_messages_total")? - before) / 2.0).min(CHANNELS);
    let many = load::run(order, &server, PAIRS)?;
    let all = load::run(order, &server, &[PAIRS, &["--peers", "1000"]].concat())?;
    let server = server.restart(order)?;
    let cold = server.kib("VmRSS");
    let figures = [
        ("CPU a delivery with 1,000 channels, us", few.cpu_us),
        ("channels made, at least", channels),
        ("CPU a delivery with all channels there, us", many.cpu_us),
        ("the second over the first", many.cpu_us / few.cpu_us),
        ("CPU a delivery among all channels, us", all.cpu_us),
        ("memory for each cold channel, bytes", (cold - bare) * 1024.0 / channels),
    ];
    Ok(figures.map(|(name, figure)| (name.to_owned(), figure)).into())
}
