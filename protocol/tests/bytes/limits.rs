//! Documented limits: at the bound accepted, one above refused with the code and the field.

use protocol::body::about::{EditText, GetAbout, Pin, React, Recall};
use protocol::body::marks::{GetReceipts, MarkDelivered};
use protocol::body::message::{AddMembers, CreateGroup, RemoveMember, RenameGroup, SendText, SetRole};
use protocol::body::rules::{
    BanMember, GetRules, MUTED_FOR_EVER_MS, MUTED_FOR_EVER_S, MuteMember, SetSlow, UnbanMember,
    muted_until_ms,
};
use protocol::body::session::{Heartbeat, Hello, Reauth};
use protocol::body::sync::{CursorAck, GetChannels, GetHistory, GetMembers, MarkRead};
use protocol::body::talk::{GetMentions, GetThread, SendTextV2};
use protocol::body::{Body, encode, ingest};
use protocol::limits::{
    EMOJI_BYTES_MAX, GROUP_MEMBERS_MAX, LIST_ITEMS_MAX, MENTIONS_MAX, MENTIONS_PAGE_MAX, MUTE_S_MAX,
    NAME_CHARS_MAX, PAGE_MESSAGES_MAX, SLOW_S_MAX, TEXT_CHARS_MAX, TOKEN_BYTES_MAX, U53_MAX,
    UNAUTHENTICATED_BYTES_MAX,
};
use protocol::{Code, Frame};

const GROUP: u128 = 77;
const DIRECT: u128 = (5 << 64) | 9;

fn passes<T: Body>(body: &T) {
    let frame = Frame::new(encode(1, body).into_bytes()).expect("the frame fits its kind");
    if let Err(refusal) = ingest::<T>(&frame) {
        panic!("{refusal:?}");
    }
}

fn refused<T: Body>(body: &T, path: &str) {
    let frame = Frame::new(encode(1, body).into_bytes()).expect("the frame fits its kind");
    let refusal = ingest::<T>(&frame).err().expect("over the limit");
    assert_eq!((refusal.code, refusal.path.as_str()), (Code::Limit, path), "{refusal:?}");
    assert_eq!(refusal.retry_after_ms, 0);
}

#[test]
fn text() {
    let text = |text: String| SendText { channel: GROUP, text };
    refused(&text(String::new()), "text");
    for character in ["a", "é", "한", "😀"] {
        passes(&text(character.to_owned()));
        passes(&text(character.repeat(TEXT_CHARS_MAX)));
        refused(&text(character.repeat(TEXT_CHARS_MAX + 1)), "text");
    }
    passes(&text("\u{feff}\0".to_owned()));
}

#[test]
fn names() {
    let members = vec![1, 2];
    for character in ["a", "한", "😀"] {
        let name = character.repeat(NAME_CHARS_MAX);
        passes(&CreateGroup { channel: GROUP, name: name.clone(), members: members.clone() });
        passes(&RenameGroup { channel: GROUP, name });
        let name = character.repeat(NAME_CHARS_MAX + 1);
        refused(&CreateGroup { channel: GROUP, name: name.clone(), members: members.clone() }, "name");
        refused(&RenameGroup { channel: GROUP, name }, "name");
    }
    refused(&RenameGroup { channel: GROUP, name: String::new() }, "name");
}

#[test]
fn member_lists() {
    let users = |count: usize| (1..=count as u64).collect::<Vec<u64>>();
    let create = |members| CreateGroup { channel: GROUP, name: "n".to_owned(), members };
    let add = |members| AddMembers { channel: GROUP, members };
    passes(&create(users(0)));
    passes(&create(users(GROUP_MEMBERS_MAX - 1)));
    refused(&create(users(GROUP_MEMBERS_MAX)), "members");
    refused(&add(users(0)), "members");
    passes(&add(users(GROUP_MEMBERS_MAX)));
    refused(&add(users(GROUP_MEMBERS_MAX + 1)), "members");
    refused(&add(vec![0]), "members[0]");
    refused(&add(vec![1, 3, 3]), "members[2]");
    refused(&add(vec![1, 3, 2]), "members[2]");
    passes(&add(vec![u64::MAX]));
}

#[test]
fn channels() {
    let text = |channel| SendText { channel, text: "x".to_owned() };
    passes(&text(GROUP));
    passes(&text(DIRECT));
    refused(&text(0), "channel");
    refused(&text(5 << 64), "channel");
    passes(&text((5 << 64) | 5));
    refused(&text((9 << 64) | 5), "channel");
    refused(&RemoveMember { channel: DIRECT, member: 5 }, "channel");
    refused(&RemoveMember { channel: GROUP, member: 0 }, "member");
}

#[test]
fn rules() {
    let mute = |for_s| MuteMember { channel: GROUP, member: 1, for_s };
    passes(&mute(0));
    passes(&mute(MUTE_S_MAX));
    passes(&mute(MUTED_FOR_EVER_S));
    refused(&mute(MUTE_S_MAX + 1), "for_s");
    refused(&mute(MUTED_FOR_EVER_S - 1), "for_s");
    refused(&MuteMember { member: 0, ..mute(1) }, "member");
    refused(&BanMember { channel: DIRECT, member: 5 }, "channel");
    refused(&BanMember { channel: GROUP, member: 0 }, "member");
    refused(&UnbanMember { channel: GROUP, member: 0 }, "member");
    let slow = |interval_s| SetSlow { channel: GROUP, interval_s };
    passes(&slow(0));
    passes(&slow(SLOW_S_MAX));
    refused(&slow(SLOW_S_MAX + 1), "interval_s");
    let get = |limit| GetRules { channel: GROUP, after: 0, limit };
    passes(&get(LIST_ITEMS_MAX));
    refused(&get(LIST_ITEMS_MAX + 1), "limit");
    refused(&get(0), "limit");
}

#[test]
fn a_mute_ends_so_long_after_its_stamp() {
    assert_eq!(muted_until_ms(5, 0), 0);
    assert_eq!(muted_until_ms(5, 60), 60_005);
    assert_eq!(muted_until_ms(5, MUTED_FOR_EVER_S), MUTED_FOR_EVER_MS);
    assert_eq!(muted_until_ms(u64::MAX, 60), MUTED_FOR_EVER_MS);
}

#[test]
fn roles() {
    let set = |role| SetRole { channel: GROUP, member: 1, role };
    passes(&set(0));
    passes(&set(2));
    refused(&set(3), "role");
}

#[test]
fn tokens() {
    let hello = |token| Hello { generation: 0, cursor: 0, token };
    let reauth = |token| Reauth { token };
    refused(&hello(String::new()), "token");
    refused(&reauth(String::new()), "token");
    passes(&hello("t".repeat(TOKEN_BYTES_MAX)));
    passes(&reauth("t".repeat(TOKEN_BYTES_MAX)));
    refused(&hello("t".repeat(TOKEN_BYTES_MAX + 1)), "token");
    refused(&reauth("t".repeat(TOKEN_BYTES_MAX + 1)), "token");
    let largest = encode(1, &hello("t".repeat(TOKEN_BYTES_MAX)));
    assert!(largest.bytes().len() < UNAUTHENTICATED_BYTES_MAX);
}

#[test]
fn numbers_that_browsers_read() {
    let (max, above) = (U53_MAX, U53_MAX + 1);
    let hello = |generation, cursor| Hello { generation, cursor, token: "t".to_owned() };
    passes(&hello(max, max));
    refused(&hello(above, 0), "generation");
    refused(&hello(0, above), "cursor");
    passes(&CursorAck { generation: max, cursor: max });
    refused(&CursorAck { generation: above, cursor: 0 }, "generation");
    refused(&CursorAck { generation: 0, cursor: above }, "cursor");
    passes(&Heartbeat { time_ms: max });
    refused(&Heartbeat { time_ms: above }, "time_ms");
    passes(&MarkRead { channel: GROUP, seq: max });
    refused(&MarkRead { channel: GROUP, seq: above }, "seq");
    passes(&MarkDelivered { channel: GROUP, seq: max });
    refused(&MarkDelivered { channel: GROUP, seq: above }, "seq");
    let history = |after, before| GetHistory { channel: GROUP, after, before, limit: 1, newest: true };
    passes(&history(max, max));
    refused(&history(above, 0), "after");
    refused(&history(0, above), "before");
}

#[test]
fn page_sizes() {
    let history = |limit| GetHistory { channel: GROUP, after: 0, before: 1, limit, newest: false };
    let members = |limit| GetMembers { channel: GROUP, after: 0, limit };
    let channels = |limit| GetChannels { after: 0, limit };
    passes(&history(PAGE_MESSAGES_MAX));
    refused(&history(PAGE_MESSAGES_MAX + 1), "limit");
    refused(&history(0), "limit");
    passes(&members(LIST_ITEMS_MAX));
    refused(&members(LIST_ITEMS_MAX + 1), "limit");
    refused(&members(0), "limit");
    let receipts = |limit| GetReceipts { channel: GROUP, after: 0, limit };
    passes(&receipts(LIST_ITEMS_MAX));
    refused(&receipts(LIST_ITEMS_MAX + 1), "limit");
    refused(&receipts(0), "limit");
    passes(&channels(LIST_ITEMS_MAX));
    refused(&channels(LIST_ITEMS_MAX + 1), "limit");
    refused(&channels(0), "limit");
}

#[test]
fn replies_and_mentions() {
    let talk = |mentions: Vec<u64>| SendTextV2 {
        reply_to: 0,
        thread: 0,
        forwarded_from: 0,
        mentions,
        mention_flags: 0,
        channel: GROUP,
        text: "x".to_owned(),
    };
    let most: Vec<u64> = (1..=MENTIONS_MAX as u64).collect();
    passes(&talk(most.clone()));
    refused(&talk(most.into_iter().chain([u64::MAX]).collect()), "mentions");
    refused(&talk(vec![0]), "mentions[0]");
    refused(&talk(vec![3, 3]), "mentions[1]");
    passes(&SendTextV2 { reply_to: U53_MAX, thread: U53_MAX, mention_flags: 3, ..talk(vec![]) });
    refused(&SendTextV2 { reply_to: U53_MAX + 1, ..talk(vec![]) }, "reply_to");
    refused(&SendTextV2 { thread: U53_MAX + 1, ..talk(vec![]) }, "thread");
    refused(&SendTextV2 { mention_flags: 4, ..talk(vec![]) }, "mention_flags");
    refused(&SendTextV2 { channel: 0, ..talk(vec![]) }, "channel");
    refused(&SendTextV2 { text: String::new(), ..talk(vec![]) }, "text");
    // The whole body has the room that version 1 has, or clients of before could not take it.
    passes(&SendTextV2 { text: "한".repeat(TEXT_CHARS_MAX), ..talk(vec![7; 1]) });
    passes(&SendTextV2 { text: "😀".repeat(TEXT_CHARS_MAX), ..talk(vec![]) });
    let whole = encode(1, &SendTextV2 { text: "😀".repeat(TEXT_CHARS_MAX), ..talk(vec![7]) });
    assert!(Frame::new(whole.into_bytes()).is_err(), "a mention more than its kind may have");
}

#[test]
fn threads_and_mentions_asked_for() {
    let thread =
        |root, limit| GetThread { channel: GROUP, root, after: 0, before: U53_MAX, limit, newest: true };
    passes(&thread(1, PAGE_MESSAGES_MAX));
    refused(&thread(1, PAGE_MESSAGES_MAX + 1), "limit");
    refused(&thread(1, 0), "limit");
    refused(&thread(0, 1), "root");
    refused(&thread(U53_MAX + 1, 1), "root");
    refused(&GetThread { before: U53_MAX + 1, ..thread(1, 1) }, "before");
    passes(&GetMentions { before: U53_MAX, limit: MENTIONS_PAGE_MAX });
    refused(&GetMentions { before: U53_MAX, limit: MENTIONS_PAGE_MAX + 1 }, "limit");
    refused(&GetMentions { before: U53_MAX + 1, limit: 1 }, "before");
}

#[test]
fn what_is_said_about_a_message() {
    let edit = |target, text: &str| EditText { channel: GROUP, target, text: text.to_owned() };
    passes(&edit(1, "x"));
    passes(&edit(U53_MAX, &"😀".repeat(TEXT_CHARS_MAX)));
    refused(&edit(1, &"a".repeat(TEXT_CHARS_MAX + 1)), "text");
    refused(&edit(1, ""), "text");
    refused(&edit(0, "x"), "target");
    refused(&edit(U53_MAX + 1, "x"), "target");
    refused(&EditText { channel: 0, ..edit(1, "x") }, "channel");
    let react = |target, emoji: &str| React { channel: GROUP, target, on: true, emoji: emoji.to_owned() };
    passes(&react(1, &"a".repeat(EMOJI_BYTES_MAX)));
    refused(&react(1, &"a".repeat(EMOJI_BYTES_MAX + 1)), "emoji");
    refused(&react(1, ""), "emoji");
    refused(&react(1, "a\n"), "emoji");
    refused(&react(0, "a"), "target");
    let recall = |target| Recall { channel: GROUP, target };
    passes(&recall(U53_MAX));
    refused(&recall(0), "target");
    refused(&recall(U53_MAX + 1), "target");
    refused(&Recall { channel: 0, ..recall(1) }, "channel");
    let pin = |target| Pin { channel: GROUP, target, on: true };
    passes(&pin(U53_MAX));
    refused(&pin(0), "target");
    let get = |from, through, limit| GetAbout { channel: GROUP, from, through, limit, who: true };
    passes(&get(1, U53_MAX, PAGE_MESSAGES_MAX));
    refused(&get(0, 1, 1), "from");
    refused(&get(2, 1, 1), "from");
    refused(&get(1, U53_MAX + 1, 1), "through");
    refused(&get(1, 1, 0), "limit");
    refused(&get(1, 1, PAGE_MESSAGES_MAX + 1), "limit");
}
