//! Who asks: the access token in `Authorization: Bearer`, of a device that still exists.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use protocol::token::{self, Claims, TokenFault};

use crate::audit::note;
use crate::error::ApiError;
use crate::now_ms;
use crate::server::Shared;

/// An authenticated request.
#[derive(Debug)]
pub(crate) struct Bearer(pub(crate) Claims);

impl FromRequestParts<Shared> for Bearer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, ApiError> {
        let claims = shown_claims(parts, api)?;
        note(|trail| (trail.user, trail.device) = (Some(claims.user), Some(claims.device)));
        still_counts(api, &claims).await?;
        Ok(Self(claims))
    }
}

/// Whose token a request shows. Whether its device still exists is for whoever is asked.
pub(super) fn shown_claims(parts: &Parts, api: &Shared) -> Result<Claims, ApiError> {
    token::verify(&api.keys.all(), bearer_text(parts)?, now_ms()).map_err(refusal)
}

/// A token outlives a logout; its device does not. Neither does a token from before a logout from everywhere.
pub(super) async fn still_counts(api: &Shared, claims: &Claims) -> Result<(), ApiError> {
    match api.accounts.not_before_ms(claims.user, claims.device).await? {
        None => Err(ApiError::unauthenticated("the device was logged out; log in")),
        Some(not_before_ms) if claims.issued_ms < not_before_ms => {
            Err(ApiError::unauthenticated("the token is older than a logout from everywhere; log in"))
        }
        Some(_) => Ok(()),
    }
}

/// The token that a request brings, whatever it is worth.
pub(super) fn bearer_text(parts: &Parts) -> Result<&str, ApiError> {
    let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let split = header.and_then(|header| header.split_once(' '));
    let token = split.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let (_, token) =
        token.ok_or_else(|| ApiError::unauthenticated("expected Authorization: Bearer TOKEN"))?;
    Ok(token.trim())
}

fn refusal(fault: TokenFault) -> ApiError {
    let words = format!("the token is {}", fault_words(fault));
    match fault {
        TokenFault::Expired | TokenFault::RetiredKey => {
            ApiError::new(axum::http::StatusCode::UNAUTHORIZED, "expired", words)
        }
        _ => ApiError::unauthenticated(words),
    }
}

fn fault_words(fault: TokenFault) -> &'static str {
    match fault {
        TokenFault::Malformed => "not one of this server's",
        TokenFault::UnknownKey => "signed with an unknown key; log in",
        TokenFault::RetiredKey => "signed with a key that was retired; renew it, or log in",
        TokenFault::Forged => "damaged or forged; log in",
        TokenFault::Expired => "expired; log in",
    }
}
