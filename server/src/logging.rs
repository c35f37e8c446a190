//! What the server says: the log to stderr, a few lines for people and programs to stdout.
//!
//! Both are best effort. A stream that is full, broken or read by nobody neither ends nor blocks the process: lines go through a
//! bounded queue to a thread of their own (`lossy`), and what does not fit is counted. Nothing else in the server writes to
//! either stream, so that nothing else can wait for it.

mod lossy;

use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt, reload};

use lossy::Lossy;

/// How long the last lines are waited for before the process ends: enough for any reader that reads.
const LAST_LINES: Duration = Duration::from_secs(1);

static OUT: OnceLock<Lossy> = OnceLock::new();
static LOG: OnceLock<Lossy> = OnceLock::new();
static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// How a line of the log looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// For people.
    Text,
    /// An object a line, for programs.
    Json,
}

/// What is logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Of everything but audit events.
    pub level: LevelFilter,
    /// Audit events, whatever the level is.
    pub audit: bool,
}

impl Wanted {
    fn filter(self) -> Targets {
        let audit = if self.audit { LevelFilter::INFO } else { LevelFilter::OFF };
        Targets::new().with_default(self.level).with_target(api::AUDIT, audit)
    }
}

/// From here on no stream can block whoever speaks. To be called once, before anything is said.
pub fn open() {
    OUT.get_or_init(|| Lossy::start("out", io::stdout()));
    LOG.get_or_init(|| Lossy::start("log", io::stderr()));
}

/// Starts logging, once a process. A second call changes nothing.
pub fn start(wanted: Wanted, format: Format) {
    open();
    let (filter, handle) = reload::Layer::new(wanted.filter());
    let registry = tracing_subscriber::registry().with(filter);
    // Its own errors would go to stderr by `eprintln`, which panics.
    let lines = fmt::layer().with_writer(|| Line).log_internal_errors(false);
    let started = match format {
        Format::Text => {
            registry.with(lines.with_ansi(io::stderr().is_terminal()).with_target(false)).try_init()
        }
        Format::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            registry.with(lines).try_init()
        }
    };
    if started.is_ok() {
        let _ = FILTER.set(handle);
    }
}

/// Logs something else from now on.
pub fn change(wanted: Wanted) {
    if let Some(filter) = FILTER.get() {
        // Fails when there is no subscriber any more: the process ends.
        let _ = filter.reload(wanted.filter());
    }
}

/// A line for stdout.
pub fn tell(line: &str) {
    match OUT.get() {
        Some(out) => out.push(format!("{line}\n").into_bytes()),
        None => drop(writeln!(io::stdout(), "{line}")),
    }
}

/// A line for stderr that is no part of the log: why a process does not start, or has to end. It waits, for a bounded time,
/// until that is out.
pub fn last_words(line: &str) {
    let line = format!("maru: {line}\n");
    match LOG.get() {
        Some(log) => log.push_at_last(line.into_bytes(), LAST_LINES),
        None => drop(io::stderr().write_all(line.as_bytes())),
    }
}

/// Waits, for a bounded time, until everything that was said is out.
pub fn flush() {
    for stream in [&OUT, &LOG].into_iter().filter_map(OnceLock::get) {
        stream.flush(LAST_LINES);
    }
}

/// Lines of the log that were lost since the process began.
pub fn lost() -> u64 {
    LOG.get().map_or(0, Lossy::lost)
}

/// What the standard library's hook says of a panic, without its wait for stderr.
pub(crate) fn tell_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let backtrace = std::backtrace::Backtrace::capture();
    let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
    let words = panic.payload_as_str().unwrap_or("no words");
    let mut line = format!("thread '{}' panicked{place}: {words}", thread.name().unwrap_or("unnamed"));
    if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
        line += &format!("\n{backtrace}");
    }
    last_words(&line);
}

/// One event of the log: the subscriber writes it in one piece.
struct Line;

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(log) = LOG.get() {
            log.push(line.to_vec());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
