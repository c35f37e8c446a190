//! Carries out the jobs of this node's bays. The jobs are rows, and their homes alone change them: this only reads them,
//! calls, and says what became of each. So it may end at any moment; what it had not said is read and done again.

mod tell;
mod withdraw;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use carry::{Again, Carry, Desk, Ended, HOME_AGAIN_MS, Kept, Step, WAITING_MAX};
use protocol::commit::{JobRow, Provider, SubscriptionRow, Target};
use protocol::query::PushFacts;
use protocol::{BayId, ChannelId, Seq, UserId};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::diary::{Diary, What};
use crate::figures::{Figures, count};
use crate::limits::{AT_A_TIME, JOBS_PAGE, TOLD_MAX};
use crate::notice::Around;
use crate::outbox::tell::whole_ms;
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
    /// What became of a job as far as a message, with how many, durably; `taken`: these show it now, and could show it no more.
    fn ended(&self, job: JobId, told: (Seq, u32), outcome: Outcome, taken: Vec<Target>) -> Pending<'_, ()>;
    /// What is to be withdrawn in a bay, and whether more follow.
    fn withdrawals(&self, bay: BayId, after: Option<JobId>, limit: u32) -> Pending<'_, (Vec<JobId>, bool)>;
    /// What was shown as far as `seq` is withdrawn, durably.
    fn withdrawn(&self, job: JobId, seq: Seq) -> Pending<'_, ()>;
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
    /// Whether devices are told that what they show is read.
    withdraws: bool,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").field("figures", &self.figures).finish_non_exhaustive()
    }
}

impl Outbox {
    /// One that tells through these.
    #[must_use]
    pub fn new(homes: Arc<dyn Homes>, senders: Senders) -> Self {
        let diary = Arc::new(Diary::new(system_ms()));
        let (senders, clock) = (Arc::new(senders), Arc::new(system_ms));
        Self { homes, senders, figures: Arc::default(), diary, clock, withdraws: true }
    }

    /// The same, which tells no device that what it shows is read.
    #[must_use]
    pub fn without_withdrawals(self) -> Self {
        Self { withdraws: false, ..self }
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
            let read = async {
                self.read_jobs(desk, bay).await?;
                self.read_withdrawals(desk, bay).await
            };
            if let Err(fault) = read.await {
                tracing::warn!(%bay, fault, "jobs of push cannot be read; they are read again");
                tokio::time::sleep(Duration::from_secs(1)).await;
                return false;
            }
        }
        true
    }

    async fn read_jobs(&self, desk: &mut Desk, bay: BayId) -> Result<(), String> {
        let mut after = None;
        loop {
            let (items, more) = self.homes.jobs(bay, after, JOBS_PAGE).await?;
            for (user, channel, job) in &items {
                if !job.is_parked {
                    desk.set((*user, *channel), job.retry_at_ms);
                }
            }
            after = items.last().map(|(user, channel, _)| (*user, *channel));
            if !more || desk.has_dropped {
                return Ok(());
            }
        }
    }

    async fn read_withdrawals(&self, desk: &mut Desk, bay: BayId) -> Result<(), String> {
        let mut after = None;
        loop {
            let (items, more) = self.homes.withdrawals(bay, after, JOBS_PAGE).await?;
            for id in &items {
                desk.set(*id, self.now_ms());
            }
            after = items.last().copied();
            if !more || desk.has_dropped {
                return Ok(());
            }
        }
    }

    async fn carry_out(&self, id: JobId, mut kept: Box<Kept>) -> Again {
        match self.go_on(id, &mut kept).await {
            Ok(Some(at_ms)) if kept.withdraw.is_under_way() => Again::With(at_ms, kept),
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
        let (job_ms, shown) = self.carry(id, kept).await?;
        // A job that is due goes first.
        let is_due = job_ms.is_some_and(|at_ms| at_ms <= self.now_ms());
        let withdraw_ms = match shown.filter(|_| !is_due) {
            Some(seen) => self.withdraw(id, seen, &mut kept.withdraw).await?,
            None => None,
        };
        Ok([job_ms, withdraw_ms].into_iter().flatten().min())
    }

    /// Carries out the job, if there is one, and says when it is looked at again; and, where something is to be withdrawn, which job was
    /// seen beside that.
    async fn carry(&self, id: JobId, kept: &mut Kept) -> Result<(Option<u64>, Option<Option<Seq>>), String> {
        // An outcome that was kept says nothing of what is to be withdrawn.
        let mut seen = Some(None);
        loop {
            if let Some(Ended { seq, count, outcome, again_ms, taken, .. }) = &kept.ended {
                let taken = if self.withdraws { taken.clone() } else { Vec::new() };
                self.homes.ended(id, (*seq, *count), outcome.clone(), taken).await?;
                let again_ms = *again_ms;
                (kept.carry, kept.ended) = (Carry::default(), None);
                return Ok((again_ms, seen));
            }
            let facts = self.homes.facts(id).await?;
            seen = facts.shown.as_ref().map(|_| facts.job.as_ref().map(|job| job.seq));
            let (targets, step) = self.look(id, &mut kept.carry, &facts);
            if !targets.is_empty() {
                self.tell_all(id, &mut kept.carry, &facts, &targets).await;
                continue;
            }
            let job_ms = match step {
                Step::End(ended) => {
                    self.count_end(id, &ended);
                    kept.ended = Some(ended);
                    continue;
                }
                Step::Wait(at_ms) => Some(at_ms),
                Step::Rest | Step::Call(_) => None,
            };
            kept.carry = Carry::default();
            return Ok((job_ms, seen));
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
