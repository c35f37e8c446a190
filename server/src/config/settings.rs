//! The list of settings: one row each makes the flag, the variable, the key in the file, and the refusal.

use std::path::PathBuf;
use std::str::FromStr;

use api::{History, PostgresUrl, Signup};
use protocol::limits::{GROUP_MEMBERS_MAX, LARGE_MEMBERS_MAX, PAGE_BYTES_MAX};
use protocol::partition::SHARDS_MAX;
use push::secret::Secret;
use shard::limits::WordAction;

use super::{Config, Pin, QuicAt, Steering, StoreKind, Tls};
use crate::driver::Io;
use crate::latency::SAMPLED_ONE_IN;
use crate::logging::Format;
use crate::spans::export::Endpoint;

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its key in the file. The flag has dashes for underscores, the variable is upper case behind `MARU_`.
    pub name: &'static str,
    /// How a value looks, for the help.
    pub value: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// What is allowed, for the refusal.
    pub allowed: &'static str,
    /// Takes a value; `None` refuses it.
    pub(super) set: fn(&mut Config, &str) -> Option<()>,
}

impl Setting {
    /// The environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("MARU_{}", self.name.to_ascii_uppercase())
    }

    /// The flag without its dashes.
    #[must_use]
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }
}

const MIB: u64 = 1024 * 1024;
/// Smallest egress bound: a frame and a page fit.
const EGRESS_BYTES_MIN: usize = 1024 * 1024;
const _: () = assert!(EGRESS_BYTES_MIN >= PAGE_BYTES_MAX + protocol::limits::FRAME_BYTES_MAX);
const _: () = assert!(GROUP_MEMBERS_MAX == 500 && SHARDS_MAX == 64);

/// A whole number within bounds.
fn number<T: FromStr + PartialOrd>(text: &str, least: T, most: T) -> Option<T> {
    text.parse().ok().filter(|number| least <= *number && *number <= most)
}

/// So many MiB, as bytes.
fn mib(text: &str, least: u64, most: u64) -> Option<u64> {
    number(text, least, most).map(|mib| mib * MIB)
}

/// So many seconds, as milliseconds.
fn seconds(text: &str, least: u64, most: u64) -> Option<u64> {
    number(text, least, most).map(|seconds| seconds * 1000)
}

fn mib_usize(text: &str, least: u64, most: u64) -> Option<usize> {
    usize::try_from(mib(text, least, most)?).ok()
}

/// `none` is none.
fn or_none<T>(text: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    if text == "none" { Some(None) } else { parse(text).map(Some) }
}

/// `auto` is nothing set.
fn or_auto<T>(text: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    if text == "auto" { Some(None) } else { parse(text).map(Some) }
}

/// A host of the operator's choice.
fn own_url(text: &str) -> Option<String> {
    push::address::Endpoint::own(text).ok().map(|_| text.to_owned())
}

/// A name of a key or a team at Apple.
fn apple_id(text: &str) -> Option<String> {
    (text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())).then(|| text.to_owned())
}

macro_rules! settings {
    ($($name:literal, $value:literal, $help:literal, $allowed:literal, |$config:ident, $text:ident| $place:expr => $parse:expr;)*) => {
        /// Every setting, in the order of the help.
        pub const SETTINGS: &[Setting] = &[$(Setting {
            name: $name,
            value: $value,
            help: $help,
            allowed: $allowed,
            set: |$config, $text| {
                $place = $parse?;
                Some(())
            },
        },)*];
    };
}

settings! {
    "data", "DIR", "Data directory; made when it is missing [./data]", "a path",
        |config, text| config.data => (!text.is_empty()).then(|| PathBuf::from(text));
    "database", "URL", "Where accounts are: a PostgreSQL, or SQLite within data; a flag shows its password to everybody [sqlite]",
        "sqlite or postgres://USER:PASSWORD@HOST:PORT/NAME",
        |config, text| config.database => match text {
            "sqlite" => Some(None),
            url => PostgresUrl::parse(url).map(Some),
        };
    "http", "ADDR", "Where HTTP listens [127.0.0.1:8080]", "ADDRESS:PORT; port 0 takes a free one",
        |config, text| config.http => text.parse().ok();
    "admin_listen", "ADDR", "Where operators, metrics and health are served [auto: 127.0.0.1:8082, a free port if http has port 0]",
        "ADDRESS:PORT, or auto; port 0 takes a free one",
        |config, text| config.admin_listen => or_auto(text, |text| text.parse().ok());
    "listen", "ADDR", "Where the chat port listens [127.0.0.1:8081]", "ADDRESS:PORT; port 0 takes a free one",
        |config, text| config.listen => text.parse().ok();
    "quic", "ADDR", "Where QUIC listens, UDP [auto: the chat port's address and number]",
        "ADDRESS:PORT, off or auto; port 0 takes a free one",
        |config, text| config.quic => match text {
            "auto" => Some(QuicAt::Beside),
            "off" => Some(QuicAt::Off),
            _ => text.parse().ok().map(QuicAt::At),
        };
    "quic_steering", "HOW", "How datagrams find their shard: one port and a BPF program, or a port each [auto: bpf if it can be]",
        "auto or ports",
        |config, text| config.quic_steering => match text {
            "auto" => Some(Steering::Auto),
            "ports" => Some(Steering::Ports),
            _ => None,
        };
    "tls", "HOW", "TLS on the HTTP and chat ports, and on the admin listener off loopback; on without tls_cert serves the self-signed certificate [auto: on with tls_cert]",
        "auto, on or off",
        |config, text| config.tls => match text {
            "auto" => Some(Tls::Auto),
            "on" => Some(Tls::On),
            "off" => Some(Tls::Off),
            _ => None,
        };
    "insecure", "BOOL", "All listeners may have other than loopback addresses without TLS [false]",
        "true or false",
        |config, text| config.insecure => text.parse().ok();
    "tls_cert", "FILE", "TLS certificate of all ports, PEM, the server's own first; with tls_key; read again when it changes [auto: self-signed, kept in data]",
        "a path, or auto",
        |config, text| config.tls_cert => or_auto(text, |text| (!text.is_empty()).then(|| PathBuf::from(text)));
    "tls_key", "FILE", "Key of the certificate, PEM, for its owner alone; with tls_cert [auto]", "a path, or auto",
        |config, text| config.tls_key => or_auto(text, |text| (!text.is_empty()).then(|| PathBuf::from(text)));
    "chat_url", "URL", "Where a login tells devices to connect [auto: from listen]",
        "ws://... or wss://..., or auto",
        |config, text| config.chat_url => or_auto(text, |url| {
            (url.starts_with("ws://") || url.starts_with("wss://")).then(|| url.to_owned())
        });
    "trusted_proxies", "LIST", "Proxies of your own, whose word on who asks is taken [none]",
        "addresses and ranges (10.0.0.0/8) with commas between them, or none",
        |config, text| config.access.proxies.trusted => match text {
            "none" => Some(api::Networks::default()),
            _ => api::Networks::parse(text),
        };
    "proxy_header", "NAME", "The header in which they say it; no other is looked at [x-forwarded-for]",
        "x-forwarded-for or forwarded",
        |config, text| config.access.proxies.header => match text {
            "x-forwarded-for" => Some(api::ProxyHeader::XForwardedFor),
            "forwarded" => Some(api::ProxyHeader::Forwarded),
            _ => None,
        };
    "proxy_protocol", "HOW", "On the chat port trusted proxies say who connects, by the PROXY protocol, version 2 [off]",
        "on or off",
        |config, text| config.proxy_protocol => match text {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        };
    "allowed_hosts", "LIST", "Host names that requests may name; on loopback its own names and addresses besides [auto: on loopback those alone, else any]",
        "host names without ports, with commas between them, or auto",
        |config, text| config.access.hosts => match text {
            "auto" => Some(Vec::new()),
            _ => protocol::web::hosts(text),
        };
    "allowed_origins", "LIST", "Origins of other hosts whose pages may ask and connect [none]",
        "https://HOST[:PORT] or http://..., with commas between them; * for all; or none",
        |config, text| config.access.origins => match text {
            "none" => Some(Vec::new()),
            _ => protocol::web::origins(text),
        };
    "hsts_s", "SECONDS", "Browsers are told to use TLS alone for so long; set it when there is TLS, here or in front [0: they are not]",
        "0 to 63072000",
        |config, text| config.access.hsts_s => number(text, 0, 63_072_000);
    "metrics_token", "WHEN", "When metrics ask for a token [auto: off loopback]", "auto or always",
        |config, text| config.access.metrics_token => match text {
            "auto" => Some(false),
            "always" => Some(true),
            _ => None,
        };
    "http_connections", "N", "HTTP connections at a time; above it the oldest idle one gives way [1024]", "8 to 16384",
        |config, text| config.access.limits.connections_max => number(text, 8, 16_384);
    "address_http_connections", "N", "The same of one address, or of one /64 of IPv6; not of trusted proxies [256]",
        "8 to 16384",
        |config, text| config.access.limits.address_connections_max => number(text, 8, 16_384);
    "guess_refill_ms", "MS", "After ten wrong passwords one more is let through this often [6000]", "100 to 3600000",
        |config, text| config.access.limits.guess_refill_ms => number(text, 100, 3_600_000);
    "address_signups_per_h", "N", "Sign-ups of one address in an hour, and at once [100]", "1 to 1000000",
        |config, text| config.access.limits.address_signups_per_h => number(text, 1, 1_000_000);
    "signups_per_h", "N", "Sign-ups of all addresses in an hour, and at once [1000]", "1 to 1000000",
        |config, text| config.access.limits.signups_per_h => number(text, 1, 1_000_000);
    "user_lookups_per_h", "N", "Users that one user may look up in an hour, and at once [1000]", "1 to 1000000",
        |config, text| config.access.limits.user_lookups_per_h => number(text, 1, 1_000_000);
    "issuer_users_per_h", "N", "New users whom one identity provider names in an hour, and at once [1000]", "1 to 1000000",
        |config, text| config.access.limits.issuer_users_per_h => number(text, 1, 1_000_000);
    "shards", "N", "Threads that own users and channels [auto: cores]", "1 to 64, or auto",
        |config, text| config.shards => or_auto(text, |text| number(text, 1, SHARDS_MAX));
    "io", "HOW", "What is beneath the sockets of devices; auto: io_uring where it is allowed, else epoll [epoll]", "epoll, uring or auto",
        |config, text| config.io => match text {
            "epoll" => Some(Io::Epoll),
            "uring" => Some(Io::Uring),
            "auto" => Some(Io::Auto),
            _ => None,
        };
    "store", "KIND", "memory keeps nothing after the end and acks what is not durable: for benches only [rocks]",
        "rocks or memory",
        |config, text| config.store => StoreKind::parse(text);
    "pin", "CORES", "Cores that shards are pinned to [auto: when there is a shard for each]",
        "auto, off, or core numbers with commas between them",
        |config, text| config.pin => Pin::parse(text);
    "watchdog_ms", "MS", "A shard that takes no turn for so long stands still: health says so, and a service manager is not told that it lives [10000]", "1000 to 600000",
        |config, text| config.watchdog_ms => number(text, 1000, 600_000);
    "connections", "N", "Connections of devices at a time, an equal part for each shard [auto: what descriptors allow]", "16 to 64000000, or auto",
        |config, text| config.connections => or_auto(text, |text| number(text, 16, 64_000_000));
    "readers", "N", "Threads that read what is not in memory [one a core, at least 2]", "1 to 64",
        |config, text| config.readers => number(text, 1, 64);
    "group_members", "N", "Members a group may have [100]", "2 to 500",
        |config, text| config.limits.group_members => number(text, 2, GROUP_MEMBERS_MAX);
    "large_channel_members", "N", "Members a large channel may have, which a group becomes that takes more than group_members, or by its owner; 0: no group does [1000000]",
        "0 to 1000000",
        |config, text| config.limits.large_members => number(text, 0, LARGE_MEMBERS_MAX);
    "frames_per_s", "N", "Tokens of a session in a second; a small frame costs one [200]", "1 to 1000000",
        |config, text| config.limits.frames_per_s => number(text, 1, 1_000_000);
    "frames_burst", "N", "Tokens of a session at once after a pause [1000]", "1 to 1000000",
        |config, text| config.limits.frames_burst => number(text, 1, 1_000_000);
    "user_frames_per_s", "N", "Tokens of all devices of a user in a second [auto: 4 times frames_per_s]",
        "1 to 4000000, or auto",
        |config, text| config.limits.user_frames_per_s => or_auto(text, |text| number(text, 1, 4_000_000));
    "user_frames_burst", "N", "Tokens of all devices of a user at once [auto: 4 times frames_burst]",
        "1 to 4000000, or auto",
        |config, text| config.limits.user_frames_burst => or_auto(text, |text| number(text, 1, 4_000_000));
    "user_groups_per_h", "N", "Groups a user may make in an hour, and at once; 0: any number [200]", "0 to 1000000",
        |config, text| config.limits.user_groups_per_h => number(text, 0, 1_000_000);
    "user_directs_per_h", "N", "Conversations a user may begin in an hour, and at once; 0: any number [1000]", "0 to 1000000",
        |config, text| config.limits.user_directs_per_h => number(text, 0, 1_000_000);
    "user_mib_per_h", "MIB", "Messages a user may have stored in an hour, and at once; 0: any number [1024]", "0 to 4095",
        |config, text| config.limits.user_mib_per_h => number(text, 0, 4095);
    "recall_window_s", "SECONDS", "For so long the sender of a text may recall it; owners and admins of a group for ever; 0: for ever [86400]", "0 to 315360000",
        |config, text| config.limits.recall_window_s => number(text, 0, 315_360_000);
    "show_edits", "BOOL", "Operators may read how edited texts read before, with a token of scope all [false]", "true or false",
        |config, text| config.show_edits => text.parse().ok();
    "retention_days", "DAYS", "Messages older than this are purged, where a channel has no retention of its own; 0: kept for ever [0]", "0 to 36500",
        |config, text| config.retention.days => number(text, 0, 36_500);
    "retention_messages", "N", "All but so many of a channel's newest messages are purged, where it has no retention of its own; 0: any number is kept [0]", "0 to 1000000000000",
        |config, text| config.retention.messages => number(text, 0, 1_000_000_000_000);
    "erase_history", "WORD", "What an account's end does with what its user wrote: keep it, under an id that is nobody's any more, or erase it [keep]", "keep or erase",
        |config, text| config.history => match text {
            "keep" => Some(History::Keep),
            "erase" => Some(History::Erase),
            _ => None,
        };
    "presence_grace_ms", "MS", "Others are told that a user is gone so long after its last device [30000]", "0 to 600000",
        |config, text| config.limits.presence_grace_ms => number(text, 0, 600_000);
    "presence_bytes_per_s", "BYTES", "A session is told at most so much of others in a second [1024]", "256 to 1000000",
        |config, text| config.limits.presence_bytes_per_s => number(text, 256, 1_000_000);
    "waiting_mib", "MIB", "What may wait in memory before whoever asks for more is refused [auto: half of the memory]",
        "16 to 1048576, or auto",
        |config, text| config.waiting_bytes => or_auto(text, |text| mib_usize(text, 16, 1 << 20));
    "heartbeat_ms", "MS", "A silent device sends a heartbeat this often [30000]", "1000 to 600000",
        |config, text| config.limits.heartbeat_ms => number(text, 1000, 600_000);
    "egress_bytes", "BYTES", "What may wait for one connection before it falls behind [1048576]",
        "1048576 to 67108864",
        |config, text| config.limits.egress_bytes => number(text, EGRESS_BYTES_MIN, 64 * EGRESS_BYTES_MIN);
    "stalled_ms", "MS", "A connection that reads nothing for so long is closed [60000]", "1000 to 600000",
        |config, text| config.limits.stalled_ms => number(text, 1000, 600_000);
    "idle_users", "N", "Users a shard keeps in memory without a session [65536]", "0 to 10000000",
        |config, text| config.limits.idle_users => number(text, 0, 10_000_000);
    "idle_channels", "N", "Idle channels a shard keeps in memory [16384]", "0 to 10000000",
        |config, text| config.limits.idle_channels => number(text, 0, 10_000_000);
    "signup", "WHO", "Who may sign up: everybody, whoever has an invite, nobody [auto: open if http is on loopback, else closed]",
        "open, invite, closed or auto",
        |config, text| config.signup => or_auto(text, |text| match text {
            "open" => Some(Signup::Open),
            "invite" => Some(Signup::Invite),
            "closed" => Some(Signup::Closed),
            _ => None,
        });
    "user_invites", "N", "Open invites a user may have, each for one person; 0: only the operator invites [0]", "0 to 100",
        |config, text| config.user_invites => number(text, 0, 100);
    "issuers", "FILE", "Identity providers whose tokens let people in, as docs/operations.md has it [none]", "a path, or none",
        |config, text| config.issuers => match text {
            "" => None,
            "none" => Some(None),
            path => Some(Some(PathBuf::from(path))),
        };
    "words", "FILE", "A list of words, one a line, of which texts are looked at; SIGHUP reads the file again [none]", "a path, or none",
        |config, text| config.words => match text {
            "" => None,
            "none" => Some(None),
            path => Some(Some(PathBuf::from(path))),
        };
    "words_action", "WHAT", "What becomes of a text that holds one: it is refused, or sent and reported to operators [refuse]", "refuse or report",
        |config, text| config.limits.words => match text {
            "refuse" => Some(WordAction::Refuse),
            "report" => Some(WordAction::Report),
            _ => None,
        };
    "push_contact", "URL", "Whom a push service may write to when pushes of this server trouble it; some take none without [none]", "mailto:NAME@HOST or https://..., or none",
        |config, text| config.push_contact => or_none(text, |text| {
            let is_one = text.starts_with("mailto:") && text.contains('@') || text.starts_with("https://");
            (is_one && text.len() <= 256).then(|| text.to_owned())
        });
    "push_allow", "LIST", "Hosts on private addresses that pushes may go to, also without TLS, as HOST or HOST:PORT [none]", "hosts behind commas, or none",
        |config, text| config.push_allow => match text {
            "none" => Some(Vec::new()),
            hosts => hosts.split(',').map(str::trim).map(|host| (!host.is_empty() && !host.contains('/')).then(|| host.to_owned())).collect(),
        };
    "push_withdraw", "BOOL", "Apps and webhooks are told when what a push shows was read elsewhere [true]", "true or false",
        |config, text| config.push_withdraw => text.parse().ok();
    "push_fcm", "FILE", "Key file of the service account by which apps on Android are told; env:NAME takes its text from that variable [none]", "a path, env:NAME without MARU_, or none",
        |config, text| config.push_accounts.fcm => or_none(text, Secret::parse);
    "push_fcm_url", "URL", "Where FCM is [https://fcm.googleapis.com]", "https://HOST[:PORT], or http:// to this machine",
        |config, text| config.push_accounts.fcm_url => own_url(text);
    "push_apns_key", "FILE", "Key of Apple's (.p8) by which apps on iOS are told; env:NAME takes its text from that variable [none]", "a path, env:NAME without MARU_, or none",
        |config, text| config.push_accounts.apns_key => or_none(text, Secret::parse);
    "push_apns_key_id", "ID", "Its name at Apple [none]", "ten letters and digits, or none",
        |config, text| config.push_accounts.apns_key_id => or_none(text, apple_id);
    "push_apns_team_id", "ID", "Name of the team at Apple [none]", "ten letters and digits, or none",
        |config, text| config.push_accounts.apns_team_id => or_none(text, apple_id);
    "push_apns_topic", "ID", "Bundle id of the app [none]", "letters, digits, dots and dashes, or none",
        |config, text| config.push_accounts.apns_topic => or_none(text, |text| {
            let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
            ((1..=155).contains(&text.len()) && text.bytes().all(is_good)).then(|| text.to_owned())
        });
    "push_apns_url", "URL", "Where APNs is; apps that are not of the store are at https://api.sandbox.push.apple.com [https://api.push.apple.com]", "https://HOST[:PORT], or http:// to this machine",
        |config, text| config.push_accounts.apns_url => own_url(text);
    "user_bots", "N", "Bots a user may have; 0: only the operator makes bots [5]", "0 to 1000",
        |config, text| config.user_bots => number(text, 0, 1000);
    "bot_tokens", "N", "Tokens a bot may have, each a device of it [8]", "1 to 16",
        |config, text| config.bot_tokens => number(text, 1, 16);
    "token_s", "SECONDS", "How long an access token is valid; a refresh token gets the next [3600]", "10 to 31536000",
        |config, text| config.token_ms => seconds(text, 10, 31_536_000);
    "refresh_s", "SECONDS", "A device that renews nothing for so long has to log in again [7776000]", "60 to 315360000",
        |config, text| config.lifetimes.refresh_ms => seconds(text, 60, 315_360_000);
    "login_s", "SECONDS", "A login lasts so long at most, however often it is renewed [31536000]", "60 to 315360000",
        |config, text| config.lifetimes.login_ms => seconds(text, 60, 315_360_000);
    "hello_timeout_ms", "MS", "A connection must say Hello within so long [10000]", "100 to 600000",
        |config, text| config.hello_timeout_ms => number(text, 100, 600_000);
    "space_reserve_mib", "MIB", "Whatever writes is refused below so much free disk [auto: 5 %, at most 1024, but what the store needs]",
        "16 to 1048576, or auto",
        |config, text| config.space_reserve_bytes => or_auto(text, |text| mib(text, 16, 1 << 20));
    "cache_mib", "MIB", "Block cache [256]", "8 to 1048576",
        |config, text| config.cache_bytes => mib_usize(text, 8, 1 << 20);
    "memtable_mib", "MIB", "Memtables [256]", "8 to 1048576",
        |config, text| config.memtable_bytes => mib_usize(text, 8, 1 << 20);
    "wal_mib", "MIB", "Write-ahead log; recovery reads some 25 MiB a second [128]", "8 to 1048576",
        |config, text| config.wal_bytes => mib(text, 8, 1 << 20);
    "own_family_messages", "N", "A channel of so many messages gets a RocksDB family of its own, while fewer than 64 have one; 1: every channel; none: by command alone [none]",
        "1 to 1000000000000, or none",
        |config, text| config.own_family_messages => or_none(text, |text| number(text, 1, 1_000_000_000_000));
    "search", "BOOL", "Messages are found by their words: an index in data/search follows what is stored; it is made again if it is removed [true]", "true or false",
        |config, text| config.search => text.parse().ok();
    "log", "LEVEL", "What is logged to stderr; SIGHUP reads it again [info]", "off, error, warn, info, debug or trace",
        |config, text| config.log => match text {
            "off" | "error" | "warn" | "info" | "debug" | "trace" => text.parse().ok(),
            _ => None,
        };
    "log_format", "FORMAT", "Lines for people, or an object of JSON a line [text]", "text or json",
        |config, text| config.log_format => match text {
            "text" => Some(Format::Text),
            "json" => Some(Format::Json),
            _ => None,
        };
    "audit", "BOOL", "Who did what with accounts and operators' routes is logged, whatever log says; SIGHUP reads it again [true]", "true or false",
        |config, text| config.audit => text.parse().ok();
    "trace_endpoint", "URL", "A collector of OpenTelemetry that takes traces of messages, OTLP over HTTP [none]",
        "http://HOST[:PORT][/PATH], or none",
        |config, text| config.trace_endpoint => match text {
            "none" => Some(None),
            url => Endpoint::parse(url).map(Some),
        };
    "trace_sample", "N", "One message in so many is traced, where there is a collector [65536]", "64 to 1073741824, a multiple of 64",
        |config, text| config.trace_sample => number(text, SAMPLED_ONE_IN, 1 << 30).filter(|n| n.is_multiple_of(SAMPLED_ONE_IN));
    "core_dumps", "BOOL", "A crash may leave a core dump, with keys and messages in it [false]", "true or false",
        |config, text| config.core_dumps => text.parse().ok();
}
