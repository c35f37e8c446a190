//! What a person shows of themselves, and the end of an account.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::UserId;
use serde::Deserialize;
use serde_json::Value;

use super::bearer::{Bearer, still_counts};
use super::devices::log_out_all;
use super::known::Known;
use super::login::authenticate;
use super::users::shown;
use crate::error::ApiError;
use crate::json::Json;
use crate::now_ms;
use crate::server::{Peer, Shared};

/// Most characters of the name that is shown.
const DISPLAY_NAME_CHARS_MAX: usize = 64;
/// Most characters of what a person says of themselves.
const ABOUT_CHARS_MAX: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    display_name: Option<String>,
    about: Option<String>,
}

/// Changes the parts that are named, and answers all of it. An empty text takes a part away.
pub(crate) async fn change(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
    Json(body): Json<Change>,
) -> Result<axum::Json<Value>, ApiError> {
    let display_name = check("display_name", body.display_name.as_deref(), DISPLAY_NAME_CHARS_MAX, false)?;
    let about = check("about", body.about.as_deref(), ABOUT_CHARS_MAX, true)?;
    api.accounts.set_profile(claims.user, display_name, about).await?;
    let account = api.accounts.user(claims.user).await?;
    let account = account.ok_or_else(|| ApiError::not_found("there is no such user"))?;
    let bot = api.accounts.bot(claims.user).await?;
    Ok(axum::Json(shown(&account, bot.as_ref())))
}

/// Any text without control characters, but for line breaks where there may be several lines.
fn check<'a>(
    field: &str,
    text: Option<&'a str>,
    most: usize,
    may_break: bool,
) -> Result<Option<&'a str>, ApiError> {
    let Some(text) = text.map(str::trim) else { return Ok(None) };
    let chars = text.chars().count();
    if chars > most {
        return Err(ApiError::field(field, format_args!("{chars} characters; must be at most {most}")));
    }
    if text.chars().any(|char| char.is_control() && !(may_break && char == '\n')) {
        return Err(ApiError::field(field, "it has a control character; must be plain text"));
    }
    Ok(Some(text))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Leave {
    password: String,
}

/// Erases the account of the one who asks. Guesses at the password are counted, as at a login.
pub(crate) async fn leave(
    State(api): State<Shared>,
    Extension(peer): Extension<Peer>,
    Bearer(claims): Bearer,
    Json(body): Json<Leave>,
) -> Result<StatusCode, ApiError> {
    let account = api.accounts.user(claims.user).await?;
    let name = account.ok_or_else(|| ApiError::not_found("there is no such user"))?.name;
    let account = authenticate(&api, peer, Known::device(claims), &name, body.password).await?;
    let _turn = api.turns.of(claims.user).await;
    still_counts(&api, &claims).await?;
    if account.user != claims.user {
        return Err(ApiError::unauthenticated("the account is another one now; log in"));
    }
    erase(&api, claims.user).await?;
    tracing::info!(user = %claims.user, "a user has left");
    Ok(StatusCode::NO_CONTENT)
}

/// Bots that are ended at a time with their owner.
const BOTS_AT_A_TIME: u32 = 100;

/// In the user's turn: the user's bots are no more, the core forgets the devices and refuses their tokens, then the account
/// is no more. Cut short before the last, the account is logged out everywhere; its owner logs in and asks again.
pub(super) async fn erase(api: &Shared, user: UserId) -> Result<(), ApiError> {
    loop {
        let bots = api.accounts.bots(Some(user), 0, BOTS_AT_A_TIME).await?;
        if bots.is_empty() {
            break;
        }
        for bot in bots {
            // Not in its own turn: two who wait for two turns can wait for each other. A token that is made for it at this
            // moment ends with its row.
            log_out_all(api, bot.user, None).await?;
            api.accounts.erase_user(bot.user, now_ms()).await?;
        }
    }
    log_out_all(api, user, None).await?;
    api.accounts.erase_user(user, now_ms()).await?;
    Ok(())
}
