//! What a request is told when it is refused, always in the same shape: a problem of RFC 9457, with three members of our
//! own, `{"type":"urn:maru:problem:rate","title":"rate","status":429,"detail":"...","code":"rate","retry_after_ms":0}`, and
//! `field` where one is at fault.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::DeviceId;

use crate::accounts::{AccountsError, InviteFault};
use crate::database::{Meaning, meaning};
use crate::openapi::problems::problem;

/// The media type of a refusal.
const PROBLEM_JSON: &str = "application/problem+json";
/// When a request may come again that the database could not take, milliseconds.
const DATABASE_RETRY_MS: u64 = 1000;
/// Most characters of a field's name that are repeated to the one who sent it.
const FIELD_CHARS_MAX: usize = 100;

/// A refused request. `code` is a stable word for programs, `detail` words for people.
#[derive(Clone, Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// 0: do not retry.
    retry_after_ms: u64,
    /// Which part of the request is at fault.
    field: Option<String>,
    /// With `too_many_devices`: which the account has.
    devices: Vec<DeviceId>,
}

impl ApiError {
    /// A refusal that no retry can help.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), retry_after_ms: 0, field: None, devices: Vec::new() }
    }

    /// The same, and this field of the request is the reason.
    #[must_use]
    pub fn at(self, field: &str) -> Self {
        Self { field: Some(field.chars().take(FIELD_CHARS_MAX).collect()), ..self }
    }

    /// The same, and it can succeed later: in so many milliseconds.
    #[must_use]
    pub fn after_ms(self, retry_after_ms: u64) -> Self {
        Self { retry_after_ms: retry_after_ms.max(1), ..self }
    }

    /// A value is outside its documented bounds.
    #[must_use]
    pub fn field(field: &str, detail: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_field", format!("{field}: {detail}")).at(field)
    }

    /// No token, or one that is no good.
    #[must_use]
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
    }

    /// There is no such thing.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// Too often.
    #[must_use]
    pub fn rate(retry_after_ms: u64) -> Self {
        Self::too_many(retry_after_ms, "too many failed logins; wait")
    }

    /// Too often something else than a failed login.
    #[must_use]
    pub fn too_many(retry_after_ms: u64, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate", detail).after_ms(retry_after_ms)
    }

    /// The server is at a bound of its own.
    #[must_use]
    pub fn busy(retry_after_ms: u64, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).after_ms(retry_after_ms)
    }

    /// The disk is nearly full: what writes is refused.
    #[must_use]
    pub fn storage_full(retry_after_ms: u64) -> Self {
        let message = "the disk is nearly full; nothing new is accepted";
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage_full", message).after_ms(retry_after_ms)
    }

    /// The account has its full number of devices.
    #[must_use]
    pub fn too_many_devices(devices: Vec<DeviceId>) -> Self {
        let message = format!(
            "the account has {} devices, the most allowed; log one out or name one in \"replace\"",
            devices.len()
        );
        Self { devices, ..Self::new(StatusCode::CONFLICT, "too_many_devices", message) }
    }

    /// The server's own fault: logged with its words, told without them.
    #[must_use]
    pub fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed; its log says why")
    }

    fn is_documented(&self) -> bool {
        let known = problem(self.code);
        known.is_some_and(|known| known.status == self.status && known.may_say(self.retry_after_ms))
    }

    /// The stable word.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }
}

impl From<AccountsError> for ApiError {
    fn from(error: AccountsError) -> Self {
        let meaning = match &error {
            AccountsError::NameTaken => {
                return Self::new(StatusCode::CONFLICT, "name_taken", error.to_string());
            }
            AccountsError::Invite(fault) => return (*fault).into(),
            AccountsError::Database(error) | AccountsError::Unreachable { error, .. } => meaning(error),
            AccountsError::Empty { .. }
            | AccountsError::Newer { .. }
            | AccountsError::Schema(_)
            | AccountsError::Ids(_) => Meaning::Fault,
        };
        match meaning {
            Meaning::NotNow => {
                tracing::warn!(%error, "the accounts cannot be reached");
                Self::busy(DATABASE_RETRY_MS, "the server cannot reach its accounts now")
            }
            Meaning::Full => Self::storage_full(DATABASE_RETRY_MS),
            Meaning::Fault => Self::internal(error),
        }
    }
}

impl From<InviteFault> for ApiError {
    fn from(fault: InviteFault) -> Self {
        let code = match fault {
            InviteFault::Unknown => "invite_unknown",
            InviteFault::Expired => "invite_expired",
            InviteFault::Used => "invite_used",
        };
        Self::new(StatusCode::FORBIDDEN, code, fault.to_string()).at("invite")
    }
}

/// The code of a refusal, in the extensions of its response, for whoever counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefusalCode(pub(crate) &'static str);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        debug_assert!(self.is_documented(), "not in openapi/problems.rs: {self:?}");
        let mut problem = serde_json::json!({
            "type": format!("urn:maru:problem:{}", self.code),
            "title": self.code.replace('_', " "),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
            "retry_after_ms": self.retry_after_ms,
        });
        if let Some(members) = problem.as_object_mut() {
            if let Some(field) = self.field {
                members.insert("field".into(), field.into());
            }
            if !self.devices.is_empty() {
                let devices = self.devices.iter().map(ToString::to_string).collect::<Vec<_>>();
                members.insert("devices".into(), devices.into());
            }
        }
        let kind = [(header::CONTENT_TYPE, PROBLEM_JSON)];
        let mut response = (self.status, kind, problem.to_string()).into_response();
        response.extensions_mut().insert(RefusalCode(self.code));
        if self.retry_after_ms > 0 {
            let seconds = HeaderValue::from(self.retry_after_ms.div_ceil(1000));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
