//! Threads and mentions, as a person sees them.

use std::collections::BTreeMap;
use std::io;

use protocol::body::about::About;
use protocol::{ChannelId, UserId};

use super::super::command::{marks, said_lines};
use super::Person;
use crate::session::{Mention, Message, Thread};

impl Person {
    pub(super) async fn show_thread(&mut self, thread: Thread) -> io::Result<()> {
        if thread.messages.is_empty() {
            return self.say(&format!("Nothing was said in thread {}.", thread.root));
        }
        self.say(&format!("Thread {} has {} messages:", thread.root, thread.total))?;
        for message in &thread.messages {
            self.show_one(&format!("[{}] ", message.seq), message).await?;
        }
        if thread.more { self.say("There are older ones.") } else { Ok(()) }
    }

    pub(super) async fn show_said(&mut self, about: &About) -> io::Result<()> {
        let mut names = BTreeMap::new();
        for one in &about.who {
            names.insert(UserId(one.user), self.name_of(UserId(one.user)).await);
        }
        let lines = said_lines(about, |user| names.get(&user).cloned().unwrap_or_default());
        if lines.is_empty() {
            return self.say("Nothing is said about these messages.");
        }
        lines.iter().try_for_each(|line| self.say(line))?;
        if about.more {
            self.say(&format!("/said {} shows more.", about.to.saturating_add(1)))
        } else {
            Ok(())
        }
    }

    pub(super) async fn show_mentions(
        &mut self,
        items: Vec<Mention>,
        unread: Vec<(ChannelId, u32)>,
    ) -> io::Result<()> {
        if items.is_empty() {
            return self.say("Nothing mentions you.");
        }
        for item in items {
            let (title, who) = (self.title(item.channel).await, self.name_of(item.sender).await);
            self.line(&format!("{} [{title}] message {} of {who}", self.time(item.time_ms), item.seq))?;
        }
        for (channel, count) in unread.into_iter().filter(|(_, count)| *count > 0) {
            let title = self.title(channel).await;
            self.say(&format!("{title}: {count} unread"))?;
        }
        Ok(())
    }

    /// What a text is about, before its words.
    pub(super) async fn marks(&mut self, message: &Message) -> String {
        let Some(talk) = message.talk.as_deref() else { return String::new() };
        let from = match talk.forwarded_from {
            Some(user) => self.name_of(user).await,
            None => String::new(),
        };
        let me = self.chat.as_ref().map(|chat| chat.client.user()).unwrap_or_default();
        marks(Some(talk), me, |_| from.clone())
    }
}
