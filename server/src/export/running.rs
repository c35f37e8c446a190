//! Exports of the running server: a few at a time, one of a user, each on a thread of its own that waits for whoever takes it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use api::{Accounts, Export, ExportBroken, ExportOf, ExportRefusal, now_ms};
use bytes::Bytes;
use protocol::commit::{ChannelRow, Row};
use protocol::{ChannelId, Seq, UserId};
use storage::{Piece, Snapshot, Store};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::line::{Header, Line, Of};
use super::user;
use super::writer::{Lines, Names, Telling, in_full};

/// Exports that are made at a time. Each has a thread and a moment of the store, whose removed rows keep their room.
const AT_A_TIME: usize = 4;
/// Pieces that wait to be taken.
const PIECES: usize = 4;

/// Makes them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Exports {
    store: Arc<Store>,
    accounts: Accounts,
    places: Arc<Semaphore>,
    users: Arc<Mutex<HashSet<UserId>>>,
}

/// A place, and the user that is exported: given back when its thread is done.
struct Place {
    users: Arc<Mutex<HashSet<UserId>>>,
    user: Option<UserId>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(user) = self.user {
            self.users.lock().unwrap_or_else(PoisonError::into_inner).remove(&user);
        }
    }
}

impl Exports {
    /// Of this store, with these accounts.
    #[must_use]
    pub fn new(store: Arc<Store>, accounts: Accounts) -> Self {
        Self { store, accounts, places: Arc::new(Semaphore::new(AT_A_TIME)), users: Arc::default() }
    }

    /// Begins one, on the runtime of whoever calls.
    ///
    /// # Errors
    /// [`ExportRefusal`].
    pub async fn begin(&self, of: ExportOf) -> Result<Export, ExportRefusal> {
        let place = self.place(of)?;
        let told = match of {
            ExportOf::User(user) => {
                let told = self.accounts.exported(user).await;
                let told = told.map_err(|error| ExportRefusal::Failed(error.to_string()))?;
                told.ok_or(ExportRefusal::Unknown)?
            }
            ExportOf::Channel(_) => Vec::new(),
        };
        let names = Names::new(self.accounts.clone(), Handle::current());
        let (to, pieces) = mpsc::channel(PIECES);
        let (begins, begun) = tokio::sync::oneshot::channel();
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || {
            let snapshot = store.snapshot();
            let head = match head(&snapshot, of) {
                Ok(head) => head,
                Err(refusal) => {
                    // Whoever is told so may ask for something else at once.
                    drop(place);
                    let _ = begins.send(Err(refusal));
                    return;
                }
            };
            if begins.send(Ok(())).is_ok() {
                make(&snapshot, (of, head), told, &names, to);
            }
            drop(place);
        });
        begun.await.unwrap_or_else(|_| Err(ExportRefusal::Failed("its thread ended".into())))?;
        Ok(Export::new(pieces))
    }

    fn place(&self, of: ExportOf) -> Result<Place, ExportRefusal> {
        let permit = self.places.clone().try_acquire_owned();
        let _permit = permit.map_err(|_| ExportRefusal::Busy("as many exports as may be are being made"))?;
        let user = match of {
            ExportOf::User(user) => Some(user),
            ExportOf::Channel(_) => None,
        };
        if let Some(user) = user
            && !self.users.lock().unwrap_or_else(PoisonError::into_inner).insert(user)
        {
            return Err(ExportRefusal::Busy("an export of this user is being made; wait for its end"));
        }
        Ok(Place { users: self.users.clone(), user, _permit })
    }
}

/// The newest message of the channel that is exported.
fn head(snapshot: &Snapshot<'_>, of: ExportOf) -> Result<Seq, ExportRefusal> {
    let ExportOf::Channel(channel) = of else { return Ok(Seq(0)) };
    match snapshot.head(channel) {
        Ok(Seq(0)) => Err(ExportRefusal::Unknown),
        Ok(head) => Ok(head),
        Err(error) => Err(ExportRefusal::Failed(error.to_string())),
    }
}

/// Makes one, for as long as somebody takes it.
fn make(
    snapshot: &Snapshot<'_>,
    (of, head): (ExportOf, Seq),
    told: Vec<serde_json::Value>,
    names: &Names,
    to: mpsc::Sender<Result<Bytes, ExportBroken>>,
) {
    let header = match of {
        ExportOf::Channel(channel) => Header::new(Of::Channel, &channel, now_ms()),
        ExportOf::User(user) => Header::new(Of::User, &user, now_ms()),
    };
    let mut lines = Lines::begin(&header, to);
    let outcome = match of {
        ExportOf::Channel(channel) => of_channel(snapshot, (channel, head), names, &mut lines),
        ExportOf::User(user) => of_user(snapshot, user, told, names, &mut lines),
    };
    match outcome {
        Ok(true) => lines.end(),
        // Whoever asked has gone.
        Ok(false) => {}
        Err(error) => {
            tracing::error!(?of, error, "an export broke off");
            lines.break_off();
        }
    }
}

#[cfg(test)]
impl Exports {
    /// All places, for as long as they are held.
    pub(super) fn take_places(&self) -> OwnedSemaphorePermit {
        let all = u32::try_from(AT_A_TIME).unwrap_or(u32::MAX);
        self.places.clone().try_acquire_many_owned(all).ok().unwrap_or_else(|| panic!("a place is taken"))
    }

    /// The place of a user, for as long as it is held.
    pub(super) fn take_user(&self, user: UserId) -> impl Drop + use<> {
        self.place(ExportOf::User(user)).ok().unwrap_or_else(|| panic!("the user's place is taken"))
    }
}

/// Whether all of it was taken.
fn of_channel(
    snapshot: &Snapshot<'_>,
    (channel, head): (ChannelId, Seq),
    names: &Names,
    lines: &mut Lines,
) -> Result<bool, String> {
    let begins = |lines: &mut Lines, row| lines.line(&Line::channel(channel, row, head));
    // A direct channel has no row.
    if channel.users().is_some() && !begins(lines, ChannelRow::default()) {
        return Ok(false);
    }
    let mut write = |lines: &mut Lines, row: Row| match row {
        Row::Channel { row, .. } => begins(lines, row),
        row => Line::of(row).is_none_or(|line| lines.line(&line)),
    };
    let mut telling = Telling::new(names, lines, in_full, &mut write);
    let told = snapshot.tell_channel(channel, &mut |piece: Piece| telling.tell(piece));
    ended(&mut telling, told.map_err(|error| error.to_string()))
}

fn of_user(
    snapshot: &Snapshot<'_>,
    user: UserId,
    told: Vec<serde_json::Value>,
    names: &Names,
    lines: &mut Lines,
) -> Result<bool, String> {
    if !told.iter().all(|line| lines.line(line)) {
        return Ok(false);
    }
    let mut write = user::write;
    let mut telling = Telling::new(names, lines, user::by_name, &mut write);
    let told = snapshot.tell_user(user, &mut |piece: Piece| telling.tell(piece));
    ended(&mut telling, told.map_err(|error| error.to_string()))
}

fn ended(telling: &mut Telling<'_>, told: Result<bool, String>) -> Result<bool, String> {
    let is_whole = told? && telling.flush();
    telling.fault.take().map_or(Ok(is_whole), Err)
}
