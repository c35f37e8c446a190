//! Friends, blocks, and who may come near a user.

use serde_json::{Value, json};

use super::schema::{id, list, named, object, request, said, text, time_ms};
use super::{Operation, Section};
use crate::name::RAW_CHARS_MAX;
use crate::routes::RELATIONS_PAGE;

pub(super) fn section() -> Section {
    Section {
        tag: "consent",
        about: "Friends, blocks, and who may write to a user, add it to groups and see it.",
        operations: vec![
            friends(),
            befriend(),
            part(),
            blocks(),
            block(),
            unblock(),
            privacy(),
            set_privacy(),
        ],
        schemas: vec![("Privacy", object(parts(), Vec::new()))],
    }
}

fn friends() -> Operation {
    let friend = object(
        vec![
            ("user", id()),
            ("name", text(1, RAW_CHARS_MAX)),
            ("state", state(&["friend", "asked", "asks"])),
            ("since_ms", time_ms()),
        ],
        Vec::new(),
    );
    listed("friends", "listFriends", "List friends and requests of both directions", friend)
}

fn befriend() -> Operation {
    let answer = object(vec![("user", id()), ("state", state(&["friend", "asked"]))], Vec::new());
    of_another("PUT", "/v1/friends/{id}", "befriend", "Ask to be a friend, or say yes")
        .gives(200, "How they stand to each other now.", answer)
        .refuses(&["not_found", "too_many_relations"])
}

fn part() -> Operation {
    of_another("DELETE", "/v1/friends/{id}", "part", "End a friendship or a request")
        .gives_nothing("They are no friends, and neither asks; also when there was nothing.")
}

fn blocks() -> Operation {
    let blocked =
        object(vec![("user", id()), ("name", text(1, RAW_CHARS_MAX)), ("since_ms", time_ms())], Vec::new());
    listed("blocks", "listBlocks", "List those who are blocked", blocked)
}

fn block() -> Operation {
    of_another("PUT", "/v1/blocks/{id}", "block", "Block a user")
        .gives_nothing("From now on that user can neither write to this one nor add or invite it to groups.")
        .refuses(&["not_found", "too_many_relations"])
}

fn unblock() -> Operation {
    of_another("DELETE", "/v1/blocks/{id}", "unblock", "Block a user no longer")
        .gives_nothing("That user is not blocked; also when it was not.")
}

fn privacy() -> Operation {
    Operation::new("GET", "/v1/privacy", "privacy", "Who may come near one")
        .bearer()
        .gives(200, "All of it.", named("Privacy"))
        .refuses(&["not_found"])
}

fn set_privacy() -> Operation {
    Operation::new("PATCH", "/v1/privacy", "setPrivacy", "Change who may come near one")
        .bearer()
        .body(request(Vec::new(), parts()), json!({ "message": "friends", "see": "everyone" }))
        .gives(200, "All of it. It holds from now on.", named("Privacy"))
        .refuses(&["not_found", "rate"])
        .stores()
}

fn of_another(
    method: &'static str,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    Operation::new(method, path, id, summary)
        .bearer()
        .in_path("id", self::id(), "7310442183966793728")
        .refuses(&["rate"])
        .stores()
}

fn listed(what: &'static str, id: &'static str, summary: &'static str, of: Value) -> Operation {
    let path = if what == "friends" { "/v1/friends" } else { "/v1/blocks" };
    let next = said(self::id(), "There may be more: give it as `after`.");
    Operation::new("GET", path, id, summary)
        .bearer()
        .in_query("after", said(self::id(), "`next` of the page before."), "7310442183966793728")
        .gives(
            200,
            "A page, by rising id.",
            object(vec![(what, list(of, RELATIONS_PAGE as usize))], vec![("next", next)]),
        )
}

fn state(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

fn parts() -> Vec<super::schema::Field> {
    let who = || state(&["everyone", "friends", "nobody"]);
    vec![
        ("message", said(who(), "Who may write.")),
        (
            "add",
            said(
                who(),
                "Who may put the user into groups unasked; with `nobody` it cannot be invited either.",
            ),
        ),
        ("see", said(who(), "Who may see more than the name.")),
        (
            "receipts",
            said(
                state(&["everyone", "nobody"]),
                "Who is shown what the user has read and received, from the next time on; with `nobody` it is shown nobody's.",
            ),
        ),
    ]
}
