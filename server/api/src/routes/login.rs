//! Login.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use protocol::{DeviceId, UserId};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::known::Known;
use super::token::grant;
use super::two_factor;
use crate::accounts::{Account, AddDevice};
use crate::audit::note;
use crate::error::ApiError;
use crate::hasher::Kind;
use crate::homes::HomeError;
use crate::json::{Json, parse_id};
use crate::limiter::Who;
use crate::name::Sought;
use crate::now_ms;
use crate::password::Fit;
use crate::server::{ChatUrl, Peer, Shared};

/// When a login may come again that the core could not take, milliseconds.
const CORE_RETRY_MS: u64 = 1000;
/// The same while the disk is nearly full.
pub(super) const STORAGE_RETRY_MS: u64 = 5000;
/// Most characters of a device's name.
pub(crate) const DEVICE_NAME_CHARS_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    name: String,
    password: Zeroizing<String>,
    /// Of the user's app, or a recovery code; only for one with a second factor.
    code: Option<String>,
    /// A device of the account from an earlier login; a new one is made when it is absent.
    device: Option<String>,
    /// A device of the account that gives its place to the new one.
    replace: Option<String>,
    /// How its owner will know the device in the list of them.
    device_name: Option<String>,
}

/// Whoever shows a token of a device of the account, be it expired, does not wait for strangers (see
/// [`crate::limiter`]).
pub(crate) async fn login(
    State(api): State<Shared>,
    Extension(peer): Extension<Peer>,
    known: Known,
    headers: HeaderMap,
    Json(body): Json<Login>,
) -> Result<axum::Json<Value>, ApiError> {
    let entry = Entry::check(&api, body.code, body.device, body.replace, body.device_name)?;
    let account = authenticate(&api, peer, known, &body.name, body.password.clone()).await?;
    let _turn = api.turns.of(account.user).await;
    let account = still_has_password(&api, account, body.password).await?;
    entry.enter(&api, &headers, &account).await.map(axum::Json)
}

/// What a login says besides who it is.
#[derive(Debug)]
pub(super) struct Entry {
    code: Option<String>,
    device: Option<DeviceId>,
    replace: Option<DeviceId>,
    device_name: Option<String>,
}

impl Entry {
    pub(super) fn check(
        api: &Shared,
        code: Option<String>,
        device: Option<String>,
        replace: Option<String>,
        device_name: Option<String>,
    ) -> Result<Self, ApiError> {
        let parse = |field, id: Option<String>| id.map(|id| parse_id(field, &id).map(DeviceId)).transpose();
        let (device, replace) = (parse("device", device)?, parse("replace", replace)?);
        let device_name = device_name
            .as_deref()
            .map(|name| check_device_name("device_name", name))
            .transpose()?
            .map(str::to_owned);
        if device.is_some() && replace.is_some() {
            return Err(ApiError::field(
                "replace",
                "only a new device replaces another; leave out one of the two",
            ));
        }
        if device.is_none() && api.homes.is_storage_full() {
            return Err(ApiError::storage_full(STORAGE_RETRY_MS));
        }
        Ok(Self { code, device, replace, device_name })
    }

    /// Lets one in who has shown to be the account's owner, in the user's turn.
    pub(super) async fn enter(
        self,
        api: &Shared,
        headers: &HeaderMap,
        account: &Account,
    ) -> Result<Value, ApiError> {
        let spent = two_factor::demand(api, account.user, self.code.as_deref()).await?;
        let outcome = async {
            let device = log_in(api, account, self.device, self.replace).await?;
            note(|trail| trail.device = Some(device));
            api.accounts.logged_in(device, self.device_name.as_deref(), now_ms()).await?;
            grant(api, headers, account.user, device, account.not_before_ms).await
        };
        let outcome = outcome.await;
        if outcome.is_err()
            && let Some(spent) = spent
        {
            spent.give_back(api, account.user).await;
        }
        let granted = outcome?;
        api.counters.login();
        Ok(granted)
    }
}

/// The device that the account asks for exists in the core when this is done.
async fn log_in(
    api: &Shared,
    account: &Account,
    device: Option<DeviceId>,
    replace: Option<DeviceId>,
) -> Result<DeviceId, ApiError> {
    // Always, whatever SQL remembers: the core's rows may be of an older backup.
    introduce(api, account.user, account.created_ms).await?;
    if let Some(replace) = replace {
        forget(api, account.user, replace).await?;
    }
    match device {
        Some(device) if api.accounts.has_device(account.user, device).await? => {
            admit(api, account.user, device).await?;
            Ok(device)
        }
        Some(_) => Err(ApiError::not_found("device: the account has no such device; log in without it")),
        None => new_device(api, account.user).await,
    }
}

/// How a device is called in a list.
pub(super) fn check_device_name<'a>(field: &str, name: &'a str) -> Result<&'a str, ApiError> {
    let name = name.trim();
    let chars = name.chars().count();
    if !(1..=DEVICE_NAME_CHARS_MAX).contains(&chars) {
        let words = format_args!("{chars} characters; must be 1 to {DEVICE_NAME_CHARS_MAX}");
        return Err(ApiError::field(field, words));
    }
    if name.chars().any(char::is_control) {
        return Err(ApiError::field(field, "it has a control character; must be one line of text"));
    }
    Ok(name)
}

/// The password was checked before this had its turn; it may have been changed since, or only hashed anew.
pub(super) async fn still_has_password(
    api: &Shared,
    checked: Account,
    password: Zeroizing<String>,
) -> Result<Account, ApiError> {
    let now = api.accounts.user(checked.user).await?.ok_or_else(wrong_credentials)?;
    if now.password_hash != checked.password_hash {
        let stored = Some(now.password_hash.clone());
        if api.hasher.verify(Kind::Known, password, stored).await? == Fit::Wrong {
            return Err(wrong_credentials());
        }
    }
    Ok(now)
}

/// A new device takes its place in SQL, then it exists in the core; only then is there a token for it.
async fn new_device(api: &Shared, user: UserId) -> Result<DeviceId, ApiError> {
    let device = match api.accounts.add_device(user, api.settings.devices_max, now_ms()).await? {
        AddDevice::Added(device) => device,
        AddDevice::Full(devices) => return Err(ApiError::too_many_devices(devices)),
    };
    if let Err(error) = admit(api, user, device).await {
        // If the core has added it all the same, it gives way there: SQL does not know it.
        api.accounts.remove_device(user, device).await?;
        return Err(error);
    }
    Ok(device)
}

/// Makes a device of SQL's exist in the core.
pub(super) async fn admit(api: &Shared, user: UserId, device: DeviceId) -> Result<(), ApiError> {
    let known = api.accounts.all_devices(user).await?;
    match api.homes.add_device(user, device, known.clone()).await {
        Err(HomeError::Full) => Err(ApiError::too_many_devices(known)),
        outcome => outcome.map_err(|error| home_refused(&error)),
    }
}

/// Of one who is logged in and has no password to show: the account is an issuer's, or was made in bulk.
pub(super) fn with_password(account: Account) -> Result<Account, ApiError> {
    if account.has_password() {
        return Ok(account);
    }
    let words = "the account has no password: its owner logs in with a token of an identity provider (POST /v1/login/jwt); \
                 the operator can give it one";
    Err(ApiError::new(StatusCode::CONFLICT, "no_password", words))
}

/// An unknown name, a name that cannot be one and a wrong password are told apart by neither words nor cost.
pub(super) async fn authenticate(
    api: &Shared,
    peer: Peer,
    known: Known,
    name: &str,
    password: Zeroizing<String>,
) -> Result<Account, ApiError> {
    let name = Sought::parse(name).ok();
    let known = known.device_of(api, name.as_ref()).await?;
    let (who, kind) = match known {
        Some((user, device)) => (Who::Known(user, device), Kind::Known),
        None => {
            // Not the spelling: it can be varied without end.
            let bare = name.as_ref().map_or("", Sought::bare).to_owned();
            (Who::Stranger(bare, peer.0), Kind::Login)
        }
    };
    let taken = api.limiter.take_login(&who, api.limiter.now_ms());
    taken.map_err(|wait_ms| limited(api, wait_ms))?;
    let account = match &name {
        Some(name) => api.accounts.user_by_name(name).await?,
        None => None,
    };
    note(|trail| trail.user = trail.user.or_else(|| account.as_ref().map(|account| account.user)));
    if let Some(account) = &account
        && let Err(wait_ms) = api.limiter.check_user(account.user, api.limiter.now_ms())
    {
        api.limiter.give_login_back(&who, api.limiter.now_ms());
        return Err(limited(api, wait_ms));
    }
    let stored = account.as_ref().map(|account| account.password_hash.clone());
    let fit = api.hasher.verify(kind, password.clone(), stored).await;
    let now_ms = api.limiter.now_ms();
    match (fit, account) {
        (Ok(fit @ (Fit::Right | Fit::RightButOld)), Some(account)) => {
            api.limiter.give_login_back(&who, now_ms);
            api.limiter.count_user(account.user, now_ms);
            if fit == Fit::RightButOld {
                return hash_anew(api, account, password).await;
            }
            Ok(account)
        }
        (Ok(_), _) => {
            api.counters.login_failed();
            Err(wrong_credentials())
        }
        (Err(error), _) => {
            api.limiter.give_login_back(&who, now_ms);
            Err(error)
        }
    }
}

/// In place of a hash that is weaker than today's, or of bytes that nobody prepared. If there is no room for it now, the
/// next login does it.
async fn hash_anew(api: &Shared, account: Account, password: Zeroizing<String>) -> Result<Account, ApiError> {
    let Ok(new_hash) = api.hasher.hash(Kind::Known, password).await else { return Ok(account) };
    if !api.accounts.set_password(account.user, &account.password_hash, &new_hash).await? {
        return Ok(account);
    }
    tracing::info!(user = %account.user, "the password was hashed anew");
    Ok(Account { password_hash: new_hash, ..account })
}

fn limited(api: &Shared, wait_ms: u64) -> ApiError {
    api.counters.login_limited();
    ApiError::rate(wait_ms)
}

fn wrong_credentials() -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "wrong_credentials", "the name or the password is wrong")
}

/// Ends a device. The core first, and whatever SQL says: it may know one that SQL has forgotten.
pub(super) async fn forget(api: &Shared, user: UserId, device: DeviceId) -> Result<(), ApiError> {
    api.homes.remove_device(user, device).await.map_err(|error| home_refused(&error))?;
    api.accounts.remove_device(user, device).await?;
    note(|trail| trail.ended = Some(device));
    tracing::info!(%user, %device, "a device was logged out");
    Ok(())
}

/// The core is told of a user, whom it may know already.
pub(super) async fn introduce(api: &Shared, user: UserId, created_ms: u64) -> Result<(), ApiError> {
    let made = api.homes.create_account(user, created_ms).await;
    made.map_err(|error| home_refused(&error))?;
    Ok(api.accounts.set_in_core(user).await?)
}

pub(super) fn home_refused(error: &HomeError) -> ApiError {
    tracing::warn!(%error, "the core could not take a command");
    match error {
        HomeError::StorageFull => ApiError::storage_full(STORAGE_RETRY_MS),
        _ => ApiError::busy(CORE_RETRY_MS, "the server cannot do this now"),
    }
}

/// The host by which the caller reached this server reaches the chat port as well, unless the operator says otherwise.
pub(super) fn chat_url(url: &ChatUrl, headers: &HeaderMap) -> String {
    let (scheme, port) = match url {
        ChatUrl::Fixed(url) => return url.clone(),
        ChatUrl::Port(port) => ("ws", port),
        ChatUrl::SecurePort(port) => ("wss", port),
    };
    format!("{scheme}://{}:{port}/ws", named_host(headers))
}

/// The host that the caller named.
pub(super) fn named_host(headers: &HeaderMap) -> String {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let named = named.and_then(|host| host.parse::<axum::http::uri::Authority>().ok());
    named.as_ref().map_or("localhost", |authority| authority.host()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chat_url_follows_the_host_that_was_named() {
        let at = |host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, axum::http::HeaderValue::from_static(host));
            chat_url(&ChatUrl::Port(8081), &headers)
        };
        assert_eq!(at("chat.example.org:8080"), "ws://chat.example.org:8081/ws");
        assert_eq!(at("192.0.2.7"), "ws://192.0.2.7:8081/ws");
        assert_eq!(at("[2001:db8::1]:80"), "ws://[2001:db8::1]:8081/ws");
        assert_eq!(at("no host/at all"), "ws://localhost:8081/ws");
        assert_eq!(chat_url(&ChatUrl::SecurePort(7), &HeaderMap::new()), "wss://localhost:7/ws");
        let fixed = ChatUrl::Fixed("wss://chat.example.org/ws".into());
        assert_eq!(chat_url(&fixed, &HeaderMap::new()), "wss://chat.example.org/ws");
    }
}
