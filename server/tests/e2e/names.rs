//! Names as people type them, and second factors, through the binary: the SDK, the terminal client, the operator's tools,
//! and a restart.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use client::account::{Account, AccountError, Extras, Login};
use serde_json::{Value, json};

use crate::node::{Node, admin, maru};
use crate::people::PASSWORD;

/// `maru admin` on the node's directory; what it printed.
#[track_caller]
fn operate(node: &Node, args: &[&str]) -> String {
    let output = admin(&[args, &["--data", node.data.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn is_refused(outcome: Result<Login, AccountError>, code: &str) {
    assert_eq!(outcome.unwrap_err().code(), code);
}

/// An authenticator app: RFC 6238. `ahead` steps of 30 seconds from now.
fn code(secret: &str, ahead: u64) -> String {
    let digits = secret.bytes().map(|byte| if byte >= b'A' { byte - b'A' } else { byte - b'2' + 26 });
    let bits: Vec<u8> = digits.flat_map(|digit| (0..5).rev().map(move |bit| digit >> bit & 1)).collect();
    let key: Vec<u8> =
        bits.chunks_exact(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | bit)).collect();
    let step = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 30 + ahead;
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let hash = ring::hmac::sign(&key, &step.to_be_bytes());
    let hash = hash.as_ref();
    let at = usize::from(hash[19] & 15);
    let number = u32::from_be_bytes(hash[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// Signs ann up with a second factor: its secret, the code that turned it on, and the recovery codes.
async fn ann_with_two_factor(account: &Account) -> (String, String, Vec<String>) {
    account.signup("ann", PASSWORD).await.unwrap();
    let token = account.login("ann", PASSWORD, None).await.unwrap().token;
    let secret = account.begin_two_factor(&token, PASSWORD).await.unwrap().secret;
    let spent = code(&secret, 0);
    let recovery = account.confirm_two_factor(&token, &spent).await.unwrap();
    (secret, spent, recovery)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_one_name_for_everybody_who_types_it() {
    let mut node = Node::start(1, &[]);
    let account = node.account();
    let user = account.signup("박지성", PASSWORD).await.unwrap();
    let login = account.login("박지성 ", PASSWORD, None).await.unwrap();
    for typed in ["\u{1107}\u{1161}\u{11a8}지성", " 박지성\t", "박지성\u{200b}"] {
        let found = account.user_by_name(&login.token, typed).await.unwrap();
        assert_eq!((found.user, found.name.as_str()), (user, "박지성"), "{typed:?}");
    }
    let taken = account.signup("p\u{430}ypal", PASSWORD).await.unwrap_err();
    assert_eq!(taken.code(), "bad_field");
    assert_eq!(account.signup("adm1n", PASSWORD).await.unwrap_err().code(), "name_taken");
    // The operator may, and then nobody looks like it.
    let made = Command::new(maru())
        .args(["admin", "create-user", "--password-env", "MARU_PASSWORD_TEST", "--data"])
        .args([node.data.to_str().unwrap(), "support"])
        .env("MARU_PASSWORD_TEST", PASSWORD)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    account.login("Support", PASSWORD, None).await.unwrap();
    let revoked = operate(&node, &["revoke", "--user", "박지성\u{3000}", "--server", &node.admin]);
    assert!(revoked.ends_with(": 1\n"), "{revoked}");
    assert_eq!(account.renew(&login.refresh).await.unwrap_err().code(), "unauthenticated");
    assert_eq!(node.stop(), Some(0));
    assert!(!operate(&node, &["token", "--user", " 박지성"]).is_empty());
    node.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_code_stays_spent_after_a_crash_and_the_operator_lets_in_again() {
    let mut node = Node::start(1, &[]);
    let account = node.account();
    let (secret, _, recovery) = ann_with_two_factor(&account).await;
    is_refused(account.login("ann", PASSWORD, None).await, "code_required");
    let now = code(&secret, 1);
    account.login_with("ann", PASSWORD, None, with(&now)).await.unwrap();
    account.login_with("ann", PASSWORD, None, with(&recovery[0])).await.unwrap();
    node.kill();
    node.up(2);
    for spent in [&now, &recovery[0]] {
        is_refused(account.login_with("ann", PASSWORD, None, with(spent)).await, "wrong_code");
    }
    account.login_with("ann", PASSWORD, None, with(&recovery[1])).await.unwrap();
    assert_eq!(operate(&node, &["two-factor-off", "--user", "ANN "]), "the second factor of ann is off\n");
    account.login("ann", PASSWORD, None).await.unwrap();
    assert_eq!(
        operate(&node, &["two-factor-off", "--user", "ann"]),
        "the second factor of ann was off already\n"
    );
    let nobody = admin(&["two-factor-off", "--user", "nobody-here", "--data", node.data.to_str().unwrap()]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("there is no user nobody-here"));
    assert_eq!(node.stop(), Some(0));
    node.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_terminal_asks_for_the_code() {
    let node = Node::start(1, &[]);
    let (secret, spent, recovery) = ann_with_two_factor(&node.account()).await;
    let mut child = Command::new(maru())
        .args(["chat", "--server", &node.http, "--user", "ann ", "--password-env", "MARU_PASSWORD_TEST"])
        .env("MARU_PASSWORD_TEST", PASSWORD)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut typed = child.stdin.take().unwrap();
    let mut shown = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut until = |words: &str| {
        let found = shown.by_ref().find(|line| line.contains(words));
        found.unwrap_or_else(|| panic!("it never said {words:?}"))
    };
    until("The code of your authenticator app");
    writeln!(typed, "{spent}").unwrap();
    until("That code is wrong, or was used before.");
    writeln!(typed, "{}", code(&secret, 1)).unwrap();
    until("Connected as ann.");
    writeln!(typed, "/twofactor off {}", recovery[0]).unwrap();
    until("A login asks for the password alone.");
    writeln!(typed, "/twofactor on").unwrap();
    let key = until("Give your authenticator app this key");
    let key = key.rsplit(' ').next().unwrap().to_owned();
    until("The code of your authenticator app");
    writeln!(typed, "{}", code(&key, 0)).unwrap();
    until("It is on.");
    writeln!(typed, "/quit").unwrap();
    assert!(child.wait().unwrap().success());
    is_refused(node.account().login("ann", PASSWORD, None).await, "code_required");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_is_told_and_sends_it() {
    let node = Node::start(1, &[]);
    let (secret, _, _) = ann_with_two_factor(&node.account()).await;
    let mut child = Command::new(maru())
        .args([
            "chat",
            "--server",
            &node.http,
            "--user",
            "ann",
            "--password-env",
            "MARU_PASSWORD_TEST",
            "--json",
        ])
        .env("MARU_PASSWORD_TEST", PASSWORD)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut typed = child.stdin.take().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut events = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    let refused = events.find(|event| event["event"] == "reject").unwrap();
    assert_eq!((&refused["code"], &refused["cmd"]), (&json!("code_required"), &json!("login")), "{refused}");
    writeln!(typed, "{}", json!({ "cmd": "login", "code": code(&secret, 1) })).unwrap();
    let ready = events.find(|event| event["event"] == "ready").unwrap();
    assert_eq!(ready["user"], "ann");
    writeln!(typed, "{}", json!({ "cmd": "quit" })).unwrap();
    assert!(child.wait().unwrap().success());
}

fn with(code: &str) -> Extras<'_> {
    Extras { code: Some(code), ..Extras::default() }
}
