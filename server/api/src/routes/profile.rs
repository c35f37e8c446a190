//! What a person shows of themselves, and the end of an account.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::UserId;
use protocol::commit::Policy;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::bearer::{Bearer, still_counts};
use super::devices::log_out_all;
use super::jwt;
use super::known::Known;
use super::login::{authenticate, home_refused, with_password};
use super::users::shown;
use crate::error::ApiError;
use crate::homes::HomeError;
use crate::json::Json;
use crate::now_ms;
use crate::server::{Peer, Shared};

/// Most characters of the name that is shown.
pub(crate) const DISPLAY_NAME_CHARS_MAX: usize = 64;
/// Most characters of what a person says of themselves.
pub(crate) const ABOUT_CHARS_MAX: usize = 500;

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
    Ok(axum::Json(shown(&account, bot.as_ref(), true)))
}

/// What can be shown of a name that an issuer gives.
pub(super) fn display_name_of(text: Option<&str>) -> String {
    let visible: String = text.unwrap_or_default().chars().filter(|char| !char.is_control()).collect();
    visible.trim().chars().take(DISPLAY_NAME_CHARS_MAX).collect::<String>().trim_end().to_owned()
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
    password: Option<Zeroizing<String>>,
    /// In place of the password, for one whom an issuer names.
    jwt: Option<Zeroizing<String>>,
}

/// Erases the account of the one who asks and who shows the password, or a token by which it logs in. Guesses at the password
/// are counted, as at a login.
pub(crate) async fn leave(
    State(api): State<Shared>,
    Extension(peer): Extension<Peer>,
    Bearer(claims): Bearer,
    Json(body): Json<Leave>,
) -> Result<StatusCode, ApiError> {
    let account = match (body.password, body.jwt) {
        (Some(password), None) => {
            let account = api.accounts.user(claims.user).await?;
            let account = account.ok_or_else(|| ApiError::not_found("there is no such user"))?;
            let name = with_password(account)?.name;
            authenticate(&api, peer, Known::device(claims), &name, password).await?
        }
        (None, Some(text)) => jwt::owner(&api, peer, &text).await?,
        _ => return Err(ApiError::field("password", "expected either \"password\" or \"jwt\"")),
    };
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

/// In the user's turn: the user's bots are no more, the core forgets the devices, refuses their tokens and lets nobody
/// write to the user any more, then the account is no more. Cut short before the last, the account is logged out everywhere;
/// its owner logs in and asks again.
pub(super) async fn erase(api: &Shared, user: UserId) -> Result<(), ApiError> {
    loop {
        let bots = api.accounts.bots(Some(user), 0, BOTS_AT_A_TIME).await?;
        if bots.is_empty() {
            break;
        }
        for bot in bots {
            // Not in its own turn: two who wait for two turns can wait for each other. A token that is made for it at this
            // moment ends with its row.
            end(api, bot.user).await?;
        }
    }
    end(api, user).await
}

async fn end(api: &Shared, user: UserId) -> Result<(), ApiError> {
    log_out_all(api, user, None).await?;
    match api.homes.set_policy(user, Policy::NOBODY).await {
        // The core does not know one who has never logged in.
        Ok(()) | Err(HomeError::NoSuchUser) => {}
        Err(error) => return Err(home_refused(&error)),
    }
    api.accounts.end_user(user, api.settings.history, now_ms()).await?;
    Ok(())
}
