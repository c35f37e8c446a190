//! A QUIC connection that carries Maru frames: the control stream, and a stream for each page of history.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use protocol::limits::WS_MESSAGE_BYTES_MAX;
use protocol::{CloseCode, Frame, Header};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ConnectionError, ConnectionId, Endpoint, RecvStream, SendStream, TransportConfig, VarInt};
use rustls::DigitallySignedStruct;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::sync::mpsc;

use super::entropy;
use super::socket::Lost;
use crate::account::Route;
use crate::http::HttpError;

/// What client and server call the protocol (docs/protocol.md, section 14).
const ALPN: &[u8] = b"maru/1";
/// Bytes that are queued at once.
const JOIN_BYTES: usize = 64 * 1024;
/// Pages that may be on the way at once.
const PAGES_MAX: u32 = 16;
/// Bytes of one stream that may be on the way.
const STREAM_WINDOW: u32 = 1024 * 1024;
/// Bytes of all streams that may be on the way: a large page never holds up the control stream.
const WINDOW: u32 = 4 * STREAM_WINDOW;
/// A connection that says nothing is tried this often. TCP tells at once that a server was killed; QUIC tells who asks.
const ALIVE: Duration = Duration::from_secs(10);
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
        let config = config(quic.fingerprint, route.shard).map_err(|error| fault(&error))?;
        let connecting =
            endpoint.connect_with(config, address, "localhost").map_err(|error| fault(&error))?;
        let connection = connecting.await.map_err(|error| fault(&error))?;
        let (send, receive) = connection.open_bi().await.map_err(|error| fault(&error))?;
        let (page_sender, pages) = mpsc::channel(PAGES_MAX as usize);
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

fn lost(error: &ConnectionError) -> Lost {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            Lost::Closed(u16::try_from(close.error_code.into_inner()).ok())
        }
        _ => Lost::Broken,
    }
}

fn config(fingerprint: [u8; 32], shard: u16) -> Result<quinn::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let pin = Arc::new(Pin { fingerprint, provider: provider.clone() });
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(pin)
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let crypto =
        QuicClientConfig::try_from(tls).map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    // The first byte leads the very first packet to the shard where the user lives.
    config.initial_dst_cid_provider(Arc::new(move || {
        let mut id: [u8; 8] = entropy();
        if let (Some(first), Ok(shard)) = (id.first_mut(), u8::try_from(shard)) {
            *first = shard;
        }
        ConnectionId::new(&id)
    }));
    let mut transport = TransportConfig::default();
    transport.max_concurrent_bidi_streams(VarInt::from_u32(0));
    transport.max_concurrent_uni_streams(VarInt::from_u32(PAGES_MAX));
    transport.stream_receive_window(VarInt::from_u32(STREAM_WINDOW));
    transport.receive_window(VarInt::from_u32(WINDOW));
    transport.keep_alive_interval(Some(ALIVE));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// Knows the server by its certificate and by nothing else.
#[derive(Debug)]
struct Pin {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = ring::digest::digest(&ring::digest::SHA256, end_entity);
        if found.as_ref() == self.fingerprint {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("QUIC is TLS 1.3".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
