//! What becomes of a server whose stderr or stdout is full, broken or read by nobody: nothing.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::node::{Node, PATIENCE, exchange, maru};

/// A server with streams of ours. Without a place to read its address from, it is only let live and end.
fn serve(data: &std::path::Path, args: &[&str], out: Stdio, err: Stdio) -> Child {
    let mut command = Command::new(maru());
    command.args(["serve", "--http", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--shards", "1", "--data"]);
    command.arg(data).args(args).stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap()
}

/// The admin listener's address, from the line that says that it is ready. The rest of stdout is thrown away.
fn admin_of(child: &mut Child) -> String {
    let out = BufReader::new(child.stdout.take().unwrap());
    let line = out.lines().map_while(Result::ok).find(|line| line.starts_with("maru ready ")).unwrap();
    let word = line.split_whitespace().find_map(|word| word.strip_prefix("admin=http://")).unwrap();
    word.to_owned()
}

#[track_caller]
fn ends_well(mut child: Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let since = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert_eq!(status.code(), Some(0));
            return;
        }
        if since.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            panic!("it does not end");
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Asks something that is logged, so many times, and for the metrics.
fn ask(admin: &str, data: &std::path::Path, times: usize) -> String {
    let token = std::fs::read_to_string(data.join("admin.token")).unwrap();
    let head = |path: &str| format!("GET {path} HTTP/1.0\r\nauthorization: Bearer {}\r\n\r\n", token.trim());
    for _ in 0..times {
        let answer = exchange(admin, head("/v1/admin/keys").as_bytes());
        assert!(answer.contains(" 200 "), "{answer}");
    }
    exchange(admin, head("/metrics").as_bytes())
}

fn lost(metrics: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix("maru_log_lost_total "));
    line.unwrap().parse().unwrap()
}

/// Waits until so many lines are lost: a thread of its own writes them.
fn until_lost(admin: &str, data: &std::path::Path, least: u64) {
    let since = Instant::now();
    while lost(&ask(admin, data, 0)) < least {
        assert!(since.elapsed() < PATIENCE, "no lines are lost");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_full_stderr_loses_its_lines_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut child = serve(folder.path(), &["--log", "trace"], Stdio::piped(), full.into());
    let admin = admin_of(&mut child);
    ask(&admin, folder.path(), 5);
    until_lost(&admin, folder.path(), 5);
    ends_well(child);
}

#[test]
fn a_log_that_nobody_reads_keeps_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = serve(folder.path(), &["--log", "trace"], Stdio::piped(), Stdio::piped());
    let admin = admin_of(&mut child);
    // More than a pipe takes (64 KiB).
    ask(&admin, folder.path(), 600);
    // The read end is open until the process has ended.
    let pipe = child.stderr.take().unwrap();
    ends_well(child);
    let mut log = String::new();
    BufReader::new(pipe).read_to_string(&mut log).unwrap();
    assert!(log.len() > 60_000 && !log.contains("ended"), "the pipe was full: {}", log.len());
}

#[test]
fn whoever_reads_the_log_may_die() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = serve(folder.path(), &[], Stdio::piped(), Stdio::piped());
    let admin = admin_of(&mut child);
    drop(child.stderr.take());
    ask(&admin, folder.path(), 5);
    until_lost(&admin, folder.path(), 5);
    ends_well(child);
}

#[test]
fn a_full_stdout_keeps_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut child = serve(folder.path(), &[], full.into(), Stdio::piped());
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("serving")));
    // The rest is read, so that the last lines are seen, too.
    let rest = std::thread::spawn(move || lines.collect::<Vec<_>>());
    ends_well(child);
    assert!(rest.join().unwrap().iter().any(|line| line.contains("ended")), "the last line is out");
}

#[test]
fn why_it_does_not_start_is_said_or_lost() {
    let mut command = Command::new(maru());
    let output = command.args(["serve", "--shards", "none"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("maru: --shards "), "{output:?}");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let status = Command::new(maru()).args(["serve", "--shards", "none"]).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn json_is_an_object_a_line() {
    let mut node = Node::start(1, &["--log-format", "json"]);
    let answer = node.ask_admin("GET", "/v1/admin/keys", &node.admin_token(), None);
    assert!(answer.contains(" 200 "), "{answer}");
    assert_eq!(node.stop(), Some(0));
    let lines: Vec<serde_json::Value> =
        node.log().iter().map(|line| serde_json::from_str(line).expect(line)).collect();
    let with = |key: &str, value: &str| lines.iter().filter(|line| line[key] == value).collect::<Vec<_>>();
    assert_eq!((with("message", "serving").len(), with("message", "ended").len()), (1, 1));
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["level"].is_string()));
    let audit = with("target", "audit");
    assert_eq!(audit.len(), 1);
    assert_eq!((&audit[0]["action"], &audit[0]["outcome"]), (&"admin_key_list".into(), &"ok".into()));
    assert_eq!(audit[0]["token_name"], "admin.token");
}
