//! What a text may be about: which messages it may name, and whom.

use protocol::body::message::ROLE_ADMIN;
use protocol::body::talk::Talk;
use protocol::commit::Row;
use protocol::{Code, Refusal, Seq, UserId};

use super::Channel;
use super::group::Changed;
use crate::limits::MENTION_ALL_MEMBERS_MAX;

impl Channel {
    /// Whether a member may say this; nothing is asked of the store. A message may be named from the beginning of the
    /// member's present stay to the newest that has a seq, be it stored or not: what an earlier stay showed would have to be
    /// looked up. That a thread begins with something that may itself stand in one is no matter: a message is in the thread
    /// that it names.
    pub(super) fn check_talk(&self, sender: UserId, talk: &Talk) -> Result<(), Refusal> {
        self.check_seq(sender, "reply_to", talk.reply_to)?;
        self.check_seq(sender, "thread", talk.thread)?;
        if let Some(at) = talk.mentions.iter().position(|user| !self.is_member(*user)) {
            let text = "not a member of this channel; only members can be mentioned";
            return Err(Refusal::new(Code::Limit, format!("mentions[{at}]"), text));
        }
        if self.is_large() && (talk.all || talk.online) {
            let text = "in a large channel nobody mentions all or all online; mention members by name";
            return Err(Refusal::new(Code::Limit, "mention_flags", text));
        }
        let is_wide = (talk.all || talk.online) && self.members.len() > MENTION_ALL_MEMBERS_MAX;
        if is_wide && self.members.get(&sender).is_none_or(|member| member.role < ROLE_ADMIN) {
            let text = format!(
                "in a group of more than {MENTION_ALL_MEMBERS_MAX} members only an owner or admin mentions all or all online"
            );
            return Err(Refusal::new(Code::Limit, "mention_flags", text));
        }
        Ok(())
    }

    pub(super) fn check_seq(&self, sender: UserId, path: &str, named: Option<Seq>) -> Result<(), Refusal> {
        let Some(seq) = named else { return Ok(()) };
        let joined = self.members.get(&sender).map_or(Seq(u64::MAX), |member| member.joined);
        if seq <= self.head && seq >= joined {
            return Ok(());
        }
        let text = format!("{seq} is no message of this channel since you are in it");
        Err(Refusal::new(Code::Limit, path, text))
    }

    /// The rows of a text with this seq, besides its own.
    pub(super) fn apply_talk(&self, talk: &Talk) -> Changed {
        let thread = |root| Row::Thread { channel: self.id, root, seq: self.head };
        Changed { rows: talk.thread.map(thread).into_iter().collect(), ..Changed::default() }
    }
}
