//! Backups: everything of a data directory, as it was at one moment, while the server goes on.
//!
//! 1. **The store** is a checkpoint: hard links within the data directory, which take no room and no time.
//! 2. **The accounts** are copied after it. So they are the newer part, and the restore makes the store say what they say:
//!    a device that was logged out meanwhile stays out.
//! 3. Then all of it is copied to the target under another name, with its checksums, synced, and gets its name last. The
//!    target shares no file with the server, so that nobody changes the server's by changing the backup's.
//!
//! Nothing but a whole backup has the target's name; what a crash leaves is called `NAME.partial`.

pub mod manifest;
pub mod running;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use api::{Accounts, AccountsError, BackupRefused};
use storage::{Store, StoreError};

use crate::owner::outside;
use crate::space::{Keep, Space};
use manifest::{FileRecord, MANIFEST, Manifest};

/// Where a backup is gathered, within the data directory.
const STAGE: &str = "backup.making";
/// Besides store and accounts. They are small and replaced as a whole; not all are there.
const SMALL: [&str; 7] =
    ["keys", "admin.token", "admin.tokens", "vapid.key", "tls.crt.pem", "tls.key.pem", "MARU"];

/// Why there is no backup, or no restore.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Not a place for one.
    #[error("{}: {what}", .path.display())]
    Place {
        /// Where.
        path: PathBuf,
        /// Why not.
        what: String,
    },
    /// Something is there.
    #[error("{} {what}", .path.display())]
    Occupied {
        /// Where.
        path: PathBuf,
        /// What.
        what: String,
    },
    /// The disk has no room for it.
    #[error("no room at {}: {what}; nothing is left of the backup", .path.display())]
    NoSpace {
        /// Where.
        path: PathBuf,
        /// How much.
        what: String,
    },
    /// A file of a backup is not as it was.
    #[error("{} {what}; this backup is not restored, take another", .path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Of a newer Maru.
    #[error(
        "the backup was made by maru {maru}, which is newer than this program; restore it with that version"
    )]
    Newer {
        /// Its version.
        maru: String,
    },
    /// Of a format that this program does not use any more.
    #[error(
        "the backup was made by maru {maru}, whose data directories are older; restore it with that version, then run `maru admin migrate`"
    )]
    Older {
        /// Its version.
        maru: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {error}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The accounts.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
}

impl BackupError {
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        if error.kind() == io::ErrorKind::StorageFull || error.kind() == io::ErrorKind::QuotaExceeded {
            return Self::NoSpace { path, what: error.to_string() };
        }
        // An error of the system is told again: it cannot be cloned.
        let error = error
            .raw_os_error()
            .map_or_else(|| io::Error::other(error.to_string()), io::Error::from_raw_os_error);
        Self::Io { path, error }
    }

    pub(crate) fn damaged(path: &Path, what: impl std::fmt::Display) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.to_string() }
    }
}

impl From<BackupError> for BackupRefused {
    fn from(error: BackupError) -> Self {
        let words = error.to_string();
        match error {
            BackupError::Place { .. } | BackupError::Io { .. } => Self::Place(words),
            BackupError::NoSpace { .. } => Self::NoSpace(words),
            _ => Self::Conflict(words),
        }
    }
}

/// Where a backup goes, and what has to stay free there.
#[derive(Clone, Debug)]
pub struct Target {
    to: PathBuf,
    partial: PathBuf,
    holder: PathBuf,
    /// Of this disk so much is the server's.
    reserve: u64,
}

impl Target {
    /// A directory that is not there yet, or empty, outside the data directory.
    ///
    /// # Errors
    /// [`BackupError::Place`] or [`BackupError::Occupied`].
    pub fn at(to: &Path, data: &Path, keep: Keep) -> Result<Self, BackupError> {
        let refuse = |what: &str| Err(BackupError::Place { path: to.to_owned(), what: what.to_owned() });
        let (Some(holder), Some(name)) = (to.parent(), to.file_name()) else {
            return refuse("expected the path of a directory for the backup");
        };
        if !to.is_absolute() || to.components().any(|part| part == Component::ParentDir) {
            return refuse("expected an absolute path without `..`");
        }
        let holder = holder.canonicalize().map_err(|error| BackupError::Place {
            path: holder.to_owned(),
            what: format!("{error}; the directory that is to hold the backup has to be there"),
        })?;
        let data = data.canonicalize().map_err(|error| BackupError::io(data, &error))?;
        let to = holder.join(name);
        if to.starts_with(&data) || data.starts_with(&to) {
            return refuse(
                "it is within the data directory, or holds it; a backup goes elsewhere, best to another disk",
            );
        }
        let occupied = |path: &Path, what: &str| {
            Err(BackupError::Occupied { path: path.to_owned(), what: what.to_owned() })
        };
        match fs::read_dir(&to).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Ok(false) => {
                return occupied(&to, "is there and not empty; name a directory that is not there yet");
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && to.symlink_metadata().is_err() => {}
            Err(error) => return occupied(&to, &format!("is there and no empty directory ({error})")),
        }
        let mut partial = to.clone().into_os_string();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        if partial.symlink_metadata().is_ok() {
            return occupied(&partial, "is there: what is left of a backup that was cut short; remove it");
        }
        let device = |path: &Path| {
            fs::metadata(path).map(|meta| meta.dev()).map_err(|error| BackupError::io(path, &error))
        };
        let reserve = if device(&holder)? == device(&data)? {
            Space::of(&holder).map_err(|error| BackupError::io(&holder, &error))?.reserve(keep)
        } else {
            0
        };
        Ok(Self { to, partial, holder, reserve })
    }

    /// Whether so much fits, and the server's reserve beside it.
    ///
    /// # Errors
    /// [`BackupError::NoSpace`]
    pub fn has_room(&self, bytes: u64) -> Result<(), BackupError> {
        let free = Space::of(&self.holder).map_err(|error| BackupError::io(&self.holder, &error))?.free;
        if free >= bytes.saturating_add(self.reserve) {
            return Ok(());
        }
        let what = format!(
            "{bytes} bytes are to be written, {free} are free{}",
            if self.reserve > 0 {
                format!(", and {} of them are the server's reserve", self.reserve)
            } else {
                String::new()
            }
        );
        Err(BackupError::NoSpace { path: self.holder.clone(), what })
    }

    /// Copies what was gathered, and gives it its name.
    fn fill(&self, stage: &Path, mut manifest: Manifest) -> Result<Manifest, BackupError> {
        DirBuilder::new()
            .mode(0o700)
            .create(&self.partial)
            .map_err(|error| BackupError::io(&self.partial, &error))?;
        let filled = self.fill_partial(stage, &mut manifest);
        if filled.is_err() {
            // Half a backup is none.
            let _ = fs::remove_dir_all(&self.partial);
        }
        filled.map(|()| manifest)
    }

    fn fill_partial(&self, stage: &Path, manifest: &mut Manifest) -> Result<(), BackupError> {
        for path in manifest::files_below(stage).map_err(|error| BackupError::io(stage, &error))? {
            let (from, to) = (stage.join(&path), self.partial.join(&path));
            make_holder(&to)?;
            let (bytes, sha256) = manifest::copy(&from, &to, |bytes| self.has_room(bytes))?;
            manifest.files.push(FileRecord { path: path.to_string_lossy().into_owned(), bytes, sha256 });
        }
        manifest.write(&self.partial)?;
        sync_directories(&self.partial)?;
        let named =
            fs::rename(&self.partial, &self.to).and_then(|()| fs::File::open(&self.holder)?.sync_all());
        named.map_err(|error| BackupError::io(&self.to, &error))
    }
}

/// The directory of a file, for its owner alone.
pub(crate) fn make_holder(file: &Path) -> Result<(), BackupError> {
    let Some(holder) = file.parent() else { return Ok(()) };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(holder);
    made.map_err(|error| BackupError::io(holder, &error))
}

/// The names of all files below are on stable storage.
pub(crate) fn sync_directories(top: &Path) -> Result<(), BackupError> {
    let mut directories = vec![top.to_owned()];
    let mut all = Vec::new();
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory).map_err(|error| BackupError::io(&directory, &error))?;
        directories.extend(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()));
        all.push(directory);
    }
    all.iter().try_for_each(|directory| {
        let synced = fs::File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| BackupError::io(directory, &error))
    })
}

/// What a backup that was cut short left in the data directory.
pub fn clear(data: &Path) {
    if let Err(error) = fs::remove_dir_all(data.join(STAGE))
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "what is left of a backup ({STAGE}) cannot be removed");
    }
}

/// Makes a backup of an open data directory.
///
/// # Errors
/// [`BackupError`]; then nothing is left of it.
pub async fn make(
    data: &Path,
    store: Arc<Store>,
    accounts: &Accounts,
    target: Target,
) -> Result<Manifest, BackupError> {
    clear(data);
    let stage = data.join(STAGE);
    let made = gather(data, &stage, store, accounts).await;
    let filled = match made {
        Ok(manifest) => {
            blocking({
                let stage = stage.clone();
                move || {
                    outside(|| target.fill(&stage, manifest))
                        .map_err(|error| BackupError::io(&stage, &error))?
                }
            })
            .await
        }
        Err(error) => Err(error),
    };
    let data = data.to_owned();
    blocking(move || {
        clear(&data);
        filled
    })
    .await
}

/// The store first, the accounts after it, the rest last.
async fn gather(
    data: &Path,
    stage: &Path,
    store: Arc<Store>,
    accounts: &Accounts,
) -> Result<Manifest, BackupError> {
    let began_ms = api::now_ms();
    DirBuilder::new().mode(0o700).create(stage).map_err(|error| BackupError::io(stage, &error))?;
    let to = stage.join("store");
    blocking(move || Ok(store.checkpoint(&to)?)).await?;
    let has_accounts = accounts.copy_to(&stage.join("accounts.sqlite")).await?;
    for name in SMALL {
        match fs::copy(data.join(name), stage.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(BackupError::io(&data.join(name), &error));
            }
            _ => {}
        }
    }
    Ok(Manifest::new(has_accounts, began_ms))
}

/// Off the threads that serve requests.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(BackupError::io(Path::new(MANIFEST), &io::Error::other(error.to_string())))
    })
}
