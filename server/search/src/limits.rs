//! Every bound of search.

/// Longest query, characters.
pub const QUERY_CHARS_MAX: usize = 256;
/// Most words and phrases of a query.
pub const CLAUSES_MAX: usize = 16;
/// Most hits of a page.
pub const PAGE_MAX: usize = 100;
/// How deep pages go by relevance: nobody reads further, and each page costs the ones before it.
pub const RANKS_MAX: usize = 1000;
/// A search takes no longer than about this, milliseconds; what it has found by then is the answer, and says so.
pub const SEARCH_MS: u64 = 500;
/// Documents between two looks at the clock.
pub const DOCS_PER_LOOK: u32 = 2048;
/// Channels that one asker can search; of more, those with the largest ids are left out, and the answer says so.
pub const CHANNELS_MAX: usize = 20_000;
/// Channels up to which they are looked up before words that are in many messages.
pub(crate) const CHANNELS_FIRST_MAX: usize = 1024;
/// A word in more messages than this is looked up behind the channels.
pub(crate) const COMMON_DOCS: u64 = 50_000;
/// Longest word, letters; a longer one is several that follow each other.
pub(crate) const WORD_LETTERS_MAX: usize = 40;
/// How many first consonants are looked up at once.
pub(crate) const INITIALS: usize = 3;
/// Characters of a text that are shown around what was found.
pub const SNIPPET_CHARS: usize = 160;
/// Of which so many stand before the first thing found.
pub(crate) const SNIPPET_LEAD: usize = 40;
/// Characters of a text in which it is looked for what to show.
pub(crate) const SNIPPET_LOOK_CHARS: usize = 20_000;
/// Highlights of a snippet.
pub(crate) const HIGHLIGHTS_MAX: usize = 32;
/// Memory of the writer, bytes: what it gathers before it writes a segment by itself.
pub(crate) const WRITER_BYTES: usize = 20_000_000;

const _: () = assert!(PAGE_MAX <= RANKS_MAX && SNIPPET_LEAD < SNIPPET_CHARS && INITIALS >= 2);
