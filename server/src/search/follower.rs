//! The thread of search.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use protocol::limits::PAGE_BYTES_MAX;
use protocol::{BayId, ChannelId, Frame, Seq};
use search::{Change, Index, IndexError, Opened, Place, Places};
use storage::{Answer, Followed, PageBounds, Query, StoreError, Tier};

use super::floors::Floors;
use super::heal::{Heal, Slice};
use super::{Shared, bit, change};

/// What is taken is committed after so long: within a second of its ack it is found, also where the machine is busy.
const COMMIT_AFTER: Duration = Duration::from_millis(300);
/// Or once there is so much of it.
const COMMIT_CHANGES: usize = 20_000;
/// Rows of a log that are read at a time.
const ROWS: usize = 256;
/// What a commit may write, about: the disk is asked for so much room.
const COMMIT_BYTES: u64 = 64 << 20;
/// After a failure that may pass.
const PAUSE: Duration = Duration::from_secs(5);
/// While the disk is nearly full.
const FULL_PAUSE: Duration = Duration::from_secs(1);
/// How far below the shards it stands: a thirtieth of their share when both want the same processor (sched(7)).
const NICE: i32 = 15;

/// What stopped a turn.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Index(#[from] IndexError),
}

pub(super) struct Follower {
    shared: Arc<Shared>,
    place: PathBuf,
    may_write: Box<dyn Fn(u64) -> bool + Send>,
    index: Index,
    /// How far it has come, of which the index has those of its last commit.
    places: Places,
    heals: BTreeMap<BayId, Heal>,
    /// What was purged before the index was opened, until all of it was looked at.
    floors: Option<Floors>,
    /// Of bays that were healed: the end of their logs then. What stands below may be in the index already.
    overlaps: HashMap<BayId, u64>,
    /// The newest message of channels in the index, where that is asked.
    newest: HashMap<ChannelId, Seq>,
    /// Changes that wait for a commit, and since when.
    changes: usize,
    since: Option<Instant>,
}

impl Follower {
    pub(super) fn open(
        shared: Arc<Shared>,
        place: PathBuf,
        may_write: Box<dyn Fn(u64) -> bool + Send>,
    ) -> Result<Self, Fault> {
        let index = opened(&place)?;
        let mut follower = Self {
            shared,
            place,
            may_write,
            places: index.places().clone(),
            index,
            heals: BTreeMap::new(),
            floors: None,
            overlaps: HashMap::new(),
            newest: HashMap::new(),
            changes: 0,
            since: None,
        };
        follower.begin()?;
        Ok(follower)
    }

    /// The index was opened: logs are kept from where it stands. An index of another past is emptied.
    fn begin(&mut self) -> Result<(), Fault> {
        self.places = self.index.places().clone();
        (self.changes, self.since) = (0, None);
        self.overlaps.clear();
        self.newest.clear();
        self.heals.clear();
        let mut is_other_past = false;
        for state in self.shared.data.states()? {
            if let Some(place) = self.places.get(state.bay) {
                is_other_past |= place.generation != state.generation;
                is_other_past |= place.number.is_some_and(|number| number > state.fanout_head);
                self.keep_log(place, state.bay);
            }
        }
        if is_other_past {
            tracing::warn!(
                "the search index is of another past of this directory (a restored backup); it is made anew"
            );
            self.index.clear()?;
            self.places = Places::default();
        }
        for bay in BayId::all() {
            if self.places.get(bay).is_none_or(|place| place.number.is_none()) {
                self.heals.insert(bay, Heal::begin(&self.shared.data, bay)?);
            }
        }
        self.floors = Some(Floors::begin());
        self.shared.set_finder(Some(self.index.finder()));
        self.shared.grown.store(u64::MAX, Ordering::Release);
        self.measure();
        Ok(())
    }

    /// What comes behind a place is kept.
    fn keep_log(&self, place: Place, bay: BayId) {
        if let Some(number) = place.number {
            self.shared.data.keep_log(bay, number.saturating_add(1));
        }
    }

    /// Until it is ended.
    pub(super) fn run(mut self, woken: &Receiver<()>) {
        // Linux keeps this value a thread, and threads that this one starts have it too.
        if let Err(error) = rustix::process::nice(NICE) {
            tracing::debug!(%error, "search keeps its priority");
        }
        while !self.shared.is_ending.load(Ordering::Acquire) {
            let pause = match self.turn() {
                Ok(pause) => pause,
                // Another thread's commit has failed, and ends the process.
                Err(Fault::Store(StoreError::Poisoned)) => return,
                Err(fault) => self.recover(&fault),
            };
            // `None`: until somebody says something. What wakes it may be long over.
            let _ = match pause {
                Some(Duration::ZERO) => Ok(()),
                Some(pause) => woken.recv_timeout(pause).map_err(drop),
                None => woken.recv().map_err(drop),
            };
        }
        if self.since.is_some()
            && let Err(error) = self.commit()
        {
            tracing::warn!(%error, "the search index was not committed at the end; the next start reads it again");
        }
    }

    /// Takes what there is; says how long there is nothing to do.
    fn turn(&mut self) -> Result<Option<Duration>, Fault> {
        if self.shared.is_damaged.swap(false, Ordering::AcqRel) {
            self.make_anew()?;
        }
        if self.shared.is_unwanted.swap(false, Ordering::AcqRel) {
            tracing::info!("the search index is made anew, by command");
            self.index.clear()?;
            self.begin()?;
        }
        if !(self.may_write)(COMMIT_BYTES) {
            return Ok(Some(FULL_PAUSE));
        }
        let grown = self.shared.grown.swap(0, Ordering::AcqRel);
        let mut more = 0;
        for bay in BayId::all().filter(|bay| grown & bit(*bay) != 0) {
            if !self.heals.contains_key(&bay) && self.follow(bay)? {
                more |= bit(bay);
            }
        }
        self.shared.grown.fetch_or(more, Ordering::AcqRel);
        self.purge()?;
        self.heal()?;
        let waited = self.since.map(|since| since.elapsed());
        if waited.is_some_and(|waited| waited >= COMMIT_AFTER) || self.changes >= COMMIT_CHANGES {
            self.commit()?;
        }
        // Whoever finds a bit set wakes nobody.
        if self.shared.grown.load(Ordering::Acquire) != 0 || !self.heals.is_empty() || self.floors.is_some() {
            return Ok(Some(Duration::ZERO));
        }
        Ok(self.since.map(|since| COMMIT_AFTER.saturating_sub(since.elapsed()).max(Duration::from_millis(1))))
    }

    /// The next rows of a bay's log; whether there may be more.
    fn follow(&mut self, bay: BayId) -> Result<bool, Fault> {
        let Some(place) = self.places.get(bay) else { return Ok(false) };
        let Some(number) = place.number else { return Ok(false) };
        let rows = match self.shared.data.follow(bay, number, ROWS)? {
            Followed::Rows(rows) => rows,
            Followed::Gap => {
                tracing::info!(%bay, "the fan-out log does not reach back to the search index; histories are read");
                self.heals.insert(bay, Heal::begin(&self.shared.data, bay)?);
                // The heads in the index are those of its last commit.
                self.commit()?;
                return Ok(true);
            }
        };
        let Some((last, _)) = rows.last() else { return Ok(false) };
        let last = *last;
        for (number, messages) in rows {
            let overlaps = self.overlaps.get(&bay).is_some_and(|end| number <= *end);
            for (channel, seq, frame) in messages {
                if !overlaps || seq > self.newest(channel)? {
                    self.take(channel, seq, &frame)?;
                }
            }
        }
        if self.overlaps.get(&bay).is_some_and(|end| last >= *end) {
            self.overlaps.remove(&bay);
        }
        self.places.set(bay, Some(Place { number: Some(last), ..place }));
        self.wait_for_commit();
        Ok(true)
    }

    /// What was purged leaves the index. Behind the logs, so that it finds what came before it.
    fn purge(&mut self) -> Result<(), Fault> {
        let purged = std::mem::take(&mut *self.shared.purged.lock().unwrap_or_else(PoisonError::into_inner));
        for (channel, below) in purged {
            self.index.apply(Change::Purge { channel, below })?;
            self.changes += 1;
            self.wait_for_commit();
        }
        let Some(floors) = &mut self.floors else { return Ok(()) };
        let Some(slice) = floors.slice(&self.shared.data)? else {
            self.floors = None;
            return Ok(());
        };
        for (channel, below) in slice {
            if self.index.holds_below(channel, below)? {
                self.index.apply(Change::Purge { channel, below })?;
                self.changes += 1;
                self.wait_for_commit();
            }
        }
        Ok(())
    }

    /// A slice of one bay that is to be read from its histories.
    fn heal(&mut self) -> Result<(), Fault> {
        let Some(mut first) = self.heals.first_entry() else { return Ok(()) };
        let (bay, heal) = (*first.key(), first.get_mut());
        match heal.slice(&self.shared.data, &self.index)? {
            Slice::Looked => {}
            Slice::Messages(channel, frames) => {
                for frame in frames {
                    let Some(stamp) = frame.read_stamp() else { continue };
                    self.take(channel, stamp.seq, &frame)?;
                }
            }
            Slice::Done => {
                let heal = first.remove();
                let (generation, number) = (heal.generation, heal.number);
                let end = self.shared.data.state(bay)?.fanout_head;
                self.places.set(bay, Some(Place { generation, number: Some(number) }));
                if end > number {
                    self.overlaps.insert(bay, end);
                }
                if self.changes > 0 {
                    self.commit()?;
                }
                self.shared.grown.fetch_or(bit(bay), Ordering::AcqRel);
                if self.heals.is_empty() && self.index.sizes().documents > 0 {
                    tracing::info!("the search index has everything");
                    // So that the next start knows it.
                    self.wait_for_commit();
                }
            }
        }
        self.shared.meter.rebuilds(self.heals.len());
        Ok(())
    }

    /// The newest message of a channel that is in the index or on its way there.
    fn newest(&mut self, channel: ChannelId) -> Result<Seq, Fault> {
        if let Some(seq) = self.newest.get(&channel) {
            return Ok(*seq);
        }
        let seq = self.index.newest(channel)?;
        self.newest.insert(channel, seq);
        Ok(seq)
    }

    fn take(&mut self, channel: ChannelId, seq: Seq, frame: &Frame) -> Result<(), Fault> {
        let change = match change::edited(frame) {
            Some(target) => {
                self.message(channel, target)?.and_then(|text| change::edit(channel, &text, frame))
            }
            None => change::of(channel, frame),
        };
        let Some(change) = change else { return Ok(()) };
        if let (Change::Put(_), Some(newest)) = (&change, self.newest.get_mut(&channel)) {
            *newest = seq.max(*newest);
        }
        self.index.apply(change)?;
        self.shared.meter.changed();
        self.changes += 1;
        self.wait_for_commit();
        Ok(())
    }

    /// A message that was committed before.
    fn message(&self, channel: ChannelId, seq: Seq) -> Result<Option<Frame>, Fault> {
        let (after, before) = (Seq(seq.0.saturating_sub(1)), seq.next());
        let page = PageBounds { messages: 1, bytes: PAGE_BYTES_MAX };
        let query = Query::History { channel, after, before, newest: false, page };
        Ok(match self.shared.data.read(&query, Tier::Once)? {
            Some(Answer::History(frames)) => frames.into_iter().next(),
            _ => None,
        })
    }

    fn wait_for_commit(&mut self) {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            self.shared.meter.waits(self.since);
        }
    }

    fn commit(&mut self) -> Result<(), Fault> {
        // Of a bay whose log is behind what was read of its histories, the next start compares heads again: only that tells what
        // of the log is in the index already. Whether it is the same past, its generation tells.
        let mut places = self.places.clone();
        for (bay, heal) in &self.heals {
            places.set(*bay, Some(Place { generation: heal.generation, number: None }));
        }
        for bay in self.overlaps.keys() {
            let place = places.get(*bay).map(|place| Place { number: None, ..place });
            places.set(*bay, place);
        }
        self.index.commit(&places)?;
        (self.changes, self.since) = (0, None);
        self.newest.clear();
        for bay in BayId::all().filter(|bay| !self.heals.contains_key(bay)) {
            if let Some(place) = self.places.get(bay) {
                self.keep_log(place, bay);
            }
        }
        self.shared.meter.committed();
        self.measure();
        Ok(())
    }

    fn measure(&self) {
        self.shared.meter.waits(self.since);
        self.shared.meter.sized(self.index.sizes());
        self.shared.meter.rebuilds(self.heals.len());
    }

    /// What was not committed is lost: on from the last commit, or from nothing.
    fn recover(&mut self, fault: &Fault) -> Option<Duration> {
        tracing::warn!(%fault, "search cannot follow for now");
        let again = match fault {
            Fault::Index(error) if error.is_damage() => self.make_anew(),
            _ => self.reopen(),
        };
        if let Err(error) = again {
            tracing::warn!(%error, "the search index cannot be opened again");
        }
        Some(PAUSE)
    }

    fn reopen(&mut self) -> Result<(), Fault> {
        // The engine's lock is given back first.
        self.index.close();
        self.index = opened(&self.place)?;
        self.begin()
    }

    fn make_anew(&mut self) -> Result<(), Fault> {
        self.shared.set_finder(None);
        // Its threads write into the directory.
        self.index.close();
        let io = |error| IndexError::Io { place: self.place.display().to_string(), error };
        std::fs::remove_dir_all(&self.place).map_err(io)?;
        self.index = opened(&self.place)?;
        self.begin()
    }
}

fn opened(place: &std::path::Path) -> Result<Index, IndexError> {
    let (index, opened) = Index::open(place)?;
    match opened {
        Opened::Kept => {}
        Opened::Empty => tracing::debug!("there was no search index; it is made"),
        Opened::Emptied(why) => tracing::warn!(why, "the search index cannot be used; it is made anew"),
    }
    Ok(index)
}
