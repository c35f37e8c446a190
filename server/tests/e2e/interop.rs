//! Another implementation of QUIC, s2n-quic, speaks what docs/protocol.md says, section 14.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use protocol::body::message::SendText;
use protocol::body::session::{Hello, Welcome};
use protocol::body::sync::{GetHistory, HistoryPage, SendAck};
use protocol::body::{Body, encode, read};
use protocol::limits::U53_MAX;
use protocol::{ChannelId, Frame, Header};
use s2n_quic::Client;
use s2n_quic::client::Connect;
use s2n_quic::provider::tls::rustls::Client as Tls;
use s2n_quic::stream::{ReceiveStream, SendStream};

use crate::node::{Node, PATIENCE};
use crate::people::PASSWORD;
use crate::raw::{Carrier, Raw, token};

/// The frames of one stream.
struct Frames {
    stream: ReceiveStream,
    bytes: BytesMut,
}

impl Frames {
    fn of(stream: ReceiveStream) -> Self {
        Self { stream, bytes: BytesMut::new() }
    }

    /// The next frame; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            let whole = Header::read(&self.bytes).filter(|header| header.frame_bytes() <= self.bytes.len());
            if let Some(header) = whole {
                let frame = self.bytes.split_to(header.frame_bytes()).freeze();
                return Some(Frame::new(frame).unwrap());
            }
            let more = tokio::time::timeout(PATIENCE, self.stream.receive()).await.expect("something comes");
            let Some(more) = more.unwrap() else {
                assert!(self.bytes.is_empty(), "bytes behind the last frame");
                return None;
            };
            self.bytes.extend_from_slice(&more);
        }
    }

    async fn answer<T: Body>(&mut self, id: u64) -> T {
        loop {
            let frame = self.next().await.expect("the stream goes on");
            if frame.header().id == id && !frame.header().is_stamped() {
                return read(&frame).unwrap_or_else(|| panic!("{frame:?}"));
            }
        }
    }

    /// The next message.
    async fn text(&mut self) -> String {
        loop {
            let frame = self.next().await.expect("the stream goes on");
            if frame.header().is_stamped() {
                return read::<SendText>(&frame).unwrap().text;
            }
        }
    }
}

async fn send<T: Body>(stream: &mut SendStream, id: u64, body: &T) {
    stream.send(Bytes::copy_from_slice(encode(id, body).bytes())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2n_quic_says_hello_sends_and_receives() {
    let node = Node::over(Carrier::Ws, 4, &[]);
    let account = node.account();
    let ann = account.signup("ann", PASSWORD).await.unwrap();
    let bob = account.signup("bob", PASSWORD).await.unwrap();
    let tls = Tls::builder().with_certificate(node.certificate().as_path()).unwrap();
    let tls = tls.with_application_protocols([b"maru/1"].into_iter()).unwrap().build().unwrap();
    let client = Client::builder().with_tls(tls).unwrap().with_io("127.0.0.1:0").unwrap().start().unwrap();
    let address: SocketAddr = node.quic.parse().unwrap();
    let connection = client.connect(Connect::new(address).with_server_name("localhost")).await.unwrap();
    let (mut handle, mut accept) = connection.split();
    let (receive, mut control) = handle.open_bidirectional_stream().await.unwrap().split();
    let mut frames = Frames::of(receive);

    send(&mut control, 1, &Hello { generation: 0, cursor: 0, token: token(&node, ann, 1) }).await;
    assert_eq!(frames.answer::<Welcome>(1).await.user, ann.0);
    let mut other = Raw::live(&node, &token(&node, bob, 2));
    let channel = ChannelId::direct(ann, bob).0;
    send(&mut control, 2, &SendText { channel, text: "from s2n-quic".into() }).await;
    assert_eq!(frames.answer::<SendAck>(2).await.seq, 1);
    other.body(3, &SendText { channel, text: "to s2n-quic".into() });
    assert_eq!(other.answer_as::<SendAck>(3).seq, 2);
    assert_eq!(frames.text().await, "to s2n-quic");

    // A page comes on a stream of its own.
    let all = GetHistory { channel, after: 0, before: U53_MAX, limit: 9, newest: false };
    send(&mut control, 4, &all).await;
    let stream = accept.accept_receive_stream().await.unwrap().expect("a page");
    let mut page = Frames::of(stream);
    assert_eq!(page.answer::<HistoryPage>(4).await.count, 2);
    assert_eq!((page.text().await.as_str(), page.text().await.as_str()), ("from s2n-quic", "to s2n-quic"));
    assert!(page.next().await.is_none());

    // The end of the control stream is the goodbye.
    control.finish().unwrap();
    while frames.next().await.is_some() {}
    assert_eq!(node.metric("maru_quic_hellos_total", ""), 1);
}
