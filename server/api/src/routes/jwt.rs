//! Login with a token of an identity provider (an issuer that the operator has named) in place of name and password. The token
//! is exchanged, in the spirit of RFC 8693, for what every login gets; it is never asked for again.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use protocol::UserId;
use serde::Deserialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::login::Entry;
use super::profile::display_name_of;
use crate::accounts::{Account, AccountsError, FirstSight};
use crate::audit::note;
use crate::error::ApiError;
use crate::issuers::Issuer;
use crate::json::Json;
use crate::jwt::Token;
use crate::jwt::claims::{Named, text};
use crate::jwt::fault::{Fault, Reason};
use crate::name::proposed;
use crate::now_ms;
use crate::server::{Peer, Shared};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    jwt: Zeroizing<String>,
    /// As at a login with a password.
    code: Option<String>,
    device: Option<String>,
    replace: Option<String>,
    device_name: Option<String>,
}

/// Answers as a login with a password does. An account is made for one who was never seen, if the issuer's rule says so.
pub(crate) async fn login(
    State(api): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Json(body): Json<Login>,
) -> Result<axum::Json<Value>, ApiError> {
    let entry = Entry::check(&api, body.code, body.device, body.replace, body.device_name)?;
    let shown = prove(&api, peer, &body.jwt).await?;
    let user = shown.user(&api).await?;
    api.limiter.check_user(user, api.limiter.now_ms()).map_err(|wait_ms| {
        api.counters.login_limited();
        ApiError::too_many(wait_ms, "too many logins of this user; wait")
    })?;
    api.limiter.count_user(user, api.limiter.now_ms());
    let _turn = api.turns.of(user).await;
    let account = shown.account(&api).await?;
    if account.user != user {
        return Err(ApiError::busy(1, "the account was changed at the same time; try again"));
    }
    entry.enter(&api, &headers, &account).await.map(axum::Json)
}

/// The account of one who shows a token to prove who it is. Makes none.
pub(super) async fn owner(api: &Shared, peer: Peer, jwt: &str) -> Result<Account, ApiError> {
    prove(api, peer, jwt).await?.account(api).await
}

/// A token that counts.
struct Shown {
    issuer: Arc<Issuer>,
    named: Named,
    claims: Map<String, Value>,
}

/// Tokens that do not count are counted by address and by issuer.
async fn prove(api: &Shared, peer: Peer, jwt: &str) -> Result<Shown, ApiError> {
    if api.settings.issuers.is_empty() {
        let words = "this server takes no tokens of identity providers; log in with name and password";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "no_issuers", words));
    }
    match check(api, jwt.trim()).await {
        Ok(shown) => Ok(shown),
        Err(fault) => {
            if let Err(wait_ms) = api.limiter.take_bad_jwt(peer.0, api.limiter.now_ms()) {
                api.counters.login_limited();
                return Err(ApiError::too_many(wait_ms, "too many bad tokens from this address; wait"));
            }
            Err(fault.into())
        }
    }
}

async fn check(api: &Shared, jwt: &str) -> Result<Shown, Fault> {
    let token = Token::parse(jwt)?;
    let issuer = api.settings.issuers.of(&token)?;
    match issuer.verify(&token, now_ms()).await {
        Ok(named) => {
            issuer.count_taken();
            Ok(Shown { issuer, named, claims: token.claims })
        }
        Err(fault) => {
            issuer.count_refused(fault.reason);
            Err(fault)
        }
    }
}

impl Shown {
    fn identity(&self) -> (&str, &str) {
        (&self.issuer.name, &self.named.subject)
    }

    /// The account, if the token is not older than a logout from everywhere.
    async fn account(&self, api: &Shared) -> Result<Account, ApiError> {
        let (issuer, subject) = self.identity();
        let account = api.accounts.user_by_identity(issuer, subject).await?.ok_or_else(|| self.unknown())?;
        note(|trail| trail.user = Some(account.user));
        // Tokens tell whole seconds: one that was made in the second of the logout was made after it.
        if self.named.issued_ms.saturating_add(999) < account.not_before_ms {
            self.issuer.count_refused(Reason::Revoked);
            let words = "it is older than a logout from everywhere; get another one from its issuer";
            return Err(Fault::new(Reason::Revoked, words).into());
        }
        Ok(account)
    }

    /// The user, who is made at first sight.
    async fn user(&self, api: &Shared) -> Result<UserId, ApiError> {
        let (issuer, subject) = self.identity();
        if let Some(account) = api.accounts.user_by_identity(issuer, subject).await? {
            return Ok(account.user);
        }
        if !self.issuer.creates {
            return Err(self.unknown());
        }
        api.limiter.take_first_sight(issuer, api.limiter.now_ms()).map_err(|wait_ms| {
            ApiError::too_many(wait_ms, "too many new users of this identity provider; wait")
        })?;
        let display_name = display_name_of(text(&self.claims, &self.issuer.display_name_claim));
        for name in proposed(text(&self.claims, &self.issuer.name_claim), self.identity()) {
            let made = api.accounts.create_identified_user(&name, &display_name, self.identity(), now_ms());
            match made.await {
                Ok(FirstSight::Made(user)) => {
                    tracing::info!(%user, issuer, "an account was made for a token's subject");
                    api.counters.signup();
                    return Ok(user);
                }
                Ok(FirstSight::Known(user)) => return Ok(user),
                Err(AccountsError::NameTaken) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AccountsError::NameTaken.into())
    }

    fn unknown(&self) -> ApiError {
        let words = format!(
            "the token is good, but nobody has an account for {:?} of {:?}; its operator can link one",
            self.named.subject, self.issuer.name
        );
        ApiError::new(StatusCode::FORBIDDEN, "no_account", words).at("jwt")
    }
}
