//! The systemd unit, where systemd's own programs are.

use std::process::Command;

use crate::{read, root};

/// Above it the unit was softened.
const EXPOSURE_MAX: f64 = 2.0;

/// Lines of the unit that nothing may take away.
const HARDENED: &[&str] = &[
    "CapabilityBoundingSet=",
    "NoNewPrivileges=yes",
    "DynamicUser=yes",
    "StateDirectoryMode=0700",
    "UMask=0077",
    "ProtectSystem=strict",
    "ProtectProc=invisible",
    "MemoryDenyWriteExecute=yes",
    "RestrictNamespaces=yes",
    "SystemCallFilter=@system-service",
    "SystemCallArchitectures=native",
];

#[test]
fn the_unit_is_hardened() {
    let unit = read("deploy/maru.service");
    for line in HARDENED {
        assert!(unit.lines().any(|found| found == *line), "{line} is not in the unit");
    }
}

#[test]
fn systemd_understands_the_unit_and_finds_it_safe() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("no systemd-analyze here");
        return;
    }
    // It looks whether the program is there; on this machine it is elsewhere.
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("maru.service");
    let text = read("deploy/maru.service").replace("/usr/local/bin/maru", env!("CARGO_BIN_EXE_maru"));
    std::fs::write(&unit, text.replace("/usr/bin/maru", env!("CARGO_BIN_EXE_maru"))).unwrap();
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !words.contains("maru.service:"), "{words}");
    let mut command = Command::new("systemd-analyze");
    let output = command.args(["security", "--offline=true"]).arg(root().join("deploy/maru.service"));
    let text = String::from_utf8_lossy(&output.output().unwrap().stdout).into_owned();
    // Before version 250 it does not look at files.
    let Some((_, level)) = text.split_once("exposure level for maru.service: ") else { return };
    let level: f64 = level.split_whitespace().next().unwrap().parse().unwrap();
    assert!(level <= EXPOSURE_MAX, "exposure {level}, at most {EXPOSURE_MAX} is wanted");
}
