//! What a channel keeps: purge and retention.

use serde_json::{Value, json};

use super::channels::{channel_id, seq};
use super::schema::{nullable, number, object, request, said, time_ms};
use super::{Operation, Section};
use crate::routes::DAYS_MAX;

const CHANNEL: &str = "7310442183966793728";
const U53_MAX: u64 = protocol::limits::U53_MAX;

pub(super) fn section() -> Section {
    Section {
        tag: "keeping",
        about: "How long channels keep their messages, and what is purged of them by hand.",
        operations: vec![purge(), see(), retain()],
        schemas: Vec::new(),
    }
}

fn purge() -> Operation {
    Operation::new("POST", "/v1/admin/channels/{id}/purge", "purgeChannel", "Purge messages of a channel")
        .about(
            "A message is gone for which one of the three says so, with all that was said about it; in its place stands a tombstone. \
             What is younger than ten seconds stays. It cannot be undone.",
        )
        .operator("all")
        .in_path("id", channel_id(), CHANNEL)
        .body(
            request(
                Vec::new(),
                vec![
                    ("below", said(number(0, U53_MAX), "All with a smaller seq.")),
                    ("before_ms", said(number(0, U53_MAX), "All of before this time.")),
                    ("keep", said(number(0, U53_MAX), "All but so many of the newest.")),
                ],
            ),
            json!({ "keep": 1000 }),
        )
        .gives(200, "What the channel keeps now, durably.", kept())
        .refuses(&["not_found", "busy", "storage_full"])
}

fn see() -> Operation {
    Operation::new("GET", "/v1/admin/channels/{id}/retention", "seeRetention", "See what a channel keeps")
        .operator("all")
        .in_path("id", channel_id(), CHANNEL)
        .gives(200, "Where its history begins, and how long it keeps what is said.", kept())
        .refuses(&["not_found", "busy"])
}

fn retain() -> Operation {
    Operation::new(
        "PUT",
        "/v1/admin/channels/{id}/retention",
        "setRetention",
        "Set how long a channel keeps its messages",
    )
    .about("In place of the server's settings; with neither field as they say. What is younger than a day is always kept.")
    .operator("all")
    .in_path("id", channel_id(), CHANNEL)
    .body(
        request(
            Vec::new(),
            vec![
                ("days", said(number(0, DAYS_MAX.into()), "0: for ever.")),
                ("messages", said(number(0, U53_MAX), "0: any number.")),
            ],
        ),
        json!({ "days": 90 }),
    )
    .gives(200, "What the channel keeps now.", kept())
    .refuses(&["not_found", "busy", "storage_full"])
}

fn kept() -> Value {
    object(
        vec![
            ("channel", channel_id()),
            ("begins", said(seq(), "Its first message that was not purged; one above `head` when all were.")),
            ("purged_to_ms", said(time_ms(), "The time of the newest that was purged; 0 for none.")),
            ("head", seq()),
            (
                "days",
                said(nullable(number(0, DAYS_MAX.into())), "Its own; null: as the server's settings say."),
            ),
            ("messages", said(nullable(number(0, U53_MAX)), "The same.")),
        ],
        Vec::new(),
    )
}
