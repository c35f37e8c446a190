//! Carries out the jobs of this node's bays. The jobs are rows, and their homes alone change them: this only reads them,
//! calls, and says what became of each. So it may end at any moment; what it had not said is read and done again.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use carry::{Again, Carry, Desk, End, Ended, HOME_AGAIN_MS, Kept, Step, TTL_MS, WAITING_MAX, backoff_ms};
use protocol::commit::{JobRow, Provider, SubscriptionRow, Target};
use protocol::query::PushFacts;
use protocol::{BayId, ChannelId, DeviceId, Seq, UserId};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::call::Answer;
use crate::diary::{Diary, Entry, What};
use crate::figures::{Figures, count};
use crate::limits::{AT_A_TIME, JOBS_PAGE, TOLD_MAX};
use crate::notice::{self, Around, Notice};
use crate::quiet;
use crate::senders::Senders;

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
    diary: Arc<Diary>,
    clock: Clock,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").field("figures", &self.figures).finish_non_exhaustive()
    }
}

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
    /// One that tells through these.
    #[must_use]
    pub fn new(homes: Arc<dyn Homes>, senders: Senders) -> Self {
        let diary = Arc::new(Diary::new(system_ms()));
        Self { homes, senders: Arc::new(senders), figures: Arc::default(), diary, clock: Arc::new(system_ms) }
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

    /// What happened last.
    #[must_use]
    pub fn diary(&self) -> &Diary {
        &self.diary
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
        let mut freed: BTreeMap<JobId, Vec<_>> = BTreeMap::new();
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
                freed.entry(job).or_default().push((provider, origin));
            }
            while under_way.len() < AT_A_TIME
                && let Some((job, kept)) = desk.take(self.now_ms())
            {
                let outbox = self.clone();
                under_way.spawn(async move { (job, outbox.carry_out(job, kept).await) });
            }
            self.figures.waiting.store(desk.waiting() as u64, Ordering::Relaxed);
            let wait = wait(&desk, self.now_ms(), under_way.len() >= AT_A_TIME);
            tokio::select! {
                told = told.told.recv() => match told {
                    Some(job) => desk.set(job, self.now_ms()),
                    None => return,
                },
                Some(ended) = under_way.join_next(), if !under_way.is_empty() => match ended {
                    Ok((job, again)) => {
                        desk.ended(job, again, self.now_ms());
                        for (provider, origin) in freed.remove(&job).unwrap_or_default() {
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

    async fn carry_out(&self, id: JobId, mut kept: Box<Kept>) -> Again {
        match self.go_on(id, &mut kept).await {
            Ok(Some(at_ms)) => Again::At(at_ms),
            Ok(None) => Again::Told,
            Err(fault) => {
                tracing::debug!(user = %id.0, fault, "a job of push waits for its home");
                Again::With(self.now_ms() + HOME_AGAIN_MS, kept)
            }
        }
    }

    /// Says when to look at it again; `None`: when it is told of again. An error is one of home or store: what is kept goes on
    /// where it was.
    async fn go_on(&self, id: JobId, kept: &mut Kept) -> Result<Option<u64>, String> {
        loop {
            if let Some(Ended { seq, count, outcome, again_ms, .. }) = &kept.ended {
                self.homes.ended(id, *seq, *count, outcome.clone()).await?;
                return Ok(*again_ms);
            }
            let facts = self.homes.facts(id).await?;
            let (targets, step) = self.look(id, &mut kept.carry, &facts);
            if !targets.is_empty() {
                self.tell_all(id, &mut kept.carry, &facts, &targets).await;
                continue;
            }
            match step {
                Step::End(ended) => {
                    self.count_end(id, &ended);
                    kept.ended = Some(ended);
                }
                Step::Wait(at_ms) => return Ok(Some(at_ms)),
                Step::Rest | Step::Call(_) => return Ok(None),
            }
        }
    }

    /// Whom to call by these facts, and what to do when that is nobody.
    fn look(&self, id: JobId, carry: &mut Carry, facts: &PushFacts) -> (Vec<Target>, Step) {
        let now = self.now_ms();
        let quiet = |row: &SubscriptionRow| quiet::until_ms(row.quiet, &row.zone, now);
        let mut targets = Vec::new();
        loop {
            let note = |target, until_ms| self.note(id, facts, target, What::Quiet { until_ms });
            match carry.next(id.1, facts, now, quiet, note) {
                Step::Call(target) => targets.push(target),
                step => return (targets, step),
            }
        }
    }

    /// Calls all at once, for a subscription that takes its time must not hold back the others of its user; and right after the store
    /// was read, for nobody is told of what was read before.
    async fn tell_all(&self, id: JobId, carry: &mut Carry, facts: &PushFacts, targets: &[Target]) {
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
                Sent::Taken => carry.taken(),
                Sent::Gone => carry.gone(),
                Sent::Refused => carry.refused(),
                Sent::Failed(again_ms) => carry.failed(target, again_ms),
                Sent::NoRoom(again_ms) => carry.crowded(target, again_ms),
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
        let notice =
            Notice { name: &name, payload: &payload, is_urgent: job.is_mentioned, now_ms, expires_ms };
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
    fn note(&self, (user, channel): JobId, facts: &PushFacts, target: Target, what: What) {
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

fn row_of(facts: &PushFacts, (device, provider): Target) -> Option<&SubscriptionRow> {
    let found = facts.subscriptions.iter().find(|(of, by, _)| (*of, *by) == (device, provider));
    found.map(|(_, _, row)| row)
}

/// A job of a message of then is carried out no more, and shown no more.
fn expiry_ms(time_ms: u64) -> u64 {
    time_ms.saturating_add(TTL_MS)
}

/// How long a job waits that has failed so often before: no shorter than what the provider said, and up to an eighth more than that,
/// so that those who failed together do not come back together.
fn wait_ms(attempts: u16, after: Option<Duration>) -> u64 {
    let random = getrandom::u64().unwrap_or(0);
    let said = after.map_or(0, whole_ms);
    backoff_ms(attempts, random).max(said + random % (said / 8 + 1))
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn system_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, whole_ms)
}

/// How long to sleep for the next job, if nothing is told before.
fn wait(desk: &Desk, now_ms: u64, is_full: bool) -> Duration {
    let next = desk.next_ms().filter(|_| !is_full);
    let wait = next.map_or(u64::MAX, |at_ms| at_ms.saturating_sub(now_ms));
    Duration::from_millis(wait.clamp(1, 1000))
}
