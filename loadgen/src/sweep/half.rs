//! Half load: half of the highest open-loop rate at which the server's process leaves a part of one core idle.
//!
//! Half of what a closed loop gets acked is no half load: waking and syncing for single messages costs more than for
//! many, so an open loop at that rate may keep the server's core busy all the time.

use std::process::ExitCode;

use serde::Serialize;

use super::{ACHIEVED_MIN, Flags, Found, ROUNDS_MAX, Search};
use crate::flags::exit_code;
use crate::progress::Progress;
use crate::report::{self, Report, table};
use crate::run;
use crate::signals::Signals;

/// What `--json` writes.
#[derive(Debug, Serialize)]
struct HalfLoad {
    maru_load_half: u32,
    /// Highest share of one core.
    busy_max: f64,
    /// The highest rate that keeps to it, messages a second.
    highest_per_s: f64,
    /// Whether the tool, not the server, set that rate.
    tool_was_limit: bool,
    half_per_s: f64,
    /// Share of one core at half load.
    busy: f64,
    rounds: Vec<Round>,
    /// The run at half load.
    report: Report,
}

/// One rate that was tried.
#[derive(Clone, Copy, Debug, Serialize)]
struct Round {
    rate_per_s: f64,
    acked_per_s: f64,
    busy: f64,
    holds: bool,
}

/// Searches in short runs, then runs at half.
pub(super) fn run(flags: &Flags, busy_max: f64) -> Result<ExitCode, String> {
    let mut progress = flags.target.progress();
    let signals = Signals::watch()?;
    let mut search = Search::new(flags.from, flags.to, flags.within);
    let short = [("warmup_s", "0.5".to_owned()), ("seconds", format!("{:?}", flags.search_seconds))];
    let (mut rounds, mut tool_was_limit) = (Vec::new(), false);
    println!("{:>12}{:>12}{:>8}{:>15}  ", "rate /s", "acked /s", "busy", "us a delivery");
    while rounds.len() < ROUNDS_MAX as usize
        && let Some(rate) = search.next()
    {
        let report = once(flags, rate, &short, &signals, &mut progress)?;
        let busy = busy(&report)?;
        let found = judge(&report, busy, busy_max);
        let holds = found == Found::Holds;
        tool_was_limit |= found == Found::ToolLimit;
        rounds.push(Round { rate_per_s: rate, acked_per_s: report.totals.acked_per_s, busy, holds });
        println!("{}  {}", line(rate, &report, busy), word(found));
        if report.verdict.violations > 0 || !report.verdict.partial.is_empty() {
            print!("{}", table::table(&report, false));
            return Ok(exit_code(&report));
        }
        search.found(found);
    }
    if search.holds <= 0.0 {
        println!("no rate from {:.0}/s down keeps the server at {busy_max} of a core", flags.from);
        return Ok(ExitCode::FAILURE);
    }
    let half_per_s = search.holds / 2.0;
    let bound = if tool_was_limit { " (the tool's limit; the server's is above)" } else { "" };
    println!("highest rate with at most {busy_max} of a core: {:.0}/s{bound}; half of it:", search.holds);
    let report = once(flags, half_per_s, &[], &signals, &mut progress)?;
    let busy = busy(&report)?;
    println!("{}  half load", line(half_per_s, &report, busy));
    print!("{}", table::table(&report, false));
    let code = exit_code(&report);
    let found = HalfLoad {
        maru_load_half: 1,
        busy_max,
        highest_per_s: search.holds,
        tool_was_limit,
        half_per_s,
        busy,
        rounds,
        report,
    };
    if let Some(path) = &flags.json {
        let text = serde_json::to_string(&found).map_err(|error| error.to_string())?;
        report::write_whole(path, &text)?;
    }
    Ok(code)
}

fn once(
    flags: &Flags,
    rate: f64,
    more: &[(&str, String)],
    signals: &Signals,
    progress: &mut Progress,
) -> Result<Report, String> {
    run::run(&flags.target.order(flags.scenario_at(rate, more)?, signals)?, progress)
}

/// The share of one core that the server's process used in the counted part.
#[allow(clippy::cast_precision_loss)]
fn busy(report: &Report) -> Result<f64, String> {
    let server = report.server_use.as_ref().ok_or("nothing was learned of --server-pid")?;
    let cpu_us = server.used.cpu_us(server.softirq_stands_apart) as f64;
    if report.totals.seconds > 0.0 {
        Ok(cpu_us / (report.totals.seconds * 1e6))
    } else {
        Err("no second was counted".into())
    }
}

/// The tool's lateness is no reason here: what the server uses at a rate that it follows stands.
fn judge(report: &Report, busy: f64, busy_max: f64) -> Found {
    let follows = report.totals.acked_per_s >= ACHIEVED_MIN * report.totals.offered_per_s;
    match (busy <= busy_max, follows, report.verdict.void.is_empty()) {
        (true, true, _) => Found::Holds,
        (true, false, false) => Found::ToolLimit,
        _ => Found::Breaks,
    }
}

fn line(rate: f64, report: &Report, busy: f64) -> String {
    let us = report.server_use.as_ref().map_or(0.0, |server| server.cpu_us_per_delivery);
    format!("{rate:>12.0}{:>12.0}{:>6.0} %{us:>15.2}", report.totals.acked_per_s, busy * 100.0)
}

fn word(found: Found) -> &'static str {
    match found {
        Found::Holds => "holds",
        Found::Breaks => "too busy",
        Found::ToolLimit => "the tool is the limit",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{ServerUse, Totals, Verdict};
    use crate::scenario::Scenario;

    fn report(cpu_us: u64, acked_per_s: f64, void: &[&str]) -> Report {
        let server = r#"{"used":{"user_us":0,"system_us":0,"softirq_us":0,"core_busy_us":0,"rss_kib":0,"kernel_kib":0,
            "voluntary":0,"involuntary":0},"cpu_us_per_delivery":1.0,"user_us_per_delivery":1.0,
            "system_us_per_delivery":0.0,"softirq_us_per_delivery":0.0,"switches_per_delivery":0.0,
            "cpu_us_per_connection_s":0.0,"bytes_per_connection":null,"kernel_bytes_per_pair":null}"#;
        let mut server: ServerUse = serde_json::from_str(server).unwrap();
        server.used.user_us = cpu_us;
        Report {
            maru_load: report::VERSION,
            command: String::new(),
            date: String::new(),
            machine: String::new(),
            server: String::new(),
            scenario: Scenario::built_in("direct", &[]).unwrap(),
            workers: 1,
            verdict: Verdict {
                void: void.iter().map(|word| (*word).to_owned()).collect(),
                ..Verdict::default()
            },
            totals: Totals { seconds: 2.0, offered_per_s: 1000.0, acked_per_s, ..Totals::default() },
            latencies: report::Latencies::default(),
            server_use: Some(server),
            server_latency: None,
            outcome: crate::wire::Outcome::default(),
            timeline: Vec::new(),
            intervals: Vec::new(),
        }
    }

    #[test]
    fn a_rate_holds_while_the_server_follows_with_time_to_spare() {
        for (cpu_us, acked_per_s, void, expected) in [
            (1_600_000, 1000.0, &[][..], Found::Holds),
            (1_600_000, 1000.0, &["late"], Found::Holds),
            (1_800_000, 1000.0, &[], Found::Breaks),
            (1_800_000, 1000.0, &["late"], Found::Breaks),
            (1_600_000, 900.0, &[], Found::Breaks),
            (1_600_000, 900.0, &["late"], Found::ToolLimit),
        ] {
            let report = report(cpu_us, acked_per_s, void);
            let busy = busy(&report).unwrap();
            assert_eq!(judge(&report, busy, 0.85), expected, "{cpu_us} {acked_per_s} {void:?}");
        }
        let nobody = Report { server_use: None, ..report(1, 1.0, &[]) };
        assert!(busy(&nobody).unwrap_err().contains("--server-pid"));
    }
}
