//! Carries out the jobs of this node's bays. The jobs are rows, and their homes alone change them: this only reads them,
//! calls, and says what became of each. So it may end at any moment; what it had not said is read and done again.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use carry::{Again, Carry, Desk, End, Ended, HOME_AGAIN_MS, Kept, Step, backoff_ms};
use protocol::commit::{JobRow, Provider, SubscriptionRow, Target};
use protocol::query::PushFacts;
use protocol::{BayId, ChannelId, DeviceId, Seq, UserId};
use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::address::{Allowed, Endpoint};
use crate::call::{self, Answer};
use crate::diary::{Diary, Entry, What, host_of};
use crate::hosts::Hosts;
use crate::limits::{AT_A_TIME, JOBS_PAGE, TOLD_MAX, WAITING_MAX};
use crate::notice::{self, Around};
use crate::vapid::Vapid;
use crate::{quiet, webhook, webpush};

pub use carry::{JobId, Outcome};

/// An answer that is on its way.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// Jobs, and whether more follow.
pub type JobsPage = (Vec<(UserId, ChannelId, JobRow)>, bool);

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
    diary: Arc<Diary>,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").field("figures", &self.figures).finish_non_exhaustive()
    }
}

impl Outbox {
    /// One that calls with these keys, and believes the certificates that `tls` believes.
    #[must_use]
    pub fn new(homes: Arc<dyn Homes>, vapid: Arc<Vapid>, tls: Arc<ClientConfig>, allowed: Allowed) -> Self {
        let (hosts, figures, diary) = (Arc::default(), Arc::default(), Arc::new(Diary::new(now_ms())));
        Self { homes, vapid, tls, allowed: Arc::new(allowed), hosts, figures, diary }
    }

    /// Figures for the operator.
    #[must_use]
    pub fn figures(&self) -> &Arc<Figures> {
        &self.figures
    }

    /// What happened last.
    #[must_use]
    pub fn diary(&self) -> &Diary {
        &self.diary
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
            if missed != now_missed || (desk.has_dropped && desk.waiting() < WAITING_MAX / 2) {
                desk.has_dropped = false;
                // What is told meanwhile is looked at behind it.
                if self.read_bays(&mut desk).await {
                    missed = now_missed;
                }
            }
            while under_way.len() < AT_A_TIME
                && let Some((job, kept)) = desk.take(now_ms())
            {
                let outbox = self.clone();
                under_way.spawn(async move { (job, outbox.carry_out(job, kept).await) });
            }
            self.figures.waiting.store(desk.waiting() as u64, Ordering::Relaxed);
            let wait = wait(&desk, now_ms(), under_way.len() >= AT_A_TIME);
            tokio::select! {
                told = told.told.recv() => match told {
                    Some(job) => desk.set(job, now_ms()),
                    None => return,
                },
                Some(ended) = under_way.join_next(), if !under_way.is_empty() => match ended {
                    Ok((job, again)) => desk.ended(job, again, now_ms()),
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

    async fn carry_out(&self, id: JobId, mut kept: Box<Kept>) -> Again {
        match self.go_on(id, &mut kept).await {
            Ok(Some(at_ms)) => Again::At(at_ms),
            Ok(None) => Again::Told,
            Err(fault) => {
                tracing::debug!(user = %id.0, fault, "a job of push waits for its home");
                Again::With(now_ms() + HOME_AGAIN_MS, kept)
            }
        }
    }

    /// Says when to look at it again; `None`: when it is told of again. An error is one of home or store: what is kept goes on
    /// where it was.
    async fn go_on(&self, id: JobId, kept: &mut Kept) -> Result<Option<u64>, String> {
        let mut around = None;
        loop {
            if let Some(Ended { seq, count, outcome, again_ms, .. }) = &kept.ended {
                self.homes.ended(id, *seq, *count, outcome.clone()).await?;
                return Ok(*again_ms);
            }
            let facts = self.homes.facts(id).await?;
            let now = now_ms();
            let quiet = |row: &SubscriptionRow| quiet::until_ms(row.quiet, &row.zone, now);
            let mut paused = Vec::new();
            let step =
                kept.carry.next(id.1, &facts, now, quiet, |target, until| paused.push((target, until)));
            for (target, until_ms) in paused {
                self.note(id, &facts, target, What::Quiet { until_ms });
            }
            match step {
                Step::Rest => return Ok(None),
                Step::Wait(at_ms) => return Ok(Some(at_ms)),
                Step::End(ended) => {
                    self.count_end(id, &ended);
                    kept.ended = Some(ended);
                }
                Step::Call(target) => {
                    if around.is_none() {
                        let stamp = facts.message.as_ref().and_then(|frame| frame.read_stamp());
                        let sender = stamp.map(|stamp| stamp.sender).unwrap_or_default();
                        around = Some(self.homes.around(id.0, sender).await);
                    }
                    match &around {
                        Some(Ok(around)) => self.tell(id, &mut kept.carry, (&facts, around), target).await,
                        Some(Err(fault)) => {
                            tracing::debug!(user = %id.0, fault, "what stands around a push cannot be read");
                            kept.carry.early(target, now + HOME_AGAIN_MS);
                        }
                        None => {}
                    }
                }
            }
        }
    }

    fn count_end(&self, (user, channel): JobId, ended: &Ended) {
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
            at_ms: now_ms(),
            user,
            channel,
            seq: ended.seq,
            count: ended.count,
            target: None,
            host: String::new(),
            what: What::Ended(ended.why),
        });
    }

    /// Calls one subscription, and tells the round what came of it.
    async fn tell(
        &self,
        id: JobId,
        carry: &mut Carry,
        (facts, around): (&PushFacts, &Around),
        target: Target,
    ) {
        let (Some(row), Some(job)) = (row_of(facts, target), &facts.job) else { return };
        let payload = notice::payload(id, (job, facts, around), (row.preview, row.language)).to_string();
        let name = name_of(id, target, job.seq);
        let answer = self.send(target.1, row, (&name, &payload), job.is_mentioned).await;
        let (user, device) = (id.0, target.0);
        let what = match answer {
            Ok(Answer::Taken) => {
                count(&self.figures.sent);
                carry.taken();
                What::Taken
            }
            Ok(Answer::Gone) => {
                count(&self.figures.gone);
                tracing::info!(%user, %device, "a subscription for push is no more");
                match self.homes.gone(user, target, row.created_ms).await {
                    Ok(()) => carry.gone(),
                    // It is called again, and says the same.
                    Err(_) => carry.failed(target, now_ms() + HOME_AGAIN_MS),
                }
                What::Gone
            }
            Ok(Answer::Refused(why)) => {
                count(&self.figures.refused);
                tracing::warn!(%user, %device, why, "a push was refused");
                carry.refused();
                What::Refused(why)
            }
            Ok(Answer::Later(after, why)) => {
                count(&self.figures.failed);
                tracing::debug!(%user, %device, why, "a push failed and is tried again");
                let random = getrandom::u64().unwrap_or(0);
                let wait_ms = after.map_or_else(|| backoff_ms(carry.attempts(), random), whole_ms);
                let again_ms = now_ms() + wait_ms;
                carry.failed(target, again_ms);
                What::Failed { why, again_ms }
            }
            Err(again_ms) => {
                carry.early(target, again_ms);
                What::Resting { until_ms: again_ms }
            }
        };
        self.note(id, facts, target, what);
    }

    /// Writes down what happened to a job at one subscription.
    fn note(&self, (user, channel): JobId, facts: &PushFacts, target: Target, what: What) {
        let (Some(row), Some(job)) = (row_of(facts, target), &facts.job) else { return };
        let (seq, count, host) = (job.seq, job.count, host_of(&row.endpoint));
        let at_ms = now_ms();
        self.diary.note(Entry { at_ms, user, channel, seq, count, target: Some(target), host, what });
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

fn row_of(facts: &PushFacts, (device, provider): Target) -> Option<&SubscriptionRow> {
    let found = facts.subscriptions.iter().find(|(of, by, _)| (*of, *by) == (device, provider));
    found.map(|(_, _, row)| row)
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, whole_ms)
}

/// How long to sleep for the next job, if nothing is told before.
fn wait(desk: &Desk, now_ms: u64, is_full: bool) -> Duration {
    let next = desk.next_ms().filter(|_| !is_full);
    let wait = next.map_or(u64::MAX, |at_ms| at_ms.saturating_sub(now_ms));
    Duration::from_millis(wait.clamp(1, 1000))
}
