//! A device that follows no rule it does not want to: bytes on a blocking socket. Its timeout only ends a test that has
//! failed.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::Bytes;
use protocol::body::session::{Heartbeat, Hello, Reject, Welcome};
use protocol::body::{Body, encode, read};
use protocol::token::{Claims, Key, sign};
use protocol::ws::{ControlFrame, Decoder, Event, Opcode, Role, encode_header, mask};
use protocol::{CloseCode, Code, DeviceId, Frame, Header, Kind, UserId};

use crate::node::{Node, PATIENCE};

pub const REQUEST: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                           Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const MASK: [u8; 4] = [1, 2, 3, 4];
/// Id of the Hello of [`Raw::live`].
const HELLO: u64 = 1;

/// The key that the node signs with.
pub fn key(node: &Node) -> Key {
    api::Keys::open(&node.data).unwrap().newest().clone()
}

/// A token for an hour.
pub fn token(node: &Node, user: UserId, device: u64) -> String {
    token_until(node, user, device, api::now_ms() + 3_600_000)
}

pub fn token_until(node: &Node, user: UserId, device: u64, expires_ms: u64) -> String {
    sign(&key(node), &Claims { user, device: DeviceId(device), expires_ms })
}

/// One masked WebSocket frame of any opcode.
pub fn ws(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let (mut header, len) = encode_header(Opcode::Binary, payload.len(), Some(MASK));
    header[0] = 0x80 | opcode;
    let mut payload = payload.to_vec();
    mask(&mut payload, MASK, 0);
    [&header[..len], &payload].concat()
}

pub fn heartbeat(id: u64) -> Frame {
    encode(id, &Heartbeat { time_ms: 7 })
}

/// What the server does next.
#[derive(Debug)]
pub enum Seen {
    Frame(Frame),
    Close(Option<u16>),
    /// The connection ended without a close frame.
    End,
}

pub struct Raw {
    pub stream: TcpStream,
    decoder: Decoder,
    seen: VecDeque<Seen>,
    pub pongs: u64,
}

impl Raw {
    pub fn connect(node: &Node) -> Self {
        let address: SocketAddr = node.chat_address().parse().unwrap();
        Self::over(TcpStream::connect(address).unwrap())
    }

    pub fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, decoder: Decoder::new(Role::Client, 1 << 20), seen: VecDeque::new(), pongs: 0 }
    }

    /// A WebSocket that has said nothing.
    pub fn upgraded(node: &Node) -> Self {
        Self::connect(node).upgrade()
    }

    pub fn upgrade(mut self) -> Self {
        self.send(REQUEST.as_bytes());
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        self
    }

    /// A device whose Hello was answered by Welcome.
    pub fn live(node: &Node, token: &str) -> Self {
        Self::upgraded(node).welcomed(token, 0, 0).0
    }

    pub fn welcomed(mut self, token: &str, generation: u64, cursor: u64) -> (Self, Welcome) {
        self.hello(token, generation, cursor);
        let answer = self.answer(HELLO);
        let welcome = read(&answer).unwrap_or_else(|| panic!("no Welcome: {:?}", read::<Reject>(&answer)));
        (self, welcome)
    }

    pub fn hello(&mut self, token: &str, generation: u64, cursor: u64) {
        self.body(HELLO, &Hello { generation, cursor, token: token.into() });
    }

    /// A Hello that is refused with a code, and the close behind it.
    pub fn refused_hello(mut self, token: &str, code: Code) {
        self.hello(token, 0, 0);
        assert_eq!(self.reject(HELLO).code, code.number(), "{}", code.word());
        self.closes(CloseCode::Unauthenticated);
    }

    /// Bytes as they are. Whoever is closed meanwhile finds that out by reading.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// One binary message.
    pub fn message(&mut self, payload: &[u8]) {
        self.send(&ws(2, payload));
    }

    pub fn frame(&mut self, frame: &Frame) {
        self.message(frame.bytes());
    }

    pub fn body<T: Body>(&mut self, id: u64, body: &T) {
        self.frame(&encode(id, body));
    }

    pub fn next(&mut self) -> Seen {
        loop {
            if let Some(seen) = self.seen.pop_front() {
                return seen;
            }
            let mut bytes = vec![0; 65536];
            let len = match self.stream.read(&mut bytes) {
                Ok(0) => return Seen::End,
                Ok(len) => len,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Seen::End,
                Err(error) => panic!("nothing came: {error}"),
            };
            let (seen, pongs) = (&mut self.seen, &mut self.pongs);
            let mut sink = |event: Event<'_>| {
                match event {
                    Event::Message(mut message) => {
                        while let Some(header) = Header::read(message) {
                            let (frame, rest) = message.split_at(header.frame_bytes());
                            seen.push_back(Seen::Frame(Frame::new(Bytes::copy_from_slice(frame)).unwrap()));
                            message = rest;
                        }
                        assert!(message.is_empty(), "bytes behind the last frame");
                    }
                    Event::Close { code, .. } => seen.push_back(Seen::Close(code)),
                    Event::Pong(_) => *pongs += 1,
                    Event::Ping(_) => {}
                }
                true
            };
            self.decoder.push(&mut bytes[..len], &mut sink).expect("the server follows RFC 6455");
        }
    }

    /// The frame that answers an id; others are passed over.
    pub fn answer(&mut self, id: u64) -> Frame {
        loop {
            match self.next() {
                Seen::Frame(frame) if frame.header().id == id && !frame.header().is_stamped() => {
                    return frame;
                }
                Seen::Frame(_) => {}
                other => panic!("{other:?} instead of the answer to {id}"),
            }
        }
    }

    pub fn answer_as<T: Body>(&mut self, id: u64) -> T {
        let frame = self.answer(id);
        read(&frame).filter(|_| frame.kind() == T::KIND).unwrap_or_else(|| panic!("{frame:?}"))
    }

    pub fn reject(&mut self, id: u64) -> Reject {
        let mut frame = self.answer(id);
        // What nobody asked for has the id 0, too.
        while id == 0 && frame.kind() != Kind::REJECT {
            frame = self.answer(id);
        }
        assert_eq!(frame.kind(), Kind::REJECT, "{frame:?}");
        read(&frame).unwrap()
    }

    /// Sends a body that has to be refused for good, with this code and field.
    #[track_caller]
    pub fn refuses<T: Body>(&mut self, id: u64, body: &T, code: Code, path: &str) {
        self.body(id, body);
        let reject = self.reject(id);
        let found = (Code::from_number(reject.code), reject.retry_after_ms, reject.path.as_str());
        assert_eq!(found, (Some(code), 0, path), "{}", reject.text);
        assert!(!reject.text.is_empty(), "it says what was wrong");
    }

    /// The session lives: what was sent before has been taken, and this is answered.
    pub fn is_served(&mut self, id: u64) {
        self.frame(&heartbeat(id));
        assert_eq!(self.answer(id).kind(), Kind::HEARTBEAT);
    }

    /// Reads up to the close frame or the end.
    pub fn end(&mut self) -> Option<u16> {
        loop {
            match self.next() {
                Seen::Frame(_) => {}
                Seen::Close(code) => return code,
                Seen::End => return None,
            }
        }
    }

    /// Reads up to the close frame, which has this code, and answers it.
    #[track_caller]
    pub fn closes(&mut self, code: CloseCode) {
        let found = self.end();
        assert_eq!(found, Some(code.number()), "{}", code.word());
        self.send(ControlFrame::close(code.number(), "", Some(MASK)).as_bytes());
    }
}
