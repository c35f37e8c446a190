//! The API through real HTTP on a loopback port of its own, against a core that remembers what it was asked.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use api::{
    Access, Accounts, AdminTokens, Api, BackupRefused, BackupReport, ChatUrl, Database, Export, ExportOf,
    ExportRefusal, Family, FamilyRefusal, HomeError, Homes, Issuers, KeepRefusal, Kept, Keys, Lifetimes,
    Listeners, LiveSession, LiveUser, Parts, Pending, PollAnswer, PollRefusal, PollRequest, PostgresUrl,
    PushLine, PushWord, Search, SearchHit, SearchPage, SearchRefusal, SearchReport, Settings, Signup,
    StoredChannel, Trace, Transport, Visit, now_ms,
};
use protocol::commit::{DeviceRow, JobRow, Policy, PositionRow, Provider, Quota, Relation, RetentionRow};
use protocol::query::{Cut, JoinedItem, Member, Traced, TracedMessage, TracedUser};
use protocol::token::{Claims, Key};
use protocol::{ChannelId, DeviceId, Frame, Generation, InboxSeq, Kind, SendId, Seq, UserId};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub mod postgres;

/// Makes of each scenario a test on SQLite and one on PostgreSQL.
#[allow(unused_macros)]
macro_rules! on_both {
    ($($scenario:ident)*) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $scenario() {
                super::$scenario(super::World::new().await).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $scenario() {
                super::$scenario(super::World::on_postgres().await).await;
            })*
        }
    };
}

#[derive(Default)]
pub struct FakeHomes {
    pub users: Mutex<Vec<UserId>>,
    pub devices: Mutex<BTreeSet<(UserId, DeviceId)>>,
    pub quota: Mutex<Quota>,
    pub removed: Mutex<Vec<(UserId, DeviceId)>>,
    pub not_before: Mutex<BTreeMap<UserId, u64>>,
    pub relations: Mutex<BTreeMap<(UserId, UserId), Relation>>,
    pub policies: Mutex<BTreeMap<UserId, Policy>>,
    pub keys: Mutex<Vec<u32>>,
    /// Channels with a family of their own; 9 is one without messages.
    pub families: Mutex<BTreeSet<ChannelId>>,
    pub keeping: Mutex<Kept>,
    pub drains: AtomicBool,
    /// What was asked without a connection, and the answers that it is given, in order.
    pub visits: Mutex<Vec<Visit>>,
    pub answers: Mutex<VecDeque<Vec<Frame>>>,
    /// Whether it makes up an answer where there is none.
    pub makes_up: AtomicBool,
    pub backup: Mutex<Option<String>>,
    pub broken: AtomicBool,
    pub ready: AtomicBool,
    pub stalled: AtomicBool,
}

impl FakeHomes {
    fn outcome(&self) -> Result<(), HomeError> {
        let is_broken = self.broken.load(Ordering::Acquire);
        if is_broken { Err(HomeError::NotNow("not now".into())) } else { Ok(()) }
    }
}

/// The same; of a page of one message with that message.
fn made_up_with_messages(frame: &Frame) -> Vec<Frame> {
    use protocol::body::{encode, message, read, sync};
    let get =
        read::<sync::GetHistory>(frame).filter(|get| frame.kind() == Kind::GET_HISTORY && get.limit == 1);
    let Some(get) = get else { return vec![made_up(frame)] };
    let (channel, seq) = (get.channel, get.after + 1);
    let (from, to, head, count, more) = (seq, seq, 9, 1, true);
    let text = encode(5, &message::SendText { channel, text: "made up".to_owned() });
    let stamp = protocol::Stamp { seq: Seq(seq), time_ms: 1, sender: UserId(5) };
    let head = sync::HistoryPage { channel, from, to, head, count, more };
    vec![encode(frame.header().id, &head), text.stamp(stamp)]
}

/// A good answer to what is asked without a connection.
fn made_up(frame: &Frame) -> Frame {
    use protocol::body::{encode, list, marks, read, sync};
    let id = frame.header().id;
    let is_newer = frame.header().version > 1;
    match frame.kind() {
        Kind::GET_CHANNELS => {
            let get = read::<sync::GetChannels>(frame).unwrap();
            let (channel, name) = (get.after + 1, "made up".to_owned());
            let item = sync::ChannelItem { channel, head: 1, read: 0, unread: 1, member: true, name };
            if !is_newer {
                return encode(id, &sync::Channels { items: vec![item], more: true });
            }
            let detail = list::ChannelDetail {
                mentions: 0,
                last_seq: 1,
                last_sender: 5,
                last_ms: 1,
                last_kind: 0x0101,
                muted_until_ms: 0,
                pinned: 0,
                notify: 1,
                marked_unread: false,
                archived: false,
                has_draft: false,
                text: "made up".into(),
            };
            let (generation, through, next, needs_snapshot) = (1, 9, 4, false);
            let (items, details) = (vec![item], vec![detail]);
            let page =
                list::ChannelsV2 { generation, through, next, needs_snapshot, details, items, more: true };
            encode(id, &page)
        }
        Kind::GET_MEMBERS => {
            let get = read::<sync::GetMembers>(frame).unwrap();
            let item = sync::MemberItem { user: get.after + 1, role: 1, joined: 1 };
            encode(id, &sync::Members { channel: get.channel, items: vec![item], more: true })
        }
        Kind::GET_RECEIPTS => {
            let get = read::<marks::GetReceipts>(frame).unwrap();
            let item = marks::ReceiptItem { user: get.after + 1, read: 1, delivered: 2 };
            encode(id, &marks::Receipts { channel: get.channel, items: vec![item], more: true })
        }
        Kind::GET_RULES => {
            use protocol::body::rules;
            let get = read::<rules::GetRules>(frame).unwrap();
            let item = rules::SanctionItem { user: get.after + 1, muted_until_ms: 9, is_banned: true };
            let rules = rules::Rules { channel: get.channel, interval_s: 30, items: vec![item], more: true };
            encode(id, &rules)
        }
        Kind::GET_PRESENCE | Kind::GET_OWN_PRESENCE | Kind::SET_PRESENCE => made_up_presence(frame),
        Kind::MARK_READ => encode(id, &protocol::body::session::Done { kind: Kind::MARK_READ.0 }),
        Kind::GET_HISTORY => {
            let channel = read::<sync::GetHistory>(frame).unwrap().channel;
            let (from, to, head, count, more) = (1, 1, 9, 0, true);
            if !is_newer {
                return encode(id, &sync::HistoryPage { channel, from, to, head, count, more });
            }
            let (pivot, more_before, more_after) = (1, false, true);
            encode(
                id,
                &list::HistoryPageV2 { pivot, more_before, more_after, channel, from, to, head, count, more },
            )
        }
        Kind::GET_ABOUT => made_up_about(frame),
        Kind::GET_THREAD | Kind::GET_MENTIONS => made_up_talk(frame),
        _ => {
            let channel = protocol::body::message::channel_of(frame).unwrap().0;
            encode(id, &sync::SendAck { channel, seq: 7, time_ms: 1 })
        }
    }
}

fn made_up_presence(frame: &Frame) -> Frame {
    use protocol::body::{encode, presence, read};
    let id = frame.header().id;
    match frame.kind() {
        Kind::GET_PRESENCE => {
            let user = read::<presence::GetPresence>(frame).unwrap().users[0];
            let (state, last_active_ms, status_until_ms) = (presence::STATE_OFFLINE, 7, 9);
            let item =
                presence::PresenceItem { user, state, last_active_ms, status_until_ms, status: "tea".into() };
            encode(id, &presence::Presence { items: vec![item] })
        }
        Kind::GET_OWN_PRESENCE => {
            let device = presence::PresentDevice { device: 5, state: presence::STATE_AWAY, seen_ms: 7 };
            let (state, shows, status_until_ms) = (presence::STATE_OFFLINE, 3, 9);
            let (status, devices) = ("tea".into(), vec![device]);
            encode(id, &presence::OwnPresence { state, shows, status_until_ms, status, devices })
        }
        _ => encode(id, &protocol::body::session::Done { kind: Kind::SET_PRESENCE.0 }),
    }
}

fn made_up_about(frame: &Frame) -> Frame {
    use protocol::body::{about, encode, read};
    let get = read::<about::GetAbout>(frame).unwrap();
    let seq = get.from;
    let page = about::About {
        channel: get.channel,
        from: seq,
        to: seq,
        pins: vec![about::PinItem { seq, by: seq + 1 }],
        items: vec![about::AboutItem { seq, edited: seq + 2, edits: 1, text: "now".to_owned() }],
        reactions: vec![about::ReactionItem { seq, count: 1, own: true, emoji: "👍".to_owned() }],
        who: vec![about::ReactorItem { seq, user: 1, reaction: 0 }],
        more: true,
    };
    encode(frame.header().id, &page)
}

fn made_up_talk(frame: &Frame) -> Frame {
    use protocol::body::{encode, read, talk};
    let id = frame.header().id;
    if frame.kind() == Kind::GET_THREAD {
        let get = read::<talk::GetThread>(frame).unwrap();
        let (channel, root) = (get.channel, get.root);
        let page = talk::Thread { channel, root, from: 1, to: 1, total: 9, newest: 9, count: 0, more: true };
        return encode(id, &page);
    }
    let at = read::<talk::GetMentions>(frame).unwrap().before.saturating_sub(1);
    let item = talk::MentionItem { at, channel: 7, seq: 1, time_ms: 1, sender: 1 };
    let unread = vec![talk::MentionCount { channel: 7, unread: 1 }];
    encode(id, &talk::Mentions { items: vec![item], unread, more: true })
}

impl Homes for FakeHomes {
    fn create_account(&self, user: UserId, _created_ms: u64) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(async move {
            self.outcome()?;
            let mut users = self.users.lock().unwrap();
            if !users.contains(&user) {
                users.push(user);
            }
            Ok(())
        })
    }

    fn add_device(
        &self,
        user: UserId,
        device: DeviceId,
        known: Vec<DeviceId>,
    ) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(async move {
            self.outcome()?;
            assert!(known.contains(&device) && self.users.lock().unwrap().contains(&user));
            self.devices.lock().unwrap().insert((user, device));
            Ok(())
        })
    }

    fn remove_device(&self, user: UserId, device: DeviceId) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(async move {
            self.outcome()?;
            self.devices.lock().unwrap().remove(&(user, device));
            self.removed.lock().unwrap().push((user, device));
            Ok(())
        })
    }

    fn log_out_all(
        &self,
        user: UserId,
        not_before_ms: u64,
        keep: Option<DeviceId>,
    ) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(async move {
            self.outcome()?;
            self.devices.lock().unwrap().retain(|(of, device)| *of != user || Some(*device) == keep);
            self.not_before.lock().unwrap().insert(user, not_before_ms);
            Ok(())
        })
    }

    fn relate(&self, user: UserId, other: UserId, relation: Relation) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(async move {
            self.outcome()?;
            if !self.users.lock().unwrap().contains(&user) {
                return Err(HomeError::NoSuchUser);
            }
            self.relations.lock().unwrap().insert((user, other), relation);
            Ok(())
        })
    }

    fn set_policy(&self, user: UserId, policy: Policy) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(async move {
            self.outcome()?;
            if !self.users.lock().unwrap().contains(&user) {
                return Err(HomeError::NoSuchUser);
            }
            self.policies.lock().unwrap().insert(user, policy);
            Ok(())
        })
    }

    fn set_quota(&self, _user: UserId, quota: Quota) -> Pending<'_, Result<(), HomeError>> {
        *self.quota.lock().unwrap() = quota;
        Box::pin(async { Ok(()) })
    }

    fn poll(&self, request: PollRequest) -> Pending<'_, Result<PollAnswer, PollRefusal>> {
        let PollRequest { session, number, frames, .. } = request;
        let (session, frames) = (session.unwrap_or(1), vec![frames]);
        Box::pin(async move { Ok(PollAnswer { session, number, frames, close: None }) })
    }

    fn end_poll(&self, _claims: Claims, _session: u64) -> Pending<'_, Result<(), PollRefusal>> {
        Box::pin(async { Ok(()) })
    }

    fn live_user(&self, user: UserId) -> Pending<'_, Result<LiveUser, HomeError>> {
        let devices = self.devices.lock().unwrap();
        let session = |(_, device): &(UserId, DeviceId)| LiveSession {
            device: *device,
            transport: if device.0 % 2 == 0 { Transport::Quic } else { Transport::WebSocket },
            silent_ms: 1,
            waiting_bytes: 2,
            behind: 3,
            expires_ms: 4,
        };
        let sessions = devices.iter().filter(|(of, _)| *of == user).map(session).collect();
        let left = [Some(1), None, Some(3)];
        let quota = *self.quota.lock().unwrap();
        Box::pin(async move { Ok(LiveUser { shard: 0, inbox_head: Some(9), sessions, quota, left }) })
    }

    fn channels_of(
        &self,
        user: UserId,
        after: ChannelId,
        limit: u32,
    ) -> Pending<'_, Result<(Vec<JoinedItem>, bool), HomeError>> {
        let item = |other: u64| JoinedItem {
            channel: ChannelId::direct(UserId(1), UserId(user.0 + other)),
            joined: Seq(1),
            left: None,
            read: Seq(0),
            unread: 1,
            head: Seq(7),
            name: String::new(),
        };
        let items: Vec<_> = (1..=3).map(item).filter(|item| item.channel > after).collect();
        let more = items.len() > limit as usize;
        let page = items.into_iter().take(limit as usize).collect();
        Box::pin(async move { Ok((page, more)) })
    }

    fn stored_channel(&self, channel: ChannelId) -> Pending<'_, Result<Option<StoredChannel>, HomeError>> {
        let member = Member { role: 2, joined: Seq(1), ..Member::default() };
        let members = vec![(UserId(5), member)];
        let stored = StoredChannel { name: "team".into(), head: 7, time_ms: 8, members };
        Box::pin(async move { Ok(channel.users().is_none().then_some(stored)) })
    }

    fn trace(
        &self,
        channel: ChannelId,
        seq: Seq,
        after: UserId,
        _limit: u32,
    ) -> Pending<'_, Result<Trace, HomeError>> {
        let (device, target) = (DeviceId(3), (DeviceId(3), Provider::Webhook));
        let message = TracedMessage {
            kind: Kind::SEND_TEXT,
            bytes: 60,
            sender: UserId(5),
            send_id: SendId(9),
            time_ms: 8,
        };
        let user = TracedUser {
            user: UserId(after.0 + 1),
            at: Some(InboxSeq(4)),
            inbox_head: InboxSeq(4),
            generation: Generation(1),
            applied: 1,
            position: PositionRow::default(),
            devices: vec![(device, DeviceRow::default())],
            subscriptions: vec![(target, "https://push.example/secret".into())],
            job: Some(JobRow { seq, ..JobRow::default() }),
        };
        let line = |what| PushLine {
            at_ms: 1,
            user: user.user,
            seq,
            count: 1,
            target: Some((target, "https://push.example".into())),
            what,
            words: "status 503".into(),
            until_ms: None,
        };
        let pushes = PushWord::ALL.map(line).to_vec();
        let stored = Traced { head: Seq(7), recipients: 1, users: vec![user], ..Traced::default() };
        let is_there = channel.users().is_none() && seq <= Seq(7);
        let stored = Traced { message: is_there.then_some(message), more: after.0 == 0, ..stored };
        let live = vec![LiveUser { inbox_head: Some(4), ..LiveUser::default() }];
        let trace = Trace { stored, home: (3, 0), live, pushes, pushes_since_ms: 1 };
        Box::pin(async move { Ok(trace) })
    }

    fn message_with_edits(&self, channel: ChannelId, seq: Seq) -> Pending<'_, Result<Vec<Frame>, HomeError>> {
        use protocol::body::about::EditText;
        use protocol::body::encode;
        use protocol::body::message::SendText;
        let (channel, target) = (channel.0, seq.0);
        let stamp = |seq| protocol::Stamp { seq, time_ms: 1, sender: UserId(5) };
        let text = encode(3, &SendText { channel, text: "at five".into() }).stamp(stamp(seq));
        let edit = EditText { channel, target, text: "at six".into() };
        let edit = encode(4, &edit).stamp(stamp(seq.next()));
        Box::pin(async move { Ok(if target < 9 { vec![text, edit] } else { Vec::new() }) })
    }

    fn purge(&self, channel: ChannelId, cut: Cut) -> Pending<'_, Result<Kept, KeepRefusal>> {
        let mut kept = self.keeping.lock().unwrap();
        let outcome = if channel.owner().is_some() {
            Err(KeepRefusal::OwnChannel)
        } else {
            kept.floor.below = kept.floor.below.max(cut.below);
            Ok(*kept)
        };
        Box::pin(async move { outcome })
    }

    fn retain(&self, _: ChannelId, row: Option<RetentionRow>) -> Pending<'_, Result<Kept, KeepRefusal>> {
        let mut kept = self.keeping.lock().unwrap();
        kept.retention = row;
        let outcome = Ok(*kept);
        Box::pin(async move { outcome })
    }

    fn kept(&self, _: ChannelId) -> Pending<'_, Result<Kept, KeepRefusal>> {
        let outcome = Ok(*self.keeping.lock().unwrap());
        Box::pin(async move { outcome })
    }

    fn families(&self) -> Pending<'_, Vec<Family>> {
        let family = |channel: &ChannelId| Family {
            channel: *channel,
            name: "own0".into(),
            from: Seq(7),
            until: None,
            is_moving: true,
            bytes: 5,
        };
        let families = self.families.lock().unwrap().iter().map(family).collect();
        Box::pin(async { families })
    }

    fn give_family(&self, channel: ChannelId) -> Pending<'_, Result<(), FamilyRefusal>> {
        let mut families = self.families.lock().unwrap();
        let outcome = match families.len() {
            api::FAMILIES_MAX => Err(FamilyRefusal::AllTaken),
            _ if families.insert(channel) => Ok(()),
            _ => Err(FamilyRefusal::Unchanged),
        };
        Box::pin(async { outcome })
    }

    fn return_family(&self, channel: ChannelId) -> Pending<'_, Result<(), FamilyRefusal>> {
        let had = self.families.lock().unwrap().remove(&channel);
        Box::pin(async move { if had { Ok(()) } else { Err(FamilyRefusal::Unknown) } })
    }

    fn drain(&self) {
        self.drains.store(true, Ordering::Release);
    }

    fn take_keys(&self, keys: Arc<[Key]>) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(async move {
            self.outcome()?;
            *self.keys.lock().unwrap() = keys.iter().map(|key| key.id).collect();
            Ok(())
        })
    }

    fn visit(&self, visit: Visit) -> Pending<'_, Result<Vec<Frame>, HomeError>> {
        Box::pin(async move {
            self.outcome()?;
            let frame = visit.frame.clone();
            self.visits.lock().unwrap().push(visit);
            let answer = self.answers.lock().unwrap().pop_front();
            let makes_up = self.makes_up.load(Ordering::Acquire);
            let answer = answer.or_else(|| makes_up.then(|| made_up_with_messages(&frame)));
            answer.ok_or_else(|| HomeError::NotNow("the test has no answer".into()))
        })
    }

    fn begin_backup(&self, to: std::path::PathBuf) -> Pending<'_, Result<(), BackupRefused>> {
        *self.backup.lock().unwrap() = Some(to.display().to_string());
        Box::pin(async { Ok(()) })
    }

    fn backup(&self) -> Option<BackupReport> {
        let to = self.backup.lock().unwrap().clone()?;
        Some(BackupReport { to, is_running: true, began_ms: 1, ..BackupReport::default() })
    }

    /// Of the words it takes any but none; it finds one message that says them.
    fn export(&self, _: ExportOf) -> Pending<'_, Result<Export, ExportRefusal>> {
        let (to, pieces) = tokio::sync::mpsc::channel(2);
        Box::pin(async move {
            for piece in ["{\"maru\":\"export\"}\n", "{\"line\":\"end\"}\n"] {
                let sent = to.send(Ok(axum::body::Bytes::from_static(piece.as_bytes()))).await;
                assert!(sent.is_ok());
            }
            Ok(Export::new(pieces))
        })
    }

    fn search(&self, search: Search) -> Pending<'_, Result<SearchPage, SearchRefusal>> {
        let outcome = match search.after.as_deref() {
            Some(after) if !after.starts_with('r') => Err(SearchRefusal::After),
            _ if search.words.is_empty() => Err(SearchRefusal::Words("nothing is sought".into())),
            _ => Ok(found(&search)),
        };
        Box::pin(async { outcome })
    }

    fn search_report(&self) -> Option<SearchReport> {
        Some(SearchReport { documents: 1, bytes: 2, ..SearchReport::default() })
    }

    fn rebuild_search(&self) -> Result<(), SearchRefusal> {
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    fn stalled(&self) -> Option<String> {
        self.stalled.load(Ordering::Acquire).then(|| "shard 3 takes no turn".to_owned())
    }

    fn waits_for(&self) -> Pending<'_, String> {
        Box::pin(async { "shard 1 waits for the test".to_owned() })
    }

    fn metrics(&self) -> Pending<'_, String> {
        Box::pin(async { "maru_test 1\n".to_owned() })
    }
}

fn found(search: &Search) -> SearchPage {
    let hit = SearchHit {
        channel: search.channel.unwrap_or(ChannelId(77)),
        seq: Seq(1),
        sender: search.user,
        time_ms: 1,
        kind: Kind::SEND_TEXT.0,
        snippet: search.words.clone(),
        at: 0,
        chars: search.words.chars().count(),
        highlights: vec![(0, search.words.chars().count())],
    };
    SearchPage { hits: vec![hit], next: Some("r1".into()), is_complete: true }
}

pub struct World {
    pub data: tempfile::TempDir,
    pub database: Database,
    /// The same for sqlx.
    pub url: String,
    pub homes: Arc<FakeHomes>,
    pub keys: Keys,
    pub base: String,
    /// The admin listener, as `base`.
    pub admin: String,
    pub http: reqwest::Client,
}

/// On free ports of loopback.
pub async fn listeners() -> Listeners {
    let bind = || tokio::net::TcpListener::bind("127.0.0.1:0");
    Listeners { public: bind().await.unwrap(), admin: bind().await.unwrap() }
}

pub const PASSWORD: &str = "correct horse";

impl World {
    /// On SQLite.
    pub async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let database = Database::in_directory(data.path());
        let url = format!("sqlite://{}", data.path().join("accounts.sqlite").display());
        Self::on(data, database, url).await
    }

    /// On SQLite, with what an operator may set about who asks.
    pub async fn with_access(access: Access) -> Self {
        Self::new().await.again(|settings| settings.access = access).await
    }

    /// On a fresh database of the PostgreSQL that these tests share.
    pub async fn on_postgres() -> Self {
        Self::at(&postgres::fresh()).await
    }

    /// On this PostgreSQL.
    pub async fn at(url: &str) -> Self {
        let database = Database::Postgres(PostgresUrl::parse(url).unwrap());
        Self::on(tempfile::tempdir().unwrap(), database, url.to_owned()).await
    }

    async fn on(data: tempfile::TempDir, database: Database, url: String) -> Self {
        let keys = Keys::open_or_create(data.path(), now_ms()).unwrap();
        let (base, admin) = (String::new(), String::new());
        let http = reqwest::Client::new();
        let world = Self { data, database, url, homes: Arc::default(), keys, base, admin, http };
        world.again(|_| {}).await
    }

    /// Another server on the same accounts and the same core, set otherwise.
    pub async fn again(self, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            chat_url: ChatUrl::Port(7),
            token_ms: 60_000,
            lifetimes: Lifetimes { refresh_ms: 600_000, login_ms: 6_000_000 },
            devices_max: 3,
            hashers: 2,
            signup: Signup::Open,
            user_invites: 0,
            issuers: Issuers::default(),
            user_bots: 2,
            show_edits: true,
            history: api::History::Keep,
            bot_tokens: 3,
            access: Access::default(),
        };
        set(&mut settings);
        let accounts = Accounts::open(&self.database).await.unwrap();
        let admin = AdminTokens::open_or_create(self.data.path()).unwrap();
        let (keys, homes) = (self.keys.clone(), self.homes.clone());
        let parts = Parts { accounts, keys, admin, homes, settings };
        let listeners = listeners().await;
        let base = format!("http://{}", listeners.public.local_addr().unwrap());
        let admin = format!("http://{}", listeners.admin.local_addr().unwrap());
        tokio::spawn(api::serve(listeners, Api::new(parts).unwrap(), std::future::pending()));
        Self { base, admin, ..self }
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> (StatusCode, Value) {
        let response = request.send().await.unwrap();
        let status = response.status();
        let header =
            |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (kind, retry_after_s) = (header("content-type"), header("retry-after"));
        let text = response.text().await.unwrap();
        if status.is_client_error() || status.is_server_error() {
            assert_eq!(kind.as_deref(), Some("application/problem+json"), "{text}");
            let retry_ms = serde_json::from_str::<Value>(&text).unwrap()["retry_after_ms"].as_u64().unwrap();
            let seconds = (retry_ms > 0).then(|| retry_ms.div_ceil(1000).to_string());
            assert_eq!(retry_after_s, seconds, "{text}");
        }
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.send(self.http.post(format!("{}{path}", self.base)).json(body)).await
    }

    pub async fn get(&self, path: &str, token: &str) -> (StatusCode, Value) {
        self.send(self.http.get(format!("{}{path}", self.base)).bearer_auth(token)).await
    }

    /// A request as whoever has the token.
    pub async fn with(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let base = if path.starts_with("/v1/admin/") { &self.admin } else { &self.base };
        let mut request = self.http.request(method, format!("{base}{path}")).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        self.send(request).await
    }

    /// A request as the operator.
    pub async fn operate(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        self.with(method, path, &self.operator(), body).await
    }

    pub fn operator(&self) -> String {
        let token = std::fs::read_to_string(self.data.path().join("admin.token")).unwrap();
        token.trim_end().to_owned()
    }

    /// `GET` of the admin listener, without a token.
    pub async fn watch(&self, path: &str) -> (StatusCode, Value) {
        self.send(self.http.get(format!("{}{path}", self.admin))).await
    }

    /// A line of the metrics, by what stands before its value.
    pub async fn metric(&self, key: &str) -> u64 {
        let (_, metrics) = self.watch("/metrics").await;
        let line =
            metrics.as_str().unwrap().lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{key} is not in\n{metrics}")).parse().unwrap()
    }

    pub async fn signup(&self, name: &str) -> (StatusCode, Value) {
        self.post("/v1/signup", &json!({ "name": name, "password": PASSWORD })).await
    }

    /// A good login.
    pub async fn login(&self, name: &str) -> Value {
        let (status, answer) = self.post("/v1/login", &json!({ "name": name, "password": PASSWORD })).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// A raw request, byte for byte.
    pub async fn raw(&self, request: &str) -> String {
        let address = self.base.strip_prefix("http://").unwrap();
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

/// It was refused so, as RFC 9457 has it. Gives the words for people.
#[track_caller]
pub fn refused(answer: &(StatusCode, Value), status: u16, code: &str) -> String {
    let problem = &answer.1;
    assert_eq!((answer.0.as_u16(), problem["code"].as_str()), (status, Some(code)), "{answer:?}");
    assert_eq!(problem["status"], status, "{problem}");
    assert_eq!(problem["type"], format!("urn:maru:problem:{code}"), "{problem}");
    assert_eq!(problem["title"], code.replace('_', " "), "{problem}");
    assert!(problem["retry_after_ms"].is_u64(), "{problem}");
    problem["detail"].as_str().unwrap().to_owned()
}

/// As [`refused`] for a field that is not what it should be.
#[track_caller]
pub fn bad_field(answer: &(StatusCode, Value), field: &str) -> String {
    let words = refused(answer, 400, "bad_field");
    assert_eq!(answer.1["field"], field, "{answer:?}");
    words
}
