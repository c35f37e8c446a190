//! Asking a running server over HTTP.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::config::Config;

/// For each step of asking a server.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most that is taken of an answer, bytes.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What `GET path` answers, if it is 200.
pub(super) fn get(url: &str, path: &str) -> Result<String, Box<dyn Error>> {
    ask(url, &format!("GET {path} HTTP/1.0\r\n"), "", 200)
}

/// The operator's token of a data directory.
pub(super) fn token(config: &Config) -> Result<String, Box<dyn Error>> {
    let path = config.data.join("admin.token");
    let token = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(token.trim().to_owned())
}

/// Posts a JSON body with a bearer token, and expects 204.
pub(super) fn post(
    url: &str,
    path: &str,
    token: &str,
    body: &serde_json::Value,
) -> Result<(), Box<dyn Error>> {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.0\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n",
        body.len()
    );
    ask(url, &head, &body, 204).map(drop)
}

/// HTTP/1.0: one answer, not chunked, and then the end.
fn ask(url: &str, head: &str, body: &str, expected: u16) -> Result<String, Box<dyn Error>> {
    let host = url.strip_prefix("http://").ok_or("--server must look like http://HOST:PORT")?;
    let host = host.trim_end_matches('/');
    let mut stream = TcpStream::connect(host).map_err(|error| format!("{host}: {error}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "{head}host: {host}\r\n\r\n{body}")?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer is not HTTP")?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some(expected.to_string().as_str()) {
        return Err(format!("{host}: {status} {body}").trim_end().into());
    }
    Ok(body.to_owned())
}
