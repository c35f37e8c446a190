//! `maru admin restore`: a data directory of a backup.
//!
//! Nothing is written before all of the backup is verified. The marker is written last but one: until the file `RESTORING` is
//! gone no program takes the directory for a whole one.

use std::error::Error;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use api::{Accounts, Database};
use clap::Args;
use storage::Store;

use super::{Place, agree, check, revoke};
use crate::backup::manifest::{self, Manifest};
use crate::backup::{BackupError, make_holder, sync_directories};
use crate::config::Config;
use crate::directory::RESTORING;

const MARKER: &str = "MARU";

/// From where to where.
#[derive(Args, Clone, Debug)]
pub(super) struct Flags {
    #[command(flatten)]
    place: Place,
    /// The backup, as `maru admin backup` made it.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Log all devices of everybody out: those that were logged out after the backup would come back otherwise.
    #[arg(long)]
    revoke_all: bool,
}

pub(super) async fn run(flags: &Flags, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    let (config, from) = (flags.place.load()?, &flags.from);
    let manifest = Manifest::read(from)?;
    fits(&config, &manifest)?;
    manifest.verify(from)?;
    prepare(&config.data)?;
    copy(from, &config.data, &manifest)?;
    writeln!(out, "{} files, {} bytes: all as they were", manifest.files.len(), manifest.bytes())?;
    let store = Store::open(&config.data, &config.storage())?;
    store.renew()?;
    writeln!(out, "every inbox has a new generation: every device reads its channels anew")?;
    let accounts = Accounts::open_existing(&config.accounts()).await?;
    let differed = agree::agree(&store, &accounts, manifest.began_ms).await?;
    if differed > 0 {
        writeln!(out, "users who changed something while the backup was made: {differed}")?;
    }
    if flags.revoke_all {
        let ended = revoke::end_each(&store, &accounts, revoke::Wanted::All).await?;
        writeln!(out, "devices logged out: {ended}")?;
    }
    accounts.close().await;
    drop(store);
    let path = config.data.join(RESTORING);
    let whole = fs::remove_file(&path).and_then(|()| File::open(&config.data)?.sync_all());
    whole.map_err(|error| BackupError::io(&path, &error))?;
    check::run(&config, out).await
}

/// The accounts are where the backup has them.
fn fits(config: &Config, manifest: &Manifest) -> Result<(), String> {
    let is_sqlite = matches!(config.accounts(), Database::Sqlite(_));
    match (manifest.accounts.as_str(), is_sqlite) {
        ("sqlite", true) | ("postgres", false) => Ok(()),
        ("sqlite", false) => {
            Err("the accounts of the backup are in its SQLite file, and the setting `database` names a PostgreSQL".into())
        }
        _ => Err(
            "the accounts of the backup are in a PostgreSQL: restore its dump of the same time first, and name it by the setting `database`".into(),
        ),
    }
}

/// A directory that is not there yet, or empty.
fn prepare(data: &Path) -> Result<(), BackupError> {
    let wrong = |error: io::Error| BackupError::io(data, &error);
    DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(wrong)?;
    for entry in fs::read_dir(data).map_err(wrong)? {
        let name = entry.map_err(wrong)?.file_name();
        // What belongs to the volume.
        if name != "lost+found" && !name.to_string_lossy().starts_with('.') {
            let what = format!(
                "holds {name:?}; a backup is restored into an empty directory, or one that is not there yet"
            );
            return Err(BackupError::Occupied { path: data.to_owned(), what });
        }
    }
    let path = data.join(RESTORING);
    let write = || -> io::Result<()> {
        let mut file = File::create_new(&path)?;
        file.write_all(b"maru admin restore has not come to its end\n")?;
        file.sync_all()?;
        File::open(data)?.sync_all()
    };
    write().map_err(|error| BackupError::io(&path, &error))
}

fn copy(from: &Path, data: &Path, manifest: &Manifest) -> Result<(), BackupError> {
    let (marker, rest): (Vec<_>, Vec<_>) = manifest.files.iter().partition(|file| file.path == MARKER);
    if marker.is_empty() {
        return Err(BackupError::damaged(&from.join(MARKER), "is missing in the manifest"));
    }
    for file in rest.into_iter().chain(marker) {
        if file.path == MARKER {
            sync_directories(data)?;
        }
        let (source, target) = (from.join(&file.path), data.join(&file.path));
        make_holder(&target)?;
        let found = manifest::copy(&source, &target, |_| Ok(()))?;
        file.compare(&source, found)?;
    }
    sync_directories(data)
}
