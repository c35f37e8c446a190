//! Events of a session -> lines of JSON.

use std::io::{self, Write};

use protocol::body::message::{ROLE_ADMIN, ROLE_OWNER};
use protocol::body::sync::{ChannelItem, MemberItem};
use protocol::{ChannelId, UserId};
use serde_json::{Value, json};

use super::super::chat::{Chat, kind};
use super::{Json, Tag, mark, set};
use crate::session::{About, Content, Event, History, Message, RequestId};

impl<W: Write> Json<W> {
    pub(super) async fn tell(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Connected(welcome) => self.tell_connected(welcome.generation, welcome.start),
            Event::Resync { generation, at } => {
                self.write(json!({ "event": "resync", "generation": generation.0, "cursor": at.0 }))
            }
            Event::Live => self.write(json!({ "event": "live" })),
            Event::Message(message) => {
                let Some(chat) = &mut self.chat else { return Ok(()) };
                let mut event = render(chat, &message).await;
                set(&mut event, "event", "message".into());
                self.write(event)
            }
            Event::Ack { send_id, channel, seq, time_ms } => {
                let tag = self.sends.remove(&send_id).unwrap_or_default();
                let (send_id, channel) = (send_id.to_string(), channel.to_string());
                let ack = json!({
                    "event": "ack", "send_id": send_id, "channel": channel, "seq": seq.0, "time_ms": time_ms,
                });
                self.write(mark(ack, &tag))
            }
            Event::Complete { from, to } => {
                let generation = self.generation;
                self.write(json!({
                    "event": "complete", "from": from.0, "to": to.0, "generation": generation,
                }))
            }
            Event::History(history) => self.tell_history(history).await,
            Event::Channels { request, items, more } => self.tell_channels(request, items, more).await,
            Event::Members { request, channel, items, more } => {
                self.tell_members(request, channel, items, more).await
            }
            Event::Thread(thread) => self.tell_thread(thread).await,
            Event::Mentions { request, items, unread, more } => {
                self.tell_mentions(request, items, unread, more).await
            }
            Event::Done(request) => {
                let tag = self.requests.remove(&request).unwrap_or_default();
                self.write(mark(json!({ "event": "done", "cmd": tag.cmd }), &tag))
            }
            Event::Rejected { about, reject } => {
                let (tag, send_id) = match about {
                    About::Send(id) => (self.sends.remove(&id), Some(id)),
                    About::Request(id) => (self.requests.remove(&id), None),
                    About::Other(_) => (None, None),
                };
                self.tell_refused(reject.into(), &tag.unwrap_or_default(), send_id)
            }
            Event::HelloRejected(reject) => self.tell_refused(reject.into(), &Tag::default(), None),
            Event::GoingAway { reconnect_after_ms, reason } => self.write(json!({
                "event": "going_away", "reconnect_after_ms": reconnect_after_ms, "code": reason,
            })),
            Event::Disconnected { .. } => self.write(json!({ "event": "state", "state": "reconnecting" })),
            Event::Untrusted { place, fault } => {
                self.write(json!({ "event": "untrusted", "place": place, "message": fault }))
            }
            // The client ends, and `ended` says so.
            Event::LoggedOut(_) | Event::TokenDue | Event::Reauthed | Event::Dead | Event::Reconnect => {
                Ok(())
            }
        }
    }

    fn tell_connected(&mut self, generation: u64, cursor: u64) -> io::Result<()> {
        self.generation = generation;
        let Some(chat) = &self.chat else { return Ok(()) };
        let ready = json!({
            "event": "ready",
            "user": chat.name,
            "user_id": chat.client.user().to_string(),
            "device": chat.client.device().to_string(),
            "generation": generation,
            "cursor": cursor,
        });
        self.ready = Some(ready);
        self.tell_ready()?;
        self.write(json!({ "event": "state", "state": "connected" }))
    }

    async fn tell_history(&mut self, history: History) -> io::Result<()> {
        let tag = self.requests.remove(&history.request).unwrap_or_default();
        let Some(chat) = &mut self.chat else { return Ok(()) };
        let mut messages = Vec::with_capacity(history.messages.len());
        for message in &history.messages {
            messages.push(render(chat, message).await);
        }
        let event = json!({
            "event": "history",
            "channel": history.channel.to_string(),
            "from": history.from.0,
            "to": history.to.0,
            "head": history.head.0,
            "more": history.more,
            "messages": messages,
        });
        self.write(mark(event, &tag))
    }

    async fn tell_channels(
        &mut self,
        request: RequestId,
        items: Vec<ChannelItem>,
        more: bool,
    ) -> io::Result<()> {
        let tag = self.requests.remove(&request).unwrap_or_default();
        let Some(chat) = &mut self.chat else { return Ok(()) };
        let mut channels = Vec::with_capacity(items.len());
        for item in items {
            let channel = ChannelId(item.channel);
            let mut row = json!({
                "channel": channel.to_string(),
                "head": item.head,
                "read": item.read,
                "unread": item.unread,
                "member": item.member,
            });
            match chat.partner(channel) {
                Some(user) => set(&mut row, "with", chat.name_of(user).await.into()),
                None => set(&mut row, "name", item.name.into()),
            }
            channels.push(row);
        }
        self.write(mark(json!({ "event": "channels", "channels": channels, "more": more }), &tag))
    }

    async fn tell_members(
        &mut self,
        request: RequestId,
        channel: ChannelId,
        items: Vec<MemberItem>,
        more: bool,
    ) -> io::Result<()> {
        let tag = self.requests.remove(&request).unwrap_or_default();
        let Some(chat) = &mut self.chat else { return Ok(()) };
        let mut members = Vec::with_capacity(items.len());
        for item in items {
            members.push(json!({
                "user": chat.name_of(UserId(item.user)).await,
                "user_id": item.user.to_string(),
                "role": role(item.role),
                "joined": item.joined,
            }));
        }
        let channel = channel.to_string();
        let event = json!({ "event": "members", "channel": channel, "members": members, "more": more });
        self.write(mark(event, &tag))
    }
}

fn role(role: u8) -> &'static str {
    match role {
        ROLE_OWNER => "owner",
        ROLE_ADMIN => "admin",
        _ => "member",
    }
}

pub(super) async fn render(chat: &mut Chat, message: &Message) -> Value {
    let text = if let Content::Text(text) = &message.content { text.as_str() } else { "" };
    let mut event = json!({
        "channel": message.channel.to_string(),
        "seq": message.seq.0,
        "from": chat.name_of(message.sender).await,
        "from_id": message.sender.to_string(),
        "text": text,
        "time_ms": message.time_ms,
        "send_id": message.send_id.to_string(),
        "kind": kind(&message.content),
    });
    if let Some(talk) = &message.talk {
        super::talk::render(chat, &mut event, talk).await;
    }
    match &message.content {
        Content::Text(_) | Content::Left | Content::Joined => {}
        Content::Created { name, members } => {
            set(&mut event, "name", name.as_str().into());
            set(&mut event, "users", chat.names_of(members).await.into());
        }
        Content::Added(users) | Content::Invited(users) => {
            set(&mut event, "users", chat.names_of(users).await.into());
        }
        Content::Removed(user) => set(&mut event, "users", chat.names_of(&[*user]).await.into()),
        Content::Renamed(name) => set(&mut event, "name", name.as_str().into()),
        Content::Role { member, role: number } => {
            set(&mut event, "users", chat.names_of(&[*member]).await.into());
            set(&mut event, "role", role(*number).into());
        }
    }
    event
}
