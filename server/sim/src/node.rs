//! One server process: its shards, the rings between them, its connections. It does what the real driver does, as the
//! calling contract of [`shard`] says and no more often than it must: a shard that gives no reason to run a turn gets
//! none, so that a forgotten deadline shows.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use protocol::hello::Hello;
use protocol::hop::Hop;
use protocol::{Frame, Kind, Placement, ShardId};
use shard::{CommandError, Config, ConnId, Effect, Fault, GuestId, Input, Shard, Tick, Ticket};

use crate::broken;
use crate::conn::Conn;
use crate::disk::Disk;
use crate::flow::Flow;
use crate::network::{LinkId, Network, frames};
use crate::oracle::{Check, Oracle};
use crate::plan::Plan;
use crate::rng::Rng;
use crate::trace::Trace;
use crate::wire::Watch;

/// What a process stands in.
pub struct Scene<'a> {
    /// Virtual monotonic time.
    pub now: u64,
    /// Virtual wall clock.
    pub wall: u64,
    /// The seed's stream.
    pub rng: &'a mut Rng,
    /// The seed's plan.
    pub plan: &'a Plan,
    /// The stores.
    pub disk: &'a mut Disk,
    /// The network.
    pub network: &'a mut Network,
    /// The model.
    pub oracle: &'a mut Oracle,
    /// What is written down.
    pub trace: &'a mut Trace,
}

/// A process.
#[derive(Debug)]
pub struct Node {
    placement: Placement,
    cells: Vec<Cell>,
    /// By from * S + to.
    rings: Vec<VecDeque<Hop>>,
    ring_hops: usize,
    /// Connections, by the name that the shard knows.
    pub conns: BTreeMap<ConnId, Conn>,
    next_conn: u64,
    draining_since: Option<u64>,
    /// Requests without a connection that wait for their answers, where, and what each may be told.
    guests: BTreeMap<GuestId, (ShardId, Watch)>,
    /// How many were answered, and of them acked.
    pub guests_answered: (u64, u64),
    /// How often a connection was no longer read.
    pub pauses: u64,
    /// Answers to control commands.
    pub replies: Vec<(Ticket, Result<(), CommandError>)>,
    /// Jobs of push that the outbox is to look at.
    pub(crate) pushes: Vec<carry::JobId>,
}

/// One shard with what waits for it.
#[derive(Debug)]
struct Cell {
    shard: Shard,
    facts: VecDeque<Input>,
    stored: VecDeque<Input>,
    reads: VecDeque<Input>,
    ready: bool,
    drained: bool,
    asleep_until: u64,
    turns_at: (u64, u32),
}

/// Where a shard's next input comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    Facts,
    Stored,
    Reads,
    Conn(ConnId),
    Ring(usize),
}

/// Turns at one moment of virtual time after which a shard counts as spinning.
const TURNS_AT_ONCE_MAX: u32 = 10_000;

impl Node {
    /// Boots over what the disk holds.
    ///
    /// # Errors
    /// The stores cannot be read.
    pub fn boot(scene: &mut Scene<'_>, shards: u16) -> Result<Self, String> {
        let Some(placement) = Placement::new(shards) else {
            broken!("{shards} shards");
        };
        let states = scene.disk.states()?;
        let heads: Vec<u64> = states.iter().map(|state| state.fanout_head).collect();
        let cells = (0..shards).map(ShardId).map(|shard| {
            let mut own = states.clone();
            own.retain(|state| placement.home(state.bay) == shard);
            let limits = scene.plan.limits.clone();
            let seed = scene.rng.draw();
            Cell::new(Shard::new(Config { shard, placement, limits, own, fanout_heads: heads.clone(), seed }))
        });
        let cells: Vec<_> = cells.collect();
        scene.trace.say(scene.now, || format!("boot with {shards} shards, log heads {heads:?}"));
        let rings = (0..cells.len() * cells.len()).map(|_| VecDeque::new()).collect();
        let ring_hops = scene.plan.ring_hops;
        let (conns, replies) = (BTreeMap::new(), Vec::new());
        Ok(Self {
            placement,
            cells,
            rings,
            ring_hops,
            conns,
            guests: BTreeMap::new(),
            guests_answered: (0, 0),
            next_conn: 0,
            draining_since: None,
            pauses: 0,
            replies,
            pushes: Vec::new(),
        })
    }

    /// Whether connections may be accepted.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.draining_since.is_none() && self.cells.iter().all(|cell| cell.ready)
    }

    /// Number of shards.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.cells.len()
    }

    /// Where everything lives.
    #[must_use]
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// Since when the process is asked to stop.
    #[must_use]
    pub fn draining_since(&self) -> Option<u64> {
        self.draining_since
    }

    /// Whether every shard has drained and every goodbye is written.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.conns.is_empty() && self.cells.iter().all(|cell| cell.drained)
    }

    /// Asks every shard to stop.
    pub fn drain(&mut self, now: u64) {
        self.draining_since = Some(now);
        self.cells.iter_mut().for_each(|cell| cell.facts.push_back(Input::Drain));
    }

    /// Tells every shard about the disk's space.
    pub fn space_low(&mut self, low: bool) {
        self.cells.iter_mut().for_each(|cell| cell.facts.push_back(Input::SpaceLow(low)));
    }

    /// Tells one shard something that is about no connection.
    pub fn tell(&mut self, shard: ShardId, input: Input) {
        if let Some(cell) = self.cells.get_mut(usize::from(shard.0)) {
            match input {
                Input::Read { .. } => cell.reads.push_back(input),
                Input::Stored { .. } => cell.stored.push_back(input),
                _ => cell.facts.push_back(input),
            }
        }
    }

    /// A request without a connection is about to be told to this shard.
    pub fn visit(
        &mut self,
        oracle: &Oracle,
        guest: GuestId,
        home: ShardId,
        hello: &Hello,
        frame: &Frame,
        may_be_welcome: bool,
    ) {
        self.guests.insert(guest, (home, Watch::guest(oracle, hello, frame, may_be_welcome)));
    }

    /// Whether every request without a connection was answered.
    #[must_use]
    pub fn has_no_guests(&self) -> bool {
        self.guests.is_empty()
    }

    /// The one answer to a guest is true.
    fn answered(&mut self, guest: GuestId, bytes: Bytes, scene: &Scene<'_>) -> Check {
        let Some((_, mut watch)) = self.guests.remove(&guest) else {
            broken!("{guest:?} is answered, although it was answered before or is gone");
        };
        let all = frames(bytes).map_err(|fault| format!("{guest:?}: not whole frames: {fault:?}"))?;
        for frame in &all {
            watch.shown(scene.oracle, frame).map_err(|words| format!("{guest:?}: {words}"))?;
        }
        let is_acked = all.iter().any(|frame| frame.kind() == Kind::SEND_ACK);
        let has_page =
            all.first().is_some_and(|frame| matches!(frame.kind(), Kind::HISTORY_PAGE | Kind::THREAD));
        if watch.lacks_messages() || (all.len() != 1 && !has_page) {
            broken!("{guest:?} is answered by {} frames", all.len());
        }
        self.guests_answered.0 += 1;
        self.guests_answered.1 += u64::from(is_acked);
        Ok(())
    }

    /// One shard does nothing until then.
    pub fn stop_shard(&mut self, shard: usize, until: u64) {
        if let Some(cell) = self.cells.get_mut(shard) {
            cell.asleep_until = until;
        }
    }

    /// Every shard runs again, and the rings take this many hops.
    pub fn heal(&mut self, ring_hops: usize) {
        self.ring_hops = ring_hops;
        self.cells.iter_mut().for_each(|cell| cell.asleep_until = 0);
    }

    /// Takes up a connection that was dialled.
    pub fn accept(&mut self, link: LinkId) {
        self.next_conn += 1;
        self.conns.insert(ConnId(self.next_conn), Conn::new(link));
    }

    /// Reads and writes every connection once, as far as bytes and space are there.
    ///
    /// # Errors
    /// A bound of the egress.
    pub fn serve(&mut self, scene: &mut Scene<'_>) -> Check {
        let placement = self.placement;
        for (id, conn) in &mut self.conns {
            conn.read(*id, scene, placement);
            conn.flush(*id, scene)?;
        }
        self.conns.retain(|_, conn| !conn.is_gone());
        Ok(())
    }

    /// Runs a turn of each shard that has a reason, in a random order.
    ///
    /// # Errors
    /// The first invariant that an effect breaks.
    pub fn turns(&mut self, scene: &mut Scene<'_>) -> Check {
        for shard in scene.rng.order(self.cells.len()) {
            if self.has_reason(shard, scene.now) && !scene.rng.chance(scene.plan.skipped_turns) {
                self.turn(shard, scene)?;
            }
        }
        Ok(())
    }

    /// Runs a turn of a shard that has no reason for one.
    pub(crate) fn quiet_turn(&mut self, shard: usize, scene: &mut Scene<'_>) -> Check {
        self.turn(shard, scene)
    }

    /// Whether nothing waits anywhere and no shard asks for a turn now.
    #[must_use]
    pub fn is_idle(&self, now: u64) -> bool {
        self.rings.iter().all(VecDeque::is_empty)
            && self.cells.iter().all(|cell| cell.asleep_until <= now)
            && (0..self.cells.len()).all(|shard| !self.has_reason(shard, now))
            && self.cells.iter().all(|cell| !cell.shard.has_trailing())
            && (0..self.cells.len()).all(|shard| self.waiting_lanes(shard).next().is_none())
            && self.conns.values().all(Conn::is_quiet)
    }

    /// The earliest moment at which a shard asks for a turn.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.cells.iter().filter_map(|cell| cell.shard.next_deadline()).map(|tick| tick.0).min()
    }

    /// The shards themselves, for the bounds that only their counters show.
    pub fn counters(&self) -> impl Iterator<Item = shard::Counters> + '_ {
        self.cells.iter().map(|cell| cell.shard.counters())
    }

    /// What each shard says that waits there, by what holds it.
    pub fn ledgers(&self) -> impl Iterator<Item = shard::Figures> + '_ {
        self.cells.iter().map(|cell| cell.shard.ledger())
    }

    fn ring(&self, from: usize, to: usize) -> &VecDeque<Hop> {
        &self.rings[from * self.cells.len() + to]
    }

    fn waiting_lanes(&self, shard: usize) -> impl Iterator<Item = usize> + '_ {
        let cell = &self.cells[shard];
        (0..self.cells.len()).filter(move |to| *to != shard && cell.shard.has_hops(ShardId(*to as u16)))
    }

    fn has_reason(&self, shard: usize, now: u64) -> bool {
        let cell = &self.cells[shard];
        if cell.asleep_until > now {
            return false;
        }
        let hops = (0..self.cells.len()).any(|from| !self.ring(from, shard).is_empty());
        hops || cell.has_input()
            || self.conns.values().any(|conn| conn.shard == Some(shard) && !conn.inputs.is_empty())
            || cell.shard.next_deadline().is_some_and(|due| due.0 <= now)
            || self.waiting_lanes(shard).any(|to| self.ring(shard, to).len() < self.ring_hops)
    }

    fn sources(&self, shard: usize) -> Vec<Source> {
        let cell = &self.cells[shard];
        let mut sources = Vec::new();
        if !cell.facts.is_empty() {
            sources.push(Source::Facts);
        }
        if !cell.reads.is_empty() {
            sources.push(Source::Reads);
        }
        if !cell.stored.is_empty() {
            sources.push(Source::Stored);
        }
        let conns = self.conns.iter().filter(|(_, c)| c.shard == Some(shard) && !c.inputs.is_empty());
        sources.extend(conns.map(|(id, _)| Source::Conn(*id)));
        let rings = (0..self.cells.len()).filter(|from| !self.ring(*from, shard).is_empty());
        sources.extend(rings.map(Source::Ring));
        sources
    }

    fn turn(&mut self, shard: usize, scene: &mut Scene<'_>) -> Check {
        let now = scene.now;
        self.cells[shard].count_turn(shard, now)?;
        self.cells[shard].shard.begin_turn(Tick(now), scene.wall);
        let mut effects = Vec::new();
        // What a shard says to a connection behind the step that told it of the end is a fault, what it said before is not.
        let mut closes = VecDeque::new();
        let mut gone = Vec::new();
        let mut flow = Flow::default();
        let mut sources = self.sources(shard);
        for _ in 0..scene.plan.turn_inputs {
            let place = scene.rng.place(sources.len());
            let Some(source) = sources.get(place).copied() else { break };
            match self.take(shard, source, scene.oracle) {
                Some(input) => {
                    scene.trace.say(now, || format!("shard {shard} <- {}", crate::words::input(&input)));
                    if let Input::GuestGone { guest } = &input {
                        gone.push(*guest);
                    }
                    let closed = if let Input::Closed { conn } = &input { Some(*conn) } else { None };
                    // What was read before the pause still comes, and may bring a reason of its own.
                    if let Input::Frame { conn, .. } = &input
                        && let Some(conn) = self.conns.get_mut(conn)
                    {
                        conn.paused_at = now;
                    }
                    let conn = self.conn_of(&input);
                    let at = (ShardId(shard as u16), &self.cells[shard].shard);
                    flow.steps(at, self.placement, &input, conn);
                    self.cells[shard].shard.step(input, &mut effects);
                    closes.extend(closed.map(|conn| (effects.len(), conn)));
                }
                None => {
                    sources.swap_remove(place);
                }
            }
        }
        self.cells[shard].shard.end_turn(&mut effects);
        for (place, effect) in effects.into_iter().enumerate() {
            while closes.front().is_some_and(|(end, _)| *end <= place) {
                self.told_closed(closes.pop_front());
            }
            scene.trace.say(now, || format!("shard {shard} -> {}", crate::words::effect(&effect)));
            let conn = if let Effect::Close { conn, .. } = &effect { self.conns.get(conn) } else { None };
            flow.led_to(&effect, conn)?;
            self.carry_out(shard, effect, scene)?;
        }
        flow.ends(|id| self.conns.get(&id))?;
        closes.into_iter().for_each(|close| self.told_closed(Some(close)));
        gone.iter().for_each(|guest| drop(self.guests.remove(guest)));
        self.offer_hops(shard, scene);
        for (id, conn) in self.conns.iter_mut().filter(|(_, conn)| conn.shard == Some(shard)) {
            conn.flush(*id, scene)?;
        }
        Ok(())
    }

    fn take(&mut self, shard: usize, source: Source, oracle: &Oracle) -> Option<Input> {
        let shards = self.cells.len();
        let cell = &mut self.cells[shard];
        match source {
            Source::Facts => cell.facts.pop_front(),
            Source::Reads => cell.reads.pop_front(),
            Source::Stored => cell.stored.pop_front(),
            Source::Conn(id) => self.conns.get_mut(&id)?.next_input(oracle),
            Source::Ring(from) => {
                let hop = self.rings[from * shards + shard].pop_front()?;
                Some(Input::Hop { from: ShardId(from as u16), hop })
            }
        }
    }

    fn conn_of(&self, input: &Input) -> Option<&Conn> {
        if let Input::Frame { conn, .. } = input { self.conns.get(conn) } else { None }
    }

    fn told_closed(&mut self, close: Option<(usize, ConnId)>) {
        if let Some(conn) = close.and_then(|(_, id)| self.conns.get_mut(&id)) {
            conn.stepped_closed = true;
        }
    }

    fn offer_hops(&mut self, shard: usize, scene: &mut Scene<'_>) {
        let shards = self.cells.len();
        for to in (0..shards).filter(|to| *to != shard) {
            let ring = &mut self.rings[shard * shards + to];
            while ring.len() < self.ring_hops {
                let Some(hop) = self.cells[shard].shard.poll_hop(ShardId(to as u16)) else { break };
                scene.trace.say(scene.now, || format!("hop {shard} -> {to}: {}", crate::words::hop(&hop)));
                ring.extend(if scene.rng.chance(scene.plan.faults.lost_hop) { lost(hop) } else { Some(hop) });
                let repeated_hop = scene.plan.faults.repeated_hop;
                if repeated_hop > 0 && scene.rng.chance(repeated_hop) {
                    let earlier = ring.get(scene.rng.place(ring.len())).filter(|hop| may_come_again(hop));
                    ring.extend(earlier.cloned());
                }
            }
        }
    }

    fn carry_out(&mut self, shard: usize, effect: Effect, scene: &mut Scene<'_>) -> Check {
        let id = ShardId(shard as u16);
        match effect {
            Effect::Append(batch) => scene.disk.append(self.placement, id, batch)?,
            Effect::Read { ticket, query } => {
                scene.disk.read(scene.rng, scene.plan, scene.now, id, ticket, query);
            }
            Effect::Reply { ticket, outcome } => self.replies.push((ticket, outcome)),
            Effect::Push { user, channel } => self.pushes.push((user, channel)),
            // No operator has a list of words there.
            Effect::Flagged { .. } => {}
            Effect::Ready => {
                let cell = &mut self.cells[shard];
                if std::mem::replace(&mut cell.ready, true) {
                    broken!("shard {shard} is ready a second time");
                }
            }
            Effect::Drained => {
                let cell = &mut self.cells[shard];
                if std::mem::replace(&mut cell.drained, true) || self.draining_since.is_none() {
                    broken!("shard {shard} drained twice or unasked");
                }
                if let Some((id, _)) =
                    self.conns.iter().find(|(_, c)| c.shard == Some(shard) && c.known && c.is_live())
                {
                    broken!("shard {shard} drained with {id:?} open");
                }
                if let Some((guest, _)) = self.guests.iter().find(|(_, (home, _))| *home == id) {
                    broken!("shard {shard} drained without an answer to {guest:?}");
                }
            }
            Effect::Transmit { conn, frames } => self.conn(shard, conn)?.transmit(conn, frames, scene)?,
            Effect::Close { conn, code } => self.conn(shard, conn)?.close(code, scene),
            Effect::Answered { guest, frames } => self.answered(guest, frames, scene)?,
            // Behind an answer it says nothing new.
            Effect::Dismissed { guest, code } => {
                if self.guests.remove(&guest).is_some() {
                    broken!("{guest:?} is dismissed without an answer: {code:?}");
                }
            }
            Effect::Pause { conn } => {
                self.pauses += 1;
                let conn = self.conn(shard, conn)?;
                conn.paused_at = if conn.paused { conn.paused_at } else { scene.now };
                conn.paused = true;
            }
            Effect::Resume { conn } => self.conn(shard, conn)?.paused = false,
            Effect::Fault(Fault::Impossible { what }) => broken!("shard {shard}: impossible: {what}"),
            Effect::Fault(Fault::Unreadable(fault)) => broken!("shard {shard}: unreadable: {fault}"),
        }
        Ok(())
    }

    fn conn(&mut self, shard: usize, id: ConnId) -> Result<&mut Conn, String> {
        match self.conns.get_mut(&id) {
            Some(conn) if conn.shard == Some(shard) && !conn.told_closed() => Ok(conn),
            found => {
                Err(format!("shard {shard} speaks to {id:?}, which it was told is gone: {}", found.is_some()))
            }
        }
    }
}

/// What is left of a hop whose loss has a recovery of its own. The core drops a delivery when its queue is full and tells the
/// destination later that something is missing; here that happens to deliveries of any queue.
fn lost(hop: Hop) -> Option<Hop> {
    match hop {
        Hop::Deliver { mut spans } => {
            for span in &mut spans {
                span.after = span.through;
                span.deliveries.clear();
                span.origins.clear();
            }
            Some(Hop::Deliver { spans })
        }
        // Nobody is promised an offer.
        Hop::Offer(_) => None,
        // It is said again.
        Hop::Applied { .. } | Hop::Pressure { on: true, .. } => None,
        other => Some(other),
    }
}

/// Whether a hop may come a second time, at once or behind later ones, as it would over a trunk that was cut and came back:
/// what is numbered, and what says only how far something is. All others are said once.
fn may_come_again(hop: &Hop) -> bool {
    matches!(hop, Hop::Deliver { .. } | Hop::Applied { .. } | Hop::Open { .. } | Hop::Opened { .. })
}

impl Cell {
    fn new(shard: Shard) -> Self {
        Self {
            shard,
            facts: VecDeque::new(),
            stored: VecDeque::new(),
            reads: VecDeque::new(),
            ready: false,
            drained: false,
            asleep_until: 0,
            turns_at: (0, 0),
        }
    }

    fn has_input(&self) -> bool {
        !self.facts.is_empty() || !self.reads.is_empty() || !self.stored.is_empty()
    }

    fn count_turn(&mut self, shard: usize, now: u64) -> Check {
        let (at, turns) = self.turns_at;
        self.turns_at = if at == now { (now, turns + 1) } else { (now, 1) };
        if self.turns_at.1 > TURNS_AT_ONCE_MAX {
            broken!("shard {shard} spins: {TURNS_AT_ONCE_MAX} turns at {now} ms");
        }
        Ok(())
    }
}
