//! Who may look after the server: the one token of `admin.token`, which may do everything, and those of `admin.tokens`, each
//! with a name and a scope.
//!
//! `admin.tokens` is for its owner alone (mode 0600) and holds no token, only their SHA-256: a line of number, scope,
//! milliseconds since the Unix epoch when it was made, hash and name, with tabs between them. `maru admin tokens` writes
//! it; both files are looked at for every request that asks, so what is added counts at once and what is removed no more.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use crate::admin_token::{self, AdminToken};
use crate::private_file::{self, PrivateFileError};

/// Name of the file within the data directory.
const FILE: &str = "admin.tokens";
/// Tokens in it.
pub const TOKENS_MAX: usize = 64;
/// Characters of a token's name.
pub const TOKEN_NAME_CHARS_MAX: usize = 64;

/// What a token opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// `GET /metrics`.
    Metrics,
    /// Users, their devices and tokens.
    Users,
    /// Everything.
    All,
}

impl Scope {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Users => "users",
            Self::All => "all",
        }
    }

    /// Whether one who has this may do what that asks for.
    #[must_use]
    pub fn opens(self, asked: Self) -> bool {
        self == Self::All || self == asked
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = [Self::Metrics, Self::Users, Self::All].into_iter().find(|scope| scope.word() == text);
        found.ok_or_else(|| format!("{text:?} is no scope; must be metrics, users or all"))
    }
}

/// One token, without its secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenRecord {
    /// Which. Never given twice while a later one is there.
    pub number: u32,
    /// What it opens.
    pub scope: Scope,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// Whose or what for.
    pub name: String,
    /// SHA-256, hex.
    hash: String,
}

/// Every token that counts now. Cheap to clone.
#[derive(Clone)]
pub struct AdminTokens(Arc<Files>);

struct Files {
    one: PathBuf,
    many: PathBuf,
    read: Mutex<Read>,
}

/// What was read last, and which file that was.
#[derive(Default)]
struct Read {
    one: (Option<Stamp>, Option<AdminToken>),
    many: (Option<Stamp>, Vec<TokenRecord>),
}

/// A file that was replaced or written has another.
type Stamp = (u64, u64, i64, i64);

impl fmt::Debug for AdminTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminTokens")
    }
}

impl AdminTokens {
    /// Those of a data directory; `admin.token` is made when there is none.
    ///
    /// # Errors
    /// [`PrivateFileError`] when a file cannot be made or read, may be read by others, or holds something else.
    pub fn open_or_create(data: &Path) -> Result<Self, PrivateFileError> {
        AdminToken::open_or_create(data)?;
        let (one, many) = (data.join(admin_token::FILE), data.join(FILE));
        let tokens = Self(Arc::new(Files { one, many, read: Mutex::default() }));
        tokens.refresh(&mut Read::default())?;
        Ok(tokens)
    }

    /// What a token opens, its number, 0 for that of `admin.token`, and its name; `None`: it is none. A file that cannot be read
    /// opens nothing, and the log says why.
    pub(crate) fn holder_of(&self, given: &str) -> Option<(Scope, u32, String)> {
        let mut read = self.0.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.refresh(&mut read) {
            tracing::error!(%error, "tokens of operators cannot be read");
        }
        if read.one.1.as_ref().is_some_and(|token| token.is(given)) {
            return Some((Scope::All, 0, admin_token::FILE.to_owned()));
        }
        let hash = hash(given);
        let record = read.many.1.iter().find(|record| record.hash == hash);
        record.map(|record| (record.scope, record.number, record.name.clone()))
    }

    fn refresh(&self, read: &mut Read) -> Result<(), PrivateFileError> {
        let one = refreshed(&self.0.one, &mut read.one, |path| AdminToken::open(path).map(Some));
        let many = refreshed(&self.0.many, &mut read.many, parse_file);
        one.and(many)
    }
}

/// Reads a file again if it is another one than before. What cannot be read is nothing.
fn refreshed<T: Default>(
    path: &Path,
    kept: &mut (Option<Stamp>, T),
    read: impl FnOnce(&Path) -> Result<T, PrivateFileError>,
) -> Result<(), PrivateFileError> {
    let stamp = fs::metadata(path).ok();
    let stamp = stamp.map(|about| {
        (about.ino(), u64::from(about.mode()) << 32 | about.len(), about.mtime(), about.mtime_nsec())
    });
    if kept.0 == stamp {
        return Ok(());
    }
    *kept = (None, T::default());
    if stamp.is_some() {
        *kept = (stamp, read(path)?);
    }
    Ok(())
}

/// The tokens of a data directory, oldest first.
///
/// # Errors
/// As [`AdminTokens::open_or_create`].
pub fn list(data: &Path) -> Result<Vec<TokenRecord>, PrivateFileError> {
    let path = data.join(FILE);
    if path.exists() { parse_file(&path) } else { Ok(Vec::new()) }
}

/// Makes a token; gives its number and the token, which is nowhere else from then on.
///
/// # Errors
/// As [`AdminTokens::open_or_create`], and when there are [`TOKENS_MAX`].
pub fn add(
    data: &Path,
    scope: Scope,
    name: &str,
    created_ms: u64,
) -> Result<(u32, String), PrivateFileError> {
    let _lock = private_file::lock(data)?;
    let mut records = list(data)?;
    let refuse = |fault: String| PrivateFileError::Content { path: data.join(FILE), fault };
    if records.len() >= TOKENS_MAX {
        return Err(refuse(format!("there are {TOKENS_MAX} tokens, the most allowed; remove one")));
    }
    check_name(name).map_err(refuse)?;
    let token = private_file::hex(&*private_file::secret()?);
    let number = records.iter().map(|record| record.number).max().unwrap_or(0).saturating_add(1);
    records.push(TokenRecord { number, scope, created_ms, name: name.to_owned(), hash: hash(&token) });
    write(data, &records)?;
    Ok((number, token))
}

/// Ends a token. Whether there was one of this number.
///
/// # Errors
/// As [`AdminTokens::open_or_create`].
pub fn remove(data: &Path, number: u32) -> Result<bool, PrivateFileError> {
    let _lock = private_file::lock(data)?;
    let mut records = list(data)?;
    let before = records.len();
    records.retain(|record| record.number != number);
    if records.len() == before {
        return Ok(false);
    }
    write(data, &records)?;
    Ok(true)
}

fn check_name(name: &str) -> Result<(), String> {
    let chars = name.chars().count();
    if chars > TOKEN_NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(format!(
            "the name has {chars} characters; must be at most {TOKEN_NAME_CHARS_MAX}, none of them a control character"
        ));
    }
    Ok(())
}

fn write(data: &Path, records: &[TokenRecord]) -> Result<(), PrivateFileError> {
    let lines = records.iter().map(|record| {
        let TokenRecord { number, scope, created_ms, name, hash } = record;
        format!("{number}\t{}\t{created_ms}\t{hash}\t{name}", scope.word())
    });
    private_file::replace(data, &data.join(FILE), &lines.collect::<Vec<_>>().join("\n"))
}

fn parse_file(path: &Path) -> Result<Vec<TokenRecord>, PrivateFileError> {
    let text = private_file::read(path)?;
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.is_empty());
    let records: Result<Vec<_>, _> = lines.map(|(line, number)| parse(line).ok_or(number)).collect();
    let records = records.map_err(|number| PrivateFileError::Content {
        path: path.to_owned(),
        fault: format!(
            "line {number} is not number, scope, time, hash and name; `maru admin tokens` writes them"
        ),
    })?;
    if records.len() > TOKENS_MAX {
        let fault = format!("{} tokens; at most {TOKENS_MAX} are allowed", records.len());
        return Err(PrivateFileError::Content { path: path.to_owned(), fault });
    }
    Ok(records)
}

fn parse(line: &str) -> Option<TokenRecord> {
    let mut fields = line.splitn(5, '\t');
    let mut next = || fields.next();
    let (number, scope, created_ms, hash, name) = (next()?, next()?, next()?, next()?, next()?);
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    check_name(name).ok().filter(|()| is_hash)?;
    Some(TokenRecord {
        number: number.parse().ok()?,
        scope: scope.parse().ok()?,
        created_ms: created_ms.parse().ok()?,
        name: name.to_owned(),
        hash: hash.to_owned(),
    })
}

/// A token is 256 random bits: its hash can be compared in any time, and tells nothing of it.
fn hash(token: &str) -> String {
    private_file::hex(&Sha256::digest(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn opened(tokens: &AdminTokens, given: &str) -> Option<&'static str> {
        tokens.holder_of(given).map(|(scope, ..)| scope.word())
    }

    #[test]
    fn tokens_come_and_go_while_the_server_runs() {
        let data = tempfile::tempdir().unwrap();
        let tokens = AdminTokens::open_or_create(data.path()).unwrap();
        let first = fs::read_to_string(data.path().join("admin.token")).unwrap();
        assert_eq!(opened(&tokens, first.trim()), Some("all"));
        let (one, reads) = add(data.path(), Scope::Metrics, "prometheus", 5).unwrap();
        let (two, manages) = add(data.path(), Scope::Users, "support desk", 6).unwrap();
        assert_eq!((one, two), (1, 2));
        assert_eq!((opened(&tokens, &reads), opened(&tokens, &manages)), (Some("metrics"), Some("users")));
        assert_eq!((opened(&tokens, ""), opened(&tokens, &reads[1..])), (None, None));
        let shown = list(data.path()).unwrap();
        let shown: Vec<_> = shown.iter().map(|record| (record.number, record.name.as_str())).collect();
        assert_eq!(shown, [(1, "prometheus"), (2, "support desk")]);
        let text = fs::read_to_string(data.path().join(FILE)).unwrap();
        assert!(!text.contains(&reads), "the file holds no token");
        assert!(remove(data.path(), 1).unwrap() && !remove(data.path(), 1).unwrap());
        assert_eq!((opened(&tokens, &reads), opened(&tokens, &manages)), (None, Some("users")));
        // The one of old is replaced by writing another, and is none when its file is gone.
        let second = "ab".repeat(32);
        fs::write(data.path().join("admin.token"), &second).unwrap();
        assert_eq!((opened(&tokens, first.trim()), opened(&tokens, &second)), (None, Some("all")));
        fs::remove_file(data.path().join("admin.token")).unwrap();
        assert_eq!((opened(&tokens, &second), opened(&tokens, &manages)), (None, Some("users")));
    }

    #[test]
    fn what_opens_what() {
        use Scope::{All, Metrics, Users};
        for (has, asked, opens) in [
            (Metrics, Metrics, true),
            (Metrics, Users, false),
            (Metrics, All, false),
            (Users, Users, true),
            (Users, Metrics, false),
            (Users, All, false),
            (All, Metrics, true),
            (All, Users, true),
            (All, All, true),
        ] {
            assert_eq!(has.opens(asked), opens, "{has:?} {asked:?}");
        }
        assert!("root".parse::<Scope>().unwrap_err().contains("metrics, users or all"));
    }

    #[test]
    fn a_file_that_is_none_opens_nothing() {
        let data = tempfile::tempdir().unwrap();
        let tokens = AdminTokens::open_or_create(data.path()).unwrap();
        let (_, token) = add(data.path(), Scope::All, "", 5).unwrap();
        let path = data.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(opened(&tokens, &token), None, "others may read it");
        assert!(AdminTokens::open_or_create(data.path()).unwrap_err().to_string().contains("644"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(opened(&tokens, &token), Some("all"));
        let good = fs::read_to_string(&path).unwrap();
        for wrong in ["nonsense", "1\tall\t5\tshort\tx", "1\troot\t5\t", "x\tall\t5"] {
            fs::write(&path, format!("{good}{wrong}\n")).unwrap();
            assert_eq!(opened(&tokens, &token), None, "{wrong}");
            assert!(list(data.path()).unwrap_err().to_string().contains("line 2"), "{wrong}");
            assert!(add(data.path(), Scope::All, "", 5).is_err(), "nothing is written over it");
        }
        fs::write(&path, &good).unwrap();
        for _ in 1..TOKENS_MAX {
            add(data.path(), Scope::Metrics, "", 5).unwrap();
        }
        assert!(add(data.path(), Scope::Metrics, "", 5).unwrap_err().to_string().contains("64"));
        remove(data.path(), 1).unwrap();
        assert!(add(data.path(), Scope::Metrics, "a\tb", 5).is_err());
        assert!(add(data.path(), Scope::Metrics, &"x".repeat(65), 5).is_err());
    }
}
