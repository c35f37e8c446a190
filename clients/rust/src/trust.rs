//! Whom a client takes for its server when it speaks TLS: whoever shows a certificate that an authority has signed for the name in
//! the address, or the one certificate that it was told of.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore};

use crate::account::unhex;

/// What HTTP and WebSocket are called in the handshake (RFC 7301).
const ALPN: &[u8] = b"http/1.1";

/// Whom to believe. Cheap to clone.
#[derive(Clone, Default)]
pub struct Trust {
    /// `None`: the authorities that the system trusts.
    config: Option<Arc<ClientConfig>>,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.config.is_none() { "Trust(system)" } else { "Trust(own)" })
    }
}

/// Why nobody can be trusted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TrustError {
    /// Not a fingerprint.
    #[error(
        "{0:?} is not a certificate's SHA-256: expected 64 hex digits, as the server prints them at its start"
    )]
    Pin(String),
    /// Not a file of certificates.
    #[error("{path}: {fault}; expected PEM certificates")]
    File {
        /// Which.
        path: String,
        /// What is wrong with it.
        fault: String,
    },
    /// The system trusts nobody.
    #[error(
        "this system has no list of trusted certificates ({0}); name the server's certificate or its authority"
    )]
    NoSystem(String),
    /// The TLS library refuses its own defaults.
    #[error("TLS: {0}")]
    Tls(String),
}

impl From<rustls::Error> for TrustError {
    fn from(error: rustls::Error) -> Self {
        Self::Tls(error.to_string())
    }
}

impl Trust {
    /// Whoever shows the certificate with this SHA-256, 64 hex digits. Its names, its times and who signed it do not count.
    ///
    /// # Errors
    /// [`TrustError::Pin`]
    pub fn pin(fingerprint: &str) -> Result<Self, TrustError> {
        let bytes = unhex(fingerprint).ok_or_else(|| TrustError::Pin(fingerprint.to_owned()))?;
        Ok(Self { config: Some(Arc::new(pinned(bytes, ALPN)?)) })
    }

    /// Whoever an authority in this file (PEM) has signed, and nobody else.
    ///
    /// # Errors
    /// [`TrustError::File`]
    pub fn authorities(path: &Path) -> Result<Self, TrustError> {
        let fault = |fault: String| TrustError::File { path: path.display().to_string(), fault };
        let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let found = found.map_err(|error| fault(error.to_string()))?;
        let mut roots = RootCertStore::empty();
        if roots.add_parsable_certificates(found).0 == 0 {
            return Err(fault("no certificate in it can be trusted".to_owned()));
        }
        Ok(Self { config: Some(Arc::new(signed_by(roots)?)) })
    }

    /// By a fingerprint or by a file, or as the system does when neither is named.
    ///
    /// # Errors
    /// As for [`Self::pin`] and [`Self::authorities`].
    pub fn named(pin: Option<&str>, authorities: Option<&Path>) -> Result<Self, TrustError> {
        match (pin, authorities) {
            (Some(pin), _) => Self::pin(pin),
            (None, Some(path)) => Self::authorities(path),
            (None, None) => Ok(Self::default()),
        }
    }

    /// What connections are made with. The system is asked once in a process; its list is some 150 certificates.
    ///
    /// # Errors
    /// [`TrustError::NoSystem`]
    pub fn config(&self) -> Result<Arc<ClientConfig>, TrustError> {
        static SYSTEM: OnceLock<Result<Arc<ClientConfig>, TrustError>> = OnceLock::new();
        match &self.config {
            Some(config) => Ok(config.clone()),
            None => SYSTEM.get_or_init(|| system().map(Arc::new)).clone(),
        }
    }
}

fn system() -> Result<ClientConfig, TrustError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    if roots.add_parsable_certificates(found.certs).0 == 0 {
        let why = found.errors.first().map_or_else(|| "none was found".to_owned(), ToString::to_string);
        return Err(TrustError::NoSystem(why));
    }
    signed_by(roots)
}

fn signed_by(roots: RootCertStore) -> Result<ClientConfig, TrustError> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// TLS with whoever has the certificate of this SHA-256.
pub(crate) fn pinned(fingerprint: [u8; 32], alpn: &[u8]) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let pin = Arc::new(Pin { fingerprint, provider: provider.clone() });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(pin)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(config)
}

/// What is wrong with a certificate, for people.
pub(crate) fn words(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; look at the clock".into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name".into()
        }
        CertificateError::UnknownIssuer => {
            "nobody whom this client trusts has signed its certificate; name its fingerprint or its authority"
                .into()
        }
        CertificateError::ApplicationVerificationFailure => WRONG_PIN.into(),
        other => format!("its certificate cannot be trusted: {other}"),
    }
}

/// The certificate is another one than the client was told of.
pub(crate) const WRONG_PIN: &str =
    "its certificate is not the one that was announced: somebody may be in between";

/// Knows the server by its certificate and by nothing else.
#[derive(Debug)]
struct Pin {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = ring::digest::digest(&ring::digest::SHA256, end_entity);
        if found.as_ref() == self.fingerprint {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_pin_and_no_file_of_certificates_is_named() {
        assert!(Trust::pin(&"0a".repeat(32)).is_ok());
        for wrong in ["", "0a", &"0g".repeat(32), &"+a".repeat(32), &"0a".repeat(33)] {
            assert_eq!(Trust::pin(wrong).unwrap_err(), TrustError::Pin(wrong.to_owned()));
        }
        let words = Trust::authorities(Path::new("/nowhere/ca.pem")).unwrap_err().to_string();
        assert!(words.contains("/nowhere/ca.pem") && words.contains("PEM"), "{words}");
        let empty = Trust::authorities(Path::new("/dev/null")).unwrap_err().to_string();
        assert!(empty.contains("no certificate in it"), "{empty}");
    }
}
