//! WebSocket frames (RFC 6455), both roles, resumable at any byte.
//!
//! Only what Maru speaks: binary messages and control frames. There are no extensions, so a reserved bit is a fault,
//! and no text messages. A WebSocket message carries 1..n whole Maru frames.
//!
//! Pure: bytes come in through [`Decoder::push`], events go out through its sink; [`encode_header`] and
//! [`ControlFrame`] make what is written. The upgrade itself is the edge's; [`accept_key`] is its only arithmetic.

mod accept;
mod decode;
mod encode;
mod fault;

pub use accept::{accept_key, is_request_key, request_key};
pub use decode::{Decoder, Event};
pub use encode::{ControlFrame, HEADER_BYTES_MAX, encode_header};
pub use fault::WsFault;

/// Most bytes in the payload of a control frame (RFC 6455 section 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

/// Which end of the connection we are. A client masks what it sends, a server does not (RFC 6455 section 5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// We are the server: what comes in must be masked.
    Server,
    /// We are the client: what comes in must not be masked.
    Client,
}

/// What a WebSocket frame is (RFC 6455 section 11.8), without text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Opcode {
    /// A further part of a fragmented message.
    Continuation = 0x0,
    /// A binary message, or its first part.
    Binary = 0x2,
    /// The connection ends.
    Close = 0x8,
    /// Asks for a pong.
    Ping = 0x9,
    /// Answers a ping, or comes unasked.
    Pong = 0xa,
}

impl Opcode {
    const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// Whether a close code may stand in a close frame (RFC 6455 section 7.4 and the IANA registry).
#[must_use]
pub const fn is_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Masks or unmasks `bytes` in place (RFC 6455 section 5.3). `offset` is the position of the first byte within the
/// payload; only its lowest two bits matter.
pub fn mask(bytes: &mut [u8], key: [u8; 4], offset: usize) {
    #[allow(clippy::cast_possible_truncation)]
    let key = u32::from_le_bytes(key).rotate_right(8 * (offset % 4) as u32);
    let wide = u64::from(key) << 32 | u64::from(key);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_le_bytes(*word) ^ wide).to_le_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(wide.to_le_bytes()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn mask_equals_the_byte_by_byte_definition() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for len in 0..40 {
            for offset in 0..9 {
                let plain: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
                let mut fast = plain.clone();
                mask(&mut fast, key, offset);
                let slow: Vec<u8> =
                    plain.iter().enumerate().map(|(i, b)| b ^ key[(i + offset) % 4]).collect();
                assert_eq!(fast, slow, "length {len}, offset {offset}");
            }
        }
    }
}
