//! Keys that an operator gives: in a file for its owner alone, or in a variable of the environment.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Most bytes of a file with a key.
const BYTES_MAX: u64 = 64 * 1024;

/// Where a key is. Settings name the place and never the key: a flag is seen by everybody on the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Secret {
    /// A file.
    File(PathBuf),
    /// A variable of the environment.
    Variable(String),
}

impl Secret {
    /// `env:NAME`, or a path.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("env:") {
            // A variable of that name would be a setting.
            Some(name) if name.is_empty() || name.starts_with("MARU_") => None,
            Some(name) => Some(Self::Variable(name.to_owned())),
            None => (!text.is_empty()).then(|| Self::File(PathBuf::from(text))),
        }
    }

    /// What is there. `may_group` says whether the group of a file may read it.
    ///
    /// # Errors
    /// Words for the operator: which file or variable, what was found, what was expected. Never the secret.
    pub fn read(&self, may_group: impl Fn(&Path, u32) -> bool) -> Result<Vec<u8>, String> {
        match self {
            Self::File(path) => {
                read(path, may_group)?.ok_or_else(|| format!("{}: there is no such file", path.display()))
            }
            Self::Variable(name) => std::env::var(name)
                .map(String::into_bytes)
                .map_err(|_| format!("the variable {name} is not set, or is no text")),
        }
    }
}

impl std::fmt::Display for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Variable(name) => write!(f, "the variable {name}"),
        }
    }
}

/// A file that nobody but its owner may read; `None` when there is none.
pub(crate) fn read(path: &Path, may_group: impl Fn(&Path, u32) -> bool) -> Result<Option<Vec<u8>>, String> {
    let io = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let meta = file.metadata().map_err(io)?;
    let mode = meta.mode() & 0o777;
    let allowed = if may_group(path, meta.gid()) { 0o660 } else { 0o600 };
    if mode & !allowed & 0o077 != 0 {
        return Err(format!("{} has mode {mode:o}; must be 600: others must not read it", path.display()));
    }
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(format!("{}: more than {BYTES_MAX} bytes; expected a key", path.display()));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_read_from_where_the_setting_says_and_from_nothing_that_others_may_read() {
        assert_eq!(Secret::parse("env:KEY"), Some(Secret::Variable("KEY".into())));
        assert_eq!(
            (Secret::parse("env:"), Secret::parse(""), Secret::parse("env:MARU_KEY")),
            (None, None, None)
        );
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let secret = Secret::File(path.clone());
        assert!(secret.read(|_, _| false).unwrap_err().contains("no such file"));
        std::fs::write(&path, "words").unwrap();
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o640);
        assert!(secret.read(|_, _| false).unwrap_err().contains("has mode 640; must be 600"));
        assert_eq!(secret.read(|_, _| true).unwrap(), b"words");
        mode(0o600);
        assert_eq!(secret.read(|_, _| false).unwrap(), b"words");
        std::fs::write(&path, vec![b'x'; 70_000]).unwrap();
        assert!(secret.read(|_, _| false).unwrap_err().contains("more than"));
        // Every process of a test has a PATH.
        assert!(!Secret::Variable("PATH".into()).read(|_, _| false).unwrap().is_empty());
        let missing = Secret::Variable("MARU_NO_SUCH_VARIABLE".into());
        assert!(missing.read(|_, _| false).unwrap_err().contains("MARU_NO_SUCH_VARIABLE is not set"));
    }
}
