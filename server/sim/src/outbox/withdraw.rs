//! What devices show and the user has read is withdrawn: by the real rules, and looked at from outside.

use carry::{Again, JobId, Kept, Next};
use protocol::Seq;
use protocol::commit::{Provider, Target};
use protocol::query::PushFacts;
use shard::Command;

use super::{COMMAND_MS, Call, Does, Doing, Task};
use crate::broken;
use crate::oracle::Check;
use crate::world::World;

impl World {
    /// Behind a job, or where there is none; `job_ms` is when that is looked at again.
    pub(super) fn withdraw(
        &mut self,
        job: JobId,
        mut kept: Box<Kept>,
        facts: &PushFacts,
        job_ms: Option<u64>,
    ) -> Check {
        let (wall, random) = (self.now + self.wall_ahead, self.outbox.rng.draw());
        // A job that is due goes first.
        if let Some(at_ms) = job_ms.filter(|at_ms| *at_ms <= wall) {
            self.later(job, Again::With(at_ms, kept));
            return Ok(());
        }
        let mut calls = Vec::new();
        let next = loop {
            match kept.withdraw.next(facts, wall, random) {
                Next::Call(target) => {
                    let seq = facts.shown.as_ref().map_or(Seq(0), |shown| shown.seq);
                    self.may_withdraw(job, seq, target)?;
                    let does = self.outbox.does();
                    self.trace.say(self.now, || {
                        format!("{target:?} of {} is told that {:?} {seq} is read: {does:?}", job.0, job.1)
                    });
                    calls.push((seq, self.new_call(target, does, facts)));
                }
                next => break next,
            }
        };
        if let Some((seq, _)) = calls.first() {
            let seq = *seq;
            self.withdrawals_go_on(job, kept, (seq, calls.into_iter().map(|(_, call)| call).collect()));
            return Ok(());
        }
        match next {
            Next::Rest | Next::Call(_) => self.later(job, job_ms.map_or(Again::Told, Again::At)),
            Next::Wait(at_ms) => {
                self.later(job, Again::With(job_ms.map_or(at_ms, |job| job.min(at_ms)), kept))
            }
            Next::End(seq) => {
                let ticket = self.ordered(Command::PushWithdrawn { user: job.0, channel: job.1, seq });
                let due = self.now + COMMAND_MS;
                self.outbox.tasks.push(Task { job, kept, doing: Doing::Ends(ticket), due, reply: None });
            }
        }
        Ok(())
    }

    fn withdrawals_go_on(&mut self, job: JobId, kept: Box<Kept>, (seq, calls): (Seq, Vec<Call>)) {
        match calls.iter().map(|call| call.due).min() {
            None => self.ask(job, kept),
            Some(due) => {
                let doing = Doing::Withdraws(seq, calls);
                self.outbox.tasks.push(Task { job, kept, doing, due, reply: None });
            }
        }
    }

    /// Providers have answered, or too late.
    pub(super) fn withdrawals_end(
        &mut self,
        job: JobId,
        mut kept: Box<Kept>,
        (seq, calls): (Seq, Vec<Call>),
    ) {
        let (life, mut left) = (self.oracle.pushes.life, Vec::new());
        for call in calls {
            if !call.is_due(self.now) {
                left.push(call);
                continue;
            }
            let name = (self.oracle.generation, job, seq, call.target);
            match (call.does, call.gone) {
                (_, Some((_, Some(true)))) | (Does::Refuses, None) => {}
                (Does::Takes, None) => drop(self.outbox.withdrawn.insert(name, Some(life))),
                (Does::Forgets, None) => left.push(self.forget_subscription(job, call)),
                (does, _) => {
                    if does == Does::TakesUnheard {
                        self.outbox.withdrawn.entry(name).or_default();
                    }
                    kept.withdraw.failed(call.target);
                }
            }
        }
        self.withdrawals_go_on(job, kept, (seq, left));
    }

    /// Somebody is about to be told that what it shows is read.
    fn may_withdraw(&self, job: JobId, seq: Seq, target: Target) -> Check {
        let (user, channel) = job;
        let name = (self.oracle.generation, job, seq, target);
        if self.oracle.position(channel, user) < seq {
            broken!("{name:?} is withdrawn, and was not read");
        }
        if target.1 == Provider::WebPush {
            broken!("{name:?} is withdrawn in a browser, which must show something for it");
        }
        // Whatever was taken before a backup was restored is shown still.
        let has_it = |(_, of, taken, at): &super::Name| (*of, *at) == (job, target) && *taken <= seq;
        if !self.outbox.taken.keys().any(has_it) {
            broken!("{name:?} is withdrawn, and no provider ever took it");
        }
        if self.outbox.withdrawn.get(&name) == Some(&Some(self.oracle.pushes.life)) {
            broken!("{name:?} is withdrawn again, although the provider took that and said so");
        }
        if self.outbox.tasks.iter().any(|task| task.job == job) {
            broken!("{name:?} is withdrawn while a newer one is under way");
        }
        Ok(())
    }

    /// How often somebody was told so.
    pub(crate) fn withdrawals(&self) -> u64 {
        self.outbox.withdrawn.len() as u64
    }
}
