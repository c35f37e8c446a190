//! Looking after the operator's certificate while the server runs: SIGHUP, files that change, the day when it expires.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::{Certificates, DAY_MS};

/// How often the files are looked at. What has changed is read when it has not changed again since the look before: whoever
/// replaces a certificate writes two files.
const LOOK: Duration = Duration::from_secs(5);
/// Time left from which on it is warned once a day; of a certificate with a short life, a third of that.
const WARN_MS: i64 = 14 * DAY_MS;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What tells one state of a file from another.
type Stamp = Option<(u64, u64, u64, i64, i64, i64, i64)>;

/// Looks after the operator's files for as long as the runtime lives. Of our own certificate nothing changes, and SIGHUP keeps
/// its meaning: the end, as for a program whose terminal is gone.
///
/// # Errors
/// The signal cannot be taken.
pub fn watch(runtime: &Runtime, certificates: Arc<Certificates>) -> io::Result<()> {
    if certificates.files.is_none() {
        return Ok(());
    }
    let _inside = runtime.enter();
    let mut hangup = signal(SignalKind::hangup())?;
    runtime.spawn(async move {
        let (mut read, mut seen) = (stamps(&certificates), stamps(&certificates));
        let mut warned = Instant::now();
        loop {
            let is_asked = tokio::select! {
                got = hangup.recv() => got.is_some(),
                () = sleep(LOOK) => false,
            };
            let now = stamps(&certificates);
            let has_settled = now != read && now == seen;
            seen = now;
            if is_asked || has_settled {
                read = now;
                reload(&certificates);
                warned = Instant::now();
            } else if warned.elapsed() > DAY {
                warned = Instant::now();
                warn(&certificates, api::now_ms());
            }
        }
    });
    Ok(())
}

fn reload(certificates: &Certificates) {
    let now_ms = api::now_ms();
    match certificates.reload(now_ms) {
        Ok(()) => {
            let (fingerprint, report) = (certificates.fingerprint(), certificates.report(now_ms));
            tracing::info!(fingerprint, days_left = report.days_left, "the TLS certificate was read anew");
            warn(certificates, now_ms);
        }
        Err(error) => {
            tracing::error!(%error, "the TLS certificate cannot be replaced; the one from before is still served");
        }
    }
}

/// Says what an operator should hear of the time that is left.
pub(super) fn warn(certificates: &Certificates, now_ms: u64) {
    let (left_ms, life_ms) = (certificates.left_ms(now_ms), certificates.life_ms());
    let days_left = certificates.report(now_ms).days_left;
    if left_ms < 0 {
        tracing::error!(days_left, "the TLS certificate has expired: clients refuse it; replace it");
    } else if is_near(left_ms, life_ms) {
        tracing::warn!(days_left, "the TLS certificate expires soon; replace it");
    }
}

fn is_near(left_ms: i64, life_ms: i64) -> bool {
    left_ms < WARN_MS.min(life_ms / 3)
}

fn stamps(certificates: &Certificates) -> [Stamp; 2] {
    let Some((certificate, key)) = &certificates.files else { return [None; 2] };
    [certificate, key].map(|path| std::fs::metadata(path).ok().map(|meta| stamp(&meta)))
}

fn stamp(meta: &Metadata) -> (u64, u64, u64, i64, i64, i64, i64) {
    (meta.dev(), meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_it_is_warned() {
        assert!(is_near(13 * DAY_MS, 90 * DAY_MS) && !is_near(15 * DAY_MS, 90 * DAY_MS));
        assert!(is_near(DAY_MS, 6 * DAY_MS) && !is_near(3 * DAY_MS, 6 * DAY_MS), "a short life");
    }
}
