//! The control plane's outbox as the server runs it, and push providers that lose, delay, refuse, answer late and break off.
//! The rules by which a job is carried out, and the desk where jobs wait, are the real ones.
//!
//! All that it draws comes from a stream of its own, so that worlds without push stay what they were.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use carry::{Again, Desk, End, Ended, HOME_AGAIN_MS, JobId, Kept, Outcome, Step, backoff_ms, quiet_until};
use protocol::commit::{SubscriptionRow, Target};
use protocol::query::{Answer, PushFacts, Query};
use protocol::{BayId, Generation, Seq};
use shard::{Command, CommandError, PushOutcome, Ticket};
use storage::Tier;

use crate::broken;
use crate::oracle::Check;
use crate::rng::Rng;
use crate::world::World;

/// Jobs carried out at a time.
const AT_A_TIME: usize = 3;
/// What the shards may have told that was not looked at yet.
const TOLD_MAX: usize = 4;
/// After so long a call without an answer has failed, and a command too.
const CALL_MS: u64 = 15_000;
const COMMAND_MS: u64 = 10_000;
/// Steps within which everything that was offered is taken, or has a job.
const TAKEN_STEPS_MAX: u64 = 20_000;

/// One message at one subscription, in one life of the stores.
type Name = (Generation, JobId, Seq, Target);

/// What a provider does with a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Does {
    Takes,
    /// It takes it, and nobody hears of that.
    TakesUnheard,
    /// It gets nothing.
    Loses,
    Fails,
    Refuses,
    Forgets,
    /// It is not even called.
    Rests,
}

#[derive(Debug)]
enum Doing {
    /// The store is asked.
    Asks,
    /// A provider is called.
    Calls(Target, Does, u64),
    /// A home is told what became of the job.
    Tells(Ticket),
    /// A home is told that a subscription is no more.
    Ends(Ticket, Target),
}

#[derive(Debug)]
struct Task {
    job: JobId,
    kept: Box<Kept>,
    doing: Doing,
    due: u64,
    /// What the home said.
    reply: Option<bool>,
}

/// The outbox of the process, and the providers, which outlive it.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) rng: Rng,
    /// Providers take everything at once.
    pub(crate) is_healed: bool,
    told: VecDeque<JobId>,
    has_missed: bool,
    desk: Desk,
    tasks: Vec<Task>,
    /// What providers have, and in which process the outbox heard of it last.
    taken: BTreeMap<Name, (u32, Option<u64>)>,
    /// Whom a provider refused or forgot.
    ended: BTreeSet<Name>,
    /// How many calls providers took.
    pub(crate) calls: u64,
    /// How many messages a provider has more than once.
    pub(crate) doubles: u64,
    pub(crate) ends: [u64; 7],
}

impl Outbox {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed ^ 0x7075_7368),
            is_healed: false,
            told: VecDeque::new(),
            has_missed: true,
            desk: Desk::default(),
            tasks: Vec::new(),
            taken: BTreeMap::new(),
            ended: BTreeSet::new(),
            calls: 0,
            doubles: 0,
            ends: [0; 7],
        }
    }

    /// A shard tells that a job is there.
    pub(crate) fn ring(&mut self, job: JobId) {
        if self.told.len() >= TOLD_MAX {
            self.has_missed = true;
        } else {
            self.told.push_back(job);
        }
    }

    /// The process is gone. Calls that were on their way may arrive all the same.
    pub(crate) fn process_died(&mut self, generation: Generation) {
        for task in std::mem::take(&mut self.tasks) {
            if let Doing::Calls(target, Does::Takes | Does::TakesUnheard, _) = task.doing
                && self.rng.chance(500)
            {
                self.take((generation, task.job, task.kept.carry.seq(), target), None);
            }
        }
        (self.desk, self.has_missed) = (Desk::default(), true);
        self.told.clear();
    }

    /// Nothing is under way or due; what waits for its time is not looked at.
    pub(crate) fn is_at_rest(&self, wall_ms: u64) -> bool {
        self.told.is_empty()
            && !self.has_missed
            && self.tasks.is_empty()
            && self.desk.next_ms().is_none_or(|at_ms| at_ms > wall_ms)
    }

    /// When something is due, in virtual time.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.tasks.iter().map(|task| task.due).min()
    }

    /// When the next job is due, by the wall clock.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.desk.next_ms()
    }

    /// A home has answered.
    pub(crate) fn replied(&mut self, ticket: Ticket, outcome: Result<(), CommandError>) {
        let is_it = |task: &&mut Task| match &task.doing {
            Doing::Tells(of) | Doing::Ends(of, _) => *of == ticket,
            _ => false,
        };
        if let Some(task) = self.tasks.iter_mut().find(is_it) {
            task.reply = Some(outcome.is_ok());
        }
    }

    /// A provider has it.
    fn take(&mut self, name: Name, heard_in: Option<u64>) {
        let (count, heard) = self.taken.entry(name).or_default();
        *count += 1;
        *heard = heard_in.or(*heard);
        self.calls += 1;
        self.doubles += u64::from(*count == 2);
    }

    fn does(&mut self) -> Does {
        if self.is_healed {
            return Does::Takes;
        }
        match self.rng.below(100) {
            0..=49 => Does::Takes,
            50..=57 => Does::TakesUnheard,
            58..=65 => Does::Loses,
            66..=79 => Does::Fails,
            80..=83 => Does::Refuses,
            84..=87 => Does::Forgets,
            _ => Does::Rests,
        }
    }
}

impl World {
    /// One step of the outbox.
    pub(crate) fn push_step(&mut self) -> Check {
        let told = self.node.as_mut().map(|node| std::mem::take(&mut node.pushes)).unwrap_or_default();
        told.into_iter().for_each(|job| self.outbox.ring(job));
        let wall = self.now + self.wall_ahead;
        if self.node.is_none() {
            return Ok(());
        }
        if self.outbox.is_healed || self.outbox.rng.chance(700) {
            while let Some(job) = self.outbox.told.pop_front() {
                self.outbox.desk.set(job, wall);
            }
        }
        if self.outbox.has_missed {
            self.read_bays()?;
        }
        while self.outbox.tasks.len() < AT_A_TIME
            && let Some((job, kept)) = self.outbox.desk.take(wall)
        {
            self.ask(job, kept);
        }
        let mut tasks = std::mem::take(&mut self.outbox.tasks);
        let (due, rest) = tasks.drain(..).partition(|task| task.due <= self.now || task.reply.is_some());
        self.outbox.tasks = rest;
        let due: Vec<Task> = due;
        due.into_iter().try_for_each(|task| self.advance(task))
    }

    /// As at the start, and when something was missed.
    fn read_bays(&mut self) -> Check {
        self.outbox.has_missed = false;
        for bay in BayId::all() {
            let query = Query::Jobs { bay, after: None, limit: u32::MAX };
            let Ok(Some(Answer::Jobs { items, more: false })) = self.disk.store().read(&query, Tier::Any)
            else {
                broken!("jobs of bay {bay} cannot be read");
            };
            for (user, channel, job) in items {
                if !job.is_parked {
                    self.outbox.desk.set((user, channel), job.retry_at_ms);
                }
            }
        }
        Ok(())
    }

    /// The store is asked, and answers after a while.
    fn ask(&mut self, job: JobId, kept: Box<Kept>) {
        let due = self.now + self.outbox.rng.below(self.plan.read_max_ms + 1);
        self.outbox.tasks.push(Task { job, kept, doing: Doing::Asks, due, reply: None });
    }

    fn later(&mut self, job: JobId, again: Again) {
        let wall = self.now + self.wall_ahead;
        self.outbox.desk.ended(job, again, wall);
    }

    fn later_with(&mut self, job: JobId, kept: Box<Kept>) {
        let at_ms = self.now + self.wall_ahead + HOME_AGAIN_MS;
        self.later(job, Again::With(at_ms, kept));
    }

    fn advance(&mut self, mut task: Task) -> Check {
        let job = task.job;
        match task.doing {
            Doing::Asks if task.kept.ended.is_some() => self.tell_home(job, task.kept),
            Doing::Asks => return self.go_on(job, task.kept),
            Doing::Calls(target, does, made_ms) => {
                return self.called(job, task.kept, (target, made_ms), does);
            }
            Doing::Tells(_) => match (task.reply, &task.kept.ended) {
                (Some(true), Some(Ended { again_ms: Some(at_ms), .. })) => {
                    let at_ms = *at_ms;
                    self.later(job, Again::At(at_ms));
                }
                (Some(true), _) => self.later(job, Again::Told),
                // Whether it was carried out is not known: it is told again.
                _ => self.later_with(job, task.kept),
            },
            Doing::Ends(_, target) => {
                if task.reply == Some(true) {
                    task.kept.carry.gone();
                } else {
                    task.kept.carry.failed(target, self.now + self.wall_ahead + HOME_AGAIN_MS);
                }
                self.ask(job, task.kept);
            }
        }
        Ok(())
    }

    /// The store says what is to be told, and to whom.
    fn go_on(&mut self, job: JobId, mut kept: Box<Kept>) -> Check {
        let (user, channel) = job;
        let query = Query::Push { user, channel };
        if self.outbox.rng.chance(self.plan.failed_reads) || self.disk.cannot_read(&query) {
            self.later_with(job, kept);
            return Ok(());
        }
        let Ok(Some(Answer::Push(facts))) = self.disk.store().read(&query, Tier::Any) else {
            broken!("what {user} is to be told of {channel:?} cannot be read");
        };
        let wall = self.now + self.wall_ahead;
        // Everybody here lives by UTC.
        let minute = u16::try_from(wall / 60_000 % 1440).unwrap_or(0);
        let quiet = |row: &SubscriptionRow| quiet_until(row.quiet, minute, wall);
        match kept.carry.next(channel, &facts, wall, quiet, |_, _| ()) {
            Step::Rest => self.later(job, Again::Told),
            Step::Wait(at_ms) => self.later(job, Again::At(at_ms)),
            Step::Call(target) => return self.call(job, kept, &facts, target),
            Step::End(ended) => {
                self.check_end(job, &facts, &ended)?;
                self.outbox.ends[ended.why as usize] += 1;
                kept.ended = Some(ended);
                self.tell_home(job, kept);
            }
        }
        Ok(())
    }

    fn call(&mut self, job: JobId, mut kept: Box<Kept>, facts: &PushFacts, target: Target) -> Check {
        let (now, wall) = (self.now, self.now + self.wall_ahead);
        let seq = kept.carry.seq();
        let does = self.outbox.does();
        if does == Does::Rests {
            kept.carry.early(target, wall + self.outbox.rng.below(30_000));
            self.ask(job, kept);
            return Ok(());
        }
        self.oracle.may_call(job, seq, target, wall)?;
        let name = (self.oracle.generation, job, seq, target);
        let life = self.oracle.pushes.life;
        if let Some((_, Some(heard))) = self.outbox.taken.get(&name)
            && *heard == life
        {
            broken!("{name:?} is called again, although the provider took it and said so");
        }
        self.trace.say(now, || format!("push to {target:?} of {} for {:?} {seq}: {does:?}", job.0, job.1));
        let wait = match (does, self.outbox.is_healed) {
            (_, true) => 0,
            (Does::TakesUnheard | Does::Loses, _) => CALL_MS,
            _ => self.outbox.rng.below(3000),
        };
        let row = facts.subscriptions.iter().find(|(device, provider, _)| (*device, *provider) == target);
        let made_ms = row.map_or(0, |(_, _, row)| row.created_ms);
        let doing = Doing::Calls(target, does, made_ms);
        self.outbox.tasks.push(Task { job, kept, doing, due: now + wait, reply: None });
        Ok(())
    }

    /// The provider has answered, or too late.
    fn called(
        &mut self,
        job: JobId,
        mut kept: Box<Kept>,
        (target, made_ms): (Target, u64),
        does: Does,
    ) -> Check {
        let name = (self.oracle.generation, job, kept.carry.seq(), target);
        let (wall, life) = (self.now + self.wall_ahead, self.oracle.pushes.life);
        match does {
            Does::Takes => {
                self.outbox.take(name, Some(life));
                kept.carry.taken();
            }
            Does::TakesUnheard | Does::Loses | Does::Fails | Does::Rests => {
                if does == Does::TakesUnheard {
                    self.outbox.take(name, None);
                }
                let random = self.outbox.rng.draw();
                let wait = backoff_ms(kept.carry.attempts(), random);
                kept.carry.failed(target, wall + wait);
            }
            Does::Refuses => {
                self.outbox.ended.insert(name);
                kept.carry.refused();
            }
            Does::Forgets => {
                self.outbox.ended.insert(name);
                let command = Command::Unsubscribe { user: job.0, target, made_ms: Some(made_ms) };
                let ticket = self.ordered(command);
                let due = self.now + COMMAND_MS;
                self.outbox.tasks.push(Task {
                    job,
                    kept,
                    doing: Doing::Ends(ticket, target),
                    due,
                    reply: None,
                });
                return Ok(());
            }
        }
        self.ask(job, kept);
        Ok(())
    }

    /// The ticket of a command; one that nobody answers when there is no process that takes it.
    fn ordered(&mut self, command: Command) -> Ticket {
        let before = self.next_ticket;
        self.order(command);
        if self.next_ticket == before { Ticket(u64::MAX) } else { Ticket(self.next_ticket) }
    }

    fn tell_home(&mut self, job: JobId, kept: Box<Kept>) {
        let (user, channel) = job;
        let Some(Ended { seq, count, outcome, .. }) = kept.ended.clone() else { return };
        let (is_done, is_parked) = (outcome == Outcome::Done, outcome == Outcome::Park);
        self.oracle.pushes.said(job, seq, is_done, is_parked);
        let outcome = match outcome {
            Outcome::Done => PushOutcome::Done { count },
            Outcome::Retry { at_ms, targets, has_failed } => {
                PushOutcome::Retry { at_ms, targets, has_failed }
            }
            Outcome::Park => PushOutcome::Park,
        };
        let ticket = self.ordered(Command::Pushed { user, channel, seq, outcome });
        let due = self.now + COMMAND_MS;
        self.outbox.tasks.push(Task { job, kept, doing: Doing::Tells(ticket), due, reply: None });
    }

    /// A job that is said to be told was taken, refused or forgotten at every subscription that it was for.
    fn check_end(&self, job: JobId, facts: &PushFacts, ended: &Ended) -> Check {
        let Some(row) = facts.job.as_ref().filter(|row| row.seq == ended.seq) else { return Ok(()) };
        if ended.why == End::Recalled && !self.oracle.is_recalled(job.1, ended.seq) {
            broken!("{job:?} {} is told to nobody as if it were recalled", ended.seq);
        }
        if ended.outcome != Outcome::Done || ended.why != End::Told {
            return Ok(());
        }
        // It has come to be for nobody: whoever was not called before that is not called.
        if self.oracle.is_for_nobody(job, row, self.now + self.wall_ahead).is_some() {
            return Ok(());
        }
        for target in self.oracle.pushes.older_than_job(job) {
            let is_meant = row.targets.is_empty() || row.targets.contains(&target);
            let name = (self.oracle.generation, job, ended.seq, target);
            let has_it = self.outbox.taken.contains_key(&name) || self.outbox.ended.contains(&name);
            if is_meant && !has_it {
                broken!("{name:?} is done, and was never called");
            }
        }
        Ok(())
    }

    /// What waits for being taken was taken, or is to be told; then what waits for its time waits no longer: hours pass by
    /// the wall clock.
    pub(crate) fn let_pushes_come(&mut self) -> Check {
        self.until_taken()?;
        for _ in 0..1000 {
            let wall = self.now + self.wall_ahead;
            let Some(at_ms) = self.outbox.next_ms() else { return Ok(()) };
            self.wall_ahead += at_ms.saturating_sub(wall);
            self.settle()?;
            self.until_taken()?;
        }
        broken!("jobs of push go on for ever");
    }

    /// Devices say every few seconds what they took.
    fn until_taken(&mut self) -> Check {
        let mut steps = 0;
        while self.oracle.pushes.owes() {
            if self.is_idle() {
                self.skip();
            }
            self.step()?;
            steps += 1;
            if steps > TAKEN_STEPS_MAX {
                broken!("nobody takes what was offered, and there is no job: {:?}", self.oracle.pushes);
            }
        }
        self.settle()
    }
}
