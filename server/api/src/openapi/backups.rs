//! Backups of the running server.

use serde_json::{Value, json};

use super::schema::{letters, nullable, number, object, request, said, text, time_ms};
use super::{Operation, Section};
use crate::routes::PATH_BYTES_MAX;

pub(super) fn section() -> Section {
    Section {
        tag: "backups",
        about: "Backups of the running server. `maru admin restore` makes a data directory of one.",
        operations: vec![begin(), last()],
        schemas: Vec::new(),
    }
}

fn begin() -> Operation {
    let to = said(
        text(1, PATH_BYTES_MAX),
        "An absolute path of the server's machine, outside the data directory: a directory that is not there yet, or empty. The one that holds it has to be there.",
    );
    Operation::new("POST", "/v1/admin/backups", "beginBackup", "Begin a backup")
        .about("It goes on by itself, one at a time; `lastBackup` says how it ends. The directory gets its name when all of it is there.")
        .operator("all")
        .body(request(vec![("to", to)], Vec::new()), json!({ "to": "/backup/maru-2026-11-26" }))
        .gives(202, "It has begun.", backup())
        .refuses(&["backup_refused", "backup_running", "storage_full"])
}

fn last() -> Operation {
    let found = object(vec![("backup", nullable(backup()))], Vec::new());
    Operation::new("GET", "/v1/admin/backups", "lastBackup", "How the last backup ended")
        .operator("all")
        .gives(200, "The one that is being made, or the last one since the start.", found)
}

fn backup() -> Value {
    let count = || number(0, u64::from(u32::MAX));
    object(
        vec![
            ("to", text(0, PATH_BYTES_MAX)),
            ("state", said(letters("a-z", 4, 7), "`running`, `done`, or `failed`: then there is none.")),
            ("began_ms", time_ms()),
            ("ended_ms", nullable(time_ms())),
            ("files", count()),
            ("bytes", number(0, 1 << 53)),
            ("error", nullable(text(1, 10_000))),
        ],
        Vec::new(),
    )
}
