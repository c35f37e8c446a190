//! A user's export: lines that are read by people and programs, and by no import.

use api::Who;
use protocol::UserId;
use protocol::commit::{
    About, AccountRow, Audience, Note, Notify, OwnBound, Policy, PresenceRow, Row, Shows, SubscriptionRow,
};
use serde_json::{Value, json};

use super::line::{Kind, Line};
use super::writer::Lines;

/// Of other people: id and name.
pub(super) fn by_name(user: UserId, who: Option<&Who>) -> Line {
    Line::Person { user: user.to_string(), name: who.map(|who| who.name.clone()) }
}

/// One row of what the store has of a user. Whether to go on.
pub(super) fn write(lines: &mut Lines, row: Row) -> bool {
    let line = match row {
        Row::Message { frame, .. } => {
            return Line::message(&frame, false).is_none_or(|line| lines.line(&line));
        }
        Row::About { about: About::Message { .. } | About::Reactor { .. }, .. }
        | Row::Position { .. }
        | Row::Interval { .. }
        | Row::Rule { .. } => return Line::of(row).is_none_or(|line| lines.line(&line)),
        Row::Joined { channel, joined, .. } => json!({
            "line": "in_channel", "channel": channel.to_string(), "kind": Kind::of(channel), "joined": joined.0,
        }),
        Row::Left { left, .. } => json!({ "line": "left", "left": left.0 }),
        Row::Channel { row, .. } => {
            json!({ "line": "called", "name": row.name, "large": row.grown.is_some() })
        }
        Row::Account { row, .. } => account(&row),
        Row::Presence { row, .. } => presence(&row),
        Row::Device { device, row, .. } => json!({
            "line": "device_position", "device": device.to_string(), "generation": row.cursor.generation.0,
            "cursor": row.cursor.at.0, "seen_ms": row.seen_ms,
        }),
        Row::Relation { other, relation, .. } => json!({
            "line": "relation", "user": other.to_string(), "friend": relation.is_friend,
            "blocked": relation.is_blocked,
        }),
        Row::Subscription { device, provider, row, .. } => {
            let SubscriptionRow { created_ms, preview, language, quiet, zone, endpoint, .. } = row;
            json!({
                "line": "push", "device": device.to_string(), "provider": provider.word(),
                "host": provider.host(&endpoint), "created_ms": created_ms, "preview": preview as u8,
                "language": language as u8, "quiet": [quiet.0, quiet.1], "zone": zone,
            })
        }
        Row::PushOff { .. } => json!({ "line": "push_off" }),
        Row::Note { seq, note, .. } => self::note(seq.0, &note),
        Row::Mention { channel, seq, time_ms, sender, .. } => json!({
            "line": "mention", "channel": channel.to_string(), "seq": seq.0, "time_ms": time_ms,
            "sender": sender.to_string(),
        }),
        _ => return true,
    };
    lines.line(&line)
}

fn audience(audience: Audience) -> &'static str {
    match audience {
        Audience::Everyone => "everyone",
        Audience::Friends => "friends",
        Audience::Nobody => "nobody",
    }
}

fn account(row: &AccountRow) -> Value {
    let Policy { message, add, see, hides_receipts } = row.policy;
    let [groups_per_h, directs_per_h, mib_per_h] =
        [row.quota.groups_per_h, row.quota.directs_per_h, row.quota.mib_per_h].map(OwnBound::get);
    json!({
        "line": "settings", "message": audience(message), "add": audience(add), "see": audience(see),
        "hides_receipts": hides_receipts, "groups_per_h": groups_per_h, "directs_per_h": directs_per_h,
        "mib_per_h": mib_per_h,
    })
}

fn presence(row: &PresenceRow) -> Value {
    let shows = match row.shows {
        Shows::Activity => "activity",
        Shows::Away => "away",
        Shows::DoNotDisturb => "do_not_disturb",
        Shows::Invisible => "invisible",
    };
    json!({
        "line": "presence", "last_active_ms": row.last_active_ms, "shows": shows, "status": row.status,
        "status_until_ms": row.status_until_ms,
    })
}

fn note(seq: u64, note: &Note) -> Value {
    let about = note.about().to_string();
    match note {
        Note::Prefs { prefs, .. } => {
            let notify = match prefs.notify {
                Notify::All => "all",
                Notify::Mentions => "mentions",
                Notify::Nothing => "nothing",
            };
            json!({
                "line": "prefs", "channel": about, "muted_until_ms": prefs.muted_until_ms,
                "pinned": prefs.pinned, "marked_unread": prefs.marked_unread, "notify": notify,
                "archived": prefs.archived,
            })
        }
        // The text is in the user's own channel, at this seq.
        Note::Draft { thread, .. } => {
            json!({ "line": "draft", "channel": about, "thread": thread.0, "seq": seq })
        }
        Note::Hidden { from, through, .. } => {
            json!({ "line": "hidden", "channel": about, "from": from.0, "through": through.0 })
        }
    }
}
