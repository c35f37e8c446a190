//! Builds protocol/vectors.json from the code, and keeps the file from changing.

use std::path::PathBuf;

use protocol::body::{Field, ITEMS, KINDS, Layout, OLDER, ROOTS};
use protocol::partition::mix64;
use protocol::token::{Claims, Key, sign};
use protocol::ws::{ControlFrame, Opcode, Role, encode_header};
use protocol::{ChannelId, DeviceId, Frame, Kind, PartitionId, SendId, UserId};
use serde_json::{Map, Value, json};

use crate::{hex, invalid, valid, values, websocket};

pub(crate) fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors.json")
}

/// The file as it is.
pub(crate) fn stored() -> Value {
    let text = std::fs::read_to_string(path()).unwrap_or_else(|_| "{}".to_owned());
    serde_json::from_str(&text).expect("vectors.json is JSON")
}

/// The file as the code says.
pub(crate) fn generated() -> Value {
    json!({
        "about": "Golden vectors of Maru's wire; docs/protocol.md section 12 says how to use them.",
        "rkyv": "0.8.18 little_endian unaligned pointer_width_32",
        "layout": layouts(),
        "valid": valid::all().iter().map(valid_entry).collect::<Value>(),
        "newer": newer(),
        "invalid": invalid::all().iter().map(invalid_entry).collect::<Value>(),
        "frames": frames(),
        "partition": partitions(),
        "channel": channels(),
        "token": tokens(),
        "websocket": websocket(),
    })
}

pub(crate) fn kind_of(root: &str) -> (Kind, u8) {
    crate::by_hand::layout(root).root.expect("a root type")
}

/// `list of u64` instead of `Vec<u64>`: the words of the page.
pub(crate) fn type_name(field: &Field) -> String {
    match field.rust_type.strip_prefix("Vec<").and_then(|rest| rest.strip_suffix('>')) {
        Some(item) => format!("list of {item}"),
        None => field.rust_type.replace("String", "string"),
    }
}

fn layouts() -> Value {
    let fields = |layout: &Layout| -> Value {
        (layout.fields.iter())
            .map(|field| json!({ "name": field.name, "offset": field.offset, "type": type_name(field) }))
            .collect()
    };
    let entry = |layout: &Layout| match layout.root {
        Some((kind, version)) => json!({
            "name": layout.name, "kind": kind.0, "version": version, "size": layout.size,
            "body_bytes_max": kind.body_bytes_max(), "fields": fields(layout),
        }),
        None => json!({ "name": layout.name, "size": layout.size, "fields": fields(layout) }),
    };
    ROOTS.iter().chain(OLDER).chain(ITEMS).map(entry).collect()
}

fn valid_entry(vector: &valid::Valid) -> Value {
    let header = vector.frame.header();
    let mut entry = json!({
        "name": vector.name, "type": vector.root, "kind": header.kind.0, "version": header.version,
        "id": header.id.to_string(), "value": values::value_of(&vector.frame).expect("readable"),
        "body": hex::to_json(vector.frame.body()), "frame": hex::to_json(vector.frame.bytes()),
    });
    if let Some(stamp) = vector.frame.read_stamp() {
        entry["stamp"] = json!({
            "seq": stamp.seq.to_string(), "time_ms": stamp.time_ms.to_string(), "sender": stamp.sender.to_string(),
        });
    }
    entry
}

/// Bodies of a version that a reader of version 1 does not know, as it must read them: two that nobody sends, and those of
/// WELCOME and SEND_TEXT, whose version 2 exists.
fn newer() -> Value {
    let group = 0x0fed_cba9_8765_4321_u128.to_le_bytes();
    let subject = [0x90_u32.to_le_bytes(), (-28_i32).to_le_bytes()].concat();
    let text = [0x8c_u32.to_le_bytes(), (-36_i32).to_le_bytes()].concat();
    let bodies = [
        ("an_integer_prepended", [&[7; 8][..], &group, b"ok\xff\xff\xff\xff\xff\xff"].concat()),
        (
            "a_string_and_its_bytes_prepended",
            [b"what it is about", &b"see you at 5"[..], &subject, &group, &text].concat(),
        ),
    ];
    let entry = |(name, body): (&str, Vec<u8>)| {
        let frame = Frame::build(Kind::SEND_TEXT, 2, 5, &body);
        let value = values::value_as("SendText", &frame).expect("readable");
        json!({ "name": name, "type": "SendText", "version": 2, "body": hex::to_json(&body), "value": value })
    };
    let welcome = valid::all().into_iter().find(|vector| vector.name == "welcome_v2").expect("a vector");
    let value = values::value_as("Welcome", &welcome.frame).expect("readable");
    let welcome = json!({
        "name": "welcome_v2_as_v1", "type": "Welcome", "version": 2,
        "body": hex::to_json(welcome.frame.body()), "value": value,
    });
    let text = valid::all().into_iter().find(|vector| vector.name == "send_text_v2").expect("a vector");
    let value = values::value_as("SendText", &text.frame).expect("readable");
    let text = json!({
        "name": "send_text_v2_as_v1", "type": "SendText", "version": 2,
        "body": hex::to_json(text.frame.body()), "value": value,
    });
    bodies.into_iter().map(entry).chain([welcome, text]).collect()
}

fn invalid_entry(vector: &invalid::Invalid) -> Value {
    let (kind, version) = kind_of(vector.root);
    json!({
        "name": vector.name, "type": vector.root, "kind": kind.0, "version": version,
        "body": hex::to_json(&vector.body), "why": vector.why,
        "lax": if vector.lax { "accept" } else { "refuse" },
        "strict": vector.code.word(), "path": vector.path,
    })
}

/// Frames that are refused for their header.
fn frames() -> Value {
    let good = Frame::build(Kind::HEARTBEAT, 1, 5, &[0; 8]).into_bytes().to_vec();
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let cases: [(&str, Vec<u8>, Value, &str); 10] = [
        ("header_cut", good[..15].to_vec(), json!({ "close": 1002 }), "15 bytes"),
        (
            "body_cut",
            good[..23].to_vec(),
            json!({ "close": 1002 }),
            "the last frame of a message is not whole",
        ),
        ("left_over", [&good[..], &[0]].concat(), json!({ "close": 1002 }), "a byte behind the frame"),
        ("over_kind_maximum", changed(0, 65), json!({ "close": 1009 }), "65 bytes; this kind has at most 64"),
        ("over_frame_maximum", changed(3, 1), json!({ "close": 1009 }), "16 MiB"),
        ("flag_1", changed(7, 2), json!({ "close": 1002 }), "an unknown flag bit"),
        ("flag_7", changed(7, 0x81), json!({ "close": 1002 }), "an unknown flag bit beside a known one"),
        ("stamp_cut", changed(7, 1), json!({ "close": 1002 }), "stamped, but shorter than a stamp"),
        ("version_0", changed(6, 0), json!({ "close": 1002 }), "version 0"),
        (
            "version_2",
            changed(6, 2),
            json!({ "reject": "unknown_version" }),
            "a version that is not known yet",
        ),
    ];
    let unknown = ("kind_unknown", changed(5, 0x7f), json!({ "reject": "unknown_kind" }), "kind 0x7f04");
    cases
        .into_iter()
        .chain([unknown])
        .map(|(name, bytes, strict, why)| {
            json!({ "name": name, "frame": hex::plain(&bytes), "strict": strict, "why": why })
        })
        .collect()
}

fn partitions() -> Value {
    let users = [1, 2, 3, 170, 4096, 1 << 53, 0x0123_4567_89ab_cdef, u64::MAX];
    let of_user = users.map(|user| {
        let partition = PartitionId::of_user(UserId(user));
        json!({
            "name": format!("user_{user}"), "user": user.to_string(), "mix64": mix64(user).to_string(),
            "partition": partition.0, "bay": partition.bay().0,
        })
    });
    let channels =
        [1, u128::from(u64::MAX), (5 << 64) | 9, (1 << 64) | 2, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210];
    let of_channel = channels.map(|channel| {
        let partition = PartitionId::of_channel(ChannelId(channel));
        json!({
            "name": format!("channel_{channel}"), "channel": channel.to_string(),
            "partition": partition.0, "bay": partition.bay().0,
        })
    });
    of_user.into_iter().chain(of_channel).collect()
}

fn channels() -> Value {
    let direct = [(1, 2), (2, 1), (170, u64::MAX)].map(|(a, b): (u64, u64)| {
        let channel = ChannelId::direct(UserId(a), UserId(b));
        json!({
            "name": format!("direct_{a}_{b}"), "users": [a.to_string(), b.to_string()],
            "channel": channel.to_string(),
        })
    });
    let group = [(1, 1), (170, 0x1122_3344_5566_7788), (u64::MAX, u64::MAX)].map(|(creator, send_id)| {
        let channel = ChannelId::group(UserId(creator), SendId(send_id));
        json!({
            "name": format!("group_{creator}_{send_id}"), "creator": creator.to_string(),
            "send_id": send_id.to_string(), "channel": channel.to_string(),
        })
    });
    direct.into_iter().chain(group).collect()
}

fn tokens() -> Value {
    let mut all = old_tokens();
    let key = Key { id: 7, secret: core::array::from_fn(|at| at as u8) };
    let claims = Claims {
        user: UserId(170),
        device: DeviceId(171),
        expires_ms: 1_790_000_000_000,
        issued_ms: 1_789_000_000_000,
    };
    let mut entry = |name: &str, token: String, now_ms: u64, verdict: &str| {
        all.push(json!({
            "name": name, "key_id": key.id, "secret": hex::plain(&key.secret), "user": claims.user.to_string(),
            "device": claims.device.to_string(), "expires_ms": claims.expires_ms.to_string(),
            "issued_ms": claims.issued_ms.to_string(), "token": token, "now_ms": now_ms.to_string(),
            "verdict": verdict,
        }));
    };
    let token = sign(&key, &claims);
    let other = Key { id: 8, ..key.clone() };
    let other_secret = Key { id: 7, secret: [9; 32] };
    entry("good_m2", token.clone(), claims.expires_ms - 1, "accept");
    entry("expired_m2", token.clone(), claims.expires_ms, "expired");
    entry("unknown_key_m2", sign(&other, &claims), 0, "unauthenticated");
    entry("forged_m2", sign(&other_secret, &claims), 0, "unauthenticated");
    entry("padded_m2", format!("{token}="), 0, "unauthenticated");
    entry("cut_m2", token[..94].to_owned(), 0, "unauthenticated");
    entry("m2_as_m1", token.replacen("m2", "m1", 1), 0, "unauthenticated");
    Value::Array(all)
}

/// Tokens of the first layout: they are still read, and made no more, so they stand here as they were.
fn old_tokens() -> Vec<Value> {
    let secret: [u8; 32] = core::array::from_fn(|at| at as u8);
    let good = "m1.BwAAAKoAAAAAAAAAqwAAAAAAAAAAbFDEoAEAAA.5iyWQm9H26qCQ_DA1CQi_QYN63jQThpxLFBfQ-JNYgs";
    let unknown = "m1.CAAAAKoAAAAAAAAAqwAAAAAAAAAAbFDEoAEAAA.5htTcHKlCgSfKC9OUrwdrcmauZWxvsLZaCVPF1y9fTQ";
    let forged = "m1.BwAAAKoAAAAAAAAAqwAAAAAAAAAAbFDEoAEAAA.NuG_9J1-rGRfz287dXxO-e-il_TQ52cylJ5ykq57EkQ";
    let entry = |name: &str, token: &str, now_ms: u64, verdict: &str| {
        json!({
            "name": name, "key_id": 7, "secret": hex::plain(&secret), "user": "170", "device": "171",
            "expires_ms": "1790000000000", "token": token, "now_ms": now_ms.to_string(), "verdict": verdict,
        })
    };
    vec![
        entry("good", good, 1_789_999_999_999, "accept"),
        entry("expired", good, 1_790_000_000_000, "expired"),
        entry("unknown_key", unknown, 0, "unauthenticated"),
        entry("forged", forged, 0, "unauthenticated"),
        entry("padded", &format!("{good}="), 0, "unauthenticated"),
        entry("cut", &good[..84], 0, "unauthenticated"),
    ]
}

fn websocket() -> Value {
    let key = Some([0x37, 0xfa, 0x21, 0x3d]);
    let data = |len: usize| {
        let (header, header_len) = encode_header(Opcode::Binary, len, None);
        [&header[..header_len], &vec![0x61; len]].concat()
    };
    let masked = vec![0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    let cases: Vec<(&str, Role, Vec<u8>)> = vec![
        ("binary", Role::Client, data(5)),
        ("binary_masked", Role::Server, masked),
        ("binary_126", Role::Client, data(126)),
        ("binary_65536", Role::Client, data(65_536)),
        ("fragmented", Role::Client, vec![0x02, 3, 1, 2, 3, 0x89, 0, 0x80, 2, 4, 5]),
        ("ping", Role::Client, ControlFrame::ping(b"Hello", None).as_bytes().to_vec()),
        ("pong_masked", Role::Server, ControlFrame::pong(b"Hello", key).as_bytes().to_vec()),
        ("close", Role::Client, ControlFrame::close(4001, "log in", None).as_bytes().to_vec()),
        ("close_masked", Role::Server, ControlFrame::close(1000, "bye", key).as_bytes().to_vec()),
        ("close_empty", Role::Client, vec![0x88, 0]),
        ("text", Role::Client, vec![0x81, 1, 0x61]),
        ("unmasked", Role::Server, vec![0x82, 1, 0x61]),
        ("masked_by_server", Role::Client, vec![0x82, 0x80, 1, 2, 3, 4]),
        ("reserved_bit", Role::Client, vec![0xc2, 0]),
        ("reserved_opcode", Role::Client, vec![0x83, 0]),
        ("fragmented_ping", Role::Client, vec![0x09, 0]),
        ("long_ping", Role::Client, vec![0x89, 126, 0, 126]),
        ("length_not_shortest", Role::Client, vec![0x82, 126, 0, 125]),
        ("length_top_bit", Role::Client, vec![0x82, 127, 0x80, 0, 0, 0, 0, 1, 0, 0]),
        ("too_big", Role::Client, vec![0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 1]),
        ("nothing_to_continue", Role::Client, vec![0x80, 0]),
        ("interleaved", Role::Client, vec![0x02, 0, 0x82, 0]),
        ("close_of_one_byte", Role::Client, vec![0x88, 1, 3]),
        ("close_1005", Role::Client, vec![0x88, 2, 0x03, 0xed]),
        ("close_not_utf8", Role::Client, vec![0x88, 3, 0x03, 0xe8, 0xff]),
    ];
    cases.into_iter().map(|(name, role, bytes)| websocket::entry(name, role, &bytes)).collect()
}

/// Refuses any change of what is stored; new names may come.
pub(crate) fn assert_only_grown(old: &Value, new: &Value) {
    let Value::Object(old) = old else { panic!("not an object") };
    for (section, entries) in old {
        let Value::Array(entries) = entries else {
            assert_eq!(entries, &new[section], "{section} has changed");
            continue;
        };
        let now = new[section].as_array().unwrap_or_else(|| panic!("section {section} is gone"));
        for entry in entries {
            let found = now.iter().find(|candidate| candidate["name"] == entry["name"]);
            assert_eq!(found, Some(entry), "{section}: a vector that exists may not change or go");
        }
    }
}

/// One entry a line, so that a diff shows names.
pub(crate) fn print(vectors: &Value) -> String {
    let empty = Map::new();
    let sections: Vec<String> = (vectors.as_object().unwrap_or(&empty).iter())
        .map(|(name, section)| match section {
            Value::Array(entries) => {
                let lines: Vec<String> = entries.iter().map(|entry| format!("    {entry}")).collect();
                format!("  \"{name}\": [\n{}\n  ]", lines.join(",\n"))
            }
            other => format!("  \"{name}\": {other}"),
        })
        .collect();
    format!("{{\n{}\n}}\n", sections.join(",\n"))
}

/// The kinds of the layout section, to see that none is missing.
pub(crate) fn kinds() -> Vec<u16> {
    KINDS.iter().map(|(kind, _)| kind.0).collect()
}
