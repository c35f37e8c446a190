//! The least that a chat server can do: a message comes in, an ack goes out to the sender, the message to the others.
//!
//! Pure, so that three drivers share it. It reads what it must to route (WebSocket lengths, frame lengths, the channel
//! at its fixed place) and checks nothing else: no store, no dedup, no membership beyond a table, no limits, one copy
//! of the bytes to each receiver. Everything for one connection in one turn leaves in one write, as in Maru.

mod upgrade;

use std::collections::HashMap;

use protocol::body::message::CreateGroup;
use protocol::body::session::{Hello, KindVersion, WelcomeV2};
use protocol::body::sync::{Complete, SendAck};
use protocol::body::{self, Body, KINDS};
use protocol::frame::STAMPED;
use protocol::limits::{HEADER_BYTES, STAMP_BYTES};
use protocol::ws::{Opcode, encode_header, mask};
use protocol::{ChannelId, Frame, Header, Kind};

use crate::token::user_of;

/// The stamp's time: the floor has no clock to read.
const TIME_MS: u64 = 1_800_000_000_000;
/// The channel begins so many bytes before the end of a text's body: its root is the last 24 bytes.
const TEXT_ROOT_BYTES: usize = 24;
/// Bytes of an ack: header and body.
const ACK_BYTES: usize = HEADER_BYTES + 32;

/// The other end did what the relay does not understand: close it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken;

/// All connections.
#[derive(Debug, Default)]
pub struct Relay {
    conns: Vec<Conn>,
    free: Vec<usize>,
    users: HashMap<u64, usize>,
    channels: HashMap<u128, Channel>,
    dirty: Vec<usize>,
    scratch: Vec<u8>,
}

#[derive(Debug, Default)]
struct Conn {
    is_open: bool,
    is_upgraded: bool,
    is_dirty: bool,
    user: u64,
    /// Bytes of a message that has not come whole.
    partial: Vec<u8>,
    /// What leaves at the end of the turn.
    out: Vec<u8>,
}

#[derive(Debug, Default)]
struct Channel {
    seq: u64,
    members: Vec<u64>,
}

impl Relay {
    /// A new connection's number. Numbers of closed ones come again.
    pub fn open(&mut self) -> usize {
        let conn = Conn { is_open: true, ..Conn::default() };
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.conns.get_mut(index)
        {
            *slot = conn;
            return index;
        }
        self.conns.push(conn);
        self.conns.len() - 1
    }

    /// The connection is gone.
    pub fn close(&mut self, index: usize) {
        let Some(conn) = self.conns.get_mut(index).filter(|conn| conn.is_open) else { return };
        if self.users.get(&conn.user) == Some(&index) {
            self.users.remove(&conn.user);
        }
        *conn = Conn::default();
        self.free.push(index);
    }

    /// Takes what was read; unmasks in place.
    ///
    /// # Errors
    /// The connection is to be closed.
    pub fn take(&mut self, index: usize, input: &mut [u8]) -> Result<(), Broken> {
        let conn = self.conns.get_mut(index).ok_or(Broken)?;
        if conn.partial.is_empty() {
            let taken = self.take_whole(index, input)?;
            let rest = input.get(taken..).unwrap_or_default();
            if !rest.is_empty() {
                self.conns.get_mut(index).ok_or(Broken)?.partial.extend_from_slice(rest);
            }
            return Ok(());
        }
        let mut bytes = std::mem::take(&mut conn.partial);
        bytes.extend_from_slice(input);
        let taken = self.take_whole(index, &mut bytes)?;
        bytes.drain(..taken);
        self.conns.get_mut(index).ok_or(Broken)?.partial = bytes;
        Ok(())
    }

    /// The next connection that has something to write.
    pub fn next_dirty(&mut self) -> Option<usize> {
        while let Some(index) = self.dirty.pop() {
            if let Some(conn) = self.conns.get_mut(index).filter(|conn| conn.is_open && conn.is_dirty) {
                conn.is_dirty = false;
                return Some(index);
            }
        }
        None
    }

    /// What waits to be written to a connection; the driver takes it away.
    pub fn output(&mut self, index: usize) -> Option<&mut Vec<u8>> {
        self.conns.get_mut(index).map(|conn| &mut conn.out)
    }

    /// Takes whole messages and returns how many bytes they were.
    fn take_whole(&mut self, index: usize, bytes: &mut [u8]) -> Result<usize, Broken> {
        let mut at = 0;
        if !self.conns.get(index).is_some_and(|conn| conn.is_upgraded) {
            let Some((head, answer)) = upgrade::answer(bytes)? else { return Ok(0) };
            self.write_raw(index, answer.as_bytes());
            self.conns.get_mut(index).ok_or(Broken)?.is_upgraded = true;
            at = head;
        }
        while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
            let Some(ws) = WsHeader::read(rest) else { break };
            let Some(payload) = rest.get_mut(ws.header..ws.header + ws.len) else { break };
            mask(payload, ws.key, 0);
            at += ws.header + ws.len;
            match ws.opcode {
                0x2 => self.message(index, payload)?,
                0x8 => return Err(Broken),
                _ => {}
            }
        }
        Ok(at)
    }

    fn message(&mut self, index: usize, mut message: &[u8]) -> Result<(), Broken> {
        while let Some(header) = Header::read(message) {
            let (frame, rest) = message.split_at_checked(header.frame_bytes()).ok_or(Broken)?;
            message = rest;
            match header.kind {
                Kind::SEND_TEXT => self.text(index, header, frame)?,
                Kind::HELLO => self.hello(index, frame)?,
                Kind::CREATE_GROUP => self.create(index, header, frame)?,
                Kind::HEARTBEAT => self.write(index, frame),
                _ => {}
            }
        }
        Ok(())
    }

    fn text(&mut self, index: usize, header: Header, frame: &[u8]) -> Result<(), Broken> {
        let root = frame.len().checked_sub(TEXT_ROOT_BYTES).and_then(|at| frame.get(at..)).ok_or(Broken)?;
        let channel = u128::from_le_bytes(*root.first_chunk().ok_or(Broken)?);
        self.pass_on(index, channel, header, frame)
    }

    fn create(&mut self, index: usize, header: Header, frame: &[u8]) -> Result<(), Broken> {
        let body = read::<CreateGroup>(frame).ok_or(Broken)?;
        let mut members = body.members;
        members.push(self.conns.get(index).ok_or(Broken)?.user);
        self.channels.insert(body.channel, Channel { seq: 0, members });
        self.pass_on(index, body.channel, header, frame)
    }

    /// Ack to the sender, the stamped frame to the others: written once, copied to each.
    fn pass_on(&mut self, index: usize, id: u128, header: Header, frame: &[u8]) -> Result<(), Broken> {
        let sender = self.conns.get(index).ok_or(Broken)?.user;
        let channel = self.channels.entry(id).or_insert_with(|| {
            let users = ChannelId(id).users();
            Channel { seq: 0, members: users.map(|(a, b)| vec![a.0, b.0]).unwrap_or_default() }
        });
        channel.seq += 1;
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        ws_header(&mut scratch, ACK_BYTES);
        let ack = Header { len: 32, kind: SendAck::KIND, version: 1, flags: 0, id: header.id };
        ack.write(&mut scratch);
        scratch.extend_from_slice(&id.to_le_bytes());
        scratch.extend_from_slice(&channel.seq.to_le_bytes());
        scratch.extend_from_slice(&TIME_MS.to_le_bytes());
        let ack_end = scratch.len();
        ws_header(&mut scratch, frame.len() + STAMP_BYTES);
        let len = header.len.checked_add(STAMP_BYTES as u32).ok_or(Broken)?;
        Header { len, flags: STAMPED, ..header }.write(&mut scratch);
        scratch.extend_from_slice(&channel.seq.to_le_bytes());
        scratch.extend_from_slice(&TIME_MS.to_le_bytes());
        scratch.extend_from_slice(&sender.to_le_bytes());
        scratch.extend_from_slice(frame.get(HEADER_BYTES..).unwrap_or_default());
        let (ack, message) = scratch.split_at_checked(ack_end).ok_or(Broken)?;
        put(&mut self.conns, &mut self.dirty, index, ack);
        for member in &channel.members {
            if *member != sender
                && let Some(to) = self.users.get(member)
            {
                put(&mut self.conns, &mut self.dirty, *to, message);
            }
        }
        self.scratch = scratch;
        Ok(())
    }

    fn hello(&mut self, index: usize, frame: &[u8]) -> Result<(), Broken> {
        let header = Header::read(frame).ok_or(Broken)?;
        let user = read::<Hello>(frame).and_then(|hello| user_of(&hello.token)).ok_or(Broken)?;
        self.conns.get_mut(index).ok_or(Broken)?.user = user.0;
        self.users.insert(user.0, index);
        let frames = [
            body::encode(header.id, &welcome(user.0)),
            body::encode(0, &Complete { generation: 1, from: 0, to: 0, head: 0 }),
        ];
        frames.iter().for_each(|frame| self.write(index, frame.bytes()));
        Ok(())
    }

    /// One frame as one message.
    fn write(&mut self, index: usize, frame: &[u8]) {
        let mut bytes = Vec::with_capacity(frame.len() + 10);
        ws_header(&mut bytes, frame.len());
        bytes.extend_from_slice(frame);
        self.write_raw(index, &bytes);
    }

    fn write_raw(&mut self, index: usize, bytes: &[u8]) {
        put(&mut self.conns, &mut self.dirty, index, bytes);
    }
}

/// What a device is told when it has said hello to something that holds nothing, and bounds nothing.
#[must_use]
pub fn welcome(user: u64) -> WelcomeV2 {
    WelcomeV2 {
        tokens_per_s: u32::MAX,
        tokens_burst: u32::MAX,
        token_bytes: u32::MAX,
        user,
        device: user,
        generation: 1,
        start: 0,
        head: 0,
        time_ms: TIME_MS,
        expires_ms: TIME_MS * 2,
        heartbeat_ms: 30_000,
        group_members_max: 500,
        kinds: KINDS.iter().map(|(kind, version)| KindVersion { kind: kind.0, version: *version }).collect(),
    }
}

fn read<T: Body>(frame: &[u8]) -> Option<T> {
    body::read(&Frame::new(bytes::Bytes::copy_from_slice(frame)).ok()?)
}

fn ws_header(out: &mut Vec<u8>, len: usize) {
    let (header, header_len) = encode_header(Opcode::Binary, len, None);
    out.extend_from_slice(header.get(..header_len).unwrap_or_default());
}

fn put(conns: &mut [Conn], dirty: &mut Vec<usize>, index: usize, bytes: &[u8]) {
    let Some(conn) = conns.get_mut(index) else { return };
    conn.out.extend_from_slice(bytes);
    if !conn.is_dirty {
        conn.is_dirty = true;
        dirty.push(index);
    }
}

/// The header of a masked WebSocket frame.
struct WsHeader {
    opcode: u8,
    key: [u8; 4],
    header: usize,
    len: usize,
}

impl WsHeader {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [first, second, ..] = *bytes else { return None };
        let (len, at) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
            127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?), 10),
            short => (u64::from(short), 2),
        };
        let key = *bytes.get(at..)?.first_chunk()?;
        Some(Self { opcode: first & 0x0f, key, header: at + 4, len: usize::try_from(len).ok()? })
    }
}

#[cfg(test)]
mod tests;
