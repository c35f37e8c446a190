//! `maru admin reports`: messages that somebody reported, on the running server. JSON, so that people read it and programs do.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::show::{self, Server};

/// What to do with reports.
#[derive(Subcommand, Clone, Debug)]
pub(super) enum Task {
    /// Print reports, oldest first, an object a line. Not what the messages say.
    List {
        /// Which.
        #[arg(long, value_enum, default_value_t = State::Open)]
        state: State,
        #[command(flatten)]
        server: Server,
    },
    /// Close a report, and print it.
    Close {
        /// Its number.
        #[arg(value_parser = clap::value_parser!(u64).range(1..=i64::MAX as u64))]
        report: u64,
        /// What came of it.
        #[arg(value_enum)]
        outcome: Outcome,
        /// For other operators.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        #[command(flatten)]
        server: Server,
    },
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub(super) enum State {
    Open,
    Closed,
    All,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub(super) enum Outcome {
    /// Something was wrong.
    Upheld,
    /// Nothing was.
    Dismissed,
}

pub(super) async fn run(task: &Task, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    match task {
        Task::List { state, server } => {
            let state = match state {
                State::Open => "open",
                State::Closed => "closed",
                State::All => "all",
            };
            let path = format!("/v1/admin/reports?state={state}");
            show::list(&server.operator()?, &path, "reports", out).await?;
        }
        Task::Close { report, outcome, note, server } => {
            let outcome = match outcome {
                Outcome::Upheld => "upheld",
                Outcome::Dismissed => "dismissed",
            };
            let path = format!("/v1/admin/reports/{report}/close");
            let body = json!({ "outcome": outcome, "note": note });
            writeln!(out, "{:#}", server.operator()?.post_for(&path, &body).await?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
