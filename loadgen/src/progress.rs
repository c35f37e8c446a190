//! What a person sees while a run goes on: one line that is written over, in a terminal; plain lines elsewhere; nothing
//! but the result when it should be quiet. All of it goes to stderr.

use std::io::{IsTerminal, Write};

use crate::meter::{Interval, Phase};
use crate::report::table;

/// The line.
#[derive(Debug)]
pub(crate) struct Progress {
    is_quiet: bool,
    /// A terminal that can write over a line.
    is_live: bool,
    has_line: bool,
}

impl Progress {
    pub(crate) fn new(is_quiet: bool) -> Self {
        let is_dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        Self { is_quiet, is_live: std::io::stderr().is_terminal() && !is_dumb, has_line: false }
    }

    /// A line that stays.
    pub(crate) fn say(&mut self, words: &str) {
        if !self.is_quiet {
            self.clear();
            let _ = writeln!(std::io::stderr(), "{words}");
        }
    }

    /// The latest interval.
    pub(crate) fn show(&mut self, interval: &Interval) {
        if self.is_quiet {
            return;
        }
        let line = line(interval);
        let mut err = std::io::stderr().lock();
        if self.is_live {
            // \x1b[K clears to the end of the line; a terminal that is not dumb knows it.
            let _ = write!(err, "\r{line}\x1b[K");
            let _ = err.flush();
            self.has_line = true;
        } else {
            let _ = writeln!(err, "{line}");
        }
    }

    /// Takes the live line away.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.has_line) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn line(interval: &Interval) -> String {
    let rate =
        |count: u64| table::rate(if interval.seconds > 0.0 { count as f64 / interval.seconds } else { 0.0 });
    let phase = match interval.phase {
        Phase::Connect => "connect",
        Phase::Warmup => "warm-up",
        Phase::Measure => "measure",
        Phase::Drain => "drain",
    };
    let mut words = format!("{phase} {:>4.0} s  {} connected", interval.begin_s, interval.connected);
    if interval.connects > 0 {
        words += &format!(" (+{}/s)", rate(interval.connects));
    }
    if interval.acked + interval.delivered + interval.offered > 0 {
        words += &format!(
            "  sent {}/s  acked {}/s  delivered {}/s",
            rate(interval.offered),
            rate(interval.acked),
            rate(interval.delivered)
        );
    }
    if interval.delivery.count() > 0 {
        let (p50, p99) = (interval.delivery.us(0.5), interval.delivery.us(0.99));
        words += &format!("  p50 {}  p99 {}", table::time(p50), table::time(p99));
    }
    words
}
