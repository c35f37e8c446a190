//! Threads and mentions, on a page of their own above the conversation.

use protocol::ChannelId;

use super::model::{Model, Overlay};
use crate::session::{Content, Mention, Message, Thread};
use crate::terminal::command::marks;
use crate::terminal::text::one_line;

impl Model {
    pub(super) fn take_thread(&mut self, thread: Thread) {
        thread.messages.iter().for_each(|message| self.learn(message));
        let mut lines: Vec<String> =
            thread.messages.iter().map(|message| self.thread_line(message)).collect();
        if lines.is_empty() {
            lines.push("Nothing was said here.".into());
        }
        let title = format!("Thread {}: {} messages", thread.root, thread.total);
        self.overlay = Some(Overlay { title, lines, skipped: 0 });
    }

    fn thread_line(&self, message: &Message) -> String {
        let Content::Text(text) = &message.content else { return String::new() };
        format!("{} {}: {}", message.seq, self.name_of(message.sender), one_line(text))
    }

    pub(super) fn take_mentions(&mut self, items: &[Mention], unread: &[(ChannelId, u32)]) {
        items.iter().for_each(|item| self.want_name(item.sender));
        let line = |item: &Mention| {
            format!("{}: message {} of {}", self.title(item.channel), item.seq, self.name_of(item.sender))
        };
        let mut lines: Vec<String> = items.iter().map(line).collect();
        if lines.is_empty() {
            lines.push("Nothing mentions you.".into());
        }
        let unread: u32 = unread.iter().map(|(_, count)| count).sum();
        self.overlay = Some(Overlay { title: format!("Mentions: {unread} unread"), lines, skipped: 0 });
    }

    /// The screen shows no seqs: where a message is named, -1 is the newest of the conversation, -2 the one before, and so on.
    pub(super) fn counted_back(&self, word: &str, rest: &str) -> String {
        let (first, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let back = first.strip_prefix('-').and_then(|back| back.parse::<usize>().ok());
        let Some(back) = back.filter(|back| *back > 0 && matches!(word, "reply" | "thread")) else {
            return rest.to_owned();
        };
        let seq = self.current().and_then(|one| one.log.keys().rev().nth(back - 1));
        seq.map_or_else(|| rest.to_owned(), |seq| format!("{seq} {text}"))
    }

    /// What a text is about, before its words. Safe to show.
    pub(super) fn marks(&self, message: &Message) -> String {
        marks(message.talk.as_deref(), self.me, |user| self.name_of(user))
    }
}
