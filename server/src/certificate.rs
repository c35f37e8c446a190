//! The certificate of QUIC: the operator's, or one of our own that is made at the first start and kept beside the data.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use edge::quic::TlsConfig;
use edge::quic::pki_types::pem::PemObject;
use edge::quic::pki_types::{CertificateDer, PrivateKeyDer};

/// Name of our own certificate in the data directory.
pub const OWN_CERTIFICATE: &str = "tls.crt.pem";
/// Name of its key, readable by the server's user only.
pub const OWN_KEY: &str = "tls.key.pem";

/// A certificate that can be served.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// For every shard.
    pub tls: Arc<TlsConfig>,
    /// SHA-256 of the certificate (DER), 64 hex digits: what our own clients pin.
    pub fingerprint: String,
    /// Follows from the key and from nothing else: for stateless resets and Retry tokens.
    pub secret: [u8; 32],
    /// Whether it was made now.
    pub is_new: bool,
}

/// What is wrong with a certificate or its key.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read, or holds nothing of the sort.
    #[error("{}: {fault}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What was found.
        fault: String,
    },
    /// They do not fit each other, or are of a sort that is not supported.
    #[error("the TLS certificate cannot be used: {0}")]
    Tls(#[from] edge::quic::TlsError),
    /// Ours cannot be made.
    #[error("no certificate can be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// Loads the operator's certificate, or our own, which is made if there is none.
///
/// # Errors
/// [`CertificateError`]
pub fn load(data: &Path, files: Option<(&Path, &Path)>) -> Result<Certificate, CertificateError> {
    let (own_certificate, own_key) = (data.join(OWN_CERTIFICATE), data.join(OWN_KEY));
    let is_new = files.is_none() && !own_key.exists();
    if is_new {
        make(&own_certificate, &own_key)?;
    }
    let (certificate, key) = files.unwrap_or((&own_certificate, &own_key));
    let fault = |path: &Path, fault: String| CertificateError::File { path: path.to_owned(), fault };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fault(certificate, error.to_string()))?;
    let leaf = chain.first().ok_or_else(|| fault(certificate, "expected a PEM certificate".into()))?;
    let fingerprint = hex(ring::digest::digest(&ring::digest::SHA256, leaf).as_ref());
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| fault(key, error.to_string()))?;
    let hmac = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, private.secret_der());
    let mut secret = [0; 32];
    let tag = ring::hmac::sign(&hmac, b"maru quic secret");
    secret.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    let tls = edge::quic::tls(chain, private)?;
    Ok(Certificate { tls, fingerprint, secret, is_new })
}

/// Writes a fresh self-signed certificate. Nobody checks its names: clients know it by its fingerprint. The key is
/// written last, because its presence says that both are there.
fn make(certificate: &Path, key: &Path) -> Result<(), CertificateError> {
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?;
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2120, 1, 1);
    params.distinguished_name.push(rcgen::DnType::CommonName, "maru");
    let pair = rcgen::KeyPair::generate()?;
    let signed = params.self_signed(&pair)?;
    write(certificate, 0o644, &signed.pem())?;
    write(key, 0o600, &pair.serialize_pem())
}

fn write(path: &Path, mode: u32, text: &str) -> Result<(), CertificateError> {
    let fault =
        |error: std::io::Error| CertificateError::File { path: path.to_owned(), fault: error.to_string() };
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(mode).open(path).map_err(fault)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(fault)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_made_once_and_kept() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let first = load(folder.path(), None).unwrap();
        let again = load(folder.path(), None).unwrap();
        assert!(first.is_new && !again.is_new);
        assert_eq!((&first.fingerprint, first.secret), (&again.fingerprint, again.secret));
        assert_eq!(first.fingerprint.len(), 64);
        let key = folder.path().join(OWN_KEY);
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        let certificate = folder.path().join(OWN_CERTIFICATE);
        let named = load(Path::new("/nowhere"), Some((&certificate, &key))).unwrap();
        assert_eq!(named.fingerprint, first.fingerprint);
    }

    #[test]
    fn what_is_no_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("c"), folder.path().join("k"));
        std::fs::write(&certificate, "nothing").unwrap();
        std::fs::write(&key, "nothing").unwrap();
        let error = load(folder.path(), Some((&certificate, &key))).unwrap_err().to_string();
        assert!(error.contains("c: "), "{error}");
    }
}
