//! `maru admin tokens`: who may look after the server, added and removed while it runs.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use api::{Scope, admin_tokens, now_ms};
use clap::Subcommand;

use super::Place;
use crate::config::Config;

/// What to do with tokens.
#[derive(Subcommand, Clone, Debug)]
pub(super) enum Task {
    /// Make a token and print it: it is stored nowhere. It counts at once.
    Add {
        #[command(flatten)]
        place: Place,
        /// What it opens: metrics (reading them), users (managing users, their devices and tokens) or all.
        #[arg(long, value_name = "SCOPE")]
        scope: Scope,
        /// Whose it is or what it is for; shown by list.
        #[arg(long, value_name = "NAME", default_value = "")]
        name: String,
    },
    /// Print every token's number, scope, time when it was made (milliseconds since 1970) and name, separated by tabs.
    List(Place),
    /// End a token at once. To rotate one: add another, give it to whoever uses the old one, remove the old one.
    Remove {
        #[command(flatten)]
        place: Place,
        /// Its number, as list shows it.
        number: u32,
    },
}

pub(super) fn run(task: &Task, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    match task {
        Task::Add { place, scope, name } => {
            let (_, token) = admin_tokens::add(&place.existing()?.data, *scope, name, now_ms())?;
            writeln!(out, "{token}")?;
        }
        Task::List(place) => list(&place.existing()?, out)?,
        Task::Remove { place, number } => {
            if !admin_tokens::remove(&place.existing()?.data, *number)? {
                return Err(format!("there is no token {number}; `maru admin tokens list` shows them").into());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(config: &Config, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    for record in admin_tokens::list(&config.data)? {
        writeln!(out, "{}\t{}\t{}\t{}", record.number, record.scope.word(), record.created_ms, record.name)?;
    }
    Ok(())
}
