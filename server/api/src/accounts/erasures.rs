//! Users without an account whose messages are being erased: what is to be done is kept here, so that it outlives the process.

use protocol::UserId;

use super::{Accounts, AccountsError, sql, unsql};

/// What becomes of the messages of a user whose account ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum History {
    /// They stay, under an id that nobody has any more.
    #[default]
    Keep,
    /// They are erased.
    Erase,
}

/// The erasure of one user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Erasure {
    /// Who.
    pub user: UserId,
    /// When it began.
    pub begun_ms: u64,
    /// When all channels had been gone through for the first time.
    pub through_ms: Option<u64>,
    /// When nothing was left.
    pub done_ms: Option<u64>,
}

type Row = (i64, i64, i64, i64);

fn erasure((user, begun_ms, through_ms, done_ms): Row) -> Erasure {
    let time = |ms| Some(unsql(ms)).filter(|ms| *ms > 0);
    Erasure {
        user: UserId(unsql(user)),
        begun_ms: unsql(begun_ms),
        through_ms: time(through_ms),
        done_ms: time(done_ms),
    }
}

/// Begins one, or lets one that had ended begin again; one that is under way goes on.
pub(super) const BEGIN: &str = "INSERT INTO erasures (user_id, begun_ms, through_ms, done_ms) VALUES ($1, $2, 0, 0) \
     ON CONFLICT (user_id) DO UPDATE SET begun_ms = $2, through_ms = 0, done_ms = 0 WHERE erasures.done_ms > 0";

impl Accounts {
    /// Begins the erasure of a user who has left. Where one has ended before it goes through all channels once more.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin_erasure(&self, user: UserId, now_ms: u64) -> Result<(), AccountsError> {
        sqlx::query(BEGIN).bind(sql(user.0)).bind(sql(now_ms)).execute(&self.pool).await?;
        Ok(())
    }

    /// One of them.
    ///
    /// # Errors
    /// The database's.
    pub async fn erasure(&self, user: UserId) -> Result<Option<Erasure>, AccountsError> {
        let query = "SELECT user_id, begun_ms, through_ms, done_ms FROM erasures WHERE user_id = $1";
        let row = sqlx::query_as::<_, Row>(query).bind(sql(user.0)).fetch_optional(&self.pool).await?;
        Ok(row.map(erasure))
    }

    /// Those behind `after`, rising by user.
    ///
    /// # Errors
    /// The database's.
    pub async fn erasures(&self, after: u64, limit: u32) -> Result<Vec<Erasure>, AccountsError> {
        let query = "SELECT user_id, begun_ms, through_ms, done_ms FROM erasures WHERE user_id > $1 \
                     ORDER BY user_id LIMIT $2";
        let rows = sqlx::query_as::<_, Row>(query).bind(sql(after)).bind(i64::from(limit));
        Ok(rows.fetch_all(&self.pool).await?.into_iter().map(erasure).collect())
    }

    /// Those behind `after` that are under way, rising by user.
    ///
    /// # Errors
    /// The database's.
    pub async fn erasures_under_way(&self, after: UserId, limit: u32) -> Result<Vec<Erasure>, AccountsError> {
        let query = "SELECT user_id, begun_ms, through_ms, done_ms FROM erasures WHERE done_ms = 0 AND user_id > $1 \
                     ORDER BY user_id LIMIT $2";
        let rows = sqlx::query_as::<_, Row>(query).bind(sql(after.0)).bind(i64::from(limit));
        Ok(rows.fetch_all(&self.pool).await?.into_iter().map(erasure).collect())
    }

    /// All channels were gone through; for the first time if it was not said before.
    ///
    /// # Errors
    /// The database's.
    pub async fn erased_through(&self, user: UserId, now_ms: u64) -> Result<(), AccountsError> {
        let update = "UPDATE erasures SET through_ms = $2 WHERE user_id = $1 AND through_ms = 0";
        sqlx::query(update).bind(sql(user.0)).bind(sql(now_ms)).execute(&self.pool).await?;
        Ok(())
    }

    /// Nothing is left.
    ///
    /// # Errors
    /// The database's.
    pub async fn erasure_done(&self, user: UserId, now_ms: u64) -> Result<(), AccountsError> {
        let update = "UPDATE erasures SET done_ms = $2 WHERE user_id = $1 AND done_ms = 0";
        sqlx::query(update).bind(sql(user.0)).bind(sql(now_ms)).execute(&self.pool).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::name::Name;
    use crate::snowflake::EPOCH_MS;

    on_both! {
        an_erasure_is_kept_until_nothing_is_left
        it_begins_with_the_end_of_an_account_or_not_at_all
    }

    const NOW_MS: u64 = EPOCH_MS + 1_000_000;

    async fn an_erasure_is_kept_until_nothing_is_left(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        for (user, now_ms) in [(5, NOW_MS + 1), (3, NOW_MS)] {
            accounts.begin_erasure(UserId(user), now_ms).await.unwrap();
        }
        let one = Erasure { user: UserId(3), begun_ms: NOW_MS, through_ms: None, done_ms: None };
        assert_eq!(accounts.erasures_under_way(UserId(0), 1).await.unwrap(), [one]);
        let behind = accounts.erasures_under_way(UserId(3), 9).await.unwrap();
        assert_eq!(behind.iter().map(|one| one.user.0).collect::<Vec<_>>(), [5]);
        accounts.begin_erasure(UserId(3), NOW_MS + 9).await.unwrap();
        assert_eq!(accounts.erasure(UserId(3)).await.unwrap(), Some(one), "it is under way already");
        for now_ms in [NOW_MS + 10, NOW_MS + 11] {
            accounts.erased_through(UserId(3), now_ms).await.unwrap();
        }
        accounts.erasure_done(UserId(3), NOW_MS + 20).await.unwrap();
        let (through_ms, done_ms) = (Some(NOW_MS + 10), Some(NOW_MS + 20));
        let done = Erasure { through_ms, done_ms, ..one };
        assert_eq!(accounts.erasure(UserId(3)).await.unwrap(), Some(done));
        let users = |page: Vec<Erasure>| page.into_iter().map(|one| one.user.0).collect::<Vec<_>>();
        assert_eq!(users(accounts.erasures_under_way(UserId(0), 9).await.unwrap()), [5]);
        assert_eq!(users(accounts.erasures(0, 9).await.unwrap()), [3, 5]);
        assert_eq!(users(accounts.erasures(3, 9).await.unwrap()), [5]);
        accounts.begin_erasure(UserId(3), NOW_MS + 30).await.unwrap();
        let again = Erasure { begun_ms: NOW_MS + 30, ..one };
        assert_eq!(accounts.erasure(UserId(3)).await.unwrap(), Some(again));
        assert_eq!(accounts.erasure(UserId(4)).await.unwrap(), None);
    }

    async fn it_begins_with_the_end_of_an_account_or_not_at_all(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        for (name, history) in [("alice", History::Keep), ("bob", History::Erase)] {
            let user = accounts.create_user(&Name::parse(name).unwrap(), "hash", NOW_MS).await.unwrap();
            assert!(accounts.end_user(user, history, NOW_MS).await.unwrap());
            let begun = accounts.erasure(user).await.unwrap();
            assert_eq!(begun.is_some(), history == History::Erase, "{name}");
            assert!(
                !accounts.end_user(user, History::Erase, NOW_MS).await.unwrap(),
                "there is none any more"
            );
            assert_eq!(accounts.erasure(user).await.unwrap(), begun, "{name}");
        }
    }
}
