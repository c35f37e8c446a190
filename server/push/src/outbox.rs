//! Carries out the jobs of this node's bays. The jobs are rows, and their homes alone change them: this only reads them,
//! calls, and says what became of each. So it may end at any moment; what it had not said is read and done again.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::commit::{JobRow, Notify, Provider, SubscriptionRow, Target};
use protocol::query::PushFacts;
use protocol::{BayId, ChannelId, DeviceId, Kind, Seq, UserId};
use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::address::{Allowed, Endpoint};
use crate::call::{self, Answer};
use crate::hosts::Hosts;
use crate::limits::{AT_A_TIME, JOBS_PAGE, RETRY_FIRST, RETRY_MAX, TOLD_MAX, TTL, WAITING_MAX};
use crate::notice::{self, Around};
use crate::vapid::Vapid;
use crate::{quiet, webhook, webpush};

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

/// Figures for the operator.
#[derive(Debug, Default)]
pub struct Figures {
    /// Pushes that a provider has taken.
    pub sent: AtomicU64,
    /// Calls that failed and are tried again.
    pub failed: AtomicU64,
    /// Pushes that a provider refused for good.
    pub refused: AtomicU64,
    /// Subscriptions that a provider said are no more.
    pub gone: AtomicU64,
    /// Jobs that ended unsent because their message had been read.
    pub read: AtomicU64,
    /// The same because their message was recalled.
    pub recalled: AtomicU64,
    /// The same because the user does not want to be told.
    pub unwanted: AtomicU64,
    /// The same because they were too old.
    pub expired: AtomicU64,
    /// Jobs that were parked.
    pub parked: AtomicU64,
    /// Jobs that wait in memory now.
    pub waiting: AtomicU64,
}

/// Whether what a job tells of is gone.
fn is_recalled(facts: &PushFacts) -> bool {
    facts.message.as_ref().is_some_and(|frame| frame.kind() == Kind::RECALLED)
}

fn count(figure: &AtomicU64) {
    figure.fetch_add(1, Ordering::Relaxed);
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

/// Carries jobs out.
#[derive(Clone)]
pub struct Outbox {
    homes: Arc<dyn Homes>,
    vapid: Arc<Vapid>,
    tls: Arc<ClientConfig>,
    allowed: Arc<Allowed>,
    hosts: Arc<Hosts>,
    figures: Arc<Figures>,
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
    Early(u64),
    Failed(u64),
}

impl Outbox {
    /// One that calls with these keys, and believes the certificates that `tls` believes.
    #[must_use]
    pub fn new(homes: Arc<dyn Homes>, vapid: Arc<Vapid>, tls: Arc<ClientConfig>, allowed: Allowed) -> Self {
        let (hosts, figures) = (Arc::default(), Arc::default());
        Self { homes, vapid, tls, allowed: Arc::new(allowed), hosts, figures }
    }

    /// Figures for the operator.
    #[must_use]
    pub fn figures(&self) -> &Arc<Figures> {
        &self.figures
    }

    /// Hosts that are not called for a while.
    #[must_use]
    pub fn resting(&self) -> usize {
        self.hosts.resting(now_ms())
    }

    /// The key by which services know this server.
    #[must_use]
    pub fn vapid(&self) -> &Vapid {
        &self.vapid
    }

    /// Which private hosts may be called.
    #[must_use]
    pub fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    /// Works for ever: reads the jobs of all bays, and then does what it is told of.
    pub async fn run(self, mut told: Told) {
        let mut desk = Desk::default();
        let mut missed = u64::MAX;
        let mut under_way = JoinSet::new();
        loop {
            let now_missed = told.missed.load(Ordering::Relaxed);
            if missed != now_missed || (desk.has_dropped && desk.by_time.len() < WAITING_MAX / 2) {
                desk.has_dropped = false;
                // What is told meanwhile is looked at behind it.
                if self.read_bays(&mut desk).await {
                    missed = now_missed;
                }
            }
            while under_way.len() < AT_A_TIME
                && let Some(job) = desk.next(now_ms())
            {
                let outbox = self.clone();
                under_way.spawn(async move { (job, outbox.carry_out(job).await) });
            }
            self.figures.waiting.store(desk.by_time.len() as u64, Ordering::Relaxed);
            let wait = desk.wait(now_ms(), under_way.len() >= AT_A_TIME);
            tokio::select! {
                told = told.told.recv() => match told {
                    Some(job) => desk.set(job, now_ms()),
                    None => return,
                },
                Some(ended) = under_way.join_next(), if !under_way.is_empty() => match ended {
                    Ok((job, again)) => desk.ended(job, again),
                    // It panicked: its job is a row still, and is found when the bays are read.
                    Err(_) => missed = u64::MAX,
                },
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
                Some(now_ms() + 5000)
            }
        }
    }

    async fn try_out(&self, id: JobId) -> Result<Option<u64>, String> {
        let facts = self.homes.facts(id).await?;
        let now = now_ms();
        let Some(job) = facts.job.as_ref().filter(|job| !job.is_parked) else { return Ok(None) };
        if job.retry_at_ms > now {
            return Ok(Some(job.retry_at_ms));
        }
        let is_wanted = facts.prefs.muted_until_ms <= now
            && match facts.prefs.notify {
                Notify::All => true,
                Notify::Mentions => job.is_mentioned,
                Notify::Nothing => false,
            };
        let ttl_ms = u64::try_from(TTL.as_millis()).unwrap_or(u64::MAX);
        let figures = &self.figures;
        let (figure, ends) = match () {
            () if facts.read >= job.seq => (&figures.read, true),
            () if job.count <= 1 && is_recalled(&facts) => (&figures.recalled, true),
            () if !is_wanted || facts.subscriptions.is_empty() => (&figures.unwanted, true),
            () if job.time_ms.saturating_add(ttl_ms) <= now => (&figures.expired, true),
            () => (&figures.sent, false),
        };
        if ends {
            count(figure);
            self.homes.ended(id, job.seq, job.count, Outcome::Done).await?;
            return Ok(None);
        }
        self.tell_all(id, job, &facts).await
    }

    async fn tell_all(&self, id: JobId, job: &JobRow, facts: &PushFacts) -> Result<Option<u64>, String> {
        let sender = facts.message.as_ref().and_then(|frame| frame.read_stamp()).map(|stamp| stamp.sender);
        let around = self.homes.around(id.0, sender.unwrap_or_default()).await?;
        let (mut left, mut at_ms, mut has_failed) = (Vec::new(), u64::MAX, false);
        let (mut taken, mut refused) = (0, 0);
        let is_meant = |target: &Target| job.targets.is_empty() || job.targets.contains(target);
        for (device, provider, row) in &facts.subscriptions {
            let target = (*device, *provider);
            if !is_meant(&target) {
                continue;
            }
            match self.tell(id, (job, facts, &around), (target, row)).await {
                Sent::Done => taken += 1,
                Sent::Gone => self.homes.gone(id.0, target, row.created_ms).await?,
                Sent::Refused => refused += 1,
                Sent::Early(again) => {
                    left.push(target);
                    at_ms = at_ms.min(again);
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
            (false, ..) => (Outcome::Retry { at_ms, targets: left, has_failed }, Some(at_ms)),
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
        let now = now_ms();
        if let Some(until) = quiet::until_ms(row.quiet, &row.zone, now) {
            return Sent::Early(until);
        }
        let payload = notice::payload(id, (job, facts, around), (row.preview, row.language)).to_string();
        let name = name_of(id, target, job.seq);
        let answer = self.send(target.1, row, (&name, &payload), job.is_mentioned).await;
        let (user, device) = (id.0, target.0);
        match answer {
            Ok(Answer::Taken) => {
                count(&self.figures.sent);
                Sent::Done
            }
            Ok(Answer::Gone) => {
                count(&self.figures.gone);
                tracing::info!(%user, %device, "a subscription for push is no more");
                Sent::Gone
            }
            Ok(Answer::Refused(why)) => {
                count(&self.figures.refused);
                tracing::warn!(%user, %device, why, "a push was refused");
                Sent::Refused
            }
            Ok(Answer::Later(after, why)) => {
                count(&self.figures.failed);
                tracing::debug!(%user, %device, why, "a push failed and is tried again");
                Sent::Failed(now_ms() + after.map_or_else(|| backoff_ms(job.attempts), whole_ms))
            }
            Err(again) => Sent::Early(again),
        }
    }

    /// Calls a subscription; the error is when its host may be called again.
    async fn send(
        &self,
        provider: Provider,
        row: &SubscriptionRow,
        (name, payload): (&str, &str),
        is_urgent: bool,
    ) -> Result<Answer, u64> {
        let endpoint = match Endpoint::parse(&row.endpoint, &self.allowed) {
            Ok(endpoint) => endpoint,
            // The operator allows less than when it was made.
            Err(fault) => return Ok(Answer::Refused(fault)),
        };
        let now = now_ms();
        let place = self.hosts.take(&endpoint.origin, now)?;
        let call = match provider {
            Provider::WebPush => {
                let topic = name.get(..32).unwrap_or(name);
                let signed = (&*self.vapid, now);
                webpush::call(row, &endpoint.origin, payload.as_bytes(), (topic, is_urgent), signed)
            }
            Provider::Webhook => Ok(webhook::call(row, name, payload.as_bytes(), now)),
        };
        let answer = match call {
            Ok(call) => call::post(&endpoint, call, &self.tls).await,
            Err(fault) => Answer::Refused(fault),
        };
        place.ended(matches!(answer, Answer::Later(..)), now_ms());
        Ok(answer)
    }

    /// Calls a subscription with a test, past every setting of the user.
    pub async fn test(&self, user: UserId, provider: Provider, row: &SubscriptionRow) -> Answer {
        let payload = notice::test_payload(user, row.language).to_string();
        let name = name_of((user, ChannelId(0)), (DeviceId(0), provider), Seq(now_ms()));
        let sent = self.send(provider, row, (&name, &payload), true).await;
        sent.unwrap_or_else(|_| Answer::Later(None, "the host is not called for a while".into()))
    }
}

/// A name of a push: its first 32 characters are the same for all of a channel, so that a newer one replaces an older one
/// that was not shown yet; all of it is the same for every attempt.
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

fn backoff_ms(attempts: u16) -> u64 {
    let (first, most) = (whole_ms(RETRY_FIRST), whole_ms(RETRY_MAX));
    let wait = first.saturating_mul(1 << attempts.min(20)).min(most);
    // Between a half and all of it, so that those who failed together do not come back together.
    let random = getrandom::u64().unwrap_or(0);
    wait / 2 + random % (wait / 2 + 1)
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, whole_ms)
}

/// What waits for its time, and what is under way.
#[derive(Debug, Default)]
struct Desk {
    by_time: BTreeSet<(u64, JobId)>,
    times: BTreeMap<JobId, u64>,
    /// Under way; true when it was told of meanwhile.
    under_way: BTreeMap<JobId, bool>,
    /// Something had no room: it is read again later.
    has_dropped: bool,
}

impl Desk {
    /// A job is to be looked at then; sooner if it is known for sooner.
    fn set(&mut self, job: JobId, at_ms: u64) {
        if let Some(again) = self.under_way.get_mut(&job) {
            *again = true;
            return;
        }
        if self.times.len() >= WAITING_MAX && !self.times.contains_key(&job) {
            self.has_dropped = true;
            return;
        }
        let known = self.times.get(&job).copied().unwrap_or(u64::MAX);
        if at_ms < known {
            self.by_time.remove(&(known, job));
            self.by_time.insert((at_ms, job));
            self.times.insert(job, at_ms);
        }
    }

    fn next(&mut self, now_ms: u64) -> Option<JobId> {
        let (_, job) = self.by_time.first().copied().filter(|(at, _)| *at <= now_ms)?;
        self.by_time.pop_first();
        self.times.remove(&job);
        self.under_way.insert(job, false);
        Some(job)
    }

    fn ended(&mut self, job: JobId, again: Option<u64>) {
        let was_told = self.under_way.remove(&job).unwrap_or(false);
        if was_told {
            // It may be another job now, or the same that waits: its row says.
            self.set(job, now_ms());
        } else if let Some(at_ms) = again {
            self.set(job, at_ms);
        }
    }

    fn wait(&self, now_ms: u64, is_full: bool) -> Duration {
        let next = self.by_time.first().filter(|_| !is_full);
        let wait = next.map_or(u64::MAX, |(at, _)| at.saturating_sub(now_ms));
        Duration::from_millis(wait.clamp(1, 1000))
    }
}
