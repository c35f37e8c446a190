//! A WebSocket on a TCP connection, plain or with TLS, that carries Maru frames (RFC 6455, client role).

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use protocol::limits::WS_MESSAGE_BYTES_MAX;
use protocol::ws::{ControlFrame, Decoder, Event, Opcode, Role, encode_header, mask};
use protocol::{CloseCode, Frame, FramingFault, Header};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split as halves};

use super::entropy;
use crate::http::{HttpError, Place};
use crate::stream::Stream;

/// Frames are joined into one WebSocket message up to about so many bytes.
const JOIN_BYTES: usize = 64 * 1024;
/// Most frames in one WebSocket message that we make.
const JOIN_FRAMES: usize = 256;
/// Free space that a read is offered at least.
const READ_BYTES: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Socket {
    read: ReadHalf<Stream>,
    write: WriteHalf<Stream>,
    /// What is written may stand in TLS's own buffers until it is flushed.
    holds_back: bool,
    is_unflushed: bool,
    decoder: Decoder,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// What ended the connection, once the frames before it are told.
    lost: Option<Lost>,
}

/// The connection is over.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lost {
    /// The server closed it, with this code if it gave one.
    Closed(Option<u16>),
    /// It broke, or the server broke the protocol.
    Broken,
}

impl Socket {
    pub(super) async fn open(place: Place) -> Result<Self, HttpError> {
        let (stream, early) = place.upgrade(entropy()).await?;
        let holds_back = stream.holds_back();
        let (read, write) = halves(stream);
        let decoder = Decoder::new(Role::Client, WS_MESSAGE_BYTES_MAX);
        Ok(Self {
            read,
            write,
            holds_back,
            is_unflushed: false,
            decoder,
            incoming: BytesMut::from(&early[..]),
            outgoing: BytesMut::new(),
            lost: None,
        })
    }

    /// Whether all that was queued is written: only then is more taken, so that the rest waits where it can still be
    /// ordered and dropped.
    pub(super) fn is_drained(&self) -> bool {
        self.outgoing.is_empty() && !self.is_unflushed
    }

    /// Queues frames as one message. False when there was none.
    pub(super) fn queue(&mut self, mut next: impl FnMut() -> Option<Frame>) -> bool {
        let mut payload = BytesMut::new();
        for _ in 0..JOIN_FRAMES {
            let Some(frame) = next() else { break };
            payload.extend_from_slice(frame.bytes());
            if payload.len() >= JOIN_BYTES {
                break;
            }
        }
        if payload.is_empty() {
            return false;
        }
        let key = entropy();
        let (header, len) = encode_header(Opcode::Binary, payload.len(), Some(key));
        mask(&mut payload, key, 0);
        self.outgoing.extend_from_slice(header.get(..len).unwrap_or_default());
        self.outgoing.extend_from_slice(&payload);
        true
    }

    /// Reads (when `may_read`) or writes once; frames that came are appended. Dropping the future loses nothing.
    pub(super) async fn turn(&mut self, may_read: bool, frames: &mut Vec<Frame>) -> Result<(), Lost> {
        if let Some(lost) = self.lost {
            return Err(lost);
        }
        // What came along with the answer to the upgrade.
        if !self.incoming.is_empty() {
            self.decode(frames);
            if !frames.is_empty() || self.lost.is_some() {
                return Ok(());
            }
        }
        self.incoming.reserve(READ_BYTES);
        let Self { read, write, incoming, outgoing, holds_back, is_unflushed, .. } = self;
        let has_read = tokio::select! {
            outcome = read.read_buf(incoming), if may_read => came(outcome)?,
            outcome = push(write, outgoing), if !outgoing.is_empty() || *is_unflushed => {
                *is_unflushed = outcome.map_err(|_| Lost::Broken)? && *holds_back;
                false
            }
            else => std::future::pending().await,
        };
        if has_read {
            self.decode(frames);
        }
        Ok(())
    }

    fn decode(&mut self, frames: &mut Vec<Frame>) {
        let Self { decoder, incoming, outgoing, lost, .. } = self;
        let taken = decoder.push(incoming, &mut |event| {
            match event {
                Event::Message(message) => {
                    if split(message, frames).is_err() {
                        *lost = Some(Lost::Broken);
                    }
                }
                Event::Ping(payload) => {
                    outgoing.extend_from_slice(ControlFrame::pong(payload, Some(entropy())).as_bytes());
                }
                Event::Pong(_) => {}
                Event::Close { code, .. } => *lost = Some(Lost::Closed(code)),
            }
            lost.is_none()
        });
        match taken {
            Ok(taken) => incoming.advance(taken),
            Err(_) => *lost = Some(Lost::Broken),
        }
    }

    /// Says goodbye, as far as the connection still takes it.
    pub(super) async fn close(mut self) {
        let close = ControlFrame::close(CloseCode::Normal.number(), "", Some(entropy()));
        self.outgoing.extend_from_slice(close.as_bytes());
        if self.write.write_all_buf(&mut self.outgoing).await.is_ok() {
            let _ = self.write.shutdown().await;
        }
    }
}

/// Writes once, or flushes when all is written. Whether there is something to flush now.
async fn push(write: &mut WriteHalf<Stream>, outgoing: &mut BytesMut) -> io::Result<bool> {
    if outgoing.is_empty() {
        write.flush().await?;
        return Ok(false);
    }
    match write.write_buf(outgoing).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ => Ok(true),
    }
}

fn came(outcome: io::Result<usize>) -> Result<bool, Lost> {
    match outcome {
        Ok(0) | Err(_) => Err(Lost::Broken),
        Ok(_) => Ok(true),
    }
}

/// A message is 1..n whole frames.
fn split(message: &[u8], frames: &mut Vec<Frame>) -> Result<(), FramingFault> {
    let mut bytes = Bytes::copy_from_slice(message);
    while !bytes.is_empty() {
        let header = Header::read(&bytes).ok_or(FramingFault::TooLarge)?;
        if header.frame_bytes() > bytes.len() {
            return Err(FramingFault::TooLarge);
        }
        frames.push(Frame::new(bytes.split_to(header.frame_bytes()))?);
    }
    Ok(())
}
