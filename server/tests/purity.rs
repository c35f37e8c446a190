//! The pure crates as the compiler made them: what their object code calls. A source scan (`arrows.rs`) and clippy's bans
//! can be walked around by a re-export or a macro; a call that is compiled in stands in the library's symbols.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Crates without sockets, files, threads and clocks.
const PURE: &[&str] = &["protocol", "shard", "edge", "carry"];

/// What their objects never call. `std::thread::local` is allowed: rkyv keeps its scratch space there. Of `std::time` only
/// the clocks are banned: quinn-proto takes its types as arguments.
const BANNED: &[&str] = &[
    "std::net::",
    "std::sys::net::",
    "std::fs::",
    "std::sys::fs::",
    "std::env::",
    "std::thread::spawn",
    "std::thread::scoped",
    "std::thread::builder",
    "std::thread::functions",
    "std::thread::sleep",
    "std::thread::current",
    "std::time::Instant>::now",
    "std::time::Instant::now",
    "std::time::SystemTime>::now",
    "std::time::SystemTime::now",
    "std::hash::random",
    "std::sys::random",
];

#[test]
fn objects_of_pure_crates_call_no_system() {
    for name in PURE {
        let library = newest_library(name);
        let output = Command::new("nm").args(["-C", "--undefined-only"]).arg(&library).output().unwrap();
        let symbols = String::from_utf8_lossy(&output.stdout);
        assert!(symbols.contains("core::"), "nm says nothing of {}", library.display());
        let found: Vec<&str> = symbols.lines().filter(|line| is_banned(line)).collect();
        assert!(found.is_empty(), "{name} calls the system:\n{}", found.join("\n"));
    }
}

#[test]
fn a_call_is_found() {
    assert!(is_banned("                 U <std::time::Instant>::now"));
    assert!(is_banned("                 U std::time::Instant::now"));
    assert!(is_banned("                 U std::net::tcp::TcpStream::connect"));
    assert!(!is_banned("                 U <std::time::Instant as core::ops::arith::Add<Duration>>::add"));
    assert!(!is_banned("                 U std::thread::local::panic_access_error"));
}

/// The same for a target that has no such calls to compile in, where its library is installed:
/// `rustup target add wasm32-unknown-unknown`.
#[test]
fn pure_crates_build_for_wasm_where_it_is_installed() {
    let rustc = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap();
    let sysroot = PathBuf::from(String::from_utf8_lossy(&rustc.stdout).trim());
    if !sysroot.join("lib/rustlib/wasm32-unknown-unknown").exists() {
        println!("skipped: the target wasm32-unknown-unknown is not installed");
        return;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wasm");
    let status = Command::new(env!("CARGO"))
        .args(["check", "--locked", "--target", "wasm32-unknown-unknown", "-p", "protocol", "-p", "shard"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
        .env("CARGO_TARGET_DIR", target)
        .status()
        .unwrap();
    assert!(status.success());
}

fn is_banned(symbol: &str) -> bool {
    BANNED.iter().any(|banned| symbol.contains(banned))
}

/// The library that this test was built with: the newest one beside it.
fn newest_library(name: &str) -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let files = std::fs::read_dir(here.parent().unwrap()).unwrap().flatten().map(|entry| entry.path());
    let (begin, end) = (format!("lib{name}-"), ".rlib");
    let of_crate = files.filter(|path| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        file.starts_with(&begin) && file.ends_with(end)
    });
    let newest = of_crate.max_by_key(|path| path.metadata().and_then(|meta| meta.modified()).unwrap());
    newest.unwrap_or_else(|| panic!("no library of {name} beside {}", here.display()))
}
