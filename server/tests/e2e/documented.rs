//! The commands of docs/http.md, run as a newcomer would run them: against a server of one's own, and nothing else changed.

use std::process::Command;

use crate::node::Node;
use crate::raw::Raw;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/http.md");

/// The block of commands behind a mark of the page.
fn commands(mark: &str) -> String {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (_, rest) = page.split_once(&format!("<!-- run: {mark} -->\n```sh\n")).expect("the mark");
    rest.split_once("```").expect("the end of the block").0.to_owned()
}

#[test]
fn the_session_by_hand_works() {
    let node = Node::start(2, &[]);
    let script = commands("session");
    let there = "SERVER=http://127.0.0.1:8080\n";
    assert!(script.starts_with(there), "{script}");
    let script = script.replacen(there, &format!("SERVER={}\n", node.http), 1) + "\necho \"token $token\"\n";
    let output = Command::new("bash").args(["-eu", "-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{words}");
    for part in
        ["\"user\":\"", "\"name\":\"curl\"", "\"name\":\"ada\"", "\"shards\":2", &node.ws, "HTTP/1.1 101 "]
    {
        assert!(said.contains(part), "{part} is not in {words}");
    }
    // The token of the second pair is good for HELLO.
    let token = said.lines().find_map(|line| line.strip_prefix("token ")).expect("the token");
    Raw::live(&node, token).is_served(2);
}

/// The issuer's file first, then the server that it is for, then the token: all in one folder.
#[test]
fn the_login_with_a_token_works() {
    let folder = tempfile::tempdir().unwrap();
    let run = |script: &str| {
        let output =
            Command::new("bash").args(["-eu", "-c", script]).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    };
    run(&commands("issuer"));
    let file = folder.path().join("issuers.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    // The server is started elsewhere.
    let secret = folder.path().join("issuer.secret");
    std::fs::write(&file, text.replace("\"issuer.secret\"", &format!("{secret:?}"))).unwrap();
    let node = Node::start(1, &["--issuers", file.to_str().unwrap()]);
    let script = commands("jwt");
    let there = "SERVER=http://127.0.0.1:8080\n";
    assert!(script.starts_with(there), "{script}");
    let said = run(&script.replacen(there, &format!("SERVER={}\n", node.http), 1));
    for part in ["\"refresh\":\"mr1.", "\"name\":\"grace\"", "\"display_name\":\"Grace H.\""] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

#[tokio::test]
async fn the_bot_in_five_commands_works() {
    let node = Node::start(2, &[]);
    node.account().signup("ada", "correct horse battery").await.unwrap();
    let script = commands("bot");
    let asks = script.lines().filter(|line| line.contains("as \"") || line.contains("as - ")).count();
    assert_eq!(asks, 5, "{script}");
    let there = "SERVER=http://127.0.0.1:8080\n";
    assert!(script.starts_with(there), "{script}");
    let script = script.replacen(there, &format!("SERVER={}\n", node.http), 1);
    let output = tokio::task::spawn_blocking(move || {
        Command::new("bash").args(["-eu", "-c", &script]).output().unwrap()
    });
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{words}");
    for part in ["\"text\":\"Anybody there?\"", "\"seq\":2"] {
        assert!(said.contains(part), "{part} is not in {words}");
    }
}
