//! `maru admin search`: the search index, in a stopped data directory or on the running server.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use search::Index;
use serde_json::Value;
use storage::Store;

use super::ask::At;
use crate::search::DIRECTORY;

/// What to do with the search index.
#[derive(Subcommand, Clone, Debug)]
pub(super) enum Task {
    /// Print what it holds: a name and a number a line, separated by a tab.
    Status(At),
    /// Make it anew from the histories. A running server does it beside all else; of a stopped directory it is removed, and the
    /// next start makes it.
    Rebuild(At),
}

pub(super) async fn run(task: &Task, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    match task {
        Task::Status(at) => status(at, out).await?,
        Task::Rebuild(at) => rebuild(at).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn status(at: &At, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let config = at.place.existing()?;
    if let Some(asked) = at.asked(&config)? {
        let report: Value = serde_json::from_str(&asked.page("/v1/admin/search").await?)?;
        for (name, value) in report.as_object().into_iter().flatten() {
            writeln!(out, "{name}\t{value}")?;
        }
        return Ok(());
    }
    let place = config.data.join(DIRECTORY);
    if !place.exists() {
        return Err(format!("there is no search index in {}; a start makes it", config.data.display()).into());
    }
    // Opening the store locks the directory: a running server is asked with --server instead.
    let _locked = Store::open(&config.data, &config.storage())?;
    let sizes = Index::open(&place)?.0.sizes();
    for (name, value) in
        [("bytes", sizes.bytes), ("documents", sizes.documents), ("segments", sizes.segments)]
    {
        writeln!(out, "{name}\t{value}")?;
    }
    Ok(())
}

async fn rebuild(at: &At) -> Result<(), Box<dyn Error>> {
    let config = at.place.existing()?;
    if let Some(asked) = at.asked(&config)? {
        return Ok(asked.post("/v1/admin/search/rebuild", &Value::Null).await?);
    }
    let _locked = Store::open(&config.data, &config.storage())?;
    remove(&config.data)
}

/// Removes the index of a stopped directory; the next start makes it.
pub(super) fn remove(data: &Path) -> Result<(), Box<dyn Error>> {
    let place = data.join(DIRECTORY);
    if place.exists() {
        std::fs::remove_dir_all(&place).map_err(|error| format!("{}: {error}", place.display()))?;
    }
    Ok(())
}
