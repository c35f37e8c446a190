use std::os::unix::fs::PermissionsExt;

use super::*;

/// A certificate and its key in a folder, valid for so many days from `now_ms` on. One reading of the clock for what is made and for
/// what is asked about it: between two a second may turn, and with it a day.
fn put(folder: &Path, now_ms: u64, days: i64) -> (PathBuf, PathBuf) {
    let (certificate, key) = (folder.join("c.pem"), folder.join("k.pem"));
    let pair = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let now = std::time::UNIX_EPOCH + std::time::Duration::from_millis(now_ms);
    let day = std::time::Duration::from_secs(24 * 3600);
    params.not_before = (now - 400 * day).into();
    let shift = day * u32::try_from(days.unsigned_abs()).unwrap();
    params.not_after = if days < 0 { now - shift } else { now + shift }.into();
    write(&certificate, 0o644, &params.self_signed(&pair).unwrap().pem()).unwrap();
    write(&key, 0o600, &pair.serialize_pem()).unwrap();
    (certificate, key)
}

#[test]
fn ours_is_made_once_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let first = load(folder.path(), None).unwrap();
    let again = load(folder.path(), None).unwrap();
    assert_eq!((first.certificates.whose(), again.certificates.whose()), ("made now", "kept"));
    let fingerprint = first.certificates.fingerprint();
    assert_eq!((&fingerprint, first.secret), (&again.certificates.fingerprint(), again.secret));
    assert_eq!(fingerprint.len(), 64);
    let key = folder.path().join(OWN_KEY);
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let certificate = folder.path().join(OWN_CERTIFICATE);
    let named = load(Path::new("/nowhere"), Some((&certificate, &key))).unwrap();
    assert_eq!(named.certificates.fingerprint(), fingerprint);
    assert!(named.certificates.report(api::now_ms()).days_left > 30_000);
}

#[test]
fn what_is_no_certificate_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("c"), folder.path().join("k"));
    std::fs::write(&certificate, "nothing").unwrap();
    std::fs::write(&key, "nothing").unwrap();
    let error = load(folder.path(), Some((&certificate, &key))).unwrap_err().to_string();
    assert!(error.contains("c: no PEM certificate"), "{error}");
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = put(folder.path(), api::now_ms(), 90);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = load(folder.path(), Some((&certificate, &key))).unwrap_err().to_string();
    assert!(error.contains("k.pem: its mode is 644") && error.contains("chmod 600"), "{error}");
}

#[test]
fn a_new_one_is_served_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let now_ms = api::now_ms();
    let (certificate, key) = put(folder.path(), now_ms, 90);
    let certificates = load(folder.path(), Some((&certificate, &key))).unwrap().certificates;
    let first = certificates.fingerprint();
    put(folder.path(), now_ms, 60);
    assert_eq!(certificates.fingerprint(), first, "nobody has asked");
    certificates.reload(now_ms).unwrap();
    let second = certificates.fingerprint();
    assert_ne!(second, first);
    assert!((59..=60).contains(&certificates.report(now_ms).days_left));
    // A key of somebody else, an end that is past, and nothing at all.
    let other = tempfile::tempdir().unwrap();
    std::fs::copy(put(other.path(), now_ms, 90).1, &key).unwrap();
    let error = certificates.reload(now_ms).unwrap_err().to_string();
    assert!(error.contains("k.pem: it is not the key"), "{error}");
    assert!(certificates.report(now_ms).is_stale);
    put(folder.path(), now_ms, -2);
    let error = certificates.reload(now_ms).unwrap_err().to_string();
    assert!(error.contains("expired 2 days ago"), "{error}");
    std::fs::remove_file(&certificate).unwrap();
    assert!(certificates.reload(now_ms).unwrap_err().to_string().contains("c.pem"));
    assert_eq!(certificates.fingerprint(), second, "it is still there");
    put(folder.path(), now_ms, 30);
    certificates.reload(now_ms).unwrap();
    let report = certificates.report(now_ms);
    assert_eq!((report.reloads, report.failures, report.is_stale), (2, 3, false));
}

#[test]
fn an_expired_one_is_served_at_the_start_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let now_ms = api::now_ms();
    let (certificate, key) = put(folder.path(), now_ms, -3);
    let certificates = load(folder.path(), Some((&certificate, &key))).unwrap().certificates;
    let days_left = certificates.report(now_ms).days_left;
    assert!((-4..=-3).contains(&days_left), "{days_left}");
}
