//! Bytes -> checked body, and back.
//!
//! Order of checks on what a device sends: version, access (bounds, UTF-8, bool), canonical, documented limits.
//! What the server sends is read with [`read`], which does not ask for canonical bytes.

use core::num::NonZeroUsize;

use rkyv::api::access_with_context;
use rkyv::api::high::{HighDeserializer, HighSerializer, HighValidator};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::{Failure, Source};
use rkyv::ser::allocator::ArenaHandle;
use rkyv::util::AlignedVec;
use rkyv::validation::Validator;
use rkyv::validation::archive::ArchiveValidator;
use rkyv::validation::shared::SharedValidator;
use rkyv::{Archive, Deserialize, Portable, Serialize};

use super::canonical::{self, Compare};
use super::trace::Trace;
use crate::frame::Frame;
use crate::kind::Kind;
use crate::limits::U53_MAX;
use crate::reject::{Code, Refusal};

/// Deepest nesting that access follows. The types of the subset need 2 (a list of items that hold a string); without
/// recursive types nothing can be deeper, so this is the second lock on that door.
const DEPTH_MAX: Option<NonZeroUsize> = NonZeroUsize::new(8);

/// What a root type needs of rkyv. Implemented for every type of the narrow subset.
pub trait Wire:
    Sized
    + Archive<
        Archived: Portable
                      + for<'a> CheckBytes<HighValidator<'a, Failure>>
                      + for<'a> CheckBytes<HighValidator<'a, Trace>>
                      + Deserialize<Self, HighDeserializer<Failure>>,
    > + for<'a> Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, Failure>>
    + for<'a, 'b> Serialize<HighSerializer<Compare<'b>, ArenaHandle<'a>, Failure>>
{
}

impl<T> Wire for T where
    T: Archive<
            Archived: Portable
                          + for<'a> CheckBytes<HighValidator<'a, Failure>>
                          + for<'a> CheckBytes<HighValidator<'a, Trace>>
                          + Deserialize<T, HighDeserializer<Failure>>,
        > + for<'a> Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, Failure>>
        + for<'a, 'b> Serialize<HighSerializer<Compare<'b>, ArenaHandle<'a>, Failure>>
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

    /// Whether `body`, which was accessed as `wire`, is the one canonical encoding of its value. A type whose bytes can
    /// be judged without building the value says so itself; the answer must be the same.
    fn is_canonical(wire: &Self::Archived, body: &[u8]) -> bool {
        canonical::is_canonical::<Self>(wire, body)
    }
}

/// A body whose bytes are checked, borrowed from its frame.
pub type Checked<'a, T> = &'a <T as Archive>::Archived;

pub(crate) fn access<T: Body>(body: &[u8]) -> Result<&T::Archived, Failure> {
    access_as::<T, Failure>(body)
}

fn access_as<T: Body, E: Source>(body: &[u8]) -> Result<&T::Archived, E>
where
    T::Archived: for<'a> CheckBytes<HighValidator<'a, E>>,
{
    let archive = ArchiveValidator::with_max_depth(body, DEPTH_MAX);
    access_with_context(body, &mut Validator::new(archive, SharedValidator::new()))
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
    let wire = access::<T>(body).map_err(|_| malformed::<T>(body))?;
    if !T::is_canonical(wire, body) {
        return Err(Refusal::new(
            Code::NotCanonical,
            "",
            "the body is not the canonical encoding of its value",
        ));
    }
    T::check(wire)?;
    Ok(wire)
}

/// Runs the failed check again with an error type that remembers where it failed.
#[cold]
fn malformed<T: Body>(body: &[u8]) -> Refusal {
    let root_bytes = size_of::<T::Archived>();
    if body.len() < root_bytes {
        let text = format!("{} bytes; the root alone has {root_bytes}", body.len());
        return Refusal::new(Code::Malformed, "", text);
    }
    match access_as::<T, Trace>(body) {
        Err(trace) => Refusal::new(Code::Malformed, trace.path(), trace.text()),
        Ok(_) => Refusal::new(Code::Malformed, "", "the body is not a valid archive of its type"),
    }
}

/// Reads what the server sent: the last bytes of the body, so that a newer version's body is read as this one.
/// `None` for a body that is none of this type, or of an older version, which lacks fields of this one.
#[must_use]
pub fn read<T: Body>(frame: &Frame) -> Option<T> {
    rkyv::deserialize::<T, Failure>(view::<T>(frame)?).ok()
}

/// [`read`] without the copy.
pub(super) fn view<T: Body>(frame: &Frame) -> Option<Checked<'_, T>> {
    if frame.header().version < T::VERSION {
        return None;
    }
    access::<T>(frame.body()).ok()
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
        return Err(Refusal::new(
            Code::Limit,
            path,
            format!("{} users; at most {max} are allowed", users.len()),
        ));
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
