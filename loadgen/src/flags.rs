//! The command line.

use std::io::IsTerminal;
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use client::trust::Trust;

use crate::clock::now_ns;
use crate::link::{Dialect, Place, Secured};
use crate::progress::Progress;
use crate::report::{self, Report, table};
use crate::run::{self, Order};
use crate::scenario::Scenario;
use crate::signals::Signals;
use crate::{PARTIAL, VOID, accounts, scrape, users};

/// Load for a Maru server, honest about what it measures, and proof that every message arrived.
#[derive(Parser, Debug)]
#[command(name = "maru-load", version, after_help = AFTER)]
pub(crate) struct Line {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const AFTER: &str = "\
Exit codes: 0 fine; 1 delivery was broken or the run could not be made; 3 VOID, the tool was the bottleneck; \
4 PARTIAL, the run ended early. Users: --admin-token-file DATA/admin.token makes them on a running server; or \
`maru admin create-users --data DATA --count N --tokens FILE` on a stopped one, and FILE goes to --users.";

#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    #[command(flatten)]
    BuiltIn(BuiltIn),
    /// Run a scenario of your own, a TOML file; --print-scenario of a built-in one gives you one to begin with.
    Run {
        /// The scenario.
        file: PathBuf,
        #[command(flatten)]
        flags: Box<RunFlags>,
    },
    /// Find the highest rate at which a scenario keeps a p99, or half of the rate at which the server is busy.
    Sweep(Box<crate::sweep::Flags>),
    /// Say whether B differs from A by more than the noise.
    Compare(crate::compare::Flags),
    /// What the coordinator starts.
    #[command(hide = true)]
    Worker,
}

#[derive(Subcommand, Debug)]
pub(crate) enum BuiltIn {
    /// Open connections, evenly (--connect-rate R) or as a storm (--connect-rate 0), and hold them.
    Connect(Box<RunFlags>),
    /// Authenticated connections that only send heartbeats.
    Idle(Box<RunFlags>),
    /// Pairs that talk to each other.
    Direct(Box<RunFlags>),
    /// Groups in which some members talk.
    Group(Box<RunFlags>),
    /// One large channel: many members, of whom some are there and one talks.
    Large(Box<RunFlags>),
    /// Devices go away while messages come, return and catch up.
    Resume(Box<RunFlags>),
    /// Connections break and come back at once, all the time.
    Churn(Box<RunFlags>),
    /// Most devices drop at once and return, while the others go on talking.
    Storm(Box<RunFlags>),
    /// Devices watch others, and are left alone and come back, while some of them talk.
    Presence(Box<RunFlags>),
    /// A day in small: idle, pairs, groups, cuts, Korean text and the 100,000-character tail.
    Mixed(Box<RunFlags>),
}

impl BuiltIn {
    pub(crate) fn parts(&self) -> (&'static str, &RunFlags) {
        match self {
            Self::Connect(flags) => ("connect", flags),
            Self::Idle(flags) => ("idle", flags),
            Self::Direct(flags) => ("direct", flags),
            Self::Group(flags) => ("group", flags),
            Self::Large(flags) => ("large", flags),
            Self::Resume(flags) => ("resume", flags),
            Self::Churn(flags) => ("churn", flags),
            Self::Storm(flags) => ("storm", flags),
            Self::Presence(flags) => ("presence", flags),
            Self::Mixed(flags) => ("mixed", flags),
        }
    }
}

/// What every run takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct RunFlags {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) keys: Keys,
    /// Report as JSON, for `compare` and other programs.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Report as one HTML page.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Delivery latencies as an HdrHistogram interval log.
    #[arg(long, value_name = "FILE")]
    hlog: Option<PathBuf>,
    /// Print the scenario as TOML and do nothing.
    #[arg(long)]
    print_scenario: bool,
}

const NO_USERS: &str = "users are missing: --admin-token-file DATA/admin.token makes them on a running server; --users \
FILE reads what `maru admin create-users --data DATA --count N --tokens FILE` made on a stopped one";

/// The server, the users, and how to look at them.
#[derive(Args, Clone, Debug)]
pub(crate) struct Target {
    /// The server's chat port, as `maru ready ... ws=` says it.
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:8081/ws")]
    server: String,
    /// SHA-256 of the certificate of a server that speaks TLS (wss://, https://), as it prints it at its start.
    #[arg(long, value_name = "SHA256", conflicts_with = "ca_file")]
    pin: Option<String>,
    /// Certificates (PEM) of the authorities that may have signed its certificate, in place of the system's.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// How a WebSocket is spoken on: Maru's frames, or the JSON of the ordinary server in benches.
    #[arg(long, value_name = "HOW", default_value = "frames")]
    dialect: Dialect,
    /// The server's control plane, as `maru ready http=` says it: tells QUIC devices their way.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    http: String,
    /// The server's admin listener, as `maru ready ... admin=` says it: makes users, has metrics.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8082")]
    admin: String,
    /// Tokens, one device a line, from `maru admin create-users`.
    #[arg(long, value_name = "FILE", conflicts_with = "admin_token_file")]
    users: Option<PathBuf>,
    /// The server's file admin.token: the tool makes the users that the scenario needs.
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// Prove delivery: every message exactly once and in order at every device that should have it.
    #[arg(long)]
    verify: bool,
    /// Worker processes; as many as descriptors ask for when left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=250))]
    workers: Option<u32>,
    /// Core that the tool is bound to.
    #[arg(long, value_name = "CORE")]
    cpu: Option<usize>,
    /// The server's process: reports what it used.
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// The core that the server is bound to: its interrupts count as the server's.
    #[arg(long, value_name = "CORE", requires = "server_pid")]
    server_core: Option<usize>,
    /// Reads the server's own latencies from its metrics at --admin, before and after the counted part.
    #[arg(long)]
    metrics: bool,
    /// Makes arrivals and texts the same again.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Only the result.
    #[arg(long, short)]
    quiet: bool,
}

/// Keys of the scenario.
#[derive(Args, Clone, Debug)]
pub(crate) struct Keys {
    /// Devices, one user each.
    #[arg(long, value_name = "N")]
    devices: Option<u32>,
    /// Devices of each user: what one sends reaches the others as well.
    #[arg(long, value_name = "N")]
    devices_per_user: Option<u32>,
    /// Seconds that count.
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// Seconds of load before, that do not.
    #[arg(long, value_name = "S")]
    warmup: Option<f64>,
    /// Open loop: messages a second over all senders.
    #[arg(long, value_name = "R", conflicts_with = "depth")]
    rate: Option<f64>,
    /// Open loop: the rate at the end.
    #[arg(long, value_name = "R")]
    ramp_to: Option<f64>,
    /// Open loop: poisson or constant.
    #[arg(long, value_name = "HOW")]
    arrivals: Option<String>,
    /// Closed loop: unacked messages of each sender.
    #[arg(long, value_name = "N")]
    depth: Option<u32>,
    /// Characters of each text, at least 23.
    #[arg(long, value_name = "N")]
    chars: Option<u32>,
    /// Others that each device talks to.
    #[arg(long, value_name = "N")]
    peers: Option<u32>,
    /// Members of a group.
    #[arg(long, value_name = "N")]
    group_size: Option<u32>,
    /// Members of the one group who never connect.
    #[arg(long, value_name = "N")]
    away: Option<u32>,
    /// Members of a group that send.
    #[arg(long, value_name = "N")]
    senders: Option<u32>,
    /// New connections a second; 0 for a storm.
    #[arg(long, value_name = "R")]
    connect_rate: Option<f64>,
    /// Connections that wait for their Welcome at a time.
    #[arg(long, value_name = "N")]
    in_flight: Option<u32>,
    /// How devices connect.
    #[arg(long, value_name = "HOW", value_parser = ["ws", "quic"], conflicts_with = "quic_share")]
    transport: Option<String>,
    /// The share of devices that connect by QUIC, 0 to 1.
    #[arg(long, value_name = "SHARE")]
    quic_share: Option<f64>,
    /// QUIC's first packet does not point to the shard where the user lives.
    #[arg(long)]
    no_hint: bool,
    /// Connections cut a second.
    #[arg(long, value_name = "R")]
    cut_rate: Option<f64>,
    /// Milliseconds that a cut device stays away.
    #[arg(long, value_name = "MS")]
    offline_ms: Option<u64>,
    /// Share of the devices that stop reading in the counted seconds.
    #[arg(long, value_name = "SHARE")]
    stalled: Option<f64>,
    /// Seconds that the server may be gone before the run is given up.
    #[arg(long, value_name = "S")]
    patience: Option<f64>,
    /// Any other key of the scenario, e.g. --set drain_s=60 --set 'cut.roles=["idle"]'.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Keys {
    /// As keys and values of TOML.
    pub(crate) fn pairs(&self) -> Result<Vec<(String, String)>, String> {
        let mut pairs = Vec::new();
        let mut put = |key: &str, value: Option<String>| {
            pairs.extend(value.map(|value| (key.to_owned(), value)));
        };
        let text = |number: Option<f64>| number.map(|number| format!("{number:?}"));
        put("devices", self.devices.map(|n| n.to_string()));
        put("devices_per_user", self.devices_per_user.map(|n| n.to_string()));
        put("seconds", text(self.seconds));
        put("warmup_s", text(self.warmup));
        put("load.rate", text(self.rate.or_else(|| self.depth.map(|_| 0.0))));
        put("load.ramp_to", text(self.ramp_to));
        put("load.arrivals", self.arrivals.as_ref().map(|how| format!("{how:?}")));
        put("load.depth", self.depth.map(|n| n.to_string()));
        put("texts", self.chars.map(|n| format!("[{{ chars = [{n}, {n}] }}]")));
        put("direct.peers", self.peers.map(|n| n.to_string()));
        put("group.size", self.group_size.map(|n| n.to_string()));
        put("group.away", self.away.map(|n| n.to_string()));
        put("group.senders", self.senders.map(|n| n.to_string()));
        put("connect.per_s", text(self.connect_rate));
        put("connect.in_flight", self.in_flight.map(|n| n.to_string()));
        let whole = self.transport.as_ref().map(|how| if how == "quic" { 1.0 } else { 0.0 });
        put("connect.quic_share", text(whole.or(self.quic_share)));
        put("connect.hint", self.no_hint.then(|| "false".into()));
        put("cut.per_s", text(self.cut_rate));
        put("stalled", text(self.stalled));
        put("cut.offline_ms", self.offline_ms.map(|n| n.to_string()));
        put("patience_s", text(self.patience));
        for set in &self.set {
            let (key, value) =
                set.split_once('=').ok_or_else(|| format!("--set {set}: expected KEY=VALUE"))?;
            put(key.trim(), Some(value.trim().to_owned()));
        }
        Ok(pairs)
    }
}

impl RunFlags {
    /// Makes the scenario, runs it, writes what was asked for.
    ///
    /// # Errors
    /// Words.
    pub(crate) fn run(
        &self,
        scenario: impl Fn(&[(String, String)]) -> Result<Scenario, String>,
    ) -> Result<ExitCode, String> {
        let scenario = scenario(&self.keys.pairs()?)?;
        if self.print_scenario {
            print!("{}", toml::to_string(&scenario).map_err(|error| error.to_string())?);
            return Ok(ExitCode::SUCCESS);
        }
        let order = self.target.order(scenario, &Signals::watch()?)?;
        let report = run::run(&order, &mut self.target.progress())?;
        print!("{}", table::table(&report, has_colour()));
        self.write(&report)?;
        Ok(exit_code(&report))
    }

    /// Every file is tried: one that fails takes no other with it.
    fn write(&self, report: &Report) -> Result<(), String> {
        let mut failed = Vec::new();
        if let Some(path) = &self.json {
            let text = serde_json::to_string(report).map_err(|error| error.to_string());
            failed.extend(text.and_then(|text| report::write_whole(path, &text)).err());
        }
        if let Some(path) = &self.html {
            failed.extend(report::write_whole(path, &report::html::page(report)).err());
        }
        if let Some(path) = &self.hlog {
            let text = report::hlog::log(report);
            failed.extend(text.and_then(|text| report::write_whole(path, &text)).err());
        }
        if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
    }
}

impl Target {
    pub(crate) fn progress(&self) -> Progress {
        Progress::new(self.quiet)
    }

    pub(crate) fn order(&self, scenario: Scenario, signals: &Signals) -> Result<Order, String> {
        let each = scenario.devices_per_user;
        let trust =
            Trust::named(self.pin.as_deref(), self.ca_file.as_deref()).map_err(|error| error.to_string())?;
        let mut logins = match (&self.users, &self.admin_token_file) {
            (Some(path), _) => users::read(path)?,
            (None, Some(path)) => {
                let users = scenario.devices / each + scenario.group.away;
                accounts::make(&self.admin, &trust, path, users, each)?
            }
            (None, None) => return Err(NO_USERS.to_owned()),
        };
        let devices = usize::try_from(scenario.devices).unwrap_or(usize::MAX).min(logins.len());
        let mut away: Vec<u64> = logins.split_off(devices).iter().map(|login| login.user).collect();
        away.dedup();
        away.truncate(usize::try_from(scenario.group.away).unwrap_or(usize::MAX));
        if away.len() < scenario.group.away as usize {
            return Err(format!("group.away: {} users more are needed than there are", scenario.group.away));
        }
        users::check_each(&logins, usize::try_from(each).unwrap_or(usize::MAX))?;
        let fingerprint = accounts::find_roads(&self.http, &trust, &mut logins, scenario.connect.quic_share)?;
        Ok(Order {
            scenario,
            command: std::env::args().collect::<Vec<_>>().join(" "),
            place: self.place()?,
            fingerprint,
            logins,
            away,
            verify: self.verify,
            workers: self.workers,
            cpu: self.cpu,
            server_pid: self.server_pid,
            server_core: self.server_core,
            metrics: self.metrics.then(|| scrape::metrics_of(&self.admin, &trust)).transpose()?,
            signals: signals.clone(),
            seed: self.seed.unwrap_or_else(|| now_ns() ^ u64::from(std::process::id()) << 40),
        })
    }
}

impl Target {
    fn place(&self) -> Result<Place, String> {
        let mut place = Place { dialect: self.dialect, ..place(&self.server)? };
        if let Some(secured) = &mut place.tls {
            (secured.pin, secured.ca_file) = (self.pin.clone(), self.ca_file.clone());
        }
        Ok(place)
    }
}

/// Colour is for a terminal whose owner has not said no (no-color.org).
fn has_colour() -> bool {
    let is_dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    std::io::stdout().is_terminal() && !is_dumb && std::env::var_os("NO_COLOR").is_none()
}

pub(crate) fn exit_code(report: &Report) -> ExitCode {
    match report.verdict.word() {
        "ok" => ExitCode::SUCCESS,
        "VOID" => ExitCode::from(VOID),
        "PARTIAL" => ExitCode::from(PARTIAL),
        _ => ExitCode::FAILURE,
    }
}

fn place(url: &str) -> Result<Place, String> {
    let bad = |why: &str| format!("--server {url}: {why}; expected ws://host:port/ws or wss://host:port/ws");
    let secured = url.strip_prefix("wss://");
    let rest = secured.or_else(|| url.strip_prefix("ws://")).ok_or_else(|| bad("not ws:// or wss://"))?;
    let (host, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/ws"),
    };
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => (name, port),
        _ if secured.is_some() => (host, "443"),
        _ => (host, "80"),
    };
    let mut addresses =
        format!("{name}:{port}").to_socket_addrs().map_err(|error| bad(&error.to_string()))?;
    let address = addresses.next().ok_or_else(|| bad("no address"))?;
    // An IPv6 address stands in brackets in a URL, and without them in a certificate.
    let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
    let tls = secured.map(|_| Secured { name, pin: None, ca_file: None });
    Ok(Place { address, host: host.to_owned(), path: path.to_owned(), dialect: Dialect::Frames, tls })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Line::command().debug_assert();
        assert_eq!(place("ws://127.0.0.1:9/ws").unwrap().address.to_string(), "127.0.0.1:9");
        assert_eq!(place("ws://127.0.0.1").unwrap().address.port(), 80);
        assert!(place("ws://127.0.0.1").unwrap().tls.is_none());
        let secured = place("wss://[::1]/ws").unwrap();
        assert_eq!((secured.address.port(), secured.tls.unwrap().name.as_str()), (443, "::1"));
        assert!(place("http://127.0.0.1:9").unwrap_err().contains("ws://"));
    }

    #[test]
    fn flags_become_keys() {
        let line =
            ["maru-load", "mixed", "--users", "u", "--depth", "3", "--chars", "30", "--set", "drain_s=1.5"];
        let Verb::BuiltIn(verb) = Line::try_parse_from(line).unwrap().verb else { panic!() };
        let (name, flags) = verb.parts();
        let scenario = Scenario::built_in(name, &flags.keys.pairs().unwrap()).unwrap();
        assert_eq!((scenario.load.depth, scenario.load.rate, scenario.drain_s), (3, 0.0, 1.5));
        assert_eq!(scenario.texts[0].chars, [30, 30]);
    }
}
