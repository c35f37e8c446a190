//! The SDK's example, as a newcomer runs it.

use std::process::Command;

use crate::node::{Node, maru};

#[test]
fn the_example_sends_and_receives() {
    // `cargo test` of the workspace has built it beside the binary; a test of this package alone has not.
    let example = maru().with_file_name("examples").join("hello");
    if !example.exists() {
        let build = Command::new(env!("CARGO"))
            .args(["build", "--locked", "-p", "client", "--example", "hello"])
            .status();
        assert!(build.unwrap().success());
    }
    let node = Node::start(2, &[]);
    let output = Command::new(&example).arg(&node.http).output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{words}{}", String::from_utf8_lossy(&output.stderr));
    assert!(words.contains("Annyeong, Joon!"), "{words}");
}
