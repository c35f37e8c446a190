//! README's five-minute tour, as a newcomer types it: what stands there is read from the page and nothing else is changed but
//! the addresses and where the program lies.

use std::process::Command;

use crate::node::{Node, admin, maru};
use crate::pty::Pty;

const README: &str = include_str!("../../../README.md");
const PASSWORD: &str = "long enough 1";
const CTRL_Q: &str = "\x11";

/// The block of this kind that holds these words.
fn block(kind: &str, words: &str) -> &'static str {
    let (_, tour) = README.split_once("## Five-minute tour").expect("the tour");
    let blocks = tour.split("\n```").skip(1).step_by(2);
    let mut bodies = blocks.filter_map(|block| block.strip_prefix(kind)?.strip_prefix('\n'));
    bodies.find(|body| body.contains(words)).unwrap_or_else(|| panic!("no block of {kind} with {words}"))
}

/// Starts the client of the page as one person, who signs up as the page says.
fn signs_up(node: &Node, state: &std::path::Path, name: &str) -> Pty {
    let command = block("sh", "chat --server http://127.0.0.1:8080 --user ann").trim();
    let words: Vec<&str> = command.split(' ').collect();
    assert_eq!(words[..2], ["target/quick/maru", "chat"]);
    let state = state.join(name);
    let mut args: Vec<&str> = words[1..].to_vec();
    for arg in &mut args {
        match *arg {
            "http://127.0.0.1:8080" => *arg = &node.http,
            "ann" => *arg = name,
            _ => {}
        }
    }
    args.extend(["--state", state.to_str().unwrap()]);
    let mut pty = Pty::start(maru(), &args, 80, 24);
    for question in [format!("Password of {name}:"), format!("The password of {name} again:")] {
        pty.see(&question);
        pty.until("silent", |pty| !pty.has_echo());
        pty.type_in(&format!("{PASSWORD}\n"));
        if question.starts_with("Password") {
            pty.see("/signup");
            pty.type_in("/signup\n");
        }
    }
    pty.see("● connected");
    pty
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tour_of_the_readme_works() {
    let mut node = Node::start(2, &[]);
    let state = tempfile::tempdir().unwrap();
    let (mut ann, mut bob) = (signs_up(&node, state.path(), "ann"), signs_up(&node, state.path(), "bob"));
    for line in block("text", "/to bob").lines() {
        ann.type_in(line);
        ann.see(&format!("\n> {line}"));
        ann.type_in("\r");
        // A person sees the conversation open before the next line.
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["/to", name] => ann.see(&format!("│ {name}\n")),
            ["/group", name, _] => ann.see(&format!("│ #{name}")),
            _ => ann.until("sent", |pty| pty.screen.text().trim_end().ends_with("\n>")),
        }
    }
    ann.see("hello everybody");
    bob.see("floor");

    node.kill();
    ann.until("cut off", |pty| !pty.screen.text().contains("● connected"));
    node.up(2);
    for pty in [&mut ann, &mut bob] {
        pty.see("● connected");
    }
    ann.type_in("still here\r");
    ann.see("still here");

    // As a program: bob is written to by one that signs up.
    let program = block("sh", "hi from a program");
    let script = program.replace("target/quick/maru", maru().to_str().unwrap());
    let script = script.replace("http://127.0.0.1:8080", &node.http);
    let output = Command::new("bash").args(["-eu", "-o", "pipefail", "-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("\"event\":\"ack\""), "{said}{output:?}");
    bob.see("carl");

    for mut pty in [ann, bob] {
        pty.type_in(CTRL_Q);
        assert!(pty.end().success());
    }
    assert_eq!(node.stop(), Some(0));
    let proof = block("sh", "admin check").trim();
    assert_eq!(proof, "target/quick/maru admin check --data ./data");
    assert!(admin(&["check", "--data", node.data.to_str().unwrap()]).status.success());
}
