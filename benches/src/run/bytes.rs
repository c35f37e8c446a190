//! What a message takes on the disk.

use super::part::{Figures, Part, Row};
use super::server::{Kind, Server};
use super::{Order, Outcome, load};

const RUNS: &[(&str, &[&str])] = &[
    ("1:1", &["direct", "--devices", "200", "--depth", "16"]),
    ("group of 100", &["group", "--devices", "100", "--group-size", "100", "--senders", "1", "--depth", "8"]),
];
const USERS: u32 = 200;

pub(super) const PART: Part = Part {
    name: "bytes",
    title: "Bytes stored for a message",
    how: "`maru-load direct --devices 200 --depth 16`, `maru-load group --devices 100 --group-size 100 --senders 1 --depth 8`, \
          texts of 64 characters. Growth of tables and write-ahead logs in the data directory over the messages stored; \
          before and after, the server is stopped in order, started, and stopped again, so that what its log still held has \
          become tables. What compaction would still save is in it. Before: `rounds --before DIR`.",
    rows: &[
        Row::shown("1:1: messages stored"),
        Row::shown("1:1: bytes a message"),
        Row::shown("1:1: bytes a message before"),
        Row::shown("1:1: over before"),
        Row::shown("group of 100: messages stored"),
        Row::shown("group of 100: bytes a message"),
        Row::shown("group of 100: bytes a message before"),
        Row::at_most("group of 100: over before", 0.6),
    ],
    round,
    rounds_max: 3,
};

fn round(order: &Order) -> Outcome<Figures> {
    let mut figures = Figures::new();
    for (name, shape) in RUNS {
        let (messages, bytes) = stored(order, order, shape)?;
        figures.insert(format!("{name}: messages stored"), messages);
        figures.insert(format!("{name}: bytes a message"), bytes);
        if let Some(old) = order.of_before() {
            let (_, before) = stored(order, &old, shape)?;
            figures.insert(format!("{name}: bytes a message before"), before);
            figures.insert(format!("{name}: over before"), bytes / before);
        }
    }
    Ok(figures)
}

/// Messages that a server of `which` build stored, and the bytes of each.
fn stored(order: &Order, which: &Order, shape: &[&str]) -> Outcome<(f64, f64)> {
    let (server, before) = at_rest(which, Server::start(which, Kind::MaruRocks, USERS)?)?;
    load::run(order, &server, shape)?;
    let messages = server.metric("maru_store_messages_total")?;
    let (_, after) = at_rest(which, server)?;
    Ok((messages, (after - before) / messages))
}

/// The bytes of the directory after two stops in order, and the server, started once more.
fn at_rest(which: &Order, mut server: Server) -> Outcome<(Server, f64)> {
    server.stop()?;
    server = server.restart(which)?;
    server.stop()?;
    let bytes = server.stored_bytes()?;
    Ok((server.restart(which)?, bytes))
}
