//! Firebase Cloud Messaging, HTTP v1: <https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages>.

use serde_json::{Value, json};

use crate::address::Endpoint;
use crate::call::{Answer, Call, Caller, Reply};
use crate::grant::Grants;
use crate::notice::Notice;

/// Where FCM is.
pub const URL: &str = "https://fcm.googleapis.com";
/// Bytes of a token of an app.
const TOKEN_BYTES: core::ops::RangeInclusive<usize> = 16..=2048;

/// The project that this server tells apps of.
#[derive(Debug)]
pub struct Fcm {
    url: String,
    origin: String,
    grants: Grants,
}

impl Fcm {
    /// Of the key file of a service account, and where FCM is.
    ///
    /// # Errors
    /// Words for the operator: what was found and what was expected. Never a secret.
    pub fn new(account: &[u8], url: &str) -> Result<Self, String> {
        let account: Value = serde_json::from_slice(account)
            .map_err(|_| "is no JSON; expected the key file of a service account")?;
        let project = account.get("project_id").and_then(Value::as_str).unwrap_or_default();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:_".contains(&byte);
        if project.is_empty() || !project.bytes().all(is_name) {
            return Err("has no `project_id`; expected the key file of a service account, JSON".into());
        }
        let origin = Endpoint::own(url)?.origin;
        let url = format!("{origin}/v1/projects/{project}/messages:send");
        Ok(Self { url, origin, grants: Grants::new(&account)? })
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Tells one app. A refused access token is replaced, once.
    pub(crate) async fn send(&self, caller: &Caller, token: &str, notice: &Notice<'_>) -> Answer {
        let body = body(token, notice).to_string().into_bytes();
        for is_last in [false, true] {
            let grant = match self.grants.token(caller, notice.now_ms).await {
                Ok(grant) => grant,
                Err(fault) => return Answer::failed(fault),
            };
            let headers = vec![
                ("authorization", format!("Bearer {grant}")),
                ("content-type", "application/json".into()),
            ];
            let reply =
                match caller.post(&self.url, Call { headers, body: body.clone() }, notice.now_ms).await {
                    Ok(reply) => reply,
                    Err(fault) => return Answer::failed(fault),
                };
            if is_last || reply.status != 401 || code(&reply).is_some() {
                return read(&reply);
            }
            self.grants.forget(&grant);
        }
        Answer::failed("the access token was refused twice")
    }
}

/// The token that an app got.
///
/// # Errors
/// Words: what was expected.
pub fn read_token(text: &str) -> Result<(), String> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_:.=".contains(&byte);
    let is_token = TOKEN_BYTES.contains(&text.len()) && text.bytes().all(is_good);
    is_token.then_some(()).ok_or_else(|| "expected the registration token of an app, 16 to 2048 bytes".into())
}

fn body(token: &str, notice: &Notice<'_>) -> Value {
    // Every value is a text here.
    let data = notice.facts().map(|(name, value)| match value {
        Value::String(text) => (name, Value::String(text)),
        other => (name, Value::String(other.to_string())),
    });
    let data = data.collect::<serde_json::Map<_, _>>();
    if notice.is_withdrawal {
        return withdrawal(token, data, notice);
    }
    let text = |name: &str| notice.payload.get(name).cloned().unwrap_or_default();
    let mut android = json!({
        "collapse_key": notice.topic(), "ttl": format!("{}s", notice.ttl_s()), "priority": "HIGH",
        "notification": { "tag": notice.topic() },
    });
    if let Some(badge) = notice.badge()
        && let Some(shown) = android.pointer_mut("/notification").and_then(Value::as_object_mut)
    {
        shown.insert("notification_count".into(), json!(badge));
    }
    json!({ "message": {
        "token": token, "notification": { "title": text("title"), "body": text("body") },
        "data": data, "android": android,
    }})
}

/// A message of data alone, which the app hears and nobody sees. It has the channel's key, so that a push which has not come yet gives
/// way to it; and it is not urgent, for FCM lowers who is and shows nothing.
fn withdrawal(token: &str, data: serde_json::Map<String, Value>, notice: &Notice<'_>) -> Value {
    json!({ "message": {
        "token": token, "data": data,
        "android": {
            "collapse_key": notice.topic(), "ttl": format!("{}s", notice.ttl_s()), "priority": "NORMAL",
        },
        "apns": {
            "headers": { "apns-push-type": "background", "apns-priority": "5", "apns-expiration": "0" },
            "payload": { "aps": { "content-available": 1 } },
        },
    }})
}

/// FCM's own word for what is wrong, where it said one: a proxy or another service at this place has none.
fn code(reply: &Reply) -> Option<String> {
    let said: Value = serde_json::from_slice(&reply.words).ok()?;
    let details = said.pointer("/error/details")?.as_array()?;
    details.iter().find_map(|detail| detail.get("errorCode")?.as_str()).map(str::to_owned)
}

/// <https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode>
fn read(reply: &Reply) -> Answer {
    match (reply.status, code(reply).as_deref()) {
        (200..=299, _) => Answer::Taken,
        (404, Some("UNREGISTERED")) => Answer::Gone,
        // Of the app's own key for APNs or Web Push at Firebase, or of a token of another project.
        (401, Some(_)) => reply.later(false),
        // Not of this subscription: the account, its rights, the project, the place. Whoever mends it finds the jobs waiting.
        (401 | 404 | 407, _) | (403, None | Some("PERMISSION_DENIED")) => reply.later(true),
        _ => reply.read(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, code: &str) -> Reply {
        let words = match code {
            "" => String::new(),
            code => json!({ "error": { "code": status, "details": [
                { "@type": "type.googleapis.com/google.rpc.BadRequest" },
                { "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code },
            ]}})
            .to_string(),
        };
        Reply { status, retry_after: None, words: words.into_bytes() }
    }

    #[test]
    fn what_fcm_says_is_what_becomes_of_it() {
        let is_later = |answer: &Answer, of_host| matches!(answer, Answer::Later { is_of_host, .. } if *is_of_host == of_host);
        assert_eq!(read(&reply(200, "")), Answer::Taken);
        assert_eq!(read(&reply(404, "UNREGISTERED")), Answer::Gone);
        for (status, code) in [(400, "INVALID_ARGUMENT"), (403, "SENDER_ID_MISMATCH"), (413, "")] {
            assert!(matches!(read(&reply(status, code)), Answer::Refused(_)), "{status} {code}");
        }
        for (status, code) in [
            (429, "QUOTA_EXCEEDED"),
            (500, "INTERNAL"),
            (503, "UNAVAILABLE"),
            (401, ""),
            (403, ""),
            // A wrong project, or a place that is not FCM: no subscription ends by it.
            (404, ""),
        ] {
            assert!(is_later(&read(&reply(status, code)), true), "{status} {code}");
        }
        assert!(is_later(&read(&reply(401, "THIRD_PARTY_AUTH_ERROR")), false));
    }

    #[test]
    fn tokens() {
        read_token("bk3RNwTe3H0:CI2k_HHwgIpoDKCIZvvDMExUdFQ3P1").unwrap();
        for bad in ["", "short", "bk3RNwTe3H0 CI2k_HHwgIpo", "bk3RNwTe3H0/CI2k_HHwgIpo", &"x".repeat(2049)] {
            assert!(read_token(bad).is_err(), "{bad}");
        }
    }
}
