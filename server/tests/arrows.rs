//! Who may import whom, and what the pure crates may not name (DESIGN section 3). The rules are data; `broken` finds every
//! breach; the last tests show that each kind of breach is found.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Crate -> the crates of ours that it may import, as a dependency of any kind.
const ARROWS: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("storage", &["protocol"]),
    ("shard", &["protocol"]),
    ("edge", &["protocol"]),
    ("api", &["protocol"]),
    ("search", &["protocol"]),
    ("push", &["protocol", "carry"]),
    ("carry", &["protocol"]),
    ("client", &["protocol"]),
    ("sim", &["protocol", "shard", "client", "storage", "carry"]),
    ("loadgen", &["protocol", "client"]),
    ("server", &["protocol", "storage", "shard", "edge", "api", "search", "push", "carry", "client"]),
    ("benches", &["protocol", "storage", "shard", "edge", "api", "search", "push", "client", "server"]),
];

/// Arrows that are allowed only without the default features: the simulator compiles neither RocksDB nor sockets.
const WITHOUT_DEFAULTS: &[(&str, &str)] = &[("sim", "storage"), ("sim", "client")];

/// Folders whose sources are pure.
const PURE: &[&str] = &[
    "protocol/src",
    "server/shard/src",
    "server/edge/src",
    "server/push/carry/src",
    "clients/rust/src/session",
    "clients/rust/src/session.rs",
];

/// What pure sources never name.
const BANNED: &[&str] = &[
    "std::net",
    "std::fs",
    "std::thread",
    "std::time",
    "Instant",
    "SystemTime",
    "async ",
    ".await",
    "tokio",
    "mio::",
    "rand::",
    "getrandom",
    "collections::HashMap",
    "collections::HashSet",
];

/// Where a file may name what others may not, and why.
const EXCEPTIONS: &[(&str, &[&str])] = &[
    // quinn-proto takes its clock's types as arguments; no clock is read there.
    ("server/edge/src/quic/clock.rs", &["std::time", "Instant", "SystemTime"]),
    // A test: it compares what the session does with the file of traces that other clients replay, or writes it.
    ("clients/rust/src/session/tests/traces.rs", &["std::fs"]),
];

/// Longest source file in lines.
const LINES_MAX: usize = 800;

#[test]
fn arrows_hold() {
    let found = broken_arrows(&arrows_of_this_workspace());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn pure_crates_are_pure() {
    let mut found = Vec::new();
    for place in PURE {
        for file in sources(&root().join(place)) {
            let text = std::fs::read_to_string(&file).unwrap();
            found.extend(broken_purity(&file.display().to_string(), &text));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn files_are_short_and_have_honest_names() {
    let junk =
        ["util", "utils", "common", "helper", "helpers", "manager", "service", "impl", "types", "misc"];
    for file in sources(&root()) {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines; the bound is {LINES_MAX}", file.display());
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(!junk.contains(&stem.as_str()), "{}: a name that says nothing", file.display());
    }
}

#[test]
fn a_broken_arrow_is_found() {
    let arrow = |from: &str, to: &str, defaults| Arrow { from: from.into(), to: to.into(), defaults };
    assert_eq!(broken_arrows(&[arrow("shard", "protocol", true)]), Vec::<String>::new());
    assert_eq!(broken_arrows(&[arrow("shard", "storage", true)]).len(), 1);
    assert_eq!(broken_arrows(&[arrow("client", "server", true)]).len(), 1);
    assert_eq!(broken_arrows(&[arrow("server", "sim", true)]).len(), 1);
    assert_eq!(broken_arrows(&[arrow("sim", "storage", true)]).len(), 1);
    assert_eq!(broken_arrows(&[arrow("stranger", "protocol", true)]).len(), 1);
}

#[test]
fn broken_purity_is_found() {
    for word in BANNED {
        let text = format!("fn f() {{ {word} x }}");
        assert_eq!(broken_purity("f.rs", &text).len(), 1, "{word}");
    }
    assert!(broken_purity("f.rs", "// std::net is for the driver\nfn f() {}").is_empty());
    for tree in [
        "use std::{fs, io};",
        "use std::{\n    io,\n    net::{IpAddr, SocketAddr},\n};",
        "use std::collections::{BTreeMap, HashMap};",
        "use std::{collections::{BTreeMap, HashSet}, fmt};",
        "pub(crate) use std::{time::Duration};",
    ] {
        assert!(!broken_purity("f.rs", tree).is_empty(), "{tree}");
    }
    assert!(broken_purity("f.rs", "fn f() { user.awaited += applied.awaits(id) }").is_empty());
    assert!(broken_purity("f.rs", "use std::{collections::{BTreeMap, VecDeque}, sync::Arc};").is_empty());
}

struct Arrow {
    from: String,
    to: String,
    defaults: bool,
}

fn broken_arrows(arrows: &[Arrow]) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut found = Vec::new();
    for arrow in arrows {
        let may = allowed.get(arrow.from.as_str()).is_some_and(|to| to.contains(&arrow.to.as_str()));
        if !may {
            found.push(format!("{} may not import {}", arrow.from, arrow.to));
        } else if arrow.defaults && WITHOUT_DEFAULTS.contains(&(arrow.from.as_str(), arrow.to.as_str())) {
            found.push(format!("{} may import {} only without default features", arrow.from, arrow.to));
        }
    }
    found
}

fn broken_purity(name: &str, text: &str) -> Vec<String> {
    let may =
        |word: &str| EXCEPTIONS.iter().any(|(file, words)| name.ends_with(file) && words.contains(&word));
    let breach = |code: &str| BANNED.iter().find(|word| names(code, word) && !may(word));
    let code: Vec<(usize, &str)> =
        text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")).collect();
    let lines = code.iter().filter_map(|(number, line)| {
        breach(line).map(|word| format!("{name}:{}: a pure crate names `{}`", number + 1, word.trim()))
    });
    let whole: String = code.iter().flat_map(|(_, line)| [*line, "\n"]).collect();
    let uses = whole.split("use ").skip(1).filter_map(|rest| rest.split_once(';')).flat_map(|(tree, _)| {
        let paths = if tree.contains('{') { paths(tree) } else { Vec::new() };
        paths.into_iter().filter_map(|path| {
            breach(&path).map(|word| format!("{name}: a pure crate names `{}` in `{path}`", word.trim()))
        })
    });
    lines.chain(uses).collect()
}

/// Whether a word stands in the code, and not as the beginning of a longer one.
fn names(code: &str, word: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || c == '_';
    let is_open = word.ends_with(goes_on);
    code.match_indices(word).any(|(at, _)| !(is_open && code[at + word.len()..].starts_with(goes_on)))
}

/// The paths of a tree of imports: `a::{b, c::{d}}` names `a::b` and `a::c::d`.
fn paths(tree: &str) -> Vec<String> {
    let tree: String = tree.chars().filter(|c| !c.is_whitespace()).collect();
    let Some((head, rest)) = tree.split_once('{') else { return vec![tree] };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let (mut depth, mut begin, mut branches) = (0i32, 0, Vec::new());
    for (place, c) in inner.char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if c == ',' && depth == 0 {
            branches.push(&inner[begin..place]);
            begin = place + 1;
        }
    }
    branches.push(&inner[begin..]);
    let branches = branches.into_iter().filter(|branch| !branch.is_empty());
    branches.flat_map(paths).map(|path| format!("{head}{path}")).collect()
}

fn arrows_of_this_workspace() -> Vec<Arrow> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: Vec<&str> = packages.iter().map(|p| p["name"].as_str().unwrap()).collect();
    let mut arrows = Vec::new();
    for package in packages {
        for dependency in package["dependencies"].as_array().unwrap() {
            let to = dependency["name"].as_str().unwrap();
            if ours.contains(&to) && to != package["name"].as_str().unwrap() {
                arrows.push(Arrow {
                    from: package["name"].as_str().unwrap().to_owned(),
                    to: to.to_owned(),
                    defaults: dependency["uses_default_features"].as_bool().unwrap(),
                });
            }
        }
    }
    assert!(arrows.len() > 8, "the workspace's own arrows were not read");
    arrows
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Rust sources under a place, build products left out.
fn sources(place: &Path) -> Vec<PathBuf> {
    if place.extension().is_some_and(|extension| extension == "rs") {
        return vec![place.to_owned()];
    }
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(place) else { return found };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && name != "node_modules" && name != "data" && !name.starts_with('.') {
                found.extend(sources(&path));
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
    found
}
