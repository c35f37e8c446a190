//! A channel's export on its way into an empty store: first the whole file is looked at, then its rows are committed, with the
//! rows that follow from them at other homes where no message tells them any more.
//!
//! What a start makes of a fan-out log is left to a start: the log names every message of the channel, those that were purged
//! too, and whoever starts the shards on it delivers them to the inboxes of then.

use std::collections::BTreeMap;

use protocol::body::message::Change;
use protocol::commit::{AccountRow, Batch, IntervalRow, Part, Policy, Row};
use protocol::partition::BAYS;
use protocol::{BayId, ChannelId, Seq, ShardId, UserId};
use storage::Store;

use super::line::{Header, Kind, Line, Of, user_of};

/// Messages of one row of a fan-out log, as of a turn of a shard.
const LOG_MESSAGES: usize = 200;
/// Rows and bytes of messages after which a batch is committed, about.
const BATCH_ROWS: usize = 4096;
const BATCH_BYTES: usize = 1024 * 1024;

/// What a file holds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Counts {
    pub(crate) messages: u64,
    pub(crate) purged: u64,
    pub(crate) users: u64,
}

/// Where the lines of a file have come to: each has its place behind those before it.
#[derive(Debug)]
pub(crate) struct Order {
    channel: ChannelId,
    /// Of the kind of the line before.
    rank: u8,
    head: Seq,
    floor: Seq,
    last: Seq,
    user: Option<UserId>,
    counts: Counts,
}

impl Order {
    /// Of the file with this header.
    pub(crate) fn begin(header: &Header) -> Result<Self, String> {
        if header.of == Of::User {
            let words = "it is a user's export, which is a view and is not imported; import the channels";
            return Err(words.into());
        }
        let channel = header.id.parse::<ChannelId>().ok().filter(|channel| channel.is_well_formed());
        let channel = channel.filter(|channel| channel.to_string() == header.id);
        let channel = channel.ok_or_else(|| format!("{:?} is no channel's id", header.id))?;
        let (zero, counts) = (Seq(0), Counts::default());
        Ok(Self { channel, rank: 0, head: zero, floor: zero, last: zero, user: None, counts })
    }

    pub(crate) fn channel(&self) -> ChannelId {
        self.channel
    }

    /// Whether the line may stand behind those before it.
    pub(crate) fn take(&mut self, line: &Line) -> Result<(), String> {
        let rank = rank(line);
        let is_first = self.rank == 0;
        if is_first != (rank == 1) {
            return Err("a channel's export begins with the line `channel`, and has one".into());
        }
        // A stranger who is banned comes behind the stays.
        let rank = if matches!(line, Line::User { .. }) { rank.max(self.rank) } else { rank };
        let is_once = rank <= 5 && rank == self.rank;
        if rank < self.rank || is_once || (matches!(line, Line::User { .. }) && rank > 8) {
            return Err("it does not stand where such a line does, or stands twice".into());
        }
        self.rank = rank;
        match line {
            Line::Channel { channel, kind, head, .. } => {
                if *channel != self.channel.to_string() || *kind != Kind::of(self.channel) {
                    return Err("it is another channel's than the first line says".into());
                }
                self.head = Seq(*head);
            }
            Line::Floor { below, .. } if *below < 2 || *below > self.head.0 + 1 => {
                return Err(format!(
                    "nothing is purged below {below}, and the newest message is {}",
                    self.head
                ));
            }
            Line::Floor { below, .. } => {
                (self.floor, self.last) = (Seq(*below), Seq(below - 1));
                self.counts.purged = self.last.0;
            }
            Line::User { user, .. } => {
                self.user = Some(user_of(user)?);
                self.counts.users += 1;
            }
            Line::Position { user, .. } | Line::Stay { user, .. } if self.user != Some(user_of(user)?) => {
                return Err("the line `user` before it is another one's".into());
            }
            Line::Message { seq, .. } if *seq != self.last.0 + 1 || *seq > self.head.0 => {
                let (last, head) = (self.last, self.head);
                return Err(format!("message {seq} stands behind message {last}, and the newest is {head}"));
            }
            Line::Message { seq, .. } => {
                self.last = Seq(*seq);
                self.counts.messages += 1;
            }
            Line::Said { seq, .. } | Line::Reaction { seq, .. } if *seq != self.last.0 => {
                return Err("the message before it is another one".into());
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether nothing is missing behind the last line.
    pub(crate) fn end(&self) -> Result<Counts, String> {
        if self.rank == 0 {
            return Err("it has no line `channel`".into());
        }
        if self.last != self.head || self.head == Seq(0) {
            return Err(format!("its last message is {}, and its channel says {}", self.last, self.head));
        }
        Ok(self.counts)
    }
}

/// The place of a line of its kind. Up to 5 there is one of each. An erasure takes how far its user had come, and so stands before that.
fn rank(line: &Line) -> u8 {
    match line {
        Line::Channel { .. } => 1,
        Line::Retention { .. } => 2,
        Line::Floor { .. } => 3,
        Line::Slow { .. } => 4,
        Line::Pins { .. } => 5,
        Line::Erased { .. } => 6,
        Line::User { .. } | Line::Person { .. } | Line::Position { .. } | Line::Stay { .. } => 7,
        Line::Sanction { .. } => 8,
        Line::Sent { .. } => 9,
        Line::Message { .. } | Line::Said { .. } | Line::Reaction { .. } => 10,
        Line::Thread { .. } | Line::End { .. } => 11,
    }
}

/// Puts channels into a store. Rows are committed a batch at a time.
#[derive(Debug)]
pub(crate) struct Importer<'a> {
    store: &'a Store,
    number: u64,
    /// The newest row of each bay's log.
    logs: [u64; BAYS as usize],
    parts: BTreeMap<BayId, Vec<Row>>,
    rows: usize,
    bytes: usize,
    /// Messages that the next row of the log names.
    named: Vec<(ChannelId, Seq)>,
}

/// One channel on its way.
#[derive(Debug)]
pub(crate) struct Channel {
    channel: ChannelId,
    is_large: bool,
    head: Seq,
    /// The newest stay of the user whose lines come now.
    stay: Option<(UserId, Seq, IntervalRow)>,
}

impl<'a> Importer<'a> {
    /// Into an empty store.
    pub(crate) fn new(store: &'a Store) -> Self {
        let logs = [0; BAYS as usize];
        Self { store, number: 0, logs, parts: BTreeMap::new(), rows: 0, bytes: 0, named: Vec::new() }
    }

    /// Begins with a channel.
    pub(crate) fn begin(&self, channel: ChannelId) -> Channel {
        Channel { channel, is_large: false, head: Seq(0), stay: None }
    }

    /// One line of it more.
    pub(crate) fn take(&mut self, of: &mut Channel, line: Line) -> Result<(), String> {
        let channel = of.channel;
        match &line {
            Line::Channel { large, head, .. } => (of.is_large, of.head) = (large.is_some(), Seq(*head)),
            Line::User { user, name, created_ms, .. } => {
                self.list(of);
                let user = user_of(user)?;
                self.user(user, name.is_some(), *created_ms);
                if channel.users().is_some() {
                    self.put(BayId::of_user(user), Row::Joined { user, channel, joined: Seq(1) });
                }
            }
            _ => {}
        }
        let Some(row) = line.row(channel)? else { return Ok(()) };
        let bay = BayId::of_channel(channel);
        match &row {
            Row::Interval { user, joined, row, .. } => of.stay = Some((*user, *joined, row.clone())),
            Row::Rule { .. } | Row::Message { .. } => self.list(of),
            _ => {}
        }
        if let Row::Floor { row, .. } = &row {
            // They were delivered when they were there.
            for seq in (1..row.below.0).map(Seq) {
                self.name(channel, seq)?;
            }
        }
        if let Row::Message { seq, frame, .. } = &row {
            if let Some(user) = channel.owner()
                && let Some(Change::Notes(note)) = Change::read(frame)
            {
                self.put(BayId::of_user(user), Row::Note { user, seq: *seq, note });
            }
            self.bytes += frame.bytes().len();
            let seq = *seq;
            self.put(bay, row);
            return self.name(channel, seq);
        }
        self.put(bay, row);
        if self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES { self.commit() } else { Ok(()) }
    }

    /// Behind the last line of a channel: all of it is durable.
    pub(crate) fn end(&mut self, mut of: Channel) -> Result<(), String> {
        self.list(&mut of);
        self.log();
        self.commit()
    }

    /// What the home of a user keeps of it. One who left is known for ever, and nobody may come near.
    fn user(&mut self, user: UserId, is_there: bool, created_ms: u64) {
        let policy = if is_there { Policy::default() } else { Policy::NOBODY };
        let row = AccountRow { created_ms, policy, ..AccountRow::default() };
        self.put(BayId::of_user(user), Row::Account { user, row });
    }

    /// The user's own list, as the newest stay says: the messages that would say it may have been purged.
    fn list(&mut self, of: &mut Channel) {
        let Some((user, joined, row)) = of.stay.take() else { return };
        let (channel, bay) = (of.channel, BayId::of_user(user));
        self.put(bay, Row::Joined { user, channel, joined });
        match row.left {
            Some(left) => self.put(bay, Row::Left { user, channel, left }),
            None if of.is_large => self.put(bay, Row::Followed { user, channel, is_in: true }),
            None => {}
        }
    }

    fn put(&mut self, bay: BayId, row: Row) {
        self.rows += 1;
        self.parts.entry(bay).or_default().push(row);
    }

    /// The log names a message more.
    fn name(&mut self, channel: ChannelId, seq: Seq) -> Result<(), String> {
        self.named.push((channel, seq));
        if self.named.len() < LOG_MESSAGES && self.bytes < BATCH_BYTES {
            return Ok(());
        }
        self.log();
        self.commit()
    }

    /// The row of the log that names what is to be named.
    fn log(&mut self) {
        let messages = std::mem::take(&mut self.named);
        let Some((channel, _)) = messages.first() else { return };
        let bay = BayId::of_channel(*channel);
        let Some(number) = self.logs.get_mut(usize::from(bay.0)) else { return };
        *number += 1;
        let number = *number;
        self.put(bay, Row::Fanout { number, messages });
    }

    fn commit(&mut self) -> Result<(), String> {
        (self.rows, self.bytes) = (0, 0);
        self.number += 1;
        let parts = std::mem::take(&mut self.parts);
        let parts = parts.into_iter().map(|(bay, rows)| Part { bay, rows }).collect();
        let batch = Batch { shard: ShardId(0), number: self.number, parts };
        self.store.commit(&[batch]).map_err(|error| error.to_string())
    }
}
