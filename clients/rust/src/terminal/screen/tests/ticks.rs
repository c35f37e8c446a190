//! Ticks of own messages, who types, and what another device of the person has read.

use protocol::body::marks::ReceiptItem;

use super::*;

fn receipts(channel: ChannelId, items: &[(u64, u64, u64)]) -> Event {
    let item = |(user, read, delivered): &(u64, u64, u64)| ReceiptItem {
        user: *user,
        read: *read,
        delivered: *delivered,
    };
    Event::Receipts { request: None, channel, items: items.iter().map(item).collect(), more: false }
}

/// With bob, who was told two things by the person.
fn with_bob() -> Model {
    let mut model = connected();
    model.take_input(Input::Resize(80, 24));
    model.take(Event::Message(text(bob(), 50, ME, "one")));
    model.turn_to(bob());
    let one = model.conversations.get_mut(&bob()).unwrap();
    (one.from, one.is_whole, one.is_loading) = (Some(Seq(50)), true, false);
    for (seq, said) in [(50, "one"), (51, "two")] {
        model.take(Event::Message(text(bob(), seq, ME, said)));
    }
    model
}

fn row_of(model: &mut Model, said: &str) -> String {
    let found = screen(model, 80, 24);
    let row = found.lines().find(|line| line.trim_end().ends_with(said)).unwrap_or_else(|| panic!("{found}"));
    without_list(&format!("\n\n{row}"))
}

#[test]
fn ticks_say_sent_delivered_and_read() {
    let mut model = with_bob();
    let ticks = |model: &mut Model| {
        ["one", "two"].map(|said| {
            row_of(model, said)
                .split_whitespace()
                .find(|word| word.starts_with('\u{2713}'))
                .unwrap()
                .to_owned()
        })
    };
    assert_eq!(ticks(&mut model), ["\u{2713}", "\u{2713}"]);
    model.take(receipts(bob(), &[(BOB, 0, 50)]));
    assert_eq!(ticks(&mut model), ["\u{2713}\u{2713}", "\u{2713}"]);
    model.take(receipts(bob(), &[(BOB, 50, 51)]));
    assert_eq!(ticks(&mut model), ["\u{2713}\u{2713}1", "\u{2713}\u{2713}"]);
    // What comes late is older, and takes nothing back.
    model.take(receipts(bob(), &[(BOB, 0, 50)]));
    assert_eq!(ticks(&mut model), ["\u{2713}\u{2713}1", "\u{2713}\u{2713}"]);
}

#[test]
fn what_another_device_has_read_is_not_unread_here() {
    let mut model = connected();
    for seq in 10..=12 {
        model.take(Event::Message(text(floor(), seq, BOB, "x")));
    }
    let before = model.conversations[&floor()].unread;
    assert!(before >= 3, "{before}");
    let head = model.conversations[&floor()].head.0;
    model.take(receipts(floor(), &[(ME, head - 1, head - 1)]));
    assert_eq!(model.conversations[&floor()].unread, 1);
    model.take(receipts(floor(), &[(ME, head, head)]));
    assert_eq!(model.conversations[&floor()].unread, 0);
}

#[test]
fn who_types_is_said_above_the_line_and_what_one_types_is_told() {
    let mut model = with_bob();
    let typing = |types| Event::Typing { channel: bob(), user: UserId(BOB), types };
    model.take(typing(true));
    assert!(screen(&mut model, 80, 24).contains("bob is typing"));
    model.take(typing(false));
    assert!(!screen(&mut model, 80, 24).contains("is typing"));
    model.asks.clear();
    let told = |model: &mut Model| -> Vec<bool> {
        let types = |ask: &Ask| if let Ask::Typing { types, .. } = ask { Some(*types) } else { None };
        model.asks.drain(..).filter_map(|ask| types(&ask)).collect()
    };
    key(&mut model, KeyCode::Char('h'));
    assert_eq!(told(&mut model), [true]);
    key(&mut model, KeyCode::Backspace);
    key(&mut model, KeyCode::Char('/'));
    assert_eq!(told(&mut model), [false], "the line is empty, and then a command");
    key(&mut model, KeyCode::Backspace);
    type_line(&mut model, "hi");
    assert_eq!(told(&mut model), [true, true], "a message ends it by itself");
}
