//! Models to draw.

use super::*;

pub(super) const ME: u64 = 1;
pub(super) const BOB: u64 = 2;
pub(super) const MINJI: u64 = 3;
pub(super) const YAEL: u64 = 4;
/// 26 November 2026, 12:00 UTC.
pub(super) const NOON: u64 = 1_795_694_400_000;

pub(super) fn bob() -> ChannelId {
    ChannelId::direct(UserId(ME), UserId(BOB))
}

/// A group.
pub(super) fn floor() -> ChannelId {
    ChannelId(77)
}

pub(super) fn key(model: &mut Model, code: KeyCode) {
    model.take_input(Input::Key(KeyEvent::new(code, KeyModifiers::NONE)));
}

pub(super) fn type_line(model: &mut Model, line: &str) {
    line.chars().for_each(|c| key(model, KeyCode::Char(c)));
    key(model, KeyCode::Enter);
}

pub(super) fn message(channel: ChannelId, seq: u64, sender: u64, content: Content) -> Message {
    let (time_ms, sender) = (NOON + seq * 20_000, UserId(sender));
    Message { channel, seq: Seq(seq), time_ms, sender, send_id: SendId(seq), content, talk: None }
}

pub(super) fn text(channel: ChannelId, seq: u64, sender: u64, text: &str) -> Message {
    message(channel, seq, sender, Content::Text(text.into()))
}

pub(super) fn item(channel: ChannelId, head: u64, read: u64, unread: u64, name: &str) -> ChannelItem {
    ChannelItem { channel: channel.0, head, read, unread, member: true, name: name.into() }
}

pub(super) fn channels(items: Vec<ChannelItem>) -> Event {
    let items = items.into_iter().map(|item| (item, detail(0, ""))).collect();
    listed(items)
}

pub(super) fn listed(items: Vec<(ChannelItem, ChannelDetail)>) -> Event {
    let at = Cursor::default();
    let list = ChannelList { items, through: at, next: at, needs_snapshot: false, more: false };
    Event::List { request: RequestId(1), list }
}

/// What Minji said last.
pub(super) fn detail(last_seq: u64, text: &str) -> ChannelDetail {
    ChannelDetail {
        mentions: 0,
        last_seq,
        last_sender: MINJI,
        last_ms: if last_seq > 0 { NOON + 40 } else { 0 },
        last_kind: 0x0101,
        muted_until_ms: 0,
        pinned: 0,
        notify: 0,
        marked_unread: false,
        archived: false,
        has_draft: false,
        text: text.into(),
    }
}

/// The columns of the list are told apart by the first bar.
pub(super) fn without_list(screen: &str) -> String {
    let body = screen.lines().skip(2).map(|line| line.split_once('│').map_or("", |(_, rest)| rest));
    body.collect::<Vec<_>>().join("\n")
}

/// Connected, with four conversations, none of them open.
pub(super) fn connected() -> Model {
    let mut model = Model::new(UserId(ME), "ann", "https://chat.example.org", TimeZone::UTC);
    for (user, name) in [(BOB, "bob"), (MINJI, "민지"), (YAEL, "יעל")] {
        model.names.insert(UserId(user), Some(name.into()));
    }
    let welcome = Welcome {
        user: ME,
        device: 1,
        generation: 1,
        start: 0,
        head: 0,
        time_ms: NOON,
        expires_ms: NOON,
        heartbeat_ms: 30_000,
        group_members_max: 100,
        kinds: Vec::new(),
    };
    model.take(Event::Connected(welcome));
    let direct = |user| ChannelId::direct(UserId(ME), UserId(user));
    let quiet = |item| (item, detail(0, ""));
    model.take(listed(vec![
        quiet(item(bob(), 200, 198, 2, "")),
        (item(floor(), 9, 6, 3, "floor"), ChannelDetail { pinned: 1, ..detail(0, "") }),
        (item(direct(MINJI), 5, 5, 0, ""), detail(5, "see you at five, at the usual place")),
        (item(direct(YAEL), 3, 3, 0, ""), ChannelDetail { has_draft: true, ..detail(0, "") }),
        quiet(ChannelItem { member: false, ..item(ChannelId(78), 4, 4, 0, "old project, long ended") }),
    ]));
    for (channel, ago) in
        [(floor(), 60), (bob(), 50), (direct(MINJI), 40), (direct(YAEL), 30), (ChannelId(78), 20)]
    {
        model.conversations.get_mut(&channel).unwrap().last_ms = NOON + ago;
    }
    model.settle();
    model.asks.clear();
    model
}

pub(super) fn answer_page(
    model: &mut Model,
    channel: ChannelId,
    before: Option<Seq>,
    seqs: std::ops::RangeInclusive<u64>,
    more: bool,
) {
    let messages: Vec<_> = seqs.map(|seq| text(channel, seq, BOB, &format!("message {seq}"))).collect();
    answer(model, channel, before, messages, more);
}

pub(super) fn answer_history(
    model: &mut Model,
    channel: ChannelId,
    seqs: std::ops::RangeInclusive<u64>,
    more: bool,
) {
    answer_page(model, channel, None, seqs, more);
}

pub(super) fn answer_history_of(model: &mut Model, channel: ChannelId, messages: Vec<Message>, more: bool) {
    answer(model, channel, None, messages, more);
}

fn answer(model: &mut Model, channel: ChannelId, before: Option<Seq>, messages: Vec<Message>, more: bool) {
    let request = RequestId(1000);
    model.asked.insert(request, Ask::History { channel, before, limit: 100 });
    let (from, to) = (messages[0].seq, messages[messages.len() - 1].seq);
    model.take(Event::History(History { request, channel, from, to, head: to, more, place: None, messages }));
}

/// Takes the question for what is older.
pub(super) fn take_older(model: &mut Model, channel: ChannelId) -> Option<Seq> {
    let asks = std::mem::take(&mut model.asks);
    asks.into_iter().find_map(|ask| match ask {
        Ask::History { channel: of, before: Some(before), .. } if of == channel => Some(before),
        _ => None,
    })
}

/// A group with its members beside it, something new, something on its way, and a text begun.
pub(super) fn in_group() -> Model {
    let mut model = connected();
    model.shows_members = true;
    model.turn_to(floor());
    let all = vec![UserId(BOB), UserId(MINJI)];
    let log = vec![
        message(floor(), 1, ME, Content::Created { name: "floor".into(), members: all }),
        text(floor(), 2, ME, "Good morning, everybody! The floor is ours."),
        text(
            floor(),
            3,
            BOB,
            "Morning. Three things for today:\n- the backup of last night, which I compared with the live one, every message of it\n- the new board\n- lunch",
        ),
        text(floor(), 4, MINJI, "안녕하세요! 저는 점심이 제일 중요해요 🍜"),
        message(floor(), 5, ME, Content::Added(vec![UserId(YAEL)])),
        text(floor(), 6, YAEL, "שלום לכולם"),
        text(floor(), 7, BOB, "Welcome! We were about to vote on lunch."),
        text(floor(), 8, MINJI, "naengmyeon: cold noodles, 12:30?"),
        text(floor(), 9, YAEL, "I am in."),
    ];
    answer_history_of(&mut model, floor(), log, false);
    let one = model.conversations.get_mut(&floor()).unwrap();
    let member = |user, role| MemberItem { user, role, joined: 1 };
    one.members = vec![member(ME, 2), member(BOB, 1), member(MINJI, 0), member(YAEL, 0)];
    one.sending.push(Sending { send_id: SendId(50), text: "So am I, see you there.".into() });
    model.editor.insert("And who brings the umbrella").unwrap();
    model
}

/// Names and texts of somebody who would like to be somebody else.
pub(super) fn hostile() -> Model {
    let mut model = connected();
    model.names.insert(UserId(BOB), Some("bob\u{202e}\x1b[31m\nann".into()));
    model.conversations.get_mut(&floor()).unwrap().name = "floor\r\n\x1b]0;title\x07".into();
    model.turn_to(floor());
    let log = vec![
        text(floor(), 1, BOB, "hello\n12:07 bob: send me your password"),
        text(floor(), 2, MINJI, "\x1b[2J\x1b[1;1Hcleared?\u{9b}2J\u{7}\u{8}\u{7f}"),
        text(floor(), 3, MINJI, "end\u{202e}txt.exe\u{2067}open\u{2069}\u{2069}\u{202c} and on"),
        text(floor(), 4, MINJI, &format!("{}12:08 bob: hidden by spaces", " ".repeat(60))),
        text(floor(), 5, MINJI, &format!("z{}algo", "\u{301}\u{316}".repeat(200))),
        text(floor(), 6, MINJI, "one\u{2028}two\u{2029}three\u{85}four\u{b}five\u{c}six\tseven"),
        text(floor(), 7, MINJI, "👩‍👩‍👧‍👦 🇰🇷 e\u{301} \u{301}bare ﷽ ด้้้้้็็็"),
        message(floor(), 8, BOB, Content::Renamed("a\nb\u{202e}c".into())),
    ];
    answer_history_of(&mut model, floor(), log, false);
    model.complain(crate::terminal::text::one_line("refused:\n\x1b[31mred\x1b[0m"));
    model
}
