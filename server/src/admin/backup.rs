//! `maru admin backup`: everything, as it is at this moment, in a new directory.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use api::Accounts;
use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::Place;
use super::ask::{self, TrustFlags};
use crate::backup::{self, Target};
use crate::config::Config;
use crate::directory;
use crate::owner;
use crate::space::Keep;

/// How often a running server is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// What to back up, and where to.
#[derive(Args, Clone, Debug)]
pub(super) struct Flags {
    #[command(flatten)]
    place: Place,
    /// The new directory, an absolute path outside the data directory; with --server one of the server's machine that the
    /// server's user may write to.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The running server's admin listener, e.g. http://127.0.0.1:8082. The token is read in the data directory.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    trust: TrustFlags,
}

pub(super) async fn run(flags: &Flags, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    let config = flags.place.existing()?;
    let (files, bytes) = match &flags.server {
        Some(url) => of_server(&config, url, flags).await?,
        None => of_directory(&config, flags).await?,
    };
    writeln!(out, "{} has all of it: {files} files, {bytes} bytes", flags.to.display())?;
    Ok(ExitCode::SUCCESS)
}

/// What the server says of its backup, as far as it is looked at.
#[derive(Deserialize)]
struct Report {
    state: String,
    began_ms: u64,
    files: u64,
    bytes: u64,
    error: Option<String>,
}

/// The same, asked for later.
#[derive(Deserialize)]
struct Last {
    backup: Option<Report>,
}

async fn of_server(config: &Config, url: &str, flags: &Flags) -> Result<(u64, u64), Box<dyn Error>> {
    let server = ask::server_of(config, url, &flags.trust)?;
    let begun = server.post_for("/v1/admin/backups", &json!({ "to": flags.to })).await?;
    let mut report: Report = serde_json::from_value(begun)?;
    let began_ms = report.began_ms;
    while report.state == "running" {
        tokio::time::sleep(ASK_EVERY).await;
        let page = server.page("/v1/admin/backups").await.map_err(|error| {
            let to = flags.to.display();
            format!("the server has begun, and does not say how it ends ({error}); only a whole backup is called {to}")
        })?;
        let last = serde_json::from_str::<Last>(&page)?.backup.filter(|last| last.began_ms == began_ms);
        report =
            last.ok_or("the server has begun another backup since; its log tells the end of this one")?;
    }
    match report.error {
        Some(error) => Err(error.into()),
        None => Ok((report.files, report.bytes)),
    }
}

async fn of_directory(config: &Config, flags: &Flags) -> Result<(u64, u64), Box<dyn Error>> {
    // Opening locks the directory: a running server is asked with --server instead.
    let store = Arc::new(directory::open_store(config)?);
    let accounts = Accounts::open_existing(&config.accounts()).await?;
    let keep = Keep { set: config.space_reserve_bytes, needed: config.storage().space_needed() };
    let target = owner::outside(|| Target::at(&flags.to, &config.data, keep))??;
    target.has_room(store.stats().disk_bytes)?;
    let made = backup::make(&config.data, store, &accounts, target).await;
    accounts.close().await;
    let manifest = made?;
    Ok((manifest.files.len() as u64, manifest.bytes()))
}
