//! The highest rate that keeps a p99, or that leaves the server's core idle now and then: doubles until it breaks, then
//! halves the gap.

mod half;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::flags::{Keys, Target, exit_code};
use crate::report::{self, Report, table};
use crate::run;
use crate::scenario::Scenario;
use crate::signals::Signals;

/// A rate holds when so much of what was offered is acked.
const ACHIEVED_MIN: f64 = 0.97;
/// Rounds at most, whatever the search does.
const ROUNDS_MAX: u32 = 40;

/// What is swept.
#[derive(Args, Debug)]
pub(crate) struct Flags {
    /// Which built-in scenario: direct, group, resume, mixed; or a TOML file.
    scenario: String,
    /// The p99 to keep, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 10.0)]
    p99_ms: f64,
    /// Whose p99.
    #[arg(long, value_name = "WHOSE", default_value = "delivery")]
    of: Whose,
    /// The rate to begin with, messages a second.
    #[arg(long, value_name = "R", default_value_t = 500.0)]
    from: f64,
    /// The rate to end with at the latest.
    #[arg(long, value_name = "R", default_value_t = 1e6)]
    to: f64,
    /// Ends when the answer is known to this share.
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    within: f64,
    /// Half load instead of a p99: the highest rate at which the server's process uses at most this share of one core,
    /// then a run at half of it. 0.85 is what docs/performance.md means.
    #[arg(long, value_name = "SHARE", requires = "server_pid", conflicts_with_all = ["p99_ms", "of"])]
    busy: Option<f64>,
    /// With --busy: seconds that count of each run of the search; --seconds is of the run at half load.
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    search_seconds: f64,
    /// The report of the best run as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    keys: Keys,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Whose {
    Ack,
    Delivery,
}

/// What a round found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Found {
    Holds,
    Breaks,
    /// The tool cannot tell.
    ToolLimit,
}

/// The search: which rate to try next, by what was found.
#[derive(Clone, Debug)]
struct Search {
    holds: f64,
    breaks: f64,
    most: f64,
    within: f64,
    next: f64,
}

impl Search {
    fn new(from: f64, most: f64, within: f64) -> Self {
        Self { holds: 0.0, breaks: f64::INFINITY, most, within, next: from.min(most) }
    }

    /// The next rate; `None` when the answer is known.
    fn next(&self) -> Option<f64> {
        let is_known = self.holds >= self.most || self.breaks - self.holds <= self.within * self.holds;
        (!is_known && self.next >= 1.0).then_some(self.next)
    }

    fn found(&mut self, found: Found) {
        if found == Found::Holds {
            self.holds = self.next
        } else {
            self.breaks = self.next
        }
        self.next = if self.breaks.is_finite() {
            (self.holds + self.breaks) / 2.0
        } else {
            (self.holds * 2.0).min(self.most)
        };
    }
}

/// Searches.
///
/// # Errors
/// Words, when a round could not be run at all.
pub(crate) fn run(flags: &Flags) -> Result<ExitCode, String> {
    if let Some(busy_max) = flags.busy {
        if !(busy_max > 0.0 && busy_max.is_finite()) {
            return Err(format!("--busy {busy_max}: expected a share of one core above 0, for example 0.85"));
        }
        return half::run(flags, busy_max);
    }
    let mut progress = flags.target.progress();
    let signals = Signals::watch()?;
    let mut search = Search::new(flags.from, flags.to, flags.within);
    let mut best: Option<Report> = None;
    let mut has_met_tool = false;
    println!("{:>12}{:>12}{:>12}{:>12}  ", "rate /s", "acked /s", "p50", "p99");
    for _ in 0..ROUNDS_MAX {
        let Some(rate) = search.next() else { break };
        let order = flags.target.order(flags.scenario_at(rate, &[])?, &signals)?;
        let report = run::run(&order, &mut progress)?;
        let found = judge(&report, flags);
        let of = flags.of(&report);
        let word = match found {
            Found::Holds => "holds",
            Found::Breaks => "breaks",
            Found::ToolLimit => "the tool is the limit",
        };
        let (p50, p99) = (table::time(of.p50_us), table::time(of.p99_us));
        println!("{rate:>12.0}{:>12.0}{p50:>12}{p99:>12}  {word}", report.totals.acked_per_s);
        has_met_tool |= found == Found::ToolLimit;
        search.found(found);
        if report.verdict.violations > 0 || !report.verdict.partial.is_empty() {
            print!("{}", table::table(&report, false));
            return Ok(exit_code(&report));
        }
        if found == Found::Holds {
            best = Some(report);
        }
    }
    let Some(best) = best else {
        println!("no rate from {:.0}/s down keeps p99 <= {} ms", flags.from, flags.p99_ms);
        return Ok(ExitCode::FAILURE);
    };
    let bound = if has_met_tool { " (the tool's limit; the server's is above)" } else { "" };
    println!("highest rate with p99 <= {} ms: {:.0}/s{bound}", flags.p99_ms, search.holds);
    if let Some(path) = &flags.json {
        let text = serde_json::to_string(&best).map_err(|error| error.to_string())?;
        report::write_whole(path, &text)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn judge(report: &Report, flags: &Flags) -> Found {
    let totals = &report.totals;
    let keeps = flags.of(report).p99_us <= flags.p99_ms * 1000.0;
    let follows = totals.acked_per_s >= ACHIEVED_MIN * totals.offered_per_s;
    match (keeps && follows, report.verdict.void.is_empty()) {
        // The tool's own lateness only adds to what it measures: what holds with it holds without it.
        (true, _) => Found::Holds,
        (false, true) => Found::Breaks,
        (false, false) => Found::ToolLimit,
    }
}

impl Flags {
    fn of<'a>(&self, report: &'a Report) -> &'a report::Distribution {
        match self.of {
            Whose::Ack => &report.latencies.ack,
            Whose::Delivery => &report.latencies.delivery,
        }
    }

    /// With keys that stand above those of the command line.
    fn scenario_at(&self, rate: f64, more: &[(&str, String)]) -> Result<Scenario, String> {
        let mut set = self.keys.pairs()?;
        set.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        set.push(("load.rate".into(), format!("{rate:?}")));
        if self.scenario.ends_with(".toml") {
            let text =
                std::fs::read_to_string(&self.scenario).map_err(|e| format!("{}: {e}", self.scenario))?;
            return Scenario::parse(&text, &set);
        }
        Scenario::built_in(&self.scenario, &set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_ends_near_the_truth_from_either_side() {
        for (truth, from) in [(12_345.0, 500.0), (300.0, 5000.0), (1e9, 500.0), (0.5, 500.0)] {
            let mut search = Search::new(from, 1e6, 0.05);
            let mut rounds = 0;
            while let Some(rate) = search.next() {
                search.found(if rate <= truth { Found::Holds } else { Found::Breaks });
                rounds += 1;
                assert!(rounds < ROUNDS_MAX);
            }
            let expected = if truth < 1.0 { 0.0 } else { f64::min(truth, 1e6) };
            assert!(search.holds <= expected && search.holds >= expected * 0.95, "{truth}: {}", search.holds);
        }
    }
}
