//! The task that makes spans of stamps and sends them: OTLP over HTTP, as JSON, to a collector beside the server.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::otlp::{self, Origin};
use super::{Spans, Stamp};
use crate::latency::Latency;

/// How often stamps are taken.
const EVERY: Duration = Duration::from_secs(1);
/// A message of which nothing was heard in so many rounds is whole: a slow disk and a full shard have had their time.
const QUIET_ROUNDS: u32 = 5;
/// Messages that are put together at a time.
const MESSAGES_MAX: usize = 4096;
/// Stamps of one of them.
const STAMPS_OF_ONE_MAX: usize = 64;
/// Messages in one request.
const MESSAGES_PER_REQUEST: usize = 256;
/// A collector that takes longer is given up for this time.
const PATIENCE: Duration = Duration::from_secs(5);
/// The first line of an answer is within so many bytes.
const ANSWER_BYTES: usize = 1024;
/// Failures are told in the log this often.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// The port of OTLP over HTTP, and its path for traces.
const PORT: u16 = 4318;
const PATH: &str = "/v1/traces";

/// Where a collector listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// As it goes into `Host` and into a look-up.
    authority: String,
    path: String,
}

impl Endpoint {
    /// `http://HOST[:PORT][/PATH]`. A collector elsewhere is reached by one beside the server: that one speaks TLS and retries.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("http://")?;
        let (authority, path) = rest
            .split_once('/')
            .map_or_else(|| (rest, PATH.to_owned()), |(authority, path)| (authority, format!("/{path}")));
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let host_only = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
        let (host, port) =
            host_only.map_or((authority, Some(PORT)), |(host, port)| (host, port.parse().ok()));
        let is_host = !host.is_empty() && is_plain(authority) && !authority.contains('@');
        let authority = format!("{host}:{}", port?);
        (is_host && is_plain(&path)).then_some(Self { authority, path })
    }
}

/// The task, and how it is ended.
#[derive(Debug)]
pub struct Exporter {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Exporter {
    /// Starts it, if anything is traced.
    #[must_use]
    pub fn start(runtime: &Runtime, latency: &Latency, endpoint: Option<&Endpoint>) -> Option<Self> {
        let (spans, endpoint) = (latency.spans()?.clone(), endpoint?.clone());
        let unix_ns = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let zero_unix_ns = u64::try_from(unix_ns).unwrap_or(u64::MAX).saturating_sub(latency.now_ns());
        // Ids must differ from process to process; without randomness the time does.
        let origin = Origin { trace: getrandom::u64().unwrap_or(zero_unix_ns), zero_unix_ns };
        let gather = Gather { spans, endpoint, origin, messages: HashMap::new(), told: None };
        let (end, ended) = oneshot::channel();
        Some(Self { end, task: runtime.spawn(gather.run(ended)) })
    }

    /// Sends what is there, for a bounded time.
    pub fn end(self, runtime: &Runtime) {
        drop(self.end);
        let _ = runtime.block_on(async { timeout(PATIENCE, self.task).await });
    }
}

/// What is known of one message.
#[derive(Debug, Default)]
struct Known {
    stamps: Vec<Stamp>,
    quiet: u32,
}

struct Gather {
    spans: Arc<Spans>,
    endpoint: Endpoint,
    origin: Origin,
    messages: HashMap<u64, Known>,
    /// When a failure was last told.
    told: Option<Instant>,
}

impl Gather {
    async fn run(mut self, mut ended: oneshot::Receiver<()>) {
        let mut rounds = interval(EVERY);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_last = tokio::select! {
                _ = rounds.tick() => false,
                _ = &mut ended => true,
            };
            self.take();
            let whole = self.whole(is_last);
            for messages in whole.chunks(MESSAGES_PER_REQUEST) {
                self.send(messages).await;
            }
            if is_last {
                return;
            }
        }
    }

    fn take(&mut self) {
        for known in self.messages.values_mut() {
            known.quiet += 1;
        }
        while let Some(stamp) = self.spans.take() {
            let is_full = self.messages.len() >= MESSAGES_MAX && !self.messages.contains_key(&stamp.id);
            if is_full {
                self.lose(1);
                continue;
            }
            let known = self.messages.entry(stamp.id).or_default();
            known.quiet = 0;
            if known.stamps.len() < STAMPS_OF_ONE_MAX {
                known.stamps.push(stamp);
            }
        }
    }

    /// The spans of each message of which nothing more is to come.
    fn whole(&mut self, is_last: bool) -> Vec<Vec<Value>> {
        let origin = self.origin;
        let done = self.messages.extract_if(|_, known| is_last || known.quiet >= QUIET_ROUNDS);
        let spans = done.map(|(id, known)| otlp::spans(origin, id, &known.stamps));
        spans.filter(|spans| !spans.is_empty()).collect()
    }

    async fn send(&mut self, messages: &[Vec<Value>]) {
        let body = otlp::request(messages.iter().flatten().cloned().collect()).to_string();
        let sent = timeout(PATIENCE, post(&self.endpoint, &body)).await;
        let sent = sent.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)));
        match sent {
            Ok(()) => {
                self.spans.exported.fetch_add(messages.len() as u64, Ordering::Relaxed);
            }
            Err(error) => {
                self.lose(messages.len());
                if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                    self.told = Some(Instant::now());
                    let endpoint = &self.endpoint.authority;
                    tracing::warn!(endpoint, %error, "the collector takes no traces; they are lost");
                }
            }
        }
    }

    fn lose(&self, count: usize) {
        self.spans.lost.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// One request on a connection of its own: there are few.
async fn post(endpoint: &Endpoint, body: &str) -> io::Result<()> {
    let Endpoint { authority, path } = endpoint;
    let mut stream = TcpStream::connect(authority.as_str()).await?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut answer = Vec::with_capacity(ANSWER_BYTES);
    while !answer.contains(&b'\n') && answer.len() < ANSWER_BYTES {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    let text = String::from_utf8_lossy(&answer);
    let status = text.lines().next().unwrap_or_default();
    match status.split(' ').nth(1) {
        Some(code) if status.starts_with("HTTP/1.") && code.starts_with('2') => Ok(()),
        _ => Err(io::Error::other(format!("it answers {:?}", status.chars().take(80).collect::<String>()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_collector_may_be() {
        let at = |text: &str| Endpoint::parse(text).map(|it| format!("{}{}", it.authority, it.path));
        let good = [
            ("http://127.0.0.1", "127.0.0.1:4318/v1/traces"),
            ("http://collector:4319", "collector:4319/v1/traces"),
            ("http://[::1]", "[::1]:4318/v1/traces"),
            ("http://[::1]:9/x/y", "[::1]:9/x/y"),
        ];
        for (text, found) in good {
            assert_eq!(at(text).as_deref(), Some(found));
        }
        for text in
            ["", "collector:4318", "https://collector", "http://", "http://a:b", "http://u@h", "http://a b"]
        {
            assert_eq!(at(text), None, "{text}");
        }
    }
}
