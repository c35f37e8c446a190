//! Where to connect: asked once after login, and again when an address stops answering.

use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::bearer::Bearer;
use super::login::{chat_url, named_host};
use crate::server::Shared;

pub(crate) async fn route(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
    headers: HeaderMap,
) -> axum::Json<Value> {
    let route = api.homes.route(claims.user);
    let chat = chat_url(&api.settings.chat_url, &headers);
    let mut answer = json!({ "chat": chat, "shard": route.shard, "shards": route.shards });
    if let (Some((address, fingerprint)), Some(fields)) = (route.quic, answer.as_object_mut()) {
        // Whoever listens everywhere is reached under whatever name the caller used.
        let at = if address.ip().is_unspecified() {
            format!("{}:{}", named_host(&headers), address.port())
        } else {
            address.to_string()
        };
        fields.insert("quic".into(), json!({ "address": at, "fingerprint": fingerprint }));
    }
    axum::Json(answer)
}
