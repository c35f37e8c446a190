//! `maru admin stats`.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;

use api::Accounts;
use storage::Store;

use crate::config::Config;

/// For each step of asking a server.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most that is taken of an answer, bytes.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The metrics of a running server, as it writes them.
pub(super) fn of_server(url: &str, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    let host = url.strip_prefix("http://").ok_or("--server: expected is http://HOST:PORT")?;
    let host = host.trim_end_matches('/');
    let mut stream = TcpStream::connect(host).map_err(|error| format!("{host}: {error}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // HTTP/1.0: one answer, not chunked, and then the end.
    write!(stream, "GET /metrics HTTP/1.0\r\nhost: {host}\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer is not HTTP")?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(format!("{host}: {status}").into());
    }
    out.write_all(body.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// What a stopped directory holds.
pub(super) async fn of_directory(config: &Config, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    let store = Store::open(&config.data, &config.storage())?;
    let accounts = Accounts::open_existing(&config.data).await?;
    let (users, devices) = accounts.count().await?;
    accounts.close().await;
    writeln!(out, "accounts {users}\ndevices {devices}\ndisk_bytes {}", store.stats().disk_bytes)?;
    for state in store.states()? {
        writeln!(
            out,
            "bay {} generation {} fanout_head {} fanout_tail {}",
            state.bay, state.generation, state.fanout_head, state.fanout_tail
        )?;
    }
    Ok(ExitCode::SUCCESS)
}
