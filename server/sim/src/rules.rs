//! What is laid down for groups, in the model: who may lay it down, what it refuses, and which rows follow. Said once more,
//! independently of the core and of the store.

use std::collections::BTreeMap;

use protocol::body::message::{Change, ROLE_ADMIN, ROLE_OWNER};
use protocol::body::read;
use protocol::body::rules::Rules;
use protocol::body::rules::muted_until_ms;
use protocol::commit::{Act, Batch, Row, Rule, Sanction};
use protocol::{ChannelId, Frame, Seq, UserId};

use crate::broken;
use crate::oracle::{Check, Fact, History, Oracle};

/// What a history lays down.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ruled {
    sanctions: BTreeMap<UserId, Sanction>,
    interval_s: u32,
}

impl Ruled {
    fn of(&self, user: UserId) -> Sanction {
        self.sanctions.get(&user).copied().unwrap_or_default()
    }

    /// Whether a message may stand here: of one who is muted nothing is ordered, and nobody who is banned becomes a member.
    pub(crate) fn check(&self, fact: &Fact, change: Option<&Change>) -> Check {
        let is_speech = match change {
            None => true,
            Some(Change::About { act, .. }) => matches!(act, Act::Edits | Act::Reacts { .. }),
            Some(_) => false,
        };
        let sanction = self.of(fact.sender);
        if is_speech && sanction.muted_until_ms > fact.time_ms {
            broken!("{fact:?}, and its sender is muted until {}", sanction.muted_until_ms);
        }
        let joins = match change {
            Some(Change::Joins(users) | Change::Invites(users)) => &users[..],
            Some(Change::Accepts) => core::slice::from_ref(&fact.sender),
            _ => &[],
        };
        if let Some(user) = joins.iter().find(|user| self.of(**user).is_banned) {
            broken!("{fact:?} lets {user} in, who is banned");
        }
        Ok(())
    }

    /// Takes what a message lays down. `role` says whose role is which now.
    pub(crate) fn take(
        &mut self,
        fact: &Fact,
        change: &Change,
        role: impl Fn(UserId) -> Option<u8>,
    ) -> Check {
        let own = role(fact.sender);
        let is_above = |member: UserId| {
            let of = role(member);
            member != fact.sender && (of.is_none() || own == Some(ROLE_OWNER) || own > of)
        };
        match change {
            Change::Mutes { member, for_s } => {
                if !is_above(*member) {
                    broken!("{fact:?} mutes {member}, who has role {:?}", role(*member));
                }
                self.sanctions.entry(*member).or_default().muted_until_ms =
                    muted_until_ms(fact.time_ms, *for_s);
            }
            Change::Bans(user) => {
                if !is_above(*user) || self.of(*user).is_banned {
                    broken!("{fact:?} bans {user}, who has role {:?}", role(*user));
                }
                self.sanctions.entry(*user).or_default().is_banned = true;
            }
            Change::Unbans(user) => {
                if !self.of(*user).is_banned {
                    broken!("{fact:?} lets {user} back, who is not banned");
                }
                self.sanctions.entry(*user).or_default().is_banned = false;
            }
            Change::Slows(interval_s) => self.interval_s = *interval_s,
            _ => {}
        }
        Ok(())
    }
}

/// The least role that may lay something down; `None` for what lays nothing down.
pub(crate) fn needed(change: &Change) -> Option<u8> {
    let lays =
        matches!(change, Change::Mutes { .. } | Change::Bans(_) | Change::Unbans(_) | Change::Slows(_));
    lays.then_some(ROLE_ADMIN)
}

/// Who is muted or banned in a group, by its durable messages; mutes that have ended too.
impl Oracle {
    /// Users who are banned from a group.
    #[must_use]
    pub fn banned(&self, channel: ChannelId) -> Vec<UserId> {
        let ruled = self.channels.get(&channel).map(|history| &history.ruled.sanctions);
        let banned = ruled.into_iter().flatten().filter(|(_, sanction)| sanction.is_banned);
        banned.map(|(user, _)| *user).collect()
    }
}

/// What a page tells is said by durable messages, to somebody who was there.
///
/// # Errors
/// What nobody laid down, or of others, to who was never more than a plain member.
pub(crate) fn page(oracle: &Oracle, user: UserId, frame: &Frame) -> Check {
    let Some(body) = read::<Rules>(frame) else { broken!("unreadable Rules") };
    let channel = ChannelId(body.channel);
    let Some(history) = oracle.channels.get(&channel) else { broken!("{body:?} of no group") };
    if oracle.member(channel, user).is_none() {
        broken!("rules of {channel:?} shown to {user}, who never was a member");
    }
    for item in &body.items {
        // Since it was told more may have become durable; what was never said is told by nobody.
        if !history.ruled.sanctions.contains_key(&UserId(item.user)) {
            broken!("{item:?} of {channel:?}, the messages say {:?}", history.ruled);
        }
    }
    Ok(())
}

/// The rows of a batch say what its messages do.
///
/// # Errors
/// A row that no message says, or a message without its row.
pub(crate) fn rows(oracle: &Oracle, batch: &Batch) -> Check {
    let all = || batch.parts.iter().flat_map(|part| &part.rows);
    let mut written: BTreeMap<(ChannelId, Option<UserId>), Rule> = BTreeMap::new();
    for row in all() {
        if let Row::Rule { channel, rule } = row
            && !matches!(rule, Rule::Sent { .. })
        {
            written.insert((*channel, rule.user()), *rule);
        }
    }
    for row in all() {
        let Row::Message { channel, seq, frame } = row else { continue };
        let whose = match Change::read(frame) {
            Some(Change::Mutes { member: user, .. } | Change::Bans(user) | Change::Unbans(user)) => {
                Some(user)
            }
            Some(Change::Slows(_)) => None,
            _ => continue,
        };
        if !written.contains_key(&(*channel, whose)) {
            broken!("{channel:?} {seq}: laid down, and no row says so");
        }
    }
    for ((channel, _), rule) in &written {
        let Some(history) = oracle.channels.get(channel) else {
            broken!("{channel:?}: {rule:?}, and it has no messages");
        };
        is_said(history, rule, oracle.head(*channel)).map_err(|words| format!("{channel:?}: {words}"))?;
    }
    Ok(())
}

fn is_said(history: &History, rule: &Rule, head: Seq) -> Check {
    let now_ms = history.facts.last().map_or(0, |fact| fact.time_ms);
    let is_said = match rule {
        Rule::Slow(interval_s) => history.ruled.interval_s == *interval_s,
        // What has ended may be forgotten.
        Rule::Sanction { user, sanction } => {
            let says = history.ruled.of(*user);
            says == *sanction || (*sanction == Sanction::default() && says.is_over(now_ms))
        }
        Rule::Sent { .. } => true,
    };
    if is_said { Ok(()) } else { Err(format!("{rule:?} at {head}, the messages say {:?}", history.ruled)) }
}
