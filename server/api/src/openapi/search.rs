//! Messages by their words.

use protocol::limits::U53_MAX;
use serde_json::{Value, json};

use super::channels::{channel_id, seq};
use super::schema::{flag, id, list, number, object, said, text, time_ms};
use super::{Operation, Section};
use crate::routes::{SEARCH_PAGE_MAX, WORDS_CHARS_MAX};

pub(super) fn section() -> Section {
    Section {
        tag: "search",
        about: "Messages by their words: whatever one may read, and nothing else.",
        operations: vec![search(), report(), rebuild()],
        schemas: Vec::new(),
    }
}

fn word(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

fn search() -> Operation {
    let syntax =
        "All of these words; \"words in quotes\" together; -word not. Korean initials (ㅎㄱ) find 한글.";
    let most = format!("How many at most: 1 to {SEARCH_PAGE_MAX}.");
    let time = |words: &str| said(text(1, 16), words);
    Operation::new("GET", "/v1/search", "search", "Find messages by their words")
        .about("What is in channels that one is or was in, of the time that one was in them.")
        .bearer()
        .in_query_always("q", said(text(1, WORDS_CHARS_MAX), syntax), "anybody")
        .in_query("channel", said(channel_id(), "Only there."), "7310442183966793728")
        .in_query("sender", said(id(), "Only of this user."), "7310442183966793728")
        .in_query("from_ms", time("Only from this time on, milliseconds since 1970."), "1760000000000")
        .in_query("to_ms", time("Only before this time."), "1990000000000")
        .in_query("kind", word(&["text"]), "text")
        .in_query(
            "mentions",
            said(text(1, 20), "Only what mentions this user, alone or with all; `me` is the asker."),
            "me",
        )
        .in_query("order", said(word(&["time", "relevance"]), "The newest first, or the best."), "time")
        .in_query("limit", said(text(1, 3), &most), "20")
        .in_query("after", said(text(1, 64), "`next` of the page before."), "r0")
        .gives(200, "A page.", page())
        .refuses(&["scope", "rate", "search_off"])
}

fn page() -> Value {
    let place = |words: &str| said(number(0, U53_MAX), words);
    let two = "Begin and end within the snippet, in characters (Unicode scalar values).";
    let highlight = said(list(number(0, U53_MAX), 2), two);
    let hit = object(
        vec![
            ("channel", channel_id()),
            ("seq", seq()),
            ("time_ms", time_ms()),
            ("sender", id()),
            ("kind", word(&["text", "other"])),
            ("snippet", said(text(0, 1000), "A stretch of the text.")),
            ("at", place("Where the stretch begins in the text, in characters.")),
            ("chars", place("How long the text is, in characters.")),
            ("highlights", list(highlight, 32)),
        ],
        Vec::new(),
    );
    let complete = "False: there was not time to look at everything; others may match.";
    object(
        vec![("hits", list(hit, SEARCH_PAGE_MAX)), ("complete", said(flag(), complete))],
        vec![("next", said(text(1, 64), "There may be more: go on from here."))],
    )
}

fn report() -> Operation {
    let count = |words: &str| said(number(0, u64::MAX >> 1), words);
    let report = object(
        vec![
            ("on", said(flag(), "Whether this server searches.")),
            ("documents", count("Messages that are found.")),
            ("bytes", count("Of its files.")),
            ("segments", count("Its pieces.")),
            ("behind_ms", count("Age of the oldest message that is not found yet.")),
            ("rebuilding", count("Bays of 64 whose histories are still to be read into it.")),
        ],
        Vec::new(),
    );
    Operation::new("GET", "/v1/admin/search", "searchIndex", "Look at the search index")
        .operator("all")
        .gives(200, "What it holds.", report)
}

fn rebuild() -> Operation {
    Operation::new("POST", "/v1/admin/search/rebuild", "rebuildSearch", "Make the search index anew")
        .about("From the histories, while everything goes on. Until it is done less is found.")
        .operator("all")
        .gives_nothing("It has begun.")
        .refuses(&["search_off"])
}
