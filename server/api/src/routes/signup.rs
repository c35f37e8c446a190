//! A new account.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::login::STORAGE_RETRY_MS;
use crate::audit::note;
use crate::error::ApiError;
use crate::hasher::Kind;
use crate::json::Json;
use crate::name::Name;
use crate::password;
use crate::server::{Peer, Shared, Signup};
use crate::{AccountsError, now_ms};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    name: String,
    password: Zeroizing<String>,
    /// Asked for where sign-up is by invitation; otherwise it is not looked at.
    invite: Option<String>,
}

/// Makes the account in SQL, then tells the core. If the core cannot take it now the account stands all the same, and
/// the core is told again when somebody looks the user up or the user logs in.
pub(crate) async fn signup(
    State(api): State<Shared>,
    Extension(peer): Extension<Peer>,
    Json(body): Json<Wanted>,
) -> Result<(StatusCode, axum::Json<serde_json::Value>), ApiError> {
    let name = Name::parse(&body.name).map_err(|fault| ApiError::field("name", fault))?;
    if name.is_reserved() {
        let message = "the name is kept for those who run the server; take another one";
        return Err(ApiError::new(StatusCode::CONFLICT, "name_taken", message).at("name"));
    }
    password::check_for(name.shown(), &body.password).map_err(|fault| ApiError::field("password", fault))?;
    // Before anything that tells of others or costs more than a look-up.
    let invite = invite(&api, body.invite).await?;
    if api.homes.is_storage_full() {
        return Err(ApiError::storage_full(STORAGE_RETRY_MS));
    }
    // A name that is taken costs a token as well: nobody is to ask after all names.
    api.limiter.take_signup(peer.0, api.limiter.now_ms()).map_err(|wait_ms| {
        ApiError::too_many(wait_ms, "too many new accounts from this address, or of all; wait")
    })?;
    // Asked before hashing, so that a taken name costs little; the unique columns decide.
    if api.accounts.is_taken(&name).await? {
        return Err(AccountsError::NameTaken.into());
    }
    let hash = api.hasher.hash(Kind::Signup, body.password).await;
    let hash = hash.inspect_err(|_| api.limiter.give_signup_back(peer.0, api.limiter.now_ms()))?;
    let now_ms = now_ms();
    let user = match invite {
        Some(code) => api.accounts.create_invited_user(&name, &hash, &code, now_ms).await?,
        None => api.accounts.create_user(&name, &hash, now_ms).await?,
    };
    api.counters.signup();
    note(|trail| trail.user = Some(user));
    match api.homes.create_account(user, now_ms).await {
        Ok(()) => api.accounts.set_in_core(user).await?,
        Err(error) => tracing::warn!(%user, %error, "the core does not know the new user yet"),
    }
    Ok((StatusCode::CREATED, axum::Json(serde_json::json!({ "user": user.to_string() }))))
}

/// The invite that this sign-up takes, if it needs one. It is taken with the account, not here.
async fn invite(api: &Shared, named: Option<String>) -> Result<Option<String>, ApiError> {
    let refuse = |code, words| Err(ApiError::new(StatusCode::FORBIDDEN, code, words));
    match (api.settings.signup, named) {
        (Signup::Open, _) => Ok(None),
        (Signup::Closed, _) => {
            refuse("signup_closed", "nobody can sign up here; ask the operator for an account")
        }
        (Signup::Invite, None) => refuse("invite_needed", "sign-up is by invitation; name one in \"invite\"")
            .map_err(|e| e.at("invite")),
        (Signup::Invite, Some(code)) => match api.accounts.invite_fault(&code, now_ms()).await? {
            None => Ok(Some(code)),
            Some(fault) => Err(fault.into()),
        },
    }
}
