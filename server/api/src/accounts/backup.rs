//! The accounts as a part of a backup.

use std::path::Path;

use protocol::UserId;
use sqlx::AnyConnection;

use super::{Accounts, AccountsError, sql};

impl Accounts {
    /// A consistent copy of SQLite's file, at a path where there is none; false for PostgreSQL, whose own tools copy it.
    /// Others go on writing meanwhile.
    ///
    /// # Errors
    /// The database's: a full disk, a file that is there.
    pub async fn copy_to(&self, file: &Path) -> Result<bool, AccountsError> {
        if !self.is_sqlite {
            return Ok(false);
        }
        let copy = sqlx::query("VACUUM INTO $1").bind(file.to_string_lossy().into_owned());
        copy.execute(&self.pool).await?;
        Ok(true)
    }

    /// The core does not know the user after all: the next login makes it known.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_not_in_core(&self, user: UserId) -> Result<(), AccountsError> {
        let update = sqlx::query("UPDATE users SET in_core = 0 WHERE user_id = $1");
        update.bind(sql(user.0)).execute(&self.pool).await?;
        Ok(())
    }

    /// What users have said of each other since then is told to their homes again.
    ///
    /// # Errors
    /// The database's.
    pub async fn tell_again_since(&self, since_ms: u64) -> Result<(), AccountsError> {
        let update = sqlx::query("UPDATE relations SET told = 0 WHERE since_ms >= $1");
        update.bind(sql(since_ms)).execute(&self.pool).await?;
        Ok(())
    }

    /// Whom the user lets come near is told to its home again.
    ///
    /// # Errors
    /// The database's.
    pub async fn tell_policy_again(&self, user: UserId) -> Result<(), AccountsError> {
        let update = sqlx::query("UPDATE users SET policy_told = 0 WHERE user_id = $1");
        update.bind(sql(user.0)).execute(&self.pool).await?;
        Ok(())
    }
}

/// Whether no version of Maru ever made its tables here.
pub(super) async fn is_empty(connection: &mut AnyConnection) -> bool {
    let query = sqlx::query_as::<_, (i64,)>("SELECT COUNT(*) FROM _sqlx_migrations");
    !matches!(query.fetch_one(connection).await, Ok((count,)) if count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snowflake::EPOCH_MS;
    use crate::{Database, Name};

    on_both! {
        emptied_accounts_are_not_made_anew
    }

    async fn emptied_accounts_are_not_made_anew(database: Database) {
        Accounts::open(&database).await.unwrap().close().await;
        let accounts = Accounts::open_existing(&database).await.unwrap();
        accounts.close().await;
        match &database {
            Database::Sqlite(file) => std::fs::write(file, "").unwrap(),
            Database::Postgres(_) => {
                let accounts = Accounts::open_existing(&database).await.unwrap();
                for sql in ["DROP SCHEMA public CASCADE", "CREATE SCHEMA public"] {
                    sqlx::query(sql).execute(&accounts.pool).await.unwrap();
                }
                accounts.close().await;
            }
        }
        let refused = Accounts::open_existing(&database).await.unwrap_err().to_string();
        assert!(refused.contains("are empty") && refused.contains("nothing is made anew"), "{refused}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_copy_has_what_was_written_before() {
        let data = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(&Database::in_directory(data.path())).await.unwrap();
        let now_ms = EPOCH_MS + 1_000_000;
        let user = accounts.create_user(&Name::parse("ann").unwrap(), "hash", now_ms).await.unwrap();
        accounts.set_in_core(user).await.unwrap();
        let other = data.path().join("it's a \"copy\"");
        std::fs::create_dir(&other).unwrap();
        assert!(accounts.copy_to(&other.join("accounts.sqlite")).await.unwrap());
        assert!(accounts.copy_to(&other.join("accounts.sqlite")).await.is_err(), "it is there already");
        accounts.create_user(&Name::parse("bob").unwrap(), "hash", now_ms).await.unwrap();
        accounts.close().await;
        let copy = Accounts::open_existing(&Database::in_directory(&other)).await.unwrap();
        assert_eq!(copy.count().await.unwrap(), (1, 0));
        copy.set_not_in_core(user).await.unwrap();
        assert!(!copy.user(user).await.unwrap().unwrap().in_core);
        copy.tell_policy_again(user).await.unwrap();
        assert_eq!(copy.untold_policies(9).await.unwrap(), [user]);
        copy.close().await;
    }
}
