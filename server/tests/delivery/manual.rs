//! Completions and man pages know every command that `--help` names, and every setting.

use std::collections::BTreeSet;
use std::process::Command;

use server::config::SETTINGS;

use crate::{maru, said};

/// Every command: the words behind `maru`.
fn commands() -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    let mut ahead = vec![Vec::<String>::new()];
    while let Some(words) = ahead.pop() {
        let mut line: Vec<&str> = words.iter().map(String::as_str).collect();
        line.push("--help");
        for verb in verbs(&said(&maru(&line))) {
            ahead.push(words.iter().cloned().chain([verb]).collect());
        }
        found.insert(words);
    }
    assert!(found.len() > 20, "the help was not understood: {found:?}");
    found
}

/// The commands that a help lists, but for `help` itself.
fn verbs(help: &str) -> Vec<String> {
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let lines = list.lines().take_while(|line| !line.is_empty());
    let begins = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let words = begins.filter_map(|line| line.split_whitespace().next());
    words.filter(|word| *word != "help").map(str::to_owned).collect()
}

#[test]
fn every_command_has_a_man_page_that_reads() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man");
    said(&maru(&["man", "--out", out.to_str().unwrap()]));
    for words in commands() {
        let name = [&["maru".to_owned()], words.as_slice()].concat().join("-");
        let page = std::fs::read_to_string(out.join(format!("{name}.1"))).expect(&name);
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{name}");
        std::fs::remove_file(out.join(format!("{name}.1"))).unwrap();
        if name == "maru-serve" {
            for setting in SETTINGS {
                let flag = setting.flag().replace('-', "\\-");
                assert!(page.contains(&format!("\\-\\-{flag}")), "--{flag} is not in its page");
            }
        }
    }
    let left: Vec<_> = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "pages of no command: {left:?}");
}

#[test]
fn a_folder_that_cannot_be_is_named() {
    let output = maru(&["man", "--out", "/proc/man"]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && words.contains("/proc/man"), "{words}");
}

#[test]
fn completions_know_every_command_and_every_setting() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = said(&maru(&["completions", shell]));
        for word in commands().into_iter().flatten() {
            assert!(script.contains(&word), "{shell} does not know {word}");
        }
        for setting in SETTINGS {
            assert!(script.contains(&setting.flag()), "{shell} does not know --{}", setting.flag());
        }
    }
    assert!(!maru(&["completions", "nosuchshell"]).status.success());
}

/// As bash itself runs them: `maru admin che<TAB>`.
#[test]
fn bash_completes() {
    let script = said(&maru(&["completions", "bash"]));
    let ask = "COMP_WORDS=(maru admin che) COMP_CWORD=2; _maru maru che admin; echo \"${COMPREPLY[@]}\"";
    // Longer than one argument may be.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("maru.bash");
    std::fs::write(&file, format!("{script}\n{ask}\n")).unwrap();
    let output = Command::new("bash").arg(&file).output().unwrap();
    assert_eq!(said(&output).trim(), "check");
}
