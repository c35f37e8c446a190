//! The arithmetic of the opening handshake (RFC 6455 section 4).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The constant of RFC 6455 section 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The value of `Sec-WebSocket-Accept` for a request's `Sec-WebSocket-Key`, surrounding blanks already removed.
#[must_use]
pub fn accept_key(sec_websocket_key: &str) -> String {
    let digest = Sha1::new().chain_update(sec_websocket_key).chain_update(GUID).finalize();
    STANDARD.encode(digest)
}

/// Whether a request's `Sec-WebSocket-Key` is the base64 form of 16 bytes, as section 4.2.1 demands.
#[must_use]
pub fn is_request_key(sec_websocket_key: &str) -> bool {
    let mut nonce = [0; 18];
    sec_websocket_key.len() == 24 && STANDARD.decode_slice(sec_websocket_key, &mut nonce) == Ok(16)
}

/// The value of `Sec-WebSocket-Key` for 16 random bytes.
#[must_use]
pub fn request_key(nonce: [u8; 16]) -> String {
    STANDARD.encode(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_of_section_1_3() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(request_key(*b"the sample nonce"), "dGhlIHNhbXBsZSBub25jZQ==");
    }

    #[test]
    fn keys_of_another_length_are_refused() {
        assert!(is_request_key("dGhlIHNhbXBsZSBub25jZQ=="));
        for bad in
            ["", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZTE=", "!!!!"]
        {
            assert!(!is_request_key(bad), "{bad}");
        }
    }
}
