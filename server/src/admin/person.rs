//! One account at the operator's will: another password, or its end. In a stopped data directory or on the running server.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use api::{Account, Accounts, History, Sought, now_ms};
use protocol::commit::{Batch, Part, Policy, Row};
use protocol::query::{Answer, Query};
use protocol::{BayId, ShardId};
use serde_json::json;
use storage::{Store, Tier};

use super::ask::{self, TrustFlags};
use super::revoke;
use crate::config::Config;

/// Bots that are ended at a time with their owner.
const BOTS_AT_A_TIME: u32 = 100;

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

/// As on a running server: the devices are no more, nobody writes to the user any more, and then the account is no more.
async fn erase(
    store: &Store,
    accounts: &Accounts,
    account: &Account,
    history: History,
) -> Result<(), Box<dyn Error>> {
    revoke::end(store, accounts, account, None).await?;
    let user = account.user;
    if let Some(Answer::User { account: Some(mut row), .. }) = store.read(&Query::User(user), Tier::Any)? {
        row.policy = Policy::NOBODY;
        let parts = vec![Part { bay: BayId::of_user(user), rows: vec![Row::Account { user, row }] }];
        store.commit(&[Batch { shard: ShardId(0), number: 1, parts }])?;
    }
    // What is to be erased besides begins when the server runs.
    accounts.end_user(user, history, now_ms()).await?;
    Ok(())
}

async fn in_directory(config: &Config, name: &Sought, change: Change<'_>) -> Result<(), Box<dyn Error>> {
    // Opening locks the directory: a running server is asked with --server instead.
    let store = Store::open(&config.data, &config.storage())?;
    let accounts = Accounts::open_existing(&config.accounts()).await?;
    let account =
        accounts.user_by_name(name).await?.ok_or_else(|| format!("--user: there is no user {name}"))?;
    match change {
        Change::Password(password) => {
            revoke::end(&store, &accounts, &account, None).await?;
            accounts.reset_password(account.user, &api::password::hash(password)?).await?;
        }
        Change::Erase => {
            loop {
                let bots = accounts.bots(Some(account.user), 0, BOTS_AT_A_TIME).await?;
                if bots.is_empty() {
                    break;
                }
                for bot in bots {
                    if let Some(bot) = accounts.user(bot.user).await? {
                        erase(&store, &accounts, &bot, config.history).await?;
                    }
                }
            }
            erase(&store, &accounts, &account, config.history).await?;
        }
    }
    accounts.close().await;
    Ok(())
}
