//! A storm of presence through the real core: so many users with so many friends each, every one of whom goes and comes back
//! once within the time. No sockets and no disk, so that there may be more users than descriptors; what is counted is
//! hops, frames, rows and bytes, which do not depend on the machine, and the core's own time, which does.
//!
//! `--naive` is the design that the storm is compared with: each change is a message to each friend, in the channel of
//! the friendship.
// Its places are its own: a shard's number is below the number of shards.
#![allow(clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Parser;
use protocol::body::message::SendText;
use protocol::body::presence::{Idle, Watch};
use protocol::body::session::Heartbeat;
use protocol::body::{self, Body};
use protocol::commit::{AccountRow, DeviceRow, PresenceRow};
use protocol::hello::Hello;
use protocol::partition::{BAYS, mix64};
use protocol::query::{Answer, BayState, Earlier, PushRows, Query};
use protocol::{BayId, ChannelId, Cursor, DeviceId, Generation, InboxSeq, Placement, Seq, ShardId, UserId};
use shard::{Config, ConnId, Effect, Input, Limits, Shard, Tick, Ticket};

const WALL_MS: u64 = 1_800_000_000_000;
/// Virtual time between turns.
const STEP_MS: u64 = 50;
/// Users who say hello in one turn.
const COMING: usize = 200;

/// What to run.
#[derive(Parser, Debug)]
struct Args {
    /// Users, with a device each.
    #[arg(long, default_value_t = 100_000)]
    users: u64,
    /// Friends of each, who watch it.
    #[arg(long, default_value_t = 50)]
    friends: u64,
    /// Seconds within which every user is idle once, and back.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    #[arg(long, default_value_t = 2)]
    shards: u16,
    /// Each change as a message to each friend instead.
    #[arg(long)]
    naive: bool,
}

/// What came of it.
#[derive(Debug, Default)]
struct Counts {
    frames: u64,
    bytes: u64,
    rows: u64,
    hops: u64,
    /// The most that one connection was sent in one virtual second.
    bytes_in_a_second: u64,
    second: BTreeMap<ConnId, u64>,
    core: Duration,
}

struct World {
    shards: Vec<Shard>,
    placement: Placement,
    now: u64,
    counts: Counts,
    pending: Vec<Vec<Input>>,
}

fn main() {
    let args = Args::parse();
    let mut world = World::new(args.shards);
    let first = 1 << 20;
    let users: Vec<u64> = (first..first + args.users).collect();
    for some in users.chunks(COMING) {
        some.iter().for_each(|user| world.post(*user, hello(*user)));
        world.step();
    }
    for user in &users {
        if !args.naive {
            world.say(*user, 1, &Watch { users: friends(*user, first, &args) });
        }
        if user % COMING as u64 == 0 {
            world.step();
        }
    }
    world.rest(40_000);
    println!(
        "{} users, {} friends each, {} shards, naive {}",
        args.users, args.friends, args.shards, args.naive
    );
    world.report("coming and watching");
    for user in &users {
        world.say(*user, 2, &Heartbeat { time_ms: 1 });
    }
    world.step();
    world.report("a heartbeat of each");
    storm(&mut world, &args, &users, first);
    world.report("the storm");
}

fn storm(world: &mut World, args: &Args, users: &[u64], first: u64) {
    let steps = (args.seconds * 1000 / STEP_MS).max(1) as usize;
    let each = users.len().div_ceil(steps / 2).max(1);
    let halves = [true, false];
    for is_idle in halves {
        for some in users.chunks(each) {
            for user in some {
                change(world, args, *user, first, is_idle);
            }
            world.step();
        }
    }
    // What the budgets hold back comes later.
    world.rest(30_000);
}

fn change(world: &mut World, args: &Args, user: u64, first: u64, is_idle: bool) {
    if !args.naive {
        return world.say(user, 3, &Idle { is_idle });
    }
    for friend in friends(user, first, args) {
        let channel = ChannelId::direct(UserId(user), UserId(friend)).0;
        let id = mix64(user ^ mix64(friend) ^ u64::from(is_idle)) | 1;
        world.say(user, id, &SendText { channel, text: if is_idle { "away" } else { "online" }.into() });
    }
}

/// The neighbours on a ring: friendship is mutual.
fn friends(user: u64, first: u64, args: &Args) -> Vec<u64> {
    let near = |step: u64| first + (user - first + step) % args.users;
    let half = args.friends / 2;
    let mut all: Vec<u64> = (1..=half)
        .flat_map(|step| [near(step), near(args.users - step)])
        .filter(|near| *near != user)
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn hello(user: u64) -> Input {
    Input::Hello {
        conn: ConnId(user),
        hello: Hello {
            user: UserId(user),
            device: DeviceId(user),
            cursor: Cursor::default(),
            id: 1,
            expires_ms: u64::MAX,
            issued_ms: 1,
        },
    }
}

impl World {
    fn new(shards: u16) -> Self {
        let placement = Placement::new(shards).unwrap_or_else(|| panic!("{shards} shards"));
        let limits = Limits {
            frames_per_s: 1_000_000,
            frames_burst: 1_000_000,
            user_directs_per_h: 0,
            heartbeat_ms: 600_000,
            ..Limits::default()
        };
        let bays = usize::from(BAYS);
        let empty = |bay: BayId| BayState {
            bay,
            generation: Generation(7),
            fanout_head: 0,
            fanout_tail: 0,
            applied: vec![0; bays],
        };
        let shard = |number| {
            Shard::new(Config {
                shard: ShardId(number),
                placement,
                limits: limits.clone(),
                own: placement.bays(ShardId(number)).map(empty).collect(),
                fanout_heads: vec![0; bays],
                seed: 1,
            })
        };
        Self {
            shards: (0..shards).map(shard).collect(),
            placement,
            now: 1000,
            counts: Counts::default(),
            pending: (0..shards).map(|_| Vec::new()).collect(),
        }
    }

    fn post(&mut self, user: u64, input: Input) {
        let home = usize::from(self.placement.user_home(UserId(user)).0);
        self.pending[home].push(input);
    }

    fn say<T: Body>(&mut self, user: u64, id: u64, body: &T) {
        self.post(user, Input::Frame { conn: ConnId(user), frame: body::encode(id, body) });
    }

    /// One step of time, until nothing is under way.
    fn step(&mut self) {
        self.now += STEP_MS;
        if self.now % 1000 < STEP_MS {
            self.counts.second.clear();
        }
        loop {
            for shard in 0..self.shards.len() {
                self.turn(shard);
            }
            self.carry();
            if self.pending.iter().all(Vec::is_empty) {
                return;
            }
        }
    }

    fn rest(&mut self, ms: u64) {
        (0..ms / STEP_MS).for_each(|_| self.step());
    }

    fn turn(&mut self, shard: usize) {
        let inputs = std::mem::take(&mut self.pending[shard]);
        let core = &mut self.shards[shard];
        let mut effects = Vec::new();
        let began = Instant::now();
        core.begin_turn(Tick(self.now), WALL_MS + self.now);
        for input in inputs {
            core.step(input, &mut effects);
        }
        core.end_turn(&mut effects);
        self.counts.core += began.elapsed();
        for effect in effects {
            match effect {
                Effect::Transmit { conn, frames } => {
                    let bytes = frames.len() as u64;
                    (self.counts.frames, self.counts.bytes) =
                        (self.counts.frames + 1, self.counts.bytes + bytes);
                    let second = self.counts.second.entry(conn).or_default();
                    *second += bytes;
                    self.counts.bytes_in_a_second = self.counts.bytes_in_a_second.max(*second);
                }
                Effect::Append(batch) => {
                    self.counts.rows += batch.parts.iter().map(|part| part.rows.len() as u64).sum::<u64>();
                    self.pending[shard].push(Input::Stored { number: batch.number });
                }
                Effect::Read { ticket, query } => {
                    self.pending[shard].push(Input::Read { ticket, answer: Ok(answer(&query, ticket)) });
                }
                _ => {}
            }
        }
    }

    fn carry(&mut self) {
        for from in 0..self.placement.shards() {
            for to in 0..self.placement.shards() {
                while let Some(hop) = self.shards[usize::from(from)].poll_hop(ShardId(to)) {
                    self.counts.hops += 1;
                    self.pending[usize::from(to)].push(Input::Hop { from: ShardId(from), hop });
                }
            }
        }
    }

    fn report(&mut self, what: &str) {
        let Counts { frames, bytes, rows, hops, bytes_in_a_second, core, .. } =
            std::mem::take(&mut self.counts);
        println!(
            "{what}: {hops} hops, {rows} rows, {frames} writes, {bytes} bytes, at most {bytes_in_a_second} bytes to one \
             connection in a second; {} ms in the core",
            core.as_millis()
        );
    }
}

fn answer(query: &Query, _: Ticket) -> Answer {
    match query {
        Query::User(user) => Answer::User {
            account: Some(AccountRow { created_ms: 1, ..AccountRow::default() }),
            devices: vec![(DeviceId(user.0), DeviceRow::default())],
            inbox_head: InboxSeq(0),
            presence: PresenceRow::default(),
            push: PushRows::default(),
        },
        Query::Channel(_) => Answer::Channel {
            row: None,
            members: Vec::new(),
            head: Seq(0),
            time_ms: 0,
            rules: protocol::query::RuleRows::default(),
        },
        Query::Window { .. } => Answer::Window(Vec::new()),
        Query::Earlier { users, .. } => Answer::Earlier(vec![Earlier::default(); users.len()]),
        Query::Replay { until, .. } => Answer::Replay { deliveries: Vec::new(), through: *until },
        other => panic!("{other:?} is asked"),
    }
}
