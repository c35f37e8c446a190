//! Proof that our tests can fail: deliberate faults, each of which must be found. Those of the core by the simulator, or by a
//! scenario of its crate where no world of the simulator can show them; those of the store and the edge by the tests of their
//! crates.
//!
//! Product code has no switches for this. A mutant is a text that stands exactly once in a file and what is put in its
//! place. The crates that the proofs are made of are copied into a workspace of their own, the mutant is applied there, the
//! copy is built and its proofs are run one after the other until one fails. All mutants share one target directory, so that
//! each costs the build of what it changes only.
//!
//! Ignored in plain `cargo test`, because it costs a build a mutant: `cargo test -p sim --test mutants -- --ignored`.
//! `MUTANT=word,word` runs those whose name or directory holds one of the words. Ends with a table of all that ran; an escape,
//! a mutant that does not build and one whose text does not stand are failures.

// A test that cannot read or build has failed, and says where.
#![allow(clippy::expect_used)]

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

mod patches;

use patches::Mutant;

/// Seeds that a mutant has to survive to escape the simulator, in two waves: most are found at once.
const SEEDS: [u64; 2] = [40, 600];

/// A build, and a proof on its own, that takes longer hangs.
const PROOF_S: u64 = 900;

/// What the copy is made of, beside the manifest of the workspace.
const CRATES: [&str; 7] =
    ["protocol", "storage", "clients/rust", "server/shard", "server/edge", "server/push/carry", "server/sim"];

/// Where mutants live, and what must find them.
struct Room {
    dir: &'static str,
    mutants: &'static [Mutant],
    /// Any of these, asked in this order.
    proofs: &'static [Proof],
}

/// What must fail.
#[derive(Clone, Copy)]
enum Proof {
    /// The simulator, on [`SEEDS`].
    Simulator,
    /// The tests of a crate.
    Tests(&'static str),
}

const ROOMS: [Room; 6] = [
    Room {
        dir: "server/shard/src",
        mutants: patches::MUTANTS,
        proofs: &[Proof::Simulator, Proof::Tests("shard")],
    },
    Room {
        dir: "server/shard/src",
        mutants: patches::large::MUTANTS,
        proofs: &[Proof::Simulator, Proof::Tests("shard")],
    },
    Room {
        dir: "server/shard/src",
        mutants: patches::push::MUTANTS,
        proofs: &[Proof::Simulator, Proof::Tests("shard")],
    },
    Room {
        dir: "server/push/carry/src",
        mutants: patches::carry::MUTANTS,
        proofs: &[Proof::Simulator, Proof::Tests("carry")],
    },
    Room { dir: "storage/src", mutants: patches::storage::MUTANTS, proofs: &[Proof::Tests("storage")] },
    Room { dir: "server/edge/src", mutants: patches::edge::MUTANTS, proofs: &[Proof::Tests("edge")] },
];

#[test]
fn patches_apply_exactly_once() {
    for room in &ROOMS {
        for mutant in room.mutants {
            let path = root().join(room.dir).join(mutant.file);
            mutated(mutant, &fs::read_to_string(&path).expect("the file can be read"))
                .unwrap_or_else(|words| panic!("{}: {words}", mutant.name));
        }
    }
}

#[test]
fn names_are_used_once() {
    let mut names: Vec<_> = ROOMS.iter().flat_map(|room| room.mutants).map(|mutant| mutant.name).collect();
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair.first() == pair.last());
    assert!(twice.is_none(), "{twice:?}");
}

#[test]
#[ignore = "builds once a mutant; see the head of the file"]
fn every_mutant_is_caught() {
    let wanted = std::env::var("MUTANT").unwrap_or_default();
    let home = copy_workspace();
    let mut table = Vec::new();
    for room in &ROOMS {
        let mutants: Vec<_> = room.mutants.iter().filter(|mutant| is_wanted(&wanted, room, mutant)).collect();
        if mutants.is_empty() {
            continue;
        }
        // What is unchanged must hold, or a failure would prove nothing.
        let unchanged = room.prove(&home);
        assert!(unchanged.fate == Fate::Escaped, "{} fails unchanged: {}", room.dir, unchanged.words);
        for mutant in mutants {
            let line = room.run(mutant, &home);
            println!("{line}");
            table.push(line);
        }
    }
    assert!(!table.is_empty(), "no mutant is called {wanted:?}");
    println!("\n| room | mutant | fate | seconds | by |\n|---|---|---|---|---|");
    table.iter().for_each(|line| println!("{line}"));
    let left: Vec<_> = table.iter().filter(|line| line.outcome.fate != Fate::Caught).collect();
    println!("{} mutants, {} caught", table.len(), table.len() - left.len());
    let left: Vec<_> = left.iter().map(|line| line.name).collect();
    assert!(left.is_empty(), "not caught: {left:?}");
}

/// Whether one of the words between commas is part of its name or of its room's directory.
fn is_wanted(wanted: &str, room: &Room, mutant: &Mutant) -> bool {
    wanted.split(',').any(|word| mutant.name.contains(word) || room.dir.split('/').any(|part| part == word))
}

/// A row of the table.
struct Line {
    room: &'static str,
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { room, name, outcome: Outcome { fate, words }, took } = self;
        write!(f, "| {room} | {name} | {fate:?} | {} | {} |", took.as_secs(), words.replace('|', "/"))
    }
}

impl Room {
    /// Applies a mutant, asks the proofs, and takes it out again.
    fn run(&self, mutant: &Mutant, home: &Path) -> Line {
        let start = Instant::now();
        let path = home.join(self.dir).join(mutant.file);
        let original = fs::read_to_string(&path).expect("the copy can be read");
        let outcome = match mutated(mutant, &original) {
            Ok(changed) => {
                fs::write(&path, changed).expect("the copy can be written");
                let outcome = self.prove(home);
                fs::write(&path, original).expect("the copy can be written");
                outcome
            }
            Err(words) => Outcome { fate: Fate::TextGone, words },
        };
        Line { room: self.dir, name: mutant.name, outcome, took: start.elapsed() }
    }

    /// The first of its proofs that does not hold, or the last.
    fn prove(&self, home: &Path) -> Outcome {
        let mut outcome = Outcome { fate: Fate::Escaped, words: String::new() };
        for proof in self.proofs {
            outcome = proof.run(home);
            if outcome.fate != Fate::Escaped {
                break;
            }
        }
        outcome
    }
}

/// What became of a mutant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// All proofs hold.
    Escaped,
    /// One fails.
    Caught,
    /// One that does not compile proves nothing.
    NotBuilt,
    /// Its text does not stand exactly once in its file.
    TextGone,
}

/// The same with the words of what was run.
struct Outcome {
    fate: Fate,
    words: String,
}

impl Proof {
    /// Builds and runs it in the copy.
    fn run(self, home: &Path) -> Outcome {
        match self {
            Self::Simulator => {
                if let Err(words) = build(home, &["build", "-p", "sim"]) {
                    return Outcome { fate: Fate::NotBuilt, words };
                }
                simulate(home)
            }
            Self::Tests(package) => {
                if let Err(words) = build(home, &["test", "--no-run", "-p", package]) {
                    return Outcome { fate: Fate::NotBuilt, words };
                }
                let ran = cargo(home, &["test", "-p", package]).output().expect("cargo runs");
                Outcome::of(&ran, &format!("tests of {package}"), "    ")
            }
        }
    }
}

impl Outcome {
    fn of(ran: &Output, by: &str, mark: &str) -> Self {
        let fate = if ran.status.success() { Fate::Escaped } else { Fate::Caught };
        Self { fate, words: format!("{by}: {}", last_words(ran, mark)) }
    }
}

/// Runs the seeds, each wave of them divided among the processors.
fn simulate(home: &Path) -> Outcome {
    let mut outcome = Outcome { fate: Fate::Escaped, words: String::new() };
    let cores = available_parallelism().map_or(1, |cores| cores.get() as u64);
    let mut from = 0;
    for until in SEEDS {
        let bound = |part: u64| from + (until - from) * part / cores;
        let mut running = Vec::new();
        for part in 0..cores {
            let seeds = format!("{}..{}", bound(part), bound(part + 1));
            let mut sim = bounded(home.join("target/debug/sim"));
            sim.args(["--seeds", &seeds, "--last", "0"]).stdout(Stdio::piped()).stderr(Stdio::null());
            running.push(sim.spawn().expect("the simulator runs"));
        }
        for child in running {
            let ran = child.wait_with_output().expect("the simulator ends");
            if outcome.fate == Fate::Escaped {
                outcome = Outcome::of(&ran, "simulator", "seed ");
            }
        }
        if outcome.fate == Fate::Caught {
            break;
        }
        from = until;
    }
    outcome
}

/// A program that is ended, with all that it has started, when it hangs. A mutant that makes it do so is caught.
fn bounded(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.arg(PROOF_S.to_string()).arg(program);
    command
}

fn build(home: &Path, words: &[&str]) -> Result<(), String> {
    let built = cargo(home, words).output().expect("cargo runs");
    if built.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&built.stderr).into_owned()) }
}

fn cargo(home: &Path, words: &[&str]) -> Command {
    let mut cargo = bounded(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(words).args(["--offline", "--quiet"]).current_dir(home);
    cargo.env("CARGO_TARGET_DIR", home.join("target")).env("RUSTFLAGS", "-Awarnings");
    // The copy has no .cargo/config.toml that says where RocksDB is.
    if std::env::var_os("ROCKSDB_LIB_DIR").is_none() {
        cargo.env("ROCKSDB_LIB_DIR", root().join(".rocksdb")).env("ROCKSDB_STATIC", "1");
    }
    cargo
}

/// The first line that begins so, or the last of all.
fn last_words(ran: &Output, start: &str) -> String {
    let words = String::from_utf8_lossy(&ran.stdout);
    let line = words.lines().find(|line| line.starts_with(start)).or_else(|| words.lines().last());
    line.unwrap_or_default().trim().chars().take(300).collect()
}

/// The file with the fault in it.
fn mutated(mutant: &Mutant, original: &str) -> Result<String, String> {
    match original.matches(mutant.from).count() {
        1 => Ok(original.replace(mutant.from, mutant.to)),
        found => Err(format!("its text stands {found} times in {}", mutant.file)),
    }
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
