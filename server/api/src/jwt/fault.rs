//! Why a token of an issuer does not count, in words for people and in a code for programs and metrics.

use std::fmt::Display;

use axum::http::StatusCode;

use super::shortened;
use crate::error::ApiError;

/// One refusal of a token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    detail: String,
    /// 0: the same token is refused again.
    retry_after_ms: u64,
}

/// What is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    Malformed,
    Algorithm,
    Issuer,
    UnknownKey,
    Unreachable,
    Forged,
    Claims,
    Expired,
    NotYet,
    Audience,
    Revoked,
}

impl Reason {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 11] = [
        Self::Malformed,
        Self::Algorithm,
        Self::Issuer,
        Self::UnknownKey,
        Self::Unreachable,
        Self::Forged,
        Self::Claims,
        Self::Expired,
        Self::NotYet,
        Self::Audience,
        Self::Revoked,
    ];

    /// The code of the refusal and the label in the metrics.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Malformed => "jwt_malformed",
            Self::Algorithm => "jwt_algorithm",
            Self::Issuer => "jwt_issuer",
            Self::UnknownKey => "jwt_unknown_key",
            Self::Unreachable => "issuer_unreachable",
            Self::Forged => "jwt_forged",
            Self::Claims => "jwt_claims",
            Self::Expired => "jwt_expired",
            Self::NotYet => "jwt_not_yet",
            Self::Audience => "jwt_audience",
            Self::Revoked => "jwt_revoked",
        }
    }
}

impl Fault {
    pub(crate) fn new(reason: Reason, detail: impl Display) -> Self {
        Self { reason, detail: detail.to_string(), retry_after_ms: 0 }
    }

    pub(crate) fn malformed(detail: impl Display) -> Self {
        Self::new(Reason::Malformed, detail)
    }

    pub(crate) fn claims(detail: impl Display) -> Self {
        Self::new(Reason::Claims, detail)
    }

    /// An algorithm that nobody may use here.
    pub(crate) fn algorithm(word: &str) -> Self {
        let words = if word.eq_ignore_ascii_case("none") {
            "it is not signed (\"alg\" is none)".to_owned()
        } else {
            format!("its \"alg\" is {:?}; known are HS256, RS256, ES256 and EdDSA", shortened(word))
        };
        Self::new(Reason::Algorithm, words)
    }

    /// The same token may be good a little later.
    pub(crate) fn again_after(self, retry_after_ms: u64) -> Self {
        Self { retry_after_ms, ..self }
    }
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        let code = fault.reason.code();
        let status = match fault.reason {
            Reason::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        };
        let refusal =
            Self::new(status, code, format!("the token cannot be taken: {}", fault.detail)).at("jwt");
        match fault.retry_after_ms {
            0 => refusal,
            retry_after_ms => refusal.after_ms(retry_after_ms),
        }
    }
}
