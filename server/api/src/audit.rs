//! Who did what, from where, and how it ended: an event of the log for every request that concerns accounts, devices, keys or
//! operators. Numbers and words of our own only: no name that somebody typed (people type passwords there), no secret, no body.
//!
//! Which requests matter is one table, [`action_of`], so that a route's outcome is told whatever its handler does. Handlers add
//! what they come to know, by [`note`].

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use protocol::{ChannelId, DeviceId, UserId};

use crate::error::RefusalCode;
use crate::server::{Peer, Shared};

/// The target of these events.
pub const AUDIT: &str = "audit";

/// Refusals told at once, and in a second: whoever asks without end must not fill the log.
const REFUSALS_BURST: f64 = 200.0;
const REFUSALS_PER_S: f64 = 20.0;

tokio::task_local! {
    static TRAIL: Arc<Mutex<Trail>>;
}

/// What a request turned out to be about.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    /// Who asks, or whose name was given at a login, whether the password was right or not.
    pub(crate) user: Option<UserId>,
    pub(crate) device: Option<DeviceId>,
    /// The operator's token: number, name, scope.
    pub(crate) operator: Option<(u32, String, &'static str)>,
    /// What was shown beside the password.
    pub(crate) factor: Option<&'static str>,
    /// Whom it was done to, where that is another: a user, a bot.
    pub(crate) subject: Option<UserId>,
    /// A device that was ended.
    pub(crate) ended: Option<DeviceId>,
    /// All devices were, but for one that asked to stay.
    pub(crate) ended_all: bool,
    /// How many were made.
    pub(crate) count: Option<u32>,
    /// Of which channel something was purged, or whose retention was set.
    pub(crate) channel: Option<ChannelId>,
}

/// Adds to what is told of the request that this task answers, if it is told.
pub(crate) fn note(add: impl FnOnce(&mut Trail)) {
    let _ = TRAIL.try_with(|trail| add(&mut locked(trail)));
}

fn locked(trail: &Mutex<Trail>) -> MutexGuard<'_, Trail> {
    trail.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which outcomes are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tell {
    All,
    /// What goes well happens all the time.
    Refusals,
}

/// What a request does, if that is told.
fn action_of(method: &Method, path: &str) -> Option<(&'static str, Tell)> {
    let action = match (method.as_str(), path) {
        ("POST", "/v1/token") => return Some(("renew", Tell::Refusals)),
        ("GET", "/metrics") => return Some(("metrics", Tell::Refusals)),
        ("POST", "/v1/signup") => "signup",
        ("POST", "/v1/login") => "login",
        ("POST", "/v1/login/jwt") => "login_jwt",
        ("POST", "/v1/password") => "password",
        ("POST", "/v1/two-factor") => "two_factor_begin",
        ("POST", "/v1/two-factor/confirm") => "two_factor_on",
        ("POST", "/v1/two-factor/recovery-codes") => "two_factor_recovery_codes",
        ("POST", "/v1/two-factor/off") => "two_factor_off",
        ("POST", "/v1/logout") => "logout",
        ("POST", "/v1/logout/all") => "logout_all",
        ("DELETE", "/v1/devices/{id}") => "device_end",
        ("POST", "/v1/push/subscriptions") => "push_subscribe",
        ("DELETE", "/v1/push/subscriptions/{provider}") => "push_unsubscribe",
        ("PUT", "/v1/push/off") => "push_off",
        ("DELETE", "/v1/push/off") => "push_on",
        ("POST", "/v1/account/delete") => "account_erase",
        ("GET", "/v1/me/export") => "export",
        ("POST", "/v1/bots") => "bot_make",
        ("DELETE", "/v1/bots/{id}") => "bot_end",
        ("POST", "/v1/bots/{id}/tokens") => "bot_token_make",
        ("DELETE", "/v1/bots/{id}/tokens/{token}") => "bot_token_end",
        ("PUT", "/v1/channels/{id}/mutes/{user}") => "group_mute",
        ("DELETE", "/v1/channels/{id}/mutes/{user}") => "group_unmute",
        ("PUT", "/v1/channels/{id}/bans/{user}") => "group_ban",
        ("DELETE", "/v1/channels/{id}/bans/{user}") => "group_unban",
        ("PUT", "/v1/channels/{id}/slow") => "group_slow",
        ("DELETE", "/v1/channels/{id}/slow") => "group_slow_end",
        ("POST", "/v1/channels/{id}/messages/{seq}/report") => "report_make",
        ("GET", "/v1/admin/reports") => "admin_report_list",
        ("POST", "/v1/admin/reports/{id}/close") => "admin_report_close",
        ("POST", "/v1/invites") => "invite_make",
        ("DELETE", "/v1/invites/{id}") => "invite_end",
        ("POST", "/v1/admin/invites") => "admin_invite_make",
        ("GET", "/v1/admin/invites") => "admin_invite_list",
        ("DELETE", "/v1/admin/invites/{id}") => "admin_invite_end",
        ("POST", "/v1/admin/bots") => "admin_bot_make",
        ("GET", "/v1/admin/bots") => "admin_bot_list",
        ("DELETE", "/v1/admin/bots/{id}") => "admin_bot_end",
        ("POST", "/v1/admin/bots/{id}/tokens") => "admin_bot_token_make",
        ("GET", "/v1/admin/bots/{id}/tokens") => "admin_bot_token_list",
        ("DELETE", "/v1/admin/bots/{id}/tokens/{token}") => "admin_bot_token_end",
        ("POST", "/v1/admin/password") => "admin_password",
        ("POST", "/v1/admin/delete") => "admin_erase",
        ("POST", "/v1/admin/erasures") => "admin_erasure_begin",
        ("POST", "/v1/admin/users") => "admin_users_make",
        ("PUT", "/v1/admin/users/{id}/quota") => "admin_user_quota",
        ("POST", "/v1/admin/token") => "admin_token_make",
        ("POST", "/v1/admin/revoke") => "admin_revoke",
        ("POST", "/v1/admin/two-factor-off") => "admin_two_factor_off",
        ("GET", "/v1/admin/keys") => "admin_key_list",
        ("POST", "/v1/admin/keys/rotate") => "admin_key_rotate",
        ("POST", "/v1/admin/keys/retire") => "admin_key_retire",
        ("POST", "/v1/admin/search/rebuild") => "admin_search_rebuild",
        ("GET", "/v1/admin/channels/{id}/messages/{seq}/edits") => "admin_edits_read",
        ("GET", "/v1/admin/channels/{id}/export") => "admin_channel_export",
        ("GET", "/v1/admin/users/{id}/export") => "admin_user_export",
        ("POST", "/v1/admin/channels/{id}/purge") => "admin_channel_purge",
        ("PUT", "/v1/admin/channels/{id}/retention") => "admin_channel_retention",
        // A route that is younger than this table is told all the same.
        (_, path) if path.starts_with("/v1/admin/") => "admin",
        _ => return None,
    };
    Some((action, Tell::All))
}

/// Told when it is dropped: also of a request whose asker has gone, which may have been carried out in part.
struct Event {
    api: Shared,
    action: &'static str,
    tell: Tell,
    from: IpAddr,
    trail: Arc<Mutex<Trail>>,
    /// `ok`, the code of the refusal, or `cut`.
    outcome: &'static str,
}

impl Drop for Event {
    fn drop(&mut self) {
        let is_refusal = self.outcome != "ok";
        if (self.tell == Tell::Refusals && !is_refusal) || (is_refusal && !self.api.audit_tap.take()) {
            return;
        }
        let Self { action, from, outcome, .. } = self;
        let trail = locked(&self.trail);
        let (number, name, scope) = match &trail.operator {
            Some((number, name, scope)) => (Some(*number), Some(name.as_str()), Some(*scope)),
            None => (None, None, None),
        };
        tracing::info!(
            target: AUDIT, action, outcome, %from, user = trail.user.map(|user| user.0),
            device = trail.device.map(|device| device.0), factor = trail.factor, token = number,
            token_name = name, scope, subject = trail.subject.map(|user| user.0),
            ended = trail.ended.map(|device| device.0), ended_all = trail.ended_all.then_some(true),
            count = trail.count, channel = trail.channel.map(tracing::field::display), "audit"
        );
    }
}

/// Tells of every request that matters.
pub(crate) async fn audited(State(api): State<Shared>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let action = path.and_then(|path| action_of(request.method(), path.as_str()));
    let peer = request.extensions().get::<Peer>().copied();
    let (Some((action, tell)), Some(Peer(from))) = (action, peer) else { return next.run(request).await };
    let trail = Arc::<Mutex<Trail>>::default();
    let mut event = Event { api, action, tell, from, trail: trail.clone(), outcome: "cut" };
    let response = TRAIL.scope(trail, next.run(request)).await;
    event.outcome = outcome(&response);
    response
}

fn outcome(response: &Response) -> &'static str {
    match response.extensions().get() {
        Some(RefusalCode(code)) => code,
        None if response.status() == StatusCode::INTERNAL_SERVER_ERROR => "internal",
        None => "ok",
    }
}

/// How many refusals may still be told.
#[derive(Debug)]
pub(crate) struct Tap {
    room: Mutex<(f64, Instant)>,
    omitted: AtomicU64,
}

impl Default for Tap {
    fn default() -> Self {
        Self { room: Mutex::new((REFUSALS_BURST, Instant::now())), omitted: AtomicU64::new(0) }
    }
}

impl Tap {
    fn take(&self) -> bool {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> bool {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let since_s = now.saturating_duration_since(room.1).as_secs_f64();
        let left = (room.0 + since_s * REFUSALS_PER_S).min(REFUSALS_BURST);
        let is_told = left >= 1.0;
        *room = (if is_told { left - 1.0 } else { left }, now);
        if !is_told {
            self.omitted.fetch_add(1, Ordering::Relaxed);
        }
        is_told
    }

    /// Refusals that were not told.
    pub(crate) fn omitted(&self) -> u64 {
        self.omitted.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Every route that changes something has a word of its own, or is named here as one that is no matter of an audit.
    #[test]
    fn every_route_that_changes_something_is_told_or_left_out_on_purpose() {
        const LEFT_OUT: &[&str] = &[
            "/v1/users/{id}/messages",
            "/v1/channels/{id}/messages",
            "/v1/channels/{id}/messages/{seq}",
            "/v1/channels/{id}/messages/{seq}/reactions/{emoji}",
            "/v1/channels/{id}/read",
            "/v1/poll",
            "/v1/friends/{id}",
            "/v1/blocks/{id}",
            "/v1/me/presence",
            "/v1/privacy",
            "/v1/profile",
        ];
        let [public, admin] = crate::paths();
        let writes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        let reads = |path: &str| {
            ["/docs", "/assets", "/sw.js", "/healthz", "/readyz", "/v1/openapi"]
                .iter()
                .any(|begin| path.starts_with(begin))
        };
        // Routes that only read, which the table does not tell from others.
        let lists =
            ["/", "/v1/devices", "/v1/users/by-name/{name}", "/v1/users/{id}", "/v1/channels", "/v1/route"];
        for path in public.iter().chain(&admin).filter(|path| !reads(path) && !LEFT_OUT.contains(path)) {
            let is_list = lists.contains(path)
                || [
                    "/v1/channels/{id}",
                    "/v1/channels/{id}/members",
                    "/v1/channels/{id}/rules",
                    "/v1/channels/{id}/thread",
                    "/v1/channels/{id}/about",
                    "/v1/mentions",
                    "/v1/channels/{id}/receipts",
                    "/v1/users/{id}/presence",
                    "/v1/search",
                    "/v1/push/key",
                    "/v1/friends",
                    "/v1/blocks",
                    "/metrics",
                ]
                .contains(path);
            // What is read there leaves the server as a whole.
            let methods =
                writes.iter().chain([&Method::GET].into_iter().filter(|_| path.ends_with("/export")));
            let action =
                methods.into_iter().find_map(|method| action_of(method, path)).map(|(action, _)| action);
            assert_eq!(action.is_some(), !is_list, "{path}");
        }
        for path in &admin {
            let gets = action_of(&Method::GET, path);
            assert!(!path.starts_with("/v1/admin/") || gets.is_some(), "{path}");
        }
    }

    #[test]
    fn refusals_have_a_bound_and_what_is_left_out_is_counted() {
        let tap = Tap::default();
        let now = Instant::now();
        let told = (0..1000).filter(|_| tap.take_at(now)).count();
        assert_eq!((told, tap.omitted()), (200, 800));
        let later = now + Duration::from_secs(1);
        let told = (0..1000).filter(|_| tap.take_at(later)).count();
        assert!((20..=21).contains(&told), "{told}");
    }
}
