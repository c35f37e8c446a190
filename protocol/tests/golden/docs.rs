//! The generated parts of docs/protocol.md: tables of offsets, annotated hex, codes and limits.

use std::fmt::Write;
use std::path::PathBuf;

use protocol::body::{ITEMS, Layout, OLDER, ROOTS};
use protocol::{CloseCode, Code, Kind, SentBy, cost, limits};

use crate::{by_hand, hex, valid, values, vectors};

/// Bytes in a line of annotated hex; a longer run goes on in the next line.
const LINE_BYTES: usize = 16;

/// Compares every generated section of the page with the code, or, blessed, writes them.
pub(crate) fn check(blessed: bool) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    let stored = std::fs::read_to_string(&path).expect("docs/protocol.md");
    let sections = [
        ("limits", limits_table()),
        ("kinds", kinds_table()),
        ("costs", costs()),
        ("bodies", bodies()),
        ("items", items()),
        ("stamped", stamped_hex()),
        ("reject codes", reject_codes()),
        ("close codes", close_codes()),
    ];
    let mut page = stored.clone();
    for (name, text) in &sections {
        page = replace_section(&page, name, text);
    }
    if blessed && page != stored {
        crate::replace_file(&path, &page);
        return;
    }
    assert!(
        page == stored,
        "docs/protocol.md differs from the code; MARU_BLESS=1 writes its generated parts"
    );
}

fn replace_section(page: &str, name: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- generated: {name} -->\n"), format!("<!-- end: {name} -->"));
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("the page lacks {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("the page lacks {end}"));
    format!("{before}{begin}{text}{end}{after}")
}

fn limits_table() -> String {
    let rows: [(&str, usize, &str); 18] = [
        ("HEADER_BYTES", limits::HEADER_BYTES, "bytes of a frame header"),
        ("STAMP_BYTES", limits::STAMP_BYTES, "bytes of a stamp"),
        ("FRAME_BYTES_MAX", limits::FRAME_BYTES_MAX, "bytes of a frame with its header"),
        ("WS_MESSAGE_BYTES_MAX", limits::WS_MESSAGE_BYTES_MAX, "bytes of a WebSocket message"),
        ("WS_MESSAGE_FRAMES_MAX", limits::WS_MESSAGE_FRAMES_MAX, "frames in a WebSocket message"),
        (
            "UNAUTHENTICATED_BYTES_MAX",
            limits::UNAUTHENTICATED_BYTES_MAX,
            "bytes from a device before Welcome",
        ),
        ("TOKEN_BYTES_MAX", limits::TOKEN_BYTES_MAX, "bytes of a token"),
        ("TEXT_CHARS_MAX", limits::TEXT_CHARS_MAX, "Unicode scalar values of a text"),
        ("NAME_CHARS_MAX", limits::NAME_CHARS_MAX, "Unicode scalar values of a group's name"),
        (
            "GROUP_MEMBERS_DEFAULT",
            limits::GROUP_MEMBERS_DEFAULT,
            "members of a group; Welcome says the real number",
        ),
        ("GROUP_MEMBERS_MAX", limits::GROUP_MEMBERS_MAX, "what an operator can set that to"),
        ("DEVICES_MAX", limits::DEVICES_MAX, "devices of an account"),
        ("PAGE_MESSAGES_MAX", limits::PAGE_MESSAGES_MAX as usize, "messages in a page"),
        ("PAGE_BYTES_MAX", limits::PAGE_BYTES_MAX, "bytes of messages in a page, but always one message"),
        ("LIST_ITEMS_MAX", limits::LIST_ITEMS_MAX as usize, "items in a page of channels or members"),
        ("MENTIONS_MAX", limits::MENTIONS_MAX, "users that one text mentions by name"),
        ("MENTIONS_PAGE_MAX", limits::MENTIONS_PAGE_MAX as usize, "items in a page of mentions"),
        ("U53_MAX", limits::U53_MAX as usize, "numbers that browsers read as numbers"),
    ];
    let mut out = "| name | value | of |\n|---|---|---|\n".to_owned();
    for (name, value, meaning) in rows {
        writeln!(out, "| {name} | {value} | {meaning} |").unwrap();
    }
    out
}

fn kinds_table() -> String {
    let mut out =
        "| kind | name | body type | version | sent by | body bytes, at most |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for layout in ROOTS {
        let (kind, version) = layout.root.unwrap();
        let name = name_of(kind);
        let from = match kind.sent_by() {
            SentBy::Message => "device; the server sends it on, stamped",
            SentBy::Home => "server, stamped",
            SentBy::Device => "device",
            SentBy::Server => "server",
            SentBy::Both => "both",
            SentBy::Nobody => "nobody",
        };
        let max = kind.body_bytes_max();
        writeln!(out, "| 0x{:04x} | {name} | {} | {version} | {from} | {max} |", kind.0, layout.name)
            .unwrap();
    }
    out
}

fn costs() -> String {
    let page = |most: u32| {
        let tokens = most.div_ceil(cost::TOKEN_PAGE_ITEMS);
        format!("1 for each {} of `limit`, rounded up: at most {tokens}", cost::TOKEN_PAGE_ITEMS)
    };
    let rows = [
        ("any frame".to_owned(), "1".to_owned()),
        ("its body".to_owned(), "1 for each whole `token_bytes` of it".to_owned()),
        ("CREATE_GROUP, ADD_MEMBERS, INVITE_MEMBERS".to_owned(), "1 for each user in `members`".to_owned()),
        (
            "SEND_TEXT of version 2".to_owned(),
            format!(
                "1 for each {} users in `mentions`, rounded up; as 50 of them for all",
                cost::TOKEN_PAGE_ITEMS
            ),
        ),
        ("GET_HISTORY, GET_THREAD, GET_ABOUT".to_owned(), page(limits::PAGE_MESSAGES_MAX)),
        (
            "GET_MEMBERS, GET_CHANNELS, GET_RECEIPTS, GET_NOTES, GET_RULES".to_owned(),
            page(limits::LIST_ITEMS_MAX),
        ),
        ("GET_MENTIONS".to_owned(), page(limits::MENTIONS_PAGE_MAX)),
        (
            "GET_CHANNELS v2 with an order other than by id".to_owned(),
            format!("{} besides", cost::TOKEN_WALK),
        ),
        ("SET_DRAFT".to_owned(), format!("{} besides", cost::TOKEN_DRAFT)),
    ];
    let mut out = "| what | tokens, added up |\n|---|---|\n".to_owned();
    for (what, tokens) in rows {
        writeln!(out, "| {what} | {tokens} |").unwrap();
    }
    out
}

fn name_of(kind: Kind) -> &'static str {
    Kind::ALL.iter().find(|(known, _)| *known == kind).map(|(_, name)| *name).unwrap()
}

fn table(layout: &Layout) -> String {
    let mut out = "| offset | size | type | field | meaning and bounds |\n|---|---|---|---|---|\n".to_owned();
    for (index, field) in layout.fields.iter().enumerate() {
        let end = layout.fields.get(index + 1).map_or(layout.size, |next| next.offset);
        let size = end - field.offset;
        let line = (field.offset, size, vectors::type_name(field), field.name, field.limit);
        writeln!(out, "| {} | {} | {} | {} | {} |", line.0, line.1, line.2, line.3, line.4).unwrap();
    }
    out
}

fn bodies() -> String {
    let valid = valid::all();
    let mut out = String::new();
    for layout in with_older() {
        let (kind, version) = layout.root.unwrap();
        let sample = valid
            .iter()
            .find(|vector| vector.root == layout.name && !vector.frame.header().is_stamped())
            .unwrap();
        writeln!(out, "\n### {} (0x{:04x}) v{version}: {}\n", name_of(kind), kind.0, layout.name).unwrap();
        writeln!(out, "Root of {} bytes.\n\n{}", layout.size, table(layout)).unwrap();
        writeln!(out, "Vector `{}`:\n\n```text\n{}```", sample.name, annotated(sample)).unwrap();
    }
    out.push('\n');
    out
}

/// The roots in the order of kinds, older versions behind the newest.
fn with_older() -> impl Iterator<Item = &'static Layout> {
    ROOTS.iter().flat_map(|layout| {
        let same_kind = |older: &&Layout| older.root.map(|root| root.0) == layout.root.map(|root| root.0);
        core::iter::once(layout).chain(OLDER.iter().filter(same_kind))
    })
}

fn items() -> String {
    let mut out = String::new();
    for layout in ITEMS {
        writeln!(out, "\n### {}\n\nItem of {} bytes.\n\n{}", layout.name, layout.size, table(layout))
            .unwrap();
    }
    out
}

fn annotated(vector: &valid::Valid) -> String {
    let value = values::value_of(&vector.frame).unwrap();
    let encoded = by_hand::encode(vector.root, &value);
    let mut out = String::new();
    for (index, (start, note)) in encoded.notes.iter().enumerate() {
        let end = encoded.notes.get(index + 1).map_or(encoded.bytes.len(), |(next, _)| *next);
        lines(&mut out, *start, &encoded.bytes[*start..end], note);
    }
    out
}

fn lines(out: &mut String, start: usize, bytes: &[u8], note: &str) {
    for (index, chunk) in bytes.chunks(LINE_BYTES).enumerate() {
        let note = if index == 0 { note } else { "" };
        let line = format!("{:>4}  {:<32}  {note}", start + index * LINE_BYTES, hex::plain(chunk));
        writeln!(out, "{}", line.trim_end()).unwrap();
    }
}

fn stamped_hex() -> String {
    let valid = valid::all();
    let vector = valid.iter().find(|vector| vector.name == "send_text_stamped").unwrap();
    let bytes = vector.frame.bytes();
    let header = vector.frame.header();
    let stamp = vector.frame.read_stamp().unwrap();
    let notes = [
        (0..4, format!("len {}", header.len)),
        (4..6, format!("kind 0x{:04x}", header.kind.0)),
        (6..7, format!("version {}", header.version)),
        (7..8, format!("flags {}", header.flags)),
        (8..16, format!("id {}", header.id)),
        (16..24, format!("seq {}", stamp.seq)),
        (24..32, format!("time_ms {}", stamp.time_ms)),
        (32..40, format!("sender {}", stamp.sender)),
        (40..bytes.len(), "the sender's body, untouched".to_owned()),
    ];
    let mut out = "```text\n".to_owned();
    for (range, note) in notes {
        lines(&mut out, range.start, &bytes[range.clone()], &note);
    }
    out.push_str("```\n");
    out
}

fn reject_codes() -> String {
    let mut out = "| code | word | when |\n|---|---|---|\n".to_owned();
    for code in Code::ALL {
        let when = match code {
            Code::TooLarge => "kept for other servers of this protocol: this one closes with 1009",
            Code::UnknownKind => "the server does not know the kind, or a device may not send it",
            Code::UnknownVersion => "the server does not know this version of the kind",
            Code::Malformed => "the body is not a valid encoding of its type; `path` says where",
            Code::NotCanonical => "the body is readable, but not the one canonical encoding of its value",
            Code::Limit => "a value is outside its documented bounds; `path` says which",
            Code::Unauthenticated => {
                "no Hello yet; the token is damaged, forged or of an unknown key; or its device was logged out. Final"
            }
            Code::Rate => {
                "more than the tokens of section 10 allow; retry after the hint, from the refused frame on, in order"
            }
            Code::Forbidden => "no such channel for this user, or the user's role does not allow it",
            Code::Conflict => "the same send id was used with other content in this channel",
            Code::Busy => {
                "the server is at a bound of its own; retry after the hint, from the refused frame on, in order"
            }
            Code::NoSuchUser => "a named user does not exist",
            Code::Expired => "the token was valid and is no longer; log in again",
            Code::TooManyDevices => "the account has its full number of devices",
            Code::NeedsConsent => {
                "a user takes no messages from the sender, or is not added to groups by it unasked; `path` says which. Who cannot be added can be invited"
            }
            Code::Muted => {
                "the sender may not send to this group now; it may after the hint, and without one not before the mute is lifted"
            }
            Code::Slow => {
                "the group is in slow mode and the sender's last text is too young; the next may be sent after the hint"
            }
            Code::Banned => "the user cannot become a member of this group; `path` says which",
            Code::RefusedWord => "the text holds a word that this server does not take; which is not said",
            Code::StorageFull => {
                "the disk is nearly full: nothing is accepted, reading goes on; retry after the hint"
            }
        };
        writeln!(out, "| {} | {} | {when} |", code.number(), code.word()).unwrap();
    }
    out
}

fn close_codes() -> String {
    let mut out = "| code | word | when | come back |\n|---|---|---|---|\n".to_owned();
    for code in CloseCode::ALL {
        let (when, back) = match code {
            CloseCode::Normal => ("nothing is wrong", "when wanted"),
            CloseCode::GoingAway => ("the server stops or moves", "after the hint in GoingAway"),
            CloseCode::Protocol => {
                ("the bytes do not follow RFC 6455 or the frame layout", "not before a repair")
            }
            CloseCode::NotBinary => {
                ("a text message; frames travel in binary messages", "not before a repair")
            }
            CloseCode::NotUtf8 => ("the reason in a close frame is not UTF-8", "not before a repair"),
            CloseCode::TooBig => (
                "a message or frame above the limit, or more frames in a message than section 10 allows",
                "not before a repair",
            ),
            CloseCode::Internal => ("the server broke a rule of its own", "with growing delay"),
            CloseCode::Unauthenticated => (
                "Hello or Reauth was refused, or the device was logged out; the Reject before says why",
                "after a login",
            ),
            CloseCode::HelloTimeout => {
                ("no Hello within the time or the bytes of section 5", "with growing delay")
            }
            CloseCode::Replaced => (
                "the same device said Hello on a newer connection",
                "no: the newer one lives; but once, if this one was welcomed less than 10 s ago: the HELLO of an older connection may have been read late",
            ),
            CloseCode::Expired => ("the token ended and no Reauth came", "with a fresh token"),
            CloseCode::HeartbeatTimeout => ("nothing was heard for too long", "at once"),
            CloseCode::SlowReader => ("what was sent was not read for too long", "with growing delay"),
            CloseCode::TooManyFaults => (
                "too many refused frames in a row, or too many frames that carry nothing (section 10)",
                "not before a repair",
            ),
        };
        writeln!(out, "| {} | {} | {when} | {back} |", code.number(), code.word()).unwrap();
    }
    out
}
