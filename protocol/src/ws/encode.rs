//! Making WebSocket frames. Data frames are never fragmented: the header goes in front of the payload where it lies.

use super::{CONTROL_BYTES_MAX, Opcode, mask};

/// Longest header: 2 bytes, a 64-bit length, a mask key.
pub const HEADER_BYTES_MAX: usize = 14;

/// The header of a final frame, and how many of its bytes count. With a mask the caller also masks the payload, with
/// [`mask`] from offset 0.
///
/// The length is written in its shortest form. For control opcodes the caller keeps to 125 bytes; [`ControlFrame`]
/// does.
#[must_use]
#[allow(clippy::cast_possible_truncation)]
pub fn encode_header(
    opcode: Opcode,
    payload_len: usize,
    mask_key: Option<[u8; 4]>,
) -> ([u8; HEADER_BYTES_MAX], usize) {
    let first = 0x80 | opcode as u8;
    let mask_bit = if mask_key.is_some() { 0x80 } else { 0 };
    let [k0, k1, k2, k3] = mask_key.unwrap_or_default();
    let (header, len) = if payload_len < 126 {
        ([first, mask_bit | payload_len as u8, k0, k1, k2, k3, 0, 0, 0, 0, 0, 0, 0, 0], 2)
    } else if let Ok(short) = u16::try_from(payload_len) {
        let [l0, l1] = short.to_be_bytes();
        ([first, mask_bit | 126, l0, l1, k0, k1, k2, k3, 0, 0, 0, 0, 0, 0], 4)
    } else {
        let [l0, l1, l2, l3, l4, l5, l6, l7] = (payload_len as u64).to_be_bytes();
        ([first, mask_bit | 127, l0, l1, l2, l3, l4, l5, l6, l7, k0, k1, k2, k3], 10)
    };
    (header, if mask_key.is_some() { len + 4 } else { len })
}

/// A whole control frame on the stack.
#[derive(Clone, Debug)]
pub struct ControlFrame {
    bytes: [u8; HEADER_BYTES_MAX + CONTROL_BYTES_MAX],
    len: usize,
}

impl ControlFrame {
    /// A ping. A payload above 125 bytes is cut there.
    #[must_use]
    pub fn ping(payload: &[u8], mask_key: Option<[u8; 4]>) -> Self {
        Self::new(Opcode::Ping, payload, &[], mask_key)
    }

    /// A pong: the payload of the ping that it answers. A payload above 125 bytes is cut there.
    #[must_use]
    pub fn pong(payload: &[u8], mask_key: Option<[u8; 4]>) -> Self {
        Self::new(Opcode::Pong, payload, &[], mask_key)
    }

    /// A close with a code and a reason, cut to 123 bytes at a character. A code that must not be sent (1005, 1006
    /// and so on, see [`super::is_close_code`]) makes a close without either.
    #[must_use]
    pub fn close(code: u16, reason: &str, mask_key: Option<[u8; 4]>) -> Self {
        if !super::is_close_code(code) {
            return Self::new(Opcode::Close, &[], &[], mask_key);
        }
        let end = reason.floor_char_boundary(CONTROL_BYTES_MAX - 2);
        let reason = reason.get(..end).unwrap_or_default();
        Self::new(Opcode::Close, &code.to_be_bytes(), reason.as_bytes(), mask_key)
    }

    /// The bytes to write.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn new(opcode: Opcode, first: &[u8], second: &[u8], mask_key: Option<[u8; 4]>) -> Self {
        let payload_len = (first.len() + second.len()).min(CONTROL_BYTES_MAX);
        let (header, header_len) = encode_header(opcode, payload_len, mask_key);
        let mut bytes = [0; HEADER_BYTES_MAX + CONTROL_BYTES_MAX];
        let source = header.iter().take(header_len).chain(first).chain(second);
        for (to, from) in bytes.iter_mut().take(header_len + payload_len).zip(source) {
            *to = *from;
        }
        if let (Some(key), Some(payload)) = (mask_key, bytes.get_mut(header_len..header_len + payload_len)) {
            mask(payload, key, 0);
        }
        Self { bytes, len: header_len + payload_len }
    }
}

impl AsRef<[u8]> for ControlFrame {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_section_5_7() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        assert_eq!(ControlFrame::ping(b"Hello", None).as_bytes(), [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        assert_eq!(
            ControlFrame::pong(b"Hello", Some(key)).as_bytes(),
            [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]
        );
        let (header, len) = encode_header(Opcode::Binary, 256, None);
        assert_eq!(header[..len], [0x82, 0x7e, 0x01, 0x00]);
        let (header, len) = encode_header(Opcode::Binary, 65536, None);
        assert_eq!(header[..len], [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn lengths_take_their_shortest_form() {
        for (payload, bytes) in [(0, 2), (125, 2), (126, 4), (65535, 4), (65536, 10)] {
            assert_eq!(encode_header(Opcode::Binary, payload, None).1, bytes);
            assert_eq!(encode_header(Opcode::Binary, payload, Some([1; 4])).1, bytes + 4);
        }
    }

    #[test]
    fn a_close_reason_is_cut_at_a_character() {
        let frame = ControlFrame::close(4001, &"한".repeat(60), None);
        assert_eq!(frame.as_bytes().len(), 2 + 2 + 123);
        assert_eq!(&frame.as_bytes()[4..], "한".repeat(41).as_bytes());
        assert_eq!(ControlFrame::close(1005, "x", None).as_bytes(), [0x88, 0]);
        assert_eq!(ControlFrame::ping(&[7; 300], None).as_bytes().len(), 2 + 125);
    }
}
