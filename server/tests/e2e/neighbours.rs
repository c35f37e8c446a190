//! Bad neighbours: who floods, stalls, dawdles or is silent. Each is dealt with by its documented close code and counted;
//! the pair's messages all arrive meanwhile.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use protocol::body::message::SendText;
use protocol::body::session::Reject;
use protocol::body::sync::SendAck;
use protocol::body::{encode, read};
use protocol::limits::UNAUTHENTICATED_BYTES_MAX;
use protocol::{ChannelId, CloseCode, Code, Frame, Kind};

use crate::ledger::Ledger;
use crate::node::Node;
use crate::pair::Pair;
use crate::people::{PASSWORD, until};
use crate::raw::{Carrier, REQUEST, Raw, heartbeat, token, ws};

over_both! {
    who_never_reads_is_closed
    who_goes_silent_is_closed
    who_floods_pays_alone
}

const FLOOD: usize = 2000;
/// Faults in a row that end a connection.
const FAULTS: u64 = shard::limits::FAULTS_MAX as u64;

/// Writes a byte at a time until the server has had enough.
fn dawdle(device: &mut Raw, bytes: &[u8]) {
    device.tcp().set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut ended = false;
    for byte in bytes {
        if device.tcp().write_all(&[*byte]).is_err() {
            ended = true;
            break;
        }
        // The peek paces the bytes and sees an answer or the end.
        match device.tcp().peek(&mut [0]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => {
                ended = true;
                break;
            }
        }
    }
    assert!(ended, "the server waits for ever");
    device.tcp().set_read_timeout(Some(crate::node::PATIENCE)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_slow_or_silent_before_hello_is_closed() {
    let node = Node::start(2, &["--hello-timeout-ms", "3000"]);
    let pair = Pair::start(&node).await;
    let mut ledger = Ledger::open(&node);
    let before = node.metric("maru_hello_timeouts_total", "");

    // Opens and says nothing; says half a request; says nothing after the upgrade; dawdles before and after it.
    let mut silent = Raw::connect(&node);
    let mut half = Raw::connect(&node);
    half.send(b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    let mut upgraded = Raw::upgraded(&node);
    let mut slow = Raw::connect(&node);
    dawdle(&mut slow, REQUEST.as_bytes());
    let mut slow_hello = Raw::upgraded(&node);
    dawdle(&mut slow_hello, &ws(2, &[0; 4096]));
    // Before the upgrade there is no WebSocket to close with a code.
    for device in [&mut silent, &mut half, &mut slow] {
        assert_eq!(device.end(), None);
    }
    for device in [&mut upgraded, &mut slow_hello] {
        device.closes(CloseCode::HelloTimeout);
        ledger.close(CloseCode::HelloTimeout);
    }
    // Too much before Hello.
    let mut talker = Raw::upgraded(&node);
    talker.send(&ws(2, &[0; UNAUTHENTICATED_BYTES_MAX + 1]));
    talker.closes(CloseCode::HelloTimeout);
    ledger.close(CloseCode::HelloTimeout);
    assert_eq!(node.metric("maru_hello_timeouts_total", "") - before, 6);
    ledger.settle(&node);
    pair.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_connections_disturbs_nobody() {
    raise_descriptors();
    let node = Node::start(2, &["--hello-timeout-ms", "3000"]);
    let pair = Pair::start(&node).await;
    let address: SocketAddr = node.chat_address().parse().unwrap();
    pair.beat().await;
    let mut flood = Vec::with_capacity(FLOOD);
    for number in 0..FLOOD {
        let mut stream = TcpStream::connect(address).unwrap();
        // A third is silent, a third sends garbage, a third asks for an upgrade and then is silent.
        let said: &[u8] = match number % 3 {
            0 => b"",
            1 => b"\x16\x03\x01\x02\x00\x01\x00",
            _ => REQUEST.as_bytes(),
        };
        let _ = stream.write_all(said);
        flood.push(stream);
        if number % 200 == 0 {
            pair.beat().await;
        }
    }
    pair.beat().await;
    // The server ends every one of them.
    for stream in &mut flood {
        stream.set_read_timeout(Some(crate::node::PATIENCE)).unwrap();
        let mut sink = [0; 1024];
        loop {
            match stream.read(&mut sink) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "the server has ended it");
                    break;
                }
            }
        }
    }
    drop(flood);
    // And who only comes and goes.
    for _ in 0..FLOOD {
        drop(TcpStream::connect(address).unwrap());
    }
    pair.beat().await;
    until("nobody of them is left", || node.metric("maru_connections_unauthenticated", "") == 0).await;
    assert_eq!(node.metric("maru_connections", ""), 2, "the pair");
    assert!(node.metric("maru_connections_accepted_total", "") >= 2 * FLOOD as u64);
    let ended = |name| node.metric(name, "");
    let counted = ended("maru_hello_timeouts_total") + ended("maru_upgrades_refused_total");
    assert_eq!(counted, FLOOD as u64, "each of the first two thousand for its reason");
    pair.end().await;
}

/// The flood's sockets are this process's too.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
}

/// More bytes than the kernel holds for a connection, by any default: 12 MB.
const LONG_MESSAGES: u64 = 40;

async fn who_never_reads_is_closed(carrier: Carrier) {
    // So long that a reader which waits for a processor is not taken for one that does not read.
    let node = Node::over(carrier, 2, &["--stalled-ms", "10000", "--frames-burst", "5000"]);
    let account = node.account();
    let (flooder, victim) = (
        account.signup("flooder", PASSWORD).await.unwrap(),
        account.signup("victim", PASSWORD).await.unwrap(),
    );
    let pair = Pair::start(&node).await;
    let mut ledger = Ledger::open(&node);
    // Over QUIC it does not even acknowledge.
    let stalled = match carrier {
        Carrier::Ws => Raw::narrow(&node),
        Carrier::Quic => Raw::open(&node),
    };
    let mut stalled = stalled.welcomed(&token(&node, victim, 1), 0, 0).0;
    let mut reads = Raw::live(&node, &token(&node, victim, 2));
    let reads = std::thread::spawn(move || reads.read_through(LONG_MESSAGES));

    let channel = ChannelId::direct(flooder, victim).0;
    let mut sender = Raw::live(&node, &token(&node, flooder, 3));
    let text = "가".repeat(100_000);
    for id in 1..=LONG_MESSAGES {
        sender.body(id, &SendText { channel, text: text.clone() });
        assert_eq!(sender.answer_as::<SendAck>(id).seq, id);
    }
    until("the stalled one is given up", || {
        node.metric("maru_closes_total", &format!("\"{}\"", CloseCode::SlowReader.word())) == 1
    })
    .await;
    ledger.close(CloseCode::SlowReader);
    assert!(node.metric("maru_fell_behind_total", "") >= 1);
    // It may be told, if it reads again in time; it is told nothing else.
    let code = stalled.end();
    assert!(code.is_none() || code == Some(CloseCode::SlowReader.number()), "{code:?}");
    // The same user's other device has everything, and a later connection of the stalled one gets everything.
    reads.join().unwrap();
    Raw::live(&node, &token(&node, victim, 1)).read_through(LONG_MESSAGES);
    pair.beat().await;
    ledger.settle(&node);
    pair.end().await;
}

async fn who_goes_silent_is_closed(carrier: Carrier) {
    // So long that the pair, which has to wait for a processor now and then, is not taken for silent.
    let node = Node::over(carrier, 2, &["--heartbeat-ms", "4000"]);
    let user = node.account().signup("sleeper", PASSWORD).await.unwrap();
    let pair = Pair::start(&node).await;
    let mut ledger = Ledger::open(&node);
    // Pings of the carrier are answered but do not count as life.
    let mut sleeper = Raw::live(&node, &token(&node, user, 1));
    match carrier {
        Carrier::Ws => sleeper.send(&ws(9, b"are you there?")),
        Carrier::Quic => sleeper.quic().connection.ping(),
    }
    sleeper.closes(CloseCode::HeartbeatTimeout);
    assert_eq!(sleeper.pongs, u64::from(carrier == Carrier::Ws));
    ledger.close(CloseCode::HeartbeatTimeout);
    ledger.settle(&node);
    pair.end().await;
}

async fn who_floods_pays_alone(carrier: Carrier) {
    let node = Node::over(carrier, 2, &[]);
    let user = node.account().signup("flooder", PASSWORD).await.unwrap();
    let pair = Pair::start(&node).await;
    let mut ledger = Ledger::open(&node);

    if carrier == Carrier::Ws {
        // 100,000 pings, 13 MB, without reading a pong: the first few are answered, the next is one too many.
        let mut pinger = Raw::live(&node, &token(&node, user, 1));
        let pings = ws(9, &[7; 125]).repeat(1000);
        for _ in 0..100 {
            pinger.send(&pings);
        }
        pair.beat().await;
        pinger.closes(CloseCode::TooManyFaults);
        assert!(pinger.pongs <= u64::from(edge::limits::CONTROL_FRAMES_MAX));
        ledger.close(CloseCode::TooManyFaults);
    }

    // 31 faults and a good frame, for ever; 32 in a row are the end.
    let mut faulty = Raw::live(&node, &token(&node, user, 2));
    let unknown = Frame::build(Kind(0x7777), 1, 3, b"");
    for round in 0..3 {
        for _ in 0..FAULTS - 1 {
            faulty.frame(&unknown);
            ledger.reject(Code::UnknownKind);
        }
        faulty.is_served(100 + round);
    }
    for _ in 0..FAULTS {
        faulty.frame(&unknown);
        assert_eq!(faulty.reject(3).code, Code::UnknownKind.number());
        ledger.reject(Code::UnknownKind);
    }
    faulty.closes(CloseCode::TooManyFaults);
    ledger.close(CloseCode::TooManyFaults);
    // Bad tokens in a row, too: the edge counts its own.
    let mut liar = Raw::live(&node, &token(&node, user, 3));
    let hello = encode(4, &protocol::body::session::Reauth { token: "no token".into() });
    for _ in 0..FAULTS {
        liar.frame(&hello);
        ledger.reject(Code::Unauthenticated);
    }
    liar.closes(CloseCode::TooManyFaults);
    ledger.close(CloseCode::TooManyFaults);
    pair.beat().await;
    ledger.settle(&node);

    // More frames than a session may send at once: what is above is refused with a time to come again, and is taken then.
    let rate = || node.metric("maru_rejects_total", "\"rate\"");
    let before = rate();
    let mut hasty = Raw::live(&node, &token(&node, user, 4));
    let burst: Vec<u8> = (1..=1500).flat_map(|id| heartbeat(id).bytes().to_vec()).collect();
    hasty.message(&burst);
    let mut refused = Vec::new();
    for id in 1..=1500 {
        let answer = hasty.answer(id);
        if answer.kind() == Kind::REJECT {
            refused.push((id, read::<Reject>(&answer).unwrap()));
        }
    }
    assert!(!refused.is_empty() && refused[0].0 > 1000, "the first thousand are within the burst");
    for (_, reject) in &refused {
        assert_eq!(reject.code, Code::Rate.number());
        // Each says when all that was refused up to here can be paid: 500 at 200 a second.
        assert!((1..=2500).contains(&reject.retry_after_ms), "{}", reject.retry_after_ms);
    }
    assert_eq!(rate() - before, refused.len() as u64);
    // It is not read before its debt is paid, so no wait is needed here.
    hasty.is_served(2000);
    pair.end().await;
}
