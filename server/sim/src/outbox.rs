//! The control plane's outbox as the server runs it, and push providers that lose, delay, refuse, answer late and break off.
//! The rules by which a job is carried out, and the desk where jobs wait, are the real ones.
//!
//! All that it draws comes from a stream of its own, so that worlds without push stay what they were.

mod calls;
mod withdraw;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use carry::{Again, Carry, Desk, End, Ended, HOME_AGAIN_MS, JobId, Kept, Outcome, Step, quiet_until};
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
    /// Providers are called, all at once.
    Calls(Vec<Call>),
    /// The same, to say that what is shown as far as this is read.
    Withdraws(Seq, Vec<Call>),
    /// A home is told what became of the job; whether something was to be withdrawn when it was looked at.
    Tells(Ticket, bool),
    /// A home is told that what was shown is withdrawn.
    Ends(Ticket),
}

/// A call that is not answered yet.
#[derive(Debug)]
struct Call {
    target: Target,
    does: Does,
    made_ms: u64,
    due: u64,
    /// The provider has forgotten the subscription, and its home is told that; what it said.
    gone: Option<(Ticket, Option<bool>)>,
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
    /// Jobs that wait because the store or a home did not answer: whether they are read is not known.
    put_off: BTreeSet<JobId>,
    /// What providers have, and in which process the outbox heard of it last.
    taken: BTreeMap<Name, (u32, Option<u64>)>,
    /// Whom a provider refused or forgot.
    ended: BTreeSet<Name>,
    /// Who was told that what it shows is read, and in which process the outbox heard of it last.
    withdrawn: BTreeMap<Name, Option<u64>>,
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
            put_off: BTreeSet::new(),
            taken: BTreeMap::new(),
            ended: BTreeSet::new(),
            withdrawn: BTreeMap::new(),
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
            let (calls, shown) = match task.doing {
                Doing::Calls(calls) => (calls, None),
                Doing::Withdraws(seq, calls) => (calls, Some(seq)),
                _ => continue,
            };
            for call in calls {
                if !matches!(call.does, Does::Takes | Does::TakesUnheard) || !self.rng.chance(500) {
                    continue;
                }
                let seq = shown.unwrap_or_else(|| task.kept.carry.seq());
                let name = (generation, task.job, seq, call.target);
                match shown {
                    Some(_) => drop(self.withdrawn.entry(name).or_default()),
                    None => self.take(name, None),
                }
            }
        }
        (self.desk, self.has_missed) = (Desk::default(), true);
        self.put_off.clear();
        self.told.clear();
    }

    /// Nothing is under way or due; what waits for its time is not looked at.
    pub(crate) fn is_at_rest(&self, wall_ms: u64) -> bool {
        self.told.is_empty()
            && !self.has_missed
            && self.tasks.is_empty()
            && self.desk.next_ms().is_none_or(|at_ms| at_ms > wall_ms)
    }

    /// Whether a job waits for a store or a home that did not answer.
    pub(crate) fn is_put_off(&self, job: JobId) -> bool {
        self.put_off.contains(&job)
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
        for task in &mut self.tasks {
            match &mut task.doing {
                Doing::Tells(of, _) | Doing::Ends(of) if *of == ticket => task.reply = Some(outcome.is_ok()),
                Doing::Calls(calls) | Doing::Withdraws(_, calls) => {
                    let gone = calls.iter_mut().filter_map(|call| call.gone.as_mut());
                    for (_, reply) in gone.filter(|(of, _)| *of == ticket) {
                        (*reply, task.due) = (Some(outcome.is_ok()), 0);
                    }
                }
                _ => {}
            }
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
            let query = Query::Withdrawals { bay, after: None, limit: u32::MAX };
            let Ok(Some(Answer::Withdrawals { items, more: false })) =
                self.disk.store().read(&query, Tier::Any)
            else {
                broken!("withdrawals of bay {bay} cannot be read");
            };
            let wall = self.now + self.wall_ahead;
            items.into_iter().for_each(|id| self.outbox.desk.set(id, wall));
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
        self.outbox.put_off.insert(job);
        self.later(job, Again::With(at_ms, kept));
    }

    fn advance(&mut self, mut task: Task) -> Check {
        let job = task.job;
        self.outbox.put_off.remove(&job);
        match task.doing {
            Doing::Asks if task.kept.ended.is_some() => self.tell_home(job, task.kept, true),
            Doing::Asks => return self.go_on(job, task.kept),
            Doing::Calls(calls) => self.calls_end(job, task.kept, calls),
            Doing::Withdraws(seq, calls) => self.withdrawals_end(job, task.kept, (seq, calls)),
            Doing::Tells(_, has_shown) => match (task.reply, &task.kept.ended) {
                (Some(true), Some(Ended { again_ms, .. })) => {
                    let again_ms = *again_ms;
                    (task.kept.carry, task.kept.ended) = (Carry::default(), None);
                    match again_ms {
                        _ if has_shown => self.ask(job, task.kept),
                        Some(at_ms) => self.later(job, Again::At(at_ms)),
                        None => self.later(job, Again::Told),
                    }
                }
                // Whether it was carried out is not known: it is told again.
                _ => self.later_with(job, task.kept),
            },
            Doing::Ends(_) if task.reply == Some(true) => {
                task.kept.withdraw = carry::Withdraw::default();
                self.ask(job, task.kept);
            }
            Doing::Ends(_) => self.later_with(job, task.kept),
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
        let mut targets = Vec::new();
        let step = loop {
            match kept.carry.next(channel, &facts, wall, quiet, |_, _| ()) {
                Step::Call(target) => targets.push(target),
                step => break step,
            }
        };
        if !targets.is_empty() {
            return self.call_all(job, kept, &facts, &targets);
        }
        let job_ms = match step {
            Step::End(ended) => {
                self.check_end(job, &facts, &ended)?;
                self.outbox.ends[ended.why as usize] += 1;
                kept.ended = Some(ended);
                self.tell_home(job, kept, facts.shown.is_some());
                return Ok(());
            }
            Step::Wait(at_ms) => Some(at_ms),
            Step::Rest | Step::Call(_) => None,
        };
        kept.carry = Carry::default();
        self.withdraw(job, kept, &facts, job_ms)
    }

    /// The ticket of a command; one that nobody answers when there is no process that takes it.
    fn ordered(&mut self, command: Command) -> Ticket {
        let before = self.next_ticket;
        self.order(command);
        if self.next_ticket == before { Ticket(u64::MAX) } else { Ticket(self.next_ticket) }
    }

    fn tell_home(&mut self, job: JobId, kept: Box<Kept>, has_shown: bool) {
        let (user, channel) = job;
        let Some(Ended { seq, count, outcome, taken, .. }) = kept.ended.clone() else { return };
        let (is_done, is_parked) = (outcome == Outcome::Done, outcome == Outcome::Park);
        self.oracle.pushes.said(job, seq, is_done, is_parked);
        let outcome = match outcome {
            Outcome::Done => PushOutcome::Done { count },
            Outcome::Retry { at_ms, targets, has_failed } => {
                PushOutcome::Retry { at_ms, targets, has_failed }
            }
            Outcome::Park => PushOutcome::Park,
        };
        let ticket = self.ordered(Command::Pushed { user, channel, seq, outcome, taken });
        let due = self.now + COMMAND_MS;
        self.outbox.tasks.push(Task { job, kept, doing: Doing::Tells(ticket, has_shown), due, reply: None });
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
