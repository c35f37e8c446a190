//! Accounts in PostgreSQL: the whole server on it, the operator's tools, and a database that goes away and comes back. Its
//! password reaches no output.

use std::process::Command;

use client::account::AccountError;

use crate::node::{Node, admin, maru};
use crate::people::{Device, PASSWORD, until};
use crate::servers::{self, Postgres};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_talk_while_the_database_is_away_and_log_in_when_it_is_back() {
    let mut postgres = Postgres::start();
    let url = postgres.fresh();
    let mut node = Node::start(2, &["--database", &url]);
    let account = node.account();
    let (ann, bob) =
        (account.signup("ann", PASSWORD).await.unwrap(), account.signup("bob", PASSWORD).await.unwrap());
    let (hers, his) = (Device::login(&account, "ann").await, Device::login(&account, "bob").await);
    for device in [&hers, &his] {
        until("the device is live", || device.held.lock().unwrap().live).await;
    }
    postgres.stop();
    let away = account.login("ann", PASSWORD, None).await.unwrap_err();
    let AccountError::Refused { status, retry_after_ms, message, .. } = away else { panic!("{away}") };
    assert!(status == 503 && retry_after_ms > 0 && !message.contains("maru"), "{status} {message}");
    // Whoever is there needs no account.
    let channel = protocol::ChannelId::direct(ann, bob);
    hers.say(channel, "still here").await;
    until("it arrives", || {
        his.held
            .lock()
            .unwrap()
            .messages
            .get(&channel)
            .is_some_and(|all| all.values().any(|t| t == "still here"))
    })
    .await;
    postgres.up();
    account.login("ann", PASSWORD, None).await.unwrap();
    assert_eq!(node.stop(), Some(0));
    // The operator's tools ask the same database.
    let data = node.data.to_str().unwrap().to_owned();
    let place = ["--data", &data];
    let run = |args: &[&str]| {
        let output =
            Command::new(maru()).arg("admin").args(args).args(place).env("MARU_DATABASE", &url).output();
        let output = output.unwrap();
        let words = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{args:?}: {words}");
        words
    };
    assert!(run(&["list-users"]).contains("\tann\t"));
    assert!(run(&["check"]).contains("odd 0, broken 0"));
    assert!(run(&["revoke", "--user", "ann"]).contains("devices logged out"));
    assert!(!node.data.join("accounts.sqlite").exists());
    // Without it the directory has no accounts: said, not made anew.
    assert!(text(&admin(&["check", "--data", &data]).stdout).contains("cannot open the accounts"));
}

#[test]
fn its_password_is_not_told_when_it_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let good = servers::fresh();
    let wrong = good.replacen(servers::PASSWORD, "wrong-sesame", 1);
    let nowhere = good.replacen("host=/", "host=/nowhere/", 1);
    let misspelt = format!("{good}&pasword=x");
    for (url, words) in [
        (&wrong, "password authentication failed"),
        (&nowhere, "cannot open"),
        (&misspelt, "sqlite or postgres"),
    ] {
        for with in ["flag", "variable", "file"] {
            let mut command = Command::new(maru());
            command.args(["serve", "--http", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--log", "trace"]);
            command.arg("--data").arg(folder.path().join("data"));
            match with {
                "flag" => drop(command.args(["--database", url])),
                "variable" => drop(command.env("MARU_DATABASE", url)),
                _ => {
                    let file = folder.path().join("maru.toml");
                    std::fs::write(&file, format!("database = \"{url}\"\n")).unwrap();
                    command.arg("--config").arg(file);
                }
            }
            let output = command.output().unwrap();
            let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains(words), "{words}: {said}");
            assert!(!said.contains("sesame"), "{said}");
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The accounts stay where they are; what is restored is the rest, made to agree with them. A directory whose accounts were
/// in a PostgreSQL starts with no other place, and not with an empty database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_has_all_but_the_accounts_which_are_the_newer_part() {
    let postgres = Postgres::start();
    let url = postgres.fresh();
    let mut node = Node::start(1, &["--database", &url]);
    let account = node.account();
    account.signup("ann", PASSWORD).await.unwrap();
    account.login("ann", PASSWORD, None).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (backup, restored, data) =
        (place("backup"), place("restored"), node.data.to_str().unwrap().to_owned());
    let run = |url: Option<&str>, args: &[&str]| {
        let mut command = Command::new(maru());
        command.arg("admin").args(args).envs(url.map(|url| ("MARU_DATABASE", url)));
        let output = command.output().unwrap();
        (output.status.success(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
    };
    let (is_made, words) =
        run(Some(&url), &["backup", "--server", &node.admin, "--data", &data, "--to", &backup]);
    assert!(is_made && !std::path::Path::new(&backup).join("accounts.sqlite").exists(), "{words}");
    // Somebody comes after the store was copied and before the accounts are.
    account.signup("bob", PASSWORD).await.unwrap();
    account.login("bob", PASSWORD, None).await.unwrap();
    assert_eq!(node.stop(), Some(0));
    let (is_restored, words) = run(None, &["restore", "--from", &backup, "--data", &restored]);
    assert!(!is_restored && words.contains("in a PostgreSQL"), "{words}");
    let (is_restored, words) = run(Some(&url), &["restore", "--from", &backup, "--data", &restored]);
    assert!(is_restored && words.contains("broken 0, lost 0"), "{words}");
    node.data = restored.clone().into();
    node.up(1);
    let account = node.account();
    for name in ["ann", "bob"] {
        account.login(name, PASSWORD, None).await.unwrap();
    }
    assert_eq!(node.stop(), Some(0));
    for (wrong, told) in [("sqlite", "the accounts of"), (postgres.fresh().as_str(), "are empty")] {
        let output = Command::new("timeout")
            .arg("120")
            .arg(maru())
            .args(["serve", "--http", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--data", &restored])
            .env("MARU_DATABASE", wrong)
            .output()
            .unwrap();
        let words = text(&output.stderr);
        assert!(output.status.code() == Some(1) && words.contains(told), "{words}");
    }
}
