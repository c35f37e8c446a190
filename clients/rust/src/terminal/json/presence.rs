//! Who is there, as lines of JSON.

use std::io::{self, Write};

use protocol::body::presence::{OwnPresence, PresenceItem};
use protocol::commit::Shows;
use serde_json::{Value, json};

use super::command::users;
use super::{Json, Refused, Tag, mark};
use crate::session::RequestId;

/// A command about who is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Who {
    Watch(Vec<String>),
    Unwatch(Vec<String>),
    /// Once.
    Look(Vec<String>),
    Own,
    Set {
        shows: Shows,
        status: String,
        status_until_ms: u64,
    },
    Idle(bool),
}

impl<W: Write> Json<W> {
    pub(super) async fn who(&mut self, who: Who, tag: &Tag) -> Result<(), Refused> {
        let chat = self.chat()?;
        let request = match who {
            Who::Watch(names) => {
                let users = users(chat, names).await?;
                return Ok(chat.client.with_session(move |session| session.watch(&users)).await??);
            }
            Who::Unwatch(names) => {
                let users = users(chat, names).await?;
                return Ok(chat.client.with_session(move |session| session.unwatch(&users)).await??);
            }
            Who::Idle(is_idle) => {
                return Ok(chat.client.with_session(move |session| session.idle(is_idle)).await?);
            }
            Who::Look(names) => {
                let users = users(chat, names).await?;
                chat.client.with_session(move |session| session.presence(&users)).await??
            }
            Who::Own => chat.client.with_session(crate::session::Session::own_presence).await??,
            Who::Set { shows, status, status_until_ms } => {
                let set = move |session: &mut crate::session::Session| {
                    session.set_presence(shows, &status, status_until_ms)
                };
                chat.client.with_session(set).await??
            }
        };
        self.requests.insert(request, tag.clone());
        Ok(())
    }

    pub(super) fn tell_presence(
        &mut self,
        request: Option<RequestId>,
        items: &[PresenceItem],
        more: bool,
    ) -> io::Result<()> {
        let tag = match request {
            Some(request) if more => self.requests.get(&request).cloned().unwrap_or_default(),
            Some(request) => self.requests.remove(&request).unwrap_or_default(),
            None => Tag::default(),
        };
        let users: Value = items.iter().map(item).collect();
        self.write(mark(json!({ "event": "presence", "users": users, "more": more }), &tag))
    }

    pub(super) fn tell_own_presence(
        &mut self,
        request: Option<RequestId>,
        own: &OwnPresence,
    ) -> io::Result<()> {
        let tag = request.and_then(|request| self.requests.remove(&request)).unwrap_or_default();
        let devices = own.devices.iter().map(|device| {
            json!({
                "device": device.device.to_string(), "state": state(device.state), "seen_ms": device.seen_ms,
            })
        });
        let event = json!({
            "event": "own_presence", "state": state(own.state), "shows": shows(own.shows), "status": own.status,
            "status_until_ms": own.status_until_ms, "devices": devices.collect::<Value>(),
        });
        self.write(mark(event, &tag))
    }
}

fn item(item: &PresenceItem) -> Value {
    json!({
        "user_id": item.user.to_string(), "state": state(item.state), "last_active_ms": item.last_active_ms,
        "status": item.status, "status_until_ms": item.status_until_ms,
    })
}

fn state(state: u8) -> &'static str {
    match state {
        1 => "offline",
        2 => "online",
        3 => "away",
        4 => "do_not_disturb",
        _ => "unknown",
    }
}

fn shows(number: u8) -> &'static str {
    match Shows::from_number(number) {
        Some(Shows::Activity) => "activity",
        Some(Shows::Away) => "away",
        Some(Shows::DoNotDisturb) => "do_not_disturb",
        Some(Shows::Invisible) => "invisible",
        None => "unknown",
    }
}
