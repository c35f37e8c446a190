//! One POST to a provider: bounded in size and time, no redirect followed, and what its answer means.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{HOST, RETRY_AFTER, USER_AGENT};
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::address::Endpoint;
use crate::limits::{ANSWER_BYTES_MAX, CALL_WAIT, HEAD_BYTES_MAX, RETRY_MAX};

/// What to post.
#[derive(Clone, Debug)]
pub struct Call {
    /// Names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// All of the body.
    pub body: Vec<u8>,
}

/// What became of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The provider has it.
    Taken,
    /// The subscription is no more: 404 or 410.
    Gone,
    /// The provider does not want it, and will not want it the next time: what it said.
    Refused(String),
    /// Not now: after so long, where the provider said, and why.
    Later(Option<Duration>, String),
}

/// Posts.
pub async fn post(endpoint: &Endpoint, call: Call, tls: &Arc<ClientConfig>) -> Answer {
    match tokio::time::timeout(CALL_WAIT, exchange(endpoint, call, tls)).await {
        Ok(Ok(answer)) => answer,
        // Also when the connection broke behind the request: whether it was taken is not known, and it is sent again.
        Ok(Err(fault)) => Answer::Later(None, fault),
        Err(_) => Answer::Later(None, format!("no whole answer within {} s", CALL_WAIT.as_secs())),
    }
}

async fn exchange(endpoint: &Endpoint, call: Call, tls: &Arc<ClientConfig>) -> Result<Answer, String> {
    let stream = endpoint.connect().await?;
    if !endpoint.is_secure {
        return speak(endpoint, call, stream).await;
    }
    let name = ServerName::try_from(endpoint.host.clone()).map_err(|error| error.to_string())?;
    let stream = tokio_rustls::TlsConnector::from(tls.clone()).connect(name, stream);
    speak(endpoint, call, stream.await.map_err(|error| format!("TLS: {error}"))?).await
}

async fn speak<S>(endpoint: &Endpoint, call: Call, stream: S) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let say = |error: hyper::Error| error.to_string();
    let handshake = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(say)?;
    let mut request = Request::post(&endpoint.path)
        .header(HOST, &endpoint.authority)
        .header(USER_AGENT, concat!("maru/", env!("CARGO_PKG_VERSION")));
    for (name, value) in &call.headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::new(Bytes::from(call.body))).map_err(|error| error.to_string())?;
    let answer = async {
        let answer = sender.send_request(request).await.map_err(say)?;
        let (head, body) = answer.into_parts();
        // Only words for the operator; an answer that is too long or breaks off says no less by its status.
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let words =
            body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default();
        Ok(read(head.status.as_u16(), &head.headers, &words))
    };
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        end = connection => match end {
            Ok(()) => answer.await,
            Err(error) => Err(error.to_string()),
        },
    }
}

/// What a status means: RFC 8030 section 5, and what the services document.
fn read(status: u16, headers: &HeaderMap, words: &str) -> Answer {
    let shown: String = words.chars().filter(|c| !c.is_control()).take(200).collect();
    let said = format!("status {status} {shown}").trim_end().to_owned();
    match status {
        200..=299 => Answer::Taken,
        404 | 410 => Answer::Gone,
        408 | 425 | 429 | 500..=599 => Answer::Later(retry_after(headers), said),
        300..=399 => Answer::Refused(format!("{said}; redirects are not followed")),
        _ => Answer::Refused(said),
    }
}

/// In seconds; a date is no common form here, and stands for a while.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    Some(text.trim().parse().map_or(Duration::from_secs(60), Duration::from_secs).min(RETRY_MAX))
}
