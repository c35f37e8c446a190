//! Budget 4: what an idle authenticated connection costs.

use super::part::{Figures, Part, Row};
use super::server::{Kind, Server};
use super::{Order, Outcome, load};

const DEVICES: u32 = 17_000;
const SHAPE: &[&str] = &["idle", "--devices", "17000", "--seconds", "60"];

pub(super) const PART: Part = Part {
    name: "idle",
    title: "Idle authenticated WebSockets (budget 4)",
    how: "`maru-load idle --devices 17000 --seconds 60`: resident memory of the server and unreclaimable memory of the \
          kernel, by slope over the connections while they are opened (kernel: both ends of a connection, the tool's \
          too); CPU with a heartbeat every 30 s.",
    rows: &[
        Row::at_most("user memory a connection, bytes", 1024.0),
        Row::shown("kernel memory a connection, both ends, bytes"),
        Row::at_most("user and half of kernel memory, bytes", 5120.0),
        Row::shown("CPU a connection and second, us"),
    ],
    round,
    rounds_max: 3,
};

fn round(order: &Order) -> Outcome<Figures> {
    let server = Server::start(order, Kind::MaruRocks, DEVICES)?;
    let found = load::run(order, &server, SHAPE)?;
    let figures = [
        ("user memory a connection, bytes", found.bytes_per_connection),
        ("kernel memory a connection, both ends, bytes", found.kernel_bytes_per_pair),
        (
            "user and half of kernel memory, bytes",
            found.bytes_per_connection + found.kernel_bytes_per_pair / 2.0,
        ),
        ("CPU a connection and second, us", found.cpu_us_per_connection_s),
    ];
    Ok(figures.map(|(name, figure)| (name.to_owned(), figure)).into())
}
