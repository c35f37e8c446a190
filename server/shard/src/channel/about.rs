//! What is said about a message that is there: who may say it, and the rows that follow. The store is asked for the message
//! and its rows first, behind everything that is on its way there; the channel's sends wait for the answer, so that nothing
//! can come between.

use protocol::body::about::Recalled;
use protocol::body::message::{Change, ROLE_ADMIN, ROLE_OWNER};
use protocol::commit::{Act, Facts, Row};
use protocol::query::Sent;
use protocol::{Code, Kind, Refusal, Seq, UserId};

use super::group::Changed;
use super::{Channel, Submit};
use crate::input::Tick;
use crate::limits::Limits;

/// What the store knows of a message about which something is to be said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    /// Kind and key; `None` when there is no such message.
    pub(crate) message: Option<(Kind, Sent)>,
    /// What stands in its place, when it was recalled.
    pub(crate) recalled: Option<Box<Recalled>>,
    /// What is said of it.
    pub(crate) facts: Facts,
    /// Keys of its edits, when it is to be recalled.
    pub(crate) edits: Vec<Sent>,
}

/// When something is said, and what the operator allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) now: Tick,
    pub(crate) wall_ms: u64,
}

impl Channel {
    /// Whether a member may say this; what the store knows of the message is not here yet when this is asked for the first
    /// time. As with what a text answers, the message is one since the member came the last time.
    pub(super) fn check_about(
        &self,
        submit: &Submit,
        (seq, act): (Seq, &Act),
        terms: Terms<'_>,
    ) -> Result<(), Refusal> {
        let sender = submit.origin.user;
        if matches!(act, Act::Pins(_)) && self.id.users().is_none() {
            self.need_role(sender, ROLE_ADMIN)?;
        }
        self.check_seq(sender, "target", Some(seq))?;
        let recalled = submit.target.as_ref().and_then(|target| target.recalled.as_deref());
        if seq < self.floor || recalled.is_some_and(Recalled::is_purge) {
            let text = format!("{seq} is no more: messages of this channel up to it were purged");
            return Err(Refusal::new(Code::Limit, "target", text));
        }
        let Some(target) = &submit.target else { return Ok(()) };
        if *act == Act::Recalls {
            return self.check_recall(sender, (seq, target), terms);
        }
        check_target(sender, (seq, target), act)
    }

    /// Who sent a text recalls it for as long as the operator allows; of a group's others only those may who could remove its
    /// sender, and at any time.
    fn check_recall(
        &self,
        user: UserId,
        (seq, target): (Seq, &Target),
        Terms { limits, wall_ms, .. }: Terms<'_>,
    ) -> Result<(), Refusal> {
        let sent = match (&target.message, &target.recalled) {
            (Some((Kind::SEND_TEXT, sent)), _) => sent,
            // Once more changes nothing, and is no fault. What was an edit is no text of its own.
            (Some((Kind::RECALLED, sent)), Some(recalled)) if recalled.target == seq.0 => sent,
            _ => return Err(no_text(seq)),
        };
        let own_role = self.role(user).unwrap_or_default();
        if sent.sender != user {
            if self.id.users().is_some() || own_role < ROLE_ADMIN {
                let text = "only who sent a text recalls it, or an owner or admin of its group";
                return Err(Refusal::new(Code::Forbidden, "target", text));
            }
            let of_role = self.role(sent.sender).unwrap_or_default();
            if own_role != ROLE_OWNER && of_role >= own_role {
                let text = "only an owner may recall what an owner or admin sent";
                return Err(Refusal::new(Code::Forbidden, "target", text));
            }
            return Ok(());
        }
        // An owner or admin is not bound by the time: it could recall everybody else's.
        let is_admin = self.id.users().is_none() && own_role >= ROLE_ADMIN;
        let window_ms = u64::from(limits.recall_window_s) * 1000;
        let age_ms = self.time_ms.max(wall_ms).saturating_sub(sent.time_ms);
        if target.recalled.is_none() && !is_admin && window_ms > 0 && age_ms > window_ms {
            let text = format!("was sent more than {} s ago; it can be recalled no more", window_ms / 1000);
            return Err(Refusal::new(Code::Limit, "target", text));
        }
        Ok(())
    }

    /// The rows of what is said with the newest seq.
    pub(super) fn apply_about(&mut self, submit: &Submit, seq: Seq, act: &Act) -> Changed {
        let mut rows = if *act == Act::Recalls { self.apply_recall(submit, seq) } else { Vec::new() };
        let mut facts = submit.target.as_ref().map(|target| target.facts.clone()).unwrap_or_default();
        let said = facts.take((seq, act), self.head, submit.origin.user);
        rows.extend(said.into_iter().map(|about| Row::About { channel: self.id, about }));
        Changed { rows, ..Changed::default() }
    }

    /// Everything up to `durable` is stored: of what was recalled so far nothing is known any more but the keys.
    pub(super) fn forget_recalled(&mut self, durable: Seq) {
        while let Some((_, gone)) = self.recalls.pop_front_if(|(by, _)| *by <= durable) {
            for seq in gone {
                if let Some(window) = self.window() {
                    window.forget_content(seq);
                }
            }
        }
    }

    /// The text and its edits are gone from the history with the newest seq, and from what is known of its sends.
    fn apply_recall(&mut self, submit: &Submit, seq: Seq) -> Vec<Row> {
        let Some(target) = submit.target.as_ref().filter(|target| target.recalled.is_none()) else {
            return Vec::new();
        };
        let (channel, user) = (self.id, submit.origin.user);
        let recalled = Recalled {
            channel: channel.0,
            target: seq.0,
            by: self.head.0,
            user: user.0,
            time_ms: self.time_ms,
        };
        let text = target.message.iter().map(|(_, sent)| sent);
        let gone: Vec<Sent> = text.chain(&target.edits).copied().collect();
        // Until it is stored nobody is answered by it.
        self.recalls.push_back((self.head, gone.iter().map(|sent| sent.seq).collect()));
        let rewrite = |sent: Sent| {
            let frame = recalled.tombstone(sent.send_id, sent.stamp());
            Row::Rewrite { channel, seq: sent.seq, frame }
        };
        gone.into_iter().map(rewrite).collect()
    }
}

/// The message about which a frame says something, and whether its edits must be known too.
pub(super) fn target_of(submit: &Submit) -> Option<(Seq, bool)> {
    match submit.frame.change() {
        Some(Change::About { target, act }) => Some((*target, *act == Act::Recalls)),
        _ => None,
    }
}

fn no_text(seq: Seq) -> Refusal {
    let text = format!("{seq} is no text; only a text is edited, recalled, reacted to or pinned");
    Refusal::new(Code::Limit, "target", text)
}

fn check_target(sender: UserId, (seq, target): (Seq, &Target), act: &Act) -> Result<(), Refusal> {
    if target.recalled.is_some() {
        let text = format!("{seq} was recalled; nothing more is said about it");
        return Err(Refusal::new(Code::Limit, "target", text));
    }
    let Some((Kind::SEND_TEXT, sent)) = &target.message else { return Err(no_text(seq)) };
    if *act == Act::Edits && sent.sender != sender {
        return Err(Refusal::new(Code::Forbidden, "target", "only who sent a text edits it"));
    }
    target.facts.check(seq, act)
}
