//! For operators alone, with one of [`crate::AdminTokens`]: many accounts at once, for load tests and imports.
//! It has no rate limit because whoever holds the token could write to the database as well; sign-up's stands.

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use protocol::token::{self, Claims};
use protocol::{DeviceId, UserId};
use serde::Deserialize;
use tokio::task::JoinSet;

pub(crate) mod backups;
pub(crate) mod device;
pub(crate) mod erasures;
pub(super) mod families;
pub(crate) mod keeping;
pub(super) mod keys;
pub(in crate::routes) mod look;
pub(crate) mod quota;
pub(super) mod reports;
pub(super) mod trace;

use super::bearer::bearer_text;
use super::login::admit;
use crate::accounts::AccountsError;
use crate::admin_tokens::Scope;
use crate::audit::note;
use crate::error::ApiError;
use crate::json::Json;
use crate::name::{NAME_CHARS_MAX, Name};
use crate::server::Shared;
use crate::{OPERATOR_TOKEN_MS, now_ms};

/// Devices that one request makes, at most: a few seconds of work and less than a mebibyte of answer.
pub(crate) const DEVICES_PER_REQUEST: u32 = 5000;
/// Most characters before the number of a name.
pub(crate) const PREFIX_CHARS_MAX: usize = NAME_CHARS_MAX - 6;
/// When a request may come again that the server could not carry out, milliseconds.
const RETRY_MS: u64 = 1000;
/// Accounts that the core is told of at a time.
const TELLING_MAX: usize = 64;

/// A request of an operator who may manage users.
#[derive(Debug)]
pub(crate) struct Operator;

impl FromRequestParts<Shared> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, ApiError> {
        check(parts, api, Scope::Users).map(|_| Self)
    }
}

/// The same, where it is kept who it was: the number of its token.
#[derive(Debug)]
pub(crate) struct Clerk(pub(crate) u32);

impl FromRequestParts<Shared> for Clerk {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, ApiError> {
        check(parts, api, Scope::Users).map(Self)
    }
}

/// A request of an operator who may read metrics.
#[derive(Debug)]
pub(crate) struct Watcher;

impl FromRequestParts<Shared> for Watcher {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, ApiError> {
        check(parts, api, Scope::Metrics).map(|_| Self)
    }
}

/// A request of an operator who may do everything: the number of its token.
#[derive(Debug)]
pub(crate) struct Owner(pub(crate) u32);

impl FromRequestParts<Shared> for Owner {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, ApiError> {
        check(parts, api, Scope::All).map(Self)
    }
}

/// Gives the token's number.
fn check(parts: &Parts, api: &Shared, asked: Scope) -> Result<u32, ApiError> {
    let holder = api.admin.holder_of(bearer_text(parts)?);
    if let Some((scope, number, name)) = &holder {
        note(|trail| trail.operator = Some((*number, name.clone(), scope.word())));
    }
    match holder {
        Some((scope, number, _)) if scope.opens(asked) => Ok(number),
        Some((scope, ..)) => {
            let words = format!("the token's scope is {}; this asks for {}", scope.word(), asked.word());
            Err(ApiError::new(StatusCode::FORBIDDEN, "scope", words))
        }
        None => Err(ApiError::unauthenticated(
            "this is no operator's token of this server: see its files admin.token and admin.tokens",
        )),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Names are this and a number of six digits.
    prefix: Option<String>,
    /// The first number.
    from: Option<u32>,
    /// How many.
    count: u32,
    /// Devices of each.
    devices: Option<u32>,
}

/// Makes accounts that nobody can log in to by password, and a token for each of their devices. Repeatable: the same
/// names give the same accounts and devices. Answers what `maru admin create-users --tokens` writes.
pub(crate) async fn users(
    State(api): State<Shared>,
    _operator: Operator,
    Json(wanted): Json<Wanted>,
) -> Result<impl IntoResponse, ApiError> {
    let names = names(&wanted, api.settings.devices_max)?;
    let created_ms = now_ms();
    note(|trail| trail.count = Some(wanted.count));
    let made = api
        .accounts
        .create_in_bulk(&names, wanted.devices.unwrap_or(1), created_ms)
        .await
        .map_err(refusal)?;
    tell_core(&api, &made, created_ms).await?;
    let mut users: Vec<UserId> = made.iter().map(|(user, _)| *user).collect();
    users.dedup();
    api.accounts.set_all_in_core(&users).await.map_err(refusal)?;
    let issued_ms = now_ms();
    let expires_ms = issued_ms.saturating_add(OPERATOR_TOKEN_MS);
    let mut lines = String::new();
    for (user, device) in made {
        let token = token::sign(&api.keys.newest(), &Claims { user, device, expires_ms, issued_ms });
        lines += &format!("{user}\t{device}\t{token}\n");
    }
    let kind = [(header::CONTENT_TYPE, "text/tab-separated-values"), (header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, kind, lines))
}

fn names(wanted: &Wanted, devices_max: u32) -> Result<Vec<Name>, ApiError> {
    let Wanted { prefix, from, count, devices } = wanted;
    let (prefix, from) = (prefix.as_deref().unwrap_or("load"), from.unwrap_or(1));
    let devices = devices.unwrap_or(1);
    if !(1..=devices_max).contains(&devices) {
        return Err(ApiError::field("devices", format_args!("{devices}; must be 1 to {devices_max}")));
    }
    let most = DEVICES_PER_REQUEST / devices;
    if !(1..=most).contains(count) {
        let words =
            format_args!("{count}; must be 1 to {most} with {devices} devices each, ask again for more");
        return Err(ApiError::field("count", words));
    }
    let numbers = u64::from(from)..u64::from(from) + u64::from(*count);
    let names = numbers.map(|number| Name::parse(&format!("{prefix}{number:06}")));
    names.collect::<Result<_, _>>().map_err(|fault| ApiError::field("prefix", fault))
}

fn refusal(error: AccountsError) -> ApiError {
    match error {
        AccountsError::NameTaken => error.into(),
        other => cannot(other),
    }
}

/// An operator is told in the server's own words what the log says: a full disk, a busy shard.
fn cannot(error: impl std::fmt::Display) -> ApiError {
    tracing::warn!(%error, "users could not be made");
    ApiError::busy(RETRY_MS, error.to_string())
}

/// The core knows every user and device before there is a token for it.
async fn tell_core(api: &Shared, made: &[(UserId, DeviceId)], created_ms: u64) -> Result<(), ApiError> {
    let mut telling = JoinSet::new();
    let mut users = made.chunk_by(|(one, _), (other, _)| one == other);
    loop {
        while telling.len() < TELLING_MAX
            && let Some(devices) = users.next()
        {
            let (api, devices) = (api.clone(), devices.to_vec());
            telling.spawn(async move { tell_core_of_user(&api, &devices, created_ms).await });
        }
        match telling.join_next().await {
            None => return Ok(()),
            Some(Ok(told)) => told?,
            Some(Err(error)) => return Err(ApiError::internal(error)),
        }
    }
}

async fn tell_core_of_user(
    api: &Shared,
    devices: &[(UserId, DeviceId)],
    created_ms: u64,
) -> Result<(), ApiError> {
    if let Some((user, _)) = devices.first() {
        api.homes.create_account(*user, created_ms).await.map_err(cannot)?;
    }
    for (user, device) in devices {
        admit(api, *user, *device).await?;
    }
    Ok(())
}
