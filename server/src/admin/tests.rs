use super::*;
use api::{Accounts, Keys, Name, now_ms};
use protocol::commit::{AccountRow, Batch, Row};
use protocol::{DeviceId, Placement, UserId, token};
use storage::Stores;

/// A data directory of a server that ran once.
fn directory() -> (tempfile::TempDir, Config) {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { data: dir.path().to_owned(), stores: 2, ..Config::default() };
    drop(Stores::open(dir.path(), &config.storage()).unwrap());
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
    let made: serde_json::Value = serde_json::from_str(&text(out)).unwrap();
    let keys = Keys::open(&config.data).unwrap();
    let claims = token::verify(keys.all(), made["token"].as_str().unwrap(), now_ms()).unwrap();
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
        let claims = token::verify(keys.all(), line.rsplit_once('\t').unwrap().1, now_ms()).unwrap();
        assert_eq!(format!("{}\t{}", claims.user, claims.device), line.rsplit_once('\t').unwrap().0);
    }
    let mut out = Vec::new();
    assert!(is_success(check::run(&config, &mut out).await.unwrap()), "{}", text(out));
}

#[test]
fn the_password_is_one_line() {
    assert_eq!(accounts::password(None, &b"correct horse\r\nmore\n"[..]).unwrap(), "correct horse");
    assert_eq!(accounts::password(None, &b" spaces stay "[..]).unwrap(), " spaces stay ");
    assert!(accounts::password(Some("MARU_TEST_NO_SUCH"), &b""[..]).is_err());
}

#[tokio::test]
async fn a_clean_directory_is_clean_and_an_unknown_account_is_found() {
    let (_dir, config) = directory();
    let name = Name::parse("alice").unwrap();
    let accounts = Accounts::open(&config.data).await.unwrap();
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

    let stores = Stores::open(&config.data, &config.storage()).unwrap();
    let store = Placement::new(2, 1).unwrap().user_store(user);
    let row = Row::Account { user, row: AccountRow { created_ms: 1, not_before_ms: 0 } };
    stores.commit(store, &[Batch { store, number: 1, rows: vec![row] }]).unwrap();
    let locked = check::run(&config, &mut Vec::new()).await.unwrap_err().to_string();
    assert!(locked.contains("in use by another process"), "{locked}");
    drop(stores);
    let (clean, out) = check().await;
    assert!(clean, "{out}");

    let mut out = Vec::new();
    stats::of_directory(&config, &mut out).await.unwrap();
    let stats = text(out);
    assert!(stats.contains("accounts 1\ndevices 0\nstores 2\n"), "{stats}");
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

    let accounts = Accounts::open(&config.data).await.unwrap();
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

    let stores = Stores::open(&config.data, &config.storage()).unwrap();
    bulk::tell_core(&stores, &[(UserId(4711), vec![DeviceId(1)])], 1).unwrap();
    drop(stores);
    let (_, out) = check().await;
    assert!(out.contains("user 4711 has an account in the core, and the accounts have none"), "{out}");
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
        let accounts = Accounts::open_existing(&config.data).await.unwrap();
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
