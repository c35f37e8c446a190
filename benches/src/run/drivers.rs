//! epoll and io_uring beneath the same server: which is to be the default.

use super::load::Found;
use super::part::{Figures, Part, Row};
use super::server::{Io, Kind, Server};
use super::{Order, Outcome, load};

const DIRECT_1: &[&str] = &["direct", "--devices", "200", "--depth", "1"];
const DIRECT_16: &[&str] = &["direct", "--devices", "200", "--depth", "16"];
const GROUP: &[&str] =
    &["group", "--devices", "200", "--group-size", "100", "--senders", "1", "--depth", "1"];
const BURSTS: &[&str] =
    &["group", "--devices", "200", "--group-size", "100", "--senders", "1", "--depth", "8"];
const QUIC: &[&str] = &["direct", "--devices", "200", "--depth", "1", "--transport", "quic"];
const HALF: &[&str] = &["direct", "--devices", "2000"];
const HALF_DEVICES: u32 = 2000;
const IDLE: &[&str] = &["idle", "--devices", "17000", "--seconds", "60"];
const IDLE_DEVICES: u32 = 17_000;
const STORM: &[&str] =
    &["storm", "--devices", "10000", "--rate", "1000", "--seconds", "30", "--set", "cut.storms_at_s=[5]"];
const STORM_DEVICES: u32 = 10_000;

/// Each gives CPU a delivery over both.
const RUNS: &[(&str, &[&str])] = &[
    ("1:1, depth 1", DIRECT_1),
    ("1:1, depth 16", DIRECT_16),
    ("group of 100", GROUP),
    ("group of 100 in bursts of 8", BURSTS),
    ("QUIC, depth 1", QUIC),
];

pub(super) const PART: Part = Part {
    name: "drivers",
    title: "epoll and io_uring",
    how: "`maru serve --io epoll` and `--io uring`, durable throughout, one after the other within a round: CPU a delivery of \
          `maru-load direct --devices 200 --depth 1` and `--depth 16`, `group --devices 200 --group-size 100 --senders 1 \
          --depth 1` and `--depth 8`, and `direct --transport quic`; half load as in the table of that name, found over epoll, \
          and the same rate over io_uring; `idle --devices 17000 --seconds 60`; `storm` as in its table. The default is what \
          these rows say (docs/decisions.md).",
    rows: &[
        Row::shown("1:1, depth 1, us: epoll"),
        Row::shown("1:1, depth 1, us: io_uring"),
        Row::at_most("1:1, depth 1: io_uring over epoll", 0.8),
        Row::shown("1:1, depth 16, us: epoll"),
        Row::shown("1:1, depth 16, us: io_uring"),
        Row::at_most("1:1, depth 16: io_uring over epoll", 1.03),
        Row::shown("group of 100, us: epoll"),
        Row::shown("group of 100, us: io_uring"),
        Row::at_most("group of 100: io_uring over epoll", 1.03),
        Row::shown("group of 100 in bursts of 8, us: epoll"),
        Row::shown("group of 100 in bursts of 8, us: io_uring"),
        Row::at_most("group of 100 in bursts of 8: io_uring over epoll", 1.03),
        Row::shown("QUIC, depth 1, us: epoll"),
        Row::shown("QUIC, depth 1, us: io_uring"),
        Row::at_most("QUIC, depth 1: io_uring over epoll", 1.03),
        Row::shown("half load of epoll, messages/s"),
        Row::shown("half load, us: epoll"),
        Row::shown("half load, us: io_uring"),
        Row::at_most("half load: io_uring over epoll", 0.8),
        Row::shown("half load, ack p99, us: epoll"),
        Row::shown("half load, ack p99, us: io_uring"),
        Row::at_most("half load, ack p99: io_uring over epoll", 1.03),
        Row::shown("idle, user memory, bytes: epoll"),
        Row::shown("idle, user memory, bytes: io_uring"),
        Row::shown("idle, kernel memory, both ends, bytes: epoll"),
        Row::shown("idle, kernel memory, both ends, bytes: io_uring"),
        Row::at_most("idle, user and half of kernel memory: io_uring over epoll", 1.03),
        Row::shown("idle, CPU a connection and second, us: epoll"),
        Row::shown("idle, CPU a connection and second, us: io_uring"),
        Row::at_most("idle, CPU: io_uring over epoll", 1.03),
        Row::shown("storm, connections/s: epoll"),
        Row::shown("storm, connections/s: io_uring"),
        Row::at_least("storm: io_uring over epoll", 0.97),
    ],
    round,
    rounds_max: usize::MAX,
};

/// What was found over epoll and over io_uring.
type Pair<T> = [(&'static str, T); 2];

fn round(order: &Order) -> Outcome<Figures> {
    let mut figures = Figures::new();
    for (name, shape) in RUNS {
        let found = both(order, 200, shape)?;
        compare(&mut figures, (name, ", us"), &found, |found| found.cpu_us);
    }
    half(order, &mut figures)?;
    let idle = both(order, IDLE_DEVICES, IDLE)?;
    show(&mut figures, "idle, user memory, bytes", &idle, |found| found.bytes_per_connection);
    show(&mut figures, "idle, kernel memory, both ends, bytes", &idle, |found| found.kernel_bytes_per_pair);
    let memory = |found: &Found| found.bytes_per_connection + found.kernel_bytes_per_pair / 2.0;
    ratio(&mut figures, "idle, user and half of kernel memory", &idle, memory);
    let cpu = |found: &Found| found.cpu_us_per_connection_s;
    show(&mut figures, "idle, CPU a connection and second, us", &idle, cpu);
    ratio(&mut figures, "idle, CPU", &idle, cpu);
    let storm = both(order, STORM_DEVICES, STORM)?;
    compare(&mut figures, ("storm", ", connections/s"), &storm, |found| found.returned_per_s);
    Ok(figures)
}

/// The rate is epoll's: what the same work costs over the other.
fn half(order: &Order, figures: &mut Figures) -> Outcome<()> {
    let shape = [HALF, &["--metrics"]].concat();
    let server = Server::start_over(order, Kind::MaruRocks, HALF_DEVICES, Io::Epoll)?;
    let half = load::half(order, &server, &shape)?;
    drop(server);
    figures.insert("half load of epoll, messages/s".to_owned(), half.rate);
    let rate = half.rate.to_string();
    let found = both(order, HALF_DEVICES, &[&shape[..], &["--rate", &rate]].concat())?;
    compare(figures, ("half load", ", us"), &found, |found| found.cpu_us);
    compare(figures, ("half load, ack p99", ", us"), &found, |found| found.own_ack_p99_us);
    Ok(())
}

/// The same load on a fresh server over each.
fn both(order: &Order, users: u32, shape: &[&str]) -> Outcome<Pair<Found>> {
    let run = |io| {
        let server = Server::start_over(order, Kind::MaruRocks, users, io)?;
        load::run(order, &server, shape)
    };
    Ok([("epoll", run(Io::Epoll)?), ("io_uring", run(Io::Uring)?)])
}

fn show(figures: &mut Figures, name: &str, found: &Pair<Found>, of: impl Fn(&Found) -> f64) {
    figures.extend(found.iter().map(|(io, found)| (format!("{name}: {io}"), of(found))));
}

fn ratio(
    figures: &mut Figures,
    name: &str,
    [(_, epoll), (_, uring)]: &Pair<Found>,
    of: impl Fn(&Found) -> f64,
) {
    figures.insert(format!("{name}: io_uring over epoll"), of(uring) / of(epoll));
}

fn compare(
    figures: &mut Figures,
    (name, unit): (&str, &str),
    found: &Pair<Found>,
    of: impl Fn(&Found) -> f64 + Copy,
) {
    show(figures, &format!("{name}{unit}"), found, of);
    ratio(figures, name, found, of);
}
