//! What the names look like that were given away before there was such a rule, or under another one.
//!
//! Whoever has a name keeps it and logs in with it. Of users whose names look the same the one with the smallest id, the
//! oldest, holds the likeness, so nobody new gets a name that looks like it; the others hold none. They are looked at
//! again at each start: when the oldest is gone, the next one takes its place.

use super::{Accounts, AccountsError};
use crate::name::{LIKENESS_VERSION, likeness};

/// Names in one transaction.
const PAGE: u32 = 1000;

impl Accounts {
    /// Gives every name its likeness that has none. Whoever opens the accounts does it first.
    pub(super) async fn make_likenesses(&self) -> Result<(), AccountsError> {
        self.forget_those_of_another_rule().await?;
        let (mut after, mut alike) = (i64::MIN, 0_u64);
        loop {
            let query = sqlx::query_as::<_, (i64, String)>(
                "SELECT user_id, folded FROM users WHERE likeness IS NULL AND user_id > $1 ORDER BY user_id LIMIT $2",
            );
            let page = query.bind(after).bind(i64::from(PAGE)).fetch_all(&self.pool).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            let mut transaction = self.pool.begin().await?;
            for (user, folded) in page {
                let update = sqlx::query(
                    "UPDATE users SET likeness = $2 WHERE user_id = $1 \
                     AND NOT EXISTS (SELECT 1 FROM users WHERE likeness = $2)",
                );
                let done = update.bind(user).bind(likeness(&folded)).execute(&mut *transaction).await?;
                alike += 1 - done.rows_affected().min(1);
            }
            transaction.commit().await?;
        }
        if alike > 0 {
            tracing::info!(alike, "users whose names look like those of older users; they keep them");
        }
        Ok(())
    }

    async fn forget_those_of_another_rule(&self) -> Result<(), AccountsError> {
        let query = sqlx::query_as::<_, (String,)>("SELECT version FROM likeness_rule");
        if query.fetch_all(&self.pool).await? == [(LIKENESS_VERSION.to_owned(),)] {
            return Ok(());
        }
        let mut transaction = self.pool.begin().await?;
        sqlx::query("DELETE FROM likeness_rule").execute(&mut *transaction).await?;
        sqlx::query("UPDATE users SET likeness = NULL WHERE likeness IS NOT NULL")
            .execute(&mut *transaction)
            .await?;
        let insert = sqlx::query("INSERT INTO likeness_rule (version) VALUES ($1)");
        insert.bind(LIKENESS_VERSION).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::name::{Name, Sought};
    use crate::snowflake::EPOCH_MS;

    /// A database as the version before the rule left it.
    async fn old_database(data: &std::path::Path, names: &[&str]) {
        let accounts = Accounts::open(&Database::in_directory(data)).await.unwrap();
        for statement in [
            "DROP INDEX users_by_likeness",
            "ALTER TABLE users DROP COLUMN likeness",
            "DROP TABLE likeness_rule",
            "DELETE FROM _sqlx_migrations WHERE version = 4",
        ] {
            sqlx::query(statement).execute(&accounts.pool).await.unwrap();
        }
        for (at, name) in names.iter().enumerate() {
            let insert = sqlx::query(
                "INSERT INTO users (user_id, name, folded, password_hash, created_ms) VALUES ($1, $2, $3, 'h', 1)",
            );
            let folded = crate::name::fold(name);
            insert.bind(at as i64 + 1).bind(*name).bind(folded).execute(&accounts.pool).await.unwrap();
        }
        accounts.close().await;
    }

    async fn found(accounts: &Accounts, name: &str) -> Option<u64> {
        let account = accounts.user_by_name(Sought::parse(name).ok()?).await.unwrap();
        account.map(|account| account.user.0)
    }

    #[tokio::test]
    async fn names_of_old_keep_working_and_the_oldest_guards_its_likeness() {
        let data = tempfile::tempdir().unwrap();
        let old = ["alice", "alice\u{fe0f}", "ali\u{34f}ce", "\u{430}lice", "\u{3164}", "bob", "pauI"];
        old_database(data.path(), &old).await;
        let accounts = Accounts::open(&Database::in_directory(data.path())).await.unwrap();
        for (at, name) in old.iter().enumerate() {
            assert_eq!(found(&accounts, name).await, Some(at as u64 + 1), "{name:?}");
            assert_eq!(found(&accounts, &format!(" {name}\n")).await, Some(at as u64 + 1), "{name:?}");
        }
        assert_eq!(found(&accounts, "alice\u{200b}").await, Some(1), "nobody is called so; alice is meant");
        let create = async |name: &str| {
            let name = Name::parse(name).unwrap();
            assert!(accounts.is_taken(&name).await.unwrap(), "{name}");
            accounts.create_user(&name, "hash", EPOCH_MS + 9).await
        };
        for taken in ["Alice", "\u{430}lice", "b0b", "paul", "PAUI"] {
            if let Ok(name) = Name::parse(taken) {
                assert!(matches!(create(name.shown()).await, Err(AccountsError::NameTaken)), "{taken}");
            }
        }
        // The oldest goes; at the next start the next one of its likeness guards it.
        sqlx::query("DELETE FROM users WHERE user_id = 1").execute(&accounts.pool).await.unwrap();
        accounts.close().await;
        let accounts = Accounts::open(&Database::in_directory(data.path())).await.unwrap();
        let alice = Name::parse("Alice").unwrap();
        assert!(matches!(
            accounts.create_user(&alice, "h", EPOCH_MS + 9).await,
            Err(AccountsError::NameTaken)
        ));
    }

    #[tokio::test]
    async fn another_rule_makes_all_of_them_anew() {
        let data = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(&Database::in_directory(data.path())).await.unwrap();
        accounts.create_user(&Name::parse("alice").unwrap(), "hash", EPOCH_MS + 9).await.unwrap();
        for statement in ["UPDATE likeness_rule SET version = 'older'", "UPDATE users SET likeness = 'stale'"]
        {
            sqlx::query(statement).execute(&accounts.pool).await.unwrap();
        }
        accounts.close().await;
        let accounts = Accounts::open(&Database::in_directory(data.path())).await.unwrap();
        assert!(
            accounts.is_taken(&Name::parse("\u{430}\u{4cf}\u{456}\u{441}\u{435}").unwrap()).await.unwrap()
        );
    }

    #[tokio::test]
    async fn many_names_are_more_than_a_page() {
        let data = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..2 * PAGE + 7).map(|n| format!("load{n:06}")).collect();
        old_database(data.path(), &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let accounts = Accounts::open(&Database::in_directory(data.path())).await.unwrap();
        let query = sqlx::query_as::<_, (i64,)>("SELECT COUNT(*) FROM users WHERE likeness IS NULL");
        assert_eq!(query.fetch_one(&accounts.pool).await.unwrap().0, 0);
    }
}
