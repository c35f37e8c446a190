//! What a browser says of where a request comes from and goes to: `Host` (RFC 9110 section 7.2) and `Origin` (RFC 6454), and
//! who may speak to a server by them. Programs that are no browsers send no `Origin` and are not asked for one.
//!
//! A page may make a name of its own point at 127.0.0.1 and so talk to a server that listens on this machine alone (DNS
//! rebinding). Such a request names the page's host: a server on loopback therefore answers to names that it knows only.

/// Longest list of origins or hosts that an operator may set.
pub const ENTRIES_MAX: usize = 64;

/// Who may speak to one listener; unless something is said, everybody.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WebRules {
    /// Origins of pages elsewhere, lower case; `*` is all of them.
    origins: Vec<String>,
    /// Names that this server answers to, lower case.
    hosts: Vec<String>,
    /// It listens on loopback alone.
    is_local: bool,
}

/// Everybody may: no host is checked, and pages of every origin are served.
pub static ANYBODY: WebRules = WebRules { origins: Vec::new(), hosts: Vec::new(), is_local: false };

impl WebRules {
    /// Rules of a listener. `origins` and `hosts` are as [`origins`] and [`hosts`] give them.
    #[must_use]
    pub const fn new(origins: Vec<String>, hosts: Vec<String>, is_local: bool) -> Self {
        Self { origins, hosts, is_local }
    }

    /// Whether a request to this host is for this server. One without a host is no browser's.
    #[must_use]
    pub fn takes_host(&self, host: Option<&str>) -> bool {
        let Some(host) = host else { return true };
        if !self.is_local && self.hosts.is_empty() {
            return true;
        }
        let Some(name) = host_name(host) else { return false };
        // Who names an address has asked no DNS.
        let is_here = || name == "localhost" || name.ends_with(".localhost") || is_address(&name);
        self.hosts.contains(&name) || is_here()
    }

    /// Whether a page of this origin may ask this host: it is listed, or it came from the same host, whatever the port.
    #[must_use]
    pub fn takes_origin(&self, origin: &str, host: Option<&str>) -> bool {
        self.lists_origin(origin) || is_same_host(origin, host)
    }

    /// Whether the operator has listed the origin: its pages may read the answers.
    #[must_use]
    pub fn lists_origin(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        self.origins.iter().any(|known| known == "*" || *known == origin)
    }
}

fn is_same_host(origin: &str, host: Option<&str>) -> bool {
    let from = origin.split_once("://").and_then(|(_, authority)| host_name(authority));
    from.is_some() && from == host.and_then(host_name)
}

/// The name of an authority (`name`, `name:port`, `[v6]:port`), lower case and without the root's dot; `None` when it is
/// none.
#[must_use]
pub fn host_name(authority: &str) -> Option<String> {
    let authority = authority.trim();
    let (name, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']')?;
            (address, rest.strip_prefix(':').or_else(|| rest.is_empty().then_some(""))?)
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_name =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte));
    (is_name && port.bytes().all(|byte| byte.is_ascii_digit())).then(|| name.to_ascii_lowercase())
}

fn is_address(name: &str) -> bool {
    name.parse::<core::net::IpAddr>().is_ok()
}

/// Reads an operator's list of origins, `https://app.example.org, http://localhost:3000`, or `*`.
#[must_use]
pub fn origins(text: &str) -> Option<Vec<String>> {
    list(text, |entry| {
        if entry == "*" {
            return Some(entry.to_owned());
        }
        let authority = entry.strip_prefix("https://").or_else(|| entry.strip_prefix("http://"))?;
        host_name(authority).map(|_| entry.to_ascii_lowercase())
    })
}

/// Reads an operator's list of host names, without ports.
#[must_use]
pub fn hosts(text: &str) -> Option<Vec<String>> {
    list(text, |entry| {
        let name = host_name(entry)?;
        (name.len() == entry.len()).then_some(name)
    })
}

fn list(text: &str, read: impl Fn(&str) -> Option<String>) -> Option<Vec<String>> {
    let entries = text.split(',').map(str::trim);
    let read: Vec<String> = entries.map(read).collect::<Option<_>>()?;
    (read.len() <= ENTRIES_MAX).then_some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_hosts() {
        for (authority, name) in [
            ("Chat.Example.org", Some("chat.example.org")),
            ("chat.example.org.:443", Some("chat.example.org")),
            ("127.0.0.1:8080", Some("127.0.0.1")),
            ("[2001:DB8::1]:80", Some("2001:db8::1")),
            ("[::1]", Some("::1")),
            ("[::1]x", None),
            ("[::1", None),
            ("", None),
            (".", None),
            ("a b", None),
            ("a:b", None),
            ("a@b", None),
            ("a:1:2", None),
            ("a/b", None),
            ("\u{430}lice", None),
        ] {
            assert_eq!(host_name(authority).as_deref(), name, "{authority:?}");
        }
    }

    #[test]
    fn a_server_on_loopback_answers_to_its_own_names() {
        let local = WebRules::new(Vec::new(), hosts("chat.example.org").unwrap(), true);
        for host in [
            "127.0.0.1:8080",
            "localhost",
            "LOCALHOST:1",
            "app.localhost",
            "[::1]:8080",
            "192.0.2.1",
            "CHAT.example.org:443",
        ] {
            assert!(local.takes_host(Some(host)), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "chat.example.org.evil.example",
            "127.0.0.1.nip.io",
            "",
            "a b",
            "a",
        ] {
            assert!(!local.takes_host(Some(host)), "{host}");
        }
        assert!(local.takes_host(None), "HTTP/1.0 without one: no browser");
        let open = WebRules::new(Vec::new(), Vec::new(), false);
        assert!(open.takes_host(Some("anything at all")));
        let named = WebRules::new(Vec::new(), hosts("chat.example.org").unwrap(), false);
        assert!(named.takes_host(Some("chat.example.org")) && !named.takes_host(Some("evil.example")));
    }

    #[test]
    fn pages_of_other_hosts_are_listed_or_refused() {
        let rules = WebRules::new(
            origins("https://app.example.org, http://localhost:3000").unwrap(),
            Vec::new(),
            false,
        );
        let host = Some("chat.example.org:8081");
        for good in [
            "https://app.example.org",
            "HTTPS://APP.example.org",
            "http://localhost:3000",
            "https://chat.example.org",
            "http://chat.example.org:8080",
        ] {
            assert!(rules.takes_origin(good, host), "{good}");
        }
        for bad in [
            "null",
            "",
            "http://app.example.org",
            "https://app.example.org:444",
            "https://app.example.org.evil.example",
            "https://evil.example",
            "http://localhost",
            "file://",
            "://chat.example.org.evil",
        ] {
            assert!(!rules.takes_origin(bad, host), "{bad}");
            assert!(!rules.takes_origin(bad, None), "{bad}");
        }
        assert!(!rules.lists_origin("https://chat.example.org"));
        let all = WebRules::new(origins("*").unwrap(), Vec::new(), false);
        assert!(all.takes_origin("https://evil.example", host) && all.takes_origin("null", None));
    }

    #[test]
    fn lists_are_checked_when_they_are_set() {
        assert_eq!(origins("https://A.example , *").unwrap(), ["https://a.example", "*"]);
        for wrong in
            ["", "app.example.org", "https://", "https://a/b", "ftp://a", "https://a,", "https://*.a"]
        {
            assert_eq!(origins(wrong), None, "{wrong:?}");
        }
        assert_eq!(hosts("A.example,b").unwrap(), ["a.example", "b"]);
        for wrong in ["", "a:80", "a,,b", "https://a", "[::1]", "*"] {
            assert_eq!(hosts(wrong), None, "{wrong:?}");
        }
        assert_eq!(hosts(&["a"; ENTRIES_MAX + 1].join(",")), None);
    }
}
