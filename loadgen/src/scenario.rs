//! What a run does, as data: read from TOML, built in or of the user, with single keys set from the command line.

mod built_in;

use serde::{Deserialize, Serialize};
use toml::Value;

pub(crate) use built_in::BUILT_IN;

use protocol::limits::{DEVICES_MAX, GROUP_MEMBERS_MAX, LARGE_MEMBERS_MAX, WATCHED_MAX};

use crate::text::HEAD_CHARS;

/// One run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// For titles.
    pub(crate) name: String,
    /// Devices.
    pub(crate) devices: u32,
    /// Devices of each user.
    #[serde(default = "one_device")]
    pub(crate) devices_per_user: u32,
    /// Load that does not count, before what counts.
    #[serde(default)]
    pub(crate) warmup_s: f64,
    /// Load that counts.
    pub(crate) seconds: f64,
    /// How long acks and deliveries that are missing are waited for at the end.
    #[serde(default = "drain_s")]
    pub(crate) drain_s: f64,
    /// How long the server may be gone before the run is given up.
    #[serde(default = "patience_s")]
    pub(crate) patience_s: f64,
    #[serde(default)]
    pub(crate) connect: Connect,
    #[serde(default)]
    pub(crate) load: Load,
    #[serde(default)]
    pub(crate) roles: Roles,
    #[serde(default)]
    pub(crate) direct: Direct,
    #[serde(default)]
    pub(crate) group: Group,
    #[serde(default)]
    pub(crate) cut: Cut,
    #[serde(default)]
    pub(crate) presence: Friends,
    /// Share of the devices that stop reading in the counted seconds; only such that send nothing.
    #[serde(default)]
    pub(crate) stalled: f64,
    /// Lengths of texts.
    #[serde(default = "texts")]
    pub(crate) texts: Vec<Texts>,
}

/// How connections are opened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Connect {
    /// New connections a second; 0 for as fast as `in_flight` allows, a storm.
    pub(crate) per_s: f64,
    /// Connections that wait for their Welcome at a time, at most.
    pub(crate) in_flight: u32,
    /// The share of devices that connect by QUIC, 0 to 1; the others by WebSocket.
    pub(crate) quic_share: f64,
    /// Whether QUIC's first packet points to the shard where the user lives, as Maru's own clients do.
    pub(crate) hint: bool,
}

/// How messages are sent.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Load {
    /// Messages a second over all senders: an open loop. 0 for a closed loop.
    pub(crate) rate: f64,
    /// The rate at the end, when it is to change evenly over `seconds`; 0 for a fixed one.
    pub(crate) ramp_to: f64,
    /// How an open loop's sends are spaced.
    pub(crate) arrivals: Arrivals,
    /// Closed loop: unacked messages of each sender. 0 together with rate 0 for no messages at all.
    pub(crate) depth: u32,
}

/// Spacing of an open loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Arrivals {
    /// Independent arrivals, as many people make them.
    Poisson,
    /// Even spacing.
    Constant,
}

/// How devices divide into those that only hold a connection, those that talk in pairs, and those in groups. Weights.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Roles {
    pub(crate) idle: f64,
    pub(crate) direct: f64,
    pub(crate) group: f64,
}

/// Pairs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Direct {
    /// Others that each device talks to; a channel each.
    pub(crate) peers: u32,
    /// Whether both sides of a pair send, or only one.
    pub(crate) both: bool,
}

/// Groups.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Group {
    /// Members of each.
    pub(crate) size: u32,
    /// Members of each that send.
    pub(crate) senders: u32,
    /// Members besides who never connect, of the one group of the run.
    pub(crate) away: u32,
}

/// Connections that break on purpose.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Cut {
    /// Connections cut a second, over all devices.
    pub(crate) per_s: f64,
    /// How long a cut device stays away.
    pub(crate) offline_ms: u64,
    /// Up to so much longer, each as long as it likes.
    pub(crate) spread_ms: u64,
    /// Seconds of the counted load at which all cut at once.
    pub(crate) storms_at_s: Vec<f64>,
    /// Whose connections are cut: `idle`, `direct`, `group`.
    pub(crate) roles: Vec<Role>,
}

/// Who watches whom.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Friends {
    /// Others whom each device watches, and who watch it; of the same worker.
    pub(crate) friends: u32,
    /// Devices that are left alone, or not any more, in a second; in turn.
    pub(crate) flips_per_s: f64,
}

/// What a device is there for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    Idle,
    Direct,
    Group,
}

/// One sort of text.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Texts {
    /// Shortest and longest, in characters; every length between is equally likely.
    pub(crate) chars: [u32; 2],
    /// How often, against the others.
    #[serde(default = "one")]
    pub(crate) weight: f64,
    /// What it is written in.
    #[serde(default = "latin")]
    pub(crate) script: Script,
}

/// What a text is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Script {
    /// One byte a character.
    Latin,
    /// Three bytes a character.
    Korean,
}

fn drain_s() -> f64 {
    15.0
}
fn patience_s() -> f64 {
    30.0
}
fn one() -> f64 {
    1.0
}
fn one_device() -> u32 {
    1
}
fn latin() -> Script {
    Script::Latin
}
fn texts() -> Vec<Texts> {
    vec![Texts { chars: [64, 64], weight: 1.0, script: Script::Latin }]
}

impl Default for Connect {
    fn default() -> Self {
        Self { per_s: 2000.0, in_flight: 256, quic_share: 0.0, hint: true }
    }
}
impl Default for Load {
    fn default() -> Self {
        Self { rate: 0.0, ramp_to: 0.0, arrivals: Arrivals::Poisson, depth: 0 }
    }
}
impl Default for Roles {
    fn default() -> Self {
        Self { idle: 1.0, direct: 0.0, group: 0.0 }
    }
}
impl Default for Direct {
    fn default() -> Self {
        Self { peers: 1, both: true }
    }
}
impl Default for Group {
    fn default() -> Self {
        Self { size: 100, senders: 1, away: 0 }
    }
}
impl Default for Cut {
    fn default() -> Self {
        let roles = vec![Role::Idle, Role::Direct, Role::Group];
        Self { per_s: 0.0, offline_ms: 0, spread_ms: 0, storms_at_s: Vec::new(), roles }
    }
}

impl Scenario {
    /// Reads TOML, with `KEY=VALUE` settings (dots between tables) laid over it.
    ///
    /// # Errors
    /// Words that name the key.
    pub(crate) fn parse(text: &str, set: &[(String, String)]) -> Result<Self, String> {
        let mut root: toml::Table = text.parse().map_err(|error| format!("not TOML: {error}"))?;
        for (key, value) in set {
            lay(&mut root, key, value)?;
        }
        let scenario: Self = Value::Table(root).try_into().map_err(|error: toml::de::Error| {
            // The first line has the key; the rest draws the place in a file that may be ours.
            error.message().trim().to_owned()
        })?;
        scenario.check()?;
        Ok(scenario)
    }

    /// A built-in one.
    pub(crate) fn built_in(name: &str, set: &[(String, String)]) -> Result<Self, String> {
        let found = BUILT_IN.iter().find(|built_in| built_in.name == name);
        let built_in = found.ok_or_else(|| format!("there is no scenario {name:?}"))?;
        Self::parse(built_in.toml, set)
    }

    /// Whether anything is sent.
    pub(crate) fn sends(&self) -> bool {
        self.load.rate > 0.0 || self.load.depth > 0
    }

    /// How it is loaded, for people.
    pub(crate) fn loop_words(&self) -> String {
        let Load { rate, ramp_to, arrivals, depth } = self.load;
        if rate > 0.0 {
            let arrivals = if arrivals == Arrivals::Poisson { "Poisson" } else { "evenly spaced" };
            let ramp = if ramp_to > 0.0 { format!(", ramped to {ramp_to}/s") } else { String::new() };
            return format!("open loop, {rate} messages/s {arrivals}{ramp}");
        }
        if depth == 0 { "no messages".into() } else { format!("closed loop, depth {depth} a sender") }
    }

    fn check(&self) -> Result<(), String> {
        let ok = |is: bool, words: &str| if is { Ok(()) } else { Err(words.to_owned()) };
        let is_time = |seconds: f64| (0.0..=1e6).contains(&seconds);
        ok((1..=10_000_000).contains(&self.devices), "devices: must be 1 to 10000000")?;
        let each = self.devices_per_user;
        ok((1..=DEVICES_MAX).contains(&(each as usize)), "devices_per_user: must be 1 to 16")?;
        ok(self.devices.is_multiple_of(each), "devices: not a multiple of devices_per_user")?;
        ok(self.seconds > 0.0 && is_time(self.seconds), "seconds: must be more than 0, at most 1000000")?;
        ok(is_time(self.warmup_s), "warmup_s: allowed are 0 to 1000000")?;
        ok(
            is_time(self.drain_s) && is_time(self.patience_s),
            "drain_s, patience_s: allowed are 0 to 1000000",
        )?;
        ok((0.0..=1e7).contains(&self.connect.per_s), "connect.per_s: allowed are 0 to 10000000")?;
        ok(self.connect.in_flight > 0, "connect.in_flight: must be at least 1")?;
        ok((0.0..=1.0).contains(&self.connect.quic_share), "connect.quic_share: allowed are 0 to 1")?;
        ok((0.0..=1e8).contains(&self.load.rate), "load.rate: allowed are 0 to 100000000")?;
        ok((0.0..=1e8).contains(&self.load.ramp_to), "load.ramp_to: allowed are 0 to 100000000")?;
        ok(
            self.load.ramp_to == 0.0 || self.load.rate > 0.0,
            "load.ramp_to: needs a load.rate to begin with",
        )?;
        ok(self.load.depth <= 8192, "load.depth: allowed are 0 to 8192")?;
        let Roles { idle, direct, group } = self.roles;
        let weights = [idle, direct, group];
        ok(weights.iter().all(|weight| *weight >= 0.0), "roles: a weight is 0 or more")?;
        ok(weights.iter().sum::<f64>() > 0.0, "roles: one weight at least is above 0")?;
        ok(!self.sends() || direct + group > 0.0, "roles: nobody sends, but load asks for messages")?;
        ok(self.direct.peers > 0, "direct.peers: must be at least 1")?;
        let members = u64::from(self.group.size) + u64::from(self.group.away);
        ok(self.group.size >= 2, "group.size: must be at least 2")?;
        ok(members <= LARGE_MEMBERS_MAX as u64, "group.size and group.away: at most 1000000 together")?;
        let is_one = self.group.size >= self.devices / self.devices_per_user.max(1);
        ok(self.group.away == 0 || is_one, "group.away: needs a run of one group, so group.size users")?;
        let is_cut = self.cut.per_s > 0.0 || !self.cut.storms_at_s.is_empty();
        ok(
            !is_cut || members <= GROUP_MEMBERS_MAX as u64,
            "cut: a device of a large channel reads what it missed from the history, which the tool does not",
        )?;
        ok((1..=self.group.size).contains(&self.group.senders), "group.senders: must be 1 to group.size")?;
        ok(self.presence.friends as usize <= WATCHED_MAX, "presence.friends: allowed are 0 to 500")?;
        ok(
            (0.0..=1e7).contains(&self.presence.flips_per_s),
            "presence.flips_per_s: allowed are 0 to 10000000",
        )?;
        ok(self.cut.per_s >= 0.0, "cut.per_s: must be at least 0")?;
        ok((0.0..=1.0).contains(&self.stalled), "stalled: allowed are 0 to 1")?;
        let most_ms = self.cut.offline_ms.max(self.cut.spread_ms);
        ok(most_ms <= 86_400_000, "cut.offline_ms, cut.spread_ms: allowed are 0 to 86400000")?;
        ok(!self.texts.is_empty(), "texts: one at least")?;
        for texts in &self.texts {
            let [least, most] = texts.chars;
            let bounds = HEAD_CHARS as u32..=protocol::limits::TEXT_CHARS_MAX as u32;
            let words = format!("texts.chars: must be {HEAD_CHARS} to 100000, the smaller first");
            ok(least <= most && bounds.contains(&least) && bounds.contains(&most), &words)?;
            ok(texts.weight >= 0.0, "texts.weight: must be at least 0")?;
        }
        ok(self.texts.iter().any(|texts| texts.weight > 0.0), "texts: one weight at least is above 0")
    }
}

/// Sets one key. The value is TOML; what is not is a string.
fn lay(root: &mut toml::Table, key: &str, value: &str) -> Result<(), String> {
    let parsed = format!("v = {value}").parse::<toml::Table>().ok();
    let parsed = parsed.and_then(|mut table| table.remove("v"));
    let mut value = parsed.unwrap_or_else(|| Value::String(value.to_owned()));
    let mut at = root;
    let mut names = key.split('.').peekable();
    while let Some(name) = names.next() {
        if names.peek().is_none() {
            // Whole numbers are fine where a fraction could stand.
            if let (Some(Value::Float(_)), Value::Integer(whole)) = (at.get(name), &value) {
                value = Value::Float(*whole as f64);
            }
            at.insert(name.to_owned(), value);
            return Ok(());
        }
        let inner = at.entry(name).or_insert_with(|| Value::Table(toml::Table::new()));
        at = inner.as_table_mut().ok_or_else(|| format!("{key}: {name} is not a table"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_built_in_is_good() {
        for built_in in BUILT_IN {
            let scenario = Scenario::built_in(built_in.name, &[]).unwrap();
            assert_eq!(scenario.name, built_in.name);
        }
    }

    #[test]
    fn keys_are_set_and_wrong_ones_named() {
        let scenario = Scenario::built_in("direct", &set(&[("devices", "7"), ("load.rate", "10")])).unwrap();
        assert_eq!((scenario.devices, scenario.load.rate), (7, 10.0));
        let scenario = Scenario::built_in("direct", &set(&[("load.arrivals", "constant")])).unwrap();
        assert_eq!(scenario.load.arrivals, Arrivals::Constant);
        for (key, value) in [
            ("load.speed", "3"),
            ("nonsense", "3"),
            ("devices", "0"),
            ("devices", "many"),
            ("load.arrivals", "sometimes"),
            ("name.first", "x"),
            ("group.size", "1"),
            ("group.away", "7"),
            ("group.size", "1000001"),
            ("texts", "[{ chars = [1, 10] }]"),
        ] {
            let error = Scenario::built_in("direct", &set(&[(key, value)])).unwrap_err();
            let last = key.rsplit('.').next().unwrap();
            assert!(
                error.contains(last) || error.contains(value) || error.contains("name"),
                "{key}: {error}"
            );
        }
        assert!(Scenario::parse("devices = ", &[]).unwrap_err().contains("TOML"));
    }
}
