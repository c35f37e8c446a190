//! Addresses as limits see them, and ranges of addresses as an operator writes them (CIDR, RFC 4632).

use std::net::{IpAddr, Ipv6Addr};

/// Ranges that an operator may list.
const RANGES_MAX: usize = 64;

/// One household of IPv6 has a whole /64, so that counts as one address; an IPv4 address within IPv6 is an IPv4 address.
#[must_use]
pub fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

/// A list of ranges.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Networks(Vec<Network>);

/// All addresses whose first `bits` bits are those of `base`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Network {
    base: IpAddr,
    bits: u32,
}

impl Networks {
    /// Reads addresses and ranges with commas between them: `127.0.0.1, 10.0.0.0/8, fd00::/8`. `None` when one of them is
    /// none, or has bits set behind its length: that is a slip of the pen that would trust somebody else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let ranges = text.split(',').map(|entry| Network::parse(entry.trim()));
        let ranges: Vec<_> = ranges.collect::<Option<_>>()?;
        (ranges.len() <= RANGES_MAX).then_some(Self(ranges))
    }

    /// Whether an address is in one of them.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let base: IpAddr = address.parse().ok()?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
            None => most,
        };
        let network = Self { base: base.to_canonical(), bits };
        // A range of IPv4 written within IPv6 would say its length in other bits.
        let is_plain = network.base == base && bits <= most;
        (is_plain && network.first(base) == base).then_some(network)
    }

    fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.base.is_ipv4() && self.first(address) == self.base
    }

    /// The first address of the range of this length that holds `address`.
    fn first(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(self.bits)).unwrap_or(0);
                IpAddr::V4((v4.to_bits() & mask).into())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(self.bits)).unwrap_or(0);
                IpAddr::V6((v6.to_bits() & mask).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_hold_what_they_should() {
        let trusted =
            Networks::parse("127.0.0.1, 10.0.0.0/8,fd00::/8 , 2001:db8::1, 192.0.2.128/25").unwrap();
        for inside in ["127.0.0.1", "10.255.0.1", "fdff::1", "2001:db8::1", "::ffff:10.1.2.3", "192.0.2.255"]
        {
            assert!(trusted.contain(address(inside)), "{inside}");
        }
        for outside in ["127.0.0.2", "11.0.0.0", "fe00::", "2001:db8::2", "::a01:203", "192.0.2.127"] {
            assert!(!trusted.contain(address(outside)), "{outside}");
        }
        let all = Networks::parse("0.0.0.0/0").unwrap();
        assert!(all.contain(address("255.1.2.3")) && !all.contain(address("::1")));
        assert!(Networks::parse("::/0").unwrap().contain(address("2001:db8::1")));
        assert!(!Networks::default().contain(address("127.0.0.1")));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for wrong in [
            "",
            "x",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "10.0.0.1/8",
            "10.0.0.0 /8",
            "::1/129",
            "10.0.0.0/8,",
            "::ffff:10.0.0.0/104",
            "fd00::1/8",
            "10.0.0.0/99999999999",
            "localhost",
            "10.0.0.0/8 11.0.0.0/8",
        ] {
            assert_eq!(Networks::parse(wrong), None, "{wrong:?}");
        }
        assert_eq!(Networks::parse(&["::1"; RANGES_MAX + 1].join(",")), None);
    }

    #[test]
    fn a_household_is_one() {
        assert_eq!(household(address("2001:db8::1:2")), address("2001:db8::"));
        assert_eq!(household(address("2001:db8:0:1::1")), address("2001:db8:0:1::"));
        assert_eq!(household(address("::ffff:192.0.2.1")), address("192.0.2.1"));
        assert_eq!(household(address("192.0.2.1")), address("192.0.2.1"));
    }
}
