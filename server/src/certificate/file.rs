//! The files of a certificate: what they hold, who may read the key, and from when to when it is valid.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError as Invalid, Error, InconsistentKeys, RootCertStore};

use super::{CertificateError, DAY_MS, Served, hex, signed};

/// Most that is read of a file: a chain is a few KiB.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A certificate with what follows from its key.
pub(super) struct Pair {
    pub(super) served: Served,
    pub(super) secret: [u8; 32],
}

/// Reads both files and sees that they fit each other.
pub(super) fn read(certificate: &Path, key: &Path) -> Result<Pair, CertificateError> {
    let text = contents(certificate, |_| Ok(()))?;
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| fault(certificate, error.to_string()))?;
    let leaf = chain.first().ok_or_else(|| fault(certificate, "no PEM certificate is in it".into()))?.clone();
    let fingerprint = hex(ring::digest::digest(&ring::digest::SHA256, &leaf).as_ref());
    let text = contents(key, |file| {
        let meta = file.metadata().map_err(|error| error.to_string())?;
        let mode = meta.mode() & 0o777;
        // Our own, in a data directory on such a volume.
        if mode & 0o007 == 0 && api::is_on_volume_of_group(key, meta.gid()) {
            return Ok(());
        }
        check_mode(mode, meta.uid())
    })?;
    let private = PrivateKeyDer::from_pem_slice(&text).map_err(|error| fault(key, error.to_string()))?;
    let hmac = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, private.secret_der());
    let mut secret = [0; 32];
    let tag = ring::hmac::sign(&hmac, b"maru quic secret");
    secret.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    let pair = CertifiedKey::from_der(chain, private, &rustls::crypto::ring::default_provider());
    let pair = pair.map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            fault(key, format!("it is not the key of the certificate in {}", certificate.display()))
        }
        error => error.into(),
    })?;
    let valid_ms = validity(&leaf).map_err(|error| fault(certificate, error.to_string()))?;
    Ok(Pair { served: Served { key: Arc::new(pair), fingerprint, valid_ms }, secret })
}

/// Who may read the key. PostgreSQL has the same rule: what Kubernetes mounts for a pod with an `fsGroup` belongs to root and is
/// readable by that group, which the server is in.
fn check_mode(mode: u32, owner: u32) -> Result<(), String> {
    let forbidden = if owner == 0 { 0o037 } else { 0o077 };
    if mode & forbidden == 0 {
        return Ok(());
    }
    Err(format!(
        "its mode is {mode:o}, and others must not read a key: expected 600, or 640 when its owner is root (chmod 600)"
    ))
}

/// Refuses a certificate that no client would take.
pub(super) fn check_time(
    path: &Path,
    (from, until): (u64, u64),
    now_ms: u64,
) -> Result<(), CertificateError> {
    let days = |later: u64, earlier: u64| (signed(later) - signed(earlier)) / DAY_MS;
    if now_ms > until {
        let days = days(now_ms, until);
        return Err(fault(path, format!("the certificate expired {days} days ago; get a new one")));
    }
    if now_ms < from {
        let days = days(from, now_ms);
        return Err(fault(path, format!("the certificate is valid in {days} days; look at the clock")));
    }
    Ok(())
}

fn fault(path: &Path, fault: String) -> CertificateError {
    CertificateError::File { path: path.to_owned(), fault }
}

/// What is in a file that `check` has nothing against.
fn contents(path: &Path, check: impl Fn(&File) -> Result<(), String>) -> Result<Vec<u8>, CertificateError> {
    let words = |error: std::io::Error| fault(path, error.to_string());
    let file = File::open(path).map_err(words)?;
    check(&file).map_err(|words| fault(path, words))?;
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut text).map_err(words)?;
    Ok(text)
}

/// From when until when a certificate is valid, milliseconds since the Unix epoch. The library tells these times only with its
/// refusal, so it is asked about the beginning and the end of all time; who signed it is not looked at before them.
fn validity(leaf: &CertificateDer<'_>) -> Result<(u64, u64), Error> {
    let parsed = ParsedCertificate::try_from(leaf)?;
    let ask = |seconds: u64| {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        verify_server_cert_signed_by_trust_anchor(&parsed, &RootCertStore::empty(), &[], at, &[])
    };
    let ms = |time: UnixTime| time.as_secs().saturating_mul(1000);
    let from = match ask(0) {
        Err(Error::InvalidCertificate(Invalid::NotValidYetContext { not_before, .. })) => ms(not_before),
        _ => 0,
    };
    match ask(u64::MAX) {
        Err(Error::InvalidCertificate(Invalid::ExpiredContext { not_after, .. })) => {
            Ok((from, ms(not_after)))
        }
        Err(error) => Err(error),
        Ok(()) => Ok((from, u64::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_read_a_key() {
        for (mode, owner, is_fine) in [
            (0o600, 1000, true),
            (0o400, 1000, true),
            (0o640, 1000, false),
            (0o604, 1000, false),
            (0o644, 1000, false),
            (0o600, 0, true),
            (0o640, 0, true),
            (0o440, 0, true),
            (0o660, 0, false),
            (0o644, 0, false),
            (0o641, 0, false),
        ] {
            assert_eq!(check_mode(mode, owner).is_ok(), is_fine, "{mode:o} of {owner}");
        }
        assert!(check_mode(0o644, 1000).unwrap_err().contains("chmod 600"));
    }

    #[test]
    fn times_are_read() {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 4, 1);
        let signed = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let valid_ms = validity(signed.der()).unwrap();
        assert_eq!(valid_ms, (1_767_225_600_000, 1_775_001_600_000));
        let path = Path::new("c");
        assert!(check_time(path, valid_ms, 1_770_000_000_000).is_ok());
        let words = check_time(path, valid_ms, 1_775_001_600_000 + 3 * 86_400_000).unwrap_err().to_string();
        assert!(words.contains("expired 3 days ago"), "{words}");
        assert!(check_time(path, valid_ms, 1).unwrap_err().to_string().contains("clock"));
    }
}
