//! A real nginx with the configuration that docs/operations.md recommends, in front of a real server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::node::{Node, PATIENCE};
use crate::people::PASSWORD;
use crate::ports;
use crate::raw::REQUEST;

const RECOMMENDED: &str = include_str!("../../../deploy/nginx.conf");
const SETTINGS: &[&str] = &[
    // Nothing that was taken comes back while the test runs.
    "--guess-refill-ms",
    "3600000",
    "--trusted-proxies",
    "127.0.0.1",
    "--allowed-hosts",
    "chat.example.org",
    "--chat-url",
    "wss://chat.example.org/ws",
    "--hsts-s",
    "31536000",
];

struct Nginx {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// `None`, with loud words, where there is no nginx.
    fn before(node: &Node) -> Option<Self> {
        let places =
            ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx", "/usr/local/nginx/sbin/nginx"];
        let Some(binary) = places.iter().find(|place| Path::new(place).exists()) else {
            eprintln!(
                "\n*** SKIPPED: no nginx here; server/tests/setup.sh installs it (package nginx-light)\n"
            );
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        // It cannot say which port it took, so one that was free a moment ago is given to it.
        let address: SocketAddr = ports::own("127.0.0.1:0").parse().unwrap();
        let at = folder.path().display();
        let inner: String = RECOMMENDED
            .replace("listen 443 ssl;", &format!("listen {address};"))
            .replace("http://127.0.0.1:8080", &node.http)
            .replace("127.0.0.1:8081", &node.chat_address())
            .lines()
            .filter(|line| !line.trim_start().starts_with("ssl_"))
            .flat_map(|line| [line, "\n"])
            .collect();
        let whole = format!(
            "daemon off;\nmaster_process off;\npid {at}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n\
             client_body_temp_path {at}/body;\nproxy_temp_path {at}/proxy;\n{inner}}}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, whole).unwrap();
        let mut command = Command::new(binary);
        command.arg("-p").arg(folder.path()).args(["-e", "stderr", "-c"]).arg(&file);
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        let nginx = Self { child, address, _folder: folder };
        let since = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(since.elapsed() < PATIENCE, "nginx does not listen");
            std::thread::yield_now();
        }
        Some(nginx)
    }

    /// What a client at this address of loopback is answered.
    fn asked(&self, from: &str, request: &str) -> String {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&format!("{from}:0").parse::<SocketAddr>().unwrap().into()).unwrap();
        socket.connect(&self.address.into()).unwrap();
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let (mut answer, mut bytes) = (Vec::new(), [0; 4096]);
        // nginx keeps the connection of a request that wanted to upgrade, whatever came of it.
        while !is_whole(&answer) {
            let len = stream.read(&mut bytes).unwrap();
            assert!(len > 0, "cut: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&bytes[..len]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether an answer has come with its body, if it has one.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

fn login(password: &str, more: &str) -> String {
    let body = json!({ "name": "heidi", "password": password }).to_string();
    format!(
        "POST /v1/login HTTP/1.1\r\nhost: chat.example.org\r\nconnection: close\r\n{more}content-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_the_recommended_nginx_limits_meet_the_real_client() {
    let node = Node::start(1, SETTINGS);
    let Some(nginx) = Nginx::before(&node) else { return };
    node.account().signup("heidi", PASSWORD).await.unwrap();
    let mut guesses = 0;
    loop {
        // Another made-up address each time, in both headers.
        let forged =
            format!("x-forwarded-for: 198.51.100.{guesses}\r\nforwarded: for=198.51.100.{guesses}\r\n");
        let answer = nginx.asked("127.0.0.2", &login("guess guess", &forged));
        if answer.starts_with("HTTP/1.1 429 ") {
            break;
        }
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        guesses += 1;
    }
    assert_eq!(guesses, 10);
    assert!(nginx.asked("127.0.0.2", &login(PASSWORD, "")).starts_with("HTTP/1.1 429 "));
    let good = nginx.asked("127.0.0.3", &login(PASSWORD, ""));
    assert!(good.starts_with("HTTP/1.1 200 ") && good.contains("wss://chat.example.org/ws"), "{good}");
    let head = good.to_ascii_lowercase();
    assert!(
        head.contains("strict-transport-security: max-age=31536000") && head.contains("no-store"),
        "{good}"
    );
    let upgrade = REQUEST.replacen("127.0.0.1", "chat.example.org", 1);
    assert!(nginx.asked("127.0.0.3", &upgrade).starts_with("HTTP/1.1 101 "));
    let own = upgrade.replacen("\r\n\r\n", "\r\nOrigin: https://chat.example.org\r\n\r\n", 1);
    assert!(nginx.asked("127.0.0.3", &own).starts_with("HTTP/1.1 101 "));
    let foreign = own.replacen("https://chat", "https://evil", 1);
    assert!(nginx.asked("127.0.0.3", &foreign).starts_with("HTTP/1.1 403 "));
    let rebound = login(PASSWORD, "").replacen("chat.example.org", "evil.example", 1);
    assert!(nginx.asked("127.0.0.3", &rebound).starts_with("HTTP/1.1 421 "));
    for hidden in ["/metrics", "/v1/admin/users"] {
        let request = format!("GET {hidden} HTTP/1.1\r\nhost: chat.example.org\r\nconnection: close\r\n\r\n");
        assert!(nginx.asked("127.0.0.3", &request).starts_with("HTTP/1.1 404 "), "{hidden}");
    }
}
