//! The rows of what is laid down for a group are what its history adds up to.

use std::collections::BTreeMap;

use protocol::body::message::Change;
use protocol::body::rules::muted_until_ms;
use protocol::commit::{SANCTION_TAG, SENT_TAG, SLOW_TAG, Sanction, decode_sent, decode_slow};
use protocol::{BayId, ChannelId, Stamp, UserId};

use super::{Check, name};
use crate::rows::Found;

/// What a history says while it streams by.
#[derive(Default)]
pub(super) struct Ruled {
    interval_s: u32,
    sanctions: BTreeMap<UserId, Sanction>,
}

impl Ruled {
    pub(super) fn take(&mut self, stamp: Stamp, change: &Change) {
        match change {
            Change::Mutes { member, for_s } => {
                self.sanctions.entry(*member).or_default().muted_until_ms =
                    muted_until_ms(stamp.time_ms, *for_s);
            }
            Change::Bans(user) => self.sanctions.entry(*user).or_default().is_banned = true,
            Change::Unbans(user) => self.sanctions.entry(*user).or_default().is_banned = false,
            Change::Slows(interval_s) => self.interval_s = *interval_s,
            _ => {}
        }
    }

    /// What has ended by the time of the newest message may be forgotten.
    pub(super) fn rows(&self, check: &mut Check<'_>, channel: ChannelId, time_ms: u64) -> Found<()> {
        let found = check.view.rules(channel, false)?;
        let bay = BayId::of_channel(channel);
        if found.interval_s != self.interval_s {
            let what = format!(
                "{} is slow by {} s, its history says {}",
                name(channel),
                found.interval_s,
                self.interval_s
            );
            check.broken(bay, what);
        }
        let rows: BTreeMap<UserId, Sanction> = found.sanctions.into_iter().collect();
        for user in self.sanctions.keys().chain(rows.keys()) {
            let (row, says) = (rows.get(user), self.sanctions.get(user));
            let may_lack = says.is_some_and(|says| says.is_over(time_ms));
            if row != says && !(row.is_none() && may_lack) {
                let what =
                    format!("{}: the row of user {user} says {row:?}, its history {says:?}", name(channel));
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
