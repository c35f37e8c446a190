//! What the kinds of messages mean to a channel: one row a kind.

use protocol::body::about::{EditText, Pin, React, Recall, Recalled};
use protocol::body::erase::Erase;
use protocol::body::message::{
    AddMembers, Change, CreateGroup, GrowGroup, InviteMembers, JoinGroup, LeaveGroup, Message, ROLE_ADMIN,
    RemoveMember, RenameGroup, SendText, SetRole, channel_of, channel_of_checked,
};
use protocol::body::own::{Hide, SetDraft, SetPrefs};
use protocol::body::rules::{BanMember, MuteMember, SetSlow, UnbanMember};
use protocol::body::sync::GetHistory;
use protocol::body::talk::Talk;
use protocol::body::{CheckedFrame, encode};
use protocol::commit::{Act, Note, Notify, Prefs};
use protocol::query::{ANY_CONTENT, Sent};
use protocol::{ChannelId, Code, Frame, Kind, SendId, Seq, Stamp, UserId};

const GROUP: ChannelId = ChannelId(77);
const SENDER: UserId = UserId(5);
const OWN: ChannelId = ChannelId((5 << 64) | 5);

/// A frame of every kind of note, and what it says.
fn notes() -> Vec<(Frame, Option<Change>)> {
    let (channel, about) = (OWN.0, GROUP);
    let prefs =
        Prefs { muted_until_ms: 9, pinned: 1, marked_unread: true, notify: Notify::All, archived: false };
    let set = SetPrefs {
        channel,
        about: about.0,
        muted_until_ms: 9,
        pinned: 1,
        marked_unread: true,
        notify: 0,
        archived: false,
    };
    vec![
        (encode(10, &set), Some(Change::Notes(Note::Prefs { about, prefs }))),
        (
            encode(11, &SetDraft { channel, about: about.0, thread: 0, text: "see".to_owned() }),
            Some(Change::Notes(Note::Draft { about, thread: Seq(0), is_empty: false })),
        ),
        (
            encode(12, &Hide { channel, about: about.0, seq: 2, through: 3 }),
            Some(Change::Notes(Note::Hidden { about, from: Seq(2), through: Seq(3) })),
        ),
    ]
}

fn channel_for(frame: &Frame) -> ChannelId {
    if frame.kind().is_a_note() { OWN } else { GROUP }
}

/// A frame of every kind of message, and what it changes.
fn messages() -> Vec<(Frame, Option<Change>)> {
    let (channel, name) = (GROUP.0, || "마루".to_owned());
    let mut all = vec![
        (encode(1, &SendText { channel, text: "see you at five, at the usual place".to_owned() }), None),
        (
            encode(13, &EditText { channel, target: 7, text: "see you at six".to_owned() }),
            Some(Change::About { target: Seq(7), act: Act::Edits }),
        ),
        (
            encode(16, &Recall { channel, target: 7 }),
            Some(Change::About { target: Seq(7), act: Act::Recalls }),
        ),
        (
            encode(14, &React { channel, target: 7, on: true, emoji: "👍".to_owned() }),
            Some(Change::About { target: Seq(7), act: Act::Reacts { emoji: "👍".to_owned(), on: true } }),
        ),
        (
            encode(15, &Pin { channel, target: 7, on: false }),
            Some(Change::About { target: Seq(7), act: Act::Pins(false) }),
        ),
        (
            encode(2, &CreateGroup { channel, name: name(), members: vec![7, 9] }),
            Some(Change::Begins { name: name(), members: vec![UserId(7), UserId(9)] }),
        ),
        (
            encode(3, &AddMembers { channel, members: vec![3, 4] }),
            Some(Change::Joins(vec![UserId(3), UserId(4)])),
        ),
        (encode(4, &RemoveMember { channel, member: 9 }), Some(Change::Removes(UserId(9)))),
        (encode(5, &LeaveGroup { channel }), Some(Change::Leaves)),
        (encode(6, &RenameGroup { channel, name: name() }), Some(Change::Name(name()))),
        (
            encode(7, &SetRole { channel, member: 9, role: ROLE_ADMIN }),
            Some(Change::Role { member: UserId(9), role: ROLE_ADMIN }),
        ),
        (
            encode(8, &InviteMembers { channel, members: vec![3, 4] }),
            Some(Change::Invites(vec![UserId(3), UserId(4)])),
        ),
        (encode(9, &JoinGroup { channel }), Some(Change::Accepts)),
        (
            encode(17, &MuteMember { channel, member: 9, for_s: 60 }),
            Some(Change::Mutes { member: UserId(9), for_s: 60 }),
        ),
        (encode(18, &BanMember { channel, member: 9 }), Some(Change::Bans(UserId(9)))),
        (encode(19, &UnbanMember { channel, member: 9 }), Some(Change::Unbans(UserId(9)))),
        (encode(20, &SetSlow { channel, interval_s: 30 }), Some(Change::Slows(30))),
        (encode(21, &GrowGroup { channel }), Some(Change::Grows)),
        (encode(22, &Erase { channel }), Some(Change::Erases)),
    ];
    all.extend(notes());
    all
}

fn stored(frame: &Frame) -> Frame {
    frame.clone().stamp(Stamp { seq: Seq(3), time_ms: 9, sender: SENDER })
}

/// Fails when a kind is added and has no row above, or no variant of its own.
#[test]
fn every_kind_of_message_has_a_row_and_a_variant() {
    let kinds = Kind::ALL.iter().map(|(kind, _)| *kind).filter(|kind| kind.is_message());
    let rows: Vec<Kind> = messages().iter().map(|(frame, _)| frame.kind()).collect();
    assert_eq!(rows, kinds.collect::<Vec<_>>());
    assert_eq!(rows, Message::KINDS);
}

#[test]
fn a_message_says_its_channel_and_what_it_changes_sent_and_stored() {
    for (frame, change) in messages() {
        let kind = frame.kind();
        let sent = Message::ingest(&frame).unwrap_or_else(|refusal| panic!("{kind:?}: {refusal:?}"));
        let channel = channel_for(&frame);
        assert_eq!((sent.channel(), sent.change()), (channel, change.clone()), "{kind:?}");
        let stored = stored(&frame);
        let read = Message::read(&stored).unwrap_or_else(|| panic!("{kind:?}"));
        assert_eq!((read.channel(), read.change()), (channel, change.clone()), "{kind:?}");
        assert_eq!(Change::read(&stored), change, "{kind:?}");
        assert_eq!(channel_of(&stored), Some(channel), "{kind:?}");
        assert_eq!(channel_of_checked(&stored), Some(channel), "{kind:?}");
        assert_eq!(kind.changes_something(), change.is_some(), "{kind:?}");
        assert_eq!(kind.counts_as_unread(), change.is_none(), "{kind:?}");
    }
}

#[test]
fn who_joins_who_leaves_and_the_name() {
    let facts = |change: &Change| {
        (change.joins().to_vec(), change.leaver(SENDER), change.name().map(ToOwned::to_owned))
    };
    let users = |ids: &[u64]| ids.iter().copied().map(UserId).collect::<Vec<_>>();
    let name = Some("마루".to_owned());
    let wanted = [
        // What is said about a message changes no member.
        (vec![], None, None),
        (vec![], None, None),
        (vec![], None, None),
        (vec![], None, None),
        (users(&[7, 9]), None, name.clone()),
        (users(&[3, 4]), None, None),
        (vec![], Some(UserId(9)), None),
        (vec![], Some(SENDER), None),
        (vec![], None, name),
        (vec![], None, None),
        // Who is only invited has not joined, and who accepts is named by the stamp.
        (vec![], None, None),
        (vec![], None, None),
        (vec![], None, None),
        (vec![], Some(UserId(9)), None),
        // Nobody comes with growth, and nobody goes with an erasure.
        (vec![], None, None),
        (vec![], None, None),
        (vec![], None, None),
        (vec![], None, None),
        (vec![], None, None),
        (vec![], None, None),
        (vec![], None, None),
    ];
    let found: Vec<_> = messages().iter().filter_map(|(_, change)| change.as_ref().map(facts)).collect();
    assert_eq!(found, wanted);
}

#[test]
fn a_checked_frame_keeps_what_was_read() {
    for (frame, change) in messages() {
        let (place, channel) = (frame.body().as_ptr(), channel_for(&frame));
        let checked = CheckedFrame::message(frame.clone()).unwrap();
        assert_eq!((checked.channel(), checked.change()), (channel, change.as_ref()));
        assert_eq!(checked.held_bytes() > frame.bytes().len(), change.is_some());
        assert_eq!(checked.into_frame().body().as_ptr(), place, "the bytes are not copied");
    }
    let get = encode(8, &GetHistory { channel: GROUP.0, after: 0, before: 9, limit: 5, newest: true });
    let asked = CheckedFrame::request::<GetHistory>(get.clone(), |get| ChannelId(get.channel.to_native()));
    assert_eq!(asked.map(|asked| (asked.channel(), asked.change().cloned())), Ok((GROUP, None)));
    assert_eq!(CheckedFrame::message(get).map_err(|refusal| refusal.code), Err(Code::UnknownKind));
}

#[test]
fn only_what_a_text_says_is_looked_at_for_words() {
    let looked = |frame: Frame| CheckedFrame::message_looked_at(frame, |text| text.contains("five"));
    for (frame, _) in messages() {
        let kind = frame.kind();
        assert_eq!(looked(frame).unwrap().has_word(), kind == Kind::SEND_TEXT, "{kind:?}");
    }
    let edit = EditText { channel: GROUP.0, target: 7, text: "see you at five".to_owned() };
    assert!(looked(encode(1, &edit)).unwrap().has_word());
    let talk = Talk { thread: Some(Seq(2)), ..Talk::default() };
    assert!(looked(encode(1, &talk.text(GROUP, "at five"))).unwrap().has_word());
    assert!(!looked(encode(1, &talk.text(GROUP, "at six"))).unwrap().has_word());
}

/// A checked frame is alone in holding the bytes, or the stamp would cost a copy of them.
#[test]
fn a_checked_frame_is_stamped_in_place() {
    let (text, _) = messages().swap_remove(0);
    let received = Frame::receive(text.bytes()).unwrap();
    let place = received.body().as_ptr();
    let checked = CheckedFrame::message(received).unwrap();
    let stamped = checked.into_frame().stamp(Stamp { seq: Seq(1), time_ms: 2, sender: SENDER });
    assert_eq!(stamped.body().as_ptr(), place);
}

#[test]
fn what_cannot_be_read_is_refused_and_is_nothing() {
    for (frame, _) in messages() {
        let kind = frame.kind();
        let broken = Frame::build(kind, 1, 5, &frame.body()[..9]);
        let refused = CheckedFrame::message(broken.clone()).map_err(|refusal| refusal.code);
        assert_eq!(refused.map(|_| ()), Err(Code::Malformed), "{kind:?}");
        assert!(Message::read(&broken).is_none(), "{kind:?}");
        assert_eq!((Change::read(&broken), channel_of(&broken)), (None, None), "{kind:?}");
        assert_eq!(channel_of_checked(&broken), None, "{kind:?}");
    }
    for (kind, _) in Kind::ALL.iter().filter(|(kind, _)| !kind.is_message()) {
        let frame = Frame::build(*kind, 1, 5, &[0; 32]);
        assert_eq!(
            Message::ingest(&frame).map(|_| ()).map_err(|refusal| refusal.code),
            Err(Code::UnknownKind)
        );
        assert!(Message::read(&frame).is_none() && Change::read(&frame).is_none());
        assert_eq!((channel_of(&frame), channel_of_checked(&frame)), (None, None));
    }
}

#[test]
fn a_text_of_version_2_is_checked_as_one_message_and_says_what_it_is_about() {
    let talk = Talk { thread: Some(Seq(2)), mentions: vec![UserId(3)], all: true, ..Talk::default() };
    let frame = encode(5, &talk.text(GROUP, "see you"));
    let checked = CheckedFrame::message(frame.clone()).unwrap();
    assert_eq!((checked.channel(), checked.change(), checked.talk()), (GROUP, None, Some(&talk)));
    assert!(checked.held_bytes() > frame.bytes().len());
    assert!(matches!(Message::ingest(&frame), Ok(Message::SendText(text)) if text.text == "see you"));
    assert_eq!(channel_of(&stored(&frame)), Some(GROUP));
    let broken = Frame::build(Kind::SEND_TEXT, 2, 5, &frame.body()[..40]);
    assert_eq!(
        CheckedFrame::message(broken).map(|_| ()).map_err(|refusal| refusal.code),
        Err(Code::Malformed)
    );
    let newer = Frame::build(Kind::SEND_TEXT, 3, 5, frame.body());
    let refusal = CheckedFrame::message(newer).map(|_| ()).unwrap_err();
    assert_eq!(
        (refusal.code, refusal.text.as_str()),
        (Code::UnknownVersion, "version 3; this server knows 2")
    );
    let plain = encode(5, &SendText { channel: GROUP.0, text: "see you".to_owned() });
    assert_eq!(CheckedFrame::message(plain).unwrap().talk(), None);
}

/// It is no message that anybody sends, but it stands where one stood.
#[test]
fn a_tombstone_says_whose_place_it_has_and_nothing_of_what_stood_there() {
    let stamp = |seq| Stamp { seq: Seq(seq), time_ms: 9, sender: SENDER };
    let text = |seq, id| {
        let text = SendText { channel: GROUP.0, text: "see you at five".to_owned() };
        encode(id, &text).stamp(stamp(seq))
    };
    let edit = |seq, target| {
        let edit = EditText { channel: GROUP.0, target, text: "see you at six".to_owned() };
        encode(seq, &edit).stamp(stamp(seq))
    };
    let recall = encode(40, &Recall { channel: GROUP.0, target: 3 }).stamp(stamp(8));
    let recalled = Recalled::of(&recall).unwrap();
    assert_eq!(recalled, Recalled { channel: GROUP.0, target: 3, by: 8, user: SENDER.0, time_ms: 9 });
    let tombstone = recalled.replaces(&text(3, 70)).unwrap();
    assert_eq!((tombstone.kind(), tombstone.send_id()), (Kind::RECALLED, SendId(70)));
    assert_eq!((tombstone.read_stamp(), Recalled::read(&tombstone)), (Some(stamp(3)), Some(recalled)));
    assert_eq!((channel_of(&tombstone), channel_of_checked(&tombstone)), (Some(GROUP), Some(GROUP)));
    assert_eq!(
        recalled.replaces(&text(3, 70)),
        recalled
            .replaces(&encode(70, &SendText { channel: GROUP.0, text: "other".to_owned() }).stamp(stamp(3)))
    );
    assert_eq!(recalled.replaces(&edit(5, 3)).unwrap().read_stamp(), Some(stamp(5)));
    let kept = [text(4, 70), edit(5, 4), tombstone.clone(), recall];
    assert!(kept.iter().all(|frame| recalled.replaces(frame).is_none()));
    let elsewhere = encode(70, &SendText { channel: OWN.0, text: "x".to_owned() }).stamp(stamp(3));
    assert_eq!(recalled.replaces(&elsewhere), None);
    assert!(Message::read(&tombstone).is_none() && Change::read(&tombstone).is_none());
    assert!(!Kind::RECALLED.counts_as_unread() && !Kind::RECALLED.is_message());
    let refused = CheckedFrame::message(encode(1, &recalled)).map_err(|refusal| refusal.code);
    assert_eq!(refused.map(|_| ()), Err(Code::UnknownKind), "nobody sends one");
    let sent = Sent::of(&tombstone).unwrap();
    assert_eq!((sent.fingerprint, sent.stamp(), sent.send_id), (ANY_CONTENT, stamp(3), SendId(70)));
    assert_eq!(Sent::of(&text(3, 70)).map(|sent| sent.fingerprint), Some(text(3, 70).fingerprint()));
}

#[test]
fn who_is_mentioned_so_that_it_is_kept() {
    let named = Talk { mentions: vec![UserId(3), UserId(9)], ..Talk::default() };
    let all = Talk { all: true, ..Talk::default() };
    let online = Talk { online: true, ..Talk::default() };
    let kept = |talk: &Talk| [3, 4, 9].map(|user| talk.is_kept_for(UserId(user), UserId(9)));
    assert_eq!(kept(&named), [true, false, false], "nobody mentions oneself");
    assert_eq!(kept(&all), [true, true, false]);
    assert_eq!(kept(&online), [false; 3], "it is for those who are here");
}
