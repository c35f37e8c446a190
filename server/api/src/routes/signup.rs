//! A new account.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use super::login::STORAGE_RETRY_MS;
use crate::error::ApiError;
use crate::json::Json;
use crate::name::Name;
use crate::password;
use crate::server::Shared;
use crate::{AccountsError, now_ms};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signup {
    name: String,
    password: String,
}

/// Makes the account in SQL, then tells the core. If the core cannot take it now the account stands all the same, and
/// the core is told again when somebody looks the user up or the user logs in.
pub(crate) async fn signup(
    State(api): State<Shared>,
    Json(body): Json<Signup>,
) -> Result<(StatusCode, axum::Json<serde_json::Value>), ApiError> {
    let name = Name::parse(&body.name).map_err(|fault| ApiError::field("name", fault))?;
    password::check(&body.password).map_err(|fault| ApiError::field("password", fault))?;
    if api.homes.is_storage_full() {
        return Err(ApiError::storage_full(STORAGE_RETRY_MS));
    }
    // Asked before hashing, so that a taken name costs little; the unique column decides.
    if api.accounts.user_by_name(&name).await?.is_some() {
        return Err(AccountsError::NameTaken.into());
    }
    let hash = api.hasher.hash(body.password).await?;
    let now_ms = now_ms();
    let user = api.accounts.create_user(&name, &hash, now_ms).await?;
    api.counters.signup();
    match api.homes.create_account(user, now_ms).await {
        Ok(()) => api.accounts.set_in_core(user).await?,
        Err(error) => tracing::warn!(%user, %error, "the core does not know the new user yet"),
    }
    Ok((StatusCode::CREATED, axum::Json(serde_json::json!({ "user": user.to_string() }))))
}

impl From<AccountsError> for ApiError {
    fn from(error: AccountsError) -> Self {
        match error {
            AccountsError::NameTaken => Self::new(StatusCode::CONFLICT, "name_taken", "the name is taken"),
            other => Self::internal(other),
        }
    }
}
