//! One change of a user's devices at a time: a login that has checked the old password must not be overtaken by the
//! change of it, and what SQL and the core know of a user must not cross.

use protocol::UserId;
use protocol::partition::mix64;
use tokio::sync::{Mutex, MutexGuard};

/// Users share so many turns; two who share one wait for each other's few milliseconds.
const TURNS: usize = 256;

/// Who waits for whom.
#[derive(Debug)]
pub(crate) struct Turns(Vec<Mutex<()>>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..TURNS).map(|_| Mutex::new(())).collect())
    }
}

impl Turns {
    /// Waits for the user's turn, which lasts as long as the guard; `None` cannot happen.
    pub(crate) async fn of(&self, user: UserId) -> Option<MutexGuard<'_, ()>> {
        let place = usize::try_from(mix64(user.0)).unwrap_or(usize::MAX) % TURNS;
        Some(self.0.get(place)?.lock().await)
    }
}
