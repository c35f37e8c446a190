//! Passwords: argon2id with the parameters that OWASP recommends (19 MiB, 2 passes, 1 lane), a few at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use crate::error::ApiError;

/// Fewest characters of a password.
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Most characters of a password.
pub const PASSWORD_CHARS_MAX: usize = 1024;
/// Requests that may wait for one hashing place; one above is told to come again.
const WAITING_PER_PLACE: usize = 64;
/// When one that found no place to wait may come again, milliseconds.
const RETRY_MS: u64 = 2000;

/// Checks the length, counted in Unicode scalar values. Any character may be in a password.
///
/// # Errors
/// Words for the person.
pub fn check(password: &str) -> Result<(), String> {
    let chars = password.chars().count();
    if (PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&chars) {
        return Ok(());
    }
    Err(format!("{chars} characters; must be {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX}"))
}

/// Makes the PHC string that is stored. Blocks for tens of milliseconds and uses 19 MiB.
///
/// # Errors
/// Words for the log when the system gave no random salt.
pub fn hash(password: &str) -> Result<String, String> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| format!("cannot hash a password: {error}"))
}

fn verify(password: &str, hash: &str) -> bool {
    Argon2::default().verify_password(password.as_bytes(), hash).is_ok()
}

/// The place where hashing happens: as many at a time as there are cores, and a bounded number waiting.
#[derive(Debug)]
pub(crate) struct Hasher {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
    /// What an unknown user's password is compared with, so that it costs what a known one's does.
    nobody: String,
}

/// Counts a request as waiting for as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Hasher {
    /// With room for `places` at a time. Hashes once.
    pub(crate) fn new(places: usize) -> Result<Self, String> {
        let places = places.max(1);
        Ok(Self {
            places: Arc::new(Semaphore::new(places)),
            waiting: AtomicUsize::new(0),
            waiting_max: places * WAITING_PER_PLACE,
            nobody: hash("nobody has this password")?,
        })
    }

    /// [`hash`] in its turn.
    pub(crate) async fn hash(&self, password: String) -> Result<String, ApiError> {
        self.in_turn(move || hash(&password)).await?.map_err(ApiError::internal)
    }

    /// Whether the password belongs to the stored hash. `None`, an unknown user, costs the same and is false.
    pub(crate) async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, ApiError> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.nobody.clone());
        let fits = self.in_turn(move || verify(&password, &stored)).await?;
        Ok(fits && known)
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        let waiting = Waiting(&self.waiting);
        if before >= self.waiting_max {
            return Err(ApiError::busy(RETRY_MS, "too many logins at once"));
        }
        let place = self.places.clone().acquire_owned().await.map_err(ApiError::internal)?;
        drop(waiting);
        // The place goes with the work: a request that is given up does not free it before its work is done.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(place);
            result
        });
        done.await.map_err(ApiError::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        assert!(check(&"x".repeat(8)).is_ok());
        assert!(check(&"마".repeat(1024)).is_ok());
        assert_eq!(check("1234567"), Err("7 characters; must be 8 to 1024".into()));
        assert!(check(&"x".repeat(1025)).is_err());
    }

    #[tokio::test]
    async fn only_the_right_password_fits() {
        let hasher = Hasher::new(2).unwrap();
        let stored = hasher.hash("correct horse".into()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(hasher.verify("correct horse".into(), Some(stored.clone())).await.unwrap());
        assert!(!hasher.verify("correct horsf".into(), Some(stored)).await.unwrap());
        assert!(!hasher.verify("nobody has this password".into(), None).await.unwrap());
    }

    #[tokio::test]
    async fn one_too_many_is_told_to_come_again() {
        let hasher = Hasher::new(1).unwrap();
        let held = hasher.places.clone().acquire_owned().await.unwrap();
        hasher.waiting.store(WAITING_PER_PLACE, Ordering::Release);
        let refused = hasher.hash("x".repeat(8)).await.unwrap_err();
        assert_eq!(refused.code(), "busy");
        hasher.waiting.store(0, Ordering::Release);
        drop(held);
        assert!(hasher.hash("x".repeat(8)).await.is_ok());
        assert_eq!(hasher.waiting.load(Ordering::Acquire), 0);
    }
}
