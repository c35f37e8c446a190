//! The certificate of QUIC and of TLS on the TCP ports: the operator's, which is read again while the server runs, or one of our
//! own that is made at the first start and kept beside the data.

mod file;
mod watch;

pub use watch::watch;

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use file::Pair;

/// Name of our own certificate in the data directory.
pub const OWN_CERTIFICATE: &str = "tls.crt.pem";
/// Name of its key, readable by the server's user only.
pub const OWN_KEY: &str = "tls.key.pem";

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// What is wrong with a certificate or its key.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read, or does not hold what it should.
    #[error("{}: {fault}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What was found.
        fault: String,
    },
    /// They are of a sort that is not supported.
    #[error("the TLS certificate cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    /// Ours cannot be made.
    #[error("no certificate can be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// The certificate that is served now. Handshakes ask for it one by one, so a new one counts from the next handshake on, and
/// whoever is connected notices nothing.
#[derive(Debug)]
pub struct Certificates {
    /// Certificate and key of the operator; `None`: ours, which nobody replaces.
    files: Option<(PathBuf, PathBuf)>,
    /// Whether it was made at this start.
    is_new: bool,
    now: RwLock<Served>,
    reloads: AtomicU64,
    failures: AtomicU64,
    /// The files hold what cannot be served; an older certificate is.
    is_stale: AtomicBool,
}

#[derive(Clone, Debug)]
struct Served {
    key: Arc<CertifiedKey>,
    fingerprint: String,
    /// It is valid from then until then, milliseconds since the Unix epoch.
    valid_ms: (u64, u64),
}

/// What there is at the start.
#[derive(Debug)]
pub struct Loaded {
    /// For all who serve it.
    pub certificates: Arc<Certificates>,
    /// Follows from the key of now and from nothing else: for stateless resets and Retry tokens.
    pub secret: [u8; 32],
}

/// Counters for the operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CertificateReport {
    /// Whole days until it expires, below 0 when it has.
    pub days_left: i64,
    /// Times that it was read anew.
    pub reloads: u64,
    /// Times that it was not, for what was found.
    pub failures: u64,
    /// Whether the files hold what cannot be served.
    pub is_stale: bool,
}

/// Loads the operator's certificate, or our own, which is made if there is none. One that has expired is served all the same,
/// with an error in the log: devices that know it by its fingerprint still come in.
///
/// # Errors
/// [`CertificateError`]
pub fn load(data: &Path, files: Option<(&Path, &Path)>) -> Result<Loaded, CertificateError> {
    let (own_certificate, own_key) = (data.join(OWN_CERTIFICATE), data.join(OWN_KEY));
    let is_new = files.is_none() && !own_key.exists();
    if is_new {
        make(&own_certificate, &own_key)?;
    }
    let (certificate, key) = files.unwrap_or((&own_certificate, &own_key));
    let Pair { served, secret } = file::read(certificate, key)?;
    let certificates = Arc::new(Certificates {
        files: files.map(|(certificate, key)| (certificate.to_owned(), key.to_owned())),
        is_new,
        now: RwLock::new(served),
        reloads: AtomicU64::new(0),
        failures: AtomicU64::new(0),
        is_stale: AtomicBool::new(false),
    });
    watch::warn(&certificates, api::now_ms());
    Ok(Loaded { certificates, secret })
}

impl Certificates {
    fn served(&self) -> Served {
        // Nothing in it can be half changed.
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// SHA-256 of the certificate (DER), 64 hex digits: what our own clients pin.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.served().fingerprint
    }

    /// Whose it is, for people.
    #[must_use]
    pub fn whose(&self) -> &'static str {
        match (&self.files, self.is_new) {
            (Some(_), _) => "yours",
            (None, true) => "made now",
            (None, false) => "kept",
        }
    }

    /// What an operator wants to know of it.
    #[must_use]
    pub fn report(&self, now_ms: u64) -> CertificateReport {
        CertificateReport {
            days_left: self.left_ms(now_ms).div_euclid(DAY_MS),
            reloads: self.reloads.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            is_stale: self.is_stale.load(Ordering::Relaxed),
        }
    }

    /// Until it expires; below 0 when it has.
    fn left_ms(&self, now_ms: u64) -> i64 {
        signed(self.served().valid_ms.1).saturating_sub(signed(now_ms))
    }

    /// How long it is valid in all.
    fn life_ms(&self) -> i64 {
        let (from, until) = self.served().valid_ms;
        signed(until).saturating_sub(signed(from))
    }

    /// Reads the operator's files again. What cannot be served, or is not valid now, changes nothing.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub fn reload(&self, now_ms: u64) -> Result<(), CertificateError> {
        let Some((certificate, key)) = &self.files else { return Ok(()) };
        let read = file::read(certificate, key).and_then(|pair| {
            file::check_time(certificate, pair.served.valid_ms, now_ms)?;
            Ok(pair.served)
        });
        self.is_stale.store(read.is_err(), Ordering::Relaxed);
        match read {
            Ok(served) => {
                *self.now.write().unwrap_or_else(PoisonError::into_inner) = served;
                self.reloads.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.served().key)
    }
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
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

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
