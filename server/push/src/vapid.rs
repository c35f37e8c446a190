//! The key by which push services know this server (VAPID, RFC 8292): made at the first start, for its owner alone, and the
//! same for ever: subscriptions are bound to it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

use crate::jwt;
use crate::limits::VAPID_LIFE;

/// Name of the file in the data directory.
pub const VAPID_FILE: &str = "vapid.key";

/// The key, and who stands behind it.
#[derive(Debug)]
pub struct Vapid {
    key: EcdsaKeyPair,
    subject: String,
}

impl Vapid {
    /// The key of this data directory; the first time one is made. `may_group` says whether its group may read it.
    ///
    /// # Errors
    /// Words for the operator: which file, what was found, what was expected.
    pub fn open(data: &Path, subject: &str, may_group: impl Fn(&Path, u32) -> bool) -> Result<Self, String> {
        let path = data.join(VAPID_FILE);
        let bytes = match crate::secret::read(&path, may_group)? {
            Some(bytes) => bytes,
            None => make(data, &path).map_err(|error| format!("{}: {error}", path.display()))?,
        };
        Self::of(&bytes, subject).ok_or_else(|| format!("{}: expected a P-256 key in PKCS#8", path.display()))
    }

    /// A key that lives as long as the process, for a server whose store is in memory.
    ///
    /// # Errors
    /// No random numbers.
    pub fn passing(subject: &str) -> Result<Self, String> {
        Self::of(&fresh()?, subject).ok_or_else(|| "the fresh key is none".into())
    }

    fn of(bytes: &[u8], subject: &str) -> Option<Self> {
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes, &SystemRandom::new()).ok()?;
        Some(Self { key, subject: subject.to_owned() })
    }

    /// What a browser wants as `applicationServerKey`: the uncompressed point, base64url without padding.
    #[must_use]
    pub fn public_key(&self) -> String {
        BASE64.encode(self.key.public_key())
    }

    /// The value of `Authorization` for a service at `origin` (RFC 8292 section 3).
    pub(crate) fn authorization(&self, origin: &str, now_ms: u64) -> Result<String, String> {
        let expires = now_ms / 1000 + VAPID_LIFE.as_secs();
        let claims = serde_json::json!({ "aud": origin, "exp": expires, "sub": self.subject });
        let head = serde_json::json!({ "typ": "JWT", "alg": "ES256" });
        let token = jwt::signed(&head, &claims, |words| {
            self.key.sign(&SystemRandom::new(), words).ok().map(|signature| signature.as_ref().to_vec())
        })?;
        Ok(format!("vapid t={token}, k={}", self.public_key()))
    }
}

/// Makes the file, whole or not at all.
fn make(data: &Path, path: &Path) -> Result<Vec<u8>, std::io::Error> {
    let bytes = fresh().map_err(std::io::Error::other)?;
    let new = data.join(format!("{VAPID_FILE}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&bytes).and_then(|()| file.sync_all())?;
    std::fs::rename(&new, path)?;
    std::fs::File::open(data).and_then(|dir| dir.sync_all())?;
    Ok(bytes)
}

fn fresh() -> Result<Vec<u8>, String> {
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    made.map(|made| made.as_ref().to_vec()).map_err(|_| "no random bytes for a key".into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let first = Vapid::open(dir.path(), "mailto:ops@example.com", |_, _| false).unwrap();
        let path = dir.path().join(VAPID_FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let again = Vapid::open(dir.path(), "mailto:ops@example.com", |_, _| false).unwrap();
        assert_eq!(first.public_key(), again.public_key());
        assert_eq!(BASE64.decode(first.public_key()).unwrap().len(), 65);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Vapid::open(dir.path(), "x", |_, _| false).unwrap_err().contains("must be 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "no key").unwrap();
        assert!(Vapid::open(dir.path(), "x", |_, _| false).unwrap_err().contains("PKCS#8"));
    }
}
