//! `store = memory`: what benches use to leave the disk out of a figure. Nothing that it acks is durable.

use std::error::Error;

use api::Accounts;
use protocol::UserId;
use storage::Store;

use crate::admin::bulk::tell_core;
use crate::config::Config;

/// Accounts read at a time.
const CHUNK: u32 = 10_000;

/// A store that ends with the process; what the directory's own store holds is neither read nor written.
///
/// # Errors
/// The directory, which keys and accounts need, cannot be made.
pub(super) fn open(config: &Config) -> std::io::Result<Store> {
    std::fs::create_dir_all(&config.data)?;
    tracing::warn!(
        "store is memory: NO MESSAGE IS DURABLE, all is lost when this process ends; for benches only"
    );
    Ok(Store::memory())
}

/// Accounts and devices stay in the directory, and a store in memory knows none of them: tells them.
///
/// # Errors
/// Of the accounts' database.
pub(super) async fn seed(store: &Store, accounts: &Accounts) -> Result<(), Box<dyn Error>> {
    let mut after = UserId(0);
    loop {
        let page = accounts.users_after(after, CHUNK).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.user;
        let created_ms = last.created_ms;
        let mut users = Vec::with_capacity(page.len());
        for account in &page {
            users.push((account.user, accounts.all_devices(account.user).await?));
        }
        tell_core(store, &users, created_ms)?;
    }
}
