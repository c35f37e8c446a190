//! What is said about messages.

use protocol::body::about::{
    About, AboutItem, EditText, GetAbout, Pin, React, ReactionItem, Recall, Recalled,
};
use protocol::body::{encode, read};

use super::*;
use crate::session::{Content, Remark};

#[test]
fn what_is_said_is_sent_and_told() {
    let mut session = live();
    session.edit_text(chat(), Seq(3), "five", None).unwrap();
    session.react(chat(), Seq(3), ("👍", true), None).unwrap();
    session.pin(chat(), Seq(3), false, None).unwrap();
    assert!(session.edit_text(chat(), Seq(3), "", None).is_err());
    assert!(session.react(chat(), Seq(0), ("👍", true), None).is_err());
    let frames = written(&mut session);
    let channel = chat().0;
    assert_eq!(read(&frames[0]), Some(EditText { channel, target: 3, text: "five".into() }));
    assert_eq!(read(&frames[1]), Some(React { channel, target: 3, on: true, emoji: "👍".into() }));
    assert_eq!(read(&frames[2]), Some(Pin { channel, target: 3, on: false }));
    let from_you = |seq, frame: Frame| frame.stamp(Stamp { seq: Seq(seq), time_ms: 5, sender: YOU });
    let edit = encode(70, &EditText { channel, target: 3, text: "six".into() });
    session.receive(0, from_you(9, edit));
    let react = encode(71, &React { channel, target: 3, on: false, emoji: "👍".into() });
    session.receive(0, from_you(10, react));
    let remarks: Vec<Content> = events(&mut session)
        .into_iter()
        .filter_map(|event| match event {
            Event::Message(message) => Some(message.content),
            _ => None,
        })
        .collect();
    let about = |remark| Content::About { target: Seq(3), remark };
    let reacted = Remark::Reacted { emoji: "👍".into(), on: false };
    assert_eq!(remarks, [about(Remark::Edited("six".into())), about(reacted)]);
}

/// One message says it, and an SDK that is asked nothing else tells it as it is.
#[test]
fn an_erasure_is_told_in_its_place() {
    let mut session = live();
    let channel = chat().0;
    let stamped = |seq, frame: Frame| frame.stamp(Stamp { seq: Seq(seq), time_ms: 5, sender: YOU });
    let recalled = Recalled { channel, target: 9, by: 12, user: YOU.0, time_ms: 5 };
    session.receive(0, stamped(9, encode(70, &recalled)));
    session.receive(0, stamped(12, encode(71, &protocol::body::erase::Erase { channel })));
    let contents: Vec<(Seq, Content)> = events(&mut session)
        .into_iter()
        .filter_map(|event| match event {
            Event::Message(message) => Some((message.seq, message.content)),
            _ => None,
        })
        .collect();
    let gone = Content::Recalled { target: Seq(9), by: Seq(12), user: YOU, time_ms: 5 };
    assert_eq!(contents, [(Seq(9), gone), (Seq(12), Content::Erased)]);
}

#[test]
fn a_recall_is_sent_and_what_stands_in_the_place_of_a_text_is_told() {
    let mut session = live();
    let own = session.recall(chat(), Seq(3), None).unwrap();
    assert!(session.recall(chat(), Seq(0), None).is_err());
    let pending = session.send_text(chat(), "gone before it was acked", None).unwrap();
    let frames = written(&mut session);
    let channel = chat().0;
    assert_eq!(read(&frames[0]), Some(Recall { channel, target: 3 }));
    let stamped = |seq, sender, frame: Frame| frame.stamp(Stamp { seq: Seq(seq), time_ms: 5, sender });
    let recalled = Recalled { channel, target: 9, by: 12, user: YOU.0, time_ms: 7 };
    session.receive(0, stamped(9, YOU, encode(70, &recalled)));
    session.receive(0, stamped(10, ME, encode(pending.0, &Recalled { target: 10, ..recalled })));
    session.receive(0, stamped(12, YOU, encode(71, &Recall { channel, target: 9 })));
    let (mut contents, mut acked) = (Vec::new(), Vec::new());
    for event in events(&mut session) {
        match event {
            Event::Message(message) => contents.push(message.content),
            Event::Ack { send_id, seq, .. } => acked.push((send_id, seq)),
            _ => {}
        }
    }
    let gone = Content::Recalled { target: Seq(9), by: Seq(12), user: YOU, time_ms: 7 };
    let remark = Content::About { target: Seq(9), remark: Remark::Recalled };
    assert_eq!(contents, [gone, remark]);
    assert_eq!(acked, [(pending, Seq(10))], "a send that was recalled elsewhere was sent");
    assert_ne!(own, pending);
}

#[test]
fn what_now_holds_is_asked_for_and_told() {
    let mut session = live();
    let request = session.said_about(chat(), (Seq(1), None), 50, false).unwrap();
    let frames = written(&mut session);
    let channel = chat().0;
    let get = GetAbout { channel, from: 1, through: protocol::limits::U53_MAX, limit: 50, who: false };
    assert_eq!(read(&frames[0]), Some(get));
    let page = About {
        channel,
        from: 1,
        to: 9,
        pins: vec![],
        items: vec![AboutItem { seq: 3, edited: 4, edits: 1, text: "five".into() }],
        reactions: vec![ReactionItem { seq: 3, count: 2, own: true, emoji: "👍".into() }],
        who: vec![],
        more: false,
    };
    session.receive(0, encode(request.0, &page));
    let told = events(&mut session);
    assert_eq!(told, [Event::Said { request, about: page }]);
    assert!(session.said_about(chat(), (Seq(0), None), 50, false).is_err());
    assert!(session.said_about(chat(), (Seq(1), None), 201, false).is_err());
}
