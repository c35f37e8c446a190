//! What people said of each other: friends, requests, blocks, and who may come near them.

use protocol::UserId;
use protocol::commit::{Audience, Policy, Relation};
use sqlx::AnyConnection;

use super::{Accounts, AccountsError, lock_user, sql, unsql};

/// Friends of one user, with those asked.
pub(crate) const FRIENDS_MAX: u64 = 5000;
/// Users that one user blocks.
pub(crate) const BLOCKS_MAX: u64 = 5000;

const ASKED: i64 = 1;
const FRIEND: i64 = 2;

/// How two users stand to each other, as one of them sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// They are friends.
    Friend,
    /// The user has asked the other.
    Asked,
    /// The other has asked the user.
    Asks,
}

/// One of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Other {
    /// Who.
    pub(crate) user: UserId,
    /// The name as its owner wrote it.
    pub(crate) name: String,
    /// In a list of friends.
    pub(crate) standing: Standing,
    /// Since when, milliseconds since the Unix epoch.
    pub(crate) since_ms: u64,
}

/// Why nothing was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RelationFault {
    /// There is no such user.
    NoSuchUser,
    /// The list has its full number.
    Full,
}

/// One row of `relations`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Said {
    friend: i64,
    blocked: bool,
    /// The user's home has confirmed it.
    told: bool,
}

impl Default for Said {
    /// Nothing was said, and nothing is to be told.
    fn default() -> Self {
        Self { friend: 0, blocked: false, told: true }
    }
}

type OtherRow = (i64, String, i64, i64);

impl Accounts {
    /// Asks another to be a friend, or becomes one if the other has asked. Who was blocked by the other is answered the
    /// same; the other does not see it.
    ///
    /// # Errors
    /// The database's; then nothing was changed.
    pub(crate) async fn befriend(
        &self,
        user: UserId,
        other: UserId,
        now_ms: u64,
    ) -> Result<Result<Standing, RelationFault>, AccountsError> {
        let mut transaction = self.pool.begin().await?;
        if !lock_both(&mut transaction, user, other).await? {
            return Ok(Err(RelationFault::NoSuchUser));
        }
        let own = said(&mut transaction, user, other).await?;
        let theirs = said(&mut transaction, other, user).await?;
        if own.friend == FRIEND {
            return Ok(Ok(Standing::Friend));
        }
        let is_answer = theirs.friend == ASKED && !theirs.blocked;
        if own.friend == ASKED && !is_answer {
            return Ok(Ok(Standing::Asked));
        }
        let count = "SELECT COUNT(*) FROM relations WHERE user_id = $1 AND friend > 0";
        if own.friend == 0 && counted(&mut transaction, count, user).await? >= FRIENDS_MAX {
            return Ok(Err(RelationFault::Full));
        }
        let friend = if is_answer { FRIEND } else { ASKED };
        say(&mut transaction, (user, other), Said { friend, ..own }, now_ms).await?;
        if is_answer {
            say(&mut transaction, (other, user), Said { friend, ..theirs }, now_ms).await?;
        }
        transaction.commit().await?;
        Ok(Ok(if is_answer { Standing::Friend } else { Standing::Asked }))
    }

    /// Ends a friendship, takes a request back, or declines one. Repeatable.
    ///
    /// # Errors
    /// The database's; then nothing was changed.
    pub(crate) async fn part(&self, user: UserId, other: UserId, now_ms: u64) -> Result<(), AccountsError> {
        let mut transaction = self.pool.begin().await?;
        lock_both(&mut transaction, user, other).await?;
        for (who, whom) in [(user, other), (other, user)] {
            let before = said(&mut transaction, who, whom).await?;
            if before.friend != 0 {
                say(&mut transaction, (who, whom), Said { friend: 0, ..before }, now_ms).await?;
            }
        }
        Ok(transaction.commit().await?)
    }

    /// Blocks another, or no longer. Repeatable. A friendship is not ended by it.
    ///
    /// # Errors
    /// The database's; then nothing was changed.
    pub(crate) async fn block(
        &self,
        user: UserId,
        other: UserId,
        blocked: bool,
        now_ms: u64,
    ) -> Result<Result<(), RelationFault>, AccountsError> {
        let mut transaction = self.pool.begin().await?;
        if !lock_both(&mut transaction, user, other).await? && blocked {
            return Ok(Err(RelationFault::NoSuchUser));
        }
        let own = said(&mut transaction, user, other).await?;
        let count = "SELECT COUNT(*) FROM relations WHERE user_id = $1 AND blocked = 1";
        if blocked && !own.blocked && counted(&mut transaction, count, user).await? >= BLOCKS_MAX {
            return Ok(Err(RelationFault::Full));
        }
        if own.blocked != blocked {
            say(&mut transaction, (user, other), Said { blocked, ..own }, now_ms).await?;
            transaction.commit().await?;
        }
        Ok(Ok(()))
    }

    /// Up to `limit` friends, and those who were asked or ask, with an id above `after`, rising. Requests of those whom
    /// the user blocks are not among them.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn friends(
        &self,
        user: UserId,
        after: UserId,
        limit: u32,
    ) -> Result<Vec<Other>, AccountsError> {
        let query = sqlx::query_as::<_, OtherRow>(
            "SELECT u.user_id, u.name, r.friend, r.since_ms \
             FROM relations r JOIN users u ON u.user_id = r.other_id \
             WHERE r.user_id = $1 AND r.friend > 0 AND r.other_id > $2 \
             UNION ALL \
             SELECT u.user_id, u.name, 0, r.since_ms \
             FROM relations r JOIN users u ON u.user_id = r.user_id \
             LEFT JOIN relations own ON own.user_id = r.other_id AND own.other_id = r.user_id \
             WHERE r.other_id = $1 AND r.friend = 1 AND r.user_id > $2 \
             AND COALESCE(own.blocked, 0) = 0 AND COALESCE(own.friend, 0) = 0 \
             ORDER BY 1 LIMIT $3",
        );
        let query = query.bind(sql(user.0)).bind(sql(after.0)).bind(i64::from(limit));
        Ok(query.fetch_all(&self.pool).await?.into_iter().map(other).collect())
    }

    /// Up to `limit` of those whom a user blocks with an id above `after`, rising.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn blocks(
        &self,
        user: UserId,
        after: UserId,
        limit: u32,
    ) -> Result<Vec<Other>, AccountsError> {
        let query = sqlx::query_as::<_, OtherRow>(
            "SELECT u.user_id, u.name, r.friend, r.since_ms \
             FROM relations r JOIN users u ON u.user_id = r.other_id \
             WHERE r.user_id = $1 AND r.blocked = 1 AND r.other_id > $2 ORDER BY 1 LIMIT $3",
        );
        let query = query.bind(sql(user.0)).bind(sql(after.0)).bind(i64::from(limit));
        Ok(query.fetch_all(&self.pool).await?.into_iter().map(other).collect())
    }

    /// What a user's home has yet to be told of another, if anything.
    ///
    /// # Errors
    /// The database's.
    pub async fn to_tell(&self, user: UserId, other: UserId) -> Result<Option<Relation>, AccountsError> {
        let mut connection = self.pool.acquire().await?;
        let said = said(&mut connection, user, other).await?;
        Ok((!said.told).then(|| said.relation()))
    }

    /// What a user thinks of another.
    ///
    /// # Errors
    /// The database's.
    pub async fn relation(&self, user: UserId, other: UserId) -> Result<Relation, AccountsError> {
        let mut connection = self.pool.acquire().await?;
        Ok(said(&mut connection, user, other).await?.relation())
    }

    /// The user's home knows this of the other; if that is still so, it need not be told again.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_told(
        &self,
        user: UserId,
        other: UserId,
        relation: Relation,
    ) -> Result<(), AccountsError> {
        for sentence in [
            "DELETE FROM relations WHERE user_id = $1 AND other_id = $2 AND friend = 0 AND blocked = 0 \
             AND $3 = 0 AND $4 = 0",
            "UPDATE relations SET told = 1 WHERE user_id = $1 AND other_id = $2 AND blocked = $3 \
             AND (CASE WHEN friend = 2 THEN 1 ELSE 0 END) = $4",
        ] {
            let query = sqlx::query(sentence).bind(sql(user.0)).bind(sql(other.0));
            let query = query.bind(i64::from(relation.is_blocked)).bind(i64::from(relation.is_friend));
            query.execute(&self.pool).await?;
        }
        Ok(())
    }

    /// Up to `limit` relations that homes have not confirmed.
    ///
    /// # Errors
    /// The database's.
    pub async fn untold(&self, limit: u32) -> Result<Vec<(UserId, UserId)>, AccountsError> {
        let query = sqlx::query_as::<_, (i64, i64)>(
            "SELECT user_id, other_id FROM relations WHERE told = 0 ORDER BY user_id, other_id LIMIT $1",
        );
        let rows = query.bind(i64::from(limit)).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|(user, other)| (UserId(unsql(user)), UserId(unsql(other)))).collect())
    }

    /// Who may come near a user; `None`: there is no such user.
    ///
    /// # Errors
    /// The database's.
    pub async fn policy(&self, user: UserId) -> Result<Option<Policy>, AccountsError> {
        let query = sqlx::query_as::<_, (i64, i64, i64, i64)>(
            "SELECT may_message, may_add, may_see, hides_receipts FROM users WHERE user_id = $1",
        );
        let row = query.bind(sql(user.0)).fetch_optional(&self.pool).await?;
        Ok(row.map(|(message, add, see, hides)| Policy {
            message: audience(message),
            add: audience(add),
            see: audience(see),
            hides_receipts: hides != 0,
        }))
    }

    /// Changes it. Its home is to be told.
    ///
    /// # Errors
    /// The database's; then nothing was changed.
    pub async fn set_policy(&self, user: UserId, policy: Policy) -> Result<(), AccountsError> {
        let update = sqlx::query(
            "UPDATE users SET may_message = $2, may_add = $3, may_see = $4, hides_receipts = $5, policy_told = 0 \
             WHERE user_id = $1",
        );
        let [message, add, see, hides] = numbers(policy);
        let update = update.bind(sql(user.0)).bind(message).bind(add).bind(see).bind(hides);
        update.execute(&self.pool).await?;
        Ok(())
    }

    /// The user's home knows this policy; if it is still that one, it need not be told again.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_policy_told(&self, user: UserId, policy: Policy) -> Result<(), AccountsError> {
        let update = sqlx::query(
            "UPDATE users SET policy_told = 1 \
             WHERE user_id = $1 AND may_message = $2 AND may_add = $3 AND may_see = $4 AND hides_receipts = $5",
        );
        let [message, add, see, hides] = numbers(policy);
        let update = update.bind(sql(user.0)).bind(message).bind(add).bind(see).bind(hides);
        update.execute(&self.pool).await?;
        Ok(())
    }

    /// Up to `limit` users whose homes have not confirmed their policies.
    ///
    /// # Errors
    /// The database's.
    pub async fn untold_policies(&self, limit: u32) -> Result<Vec<UserId>, AccountsError> {
        let query = sqlx::query_as::<_, (i64,)>(
            "SELECT user_id FROM users WHERE policy_told = 0 ORDER BY user_id LIMIT $1",
        );
        let rows = query.bind(i64::from(limit)).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|(user,)| UserId(unsql(user))).collect())
    }

    /// Whether `viewer` may see more of a user than the name. Users see themselves.
    ///
    /// # Errors
    /// The database's.
    pub async fn may_see(&self, viewer: UserId, user: UserId) -> Result<bool, AccountsError> {
        if viewer == user {
            return Ok(true);
        }
        let Some(policy) = self.policy(user).await? else { return Ok(false) };
        Ok(self.relation(user, viewer).await?.is_of(policy.see))
    }
}

impl Said {
    fn relation(self) -> Relation {
        Relation { is_friend: self.friend == FRIEND, is_blocked: self.blocked }
    }
}

/// A policy as its columns.
fn numbers(policy: Policy) -> [i64; 4] {
    let Policy { message, add, see, hides_receipts } = policy;
    [message as i64, add as i64, see as i64, i64::from(hides_receipts)]
}

/// In the order of their ids, so that two who change each other at once do not wait for each other. False when one of them
/// does not exist.
async fn lock_both(connection: &mut AnyConnection, user: UserId, other: UserId) -> Result<bool, sqlx::Error> {
    for user in [user.min(other), user.max(other)] {
        lock_user(connection, user).await?;
    }
    let query = sqlx::query_as::<_, (i64,)>("SELECT COUNT(*) FROM users WHERE user_id = $1 OR user_id = $2");
    let (found,) = query.bind(sql(user.0)).bind(sql(other.0)).fetch_one(connection).await?;
    Ok(found == 2)
}

async fn said(connection: &mut AnyConnection, user: UserId, other: UserId) -> Result<Said, sqlx::Error> {
    let query = sqlx::query_as::<_, (i64, i64, i64)>(
        "SELECT friend, blocked, told FROM relations WHERE user_id = $1 AND other_id = $2",
    );
    let row = query.bind(sql(user.0)).bind(sql(other.0)).fetch_optional(connection).await?;
    let said = row.map(|(friend, blocked, told)| Said { friend, blocked: blocked != 0, told: told != 0 });
    Ok(said.unwrap_or_default())
}

/// A row that says something of which no home knows counts as told: a request is not a home's business.
async fn say(
    connection: &mut AnyConnection,
    (user, other): (UserId, UserId),
    new: Said,
    now_ms: u64,
) -> Result<(), sqlx::Error> {
    let before = said(connection, user, other).await?;
    let new = Said { told: before.told && before.relation() == new.relation(), ..new };
    let query = sqlx::query(
        "INSERT INTO relations (user_id, other_id, friend, blocked, since_ms, told) \
         VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (user_id, other_id) DO UPDATE SET friend = excluded.friend, blocked = excluded.blocked, \
         since_ms = excluded.since_ms, told = excluded.told",
    );
    let query = query.bind(sql(user.0)).bind(sql(other.0)).bind(new.friend).bind(i64::from(new.blocked));
    query.bind(sql(now_ms)).bind(i64::from(new.told)).execute(&mut *connection).await?;
    if new == Said::default() {
        let delete = sqlx::query("DELETE FROM relations WHERE user_id = $1 AND other_id = $2");
        delete.bind(sql(user.0)).bind(sql(other.0)).execute(connection).await?;
    }
    Ok(())
}

async fn counted(
    connection: &mut AnyConnection,
    query: &'static str,
    user: UserId,
) -> Result<u64, sqlx::Error> {
    let (count,) = sqlx::query_as::<_, (i64,)>(query).bind(sql(user.0)).fetch_one(connection).await?;
    Ok(unsql(count))
}

fn audience(number: i64) -> Audience {
    // A number that is none of them, which nothing here writes, keeps everybody out.
    u8::try_from(number).ok().and_then(Audience::from_number).unwrap_or(Audience::Nobody)
}

fn other((user, name, friend, since_ms): OtherRow) -> Other {
    let standing = match friend {
        FRIEND => Standing::Friend,
        ASKED => Standing::Asked,
        _ => Standing::Asks,
    };
    Other { user: UserId(unsql(user)), name, standing, since_ms: unsql(since_ms) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::name::Name;
    use crate::snowflake::EPOCH_MS;

    on_both! {
        who_asks_and_who_answers_are_friends
        a_block_hides_a_request_and_leaves_no_trace
        what_homes_do_not_know_is_told
        a_policy_decides_who_sees
        nothing_is_left_of_who_left
    }

    const NOW_MS: u64 = EPOCH_MS + 1_000_000;

    async fn people(database: &Database) -> (Accounts, [UserId; 3]) {
        let accounts = Accounts::open(database).await.unwrap();
        let mut users = Vec::new();
        for name in ["alice", "bob", "carol"] {
            users.push(accounts.create_user(&Name::parse(name).unwrap(), "hash", NOW_MS).await.unwrap());
        }
        (accounts, users.try_into().unwrap())
    }

    async fn standings(accounts: &Accounts, user: UserId) -> Vec<(UserId, Standing)> {
        let friends = accounts.friends(user, UserId(0), 9).await.unwrap();
        friends.into_iter().map(|other| (other.user, other.standing)).collect()
    }

    async fn who_asks_and_who_answers_are_friends(database: Database) {
        let (accounts, [a, b, c]) = people(&database).await;
        for _ in 0..2 {
            assert_eq!(accounts.befriend(a, b, NOW_MS).await.unwrap(), Ok(Standing::Asked), "repeatable");
        }
        assert_eq!(standings(&accounts, a).await, [(b, Standing::Asked)]);
        assert_eq!(standings(&accounts, b).await, [(a, Standing::Asks)]);
        assert!(accounts.untold(9).await.unwrap().is_empty(), "a request is no home's business");
        for _ in 0..2 {
            assert_eq!(accounts.befriend(b, a, NOW_MS).await.unwrap(), Ok(Standing::Friend));
        }
        assert_eq!(accounts.befriend(b, c, NOW_MS).await.unwrap(), Ok(Standing::Asked));
        assert_eq!(standings(&accounts, a).await, [(b, Standing::Friend)]);
        assert_eq!(standings(&accounts, b).await, [(a, Standing::Friend), (c, Standing::Asked)]);
        assert_eq!(accounts.untold(9).await.unwrap(), [(a, b), (b, a)]);
        let friend = Relation { is_friend: true, is_blocked: false };
        assert_eq!(accounts.relation(a, b).await.unwrap(), friend);
        // Either side ends it; a declined request is gone on both.
        accounts.part(a, b, NOW_MS).await.unwrap();
        accounts.part(c, b, NOW_MS).await.unwrap();
        for user in [a, b, c] {
            assert_eq!(standings(&accounts, user).await, []);
        }
        assert_eq!(accounts.befriend(a, UserId(1), NOW_MS).await.unwrap(), Err(RelationFault::NoSuchUser));
        let page = accounts.friends(a, UserId(0), 0).await.unwrap();
        assert!(page.is_empty());
    }

    async fn a_block_hides_a_request_and_leaves_no_trace(database: Database) {
        let (accounts, [a, b, _]) = people(&database).await;
        accounts.block(b, a, true, NOW_MS).await.unwrap().unwrap();
        assert_eq!(accounts.befriend(a, b, NOW_MS).await.unwrap(), Ok(Standing::Asked), "a tells nothing");
        assert_eq!(standings(&accounts, b).await, []);
        assert_eq!(accounts.blocks(b, UserId(0), 9).await.unwrap().len(), 1);
        assert_eq!(accounts.blocks(a, UserId(0), 9).await.unwrap(), []);
        // Who blocks and asks is no friend of who was blocked and asked.
        assert_eq!(accounts.befriend(b, a, NOW_MS).await.unwrap(), Ok(Standing::Friend), "b wants it");
        let both = Relation { is_friend: true, is_blocked: true };
        assert_eq!(accounts.relation(b, a).await.unwrap(), both, "and blocks all the same");
        accounts.block(b, a, false, NOW_MS).await.unwrap().unwrap();
        assert_eq!(standings(&accounts, b).await, [(a, Standing::Friend)]);
        assert_eq!(accounts.block(b, UserId(1), false, NOW_MS).await.unwrap(), Ok(()), "repeatable");
        let missing = accounts.block(b, UserId(1), true, NOW_MS).await.unwrap();
        assert_eq!(missing, Err(RelationFault::NoSuchUser));
    }

    async fn what_homes_do_not_know_is_told(database: Database) {
        let (accounts, [a, b, _]) = people(&database).await;
        accounts.block(a, b, true, NOW_MS).await.unwrap().unwrap();
        assert_eq!(accounts.untold(9).await.unwrap(), [(a, b)]);
        let blocked = accounts.relation(a, b).await.unwrap();
        // Something else was said before the home answered.
        accounts.block(a, b, false, NOW_MS).await.unwrap().unwrap();
        accounts.set_told(a, b, blocked).await.unwrap();
        assert_eq!(accounts.untold(9).await.unwrap(), [(a, b)], "the home knows the old");
        accounts.set_told(a, b, Relation::default()).await.unwrap();
        assert!(accounts.untold(9).await.unwrap().is_empty());
        let policy = Policy { message: Audience::Nobody, ..Policy::default() };
        accounts.set_policy(a, policy).await.unwrap();
        assert_eq!(accounts.untold_policies(9).await.unwrap(), [a]);
        accounts.set_policy_told(a, Policy::default()).await.unwrap();
        assert_eq!(accounts.untold_policies(9).await.unwrap(), [a], "the home knows the old");
        accounts.set_policy_told(a, policy).await.unwrap();
        assert!(accounts.untold_policies(9).await.unwrap().is_empty());
        // Until its home has confirmed that nothing is left a relation stays, so that it is told.
        accounts.block(a, b, true, NOW_MS).await.unwrap().unwrap();
        accounts.befriend(a, b, NOW_MS).await.unwrap().unwrap();
        assert_eq!(accounts.untold(9).await.unwrap(), [(a, b)], "a request hides nothing that is to be told");
    }

    async fn a_policy_decides_who_sees(database: Database) {
        let (accounts, [a, b, c]) = people(&database).await;
        assert!(accounts.may_see(b, a).await.unwrap());
        let policy = Policy { see: Audience::Friends, ..Policy::default() };
        accounts.set_policy(a, policy).await.unwrap();
        accounts.befriend(a, c, NOW_MS).await.unwrap().unwrap();
        accounts.befriend(c, a, NOW_MS).await.unwrap().unwrap();
        assert!(accounts.may_see(a, a).await.unwrap() && accounts.may_see(c, a).await.unwrap());
        assert!(!accounts.may_see(b, a).await.unwrap());
        accounts.block(a, c, true, NOW_MS).await.unwrap().unwrap();
        assert!(!accounts.may_see(c, a).await.unwrap());
    }

    async fn nothing_is_left_of_who_left(database: Database) {
        let (accounts, [a, b, c]) = people(&database).await;
        accounts.befriend(a, b, NOW_MS).await.unwrap().unwrap();
        accounts.block(c, a, true, NOW_MS).await.unwrap().unwrap();
        accounts.erase_user(a, NOW_MS).await.unwrap();
        assert_eq!(standings(&accounts, b).await, []);
        assert_eq!(accounts.blocks(c, UserId(0), 9).await.unwrap(), []);
        assert!(accounts.untold(9).await.unwrap().is_empty());
    }
}
