//! Accounts and tokens from the command line.

use std::error::Error;
use std::io::{BufRead, Write};
use std::process::ExitCode;

use api::{Account, Accounts, AddDevice, Name, OPERATOR_TOKEN_MS, Sought, now_ms};
use protocol::limits::DEVICES_MAX;
use protocol::token::{self, Claims};
use protocol::{DeviceId, UserId};
use zeroize::Zeroizing;

use super::bulk::tell_core;
use crate::config::Config;
use crate::directory::{self, Parts};

/// Room for the line of a password: one that grows leaves its beginning behind.
const LINE_BYTES: usize = 4096;
/// Accounts that are read at a time.
const PAGE: u32 = 500;

/// From the environment, or else the first line of `input`.
pub(super) fn password(
    variable: Option<&str>,
    mut input: impl BufRead,
) -> Result<Zeroizing<String>, Box<dyn Error>> {
    if let Some(variable) = variable {
        return std::env::var(variable)
            .map(Zeroizing::new)
            .map_err(|_| format!("--password-env: the variable {variable:?} is not set").into());
    }
    let mut line = Zeroizing::new(String::with_capacity(LINE_BYTES));
    input.read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned().into())
}

pub(super) async fn create_user(
    config: &Config,
    name: &str,
    password: &str,
    out: &mut impl Write,
) -> Result<ExitCode, Box<dyn Error>> {
    let name = Name::parse(name).map_err(|fault| format!("name: {fault}"))?;
    api::password::check_for(name.shown(), password).map_err(|fault| format!("password: {fault}"))?;
    directory::make_if_new(config).await?;
    let accounts = Accounts::open_existing(&config.accounts()).await?;
    let user = accounts.create_user(&name, &api::password::hash(password)?, now_ms()).await?;
    accounts.close().await;
    writeln!(out, "{user}")?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn list_users(config: &Config, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    let accounts = Accounts::open_existing(&config.accounts()).await?;
    let mut after = UserId(0);
    loop {
        let page = accounts.users_after(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.user;
        for account in &page {
            writeln!(out, "{}\t{}\t{}", account.user, account.name, account.created_ms)?;
        }
    }
    accounts.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Which token.
pub(super) struct Wanted<'a> {
    pub(super) user: &'a str,
    pub(super) device: Option<u64>,
    pub(super) ttl_s: Option<u64>,
    pub(super) json: bool,
}

pub(super) async fn token(
    config: &Config,
    wanted: Wanted<'_>,
    out: &mut impl Write,
) -> Result<ExitCode, Box<dyn Error>> {
    // Opening locks the directory: a running server is asked by POST /v1/admin/token instead.
    let store = directory::open_store(config)?;
    let Parts { keys, accounts, .. } = directory::open_parts(config, &store).await?;
    directory::promise(config)?;
    let account = found(&accounts, wanted.user).await?;
    let device = device(&accounts, account.user, wanted.device).await?;
    // The device exists in the core before there is a token for it.
    tell_core(&store, &[(account.user, vec![device])], account.created_ms)?;
    accounts.set_in_core(account.user).await?;
    accounts.close().await;
    let token_ms = wanted.ttl_s.map_or(OPERATOR_TOKEN_MS, |seconds| seconds.saturating_mul(1000));
    // The user's not-before time may lie ahead of a clock that stepped back.
    let issued_ms = now_ms().max(account.not_before_ms);
    let expires_ms = now_ms().saturating_add(token_ms);
    let token = token::sign(&keys.newest(), &Claims { user: account.user, device, expires_ms, issued_ms });
    if wanted.json {
        let (user, device) = (account.user.to_string(), device.to_string());
        let object = serde_json::json!({
            "token": token, "user": user, "device": device, "expires_ms": expires_ms,
        });
        writeln!(out, "{object}")?;
    } else {
        writeln!(out, "{token}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// For one who has lost the app and the recovery codes. A running server is not asked: it keeps nothing of it in memory.
pub(super) async fn two_factor_off(
    config: &Config,
    user: &str,
    out: &mut impl Write,
) -> Result<ExitCode, Box<dyn Error>> {
    let accounts = Accounts::open_existing(&config.accounts()).await?;
    let account = found(&accounts, user).await?;
    let was_on = accounts.remove_second_factor(account.user).await?;
    accounts.close().await;
    let done = if was_on { "is off" } else { "was off already" };
    writeln!(out, "the second factor of {} {done}", account.name)?;
    Ok(ExitCode::SUCCESS)
}

/// The account that an operator names, in whatever spelling.
pub(super) async fn found(accounts: &Accounts, name: &str) -> Result<Account, Box<dyn Error>> {
    let sought = Sought::parse(name).map_err(|fault| format!("--user: {fault}"))?;
    let account = accounts.user_by_name(&sought).await?;
    account.ok_or_else(|| format!("--user: there is no user {sought}").into())
}

async fn device(accounts: &Accounts, user: UserId, wanted: Option<u64>) -> Result<DeviceId, Box<dyn Error>> {
    match wanted {
        Some(id) if id == 0 || i64::try_from(id).is_err() => Err("--device: not an id".into()),
        Some(id) if accounts.adopt_device(user, DeviceId(id), now_ms()).await? => Ok(DeviceId(id)),
        Some(id) => Err(format!("--device: {id} belongs to somebody else").into()),
        None => match accounts.add_device(user, DEVICES_MAX as u32, now_ms()).await? {
            AddDevice::Added(device) => Ok(device),
            AddDevice::Full(_) => {
                Err("the account has its full number of devices; name one in --device".into())
            }
        },
    }
}
