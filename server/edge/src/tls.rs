//! TLS 1.3 below a connection, pure: records in, plain bytes out, and back. rustls's unbuffered interface does the work on bytes
//! that the caller holds, so a connection that neither reads nor writes owns no buffer.

use core::fmt;
use core::mem;
use std::sync::Arc;

use protocol::limits::UNAUTHENTICATED_BYTES_MAX;
use rustls::ServerConfig;
use rustls::server::{ResolvesServerCert, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError};

use crate::connection::Connection;
use crate::limits::SEAL_BYTES;
use crate::{SLICES_MAX, http};

/// What client and server call the protocol of both TCP ports in the handshake (RFC 7301). A client may name none.
pub const ALPN: &[u8] = b"http/1.1";

/// The first byte of a client that speaks TLS: a handshake record (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;
/// Bytes before the length of a record, and with it.
const RECORD_HEADER: usize = 5;
/// What encryption adds to a record, and to the few of its own that rustls puts in front.
const RECORD_OVERHEAD: usize = 64;
/// Text of a record.
const RECORD_BYTES: usize = 16 * 1024;

/// TLS 1.3 with whatever certificate is the current one. No early data: the first frame of a connection is Hello, a Hello ends the
/// device's older session, and so a replayed one would throw a device out. No tickets: a resumed handshake saves one
/// signature and costs memory in every connection.
///
/// # Errors
/// The library refuses its own defaults.
pub fn config(
    certificates: Arc<dyn ResolvesServerCert>,
    alpn: &[u8],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![alpn.to_vec()];
    config.max_early_data_size = 0;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// Why TLS with a peer is over.
#[derive(Clone, PartialEq, Debug)]
pub enum TlsFault {
    /// It did not begin with TLS. It was told so in clear text.
    NotTls,
    /// More than [`UNAUTHENTICATED_BYTES_MAX`] bytes and no end of the handshake.
    TooMany,
    /// It broke the protocol, or has nothing in common with us. It was sent an alert.
    Protocol(rustls::Error),
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTls => f.write_str("the client does not speak TLS"),
            Self::TooMany => f.write_str("the handshake is too long"),
            Self::Protocol(error) => error.fmt(f),
        }
    }
}

impl From<rustls::Error> for TlsFault {
    fn from(error: rustls::Error) -> Self {
        Self::Protocol(error)
    }
}

/// Buffers of a thread that all its connections use in turn.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Text, decrypted or to be encrypted.
    pub(crate) text: Vec<u8>,
    /// Room for records.
    sealed: Vec<u8>,
}

/// What is to be encrypted.
#[derive(Clone, Copy)]
enum Say<'a> {
    Nothing,
    Text(&'a [u8]),
    /// That nothing follows (close_notify).
    Farewell,
}

/// TLS of one connection.
///
/// | state | bytes in | text out | next |
/// |---|---|---|---|
/// | nothing has come: `config` | the first byte decides | - | `session`, or over after words in clear |
/// | handshake: `session` | at most 16 KiB | - | open, or over after an alert |
/// | open: `session` | records | all that the connection has | over by a fault; `farewell` is its last record |
/// | over: neither | dropped | none; `sealed` is still written | |
pub(crate) struct Tls {
    config: Option<Arc<ServerConfig>>,
    session: Option<UnbufferedServerConnection>,
    /// What came of a record, or of a handshake message, in part. rustls remembers how far it has looked into it.
    partial: Vec<u8>,
    /// Records that wait to be written, from `written` on.
    sealed: Vec<u8>,
    written: usize,
    /// Bytes of the handshake.
    received: usize,
    /// The peer has said that it sends no more.
    peer_closed: bool,
    /// What comes is dropped.
    is_deaf: bool,
    /// So have we.
    has_said_farewell: bool,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}

impl Tls {
    /// Nothing is made before the first byte has come.
    pub(crate) fn new(config: Arc<ServerConfig>) -> Self {
        Self {
            config: Some(config),
            session: None,
            partial: Vec::new(),
            sealed: Vec::new(),
            written: 0,
            received: 0,
            peer_closed: false,
            is_deaf: false,
            has_said_farewell: false,
        }
    }

    /// Whether the handshake is over and text can be said.
    pub(crate) fn is_open(&self) -> bool {
        self.session.as_ref().is_some_and(|session| !session.is_handshaking())
    }

    /// Whether nothing more comes, by the peer's word.
    pub(crate) fn has_ended(&self) -> bool {
        self.peer_closed
    }

    /// Bytes of what came in part.
    pub(crate) fn partial_bytes(&self) -> usize {
        self.partial.len()
    }

    /// Bytes of records that wait to be written.
    pub(crate) fn sealed_bytes(&self) -> usize {
        self.sealed.len() - self.written
    }

    /// The records that wait.
    pub(crate) fn sealed(&self) -> &[u8] {
        self.sealed.get(self.written..).unwrap_or_default()
    }

    /// Takes what was read; its text is appended. After a fault nothing is taken any more.
    pub(crate) fn take(&mut self, input: &mut [u8], text: &mut Vec<u8>) -> Result<(), TlsFault> {
        self.begin(input)?;
        if self.session.is_none() || self.peer_closed || self.is_deaf {
            return Ok(());
        }
        if !self.is_open() {
            self.received += input.len();
        }
        let outcome = if self.partial.is_empty() {
            self.step(input, text, Say::Nothing).map(|used| {
                self.partial.extend_from_slice(input.get(used..).unwrap_or_default());
            })
        } else {
            let mut bytes = mem::take(&mut self.partial);
            bytes.extend_from_slice(input);
            let used = self.step(&mut bytes, text, Say::Nothing);
            used.map(|used| self.partial = rest_of(bytes, used))
        };
        if self.peer_closed {
            self.partial = Vec::new();
        }
        outcome?;
        if !self.is_open() && self.received > UNAUTHENTICATED_BYTES_MAX {
            self.end();
            return Err(TlsFault::TooMany);
        }
        Ok(())
    }

    /// The first bytes make the session; whoever does not speak TLS is told so in what it speaks.
    fn begin(&mut self, input: &[u8]) -> Result<(), TlsFault> {
        let Some(first) = input.first() else { return Ok(()) };
        let Some(config) = self.config.take() else { return Ok(()) };
        if *first != HANDSHAKE {
            self.sealed = http::not_tls();
            return Err(TlsFault::NotTls);
        }
        self.session = Some(UnbufferedServerConnection::new(config)?);
        Ok(())
    }

    /// Lets rustls go on until it wants more bytes, and encrypts what is to be said. Returns how many bytes it is done with.
    /// It always gets all that it is not done with: it has places of a message in them.
    fn step(&mut self, bytes: &mut [u8], text: &mut Vec<u8>, say: Say<'_>) -> Result<usize, TlsFault> {
        let Self { session: Some(session), sealed, peer_closed, .. } = self else { return Ok(bytes.len()) };
        let mut used = 0;
        loop {
            let status = session.process_tls_records(bytes.get_mut(used..).unwrap_or_default());
            let mut done = status.discard;
            match status.state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        done += record.discard;
                        text.extend_from_slice(record.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(sealed, RECORD_OVERHEAD, |room| encoded(data.encode(room)))?;
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => *peer_closed = true,
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    match say {
                        Say::Nothing => {}
                        Say::Text(said) => {
                            let records = said.len() / RECORD_BYTES + 2;
                            append(sealed, said.len() + records * RECORD_OVERHEAD, |room| {
                                encrypted(traffic.encrypt(said, room))
                            })?;
                        }
                        Say::Farewell => append(sealed, RECORD_OVERHEAD, |room| {
                            encrypted(traffic.queue_close_notify(room))
                        })?,
                    }
                    return Ok(used + done);
                }
                // There is no early data, and no other state in this version of rustls.
                Ok(_) => return Ok(used + done),
                Err(error) => {
                    self.alert();
                    return Err(error.into());
                }
            }
            used += done;
        }
    }

    /// After a fault: what rustls has to tell the peer about it, and nothing else.
    fn alert(&mut self) {
        let Self { session: Some(session), sealed, .. } = self else { return };
        while session.wants_write() {
            let Ok(ConnectionState::EncodeTlsData(mut data)) = session.process_tls_records(&mut []).state
            else {
                break;
            };
            if append(sealed, RECORD_OVERHEAD, |room| encoded(data.encode(room))).is_err() {
                break;
            }
        }
        self.end();
    }

    /// Nothing more is read, and nothing more encrypted.
    fn end(&mut self) {
        self.session = None;
        self.partial = Vec::new();
    }

    /// What came in part is forgotten, and nothing more is read. If it was part of a message of TLS itself, nothing can be said
    /// either.
    pub(crate) fn give_up(&mut self) {
        let length = self
            .partial
            .get(3..RECORD_HEADER)
            .map_or(0, |bytes| bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)));
        let holds_record = length > 0 && self.partial.len() >= RECORD_HEADER + length;
        if holds_record {
            self.end();
        }
        self.partial = Vec::new();
        self.is_deaf = true;
    }

    /// Whether [`Self::seal`] makes records.
    pub(crate) fn has_more(&self, connection: &Connection) -> bool {
        self.is_open() && (connection.has_output() || self.farewell_is_due(connection))
    }

    fn farewell_is_due(&self, connection: &Connection) -> bool {
        !self.has_said_farewell && connection.is_written_out()
    }

    /// Encrypts what the connection has to say, as far as one write goes, unless older records wait.
    pub(crate) fn seal(
        &mut self,
        connection: &mut Connection,
        scratch: &mut Scratch,
    ) -> Result<(), TlsFault> {
        if !self.sealed.is_empty() || !self.has_more(connection) {
            return Ok(());
        }
        let Scratch { text, sealed } = scratch;
        text.clear();
        gather(connection, text);
        mem::swap(&mut self.sealed, sealed);
        let mut partial = mem::take(&mut self.partial);
        for say in [Say::Text(text.as_slice()), Say::Farewell] {
            match say {
                Say::Text([]) => continue,
                Say::Farewell if !self.farewell_is_due(connection) => continue,
                Say::Farewell => self.has_said_farewell = true,
                _ => {}
            }
            // All that had come was taken when it came.
            let mut more = Vec::new();
            let used = self.step(&mut partial, &mut more, say)?;
            partial.drain(..used);
            debug_assert!(more.is_empty());
        }
        self.partial = partial;
        Ok(())
    }

    /// So many bytes of [`Self::sealed`] are written. What is left is kept in no more room than it needs.
    pub(crate) fn advance(&mut self, written: usize, scratch: &mut Scratch) {
        self.written = (self.written + written).min(self.sealed.len());
        let left = self.sealed_bytes();
        if self.sealed.capacity() < 2 * left {
            return;
        }
        let rest = self.sealed().to_vec();
        let mut room = mem::replace(&mut self.sealed, rest);
        self.written = 0;
        if room.capacity() > scratch.sealed.capacity() {
            room.clear();
            scratch.sealed = room;
        }
    }
}

/// Takes what the connection has to say, up to [`SEAL_BYTES`].
fn gather(connection: &mut Connection, text: &mut Vec<u8>) {
    while text.len() < SEAL_BYTES {
        let mut slices = [std::io::IoSlice::new(&[]); SLICES_MAX];
        let count = connection.poll_transmit(&mut slices);
        let before = text.len();
        for slice in slices.get(..count).unwrap_or_default() {
            let room = SEAL_BYTES - text.len();
            text.extend_from_slice(slice.get(..room.min(slice.len())).unwrap_or_default());
        }
        let taken = text.len() - before;
        if taken == 0 {
            return;
        }
        connection.advance(taken);
    }
}

/// Why a record was not made: too little room, with what is needed, or for good.
enum NotMade {
    Room(usize),
    Ever,
}

fn encoded(outcome: Result<usize, EncodeError>) -> Result<usize, NotMade> {
    outcome.map_err(|error| match error {
        EncodeError::InsufficientSize(error) => NotMade::Room(error.required_size),
        EncodeError::AlreadyEncoded => NotMade::Ever,
    })
}

fn encrypted(outcome: Result<usize, EncryptError>) -> Result<usize, NotMade> {
    outcome.map_err(|error| match error {
        EncryptError::InsufficientSize(error) => NotMade::Room(error.required_size),
        EncryptError::EncryptExhausted => NotMade::Ever,
    })
}

/// Appends what `make` writes into the room that it is given.
fn append(
    sealed: &mut Vec<u8>,
    room: usize,
    mut make: impl FnMut(&mut [u8]) -> Result<usize, NotMade>,
) -> Result<(), rustls::Error> {
    let begin = sealed.len();
    let mut room = room;
    // Twice at most: the first refusal says what is needed.
    for _ in 0..2 {
        sealed.resize(begin + room, 0);
        match make(sealed.get_mut(begin..).unwrap_or_default()) {
            Ok(made) => {
                sealed.truncate(begin + made);
                return Ok(());
            }
            Err(NotMade::Room(needed)) => room = needed,
            Err(NotMade::Ever) => break,
        }
    }
    sealed.truncate(begin);
    Err(rustls::Error::EncryptError)
}

/// What is behind the first `used` bytes, in memory of its own size.
fn rest_of(bytes: Vec<u8>, used: usize) -> Vec<u8> {
    if used == 0 { bytes } else { bytes.get(used..).unwrap_or_default().to_vec() }
}

const _: () = assert!(size_of::<Tls>() <= 1536);

#[cfg(test)]
pub(crate) mod tests;
