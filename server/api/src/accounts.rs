//! The relational side of an account: users and their devices, in SQLite or PostgreSQL by one SQL text
//! ([`crate::Database`]).

use protocol::{DeviceId, UserId};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool};

use crate::database::Database;
use crate::name::{Name, Sought};
use crate::secret;
use crate::snowflake::{Snowflake, WINDOW_MS, since_epoch};

mod backup;
mod bots;
mod devices;
mod erasures;
mod export;
mod identities;
mod import;
mod invites;
mod leaving;
mod likeness;
mod refresh;
mod relations;
mod reports;
mod second_factor;

pub use bots::Bot;
pub(crate) use bots::Shows;
pub use devices::{AddDevice, DeviceRecord};
pub use erasures::{Erasure, History};
pub use export::{WHO_MAX, Who};
pub(crate) use identities::FirstSight;
pub use import::Importing;
pub use invites::{FreshInvite, Invite, InviteFault, Invited};
pub use leaving::NAME_HELD_MS;
pub use refresh::Lifetimes;
pub(crate) use refresh::{GRACE_MS, Next, Shown};
pub(crate) use relations::{BLOCKS_MAX, FRIENDS_MAX, Other, RelationFault, Standing};
pub use reports::NewReport;
pub(crate) use reports::{CloseFault, Closed, Outcome, REASON_CHARS_MAX, Report, Which};

/// Tries to take a window of ids and an id from it; each can lose only against 4,096 other ids in a millisecond.
const ID_TRIES: u32 = 100;

/// No password hashes to this.
const NO_PASSWORD: &str = "!";

/// The same of one whom an issuer vouches for: such accounts are persons', not made in bulk.
const ISSUERS_PASSWORD: &str = "!issuer";

/// The schema, oldest first. A step that was released is never changed.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "accounts", include_str!("../migrations/0001_accounts.sql")),
    (2, "not before", include_str!("../migrations/0002_not_before.sql")),
    (3, "invites", include_str!("../migrations/0003_invites.sql")),
    (4, "likeness", include_str!("../migrations/0004_likeness.sql")),
    (5, "refresh tokens", include_str!("../migrations/0005_refresh_tokens.sql")),
    (6, "two factor", include_str!("../migrations/0006_two_factor.sql")),
    (7, "profiles", include_str!("../migrations/0007_profiles.sql")),
    (8, "identities", include_str!("../migrations/0008_identities.sql")),
    (10, "bots", include_str!("../migrations/0010_bots.sql")),
    (12, "relations", include_str!("../migrations/0012_relations.sql")),
    (13, "receipts", include_str!("../migrations/0013_receipts.sql")),
    (16, "reports", include_str!("../migrations/0016_reports.sql")),
    (17, "erasures", include_str!("../migrations/0017_erasures.sql")),
];

/// The accounts of one data directory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Accounts {
    pool: AnyPool,
    is_sqlite: bool,
    ids: std::sync::Arc<Snowflake>,
}

/// A user as SQL has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Who.
    pub user: UserId,
    /// The name as its owner wrote it.
    pub name: String,
    /// The name that the owner wants to be shown; empty: the other one.
    pub display_name: String,
    /// What the owner says of themselves.
    pub about: String,
    /// PHC string.
    pub password_hash: String,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// Whether the shard core has confirmed that it knows the user.
    pub in_core: bool,
    /// Tokens that were issued before this are refused, milliseconds since the Unix epoch.
    pub not_before_ms: u64,
}

impl Account {
    /// Whether there is a password that it can log in by.
    #[must_use]
    pub fn has_password(&self) -> bool {
        !self.password_hash.starts_with(NO_PASSWORD)
    }
}

/// Why the accounts could not do it.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The name belongs to somebody, in this or another spelling, or looks like somebody's.
    #[error("the name is taken, or looks like one that is")]
    NameTaken,
    /// Nobody is let in with the invite.
    #[error(transparent)]
    Invite(#[from] InviteFault),
    /// The database failed, or is of a newer version of Maru.
    #[error("the accounts database: {0}")]
    Database(#[from] sqlx::Error),
    /// It could not be opened.
    #[error("cannot open the accounts ({place}): {error}")]
    Unreachable {
        /// Which database.
        place: String,
        /// Why not.
        error: sqlx::Error,
    },
    /// It was made before, and is empty now.
    #[error(
        "the accounts ({place}) are empty, no table of Maru's is there: they were emptied, or it is another database; nothing is made anew, put them back from a backup"
    )]
    Empty {
        /// Which database.
        place: String,
    },
    /// A newer version of Maru has changed the tables.
    #[error(
        "the accounts database has schema {found}, this program knows schemas up to {known}; use a newer maru, or restore the backup of before the upgrade"
    )]
    Newer {
        /// Its number.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// The schema could not be brought up to date.
    #[error("the accounts database: {0}; a database that a newer version of Maru wrote needs that version")]
    Schema(sqlx::migrate::MigrateError),
    /// Cannot happen within the documented bounds; says which.
    #[error("ids: {0}")]
    Ids(&'static str),
}

type UserRow = (i64, String, String, i64, i64, i64, String, String);

impl Accounts {
    /// Opens the database, makes SQLite's file when there is none, and brings the schema up to date.
    ///
    /// # Errors
    /// [`AccountsError::Unreachable`], or `Schema` when the database is of a newer version.
    pub async fn open(database: &Database) -> Result<Self, AccountsError> {
        Self::connect(database, true).await
    }

    /// As [`Self::open`], but a missing file is an error, and so is a database in which nothing was ever made.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_existing(database: &Database) -> Result<Self, AccountsError> {
        Self::connect(database, false).await
    }

    async fn connect(database: &Database, create: bool) -> Result<Self, AccountsError> {
        let place = || database.to_string();
        // Before it is opened: what SQLite is told at the beginning would be written into it.
        if !create && database.is_empty_file() {
            return Err(AccountsError::Empty { place: place() });
        }
        let ready = async |connection: &mut AnyConnection| {
            if !create && backup::is_empty(connection).await {
                return Err(AccountsError::Empty { place: place() });
            }
            migrate(connection).await
        };
        let pool = database.open(create, ready).await?;
        let accounts = Self { pool, is_sqlite: database.is_sqlite(), ids: Snowflake::new(0).into() };
        accounts.make_likenesses().await?;
        Ok(accounts)
    }

    /// Closes every connection, so that the write-ahead log is folded into the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`AccountsError::NameTaken`], or the database's.
    pub async fn create_user(
        &self,
        name: &Name,
        password_hash: &str,
        now_ms: u64,
    ) -> Result<UserId, AccountsError> {
        let user = UserId(self.new_id(now_ms).await?);
        let mut connection = self.pool.acquire().await?;
        insert_user(&mut connection, user, name, password_hash, now_ms).await?;
        Ok(user)
    }

    /// The account with a name, in whatever spelling.
    ///
    /// # Errors
    /// The database's.
    pub async fn user_by_name(&self, name: impl AsRef<Sought>) -> Result<Option<Account>, AccountsError> {
        let name = name.as_ref();
        let query = sqlx::query_as::<_, UserRow>(
            "SELECT user_id, name, password_hash, created_ms, in_core, not_before_ms, display_name, about \
             FROM users WHERE folded IN ($1, $2) ORDER BY CASE WHEN folded = $1 THEN 0 ELSE 1 END LIMIT 1",
        );
        let query = query.bind(name.folded()).bind(name.bare());
        Ok(query.fetch_optional(&self.pool).await?.map(account))
    }

    /// Whether somebody has the name, in whatever spelling, or one that looks like it.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_taken(&self, name: &Name) -> Result<bool, AccountsError> {
        let query =
            sqlx::query_as::<_, (i64,)>("SELECT 1 FROM users WHERE folded = $1 OR likeness = $2 LIMIT 1");
        let query = query.bind(name.folded()).bind(name.likeness());
        Ok(query.fetch_optional(&self.pool).await?.is_some())
    }

    /// The account with an id.
    ///
    /// # Errors
    /// The database's.
    pub async fn user(&self, user: UserId) -> Result<Option<Account>, AccountsError> {
        user_row(&mut *self.pool.acquire().await?, user).await
    }

    /// Up to `limit` accounts with an id above `after`, rising.
    ///
    /// # Errors
    /// The database's.
    pub async fn users_after(&self, after: UserId, limit: u32) -> Result<Vec<Account>, AccountsError> {
        let query = sqlx::query_as::<_, UserRow>(
            "SELECT user_id, name, password_hash, created_ms, in_core, not_before_ms, display_name, about \
             FROM users WHERE user_id > $1 \
             ORDER BY user_id LIMIT $2",
        );
        let rows = query.bind(sql(after.0)).bind(i64::from(limit)).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(account).collect())
    }

    /// Gives the user another password, unless it has changed since `old_hash` was read. Whether it was done.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_password(
        &self,
        user: UserId,
        old_hash: &str,
        new_hash: &str,
    ) -> Result<bool, AccountsError> {
        let update =
            sqlx::query("UPDATE users SET password_hash = $3 WHERE user_id = $1 AND password_hash = $2");
        let done = update.bind(sql(user.0)).bind(old_hash).bind(new_hash).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Remembers that the shard core knows the user.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_in_core(&self, user: UserId) -> Result<(), AccountsError> {
        let update = sqlx::query("UPDATE users SET in_core = 1 WHERE user_id = $1 AND in_core = 0");
        update.bind(sql(user.0)).execute(&self.pool).await?;
        Ok(())
    }

    /// How many users and devices there are.
    ///
    /// # Errors
    /// The database's.
    pub async fn count(&self) -> Result<(u64, u64), AccountsError> {
        let query = sqlx::query_as::<_, (i64, i64)>(
            "SELECT (SELECT COUNT(*) FROM users), (SELECT COUNT(*) FROM devices)",
        );
        let (users, devices) = query.fetch_one(&self.pool).await?;
        Ok((unsql(users), unsql(devices)))
    }

    /// Makes accounts that nobody can log in to by password, with so many devices each, in one transaction. Repeatable:
    /// accounts that were made here keep their id and their oldest devices. For load tests and imports.
    ///
    /// # Errors
    /// [`AccountsError::NameTaken`] when a name is a person's or looks like another's, or the database's; then nothing
    /// was made.
    pub async fn create_in_bulk(
        &self,
        names: &[Name],
        devices: u32,
        now_ms: u64,
    ) -> Result<Vec<(UserId, DeviceId)>, AccountsError> {
        let mut ids = Vec::with_capacity(names.len());
        for _ in names {
            ids.push(self.new_id(now_ms).await?);
        }
        let mut spare = Vec::new();
        for _ in 0..names.len() * usize::try_from(devices).unwrap_or(0) {
            spare.push(self.new_id(now_ms).await?);
        }
        let mut made = Vec::with_capacity(spare.len());
        let mut spare = spare.into_iter();
        let mut transaction = self.pool.begin().await?;
        for (name, user) in names.iter().zip(ids) {
            let insert = sqlx::query(
                "INSERT INTO users (user_id, name, folded, likeness, password_hash, created_ms) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            );
            let insert = insert.bind(sql(user)).bind(name.shown()).bind(name.folded()).bind(name.likeness());
            insert.bind(NO_PASSWORD).bind(sql(now_ms)).execute(&mut *transaction).await?;
            let query = sqlx::query_as::<_, (i64, String)>(
                "SELECT user_id, password_hash FROM users WHERE folded = $1",
            );
            let found = query.bind(name.folded()).fetch_optional(&mut *transaction).await?;
            // None: the name looks like that of another account.
            let Some((user, _)) = found.filter(|(_, password)| password == NO_PASSWORD) else {
                return Err(AccountsError::NameTaken);
            };
            let known = sqlx::query_as::<_, (i64,)>(
                "SELECT device_id FROM devices WHERE user_id = $1 ORDER BY device_id LIMIT $2",
            );
            let known = known.bind(user).bind(i64::from(devices)).fetch_all(&mut *transaction).await?;
            let mut has: Vec<i64> = known.into_iter().map(|(device,)| device).collect();
            while has.len() < usize::try_from(devices).unwrap_or(0) {
                let Some(device) = spare.next().map(sql) else { return Err(AccountsError::Ids("too few")) };
                let insert =
                    sqlx::query("INSERT INTO devices (device_id, user_id, created_ms) VALUES ($1, $2, $3)");
                insert.bind(device).bind(user).bind(sql(now_ms)).execute(&mut *transaction).await?;
                has.push(device);
            }
            made.extend(has.into_iter().map(|device| (UserId(unsql(user)), DeviceId(unsql(device)))));
        }
        transaction.commit().await?;
        Ok(made)
    }

    /// As [`Self::set_in_core`] for many, in one transaction.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_all_in_core(&self, users: &[UserId]) -> Result<(), AccountsError> {
        let mut transaction = self.pool.begin().await?;
        for user in users {
            let update = sqlx::query("UPDATE users SET in_core = 1 WHERE user_id = $1 AND in_core = 0");
            update.bind(sql(user.0)).execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// What the database itself finds wrong with its file; empty for nothing.
    ///
    /// # Errors
    /// The database's.
    pub async fn check(&self) -> Result<Vec<String>, AccountsError> {
        let mut findings = Vec::new();
        if self.is_sqlite {
            let rows = sqlx::query_as::<_, (String,)>("PRAGMA integrity_check").fetch_all(&self.pool).await?;
            findings.extend(rows.into_iter().map(|(row,)| row).filter(|row| row != "ok"));
        }
        let strays = sqlx::query_as::<_, (i64,)>(
            "SELECT device_id FROM devices WHERE user_id NOT IN (SELECT user_id FROM users)",
        );
        for (device,) in strays.fetch_all(&self.pool).await? {
            findings.push(format!("device {device} belongs to no user"));
        }
        Ok(findings)
    }

    async fn new_id(&self, now_ms: u64) -> Result<u64, AccountsError> {
        let now_ms = since_epoch(now_ms);
        for _ in 0..ID_TRIES {
            if let Some(id) = self.ids.next(now_ms) {
                return Ok(id);
            }
            // One statement, so that no two processes ever take the same window. Id 0 is never made.
            let take = sqlx::query_as::<_, (i64,)>(
                "INSERT INTO id_windows (node, free_ms) VALUES ($1, $2 + $3) ON CONFLICT (node) DO UPDATE \
                 SET free_ms = CASE WHEN id_windows.free_ms > $2 THEN id_windows.free_ms ELSE $2 END + $3 \
                 RETURNING free_ms",
            );
            let take = take.bind(i64::from(self.ids.node())).bind(sql(now_ms.max(1))).bind(sql(WINDOW_MS));
            let (end_ms,) = take.fetch_one(&self.pool).await?;
            let end_ms = unsql(end_ms);
            self.ids.take_window(end_ms.saturating_sub(WINDOW_MS), end_ms);
        }
        Err(AccountsError::Ids("no id within the 41 bits of time, or far too many at once"))
    }
}

/// Brings the schema up to date. Two processes that start at once take turns.
async fn migrate(connection: &mut AnyConnection) -> Result<(), AccountsError> {
    let migrations = MIGRATIONS.iter().map(|&(version, description, sql)| {
        let sql = sqlx::SqlSafeStr::into_sql_str(sql);
        Migration::new(version, description.into(), MigrationType::Simple, sql, false)
    });
    let known = MIGRATIONS.last().map_or(0, |(version, ..)| *version);
    let outcome = Migrator::with_migrations(migrations.collect()).run(connection).await;
    outcome.map_err(|error| match error {
        sqlx::migrate::MigrateError::VersionMissing(found) if found > known => {
            AccountsError::Newer { found, known }
        }
        error => AccountsError::Schema(error),
    })
}

async fn user_row(connection: &mut AnyConnection, user: UserId) -> Result<Option<Account>, AccountsError> {
    let query = sqlx::query_as::<_, UserRow>(
        "SELECT user_id, name, password_hash, created_ms, in_core, not_before_ms, display_name, about \
         FROM users WHERE user_id = $1",
    );
    Ok(query.bind(sql(user.0)).fetch_optional(connection).await?.map(account))
}

/// A row for a new user; the unique column decides whose the name is.
async fn insert_user(
    connection: &mut AnyConnection,
    user: UserId,
    name: &Name,
    password_hash: &str,
    now_ms: u64,
) -> Result<(), AccountsError> {
    // Nor does anybody take the name of one who left a short while ago.
    let insert = sqlx::query(
        "INSERT INTO users (user_id, name, folded, likeness, password_hash, created_ms) \
         SELECT $1, $2, $3, $8, $4, $5 \
         WHERE NOT EXISTS (SELECT 1 FROM gone_users WHERE name_hash IN ($6, $9) AND gone_ms > $7)",
    );
    let insert = insert.bind(sql(user.0)).bind(name.shown()).bind(name.folded());
    let insert = insert.bind(password_hash).bind(sql(now_ms)).bind(secret::kept_text(name.folded()));
    let insert = insert.bind(sql(now_ms) - sql(NAME_HELD_MS)).bind(name.likeness());
    // An older version held the name itself.
    let insert = insert.bind(secret::kept_text(name.likeness()));
    match insert.execute(connection).await {
        Ok(done) if done.rows_affected() == 0 => Err(AccountsError::NameTaken),
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Err(AccountsError::NameTaken),
        Err(error) => Err(error.into()),
    }
}

/// Holds the user's row until the transaction ends: what is counted of a user is not counted twice at once.
async fn lock_user(connection: &mut AnyConnection, user: UserId) -> Result<(), sqlx::Error> {
    let lock = sqlx::query("UPDATE users SET user_id = user_id WHERE user_id = $1");
    lock.bind(sql(user.0)).execute(connection).await.map(drop)
}

/// Ids have 63 bits and times fewer, so nothing is lost.
fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn account(row: UserRow) -> Account {
    let (user, name, password_hash, created_ms, in_core, not_before_ms, display_name, about) = row;
    Account {
        user: UserId(unsql(user)),
        name,
        display_name,
        about,
        password_hash,
        created_ms: unsql(created_ms),
        in_core: in_core != 0,
        not_before_ms: unsql(not_before_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snowflake::EPOCH_MS;

    on_both! {
        names_are_unique_in_every_spelling
        ids_are_never_made_twice_by_two_processes_or_an_older_clock
        bulk_is_repeatable_and_nobody_can_log_in
        a_newer_database_is_refused
    }

    const NOW_MS: u64 = EPOCH_MS + 1_000_000;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    async fn names_are_unique_in_every_spelling(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let alice = accounts.create_user(&name("Alice"), "hash", NOW_MS).await.unwrap();
        let again = accounts.create_user(&name("ALICE"), "hash", NOW_MS).await;
        assert!(matches!(again, Err(AccountsError::NameTaken)));
        let found = accounts.user_by_name(&name("alicE")).await.unwrap().unwrap();
        assert_eq!((found.user, found.name.as_str(), found.in_core), (alice, "Alice", false));
        accounts.set_in_core(alice).await.unwrap();
        assert!(accounts.user(alice).await.unwrap().unwrap().in_core);
        assert_eq!((alice.0 >> 22) + EPOCH_MS, NOW_MS);
        assert_eq!(accounts.users_after(UserId(0), 10).await.unwrap().len(), 1);
        assert!(accounts.users_after(alice, 10).await.unwrap().is_empty());
    }

    async fn ids_are_never_made_twice_by_two_processes_or_an_older_clock(database: Database) {
        let one = Accounts::open(&database).await.unwrap();
        let two = Accounts::open(&database).await.unwrap();
        let mut seen = std::collections::HashSet::new();
        for step in 0..50_u64 {
            // The clock runs backwards.
            let now_ms = NOW_MS - step * 700;
            for accounts in [&one, &two] {
                assert!(seen.insert(accounts.new_id(now_ms).await.unwrap()));
            }
        }
        let three = Accounts::open(&database).await.unwrap();
        assert!(seen.insert(three.new_id(0).await.unwrap()), "after a restart with a clock before the epoch");
        assert!(!seen.contains(&0));
    }

    async fn bulk_is_repeatable_and_nobody_can_log_in(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let names: Vec<Name> = (0..300).map(|n| name(&format!("load-{n}"))).collect();
        let made = accounts.create_in_bulk(&names[..200], 1, NOW_MS).await.unwrap();
        let again = accounts.create_in_bulk(&names, 1, NOW_MS + 1).await.unwrap();
        assert_eq!(again[..200], made);
        assert_eq!(accounts.count().await.unwrap(), (300, 300));
        let users: Vec<UserId> = again.iter().map(|(user, _)| *user).collect();
        accounts.set_all_in_core(&users).await.unwrap();
        let account = accounts.user_by_name(&names[7]).await.unwrap().unwrap();
        assert!(account.in_core && !account.password_hash.starts_with('$'));
        assert!(accounts.has_device(again[7].0, again[7].1).await.unwrap());
        let more = accounts.create_in_bulk(&names[..3], 2, NOW_MS + 2).await.unwrap();
        assert_eq!(more, accounts.create_in_bulk(&names[..3], 2, NOW_MS + 3).await.unwrap());
        assert_eq!((more.len(), more[0], more[1].0), (6, again[0], again[0].0));
        accounts.create_user(&name("person"), "$hash", NOW_MS).await.unwrap();
        let with_person = accounts.create_in_bulk(&[name("load-999"), name("Person")], 1, NOW_MS).await;
        assert!(matches!(with_person, Err(AccountsError::NameTaken)));
        assert_eq!(accounts.count().await.unwrap(), (301, 303), "all or nothing");
    }

    async fn a_newer_database_is_refused(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     SELECT 99, 'tomorrow', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
        sqlx::query(newer).execute(&accounts.pool).await.unwrap();
        let refused = Accounts::open(&database).await.unwrap_err().to_string();
        assert!(refused.contains("schema 99") && refused.contains("use a newer maru"), "{refused}");
    }

    #[tokio::test]
    async fn a_missing_file_is_refused() {
        let data = tempfile::tempdir().unwrap();
        let database = Database::in_directory(data.path());
        assert!(Accounts::open_existing(&database).await.is_err());
        assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0);
    }
}
