//! `maru admin trace`: what became of one message, on the running server. Words for people, or JSON.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use protocol::ChannelId;
use serde_json::Value;

use super::show::Server;

/// Which message.
#[derive(Args, Clone, Debug)]
pub(super) struct Flags {
    /// The channel's id.
    channel: ChannelId,
    /// The message's number in the channel.
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    seq: u64,
    /// Print an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn run(flags: &Flags, out: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
    let operator = flags.server.operator()?;
    let path = format!("/v1/admin/trace/{}/{}", flags.channel, flags.seq);
    let mut whole = operator.get(&path).await?;
    while let Some(next) = whole.as_object_mut().and_then(|whole| whole.remove("next")) {
        let after = next.as_str().ok_or("`next` is no text")?;
        let mut page = operator.get(&format!("{path}?after={after}")).await?;
        let users =
            |page: &mut Value| page.get_mut("users").and_then(Value::as_array_mut).map(std::mem::take);
        if let (Some(mut users), Some(mut more), Some(whole)) =
            (users(&mut whole), users(&mut page), whole.as_object_mut())
        {
            users.append(&mut more);
            whole.insert("users".into(), users.into());
        }
        if let (Some(next), Some(whole)) = (page.get("next"), whole.as_object_mut()) {
            whole.insert("next".into(), next.clone());
        }
    }
    if flags.json {
        writeln!(out, "{whole:#}")?;
    } else {
        out.write_all(words(&whole).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_default()
}

fn time(value: &Value, field: &str) -> String {
    let ms = i64::try_from(number(value, field)).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| format!("{time:.3}"))
}

fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value[field].as_array().into_iter().flatten()
}

/// All of it, a fact a line.
fn words(trace: &Value) -> String {
    let mut all = String::new();
    let (message, committed) = (&trace["message"], &trace["committed"]);
    let mut line = |words: String| {
        // A string takes everything.
        let _ = writeln!(all, "{words}");
    };
    line(format!(
        "message {} of {} channel {}, {} ({} bytes); the newest is {}",
        number(trace, "seq"),
        text(trace, "kind"),
        text(trace, "channel"),
        text(message, "kind"),
        number(message, "bytes"),
        number(trace, "head"),
    ));
    line(format!(
        "  accepted   {} from user {}, send id {}; from which device is not kept",
        time(message, "accepted_ms"),
        text(message, "sender"),
        text(message, "send_id"),
    ));
    let place = format!("bay {}, shard {}", number(committed, "bay"), number(committed, "shard"));
    line(match text(committed, "state") {
        "in_log" => format!("  committed  batch {} of {place}", number(committed, "batch")),
        "trimmed" => format!(
            "  committed  {place}; every bay has applied its batch, whose number is not known any more"
        ),
        _ => format!("  committed  {place}; the log is too long to find its batch"),
    });
    line(format!("  fanned out to {} users", number(trace, "recipients")));
    for user in list(trace, "users") {
        of_user(user, number(trace, "seq"), &mut line);
    }
    line(format!("what pushes did before {} is not known any more", time(trace, "pushes_since_ms")));
    all
}

fn of_user(user: &Value, seq: u64, line: &mut impl FnMut(String)) {
    line(format!("user {}", text(user, "user")));
    let head = number(user, "inbox_head");
    line(match text(user, "state") {
        "in_inbox" => format!("  inbox      at {}, the newest is {head}", number(user, "inbox_at")),
        "on_its_way" => format!("  inbox      not yet: it is on its way, the newest is {head}"),
        _ => format!("  inbox      not found near its time, the newest is {head}"),
    });
    line(format!(
        "  position   read through {}, delivered through {}{}",
        number(user, "read"),
        number(user, "delivered"),
        if user["has_read"] == true { ": has read it" } else { "" },
    ));
    for device in list(user, "devices") {
        line(of_device(device));
    }
    for one in list(user, "subscriptions") {
        let (provider, device) = (text(one, "provider"), text(one, "device"));
        line(format!("  told by    {provider} of device {device} at {}", text(one, "host")));
    }
    for push in list(user, "pushes") {
        line(of_push(push, seq));
    }
    if let job @ Value::Object(_) = &user["job"] {
        let waits = if job["parked"] == true {
            "is parked".to_owned()
        } else if number(job, "retry_at_ms") > 0 {
            format!("waits until {}", time(job, "retry_at_ms"))
        } else {
            "waits".to_owned()
        };
        let (through, count, attempts) = (number(job, "seq"), number(job, "count"), number(job, "attempts"));
        line(format!(
            "  job        through message {through} ({count} in all) {waits}; it has failed {attempts} times"
        ));
    }
}

fn of_device(device: &Value) -> String {
    let cursor = match device["cursor"].as_u64() {
        Some(cursor) => format!("cursor {cursor} as of {}", time(device, "cursor_ms")),
        None => "no cursor of this life of the inbox".to_owned(),
    };
    let state = match text(device, "state") {
        "holds" => "holds it",
        "sent" => "was sent it",
        "behind" => "was not sent it yet",
        "away" => "does not have it",
        _ => "may have it or not",
    };
    let session = device["transport"].as_str().map_or_else(
        || "not connected".to_owned(),
        |transport| format!("connected by {transport}, sent through {}", number(device, "sent_through")),
    );
    format!("  device     {} {state}: {cursor}; {session}", text(device, "device"))
}

fn of_push(push: &Value, seq: u64) -> String {
    let mut words = format!("  push       {} {}", time(push, "at_ms"), text(push, "what"));
    if let Some(provider) = push["provider"].as_str() {
        let _ = write!(words, " by {provider} of device {} at {}", text(push, "device"), text(push, "host"));
    }
    if !text(push, "words").is_empty() {
        let _ = write!(words, ": {}", text(push, "words"));
    }
    if push["until_ms"].is_u64() {
        let _ = write!(words, "; again at {}", time(push, "until_ms"));
    }
    if number(push, "seq") != seq {
        let _ = write!(words, " (with message {})", number(push, "seq"));
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::words;

    #[test]
    fn words_for_people() {
        let push = |what: &str, until_ms: Option<u64>, words: &str| {
            json!({
                "at_ms": 1_795_786_201_000_u64, "seq": 3, "count": 2, "what": what, "device": "5",
                "provider": "webpush", "host": "https://push.example", "words": words, "until_ms": until_ms,
            })
        };
        let trace = json!({
            "channel": "7", "seq": 2, "kind": "group", "head": 3,
            "message": {
                "kind": "SEND_TEXT", "bytes": 60, "sender": "1", "send_id": "9",
                "accepted_ms": 1_795_786_200_000_u64,
            },
            "committed": { "bay": 3, "shard": 1, "batch": null, "state": "trimmed" },
            "recipients": 1,
            "users": [{
                "user": "4", "state": "in_inbox", "inbox_at": 8, "inbox_head": 9, "read": 0, "delivered": 0,
                "has_read": false,
                "devices": [{
                    "device": "5", "state": "away", "cursor": null, "cursor_ms": 0, "transport": null,
                    "sent_through": null,
                }],
                "subscriptions": [],
                "job": {
                    "seq": 3, "count": 2, "mentioned": false, "parked": false, "attempts": 1,
                    "retry_at_ms": 1_795_786_206_000_u64,
                },
                "pushes": [push("failed", Some(1_795_786_206_000), "status 503")],
            }],
            "pushes_since_ms": 1_795_780_000_000_u64,
        });
        let said = words(&trace);
        for line in [
            "message 2 of group channel 7, SEND_TEXT (60 bytes); the newest is 3",
            "  accepted   2026-11-27T13:30:00.000Z from user 1, send id 9; from which device is not kept",
            "  committed  bay 3, shard 1; every bay has applied its batch, whose number is not known any more",
            "  device     5 does not have it: no cursor of this life of the inbox; not connected",
            "  push       2026-11-27T13:30:01.000Z failed by webpush of device 5 at https://push.example: \
             status 503; again at 2026-11-27T13:30:06.000Z (with message 3)",
            "  job        through message 3 (2 in all) waits until 2026-11-27T13:30:06.000Z; it has failed 1 times",
        ] {
            assert!(said.lines().any(|found| found == line), "{line:?} is not in\n{said}");
        }
    }
}
