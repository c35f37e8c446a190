//! What a request is told when it is refused, always in the same JSON shape:
//! `{"error":{"code":"...","message":"...","retry_after_ms":0}}`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::DeviceId;

/// A refused request. `code` is a stable word for programs, `message` words for people.
#[derive(Clone, Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// 0: do not retry.
    retry_after_ms: u64,
    /// With `too_many_devices`: which the account has.
    devices: Vec<DeviceId>,
}

impl ApiError {
    /// A refusal that no retry can help.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after_ms: 0, devices: Vec::new() }
    }

    /// A value is outside its documented bounds.
    #[must_use]
    pub fn field(field: &str, message: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_field", format!("{field}: {message}"))
    }

    /// No token, or one that is no good.
    #[must_use]
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
    }

    /// There is no such thing.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// Too often.
    #[must_use]
    pub fn rate(retry_after_ms: u64) -> Self {
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate", "too many failed logins; wait");
        Self { retry_after_ms: retry_after_ms.max(1), ..error }
    }

    /// The server is at a bound of its own.
    #[must_use]
    pub fn busy(retry_after_ms: u64, message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message);
        Self { retry_after_ms: retry_after_ms.max(1), ..error }
    }

    /// The disk is nearly full: what writes is refused.
    #[must_use]
    pub fn storage_full(retry_after_ms: u64) -> Self {
        let message = "the disk is nearly full; nothing new is accepted";
        let error = Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage_full", message);
        Self { retry_after_ms: retry_after_ms.max(1), ..error }
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

    /// The stable word.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }
}

/// The code of a refusal, in the extensions of its response, for whoever counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefusalCode(pub(crate) &'static str);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut error = serde_json::json!({
            "code": self.code, "message": self.message, "retry_after_ms": self.retry_after_ms,
        });
        if !self.devices.is_empty()
            && let Some(fields) = error.as_object_mut()
        {
            let devices = self.devices.iter().map(ToString::to_string).collect::<Vec<_>>();
            fields.insert("devices".into(), devices.into());
        }
        let body = axum::Json(serde_json::json!({ "error": error }));
        let mut response = (self.status, body).into_response();
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
