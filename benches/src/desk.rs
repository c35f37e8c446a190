//! One shard on a desk, for benches and counting: turns without sockets, with a store that keeps nothing.
//!
//! What a store would answer is answered as an empty directory would, except that every user has an account, a device
//! of the same number and, if asked for, an inbox that is full up to a head.

use bytes::Bytes;
use protocol::body::message::SendText;
use protocol::body::{self, Body};
use protocol::commit::{AccountRow, Batch, DeviceRow, Facts, FloorRow, PresenceRow, Relation};
use protocol::hello::Hello;
use protocol::partition::BAYS;
use protocol::query::{Answer, BayState, Earlier, Listing, Noted, PushRows, Query};
use protocol::{
    BayId, ChannelId, Cursor, DeviceId, Frame, Generation, InboxSeq, Placement, Seq, ShardId, Stamp, UserId,
};
use shard::{Config, ConnId, Effect, Input, Limits, Shard, Tick, Ticket};

const GENERATION: Generation = Generation(7);
/// Turns that share a millisecond: a busy shard takes many.
const TURNS_PER_MS: u64 = 16;
/// Unix time at the desk's beginning.
const WALL_MS: u64 = 1_800_000_000_000;

/// A shard and what it has asked for.
#[derive(Debug)]
pub struct Desk {
    core: Shard,
    effects: Vec<Effect>,
    turns: u64,
    inbox_head: u64,
    /// Handed to connections since the caller last looked.
    pub sent: Vec<(ConnId, Bytes)>,
    /// Batches that are not yet stored.
    pub batches: Vec<Batch>,
    queries: Vec<(Ticket, Query)>,
    page: Vec<Frame>,
}

impl Desk {
    /// The one shard of a node whose users' inboxes hold `inbox_head` messages.
    #[must_use]
    pub fn new(inbox_head: u64) -> Self {
        let placement = Placement::new(1).unwrap_or_else(|| unreachable!("one shard"));
        let limits = Limits {
            group_members: 500,
            frames_per_s: 1_000_000,
            frames_burst: 1_000_000,
            heartbeat_ms: 600_000,
            ..Limits::default()
        };
        let bays = usize::from(BAYS);
        let empty = |bay| BayState {
            bay,
            generation: GENERATION,
            fanout_head: 0,
            fanout_tail: 0,
            applied: vec![0; bays],
        };
        let own = BayId::all().map(empty).collect();
        let config =
            Config { shard: ShardId(0), placement, limits, own, fanout_heads: vec![0; bays], seed: 1 };
        let mut desk = Self {
            core: Shard::new(config),
            effects: Vec::new(),
            turns: 0,
            inbox_head,
            sent: Vec::new(),
            batches: Vec::new(),
            queries: Vec::new(),
            page: (1..=inbox_head).map(stored_text).collect(),
        };
        desk.turn([]);
        desk.settle();
        desk
    }

    /// One turn with these inputs. What it asks for waits.
    pub fn turn(&mut self, inputs: impl IntoIterator<Item = Input>) {
        self.turns += 1;
        let now = self.turns / TURNS_PER_MS;
        self.core.begin_turn(Tick(now), WALL_MS + now);
        for input in inputs {
            self.core.step(input, &mut self.effects);
        }
        self.core.end_turn(&mut self.effects);
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Transmit { conn, frames } => self.sent.push((conn, frames)),
                Effect::Append(batch) => self.batches.push(batch),
                Effect::Read { ticket, query } => self.queries.push((ticket, query)),
                _ => {}
            }
        }
    }

    /// A turn in which everything that waits to be stored is stored.
    pub fn store(&mut self) {
        let last = self.batches.last().map(|batch| batch.number);
        self.batches.clear();
        self.turn(last.map(|number| Input::Stored { number }));
    }

    /// A turn in which every query is answered.
    pub fn answer(&mut self) {
        let queries = std::mem::take(&mut self.queries);
        let inputs: Vec<Input> = queries
            .into_iter()
            .map(|(ticket, query)| Input::Read { ticket, answer: Ok(self.answer_to(&query)) })
            .collect();
        self.turn(inputs);
    }

    /// Stores and answers until nothing waits.
    pub fn settle(&mut self) {
        while !self.batches.is_empty() || !self.queries.is_empty() {
            if !self.queries.is_empty() {
                self.answer();
            }
            if !self.batches.is_empty() {
                self.store();
            }
        }
    }

    /// A session of a user; the connection has the user's number.
    pub fn join(&mut self, user: u64) {
        self.turn([hello(user, user, self.inbox_head)]);
        self.settle();
        self.sent.clear();
    }

    /// A frame from a user's connection.
    #[must_use]
    pub fn frame<T: Body>(user: u64, id: u64, body: &T) -> Input {
        Input::Frame { conn: ConnId(user), frame: body::encode(id, body) }
    }

    fn answer_to(&self, query: &Query) -> Answer {
        match query {
            Query::User(user) => Answer::User {
                account: Some(AccountRow { created_ms: 1, ..AccountRow::default() }),
                devices: vec![(DeviceId(user.0), DeviceRow::default())],
                inbox_head: InboxSeq(self.inbox_head),
                presence: PresenceRow::default(),
                push: PushRows::default(),
                followed: Box::default(),
            },
            Query::Channel(_) => Answer::Channel {
                row: None,
                members: Vec::new(),
                head: Seq(0),
                time_ms: 0,
                rules: protocol::query::RuleRows::default(),
            },
            Query::Window { .. } => Answer::Window(Vec::new()),
            Query::Inbox { .. } => {
                Answer::Inbox { frames: self.page.clone(), through: InboxSeq(self.inbox_head) }
            }
            Query::History { .. } => Answer::History(Vec::new()),
            Query::Joined { .. } => Answer::Joined { items: Vec::new(), more: false },
            Query::Listing { .. } => Answer::Listing(Listing::default()),
            Query::Notes { .. } => Answer::Notes { notes: Noted::Drafts(Vec::new()), more: false },
            Query::Around { .. } => Answer::Around { pivot: Seq(1), frames: Vec::new() },
            Query::Thread { .. } => {
                Answer::Thread { frames: Vec::new(), more: false, total: 0, newest: Seq(0) }
            }
            Query::Mentions { .. } => Answer::Mentions { items: Vec::new(), unread: Vec::new(), more: false },
            Query::Target { .. } => {
                let (facts, edits) = (Facts::default(), Vec::new());
                Answer::Target { message: None, recalled: None, facts, edits }
            }
            Query::About { .. } => Answer::About { pins: Vec::new(), items: Vec::new(), more: false },
            Query::Membership { .. } => Answer::Membership(Vec::new()),
            Query::Members { users, .. } => Answer::Members(vec![None; users.len()]),
            Query::MembersPage { .. } => Answer::MembersPage { items: Vec::new(), more: false },
            Query::Earlier { users, .. } => Answer::Earlier(vec![Earlier::default(); users.len()]),
            Query::Relation { .. } => Answer::Relation(Relation::default()),
            Query::Jobs { .. } => Answer::Jobs { items: Vec::new(), more: false },
            Query::Withdrawals { .. } => Answer::Withdrawals { items: Vec::new(), more: false },
            Query::Push { .. } => Answer::Push(Box::default()),
            Query::Floor { .. } => {
                let (now, then) = (FloorRow::default(), FloorRow::default());
                Answer::Floor { now, then, head: Seq(0), retention: None }
            }
            Query::Written { .. } => Answer::Written(Box::default()),
            Query::Trace { .. } => Answer::Trace(Box::default()),
            Query::Replay { .. } => Answer::Replay { deliveries: Vec::new(), through: 0 },
        }
    }
}

/// A user says hello on a connection, with everything up to `cursor` in hand.
#[must_use]
pub fn hello(conn: u64, user: u64, cursor: u64) -> Input {
    Input::Hello {
        conn: ConnId(conn),
        hello: Hello {
            user: UserId(user),
            device: DeviceId(user),
            cursor: Cursor { generation: GENERATION, at: InboxSeq(cursor) },
            id: 1,
            expires_ms: u64::MAX,
            issued_ms: 1,
        },
    }
}

/// A short text of the direct channel of users 1 and 2, as it is stored.
#[must_use]
pub fn stored_text(seq: u64) -> Frame {
    let channel = ChannelId::direct(UserId(1), UserId(2)).0;
    let sent = body::encode(seq, &SendText { channel, text: "안녕하세요 반갑습니다".into() });
    sent.stamp(Stamp { seq: Seq(seq), time_ms: WALL_MS, sender: UserId(2) })
}
