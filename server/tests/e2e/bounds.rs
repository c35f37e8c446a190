//! What an operator does wrong is refused in words.

use std::process::Command;

use crate::node::{Node, maru};

#[test]
fn a_second_start_and_a_wrong_setting_are_refused_in_words() {
    let node = Node::start(1, &[]);
    let second = Command::new(maru())
        .args(["serve", "--http", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--data"])
        .arg(&node.data)
        .output()
        .unwrap();
    assert!(!second.status.success());
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(words.contains(node.data.to_str().unwrap()), "names the directory: {words}");
    let wrong = Command::new(maru()).args(["serve", "--shards", "9999"]).output().unwrap();
    assert!(!wrong.status.success());
    let words = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(words.contains("shards") && words.contains("9999"), "names key and value: {words}");
}
