//! The TCP connection of a WebSocket, plain or with TLS. It never blocks.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

/// Who is expected at the other end of a connection with TLS.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

#[derive(Debug)]
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<(TcpStream, ClientConnection)>),
}

impl Wire {
    /// # Errors
    /// The TLS library refuses its own settings.
    pub(super) fn new(stream: TcpStream, expected: Option<&Expected>) -> io::Result<Self> {
        let Some(Expected { config, name }) = expected else { return Ok(Self::Plain(stream)) };
        let session = ClientConnection::new(config.clone(), name.clone()).map_err(io::Error::other)?;
        Ok(Self::Tls(Box::new((stream, session))))
    }

    pub(super) fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(both) => &mut both.0,
        }
    }

    /// Whether a read that did not fill its buffer has emptied the socket.
    pub(super) fn is_emptied_by_short_reads(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Whether records wait that the kernel did not take.
    pub(super) fn has_unsent(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(both) => both.1.wants_write(),
        }
    }

    /// Writes records that wait, as far as the kernel takes them.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let Self::Tls(both) = self else { return Ok(()) };
        let (stream, session) = &mut **both;
        while session.wants_write() {
            match session.write_tls(stream) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let (stream, session) = match self {
                Self::Plain(stream) => return stream.read(buffer),
                Self::Tls(both) => &mut **both,
            };
            match session.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
            if session.read_tls(stream)? == 0 {
                return Ok(0);
            }
            let outcome = session.process_new_packets();
            // Also an alert.
            self.flush()?;
            outcome.map_err(io::Error::other)?;
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        let session = match self {
            Self::Plain(stream) => return stream.write(bytes),
            // What the kernel does not take stays where it can be ordered and dropped.
            Self::Tls(both) if both.1.wants_write() && !both.1.is_handshaking() => {
                return Err(ErrorKind::WouldBlock.into());
            }
            Self::Tls(both) => &mut both.1,
        };
        let taken = session.writer().write(bytes)?;
        self.flush()?;
        if taken == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(taken) }
    }
}
