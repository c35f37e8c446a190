//! Calls of one job: all at once, as the server's outbox makes them. Each is answered in its own time, and only when all are is the
//! store looked at again.

use carry::{HOME_AGAIN_MS, JobId, Kept, backoff_ms};
use protocol::commit::Target;
use protocol::query::PushFacts;
use shard::Command;

use super::{CALL_MS, COMMAND_MS, Call, Does, Doing, Task};
use crate::broken;
use crate::oracle::Check;
use crate::world::World;

impl World {
    pub(super) fn call_all(
        &mut self,
        job: JobId,
        mut kept: Box<Kept>,
        facts: &PushFacts,
        targets: &[Target],
    ) -> Check {
        let (now, wall) = (self.now, self.now + self.wall_ahead);
        let (seq, life) = (kept.carry.seq(), self.oracle.pushes.life);
        let mut calls = Vec::new();
        for target in targets.iter().copied() {
            let does = self.outbox.does();
            if does == Does::Rests {
                kept.carry.early(target, wall + self.outbox.rng.below(30_000));
                continue;
            }
            self.oracle.may_call(job, seq, target, wall)?;
            let name = (self.oracle.generation, job, seq, target);
            if let Some((_, Some(heard))) = self.outbox.taken.get(&name)
                && *heard == life
            {
                broken!("{name:?} is called again, although the provider took it and said so");
            }
            self.trace
                .say(now, || format!("push to {target:?} of {} for {:?} {seq}: {does:?}", job.0, job.1));
            calls.push(self.new_call(target, does, facts));
        }
        self.calls_go_on(job, kept, calls);
        Ok(())
    }

    pub(super) fn new_call(&mut self, target: Target, does: Does, facts: &PushFacts) -> Call {
        let wait = match (does, self.outbox.is_healed) {
            (_, true) => 0,
            (Does::TakesUnheard | Does::Loses, _) => CALL_MS,
            _ => self.outbox.rng.below(3000),
        };
        let row = facts.subscriptions.iter().find(|(device, provider, _)| (*device, *provider) == target);
        let made_ms = row.map_or(0, |(_, _, row)| row.created_ms);
        Call { target, does, made_ms, due: self.now + wait, gone: None }
    }

    fn calls_go_on(&mut self, job: JobId, kept: Box<Kept>, calls: Vec<Call>) {
        match calls.iter().map(|call| call.due).min() {
            None => self.ask(job, kept),
            Some(due) => {
                self.outbox.tasks.push(Task { job, kept, doing: Doing::Calls(calls), due, reply: None });
            }
        }
    }

    /// Providers have answered, or too late.
    pub(super) fn calls_end(&mut self, job: JobId, mut kept: Box<Kept>, calls: Vec<Call>) {
        let mut left = Vec::new();
        for call in calls {
            left.extend(if call.is_due(self.now) { self.called(job, &mut kept, call) } else { Some(call) });
        }
        self.calls_go_on(job, kept, left);
    }

    /// What came of one; a provider that has forgotten the subscription is followed by its home.
    fn called(&mut self, job: JobId, kept: &mut Kept, call: Call) -> Option<Call> {
        let target = call.target;
        let name = (self.oracle.generation, job, kept.carry.seq(), target);
        let (wall, life) = (self.now + self.wall_ahead, self.oracle.pushes.life);
        match (call.does, call.gone) {
            (_, Some((_, Some(true)))) => kept.carry.gone(),
            (_, Some(_)) => kept.carry.failed(target, wall + HOME_AGAIN_MS),
            (Does::Takes, None) => {
                self.outbox.take(name, Some(life));
                kept.carry.taken(target);
            }
            (Does::TakesUnheard | Does::Loses | Does::Fails | Does::Rests, None) => {
                if call.does == Does::TakesUnheard {
                    self.outbox.take(name, None);
                }
                let random = self.outbox.rng.draw();
                let wait = backoff_ms(kept.carry.attempts(), random);
                kept.carry.failed(target, wall + wait);
            }
            (Does::Refuses, None) => {
                self.outbox.ended.insert(name);
                kept.carry.refused();
            }
            (Does::Forgets, None) => {
                self.outbox.ended.insert(name);
                return Some(self.forget_subscription(job, call));
            }
        }
        None
    }

    /// A home is told that a subscription is no more.
    pub(super) fn forget_subscription(&mut self, (user, _): JobId, call: Call) -> Call {
        let (target, made_ms) = (call.target, Some(call.made_ms));
        let ticket = self.ordered(Command::Unsubscribe { user, target, made_ms });
        Call { gone: Some((ticket, None)), due: self.now + COMMAND_MS, ..call }
    }
}

impl Call {
    pub(super) fn is_due(&self, now: u64) -> bool {
        self.due <= now || matches!(self.gone, Some((_, Some(_))))
    }
}
