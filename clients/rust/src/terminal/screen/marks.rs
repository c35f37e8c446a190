//! Ticks and who types, into the model and out of it.

use protocol::body::marks::ReceiptItem;
use protocol::{ChannelId, Seq, UserId};

use super::model::{Ask, Conversation, Model};
use crate::session::Message;

/// Names of those who type that are shown; of more only the number.
const TYPISTS_SHOWN: usize = 2;
const TICK: char = '\u{2713}';

/// How far one member has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Mark {
    read: Seq,
    delivered: Seq,
}

impl Model {
    /// What was told, or a page that was asked for. It is the newest that is known, and never steps back here.
    pub(super) fn take_receipts(&mut self, channel: ChannelId, items: &[ReceiptItem], more: bool) {
        if let (true, Some(last)) = (more, items.last()) {
            self.asks.push_back(Ask::Receipts { channel, after: UserId(last.user) });
        }
        let me = self.me;
        let one = self.conversations.entry(channel).or_default();
        for item in items {
            if item.user == me.0 {
                one.has_read(Seq(item.read));
                continue;
            }
            let mark = one.marks.entry(UserId(item.user)).or_default();
            mark.read = mark.read.max(Seq(item.read));
            mark.delivered = mark.delivered.max(Seq(item.delivered));
        }
    }

    pub(super) fn take_typing(&mut self, channel: ChannelId, user: UserId, types: bool) {
        let one = self.conversations.entry(channel).or_default();
        if types {
            one.typists.insert(user);
            self.want_name(user);
        } else {
            one.typists.remove(&user);
        }
    }

    /// The line has changed: who types says so, and who has emptied it says that.
    pub(super) fn has_typed(&mut self) {
        let Some(channel) = self.open else { return };
        let types = !self.editor.is_empty() && !self.editor.is_command();
        let is_news = types || self.typed_in == Some(channel);
        self.typed_in = types.then_some(channel);
        if is_news {
            self.asks.push_back(Ask::Typing { channel, types });
        }
    }

    /// Asks how far the others have come in what is open.
    pub(super) fn ask_receipts(&mut self) {
        if let Some(channel) = self.open {
            self.asks.push_back(Ask::Receipts { channel, after: UserId(0) });
        }
    }

    /// Who types in what is open, safe to show.
    pub(super) fn typing_words(&self) -> Option<String> {
        let typists = &self.current()?.typists;
        let names: Vec<String> = typists.iter().take(TYPISTS_SHOWN).map(|user| self.name_of(*user)).collect();
        match (names.as_slice(), typists.len()) {
            ([], _) => None,
            ([one], _) => Some(format!("{one} is typing")),
            (names, 2) => Some(format!("{} are typing", names.join(" and "))),
            (_, all) => Some(format!("{all} people are typing")),
        }
    }
}

impl Conversation {
    /// What became of an own message: one tick is at the server, two are on the devices of all others that tell, and a number
    /// is how many of them have read it.
    pub(super) fn ticks(&self, message: &Message) -> String {
        let seq = message.seq;
        let all_have = !self.marks.is_empty() && self.marks.values().all(|mark| mark.delivered >= seq);
        let mut ticks = TICK.to_string();
        if all_have {
            ticks.push(TICK);
        }
        match self.marks.values().filter(|mark| mark.read >= seq).count() {
            0 => ticks,
            read => format!("{ticks}{read}"),
        }
    }

    /// Another device of this user has read so far.
    fn has_read(&mut self, read: Seq) {
        if read <= self.read {
            return;
        }
        self.read = read;
        self.counted.retain(|seq| *seq > read);
        self.unread = if read >= self.head { 0 } else { self.unread.min(self.head.0 - read.0) };
    }
}
