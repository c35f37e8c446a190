//! The opening handshake: one HTTP/1.1 request, answered 101 or refused (RFC 6455 section 4.2).

use httparse::{EMPTY_HEADER, Header, Request, Status};
use protocol::web::WebRules;
use protocol::ws;

use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX};

/// Where the chat is.
const PATH: &str = "/ws";

/// What the bytes so far say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// The head is not whole yet.
    Incomplete,
    /// An upgrade: the response to write, and how many bytes the head had.
    Upgrade(Vec<u8>, usize),
    /// Not for us: the response to write before the connection ends.
    Refuse(Vec<u8>),
}

/// A refusal: status line, further header lines, words for the person who reads it.
struct Refused(&'static str, &'static str, &'static str);

const TOO_LARGE: Refused =
    Refused("431 Request Header Fields Too Large", "", "The request is above 8 KiB or 64 header lines.");
const BAD_REQUEST: Refused = Refused("400 Bad Request", "", "This is not an HTTP/1.1 request.");
const NOT_FOUND: Refused = Refused("404 Not Found", "", "Nothing is here; the chat is at /ws.");
const BAD_METHOD: Refused = Refused("405 Method Not Allowed", "Allow: GET\r\n", "Only GET is served here.");
const BODY: Refused = Refused("400 Bad Request", "", "The request has a body; an upgrade has none.");
const NO_HOST: Refused = Refused("400 Bad Request", "", "The request needs one Host header.");
const WRONG_HOST: Refused = Refused(
    "421 Misdirected Request",
    "",
    "This server does not answer to that Host; its operator can list it in allowed_hosts.",
);
const WRONG_ORIGIN: Refused = Refused(
    "403 Forbidden",
    "",
    "Pages of that Origin may not connect; the operator can list it in allowed_origins.",
);
const NO_UPGRADE: Refused = Refused(
    "426 Upgrade Required",
    "Upgrade: websocket\r\n",
    "This is a WebSocket endpoint; send Upgrade: websocket and Connection: Upgrade.",
);
/// Every 426 says what to upgrade to (RFC 9110 section 15.5.22).
const BAD_VERSION: Refused = Refused(
    "426 Upgrade Required",
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    "Sec-WebSocket-Version must be 13.",
);
const BAD_KEY: Refused =
    Refused("400 Bad Request", "", "Sec-WebSocket-Key must be given once: 16 bytes in base64.");

/// On a port with TLS, in clear to whoever speaks in clear.
const NOT_TLS: Refused =
    Refused("400 Bad Request", "", "This port speaks TLS 1.3 only: the address begins with wss://.");

/// The answer to a client that does not speak TLS where TLS is spoken.
pub(crate) fn not_tls() -> Vec<u8> {
    NOT_TLS.response()
}

impl Refused {
    fn response(&self) -> Vec<u8> {
        let Self(status, headers, text) = self;
        // Who sends Upgrade names it in Connection as well (RFC 9110 section 7.8); `close` ends it either way.
        let upgrade = if headers.contains("Upgrade:") { "Upgrade, " } else { "" };
        let length = text.len() + 1;
        format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\
             Connection: {upgrade}close\r\n\r\n{text}\n"
        )
        .into_bytes()
    }
}

/// Reads the request head. `bytes` begins with its first byte and may go on behind it.
pub(crate) fn answer(bytes: &[u8], rules: &WebRules) -> Answer {
    let mut lines = [EMPTY_HEADER; HEADERS_MAX];
    let mut request = Request::new(&mut lines);
    match request.parse(bytes) {
        Ok(Status::Complete(len)) if len <= HEAD_BYTES_MAX => match check(&request, rules) {
            Ok(key) => Answer::Upgrade(accept(key), len),
            Err(refused) => Answer::Refuse(refused.response()),
        },
        Ok(Status::Partial) if bytes.len() < HEAD_BYTES_MAX => Answer::Incomplete,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Answer::Refuse(TOO_LARGE.response()),
        Err(_) => Answer::Refuse(BAD_REQUEST.response()),
    }
}

fn accept(key: &str) -> Vec<u8> {
    let accept = ws::accept_key(key);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

/// The checks of section 4.2.1, in an order that answers the commonest mistakes first. The key, if all is well.
fn check<'a>(request: &Request<'_, 'a>, rules: &WebRules) -> Result<&'a str, Refused> {
    let headers = &*request.headers;
    if path(request.path.unwrap_or_default()) != PATH {
        return Err(NOT_FOUND);
    }
    if request.method != Some("GET") {
        return Err(BAD_METHOD);
    }
    if request.version != Some(1) {
        return Err(BAD_REQUEST);
    }
    let has_body = values(headers, "Content-Length").any(|value| value.trim() != "0");
    if has_body || values(headers, "Transfer-Encoding").next().is_some() {
        return Err(BODY);
    }
    let mut hosts = values(headers, "Host");
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(NO_HOST) };
    if !rules.takes_host(Some(host)) {
        return Err(WRONG_HOST);
    }
    // A browser sends one; a program none.
    if values(headers, "Origin").any(|origin| !rules.takes_origin(origin.trim(), Some(host))) {
        return Err(WRONG_ORIGIN);
    }
    if !has_token(headers, "Upgrade", "websocket") || !has_token(headers, "Connection", "upgrade") {
        return Err(NO_UPGRADE);
    }
    if values(headers, "Sec-WebSocket-Version").map(str::trim).ne(["13"]) {
        return Err(BAD_VERSION);
    }
    let mut keys = values(headers, "Sec-WebSocket-Key").map(str::trim);
    match (keys.next(), keys.next()) {
        (Some(key), None) if ws::is_request_key(key) => Ok(key),
        _ => Err(BAD_KEY),
    }
}

/// The path of a request target in origin form, or in the absolute form that a server must take as well (RFC 9112
/// section 3.2.2). The host that an absolute one names is not looked at: no browser sends one to a server.
fn path(target: &str) -> &str {
    let origin = match target.split_once("://") {
        Some((scheme, rest)) if is_web(scheme) => {
            rest.find(['/', '?']).map_or("", |at| rest.get(at..).unwrap_or_default())
        }
        _ => target,
    };
    origin.split('?').next().unwrap_or_default()
}

fn is_web(scheme: &str) -> bool {
    ["http", "https", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

/// The values of one header; one that is not text counts as empty.
fn values<'h, 'a>(
    headers: &'h [Header<'a>],
    name: &'static str,
) -> impl Iterator<Item = &'a str> + use<'h, 'a> {
    let named = headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
    named.map(|header| core::str::from_utf8(header.value).unwrap_or_default())
}

fn has_token(headers: &[Header<'_>], name: &'static str, token: &str) -> bool {
    values(headers, name)
        .flat_map(|value| value.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::web::{self, ANYBODY};

    const GOOD: &str = "GET /ws HTTP/1.1\r\nHost: chat\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
                        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    fn status(request: &str) -> String {
        match answer(request.as_bytes(), &ANYBODY) {
            Answer::Incomplete => "incomplete".into(),
            Answer::Upgrade(response, _) | Answer::Refuse(response) => {
                String::from_utf8(response[9..12].to_vec()).unwrap()
            }
        }
    }

    #[test]
    fn the_example_of_rfc_6455_is_upgraded() {
        let Answer::Upgrade(response, len) = answer(format!("{GOOD}tail").as_bytes(), &ANYBODY) else {
            panic!("not upgraded");
        };
        assert_eq!(len, GOOD.len());
        let response = String::from_utf8(response).unwrap();
        assert!(response.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(response.ends_with("\r\n\r\n"));
    }

    #[test]
    fn every_prefix_is_incomplete() {
        for end in 0..GOOD.len() {
            assert_eq!(answer(&GOOD.as_bytes()[..end], &ANYBODY), Answer::Incomplete, "{end} bytes");
        }
    }

    #[test]
    fn each_fault_has_its_status() {
        for (from, to, expected) in [
            ("/ws", "/ws?a=b", "101"),
            ("/ws", "/", "404"),
            ("/ws", "/ws/x", "404"),
            ("/ws", "http://chat/ws", "101"),
            ("/ws", "HTTPS://chat:8081/ws?a=b", "101"),
            ("/ws", "wss://chat/ws", "101"),
            ("/ws", "http://chat/", "404"),
            ("/ws", "http://chat", "404"),
            ("/ws", "http://chat?/ws", "404"),
            ("/ws", "http:///ws/ws", "404"),
            ("/ws", "/x://chat/ws", "404"),
            ("/ws", "ftp://chat/ws", "404"),
            ("GET", "POST", "405"),
            ("HTTP/1.1", "HTTP/1.0", "400"),
            ("HTTP/1.1", "HTTP/9", "400"),
            ("Host: chat\r\n", "", "400"),
            ("Host: chat", "Host: chat\r\nContent-Length: 5", "400"),
            ("Upgrade: WebSocket\r\n", "", "426"),
            ("WebSocket", "h2c", "426"),
            ("keep-alive, Upgrade", "keep-alive", "426"),
            ("Version: 13", "Version: 8", "426"),
            ("dGhlIHNhbXBsZSBub25jZQ==", "short", "400"),
            ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", "400"),
        ] {
            let request = GOOD.replacen(from, to, 1);
            assert_ne!(request, GOOD);
            assert_eq!(status(&request), expected, "{from:?} -> {to:?}");
        }
        assert_eq!(status("\u{16}\u{3}\u{1}\u{2}"), "400", "a TLS client");
    }

    #[test]
    fn every_426_says_what_to_upgrade_to() {
        for (from, to) in [("Upgrade: WebSocket\r\n", ""), ("Version: 13", "Version: 8")] {
            let Answer::Refuse(response) = answer(GOOD.replacen(from, to, 1).as_bytes(), &ANYBODY) else {
                panic!("not refused");
            };
            let response = String::from_utf8(response).unwrap();
            assert!(response.starts_with("HTTP/1.1 426 "), "{response}");
            assert!(response.contains("\r\nUpgrade: websocket\r\n"), "{response}");
            assert!(response.contains("\r\nConnection: Upgrade, close\r\n"), "{response}");
        }
        let Answer::Refuse(other) = answer(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &ANYBODY) else {
            panic!("not refused")
        };
        assert!(String::from_utf8(other).unwrap().contains("\r\nConnection: close\r\n"));
    }

    #[test]
    fn hosts_and_pages_that_may_not() {
        let origins = web::origins("https://app.example").unwrap();
        let rules = WebRules::new(origins, web::hosts("chat").unwrap(), true);
        let ask = |from: &str, to: &str| match answer(GOOD.replacen(from, to, 1).as_bytes(), &rules) {
            Answer::Incomplete => "incomplete".to_owned(),
            Answer::Upgrade(response, _) | Answer::Refuse(response) => {
                String::from_utf8(response[9..12].to_vec()).unwrap()
            }
        };
        let with_origin = |origin: &str| format!("Host: chat\r\nOrigin: {origin}");
        assert_eq!(ask("", ""), "101", "a program sends no Origin");
        for (origin, expected) in [
            ("https://app.example", "101"),
            ("http://chat:3000", "101"),
            ("https://evil.example", "403"),
            ("null", "403"),
            ("", "403"),
            ("https://app.example\r\nOrigin: https://evil.example", "403"),
            ("\u{ff}", "403"),
        ] {
            assert_eq!(ask("Host: chat", &with_origin(origin)), expected, "{origin}");
        }
        for (host, expected) in [
            ("127.0.0.1:8081", "101"),
            ("localhost", "101"),
            ("evil.example", "421"),
            ("", "421"),
            ("\u{ff}", "421"),
        ] {
            assert_eq!(ask("Host: chat", &format!("Host: {host}")), expected, "{host}");
        }
    }

    #[test]
    fn the_bounds_hold() {
        let lines =
            |count: usize| GOOD.replacen("\r\n\r\n", &format!("\r\n{}\r\n", "a: b\r\n".repeat(count)), 1);
        assert_eq!(status(&lines(HEADERS_MAX - 5)), "101");
        assert_eq!(status(&lines(HEADERS_MAX - 4)), "431");
        let padded = |len: usize| {
            let pad = "x".repeat(len - GOOD.len() - "p: \r\n".len());
            GOOD.replacen("\r\n\r\n", &format!("\r\np: {pad}\r\n\r\n"), 1)
        };
        assert_eq!(padded(HEAD_BYTES_MAX).len(), HEAD_BYTES_MAX);
        assert_eq!(status(&padded(HEAD_BYTES_MAX)), "101");
        assert_eq!(status(&padded(HEAD_BYTES_MAX + 1)), "431");
        assert_eq!(status(&padded(HEAD_BYTES_MAX + 9)[..HEAD_BYTES_MAX]), "431");
    }
}
