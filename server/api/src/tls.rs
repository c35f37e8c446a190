//! What an HTTP connection is spoken over: TCP, or TLS on it. The handshake is made as the first bytes are read, so the deadline
//! of the first request covers it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// The first byte of a client that speaks TLS: a handshake record (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;
/// What is read of a client that does not speak TLS, so that it reads the answer before its connection is reset.
const DRAIN_BYTES_MAX: usize = 64 * 1024;
const NOT_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 66\r\n\
Connection: close\r\n\r\nThis port speaks TLS 1.3 only: the address begins with https://.\r\n";

/// A connection, plain or with TLS.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<Secure>),
}

/// How far a connection with TLS is.
pub(crate) enum Secure {
    /// Nothing has come.
    Silent(TcpStream, TlsAcceptor),
    Handshake(Accept<TcpStream>),
    Open(TlsStream<TcpStream>),
    /// It speaks no TLS and is told so; so many bytes of the answer are written.
    Told(TcpStream, usize),
    /// It was told, and so much may still be read.
    Drained(TcpStream, usize),
    Over,
}

impl Stream {
    pub(crate) fn new(stream: TcpStream, tls: Option<&Arc<ServerConfig>>) -> Self {
        match tls {
            None => Self::Plain(stream),
            Some(tls) => Self::Tls(Box::new(Secure::Silent(stream, TlsAcceptor::from(tls.clone())))),
        }
    }
}

impl Secure {
    /// Goes on until TLS stands; `None` when the client speaks none.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<&mut TlsStream<TcpStream>>>> {
        while !matches!(self, Self::Open(_) | Self::Over) {
            ready!(self.poll_step(cx))?;
        }
        Poll::Ready(Ok(if let Self::Open(stream) = self { Some(stream) } else { None }))
    }

    /// One step. An error is the end.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (next, outcome) = match std::mem::replace(self, Self::Over) {
            Self::Silent(stream, acceptor) => first(stream, acceptor, cx),
            Self::Handshake(mut accept) => match Pin::new(&mut accept).poll(cx) {
                Poll::Pending => (Self::Handshake(accept), Poll::Pending),
                Poll::Ready(Ok(stream)) => (Self::Open(stream), Poll::Ready(Ok(()))),
                Poll::Ready(Err(error)) => (Self::Over, Poll::Ready(Err(error))),
            },
            Self::Told(stream, written) => tell(stream, written, cx),
            Self::Drained(stream, left) => drain(stream, left, cx),
            last => (last, Poll::Ready(Ok(()))),
        };
        *self = next;
        outcome
    }
}

type Step = (Secure, Poll<io::Result<()>>);

/// What a step comes to that reads or writes so many bytes of a stream.
fn then(
    stream: TcpStream,
    outcome: Poll<io::Result<usize>>,
    stay: impl FnOnce(TcpStream) -> Secure,
    go: impl FnOnce(TcpStream, usize) -> Secure,
) -> Step {
    match outcome {
        Poll::Pending => (stay(stream), Poll::Pending),
        Poll::Ready(Err(error)) => (Secure::Over, Poll::Ready(Err(error))),
        Poll::Ready(Ok(count)) => (go(stream, count), Poll::Ready(Ok(()))),
    }
}

fn first(stream: TcpStream, acceptor: TlsAcceptor, cx: &mut Context<'_>) -> Step {
    let mut byte = [0];
    let outcome = stream.poll_peek(cx, &mut ReadBuf::new(&mut byte));
    let again = acceptor.clone();
    then(
        stream,
        outcome,
        |stream| Secure::Silent(stream, again),
        |stream, count| match (count, byte) {
            (0, _) => Secure::Over,
            (_, [HANDSHAKE]) => Secure::Handshake(acceptor.accept(stream)),
            _ => Secure::Told(stream, 0),
        },
    )
}

fn tell(mut stream: TcpStream, written: usize, cx: &mut Context<'_>) -> Step {
    let rest = NOT_TLS.get(written..).unwrap_or_default();
    if rest.is_empty() {
        let outcome = Pin::new(&mut stream).poll_shutdown(cx).map_ok(|()| 0);
        let stay = |stream| Secure::Told(stream, written);
        return then(stream, outcome, stay, |stream, _| Secure::Drained(stream, DRAIN_BYTES_MAX));
    }
    let outcome = Pin::new(&mut stream).poll_write(cx, rest);
    let stay = |stream| Secure::Told(stream, written);
    then(stream, outcome, stay, |stream, count| Secure::Told(stream, written + count))
}

fn drain(mut stream: TcpStream, left: usize, cx: &mut Context<'_>) -> Step {
    let mut buffer = [0; 4096];
    let mut buffer = ReadBuf::new(&mut buffer);
    let outcome = Pin::new(&mut stream).poll_read(cx, &mut buffer).map_ok(|()| buffer.filled().len());
    let stay = |stream| Secure::Drained(stream, left);
    then(stream, outcome, stay, |stream, count| match left.saturating_sub(count) {
        0 => Secure::Over,
        _ if count == 0 => Secure::Over,
        left => Secure::Drained(stream, left),
    })
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(secure) => match ready!(secure.poll_open(cx))? {
                Some(stream) => Pin::new(stream).poll_read(cx, buffer),
                // As if it had said nothing.
                None => Poll::Ready(Ok(())),
            },
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(secure) => match ready!(secure.poll_open(cx))? {
                Some(stream) => Pin::new(stream).poll_write(cx, bytes),
                None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            },
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
            Self::Tls(secure) => match ready!(secure.poll_open(cx))? {
                Some(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
                None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            },
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(secure) => match &mut **secure {
                Secure::Open(stream) => Pin::new(stream).poll_flush(cx),
                _ => Poll::Ready(Ok(())),
            },
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(secure) => match &mut **secure {
                Secure::Open(stream) => Pin::new(stream).poll_shutdown(cx),
                _ => Poll::Ready(Ok(())),
            },
        }
    }
}
