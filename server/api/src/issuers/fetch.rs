//! One `GET` of a small JSON document of an issuer: bounded in size and time, no redirect, no clear text off this machine.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{ACCEPT, HOST, USER_AGENT};
use axum::http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// From the first packet to the last byte.
const FETCH_WAIT: Duration = Duration::from_secs(5);
/// Most bytes of a document.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// Most bytes of the head of an answer.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Where a document is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Url {
    text: String,
    authority: String,
    host: String,
    port: u16,
    path: String,
    is_secure: bool,
}

impl Url {
    /// `https://HOST[:PORT]/PATH`, or `http://` on loopback.
    ///
    /// # Errors
    /// Words for the operator.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("{text:?} is no URL: {error}"))?;
        let bad = |fault: &str| format!("{text:?}: {fault}; expected https://HOST/PATH");
        let authority = uri.authority().ok_or_else(|| bad("there is no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("a user name does not belong there"));
        }
        // An IPv6 address stands in brackets in a URL and without them in a socket address.
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if is_loopback(&host) => false,
            Some("http") => return Err(bad("http is for this machine alone")),
            _ => return Err(bad("the scheme is another")),
        };
        if is_secure {
            ServerName::try_from(host.as_str()).map_err(|error| bad(&error.to_string()))?;
        }
        Ok(Self {
            text: text.to_owned(),
            authority: authority.to_string(),
            host,
            port: authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 }),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            is_secure,
        })
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.is_secure
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Fetches a document.
///
/// # Errors
/// Words for the log.
pub(crate) async fn get(url: &Url, tls: Option<&Arc<ClientConfig>>) -> Result<Bytes, String> {
    let fetched = tokio::time::timeout(FETCH_WAIT, fetch(url, tls)).await;
    let fetched =
        fetched.unwrap_or_else(|_| Err(format!("no whole answer within {} s", FETCH_WAIT.as_secs())));
    fetched.map_err(|fault| format!("{}: {fault}", url.text))
}

async fn fetch(url: &Url, tls: Option<&Arc<ClientConfig>>) -> Result<Bytes, String> {
    let stream =
        TcpStream::connect((url.host.as_str(), url.port)).await.map_err(|error| error.to_string())?;
    if !url.is_secure {
        return exchange(url, stream).await;
    }
    let tls = tls.ok_or("nobody is trusted for https")?;
    let name = ServerName::try_from(url.host.clone()).map_err(|error| error.to_string())?;
    let stream = tokio_rustls::TlsConnector::from(tls.clone()).connect(name, stream);
    exchange(url, stream.await.map_err(|error| format!("TLS: {error}"))?).await
}

async fn exchange<S>(url: &Url, stream: S) -> Result<Bytes, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let say = |error: hyper::Error| error.to_string();
    let handshake = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(say)?;
    let request = Request::get(&url.path)
        .header(HOST, &url.authority)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("maru/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = async {
        let answer = sender.send_request(request).await.map_err(say)?;
        if answer.status() != StatusCode::OK {
            let hint = if answer.status().is_redirection() { "; name the address itself" } else { "" };
            return Err(format!("the status is {}, not 200{hint}", answer.status()));
        }
        let body = Limited::new(answer.into_body(), DOCUMENT_BYTES_MAX).collect().await;
        let body = body.map_err(|error| match error.is::<http_body_util::LengthLimitError>() {
            true => format!("it has more than {DOCUMENT_BYTES_MAX} bytes"),
            false => error.to_string(),
        });
        Ok(body?.to_bytes())
    };
    // Both here and not in a task of its own: whoever gives up ends the connection with it.
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        end = connection => match end {
            // All has come, perhaps.
            Ok(()) => answer.await,
            Err(error) => Err(error.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{RootCertStore, ServerConfig};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// A client that believes these.
    fn believing(certificates: &[&CertificateDer<'static>]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().map(|certificate| (*certificate).clone()));
        let builder = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        builder.with_root_certificates(roots).with_no_client_auth().into()
    }

    #[tokio::test]
    async fn over_tls_only_who_is_trusted_is_heard() {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let other = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let builder = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = builder.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"keys\":[]}";
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        let at = |host: &str| Url::parse(&format!("https://{host}:{port}/jwks")).unwrap();
        let good = believing(&[made.cert.der()]);
        assert_eq!(&get(&at("localhost"), Some(&good)).await.unwrap()[..], b"{\"keys\":[]}");
        let stranger = believing(&[other.cert.der()]);
        for (url, tls, words) in [
            (at("localhost"), Some(&stranger), "TLS"),
            (at("127.0.0.1"), Some(&good), "TLS"),
            (at("localhost"), None, "nobody is trusted"),
            (Url::parse(&format!("http://127.0.0.1:{port}/jwks")).unwrap(), None, "http"),
        ] {
            let fault = get(&url, tls).await.unwrap_err();
            assert!(fault.contains(words) && fault.starts_with(url.text()), "{fault}");
        }
    }

    #[test]
    fn urls() {
        let url = Url::parse("https://id.example.org/realms/a/certs?x=1").unwrap();
        assert_eq!((url.host.as_str(), url.port, url.is_secure), ("id.example.org", 443, true));
        assert_eq!(url.path, "/realms/a/certs?x=1");
        assert_eq!(Url::parse("https://id.example.org").unwrap().path, "/");
        for local in ["http://127.0.0.1:9/x", "http://[::1]:9/x", "http://localhost/x", "http://127.9.9.9/"] {
            assert!(!Url::parse(local).unwrap().is_secure, "{local}");
        }
        for (bad, words) in [
            ("", "no URL"),
            ("id.example.org/jwks", "no URL"),
            ("/jwks", "no host"),
            ("http://id.example.org/jwks", "this machine alone"),
            ("http://localhost.example.org/jwks", "this machine alone"),
            ("ftp://127.0.0.1/jwks", "scheme"),
            ("https://user:secret@id.example.org/", "user name"),
            ("https://-/", "expected https"),
        ] {
            let fault = Url::parse(bad).unwrap_err();
            assert!(fault.contains(words), "{bad}: {fault}");
        }
    }
}
