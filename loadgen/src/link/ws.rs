//! One WebSocket connection (RFC 6455, client role).

use std::io::{self, ErrorKind};

use bytes::BytesMut;
use mio::net::TcpStream;
use protocol::Frame;
use protocol::limits::WS_MESSAGE_BYTES_MAX;
use protocol::partition::mix64;
use protocol::ws::{
    ControlFrame, Decoder, Event, HEADER_BYTES_MAX, Opcode, Role, accept_key, encode_header, mask,
    request_key,
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::json::Json;
use super::wire::{Expected, Wire};
use super::{Call, Dialect, Lost, Place, Ports, broken, take_frames};

/// Frames are joined into one WebSocket message up to about so many bytes.
const JOIN_BYTES: usize = 64 * 1024;
/// Most frames in one WebSocket message that we make.
const JOIN_FRAMES: usize = 256;
/// Longest answer to the upgrade.
const ANSWER_BYTES_MAX: usize = 8192;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Dialing,
    Upgrading,
    Open,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Ws {
    wire: Wire,
    stage: Stage,
    seed: u64,
    decoder: Decoder,
    /// Of a connection that speaks the other dialect.
    json: Option<Box<Json>>,
    /// The beginning of the answer to the upgrade.
    held: Vec<u8>,
    /// What the kernel did not take yet.
    out: Vec<u8>,
}

impl Ws {
    /// Begins to connect. `seed` makes its keys.
    ///
    /// # Errors
    /// Of the kernel: no descriptor, no port.
    pub(super) fn dial(
        place: &Place,
        expected: Option<&Expected>,
        ports: &mut Ports,
        call: Call,
    ) -> io::Result<Self> {
        let Call { source, seed, user, .. } = call;
        let socket = Socket::new(Domain::for_address(place.address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(source) = source {
            ports.bind(&socket, source)?;
        }
        match socket.connect(&place.address.into()) {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
                return Err(error);
            }
            _ => {}
        }
        Ok(Self {
            wire: Wire::new(TcpStream::from_std(socket.into()), expected)?,
            stage: Stage::Dialing,
            seed,
            decoder: Decoder::new(Role::Client, WS_MESSAGE_BYTES_MAX),
            json: (place.dialect == Dialect::Json).then(|| Box::new(Json::new(user))),
            held: Vec::new(),
            out: Vec::new(),
        })
    }

    pub(super) fn stream_mut(&mut self) -> &mut TcpStream {
        self.wire.tcp()
    }

    /// Frames can be written and nothing waits to be: what is not taken stays where it can be ordered and dropped.
    fn may_write(&self) -> bool {
        self.stage == Stage::Open && self.out.is_empty() && !self.wire.has_unsent()
    }

    /// The kernel takes bytes again, or the connection stands.
    pub(super) fn on_writable(&mut self, place: &Place) -> Result<(), Lost> {
        if self.stage == Stage::Dialing {
            if let Some(error) = self.wire.tcp().take_error().map_err(broken)? {
                return Err(broken(error));
            }
            if self.wire.tcp().peer_addr().is_err() {
                return Ok(());
            }
            let Place { host, path, .. } = place;
            let key = request_key(self.nonce());
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
            );
            self.out = request.into_bytes();
            self.stage = Stage::Upgrading;
        }
        self.write_out()
    }

    /// Reads what there is. `Ok(true)` when the WebSocket has just opened.
    pub(super) fn read(&mut self, buffer: &mut [u8], frames: &mut Vec<Frame>) -> Result<bool, Lost> {
        if self.stage == Stage::Dialing {
            return Ok(false);
        }
        let before = self.stage;
        loop {
            match self.wire.read(buffer) {
                Ok(0) => return Err(Lost::Closed(None)),
                Ok(count) => {
                    self.take(buffer.get_mut(..count).unwrap_or_default(), frames)?;
                    // A short read has emptied the socket; the kernel tells of what comes behind it.
                    if count < buffer.len() && self.wire.is_emptied_by_short_reads() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(error)),
            }
        }
        Ok(before != self.stage)
    }

    fn take(&mut self, bytes: &mut [u8], frames: &mut Vec<Frame>) -> Result<(), Lost> {
        if self.stage == Stage::Open {
            return self.decode(bytes, frames);
        }
        self.held.extend_from_slice(bytes);
        let Some(end) = self.held.windows(4).position(|window| window == b"\r\n\r\n") else {
            let is_long = self.held.len() > ANSWER_BYTES_MAX;
            return if is_long {
                Err(Lost::Broken("an endless answer to the upgrade".into()))
            } else {
                Ok(())
            };
        };
        let mut held = std::mem::take(&mut self.held);
        let mut rest = held.split_off(end + 4);
        let answer = String::from_utf8_lossy(&held);
        let accept = accept_key(&request_key(self.nonce()));
        if !answer.starts_with("HTTP/1.1 101") || !answer.contains(&accept) {
            let line = answer.lines().next().unwrap_or_default().to_owned();
            return Err(Lost::Broken(format!("the upgrade was answered {line:?}")));
        }
        self.stage = Stage::Open;
        self.decode(&mut rest, frames)
    }

    fn decode(&mut self, bytes: &mut [u8], frames: &mut Vec<Frame>) -> Result<(), Lost> {
        let Self { decoder, out, seed, json, .. } = self;
        if let Some(json) = json {
            return json.take(bytes, frames);
        }
        let mut lost = None;
        let outcome = decoder.push(bytes, &mut |event| {
            match event {
                Event::Message(message) => {
                    // A message is 1..n whole frames.
                    let mut message = BytesMut::from(message);
                    lost = match take_frames(&mut message, frames) {
                        Ok(()) if message.is_empty() => None,
                        Ok(()) => Some(Lost::Broken("not frames: a part of one".into())),
                        Err(lost) => Some(lost),
                    };
                }
                Event::Ping(payload) => {
                    out.extend_from_slice(ControlFrame::pong(payload, Some(key_of(*seed))).as_bytes());
                }
                Event::Pong(_) => {}
                Event::Close { code, .. } => lost = Some(Lost::Closed(code)),
            }
            lost.is_none()
        });
        match (lost, outcome) {
            (Some(lost), _) => Err(lost),
            (None, Err(fault)) => Err(Lost::Broken(format!("not a WebSocket: {fault:?}"))),
            (None, Ok(_)) => Ok(()),
        }
    }

    /// Writes what there is. `scratch` is anybody's.
    pub(super) fn write(
        &mut self,
        scratch: &mut Vec<u8>,
        mut next: impl FnMut() -> Option<Frame>,
    ) -> Result<(), Lost> {
        if self.json.is_some() {
            return self.write_texts(scratch, &mut next);
        }
        while self.may_write() && self.write_message(scratch, &mut next)? {}
        Ok(())
    }

    /// As [`Self::write`], in the other dialect: a message each, as many as fit into one write.
    fn write_texts(
        &mut self,
        scratch: &mut Vec<u8>,
        next: &mut impl FnMut() -> Option<Frame>,
    ) -> Result<(), Lost> {
        while self.may_write() {
            scratch.clear();
            while scratch.len() < JOIN_BYTES
                && let Some(frame) = next()
            {
                self.seed = mix64(self.seed);
                if let Some(json) = &mut self.json {
                    json.write(&frame, key_of(self.seed), scratch);
                }
            }
            if scratch.is_empty() {
                break;
            }
            let taken = write_some(&mut self.wire, scratch)?;
            self.out.extend_from_slice(scratch.get(taken..).unwrap_or_default());
        }
        Ok(())
    }

    /// Writes frames as one message, as far as the kernel takes it. False when there was none.
    fn write_message(
        &mut self,
        scratch: &mut Vec<u8>,
        next: &mut impl FnMut() -> Option<Frame>,
    ) -> Result<bool, Lost> {
        // The header goes right before the payload, so that both are one piece.
        scratch.clear();
        scratch.resize(HEADER_BYTES_MAX, 0);
        for _ in 0..JOIN_FRAMES {
            let Some(frame) = next() else { break };
            scratch.extend_from_slice(frame.bytes());
            if scratch.len() >= JOIN_BYTES {
                break;
            }
        }
        let Some((head, payload)) = scratch.split_at_mut_checked(HEADER_BYTES_MAX) else { return Ok(false) };
        if payload.is_empty() {
            return Ok(false);
        }
        self.seed = mix64(self.seed);
        let key = key_of(self.seed);
        let (header, len) = encode_header(Opcode::Binary, payload.len(), Some(key));
        mask(payload, key, 0);
        let begin = HEADER_BYTES_MAX - len;
        for (to, from) in head.iter_mut().skip(begin).zip(header) {
            *to = from;
        }
        let bytes = scratch.get(begin..).unwrap_or_default();
        let taken = if self.out.is_empty() { write_some(&mut self.wire, bytes)? } else { 0 };
        self.out.extend_from_slice(bytes.get(taken..).unwrap_or_default());
        Ok(true)
    }

    fn write_out(&mut self) -> Result<(), Lost> {
        self.wire.flush().map_err(broken)?;
        if self.out.is_empty() {
            return Ok(());
        }
        let taken = write_some(&mut self.wire, &self.out)?;
        if taken == self.out.len() {
            // An idle connection owns no memory.
            self.out = Vec::new();
        } else {
            self.out.drain(..taken);
        }
        Ok(())
    }

    /// Breaks the connection as a cut cable would be noticed: nothing is said, what is on the way is lost.
    pub(super) fn cut(mut self) {
        let _ = SockRef::from(&*self.wire.tcp()).set_linger(Some(std::time::Duration::ZERO));
    }

    fn nonce(&self) -> [u8; 16] {
        let mut nonce = [0; 16];
        let halves = [mix64(self.seed), mix64(!self.seed)].into_iter().flat_map(u64::to_le_bytes);
        for (to, from) in nonce.iter_mut().zip(halves) {
            *to = from;
        }
        nonce
    }
}

fn key_of(seed: u64) -> [u8; 4] {
    let [a, b, c, d, ..] = seed.to_le_bytes();
    [a, b, c, d]
}

fn write_some(wire: &mut Wire, bytes: &[u8]) -> Result<usize, Lost> {
    let mut taken = 0;
    while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
        match wire.write(rest) {
            Ok(count) => taken += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(broken(error)),
        }
    }
    Ok(taken)
}
