//! `make bench`: servers under the same load in turns, and the tables of docs/performance.md.
//!
//! The page has a part for each question. A round asks every part once, each with fresh processes and fresh
//! directories; rounds follow each other, so that a machine that slows down slows all. Figures are medians over the
//! rounds, with the least and the most beside them; a ratio is made within a round.

mod before;
mod bytes;
pub mod disk;
mod drivers;
mod durable;
mod enemies;
mod flat;
mod groups;
mod half;
mod history;
mod idle;
mod light;
mod load;
mod page;
mod part;
mod plan;
mod quic;
mod relays;
mod server;
mod shards;
mod spread;
mod stall;
mod storm;

use std::path::PathBuf;

pub use page::{machine, replace};
pub use plan::{names, run};

/// What a run needs to know.
#[derive(Clone, Debug)]
pub struct Order {
    /// Where the binaries are: `maru`, `maru-load`, `floor`, `ordinary`.
    pub bin: PathBuf,
    /// Where `maru` of another build is, to compare with.
    pub before: Option<PathBuf>,
    /// On the data disk: directories of servers are made and removed there.
    pub work: PathBuf,
    /// The page whose tables are replaced.
    pub page: PathBuf,
    /// How often each part is asked.
    pub rounds: usize,
    /// Seconds that count of each run.
    pub seconds: u32,
    /// Messages that history is filled up to.
    pub history: u64,
    /// The parts to ask, by name; empty for all.
    pub only: Vec<String>,
    /// The command for the page.
    pub command: String,
}

impl Order {
    /// The same for the build before; the tool stays with `self`.
    fn of_before(&self) -> Option<Self> {
        Some(Self { bin: self.before.clone()?, ..self.clone() })
    }
}

/// Whatever went wrong, in words.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
