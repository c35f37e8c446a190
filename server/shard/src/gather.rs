//! Pointers that are not on their way to the disk yet. Nobody waits for them and the fan-out logs replay them, so they are
//! gathered for a while and leave as runs: one row for a user's consecutive pointers in place of one each. What they depend
//! on leaves with them, in the same batch: the rows of the users' own lists, and the marks that say what is applied.
//!
//! They leave one bay after the other in the last quarter of that time, so that no turn, no write and no release of what the
//! inboxes kept is long: what a mark of a bay says is applied in that bay, and the bay's pointers are in the same batch. The
//! sources hear of it when the last bay is stored.

use std::collections::{BTreeMap, VecDeque};

use protocol::commit::{JobRow, Row};
use protocol::partition::BAYS;
use protocol::{BayId, ChannelId, InboxSeq, Seq, UserId};

use crate::idmap::{IdMap, Seeded};
use crate::input::Tick;
use crate::limits::{GATHERED_BYTES_MAX, GATHERED_POINTERS_MAX, LEAVING_PART, LEAVING_POINTERS};
use crate::pipeline::After;
use crate::shard::Shard;

/// Consecutive pointers of one user.
#[derive(Debug)]
struct Run {
    first: InboxSeq,
    entries: Vec<(ChannelId, Seq)>,
}

/// What is gathered of one bay.
#[derive(Debug)]
struct OfBay {
    bay: BayId,
    runs: IdMap<UserId, Run>,
    /// Rows of own lists, in order.
    lists: Vec<Row>,
    /// Jobs of push as they are now; `None` for one that is no more.
    jobs: BTreeMap<(UserId, ChannelId), Option<JobRow>>,
}

#[derive(Debug)]
pub(crate) struct Gathered {
    /// By the number of the bay.
    bays: VecDeque<OfBay>,
    pointers: usize,
    /// Of the frames that the inboxes keep until the pointers are stored; a frame counts once a span.
    bytes: usize,
    /// When the first of it came.
    since: Option<Tick>,
    leaving: Leaving,
    seed: Seeded,
}

/// What was gathered before, and leaves now.
#[derive(Debug, Default)]
struct Leaving {
    /// The bays that have not left, rising.
    bays: VecDeque<OfBay>,
    /// The logs that are applied in all of them.
    moved: Vec<(BayId, u64)>,
    /// When the first may leave, when the next, and for how long.
    began: Tick,
    next: Tick,
    spread_ms: u64,
    pointers: usize,
    bytes: usize,
}

impl Gathered {
    pub(crate) fn new(seed: Seeded) -> Self {
        let bays = empty(seed);
        Self { bays, pointers: 0, bytes: 0, since: None, leaving: Leaving::default(), seed }
    }

    /// A span is applied now, with frames of so many bytes.
    pub(crate) fn begin(&mut self, now: Tick, bytes: usize) {
        self.since.get_or_insert(now);
        self.bytes += bytes;
    }

    /// The next pointer of a user.
    pub(crate) fn pointer(&mut self, user: UserId, at: InboxSeq, channel: ChannelId, seq: Seq) {
        // There is one for each bay.
        let Some(of_bay) = self.bays.get_mut(place(user)) else { return };
        let run = of_bay.runs.entry(user).or_insert_with(|| Run { first: at, entries: Vec::new() });
        run.entries.push((channel, seq));
        self.pointers += 1;
    }

    /// A row of a user's own list.
    pub(crate) fn list_row(&mut self, user: UserId, row: Row) {
        if let Some(of_bay) = self.bays.get_mut(place(user)) {
            of_bay.lists.push(row);
        }
    }

    /// What a user is to be told of a channel, in the batch of the pointer. It replaces what was gathered before.
    pub(crate) fn job(&mut self, user: UserId, channel: ChannelId, row: Option<JobRow>) {
        if let Some(of_bay) = self.bays.get_mut(place(user)) {
            of_bay.jobs.insert((user, channel), row);
        }
    }

    /// The job is written by another way now, as it stands then: what is here is older.
    pub(crate) fn forget_job(&mut self, user: UserId, channel: ChannelId) {
        let bay = BayId::of_user(user);
        let leaving = self.leaving.bays.iter_mut().find(|of_bay| of_bay.bay == bay);
        for of_bay in self.bays.get_mut(place(user)).into_iter().chain(leaving) {
            of_bay.jobs.remove(&(user, channel));
        }
    }

    /// Whether pointers of a user are here.
    pub(crate) fn holds(&self, user: UserId) -> bool {
        let has = |of_bay: &OfBay| of_bay.runs.contains_key(&user);
        let bay = BayId::of_user(user);
        self.bays.get(place(user)).is_some_and(has)
            || self.leaving.bays.iter().find(|of_bay| of_bay.bay == bay).is_some_and(has)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.since.is_none() && !self.is_leaving()
    }

    fn is_leaving(&self) -> bool {
        !self.leaving.bays.is_empty()
    }

    pub(crate) fn pointers(&self) -> usize {
        self.pointers + self.leaving.pointers
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.leaving.bytes
    }

    /// When a turn must run for it.
    pub(crate) fn next_deadline(&self, gather_ms: u64) -> Option<Tick> {
        let leaving = self.is_leaving().then_some(self.leaving.next);
        self.since.map(|since| begins(since, gather_ms)).into_iter().chain(leaving).min()
    }

    /// When what is gathered begins to leave, and for how long it does, if it is time or much.
    fn due(&self, now: Tick, gather_ms: u64, pointers_max: usize) -> Option<(Tick, u64)> {
        let since = self.since?;
        let begins = begins(since, gather_ms);
        if now >= begins {
            return Some((begins, gather_ms / LEAVING_PART));
        }
        // As fast as it came, it has left long before as much is here again.
        let is_much = self.pointers >= pointers_max || self.bytes >= GATHERED_BYTES_MAX;
        is_much.then_some((now, (now.0 - since.0) / LEAVING_PART))
    }

    /// All of it leaves from then on; what left before is gone. `moved` is what is applied now.
    fn leave(&mut self, (began, spread_ms): (Tick, u64), moved: Vec<(BayId, u64)>) {
        let bays = core::mem::replace(&mut self.bays, empty(self.seed));
        let (pointers, bytes) = (self.pointers, self.bytes);
        self.leaving = Leaving { bays, moved, began, next: began, spread_ms, pointers, bytes };
        (self.pointers, self.bytes, self.since) = (0, 0, None);
    }
}

/// When what came first at `since` begins to leave: all of it has left by `gather_ms`.
fn begins(since: Tick, gather_ms: u64) -> Tick {
    since.after_ms(gather_ms - gather_ms / LEAVING_PART)
}

fn empty(seed: Seeded) -> VecDeque<OfBay> {
    let of_bay =
        |bay| OfBay { bay, runs: IdMap::with_hasher(seed), lists: Vec::new(), jobs: BTreeMap::new() };
    BayId::all().map(of_bay).collect()
}

fn place(user: UserId) -> usize {
    usize::from(BayId::of_user(user).0)
}

impl Shard {
    /// Lets what is gathered leave, bay by bay, when its time is over and when it is much; at once when the shard stops or is
    /// not ready.
    pub(crate) fn write_gathered_if_due(&mut self) {
        if self.draining.is_some() || !self.ready {
            return self.write_gathered();
        }
        let (gather_ms, rows_max) = (self.config.limits.gather_ms, self.config.limits.unstored_rows);
        if let Some(due) = self.gathered.due(self.now, gather_ms, GATHERED_POINTERS_MAX.min(rows_max / 2)) {
            self.write_leaving(usize::MAX, 0);
            self.gathered.leave(due, self.applied.moved());
        }
        if self.gathered.is_leaving() && self.now >= self.gathered.leaving.next {
            let (bays, spread_ms) = (u64::from(BAYS), self.gathered.leaving.spread_ms);
            let elapsed_ms = self.now.0 - self.gathered.leaving.began.0;
            let gone = (bays * elapsed_ms).checked_div(spread_ms).unwrap_or(bays);
            self.write_leaving(LEAVING_POINTERS, usize::try_from(bays.saturating_sub(gone)).unwrap_or(0));
            self.gathered.leaving.next = self.now.after_ms((spread_ms / bays).max(1));
        }
    }

    /// Puts all that is gathered into the open batch, with the marks of all own bays.
    pub(crate) fn write_gathered(&mut self) {
        self.write_leaving(usize::MAX, 0);
        if !self.gathered.is_empty() {
            self.gathered.leave((self.now, 0), self.applied.moved());
            self.write_leaving(usize::MAX, 0);
        }
    }

    /// Puts what leaves into the open batch, each bay with its marks, until it is so many pointers and so few bays are left.
    fn write_leaving(&mut self, pointers_min: usize, bays_left: usize) {
        let mut pointers = 0;
        while (pointers < pointers_min || self.gathered.leaving.bays.len() > bays_left)
            && let Some(OfBay { bay, runs, lists, jobs }) = self.gathered.leaving.bays.pop_front()
        {
            for row in lists {
                self.pipeline.trailing_row(bay, row);
            }
            for ((user, channel), row) in jobs {
                let is_there = row.is_some();
                self.pipeline.trailing_row(bay, Row::Job { user, channel, row });
                if is_there {
                    self.pipeline.push(After::Push(user, channel));
                }
            }
            // In the order of keys, which is the same in every run.
            let mut runs: Vec<(UserId, Run)> = runs.into_iter().collect();
            runs.sort_unstable_by_key(|(user, _)| *user);
            for (id, run) in runs {
                pointers += run.entries.len();
                // From here on they count as unstored rows: what has room comes back when those are stored, and by nothing else.
                self.gathered.leaving.pointers -= run.entries.len();
                let number = self.pipeline.run(id, run.first, run.entries);
                if let Some(user) = self.users.get_mut(&id) {
                    user.dirty = number;
                }
            }
            let through = self.applied.marks_of(bay, &self.gathered.leaving.moved);
            if !through.is_empty() && self.placement.home(bay) == self.config.shard {
                self.pipeline.trailing_row(bay, Row::Marks { through });
            }
        }
        if !self.gathered.is_leaving() {
            let Leaving { moved, .. } = core::mem::take(&mut self.gathered.leaving);
            self.pipeline.applied(moved.into_iter());
        }
    }

    /// Lets a user's pointers and list rows leave now: something has to see them stored.
    pub(crate) fn write_pointers_of(&mut self, user: UserId) {
        if self.gathered.holds(user) {
            self.write_gathered();
        }
    }
}
