//! Threads and mentions, on a page of their own above the conversation.

use protocol::body::about::About;
use protocol::{ChannelId, UserId};

use super::model::{Conversation, Model, Overlay};
use crate::session::{Content, Mention, Message, Thread};
use crate::terminal::command::{marks, recalled_words, said_lines};
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
        let text = match &message.content {
            Content::Text(text) => text.clone(),
            Content::Recalled { user, .. } => {
                return format!(
                    "{}: {}",
                    message.seq,
                    recalled_words(&self.name_of(message.sender), &self.name_of(*user), *user)
                );
            }
            _ => return String::new(),
        };
        format!("{} {}: {}", message.seq, self.name_of(message.sender), one_line(&text))
    }

    pub(super) fn take_said(&mut self, about: &About) {
        about.who.iter().for_each(|one| self.want_name(UserId(one.user)));
        let mut lines = said_lines(about, |user| self.name_of(user));
        if lines.is_empty() {
            lines.push("Nothing is said about these messages.".into());
        }
        let title = format!("Said about messages {} to {}", about.from, about.to);
        self.overlay = Some(Overlay { title, lines, skipped: 0 });
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
        let takes_one =
            matches!(word, "reply" | "thread" | "edit" | "react" | "pin" | "recall" | "said" | "report");
        let Some(back) = back.filter(|back| *back > 0 && takes_one) else {
            return rest.to_owned();
        };
        // An edit and a recall count back among the own texts, a reaction and a pin among all texts.
        let counts = |message: &Message| match word {
            "edit" | "recall" => message.sender == self.me && matches!(message.content, Content::Text(_)),
            "react" | "pin" => matches!(message.content, Content::Text(_)),
            _ => true,
        };
        let seqs = |one: &Conversation| {
            let all = one.log.iter().rev().filter(|(_, message)| counts(message));
            all.map(|(seq, _)| *seq).nth(back - 1)
        };
        let seq = self.current().and_then(seqs);
        seq.map_or_else(|| rest.to_owned(), |seq| format!("{seq} {text}"))
    }

    /// What a text is about, before its words. Safe to show.
    pub(super) fn marks(&self, message: &Message) -> String {
        marks(message.talk.as_deref(), self.me, |user| self.name_of(user))
    }
}
