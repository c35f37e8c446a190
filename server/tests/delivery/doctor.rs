//! `maru admin doctor` on this machine, and on one that is made worse.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::{maru, said};

/// What it says of a directory, and with which exit code.
fn doctor(data: &Path, more: &[&str]) -> (Value, i32) {
    let data = data.to_str().unwrap();
    let output = maru(&[&["admin", "doctor", "--json", "--data", data], more].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let object = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (object, output.status.code().unwrap())
}

fn finding<'a>(object: &'a Value, check: &str) -> &'a Value {
    let mut list = object["findings"].as_array().unwrap().iter();
    list.find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("no {check} in {object}"))
}

#[test]
fn everything_is_looked_at_and_nothing_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (object, code) = doctor(&data, &[]);
    for check in [
        "settings",
        "descriptors",
        "net.core.somaxconn",
        "net.core.rmem_max",
        "net.core.wmem_max",
        "net.ipv4.tcp_mem",
        "vm.overcommit_memory",
        "transparent huge pages",
        "clock source",
        "clock",
        "data directory",
        "file system",
        "space",
        "fsync",
        "cores",
        "memory",
        "certificate",
        "http",
        "listen",
        "admin_listen",
        "quic",
        "accounts",
    ] {
        let found = finding(&object, check);
        assert!(!found["found"].as_str().unwrap().is_empty(), "{found}");
        let asks = found["verdict"] == "advice" || found["verdict"] == "wrong";
        assert_eq!(asks, !found["change"].as_str().unwrap().is_empty(), "{found}");
    }
    assert_eq!(code == 0, object["wrong"] == 0, "{object}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something was left behind");
}

#[test]
fn what_is_wrong_is_named_with_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = data.path().join("maru.toml");
    let certificate = data.path().join("none.pem");
    let text = format!(
        "http = \"{}\"\nshards = 64\ntls_cert = {certificate:?}\ntls_key = {certificate:?}\n\
         database = \"postgres://me:secret@127.0.0.1:1/maru\"\n",
        taken.local_addr().unwrap()
    );
    std::fs::write(&config, text).unwrap();
    let (object, code) = doctor(data.path(), &["--config", config.to_str().unwrap()]);
    assert_eq!(code, 1);
    for (check, word) in [
        ("data directory", "chmod 700"),
        ("http", "another address"),
        ("certificate", "mend it"),
        ("accounts", "does not start"),
    ] {
        let found = finding(&object, check);
        assert_eq!(found["verdict"], "wrong", "{found}");
        assert!(found["change"].as_str().unwrap().contains(word), "{found}");
    }
    assert!(!object.to_string().contains("secret"), "{object}");
}

#[test]
fn wrong_settings_are_a_finding() {
    let data = tempfile::tempdir().unwrap();
    let config = data.path().join("maru.toml");
    std::fs::write(&config, "shard = 2\n").unwrap();
    let (object, code) = doctor(data.path(), &["--config", config.to_str().unwrap()]);
    let found = finding(&object, "settings");
    assert!(code == 1 && found["verdict"] == "wrong", "{found}");
    assert!(found["found"].as_str().unwrap().contains("shard (in "), "{found}");
}

#[test]
fn words_are_for_people() {
    let data = tempfile::tempdir().unwrap();
    std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let output = maru(&["admin", "doctor", "--data", data.path().to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("fine    data directory: "), "{text}");
    assert!(text.lines().last().unwrap().starts_with("fine "), "{text}");
    assert!(said(&maru(&["admin", "doctor", "--help"])).contains("Exit code 1"));
}
