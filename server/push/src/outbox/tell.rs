//! Calls the subscriptions of one job, and writes down what each answered.

use std::time::Duration;

use carry::{Carry, End, Ended, HOME_AGAIN_MS, JobId, TTL_MS, backoff_ms};
use protocol::commit::{Provider, SubscriptionRow, Target};
use protocol::query::PushFacts;
use protocol::{ChannelId, DeviceId, Seq, UserId};

use super::Outbox;
use crate::call::Answer;
use crate::diary::{Entry, What};
use crate::figures::count;
use crate::notice::{self, Around, Notice};

/// What became of one call, or of none.
enum Sent {
    Taken,
    Gone,
    Refused,
    /// To be tried again then.
    Failed(u64),
    /// Its host rests or has no room: to be looked at then, or when it is told of room.
    NoRoom(u64),
}

impl Outbox {
    /// Calls all at once, for a subscription that takes its time must not hold back the others of its user; and right after the store
    /// was read, for nobody is told of what was read before.
    pub(super) async fn tell_all(&self, id: JobId, carry: &mut Carry, facts: &PushFacts, targets: &[Target]) {
        let stamp = facts.message.as_ref().and_then(|frame| frame.read_stamp());
        let sender = stamp.map(|stamp| stamp.sender).unwrap_or_default();
        let around = match self.homes.around(id.0, sender).await {
            Ok(around) => around,
            Err(fault) => {
                tracing::debug!(user = %id.0, fault, "what stands around a push cannot be read");
                let again_ms = self.now_ms() + HOME_AGAIN_MS;
                return targets.iter().for_each(|target| carry.early(*target, again_ms));
            }
        };
        let attempts = carry.attempts();
        let calls = targets
            .iter()
            .map(async |target| (*target, self.tell(id, (facts, &around), *target, attempts).await));
        for (target, sent) in futures_util::future::join_all(calls).await {
            match sent {
                Sent::Taken => carry.taken(target),
                Sent::Gone => carry.gone(),
                Sent::Refused => carry.refused(),
                Sent::Failed(again_ms) => carry.failed(target, again_ms),
                Sent::NoRoom(again_ms) => carry.crowded(target, again_ms),
            }
        }
    }

    pub(super) fn count_end(&self, (user, channel): JobId, ended: &Ended) {
        let figures = &self.figures;
        let figure = match ended.why {
            End::Read => &figures.read,
            End::Recalled => &figures.recalled,
            End::Unwanted => &figures.unwanted,
            End::Expired => &figures.expired,
            End::Parked => &figures.parked,
            End::Told | End::Later => return,
        };
        count(figure);
        self.diary.note(Entry {
            at_ms: self.now_ms(),
            user,
            channel,
            seq: ended.seq,
            count: ended.count,
            target: None,
            host: String::new(),
            what: What::Ended(ended.why),
        });
    }

    /// Calls one subscription.
    async fn tell(
        &self,
        id: JobId,
        (facts, around): (&PushFacts, &Around),
        target: Target,
        attempts: u16,
    ) -> Sent {
        // Whom to call stands in these facts.
        let (Some(row), Some(job)) = (row_of(facts, target), &facts.job) else { return Sent::Gone };
        let payload = notice::payload(id, (job, facts, around), (row.preview, row.language));
        let (name, expires_ms, now_ms) =
            (name_of(id, target, job.seq), expiry_ms(job.time_ms), self.now_ms());
        let notice = Notice {
            name: &name,
            payload: &payload,
            is_urgent: job.is_mentioned,
            is_withdrawal: false,
            now_ms,
            expires_ms,
        };
        let answer = self.senders.send((target.1, row), Some(id), &notice, || self.now_ms()).await;
        let (user, device, provider) = (id.0, target.0, target.1.word());
        let ends = self.figures.of(target.1);
        let (sent, what) = match answer {
            Ok(Answer::Taken) => {
                count(&ends.sent);
                (Sent::Taken, What::Taken)
            }
            Ok(Answer::Gone) => {
                count(&ends.gone);
                tracing::info!(%user, %device, provider, "a subscription for push is no more");
                match self.homes.gone(user, target, row.created_ms).await {
                    Ok(()) => (Sent::Gone, What::Gone),
                    // It is called again, and says the same.
                    Err(_) => (Sent::Failed(self.now_ms() + HOME_AGAIN_MS), What::Gone),
                }
            }
            Ok(Answer::Refused(why)) => {
                count(&ends.refused);
                tracing::warn!(%user, %device, provider, why, "a push was refused");
                (Sent::Refused, What::Refused(why))
            }
            Ok(Answer::Later { after, why, .. }) => {
                count(&ends.failed);
                tracing::debug!(%user, %device, provider, why, "a push failed and is tried again");
                let again_ms = self.now_ms().saturating_add(wait_ms(attempts, after));
                (Sent::Failed(again_ms), What::Failed { why, again_ms })
            }
            Err(until_ms) => (Sent::NoRoom(until_ms), What::Resting { until_ms }),
        };
        self.note(id, facts, target, what);
        sent
    }

    /// Writes down what happened to a job at one subscription.
    pub(super) fn note(&self, (user, channel): JobId, facts: &PushFacts, target: Target, what: What) {
        let (Some(row), Some(job)) = (row_of(facts, target), &facts.job) else { return };
        let (seq, count, host) = (job.seq, job.count, target.1.host(&row.endpoint));
        let at_ms = self.now_ms();
        self.diary.note(Entry { at_ms, user, channel, seq, count, target: Some(target), host, what });
    }

    /// Calls a subscription with a test, past every setting of the user.
    pub async fn test(&self, user: UserId, provider: Provider, row: &SubscriptionRow) -> Answer {
        let now_ms = self.now_ms();
        let payload = notice::test_payload(user, row.language);
        let name = name_of((user, ChannelId(0)), (DeviceId(0), provider), Seq(now_ms));
        let expires_ms = expiry_ms(now_ms);
        let notice = Notice {
            name: &name,
            payload: &payload,
            is_urgent: true,
            is_withdrawal: false,
            now_ms,
            expires_ms,
        };
        let sent = self.senders.send((provider, row), None, &notice, || self.now_ms()).await;
        sent.unwrap_or_else(|_| Answer::Later {
            after: None,
            why: "the host is not called for a while".into(),
            is_of_host: false,
        })
    }
}

/// See [`Notice::name`].
pub(super) fn name_of((user, channel): JobId, (device, provider): Target, seq: Seq) -> String {
    use std::fmt::Write as _;
    let mut input = Vec::with_capacity(40);
    input.extend_from_slice(&user.0.to_le_bytes());
    input.extend_from_slice(&channel.0.to_le_bytes());
    let digest = ring::digest::digest(&ring::digest::SHA256, &input);
    let mut name = String::with_capacity(80);
    for byte in digest.as_ref().iter().take(16) {
        let _ = write!(name, "{byte:02x}");
    }
    let _ = write!(name, "-{device}-{}-{}", provider as u8, seq.0);
    name
}

pub(super) fn row_of(facts: &PushFacts, (device, provider): Target) -> Option<&SubscriptionRow> {
    let found = facts.subscriptions.iter().find(|(of, by, _)| (*of, *by) == (device, provider));
    found.map(|(_, _, row)| row)
}

/// A job of a message of then is carried out no more, and shown no more.
pub(super) fn expiry_ms(time_ms: u64) -> u64 {
    time_ms.saturating_add(TTL_MS)
}

/// How long a job waits that has failed so often before: no shorter than what the provider said, and up to an eighth more than that,
/// so that those who failed together do not come back together.
fn wait_ms(attempts: u16, after: Option<Duration>) -> u64 {
    let random = getrandom::u64().unwrap_or(0);
    let said = after.map_or(0, whole_ms);
    backoff_ms(attempts, random).max(said + random % (said / 8 + 1))
}

pub(super) fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
