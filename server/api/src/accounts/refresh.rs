//! Families of refresh tokens, one row a device: which token comes next, and which was shown last.

use protocol::token::Key;
use protocol::{DeviceId, UserId};

use super::{Accounts, AccountsError, sql, unsql};
use crate::refresh::RefreshToken;

/// A token may be shown again for so long after it was shown first, if its successor was not shown yet, milliseconds: its
/// answer was lost. Both conditions, because each alone lets a thief walk along unseen: without a time two can show every
/// token by turns for ever, and with a time alone an old token brings the newest.
pub(crate) const GRACE_MS: u64 = 120_000;
/// When a device was last seen is written no more often, milliseconds.
const SEEN_EVERY_MS: u64 = 3600 * 1000;

/// How long logins last, milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetimes {
    /// A refresh token that is not shown ends after so long.
    pub refresh_ms: u64,
    /// A login ends after so long, however often it is renewed.
    pub login_ms: u64,
}

impl Lifetimes {
    fn end_ms(self, began_ms: u64, now_ms: u64) -> u64 {
        now_ms.saturating_add(self.refresh_ms).min(began_ms.saturating_add(self.login_ms))
    }
}

/// A refresh token that may be shown next.
pub(crate) struct Next {
    pub(crate) token: RefreshToken,
    /// The first moment at which it is no longer good, milliseconds since the Unix epoch.
    pub(crate) expires_ms: u64,
}

/// Whose family it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Family {
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    /// Tokens of the user that were issued before this are refused, milliseconds since the Unix epoch.
    pub(crate) not_before_ms: u64,
}

/// What came of showing a token.
pub(crate) enum Shown {
    /// The next one.
    Next(Next),
    /// Its time is over.
    Expired,
    /// It had been used: two have it, and nobody can say who is the owner.
    Reused,
    /// There is no such family, or no more.
    Unknown,
}

type Row = (String, String, i64, i64, i64);

impl Accounts {
    /// Begins a family for a device that has just shown its owner's password. The one that it had is over.
    pub(crate) async fn begin_family(
        &self,
        device: DeviceId,
        lifetimes: Lifetimes,
        now_ms: u64,
    ) -> Result<Next, AccountsError> {
        let token =
            RefreshToken::fresh().map_err(|_| AccountsError::Ids("the system gave no random bytes"))?;
        let expires_ms = lifetimes.end_ms(now_ms, now_ms);
        let begin = sqlx::query(
            "INSERT INTO refresh_tokens \
             (device_id, family_hash, next_hash, shown_hash, shown_ms, began_ms, expires_ms) \
             VALUES ($1, $2, $3, '', 0, $4, $5) ON CONFLICT (device_id) DO UPDATE SET \
             family_hash = excluded.family_hash, next_hash = excluded.next_hash, shown_hash = '', shown_ms = 0, \
             began_ms = excluded.began_ms, expires_ms = excluded.expires_ms",
        );
        let begin = begin.bind(sql(device.0)).bind(token.family_hash()).bind(token.hash());
        begin.bind(sql(now_ms)).bind(sql(expires_ms)).execute(&self.pool).await?;
        Ok(Next { token, expires_ms })
    }

    /// Whose a token is, whatever it is still worth.
    pub(crate) async fn family(&self, token: &RefreshToken) -> Result<Option<Family>, AccountsError> {
        let query = sqlx::query_as::<_, (i64, i64, i64)>(
            "SELECT devices.user_id, devices.device_id, users.not_before_ms FROM refresh_tokens \
             JOIN devices ON devices.device_id = refresh_tokens.device_id \
             JOIN users ON users.user_id = devices.user_id WHERE refresh_tokens.family_hash = $1",
        );
        let found = query.bind(token.family_hash()).fetch_optional(&self.pool).await?;
        Ok(found.map(|(user, device, not_before_ms)| Family {
            user: UserId(unsql(user)),
            device: DeviceId(unsql(device)),
            not_before_ms: unsql(not_before_ms),
        }))
    }

    /// Exchanges a token for the next, which the newest of the keys makes.
    pub(crate) async fn exchange(
        &self,
        token: &RefreshToken,
        keys: &[Key],
        lifetimes: Lifetimes,
        now_ms: u64,
    ) -> Result<Shown, AccountsError> {
        let query = sqlx::query_as::<_, Row>(
            "SELECT next_hash, shown_hash, shown_ms, began_ms, expires_ms FROM refresh_tokens \
             WHERE family_hash = $1",
        );
        let found = query.bind(token.family_hash()).fetch_optional(&self.pool).await?;
        let Some((next_hash, shown_hash, shown_ms, began_ms, expires_ms)) = found else {
            return Ok(Shown::Unknown);
        };
        let hash = token.hash();
        if hash == next_hash {
            if unsql(expires_ms) <= now_ms {
                return Ok(Shown::Expired);
            }
            let next = keys.last().and_then(|key| token.next(key));
            let next = next.ok_or(AccountsError::Ids("there is no signing key"))?;
            let expires_ms = lifetimes.end_ms(unsql(began_ms), now_ms);
            return match self.rotate(token, &next, now_ms, expires_ms).await? {
                true => Ok(Shown::Next(Next { token: next, expires_ms })),
                // Somebody was first: what that one got is what a repeated request gets.
                false => Box::pin(self.exchange(token, keys, lifetimes, now_ms)).await,
            };
        }
        let is_repeated = hash == shown_hash && now_ms.saturating_sub(unsql(shown_ms)) <= GRACE_MS;
        let mut successors = keys.iter().rev().filter_map(|key| token.next(key));
        Ok(match successors.find(|next| is_repeated && next.hash() == next_hash) {
            Some(token) => Shown::Next(Next { token, expires_ms: unsql(expires_ms) }),
            None => Shown::Reused,
        })
    }

    /// One statement: of two that show the same token one rotates.
    async fn rotate(
        &self,
        token: &RefreshToken,
        next: &RefreshToken,
        now_ms: u64,
        expires_ms: u64,
    ) -> Result<bool, AccountsError> {
        let rotate = sqlx::query(
            "UPDATE refresh_tokens SET next_hash = $3, shown_hash = $2, shown_ms = $4, expires_ms = $5 \
             WHERE family_hash = $1 AND next_hash = $2",
        );
        let rotate = rotate.bind(token.family_hash()).bind(token.hash()).bind(next.hash());
        let done = rotate.bind(sql(now_ms)).bind(sql(expires_ms)).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }

    /// No token of the family is good any more, but it is known: its device is about to be ended.
    pub(crate) async fn end_family(&self, token: &RefreshToken) -> Result<(), AccountsError> {
        let end =
            sqlx::query("UPDATE refresh_tokens SET next_hash = '', shown_hash = '' WHERE family_hash = $1");
        end.bind(token.family_hash()).execute(&self.pool).await?;
        Ok(())
    }

    /// A device has logged in: it is seen, and has the name that it gave, or the one from before.
    pub(crate) async fn logged_in(
        &self,
        device: DeviceId,
        name: Option<&str>,
        now_ms: u64,
    ) -> Result<(), AccountsError> {
        let update = match name {
            Some(name) => sqlx::query("UPDATE devices SET seen_ms = $2, name = $3 WHERE device_id = $1")
                .bind(sql(device.0))
                .bind(sql(now_ms))
                .bind(name),
            None => sqlx::query("UPDATE devices SET seen_ms = $2 WHERE device_id = $1")
                .bind(sql(device.0))
                .bind(sql(now_ms)),
        };
        update.execute(&self.pool).await?;
        Ok(())
    }

    /// A device has renewed its tokens: it is seen. Written once an hour.
    pub(crate) async fn seen(&self, device: DeviceId, now_ms: u64) -> Result<(), AccountsError> {
        let update = sqlx::query("UPDATE devices SET seen_ms = $2 WHERE device_id = $1 AND seen_ms <= $3");
        let update = update.bind(sql(device.0)).bind(sql(now_ms));
        update.bind(sql(now_ms.saturating_sub(SEEN_EVERY_MS))).execute(&self.pool).await?;
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
        each_token_is_shown_once
        a_lost_answer_is_given_again_for_a_while
        many_who_show_one_at_once_get_the_same
        lives_are_bounded
        a_family_ends_with_its_device
        another_key_signs_meanwhile
        devices_are_seen_once_an_hour
    }

    const NOW_MS: u64 = EPOCH_MS + 1_000_000;
    const LIVES: Lifetimes = Lifetimes { refresh_ms: 10_000_000, login_ms: 50_000_000 };

    fn key(id: u32) -> Key {
        Key { id, secret: [u8::try_from(id).unwrap(); 32] }
    }

    async fn with_device(database: &Database) -> (Accounts, UserId, DeviceId) {
        let accounts = Accounts::open(database).await.unwrap();
        let alice = accounts.create_user(&Name::parse("alice").unwrap(), "hash", NOW_MS).await.unwrap();
        assert!(accounts.adopt_device(alice, DeviceId(7), NOW_MS).await.unwrap());
        (accounts, alice, DeviceId(7))
    }

    /// In one word and, if there is one, the next token.
    async fn show(
        accounts: &Accounts,
        token: &RefreshToken,
        now_ms: u64,
    ) -> Result<RefreshToken, &'static str> {
        match accounts.exchange(token, &[key(1)], LIVES, now_ms).await.unwrap() {
            Shown::Next(next) => Ok(next.token),
            Shown::Expired => Err("expired"),
            Shown::Reused => Err("reused"),
            Shown::Unknown => Err("unknown"),
        }
    }

    #[track_caller]
    fn is(shown: Result<RefreshToken, &'static str>, word: &str) {
        assert_eq!(shown.err(), Some(word));
    }

    async fn each_token_is_shown_once(database: Database) {
        let (accounts, alice, device) = with_device(&database).await;
        let first = accounts.begin_family(device, LIVES, NOW_MS).await.unwrap().token;
        let family = accounts.family(&first).await.unwrap().unwrap();
        assert_eq!(family, Family { user: alice, device, not_before_ms: 0 });
        let second = show(&accounts, &first, NOW_MS).await.unwrap();
        let third = show(&accounts, &second, NOW_MS).await.unwrap();
        // Two generations old, and no time has passed.
        is(show(&accounts, &first, NOW_MS).await, "reused");
        // Whoever names the family and makes the rest up.
        let forged = RefreshToken::parse(&format!("{}{}", &third.text()[..36], "0".repeat(32))).unwrap();
        is(show(&accounts, &forged, NOW_MS).await, "reused");
        is(show(&accounts, &RefreshToken::fresh().unwrap(), NOW_MS).await, "unknown");
        assert!(accounts.family(&RefreshToken::fresh().unwrap()).await.unwrap().is_none());
        accounts.end_family(&first).await.unwrap();
        for token in [&first, &second, &third] {
            is(show(&accounts, token, NOW_MS).await, "reused");
        }
        let again = accounts.begin_family(device, LIVES, NOW_MS).await.unwrap().token;
        is(show(&accounts, &third, NOW_MS).await, "unknown");
        assert!(show(&accounts, &again, NOW_MS).await.is_ok());
    }

    async fn a_lost_answer_is_given_again_for_a_while(database: Database) {
        let (accounts, _, device) = with_device(&database).await;
        let first = accounts.begin_family(device, LIVES, NOW_MS).await.unwrap().token;
        let second = show(&accounts, &first, NOW_MS).await.unwrap();
        for later_ms in [0, 1, GRACE_MS] {
            assert!(show(&accounts, &first, NOW_MS + later_ms).await.unwrap() == second);
        }
        // A clock that stepped back.
        assert!(show(&accounts, &first, NOW_MS - 5).await.unwrap() == second);
        is(show(&accounts, &first, NOW_MS + GRACE_MS + 1).await, "reused");
        assert!(show(&accounts, &second, NOW_MS + GRACE_MS + 2).await.is_ok());
        is(show(&accounts, &first, NOW_MS + GRACE_MS + 2).await, "reused");
    }

    async fn many_who_show_one_at_once_get_the_same(database: Database) {
        let (accounts, _, device) = with_device(&database).await;
        let first = accounts.begin_family(device, LIVES, NOW_MS).await.unwrap().token;
        let mut showing = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let (accounts, first) = (accounts.clone(), first.clone());
            showing.spawn(async move { show(&accounts, &first, NOW_MS).await.unwrap().text() });
        }
        let mut all = showing.join_all().await;
        all.dedup();
        assert_eq!(all.len(), 1);
    }

    async fn lives_are_bounded(database: Database) {
        let (accounts, _, device) = with_device(&database).await;
        let first = accounts.begin_family(device, LIVES, NOW_MS).await.unwrap();
        assert_eq!(first.expires_ms, NOW_MS + LIVES.refresh_ms);
        is(show(&accounts, &first.token, first.expires_ms).await, "expired");
        // It is not used up by having been late once: the clock may have been wrong.
        let (mut token, mut now_ms) = (first.token, NOW_MS);
        loop {
            now_ms += LIVES.refresh_ms - 1;
            match show(&accounts, &token, now_ms).await {
                Ok(next) => token = next,
                Err(word) => break assert_eq!(word, "expired"),
            }
        }
        assert!((LIVES.login_ms..LIVES.login_ms + LIVES.refresh_ms).contains(&(now_ms - NOW_MS)));
    }

    async fn a_family_ends_with_its_device(database: Database) {
        let (accounts, alice, device) = with_device(&database).await;
        let token = accounts.begin_family(device, LIVES, NOW_MS).await.unwrap().token;
        accounts.remove_device(alice, device).await.unwrap();
        is(show(&accounts, &token, NOW_MS).await, "unknown");
        assert!(accounts.begin_family(device, LIVES, NOW_MS).await.is_err(), "no device, no family");
        // The one that stays needs a new one too.
        assert!(accounts.adopt_device(alice, device, NOW_MS).await.unwrap());
        let token = accounts.begin_family(device, LIVES, NOW_MS).await.unwrap().token;
        accounts.log_out_all(alice, 50, Some(device)).await.unwrap();
        is(show(&accounts, &token, NOW_MS).await, "unknown");
        let token = accounts.begin_family(device, LIVES, NOW_MS).await.unwrap().token;
        assert_eq!(accounts.family(&token).await.unwrap().unwrap().not_before_ms, 50);
        accounts.log_out_all(alice, 60, None).await.unwrap();
        assert!(accounts.family(&token).await.unwrap().is_none());
    }

    async fn another_key_signs_meanwhile(database: Database) {
        let (accounts, _, device) = with_device(&database).await;
        let first = accounts.begin_family(device, LIVES, NOW_MS).await.unwrap().token;
        let second = show(&accounts, &first, NOW_MS).await.unwrap();
        let keys = [key(1), key(2)];
        let Shown::Next(again) = accounts.exchange(&first, &keys, LIVES, NOW_MS).await.unwrap() else {
            panic!()
        };
        assert!(again.token == second);
        let Shown::Next(third) = accounts.exchange(&second, &keys, LIVES, NOW_MS).await.unwrap() else {
            panic!()
        };
        assert!(third.token == second.next(&key(2)).unwrap());
    }

    async fn devices_are_seen_once_an_hour(database: Database) {
        let (accounts, alice, device) = with_device(&database).await;
        let seen = async || {
            let device = accounts.devices(alice).await.unwrap().remove(0);
            (device.name, device.seen_ms)
        };
        assert_eq!(seen().await, (String::new(), 0));
        accounts.logged_in(device, Some("Alice's 전화"), NOW_MS).await.unwrap();
        accounts.logged_in(device, None, NOW_MS + 1).await.unwrap();
        assert_eq!(seen().await, ("Alice's 전화".into(), NOW_MS + 1));
        accounts.seen(device, NOW_MS + SEEN_EVERY_MS).await.unwrap();
        assert_eq!(seen().await.1, NOW_MS + 1);
        accounts.seen(device, NOW_MS + SEEN_EVERY_MS + 1).await.unwrap();
        assert_eq!(seen().await.1, NOW_MS + SEEN_EVERY_MS + 1);
    }
}
