//! Every endpoint. Bodies are JSON, ids are strings in it, refusals are problem+json ([`crate::ApiError`]).
//!
//! ```text
//! POST /v1/signup                 {"name","password","invite"?}              201 {"user"}
//! POST /v1/login                  {"name","password","code"?,"device"?,...}  200 {"token","expires_ms","refresh",...}
//! POST /v1/login/jwt              {"jwt","code"?,"device"?,...}              200 the same, for one whom an issuer names
//! POST /v1/token                  anybody   {"refresh"}                      200 the same, for the same device
//! POST /v1/password               Bearer    {"old","new","keep_devices"?}    200 the same; other devices are logged out
//! GET  /v1/two-factor             Bearer                                     200 {"on","recovery_codes"}
//! POST /v1/two-factor             Bearer    {"password"}                     200 {"secret","uri"}; not on before it is confirmed
//! POST /v1/two-factor/confirm     Bearer    {"code"}                         200 {"recovery_codes":[..]}
//! POST /v1/two-factor/recovery-codes  Bearer  {"password","code"}            200 {"recovery_codes":[..]}; others than before
//! POST /v1/two-factor/off         Bearer    {"password","code"}              204
//! POST /v1/logout                 Bearer                                     204; the device is forgotten
//! POST /v1/logout/all             Bearer    {"keep_this"?}                   204; or 200 as for /v1/token
//! GET  /v1/devices                Bearer                                     200 {"devices":[{"device","name","seen_ms",...}]}
//! DELETE /v1/devices/{id}         Bearer                                     204; the device is forgotten
//! GET  /v1/push/key               Bearer                                     200 {"key"}: what a browser subscribes with
//! GET  /v1/push/subscriptions     Bearer                                     200 {"subscriptions":[{"device","provider",...}]}
//! POST /v1/push/subscriptions     Bearer    {"provider","endpoint",...}      204; this device is told there
//! DELETE /v1/push/subscriptions/{provider}  Bearer ?device=                  204; it is not any more
//! PUT  /v1/push/off               Bearer                                     204; none of one's devices is told
//! DELETE /v1/push/off             Bearer                                     204; they are told again
//! GET  /v1/users/by-name/{name}   Bearer                                     200 {"user","name","display_name","about"}
//! GET  /v1/users/{id}             Bearer                                     200 {"user","name","display_name","about"}
//! GET  /v1/users/{id}/presence    Bearer                                     200 {"user","state","last_active_ms"?,"status"?,"status_until_ms"?}
//! POST /v1/users/{id}/messages    Bearer    {"text"}, Idempotency-Key        201 {"channel","seq","time_ms","send_id"}
//! GET  /v1/channels               Bearer    ?after&limit                     200 {"channels":[...],"next"?}
//! GET  /v1/channels/{id}          Bearer                                     200 one of them
//! GET  /v1/channels/{id}/members  Bearer    ?after&limit                     200 {"members":[...],"next"?}
//! GET  /v1/channels/{id}/messages Bearer    ?before|after&limit              200 {"messages":[...],"next"?,...}
//! POST /v1/channels/{id}/messages Bearer    {"text"}, Idempotency-Key        201 {"channel","seq","time_ms","send_id"}
//! PATCH /v1/channels/{id}/messages/{seq} Bearer {"text"}, Idempotency-Key    200 {"channel","seq","time_ms","send_id"}
//! DELETE /v1/channels/{id}/messages/{seq} Bearer Idempotency-Key             200 the same
//! PUT, DELETE /v1/channels/{id}/messages/{seq}/reactions/{emoji} Bearer Idempotency-Key  200 the same
//! GET  /v1/channels/{id}/thread   Bearer    ?root&before|after&limit         200 {"messages":[...],"next"?,...}
//! GET  /v1/channels/{id}/about    Bearer    ?from&through&limit&who          200 {"messages":[...],"pins":[...],"next"?,...}
//! GET  /v1/mentions               Bearer    ?before&limit                    200 {"mentions":[...],"unread":[...],"next"?}
//! GET  /v1/channels/{id}/receipts Bearer    ?after&limit                     200 {"receipts":[...],"next"?}
//! POST /v1/channels/{id}/read     Bearer    {"seq"}                          204
//! GET  /v1/channels/{id}/rules    Bearer    ?after&limit                     200 {"interval_s","users":[...],"next"?}
//! PUT, DELETE /v1/channels/{id}/mutes/{user} Bearer {"for_s"?}, Idempotency-Key  200 {"channel","seq","time_ms","send_id"}
//! PUT, DELETE /v1/channels/{id}/bans/{user}  Bearer Idempotency-Key          200 the same
//! PUT, DELETE /v1/channels/{id}/slow Bearer {"interval_s"}, Idempotency-Key  200 the same
//! POST /v1/channels/{id}/messages/{seq}/report Bearer {"reason"}             201 {"report"}
//! GET  /v1/me/presence             Bearer                                     200 {"state","shows","devices","status"?,...}
//! PUT  /v1/me/presence             Bearer    {"shows","status"?,...}          204
//! GET  /v1/me/export               Bearer                                     200 lines, an object each; what is kept of one
//! GET  /v1/search                 Bearer    ?q&channel&sender&order...        200 {"hits":[...],"complete","next"?}
//! POST /v1/poll                   Bearer    ?wait, frames                    200 frames: a device without a connection
//! DELETE /v1/poll                 Bearer                                     204; that session has ended
//! POST /v1/bots                   Bearer    {"name","scopes"?,"token_name"?} 201 {"bot","name","token","id",...}
//! GET  /v1/bots                   Bearer    ?after                           200 {"bots":[...],"next"?}
//! DELETE /v1/bots/{id}            Bearer                                     204; the bot is no more
//! POST /v1/bots/{id}/tokens       Bearer    {"name","scopes"?}               201 {"token","id","token_name","scopes"}
//! GET  /v1/bots/{id}/tokens       Bearer                                     200 {"tokens":[...]}
//! DELETE /v1/bots/{id}/tokens/{token}  Bearer                                204; the token is no more
//! GET  /v1/route                  Bearer                                     200 {"chat","quic"?,"shard","shards"}
//! POST /v1/invites                Bearer    {"expires_s"?}                   201 {"invite","code",...}, for one person
//! GET  /v1/invites                Bearer    ?after                           200 {"invites":[...],"next"?}
//! DELETE /v1/invites/{id}         Bearer                                     204
//! GET  /v1/friends                Bearer    ?after                           200 {"friends":[...],"next"?}
//! PUT  /v1/friends/{id}           Bearer                                     200 {"user","state"}
//! DELETE /v1/friends/{id}         Bearer                                     204
//! GET  /v1/blocks                 Bearer    ?after                           200 {"blocks":[...],"next"?}
//! PUT  /v1/blocks/{id}            Bearer                                     204; repeatable, as DELETE
//! DELETE /v1/blocks/{id}          Bearer                                     204
//! GET  /v1/privacy                Bearer                                     200 {"message","add","see"}
//! PATCH /v1/privacy               Bearer    {"message"?,"add"?,"see"?}        200 as GET
//! PATCH /v1/profile               Bearer    {"display_name"?,"about"?}        200 as a look-up
//! POST /v1/account/delete         Bearer    {"password"} or {"jwt"}          204; the account is no more
//! GET  /healthz /readyz                                                      text
//! GET  /v1/openapi.json                                                      all of this for programs, see [`crate::openapi`]
//! GET  /docs /docs/page.js /docs/page.css                                    and for people
//! GET  / /sw.js /assets/{file}                                               the web app
//! ```
//!
//! On the admin listener, and there alone:
//!
//! ```text
//! POST /v1/admin/invites          Operator  {"count"?,"uses"?,"expires_s"?}  201 {"invites":[{"invite","code",...}]}
//! GET  /v1/admin/invites          Operator  ?after                           200 {"invites":[...],"next"?}
//! DELETE /v1/admin/invites/{id}   Operator                                   204
//! POST, GET, DELETE /v1/admin/bots...   Operator   as /v1/bots...; everybody's
//! POST /v1/admin/password         Operator  {"user"|"name","password"}       204; all devices are forgotten
//! POST /v1/admin/delete           Operator  {"user"|"name"}                  204; the account is no more
//! POST /v1/admin/users            Operator  {"prefix"?,"from"?,"count","devices"?}  201 lines of user, device, token
//! GET  /v1/admin/users            Operator  ?after                           200 {"users":[{"user","name",...}],"next"?}
//! GET  /v1/admin/users/by-name/{name} Operator                               200 as by id
//! GET  /v1/admin/users/{id}       Operator                                   200 {"user","devices","sessions","left",...}
//! GET  /v1/admin/reports          Operator  ?state&after&limit               200 {"reports":[...],"next"?}
//! POST /v1/admin/reports/{id}/close Operator {"outcome","note"?}             200 the report
//! PUT  /v1/admin/users/{id}/quota Operator  {"groups_per_h"?,"directs_per_h"?,"mib_per_h"?} 200 all three
//! GET  /v1/admin/users/{id}/channels Operator ?after                         200 {"channels":[...],"next"?}
//! GET  /v1/admin/channels/{id}    Operator                                   200 {"channel","head","members",...}
//! GET  /v1/admin/trace/{channel}/{seq}  Operator  ?after ?limit              200 {"message","committed","users",...}
//! POST /v1/admin/token            Operator  {"user"|"name","device"?,"ttl_s"?}      201 {"token","user","device","expires_ms"}
//! POST /v1/admin/revoke           Operator  {"user"|"name","device"?}        204; the device, or all of them, is forgotten
//! POST /v1/admin/two-factor-off   Operator  {"user"|"name"}                  204
//! GET  /v1/admin/push/parked      Operator                                   200 {"parked":[{"user","channel",...}]}
//! POST /v1/admin/push/test/{id}   Operator                                   200 {"answers":[{"device","answer",...}]}
//! POST /v1/admin/backups          Owner     {"to"}                           202 {"to","state",...}; goes on by itself
//! GET  /v1/admin/backups          Owner                                      200 {"backup"}
//! GET  /v1/admin/keys             Owner                                      200 {"keys":[{"key","created_ms","signs"}]}
//! POST /v1/admin/keys/rotate      Owner                                      204; a new key signs
//! POST /v1/admin/keys/retire      Owner     {"key"}                          204; its tokens are refused
//! GET  /v1/admin/families         Owner                                      200 {"families":[{"channel","name","from",...}]}
//! POST /v1/admin/families/give    Owner     {"channel"}                      204; its history has a family of its own
//! POST /v1/admin/families/return  Owner     {"channel"}                      204; it goes back to the hashed one
//! GET  /v1/admin/erasures         Owner     ?after&limit                     200 {"erasures":[...],"next"?}
//! POST /v1/admin/erasures         Owner     {"user"}                         202 {"user","begun_ms",...}
//! POST /v1/admin/channels/{id}/purge Owner  {"below"?,"before_ms"?,"keep"?}  200 {"channel","begins","head",...}
//! GET  /v1/admin/channels/{id}/retention Owner                              200 the same
//! PUT  /v1/admin/channels/{id}/retention Owner {"days"?,"messages"?}       200 the same
//! GET  /v1/admin/channels/{id}/export Owner                                 200 lines, an object each; all of the channel
//! GET  /v1/admin/users/{id}/export Owner                                    200 lines; what is kept of the user and what it may read
//! GET  /v1/admin/search           Owner                                      200 {"on","documents","bytes",...}
//! POST /v1/admin/search/rebuild   Owner                                      204; the search index is made anew
//! POST /v1/admin/drain            Owner                                      204; the server ends as by SIGTERM
//! GET  /metrics                   Operator, unless the listener is on loopback and nothing else is set   text
//! GET  /healthz /readyz                                                      text; readyz says what is waited for
//! GET  /v1/openapi.json /docs ...                                            as at the public one, of these routes
//! ```

mod about;
mod admin;
mod bearer;
mod bots;
mod channels;
mod devices;
mod docs;
mod export;
mod invites;
mod jwt;
mod known;
mod listing;
mod login;
mod messages;
mod moderation;
mod operate;
mod password;
mod poll;
mod presence;
mod profile;
mod push;
mod receipts;
mod relations;
mod remarks;
mod route;
mod search;
mod signup;
mod table;
mod talk;
mod token;
mod two_factor;
mod users;
mod visit;
mod web;

pub(crate) use admin::backups::PATH_BYTES_MAX;
pub(crate) use admin::device::TTL_S_MAX;
pub(crate) use admin::keeping::DAYS_MAX;
pub(crate) use admin::quota::{QUOTA_MIB_MAX, QUOTA_TIMES_MAX};
pub(crate) use admin::{DEVICES_PER_REQUEST, PREFIX_CHARS_MAX};
pub(crate) use bots::PAGE as BOTS_PAGE;
pub(crate) use docs::{SCRIPT_MEDIA, STYLE_MEDIA};
pub(crate) use export::LINES_MEDIA;
pub(crate) use invites::PAGE as INVITES_PAGE;
pub use invites::{INVITE_S, INVITE_S_MAX, INVITE_S_MIN, INVITE_USES_MAX, INVITES_PER_REQUEST};
pub(crate) use login::DEVICE_NAME_CHARS_MAX;
pub use messages::said;
pub(crate) use operate::{Counters, METRICS_MEDIA};
pub(crate) use poll::{FRAMES_MEDIA, WAIT_S_MAX, Waiting};
pub(crate) use profile::{ABOUT_CHARS_MAX, DISPLAY_NAME_CHARS_MAX};
pub(crate) use relations::{PAGE as RELATIONS_PAGE, tell_rest};
pub(crate) use search::{SEARCH_PAGE_MAX, WORDS_CHARS_MAX};
pub(crate) use web::{KEPT_FILE, KEPT_PAGE};

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{delete, get, patch, post, put};

use crate::error::ApiError;
use crate::port::Audience;
use crate::server::Shared;
use table::Table;

/// What everybody may ask.
pub(crate) fn public(shared: Shared) -> Router {
    refusing(public_table().router()).with_state(shared)
}

/// What operators may ask, and what watches the server. `metrics_token`: metrics are for operators, too.
pub(crate) fn admin(shared: Shared, metrics_token: bool) -> Router {
    refusing(admin_table(metrics_token).router()).with_state(shared)
}

/// Every path that the listeners route: of the public one, and of the admin listener. For tests that hold them against the
/// documents.
#[must_use]
pub fn paths() -> [Vec<&'static str>; 2] {
    [public_table().paths(), admin_table(true).paths()]
}

fn public_table() -> Table {
    Table::default()
        .route("/v1/signup", post(signup::signup))
        .route("/v1/login", post(login::login))
        .route("/v1/login/jwt", post(jwt::login))
        .route("/v1/token", post(token::renew))
        .route("/v1/password", post(password::change))
        .route("/v1/two-factor", get(two_factor::state).post(two_factor::begin))
        .route("/v1/two-factor/confirm", post(two_factor::confirm))
        .route("/v1/two-factor/recovery-codes", post(two_factor::recovery_codes))
        .route("/v1/two-factor/off", post(two_factor::off))
        .route("/v1/logout", post(devices::logout))
        .route("/v1/logout/all", post(devices::logout_all))
        .route("/v1/devices", get(devices::list))
        .route("/v1/devices/{id}", delete(devices::remove))
        .route("/v1/push/key", get(push::key))
        .route("/v1/push/subscriptions", get(push::list).post(push::subscribe))
        .route("/v1/push/subscriptions/{provider}", delete(push::unsubscribe))
        .route("/v1/push/off", put(push::turn_off).delete(push::turn_on))
        .route("/v1/users/by-name/{name}", get(users::by_name))
        .route("/v1/users/{id}", get(users::by_id))
        .route("/v1/users/{id}/presence", get(presence::of_user))
        .route("/v1/me/presence", get(presence::own).put(presence::set_own))
        .route("/v1/me/export", get(export::own))
        .route("/v1/users/{id}/messages", post(messages::send_to_user))
        .route("/v1/channels", get(channels::list))
        .route("/v1/channels/{id}", get(channels::one))
        .route("/v1/channels/{id}/members", get(channels::members))
        .route("/v1/channels/{id}/messages", get(messages::list).post(messages::send))
        .route("/v1/channels/{id}/messages/{seq}", patch(remarks::edit).delete(remarks::recall))
        .route(
            "/v1/channels/{id}/messages/{seq}/reactions/{emoji}",
            put(remarks::react).delete(remarks::take_back),
        )
        .route("/v1/channels/{id}/thread", get(talk::thread))
        .route("/v1/channels/{id}/about", get(about::list))
        .route("/v1/mentions", get(talk::mentions))
        .route("/v1/channels/{id}/receipts", get(receipts::list))
        .route("/v1/channels/{id}/read", post(receipts::mark))
        .route("/v1/channels/{id}/rules", get(moderation::rules))
        .route("/v1/channels/{id}/mutes/{user}", put(moderation::mute).delete(moderation::unmute))
        .route("/v1/channels/{id}/bans/{user}", put(moderation::ban).delete(moderation::unban))
        .route("/v1/channels/{id}/slow", put(moderation::slow).delete(moderation::fast))
        .route("/v1/channels/{id}/messages/{seq}/report", post(moderation::report))
        .route("/v1/search", get(search::search))
        .route("/v1/poll", post(poll::poll).delete(poll::end))
        .route("/v1/bots", post(bots::make).get(bots::list))
        .route("/v1/bots/{id}", delete(bots::end))
        .route("/v1/bots/{id}/tokens", post(bots::make_token).get(bots::tokens))
        .route("/v1/bots/{id}/tokens/{token}", delete(bots::end_token))
        .route("/v1/route", get(route::route))
        .route("/v1/invites", post(invites::make_own).get(invites::list_own))
        .route("/v1/invites/{id}", delete(invites::revoke_own))
        .route("/v1/friends", get(relations::friends))
        .route("/v1/friends/{id}", put(relations::befriend).delete(relations::part))
        .route("/v1/blocks", get(relations::blocks))
        .route("/v1/blocks/{id}", put(relations::block).delete(relations::unblock))
        .route("/v1/privacy", get(relations::privacy).patch(relations::set_privacy))
        .route("/v1/profile", patch(profile::change))
        .route("/v1/account/delete", post(profile::leave))
        .route("/", get(web::page))
        .route("/sw.js", get(web::worker))
        .route("/assets/{file}", get(web::asset))
        .route("/healthz", get(operate::healthz))
        .route("/readyz", get(operate::readyz))
        .documented(Audience::Public)
}

fn admin_table(metrics_token: bool) -> Table {
    let metrics = if metrics_token { get(operate::metrics_for_operators) } else { get(operate::metrics) };
    Table::default()
        .route("/v1/admin/invites", post(invites::make).get(invites::list))
        .route("/v1/admin/invites/{id}", delete(invites::revoke))
        .route("/v1/admin/bots", post(bots::make_as_operator).get(bots::list_all))
        .route("/v1/admin/bots/{id}", delete(bots::end_any))
        .route("/v1/admin/bots/{id}/tokens", post(bots::make_any_token).get(bots::any_tokens))
        .route("/v1/admin/bots/{id}/tokens/{token}", delete(bots::end_any_token))
        .route("/v1/admin/password", post(admin::device::password))
        .route("/v1/admin/delete", post(admin::device::erase_user))
        .route("/v1/admin/users", post(admin::users).get(admin::look::users))
        .route("/v1/admin/users/by-name/{name}", get(admin::look::user_by_name))
        .route("/v1/admin/users/{id}", get(admin::look::user))
        .route("/v1/admin/users/{id}/quota", put(admin::quota::set))
        .route("/v1/admin/users/{id}/channels", get(admin::look::channels))
        .route("/v1/admin/channels/{id}", get(admin::look::channel))
        .route("/v1/admin/trace/{channel}/{seq}", get(admin::trace::trace))
        .route("/v1/admin/channels/{id}/messages/{seq}/edits", get(admin::look::edits))
        .route("/v1/admin/reports", get(admin::reports::list))
        .route("/v1/admin/reports/{id}/close", post(admin::reports::close))
        .route("/v1/admin/token", post(admin::device::token))
        .route("/v1/admin/revoke", post(admin::device::revoke))
        .route("/v1/admin/two-factor-off", post(admin::device::two_factor_off))
        .route("/v1/admin/push/parked", get(push::parked))
        .route("/v1/admin/push/test/{id}", post(push::test))
        .route("/v1/admin/backups", post(admin::backups::begin).get(admin::backups::last))
        .route("/v1/admin/keys", get(admin::keys::list))
        .route("/v1/admin/keys/rotate", post(admin::keys::rotate))
        .route("/v1/admin/keys/retire", post(admin::keys::retire))
        .route("/v1/admin/families", get(admin::families::list))
        .route("/v1/admin/families/give", post(admin::families::give))
        .route("/v1/admin/families/return", post(admin::families::give_back))
        .route("/v1/admin/erasures", get(admin::erasures::list).post(admin::erasures::begin))
        .route("/v1/admin/channels/{id}/purge", post(admin::keeping::purge))
        .route("/v1/admin/channels/{id}/retention", get(admin::keeping::see).put(admin::keeping::retain))
        .route("/v1/admin/channels/{id}/export", get(export::channel))
        .route("/v1/admin/users/{id}/export", get(export::user))
        .route("/v1/admin/search", get(search::report))
        .route("/v1/admin/search/rebuild", post(search::rebuild))
        .route("/v1/admin/drain", post(operate::drain))
        .route("/healthz", get(operate::healthz_in_words))
        .route("/readyz", get(operate::readyz_in_words))
        .route("/metrics", metrics)
        .documented(Audience::Admin)
}

/// With words for whatever else is asked.
fn refusing(routes: Router<Shared>) -> Router<Shared> {
    routes.fallback(no_such_path).method_not_allowed_fallback(wrong_method)
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
