//! The index of messages by their words: an own directory that follows what is committed, and can be lost.
//!
//! Nothing here decides what a person may read: whoever asks brings the stays of the asker ([`Readable`]), and a hit
//! outside of them is none. Nothing here reads the store either: the server hands over changes ([`Change`]) with how far
//! they go ([`Places`]), and both become durable together, so that a crash is followed by a replay and never by a hole.
//!
//! ```text
//! text -> letters (normalised, folded; each knows its place in the text)
//!      -> words    Latin and the like: a word. Hangul, Han, kana, Thai: pairs of neighbours, and the last one alone
//!      -> initials Hangul syllables by their first consonants, three at a time
//! ```
//!
//! Absent on purpose: stemming and stop words (people write in many languages at once), and scores in answers.

mod find;
mod highlight;
mod index;
mod letters;
pub mod limits;
mod places;
mod query;
mod schema;
mod syntax;
mod tokens;

pub use find::{Asked, Cursor, Finder, Found, Hit, Order, Readable};
pub use highlight::{Snippet, snippet};
pub use index::{Change, Document, EVERYBODY, Index, IndexError, Opened, Sizes};
pub use places::{Place, Places};
pub use syntax::{Sought, SyntaxError};
