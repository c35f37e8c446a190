//! Numbers of one to ten bytes, seven bits each, the low ones first; the highest bit says that more follow (LEB128).

/// Bytes of the largest number.
const BYTES_MAX: usize = 10;

#[allow(clippy::cast_possible_truncation)]
pub(super) fn put(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The number in front, taken off; `None` where the bytes end, above 64 bits, and for one that is longer than it needs.
pub(super) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for place in 0..BYTES_MAX {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        let shifted = bits << (7 * place);
        if shifted >> (7 * place) != bits || (*byte == 0 && place > 0) {
            return None;
        }
        number |= shifted;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_comes_back() {
        for number in (0..64).flat_map(|bit| [1u64 << bit, (1 << bit) - 1]).chain([u64::MAX]) {
            let mut out = Vec::new();
            put(number, &mut out);
            assert_eq!(out.len(), (64 - number.leading_zeros() as usize).div_ceil(7).max(1));
            for len in 0..out.len() {
                assert_eq!(take(&mut &out[..len]), None);
            }
            let mut rest = &out[..];
            assert_eq!((take(&mut rest), rest), (Some(number), &[][..]));
        }
    }

    #[test]
    fn only_the_shortest_spelling_is_read() {
        assert_eq!(take(&mut &[0x80, 0x00][..]), None);
        assert_eq!(take(&mut &[0xff; 10][..]), None);
        let over = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(take(&mut &over[..]), None);
    }
}
