//! The floor's drivers and the ordinary server, over real sockets: what maru-load will ask of them.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use protocol::body::message::{CreateGroup, SendText};
use protocol::body::{self, Body, session::Hello, sync::SendAck};
use protocol::token::{Claims, Key, sign};
use protocol::ws::{Decoder, Event, Opcode, Role, encode_header, mask};
use protocol::{ChannelId, DeviceId, Frame, Kind, SendId, UserId};

/// Ends a test that has failed; decides nothing else.
const PATIENCE: Duration = Duration::from_secs(20);
const REQUEST: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// `None` when the kernel does not allow what it needs and it said so.
    fn start(command: &mut Command) -> Option<Self> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(url) = line.trim().split("ws=ws://").nth(1) else {
            let mut words = String::new();
            child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
            child.wait().unwrap();
            assert!(words.contains("does not allow io_uring"), "{words}");
            eprintln!("skipped: {words}");
            return None;
        };
        let address = url.trim_end_matches("/ws").to_owned();
        Some(Self { child, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Device {
    stream: TcpStream,
    decoder: Decoder,
    frames: VecDeque<Frame>,
}

impl Device {
    fn join(server: &Server, user: u64) -> Self {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(REQUEST.as_bytes()).unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.starts_with("http/1.1 101 ") && head.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
        let mut device =
            Self { stream, decoder: Decoder::new(Role::Client, 1 << 20), frames: VecDeque::new() };
        let claims = Claims { user: UserId(user), device: DeviceId(user), expires_ms: 1, issued_ms: 1 };
        let token = sign(&Key { id: 1, secret: [0; 32] }, &claims);
        device.send(1, &Hello { generation: 0, cursor: 0, token });
        assert_eq!([device.next().kind(), device.next().kind()], [Kind::WELCOME, Kind::COMPLETE]);
        device
    }

    fn send<T: Body>(&mut self, id: u64, body: &T) {
        let frame = body::encode(id, body);
        let key = [1, 2, 3, 4];
        let (header, len) = encode_header(Opcode::Binary, frame.bytes().len(), Some(key));
        let mut payload = frame.bytes().to_vec();
        mask(&mut payload, key, 0);
        self.stream.write_all(&[&header[..len], &payload].concat()).unwrap();
    }

    fn next(&mut self) -> Frame {
        while self.frames.is_empty() {
            let mut bytes = vec![0; 65_536];
            let len = self.stream.read(&mut bytes).expect("an answer in time");
            assert!(len > 0, "closed");
            let frames = &mut self.frames;
            let mut sink = |event: Event<'_>| {
                if let Event::Message(message) = event {
                    let mut message = Bytes::copy_from_slice(message);
                    while let Some(frame) = Frame::take(&mut message).unwrap() {
                        frames.push_back(frame);
                    }
                }
                true
            };
            self.decoder.push(&mut bytes[..len], &mut sink).unwrap();
        }
        self.frames.pop_front().unwrap()
    }
}

/// A pair and a group talk; nothing is lost and everything has its place.
fn talk(server: &Server) {
    let [mut ann, mut bob, mut carl] = [1, 2, 3].map(|user| Device::join(server, user));
    let direct = ChannelId::direct(UserId(1), UserId(2)).0;
    for seq in 1..=50 {
        ann.send(100 + seq, &SendText { channel: direct, text: format!("number {seq}") });
    }
    for seq in 1..=50 {
        let ack = ann.next();
        assert_eq!((ack.kind(), ack.header().id), (Kind::SEND_ACK, 100 + seq));
        assert_eq!(body::read::<SendAck>(&ack).unwrap().seq, seq);
        let message = bob.next();
        let stamp = message.read_stamp().unwrap();
        assert_eq!((stamp.seq.0, stamp.sender), (seq, UserId(1)));
        assert_eq!(body::read::<SendText>(&message).unwrap().text, format!("number {seq}"));
    }
    let group = ChannelId::group(UserId(1), SendId(7)).0;
    ann.send(7, &CreateGroup { channel: group, name: "g".into(), members: vec![2, 3] });
    assert_eq!(ann.next().kind(), Kind::SEND_ACK);
    for device in [&mut bob, &mut carl] {
        assert_eq!(device.next().read_stamp().unwrap().seq.0, 1);
    }
    carl.send(8, &SendText { channel: group, text: "to all".into() });
    assert_eq!(carl.next().kind(), Kind::SEND_ACK);
    for device in [&mut ann, &mut bob] {
        assert_eq!(device.next().read_stamp().unwrap().seq.0, 2);
    }
}

#[test]
fn floors_relay() {
    for driver in ["mio", "uring", "tokio-uring"] {
        let server = Server::start(Command::new(env!("CARGO_BIN_EXE_floor")).args(["--driver", driver]));
        server.iter().for_each(talk);
    }
}

#[test]
fn ordinary_relays() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ordinary"));
    let server = Server::start(command.arg("--data").arg(folder.path().join("data"))).unwrap();
    talk(&server);
}

#[test]
fn ordinary_speaks_json() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ordinary"));
    let server = Server::start(command.arg("--data").arg(folder.path().join("data"))).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        use futures_util::{SinkExt, StreamExt};
        use tokio_tungstenite::tungstenite::Message;
        let channel = ChannelId::direct(UserId(1), UserId(2)).0;
        let mut sockets = Vec::new();
        for user in [1, 2] {
            let stream = tokio::net::TcpStream::connect(&server.address).await.unwrap();
            let url = format!("ws://{}/ws", server.address);
            let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
            socket.send(Message::text(format!(r#"{{"type":"hello","user":{user}}}"#))).await.unwrap();
            let welcome = socket.next().await.unwrap().unwrap().into_text().unwrap();
            assert!(welcome.contains(r#""type":"welcome""#), "{welcome}");
            sockets.push(socket);
        }
        let send = format!(r#"{{"type":"send","id":7,"channel":"{channel}","text":"hi"}}"#);
        sockets[0].send(Message::text(send)).await.unwrap();
        for (socket, kind) in sockets.iter_mut().zip(["ack", "message"]) {
            let text = socket.next().await.unwrap().unwrap().into_text().unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!((&value["type"], &value["id"], &value["seq"]), (&kind.into(), &7.into(), &1.into()));
        }
    });
}
