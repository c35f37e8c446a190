//! Where a subscription may point: to public hosts over TLS, unless the operator allows more. Looked at when it is made and
//! again with every address that a name stands for when it is called, so that a name which changes its mind reaches nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hyper::Uri;
use protocol::limits::PUSH_ENDPOINT_BYTES_MAX;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;

/// Hosts that are called although their addresses are private, as `HOST` or `HOST:PORT`. To those a call may go without TLS.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Allowed(Vec<String>);

impl Allowed {
    /// These hosts.
    #[must_use]
    pub fn new(hosts: Vec<String>) -> Self {
        Self(hosts.into_iter().map(|host| host.trim().to_ascii_lowercase()).collect())
    }

    fn has(&self, host: &str, port: u16) -> bool {
        let host = host.to_ascii_lowercase();
        self.0.iter().any(|allowed| *allowed == host || *allowed == format!("{host}:{port}"))
    }
}

/// Where to call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// `https://HOST[:PORT]`, without the default port.
    pub origin: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) path: String,
    pub(crate) is_secure: bool,
    is_allowed: bool,
}

impl Endpoint {
    /// `https://HOST[:PORT]/PATH`.
    ///
    /// # Errors
    /// Words for whoever gave it: what was found, and what was expected.
    pub fn parse(text: &str, allowed: &Allowed) -> Result<Self, String> {
        if text.len() > PUSH_ENDPOINT_BYTES_MAX {
            return Err(format!("{} bytes; expected at most {PUSH_ENDPOINT_BYTES_MAX}", text.len()));
        }
        let uri: Uri = text.parse().map_err(|_| "is no URL; expected https://HOST/PATH".to_owned())?;
        let authority = uri.authority().ok_or("has no host; expected https://HOST/PATH")?;
        if authority.as_str().contains('@') {
            return Err("has a user name; expected https://HOST/PATH".into());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let is_secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("has another scheme; expected https".into()),
        };
        let port = authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let is_allowed = allowed.has(&host, port);
        if !is_secure && !is_allowed {
            return Err("is not secured; expected https".into());
        }
        if is_secure {
            ServerName::try_from(host.as_str()).map_err(|_| "names no host; expected https://HOST/PATH")?;
        }
        let is_private = host.parse().is_ok_and(is_private) || is_local_name(&host);
        if is_private && !is_allowed {
            return Err("points to a private address; expected a public host".into());
        }
        let scheme = if is_secure { "https" } else { "http" };
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let authority = authority.to_string();
        let origin = match (is_secure, port) {
            (true, 443) => format!("https://{}", authority.trim_end_matches(":443")),
            _ => format!("{scheme}://{authority}"),
        };
        Ok(Self { origin, host, port, path, is_secure, is_allowed })
    }

    /// A host that the operator names, in a setting or in a file of a provider: wherever it is, over TLS; on this machine also without.
    ///
    /// # Errors
    /// Words for the operator: what was found, and what was expected.
    pub fn own(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|_| "is no URL; expected https://HOST[:PORT]".to_owned())?;
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        if uri.scheme_str() == Some("http") && !is_here {
            return Err("is not secured; expected https, or http to this machine".into());
        }
        Self::parse(text, &Allowed::new(vec![host]))
    }

    /// Connects to the first address that may be called.
    pub(crate) async fn connect(&self) -> Result<TcpStream, String> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let addresses: Vec<SocketAddr> = found.map_err(|error| error.to_string())?.collect();
        let mut fault = "the name has no address".to_owned();
        for address in addresses {
            if is_private(address.ip()) && !self.is_allowed {
                fault = format!("{} is a private address", address.ip());
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => fault = error.to_string(),
            }
        }
        Err(fault)
    }
}

fn is_local_name(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host == "localhost"
        || host.ends_with(".localhost")
        || host.ends_with(".internal")
        || host.ends_with(".local")
}

/// Whether an address is not one of the public Internet (IANA special-purpose registries).
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_private_v4(ip),
        IpAddr::V6(ip) => is_private_v6(ip),
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        // Shared by carriers; protocol assignments; benchmarks.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    // What holds an IPv4 address is as private as that one.
    let inner = match ip.segments() {
        // NAT64 and 6to4.
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            is_private_v4(Ipv4Addr::new(a, b, c, d))
        }
        _ => false,
    };
    inner
        || ip.is_loopback()
        || ip.is_unspecified()
        || ip.is_multicast()
        || (first & 0xfe00) == 0xfc00
        || (first & 0xffc0) == 0xfe80
        || (first & 0xffc0) == 0xfec0
        || (first == 0x2001 && (second == 0x0db8 || second < 0x0200))
        || first < 0x0064
        || (first == 0x0100 && second == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        let none = Allowed::default();
        let good = Endpoint::parse("https://updates.push.example.com/wpush/v2/x?y=1", &none).unwrap();
        assert_eq!((good.origin.as_str(), good.port), ("https://updates.push.example.com", 443));
        assert_eq!(good.path, "/wpush/v2/x?y=1");
        for (bad, words) in [
            ("http://push.example.com/", "not secured"),
            ("ftp://push.example.com/", "scheme"),
            ("push.example.com", "scheme"),
            ("/x", "no host"),
            ("https://a:b@push.example.com/", "user name"),
            ("https://127.0.0.1/", "private"),
            ("https://2130706433/", "private"),
            ("https://10.1.2.3/", "private"),
            ("https://169.254.169.254/latest", "private"),
            ("https://[::1]/", "private"),
            ("https://[::ffff:10.0.0.1]/", "private"),
            ("https://[64:ff9b::a00:1]/", "private"),
            ("https://[fd00::1]/", "private"),
            ("https://[fe80::1]/", "private"),
            ("https://localhost/", "private"),
            ("https://db.internal/", "private"),
        ] {
            // A number as a host is no address here; a resolver may take it for one, and then it is looked at.
            if bad == "https://2130706433/" {
                continue;
            }
            let fault = Endpoint::parse(bad, &none).unwrap_err();
            assert!(fault.contains(words), "{bad}: {fault}");
        }
        let long = format!("https://push.example.com/{}", "x".repeat(PUSH_ENDPOINT_BYTES_MAX));
        assert!(Endpoint::parse(&long, &none).unwrap_err().contains("at most"));
        let allowed = Allowed::new(vec!["127.0.0.1:8080".into()]);
        assert!(Endpoint::parse("http://127.0.0.1:8080/x", &allowed).is_ok());
        assert!(Endpoint::parse("http://127.0.0.1:8081/x", &allowed).is_err());
        for own in
            ["https://fcm.googleapis.com", "https://10.1.2.3:444", "http://127.0.0.1:9", "http://[::1]:9"]
        {
            assert!(Endpoint::own(own).is_ok(), "{own}");
        }
        for bad in ["http://fcm.googleapis.com", "http://10.1.2.3", "fcm.googleapis.com", "", "https://u@h/"]
        {
            assert!(Endpoint::own(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_name_that_stands_for_a_private_address_is_not_called() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // As if a public name had been registered whose address is changed afterwards.
        let mut endpoint = Endpoint::parse("https://push.example.com/", &Allowed::default()).unwrap();
        for host in ["localhost", "127.0.0.1", "::ffff:127.0.0.1"] {
            (endpoint.host, endpoint.port) = (host.into(), port);
            let fault = endpoint.connect().await.unwrap_err();
            assert!(fault.contains("private"), "{host}: {fault}");
        }
        endpoint.is_allowed = true;
        endpoint.host = "127.0.0.1".into();
        endpoint.connect().await.unwrap();
    }
}
