//! What FCM lets a server in by: an access token of Google's, got with the key of a service account (RFC 7523), kept, and
//! renewed before its end.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::address::Endpoint;
use crate::call::{Call, Caller};
use crate::jwt;
use crate::limits::{GRANT_MARGIN, GRANT_REST};

/// What an access token is for.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// How long the signed request for one is good for: the most that is taken.
const ASSERTION_LIFE: Duration = Duration::from_secs(3600);

/// Access tokens of one service account.
pub(crate) struct Grants {
    key: RsaKeyPair,
    key_id: Option<String>,
    account: String,
    /// Who gives them.
    giver: String,
    held: Mutex<Held>,
    /// Held by whoever asks for a new one, so that one call asks and not each.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Held {
    /// A token, when it is to be renewed, and its end.
    token: Option<(String, u64, u64)>,
    /// Why there was none, and until when nobody asks again.
    fault: Option<(String, u64)>,
}

impl std::fmt::Debug for Grants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grants").field("account", &self.account).finish_non_exhaustive()
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Grants {
    /// Of a service account, as its file says.
    ///
    /// # Errors
    /// Words for the operator: which field, and what was expected.
    pub(crate) fn new(account: &Value) -> Result<Self, String> {
        let text = |name: &str| {
            let found = account.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            found.ok_or_else(|| format!("has no `{name}`; expected the key file of a service account, JSON"))
        };
        let pem = text("private_key")?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| "`private_key` is no PEM; expected `-----BEGIN PRIVATE KEY-----` and so on")?;
        let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der())
            .map_err(|error| format!("`private_key`: {error}; expected an RSA key of 2048 bits or more"))?;
        let giver = text("token_uri")?;
        Endpoint::own(giver).map_err(|fault| format!("`token_uri` {fault}"))?;
        Ok(Self {
            key,
            key_id: text("private_key_id").ok().map(str::to_owned),
            account: text("client_email")?.to_owned(),
            giver: giver.to_owned(),
            held: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        })
    }

    /// A token that is good now.
    ///
    /// # Errors
    /// Words: there is none.
    pub(crate) async fn token(&self, caller: &Caller, now_ms: u64) -> Result<String, String> {
        if let Some(token) = self.fresh(now_ms) {
            return Ok(token);
        }
        let turn = match self.good(now_ms) {
            // One renews it, and the others go on with what there is.
            Some(token) => match self.asking.try_lock() {
                Ok(turn) => turn,
                Err(_) => return Ok(token),
            },
            None => self.asking.lock().await,
        };
        if let Some(token) = self.fresh(now_ms) {
            return Ok(token);
        }
        let rests = self.with(|held| held.fault.clone().filter(|(_, until)| *until > now_ms));
        let asked = match rests {
            Some((fault, _)) => Err(fault),
            None => self.ask(caller, now_ms).await,
        };
        drop(turn);
        match asked {
            Ok((token, life_ms)) => {
                let ends_ms = now_ms + life_ms;
                let renewed_ms = ends_ms - whole_ms(GRANT_MARGIN).min(life_ms / 4);
                let held = Held { token: Some((token.clone(), renewed_ms, ends_ms)), fault: None };
                self.with(|place| *place = held);
                Ok(token)
            }
            Err(fault) => {
                self.with(|held| {
                    if held.fault.as_ref().is_none_or(|(_, until)| *until <= now_ms) {
                        held.fault = Some((fault.clone(), now_ms + whole_ms(GRANT_REST)));
                    }
                });
                self.good(now_ms).ok_or(fault)
            }
        }
    }

    /// A token that was refused is used no more.
    pub(crate) fn forget(&self, refused: &str) {
        self.with(|held| held.token = held.token.take().filter(|(token, ..)| token != refused));
    }

    fn with<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        change(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One that is not to be renewed yet.
    fn fresh(&self, now_ms: u64) -> Option<String> {
        self.with(|held| {
            held.token.as_ref().filter(|(_, renewed, _)| *renewed > now_ms).map(|of| of.0.clone())
        })
    }

    /// One that has not ended.
    fn good(&self, now_ms: u64) -> Option<String> {
        self.with(|held| held.token.as_ref().filter(|(.., ends)| *ends > now_ms).map(|of| of.0.clone()))
    }

    /// A new token, and how long it is good for.
    async fn ask(&self, caller: &Caller, now_ms: u64) -> Result<(String, u64), String> {
        let body = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={}",
            self.assertion(now_ms)?
        );
        let headers = vec![("content-type", "application/x-www-form-urlencoded".into())];
        let call = Call { headers, body: body.into_bytes() };
        let reply = caller.post(&self.giver, call, now_ms).await;
        let reply = reply.map_err(|fault| format!("no access token for FCM: {fault}"))?;
        let given: Value = serde_json::from_slice(&reply.words).unwrap_or_default();
        let token = given.get("access_token").and_then(Value::as_str).filter(|token| is_token(token));
        let life_s =
            given.get("expires_in").and_then(Value::as_u64).filter(|life| (1..=86_400).contains(life));
        match (reply.status, token.zip(life_s)) {
            (200, Some((token, life_s))) => Ok((token.to_owned(), life_s * 1000)),
            // Its words would be the token.
            (200, None) => {
                Err("no access token for FCM: the answer has no `access_token` or `expires_in`".into())
            }
            _ => Err(format!("no access token for FCM: {}", reply.said())),
        }
    }

    fn assertion(&self, now_ms: u64) -> Result<String, String> {
        let now = now_ms / 1000;
        let mut head = json!({ "alg": "RS256", "typ": "JWT" });
        if let (Some(id), Some(head)) = (&self.key_id, head.as_object_mut()) {
            head.insert("kid".into(), json!(id));
        }
        let claims = json!({
            "iss": self.account, "scope": SCOPE, "aud": self.giver, "iat": now,
            "exp": now + ASSERTION_LIFE.as_secs(),
        });
        jwt::signed(&head, &claims, |words| {
            let mut signature = vec![0; self.key.public().modulus_len()];
            self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), words, &mut signature).ok()?;
            Some(signature)
        })
    }
}

/// What may stand in a header.
fn is_token(text: &str) -> bool {
    (1..=4096).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
