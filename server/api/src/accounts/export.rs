//! What the tables have of one user, for an export; and who users are, by their ids.
//!
//! Which column is told and which is not, and why, is a table in the tests below: a new one fails them until it has a verdict.

use protocol::UserId;
use serde_json::{Value, json};
use sqlx::{AnyConnection, FromRow, any::AnyRow};

use super::{Accounts, AccountsError, sql, unsql};

/// Most users that are looked up at a time.
pub const WHO_MAX: usize = 500;

/// Who a user is, as others see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Who {
    /// The id.
    pub user: UserId,
    /// The name as its owner wrote it.
    pub name: String,
    /// The name that the owner wants to be shown; empty: the other one.
    pub display_name: String,
    /// When the account was made, milliseconds since the Unix epoch.
    pub created_ms: u64,
}

impl Accounts {
    /// Who these are, in no order; those who have no account are left out. Of more than [`WHO_MAX`] the first.
    ///
    /// # Errors
    /// The database's.
    pub async fn who(&self, users: &[UserId]) -> Result<Vec<Who>, AccountsError> {
        let users = users.get(..WHO_MAX).unwrap_or(users);
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let places: Vec<String> = (1..=users.len()).map(|place| format!("${place}")).collect();
        // Numbers of places alone are put into the text.
        let text = format!(
            "SELECT user_id, name, display_name, created_ms FROM users WHERE user_id IN ({})",
            places.join(", ")
        );
        let mut query = sqlx::query_as::<_, (i64, String, String, i64)>(sqlx::AssertSqlSafe(text));
        for user in users {
            query = query.bind(sql(user.0));
        }
        let who = |(user, name, display_name, created_ms): (i64, String, String, i64)| Who {
            user: UserId(unsql(user)),
            name,
            display_name,
            created_ms: unsql(created_ms),
        };
        Ok(query.fetch_all(&self.pool).await?.into_iter().map(who).collect())
    }

    /// The lines of a user's export that say what the tables have of it; `None`: there is no such account.
    ///
    /// # Errors
    /// The database's.
    pub async fn exported(&self, user: UserId) -> Result<Option<Vec<Value>>, AccountsError> {
        let Some(account) = self.user(user).await? else { return Ok(None) };
        let mut connection = self.pool.acquire().await?;
        let has_factor = "SELECT is_on, 0 FROM second_factors WHERE user_id = $1";
        let has_factor: Vec<(i64, i64)> = rows(&mut connection, has_factor, user).await?;
        let bot: Vec<(i64, i64)> =
            rows(&mut connection, "SELECT owner_id, created_ms FROM bots WHERE user_id = $1", user).await?;
        let mut lines = vec![json!({
            "line": "account", "user": user.to_string(), "name": account.name,
            "display_name": account.display_name, "about": account.about, "created_ms": account.created_ms,
            "has_password": account.has_password(), "not_before_ms": account.not_before_ms,
            "second_factor": has_factor.iter().any(|(is_on, _)| *is_on != 0),
            "owner": bot.first().map(|(owner, _)| owner.to_string()),
        })];
        lines.extend(devices(&mut connection, user).await?);
        lines.extend(ties(&mut connection, user).await?);
        lines.extend(deeds(&mut connection, user).await?);
        Ok(Some(lines))
    }
}

async fn rows<T: for<'r> FromRow<'r, AnyRow> + Send + Unpin>(
    connection: &mut AnyConnection,
    query: &'static str,
    user: UserId,
) -> Result<Vec<T>, AccountsError> {
    Ok(sqlx::query_as::<_, T>(query).bind(sql(user.0)).fetch_all(connection).await?)
}

/// Devices, and until when each is logged in without a password.
async fn devices(connection: &mut AnyConnection, user: UserId) -> Result<Vec<Value>, AccountsError> {
    let query = "SELECT devices.device_id, name, created_ms, seen_ms, began_ms, expires_ms FROM devices \
                 LEFT JOIN refresh_tokens ON refresh_tokens.device_id = devices.device_id \
                 WHERE user_id = $1 ORDER BY devices.device_id";
    type Device = (i64, String, i64, i64, Option<i64>, Option<i64>);
    let found: Vec<Device> = rows(connection, query, user).await?;
    let line = |(device, name, created_ms, seen_ms, began_ms, expires_ms): Device| {
        json!({
            "line": "device", "device": device.to_string(), "name": name, "created_ms": created_ms,
            "seen_ms": seen_ms, "logged_in_ms": began_ms, "login_ends_ms": expires_ms,
        })
    };
    Ok(found.into_iter().map(line).collect())
}

/// Identities, and what the user thinks of others. Of what others think of the user only that they ask to be friends: that the
/// user is shown.
async fn ties(connection: &mut AnyConnection, user: UserId) -> Result<Vec<Value>, AccountsError> {
    let mut lines = Vec::new();
    let query =
        "SELECT issuer, subject, created_ms FROM identities WHERE user_id = $1 ORDER BY issuer, subject";
    let found: Vec<(String, String, i64)> = rows(connection, query, user).await?;
    lines.extend(found.into_iter().map(|(issuer, subject, created_ms)| {
        json!({ "line": "identity", "issuer": issuer, "subject": subject, "created_ms": created_ms })
    }));
    let query =
        "SELECT other_id, friend, blocked, since_ms FROM relations WHERE user_id = $1 ORDER BY other_id";
    let found: Vec<(i64, i64, i64, i64)> = rows(connection, query, user).await?;
    lines.extend(found.into_iter().map(|(other, friend, blocked, since_ms)| {
        let friend = ["no", "asked", "friend"].get(usize::try_from(friend).unwrap_or(0)).copied();
        json!({
            "line": "tie", "user": other.to_string(), "friend": friend, "blocked": blocked != 0,
            "since_ms": since_ms,
        })
    }));
    let query = "SELECT user_id, since_ms FROM relations WHERE other_id = $1 AND friend = 1 AND blocked = 0 \
                 ORDER BY user_id";
    let found: Vec<(i64, i64)> = rows(connection, query, user).await?;
    lines.extend(found.into_iter().map(|(other, since_ms)| {
        json!({ "line": "asks_to_be_friends", "user": other.to_string(), "since_ms": since_ms })
    }));
    Ok(lines)
}

/// What the user made: bots, invites, reports.
async fn deeds(connection: &mut AnyConnection, user: UserId) -> Result<Vec<Value>, AccountsError> {
    let mut lines = Vec::new();
    let query = "SELECT user_id, created_ms FROM bots WHERE owner_id = $1 ORDER BY user_id";
    let found: Vec<(i64, i64)> = rows(connection, query, user).await?;
    lines.extend(found.into_iter().map(
        |(bot, created_ms)| json!({ "line": "bot", "user": bot.to_string(), "created_ms": created_ms }),
    ));
    let query = "SELECT invite_id, created_ms, expires_ms, uses, uses_left FROM invites WHERE made_by = $1 \
                 ORDER BY invite_id";
    let found: Vec<(i64, i64, i64, i64, i64)> = rows(connection, query, user).await?;
    lines.extend(found.into_iter().map(|(invite, created_ms, expires_ms, uses, uses_left)| {
        json!({
            "line": "invite", "invite": invite.to_string(), "created_ms": created_ms,
            "expires_ms": expires_ms, "uses": uses, "uses_left": uses_left,
        })
    }));
    let query = "SELECT report_id, channel, seq, sender, reason, made_ms, closed_ms, outcome FROM reports \
                 WHERE reporter = $1 ORDER BY report_id";
    type Made = (i64, String, i64, i64, String, i64, i64, i64);
    let found: Vec<Made> = rows(connection, query, user).await?;
    lines.extend(found.into_iter().map(
        |(report, channel, seq, sender, reason, made_ms, closed_ms, outcome): Made| {
            let outcome = ["open", "upheld", "dismissed"].get(usize::try_from(outcome).unwrap_or(0)).copied();
            json!({
                "line": "report", "report": report.to_string(), "channel": channel, "seq": seq,
                "sender": sender.to_string(), "reason": reason, "made_ms": made_ms, "closed_ms": closed_ms,
                "outcome": outcome,
            })
        },
    ));
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use protocol::DeviceId;

    use super::super::{Invited, NewReport};
    use super::*;
    use crate::Lifetimes;
    use crate::database::Database;
    use crate::name::Name;
    use crate::snowflake::EPOCH_MS;
    use crate::totp::Secret;

    on_both! {
        a_user_is_told_without_a_secret
        users_are_who_they_are
    }

    const NOW_MS: u64 = EPOCH_MS + 1_000_000;

    const SECRET: Option<&str> = Some("a secret, or a hash of one");
    const NODE: Option<&str> = Some("of the node or the schema, not of a user");
    const CORE: Option<&str> = Some("told from the core's rows, which it goes to");
    const STATE: Option<&str> = Some("whether the core has heard of it: nothing of the user's");
    const DERIVED: Option<&str> = Some("follows from another column");
    const TOLD: Option<&str> = None;

    /// Every column: told, or why not.
    const COLUMNS: &[(&str, &str, Option<&str>)] = &[
        ("users", "user_id", TOLD),
        ("users", "name", TOLD),
        ("users", "folded", DERIVED),
        ("users", "password_hash", SECRET),
        ("users", "created_ms", TOLD),
        ("users", "in_core", STATE),
        ("users", "not_before_ms", TOLD),
        ("users", "likeness", DERIVED),
        ("users", "display_name", TOLD),
        ("users", "about", TOLD),
        ("users", "may_message", CORE),
        ("users", "may_add", CORE),
        ("users", "may_see", CORE),
        ("users", "policy_told", STATE),
        ("users", "hides_receipts", CORE),
        ("devices", "device_id", TOLD),
        ("devices", "user_id", TOLD),
        ("devices", "created_ms", TOLD),
        ("devices", "name", TOLD),
        ("devices", "seen_ms", TOLD),
        ("id_windows", "node", NODE),
        ("id_windows", "free_ms", NODE),
        ("invites", "invite_id", TOLD),
        ("invites", "code_hash", SECRET),
        ("invites", "made_by", TOLD),
        ("invites", "created_ms", TOLD),
        ("invites", "expires_ms", TOLD),
        ("invites", "uses", TOLD),
        ("invites", "uses_left", TOLD),
        ("likeness_rule", "version", NODE),
        ("refresh_tokens", "device_id", TOLD),
        ("refresh_tokens", "family_hash", SECRET),
        ("refresh_tokens", "next_hash", SECRET),
        ("refresh_tokens", "shown_hash", SECRET),
        ("refresh_tokens", "shown_ms", Some("when a secret was shown: the device's seen_ms is told")),
        ("refresh_tokens", "began_ms", TOLD),
        ("refresh_tokens", "expires_ms", TOLD),
        ("second_factors", "user_id", TOLD),
        ("second_factors", "secret", SECRET),
        ("second_factors", "is_on", TOLD),
        ("second_factors", "last_step", SECRET),
        ("recovery_codes", "user_id", SECRET),
        ("recovery_codes", "code_hash", SECRET),
        ("gone_users", "user_id", Some("of one who has no account: nobody is left to ask")),
        ("gone_users", "gone_ms", Some("as user_id")),
        ("gone_users", "name_hash", Some("as user_id")),
        ("erasures", "user_id", Some("of one who has no account: nobody is left to ask")),
        ("erasures", "begun_ms", Some("as user_id")),
        ("erasures", "through_ms", Some("as user_id")),
        ("erasures", "done_ms", Some("as user_id")),
        ("identities", "issuer", TOLD),
        ("identities", "subject", TOLD),
        ("identities", "user_id", TOLD),
        ("identities", "created_ms", TOLD),
        ("bots", "user_id", TOLD),
        ("bots", "owner_id", TOLD),
        ("bots", "created_ms", TOLD),
        ("bot_tokens", "device_id", Some("of the bot, which has an export of its own: a device")),
        ("bot_tokens", "token_hash", SECRET),
        ("bot_tokens", "scopes", Some("what a secret opens")),
        ("relations", "user_id", TOLD),
        ("relations", "other_id", TOLD),
        ("relations", "friend", TOLD),
        ("relations", "blocked", TOLD),
        ("relations", "since_ms", TOLD),
        ("relations", "told", STATE),
        ("reports", "report_id", TOLD),
        ("reports", "reporter", TOLD),
        ("reports", "channel", TOLD),
        ("reports", "seq", TOLD),
        ("reports", "sender", TOLD),
        ("reports", "reason", TOLD),
        ("reports", "made_ms", TOLD),
        ("reports", "closed_ms", TOLD),
        ("reports", "closed_by", Some("which operator it was is the operators' matter")),
        ("reports", "outcome", TOLD),
        ("reports", "note", Some("what operators write for each other")),
    ];

    #[tokio::test]
    async fn every_column_is_told_or_it_is_said_why_not() {
        let data = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(&Database::in_directory(data.path())).await.unwrap();
        let query = "SELECT tables.name, columns.name FROM sqlite_master AS tables, \
                     pragma_table_info(tables.name) AS columns \
                     WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%' \
                     AND tables.name NOT LIKE '\\_sqlx%' ESCAPE '\\'";
        let found: Vec<(String, String)> = sqlx::query_as(query).fetch_all(&accounts.pool).await.unwrap();
        let found: BTreeSet<(String, String)> = found.into_iter().collect();
        let known = COLUMNS.iter().map(|(table, column, _)| ((*table).to_owned(), (*column).to_owned()));
        assert_eq!(found, known.collect());
    }

    async fn a_user_is_told_without_a_secret(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let make = async |name: &str, hash: &str| {
            accounts.create_user(&Name::parse(name).unwrap(), hash, NOW_MS).await.unwrap()
        };
        let (ann, bob, cat) = (make("ann", "$secret$").await, make("bob", "x").await, make("cat", "y").await);
        accounts.set_profile(ann, Some("Ann A."), Some("hello")).await.unwrap();
        assert!(accounts.adopt_device(ann, DeviceId(77), NOW_MS).await.unwrap());
        let lifetimes = Lifetimes { refresh_ms: 1000, login_ms: 1000 };
        accounts.begin_family(DeviceId(77), lifetimes, NOW_MS).await.unwrap();
        accounts.begin_second_factor(ann, &Secret::random().unwrap()).await.unwrap();
        assert!(accounts.link(ann, "https://issuer.example", "ann-1", NOW_MS).await.is_ok());
        accounts.befriend(ann, bob, NOW_MS).await.unwrap().unwrap();
        accounts.befriend(cat, ann, NOW_MS).await.unwrap().unwrap();
        let invited = Invited { made_by: Some(ann), uses: 1, expires_ms: NOW_MS + 9, open_max: 5 };
        accounts.create_invite(invited, NOW_MS).await.unwrap().unwrap();
        let (channel, seq) = (protocol::ChannelId(5), protocol::Seq(1));
        let report = NewReport { reporter: Some(ann), channel, seq, sender: bob, reason: "rude".into() };
        accounts.report(&report, NOW_MS).await.unwrap();

        let lines = accounts.exported(ann).await.unwrap().unwrap();
        let words: Vec<&str> = lines.iter().map(|line| line["line"].as_str().unwrap()).collect();
        let expected = ["account", "device", "identity", "tie", "asks_to_be_friends", "invite", "report"];
        assert_eq!(words, expected);
        let all = Value::Array(lines.clone()).to_string();
        let mut secrets = 0;
        for (table, column, _) in COLUMNS.iter().filter(|(.., why)| *why == SECRET) {
            let text = format!("SELECT CAST({column} AS TEXT) FROM {table}");
            let values = sqlx::query_as::<_, (String,)>(sqlx::AssertSqlSafe(text));
            // Ids are none by themselves, and a step of a second factor is a small number.
            let values = values.fetch_all(&accounts.pool).await.unwrap().into_iter().map(|(value,)| value);
            for value in values.filter(|value| value.len() > 3 && *column != "user_id") {
                assert!(!all.contains(&value), "{table}.{column}: {value} is in {all}");
                secrets += 1;
            }
        }
        assert!(secrets >= 5, "{secrets}");
        assert_eq!((&lines[0]["about"], &lines[0]["display_name"]), (&json!("hello"), &json!("Ann A.")));
        assert_eq!((&lines[3]["user"], &lines[3]["friend"]), (&json!(bob.to_string()), &json!("asked")));
        assert_eq!(lines[4]["user"], json!(cat.to_string()));
        assert_eq!(lines[6]["reason"], json!("rude"));
        // Nobody else's.
        let of_bob = accounts.exported(bob).await.unwrap().unwrap();
        assert_eq!(
            of_bob.iter().filter(|line| line["line"] != "asks_to_be_friends").count(),
            1,
            "{of_bob:?}"
        );
        assert_eq!(accounts.exported(UserId(5)).await.unwrap(), None);
    }

    async fn users_are_who_they_are(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let mut users = Vec::new();
        for number in 0..9 {
            let name = Name::parse(&format!("user{number}")).unwrap();
            users.push(accounts.create_user(&name, "x", NOW_MS).await.unwrap());
        }
        let mut found = accounts.who(&[users[7], UserId(1), users[2]]).await.unwrap();
        found.sort_by_key(|who| who.user);
        assert_eq!(found.iter().map(|who| who.name.as_str()).collect::<Vec<_>>(), ["user2", "user7"]);
        assert!(accounts.who(&[]).await.unwrap().is_empty());
    }
}
