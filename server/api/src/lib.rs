//! The control plane's HTTP: accounts, login, access tokens, health and metrics.
//!
//! Everything here is request and response and not hot: tokio, axum, SQL. It never touches a shard's state; what it
//! needs of the data plane it asks through [`Homes`], which the composition root implements.

mod accounts;
mod admin_token;
mod error;
mod homes;
mod json;
pub mod keys;
mod limiter;
pub mod name;
pub mod password;
mod private_file;
mod routes;
mod server;
pub mod snowflake;
mod turns;

pub use accounts::{Account, Accounts, AccountsError, AddDevice, DeviceRecord};
pub use admin_token::AdminToken;
pub use error::ApiError;
pub use homes::{HomeError, Homes, Pending, Route};
pub use keys::Keys;
pub use name::{Name, NameFault};
pub use private_file::PrivateFileError;
pub use server::{Api, ChatUrl, Parts, Settings, serve};

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch by the system's clock; 0 for a clock before it.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
