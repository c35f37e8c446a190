//! Where settings come from, and the refusal of what is wrong with one.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::Config;
use super::settings::{SETTINGS, Setting};

/// Largest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// The variable that names the file when the flag does not.
const FILE_VARIABLE: &str = "MARU_CONFIG";
/// Beginning of variables that are not settings: passwords that a person keeps in the environment.
const PASSWORD: &str = "MARU_PASSWORD";

/// The setting whose value may hold a password, and what is shown in its place.
const SECRET: &str = "database";
const HIDDEN: &str = "something else (not shown: it may hold a password)";

/// Where a value was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A flag on the command line.
    Flag,
    /// An environment variable.
    Environment,
    /// The configuration file.
    File(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("the command line"),
            Self::Environment => f.write_str("the environment"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What is wrong with the configuration: the operator's to mend.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no such setting.
    #[error("{key} (in {place}) is not a setting; {hint}", place = .origin)]
    Key {
        /// As it was written.
        key: String,
        /// Where.
        origin: Source,
        /// The nearest one, or all.
        hint: String,
    },
    /// A value out of its bounds.
    #[error("{key} (in {place}) is {found:?}; must be {allowed}", place = .origin)]
    Value {
        /// As it was written.
        key: String,
        /// Where.
        origin: Source,
        /// What was found.
        found: String,
        /// What would do.
        allowed: String,
    },
    /// A setting's variable that somebody else has set.
    #[error(
        "{key} (in the environment) is {found:?}: Kubernetes and Docker set such for a service of that name; rename the service, or \
         set enableServiceLinks: false in the pod"
    )]
    Service {
        /// The variable.
        key: String,
        /// What was found.
        found: String,
    },
    /// A port that others could read along on.
    #[error(
        "{key} is {address}, not a loopback address, and TLS is off: passwords and messages would cross the network in clear \
         text; set tls_cert and tls_key, or listen on 127.0.0.1 behind a proxy that speaks TLS, or set insecure = true"
    )]
    ClearText {
        /// The setting.
        key: &'static str,
        /// Its value.
        address: SocketAddr,
    },
    /// The file of issuers cannot be read, or does not hold what it should.
    #[error("the file of issuers {path}: {fault}", path = .path.display())]
    Issuers {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
    /// The file cannot be read, or is not TOML.
    #[error("the configuration file {path}: {fault}", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
}

/// Reads all layers. `flags` are (setting's name, value); `file` overrides the variable that names one.
///
/// # Errors
/// The first [`ConfigError`]: the file's, then the environment's, then the flags'.
pub fn load(
    flags: &[(String, String)],
    environment: impl IntoIterator<Item = (String, String)>,
    file: Option<&Path>,
) -> Result<Config, ConfigError> {
    let environment: Vec<(String, String)> = environment.into_iter().collect();
    let mut config = Config::default();
    if let Some(path) = self::file(&environment, file) {
        from_file(&mut config, &path)?;
    }
    let mut variables: Vec<&(String, String)> =
        environment.iter().filter(|(key, found)| is_ours(key, found) && key != FILE_VARIABLE).collect();
    variables.sort();
    for (key, found) in variables {
        if is_address_of_a_service(found) {
            return Err(ConfigError::Service { key: key.clone(), found: found.clone() });
        }
        let setting = SETTINGS.iter().find(|setting| setting.variable() == *key);
        apply(&mut config, setting, key, found, &Source::Environment)?;
    }
    for (name, found) in flags {
        let setting = SETTINGS.iter().find(|setting| setting.name == name);
        let key = format!("--{}", name.replace('_', "-"));
        apply(&mut config, setting, &key, found, &Source::Flag)?;
    }
    Ok(config)
}

/// The configuration file: the flag's, else the variable's.
#[must_use]
pub fn file(environment: &[(String, String)], flag: Option<&Path>) -> Option<PathBuf> {
    let named = environment.iter().find(|(key, _)| key == FILE_VARIABLE).map(|(_, path)| path);
    flag.map(Path::to_owned).or_else(|| named.map(PathBuf::from))
}

/// The process's environment, without what is not text: no setting is anything else.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
}

fn is_ours(variable: &str, found: &str) -> bool {
    let is_setting = || SETTINGS.iter().any(|setting| setting.variable() == variable);
    variable.starts_with("MARU_")
        && !variable.starts_with(PASSWORD)
        && (is_setting() || !is_of_a_service(variable, found))
}

/// What Kubernetes, and Docker for its links, set in every container beside a service whose name begins with `maru`, such as
/// `maru` or `maru-chat`: NAME_SERVICE_HOST, NAME_SERVICE_PORT[_WORD], NAME_PORT=tcp://..., NAME_PORT_80_TCP[_ADDR|_PORT|_PROTO],
/// and of Docker NAME_NAME=/one/other and NAME_ENV_WORD.
fn is_of_a_service(variable: &str, found: &str) -> bool {
    let ends = |end: &str| variable.ends_with(end);
    ends("_SERVICE_HOST")
        || ends("_SERVICE_PORT")
        || variable.contains("_SERVICE_PORT_")
        || (ends("_PORT") && is_address_of_a_service(found))
        || (ends("_NAME") && found.starts_with('/'))
        || variable.contains("_ENV_")
        || variable.split("_PORT_").skip(1).any(is_port_of_a_service)
}

/// `8080_TCP`, `8080_UDP_ADDR` and the like.
fn is_port_of_a_service(rest: &str) -> bool {
    let (number, kind) = rest.split_once('_').unwrap_or((rest, ""));
    let (protocol, part) = kind.split_once('_').unwrap_or((kind, "ADDR"));
    number.parse::<u16>().is_ok()
        && ["TCP", "UDP", "SCTP"].contains(&protocol)
        && ["ADDR", "PORT", "PROTO"].contains(&part)
}

fn is_address_of_a_service(found: &str) -> bool {
    ["tcp://", "udp://", "sctp://"].iter().any(|begin| found.starts_with(begin))
}

/// What a file says, as text and unchecked.
///
/// # Errors
/// [`ConfigError`]
pub fn written(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut said = BTreeMap::new();
    each_in_file(path, |_, key, found| {
        said.insert(key.to_owned(), found.to_owned());
        Ok(())
    })?;
    Ok(said)
}

fn from_file(config: &mut Config, path: &Path) -> Result<(), ConfigError> {
    let origin = Source::File(path.to_owned());
    each_in_file(path, |setting, key, found| apply(config, setting, key, found, &origin))
}

fn each_in_file(
    path: &Path,
    mut take: impl FnMut(Option<&Setting>, &str, &str) -> Result<(), ConfigError>,
) -> Result<(), ConfigError> {
    let refuse = |fault: String| ConfigError::File { path: path.to_owned(), fault };
    let text = small_text(path).map_err(refuse)?;
    let table: toml::Table = text.parse().map_err(|error| refuse(toml_fault(&text, &error)))?;
    for (key, value) in &table {
        let setting = SETTINGS.iter().find(|setting| setting.name == key);
        let found = match (value, setting) {
            (toml::Value::String(text), _) => text.clone(),
            (toml::Value::Integer(number), _) => number.to_string(),
            // Refused with its own words: no setting is a table, a list, a date or a fraction.
            (other, _) => other.to_string(),
        };
        take(setting, key, &found)?;
    }
    Ok(())
}

/// The text of a file of at most [`FILE_BYTES_MAX`].
pub(super) fn small_text(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("{size} bytes; at most {FILE_BYTES_MAX} are allowed"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// In words and with the line's number, not with the line: there may be a password in it.
pub(super) fn toml_fault(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: {}", before.matches('\n').count() + 1, error.message())
}

fn apply(
    config: &mut Config,
    setting: Option<&Setting>,
    key: &str,
    found: &str,
    origin: &Source,
) -> Result<(), ConfigError> {
    let Some(setting) = setting else {
        return Err(ConfigError::Key {
            key: key.to_owned(),
            origin: origin.clone(),
            hint: hint(key, origin),
        });
    };
    (setting.set)(config, found.trim()).ok_or_else(|| ConfigError::Value {
        key: key.to_owned(),
        origin: origin.clone(),
        found: if setting.name == SECRET { HIDDEN.to_owned() } else { found.to_owned() },
        allowed: setting.allowed.to_owned(),
    })
}

/// Settings of earlier versions, and what became of them.
const GONE: &[(&str, &str)] = &[(
    "stores",
    "this setting is gone, leave it out: a node has one store since format 2 of the data directory",
)];

/// The setting that was most likely meant, or the list of all.
fn hint(key: &str, origin: &Source) -> String {
    let plain = key.trim_start_matches("MARU_").trim_start_matches("--").to_lowercase();
    if let Some((_, what)) = GONE.iter().find(|(name, _)| *name == plain) {
        return (*what).to_owned();
    }
    let spell = |setting: &Setting| match origin {
        Source::Environment => setting.variable(),
        Source::Flag => format!("--{}", setting.flag()),
        Source::File(_) => setting.name.to_owned(),
    };
    let near = SETTINGS.iter().map(spell).map(|name| (strsim::levenshtein(&name, key), name)).min();
    if let Some((changes, name)) = near
        && changes <= 3
    {
        return format!("did you mean {name}?");
    }
    let all: Vec<String> = SETTINGS.iter().map(spell).collect();
    format!("the settings are {}", all.join(", "))
}

#[cfg(test)]
mod tests;
