//! The operator's token for the control plane: `admin.token` in the data directory, mode 0600, made at the first start.
//!
//! One line of 64 hex digits. Whoever can read the file could read the signing keys beside it as well: it opens nothing
//! that its reader did not have. An operator replaces it by writing another into the file, or deletes it and restarts; the
//! old one is refused from then on.

use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::private_file::{self, PrivateFileError};

/// Name of the file within the data directory.
pub(crate) const FILE: &str = "admin.token";

/// The token. It is never printed.
#[derive(Clone)]
pub(crate) struct AdminToken(Zeroizing<String>);

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken")
    }
}

impl AdminToken {
    /// Reads the file of a data directory, which is made when there is none.
    ///
    /// # Errors
    /// [`PrivateFileError`] when it cannot be made or read, may be read by others, or holds something else.
    pub(crate) fn open_or_create(data: &Path) -> Result<Self, PrivateFileError> {
        let path = data.join(FILE);
        if !path.exists() {
            private_file::create(data, &path, &Zeroizing::new(private_file::hex(&*private_file::secret()?)))?;
        }
        Self::open(&path)
    }

    /// Reads one that is there.
    pub(crate) fn open(path: &Path) -> Result<Self, PrivateFileError> {
        let text = private_file::read(path)?;
        let token = text.trim_end();
        if token.len() != 64 || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let fault = "not 64 hex digits; delete it, and the next start makes another".into();
            return Err(PrivateFileError::Content { path: path.to_owned(), fault });
        }
        Ok(Self(token.to_owned().into()))
    }

    /// Whether this is it. Takes the same time for every wrong one of the same length.
    #[must_use]
    pub(crate) fn is(&self, given: &str) -> bool {
        let pairs = self.0.bytes().zip(given.bytes());
        let differing = pairs.fold(0, |all, (a, b)| std::hint::black_box(all | (a ^ b)));
        given.len() == self.0.len() && differing == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn made_once_for_its_owner_alone() {
        let data = tempfile::tempdir().unwrap();
        let token = AdminToken::open_or_create(data.path()).unwrap();
        let path = data.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert!(AdminToken::open_or_create(data.path()).unwrap().is(text.trim_end()));
        assert!(!token.is("") && !token.is(&text) && !token.is(&text[1..]) && !token.is(&"0".repeat(64)));
        assert!(!format!("{token:?}").contains(&text[..8]));
        fs::write(&path, "short\n").unwrap();
        assert!(AdminToken::open_or_create(data.path()).unwrap_err().to_string().contains("64 hex"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(AdminToken::open_or_create(data.path()).unwrap_err().to_string().contains("640"));
    }
}
