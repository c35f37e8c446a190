//! `maru admin keys`: the keys that sign access tokens, in a stopped data directory or on the running server.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use api::{keys, now_ms};
use clap::Subcommand;
use serde_json::{Value, json};
use storage::Store;

use super::Place;
use super::ask::At;
use crate::config::Config;

/// What to do with keys.
#[derive(Subcommand, Clone, Debug)]
pub(super) enum Task {
    /// Print every key's number, what it does (signs or verifies) and when it was made (milliseconds since 1970), separated
    /// by tabs, oldest first. Also beside a running server.
    List(Place),
    /// Make a key that signs from now on; the older ones go on verifying. In a stopped data directory, or with --server on
    /// the running server that uses it. Nobody is disconnected.
    Rotate(At),
    /// Refuse every token that an older key signed. Apps get the next one by themselves; tokens that the operator gave out
    /// end. In a stopped data directory, or with --server on the running server that uses it.
    Retire {
        /// Its number, as list shows it.
        key: u32,
        #[command(flatten)]
        at: At,
    },
}

pub(super) async fn run(task: &Task, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    match task {
        Task::List(place) => list(&place.existing()?, out)?,
        Task::Rotate(at) => {
            let config = at.place.existing()?;
            match at.asked(&config)? {
                Some(server) => server.post("/v1/admin/keys/rotate", &Value::Null).await?,
                None => rotate(&config)?,
            }
            list(&config, out)?;
        }
        Task::Retire { key, at } => {
            let config = at.place.existing()?;
            match at.asked(&config)? {
                Some(server) => server.post("/v1/admin/keys/retire", &json!({ "key": key })).await?,
                None => retire(&config, *key)?,
            }
            list(&config, out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Opening the store locks the directory: a running server is asked with --server instead.
pub(super) fn rotate(config: &Config) -> Result<(), Box<dyn Error>> {
    let _store = Store::open(&config.data, &config.storage())?;
    keys::rotate(&config.data, None, now_ms())?;
    Ok(())
}

pub(super) fn retire(config: &Config, key: u32) -> Result<(), Box<dyn Error>> {
    let _store = Store::open(&config.data, &config.storage())?;
    Ok(keys::retire(&config.data, key)?)
}

pub(super) fn list(config: &Config, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    for key in keys::list(&config.data)? {
        writeln!(out, "{}\t{}\t{}", key.id, if key.signs { "signs" } else { "verifies" }, key.created_ms)?;
    }
    Ok(())
}
