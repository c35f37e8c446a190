//! Events of a session -> lines of JSON.

use std::io::{self, Write};

use protocol::body::list::ChannelDetail;
use protocol::body::marks::ReceiptItem;
use protocol::body::message::{ROLE_ADMIN, ROLE_OWNER};
use protocol::body::own::{DraftItem, HiddenItem};
use protocol::body::sync::{ChannelItem, MemberItem};
use protocol::commit::Notify;
use protocol::{ChannelId, SendId, Seq, UserId};
use serde_json::{Value, json};

use super::super::chat::{Chat, kind};
use super::{Json, Tag, mark, set};
use crate::session::{About, ChannelList, Content, Event, History, Message, Remark, RequestId, Rules};

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
            Event::Ack { send_id, channel, seq, time_ms } => self.tell_ack(send_id, channel, seq, time_ms),
            Event::Complete { from, to } => {
                let generation = self.generation;
                self.write(json!({
                    "event": "complete", "from": from.0, "to": to.0, "generation": generation,
                }))
            }
            Event::History(history) => self.tell_history(history).await,
            Event::Channels { request, items, more } => self.tell_channels(request, items, more).await,
            Event::List { request, list } => self.tell_list(request, list).await,
            Event::Notes { request, drafts, hidden, more } => {
                self.tell_notes(request, &drafts, &hidden, more)
            }
            Event::Members { request, channel, items, more, .. } => {
                self.tell_members(request, channel, items, more).await
            }
            Event::Rules { request, rules } => self.tell_rules(request, &rules).await,
            Event::Thread(thread) => self.tell_thread(thread).await,
            Event::Said { request, about } => self.tell_said(request, about).await,
            Event::Mentions { request, items, unread, more } => {
                self.tell_mentions(request, items, unread, more).await
            }
            Event::Receipts { request, channel, items, more } => {
                self.tell_receipts(request, channel, items, more).await
            }
            // What is missing of a large channel is read when it is opened.
            Event::Heads(_) => Ok(()),
            Event::Typing { channel, user, types } => self.tell_typing(channel, user, types).await,
            Event::Presence { request, items, more } => self.tell_presence(request, &items, more),
            Event::OwnPresence { request, own } => self.tell_own_presence(request, &own),
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
            // No command asks for it.
            Event::Push { .. } => Ok(()),
            // The client ends, and `ended` says so.
            Event::LoggedOut(_) | Event::TokenDue | Event::Reauthed | Event::Dead | Event::Reconnect => {
                Ok(())
            }
        }
    }

    fn tell_ack(&mut self, send_id: SendId, channel: ChannelId, seq: Seq, time_ms: u64) -> io::Result<()> {
        let tag = self.sends.remove(&send_id).unwrap_or_default();
        let (send_id, channel) = (send_id.to_string(), channel.to_string());
        let ack = json!({
            "event": "ack", "send_id": send_id, "channel": channel, "seq": seq.0, "time_ms": time_ms,
        });
        self.write(mark(ack, &tag))
    }

    async fn tell_typing(&mut self, channel: ChannelId, user: UserId, types: bool) -> io::Result<()> {
        let Some(chat) = &mut self.chat else { return Ok(()) };
        let name = chat.name_of(user).await;
        self.write(json!({
            "event": "typing", "channel": channel.to_string(), "user": name,
            "user_id": user.to_string(), "typing": types,
        }))
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
        let mut event = json!({
            "event": "history",
            "channel": history.channel.to_string(),
            "from": history.from.0,
            "to": history.to.0,
            "head": history.head.0,
            "more": history.more,
            "messages": messages,
        });
        if let Some(place) = history.place {
            set(&mut event, "pivot", place.pivot.0.into());
            set(&mut event, "more_before", place.more_before.into());
            set(&mut event, "more_after", place.more_after.into());
        }
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
            channels.push(row(chat, item).await);
        }
        self.write(mark(json!({ "event": "channels", "channels": channels, "more": more }), &tag))
    }

    async fn tell_list(&mut self, request: RequestId, list: ChannelList) -> io::Result<()> {
        let tag = self.requests.remove(&request).unwrap_or_default();
        let Some(chat) = &mut self.chat else { return Ok(()) };
        let mut channels = Vec::with_capacity(list.items.len());
        for (item, detail) in list.items {
            let mut row = row(chat, item).await;
            describe(&mut row, &detail, chat).await;
            channels.push(row);
        }
        let event = json!({
            "event": "list",
            "channels": channels,
            "generation": list.through.generation.0,
            "cursor": list.through.at.0,
            "next": list.next.at.0,
            "needs_snapshot": list.needs_snapshot,
            "more": list.more,
        });
        self.write(mark(event, &tag))
    }

    fn tell_notes(
        &mut self,
        request: RequestId,
        drafts: &[DraftItem],
        hidden: &[HiddenItem],
        more: bool,
    ) -> io::Result<()> {
        let tag = self.requests.remove(&request).unwrap_or_default();
        let draft = |item: &DraftItem| {
            json!({
                "channel": item.about.to_string(), "thread": item.thread, "text": item.text, "time_ms": item.time_ms,
            })
        };
        let range = |item: &HiddenItem| {
            json!({
                "channel": item.about.to_string(), "at": item.at, "seq": item.seq, "through": item.through,
            })
        };
        let drafts: Vec<Value> = drafts.iter().map(draft).collect();
        let hidden: Vec<Value> = hidden.iter().map(range).collect();
        self.write(mark(json!({ "event": "notes", "drafts": drafts, "hidden": hidden, "more": more }), &tag))
    }

    async fn tell_rules(&mut self, request: RequestId, rules: &Rules) -> io::Result<()> {
        let tag = self.requests.remove(&request).unwrap_or_default();
        let Some(chat) = &mut self.chat else { return Ok(()) };
        let mut users = Vec::with_capacity(rules.items.len());
        for item in &rules.items {
            users.push(json!({
                "user": chat.name_of(UserId(item.user)).await,
                "user_id": item.user.to_string(),
                "muted_until_ms": item.muted_until_ms,
                "banned": item.is_banned,
            }));
        }
        let channel = rules.channel.to_string();
        let event = json!({
            "event": "rules", "channel": channel, "interval_s": rules.interval_s, "users": users, "more": rules.more,
        });
        self.write(mark(event, &tag))
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

impl<W: Write> Json<W> {
    async fn tell_receipts(
        &mut self,
        request: Option<RequestId>,
        channel: ChannelId,
        items: Vec<ReceiptItem>,
        more: bool,
    ) -> io::Result<()> {
        let tag = request.and_then(|request| self.requests.remove(&request));
        let Some(chat) = &mut self.chat else { return Ok(()) };
        let mut receipts = Vec::with_capacity(items.len());
        for ReceiptItem { user, read, delivered } in items {
            receipts.push(json!({
                "user": chat.name_of(UserId(user)).await,
                "user_id": user.to_string(),
                "read": read,
                "delivered": delivered,
            }));
        }
        let channel = channel.to_string();
        let event = json!({ "event": "receipts", "channel": channel, "receipts": receipts, "more": more });
        self.write(mark(event, &tag.unwrap_or_default()))
    }
}

fn role(role: u8) -> &'static str {
    match role {
        ROLE_OWNER => "owner",
        ROLE_ADMIN => "admin",
        _ => "member",
    }
}

/// What both versions of the list say of a channel.
async fn row(chat: &mut Chat, item: ChannelItem) -> Value {
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
    row
}

/// The rest of it.
async fn describe(row: &mut Value, detail: &ChannelDetail, chat: &mut Chat) {
    set(row, "mentions", detail.mentions.into());
    set(row, "muted_until_ms", detail.muted_until_ms.into());
    set(row, "pinned", detail.pinned.into());
    set(row, "marked_unread", detail.marked_unread.into());
    set(row, "notify", notify(Notify::from_number(detail.notify).unwrap_or_default()).into());
    set(row, "archived", detail.archived.into());
    set(row, "draft", detail.has_draft.into());
    if detail.last_seq > 0 {
        let last = json!({
            "seq": detail.last_seq,
            "from": chat.name_of(UserId(detail.last_sender)).await,
            "from_id": detail.last_sender.to_string(),
            "time_ms": detail.last_ms,
            "text": detail.text,
        });
        set(row, "last", last);
    }
}

pub(super) fn notify(notify: Notify) -> &'static str {
    match notify {
        Notify::All => "all",
        Notify::Mentions => "mentions",
        Notify::Nothing => "nothing",
    }
}

fn set_remark(event: &mut Value, remark: &Remark) {
    match remark {
        Remark::Edited(text) => set(event, "text", text.as_str().into()),
        Remark::Reacted { emoji, on } => {
            set(event, "emoji", emoji.as_str().into());
            set(event, "on", (*on).into());
        }
        Remark::Pinned(on) => set(event, "on", (*on).into()),
        Remark::Recalled => {}
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
        Content::Text(_) | Content::Left | Content::Joined | Content::Grown | Content::Erased => {}
        Content::Created { name, members } => {
            set(&mut event, "name", name.as_str().into());
            set(&mut event, "users", chat.names_of(members).await.into());
        }
        Content::Added(users) | Content::Invited(users) => {
            set(&mut event, "users", chat.names_of(users).await.into());
        }
        Content::Removed(user) => set(&mut event, "users", chat.names_of(&[*user]).await.into()),
        Content::Renamed(name) => set(&mut event, "name", name.as_str().into()),
        Content::Prefs { about, prefs } => {
            set(&mut event, "about", about.to_string().into());
            set(&mut event, "muted_until_ms", prefs.muted_until_ms.into());
            set(&mut event, "pinned", prefs.pinned.into());
            set(&mut event, "marked_unread", prefs.marked_unread.into());
            set(&mut event, "notify", notify(prefs.notify).into());
            set(&mut event, "archived", prefs.archived.into());
        }
        Content::Draft { about, thread, text } => {
            set(&mut event, "about", about.to_string().into());
            set(&mut event, "thread", thread.0.into());
            set(&mut event, "text", text.as_str().into());
        }
        Content::Hidden { about, from, through } => {
            set(&mut event, "about", about.to_string().into());
            set(&mut event, "from_seq", from.0.into());
            set(&mut event, "through", through.0.into());
        }
        Content::About { target, remark } => {
            set(&mut event, "target", target.0.into());
            set_remark(&mut event, remark);
        }
        Content::Recalled { target, by, user, time_ms } => {
            set(&mut event, "target", target.0.into());
            set(&mut event, "by", by.0.into());
            set(&mut event, "users", chat.names_of(&[*user]).await.into());
            set(&mut event, "recalled_ms", (*time_ms).into());
        }
        Content::Role { member, role: number } => {
            set(&mut event, "users", chat.names_of(&[*member]).await.into());
            set(&mut event, "role", role(*number).into());
        }
        Content::Muted { member, for_s } => {
            set(&mut event, "users", chat.names_of(&[*member]).await.into());
            set(&mut event, "for_s", (*for_s).into());
        }
        Content::Banned(user) | Content::Unbanned(user) => {
            set(&mut event, "users", chat.names_of(&[*user]).await.into());
        }
        Content::Slowed(interval_s) => set(&mut event, "interval_s", (*interval_s).into()),
    }
    event
}
