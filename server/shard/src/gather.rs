//! Pointers that are not on their way to the disk yet. Nobody waits for them and the fan-out logs replay them, so they are
//! gathered for a while and leave as runs: one row for a user's consecutive pointers in place of one each. What they depend
//! on leaves with them, in the same batch: the rows of the users' own lists, and the marks that say what is applied.

use protocol::commit::Row;
use protocol::{BayId, ChannelId, InboxSeq, Seq, UserId};

use crate::idmap::{IdMap, Seeded};
use crate::input::Tick;
use crate::limits::{GATHERED_BYTES_MAX, GATHERED_POINTERS_MAX};
use crate::shard::Shard;

/// Consecutive pointers of one user.
#[derive(Debug)]
struct Run {
    first: InboxSeq,
    entries: Vec<(ChannelId, Seq)>,
}

#[derive(Debug)]
pub(crate) struct Gathered {
    runs: IdMap<UserId, Run>,
    /// Rows of own lists, in order.
    lists: Vec<(BayId, Row)>,
    pointers: usize,
    /// Of the frames that the inboxes keep until the pointers are stored; a frame counts once a span.
    bytes: usize,
    /// When the first of it came.
    since: Option<Tick>,
}

impl Gathered {
    pub(crate) fn new(seed: Seeded) -> Self {
        Self { runs: IdMap::with_hasher(seed), lists: Vec::new(), pointers: 0, bytes: 0, since: None }
    }

    /// A span is applied now, with frames of so many bytes.
    pub(crate) fn begin(&mut self, now: Tick, bytes: usize) {
        self.since.get_or_insert(now);
        self.bytes += bytes;
    }

    /// The next pointer of a user.
    pub(crate) fn pointer(&mut self, user: UserId, at: InboxSeq, channel: ChannelId, seq: Seq) {
        let run = self.runs.entry(user).or_insert_with(|| Run { first: at, entries: Vec::new() });
        run.entries.push((channel, seq));
        self.pointers += 1;
    }

    /// A row of a user's own list.
    pub(crate) fn list_row(&mut self, user: UserId, row: Row) {
        self.lists.push((BayId::of_user(user), row));
    }

    /// Whether pointers of a user are here.
    pub(crate) fn holds(&self, user: UserId) -> bool {
        self.runs.contains_key(&user)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.since.is_none()
    }

    pub(crate) fn pointers(&self) -> usize {
        self.pointers
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When it leaves, if not before.
    pub(crate) fn leaves_at(&self, gather_ms: u64) -> Option<Tick> {
        self.since.map(|since| since.after_ms(gather_ms))
    }
}

impl Shard {
    /// Lets what is gathered leave when its time is over, when it is much, and when the shard stops.
    pub(crate) fn write_gathered_if_due(&mut self) {
        let Some(leaves_at) = self.gathered.leaves_at(self.config.limits.gather_ms) else { return };
        let most = GATHERED_POINTERS_MAX.min(self.config.limits.unstored_rows / 2);
        let is_much = self.gathered.pointers >= most || self.gathered.bytes >= GATHERED_BYTES_MAX;
        if is_much || self.now >= leaves_at || self.draining.is_some() || !self.ready {
            self.write_gathered();
        }
    }

    /// Puts what is gathered into the open batch, with the marks of all own bays.
    pub(crate) fn write_gathered(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let gathered = core::mem::replace(&mut self.gathered, Gathered::new(self.seed));
        for (bay, row) in gathered.lists {
            self.pipeline.trailing_row(bay, row);
        }
        // In the order of keys, which is the same in every run.
        let mut runs: Vec<(UserId, Run)> = gathered.runs.into_iter().collect();
        runs.sort_unstable_by_key(|(user, _)| (BayId::of_user(*user), *user));
        for (id, run) in runs {
            let number = self.pipeline.run(id, run.first, run.entries);
            if let Some(user) = self.users.get_mut(&id) {
                user.dirty = number;
            }
        }
        let moved = self.applied.moved();
        for bay in self.placement.bays(self.config.shard) {
            let through = self.applied.marks_of(bay, &moved);
            if !through.is_empty() {
                self.pipeline.trailing_row(bay, Row::Marks { through });
            }
        }
        self.pipeline.applied(moved.into_iter());
    }

    /// Lets a user's pointers and list rows leave now: something has to see them stored.
    pub(crate) fn write_pointers_of(&mut self, user: UserId) {
        if self.gathered.holds(user) {
            self.write_gathered();
        }
    }
}
