//! What is laid down for a group, over HTTP: mutes, bans and slow mode, each a message of the group under the key of its request,
//! as a device's would be; what holds now; and reports of messages.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use protocol::body::rules::{
    BanMember, GetRules, MUTED_FOR_EVER_S, MuteMember, Rules, SanctionItem, SetSlow, UnbanMember,
};
use protocol::body::sync::{GetHistory, HistoryPage, SendAck};
use protocol::body::{self, Body};
use protocol::limits::U53_MAX;
use protocol::{ChannelId, Code, Seq};
use serde::Deserialize;
use serde_json::{Value, json};

use super::channels::{From, limit, named, set_next};
use super::remarks::place;
use super::visit::{Visitor, refused};
use crate::accounts::{NewReport, REASON_CHARS_MAX};
use crate::audit;
use crate::bot_token::Scope;
use crate::error::ApiError;
use crate::idempotency;
use crate::json::{Json, bad_path, bad_query, parse_channel, parse_id, parse_number};
use crate::now_ms;
use crate::server::Shared;

type Named = Result<Path<String>, PathRejection>;
type NamedUser = Result<Path<(String, String)>, PathRejection>;
type Answer = Result<axum::Json<Value>, ApiError>;

/// For how long; absent: until it is lifted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Muted {
    for_s: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slow {
    interval_s: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reported {
    reason: String,
}

/// A member may read and not send.
pub(crate) async fn mute(
    State(api): State<Shared>,
    visitor: Visitor,
    path: NamedUser,
    headers: HeaderMap,
    Json(muted): Json<Muted>,
) -> Answer {
    let (channel, member) = user_of(path)?;
    let for_s = muted.for_s.unwrap_or(MUTED_FOR_EVER_S);
    if for_s == 0 {
        return Err(ApiError::field(
            "for_s",
            "0; expected 1 or more, or to be left out; DELETE lifts a mute",
        ));
    }
    lay(&api, &visitor, channel, &headers, &MuteMember { channel: channel.0, member, for_s }).await
}

/// It may send again.
pub(crate) async fn unmute(
    State(api): State<Shared>,
    visitor: Visitor,
    path: NamedUser,
    headers: HeaderMap,
) -> Answer {
    let (channel, member) = user_of(path)?;
    lay(&api, &visitor, channel, &headers, &MuteMember { channel: channel.0, member, for_s: 0 }).await
}

/// A user is no member any more, and cannot become one.
pub(crate) async fn ban(
    State(api): State<Shared>,
    visitor: Visitor,
    path: NamedUser,
    headers: HeaderMap,
) -> Answer {
    let (channel, member) = user_of(path)?;
    lay(&api, &visitor, channel, &headers, &BanMember { channel: channel.0, member }).await
}

/// It can again.
pub(crate) async fn unban(
    State(api): State<Shared>,
    visitor: Visitor,
    path: NamedUser,
    headers: HeaderMap,
) -> Answer {
    let (channel, member) = user_of(path)?;
    lay(&api, &visitor, channel, &headers, &UnbanMember { channel: channel.0, member }).await
}

/// A plain member sends a text only so many seconds after its last.
pub(crate) async fn slow(
    State(api): State<Shared>,
    visitor: Visitor,
    path: Named,
    headers: HeaderMap,
    Json(slow): Json<Slow>,
) -> Answer {
    let channel = named(path)?;
    let Slow { interval_s } = slow;
    lay(&api, &visitor, channel, &headers, &SetSlow { channel: channel.0, interval_s }).await
}

/// As often as it likes again.
pub(crate) async fn fast(
    State(api): State<Shared>,
    visitor: Visitor,
    path: Named,
    headers: HeaderMap,
) -> Answer {
    let channel = named(path)?;
    lay(&api, &visitor, channel, &headers, &SetSlow { channel: channel.0, interval_s: 0 }).await
}

/// What holds in a group: an owner or admin is told of everybody, a member of itself.
pub(crate) async fn rules(
    State(api): State<Shared>,
    visitor: Visitor,
    path: Named,
    from: Result<Query<From>, QueryRejection>,
) -> Answer {
    visitor.may(Scope::Read)?;
    let channel = named(path)?.0;
    let Query(from) = from.map_err(|error| bad_query("after", &error))?;
    let after = from.after.map_or(Ok(0), |after| parse_number("after", &after))?;
    let limit = limit(from.limit)?;
    let (page, _): (Rules, _) = visitor.page(&api, &GetRules { channel, after, limit }).await?;
    let users: Vec<Value> = page.items.iter().map(sanction).collect();
    let mut answer = json!({ "interval_s": page.interval_s, "users": users });
    let last = page.items.last().map(|item| item.user.to_string());
    set_next(&mut answer, last.filter(|_| page.more));
    Ok(axum::Json(answer))
}

fn sanction(item: &SanctionItem) -> Value {
    json!({ "user": item.user.to_string(), "muted_until_ms": item.muted_until_ms, "banned": item.is_banned })
}

fn user_of(path: NamedUser) -> Result<(ChannelId, u64), ApiError> {
    let Path((id, user)) = path.map_err(|error| bad_path(&["id", "user"], &error))?;
    let (channel, user) = (parse_channel("id", &id)?, parse_id("user", &user)?);
    audit::note(|trail| trail.subject = Some(protocol::UserId(user)));
    Ok((channel, user))
}

/// Sends what is laid down.
async fn lay<B: Body>(
    api: &Shared,
    visitor: &Visitor,
    channel: ChannelId,
    headers: &HeaderMap,
    body: &B,
) -> Answer {
    let claims = visitor.may(Scope::Send)?;
    audit::note(|trail| (trail.user, trail.device) = (Some(claims.user), Some(claims.device)));
    let send_id = idempotency::send_id(headers, claims.user)?;
    let frames = match visitor.ask(api, send_id.0, body).await? {
        Ok(frames) => frames,
        // A member is told that it is its role; a stranger nothing of the group.
        Err(refusal) if refusal.code == Some(Code::Forbidden) && is_member(api, visitor, channel).await? => {
            let words =
                "only an owner or admin of the group may do this, and only an owner to an owner or admin";
            return Err(ApiError::new(StatusCode::FORBIDDEN, "not_allowed", words));
        }
        Err(refusal) => return Err(refused(refusal)),
    };
    let ack = frames.first().and_then(body::read::<SendAck>);
    let ack = ack.ok_or_else(|| ApiError::internal("the core acked a send otherwise"))?;
    Ok(axum::Json(json!({
        "channel": channel.to_string(), "seq": ack.seq, "time_ms": ack.time_ms, "send_id": send_id.to_string(),
    })))
}

async fn is_member(api: &Shared, visitor: &Visitor, channel: ChannelId) -> Result<bool, ApiError> {
    Ok(visitor.channel(api, channel).await?.is_some_and(|item| item.member))
}

/// A message that one may read is reported to the operators. Once more is the same report.
pub(crate) async fn report(
    State(api): State<Shared>,
    visitor: Visitor,
    path: Result<Path<(String, String)>, PathRejection>,
    Json(reported): Json<Reported>,
) -> Result<(StatusCode, axum::Json<Value>), ApiError> {
    let Path((id, seq)) = path.map_err(|error| bad_path(&["id", "seq"], &error))?;
    let (channel, seq) = place(&id, &seq)?;
    let claims = visitor.may(Scope::Send)?;
    let me = claims.user;
    audit::note(|trail| (trail.user, trail.device) = (Some(me), Some(claims.device)));
    let chars = reported.reason.chars().count();
    if !(1..=REASON_CHARS_MAX).contains(&chars) {
        let words = format!("{chars} characters; must be 1 to {REASON_CHARS_MAX}");
        return Err(ApiError::field("reason", words));
    }
    let sender = sender_of(&api, &visitor, channel, seq).await?;
    if sender == me {
        return Err(ApiError::field("seq", "a message of one's own"));
    }
    let taken = api.limiter.take_report(me, api.limiter.now_ms());
    taken.map_err(|wait_ms| ApiError::too_many(wait_ms, "too many reports of one user; wait"))?;
    let reason = reported.reason;
    let report = NewReport { reporter: Some(me), channel, seq: Seq(seq), sender, reason };
    let number = api.accounts.report(&report, now_ms()).await?;
    audit::note(|trail| trail.subject = Some(sender));
    Ok((StatusCode::CREATED, axum::Json(json!({ "report": number.to_string() }))))
}

/// Who sent a message that the visitor may read.
async fn sender_of(
    api: &Shared,
    visitor: &Visitor,
    channel: ChannelId,
    seq: u64,
) -> Result<protocol::UserId, ApiError> {
    let nothing = || ApiError::not_found("there is no such message for you");
    if seq == 0 || seq >= U53_MAX {
        return Err(nothing());
    }
    let get = GetHistory { channel: channel.0, after: seq - 1, before: seq + 1, limit: 1, newest: false };
    let (_, frames): (HistoryPage, _) = visitor.page(api, &get).await?;
    let stamp = frames.first().and_then(protocol::Frame::read_stamp).filter(|stamp| stamp.seq == Seq(seq));
    stamp.map(|stamp| stamp.sender).ok_or_else(nothing)
}
