//! The shard: who is told what. Every input and every completion is one call from here; the rules of each noun are in the
//! noun's own file.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use protocol::commit::Row;
use protocol::hop::{Held, Hop, Span};
use protocol::partition::BAYS;
use protocol::query::BayState;
use protocol::{BayId, ChannelId, Placement, ShardId, UserId};

use crate::applied::{Applied, Inbound};
use crate::asks::Asks;
use crate::channel::{Channel, Submit};
use crate::consents::{Request, Withdrawals};
use crate::drain::Draining;
use crate::effect::Effect;
use crate::erase::Erasures;
use crate::follow::Follows;
use crate::gather::Gathered;
use crate::greet::Greeting;
use crate::guest::Guests;
use crate::hops::Hops;
use crate::idmap::{IdMap, Seeded};
use crate::inbox::SpareTails;
use crate::input::{ConnId, Input, Tick};
use crate::large::Followers;
use crate::ledger::{Holds, Ledger, frame_bytes};
use crate::limits::MARKS_EVERY_MS;
use crate::link::Link;
use crate::memory::Memory;
use crate::pauses::{Pauses, Why};
use crate::pipeline::{After, Pipeline};
use crate::presence::{PresentUsers, WatchedUsers};
use crate::pressure::Pressure;
use crate::purge::Purges;
use crate::push::Providers;
use crate::receipts::Changes;
use crate::remote::HeldConns;
use crate::session::SessionId;
use crate::sessions::Sessions;
use crate::source::Source;
use crate::timer::{Timer, Wake};
use crate::typing::Typists;
use crate::unread::{Resting, Unread};
use crate::user::{User, Waiting};
use crate::window::Windows;
use crate::words::Words;
use crate::{Config, Counters};

/// One shard. See the crate's documentation for the calling contract.
#[derive(Debug)]
pub struct Shard {
    pub(crate) config: Config,
    pub(crate) placement: Placement,
    pub(crate) now: Tick,
    pub(crate) wall_ms: u64,
    pub(crate) turn: u64,
    pub(crate) out: Vec<Effect>,
    pub(crate) users: Memory<UserId, User, Vec<Waiting>>,
    pub(crate) channels: Memory<ChannelId, Channel, VecDeque<Submit>>,
    pub(crate) sessions: Sessions,
    pub(crate) greeting: IdMap<Link, Greeting>,
    /// Requests without a connection.
    pub(crate) guests: Guests,
    /// Connections of our driver whose sessions are elsewhere.
    pub(crate) held: HeldConns,
    pub(crate) pipeline: Pipeline,
    /// The logs of the own bays, rising.
    pub(crate) sources: Vec<Source>,
    pub(crate) applied: Applied,
    /// Pointers that are not on their way to the disk yet.
    pub(crate) gathered: Gathered,
    pub(crate) hops: Hops,
    /// What the store was asked.
    pub(crate) asks: Asks,
    /// What was read in vain and rests.
    pub(crate) unread: Unread,
    pub(crate) next_session: u64,
    pub(crate) seed: Seeded,
    pub(crate) timer: Timer,
    marks_at: Tick,
    /// Connections that are not read, and why.
    pub(crate) pauses: Pauses,
    /// Shards that take no more sends for now.
    pub(crate) pressure: Pressure,
    /// Connections that became crowded in this turn, or were in the one before, and of which the driver told nothing: what
    /// the flush at the end of the turn does not leave behind is drained, and nobody says so.
    pub(crate) crowded: Vec<SessionId>,
    pub(crate) spare_tails: SpareTails,
    pub(crate) windows: Windows,
    /// How far members have come, as far as it was not told or written.
    pub(crate) changes: Changes,
    pub(crate) typists: Typists,
    /// What the users of this home show, and who watches them.
    pub(crate) present: PresentUsers,
    /// Whom the sessions of this shard watch.
    pub(crate) watched: WatchedUsers,
    /// Shards that are told of messages of this home's large channels.
    pub(crate) followers: Followers,
    /// Large channels that the sessions of this shard follow.
    pub(crate) follows: Follows,
    /// What users said of whom, as far as channels of this home may remember something older.
    pub(crate) withdrawals: Withdrawals,
    /// Words that the operator does not want to read.
    pub(crate) words: Option<Arc<dyn Words>>,
    /// Through whom devices are told of what they miss.
    pub(crate) providers: Option<Arc<dyn Providers>>,
    /// Channels whose history is to begin later.
    pub(crate) purges: Purges,
    /// Channels from which users are erased.
    pub(crate) erasures: Erasures,
    /// The newest number of an opening.
    pub(crate) openings: u64,
    pub(crate) ready: bool,
    pub(crate) space_low: bool,
    pub(crate) draining: Option<Draining>,
    pub(crate) counters: Counters,
    /// Who holds how many bytes.
    pub(crate) ledger: Ledger,
}

impl Shard {
    /// A shard that has to replay fan-out before it is ready.
    ///
    /// # Panics
    /// The bays are not this shard's, all of them, rising.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let placement = config.placement;
        assert!(owns(&config), "shard {} is given bays that are not its own, all, in order", config.shard);
        let seed = Seeded(protocol::partition::mix64(config.seed));
        let shards = placement.shards();
        let sources =
            config.own.iter().map(|own| Source::new(own.bay, own.fanout_tail, own.fanout_head, shards));
        Self {
            placement,
            now: Tick(0),
            wall_ms: 0,
            turn: 0,
            out: Vec::new(),
            users: Memory::new(seed),
            channels: Memory::new(seed),
            sessions: Sessions::new(seed),
            greeting: IdMap::with_hasher(seed),
            guests: Guests::new(seed),
            held: HeldConns::new(seed),
            pipeline: Pipeline::new(config.shard, &config.own, &config.limits),
            sources: sources.collect(),
            applied: Applied::new(&config.own, &config.fanout_heads, seed),
            gathered: Gathered::new(seed),
            hops: Hops::new(config.shard, shards),
            asks: Asks::new(seed),
            unread: Unread::default(),
            next_session: protocol::partition::mix64(config.seed ^ u64::from(config.shard.0)),
            seed,
            timer: Timer::default(),
            marks_at: Tick(0),
            pauses: Pauses::new(shards, seed),
            pressure: Pressure::new(shards),
            crowded: Vec::new(),
            spare_tails: SpareTails::default(),
            windows: Windows::default(),
            changes: Changes::new(seed),
            typists: Typists::new(seed),
            present: PresentUsers::new(seed, config.limits.presence_grace_ms.into()),
            watched: WatchedUsers::new(seed, config.limits.presence_bytes_per_s),
            followers: Followers::new(seed),
            follows: Follows::default(),
            withdrawals: Withdrawals::default(),
            words: None,
            providers: None,
            purges: Purges::default(),
            erasures: Erasures::default(),
            openings: 0,
            ready: false,
            space_low: false,
            draining: None,
            counters: Counters::default(),
            ledger: Ledger::default(),
            config,
        }
    }

    /// Begins a turn. `wall_ms` is milliseconds since the Unix epoch; it may jump, `now` may not step back.
    pub fn begin_turn(&mut self, now: Tick, wall_ms: u64) {
        debug_assert!(now >= self.now);
        if self.turn == 0 {
            self.marks_at = now.after_ms(MARKS_EVERY_MS);
            self.present.begin(now);
        }
        self.now = now;
        self.wall_ms = wall_ms;
        self.turn += 1;
    }

    /// Takes one input.
    pub fn step(&mut self, input: Input, effects: &mut Vec<Effect>) {
        core::mem::swap(&mut self.out, effects);
        self.dispatch(input);
        self.end_step();
        core::mem::swap(&mut self.out, effects);
    }

    /// Ends the turn: due timers, what the fan-out logs lack, one batch.
    pub fn end_turn(&mut self, effects: &mut Vec<Effect>) {
        core::mem::swap(&mut self.out, effects);
        self.wake();
        if self.now >= self.marks_at {
            self.marks_at = self.now.after_ms(MARKS_EVERY_MS);
            self.tell_marks();
            self.say_pressure_again();
            self.tell_missed();
            self.look_at_follows();
            self.unread.sweep(self.now);
        }
        self.look_at_changes();
        self.ask_again();
        self.replay_gaps();
        self.look_at_presence();
        self.ask_followers();
        self.end_step();
        self.show_watchers();
        self.relieve();
        self.tell_taken();
        self.evict();
        let (now, trailing_ms) = (self.now, self.config.limits.trailing_ms);
        self.write_gathered_if_due();
        let out = &mut self.out;
        self.pipeline.end_turn(now, trailing_ms, |batch| out.push(Effect::Append(batch)));
        if !self.ready && self.applied.is_caught_up() {
            self.ready = true;
            self.out.push(Effect::Ready);
        }
        self.drain();
        core::mem::swap(&mut self.out, effects);
    }

    fn wake(&mut self) {
        while let Some(wakes) = self.timer.due(self.now) {
            for wake in wakes {
                match wake {
                    Wake::Session(id) => self.look_at_session(id),
                    Wake::Tokens(id) => self.look_at_tokens(id),
                    Wake::Presence(id) => self.watched.look_at(id),
                    Wake::Untaken(user) => self.look_at_untaken(user),
                }
            }
        }
    }

    /// The next hop for a shard, if one waits.
    pub fn poll_hop(&mut self, to: ShardId) -> Option<Hop> {
        let hop = self.hops.pop(to)?;
        self.counters.hops_sent += 1;
        Some(hop)
    }

    /// Whether hops wait for a shard.
    #[must_use]
    pub fn has_hops(&self, to: ShardId) -> bool {
        self.hops.waits(to)
    }

    /// Whether so much waits unstored here that whoever sends to channels of this shard is not to be read.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.pipeline.is_full()
    }

    /// When a turn must run even if nothing happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Tick> {
        let crowded = (!self.crowded.is_empty()).then_some(self.now);
        // Hops have left since the turn ended, and somebody waited for that.
        let is_due = |shard| self.pauses.waits_for_lane(shard) && self.hops.is_relieved(shard);
        let lanes = (0..self.placement.shards()).map(ShardId).any(is_due).then_some(self.now);
        let draining = self.draining.as_ref().map(|draining| draining.look_at);
        let gathered = self.gathered.next_deadline(self.config.limits.gather_ms);
        let trailing = self.pipeline.next_deadline().into_iter().chain(gathered).min();
        let sessions = [self.timer.next(), crowded, lanes];
        let presence = self.present.next().into_iter().chain(self.watched.next()).min();
        let presence = presence.map(|at| at.max(self.now));
        let deadlines =
            [presence, Some(self.marks_at), draining, trailing, self.unread.next(), self.changes.next()];
        deadlines.into_iter().chain(sessions).flatten().min()
    }

    /// Whether rows wait here for a batch to ride on. They leave by [`Self::next_deadline`]; what is stored without them
    /// is not yet what a stored message leads to.
    #[must_use]
    pub fn has_trailing(&self) -> bool {
        self.pipeline.has_open() || !self.gathered.is_empty()
    }

    /// Bytes of dedup windows in memory and on the way there.
    #[must_use]
    pub fn dedup_bytes(&self) -> usize {
        self.windows.bytes()
    }

    /// Of the reads that failed and that something waits for, the one that failed most often.
    #[must_use]
    pub fn resting(&self) -> Option<Resting> {
        self.unread.worst(self.now)
    }

    /// Counters for the operator.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            held_now: self.held.len() as u64,
            present_now: self.present.len() as u64,
            watches_now: self.watched.views() as u64,
            follows_now: self.follows.len() as u64,
            sessions_now: self.sessions.len() as u64,
            guests_now: self.guests.len() as u64,
            users_now: self.users.len() as u64,
            channels_now: self.channels.len() as u64,
            ledger_now: self.ledger(),
            waiting_bytes_max: self.config.limits.waiting_bytes as u64,
            reads_resting_now: self.unread.wanted() as u64,
            ..self.counters
        }
    }

    fn dispatch(&mut self, input: Input) {
        match input {
            Input::Hello { conn, hello } => {
                let home = self.placement.user_home(hello.user);
                if home == self.config.shard {
                    self.hello(Link::Local(conn), hello);
                } else {
                    self.hold(home, conn, hello);
                }
            }
            Input::Reauth { conn, reauth } => {
                if !self.pass_on(conn, Held::Reauth(reauth)) {
                    self.reauth(Link::Local(conn), reauth);
                }
            }
            Input::Reads { conn, is_read } => self.read_by_driver(conn, is_read),
            Input::Frame { conn, frame } => match self.sessions.at(Link::Local(conn)) {
                Some(id) => self.frame(id, frame),
                None if self.held.contains(conn) => self.frame_of_held(conn, frame),
                None => self.frame_while_greeting(Link::Local(conn), frame),
            },
            Input::Egress { conn, queued } => match self.sessions.at(Link::Local(conn)) {
                Some(id) => self.egress(id, queued),
                None => self.egress_of_held(conn, queued),
            },
            Input::Took { conn } => match self.sessions.at(Link::Local(conn)) {
                Some(id) => self.took(id),
                None => {
                    self.pass_on(conn, Held::Took);
                }
            },
            Input::Closed { conn } => {
                if !self.held_closed(conn) {
                    self.closed(Link::Local(conn));
                }
            }
            Input::Guest { guest, hello, frame } => self.guest(guest, hello, frame),
            Input::GuestGone { guest } => self.closed(Link::Guest(guest)),
            Input::Hop { from: _, hop } => self.hop(hop),
            Input::Stored { number } => self.stored(number),
            Input::Read { ticket, answer } => self.read(ticket, answer),
            Input::Control { ticket, command } => self.control(ticket, command),
            Input::Purge { ticket, channel, keeping } => self.purge(ticket, channel, keeping),
            Input::Erase { ticket, channel, user } => self.erase(ticket, channel, user),
            Input::SpaceLow(low) => self.space_low = low,
            Input::Words(words) => self.take_words(words),
            Input::Providers(providers) => self.providers = Some(providers),
            Input::Drain => self.begin_drain(),
        }
    }

    /// Hops to oneself are taken in the same step, so that one shard and many behave alike. Then large batches are sealed:
    /// between steps, so that what one step made belongs together.
    fn end_step(&mut self) {
        while let Some(hop) = self.hops.pop_local() {
            self.hop(hop);
        }
        self.pipeline.seal_if_full();
        self.tell_pressure();
    }

    fn hop(&mut self, hop: Hop) {
        match hop {
            Hop::Submit { origin, frame, hides } => {
                let weight = self.ledger.weigh(Holds::Waiting, frame.held_bytes());
                self.submit(frame.channel(), Submit::new(origin, frame, hides, weight));
            }
            Hop::Answer { origin, asked, frames } => self.answer(origin, asked, frames),
            Hop::Deliver { spans } => spans.into_iter().for_each(|span| self.span(span)),
            Hop::Held { holder, conn, fact } => self.heard(holder, ConnId(conn), fact),
            Hop::Speak { conn, fact } => self.spoken(ConnId(conn), fact),
            Hop::Open { channel, user, by, wants, opening } => {
                self.open(user, Request { channel, by, wants, opening });
            }
            Hop::Opened { channel, user, opening, consent } => self.opened(channel, user, opening, consent),
            Hop::Offer(offer) => self.offered(&offer),
            Hop::Follow { channel, by, on } => self.follow_by(channel, by, on),
            Hop::Followed { channel } => self.followed(channel),
            Hop::Tell { channel, frames } => self.told(channel, &frames),
            Hop::Watch { by, fact } => self.watched_by(by, fact),
            Hop::Seen(seen) => self.seen(seen),
            Hop::Pressure { shard, on } => self.pressed(shard, on),
            Hop::Applied { by, through } => {
                for (source, through) in through {
                    if let Some(source) = self.source_mut(source) {
                        source.applied(by, through);
                    }
                }
            }
        }
    }

    fn span(&mut self, span: Span) {
        let Span { source, after, through, deliveries, origins } = span;
        let weight = Some(self.ledger.weigh(Holds::Inbound, frame_bytes(&deliveries)));
        let acked = Vec::new();
        self.inbound(after, Inbound { source, through, deliveries, origins, acked, _weight: weight });
    }

    fn stored(&mut self, number: u64) {
        let had_room = self.takes_deliveries();
        while let Some(pending) = self.pipeline.take_stored(number) {
            self.fan_out(&pending.fanout, pending.messages);
            for after in pending.after {
                self.after_stored(after);
            }
            for (source, through) in pending.applied {
                self.applied.stored(source, through);
            }
        }
        if !had_room {
            self.apply_waiting();
        }
    }

    pub(crate) fn after_stored(&mut self, after: After) {
        match after {
            After::Pointers(user, at) => self.pointers_stored(user, at),
            After::Reply(ticket) => self.out.push(Effect::Reply { ticket, outcome: Ok(()) }),
            After::Read(ticket, query) => self.out.push(Effect::Read { ticket, query }),
            After::Hop(hop) => self.hop(hop),
            After::Channel => self.channels.may_be_idle(),
            After::Answer(origin, asked, frame) => self.reply(origin, asked, frame),
            After::Purged(channel) => self.purged(channel, Ok(())),
            After::Push(user, channel) => self.out.push(Effect::Push { user, channel }),
        }
    }

    /// Adds a row of a user; says the number of its batch.
    pub(crate) fn user_row(&mut self, user: UserId, row: Row) {
        let number = self.pipeline.row(BayId::of_user(user), row);
        if let Some(user) = self.users.get_mut(&user) {
            user.dirty = number;
        }
    }

    /// Tells the sources how far their logs are applied, the destinations how far the logs go, and trims.
    fn tell_marks(&mut self) {
        let by = self.config.shard;
        let mut untold: BTreeMap<ShardId, Vec<(BayId, u64)>> = BTreeMap::new();
        for (source, through) in self.applied.untold() {
            untold.entry(self.placement.home(source)).or_default().push((source, through));
        }
        for (home, through) in untold {
            self.hops.push(home, Hop::Applied { by, through });
        }
        for shard in (0..self.placement.shards()).map(ShardId) {
            self.hint(shard);
        }
        for source in &mut self.sources {
            if let Some(below) = source.trim() {
                self.pipeline.trailing_row(source.bay, Row::TrimFanout { below });
            }
        }
    }

    /// Tells a shard how far the own bays' logs reach, where it may not know.
    fn hint(&mut self, shard: ShardId) {
        if self.hops.is_full(shard) {
            return;
        }
        let spans = self.sources.iter_mut().filter_map(|source| {
            let crate::source::Covers { after, through } = source.hint(shard)?;
            Some(Span { source: source.bay, after, through, deliveries: Vec::new(), origins: Vec::new() })
        });
        let spans: Vec<_> = spans.collect();
        if !spans.is_empty() {
            self.hops.push(shard, Hop::Deliver { spans });
        }
    }

    /// Reads from the connections again that had to wait.
    fn relieve(&mut self) {
        for shard in (0..self.placement.shards()).map(ShardId) {
            if self.hops.is_relieved(shard) {
                self.unpause_all(Why::Lane(shard));
            }
        }
        self.look_at_drained();
    }

    /// Lets go of users, channels and dedup windows that nobody used lately, down to the operator's bounds. What is on its
    /// way to the disk stays: whoever loads it again would not find it there.
    fn evict(&mut self) {
        let (pipeline, gathered, guests, now) = (&self.pipeline, &self.gathered, &self.guests, self.now);
        let present = &self.present;
        let bound = self.config.limits.idle_users + self.sessions.len();
        let may_go = |id, user: &User| {
            let is_idle = user.is_idle(now) && !guests.has(id) && !present.holds(id);
            is_idle && pipeline.is_stored(user.dirty) && !gathered.holds(id)
        };
        self.users.evict(bound, may_go, drop);
        self.drop_windows(0);
        let (pipeline, windows, changes) = (&self.pipeline, &mut self.windows, &self.changes);
        let may_go = |id, channel: &Channel| {
            channel.is_idle() && pipeline.is_stored(channel.dirty()) && !changes.holds(id)
        };
        let bound = self.config.limits.idle_channels;
        self.channels.evict(bound, may_go, |mut channel| windows.drop_of(&mut channel));
    }
}

/// Whether the bays are those of the shard, each at the place where [`Shard::source_mut`] looks for it.
fn owns(config: &Config) -> bool {
    let own = config.own.iter().map(|state: &BayState| state.bay);
    own.eq(config.placement.bays(config.shard)) && config.fanout_heads.len() == usize::from(BAYS)
}
