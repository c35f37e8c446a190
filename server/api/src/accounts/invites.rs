//! Invites: a code that lets so many people sign up until a time. Taking one and making the account are one transaction.

use protocol::UserId;

use super::{Accounts, AccountsError, insert_user, lock_user, sql, unsql};
use crate::name::Name;
use crate::private_file::hex;
use crate::secret;

/// What has ended is remembered for so long, so that whoever comes late is told why; milliseconds.
const KEPT_MS: u64 = 30 * 24 * 3600 * 1000;

/// An invite as SQL has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Invite {
    /// Its number.
    pub id: u64,
    /// Who made it; `None`: the operator.
    pub made_by: Option<UserId>,
    /// When, milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// The first moment at which it is no longer good.
    pub expires_ms: u64,
    /// How many may sign up with it in all.
    pub uses: u32,
    /// How many still may.
    pub uses_left: u32,
}

/// An invite that was made just now, with what lets people in.
#[derive(Clone, PartialEq, Eq)]
pub struct FreshInvite {
    /// As it is listed.
    pub invite: Invite,
    /// 32 hex digits. It is shown once: only its hash is kept.
    pub code: String,
}

/// Without the code: it must not reach a log.
impl std::fmt::Debug for FreshInvite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.invite.fmt(f)
    }
}

/// What to make.
#[derive(Clone, Copy, Debug)]
pub struct Invited {
    /// Who makes it; `None`: the operator.
    pub made_by: Option<UserId>,
    /// How many may sign up with it.
    pub uses: u32,
    /// The first moment at which it is no longer good, milliseconds since the Unix epoch.
    pub expires_ms: u64,
    /// Invites of this user that may be open at a time; no bound for the operator.
    pub open_max: u32,
}

/// Why an invite lets nobody in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InviteFault {
    /// There is none with this code, or it was revoked.
    #[error("there is no such invite, or it was revoked")]
    Unknown,
    /// Its time is over.
    #[error("the invite has expired; ask for another")]
    Expired,
    /// As many as may have signed up with it.
    #[error("the invite was used already; ask for another")]
    Used,
}

type Row = (i64, i64, i64, i64, i64, i64);

impl Accounts {
    /// Makes an invite; `None` when its maker has as many open ones as may be.
    ///
    /// # Errors
    /// The database's.
    pub async fn create_invite(
        &self,
        wanted: Invited,
        now_ms: u64,
    ) -> Result<Option<FreshInvite>, AccountsError> {
        let id = self.new_id(now_ms).await?;
        let secret = secret::fresh().map_err(|_| AccountsError::Ids("the system gave no random bytes"))?;
        let made_by = wanted.made_by.map_or(0, |user| user.0);
        let mut transaction = self.pool.begin().await?;
        if let Some(user) = wanted.made_by {
            lock_user(&mut transaction, user).await?;
            let open = sqlx::query_as::<_, (i64,)>(
                "SELECT COUNT(*) FROM invites WHERE made_by = $1 AND uses_left > 0 AND expires_ms > $2",
            );
            let (open,) = open.bind(sql(user.0)).bind(sql(now_ms)).fetch_one(&mut *transaction).await?;
            if open >= i64::from(wanted.open_max) {
                return Ok(None);
            }
        }
        let forget = sqlx::query("DELETE FROM invites WHERE expires_ms < $1");
        forget.bind(sql(now_ms.saturating_sub(KEPT_MS))).execute(&mut *transaction).await?;
        let insert = sqlx::query(
            "INSERT INTO invites (invite_id, code_hash, made_by, created_ms, expires_ms, uses, uses_left) \
             VALUES ($1, $2, $3, $4, $5, $6, $6)",
        );
        let insert = insert.bind(sql(id)).bind(secret::kept(&secret)).bind(sql(made_by)).bind(sql(now_ms));
        let insert = insert.bind(sql(wanted.expires_ms)).bind(i64::from(wanted.uses));
        insert.execute(&mut *transaction).await?;
        transaction.commit().await?;
        let Invited { made_by, uses, expires_ms, .. } = wanted;
        let invite = Invite { id, made_by, created_ms: now_ms, expires_ms, uses, uses_left: uses };
        Ok(Some(FreshInvite { invite, code: hex(&*secret) }))
    }

    /// Up to `limit` invites with a number above `after`, rising: those of one user, or everybody's.
    ///
    /// # Errors
    /// The database's.
    pub async fn invites(
        &self,
        of: Option<UserId>,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Invite>, AccountsError> {
        let query = sqlx::query_as::<_, Row>(
            "SELECT invite_id, made_by, created_ms, expires_ms, uses, uses_left FROM invites \
             WHERE invite_id > $1 AND (made_by = $2 OR $3 = 1) ORDER BY invite_id LIMIT $4",
        );
        let query = query.bind(sql(after)).bind(sql(of.map_or(0, |user| user.0)));
        let query = query.bind(i64::from(of.is_none())).bind(i64::from(limit));
        Ok(query.fetch_all(&self.pool).await?.into_iter().map(invite).collect())
    }

    /// Nobody signs up with it any more. A user revokes only own ones. Repeatable.
    ///
    /// # Errors
    /// The database's.
    pub async fn revoke_invite(&self, of: Option<UserId>, id: u64) -> Result<(), AccountsError> {
        let delete = sqlx::query("DELETE FROM invites WHERE invite_id = $1 AND (made_by = $2 OR $3 = 1)");
        let delete = delete.bind(sql(id)).bind(sql(of.map_or(0, |user| user.0)));
        delete.bind(i64::from(of.is_none())).execute(&self.pool).await?;
        Ok(())
    }

    /// Why a code lets nobody in now, if so.
    ///
    /// # Errors
    /// The database's.
    pub async fn invite_fault(&self, code: &str, now_ms: u64) -> Result<Option<InviteFault>, AccountsError> {
        let Some(secret) = secret::parse(code.trim()) else { return Ok(Some(InviteFault::Unknown)) };
        let query =
            sqlx::query_as::<_, (i64, i64)>("SELECT uses_left, expires_ms FROM invites WHERE code_hash = $1");
        let found = query.bind(secret::kept(&secret)).fetch_optional(&self.pool).await?;
        Ok(match found {
            None => Some(InviteFault::Unknown),
            Some((_, expires_ms)) if unsql(expires_ms) <= now_ms => Some(InviteFault::Expired),
            Some((0, _)) => Some(InviteFault::Used),
            Some(_) => None,
        })
    }

    /// Makes an account and takes one use of an invite, both or neither.
    ///
    /// # Errors
    /// [`AccountsError::NameTaken`], [`AccountsError::Invite`], or the database's.
    pub async fn create_invited_user(
        &self,
        name: &Name,
        password_hash: &str,
        code: &str,
        now_ms: u64,
    ) -> Result<UserId, AccountsError> {
        let secret = secret::parse(code.trim()).ok_or(InviteFault::Unknown)?;
        let user = UserId(self.new_id(now_ms).await?);
        let mut transaction = self.pool.begin().await?;
        let take = sqlx::query(
            "UPDATE invites SET uses_left = uses_left - 1 \
             WHERE code_hash = $1 AND uses_left > 0 AND expires_ms > $2",
        );
        let take = take.bind(secret::kept(&secret)).bind(sql(now_ms));
        if take.execute(&mut *transaction).await?.rows_affected() != 1 {
            transaction.rollback().await?;
            // Somebody was first.
            return Err(self.invite_fault(code, now_ms).await?.unwrap_or(InviteFault::Used).into());
        }
        insert_user(&mut transaction, user, name, password_hash, now_ms).await?;
        transaction.commit().await?;
        Ok(user)
    }
}

fn invite((id, made_by, created_ms, expires_ms, uses, uses_left): Row) -> Invite {
    let count = |number| u32::try_from(number).unwrap_or(u32::MAX);
    Invite {
        id: unsql(id),
        made_by: (made_by != 0).then_some(UserId(unsql(made_by))),
        created_ms: unsql(created_ms),
        expires_ms: unsql(expires_ms),
        uses: count(uses),
        uses_left: count(uses_left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::snowflake::EPOCH_MS;

    on_both! {
        a_code_lets_in_as_many_as_it_says
        of_many_at_once_as_many_win_as_may
        a_user_has_a_bound_and_only_own_ones
        what_has_long_ended_is_forgotten
    }

    const NOW_MS: u64 = EPOCH_MS + 1_000_000;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn by(made_by: Option<UserId>, uses: u32, expires_ms: u64) -> Invited {
        Invited { made_by, uses, expires_ms, open_max: 2 }
    }

    async fn a_code_lets_in_as_many_as_it_says(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let made = accounts.create_invite(by(None, 2, NOW_MS + 10), NOW_MS).await.unwrap().unwrap();
        let (code, loud) = (made.code.as_str(), format!(" {} ", made.code.to_uppercase()));
        assert!(!format!("{made:?}").contains(code));
        accounts.create_user(&name("taken"), "hash", NOW_MS).await.unwrap();
        let taken = accounts.create_invited_user(&name("taken"), "hash", code, NOW_MS).await;
        assert!(matches!(taken, Err(AccountsError::NameTaken)), "{taken:?}");
        assert_eq!(accounts.invites(None, 0, 9).await.unwrap()[0].uses_left, 2, "a taken name uses none up");
        for (user, code, fault) in [
            ("a", code, None),
            ("b", "", Some(InviteFault::Unknown)),
            ("b", "00000000000000000000000000000000", Some(InviteFault::Unknown)),
            ("b", &loud, None),
            ("c", code, Some(InviteFault::Used)),
        ] {
            assert_eq!(accounts.invite_fault(code, NOW_MS).await.unwrap(), fault, "{user}");
            let made = accounts.create_invited_user(&name(user), "hash", code, NOW_MS).await;
            match fault {
                None => assert!(made.is_ok(), "{made:?}"),
                Some(fault) => {
                    assert!(matches!(made, Err(AccountsError::Invite(found)) if found == fault), "{made:?}");
                }
            }
        }
        let late = accounts.create_invite(by(None, 1, NOW_MS + 10), NOW_MS).await.unwrap().unwrap();
        let late = accounts.create_invited_user(&name("d"), "hash", &late.code, NOW_MS + 10).await;
        assert!(matches!(late, Err(AccountsError::Invite(InviteFault::Expired))), "{late:?}");
        assert_eq!(accounts.count().await.unwrap().0, 3);
    }

    async fn of_many_at_once_as_many_win_as_may(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let code = accounts.create_invite(by(None, 3, NOW_MS + 10), NOW_MS).await.unwrap().unwrap().code;
        let mut racing = tokio::task::JoinSet::new();
        for n in 0..12 {
            let (accounts, code) = (accounts.clone(), code.clone());
            racing.spawn(async move {
                accounts.create_invited_user(&name(&format!("u{n}")), "hash", &code, NOW_MS).await
            });
        }
        let (mut won, mut used) = (0, 0);
        for outcome in racing.join_all().await {
            match outcome {
                Ok(_) => won += 1,
                Err(AccountsError::Invite(InviteFault::Used)) => used += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!((won, used, accounts.count().await.unwrap().0), (3, 9, 3));
    }

    async fn a_user_has_a_bound_and_only_own_ones(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let alice = accounts.create_user(&name("alice"), "hash", NOW_MS).await.unwrap();
        let bob = accounts.create_user(&name("bob"), "hash", NOW_MS).await.unwrap();
        let mut making = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let accounts = accounts.clone();
            making
                .spawn(async move { accounts.create_invite(by(Some(alice), 1, NOW_MS + 10), NOW_MS).await });
        }
        let made: Vec<FreshInvite> =
            making.join_all().await.into_iter().filter_map(|made| made.unwrap()).collect();
        assert_eq!(made.len(), 2);
        let theirs = accounts.create_invite(by(None, 1, NOW_MS + 10), NOW_MS).await.unwrap().unwrap().invite;
        assert_eq!(accounts.invites(Some(alice), 0, 9).await.unwrap().len(), 2);
        assert!(accounts.invites(Some(bob), 0, 9).await.unwrap().is_empty());
        assert_eq!(accounts.invites(None, 0, 9).await.unwrap().len(), 3);
        for id in [theirs.id, made[0].invite.id] {
            accounts.revoke_invite(Some(bob), id).await.unwrap();
        }
        assert_eq!(accounts.invites(None, 0, 9).await.unwrap().len(), 3, "nobody revokes another's");
        // Room is made by revoking, by being used, and by time.
        let again = async |now_ms| {
            let wanted = by(Some(alice), 1, now_ms + 10);
            accounts.create_invite(wanted, now_ms).await.unwrap().map(|made| made.invite.id)
        };
        assert_eq!(again(NOW_MS).await, None);
        accounts.revoke_invite(Some(alice), made[0].invite.id).await.unwrap();
        assert!(again(NOW_MS).await.is_some());
        accounts.create_invited_user(&name("carol"), "hash", &made[1].code, NOW_MS).await.unwrap();
        assert!(again(NOW_MS).await.is_some());
        assert_eq!(again(NOW_MS).await, None);
        assert!(again(NOW_MS + 10).await.is_some());
    }

    async fn what_has_long_ended_is_forgotten(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let old = accounts.create_invite(by(None, 1, NOW_MS), NOW_MS).await.unwrap().unwrap();
        for (now_ms, left) in [(NOW_MS + KEPT_MS, 2), (NOW_MS + KEPT_MS + 1, 2)] {
            accounts.create_invite(by(None, 1, now_ms + KEPT_MS), now_ms).await.unwrap();
            assert_eq!(accounts.invites(None, 0, 9).await.unwrap().len(), left);
        }
        let fault = accounts.invite_fault(&old.code, NOW_MS).await.unwrap();
        assert_eq!(fault, Some(InviteFault::Unknown));
        let page = accounts.invites(None, 0, 1).await.unwrap();
        assert_eq!(accounts.invites(None, page[0].id, 9).await.unwrap().len(), 1);
    }
}
