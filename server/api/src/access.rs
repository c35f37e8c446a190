//! Who may ask, before a route is looked for: what a request says of its host and of the page it came from, and what a
//! browser is told of the answer.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use protocol::web::WebRules;

use crate::error::ApiError;
use crate::limits::Limits;
use crate::proxies::Proxies;

/// What an operator may set about who asks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Access {
    /// Our own proxies.
    pub proxies: Proxies,
    /// Origins whose pages may ask, as [`protocol::web::origins`] gives them.
    pub origins: Vec<String>,
    /// Names that we answer to, as [`protocol::web::hosts`] gives them.
    pub hosts: Vec<String>,
    /// TLS is in front: browsers are told to use nothing else for so many seconds. 0: they are not.
    pub hsts_s: u32,
    /// Metrics ask for a token on loopback, too.
    pub metrics_token: bool,
    /// How much.
    pub limits: Limits,
}

impl Access {
    /// The rules of a listener at this address.
    #[must_use]
    pub fn rules(&self, address: std::net::SocketAddr) -> WebRules {
        WebRules::new(self.origins.clone(), self.hosts.clone(), address.ip().to_canonical().is_loopback())
    }
}

/// What pages may send besides what every page may.
const ALLOWED_HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, content-type, idempotency-key, maru-poll, maru-poll-number");
const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
/// What they may read besides.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static(
    "retry-after, www-authenticate, maru-poll, maru-poll-number, maru-poll-close, maru-poll-pause-ms",
);
/// How long a browser remembers that it may ask.
const REMEMBERED_S: HeaderValue = HeaderValue::from_static("600");

/// Refuses hosts and pages that may not ask, and answers browsers that ask whether they may.
pub(crate) async fn guarded(
    State(rules): State<std::sync::Arc<WebRules>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let host = match one(headers, header::HOST) {
        Ok(host) => host,
        Err(()) => return wrong_host().into_response(),
    };
    if !rules.takes_host(host) {
        return wrong_host().into_response();
    }
    let origin = match one(headers, header::ORIGIN) {
        Ok(None) => return next.run(request).await,
        Ok(Some(origin)) if rules.takes_origin(origin, host) => origin.to_owned(),
        _ => return wrong_origin().into_response(),
    };
    // A page of this server's own asks nothing before, and reads every answer.
    if !rules.lists_origin(&origin) {
        return next.run(request).await;
    }
    let asks = header::ACCESS_CONTROL_REQUEST_METHOD;
    let mut response = if request.method() == Method::OPTIONS && headers.contains_key(asks) {
        may_ask()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    if let Ok(origin) = HeaderValue::from_str(&origin) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
    response
}

fn may_ask() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED_S);
    response
}

/// The value of a header that is given once or not at all.
fn one(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(drop),
        _ => Err(()),
    }
}

fn wrong_host() -> ApiError {
    let words = "this server does not answer to that Host; its operator can list it in allowed_hosts";
    ApiError::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", words)
}

fn wrong_origin() -> ApiError {
    let words = "pages of that Origin may not ask; the operator can list it in allowed_origins";
    ApiError::new(StatusCode::FORBIDDEN, "wrong_origin", words)
}

/// What every answer says: it is what it says it is, and nobody keeps it unless the route says so.
pub(crate) async fn headed(State(hsts_s): State<u32>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if hsts_s > 0
        && let Ok(value) = HeaderValue::from_str(&format!("max-age={hsts_s}"))
    {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    response
}
