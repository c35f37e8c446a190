//! SIGHUP, and what others set in the environment.

use std::path::Path;

use crate::node::Node;

fn start(file: &Path, args: &[&str]) -> Node {
    Node::start(1, &[&["--config", file.to_str().unwrap()], args].concat())
}

/// Asks for something that is logged at the level info, and something that the audit tells.
fn speak(node: &Node) {
    let answer = node.operate("/v1/admin/revoke", r#"{"name":"nobody"}"#);
    assert!(answer.contains(" 404 "), "{answer}");
}

#[test]
fn a_hangup_changes_level_and_audit_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("maru.toml");
    std::fs::write(&file, "log = \"info\"\nreaders = 2\n").unwrap();
    let mut node = start(&file, &[]);
    std::fs::write(&file, "log = \"warn\"\naudit = false\nreaders = 3\nidle_users = 5\n").unwrap();
    node.hang_up();
    node.logs(&["the settings were read again", "log=warn", "log_before=info", "audit=false"]);
    node.logs(&["WARN", "count from the next start on", "settings=\"idle_users, readers\""]);
    speak(&node);
    std::fs::write(&file, "log = \"nonsense\"\n").unwrap();
    node.hang_up();
    node.logs(&["ERROR", "cannot be read again", "nonsense", "must be off, error"]);
    assert!(node.log().iter().all(|line| !line.contains("audit action")), "{:?}", node.log());
    std::fs::remove_file(&file).unwrap();
    node.hang_up();
    node.logs(&["ERROR", "cannot be read again", "No such file"]);
    std::fs::write(&file, "log = \"info\"\nreaders = 2\n").unwrap();
    node.hang_up();
    node.logs(&["the settings were read again", "log=info", "log_before=warn", "audit=true"]);
    speak(&node);
    node.logs(&["audit action=\"admin_revoke\" outcome=\"not_found\""]);
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn a_flag_stays_above_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("maru.toml");
    std::fs::write(&file, "log = \"warn\"\n").unwrap();
    let mut node = start(&file, &["--log", "info"]);
    std::fs::write(&file, "log = \"error\"\n").unwrap();
    node.hang_up();
    node.logs(&["the settings were read again", "log=info", "log_before=info"]);
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn a_service_of_the_same_name_in_the_cluster_is_no_matter() {
    let set = [
        ("MARU_CHAT_SERVICE_HOST", "10.96.3.7"),
        ("MARU_CHAT_SERVICE_PORT", "8080"),
        ("MARU_CHAT_SERVICE_PORT_HTTP", "8080"),
        ("MARU_CHAT_PORT", "tcp://10.96.3.7:8080"),
        ("MARU_CHAT_PORT_8080_TCP", "tcp://10.96.3.7:8080"),
        ("MARU_CHAT_PORT_8080_TCP_PROTO", "tcp"),
        ("MARU_CHAT_PORT_8080_TCP_PORT", "8080"),
        ("MARU_CHAT_PORT_8080_TCP_ADDR", "10.96.3.7"),
        ("MARU_PORT", "tcp://10.96.3.8:8080"),
        ("MARU_SERVICE_HOST", "10.96.3.8"),
    ];
    let mut node = Node::start_by(&[], &set, 1, &[]);
    assert!(node.http_raw("GET /readyz HTTP/1.0\r\n\r\n").contains(" 200 "));
    assert_eq!(node.stop(), Some(0));
}
