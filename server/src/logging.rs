//! Logs go to stderr, so that stdout holds only what programs read.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;

/// Starts logging, once a process. A second call changes nothing.
pub fn start(level: LevelFilter) {
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init();
    drop(log);
}
