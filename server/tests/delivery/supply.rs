//! What the program is made of: licences, sources and checksums of every crate of the lock file, without any tool but cargo.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::{read, root, said};

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Every package that may be compiled, on any platform, with the tests'.
fn packages() -> &'static [Value] {
    static PACKAGES: OnceLock<Vec<Value>> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let mut command = Command::new(env!("CARGO"));
        command.args(["metadata", "--locked", "--offline", "--format-version", "1"]);
        // Without a filter cargo wants the sources of crates for Windows too.
        command.args(["--filter-platform", "x86_64-unknown-linux-gnu"]).current_dir(root());
        let metadata: Value = serde_json::from_str(&said(&command.output().unwrap())).unwrap();
        metadata["packages"].as_array().unwrap().clone()
    })
}

fn deny() -> toml::Table {
    read("deploy/deny.toml").parse().unwrap()
}

/// A list of texts in deny.toml.
fn list(table: &str, key: &str) -> BTreeSet<String> {
    let deny = deny();
    let list = deny[table][key].as_array().unwrap();
    list.iter().map(|entry| entry.as_str().unwrap().to_owned()).collect()
}

/// Whether a licence expression (SPDX, and the slash of before) lets us go with these licences alone.
fn is_met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let text = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut at = 0;
    let met = either(&words, &mut at, allowed);
    assert_eq!(at, words.len(), "{expression}");
    met
}

fn either(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = both(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= both(words, at, allowed);
    }
    met
}

fn both(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let word = words[*at];
    *at += 1;
    if word == "(" {
        let met = either(words, at, allowed);
        assert_eq!(words[*at], ")");
        *at += 1;
        return met;
    }
    if words.get(*at) == Some(&"WITH") {
        let name = format!("{word} WITH {}", words[*at + 1]);
        *at += 2;
        return allowed.contains(&name);
    }
    allowed.contains(word)
}

#[test]
fn every_licence_is_allowed() {
    let allowed = list("licenses", "allow");
    for package in packages() {
        let licence = package["license"].as_str().unwrap_or_else(|| panic!("{} has none", package["name"]));
        assert!(is_met(licence, &allowed), "{}: {licence}", package["name"]);
    }
}

#[test]
fn expressions_are_understood() {
    let allowed = BTreeSet::from(["MIT".to_owned(), "ISC".to_owned(), "A WITH x".to_owned()]);
    for (expression, met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("ISC AND (GPL-3.0 OR MIT)", true),
        ("ISC AND (GPL-3.0 OR BSD)", false),
        ("A WITH x", true),
        ("A WITH y OR A", false),
        ("MIT AND GPL-3.0 OR ISC", true),
    ] {
        assert_eq!(is_met(expression, &allowed), met, "{expression}");
    }
}

#[test]
fn every_crate_is_of_the_registry_and_has_a_checksum() {
    let lock: toml::Table = read("Cargo.lock").parse().unwrap();
    let locked = lock["package"].as_array().unwrap();
    assert!(locked.len() > 100, "the lock file was not read");
    for package in locked {
        // What has no source is in this repository.
        if let Some(source) = package.get("source") {
            assert_eq!(source.as_str(), Some(REGISTRY), "{package}");
            assert_eq!(package["checksum"].as_str().unwrap().len(), 64, "{package}");
        }
    }
    assert_eq!(
        list("sources", "allow-registry"),
        [REGISTRY.trim_start_matches("registry+").to_owned()].into()
    );
}

#[test]
fn what_is_banned_is_not_there() {
    let deny = deny();
    let banned = deny["bans"]["deny"].as_array().unwrap();
    assert!(!banned.is_empty());
    for banned in banned {
        let name = banned["crate"].as_str().unwrap();
        assert!(
            !packages().iter().any(|package| package["name"] == name),
            "{name} is among the dependencies"
        );
    }
}

#[test]
fn the_bill_of_materials_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    said(&Command::new(root().join("deploy/sbom.sh")).arg(folder.path()).output().unwrap());
    let bill = std::fs::read_to_string(folder.path().join("maru.cdx.json")).unwrap();
    let bill: Value = serde_json::from_str(&bill).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let components = bill["components"].as_array().unwrap();
    let mut refs = BTreeSet::new();
    let locked = read("Cargo.lock");
    for component in components {
        assert!(refs.insert(component["bom-ref"].as_str().unwrap()), "{component} is there twice");
        assert!(!component["licenses"][0]["expression"].as_str().unwrap().is_empty(), "{component}");
        if let Some(purl) = component["purl"].as_str() {
            let sum = component["hashes"][0]["content"].as_str().unwrap();
            assert!(sum.len() == 64 && locked.contains(sum), "{purl}");
        }
    }
    // What is ours, what is linked, what is inside a crate; and nothing of the tests alone.
    let names: BTreeSet<&str> =
        components.iter().map(|component| component["name"].as_str().unwrap()).collect();
    for name in ["server", "rustls", "tokio", "librocksdb-sys", "lz4", "zstd", "sqlite"] {
        assert!(names.contains(name), "{name}");
    }
    for name in ["proptest", "criterion", "sim", "s2n-quic", "aws-lc-sys", "yaml-rust2"] {
        assert!(!names.contains(name), "{name} is of the tests");
    }
    let table = std::fs::read_to_string(folder.path().join("licences.tsv")).unwrap();
    assert_eq!(table.lines().count(), components.len() + 1);
    let inner = table.lines().find(|line| line.ends_with("inside librocksdb-sys")).unwrap();
    let version = inner.split('\t').nth(1).unwrap();
    assert!(locked.contains(&format!("+{version}\"")), "{inner}");
}

/// One Rust for releases, wherever it is named.
#[test]
fn the_toolchain_is_pinned_once() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let pinned = manifest["workspace"]["metadata"]["toolchain"].as_str().unwrap();
    let least = manifest["workspace"]["package"]["rust-version"].as_str().unwrap();
    assert!(pinned.starts_with(least), "{pinned} and {least}");
    assert!(read("deploy/Containerfile").contains(&format!("rust:{pinned}-")), "deploy/Containerfile");
    assert!(read("README.md").contains(&format!("Rust ({least} or newer)")), "README.md");
}
