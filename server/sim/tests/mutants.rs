//! Proof that our tests can fail: deliberate faults, each of which must be found. Those of the core by the simulator, those
//! of a crate with tests of its own by these.
//!
//! Product code has no switches for this. A mutant is a text that stands exactly once in a file and what is put in its
//! place. The crates that the proofs are made of are copied into a workspace of their own, the mutant is applied there, the
//! copy is built and its proof is run, which must fail. All mutants share one target directory, so that each costs the build
//! of what it changes only.
//!
//! Ignored in plain `cargo test`, because it costs a build a mutant: `cargo test -p sim --test mutants -- --ignored`.
//! `MUTANT=word` runs those whose name or directory holds the word.

// A test that cannot read or build has failed, and says where.
#![allow(clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

mod patches;

use patches::Mutant;

/// Seeds that a mutant of the core has to survive to escape.
const SEEDS: u64 = 600;

/// What the copy is made of, beside the manifest of the workspace.
const CRATES: [&str; 6] =
    ["protocol", "storage", "clients/rust", "server/shard", "server/edge", "server/sim"];

/// Where mutants live, and what must find them.
struct Room {
    dir: &'static str,
    mutants: &'static [Mutant],
    proof: Proof,
}

/// What must fail.
#[derive(Clone, Copy)]
enum Proof {
    /// The simulator, on [`SEEDS`] seeds.
    Simulator,
    /// The tests of a crate.
    Tests(&'static str),
}

const ROOMS: [Room; 3] = [
    Room { dir: "server/shard/src", mutants: patches::MUTANTS, proof: Proof::Simulator },
    Room { dir: "storage/src", mutants: patches::storage::MUTANTS, proof: Proof::Tests("storage") },
    Room { dir: "server/edge/src", mutants: patches::edge::MUTANTS, proof: Proof::Tests("edge") },
];

#[test]
fn patches_apply_exactly_once() {
    for room in &ROOMS {
        for mutant in room.mutants {
            let path = root().join(room.dir).join(mutant.file);
            mutated(mutant, &fs::read_to_string(&path).expect("the file can be read"));
        }
    }
}

#[test]
#[ignore = "builds once a mutant; see the head of the file"]
fn every_mutant_is_caught() {
    let wanted = std::env::var("MUTANT").unwrap_or_default();
    let home = copy_workspace();
    let mut escaped = Vec::new();
    for room in &ROOMS {
        let is_wanted = |mutant: &&Mutant| {
            mutant.name.contains(&wanted) || room.dir.split('/').any(|part| part == wanted)
        };
        let mutants: Vec<&Mutant> = room.mutants.iter().filter(is_wanted).collect();
        if mutants.is_empty() {
            continue;
        }
        // What is unchanged must hold, or a failure would prove nothing.
        let unchanged = room.proof.run(&home);
        assert!(unchanged.fate == Fate::Held, "{} fails unchanged: {}", room.dir, unchanged.words);
        for mutant in mutants {
            let path = home.join(room.dir).join(mutant.file);
            let original = fs::read_to_string(&path).expect("the copy can be read");
            fs::write(&path, mutated(mutant, &original)).expect("the copy can be written");
            let outcome = room.proof.run(&home);
            fs::write(&path, original).expect("the copy can be written");
            println!("{}: {}: {:?}: {}", room.dir, mutant.name, outcome.fate, outcome.words);
            if outcome.fate != Fate::Caught {
                escaped.push(mutant.name);
            }
        }
    }
    assert!(escaped.is_empty(), "not caught, or not built: {escaped:?}");
}

/// What became of a mutant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Held,
    Caught,
    /// One that does not compile proves nothing.
    NotBuilt,
}

/// The same with the last words of what was run.
struct Outcome {
    fate: Fate,
    words: String,
}

impl Proof {
    /// Builds and runs it in the copy.
    fn run(self, home: &Path) -> Outcome {
        match self {
            Self::Simulator => {
                if let Err(words) = build(home, &["build", "--offline", "--quiet", "-p", "sim"]) {
                    return Outcome { fate: Fate::NotBuilt, words };
                }
                let mut sim = Command::new(home.join("target/debug/sim"));
                sim.args(["--seeds", &format!("0..{SEEDS}"), "--last", "0"]);
                let ran = sim.output().expect("the simulator runs");
                Outcome::of(&ran, "seed ")
            }
            Self::Tests(package) => {
                if let Err(words) = build(home, &["test", "--offline", "--quiet", "--no-run", "-p", package])
                {
                    return Outcome { fate: Fate::NotBuilt, words };
                }
                Outcome::of(&cargo(home, &["test", "--offline", "--quiet", "-p", package]), "    ")
            }
        }
    }
}

impl Outcome {
    fn of(ran: &Output, mark: &str) -> Self {
        let fate = if ran.status.success() { Fate::Held } else { Fate::Caught };
        Self { fate, words: last_words(ran, mark) }
    }
}

fn build(home: &Path, words: &[&str]) -> Result<(), String> {
    let built = cargo(home, words);
    if built.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&built.stderr).into_owned()) }
}

fn cargo(home: &Path, words: &[&str]) -> Output {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(words).current_dir(home);
    cargo.env("CARGO_TARGET_DIR", home.join("target")).env("RUSTFLAGS", "-Awarnings");
    // The copy has no .cargo/config.toml that says where RocksDB is.
    if std::env::var_os("ROCKSDB_LIB_DIR").is_none() {
        cargo.env("ROCKSDB_LIB_DIR", root().join(".rocksdb")).env("ROCKSDB_STATIC", "1");
    }
    cargo.output().expect("cargo runs")
}

/// The first line that begins so, or the last of all.
fn last_words(ran: &Output, start: &str) -> String {
    let words = String::from_utf8_lossy(&ran.stdout);
    let line = words.lines().find(|line| line.starts_with(start)).or_else(|| words.lines().last());
    line.unwrap_or_default().trim().chars().take(300).collect()
}

/// The file with the fault in it.
fn mutated(mutant: &Mutant, original: &str) -> String {
    let found = original.matches(mutant.from).count();
    assert_eq!(found, 1, "{}: its text stands {found} times in {}", mutant.name, mutant.file);
    original.replace(mutant.from, mutant.to)
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
