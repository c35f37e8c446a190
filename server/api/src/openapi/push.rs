//! Where devices are told of what they miss.

use protocol::limits::{PUSH_ENDPOINT_BYTES_MAX, PUSH_SUBSCRIPTIONS_MAX};
use serde_json::{Value, json};

use super::schema::{flag, id, letters, list, number, object, request, said, secret, text, time_ms};
use super::{Operation, Section};

/// Most parked jobs in one answer.
const PARKED_SHOWN: usize = 256;
/// A point of P-256 and a secret, as a browser gives them.
const P256DH: &str =
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

pub(super) fn section() -> Section {
    Section {
        tag: "push",
        about: "Where one's devices are told of messages that they miss: by Web Push, FCM, APNs or a webhook.",
        operations: vec![key(), all(), subscribe(), unsubscribe(), turn(true), turn(false), parked(), test()],
        schemas: Vec::new(),
    }
}

fn key() -> Operation {
    let key =
        said(letters("A-Za-z0-9_-", 87, 87), "The `applicationServerKey`: an uncompressed point of P-256.");
    Operation::new("GET", "/v1/push/key", "pushKey", "The key that a browser subscribes with")
        .bearer()
        .gives(200, "The server's public key (VAPID, RFC 8292).", object(vec![("key", key)], Vec::new()))
        .refuses(&["not_found"])
}

pub(super) fn provider() -> Value {
    said(letters("a-z", 3, 7), "`webpush`, `fcm`, `apns` or `webhook`.")
}

fn minute() -> Value {
    said(number(0, 1439), "A minute of the day; equal ones: never quiet.")
}

fn all() -> Operation {
    let item = object(
        vec![
            ("device", id()),
            ("provider", provider()),
            (
                "host",
                said(
                    text(1, PUSH_ENDPOINT_BYTES_MAX),
                    "The endpoint as far as its host: who knows more may push. Of `fcm` and `apns` that word.",
                ),
            ),
            ("preview", said(letters("a-z", 4, 6), "`none`, `sender` or `text`.")),
            ("language", said(letters("a-z", 2, 2), "`en` or `ko`.")),
            ("quiet_from", minute()),
            ("quiet_until", minute()),
            ("zone", text(0, 255)),
            ("created_ms", time_ms()),
            ("this", said(flag(), "It is of the device that asks.")),
        ],
        Vec::new(),
    );
    Operation::new(
        "GET",
        "/v1/push/subscriptions",
        "listPushSubscriptions",
        "List one's subscriptions for push",
    )
    .bearer()
    .gives(
        200,
        "All of them.",
        object(
            vec![
                ("subscriptions", list(item, PUSH_SUBSCRIPTIONS_MAX)),
                ("off", said(flag(), "None of them is told.")),
            ],
            Vec::new(),
        ),
    )
    .refuses(&["not_found"])
}

fn subscribe() -> Operation {
    let endpoint = "With `webpush` and `webhook`: an `https` URL of a public host, at most 2048 bytes.";
    let token =
        "With `fcm`: the app's registration token; with `apns`: its device token in hexadecimal digits.";
    let optional = vec![
        ("endpoint", said(secret(), endpoint)),
        ("token", said(secret(), token)),
        ("p256dh", said(secret(), "With `webpush`: the browser's public key, 65 bytes in base64url.")),
        ("auth", said(secret(), "With `webpush`: the browser's secret, 16 bytes in base64url.")),
        ("secret", said(secret(), "With `webhook`: `whsec_` and 24 to 64 bytes in base64.")),
        ("preview", said(secret(), "`none` (unless it is said), `sender` or `text`: what a push shows.")),
        ("language", said(secret(), "`en` (unless it is said) or `ko`.")),
        ("quiet_from", minute()),
        ("quiet_until", minute()),
        ("zone", said(secret(), "Whose minutes: a name of the IANA time zones. UTC unless it is said.")),
    ];
    let example = json!({
        "provider": "webpush", "endpoint": "https://push.example.com/send/x", "p256dh": P256DH, "auth": AUTH,
        "preview": "sender", "language": "ko", "quiet_from": 1320, "quiet_until": 420, "zone": "Asia/Seoul",
    });
    Operation::new("POST", "/v1/push/subscriptions", "subscribePush", "Tell this device by push")
        .about("One subscription a device and provider: it replaces the one before.")
        .bearer()
        .body(request(vec![("provider", secret())], optional), example)
        .gives_nothing("The device is told there.")
        .refuses(&["not_found", "too_many_subscriptions"])
        .stores()
}

fn unsubscribe() -> Operation {
    Operation::new(
        "DELETE",
        "/v1/push/subscriptions/{provider}",
        "unsubscribePush",
        "Tell this device by push no more",
    )
    .bearer()
    .in_path("provider", provider(), "webpush")
    .in_query(
        "device",
        said(id(), "Another device of one's own; the one that asks unless it is said."),
        "7310442183966793728",
    )
    .gives_nothing("The device is not told there; also when it was not before.")
    .refuses(&["not_found"])
    .stores()
}

fn turn(is_off: bool) -> Operation {
    let operation = if is_off {
        Operation::new("PUT", "/v1/push/off", "turnPushOff", "Tell none of one's devices by push")
            .about("Subscriptions stay; what waits to be told is told no more.")
            .gives_nothing("None is told from now on.")
    } else {
        Operation::new("DELETE", "/v1/push/off", "turnPushOn", "Tell one's devices by push again")
            .gives_nothing("They are told of what comes from now on.")
    };
    operation.bearer().refuses(&["not_found"]).stores()
}

fn parked() -> Operation {
    let item = object(
        vec![
            ("user", id()),
            ("channel", text(1, 39)),
            ("seq", text(1, 20)),
            ("count", number(0, u64::from(u32::MAX))),
            ("attempts", number(0, 65_535)),
            ("time_ms", time_ms()),
        ],
        Vec::new(),
    );
    Operation::new("GET", "/v1/admin/push/parked", "listParkedPushes", "Pushes that no provider takes")
        .about("Each was tried too often, or refused for good. A newer message of its channel tries again.")
        .operator("users")
        .gives(200, "The first of them.", object(vec![("parked", list(item, PARKED_SHOWN))], Vec::new()))
        .refuses(&["not_found"])
}

fn test() -> Operation {
    let answer = object(
        vec![
            ("device", id()),
            ("provider", provider()),
            ("answer", said(text(1, 1000), "`taken`, or what came instead.")),
        ],
        Vec::new(),
    );
    Operation::new(
        "POST",
        "/v1/admin/push/test/{id}",
        "testPush",
        "Send a test to every subscription of a user",
    )
    .operator("users")
    .in_path("id", id(), "7310442183966793728")
    .gives(
        200,
        "What each provider answered.",
        object(vec![("answers", list(answer, PUSH_SUBSCRIPTIONS_MAX))], Vec::new()),
    )
    .refuses(&["not_found"])
}
