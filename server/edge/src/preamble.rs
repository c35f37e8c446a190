//! The header that a proxy writes before the first byte of a connection: who really connects (the PROXY protocol, version
//! 2, by haproxy.org, section 2.2).
//!
//! Only a peer whom the operator trusts is read so, and such a peer must write it: nothing is guessed. Version 1, which is
//! text, is not taken.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits::PREAMBLE_BYTES_MAX;

/// What every header begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const HEAD_BYTES: usize = 16;

/// What the bytes so far say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Preamble {
    /// It is not whole yet.
    Incomplete,
    /// Whole: how many bytes it had, and who connects. `None`: the proxy itself, to see whether we live, or somebody
    /// without an address.
    Whole(usize, Option<IpAddr>),
    /// It is none, or longer than is taken.
    Fault,
}

/// Reads a header at the beginning of `bytes`.
pub(crate) fn read(bytes: &[u8]) -> Preamble {
    let begun = bytes.len().min(SIGNATURE.len());
    if bytes.get(..begun) != SIGNATURE.get(..begun) {
        return Preamble::Fault;
    }
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else { return Preamble::Incomplete };
    let [.., command, family, high, low] = *head;
    let len = usize::from(u16::from_be_bytes([high, low]));
    let whole = HEAD_BYTES + len;
    // Looked at as soon as they are there: a fault is not waited for.
    if !matches!(command, 0x20 | 0x21) || whole > PREAMBLE_BYTES_MAX {
        return Preamble::Fault;
    }
    let Some(body) = rest.get(..len) else { return Preamble::Incomplete };
    if command == 0x20 {
        return Preamble::Whole(whole, None);
    }
    match source(family, body) {
        Ok(address) => Preamble::Whole(whole, address),
        Err(()) => Preamble::Fault,
    }
}

/// Source address of each family over a stream; the destination and what follows are of no use here.
fn source(family: u8, body: &[u8]) -> Result<Option<IpAddr>, ()> {
    const V4_BYTES: usize = 12;
    const V6_BYTES: usize = 36;
    match family {
        0x11 if body.len() >= V4_BYTES => {
            let octets = body.first_chunk::<4>().ok_or(())?;
            Ok(Some(IpAddr::V4(Ipv4Addr::from(*octets))))
        }
        0x21 if body.len() >= V6_BYTES => {
            let octets = body.first_chunk::<16>().ok_or(())?;
            Ok(Some(IpAddr::V6(Ipv6Addr::from(*octets))))
        }
        // Unspecified, and a local socket of the proxy's machine: there is nobody to tell apart.
        0x00 | 0x31 => Ok(None),
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap();
        [&SIGNATURE[..], &[command, family], &len.to_be_bytes(), body].concat()
    }

    const V4: [u8; 12] = [203, 0, 113, 9, 192, 0, 2, 1, 0x1f, 0x90, 0x01, 0xbb];

    fn v6() -> Vec<u8> {
        let from: Ipv6Addr = "2001:db8::7".parse().unwrap();
        let to: Ipv6Addr = "2001:db8::1".parse().unwrap();
        [&from.octets()[..], &to.octets(), &[0x1f, 0x90, 0x01, 0xbb]].concat()
    }

    #[test]
    fn who_connects() {
        let whole = header(0x21, 0x11, &V4);
        assert_eq!(read(&whole), Preamble::Whole(28, Some("203.0.113.9".parse().unwrap())));
        let with_more = header(0x21, 0x11, &[&V4[..], &[0x04, 0, 2, 1, 2]].concat());
        assert_eq!(read(&with_more), Preamble::Whole(33, Some("203.0.113.9".parse().unwrap())));
        let six = header(0x21, 0x21, &v6());
        assert_eq!(read(&six), Preamble::Whole(52, Some("2001:db8::7".parse().unwrap())));
        let behind = [&whole[..], b"GET /ws HTTP/1.1\r\n"].concat();
        assert_eq!(read(&behind), read(&whole), "what follows is not looked at");
    }

    #[test]
    fn nobody_to_tell_apart() {
        assert_eq!(read(&header(0x20, 0x00, &[])), Preamble::Whole(16, None), "a health check");
        assert_eq!(read(&header(0x20, 0x11, &V4)), Preamble::Whole(28, None), "its address does not count");
        assert_eq!(read(&header(0x21, 0x00, &[1, 2, 3])), Preamble::Whole(19, None));
        assert_eq!(read(&header(0x21, 0x31, &[0; 216])), Preamble::Whole(232, None));
    }

    #[test]
    fn torn_anywhere_it_is_waited_for() {
        for whole in [header(0x21, 0x11, &V4), header(0x21, 0x21, &v6()), header(0x20, 0, &[])] {
            for end in 0..whole.len() {
                assert_eq!(read(&whole[..end]), Preamble::Incomplete, "{end} of {} bytes", whole.len());
            }
        }
    }

    #[test]
    fn the_bound_holds_and_is_seen_in_the_head() {
        let most = header(0x21, 0x11, &[&V4[..], &vec![0; PREAMBLE_BYTES_MAX - 28]].concat());
        assert_eq!(read(&most), Preamble::Whole(PREAMBLE_BYTES_MAX, Some("203.0.113.9".parse().unwrap())));
        let over = header(0x21, 0x11, &[&V4[..], &vec![0; PREAMBLE_BYTES_MAX - 27]].concat());
        assert_eq!(read(&over), Preamble::Fault);
        assert_eq!(read(&over[..HEAD_BYTES]), Preamble::Fault, "not a byte of it is waited for");
        assert_eq!(read(&header(0x21, 0x11, &[0; 0xffff])[..HEAD_BYTES]), Preamble::Fault);
    }

    #[test]
    fn what_is_none() {
        for (command, family, body) in [
            (0x11, 0x11, &V4[..]),
            (0x22, 0x11, &V4),
            (0x2f, 0x11, &V4),
            (0x00, 0x11, &V4),
            (0x21, 0x12, &V4),
            (0x21, 0x22, &v6()),
            (0x21, 0x41, &V4),
            (0x21, 0xff, &V4),
            (0x21, 0x11, &V4[..11]),
            (0x21, 0x21, &v6()[..35]),
            (0x21, 0x11, &[]),
        ] {
            assert_eq!(
                read(&header(command, family, body)),
                Preamble::Fault,
                "{command:#x} {family:#x} {}",
                body.len()
            );
        }
        for bytes in [
            &b"GET /ws HTTP/1.1\r\n"[..],
            b"PROXY TCP4 203.0.113.9 192.0.2.1 1 2\r\n",
            b"\r\n\r\n\0\r\nQUIX\n",
            b"\x16\x03\x01",
        ] {
            assert_eq!(read(bytes), Preamble::Fault, "{bytes:?}");
            assert_eq!(read(&bytes[..bytes.len().min(16)]), Preamble::Fault);
        }
        assert_eq!(read(b"\r\n"), Preamble::Incomplete);
    }
}
