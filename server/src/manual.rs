//! What the command line says of itself: completions for shells, and man pages. Both are made from the same definition that reads the
//! line, so no command and no flag can be missing.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

/// What `maru completions` takes.
#[derive(Args, Clone, Debug)]
pub struct Completions {
    /// The shell that reads them.
    shell: Shell,
}

/// What `maru man` takes.
#[derive(Args, Clone, Debug)]
pub struct Pages {
    /// The folder that gets a page for each command, maru.1 first; made when it is missing.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Prints the completions of a shell.
///
/// # Errors
/// Nobody takes what is printed.
pub fn completions(mut command: Command, wanted: &Completions) -> Result<ExitCode, Box<dyn Error>> {
    // Into memory first: the library panics when a pipe breaks.
    let mut script = Vec::new();
    clap_complete::generate(wanted.shell, &mut command, "maru", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a man page for each command.
///
/// # Errors
/// The disk's, with the folder.
pub fn pages(command: Command, wanted: &Pages) -> Result<ExitCode, Box<dyn Error>> {
    let fault =
        |error: std::io::Error| format!("cannot write man pages to {}: {error}", wanted.out.display());
    std::fs::create_dir_all(&wanted.out).map_err(fault)?;
    clap_mangen::generate_to(command, &wanted.out).map_err(fault)?;
    Ok(ExitCode::SUCCESS)
}
