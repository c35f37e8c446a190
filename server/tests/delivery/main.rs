//! What is delivered beside the code: what people install, and what it is made of.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod doctor;
mod manual;
mod package;
mod rocksdb;
mod supply;
mod unit;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(place: &str) -> String {
    let path = root().join(place);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `maru` with these arguments and none of its variables.
fn maru(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maru"));
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("MARU_") {
            command.env_remove(variable);
        }
    }
    command.args(args).output().unwrap()
}

/// What a command that succeeded printed.
fn said(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {out}{err}", output.status);
    out.into_owned()
}
