//! Many accounts at once, for load tests: no password is hashed, and the core learns of all of them in one commit a bay.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

use api::{Keys, Name, OPERATOR_TOKEN_MS, now_ms};
use protocol::commit::{AccountRow, Batch, DeviceRow, Part, Row};
use protocol::limits::DEVICES_MAX;
use protocol::query::{Answer, Query};
use protocol::token::{self, Claims};
use protocol::{BayId, DeviceId, ShardId, UserId};
use storage::{Store, Tier};

use crate::config::Config;
use crate::directory::{self, Parts};
use crate::owner;

/// Accounts in one SQL transaction.
const CHUNK: usize = 10_000;

/// What to make.
pub(super) struct Wanted<'a> {
    pub(super) count: u32,
    pub(super) prefix: &'a str,
    /// Of each.
    pub(super) devices: u32,
    pub(super) tokens: &'a Path,
    pub(super) ttl_s: Option<u64>,
}

pub(super) async fn create_users(
    config: &Config,
    wanted: &Wanted<'_>,
    out: &mut impl Write,
) -> Result<ExitCode, Box<dyn Error>> {
    let names = (1..=wanted.count).map(|number| Name::parse(&format!("{}{number:06}", wanted.prefix)));
    let names = names.collect::<Result<Vec<_>, _>>().map_err(|fault| format!("--prefix: {fault}"))?;
    // Opening locks the directory: a running server is refused before anything is made.
    let store = directory::open_store(config)?;
    let Parts { keys, accounts, .. } = directory::open_parts(config, &store).await?;
    directory::promise(config)?;
    let created_ms = now_ms();
    let mut made = Vec::with_capacity(names.len());
    for chunk in names.chunks(CHUNK) {
        made.extend(accounts.create_in_bulk(chunk, wanted.devices, created_ms).await?);
    }
    let mut users: Vec<UserId> = made.iter().map(|(user, _)| *user).collect();
    users.dedup();
    let of_users = made.chunk_by(|(one, _), (other, _)| one == other);
    let devices =
        |list: &[(UserId, DeviceId)]| list.iter().map(|(_, device)| *device).collect::<Vec<DeviceId>>();
    let all: Vec<(UserId, Vec<DeviceId>)> =
        of_users.filter_map(|list| Some((list.first()?.0, devices(list)))).collect();
    tell_core(&store, &all, created_ms)?;
    accounts.set_all_in_core(&users).await?;
    accounts.close().await;
    let token_ms = wanted.ttl_s.map_or(OPERATOR_TOKEN_MS, |seconds| seconds.saturating_mul(1000));
    owner::outside(|| write_tokens(wanted.tokens, &keys, &made, token_ms))?
        .map_err(|error| format!("{}: {error}", wanted.tokens.display()))?;
    writeln!(out, "{} accounts, tokens in {}", users.len(), wanted.tokens.display())?;
    Ok(ExitCode::SUCCESS)
}

/// Gives users and devices their rows in a store that nothing else writes to. Those that have one keep it.
pub(crate) fn tell_core(
    store: &Store,
    users: &[(UserId, Vec<DeviceId>)],
    created_ms: u64,
) -> Result<(), Box<dyn Error>> {
    let mut parts: Vec<Part> = BayId::all().map(|bay| Part { bay, rows: Vec::new() }).collect();
    for (user, devices) in users {
        if let Some(part) = parts.get_mut(usize::from(BayId::of_user(*user).0)) {
            add_rows(store, *user, devices, created_ms, &mut part.rows)?;
        }
    }
    parts.retain(|part| !part.rows.is_empty());
    for (part, number) in parts.into_iter().zip(1..) {
        store.commit(&[Batch { shard: ShardId(0), number, parts: vec![part] }])?;
    }
    Ok(())
}

fn add_rows(
    store: &Store,
    user: UserId,
    devices: &[DeviceId],
    created_ms: u64,
    rows: &mut Vec<Row>,
) -> Result<(), Box<dyn Error>> {
    let (account, known) = match store.read(&Query::User(user), Tier::Any)? {
        Some(Answer::User { account, devices, .. }) => (account, devices),
        _ => (None, Vec::new()),
    };
    if account.is_none() {
        rows.push(Row::Account { user, row: AccountRow { created_ms, ..AccountRow::default() } });
    }
    let mut count = known.len();
    let news = devices.iter().filter(|device| known.iter().all(|(has, _)| has != *device));
    for &device in news {
        count += 1;
        if count > DEVICES_MAX {
            let text = "has its full number of devices; log one out or revoke one on the running server";
            return Err(format!("user {user} {text}").into());
        }
        rows.push(Row::Device {
            user,
            device,
            row: DeviceRow { seen_ms: created_ms, ..DeviceRow::default() },
        });
    }
    Ok(())
}

/// Tokens are secrets: the file is for its owner alone.
fn write_tokens(path: &Path, keys: &Keys, made: &[(UserId, DeviceId)], token_ms: u64) -> std::io::Result<()> {
    let issued_ms = now_ms();
    let expires_ms = issued_ms.saturating_add(token_ms);
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut file = BufWriter::new(file);
    for &(user, device) in made {
        let token = token::sign(&keys.newest(), &Claims { user, device, expires_ms, issued_ms });
        writeln!(file, "{user}\t{device}\t{token}")?;
    }
    file.flush()
}
