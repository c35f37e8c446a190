//! Families of one channel: given, filled, given back, dropped.
//!
//! What a channel has when it gets a family is moved into it from the newest message to the oldest, and back from the
//! oldest to the newest, a little at a time and with the switch in the same write. Rows that the move leaves behind are
//! removed when no reader goes by what was before.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use protocol::commit::{Batch, Row};
use protocol::{ChannelId, Seq};

use super::{Store, fault};
use crate::error::StoreError;
use crate::family::{Family, OWN_MAX};
use crate::key;
use crate::owned::{ENDLESS, Own, Owned};
use crate::rows::{Direction, Sink, Tier};

/// Why a channel does not get a family of its own, or keeps it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FamilyError {
    /// No message was ever sent there.
    #[error("there is no channel {0} with messages")]
    Unknown(String),
    /// It has one.
    #[error("the channel has a family of its own already")]
    Has,
    /// It has none.
    #[error("the channel has no family of its own")]
    HasNot,
    /// It is giving one back.
    #[error("the channel is giving its family back; try again when that is done")]
    Returning,
    /// As many as there may be have one.
    #[error(
        "{OWN_MAX} channels have a family of their own, and no more may; let another give its back first"
    )]
    AllTaken,
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A channel with a family of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnFamily {
    /// The channel.
    pub channel: ChannelId,
    /// The family's name in the store.
    pub name: String,
    /// Messages with `from <= seq` stand in it, as far as `until`.
    pub from: Seq,
    /// The first message behind it; none while new messages go there.
    pub until: Option<Seq>,
    /// Bytes in files and in memory.
    pub bytes: u64,
}

impl OwnFamily {
    /// Whether messages are still to be moved.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.until.is_some() || self.from > Seq(1)
    }
}

/// What one step of moving did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moved {
    /// So many messages stand elsewhere now; there may be more to do.
    Messages(usize),
    /// A family was given, emptied or dropped; there may be more to do.
    Switched,
    /// Rows that were left behind wait for readers that still go by what was.
    Waiting,
    /// There is nothing to do.
    Nothing,
}

/// What is to be done, of which the store itself keeps no row.
#[derive(Debug, Default)]
pub(super) struct Todo {
    /// Channels whose copies in the hashed family are to be removed.
    left_behind: BTreeSet<ChannelId>,
    /// Families that no channel has any more.
    dropped: BTreeSet<u8>,
    /// Channels with a family of their own of which messages were purged: files that hold nothing else may go now.
    purged: BTreeSet<ChannelId>,
}

impl Todo {
    pub(super) fn left_behind(&mut self, channel: ChannelId) {
        self.left_behind.insert(channel);
    }
}

impl Store {
    /// The channels that have a family of their own, by id.
    #[must_use]
    pub fn families(&self) -> Vec<OwnFamily> {
        let describe = |(channel, own): (ChannelId, Own)| OwnFamily {
            channel,
            name: own.family().name(),
            from: own.from,
            until: own.is_returning().then_some(own.until),
            bytes: self.rows.family_bytes(own.family()),
        };
        self.owners.now().iter().map(describe).collect()
    }

    /// Gives a channel's history a family of its own. From here on new messages go there; what is there already is moved
    /// by [`Self::move_messages`].
    ///
    /// # Errors
    /// [`FamilyError`].
    pub fn give_family(&self, channel: ChannelId) -> Result<OwnFamily, FamilyError> {
        self.living()?;
        let todo = self.todo.lock().unwrap_or_else(PoisonError::into_inner);
        match self.owners.now().get(channel) {
            Some(own) if own.is_returning() => return Err(FamilyError::Returning),
            Some(_) => return Err(FamilyError::Has),
            None => {}
        }
        if fault(self.view(Tier::Any).head(channel))? == Seq(0) {
            return Err(FamilyError::Unknown(format!("{channel:?}")));
        }
        let taken: BTreeSet<u8> = self.owners.now().iter().map(|(_, own)| own.slot).collect();
        let is_free = |slot: &u8| !taken.contains(slot) && !todo.dropped.contains(slot);
        let slot = (0..OWN_MAX).find(is_free).ok_or(FamilyError::AllTaken)?;
        self.rows.add_family(Family::Own(slot)).inspect_err(|_| self.poison())?;
        let own = self.switch(channel, |head| Own { slot, from: head.next(), until: ENDLESS })?;
        drop(todo);
        Ok(OwnFamily { channel, name: own.family().name(), from: own.from, until: None, bytes: 0 })
    }

    /// Lets a channel give its family back. From here on new messages go to the hashed family;
    /// [`Self::move_messages`] moves what is in the other, and drops it.
    ///
    /// # Errors
    /// [`FamilyError`].
    pub fn return_family(&self, channel: ChannelId) -> Result<(), FamilyError> {
        self.living()?;
        let _todo = self.todo.lock().unwrap_or_else(PoisonError::into_inner);
        let own = self.owners.now().get(channel).ok_or(FamilyError::HasNot)?;
        if own.is_returning() {
            return Err(FamilyError::Returning);
        }
        self.switch(channel, |head| Own { until: head.next().max(own.from), ..own })?;
        Ok(())
    }

    /// One step of what is to be done: about so many bytes of messages, or one family. Reads and commits go on meanwhile.
    ///
    /// # Errors
    /// The store cannot be read; then nothing has changed, and it may be tried again. Or it cannot be written: as with a commit
    /// the outcome is unknown, and everything later is [`StoreError::Poisoned`].
    pub fn move_messages(&self, bytes: usize) -> Result<Moved, StoreError> {
        if let Some(channel) = self.next_large() {
            return match self.give_family(channel) {
                Err(FamilyError::Store(error)) => Err(error),
                _ => Ok(Moved::Switched),
            };
        }
        self.living()?;
        let mut todo = self.todo.lock().unwrap_or_else(PoisonError::into_inner);
        let owned = self.owners.now();
        let moving = owned.iter().find(|(_, own)| own.is_moving());
        drop(owned);
        match moving {
            Some((channel, own)) if own.is_returning() => self.move_back(&mut todo, channel, own, bytes),
            Some((channel, own)) => self.move_in(&mut todo, channel, own, bytes),
            None => self.clear(&mut todo),
        }
    }

    /// Notes the channels of batches that are large enough to have a family of their own.
    pub(super) fn note_large(&self, batches: &[Batch], owned: &Owned) {
        let Some(from) = self.own_from.filter(|_| owned.len() < usize::from(OWN_MAX)) else { return };
        let rows = batches.iter().flat_map(|batch| &batch.parts).flat_map(|part| &part.rows);
        let large: Vec<_> = rows
            .filter_map(|row| match row {
                Row::Message { channel, seq, .. } if seq.0 >= from => Some(*channel),
                _ => None,
            })
            .filter(|channel| owned.get(*channel).is_none())
            .collect();
        if !large.is_empty() {
            let mut found = self.large.lock().unwrap_or_else(PoisonError::into_inner);
            let room = usize::from(OWN_MAX).saturating_sub(found.len());
            found.extend(large.into_iter().take(room));
        }
    }

    fn next_large(&self) -> Option<ChannelId> {
        self.large.lock().unwrap_or_else(PoisonError::into_inner).pop_first()
    }

    /// Changes where new messages of a channel go, between two commits: what was committed has a seq up to the head.
    fn switch(&self, channel: ChannelId, own: impl FnOnce(Seq) -> Own) -> Result<Own, StoreError> {
        let _between = self.between.write().unwrap_or_else(PoisonError::into_inner);
        let own = own(fault(self.view(Tier::Any).head(channel))?);
        let row = own.encode();
        self.change(&mut |sink| sink.put(Family::Meta, &key::own(channel), &row))?;
        let floor = fault(self.view(Tier::Any).floor(channel))?;
        self.owners.publish(self.owners.now().with(channel, Some(own)).with_floor(channel, floor.below));
        Ok(own)
    }

    /// The newest messages that are not in the channel's family yet.
    fn move_in(
        &self,
        todo: &mut Todo,
        channel: ChannelId,
        own: Own,
        bytes: usize,
    ) -> Result<Moved, StoreError> {
        // What was purged is nowhere, so it need not be moved.
        let first = fault(self.view(Tier::Any).floor(channel))?.below.max(Seq(1));
        let found = self.messages(channel, (first, own.from), Direction::Falling, bytes)?;
        if own.from <= first {
            self.copy_messages(channel, own.family(), &[], Some(Own { from: Seq(1), ..own }))?;
            todo.left_behind(channel);
            return Ok(Moved::Switched);
        }
        let Some((first, _)) = found.last() else {
            let what = format!("history of {channel:?} has a hole: nothing is before seq {}", own.from);
            return Err(StoreError::corrupt(None, what));
        };
        let moved = Own { from: *first, ..own };
        self.copy_messages(channel, own.family(), &found, Some(moved))?;
        if !moved.is_moving() {
            todo.left_behind(channel);
        }
        Ok(Moved::Messages(found.len()))
    }

    /// The oldest messages that are in the channel's family still; behind the last of them it is dropped.
    fn move_back(
        &self,
        todo: &mut Todo,
        channel: ChannelId,
        own: Own,
        bytes: usize,
    ) -> Result<Moved, StoreError> {
        let floor = fault(self.view(Tier::Any).floor(channel))?;
        let from = own.from.max(floor.below).min(own.until);
        let found = self.messages(channel, (from, own.until), Direction::Rising, bytes)?;
        let hashed = self.owners.now().hashed(channel);
        let after = found.last().map_or(own.until, |(last, _)| last.next());
        let left = Own { from: after, ..own };
        let is_empty = left.from >= left.until;
        // Copies that an interrupted move in left behind have become the messages themselves.
        todo.left_behind.remove(&channel);
        self.copy_messages(channel, hashed, &found, (!is_empty).then_some(left))?;
        if is_empty {
            todo.dropped.insert(own.slot);
        }
        Ok(Moved::Messages(found.len()))
    }

    fn messages(
        &self,
        channel: ChannelId,
        range: (Seq, Seq),
        direction: Direction,
        bytes: usize,
    ) -> Result<Vec<(Seq, Bytes)>, StoreError> {
        let (mut found, mut sum) = (Vec::new(), 0);
        fault(self.view(Tier::Once).scan_history(channel, range, direction, &mut |_, seq, value| {
            sum += value.bytes().len();
            found.push((seq, value.to_bytes()));
            Ok(sum < bytes)
        }))?;
        Ok(found)
    }

    /// Puts messages into another family and says so, in one write.
    fn copy_messages(
        &self,
        channel: ChannelId,
        family: Family,
        messages: &[(Seq, Bytes)],
        own: Option<Own>,
    ) -> Result<(), StoreError> {
        let row = own.map(Own::encode);
        self.change(&mut |sink| {
            for (seq, frame) in messages {
                sink.put_shared(family, &key::message(channel, *seq), frame);
            }
            match &row {
                Some(row) => sink.put(Family::Meta, &key::own(channel), row),
                None => sink.delete(Family::Meta, &key::own(channel)),
            }
        })?;
        self.owners.publish(self.owners.now().with(channel, own));
        self.counts.moved.fetch_add(messages.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Removes what moves left behind.
    fn clear(&self, todo: &mut Todo) -> Result<Moved, StoreError> {
        if todo.left_behind.is_empty() && todo.dropped.is_empty() && todo.purged.is_empty() {
            return Ok(Moved::Nothing);
        }
        if !self.owners.is_settled() {
            return Ok(Moved::Waiting);
        }
        if let Some(channel) = todo.purged.pop_first() {
            self.drop_files(channel)?;
            return Ok(Moved::Switched);
        }
        if let Some(channel) = todo.left_behind.pop_first() {
            let owned = self.owners.now();
            // What is not in its own family would be removed with the copies.
            if let Some(own) = owned.get(channel).filter(|own| !own.is_returning()) {
                self.clear_hashed(owned.hashed(channel), channel, own.from)?;
            }
        } else if let Some(slot) = todo.dropped.pop_first() {
            self.rows.drop_family(Family::Own(slot)).inspect_err(|_| self.poison())?;
        }
        Ok(Moved::Switched)
    }

    /// From here on nobody looks below the floors that a commit has raised, where files are to be dropped.
    pub(super) fn publish_floors(&self, todo: &mut Todo, batches: &[Batch]) {
        for row in batches.iter().flat_map(|batch| &batch.parts).flat_map(|part| &part.rows) {
            let Row::Floor { channel, row, .. } = row else { continue };
            let owned = self.owners.now();
            if owned.get(*channel).is_some() {
                self.owners.publish(owned.with_floor(*channel, row.below));
                todo.purged.insert(*channel);
            }
        }
    }

    /// The same of what was so when the store was opened.
    #[cfg(feature = "rocks")]
    pub(super) fn load_floors(&self) -> Result<(), StoreError> {
        for (channel, _) in self.owners.now().iter() {
            let floor = fault(self.view(Tier::Any).floor(channel))?;
            self.owners.publish(self.owners.now().with_floor(channel, floor.below));
        }
        Ok(())
    }

    /// Gives the room of purged messages back where a channel has a family of its own: files that hold nothing else are dropped, and
    /// not read. In a family that channels share it is given back by compactions.
    fn drop_files(&self, channel: ChannelId) -> Result<(), StoreError> {
        let owned = self.owners.now();
        let Some(own) = owned.get(channel) else { return Ok(()) };
        let (lower, upper) = (key::message(channel, Seq(0)), key::message(channel, owned.floor(channel)));
        self.rows.drop_files(own.family(), (&lower, &upper)).inspect_err(|_| self.poison())
    }

    fn clear_hashed(&self, hashed: Family, channel: ChannelId, from: Seq) -> Result<(), StoreError> {
        let (lower, upper) = (key::message(channel, from), key::channel(channel).after_all());
        let mut is_empty = true;
        fault(self.rows.scan(hashed, (&lower, &upper), Direction::Rising, Tier::Once, &mut |_, _| {
            is_empty = false;
            Ok(false)
        }))?;
        // A removed range costs every later reader of the family a little, so none is written for nothing.
        if is_empty { Ok(()) } else { self.change(&mut |sink| sink.delete_range(hashed, &lower, &upper)) }
    }

    /// A write, whose outcome nobody knows after an error.
    fn change(&self, fill: &mut dyn FnMut(&mut dyn Sink)) -> Result<(), StoreError> {
        self.rows.write(fill).inspect_err(|_| self.poison())
    }

    fn living(&self) -> Result<(), StoreError> {
        if self.poisoned.load(Ordering::Acquire) { Err(StoreError::Poisoned) } else { Ok(()) }
    }

    fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
    }
}
