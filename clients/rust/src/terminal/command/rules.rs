//! Mutes, bans and slow mode, as a person asks for them.

use std::fmt::Write;

use protocol::UserId;
use protocol::body::rules::{MUTED_FOR_EVER_MS, MUTED_FOR_EVER_S};

use super::talk::seq;
use super::{Desk, Done, Outcome, Trouble};
use crate::dial::ClientError;
use crate::session::{Content, Rules, Session};

/// Users that `/rules` shows.
const SHOWN_MAX: u32 = 100;

impl Desk<'_> {
    pub(super) async fn rule(&mut self, word: &str, rest: &str) -> Done {
        let channel = self.group()?;
        let send: Box<dyn FnOnce(&mut Session) -> _ + Send> = match word {
            "mute" => {
                let usage = || Trouble::said("/mute NAME TIME: 30s, 10m, 2h, 3d, forever or off");
                let (name, time) = rest.rsplit_once(char::is_whitespace).ok_or_else(usage)?;
                let for_s = seconds(time).ok_or_else(usage)?;
                let user = self.user(name.trim()).await?;
                Box::new(move |session| session.mute_member(channel, user, for_s, None))
            }
            "ban" => {
                let user = self.user(rest).await?;
                Box::new(move |session| session.ban_member(channel, user, None))
            }
            "unban" => {
                let user = self.user(rest).await?;
                Box::new(move |session| session.unban_member(channel, user, None))
            }
            "slow" => {
                let interval_s = seconds(rest).filter(|interval_s| *interval_s != MUTED_FOR_EVER_S);
                let interval_s =
                    interval_s.ok_or_else(|| Trouble::said("/slow TIME: 30s, 10m, 2h or off"))?;
                Box::new(move |session| session.set_slow(channel, interval_s, None))
            }
            _ => return self.ask(move |session| session.rules(channel, UserId(0), SHOWN_MAX)).await,
        };
        let send_id = self.client.with_session(send).await?.map_err(ClientError::Refused)?;
        Ok(Outcome::Sent { send_id, channel })
    }
}

impl Desk<'_> {
    /// `/report SEQ REASON`: the operators of the server are told.
    pub(super) async fn report(&mut self, rest: &str) -> Done {
        let usage = "/report SEQ REASON: /history shows the numbers";
        let (first, reason) = rest.split_once(char::is_whitespace).ok_or_else(|| Trouble::said(usage))?;
        let (place, reason) = ((self.conversation()?, seq(first, usage)?), reason.trim());
        self.account.report(&self.client.token(), place, reason).await?;
        Ok(Outcome::Said(format!("Message {} is reported to the operators.", place.1)))
    }
}

/// `30s`, `10m`, `2h`, `3d`; `forever`, `off`.
fn seconds(time: &str) -> Option<u32> {
    match time {
        "forever" => return Some(MUTED_FOR_EVER_S),
        "off" => return Some(0),
        _ => {}
    }
    let unit = match time.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return None,
    };
    let count: u32 = time.get(..time.len() - 1)?.parse().ok().filter(|count| *count > 0)?;
    count.checked_mul(unit).filter(|seconds| *seconds != MUTED_FOR_EVER_S)
}

/// A time in the largest unit that says all of it.
pub(in crate::terminal) fn time_words(seconds: u32) -> String {
    let units = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "m")];
    let whole = units.iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{seconds}s"), |(unit, word)| format!("{}{word}", seconds / unit))
}

/// What a rule says to those who read it; `None` for what is none.
pub(in crate::terminal) fn rule_words(
    who: &str,
    content: &Content,
    name: impl Fn(UserId) -> String,
) -> Option<String> {
    Some(match content {
        Content::Muted { member, for_s: 0 } => format!("{who} lets {} speak again", name(*member)),
        Content::Muted { member, for_s: MUTED_FOR_EVER_S } => format!("{who} muted {}", name(*member)),
        Content::Muted { member, for_s } => {
            format!("{who} muted {} for {}", name(*member), time_words(*for_s))
        }
        Content::Banned(user) => format!("{who} banned {}", name(*user)),
        Content::Unbanned(user) => format!("{who} lifted the ban of {}", name(*user)),
        Content::Slowed(0) => format!("{who} ended slow mode"),
        Content::Slowed(interval_s) => {
            format!("{who} set slow mode: one text in {}", time_words(*interval_s))
        }
        _ => return None,
    })
}

/// Whom a rule is about.
pub(in crate::terminal) fn ruled_user(content: &Content) -> Option<UserId> {
    match content {
        Content::Muted { member: user, .. } | Content::Banned(user) | Content::Unbanned(user) => Some(*user),
        _ => None,
    }
}

/// What holds in a group, one line each.
pub(in crate::terminal) fn rules_lines(
    rules: &Rules,
    now_ms: u64,
    name: impl Fn(UserId) -> String,
) -> Vec<String> {
    let slow = match rules.interval_s {
        0 => "no slow mode".to_owned(),
        interval_s => format!("slow mode: one text in {}", time_words(interval_s)),
    };
    let line = |item: &protocol::body::rules::SanctionItem| {
        let mut line = name(UserId(item.user));
        if item.is_banned {
            line.push_str(" is banned");
        }
        if item.muted_until_ms == MUTED_FOR_EVER_MS {
            line.push_str(" is muted");
        } else if item.muted_until_ms > now_ms {
            let left_s = (item.muted_until_ms - now_ms).div_ceil(1000);
            // Writing into a string does not fail.
            let _ = write!(line, " is muted for {left_s} s more");
        }
        line
    };
    let more = rules.more.then(|| "and others".to_owned());
    [slow].into_iter().chain(rules.items.iter().map(line)).chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_said() {
        for (time, wanted) in [("30s", 30), ("10m", 600), ("2h", 7200), ("3d", 259_200)] {
            assert_eq!((seconds(time), time_words(wanted).as_str()), (Some(wanted), time));
        }
        assert_eq!(seconds("off"), Some(0));
        assert_eq!(seconds("forever"), Some(MUTED_FOR_EVER_S));
        for wrong in ["", "m", "0m", "10", "-1m", "1y", "99999999999s", "100000000d", "한"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
        assert_eq!(time_words(90), "90s");
    }
}
