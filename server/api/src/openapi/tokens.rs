//! The next tokens, and where to use them.

use serde_json::json;

use super::schema::{id, letters, named, number, object, request, said, secret, text, time_ms};
use super::{Operation, Section};

pub(super) fn section() -> Section {
    Section {
        tag: "tokens",
        about: "The next tokens, and where to connect.",
        operations: vec![renew(), route()],
        schemas: vec![("Grant", grant())],
    }
}

fn renew() -> Operation {
    Operation::new("POST", "/v1/token", "renewTokens", "Get the next tokens")
        .about(
            "A refresh token is good once. Repeat a renewal that got no answer at once, with the same token; shown again \
             later it logs the device out.",
        )
        .body(request(vec![("refresh", secret())], Vec::new()), json!({ "refresh": "REFRESH" }))
        .gives(200, "The next tokens of the same device.", named("Grant"))
        .refuses(&["unauthenticated", "expired", "token_reused"])
        .stores()
}

fn route() -> Operation {
    let quic = object(
        vec![
            ("address", said(text(1, 300), "`host:port`.")),
            ("fingerprint", said(letters("0-9a-f", 64, 64), "SHA-256 of the server's certificate (DER).")),
        ],
        Vec::new(),
    );
    let shards = || said(number(0, 65_535), "A hint: the user's home, of so many.");
    Operation::new("GET", "/v1/route", "findRoute", "Where to connect")
        .about("Ask again when an address stops answering.")
        .bearer()
        .gives(
            200,
            "Where the chat ports are.",
            object(
                vec![("chat", chat()), ("shard", shards()), ("shards", shards())],
                vec![("quic", said(quic, "Where the server has QUIC."))],
            ),
        )
}

/// What a login and a renewal give.
fn grant() -> serde_json::Value {
    object(
        vec![
            (
                "token",
                said(secret(), "The access token. It opens the chat port and the requests of a bearer."),
            ),
            ("expires_ms", time_ms()),
            (
                "refresh",
                said(secret(), "The refresh token: POST /v1/token takes it, once. Keep it as a password."),
            ),
            ("refresh_expires_ms", time_ms()),
            ("user", id()),
            ("device", id()),
            ("chat", chat()),
        ],
        Vec::new(),
    )
}

fn chat() -> serde_json::Value {
    said(text(1, 2000), "The WebSocket: `ws://host:port/ws`, or `wss`.")
}
