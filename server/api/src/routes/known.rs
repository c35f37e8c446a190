//! A device that shows at a login that the server knows it: by a token that it was given, which may have expired.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use protocol::token::{self, Claims};
use protocol::{DeviceId, UserId};

use super::bearer::bearer_text;
use crate::error::ApiError;
use crate::name::Sought;
use crate::server::Shared;

/// The claims of a token of ours, if one is shown. They open nothing: they only say in whose bucket a guess counts.
#[derive(Debug)]
pub(crate) struct Known(Option<Claims>);

impl FromRequestParts<Shared> for Known {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Infallible> {
        // At the beginning of time no token has expired.
        let claims = bearer_text(parts).ok().and_then(|text| token::verify(&api.keys.all(), text, 0).ok());
        Ok(Self(claims))
    }
}

impl Known {
    /// The device of a request that has authenticated it.
    pub(super) fn device(claims: Claims) -> Self {
        Self(Some(claims))
    }

    /// The device, if it is one of this name's account and nobody has logged it out. Otherwise it is a stranger's
    /// request like any other.
    pub(super) async fn device_of(
        &self,
        api: &Shared,
        name: Option<&Sought>,
    ) -> Result<Option<(UserId, DeviceId)>, ApiError> {
        let (Some(claims), Some(name)) = (self.0, name) else { return Ok(None) };
        let is_own =
            api.accounts.user_by_name(name).await?.is_some_and(|account| account.user == claims.user);
        if !is_own {
            return Ok(None);
        }
        let not_before_ms = api.accounts.not_before_ms(claims.user, claims.device).await?;
        let counts = not_before_ms.is_some_and(|not_before_ms| claims.issued_ms >= not_before_ms);
        Ok(counts.then_some((claims.user, claims.device)))
    }
}
