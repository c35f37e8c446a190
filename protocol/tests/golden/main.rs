//! Golden vectors: protocol/vectors.json says what the bytes are, for ever and for every language.
//!
//! `MARU_BLESS=1` adds vectors that are new in the code to the file, and writes the generated parts of
//! docs/protocol.md. It never changes a vector that is there.

// What a lint forbids in code that meets input is how a test fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::disallowed_methods)]

mod by_hand;
mod docs;
mod hex;
mod invalid;
mod random;

mod valid;
mod values;
mod vectors;
mod websocket;

use std::path::Path;

use bytes::Bytes;
use protocol::body::{check, is_readable};
use protocol::token::{Key, verify};
use protocol::{ChannelId, Frame, Kind, PartitionId, SendId, UserId};
use serde_json::{Value, json};

fn blessed() -> bool {
    std::env::var_os("MARU_BLESS").is_some_and(|value| value == "1")
}

/// At once, because other tests read the file meanwhile.
fn replace_file(path: &Path, text: &str) {
    let fresh = path.with_extension("fresh");
    std::fs::write(&fresh, text).unwrap();
    std::fs::rename(&fresh, path).unwrap();
}

/// The entries of a section of the file, which must not be empty.
fn section(name: &str) -> Vec<Value> {
    let entries = vectors::stored()[name].as_array().cloned().unwrap_or_default();
    assert!(!entries.is_empty(), "vectors.json has no section {name}; MARU_BLESS=1 writes it");
    entries
}

fn number<T: core::str::FromStr>(value: &Value) -> T {
    value.as_str().and_then(|text| text.parse().ok()).expect("a decimal string")
}

#[test]
fn the_file_is_what_the_code_says() {
    let (stored, generated) = (vectors::stored(), vectors::generated());
    vectors::assert_only_grown(&stored, &generated);
    if blessed() && stored != generated {
        replace_file(&vectors::path(), &vectors::print(&generated));
        return;
    }
    assert!(stored == generated, "the code has new vectors; MARU_BLESS=1 adds them to vectors.json");
}

#[test]
fn a_changed_or_lost_vector_is_refused() {
    let old = json!({ "valid": [{ "name": "a", "body": "00" }] });
    let grown = json!({ "valid": [{ "name": "b", "body": "02" }, { "name": "a", "body": "00" }], "new": [] });
    vectors::assert_only_grown(&old, &grown);
    for bad in [
        json!({ "valid": [{ "name": "a", "body": "01" }] }),
        json!({ "valid": [{ "name": "b", "body": "00" }] }),
        json!({ "valid": [] }),
        json!({}),
    ] {
        let refused = std::panic::catch_unwind(|| vectors::assert_only_grown(&old, &bad));
        assert!(refused.is_err(), "{bad}");
    }
}

#[test]
fn names_are_unique_and_every_kind_has_a_layout_and_a_vector() {
    for name in ["layout", "valid", "invalid", "frames", "websocket"] {
        let mut names: Vec<String> = section(name).iter().map(|entry| entry["name"].to_string()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{name}");
    }
    for kind in vectors::kinds() {
        for name in ["layout", "valid"] {
            assert!(section(name).iter().any(|entry| entry["kind"] == kind), "{name} lacks {kind:#06x}");
        }
    }
}

#[test]
fn valid_vectors_both_ways() {
    for entry in section("valid") {
        let name = &entry["name"];
        let root = entry["type"].as_str().unwrap();
        let frame = Frame::new(Bytes::from(hex::from_json(&entry["frame"]))).unwrap();
        let body = hex::from_json(&entry["body"]);
        // Bytes to value.
        assert_eq!(check(&frame), Ok(()), "{name}");
        assert_eq!(frame.body(), body, "{name}");
        assert_eq!(values::value_of(&frame).as_ref(), Some(&entry["value"]), "{name}");
        assert_eq!((frame.kind(), frame.header().version), vectors::kind_of(root), "{name}");
        let stamp = frame.read_stamp().map(|stamp| {
            json!({
                "seq": stamp.seq.to_string(), "time_ms": stamp.time_ms.to_string(),
                "sender": stamp.sender.to_string(),
            })
        });
        assert_eq!(stamp.as_ref(), entry.get("stamp"), "{name}");
        // Value to bytes, by rkyv and by the rules of the page.
        let again = values::frame_of(root, number(&entry["id"]), &entry["value"]);
        assert!(again.body() == body, "{name}: rkyv writes other bytes");
        if stamp.is_none() {
            assert!(again == frame, "{name}: another header");
        }
        assert!(by_hand::encode(root, &entry["value"]).bytes == body, "{name}: the page's rules differ");
    }
}

#[test]
fn newer_bodies_are_read_as_the_old_version() {
    for entry in section("newer") {
        let root = entry["type"].as_str().unwrap();
        let (kind, _) = vectors::kind_of(root);
        let frame = Frame::build(kind, 2, 5, &hex::from_json(&entry["body"]));
        assert_eq!(values::value_as(root, &frame).as_ref(), Some(&entry["value"]), "{}", entry["name"]);
        let verdict = check(&frame).map_err(|refusal| refusal.code);
        // The others are made up, and no server takes them.
        let is_real = entry["name"].as_str().is_some_and(|name| name.ends_with("_v2_as_v1"));
        assert_eq!(verdict.is_ok(), is_real, "{}", entry["name"]);
    }
}

#[test]
fn invalid_vectors_have_their_verdicts() {
    for entry in section("invalid") {
        let name = &entry["name"];
        let (kind, version) = vectors::kind_of(entry["type"].as_str().unwrap());
        let frame = Frame::build(kind, version, 5, &hex::from_json(&entry["body"]));
        let lax = if is_readable(&frame) { "accept" } else { "refuse" };
        let refusal = check(&frame).expect_err("an invalid vector");
        assert_eq!(
            (lax, refusal.code.word(), refusal.path.as_str()),
            (
                entry["lax"].as_str().unwrap(),
                entry["strict"].as_str().unwrap(),
                entry["path"].as_str().unwrap()
            ),
            "{name}: {refusal:?}"
        );
        assert!(!refusal.text.contains("0x"), "{name}: {}", refusal.text);
    }
}

#[test]
fn frames_have_their_verdicts() {
    for entry in section("frames") {
        let verdict = match Frame::new(Bytes::from(hex::from_json(&entry["frame"]))) {
            Err(fault) => json!({ "close": fault.close_code().number() }),
            Ok(frame) => json!({ "reject": check(&frame).expect_err("an invalid frame").code.word() }),
        };
        assert_eq!(verdict, entry["strict"], "{}", entry["name"]);
    }
}

#[test]
fn places_and_channels() {
    for entry in section("partition") {
        let partition = match entry.get("user") {
            Some(user) => PartitionId::of_user(UserId(number(user))),
            None => PartitionId::of_channel(ChannelId(number(&entry["channel"]))),
        };
        assert_eq!(json!(partition.0), entry["partition"], "{}", entry["name"]);
        assert_eq!(json!(partition.bay().0), entry["bay"], "{}", entry["name"]);
    }
    for entry in section("channel") {
        let channel = match entry.get("users") {
            Some(users) => ChannelId::direct(UserId(number(&users[0])), UserId(number(&users[1]))),
            None => ChannelId::group(UserId(number(&entry["creator"])), SendId(number(&entry["send_id"]))),
        };
        assert_eq!(channel, ChannelId(number(&entry["channel"])), "{}", entry["name"]);
        assert!(channel.is_well_formed());
    }
}

#[test]
fn tokens_have_their_verdicts() {
    for entry in section("token") {
        let secret = hex::from_json(&entry["secret"]).try_into().unwrap();
        let key = Key { id: entry["key_id"].as_u64().unwrap() as u32, secret };
        let outcome = verify(&[key], entry["token"].as_str().unwrap(), number(&entry["now_ms"]));
        let verdict = match outcome {
            Err(fault) => fault.refusal().code.word(),
            Ok(claims) => {
                assert_eq!(claims.user, UserId(number(&entry["user"])));
                assert_eq!(claims.device.to_string(), entry["device"].as_str().unwrap());
                assert_eq!(claims.expires_ms, number::<u64>(&entry["expires_ms"]));
                assert_eq!(claims.issued_ms, entry.get("issued_ms").map_or(0, number::<u64>));
                "accept"
            }
        };
        assert_eq!(verdict, entry["verdict"], "{}", entry["name"]);
    }
}

#[test]
fn websocket_vectors_have_their_events() {
    for entry in section("websocket") {
        let (events, close) = websocket::decode(websocket::role_of(&entry), &hex::from_json(&entry["bytes"]));
        assert_eq!(json!(events), entry["events"], "{}", entry["name"]);
        assert_eq!(json!(close), entry["close"], "{}", entry["name"]);
    }
}

#[test]
fn the_page_is_what_the_code_says() {
    docs::check(blessed());
}

#[test]
fn kinds_have_unique_names() {
    let mut names: Vec<&str> = Kind::ALL.iter().map(|(_, name)| *name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Kind::ALL.len());
}
