//! `maru admin`: looking after a data directory.
//!
//! `check`, `renew`, `restore`, `import`, `migrate`, `backup`, `create-users`, `token`, and `revoke`, `password`, `delete-user` and `keys` without `--server` and `stats --data` need a stopped one. The
//! others work on the accounts alone or ask the server, also beside a running one.

mod accounts;
mod agree;
pub(crate) mod ask;
mod backup;
pub(crate) mod bulk;
mod check;
mod doctor;
mod erase;
mod export;
mod families;
mod identities;
mod import;
mod invites;
mod keeping;
mod keys;
mod migrate;
mod person;
mod push;
mod quota;
mod renew;
mod reports;
mod restore;
mod revoke;
mod search;
mod show;
mod stats;
mod tokens;
mod trace;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config::{self, Config};
use crate::{directory, owner};

use ask::TrustFlags;

/// What `maru admin` takes.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    #[command(subcommand)]
    task: Task,
}

/// Which data directory: the same flags, variables and file as those of `maru serve`.
#[derive(Args, Clone, Debug)]
struct Place {
    /// Data directory.
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Subcommand, Clone, Debug)]
enum Task {
    /// Verify everything that a stopped data directory promises; exit code 1 when something is wrong.
    Check(Place),
    /// Look at this machine and at the settings, and say what to change: limits, kernel, disk, certificate, ports. Changes nothing;
    /// also beside a running server. Exit code 1 when something is wrong.
    Doctor {
        #[command(flatten)]
        place: Place,
        /// Print an object with the findings.
        #[arg(long)]
        json: bool,
    },
    /// Give a stopped data directory that came back from a backup a new generation, so that no device believes to hold
    /// what was lost. Run it once, after the restore and before the first start.
    Renew(Place),
    /// Copy everything into a new directory, as it is at this moment: of a running server with --server, which goes on, or of
    /// a stopped data directory.
    Backup(backup::Flags),
    /// Make a data directory of a backup: it is verified first, every inbox begins a new life, so that no device believes to
    /// hold what was lost, and at the end everything is checked as by `check`.
    Restore(restore::Flags),
    /// Write a channel or a user of the running server as JSON Lines: an object a line, from one moment. The last line counts the
    /// others, so that a part is known as one.
    Export {
        #[command(subcommand)]
        task: export::Task,
    },
    /// Make a new data directory of exported channels: messages keep their ids, numbers and times, and people come with them, without
    /// passwords and devices. Everything is checked as by `check`; what cannot be imported whole is not imported.
    Import(import::Flags),
    /// Move a stopped data directory of an older format to the format of this program. The old stores are kept beside
    /// the new one until you remove them.
    Migrate(Place),
    /// Make an account; prints its id. The password is the first line of stdin unless --password-env names it.
    CreateUser {
        #[command(flatten)]
        place: Place,
        /// The new account's name.
        name: String,
        /// The environment variable that holds the password.
        #[arg(long, value_name = "VAR")]
        password_env: Option<String>,
    },
    /// Make many accounts without passwords and write a token for each device; for load tests. Needs a stopped server;
    /// a running one makes them by POST /v1/admin/users.
    CreateUsers {
        #[command(flatten)]
        place: Place,
        /// How many.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        count: u32,
        /// Names are PREFIX and a number; those that are there already are kept.
        #[arg(long, default_value = "load", value_name = "PREFIX")]
        prefix: String,
        /// Devices of each.
        #[arg(long, default_value_t = 1, value_name = "N",
            value_parser = clap::value_parser!(u32).range(1..=protocol::limits::DEVICES_MAX as i64))]
        devices: u32,
        /// Where the lines `user TAB device TAB token` go.
        #[arg(long, value_name = "FILE")]
        tokens: PathBuf,
        /// Seconds that the tokens are valid; a week when left out. Nothing renews them.
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
        ttl: Option<u64>,
    },
    /// Print every account: id, name, and when it was made (milliseconds since 1970), separated by tabs.
    ListUsers(Place),
    /// Print an access token. A device that does not exist is made. Needs a stopped server; a running one gives a token
    /// by POST /v1/admin/token.
    Token {
        #[command(flatten)]
        place: Place,
        /// Whose.
        #[arg(long, value_name = "NAME")]
        user: String,
        /// The device that the token is for.
        #[arg(long, value_name = "ID")]
        device: Option<u64>,
        /// Seconds that it is valid; a week when left out. Nothing renews it.
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
        ttl: Option<u64>,
        /// Print an object with token, user, device and expires_ms.
        #[arg(long)]
        json: bool,
    },
    /// Turn a user's second factor off, for one who has lost the app and the recovery codes; also beside a running server.
    /// Make sure that it is the user who asks.
    TwoFactorOff {
        #[command(flatten)]
        place: Place,
        /// Whose.
        #[arg(long, value_name = "NAME")]
        user: String,
    },
    /// End devices: their sessions are closed, and no token that they hold is good any more. All devices of a user, one of
    /// them, or those of everybody. In a stopped data directory, or with --server on the running server that uses it.
    Revoke {
        #[command(flatten)]
        place: Place,
        /// Whose.
        #[arg(long, value_name = "NAME", required_unless_present = "all")]
        user: Option<String>,
        /// Only this device.
        #[arg(long, value_name = "ID", requires = "user")]
        device: Option<u64>,
        /// Everybody's.
        #[arg(long, conflicts_with_all = ["user", "device"])]
        all: bool,
        /// The running server's admin listener, e.g. http://127.0.0.1:8082. The token is read in the data directory.
        #[arg(long, value_name = "URL")]
        server: Option<String>,
        #[command(flatten)]
        trust: TrustFlags,
    },
    /// Give a user another password; all devices of the user are logged out. The password is the first line of stdin unless
    /// --password-env names it. In a stopped data directory, or with --server on the running server that uses it.
    Password {
        #[command(flatten)]
        place: Place,
        /// Whose.
        #[arg(long, value_name = "NAME")]
        user: String,
        /// The environment variable that holds the password.
        #[arg(long, value_name = "VAR")]
        password_env: Option<String>,
        /// The running server's admin listener, e.g. http://127.0.0.1:8082. The token is read in the data directory.
        #[arg(long, value_name = "URL")]
        server: Option<String>,
        #[command(flatten)]
        trust: TrustFlags,
    },
    /// Erase an account with its devices, tokens and invites. Messages stay, by an id that nobody has any more. In a stopped
    /// data directory, or with --server on the running server that uses it.
    DeleteUser {
        #[command(flatten)]
        place: Place,
        /// Whose.
        #[arg(long, value_name = "NAME")]
        user: String,
        /// The running server's admin listener, e.g. http://127.0.0.1:8082. The token is read in the data directory.
        #[arg(long, value_name = "URL")]
        server: Option<String>,
        #[command(flatten)]
        trust: TrustFlags,
    },
    /// Make invites and print their codes, one a line. Beside a running server too.
    Invite {
        #[command(flatten)]
        place: Place,
        /// How many invites.
        #[arg(long, default_value_t = 1, value_name = "N",
            value_parser = clap::value_parser!(u32).range(1..=i64::from(api::INVITES_PER_REQUEST)))]
        count: u32,
        /// How many people each lets in.
        #[arg(long, default_value_t = 1, value_name = "N",
            value_parser = clap::value_parser!(u32).range(1..=i64::from(api::INVITE_USES_MAX)))]
        uses: u32,
        /// Seconds that they are good.
        #[arg(long, default_value_t = api::INVITE_S, value_name = "SECONDS",
            value_parser = clap::value_parser!(u64).range(api::INVITE_S_MIN..=api::INVITE_S_MAX))]
        expires: u64,
    },
    /// Print every invite: its number, who made it, uses left, uses, and when it ends (milliseconds since 1970), separated
    /// by tabs. Codes are not kept.
    ListInvites(Place),
    /// Revoke an invite. Beside a running server too.
    RevokeInvite {
        #[command(flatten)]
        place: Place,
        /// The number that list-invites prints.
        #[arg(value_name = "ID", value_parser = clap::value_parser!(u64).range(1..=i64::MAX as u64))]
        id: u64,
    },
    /// Print counters: of a running server, or of a stopped data directory.
    Stats {
        #[command(flatten)]
        place: Place,
        /// The running server's admin listener, e.g. http://127.0.0.1:8082.
        #[arg(long, value_name = "URL", conflicts_with_all = ["data", "config"])]
        server: Option<String>,
        #[command(flatten)]
        trust: TrustFlags,
        /// A file with a token that may read metrics, where the server asks for one.
        #[arg(long, value_name = "FILE", requires = "server")]
        token_file: Option<PathBuf>,
    },
    /// Which people of identity providers are which users: link, unlink, list.
    Identities {
        #[command(subcommand)]
        task: identities::Task,
    },
    /// Channels whose history has a RocksDB family of its own: list, give, return.
    Families {
        #[command(subcommand)]
        task: families::Task,
    },
    /// Purge messages of a channel on the running server: they are gone, with all that was said about them, and cannot be brought back.
    /// Prints what the channel keeps.
    Purge(keeping::Purge),
    /// How long a channel keeps its messages, in place of the server's settings, on the running server. Without flags: what it is.
    Retention(keeping::Retention),
    /// Erase what a user who has left wrote, on the running server, also where `erase_history` keeps it. It goes on by itself.
    Erase(erase::Erase),
    /// Erasures of users who have left, on the running server: when each began and ended.
    Erasures(erase::Erasures),
    /// The index that finds messages by their words: status, rebuild.
    Search {
        #[command(subcommand)]
        task: search::Task,
    },
    /// Notifications, on the running server: call a user's subscriptions, list what was tried too often.
    Push {
        #[command(subcommand)]
        task: push::Task,
    },
    /// Messages that somebody reported, on the running server: list, close.
    Reports {
        #[command(subcommand)]
        task: reports::Task,
    },
    /// What one user may do in an hour, in place of the server's settings, on the running server: groups made, direct channels begun,
    /// mebibytes of messages. Prints the user's own bounds, changed as the flags say; 0 is any number, null the server's setting.
    Quota(quota::Flags),
    /// What became of one message, on the running server: stored, in whose inboxes, at which devices, what was pushed and what
    /// the providers answered. Never what was said.
    Trace(trace::Flags),
    /// Users, their devices, sessions and channels, on the running server.
    Show {
        #[command(subcommand)]
        task: show::Task,
    },
    /// End the running server as SIGTERM does: it finishes what it has admitted and tells its clients to come back.
    Drain {
        #[command(flatten)]
        place: Place,
        /// Its admin listener, e.g. http://127.0.0.1:8082. The token is read in the data directory.
        #[arg(long, value_name = "URL")]
        server: String,
        #[command(flatten)]
        trust: TrustFlags,
    },
    /// The keys that sign access tokens: list, rotate, retire.
    Keys {
        #[command(subcommand)]
        task: keys::Task,
    },
    /// Tokens of operators for a server, which may be running: add, list, remove.
    Tokens {
        #[command(subcommand)]
        task: tokens::Task,
    },
}

impl Place {
    fn settings(&self) -> Result<Config, config::ConfigError> {
        let data = self.data.iter().map(|data| ("data".to_owned(), data.clone()));
        config::load(&data.collect::<Vec<_>>(), config::environment(), self.config.as_deref())
    }

    /// From here on root acts as the owner of the directory.
    fn load(&self) -> Result<Config, Box<dyn Error>> {
        let config = self.settings()?;
        directory::refuse_half_restored(&config.data)?;
        let acting = owner::act_as_owner_of(&config.data);
        acting.map_err(|error| format!("cannot act as the owner of {}: {error}", config.data.display()))?;
        Ok(config)
    }

    /// A directory that a server has used.
    fn existing(&self) -> Result<Config, Box<dyn Error>> {
        let config = self.load()?;
        if !config.data.join("MARU").exists() {
            return Err(format!("{} is not a Maru data directory", config.data.display()).into());
        }
        Ok(config)
    }
}

/// Carries the task out.
///
/// # Errors
/// Whatever kept it from being carried out; words for the operator.
pub fn run(flags: &Flags) -> Result<ExitCode, Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        match &flags.task {
            Task::Check(place) => check::run(&place.existing()?, &mut out).await,
            Task::Doctor { place, json } => doctor::run(place.settings(), *json, &mut out).await,
            Task::Renew(place) => renew::run(&place.existing()?, &mut out),
            Task::Backup(flags) => backup::run(flags, &mut out).await,
            Task::Restore(flags) => restore::run(flags, &mut out).await,
            Task::Export { task } => export::run(task, &mut out).await,
            Task::Import(flags) => import::run(flags, &mut out).await,
            Task::Migrate(place) => migrate::run(&place.existing()?, &mut out),
            Task::CreateUser { place, name, password_env } => {
                let password = accounts::password(password_env.as_deref(), std::io::stdin().lock())?;
                accounts::create_user(&place.load()?, name, &password, &mut out).await
            }
            Task::CreateUsers { place, count, prefix, devices, tokens, ttl } => {
                let wanted = bulk::Wanted { count: *count, prefix, devices: *devices, tokens, ttl_s: *ttl };
                bulk::create_users(&place.load()?, &wanted, &mut out).await
            }
            Task::ListUsers(place) => accounts::list_users(&place.load()?, &mut out).await,
            Task::Token { place, user, device, ttl, json } => {
                let wanted = accounts::Wanted { user, device: *device, ttl_s: *ttl, json: *json };
                accounts::token(&place.load()?, wanted, &mut out).await
            }
            Task::TwoFactorOff { place, user } => {
                accounts::two_factor_off(&place.existing()?, user, &mut out).await
            }
            Task::Revoke { place, user, device, server, trust, .. } => {
                let wanted = revoke::Wanted::of(user.as_deref(), *device);
                match server {
                    Some(url) => revoke::on_server(&place.existing()?, url, trust, wanted, &mut out).await,
                    None => revoke::in_directory(&place.existing()?, wanted, &mut out).await,
                }
            }
            Task::Password { place, user, password_env, server, trust } => {
                let password = accounts::password(password_env.as_deref(), std::io::stdin().lock())?;
                let server = server.as_deref().map(|url| (url, trust));
                let change = person::Change::Password(&password);
                person::change(&place.existing()?, user, server, change, &mut out).await
            }
            Task::DeleteUser { place, user, server, trust } => {
                let server = server.as_deref().map(|url| (url, trust));
                person::change(&place.existing()?, user, server, person::Change::Erase, &mut out).await
            }
            Task::Invite { place, count, uses, expires } => {
                invites::make(&place.existing()?, *count, *uses, *expires, &mut out).await
            }
            Task::ListInvites(place) => invites::list(&place.existing()?, &mut out).await,
            Task::RevokeInvite { place, id } => invites::revoke(&place.existing()?, *id).await,
            Task::Stats { server: Some(url), trust, token_file, .. } => {
                stats::of_server(url, trust, token_file.as_deref(), &mut out).await
            }
            Task::Stats { place, .. } => stats::of_directory(&place.existing()?, &mut out).await,
            Task::Identities { task } => identities::run(task, &mut out).await,
            Task::Drain { place, server, trust } => ask::drain(&place.existing()?, server, trust).await,
            Task::Families { task } => families::run(task, &mut out).await,
            Task::Purge(flags) => keeping::purge(flags, &mut out).await,
            Task::Retention(flags) => keeping::retention(flags, &mut out).await,
            Task::Erase(flags) => erase::begin(flags, &mut out).await,
            Task::Erasures(flags) => erase::list(flags, &mut out).await,
            Task::Search { task } => search::run(task, &mut out).await,
            Task::Push { task } => push::run(task, &mut out).await,
            Task::Reports { task } => reports::run(task, &mut out).await,
            Task::Quota(flags) => quota::run(flags, &mut out).await,
            Task::Trace(flags) => trace::run(flags, &mut out).await,
            Task::Show { task } => show::run(task, &mut out).await,
            Task::Keys { task } => keys::run(task, &mut out).await,
            Task::Tokens { task } => tokens::run(task, &mut out),
        }
    })
}

#[cfg(test)]
mod tests;
