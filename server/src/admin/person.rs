//! One account at the operator's will: another password, or its end. In a stopped data directory or on the running server.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use api::{Accounts, Sought, now_ms};
use serde_json::json;
use storage::Store;

use super::ask::{self, TrustFlags};
use super::revoke;
use crate::config::Config;

/// What becomes of the account.
#[derive(Clone, Copy)]
pub(super) enum Change<'a> {
    /// It has this password.
    Password(&'a str),
    /// It is erased.
    Erase,
}

/// Does it, and ends all devices of the account. Cut short, it is run again.
pub(super) async fn change(
    config: &Config,
    user: &str,
    server: Option<(&str, &TrustFlags)>,
    change: Change<'_>,
    out: &mut impl Write,
) -> Result<ExitCode, Box<dyn Error>> {
    let name = Sought::parse(user).map_err(|fault| format!("--user: {fault}"))?;
    if let Change::Password(password) = change {
        api::password::check(password).map_err(|fault| format!("password: {fault}"))?;
    }
    let done = match change {
        Change::Password(_) => "has another password; all devices were logged out",
        Change::Erase => "is no more",
    };
    if let Some((url, trust)) = server {
        let (path, body) = match change {
            Change::Password(password) => {
                ("/v1/admin/password", json!({ "name": user, "password": password }))
            }
            Change::Erase => ("/v1/admin/delete", json!({ "name": user })),
        };
        ask::server_of(config, url, trust)?.post(path, &body).await?;
    } else {
        in_directory(config, &name, change).await?;
    }
    writeln!(out, "{name} {done}")?;
    Ok(ExitCode::SUCCESS)
}

async fn in_directory(config: &Config, name: &Sought, change: Change<'_>) -> Result<(), Box<dyn Error>> {
    // Opening locks the directory: a running server is asked with --server instead.
    let store = Store::open(&config.data, &config.storage())?;
    let accounts = Accounts::open_existing(&config.accounts()).await?;
    let account =
        accounts.user_by_name(name).await?.ok_or_else(|| format!("--user: there is no user {name}"))?;
    revoke::end(&store, &accounts, &account, None).await?;
    match change {
        Change::Password(password) => {
            accounts.reset_password(account.user, &api::password::hash(password)?).await?;
        }
        Change::Erase => drop(accounts.erase_user(account.user, now_ms()).await?),
    }
    accounts.close().await;
    Ok(())
}
