//! Apple Push Notification service, by HTTP/2 and a signed provider token:
//! <https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns>.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::address::Endpoint;
use crate::call::{Answer, Call, Caller, Reply};
use crate::jwt;
use crate::limits::{APNS_TOKEN_AGE, APNS_TOKEN_AGE_MIN};
use crate::notice::Notice;

/// Where APNs is for apps of the store; others are told at `api.sandbox.push.apple.com`.
pub const URL: &str = "https://api.push.apple.com";
/// Hexadecimal digits of a device token. Apple may change how long it is.
const TOKEN_DIGITS: core::ops::RangeInclusive<usize> = 32..=200;
/// Characters of a key's and of a team's id.
const ID_CHARS: usize = 10;

/// Whose apps are told, and the key that says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Name of the key, ten characters.
    pub key_id: String,
    /// Name of the team, ten characters.
    pub team_id: String,
    /// Bundle id of the app.
    pub topic: String,
}

/// The app that this server tells of.
#[derive(Debug)]
pub struct Apns {
    origin: String,
    account: Account,
    key: EcdsaKeyPair,
    /// A provider token, and when it was made.
    token: Mutex<Option<(String, u64)>>,
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Apns {
    /// Of a key in PEM, as Apple gives it, and where APNs is.
    ///
    /// # Errors
    /// Words for the operator: what was found and what was expected. Never a secret.
    pub fn new(key: &[u8], account: Account, url: &str) -> Result<Self, String> {
        let is_id = |id: &str| id.len() == ID_CHARS && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        for (name, id) in [("the key's id", &account.key_id), ("the team's id", &account.team_id)] {
            if !is_id(id) {
                return Err(format!("{name} is {id:?}; expected ten letters and digits"));
            }
        }
        let der = PrivatePkcs8KeyDer::from_pem_slice(key)
            .map_err(|_| "is no PEM; expected a key of Apple's, `-----BEGIN PRIVATE KEY-----` and so on")?;
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der(), &random);
        let key =
            key.map_err(|error| format!("{error}; expected a P-256 key in PKCS#8, as Apple gives it"))?;
        Ok(Self { origin: Endpoint::own(url)?.origin, account, key, token: Mutex::default() })
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Tells one device. A provider token that is too old is replaced, once; `made_ms` is when the subscription was made.
    pub(crate) async fn send(
        &self,
        caller: &Caller,
        (device, made_ms): (&str, u64),
        notice: &Notice<'_>,
    ) -> Answer {
        let url = format!("{}/3/device/{device}", self.origin);
        let body = body(notice).to_string().into_bytes();
        for is_last in [false, true] {
            let token = match self.token(notice.now_ms) {
                Ok(token) => token,
                Err(fault) => return Answer::Refused(fault),
            };
            let call = Call { headers: self.headers(&token, notice), body: body.clone() };
            let reply = match caller.post(&url, call, notice.now_ms).await {
                Ok(reply) => reply,
                Err(fault) => return Answer::failed(fault),
            };
            let is_old = reason(&reply).0 == "ExpiredProviderToken";
            if is_last || !is_old || !self.forget(&token, notice.now_ms) {
                return read(&reply, made_ms);
            }
        }
        Answer::failed("the provider token was refused twice")
    }

    fn headers(&self, token: &str, notice: &Notice<'_>) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("authorization", format!("bearer {token}")),
            ("content-type", "application/json".into()),
            ("apns-topic", self.account.topic.clone()),
        ];
        headers.extend(if notice.is_withdrawal {
            // Now or never: APNs keeps one notification of an app for a device that is away, and that is to be a message's.
            vec![
                ("apns-push-type", "background".into()),
                ("apns-priority", "5".into()),
                ("apns-expiration", "0".into()),
            ]
        } else {
            vec![
                ("apns-push-type", "alert".into()),
                ("apns-priority", "10".into()),
                ("apns-expiration", (notice.expires_ms / 1000).to_string()),
                ("apns-collapse-id", notice.topic().into()),
            ]
        });
        headers
    }

    fn token(&self, now_ms: u64) -> Result<String, String> {
        let mut held = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good = |made_ms: u64| now_ms.saturating_sub(made_ms) < whole_ms(APNS_TOKEN_AGE);
        if let Some((token, _)) = held.as_ref().filter(|(_, made_ms)| is_good(*made_ms)) {
            return Ok(token.clone());
        }
        let head = json!({ "alg": "ES256", "kid": self.account.key_id });
        let claims = json!({ "iss": self.account.team_id, "iat": now_ms / 1000 });
        let token = jwt::signed(&head, &claims, |words| {
            self.key.sign(&SystemRandom::new(), words).ok().map(|signature| signature.as_ref().to_vec())
        })?;
        *held = Some((token.clone(), now_ms));
        Ok(token)
    }

    /// Whether there is another token now: Apple refuses who makes them more often than every 20 minutes.
    fn forget(&self, refused: &str, now_ms: u64) -> bool {
        let mut held = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        match held.as_ref() {
            Some((token, made_ms)) if token == refused => {
                let is_due = now_ms.saturating_sub(*made_ms) >= whole_ms(APNS_TOKEN_AGE_MIN);
                if is_due {
                    *held = None;
                }
                is_due
            }
            _ => true,
        }
    }
}

/// The token that a device got.
///
/// # Errors
/// Words: what was expected.
pub fn read_token(text: &str) -> Result<(), String> {
    let is_token = TOKEN_DIGITS.contains(&text.len())
        && text.len().is_multiple_of(2)
        && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_token.then_some(()).ok_or_else(|| "expected a device token, 32 to 200 hexadecimal digits".into())
}

fn body(notice: &Notice<'_>) -> Value {
    let facts = notice.facts().collect::<serde_json::Map<_, _>>();
    if notice.is_withdrawal {
        return json!({ "aps": { "content-available": 1 }, "maru": facts });
    }
    let text = |name: &str| notice.payload.get(name).cloned().unwrap_or_default();
    let mut aps = json!({
        "alert": { "title": text("title"), "body": text("body") },
        "sound": "default", "thread-id": notice.topic(),
    });
    if let (Some(badge), Some(aps)) = (notice.badge(), aps.as_object_mut()) {
        aps.insert("badge".into(), json!(badge));
    }
    json!({ "aps": aps, "maru": facts })
}

/// Apple's word for what is wrong, and since when it is.
fn reason(reply: &Reply) -> (String, Option<u64>) {
    let said: Value = serde_json::from_slice(&reply.words).unwrap_or_default();
    let word = said.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned();
    (word, said.get("timestamp").and_then(Value::as_u64))
}

/// <https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns>
fn read(reply: &Reply, made_ms: u64) -> Answer {
    let (reason, since_ms) = reason(reply);
    match (reply.status, &*reason) {
        (200..=299, _) => Answer::Taken,
        // The app was installed again since, and has got the same token.
        (410, "Unregistered") if since_ms.is_some_and(|since| since < made_ms) => {
            Answer::Refused(format!("{}; the subscription is younger and stays", reply.said()))
        }
        (410, "Unregistered" | "ExpiredToken") | (400, "BadDeviceToken") => Answer::Gone,
        // To one device too often, which says nothing of the host.
        (429, "TooManyRequests") => reply.later(false),
        // Not of this subscription: the key, the team, the clock, the topic's certificate. Whoever mends it finds the jobs waiting.
        (401 | 403 | 404 | 407 | 410, _) => reply.later(true),
        _ => reply.read(),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use ring::signature::KeyPair as _;

    use super::*;

    fn account() -> Account {
        Account {
            key_id: "ABC123DEFG".into(),
            team_id: "DEF123GHIJ".into(),
            topic: "org.example.maru".into(),
        }
    }

    /// A key as Apple's files have it: the curve stands inside the key, too.
    fn apples() -> String {
        let made =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &SystemRandom::new());
        let (made, public) = (made.as_ref(), key.unwrap().public_key().as_ref().to_vec());
        let at = made.windows(2).position(|at| at == [0x04, 0x20]).unwrap() + 2;
        let curve = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
        let ec = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
        let mut der = vec![0x30, 0x81, 0x93, 0x02, 0x01, 0x00, 0x30, 0x13];
        for part in [
            &ec[..],
            &curve,
            &[0x04, 0x79, 0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20],
            &made[at..at + 32],
            &[0xa0, 0x0a],
            &curve,
            &[0xa1, 0x44, 0x03, 0x42, 0x00],
            &public,
        ] {
            der.extend_from_slice(part);
        }
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64.encode(der))
    }

    #[test]
    fn a_token_is_used_for_forty_minutes_and_replaced_no_sooner_than_after_twenty() {
        let apns = Apns::new(apples().as_bytes(), account(), URL).unwrap();
        let minute = 60_000;
        let first = apns.token(0).unwrap();
        assert_eq!(apns.token(39 * minute).unwrap(), first);
        let second = apns.token(40 * minute).unwrap();
        assert_ne!(second, first);
        assert!(!apns.forget(&second, 59 * minute), "it is 19 minutes old");
        assert_eq!(apns.token(59 * minute).unwrap(), second);
        assert!(apns.forget(&second, 60 * minute));
        let third = apns.token(60 * minute).unwrap();
        assert_ne!(third, second);
        assert!(apns.forget(&second, 60 * minute), "another call has replaced it");
        assert_eq!(apns.token(60 * minute).unwrap(), third);
    }

    #[test]
    fn what_the_operator_gives_is_checked() {
        let make = |key: &str, account: Account, url| Apns::new(key.as_bytes(), account, url).map(|_| ());
        make(&apples(), account(), URL).unwrap();
        let fault = make("words", account(), URL).unwrap_err();
        assert!(fault.contains("is no PEM"), "{fault}");
        let short = Account { key_id: "ABC".into(), ..account() };
        assert!(make(&apples(), short, URL).unwrap_err().contains("ten letters and digits"));
        assert!(make(&apples(), account(), "http://api.push.apple.com").unwrap_err().contains("not secured"));
        let rsa = "-----BEGIN PRIVATE KEY-----\nMIIEvQ==\n-----END PRIVATE KEY-----\n";
        assert!(make(rsa, account(), URL).unwrap_err().contains("P-256"));
    }

    #[test]
    fn what_apple_says_is_what_becomes_of_it() {
        let said = |status, reason: &str| {
            let words = json!({ "reason": reason, "timestamp": 500 }).to_string().into_bytes();
            read(&Reply { status, retry_after: None, words }, 400)
        };
        let is_later = |answer: &Answer, of_host| matches!(answer, Answer::Later { is_of_host, .. } if *is_of_host == of_host);
        assert_eq!(said(200, ""), Answer::Taken);
        assert_eq!(said(410, "Unregistered"), Answer::Gone);
        assert_eq!(said(410, "ExpiredToken"), Answer::Gone);
        assert_eq!(said(400, "BadDeviceToken"), Answer::Gone);
        let words = json!({ "reason": "Unregistered", "timestamp": 399 }).to_string().into_bytes();
        let younger = read(&Reply { status: 410, retry_after: None, words }, 400);
        assert!(matches!(younger, Answer::Refused(_)), "{younger:?}");
        for (status, reason) in [
            (400, "BadTopic"),
            (400, "DeviceTokenNotForTopic"),
            (405, "MethodNotAllowed"),
            (413, "PayloadTooLarge"),
        ] {
            assert!(matches!(said(status, reason), Answer::Refused(_)), "{status} {reason}");
        }
        for (status, reason) in [
            (403, "ExpiredProviderToken"),
            (403, "InvalidProviderToken"),
            (429, "TooManyProviderTokenUpdates"),
            (500, "InternalServerError"),
            (503, "ServiceUnavailable"),
            (503, "Shutdown"),
            // Another service stands there: no subscription ends by it.
            (404, "BadPath"),
            (410, ""),
        ] {
            assert!(is_later(&said(status, reason), true), "{status} {reason}");
        }
        assert!(is_later(&said(429, "TooManyRequests"), false));
    }

    #[test]
    fn tokens() {
        read_token(&"0aF9".repeat(16)).unwrap();
        for bad in [
            "",
            "0a",
            &"0".repeat(33),
            &"0g".repeat(16),
            &"0".repeat(202),
            "../3/device/000000000000000000000000",
        ] {
            assert!(read_token(bad).is_err(), "{bad}");
        }
    }
}
