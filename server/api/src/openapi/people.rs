//! Finding others.

use super::schema::{id, named, nullable, object, said, text};
use super::{Operation, Section};
use crate::name::RAW_CHARS_MAX;
use crate::routes::{ABOUT_CHARS_MAX, DISPLAY_NAME_CHARS_MAX};

pub(super) fn section() -> Section {
    Section {
        tag: "people",
        about: "Finding those to write to.",
        operations: vec![
            look_up("/v1/users/by-name/{name}", "findUserByName", "Find a user by name").in_path(
                "name",
                text(1, RAW_CHARS_MAX),
                "ADA",
            ),
            look_up("/v1/users/{id}", "findUser", "Find a user by id").in_path(
                "id",
                id(),
                "7310442183966793728",
            ),
        ],
        schemas: vec![("User", user())],
    }
}

fn look_up(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new("GET", path, id, summary)
        .bearer()
        .gives(200, "The user.", named("User"))
        .refuses(&["scope", "not_found", "rate"])
        .stores()
}

/// What is seen of a user. `display_name` and `about` are empty for who may not see them.
fn user() -> serde_json::Value {
    object(
        vec![
            ("user", id()),
            ("name", said(text(1, RAW_CHARS_MAX), "As it was signed up.")),
            ("display_name", said(text(0, DISPLAY_NAME_CHARS_MAX), "Empty: the name is shown.")),
            ("about", text(0, ABOUT_CHARS_MAX)),
        ],
        vec![("bot", object(vec![("owner", nullable(id()))], Vec::new()))],
    )
}
