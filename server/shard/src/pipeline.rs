//! The way of one store's rows to the disk: an open batch, sealed batches that wait, batches in flight, and what to do
//! once they are stored.

use std::collections::VecDeque;
use std::sync::Arc;

use protocol::commit::{Batch, Row};
use protocol::hop::{Hop, Origin};
use protocol::query::Query;
use protocol::{ChannelId, Frame, InboxSeq, Kind, Seq, StoreId, UserId};

use crate::input::{Tick, Ticket};
use crate::limits::{
    BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, BATCHES_IN_FLIGHT_MAX, Limits, PARKED_FACTOR, TRAILING_ROWS_MAX,
};

/// Recipients by the store that holds their inbox.
pub(crate) type Recipients = Arc<[(StoreId, Arc<[UserId]>)]>;

/// A message with its seq on the way to the disk.
#[derive(Debug)]
pub(crate) struct Committing {
    pub(crate) channel: ChannelId,
    pub(crate) seq: Seq,
    pub(crate) frame: Frame,
    pub(crate) recipients: Recipients,
    pub(crate) origin: Origin,
}

/// What waits for a batch to be stored, besides its messages.
#[derive(Debug)]
pub(crate) enum After {
    /// A pointer is durable.
    Pointer(UserId, InboxSeq),
    /// The control plane is answered.
    Reply(Ticket),
    /// A query that has to see the batch.
    Read(Ticket, Query),
    /// A hop that has to see the batch.
    Hop(Hop),
    /// A session is told that what it asked for is done.
    Answer(Origin, Kind, Frame),
}

/// A batch without its rows.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    number: u64,
    bytes: usize,
    rows: usize,
    /// Number in the fan-out log; 0 for a batch without messages.
    pub(crate) fanout: u64,
    pub(crate) messages: Vec<Committing>,
    pub(crate) after: Vec<After>,
    /// How far each source's log is applied by it: one row a source, however many spans it holds.
    pub(crate) applied: Vec<(StoreId, u64)>,
    /// Somebody waits for it: a sender, the control plane, a query. Else it may wait for such a batch.
    is_awaited: bool,
}

#[derive(Debug)]
pub(crate) struct Pipeline {
    store: StoreId,
    rows: Vec<Row>,
    open: Pending,
    sealed: VecDeque<Batch>,
    /// Sealed and in-flight batches, by rising number.
    pending: VecDeque<Pending>,
    in_flight: usize,
    next: u64,
    stored: u64,
    /// The newest number given in the fan-out log.
    fanout_head: u64,
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
    pub(crate) fn new(store: StoreId, fanout_head: u64, limits: &Limits) -> Self {
        let bounds = Bounds {
            messages: limits.unstored_messages,
            bytes: limits.unstored_bytes,
            rows: limits.unstored_rows,
        };
        Self {
            store,
            rows: Vec::new(),
            open: Pending::default(),
            sealed: VecDeque::new(),
            pending: VecDeque::new(),
            in_flight: 0,
            next: 1,
            stored: 0,
            fanout_head,
            unstored_messages: 0,
            unstored_bytes: 0,
            unstored_rows: 0,
            bounds,
            is_pressing: false,
            is_refusing: false,
            leave_at: None,
        }
    }

    /// Adds a row to the open batch; says the number of the batch that will hold it.
    pub(crate) fn row(&mut self, row: Row) -> u64 {
        self.open.is_awaited = true;
        let bytes = row.encoded_bytes();
        self.open.bytes += bytes;
        self.unstored_bytes += bytes;
        self.trailing_row(row)
    }

    /// The same for a row that follows from what is stored already: nobody waits for it, and a crash replays it. It rides
    /// on the next batch that somebody waits for, which spares the store a write.
    pub(crate) fn trailing_row(&mut self, row: Row) -> u64 {
        self.rows.push(row);
        self.open.rows += 1;
        self.unstored_rows += 1;
        self.next
    }

    /// A pointer, and what is told once it is durable. Trailing.
    pub(crate) fn pointer(&mut self, user: UserId, at: InboxSeq, channel: ChannelId, seq: Seq) -> u64 {
        self.open.after.push(After::Pointer(user, at));
        self.trailing_row(Row::Pointer { user, at, channel, seq })
    }

    /// A span of a source's log is applied by the rows before. Trailing.
    pub(crate) fn applied(&mut self, source: StoreId, through: u64) {
        match self.open.applied.iter_mut().find(|(known, _)| *known == source) {
            Some((_, known)) => *known = through,
            None => self.open.applied.push((source, through)),
        }
    }

    /// Adds a message and its row.
    pub(crate) fn message(&mut self, message: Committing) -> u64 {
        let (channel, seq, frame) = (message.channel, message.seq, message.frame.clone());
        self.unstored_messages += 1;
        self.is_refusing |= self.unstored_messages >= PARKED_FACTOR * self.bounds.messages
            || self.unstored_bytes >= PARKED_FACTOR * self.bounds.bytes;
        self.open.messages.push(message);
        self.row(Row::Message { channel, seq, frame })
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
            if self.open.is_awaited || self.rows.len() >= TRAILING_ROWS_MAX || now >= leave_at {
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

    pub(crate) fn store(&self) -> StoreId {
        self.store
    }

    /// Bytes of frames that are not stored yet.
    pub(crate) fn unstored_bytes(&self) -> usize {
        self.unstored_bytes
    }

    /// Whether the senders into this store must wait.
    pub(crate) fn is_full(&self) -> bool {
        self.unstored_messages >= self.bounds.messages || self.unstored_bytes >= self.bounds.bytes
    }

    /// Whether the senders may go on.
    fn is_relieved(&self) -> bool {
        self.unstored_messages <= self.bounds.messages / 2 && self.unstored_bytes <= self.bounds.bytes / 2
    }

    /// Says that the store became full, or has room again; each once.
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

    /// Whether pointers have room. Deliveries wait in the log of their source else.
    pub(crate) fn takes_deliveries(&self) -> bool {
        self.unstored_rows < self.bounds.rows
    }

    /// Whether nothing is on the way.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty() && !self.has_open()
    }

    /// Whether rows, or something to do once they are stored, wait in the open batch.
    pub(crate) fn has_open(&self) -> bool {
        !self.rows.is_empty() || !self.open.after.is_empty() || !self.open.applied.is_empty()
    }

    fn seal(&mut self) {
        if !self.has_open() {
            return;
        }
        self.leave_at = None;
        let marks = self.open.applied.iter();
        self.rows.extend(marks.map(|&(source, through)| Row::Applied { source, through }));
        if !self.open.messages.is_empty() {
            self.fanout_head += 1;
            self.open.fanout = self.fanout_head;
            let messages = self.open.messages.iter().map(|m| (m.channel, m.seq)).collect();
            self.rows.push(Row::Fanout { number: self.fanout_head, messages });
        }
        let mut pending = core::mem::take(&mut self.open);
        pending.number = self.next;
        self.next += 1;
        let rows = core::mem::take(&mut self.rows);
        self.sealed.push_back(Batch { store: self.store, number: pending.number, rows });
        self.pending.push_back(pending);
    }
}
