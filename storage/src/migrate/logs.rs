//! The fan-out logs of K stores -> the logs of 64 bays, numbered anew from 1, and what of them was applied.
//!
//! A log row of a store becomes a row of each bay of which it names channels. A bay's mark for another is then the last
//! new number whose old number its store had applied. Where a log was trimmed, number 1 is a row that names nothing: it
//! stands for all that everybody has, so that a head and a mark stay above 0.

use protocol::{BayId, ChannelId, Generation, Seq};

use super::filler::Filler;
use super::format1::{self, Old, damaged, each};
use crate::error::StoreError;
use crate::family::Family;
use crate::key;
use crate::rocks::RocksRows;
use crate::value::{self, Marks, NO_MARKS};

/// Writes logs, marks, generations and the layout.
pub(super) fn renumber(old: &Old, new: &mut Filler<'_>) -> Result<(), StoreError> {
    // By the store of the destination, then by source bay.
    let mut marks: Vec<Marks> = vec![NO_MARKS; usize::from(old.count())];
    let applied = applied(old)?;
    let mut generations = Vec::new();
    for (number, store) in old.all() {
        generations.push(format1::generation(number, store)?);
        let of_source = applied.iter().map(|of_dest| of_dest.get(usize::from(number)).copied());
        let of_source: Vec<u64> = of_source.map(Option::unwrap_or_default).collect();
        Log { old, number, applied: &of_source, marks: &mut marks }.renumber(store, new)?;
    }
    new.put(Family::Meta, key::META_LAYOUT, &value::write_layout(new.layout))?;
    for bay in BayId::all() {
        let place = usize::from(old.of_bay(bay));
        let Generation(generation) = generations.get(place).copied().unwrap_or_default();
        new.put(Family::Meta, &key::generation(bay), &generation.to_be_bytes())?;
        let mut row = Vec::new();
        if let Some(marks) = marks.get(place).filter(|marks| **marks != NO_MARKS) {
            value::write_marks(marks, &mut row);
            new.put(Family::Applied, &key::applied(bay), &row)?;
        }
    }
    Ok(())
}

/// By the store of the destination, then by that of the source.
fn applied(old: &Old) -> Result<Vec<Vec<u64>>, StoreError> {
    let mut all = Vec::new();
    for (number, store) in old.all() {
        let mut marks = vec![0; usize::from(old.count())];
        each(store, Family::Applied, &mut |key, value| {
            let row = format1::read_mark_key(key).zip(value::read_number(value));
            let slot = row.and_then(|(source, through)| Some((marks.get_mut(usize::from(source))?, through)));
            let (mark, through) = slot.ok_or_else(|| damaged(number, Family::Applied, key))?;
            *mark = through;
            Ok(())
        })?;
        all.push(marks);
    }
    Ok(all)
}

/// One store's log at work.
struct Log<'a> {
    old: &'a Old,
    number: u16,
    /// By the store of the destination.
    applied: &'a [u64],
    marks: &'a mut Vec<Marks>,
}

impl Log<'_> {
    fn renumber(&mut self, store: &RocksRows, new: &mut Filler<'_>) -> Result<(), StoreError> {
        let (mut last, mut heads) = (None, NO_MARKS);
        let family = Family::Fanout;
        each(store, family, &mut |key, value| {
            let row = format1::read_log_key(key).zip(value::read_fanout(value));
            let (number, messages) = row.ok_or_else(|| damaged(self.number, family, key))?;
            match last {
                None => self.begin(number, &mut heads, new)?,
                Some(last) if number != last + 1 => {
                    return Err(self.broken(&format!("its fan-out log has a hole: {number} follows {last}")));
                }
                Some(_) => {}
            }
            last = Some(number);
            self.row(number, &messages, &mut heads, new)
        })?;
        let head = last.unwrap_or_default();
        match self.applied.iter().copied().max().filter(|most| *most > head) {
            Some(most) => Err(self.broken(&format!(
                "committed data is gone: its fan-out log was applied through {most}, it ends at {head}"
            ))),
            None => Ok(()),
        }
    }

    /// Below the first row everything must be applied.
    fn begin(&mut self, first: u64, heads: &mut Marks, new: &mut Filler<'_>) -> Result<(), StoreError> {
        let slowest = self.applied.iter().copied().min().unwrap_or_default();
        if first > slowest + 1 {
            let what = format!("its fan-out log begins at {first}, applied through {slowest} only");
            return Err(self.broken(&what));
        }
        if first <= 1 {
            return Ok(());
        }
        for bay in self.bays() {
            self.put(bay, &[], u64::MIN, heads, new)?;
        }
        Ok(())
    }

    fn row(
        &mut self,
        number: u64,
        messages: &[(ChannelId, Seq)],
        heads: &mut Marks,
        new: &mut Filler<'_>,
    ) -> Result<(), StoreError> {
        let mut parts: Vec<(BayId, Vec<(ChannelId, Seq)>)> = Vec::new();
        for (channel, seq) in messages {
            let bay = BayId::of_channel(*channel);
            if self.old.of_bay(bay) != self.number {
                let what =
                    format!("row {number} of its fan-out log names {channel:?}, which lives elsewhere");
                return Err(self.broken(&what));
            }
            match parts.iter_mut().find(|(of, _)| *of == bay) {
                Some((_, named)) => named.push((*channel, *seq)),
                None => parts.push((bay, vec![(*channel, *seq)])),
            }
        }
        parts.into_iter().try_for_each(|(bay, named)| self.put(bay, &named, number, heads, new))
    }

    /// The next row of a bay, which everybody has who had applied the old number.
    fn put(
        &mut self,
        bay: BayId,
        messages: &[(ChannelId, Seq)],
        old_number: u64,
        heads: &mut Marks,
        new: &mut Filler<'_>,
    ) -> Result<(), StoreError> {
        let place = usize::from(bay.0);
        let Some(head) = heads.get_mut(place) else { return Ok(()) };
        *head += 1;
        let dests = self.marks.iter_mut().zip(self.applied);
        for (marks, _) in dests.filter(|(_, applied)| old_number <= **applied) {
            if let Some(mark) = marks.get_mut(place) {
                *mark = *head;
            }
        }
        let mut row = Vec::new();
        value::write_fanout(messages, &mut row);
        new.migrated.fanout_rows += 1;
        new.put(Family::Fanout, &key::fanout(bay, *head), &row)
    }

    fn bays(&self) -> Vec<BayId> {
        BayId::all().filter(|bay| self.old.of_bay(*bay) == self.number).collect()
    }

    fn broken(&self, what: &str) -> StoreError {
        StoreError::corrupt(None, format!("store-{:02}: {what}", self.number))
    }
}
