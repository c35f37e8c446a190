//! The HTTP upgrade, as little of it as a WebSocket client asks for.

use protocol::ws::accept_key;

use super::Broken;

/// Longest request.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Bytes of the request and the answer to it; `None` while it is not whole.
pub(super) fn answer(bytes: &[u8]) -> Result<Option<(usize, String)>, Broken> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if bytes.len() > HEAD_BYTES_MAX { Err(Broken) } else { Ok(None) };
    };
    let head = bytes.get(..end).and_then(|head| core::str::from_utf8(head).ok()).ok_or(Broken)?;
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let key = fields.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    let key = key.ok_or(Broken)?.1.trim();
    let accept = accept_key(key);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    Ok(Some((end + 4, answer)))
}
