//! maru-load on core 1, and what it found.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::server::Server;
use super::{Order, Outcome};

/// One run's figures.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) cpu_us: f64,
    pub(super) delivered_per_s: f64,
    pub(super) acked_per_s: f64,
    pub(super) ack_p50_us: f64,
    pub(super) ack_p99_us: f64,
    /// The server's own, of a run with `--metrics`; no late tool is in them.
    pub(super) own_ack_p50_us: f64,
    pub(super) own_ack_p99_us: f64,
    pub(super) delivery_p99_us: f64,
    pub(super) cpu_us_per_connection_s: f64,
    /// Slopes over the connections while they were opened.
    pub(super) bytes_per_connection: f64,
    pub(super) kernel_bytes_per_pair: f64,
    /// Until all were connected.
    pub(super) connect_s: f64,
    /// Share of QUIC connections that the kernel gave to their user's home.
    pub(super) landed_home: f64,
    /// Messages lost, doubled, reordered, foreign or damaged, of a run with `--verify`.
    pub(super) violations: f64,
    /// Why the figures of latency and rate say nothing about the server; CPU a delivery stands.
    void: Vec<String>,
    /// Devices of a storm that were back, a second.
    pub(super) returned_per_s: f64,
    /// Deliveries of what was sent while devices of a storm were missing, and of all else.
    pub(super) storm_p99_us: f64,
    pub(super) calm_p99_us: f64,
}

/// Half load, and what was found there.
#[derive(Clone, Debug)]
pub(super) struct Half {
    /// Messages a second.
    pub(super) rate: f64,
    /// Share of one core.
    pub(super) busy: f64,
    /// The tool could not offer more: the server's half load is above.
    pub(super) tool_was_limit: bool,
    pub(super) found: Found,
}

impl Found {
    /// For figures of latency: not those of a tool that was too slow itself.
    pub(super) fn sound(self) -> Outcome<Self> {
        if self.void.is_empty() { Ok(self) } else { Err(self.void.join("; ").into()) }
    }
}

/// The flags that make one load, without those that depend on the server.
pub(super) fn words(order: &Order, shape: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = shape.iter().map(|word| (*word).to_owned()).collect();
    let seconds = order.seconds.to_string();
    let usual =
        [("--chars", "64"), ("--warmup", "1"), ("--cpu", "1"), ("--workers", "1"), ("--seconds", &seconds)];
    let missing = usual.iter().filter(|(flag, _)| !shape.contains(flag));
    words.extend(missing.flat_map(|(flag, value)| [(*flag).to_owned(), (*value).to_owned()]));
    words
}

/// Runs it against a server.
pub(super) fn run(order: &Order, server: &Server, shape: &[&str]) -> Outcome<Found> {
    Found::read(&report(order, server, shape)?, shape)
}

/// Finds half load: half of the highest open-loop rate at which the server's process is at most 85 % of one core busy,
/// and runs it.
pub(super) fn half(order: &Order, server: &Server, shape: &[&str]) -> Outcome<Half> {
    let sweep = [&["sweep"], shape, &["--busy", "0.85", "--from", "8000"]].concat();
    let report = report(order, server, &sweep)?;
    let at = |path: &str| report.pointer(path).cloned().unwrap_or_default();
    let number = |path: &str| at(path).as_f64().unwrap_or(f64::NAN);
    if at("/report").is_null() {
        return Err(format!("maru-load {}: no rate is low enough", sweep.join(" ")).into());
    }
    Ok(Half {
        rate: number("/half_per_s").max(1.0).round(),
        busy: number("/busy"),
        tool_was_limit: at("/tool_was_limit").as_bool().unwrap_or_default(),
        found: Found::read(&at("/report"), &sweep)?,
    })
}

/// What maru-load wrote.
fn report(order: &Order, server: &Server, shape: &[&str]) -> Outcome<Value> {
    let report = tempfile::NamedTempFile::new_in(&order.work)?;
    let output = Command::new(order.bin.join("maru-load"))
        .args(words(order, shape))
        .args(["--server", &server.url, "--server-pid", &server.pid().to_string(), "--server-core", "0"])
        .arg("--users")
        .arg(&server.users)
        .args(server.http.iter().flat_map(|http| ["--http".to_owned(), format!("http://{http}")]))
        .args(server.admin.iter().flat_map(|admin| ["--admin".to_owned(), format!("http://{admin}")]))
        .arg("--json")
        .arg(report.path())
        .arg("--quiet")
        .output()?;
    let text = fs::read_to_string(report.path())?;
    serde_json::from_str(&text).map_err(|_| {
        let words = [output.stdout, output.stderr].concat();
        format!("maru-load {}: {}", shape.join(" "), String::from_utf8_lossy(&words)).into()
    })
}

impl Found {
    fn read(report: &Value, shape: &[&str]) -> Outcome<Self> {
        let number = |path: &str| report.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN);
        let words = |path: &str| -> Vec<String> {
            let all = report.pointer(path).and_then(Value::as_array).cloned().unwrap_or_default();
            all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let partial = words("/verdict/partial");
        if !partial.is_empty() {
            return Err(format!("maru-load {}: {}", shape.join(" "), partial.join("; ")).into());
        }
        if number("/outcome/paced") > 0.0 {
            let words = shape.join(" ");
            return Err(format!("maru-load {words}: the server's pace held the load back; raise it").into());
        }
        let (home, elsewhere) = (number("/outcome/landings/home"), number("/outcome/landings/elsewhere"));
        Ok(Self {
            cpu_us: number("/server_use/cpu_us_per_delivery"),
            delivered_per_s: number("/totals/delivered_per_s"),
            acked_per_s: number("/totals/acked_per_s"),
            ack_p50_us: number("/latencies/ack/p50_us"),
            ack_p99_us: number("/latencies/ack/p99_us"),
            own_ack_p50_us: number("/server_latency/ack/p50_us"),
            own_ack_p99_us: number("/server_latency/ack/p99_us"),
            delivery_p99_us: number("/latencies/delivery/p99_us"),
            cpu_us_per_connection_s: number("/server_use/cpu_us_per_connection_s"),
            bytes_per_connection: number("/server_use/bytes_per_connection"),
            kernel_bytes_per_pair: number("/server_use/kernel_bytes_per_pair"),
            connect_s: number("/totals/connect_s"),
            landed_home: home / (home + elsewhere),
            violations: number("/verdict/violations"),
            void: words("/verdict/void"),
            returned_per_s: number("/outcome/storms/0/cut") / number("/outcome/storms/0/back_s"),
            storm_p99_us: number("/latencies/storm/p99_us"),
            calm_p99_us: number("/latencies/calm/p99_us"),
        })
    }
}
