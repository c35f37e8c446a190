//! `make bench`: servers under the same load in turns, and the tables of docs/performance.md.
//!
//! A round runs every (load, server) pair once, one after the other, each with a fresh process and a fresh directory;
//! rounds follow each other, so that a machine that slows down slows all. Figures are medians over the rounds, with the
//! least and the most beside them; a ratio is made within a round.

pub mod disk;
mod load;
mod page;
mod plan;
mod server;
mod spread;

use std::path::PathBuf;

pub use plan::run;

/// What a run needs to know.
#[derive(Clone, Debug)]
pub struct Order {
    /// Where the binaries are: `maru`, `maru-load`, `floor`, `ordinary`.
    pub bin: PathBuf,
    /// On the data disk: directories of servers are made and removed there.
    pub work: PathBuf,
    /// The page whose tables are replaced.
    pub page: PathBuf,
    /// How often each pair runs.
    pub rounds: usize,
    /// Seconds that count of each run.
    pub seconds: u32,
    /// The command for the page.
    pub command: String,
}

/// Whatever went wrong, in words.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
