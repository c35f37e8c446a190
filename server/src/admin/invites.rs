//! Invites from the command line: they are the accounts' alone, so a running server is not asked.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use api::{Accounts, Invited, now_ms};

use crate::config::Config;

/// Invites that are read at a time.
const PAGE: u32 = 500;

pub(super) async fn make(
    config: &Config,
    count: u32,
    uses: u32,
    expires_s: u64,
    out: &mut impl Write,
) -> Result<ExitCode, Box<dyn Error>> {
    let accounts = Accounts::open_existing(&config.accounts()).await?;
    let now_ms = now_ms();
    let expires_ms = now_ms.saturating_add(expires_s.saturating_mul(1000));
    for _ in 0..count {
        let wanted = Invited { made_by: None, uses, expires_ms, open_max: 0 };
        if let Some(made) = accounts.create_invite(wanted, now_ms).await? {
            writeln!(out, "{}", made.code)?;
        }
    }
    accounts.close().await;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn list(config: &Config, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    let accounts = Accounts::open_existing(&config.accounts()).await?;
    let mut after = 0;
    loop {
        let page = accounts.invites(None, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        for invite in &page {
            let made_by = invite.made_by.map_or_else(|| "operator".to_owned(), |user| user.to_string());
            let (left, uses) = (invite.uses_left, invite.uses);
            writeln!(out, "{}\t{made_by}\t{left}\t{uses}\t{}", invite.id, invite.expires_ms)?;
        }
    }
    accounts.close().await;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn revoke(config: &Config, id: u64) -> Result<ExitCode, Box<dyn Error>> {
    let accounts = Accounts::open_existing(&config.accounts()).await?;
    accounts.revoke_invite(None, id).await?;
    accounts.close().await;
    Ok(ExitCode::SUCCESS)
}
