//! Every endpoint. Bodies are JSON, ids are strings in it, refusals have one shape ([`crate::ApiError`]).
//!
//! ```text
//! POST /v1/signup                 {"name","password"}                        201 {"user"}
//! POST /v1/login                  {"name","password","device"?,"replace"?}   200 {"token","user","device","expires_ms","chat"}
//! POST /v1/token                  Bearer                                     200 the same, for the same device
//! POST /v1/password               Bearer    {"old","new","keep_devices"?}    200 the same; other devices are logged out
//! POST /v1/logout                 Bearer                                     204; the device is forgotten
//! POST /v1/logout/all             Bearer    {"keep_this"?}                   204; or 200 as for /v1/token
//! GET  /v1/devices                Bearer                                     200 {"devices":[{"device","created_ms","this"}]}
//! DELETE /v1/devices/{id}         Bearer                                     204; the device is forgotten
//! GET  /v1/users/by-name/{name}   Bearer                                     200 {"user","name"}
//! GET  /v1/users/{id}             Bearer                                     200 {"user","name"}
//! GET  /v1/route                  Bearer                                     200 {"chat","quic"?,"shard","shards"}
//! POST /v1/admin/users            Operator  {"prefix"?,"from"?,"count","devices"?}  201 lines of user, device, token
//! POST /v1/admin/token            Operator  {"user"|"name","device"?,"ttl_s"?}      201 {"token","user","device","expires_ms"}
//! POST /v1/admin/revoke           Operator  {"user"|"name","device"?}        204; the device, or all of them, is forgotten
//! GET  /healthz /readyz /metrics
//! ```

mod admin;
mod bearer;
mod devices;
mod login;
mod operate;
mod password;
mod route;
mod signup;
mod users;

pub(crate) use operate::Counters;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{delete, get, post};

use crate::error::ApiError;
use crate::server::Api;

/// The routes with their state.
pub(crate) fn router(api: Api) -> Router {
    Router::new()
        .route("/v1/signup", post(signup::signup))
        .route("/v1/login", post(login::login))
        .route("/v1/token", post(login::renew))
        .route("/v1/password", post(password::change))
        .route("/v1/logout", post(devices::logout))
        .route("/v1/logout/all", post(devices::logout_all))
        .route("/v1/devices", get(devices::list))
        .route("/v1/devices/{id}", delete(devices::remove))
        .route("/v1/users/by-name/{name}", get(users::by_name))
        .route("/v1/users/{id}", get(users::by_id))
        .route("/v1/route", get(route::route))
        .route("/v1/admin/users", post(admin::users))
        .route("/v1/admin/token", post(admin::device::token))
        .route("/v1/admin/revoke", post(admin::device::revoke))
        .route("/healthz", get(operate::healthz))
        .route("/readyz", get(operate::readyz))
        .route("/metrics", get(operate::metrics))
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(api.shared)
}

async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::not_found(format!("there is nothing at {:?}", shortened(uri.path())))
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    let message = format!("{:?} cannot be used at {:?}", shortened(method.as_str()), shortened(uri.path()));
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

/// What a stranger sent is repeated to it, but not at any length.
fn shortened(text: &str) -> &str {
    text.char_indices().nth(100).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}
