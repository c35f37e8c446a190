//! Exports: a channel or a user as JSON Lines, and a channel's way back into an empty server.
//!
//! ```text
//! {"maru":"export","version":1,"of":"channel","id":"7310442183966793728","at_ms":1795786200000}
//! {"line":"channel", ...}                       one thing a line: `line::Line`, and for a user `user.rs`
//! {"line":"end","lines":12,"crc32c":"1a2b3c4d"} how many lines stand between the first and this, and their checksum
//! ```
//!
//! A channel's lines are the rows of its home, from one moment ([`storage::Snapshot`]): an import commits them again, and what
//! follows from them elsewhere the core makes anew. A user's lines are a view, which nothing reads back: most of what it tells
//! belongs to channels and to other people.

pub(crate) mod import;
pub(crate) mod line;
pub(crate) mod reader;
pub mod running;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation
)]
mod tests;
mod user;
pub(crate) mod writer;

/// Of the lines and of what each of them has. A file of another version is refused.
pub(crate) const VERSION: u32 = 1;
/// The largest line: twice what the largest frame takes as base 64 and once more as the text of its fields.
pub(crate) const LINE_BYTES_MAX: usize = 8 * protocol::limits::FRAME_BYTES_MAX;

/// CRC-32C of the lines, as backups have it of files.
pub(crate) static CRC32C: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
