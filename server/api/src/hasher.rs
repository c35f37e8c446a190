//! The place where passwords are hashed: a few at a time, so that shards keep a core, and in an order that strangers cannot
//! turn against those who are known.
//!
//! Whoever is known goes first, then other logins, then sign-ups; of every few hashes one is a sign-up's, so that these
//! go on under any load. Each kind waits in a queue of its own with a bound of its own: a flood of one is refused
//! without a place of the others.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use argon2::PasswordHash;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::error::ApiError;
use crate::limiter::Limiter;
use crate::limits::{KNOWN_WAITING_MAX, LOGINS_WAITING_MAX, Limit, SIGNUP_EVERY, SIGNUPS_WAITING_MAX};
use crate::password::{Fit, hash, verify};

/// When one that found no place to wait may come again, milliseconds.
const RETRY_MS: u64 = 2000;

/// Whose password it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Of a device that the server knows.
    Known,
    /// Of a login by nobody that is known.
    Login,
    /// Of a new account.
    Signup,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Known, Self::Login, Self::Signup];

    fn waiting_max(self) -> usize {
        match self {
            Self::Known => KNOWN_WAITING_MAX,
            Self::Login => LOGINS_WAITING_MAX,
            Self::Signup => SIGNUPS_WAITING_MAX,
        }
    }

    /// The limit that refuses one above.
    fn limit(self) -> Limit {
        match self {
            Self::Known => Limit::HashKnown,
            Self::Login => Limit::HashLogin,
            Self::Signup => Limit::HashSignup,
        }
    }
}

/// Hashes in turn. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Hasher {
    line: Arc<Mutex<Line>>,
    hashed: Arc<AtomicU64>,
    /// What is compared with the password of an unknown user, or of one that has none, so that it costs what another's does.
    nobody: Arc<PasswordHash>,
    limiter: Arc<Limiter>,
}

/// Who waits.
#[derive(Debug)]
struct Line {
    free: usize,
    waiting: [VecDeque<oneshot::Sender<Place>>; 3],
    /// Hashes since the last one of a sign-up.
    since_signup: u32,
}

/// Hashing is one's own until it is dropped.
#[derive(Debug)]
struct Place(Option<Arc<Mutex<Line>>>);

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(line) = self.0.take() {
            give_back(&line);
        }
    }
}

impl Hasher {
    /// With room for `places` at a time. Hashes once.
    pub(crate) fn new(places: usize, limiter: Arc<Limiter>) -> Result<Self, String> {
        let line = Line { free: places.max(1), waiting: Default::default(), since_signup: 0 };
        let nobody = hash("nobody has this password")?;
        let nobody = PasswordHash::new(&nobody).map_err(|error| format!("cannot read a hash: {error}"))?;
        Ok(Self {
            line: Arc::new(Mutex::new(line)),
            hashed: Arc::default(),
            nobody: Arc::new(nobody),
            limiter,
        })
    }

    /// Passwords hashed so far.
    pub(crate) fn hashed(&self) -> u64 {
        self.hashed.load(Ordering::Relaxed)
    }

    /// [`hash`] in its turn.
    pub(crate) async fn hash(&self, kind: Kind, password: Zeroizing<String>) -> Result<String, ApiError> {
        let hashed = self.hashed.clone();
        let work = move || {
            hashed.fetch_add(1, Ordering::Relaxed);
            hash(&password)
        };
        self.in_turn(kind, work).await?.map_err(ApiError::internal)
    }

    /// Whether the password belongs to the stored hash. `None`, an unknown user, and what is no hash, a user without a
    /// password, cost the same and are wrong.
    pub(crate) async fn verify(
        &self,
        kind: Kind,
        password: Zeroizing<String>,
        stored: Option<String>,
    ) -> Result<Fit, ApiError> {
        let stored = stored.and_then(|stored| PasswordHash::new(&stored).ok());
        // One without these is never hashed against.
        let stored = stored.filter(|stored| stored.salt.is_some() && stored.hash.is_some());
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| PasswordHash::clone(&self.nobody));
        let hashed = self.hashed.clone();
        let fit = self.in_turn(kind, move || verify(&password, &stored, &hashed)).await?;
        Ok(if known { fit } else { Fit::Wrong })
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        kind: Kind,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let place = self.place(kind)?.await.map_err(ApiError::internal)?;
        // The place goes with the work: a request that is given up does not free it before its work is done.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(place);
            result
        });
        done.await.map_err(ApiError::internal)
    }

    /// A place now or later.
    fn place(&self, kind: Kind) -> Result<oneshot::Receiver<Place>, ApiError> {
        let (gives, given) = oneshot::channel();
        let mut line = lock(&self.line);
        let queue = line.queue(kind);
        // Who gave up waiting takes no room.
        queue.retain(|waits| !waits.is_closed());
        if queue.len() >= kind.waiting_max() {
            self.limiter.refuse(kind.limit());
            return Err(ApiError::busy(RETRY_MS, "too many passwords are being checked at once"));
        }
        queue.push_back(gives);
        drop(line);
        serve(&self.line);
        Ok(given)
    }
}

impl Line {
    fn queue(&mut self, kind: Kind) -> &mut VecDeque<oneshot::Sender<Place>> {
        let [known, login, signup] = &mut self.waiting;
        match kind {
            Kind::Known => known,
            Kind::Login => login,
            Kind::Signup => signup,
        }
    }

    /// Who is next, if there is a place.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        if self.free == 0 {
            return None;
        }
        let signup_is_due = self.since_signup + 1 >= SIGNUP_EVERY && !self.queue(Kind::Signup).is_empty();
        let first = signup_is_due.then_some(Kind::Signup);
        for kind in first.into_iter().chain(Kind::ALL) {
            if let Some(waits) = self.queue(kind).pop_front() {
                self.since_signup =
                    if kind == Kind::Signup { 0 } else { self.since_signup.saturating_add(1) };
                self.free -= 1;
                return Some(waits);
            }
        }
        None
    }
}

/// Gives places away for as long as there are some and somebody waits.
fn serve(line: &Arc<Mutex<Line>>) {
    loop {
        let Some(waits) = lock(line).next() else { return };
        // Who gave up meanwhile gives it back at once, without a lock held here.
        if let Err(mut place) = waits.send(Place(Some(line.clone()))) {
            place.0 = None;
            lock(line).free += 1;
        }
    }
}

fn give_back(line: &Arc<Mutex<Line>>) {
    lock(line).free += 1;
    serve(line);
}

fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    fn hasher(places: usize) -> Hasher {
        Hasher::new(places, Arc::new(Limiter::new(Limits::default()))).unwrap()
    }

    #[tokio::test]
    async fn each_kind_has_a_bound_of_its_own() {
        let hasher = hasher(1);
        let held = hasher.place(Kind::Known).unwrap().await.unwrap();
        let waiting: Vec<_> = (0..SIGNUPS_WAITING_MAX).map(|_| hasher.place(Kind::Signup).unwrap()).collect();
        let refused = hasher.place(Kind::Signup).unwrap_err();
        assert_eq!((refused.code(), hasher.limiter.refused(Limit::HashSignup)), ("busy", 1));
        let login = hasher.place(Kind::Login).unwrap();
        drop(held);
        let login = login.await.unwrap();
        // Those who gave up take no place and no room.
        drop(waiting);
        let signup = hasher.place(Kind::Signup).unwrap();
        drop(login);
        drop(signup.await.unwrap());
        assert_eq!(lock(&hasher.line).free, 1);
        assert!(hasher.hash(Kind::Signup, "x".repeat(8).into()).await.is_ok());
    }

    #[tokio::test]
    async fn the_known_go_first_and_sign_ups_go_on() {
        let hasher = hasher(1);
        let held = hasher.place(Kind::Login).unwrap().await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for kind in [Kind::Signup, Kind::Signup, Kind::Login, Kind::Known] {
            for _ in 0..10 {
                let (waits, order) = (hasher.place(kind).unwrap(), order.clone());
                tasks.spawn(async move {
                    let place = waits.await.unwrap();
                    order.lock().unwrap().push(kind);
                    drop(place);
                });
            }
        }
        drop(held);
        while tasks.join_next().await.is_some() {}
        let order = order.lock().unwrap();
        let letters: String = order.iter().map(|kind| format!("{kind:?}").remove(0)).collect();
        assert_eq!(letters, format!("KKKKKKSKKKKLLLSLLLLLLL{}", "S".repeat(18)));
    }
}
