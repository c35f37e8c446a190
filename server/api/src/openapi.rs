//! What the API is, as an OpenAPI 3.1 document: the one place that says what each route takes and gives. It is served at
//! `/v1/openapi.json`, of each listener its own routes, and `tests/contract.rs` drives every route from it: a route that is
//! not described here, an answer that is not described, and a description that no route has fail there.
//!
//! A new route: its line in `routes.rs`; its operation in the section of its noun below, or in a new section, a file of its
//! own with a line in [`sections`]; its codes, if they are new, in `problems.rs`; its line in docs/http.md; and its step in
//! `tests/contract/steps.rs`, which says when in a person's life it is sent and what of earlier answers it takes.

mod accounts;
mod backups;
mod bots;
mod channels;
mod consent;
mod devices;
mod erasures;
mod exports;
mod families;
mod invites;
mod keeping;
mod keys;
mod look;
mod moderation;
mod operation;
mod operators;
mod people;
mod polls;
mod presence;
pub(crate) mod problems;
mod push;
mod schema;
mod search;
mod second_factor;
mod tokens;
mod trace;
mod watching;

use serde_json::{Map, Value, json};

use self::operation::Operation;
use self::schema::{Field, list, object, said};
use protocol::limits::DEVICES_MAX;

use crate::port::Audience;

/// The routes of one noun, and the schemas that they share with others.
struct Section {
    tag: &'static str,
    about: &'static str,
    operations: Vec<Operation>,
    schemas: Vec<Field>,
}

/// In the order in which a person reads them.
fn sections() -> [Section; 23] {
    [
        accounts::section(),
        tokens::section(),
        devices::section(),
        push::section(),
        people::section(),
        consent::section(),
        second_factor::section(),
        invites::section(),
        channels::section(),
        presence::section(),
        moderation::section(),
        search::section(),
        polls::section(),
        bots::section(),
        operators::section(),
        look::section(),
        keys::section(),
        families::section(),
        keeping::section(),
        erasures::section(),
        exports::section(),
        backups::section(),
        watching::section(),
    ]
}

const ABOUT: &str = "\
Accounts, devices and tokens of a Maru server. Bodies are JSON of at most 16 KiB without unknown fields; ids are strings of \
digits; in a request an absent field and null are the same. A refusal is a problem of RFC 9457 whose `code` is for programs. \
`retry_after_ms` 0 means that the same request will be refused again; any other number says when to try again. Every path \
answers `404 not_found` or `405 method_not_allowed` where there is nothing. A server without a free place for a connection \
answers 503 without a body, and what is no HTTP at all gets 400 or 431 without one.";

/// The document of one listener.
pub(crate) fn document(audience: Audience) -> Value {
    let (mut paths, mut tags) = (Map::new(), Vec::new());
    let mut schemas = Map::from_iter([("Problem".to_owned(), problem())]);
    for section in sections() {
        let Section { tag, about, operations, schemas: shared } = section;
        let mut here = operations.into_iter().filter(|operation| operation.is_at(audience)).peekable();
        if here.peek().is_some() {
            tags.push(json!({ "name": tag, "description": about }));
        }
        for operation in here {
            let (path, method, written) = operation.written(tag);
            if let Some(item) = paths.entry(path).or_insert_with(|| json!({})).as_object_mut() {
                item.insert(method, written);
            }
        }
        schemas.extend(shared.into_iter().map(|(name, schema)| (name.to_owned(), schema)));
    }
    let title = match audience {
        Audience::Public => "Maru",
        Audience::Admin => "Maru, for its operators",
    };
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": title, "version": env!("CARGO_PKG_VERSION"), "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": { "schemas": schemas, "securitySchemes": schemes() },
    })
}

fn schemes() -> Value {
    json!({
        "bearer": { "type": "http", "scheme": "bearer", "description": "An access token: POST /v1/login gives one." },
        "operator": {
            "type": "http", "scheme": "bearer",
            "description": "An operator's token with the scope that is named, or with the scope `all`.",
        },
    })
}

/// A refusal. Each answer that refuses says which codes it can have.
fn problem() -> Value {
    let word = || json!({ "type": "string" });
    object(
        vec![
            ("type", said(word(), "`urn:maru:problem:` and the code.")),
            ("title", said(word(), "The code in words.")),
            ("status", json!({ "type": "integer", "minimum": 400, "maximum": 599 })),
            ("detail", said(word(), "What was wrong, for people. It may change.")),
            ("code", said(word(), "For programs. It never changes its meaning.")),
            ("retry_after_ms", json!({ "type": "integer", "minimum": 0 })),
        ],
        vec![
            ("field", said(word(), "Which field of the body, the path or the query is at fault.")),
            (
                "devices",
                said(list(schema::id(), DEVICES_MAX), "With `too_many_devices`: those of the account."),
            ),
        ],
    )
}
