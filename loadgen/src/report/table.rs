//! The result as text.

use super::{Distribution, Report, ServerUse, Totals};

/// The whole of it. `colour` marks the verdict.
pub(crate) fn table(report: &Report, colour: bool) -> String {
    let Report { scenario, totals, verdict, .. } = report;
    let mut out = String::new();
    let mut line = |words: String| {
        out += words.trim_end();
        out.push('\n');
    };
    line(format!("{}   {}   {}", scenario.name, report.date, report.machine));
    line(format!("{} devices, {}, {:.1} s counted", scenario.devices, scenario.loop_words(), totals.seconds));
    line(connected(report));
    if scenario.sends() {
        line(String::new());
        line(format!(
            "offered {}/s   acked {}/s   delivered {}/s   {}B/s of text",
            rate(totals.offered_per_s),
            rate(totals.acked_per_s),
            rate(totals.delivered_per_s),
            rate(totals.delivered_bytes_per_s)
        ));
    }
    if totals.presences_per_s > 0.0 {
        line(format!(
            "told whether others are there {}/s, {} a device",
            rate(totals.presences_per_s),
            rate(totals.presences_per_s / f64::from(scenario.devices.max(1)))
        ));
    }
    if totals.connects_per_s > 0.0 {
        line(format!("connections made while counting {}/s", rate(totals.connects_per_s)));
    }
    storms(report).into_iter().for_each(&mut line);
    let named = report.latencies.named();
    if !named.is_empty() {
        line(String::new());
        let head = ["latency", "p50", "p90", "p99", "p99.9", "max", "mean", "count"];
        line(row(&head.map(str::to_owned)));
        for (name, distribution) in named {
            line(row(&cells(name, distribution)));
        }
    }
    if let Some(server) = &report.server_use {
        line(String::new());
        for words in server_lines(server, totals.delivered_per_s > 0.0) {
            line(words);
        }
    }
    if let Some(own) = &report.server_latency {
        for (name, found) in [("ack", &own.ack), ("delivery", &own.delivery)] {
            line(format!(
                "server's own {name}: p50 {}, p99 {}, mean {} of {} sampled",
                time(found.p50_us),
                time(found.p99_us),
                time(found.mean_us),
                found.count
            ));
        }
    }
    line(String::new());
    line(format!(
        "tool {:.2} cores, {} worker{}, {} MiB",
        totals.tool_cores,
        report.workers,
        if report.workers == 1 { "" } else { "s" },
        report.outcome.rss_kib / 1024
    ));
    reasons(report).into_iter().for_each(&mut line);
    let word = verdict.word();
    let paint = if word == "ok" { "32" } else { "31" };
    line(if colour { format!("\x1b[1;{paint}mverdict: {word}\x1b[0m") } else { format!("verdict: {word}") });
    out
}

/// Authenticated connections a second while they were opened.
#[allow(clippy::cast_precision_loss)]
pub(super) fn handshakes_per_s(totals: &Totals) -> f64 {
    if totals.connect_s > 0.0 { totals.connected as f64 / totals.connect_s } else { 0.0 }
}

/// How the connections came to stand.
fn connected(report: &Report) -> String {
    let Report { scenario, totals, outcome, .. } = report;
    let share = scenario.connect.quic_share;
    let how = match share {
        _ if share == 0.0 => "WebSocket".to_owned(),
        _ if share == 1.0 => "QUIC".to_owned(),
        _ => format!("{:.0} % QUIC, the others WebSocket", share * 100.0),
    };
    let mut words = format!(
        "connected {} in {:.2} s: {} handshakes/s, {how}, tool {:.2} cores",
        totals.connected,
        totals.connect_s,
        rate(handshakes_per_s(totals)),
        totals.connect_cores
    );
    let (home, all) = (outcome.landings.home, outcome.landings.home + outcome.landings.elsewhere);
    if all > 0 {
        words += &format!("\n{home} of {all} QUIC connections were served by their user's home");
    }
    words
}

#[allow(clippy::cast_precision_loss)]
fn storms(report: &Report) -> Vec<String> {
    let storms = report.outcome.storms.iter().map(|storm| {
        let per_s = if storm.back_s > 0.0 { storm.cut as f64 / storm.back_s } else { 0.0 };
        format!(
            "storm at {:.1} s: {} connections cut, all authenticated again in {:.2} s: {}/s",
            storm.at_s,
            storm.cut,
            storm.back_s,
            rate(per_s)
        )
    });
    storms.collect()
}

/// What the verdict stands on.
fn reasons(report: &Report) -> Vec<String> {
    let verdict = &report.verdict;
    let mut lines = Vec::new();
    if let Some(faults) = &report.outcome.faults {
        let kinds: Vec<String> =
            faults.kinds().iter().map(|(name, count)| format!("{name} {count}")).collect();
        let (messages, deliveries) = (faults.messages, faults.deliveries);
        lines.push(format!("verified {messages} messages, {deliveries} deliveries: {}", kinds.join(", ")));
        lines.extend(faults.examples.iter().map(|example| format!("  {example}")));
    }
    lines.extend(verdict.notes.iter().map(|note| format!("note: {note}")));
    lines.extend(verdict.void.iter().map(|reason| format!("VOID: {reason}")));
    lines.extend(verdict.partial.iter().map(|reason| format!("PARTIAL: {reason}")));
    lines
}

fn server_lines(server: &ServerUse, has_deliveries: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if has_deliveries {
        lines.push(format!(
            "server {:.2} us of CPU per delivery (user {:.2}, system {:.2}{}), {:.3} context switches",
            server.cpu_us_per_delivery,
            server.user_us_per_delivery,
            server.system_us_per_delivery,
            softirq_words(server),
            server.switches_per_delivery
        ));
        if !server.softirq_stands_apart {
            lines.push("       system holds softirq on this kernel (no IRQ_TIME_ACCOUNTING)".into());
        }
    }
    lines.push(format!(
        "server {:.2} us of CPU per connection and second, {} MiB resident, {} voluntary and {} other switches",
        server.cpu_us_per_connection_s,
        server.used.rss_kib / 1024,
        server.used.voluntary,
        server.used.involuntary
    ));
    if let Some(bytes) = server.bytes_per_connection {
        let kernel = server.kernel_bytes_per_pair.unwrap_or(0.0);
        lines.push(format!(
            "server {bytes:.0} bytes per connection (slope); kernel of both ends {kernel:.0} bytes per connection"
        ));
    }
    lines
}

/// Softirq, where it is added.
fn softirq_words(server: &ServerUse) -> String {
    if server.softirq_stands_apart {
        format!(", softirq {:.2}", server.softirq_us_per_delivery)
    } else {
        String::new()
    }
}

fn cells(name: &str, of: &Distribution) -> [String; 8] {
    let us = [of.p50_us, of.p90_us, of.p99_us, of.p999_us, of.max_us, of.mean_us];
    let [a, b, c, d, e, f] = us.map(time);
    [name.to_owned(), a, b, c, d, e, f, of.count.to_string()]
}

fn row(cells: &[String; 8]) -> String {
    let mut out = String::new();
    for (place, cell) in cells.iter().enumerate() {
        out += &if place == 0 { format!("{cell:<10}") } else { format!("{cell:>11}") };
    }
    out
}

/// Microseconds for people.
pub(crate) fn time(us: f64) -> String {
    match us {
        _ if us < 1000.0 => format!("{us:.0} us"),
        _ if us < 1e6 => format!("{:.2} ms", us / 1e3),
        _ => format!("{:.2} s", us / 1e6),
    }
}

/// A count a second for people.
pub(crate) fn rate(count: f64) -> String {
    match count {
        _ if count < 1e4 => format!("{count:.0}"),
        _ if count < 1e6 => format!("{:.1}k", count / 1e3),
        _ => format!("{:.2}M", count / 1e6),
    }
}
