//! A WebSocket client on a blocking socket. Its read timeout only ends a test that has failed.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use protocol::body::{encode, read, session};
use protocol::token::{Claims, Key, sign};
use protocol::ws::{Decoder, Event, Opcode, Role, encode_header, mask};
use protocol::{DeviceId, Frame, Header, UserId};

pub const REQUEST: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                           Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

pub fn key() -> Key {
    Key { id: 1, secret: [9; 32] }
}

pub fn hello(user: u64) -> Frame {
    let claims =
        Claims { user: UserId(user), device: DeviceId(user + 1000), expires_ms: u64::MAX, issued_ms: 1 };
    encode(1, &session::Hello { generation: 0, cursor: 0, token: sign(&key(), &claims) })
}

pub fn heartbeat(time_ms: u64) -> Frame {
    encode(0, &session::Heartbeat { time_ms })
}

/// One masked WebSocket frame.
pub fn ws(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let key = [1, 2, 3, 4];
    let (mut header, len) = encode_header(Opcode::Binary, payload.len(), Some(key));
    header[0] = 0x80 | opcode;
    let mut payload = payload.to_vec();
    mask(&mut payload, key, 0);
    [&header[..len], &payload].concat()
}

/// A connection that is a WebSocket and has said nothing.
pub fn upgraded(address: SocketAddr) -> Device {
    let mut device = Device::connect(address);
    device.send(REQUEST.as_bytes());
    device.read_upgrade();
    device
}

pub struct Device {
    pub stream: TcpStream,
    decoder: Decoder,
    frames: VecDeque<Frame>,
    close: Option<Option<u16>>,
}

impl Device {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let decoder = Decoder::new(Role::Client, 1 << 20);
        Self { stream, decoder, frames: VecDeque::new(), close: None }
    }

    /// A device that has said Hello and was answered.
    pub fn at_home(address: SocketAddr, user: u64) -> Self {
        let mut device = upgraded(address);
        device.send(&ws(2, hello(user).bytes()));
        device.read_home();
        device
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn read_upgrade(&mut self) {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
    }

    fn read_more(&mut self) {
        let mut bytes = vec![0; 65536];
        let len = self.stream.read(&mut bytes).expect("an answer in time");
        assert!(len > 0, "ended without a close frame");
        let (frames, close) = (&mut self.frames, &mut self.close);
        let mut sink = |event: Event<'_>| {
            match event {
                Event::Message(mut message) => {
                    while let Some(header) = Header::read(message) {
                        let (frame, rest) = message.split_at(header.frame_bytes());
                        frames.push_back(Frame::new(Bytes::copy_from_slice(frame)).unwrap());
                        message = rest;
                    }
                    assert!(message.is_empty());
                }
                Event::Close { code, .. } => *close = Some(code),
                _ => {}
            }
            true
        };
        assert_eq!(self.decoder.push(&mut bytes[..len], &mut sink), Ok(len));
    }

    pub fn read_frame(&mut self) -> Frame {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return frame;
            }
            assert_eq!(self.close, None, "closed instead of answered");
            self.read_more();
        }
    }

    /// The echo's answer to Hello: the number of the shard that gave it.
    pub fn read_home(&mut self) -> u64 {
        let frame = self.read_frame();
        assert_eq!(frame.header().id, 1);
        read::<session::Heartbeat>(&frame).unwrap().time_ms
    }

    pub fn read_close(&mut self) -> Option<u16> {
        while self.close.is_none() {
            self.read_more();
        }
        self.close.unwrap()
    }

    /// Whether the server ends the connection without another byte.
    pub fn is_ended(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 16]), Ok(0))
            || self.stream.take_error().is_ok_and(|error| error.is_some())
    }

    pub fn read_to_end(&mut self) -> String {
        let mut text = String::new();
        self.stream.read_to_string(&mut text).unwrap();
        text
    }
}
