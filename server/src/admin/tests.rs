use super::*;
use api::{Accounts, Keys, Name, now_ms};
use protocol::commit::{AccountRow, Batch, Part, Row};
use protocol::{BayId, DeviceId, ShardId, UserId, token};
use serde_json::Value;
use storage::Store;

/// A data directory of a server that ran once.
fn directory() -> (tempfile::TempDir, Config) {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { data: dir.path().to_owned(), ..Config::default() };
    drop(Store::open(dir.path(), &config.storage()).unwrap());
    Keys::open_or_create(dir.path(), now_ms()).unwrap();
    (dir, config)
}

fn text(out: Vec<u8>) -> String {
    String::from_utf8(out).unwrap()
}

/// `ExitCode` cannot be compared; its words can.
fn is_success(code: ExitCode) -> bool {
    format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS)
}

#[tokio::test]
async fn users_are_made_listed_and_given_tokens() {
    let (_dir, config) = directory();
    let mut out = Vec::new();
    accounts::create_user(&config, "Alice", "correct horse", &mut out).await.unwrap();
    let user = text(out).trim().to_owned();
    let mut out = Vec::new();
    assert!(accounts::create_user(&config, "ALICE", "correct horse", &mut out).await.is_err());
    assert!(accounts::create_user(&config, "bob", "short", &mut out).await.is_err());
    assert!(accounts::create_user(&config, "b b", "correct horse", &mut out).await.is_err());
    accounts::list_users(&config, &mut out).await.unwrap();
    let listed = text(out);
    assert!(listed.starts_with(&format!("{user}\tAlice\t")) && listed.lines().count() == 1, "{listed}");

    let wanted = |device| accounts::Wanted { user: "alice", device, ttl_s: Some(60), json: true };
    let mut out = Vec::new();
    accounts::token(&config, wanted(Some(77)), &mut out).await.unwrap();
    let made: Value = serde_json::from_str(&text(out)).unwrap();
    let keys = Keys::open(&config.data).unwrap();
    let claims = token::verify(&keys.all(), made["token"].as_str().unwrap(), now_ms()).unwrap();
    assert_eq!((claims.user.to_string(), claims.device.0), (user, 77));
    assert!(claims.expires_ms <= now_ms() + 60_000);
    let mut out = Vec::new();
    accounts::token(&config, wanted(None), &mut out).await.unwrap();
    accounts::create_user(&config, "carol", "correct horse", &mut out).await.unwrap();
    let hers = accounts::Wanted { user: "carol", device: Some(77), ttl_s: None, json: false };
    assert!(
        accounts::token(&config, hers, &mut out).await.unwrap_err().to_string().contains("somebody else")
    );
    let nobody = accounts::Wanted { user: "nobody", device: None, ttl_s: None, json: false };
    assert!(accounts::token(&config, nobody, &mut out).await.is_err());
}

#[tokio::test]
async fn users_in_bulk_are_known_to_everybody() {
    let (dir, config) = directory();
    let tokens = dir.path().join("tokens");
    let wanted = bulk::Wanted { count: 50, prefix: "load", devices: 1, tokens: &tokens, ttl_s: Some(60) };
    bulk::create_users(&config, &wanted, &mut Vec::new()).await.unwrap();
    let first = std::fs::read_to_string(&tokens).unwrap();
    bulk::create_users(&config, &wanted, &mut Vec::new()).await.unwrap();
    let again = std::fs::read_to_string(&tokens).unwrap();
    let ids = |text: &str| {
        let line = |line: &str| line.rsplit_once('\t').unwrap().0.to_owned();
        text.lines().map(line).collect::<Vec<_>>()
    };
    assert_eq!((ids(&first).len(), ids(&again)), (50, ids(&first)));
    let keys = Keys::open(&config.data).unwrap();
    for line in again.lines() {
        let claims = token::verify(&keys.all(), line.rsplit_once('\t').unwrap().1, now_ms()).unwrap();
        assert_eq!(format!("{}\t{}", claims.user, claims.device), line.rsplit_once('\t').unwrap().0);
    }
    let mut out = Vec::new();
    assert!(is_success(check::run(&config, &mut out).await.unwrap()), "{}", text(out));
}

#[test]
fn the_password_is_one_line() {
    assert_eq!(accounts::password(None, &b"correct horse\r\nmore\n"[..]).unwrap().as_str(), "correct horse");
    assert_eq!(accounts::password(None, &b" spaces stay "[..]).unwrap().as_str(), " spaces stay ");
    assert!(accounts::password(Some("MARU_TEST_NO_SUCH"), &b""[..]).is_err());
}

#[tokio::test]
async fn a_clean_directory_is_clean_and_an_unknown_account_is_found() {
    let (_dir, config) = directory();
    let name = Name::parse("alice").unwrap();
    let accounts = Accounts::open(&config.accounts()).await.unwrap();
    let user = accounts.create_user(&name, "hash", now_ms()).await.unwrap();
    let check = async || {
        let mut out = Vec::new();
        let code = check::run(&config, &mut out).await.unwrap();
        (is_success(code), text(out))
    };
    let (clean, out) = check().await;
    assert!(clean, "an account that the core was never told of is no finding\n{out}");
    accounts.set_in_core(user).await.unwrap();
    let (clean, out) = check().await;
    assert!(!clean && out.contains("broken: the account") && out.contains("broken 1, lost 0"), "{out}");

    let store = Store::open(&config.data, &config.storage()).unwrap();
    let row = Row::Account { user, row: AccountRow { created_ms: 1, ..AccountRow::default() } };
    let parts = vec![Part { bay: BayId::of_user(user), rows: vec![row] }];
    store.commit(&[Batch { shard: ShardId(0), number: 1, parts }]).unwrap();
    let locked = check::run(&config, &mut Vec::new()).await.unwrap_err().to_string();
    assert!(locked.contains("in use by another process"), "{locked}");
    drop(store);
    let (clean, out) = check().await;
    assert!(clean, "{out}");

    let mut out = Vec::new();
    stats::of_directory(&config, &mut out).await.unwrap();
    let stats = text(out);
    assert!(stats.contains("accounts 1\ndevices 0\ndisk_bytes "), "{stats}");
    assert_eq!(stats.lines().filter(|line| line.starts_with("bay ")).count(), 64, "{stats}");
    std::fs::remove_file(config.data.join("keys")).unwrap();
    assert!(!check().await.0);
}

#[tokio::test]
async fn a_device_that_one_side_does_not_know_is_named() {
    let (_dir, config) = directory();
    let mut out = Vec::new();
    accounts::create_user(&config, "alice", "correct horse", &mut out).await.unwrap();
    let wanted = accounts::Wanted { user: "alice", device: Some(77), ttl_s: None, json: false };
    accounts::token(&config, wanted, &mut out).await.unwrap();
    let check = async || {
        let mut out = Vec::new();
        let code = check::run(&config, &mut out).await.unwrap();
        (is_success(code), text(out))
    };
    let (clean, out) = check().await;
    assert!(clean && out.contains("odd 0, broken 0"), "{out}");

    let accounts = Accounts::open(&config.accounts()).await.unwrap();
    let user = accounts.user_by_name(&Name::parse("alice").unwrap()).await.unwrap().unwrap().user;
    assert!(accounts.adopt_device(user, DeviceId(78), now_ms()).await.unwrap());
    let (clean, out) = check().await;
    assert!(clean && out.contains("odd: device 78 of") && out.contains("odd 1, broken 0"), "{out}");
    accounts.remove_device(user, DeviceId(77)).await.unwrap();
    let (clean, out) = check().await;
    assert!(!clean && out.contains("broken: device 77 of") && out.contains("odd 1, broken 1"), "{out}");
    accounts.log_out_all(user, 5, None).await.unwrap();
    let (_, out) = check().await;
    assert!(out.contains("refuses tokens of before 5 in the accounts, of before 0 in the core"), "{out}");

    let store = Store::open(&config.data, &config.storage()).unwrap();
    bulk::tell_core(&store, &[(UserId(4711), vec![DeviceId(1)])], 1).unwrap();
    drop(store);
    let (_, out) = check().await;
    assert!(out.contains("user 4711 has an account in the core, and the accounts have none"), "{out}");
}

/// What a migration does to rows is tested with the store; here, what the operator reads.
#[tokio::test]
async fn a_directory_of_format_1_is_migrated_and_then_checked() {
    let (dir, config) = directory();
    std::fs::remove_dir_all(dir.path().join("store")).unwrap();
    copy(std::path::Path::new(FORMAT_1), dir.path());
    let refused = check::run(&config, &mut Vec::new()).await.unwrap_err().to_string();
    assert!(refused.contains("format 1") && refused.contains("maru admin migrate"), "{refused}");
    let mut out = Vec::new();
    assert!(is_success(migrate::run(&config, &mut out).unwrap()));
    let said = text(out);
    assert!(said.starts_with("4 stores became one: 68 messages, "), "{said}");
    assert!(said.contains("format-1 once all is well"), "{said}");
    let mut out = Vec::new();
    assert!(is_success(migrate::run(&config, &mut out).unwrap()));
    assert!(text(out).contains("has the format of this program already"));
    Accounts::open(&config.accounts()).await.unwrap().close().await;
    let mut out = Vec::new();
    check::run(&config, &mut out).await.unwrap();
    // The accounts of these users were not part of the golden directory.
    let said = text(out);
    assert!(said.contains("checked 7 channels, 68 messages") && said.contains("lost 0"), "{said}");
    assert!(!said.contains("broken: bay"), "{said}");
}

const FORMAT_1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../storage/tests/golden/format1/data");

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn what_is_not_a_data_directory_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let data = Some(dir.path().display().to_string());
    let refused = Place { data, config: None }.existing().unwrap_err().to_string();
    assert!(refused.contains("is not a Maru data directory"), "{refused}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn revoked_devices_are_gone_on_both_sides() {
    let (_dir, config) = directory();
    for name in ["alice", "bob"] {
        accounts::create_user(&config, name, "correct horse", &mut Vec::new()).await.unwrap();
    }
    for (user, device) in [("alice", 77), ("alice", 78), ("bob", 79)] {
        let wanted = accounts::Wanted { user, device: Some(device), ttl_s: None, json: false };
        accounts::token(&config, wanted, &mut Vec::new()).await.unwrap();
    }
    let revoke = async |wanted| {
        let mut out = Vec::new();
        revoke::in_directory(&config, wanted, &mut out).await.map(|_| text(out))
    };
    // What the accounts know; `check` says that the core knows the same.
    let known = async |name| {
        let mut out = Vec::new();
        check::run(&config, &mut out).await.unwrap();
        assert!(text(out).contains("odd 0, broken 0"));
        let accounts = Accounts::open_existing(&config.accounts()).await.unwrap();
        let account = accounts.user_by_name(&Name::parse(name).unwrap()).await.unwrap().unwrap();
        let devices: Vec<u64> =
            accounts.all_devices(account.user).await.unwrap().iter().map(|device| device.0).collect();
        accounts.close().await;
        (devices, account.not_before_ms > 0)
    };
    let one = revoke::Wanted::User { name: "alice", device: Some(77) };
    assert!(revoke(one).await.unwrap().ends_with(": 1\n"));
    assert!(revoke(one).await.unwrap().ends_with(": 0\n"), "repeatable");
    assert_eq!(known("alice").await, (vec![78], false));
    assert!(revoke(revoke::Wanted::User { name: "alice", device: None }).await.unwrap().ends_with(": 1\n"));
    assert_eq!(known("alice").await, (vec![], true), "and every token issued until now");
    assert_eq!(known("bob").await, (vec![79], false), "nobody else's");
    assert!(revoke(revoke::Wanted::All).await.unwrap().ends_with(": 1\n"));
    assert_eq!(known("bob").await, (vec![], true));
    let nobody = revoke::Wanted::User { name: "carol", device: None };
    assert!(revoke(nobody).await.unwrap_err().to_string().contains("no user carol"));
}

#[tokio::test]
async fn an_operator_gives_passwords_invites_and_ends_accounts() {
    let (_dir, config) = directory();
    for name in ["alice", "bob"] {
        accounts::create_user(&config, name, "correct horse", &mut Vec::new()).await.unwrap();
        let wanted = accounts::Wanted { user: name, device: None, ttl_s: None, json: false };
        accounts::token(&config, wanted, &mut Vec::new()).await.unwrap();
    }
    let account = async |name| {
        let accounts = Accounts::open_existing(&config.accounts()).await.unwrap();
        let account = accounts.user_by_name(&Name::parse(name).unwrap()).await.unwrap();
        accounts.close().await;
        account
    };
    let change = async |user, change| {
        let mut out = Vec::new();
        person::change(&config, user, None, change, &mut out).await.map(|_| text(out))
    };
    let is_clean = async || {
        let mut out = Vec::new();
        let code = check::run(&config, &mut out).await.unwrap();
        let out = text(out);
        assert!(is_success(code) && out.contains("odd 0, broken 0"), "{out}");
    };
    let before = account("alice").await.unwrap();
    let short = change("alice", person::Change::Password("short")).await.unwrap_err().to_string();
    assert!(short.contains("must be 8 to"), "{short}");
    assert!(
        change("ALICE", person::Change::Password("a new horse")).await.unwrap().contains("another password")
    );
    let after = account("alice").await.unwrap();
    assert!(after.password_hash != before.password_hash && after.not_before_ms > before.not_before_ms);
    is_clean().await;

    let mut out = Vec::new();
    invites::make(&config, 2, 3, 60, &mut out).await.unwrap();
    let codes = text(out);
    assert!(codes.lines().count() == 2 && codes.lines().all(|code| code.len() == 32), "{codes}");
    let listed = async || {
        let mut out = Vec::new();
        invites::list(&config, &mut out).await.unwrap();
        text(out)
    };
    let lines = listed().await;
    assert!(lines.lines().count() == 2 && lines.contains("\toperator\t3\t3\t"), "{lines}");
    let id = lines.split('\t').next().unwrap().parse().unwrap();
    invites::revoke(&config, id).await.unwrap();
    assert_eq!(listed().await.lines().count(), 1);

    assert!(change("bob", person::Change::Erase).await.unwrap().contains("no more"));
    assert!(account("bob").await.is_none());
    is_clean().await;
    assert!(change("bob", person::Change::Erase).await.unwrap_err().to_string().contains("no user bob"));
    let taken = accounts::create_user(&config, "Bob", "correct horse", &mut Vec::new()).await.unwrap_err();
    assert!(taken.to_string().contains("taken"), "{taken}");
}

#[tokio::test]
async fn keys_of_a_stopped_directory_are_rotated_and_retired() {
    let (_dir, config) = directory();
    keys::rotate(&config).unwrap();
    let mut out = Vec::new();
    keys::list(&config, &mut out).unwrap();
    let listed = text(out);
    let words: Vec<Vec<&str>> = listed.lines().map(|line| line.split('\t').take(2).collect()).collect();
    assert_eq!(words, [["1", "verifies"], ["2", "signs"]]);
    assert!(keys::retire(&config, 2).unwrap_err().to_string().contains("signs"));
    keys::retire(&config, 1).unwrap();
    assert_eq!(Keys::open(&config.data).unwrap().all().len(), 1);
    // A running server is asked instead.
    let _running = Store::open(&config.data, &config.storage()).unwrap();
    assert!(keys::rotate(&config).is_err());
}
