//! A user is erased in the model: which of its messages may become tombstones and when, that nothing of it is left once all is at
//! rest, and that nobody else loses anything.

use std::collections::{BTreeMap, BTreeSet};

use protocol::body::about::Recalled;
use protocol::body::erase::Erasure;
use protocol::commit::{About, Act, Batch, ErasedRow, Row};
use protocol::{ChannelId, Frame, Kind, Seq, Stamp, UserId};
use shard::{Command, CommandError, Input, Ticket};

use crate::broken;
use crate::oracle::{Check, Fact, Oracle};
use crate::rng::Rng;
use crate::world::World;

/// Whom the operator erases, and what was asked for and is not answered.
#[derive(Debug)]
pub(crate) struct Erasures {
    pub(crate) rng: Rng,
    user: Option<UserId>,
    asked: BTreeMap<Ticket, ChannelId>,
    /// Channels of which a home has said that nothing is left.
    pub(crate) whole: u64,
}

impl Erasures {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed ^ 0x6572_6173), user: None, asked: BTreeMap::new(), whole: 0 }
    }

    pub(crate) fn process_died(&mut self) {
        self.asked.clear();
    }

    /// Whether this one is erased: it gets no device any more.
    pub(crate) fn is_of(&self, user: UserId) -> bool {
        self.user == Some(user)
    }
}

impl Oracle {
    /// What of a user is left in a channel that its erasure has to take.
    fn is_left(&self, channel: ChannelId, user: UserId) -> bool {
        let Some(history) = self.channels.get(&channel) else { return false };
        let is_member = self.member(channel, user).is_some_and(crate::oracle::Stays::is_member);
        let is_text = |fact: &Fact| fact.sender == user && is_written(fact.kind) && fact.purged.is_none();
        let reacts = history.remarks.values().any(|remark| {
            remark.sender == user
                && matches!(remark.act, Act::Reacts { .. })
                && !history.floor.hides(remark.target)
        });
        // The last owner of a large channel stays.
        let stays = !is_member || history.is_large_now();
        history.facts.iter().any(is_text) || !stays || (reacts && self.reacts(channel, user))
    }

    /// Whether the home may have said this for a user who is erased.
    pub(crate) fn is_erasing(&self, fact: &Fact) -> bool {
        self.erasing.contains(&fact.sender) && [Kind::ERASE, Kind::LEAVE_GROUP].contains(&fact.kind)
    }

    /// Whether somebody was erased from a channel: then what is said in one way stands in an order of its own.
    pub(crate) fn has_erased(&self, channel: ChannelId) -> bool {
        self.erased.contains(&channel)
    }

    /// Whether a frame is the tombstone of an ERASE that is durable: an inbox in memory has it before the store does.
    pub(crate) fn is_erased_by(&self, channel: ChannelId, sender: UserId, frame: &Frame) -> bool {
        let says = Recalled::read(frame).filter(|says| says.user == sender.0);
        let by = says.and_then(|says| self.fact(channel, Seq(says.by)));
        by.is_some_and(|by| (by.sender, by.kind) == (sender, Kind::ERASE))
    }

    /// How far an erasure has come is durable, with what it has taken in the same batch.
    pub(crate) fn add_erased(
        &mut self,
        batch: &Batch,
        (channel, user): (ChannelId, UserId),
        row: &ErasedRow,
    ) -> Check {
        if !self.erasing.contains(&user) {
            broken!("{channel:?}: {user} is erased, which nobody asked for");
        }
        self.erased.insert(channel);
        // Its first row is in the batch of the ERASE, before it.
        let is_first = row.by == self.head(channel).next() && row.next == Seq(0);
        if row.by > Seq(0)
            && !is_first
            && self.fact(channel, row.by).is_none_or(|fact| (fact.sender, fact.kind) != (user, Kind::ERASE))
        {
            broken!("{channel:?}: {row:?} of {user} is by {:?}", self.fact(channel, row.by));
        }
        self.recalls += 1;
        let mut gone = BTreeSet::new();
        let rows = || batch.parts.iter().flat_map(|part| &part.rows);
        for row_of in rows() {
            match row_of {
                Row::Rewrite { channel: of, seq, frame } if *of == channel => {
                    gone.extend(self.take_written((channel, user), *seq, frame, row)?);
                }
                Row::About { channel: of, about: About::Reactor { seq, user: whose, emoji } }
                    if *of == channel && *whose == user && emoji.is_empty() =>
                {
                    self.forget_remarks(channel, |remark| {
                        remark.sender == user
                            && remark.target == *seq
                            && matches!(remark.act, Act::Reacts { .. })
                    });
                }
                _ => {}
            }
        }
        self.forget_remarks(channel, |remark| gone.contains(&remark.target));
        if let Some(history) = self.channels.get_mut(&channel) {
            history.positions.remove(&user);
        }
        let facts = self.channels.get(&channel).map_or(&[][..], |history| &history.facts);
        let is_left = |fact: &Fact| fact.sender == user && is_written(fact.kind) && fact.purged.is_none();
        let below = usize::try_from(row.next.0.saturating_sub(1)).unwrap_or(usize::MAX);
        if let Some(fact) = facts.iter().take(below).find(|fact| is_left(fact)) {
            broken!("{channel:?}: {row:?} of {user}, and {fact:?} is left");
        }
        Ok(())
    }

    /// One message of the user is a tombstone from here on; the text that went, if it is one.
    fn take_written(
        &mut self,
        (channel, user): (ChannelId, UserId),
        seq: Seq,
        frame: &Frame,
        row: &ErasedRow,
    ) -> Result<Option<Seq>, String> {
        let Some(says) = Recalled::read(frame).filter(|says| says.by == row.by.0 && says.user == user.0)
        else {
            return Ok(None);
        };
        let Some(fact) = self.fact(channel, seq).copied() else { return Ok(None) };
        if fact.kind == Kind::RECALLED && fact.fingerprint == frame.fingerprint() {
            return Ok(None);
        }
        let of = self.channels.get(&channel).and_then(|history| history.remarks.get(&seq));
        let target = of.filter(|of| of.act == Act::Edits).map_or(seq, |of| of.target);
        let erasure = Erasure { channel, user, by: row.by, time_ms: row.time_ms };
        let stamp = Stamp { seq, time_ms: fact.time_ms, sender: fact.sender };
        let due = erasure.says(target).tombstone(fact.send_id, stamp);
        let may_be = fact.sender == user && is_written(fact.kind) && seq < row.by;
        if !may_be || (due != *frame && fact.kind == Kind::SEND_TEXT) {
            broken!("{channel:?} {seq}: {fact:?} is erased as {says:?}");
        }
        self.replace_fact(channel, seq, frame);
        Ok((fact.kind == Kind::SEND_TEXT).then_some(seq))
    }
}

fn is_written(kind: Kind) -> bool {
    [Kind::SEND_TEXT, Kind::EDIT_TEXT].contains(&kind)
}

impl World {
    /// The operator ends a user's devices for good and erases it from every channel, again and again until nothing is left.
    pub(crate) fn order_erasure(&mut self) {
        if self.erasures.user.is_none() {
            if self.plan.activity == 0 || !self.erasures.rng.chance(20) {
                return;
            }
            let users = self.users.clone();
            let Some(user) =
                self.erasures.rng.pick(&users).filter(|user| self.oracle.accounts.contains(user))
            else {
                return;
            };
            self.erasures.user = Some(user);
            self.oracle.erasing.insert(user);
        }
        let Some(user) = self.erasures.user else { return };
        if self.oracle.devices.get(&user).is_some_and(|devices| !devices.is_empty()) {
            let is_asked = self
                .commands
                .values()
                .any(|command| matches!(command, Command::LogOutAll { user: of, .. } if *of == user));
            if !is_asked && self.erasures.rng.chance(300) {
                let not_before_ms = self.now + self.wall_ahead;
                self.order(Command::LogOutAll { user, not_before_ms, keep: None });
            }
            return;
        }
        if !self.erasures.asked.is_empty() || !self.erasures.rng.chance(200) {
            return;
        }
        let own = |channel: &&ChannelId| channel.owner().is_none();
        let mut channels: Vec<ChannelId> = self.oracle.channels.keys().filter(own).copied().collect();
        channels.retain(|channel| self.oracle.is_left(*channel, user));
        for channel in channels {
            let Some(node) = self.node.as_mut().filter(|node| node.is_ready()) else { return };
            self.next_ticket += 1;
            let ticket = Ticket(self.next_ticket);
            node.tell(node.placement().channel_home(channel), Input::Erase { ticket, channel, user });
            self.erasures.asked.insert(ticket, channel);
        }
    }

    /// Whether a reply is one to a step of an erasure; what it says holds.
    pub(crate) fn erase_replied(
        &mut self,
        ticket: Ticket,
        outcome: Result<(), CommandError>,
    ) -> Result<bool, String> {
        let Some(channel) = self.erasures.asked.remove(&ticket) else { return Ok(false) };
        match outcome {
            Err(CommandError::NothingLeft) => {
                self.erasures.whole += 1;
                Ok(true)
            }
            Ok(()) | Err(CommandError::Busy { .. } | CommandError::StorageFull) => Ok(true),
            Err(error) => Err(format!("{channel:?}: nobody is erased: {error}")),
        }
    }

    /// Whether what the operator began is done.
    pub(crate) fn has_erased(&self) -> bool {
        let Some(user) = self.erasures.user else { return true };
        let has_devices = self.oracle.devices.get(&user).is_some_and(|devices| !devices.is_empty());
        let own = |channel: &&ChannelId| channel.owner().is_none();
        let mut channels = self.oracle.channels.keys().filter(own);
        !has_devices
            && self.erasures.asked.is_empty()
            && !channels.any(|channel| self.oracle.is_left(*channel, user))
    }
}
