//! Small files with secrets, in the data directory: for their owner alone, made once.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// What is wrong with such a file.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// It cannot be read or written.
    #[error("the secret file {path}: {error}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Others than its owner may read it.
    #[error("the secret file {path} has mode {mode:o}; must be 600: others must not read it")]
    Mode {
        /// Which file.
        path: PathBuf,
        /// What was found.
        mode: u32,
    },
    /// It does not hold what it should.
    #[error("the secret file {path}: {fault}")]
    Content {
        /// Which file.
        path: PathBuf,
        /// What was found and what was expected. Never a secret.
        fault: String,
    },
    /// The system gave no random bytes.
    #[error("no random bytes for a secret: {0}")]
    Random(getrandom::Error),
}

/// Fresh random bytes for a secret.
pub(crate) fn secret() -> Result<Zeroizing<[u8; 32]>, PrivateFileError> {
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *secret).map_err(PrivateFileError::Random)?;
    Ok(secret)
}

/// As lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    // Grown, it would leave its beginning behind.
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads one; refuses what others may read.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, PrivateFileError> {
    let io = |error| PrivateFileError::Io { path: path.to_owned(), error };
    let meta = fs::metadata(path).map_err(io)?;
    let mode = meta.permissions().mode() & 0o777;
    let allowed = if is_on_volume_of_group(path, meta.gid()) { 0o660 } else { 0o600 };
    if mode & !allowed & 0o077 != 0 {
        return Err(PrivateFileError::Mode { path: path.to_owned(), mode });
    }
    fs::read_to_string(path).map(Zeroizing::new).map_err(io)
}

/// Whether the file is on a volume that Kubernetes gave to the pod's `fsGroup`: it gives every file's group rights to read and
/// write at each mount, and the directory is that group's, has the setgid bit, and is closed to others. The pod is
/// all that has the group.
#[must_use]
pub fn is_on_volume_of_group(path: &Path, group: u32) -> bool {
    let Some(Ok(directory)) = path.parent().map(fs::metadata) else { return false };
    let mode = directory.permissions().mode();
    mode & 0o2000 != 0 && mode & 0o007 == 0 && directory.gid() == group && group != 0
}

/// Makes one. Written aside, synced and linked: a crash leaves no half of a file.
pub(crate) fn create(data: &Path, path: &Path, text: &str) -> Result<(), PrivateFileError> {
    let io = |error| PrivateFileError::Io { path: path.to_owned(), error };
    let aside = write_aside(path, text).map_err(io)?;
    // Linked, not renamed: of two that start at once the second keeps what the first made.
    let linked = fs::hard_link(&aside, path);
    fs::remove_file(&aside).map_err(io)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(io(error)),
        _ => fs::File::open(data).and_then(|directory| directory.sync_all()).map_err(io),
    }
}

/// Puts another in its place, or makes it. Whoever reads meanwhile has the old one or the new one, whole.
pub(crate) fn replace(data: &Path, path: &Path, text: &str) -> Result<(), PrivateFileError> {
    let io = |error| PrivateFileError::Io { path: path.to_owned(), error };
    let aside = write_aside(path, text).map_err(io)?;
    fs::rename(&aside, path).map_err(io)?;
    fs::File::open(data).and_then(|directory| directory.sync_all()).map_err(io)
}

/// Of two who change files of a data directory at once the second waits for the first.
pub(crate) fn lock(data: &Path) -> Result<fs::File, PrivateFileError> {
    let io = |error| PrivateFileError::Io { path: data.to_owned(), error };
    let directory = fs::File::open(data).map_err(io)?;
    directory.lock().map_err(io)?;
    Ok(directory)
}

fn write_aside(path: &Path, text: &str) -> io::Result<PathBuf> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let aside = PathBuf::from(aside);
    let mut options = OpenOptions::new();
    let mut out = options.write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n"))?;
    out.sync_all()?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::chown;

    #[test]
    fn a_volume_of_a_pods_group_is_private_too() {
        let folder = tempfile::tempdir().unwrap();
        if chown(folder.path(), None, Some(2000)).is_err() {
            eprintln!("SKIPPED: this process may not give a directory to another group; run it as root");
            return;
        }
        let file = folder.path().join("keys");
        fs::write(&file, "secret").unwrap();
        chown(&file, None, Some(2000)).unwrap();
        let reads = |directory: u32, mode: u32| {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(directory)).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            read(&file).is_ok()
        };
        assert!(reads(0o700, 0o600) && reads(0o2770, 0o660) && reads(0o2770, 0o640));
        assert!(!reads(0o700, 0o640) && !reads(0o2770, 0o664) && !reads(0o2775, 0o660));
        chown(&file, None, Some(3000)).unwrap();
        assert!(!reads(0o2770, 0o660), "another group than the volume's");
    }
}
