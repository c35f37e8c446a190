//! Bodies: one frozen rkyv root type per (kind, version), one file a family.
//!
//! Only the narrow subset of docs/protocol.md section 2: integers, bool, `String`, `Vec`, `Option`, flat structs. A type
//! is never edited once released: a new field is a new version with the field *prepended*, so that an old reader finds
//! its own root in the last bytes.

pub mod about;
pub mod erase;
pub mod large;
pub mod list;
pub mod marks;
pub mod message;
pub mod own;
pub mod presence;
pub mod push;
pub mod rules;
pub mod session;
pub mod sync;
pub mod talk;

mod canonical;
mod checked;
mod ingest;
mod layout;
mod trace;

pub use checked::CheckedFrame;
pub(crate) use ingest::access;
pub use ingest::{Body, Checked, Wire, encode, ingest, read};
pub use layout::{Field, ITEMS, KINDS, Layout, OLDER, ROOTS, check, is_readable, kinds};
