//! Web Push: a payload that only the browser can read (RFC 8291, in the coding of RFC 8188), to where the browser said
//! (RFC 8030), signed by the server's key (RFC 8292).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use protocol::commit::SubscriptionRow;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{self, ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::call::Call;
use crate::limits::{PAYLOAD_BYTES_MAX, RECORD_BYTES};
use crate::notice::Notice;
use crate::vapid::Vapid;

/// Bytes of a browser's public key: an uncompressed point of P-256.
pub const KEY_BYTES: usize = 65;
/// Bytes of the secret that a browser shares.
pub const SECRET_BYTES: usize = 16;

/// The call that tells a browser.
///
/// # Errors
/// The subscription's keys are none.
pub fn call(row: &SubscriptionRow, origin: &str, notice: &Notice<'_>, vapid: &Vapid) -> Result<Call, String> {
    let headers = vec![
        ("authorization", vapid.authorization(origin, notice.now_ms)?),
        ("content-encoding", "aes128gcm".into()),
        ("content-type", "application/octet-stream".into()),
        ("ttl", notice.ttl_s().to_string()),
        ("urgency", if notice.is_urgent { "high" } else { "normal" }.into()),
        // What a newer push replaces: RFC 8030 section 5.4.
        ("topic", notice.topic().into()),
    ];
    Ok(Call { headers, body: encrypt(notice.payload.to_string().as_bytes(), &row.key, &row.secret)? })
}

/// Encrypts a payload for a browser.
///
/// # Errors
/// The key is no point of the curve, the secret has another length, or the payload is too long.
pub fn encrypt(payload: &[u8], browser: &[u8], secret: &[u8]) -> Result<Vec<u8>, String> {
    let random = SystemRandom::new();
    let mut salt = [0; 16];
    random.fill(&mut salt).map_err(|_| "no random bytes")?;
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(format!("a payload of {} bytes; at most {PAYLOAD_BYTES_MAX}", payload.len()));
    }
    if secret.len() != SECRET_BYTES {
        return Err(format!("a secret of {} bytes; expected {SECRET_BYTES}", secret.len()));
    }
    let own = EphemeralPrivateKey::generate(&ECDH_P256, &random).map_err(|_| "no random bytes")?;
    let public = own.compute_public_key().map_err(|_| "no public key")?;
    let browser_key = UnparsedPublicKey::new(&ECDH_P256, browser);
    // RFC 8291 section 3.4: the shared secret and the browser's own are the input of what RFC 8188 derives.
    let input = agreement::agree_ephemeral(own, &browser_key, |shared| {
        let info: [&[u8]; 3] = [b"WebPush: info\0", browser, public.as_ref()];
        expand::<32>(&Salt::new(HKDF_SHA256, secret).extract(shared), &info)
    });
    let input = input.map_err(|_| "the browser's key is no point of P-256")?.ok_or("nothing is derived")?;
    let prk = Salt::new(HKDF_SHA256, &salt).extract(&input);
    let key = expand::<16>(&prk, &[b"Content-Encoding: aes128gcm\0"]).ok_or("nothing is derived")?;
    let nonce = expand::<12>(&prk, &[b"Content-Encoding: nonce\0"]).ok_or("nothing is derived")?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).map_err(|_| "no key")?);
    let mut sealed = payload.to_vec();
    // The last record, without padding.
    sealed.push(2);
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed).map_err(|_| "nothing is sealed")?;
    let mut body = Vec::with_capacity(86 + sealed.len());
    body.extend_from_slice(&salt);
    body.extend_from_slice(&RECORD_BYTES.to_be_bytes());
    body.push(u8::try_from(KEY_BYTES).unwrap_or(u8::MAX));
    body.extend_from_slice(public.as_ref());
    body.extend_from_slice(&sealed);
    Ok(body)
}

/// A field of a subscription, and what is expected of it.
pub type BadKey = (&'static str, String);

/// What a browser gives in its subscription, read; base64url with or without padding.
///
/// # Errors
/// Words: what was found and what was expected.
pub fn read_keys(p256dh: &str, auth: &str) -> Result<(Vec<u8>, Vec<u8>), BadKey> {
    let read = |name, text: &str, bytes: usize| {
        let found = BASE64.decode(text.trim_end_matches('=')).unwrap_or_default();
        let is_good = found.len() == bytes;
        is_good.then_some(found).ok_or_else(|| (name, format!("expected {bytes} bytes in base64url")))
    };
    let key = read("p256dh", p256dh, KEY_BYTES)?;
    let secret = read("auth", auth, SECRET_BYTES)?;
    encrypt(b"", &key, &secret).map_err(|fault| ("p256dh", fault))?;
    Ok((key, secret))
}

#[derive(Clone, Copy)]
struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand<const N: usize>(prk: &Prk, info: &[&[u8]]) -> Option<[u8; N]> {
    let mut out = [0; N];
    prk.expand(info, Bytes(N)).ok()?.fill(&mut out).ok()?;
    Some(out)
}
