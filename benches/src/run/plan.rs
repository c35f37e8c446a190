//! Which servers run under which loads, and what is kept of it.

use std::collections::BTreeMap;

use super::disk::{self, Sync};
use super::load::{self, Found};
use super::server::{Kind, Server};
use super::{Order, Outcome, page};

/// A load and who is put under it.
pub(super) struct Pairing {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) shape: &'static [&'static str],
    pub(super) kinds: &'static [Kind],
}

const FLOORS: &[Kind] = &[Kind::FloorMio, Kind::FloorUring, Kind::FloorTokioUring, Kind::MaruMemory];
const GROUPS: &[Kind] = &[Kind::FloorMio, Kind::MaruMemory];
const DURABLE: &[Kind] = &[Kind::Ordinary, Kind::MaruRocks];

macro_rules! direct {
    ($depth:literal) => {
        &["direct", "--devices", "200", "--depth", $depth]
    };
}
macro_rules! group {
    ($size:literal) => {
        &["group", "--devices", "200", "--group-size", $size, "--senders", "1", "--depth", "1"]
    };
}

pub(super) const PAIRINGS: &[Pairing] = &[
    Pairing { name: "direct 1", about: "1:1, depth 1", shape: direct!("1"), kinds: FLOORS },
    Pairing { name: "direct 16", about: "1:1, depth 16", shape: direct!("16"), kinds: FLOORS },
    Pairing { name: "group 10", about: "groups of 10, depth 1", shape: group!("10"), kinds: GROUPS },
    Pairing { name: "group 100", about: "groups of 100, depth 1", shape: group!("100"), kinds: GROUPS },
    Pairing { name: "durable 1", about: "1:1, depth 1, on disk", shape: direct!("1"), kinds: DURABLE },
    Pairing { name: "durable 16", about: "1:1, depth 16, on disk", shape: direct!("16"), kinds: DURABLE },
];

/// What the store threads did at saturation, and the ack at half of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Durable {
    pub(super) store_us_per_message: f64,
    pub(super) messages_per_sync: f64,
    pub(super) half_rate: f64,
    pub(super) half_ack_p50_us: f64,
    pub(super) half_ack_p99_us: f64,
    pub(super) sync: Sync,
}

/// Everything that was found, by (pairing, server), a figure a round.
#[derive(Default, Debug)]
pub(super) struct Results {
    pub(super) found: BTreeMap<(&'static str, Kind), Vec<Found>>,
    pub(super) durable: Vec<Durable>,
    /// What could not be measured, and why.
    pub(super) missing: BTreeMap<String, String>,
}

/// Runs all rounds and writes the page.
///
/// # Errors
/// A binary is missing, or the page cannot be written. A pair that fails is named on the page.
pub fn run(order: &Order) -> Outcome<()> {
    for name in ["maru", "maru-load", "floor", "ordinary"] {
        if !order.bin.join(name).exists() {
            return Err(format!("{name} is not in {}: build it first", order.bin.display()).into());
        }
    }
    std::fs::create_dir_all(&order.work)?;
    let mut results = Results::default();
    for round in 1..=order.rounds {
        for pairing in PAIRINGS {
            for kind in pairing.kinds {
                match pair(order, pairing, *kind) {
                    Ok(found) => {
                        eprintln!(
                            "round {round}: {}, {}: {:.2} us a delivery, {:.0} deliveries/s",
                            pairing.about,
                            kind.name(),
                            found.cpu_us,
                            found.delivered_per_s
                        );
                        results.found.entry((pairing.name, *kind)).or_default().push(found);
                    }
                    Err(error) => {
                        eprintln!("round {round}: {}, {}: {error}", pairing.about, kind.name());
                        let name = format!("{}, {}", pairing.about, kind.name());
                        results.missing.insert(name, error.to_string());
                    }
                }
            }
        }
        match durable(order) {
            Ok(durable) => results.durable.push(durable),
            Err(error) => drop(results.missing.insert("the durable path".into(), error.to_string())),
        }
    }
    page::write(order, &results)
}

fn pair(order: &Order, pairing: &Pairing, kind: Kind) -> Outcome<Found> {
    let server = Server::start(order, kind)?;
    load::run(order, &server, pairing.shape)
}

/// Saturation by 1,000 pairs of depth 16, then a run at half of what that gave, on the same server; then the bare disk.
fn durable(order: &Order) -> Outcome<Durable> {
    let server = Server::start(order, Kind::MaruRocks)?;
    let counted = |server: &Server| -> Outcome<[f64; 3]> {
        let messages = server.metric("maru_store_messages_total")?;
        Ok([messages, server.metric("maru_store_write_seconds_count")?, server.thread_us("store-")])
    };
    let before = counted(&server)?;
    let full = load::run(order, &server, &["direct", "--devices", "2000", "--depth", "16"])?;
    let after = counted(&server)?;
    let [messages, commits, store_us] = std::array::from_fn(|index| {
        after.get(index).copied().unwrap_or_default() - before.get(index).copied().unwrap_or_default()
    });
    let half_rate = (full.acked_per_s / 2.0).max(1.0).round();
    let rate = half_rate.to_string();
    let half = load::run(order, &server, &["direct", "--devices", "2000", "--rate", &rate])?;
    drop(server);
    Ok(Durable {
        store_us_per_message: store_us / messages,
        messages_per_sync: messages / commits,
        half_rate,
        half_ack_p50_us: half.ack_p50_us,
        half_ack_p99_us: half.ack_p99_us,
        sync: disk::fdatasync(&order.work, 500)?,
    })
}
