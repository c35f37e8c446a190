//! Connections to providers: to public addresses alone where users name the host, over TLS, and by HTTP/2 where a provider
//! speaks nothing else.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;

use crate::address::{Allowed, Endpoint};
use crate::limits::KEPT_MAX;

/// Whom a connection may reach.
#[derive(Clone, Debug)]
pub(crate) enum Reach {
    /// Users name the hosts.
    Public(Arc<Allowed>),
    /// The operator names them.
    Own,
    /// The same, and they speak HTTP/2.
    OwnH2,
}

impl Reach {
    pub(crate) fn is_own(&self) -> bool {
        !matches!(self, Self::Public(_))
    }

    pub(crate) fn is_h2_only(&self) -> bool {
        matches!(self, Self::OwnH2)
    }

    fn endpoint(&self, uri: &Uri) -> Result<Endpoint, String> {
        match self {
            Self::Public(allowed) => Endpoint::parse(&uri.to_string(), allowed),
            Self::Own | Self::OwnH2 => Endpoint::own(&uri.to_string()),
        }
    }
}

/// Makes connections.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    reach: Reach,
    tls: Arc<ClientConfig>,
    kept: Arc<Semaphore>,
}

impl Connector {
    pub(crate) fn new(reach: Reach, tls: &ClientConfig) -> Self {
        let mut tls = tls.clone();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        if !reach.is_h2_only() {
            tls.alpn_protocols.push(b"http/1.1".to_vec());
        }
        Self { reach, tls: Arc::new(tls), kept: Arc::new(Semaphore::new(KEPT_MAX)) }
    }

    async fn connect(self, uri: Uri) -> Result<Line, String> {
        let endpoint = self.reach.endpoint(&uri)?;
        let kept = self.kept.try_acquire_owned().ok();
        let stream = endpoint.connect().await?;
        // A push is one small write, and what waits for more to send with it is late.
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        if !endpoint.is_secure {
            return Ok(Line { io: TokioIo::new(Box::new(stream)), is_h2: self.reach.is_h2_only(), kept });
        }
        let name = ServerName::try_from(endpoint.host).map_err(|error| error.to_string())?;
        let stream = tokio_rustls::TlsConnector::from(self.tls).connect(name, stream);
        let stream = stream.await.map_err(|error| format!("TLS: {error}"))?;
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        if self.reach.is_h2_only() && !is_h2 {
            return Err("the host does not speak HTTP/2".into());
        }
        Ok(Line { io: TokioIo::new(Box::new(stream)), is_h2, kept })
    }
}

impl Service<Uri> for Connector {
    type Response = Line;
    type Error = String;
    type Future = Pin<Box<dyn Future<Output = Result<Line, String>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection.
pub(crate) struct Line {
    io: TokioIo<Box<dyn Duplex>>,
    is_h2: bool,
    /// Without it the connection ends with its call: who names many hosts takes no more descriptors than that.
    kept: Option<OwnedSemaphorePermit>,
}

impl Connection for Line {
    fn connected(&self) -> Connected {
        let connected = Connected::new();
        if self.kept.is_none() {
            connected.poison();
        }
        if self.is_h2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
