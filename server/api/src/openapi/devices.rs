//! A user's own devices.

use protocol::limits::DEVICES_MAX;
use serde_json::json;

use super::schema::{flag, id, list, named, object, request, said, text, time_ms};
use super::{Operation, Section};
use crate::routes::DEVICE_NAME_CHARS_MAX;

pub(super) fn section() -> Section {
    Section {
        tag: "devices",
        about: "One's own devices, and their end.",
        operations: vec![devices(), remove(), log_out(), log_out_all()],
        schemas: vec![("Device", device())],
    }
}

fn devices() -> Operation {
    Operation::new("GET", "/v1/devices", "listDevices", "List one's devices").bearer().gives(
        200,
        "All of them.",
        object(vec![("devices", list(named("Device"), DEVICES_MAX))], Vec::new()),
    )
}

fn remove() -> Operation {
    Operation::new("DELETE", "/v1/devices/{id}", "removeDevice", "Log one of one's devices out")
        .bearer()
        .in_path("id", id(), "7310442183966793728")
        .gives_nothing("That device of the user is no more; also when it was none.")
        .stores()
}

fn log_out() -> Operation {
    Operation::new("POST", "/v1/logout", "logOut", "Log this device out")
        .bearer()
        .gives_nothing("The device that asked is no more.")
        .stores()
}

fn log_out_all() -> Operation {
    let keep = said(flag(), "The device that asks stays, with new tokens. False unless it is said.");
    Operation::new("POST", "/v1/logout/all", "logOutAll", "Log all devices out")
        .about("Every older token of the user is refused from now on.")
        .bearer()
        .body(request(Vec::new(), vec![("keep_this", keep)]), json!({ "keep_this": true }))
        .gives(200, "With `keep_this`: all others are no more.", named("Grant"))
        .gives_nothing("All devices are no more.")
        .refuses(&["not_found"])
        .stores()
}

fn device() -> serde_json::Value {
    object(
        vec![
            ("device", id()),
            ("name", said(super::schema::nullable(text(1, DEVICE_NAME_CHARS_MAX)), "As its login named it.")),
            ("created_ms", time_ms()),
            ("seen_ms", said(time_ms(), "Its last login or renewal, to the hour.")),
            ("this", said(flag(), "It is the one that asks.")),
        ],
        Vec::new(),
    )
}
