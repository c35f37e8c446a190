//! Channels whose history has a RocksDB family of its own.

use serde_json::{Value, json};

use super::channels::{channel_id, seq};
use super::schema::{flag, letters, list, nullable, number, object, request, said};
use super::{Operation, Section};
use crate::homes::FAMILIES_MAX;

pub(super) fn section() -> Section {
    Section {
        tag: "families",
        about: "Channels whose history has a RocksDB family of its own, with compaction of its own.",
        operations: vec![all(), give(), give_back()],
        schemas: Vec::new(),
    }
}

fn all() -> Operation {
    let family = object(
        vec![
            ("channel", channel_id()),
            ("name", said(letters("a-z0-9", 4, 5), "The family's name in the store.")),
            ("from", said(seq(), "Its first message. Those before it stand in the hashed family still.")),
            (
                "until",
                said(nullable(seq()), "The first message behind it; null while new messages go there."),
            ),
            ("moving", said(flag(), "Whether messages are still being moved.")),
            ("bytes", said(number(0, u64::MAX >> 1), "In files and in memory.")),
        ],
        Vec::new(),
    );
    let families = object(vec![("families", list(family, FAMILIES_MAX))], Vec::new());
    Operation::new(
        "GET",
        "/v1/admin/families",
        "listFamilies",
        "List the channels with a family of their own",
    )
    .operator("all")
    .gives(200, "All of them, by the channel's id.", families)
}

fn give() -> Operation {
    Operation::new("POST", "/v1/admin/families/give", "giveFamily", "Give a channel a family of its own")
        .about("New messages go there at once; those that are there are moved while everything goes on.")
        .operator("all")
        .body(named(), example())
        .gives_nothing("It has one.")
        .refuses(&["not_found", "family_unchanged", "too_many_families", "storage_full"])
}

fn give_back() -> Operation {
    Operation::new("POST", "/v1/admin/families/return", "returnFamily", "Let a channel give its family back")
        .about("Its messages are moved back while everything goes on, and then the family is dropped.")
        .operator("all")
        .body(named(), example())
        .gives_nothing("The channel is on its way back.")
        .refuses(&["not_found", "family_unchanged", "storage_full"])
}

fn named() -> Value {
    request(vec![("channel", channel_id())], Vec::new())
}

fn example() -> Value {
    json!({ "channel": "7310442183966793728" })
}
