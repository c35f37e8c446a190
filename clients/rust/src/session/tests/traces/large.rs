//! A device in a large channel: it is there when a group becomes one, follows it, is away, and comes back.

use protocol::body::large::{HeadItem, Heads};
use protocol::body::message::{AddMembers, GrowGroup, RemoveMember};
use protocol::body::sync::{MemberItem, MembersV2};
use protocol::body::talk::Talk;
use serde_json::json;

use super::super::*;
use super::{Traced, told};

const OTHER: UserId = UserId(30);

fn channel() -> ChannelId {
    ChannelId::group(YOU, SendId(1))
}

fn heads(head: u64) -> Frame {
    encode(0, &Heads { items: vec![HeadItem { channel: channel().0, head }] })
}

fn said<T: protocol::body::Body>(seq: u64, sender: UserId, body: &T) -> Frame {
    encode(900 + seq, body).stamp(Stamp { seq: Seq(seq), time_ms: 7, sender })
}

/// Text of somebody, which reaches a follower.
fn text(seq: u64) -> Frame {
    said(seq, OTHER, &Talk::default().text(channel(), "to whom it may concern"))
}

fn members(traced: &mut Traced) {
    let name = channel().0.to_string();
    traced.step(json!({"op": "members", "args": [name, "0", 2]}), |session, _| {
        told::id(session.members(channel(), UserId(0), 2).map(|id| id.0))
    });
    let asked = traced.asked.pop().unwrap();
    let items =
        vec![MemberItem { user: ME.0, joined: 1, role: 0 }, MemberItem { user: 20, joined: 1, role: 2 }];
    traced.receive(&encode(
        asked.header().id,
        &MembersV2 { total: 320, channel: channel().0, items, more: true },
    ));
}

/// What lies between what is held and the head, as the app reads it.
fn page(traced: &mut Traced, after: u64, seqs: std::ops::RangeInclusive<u64>) {
    let name = channel().0.to_string();
    let (from, to) = (*seqs.start(), *seqs.end());
    let window = json!({"after": after, "before": to + 1, "limit": 200, "newest": false});
    traced.step(json!({"op": "history", "args": [name, window]}), |session, _| {
        let asked = session.history(channel(), Some(Seq(after)), Some(Seq(to + 1)), 200, false);
        told::id(asked.map(|id| id.0))
    });
    let asked = traced.asked.pop().unwrap();
    let count = (to - from + 1) as u32;
    let head = HistoryPage { channel: channel().0, from, to, head: to, count, more: false };
    traced.receive(&encode(asked.header().id, &head));
    seqs.for_each(|seq| drop(traced.receive(&text(seq))));
}

pub(super) fn trace() -> Vec<String> {
    let mut traced = Traced::begin("a large channel", config(), None);
    traced.connected();
    traced.receive(&welcome(0, 1));
    // The message with which it grew is the last that everybody's inbox has.
    traced.receive(&said(4, YOU, &GrowGroup { channel: channel().0 }));
    traced.receive(&complete(0, 1));
    traced.receive(&heads(4));
    traced.receive(&text(5));
    members(&mut traced);
    // An own message: its ack, and that it comes by the inbox too, behind one that was on its way.
    traced.say(channel(), "from here");
    let own = traced.asked.pop().unwrap();
    let ack = SendAck { channel: channel().0, seq: 7, time_ms: 7 };
    traced.receive(&encode(own.header().id, &ack));
    traced.receive(&text(6));
    traced.receive(&own.stamp(Stamp { seq: Seq(7), time_ms: 7, sender: ME }));
    // What names the user is the inbox's, what names others is not; a hole is told as it is.
    traced.receive(&said(8, YOU, &AddMembers { channel: channel().0, members: vec![ME.0] }));
    traced.receive(&said(9, YOU, &AddMembers { channel: channel().0, members: vec![OTHER.0] }));
    traced.receive(&text(12));
    page(&mut traced, 9, 10..=11);
    traced.now = 20_000;
    traced.disconnected();
    // Away, and back: the head says what was missed, and what is sent once more is told once.
    traced.tick(21_000);
    traced.connected();
    traced.receive(&welcome(1, 1));
    traced.receive(&heads(40));
    traced.receive(&said(8, YOU, &AddMembers { channel: channel().0, members: vec![ME.0] }));
    page(&mut traced, 12, 13..=40);
    traced.receive(&text(41));
    traced.receive(&text(41));
    // Slow for a while: the server says where it stands.
    traced.receive(&heads(60));
    traced.receive(&text(61));
    traced.receive(&said(63, YOU, &RemoveMember { channel: channel().0, member: ME.0 }));
    traced.say(channel(), "from outside");
    let own = traced.asked.pop().unwrap();
    let refusal = Refusal::new(Code::Forbidden, "channel", "not a member");
    traced.receive(&encode(own.header().id, &refusal.body()));
    traced.lines
}
