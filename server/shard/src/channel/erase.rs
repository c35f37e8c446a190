//! The rows with which a user is erased from a channel, and the channel while the store is asked for what is left.

use std::collections::BTreeSet;

use protocol::commit::{About, Act, ErasedRow, Facts, PositionRow, Row};
use protocol::query::{Sent, Written};
use protocol::{Seq, UserId};

use super::Channel;
use super::group::Changed;

impl Channel {
    /// Lets sends wait, unless some wait already.
    pub(crate) fn hold(&mut self) -> bool {
        let is_free = self.opening.is_none() && !self.is_held && self.waiting.is_empty();
        self.is_held |= is_free;
        is_free
    }

    pub(crate) fn release(&mut self) {
        self.is_held = false;
    }

    /// Whether the user is in the group, and nothing keeps it there.
    pub(crate) fn may_leave(&self, user: UserId) -> bool {
        self.id.users().is_none() && self.is_member(user) && self.check_leave(user).is_ok()
    }

    /// How far the user has come is known no more.
    pub(crate) fn forget_position(&mut self, user: UserId) {
        if let Some(member) = self.members.get_mut(&user) {
            member.position = PositionRow::default();
        }
    }

    /// Who sent a message receives it, also one that was sent in its name when it had left.
    /// The history is looked at from its beginning once more, which finds the tombstones of an ERASE before.
    pub(super) fn apply_erase(&mut self, user: UserId) -> Changed {
        let row = ErasedRow { by: self.head, time_ms: self.time_ms, next: Seq(0) };
        self.forget_position(user);
        let has_left = !self.is_member(user);
        Changed {
            rows: vec![Row::Erased { channel: self.id, user, row }],
            also: has_left.then_some(user).into_iter().collect(),
            ..Changed::default()
        }
    }

    /// The rows with which what was found is gone: of each text and edit a tombstone, and nothing said of it any more; of each
    /// reaction that it was taken back. What was purged while the store was asked has no row, and gets none.
    pub(crate) fn erase(&mut self, user: UserId, mut written: Written) -> Vec<Row> {
        let floor = self.floor;
        written.texts.retain(|(sent, _)| sent.seq >= floor);
        written.edits.retain(|(sent, _)| sent.seq >= floor);
        written.reactions.retain(|(target, ..)| *target >= floor);
        let row = ErasedRow { next: written.through.next(), ..written.row.unwrap_or_default() };
        let channel = self.id;
        let erasure = row.erasure(channel, user);
        let mut rows = Vec::new();
        let texts = written.texts.iter().map(|(sent, _)| (*sent, sent.seq));
        for (sent, target) in texts.chain(written.edits.iter().copied()) {
            let Sent { seq, send_id, .. } = sent;
            let frame = erasure.says(target).tombstone(send_id, sent.stamp());
            rows.push(Row::Rewrite { channel, seq, frame });
            if let Some(window) = self.window() {
                window.forget_content(seq);
            }
        }
        let abouts = no_more_said(user, &written, row.by);
        rows.extend(abouts.into_iter().map(|about| Row::About { channel, about }));
        rows.push(Row::Erased { channel, user, row });
        self.forget_position(user);
        rows
    }
}

/// What is said of the texts goes with them, and what the user says of others'.
fn no_more_said(user: UserId, written: &Written, by: Seq) -> Vec<About> {
    let mut abouts = Vec::new();
    for (sent, said) in &written.texts {
        if !said.edits.is_empty() || !said.reactions.is_empty() {
            abouts.push(About::Recalled { seq: sent.seq, has_reactors: !said.reactions.is_empty() });
        }
    }
    let gone: BTreeSet<Seq> = written.texts.iter().map(|(sent, _)| sent.seq).collect();
    let mut pins = written.pins.clone();
    pins.retain(|pin| !gone.contains(&pin.seq));
    if pins.len() < written.pins.len() {
        abouts.push(About::Pins(pins));
    }
    for (target, said, ways) in written.reactions.iter().filter(|(target, ..)| !gone.contains(target)) {
        let mut facts = Facts { said: said.clone(), own: ways.clone(), pins: Vec::new() };
        let mut last = Vec::new();
        for emoji in ways.clone() {
            last = facts.take((*target, &Act::Reacts { emoji, on: false }), by, user);
        }
        abouts.extend(last);
    }
    abouts
}
