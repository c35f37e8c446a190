//! `pushes`: what a push costs by Web Push, a webhook, FCM and APNs, over TLS to a sink on this machine.

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use benches::run::Outcome;
use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use protocol::body::encode;
use protocol::body::message::SendText;
use protocol::commit::{JobRow, Preview, Provider, SubscriptionRow, Target};
use protocol::query::PushFacts;
use protocol::{BayId, ChannelId, DeviceId, Seq, Stamp, UserId};
use push::address::Allowed;
use push::apns::{Account, Apns};
use push::fcm::Fcm;
use push::notice::Around;
use push::outbox::{Homes, JobId, JobsPage, Outbox, Outcome as Ended, Pending, bell};
use push::senders::Senders;
use push::vapid::Vapid;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustix::time::{ClockId, clock_gettime};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

/// Prints a table. The outbox has one thread, whose CPU time is what is counted; jobs and homes are in memory, and the sink has threads of
/// its own. TLS, signatures and encryption are real.
#[derive(Parser)]
struct Flags {
    /// Jobs of each provider
    #[arg(long, default_value_t = 20_000)]
    jobs: u64,
    /// Only this one: webpush, webhook, fcm or apns
    #[arg(long)]
    provider: Option<String>,
}

/// Made for tests by openssl, and of no account anywhere.
const SERVICE_ACCOUNT_KEY: &str = include_str!("../../../server/push/tests/world/service-account.pem");
/// Jobs before those that are measured: they connect, and get tokens.
const FIRST: u64 = 200;
/// Longer than any of it takes.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    if let Err(error) = run(&Flags::parse()) {
        eprintln!("pushes: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(flags: &Flags) -> Outcome<()> {
    let providers = match &flags.provider {
        None => Provider::ALL.to_vec(),
        Some(word) => vec![Provider::from_word(word).ok_or("expected webpush, webhook, fcm or apns")?],
    };
    let sinks = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    println!("| provider | pushes | pushes/s | CPU a push | pushes/s of a whole core |");
    println!("|---|---:|---:|---:|---:|");
    for provider in providers {
        // One thread, so that its CPU time is all of the outbox's.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (sink, url) = Sink::new()?;
        let senders = senders(provider, &sink, &url)?;
        sinks.spawn(sink.serve());
        let (wall, cpu) = runtime.block_on(measure(provider, senders, &url, flags.jobs))?;
        let (jobs, cpu_us) = (flags.jobs as f64, cpu.as_secs_f64() * 1e6);
        println!(
            "| {} | {} | {:.0} | {:.1} us | {:.0} |",
            provider.word(),
            flags.jobs,
            jobs / wall.as_secs_f64(),
            cpu_us / jobs,
            jobs / cpu_us * 1e6,
        );
    }
    Ok(())
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

async fn measure(
    provider: Provider,
    senders: Senders,
    url: &str,
    jobs: u64,
) -> Outcome<(Duration, Duration)> {
    let homes = Arc::new(Memory::new(row(provider, url)?, provider, FIRST + jobs)?);
    let outbox = Outbox::new(homes.clone(), senders);
    let (bell, told) = bell();
    tokio::spawn(outbox.clone().run(told));
    homes.wait_for(FIRST).await?;
    let (began, cpu) = (Instant::now(), thread_cpu());
    // What did not fit into the first page of a bay is read now.
    homes.open.store(FIRST + jobs, Ordering::SeqCst);
    for user in FIRST..FIRST + jobs {
        bell.ring(of_user(user));
        if user % 1024 == 0 {
            tokio::task::yield_now().await;
        }
    }
    homes.wait_for(FIRST + jobs).await?;
    let spent = (began.elapsed(), thread_cpu().saturating_sub(cpu));
    let sent = outbox.figures().of(provider).sent.load(Ordering::SeqCst);
    if sent != FIRST + jobs {
        return Err(format!("{sent} of {} were sent: {:?}", FIRST + jobs, outbox.figures()).into());
    }
    Ok(spent)
}

/// A subscription at the sink.
fn row(provider: Provider, url: &str) -> Outcome<SubscriptionRow> {
    let row = SubscriptionRow { preview: Preview::Text, ..SubscriptionRow::default() };
    Ok(match provider {
        Provider::WebPush => SubscriptionRow {
            endpoint: format!("{url}/wpush/v2/x"),
            key: KeyPair::generate()?.public_key_raw().to_vec(),
            secret: vec![7; 16],
            ..row
        },
        Provider::Webhook => SubscriptionRow { endpoint: format!("{url}/hook"), secret: vec![9; 32], ..row },
        Provider::Fcm => {
            SubscriptionRow { endpoint: "bk3RNwTe3H0:CI2k_HHwgIpoDKCIZvvDMExUdFQ3P1".into(), ..row }
        }
        Provider::Apns => SubscriptionRow { endpoint: "740f4707bebcf74f".repeat(4), ..row },
    })
}

fn senders(provider: Provider, sink: &Sink, url: &str) -> Outcome<Senders> {
    let host = url.strip_prefix("https://").unwrap_or(url).to_owned();
    let vapid = Vapid::passing("mailto:ops@example.org")?;
    let senders = Senders::new(vapid, &sink.believed, Allowed::new(vec![host]));
    Ok(match provider {
        Provider::WebPush | Provider::Webhook => senders,
        Provider::Fcm => {
            let account = json!({
                "project_id": "maru-bench", "private_key": SERVICE_ACCOUNT_KEY,
                "client_email": "maru@maru-bench.iam.gserviceaccount.com", "token_uri": format!("{url}/token"),
            });
            senders.with_fcm(Fcm::new(account.to_string().as_bytes(), url)?)
        }
        Provider::Apns => {
            let (key_id, team_id) = ("ABC123DEFG".into(), "DEF123GHIJ".into());
            let account = Account { key_id, team_id, topic: "org.example.maru".into() };
            senders.with_apns(Apns::new(KeyPair::generate()?.serialize_pem().as_bytes(), account, url)?)
        }
    })
}

fn of_user(user: u64) -> JobId {
    let user = UserId(1000 + user);
    (user, ChannelId::direct(UserId(7), user))
}

/// A home of users who are all to be told the same.
struct Memory {
    facts: PushFacts,
    /// Users below this have a job.
    open: AtomicU64,
    ended: AtomicU64,
    failed: AtomicU64,
    has_ended: Notify,
}

impl Memory {
    fn new(row: SubscriptionRow, provider: Provider, jobs: u64) -> Outcome<Self> {
        if jobs > push::limits::TOLD_MAX as u64 {
            return Err(format!("{jobs} jobs; at most {}", push::limits::TOLD_MAX).into());
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let text = SendText {
            channel: of_user(0).1.0,
            text: "Shall we meet at seven? 일곱 시에 볼까요?".into(),
        };
        let stamp = Stamp { seq: Seq(4), time_ms: 9, sender: UserId(7) };
        let job =
            JobRow { seq: Seq(4), count: 1, time_ms: u64::try_from(now.as_millis())?, ..JobRow::default() };
        let facts = PushFacts {
            job: Some(job),
            subscriptions: vec![(DeviceId(3), provider, row)],
            message: Some(encode(1, &text).stamp(stamp)),
            ..PushFacts::default()
        };
        let (ended, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self { facts, open: AtomicU64::new(FIRST), ended, failed, has_ended: Notify::new() })
    }

    async fn wait_for(&self, count: u64) -> Outcome<()> {
        let all = async {
            loop {
                let changed = self.has_ended.notified();
                if self.ended.load(Ordering::SeqCst) >= count || self.failed.load(Ordering::SeqCst) > 0 {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(PATIENCE, all).await.map_err(|_| "the jobs take too long")?;
        match self.failed.load(Ordering::SeqCst) {
            0 => Ok(()),
            failed => Err(format!("{failed} jobs failed").into()),
        }
    }
}

impl Homes for Memory {
    fn jobs(&self, bay: BayId, _after: Option<JobId>, _limit: u32) -> Pending<'_, JobsPage> {
        let all = (0..self.open.load(Ordering::SeqCst)).map(of_user);
        let of_bay = all.filter(|(user, _)| BayId::of_user(*user) == bay);
        let found = of_bay.map(|(user, channel)| (user, channel, self.facts.job.clone().unwrap_or_default()));
        let found = found.collect();
        Box::pin(async { Ok((found, false)) })
    }

    fn facts(&self, _job: JobId) -> Pending<'_, PushFacts> {
        let facts = self.facts.clone();
        Box::pin(async { Ok(facts) })
    }

    fn around(&self, _user: UserId, _sender: UserId) -> Pending<'_, Around> {
        Box::pin(async { Ok(Around { sender: Some("Ann".into()), badge: 5 }) })
    }

    fn ended(&self, _job: JobId, _told: (Seq, u32), outcome: Ended, _taken: Vec<Target>) -> Pending<'_, ()> {
        let figure = if outcome == Ended::Done { &self.ended } else { &self.failed };
        figure.fetch_add(1, Ordering::SeqCst);
        self.has_ended.notify_waiters();
        Box::pin(async { Ok(()) })
    }

    fn withdrawals(&self, _: BayId, _: Option<JobId>, _: u32) -> Pending<'_, (Vec<JobId>, bool)> {
        Box::pin(async { Ok((Vec::new(), false)) })
    }

    fn withdrawn(&self, _job: JobId, _seq: Seq) -> Pending<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn gone(&self, _user: UserId, _target: Target, _made_ms: u64) -> Pending<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// Takes whatever it is sent.
struct Sink {
    listener: std::net::TcpListener,
    tls: TlsAcceptor,
    /// For who believes it.
    believed: ClientConfig,
}

impl Sink {
    fn new() -> Outcome<(Self, String)> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let url = format!("https://localhost:{}", listener.local_addr()?.port());
        let key = KeyPair::generate()?;
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let mut roots = RootCertStore::empty();
        roots.add(authority.self_signed(&key)?.der().clone())?;
        let own = KeyPair::generate()?;
        let names = CertificateParams::new(vec!["localhost".to_owned()])?;
        let certificate = names.signed_by(&own, &Issuer::new(authority, key))?;
        let crypto = Arc::new(rustls::crypto::ring::default_provider());
        let server =
            ServerConfig::builder_with_provider(crypto.clone()).with_safe_default_protocol_versions()?;
        let own = PrivateKeyDer::try_from(own.serialize_der())?;
        let mut tls = server.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], own)?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let client = ClientConfig::builder_with_provider(crypto).with_safe_default_protocol_versions()?;
        let believed = client.with_root_certificates(roots).with_no_client_auth();
        Ok((Self { listener, tls: Arc::new(tls).into(), believed }, url))
    }

    async fn serve(self) {
        let Ok(listener) = TcpListener::from_std(self.listener) else { return };
        while let Ok((stream, _)) = listener.accept().await {
            let tls = self.tls.clone();
            tokio::spawn(async move {
                let Ok(stream) = tls.accept(stream).await else { return };
                let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let (stream, service) = (TokioIo::new(stream), service_fn(take));
                // How a connection ends is the outbox's business.
                let _ = if is_h2 {
                    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    server.serve_connection(stream, service).await
                } else {
                    hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await
                };
            });
        }
    }
}

async fn take(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let is_token = request.uri().path() == "/token";
    request.into_body().collect().await?;
    let body = if is_token { r#"{"access_token":"grant","expires_in":3600}"# } else { "" };
    Ok(Response::new(Full::new(Bytes::from_static(body.as_bytes()))))
}
