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
                rows.push(Row::Account { user, row: AccountRow { not_before_ms: account.not_before_ms, ..row } });
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
        let row = AccountRow { not_before_ms: now_ms().max(row.not_before_ms), policy: Policy::NOBODY, ..row };
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
