//! Commands about what the user keeps in the own channel: saved messages, prefs, drafts, what is hidden; and jumps.

use jiff::civil::Date;
use protocol::commit::Prefs;
use protocol::limits::U53_MAX;
use protocol::{ChannelId, Seq};

use super::{Desk, Done, Outcome, Trouble};
use crate::dial::ClientError;
use crate::session::{Around, Content, Session};

const MS_PER_HOUR: u64 = 3_600_000;

impl Desk<'_> {
    pub(super) fn conversation(&self) -> Result<ChannelId, Trouble> {
        self.here.ok_or_else(|| Trouble::said("nobody is listening; begin with /to NAME"))
    }

    pub(super) fn saved(&self) -> Outcome {
        Outcome::Opened(ChannelId::own(self.client.user()))
    }

    /// `/mute`, `/mute HOURS`, `/mute off`.
    pub(super) async fn mute(&self, rest: &str) -> Done {
        let until = match rest {
            "" => U53_MAX,
            "off" => 0,
            hours => {
                let hours: u64 =
                    hours.parse().map_err(|_| Trouble::said("/mute, /mute HOURS or /mute off"))?;
                self.now_ms.saturating_add(hours.saturating_mul(MS_PER_HOUR)).min(U53_MAX)
            }
        };
        self.change_prefs(|prefs| prefs.muted_until_ms = until).await
    }

    /// `/pin-chat`, `/pin-chat off`: behind those that are pinned.
    pub(super) async fn pin_chat(&self, rest: &str) -> Done {
        let last = self.prefs.values().map(|prefs| prefs.pinned).max().unwrap_or(0);
        match rest {
            "" => self.change_prefs(|prefs| prefs.pinned = last.saturating_add(1)).await,
            "off" => self.change_prefs(|prefs| prefs.pinned = 0).await,
            _ => Err(Trouble::said("/pin-chat or /pin-chat off")),
        }
    }

    async fn change_prefs(&self, change: impl FnOnce(&mut Prefs)) -> Done {
        let about = self.conversation()?;
        let mut prefs = self.prefs.get(&about).copied().unwrap_or_default();
        change(&mut prefs);
        self.note(Content::Prefs { about, prefs }).await
    }

    /// `/draft TEXT`; without one there is none any more.
    pub(super) async fn draft(&self, text: &str) -> Done {
        let (about, thread, text) = (self.conversation()?, Seq(0), text.to_owned());
        self.note(Content::Draft { about, thread, text }).await
    }

    /// `/hide`, `/hide SEQ`, `/hide SEQ-SEQ`.
    pub(super) async fn hide(&self, rest: &str) -> Done {
        let about = self.conversation()?;
        let usage = || Trouble::said("/hide, /hide NUMBER or /hide FIRST-LAST; without one the last message");
        let number = |text: &str| text.trim().parse().map(Seq).map_err(|_| usage());
        let (from, through) = match (rest, rest.split_once('-')) {
            ("", _) => {
                let last = self.newest.ok_or_else(|| Trouble::said("nothing was said here"))?;
                (last, last)
            }
            (_, Some((from, through))) => (number(from)?, number(through)?),
            (one, None) => (number(one)?, number(one)?),
        };
        self.note(Content::Hidden { about, from, through }).await
    }

    /// `/jump SEQ`, `/jump 2026-11-27`, `/jump unread`.
    pub(super) fn jump(&self, rest: &str) -> Done {
        let channel = self.conversation()?;
        let usage = || Trouble::said("/jump NUMBER, /jump 2026-11-27 or /jump unread");
        if rest == "unread" {
            return Ok(Outcome::Jump { channel, around: Around::Unread });
        }
        if let Ok(seq) = rest.parse() {
            return Ok(Outcome::Jump { channel, around: Around::Seq(Seq(seq)) });
        }
        let date: Date = rest.parse().map_err(|_| usage())?;
        let midnight = date.to_zoned(jiff::tz::TimeZone::system()).map_err(|_| usage())?;
        let ms = u64::try_from(midnight.timestamp().as_millisecond()).unwrap_or(0);
        Ok(Outcome::Jump { channel, around: Around::Time(ms) })
    }

    async fn note(&self, content: Content) -> Done {
        let said = content.clone();
        let tell = move |session: &mut Session| match &said {
            Content::Prefs { about, prefs } => session.set_prefs(*about, *prefs, None),
            Content::Draft { about, text, .. } => session.set_draft(*about, None, text, None),
            Content::Hidden { about, from, through } => session.hide(*about, (*from, *through), None),
            _ => Err(protocol::Refusal::new(protocol::Code::Limit, "", "not a note")),
        };
        let send_id = self.client.with_session(tell).await?.map_err(ClientError::Refused)?;
        Ok(Outcome::Noted { send_id, content })
    }
}
