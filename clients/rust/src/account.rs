//! The control plane as a client sees it: sign-up, login, names. JSON over HTTP; ids are strings there.

use hyper::{Method, StatusCode};
use protocol::{ChannelId, DeviceId, Seq, UserId};
use serde_json::{Value, json};

mod devices;
mod relations;
mod search;

pub use self::devices::Device;
pub use self::relations::{Audience, Friend, Privacy, Standing};
pub use self::search::{Hit, Hits, Search};
pub use crate::http::HttpError;
use crate::http::{Place, Scheme};
use crate::trust::Trust;

/// A server's control plane. Cheap to clone; each call is a connection of its own.
#[derive(Clone, Debug)]
pub struct Account {
    place: Place,
    trust: Trust,
}

/// What login gives.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Names user and device to the chat port.
    pub token: String,
    /// Who.
    pub user: UserId,
    /// Which device. Kept by an app and given at its next login.
    pub device: DeviceId,
    /// When the token ends, milliseconds since the Unix epoch at the server.
    pub expires_ms: u64,
    /// Gets the next token, once: the answer brings another of its kind. An app keeps the newest, as it keeps a password,
    /// and comes back with it by [`Account::renew`].
    pub refresh: String,
    /// When that one ends if it is not used, milliseconds since the Unix epoch at the server.
    pub refresh_expires_ms: u64,
    /// Where to chat: `ws://host:port/ws` or `wss://host:port/ws`.
    pub chat: String,
}

/// Without the tokens: they must not reach a log.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { user, device, expires_ms, chat, .. } = self;
        write!(f, "Login {{ user: {user}, device: {device}, expires_ms: {expires_ms}, chat: {chat:?} }}")
    }
}

/// What an authenticator app is given.
#[derive(Clone, PartialEq, Eq)]
pub struct TwoFactor {
    /// Base 32, to be typed.
    pub secret: String,
    /// `otpauth://...`, to be shown as a QR code.
    pub uri: String,
}

/// Without the secret: it must not reach a log.
impl std::fmt::Debug for TwoFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TwoFactor")
    }
}

/// A person's id and name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// The id.
    pub user: UserId,
    /// The name as it was signed up.
    pub name: String,
    /// The name that the person wants to be shown; empty: the other one.
    pub display_name: String,
    /// What the person says of themselves.
    pub about: String,
}

/// Where a user's devices connect best.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The WebSocket.
    pub chat: String,
    /// QUIC, if the server has it.
    pub quic: Option<QuicPlace>,
    /// The user's home, of so many; a hint.
    pub shard: u16,
}

/// Where QUIC is, and who is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuicPlace {
    /// `host:port`.
    pub address: String,
    /// SHA-256 of the server's certificate (DER).
    pub fingerprint: [u8; 32],
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The server said no.
    #[error("{message} ({code})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// A stable word.
        code: String,
        /// For people.
        message: String,
        /// Which field of the request is at fault, if one is.
        field: Option<String>,
        /// 0: do not retry.
        retry_after_ms: u64,
    },
    /// There was no answer, or none that can be understood.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl AccountError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            Self::Http(HttpError::BadUrl { .. }) => "bad_url",
            Self::Http(HttpError::Unreachable { .. }) => "unreachable",
            Self::Http(HttpError::Untrusted { .. }) => "untrusted",
            Self::Http(HttpError::Trust(_)) => "no_trust",
            Self::Http(HttpError::BadAnswer { .. }) => "bad_answer",
        }
    }

    /// When to try again, in milliseconds; 0: not at all.
    #[must_use]
    pub fn retry_after_ms(&self) -> u64 {
        match self {
            Self::Refused { retry_after_ms, .. } => *retry_after_ms,
            Self::Http(HttpError::Unreachable { .. }) => 1000,
            Self::Http(_) => 0,
        }
    }
}

impl AccountError {
    /// As a fault of the way to the server.
    pub(crate) fn into_http(self, account: &Account) -> HttpError {
        match self {
            Self::Http(error) => error,
            Self::Refused { code, message, .. } => account.place.bad_answer(format!("{message} ({code})")),
        }
    }
}

/// 64 hex digits.
pub(crate) fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    // `from_str_radix` takes a plus before a digit.
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// What a login can say besides.
#[derive(Clone, Copy, Default)]
pub struct Extras<'a> {
    /// How the device's owner will know it among the others.
    pub device_name: Option<&'a str>,
    /// Of the user's app, or a recovery code.
    pub code: Option<&'a str>,
    /// One that the device had, be it expired: so the server knows it, and it does not wait for strangers who guess at the
    /// same name or from the same address.
    pub token: Option<&'a str>,
}

/// Without the secrets.
impl std::fmt::Debug for Extras<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extras").field("device_name", &self.device_name).finish_non_exhaustive()
    }
}

impl Account {
    /// The control plane at `http://host:port`, or at `https://host:port` with a certificate that the system trusts.
    ///
    /// # Errors
    /// Not such an address, or a system that trusts nobody.
    pub fn new(url: &str) -> Result<Self, HttpError> {
        Self::with_trust(url, Trust::default())
    }

    /// The same for a server that is known in another way. Its WebSocket is trusted in the same way.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn with_trust(url: &str, trust: Trust) -> Result<Self, HttpError> {
        Ok(Self { place: Place::parse(url, Scheme::Http, &trust)?, trust })
    }

    /// Whether nobody on the way can read or change what it says.
    pub(crate) fn is_secure(&self) -> bool {
        self.place.is_secure()
    }

    /// Where a login or a route says that the chat is. Whoever came by TLS never goes on in clear text.
    pub(crate) fn chat_place(&self, chat: &str) -> Result<Place, HttpError> {
        let place = Place::parse(chat, Scheme::Ws, &self.trust)?;
        if self.is_secure() && !place.is_secure() {
            let fault =
                format!("the login came by TLS, and {chat} would be in clear text; it must be wss://");
            return Err(place.untrusted(fault));
        }
        Ok(place)
    }

    /// Makes an account.
    ///
    /// # Errors
    /// The name is taken or not allowed, the password is too short, sign-up is not open, or there was no answer.
    pub async fn signup(&self, name: &str, password: &str) -> Result<UserId, AccountError> {
        self.signup_invited(name, password, None).await
    }

    /// Makes an account with the code of an invite, which is used up by it.
    ///
    /// # Errors
    /// As for [`Self::signup`]; the invite is unknown, has expired or was used.
    pub async fn signup_invited(
        &self,
        name: &str,
        password: &str,
        invite: Option<&str>,
    ) -> Result<UserId, AccountError> {
        let mut body = json!({ "name": name, "password": password });
        if let (Some(invite), Some(fields)) = (invite, body.as_object_mut()) {
            fields.insert("invite".into(), invite.into());
        }
        let answer = self.ask(Method::POST, "/v1/signup", None, Some(body)).await?;
        Ok(UserId(self.number(&answer, "user")?))
    }

    /// Logs a device in; without one, a new device is made.
    ///
    /// # Errors
    /// Wrong name or password, too many devices, `code_required` for one with a second factor, or there was no answer.
    pub async fn login(
        &self,
        name: &str,
        password: &str,
        device: Option<DeviceId>,
    ) -> Result<Login, AccountError> {
        self.login_with(name, password, device, Extras::default()).await
    }

    /// The same, with what else a login can say.
    ///
    /// # Errors
    /// As for [`Self::login`]; `wrong_code`; the device's name is empty, too long or has control characters.
    pub async fn login_with(
        &self,
        name: &str,
        password: &str,
        device: Option<DeviceId>,
        extras: Extras<'_>,
    ) -> Result<Login, AccountError> {
        let body = json!({ "name": name, "password": password });
        self.enter("/v1/login", body, device, extras).await
    }

    /// Logs a device in with a token of an identity provider that the server takes, in place of name and password. It is shown
    /// once: from then on the device renews its own tokens.
    ///
    /// # Errors
    /// The server takes no such tokens or not this one (`jwt_...`, `no_account`, `issuer_unreachable`), else as for
    /// [`Self::login_with`].
    pub async fn login_by_jwt(
        &self,
        jwt: &str,
        device: Option<DeviceId>,
        extras: Extras<'_>,
    ) -> Result<Login, AccountError> {
        self.enter("/v1/login/jwt", json!({ "jwt": jwt }), device, extras).await
    }

    async fn enter(
        &self,
        path: &str,
        mut body: Value,
        device: Option<DeviceId>,
        extras: Extras<'_>,
    ) -> Result<Login, AccountError> {
        if let Some(fields) = body.as_object_mut() {
            let device = device.map(|device| ("device", device.to_string()));
            let device_name = extras.device_name.map(|name| ("device_name", name.to_owned()));
            let code = extras.code.map(|code| ("code", code.to_owned()));
            for (field, value) in device.into_iter().chain(device_name).chain(code) {
                fields.insert(field.into(), value.into());
            }
        }
        let answer = self.ask(Method::POST, path, extras.token, Some(body)).await?;
        Ok(self.login_of(&answer)?)
    }

    /// The next tokens of the same device, for its newest refresh token, which is used up: keep the one that comes. Without
    /// an answer it may be shown again at once; much later, or behind a newer one, it would end the device.
    ///
    /// # Errors
    /// The refresh token is no good, or there was no answer.
    pub async fn renew(&self, refresh: &str) -> Result<Login, AccountError> {
        let answer = self.ask(Method::POST, "/v1/token", None, Some(json!({ "refresh": refresh }))).await?;
        Ok(self.login_of(&answer)?)
    }

    /// Makes a secret for an authenticator app. Nothing asks for its codes before [`Self::confirm_two_factor`].
    ///
    /// # Errors
    /// Wrong password, it is on already, the token is no good, or there was no answer.
    pub async fn begin_two_factor(&self, token: &str, password: &str) -> Result<TwoFactor, AccountError> {
        let body = json!({ "password": password });
        let answer = self.ask(Method::POST, "/v1/two-factor", Some(token), Some(body)).await?;
        Ok(TwoFactor { secret: self.text(&answer, "secret")?, uri: self.text(&answer, "uri")? })
    }

    /// Turns it on with a code of the app. Gives the recovery codes, which are told this once.
    ///
    /// # Errors
    /// Wrong code, it was not begun, the token is no good, or there was no answer.
    pub async fn confirm_two_factor(&self, token: &str, code: &str) -> Result<Vec<String>, AccountError> {
        let body = json!({ "code": code });
        let answer = self.ask(Method::POST, "/v1/two-factor/confirm", Some(token), Some(body)).await?;
        let codes = answer.get("recovery_codes").and_then(Value::as_array);
        let codes = codes.map(|codes| codes.iter().filter_map(Value::as_str).map(str::to_owned).collect());
        Ok(codes.ok_or_else(|| self.place.bad_answer("no list \"recovery_codes\""))?)
    }

    /// Turns it off.
    ///
    /// # Errors
    /// Wrong password or code, the token is no good, or there was no answer.
    pub async fn two_factor_off(&self, token: &str, password: &str, code: &str) -> Result<(), AccountError> {
        let body = json!({ "password": password, "code": code });
        self.ask(Method::POST, "/v1/two-factor/off", Some(token), Some(body)).await.map(drop)
    }

    fn login_of(&self, answer: &Value) -> Result<Login, HttpError> {
        Ok(Login {
            token: self.text(answer, "token")?,
            user: UserId(self.number(answer, "user")?),
            device: DeviceId(self.number(answer, "device")?),
            expires_ms: self.number(answer, "expires_ms")?,
            refresh: self.text(answer, "refresh")?,
            refresh_expires_ms: self.number(answer, "refresh_expires_ms")?,
            chat: self.text(answer, "chat")?,
        })
    }

    /// Where to connect.
    ///
    /// # Errors
    /// The token is no good, or there was no answer.
    pub async fn route(&self, token: &str) -> Result<Route, AccountError> {
        let answer = self.ask(Method::GET, "/v1/route", Some(token), None).await?;
        let quic = match answer.get("quic") {
            None => None,
            Some(quic) => {
                let fingerprint = unhex(&self.text(quic, "fingerprint")?);
                let fingerprint =
                    fingerprint.ok_or_else(|| self.place.bad_answer("no SHA-256 in \"fingerprint\""))?;
                Some(QuicPlace { address: self.text(quic, "address")?, fingerprint })
            }
        };
        let shard = u16::try_from(self.number(&answer, "shard")?).unwrap_or_default();
        Ok(Route { chat: self.text(&answer, "chat")?, quic, shard })
    }

    /// Looks a name up, whatever its case.
    ///
    /// # Errors
    /// Nobody has it, the token is no good, or there was no answer.
    pub async fn user_by_name(&self, token: &str, name: &str) -> Result<User, AccountError> {
        let path = format!("/v1/users/by-name/{}", escape(name));
        self.user(&self.ask(Method::GET, &path, Some(token), None).await?)
    }

    /// Reports a message that the user may read to the operators of the server. Once more is the same report.
    ///
    /// # Errors
    /// There is no such message for the user, it is its own, the reason is empty or above 1,000 characters, the user has
    /// reported too much within the hour, or there was no answer.
    pub async fn report(
        &self,
        token: &str,
        (channel, seq): (ChannelId, Seq),
        reason: &str,
    ) -> Result<(), AccountError> {
        let path = format!("/v1/channels/{channel}/messages/{seq}/report");
        self.ask(Method::POST, &path, Some(token), Some(json!({ "reason": reason }))).await.map(drop)
    }

    /// Looks an id up.
    ///
    /// # Errors
    /// Nobody has it, the token is no good, or there was no answer.
    pub async fn user_by_id(&self, token: &str, user: UserId) -> Result<User, AccountError> {
        let path = format!("/v1/users/{user}");
        self.user(&self.ask(Method::GET, &path, Some(token), None).await?)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> Result<Value, AccountError> {
        let body = body.map(|body| body.to_string());
        let (status, bytes) = self.place.ask(method, path, token, body).await?;
        let answer = serde_json::from_slice::<Value>(&bytes).unwrap_or_default();
        if status.is_success() { Ok(answer) } else { Err(refused(status, &answer)) }
    }

    fn user(&self, answer: &Value) -> Result<User, AccountError> {
        let or_empty = |field: &str| answer.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(User {
            user: UserId(self.number(answer, "user")?),
            name: self.text(answer, "name")?,
            display_name: or_empty("display_name"),
            about: or_empty("about"),
        })
    }

    fn text(&self, answer: &Value, field: &str) -> Result<String, HttpError> {
        let text = answer.get(field).and_then(Value::as_str).map(str::to_owned);
        text.ok_or_else(|| self.place.bad_answer(format!("no text {field:?}")))
    }

    /// Ids are strings and times are numbers; both are taken as either.
    fn number(&self, answer: &Value, field: &str) -> Result<u64, HttpError> {
        let value = answer.get(field);
        let number = value.and_then(|v| v.as_u64().or_else(|| v.as_str()?.parse().ok()));
        number.ok_or_else(|| self.place.bad_answer(format!("no number {field:?}")))
    }
}

/// A problem of RFC 9457 with our members; whatever else answers, a proxy most likely, is told by its status.
pub(crate) fn refused(status: StatusCode, answer: &Value) -> AccountError {
    let text = |field: &str| answer.get(field).and_then(Value::as_str).map(str::to_owned);
    AccountError::Refused {
        status: status.as_u16(),
        code: text("code").unwrap_or_else(|| format!("http_{}", status.as_u16())),
        message: text("detail").unwrap_or_else(|| status.to_string()),
        field: text("field"),
        retry_after_ms: answer.get("retry_after_ms").and_then(Value::as_u64).unwrap_or(0),
    }
}

/// A path segment: all but the unreserved characters of RFC 3986 section 2.3 as percent and two hex digits.
pub(crate) fn escape(segment: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_all_that_is_reserved() {
        assert_eq!(escape("a-Z_0.~"), "a-Z_0.~");
        assert_eq!(escape("a/b?가"), "a%2Fb%3F%EA%B0%80");
    }

    #[test]
    fn refusals_are_read_and_strange_ones_survive() {
        let answer = json!({ "code": "rate", "detail": "slow", "retry_after_ms": 5, "field": "name" });
        let error = refused(StatusCode::TOO_MANY_REQUESTS, &answer);
        assert_eq!((error.code(), error.retry_after_ms()), ("rate", 5));
        assert!(matches!(error, AccountError::Refused { field: Some(field), .. } if field == "name"));
        assert_eq!(refused(StatusCode::BAD_GATEWAY, &Value::Null).code(), "http_502");
    }
}
