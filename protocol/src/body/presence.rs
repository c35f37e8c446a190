//! Family 04: who is there. What is told of a user is decided at the user's home; here is only its form.

use rkyv::{Archive, Deserialize, Serialize};

use super::ingest::{Body, check_u53, check_users};
use crate::commit::Shows;
use crate::id::UserId;
use crate::kind::Kind;
use crate::limits::{LOOKED_AT_MAX, STATUS_BYTES_MAX, STATUS_CHARS_MAX, WATCHED_MAX};
use crate::reject::{Code, Refusal};

/// [`PresenceItem::state`] of whom the asker may not see, of whom there is none, and of whom nothing is known: nobody can
/// tell these apart.
pub const STATE_UNKNOWN: u8 = 0;
/// Not there, or not shown to be.
pub const STATE_OFFLINE: u8 = 1;
/// There.
pub const STATE_ONLINE: u8 = 2;
/// There, and not at the device.
pub const STATE_AWAY: u8 = 3;
/// There, and not to be disturbed.
pub const STATE_DO_NOT_DISTURB: u8 = 4;

/// WATCH v1: the session is shown these users from now on, besides those that it is shown already. Answered by DONE, and
/// then by PRESENCE of each of them.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Watch {
    /// Rising, no repeats, no 0. With those before at most [`WATCHED_MAX`].
    pub users: Vec<u64>,
}

/// UNWATCH v1: the session is not shown these users any more. Answered by DONE.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Unwatch {
    /// Rising, no repeats, no 0; those that were not watched do not matter.
    pub users: Vec<u64>,
}

/// PRESENCE v1: what now holds of these users. Unasked, with id 0; or with the id of a GET_PRESENCE, of which several
/// of these are the answer, until each user that was named there was told of.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Presence {
    /// Each user once.
    pub items: Vec<PresenceItem>,
}

/// What is shown of one user.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct PresenceItem {
    /// Who.
    pub user: u64,
    /// [`STATE_ONLINE`] and so on.
    pub state: u8,
    /// Of who is offline: when it was seen last, milliseconds since the Unix epoch; else, and if it is not known, 0.
    pub last_active_ms: u64,
    /// The status ends then, milliseconds since the Unix epoch; 0 for never. Nobody is told that it has.
    pub status_until_ms: u64,
    /// What the user says of itself; empty for nothing.
    pub status: String,
}

/// SET_PRESENCE v1: what the user shows from now on, all of it. Answered by DONE once it is stored; the user's other
/// sessions are told by OWN_PRESENCE.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct SetPresence {
    /// 0 what the devices do, 1 away, 2 do not disturb, 3 invisible.
    pub shows: u8,
    /// The status ends then, milliseconds since the Unix epoch; 0 for never.
    pub status_until_ms: u64,
    /// At most [`STATUS_CHARS_MAX`] characters, none of them a control character; empty for none.
    pub status: String,
}

/// IDLE v1: nobody has touched the device for a while, or somebody does again. Not answered. A new session is not idle.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Idle {
    /// Whether it is idle.
    pub is_idle: bool,
}

/// GET_PRESENCE v1: what now holds of these users, once. Answered by one or more PRESENCE with its id.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct GetPresence {
    /// Rising, no repeats, no 0; 1 to [`LOOKED_AT_MAX`].
    pub users: Vec<u64>,
}

/// GET_OWN_PRESENCE v1: what the user shows, and which of its devices are there.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct GetOwnPresence {
    /// This device only; 0 for all.
    pub device: u64,
}

/// OWN_PRESENCE v1: the answer; and, with id 0, what another device of the user has just set.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct OwnPresence {
    /// What others who may see the user are shown: [`STATE_ONLINE`] and so on.
    pub state: u8,
    /// As set.
    pub shows: u8,
    /// As set.
    pub status_until_ms: u64,
    /// As set, even if it is over.
    pub status: String,
    /// Rising by device.
    pub devices: Vec<PresentDevice>,
}

/// One device of the user.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub struct PresentDevice {
    /// Which.
    pub device: u64,
    /// [`STATE_OFFLINE`], [`STATE_ONLINE`], or [`STATE_AWAY`] of one that is idle.
    pub state: u8,
    /// When it last spoke, as far as that was written, milliseconds since the Unix epoch.
    pub seen_ms: u64,
}

/// The users that a frame names.
#[must_use]
pub fn named(users: &rkyv::Archived<Vec<u64>>) -> Vec<UserId> {
    users.iter().map(|user| UserId(user.to_native())).collect()
}

/// Names somebody, in order, and at most so many.
fn check_named(users: &rkyv::Archived<Vec<u64>>, most: usize) -> Result<(), Refusal> {
    if users.is_empty() {
        return Err(Refusal::new(Code::Limit, "users", "nobody named; expected at least one user"));
    }
    check_users("users", users, most)
}

impl Body for Watch {
    const KIND: Kind = Kind::WATCH;
    fn check(wire: &ArchivedWatch) -> Result<(), Refusal> {
        check_named(&wire.users, WATCHED_MAX)
    }
}

impl Body for Unwatch {
    const KIND: Kind = Kind::UNWATCH;
    fn check(wire: &ArchivedUnwatch) -> Result<(), Refusal> {
        check_named(&wire.users, WATCHED_MAX)
    }
}

impl Body for Presence {
    const KIND: Kind = Kind::PRESENCE;
}

impl Body for SetPresence {
    const KIND: Kind = Kind::SET_PRESENCE;
    fn check(wire: &ArchivedSetPresence) -> Result<(), Refusal> {
        if Shows::from_number(wire.shows).is_none() {
            let text =
                format!("{}; expected 0 activity, 1 away, 2 do not disturb or 3 invisible", wire.shows);
            return Err(Refusal::new(Code::Limit, "shows", text));
        }
        check_u53("status_until_ms", wire.status_until_ms.to_native())?;
        check_status(&wire.status)
    }
}

fn check_status(status: &str) -> Result<(), Refusal> {
    // The byte bound comes first: it makes the counts below bounded work.
    let chars = if status.len() > STATUS_BYTES_MAX { usize::MAX } else { status.chars().count() };
    if chars > STATUS_CHARS_MAX {
        let text = format!("more than {STATUS_CHARS_MAX} characters; say less");
        return Err(Refusal::new(Code::Limit, "status", text));
    }
    if status.chars().any(char::is_control) {
        let text = "a control character; expected one line of text";
        return Err(Refusal::new(Code::Limit, "status", text));
    }
    Ok(())
}

impl Body for Idle {
    const KIND: Kind = Kind::IDLE;
}

impl Body for GetPresence {
    const KIND: Kind = Kind::GET_PRESENCE;
    fn check(wire: &ArchivedGetPresence) -> Result<(), Refusal> {
        check_named(&wire.users, LOOKED_AT_MAX)
    }
}

impl Body for GetOwnPresence {
    const KIND: Kind = Kind::GET_OWN_PRESENCE;
}

impl Body for OwnPresence {
    const KIND: Kind = Kind::OWN_PRESENCE;
}
