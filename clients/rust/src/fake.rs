//! A server for tests of this crate: accounts and one inbox that everybody shares, in memory, on a loopback port.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use protocol::body::message::channel_of;
use protocol::body::session::{Done, Hello, Reauth, Welcome};
use protocol::body::sync::{Channels, Complete, GetHistory, HistoryPage, SendAck};
use protocol::body::{encode, read};
use protocol::limits::WS_MESSAGE_BYTES_MAX;
use protocol::ws::{ControlFrame, Decoder, Event, Opcode, Role, accept_key, encode_header};
use protocol::{ChannelId, Code, Frame, Header, Kind, Refusal, Seq, Stamp, UserId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Debug, Default)]
pub(crate) struct World {
    users: BTreeMap<String, u64>,
    log: Vec<Frame>,
    /// Connections are cut when this many more frames were taken, before they are stored.
    pub(crate) cut_after: Option<usize>,
    /// Tokens with a smaller serial number have ended.
    pub(crate) first_good_token: u64,
    pub(crate) token_life_ms: u64,
    pub(crate) close_with: Option<u16>,
    pub(crate) tokens: u64,
    pub(crate) hellos: u64,
    pub(crate) reauths: u64,
    /// Where QUIC is said to be.
    pub(crate) quic: Option<SocketAddr>,
    /// Pairs that were given for refresh tokens.
    pub(crate) renewals: u64,
    /// The number of each device's refresh token that was not shown yet, and of the one before.
    refresh: BTreeMap<u64, u64>,
    /// No refresh token is good.
    pub(crate) refuses_refresh: Option<&'static str>,
    /// Answers to renewals that never arrive.
    pub(crate) lost_answers: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Fake {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    changed: watch::Sender<u64>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let world = World { token_life_ms: 1_000_000, ..World::default() };
        let fake = Self {
            address: listener.local_addr().unwrap(),
            world: Arc::new(Mutex::new(world)),
            changed: watch::channel(0).0,
        };
        let server = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        fake
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Wakes every connection: to close, if `close_with` is set, or to send on.
    pub(crate) fn wake(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let field = |name: &str| {
            head.lines()
                .find_map(|line| line.to_lowercase().starts_with(name).then(|| line[name.len()..].trim()))
        };
        if let Some(key) = field("sec-websocket-key:") {
            let accept = accept_key(key);
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            let changed = self.changed.subscribe();
            Link { fake: self, stream, changed, user: None, at: 0, sent: Vec::new(), out: Vec::new() }
                .run()
                .await;
            return;
        }
        let mut body = vec![0; field("content-length:").map_or(0, |len| len.parse().unwrap())];
        stream.read_exact(&mut body).await.unwrap();
        let path = head.split(' ').nth(1).unwrap();
        let (status, answer) =
            self.account(path, field("authorization:"), &serde_json::from_slice(&body).unwrap_or_default());
        if path == "/v1/token" && status == 200 && self.loses_answer() {
            return;
        }
        let answer = answer.to_string();
        let length = answer.len();
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{answer}");
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    fn loses_answer(&self) -> bool {
        let mut world = self.world();
        let loses = world.lost_answers > 0;
        world.lost_answers -= u64::from(loses);
        loses
    }

    fn account(&self, path: &str, token: Option<&str>, body: &serde_json::Value) -> (u16, serde_json::Value) {
        let mut world = self.world();
        let name = body["name"].as_str().unwrap_or_default();
        let no = |status: u16, code: &str| {
            (status, serde_json::json!({"status": status, "detail": code, "code": code, "retry_after_ms": 0}))
        };
        if path == "/v1/signup" {
            if world.users.contains_key(name) {
                return no(409, "name_taken");
            }
            let user = world.users.len() as u64 + 1;
            world.users.insert(name.to_owned(), user);
            return (201, serde_json::json!({"user": user.to_string()}));
        }
        let bearer = token.and_then(|token| token.strip_prefix("Bearer "));
        let (user, device) = match (path, bearer) {
            ("/v1/login", _) => {
                let Some(user) = world.users.get(name).copied() else { return no(401, "unauthenticated") };
                let device = body["device"].as_str().map(|device| device.parse().unwrap());
                (user, device.unwrap_or(user * 1000 + world.tokens + 1))
            }
            ("/v1/token", None) => {
                if let Some(code) = world.refuses_refresh {
                    return no(401, code);
                }
                let shown = body["refresh"].as_str().unwrap();
                let parts: Vec<u64> = shown.split('.').map(|part| part.parse().unwrap()).collect();
                let next = world.refresh.get(&parts[1]).copied().unwrap_or(1);
                if parts[2] == next {
                    world.refresh.insert(parts[1], next + 1);
                } else if parts[2] + 1 != next {
                    return no(401, "token_reused");
                }
                world.renewals += 1;
                (parts[0], parts[1])
            }
            ("/v1/route", Some(_)) => {
                let mut route = serde_json::json!({
                    "chat": format!("ws://{}/ws", self.address), "shard": 0, "shards": 1
                });
                if let Some(quic) = world.quic {
                    let fingerprint = "00".repeat(32);
                    route["quic"] = serde_json::json!({"address": quic, "fingerprint": fingerprint});
                }
                return (200, route);
            }
            _ => return look_up(&world, path).unwrap_or_else(|| no(404, "not_found")),
        };
        world.tokens += 1;
        let refresh = *world.refresh.entry(device).or_insert(1);
        let answer = serde_json::json!({
            "refresh": format!("{user}.{device}.{refresh}"), "refresh_expires_ms": 9_000_000,
            "token": format!("{user}.{device}.{}", world.tokens), "user": user.to_string(),
            "device": device.to_string(), "expires_ms": 5_000_000 + world.token_life_ms,
            "chat": format!("ws://{}/ws", self.address),
        });
        (200, answer)
    }
}

fn look_up(world: &World, path: &str) -> Option<(u16, serde_json::Value)> {
    let asked = path.rsplit('/').next()?;
    let (name, id) = world.users.iter().find(|(name, id)| *name == asked || id.to_string() == asked)?;
    Some((200, serde_json::json!({"user": id.to_string(), "name": name})))
}

struct Link {
    fake: Fake,
    stream: TcpStream,
    changed: watch::Receiver<u64>,
    user: Option<(u64, u64)>,
    at: usize,
    sent: Vec<u64>,
    out: Vec<u8>,
}

impl Link {
    async fn run(mut self) {
        let mut decoder = Decoder::new(Role::Server, WS_MESSAGE_BYTES_MAX);
        let mut buffer = vec![0; 4096];
        loop {
            let mut messages = Vec::new();
            tokio::select! {
                read = self.stream.read(&mut buffer) => {
                    let Ok(read @ 1..) = read else { return };
                    let taken = decoder.push(&mut buffer[..read], &mut |event| {
                        if let Event::Message(message) = event {
                            messages.push(Bytes::copy_from_slice(message));
                        }
                        true
                    });
                    taken.unwrap();
                }
                _ = self.changed.changed() => {}
            }
            for mut message in messages {
                while let Some(header) = Header::read(&message) {
                    let frame = Frame::new(message.split_to(header.frame_bytes())).unwrap();
                    if !self.take(&frame) {
                        return self.flush().await;
                    }
                }
            }
            self.deliver();
            self.flush().await;
            let close = self.fake.world().close_with;
            if let Some(code) = close {
                let _ = self.stream.write_all(ControlFrame::close(code, "", None).as_bytes()).await;
                return;
            }
        }
    }

    async fn flush(&mut self) {
        if self.out.is_empty() {
            return;
        }
        let (header, len) = encode_header(Opcode::Binary, self.out.len(), None);
        let mut bytes = header[..len].to_vec();
        bytes.append(&mut self.out);
        // In two parts and with a ping between messages, so that the client's reading is resumed.
        let (first, second) = bytes.split_at(bytes.len() / 2);
        let _ = self.stream.write_all(first).await;
        let _ = self.stream.flush().await;
        let _ = self.stream.write_all(second).await;
        let _ = self.stream.write_all(ControlFrame::ping(b"?", None).as_bytes()).await;
    }

    fn say(&mut self, frame: &Frame) {
        self.out.extend_from_slice(frame.bytes());
    }

    /// False when the connection ends here.
    fn take(&mut self, frame: &Frame) -> bool {
        let id = frame.header().id;
        match frame.kind() {
            Kind::HELLO => return self.hello(id, &read::<Hello>(frame).unwrap()),
            Kind::REAUTH => {
                assert!(!read::<Reauth>(frame).unwrap().token.is_empty());
                self.fake.world().reauths += 1;
                self.say(&encode(id, &Done { kind: Kind::REAUTH.0 }));
            }
            Kind::GET_CHANNELS => self.say(&encode(id, &Channels { items: vec![], more: false })),
            Kind::GET_HISTORY => self.history(id, &read::<GetHistory>(frame).unwrap()),
            kind if kind.is_message() => return self.message(frame),
            _ => {}
        }
        true
    }

    fn hello(&mut self, id: u64, hello: &Hello) -> bool {
        let token: Vec<u64> = hello.token.split('.').map(|part| part.parse().unwrap()).collect();
        let (head, life) = {
            let mut world = self.fake.world();
            world.hellos += 1;
            let is_good = token[2] >= world.first_good_token;
            (is_good.then_some(world.log.len() as u64), world.token_life_ms)
        };
        let Some(head) = head else {
            self.say(&encode(id, &Refusal::new(Code::Expired, "token", "ended").body()));
            return false;
        };
        self.user = Some((token[0], token[1]));
        self.at = hello.cursor as usize;
        let welcome = Welcome {
            user: token[0],
            device: token[1],
            generation: 1,
            start: hello.cursor,
            head,
            time_ms: 5_000_000,
            expires_ms: 5_000_000 + life,
            heartbeat_ms: 30_000,
            group_members_max: 100,
            kinds: vec![],
        };
        self.say(&encode(id, &welcome));
        true
    }

    fn history(&mut self, id: u64, ask: &GetHistory) {
        let of_channel = |frame: &&Frame| channel_of(frame) == Some(ChannelId(ask.channel));
        let frames: Vec<Frame> = self.fake.world().log.iter().filter(of_channel).cloned().collect();
        let count = frames.len() as u32;
        let to = u64::from(count);
        let page = HistoryPage { channel: ask.channel, from: to.min(1), to, head: to, count, more: false };
        self.say(&encode(id, &page));
        frames.iter().for_each(|frame| self.say(frame));
    }

    fn message(&mut self, frame: &Frame) -> bool {
        let Some((user, _)) = self.user else { return false };
        let channel = channel_of(frame).unwrap();
        let fake = self.fake.clone();
        let mut world = fake.world();
        if let Some(left) = &mut world.cut_after {
            if *left == 0 {
                world.cut_after = None;
                return false;
            }
            *left -= 1;
        }
        let is_it = |stored: &&Frame| {
            stored.send_id() == frame.send_id() && stored.read_stamp().unwrap().sender == UserId(user)
        };
        if let Some(stored) = world.log.iter().find(is_it) {
            let (seq, time_ms) = (stored.read_stamp().unwrap().seq.0, 7);
            self.say(&encode(frame.header().id, &SendAck { channel: channel.0, seq, time_ms }));
            return true;
        }
        let before = world.log.iter().filter(|f| channel_of(f) == Some(channel)).count();
        let stamp = Stamp { seq: Seq(before as u64 + 1), time_ms: 7, sender: UserId(user) };
        world.log.push(frame.clone().stamp(stamp));
        self.sent.push(frame.header().id);
        fake.wake();
        true
    }

    fn deliver(&mut self) {
        if self.user.is_none() {
            return;
        }
        let fresh = self.fake.world().log[self.at..].to_vec();
        if fresh.is_empty() {
            return;
        }
        let (from, to) = (self.at as u64, (self.at + fresh.len()) as u64);
        for frame in &fresh {
            let id = frame.header().id;
            if self.sent.contains(&id) {
                let channel = channel_of(frame).unwrap().0;
                let seq = frame.read_stamp().unwrap().seq.0;
                self.say(&encode(id, &SendAck { channel, seq, time_ms: 7 }));
            } else {
                self.say(frame);
            }
        }
        self.say(&encode(0, &Complete { generation: 1, from, to, head: to }));
        self.at += fresh.len();
    }
}
