//! People of an import: accounts with the ids and names that they had elsewhere, in a database that is empty otherwise. They have
//! neither a password nor a device until an operator gives them one.

use protocol::UserId;
use sqlx::{Any, Transaction};

use super::{Account, Accounts, AccountsError, NO_PASSWORD, Who, insert_user, sql};
use crate::name::Name;

/// Accounts that come into being together or not at all.
#[derive(Debug)]
pub struct Importing(Transaction<'static, Any>);

impl Accounts {
    /// Begins.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin_import(&self) -> Result<Importing, AccountsError> {
        Ok(Importing(self.pool.begin().await?))
    }
}

impl Importing {
    /// One whom the core knows.
    ///
    /// # Errors
    /// [`AccountsError::NameTaken`] by another of the import, or the database's. Nothing can be added behind an error.
    pub async fn add(&mut self, who: &Who, name: &Name) -> Result<(), AccountsError> {
        insert_user(&mut self.0, who.user, name, NO_PASSWORD, who.created_ms).await?;
        let update = "UPDATE users SET display_name = $2, in_core = 1 WHERE user_id = $1";
        let update = sqlx::query(update).bind(sql(who.user.0)).bind(&who.display_name);
        update.execute(&mut *self.0).await?;
        Ok(())
    }

    /// The account that was added with an id, if one was.
    ///
    /// # Errors
    /// The database's.
    pub async fn added(&mut self, user: UserId) -> Result<Option<Account>, AccountsError> {
        super::user_row(&mut self.0, user).await
    }

    /// Whether an id is one of those who had left.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_gone(&mut self, user: UserId) -> Result<bool, AccountsError> {
        let query = sqlx::query_as::<_, (i64,)>("SELECT user_id FROM gone_users WHERE user_id = $1");
        Ok(query.bind(sql(user.0)).fetch_optional(&mut *self.0).await?.is_some())
    }

    /// One who had left before: the core knows the id, and nobody has it.
    ///
    /// # Errors
    /// The database's.
    pub async fn add_gone(&mut self, user: UserId, now_ms: u64) -> Result<(), AccountsError> {
        let insert =
            "INSERT INTO gone_users (user_id, gone_ms, name_hash) VALUES ($1, $2, '') ON CONFLICT DO NOTHING";
        sqlx::query(insert).bind(sql(user.0)).bind(sql(now_ms)).execute(&mut *self.0).await?;
        Ok(())
    }

    /// All of them are there from here on.
    ///
    /// # Errors
    /// The database's; then none is.
    pub async fn commit(self) -> Result<(), AccountsError> {
        Ok(self.0.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::snowflake::EPOCH_MS;

    on_both! {
        people_come_with_their_ids_all_or_none
    }

    fn who(user: u64, name: &str) -> (Who, Name) {
        let (display_name, created_ms) = (format!("{name}!"), EPOCH_MS + user);
        let who = Who { user: UserId(user), name: name.into(), display_name, created_ms };
        (who, Name::parse(name).unwrap())
    }

    async fn people_come_with_their_ids_all_or_none(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let ((ann, ann_name), (bob, bob_name)) = (who(1 << 23, "ann"), who(1 << 24, "bob"));
        let mut importing = accounts.begin_import().await.unwrap();
        importing.add(&ann, &ann_name).await.unwrap();
        assert_eq!(importing.added(ann.user).await.unwrap().map(|found| found.name), Some("ann".into()));
        drop(importing);
        assert_eq!(accounts.count().await.unwrap(), (0, 0), "nothing was committed");
        let mut importing = accounts.begin_import().await.unwrap();
        importing.add(&ann, &ann_name).await.unwrap();
        importing.add(&bob, &bob_name).await.unwrap();
        assert!(!importing.is_gone(UserId(9)).await.unwrap());
        importing.add_gone(UserId(9), EPOCH_MS).await.unwrap();
        importing.add_gone(UserId(9), EPOCH_MS).await.unwrap();
        assert!(importing.is_gone(UserId(9)).await.unwrap());
        importing.commit().await.unwrap();
        let mut found = accounts.who(&[ann.user, bob.user, UserId(9)]).await.unwrap();
        found.sort_by_key(|who| who.user);
        assert_eq!(found, [ann.clone(), bob]);
        let account = accounts.user(ann.user).await.unwrap().unwrap();
        assert!(account.in_core && !account.has_password());
        assert!(accounts.has_left(UserId(9)).await.unwrap());
        let mut importing = accounts.begin_import().await.unwrap();
        let (other, same_name) = who(5, "Ann");
        assert!(matches!(importing.add(&other, &same_name).await, Err(AccountsError::NameTaken)));
    }
}
