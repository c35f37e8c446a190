//! One `maru serve` process on a folder of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use client::account::Account;
use client::trust::Trust;
use rustls::pki_types::ServerName;

use crate::io;
use crate::networks::{self, Networks};
use crate::ports;
use crate::raw::Carrier;

/// How long anything may take before the test fails. Time decides nothing else.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub struct Node {
    pub data: PathBuf,
    child: Option<Child>,
    pub http: String,
    /// The admin listener, as `http`.
    pub admin: String,
    pub ws: String,
    /// `host:port`, or empty without QUIC.
    pub quic: String,
    /// What [`crate::raw::Raw`] speaks to it over.
    pub carrier: Carrier,
    /// Whom to take for it where it speaks TLS.
    pub trust: Trust,
    /// The network namespace that it runs in, if it is not ours.
    network: Option<String>,
    args: Vec<String>,
    /// Variables of its environment.
    variables: Vec<(String, String)>,
    /// A command that becomes the server, and its first arguments.
    prefix: Vec<String>,
    /// What a seccomp filter does to whoever asks for io_uring.
    refusal: Option<u32>,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Node {
    /// Starts a node on a fresh folder with so many shards.
    pub fn start(shards: u16, args: &[&str]) -> Self {
        Self::start_at("127.0.0.1", None, shards, args)
    }

    /// The same on this directory, which need not exist and is not removed.
    pub fn start_in(data: &Path, shards: u16, args: &[&str]) -> Self {
        let mut node = Self::down("127.0.0.1", None, args);
        node.data = data.to_owned();
        node.up(shards);
        node
    }

    /// The same with variables in its environment, by a command that becomes the server (or none).
    pub fn start_by(prefix: &[&str], variables: &[(&str, &str)], shards: u16, args: &[&str]) -> Self {
        let mut node = Self::down("127.0.0.1", None, args);
        node.prefix = prefix.iter().map(|word| (*word).to_owned()).collect();
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        node.variables = variables.iter().map(owned).collect();
        node.up(shards);
        node
    }

    /// The same under a seccomp filter that answers with this to io_uring.
    pub fn start_filtered(refusal: u32, shards: u16, args: &[&str]) -> Self {
        let mut node = Self::down("127.0.0.1", None, args);
        node.refusal = Some(refusal);
        node.up(shards);
        node
    }

    /// The same in a network namespace.
    pub fn within(networks: &Networks, shards: u16, args: &[&str]) -> Self {
        // Its addresses are nobody else's, but the server cannot know.
        let args = [args, &["--insecure", "true"]].concat();
        Self::start_at(networks::HOST, Some(networks.node.clone()), shards, &args)
    }

    fn start_at(host: &str, network: Option<String>, shards: u16, args: &[&str]) -> Self {
        let mut node = Self::down(host, network, args);
        node.up(shards);
        node
    }

    fn down(host: &str, network: Option<String>, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            data: folder.path().join("data"),
            child: None,
            http: format!("http://{host}:0"),
            admin: format!("http://{host}:0"),
            ws: format!("ws://{host}:0/ws"),
            quic: String::new(),
            carrier: Carrier::Ws,
            trust: Trust::default(),
            network,
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            variables: Vec::new(),
            prefix: Vec::new(),
            refusal: None,
            log: Arc::default(),
            reader: None,
            _folder: folder,
        }
    }

    /// The same for raw devices over this carrier.
    pub fn over(carrier: Carrier, shards: u16, args: &[&str]) -> Self {
        let mut node = Self::start(shards, args);
        node.carrier = carrier;
        node
    }

    /// Starts the process: at first on ports of its own, then on those it had before.
    pub fn up(&mut self, shards: u16) {
        assert!(self.child.is_none());
        let [http, admin, listen] = [&self.http, &self.admin, &self.ws].map(|url| ports::own(&bare(url)));
        let program = if let Some(program) = self.prefix.first() { Path::new(program) } else { maru() };
        let mut command = Command::new(if self.network.is_some() { Path::new("ip") } else { program });
        if let Some((_, rest)) = self.prefix.split_first() {
            command.args(rest).arg(maru());
        }
        if let Some(network) = &self.network {
            // It becomes the server: the process is the same.
            command.args(["netns", "exec", network]).arg(maru());
        }
        if let Some(refusal) = self.refusal {
            io::refuse(&mut command, refusal);
        }
        let mut child = command
            .env("MARU_IO", io::drawn())
            .args(["serve", "--http", &http, "--admin-listen", &admin, "--listen", &listen])
            .args(["--shards", &shards.to_string(), "--data"])
            .arg(&self.data)
            .args(&self.args)
            .envs(self.variables.iter().map(|(key, value)| (key, value)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        // The log is kept for a failing test and must not fill the pipe.
        let log = self.log.clone();
        self.reader = Some(std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                eprintln!("maru: {line}");
                log.lock().unwrap().push(line);
            }
        }));
        let (lines, ready) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        self.child = Some(child);
        let line = loop {
            let line = ready.recv_timeout(PATIENCE).expect("the node says that it is ready");
            if line.starts_with("maru ready ") {
                break line;
            }
        };
        let word = |key: &str| {
            let found = line.split_whitespace().find_map(|word| word.strip_prefix(key));
            found.unwrap_or_else(|| panic!("{key} in {line:?}")).to_owned()
        };
        (self.http, self.ws, self.admin) = (word("http="), word("ws="), word("admin="));
        let quic = line.split_whitespace().find_map(|word| word.strip_prefix("quic="));
        self.quic = quic.unwrap_or_default().to_owned();
    }

    /// SIGKILL, as a crash would.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM: drains; gives the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let child = self.child.take().unwrap();
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child = Some(child);
        self.ended()
    }

    /// Waits for the end that somebody has asked for; the exit code.
    pub fn ended(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        let since = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                // Its end of the pipe is closed: the rest of the log is read.
                self.reader.take().unwrap().join().unwrap();
                return status.code();
            }
            if since.elapsed() > PATIENCE {
                let _ = child.kill();
                panic!("did not drain");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it has logged until now; all of it once it has stopped.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line of the log that holds all of these.
    pub fn logs(&self, parts: &[&str]) -> String {
        let since = Instant::now();
        loop {
            let found = self.log().into_iter().find(|line| parts.iter().all(|part| line.contains(part)));
            match found {
                Some(line) => return line,
                None if since.elapsed() > PATIENCE => panic!("{parts:?} is not in {:#?}", self.log()),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// SIGHUP: the certificate is read again.
    pub fn hang_up(&self) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    }

    /// `maru admin check` on the stopped directory must find nothing.
    pub fn check(&self) {
        let output = admin(&["check", "--data", self.data.to_str().unwrap()]);
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "admin check: {words}{}", String::from_utf8_lossy(&output.stderr));
    }

    /// `GET /metrics`.
    pub fn metrics(&self) -> String {
        // Off loopback they ask for a token.
        let answer = self.ask_admin("GET", "/metrics", &self.admin_token(), None);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{head}");
        body.to_owned()
    }

    /// The sum of a metric over all its labels that hold `label`.
    pub fn metric(&self, name: &str, label: &str) -> u64 {
        let text = self.metrics();
        let values = text.lines().filter_map(|line| {
            let (key, value) = line.rsplit_once(' ')?;
            let (found, labels) = key.split_once('{').unwrap_or((key, ""));
            (found == name && labels.contains(label)).then(|| value.parse::<u64>().unwrap())
        });
        values.sum()
    }

    /// Memory that the process has resident, KiB.
    pub fn resident_kib(&self) -> u64 {
        let pid = self.child.as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Bytes to the HTTP port, and all that comes back.
    pub fn http_raw(&self, request: &str) -> String {
        if self.http.starts_with("https://") {
            return exchange_over_tls(&bare(&self.http), &self.trust, request.as_bytes());
        }
        exchange(&bare(&self.http), request.as_bytes())
    }

    /// Bytes to the admin listener, and all that comes back.
    pub fn admin_raw(&self, request: &str) -> String {
        exchange(&bare(&self.admin), request.as_bytes())
    }

    /// A request with a JSON body, or none, as whoever has the token; the whole answer.
    pub fn ask(&self, method: &str, path: &str, token: &str, body: Option<&str>) -> String {
        self.http_raw(&request(method, path, token, body))
    }

    /// The same at the admin listener.
    pub fn ask_admin(&self, method: &str, path: &str, token: &str, body: Option<&str>) -> String {
        self.admin_raw(&request(method, path, token, body))
    }

    /// The token that may do everything.
    pub fn admin_token(&self) -> String {
        std::fs::read_to_string(self.data.join("admin.token")).unwrap().trim().to_owned()
    }

    /// A request as the operator.
    pub fn operate(&self, path: &str, body: &str) -> String {
        self.ask_admin("POST", path, &self.admin_token(), Some(body))
    }

    /// Makes a device exist, if the node runs and takes it.
    pub fn admit(&self, user: protocol::UserId, device: u64) {
        if self.child.is_some() {
            self.operate("/v1/admin/token", &format!(r#"{{"user":"{user}","device":"{device}"}}"#));
        }
    }

    /// The certificate of QUIC, PEM.
    pub fn certificate(&self) -> PathBuf {
        self.data.join("tls.crt.pem")
    }

    pub fn account(&self) -> Account {
        Account::with_trust(&self.http, self.trust.clone()).unwrap()
    }

    /// A chat port's address as `host:port`.
    pub fn chat_address(&self) -> String {
        bare(&self.ws)
    }
}

/// `host:port` of a URL.
pub fn bare(url: &str) -> String {
    let rest = url.split_once("://").unwrap().1;
    rest.split('/').next().unwrap().to_owned()
}

/// The same over TLS.
fn exchange_over_tls(address: &str, trust: &Trust, request: &[u8]) -> String {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let session = rustls::ClientConnection::new(trust.config().unwrap(), name).unwrap();
    let mut stream = rustls::StreamOwned::new(session, stream);
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn request(method: &str, path: &str, token: &str, body: Option<&str>) -> String {
    let head = format!("{method} {path} HTTP/1.0\r\nauthorization: Bearer {token}\r\n");
    let rest = body.map_or_else(
        || "\r\n".to_owned(),
        |body| format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()),
    );
    head + &rest
}

/// Sends bytes and reads to the end.
pub fn exchange(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // Who refuses early may close before all is taken.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => panic!("no answer: {error}"),
        _ => String::from_utf8_lossy(&answer).into_owned(),
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub fn maru() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_maru"))
}

pub fn admin(args: &[&str]) -> Output {
    Command::new(maru()).arg("admin").args(args).output().unwrap()
}
