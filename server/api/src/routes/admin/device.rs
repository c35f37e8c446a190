//! One device at the operator's will: a token for it, or its end.

use axum::extract::State;
use axum::http::StatusCode;
use protocol::DeviceId;
use protocol::token::{self, Claims};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Operator;
use crate::accounts::{Account, AddDevice};
use crate::audit::note;
use crate::error::ApiError;
use crate::hasher::Kind;
use crate::json::{Json, parse_id};
use crate::name::Sought;
use crate::password;
use crate::routes::devices::log_out_all;
use crate::routes::login::{admit, forget, introduce};
use crate::routes::profile::erase;
use crate::server::Shared;
use crate::{OPERATOR_TOKEN_MS, now_ms};

/// Longest life of an operator's token, seconds: a year.
pub(crate) const TTL_S_MAX: u64 = 31_536_000;

/// A user by id or by name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    user: Option<String>,
    name: Option<String>,
    device: Option<String>,
    /// Only for a token.
    ttl_s: Option<u64>,
}

impl Wanted {
    async fn account(&self, api: &Shared) -> Result<Account, ApiError> {
        named(api, self.user.as_deref(), self.name.as_deref()).await
    }

    fn device(&self) -> Result<Option<DeviceId>, ApiError> {
        self.device.as_deref().map(|id| parse_id("device", id).map(DeviceId)).transpose()
    }
}

async fn named(api: &Shared, user: Option<&str>, name: Option<&str>) -> Result<Account, ApiError> {
    let account = match (user, name) {
        (Some(user), None) => api.accounts.user(protocol::UserId(parse_id("user", user)?)).await?,
        (None, Some(name)) => {
            let name = Sought::parse(name).map_err(|fault| ApiError::field("name", fault))?;
            api.accounts.user_by_name(&name).await?
        }
        _ => return Err(ApiError::field("user", "expected either \"user\", an id, or \"name\"")),
    };
    let account = account.ok_or_else(|| ApiError::not_found("there is no such user"))?;
    note(|trail| trail.subject = Some(account.user));
    Ok(account)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reset {
    user: Option<String>,
    name: Option<String>,
    password: Zeroizing<String>,
}

/// Another password for one who has lost it, or whose password somebody else has: all devices are ended.
pub(crate) async fn password(
    State(api): State<Shared>,
    _operator: Operator,
    Json(body): Json<Reset>,
) -> Result<StatusCode, ApiError> {
    password::check(&body.password).map_err(|fault| ApiError::field("password", fault))?;
    let user = named(&api, body.user.as_deref(), body.name.as_deref()).await?.user;
    if api.accounts.bot(user).await?.is_some() {
        return Err(ApiError::field("user", "it is a bot, which has tokens and no password"));
    }
    let hash = api.hasher.hash(Kind::Known, body.password).await?;
    let _turn = api.turns.of(user).await;
    log_out_all(&api, user, None).await?;
    api.accounts.reset_password(user, &hash).await?;
    tracing::info!(%user, "the operator has given another password");
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Erased {
    user: Option<String>,
    name: Option<String>,
}

/// Erases an account.
pub(crate) async fn erase_user(
    State(api): State<Shared>,
    _operator: Operator,
    Json(body): Json<Erased>,
) -> Result<StatusCode, ApiError> {
    let user = named(&api, body.user.as_deref(), body.name.as_deref()).await?.user;
    let _turn = api.turns.of(user).await;
    erase(&api, user).await?;
    tracing::info!(%user, "the operator has erased an account");
    Ok(StatusCode::NO_CONTENT)
}

/// A token for a device of any user. One that does not exist is made; the user's limit counts.
pub(crate) async fn token(
    State(api): State<Shared>,
    _operator: Operator,
    Json(wanted): Json<Wanted>,
) -> Result<(StatusCode, axum::Json<Value>), ApiError> {
    let ttl_ms = match wanted.ttl_s {
        None => OPERATOR_TOKEN_MS,
        Some(ttl_s) if (1..=TTL_S_MAX).contains(&ttl_s) => ttl_s * 1000,
        Some(ttl_s) => {
            let words = format_args!("{ttl_s}; must be 1 to {TTL_S_MAX}");
            return Err(ApiError::field("ttl_s", words));
        }
    };
    let (account, device) = (wanted.account(&api).await?, wanted.device()?);
    let user = account.user;
    let _turn = api.turns.of(user).await;
    introduce(&api, user, account.created_ms).await?;
    let devices_max = api.settings.devices_max;
    let device = match device {
        Some(device) => device,
        None => match api.accounts.add_device(user, devices_max, now_ms()).await? {
            AddDevice::Added(device) => device,
            AddDevice::Full(devices) => return Err(ApiError::too_many_devices(devices)),
        },
    };
    note(|trail| trail.device = Some(device));
    adopt(&api, user, device).await?;
    let now_ms = now_ms();
    // The user's not-before time may lie ahead of a clock that stepped back.
    let issued_ms = now_ms.max(api.accounts.not_before_ms(user, device).await?.unwrap_or(0));
    let expires_ms = now_ms.saturating_add(ttl_ms);
    let token = token::sign(&api.keys.newest(), &Claims { user, device, expires_ms, issued_ms });
    tracing::info!(%user, %device, "the operator was given a token");
    let (user, device) = (user.to_string(), device.to_string());
    let answer = json!({ "token": token, "user": user, "device": device, "expires_ms": expires_ms });
    Ok((StatusCode::CREATED, axum::Json(answer)))
}

/// Makes a device with a chosen id exist, in SQL and in the core.
async fn adopt(api: &Shared, user: protocol::UserId, device: DeviceId) -> Result<(), ApiError> {
    let known = api.accounts.all_devices(user).await?;
    let is_known = known.contains(&device);
    if !is_known && known.len() >= usize::try_from(api.settings.devices_max).unwrap_or(usize::MAX) {
        return Err(ApiError::too_many_devices(known));
    }
    if !api.accounts.adopt_device(user, device, now_ms()).await? {
        return Err(ApiError::field("device", "it belongs to somebody else"));
    }
    let admitted = admit(api, user, device).await;
    if admitted.is_err() && !is_known {
        api.accounts.remove_device(user, device).await?;
    }
    admitted
}

/// Turns a user's second factor off, for one who has lost the app and the recovery codes. Repeatable.
pub(crate) async fn two_factor_off(
    State(api): State<Shared>,
    _operator: Operator,
    Json(wanted): Json<Wanted>,
) -> Result<StatusCode, ApiError> {
    if wanted.ttl_s.is_some() || wanted.device.is_some() {
        return Err(ApiError::field("device", "a second factor is the user's; name nothing else"));
    }
    let account = wanted.account(&api).await?;
    let _turn = api.turns.of(account.user).await;
    api.accounts.remove_second_factor(account.user).await?;
    tracing::info!(user = %account.user, "the operator has turned the second factor off");
    Ok(StatusCode::NO_CONTENT)
}

/// Ends one device of a user, or all of them and every token that was issued until now.
pub(crate) async fn revoke(
    State(api): State<Shared>,
    _operator: Operator,
    Json(wanted): Json<Wanted>,
) -> Result<StatusCode, ApiError> {
    if wanted.ttl_s.is_some() {
        return Err(ApiError::field("ttl_s", "a revocation has no end"));
    }
    let (account, device) = (wanted.account(&api).await?, wanted.device()?);
    let _turn = api.turns.of(account.user).await;
    match device {
        Some(device) => forget(&api, account.user, device).await?,
        None => drop(log_out_all(&api, account.user, None).await?),
    }
    tracing::info!(user = %account.user, "the operator has revoked devices");
    Ok(StatusCode::NO_CONTENT)
}
