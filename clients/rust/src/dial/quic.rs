//! A QUIC connection that carries Maru frames: the control stream, and a stream for each page of history.

mod settings;

pub use settings::{first_id, settings};

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use protocol::limits::WS_MESSAGE_BYTES_MAX;
use protocol::{CloseCode, Frame, Header};
use quinn::{ConnectionError, Endpoint, RecvStream, SendStream, TransportErrorCode, VarInt};
use rustls::AlertDescription;
use tokio::sync::mpsc;

use super::socket::Lost;
use crate::account::Route;
use crate::http::HttpError;
use crate::trust::WRONG_PIN;

/// Bytes that are queued at once.
const JOIN_BYTES: usize = 64 * 1024;
/// A page with the messages that follow in it.
const PAGE_STREAM_BYTES_MAX: usize = 2 * WS_MESSAGE_BYTES_MAX;

#[derive(Debug)]
pub(super) struct Quic {
    endpoint: Endpoint,
    connection: quinn::Connection,
    send: SendStream,
    receive: RecvStream,
    incoming: BytesMut,
    outgoing: BytesMut,
    pages: mpsc::Receiver<Vec<Frame>>,
    page_sender: mpsc::Sender<Vec<Frame>>,
    /// The server has said its last frame; the close code follows.
    is_finished: bool,
}

/// There is no way to the server's QUIC.
pub(super) fn unreachable(route: &Route, fault: impl std::fmt::Display) -> HttpError {
    let place = route.quic.as_ref().map_or_else(|| "quic".to_owned(), |quic| quic.address.clone());
    HttpError::Unreachable { place, fault: fault.to_string() }
}

impl Quic {
    pub(super) async fn open(route: &Route) -> Result<Self, HttpError> {
        let fault = |fault: &dyn std::fmt::Display| unreachable(route, fault);
        let quic = route.quic.as_ref().ok_or_else(|| unreachable(route, "the server has no QUIC"))?;
        let mut found =
            tokio::net::lookup_host(quic.address.as_str()).await.map_err(|error| fault(&error))?;
        let address = found.next().ok_or_else(|| unreachable(route, "there is no such host"))?;
        let any = match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let endpoint = Endpoint::client(any).map_err(|error| fault(&error))?;
        let mut config = settings(quic.fingerprint).map_err(|error| fault(&error))?;
        let shard = route.shard;
        config.initial_dst_cid_provider(Arc::new(move || first_id(Some(shard))));
        let connecting =
            endpoint.connect_with(config, address, "localhost").map_err(|error| fault(&error))?;
        let connection = connecting.await.map_err(|error| match is_wrong_pin(&error) {
            true => HttpError::Untrusted { place: quic.address.clone(), fault: WRONG_PIN.to_owned() },
            false => fault(&error),
        })?;
        let (send, receive) = connection.open_bi().await.map_err(|error| fault(&error))?;
        let (page_sender, pages) = mpsc::channel(settings::PAGES_MAX as usize);
        Ok(Self {
            endpoint,
            connection,
            send,
            receive,
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            pages,
            page_sender,
            is_finished: false,
        })
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    pub(super) fn is_drained(&self) -> bool {
        self.outgoing.is_empty()
    }

    pub(super) fn queue(&mut self, mut next: impl FnMut() -> Option<Frame>) -> bool {
        while self.outgoing.len() < JOIN_BYTES {
            let Some(frame) = next() else { break };
            self.outgoing.extend_from_slice(frame.bytes());
        }
        !self.outgoing.is_empty()
    }

    pub(super) async fn turn(&mut self, may_read: bool, frames: &mut Vec<Frame>) -> Result<(), Lost> {
        let Self { connection, send, receive, outgoing, pages, is_finished, .. } = self;
        if *is_finished {
            return Err(lost(&connection.closed().await));
        }
        tokio::select! {
            outcome = receive.read_chunk(JOIN_BYTES, true), if may_read => match outcome {
                Ok(Some(chunk)) => {
                    self.incoming.extend_from_slice(&chunk.bytes);
                    split(&mut self.incoming, frames)
                }
                Ok(None) => {
                    *is_finished = true;
                    Ok(())
                }
                Err(quinn::ReadError::ConnectionLost(error)) => Err(lost(&error)),
                Err(_) => Err(Lost::Broken),
            },
            outcome = send.write(outgoing), if !outgoing.is_empty() => match outcome {
                Ok(written) => {
                    outgoing.advance(written);
                    Ok(())
                }
                Err(quinn::WriteError::ConnectionLost(error)) => Err(lost(&error)),
                // It is about to say why.
                Err(_) => {
                    *is_finished = true;
                    Ok(())
                }
            },
            page = pages.recv(), if may_read => {
                frames.extend(page.unwrap_or_default());
                Ok(())
            }
            stream = connection.accept_uni(), if may_read => match stream {
                Ok(stream) => {
                    tokio::spawn(read_page(stream, connection.clone(), self.page_sender.clone()));
                    Ok(())
                }
                Err(error) => Err(lost(&error)),
            },
            else => std::future::pending().await,
        }
    }

    pub(super) async fn close(mut self) {
        // What is queued is sent, and the end of the stream is the goodbye: the server closes.
        if self.send.write_all(&self.outgoing).await.is_ok() && self.send.finish().is_ok() {
            let _ = self.send.stopped().await;
        }
        self.connection.close(VarInt::from_u32(CloseCode::Normal.number().into()), b"");
        self.endpoint.wait_idle().await;
    }
}

impl Drop for Quic {
    fn drop(&mut self) {
        self.connection.close(VarInt::from_u32(CloseCode::Normal.number().into()), b"");
    }
}

/// A page is told as a whole, so that nothing comes between its head and its messages.
async fn read_page(mut stream: RecvStream, connection: quinn::Connection, pages: mpsc::Sender<Vec<Frame>>) {
    let mut frames = Vec::new();
    match stream.read_to_end(PAGE_STREAM_BYTES_MAX).await {
        Ok(bytes) => {
            let mut bytes = BytesMut::from(&bytes[..]);
            if split(&mut bytes, &mut frames).is_err() || !bytes.is_empty() {
                connection.close(VarInt::from_u32(CloseCode::Protocol.number().into()), b"bad page");
                return;
            }
        }
        // The connection is over, or the server took the page back: the request is asked again.
        Err(_) => return,
    }
    let _ = pages.send(frames).await;
}

/// Takes whole frames from the front.
fn split(bytes: &mut BytesMut, frames: &mut Vec<Frame>) -> Result<(), Lost> {
    while let Some(header) = Header::read(bytes) {
        header.check().map_err(|_| Lost::Broken)?;
        if header.frame_bytes() > bytes.len() {
            break;
        }
        let frame: Bytes = bytes.split_to(header.frame_bytes()).freeze();
        frames.push(Frame::new(frame).map_err(|_| Lost::Broken)?);
    }
    Ok(())
}

/// Whether we ourselves ended the handshake, for the certificate: the pin refuses it as a verifier of ours.
fn is_wrong_pin(error: &ConnectionError) -> bool {
    let code = TransportErrorCode::crypto(AlertDescription::AccessDenied.into());
    matches!(error, ConnectionError::TransportError(error) if error.code == code)
}

fn lost(error: &ConnectionError) -> Lost {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            Lost::Closed(u16::try_from(close.error_code.into_inner()).ok())
        }
        _ => Lost::Broken,
    }
}
