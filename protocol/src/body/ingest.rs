//! Bytes -> checked body, and back.
//!
//! Order of checks on what a device sends: version, access (bounds, UTF-8, bool), canonical, documented limits.
//! What the server sends is read with [`read`], which does not ask for canonical bytes.

use rkyv::api::high::{HighDeserializer, HighSerializer, HighValidator};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::Failure;
use rkyv::ser::allocator::ArenaHandle;
use rkyv::util::AlignedVec;
use rkyv::{Archive, Deserialize, Portable, Serialize};

use crate::frame::Frame;
use crate::kind::Kind;
use crate::limits::U53_MAX;
use crate::reject::{Code, Refusal};

/// What a root type needs of rkyv. Implemented for every type of the narrow subset.
pub trait Wire:
    Sized
    + Archive<
        Archived: Portable
                      + for<'a> CheckBytes<HighValidator<'a, Failure>>
                      + Deserialize<Self, HighDeserializer<Failure>>,
    > + for<'a> Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, Failure>>
{
}

impl<T> Wire for T where
    T: Archive<
            Archived: Portable
                          + for<'a> CheckBytes<HighValidator<'a, Failure>>
                          + Deserialize<T, HighDeserializer<Failure>>,
        > + for<'a> Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, Failure>>
{
}

/// One frozen root type.
pub trait Body: Wire {
    /// Its kind.
    const KIND: Kind;
    /// Its version.
    const VERSION: u8 = 1;

    /// The documented limits, after access and canonical check.
    ///
    /// # Errors
    /// The refusal for the device.
    fn check(_wire: &Self::Archived) -> Result<(), Refusal> {
        Ok(())
    }
}

/// A body that has passed every check, borrowed from its frame.
pub type Checked<'a, T> = &'a <T as Archive>::Archived;

pub(super) fn access<T: Body>(body: &[u8]) -> Result<&T::Archived, Failure> {
    rkyv::access::<T::Archived, Failure>(body)
}

/// Checks what a device sent.
///
/// # Errors
/// The refusal for the device: unknown version, malformed, not canonical, or over a limit.
pub fn ingest<T: Body>(frame: &Frame) -> Result<Checked<'_, T>, Refusal> {
    let header = frame.header();
    if header.version != T::VERSION {
        let text = format!("version {}; this server knows {}", header.version, T::VERSION);
        return Err(Refusal::new(Code::UnknownVersion, "", text));
    }
    let body = frame.body();
    let malformed = || Refusal::new(Code::Malformed, "", "the body is not a valid archive of its type");
    let wire = access::<T>(body).map_err(|_| malformed())?;
    let value = rkyv::deserialize::<T, Failure>(wire).map_err(|_| malformed())?;
    let again = rkyv::to_bytes::<Failure>(&value).map_err(|_| malformed())?;
    if again.as_slice() != body {
        return Err(Refusal::new(Code::NotCanonical, "", "the body is not the canonical encoding of its value"));
    }
    T::check(wire)?;
    Ok(wire)
}

/// Reads what the server sent: the last bytes of the body, so that a newer version's body is read as this one.
#[must_use]
pub fn read<T: Body>(frame: &Frame) -> Option<T> {
    let wire = access::<T>(frame.body()).ok()?;
    rkyv::deserialize::<T, Failure>(wire).ok()
}

/// Encodes a body into a whole unstamped frame.
#[must_use]
pub fn encode<T: Body>(id: u64, body: &T) -> Frame {
    let bytes = rkyv::to_bytes::<Failure>(body).unwrap_or_default();
    Frame::build(T::KIND, T::VERSION, id, &bytes)
}

pub(super) fn check_u53(path: &str, value: u64) -> Result<(), Refusal> {
    if value > U53_MAX {
        return Err(Refusal::new(Code::Limit, path, format!("{value}; must be below 2^53")));
    }
    Ok(())
}

pub(super) fn check_users(path: &str, users: &rkyv::Archived<Vec<u64>>, max: usize) -> Result<(), Refusal> {
    if users.len() > max {
        return Err(Refusal::new(Code::Limit, path, format!("{} users; allowed are {max}", users.len())));
    }
    let mut last = 0;
    for (index, user) in users.iter().enumerate() {
        if user.to_native() <= last {
            let text = "user ids must rise, without 0 and without repeats";
            return Err(Refusal::new(Code::Limit, format!("{path}[{index}]"), text));
        }
        last = user.to_native();
    }
    Ok(())
}
