//! Bots: users that are programs, each with an owner, and their tokens. A token is a device of its bot, so that it ends as
//! every device does: first in the core, then here.

use protocol::{DeviceId, UserId};

use super::{Accounts, AccountsError, insert_user, lock_user, sql, unsql};
use crate::bot_token::{BotToken, Scopes};
use crate::name::Name;

/// No password hashes to this; not what accounts made in bulk have, which an operator takes over by their names.
const NO_PASSWORD: &str = "!bot";

/// A bot as SQL has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bot {
    /// Which user it is.
    pub user: UserId,
    /// Its name.
    pub name: String,
    /// Whose it is; `None`: the operator's.
    pub owner: Option<UserId>,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_ms: u64,
}

/// A bot's token as SQL has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TokenRecord {
    pub(crate) device: DeviceId,
    pub(crate) name: String,
    pub(crate) scopes: Scopes,
    pub(crate) created_ms: u64,
    /// When it was last used, to the hour; 0: never.
    pub(crate) seen_ms: u64,
}

/// Who shows a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shows {
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    pub(crate) scopes: Scopes,
    pub(crate) not_before_ms: u64,
    pub(crate) seen_ms: u64,
}

type Row = (i64, String, i64, i64);

impl Accounts {
    /// Makes a bot; `None` when its owner has as many as may be. The operator has no bound.
    ///
    /// # Errors
    /// [`AccountsError::NameTaken`], or the database's.
    pub(crate) async fn create_bot(
        &self,
        owner: Option<UserId>,
        name: &Name,
        most: u32,
        now_ms: u64,
    ) -> Result<Option<UserId>, AccountsError> {
        let user = UserId(self.new_id(now_ms).await?);
        let mut transaction = self.pool.begin().await?;
        if let Some(owner) = owner {
            lock_user(&mut transaction, owner).await?;
            let count = sqlx::query_as::<_, (i64,)>("SELECT COUNT(*) FROM bots WHERE owner_id = $1");
            let (count,) = count.bind(sql(owner.0)).fetch_one(&mut *transaction).await?;
            if count >= i64::from(most) {
                return Ok(None);
            }
        }
        insert_user(&mut transaction, user, name, NO_PASSWORD, now_ms).await?;
        let insert = sqlx::query("INSERT INTO bots (user_id, owner_id, created_ms) VALUES ($1, $2, $3)");
        let insert = insert.bind(sql(user.0)).bind(sql(owner.map_or(0, |owner| owner.0))).bind(sql(now_ms));
        insert.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Some(user))
    }

    /// Takes back a bot that was made just now and that nobody was told of: its name is free again.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn unmake_bot(&self, user: UserId) -> Result<(), AccountsError> {
        let mut transaction = self.pool.begin().await?;
        for delete in ["DELETE FROM devices WHERE user_id = $1", "DELETE FROM users WHERE user_id = $1"] {
            sqlx::query(delete).bind(sql(user.0)).execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Up to `limit` bots with an id above `after`, rising: those of one owner, or everybody's.
    ///
    /// # Errors
    /// The database's.
    pub async fn bots(&self, of: Option<UserId>, after: u64, limit: u32) -> Result<Vec<Bot>, AccountsError> {
        let query = sqlx::query_as::<_, Row>(
            "SELECT bots.user_id, users.name, bots.owner_id, bots.created_ms \
             FROM bots JOIN users ON users.user_id = bots.user_id \
             WHERE bots.user_id > $1 AND (bots.owner_id = $2 OR $3 = 1) ORDER BY bots.user_id LIMIT $4",
        );
        let query = query.bind(sql(after)).bind(sql(of.map_or(0, |owner| owner.0)));
        let query = query.bind(i64::from(of.is_none())).bind(i64::from(limit));
        Ok(query.fetch_all(&self.pool).await?.into_iter().map(bot).collect())
    }

    /// The bot that a user is, if it is one.
    ///
    /// # Errors
    /// The database's.
    pub async fn bot(&self, user: UserId) -> Result<Option<Bot>, AccountsError> {
        let query = sqlx::query_as::<_, Row>(
            "SELECT bots.user_id, users.name, bots.owner_id, bots.created_ms \
             FROM bots JOIN users ON users.user_id = bots.user_id WHERE bots.user_id = $1",
        );
        Ok(query.bind(sql(user.0)).fetch_optional(&self.pool).await?.map(bot))
    }

    /// A new token of a bot, and so a device of it, unless the bot has `most` already.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn add_bot_token(
        &self,
        bot: UserId,
        name: &str,
        scopes: Scopes,
        most: u32,
        now_ms: u64,
    ) -> Result<Option<(DeviceId, BotToken)>, AccountsError> {
        let device = DeviceId(self.new_id(now_ms).await?);
        let token = BotToken::fresh().map_err(|_| AccountsError::Ids("the system gave no random bytes"))?;
        let mut transaction = self.pool.begin().await?;
        lock_user(&mut transaction, bot).await?;
        let insert = sqlx::query(
            "INSERT INTO devices (device_id, user_id, created_ms, name) SELECT $1, $2, $3, $5 \
             WHERE (SELECT COUNT(*) FROM devices WHERE user_id = $2) < $4",
        );
        let insert = insert.bind(sql(device.0)).bind(sql(bot.0)).bind(sql(now_ms)).bind(i64::from(most));
        if insert.bind(name).execute(&mut *transaction).await?.rows_affected() != 1 {
            return Ok(None);
        }
        let insert =
            sqlx::query("INSERT INTO bot_tokens (device_id, token_hash, scopes) VALUES ($1, $2, $3)");
        let insert = insert.bind(sql(device.0)).bind(token.hash()).bind(scopes.bits());
        insert.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Some((device, token)))
    }

    /// The tokens of a bot, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn bot_tokens(&self, bot: UserId) -> Result<Vec<TokenRecord>, AccountsError> {
        let query = sqlx::query_as::<_, (i64, String, i64, i64, i64)>(
            "SELECT devices.device_id, devices.name, bot_tokens.scopes, devices.created_ms, devices.seen_ms \
             FROM bot_tokens JOIN devices ON devices.device_id = bot_tokens.device_id \
             WHERE devices.user_id = $1 ORDER BY devices.device_id",
        );
        let rows = query.bind(sql(bot.0)).fetch_all(&self.pool).await?;
        let record = |(device, name, scopes, created_ms, seen_ms)| TokenRecord {
            device: DeviceId(unsql(device)),
            name,
            scopes: Scopes::of_bits(scopes),
            created_ms: unsql(created_ms),
            seen_ms: unsql(seen_ms),
        };
        Ok(rows.into_iter().map(record).collect())
    }

    /// Whose a token is; `None` for one that is nobody's, or was revoked.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn bot_by_token(&self, token: &BotToken) -> Result<Option<Shows>, AccountsError> {
        let query = sqlx::query_as::<_, (i64, i64, i64, i64, i64)>(
            "SELECT users.user_id, devices.device_id, bot_tokens.scopes, users.not_before_ms, devices.seen_ms \
             FROM bot_tokens JOIN devices ON devices.device_id = bot_tokens.device_id \
             JOIN users ON users.user_id = devices.user_id WHERE bot_tokens.token_hash = $1",
        );
        let found = query.bind(token.hash()).fetch_optional(&self.pool).await?;
        Ok(found.map(|(user, device, scopes, not_before_ms, seen_ms)| Shows {
            user: UserId(unsql(user)),
            device: DeviceId(unsql(device)),
            scopes: Scopes::of_bits(scopes),
            not_before_ms: unsql(not_before_ms),
            seen_ms: unsql(seen_ms),
        }))
    }
}

fn bot((user, name, owner, created_ms): Row) -> Bot {
    let owner = (owner != 0).then_some(UserId(unsql(owner)));
    Bot { user: UserId(unsql(user)), name, owner, created_ms: unsql(created_ms) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::snowflake::EPOCH_MS;

    on_both! {
        an_owner_has_so_many_bots_and_a_bot_so_many_tokens
        a_token_is_known_until_its_device_ends
    }

    const NOW_MS: u64 = EPOCH_MS + 1_000_000;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    async fn an_owner_has_so_many_bots_and_a_bot_so_many_tokens(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let alice = accounts.create_user(&name("alice"), "hash", NOW_MS).await.unwrap();
        let mut making = tokio::task::JoinSet::new();
        for number in 0..8 {
            let accounts = accounts.clone();
            making.spawn(async move {
                accounts.create_bot(Some(alice), &name(&format!("bot{number}x")), 3, NOW_MS).await.unwrap()
            });
        }
        let made: Vec<UserId> = making.join_all().await.into_iter().flatten().collect();
        assert_eq!(made.len(), 3);
        let taken = accounts.create_bot(None, &name("Alice"), 0, NOW_MS).await;
        assert!(matches!(taken, Err(AccountsError::NameTaken)), "{taken:?}");
        let theirs = accounts.create_bot(None, &name("siren"), 0, NOW_MS).await.unwrap().unwrap();
        assert_eq!(accounts.bots(Some(alice), 0, 9).await.unwrap().len(), 3);
        let all = accounts.bots(None, 0, 9).await.unwrap();
        assert_eq!(
            all.iter().filter(|bot| bot.owner.is_none()).map(|bot| bot.user).collect::<Vec<_>>(),
            [theirs]
        );
        assert_eq!(accounts.bots(None, all[2].user.0, 9).await.unwrap(), all[3..]);
        assert_eq!(accounts.bot(alice).await.unwrap(), None);
        assert_eq!(accounts.bot(made[0]).await.unwrap().unwrap().owner, Some(alice));
        // An operator who makes accounts in bulk does not take a bot over by its name.
        let bulk = accounts.create_in_bulk(&[name("siren")], 1, NOW_MS).await;
        assert!(matches!(bulk, Err(AccountsError::NameTaken)), "{bulk:?}");

        let mut adding = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let accounts = accounts.clone();
            adding.spawn(async move {
                accounts.add_bot_token(theirs, "t", Scopes::all(), 2, NOW_MS).await.unwrap()
            });
        }
        assert_eq!(adding.join_all().await.into_iter().flatten().count(), 2);
        assert_eq!(accounts.bot_tokens(theirs).await.unwrap().len(), 2);
    }

    async fn a_token_is_known_until_its_device_ends(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let bot = accounts.create_bot(None, &name("siren"), 0, NOW_MS).await.unwrap().unwrap();
        let scopes = Scopes::parse(&["send".to_owned()]).unwrap();
        let (device, token) = accounts.add_bot_token(bot, "ci", scopes, 9, NOW_MS).await.unwrap().unwrap();
        let shows = accounts.bot_by_token(&token).await.unwrap().unwrap();
        assert_eq!((shows.user, shows.device, shows.scopes), (bot, device, scopes));
        assert_eq!(accounts.bot_by_token(&BotToken::fresh().unwrap()).await.unwrap(), None);
        accounts.remove_device(bot, device).await.unwrap();
        assert_eq!(accounts.bot_by_token(&token).await.unwrap(), None);
        let (_, token) = accounts.add_bot_token(bot, "ci", scopes, 9, NOW_MS).await.unwrap().unwrap();
        assert!(accounts.erase_user(bot, NOW_MS).await.unwrap());
        assert_eq!(accounts.bot_by_token(&token).await.unwrap(), None);
        assert!(accounts.bots(None, 0, 9).await.unwrap().is_empty());
    }
}
