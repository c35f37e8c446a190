//! Whom an issuer of JWTs names, and which user that is. An identity is one user's; a user may have several, of whatever
//! issuers, and goes by each of them.

use protocol::UserId;
use sqlx::AnyConnection;

use super::{Account, Accounts, AccountsError, ISSUERS_PASSWORD, insert_user, sql, unsql};
use crate::name::Name;

/// What came of a first sight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FirstSight {
    /// The account was made.
    Made(UserId),
    /// Another request was first; the identity is this user's.
    Known(UserId),
}

impl Accounts {
    /// The account of one whom an issuer names.
    ///
    /// # Errors
    /// The database's.
    pub async fn user_by_identity(
        &self,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<Account>, AccountsError> {
        match owner(&mut *self.pool.acquire().await?, issuer, subject).await? {
            Some(user) => self.user(user).await,
            None => Ok(None),
        }
    }

    /// Makes an account without a password for one whom an issuer names.
    ///
    /// # Errors
    /// [`AccountsError::NameTaken`], or the database's; then nothing was made.
    pub(crate) async fn create_identified_user(
        &self,
        name: &Name,
        display_name: &str,
        (issuer, subject): (&str, &str),
        now_ms: u64,
    ) -> Result<FirstSight, AccountsError> {
        let user = UserId(self.new_id(now_ms).await?);
        let mut transaction = self.pool.begin().await?;
        insert_user(&mut transaction, user, name, ISSUERS_PASSWORD, now_ms).await?;
        if !identify(&mut transaction, user, issuer, subject, now_ms).await? {
            transaction.rollback().await?;
            let first = owner(&mut *self.pool.acquire().await?, issuer, subject).await?;
            return first.map(FirstSight::Known).ok_or(AccountsError::NameTaken);
        }
        if !display_name.is_empty() {
            let update = sqlx::query("UPDATE users SET display_name = $2 WHERE user_id = $1");
            update.bind(sql(user.0)).bind(display_name).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(FirstSight::Made(user))
    }

    /// Lets one whom an issuer names in as this user from now on. Whether it is so: an identity that is somebody else's stays
    /// that one's.
    ///
    /// # Errors
    /// The database's.
    pub async fn link(
        &self,
        user: UserId,
        issuer: &str,
        subject: &str,
        now_ms: u64,
    ) -> Result<bool, AccountsError> {
        let mut connection = self.pool.acquire().await?;
        if identify(&mut connection, user, issuer, subject, now_ms).await? {
            return Ok(true);
        }
        Ok(owner(&mut connection, issuer, subject).await? == Some(user))
    }

    /// No longer lets one whom an issuer names in as this user. Whether it did. Devices stay logged in.
    ///
    /// # Errors
    /// The database's.
    pub async fn unlink(&self, user: UserId, issuer: &str, subject: &str) -> Result<bool, AccountsError> {
        let delete =
            sqlx::query("DELETE FROM identities WHERE issuer = $1 AND subject = $2 AND user_id = $3");
        let delete = delete.bind(issuer).bind(subject).bind(sql(user.0));
        Ok(delete.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Every identity of a user: issuer and subject.
    ///
    /// # Errors
    /// The database's.
    pub async fn identities(&self, user: UserId) -> Result<Vec<(String, String)>, AccountsError> {
        let query = sqlx::query_as::<_, (String, String)>(
            "SELECT issuer, subject FROM identities WHERE user_id = $1 ORDER BY issuer, subject",
        );
        Ok(query.bind(sql(user.0)).fetch_all(&self.pool).await?)
    }
}

/// Whether the identity was nobody's.
async fn identify(
    connection: &mut AnyConnection,
    user: UserId,
    issuer: &str,
    subject: &str,
    now_ms: u64,
) -> Result<bool, AccountsError> {
    let insert = sqlx::query(
        "INSERT INTO identities (issuer, subject, user_id, created_ms) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (issuer, subject) DO NOTHING",
    );
    let insert = insert.bind(issuer).bind(subject).bind(sql(user.0)).bind(sql(now_ms));
    Ok(insert.execute(connection).await?.rows_affected() == 1)
}

async fn owner(
    connection: &mut AnyConnection,
    issuer: &str,
    subject: &str,
) -> Result<Option<UserId>, AccountsError> {
    let query =
        sqlx::query_as::<_, (i64,)>("SELECT user_id FROM identities WHERE issuer = $1 AND subject = $2");
    let found = query.bind(issuer).bind(subject).fetch_optional(connection).await?;
    Ok(found.map(|(user,)| UserId(unsql(user))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::snowflake::EPOCH_MS;

    on_both! {
        an_identity_is_one_users
        of_many_first_sights_at_once_one_makes_the_account
        it_goes_with_its_user
    }

    const NOW_MS: u64 = EPOCH_MS + 1_000_000;
    const ISSUER: &str = "https://id.example.org";

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    async fn made(accounts: &Accounts, shown: &str, subject: &str) -> Result<FirstSight, AccountsError> {
        accounts.create_identified_user(&name(shown), "Shown", (ISSUER, subject), NOW_MS).await
    }

    async fn an_identity_is_one_users(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let FirstSight::Made(alice) = made(&accounts, "alice", "A").await.unwrap() else { panic!() };
        let account = accounts.user_by_identity(ISSUER, "A").await.unwrap().unwrap();
        assert_eq!((account.user, account.display_name.as_str()), (alice, "Shown"));
        assert!(!account.has_password());
        // Byte by byte, and by issuer.
        for (issuer, subject) in [(ISSUER, "a"), (ISSUER, "A "), ("https://id.example.org/", "A")] {
            assert!(accounts.user_by_identity(issuer, subject).await.unwrap().is_none());
        }
        assert!(matches!(made(&accounts, "alice", "B").await, Err(AccountsError::NameTaken)));
        assert_eq!(made(&accounts, "other", "A").await.unwrap(), FirstSight::Known(alice));
        assert!(accounts.user_by_name(&name("other")).await.unwrap().is_none(), "nothing was made");
        let bob = accounts.create_user(&name("bob"), "hash", NOW_MS).await.unwrap();
        assert!(!accounts.link(bob, ISSUER, "A", NOW_MS).await.unwrap());
        assert!(accounts.link(bob, ISSUER, "B", NOW_MS).await.unwrap());
        assert!(accounts.link(bob, ISSUER, "B", NOW_MS).await.unwrap(), "repeatable");
        assert!(accounts.link(bob, "other", "B", NOW_MS).await.unwrap());
        assert_eq!(accounts.identities(bob).await.unwrap().len(), 2);
        assert!(!accounts.unlink(alice, ISSUER, "B").await.unwrap());
        assert!(accounts.unlink(bob, ISSUER, "B").await.unwrap());
        assert!(accounts.user_by_identity(ISSUER, "B").await.unwrap().is_none());
        assert!(accounts.check().await.unwrap().is_empty());
    }

    async fn of_many_first_sights_at_once_one_makes_the_account(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..8 {
            let accounts = accounts.clone();
            tasks.spawn(async move { made(&accounts, &format!("name{number}"), "A").await.unwrap() });
        }
        let outcomes = tasks.join_all().await;
        let makers = outcomes.iter().filter(|outcome| matches!(outcome, FirstSight::Made(_))).count();
        assert_eq!((makers, accounts.count().await.unwrap()), (1, (1, 0)), "{outcomes:?}");
    }

    async fn it_goes_with_its_user(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let FirstSight::Made(first) = made(&accounts, "alice", "A").await.unwrap() else { panic!() };
        assert!(accounts.erase_user(first, NOW_MS).await.unwrap());
        assert!(accounts.user_by_identity(ISSUER, "A").await.unwrap().is_none());
        assert!(accounts.identities(first).await.unwrap().is_empty());
        assert!(matches!(made(&accounts, "alice", "A").await, Err(AccountsError::NameTaken)), "it is held");
        let FirstSight::Made(second) = made(&accounts, "alice2", "A").await.unwrap() else { panic!() };
        assert_ne!(first, second);
    }
}
