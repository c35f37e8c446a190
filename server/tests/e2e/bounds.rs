//! Bad input and bad neighbours: each costs its sender only.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::node::{Node, maru};
use crate::people::{Device, PASSWORD, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enemies_harm_nobody_else() {
    let node = Node::start(2, &["--hello-timeout-ms", "1000"]);
    let account = node.account();
    for name in ["good", "better"] {
        account.signup(name, PASSWORD).await.unwrap();
    }
    let (good, better) = (Device::login(&account, "good").await, Device::login(&account, "better").await);
    let address = node.chat_address();

    // Silent ones, garbage, half a request, one byte at a time.
    let mut silent: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for garbage in [&b"\0\x01\x02\xff"[..], b"GET / HTTP/1.1\r\n\r\n", b"GET /ws HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(garbage).unwrap();
        silent.push(stream);
    }
    let mut slow = TcpStream::connect(&address).unwrap();
    for byte in b"GET /ws HTTP/1.1" {
        let _ = slow.write_all(&[*byte]);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    let channel = protocol::ChannelId::direct(good.user, better.user);
    for number in 0..50 {
        good.say(channel, &format!("{number}")).await;
    }
    until("good and better are not disturbed", || {
        better.held.lock().unwrap().messages.get(&channel).is_some_and(|messages| messages.len() == 50)
    })
    .await;

    // Each of the silent ones is closed by the server.
    for mut stream in silent {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut sink = [0; 1024];
        while !matches!(stream.read(&mut sink), Ok(0) | Err(_)) {}
    }
}

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
