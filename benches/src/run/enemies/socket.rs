//! A WebSocket device of which nothing is asked but bytes.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::Bytes;
use protocol::body::session::Hello;
use protocol::body::{Body, encode};
use protocol::ws::{Decoder, Event, Opcode, Role, encode_header, mask};
use protocol::{Frame, Header, Kind};

use crate::run::Outcome;

const REQUEST: &str = "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const MASK: [u8; 4] = [1, 2, 3, 4];

pub(super) struct Socket {
    stream: TcpStream,
    decoder: Decoder,
    frames: VecDeque<Frame>,
}

impl Socket {
    /// A device that was welcomed.
    pub(super) fn live(address: SocketAddr, token: &str) -> Outcome<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.write_all(REQUEST.as_bytes())?;
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        let mut socket =
            Self { stream, decoder: Decoder::new(Role::Client, 1 << 20), frames: VecDeque::new() };
        socket
            .send(&Hello { generation: 0, cursor: protocol::limits::U53_MAX, token: token.to_owned() }, 1)?;
        let answer = socket.wait(|frame| frame.header().id == 1 && !frame.header().is_stamped())?;
        if answer.kind() != Kind::WELCOME {
            return Err("an enemy's Hello was refused".into());
        }
        Ok(socket)
    }

    pub(super) fn send<T: Body>(&mut self, body: &T, id: u64) -> Outcome<()> {
        Ok(self.stream.write_all(&message(encode(id, body).bytes()))?)
    }

    /// The next frame that fits; others are passed over.
    pub(super) fn wait(&mut self, fits: impl Fn(&Frame) -> bool) -> Outcome<Frame> {
        loop {
            while let Some(frame) = self.frames.pop_front() {
                if fits(&frame) {
                    return Ok(frame);
                }
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> Outcome<()> {
        let mut bytes = vec![0; 65536];
        let len = self.stream.read(&mut bytes)?;
        if len == 0 {
            return Err("the server has closed".into());
        }
        let (frames, mut closed) = (&mut self.frames, false);
        let mut sink = |event: Event<'_>| {
            match event {
                Event::Message(bytes) => {
                    let mut bytes = Bytes::copy_from_slice(bytes);
                    while let Some(header) = Header::read(&bytes) {
                        frames.extend(Frame::new(bytes.split_to(header.frame_bytes())));
                    }
                }
                Event::Close { .. } => closed = true,
                _ => {}
            }
            true
        };
        let read = bytes.get_mut(..len).unwrap_or_default();
        self.decoder.push(read, &mut sink).map_err(|fault| format!("{fault:?}"))?;
        if closed { Err("the server has closed".into()) } else { Ok(()) }
    }

    /// From now on a write or read that would wait does nothing.
    pub(super) fn never_wait(&mut self) -> Outcome<()> {
        Ok(self.stream.set_nonblocking(true)?)
    }

    /// Writes what is taken; how much, or `None` when the server has had enough of this one.
    pub(super) fn write_some(&mut self, bytes: &[u8]) -> Option<usize> {
        match self.stream.write(bytes) {
            Ok(written) => Some(written),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Some(0),
            Err(_) => None,
        }
    }

    /// Takes what has come and forgets it.
    pub(super) fn drain(&mut self) {
        let mut bytes = [0; 65536];
        while self.stream.read(&mut bytes).is_ok_and(|len| len > 0) {}
    }
}

/// A masked binary message.
pub(super) fn message(payload: &[u8]) -> Vec<u8> {
    let (header, len) = encode_header(Opcode::Binary, payload.len(), Some(MASK));
    let mut bytes = header.get(..len).unwrap_or_default().to_vec();
    let begin = bytes.len();
    bytes.extend_from_slice(payload);
    mask(bytes.get_mut(begin..).unwrap_or_default(), MASK, 0);
    bytes
}
