//! Who really asks, when proxies stand between: the right-most hop that is not one of the operator's own proxies.
//!
//! Each proxy adds, on the right, the address that spoke to it. So what a proxy of ours wrote is true as long as it is
//! read from the right and only as far as proxies of ours go; what stands further left, a client may have made up. One
//! header alone is looked at, that which the proxies set: the other one a client could send through them.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

use crate::network::Networks;

/// Hops that are looked at, from the right.
const HOPS_MAX: usize = 32;

/// Which header the operator's proxies set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ProxyHeader {
    /// `X-Forwarded-For`: addresses with commas between them.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The operator's proxies.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Proxies {
    /// Where they are.
    pub trusted: Networks,
    /// What they say.
    pub header: ProxyHeader,
}

impl Proxies {
    /// Who asks. A peer that is none of our proxies is asking itself, whatever its headers say.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut nearest = peer.to_canonical();
        if !self.trusted.contain(nearest) {
            return nearest;
        }
        for hop in self.hops(headers).into_iter().take(HOPS_MAX) {
            // A proxy that hides who spoke to it answers for it.
            let Some(address) = hop else { return nearest };
            nearest = address;
            if !self.trusted.contain(nearest) {
                return nearest;
            }
        }
        nearest
    }

    /// The hops, the nearest first; `None` for what is no address.
    fn hops(&self, headers: &HeaderMap) -> Vec<Option<IpAddr>> {
        let (name, read): (_, fn(&str) -> Option<IpAddr>) = match self.header {
            ProxyHeader::XForwardedFor => ("x-forwarded-for", node),
            ProxyHeader::Forwarded => ("forwarded", forwarded_for),
        };
        let lines: Vec<&[u8]> = headers.get_all(name).iter().map(|line| line.as_bytes()).collect();
        let mut hops = Vec::new();
        for line in lines.into_iter().rev() {
            let Ok(line) = str::from_utf8(line) else {
                hops.push(None);
                break;
            };
            let elements = split(line, b',');
            hops.extend(elements.into_iter().rev().map(read));
            if hops.len() >= HOPS_MAX {
                break;
            }
        }
        hops
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match bare {
        Some(v6) => IpAddr::V6(v6.parse().ok()?),
        None => text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?,
    };
    Some(address.to_canonical())
}

/// The node behind `for` in one element: `for="[2001:db8::1]:80";proto=https`. Given twice it says nothing.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in split(element, b';') {
        let Some((name, value)) = pair.split_once('=') else { continue };
        if name.trim().eq_ignore_ascii_case("for") && found.replace(unquoted(value.trim())?).is_some() {
            return None;
        }
    }
    node(&found?)
}

/// A token as it is, a quoted string without its quotes and backslashes (RFC 9110 section 5.6.4).
fn unquoted(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else { return Some(text.to_owned()) };
    let mut value = String::new();
    let mut chars = rest.strip_suffix('"')?.chars();
    while let Some(next) = chars.next() {
        value.push(if next == '\\' { chars.next()? } else { next });
    }
    Some(value)
}

/// The pieces between separators that are not within quotes.
fn split(text: &str, separator: u8) -> Vec<&str> {
    let (mut pieces, mut start) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (place, byte) in text.bytes().enumerate() {
        let was_escaped = is_escaped;
        is_escaped = is_quoted && !was_escaped && byte == b'\\';
        if byte == b'"' && !was_escaped {
            is_quoted = !is_quoted;
        } else if byte == separator && !is_quoted {
            pieces.extend(text.get(start..place));
            start = place + 1;
        }
    }
    pieces.extend(text.get(start..));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn client(header: ProxyHeader, peer: &str, lines: &[&str]) -> String {
        let trusted = Networks::parse("127.0.0.1,10.0.0.0/8,fd00::/8").unwrap();
        let proxies = Proxies { trusted, header };
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(
                axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_right_most_hop_that_is_not_ours() {
        for (peer, lines, expected) in [
            ("203.0.113.1", &["x-forwarded-for: 192.0.2.1"][..], "203.0.113.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["x-forwarded-for: 192.0.2.1"], "192.0.2.1"),
            ("::ffff:127.0.0.1", &["x-forwarded-for: 192.0.2.1"], "192.0.2.1"),
            // What the client made up stands on the left.
            ("127.0.0.1", &["x-forwarded-for: 198.51.100.7, 192.0.2.1"], "192.0.2.1"),
            ("127.0.0.1", &["x-forwarded-for: 127.0.0.1, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            (
                "127.0.0.1",
                &["x-forwarded-for: 198.51.100.7", "x-forwarded-for: 192.0.2.1,10.0.0.2"],
                "192.0.2.1",
            ),
            ("127.0.0.1", &["x-forwarded-for: 10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("127.0.0.1", &["x-forwarded-for: 192.0.2.1:4711"], "192.0.2.1"),
            ("127.0.0.1", &["x-forwarded-for: 2001:db8::1"], "2001:db8::1"),
            ("127.0.0.1", &["x-forwarded-for: [2001:db8::1]:4711"], "2001:db8::1"),
            ("127.0.0.1", &["x-forwarded-for: ::ffff:192.0.2.1"], "192.0.2.1"),
            // What is no address ends it: the last proxy answers.
            ("127.0.0.1", &["x-forwarded-for: 192.0.2.1, unknown"], "127.0.0.1"),
            ("127.0.0.1", &["x-forwarded-for: 192.0.2.1, nonsense, 10.0.0.2"], "10.0.0.2"),
            ("127.0.0.1", &["x-forwarded-for: "], "127.0.0.1"),
            ("127.0.0.1", &["x-forwarded-for: 192.0.2.1,"], "127.0.0.1"),
            ("127.0.0.1", &["x-forwarded-for: \u{ff}, 192.0.2.1"], "192.0.2.1"),
            // The other header is not what our proxies set.
            ("127.0.0.1", &["forwarded: for=198.51.100.7", "x-forwarded-for: 192.0.2.1"], "192.0.2.1"),
            ("127.0.0.1", &["forwarded: for=198.51.100.7"], "127.0.0.1"),
        ] {
            assert_eq!(client(ProxyHeader::XForwardedFor, peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn forwarded_as_rfc_7239_has_it() {
        for (value, expected) in [
            ("for=192.0.2.43", "192.0.2.43"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("by=203.0.113.43; FOR = \"192.0.2.60:1\" ", "192.0.2.60"),
            ("for=198.51.100.7, for=192.0.2.60", "192.0.2.60"),
            ("for=198.51.100.7, for=\"10.0.0.2\"", "198.51.100.7"),
            ("for=192.0.2.60;x=\"a,for=198.51.100.7;\\\"\"", "192.0.2.60"),
            ("for=\"192.0.2\\.60\"", "192.0.2.60"),
            ("for=192.0.2.60, for=_hidden", "127.0.0.1"),
            ("for=192.0.2.60, for=unknown", "127.0.0.1"),
            ("for=192.0.2.60, proto=https", "127.0.0.1"),
            ("for=192.0.2.60;for=198.51.100.7", "127.0.0.1"),
            ("for=\"192.0.2.60", "127.0.0.1"),
            ("for=", "127.0.0.1"),
            ("for", "127.0.0.1"),
        ] {
            let line = format!("forwarded: {value}");
            let lines = [line.as_str(), "x-forwarded-for: 198.51.100.9"];
            assert_eq!(client(ProxyHeader::Forwarded, "127.0.0.1", &lines), expected, "{value}");
        }
    }

    #[test]
    fn a_long_way_is_looked_at_so_far() {
        let long = format!("x-forwarded-for: 192.0.2.1{}", ", 10.0.0.2".repeat(HOPS_MAX));
        assert_eq!(client(ProxyHeader::XForwardedFor, "127.0.0.1", &[&long]), "10.0.0.2");
        let short = format!("x-forwarded-for: 192.0.2.1{}", ", 10.0.0.2".repeat(HOPS_MAX - 1));
        assert_eq!(client(ProxyHeader::XForwardedFor, "127.0.0.1", &[&short]), "192.0.2.1");
    }
}
