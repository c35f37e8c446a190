//! Everything in one thread: virtual time, one seeded stream, a node, its disk, the network and the devices.

use std::collections::{BTreeMap, VecDeque};

use protocol::commit::AccountRow;
use protocol::hello::Hello;
use protocol::{DeviceId, Frame, UserId};
use shard::{Command, CommandError, GuestId, Input, Ticket};

use crate::bounds;
use crate::broken;
use crate::device::Device;
use crate::disk::Disk;
use crate::erase::Erasures;
use crate::invariants;
use crate::network::Network;
use crate::node::{Node, Scene};
use crate::oracle::{Check, Oracle};
use crate::outbox::Outbox;
use crate::plan::{Faults, Plan};
use crate::purge::Purges;
use crate::restore::Backup;
use crate::rng::Rng;
use crate::rulings::Rulings;
use crate::sessions;
use crate::trace::{Mode, Trace};
use crate::workload;

/// Virtual wall clock at the start, in milliseconds since the Unix epoch.
const WALL_MS: u64 = 1_750_000_000_000;
/// A shard must be done with draining after this long, whatever its stores do, and although nothing may run for a while.
const DRAIN_GRACE_MS: u64 = 12 * shard::limits::DRAIN_MS;
/// Steps within which everything comes to rest once nothing goes wrong any more and no new message is stored.
const SETTLE_STEPS: u64 = 120_000;

/// A simulation.
pub struct World {
    /// Virtual monotonic milliseconds.
    pub now: u64,
    /// The seed's stream.
    pub rng: Rng,
    /// The seed's plan.
    pub plan: Plan,
    /// The model.
    pub oracle: Oracle,
    /// Everybody's devices.
    pub devices: Vec<Device>,
    /// Everybody.
    pub users: Vec<UserId>,
    /// The process, while there is one.
    pub node: Option<Node>,
    /// The stores.
    pub disk: Disk,
    /// The connections.
    pub network: Network,
    /// What happened.
    pub trace: Trace,
    pub(crate) wall_ahead: u64,
    boot_at: u64,
    pub(crate) space_low_until: Option<u64>,
    pub(crate) commands: BTreeMap<Ticket, Command>,
    pub(crate) rulings: Rulings,
    pub(crate) next_ticket: u64,
    next_device: u64,
    next_guest: u64,
    /// The last sends without a connection.
    pub visited: VecDeque<(UserId, Frame)>,
    /// How often each thing went wrong, for the summary.
    pub tally: Tally,
    pub(crate) backup: Option<Backup>,
    pub(crate) outbox: Outbox,
    pub(crate) purges: Purges,
    pub(crate) erasures: Erasures,
}

/// What a run did, so that a run that did nothing shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Processes that died.
    pub crashes: u64,
    /// Processes that drained.
    pub drains: u64,
    /// Requests without a connection that were answered, and of them those that were acked.
    pub guests: (u64, u64),
    /// Connections cut.
    pub cuts: u64,
    /// Apps that died.
    pub app_crashes: u64,
    /// Durable messages.
    pub messages: u64,
    /// Durable pointers.
    pub pointers: u64,
    /// Acks that reached an app.
    pub acks: u64,
    /// Refusals for good that reached an app.
    pub rejects: u64,
    /// Sum of the last process's counters: deliveries dropped for a full ring.
    pub dropped: u64,
    /// Sum of the last process's counters: sessions that fell behind.
    pub fell_behind: u64,
    /// Connections that were no longer read for a while.
    pub pauses: u64,
    /// Backups that were restored.
    pub restores: u64,
    /// Acked sends that were lost with a life of the stores.
    pub lost: u64,
    /// Frames of sends that the sessions wrote.
    pub sends_written: u64,
    /// Frames of sessions that were refused for their pace.
    pub refused_for_pace: u64,
    /// Reads that failed because the rows of a user, a log or a history could not be read for a while.
    pub unread: [u64; 3],
    /// Pushes that providers took, and messages that one has more than once.
    pub pushed: (u64, u64),
    /// Devices that were told that what they show is read.
    pub withdrawn: u64,
    /// Rounds of jobs of push by how they ended: told, read, unwanted, expired, later, parked.
    pub push_ends: [u64; 7],
    /// Groups that became large channels, and messages of them that devices hold by following alone.
    pub large: (u64, u64),
    /// Virtual milliseconds.
    pub virtual_ms: u64,
}

impl World {
    /// The world of a seed before its first step.
    #[must_use]
    pub fn new(seed: u64, mode: Mode) -> Self {
        let mut rng = Rng::new(seed);
        let plan = Plan::draw(&mut rng);
        let users: Vec<UserId> = (0..plan.users).map(|_| UserId(1 + rng.below(1 << 40))).collect();
        let mut world = Self {
            now: 0,
            oracle: Oracle::default(),
            devices: Vec::new(),
            users,
            node: None,
            disk: Disk::new(plan.shards),
            network: Network::default(),
            trace: Trace::new(mode),
            wall_ahead: WALL_MS,
            boot_at: 0,
            space_low_until: None,
            commands: BTreeMap::new(),
            rulings: Rulings::default(),
            next_ticket: 0,
            next_device: 0,
            next_guest: 0,
            visited: VecDeque::new(),
            tally: Tally::default(),
            backup: None,
            outbox: Outbox::new(seed),
            purges: Purges::new(seed),
            erasures: Erasures::new(seed),
            rng,
            plan,
        };
        world.oracle.stays_max = world.plan.limits.member_stays;
        let limits = &world.plan.limits;
        world.oracle.grows_above = (limits.large_members > 0).then_some(limits.group_members);
        for user in world.users.clone() {
            for _ in 0..world.plan.devices_per_user {
                world.install(user);
            }
        }
        world
    }

    /// A user gets another device.
    pub fn install(&mut self, user: UserId) {
        if self.erasures.is_of(user) {
            return;
        }
        self.next_device += 1;
        let id = DeviceId(self.next_device);
        self.devices.push(Device::new(user, id, self.rng.draw()));
    }

    /// Runs `ticks` steps in which things go wrong, then heals everything, waits until all is at rest, and compares all
    /// that anybody holds.
    ///
    /// # Errors
    /// The first invariant that broke.
    pub fn run(&mut self, ticks: u64) -> Check {
        for _ in 0..ticks {
            self.step()?;
        }
        self.heal()?;
        self.settle()?;
        self.let_pushes_come()?;
        self.ask_receipts()?;
        // Time has passed again.
        self.let_pushes_come()?;
        self.let_presence_come()?;
        self.count();
        self.tally.unread = self.disk.unread;
        self.tally.pushed = (self.outbox.calls, self.outbox.doubles);
        self.tally.withdrawn = self.withdrawals();
        self.tally.push_ends = self.outbox.ends;
        if let (Some(node), _, mut scene) = self.parts() {
            bounds::memory(node, &mut scene)?;
        }
        invariants::at_rest(self)
    }

    /// What is sent still takes its time where much waits and a shard takes little at once; so the steps are counted from the last
    /// message on, of which there is an end.
    pub(crate) fn settle(&mut self) -> Check {
        let (mut steps, mut messages) = (0, self.oracle.messages());
        while steps < SETTLE_STEPS {
            let idle = self.is_idle();
            if idle && invariants::is_settled(self) {
                return Ok(());
            }
            if idle {
                self.skip();
            }
            self.step()?;
            steps += 1;
            let now = self.oracle.messages();
            if now > messages {
                (steps, messages) = (0, now);
            }
        }
        Err(format!(
            "not at rest after {SETTLE_STEPS} steps without faults or new messages: {}",
            invariants::unsettled(self)
        ))
    }

    /// Nothing goes wrong any more, and what was made slow is fast.
    fn heal(&mut self) -> Check {
        self.trace.say(self.now, || "heal".to_owned());
        // The last fault of many lives: everything dies at once, and hardly anybody sends again. What was stored and not
        // delivered has to be found at boot, for no later message shows that it is missing.
        if self.rng.chance(400) && self.node.is_some() {
            self.crash()?;
            let (_, devices, mut scene) = self.parts();
            devices.iter_mut().filter(|device| !device.retired).for_each(|device| device.crash(&mut scene));
        }
        let plan = &mut self.plan;
        plan.faults = Faults::NONE;
        (plan.activity, plan.failed_reads, plan.skipped_turns) = (0, 0, 0);
        (plan.latency_max_ms, plan.commit_max_ms, plan.read_max_ms) = (5, 5, 5);
        plan.step_max_ms = 10;
        plan.pipe_bytes = 1 << 20;
        plan.turn_inputs = 1000;
        self.network.widen(1 << 20);
        self.space_low_until = self.space_low_until.map(|_| self.now);
        self.devices.iter_mut().for_each(|device| device.stop_reading_until = 0);
        self.disk.heal(self.now);
        self.plan.ring_hops = self.plan.ring_hops.max(16);
        if let Some(node) = &mut self.node {
            node.heal(self.plan.ring_hops);
        }
        self.boot_at = self.boot_at.min(self.now + 100);
        self.outbox.is_healed = true;
        Ok(())
    }

    /// Jumps to the next moment at which something is due.
    pub(crate) fn skip(&mut self) {
        let devices = self.devices.iter().filter(|d| !d.retired).filter_map(|d| d.session.next_deadline());
        let node = self.node.as_ref().and_then(Node::next_deadline);
        let boot = self.node.is_none().then_some(self.boot_at);
        if let Some(due) = devices.chain(node).chain(boot).chain(self.outbox.next_deadline()).min() {
            self.now = self.now.max(due);
        }
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.disk.is_idle()
            && self.network.is_idle()
            && self.node.as_ref().is_some_and(|node| node.is_idle(self.now))
    }

    /// One step of virtual time.
    ///
    /// # Errors
    /// The first invariant that broke.
    pub fn step(&mut self) -> Check {
        self.now += self.rng.below(self.plan.step_max_ms + 1);
        self.oracle.pushes.now = self.now;
        self.faults()?;
        self.boot()?;
        self.command();
        self.act();
        workload::push::act(self);
        workload::purge::act(self);
        if self.plan.erases {
            self.order_erasure();
        }
        let listening = self.node.as_ref().is_some_and(Node::is_ready);
        let may_dial: Vec<bool> = self.devices.iter().map(|device| self.has_token(device)).collect();
        let (node, devices, mut scene) = self.parts();
        for place in scene.rng.order(devices.len()) {
            if may_dial[place] {
                devices[place].step(&mut scene, listening)?;
            }
        }
        if let Some(node) = node {
            serve(node, &mut scene)?;
            node.turns(&mut scene)?;
            sessions::single(node, scene.oracle)?;
            bounds::ledgers(node)?;
            if scene.disk.is_idle() && node.is_idle(scene.now) {
                sessions::none_paused(node, scene.now, &scene.plan.limits)?;
            }
        }
        self.replies()?;
        self.push_step()?;
        self.check_pushes()?;
        self.forget();
        self.stop_when_drained()
    }

    /// The parts that a node and a device work with.
    pub fn parts(&mut self) -> (&mut Option<Node>, &mut Vec<Device>, Scene<'_>) {
        let scene = Scene {
            now: self.now,
            wall: self.now + self.wall_ahead,
            rng: &mut self.rng,
            plan: &self.plan,
            disk: &mut self.disk,
            network: &mut self.network,
            oracle: &mut self.oracle,
            trace: &mut self.trace,
        };
        (&mut self.node, &mut self.devices, scene)
    }

    /// Whether the control plane has given the device a token: once it exists, or did.
    fn has_token(&self, device: &Device) -> bool {
        let was_made = self.oracle.removing.contains(&device.id);
        self.oracle.accounts.contains(&device.user)
            && (was_made || self.oracle.has_device(device.user, device.id))
    }

    fn act(&mut self) {
        if self.plan.activity == 0 || self.node.is_none() {
            return;
        }
        for device in 0..self.devices.len() {
            if self.rng.chance(self.plan.activity)
                && self.oracle.accounts.contains(&self.devices[device].user)
            {
                workload::act(self, device);
            }
            if self.rng.chance(50) {
                self.devices[device].save();
            }
        }
    }

    fn boot(&mut self) -> Check {
        if self.node.is_some() || self.boot_at > self.now {
            return Ok(());
        }
        let shards = u16::try_from(self.rng.between(1, u64::from(self.plan.shards))).unwrap_or(1);
        let low = self.space_low_until.is_some();
        let (node, _, mut scene) = self.parts();
        let mut booted = Node::boot(&mut scene, shards)?;
        if low {
            booted.space_low(true);
        }
        *node = Some(booted);
        Ok(())
    }

    /// Makes the accounts and devices that are missing.
    fn command(&mut self) {
        let asked = |user: UserId| {
            let row = AccountRow { created_ms: user.0, ..AccountRow::default() };
            Command::CreateAccount { user, row }
        };
        for user in self.users.clone() {
            let wanted =
                !self.oracle.accounts.contains(&user) && !self.commands.values().any(|c| *c == asked(user));
            if wanted && self.rng.chance(200) {
                self.order(asked(user));
            }
        }
        self.add_devices();
    }

    /// Adds devices of users who exist, one at a time for each.
    fn add_devices(&mut self) {
        for place in 0..self.devices.len() {
            let device = &self.devices[place];
            let (user, id) = (device.user, device.id);
            let adding =
                |command: &Command| matches!(command, Command::AddDevice { device, .. } if *device == id);
            let wanted = !device.retired
                && self.oracle.accounts.contains(&user)
                && !self.has_token(device)
                && !self.commands.values().any(adding);
            if wanted && self.rng.chance(200) {
                let known = self.of_user(user).map(|device| device.id).collect();
                self.order(Command::AddDevice { user, device: id, known });
            }
        }
    }

    /// The user's devices that the control plane has not forgotten.
    fn of_user(&self, user: UserId) -> impl Iterator<Item = &Device> {
        let known = move |device: &&Device| {
            device.user == user && !device.retired && !self.oracle.removing.contains(&device.id)
        };
        self.devices.iter().filter(known)
    }

    /// Notes what a command forbids from the moment on in which it is under way.
    fn note(&mut self, command: &Command) {
        let devices = self.oracle.devices.get(&command.user()).map_or(0, BTreeMap::len);
        self.oracle.pushes.may_end(command, devices);
        match command {
            Command::CreateAccount { .. }
            | Command::AddDevice { .. }
            | Command::SetPolicy { .. }
            | Command::SetQuota { .. }
            | Command::Relate { .. }
            | Command::Subscribe { .. }
            | Command::Unsubscribe { .. }
            | Command::SetPush { .. }
            | Command::Pushed { .. }
            | Command::PushWithdrawn { .. }
            | Command::Withdraw { .. } => {}
            Command::RemoveDevice { device, .. } => {
                self.oracle.removing.insert(*device);
            }
            Command::LogOutAll { user, not_before_ms, keep } => {
                let known: Vec<DeviceId> = self.of_user(*user).map(|device| device.id).collect();
                self.oracle.removing.extend(known.into_iter().filter(|device| Some(*device) != *keep));
                let asked_ms = self.oracle.not_before_asked.entry(*user).or_default();
                *asked_ms = (*asked_ms).max(*not_before_ms);
            }
        }
    }

    /// Gives the control plane's command to the user's home, if there is a process.
    pub fn order(&mut self, command: Command) {
        if !self.node.as_ref().is_some_and(Node::is_ready) {
            return;
        }
        self.note(&command);
        let user = command.user();
        let Some(node) = self.node.as_mut() else { return };
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        node.tell(node.placement().user_home(user), Input::Control { ticket, command: command.clone() });
        self.note_ruling(ticket, &command);
        self.commands.insert(ticket, command);
    }

    /// Somebody asks the user's home for one thing without a connection, if there is a process; and may hang up.
    pub fn visit(&mut self, hello: Hello, frame: Frame, hangs_up: bool) {
        let Some(node) = self.node.as_mut().filter(|node| node.is_ready()) else { return };
        self.next_guest += 1;
        let guest = GuestId(self.next_guest);
        self.oracle.offer(hello.user, &frame);
        let may_be_welcome = self.oracle.may_be_welcome(hello.user, hello.device, hello.issued_ms);
        let home = node.placement().user_home(hello.user);
        node.visit(&self.oracle, guest, home, &hello, &frame, may_be_welcome);
        node.tell(home, Input::Guest { guest, hello, frame });
        if hangs_up {
            node.tell(home, Input::GuestGone { guest });
        }
    }

    fn replies(&mut self) -> Check {
        let replies = self.node.as_mut().map(|node| std::mem::take(&mut node.replies)).unwrap_or_default();
        for (ticket, outcome) in replies {
            if self.purge_replied(ticket, outcome)? || self.erase_replied(ticket, outcome)? {
                continue;
            }
            let Some(command) = self.commands.remove(&ticket) else {
                broken!("reply to {ticket:?}, which nobody asked");
            };
            self.oracle.pushes.has_ended(&command);
            self.outbox.replied(ticket, outcome);
            match (&command, outcome) {
                (Command::CreateAccount { user, .. }, Ok(())) if !self.oracle.accounts.contains(user) => {
                    broken!("account of {user} confirmed before it is durable");
                }
                (Command::AddDevice { user, device, .. }, Ok(()))
                    if !self.oracle.gone.contains(device) && !self.oracle.has_device(*user, *device) =>
                {
                    broken!("device {device} confirmed before it is durable");
                }
                (Command::AddDevice { device, .. }, Err(CommandError::Full)) => {
                    self.devices.iter_mut().filter(|d| d.id == *device).for_each(|d| d.retired = true);
                }
                (Command::RemoveDevice { user, device }, Ok(()))
                    if self.oracle.has_device(*user, *device) =>
                {
                    broken!("device {device} is gone, said the core, and is still durable");
                }
                (Command::LogOutAll { user, not_before_ms, .. }, Ok(()))
                    if self.oracle.not_before.get(user) < Some(not_before_ms) =>
                {
                    broken!(
                        "{user} is logged out everywhere, said the core, and older tokens are still good"
                    );
                }
                (Command::SetPolicy { .. } | Command::Relate { .. }, Ok(())) => {
                    self.tell_everyone(ticket, command);
                }
                (Command::Withdraw { .. }, Ok(())) => self.heard_by_one(ticket),
                // Refused while the disk is full or a read failed: it is asked again.
                (_, outcome) => self.trace.say(self.now, || format!("reply to {command:?}: {outcome:?}")),
            }
        }
        Ok(())
    }

    fn forget(&mut self) {
        for device in self.devices.iter_mut().filter(|device| device.retired) {
            if let Some(link) = device.link.take().and_then(|id| self.network.get(id)) {
                link.device_open = false;
                link.up.finish(self.now);
            }
        }
        let node = &self.node;
        self.network
            .forget(|link| node.as_ref().is_some_and(|node| node.conns.values().any(|c| c.link == link)));
    }

    fn stop_when_drained(&mut self) -> Check {
        let Some(node) = &self.node else { return Ok(()) };
        let Some(since) = node.draining_since() else { return Ok(()) };
        if node.is_drained() {
            self.trace.say(self.now, || "drained, the process ends".to_owned());
            self.tally.drains += 1;
            self.disk.close(&mut self.oracle)?;
            self.gone();
        } else if self.now > since + DRAIN_GRACE_MS + 4 * self.plan.step_max_ms {
            broken!("still draining {} ms after it began", self.now - since);
        }
        Ok(())
    }

    pub(crate) fn crash(&mut self) -> Check {
        self.trace.say(self.now, || "the process dies".to_owned());
        self.tally.crashes += 1;
        self.disk.crash(&mut self.rng, &mut self.oracle)?;
        self.gone();
        Ok(())
    }

    fn gone(&mut self) {
        self.count();
        self.node = None;
        self.commands.clear();
        self.rulings.forget();
        self.purges.process_died();
        self.erasures.process_died();
        self.oracle.pushes.process_died(&self.users);
        self.outbox.process_died(self.oracle.generation);
        self.network.server_died(&mut self.rng, self.now, 200);
        self.boot_at = self.now + self.rng.below(300);
        self.hide_a_log();
    }

    fn count(&mut self) {
        let counters = self.node.iter().flat_map(Node::counters);
        let (mut dropped, mut fell_behind) = (0, 0);
        for counter in counters {
            dropped += counter.deliveries_dropped;
            fell_behind += counter.fell_behind;
        }
        let (answered, acked) = self.node.as_ref().map_or((0, 0), |node| node.guests_answered);
        self.tally.guests = (self.tally.guests.0 + answered, self.tally.guests.1 + acked);
        self.tally.pauses += self.node.as_ref().map_or(0, |node| node.pauses);
        self.tally.dropped += dropped;
        self.tally.fell_behind += fell_behind;
    }
}

fn serve(node: &mut Node, scene: &mut Scene<'_>) -> Check {
    let listening = node.is_ready();
    for link in scene.network.unaccepted() {
        let Some(end) = scene.network.get(link) else { continue };
        if !listening {
            // The port closes: who has dialled and was not taken up is refused.
            end.down.finish(scene.now);
        } else if scene.rng.chance(500) {
            end.accepted = true;
            node.accept(link);
        }
    }
    node.serve(scene)?;
    for (shard, number) in scene.disk.commit(scene.rng, scene.plan, scene.now, scene.oracle)? {
        scene.trace.say(scene.now, || format!("shard {shard} has stored through {number}"));
        node.tell(shard, Input::Stored { number });
    }
    for (shard, answer) in scene.disk.answer(scene.rng, scene.now, scene.plan.failed_reads) {
        node.tell(shard, answer);
    }
    Ok(())
}
