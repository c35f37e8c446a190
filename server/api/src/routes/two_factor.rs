//! A second factor: codes of an app beside the password, for whoever wants it.

use axum::Extension;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use protocol::UserId;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::bearer::{Bearer, still_counts};
use super::known::Known;
use super::login::{authenticate, named_host, still_has_password, with_password};
use crate::accounts::Account;
use crate::audit::note;
use crate::error::ApiError;
use crate::json::Json;
use crate::now_ms;
use crate::server::{Peer, Shared};
use crate::totp::{self, Code, Secret};

/// A code that was good and is spent.
#[derive(Debug)]
pub(super) struct Spent(Kind);

#[derive(Debug)]
enum Kind {
    Step(u64),
    Recovery(String),
}

impl Spent {
    /// What it was spent for did not happen, so the person can use it again.
    pub(super) async fn give_back(self, api: &Shared, user: UserId) {
        let given = match self.0 {
            Kind::Step(step) => api.accounts.give_step_back(user, step).await,
            Kind::Recovery(hash) => api.accounts.give_recovery_code_back(user, &hash).await,
        };
        if let Err(error) = given {
            tracing::warn!(%user, %error, "a code was spent for nothing");
        }
    }
}

/// Spends the code that a user with a second factor brings, in the user's turn; `None` for one without. Asked only of who
/// knows the password.
pub(super) async fn demand(
    api: &Shared,
    user: UserId,
    code: Option<&str>,
) -> Result<Option<Spent>, ApiError> {
    let Some(factor) = api.accounts.second_factor(user).await?.filter(|factor| factor.is_on) else {
        return Ok(None);
    };
    let Some(code) = code else {
        let message =
            "the account has a second factor: send the code of its app, or a recovery code, in \"code\"";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "code_required", message));
    };
    let spent = guarded(api, user, spend(api, user, &factor.secret, code)).await?;
    let is_recovery = matches!(spent.0, Kind::Recovery(_));
    note(|trail| trail.factor = Some(if is_recovery { "recovery_code" } else { "code" }));
    if is_recovery {
        tracing::info!(%user, "a recovery code was used");
    }
    Ok(Some(spent))
}

async fn spend(api: &Shared, user: UserId, secret: &Secret, code: &str) -> Result<Option<Spent>, ApiError> {
    Ok(match Code::parse(code) {
        Some(Code::App(code)) => match secret.step_of(code, now_ms()) {
            Some(step) if api.accounts.spend_step(user, step).await? => Some(Spent(Kind::Step(step))),
            _ => None,
        },
        Some(Code::Recovery(hash)) if api.accounts.spend_recovery_code(user, &hash).await? => {
            Some(Spent(Kind::Recovery(hash)))
        }
        _ => None,
    })
}

/// A guess is counted before it is looked at, and not counted when it was good or could not be looked at.
async fn guarded<T>(
    api: &Shared,
    user: UserId,
    check: impl Future<Output = Result<Option<T>, ApiError>>,
) -> Result<T, ApiError> {
    if let Err(wait_ms) = api.limiter.take_code(user, api.limiter.now_ms()) {
        api.counters.login_limited();
        tracing::warn!(%user, "too many wrong codes behind the right password");
        return Err(ApiError::rate(wait_ms));
    }
    match check.await {
        Ok(None) => {
            api.counters.login_failed();
            tracing::warn!(%user, "a wrong code behind the right password");
            let message = "the code is wrong, or it was used before; wait for the next one, and look at the clock of the device";
            Err(ApiError::new(StatusCode::UNAUTHORIZED, "wrong_code", message))
        }
        Ok(Some(good)) => {
            api.limiter.give_code_back(user, api.limiter.now_ms());
            Ok(good)
        }
        Err(error) => {
            api.limiter.give_code_back(user, api.limiter.now_ms());
            Err(error)
        }
    }
}

/// An answer with a secret in it.
type NoStore = ([(HeaderName, &'static str); 1], axum::Json<Value>);

/// Nothing on the way keeps it.
fn no_store(answer: Value) -> NoStore {
    ([(CACHE_CONTROL, "no-store")], axum::Json(answer))
}

/// Whether it is on, and how many recovery codes are left.
pub(crate) async fn state(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
) -> Result<axum::Json<Value>, ApiError> {
    let on = api.accounts.second_factor(claims.user).await?.is_some_and(|factor| factor.is_on);
    let left = if on { api.accounts.recovery_codes_left(claims.user).await? } else { 0 };
    Ok(axum::Json(json!({ "on": on, "recovery_codes": left })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Begin {
    password: Zeroizing<String>,
}

/// Makes a secret for the user's app. A login asks for nothing yet; asked again, it makes another one.
pub(crate) async fn begin(
    State(api): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    bearer: Bearer,
    Json(body): Json<Begin>,
) -> Result<NoStore, ApiError> {
    let account = owner(&api, peer, &bearer, body.password.clone()).await?;
    let _turn = api.turns.of(account.user).await;
    let account = still_the_owner(&api, &bearer, account, body.password).await?;
    let secret = Secret::random().map_err(ApiError::internal)?;
    if !api.accounts.begin_second_factor(account.user, &secret).await? {
        let message = "the second factor is on; turn it off before you set up another app";
        return Err(ApiError::new(StatusCode::CONFLICT, "two_factor_on", message));
    }
    let uri = secret.uri(&account.name, &named_host(&headers));
    Ok(no_store(json!({ "secret": secret.base32(), "uri": uri })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirm {
    code: Zeroizing<String>,
}

/// Turns it on: a code shows that the app holds the secret. Answers the recovery codes, this once.
pub(crate) async fn confirm(
    State(api): State<Shared>,
    Bearer(claims): Bearer,
    Json(body): Json<Confirm>,
) -> Result<NoStore, ApiError> {
    let user = claims.user;
    let _turn = api.turns.of(user).await;
    still_counts(&api, &claims).await?;
    let begun =
        api.accounts.second_factor(user).await?.ok_or_else(|| is_off("begin with POST /v1/two-factor"))?;
    if begun.is_on {
        return Err(ApiError::new(StatusCode::CONFLICT, "two_factor_on", "the second factor is on already"));
    }
    let step = guarded(&api, user, async {
        Ok(match Code::parse(&body.code) {
            Some(Code::App(code)) => begun.secret.step_of(code, now_ms()),
            _ => None,
        })
    });
    let step = step.await?;
    let (shown, hashes) = totp::recovery_codes().map_err(ApiError::internal)?;
    if !api.accounts.confirm_second_factor(user, &begun.secret, step, &hashes).await? {
        return Err(ApiError::busy(1, "the second factor was changed at the same time; try again"));
    }
    tracing::info!(%user, device = %claims.device, "the second factor was turned on");
    Ok(no_store(json!({ "recovery_codes": shown })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Both {
    password: Zeroizing<String>,
    code: Zeroizing<String>,
}

/// Other recovery codes in place of those that are left.
pub(crate) async fn recovery_codes(
    State(api): State<Shared>,
    Extension(peer): Extension<Peer>,
    bearer: Bearer,
    Json(body): Json<Both>,
) -> Result<NoStore, ApiError> {
    let account = owner(&api, peer, &bearer, body.password.clone()).await?;
    let _turn = api.turns.of(account.user).await;
    let account = still_the_owner(&api, &bearer, account, body.password).await?;
    demand(&api, account.user, Some(&body.code)).await?.ok_or_else(|| is_off("there is none"))?;
    let (shown, hashes) = totp::recovery_codes().map_err(ApiError::internal)?;
    api.accounts.set_recovery_codes(account.user, &hashes).await?;
    Ok(no_store(json!({ "recovery_codes": shown })))
}

/// Turns it off. What was begun and not confirmed is dropped for the password alone.
pub(crate) async fn off(
    State(api): State<Shared>,
    Extension(peer): Extension<Peer>,
    bearer: Bearer,
    Json(body): Json<Both>,
) -> Result<StatusCode, ApiError> {
    let account = owner(&api, peer, &bearer, body.password.clone()).await?;
    let _turn = api.turns.of(account.user).await;
    let account = still_the_owner(&api, &bearer, account, body.password).await?;
    demand(&api, account.user, Some(&body.code)).await?;
    if api.accounts.remove_second_factor(account.user).await? {
        tracing::info!(user = %account.user, device = %bearer.0.device, "the second factor was turned off");
    }
    Ok(StatusCode::NO_CONTENT)
}

fn is_off(hint: &str) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, "two_factor_off", format!("the second factor is off; {hint}"))
}

/// A token alone changes no second factor: whoever has found a device that is logged in does not know the password.
async fn owner(
    api: &Shared,
    peer: Peer,
    bearer: &Bearer,
    password: Zeroizing<String>,
) -> Result<Account, ApiError> {
    let account = api.accounts.user(bearer.0.user).await?;
    let account = account.ok_or_else(|| ApiError::not_found("there is no such user"))?;
    let name = with_password(account)?.name;
    authenticate(api, peer, Known::device(bearer.0), &name, password).await
}

/// Again, now that it is the user's turn.
async fn still_the_owner(
    api: &Shared,
    bearer: &Bearer,
    account: Account,
    password: Zeroizing<String>,
) -> Result<Account, ApiError> {
    still_counts(api, &bearer.0).await?;
    still_has_password(api, account, password).await
}
