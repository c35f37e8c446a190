//! TLS from end to end: devices on wss, certificates that are replaced, broken, expired or not the right ones, clients that do not
//! speak TLS, and somebody in between who announces another certificate.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use client::account::{Account, AccountError};
use client::dial::Transport;
use client::trust::Trust;
use protocol::ChannelId;

use crate::node::{Node, PATIENCE, admin, bare, exchange, maru};
use crate::pair::Pair;
use crate::people::{Device, PASSWORD, until};
use crate::raw::REQUEST;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A certificate for this machine, signed by nobody but itself, and its key.
struct Papers {
    folder: tempfile::TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

impl Papers {
    /// Valid for so many days from now on; below 0 it has expired.
    fn new(days: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
        let papers = Self { folder, certificate, key };
        papers.replace(days);
        papers
    }

    /// Other ones in their place. Returns what was announced before and is now.
    fn replace(&self, days: i64) {
        let pair = rcgen::KeyPair::generate().unwrap();
        let names = ["localhost", "127.0.0.1"].map(str::to_owned).to_vec();
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        let shift = DAY * u32::try_from(days.unsigned_abs()).unwrap();
        let now = SystemTime::now();
        params.not_before = (now - 400 * DAY).into();
        params.not_after = if days < 0 { now - shift } else { now + shift }.into();
        let signed = params.self_signed(&pair).unwrap();
        put(&self.certificate, &signed.pem());
        put(&self.key, &pair.serialize_pem());
    }

    fn flags(&self) -> Vec<String> {
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        ["--tls-cert".into(), path(&self.certificate), "--tls-key".into(), path(&self.key)].into()
    }

    /// Whoever shows the certificate of now.
    fn trust(&self) -> Trust {
        Trust::authorities(&self.certificate).unwrap()
    }

    /// SHA-256 of the certificate of now.
    fn fingerprint(&self) -> String {
        fingerprint(&self.certificate)
    }

    fn start(&self, shards: u16, args: &[&str]) -> Node {
        let flags = self.flags();
        let all: Vec<&str> = flags.iter().map(String::as_str).chain(args.iter().copied()).collect();
        let mut node = Node::start(shards, &all);
        node.trust = self.trust();
        node
    }
}

/// Written aside and renamed, as who renews certificates does.
fn put(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let aside = path.with_extension("new");
    std::fs::write(&aside, text).unwrap();
    std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(&aside, path).unwrap();
}

fn fingerprint(certificate: &Path) -> String {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let der = CertificateDer::from_pem_file(certificate).unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA256, &der);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn metric(node: &Node, name: &str) -> u64 {
    tokio::task::block_in_place(|| node.metric(name, ""))
}

async fn until_metric(node: &Node, name: &str, value: u64) {
    let what = format!("{name} is {value}");
    until(&what, || tokio::task::block_in_place(|| node.metric(name, "")) == value).await;
}

fn told(device: &Device) -> usize {
    device.held.lock().unwrap().messages.values().map(BTreeMap::len).sum()
}

fn is_live(device: &Device) -> bool {
    device.held.lock().unwrap().live
}

fn untrusted(error: &AccountError, words: &str) {
    assert_eq!(error.code(), "untrusted", "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_talk_over_tls_wherever_they_live_and_come_back_after_a_kill() {
    let papers = Papers::new(90);
    let mut node = papers.start(4, &[]);
    assert!(node.http.starts_with("https://") && node.ws.starts_with("wss://"), "{} {}", node.http, node.ws);
    let account = node.account();
    let mut people = Vec::new();
    for n in 0..8 {
        let name = format!("person{n}");
        account.signup(&name, PASSWORD).await.unwrap();
        people.push(Device::login_over(&account, &name, Transport::Ws).await);
    }
    until("all are live", || people.iter().all(is_live)).await;
    // 8 connections by chance on 4 shards: that all are at home happens once in 65,536 runs.
    assert!(metric(&node, "maru_handed_over_total").await > 0);
    assert_eq!(metric(&node, "maru_tls_handshakes_total").await, 8);
    let long = "가".repeat(100_000);
    for (n, device) in people.iter().enumerate() {
        let next = &people[(n + 1) % people.len()];
        let channel = ChannelId::direct(device.user, next.user);
        device.say(channel, &long).await;
        device.say(channel, "and this").await;
    }
    until("all are told", || people.iter().all(|device| told(device) == 4)).await;
    node.kill();
    node.up(2);
    for (n, device) in people.iter().enumerate() {
        let next = &people[(n + 1) % people.len()];
        device.say(ChannelId::direct(device.user, next.user), "after the kill").await;
    }
    until("all are told again", || people.iter().all(|device| told(device) == 6)).await;
    for device in &people {
        let held = device.held.lock().unwrap();
        assert!(
            held.faults.is_empty() && held.untrusted.is_empty(),
            "{:?} {:?}",
            held.faults,
            held.untrusted
        );
        assert!(held.messages.values().all(|messages| messages.values().any(|text| *text == long)));
    }
    assert_eq!(metric(&node, "maru_tls_faults_total").await, 0);
    assert_eq!(node.stop(), Some(0));
    node.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_replaced_while_devices_talk_and_nobody_is_dropped() {
    let papers = Papers::new(90);
    let mut node = papers.start(2, &[]);
    let pair = Pair::over(&node, Some(Transport::Ws)).await;
    let account = node.account();
    account.signup("quick", PASSWORD).await.unwrap();
    let quick = Device::login_over(&account, "quick", Transport::Quic).await;
    until("it is live", || is_live(&quick)).await;
    let hellos = metric(&node, "maru_hellos_total").await;
    let (old, old_trust) = (papers.fingerprint(), papers.trust());
    pair.beat().await;

    papers.replace(60);
    node.hang_up();
    // Until then the old one is shown, and afterwards the new one, to connections of every sort.
    until("the new one is served", || {
        let is_new = tokio::task::block_in_place(|| shown(&node)) == papers.fingerprint();
        let is_old = tokio::task::block_in_place(|| shown(&node)) == old;
        is_new || !is_old
    })
    .await;
    node.trust = papers.trust();
    assert_eq!(metric(&node, "maru_certificate_reloads_total").await, 1);
    assert_eq!(metric(&node, "maru_certificate_stale").await, 0);
    assert!((59..=60).contains(&metric(&node, "maru_certificate_days_left").await));
    pair.beat().await;
    assert_eq!(metric(&node, "maru_hellos_total").await, hellos, "nobody had to come back");
    let before = Account::with_trust(&node.http, old_trust).unwrap();
    untrusted(&before.login("quick", PASSWORD, None).await.unwrap_err(), "certificate");
    let login = node.account().login("quick", PASSWORD, None).await.unwrap();
    let route = node.account().route(&login.token).await.unwrap();
    let announced: String =
        route.quic.unwrap().fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(announced, papers.fingerprint());

    // Without a signal the files are seen to have changed.
    papers.replace(30);
    let trust = papers.trust();
    until("the third one is served", || tokio::task::block_in_place(|| shown(&node)) == papers.fingerprint())
        .await;
    node.trust = trust;
    pair.end().await;
    assert_eq!(metric(&node, "maru_certificate_reloads_total").await, 2);
    assert!(is_live(&quick) && quick.held.lock().unwrap().connects == 1);
}

/// SHA-256 of the certificate that the chat port shows.
fn shown(node: &Node) -> String {
    let trust = Trust::pin(&"00".repeat(32)).unwrap();
    let stream = TcpStream::connect(node.chat_address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let seen = Arc::new(Seen::default());
    let mut config = (*trust.config().unwrap()).clone();
    config.dangerous().set_certificate_verifier(seen.clone());
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = rustls::StreamOwned::new(session, stream);
    // It gets as far as the certificate, which is all that is wanted.
    let _ = stream.write_all(b"x");
    let found = seen.0.lock().unwrap().clone();
    found.expect("a certificate")
}

/// Takes nobody for the server, and keeps who it was.
#[derive(Debug, Default)]
struct Seen(std::sync::Mutex<Option<String>>);

impl rustls::client::danger::ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        end_entity: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        let digest = ring::digest::digest(&ring::digest::SHA256, end_entity);
        let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        *self.0.lock().unwrap() = Some(hex);
        Err(rustls::Error::General("seen".into()))
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("seen".into()))
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("seen".into()))
    }
    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_certificate_changes_nothing_and_is_counted() {
    let papers = Papers::new(90);
    let node = papers.start(1, &[]);
    let first = papers.fingerprint();
    put(&papers.key, "nothing");
    node.hang_up();
    until_metric(&node, "maru_certificate_stale", 1).await;
    papers.replace(-1);
    node.hang_up();
    until("the expired one is refused", || {
        tokio::task::block_in_place(|| node.metric("maru_certificate_reload_errors_total", "")) >= 2
    })
    .await;
    assert_eq!(tokio::task::block_in_place(|| shown(&node)), first);
    assert!(metric(&node, "maru_certificate_days_left").await >= 89);
    assert_eq!(metric(&node, "maru_certificate_reloads_total").await, 0);
    assert!(papers.folder.path().exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_the_server_is_told_and_hears_nothing() {
    let papers = Papers::new(90);
    let mut node = papers.start(1, &[]);
    let pin = Trust::pin(&papers.fingerprint()).unwrap();
    let account = Account::with_trust(&node.http, pin).unwrap();
    account.signup("ann", PASSWORD).await.unwrap();
    let wrong = Account::with_trust(&node.http, Trust::pin(&"ab".repeat(32)).unwrap()).unwrap();
    untrusted(&wrong.login("ann", PASSWORD, None).await.unwrap_err(), "not the one");
    let other = Papers::new(90);
    let stranger = Account::with_trust(&node.http, other.trust()).unwrap();
    untrusted(&stranger.login("ann", PASSWORD, None).await.unwrap_err(), "certificate");
    let by_name = node.http.replace("127.0.0.1", "127.0.0.2");
    let elsewhere = Account::with_trust(&by_name, papers.trust()).unwrap();
    let error = elsewhere.login("ann", PASSWORD, None).await.unwrap_err();
    assert!(matches!(error.code(), "untrusted" | "unreachable"), "{error}");

    // A device that knows one certificate meets another, says nothing, and comes back when the right one is there.
    let ann = Device::login_over(&account, "ann", Transport::Ws).await;
    until("ann is live", || is_live(&ann)).await;
    node.kill();
    let kept = [&papers.certificate, &papers.key].map(|path| std::fs::read_to_string(path).unwrap());
    papers.replace(90);
    node.up(1);
    until("ann is told", || !ann.held.lock().unwrap().untrusted.is_empty()).await;
    assert!(ann.held.lock().unwrap().untrusted[0].contains("not the one"));
    node.trust = papers.trust();
    assert_eq!(metric(&node, "maru_hellos_total").await, 0);
    put(&papers.certificate, &kept[0]);
    put(&papers.key, &kept[1]);
    node.hang_up();
    until("ann is back", || is_live(&ann)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_certificate_is_refused_by_clients() {
    let papers = Papers::new(-3);
    let node = papers.start(1, &[]);
    let error = node.account().login("ann", PASSWORD, None).await.unwrap_err();
    untrusted(&error, "expired");
    // Whoever knows it by its fingerprint still comes in, and the operator sees what is the matter.
    let pin = papers.fingerprint();
    let stats = admin(&["stats", "--server", &node.admin]);
    let text = String::from_utf8(stats.stdout).unwrap();
    let days = text.lines().find_map(|line| line.strip_prefix("maru_certificate_days_left "));
    assert!(days.is_some_and(|days| days.starts_with('-')), "{days:?}");
    // The tools speak TLS where a server does: this one lets itself be asked, and has no metrics at its public port.
    for (pin, words) in [(pin, "404"), ("ab".repeat(32), "not trusted")] {
        let refused = admin(&["stats", "--server", &node.http, "--pin", &pin]);
        assert!(!refused.status.success());
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn who_does_not_speak_tls_is_told_so_on_both_ports() {
    let papers = Papers::new(90);
    let node = papers.start(1, &["--hello-timeout-ms", "500"]);
    let answer = exchange(&node.chat_address(), REQUEST.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("wss://"), "{answer}");
    let answer = exchange(&bare(&node.http), b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https://"), "{answer}");
    // Half a handshake ends by time, as does silence.
    for said in [&[22, 3, 1, 2, 0, 1][..], &[]] {
        let mut stream = TcpStream::connect(node.chat_address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(said).unwrap();
        assert_eq!(stream.read(&mut [0; 10]).unwrap_or(0), 0);
    }
    // Garbage behind the first byte, too.
    let mut stream = TcpStream::connect(node.chat_address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(&[22; 5000]);
    while stream.read(&mut [0; 100]).is_ok_and(|len| len > 0) {}
    assert!(node.metric("maru_tls_faults_total", "") >= 2);
    assert!(node.http_raw("GET /healthz HTTP/1.0\r\nhost: 127.0.0.1\r\n\r\n").contains(" 200 "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_tls_finds_none_and_says_so() {
    let node = Node::start(1, &[]);
    let trust = Trust::pin(&"ab".repeat(32)).unwrap();
    let account = Account::with_trust(&node.http.replace("http:", "https:"), trust).unwrap();
    let error = account.login("ann", PASSWORD, None).await.unwrap_err();
    assert_eq!(error.code(), "unreachable");
    assert!(error.to_string().contains("does not speak TLS"), "{error}");
}

#[test]
fn our_own_certificate_serves_people_who_know_its_fingerprint() {
    let node = Node::start(1, &["--tls", "on"]);
    let pin = fingerprint(&node.certificate());
    let mut child = Command::new(maru())
        .args(["chat", "--server", &node.http, "--json", "--transport", "ws", "--pin", &pin])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for cmd in ["signup", "login"] {
        writeln!(stdin, r#"{{"cmd":"{cmd}","name":"ann","password":"long enough 1"}}"#).unwrap();
    }
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains(r#""event":"ready""#)));
    assert!(ready.is_some());
    writeln!(stdin, r#"{{"cmd":"quit"}}"#).unwrap();
    lines.for_each(drop);
    assert!(child.wait().unwrap().success());
}

/// What a start that fails says.
fn refused_start(args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let Output { status, stderr, .. } = Command::new(maru())
        .args(["serve", "--data"])
        .arg(folder.path().join("data"))
        .args(args)
        .output()
        .unwrap();
    assert_eq!(status.code(), Some(1));
    String::from_utf8(stderr).unwrap()
}

#[test]
fn a_start_says_what_is_wrong_with_tls() {
    let words = refused_start(&["--http", "192.0.2.1:1"]);
    assert!(words.contains("http is 192.0.2.1:1") && words.contains("insecure = true"), "{words}");
    let papers = Papers::new(90);
    let flags = papers.flags();
    let [certificate, path, ..] = [0, 1].map(|at| flags[at].as_str());
    let words = refused_start(&[certificate, path]);
    assert!(words.contains("tls_key"), "{words}");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&papers.key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let words = refused_start(&[&flags[..], &["--http", "127.0.0.1:0", "--listen", "127.0.0.1:0"]].concat());
    assert!(words.contains("mode is 644") && words.contains("chmod 600"), "{words}");
}

/// Passes bytes between clients and a node's HTTP port, and while it lies announces another certificate.
struct Relay {
    address: String,
    lies: Arc<AtomicBool>,
}

impl Relay {
    fn start(node: &Node) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let lies = Arc::new(AtomicBool::new(true));
        let (to, real, is_lying) = (bare(&node.http), fingerprint(&node.certificate()), lies.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&to) else { return };
                let (up, down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut &up, &mut &down).map(|_| ()));
                let (real, is_lying) = (real.clone(), is_lying.clone());
                std::thread::spawn(move || {
                    let _ = pass(server, client, &real, &is_lying);
                });
            }
        });
        Self { address, lies }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, real: &str, lies: &AtomicBool) -> std::io::Result<()> {
    let mut bytes = [0; 16 * 1024];
    loop {
        let len = from.read(&mut bytes)?;
        if len == 0 {
            return to.shutdown(std::net::Shutdown::Both);
        }
        let text = String::from_utf8_lossy(&bytes[..len]).into_owned();
        let text = if lies.load(Ordering::Acquire) { text.replace(real, &"ab".repeat(32)) } else { text };
        to.write_all(text.as_bytes())?;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_was_not_announced_is_told_and_no_reason_to_go_on_in_clear() {
    // Where the WebSocket would be, somebody takes connections and never says a word: a client that fell back would wait there.
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    let chat = format!("ws://{}/ws", trap.local_addr().unwrap());
    let node = Node::start(1, &["--chat-url", &chat]);
    let relay = Relay::start(&node);
    let account = Account::new(&format!("http://{}", relay.address)).unwrap();
    account.signup("ann", PASSWORD).await.unwrap();
    let ann = Device::login_over(&account, "ann", Transport::Auto).await;
    until("ann is told, and again", || ann.held.lock().unwrap().untrusted.len() > 1).await;
    let told = ann.held.lock().unwrap().untrusted[0].clone();
    assert!(told.contains("announced") && told.contains(&node.quic), "{told}");
    assert!(!is_live(&ann));
    assert_eq!(metric(&node, "maru_hellos_total").await, 0);
    relay.lies.store(false, Ordering::Release);
    until("ann is live", || is_live(&ann)).await;
    assert!(ann.client().is_quic());
}
