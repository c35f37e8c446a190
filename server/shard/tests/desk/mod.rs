//! A desk for scenarios: one node of shards, turned by hand. Queries wait to be answered by the scenario, batches to be
//! stored by it; what each connection was sent is kept as frames.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]

use std::collections::{BTreeMap, VecDeque};

use protocol::body::session::{Reject, Welcome};
use protocol::body::sync::{Complete, SendAck};
use protocol::body::{self, Body};
use protocol::commit::{AccountRow, Batch, DeviceRow, PresenceRow, Row};
use protocol::hello::Hello;
use protocol::partition::BAYS;
use protocol::query::{Answer, BayState, Earlier, Query, ReadFault};
use protocol::{
    BayId, ChannelId, CloseCode, Cursor, DeviceId, Frame, Generation, Header, InboxSeq, Kind, Placement, Seq,
    ShardId, UserId,
};
use shard::{
    Command, CommandError, Config, ConnId, Effect, Fault, GuestId, Input, Limits, Shard, Tick, Ticket,
};

pub const GENERATION: u64 = 7;

pub struct Desk {
    pub shards: Vec<Shard>,
    pub placement: Placement,
    pub now: u64,
    pub wall_ms: u64,
    pub sent: BTreeMap<ConnId, Vec<Frame>>,
    /// Answers to guests, each of which has one.
    pub answered: BTreeMap<GuestId, Vec<Frame>>,
    pub dismissed: Vec<(GuestId, CloseCode)>,
    pub closed: Vec<(ConnId, CloseCode)>,
    pub paused: BTreeMap<ConnId, bool>,
    pub batches: VecDeque<(usize, Batch)>,
    pub queries: VecDeque<(usize, Ticket, Query)>,
    pub replies: Vec<(Ticket, Result<(), CommandError>)>,
    /// Whom the control plane was told to tell by push, of which channel.
    pub pushes: Vec<(u64, ChannelId)>,
    /// Messages that hold a word of the list.
    pub flagged: Vec<(ChannelId, Seq, u64)>,
    pub ready: usize,
    pub drained: usize,
    /// Why the process would have ended.
    pub faults: Vec<Fault>,
    /// Whether hops travel after each turn.
    pub rings_open: bool,
}

impl Desk {
    pub fn new(shards: u16) -> Self {
        Self::limited(shards, Limits::default())
    }

    /// On an empty store, with other limits.
    pub fn limited(shards: u16, limits: Limits) -> Self {
        Self::with(shards, limits, &empty)
    }

    /// What trails a stored message leaves in the same turn, so that a scenario need not wait for it.
    pub fn with(shards: u16, limits: Limits, state: &dyn Fn(BayId) -> BayState) -> Self {
        Self::build(shards, Limits { trailing_ms: 0, gather_ms: 0, ..limits }, state)
    }

    /// One whose rows wait so long for a batch that somebody waits for.
    pub fn trailing(shards: u16, trailing_ms: u64) -> Self {
        Self::build(shards, Limits { trailing_ms, gather_ms: 0, ..Limits::default() }, &empty)
    }

    /// One that gathers pointers for so long.
    pub fn gathering(shards: u16, gather_ms: u64, limits: Limits) -> Self {
        Self::build(shards, Limits { trailing_ms: 0, gather_ms, ..limits }, &empty)
    }

    /// As it is set, over what is found.
    pub fn build(shards: u16, limits: Limits, state: &dyn Fn(BayId) -> BayState) -> Self {
        let placement = Placement::new(shards).unwrap();
        let fanout_heads: Vec<u64> = BayId::all().map(|bay| state(bay).fanout_head).collect();
        let shard = |shard| {
            Shard::new(Config {
                shard: ShardId(shard),
                placement,
                limits: limits.clone(),
                own: placement.bays(ShardId(shard)).map(state).collect(),
                fanout_heads: fanout_heads.clone(),
                seed: 1,
            })
        };
        let mut desk = Self {
            shards: (0..shards).map(shard).collect(),
            placement,
            now: 1_000,
            wall_ms: 1_800_000_000_000,
            sent: BTreeMap::new(),
            answered: BTreeMap::new(),
            dismissed: Vec::new(),
            closed: Vec::new(),
            paused: BTreeMap::new(),
            batches: VecDeque::new(),
            queries: VecDeque::new(),
            replies: Vec::new(),
            pushes: Vec::new(),
            flagged: Vec::new(),
            ready: 0,
            drained: 0,
            faults: Vec::new(),
            rings_open: true,
        };
        desk.settle();
        desk
    }

    /// One turn of one shard with these inputs; then hops travel until none is left.
    pub fn turn(&mut self, shard: usize, inputs: Vec<Input>) {
        self.turn_only(shard, inputs);
        self.settle();
    }

    pub fn turn_only(&mut self, shard: usize, inputs: Vec<Input>) {
        let mut effects = Vec::new();
        let core = &mut self.shards[shard];
        core.begin_turn(Tick(self.now), self.wall_ms);
        for input in inputs {
            core.step(input, &mut effects);
        }
        core.end_turn(&mut effects);
        for effect in effects {
            self.perform(shard, effect);
        }
    }

    pub fn settle(&mut self) {
        for shard in 0..self.shards.len() {
            self.turn_only(shard, Vec::new());
        }
        while self.rings_open && self.carry_hops() {}
    }

    fn carry_hops(&mut self) -> bool {
        let mut any = false;
        for from in 0..self.shards.len() {
            for to in 0..self.shards.len() {
                let mut inputs = Vec::new();
                while let Some(hop) = self.shards[from].poll_hop(ShardId(to as u16)) {
                    inputs.push(Input::Hop { from: ShardId(from as u16), hop });
                }
                if !inputs.is_empty() {
                    any = true;
                    self.turn_only(to, inputs);
                }
            }
        }
        any
    }

    fn perform(&mut self, shard: usize, effect: Effect) {
        match effect {
            Effect::Transmit { conn, frames } => {
                self.sent.entry(conn).or_default().extend(whole(frames));
            }
            Effect::Answered { guest, frames } => {
                assert!(self.answered.insert(guest, whole(frames)).is_none(), "{guest:?} is answered twice");
            }
            Effect::Dismissed { guest, code } => self.dismissed.push((guest, code)),
            Effect::Close { conn, code } => self.closed.push((conn, code)),
            Effect::Pause { conn } => drop(self.paused.insert(conn, true)),
            Effect::Resume { conn } => drop(self.paused.insert(conn, false)),
            Effect::Append(batch) => self.batches.push_back((shard, batch)),
            Effect::Read { ticket, query } => self.queries.push_back((shard, ticket, query)),
            Effect::Reply { ticket, outcome } => self.replies.push((ticket, outcome)),
            Effect::Push { user, channel } => self.pushes.push((user.0, channel)),
            Effect::Flagged { channel, seq, sender } => self.flagged.push((channel, seq, sender.0)),
            Effect::Ready => self.ready += 1,
            Effect::Drained => self.drained += 1,
            Effect::Fault(fault) => self.faults.push(fault),
        }
    }

    /// Answers the oldest query.
    pub fn answer(&mut self, answer: Answer) {
        let (shard, ticket, query) = self.queries.pop_front().expect("a query waits");
        let _ = query;
        self.turn(shard, vec![Input::Read { ticket, answer: Ok(answer) }]);
    }

    pub fn fail_read(&mut self) {
        let (shard, ticket, _) = self.queries.pop_front().expect("a query waits");
        self.turn(shard, vec![Input::Read { ticket, answer: Err(passing()) }]);
    }

    /// Answers every query as an empty data directory with these accounts would.
    pub fn answer_all_empty(&mut self) {
        while !self.queries.is_empty() {
            self.answer_first_empty();
        }
    }

    /// The same of the oldest query.
    pub fn answer_first_empty(&mut self) {
        if let Some((_, _, query)) = self.queries.front() {
            let answer = match query {
                Query::User(user) => user_answer(*user, 0),
                Query::Channel(_) => Answer::Channel {
                    row: None,
                    members: Vec::new(),
                    head: Seq(0),
                    time_ms: 0,
                    rules: protocol::query::RuleRows::default(),
                },
                Query::Window { .. } => Answer::Window(Vec::new()),
                Query::Membership { .. } => Answer::Membership(Vec::new()),
                Query::Earlier { users, .. } => Answer::Earlier(vec![Earlier::default(); users.len()]),
                Query::Written { .. } => Answer::Written(Box::default()),
                Query::Joined { .. } => Answer::Joined { items: Vec::new(), more: false },
                other => panic!("the scenario answers {other:?} itself"),
            };
            self.answer(answer);
        }
    }

    /// Stores the oldest batch.
    pub fn store_one(&mut self) -> Stored {
        let (shard, batch) = self.batches.pop_front().expect("a batch waits");
        self.turn(shard, vec![Input::Stored { number: batch.number }]);
        Stored { rows: batch.parts.into_iter().flat_map(|part| part.rows).collect() }
    }

    /// Stores and answers until nothing waits; gives all rows.
    pub fn run(&mut self) -> Vec<Row> {
        let mut rows = Vec::new();
        loop {
            self.answer_all_empty();
            if self.batches.is_empty() {
                return rows;
            }
            rows.extend(self.store_one().rows);
        }
    }

    pub fn home(&self, user: u64) -> usize {
        usize::from(self.placement.user_home(UserId(user)).0)
    }

    pub fn hello(&mut self, conn: u64, user: u64, device: u64, cursor: u64) {
        let input = Input::Hello {
            conn: ConnId(conn),
            hello: Hello {
                user: UserId(user),
                device: DeviceId(device),
                cursor: Cursor { generation: Generation(GENERATION), at: InboxSeq(cursor) },
                id: 99,
                expires_ms: self.wall_ms + 3_600_000,
                issued_ms: self.wall_ms,
            },
        };
        let home = self.home(user);
        self.turn(home, vec![input]);
    }

    /// A request without a connection, with a good token.
    pub fn guest<T: Body>(&mut self, guest: u64, user: u64, device: u64, id: u64, body: &T) {
        let hello = Hello {
            user: UserId(user),
            device: DeviceId(device),
            cursor: Cursor::default(),
            id,
            expires_ms: self.wall_ms + 3_600_000,
            issued_ms: self.wall_ms,
        };
        let input = Input::Guest { guest: GuestId(guest), hello, frame: body::encode(id, body) };
        let home = self.home(user);
        self.turn(home, vec![input]);
    }

    /// What a guest was answered, as words; nothing before it is.
    pub fn answer_of(&mut self, guest: u64) -> Vec<String> {
        self.answered.remove(&GuestId(guest)).unwrap_or_default().iter().map(word).collect()
    }

    /// Asks a user's home for something as the control plane does, and stores what it needs; gives the answer.
    pub fn command(&mut self, command: Command) -> Result<(), CommandError> {
        let ticket = Ticket(1_000_000 + self.replies.len() as u64);
        let home = self.home(command.user().0);
        self.turn(home, vec![Input::Control { ticket, command }]);
        self.run();
        self.replies.iter().find(|(answered, _)| *answered == ticket).expect("it is answered").1
    }

    /// Hello, and everything it needs answered and stored.
    pub fn join(&mut self, conn: u64, user: u64, device: u64) {
        if !KNOWN.contains(&device) && device != user {
            let (user, device) = (UserId(user), DeviceId(device));
            self.command(Command::AddDevice { user, device, known: Vec::new() }).unwrap();
        }
        self.hello(conn, user, device, 0);
        self.run();
        self.sent.remove(&ConnId(conn));
    }

    pub fn frame(&mut self, conn: u64, user: u64, frame: Frame) {
        let home = self.home(user);
        self.turn(home, vec![Input::Frame { conn: ConnId(conn), frame }]);
    }

    pub fn send<T: Body>(&mut self, conn: u64, user: u64, id: u64, body: &T) {
        self.frame(conn, user, body::encode(id, body));
    }

    pub fn text(&mut self, conn: u64, user: u64, channel: ChannelId, id: u64, text: &str) {
        self.send(conn, user, id, &body::message::SendText { channel: channel.0, text: text.into() });
    }

    pub fn pass(&mut self, ms: u64) {
        self.now += ms;
        self.wall_ms += ms;
        self.settle();
    }

    pub fn take(&mut self, conn: u64) -> Vec<Frame> {
        self.sent.remove(&ConnId(conn)).unwrap_or_default()
    }

    pub fn seen(&mut self, conn: u64) -> Vec<String> {
        self.take(conn).iter().map(word).collect()
    }
}

fn whole(mut frames: bytes::Bytes) -> Vec<Frame> {
    let mut all = Vec::new();
    while let Some(header) = Header::read(&frames) {
        all.push(Frame::new(frames.split_to(header.frame_bytes())).unwrap());
    }
    all
}

/// What a batch held.
pub struct Stored {
    pub rows: Vec<Row>,
}

/// Pointers in runs.
pub fn pointers(rows: &[Row]) -> usize {
    let runs = rows.iter().map(|row| if let Row::Run { entries, .. } = row { entries.len() } else { 0 });
    runs.sum()
}

/// How far a bay's log is applied by these rows; by bay that says so.
pub fn marks(rows: &[Row], source: BayId) -> Vec<u64> {
    let all =
        rows.iter().filter_map(|row| if let Row::Marks { through } = row { Some(through) } else { None });
    all.flatten().filter(|(of, _)| *of == source).map(|(_, through)| *through).collect()
}

/// Devices of every user of [`Desk::answer_all_empty`]; one more has the user's number.
const KNOWN: core::ops::RangeInclusive<u64> = 1..=6;

/// A user who exists, with devices and an inbox that ends at `head`.
pub fn user_answer(user: UserId, head: u64) -> Answer {
    let mut devices = devices(*KNOWN.end());
    if !KNOWN.contains(&user.0) {
        devices.push((DeviceId(user.0), DeviceRow::default()));
    }
    Answer::User {
        account: Some(AccountRow { created_ms: 1, ..AccountRow::default() }),
        devices,
        inbox_head: InboxSeq(head),
        presence: PresenceRow::default(),
        push: Default::default(),
        followed: Box::default(),
    }
}

pub fn devices(n: u64) -> Vec<(DeviceId, DeviceRow)> {
    (1..=n).map(|d| (DeviceId(d), DeviceRow::default())).collect()
}

/// A frame as a short word, for comparing what a connection was sent.
pub fn word(frame: &Frame) -> String {
    let id = frame.header().id;
    if let Some(stamp) = frame.read_stamp() {
        return format!("message {} from {}", stamp.seq, stamp.sender);
    }
    match frame.kind() {
        Kind::WELCOME => {
            let w = body::read::<Welcome>(frame).unwrap();
            format!("welcome start {} head {}", w.start, w.head)
        }
        Kind::SEND_ACK => {
            let ack = body::read::<SendAck>(frame).unwrap();
            format!("ack {id} seq {}", ack.seq)
        }
        Kind::COMPLETE => {
            let c = body::read::<Complete>(frame).unwrap();
            format!("complete {}..{} head {}", c.from, c.to, c.head)
        }
        Kind::REJECT => {
            let reject = body::read::<Reject>(frame).unwrap();
            let code = protocol::Code::from_number(reject.code).unwrap().word();
            format!("reject {id} {code}")
        }
        other => {
            let name = Kind::ALL.iter().find(|(kind, _)| *kind == other).map_or("?", |(_, name)| name);
            format!("{} {id}", name.to_lowercase())
        }
    }
}

impl Desk {
    /// Answers the rest of a replay as empty up to `head`, and everything else; gives all rows.
    pub fn run_replay(&mut self, head: u64) -> Vec<Row> {
        let mut rows = Vec::new();
        loop {
            match self.queries.front() {
                Some((_, _, Query::Replay { .. })) => {
                    self.answer(Answer::Replay { deliveries: Vec::new(), through: head });
                }
                Some(_) => {
                    let (_, _, query) = self.queries.front().unwrap();
                    let Query::User(user) = query else { panic!("unexpected {query:?}") };
                    let answer = user_answer(*user, 0);
                    self.answer(answer);
                }
                None if self.batches.is_empty() => return rows,
                None => rows.extend(self.store_one().rows),
            }
        }
    }
}

pub fn empty(bay: BayId) -> BayState {
    BayState {
        bay,
        generation: Generation(GENERATION),
        fanout_head: 0,
        fanout_tail: 0,
        applied: vec![0; usize::from(BAYS)],
    }
}

/// An error of the disk that may pass.
pub fn passing() -> ReadFault {
    ReadFault::Io { place: "store 0".into(), what: "Input/output error".into() }
}
