//! Texts that are about something, threads and mentions.

use protocol::body::talk::{
    GetMentions, GetThread, MentionCount, MentionItem, Mentions, SendTextV2, Talk, Thread as Head,
};
use protocol::limits::U53_MAX;

use super::*;
use crate::session::Thread;

fn talk() -> Talk {
    Talk { reply_to: Some(Seq(3)), thread: Some(Seq(2)), mentions: vec![YOU, ME, YOU], ..Talk::default() }
}

#[test]
fn a_text_that_is_about_nothing_is_of_version_1() {
    let mut session = live();
    session.send_talk(chat(), "plain", &Talk::default(), Some(SendId(5))).unwrap();
    session.send_talk(chat(), "about", &talk(), Some(SendId(6))).unwrap();
    let frames = written(&mut session);
    assert_eq!(frames.iter().map(|frame| frame.header().version).collect::<Vec<_>>(), [1, 2]);
    let body = read::<SendTextV2>(&frames[1]).unwrap();
    assert_eq!((body.reply_to, body.thread, body.mentions), (3, 2, vec![ME.0, YOU.0]));
    let most = protocol::limits::TEXT_BYTES_MAX;
    let long = "😀".repeat(most / 4);
    let refusal = session.send_talk(chat(), &long, &talk(), None).unwrap_err();
    assert_eq!((refusal.code, refusal.path.as_str()), (Code::Limit, "text"), "no room beside it");
    assert!(session.send_talk(chat(), &long, &Talk { mentions: vec![], ..talk() }, None).is_ok());
}

#[test]
fn a_message_says_what_it_is_about() {
    let mut session = live();
    let mentioned = Talk { mentions: vec![ME], ..talk() };
    let stamp = Stamp { seq: Seq(4), time_ms: 7, sender: YOU };
    session.receive(0, encode(9, &mentioned.text(chat(), "hello")).stamp(stamp));
    session.receive(0, message(chat(), 5, YOU, 10));
    let told: Vec<_> = events(&mut session)
        .into_iter()
        .filter_map(|event| if let Event::Message(message) = event { Some(message) } else { None })
        .collect();
    assert_eq!(told[0].content, Content::Text("hello".into()));
    assert_eq!(told[0].talk.as_deref(), Some(&mentioned));
    assert_eq!(told[1].talk, None);
}

fn head(count: u32) -> Head {
    Head { channel: chat().0, root: 2, from: 3, to: 9, total: 7, newest: 9, count, more: true }
}

#[test]
fn a_thread_is_told_when_it_is_whole_and_asked_for_again_when_it_is_cut() {
    let mut session = live();
    let request = session.thread((chat(), Seq(2)), None, Some(Seq(10)), 5, true).unwrap();
    let frames = written(&mut session);
    let wanted = GetThread { channel: chat().0, root: 2, after: 0, before: 10, limit: 5, newest: true };
    assert_eq!(read::<GetThread>(&frames[0]), Some(wanted));
    session.receive(0, encode(request.0, &head(2)));
    session.receive(0, message(chat(), 3, YOU, 30));
    session.disconnected(1);
    greet(&mut session, 2, 0, 0);
    assert_eq!(events(&mut session).iter().filter(|event| matches!(event, Event::Thread(_))).count(), 0);
    assert_eq!(written(&mut session), frames, "the same once more");
    session.receive(2, encode(request.0, &head(2)));
    session.receive(2, message(chat(), 3, YOU, 30));
    session.receive(2, message(chat(), 9, YOU, 90));
    let page = events(&mut session).into_iter().find_map(|event| match event {
        Event::Thread(thread) => Some(thread),
        _ => None,
    });
    let Thread { root, from, to, total, newest, more, messages, .. } = page.unwrap();
    assert_eq!((root, from, to, total, newest, more), (Seq(2), Seq(3), Seq(9), 7, Seq(9), true));
    assert_eq!(messages.iter().map(|message| message.seq.0).collect::<Vec<_>>(), [3, 9]);
    assert_eq!(session.requests_len(), 0);
}

#[test]
fn mentions_are_asked_for_and_told() {
    let mut session = live();
    let request = session.mentions(None, 10).unwrap();
    let frames = written(&mut session);
    assert_eq!(read::<GetMentions>(&frames[0]), Some(GetMentions { before: U53_MAX, limit: 10 }));
    let item = MentionItem { at: 4, channel: chat().0, seq: 3, time_ms: 7, sender: YOU.0 };
    let unread = vec![MentionCount { channel: chat().0, unread: 1 }];
    session.receive(0, encode(request.0, &Mentions { items: vec![item], unread, more: false }));
    let told = events(&mut session);
    let [Event::Mentions { items, unread, more: false, .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!((items[0].at, items[0].seq, items[0].sender), (InboxSeq(4), Seq(3), YOU));
    assert_eq!(unread[..], [(chat(), 1)]);
    assert!(session.mentions(None, 101).is_err());
}
