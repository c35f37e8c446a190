//! `maru admin check`: every promise of the stores, the accounts' file, and that the two know the same users.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use api::{Accounts, Keys};
use protocol::UserId;
use protocol::query::{Answer, Query};
use storage::{Stores, Tier};

use crate::config::Config;

/// Accounts that are read at a time.
const PAGE: u32 = 500;

pub(super) async fn run(config: &Config, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    // Opening locks the directory, so a running server is refused before anything is read.
    let stores = Stores::open(&config.data, &config.storage())?;
    let mut broken_pipe = Ok(());
    let summary = stores.check(&mut |finding| {
        if broken_pipe.is_ok() {
            broken_pipe = writeln!(out, "{finding}");
        }
    })?;
    broken_pipe?;
    let mut findings = Vec::new();
    match Accounts::open_existing(&config.data).await {
        Ok(accounts) => {
            findings.extend(accounts.check().await?);
            findings.extend(compare(&accounts, &stores).await?);
            accounts.close().await;
        }
        Err(error) => findings.push(error.to_string()),
    }
    findings.extend(Keys::open(&config.data).err().map(|error| error.to_string()));
    for finding in &findings {
        writeln!(out, "broken: {finding}")?;
    }
    writeln!(
        out,
        "checked {} channels, {} messages, {} members, {} users, {} inbox entries, {} devices, {} fan-out rows",
        summary.channels,
        summary.messages,
        summary.members,
        summary.users,
        summary.pointers,
        summary.devices,
        summary.fanout_rows,
    )?;
    let (broken, lost) = (summary.broken + findings.len() as u64, summary.lost);
    writeln!(out, "odd {}, broken {broken}, lost {lost}", summary.odd)?;
    Ok(if summary.is_clean() && findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whoever the core has confirmed to know must be known to it.
async fn compare(accounts: &Accounts, stores: &Stores) -> Result<Vec<String>, Box<dyn Error>> {
    let mut findings = Vec::new();
    let mut after = UserId(0);
    loop {
        let page = accounts.users_after(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(findings) };
        after = last.user;
        for account in page.iter().filter(|account| account.in_core) {
            let answer = stores.read(&Query::User(account.user), Tier::Any)?;
            if !matches!(answer, Some(Answer::User { account: Some(_), .. })) {
                let (user, name) = (account.user, &account.name);
                findings.push(format!(
                    "the account {user} ({name}) was confirmed, and its home does not know it"
                ));
            }
        }
    }
}
