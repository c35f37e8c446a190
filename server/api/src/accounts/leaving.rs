//! The end of an account: nothing of the person is left, but an id that messages go on to name.

use protocol::UserId;

use super::erasures::{self, History};
use super::{Accounts, AccountsError, lock_user, sql, unsql};
use crate::name::likeness;
use crate::secret;

/// Nobody takes the name of one who left for so long, milliseconds: 90 days. Long enough that friends have heard of it, so
/// that a stranger under the old name, or under one that looks like it, is no trap; not for ever, because a hash of a name is still of a person.
pub const NAME_HELD_MS: u64 = 90 * 24 * 3600 * 1000;

impl Accounts {
    /// Erases an account with its devices, tokens and invites. False when there is none. The core must have been told
    /// before that its devices are no more.
    ///
    /// # Errors
    /// The database's; then nothing was erased.
    pub async fn erase_user(&self, user: UserId, now_ms: u64) -> Result<bool, AccountsError> {
        self.end_user(user, History::Keep, now_ms).await
    }

    /// The same, and says what becomes of the messages: where they are erased that begins in the same transaction.
    ///
    /// # Errors
    /// The database's; then nothing was erased.
    pub async fn end_user(&self, user: UserId, history: History, now_ms: u64) -> Result<bool, AccountsError> {
        let mut transaction = self.pool.begin().await?;
        lock_user(&mut transaction, user).await?;
        let name = sqlx::query_as::<_, (String,)>("SELECT folded FROM users WHERE user_id = $1");
        let name = name.bind(sql(user.0)).fetch_optional(&mut *transaction).await?;
        let Some((folded,)) = name else { return Ok(false) };
        let gone = sqlx::query("INSERT INTO gone_users (user_id, gone_ms, name_hash) VALUES ($1, $2, $3)");
        let gone = gone.bind(sql(user.0)).bind(sql(now_ms)).bind(secret::kept_text(&likeness(&folded)));
        gone.execute(&mut *transaction).await?;
        if history == History::Erase {
            let begin = sqlx::query(erasures::BEGIN).bind(sql(user.0)).bind(sql(now_ms));
            begin.execute(&mut *transaction).await?;
        }
        for delete in [
            "DELETE FROM invites WHERE made_by = $1",
            "DELETE FROM reports WHERE reporter = $1",
            "DELETE FROM relations WHERE user_id = $1 OR other_id = $1",
            "DELETE FROM devices WHERE user_id = $1",
            "DELETE FROM users WHERE user_id = $1",
        ] {
            sqlx::query(delete).bind(sql(user.0)).execute(&mut *transaction).await?;
        }
        let free =
            sqlx::query("UPDATE gone_users SET name_hash = '' WHERE gone_ms <= $1 AND name_hash <> ''");
        free.bind(sql(now_ms.saturating_sub(NAME_HELD_MS))).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Of these users, those who left: the core knows their ids for ever.
    ///
    /// # Errors
    /// The database's.
    pub async fn has_left(&self, user: UserId) -> Result<bool, AccountsError> {
        let query = sqlx::query_as::<_, (i64,)>("SELECT user_id FROM gone_users WHERE user_id = $1");
        let found = query.bind(sql(user.0)).fetch_optional(&self.pool).await?;
        Ok(found.is_some_and(|(found,)| unsql(found) == user.0))
    }

    /// Gives the user another password, whatever the old one was. The devices are the caller's to end.
    ///
    /// # Errors
    /// The database's.
    pub async fn reset_password(&self, user: UserId, new_hash: &str) -> Result<(), AccountsError> {
        let update = sqlx::query("UPDATE users SET password_hash = $2 WHERE user_id = $1");
        update.bind(sql(user.0)).bind(new_hash).execute(&self.pool).await?;
        Ok(())
    }

    /// Changes what the user shows; `None` leaves a part as it is.
    ///
    /// # Errors
    /// The database's; then nothing was changed.
    pub async fn set_profile(
        &self,
        user: UserId,
        display_name: Option<&str>,
        about: Option<&str>,
    ) -> Result<(), AccountsError> {
        let mut transaction = self.pool.begin().await?;
        for (update, text) in [
            ("UPDATE users SET display_name = $2 WHERE user_id = $1", display_name),
            ("UPDATE users SET about = $2 WHERE user_id = $1", about),
        ] {
            if let Some(text) = text {
                sqlx::query(update).bind(sql(user.0)).bind(text).execute(&mut *transaction).await?;
            }
        }
        Ok(transaction.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Invited, NewReport, Which};
    use super::*;
    use crate::Lifetimes;
    use crate::database::Database;
    use crate::name::Name;
    use crate::snowflake::EPOCH_MS;
    use protocol::DeviceId;

    on_both! {
        nothing_of_the_person_is_left
        the_name_is_held_for_a_while
    }

    const NOW_MS: u64 = EPOCH_MS + 1_000_000;

    async fn nothing_of_the_person_is_left(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let lifetimes = Lifetimes { refresh_ms: 1000, login_ms: 1000 };
        let mut users = Vec::new();
        for (name, device) in [("alice", 1), ("bob", 2)] {
            let user = accounts.create_user(&Name::parse(name).unwrap(), "hash", NOW_MS).await.unwrap();
            assert!(accounts.adopt_device(user, DeviceId(device), NOW_MS).await.unwrap());
            let token = accounts.begin_family(DeviceId(device), lifetimes, NOW_MS).await.unwrap().token;
            let invited = Invited { made_by: Some(user), uses: 1, expires_ms: NOW_MS + 9, open_max: 5 };
            accounts.create_invite(invited, NOW_MS).await.unwrap().unwrap();
            let (channel, seq) = (protocol::ChannelId((1 << 64) | 2), protocol::Seq(1));
            let (reporter, reason) = (Some(user), "rude".to_owned());
            let report = NewReport { reporter, channel, seq, sender: UserId(9), reason };
            accounts.report(&report, NOW_MS).await.unwrap();
            users.push((user, token));
        }
        assert!(accounts.erase_user(users[0].0, NOW_MS).await.unwrap());
        assert!(!accounts.erase_user(users[0].0, NOW_MS).await.unwrap(), "repeatable");
        assert!(accounts.user(users[0].0).await.unwrap().is_none());
        assert!(accounts.family(&users[0].1).await.unwrap().is_none());
        assert!(
            accounts.has_left(users[0].0).await.unwrap() && !accounts.has_left(users[1].0).await.unwrap()
        );
        // Nobody else's.
        assert!(accounts.family(&users[1].1).await.unwrap().is_some());
        assert_eq!(accounts.count().await.unwrap(), (1, 1));
        let reports = accounts.reports(Which::All, 0, 9).await.unwrap();
        assert_eq!(reports.iter().map(|report| report.of.reporter).collect::<Vec<_>>(), [Some(users[1].0)]);
        let invites = accounts.invites(None, 0, 9).await.unwrap();
        assert_eq!(invites.iter().map(|invite| invite.made_by).collect::<Vec<_>>(), [Some(users[1].0)]);
    }

    async fn the_name_is_held_for_a_while(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let make = async |name: &str, now_ms| {
            accounts.create_user(&Name::parse(name).unwrap(), "hash", now_ms).await
        };
        let first = make("Alice", NOW_MS).await.unwrap();
        accounts.erase_user(first, NOW_MS).await.unwrap();
        for now_ms in [NOW_MS, NOW_MS + NAME_HELD_MS - 1] {
            for name in ["ALICE", "a1ice", "aIice"] {
                assert!(matches!(make(name, now_ms).await, Err(AccountsError::NameTaken)), "{name}");
            }
        }
        assert!(make("alice2", NOW_MS).await.is_ok());
        let second = make("alice", NOW_MS + NAME_HELD_MS).await.unwrap();
        assert_ne!(first, second);
        // Held once more, from the second's end on.
        accounts.erase_user(second, NOW_MS + 2 * NAME_HELD_MS).await.unwrap();
        assert!(matches!(make("alice", NOW_MS + 2 * NAME_HELD_MS + 1).await, Err(AccountsError::NameTaken)));
    }
}
