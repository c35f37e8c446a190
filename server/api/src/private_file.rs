//! Small files with secrets, in the data directory: for their owner alone, made once.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
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
    let mode = fs::metadata(path).map_err(io)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(PrivateFileError::Mode { path: path.to_owned(), mode });
    }
    fs::read_to_string(path).map(Zeroizing::new).map_err(io)
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
