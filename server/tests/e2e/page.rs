//! Sentences of docs/protocol.md that a client was once written from and that were wrong or missing: held against the node.

use protocol::body::message::{AddMembers, CreateGroup, RemoveMember, SendText};
use protocol::body::session::{Heartbeat, Reauth};
use protocol::body::sync::{Complete, CursorAck, GetHistory, HistoryPage, SendAck};
use protocol::body::{encode, read};
use protocol::limits::{TEXT_CHARS_MAX, U53_MAX};
use protocol::{ChannelId, CloseCode, Code, Frame, Kind, SendId, UserId};

use crate::node::Node;
use crate::people::PASSWORD;
use crate::raw::{Carrier, Raw, Seen, heartbeat, token};

over_both! {
    messages_behind_a_page_have_the_ids_of_their_sends
    a_page_ends_where_the_reader_left
    what_a_session_may_not_say_costs_only_itself
    a_cursor_above_the_head_begins_at_the_head
    too_long_is_a_close_and_out_of_bounds_a_reject
}

async fn world(carrier: Carrier) -> (Node, UserId, UserId) {
    let node = Node::over(carrier, 2, &[]);
    let account = node.account();
    let ann = account.signup("ann", PASSWORD).await.unwrap();
    let bob = account.signup("bob", PASSWORD).await.unwrap();
    (node, ann, bob)
}

fn say(device: &mut Raw, id: u64, channel: ChannelId, text: &str) -> u64 {
    device.body(id, &SendText { channel: channel.0, text: text.into() });
    device.answer_as::<SendAck>(id).seq
}

/// A page, and the ids and seqs of the messages behind it.
fn page(device: &mut Raw, id: u64, ask: &GetHistory) -> (HistoryPage, Vec<(u64, u64)>) {
    device.body(id, ask);
    let page: HistoryPage = device.answer_as(id);
    let mut messages = Vec::new();
    while messages.len() < page.count as usize {
        let Seen::Frame(frame) = device.next() else { panic!("the page is not whole") };
        let Some(stamp) = frame.read_stamp() else { continue };
        messages.push((stamp.seq.0, frame.header().id));
    }
    (page, messages)
}

async fn messages_behind_a_page_have_the_ids_of_their_sends(carrier: Carrier) {
    let (node, ann, bob) = world(carrier).await;
    let channel = ChannelId::direct(ann, bob);
    let mut device = Raw::live(&node, &token(&node, ann, 1));
    for id in [71, 72, 73] {
        say(&mut device, id, channel, "hello");
    }
    let ask = GetHistory { channel: channel.0, after: 0, before: U53_MAX, limit: 2, newest: true };
    let (head, messages) = page(&mut device, 9, &ask);
    assert_eq!((head.from, head.to, head.head, head.more), (2, 3, 3, true));
    assert_eq!(messages, [(2, 72), (3, 73)], "the page repeats the request's id, its messages do not");
}

async fn a_page_ends_where_the_reader_left(carrier: Carrier) {
    let (node, ann, bob) = world(carrier).await;
    let mut owner = Raw::live(&node, &token(&node, ann, 1));
    let group = ChannelId::group(ann, SendId(20));
    owner.body(20, &CreateGroup { channel: group.0, name: "we".into(), members: vec![bob.0] });
    owner.answer_as::<SendAck>(20);
    say(&mut owner, 21, group, "two");
    owner.body(22, &RemoveMember { channel: group.0, member: bob.0 });
    owner.answer_as::<SendAck>(22);
    say(&mut owner, 23, group, "four, without bob");
    owner.body(24, &AddMembers { channel: group.0, members: vec![bob.0] });
    owner.answer_as::<SendAck>(24);
    say(&mut owner, 25, group, "six");

    let mut reader = Raw::live(&node, &token(&node, bob, 2));
    let mut ask = GetHistory { channel: group.0, after: 0, before: U53_MAX, limit: 100, newest: true };
    let (newest, _) = page(&mut reader, 30, &ask);
    assert_eq!((newest.from, newest.to, newest.head, newest.more), (5, 6, 6, true));
    ask.before = newest.from;
    let (before, messages) = page(&mut reader, 31, &ask);
    assert_eq!((before.from, before.to, before.more, messages.len()), (1, 3, false, 3));
    let (oldest, _) = page(&mut reader, 32, &GetHistory { before: U53_MAX, newest: false, ..ask });
    assert_eq!((oldest.from, oldest.to, oldest.more), (1, 3, true));
    let (rest, _) = page(&mut reader, 33, &GetHistory { after: 3, before: U53_MAX, newest: false, ..ask });
    assert_eq!((rest.from, rest.to, rest.more), (5, 6, false));
    // Nothing in the window: 0 and 0, and the head all the same.
    let (none, _) = page(&mut reader, 34, &GetHistory { after: 3, before: 5, ..ask });
    assert_eq!((none.from, none.to, none.count, none.head, none.more), (0, 0, 0, 6, false));
}

async fn what_a_session_may_not_say_costs_only_itself(carrier: Carrier) {
    let (node, ann, bob) = world(carrier).await;
    let good = token(&node, ann, 1);
    let mut device = Raw::live(&node, &good);
    device.hello(&good, 0, 0);
    assert_eq!(device.reject(1).code, Code::Forbidden.number(), "a second Hello");
    device.refuses(5, &Reauth { token: token(&node, bob, 1) }, Code::Forbidden, "token");
    device.refuses(6, &Reauth { token: "no token".into() }, Code::Unauthenticated, "token");
    device.refuses(7, &Reauth { token: String::new() }, Code::Limit, "token");
    device.refuses(8, &Heartbeat { time_ms: U53_MAX + 1 }, Code::Limit, "time_ms");
    device.refuses(9, &CursorAck { generation: 1, cursor: 1 << 40 }, Code::Limit, "cursor");
    device.is_served(10);
    // Before Hello everything is the end.
    let mut stranger = Raw::open(&node);
    stranger.frame(&heartbeat(11));
    assert_eq!(stranger.reject(11).code, Code::Unauthenticated.number());
    stranger.closes(CloseCode::Unauthenticated);
}

async fn a_cursor_above_the_head_begins_at_the_head(carrier: Carrier) {
    let (node, ann, bob) = world(carrier).await;
    let mut other = Raw::live(&node, &token(&node, bob, 2));
    say(&mut other, 5, ChannelId::direct(ann, bob), "one");
    let good = token(&node, ann, 1);
    let (mut device, first) = Raw::open(&node).welcomed(&good, 0, 0);
    // It is there, and said to be once its pointer is stored.
    let mut is_complete = false;
    while !is_complete {
        device.frame(&heartbeat(6));
        loop {
            let Seen::Frame(frame) = device.next() else { panic!("the connection ended") };
            match frame.kind() {
                Kind::COMPLETE => is_complete |= read::<Complete>(&frame).unwrap().to > 0,
                Kind::HEARTBEAT => break,
                _ => {}
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    for (generation, cursor) in [(0, U53_MAX), (0, 7), (first.generation, 7)] {
        let (mut device, welcome) = Raw::open(&node).welcomed(&good, generation, cursor);
        assert_eq!((welcome.generation, welcome.start, welcome.head), (first.generation, 1, 1));
        let complete = completes(&mut device);
        assert_eq!(
            (complete.from, complete.to, complete.head),
            (1, 1, 1),
            "nothing was missed, and it says so"
        );
    }
    // Another life than the inbox's: the head, wherever the cursor is.
    let (_, welcome) = Raw::open(&node).welcomed(&good, first.generation ^ 1, 0);
    assert_eq!((welcome.generation, welcome.start), (first.generation, welcome.head));
}

fn completes(device: &mut Raw) -> Complete {
    loop {
        let Seen::Frame(frame) = device.next() else { panic!("the connection ended") };
        if frame.kind() == Kind::COMPLETE {
            return read(&frame).unwrap();
        }
    }
}

async fn too_long_is_a_close_and_out_of_bounds_a_reject(carrier: Carrier) {
    let (node, ann, bob) = world(carrier).await;
    let good = token(&node, ann, 1);
    let mut device = Raw::live(&node, &good);
    let channel = ChannelId::direct(ann, bob).0;
    let text = "a".repeat(TEXT_CHARS_MAX + 1);
    device.refuses(5, &SendText { channel, text }, Code::Limit, "text");
    device.is_served(6);
    // A kind that nobody knows may be as long as a frame may be.
    device.frame(&Frame::build(Kind(0x0177), 1, 7, &vec![0; 500_000]));
    assert_eq!(device.reject(7).code, Code::UnknownKind.number());
    // Above the maximum of its kind the body is not even read.
    device.frame(&encode(8, &SendText { channel, text: "a".repeat(400_100) }));
    device.closes(CloseCode::TooBig);
}
