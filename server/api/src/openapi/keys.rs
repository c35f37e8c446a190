//! The keys that sign access tokens.

use serde_json::{Value, json};

use super::schema::{flag, list, number, object, request, said, time_ms};
use super::{Operation, Section};
use crate::keys::KEYS_MAX;

pub(super) fn section() -> Section {
    Section {
        tag: "keys",
        about: "The keys that sign access tokens.",
        operations: vec![all(), rotate(), retire()],
        schemas: Vec::new(),
    }
}

fn all() -> Operation {
    let key = object(
        vec![
            ("key", number_of_key()),
            ("created_ms", time_ms()),
            ("signs", said(flag(), "The one that signs; the others verify.")),
        ],
        Vec::new(),
    );
    let keys = object(vec![("keys", list(key, KEYS_MAX))], Vec::new());
    Operation::new("GET", "/v1/admin/keys", "listKeys", "List the signing keys").operator("all").gives(
        200,
        "All of them, oldest first.",
        keys,
    )
}

fn rotate() -> Operation {
    Operation::new("POST", "/v1/admin/keys/rotate", "rotateKeys", "Sign with a new key")
        .about("The older keys go on verifying, so nobody notices.")
        .operator("all")
        .gives_nothing("A new key signs.")
        .refuses(&["too_many_keys"])
}

fn retire() -> Operation {
    Operation::new("POST", "/v1/admin/keys/retire", "retireKey", "Take no tokens of a key any more")
        .operator("all")
        .body(request(vec![("key", number_of_key())], Vec::new()), json!({ "key": 1 }))
        .gives_nothing("Tokens that it signed are refused as expired.")
        .refuses(&["not_found", "key_signs"])
}

fn number_of_key() -> Value {
    number(0, u64::from(u32::MAX))
}
