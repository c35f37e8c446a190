//! The rows of what is laid down for a group are what its history adds up to.

use std::collections::BTreeMap;

use protocol::body::message::Change;
use protocol::body::rules::muted_until_ms;
use protocol::commit::{SANCTION_TAG, SENT_TAG, SLOW_TAG, Sanction, decode_sent, decode_slow};
use protocol::{BayId, ChannelId, Stamp, UserId};

use super::{Check, name};
use crate::rows::Found;

/// What a history says while it streams by; what it does not say, because that was purged or never said, is `None`.
#[derive(Default)]
pub(super) struct Ruled {
    interval_s: Option<u32>,
    sanctions: BTreeMap<UserId, Says>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Says {
    muted_until_ms: Option<u64>,
    is_banned: Option<bool>,
}

impl Says {
    /// What the row must say: of what was purged it is taken as it is.
    fn expects(self, row: Sanction, is_purged: bool) -> Sanction {
        let unsaid = if is_purged { row } else { Sanction::default() };
        Sanction {
            muted_until_ms: self.muted_until_ms.unwrap_or(unsaid.muted_until_ms),
            is_banned: self.is_banned.unwrap_or(unsaid.is_banned),
        }
    }
}

impl Ruled {
    pub(super) fn take(&mut self, stamp: Stamp, change: &Change) {
        match change {
            Change::Mutes { member, for_s } => {
                let until_ms = muted_until_ms(stamp.time_ms, *for_s);
                self.sanctions.entry(*member).or_default().muted_until_ms = Some(until_ms);
            }
            Change::Bans(user) => self.sanctions.entry(*user).or_default().is_banned = Some(true),
            Change::Unbans(user) => self.sanctions.entry(*user).or_default().is_banned = Some(false),
            Change::Slows(interval_s) => self.interval_s = Some(*interval_s),
            _ => {}
        }
    }

    /// What has ended by the time of the newest message may be forgotten.
    pub(super) fn rows(
        &self,
        check: &mut Check<'_>,
        channel: ChannelId,
        time_ms: u64,
        is_purged: bool,
    ) -> Found<()> {
        let found = check.view.rules(channel, false)?;
        let bay = BayId::of_channel(channel);
        let interval_s = self.interval_s.unwrap_or(if is_purged { found.interval_s } else { 0 });
        if found.interval_s != interval_s {
            let what =
                format!("{} is slow by {} s, its history says {interval_s}", name(channel), found.interval_s);
            check.broken(bay, what);
        }
        let rows: BTreeMap<UserId, Sanction> = found.sanctions.into_iter().collect();
        for user in self.sanctions.keys().chain(rows.keys()) {
            let row = rows.get(user).copied();
            let says = self.sanctions.get(user).copied().unwrap_or_default();
            let expected = says.expects(row.unwrap_or_default(), is_purged);
            let may_lack = expected.is_over(time_ms);
            if row != Some(expected) && !(row.is_none() && may_lack) {
                let what = format!(
                    "{}: the row of user {user} says {row:?}, its history {expected:?}",
                    name(channel)
                );
                check.broken(bay, what);
            }
        }
        Ok(())
    }
}

/// Whether the row is one of its tag; `None` for another tag.
pub(super) fn is_row(tag: u8, rest: &[u8], value: &[u8]) -> Option<bool> {
    Some(match tag {
        SLOW_TAG => rest.is_empty() && decode_slow(value).is_some(),
        SANCTION_TAG => rest.len() == 8 && Sanction::decode(value).is_some(),
        SENT_TAG => rest.len() == 8 && decode_sent(value).is_some(),
        _ => return None,
    })
}
