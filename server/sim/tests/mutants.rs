//! Proof that the simulator can fail: deliberate faults in the core, each of which it must find.
//!
//! Product code has no switches for this. A mutant is a text that stands exactly once in a file of the core and what is put
//! in its place. The crates that the simulator is made of are copied into a workspace of their own, the mutant is applied
//! there, the copy is built and run on some seeds, and the run must fail. All mutants share one target directory, so that
//! each costs the build of the core and the simulator only.
//!
//! Ignored in plain `cargo test`, because it costs a build a mutant: `cargo test -p sim --test mutants -- --ignored`.
//! `MUTANT=word` runs those whose name holds the word.

// A test that cannot read or build has failed, and says where.
#![allow(clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

mod patches;

use patches::{MUTANTS, Mutant};

/// Seeds that a mutant has to survive to escape.
const SEEDS: u64 = 600;

/// What the copy is made of, beside the manifest of the workspace.
const CRATES: [&str; 5] = ["protocol", "storage", "clients/rust", "server/shard", "server/sim"];

#[test]
fn patches_apply_exactly_once() {
    for mutant in MUTANTS {
        let path = root().join("server/shard/src").join(mutant.file);
        mutated(mutant, &fs::read_to_string(&path).expect("the core can be read"));
    }
}

#[test]
#[ignore = "builds the core once a mutant; see the head of the file"]
fn every_mutant_is_caught() {
    let wanted = std::env::var("MUTANT").unwrap_or_default();
    let home = copy_workspace();
    // The unchanged core must hold on the same seeds, or a failure would prove nothing.
    let (held, words) = run(&home);
    assert!(held, "the unchanged core fails:\n{words}");
    let mut escaped = Vec::new();
    for mutant in MUTANTS.iter().filter(|mutant| mutant.name.contains(&wanted)) {
        let path = home.join("server/shard/src").join(mutant.file);
        let original = fs::read_to_string(&path).expect("the copy can be read");
        fs::write(&path, mutated(mutant, &original)).expect("the copy can be written");
        let (held, words) = run(&home);
        fs::write(&path, original).expect("the copy can be written");
        println!("{}: {words}", mutant.name);
        if held {
            escaped.push(mutant.name);
        }
    }
    assert!(escaped.is_empty(), "not caught: {escaped:?}");
}

/// The file of the core with the fault in it.
fn mutated(mutant: &Mutant, original: &str) -> String {
    let found = original.matches(mutant.from).count();
    assert_eq!(found, 1, "{}: its text stands {found} times in {}", mutant.name, mutant.file);
    original.replace(mutant.from, mutant.to)
}

/// Builds and runs the copy. Whether every seed held, and the last words.
fn run(home: &Path) -> (bool, String) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(&cargo);
    build.args(["build", "--offline", "--quiet", "-p", "sim"]).current_dir(home);
    build.env("CARGO_TARGET_DIR", home.join("target")).env("RUSTFLAGS", "-Awarnings");
    let built = build.output().expect("cargo runs");
    assert!(built.status.success(), "the copy does not build:\n{}", String::from_utf8_lossy(&built.stderr));
    let mut sim = Command::new(home.join("target/debug/sim"));
    sim.args(["--seeds", &format!("0..{SEEDS}"), "--last", "0"]);
    let ran = sim.output().expect("the simulator runs");
    let words = String::from_utf8_lossy(&ran.stdout);
    let last = words.lines().find(|line| line.starts_with("seed ")).or_else(|| words.lines().last());
    (ran.status.success(), last.unwrap_or_default().chars().take(300).collect())
}

/// The workspace of this crate.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Copies what differs, so that what is the same is not built again.
fn copy_workspace() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
    for part in CRATES {
        copy_tree(&root().join(part), &home.join(part));
    }
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the manifest can be read");
    let (head, rest) = manifest.split_once("members = [").expect("the manifest names its members");
    let (_, rest) = rest.split_once(']').expect("the list of members ends");
    let members = CRATES.map(|part| format!("\"{part}\"")).join(", ");
    write_if_other(&home.join("Cargo.toml"), format!("{head}members = [{members}]{rest}").as_bytes());
    let lock = fs::read(root().join("Cargo.lock")).expect("the lock file can be read");
    write_if_other(&home.join("Cargo.lock"), &lock);
    home
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory can be made");
    for entry in fs::read_dir(from).expect("a directory can be read") {
        let path = entry.expect("an entry can be read").path();
        let name = path.file_name().expect("an entry has a name").to_owned();
        if path.is_dir() {
            copy_tree(&path, &to.join(name));
        } else {
            write_if_other(&to.join(name), &fs::read(&path).expect("a file can be read"));
        }
    }
}

fn write_if_other(path: &Path, bytes: &[u8]) {
    if fs::read(path).ok().as_deref() != Some(bytes) {
        fs::write(path, bytes).expect("a file can be written");
    }
}
