//! `maru admin identities`: which people of identity providers are which users. Works on the accounts alone, also beside a
//! running server.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use api::{Accounts, now_ms};
use clap::{Args, Subcommand};

use super::{Place, accounts};
use crate::config::Config;

/// What to do with identities.
#[derive(Subcommand, Clone, Debug)]
pub(super) enum Task {
    /// Let somebody whom an identity provider names in as a user that is there. It counts at once.
    Link(Identity),
    /// No longer let them in as this user. Devices that are logged in stay: `maru admin revoke` ends them.
    Unlink(Identity),
    /// Print the user's identities: issuer and subject, separated by a tab.
    List {
        #[command(flatten)]
        place: Place,
        /// Whose.
        #[arg(long, value_name = "NAME")]
        user: String,
    },
}

/// Who is who.
#[derive(Args, Clone, Debug)]
pub(super) struct Identity {
    #[command(flatten)]
    place: Place,
    /// The user's name here.
    #[arg(long, value_name = "NAME")]
    user: String,
    /// The issuer, as it writes itself in the "iss" of its tokens.
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// The person, as the issuer writes it in "sub".
    #[arg(long, value_name = "TEXT")]
    subject: String,
}

pub(super) async fn run(task: &Task, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    match task {
        Task::Link(identity) => link(&identity.place.existing()?, identity, out).await?,
        Task::Unlink(identity) => unlink(&identity.place.existing()?, identity, out).await?,
        Task::List { place, user } => list(&place.existing()?, user, out).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn link(config: &Config, wanted: &Identity, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let Identity { user, issuer, subject, .. } = wanted;
    if issuer.is_empty() || !api::is_subject(subject) {
        return Err(
            "--issuer, --subject: expected texts of 1 to 255 characters, as the issuer's tokens have them"
                .into(),
        );
    }
    let accounts = Accounts::open_existing(&config.accounts()).await?;
    let account = accounts::found(&accounts, user).await?;
    let is_linked = accounts.link(account.user, issuer, subject, now_ms()).await?;
    accounts.close().await;
    if !is_linked {
        return Err(format!("{subject:?} of {issuer:?} is another user; unlink it there first").into());
    }
    writeln!(out, "{} logs in as {subject:?} of {issuer:?}", account.name)?;
    Ok(())
}

async fn unlink(config: &Config, wanted: &Identity, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let Identity { user, issuer, subject, .. } = wanted;
    let accounts = Accounts::open_existing(&config.accounts()).await?;
    let account = accounts::found(&accounts, user).await?;
    let was_linked = accounts.unlink(account.user, issuer, subject).await?;
    accounts.close().await;
    if !was_linked {
        return Err(format!("{} is not {subject:?} of {issuer:?}", account.name).into());
    }
    writeln!(out, "{} no longer logs in as {subject:?} of {issuer:?}", account.name)?;
    Ok(())
}

async fn list(config: &Config, user: &str, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let accounts = Accounts::open_existing(&config.accounts()).await?;
    let account = accounts::found(&accounts, user).await?;
    for (issuer, subject) in accounts.identities(account.user).await? {
        writeln!(out, "{issuer}\t{subject}")?;
    }
    accounts.close().await;
    Ok(())
}
