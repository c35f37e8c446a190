//! Where the devices of one who asks are told of what they miss.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use protocol::commit::{Language, Preview, Provider};
use protocol::{DeviceId, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::admin::Operator;
use super::bearer::{Bearer, still_counts};
use super::login::home_refused;
use crate::error::ApiError;
use crate::homes::{PushRefusal, Subscribe};
use crate::json::{Json, bad_query, parse_id};
use crate::server::Shared;

/// Minutes of a day.
const DAY_MINUTES: u16 = 1440;

/// The key that a browser subscribes with.
pub(crate) async fn key(
    State(api): State<Shared>,
    Bearer(_claims): Bearer,
) -> Result<axum::Json<Value>, ApiError> {
    let key = api.homes.push_key().ok_or_else(|| ApiError::not_found("this server tells nobody by push"))?;
    Ok(axum::Json(json!({ "key": key })))
}

pub(crate) async fn list(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
) -> Result<axum::Json<Value>, ApiError> {
    let all = api.homes.subscriptions(claims.user).await.map_err(|error| home_refused(&error))?;
    let shown = all.all.into_iter().map(|(device, provider, row)| {
        json!({
            "device": device.to_string(), "provider": provider.word(), "host": provider.host(&row.endpoint),
            "preview": preview_word(row.preview), "language": language_word(row.language),
            "quiet_from": row.quiet.0, "quiet_until": row.quiet.1, "zone": row.zone,
            "created_ms": row.created_ms, "this": device == claims.device,
        })
    });
    Ok(axum::Json(json!({ "subscriptions": shown.collect::<Vec<_>>(), "off": all.is_off })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    provider: String,
    /// Of Web Push and webhooks.
    endpoint: Option<String>,
    /// Of FCM and APNs.
    token: Option<String>,
    /// Of Web Push.
    p256dh: Option<String>,
    auth: Option<String>,
    /// Of a webhook.
    secret: Option<String>,
    preview: Option<String>,
    language: Option<String>,
    quiet_from: Option<u16>,
    quiet_until: Option<u16>,
    zone: Option<String>,
}

/// The device that asks is told there from now on. Repeatable: what it said before is over.
pub(crate) async fn subscribe(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
    Json(wish): Json<Wish>,
) -> Result<StatusCode, ApiError> {
    let subscribe = read(wish)?;
    let _turn = api.turns.of(claims.user).await;
    still_counts(&api, &claims).await?;
    match api.homes.subscribe(claims.user, claims.device, subscribe).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(PushRefusal::Field(field, words)) => Err(ApiError::field(field, words)),
        Err(PushRefusal::Full) => {
            let words = "the user has its full number of subscriptions; end one first";
            Err(ApiError::new(StatusCode::CONFLICT, "too_many_subscriptions", words))
        }
        Err(PushRefusal::Home(error)) => Err(home_refused(&error)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    device: Option<String>,
}

/// The device that asks, or another one of its user, is told there no more. Also when it was not.
pub(crate) async fn unsubscribe(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
    path: Result<Path<String>, PathRejection>,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<StatusCode, ApiError> {
    let Path(provider) = path.map_err(|error| ApiError::field("provider", error.body_text()))?;
    let provider = provider_of(&provider)?;
    let Query(which) = which.map_err(|error| bad_query("device", &error))?;
    let device = match which.device {
        Some(device) => DeviceId(parse_id("device", &device)?),
        None => claims.device,
    };
    let _turn = api.turns.of(claims.user).await;
    let ended = api.homes.unsubscribe(claims.user, device, provider).await;
    ended.map_err(|error| home_refused(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// None of the user's devices is told from now on; what waits to be told is told no more. Subscriptions stay.
pub(crate) async fn turn_off(state: State<Shared>, bearer: Bearer) -> Result<StatusCode, ApiError> {
    set(state, bearer, true).await
}

/// They are told again, of what comes from now on.
pub(crate) async fn turn_on(state: State<Shared>, bearer: Bearer) -> Result<StatusCode, ApiError> {
    set(state, bearer, false).await
}

async fn set(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
    is_off: bool,
) -> Result<StatusCode, ApiError> {
    let _turn = api.turns.of(claims.user).await;
    still_counts(&api, &claims).await?;
    api.homes.set_push(claims.user, is_off).await.map_err(|error| home_refused(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Calls every subscription of a user with a test, and says what each answered.
pub(crate) async fn test(
    State(api): State<Shared>,
    _operator: Operator,
    path: Result<Path<String>, PathRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    let Path(id) = path.map_err(|error| ApiError::field("id", error.body_text()))?;
    let user = UserId(parse_id("id", &id)?);
    let answers = api.homes.test_push(user).await.map_err(|error| home_refused(&error))?;
    let shown = answers.into_iter().map(|(device, provider, answer)| {
        json!({ "device": device.to_string(), "provider": provider.word(), "answer": answer })
    });
    Ok(axum::Json(json!({ "answers": shown.collect::<Vec<_>>() })))
}

/// Jobs that were tried too often.
pub(crate) async fn parked(
    State(api): State<Shared>,
    _operator: Operator,
) -> Result<axum::Json<Value>, ApiError> {
    let jobs = api.homes.parked_pushes().await.map_err(|error| home_refused(&error))?;
    let shown = jobs.into_iter().map(|(user, channel, job)| {
        json!({
            "user": user.to_string(), "channel": channel.to_string(), "seq": job.seq.0.to_string(),
            "count": job.count, "attempts": job.attempts, "time_ms": job.time_ms,
        })
    });
    Ok(axum::Json(json!({ "parked": shown.collect::<Vec<_>>() })))
}

fn read(wish: Wish) -> Result<Subscribe, ApiError> {
    let expected = |field: &str, found: &str, words: &str| {
        let shown: String = found.chars().take(32).collect();
        ApiError::field(field, format!("{shown:?}; expected {words}"))
    };
    let preview = match wish.preview.as_deref() {
        None | Some("none") => Preview::Nothing,
        Some("sender") => Preview::Sender,
        Some("text") => Preview::Text,
        Some(found) => return Err(expected("preview", found, "none, sender or text")),
    };
    let language = match wish.language.as_deref() {
        None | Some("en") => Language::English,
        Some("ko") => Language::Korean,
        Some(found) => return Err(expected("language", found, "en or ko")),
    };
    let quiet = (wish.quiet_from.unwrap_or(0), wish.quiet_until.unwrap_or(0));
    for (field, minute) in [("quiet_from", quiet.0), ("quiet_until", quiet.1)] {
        if minute >= DAY_MINUTES {
            return Err(ApiError::field(field, format!("{minute}; expected a minute of the day, 0 to 1439")));
        }
    }
    Ok(Subscribe {
        provider: provider_of(&wish.provider)?,
        endpoint: wish.endpoint,
        token: wish.token,
        keys: wish.p256dh.zip(wish.auth),
        secret: wish.secret,
        preview,
        language,
        quiet,
        zone: wish.zone.unwrap_or_default(),
    })
}

fn provider_of(word: &str) -> Result<Provider, ApiError> {
    let expected = || ApiError::field("provider", "expected webpush, fcm, apns or webhook");
    Provider::from_word(word).ok_or_else(expected)
}

fn preview_word(preview: Preview) -> &'static str {
    match preview {
        Preview::Nothing => "none",
        Preview::Sender => "sender",
        Preview::Text => "text",
    }
}

fn language_word(language: Language) -> &'static str {
    match language {
        Language::English => "en",
        Language::Korean => "ko",
    }
}
