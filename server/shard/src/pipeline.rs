//! The way of a shard's rows to the disk: an open batch, sealed batches that wait, batches in flight, and what to do
//! once they are stored.

use std::collections::VecDeque;
use std::sync::Arc;

use protocol::commit::{Batch, Part, Row};
use protocol::hop::{Hop, Origin};
use protocol::partition::BAYS;
use protocol::query::{BayState, Query};
use protocol::{BayId, ChannelId, Frame, InboxSeq, Kind, Seq, ShardId, UserId};

use crate::input::{Tick, Ticket};
use crate::limits::{
    BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, BATCHES_IN_FLIGHT_MAX, Limits, PARKED_FACTOR, TRAILING_ROWS_MAX,
};

/// Recipients by their home; of each home rising by (bay, user).
pub(crate) type Recipients = Arc<[(ShardId, Arc<[UserId]>)]>;

/// A message with its seq on the way to the disk.
#[derive(Debug)]
pub(crate) struct Committing {
    pub(crate) channel: ChannelId,
    pub(crate) seq: Seq,
    pub(crate) frame: Frame,
    pub(crate) recipients: Recipients,
    /// Of a large channel the message with which it became one.
    pub(crate) grown: Option<Seq>,
    pub(crate) origin: Origin,
}

/// What waits for a batch to be stored, besides its messages.
#[derive(Debug)]
pub(crate) enum After {
    /// A user's pointers up to this one are durable.
    Pointers(UserId, InboxSeq),
    /// The control plane is answered.
    Reply(Ticket),
    /// A query that has to see the batch.
    Read(Ticket, Query),
    /// A hop that has to see the batch.
    Hop(Hop),
    /// A channel may leave memory that waited for nothing but its row.
    Channel,
    /// A session is told that what it asked for is done.
    Answer(Origin, Kind, Frame),
    /// The control plane is told of a job.
    Push(UserId, ChannelId),
    /// A channel's history begins later.
    Purged(ChannelId),
}

/// A batch without its rows.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    number: u64,
    bytes: usize,
    rows: usize,
    /// Its numbers in the fan-out logs of the bays of its messages.
    pub(crate) fanout: Vec<(BayId, u64)>,
    pub(crate) messages: Vec<Committing>,
    pub(crate) after: Vec<After>,
    /// How far the sources' logs are durably applied, in all own bays, once it is stored.
    pub(crate) applied: Vec<(BayId, u64)>,
    /// Somebody waits for it: a sender, the control plane, a query. Else it may wait for such a batch.
    is_awaited: bool,
}

#[derive(Debug)]
pub(crate) struct Pipeline {
    shard: ShardId,
    /// Rows of the open batch, by bay.
    rows: Vec<Vec<Row>>,
    open: Pending,
    sealed: VecDeque<Batch>,
    /// Sealed and in-flight batches, by rising number.
    pending: VecDeque<Pending>,
    in_flight: usize,
    next: u64,
    stored: u64,
    /// The newest number given in the fan-out log of each bay; 0 for those of other shards.
    fanout_heads: Vec<u64>,
    unstored_messages: usize,
    unstored_bytes: usize,
    unstored_rows: usize,
    bounds: Bounds,
    /// The shards know that it is full.
    is_pressing: bool,
    /// So much waits that sends are refused, until there is room again.
    is_refusing: bool,
    /// When what nobody waits for leaves at the latest.
    leave_at: Option<Tick>,
}

/// What may wait unstored.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    messages: usize,
    bytes: usize,
    rows: usize,
}

impl Pipeline {
    pub(crate) fn new(shard: ShardId, own: &[BayState], limits: &Limits) -> Self {
        let mut fanout_heads = vec![0; usize::from(BAYS)];
        for state in own {
            if let Some(head) = fanout_heads.get_mut(usize::from(state.bay.0)) {
                *head = state.fanout_head;
            }
        }
        let bounds = Bounds {
            messages: limits.unstored_messages,
            bytes: limits.unstored_bytes,
            rows: limits.unstored_rows,
        };
        Self {
            shard,
            rows: vec![Vec::new(); usize::from(BAYS)],
            open: Pending::default(),
            sealed: VecDeque::new(),
            pending: VecDeque::new(),
            in_flight: 0,
            next: 1,
            stored: 0,
            fanout_heads,
            unstored_messages: 0,
            unstored_bytes: 0,
            unstored_rows: 0,
            bounds,
            is_pressing: false,
            is_refusing: false,
            leave_at: None,
        }
    }

    /// Adds a row of a bay to the open batch; says the number of the batch that will hold it.
    pub(crate) fn row(&mut self, bay: BayId, row: Row) -> u64 {
        self.open.is_awaited = true;
        let bytes = row.encoded_bytes();
        self.open.bytes += bytes;
        self.unstored_bytes += bytes;
        self.trailing_row(bay, row)
    }

    /// The same for a row that follows from what is stored already: nobody waits for it, and a crash replays it. It rides
    /// on the next batch that somebody waits for, which spares the store a write.
    pub(crate) fn trailing_row(&mut self, bay: BayId, row: Row) -> u64 {
        if let Some(rows) = self.rows.get_mut(usize::from(bay.0)) {
            rows.push(row);
        }
        self.open.rows += 1;
        self.unstored_rows += 1;
        self.next
    }

    /// How far a member has come, trailing: once it is stored its channel may leave memory.
    pub(crate) fn position(&mut self, bay: BayId, row: Row) -> u64 {
        self.open.after.push(After::Channel);
        self.trailing_row(bay, row)
    }

    /// Consecutive pointers of a user's inbox, and what is told once they are durable. Trailing. Each counts as a row: so
    /// many entries of the inbox stay in memory until then.
    pub(crate) fn run(&mut self, user: UserId, first: InboxSeq, entries: Vec<(ChannelId, Seq)>) -> u64 {
        let (more, last) = (entries.len().saturating_sub(1), first.0 + entries.len() as u64 - 1);
        self.open.after.push(After::Pointers(user, InboxSeq(last)));
        self.open.rows += more;
        self.unstored_rows += more;
        self.trailing_row(BayId::of_user(user), Row::Run { user, first, entries })
    }

    /// Does something once the open batch is stored. Trailing.
    pub(crate) fn push(&mut self, after: After) {
        self.open.after.push(after);
    }

    /// The rows before apply these logs in all own bays. Trailing.
    pub(crate) fn applied(&mut self, through: impl Iterator<Item = (BayId, u64)>) {
        for (source, through) in through {
            match self.open.applied.iter_mut().find(|(known, _)| *known == source) {
                Some((_, known)) => *known = through,
                None => self.open.applied.push((source, through)),
            }
        }
    }

    /// Adds a message and its row.
    pub(crate) fn message(&mut self, message: Committing) -> u64 {
        let (channel, seq, frame) = (message.channel, message.seq, message.frame.clone());
        let bay = BayId::of_channel(channel);
        self.unstored_messages += 1;
        self.is_refusing |= self.unstored_messages >= PARKED_FACTOR * self.bounds.messages
            || self.unstored_bytes >= PARKED_FACTOR * self.bounds.bytes;
        self.open.messages.push(message);
        self.row(bay, Row::Message { channel, seq, frame })
    }

    /// Whether the batch with this number is stored.
    pub(crate) fn is_stored(&self, number: u64) -> bool {
        number <= self.stored
    }

    /// Does something once batch `number` is stored; gives it back when it already is.
    pub(crate) fn after_number(&mut self, number: u64, after: After) -> Option<After> {
        if self.is_stored(number) {
            return Some(after);
        }
        let waiting = self.pending.iter_mut().find(|pending| pending.number == number);
        let batch = waiting.unwrap_or(&mut self.open);
        batch.is_awaited = true;
        batch.after.push(after);
        None
    }

    /// Seals the open batch once it is large; called between steps, never inside one, so that what belongs together stays.
    pub(crate) fn seal_if_full(&mut self) {
        if self.open.messages.len() >= BATCH_MESSAGES_MAX || self.open.bytes >= BATCH_BYTES_MAX {
            self.seal();
        }
    }

    /// Seals what is open if it can leave at once, and gives the batches that may leave. What nobody waits for stays for
    /// `trailing_ms`, unless there is much of it.
    pub(crate) fn end_turn(&mut self, now: Tick, trailing_ms: u64, mut append: impl FnMut(Batch)) {
        if self.sealed.is_empty() && self.in_flight < BATCHES_IN_FLIGHT_MAX && self.has_open() {
            let leave_at = *self.leave_at.get_or_insert_with(|| now.after_ms(trailing_ms));
            if self.open.is_awaited || self.open.rows >= TRAILING_ROWS_MAX || now >= leave_at {
                self.seal();
            }
        }
        while self.in_flight < BATCHES_IN_FLIGHT_MAX {
            let Some(batch) = self.sealed.pop_front() else { break };
            self.in_flight += 1;
            append(batch);
        }
    }

    /// When a turn must run so that what is open leaves. Once it is sealed, or can only leave behind what is in flight,
    /// what comes from the store makes the turn.
    pub(crate) fn next_deadline(&self) -> Option<Tick> {
        self.leave_at.filter(|_| self.sealed.is_empty() && self.in_flight < BATCHES_IN_FLIGHT_MAX)
    }

    /// Everything up to `number` is stored: gives the batches in order.
    pub(crate) fn take_stored(&mut self, number: u64) -> Option<Pending> {
        if self.in_flight == 0 || self.pending.front()?.number > number {
            return None;
        }
        let pending = self.pending.pop_front()?;
        self.in_flight -= 1;
        self.stored = pending.number;
        self.unstored_messages -= pending.messages.len();
        self.unstored_bytes -= pending.bytes;
        self.unstored_rows -= pending.rows;
        self.is_refusing &= !self.is_relieved();
        Some(pending)
    }

    /// Bytes of frames that are not stored yet.
    pub(crate) fn unstored_bytes(&self) -> usize {
        self.unstored_bytes
    }

    /// Whether the senders to this shard's channels must wait.
    pub(crate) fn is_full(&self) -> bool {
        self.unstored_messages >= self.bounds.messages || self.unstored_bytes >= self.bounds.bytes
    }

    /// Whether the senders may go on.
    fn is_relieved(&self) -> bool {
        self.unstored_messages <= self.bounds.messages / 2 && self.unstored_bytes <= self.bounds.bytes / 2
    }

    /// Says that it became full, or has room again; each once.
    pub(crate) fn pressure_changed(&mut self) -> Option<bool> {
        let on = if self.is_pressing { !self.is_relieved() } else { self.is_full() };
        (core::mem::replace(&mut self.is_pressing, on) != on).then_some(on)
    }

    /// Whether the shards were told that it is full.
    pub(crate) fn is_pressing(&self) -> bool {
        self.is_pressing
    }

    /// Whether not even what was on the way when the senders were paused has room. Once that is so, nothing is taken until
    /// there is room for all, so that a later send does not overtake one that was refused.
    pub(crate) fn is_refusing(&self) -> bool {
        self.is_refusing
    }

    /// Whether pointers have room beside so many that are not here yet. Deliveries wait in the log of their source else.
    pub(crate) fn takes_deliveries(&self, gathered: usize) -> bool {
        self.unstored_rows + gathered < self.bounds.rows
    }

    /// Whether nothing is on the way.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty() && !self.has_open()
    }

    /// Whether rows, or something to do once they are stored, wait in the open batch.
    pub(crate) fn has_open(&self) -> bool {
        self.open.rows > 0 || !self.open.after.is_empty() || !self.open.applied.is_empty()
    }

    fn seal(&mut self) {
        if !self.has_open() {
            return;
        }
        self.leave_at = None;
        self.log_messages();
        let mut pending = core::mem::take(&mut self.open);
        pending.number = self.next;
        self.next += 1;
        let parts = BayId::all().zip(&mut self.rows).filter(|(_, rows)| !rows.is_empty());
        let parts = parts.map(|(bay, rows)| Part { bay, rows: core::mem::take(rows) }).collect();
        self.sealed.push_back(Batch { shard: self.shard, number: pending.number, parts });
        self.pending.push_back(pending);
    }

    /// Each bay of the open batch's messages numbers them in its fan-out log.
    fn log_messages(&mut self) {
        let mut by_bay: Vec<Vec<(ChannelId, Seq)>> = Vec::new();
        for message in &self.open.messages {
            let bay = BayId::of_channel(message.channel);
            let place = self.open.fanout.iter().position(|(known, _)| *known == bay);
            let place = place.unwrap_or_else(|| {
                self.open.fanout.push((bay, 0));
                by_bay.push(Vec::new());
                by_bay.len() - 1
            });
            if let Some(messages) = by_bay.get_mut(place) {
                messages.push((message.channel, message.seq));
            }
        }
        for ((bay, number), messages) in self.open.fanout.iter_mut().zip(by_bay) {
            let (head, rows) =
                (self.fanout_heads.get_mut(usize::from(bay.0)), self.rows.get_mut(usize::from(bay.0)));
            if let (Some(head), Some(rows)) = (head, rows) {
                *head += 1;
                *number = *head;
                rows.push(Row::Fanout { number: *head, messages });
            }
        }
    }
}
