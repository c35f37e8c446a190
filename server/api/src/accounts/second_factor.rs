//! Second factors as SQL has them. What spends a code is one statement, so no code is good for two.

use protocol::UserId;

use super::{Accounts, AccountsError, sql, unsql};
use crate::totp::Secret;

/// A user's second factor.
#[derive(Clone, Debug)]
pub(crate) struct SecondFactor {
    pub(crate) secret: Secret,
    /// A login asks for it.
    pub(crate) is_on: bool,
}

impl Accounts {
    /// The user's second factor, also one that was begun and not confirmed.
    pub(crate) async fn second_factor(&self, user: UserId) -> Result<Option<SecondFactor>, AccountsError> {
        let query =
            sqlx::query_as::<_, (String, i64)>("SELECT secret, is_on FROM second_factors WHERE user_id = $1");
        let found = query.bind(sql(user.0)).fetch_optional(&self.pool).await?;
        Ok(found.map(|(secret, is_on)| SecondFactor { secret: Secret::stored(secret), is_on: is_on != 0 }))
    }

    /// Begins one, in place of one that was begun before. False: there is one that is on.
    pub(crate) async fn begin_second_factor(
        &self,
        user: UserId,
        secret: &Secret,
    ) -> Result<bool, AccountsError> {
        let insert = sqlx::query(
            "INSERT INTO second_factors (user_id, secret) VALUES ($1, $2) ON CONFLICT (user_id) \
             DO UPDATE SET secret = excluded.secret, last_step = 0 WHERE second_factors.is_on = 0",
        );
        let done = insert.bind(sql(user.0)).bind(secret.base32()).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Turns on what was begun, with its recovery codes; the code of `step` is spent. False: it is another one by now.
    pub(crate) async fn confirm_second_factor(
        &self,
        user: UserId,
        secret: &Secret,
        step: u64,
        hashes: &[String],
    ) -> Result<bool, AccountsError> {
        let mut transaction = self.pool.begin().await?;
        let update = sqlx::query(
            "UPDATE second_factors SET is_on = 1, last_step = $3 WHERE user_id = $1 AND secret = $2 AND is_on = 0",
        );
        let update = update.bind(sql(user.0)).bind(secret.base32()).bind(sql(step));
        if update.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Ok(false);
        }
        replace_recovery_codes(&mut transaction, user, hashes).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Spends the code of a step. False: it, or one of a later step, is spent.
    pub(crate) async fn spend_step(&self, user: UserId, step: u64) -> Result<bool, AccountsError> {
        let update = sqlx::query(
            "UPDATE second_factors SET last_step = $2 WHERE user_id = $1 AND last_step < $2 AND is_on = 1",
        );
        let done = update.bind(sql(user.0)).bind(sql(step)).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Gives back the code of a step that was spent for nothing.
    pub(crate) async fn give_step_back(&self, user: UserId, step: u64) -> Result<(), AccountsError> {
        let update =
            sqlx::query("UPDATE second_factors SET last_step = $2 - 1 WHERE user_id = $1 AND last_step = $2");
        update.bind(sql(user.0)).bind(sql(step)).execute(&self.pool).await?;
        Ok(())
    }

    /// Spends a recovery code. False: there is no such code any more.
    pub(crate) async fn spend_recovery_code(&self, user: UserId, hash: &str) -> Result<bool, AccountsError> {
        let delete = sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1 AND code_hash = $2");
        let done = delete.bind(sql(user.0)).bind(hash).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Gives back a recovery code that was spent for nothing.
    pub(crate) async fn give_recovery_code_back(
        &self,
        user: UserId,
        hash: &str,
    ) -> Result<(), AccountsError> {
        let insert = sqlx::query(
            "INSERT INTO recovery_codes (user_id, code_hash) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        );
        insert.bind(sql(user.0)).bind(hash).execute(&self.pool).await?;
        Ok(())
    }

    /// How many recovery codes are left.
    pub(crate) async fn recovery_codes_left(&self, user: UserId) -> Result<u64, AccountsError> {
        let query = sqlx::query_as::<_, (i64,)>("SELECT COUNT(*) FROM recovery_codes WHERE user_id = $1");
        Ok(unsql(query.bind(sql(user.0)).fetch_one(&self.pool).await?.0))
    }

    /// Other recovery codes in place of those that are left.
    pub(crate) async fn set_recovery_codes(
        &self,
        user: UserId,
        hashes: &[String],
    ) -> Result<(), AccountsError> {
        let mut transaction = self.pool.begin().await?;
        replace_recovery_codes(&mut transaction, user, hashes).await?;
        Ok(transaction.commit().await?)
    }

    /// Forgets the user's second factor with its recovery codes. Whether there was one that was on.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove_second_factor(&self, user: UserId) -> Result<bool, AccountsError> {
        let mut transaction = self.pool.begin().await?;
        let delete = sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1");
        delete.bind(sql(user.0)).execute(&mut *transaction).await?;
        let delete =
            sqlx::query_as::<_, (i64,)>("DELETE FROM second_factors WHERE user_id = $1 RETURNING is_on");
        let was = delete.bind(sql(user.0)).fetch_optional(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(was.is_some_and(|(is_on,)| is_on != 0))
    }
}

async fn replace_recovery_codes(
    connection: &mut sqlx::AnyConnection,
    user: UserId,
    hashes: &[String],
) -> Result<(), AccountsError> {
    let delete = sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1");
    delete.bind(sql(user.0)).execute(&mut *connection).await?;
    for hash in hashes {
        let insert = sqlx::query("INSERT INTO recovery_codes (user_id, code_hash) VALUES ($1, $2)");
        insert.bind(sql(user.0)).bind(hash).execute(&mut *connection).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::name::Name;
    use crate::snowflake::EPOCH_MS;

    on_both! {
        nothing_is_good_for_two
    }

    async fn nothing_is_good_for_two(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let user = accounts.create_user(&Name::parse("alice").unwrap(), "hash", EPOCH_MS + 9).await.unwrap();
        let (first, second) = (Secret::random().unwrap(), Secret::random().unwrap());
        assert!(accounts.begin_second_factor(user, &first).await.unwrap());
        assert!(accounts.begin_second_factor(user, &second).await.unwrap());
        assert!(!accounts.second_factor(user).await.unwrap().unwrap().is_on);
        assert!(!accounts.spend_step(user, 9).await.unwrap(), "it is not on");
        let hashes = ["a".to_owned(), "b".to_owned()];
        assert!(!accounts.confirm_second_factor(user, &first, 10, &hashes).await.unwrap(), "it was replaced");
        assert!(accounts.confirm_second_factor(user, &second, 10, &hashes).await.unwrap());
        assert!(!accounts.confirm_second_factor(user, &second, 11, &hashes).await.unwrap());
        assert!(!accounts.begin_second_factor(user, &first).await.unwrap(), "one that is on stays");
        assert!(accounts.second_factor(user).await.unwrap().unwrap().is_on);

        assert!(!accounts.spend_step(user, 10).await.unwrap(), "the code that confirmed is spent");
        let (one, two) = tokio::join!(accounts.spend_step(user, 11), accounts.spend_step(user, 11));
        assert_ne!(one.unwrap(), two.unwrap());
        assert!(!accounts.spend_step(user, 9).await.unwrap());
        accounts.give_step_back(user, 11).await.unwrap();
        assert!(accounts.spend_step(user, 11).await.unwrap());

        let (one, two) =
            tokio::join!(accounts.spend_recovery_code(user, "a"), accounts.spend_recovery_code(user, "a"));
        assert_ne!(one.unwrap(), two.unwrap());
        assert_eq!(accounts.recovery_codes_left(user).await.unwrap(), 1);
        accounts.give_recovery_code_back(user, "a").await.unwrap();
        accounts.give_recovery_code_back(user, "a").await.unwrap();
        assert_eq!(accounts.recovery_codes_left(user).await.unwrap(), 2);
        accounts.set_recovery_codes(user, &["c".to_owned()]).await.unwrap();
        assert!(!accounts.spend_recovery_code(user, "b").await.unwrap());
        assert!(accounts.remove_second_factor(user).await.unwrap());
        assert!(!accounts.remove_second_factor(user).await.unwrap());
        assert_eq!(accounts.recovery_codes_left(user).await.unwrap(), 0);
        assert!(accounts.second_factor(user).await.unwrap().is_none());
    }
}
