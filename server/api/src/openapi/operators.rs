//! What operators do to users, at the admin listener.

use protocol::limits::DEVICES_MAX;
use serde_json::{Value, json};

use super::accounts::new_password;
use super::schema::{Field, id, number, object, request, said, secret, text, time_ms};
use super::{Operation, Section};
use crate::name::RAW_CHARS_MAX;
use crate::routes::{DEVICES_PER_REQUEST, PREFIX_CHARS_MAX, TTL_S_MAX};

pub(super) fn section() -> Section {
    Section {
        tag: "operators",
        about: "Users, their devices and tokens, for operators. A user is named by `user` or by `name`, not by both.",
        operations: vec![users(), token(), revoke(), password(), delete(), second_factor_off()],
        schemas: Vec::new(),
    }
}

fn users() -> Operation {
    let fields = vec![
        (
            "prefix",
            said(text(0, PREFIX_CHARS_MAX), "Names are this and a number of six digits. `load` unless said."),
        ),
        ("from", said(number(0, u32::MAX.into()), "The first number. 1 unless it is said.")),
        ("devices", said(number(1, DEVICES_MAX as u64), "Devices of each. 1 unless said.")),
    ];
    let count = said(
        number(1, DEVICES_PER_REQUEST.into()),
        "How many users. All together they have at most 5,000 devices.",
    );
    Operation::new("POST", "/v1/admin/users", "makeUsers", "Make many users with tokens")
        .about("For load tests and imports: nobody can log in to them by password. Repeatable: the same names give the same users.")
        .operator("users")
        .body(request(vec![("count", count)], fields), json!({ "prefix": "load", "from": 1, "count": 2, "devices": 1 }))
        .gives_text(201, "A line of user, device and token for each device, with tabs.", "text/tab-separated-values")
        .refuses(&["name_taken", "too_many_devices"])
        .stores()
}

fn token() -> Operation {
    let ttl_s = said(number(1, TTL_S_MAX), "How long the token is good, seconds. A week unless it is said.");
    let answer = object(
        vec![
            ("token", said(secret(), "The access token. Nothing renews it.")),
            ("user", id()),
            ("device", id()),
            ("expires_ms", time_ms()),
        ],
        Vec::new(),
    );
    Operation::new("POST", "/v1/admin/token", "makeToken", "Get a token for a device of any user")
        .about("A device that does not exist is made.")
        .operator("users")
        .body(
            whom(Vec::new(), vec![("device", device()), ("ttl_s", ttl_s)]),
            json!({ "name": "ada", "ttl_s": 3600 }),
        )
        .gives(201, "The token.", answer)
        .refuses(&["not_found", "too_many_devices"])
        .stores()
}

fn revoke() -> Operation {
    Operation::new("POST", "/v1/admin/revoke", "revokeDevices", "End a device of a user, or all of them")
        .operator("users")
        .body(whom(Vec::new(), vec![("device", device())]), json!({ "name": "ada" }))
        .gives_nothing("The device, or all of the user's, is no more.")
        .refuses(&["not_found"])
        .stores()
}

fn password() -> Operation {
    Operation::new("POST", "/v1/admin/password", "resetPassword", "Give a user another password")
        .operator("users")
        .body(
            whom(vec![("password", new_password())], Vec::new()),
            json!({ "name": "ada", "password": "correct horse battery" }),
        )
        .gives_nothing("The user has another password, and all devices are no more.")
        .refuses(&["not_found"])
        .stores()
}

fn delete() -> Operation {
    Operation::new("POST", "/v1/admin/delete", "deleteUser", "Erase an account")
        .operator("users")
        .body(whom(Vec::new(), Vec::new()), json!({ "name": "ada" }))
        .gives_nothing("The account is no more.")
        .refuses(&["not_found"])
        .stores()
}

fn second_factor_off() -> Operation {
    Operation::new("POST", "/v1/admin/two-factor-off", "endSecondFactorOf", "Turn a user's second factor off")
        .operator("users")
        .body(whom(Vec::new(), Vec::new()), json!({ "name": "ada" }))
        .gives_nothing("It is off; also when it was not on.")
        .refuses(&["not_found"])
        .stores()
}

/// A user by id or by name, and more.
fn whom(required: Vec<Field>, more: Vec<Field>) -> Value {
    let mut optional = vec![("user", id()), ("name", text(1, RAW_CHARS_MAX))];
    optional.extend(more);
    request(required, optional)
}

fn device() -> Value {
    said(id(), "Which of the user's devices.")
}
