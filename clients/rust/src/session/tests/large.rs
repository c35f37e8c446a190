//! Large channels: what comes by following, and what by the inbox.

use protocol::body::about::Recalled;
use protocol::body::large::{HeadItem, Heads};
use protocol::body::message::{AddMembers, RemoveMember};
use protocol::body::rules::BanMember;
use protocol::body::talk::Talk;

use super::*;

const OTHER: UserId = UserId(30);

fn large() -> ChannelId {
    ChannelId::group(YOU, SendId(1))
}

fn heads(head: u64) -> Frame {
    encode(0, &Heads { items: vec![HeadItem { channel: large().0, head }] })
}

fn said<T: protocol::body::Body>(seq: u64, body: &T) -> Frame {
    encode(seq, body).stamp(Stamp { seq: Seq(seq), time_ms: 7, sender: YOU })
}

/// What a connection brings, and which seqs are told of it; then the same once more on the next connection, as from an inbox
/// that was not complete.
fn twice(frames: &[Frame]) -> (Vec<u64>, Vec<u64>) {
    let mut session = live();
    session.receive(0, heads(5));
    frames.iter().for_each(|frame| session.receive(0, frame.clone()));
    let first = seqs(&events(&mut session));
    session.disconnected(10);
    greet(&mut session, 500, 0, 1);
    session.receive(500, heads(9));
    frames.iter().for_each(|frame| session.receive(500, frame.clone()));
    (first, seqs(&events(&mut session)))
}

#[test]
fn heads_are_told_and_messages_behind_them_are_told_once_each() {
    let mut session = live();
    session.receive(0, heads(5));
    for seq in [6, 8] {
        session.receive(0, message(large(), seq, OTHER, seq));
    }
    let told = events(&mut session);
    assert_eq!(told.first(), Some(&Event::Heads(vec![HeadItem { channel: large().0, head: 5 }])));
    assert_eq!(seqs(&told), [6, 8], "the app reads what lies between");
    session.receive(0, complete(0, 0));
    assert_eq!(session.cursor().at, InboxSeq(0), "no inbox has them");
}

/// What names the user is its inbox's, and told once however often that comes: added, removed, banned, mentioned, and what
/// was recalled since, which names nobody any more.
#[test]
fn what_names_the_user_comes_by_the_inbox() {
    let channel = large().0;
    let talk = Talk { mentions: vec![ME], ..Talk::default() };
    let named = [
        said(6, &AddMembers { channel, members: vec![ME.0] }),
        said(7, &talk.text(large(), "you")),
        said(8, &RemoveMember { channel, member: ME.0 }),
        said(9, &BanMember { channel, member: ME.0 }),
        said(10, &Recalled { channel, target: 10, by: 11, user: YOU.0, time_ms: 7 }),
        message(large(), 12, ME, 900),
    ];
    assert_eq!(twice(&named), (vec![6, 7, 8, 9, 10, 12], Vec::new()));
    let talk = Talk { mentions: vec![OTHER], ..Talk::default() };
    let others =
        [said(10, &AddMembers { channel, members: vec![OTHER.0] }), said(11, &talk.text(large(), "you"))];
    assert_eq!(
        twice(&others),
        (vec![10, 11], vec![10, 11]),
        "each connection is told what is behind its head"
    );
}
