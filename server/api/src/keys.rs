//! The signing keys of a node, and their file: `keys` in the data directory, mode 0600, made at the first start.
//!
//! JSON, oldest first: `{"keys":[{"id":1,"secret":"<64 hex digits>","created_ms":0}]}`. The newest signs, all verify.
//!
//! **Changing them** is three steps in this order: the file is replaced and synced ([`rotate`], [`retire`]), every shard takes
//! what the file says, then this process adopts it (`Keys::adopt`). So no token is ever signed by a key that a crash could
//! lose or that a shard does not know; a change that was cut short is finished by a restart, or by asking again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use protocol::token::Key;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::accounts::GRACE_MS;
use crate::private_file::{self, PrivateFileError};

/// Name of the file within the data directory.
pub const FILE: &str = "keys";
/// Most keys in a file.
pub const KEYS_MAX: usize = 64;

/// The keys that count now; at least one. Cheap to clone: all clones change together.
#[derive(Clone, Debug)]
pub struct Keys {
    data: Arc<Path>,
    ring: Arc<RwLock<Ring>>,
}

#[derive(Clone, Debug)]
struct Ring {
    keys: Arc<[Key]>,
    newest: Key,
    /// Keys that verify no token any more, and when they were retired: they made refresh tokens whose answers may have been
    /// lost a moment ago.
    retired: Vec<(u64, Key)>,
}

/// A key without its secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyRecord {
    /// Found in every token that it signed. Never given twice.
    pub id: u32,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// Whether it signs; the others verify.
    pub signs: bool,
}

/// Why the keys were not changed.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The key that signs cannot be retired.
    #[error("key {0} signs; make another one first (maru admin keys rotate), then retire it")]
    Signs(u32),
    /// There is no such key.
    #[error("there is no key {0}")]
    Unknown(u32),
    /// No more fit.
    #[error("there are {KEYS_MAX} keys, the most allowed; retire old ones")]
    Full,
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
    secret: Zeroizing<String>,
    created_ms: u64,
}

impl Keys {
    /// Reads the file of a data directory.
    ///
    /// # Errors
    /// [`PrivateFileError`] when it is missing, readable by others or damaged.
    pub fn open(data: &Path) -> Result<Self, PrivateFileError> {
        let keys: Arc<[Key]> = keys_of(read(data)?, data)?.into();
        let newest = newest_of(&keys, data)?;
        let ring = Ring { keys, newest, retired: Vec::new() };
        Ok(Self { data: data.into(), ring: Arc::new(RwLock::new(ring)) })
    }

    /// Reads the file of a data directory, which is made with one key when there is none.
    ///
    /// # Errors
    /// As [`Self::open`], and when the file cannot be made.
    pub fn open_or_create(data: &Path, now_ms: u64) -> Result<Self, PrivateFileError> {
        let path = data.join(FILE);
        if !path.exists() {
            let file = File { keys: vec![fresh(1, now_ms)?] };
            private_file::create(data, &path, &text(&file, &path)?)?;
        }
        Self::open(data)
    }

    /// Every key that verifies, oldest first.
    #[must_use]
    pub fn all(&self) -> Arc<[Key]> {
        self.read().keys.clone()
    }

    /// The key that signs.
    #[must_use]
    pub fn newest(&self) -> Key {
        self.read().newest.clone()
    }

    /// Every key that may have made a refresh token whose answer was lost, oldest first: also those that were retired a
    /// moment ago.
    #[must_use]
    pub(crate) fn makers(&self, now_ms: u64) -> Vec<Key> {
        let ring = self.read();
        let retired = ring.retired.iter().filter(|(retired_ms, _)| retired_ms + GRACE_MS >= now_ms);
        retired.map(|(_, key)| key.clone()).chain(ring.keys.iter().cloned()).collect()
    }

    /// The data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// What the file says now is what counts from now on. Every shard must have been given `keys` before.
    ///
    /// # Errors
    /// [`PrivateFileError::Content`] for no keys.
    pub(crate) fn adopt(&self, keys: Arc<[Key]>, now_ms: u64) -> Result<(), PrivateFileError> {
        let newest = newest_of(&keys, &self.data)?;
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        let gone = ring.keys.iter().filter(|old| keys.iter().all(|key| key.id != old.id));
        let gone: Vec<_> = gone.map(|key| (now_ms, key.clone())).collect();
        ring.retired.retain(|(retired_ms, _)| retired_ms + GRACE_MS >= now_ms);
        ring.retired.extend(gone);
        (ring.keys, ring.newest) = (keys, newest);
        Ok(())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys that the file of a data directory has, oldest first.
///
/// # Errors
/// [`PrivateFileError`]
pub fn list(data: &Path) -> Result<Vec<KeyRecord>, PrivateFileError> {
    let records = read(data)?.keys;
    let signer = records.len().saturating_sub(1);
    let record = |(place, record): (usize, &Record)| KeyRecord {
        id: record.id,
        created_ms: record.created_ms,
        signs: place == signer,
    };
    Ok(records.iter().enumerate().map(record).collect())
}

/// Adds a key to the file, which signs once it is adopted; gives its id. Where the file has a newer key than the one that
/// signs now, an earlier change was cut short: then that one is the new key, and nothing is added.
///
/// # Errors
/// [`KeysError::Full`], or the file's.
pub fn rotate(data: &Path, signs: Option<u32>, now_ms: u64) -> Result<u32, KeysError> {
    let _lock = private_file::lock(data)?;
    let mut file = read(data)?;
    let newest = file.keys.last().map(|record| record.id);
    if let (Some(newest), Some(signs)) = (newest, signs)
        && newest != signs
    {
        return Ok(newest);
    }
    if file.keys.len() >= KEYS_MAX {
        return Err(KeysError::Full);
    }
    let id = file.keys.iter().map(|record| record.id).max().unwrap_or(0);
    let id = id.checked_add(1).ok_or(KeysError::Full)?;
    file.keys.push(fresh(id, now_ms)?);
    write(data, &file)?;
    Ok(id)
}

/// Takes a key out of the file. Tokens that it signed are refused once that is adopted.
///
/// # Errors
/// [`KeysError::Signs`], [`KeysError::Unknown`], or the file's.
pub fn retire(data: &Path, id: u32) -> Result<(), KeysError> {
    let _lock = private_file::lock(data)?;
    let mut file = read(data)?;
    if file.keys.last().is_some_and(|record| record.id == id) {
        return Err(KeysError::Signs(id));
    }
    let before = file.keys.len();
    file.keys.retain(|record| record.id != id);
    if file.keys.len() == before {
        return Err(KeysError::Unknown(id));
    }
    Ok(write(data, &file)?)
}

/// The keys of the file as they will count.
pub(crate) fn in_file(data: &Path) -> Result<Arc<[Key]>, PrivateFileError> {
    Ok(keys_of(read(data)?, data)?.into())
}

fn fresh(id: u32, created_ms: u64) -> Result<Record, PrivateFileError> {
    Ok(Record { id, secret: private_file::hex(&*private_file::secret()?).into(), created_ms })
}

fn text(file: &File, path: &Path) -> Result<Zeroizing<String>, PrivateFileError> {
    serde_json::to_string_pretty(file)
        .map(Zeroizing::new)
        .map_err(|error| PrivateFileError::Io { path: path.to_owned(), error: error.into() })
}

fn write(data: &Path, file: &File) -> Result<(), PrivateFileError> {
    let path = data.join(FILE);
    private_file::replace(data, &path, &text(file, &path)?)
}

fn content(data: &Path) -> impl Fn(String) -> PrivateFileError {
    let path: PathBuf = data.join(FILE);
    move |fault| PrivateFileError::Content { path: path.clone(), fault }
}

fn read(data: &Path) -> Result<File, PrivateFileError> {
    parse(&private_file::read(&data.join(FILE))?).map_err(content(data))
}

fn newest_of(keys: &[Key], data: &Path) -> Result<Key, PrivateFileError> {
    keys.last().cloned().ok_or_else(|| content(data)("no key".into()))
}

fn parse(text: &str) -> Result<File, String> {
    // serde's messages would quote a secret that stands in the wrong place; its position does not.
    let file: File = serde_json::from_str(text)
        .map_err(|error| format!("not a list of keys (line {}, column {})", error.line(), error.column()))?;
    if file.keys.is_empty() || file.keys.len() > KEYS_MAX {
        return Err(format!("{} keys; must be 1 to {KEYS_MAX}", file.keys.len()));
    }
    Ok(file)
}

fn keys_of(file: File, data: &Path) -> Result<Vec<Key>, PrivateFileError> {
    let refuse = content(data);
    let mut keys: Vec<Key> = Vec::new();
    for record in file.keys {
        if keys.iter().any(|key| key.id == record.id) {
            return Err(refuse(format!("the id {} is there twice", record.id)));
        }
        let secret = unhex(&record.secret)
            .ok_or_else(|| refuse(format!("the secret of key {} is not 64 hex digits", record.id)))?;
        keys.push(Key { id: record.id, secret });
    }
    Ok(keys)
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
        let data = tempfile::tempdir().unwrap();
        private_file::create(data.path(), &data.path().join(FILE), &text).unwrap();
        let keys = Keys::open(data.path()).unwrap();
        assert_eq!((keys.newest().id, keys.newest().secret), (9, [255; 32]));
        assert_eq!(keys.all().len(), 2);
        let listed: Vec<_> = list(data.path()).unwrap().into_iter().map(|key| (key.id, key.signs)).collect();
        assert_eq!(listed, [(1, false), (9, true)]);
    }

    /// Every state that a cut leaves: the file changed, and nothing else.
    #[test]
    fn keys_are_rotated_and_retired() {
        let data = tempfile::tempdir().unwrap();
        let keys = Keys::open_or_create(data.path(), 1).unwrap();
        let (clone, first) = (keys.clone(), keys.newest());
        assert!(matches!(retire(data.path(), 1), Err(KeysError::Signs(1))));
        assert!(matches!(retire(data.path(), 7), Err(KeysError::Unknown(7))));
        assert_eq!(rotate(data.path(), Some(1), 2).unwrap(), 2);
        assert_eq!(keys.newest(), first, "nothing signs with it before it is adopted");
        assert_eq!(rotate(data.path(), Some(1), 3).unwrap(), 2, "asked again, the cut change goes on");
        assert_eq!(Keys::open(data.path()).unwrap().newest().id, 2, "after a crash");
        keys.adopt(in_file(data.path()).unwrap(), 10).unwrap();
        assert_eq!((clone.newest().id, clone.all().len()), (2, 2), "clones change together");
        retire(data.path(), 1).unwrap();
        assert_eq!(keys.all().len(), 2);
        keys.adopt(in_file(data.path()).unwrap(), 20).unwrap();
        assert_eq!(keys.all().iter().map(|key| key.id).collect::<Vec<_>>(), [2]);
        let makers = |now_ms| keys.makers(now_ms).iter().map(|key| key.id).collect::<Vec<_>>();
        assert_eq!((makers(20 + GRACE_MS), makers(21 + GRACE_MS)), (vec![1, 2], vec![2]));
        assert_eq!(rotate(data.path(), Some(2), 4).unwrap(), 3, "an id is never given twice");
        let mode = fs::metadata(data.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn there_is_an_end_of_keys() {
        let data = tempfile::tempdir().unwrap();
        Keys::open_or_create(data.path(), 1).unwrap();
        for _ in 1..KEYS_MAX {
            rotate(data.path(), None, 2).unwrap();
        }
        assert!(matches!(rotate(data.path(), None, 2), Err(KeysError::Full)));
        assert_eq!(Keys::open(data.path()).unwrap().all().len(), KEYS_MAX);
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
            let fault = parse(&text)
                .and_then(|file| keys_of(file, Path::new("/")).map(drop).map_err(|fault| fault.to_string()));
            let fault = fault.unwrap_err();
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
