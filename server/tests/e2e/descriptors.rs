//! A server that may have few descriptors shares them out: whoever comes last is closed or refused, whoever is in is served,
//! and health answers.

use std::net::TcpStream;

use crate::node::{Node, bare};
use crate::raw::Raw;

/// 1,024 descriptors, as a shell or a container gives without being asked.
const FEW: &[&str] = &["bash", "-c", "ulimit -n 1024; exec \"$0\" \"$@\""];

fn raise_our_own() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Tokens of so many users.
fn tokens(node: &Node, count: usize) -> Vec<String> {
    let answer = node.operate("/v1/admin/users", &format!(r#"{{"count":{count}}}"#));
    let (_, lines) = answer.split_once("\r\n\r\n").unwrap();
    let tokens: Vec<String> =
        lines.lines().filter_map(|line| line.split('\t').nth(2)).map(String::from).collect();
    assert_eq!(tokens.len(), count, "{answer}");
    tokens
}

fn is_healthy(node: &Node) {
    assert!(node.admin_raw("GET /healthz HTTP/1.0\r\n\r\n").contains(" 200 "));
    assert!(node.http_raw("GET /healthz HTTP/1.0\r\n\r\n").contains(" 200 "));
    assert!(node.metric("process_open_fds", "") < 1024);
    assert_eq!(node.metric("maru_accept_errors_total", ""), 0, "no accept fails for want of a descriptor");
}

#[test]
fn a_thousand_descriptors_are_shared_out() {
    raise_our_own();
    let mut node = Node::start_by(FEW, &[], 1, &["--connections", "100000"]);
    node.logs(&["room for connections", "descriptors=1024", "connections=384", "http=192"]);
    node.logs(&["WARN", "set=100000", "chat=384", "LimitNOFILE="]);
    node.logs(&["WARN", "set=1024", "http=192", "http_connections"]);
    let mut device = Raw::live(&node, &tokens(&node, 1)[0]);
    let strangers: Vec<TcpStream> = (0..500).map(|_| TcpStream::connect(bare(&node.ws)).unwrap()).collect();
    let idle: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(bare(&node.http)).unwrap()).collect();
    device.is_served(2);
    is_healthy(&node);
    assert!(node.metric("maru_connections", "") <= 384);
    drop((strangers, idle));
    device.is_served(3);
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn one_above_the_bound_of_connections_is_closed_and_the_others_stay() {
    let mut node = Node::start(1, &["--connections", "16"]);
    let tokens = tokens(&node, 17);
    let mut devices: Vec<Raw> = tokens[..16].iter().map(|token| Raw::live(&node, token)).collect();
    // No Hello is older than the others: there is nobody to make room.
    let late = TcpStream::connect(bare(&node.ws)).unwrap();
    let mut byte = [0];
    assert_eq!(late.peek(&mut byte).unwrap_or(0), 0, "closed at once");
    assert_eq!(node.metric("maru_connections_refused_total", ""), 1);
    devices.iter_mut().for_each(|device| device.is_served(2));
    drop(devices.pop());
    let mut next = None;
    while next.is_none() {
        if node.metric("maru_connections", "") < 16 {
            next = Some(Raw::live(&node, &tokens[16]));
        }
    }
    assert_eq!(node.stop(), Some(0));
}
