//! Replies, threads, mentions and forwards as JSON.

use std::io::{self, Write};

use protocol::body::about::About;
use protocol::body::talk::Talk;
use protocol::{ChannelId, Seq, UserId};
use serde_json::{Value, json};

use super::super::chat::Chat;
use super::event::render as render_message;
use super::{Json, Refused, mark, set};
use crate::session::{Mention, RequestId, Thread};

/// What a text is about, as a program says it. `U` is how users are named.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Said<U> {
    pub(super) reply_to: Option<Seq>,
    pub(super) thread: Option<Seq>,
    pub(super) mentions: Vec<U>,
    pub(super) all: bool,
    pub(super) online: bool,
    pub(super) forwarded_from: Option<U>,
}

impl Said<String> {
    pub(super) async fn resolve(self, chat: &mut Chat) -> Result<Said<UserId>, Refused> {
        let Self { reply_to, thread, mentions: names, all, online, forwarded_from } = self;
        let mut mentions = Vec::with_capacity(names.len());
        for name in names {
            mentions.push(chat.user(&name).await?);
        }
        let forwarded_from = match forwarded_from {
            Some(name) => Some(chat.user(&name).await?),
            None => None,
        };
        Ok(Said { reply_to, thread, mentions, all, online, forwarded_from })
    }
}

impl From<Said<UserId>> for Talk {
    fn from(said: Said<UserId>) -> Self {
        let Said { reply_to, thread, mentions, all, online, forwarded_from } = said;
        Self { reply_to, thread, mentions, all, online, forwarded_from }
    }
}

/// Adds what a text is about to its event.
pub(super) async fn render(chat: &mut Chat, event: &mut Value, talk: &Talk) {
    if let Some(seq) = talk.reply_to {
        set(event, "reply_to", seq.0.into());
    }
    if let Some(root) = talk.thread {
        set(event, "thread", root.0.into());
    }
    if !talk.mentions.is_empty() {
        set(event, "mentions", chat.names_of(&talk.mentions).await.into());
    }
    for (is_set, word) in [(talk.all, "all"), (talk.online, "online")] {
        if is_set {
            set(event, word, true.into());
        }
    }
    if let Some(user) = talk.forwarded_from {
        set(event, "forwarded_from", chat.name_of(user).await.into());
    }
}

impl<W: Write> Json<W> {
    pub(super) async fn tell_thread(&mut self, thread: Thread) -> io::Result<()> {
        let tag = self.requests.remove(&thread.request).unwrap_or_default();
        let Some(chat) = &mut self.chat else { return Ok(()) };
        let mut messages = Vec::with_capacity(thread.messages.len());
        for message in &thread.messages {
            messages.push(render_message(chat, message).await);
        }
        let event = json!({
            "event": "thread",
            "channel": thread.channel.to_string(),
            "root": thread.root.0,
            "from": thread.from.0,
            "to": thread.to.0,
            "total": thread.total,
            "newest": thread.newest.0,
            "more": thread.more,
            "messages": messages,
        });
        self.write(mark(event, &tag))
    }

    pub(super) async fn tell_said(&mut self, request: RequestId, about: About) -> io::Result<()> {
        let tag = self.requests.remove(&request).unwrap_or_default();
        let Some(chat) = &mut self.chat else { return Ok(()) };
        let mut who = Vec::with_capacity(about.who.len());
        for one in &about.who {
            let user = UserId(one.user);
            let name = chat.name_of(user).await;
            who.push(json!({
                "seq": one.seq, "user": name, "user_id": user.to_string(), "reaction": one.reaction,
            }));
        }
        let pins = about.pins.iter().map(|pin| json!({ "seq": pin.seq, "by": pin.by }));
        let items = about.items.iter().map(
            |item| json!({ "seq": item.seq, "edited": item.edited, "edits": item.edits, "text": item.text }),
        );
        let reactions = about
            .reactions
            .iter()
            .map(|one| json!({ "seq": one.seq, "emoji": one.emoji, "count": one.count, "own": one.own }));
        let event = json!({
            "event": "said",
            "channel": ChannelId(about.channel).to_string(),
            "from": about.from,
            "to": about.to,
            "pins": pins.collect::<Value>(),
            "items": items.collect::<Value>(),
            "reactions": reactions.collect::<Value>(),
            "who": who,
            "more": about.more,
        });
        self.write(mark(event, &tag))
    }

    pub(super) async fn tell_mentions(
        &mut self,
        request: RequestId,
        items: Vec<Mention>,
        unread: Vec<(ChannelId, u32)>,
        more: bool,
    ) -> io::Result<()> {
        let tag = self.requests.remove(&request).unwrap_or_default();
        let Some(chat) = &mut self.chat else { return Ok(()) };
        let mut mentions = Vec::with_capacity(items.len());
        for item in items {
            mentions.push(json!({
                "at": item.at.0,
                "channel": item.channel.to_string(),
                "seq": item.seq.0,
                "time_ms": item.time_ms,
                "from": chat.name_of(item.sender).await,
                "from_id": item.sender.to_string(),
            }));
        }
        let count =
            |(channel, count): (ChannelId, u32)| json!({ "channel": channel.to_string(), "unread": count });
        let unread: Vec<Value> = unread.into_iter().map(count).collect();
        self.write(mark(
            json!({ "event": "mentions", "mentions": mentions, "unread": unread, "more": more }),
            &tag,
        ))
    }
}
