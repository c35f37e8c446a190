//! Push on this node: what the outbox asks of homes and store, and what the control plane asks of push.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use api::{Accounts, HomeError, PushRefusal, Subscribe, Subscriptions};
use protocol::body::push::SubscribePush;
use protocol::commit::{JobRow, Language, Preview, Provider, SubscriptionRow, Target};
use protocol::query::{Answer, PushFacts, Query};
use protocol::{BayId, ChannelId, Code, DeviceId, Refusal, Seq, UserId};
use push::address::{Allowed, Endpoint};
use push::call::Answer as Called;
use push::figures::Ends;
use push::notice::Around;
use push::outbox::{Homes, JobId, Outbox, Outcome, Pending, Told};
use push::senders::Senders;
use push::vapid::Vapid;
use push::{apns, fcm, quiet, webhook, webpush};
use shard::{Command, Providers, PushOutcome};
use tokio::runtime::Runtime;

use crate::config::{Config, StoreKind};
use crate::mesh::{Outlets, Post};
use crate::plane::DataPlane;

/// Channels whose unread messages make the number on an icon.
const BADGE_CHANNELS: u32 = 500;
/// Parked jobs that an operator is shown.
const PARKED_SHOWN: usize = 256;
/// Bytes of the name of a time zone.
const ZONE_BYTES_MAX: usize = 64;

/// Makes the outbox, and lets it work.
///
/// # Errors
/// Words for the operator: a key, or the settings.
pub(crate) fn start(
    runtime: &Runtime,
    config: &Config,
    (plane, accounts): (&DataPlane, Accounts),
    (told, outlets): (Told, &Outlets),
) -> Result<Outbox, String> {
    let contact = config.push_contact.as_deref().unwrap_or("mailto:nobody@localhost");
    let vapid = match config.store {
        StoreKind::Rocks => Vapid::open(&config.data, contact, api::is_on_volume_of_group)?,
        StoreKind::Memory => Vapid::passing(contact)?,
    };
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let builder =
        rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let tls = builder.with_root_certificates(roots).with_no_client_auth();
    let reach = Arc::new(Reach { plane: plane.clone(), accounts });
    let mut senders = Senders::new(vapid, &tls, Allowed::new(config.push_allow.clone()));
    if let Some(fcm) = config.push_accounts.open_fcm()? {
        senders = senders.with_fcm(fcm);
    }
    if let Some(apns) = config.push_accounts.open_apns()? {
        senders = senders.with_apns(apns);
    }
    let outbox = Outbox::new(reach, senders);
    let outbox = if config.push_withdraw { outbox } else { outbox.without_withdrawals() };
    open(&outbox, outlets);
    runtime.spawn(outbox.clone().run(told));
    Ok(outbox)
}

/// Lets devices subscribe by frames. What they wish is read on the shard's thread, so the names of time zones, which are
/// files, are looked for now: one that the system gets later can be named after the next start.
fn open(outbox: &Outbox, outlets: &Outlets) {
    let providers: Arc<dyn Providers> = Arc::new(ByFrames { outbox: outbox.clone(), zones: quiet::zones() });
    for outlet in outlets.all() {
        outlet.post(Post::Providers(providers.clone()));
    }
}

struct ByFrames {
    outbox: Outbox,
    zones: BTreeSet<String>,
}

impl std::fmt::Debug for ByFrames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ByFrames")
    }
}

impl Providers for ByFrames {
    fn read(&self, wish: SubscribePush, now_ms: u64) -> Result<SubscriptionRow, Refusal> {
        let provider = Provider::from_number(wish.provider).unwrap_or(Provider::WebPush);
        let given = |text: String| (!text.is_empty()).then_some(text);
        let (address, secret) = (given(wish.address), given(wish.secret));
        let is_app = matches!(provider, Provider::Fcm | Provider::Apns);
        let (endpoint, token) = if is_app { (None, address) } else { (address, None) };
        let (keys, secret) = match provider {
            Provider::WebPush => (given(wish.p256dh).zip(secret), None),
            _ => (None, secret),
        };
        let subscribe = Subscribe {
            provider,
            endpoint,
            token,
            keys,
            secret,
            preview: Preview::from_number(wish.preview).unwrap_or_default(),
            language: Language::from_number(wish.language).unwrap_or_default(),
            quiet: (wish.quiet_from, wish.quiet_until),
            zone: wish.zone,
        };
        let is_zone = |name: &str| name.is_empty() || self.zones.contains(&name.to_ascii_lowercase());
        read(self.outbox.senders(), subscribe, is_zone, now_ms).map_err(|refusal| match refusal {
            PushRefusal::Field(field, words) => {
                let field = match field {
                    "endpoint" | "token" => "address",
                    "auth" => "secret",
                    field => field,
                };
                Refusal::new(Code::Limit, field, words)
            }
            PushRefusal::Full | PushRefusal::Home(_) => Refusal::retry(Code::Busy, 1000, "not now"),
        })
    }

    fn key(&self) -> String {
        self.outbox.senders().vapid().public_key()
    }
}

/// What the outbox asks.
struct Reach {
    plane: DataPlane,
    accounts: Accounts,
}

impl Reach {
    async fn tell(&self, command: Command) -> Result<(), String> {
        self.plane.ask(command).await.map_err(|error| error.to_string())
    }
}

fn other(answer: &Answer) -> String {
    format!("the store answered {answer:?}")
}

impl Homes for Reach {
    fn jobs(
        &self,
        bay: BayId,
        after: Option<JobId>,
        limit: u32,
    ) -> Pending<'_, (Vec<(UserId, ChannelId, JobRow)>, bool)> {
        let page = self.plane.read(Query::Jobs { bay, after, limit });
        Box::pin(async move {
            match page.await.map_err(|error| error.to_string())? {
                Answer::Jobs { items, more } => Ok((items, more)),
                answer => Err(other(&answer)),
            }
        })
    }

    fn facts(&self, (user, channel): JobId) -> Pending<'_, PushFacts> {
        let facts = self.plane.read(Query::Push { user, channel });
        Box::pin(async move {
            match facts.await.map_err(|error| error.to_string())? {
                Answer::Push(facts) => Ok(*facts),
                answer => Err(other(&answer)),
            }
        })
    }

    fn around(&self, user: UserId, sender: UserId) -> Pending<'_, Around> {
        let list = self.plane.read(Query::Joined { user, after: ChannelId(0), limit: BADGE_CHANNELS });
        Box::pin(async move {
            let account = self.accounts.user(sender).await.map_err(|error| error.to_string())?;
            let shown = |account: api::Account| match account.display_name {
                name if name.is_empty() => account.name,
                name => name,
            };
            let badge = match list.await.map_err(|error| error.to_string())? {
                Answer::Joined { items, .. } => items.iter().map(|item| item.unread).sum(),
                answer => return Err(other(&answer)),
            };
            Ok(Around { sender: account.map(shown), badge })
        })
    }

    fn ended(
        &self,
        (user, channel): JobId,
        (seq, count): (Seq, u32),
        outcome: Outcome,
        taken: Vec<Target>,
    ) -> Pending<'_, ()> {
        let outcome = match outcome {
            Outcome::Done => PushOutcome::Done { count },
            Outcome::Retry { at_ms, targets, has_failed } => {
                PushOutcome::Retry { at_ms, targets, has_failed }
            }
            Outcome::Park => PushOutcome::Park,
        };
        Box::pin(self.tell(Command::Pushed { user, channel, seq, outcome, taken }))
    }

    fn withdrawals(&self, bay: BayId, after: Option<JobId>, limit: u32) -> Pending<'_, (Vec<JobId>, bool)> {
        let page = self.plane.read(Query::Withdrawals { bay, after, limit });
        Box::pin(async move {
            match page.await.map_err(|error| error.to_string())? {
                Answer::Withdrawals { items, more } => Ok((items, more)),
                answer => Err(other(&answer)),
            }
        })
    }

    fn withdrawn(&self, (user, channel): JobId, seq: Seq) -> Pending<'_, ()> {
        Box::pin(self.tell(Command::PushWithdrawn { user, channel, seq }))
    }

    fn gone(&self, user: UserId, target: Target, made_ms: u64) -> Pending<'_, ()> {
        Box::pin(self.tell(Command::Unsubscribe { user, target, made_ms: Some(made_ms) }))
    }
}

/// What a device wishes, read and found good.
fn read(
    senders: &Senders,
    wish: Subscribe,
    is_zone: impl Fn(&str) -> bool,
    now_ms: u64,
) -> Result<SubscriptionRow, PushRefusal> {
    let field = PushRefusal::Field;
    let zone = &wish.zone;
    if zone.len() > ZONE_BYTES_MAX || !is_zone(zone) {
        return Err(field(
            "zone",
            "is no IANA time zone that this server knows; expected one as Asia/Seoul".into(),
        ));
    }
    let (endpoint, key, secret) = match wish.provider {
        Provider::WebPush | Provider::Webhook => called(senders, &wish)?,
        Provider::Fcm | Provider::Apns => (app(senders, &wish)?, Vec::new(), Vec::new()),
    };
    Ok(SubscriptionRow {
        created_ms: now_ms,
        preview: wish.preview,
        language: wish.language,
        quiet: wish.quiet,
        zone: wish.zone,
        key,
        secret,
        endpoint,
    })
}

/// One that is called at a URL: that, and its keys.
fn called(senders: &Senders, wish: &Subscribe) -> Result<(String, Vec<u8>, Vec<u8>), PushRefusal> {
    let field = |name, words: &str| PushRefusal::Field(name, words.into());
    let word = wish.provider.word();
    if wish.token.is_some() {
        return Err(field("token", "is of fcm and apns; webpush and webhook have an endpoint"));
    }
    let endpoint = wish.endpoint.as_deref();
    let endpoint = endpoint.ok_or_else(|| field("endpoint", &format!("is missing; {word} has one")))?;
    Endpoint::parse(endpoint, senders.allowed()).map_err(|words| field("endpoint", &words))?;
    let (key, secret) = if wish.provider == Provider::WebPush {
        let keys = wish.keys.as_ref();
        let (p256dh, auth) =
            keys.ok_or_else(|| field("p256dh", "is missing; Web Push has `p256dh` and `auth`"))?;
        webpush::read_keys(p256dh, auth).map_err(|(name, words)| field(name, &words))?
    } else {
        let secret = wish.secret.as_deref();
        let secret = secret.ok_or_else(|| field("secret", "is missing; a webhook has a secret"))?;
        (Vec::new(), webhook::read_secret(secret).map_err(|words| field("secret", &words))?)
    };
    Ok((endpoint.to_owned(), key, secret))
}

/// One that is told through the provider of its app: its token.
fn app(senders: &Senders, wish: &Subscribe) -> Result<String, PushRefusal> {
    let field = |name, words: &str| PushRefusal::Field(name, words.into());
    let word = wish.provider.word();
    if !senders.has(wish.provider) {
        return Err(field("provider", &format!("is {word}, and this server has no account there")));
    }
    if wish.endpoint.is_some() || wish.keys.is_some() || wish.secret.is_some() {
        return Err(field("token", &format!("is all that {word} has: no endpoint, p256dh, auth or secret")));
    }
    let token = wish.token.as_deref();
    let token = token.ok_or_else(|| field("token", &format!("is missing; {word} has one")))?;
    let read = if wish.provider == Provider::Fcm { fcm::read_token } else { apns::read_token };
    read(token).map_err(|words| field("token", &words))?;
    Ok(token.to_owned())
}

impl DataPlane {
    pub(crate) async fn subscribe_push(
        &self,
        (user, device): (UserId, DeviceId),
        wish: Subscribe,
    ) -> Result<(), PushRefusal> {
        let missing = || PushRefusal::Home(HomeError::NotNow("push is not there yet".into()));
        let outbox = self.outbox().ok_or_else(missing)?;
        let target = (device, wish.provider);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let row = read(outbox.senders(), wish, quiet::is_zone, u64::try_from(now.as_millis()).unwrap_or(0))?;
        let asked = self.ask(Command::Subscribe { user, target, row: Box::new(row) }).await;
        asked.map_err(|error| match error {
            HomeError::Full => PushRefusal::Full,
            error => PushRefusal::Home(error),
        })
    }

    pub(crate) async fn subscriptions_of(&self, user: UserId) -> Result<Subscriptions, HomeError> {
        match self.read(Query::Push { user, channel: ChannelId(0) }).await? {
            Answer::Push(facts) => Ok(Subscriptions { is_off: facts.is_off, all: facts.subscriptions }),
            answer => Err(HomeError::NotNow(other(&answer))),
        }
    }

    pub(crate) async fn test_push_of(&self, user: UserId) -> Result<Vec<api::TestAnswer>, HomeError> {
        let mut answers = Vec::new();
        for (device, provider, row) in self.subscriptions_of(user).await?.all {
            let Some(outbox) = self.outbox() else { break };
            let words = match outbox.test(user, provider, &row).await {
                Called::Taken => "taken".into(),
                Called::Gone => "gone: the provider knows the subscription no more".into(),
                Called::Refused(why) => format!("refused: {why}"),
                Called::Later { why, .. } => format!("failed: {why}"),
            };
            answers.push((device, provider, words));
        }
        Ok(answers)
    }

    pub(crate) async fn parked(&self) -> Result<Vec<api::ParkedJob>, HomeError> {
        let mut parked = Vec::new();
        for bay in BayId::all() {
            let mut after = None;
            loop {
                let page = self.read(Query::Jobs { bay, after, limit: push::limits::JOBS_PAGE }).await?;
                let Answer::Jobs { items, more } = page else { break };
                after = items.last().map(|(user, channel, _)| (*user, *channel));
                parked.extend(items.into_iter().filter(|(.., job)| job.is_parked));
                if parked.len() >= PARKED_SHOWN {
                    parked.truncate(PARKED_SHOWN);
                    return Ok(parked);
                }
                if !more {
                    break;
                }
            }
        }
        Ok(parked)
    }
}

/// One of the ends of a call.
type End = fn(&Ends) -> &AtomicU64;

/// Figures in the form of Prometheus.
pub(crate) fn metrics(outbox: &Outbox) -> String {
    let figures = outbox.figures();
    let ends: [(&str, End); 4] = [
        ("sent", |ends| &ends.sent),
        ("failed", |ends| &ends.failed),
        ("refused", |ends| &ends.refused),
        ("gone", |ends| &ends.gone),
    ];
    let unsent = [
        ("read", &figures.read),
        ("recalled", &figures.recalled),
        ("unwanted", &figures.unwanted),
        ("expired", &figures.expired),
        ("parked", &figures.parked),
    ];
    let load = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
    let all = ends.iter().map(|(end, of)| (*end, figures.all(*of)));
    let mut text = String::from(
        "# HELP maru_pushes_total Pushes and jobs of push, by how each ended.\n# TYPE maru_pushes_total counter\n",
    );
    for (end, count) in all.chain(unsent.map(|(end, figure)| (end, load(figure)))) {
        text += &format!("maru_pushes_total{{end=\"{end}\"}} {count}\n");
    }
    text += "# HELP maru_push_calls_total Calls of providers of push, by how each ended.\n\
             # TYPE maru_push_calls_total counter\n";
    for provider in Provider::ALL {
        for (end, of) in ends {
            let (word, count) = (provider.word(), load(of(figures.of(provider))));
            text += &format!("maru_push_calls_total{{provider=\"{word}\",end=\"{end}\"}} {count}\n");
        }
    }
    text += "# HELP maru_push_withdrawals_total Calls that say that what a device shows was read elsewhere, by how each ended.\n\
             # TYPE maru_push_withdrawals_total counter\n";
    for (end, figure) in [("sent", &figures.withdrawn), ("failed", &figures.withdrawals_failed)] {
        text += &format!("maru_push_withdrawals_total{{end=\"{end}\"}} {}\n", load(figure));
    }
    text += "# HELP maru_push_calls Calls of providers of push that are under way.\n# TYPE maru_push_calls gauge\n";
    for provider in Provider::ALL {
        let (word, count) = (provider.word(), outbox.calls(provider));
        text += &format!("maru_push_calls{{provider=\"{word}\"}} {count}\n");
    }
    text + &format!(
        "# HELP maru_push_waiting Jobs that wait in memory for their time.\n\
         # TYPE maru_push_waiting gauge\n\
         maru_push_waiting {}\n\
         # HELP maru_push_hosts_resting Hosts that are not called for a while, because they failed again and again.\n\
         # TYPE maru_push_hosts_resting gauge\n\
         maru_push_hosts_resting {}\n",
        load(&figures.waiting),
        outbox.resting(),
    )
}
