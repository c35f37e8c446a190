//! After a restore: the accounts were copied after the store, so where the two differ they are right, and the store is made
//! to say the same. Whoever was logged out between the two copies stays out.

use std::error::Error;

use api::{Account, Accounts, now_ms};
use protocol::commit::{AccountRow, Batch, Part, Policy, Row};
use protocol::query::{Answer, Query};
use protocol::{BayId, DeviceId, ShardId, UserId};
use storage::{Store, Tier};

/// Accounts that are read at a time.
const PAGE: u32 = 500;
/// What was said so long before the backup began may have been on its way to the store: half a minute, twice.
const ON_THE_WAY_MS: u64 = 60_000;

/// Gives the number of users of whom the two said different things.
pub(super) async fn agree(store: &Store, accounts: &Accounts, began_ms: u64) -> Result<u64, Box<dyn Error>> {
    accounts.tell_again_since(began_ms.saturating_sub(ON_THE_WAY_MS)).await?;
    let (mut differed, mut after, mut known) = (0, UserId(0), Vec::new());
    loop {
        let page = accounts.users_after(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.user;
        for account in &page {
            known.push(account.user);
            differed += u64::from(one(store, accounts, account).await?);
        }
    }
    for user in store.users()? {
        if known.binary_search(&user).is_err() {
            differed += u64::from(gone(store, user)?);
        }
    }
    Ok(differed)
}

async fn one(store: &Store, accounts: &Accounts, account: &Account) -> Result<bool, Box<dyn Error>> {
    let user = account.user;
    let (row, devices) = of_core(store, user)?;
    let listed = accounts.all_devices(user).await?;
    let strays = devices.iter().filter(|device| !listed.contains(device));
    let mut rows: Vec<Row> = strays.map(|device| Row::DeviceGone { user, device: *device }).collect();
    let mut differs = !rows.is_empty();
    match row {
        None if account.in_core => {
            accounts.set_not_in_core(user).await?;
            differs = true;
        }
        None => {}
        Some(row) => {
            if row.not_before_ms < account.not_before_ms {
                rows.push(Row::Account {
                    user,
                    row: AccountRow { not_before_ms: account.not_before_ms, ..row },
                });
                differs = true;
            }
            if accounts.policy(user).await?.is_some_and(|policy| policy != row.policy) {
                accounts.tell_policy_again(user).await?;
                differs = true;
            }
        }
    }
    commit(store, user, rows)?;
    Ok(differs)
}

/// One who was erased between the two copies, as by an erasure.
fn gone(store: &Store, user: UserId) -> Result<bool, Box<dyn Error>> {
    let (row, devices) = of_core(store, user)?;
    let mut rows: Vec<Row> = devices.iter().map(|device| Row::DeviceGone { user, device: *device }).collect();
    if let Some(row) = row.filter(|row| row.policy != Policy::NOBODY) {
        let row =
            AccountRow { not_before_ms: now_ms().max(row.not_before_ms), policy: Policy::NOBODY, ..row };
        rows.push(Row::Account { user, row });
    }
    let differs = !rows.is_empty();
    commit(store, user, rows)?;
    Ok(differs)
}

fn of_core(store: &Store, user: UserId) -> Result<(Option<AccountRow>, Vec<DeviceId>), Box<dyn Error>> {
    Ok(match store.read(&Query::User(user), Tier::Any)? {
        Some(Answer::User { account, devices, .. }) => {
            (account, devices.into_iter().map(|(device, _)| device).collect())
        }
        _ => (None, Vec::new()),
    })
}

fn commit(store: &Store, user: UserId, rows: Vec<Row>) -> Result<(), Box<dyn Error>> {
    if !rows.is_empty() {
        let parts = vec![Part { bay: BayId::of_user(user), rows }];
        store.commit(&[Batch { shard: ShardId(0), number: 1, parts }])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::{AddDevice, Database, Name};
    use protocol::commit::DeviceRow;

    const NOW_MS: u64 = 1_800_000_000_000;

    /// The store of a moment, and accounts that went on for a while.
    #[tokio::test]
    async fn the_accounts_are_right() {
        let data = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(&Database::in_directory(data.path())).await.unwrap();
        let store = Store::memory();
        let mut users = Vec::new();
        for name in ["same", "logged-out", "made-after", "barred", "shy"] {
            let user = accounts.create_user(&Name::parse(name).unwrap(), "hash", NOW_MS).await.unwrap();
            accounts.set_in_core(user).await.unwrap();
            let AddDevice::Added(device) = accounts.add_device(user, 16, NOW_MS).await.unwrap() else {
                panic!()
            };
            users.push((user, device));
        }
        let put = |user: UserId, devices: &[DeviceId]| {
            let row = AccountRow { created_ms: NOW_MS, ..AccountRow::default() };
            let of = |device: &DeviceId| Row::Device { user, device: *device, row: DeviceRow::default() };
            let rows = std::iter::once(Row::Account { user, row }).chain(devices.iter().map(of)).collect();
            commit(&store, user, rows).unwrap();
        };
        let [same, logged_out, made_after, barred, shy] = users[..] else { panic!() };
        for (user, device) in [same, logged_out, barred, shy] {
            put(user, &[device]);
        }
        let erased = UserId(77);
        put(erased, &[DeviceId(7)]);
        accounts.remove_device(logged_out.0, logged_out.1).await.unwrap();
        accounts.log_out_all(barred.0, NOW_MS + 5, None).await.unwrap();
        accounts.set_policy(shy.0, Policy::NOBODY).await.unwrap();
        accounts.set_policy_told(shy.0, Policy::NOBODY).await.unwrap();

        assert_eq!(agree(&store, &accounts, NOW_MS).await.unwrap(), 5);
        let devices = |user: UserId| of_core(&store, user).unwrap().1;
        let row = |user: UserId| of_core(&store, user).unwrap().0.unwrap();
        assert_eq!(devices(same.0), [same.1]);
        assert!(
            devices(logged_out.0).is_empty() && devices(barred.0).is_empty() && devices(erased).is_empty()
        );
        assert_eq!(row(barred.0).not_before_ms, NOW_MS + 5);
        assert_eq!(row(erased).policy, Policy::NOBODY);
        assert!(!accounts.user(made_after.0).await.unwrap().unwrap().in_core);
        assert_eq!(accounts.untold_policies(9).await.unwrap(), [shy.0]);
        // The policy is its home's to take; the rest is the same now.
        assert_eq!(agree(&store, &accounts, NOW_MS).await.unwrap(), 1);
    }
}
