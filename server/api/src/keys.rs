//! The file of signing keys: `keys` in the data directory, mode 0600, made at the first start.
//!
//! JSON, oldest first: `{"keys":[{"id":1,"secret":"<64 hex digits>","created_ms":0}]}`. The newest signs, all verify; to
//! replace a key an operator appends one, restarts, and removes the old one when its last token has expired.

use std::path::Path;
use std::sync::Arc;

use protocol::token::Key;
use serde::{Deserialize, Serialize};

use crate::private_file::{self, PrivateFileError};

/// Name of the file within the data directory.
pub const FILE: &str = "keys";
/// Most keys in a file.
const KEYS_MAX: usize = 64;

/// The keys of a node; at least one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Keys {
    keys: Arc<[Key]>,
    newest: Key,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    keys: Vec<Record>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    id: u32,
    secret: String,
    created_ms: u64,
}

impl Keys {
    /// Reads the file of a data directory.
    ///
    /// # Errors
    /// [`PrivateFileError`] when it is missing, readable by others or damaged.
    pub fn open(data: &Path) -> Result<Self, PrivateFileError> {
        let path = data.join(FILE);
        let text = private_file::read(&path)?;
        parse(&text).map_err(|fault| PrivateFileError::Content { path, fault })
    }

    /// Reads the file of a data directory, which is made with one key when there is none.
    ///
    /// # Errors
    /// As [`Self::open`], and when the file cannot be made.
    pub fn open_or_create(data: &Path, now_ms: u64) -> Result<Self, PrivateFileError> {
        let path = data.join(FILE);
        if !path.exists() {
            let secret = private_file::hex(&private_file::secret()?);
            let file = File { keys: vec![Record { id: 1, secret, created_ms: now_ms }] };
            let text = serde_json::to_string_pretty(&file)
                .map_err(|error| PrivateFileError::Io { path: path.clone(), error: error.into() })?;
            private_file::create(data, &path, &text)?;
        }
        Self::open(data)
    }

    /// Every key: all of them verify.
    #[must_use]
    pub fn all(&self) -> &[Key] {
        &self.keys
    }

    /// The key that signs.
    #[must_use]
    pub fn newest(&self) -> &Key {
        &self.newest
    }
}

fn parse(text: &str) -> Result<Keys, String> {
    // serde's messages would quote a secret that stands in the wrong place; its position does not.
    let file: File = serde_json::from_str(text)
        .map_err(|error| format!("not a list of keys (line {}, column {})", error.line(), error.column()))?;
    if file.keys.is_empty() || file.keys.len() > KEYS_MAX {
        return Err(format!("{} keys; must be 1 to {KEYS_MAX}", file.keys.len()));
    }
    let mut keys: Vec<Key> = Vec::new();
    for record in file.keys {
        if keys.iter().any(|key| key.id == record.id) {
            return Err(format!("the id {} is there twice", record.id));
        }
        let secret = unhex(&record.secret)
            .ok_or_else(|| format!("the secret of key {} is not 64 hex digits", record.id))?;
        keys.push(Key { id: record.id, secret });
    }
    let newest = keys.last().cloned().ok_or("no key")?;
    Ok(Keys { keys: keys.into(), newest })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        let digits = text.get(index * 2..index * 2 + 2)?;
        *byte = u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn made_once_and_kept() {
        let data = tempfile::tempdir().unwrap();
        let first = Keys::open_or_create(data.path(), 7).unwrap();
        let second = Keys::open_or_create(data.path(), 8).unwrap();
        assert_eq!(first.newest(), second.newest());
        let mode = fs::metadata(data.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!data.path().join("keys.new").exists());
        let other = tempfile::tempdir().unwrap();
        assert_ne!(Keys::open_or_create(other.path(), 7).unwrap().newest().secret, first.newest().secret);
    }

    #[test]
    fn the_last_signs_and_all_verify() {
        let (old, new) = ("00".repeat(32), "ff".repeat(32));
        let text = format!(
            r#"{{"keys":[{{"id":1,"secret":"{old}","created_ms":1}},{{"id":9,"secret":"{new}","created_ms":2}}]}}"#
        );
        let keys = parse(&text).unwrap();
        assert_eq!((keys.newest().id, keys.newest().secret), (9, [255; 32]));
        assert_eq!(keys.all().len(), 2);
    }

    #[test]
    fn faults_are_named_without_the_secret() {
        let secret = "ab".repeat(31);
        for (text, words) in [
            ("{}".to_owned(), "not a list of keys"),
            (r#"{"keys":[]}"#.to_owned(), "0 keys"),
            (
                format!(r#"{{"keys":[{{"id":3,"secret":"{secret}","created_ms":1}}]}}"#),
                "of key 3 is not 64 hex",
            ),
            (format!(r#"{{"keys":[{{"id":3,"secret":"{secret}+1","created_ms":1}}]}}"#), "is not 64 hex"),
            (format!(r#"{{"keys":[{{"id":"{secret}","secret":"x","created_ms":1}}]}}"#), "line 1"),
        ] {
            let fault = parse(&text).unwrap_err();
            assert!(fault.contains(words), "{fault}");
            assert!(!fault.contains(&secret), "{fault}");
        }
    }

    #[test]
    fn others_must_not_read_it() {
        let data = tempfile::tempdir().unwrap();
        Keys::open_or_create(data.path(), 7).unwrap();
        let path = data.path().join(FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let fault = Keys::open(data.path()).unwrap_err().to_string();
        assert!(fault.contains("644") && fault.contains("600"), "{fault}");
        assert!(matches!(Keys::open(Path::new("/nonexistent")), Err(PrivateFileError::Io { .. })));
    }
}
