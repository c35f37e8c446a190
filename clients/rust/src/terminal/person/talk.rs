//! Threads and mentions, as a person sees them.

use std::io;

use protocol::ChannelId;

use super::super::command::marks;
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
