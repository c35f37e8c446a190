//! A user's devices as SQL has them: who may log in as which, and who may no longer. Whether a device may chat is the
//! core's to say; a change of a device is told to the core first where it takes something away, and before a token is
//! signed where it gives.

use protocol::{DeviceId, UserId};

use super::{Accounts, AccountsError, lock_user, sql, unsql};

/// A device as SQL has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceRecord {
    /// Which.
    pub device: DeviceId,
    /// Whose.
    pub user: UserId,
    /// What it called itself at its login; empty: nothing.
    pub name: String,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// When it last logged in or renewed its tokens, to the hour; 0: never.
    pub seen_ms: u64,
}

/// What came of adding a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AddDevice {
    /// The new device.
    Added(DeviceId),
    /// The account has its full number already; these.
    Full(Vec<DeviceId>),
}

impl Accounts {
    /// A new device of a user, unless the user has `limit` already.
    ///
    /// # Errors
    /// The database's.
    pub async fn add_device(
        &self,
        user: UserId,
        limit: u32,
        now_ms: u64,
    ) -> Result<AddDevice, AccountsError> {
        let device = DeviceId(self.new_id(now_ms).await?);
        let mut transaction = self.pool.begin().await?;
        // So that two logins at once cannot both take the last place.
        lock_user(&mut transaction, user).await?;
        let insert = sqlx::query(
            "INSERT INTO devices (device_id, user_id, created_ms) SELECT $1, $2, $3 \
             WHERE (SELECT COUNT(*) FROM devices WHERE user_id = $2) < $4",
        );
        let insert = insert.bind(sql(device.0)).bind(sql(user.0)).bind(sql(now_ms)).bind(i64::from(limit));
        let added = insert.execute(&mut *transaction).await?.rows_affected() == 1;
        transaction.commit().await?;
        if added {
            return Ok(AddDevice::Added(device));
        }
        let devices = self.devices(user).await?;
        Ok(AddDevice::Full(devices.into_iter().map(|record| record.device).collect()))
    }

    /// Makes a device with a chosen id known; for the operator's own tokens. False when it is somebody else's.
    ///
    /// # Errors
    /// The database's.
    pub async fn adopt_device(
        &self,
        user: UserId,
        device: DeviceId,
        now_ms: u64,
    ) -> Result<bool, AccountsError> {
        let insert = sqlx::query(
            "INSERT INTO devices (device_id, user_id, created_ms) VALUES ($1, $2, $3) \
             ON CONFLICT (device_id) DO NOTHING",
        );
        insert.bind(sql(device.0)).bind(sql(user.0)).bind(sql(now_ms)).execute(&self.pool).await?;
        self.has_device(user, device).await
    }

    /// Whether the device is the user's.
    ///
    /// # Errors
    /// The database's.
    pub async fn has_device(&self, user: UserId, device: DeviceId) -> Result<bool, AccountsError> {
        let query =
            sqlx::query_as::<_, (i64,)>("SELECT 1 FROM devices WHERE device_id = $1 AND user_id = $2");
        let found = query.bind(sql(device.0)).bind(sql(user.0)).fetch_optional(&self.pool).await?;
        Ok(found.is_some())
    }

    /// The devices of a user, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn devices(&self, user: UserId) -> Result<Vec<DeviceRecord>, AccountsError> {
        let query = sqlx::query_as::<_, (i64, String, i64, i64)>(
            "SELECT device_id, name, created_ms, seen_ms FROM devices WHERE user_id = $1 ORDER BY device_id",
        );
        let rows = query.bind(sql(user.0)).fetch_all(&self.pool).await?;
        let record = |(device, name, created_ms, seen_ms)| DeviceRecord {
            device: DeviceId(unsql(device)),
            user,
            name,
            created_ms: unsql(created_ms),
            seen_ms: unsql(seen_ms),
        };
        Ok(rows.into_iter().map(record).collect())
    }

    /// Forgets a device. Repeatable.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove_device(&self, user: UserId, device: DeviceId) -> Result<(), AccountsError> {
        let delete = sqlx::query("DELETE FROM devices WHERE device_id = $1 AND user_id = $2");
        delete.bind(sql(device.0)).bind(sql(user.0)).execute(&self.pool).await?;
        Ok(())
    }

    /// The same without their times.
    ///
    /// # Errors
    /// The database's.
    pub async fn all_devices(&self, user: UserId) -> Result<Vec<DeviceId>, AccountsError> {
        Ok(self.devices(user).await?.into_iter().map(|record| record.device).collect())
    }

    /// If the device is the user's: tokens of it that were issued before this moment are refused.
    ///
    /// # Errors
    /// The database's.
    pub async fn not_before_ms(&self, user: UserId, device: DeviceId) -> Result<Option<u64>, AccountsError> {
        let query = sqlx::query_as::<_, (i64,)>(
            "SELECT users.not_before_ms FROM devices JOIN users ON users.user_id = devices.user_id \
             WHERE devices.device_id = $1 AND devices.user_id = $2",
        );
        let found = query.bind(sql(device.0)).bind(sql(user.0)).fetch_optional(&self.pool).await?;
        Ok(found.map(|(not_before_ms,)| unsql(not_before_ms)))
    }

    /// Forgets all devices of a user but one, and refuses older tokens, the kept one's too. Repeatable; it never steps back.
    ///
    /// # Errors
    /// The database's.
    pub async fn log_out_all(
        &self,
        user: UserId,
        not_before_ms: u64,
        keep: Option<DeviceId>,
    ) -> Result<(), AccountsError> {
        let mut transaction = self.pool.begin().await?;
        let update =
            sqlx::query("UPDATE users SET not_before_ms = $2 WHERE user_id = $1 AND not_before_ms < $2");
        update.bind(sql(user.0)).bind(sql(not_before_ms)).execute(&mut *transaction).await?;
        // No device has the id 0.
        let keep = keep.map_or(0, |device| device.0);
        let delete = sqlx::query("DELETE FROM devices WHERE user_id = $1 AND device_id <> $2");
        delete.bind(sql(user.0)).bind(sql(keep)).execute(&mut *transaction).await?;
        let end = sqlx::query("DELETE FROM refresh_tokens WHERE device_id = $1");
        end.bind(sql(keep)).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::name::Name;
    use crate::snowflake::EPOCH_MS;

    on_both! {
        devices_have_one_owner_and_a_bound
        the_last_place_is_taken_once
        all_but_one_are_logged_out_and_older_tokens_refused
    }

    const NOW_MS: u64 = EPOCH_MS + 1_000_000;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    async fn devices_have_one_owner_and_a_bound(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let alice = accounts.create_user(&name("alice"), "hash", NOW_MS).await.unwrap();
        let bob = accounts.create_user(&name("bob"), "hash", NOW_MS).await.unwrap();
        let AddDevice::Added(phone) = accounts.add_device(alice, 2, NOW_MS).await.unwrap() else { panic!() };
        let AddDevice::Added(desk) = accounts.add_device(alice, 2, NOW_MS).await.unwrap() else { panic!() };
        let full = accounts.add_device(alice, 2, NOW_MS).await.unwrap();
        assert_eq!(full, AddDevice::Full(vec![phone, desk]));
        assert!(accounts.has_device(alice, phone).await.unwrap());
        assert!(!accounts.has_device(bob, phone).await.unwrap());
        assert!(!accounts.adopt_device(bob, phone, NOW_MS).await.unwrap());
        assert!(accounts.adopt_device(bob, DeviceId(77), NOW_MS).await.unwrap());
        accounts.remove_device(bob, phone).await.unwrap();
        assert!(accounts.has_device(alice, phone).await.unwrap());
        accounts.remove_device(alice, phone).await.unwrap();
        assert!(!accounts.has_device(alice, phone).await.unwrap());
        assert_eq!(accounts.count().await.unwrap(), (2, 2));
        assert!(accounts.check().await.unwrap().is_empty());
    }

    async fn the_last_place_is_taken_once(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let alice = accounts.create_user(&name("alice"), "hash", NOW_MS).await.unwrap();
        let mut adding = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let accounts = accounts.clone();
            adding.spawn(async move { accounts.add_device(alice, 5, NOW_MS).await.unwrap() });
        }
        let added = adding.join_all().await;
        assert_eq!(added.iter().filter(|add| matches!(add, AddDevice::Added(_))).count(), 5);
        assert_eq!(accounts.all_devices(alice).await.unwrap().len(), 5);
    }

    async fn all_but_one_are_logged_out_and_older_tokens_refused(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let alice = accounts.create_user(&name("alice"), "hash", NOW_MS).await.unwrap();
        for device in 1..=3 {
            assert!(accounts.adopt_device(alice, DeviceId(device), NOW_MS).await.unwrap());
        }
        assert_eq!(accounts.not_before_ms(alice, DeviceId(2)).await.unwrap(), Some(0));
        accounts.log_out_all(alice, 50, Some(DeviceId(2))).await.unwrap();
        assert_eq!(accounts.all_devices(alice).await.unwrap(), [DeviceId(2)]);
        accounts.log_out_all(alice, 40, Some(DeviceId(2))).await.unwrap();
        assert_eq!(accounts.not_before_ms(alice, DeviceId(2)).await.unwrap(), Some(50));
        assert_eq!(accounts.not_before_ms(alice, DeviceId(3)).await.unwrap(), None);
        assert_eq!(accounts.user(alice).await.unwrap().unwrap().not_before_ms, 50);
        accounts.log_out_all(alice, 60, None).await.unwrap();
        assert_eq!(accounts.not_before_ms(alice, DeviceId(2)).await.unwrap(), None);
        assert!(accounts.set_password(alice, "hash", "other").await.unwrap());
        assert!(!accounts.set_password(alice, "hash", "third").await.unwrap());
    }
}
