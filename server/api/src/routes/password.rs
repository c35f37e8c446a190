//! Another password. Whoever knew the old one is logged out, unless the owner says otherwise.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::bearer::{Bearer, still_counts};
use super::devices::log_out_all;
use super::known::Known;
use super::login::{authenticate, with_password};
use super::token::grant;
use crate::error::ApiError;
use crate::hasher::Kind;
use crate::json::Json;
use crate::password;
use crate::server::{Peer, Shared};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    old: Zeroizing<String>,
    new: Zeroizing<String>,
    /// The other devices stay logged in.
    keep_devices: Option<bool>,
}

/// The old password is checked, and guesses at it are counted, as at a login. Answers as a login of this device does.
pub(crate) async fn change(
    State(api): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Bearer(claims): Bearer,
    Json(body): Json<Change>,
) -> Result<axum::Json<Value>, ApiError> {
    let account = api.accounts.user(claims.user).await?;
    let account = account.ok_or_else(|| ApiError::not_found("there is no such user"))?;
    let name = with_password(account)?.name;
    password::check_for(&name, &body.new).map_err(|fault| ApiError::field("new", fault))?;
    let account = authenticate(&api, peer, Known::device(claims), &name, body.old).await?;
    let new_hash = api.hasher.hash(Kind::Known, body.new).await?;
    let _turn = api.turns.of(claims.user).await;
    still_counts(&api, &claims).await?;
    // Before the password: if this fails, the change can be asked for again with the old one.
    let not_before_ms = if body.keep_devices.unwrap_or(false) {
        account.not_before_ms
    } else {
        log_out_all(&api, claims.user, Some(claims.device)).await?
    };
    if !api.accounts.set_password(claims.user, &account.password_hash, &new_hash).await? {
        return Err(ApiError::busy(1, "the password was changed at the same time; try again"));
    }
    tracing::info!(user = %claims.user, device = %claims.device, "the password was changed");
    Ok(axum::Json(grant(&api, &headers, claims.user, claims.device, not_before_ms).await?))
}
