//! `maru admin migrate`: a directory of an older format becomes one of this program's.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use crate::config::Config;

pub(super) fn run(config: &Config, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    // It locks the directory, so a running server is refused before anything is read.
    let Some(migrated) = storage::migrate(&config.data, &config.storage())? else {
        writeln!(out, "{} has the format of this program already", config.data.display())?;
        return Ok(ExitCode::SUCCESS);
    };
    writeln!(
        out,
        "{} stores became one: {} messages, {} inbox entries in {} rows, {} fan-out rows",
        migrated.stores, migrated.messages, migrated.pointers, migrated.runs, migrated.fanout_rows
    )?;
    let kept = config.data.join("format-1");
    writeln!(
        out,
        "run `maru admin check`, start the server, and remove {} once all is well",
        kept.display()
    )?;
    Ok(ExitCode::SUCCESS)
}
