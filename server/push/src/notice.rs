//! What a push says, in the device's language and no more than the user lets it show.

use protocol::body::message::Message;
use protocol::commit::{JobRow, Language, Preview};
use protocol::query::PushFacts;
use protocol::{ChannelId, Seq, UserId};
use serde_json::{Value, json};

use crate::limits::{NAME_CHARS_MAX, PREVIEW_CHARS_MAX};

/// What is known besides the facts.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// The sender's name, if it is known.
    pub sender: Option<String>,
    /// Unread messages of the user in all channels, for the number on an icon.
    pub badge: u64,
}

/// A push on its way.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    /// Its name: the first 32 characters are the same for all of a channel, so that a newer one replaces an older one that was not shown
    /// yet; all of it is the same for every attempt.
    pub name: &'a str,
    /// What it says: one object.
    pub payload: &'a Value,
    /// It mentions the user.
    pub is_urgent: bool,
    /// It shows nothing: what is shown of the channel is read, as far as the payload says.
    pub is_withdrawal: bool,
    /// Now, milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// Not to be shown after that.
    pub expires_ms: u64,
}

impl Notice<'_> {
    /// What a newer push of the channel replaces.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.name.get(..32).unwrap_or(self.name)
    }

    /// Seconds for which it may still be shown.
    #[must_use]
    pub fn ttl_s(&self) -> u64 {
        self.expires_ms.saturating_sub(self.now_ms).div_ceil(1000)
    }

    /// The number on the icon.
    #[must_use]
    pub fn badge(&self) -> Option<u64> {
        self.payload.get("badge")?.as_u64()
    }

    /// What the app is told, without the words that are shown.
    pub(crate) fn facts(&self) -> impl Iterator<Item = (String, Value)> {
        let all = self.payload.as_object().into_iter().flatten();
        let all = all.filter(|(name, _)| !matches!(name.as_str(), "title" | "body"));
        all.map(|(name, value)| (name.clone(), value.clone()))
    }
}

/// The payload: one JSON object, the same for every provider.
#[must_use]
pub fn payload(
    (user, channel): (UserId, ChannelId),
    (job, facts, around): (&JobRow, &PushFacts, &Around),
    (preview, language): (Preview, Language),
) -> Value {
    let sender = around.sender.as_deref().filter(|_| preview != Preview::Nothing);
    let group = Some(&*facts.name).filter(|name| preview != Preview::Nothing && !name.is_empty());
    let title = match (sender, group) {
        (Some(sender), Some(group)) => {
            format!("{} · {}", short(group, NAME_CHARS_MAX), short(sender, NAME_CHARS_MAX))
        }
        (Some(name), None) | (None, Some(name)) => short(name, NAME_CHARS_MAX),
        (None, None) => "Maru".into(),
    };
    let text = facts.message.as_ref().filter(|_| preview == Preview::Text && job.count <= 1);
    let text = text.and_then(|frame| match Message::read(frame) {
        Some(Message::SendText(body)) => Some(short(body.text.as_str(), PREVIEW_CHARS_MAX)),
        _ => None,
    });
    json!({
        "v": 1, "user": user.to_string(), "channel": channel.to_string(), "seq": job.seq.0.to_string(),
        "count": job.count, "mentioned": job.is_mentioned, "badge": around.badge,
        "title": title, "body": text.unwrap_or_else(|| words(language, job)),
    })
}

/// What an app is told when the user has read elsewhere what it shows: to close what it shows of the channel up to and with `seq`.
#[must_use]
pub fn withdrawal((user, channel): (UserId, ChannelId), seq: Seq, badge: u64) -> Value {
    json!({
        "v": 1, "event": "push.withdrawn", "withdrawn": true, "user": user.to_string(), "channel": channel.to_string(),
        "seq": seq.0.to_string(), "badge": badge,
    })
}

/// What a test says.
#[must_use]
pub fn test_payload(user: UserId, language: Language) -> Value {
    let body = match language {
        Language::English => "This is a test.",
        Language::Korean => "알림 시험입니다.",
    };
    json!({ "v": 1, "user": user.to_string(), "test": true, "title": "Maru", "body": body })
}

fn words(language: Language, job: &JobRow) -> String {
    let count = job.count;
    match (language, job.is_mentioned) {
        (Language::English, true) => "You were mentioned".into(),
        (Language::English, false) if count <= 1 => "New message".into(),
        (Language::English, false) => format!("{count} new messages"),
        (Language::Korean, true) => "회원님이 언급되었습니다".into(),
        (Language::Korean, false) if count <= 1 => "새 메시지".into(),
        (Language::Korean, false) => format!("새 메시지 {count}개"),
    }
}

/// The first characters, without any that would move what stands around them.
fn short(text: &str, chars: usize) -> String {
    let is_shown = |c: &char| {
        !c.is_control() && !('\u{202a}'..='\u{202e}').contains(c) && !('\u{2066}'..='\u{2069}').contains(c)
    };
    let mut shown: String = text.chars().filter(is_shown).take(chars).collect();
    if text.chars().filter(is_shown).nth(chars).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use protocol::body::encode;
    use protocol::body::message::SendText;

    use super::*;
    use crate::limits::PAYLOAD_BYTES_MAX;

    #[test]
    fn a_push_shows_what_the_user_lets_it_show_and_always_fits() {
        let (user, channel) = (UserId(5), ChannelId::direct(UserId(5), UserId(6)));
        let text = "\u{1f600}\"".repeat(50_000);
        let frame = encode(1, &SendText { channel: channel.0, text });
        let facts = PushFacts { message: Some(frame), ..PushFacts::default() };
        let around = Around { sender: Some("지민".repeat(100)), badge: 3 };
        let job = JobRow { count: 1, ..JobRow::default() };
        let say = |job: &JobRow, preview, language| {
            payload((user, channel), (job, &facts, &around), (preview, language))
        };
        let hidden = say(&job, Preview::Nothing, Language::Korean);
        assert_eq!((&hidden["title"], &hidden["body"]), (&json!("Maru"), &json!("새 메시지")));
        let sender = say(&job, Preview::Sender, Language::English);
        assert!(sender["title"].as_str().unwrap().starts_with("지민") && sender["body"] == "New message");
        let all = say(&job, Preview::Text, Language::English);
        assert!(all["body"].as_str().unwrap().starts_with("\u{1f600}\""));
        assert!(all.to_string().len() <= PAYLOAD_BYTES_MAX);
        let many = JobRow { count: 4, ..JobRow::default() };
        assert_eq!(say(&many, Preview::Text, Language::Korean)["body"], "새 메시지 4개");
    }
}
