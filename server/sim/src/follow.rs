//! What holds of large channels: a session that follows one is told every message behind the head that it was given, in order
//! and without a hole, but for those that its user's inbox holds; nothing from outside its user's stays; and once everything has
//! come to rest, all of them.

use std::collections::BTreeMap;

use protocol::body::large::Heads;
use protocol::{ChannelId, Seq, UserId};

use crate::broken;
use crate::oracle::{Check, Oracle};

/// How far one connection was told the large channels that it follows.
#[derive(Debug, Default)]
pub(crate) struct Follows(BTreeMap<ChannelId, Seq>);

impl Follows {
    /// From here on the messages behind these heads come.
    pub(crate) fn heads(&mut self, oracle: &Oracle, user: UserId, heads: &Heads) -> Check {
        for item in &heads.items {
            let (channel, head) = (ChannelId(item.channel), Seq(item.head));
            if head > oracle.head(channel) || oracle.member(channel, user).is_none() {
                broken!("{user} is told that {channel:?} has come to {head}");
            }
            let told = self.0.insert(channel, head);
            if told.is_some_and(|told| told > head) {
                broken!("{user} was told {channel:?} to {told:?}, and then that its head is {head}");
            }
        }
        Ok(())
    }

    /// A message that the inbox does not hold.
    pub(crate) fn told(&mut self, oracle: &Oracle, user: UserId, channel: ChannelId, seq: Seq) -> Check {
        let Some(told) = self.0.insert(channel, seq) else {
            broken!("{user} is told {channel:?} {seq} before a head");
        };
        if !oracle.may_read(channel, user, seq) {
            broken!("{user} is told {channel:?} {seq}, and was no member then");
        }
        if seq <= told {
            broken!("{user} is told {channel:?} {seq} behind {told}");
        }
        match missing(oracle, user, channel, (told, Seq(seq.0 - 1))) {
            Some(missing) => broken!("{user} is told {channel:?} {seq} without {missing}"),
            None => Ok(()),
        }
    }

    /// Whether everything was told that is there.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn settled(&self, oracle: &Oracle, user: UserId) -> Check {
        for channel in oracle.groups() {
            let is_member = oracle.member(channel, user).is_some_and(|stays| stays.is_member());
            let head = oracle.head(channel);
            if !is_member || !oracle.is_large(channel, head.next()) {
                continue;
            }
            let Some(told) = self.0.get(&channel) else {
                broken!("{user} does not follow {channel:?}");
            };
            if let Some(missing) = missing(oracle, user, channel, (*told, head)) {
                broken!("{user} was told {channel:?} to {told}, not {missing}");
            }
        }
        Ok(())
    }
}

/// The first message in the range `after < seq <= through` that a follower is to be told.
fn missing(oracle: &Oracle, user: UserId, channel: ChannelId, (after, through): (Seq, Seq)) -> Option<Seq> {
    // What was recalled before it was read is not told: that it was is.
    let is_due = |seq: &Seq| {
        let is_recalled = oracle.fact(channel, *seq).is_some_and(|fact| fact.was.is_some());
        !is_recalled && oracle.may_read(channel, user, *seq) && !oracle.is_recipient(channel, user, *seq)
    };
    (after.0 + 1..=through.0).map(Seq).find(is_due)
}
