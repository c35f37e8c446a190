//! Bytes that are no good: every invalid vector of `protocol/vectors.json`, sent to a real node, gets the Reject or the
//! close code that docs/protocol.md promises, is counted under it, and disturbs nobody.

use protocol::body::encode;
use protocol::body::message::SendText;
use protocol::body::session::Hello;
use protocol::limits::{
    FRAME_BYTES_MAX, HEADER_BYTES, TEXT_CHARS_MAX, WS_MESSAGE_BYTES_MAX, WS_MESSAGE_FRAMES_MAX,
};
use protocol::{ChannelId, CloseCode, Code, Frame, Header, Kind, Seq, Stamp, UserId};
use serde_json::Value;

use crate::ledger::Ledger;
use crate::node::Node;
use crate::pair::Pair;
use crate::people::PASSWORD;
use crate::raw::{Carrier, Raw, heartbeat, token, ws};

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/vectors.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Bytes as the vectors write them: hex, or a list of hex and repeats.
fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::String(hex) => {
            let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
            digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
        }
        Value::Array(parts) => parts.iter().flat_map(bytes).collect(),
        Value::Object(_) => {
            bytes(&value["repeat"]).repeat(value["times"].as_u64().unwrap().try_into().unwrap())
        }
        other => panic!("{other}"),
    }
}

fn code(word: &str) -> Code {
    *Code::ALL.iter().find(|code| code.word() == word).unwrap()
}

fn close_code(number: &Value) -> CloseCode {
    CloseCode::from_number(number.as_u64().unwrap().try_into().unwrap()).unwrap()
}

over_both! {
    every_invalid_body_is_refused_by_its_code_and_field
    every_invalid_frame_closes_by_its_code
    what_no_vector_says
}

/// A node, somebody on it, and the pair that must not notice.
async fn world(carrier: Carrier) -> (Node, Pair, String) {
    // Hundreds of members cost hundreds of tokens; here it is about what a body says.
    let node = Node::over(carrier, 2, &["--frames-per-s", "1000000", "--frames-burst", "1000000"]);
    let user = node.account().signup("enemy", PASSWORD).await.unwrap();
    let token = token(&node, user, 77);
    let pair = Pair::start(&node).await;
    (node, pair, token)
}

async fn every_invalid_body_is_refused_by_its_code_and_field(carrier: Carrier) {
    let (node, pair, token) = world(carrier).await;
    let mut ledger = Ledger::open(&node);
    let mut device = Raw::live(&node, &token);
    let vectors = vectors();
    let invalid = vectors["invalid"].as_array().unwrap();
    for (vector, id) in invalid.iter().zip(1000..) {
        let kind = Kind(vector["kind"].as_u64().unwrap().try_into().unwrap());
        let version = vector["version"].as_u64().unwrap().try_into().unwrap();
        let frame = Frame::build(kind, version, id, &bytes(&vector["body"]));
        let (mut expected, mut path) = (code(vector["strict"].as_str().unwrap()), &vector["path"]);
        if matches!(kind.sent_by(), protocol::SentBy::Server | protocol::SentBy::Home) {
            (expected, path) = (Code::UnknownKind, &Value::Null);
        }
        let reject = if kind == Kind::HELLO {
            let mut stranger = Raw::open(&node);
            stranger.frame(&frame);
            let reject = stranger.reject(id);
            stranger.closes(CloseCode::Unauthenticated);
            ledger.close(CloseCode::Unauthenticated);
            reject
        } else {
            device.frame(&frame);
            device.reject(id)
        };
        let found = (Code::from_number(reject.code), reject.path.as_str(), reject.retry_after_ms);
        assert_eq!(
            found,
            (Some(expected), path.as_str().unwrap_or_default(), 0),
            "{vector}: {}",
            reject.text
        );
        assert!(!reject.text.is_empty(), "{vector}");
        ledger.reject(expected);
        // Many in a row would end the connection.
        device.is_served(id + 100_000);
    }
    pair.beat().await;
    ledger.settle(&node);
    pair.end().await;
}

async fn every_invalid_frame_closes_by_its_code(carrier: Carrier) {
    let (node, pair, token) = world(carrier).await;
    let mut ledger = Ledger::open(&node);
    let vectors = vectors();
    for vector in vectors["frames"].as_array().unwrap() {
        let frame = bytes(&vector["frame"]);
        // A stream has no messages that end too early: there, what is cut waits for its rest.
        let is_whole = |header: Header| header.check().is_err() || header.frame_bytes() == frame.len();
        if carrier == Carrier::Quic && !Header::read(&frame).is_some_and(is_whole) {
            continue;
        }
        let mut device = Raw::live(&node, &token);
        device.message(&frame);
        match vector["strict"]["reject"].as_str() {
            Some(word) => {
                assert_eq!(device.reject(5).code, code(word).number(), "{vector}");
                ledger.reject(code(word));
                device.is_served(6);
            }
            None => {
                let code = close_code(&vector["strict"]["close"]);
                device.closes(code);
                ledger.close(code);
            }
        }
    }
    pair.beat().await;
    ledger.settle(&node);
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_invalid_websocket_frame_closes_by_its_code() {
    let (node, pair, token) = world(Carrier::Ws).await;
    let mut ledger = Ledger::open(&node);
    let vectors = vectors();
    for vector in vectors["websocket"].as_array().unwrap() {
        // Those of the server's own side are masked by it, which is a fault of another name.
        if vector["close"].is_null() || vector["name"] == "masked_by_server" {
            continue;
        }
        let mut device = Raw::live(&node, &token);
        let sent = bytes(&vector["bytes"]);
        device.send(&if vector["reader"] == "client" { masked(&sent) } else { sent });
        let code = close_code(&vector["close"]);
        device.closes(code);
        ledger.close(code);
    }
    pair.beat().await;
    ledger.settle(&node);
    pair.end().await;
}

/// The same WebSocket frames with a mask of zeros.
fn masked(mut frames: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let [first, second, rest @ ..] = frames {
        let (wide, len) = match second {
            126 => (2, usize::from(u16::from_be_bytes(rest[..2].try_into().unwrap()))),
            127 => (8, usize::MAX),
            len => (0, usize::from(*len)),
        };
        out.extend([*first, second | 0x80]);
        out.extend(&rest[..wide]);
        out.extend([0; 4]);
        let payload = &rest[wide..];
        let (payload, behind) = payload.split_at(len.min(payload.len()));
        out.extend(payload);
        frames = behind;
    }
    out
}

async fn what_no_vector_says(carrier: Carrier) {
    let (node, pair, token) = world(carrier).await;
    let mut ledger = Ledger::open(&node);
    let channel = ChannelId::direct(UserId(1), UserId(2)).0;
    let text = |text: String| encode(9, &SendText { channel, text });

    // Text, a stamped frame, a message of nothing, one of too many frames, one of too many bytes in two parts.
    let stamped = heartbeat(1).stamp(Stamp { seq: Seq(1), time_ms: 1, sender: UserId(1) });
    let part = vec![0; WS_MESSAGE_BYTES_MAX / 2 + 1];
    let mut parts = ws(2, &part);
    parts[0] &= 0x7f;
    parts.extend(ws(0, &part));
    let mut over = Vec::new();
    let len = u32::try_from(FRAME_BYTES_MAX - HEADER_BYTES + 1).unwrap();
    Header { len, kind: Kind(0x7f00), version: 1, flags: 0, id: 9 }.write(&mut over);
    over.resize(FRAME_BYTES_MAX + 1, 0);
    let text_frame = text("마".repeat(150_000));
    let on_ws = [
        (ws(1, b"hello"), CloseCode::NotBinary),
        (ws(2, b""), CloseCode::Protocol),
        (parts, CloseCode::TooBig),
    ];
    let on_both = [
        (stamped.bytes(), CloseCode::Protocol),
        (&over, CloseCode::TooBig),
        (text_frame.bytes(), CloseCode::TooBig),
    ];
    for (sent, close) in on_both {
        let mut device = Raw::live(&node, &token);
        device.message(sent);
        device.closes(close);
        ledger.close(close);
    }
    for (sent, close) in on_ws.into_iter().filter(|_| carrier == Carrier::Ws) {
        let mut device = Raw::live(&node, &token);
        device.send(&sent);
        device.closes(close);
        ledger.close(close);
    }

    // As many frames as a message may hold are taken; each is answered.
    let mut device = Raw::live(&node, &token);
    let frames = WS_MESSAGE_FRAMES_MAX / 8;
    let many: Vec<u8> = (0..frames).flat_map(|id| heartbeat(id as u64 + 10).bytes().to_vec()).collect();
    device.message(&many);
    for id in 0..frames {
        assert_eq!(device.answer(id as u64 + 10).kind(), Kind::HEARTBEAT);
    }

    // One character too many; kinds and versions that nobody knows or that only the server sends.
    device.frame(&text("가".repeat(TEXT_CHARS_MAX + 1)));
    let reject = device.reject(9);
    assert_eq!((reject.code, reject.path.as_str()), (Code::Limit.number(), "text"));
    assert!(reject.text.contains("100001") && reject.text.contains("100000"), "{}", reject.text);
    ledger.reject(Code::Limit);
    for (kind, version, expected) in [
        (Kind(0x0199), 1, Code::UnknownKind),
        (Kind(0xffff), 255, Code::UnknownKind),
        (Kind::WELCOME, 1, Code::UnknownKind),
        (Kind::REJECT, 1, Code::UnknownKind),
        (Kind::SEND_TEXT, 3, Code::UnknownVersion),
        (Kind::GET_CHANNELS, 200, Code::UnknownVersion),
        (Kind::REAUTH, 2, Code::UnknownVersion),
    ] {
        device.frame(&Frame::build(kind, version, 11, b""));
        assert_eq!(device.reject(11).code, expected.number(), "{kind:?} {version}");
        ledger.reject(expected);
    }
    // A Hello that is cut anywhere is refused, never half believed.
    let whole = encode(1, &Hello { generation: 0, cursor: 0, token: token.clone() });
    for cut in [0, 1, 23, 24, 60, whole.body().len() - 1] {
        let mut stranger = Raw::open(&node);
        stranger.frame(&Frame::build(Kind::HELLO, 1, 3, &whole.body()[..cut]));
        // What is left of the token may read as numbers of some root.
        let found = Code::from_number(stranger.reject(3).code).unwrap();
        assert!(
            [Code::Malformed, Code::NotCanonical, Code::Limit].contains(&found),
            "{cut} bytes: {found:?}"
        );
        stranger.closes(CloseCode::Unauthenticated);
        ledger.turned_away(found);
    }
    device.is_served(12);
    pair.beat().await;
    ledger.settle(&node);
    pair.end().await;
}
