//! What is laid down for a group: who may not send for a while, who may not become a member, and how long a plain member waits
//! from one text to the next. Each is a message of the group's order; here is what holds, who may change it, and what it
//! refuses.
//!
//! A mute outlives the membership, so that nobody gets rid of one by leaving. It ends by the channel's time, which is the
//! home's clock and never steps back. Slow mode counts on the monotonic clock: a wall clock that is set back makes nobody
//! wait longer than the interval; what was sent before the group came to memory is aged by the wall clock once, when it comes.

use std::collections::BTreeMap;

use protocol::body::message::{Change, ROLE_ADMIN, ROLE_OWNER};
use protocol::body::rules::{MUTED_FOR_EVER_MS, SanctionItem, muted_until_ms};
use protocol::commit::{Act, Row, Rule, Sanction};
use protocol::limits::SANCTIONS_MAX;
use protocol::query::RuleRows;
use protocol::{Code, Refusal, UserId};

use super::group::Changed;
use super::{Channel, Submit, Terms};
use crate::input::Tick;
use crate::limits::WordAction;

/// What holds in a group.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// A plain member sends a text only so many seconds after its last; 0 for no wait.
    interval_s: u32,
    sanctions: BTreeMap<UserId, Sanction>,
    /// When plain members sent last, while the group is slow.
    sent: BTreeMap<UserId, LastSent>,
}

/// When a member sent last: so long before a tick.
#[derive(Clone, Copy, Debug)]
struct LastSent {
    at: Tick,
    before_ms: u64,
}

impl LastSent {
    fn age_ms(self, now: Tick) -> u64 {
        now.0.saturating_sub(self.at.0).saturating_add(self.before_ms)
    }
}

impl Rules {
    /// What the store holds of it. What was sent in the future was sent before the clock was set back: its age is not known,
    /// and it makes nobody wait.
    pub(crate) fn new(rows: RuleRows, now: Tick, wall_ms: u64) -> Self {
        let RuleRows { interval_s, sanctions, sent } = rows;
        let last_sent = |at_ms: u64| {
            let before_ms = wall_ms.checked_sub(at_ms).unwrap_or(u64::MAX);
            LastSent { at: now, before_ms }
        };
        Self {
            interval_s,
            sanctions: sanctions.into_iter().collect(),
            sent: sent.into_iter().map(|(user, at_ms)| (user, last_sent(at_ms))).collect(),
        }
    }

    pub(crate) fn interval_s(&self) -> u32 {
        self.interval_s
    }

    /// Who is muted or banned now, behind `after`.
    pub(crate) fn items_after(&self, after: UserId, now_ms: u64) -> impl Iterator<Item = SanctionItem> {
        use core::ops::Bound::{Excluded, Unbounded};
        let behind = self.sanctions.range((Excluded(after), Unbounded));
        behind.filter(move |(_, sanction)| !sanction.is_over(now_ms)).map(move |(user, sanction)| {
            SanctionItem {
                user: user.0,
                // A mute that has ended and one that never was are the same to whoever asks.
                muted_until_ms: if sanction.muted_until_ms > now_ms { sanction.muted_until_ms } else { 0 },
                is_banned: sanction.is_banned,
            }
        })
    }

    pub(super) fn is_banned(&self, user: UserId) -> bool {
        self.sanctions.get(&user).is_some_and(|sanction| sanction.is_banned)
    }

    /// How long a user may not send yet.
    fn muted_for_ms(&self, user: UserId, now_ms: u64) -> Option<u64> {
        let until_ms = self.sanctions.get(&user)?.muted_until_ms;
        until_ms
            .checked_sub(now_ms)
            .filter(|left_ms| *left_ms > 0)
            .map(|left_ms| if until_ms == MUTED_FOR_EVER_MS { MUTED_FOR_EVER_MS } else { left_ms })
    }

    /// How long a plain member has to wait; 0 for not.
    fn slow_for_ms(&self, user: UserId, now: Tick) -> u64 {
        let interval_ms = u64::from(self.interval_s) * 1000;
        self.sent.get(&user).map_or(0, |last| interval_ms.saturating_sub(last.age_ms(now)))
    }
}

impl Channel {
    /// Whether a user is muted: it is not shown to type either.
    pub(crate) fn is_muted(&self, user: UserId, wall_ms: u64) -> bool {
        self.rules.muted_for_ms(user, self.now_ms(wall_ms)).is_some()
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The channel's time, which never steps back.
    pub(crate) fn now_ms(&self, wall_ms: u64) -> u64 {
        self.time_ms.max(wall_ms)
    }

    /// Whether a member may say this now. Whoever is muted takes its own messages back all the same.
    pub(super) fn check_speech(&self, submit: &Submit, terms: Terms<'_>) -> Result<(), Refusal> {
        let sender = submit.origin.user;
        let change = submit.frame.change();
        let is_speech = match change {
            None => true,
            Some(Change::About { act, .. }) => matches!(act, Act::Edits | Act::Reacts { .. }),
            Some(_) => false,
        };
        if !is_speech {
            return Ok(());
        }
        if let Some(left_ms) = self.rules.muted_for_ms(sender, self.now_ms(terms.wall_ms)) {
            return Err(muted(left_ms));
        }
        let is_slowed = change.is_none() && self.is_slowed(sender);
        let wait_ms = if is_slowed { self.rules.slow_for_ms(sender, terms.now) } else { 0 };
        if wait_ms > 0 {
            let text = format!(
                "this group is in slow mode: one text in {} s; the next in {} s",
                self.rules.interval_s,
                wait_ms.div_ceil(1000)
            );
            return Err(Refusal::retry(Code::Slow, hint(wait_ms), text));
        }
        // A message to oneself is for nobody else's eyes.
        if submit.frame.has_word() && terms.limits.words == WordAction::Refuse && self.id.owner().is_none() {
            let text = "the text holds a word that this server does not take";
            return Err(Refusal::new(Code::RefusedWord, "text", text));
        }
        Ok(())
    }

    /// Slow mode is for plain members.
    fn is_slowed(&self, user: UserId) -> bool {
        self.rules.interval_s > 0 && self.role(user).is_some_and(|role| role < ROLE_ADMIN)
    }

    /// Nobody who is banned is added or invited.
    pub(super) fn check_none_banned(&self, named: &[UserId]) -> Result<(), Refusal> {
        let Some(at) = named.iter().position(|user| self.rules.is_banned(*user)) else { return Ok(()) };
        let text = "is banned from this group; lift the ban first";
        Err(Refusal::new(Code::Banned, format!("members[{at}]"), text))
    }

    /// Nor does it come by an invitation of before.
    pub(super) fn check_not_banned(&self, user: UserId) -> Result<(), Refusal> {
        if self.rules.is_banned(user) {
            return Err(Refusal::new(Code::Banned, "channel", "you are banned from this group"));
        }
        Ok(())
    }

    pub(super) fn check_mute(
        &self,
        sender: UserId,
        (member, for_s): (UserId, u32),
        terms: Terms<'_>,
    ) -> Result<(), Refusal> {
        let now_ms = self.now_ms(terms.wall_ms);
        self.check_above(sender, member, "mute")?;
        if for_s == 0 {
            if self.rules.muted_for_ms(member, now_ms).is_none() {
                return Err(Refusal::new(Code::Limit, "member", "is not muted in this group"));
            }
            return Ok(());
        }
        if self.role(member).is_none() {
            return Err(Refusal::new(Code::NoSuchUser, "member", "not a member of this group"));
        }
        self.check_room(member, now_ms)
    }

    pub(super) fn check_ban(&self, sender: UserId, member: UserId, terms: Terms<'_>) -> Result<(), Refusal> {
        self.check_above(sender, member, "ban")?;
        if self.rules.is_banned(member) {
            return Err(Refusal::new(Code::Limit, "member", "is banned from this group already"));
        }
        self.check_room(member, self.now_ms(terms.wall_ms))
    }

    pub(super) fn check_unban(&self, sender: UserId, member: UserId) -> Result<(), Refusal> {
        self.need_role(sender, ROLE_ADMIN)?;
        if self.rules.is_banned(member) {
            return Ok(());
        }
        Err(Refusal::new(Code::Limit, "member", "is not banned from this group"))
    }

    /// Who may do this to whom: an admin to members, an owner to everybody, nobody to itself. Of who is no member nothing is
    /// known, and an admin is enough.
    fn check_above(&self, sender: UserId, member: UserId, verb: &str) -> Result<(), Refusal> {
        self.need_role(sender, ROLE_ADMIN)?;
        if member == sender {
            let text = format!("nobody may {verb} itself; name another member");
            return Err(Refusal::new(Code::Limit, "member", text));
        }
        let (own, of) = (self.role(sender), self.role(member));
        if of.is_none() || own == Some(ROLE_OWNER) || own > of {
            return Ok(());
        }
        let text = format!("only an owner may {verb} an owner or admin");
        Err(Refusal::new(Code::Forbidden, "member", text))
    }

    fn check_room(&self, member: UserId, now_ms: u64) -> Result<(), Refusal> {
        let others = self
            .rules
            .sanctions
            .iter()
            .filter(|(user, sanction)| **user != member && !sanction.is_over(now_ms));
        if others.count() < SANCTIONS_MAX {
            return Ok(());
        }
        let text = format!("{SANCTIONS_MAX} users of this group are muted or banned, which is the most");
        Err(Refusal::new(Code::Limit, "member", text))
    }

    pub(super) fn apply_mute(&mut self, member: UserId, for_s: u32) -> Changed {
        let until_ms = muted_until_ms(self.time_ms, for_s);
        self.sanction(member, |sanction| sanction.muted_until_ms = until_ms)
    }

    /// Who is a member is one no more. The rows of the stay and of the ban come with the same message.
    pub(super) fn apply_ban(&mut self, member: UserId) -> Changed {
        let mut changed = if self.is_member(member) { self.apply_left(member) } else { Changed::default() };
        changed.rows.extend(self.sanction(member, |sanction| sanction.is_banned = true).rows);
        changed
    }

    pub(super) fn apply_unban(&mut self, member: UserId) -> Changed {
        self.sanction(member, |sanction| sanction.is_banned = false)
    }

    pub(super) fn apply_slow(&mut self, interval_s: u32) -> Changed {
        self.rules.interval_s = interval_s;
        if interval_s == 0 {
            self.rules.sent.clear();
        }
        self.changed = self.head;
        let rule = Rule::Slow(interval_s);
        Changed { rows: vec![Row::Rule { channel: self.id, rule }], ..Changed::default() }
    }

    /// The rows of a plain member's text in a group that is slow.
    pub(super) fn apply_sent(&mut self, user: UserId, now: Tick, wall_ms: u64) -> Option<Row> {
        if !self.is_slowed(user) {
            return None;
        }
        self.rules.sent.insert(user, LastSent { at: now, before_ms: 0 });
        let rule = Rule::Sent { user, at_ms: wall_ms };
        Some(Row::Rule { channel: self.id, rule })
    }

    /// What is laid on a user changes, and what has ended of others is forgotten with it.
    fn sanction(&mut self, user: UserId, change: impl FnOnce(&mut Sanction)) -> Changed {
        // The answer to who asks for the rules waits for this message to be stored.
        self.changed = self.head;
        change(self.rules.sanctions.entry(user).or_default());
        let (now_ms, channel) = (self.time_ms, self.id);
        let mut rows = Vec::new();
        self.rules.sanctions.retain(|of, sanction| {
            let is_over = sanction.is_over(now_ms);
            if is_over || *of == user {
                let sanction = if is_over { Sanction::default() } else { *sanction };
                rows.push(Row::Rule { channel, rule: Rule::Sanction { user: *of, sanction } });
            }
            !is_over
        });
        Changed { rows, ..Changed::default() }
    }
}

/// A hint of so many milliseconds, as far as one reaches.
fn hint(ms: u64) -> u32 {
    u32::try_from(ms).unwrap_or(u32::MAX)
}

fn muted(left_ms: u64) -> Refusal {
    if left_ms == MUTED_FOR_EVER_MS {
        let text = "you are muted in this group until an owner or admin lifts it";
        return Refusal::new(Code::Muted, "channel", text);
    }
    let text = format!("you are muted in this group for another {} s", left_ms.div_ceil(1000));
    Refusal { retry_after_ms: hint(left_ms), ..Refusal::new(Code::Muted, "channel", text) }
}
