//! Tokens: a pair of a short access token and a refresh token, and the next pair for the refresh token.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use protocol::limits::U53_MAX;
use protocol::token::{self, Claims};
use protocol::{DeviceId, UserId};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::login::{admit, chat_url, forget, home_refused};
use super::visit::{bot_of, wrong_scope};
use crate::accounts::{Next, Shown};
use crate::audit::note;
use crate::bot_token::{BotToken, Scope};
use crate::error::ApiError;
use crate::json::Json;
use crate::now_ms;
use crate::refresh::RefreshToken;
use crate::server::Shared;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Renew {
    refresh: Zeroizing<String>,
}

/// The next pair for a device that has a refresh token. An access token alone gets none: whoever has caught one has it for
/// its short life and no longer.
pub(crate) async fn renew(
    State(api): State<Shared>,
    headers: HeaderMap,
    Json(body): Json<Renew>,
) -> Result<axum::Json<Value>, ApiError> {
    if BotToken::is_meant(body.refresh.trim()) {
        return connect(&api, &headers, body.refresh.trim()).await;
    }
    let shown = RefreshToken::parse(body.refresh.trim()).ok_or_else(unknown)?;
    let family = api.accounts.family(&shown).await?.ok_or_else(unknown)?;
    note(|trail| (trail.user, trail.device) = (Some(family.user), Some(family.device)));
    let _turn = api.turns.of(family.user).await;
    let now_ms = now_ms();
    match api.accounts.exchange(&shown, &api.keys.makers(now_ms), api.settings.lifetimes, now_ms).await? {
        Shown::Next(next) => {
            api.accounts.seen(family.device, now_ms).await?;
            Ok(axum::Json(pair(&api, &headers, family.user, family.device, family.not_before_ms, &next)))
        }
        Shown::Expired => {
            let words = "the login has ended; log in";
            Err(ApiError::new(StatusCode::UNAUTHORIZED, "expired", words).at("refresh"))
        }
        Shown::Unknown => Err(unknown()),
        Shown::Reused => {
            // Ended first: if the core cannot be told now, the tokens are worth nothing all the same.
            api.accounts.end_family(&shown).await?;
            forget(&api, family.user, family.device).await?;
            tracing::warn!(user = %family.user, device = %family.device, "a refresh token was shown twice");
            let words = "this refresh token was used before: somebody else may have it, and the device was logged out";
            Err(ApiError::new(StatusCode::UNAUTHORIZED, "token_reused", words).at("refresh"))
        }
    }
}

/// An access token for a bot, with which it connects as any device does. Its own token is not used up.
async fn connect(api: &Shared, headers: &HeaderMap, token: &str) -> Result<axum::Json<Value>, ApiError> {
    let user = bot_of(api, token).await?.user;
    let _turn = api.turns.of(user).await;
    // Once more in its turn: it may have been revoked meanwhile.
    let shows = bot_of(api, token).await?;
    if !shows.scopes.opens(Scope::Connect) {
        return Err(wrong_scope(shows.scopes, Scope::Connect));
    }
    // Whatever SQL remembers: the core's rows may be of an older backup.
    let created_ms = api.accounts.user(user).await?.map_or(0, |account| account.created_ms);
    api.homes.create_account(user, created_ms).await.map_err(|error| home_refused(&error))?;
    admit(api, user, shows.device).await?;
    api.accounts.seen(shows.device, now_ms()).await?;
    let granted = granted(api, headers, user, shows.device, shows.not_before_ms, (token, U53_MAX));
    Ok(axum::Json(granted))
}

fn unknown() -> ApiError {
    ApiError::unauthenticated(
        "the refresh token is not one of this server's, or its device was logged out; log in",
    )
    .at("refresh")
}

/// A first pair for a device whose owner has just given the password.
pub(super) async fn grant(
    api: &Shared,
    headers: &HeaderMap,
    user: UserId,
    device: DeviceId,
    not_before_ms: u64,
) -> Result<Value, ApiError> {
    let next = api.accounts.begin_family(device, api.settings.lifetimes, now_ms()).await?;
    Ok(pair(api, headers, user, device, not_before_ms, &next))
}

/// The access token is issued now, and not before `not_before_ms`: the clock may have stepped back since then.
fn pair(
    api: &Shared,
    headers: &HeaderMap,
    user: UserId,
    device: DeviceId,
    not_before_ms: u64,
    next: &Next,
) -> Value {
    granted(api, headers, user, device, not_before_ms, (&next.token.text(), next.expires_ms))
}

/// The same with what gets the next one, and its end.
fn granted(
    api: &Shared,
    headers: &HeaderMap,
    user: UserId,
    device: DeviceId,
    not_before_ms: u64,
    (refresh, refresh_expires_ms): (&str, u64),
) -> Value {
    let now_ms = now_ms();
    let expires_ms = now_ms.saturating_add(api.settings.token_ms);
    let claims = Claims { user, device, expires_ms, issued_ms: now_ms.max(not_before_ms) };
    json!({
        "token": token::sign(&api.keys.newest(), &claims),
        "expires_ms": expires_ms,
        "refresh": refresh,
        "refresh_expires_ms": refresh_expires_ms,
        "user": user.to_string(),
        "device": device.to_string(),
        "chat": chat_url(&api.settings.chat_url, headers),
    })
}
