//! `rounds`: floor, ordinary and Maru under the same load in turns, and the tables of docs/performance.md.

use std::path::PathBuf;
use std::process::ExitCode;

use benches::run::{Order, names, run};
use clap::Parser;
use clap::builder::PossibleValuesParser;

/// Runs everything that `make bench` compares. Wants two cores that nothing else uses.
#[derive(Parser)]
struct Flags {
    /// Where maru, maru-load, floor and ordinary are
    #[arg(long)]
    bin: PathBuf,
    /// Where maru of another build is, for the parts that compare with it
    #[arg(long)]
    before: Option<PathBuf>,
    /// Directory on the data disk; servers' directories are made and removed there
    #[arg(long)]
    work: PathBuf,
    /// The page whose tables are replaced
    #[arg(long)]
    page: PathBuf,
    /// Rounds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Seconds that count of each run
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=7200))]
    seconds: u32,
    /// Messages that history is filled up to; each million wants 250 MB of disk
    #[arg(long, default_value_t = 20_000_000)]
    history: u64,
    /// Only these parts, divided by commas
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(names()))]
    only: Vec<String>,
    /// The command for the page
    #[arg(long, default_value = "make bench")]
    command: String,
}

fn main() -> ExitCode {
    let Flags { bin, before, work, page, rounds, seconds, history, only, command } = Flags::parse();
    let order = Order { bin, before, work, page, rounds: rounds.into(), seconds, history, only, command };
    match run(&order) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rounds: {error}");
            ExitCode::FAILURE
        }
    }
}
