//! Devices that ask by HTTP in place of a connection: the same frames, the same cursor, the same promises; each request and each
//! answer may be lost.

use std::time::Duration;

use bytes::Bytes;
use protocol::body::message::SendText;
use protocol::body::session::{Hello, Welcome};
use protocol::body::sync::{Complete, SendAck};
use protocol::body::{self, Body, encode};
use protocol::{ChannelId, CloseCode, DeviceId, Frame, Kind, UserId};
use reqwest::{Method, StatusCode};

use crate::node::{Node, PATIENCE};
use crate::people::PASSWORD;
use crate::raw::{Raw, Seen, heartbeat};

/// An answer.
#[derive(Clone, PartialEq, Debug)]
struct Got {
    status: StatusCode,
    session: Option<u64>,
    number: Option<u64>,
    close: Option<u16>,
    bytes: Bytes,
}

impl Got {
    fn frames(&self) -> Vec<Frame> {
        assert_eq!(self.status, StatusCode::OK, "{:?}", self.bytes);
        let mut bytes = self.bytes.clone();
        std::iter::from_fn(|| Frame::take(&mut bytes).unwrap()).collect()
    }

    fn first<T: Body>(&self) -> Option<T> {
        self.frames().iter().find_map(body::read)
    }

    fn is_refused(&self, status: u16, code: &str) {
        let value: serde_json::Value = serde_json::from_slice(&self.bytes).unwrap_or_default();
        assert_eq!((self.status.as_u16(), value["code"].as_str()), (status, Some(code)), "{value}");
    }
}

/// A device.
#[derive(Clone)]
struct Poller {
    http: reqwest::Client,
    base: String,
    token: String,
    user: UserId,
    device: DeviceId,
}

impl Poller {
    async fn login(node: &Node, name: &str) -> Self {
        let account = node.account();
        let _ = account.signup(name, PASSWORD).await;
        let login = account.login(name, PASSWORD, None).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().timeout(2 * PATIENCE).build().unwrap();
        Self { http, base: node.http.clone(), token: login.token, user: login.user, device: login.device }
    }

    async fn ask(&self, at: Option<(u64, u64)>, wait: u64, frames: &[Frame]) -> Got {
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes().to_vec()).collect();
        self.bring(at, wait, bytes).await
    }

    async fn bring(&self, at: Option<(u64, u64)>, wait: u64, bytes: Vec<u8>) -> Got {
        let url = format!("{}/v1/poll?wait={wait}", self.base);
        let mut request = self.http.request(Method::POST, url).bearer_auth(&self.token);
        if let Some((session, number)) = at {
            request = request.header("Maru-Poll", session).header("Maru-Poll-Number", number);
        }
        let request = request.header("Content-Type", "application/octet-stream").body(bytes);
        let answer = request.send().await.unwrap();
        let number = |name: &str| answer.headers().get(name)?.to_str().ok()?.parse::<u64>().ok();
        let (session, asked) = (number("maru-poll"), number("maru-poll-number"));
        let close = number("maru-poll-close").map(|code| u16::try_from(code).unwrap());
        Got { status: answer.status(), session, number: asked, close, bytes: answer.bytes().await.unwrap() }
    }

    fn hello(&self, generation: u64, cursor: u64) -> Frame {
        encode(1, &Hello { generation, cursor, token: self.token.clone() })
    }

    /// Begins a session and takes what there is. Gives the session, the welcome, and the number of the next request.
    async fn begin(&self, generation: u64, cursor: u64) -> (u64, Welcome, u64) {
        let got = self.ask(None, 30, &[self.hello(generation, cursor)]).await;
        let welcome = got.first::<Welcome>().unwrap();
        let session = got.session.unwrap();
        let (mut number, mut complete) = (2, got.first::<Complete>());
        while complete.is_none() {
            complete = self.ask(Some((session, number)), 30, &[]).await.first();
            number += 1;
        }
        (session, welcome, number)
    }

    async fn until(&self, session: u64, number: &mut u64, holds: impl Fn(&Frame) -> bool) -> Frame {
        for _ in 0..100 {
            let got = self.ask(Some((session, *number)), 30, &[]).await;
            *number += 1;
            if let Some(frame) = got.frames().into_iter().find(|frame| holds(frame)) {
                return frame;
            }
        }
        panic!("it never came");
    }
}

fn text(id: u64, (one, other): (&Poller, &Poller), text: &str) -> Frame {
    encode(id, &SendText { channel: ChannelId::direct(one.user, other.user).0, text: text.into() })
}

fn says(frame: &Frame, said: &str) -> bool {
    body::read::<SendText>(frame).is_some_and(|body| body.text == said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_without_a_connection_talks_as_others_do() {
    let node = Node::start(2, &[]);
    let ann = Poller::login(&node, "ann").await;
    let ben = Poller::login(&node, "ben").await;
    let (session, welcome, mut number) = ann.begin(0, 0).await;
    assert_eq!((welcome.user, welcome.device), (ann.user.0, ann.device.0));
    let mut ben_raw = Raw::live(&node, &ben.token);

    // What ben says ends the wait.
    let waits = tokio::spawn({
        let ann = ann.clone();
        async move {
            let mut number = number;
            let frame = ann.until(session, &mut number, |frame| says(frame, "to ann")).await;
            (frame, number)
        }
    });
    ben_raw.frame(&text(7, (&ann, &ben), "to ann"));
    assert_eq!(ben_raw.answer_as::<SendAck>(7).seq, 1);
    let frame;
    (frame, number) = waits.await.unwrap();
    assert_eq!(frame.read_stamp().unwrap().sender, ben.user);

    // What ann says in a newer request ends the wait of the older, and is acked.
    let waits = tokio::spawn({
        let (ann, at) = (ann.clone(), Some((session, number)));
        async move { ann.ask(at, 30, &[]).await }
    });
    let both = async {
        loop {
            let got = ann.ask(Some((session, number + 1)), 30, &[text(8, (&ann, &ben), "to ben")]).await;
            // The other request may not have come yet.
            if got.status != StatusCode::CONFLICT {
                return got;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let got = both.await;
    let before = waits.await.unwrap();
    assert_eq!((before.number, before.close), (Some(number), None));
    let again = ann.ask(Some((session, number + 1)), 30, &[text(8, (&ann, &ben), "to ben")]).await;
    assert_eq!(again, got, "a repeat is answered as the first was");
    let mut acks: Vec<_> = got.frames().iter().filter_map(body::read::<SendAck>).collect();
    number += 2;
    if acks.is_empty() {
        acks.extend(body::read::<SendAck>(
            &ann.until(session, &mut number, |frame| frame.kind() == Kind::SEND_ACK).await,
        ));
    }
    assert_eq!(acks[0].seq, 2);
    loop {
        match ben_raw.next() {
            Seen::Frame(frame) if says(&frame, "to ben") => break,
            Seen::Frame(_) => {}
            end => panic!("{end:?}"),
        }
    }

    // Nothing comes: the answer is empty when the time is over, or holds what came by itself.
    let got = ann.ask(Some((session, number)), 1, &[heartbeat(0)]).await;
    assert_eq!((got.status, got.close), (StatusCode::OK, None));
    assert!(node.metrics().contains("maru_poll_sessions{shard="), "{}", node.metrics());
    let shown = node.ask_admin("GET", &format!("/v1/admin/users/{}", ann.user), &node.admin_token(), None);
    assert!(shown.contains(r#""transport":"poll""#), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_meanwhile_comes_once_after_a_restart() {
    let mut node = Node::start(1, &[]);
    let ann = Poller::login(&node, "ann").await;
    let ben = Poller::login(&node, "ben").await;
    let (session, welcome, number) = ann.begin(0, 0).await;
    let mut ben_raw = Raw::live(&node, &ben.token);
    ben_raw.frame(&text(7, (&ann, &ben), "one"));
    ben_raw.answer(7);
    node.kill();
    node.up(1);
    let ann = Poller { base: node.http.clone(), ..ann };
    ann.ask(Some((session, number)), 30, &[]).await.is_refused(404, "no_such_poll");
    let got = ann.ask(None, 30, &[ann.hello(welcome.generation, 0)]).await;
    let (old, session, mut number) = (session, got.session.unwrap(), 2);
    assert_ne!(session, old, "what is still on the way to the old one fits nowhere");
    let mut frames = got.frames();
    if !frames.iter().any(|frame| says(frame, "one")) {
        frames.push(ann.until(session, &mut number, |frame| says(frame, "one")).await);
    }
    assert_eq!(frames.iter().filter(|frame| says(frame, "one")).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_with_a_reason_and_nobody_else_asks_in_it() {
    let node = Node::start(2, &[]);
    let ann = Poller::login(&node, "ann").await;
    let (session, _, number) = ann.begin(0, 0).await;
    // Another device of hers, and another user.
    for name in ["ann", "ben"] {
        let other = Poller::login(&node, name).await;
        other.ask(Some((session, number)), 0, &[]).await.is_refused(404, "no_such_poll");
        let url = format!("{}/v1/poll", other.base);
        let ended =
            other.http.delete(url).bearer_auth(&other.token).header("Maru-Poll", session).send().await;
        assert_eq!(ended.unwrap().status(), StatusCode::NO_CONTENT);
    }
    // The same device comes by WebSocket: the session ends while a request waits.
    let waits = tokio::spawn({
        let ann = ann.clone();
        async move { ann.ask(Some((session, number)), 30, &[]).await }
    });
    let mut raw = Raw::live(&node, &ann.token);
    let mut got = waits.await.unwrap();
    for number in number + 1..number + 20 {
        if got.close.is_some() {
            break;
        }
        got = ann.ask(Some((session, number)), 30, &[]).await;
    }
    assert_eq!(got.close, Some(CloseCode::Replaced.number()), "{got:?}");
    // And the other way round.
    let (session, _, number) = ann.begin(0, 0).await;
    raw.closes(CloseCode::Replaced);
    // Logged out.
    let waits = tokio::spawn({
        let ann = ann.clone();
        async move {
            let mut number = number;
            loop {
                let got = ann.ask(Some((session, number)), 30, &[]).await;
                if got.close.is_some() || got.status != StatusCode::OK {
                    return got;
                }
                number += 1;
            }
        }
    });
    let revoked =
        node.operate("/v1/admin/revoke", &format!(r#"{{"user":"{}","device":"{}"}}"#, ann.user, ann.device));
    assert!(revoked.contains(" 204 "), "{revoked}");
    assert_eq!(waits.await.unwrap().close, Some(CloseCode::Unauthenticated.number()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_are_named_and_bad_frames_end_it() {
    let node = Node::start(1, &[]);
    let ann = Poller::login(&node, "ann").await;
    ann.ask(None, 31, &[ann.hello(0, 0)]).await.is_refused(400, "bad_field");
    ann.ask(None, 0, &[]).await.is_refused(400, "bad_field");
    ann.ask(Some((77, 2)), 0, &[]).await.is_refused(404, "no_such_poll");
    ann.ask(Some((77, 0)), 0, &[]).await.is_refused(400, "bad_field");
    ann.bring(None, 0, vec![0; (1 << 20) + 1]).await.is_refused(413, "too_large");
    let (session, _, number) = ann.begin(0, 0).await;
    ann.ask(Some((session, number + 7)), 0, &[]).await.is_refused(409, "poll_number");
    let got = ann.bring(Some((session, number)), 30, b"these are no frames".to_vec()).await;
    assert_eq!(got.close, Some(CloseCode::Protocol.number()), "{got:?}");
    // Without Hello, and with somebody else's.
    let got = ann.ask(None, 30, &[heartbeat(0)]).await;
    assert_eq!(got.close, Some(CloseCode::Unauthenticated.number()));
    let ben = Poller::login(&node, "ben").await;
    let got = ann.ask(None, 30, &[ben.hello(0, 0)]).await;
    assert_eq!((got.close, got.frames()), (Some(CloseCode::Unauthenticated.number()), vec![]));
}
