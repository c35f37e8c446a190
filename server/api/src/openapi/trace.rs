//! The way of one message, at the admin listener.

use protocol::limits::{DEVICES_MAX, PUSH_ENDPOINT_BYTES_MAX, PUSH_SUBSCRIPTIONS_MAX, U53_MAX};
use protocol::query::TRACE_USERS_MAX;
use serde_json::Value;

use super::Operation;
use super::channels::{channel_id, seq, word};
use super::look::kind;
use super::push::provider;
use super::schema::{flag, id, list, named, nullable, number, object, said, text, time_ms};
use crate::homes::PushWord;

/// Lines about one user.
const LINES_MAX: usize = 16;
const ID: &str = "7310442183966793728";

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![("TracedUser", user())]
}

pub(super) fn trace() -> Operation {
    let message = object(
        vec![
            ("kind", said(text(1, 40), "The kind of its frame.")),
            ("bytes", number(0, u64::from(u32::MAX))),
            ("sender", id()),
            ("send_id", said(text(1, 20), "The number that the sender's device gave it.")),
            ("accepted_ms", said(time_ms(), "When it was given its place in the channel.")),
        ],
        Vec::new(),
    );
    let state = word(&["in_log", "trimmed", "not_found"]);
    let committed = object(
        vec![
            ("bay", number(0, 63)),
            ("shard", said(number(0, 1023), "The channel's home.")),
            (
                "batch",
                said(nullable(number(1, U53_MAX)), "The number of its batch in the bay's fan-out log."),
            ),
            (
                "state",
                said(
                    state,
                    "`trimmed`: every bay has applied the batch, and its number is not kept. `not_found`: the log is \
                     too long to be looked through.",
                ),
            ),
        ],
        Vec::new(),
    );
    let users = list(named("TracedUser"), TRACE_USERS_MAX as usize);
    let fields = vec![
        ("channel", channel_id()),
        ("seq", seq()),
        ("kind", kind()),
        ("head", said(seq(), "The channel's newest message.")),
        ("message", message),
        ("committed", committed),
        ("recipients", said(number(1, 1_000_000), "Who was to have it: the members of then and the sender.")),
        ("users", users),
        (
            "pushes_since_ms",
            said(
                time_ms(),
                "What happened to pushes before is not known any more: the start of the server, or later.",
            ),
        ),
    ];
    let next = said(id(), "More follow: give it as `after`.");
    Operation::new("GET", "/v1/admin/trace/{channel}/{seq}", "traceMessage", "See what became of a message")
        .about("Never what was said. Which device sent it is not kept.")
        .operator("users")
        .in_path("channel", channel_id(), ID)
        .in_path("seq", said(text(1, 16), "Which message: decimal digits."), "1")
        .in_query("after", said(id(), "`next` of the page before."), ID)
        .in_query("limit", super::channels::limit(TRACE_USERS_MAX), "25")
        .gives(200, "The message and a page of its users, rising.", object(fields, vec![("next", next)]))
        .refuses(&["not_found"])
}

fn user() -> Value {
    let device = object(
        vec![
            ("device", id()),
            (
                "state",
                said(
                    word(&["holds", "sent", "behind", "away", "unknown"]),
                    "`holds`: its cursor is there or behind it. `sent`: it was written to its connection.",
                ),
            ),
            (
                "cursor",
                said(
                    nullable(place()),
                    "As it was written down, at most every 10 s; null: of an older life.",
                ),
            ),
            ("cursor_ms", time_ms()),
            ("transport", said(nullable(word(&["websocket", "quic", "poll"])), "Null: not connected.")),
            ("sent_through", nullable(place())),
        ],
        Vec::new(),
    );
    let host = || said(text(1, PUSH_ENDPOINT_BYTES_MAX), "The endpoint as far as its host.");
    let subscription = object(vec![("device", id()), ("provider", provider()), ("host", host())], Vec::new());
    let job = object(
        vec![
            ("seq", said(seq(), "Its newest message.")),
            ("count", number(0, u64::from(u32::MAX))),
            ("mentioned", flag()),
            ("parked", said(flag(), "Tried too often, or refused for good.")),
            ("attempts", number(0, 65_535)),
            ("retry_at_ms", time_ms()),
        ],
        Vec::new(),
    );
    let line = object(
        vec![
            ("at_ms", time_ms()),
            ("seq", said(seq(), "The newest message that it told of.")),
            ("count", number(0, u64::from(u32::MAX))),
            ("what", word(&PushWord::ALL.map(PushWord::word))),
            ("device", nullable(id())),
            ("provider", nullable(provider())),
            ("host", nullable(host())),
            ("words", said(text(0, 1000), "What the provider answered.")),
            ("until_ms", said(nullable(time_ms()), "When it is looked at again.")),
        ],
        Vec::new(),
    );
    let state = word(&["in_inbox", "on_its_way", "not_found"]);
    let fields = vec![
        ("user", id()),
        ("state", said(state, "`not_found`: it does not stand near where its time says.")),
        ("inbox_at", nullable(place())),
        ("inbox_head", place()),
        ("read", seq()),
        ("delivered", seq()),
        ("has_read", flag()),
        ("devices", list(device, DEVICES_MAX)),
        ("subscriptions", list(subscription, PUSH_SUBSCRIPTIONS_MAX)),
        ("job", said(nullable(job), "What the user is still to be told of it.")),
        ("pushes", said(list(line, LINES_MAX), "What happened last, oldest first.")),
    ];
    object(fields, Vec::new())
}

fn place() -> Value {
    said(number(0, U53_MAX), "A place in the user's inbox.")
}
