//! Exports of channels and users.

use super::channels::channel_id;
use super::schema::id;
use super::{Operation, Section};
use crate::routes::LINES_MEDIA;

const CHANNEL: &str = "7310442183966793728";
const USER: &str = "7310442183966793729";

pub(super) fn section() -> Section {
    Section {
        tag: "exports",
        about: "Channels and users as JSON Lines. The last line counts the others and has their checksum: a file without it \
                is not whole. `maru admin import` makes a data directory of channels.",
        operations: vec![own(), user(), channel()],
        schemas: Vec::new(),
    }
}

fn own() -> Operation {
    Operation::new("GET", "/v1/me/export", "exportMe", "Take along what is kept of oneself")
        .about(
            "Account, devices, relations, notes, mentions, and every channel that one is or was in with the messages that one \
             may read, as of now. No secrets; of other people who they are. One at a time of a user; it may take minutes.",
        )
        .bearer()
        .gives_text(200, "An object a line.", LINES_MEDIA)
        .refuses(&["not_found"])
}

fn user() -> Operation {
    Operation::new("GET", "/v1/admin/users/{id}/export", "exportUser", "Export a user")
        .about("The same of any user.")
        .operator("all")
        .in_path("id", id(), USER)
        .gives_text(200, "An object a line.", LINES_MEDIA)
        .refuses(&["not_found"])
}

fn channel() -> Operation {
    Operation::new("GET", "/v1/admin/channels/{id}/export", "exportChannel", "Export a channel")
        .about(
            "Its rules, everybody who ever was in it, and its messages with what is said of them, as of now.",
        )
        .operator("all")
        .in_path("id", channel_id(), CHANNEL)
        .gives_text(200, "An object a line.", LINES_MEDIA)
        .refuses(&["not_found"])
}
