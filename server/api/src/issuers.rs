//! Issuers of JWTs whose people may come in, as an operator names them in a file, and the rules of each.
//!
//! An issuer has one source of keys. With a shared secret its algorithm is HS256 and nothing else; with public keys it is
//! never HS256. So no token can have a public key taken for a secret.

mod fetch;
mod metrics;
mod remote;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls::ClientConfig;
use serde::Deserialize;
use tokio::sync::Notify;

use self::remote::{At, Pace, Remote};
use crate::jwt::claims::{Named, Rules};
use crate::jwt::fault::{Fault, Reason};
use crate::jwt::key::{Checked, SECRET_BYTES_MIN, Secret};
use crate::jwt::{Algorithm, KeySet, Token};
use crate::private_file;

/// Most issuers.
pub const ISSUERS_MAX: usize = 64;
/// Most audiences of one.
const AUDIENCES_MAX: usize = 16;
/// Most bytes of an issuer's name, of an audience and of a claim's name.
const NAME_BYTES_MAX: usize = 255;

/// What the file of issuers holds.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct IssuersFile {
    /// Each of them.
    #[serde(default)]
    issuer: Vec<Wanted>,
}

/// One issuer as the file has it.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Wanted {
    issuer: String,
    audiences: Vec<String>,
    algorithms: Vec<String>,
    #[serde(default)]
    discovery: bool,
    jwks_url: Option<String>,
    jwks_file: Option<PathBuf>,
    secret_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    create: Create,
    #[serde(default = "subject_claim")]
    subject_claim: String,
    #[serde(default = "name_claim")]
    name_claim: String,
    #[serde(default = "display_name_claim")]
    display_name_claim: String,
    #[serde(default = "leeway_s")]
    leeway_s: u64,
    #[serde(default = "day_s")]
    token_s_max: u64,
    #[serde(default = "refresh_s")]
    refresh_s: u64,
    #[serde(default = "day_s")]
    stale_s: u64,
    #[serde(default = "again_s")]
    again_s: u64,
}

/// Who is let in.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Debug)]
#[serde(rename_all = "snake_case")]
enum Create {
    /// Whoever an operator has linked to an account.
    Never,
    /// Everybody whom the issuer names: an account is made for each.
    OnFirstSight,
}

fn subject_claim() -> String {
    "sub".into()
}

fn name_claim() -> String {
    "preferred_username".into()
}

fn display_name_claim() -> String {
    "name".into()
}

fn leeway_s() -> u64 {
    60
}

fn day_s() -> u64 {
    86_400
}

fn refresh_s() -> u64 {
    3600
}

fn again_s() -> u64 {
    10
}

/// Gives the TLS client for the authorities in a file, or for those of the system.
pub type Trusting<'a> = &'a dyn Fn(Option<&Path>) -> Result<Arc<ClientConfig>, String>;

/// All issuers of a server. Cheap to clone; all clones change together.
#[derive(Clone, Default)]
pub struct Issuers(Arc<Inner>);

#[derive(Default)]
struct Inner {
    now: RwLock<Arc<[Arc<Issuer>]>>,
    /// Others have taken their place.
    changed: Notify,
}

impl fmt::Debug for Issuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.now().iter().map(|issuer| &issuer.name)).finish()
    }
}

/// One of them.
pub(crate) struct Issuer {
    pub(crate) name: String,
    algorithms: Vec<Algorithm>,
    source: Source,
    rules: Rules,
    pub(crate) creates: bool,
    pub(crate) name_claim: String,
    pub(crate) display_name_claim: String,
    taken: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

enum Source {
    Secret(Secret),
    Fixed(KeySet),
    Remote(Arc<Remote>),
}

impl Issuers {
    /// Checks what a file holds and reads the files that it names.
    ///
    /// # Errors
    /// Words for the operator: which issuer, what was found, what was expected.
    pub fn new(file: IssuersFile, trusting: Trusting<'_>) -> Result<Self, String> {
        if file.issuer.len() > ISSUERS_MAX {
            return Err(format!("{} issuers; at most {ISSUERS_MAX} are allowed", file.issuer.len()));
        }
        let mut issuers: Vec<Arc<Issuer>> = Vec::new();
        for wanted in file.issuer {
            let name = wanted.issuer.clone();
            if issuers.iter().any(|issuer| issuer.name == name) {
                return Err(format!("issuer {name:?} is there twice"));
            }
            let issuer = wanted.check(trusting).map_err(|fault| format!("issuer {name:?}: {fault}"))?;
            issuers.push(Arc::new(issuer));
        }
        Ok(Self(Arc::new(Inner { now: RwLock::new(issuers.into()), changed: Notify::new() })))
    }

    /// Those of now.
    fn now(&self) -> Arc<[Arc<Issuer>]> {
        self.0.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// These take the place of those of now. Whoever is logged in stays; what was counted of an issuer that stays is kept, its keys
    /// are fetched again.
    pub fn replace(&self, by: &Self) {
        let (old, new) = (self.now(), by.now());
        for issuer in new.iter() {
            if let Some(before) = old.iter().find(|before| before.name == issuer.name) {
                issuer.count_as(before);
            }
        }
        *self.0.now.write().unwrap_or_else(PoisonError::into_inner) = new;
        self.0.changed.notify_one();
    }

    /// Their names, in the order of the file.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.now().iter().map(|issuer| issuer.name.clone()).collect()
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.now().is_empty()
    }

    /// The issuer of a token.
    pub(crate) fn of(&self, token: &Token<'_>) -> Result<Arc<Issuer>, Fault> {
        let name = token.issuer()?;
        let found = self.now().iter().find(|issuer| issuer.name == name).cloned();
        let words = || format!("nobody is let in by {:?} here", crate::jwt::shortened(name));
        found.ok_or_else(|| Fault::new(Reason::Issuer, words()))
    }

    /// Keeps every set of keys fresh. Never ends.
    pub(crate) async fn keep_fresh(self) {
        loop {
            let mut tasks = tokio::task::JoinSet::new();
            for issuer in self.now().iter() {
                if let Source::Remote(remote) = &issuer.source {
                    tasks.spawn(remote.clone().keep_fresh());
                }
            }
            // The tasks of those that are gone end with their set.
            self.0.changed.notified().await;
        }
    }
}

impl Issuer {
    /// Whom a token names, if it is this issuer's and says all that it has to.
    pub(crate) async fn verify(&self, token: &Token<'_>, now_ms: u64) -> Result<Named, Fault> {
        if !self.algorithms.contains(&token.algorithm) {
            let allowed: Vec<_> = self.algorithms.iter().map(|algorithm| algorithm.word()).collect();
            let words = format_args!(
                "its \"alg\" is {}; this issuer's tokens are signed with {}",
                token.algorithm.word(),
                allowed.join(" or ")
            );
            return Err(Fault::new(Reason::Algorithm, words));
        }
        let forged = || Fault::new(Reason::Forged, "the signature does not fit");
        match &self.source {
            Source::Secret(secret) if secret.verifies(token) => {}
            Source::Secret(_) => return Err(forged()),
            Source::Fixed(keys) => match keys.check(token) {
                Checked::Good => {}
                Checked::Forged => return Err(forged()),
                Checked::NoKey => {
                    let words = "it is signed with a key that is not in the issuer's file";
                    return Err(Fault::new(Reason::UnknownKey, words));
                }
            },
            Source::Remote(remote) => remote.check(token).await?,
        }
        self.rules.check(&token.claims, now_ms)
    }

    /// What was counted of another of this name is counted of this one.
    fn count_as(&self, before: &Self) {
        self.taken.store(before.taken.load(Ordering::Relaxed), Ordering::Relaxed);
        let counted = before.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = counted;
    }

    /// A token was good.
    pub(crate) fn count_taken(&self) {
        self.taken.fetch_add(1, Ordering::Relaxed);
    }

    /// A token was not.
    pub(crate) fn count_refused(&self, reason: Reason) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(reason.code()).or_default() += 1;
    }
}

impl Wanted {
    fn check(self, trusting: Trusting<'_>) -> Result<Issuer, String> {
        // It stands in metrics as it is.
        if !is_name(&self.issuer) || self.issuer.contains(['"', '\\']) {
            return Err(format!(
                "its name must be 1 to {NAME_BYTES_MAX} printable characters without \" and \\"
            ));
        }
        let (count, bound) = (self.audiences.len(), 1..=AUDIENCES_MAX);
        if !bound.contains(&count) || !self.audiences.iter().all(|audience| is_name(audience)) {
            return Err(format!(
                "audiences: {count}; must be 1 to {AUDIENCES_MAX} texts, one of which a token names"
            ));
        }
        for (key, claim) in [
            ("subject_claim", &self.subject_claim),
            ("name_claim", &self.name_claim),
            ("display_name_claim", &self.display_name_claim),
        ] {
            if !is_name(claim) {
                return Err(format!("{key} is {claim:?}; must be the name of a claim"));
            }
        }
        for (key, found, least, most) in [
            ("leeway_s", self.leeway_s, 0, 300),
            ("token_s_max", self.token_s_max, 60, 2_592_000),
            ("refresh_s", self.refresh_s, 60, 86_400),
            ("stale_s", self.stale_s, self.refresh_s, 604_800),
            ("again_s", self.again_s, 1, 300),
        ] {
            if !(least..=most).contains(&found) {
                return Err(format!("{key} is {found}; must be {least} to {most}"));
            }
        }
        let algorithms = self.algorithms()?;
        Ok(Issuer {
            source: self.source(trusting)?,
            name: self.issuer,
            algorithms,
            rules: Rules {
                audiences: self.audiences,
                subject: self.subject_claim,
                leeway_ms: self.leeway_s * 1000,
                life_ms: self.token_s_max * 1000,
            },
            creates: self.create == Create::OnFirstSight,
            name_claim: self.name_claim,
            display_name_claim: self.display_name_claim,
            taken: AtomicU64::new(0),
            refused: Mutex::default(),
        })
    }

    fn algorithms(&self) -> Result<Vec<Algorithm>, String> {
        let named = |word: &String| {
            Algorithm::named(word)
                .ok_or_else(|| format!("algorithms: {word:?}; known are HS256, RS256, ES256 and EdDSA"))
        };
        let algorithms = self.algorithms.iter().map(named).collect::<Result<Vec<_>, _>>()?;
        let is_shared = self.secret_file.is_some();
        if algorithms.is_empty() {
            return Err("algorithms: none; name those that the issuer signs with".to_owned());
        }
        if algorithms.iter().any(|algorithm| (*algorithm == Algorithm::Hs256) != is_shared) {
            return Err("algorithms: HS256 goes with secret_file and nothing else, the others never with it"
                .to_owned());
        }
        Ok(algorithms)
    }

    fn source(&self, trusting: Trusting<'_>) -> Result<Source, String> {
        let remote = |at: At| {
            let ca_file = self.ca_file.as_deref();
            let tls = if at.url().is_secure() { Some(trusting(ca_file)?) } else { None };
            let pace = Pace {
                refresh: Duration::from_secs(self.refresh_s),
                stale: Duration::from_secs(self.stale_s),
                again: Duration::from_secs(self.again_s),
            };
            Ok(Source::Remote(Arc::new(Remote::new(&self.issuer, at, tls, pace))))
        };
        match (self.discovery, &self.jwks_url, &self.jwks_file, &self.secret_file) {
            (true, None, None, None) => remote(At::discovered(&self.issuer)?),
            (false, Some(url), None, None) => remote(At::Url(fetch::Url::parse(url)?)),
            (false, None, Some(path), None) => {
                let bytes = small_file(path)?;
                let keys = KeySet::parse(&bytes).map_err(|fault| format!("{}: {fault}", path.display()))?;
                Ok(Source::Fixed(keys))
            }
            (false, None, None, Some(path)) => {
                let text = private_file::read(path).map_err(|error| error.to_string())?;
                let secret = text.strip_suffix('\n').unwrap_or(&text);
                let secret = secret.strip_suffix('\r').unwrap_or(secret);
                let short = || format!("{}: shorter than {SECRET_BYTES_MIN} bytes", path.display());
                Secret::new(secret.as_bytes()).map(Source::Secret).ok_or_else(short)
            }
            _ => {
                Err("its keys: expected one of discovery = true, jwks_url, jwks_file and secret_file"
                    .to_owned())
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn small_file(path: &Path) -> Result<Vec<u8>, String> {
    let io = |error: std::io::Error| format!("{}: {error}", path.display());
    let bytes = std::fs::metadata(path).map_err(io)?.len();
    if bytes > fetch::DOCUMENT_BYTES_MAX as u64 {
        let most = fetch::DOCUMENT_BYTES_MAX;
        return Err(format!("{}: {bytes} bytes; at most {most} are read", path.display()));
    }
    std::fs::read(path).map_err(io)
}

#[cfg(test)]
mod tests;
