//! What is said about a message that is there: who may say it, and the rows that follow. The store is asked for the message
//! and its rows first, behind everything that is on its way there; the channel's sends wait for the answer, so that nothing
//! can come between.

use protocol::body::message::{Change, ROLE_ADMIN};
use protocol::commit::{Act, Facts, Row};
use protocol::query::Sent;
use protocol::{Code, Kind, Refusal, Seq, UserId};

use super::group::Changed;
use super::{Channel, Submit};

/// What the store knows of a message about which something is to be said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    /// Kind and key; `None` when there is no such message.
    pub(crate) message: Option<(Kind, Sent)>,
    /// What is said of it.
    pub(crate) facts: Facts,
}

impl Channel {
    /// Whether a member may say this; what the store knows of the message is not here yet when this is asked for the first
    /// time. As with what a text answers, the message is one since the member came the last time.
    pub(super) fn check_about(&self, submit: &Submit, seq: Seq, act: &Act) -> Result<(), Refusal> {
        let sender = submit.origin.user;
        if matches!(act, Act::Pins(_)) && self.id.users().is_none() {
            self.need_role(sender, ROLE_ADMIN)?;
        }
        self.check_seq(sender, "target", Some(seq))?;
        submit.target.as_ref().map_or(Ok(()), |target| check_target(sender, (seq, target), act))
    }

    /// The rows of what is said with the newest seq.
    pub(super) fn apply_about(&self, submit: &Submit, seq: Seq, act: &Act) -> Changed {
        let mut facts = submit.target.as_ref().map(|target| target.facts.clone()).unwrap_or_default();
        let rows = facts.take((seq, act), self.head, submit.origin.user);
        let row = |about| Row::About { channel: self.id, about };
        Changed { rows: rows.into_iter().map(row).collect(), ..Changed::default() }
    }
}

/// The message about which a frame says something.
pub(super) fn target_of(submit: &Submit) -> Option<Seq> {
    match submit.frame.change() {
        Some(Change::About { target, .. }) => Some(*target),
        _ => None,
    }
}

fn check_target(sender: UserId, (seq, target): (Seq, &Target), act: &Act) -> Result<(), Refusal> {
    let Some((Kind::SEND_TEXT, sent)) = &target.message else {
        let text = format!("{seq} is no text; only a text is edited, reacted to or pinned");
        return Err(Refusal::new(Code::Limit, "target", text));
    };
    if *act == Act::Edits && sent.sender != sender {
        return Err(Refusal::new(Code::Forbidden, "target", "only who sent a text edits it"));
    }
    target.facts.check(seq, act)
}
