//! Replies, threads, mentions and forwards, as a person asks for them.

use protocol::body::talk::Talk;
use protocol::{Seq, UserId};

use super::{Desk, Done, Outcome, Trouble};
use crate::dial::ClientError;
use crate::session::{RequestId, Session};

/// Messages that `/thread` shows, and mentions that `/mentions` does.
const SHOWN_MAX: u32 = 50;

impl Desk<'_> {
    pub(super) async fn talk(&mut self, word: &str, rest: &str) -> Done {
        let (first, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let rest = rest.trim();
        match word {
            "reply" => {
                let reply_to = Some(seq(first, "/reply SEQ TEXT: /history shows the numbers")?);
                self.say(Talk { reply_to, ..Talk::default() }, rest).await
            }
            "thread" => {
                let root = seq(first, "/thread SEQ shows a thread, /thread SEQ TEXT says something in it")?;
                if !rest.is_empty() {
                    return self.say(Talk { thread: Some(root), ..Talk::default() }, rest).await;
                }
                let thread = (self.conversation()?, root);
                self.ask(move |session| session.thread(thread, None, None, SHOWN_MAX, true)).await
            }
            "mention" => {
                let talk = match first {
                    "all" => Talk { all: true, ..Talk::default() },
                    "online" => Talk { online: true, ..Talk::default() },
                    names => Talk { mentions: self.users(names).await?, ..Talk::default() },
                };
                let text = if rest.is_empty() { String::new() } else { format!("@{first} {rest}") };
                self.say(talk, &text).await
            }
            "forward" => {
                let forwarded_from = Some(self.user(first).await?);
                self.say(Talk { forwarded_from, ..Talk::default() }, rest).await
            }
            _ => self.ask(|session| session.mentions(None, SHOWN_MAX)).await,
        }
    }

    /// Names with commas between them.
    async fn users(&mut self, names: &str) -> Result<Vec<UserId>, Trouble> {
        let mut users = Vec::new();
        for name in names.split(',').filter(|name| !name.is_empty()) {
            users.push(self.user(name.trim_start_matches('@')).await?);
        }
        Ok(users)
    }

    async fn say(&mut self, talk: Talk, text: &str) -> Done {
        let (channel, text) = (self.conversation()?, text.to_owned());
        if text.is_empty() {
            return Err(Trouble::said("the text is missing behind it"));
        }
        let send = move |session: &mut Session| session.send_talk(channel, &text, &talk, None);
        let send_id = self.client.with_session(send).await?.map_err(ClientError::Refused)?;
        Ok(Outcome::Sent { send_id, channel })
    }

    pub(super) async fn ask(
        &mut self,
        ask: impl FnOnce(&mut Session) -> Result<RequestId, protocol::Refusal> + Send + 'static,
    ) -> Done {
        self.client.with_session(ask).await?.map_err(ClientError::Refused)?;
        Ok(Outcome::Asked)
    }
}

pub(super) fn seq(word: &str, usage: &str) -> Result<Seq, Trouble> {
    word.parse().ok().filter(|seq| *seq > 0).map(Seq).ok_or_else(|| Trouble::said(usage))
}

/// What a text is about, in a few words before it; empty for a plain one.
pub(in crate::terminal) fn marks(talk: Option<&Talk>, me: UserId, name: impl Fn(UserId) -> String) -> String {
    let Some(talk) = talk else { return String::new() };
    let mut words = Vec::new();
    words.extend(talk.forwarded_from.map(|user| format!("forwarded from {}", name(user))));
    words.extend(talk.thread.map(|root| format!("thread {root}")));
    words.extend(talk.reply_to.map(|seq| format!("re {seq}")));
    if talk.all || talk.online || talk.mentions.contains(&me) {
        words.push("to you".to_owned());
    }
    if words.is_empty() { String::new() } else { format!("({}) ", words.join(", ")) }
}
