//! Channels, what was said there, and saying something.

use protocol::limits::{
    EDITS_MAX, EMOJI_BYTES_MAX, LIST_ITEMS_MAX, MENTIONS_MAX, MENTIONS_PAGE_MAX, PAGE_MESSAGES_MAX, PINS_MAX,
    REACTIONS_MAX, REACTIONS_OWN_MAX, SLOW_S_MAX, TEXT_CHARS_MAX,
};
use serde_json::{Value, json};

use super::schema::{Field, flag, id, list, named, number, object, request, said, text, time_ms};
use super::{Operation, Section};
use crate::idempotency;
use crate::name::RAW_CHARS_MAX;

pub(super) fn section() -> Section {
    Section {
        tag: "channels",
        about: "Conversations without a connection: a device's access token opens all of it, a bot's what its scopes say.",
        operations: vec![
            all(),
            one(),
            members(),
            messages(),
            thread(),
            said_about(),
            mentions(),
            receipts(),
            mark_read(),
            sends("/v1/channels/{id}/messages", "send", "Say something in a channel", channel_id()),
            sends("/v1/users/{id}/messages", "sendToUser", "Say something to a person", id()),
            edits(),
            recalls(),
            reacts("PUT", "react", "React to a text", "Once more changes nothing."),
            reacts("DELETE", "takeBackReaction", "React to a text no more", "What is not there is no fault."),
        ],
        schemas: vec![("Channel", channel()), ("Message", message()), ("Sent", sent())],
    }
}

fn all() -> Operation {
    let channels = list(named("Channel"), LIST_ITEMS_MAX as usize);
    let position = || said(text(3, 40), "A position in the inbox.");
    let more = vec![
        (
            "cursor",
            said(position(), "With an order: the page is as of here; ask for what `changed` behind it."),
        ),
        (
            "needs_snapshot",
            said(flag(), "Too much has changed to tell, or the inbox has another life: ask for all."),
        ),
    ];
    reads("/v1/channels", "listChannels", "List one's channels")
        .about(
            "With an `order` also what a first screen shows of each, in at most 100,000 bytes on the wire.",
        )
        .in_query(
            "order",
            said(
                word(&["id", "recent", "changed"]),
                "By id; pinned ones and then the newest first; what changed behind `at`.",
            ),
            "recent",
        )
        .in_query(
            "at",
            said(
                position(),
                "`next` of the page before in the order `recent`; `cursor` in the order `changed`.",
            ),
            "1.42",
        )
        .in_query("after", said(channel_id(), "`next` of the page before, by id."), "7310442183966793728")
        .in_query("limit", limit(LIST_ITEMS_MAX), "100")
        .gives(200, "A page, in the order asked for.", page_with("channels", channels, Vec::new(), more))
}

fn one() -> Operation {
    reads("/v1/channels/{id}", "findChannel", "Look at one channel")
        .in_path("id", channel_id(), "7310442183966793728")
        .gives(200, "The channel.", named("Channel"))
        .refuses(&["not_found"])
}

fn members() -> Operation {
    let member = object(
        vec![("user", id()), ("role", word(&["member", "admin", "owner"])), ("joined", seq())],
        Vec::new(),
    );
    reads("/v1/channels/{id}/members", "listMembers", "List the members of a channel")
        .in_path("id", channel_id(), "7310442183966793728")
        .in_query("after", said(id(), "`next` of the page before."), "7310442183966793728")
        .in_query("limit", limit(LIST_ITEMS_MAX), "100")
        .gives(
            200,
            "A page, by rising id.",
            page("members", list(member, LIST_ITEMS_MAX as usize), Vec::new()),
        )
        .refuses(&["not_found"])
}

fn receipts() -> Operation {
    let read = said(seq(), "Read up to here; 0 for nothing.");
    let delivered = said(seq(), "Its devices hold everything up to here.");
    let item = object(vec![("user", id()), ("read", read), ("delivered", delivered)], Vec::new());
    reads("/v1/channels/{id}/receipts", "listReceipts", "How far the members of a channel have come")
        .about("Without those whose `receipts` is `nobody`; whose own is sees its own alone.")
        .in_path("id", channel_id(), "7310442183966793728")
        .in_query("after", said(id(), "`next` of the page before."), "7310442183966793728")
        .in_query("limit", limit(LIST_ITEMS_MAX), "100")
        .gives(
            200,
            "A page, by rising id.",
            page("receipts", list(item, LIST_ITEMS_MAX as usize), Vec::new()),
        )
        .refuses(&["not_found"])
}

fn mark_read() -> Operation {
    Operation::new("POST", "/v1/channels/{id}/read", "markRead", "Say how far one has read a channel")
        .about("It never moves back: a smaller seq than before changes nothing.")
        .bearer()
        .in_path("id", channel_id(), "7310442183966793728")
        .body(
            object(vec![("seq", said(seq(), "At most the newest message."))], Vec::new()),
            json!({ "seq": 1 }),
        )
        .gives_nothing("It is on stable storage.")
        .refuses(&["scope", "not_found", "rate"])
        .stores()
}

fn messages() -> Operation {
    let seq_text = |words: &str| said(text(1, 16), words);
    let messages = list(named("Message"), PAGE_MESSAGES_MAX as usize);
    let more = vec![("channel", channel_id()), ("from", seq()), ("to", seq()), ("head", seq())];
    let beside = vec![
        ("pivot", said(seq(), "Around a place: where it is; above `head` when nothing is there.")),
        ("more_before", said(flag(), "Around a place: more may be read below `from`.")),
        ("more_after", said(flag(), "Around a place: more may be read above `to`.")),
    ];
    reads("/v1/channels/{id}/messages", "listMessages", "Read what was said in a channel")
        .about("The newest, those before a seq, or those after one; `next` goes on in the same direction. Or those around a place, half of them before it: the first of `around`, `at_ms` and `first_unread` counts, and `before` and `after` then do not.")
        .in_query("around", seq_text("Messages around this seq."), "50")
        .in_query("at_ms", said(text(1, 16), "Messages around the first at or after this time, in milliseconds since the Unix epoch."), "1790000000000")
        .in_query("first_unread", said(word(&["true", "false"]), "Messages around the first that was not read."), "true")
        .in_path("id", channel_id(), "7310442183966793728")
        .in_query("before", seq_text("Messages with a smaller seq."), "100")
        .in_query("after", seq_text("Messages with a larger seq, the oldest of them."), "1")
        .in_query("limit", limit(PAGE_MESSAGES_MAX), "50")
        .gives(200, "A page, by rising seq.", page_with("messages", messages, more, beside))
        .refuses(&["not_found"])
}

fn thread() -> Operation {
    let seq_text = |words: &str| said(text(1, 16), words);
    let messages = list(named("Message"), PAGE_MESSAGES_MAX as usize);
    let more = vec![
        ("channel", channel_id()),
        ("root", seq()),
        ("from", seq()),
        ("to", seq()),
        ("newest", said(seq(), "The newest of the thread; 0 for none.")),
        ("total", said(number(0, u32::MAX.into()), "Messages in it; 1,000 stands for 1,000 or more.")),
    ];
    reads("/v1/channels/{id}/thread", "listThread", "Read a thread")
        .about("What was said in the thread that begins with the message `root`, which is not on the page itself.")
        .in_path("id", channel_id(), "7310442183966793728")
        .in_query_always("root", seq_text("The seq with which the thread begins."), "1")
        .in_query("before", seq_text("Messages with a smaller seq."), "100")
        .in_query("after", seq_text("Messages with a larger seq, the oldest of them."), "1")
        .in_query("limit", limit(PAGE_MESSAGES_MAX), "50")
        .gives(200, "A page, by rising seq.", page("messages", messages, more))
        .refuses(&["not_found"])
}

fn said_about() -> Operation {
    let seq_text = |words: &str| said(text(1, 16), words);
    let users = list(id(), protocol::limits::GROUP_MEMBERS_MAX * REACTIONS_OWN_MAX);
    let reaction = object(
        vec![
            ("emoji", text(1, EMOJI_BYTES_MAX)),
            ("count", number(0, u32::MAX.into())),
            ("own", said(flag(), "The caller is among them.")),
            ("users", said(users, "Who; empty unless `who` was asked for.")),
        ],
        Vec::new(),
    );
    let message = object(
        vec![
            ("seq", seq()),
            ("edited", said(seq(), "The newest edit; 0 for none.")),
            ("edits", number(0, EDITS_MAX as u64)),
            (
                "text",
                said(
                    text(0, TEXT_CHARS_MAX),
                    "How it reads now; empty when it was not edited, or with `who`.",
                ),
            ),
            ("reactions", list(reaction, REACTIONS_MAX)),
        ],
        Vec::new(),
    );
    let pin = object(vec![("seq", seq()), ("by", said(seq(), "The message that pinned it."))], Vec::new());
    let more = vec![("channel", channel_id()), ("from", seq()), ("to", seq()), ("pins", list(pin, PINS_MAX))];
    reads("/v1/channels/{id}/about", "listAbout", "What is said about messages")
        .about("Edits, reactions and pins as they add up now. Messages of which nothing is said are left out; of those from before the caller's present stay nothing is told.")
        .in_path("id", channel_id(), "7310442183966793728")
        .in_query("from", seq_text("The first message; `next` of the page before."), "1")
        .in_query("through", seq_text("The last message."), "200")
        .in_query("who", said(word(&["true", "false"]), "Who reacted, and not how texts read now."), "true")
        .in_query("limit", limit(PAGE_MESSAGES_MAX), "50")
        .gives(200, "A page, by rising seq.", page("messages", list(message, PAGE_MESSAGES_MAX as usize), more))
        .refuses(&["not_found"])
}

fn mentions() -> Operation {
    let most = MENTIONS_PAGE_MAX as usize;
    let mention = object(
        vec![
            ("at", said(number(0, protocol::limits::U53_MAX), "What `before` takes.")),
            ("channel", channel_id()),
            ("seq", seq()),
            ("time_ms", time_ms()),
            ("sender", id()),
        ],
        Vec::new(),
    );
    let count = said(number(0, u32::MAX.into()), "100 stands for 100 or more.");
    let unread = list(object(vec![("channel", channel_id()), ("unread", count)], Vec::new()), most);
    reads("/v1/mentions", "listMentions", "List what mentions one")
        .in_query("before", said(text(1, 16), "`next` of the page before."), "100")
        .in_query("limit", limit(MENTIONS_PAGE_MAX), "50")
        .gives(
            200,
            "A page, the newest first.",
            page("mentions", list(mention, most), vec![("unread", unread)]),
        )
}

/// What a text is about besides its words.
fn about() -> Vec<Field> {
    vec![
        ("reply_to", said(seq(), "The message of the channel that it answers.")),
        ("thread", said(seq(), "The message of the channel with which its thread begins.")),
        ("mentions", list(id(), MENTIONS_MAX)),
        ("all", said(flag(), "All members are mentioned.")),
        ("online", said(flag(), "Those are mentioned who are connected when it arrives.")),
        ("forwarded_from", said(id(), "Who sent it first, as the sender says.")),
    ]
}

fn sends(path: &'static str, id: &'static str, summary: &'static str, of: Value) -> Operation {
    let fields = vec![("text", text(1, TEXT_CHARS_MAX))];
    Operation::new("POST", path, id, summary)
        .about("The body may be 1.2 MB. Repeated with the same key and text it is one message.")
        .bearer()
        .in_path("id", of, "7310442183966793728")
        .in_header(
            idempotency::HEADER,
            text(1, idempotency::KEY_CHARS_MAX),
            "8e03978e-40d5-43dd-bc93-6894a57f9324",
        )
        .body(request(fields, about()), json!({ "text": "Anybody there?" }))
        .gives(201, "It is on stable storage.", named("Sent"))
        .refuses(&["scope", "bot", "needs_consent", "muted", "slow", "refused_word", "not_found", "rate"])
        .refuses(&["idempotency_key_needed", "idempotency_key_reused"])
        .stores()
}

/// Something that is said about a text: a message of its own.
fn says(method: &'static str, path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(method, path, id, summary)
        .bearer()
        .in_path("id", channel_id(), "7310442183966793728")
        .in_path("seq", said(text(1, 16), "The text's seq."), "1")
        .in_header(
            idempotency::HEADER,
            text(1, idempotency::KEY_CHARS_MAX),
            "8e03978e-40d5-43dd-bc93-6894a57f9324",
        )
        .gives(200, "It is on stable storage.", named("Sent"))
        .refuses(&["scope", "needs_consent", "not_yours", "muted", "refused_word", "not_found", "rate"])
        .refuses(&["too_large", "idempotency_key_needed", "idempotency_key_reused"])
        .stores()
}

const MESSAGE: &str = "/v1/channels/{id}/messages/{seq}";

fn edits() -> Operation {
    says("PATCH", MESSAGE, "edit", "Let a text of one's own read otherwise")
        .about("What it answers and whom it mentions stays. The body may be 1.2 MB.")
        .body(
            object(vec![("text", text(1, TEXT_CHARS_MAX))], Vec::new()),
            json!({ "text": "Anybody there now?" }),
        )
}

fn recalls() -> Operation {
    says("DELETE", MESSAGE, "recall", "Take a text back for everybody").about(
        "One's own within the server's `recall_window_s`, or as an owner or admin of its group. What it and its edits said is gone; that it was recalled, and by whom, stands in its place. Once more changes nothing.",
    )
}

fn reacts(method: &'static str, id: &'static str, summary: &'static str, about: &'static str) -> Operation {
    says(method, "/v1/channels/{id}/messages/{seq}/reactions/{emoji}", id, summary).about(about).in_path(
        "emoji",
        said(text(1, EMOJI_BYTES_MAX), "At most 32 bytes of UTF-8, percent-encoded."),
        "%F0%9F%91%8D",
    )
}

pub(super) fn reads(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new("GET", path, id, summary).bearer().refuses(&["scope", "rate"])
}

fn page(what: &'static str, of: Value, more: Vec<Field>) -> Value {
    page_with(what, of, more, Vec::new())
}

fn page_with(what: &'static str, of: Value, more: Vec<Field>, beside: Vec<Field>) -> Value {
    let next = said(text(1, 39), "There may be more: go on from here.");
    let mut fields = vec![(what, of)];
    fields.extend(more);
    object(fields, [vec![("next", next)], beside].concat())
}

/// Not [`id`]: of a direct channel it has up to 39 digits.
pub(super) fn channel_id() -> Value {
    said(text(1, 39), "The id of a channel: decimal digits.")
}

pub(super) fn seq() -> Value {
    said(number(0, protocol::limits::U53_MAX), "A place in the channel's order.")
}

pub(super) fn limit(most: u32) -> Value {
    said(text(1, 3), &format!("How many at most: 1 to {most}."))
}

pub(super) fn word(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

fn channel() -> Value {
    object(
        vec![
            ("channel", channel_id()),
            ("kind", word(&["direct", "group", "own"])),
            ("head", said(seq(), "The newest that may be read.")),
            ("read", said(seq(), "Read up to here.")),
            ("unread", number(0, protocol::limits::U53_MAX)),
            ("member", said(flag(), "False: left, or only invited.")),
        ],
        vec![
            ("with", said(id(), "Of a direct channel: the other; of one's own: oneself.")),
            (
                "mentions",
                said(
                    number(0, protocol::limits::U53_MAX),
                    "With an order, as all that follow: unread messages that mention one.",
                ),
            ),
            ("muted_until_ms", time_ms()),
            ("pinned", said(number(0, u32::MAX.into()), "0 for not; else its order, smaller first.")),
            ("notify", word(&["all", "mentions", "nothing"])),
            ("marked_unread", flag()),
            ("archived", flag()),
            ("draft", said(flag(), "There is one.")),
            ("last", last()),
            ("name", said(text(1, RAW_CHARS_MAX), "Of a group.")),
        ],
    )
}

fn last() -> Value {
    let text = said(json!({ "type": "string" }), "The first 100 characters of a text.");
    object(vec![("seq", seq()), ("time_ms", time_ms()), ("sender", id()), ("text", text)], Vec::new())
}

pub(super) fn message() -> Value {
    let kinds = [
        "text", "created", "added", "invited", "joined", "grown", "erased", "removed", "left", "renamed",
        "role", "prefs", "draft", "hidden", "edited", "reacted", "pinned", "recall", "recalled", "muted",
        "banned", "unbanned", "slowed", "other",
    ];
    object(
        vec![
            ("seq", seq()),
            ("time_ms", time_ms()),
            ("sender", id()),
            ("send_id", json!({ "type": "string" })),
            ("kind", word(&kinds)),
        ],
        [
            vec![
                ("text", text(0, TEXT_CHARS_MAX)),
                ("about", said(channel_id(), "In one's own channel: which channel is noted something of.")),
                ("target", said(seq(), "The message of which this one says something.")),
                ("emoji", text(1, EMOJI_BYTES_MAX)),
                ("on", said(flag(), "False takes a reaction back, or a pin down.")),
                ("by", said(seq(), "Of what stands in the place of a recalled text or of an edit of it: the message that recalled it, of `users`.")),
                ("recalled_ms", said(time_ms(), "When that was.")),
                ("name", json!({ "type": "string" })),
                ("users", list(id(), protocol::limits::GROUP_MEMBERS_MAX)),
                ("role", word(&["member", "admin", "owner"])),
                (
                    "for_s",
                    said(number(0, u32::MAX.into()), "Seconds from `time_ms`; 0: may send again, 2^32 - 1: for ever."),
                ),
                ("interval_s", said(number(0, SLOW_S_MAX.into()), "Seconds between texts; 0: no wait.")),
            ],
            about(),
        ]
        .concat(),
    )
}

fn sent() -> Value {
    object(
        vec![
            ("channel", channel_id()),
            ("seq", seq()),
            ("time_ms", time_ms()),
            ("send_id", json!({ "type": "string" })),
        ],
        Vec::new(),
    )
}
