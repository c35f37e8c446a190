//! One HTTP/1.1 request on a connection of its own (RFC 9112), and the upgrade to a WebSocket (RFC 6455 section 4.1); over TLS where
//! the address says so.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use protocol::ws::{accept_key, request_key};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::stream::Stream;
use crate::trust::{self, Trust, TrustError};

/// A request that takes longer is given up.
const REQUEST_WAIT: Duration = Duration::from_secs(30);
/// Most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address is not one of ours.
    #[error("{url:?} is not an address like {expected}: {fault}")]
    BadUrl {
        /// What was found.
        url: String,
        /// What was expected.
        expected: &'static str,
        /// What is wrong with it.
        fault: String,
    },
    /// No connection, or it broke.
    #[error("no connection to {place}: {fault}")]
    Unreachable {
        /// Host and port.
        place: String,
        /// In the system's words.
        fault: String,
    },
    /// Whoever is there may be somebody else: nothing was said to it.
    #[error("{place} is not trusted: {fault}")]
    Untrusted {
        /// Host and port, or the address.
        place: String,
        /// Why.
        fault: String,
    },
    /// Nobody can be trusted here.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The server answered, but not what the protocol says.
    #[error("unexpected answer from {place}: {fault}")]
    BadAnswer {
        /// Host and port.
        place: String,
        /// What was found.
        fault: String,
    },
}

/// How an address begins, without TLS; with it an `s` follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scheme {
    Http,
    Ws,
}

impl Scheme {
    fn names(self) -> [&'static str; 2] {
        match self {
            Self::Http => ["http", "https"],
            Self::Ws => ["ws", "wss"],
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Http => "http://host:port or https://host:port",
            Self::Ws => "ws://host:port/ws or wss://host:port/ws",
        }
    }
}

/// Where a server is: `http://host:port`, `wss://host:port/path`.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// `host:port` as the user wrote it.
    authority: String,
    host: String,
    port: u16,
    path: String,
    /// Who is expected there; `None`: clear text.
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Place {
    pub(crate) fn parse(url: &str, scheme: Scheme, trust: &Trust) -> Result<Self, HttpError> {
        let expected = scheme.expected();
        let bad = |fault: String| HttpError::BadUrl { url: url.to_owned(), expected, fault };
        let uri: Uri = url.parse().map_err(|error| bad(format!("{error}")))?;
        let [plain, secure] = scheme.names();
        let found = uri.scheme_str().unwrap_or_default();
        if found != plain && found != secure {
            return Err(bad(format!("the scheme is {found:?}, not {plain:?} or {secure:?}")));
        }
        let is_secure = found == secure;
        let authority = uri.authority().ok_or_else(|| bad("there is no host".into()))?;
        if authority.as_str().contains('@') {
            return Err(bad("a user name does not belong there".into()));
        }
        // An IPv6 address stands in brackets in a URL and without them in a socket address.
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = if is_secure {
            let name = ServerName::try_from(host.clone()).map_err(|error| bad(error.to_string()))?;
            Some((trust.config()?, name))
        } else {
            None
        };
        Ok(Self {
            authority: authority.to_string(),
            host,
            port: authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 }),
            path: uri.path().to_owned(),
            tls,
        })
    }

    /// Whether nobody on the way can read or change what is said.
    pub(crate) fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    pub(crate) fn untrusted(&self, fault: impl Into<String>) -> HttpError {
        HttpError::Untrusted { place: self.authority.clone(), fault: fault.into() }
    }

    /// Why TLS does not stand.
    fn tls_fault(&self, error: &io::Error) -> HttpError {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(why)) => self.untrusted(trust::words(why)),
            Some(rustls::Error::InvalidMessage(_)) => self.unreachable("it does not speak TLS there"),
            _ => self.unreachable(format!("TLS: {error}")),
        }
    }

    fn unreachable(&self, fault: impl std::fmt::Display) -> HttpError {
        HttpError::Unreachable { place: self.authority.clone(), fault: fault.to_string() }
    }

    pub(crate) fn bad_answer(&self, fault: impl Into<String>) -> HttpError {
        HttpError::BadAnswer { place: self.authority.clone(), fault: fault.into() }
    }

    async fn open(&self) -> Result<SendRequest<Full<Bytes>>, HttpError> {
        let stream =
            TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|e| self.unreachable(e))?;
        // Small frames must not wait for the ack of the ones before.
        stream.set_nodelay(true).map_err(|error| self.unreachable(error))?;
        let stream = match &self.tls {
            None => Stream::Plain(stream),
            Some((config, name)) => Stream::secure(stream, config.clone(), name.clone())
                .await
                .map_err(|error| self.tls_fault(&error))?,
        };
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| self.unreachable(error))?;
        tokio::spawn(async move {
            // What breaks here is seen by the request that waits for its answer.
            let _ = connection.with_upgrades().await;
        });
        Ok(sender)
    }

    /// Sends one request, with a JSON body when there is one.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<String>,
    ) -> Result<(StatusCode, Bytes), HttpError> {
        let path = format!("{}{path}", self.path.trim_end_matches('/'));
        let mut request = Request::builder().method(method).uri(path).header(HOST, &self.authority);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::from(body.unwrap_or_default())).map_err(|e| self.unreachable(e))?;
        let exchange = async {
            let answer = self.open().await?.send_request(request).await.map_err(|e| self.unreachable(e))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok((status, body.map_err(|error| self.unreachable(error))?.to_bytes()))
        };
        timeout(REQUEST_WAIT, exchange).await.unwrap_or_else(|_| Err(self.unreachable("no answer in time")))
    }

    /// Gets a body of any length, which goes to `take` piece by piece; the bytes of a refusal are given back instead.
    pub(crate) async fn download(
        &self,
        path: &str,
        token: &str,
        take: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(StatusCode, Bytes), HttpError> {
        let path = format!("{}{path}", self.path.trim_end_matches('/'));
        let request = Request::builder().uri(path).header(HOST, &self.authority);
        let request = request.header(AUTHORIZATION, format!("Bearer {token}")).body(Full::default());
        let request = request.map_err(|error| self.unreachable(error))?;
        let asked = async { self.open().await?.send_request(request).await.map_err(|e| self.unreachable(e)) };
        let late = || self.unreachable("no answer in time");
        let answer = timeout(REQUEST_WAIT, asked).await.unwrap_or_else(|_| Err(late()))?;
        let (status, mut body) = (answer.status(), answer.into_body());
        if !status.is_success() {
            let refusal = timeout(REQUEST_WAIT, Limited::new(body, ANSWER_BYTES_MAX).collect()).await;
            let refusal = refusal.map_err(|_| late())?.map_err(|error| self.unreachable(error))?;
            return Ok((status, refusal.to_bytes()));
        }
        loop {
            let frame = timeout(REQUEST_WAIT, body.frame()).await.map_err(|_| late())?;
            let Some(frame) = frame else { return Ok((status, Bytes::new())) };
            let frame = frame.map_err(|error| self.unreachable(format!("it broke off: {error}")))?;
            if frame.data_ref().is_some_and(|bytes| !take(bytes)) {
                return Ok((status, Bytes::new()));
            }
        }
    }

    /// Opens a WebSocket. The second part is what the server sent behind its answer.
    pub(crate) async fn upgrade(&self, nonce: [u8; 16]) -> Result<(Stream, Bytes), HttpError> {
        let key = request_key(nonce);
        let request = Request::builder()
            .uri(if self.path.is_empty() { "/" } else { &self.path })
            .header(HOST, &self.authority)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key)
            .body(Full::default())
            .map_err(|error| self.unreachable(error))?;
        let exchange = async {
            let answer = self.open().await?.send_request(request).await.map_err(|e| self.unreachable(e))?;
            self.check_upgrade(&answer, &key)?;
            let upgraded = hyper::upgrade::on(answer).await.map_err(|error| self.unreachable(error))?;
            let parts = upgraded
                .downcast::<TokioIo<Stream>>()
                .map_err(|_| self.bad_answer("the upgraded connection is not the one that was opened"))?;
            Ok((parts.io.into_inner(), parts.read_buf))
        };
        timeout(REQUEST_WAIT, exchange).await.unwrap_or_else(|_| Err(self.unreachable("no answer in time")))
    }

    fn check_upgrade<T>(&self, answer: &Response<T>, key: &str) -> Result<(), HttpError> {
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(self.bad_answer(format!("status {}; expected 101", answer.status())));
        }
        let accept = answer.headers().get(SEC_WEBSOCKET_ACCEPT).map(|value| value.as_bytes());
        if accept != Some(accept_key(key).as_bytes()) {
            return Err(self.bad_answer("Sec-WebSocket-Accept does not fit the key"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let trust = Trust::pin(&"0a".repeat(32)).unwrap();
        let place = |url: &str, scheme| Place::parse(url, scheme, &trust);
        let found = place("http://127.0.0.1:8080", Scheme::Http).unwrap();
        assert_eq!((found.host.as_str(), found.port, found.is_secure()), ("127.0.0.1", 8080, false));
        let found = place("ws://[::1]:90/ws", Scheme::Ws).unwrap();
        assert_eq!((found.host.as_str(), found.port, found.path.as_str()), ("::1", 90, "/ws"));
        let found = place("wss://chat.example.org/ws", Scheme::Ws).unwrap();
        assert_eq!((found.host.as_str(), found.port, found.is_secure()), ("chat.example.org", 443, true));
        assert!(place("https://[::1]:1", Scheme::Http).unwrap().is_secure());
        for (url, fault) in [
            ("http://a/ws", "scheme"),
            ("https://a/ws", "scheme"),
            ("a:80", "scheme"),
            ("ws://u@a/ws", "user name"),
            ("wss://-/ws", "name"),
            ("", "empty"),
        ] {
            let error = place(url, Scheme::Ws).unwrap_err().to_string();
            assert!(error.contains(fault), "{url}: {error}");
        }
    }
}
