//! A device that comes back after a restore: ahead of the new life, behind it, or somewhere in between.

use std::collections::BTreeMap;

use protocol::body::sync::ChannelItem;

use super::*;
use crate::session::{Known, Reread};

type Held = BTreeMap<(ChannelId, Seq), Known>;

fn known(send_id: u64, time_ms: u64) -> Known {
    Known { sender: YOU, send_id: SendId(send_id), time_ms, is_gapless: true }
}

fn hold(seqs: impl IntoIterator<Item = u64>, life: u64) -> Held {
    seqs.into_iter().map(|seq| ((chat(), Seq(seq)), known(life + seq, life))).collect()
}

/// The server's channel: up to `common` as in the old life, the rest new.
struct Server {
    common: u64,
    head: u64,
}

const OLD: u64 = 1000;
const NEW: u64 = 2000;

impl Server {
    fn message(&self, seq: u64) -> Frame {
        let life = if seq <= self.common { OLD } else { NEW };
        let stamp = Stamp { seq: Seq(seq), time_ms: life, sender: YOU };
        encode(life + seq, &SendText { channel: chat().0, text: "x".into() }).stamp(stamp)
    }

    /// Answers with two messages a page.
    fn answer(&self, session: &mut Session, frame: &Frame) {
        self.frames(frame).into_iter().for_each(|frame| session.receive(0, frame));
    }

    fn frames(&self, frame: &Frame) -> Vec<Frame> {
        let id = frame.header().id;
        if frame.kind() == Kind::GET_CHANNELS {
            let item = |channel: ChannelId| ChannelItem {
                channel: channel.0,
                head: self.head,
                read: 0,
                unread: 0,
                member: true,
                name: String::new(),
            };
            let items = if self.head == 0 { vec![] } else { vec![item(chat())] };
            return vec![encode(id, &Channels { items, more: false })];
        }
        let ask: GetHistory = read(frame).unwrap();
        assert!(ask.newest);
        let to = self.head.min(ask.before - 1);
        let from = to.saturating_sub(1).max(u64::from(to > 0));
        let count = if to == 0 { 0 } else { u32::try_from(to - from + 1).unwrap() };
        let page = HistoryPage { channel: chat().0, from, to, head: self.head, count, more: from > 1 };
        let messages = (from..=to).filter(|seq| *seq > 0).map(|seq| self.message(seq));
        std::iter::once(encode(id, &page)).chain(messages).collect()
    }
}

/// What the session says changes what is held.
fn hear(session: &mut Session, reread: &mut Reread, held: &mut Held) {
    for event in events(session) {
        for gone in reread.take(session, &event) {
            held.remove(&gone);
        }
        if let Event::History(page) = event {
            held.extend(page.messages.iter().map(|m| ((page.channel, m.seq), Known::from(m))));
        }
    }
}

/// What the app holds once it has read anew, and how many pages that took.
fn read_anew(server: &Server, mut held: Held) -> (Held, usize) {
    let mut session = Session::new(config(), None);
    greet(&mut session, 0, 0, 0);
    events(&mut session);
    let all = held.iter().map(|((channel, seq), known)| (*channel, *seq, *known)).collect::<Vec<_>>();
    let (mut reread, mut pages) = (Reread::begin(&mut session, all, 2), 0);
    while !reread.is_done() {
        for frame in written(&mut session) {
            pages += usize::from(frame.kind() == Kind::GET_HISTORY);
            server.answer(&mut session, &frame);
        }
        hear(&mut session, &mut reread, &mut held);
    }
    (held, pages)
}

fn names(held: &Held) -> Vec<(u64, u64)> {
    held.iter().map(|((_, seq), known)| (seq.0, known.send_id.0)).collect()
}

fn expected(server: &Server) -> Vec<(u64, u64)> {
    (1..=server.head).map(|seq| (seq, seq + if seq <= server.common { OLD } else { NEW })).collect()
}

#[test]
fn what_is_held_is_what_the_new_life_holds() {
    for common in [0, 1, 5, 6] {
        for head in common..=common + 7 {
            for old_head in 0..=common + 9 {
                let server = Server { common, head };
                let (held, _) = read_anew(&server, hold(1..=old_head, OLD));
                assert_eq!(names(&held), expected(&server), "{common} of {old_head} kept, head {head}");
            }
        }
    }
}

#[test]
fn reading_ends_at_a_message_that_is_the_same() {
    let (_, pages) = read_anew(&Server { common: 100, head: 103 }, hold(1..=120, OLD));
    assert_eq!(pages, 2);
}

#[test]
fn a_gap_of_the_old_life_is_filled() {
    let mut held = hold((1..=4).chain([8]), OLD);
    // Known by the ack of a send that was repeated: 5 to 7 had not come yet.
    held.get_mut(&(chat(), Seq(8))).unwrap().is_gapless = false;
    let server = Server { common: 9, head: 9 };
    assert_eq!(names(&read_anew(&server, held).0), expected(&server));
}

#[test]
fn live_messages_take_the_place_of_what_was_held() {
    let mut session = Session::new(config(), None);
    greet(&mut session, 0, 0, 0);
    let held = hold(1..=3, OLD).into_iter().map(|((channel, seq), known)| (channel, seq, known));
    let mut reread = Reread::begin(&mut session, held, 2);
    events(&mut session);
    let server = Server { common: 1, head: 2 };
    let asked = written(&mut session);
    // Live, before the answer, which was made before it: 3 has another message now.
    session.receive(0, Server { common: 1, head: 3 }.message(3));
    asked.iter().for_each(|frame| server.answer(&mut session, frame));
    let mut gone = Vec::new();
    while !reread.is_done() {
        for event in events(&mut session) {
            gone.extend(reread.take(&mut session, &event));
        }
        written(&mut session).iter().for_each(|frame| server.answer(&mut session, frame));
    }
    assert_eq!(gone, [], "2 is overwritten by the page, 3 was by the message");
}

/// The connection ends once in the middle of each page.
#[test]
fn reading_anew_survives_pages_that_are_cut() {
    let mut session = Session::new(config(), None);
    greet(&mut session, 0, 0, 0);
    events(&mut session);
    let server = Server { common: 1, head: 6 };
    let mut held = hold(1..=6, OLD);
    let all = held.iter().map(|((channel, seq), known)| (*channel, *seq, *known)).collect::<Vec<_>>();
    let (mut reread, mut cut) = (Reread::begin(&mut session, all, 2), Vec::new());
    for _ in 0..20 {
        for frame in written(&mut session) {
            if frame.kind() == Kind::GET_HISTORY && !cut.contains(&frame) {
                let half = server.frames(&frame).into_iter().take(2);
                half.for_each(|frame| session.receive(0, frame));
                session.disconnected(0);
                greet(&mut session, 0, 0, 0);
                cut.push(frame);
                break;
            }
            server.answer(&mut session, &frame);
        }
        hear(&mut session, &mut reread, &mut held);
    }
    assert!(reread.is_done(), "{reread:?}");
    assert_eq!((names(&held), cut.len()), (expected(&server), 3));
}
