//! Whether bytes are the one canonical encoding of the value they hold.
//!
//! rkyv's access allows gaps, leading bytes, and garbage behind a short string. Whoever could put such bytes into a
//! message could hide data in it, spell one value in many ways, and break strict readers in other languages.

use rkyv::rancor::{Failure, Source};
use rkyv::ser::allocator::ArenaHandle;
use rkyv::ser::sharing::Share;
use rkyv::ser::{Positional, Serializer, Writer};
use rkyv::util::with_arena;

use super::ingest::Wire;

/// Encodes the value again, into a writer that only compares and stops at the first difference.
pub(super) fn is_canonical<T: Wire>(wire: &T::Archived, body: &[u8]) -> bool {
    let Ok(value) = rkyv::deserialize::<T, Failure>(wire) else { return false };
    with_arena(|arena| {
        let writer = Compare { rest: body, at: 0 };
        let mut serializer = Serializer::new(writer, arena.acquire(), Share::new());
        let outcome =
            rkyv::api::serialize_using::<Serializer<_, ArenaHandle<'_>, _>, Failure>(&value, &mut serializer);
        outcome.is_ok() && serializer.into_writer().rest.is_empty()
    })
}

/// A writer without an output: every byte written must be the next one of the body.
#[derive(Debug)]
pub struct Compare<'a> {
    rest: &'a [u8],
    at: usize,
}

/// The bytes differ, or are too few. Hot path: it becomes a [`Failure`] without a trace.
#[derive(Debug)]
struct Different;

impl core::fmt::Display for Different {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the bytes differ")
    }
}

impl core::error::Error for Different {}

impl Positional for Compare<'_> {
    fn pos(&self) -> usize {
        self.at
    }
}

impl<E: Source> Writer<E> for Compare<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), E> {
        self.rest = self.rest.strip_prefix(bytes).ok_or_else(|| E::new(Different))?;
        self.at += bytes.len();
        Ok(())
    }
}
