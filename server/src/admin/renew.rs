//! `maru admin renew`: a directory that came back from a backup begins a new life.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use storage::Store;

use crate::config::Config;

pub(super) fn run(config: &Config, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    // Opening locks the directory, so a running server is refused before anything is written.
    let store = Store::open(&config.data, &config.storage())?;
    store.renew()?;
    super::search::remove(&config.data)?;
    writeln!(out, "every inbox has a new generation: every device reads its channels anew")?;
    Ok(ExitCode::SUCCESS)
}
