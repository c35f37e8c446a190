//! Somebody whom the server calls: one request of HTTP/1.1 a connection.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

/// Answers each request by its head and its body with a status line's words, and a body. Gives its address.
pub fn peer(mut answer: impl FnMut(&str, &[u8]) -> (String, String) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let Some(length) = field(&head, "content-length") else { continue };
            let mut body = vec![0; length.parse().unwrap()];
            if stream.read_exact(&mut body).is_err() {
                continue;
            }
            let (status, body) = answer(&head, &body);
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    address
}

/// A field of a head; its name in lower case.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}
