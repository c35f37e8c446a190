//! WebSocket vectors: bytes, what they say, and the close code of the fault they end with.

use protocol::ws::{Decoder, Event, Role};
use serde_json::{Value, json};

use crate::hex;

/// The limit that the vectors assume.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

pub(crate) fn entry(name: &str, role: Role, bytes: &[u8]) -> Value {
    let (events, close) = decode(role, bytes);
    let reader = if role == Role::Server { "server" } else { "client" };
    json!({ "name": name, "reader": reader, "bytes": hex::to_json(bytes), "events": events, "close": close })
}

pub(crate) fn role_of(entry: &Value) -> Role {
    if entry["reader"] == "server" { Role::Server } else { Role::Client }
}

pub(crate) fn decode(role: Role, bytes: &[u8]) -> (Vec<Value>, Option<u16>) {
    let mut events = Vec::new();
    let mut sink = |event: Event<'_>| {
        events.push(match event {
            Event::Message(bytes) => json!({ "message": hex::to_json(bytes) }),
            Event::Ping(bytes) => json!({ "ping": hex::plain(bytes) }),
            Event::Pong(bytes) => json!({ "pong": hex::plain(bytes) }),
            Event::Close { code, reason } => json!({ "close": code, "reason": reason }),
        });
        true
    };
    let outcome = Decoder::new(role, MESSAGE_BYTES_MAX).push(&mut bytes.to_vec(), &mut sink);
    (events, outcome.err().map(|fault| fault.close_code().number()))
}
