//! Invites: the operator's, and those of users where the operator lets them invite.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::admin::Operator;
use super::bearer::Bearer;
use crate::accounts::{FreshInvite, Invite, Invited};
use crate::error::ApiError;
use crate::json::{From, Json, after, parse_id};
use crate::now_ms;
use crate::server::{Shared, Signup};

/// Invites that one request makes, at most.
pub const INVITES_PER_REQUEST: u32 = 1000;
/// People that one invite lets in, at most.
pub const INVITE_USES_MAX: u32 = 10_000;
/// Shortest life of an invite, seconds.
pub const INVITE_S_MIN: u64 = 60;
/// Longest life of an invite, seconds: a year.
pub const INVITE_S_MAX: u64 = 31_536_000;
/// Life of an invite unless it is said, seconds: a week.
pub const INVITE_S: u64 = 7 * 24 * 3600;
/// Invites in one page of a list.
pub(crate) const PAGE: u32 = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    count: Option<u32>,
    uses: Option<u32>,
    expires_s: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Own {
    expires_s: Option<u64>,
}

/// The operator makes invites.
pub(crate) async fn make(
    State(api): State<Shared>,
    _operator: Operator,
    Json(body): Json<Wanted>,
) -> Result<(StatusCode, axum::Json<Value>), ApiError> {
    let count = within("count", body.count.unwrap_or(1), INVITES_PER_REQUEST)?;
    let uses = within("uses", body.uses.unwrap_or(1), INVITE_USES_MAX)?;
    let now_ms = now_ms();
    let expires_ms = expires_ms(body.expires_s, now_ms)?;
    let mut made = Vec::new();
    for _ in 0..count {
        let wanted = Invited { made_by: None, uses, expires_ms, open_max: 0 };
        made.extend(api.accounts.create_invite(wanted, now_ms).await?.as_ref().map(fresh));
    }
    tracing::info!(count, uses, "the operator made invites");
    Ok((StatusCode::CREATED, axum::Json(json!({ "invites": made }))))
}

/// A user invites one person.
pub(crate) async fn make_own(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
    Json(body): Json<Own>,
) -> Result<(StatusCode, axum::Json<Value>), ApiError> {
    let open_max = api.settings.user_invites;
    if open_max == 0 || api.settings.signup != Signup::Invite {
        let words = "only the operator of this server invites people";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "invites_closed", words));
    }
    if api.accounts.bot(claims.user).await?.is_some() {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "bot", "a bot invites nobody"));
    }
    let now_ms = now_ms();
    let expires_ms = expires_ms(body.expires_s, now_ms)?;
    let wanted = Invited { made_by: Some(claims.user), uses: 1, expires_ms, open_max };
    let made = api.accounts.create_invite(wanted, now_ms).await?;
    let made = made.ok_or_else(|| {
        let words = format!("you have {open_max} open invites, the most allowed; revoke one or wait");
        ApiError::new(StatusCode::CONFLICT, "too_many_invites", words)
    })?;
    Ok((StatusCode::CREATED, axum::Json(fresh(&made))))
}

pub(crate) async fn list(
    State(api): State<Shared>,
    _operator: Operator,
    from: From,
) -> Result<axum::Json<Value>, ApiError> {
    let after = after(from)?;
    page(&api.accounts.invites(None, after, PAGE).await?)
}

pub(crate) async fn list_own(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
    from: From,
) -> Result<axum::Json<Value>, ApiError> {
    let after = after(from)?;
    page(&api.accounts.invites(Some(claims.user), after, PAGE).await?)
}

pub(crate) async fn revoke(
    State(api): State<Shared>,
    _operator: Operator,
    path: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    api.accounts.revoke_invite(None, number(path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn revoke_own(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
    path: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    api.accounts.revoke_invite(Some(claims.user), number(path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn number(path: Result<Path<String>, PathRejection>) -> Result<u64, ApiError> {
    let Path(id) = path.map_err(|error| ApiError::field("id", error.body_text()))?;
    parse_id("id", &id)
}

fn within(field: &str, number: u32, most: u32) -> Result<u32, ApiError> {
    if (1..=most).contains(&number) {
        return Ok(number);
    }
    Err(ApiError::field(field, format_args!("{number}; must be 1 to {most}")))
}

fn expires_ms(expires_s: Option<u64>, now_ms: u64) -> Result<u64, ApiError> {
    let seconds = expires_s.unwrap_or(INVITE_S);
    if (INVITE_S_MIN..=INVITE_S_MAX).contains(&seconds) {
        return Ok(now_ms.saturating_add(seconds * 1000));
    }
    Err(ApiError::field("expires_s", format_args!("{seconds}; must be {INVITE_S_MIN} to {INVITE_S_MAX}")))
}

/// A page that is full may not be the last: `next` is where the next one begins.
fn page(invites: &[Invite]) -> Result<axum::Json<Value>, ApiError> {
    let mut answer = json!({ "invites": invites.iter().map(shown).collect::<Vec<_>>() });
    if let (Some(last), Some(fields)) = (invites.get(PAGE as usize - 1), answer.as_object_mut()) {
        fields.insert("next".into(), last.id.to_string().into());
    }
    Ok(axum::Json(answer))
}

fn shown(invite: &Invite) -> Value {
    json!({
        "invite": invite.id.to_string(),
        "made_by": invite.made_by.map(|user| user.to_string()),
        "created_ms": invite.created_ms,
        "expires_ms": invite.expires_ms,
        "uses": invite.uses,
        "uses_left": invite.uses_left,
    })
}

fn fresh(made: &FreshInvite) -> Value {
    let mut value = shown(&made.invite);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("code".into(), made.code.as_str().into());
    }
    value
}
