//! Every code that a refusal can have. One that is not here, or comes with another status or another hint, is a bug that
//! every test finds which provokes it (see [`crate::ApiError`]).

use serde_json::{Value, json};

/// A kind of refusal.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    pub(crate) status: u16,
    hint: Hint,
    when: &'static str,
}

/// Whether the same request can succeed later; then the refusal says when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hint {
    Never,
    Later,
    Sometimes,
}

/// In the order of their statuses.
const PROBLEMS: &[Problem] = &[
    never("bad_json", 400, "the body is no JSON, or there is more behind it"),
    never(
        "bad_field",
        400,
        "a field of the body, the path or the query is not what is expected: `field` names it",
    ),
    never("bad_body", 400, "the body broke off"),
    never("idempotency_key_needed", 400, "the header `Idempotency-Key` is missing"),
    never("unauthenticated", 401, "no token, not one of this server's, or its device was logged out: log in"),
    never(
        "expired",
        401,
        "the access token has ended: renew it; or, with `field` `refresh`, the login has: log in",
    ),
    never("token_reused", 401, "the refresh token was used before, and the device was logged out: log in"),
    never("wrong_credentials", 401, "the name or the password is wrong"),
    never(
        "code_required",
        401,
        "the password is right, and the account has a second factor: ask for its code",
    ),
    never("wrong_code", 401, "the code is wrong or was used before"),
    never("jwt_malformed", 401, "the token of an identity provider is none"),
    never("jwt_algorithm", 401, "its algorithm is not one that its issuer uses here"),
    never("jwt_issuer", 401, "nobody here trusts its issuer"),
    sometimes("jwt_unknown_key", 401, "its issuer has no such key, as far as is known"),
    never("jwt_forged", 401, "its signature is wrong"),
    never("jwt_claims", 401, "a claim is missing or is not what is expected"),
    never("jwt_expired", 401, "its time is over"),
    sometimes("jwt_not_yet", 401, "its time has not come"),
    never("jwt_audience", 401, "it is for somebody else"),
    never("jwt_revoked", 401, "it is older than a logout from everywhere"),
    never("scope", 403, "the operator's or the bot's token opens something else"),
    never("wrong_origin", 403, "a page that may not ask"),
    never("signup_closed", 403, "nobody signs up here"),
    never("invite_needed", 403, "sign-up is by invitation"),
    never("invite_unknown", 403, "there is no such invite, or it was revoked"),
    never("invite_expired", 403, "the invite's time is over"),
    never("invite_used", 403, "as many as may have used the invite"),
    never("invites_closed", 403, "users do not invite here"),
    never("bot", 403, "what bots may not do"),
    never("needs_consent", 403, "the user takes no messages from this one"),
    never("not_yours", 403, "the message is somebody else's, and one's role in the group does not reach it"),
    never("not_allowed", 403, "one's role in the group does not reach this"),
    sometimes("muted", 403, "one may not send to this group now; with a hint, until then"),
    never("banned", 403, "the user is banned from this group"),
    never("edits_off", 403, "this server shows nobody how texts read before"),
    never("no_issuers", 403, "this server takes no tokens of identity providers"),
    never("search_off", 403, "this server does not search"),
    never("no_account", 403, "there is no account for the one whom the token names, and none is made"),
    never("not_found", 404, "no such user, device of the account, or path"),
    never("no_such_poll", 404, "the device has no such session by polls, or it has ended: begin another"),
    never("method_not_allowed", 405, "the path is asked in another way"),
    later("timeout", 408, "the body came too slowly, or the answer could not be made in time"),
    never("name_taken", 409, "somebody has the name or one that looks like it, or it is reserved"),
    never("too_many_devices", 409, "the account has as many devices as it may: `devices` names them"),
    never("too_many_invites", 409, "as many of the user's invites are open as may be"),
    never("too_many_relations", 409, "the list of friends or blocked users is full"),
    never("two_factor_on", 409, "the second factor is on already"),
    never("two_factor_off", 409, "the second factor is off, or was not begun"),
    never("too_many_subscriptions", 409, "as many subscriptions for push as a user may have"),
    never("too_many_bots", 409, "as many bots as a user may have"),
    never("too_many_tokens", 409, "as many tokens as a bot may have"),
    never("no_password", 409, "the account has none: it logs in by its identity provider"),
    never(
        "family_unchanged",
        409,
        "the channel has a family of its own already, has none, or is giving it back",
    ),
    never("too_many_families", 409, "as many channels as may have a family of their own"),
    never("backup_refused", 409, "there is something at the place of the backup, or nothing to back up"),
    later("backup_running", 409, "another backup is being made"),
    never("poll_number", 409, "another request of the session is the next"),
    never("poll_repeated", 409, "the same request came again, and is answered there"),
    never("has_account", 409, "the user whose messages are to be erased has an account still"),
    never("report_closed", 409, "the report was closed before"),
    never("key_signs", 409, "the key signs; rotate first"),
    never("too_many_keys", 409, "there are as many keys as there may be; retire one"),
    never("too_large", 413, "the body is above 16 KiB, or above what the route says"),
    never(
        "unsupported_media_type",
        415,
        "the body is not said to be `application/json`, or what else the route takes",
    ),
    never("wrong_host", 421, "the host is not this server's"),
    never("refused_word", 422, "the text holds a word that this server does not take; which is not said"),
    never("idempotency_key_reused", 422, "the key was used in this channel with another text"),
    later("slow", 429, "the group is in slow mode, and one's last text is too young"),
    later(
        "rate",
        429,
        "too many wrong passwords or codes, new accounts, logins, look-ups, searches, polls, reports or changes of relations",
    ),
    never("internal", 500, "the server failed; its log says why"),
    later("busy", 503, "the server cannot do this now"),
    later("issuer_unreachable", 503, "the identity provider's keys cannot be fetched"),
    later("not_ready", 503, "the server starts or drains"),
    later("stalled", 503, "a shard of the server stands still"),
    later("storage_full", 507, "the disk is nearly full: nothing new is accepted"),
];

const fn never(code: &'static str, status: u16, when: &'static str) -> Problem {
    Problem { code, status, hint: Hint::Never, when }
}

const fn later(code: &'static str, status: u16, when: &'static str) -> Problem {
    Problem { code, status, hint: Hint::Later, when }
}

const fn sometimes(code: &'static str, status: u16, when: &'static str) -> Problem {
    Problem { code, status, hint: Hint::Sometimes, when }
}

impl Problem {
    /// Whether a refusal may say this of when to come again; 0 is never.
    pub(crate) fn may_say(&self, retry_after_ms: u64) -> bool {
        match self.hint {
            Hint::Never => retry_after_ms == 0,
            Hint::Later => retry_after_ms > 0,
            Hint::Sometimes => true,
        }
    }
}

/// The one of this code.
pub(crate) fn problem(code: &str) -> Option<&'static Problem> {
    PROBLEMS.iter().find(|problem| problem.code == code)
}

/// The answers that refuse with one of these codes, by status. One that is unknown stands under 0, where the tests find it.
pub(super) fn refusals(codes: &[&str]) -> Vec<(u16, Value)> {
    let known = PROBLEMS.iter().filter(|problem| codes.contains(&problem.code)).collect::<Vec<_>>();
    let mut answers: Vec<_> = known
        .chunk_by(|one, other| one.status == other.status)
        .map(|group| (status(group), answer(group)))
        .collect();
    let unknown = codes.iter().filter(|code| problem(code).is_none());
    answers.extend(unknown.map(|code| (0, json!({ "description": format!("{code}: no such problem") }))));
    answers
}

fn status(group: &[&Problem]) -> u16 {
    group.first().map_or(0, |problem| problem.status)
}

fn answer(group: &[&Problem]) -> Value {
    let codes: Vec<_> = group.iter().map(|problem| problem.code).collect();
    let words: Vec<_> =
        group.iter().map(|problem| format!("`{}`: {}.", problem.code, problem.when)).collect();
    let all = |hint: Hint| group.iter().all(|problem| problem.hint == hint);
    let retry = match (all(Hint::Never), all(Hint::Later)) {
        (true, _) => json!({ "const": 0 }),
        (_, true) => json!({ "minimum": 1 }),
        _ => json!({ "minimum": 0 }),
    };
    let schema = json!({
        "$ref": "#/components/schemas/Problem",
        "properties": { "status": { "const": status(group) }, "code": { "enum": codes }, "retry_after_ms": retry },
    });
    let mut answer = json!({
        "description": words.join(" "),
        "content": { "application/problem+json": { "schema": schema } },
    });
    if !all(Hint::Never)
        && let Some(fields) = answer.as_object_mut()
    {
        let header = json!({ "schema": { "type": "integer", "minimum": 1 }, "required": all(Hint::Later),
                             "description": "`retry_after_ms` in seconds, rounded up." });
        fields.insert("headers".into(), json!({ "Retry-After": header }));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_once_in_the_order_of_statuses() {
        for (place, problem) in PROBLEMS.iter().enumerate() {
            let others = &PROBLEMS[place + 1..];
            assert!(others.iter().all(|other| other.code != problem.code), "{}", problem.code);
            assert!(others.iter().all(|other| other.status >= problem.status), "{}: order", problem.code);
        }
    }
}
