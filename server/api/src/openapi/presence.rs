//! What users show of themselves.

use protocol::limits::{DEVICES_MAX, STATUS_CHARS_MAX, U53_MAX};
use serde_json::{Value, json};

use super::channels::{reads, word};
use super::schema::{Field, id, list, number, object, request, said, text, time_ms};
use super::{Operation, Section};

pub(super) fn section() -> Section {
    Section {
        tag: "presence",
        about: "Who is there, and what people say of themselves. A request over HTTP makes nobody online.",
        operations: vec![of_user(), own(), set()],
        schemas: Vec::new(),
    }
}

fn state(words: &[&str], about: &str) -> Field {
    ("state", said(word(words), about))
}

fn shows() -> Field {
    let about = "`activity`: what the devices do; `invisible`: nobody is shown that the user is there.";
    ("shows", said(word(&["activity", "away", "do_not_disturb", "invisible"]), about))
}

fn of_user() -> Operation {
    let state = state(
        &["unknown", "offline", "online", "away", "do_not_disturb"],
        "`unknown` of whoever is not there to be seen by the asker, or at all.",
    );
    let shown = object(
        vec![("user", id()), state],
        vec![
            ("last_active_ms", said(time_ms(), "Of who is offline: seen last, where that is known.")),
            ("status", text(1, STATUS_CHARS_MAX)),
            ("status_until_ms", said(time_ms(), "The status is to be shown no more from then on.")),
        ],
    );
    reads("/v1/users/{id}/presence", "seePresence", "What a user shows of itself, now")
        .about("Shown to whom the user's `see` names.")
        .in_path("id", id(), "7310442183966793728")
        .gives(200, "What it shows.", shown)
}

fn own() -> Operation {
    let device = object(
        vec![
            ("device", id()),
            state(&["offline", "online", "away"], "Whether somebody is at it; `away`: not for a while."),
        ],
        vec![("seen_ms", said(time_ms(), "When it last spoke, as far as that was written."))],
    );
    let fields = vec![
        state(
            &["offline", "online", "away", "do_not_disturb"],
            "What others are shown who may see the user.",
        ),
        shows(),
        ("devices", list(device, DEVICES_MAX)),
    ];
    let status = vec![
        ("status", said(text(1, STATUS_CHARS_MAX), "Also when its time is over.")),
        ("status_until_ms", said(time_ms(), "Nobody is shown the status from then on.")),
    ];
    reads("/v1/me/presence", "seeOwnPresence", "What one shows of oneself, and one's devices").gives(
        200,
        "All of it, invisible or not.",
        object(fields, status),
    )
}

fn set() -> Operation {
    let until =
        said(number(0, U53_MAX), "The status ends then, milliseconds since the Unix epoch; 0 for never.");
    let status = said(text(0, STATUS_CHARS_MAX), "One line, without control characters; empty for none.");
    let body: Value = request(vec![shows()], vec![("status", status), ("status_until_ms", until)]);
    Operation::new("PUT", "/v1/me/presence", "setOwnPresence", "Say what one shows of oneself")
        .about("All of it: what is not named is no more. It outlives connections and restarts.")
        .bearer()
        .body(body, json!({ "shows": "do_not_disturb", "status": "in a meeting" }))
        .gives_nothing("It is on stable storage.")
        .refuses(&["scope", "rate"])
        .stores()
}
