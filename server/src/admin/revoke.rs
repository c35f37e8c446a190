//! `maru admin revoke`: ends devices, in a stopped data directory or on the running server.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use api::{Account, Accounts, now_ms};
use protocol::commit::{Batch, Part, Row};
use protocol::query::{Answer, Query};
use protocol::{BayId, DeviceId, ShardId, UserId};
use serde_json::json;
use storage::{Store, Tier};

use super::ask::{self, TrustFlags};
use crate::config::Config;

/// Accounts that are read at a time.
const PAGE: u32 = 500;

/// Whose devices.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// Of one user: one device, or all of them.
    User { name: &'a str, device: Option<u64> },
    /// Of everybody: all of them.
    All,
}

impl<'a> Wanted<'a> {
    pub(super) fn of(user: Option<&'a str>, device: Option<u64>) -> Self {
        user.map_or(Self::All, |name| Self::User { name, device })
    }
}

/// In a stopped directory. The core is told before the accounts are: if it is cut between, it is run again.
pub(super) async fn in_directory(
    config: &Config,
    wanted: Wanted<'_>,
    out: &mut impl Write,
) -> Result<ExitCode, Box<dyn Error>> {
    // Opening locks the directory: a running server is asked with --server instead.
    let store = Store::open(&config.data, &config.storage())?;
    let accounts = Accounts::open_existing(&config.accounts()).await?;
    let ended = end_each(&store, &accounts, wanted).await?;
    accounts.close().await;
    writeln!(out, "devices logged out: {ended}")?;
    Ok(ExitCode::SUCCESS)
}

/// Gives how many the core knew.
pub(super) async fn end_each(
    store: &Store,
    accounts: &Accounts,
    wanted: Wanted<'_>,
) -> Result<usize, Box<dyn Error>> {
    let mut ended = 0;
    for_each(accounts, wanted, async |account, device| {
        ended += end(store, accounts, account, device).await?;
        Ok(())
    })
    .await?;
    Ok(ended)
}

/// On the running server of this directory, whose token it takes.
pub(super) async fn on_server(
    config: &Config,
    url: &str,
    trust: &TrustFlags,
    wanted: Wanted<'_>,
    out: &mut impl Write,
) -> Result<ExitCode, Box<dyn Error>> {
    let server = ask::server_of(config, url, trust)?;
    let accounts = Accounts::open_existing(&config.accounts()).await?;
    let mut asked = 0;
    for_each(&accounts, wanted, async |account, device| {
        let user = account.user.to_string();
        let body = match device {
            Some(device) => json!({ "user": user, "device": device.to_string() }),
            None => json!({ "user": user }),
        };
        server.post("/v1/admin/revoke", &body).await?;
        asked += 1;
        Ok(())
    })
    .await?;
    accounts.close().await;
    writeln!(out, "accounts whose devices the server has logged out: {asked}")?;
    Ok(ExitCode::SUCCESS)
}

/// Does it for one account or for all of them.
async fn for_each(
    accounts: &Accounts,
    wanted: Wanted<'_>,
    mut work: impl AsyncFnMut(&Account, Option<DeviceId>) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    if let Wanted::User { name, device } = wanted {
        let account = super::accounts::found(accounts, name).await?;
        return work(&account, device.map(DeviceId)).await;
    }
    let mut after = UserId(0);
    loop {
        let page = accounts.users_after(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.user;
        for account in &page {
            work(account, None).await?;
        }
    }
}

/// One device of a user, or all of them and every token that was issued until now. Returns how many the core knew.
pub(super) async fn end(
    store: &Store,
    accounts: &Accounts,
    account: &Account,
    device: Option<DeviceId>,
) -> Result<usize, Box<dyn Error>> {
    let user = account.user;
    let (row, known) = match store.read(&Query::User(user), Tier::Any)? {
        Some(Answer::User { account, devices, .. }) => (account, devices),
        _ => (None, Vec::new()),
    };
    let gone = known.iter().map(|(known, _)| *known).filter(|known| device.is_none_or(|id| id == *known));
    let mut rows: Vec<Row> = gone.map(|device| Row::DeviceGone { user, device }).collect();
    let ended = rows.len();
    let not_before_ms = now_ms().max(account.not_before_ms).saturating_add(1);
    if let (None, Some(mut row)) = (device, row) {
        row.not_before_ms = row.not_before_ms.max(not_before_ms);
        rows.push(Row::Account { user, row });
    }
    if !rows.is_empty() {
        let parts = vec![Part { bay: BayId::of_user(user), rows }];
        store.commit(&[Batch { shard: ShardId(0), number: 1, parts }])?;
    }
    match device {
        Some(device) => accounts.remove_device(user, device).await?,
        None => accounts.log_out_all(user, not_before_ms, None).await?,
    }
    Ok(ended)
}
