//! States, events and results as JSON.

use protocol::body::session::{Reject, Welcome};
use protocol::body::sync::{ChannelItem, MemberItem};
use serde_json::{Value, json};

use super::super::*;
use crate::session::{History, Message};

pub(super) fn state(state: State) -> &'static str {
    match state {
        State::Down => "down",
        State::Greeting => "greeting",
        State::CatchingUp => "catchingUp",
        State::Live => "live",
    }
}

/// What a command gave: an id, or what was wrong.
pub(super) fn id(result: Result<u64, Refusal>) -> Value {
    match result {
        Ok(id) => json!(id.to_string()),
        Err(refusal) => {
            json!({"code": refusal.code.word(), "path": refusal.path, "retryAfterMs": refusal.retry_after_ms})
        }
    }
}

pub(super) fn event(event: &Event) -> Value {
    match event {
        Event::Connected(one) => json!({"type": "connected", "welcome": welcome(one)}),
        Event::Resync { generation, at } => json!({"type": "resync", "generation": generation.0, "at": at.0}),
        Event::Live => json!({"type": "live"}),
        Event::Message(one) => json!({"type": "message", "message": message(one)}),
        Event::Ack { send_id, channel, seq, time_ms } => json!({
            "type": "ack", "sendId": text(send_id.0), "channel": channel.0.to_string(), "seq": seq.0, "timeMs": time_ms,
        }),
        Event::Complete { from, to } => json!({"type": "complete", "from": from.0, "to": to.0}),
        Event::History(page) => json!({"type": "history", "history": history(page)}),
        Event::Channels { request, items, more } => json!({
            "type": "channels", "request": text(request.0), "more": more,
            "items": items.iter().map(channel).collect::<Value>(),
        }),
        Event::Members { request, channel, total, items, more } => {
            let mut told = json!({
                "type": "members", "request": text(request.0), "channel": channel.0.to_string(), "more": more,
                "items": items.iter().map(member).collect::<Value>(),
            });
            if let Some(total) = total {
                told["total"] = json!(total);
            }
            told
        }
        Event::Heads(items) => {
            let items = items.iter().map(|one| json!({"channel": one.channel.to_string(), "head": one.head}));
            json!({"type": "heads", "items": items.collect::<Value>()})
        }
        Event::Done(request) => json!({"type": "done", "request": text(request.0)}),
        Event::Rejected { about: of, reject: one } => {
            json!({"type": "rejected", "about": about(*of), "reject": reject(one)})
        }
        Event::HelloRejected(one) => json!({"type": "helloRejected", "reject": reject(one)}),
        Event::LoggedOut(one) => json!({"type": "loggedOut", "reject": reject(one)}),
        Event::TokenDue => json!({"type": "tokenDue"}),
        Event::Reauthed => json!({"type": "reauthed"}),
        Event::GoingAway { reconnect_after_ms, reason } => {
            json!({"type": "goingAway", "reconnectAfterMs": reconnect_after_ms, "reason": reason})
        }
        Event::Dead => json!({"type": "dead"}),
        Event::Disconnected { retry_at_ms } => json!({"type": "disconnected", "retryAtMs": retry_at_ms}),
        Event::Reconnect => json!({"type": "reconnect"}),
        Event::Thread(_) | Event::Mentions { .. } | Event::Said { .. } => {
            panic!("no trace asks for them: other languages have no word for it yet")
        }
        Event::Receipts { .. }
        | Event::Typing { .. }
        | Event::List { .. }
        | Event::Notes { .. }
        | Event::Rules { .. }
        | Event::Presence { .. }
        | Event::OwnPresence { .. }
        | Event::Push { .. } => {
            panic!("in no trace yet")
        }
        Event::Untrusted { .. } => panic!("never of a session"),
    }
}

fn text(id: u64) -> String {
    id.to_string()
}

fn texts(users: &[UserId]) -> Vec<String> {
    users.iter().map(|user| text(user.0)).collect()
}

fn welcome(one: &Welcome) -> Value {
    let kinds = one.kinds.iter().map(|of| json!({"kind": of.kind, "version": of.version}));
    json!({
        "user": text(one.user), "device": text(one.device), "generation": one.generation, "start": one.start,
        "head": one.head, "timeMs": one.time_ms, "expiresMs": one.expires_ms, "heartbeatMs": one.heartbeat_ms,
        "groupMembersMax": one.group_members_max, "kinds": kinds.collect::<Value>(),
    })
}

fn reject(one: &Reject) -> Value {
    json!({"code": one.code, "retryAfterMs": one.retry_after_ms, "path": one.path, "text": one.text})
}

fn about(of: About) -> Value {
    match of {
        About::Send(id) => json!({"type": "send", "id": text(id.0)}),
        About::Request(id) => json!({"type": "request", "id": text(id.0)}),
        About::Other(id) => json!({"type": "other", "id": text(id)}),
    }
}

fn channel(item: &ChannelItem) -> Value {
    json!({
        "channel": item.channel.to_string(), "head": item.head, "read": item.read, "unread": item.unread,
        "member": item.member, "name": item.name,
    })
}

fn member(item: &MemberItem) -> Value {
    json!({"user": text(item.user), "joined": item.joined, "role": item.role})
}

fn history(page: &History) -> Value {
    json!({
        "request": text(page.request.0), "channel": page.channel.0.to_string(), "from": page.from.0, "to": page.to.0,
        "head": page.head.0, "more": page.more, "messages": page.messages.iter().map(message).collect::<Value>(),
    })
}

fn message(one: &Message) -> Value {
    json!({
        "channel": one.channel.0.to_string(), "seq": one.seq.0, "timeMs": one.time_ms, "sender": text(one.sender.0),
        "sendId": text(one.send_id.0), "content": content(&one.content),
    })
}

fn content(content: &Content) -> Value {
    match content {
        Content::Text(said) => json!({"type": "text", "text": said}),
        Content::Created { name, members } => {
            json!({"type": "created", "name": name, "members": texts(members)})
        }
        Content::Added(users) => json!({"type": "added", "users": texts(users)}),
        Content::Invited(users) => json!({"type": "invited", "users": texts(users)}),
        Content::Joined => json!({"type": "joined"}),
        Content::Grown => json!({"type": "grown"}),
        Content::Erased => json!({"type": "erased"}),
        Content::Removed(user) => json!({"type": "removed", "user": text(user.0)}),
        Content::Left => json!({"type": "left"}),
        Content::Renamed(name) => json!({"type": "renamed", "name": name}),
        Content::Role { member, role } => json!({"type": "role", "member": text(member.0), "role": role}),
        Content::Muted { member, for_s } => json!({"type": "muted", "member": text(member.0), "forS": for_s}),
        Content::Banned(user) => json!({"type": "banned", "user": text(user.0)}),
        Content::Unbanned(user) => json!({"type": "unbanned", "user": text(user.0)}),
        Content::Slowed(interval_s) => json!({"type": "slowed", "intervalS": interval_s}),
        Content::Prefs { .. }
        | Content::Draft { .. }
        | Content::Hidden { .. }
        | Content::About { .. }
        | Content::Recalled { .. } => panic!("in no trace yet"),
    }
}
