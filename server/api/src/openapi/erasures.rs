//! Erasures of users who have left.

use serde_json::{Value, json};

use protocol::limits::LIST_ITEMS_MAX;

use super::channels::limit;
use super::schema::{id, list, nullable, object, request, said, time_ms};
use super::{Operation, Section};

const ID: &str = "7310442183966793728";

pub(super) fn section() -> Section {
    Section {
        tag: "erasures",
        about: "What users who have left wrote, and its erasure.",
        operations: vec![begin(), all()],
        schemas: Vec::new(),
    }
}

fn begin() -> Operation {
    Operation::new("POST", "/v1/admin/erasures", "beginErasure", "Erase what a user who has left wrote")
        .about(
            "Also where `erase_history` keeps it. In every channel where the user ever was its texts, their edits and its reactions go; \
             it goes on by itself, also behind a restart, and cannot be undone. Asked again it goes on, or goes through all once more.",
        )
        .operator("all")
        .body(request(vec![("user", id())], Vec::new()), json!({ "user": ID }))
        .gives(202, "It has begun.", erasure())
        .refuses(&["not_found", "has_account"])
}

fn all() -> Operation {
    let next = said(id(), "There may be more: give it as `after`.");
    let page = object(vec![("erasures", list(erasure(), LIST_ITEMS_MAX as usize))], vec![("next", next)]);
    Operation::new("GET", "/v1/admin/erasures", "listErasures", "List erasures")
        .operator("all")
        .in_query("after", id(), ID)
        .in_query("limit", limit(LIST_ITEMS_MAX), "100")
        .gives(200, "A page, rising by the user's id.", page)
}

fn erasure() -> Value {
    object(
        vec![
            ("user", id()),
            ("begun_ms", time_ms()),
            (
                "through_ms",
                said(nullable(time_ms()), "When all channels had been gone through once; null: not yet."),
            ),
            ("done_ms", said(nullable(time_ms()), "When nothing was left; null: it is under way.")),
        ],
        Vec::new(),
    )
}
