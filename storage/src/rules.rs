//! What the rows of `about` say together of what is laid down for a group.

use protocol::commit::{SANCTION_TAG, SENT_TAG, SLOW_TAG, Sanction, decode_sent, decode_slow};
use protocol::query::RuleRows;
use protocol::{ChannelId, UserId};

use crate::family::Family;
use crate::key;
use crate::rows::{Direction, Found};
use crate::view::{View, damaged};

impl View<'_> {
    /// All of a group. When members sent is read of a slow one only: of another it says nothing.
    pub(crate) fn rules(&self, channel: ChannelId) -> Found<RuleRows> {
        let slow = self.get_decoded(Family::About, &key::about(channel, SLOW_TAG), decode_slow)?;
        let sanctions = self.of_users(channel, SANCTION_TAG, Sanction::decode)?;
        let sent = match slow {
            Some(_) => self.of_users(channel, SENT_TAG, decode_sent)?,
            None => Vec::new(),
        };
        Ok(RuleRows { interval_s: slow.unwrap_or_default(), sanctions, sent })
    }

    /// The rows of users under one tag, rising.
    fn of_users<T>(
        &self,
        channel: ChannelId,
        tag: u8,
        decode: impl Fn(&[u8]) -> Option<T>,
    ) -> Found<Vec<(UserId, T)>> {
        let prefix = key::about(channel, tag);
        let mut found = Vec::new();
        self.scan_from(Family::About, (&prefix, &prefix), Direction::Rising, &mut |key, value| {
            let user = key.get(prefix.len()..).and_then(|user| user.try_into().ok()).map(u64::from_be_bytes);
            let row = user.map(UserId).zip(decode(value.bytes()));
            found.push(row.ok_or_else(|| damaged(Family::About, key))?);
            Ok(true)
        })?;
        Ok(found)
    }
}
