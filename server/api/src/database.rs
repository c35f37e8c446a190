//! Where the accounts are: SQLite within the data directory, or a PostgreSQL that an operator names. One SQL text for both,
//! through sqlx's `Any`: plain types, `$1` parameters, no function of one database.
//!
//! What this asks of the SQL: a transaction begins with a write. In SQLite a transaction that has read cannot wait for
//! another's write; in PostgreSQL the row that was written is what others wait for.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, ConnectOptions as _, Connection as _, Executor as _};
use tokio::time::timeout;

use crate::accounts::AccountsError;

/// Name of SQLite's file within the data directory.
const FILE: &str = "accounts.sqlite";
/// Connections to SQLite. It has one writer at a time whatever this is.
const SQLITE_CONNECTIONS_MAX: u32 = 4;
/// Connections to PostgreSQL: its own default allows 100 to all who use it.
const POSTGRES_CONNECTIONS_MAX: u32 = 16;
/// How long a request waits for a connection to PostgreSQL before it is told to come again. Shorter than a request may
/// take, so that a database that is gone is answered in words.
const POSTGRES_WAIT: Duration = Duration::from_secs(5);
/// How long one waits for SQLite's: a write of another process lets go within `busy_timeout`.
const SQLITE_WAIT: Duration = Duration::from_secs(20);
/// An account that was confirmed survives a power loss; a statement waits for another's write, also another process's.
const SQLITE_PRAGMAS: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                              PRAGMA foreign_keys = ON";
/// What may stand behind the `?` of a PostgreSQL URL. A misspelt one is refused here: sqlx would log it with its value.
const PARAMETERS: &[&str] = &[
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "port",
    "user",
    "password",
    "dbname",
    "application_name",
    "options",
];

/// Where the accounts are. Cheap enough to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Database {
    /// SQLite: this file, in a directory that exists.
    Sqlite(PathBuf),
    /// PostgreSQL.
    Postgres(PostgresUrl),
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "{}", file.display()),
            Self::Postgres(url) => write!(f, "{url:?}"),
        }
    }
}

/// A URL with a password in it, perhaps: it is shown without whatever could be one.
#[derive(Clone)]
pub struct PostgresUrl(AnyConnectOptions);

impl PartialEq for PostgresUrl {
    fn eq(&self, other: &Self) -> bool {
        self.0.database_url == other.0.database_url
    }
}

impl Eq for PostgresUrl {}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.0.database_url;
        let host = url.host_str().filter(|host| !host.is_empty()).unwrap_or("localhost");
        let host =
            url.query_pairs().find(|(key, _)| key == "host").map_or_else(|| host.into(), |(_, host)| host);
        write!(f, "postgres at {host}")?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        write!(f, ", database {:?}", url.path().trim_start_matches('/'))
    }
}

impl PostgresUrl {
    /// `postgres://USER:PASSWORD@HOST:PORT/NAME`, with parameters of libpq behind a `?`: those of docs/operations.md.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let options = AnyConnectOptions::from_str(text).ok()?;
        let url = &options.database_url;
        let is_postgres = matches!(url.scheme(), "postgres" | "postgresql") && url.fragment().is_none();
        let is_known = url.query_pairs().all(|(key, _)| PARAMETERS.contains(&key.as_ref()));
        let is_named = url.path().len() > 1 || url.query_pairs().any(|(key, _)| key == "dbname");
        let is_understood = sqlx::postgres::PgConnectOptions::from_url(url).is_ok();
        (is_postgres && is_known && is_named && is_understood).then_some(Self(options))
    }

    /// Logs in, asks for its version and changes nothing.
    ///
    /// # Errors
    /// [`AccountsError::Unreachable`]
    pub async fn version(&self) -> Result<String, AccountsError> {
        sqlx::any::install_default_drivers();
        let ask = async {
            let mut connection = self.0.clone().disable_statement_logging().connect().await?;
            let (version,): (String,) = sqlx::query_as("SELECT version()").fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok(version)
        };
        let asked = timeout(POSTGRES_WAIT, ask).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        asked.map_err(|error| AccountsError::Unreachable { place: format!("{self:?}"), error })
    }
}

impl Database {
    /// SQLite in a data directory.
    #[must_use]
    pub fn in_directory(data: &Path) -> Self {
        Self::Sqlite(data.join(FILE))
    }

    /// Whether it is SQLite.
    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// A file of SQLite's that is there and has no byte.
    pub(crate) fn is_empty_file(&self) -> bool {
        matches!(self, Self::Sqlite(file) if std::fs::metadata(file).is_ok_and(|meta| meta.len() == 0))
    }

    fn options(&self, create: bool) -> Result<AnyConnectOptions, sqlx::Error> {
        let options = match self {
            Self::Sqlite(file) => {
                let (folder, name) = (file.parent().unwrap_or_else(|| Path::new(".")), file.file_name());
                let file = folder.canonicalize()?.join(name.unwrap_or_default());
                let mode = if create { "rwc" } else { "rw" };
                AnyConnectOptions::from_str(&format!("sqlite://{}?mode={mode}", escaped(&file)))?
            }
            Self::Postgres(url) => url.0.clone(),
        };
        Ok(options.disable_statement_logging())
    }

    /// One connection, made now: whatever is wrong is said in its own words.
    async fn connection(&self, options: &AnyConnectOptions) -> Result<AnyConnection, sqlx::Error> {
        let mut connection = match timeout(SQLITE_WAIT, options.connect()).await {
            Ok(connected) => connected?,
            Err(_) => return Err(sqlx::Error::PoolTimedOut),
        };
        if self.is_sqlite() {
            connection.execute(SQLITE_PRAGMAS).await?;
        }
        Ok(connection)
    }

    /// Opens it; SQLite's file is made when there is none and `create` says so. `ready` is run on the first connection.
    pub(crate) async fn open(
        &self,
        create: bool,
        ready: impl AsyncFnOnce(&mut AnyConnection) -> Result<(), AccountsError>,
    ) -> Result<AnyPool, AccountsError> {
        sqlx::any::install_default_drivers();
        let unreachable = |error| AccountsError::Unreachable { place: self.to_string(), error };
        let options = self.options(create).map_err(unreachable)?;
        let mut first = self.connection(&options).await.map_err(unreachable)?;
        ready(&mut first).await?;
        first.close().await?;
        let pool = match self {
            Self::Sqlite(_) => {
                let pool = AnyPoolOptions::new().max_connections(SQLITE_CONNECTIONS_MAX);
                pool.acquire_timeout(SQLITE_WAIT).after_connect(|connection, _| {
                    Box::pin(async { connection.execute(SQLITE_PRAGMAS).await.map(drop) })
                })
            }
            Self::Postgres(_) => {
                let pool = AnyPoolOptions::new().max_connections(POSTGRES_CONNECTIONS_MAX);
                pool.acquire_timeout(POSTGRES_WAIT)
            }
        };
        Ok(pool.connect_lazy_with(options))
    }
}

/// A path as a URL has it: all but a few characters as percent and two hex digits.
fn escaped(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    path.as_os_str().as_bytes().iter().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// What an error of the database means to the one who asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Meaning {
    /// It is not there, or others were first; the same request may succeed soon.
    NotNow,
    /// Its disk is full.
    Full,
    /// The server's own fault.
    Fault,
}

/// Codes of SQLite: busy, locked. Of PostgreSQL (appendix A): lost connections, too many of them, shutdown, conflicts.
const NOT_NOW: &[&str] = &[
    "5", "6", "261", "517", "53300", "57P01", "57P02", "57P03", "57P05", "40001", "40P01", "55P03", "25006",
];
/// SQLite's full, PostgreSQL's disk full.
const FULL: &[&str] = &["13", "53100"];

/// Sorts an error.
pub(crate) fn meaning(error: &sqlx::Error) -> Meaning {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Meaning::NotNow,
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some(code) if NOT_NOW.contains(&code) || code.starts_with("08") => Meaning::NotNow,
            Some(code) if FULL.contains(&code) => Meaning::Full,
            _ => Meaning::Fault,
        },
        _ => Meaning::Fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_checked_and_shown_without_their_password() {
        for good in [
            "postgres://maru:secret@db.example.org:5433/maru?sslmode=verify-full&sslrootcert=/etc/ca.pem",
            "postgresql://maru@localhost/maru?host=/run/postgresql&password=secret",
            "postgres://%2Frun%2Fpostgresql/maru?user=maru&password=secret",
        ] {
            let url = PostgresUrl::parse(good).unwrap_or_else(|| panic!("{good}"));
            let shown =
                format!("{url:?} {} {:?}", Database::Postgres(url.clone()), Database::Postgres(url.clone()));
            assert!(!shown.contains("secret") && shown.contains("maru"), "{shown}");
        }
        for bad in [
            "",
            "postgres",
            "mysql://maru:secret@h/maru",
            "sqlite:///x",
            "postgres://maru:secret@h",
            "postgres://maru:secret@h/",
            "postgres://maru:secret@h:x/maru",
            "postgres://maru@h/maru?pasword=secret",
            "postgres://maru@h/maru?sslmode=perhaps",
            "postgres://maru@h/maru#secret",
        ] {
            assert!(PostgresUrl::parse(bad).is_none(), "{bad}");
        }
    }

    #[tokio::test]
    async fn any_path_is_a_path() {
        let data = tempfile::tempdir().unwrap();
        let odd = data.path().join("a b?c#d%20e가");
        std::fs::create_dir(&odd).unwrap();
        let database = Database::in_directory(&odd.join("..").join(odd.file_name().unwrap()));
        let pool = database.open(true, async |_| Ok(())).await.unwrap();
        pool.close().await;
        assert!(odd.join(FILE).exists());
        let missing = Database::in_directory(&data.path().join("missing"));
        let error = missing.open(true, async |_| Ok(())).await.unwrap_err().to_string();
        assert!(error.contains("missing") && error.contains("accounts.sqlite"), "{error}");
    }
}
