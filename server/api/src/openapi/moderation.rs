//! What is laid down for groups, and reports of messages: those of users, and the operators' queue.

use protocol::body::rules::MUTED_FOR_EVER_S;
use protocol::limits::{LIST_ITEMS_MAX, MUTE_S_MAX, SLOW_S_MAX, U53_MAX};
use serde_json::{Value, json};

use super::channels::{channel_id, limit, seq, word};
use super::schema::{flag, id, list, named, nullable, number, object, request, said, text, time_ms};
use super::{Operation, Section};
use crate::accounts::{Outcome, REASON_CHARS_MAX};
use crate::idempotency;

const ID: &str = "7310442183966793728";

pub(super) fn section() -> Section {
    Section {
        tag: "moderation",
        about: "Mutes, bans and slow mode of groups, laid down by their owners and admins as messages of the group; and reports of messages to the operators.",
        operations: vec![
            rules(),
            lays("PUT", "/v1/channels/{id}/mutes/{user}", "mute", "Let a member read and not send")
                .about("It outlives the membership: who leaves and comes back is still muted.")
                .in_path("user", id(), ID)
                .body(request(Vec::new(), vec![("for_s", for_s())]), json!({ "for_s": 600 })),
            lays("DELETE", "/v1/channels/{id}/mutes/{user}", "unmute", "Let a member send again")
                .in_path("user", id(), ID),
            lays("PUT", "/v1/channels/{id}/bans/{user}", "ban", "Remove a user from a group for good")
                .about("A member or not. Nobody can add or invite the user until the ban is lifted, and invitations of before are void.")
                .in_path("user", id(), ID),
            lays("DELETE", "/v1/channels/{id}/bans/{user}", "unban", "Lift a ban").in_path("user", id(), ID),
            lays("PUT", "/v1/channels/{id}/slow", "slowDown", "Let members send a text only now and then")
                .about("Owners and admins are not bound by it.")
                .body(
                    object(vec![("interval_s", said(number(0, SLOW_S_MAX.into()), "Seconds; 0: no wait."))], Vec::new()),
                    json!({ "interval_s": 30 }),
                ),
            lays("DELETE", "/v1/channels/{id}/slow", "speedUp", "End slow mode"),
            report(),
            list_reports(),
            close_report(),
        ],
        schemas: vec![("Report", reported())],
    }
}

fn for_s() -> Value {
    let words = format!("Seconds, at most {MUTE_S_MAX}; absent or {MUTED_FOR_EVER_S}: until it is lifted.");
    said(number(1, MUTED_FOR_EVER_S.into()), &words)
}

fn rules() -> Operation {
    let user = object(
        vec![
            ("user", id()),
            ("muted_until_ms", said(number(0, U53_MAX), "0: not muted; 2^53 - 1: until it is lifted.")),
            ("banned", flag()),
        ],
        Vec::new(),
    );
    let next = said(text(1, 39), "There may be more: go on from here.");
    Operation::new("GET", "/v1/channels/{id}/rules", "listRules", "What is laid down for a group")
        .about("An owner or admin is told of everybody who is muted or banned, a member of itself.")
        .bearer()
        .in_path("id", channel_id(), ID)
        .in_query("after", said(id(), "`next` of the page before."), ID)
        .in_query("limit", limit(LIST_ITEMS_MAX), "100")
        .gives(
            200,
            "A page, by rising id.",
            object(
                vec![
                    ("interval_s", said(number(0, SLOW_S_MAX.into()), "Slow mode; 0: none.")),
                    ("users", list(user, LIST_ITEMS_MAX as usize)),
                ],
                vec![("next", next)],
            ),
        )
        .refuses(&["scope", "not_found", "rate"])
}

fn lays(method: &'static str, path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(method, path, id, summary)
        .bearer()
        .in_path("id", channel_id(), ID)
        .in_header(
            idempotency::HEADER,
            text(1, idempotency::KEY_CHARS_MAX),
            "8e03978e-40d5-43dd-bc93-6894a57f9324",
        )
        .gives(200, "It is on stable storage.", named("Sent"))
        .refuses(&["scope", "not_allowed", "not_found", "rate"])
        .refuses(&["idempotency_key_needed", "idempotency_key_reused"])
        .stores()
}

fn report() -> Operation {
    let reason = said(text(1, REASON_CHARS_MAX), "Why, for the operators.");
    Operation::new("POST", "/v1/channels/{id}/messages/{seq}/report", "report", "Report a message")
        .about("A message that one may read, of somebody else. Once more is the same report.")
        .bearer()
        .in_path("id", channel_id(), ID)
        .in_path("seq", said(text(1, 16), "The message's seq."), "1")
        .body(object(vec![("reason", reason)], Vec::new()), json!({ "reason": "It is spam." }))
        .gives(201, "The operators will see it.", object(vec![("report", id())], Vec::new()))
        .refuses(&["scope", "not_found", "rate"])
        .stores()
}

fn list_reports() -> Operation {
    let reports = list(named("Report"), LIST_ITEMS_MAX as usize);
    let next = said(id(), "There may be more: give it as `after`.");
    Operation::new("GET", "/v1/admin/reports", "listReports", "List reports of messages")
        .operator("users")
        .in_query("state", word(&["open", "closed", "all"]), "open")
        .in_query("after", id(), ID)
        .in_query("limit", limit(LIST_ITEMS_MAX), "100")
        .gives(200, "A page, oldest first.", object(vec![("reports", reports)], vec![("next", next)]))
}

fn close_report() -> Operation {
    let note = said(text(0, REASON_CHARS_MAX), "For other operators.");
    Operation::new("POST", "/v1/admin/reports/{id}/close", "closeReport", "Close a report")
        .operator("users")
        .in_path("id", id(), ID)
        .body(
            request(vec![("outcome", outcome())], vec![("note", note)]),
            json!({ "outcome": "upheld", "note": "The message was recalled." }),
        )
        .gives(200, "It is closed.", named("Report"))
        .refuses(&["not_found", "report_closed"])
        .stores()
}

fn outcome() -> Value {
    word(&Outcome::ALL.map(Outcome::word))
}

fn reported() -> Value {
    let closed = object(
        vec![
            ("at_ms", time_ms()),
            ("by", said(number(0, u32::MAX.into()), "The number of the operator's token.")),
            ("outcome", outcome()),
            ("note", text(0, REASON_CHARS_MAX)),
        ],
        Vec::new(),
    );
    object(
        vec![
            ("report", id()),
            ("reporter", said(nullable(id()), "Who; null: the server's list of words.")),
            ("channel", channel_id()),
            ("seq", seq()),
            ("sender", said(id(), "Who sent the message.")),
            ("reason", text(0, REASON_CHARS_MAX)),
            ("made_ms", time_ms()),
            ("closed", said(nullable(closed), "Null: it is open.")),
        ],
        Vec::new(),
    )
}
