//! One POST to a provider: bounded in size and time, no redirect followed, and what its answer means.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{RETRY_AFTER, USER_AGENT};
use hyper::{HeaderMap, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;

use crate::address::Allowed;
use crate::connect::{Connector, Reach};
use crate::limits::{
    ANSWER_BYTES_MAX, CALL_WAIT, HEAD_BYTES_MAX, KEPT_IDLE, KEPT_IDLE_OWN, PING_EVERY, RETRY_MAX,
    WINDOW_BYTES, WORDS_WAIT,
};

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
    /// The subscription is no more.
    Gone,
    /// The provider does not want it, and will not want it the next time: what it said.
    Refused(String),
    /// Not now.
    Later {
        /// No sooner than after so long, where the provider said.
        after: Option<Duration>,
        /// Why.
        why: String,
        /// It is the host that does not do well, and not this subscription alone.
        is_of_host: bool,
    },
}

impl Answer {
    /// The host did not do its part.
    pub(crate) fn failed(why: impl Into<String>) -> Self {
        Self::Later { after: None, why: why.into(), is_of_host: true }
    }
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    /// The beginning of its body.
    pub(crate) words: Vec<u8>,
}

impl Reply {
    /// For an operator.
    pub(crate) fn said(&self) -> String {
        let words = String::from_utf8_lossy(&self.words);
        let shown: String = words.chars().filter(|c| !c.is_control()).take(200).collect();
        format!("status {} {shown}", self.status).trim_end().to_owned()
    }

    pub(crate) fn later(&self, is_of_host: bool) -> Answer {
        Answer::Later { after: self.retry_after, why: self.said(), is_of_host }
    }

    /// What it means to a caller who knows no more than its status: RFC 8030 section 5, and what the services document.
    pub(crate) fn read(&self) -> Answer {
        match self.status {
            200..=299 => Answer::Taken,
            404 | 410 => Answer::Gone,
            408 | 425 | 429 | 500..=599 => self.later(true),
            300..=399 => Answer::Refused(format!("{}; redirects are not followed", self.said())),
            _ => Answer::Refused(self.said()),
        }
    }
}

/// Posts, and keeps connections for the next time.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    client: Client<Connector, Full<Bytes>>,
    wait: Duration,
}

impl Caller {
    /// To hosts that users name.
    pub(crate) fn public(allowed: Arc<Allowed>, tls: &ClientConfig) -> Self {
        Self::new(Reach::Public(allowed), tls)
    }

    /// To hosts that the operator names.
    pub(crate) fn own(tls: &ClientConfig) -> Self {
        Self::new(Reach::Own, tls)
    }

    /// The same, by HTTP/2 alone.
    pub(crate) fn own_h2(tls: &ClientConfig) -> Self {
        Self::new(Reach::OwnH2, tls)
    }

    fn new(reach: Reach, tls: &ClientConfig) -> Self {
        let idle = if reach.is_own() { KEPT_IDLE_OWN } else { KEPT_IDLE };
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(idle)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .http2_only(reach.is_h2_only())
            .http2_max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .http2_initial_stream_window_size(WINDOW_BYTES)
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(PING_EVERY)
            .build(Connector::new(reach, tls));
        Self { client, wait: CALL_WAIT }
    }

    /// The same, which waits so long for an answer.
    pub(crate) fn with_wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// Posts to a URL.
    ///
    /// # Errors
    /// Words: there was no answer. Whether the call was taken is not known when the connection broke behind it; it is sent again.
    pub(crate) async fn post(&self, url: &str, call: Call, now_ms: u64) -> Result<Reply, String> {
        let mut request = Request::post(url).header(USER_AGENT, concat!("maru/", env!("CARGO_PKG_VERSION")));
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(call.body))).map_err(|error| error.to_string())?;
        let answer = tokio::time::timeout(self.wait, self.client.request(request)).await;
        let answer = answer.map_err(|_| format!("no answer within {:?}", self.wait))?;
        let (head, body) = answer.map_err(|error| all_of(&error))?.into_parts();
        let retry_after = retry_after(&head.headers, now_ms);
        Ok(Reply { status: head.status.as_u16(), retry_after, words: words(body).await })
    }
}

/// An error, and what is beneath it.
fn all_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut beneath = error.source();
    while let Some(error) = beneath {
        text = format!("{text}: {error}");
        beneath = error.source();
    }
    text
}

/// The beginning of a body. An answer that is too long, too slow or breaks off says no less by its status.
async fn words(mut body: Incoming) -> Vec<u8> {
    let mut words = Vec::new();
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            let data = frame.into_data().unwrap_or_default();
            words.extend(data.iter().take(ANSWER_BYTES_MAX - words.len()));
            if words.len() >= ANSWER_BYTES_MAX {
                return;
            }
        }
    };
    // What was read until then stays.
    let _ = tokio::time::timeout(WORDS_WAIT, read).await;
    words
}

/// Seconds or a date (RFC 9110 section 10.2.3); what is neither stands for a while.
fn retry_after(headers: &HeaderMap, now_ms: u64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().unwrap_or_default().trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let wait = if is_number {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
        let date_ms = date.map(|date| u64::try_from(date.as_millisecond()).unwrap_or(0));
        date_ms.map_or(Duration::from_secs(60), |date| Duration::from_millis(date.saturating_sub(now_ms)))
    };
    Some(wait.min(RETRY_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_wait_is_seconds_or_a_date() {
        // Sun, 06 Nov 1994 08:49:37 GMT, as RFC 9110 writes it.
        let now_ms = 784_111_777_000;
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now_ms).unwrap().as_secs()
        };
        assert_eq!((read("0"), read("120"), read(" 7 ")), (0, 120, 7));
        assert_eq!(read("Sun, 06 Nov 1994 08:51:37 GMT"), 120);
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), 0);
        assert_eq!(read("Sun, 06 Nov 1994 07:00:00 GMT"), 0, "a date that is past");
        for bounded in ["3601", "99999999999999999999999999", "Mon, 06 Nov 2000 08:49:37 GMT"] {
            assert_eq!(read(bounded), RETRY_MAX.as_secs(), "{bounded}");
        }
        for neither in ["", "-5", "soon", "1.5"] {
            assert_eq!(read(neither), 60, "{neither}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now_ms), None);
    }
}
