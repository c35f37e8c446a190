//! The binary `maru-load`: load for a Maru server, and proof of delivery.
//!
//! One process coordinates; worker processes drive the devices, one thread each. See docs/load.md.

mod accounts;
mod cast;
mod clock;
mod compare;
mod draws;
mod engine;
mod flags;
mod ledger;
mod link;
mod meter;
mod pace;
mod probe;
mod progress;
mod report;
mod run;
mod scenario;
mod scrape;
mod signals;
mod sweep;
mod text;
mod users;
mod wire;
mod worker;

use std::process::ExitCode;

use clap::Parser;
use flags::{Line, Verb};

/// The run was carried out and delivery was broken, or it could not be carried out.
const FAILED: u8 = 1;
/// The tool was the bottleneck.
const VOID: u8 = 3;
/// The run ended early.
const PARTIAL: u8 = 4;

fn main() -> ExitCode {
    match carry_out(Line::parse().verb) {
        Ok(code) => code,
        Err(words) => {
            eprintln!("maru-load: {words}");
            ExitCode::from(FAILED)
        }
    }
}

fn carry_out(verb: Verb) -> Result<ExitCode, String> {
    match verb {
        Verb::Worker => worker::run().map(|()| ExitCode::SUCCESS),
        Verb::Compare(flags) => compare::run(&flags),
        Verb::Sweep(flags) => sweep::run(&flags),
        Verb::Run { file, flags } => {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(&file).map_err(|error| format!("{name}: {error}"))?;
            flags.run(|set| scenario::Scenario::parse(&text, set).map_err(|words| format!("{name}: {words}")))
        }
        Verb::BuiltIn(verb) => {
            let (name, flags) = verb.parts();
            flags.run(|set| scenario::Scenario::built_in(name, set))
        }
    }
}
