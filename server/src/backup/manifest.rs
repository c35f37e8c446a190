//! What a backup says of itself: `maru-backup.json`, written last. Without it there is no backup.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::BackupError;

/// Its name in a backup.
pub const MANIFEST: &str = "maru-backup.json";
/// The layout of a backup that this program writes, and the newest that it reads.
const VERSION: u32 = 1;
/// Most that is read of a manifest: a store of a petabyte has fewer files than that.
const MANIFEST_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Read and written at a time.
const CHUNK_BYTES: usize = 1024 * 1024;
/// So much may wait in the kernel for the disk, so that the store's syncs never wait behind a whole backup.
const UNSYNCED_BYTES_MAX: usize = 16 * CHUNK_BYTES;

/// A backup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The layout of the backup.
    pub backup: u32,
    /// The program that made it.
    pub maru: String,
    /// The format of the data directory in it.
    pub data_format: u32,
    /// Where its accounts are: `sqlite`, within it, or `postgres`.
    pub accounts: String,
    /// When it was begun, milliseconds since the Unix epoch: what was acknowledged before is in it.
    pub began_ms: u64,
    /// Every file but this one.
    pub files: Vec<FileRecord>,
}

/// A file of a backup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Within the backup, with `/` between.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Hex.
    pub sha256: String,
}

/// What any version of a manifest says.
#[derive(Deserialize)]
struct Head {
    backup: u32,
    maru: String,
    data_format: u32,
}

impl Manifest {
    /// Of no files yet.
    #[must_use]
    pub fn new(accounts_are_in_it: bool, began_ms: u64) -> Self {
        Self {
            backup: VERSION,
            maru: env!("CARGO_PKG_VERSION").into(),
            data_format: storage::FORMAT,
            accounts: if accounts_are_in_it { "sqlite" } else { "postgres" }.into(),
            began_ms,
            files: Vec::new(),
        }
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Reads that of a backup.
    ///
    /// # Errors
    /// There is none, it is damaged, or a newer version of Maru made it.
    pub fn read(backup: &Path) -> Result<Self, BackupError> {
        let path = backup.join(MANIFEST);
        let mut text = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(MANIFEST_BYTES_MAX).read_to_end(&mut text));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let what = "is missing: this is no backup, or one that was cut short";
                return Err(BackupError::damaged(&path, what));
            }
            outcome => outcome.map_err(|error| BackupError::io(&path, &error))?,
        };
        let damaged = |error: serde_json::Error| BackupError::damaged(&path, error);
        let head: Head = serde_json::from_slice(&text).map_err(damaged)?;
        if head.backup > VERSION || head.data_format > storage::FORMAT {
            return Err(BackupError::Newer { maru: head.maru });
        }
        if head.data_format < storage::FORMAT_RAISED {
            return Err(BackupError::Older { maru: head.maru });
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(damaged)?;
        match manifest.files.iter().find(|file| !file.is_within()) {
            Some(file) => Err(BackupError::damaged(&path, format!("{:?} is no path of a backup", file.path))),
            None => Ok(manifest),
        }
    }

    /// Writes it, synced.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, backup: &Path) -> Result<(), BackupError> {
        let path = backup.join(MANIFEST);
        let write = || -> io::Result<()> {
            let mut text = serde_json::to_vec_pretty(self)?;
            text.push(b'\n');
            let mut file = File::create_new(&path)?;
            file.write_all(&text)?;
            file.sync_all()
        };
        write().map_err(|error| BackupError::io(&path, &error))
    }

    /// Reads every file, and finds the first that is not as it was.
    ///
    /// # Errors
    /// [`BackupError::Damaged`] with its name.
    pub fn verify(&self, backup: &Path) -> Result<(), BackupError> {
        self.files.iter().try_for_each(|file| {
            let path = backup.join(&file.path);
            let source = File::open(&path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => BackupError::damaged(&path, "is missing"),
                _ => BackupError::io(&path, &error),
            })?;
            let found = pump(source, &mut io::sink(), |_| Ok(()));
            file.compare(&path, found.map_err(|error| BackupError::io(&path, &error))?)
        })
    }
}

impl FileRecord {
    /// A hostile manifest names no file elsewhere.
    fn is_within(&self) -> bool {
        let path = Path::new(&self.path);
        !self.path.is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)))
    }

    /// Whether what was read at a path is what was written.
    ///
    /// # Errors
    /// [`BackupError::Damaged`]
    pub fn compare(&self, path: &Path, (bytes, sha256): (u64, String)) -> Result<(), BackupError> {
        if bytes != self.bytes {
            let what = format!("has {bytes} bytes and had {} when the backup was made", self.bytes);
            return Err(BackupError::damaged(path, what));
        }
        if sha256 != self.sha256 {
            return Err(BackupError::damaged(path, "has changed since the backup was made (SHA-256)"));
        }
        Ok(())
    }
}

/// Copies a file that is new at its place, synced; gives its size and SHA-256. `room` is asked before each chunk.
///
/// # Errors
/// The disk's, with the path that it is about.
pub fn copy(
    from: &Path,
    to: &Path,
    mut room: impl FnMut(u64) -> Result<(), BackupError>,
) -> Result<(u64, String), BackupError> {
    let source = File::open(from).map_err(|error| BackupError::io(from, &error))?;
    let mut target = File::create_new(to).map_err(|error| BackupError::io(to, &error))?;
    let mut refused = None;
    let copied = pump(source, &mut target, |bytes| {
        room(bytes).map_err(|error| {
            refused = Some(error);
            io::ErrorKind::StorageFull.into()
        })
    });
    let copied = copied.and_then(|copied| target.sync_all().map(|()| copied));
    copied.map_err(|error| refused.unwrap_or_else(|| BackupError::io(to, &error)))
}

/// A target that can be told to reach the disk.
trait Target: Write {
    fn settle(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Target for File {
    fn settle(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

impl Target for io::Sink {}

fn pump(
    mut source: File,
    target: &mut impl Target,
    mut before: impl FnMut(u64) -> io::Result<()>,
) -> io::Result<(u64, String)> {
    let (mut chunk, mut hash) = (vec![0; CHUNK_BYTES], Context::new(&SHA256));
    let (mut bytes, mut unsynced) = (0, 0);
    loop {
        let read = source.read(&mut chunk)?;
        let Some(part) = chunk.get(..read).filter(|part| !part.is_empty()) else { break };
        before(part.len() as u64)?;
        hash.update(part);
        target.write_all(part)?;
        (bytes, unsynced) = (bytes + part.len() as u64, unsynced + part.len());
        if unsynced >= UNSYNCED_BYTES_MAX {
            target.settle()?;
            unsynced = 0;
        }
    }
    Ok((bytes, crate::certificate::hex(hash.finish().as_ref())))
}

/// Every file below a directory, as paths from there, in order.
///
/// # Errors
/// The disk's.
pub fn files_below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(within) = open.pop() {
        for entry in std::fs::read_dir(directory.join(&within))? {
            let entry = entry?;
            let path = within.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Manifest, BackupError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(MANIFEST), text).unwrap();
        Manifest::read(folder.path())
    }

    #[test]
    fn what_is_no_manifest_is_refused_in_words() {
        let mut manifest = Manifest::new(true, 7);
        let text = |manifest: &Manifest| serde_json::to_string(manifest).unwrap();
        assert_eq!(read(&text(&manifest)).unwrap(), manifest);
        let whole = text(&manifest);
        for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
            assert!(read(&whole[..cut]).is_err(), "{cut}");
        }
        for path in ["../keys", "/etc/passwd", "", "store/../../x", "."] {
            manifest.files = vec![FileRecord { path: path.into(), bytes: 1, sha256: String::new() }];
            let words = read(&text(&manifest)).unwrap_err().to_string();
            assert!(words.contains("is no path of a backup"), "{path}: {words}");
        }
        let newer = r#"{"backup":2,"maru":"9.1.0","data_format":2,"more":[]}"#;
        assert!(read(newer).unwrap_err().to_string().contains("maru 9.1.0"));
        let newer = format!(r#"{{"backup":1,"maru":"9.2.0","data_format":{}}}"#, storage::FORMAT + 1);
        assert!(read(&newer).unwrap_err().to_string().contains("maru 9.2.0"));
        let older = r#"{"backup":1,"maru":"0.0.9","data_format":1}"#;
        assert!(read(older).unwrap_err().to_string().contains("migrate"));
        let words = Manifest::read(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(words.contains("maru-backup.json is missing"), "{words}");
    }
}
