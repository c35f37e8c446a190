//! Tells devices that what they show was read elsewhere. It goes behind the job of its channel and takes no more than half of the places
//! that there are, so that nobody hears later of a message for it.

use carry::{JobId, Next, Withdraw};
use protocol::Seq;
use protocol::commit::Target;
use protocol::query::PushFacts;

use super::Outbox;
use super::tell::{expiry_ms, name_of, row_of};
use crate::call::Answer;
use crate::diary::{Entry, What};
use crate::figures::count;
use crate::limits::WITHDRAW_WAIT;
use crate::notice::{self, Notice};

impl Outbox {
    /// Withdraws what is read and shown; says when to look at it again. `seen` is the job that waits, so that a newer one goes first.
    pub(super) async fn withdraw(
        &self,
        id: JobId,
        seen: Option<Seq>,
        withdraw: &mut Withdraw,
    ) -> Result<Option<u64>, String> {
        loop {
            let facts = self.homes.facts(id).await?;
            let job = facts.job.as_ref().filter(|job| !job.is_parked).map(|job| job.seq);
            if job.is_some() && job != seen {
                return Ok(Some(self.now_ms()));
            }
            let (targets, next) = self.look_at_shown(&facts, withdraw);
            if !targets.is_empty() {
                self.withdraw_all(id, withdraw, &facts, &targets).await?;
                continue;
            }
            match next {
                Next::Rest | Next::Call(_) => return Ok(None),
                Next::Wait(at_ms) => return Ok(Some(at_ms)),
                Next::End(seq) => {
                    self.homes.withdrawn(id, seq).await?;
                    *withdraw = Withdraw::default();
                    return Ok(None);
                }
            }
        }
    }

    /// Whom to call, and what to do when that is nobody.
    fn look_at_shown(&self, facts: &PushFacts, withdraw: &mut Withdraw) -> (Vec<Target>, Next) {
        let mut targets = Vec::new();
        if !self.withdraws {
            // What was shown before that was said.
            return (targets, facts.shown.as_ref().map_or(Next::Rest, |shown| Next::End(shown.seq)));
        }
        loop {
            match withdraw.next(facts, self.now_ms(), getrandom::u64().unwrap_or(0)) {
                Next::Call(target) => targets.push(target),
                next => return (targets, next),
            }
        }
    }

    async fn withdraw_all(
        &self,
        id: JobId,
        withdraw: &mut Withdraw,
        facts: &PushFacts,
        targets: &[Target],
    ) -> Result<(), String> {
        let Some(shown) = &facts.shown else { return Ok(()) };
        let badge = match self.homes.around(id.0, protocol::UserId::default()).await {
            Ok(around) => around.badge,
            Err(fault) => {
                targets.iter().for_each(|target| withdraw.failed(*target));
                return Err(fault);
            }
        };
        let payload = notice::withdrawal(id, shown.seq, badge);
        let calls = targets.iter().map(async |target| {
            let is_told = self.call_back(id, (facts, shown.seq), &payload, *target).await;
            (*target, is_told)
        });
        for (target, is_told) in futures_util::future::join_all(calls).await {
            count(if is_told { &self.figures.withdrawn } else { &self.figures.withdrawals_failed });
            if !is_told {
                withdraw.failed(target);
            }
        }
        Ok(())
    }

    /// Calls one subscription; whether nothing is left to be done there.
    async fn call_back(
        &self,
        id: JobId,
        (facts, seq): (&PushFacts, Seq),
        payload: &serde_json::Value,
        target: Target,
    ) -> bool {
        let Some(row) = row_of(facts, target) else { return true };
        let now_ms = self.now_ms();
        let (name, expires_ms) = (format!("{}-read", name_of(id, target, seq)), expiry_ms(now_ms));
        let notice =
            Notice { name: &name, payload, is_urgent: false, is_withdrawal: true, now_ms, expires_ms };
        let call = self.senders.send((target.1, row), None, &notice, || self.now_ms());
        // A newer message of the channel waits for it, so it has less time than a push.
        let answer = match tokio::time::timeout(WITHDRAW_WAIT, call).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => return false,
        };
        match answer {
            Answer::Taken => {
                let (user, channel, host) = (id.0, id.1, target.1.host(&row.endpoint));
                let (at_ms, target, what) = (self.now_ms(), Some(target), What::Withdrawn);
                self.diary.note(Entry { at_ms, user, channel, seq, count: 0, target, host, what });
                true
            }
            // Its home removes it with the next push, or now.
            Answer::Gone => self.homes.gone(id.0, target, row.created_ms).await.is_ok(),
            Answer::Refused(why) => {
                tracing::debug!(user = %id.0, device = %target.0, why, "a withdrawal was refused");
                true
            }
            Answer::Later { .. } => false,
        }
    }
}
