//! What operators see of users and channels, at the admin listener.

use protocol::limits::{DEVICES_MAX, EDITS_MAX, GROUP_MEMBERS_MAX, LIST_ITEMS_MAX, NAME_CHARS_MAX};
use serde_json::{Value, json};

use super::channels::{channel_id, limit, seq, word};
use super::schema::{Field, flag, id, list, named, nullable, number, object, request, said, text, time_ms};
use super::{Operation, Section, trace};
use crate::name::RAW_CHARS_MAX;
use crate::routes::{QUOTA_MIB_MAX, QUOTA_TIMES_MAX};

const ID: &str = "7310442183966793728";

pub(super) fn section() -> Section {
    Section {
        tag: "the operators' view",
        about: "Users, their devices, sessions and channels as operators see them. What was said is not shown, but how edited texts read before, where the server's `show_edits` says so.",
        operations: vec![
            users(),
            user(),
            user_by_name(),
            set_quota(),
            channels(),
            channel(),
            edits(),
            trace::trace(),
        ],
        schemas: [("SeenUser", object(account(), Vec::new())), ("SeenUserWhole", seen()), ("Quota", quota())]
            .into_iter()
            .chain(trace::schemas())
            .collect(),
    }
}

fn users() -> Operation {
    let users = list(named("SeenUser"), LIST_ITEMS_MAX as usize);
    let next = said(id(), "There may be more: give it as `after`.");
    paged(Operation::new("GET", "/v1/admin/users", "listUsers", "List users"), id(), ID).gives(
        200,
        "A page, oldest first.",
        object(vec![("users", users)], vec![("next", next)]),
    )
}

/// All that is shown of one.
fn seen() -> Value {
    let device = object(
        vec![("device", id()), ("name", text(0, 100)), ("created_ms", time_ms()), ("seen_ms", time_ms())],
        Vec::new(),
    );
    let identity = object(vec![("issuer", text(1, 1000)), ("subject", text(1, 1000))], Vec::new());
    let session = object(
        vec![
            ("device", id()),
            ("transport", word(&["websocket", "quic", "poll"])),
            ("silent_ms", said(number(0, u64::MAX >> 1), "How long nothing came from it.")),
            ("waiting_bytes", said(number(0, u64::MAX >> 1), "Wait to be written to it.")),
            ("behind", said(number(0, u64::MAX >> 1), "Messages that it was not sent yet.")),
            ("expires_ms", time_ms()),
        ],
        Vec::new(),
    );
    let count = || nullable(number(0, u64::MAX >> 1));
    let left = object(vec![("groups", count()), ("directs", count()), ("bytes", count())], Vec::new());
    let mut fields = account();
    fields.extend([
        ("has_password", flag()),
        ("bot", flag()),
        ("owner", said(nullable(id()), "Of a bot that a user made.")),
        (
            "not_before_ms",
            said(time_ms(), "Tokens from before it count no more; 0: never logged out everywhere."),
        ),
        ("devices", list(device, DEVICES_MAX)),
        ("identities", list(identity, 1000)),
        ("shard", said(number(0, 1023), "The user's home.")),
        ("inbox_head", said(nullable(seq()), "The inbox's newest position; null while it is not in memory.")),
        ("sessions", said(list(session, DEVICES_MAX), "Devices that are connected now.")),
        ("quota", said(named("Quota"), "Bounds of the user's own; null: the server's setting.")),
        ("left", said(left, "What the user may still do within the hour; null: any number.")),
    ]);
    object(fields, Vec::new())
}

fn user() -> Operation {
    see("/v1/admin/users/{id}", "seeUser", "See one user").in_path("id", id(), ID)
}

fn user_by_name() -> Operation {
    see("/v1/admin/users/by-name/{name}", "seeUserByName", "See one user by name").in_path(
        "name",
        text(1, RAW_CHARS_MAX),
        "ada",
    )
}

fn see(path: &'static str, id: &'static str, words: &'static str) -> Operation {
    let answer = named("SeenUserWhole");
    Operation::new("GET", path, id, words)
        .operator("users")
        .gives(200, "The user.", answer)
        .refuses(&["not_found"])
}

/// Each stands in for the setting `user_...`.
fn bounds() -> Vec<Field> {
    let times = || number(0, QUOTA_TIMES_MAX.into());
    vec![
        ("groups_per_h", said(times(), "Groups that the user may make in an hour; 0: any number.")),
        ("directs_per_h", said(times(), "Direct channels that it may begin; 0: any number.")),
        ("mib_per_h", said(number(0, QUOTA_MIB_MAX.into()), "Mebibytes of messages; 0: any number.")),
    ]
}

fn quota() -> Value {
    object(bounds().into_iter().map(|(name, bound)| (name, nullable(bound))).collect(), Vec::new())
}

fn set_quota() -> Operation {
    Operation::new("PUT", "/v1/admin/users/{id}/quota", "setQuota", "Bound what one user may do in an hour")
        .operator("users")
        .about("All three: what is left out is the server's setting from now on. What was spent within the hour stays spent.")
        .in_path("id", id(), ID)
        .body(request(Vec::new(), bounds()), json!({ "groups_per_h": 1000, "mib_per_h": 0 }))
        .gives(200, "The user's own bounds.", named("Quota"))
        .refuses(&["not_found"])
        .stores()
}

fn channels() -> Operation {
    let item = object(
        vec![
            ("channel", channel_id()),
            ("kind", kind()),
            ("name", text(0, NAME_CHARS_MAX)),
            ("joined", seq()),
            ("left", nullable(seq())),
            ("head", said(seq(), "The newest that the user may read.")),
            ("read", said(seq(), "How far the user has read; 0 for nothing.")),
            ("unread", number(0, u64::MAX >> 1)),
        ],
        Vec::new(),
    );
    let next = said(channel_id(), "More follow: give it as `after`.");
    let page = object(vec![("channels", list(item, LIST_ITEMS_MAX as usize))], vec![("next", next)]);
    let operation =
        Operation::new("GET", "/v1/admin/users/{id}/channels", "seeUserChannels", "List a user's channels");
    paged(operation, channel_id(), ID)
        .about("Those that the user has left, too.")
        .in_path("id", id(), ID)
        .gives(200, "A page, by the channel's id.", page)
        .refuses(&["not_found"])
}

fn channel() -> Operation {
    let member = object(
        vec![
            ("user", id()),
            ("role", word(&["member", "admin", "owner"])),
            ("joined", seq()),
            ("read", seq()),
        ],
        Vec::new(),
    );
    let fields = vec![
        ("channel", channel_id()),
        ("kind", kind()),
        ("name", said(text(0, NAME_CHARS_MAX), "A group's.")),
        ("head", said(seq(), "The newest message.")),
        ("time_ms", said(time_ms(), "When it was stored.")),
        (
            "members",
            said(list(member, GROUP_MEMBERS_MAX), "Those of now; of a large channel the first 500 by id."),
        ),
    ];
    Operation::new("GET", "/v1/admin/channels/{id}", "seeChannel", "See a channel and its members")
        .operator("users")
        .in_path("id", channel_id(), ID)
        .gives(200, "The channel.", object(fields, Vec::new()))
        .refuses(&["not_found"])
}

fn edits() -> Operation {
    let messages = list(super::channels::message(), 1 + EDITS_MAX);
    Operation::new(
        "GET",
        "/v1/admin/channels/{id}/messages/{seq}/edits",
        "listEdits",
        "See how an edited text read before",
    )
    .about("The text as it was sent, and each edit of it. Of one that was recalled nothing is left.")
    .operator("all")
    .in_path("id", channel_id(), ID)
    .in_path("seq", said(text(1, 16), "The text's seq."), "1")
    .gives(
        200,
        "The text and its edits, the oldest first.",
        object(vec![("channel", channel_id()), ("messages", messages)], Vec::new()),
    )
    .refuses(&["edits_off", "not_found"])
}

fn paged(operation: Operation, after: Value, example: &'static str) -> Operation {
    operation
        .operator("users")
        .in_query("after", said(after, "`next` of the page before."), example)
        .in_query("limit", limit(LIST_ITEMS_MAX), "100")
}

fn account() -> Vec<Field> {
    vec![("user", id()), ("name", text(1, NAME_CHARS_MAX)), ("created_ms", time_ms())]
}

pub(super) fn kind() -> Value {
    word(&["direct", "group", "own"])
}
