//! Invites: the operator's, and those of users.

use serde_json::{Value, json};

use super::schema::{id, letters, list, named, nullable, number, object, request, said, time_ms};
use super::{Operation, Section};
use crate::routes::{INVITE_S_MAX, INVITE_S_MIN, INVITE_USES_MAX, INVITES_PAGE, INVITES_PER_REQUEST};

pub(super) fn section() -> Section {
    Section {
        tag: "invites",
        about: "Letting people in where sign-up is by invitation.",
        operations: vec![invite(), own(), revoke_own(), make(), all(), revoke()],
        schemas: vec![("Invite", kept()), ("FreshInvite", fresh())],
    }
}

fn invite() -> Operation {
    Operation::new("POST", "/v1/invites", "invite", "Invite one person")
        .bearer()
        .body(request(Vec::new(), vec![("expires_s", expires_s())]), json!({ "expires_s": 86400 }))
        .gives(201, "It lets one person in.", named("FreshInvite"))
        .refuses(&["invites_closed", "too_many_invites"])
        .stores()
}

fn own() -> Operation {
    listed(Operation::new("GET", "/v1/invites", "listInvites", "List one's own invites").bearer())
}

fn revoke_own() -> Operation {
    revoked(
        Operation::new("DELETE", "/v1/invites/{id}", "revokeInvite", "Revoke one of one's invites").bearer(),
    )
}

fn make() -> Operation {
    let most = |number: u32| self::number(1, number.into());
    let fields = vec![
        ("count", said(most(INVITES_PER_REQUEST), "How many. 1 unless it is said.")),
        ("uses", said(most(INVITE_USES_MAX), "How many people each lets in. 1 unless it is said.")),
        ("expires_s", expires_s()),
    ];
    let made = list(named("FreshInvite"), INVITES_PER_REQUEST as usize);
    Operation::new("POST", "/v1/admin/invites", "makeInvites", "Make invites")
        .operator("users")
        .body(request(Vec::new(), fields), json!({ "count": 2, "uses": 10, "expires_s": 86400 }))
        .gives(201, "They let people in.", object(vec![("invites", made)], Vec::new()))
        .stores()
}

fn all() -> Operation {
    listed(
        Operation::new("GET", "/v1/admin/invites", "listAllInvites", "List everybody's invites")
            .operator("users"),
    )
}

fn revoke() -> Operation {
    revoked(
        Operation::new("DELETE", "/v1/admin/invites/{id}", "revokeAnyInvite", "Revoke any invite")
            .operator("users"),
    )
}

fn listed(operation: Operation) -> Operation {
    let invites = list(named("Invite"), INVITES_PAGE as usize);
    let next = said(id(), "There may be more: give it as `after`.");
    operation.in_query("after", said(id(), "`next` of the page before."), "7310442183966793728").gives(
        200,
        "A page, oldest first.",
        object(vec![("invites", invites)], vec![("next", next)]),
    )
}

fn revoked(operation: Operation) -> Operation {
    operation
        .in_path("id", id(), "7310442183966793728")
        .gives_nothing("It lets nobody in any more; also when there was none.")
        .stores()
}

fn expires_s() -> Value {
    said(number(INVITE_S_MIN, INVITE_S_MAX), "How long it is good, seconds. A week unless it is said.")
}

fn fields() -> Vec<super::schema::Field> {
    vec![
        ("invite", id()),
        ("made_by", said(nullable(id()), "A user, or null for the operator.")),
        ("created_ms", time_ms()),
        ("expires_ms", time_ms()),
        ("uses", number(1, INVITE_USES_MAX.into())),
        ("uses_left", number(0, INVITE_USES_MAX.into())),
    ]
}

fn kept() -> Value {
    object(fields(), Vec::new())
}

fn fresh() -> Value {
    let code = said(letters("0-9a-f", 32, 32), "What a sign-up names. Told this once.");
    let mut fields = fields();
    fields.push(("code", code));
    object(fields, Vec::new())
}
