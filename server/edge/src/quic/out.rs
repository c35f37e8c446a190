//! What waits to be written to a connection: frames on the control stream, and a stream for each page.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use protocol::{Header, Kind};
use quinn_proto::{Connection, Dir, StreamId};

use super::Counters;
use crate::limits::{QUIC_PAGE_BYTES_MAX, QUIC_PAGE_STREAMS_MAX, QUIC_SEND_WINDOW};

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Out {
    frames: VecDeque<Bytes>,
    /// Bytes in `frames`.
    queued: usize,
    /// Pages without a stream yet.
    waiting: VecDeque<Bytes>,
    /// Pages with a stream, until the peer has all of them.
    open: Vec<Page>,
    /// STREAM frames of the connection when it was last looked at.
    streams: u64,
    /// Bytes in `open`. The send window is larger by so much: pages never take the room of live frames.
    flying: usize,
}

#[derive(Debug)]
struct Page {
    stream: StreamId,
    rest: Bytes,
    len: usize,
}

impl Out {
    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        let waiting = self.waiting.iter().map(Bytes::len).sum::<usize>();
        // Frames wait when as many as may be on the way are. quinn-proto does not say how many bytes these still are.
        let sent = if self.frames.is_empty() { 0 } else { QUIC_SEND_WINDOW };
        sent + self.queued + waiting + self.flying
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.waiting.is_empty() && self.open.is_empty()
    }

    /// Whether stream data was sent since this was last asked, while something waits.
    pub(super) fn went_on(&mut self, streams: u64) -> bool {
        self.bytes() > 0 && core::mem::replace(&mut self.streams, streams) != streams
    }

    /// Queues 1..n whole frames, shared with every other receiver. A page of history goes its own way.
    pub(super) fn push(&mut self, frames: Bytes) {
        if Header::read(&frames).is_some_and(|header| header.kind == Kind::HISTORY_PAGE) {
            self.waiting.push_back(frames);
        } else {
            self.queued += frames.len();
            self.frames.push_back(frames);
        }
    }

    /// The peer has all of a page, or wants none of it.
    pub(super) fn page_done(&mut self, proto: &mut Connection, stream: StreamId) {
        if let Some(at) = self.open.iter().position(|page| page.stream == stream) {
            self.flying -= self.open.swap_remove(at).len;
            self.widen(proto);
        }
    }

    /// Whether all frames are written, pages aside.
    pub(super) fn is_written(&self) -> bool {
        self.frames.is_empty()
    }

    /// Gives pages that are on the way a send window of their own.
    fn widen(&self, proto: &mut Connection) {
        proto.set_send_window((QUIC_SEND_WINDOW + self.flying) as u64);
    }

    /// Gives quinn-proto as many frames as it takes.
    pub(super) fn write_control(&mut self, proto: &mut Connection, id: StreamId) {
        while !self.frames.is_empty() {
            let Ok(written) = proto.send_stream(id).write_chunks(self.frames.make_contiguous()) else {
                return;
            };
            self.queued = self.queued.saturating_sub(written.bytes);
            self.frames.drain(..written.chunks);
            if written.bytes == 0 {
                return;
            }
        }
    }

    /// Gives quinn-proto as much of the pages as it takes.
    pub(super) fn write_pages(&mut self, proto: &mut Connection, counters: &mut Counters) {
        while let Some(len) = self.waiting.front().map(Bytes::len) {
            let is_full = self.open.len() >= QUIC_PAGE_STREAMS_MAX || self.flying + len > QUIC_PAGE_BYTES_MAX;
            if is_full && !self.open.is_empty() {
                break;
            }
            let Some(rest) = self.waiting.pop_front() else { break };
            if let Some(stream) = proto.streams().open(Dir::Uni) {
                counters.page_streams += 1;
                self.open.push(Page { stream, rest, len });
                self.flying += len;
                self.widen(proto);
            } else {
                // The peer allows no stream for it.
                self.queued += len;
                self.frames.push_back(rest);
            }
        }
        for page in &mut self.open {
            while page.rest.has_remaining() {
                let mut chunks = [page.rest.clone()];
                match proto.send_stream(page.stream).write_chunks(&mut chunks) {
                    Ok(written) => page.rest.advance(written.bytes),
                    Err(_) => break,
                }
                if page.rest.is_empty() {
                    let _ = proto.send_stream(page.stream).finish();
                }
            }
        }
    }
}
