//! QUIC beside the own WebSocket.

use super::part::{Figures, Part, Row};
use super::server::{Kind, Server};
use super::{Order, Outcome, load};

/// Connections of the storm and of the idle run.
const DEVICES: u32 = 8000;

pub(super) const PART: Part = Part {
    name: "quic",
    title: "QUIC and the own WebSocket",
    how: "CPU: `maru-load direct --devices 200 --depth D` without and with `--transport quic`, memory store, so that the \
          transport is most of it. Handshakes: `maru-load connect --devices 8000 --connect-rate 0 --transport quic`, every \
          one to Welcome. Idle: `maru-load idle --devices 8000 --transport quic`, by slope. Landings: `maru-load connect \
          --devices 2000 --transport quic`, and with `--no-hint`, on 4 shards: the share of connections that the kernel \
          gave to their user's home.",
    rows: &[
        Row::shown("depth 1, us: WebSocket"),
        Row::shown("depth 1, us: QUIC"),
        Row::at_most("depth 1: QUIC over WebSocket", 5.0),
        Row::shown("depth 16, us: WebSocket"),
        Row::shown("depth 16, us: QUIC"),
        Row::at_most("depth 16: QUIC over WebSocket", 5.0),
        Row::shown("handshakes a second, one server core"),
        Row::shown("user memory an idle QUIC connection, bytes"),
        Row::at_most("the same over quinn on tokio (33,500 bytes)", 0.6),
        Row::at_most("the same over quinn on tokio with small windows (26,500 bytes)", 0.6),
        Row::at_least("landings at home with the hint", 0.99),
        Row::shown("landings at home without it"),
    ],
    round,
    rounds_max: usize::MAX,
};

fn round(order: &Order) -> Outcome<Figures> {
    let mut figures = Figures::new();
    for depth in ["1", "16"] {
        let shape = ["direct", "--devices", "200", "--depth", depth];
        let cost = |transport: &str| -> Outcome<f64> {
            let server = Server::start(order, Kind::MaruMemory, 200)?;
            Ok(load::run(order, &server, &[&shape[..], &["--transport", transport]].concat())?.cpu_us)
        };
        let (ws, quic) = (cost("ws")?, cost("quic")?);
        figures.insert(format!("depth {depth}, us: WebSocket"), ws);
        figures.insert(format!("depth {depth}, us: QUIC"), quic);
        figures.insert(format!("depth {depth}: QUIC over WebSocket"), quic / ws);
    }
    let count = DEVICES.to_string();
    let server = Server::start(order, Kind::MaruMemory, DEVICES)?;
    let storm = ["connect", "--devices", &count, "--connect-rate", "0", "--transport", "quic"];
    let storm = load::run(order, &server, &storm)?;
    let server = Server::start(order, Kind::MaruMemory, DEVICES)?;
    let idle = load::run(order, &server, &["idle", "--devices", &count, "--transport", "quic"])?;
    let landed = |hint: &[&str]| -> Outcome<f64> {
        let server = Server::start(order, Kind::MaruFourShards, 2000)?;
        let shape = ["connect", "--devices", "2000", "--transport", "quic"];
        Ok(load::run(order, &server, &[&shape[..], hint].concat())?.landed_home)
    };
    let (guided, unguided) = (landed(&[])?, landed(&["--no-hint"])?);
    let bytes = idle.bytes_per_connection;
    let made = [
        ("handshakes a second, one server core", f64::from(DEVICES) / storm.connect_s),
        ("user memory an idle QUIC connection, bytes", bytes),
        ("the same over quinn on tokio (33,500 bytes)", bytes / 33_500.0),
        ("the same over quinn on tokio with small windows (26,500 bytes)", bytes / 26_500.0),
        ("landings at home with the hint", guided),
        ("landings at home without it", unguided),
    ];
    figures.extend(made.map(|(name, figure)| (name.to_owned(), figure)));
    Ok(figures)
}
