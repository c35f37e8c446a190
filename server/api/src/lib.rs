//! The control plane's HTTP: accounts, login, access tokens, health and metrics.
//!
//! Everything here is request and response and not hot: tokio, axum, SQL. It never touches a shard's state; what it
//! needs of the data plane it asks through [`Homes`], which the composition root implements.

/// Makes of each scenario a test on SQLite and one on PostgreSQL; it is given a fresh database.
#[cfg(test)]
macro_rules! on_both {
    ($($scenario:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                let data = tempfile::tempdir().unwrap();
                super::$scenario(crate::Database::in_directory(data.path())).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                let url = crate::PostgresUrl::parse(&crate::postgres::fresh()).unwrap();
                super::$scenario(crate::Database::Postgres(url)).await;
            })*
        }
    };
}

mod access;
mod accounts;
mod admin_token;
pub mod admin_tokens;
mod audit;
mod bot_token;
mod buckets;
mod database;
mod error;
#[cfg(test)]
mod fuzz;
mod hasher;
mod homes;
mod idempotency;
mod issuers;
mod json;
mod jwt;
pub mod keys;
mod limiter;
pub mod limits;
pub mod name;
mod network;
mod openapi;
pub mod password;
mod port;
mod private_file;
mod proxies;
mod refresh;
mod routes;
mod secret;
mod server;
pub mod snowflake;
mod texts;
mod tls;
mod totp;
mod turns;

#[cfg(test)]
#[path = "../tests/world/postgres.rs"]
#[allow(dead_code, unreachable_pub, missing_docs)]
mod postgres;

pub use access::Access;
pub use accounts::{
    Account, Accounts, AccountsError, AddDevice, Bot, DeviceRecord, Erasure, FreshInvite, History, Importing,
    Invite, InviteFault, Invited, Lifetimes, NAME_HELD_MS, NewReport, WHO_MAX, Who,
};
pub use admin_tokens::{AdminTokens, Scope};
pub use audit::AUDIT;
pub use database::{Database, PostgresUrl};
pub use error::ApiError;
pub use homes::{
    BackupRefused, BackupReport, Export, ExportBroken, ExportOf, ExportRefusal, FAMILIES_MAX, Family,
    FamilyRefusal, HomeError, Homes, KeepRefusal, Kept, LiveSession, LiveUser, ParkedJob, Pending,
    PollAnswer, PollRefusal, PollRequest, PushLine, PushRefusal, PushWord, Route, Search, SearchHit,
    SearchPage, SearchRefusal, SearchReport, StoredChannel, Subscribe, Subscription, Subscriptions,
    TestAnswer, Trace, Transport, Visit,
};
pub use issuers::{ISSUERS_MAX, Issuers, IssuersFile, Trusting};
pub use jwt::claims::is_subject;
pub use keys::{Keys, KeysError};
pub use limits::Limits;
pub use name::{Name, NameFault, Sought};
pub use network::{Networks, household};
pub use private_file::{PrivateFileError, is_on_volume_of_group};
pub use proxies::{Proxies, ProxyHeader};
pub use routes::{INVITE_S, INVITE_S_MAX, INVITE_S_MIN, INVITE_USES_MAX, INVITES_PER_REQUEST, paths, said};
pub use server::{Api, ChatUrl, Listeners, Parts, Settings, Signup, serve};

use std::time::{SystemTime, UNIX_EPOCH};

/// A token that an operator asks for is valid for so long unless it is said, milliseconds: a week. Nothing renews it.
pub const OPERATOR_TOKEN_MS: u64 = 7 * 24 * 3600 * 1000;

/// Milliseconds since the Unix epoch by the system's clock; 0 for a clock before it.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
