//! Carries out the jobs of this node's bays. The jobs are rows, and their homes alone change them: this only reads them,
//! calls, and says what became of each. So it may end at any moment; what it had not said is read and done again.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::commit::{JobRow, Notify, Provider, SubscriptionRow, Target};
use protocol::query::PushFacts;
use protocol::{BayId, ChannelId, DeviceId, Seq, UserId};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::call::Answer;
use crate::desk::Desk;
use crate::figures::{Figures, count};
use crate::limits::{AT_A_TIME, JOBS_PAGE, RETRY_FIRST, RETRY_MAX, TOLD_MAX, TTL, WAITING_MAX};
use crate::notice::{self, Around, Notice};
use crate::quiet;
use crate::senders::Senders;

/// An answer that is on its way.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// A user and a channel of which it is told.
pub type JobId = (UserId, ChannelId);

/// Jobs, and whether more follow.
pub type JobsPage = (Vec<(UserId, ChannelId, JobRow)>, bool);

/// What became of a job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Everybody has it, or nobody wants it.
    Done,
    /// Not now.
    Retry {
        /// Not before then, milliseconds since the Unix epoch.
        at_ms: u64,
        /// Who does not have it yet.
        targets: Vec<Target>,
        /// It failed, and was not only too early.
        has_failed: bool,
    },
    /// Never, as it is.
    Park,
}

/// The homes and the store, as far as push needs them.
pub trait Homes: Send + Sync + 'static {
    /// Jobs of a bay, and whether more follow.
    fn jobs(&self, bay: BayId, after: Option<JobId>, limit: u32) -> Pending<'_, JobsPage>;
    /// All that a push is made of.
    fn facts(&self, job: JobId) -> Pending<'_, PushFacts>;
    /// What stands around a message of this sender for this user.
    fn around(&self, user: UserId, sender: UserId) -> Pending<'_, Around>;
    /// What became of a job as far as `seq`, durably.
    fn ended(&self, job: JobId, seq: Seq, count: u32, outcome: Outcome) -> Pending<'_, ()>;
    /// A subscription that was made then is dead, durably.
    fn gone(&self, user: UserId, target: Target, made_ms: u64) -> Pending<'_, ()>;
}

/// Told by the shards that a job is there. Cheap to clone; never waits.
#[derive(Clone, Debug)]
pub struct Bell {
    told: mpsc::Sender<JobId>,
    missed: Arc<AtomicU64>,
}

impl Bell {
    /// A job is there, or has changed.
    pub fn ring(&self, job: JobId) {
        if self.told.try_send(job).is_err() {
            // The bays are read again.
            count(&self.missed);
        }
    }
}

/// What a shard tells.
#[derive(Debug)]
pub struct Told {
    told: mpsc::Receiver<JobId>,
    missed: Arc<AtomicU64>,
}

/// A bell, and what hears it.
#[must_use]
pub fn bell() -> (Bell, Told) {
    let (sender, told) = mpsc::channel(TOLD_MAX);
    let missed = Arc::new(AtomicU64::new(0));
    (Bell { told: sender, missed: missed.clone() }, Told { told, missed })
}

/// Now, milliseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Carries jobs out.
#[derive(Clone)]
pub struct Outbox {
    homes: Arc<dyn Homes>,
    senders: Arc<Senders>,
    figures: Arc<Figures>,
    clock: Clock,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").field("figures", &self.figures).finish_non_exhaustive()
    }
}

/// What became of one call, or of none.
enum Sent {
    Done,
    Gone,
    Refused,
    /// It is quiet until then.
    Early(u64),
    /// Its host rests or has no room: to be looked at then, or when it is told of room.
    NoRoom(u64),
    Failed(u64),
}

impl Outbox {
    /// One that tells through these.
    #[must_use]
    pub fn new(homes: Arc<dyn Homes>, senders: Senders) -> Self {
        let (senders, figures) = (Arc::new(senders), Arc::default());
        Self { homes, senders, figures, clock: Arc::new(system_ms) }
    }

    /// The same by another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Figures for the operator.
    #[must_use]
    pub fn figures(&self) -> &Arc<Figures> {
        &self.figures
    }

    /// Hosts that are not called for a while.
    #[must_use]
    pub fn resting(&self) -> usize {
        self.senders.hosts.resting(self.now_ms())
    }

    /// Calls under way to a provider.
    #[must_use]
    pub fn calls(&self, provider: Provider) -> usize {
        self.senders.hosts.calls(provider)
    }

    /// The providers.
    #[must_use]
    pub fn senders(&self) -> &Senders {
        &self.senders
    }

    fn now_ms(&self) -> u64 {
        (self.clock)()
    }

    /// Works for ever: reads the jobs of all bays, and then does what it is told of.
    pub async fn run(self, mut told: Told) {
        let mut desk = Desk::default();
        let mut missed = u64::MAX;
        let mut under_way = JoinSet::new();
        // Those who were told of room, and where.
        let mut freed = BTreeMap::new();
        loop {
            let now_missed = told.missed.load(Ordering::Relaxed);
            if missed != now_missed || (desk.has_dropped && desk.waiting() < WAITING_MAX / 2) {
                desk.has_dropped = false;
                // What is told meanwhile is looked at behind it.
                if self.read_bays(&mut desk).await {
                    missed = now_missed;
                }
            }
            for (job, provider, origin) in self.senders.hosts.freed() {
                desk.set(job, self.now_ms());
                freed.insert(job, (provider, origin));
            }
            while under_way.len() < AT_A_TIME
                && let Some(job) = desk.next(self.now_ms())
            {
                let outbox = self.clone();
                under_way.spawn(async move { (job, outbox.carry_out(job).await) });
            }
            self.figures.waiting.store(desk.waiting() as u64, Ordering::Relaxed);
            let wait = desk.wait(self.now_ms(), under_way.len() >= AT_A_TIME);
            tokio::select! {
                told = told.told.recv() => match told {
                    Some(job) => desk.set(job, self.now_ms()),
                    None => return,
                },
                Some(ended) = under_way.join_next(), if !under_way.is_empty() => match ended {
                    Ok((job, again)) => {
                        desk.ended(job, again, self.now_ms());
                        if let Some((provider, origin)) = freed.remove(&job) {
                            self.senders.hosts.looked_at(provider, &origin);
                        }
                    }
                    // It panicked: its job is a row still, and is found when the bays are read.
                    Err(_) => missed = u64::MAX,
                },
                () = self.senders.hosts.has_freed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Whether all bays could be read.
    async fn read_bays(&self, desk: &mut Desk) -> bool {
        for bay in BayId::all() {
            let mut after = None;
            loop {
                let page = self.homes.jobs(bay, after, JOBS_PAGE).await;
                let (items, more) = match page {
                    Ok(page) => page,
                    Err(fault) => {
                        tracing::warn!(%bay, fault, "jobs of push cannot be read; they are read again");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        return false;
                    }
                };
                for (user, channel, job) in &items {
                    if !job.is_parked {
                        desk.set((*user, *channel), job.retry_at_ms);
                    }
                }
                after = items.last().map(|(user, channel, _)| (*user, *channel));
                if !more || desk.has_dropped {
                    break;
                }
            }
        }
        true
    }

    /// Says when to look at it again; `None`: when it is told of again.
    async fn carry_out(&self, id: JobId) -> Option<u64> {
        match self.try_out(id).await {
            Ok(again) => again,
            Err(fault) => {
                tracing::debug!(user = %id.0, fault, "a job of push waits for its home");
                Some(self.now_ms() + 5000)
            }
        }
    }

    async fn try_out(&self, id: JobId) -> Result<Option<u64>, String> {
        let facts = self.homes.facts(id).await?;
        let now = self.now_ms();
        let Some(job) = facts.job.as_ref().filter(|job| !job.is_parked) else { return Ok(None) };
        if job.retry_at_ms > now {
            return Ok(Some(job.retry_at_ms));
        }
        let is_wanted = !facts.is_off
            && facts.prefs.muted_until_ms <= now
            && match facts.prefs.notify {
                Notify::All => true,
                Notify::Mentions => job.is_mentioned,
                Notify::Nothing => false,
            };
        let figures = &self.figures;
        let unsent = match () {
            () if facts.read >= job.seq => Some(&figures.read),
            () if !is_wanted || facts.subscriptions.is_empty() => Some(&figures.unwanted),
            () if expiry_ms(job.time_ms) <= now => Some(&figures.expired),
            () => None,
        };
        if let Some(figure) = unsent {
            count(figure);
            self.homes.ended(id, job.seq, job.count, Outcome::Done).await?;
            return Ok(None);
        }
        self.tell_all(id, job, &facts).await
    }

    async fn tell_all(&self, id: JobId, job: &JobRow, facts: &PushFacts) -> Result<Option<u64>, String> {
        let sender = facts.message.as_ref().and_then(|frame| frame.read_stamp()).map(|stamp| stamp.sender);
        let around = self.homes.around(id.0, sender.unwrap_or_default()).await?;
        let (mut left, mut at_ms, mut has_failed, mut lacks_room) = (Vec::new(), u64::MAX, false, false);
        let (mut taken, mut refused) = (0, 0);
        let is_meant = |target: &Target| job.targets.is_empty() || job.targets.contains(target);
        let all = facts.subscriptions.iter().map(|(device, provider, row)| ((*device, *provider), row));
        // All at once: a subscription that takes its time must not hold back the others of its user.
        let calls = all.filter(|(target, _)| is_meant(target)).map(async |(target, row)| {
            (target, row.created_ms, self.tell(id, (job, facts, &around), (target, row)).await)
        });
        for (target, made_ms, sent) in futures_util::future::join_all(calls).await {
            match sent {
                Sent::Done => taken += 1,
                Sent::Gone => self.homes.gone(id.0, target, made_ms).await?,
                Sent::Refused => refused += 1,
                Sent::Early(again) => {
                    left.push(target);
                    at_ms = at_ms.min(again);
                }
                Sent::NoRoom(again) => {
                    left.push(target);
                    at_ms = at_ms.min(again);
                    lacks_room = true;
                }
                Sent::Failed(again) => {
                    left.push(target);
                    at_ms = at_ms.min(again);
                    has_failed = true;
                }
            }
        }
        if !left.is_empty() && !has_failed && taken == 0 && refused == 0 {
            // Nothing has changed: it waits in memory, and its row says what it said.
            return Ok(Some(at_ms));
        }
        let (outcome, again) = match (left.is_empty(), taken, refused) {
            (false, ..) => {
                // Who lacks room is told of it, and its row must not hold it back then.
                let not_before_ms = if lacks_room && !has_failed { 0 } else { at_ms };
                (Outcome::Retry { at_ms: not_before_ms, targets: left, has_failed }, Some(at_ms))
            }
            (true, 0, 1..) => {
                count(&self.figures.parked);
                (Outcome::Park, None)
            }
            _ => (Outcome::Done, None),
        };
        self.homes.ended(id, job.seq, job.count, outcome).await?;
        Ok(again)
    }

    async fn tell(
        &self,
        id: JobId,
        (job, facts, around): (&JobRow, &PushFacts, &Around),
        (target, row): (Target, &SubscriptionRow),
    ) -> Sent {
        let now = self.now_ms();
        if let Some(until) = quiet::until_ms(row.quiet, &row.zone, now) {
            return Sent::Early(until);
        }
        let payload = notice::payload(id, (job, facts, around), (row.preview, row.language));
        let (name, expires_ms) = (name_of(id, target, job.seq), expiry_ms(job.time_ms));
        let notice =
            Notice { name: &name, payload: &payload, is_urgent: job.is_mentioned, now_ms: now, expires_ms };
        let answer = self.senders.send((target.1, row), Some(id), &notice, || self.now_ms()).await;
        let (user, device, provider) = (id.0, target.0, target.1.word());
        let ends = self.figures.of(target.1);
        match answer {
            Ok(Answer::Taken) => {
                count(&ends.sent);
                Sent::Done
            }
            Ok(Answer::Gone) => {
                count(&ends.gone);
                tracing::info!(%user, %device, provider, "a subscription for push is no more");
                Sent::Gone
            }
            Ok(Answer::Refused(why)) => {
                count(&ends.refused);
                tracing::warn!(%user, %device, provider, why, "a push was refused");
                Sent::Refused
            }
            Ok(Answer::Later { after, why, .. }) => {
                count(&ends.failed);
                tracing::debug!(%user, %device, provider, why, "a push failed and is tried again");
                Sent::Failed(self.now_ms().saturating_add(wait_ms(job.attempts, after)))
            }
            Err(again) => Sent::NoRoom(again),
        }
    }

    /// Calls a subscription with a test, past every setting of the user.
    pub async fn test(&self, user: UserId, provider: Provider, row: &SubscriptionRow) -> Answer {
        let now_ms = self.now_ms();
        let payload = notice::test_payload(user, row.language);
        let name = name_of((user, ChannelId(0)), (DeviceId(0), provider), Seq(now_ms));
        let expires_ms = expiry_ms(now_ms);
        let notice = Notice { name: &name, payload: &payload, is_urgent: true, now_ms, expires_ms };
        let sent = self.senders.send((provider, row), None, &notice, || self.now_ms()).await;
        sent.unwrap_or_else(|_| Answer::Later {
            after: None,
            why: "the host is not called for a while".into(),
            is_of_host: false,
        })
    }
}

/// See [`Notice::name`].
fn name_of((user, channel): JobId, (device, provider): Target, seq: Seq) -> String {
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

/// A job of a message of then is carried out no more, and shown no more.
fn expiry_ms(time_ms: u64) -> u64 {
    time_ms.saturating_add(whole_ms(TTL))
}

/// How long a job waits that has failed so often before: it doubles, and is no shorter than what the provider said.
fn wait_ms(attempts: u16, after: Option<Duration>) -> u64 {
    let (first, most) = (whole_ms(RETRY_FIRST), whole_ms(RETRY_MAX));
    let wait = first.saturating_mul(1 << attempts.min(20)).min(most);
    // Between a half and all of it, or up to an eighth more, so that those who failed together do not come back together.
    let random = getrandom::u64().unwrap_or(0);
    let said = after.map_or(0, whole_ms);
    (wait / 2 + random % (wait / 2 + 1)).max(said + random % (said / 8 + 1))
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn system_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, whole_ms)
}
