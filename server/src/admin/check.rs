//! `maru admin check`: every promise of the store, the accounts' file, and that the two know the same users and devices.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use api::{Account, Accounts, Keys};
use protocol::query::{Answer, Query};
use protocol::{DeviceId, UserId};
use storage::{Store, Tier};

use crate::config::Config;

/// Accounts that are read at a time.
const PAGE: u32 = 500;

pub(super) async fn run(config: &Config, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    // Opening locks the directory, so a running server is refused before anything is read.
    let store = Store::open(&config.data, &config.storage())?;
    let mut broken_pipe = Ok(());
    let summary = store.check(&mut |finding| {
        if broken_pipe.is_ok() {
            broken_pipe = writeln!(out, "{finding}");
        }
    })?;
    broken_pipe?;
    let mut findings = Findings::default();
    match Accounts::open_existing(&config.accounts()).await {
        Ok(accounts) => {
            findings = compare(&accounts, &store).await?;
            findings.broken.extend(accounts.check().await?);
            accounts.close().await;
        }
        Err(error) => findings.broken.push(error.to_string()),
    }
    findings.broken.extend(Keys::open(&config.data).err().map(|error| error.to_string()));
    for finding in &findings.broken {
        writeln!(out, "broken: {finding}")?;
    }
    for finding in &findings.odd {
        writeln!(out, "odd: {finding}")?;
    }
    writeln!(
        out,
        "checked {} channels, {} messages, {} members, {} users, {} inbox entries in {} rows, {} devices, {} fan-out rows",
        summary.channels,
        summary.messages,
        summary.members,
        summary.users,
        summary.pointers,
        summary.runs,
        summary.devices,
        summary.fanout_rows,
    )?;
    let (broken, lost) = (summary.broken + findings.broken.len() as u64, summary.lost);
    let odd = summary.odd + findings.odd.len() as u64;
    writeln!(out, "odd {odd}, broken {broken}, lost {lost}")?;
    Ok(if summary.is_clean() && findings.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// SQL and the core know the same users and devices. What only a login that was cut short leaves behind, a device that
/// SQL has and the core does not, is odd and harmless: nobody has a token for it.
async fn compare(accounts: &Accounts, store: &Store) -> Result<Findings, Box<dyn Error>> {
    let mut findings = Findings::default();
    let mut after = UserId(0);
    let mut known = Vec::new();
    loop {
        let page = accounts.users_after(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.user;
        for account in &page {
            known.push(account.user);
            let listed = accounts.all_devices(account.user).await?;
            compare_user(account, &listed, store, &mut findings)?;
        }
    }
    for user in store.users()? {
        if known.binary_search(&user).is_err() && !accounts.has_left(user).await? {
            findings
                .broken
                .push(format!("user {user} has an account in the core, and the accounts have none"));
        }
    }
    Ok(findings)
}

/// What the accounts and the store say of each other.
#[derive(Default)]
struct Findings {
    broken: Vec<String>,
    odd: Vec<String>,
}

fn compare_user(
    account: &Account,
    listed: &[DeviceId],
    store: &Store,
    findings: &mut Findings,
) -> Result<(), Box<dyn Error>> {
    let (user, name) = (account.user, &account.name);
    let (row, devices) = match store.read(&Query::User(user), Tier::Any)? {
        Some(Answer::User { account, devices, .. }) => (account, devices),
        _ => (None, Vec::new()),
    };
    if account.in_core && row.is_none() {
        let words = format!("the account {user} ({name}) was confirmed, and its home does not know it");
        findings.broken.push(words);
    }
    let in_core = |device: &DeviceId| devices.iter().any(|(known, _)| known == device);
    for device in listed.iter().filter(|device| !in_core(device)) {
        let words =
            format!("device {device} of {user} ({name}) is unknown to the core: it has to log in again");
        findings.odd.push(words);
    }
    for (device, _) in devices.iter().filter(|(device, _)| !listed.contains(device)) {
        let words =
            format!("device {device} of {user} ({name}) is in the core, and the accounts do not know it");
        findings.broken.push(words);
    }
    let core_ms = row.map_or(0, |row| row.not_before_ms);
    if account.not_before_ms > core_ms {
        let words = format!(
            "{user} ({name}) refuses tokens of before {} in the accounts, of before {core_ms} in the core",
            account.not_before_ms
        );
        findings.broken.push(words);
    }
    Ok(())
}
