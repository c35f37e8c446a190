//! Edits, reactions and pins, as a person asks for them, and what is said about messages in words.

use protocol::body::about::About;
use protocol::{Seq, UserId};

use super::talk::seq;
use super::{Desk, Done, Outcome, Trouble};
use crate::dial::ClientError;
use crate::session::{Remark, Session};
use crate::terminal::text::{apart, cut, one_line};

/// Messages of which `/said` tells.
const SHOWN_MAX: u32 = 50;
/// Columns of a text in a line of it.
const TEXT_COLUMNS: usize = 60;

impl Desk<'_> {
    pub(super) async fn say_about(&mut self, word: &str, rest: &str) -> Done {
        let (first, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let rest = rest.trim().to_owned();
        let channel = self.conversation()?;
        if word == "said" {
            let from =
                if first.is_empty() { Seq(1) } else { seq(first, "/said [SEQ]: from which message on")? };
            return self
                .ask(move |session| session.said_about(channel, (from, None), SHOWN_MAX, false))
                .await;
        }
        let usage =
            "/edit SEQ TEXT, /react SEQ EMOJI [off], /pin SEQ [off], /recall SEQ: /history shows the numbers";
        let target = seq(first, usage)?;
        let (what, on) = match rest.strip_suffix("off").filter(|_| word != "edit") {
            Some(what) => (what.trim_end().to_owned(), false),
            None => (rest, true),
        };
        if what.is_empty() && !matches!(word, "pin" | "recall") {
            return Err(Trouble::said(usage));
        }
        if word == "recall" {
            let send_id =
                self.client.with_session(move |session| session.recall(channel, target, None)).await?;
            let send_id = send_id.map_err(ClientError::Refused)?;
            return Ok(Outcome::Recalled { send_id, channel, target });
        }
        let word = word.to_owned();
        let send = move |session: &mut Session| match word.as_str() {
            "edit" => session.edit_text(channel, target, &what, None),
            "react" => session.react(channel, target, (&what, on), None),
            _ => session.pin(channel, target, on, None),
        };
        let send_id = self.client.with_session(send).await?.map_err(ClientError::Refused)?;
        Ok(Outcome::Sent { send_id, channel })
    }
}

/// What somebody said about a message, in words that are safe to show.
pub(in crate::terminal) fn remark_words(who: &str, target: Seq, remark: &Remark) -> String {
    match remark {
        Remark::Edited(text) => format!("{who} edited message {target}: {}", one_line(text)),
        Remark::Reacted { emoji, on: true } => {
            format!("{who} reacted {} to message {target}", one_line(emoji))
        }
        Remark::Reacted { emoji, on: false } => {
            format!("{who} took back {} from message {target}", one_line(emoji))
        }
        Remark::Pinned(true) => format!("{who} pinned message {target}"),
        Remark::Pinned(false) => format!("{who} took down message {target}"),
        Remark::Recalled => format!("{who} recalled message {target}"),
    }
}

/// What stands in the place of a recalled message of `who`, in words that are safe to show.
pub(in crate::terminal) fn recalled_words(who: &str, by: &str, user: UserId) -> String {
    // By nobody: an operator or a retention has purged it.
    if user == UserId(0) {
        "this message is kept no longer".to_owned()
    } else if who == by {
        format!("{who} recalled this message")
    } else {
        format!("{by} recalled this message of {who}")
    }
}

/// A page of what is said about messages, a line a message. Safe to show.
pub(in crate::terminal) fn said_lines(about: &About, name: impl Fn(UserId) -> String) -> Vec<String> {
    let mut lines: Vec<String> =
        about.pins.iter().map(|pin| format!("{}: pinned with {}", pin.seq, pin.by)).collect();
    for item in &about.items {
        let reactions = about.reactions.iter().filter(|reaction| reaction.seq == item.seq);
        let reactions: Vec<String> = reactions
            .map(|one| {
                format!("{} {}{}", one_line(&one.emoji), one.count, if one.own { " (you)" } else { "" })
            })
            .collect();
        let text = match item.edits {
            0 => String::new(),
            edits => format!(" edited {edits} times, now: {}", cut(&apart(&item.text), TEXT_COLUMNS)),
        };
        lines.push(format!("{}: {}{text}", item.seq, reactions.join(", ")));
    }
    for one in &about.who {
        let emoji = usize::try_from(one.reaction).ok().and_then(|place| about.reactions.get(place));
        let emoji = emoji.map_or_else(String::new, |reaction| one_line(&reaction.emoji));
        lines.push(format!("{}: {emoji} {}", one.seq, name(UserId(one.user))));
    }
    lines
}
