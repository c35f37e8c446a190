//! What the client keeps between its starts, so that a device stays one device: its id, its refresh token, and how far it
//! took its inbox.
//!
//! One file a server, user and slot, with a lock beside it that its process holds as long as it lives. Who starts a second
//! client while the first runs gets the next slot, which is another device; a slot can be named (`--device`).
//!
//! A refresh token works once, and an old one that is shown again ends the device. So before a token is shown the file says
//! so, and when the next one comes it is on the disk before it is used. If a process ends between the two, the token is shown
//! again only within the time for which the server forgives that (2 minutes); later the password is asked for.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::{ChannelId, Cursor, DeviceId, Generation, InboxSeq, Seq};
use serde_json::{Value, json};

use super::names::plain;
use crate::account::{Login, escape};
use crate::dial::Keep;

/// Of the file.
const VERSION: u64 = 1;
/// Slots that are taken without a name.
const SLOTS_MAX: u32 = 8;
/// Longest part of a file's name.
const PART_BYTES_MAX: usize = 120;
/// The server forgives a repeated refresh token for 2 minutes; clocks and roads take some of it.
const FORGIVEN_MS: u64 = 100_000;
/// Channels whose last message is kept besides the cursor.
const SHOWN_MAX: usize = 1000;

/// Where state is kept.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum StatePlace {
    /// `$XDG_STATE_HOME/maru`, else `~/.local/state/maru`.
    #[default]
    Usual,
    /// This directory.
    Folder(PathBuf),
    /// Nowhere: each start is a device of its own.
    Nowhere,
}

/// Why there is no state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// There is no usual place.
    #[error(
        "neither XDG_STATE_HOME nor HOME is set: name a directory with --state, or take --no-state (each start is then a device of its own, and an account has 16)"
    )]
    NoHome,
    /// It cannot be written or read.
    #[error("{path}: {error}; --state names another directory, --no-state keeps nothing")]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A name of a slot that is none.
    #[error("--device: found {0:?}; expected 1 to 40 letters, digits, - or _")]
    BadSlot(String),
    /// Another process has it.
    #[error("--device: {0} is open in another terminal; name another one, or leave --device out")]
    Taken(String),
    /// All are taken.
    #[error(
        "{SLOTS_MAX} clients of this user are open here, the most without a name: close one, or name this one with --device"
    )]
    AllTaken,
    /// It is of a newer client.
    #[error(
        "{path} was written by a newer maru (version {found}, this one knows {VERSION}); --state names another directory, --no-state keeps nothing"
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// What it says.
        found: u64,
    },
}

/// What is kept.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Kept {
    pub(super) device: Option<DeviceId>,
    /// Empty: there is none.
    pub(super) refresh: String,
    /// When the token was first shown for another, if no answer has come since. Milliseconds since the Unix epoch.
    pub(super) shown_ms: Option<u64>,
    pub(super) cursor: Cursor,
    /// What was shown behind the cursor.
    pub(super) last_shown: BTreeMap<ChannelId, Seq>,
}

/// One slot, locked.
#[derive(Debug)]
pub(super) struct State {
    path: PathBuf,
    slot: String,
    kept: Mutex<Kept>,
    /// Held as long as this is.
    _lock: File,
}

impl State {
    /// Takes a slot of the user at the server: the named one, or the first that is free. `None` when nothing is to be kept.
    pub(super) fn take(
        place: &StatePlace,
        server: &str,
        user: &str,
        slot: Option<&str>,
    ) -> Result<Option<Arc<Self>>, StateError> {
        let folder = match place {
            StatePlace::Nowhere => return Ok(None),
            StatePlace::Folder(folder) => folder.clone(),
            StatePlace::Usual => usual().ok_or(StateError::NoHome)?,
        };
        let folder = folder.join("chat").join(part(&plain_server(server))).join(part(&plain(user)));
        make_folder(&folder)?;
        if let Some(slot) = slot {
            let is_good = (1..=40).contains(&slot.len())
                && slot.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
            if !is_good {
                return Err(StateError::BadSlot(slot.to_owned()));
            }
            return match Self::lock(&folder, slot)? {
                Some(state) => Ok(Some(Arc::new(state))),
                None => Err(StateError::Taken(slot.to_owned())),
            };
        }
        for slot in 1..=SLOTS_MAX {
            if let Some(state) = Self::lock(&folder, &slot.to_string())? {
                return Ok(Some(Arc::new(state)));
            }
        }
        Err(StateError::AllTaken)
    }

    fn lock(folder: &Path, slot: &str) -> Result<Option<Self>, StateError> {
        let path = folder.join(format!("{slot}.lock"));
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.map_err(|error| StateError::Io { path: path.clone(), error })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(StateError::Io { path, error }),
        }
        let path = folder.join(format!("{slot}.json"));
        let kept = read(&path)?;
        Ok(Some(Self { path, slot: slot.to_owned(), kept: Mutex::new(kept), _lock: lock }))
    }

    /// Which slot this is.
    pub(super) fn slot(&self) -> &str {
        &self.slot
    }

    pub(super) fn kept(&self) -> Kept {
        self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// The refresh token, if it may be shown.
    pub(super) fn refresh(&self) -> Option<String> {
        let kept = self.kept();
        let is_fresh = kept.shown_ms.is_none_or(|ms| {
            let now = now_ms();
            now >= ms && now - ms < FORGIVEN_MS
        });
        (is_fresh && !kept.refresh.is_empty()).then_some(kept.refresh)
    }

    /// Everything up to the cursor was shown.
    pub(super) fn complete(&self, cursor: Cursor) {
        let kept = self.kept();
        if kept.cursor == cursor && kept.last_shown.is_empty() {
            return;
        }
        self.change(|kept| {
            kept.cursor = cursor;
            kept.last_shown.clear();
        });
    }

    /// What is shown behind the cursor; written at the end of the client ([`Self::flush`]).
    pub(super) fn shown(&self, channel: ChannelId, seq: Seq) {
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if kept.last_shown.len() < SHOWN_MAX || kept.last_shown.contains_key(&channel) {
            let last = kept.last_shown.entry(channel).or_default();
            *last = seq.max(*last);
        }
    }

    /// Writes what is only in memory.
    pub(super) fn flush(&self) {
        self.change(|_| {});
    }

    /// The refresh token is no good any more; the device may be.
    pub(super) fn forget_refresh(&self) {
        self.change(|kept| {
            kept.refresh.clear();
            kept.shown_ms = None;
        });
    }

    /// The device is no more.
    pub(super) fn forget(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *kept = Kept::default();
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            complain(&self.path, &error);
        }
    }

    /// A login by password: the device goes on where it was, or is another and begins.
    pub(super) fn logged_in(&self, login: &Login) {
        self.change(|kept| {
            if kept.device != Some(login.device) {
                *kept = Kept { device: Some(login.device), ..Kept::default() };
            }
            kept.refresh.clone_from(&login.refresh);
            kept.shown_ms = None;
        });
    }

    fn change(&self, change: impl FnOnce(&mut Kept)) {
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut kept);
        if kept.device.is_some()
            && let Err(error) = write(&self.path, &kept)
        {
            complain(&self.path, &error);
        }
    }
}

impl Keep for State {
    fn renewing(&self) {
        self.change(|kept| {
            kept.shown_ms.get_or_insert_with(now_ms);
        });
    }

    fn renewed(&self, login: &Login) {
        self.logged_in(login);
    }
}

/// Whoever cannot write goes on talking: what is lost is a login at the next start.
fn complain(path: &Path, error: &io::Error) {
    if !super::tty::is_full() {
        eprintln!("* {}: {error}; the next start may ask for the password", path.display());
    }
}

fn usual() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("maru"))
}

fn make_folder(folder: &Path) -> Result<(), StateError> {
    let io = |error| StateError::Io { path: folder.to_owned(), error };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
    // It may have been made by somebody with other habits.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(io)
}

fn plain_server(server: &str) -> String {
    server.trim_end_matches('/').to_lowercase()
}

/// A name for a file or folder.
fn part(name: &str) -> String {
    let name = escape(&name.replace("://", "-").replace(['/', ':'], "-"));
    // `.` and `..` are places of their own.
    let name = if name.starts_with('.') { format!("_{name}") } else { name };
    if name.len() <= PART_BYTES_MAX {
        return name;
    }
    let hash = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    let hash: String = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{hash}", name.get(..PART_BYTES_MAX / 2).unwrap_or_default())
}

fn read(path: &Path) -> Result<Kept, StateError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kept::default()),
        Err(error) => return Err(StateError::Io { path: path.to_owned(), error }),
    };
    let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let number = |value: &Value, field: &str| value.get(field).and_then(Value::as_u64);
    match number(&value, "version") {
        Some(found) if found > VERSION => return Err(StateError::Newer { path: path.to_owned(), found }),
        Some(VERSION) => {}
        // Half a file of a disk that failed, or somebody's note: the password brings all of it back.
        _ => return Ok(Kept::default()),
    }
    let text = |field: &str| value.get(field).and_then(Value::as_str);
    let shown = value.get("last_shown").and_then(Value::as_object);
    let shown = shown
        .into_iter()
        .flatten()
        .filter_map(|(channel, seq)| Some((channel.parse::<ChannelId>().ok()?, Seq(seq.as_u64()?))));
    Ok(Kept {
        device: text("device").and_then(|id| id.parse().ok()).map(DeviceId),
        refresh: text("refresh").unwrap_or_default().to_owned(),
        shown_ms: number(&value, "refresh_shown_ms"),
        cursor: Cursor {
            generation: Generation(number(&value, "generation").unwrap_or(0)),
            at: InboxSeq(number(&value, "cursor").unwrap_or(0)),
        },
        last_shown: shown.take(SHOWN_MAX).collect(),
    })
}

/// The whole file or the one before: a new one is synced and takes its place.
fn write(path: &Path, kept: &Kept) -> io::Result<()> {
    let shown: serde_json::Map<String, Value> =
        kept.last_shown.iter().map(|(channel, seq)| (channel.to_string(), seq.0.into())).collect();
    let value = json!({
        "version": VERSION,
        "device": kept.device.map(|device| device.to_string()),
        "refresh": kept.refresh,
        "refresh_shown_ms": kept.shown_ms,
        "generation": kept.cursor.generation.0,
        "cursor": kept.cursor.at.0,
        "last_shown": shown,
    });
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(format!("{value}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
