//! Connections as two pipes of bytes: latency, bounded capacity, a cut at any byte, and ends that learn of the cut at
//! different times. TLS and WebSocket are not here: the edge has its own tests. What travels is frames, split anywhere.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use protocol::{Frame, FramingFault, Header};

use crate::rng::Rng;

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Pipe {
    chunks: VecDeque<(u64, Bytes)>,
    bytes: usize,
    capacity: usize,
    last_due: u64,
    end: Option<u64>,
}

impl Pipe {
    fn new(capacity: usize) -> Self {
        Self { capacity, ..Self::default() }
    }

    /// Bytes that a writer may still put in; 0 behind an end.
    #[must_use]
    pub fn room(&self) -> usize {
        if self.end.is_some() { 0 } else { self.capacity.saturating_sub(self.bytes) }
    }

    /// Puts bytes in, split at a random place, each part with its own latency. Order is kept.
    pub fn push(&mut self, rng: &mut Rng, now: u64, latency_max_ms: u64, mut bytes: Bytes) {
        if self.end.is_some() || bytes.is_empty() {
            return;
        }
        self.bytes += bytes.len();
        let split = rng.place(bytes.len());
        let first = bytes.split_to(split);
        for part in [first, bytes] {
            if !part.is_empty() {
                self.last_due = self.last_due.max(now + rng.below(latency_max_ms + 1));
                self.chunks.push_back((self.last_due, part));
            }
        }
    }

    /// Takes at most `most` bytes that have arrived.
    pub fn take(&mut self, now: u64, most: usize) -> Bytes {
        let mut out = BytesMut::new();
        while out.len() < most {
            let Some((due, chunk)) = self.chunks.front_mut() else { break };
            if *due > now {
                break;
            }
            let part = chunk.split_to(chunk.len().min(most - out.len()));
            self.bytes -= part.len();
            out.extend_from_slice(&part);
            if chunk.is_empty() {
                self.chunks.pop_front();
            }
        }
        out.freeze()
    }

    /// Ends the direction behind what is in it.
    pub fn finish(&mut self, due: u64) {
        if self.end.is_none() {
            self.end = Some(due.max(self.last_due));
        }
    }

    /// Ends the direction at a random byte: what is behind it is lost.
    pub fn cut(&mut self, rng: &mut Rng, due: u64) {
        let mut keep = rng.place(self.bytes + 1);
        self.bytes = keep;
        self.chunks.retain_mut(|(_, chunk)| {
            chunk.truncate(keep);
            keep -= chunk.len();
            !chunk.is_empty()
        });
        self.end = Some(due);
    }

    /// Whether the reader has taken everything and the end has arrived.
    #[must_use]
    pub fn is_over(&self, now: u64) -> bool {
        self.chunks.is_empty() && self.end.is_some_and(|due| due <= now)
    }

    /// Whether the end has arrived, whatever is still unread.
    #[must_use]
    pub fn is_ended(&self, now: u64) -> bool {
        self.end.is_some_and(|due| due <= now)
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// From now on this many bytes fit.
    pub fn widen(&mut self, capacity: usize) {
        self.capacity = self.capacity.max(capacity);
    }
}

/// A connection's two directions.
#[derive(Debug)]
pub struct Link {
    /// Device to server.
    pub up: Pipe,
    /// Server to device.
    pub down: Pipe,
    /// Whether a server process has it.
    pub accepted: bool,
    /// Whether the device still has its end.
    pub device_open: bool,
}

/// The name of a connection on the network, never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LinkId(pub u64);

/// Every connection that somebody still has an end of.
#[derive(Debug, Default)]
pub struct Network {
    links: std::collections::BTreeMap<LinkId, Link>,
    next: u64,
}

impl Network {
    /// A device dials. The server takes it up when it can.
    pub fn dial(&mut self, capacity: usize) -> LinkId {
        self.next += 1;
        let link =
            Link { up: Pipe::new(capacity), down: Pipe::new(capacity), accepted: false, device_open: true };
        self.links.insert(LinkId(self.next), link);
        LinkId(self.next)
    }

    /// A connection.
    pub fn get(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.get_mut(&id)
    }

    /// Connections that no server process has taken up.
    #[must_use]
    pub fn unaccepted(&self) -> Vec<LinkId> {
        self.links.iter().filter(|(_, link)| !link.accepted && link.device_open).map(|(id, _)| *id).collect()
    }

    /// Loses a connection in the middle of whatever it carries. Either end may notice first, the other up to
    /// `half_open_max_ms` later.
    pub fn cut(&mut self, id: LinkId, rng: &mut Rng, now: u64, half_open_max_ms: u64) {
        if let Some(link) = self.links.get_mut(&id) {
            let late = now + rng.below(half_open_max_ms + 1);
            let (up, down) = if rng.chance(500) { (now, late) } else { (late, now) };
            link.up.cut(rng, up);
            link.down.cut(rng, down);
        }
    }

    /// A server process ended: its ends are gone, what it had written may or may not arrive.
    pub fn server_died(&mut self, rng: &mut Rng, now: u64, notice_max_ms: u64) {
        for link in self.links.values_mut().filter(|link| link.accepted) {
            let due = now + rng.below(notice_max_ms + 1);
            link.down.cut(rng, due);
            link.up.cut(rng, due);
        }
    }

    /// Forgets the connections of which neither end is left.
    pub fn forget(&mut self, server_has: impl Fn(LinkId) -> bool) {
        self.links.retain(|id, link| link.device_open || (server_has(*id) && link.accepted));
    }

    /// From now on this many bytes fit in each direction of every connection.
    pub fn widen(&mut self, capacity: usize) {
        for link in self.links.values_mut() {
            link.up.widen(capacity);
            link.down.widen(capacity);
        }
    }

    /// Whether no bytes are under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.links.values().all(|link| link.up.is_empty() && link.down.is_empty())
    }
}

/// Bytes to frames by the length in the header, for either end.
#[derive(Debug, Default)]
pub struct Reassembly {
    bytes: BytesMut,
}

impl Reassembly {
    /// Takes bytes as they come.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame.
    ///
    /// # Errors
    /// The fault after which the bytes cannot be read any more.
    pub fn frame(&mut self) -> Result<Option<Frame>, FramingFault> {
        let Some(header) = Header::read(&self.bytes) else { return Ok(None) };
        header.check()?;
        if self.bytes.len() < header.frame_bytes() {
            return Ok(None);
        }
        Frame::new(self.bytes.split_to(header.frame_bytes()).freeze()).map(Some)
    }
}

/// Whole frames out of one buffer.
///
/// # Errors
/// The fault of the first frame that is none, or of bytes left over.
pub fn frames(mut bytes: Bytes) -> Result<Vec<Frame>, FramingFault> {
    let mut out = Vec::new();
    while bytes.has_remaining() {
        let header = Header::read(&bytes).ok_or(FramingFault::TooLarge)?;
        header.check()?;
        if bytes.len() < header.frame_bytes() {
            return Err(FramingFault::TooLarge);
        }
        out.push(Frame::new(bytes.split_to(header.frame_bytes()))?);
    }
    Ok(out)
}
