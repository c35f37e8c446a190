//! The data plane as the control plane sees it.

mod erasing;
mod keeping;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use api::{
    BackupRefused, BackupReport, Export, ExportOf, ExportRefusal, Family, FamilyRefusal, HomeError,
    KeepRefusal, Kept, LiveSession, LiveUser, ParkedJob, Pending, PollAnswer, PollRefusal, PollRequest,
    PushRefusal, Route, SearchPage, SearchRefusal, SearchReport, StoredChannel, Subscribe, Subscriptions,
    TestAnswer, Trace, Transport, Visit,
};
use bytes::Bytes;
use protocol::commit::{AccountRow, Policy, Provider, Quota, Relation, RetentionRow};
use protocol::hello::Hello;
use protocol::limits::{GROUP_MEMBERS_MAX, PAGE_BYTES_MAX};
use protocol::query::{Answer, Cut, JoinedItem, PageBounds, Query};
use protocol::token::{Claims, Key};
use protocol::{ChannelId, Cursor, DeviceId, Frame, Placement, Seq, ShardId, UserId};
use push::outbox::Outbox;
use shard::limits::GUEST_MS;
use shard::{Command, CommandError, ConnId, GuestId, Keeping, Left, SessionReport, UserReport};
use storage::{FamilyError, OwnFamily, Store, Tier};
use tokio::sync::{Semaphore, oneshot};

pub(crate) use erasing::Erased;

use crate::backup::running::Backups;
use crate::boot::{Event, QuicFace};
use crate::driver::is_quic;
use crate::export::running::Exports;
use crate::families::Mover;
use crate::latency::Latency;
use crate::mesh::{Outlet, Outlets, Post, Visitor};
use crate::metrics::Metrics;
use crate::polls::{self, NotPolled, Polling, is_poll};
use crate::search::answers;

/// A command that is not answered within so long is given up; it may have been carried out, and is repeatable.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The home answers a guest in time, in words. This is for one that does nothing.
const VISIT_TIMEOUT: Duration = Duration::from_millis(GUEST_MS + 5000);

/// Asks homes through their mailboxes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DataPlane {
    placement: Placement,
    outlets: Outlets,
    ready: Arc<AtomicBool>,
    guests: Arc<AtomicU64>,
    /// The newest session by polls.
    polls: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
    quic: Option<Arc<QuicFace>>,
    data: Arc<Store>,
    mover: Mover,
    events: Sender<Event>,
    backups: Option<Arc<Backups>>,
    exports: Option<Exports>,
    push: Option<Outbox>,
    erasures: Option<Arc<crate::erasures::Meter>>,
    /// Places of those who search at a time.
    searching: Arc<Semaphore>,
}

impl DataPlane {
    /// Not ready yet. `events` is told when an operator wants an end.
    #[must_use]
    pub fn new(
        placement: Placement,
        outlets: Outlets,
        metrics: Metrics,
        quic: Option<QuicFace>,
        mover: Mover,
        events: Sender<Event>,
    ) -> Self {
        Self {
            placement,
            outlets,
            ready: Arc::default(),
            guests: Arc::default(),
            // A request of an earlier process must not fit into a session of this one.
            polls: Arc::new(AtomicU64::new(getrandom::u64().unwrap_or_else(|_| api::now_ms()) >> 12)),
            data: metrics.store.clone(),
            metrics: Arc::new(metrics),
            quic: quic.map(Arc::new),
            mover,
            events,
            backups: None,
            exports: None,
            push: None,
            erasures: None,
            searching: Arc::new(Semaphore::new(answers::AT_A_TIME)),
        }
    }

    /// The same, with backups of what is on disk.
    #[must_use]
    pub fn with_backups(self, backups: Backups) -> Self {
        Self { backups: Some(Arc::new(backups)), ..self }
    }

    /// The same, with exports.
    #[must_use]
    pub fn with_exports(self, exports: Exports) -> Self {
        Self { exports: Some(exports), ..self }
    }

    /// The same, with push.
    #[must_use]
    pub fn with_push(self, outbox: Outbox) -> Self {
        Self { push: Some(outbox), ..self }
    }

    /// The same, with figures of the erasures.
    #[must_use]
    pub(crate) fn with_erasures(self, meter: Arc<crate::erasures::Meter>) -> Self {
        Self { erasures: Some(meter), ..self }
    }

    pub(crate) fn outbox(&self) -> Option<&Outbox> {
        self.push.as_ref()
    }

    /// Changes where a channel's history stands. It waits for the disk, so it has a thread of its own.
    async fn change_families<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Store) -> Result<T, FamilyError> + Send + 'static,
    ) -> Result<(), FamilyRefusal> {
        if self.metrics.space.read().1 {
            return Err(FamilyRefusal::StorageFull);
        }
        let data = self.data.clone();
        let changed = tokio::task::spawn_blocking(move || change(&data)).await;
        self.mover.wake();
        match changed {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(FamilyError::Unknown(_))) => Err(FamilyRefusal::Unknown),
            Ok(Err(FamilyError::Has | FamilyError::HasNot | FamilyError::Returning)) => {
                Err(FamilyRefusal::Unchanged)
            }
            Ok(Err(FamilyError::AllTaken)) => Err(FamilyRefusal::AllTaken),
            // As after a commit that failed: the next one ends the process.
            Ok(Err(FamilyError::Store(error))) => Err(FamilyRefusal::Failed(error.to_string())),
            Err(error) => Err(FamilyRefusal::Failed(error.to_string())),
        }
    }

    /// The server's own times.
    pub(crate) fn latency(&self) -> &Latency {
        &self.metrics.latency
    }

    /// Says whether the node serves.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    async fn visit(&self, visit: Visit) -> Result<Vec<Frame>, HomeError> {
        let Visit { claims, frame } = visit;
        let home = self.outlets.to(self.placement.user_home(claims.user));
        let home = home.ok_or_else(|| not_now("no such shard"))?;
        let guest = GuestId(self.guests.fetch_add(1, Ordering::Relaxed));
        let (reply, answer) = oneshot::channel();
        let reply = Box::new(move |answer| {
            let _ = reply.send(answer);
        });
        let hello = Hello {
            user: claims.user,
            device: claims.device,
            cursor: Cursor::default(),
            id: frame.header().id,
            expires_ms: claims.expires_ms,
            issued_ms: claims.issued_ms,
        };
        let posted = home.try_post(Post::Guest(Box::new(Visitor { guest, hello, frame, reply })));
        posted.map_err(|_| not_now("the shard's mailbox is full"))?;
        let mut waits = Waits { home, guest, is_answered: false };
        let answer = tokio::time::timeout(VISIT_TIMEOUT, answer).await;
        waits.is_answered = answer.is_ok();
        match answer {
            Ok(Ok(Ok(frames))) => whole(frames),
            Ok(Ok(Err(code))) => Err(not_now(code.word())),
            Ok(Err(_)) => Err(not_now("the shard has ended")),
            Err(_) => Err(not_now("the shard did not answer in time")),
        }
    }

    async fn poll(&self, request: PollRequest) -> Result<PollAnswer, PollRefusal> {
        let PollRequest { claims, session, number, frames, wait } = request;
        let failed = |words: &str| PollRefusal::Failed(words.into());
        let home = self.outlets.to(self.placement.user_home(claims.user));
        let home = home.ok_or_else(|| failed("no such shard"))?;
        let session = session.unwrap_or_else(|| self.polls.fetch_add(1, Ordering::Relaxed));
        let conn = polls::conn_of(session);
        let (reply, mut answer) = oneshot::channel();
        let reply = Box::new(move |answer| drop(reply.send(answer)));
        let device = (claims.user, claims.device);
        let asks = Polling::Request { conn, device, number, frames, reply };
        home.try_post(Post::Poll(Box::new(asks))).map_err(|_| PollRefusal::Busy)?;
        let mut polled = Polled { home, conn, number, is_answered: false };
        let waited = tokio::time::timeout(wait, &mut answer).await;
        let told = match waited {
            Ok(told) => Ok(told),
            Err(_) => {
                let enough = Polling::Enough { conn, number };
                // If its mailbox is full, the device sends the request again.
                polled.home.try_post(Post::Poll(Box::new(enough))).map_err(|_| PollRefusal::Busy)?;
                tokio::time::timeout(ANSWER_TIMEOUT, answer).await
            }
        };
        polled.is_answered = told.is_ok();
        match told {
            Ok(Ok(Ok(answer))) => {
                let edge::poll::Answer { number, frames, close } = answer;
                Ok(PollAnswer { session, number, frames, close })
            }
            Ok(Ok(Err(NotPolled::Unknown))) => Err(PollRefusal::Unknown),
            Ok(Ok(Err(NotPolled::Number { expected }))) => Err(PollRefusal::Number { expected }),
            Ok(Ok(Err(NotPolled::Repeated))) => Err(PollRefusal::Repeated),
            Ok(Ok(Err(NotPolled::Busy))) => Err(PollRefusal::Busy),
            Ok(Err(_)) => Err(failed("the shard has ended")),
            Err(_) => Err(failed("the shard did not answer in time")),
        }
    }

    fn end_poll(&self, claims: &Claims, session: u64) -> Result<(), PollRefusal> {
        let home = self.outlets.to(self.placement.user_home(claims.user));
        let home = home.ok_or_else(|| PollRefusal::Failed("no such shard".into()))?;
        let end = Polling::End { conn: polls::conn_of(session), device: (claims.user, claims.device) };
        home.try_post(Post::Poll(Box::new(end))).map_err(|_| PollRefusal::Busy)
    }

    pub(crate) async fn ask(&self, command: Command) -> Result<(), HomeError> {
        self.ask_at(self.placement.user_home(command.user()), command).await
    }

    /// Asks a user's home, and then tells every shard to forget what the user said before. The order matters: a shard
    /// that asks the home again from then on is told the new.
    async fn rule(&self, command: Command) -> Result<(), HomeError> {
        let user = command.user();
        self.ask(command).await?;
        for shard in (0..self.placement.shards()).map(ShardId) {
            self.ask_at(shard, Command::Withdraw { user }).await?;
        }
        Ok(())
    }

    async fn ask_at(&self, shard: ShardId, command: Command) -> Result<(), HomeError> {
        let not_now = |words: &str| HomeError::NotNow(words.into());
        let home = self.outlets.to(shard);
        let home = home.ok_or_else(|| not_now("no such shard"))?;
        let (reply, answer) = oneshot::channel();
        let reply = Box::new(move |outcome| {
            let _ = reply.send(outcome);
        });
        let posted = home.try_post(Post::Control { command, reply });
        posted.map_err(|_| not_now("the shard's mailbox is full"))?;
        match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
            Ok(Ok(outcome)) => outcome.map_err(refusal),
            Ok(Err(_)) => Err(not_now("the shard has ended")),
            Err(_) => Err(not_now("the shard did not answer in time")),
        }
    }

    pub(crate) fn data(&self) -> &Arc<Store> {
        &self.data
    }

    pub(crate) fn placement(&self) -> Placement {
        self.placement
    }

    pub(crate) async fn look_at(&self, user: UserId) -> Result<LiveUser, HomeError> {
        let stored = match self.read(Query::User(user)).await? {
            Answer::User { account, .. } => account.map(|account| account.quota).unwrap_or_default(),
            other => return Err(not_now(&format!("the store answered {other:?}"))),
        };
        let home = self.placement.user_home(user);
        let outlet = self.outlets.to(home).ok_or_else(|| not_now("no such shard"))?;
        let (tells, told) = oneshot::channel();
        let tell = Box::new(move |report| drop(tells.send(report)));
        let posted = outlet.try_post(Post::LookAt { user, stored, tell });
        posted.map_err(|_| not_now("the shard's mailbox is full"))?;
        match tokio::time::timeout(ANSWER_TIMEOUT, told).await {
            Ok(Ok(report)) => Ok(live(home, &report)),
            Ok(Err(_)) => Err(not_now("the shard has ended")),
            Err(_) => Err(not_now("the shard did not answer in time")),
        }
    }

    /// Reads the store for an operator, on a thread of its own: no shard waits for that.
    pub(crate) fn read(
        &self,
        query: Query,
    ) -> impl Future<Output = Result<Answer, HomeError>> + Send + use<> {
        let data = self.data.clone();
        async move {
            let read = tokio::task::spawn_blocking(move || data.read(&query, Tier::Any)).await;
            match read {
                Ok(Ok(Some(answer))) => Ok(answer),
                Ok(Ok(None)) => Err(not_now("the store gave no answer")),
                Ok(Err(error)) => Err(not_now(&error.to_string())),
                Err(error) => Err(not_now(&error.to_string())),
            }
        }
    }

    /// Repeatable: a shard that has taken them takes them again.
    async fn give_keys(&self, keys: Arc<[Key]>) -> Result<(), HomeError> {
        let not_now = |words: &str| HomeError::NotNow(words.into());
        let mut answers = Vec::with_capacity(self.outlets.shards());
        for outlet in self.outlets.all() {
            let (tells, told) = oneshot::channel();
            let taken = Box::new(move || {
                let _ = tells.send(());
            });
            let posted = outlet.try_post(Post::Keys { keys: keys.clone(), taken });
            posted.map_err(|_| not_now("a shard's mailbox is full"))?;
            answers.push(told);
        }
        let all = async {
            for answer in answers {
                answer.await.map_err(|_| not_now("a shard has ended"))?;
            }
            Ok(())
        };
        let taken = tokio::time::timeout(ANSWER_TIMEOUT, all).await;
        taken.unwrap_or_else(|_| Err(not_now("a shard did not answer in time")))
    }
}

/// Somebody waits for a guest's answer. Whoever hangs up before it comes frees what the home keeps for it; if its mailbox is
/// full, the guest's deadline does.
struct Waits {
    home: Outlet,
    guest: GuestId,
    is_answered: bool,
}

impl Drop for Waits {
    fn drop(&mut self) {
        if !self.is_answered {
            drop(self.home.try_post(Post::GuestGone(self.guest)));
        }
    }
}

/// Somebody waits for the answer to a poll. Whoever hangs up before it comes leaves it to the request that comes again.
struct Polled {
    home: Outlet,
    conn: ConnId,
    number: u64,
    is_answered: bool,
}

impl Drop for Polled {
    fn drop(&mut self) {
        if !self.is_answered {
            let gone = Polling::Gone { conn: self.conn, number: self.number };
            drop(self.home.try_post(Post::Poll(Box::new(gone))));
        }
    }
}

fn whole(mut frames: Bytes) -> Result<Vec<Frame>, HomeError> {
    let mut all = Vec::new();
    while let Some(frame) = Frame::take(&mut frames).map_err(|_| not_now("the core gave broken frames"))? {
        all.push(frame);
    }
    Ok(all)
}

fn live(home: ShardId, report: &UserReport) -> LiveUser {
    let session = |session: &SessionReport| LiveSession {
        device: session.device,
        transport: transport(session.conn),
        silent_ms: session.silent_ms,
        waiting_bytes: session.waiting_bytes as u64,
        behind: session.behind,
        expires_ms: session.expires_ms,
    };
    let Left { groups, directs, bytes } = report.left;
    LiveUser {
        shard: home.0,
        inbox_head: report.inbox_head.map(|head| head.0),
        sessions: report.sessions.iter().map(session).collect(),
        quota: report.quota,
        left: [groups, directs, bytes],
    }
}

fn transport(conn: ConnId) -> Transport {
    match conn {
        conn if is_poll(conn) => Transport::Poll,
        conn if is_quic(conn) => Transport::Quic,
        _ => Transport::WebSocket,
    }
}

fn not_now(words: &str) -> HomeError {
    HomeError::NotNow(words.into())
}

fn refusal(error: CommandError) -> HomeError {
    match error {
        CommandError::Full => HomeError::Full,
        CommandError::NoSuchUser => HomeError::NoSuchUser,
        CommandError::StorageFull => HomeError::StorageFull,
        CommandError::Busy { .. }
        | CommandError::OtherHome
        | CommandError::NoSuchChannel
        | CommandError::OwnChannel
        | CommandError::NothingLeft => HomeError::NotNow(error.to_string()),
    }
}

impl api::Homes for DataPlane {
    fn create_account(&self, user: UserId, created_ms: u64) -> Pending<'_, Result<(), HomeError>> {
        let row = AccountRow { created_ms, ..AccountRow::default() };
        Box::pin(self.ask(Command::CreateAccount { user, row }))
    }

    fn add_device(
        &self,
        user: UserId,
        device: DeviceId,
        known: Vec<DeviceId>,
    ) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(self.ask(Command::AddDevice { user, device, known }))
    }

    fn remove_device(&self, user: UserId, device: DeviceId) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(self.ask(Command::RemoveDevice { user, device }))
    }

    fn log_out_all(
        &self,
        user: UserId,
        not_before_ms: u64,
        keep: Option<DeviceId>,
    ) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(self.ask(Command::LogOutAll { user, not_before_ms, keep }))
    }

    fn relate(&self, user: UserId, other: UserId, relation: Relation) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(self.rule(Command::Relate { user, other, relation }))
    }

    fn set_policy(&self, user: UserId, policy: Policy) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(self.rule(Command::SetPolicy { user, policy }))
    }

    fn set_quota(&self, user: UserId, quota: Quota) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(self.ask(Command::SetQuota { user, quota }))
    }

    fn poll(&self, request: PollRequest) -> Pending<'_, Result<PollAnswer, PollRefusal>> {
        Box::pin(self.poll(request))
    }

    fn end_poll(&self, claims: Claims, session: u64) -> Pending<'_, Result<(), PollRefusal>> {
        Box::pin(std::future::ready(self.end_poll(&claims, session)))
    }

    fn take_keys(&self, keys: Arc<[Key]>) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(self.give_keys(keys))
    }

    fn visit(&self, visit: Visit) -> Pending<'_, Result<Vec<Frame>, HomeError>> {
        Box::pin(self.visit(visit))
    }

    fn live_user(&self, user: UserId) -> Pending<'_, Result<LiveUser, HomeError>> {
        Box::pin(self.look_at(user))
    }

    fn channels_of(
        &self,
        user: UserId,
        after: ChannelId,
        limit: u32,
    ) -> Pending<'_, Result<(Vec<JoinedItem>, bool), HomeError>> {
        let page = self.read(Query::Joined { user, after, limit });
        Box::pin(async move {
            match page.await? {
                Answer::Joined { items, more } => Ok((items, more)),
                other => Err(not_now(&format!("the store answered {other:?}"))),
            }
        })
    }

    fn stored_channel(&self, channel: ChannelId) -> Pending<'_, Result<Option<StoredChannel>, HomeError>> {
        Box::pin(async move {
            let stored = self.read(Query::Channel(channel)).await?;
            let Answer::Channel { row, mut members, head, time_ms, .. } = stored else {
                return Err(not_now(&format!("the store answered {stored:?}")));
            };
            if head == Seq(0) {
                return Ok(None);
            }
            let row = row.unwrap_or_default();
            if row.grown.is_some() {
                // Too many for one answer: the first of them.
                let limit = u32::try_from(GROUP_MEMBERS_MAX).unwrap_or(u32::MAX);
                let page = self.read(Query::MembersPage { channel, after: UserId(0), limit }).await?;
                let Answer::MembersPage { items, .. } = page else {
                    return Err(not_now(&format!("the store answered {page:?}")));
                };
                members = items;
            }
            Ok(Some(StoredChannel { name: row.name, head: head.0, time_ms, members }))
        })
    }

    fn message_with_edits(&self, channel: ChannelId, seq: Seq) -> Pending<'_, Result<Vec<Frame>, HomeError>> {
        Box::pin(async move {
            let page = PageBounds { messages: 1, bytes: PAGE_BYTES_MAX };
            // Whom nobody is: reactions are not asked for.
            let (from, through, user, who) = (seq, seq, UserId(0), true);
            let said = self.read(Query::About { channel, from, through, user, who, page }).await?;
            let Answer::About { items, .. } = said else {
                return Err(not_now(&format!("the store answered {said:?}")));
            };
            let edits = items.into_iter().flat_map(|item| item.said.edits);
            let mut frames = Vec::new();
            for at in std::iter::once(seq).chain(edits) {
                let (after, before) = (Seq(at.0.saturating_sub(1)), at.next());
                let query = Query::History { channel, after, before, newest: false, page };
                match self.read(query).await? {
                    Answer::History(found) => frames.extend(found),
                    other => return Err(not_now(&format!("the store answered {other:?}"))),
                }
            }
            Ok(frames)
        })
    }

    fn purge(&self, channel: ChannelId, cut: Cut) -> Pending<'_, Result<Kept, KeepRefusal>> {
        Box::pin(self.keep(channel, keeping::by_hand(cut)))
    }

    fn retain(
        &self,
        channel: ChannelId,
        row: Option<RetentionRow>,
    ) -> Pending<'_, Result<Kept, KeepRefusal>> {
        Box::pin(self.keep(channel, Keeping::Retain(row)))
    }

    fn kept(&self, channel: ChannelId) -> Pending<'_, Result<Kept, KeepRefusal>> {
        Box::pin(self.kept_now(channel))
    }

    fn families(&self) -> Pending<'_, Vec<Family>> {
        let shown = |family: OwnFamily| Family {
            channel: family.channel,
            is_moving: family.is_moving(),
            name: family.name,
            from: family.from,
            until: family.until,
            bytes: family.bytes,
        };
        Box::pin(async move { self.data.families().into_iter().map(shown).collect() })
    }

    fn give_family(&self, channel: ChannelId) -> Pending<'_, Result<(), FamilyRefusal>> {
        Box::pin(self.change_families(move |data| data.give_family(channel)))
    }

    fn return_family(&self, channel: ChannelId) -> Pending<'_, Result<(), FamilyRefusal>> {
        Box::pin(self.change_families(move |data| data.return_family(channel)))
    }

    fn drain(&self) {
        // Nobody listens any more when the end has come.
        let _ = self.events.send(Event::Signal);
    }

    fn begin_backup(&self, to: PathBuf) -> Pending<'_, Result<(), BackupRefused>> {
        let Some(backups) = self.backups.clone() else {
            let words = "the store is in memory (setting `store`): there is nothing on disk to back up";
            return Box::pin(async move { Err(BackupRefused::Conflict(words.into())) });
        };
        Box::pin(async move {
            let runtime = tokio::runtime::Handle::current();
            let begun = tokio::task::spawn_blocking(move || {
                let _inside = runtime.enter();
                backups.begin(&to)
            });
            begun.await.unwrap_or_else(|error| Err(BackupRefused::Conflict(error.to_string())))
        })
    }

    fn backup(&self) -> Option<BackupReport> {
        self.backups.as_ref()?.report()
    }

    fn export(&self, of: ExportOf) -> Pending<'_, Result<Export, ExportRefusal>> {
        Box::pin(async move {
            match &self.exports {
                Some(exports) => exports.begin(of).await,
                None => Err(ExportRefusal::Failed("this server makes no exports".into())),
            }
        })
    }

    fn is_storage_full(&self) -> bool {
        self.metrics.space.read().1
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    fn stalled(&self) -> Option<String> {
        let stalled = self.metrics.stalls.stalled();
        let words = stalled.iter().map(|shard| format!("shard {shard} takes no turn"));
        (!stalled.is_empty()).then(|| words.collect::<Vec<_>>().join("; "))
    }

    fn route(&self, user: UserId) -> Route {
        let home = self.placement.user_home(user).0;
        let face = self.quic.as_ref();
        let address = face.and_then(|face| face.addresses.get(usize::from(home))).copied();
        let quic = address.zip(face).map(|(address, face)| (address, face.certificates.fingerprint()));
        Route { shard: home, shards: self.placement.shards(), quic }
    }

    fn waits_for(&self) -> Pending<'_, String> {
        Box::pin(async {
            match self.metrics.waits_for().await {
                waits if waits.is_empty() => {
                    "all has been read: the server is about to serve, or drains".into()
                }
                waits => format!("the server starts: {}", waits.join("; ")),
            }
        })
    }

    fn search(&self, asked: api::Search) -> Pending<'_, Result<SearchPage, SearchRefusal>> {
        let Some(search) = self.metrics.search.clone() else {
            return Box::pin(async { Err(SearchRefusal::Off) });
        };
        Box::pin(answers::search(search, self.searching.clone(), asked))
    }

    fn search_report(&self) -> Option<SearchReport> {
        self.metrics.search.as_ref().map(answers::report)
    }

    fn rebuild_search(&self) -> Result<(), SearchRefusal> {
        let search = self.metrics.search.as_ref().ok_or(SearchRefusal::Off)?;
        search.rebuild();
        Ok(())
    }

    fn metrics(&self) -> Pending<'_, String> {
        Box::pin(async move {
            let text = self.metrics.text().await;
            let text = text + &self.backups.as_ref().map(|backups| backups.metrics()).unwrap_or_default();
            let text = text + &self.push.as_ref().map(crate::push::metrics).unwrap_or_default();
            text + &self.erasures.as_ref().map(|meter| meter.metrics()).unwrap_or_default()
        })
    }

    fn push_key(&self) -> Option<String> {
        self.push.as_ref().map(|outbox| outbox.senders().vapid().public_key())
    }

    fn subscribe(
        &self,
        user: UserId,
        device: DeviceId,
        subscribe: Subscribe,
    ) -> Pending<'_, Result<(), PushRefusal>> {
        Box::pin(self.subscribe_push((user, device), subscribe))
    }

    fn unsubscribe(
        &self,
        user: UserId,
        device: DeviceId,
        provider: Provider,
    ) -> Pending<'_, Result<(), HomeError>> {
        let target = (device, provider);
        Box::pin(self.ask(Command::Unsubscribe { user, target, made_ms: None }))
    }

    fn subscriptions(&self, user: UserId) -> Pending<'_, Result<Subscriptions, HomeError>> {
        Box::pin(self.subscriptions_of(user))
    }

    fn set_push(&self, user: UserId, is_off: bool) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(self.ask(Command::SetPush { user, is_off }))
    }

    fn test_push(&self, user: UserId) -> Pending<'_, Result<Vec<TestAnswer>, HomeError>> {
        Box::pin(self.test_push_of(user))
    }

    fn trace(
        &self,
        channel: ChannelId,
        seq: Seq,
        after: UserId,
        limit: u32,
    ) -> Pending<'_, Result<Trace, HomeError>> {
        Box::pin(self.trace_of((channel, seq), after, limit))
    }

    fn parked_pushes(&self) -> Pending<'_, Result<Vec<ParkedJob>, HomeError>> {
        Box::pin(self.parked())
    }
}

#[cfg(test)]
mod tests;
