//! The invalid vectors: bodies that a server must refuse, with what a lax reader makes of them. Made by hand.

use protocol::Code;
use protocol::body::encode;
use protocol::body::list::{GetChannelsV2, GetHistoryV2};
use protocol::body::marks::{GetReceipts, MarkDelivered, Typing};
use protocol::body::message::{AddMembers, CreateGroup, RenameGroup, SendText, SetRole};
use protocol::body::own::{GetNotes, Hide, SetPrefs};
use protocol::body::presence::{GetPresence, SetPresence, Unwatch, Watch};
use protocol::body::push::{SubscribePush, UnsubscribePush};
use protocol::body::rules::{BanMember, GetRules, MuteMember, SetSlow, UnbanMember};
use protocol::body::session::{Heartbeat, Hello, Reauth};
use protocol::body::sync::{ChannelItem, Channels, GetHistory, MarkRead};

pub(crate) struct Invalid {
    pub(crate) name: &'static str,
    pub(crate) root: &'static str,
    pub(crate) body: Vec<u8>,
    pub(crate) why: &'static str,
    /// Whether a reader that does not ask for canonical bytes and limits reads it.
    pub(crate) lax: bool,
    pub(crate) code: Code,
    pub(crate) path: &'static str,
}

const GROUP: u128 = 0x0fed_cba9_8765_4321;

pub(crate) fn all() -> Vec<Invalid> {
    let mut all = inline_strings();
    all.extend(long_strings());
    all.extend(encodings());
    all.extend(lists());
    all.extend(scalars());
    all.extend(limits());
    all.extend(presence());
    all.extend(push());
    all
}

fn malformed(
    name: &'static str,
    root: &'static str,
    path: &'static str,
    why: &'static str,
    parts: &[&[u8]],
) -> Invalid {
    Invalid { name, root, body: parts.concat(), why, lax: false, code: Code::Malformed, path }
}

fn not_canonical(name: &'static str, root: &'static str, why: &'static str, parts: &[&[u8]]) -> Invalid {
    Invalid { name, root, body: parts.concat(), why, lax: true, code: Code::NotCanonical, path: "" }
}

fn inline(text: &[u8]) -> [u8; 8] {
    let mut slot = [0xff; 8];
    slot[..text.len()].copy_from_slice(text);
    slot
}

/// A string of `len` bytes that begins `back` bytes before its own first byte.
fn long(len: u32, back: i32) -> [u8; 8] {
    let marked = (len & 0x3f) | 0x80 | ((len & !0x3f) << 2);
    pair(marked, back.wrapping_neg().cast_unsigned())
}

/// A list of `count` items that begin `back` bytes before its own first byte.
fn list(count: u32, back: i32) -> [u8; 8] {
    pair(back.wrapping_neg().cast_unsigned(), count)
}

fn pair(first: u32, second: u32) -> [u8; 8] {
    let mut slot = [0; 8];
    slot[..4].copy_from_slice(&first.to_le_bytes());
    slot[4..].copy_from_slice(&second.to_le_bytes());
    slot
}

fn inline_strings() -> Vec<Invalid> {
    let group = GROUP.to_le_bytes();
    vec![
        not_canonical(
            "inline_fill",
            "SendText",
            "garbage behind the 0xff that ends an inline string",
            &[&group, b"ok\xff\xff\x00\xff\xff\xff"],
        ),
        not_canonical(
            "inline_fill_text",
            "Reauth",
            "a second text hidden behind the end of an inline string",
            &[b"ok\xffhide!"],
        ),
        not_canonical(
            "leading_garbage",
            "SendText",
            "100 bytes before the root that nothing points to",
            &[&[0xaa; 100], &group, &inline(b"ok")],
        ),
        not_canonical(
            "leading_byte",
            "LeaveGroup",
            "one byte before a root without strings and lists",
            &[&[0], &group],
        ),
        not_canonical(
            "root_twice",
            "LeaveGroup",
            "the root stands there twice: the right encoding with more behind it",
            &[&group, &group],
        ),
        not_canonical(
            "create_root_twice",
            "CreateGroup",
            "the right encoding, then the root again",
            &[&group, &inline(b"n"), &list(0, 24), &group, &inline(b"n"), &list(0, 24)],
        ),
        malformed("empty", "SendText", "", "no bytes at all", &[]),
        malformed("shorter_than_root", "SendText", "", "one byte less than the root", &[&group, b"1234567"]),
    ]
}

fn long_strings() -> Vec<Invalid> {
    let group = GROUP.to_le_bytes();
    let text = b"see you at 5";
    let case = |name, why, parts: &[&[u8]]| malformed(name, "SendText", "text", why, parts);
    vec![
        not_canonical(
            "gap_before_text",
            "SendText",
            "a byte before the text that nothing points to",
            &[&[0], text, &group, &long(12, 28)],
        ),
        not_canonical(
            "gap_after_text",
            "SendText",
            "a byte between the text and the root that nothing points to",
            &[text, &[0], &group, &long(12, 29)],
        ),
        case(
            "trailing_byte",
            "a byte behind the root, which therefore begins one byte late",
            &[text, &group, &long(12, 28), &[0]],
        ),
        case("cut_in_front", "the first byte is missing", &[&text[1..], &group, &long(12, 28)]),
        case("points_into_root", "the text would lie inside the root", &[text, &group, &long(12, 16)]),
        case("points_at_itself", "the text would begin at its own string", &[text, &group, &long(12, 0)]),
        case("points_ahead", "the text would lie behind the root", &[text, &group, &long(12, -8)]),
        case("points_before_body", "the text would begin before the body", &[text, &group, &long(12, 29)]),
        case("offset_min", "the smallest offset", &[text, &group, &long(12, i32::MIN)]),
        case("offset_max", "the largest offset", &[text, &group, &long(12, -i32::MAX)]),
        case("length_max", "a text of 2^30 - 1 bytes", &[text, &group, &long(0x3fff_ffff, 28)]),
        case(
            "length_one_more",
            "the text would reach one byte into the root",
            &[text, &group, &long(13, 28)],
        ),
        case(
            "long_form_of_8",
            "a string of up to 8 bytes must be inline",
            &[b"12345678", &group, &long(8, 24)],
        ),
        case("long_form_of_2", "a string of up to 8 bytes must be inline", &[b"ok", &group, &long(2, 18)]),
        case("long_form_of_0", "an empty string must be inline", &[&group, &long(0, 16)]),
    ]
}

fn encodings() -> Vec<Invalid> {
    let group = GROUP.to_le_bytes();
    let inline_case =
        |name, why, text: &[u8]| malformed(name, "SendText", "text", why, &[&group, &inline(text)]);
    let long_case = |name, why, text: &[u8]| {
        let slot = long(text.len() as u32, text.len() as i32 + 16);
        malformed(name, "SendText", "text", why, &[text, &group, &slot])
    };
    let item = |name: &str| ChannelItem {
        channel: GROUP,
        head: 1,
        read: 0,
        unread: 1,
        member: true,
        name: name.to_owned(),
    };
    let channels = Channels { items: vec![item("a good name"), item("a bad name")], more: false };
    let mut second_name = encode(1, &channels).body().to_vec();
    second_name[12] = 0xc0;
    vec![
        inline_case("utf8_overlong", "U+0000 in two bytes", b"a\xc0\x80"),
        inline_case("utf8_surrogate", "half of a surrogate pair", b"a\xed\xa0\x80"),
        inline_case("utf8_cut", "a character without its last byte", b"a\xed\x95"),
        inline_case("utf8_above_10ffff", "a code point above U+10FFFF", b"\xf4\x90\x80\x80"),
        long_case("utf8_overlong_long", "U+0000 in two bytes", b"12345678\xc0\x80"),
        long_case("utf8_surrogate_long", "half of a surrogate pair", b"12345678\xed\xa0\x80"),
        long_case("utf8_cut_long", "a character without its last byte", b"12345678\xed\x95"),
        long_case("utf8_ff_long", "a byte that UTF-8 does not have", b"12345678\xff"),
        malformed(
            "utf8_in_item",
            "Channels",
            "items[1].name",
            "the second name is not UTF-8",
            &[&second_name],
        ),
    ]
}

fn lists() -> Vec<Invalid> {
    let group = GROUP.to_le_bytes();
    let users: [u8; 16] = core::array::from_fn(|at| [b'a', 0, 0, 0, 0, 0, 0, 0][at % 8] + (at / 8) as u8);
    let create = |name, path, why, parts: &[&[u8]]| malformed(name, "CreateGroup", path, why, parts);
    vec![
        create(
            "alias",
            "members",
            "name and members lie on the same bytes",
            &[&users, &group, &long(16, 32), &list(2, 40)],
        ),
        create(
            "overlap",
            "members",
            "members begin on the last byte of the name",
            &[b"123456789", &users[1..], &group, &long(9, 9 + 15 + 16), &list(2, 1 + 15 + 24)],
        ),
        create(
            "swapped",
            "members",
            "the members lie before the name, though the field comes later",
            &[&users, b"123456789", &group, &long(9, 9 + 16), &list(2, 16 + 9 + 24)],
        ),
        not_canonical(
            "gap_between",
            "CreateGroup",
            "a byte between name and members",
            &[b"123456789", &[0], &users, &group, &long(9, 9 + 1 + 16 + 16), &list(2, 16 + 24)],
        ),
        not_canonical(
            "empty_list_elsewhere",
            "CreateGroup",
            "an empty list that does not point to the cursor",
            &[b"123456789", &[0], &group, &long(9, 9 + 1 + 16), &list(0, 24)],
        ),
        malformed(
            "count_max",
            "AddMembers",
            "members",
            "2^32 - 1 items",
            &[&users, &group, &list(u32::MAX, 32)],
        ),
        malformed(
            "count_one_more",
            "AddMembers",
            "members",
            "the list would reach into the root",
            &[&users, &group, &list(3, 32)],
        ),
        malformed(
            "list_before_body",
            "AddMembers",
            "members",
            "the list would begin before the body",
            &[&users, &group, &list(2, 33)],
        ),
        malformed(
            "list_offset_min",
            "AddMembers",
            "members",
            "the smallest offset",
            &[&users, &group, &list(2, i32::MIN)],
        ),
    ]
}

fn scalars() -> Vec<Invalid> {
    let history = GetHistory { channel: GROUP, after: 0, before: 9, limit: 1, newest: false };
    let body = encode(1, &history).body().to_vec();
    let newest = |byte| [&body[..36], &[byte]].concat();
    vec![
        malformed("bool_2", "GetHistory", "newest", "a bool is 0 or 1", &[&newest(2)]),
        malformed("bool_255", "GetHistory", "newest", "a bool is 0 or 1", &[&newest(255)]),
    ]
}

fn limit<T: protocol::body::Body>(
    name: &'static str,
    path: &'static str,
    why: &'static str,
    value: &T,
) -> Invalid {
    let root = core::any::type_name::<T>().rsplit("::").next().unwrap();
    let body = encode(1, value).body().to_vec();
    Invalid { name, root, body, why, lax: true, code: Code::Limit, path }
}

fn presence() -> Vec<Invalid> {
    let set = |shows, status: &str| SetPresence { shows, status_until_ms: 0, status: status.to_owned() };
    vec![
        limit("watch_nobody", "users", "nobody is named", &Watch { users: vec![] }),
        limit("watch_501", "users", "501 users", &Watch { users: (1..=501).collect() }),
        limit("watch_order", "users[1]", "not rising", &Watch { users: vec![7, 5] }),
        limit("unwatch_0", "users[0]", "user 0", &Unwatch { users: vec![0] }),
        limit("get_presence_101", "users", "101 users", &GetPresence { users: (1..=101).collect() }),
        limit("set_presence_4", "shows", "no such thing to show", &set(4, "")),
        limit("set_presence_129", "status", "129 characters", &set(0, &"a".repeat(129))),
        limit("set_presence_control", "status", "a control character", &set(0, "a\nb")),
        limit(
            "set_presence_u53",
            "status_until_ms",
            "2^53",
            &SetPresence { shows: 0, status_until_ms: 1 << 53, status: String::new() },
        ),
    ]
}

fn push() -> Vec<Invalid> {
    let wish = |provider| SubscribePush { provider, ..SubscribePush::default() };
    let long = |bytes| "a".repeat(bytes);
    vec![
        limit("subscribe_push_0", "provider", "no such provider", &wish(0)),
        limit(
            "subscribe_push_preview",
            "preview",
            "no such preview",
            &SubscribePush { preview: 3, ..wish(1) },
        ),
        limit(
            "subscribe_push_language",
            "language",
            "no such language",
            &SubscribePush { language: 2, ..wish(1) },
        ),
        limit(
            "subscribe_push_quiet",
            "quiet_until",
            "minute 1440",
            &SubscribePush { quiet_until: 1440, ..wish(1) },
        ),
        limit("subscribe_push_zone", "zone", "129 bytes", &SubscribePush { zone: long(129), ..wish(1) }),
        limit(
            "subscribe_push_address",
            "address",
            "2049 bytes",
            &SubscribePush { address: long(2049), ..wish(1) },
        ),
        limit(
            "subscribe_push_p256dh",
            "p256dh",
            "129 bytes",
            &SubscribePush { p256dh: long(129), ..wish(1) },
        ),
        limit(
            "subscribe_push_secret",
            "secret",
            "129 bytes",
            &SubscribePush { secret: long(129), ..wish(2) },
        ),
        limit(
            "unsubscribe_push_5",
            "provider",
            "no such provider",
            &UnsubscribePush { device: 0, provider: 5 },
        ),
    ]
}

fn limits() -> Vec<Invalid> {
    const U53: u64 = 1 << 53;
    let text = |text: String| SendText { channel: GROUP, text };
    let to = |channel| SendText { channel, text: "ok".to_owned() };
    let name = |name: String| RenameGroup { channel: GROUP, name };
    let add = |members| AddMembers { channel: GROUP, members };
    let hello = |generation, cursor| Hello { generation, cursor, token: "t".to_owned() };
    let history = |after, before, limit| GetHistory { channel: GROUP, after, before, limit, newest: true };
    let many: Vec<u64> = (1..=501).collect();
    let typing = Typing { channel: GROUP, user: 0, expires_ms: 0, state: 2 };
    let create =
        |members: &[u64]| CreateGroup { channel: GROUP, name: "n".to_owned(), members: members.to_vec() };
    vec![
        limit("text_empty", "text", "0 characters", &text(String::new())),
        limit("text_100001", "text", "100,001 characters", &text("a".repeat(100_001))),
        limit("text_100001_hangul", "text", "100,001 characters", &text("한".repeat(100_001))),
        limit("text_100001_astral", "text", "100,001 characters", &text("😀".repeat(100_001))),
        limit("channel_0", "channel", "group number 0", &to(0)),
        limit("channel_order", "channel", "the larger user in the high half", &to((9 << 64) | 5)),
        limit("channel_half", "channel", "a direct channel with user 0", &to(5 << 64)),
        limit(
            "not_a_group",
            "channel",
            "a direct channel where a group is due",
            &RenameGroup { channel: (5 << 64) | 9, name: "n".to_owned() },
        ),
        limit("name_empty", "name", "0 characters", &name(String::new())),
        limit("name_101", "name", "101 characters", &name("n".repeat(101))),
        limit("name_101_hangul", "name", "101 characters", &name("한".repeat(101))),
        limit("members_none", "members", "nobody named", &add(vec![])),
        limit("members_501", "members", "501 users", &add(many.clone())),
        limit("create_500", "members", "with the sender 501 users", &create(&many[..500])),
        limit("members_0", "members[0]", "user 0", &add(vec![0, 1])),
        limit("members_repeat", "members[2]", "the same user twice", &add(vec![1, 3, 3])),
        limit("members_order", "members[1]", "not rising", &add(vec![3, 1])),
        limit("role_3", "role", "no such role", &SetRole { channel: GROUP, member: 1, role: 3 }),
        limit("member_0", "member", "user 0", &SetRole { channel: GROUP, member: 0, role: 0 }),
        limit("mute_ten_years_and_1_s", "for_s", "315,360,001 s", &mute(GROUP, 315_360_001)),
        limit("mute_direct", "channel", "a direct channel where a group is due", &mute((5 << 64) | 9, 60)),
        limit("ban_0", "member", "user 0", &BanMember { channel: GROUP, member: 0 }),
        limit("unban_0", "member", "user 0", &UnbanMember { channel: GROUP, member: 0 }),
        limit("slow_21601", "interval_s", "21,601 s", &SetSlow { channel: GROUP, interval_s: 21_601 }),
        limit("rules_0", "limit", "nobody", &GetRules { channel: GROUP, after: 0, limit: 0 }),
        limit("token_empty", "token", "0 bytes", &Reauth { token: String::new() }),
        limit("token_8193", "token", "8,193 bytes", &Reauth { token: "t".repeat(8193) }),
        limit("generation_2_53", "generation", "2^53", &hello(U53, 0)),
        limit("cursor_2_53", "cursor", "2^53", &hello(0, U53)),
        limit("after_2_53", "after", "2^53", &history(U53, 0, 1)),
        limit("before_2_53", "before", "2^53", &history(0, U53, 1)),
        limit("limit_0", "limit", "no messages", &history(0, 1, 0)),
        limit("limit_201", "limit", "201 messages", &history(0, 1, 201)),
        limit("time_2_53", "time_ms", "2^53", &Heartbeat { time_ms: U53 }),
        limit("seq_2_53", "seq", "2^53", &MarkRead { channel: GROUP, seq: U53 }),
        limit("delivered_2_53", "seq", "2^53", &MarkDelivered { channel: GROUP, seq: U53 }),
        limit("receipts_0", "limit", "nobody", &GetReceipts { channel: GROUP, after: 0, limit: 0 }),
        limit("typing_2", "state", "no such state", &typing),
        limit("prefs_elsewhere", "channel", "not an own channel", &SetPrefs { channel: GROUP, ..prefs() }),
        limit("prefs_about_0", "about", "group number 0", &SetPrefs { about: 0, ..prefs() }),
        limit("prefs_notify_3", "notify", "no such choice", &SetPrefs { notify: 3, ..prefs() }),
        limit("hide_seq_0", "seq", "seq 0", &hide(0, 5)),
        limit("hide_falling", "seq", "the last before the first", &hide(6, 5)),
        limit("around_4", "around", "no such choice", &around(4, 0, 0)),
        limit("around_nothing_at", "at", "a place without a choice", &around(0, 7, 0)),
        limit("around_seq_after", "after", "two windows at once", &around(1, 7, 3)),
        limit("order_3", "order", "no such order", &listed(3, 0, 0)),
        limit("order_id_at", "at", "a position of the inbox in the order of ids", &listed(0, 7, 0)),
        limit("order_recent_after", "after", "a channel in the order of time", &listed(1, 7, 9)),
        limit("notes_what_2", "what", "no such list", &notes(2)),
    ]
}

fn mute(channel: u128, for_s: u32) -> MuteMember {
    MuteMember { channel, member: 9, for_s }
}

fn prefs() -> SetPrefs {
    SetPrefs {
        channel: (5 << 64) | 5,
        about: GROUP,
        muted_until_ms: 0,
        pinned: 0,
        marked_unread: false,
        notify: 0,
        archived: false,
    }
}

fn hide(seq: u64, through: u64) -> Hide {
    Hide { channel: (5 << 64) | 5, about: GROUP, seq, through }
}

fn around(around: u8, at: u64, after: u64) -> GetHistoryV2 {
    let before = (1 << 53) - 1;
    GetHistoryV2 { at, around, channel: GROUP, after, before, limit: 1, newest: false }
}

fn listed(order: u8, at: u64, after: u128) -> GetChannelsV2 {
    GetChannelsV2 { generation: 1, at, order, after, limit: 1 }
}

fn notes(what: u8) -> GetNotes {
    GetNotes { about: 0, after_about: 0, after: 0, what, limit: 1 }
}
