//! The data directory as a whole: what a first start makes in it, and what has to be there at every other one.
//!
//! Whatever cannot be missing is made once. When all of it is there the marker promises it ([`storage::promise`]); from then
//! on a part that is gone or empty ends the start with its name. A first start that was cut short goes on, as long as nobody
//! has an account.

use std::error::Error;
use std::path::Path;

use api::{Accounts, AdminTokens, Database, Keys, now_ms};
use storage::Store;

use crate::certificate::OWN_KEY;
use crate::config::{Config, StoreKind};

/// In a directory that a restore has not finished.
pub const RESTORING: &str = "RESTORING";
/// In a directory that an import has not finished.
pub const IMPORTING: &str = "IMPORTING";
/// What stands in the marker for SQLite's file, and for accounts that are elsewhere.
const SQLITE: &str = "accounts.sqlite";
const POSTGRES: &str = "accounts-in-postgres";

/// What is in a directory besides the store.
#[derive(Debug)]
pub struct Parts {
    /// Signing keys.
    pub keys: Keys,
    /// The operators'.
    pub admin: AdminTokens,
    /// The relational side.
    pub accounts: Accounts,
}

/// Opens the store of a directory, or creates it in an empty one. It locks the directory: nothing else is touched before.
///
/// # Errors
/// [`storage::StoreError`], or a restore that was cut short.
pub fn open_store(config: &Config) -> Result<Store, Box<dyn Error>> {
    refuse_half_restored(&config.data)?;
    Ok(Store::open(&config.data, &config.storage())?)
}

/// Nothing works on a directory that holds half of a backup, or of an import.
///
/// # Errors
/// Words for the operator.
pub fn refuse_half_restored(data: &Path) -> Result<(), String> {
    if data.join(RESTORING).exists() {
        return Err(format!(
            "{} was not restored to the end: empty it and run `maru admin restore` again",
            data.display()
        ));
    }
    if data.join(IMPORTING).exists() {
        return Err(format!(
            "{} was not imported to the end: empty it and run `maru admin import` again",
            data.display()
        ));
    }
    Ok(())
}

/// Opens what is beside the store, and makes what a first start makes.
///
/// # Errors
/// What is missing, emptied or cannot be read.
pub async fn open_parts(config: &Config, store: &Store) -> Result<Parts, Box<dyn Error>> {
    let data = &config.data;
    let promised = storage::promised(data)?;
    match &promised {
        Some(names) => names.iter().try_for_each(|name| is_there(config, name))?,
        // A directory of before 0.2.0 promises nothing; with people in it, it is no new one.
        None if config.store == StoreKind::Rocks => {
            let parts = ["keys", if is_sqlite(config) { SQLITE } else { POSTGRES }];
            let missing = parts.iter().find_map(|name| is_there(config, name).err());
            if let Some(missing) = missing.filter(|_| !store.users().is_ok_and(|users| users.is_empty())) {
                return Err(missing.into());
            }
        }
        None => {}
    }
    let is_whole = promised.is_some();
    let keys = if is_whole { Keys::open(data) } else { Keys::open_or_create(data, now_ms()) }?;
    let admin = AdminTokens::open_or_create(data)?;
    let database = config.accounts();
    let accounts =
        if is_whole { Accounts::open_existing(&database).await } else { Accounts::open(&database).await }?;
    Ok(Parts { keys, admin, accounts })
}

/// All that a start makes is there now: from here on it cannot be missing.
///
/// # Errors
/// The marker cannot be replaced.
pub fn promise(config: &Config) -> Result<(), Box<dyn Error>> {
    let mut names = vec!["keys", if is_sqlite(config) { SQLITE } else { POSTGRES }];
    if config.data.join(OWN_KEY).exists() {
        names.push(OWN_KEY);
    }
    Ok(storage::promise(&config.data, &names)?)
}

/// Makes a directory where there is none, or an empty one, for a tool that comes before the first start, or goes on where one
/// was cut short. A whole one is not touched: a server may be running on it.
///
/// # Errors
/// As [`open_store`] and [`open_parts`].
pub async fn make_if_new(config: &Config) -> Result<(), Box<dyn Error>> {
    refuse_half_restored(&config.data)?;
    if storage::promised(&config.data)?.is_some() {
        return Ok(());
    }
    let store = open_store(config)?;
    let parts = open_parts(config, &store).await?;
    parts.accounts.close().await;
    promise(config)
}

fn is_sqlite(config: &Config) -> bool {
    matches!(config.accounts(), Database::Sqlite(_))
}

/// One promised part, as far as it can be seen without opening it.
fn is_there(config: &Config, name: &str) -> Result<(), String> {
    let data = config.data.display();
    match name {
        SQLITE if !is_sqlite(config) => Err(format!(
            "the accounts of {data} are in its file accounts.sqlite, and the setting `database` names a PostgreSQL; \
             set it back: there is no tool that moves accounts"
        )),
        POSTGRES if is_sqlite(config) => Err(format!(
            "the accounts of {data} are in a PostgreSQL, and the setting `database` names none; set it as it was"
        )),
        POSTGRES => Ok(()),
        OWN_KEY if config.tls_cert.is_some() => Ok(()),
        OWN_KEY if !config.data.join(OWN_KEY).exists() => Err(format!(
            "{data}/{OWN_KEY} is missing: devices know this server by that key. Put it back from a backup, with tls.crt.pem; \
             or, to have another made that no device knows yet, take the line `must {OWN_KEY}` out of {data}/MARU"
        )),
        name if !config.data.join(name).exists() => Err(format!(
            "{data}/{name} is missing, and it is not made anew: nobody could log in as before. Put it back from a backup, or \
             restore the whole directory (docs/operations.md, Backup and restore)"
        )),
        _ => Ok(()),
    }
}
