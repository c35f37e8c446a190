//! A device that follows no rule it does not want to: bytes on a blocking socket, WebSocket or QUIC. Its timeout only
//! ends a test that has failed.

mod quic;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::Bytes;
use protocol::body::session::{Heartbeat, Hello, Reject, Welcome};
use protocol::body::{Body, encode, read};
use protocol::token::{Claims, Key, sign};
use protocol::ws::{ControlFrame, Decoder, Event, Opcode, Role, encode_header, mask};
use protocol::{CloseCode, Code, DeviceId, Frame, Header, Kind, UserId};
use socket2::{Domain, Socket, Type};

use crate::node::{Node, PATIENCE};
pub use quic::Quic;

pub const REQUEST: &str = "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                           Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const MASK: [u8; 4] = [1, 2, 3, 4];
/// Id of the Hello of [`Raw::live`].
const HELLO: u64 = 1;

/// The key that the node signs with.
pub fn key(node: &Node) -> Key {
    api::Keys::open(&node.data).unwrap().newest()
}

/// A token for an hour, of a device that exists from then on, if the node takes it.
pub fn token(node: &Node, user: UserId, device: u64) -> String {
    token_until(node, user, device, api::now_ms() + 3_600_000)
}

pub fn token_until(node: &Node, user: UserId, device: u64, expires_ms: u64) -> String {
    node.admit(user, device);
    made_up(node, user, device, expires_ms)
}

/// A token with a good signature. Nobody has told the node of the device.
pub fn made_up(node: &Node, user: UserId, device: u64, expires_ms: u64) -> String {
    let claims = Claims { user, device: DeviceId(device), expires_ms, issued_ms: api::now_ms() };
    sign(&key(node), &claims)
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

/// What carries frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carrier {
    Ws,
    Quic,
}

impl Carrier {
    /// One of both, by chance; `E2E_CARRIER=ws` or `=quic` chooses.
    pub fn drawn() -> Self {
        let carrier = match std::env::var("E2E_CARRIER").as_deref() {
            Ok("ws") => Self::Ws,
            Ok("quic") => Self::Quic,
            Ok(other) => panic!("E2E_CARRIER is {other:?}, not ws or quic"),
            Err(_) if api::now_ms().is_multiple_of(2) => Self::Ws,
            Err(_) => Self::Quic,
        };
        eprintln!("raw devices over {carrier:?}");
        carrier
    }
}

enum Link {
    Ws { stream: TcpStream, decoder: Decoder },
    Quic(Box<Quic>),
}

pub struct Raw {
    link: Link,
    seen: VecDeque<Seen>,
    pub pongs: u64,
    /// Bytes read of a WebSocket.
    taken: usize,
}

impl Raw {
    /// A connection that has said nothing, over the node's carrier.
    pub fn open(node: &Node) -> Self {
        match node.carrier {
            Carrier::Ws => Self::upgraded(node),
            Carrier::Quic => {
                let link = Link::Quic(Box::new(Quic::open(node)));
                Self { link, seen: VecDeque::new(), pongs: 0, taken: 0 }
            }
        }
    }

    /// The same with small windows, so that little fits between the two processes.
    pub fn narrow(node: &Node) -> Self {
        match node.carrier {
            Carrier::Ws => {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                socket.set_recv_buffer_size(4096).unwrap();
                let address: SocketAddr = node.chat_address().parse().unwrap();
                socket.connect(&address.into()).unwrap();
                Self::over(socket.into()).upgrade()
            }
            Carrier::Quic => {
                let link = Link::Quic(Box::new(Quic::narrow(node, 4096)));
                Self { link, seen: VecDeque::new(), pongs: 0, taken: 0 }
            }
        }
    }

    /// Takes the messages of its one channel up to this seq, each once and in order.
    pub fn read_through(&mut self, last: u64) {
        let mut expected = 1;
        while expected <= last {
            match self.next() {
                Seen::Frame(frame) => {
                    let Some(stamp) = frame.read_stamp() else { continue };
                    assert_eq!(stamp.seq.0, expected);
                    expected += 1;
                }
                other => panic!("{other:?} where message {expected} should be"),
            }
        }
    }

    /// The QUIC connection below.
    pub fn quic(&mut self) -> &mut Quic {
        let Link::Quic(quic) = &mut self.link else { panic!("this is a WebSocket") };
        quic
    }

    /// The TCP connection below.
    pub fn tcp(&mut self) -> &mut TcpStream {
        let Link::Ws { stream, .. } = &mut self.link else { panic!("this is QUIC") };
        stream
    }

    pub fn connect(node: &Node) -> Self {
        let address: SocketAddr = node.chat_address().parse().unwrap();
        Self::over(TcpStream::connect(address).unwrap())
    }

    pub fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let link = Link::Ws { stream, decoder: Decoder::new(Role::Client, 1 << 20) };
        Self { link, seen: VecDeque::new(), pongs: 0, taken: 0 }
    }

    /// A WebSocket that has said nothing.
    pub fn upgraded(node: &Node) -> Self {
        Self::connect(node).upgrade()
    }

    pub fn upgrade(mut self) -> Self {
        self.send(REQUEST.as_bytes());
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            self.tcp().read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        self
    }

    /// A device whose Hello was answered by Welcome.
    pub fn live(node: &Node, token: &str) -> Self {
        Self::open(node).welcomed(token, 0, 0).0
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
        match &mut self.link {
            Link::Ws { stream, .. } => drop(stream.write_all(bytes)),
            Link::Quic(quic) => quic.send(bytes),
        }
    }

    /// Frames, or what is to be taken for some: a binary message, or bytes of the control stream.
    pub fn message(&mut self, payload: &[u8]) {
        match self.link {
            Link::Ws { .. } => self.send(&ws(2, payload)),
            Link::Quic(_) => self.send(payload),
        }
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
            match &mut self.link {
                Link::Ws { .. } => {
                    if let Some(end) = self.read(65536) {
                        return end;
                    }
                }
                Link::Quic(quic) => {
                    let mut frames = Vec::new();
                    quic.until(|quic| {
                        quic.received.iter_mut().for_each(|(_, bytes)| split(bytes, &mut frames));
                        !frames.is_empty()
                    });
                    self.seen.extend(frames.into_iter().map(Seen::Frame));
                    if self.seen.is_empty() {
                        return quic.end.flatten().map_or(Seen::End, |code| Seen::Close(Some(code)));
                    }
                }
            }
        }
    }

    /// Takes so many bytes at most, and waits for some if there are none. It has to be connected.
    pub fn sip(&mut self, bytes: usize) -> usize {
        match &mut self.link {
            Link::Ws { .. } => {
                let before = self.taken;
                let end = self.read(bytes);
                assert!(end.is_none(), "{end:?}");
                self.taken - before
            }
            Link::Quic(quic) => {
                quic.thirst = bytes;
                quic.until(|quic| quic.thirst < bytes);
                assert_eq!(quic.end, None);
                bytes - quic.thirst
            }
        }
    }

    /// From now on it takes all that comes.
    pub fn drink(&mut self) {
        if let Link::Quic(quic) = &mut self.link {
            quic.thirst = usize::MAX;
        }
    }

    /// Reads so much at most of what a WebSocket has; or its end.
    fn read(&mut self, bytes: usize) -> Option<Seen> {
        let Self { link: Link::Ws { stream, decoder }, seen, pongs, taken } = self else { return None };
        let mut bytes = vec![0; bytes];
        let len = match stream.read(&mut bytes) {
            Ok(0) => return Some(Seen::End),
            Ok(len) => len,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Some(Seen::End),
            Err(error) => panic!("nothing came: {error}"),
        };
        *taken += len;
        let mut sink = |event: Event<'_>| {
            match event {
                Event::Message(message) => {
                    let (mut message, mut frames) = (message.to_vec(), Vec::new());
                    split(&mut message, &mut frames);
                    assert!(message.is_empty(), "bytes behind the last frame");
                    seen.extend(frames.into_iter().map(Seen::Frame));
                }
                Event::Close { code, .. } => seen.push_back(Seen::Close(code)),
                Event::Pong(_) => *pongs += 1,
                Event::Ping(_) => {}
            }
            true
        };
        decoder.push(&mut bytes[..len], &mut sink).expect("the server follows RFC 6455");
        None
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
        if matches!(self.link, Link::Ws { .. }) {
            self.send(ControlFrame::close(code.number(), "", Some(MASK)).as_bytes());
        }
    }
}

/// Takes whole frames from the front.
fn split(bytes: &mut Vec<u8>, frames: &mut Vec<Frame>) {
    while let Some(header) = Header::read(bytes).filter(|header| header.frame_bytes() <= bytes.len()) {
        let frame: Vec<u8> = bytes.drain(..header.frame_bytes()).collect();
        frames.push(Frame::new(Bytes::from(frame)).unwrap());
    }
}
