//! Homes and store in one, as the core behaves, and real peers on loopback: HTTP/1.1 and HTTP/2, with TLS by an authority of their own.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use protocol::body::encode;
use protocol::body::message::SendText;
use protocol::commit::{JobRow, Preview, Provider, SubscriptionRow, Target};
use protocol::query::PushFacts;
use protocol::{BayId, ChannelId, DeviceId, SendId, Seq, UserId};
use push::address::Allowed;
use push::apns::{self, Apns};
use push::fcm::Fcm;
use push::notice::Around;
use push::outbox::{Bell, Homes, JobId, Outbox, Outcome, Pending, bell};
use push::senders::Senders;
use push::vapid::Vapid;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub const USER: UserId = UserId(20);
pub const DEVICE: DeviceId = DeviceId(3);
/// Attempts after which the core parks a job.
pub const ATTEMPTS_MAX: u16 = 24;
/// A device token of Apple's.
pub const APPLE_DEVICE: &str = "740f4707bebcf74f9b7c25d48e3358945f6aa01da5ddb387462c7eaf61bb78ad";
/// A registration token of Google's.
pub const GOOGLE_APP: &str = "bk3RNwTe3H0:CI2k_HHwgIpoDKCIZvvDMExUdFQ3P1";

/// Homes and store in one.
#[derive(Default)]
pub struct Fake {
    pub facts: Mutex<BTreeMap<JobId, PushFacts>>,
    pub ended: Mutex<Vec<Outcome>>,
    pub gone: Mutex<Vec<(Target, u64)>>,
    /// Who shows it, as was said with each outcome.
    pub taken: Mutex<Vec<(JobId, Seq, Vec<Target>)>>,
    pub withdrawn: Mutex<Vec<(JobId, Seq)>>,
    /// A job that failed waits for its time, as it does at home.
    pub keeps_times: AtomicBool,
}

impl Homes for Fake {
    fn jobs(
        &self,
        bay: BayId,
        after: Option<JobId>,
        _limit: u32,
    ) -> Pending<'_, (Vec<(UserId, ChannelId, JobRow)>, bool)> {
        assert!(after.is_none());
        let facts = self.facts.lock().unwrap();
        let of_bay = facts.iter().filter(|((user, _), _)| BayId::of_user(*user) == bay);
        let found = of_bay.filter_map(|((user, channel), facts)| Some((*user, *channel, facts.job.clone()?)));
        let found = found.collect();
        Box::pin(async move { Ok((found, false)) })
    }

    fn facts(&self, job: JobId) -> Pending<'_, PushFacts> {
        let facts = self.facts.lock().unwrap().get(&job).cloned().unwrap_or_default();
        Box::pin(async move { Ok(facts) })
    }

    fn around(&self, _user: UserId, _sender: UserId) -> Pending<'_, Around> {
        Box::pin(async { Ok(Around { sender: Some("Ann".into()), badge: 5 }) })
    }

    fn ended(&self, job: JobId, told: (Seq, u32), outcome: Outcome, taken: Vec<Target>) -> Pending<'_, ()> {
        let seq = told.0;
        let mut all = self.facts.lock().unwrap();
        let facts = all.get_mut(&job).unwrap();
        if let Some(row) = facts.job.as_mut().filter(|row| row.seq == seq) {
            match &outcome {
                Outcome::Done => facts.job = None,
                Outcome::Retry { targets, at_ms, has_failed } => {
                    (row.targets, row.attempts) = (targets.clone(), row.attempts + u16::from(*has_failed));
                    row.is_parked = row.attempts >= ATTEMPTS_MAX;
                    if self.keeps_times.load(Ordering::SeqCst) {
                        row.retry_at_ms = *at_ms;
                    }
                }
                Outcome::Park => row.is_parked = true,
            }
        }
        self.ended.lock().unwrap().push(outcome);
        self.taken.lock().unwrap().push((job, seq, taken));
        Box::pin(async { Ok(()) })
    }

    fn withdrawals(&self, bay: BayId, after: Option<JobId>, _limit: u32) -> Pending<'_, (Vec<JobId>, bool)> {
        assert!(after.is_none());
        let facts = self.facts.lock().unwrap();
        let of_bay = facts.iter().filter(|((user, _), _)| BayId::of_user(*user) == bay);
        let found = of_bay.filter(|(_, facts)| facts.shown.is_some()).map(|(job, _)| *job).collect();
        Box::pin(async move { Ok((found, false)) })
    }

    fn withdrawn(&self, job: JobId, seq: Seq) -> Pending<'_, ()> {
        let mut all = self.facts.lock().unwrap();
        let shown = &mut all.get_mut(&job).unwrap().shown;
        *shown = shown.take().filter(|shown| shown.seq != seq);
        self.withdrawn.lock().unwrap().push((job, seq));
        Box::pin(async { Ok(()) })
    }

    fn gone(&self, _user: UserId, target: Target, made_ms: u64) -> Pending<'_, ()> {
        self.gone.lock().unwrap().push((target, made_ms));
        Box::pin(async { Ok(()) })
    }
}

impl Fake {
    pub fn put(&self, job: JobId, facts: PushFacts) {
        self.facts.lock().unwrap().insert(job, facts);
    }

    pub fn outcomes(&self) -> Vec<Outcome> {
        self.ended.lock().unwrap().clone()
    }
}

pub fn system_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

pub fn job(n: u64) -> JobId {
    (USER, ChannelId::direct(UserId(1000 + n), USER))
}

/// One job for one subscription.
pub fn facts(job: JobId, row: SubscriptionRow, provider: Provider) -> PushFacts {
    let text = SendText { channel: job.1.0, text: "안녕 hello".into() };
    let stamp = protocol::Stamp { seq: Seq(4), time_ms: 9, sender: UserId(10) };
    let row = SubscriptionRow { created_ms: 7, preview: Preview::Text, ..row };
    PushFacts {
        job: Some(JobRow { seq: Seq(4), count: 1, time_ms: system_ms(), ..JobRow::default() }),
        subscriptions: vec![(DEVICE, provider, row)],
        message: Some(encode(SendId(1).0, &text).stamp(stamp)),
        ..PushFacts::default()
    }
}

pub fn hook(origin: &str) -> SubscriptionRow {
    SubscriptionRow { endpoint: format!("{origin}/hook"), secret: vec![9; 32], ..Default::default() }
}

/// Of FCM or APNs.
pub fn app(token: &str) -> SubscriptionRow {
    SubscriptionRow { endpoint: token.into(), ..Default::default() }
}

pub fn vapid() -> Vapid {
    Vapid::passing("mailto:ops@example.org").unwrap()
}

/// Believes nobody.
pub fn no_tls() -> ClientConfig {
    believes(RootCertStore::empty())
}

fn believes(roots: RootCertStore) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(roots).with_no_client_auth()
}

/// Callers of webhooks at these hosts.
pub fn hooks(allowed: &[&str], tls: &ClientConfig) -> Senders {
    let allowed = allowed.iter().map(|host| host.split_once("//").map_or(*host, |(_, host)| host).to_owned());
    Senders::new(vapid(), tls, Allowed::new(allowed.collect()))
}

pub fn start(fake: &Arc<Fake>, senders: Senders) -> (Outbox, Bell) {
    run(Outbox::new(fake.clone(), senders))
}

pub fn run(outbox: Outbox) -> (Outbox, Bell) {
    let (bell, told) = bell();
    tokio::spawn(outbox.clone().run(told));
    (outbox, bell)
}

pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within 60 s");
}

/// One request that a peer has read.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub version: Version,
    /// Which connection it came on, from 0.
    pub connection: usize,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub type Says = Response<Full<Bytes>>;

pub fn says(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Says {
    let answer = Response::builder().status(status);
    let answer = headers.iter().fold(answer, |answer, (name, value)| answer.header(*name, *value));
    answer.body(Full::new(body.into())).unwrap()
}

/// How a peer speaks.
#[derive(Clone)]
pub enum Speaks {
    H1,
    H2,
    /// TLS, and what the caller chooses of these.
    Tls(Arc<ServerConfig>),
}

/// A peer, and what it has read.
#[derive(Clone)]
pub struct Peer {
    pub url: String,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    pub connections: Arc<AtomicUsize>,
}

impl Peer {
    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

/// Answers each request by a function of it and of its number, from 0.
pub async fn peer(speaks: Speaks, script: impl Fn(&Seen, usize) -> Says + Send + Sync + 'static) -> Peer {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = match &speaks {
        Speaks::Tls(_) => format!("https://localhost:{port}"),
        _ => format!("http://127.0.0.1:{port}"),
    };
    let peer = Peer { url, seen: Arc::default(), connections: Arc::default() };
    let (own, script) = (peer.clone(), Arc::new(script));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (own, script, speaks) = (own.clone(), script.clone(), speaks.clone());
            tokio::spawn(async move {
                let connection = own.connections.fetch_add(1, Ordering::SeqCst);
                match speaks {
                    Speaks::H1 => serve(stream, false, (own, connection), script).await,
                    Speaks::H2 => serve(stream, true, (own, connection), script).await,
                    Speaks::Tls(config) => {
                        let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
                        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                        serve(stream, is_h2, (own, connection), script).await;
                    }
                }
            });
        }
    });
    peer
}

async fn serve<S, F>(stream: S, is_h2: bool, (peer, connection): (Peer, usize), script: Arc<F>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(&Seen, usize) -> Says + Send + Sync + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (peer, script) = (peer.clone(), script.clone());
        async move {
            let (head, body) = request.into_parts();
            let seen = Seen {
                path: head.uri.path().to_owned(),
                headers: head.headers,
                body: body.collect().await?.to_bytes().to_vec(),
                version: head.version,
                connection,
            };
            let n = {
                let mut all = peer.seen.lock().unwrap();
                all.push(seen.clone());
                all.len() - 1
            };
            Ok::<_, hyper::Error>(script(&seen, n))
        }
    });
    let stream = TokioIo::new(stream);
    // How a connection ends is the caller's business.
    let _ = if is_h2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await
    } else {
        hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await
    };
}

/// A certificate authority that nobody knows but who is told.
pub struct Authority {
    roots: RootCertStore,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let mut roots = RootCertStore::empty();
        roots.add(params.self_signed(&key).unwrap().der().clone()).unwrap();
        Self { roots, issuer: Issuer::new(params, key) }
    }

    /// For who believes it.
    pub fn believed(&self) -> ClientConfig {
        believes(self.roots.clone())
    }

    /// For a peer of this name, which chooses among these protocols.
    pub fn names(&self, name: &str, alpn: &[&str]) -> Speaks {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let builder = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Speaks::Tls(Arc::new(config))
    }
}

/// Made for these tests by openssl, and of no account anywhere.
pub const SERVICE_ACCOUNT_KEY: &str = include_str!("service-account.pem");

/// The key file of a service account, whose tokens come from there.
pub fn service_account(giver: &str) -> Vec<u8> {
    json!({
        "type": "service_account", "project_id": "maru-test", "private_key_id": "kid-1",
        "private_key": SERVICE_ACCOUNT_KEY, "client_email": "maru@maru-test.iam.gserviceaccount.com",
        "token_uri": format!("{giver}/token"),
    })
    .to_string()
    .into_bytes()
}

pub fn fcm(url: &str) -> Fcm {
    Fcm::new(&service_account(url), url).unwrap()
}

/// APNs, and the public half of its key.
pub fn apns(url: &str) -> (Apns, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let account = apns::Account {
        key_id: "ABC123DEFG".into(),
        team_id: "DEF123GHIJ".into(),
        topic: "org.example.maru".into(),
    };
    let made = Apns::new(key.serialize_pem().as_bytes(), account, url).unwrap();
    (made, key.public_key_raw().to_vec())
}

/// Gives access tokens `grant-1`, `grant-2`, and so on at `/token`, and says this of messages.
pub fn google(
    life_s: u64,
    script: impl Fn(&Seen, usize) -> Says + Send + Sync + 'static,
) -> impl Fn(&Seen, usize) -> Says + Send + Sync + 'static {
    let (given, told) = (AtomicUsize::new(0), AtomicUsize::new(0));
    move |seen: &Seen, _| {
        if seen.path == "/token" {
            let n = given.fetch_add(1, Ordering::SeqCst) + 1;
            let token =
                json!({ "access_token": format!("grant-{n}"), "expires_in": life_s, "token_type": "Bearer" });
            return says(200, &[], token.to_string());
        }
        script(seen, told.fetch_add(1, Ordering::SeqCst))
    }
}
