//! What waits to be written: shared frames, and the few bytes of the connection's own (HTTP response, pongs, close).

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;
use protocol::Header;
use protocol::limits::{HEADER_BYTES, WS_MESSAGE_BYTES_MAX, WS_MESSAGE_FRAMES_MAX};
use protocol::ws::{Opcode, encode_header};

use crate::limits::UNCHECKED_BYTES_MAX;

/// Pieces of one vectored write: bytes of our own, a WebSocket header, and queued frames.
pub const SLICES_MAX: usize = 64;
/// Pieces that [`crate::Connection::is_short`] promises to be enough.
pub const SLICES_FEW: usize = 8;

/// A server's header has no mask key.
const MESSAGE_HEADER_BYTES: usize = 10;

/// The queue. The message at its front gets its header when it is first offered for writing; until a byte of it is
/// written, later frames still join it.
#[derive(Debug, Default)]
pub(crate) struct Egress {
    /// The oldest queued bytes stand inline, so that one frame a turn costs no allocation.
    front: Option<Bytes>,
    rest: Option<Box<Rest>>,
    /// Bytes of `front` that are written.
    front_written: u32,
    /// Bytes in `front` and `rest` that are not written; their bound is far below 4 GiB.
    queued: u32,
    header: [u8; MESSAGE_HEADER_BYTES],
    header_len: u8,
    header_written: u8,
    /// Queued entries, from the front, that belong to the message that `header` begins.
    entries: u32,
    /// Bytes that stand outside messages; they go first unless a message is half written.
    own: Option<Box<Own>>,
}

/// Room that a second entry of a turn makes at once for those that mostly come with it.
const REST_ROOM: usize = 8;

/// What is queued behind the front.
#[derive(Debug)]
struct Rest {
    entries: VecDeque<Bytes>,
}

impl Default for Rest {
    fn default() -> Self {
        Self { entries: VecDeque::with_capacity(REST_ROOM) }
    }
}

#[derive(Debug, Default)]
struct Own {
    bytes: Vec<u8>,
    written: usize,
}

impl Egress {
    /// Queues whole frames. Nothing is copied.
    pub(crate) fn push(&mut self, mut frames: Bytes) {
        while frames.len() > UNCHECKED_BYTES_MAX {
            let end = message_end(&frames);
            let head = frames.split_to(end);
            self.push_entry(head);
        }
        self.push_entry(frames);
    }

    fn push_entry(&mut self, entry: Bytes) {
        if entry.is_empty() {
            return;
        }
        self.queued = self.queued.saturating_add(small(entry.len()));
        if self.front.is_none() {
            self.front = Some(entry);
        } else {
            self.rest.get_or_insert_default().entries.push_back(entry);
        }
    }

    /// Queues bytes that stand outside messages.
    pub(crate) fn push_own(&mut self, bytes: &[u8]) {
        self.own.get_or_insert_default().bytes.extend_from_slice(bytes);
    }

    /// Bytes of [`Self::push_own`] that wait.
    pub(crate) fn own_bytes(&self) -> usize {
        self.own.as_ref().map_or(0, |own| own.bytes.len() - own.written)
    }

    /// Everything that waits, without the headers that are still to be made.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued as usize + self.own_bytes()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.front.is_none() && self.own.is_none()
    }

    /// Forgets what is queued, except a message that is half written.
    pub(crate) fn forget_unbegun(&mut self) {
        let keep = if self.header_written > 0 { self.entries as usize } else { 0 };
        if keep == 0 {
            self.front = None;
        }
        if let Some(rest) = &mut self.rest {
            rest.entries.truncate(keep.saturating_sub(1));
        }
        let left: usize = self.waiting().map(Bytes::len).sum();
        self.queued = small(left).saturating_sub(self.front_written);
        self.tidy();
    }

    /// What is queued, oldest first.
    fn waiting(&self) -> impl Iterator<Item = &Bytes> {
        self.front.iter().chain(self.rest.iter().flat_map(|rest| &rest.entries))
    }

    /// Whether so few pieces wait that a small array takes them.
    pub(crate) fn is_short(&self) -> bool {
        self.rest.as_ref().is_none_or(|rest| rest.entries.len() + 3 <= SLICES_FEW)
    }

    /// The pieces of the next vectored write, in order; 0 when nothing waits.
    pub(crate) fn slices<'a>(&'a mut self, out: &mut [IoSlice<'a>]) -> usize {
        if self.header_written == 0 {
            self.compose();
        }
        let this: &'a Self = self;
        let mut out = out.iter_mut();
        let mut count = 0;
        let mut put = |bytes: &'a [u8]| {
            if !bytes.is_empty()
                && let Some(slot) = out.next()
            {
                *slot = IoSlice::new(bytes);
                count += 1;
            }
        };
        let half_written = this.header_written > 0;
        if !half_written && let Some(own) = &this.own {
            put(own.bytes.get(own.written..).unwrap_or_default());
        }
        put(this.header.get(this.header_written.into()..this.header_len.into()).unwrap_or_default());
        let mut skip = this.front_written as usize;
        for entry in this.waiting().take(this.entries as usize) {
            put(entry.get(skip..).unwrap_or_default());
            skip = 0;
        }
        count
    }

    /// So many bytes of the last [`Self::slices`] are written.
    pub(crate) fn advance(&mut self, mut written: usize) {
        if self.header_written == 0
            && let Some(own) = &mut self.own
        {
            let now = written.min(own.bytes.len() - own.written);
            own.written += now;
            written -= now;
            if own.written == own.bytes.len() {
                self.own = None;
            }
        }
        let now = written.min(usize::from(self.header_len - self.header_written));
        #[allow(clippy::cast_possible_truncation)]
        {
            self.header_written += now as u8;
        }
        written -= now;
        self.queued = self.queued.saturating_sub(small(written));
        self.front_written += small(written);
        while let Some(front) = &self.front
            && self.entries > 0
            && self.front_written as usize >= front.len()
        {
            self.front_written -= small(front.len());
            self.front = self.rest.as_mut().and_then(|rest| rest.entries.pop_front());
            self.entries -= 1;
        }
        if self.entries == 0 {
            self.header_written = 0;
            self.header_len = 0;
        }
        self.tidy();
    }

    /// An idle connection owns no memory.
    fn tidy(&mut self) {
        if self.rest.as_ref().is_some_and(|rest| rest.entries.is_empty()) {
            self.rest = None;
        }
        if self.front.is_none() {
            self.header_len = 0;
            self.header_written = 0;
            self.entries = 0;
            self.front_written = 0;
        }
    }

    /// Makes one message of as many queued entries as the bounds of the wire allow.
    fn compose(&mut self) {
        let (mut bytes, mut frames, mut entries) = (0, 0, 0);
        for entry in self.waiting() {
            let more = frames_at_most(entry);
            let fits = bytes + entry.len() <= WS_MESSAGE_BYTES_MAX && frames + more <= WS_MESSAGE_FRAMES_MAX;
            if entries > 0 && !fits {
                break;
            }
            bytes += entry.len();
            frames += more;
            entries += 1;
        }
        self.entries = entries;
        self.header_len = 0;
        if entries > 0 {
            let (header, len) = encode_header(Opcode::Binary, bytes, None);
            for (to, from) in self.header.iter_mut().zip(header) {
                *to = from;
            }
            #[allow(clippy::cast_possible_truncation)]
            {
                self.header_len = len as u8;
            }
        }
    }
}

/// A length within the bound of a queue.
fn small(bytes: usize) -> u32 {
    debug_assert!(u32::try_from(bytes).is_ok(), "{bytes} bytes in one queue");
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// One for the usual single frame; for several, what so many bytes can hold at most.
fn frames_at_most(entry: &[u8]) -> usize {
    match Header::read(entry) {
        Some(header) if header.frame_bytes() == entry.len() => 1,
        _ => (entry.len() / HEADER_BYTES).clamp(1, WS_MESSAGE_FRAMES_MAX),
    }
}

/// How many bytes of these whole frames fit into one message; at least one frame.
fn message_end(frames: &[u8]) -> usize {
    let (mut end, mut count) = (0, 0);
    while let Some(header) = frames.get(end..).and_then(Header::read) {
        let next = end + header.frame_bytes();
        if count > 0 && (next > WS_MESSAGE_BYTES_MAX || count == WS_MESSAGE_FRAMES_MAX) {
            break;
        }
        end = next;
        count += 1;
    }
    // Frames come from the core, whole. Were they not, the rest goes out as it is and the loop above still ends.
    if end == 0 || end > frames.len() { frames.len() } else { end }
}

#[cfg(test)]
mod tests;
