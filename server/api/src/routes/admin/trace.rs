//! What became of one message: stored, in whose inboxes, at which devices, and what was pushed. Never what was said, and of an
//! endpoint no more than its host.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use protocol::commit::{DeviceRow, JobRow, Provider};
use protocol::query::{TRACE_USERS_MAX, Traceable, Traced, TracedMessage, TracedUser};
use protocol::{ChannelId, DeviceId, InboxSeq, Kind, Seq, UserId};
use serde_json::{Value, json};

use super::Operator;
use super::look::kind;
use crate::error::ApiError;
use crate::homes::{LiveUser, PushLine, Trace};
use crate::json::{bad_path, bad_query, parse_channel, parse_id, parse_number};
use crate::routes::channels::{From, set_next};
use crate::routes::login::home_refused;
use crate::server::Shared;

/// A page of the users who were to have it.
pub(crate) async fn trace(
    State(api): State<Shared>,
    _operator: Operator,
    path: Result<Path<(String, String)>, PathRejection>,
    from: Result<Query<From>, QueryRejection>,
) -> Result<axum::Json<Value>, ApiError> {
    let Path((channel, seq)) = path.map_err(|error| bad_path(&["channel", "seq"], &error))?;
    let channel = parse_channel("channel", &channel)?;
    let seq = Seq(parse_number("seq", &seq)?);
    if seq == Seq(0) {
        return Err(ApiError::field("seq", "0; the first message of a channel is 1"));
    }
    let Query(from) = from.map_err(|error| bad_query("after", &error))?;
    let after = from.after.map_or(Ok(0), |after| parse_id("after", &after))?;
    let limit = limit(from.limit.as_deref())?;
    let asked = api.homes.trace(channel, seq, UserId(after), limit).await;
    let found = asked.map_err(|error| home_refused(&error))?;
    let message = found.stored.message.as_ref().ok_or_else(|| missing(&found.stored, seq))?;
    Ok(axum::Json(shown(channel, seq, message, &found)))
}

fn limit(asked: Option<&str>) -> Result<u32, ApiError> {
    let asked = asked.map_or_else(|| Ok(TRACE_USERS_MAX.into()), |asked| parse_number("limit", asked))?;
    let within = u32::try_from(asked).ok().filter(|limit| (1..=TRACE_USERS_MAX).contains(limit));
    within.ok_or_else(|| ApiError::field("limit", format_args!("{asked}; must be 1 to {TRACE_USERS_MAX}")))
}

fn missing(stored: &Traced, seq: Seq) -> ApiError {
    match stored.head {
        Seq(0) => ApiError::not_found("nothing was ever said in such a channel"),
        head => ApiError::not_found(format!("the channel's newest message is {head}; there is no {seq}")),
    }
}

fn shown(channel: ChannelId, seq: Seq, message: &TracedMessage, found: &Trace) -> Value {
    let Trace { stored, home: (bay, shard), live, pushes, pushes_since_ms } = found;
    let (batch, state) = match stored.batch {
        Traceable::Known(number) => (Some(number), "in_log"),
        Traceable::Trimmed => (None, "trimmed"),
        Traceable::Unfound => (None, "not_found"),
    };
    let users = stored.users.iter().zip(live);
    let users = users.map(|(user, live)| of_user(user, live, seq, stored.batch, pushes));
    let mut answer = json!({
        "channel": channel.to_string(),
        "seq": seq.0,
        "kind": kind(channel),
        "head": stored.head.0,
        "message": {
            "kind": name_of(message.kind), "bytes": message.bytes, "sender": message.sender.to_string(),
            "send_id": message.send_id.0.to_string(), "accepted_ms": message.time_ms,
        },
        "committed": { "bay": bay, "shard": shard, "batch": batch, "state": state },
        "recipients": stored.recipients,
        "users": users.collect::<Vec<_>>(),
        "pushes_since_ms": pushes_since_ms,
    });
    set_next(&mut answer, stored.users.last().filter(|_| stored.more).map(|last| last.user.to_string()));
    answer
}

fn name_of(kind: Kind) -> String {
    let found = Kind::ALL.iter().find(|(known, _)| *known == kind);
    found.map_or_else(|| format!("{:#06x}", kind.0), |(_, name)| (*name).to_owned())
}

fn of_user(
    user: &TracedUser,
    live: &LiveUser,
    seq: Seq,
    batch: Traceable<u64>,
    pushes: &[PushLine],
) -> Value {
    let state = match (user.at, batch) {
        (Some(_), _) => "in_inbox",
        (None, Traceable::Known(number)) if user.applied < number => "on_its_way",
        (None, _) => "not_found",
    };
    let devices = user.devices.iter().map(|(device, row)| of_device(user, live, *device, row));
    let subscription = |((device, provider), endpoint): &((DeviceId, Provider), String)| json!({ "device": device.to_string(), "provider": provider.word(), "host": provider.host(endpoint) });
    let pushes = pushes.iter().filter(|line| line.user == user.user);
    json!({
        "user": user.user.to_string(),
        "state": state,
        "inbox_at": user.at.map(|at| at.0),
        "inbox_head": user.inbox_head.0,
        "read": user.position.read.0,
        "delivered": user.position.delivered.0,
        "has_read": user.position.read >= seq,
        "devices": devices.collect::<Vec<_>>(),
        "subscriptions": user.subscriptions.iter().map(subscription).collect::<Vec<_>>(),
        "job": user.job.as_ref().filter(|job| job.seq >= seq).map(job),
        "pushes": pushes.map(push).collect::<Vec<_>>(),
    })
}

/// A cursor is written down every ten seconds at most, so a device may hold more than it says here.
fn of_device(user: &TracedUser, live: &LiveUser, device: DeviceId, row: &DeviceRow) -> Value {
    let cursor = (row.cursor.generation == user.generation).then_some(row.cursor.at);
    let session = live.sessions.iter().find(|session| session.device == device);
    let sent = session.map(|session| {
        let head = live.inbox_head.unwrap_or(user.inbox_head.0);
        InboxSeq(head.saturating_sub(session.behind))
    });
    let state = match (user.at, sent) {
        (None, _) => "unknown",
        (Some(at), _) if cursor.is_some_and(|cursor| cursor >= at) => "holds",
        (Some(at), Some(sent)) if sent >= at => "sent",
        (Some(_), Some(_)) => "behind",
        (Some(_), None) => "away",
    };
    json!({
        "device": device.to_string(),
        "state": state,
        "cursor": cursor.map(|cursor| cursor.0),
        "cursor_ms": row.seen_ms,
        "transport": session.map(|session| session.transport.word()),
        "sent_through": sent.map(|sent| sent.0),
    })
}

fn job(job: &JobRow) -> Value {
    json!({
        "seq": job.seq.0, "count": job.count, "mentioned": job.is_mentioned, "parked": job.is_parked,
        "attempts": job.attempts, "retry_at_ms": job.retry_at_ms,
    })
}

fn push(line: &PushLine) -> Value {
    let target = line.target.as_ref();
    json!({
        "at_ms": line.at_ms,
        "seq": line.seq.0,
        "count": line.count,
        "what": line.what.word(),
        "device": target.map(|((device, _), _)| device.to_string()),
        "provider": target.map(|((_, provider), _)| provider.word()),
        "host": target.map(|(_, host)| host),
        "words": line.words,
        "until_ms": line.until_ms,
    })
}

#[cfg(test)]
mod tests {
    use protocol::commit::PositionRow;
    use protocol::{Cursor, Generation};

    use super::*;
    use crate::homes::{LiveSession, Transport};

    fn user() -> TracedUser {
        TracedUser {
            user: UserId(5),
            at: Some(InboxSeq(7)),
            inbox_head: InboxSeq(9),
            generation: Generation(2),
            applied: 4,
            position: PositionRow::default(),
            devices: Vec::new(),
            subscriptions: Vec::new(),
            job: None,
        }
    }

    #[test]
    fn a_device_is_what_its_cursor_and_its_session_say() {
        let row = |generation, at| DeviceRow {
            cursor: Cursor { generation: Generation(generation), at: InboxSeq(at) },
            seen_ms: 1,
        };
        let session = |behind| LiveSession {
            device: DeviceId(3),
            transport: Transport::Poll,
            silent_ms: 0,
            waiting_bytes: 0,
            behind,
            expires_ms: 0,
        };
        let state = |user: &TracedUser, sessions: Vec<LiveSession>, row: DeviceRow| {
            let live = LiveUser { inbox_head: Some(9), sessions, ..LiveUser::default() };
            of_device(user, &live, DeviceId(3), &row)["state"].as_str().unwrap().to_owned()
        };
        let user = user();
        assert_eq!(state(&user, Vec::new(), row(2, 7)), "holds");
        assert_eq!(state(&user, Vec::new(), row(2, 6)), "away");
        assert_eq!(state(&user, Vec::new(), row(1, 7)), "away", "a cursor of a life that was lost");
        assert_eq!(state(&user, vec![session(2)], row(2, 6)), "sent");
        assert_eq!(state(&user, vec![session(3)], row(2, 6)), "behind");
        let unfound = TracedUser { at: None, ..user };
        assert_eq!(state(&unfound, Vec::new(), row(2, 9)), "unknown");
    }

    #[test]
    fn where_no_pointer_is_found_the_log_says_whether_it_is_on_its_way() {
        let state = |at, batch| {
            let user = TracedUser { at, ..user() };
            of_user(&user, &LiveUser::default(), Seq(1), batch, &[])["state"].as_str().unwrap().to_owned()
        };
        assert_eq!(state(Some(InboxSeq(7)), Traceable::Trimmed), "in_inbox");
        assert_eq!(state(None, Traceable::Known(5)), "on_its_way");
        assert_eq!(state(None, Traceable::Known(4)), "not_found");
        assert_eq!(state(None, Traceable::Trimmed), "not_found");
    }

    #[test]
    fn of_an_endpoint_no_more_than_the_host_is_shown() {
        let subscriptions = vec![
            ((DeviceId(3), Provider::WebPush), "https://push.example/send/secret".to_owned()),
            ((DeviceId(4), Provider::Fcm), "a secret/of/ours/x".to_owned()),
        ];
        let user = TracedUser { subscriptions, ..user() };
        let shown = of_user(&user, &LiveUser::default(), Seq(1), Traceable::Trimmed, &[]);
        assert_eq!(shown["subscriptions"][0]["host"], "https://push.example");
        assert_eq!(shown["subscriptions"][1]["host"], "fcm");
        assert!(!shown.to_string().contains("secret"));
    }
}
