//! What the user keeps for all devices, on the whole screen: prefs, drafts, what is hidden; the list with what was said last;
//! and what was said around a place.

use jiff::Timestamp;
use protocol::body::list::ChannelDetail;
use protocol::body::own::{DraftItem, HiddenItem};
use protocol::commit::{Notify, Prefs};
use protocol::{ChannelId, Seq, UserId};

use super::model::{Ask, Model, Overlay};
use crate::session::{ChannelList, Content, History, Message, RequestId};
use crate::terminal::chat::now_ms;
use crate::terminal::text::{cut, one_line};

/// Columns of what was said last.
const PREVIEW_COLUMNS: usize = 60;

/// Whether it is something that the user has noted.
pub(super) fn is_note(content: &Content) -> bool {
    matches!(content, Content::Prefs { .. } | Content::Draft { .. } | Content::Hidden { .. })
}

/// What the list shows of a message.
pub(super) fn preview(message: &Message) -> Option<(UserId, String)> {
    preview_of(message.sender, &message.content)
}

/// The same of what somebody has said.
pub(super) fn preview_of(sender: UserId, content: &Content) -> Option<(UserId, String)> {
    match content {
        Content::Text(text) => Some((sender, cut(&one_line(text), PREVIEW_COLUMNS))),
        _ => None,
    }
}

impl Model {
    pub(super) fn take_list(&mut self, request: RequestId, list: ChannelList) {
        let (items, details): (Vec<_>, Vec<_>) = list.items.into_iter().unzip();
        for (item, detail) in items.iter().zip(details) {
            let one = self.conversations.entry(ChannelId(item.channel)).or_default();
            // What came since the list was made is newer.
            if one.head <= Seq(item.head) && detail.last_seq > 0 {
                one.last_ms = one.last_ms.max(detail.last_ms);
                if !detail.text.is_empty() {
                    let text = cut(&one_line(&detail.text), PREVIEW_COLUMNS);
                    one.preview = Some((UserId(detail.last_sender), text));
                }
            }
            one.prefs = prefs(&detail);
            one.has_draft = detail.has_draft;
            if !detail.text.is_empty() {
                self.want_name(UserId(detail.last_sender));
            }
        }
        self.take_channels(request, items, list.more);
        let own = ChannelId::own(self.me);
        self.undated.retain(|channel| *channel != own);
    }

    /// What one of the user's devices has noted.
    pub(super) fn take_note(&mut self, content: &Content) {
        match content {
            Content::Prefs { about, prefs } => {
                self.conversations.entry(*about).or_default().prefs = *prefs;
            }
            Content::Draft { about, thread, text } if *thread == Seq(0) => {
                let is_open = self.open == Some(*about);
                let one = self.conversations.entry(*about).or_default();
                one.has_draft = !text.is_empty();
                let editor = if is_open { &mut self.editor } else { &mut one.draft };
                // What is being typed here is newer.
                if editor.is_empty() && !text.is_empty() {
                    let _ = editor.insert(text);
                }
            }
            Content::Hidden { about, from, through } => {
                let one = self.conversations.entry(*about).or_default();
                one.hide(*from, *through);
            }
            _ => {}
        }
    }

    pub(super) fn take_notes(
        &mut self,
        request: RequestId,
        drafts: Vec<DraftItem>,
        hidden: &[HiddenItem],
        more: bool,
    ) {
        let ask = self.asked.remove(&request);
        for DraftItem { about, thread, text, .. } in drafts {
            self.take_note(&Content::Draft { about: ChannelId(about), thread: Seq(thread), text });
        }
        for HiddenItem { about, seq, through, .. } in hidden {
            let (about, from, through) = (ChannelId(*about), Seq(*seq), Seq(*through));
            self.take_note(&Content::Hidden { about, from, through });
        }
        if let (true, Some(Ask::Notes { channel, hidden: true, .. }), Some(last)) = (more, ask, hidden.last())
        {
            self.asks.push_back(Ask::Notes { channel, hidden: true, after: Seq(last.at) });
        }
    }

    /// What was said around a place, above everything else.
    pub(super) fn show_around(&mut self, channel: ChannelId, history: &History) {
        let pivot = history.place.map_or(Seq(0), |place| place.pivot);
        let mut lines = Vec::with_capacity(history.messages.len());
        for message in &history.messages {
            let what = match &message.content {
                Content::Text(text) => one_line(text),
                _ => self.change_words(message).unwrap_or_default(),
            };
            let mark = if message.seq == pivot { ">" } else { " " };
            let (time, who) = (self.time_words(message.time_ms), self.name_of(message.sender));
            lines.push(format!("{mark} {} {time} {who}: {what}", message.seq));
        }
        if lines.is_empty() {
            return self.say("Nothing was said there.");
        }
        let title = format!("{}, messages {} to {}", self.title(channel), history.from, history.to);
        let skipped = history.messages.iter().position(|message| message.seq >= pivot).unwrap_or(0);
        self.overlay = Some(Overlay { title, lines, skipped: skipped.saturating_sub(5) });
    }

    fn time_words(&self, time_ms: u64) -> String {
        let at = i64::try_from(time_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let words = |at: Timestamp| at.to_zoned(self.zone.clone()).strftime("%d.%m. %H:%M").to_string();
        at.map_or_else(String::new, words)
    }
}

/// Signs of what the user wants of a conversation.
pub(super) fn signs(prefs: &Prefs, has_draft: bool) -> String {
    let signs = [
        (prefs.pinned > 0, '\u{2191}'),
        (prefs.muted_until_ms > now_ms(), '\u{d7}'),
        (has_draft, '\u{270e}'),
        (prefs.marked_unread, '\u{2022}'),
    ];
    signs.iter().filter(|(is, _)| *is).map(|(_, sign)| *sign).collect()
}

fn prefs(detail: &ChannelDetail) -> Prefs {
    Prefs {
        muted_until_ms: detail.muted_until_ms,
        pinned: detail.pinned,
        marked_unread: detail.marked_unread,
        notify: Notify::from_number(detail.notify).unwrap_or_default(),
        archived: detail.archived,
    }
}
