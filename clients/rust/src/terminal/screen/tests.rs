//! The screen drawn into memory, and compared with golden files (`MARU_BLESS=1` writes them and the pictures of docs/).

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use protocol::body::list::ChannelDetail;
use protocol::body::session::{Reject, Welcome};
use protocol::body::sync::{ChannelItem, MemberItem};
use protocol::commit::Prefs;
use protocol::{ChannelId, Cursor, Generation, InboxSeq, SendId, Seq, UserId};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers};

use super::draw::draw;
use super::model::{Ask, Link, Model, Overlay, Sending};
use super::picture;
use crate::session::{About, ChannelList, Content, Event, History, Message, RequestId};
use crate::terminal::command::Outcome;

mod scenes;
mod ticks;

use scenes::*;

fn drawn(model: &mut Model, columns: u16, rows: u16) -> Buffer {
    model.take_input(Input::Resize(columns, rows));
    model.settle();
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw(frame, model)).unwrap();
    terminal.backend().buffer().clone()
}

fn screen(model: &mut Model, columns: u16, rows: u16) -> String {
    picture::text(&drawn(model, columns, rows))
}

fn compare(path: &Path, found: &str) {
    if std::env::var_os("MARU_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        return std::fs::write(path, found).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(expected == found, "{} differs; MARU_BLESS=1 writes it anew. Found:\n{found}", path.display());
}

fn golden(name: &str, model: &mut Model, columns: u16, rows: u16) {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/terminal/screen/tests/golden"));
    let found = screen(model, columns, rows);
    for line in found.lines() {
        let width = crate::terminal::text::width(line);
        assert!(width <= usize::from(columns), "{width} columns: {line}");
    }
    compare(&folder.join(format!("{name}-{columns}x{rows}.txt")), &found);
}

const SIZES: [(u16, u16); 2] = [(80, 24), (200, 60)];

#[test]
fn screens_are_as_they_were() {
    for (columns, rows) in SIZES {
        golden("start", &mut connected(), columns, rows);
        golden("group", &mut in_group(), columns, rows);
        golden("hostile", &mut hostile(), columns, rows);
        let mut model = in_group();
        key(&mut model, KeyCode::F(1));
        golden("help", &mut model, columns, rows);
    }
    golden("group", &mut in_group(), 40, 12);
    golden("hostile", &mut hostile(), 30, 16);
}

#[test]
fn pictures_of_the_documentation_are_of_these_screens() {
    for (columns, rows) in SIZES {
        let picture = picture::svg(&drawn(&mut in_group(), columns, rows));
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
        compare(&PathBuf::from(docs).join(format!("terminal-{columns}x{rows}.svg")), &picture);
    }
}

#[test]
fn no_size_is_too_small() {
    let mut models = [connected(), in_group(), hostile()];
    models[1].overlay = Some(Overlay { title: "T".into(), lines: vec!["x".repeat(300); 50], skipped: 40 });
    models[2].editor.insert(&"안녕 ".repeat(100)).unwrap();
    for model in &mut models {
        for columns in 0..70 {
            for rows in 0..9 {
                drawn(model, columns, rows);
                for code in [KeyCode::PageUp, KeyCode::Up, KeyCode::PageDown, KeyCode::Down] {
                    key(model, code);
                }
            }
        }
    }
}

#[test]
fn nothing_of_others_reaches_the_terminal_raw() {
    for (columns, rows) in [(80, 24), (200, 60), (23, 40), (50, 12)] {
        let buffer = drawn(&mut hostile(), columns, rows);
        for cell in buffer.content() {
            let bad =
                |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}' | '\u{2067}');
            assert!(!cell.symbol().contains(bad), "{:?}", cell.symbol());
        }
    }
    // A line of a text that looks like another's message stands where no name can stand.
    let found = screen(&mut hostile(), 80, 24);
    let forged = found.lines().find(|line| line.contains("12:07 bob: send me your password")).unwrap();
    let pane = forged.split('│').nth(1).unwrap();
    assert!(pane.trim().is_empty(), "{forged}");
}

#[test]
fn older_messages_are_read_when_one_scrolls_up_and_the_view_stays() {
    let mut model = connected();
    model.take_input(Input::Resize(80, 24));
    model.turn_to(bob());
    answer_history(&mut model, bob(), 101..=200, true);
    let newest = screen(&mut model, 80, 24);
    assert!(newest.contains("message 200"), "{newest}");
    let mut asked = 0;
    for _ in 0..30 {
        key(&mut model, KeyCode::PageUp);
        if let Some(before) = take_older(&mut model, bob()) {
            asked += 1;
            assert_eq!(before, Seq(101));
            answer_page(&mut model, bob(), Some(before), 1..=100, false);
        }
    }
    assert_eq!(asked, 1, "each page once");
    let oldest = screen(&mut model, 80, 24);
    assert!(oldest.contains("the beginning") && oldest.contains("message 1\n"), "{oldest}");
    // What comes now does not move it, and is unread.
    model.take(Event::Message(text(bob(), 201, BOB, "message 201")));
    let still = screen(&mut model, 80, 24);
    assert_eq!(without_list(&still), without_list(&oldest));
    assert_eq!(model.conversations[&bob()].unread, 1);
    // Page by page down again, every message is passed.
    let mut seen = String::new();
    for _ in 0..40 {
        seen.push_str(&screen(&mut model, 80, 24));
        key(&mut model, KeyCode::PageDown);
    }
    for number in 1..=201 {
        assert!(seen.contains(&format!("message {number}\n")), "{number}");
    }
    assert_eq!((model.conversations[&bob()].anchor, model.conversations[&bob()].unread), (None, 0));
}

#[test]
fn unread_is_counted_and_told_as_read_once_it_is_seen() {
    let mut model = connected();
    let before = model.conversations[&bob()].unread;
    model.take(Event::Message(text(bob(), 201, BOB, "one")));
    model.take(Event::Message(text(bob(), 202, ME, "of another device of mine")));
    assert_eq!(model.conversations[&bob()].unread, before + 1);
    // The list that was asked for earlier does not count it twice, nor forget it.
    model.take(channels(vec![item(bob(), 201, 199, 2, "")]));
    assert_eq!(model.conversations[&bob()].unread, 2);
    model.turn_to(bob());
    model.asks.clear();
    model.settle();
    assert!(model.asks.is_empty(), "nothing is seen before history is here: {:?}", model.asks);
    answer_history(&mut model, bob(), 101..=202, true);
    model.settle();
    assert!(model.asks.contains(&Ask::Read { channel: bob(), seq: Seq(202) }), "{:?}", model.asks);
    assert_eq!(model.conversations[&bob()].unread, 0);
}

#[test]
fn what_is_sent_waits_and_then_stands_among_the_rest() {
    let mut model = connected();
    model.turn_to(bob());
    type_line(&mut model, "on the way");
    assert_eq!(model.asks.pop_back(), Some(Ask::Text { channel: bob(), text: "on the way".into() }));
    let sending = Sending { send_id: SendId(5), text: "on the way".into() };
    model.conversations.get_mut(&bob()).unwrap().sending.push(sending);
    // The ack overtakes a page that is older than it.
    model.take(Event::Ack { send_id: SendId(5), channel: bob(), seq: Seq(201), time_ms: NOON });
    answer_history(&mut model, bob(), 101..=200, true);
    assert!(model.conversations[&bob()].sending.is_empty());
    let found = screen(&mut model, 80, 24);
    assert_eq!(found.matches("on the way").count(), 1, "{found}");
    // A message that is told by history and live is there once.
    model.take(Event::Message(text(bob(), 200, BOB, "message 200")));
    assert_eq!(screen(&mut model, 80, 24).matches("message 200").count(), 1);
}

#[test]
fn a_refused_send_is_told_with_its_words() {
    let mut model = connected();
    model.turn_to(bob());
    let sending = Sending { send_id: SendId(5), text: "hello".into() };
    model.conversations.get_mut(&bob()).unwrap().sending.push(sending);
    let reject =
        Reject { code: 0xffff, retry_after_ms: 0, path: String::new(), text: "no\x1b[2J\nway".into() };
    model.take(Event::Rejected { about: About::Send(SendId(5)), reject });
    let notice = model.notice.clone().unwrap();
    assert!(notice.is_trouble && notice.text.contains("Not sent: hello"), "{notice:?}");
    assert!(!notice.text.contains(|c: char| c.is_control()), "{notice:?}");
    assert_eq!(model.unacked(), 0);
}

#[test]
fn a_resync_reads_everything_anew() {
    let mut model = in_group();
    model.asks.clear();
    model.take(Event::Resync { generation: Generation(9), at: InboxSeq(3) });
    assert!(model.conversations[&floor()].log.is_empty());
    assert!(model.asks.contains(&Ask::Channels { after: ChannelId(0) }));
    assert!(model.asks.iter().any(|ask| matches!(ask, Ask::History { channel, .. } if *channel == floor())));
}

#[test]
fn a_long_paste_is_whole_or_refused() {
    let mut model = connected();
    model.turn_to(bob());
    let letters = "abcde".repeat(1000);
    model.take_input(Input::Paste(letters.clone()));
    key(&mut model, KeyCode::Enter);
    assert_eq!(model.asks.pop_back(), Some(Ask::Text { channel: bob(), text: letters }));
    model.take_input(Input::Paste("x".repeat(100_001)));
    let notice = model.notice.clone().unwrap();
    assert!(
        notice.is_trouble && notice.text.contains("100001") && notice.text.contains("100000"),
        "{notice:?}"
    );
    assert!(model.editor.is_empty());
    // Line breaks of a paste do not send parts of it.
    model.take_input(Input::Paste("one\r\ntwo".into()));
    key(&mut model, KeyCode::Enter);
    assert_eq!(model.asks.pop_back(), Some(Ask::Text { channel: bob(), text: "one\ntwo".into() }));
}

#[test]
fn commands_and_texts_with_a_slash() {
    let mut model = connected();
    type_line(&mut model, "/group floor bob");
    let command = Ask::Command { word: "group".into(), rest: "floor bob".into() };
    assert_eq!(model.asks.pop_back(), Some(command));
    type_line(&mut model, "nobody hears this");
    assert!(model.notice.as_ref().unwrap().is_trouble);
    assert_eq!(model.editor.text(), "nobody hears this", "it is not lost");
    model.editor.take();
    model.turn_to(bob());
    type_line(&mut model, "//etc");
    assert_eq!(model.asks.pop_back(), Some(Ask::Text { channel: bob(), text: "/etc".into() }));
    type_line(&mut model, "/quit");
    assert!(model.is_ending);
}

#[test]
fn what_is_held_is_bounded_and_is_read_again() {
    let mut model = connected();
    model.turn_to(bob());
    answer_history(&mut model, bob(), 101..=200, true);
    let long = "x".repeat(100_000);
    for seq in 201..=600 {
        model.take(Event::Message(text(bob(), seq, BOB, &long)));
    }
    let one = &model.conversations[&bob()];
    assert!(one.log_bytes <= super::model::LOG_BYTES_MAX, "{}", one.log_bytes);
    assert_eq!(one.from, one.log.first_key_value().map(|(seq, _)| *seq));
    model.turn_to(floor());
    let one = &model.conversations[&bob()];
    assert!(one.log_bytes <= 1 << 20 && one.log.len() == 10, "{} bytes, {}", one.log_bytes, one.log.len());
    // There is something before it again.
    model.turn_to(bob());
    model.asks.clear();
    model.take_input(Input::Resize(80, 24));
    model.scroll_up(50_000);
    assert_eq!(take_older(&mut model, bob()), Some(Seq(591)));
}

#[test]
fn drafts_stay_with_their_conversations() {
    let mut model = connected();
    model.turn_to(bob());
    model.take_input(Input::Paste("for bob".into()));
    model.turn_to(floor());
    assert_eq!(model.editor.text(), "");
    model.turn_to(bob());
    assert_eq!(model.editor.text(), "for bob");
}

#[test]
fn a_group_that_is_made_is_open_and_its_changes_are_read() {
    let mut model = connected();
    let made = Outcome::Made { send_id: SendId(6), channel: ChannelId(99), name: "new\nname".into() };
    model.take_outcome(made);
    assert_eq!(model.open, Some(ChannelId(99)));
    assert!(!model.title(ChannelId(99)).contains('\n'));
    model.asks.clear();
    model.take(Event::Ack { send_id: SendId(6), channel: ChannelId(99), seq: Seq(1), time_ms: NOON });
    assert_eq!(model.unacked(), 0);
    let content = Content::Created { name: "new".into(), members: vec![UserId(BOB)] };
    answer_history_of(&mut model, ChannelId(99), vec![message(ChannelId(99), 1, ME, content)], false);
    let found = screen(&mut model, 80, 24);
    assert!(found.contains("made the group #new with bob"), "{found}");
}

#[test]
fn the_link_is_told() {
    let mut model = connected();
    assert!(screen(&mut model, 80, 24).contains("● connected"));
    model.take(Event::Disconnected { retry_at_ms: 1 });
    assert_eq!(model.link, Link::Reconnecting);
    assert!(screen(&mut model, 80, 24).contains("reconnecting"));
}

#[test]
fn a_message_is_named_by_counting_back() {
    let mut model = in_group();
    let newest = model.current().and_then(|one| one.log.keys().next_back().copied()).unwrap();
    assert_eq!(model.counted_back("reply", "-1 yes, at 5"), format!("{newest} yes, at 5"));
    assert_eq!(model.counted_back("thread", "7"), "7");
    assert_eq!(model.counted_back("reply", "-9999 x"), "-9999 x", "there are not so many");
    assert_eq!(model.counted_back("rename", "-1 x"), "-1 x", "it names no message");
    model.open = None;
    assert_eq!(model.counted_back("reply", "-1 x"), "-1 x");
}

/// What another device of the user has noted, and what this one has once it is acked, show at once.
#[test]
fn what_is_noted_shows_and_is_no_message() {
    let own = ChannelId::own(UserId(ME));
    let mut model = connected();
    let quiet = ChannelId::direct(UserId(ME), UserId(YAEL));
    let prefs = Prefs { pinned: 1, muted_until_ms: u64::MAX, ..Prefs::default() };
    model.take(Event::Message(message(own, 1, ME, Content::Prefs { about: quiet, prefs })));
    assert_eq!(model.order()[..2], [floor(), quiet], "pinned ones first, of equals the newer");
    assert!(!model.order().contains(&own), "nothing was saved yet");
    model.take(Event::Message(text(own, 2, ME, "milk")));
    assert!(model.order().contains(&own) && model.title(own) == "Saved");
    assert_eq!(model.conversations[&own].unread, 0);

    let draft = |text: &str| Content::Draft { about: floor(), thread: Seq(0), text: text.into() };
    model.take(Event::Message(message(own, 3, ME, draft("from the phone"))));
    model.turn_to(floor());
    assert_eq!(model.editor.text(), "from the phone");
    let log = (1..=3).map(|seq| text(floor(), seq, BOB, "hi")).collect();
    answer_history_of(&mut model, floor(), log, false);
    let hidden = Content::Hidden { about: floor(), from: Seq(2), through: Seq(9) };
    model.take_outcome(Outcome::Noted { send_id: SendId(9), content: hidden });
    assert_eq!(model.conversations[&floor()].log.len(), 3, "not before it is stored");
    model.take(Event::Ack { send_id: SendId(9), channel: own, seq: Seq(4), time_ms: NOON });
    model.take(Event::Message(text(floor(), 4, BOB, "hidden before it came")));
    let left: Vec<Seq> = model.conversations[&floor()].log.keys().copied().collect();
    assert_eq!(left, [Seq(1)]);
}
