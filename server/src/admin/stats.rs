//! `maru admin stats`.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use api::Accounts;
use storage::Stores;

use super::ask;
use crate::config::Config;

/// The metrics of a running server, as it writes them.
pub(super) fn of_server(url: &str, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    out.write_all(ask::get(url, "/metrics")?.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// What a stopped directory holds.
pub(super) async fn of_directory(config: &Config, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    let stores = Stores::open(&config.data, &config.storage())?;
    let accounts = Accounts::open_existing(&config.data).await?;
    let (users, devices) = accounts.count().await?;
    accounts.close().await;
    writeln!(out, "accounts {users}\ndevices {devices}\nstores {}", stores.count())?;
    for stats in stores.stats() {
        let state = stores.state(stats.store)?;
        writeln!(
            out,
            "store {} generation {} disk_bytes {} fanout_head {} fanout_tail {}",
            stats.store, state.generation, stats.disk_bytes, state.fanout_head, state.fanout_tail
        )?;
    }
    Ok(ExitCode::SUCCESS)
}
