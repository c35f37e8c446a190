//! `maru admin stats`.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use api::Accounts;
use storage::Store;

use super::ask::{self, TrustFlags};
use crate::config::Config;

/// The metrics of a running server, as it writes them.
pub(super) async fn of_server(
    url: &str,
    trust: &TrustFlags,
    token_file: Option<&Path>,
    out: &mut impl Write,
) -> Result<ExitCode, Box<dyn Error>> {
    let read =
        |path: &Path| std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    let token = token_file.map(read).transpose()?.unwrap_or_default();
    out.write_all(ask::server(url, token.trim(), trust)?.page("/metrics").await?.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// What a stopped directory holds.
pub(super) async fn of_directory(config: &Config, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    let store = Store::open(&config.data, &config.storage())?;
    let accounts = Accounts::open_existing(&config.accounts()).await?;
    let (users, devices) = accounts.count().await?;
    accounts.close().await;
    writeln!(out, "accounts {users}\ndevices {devices}\ndisk_bytes {}", store.stats().disk_bytes)?;
    for state in store.states()? {
        writeln!(
            out,
            "bay {} generation {} fanout_head {} fanout_tail {}",
            state.bay, state.generation, state.fanout_head, state.fanout_tail
        )?;
    }
    Ok(ExitCode::SUCCESS)
}
