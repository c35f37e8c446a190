//! Backups of the running server, one at a time.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use api::{Accounts, BackupRefused, BackupReport, now_ms};
use storage::Store;

use super::{BackupError, Target, make};
use crate::space::Keep;

/// Makes them.
#[derive(Debug)]
pub struct Backups {
    data: PathBuf,
    keep: Keep,
    store: Arc<Store>,
    accounts: Accounts,
    last: Mutex<Option<BackupReport>>,
    counts: Counts,
}

/// Since the process began.
#[derive(Debug, Default)]
struct Counts {
    made: AtomicU64,
    failed: AtomicU64,
    /// When the last one was whole, milliseconds since the Unix epoch; 0: none was.
    whole_ms: AtomicU64,
}

impl Backups {
    /// Of this directory, which is open.
    #[must_use]
    pub fn new(data: &Path, keep: Keep, store: Arc<Store>, accounts: Accounts) -> Self {
        Self {
            data: data.to_owned(),
            keep,
            store,
            accounts,
            last: Mutex::default(),
            counts: Counts::default(),
        }
    }

    /// The one that is being made, or the last one.
    #[must_use]
    pub fn report(&self) -> Option<BackupReport> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins one, on the runtime of whoever calls.
    ///
    /// # Errors
    /// Whatever can be seen before.
    pub fn begin(self: Arc<Self>, to: &Path) -> Result<(), BackupRefused> {
        let target = Target::at(to, &self.data, self.keep)?;
        target.has_room(self.store.stats().disk_bytes)?;
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(running) = last.as_ref().filter(|report| report.is_running) {
                return Err(BackupRefused::Running(running.to.clone()));
            }
            let to = to.display().to_string();
            *last =
                Some(BackupReport { to, is_running: true, began_ms: now_ms(), ..BackupReport::default() });
        }
        tokio::spawn(async move {
            let made = make(&self.data, self.store.clone(), &self.accounts, target).await;
            self.ended(made.map(|manifest| (manifest.files.len() as u64, manifest.bytes())));
        });
        Ok(())
    }

    fn ended(&self, made: Result<(u64, u64), BackupError>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(report) = last.as_mut() else { return };
        (report.is_running, report.ended_ms) = (false, now_ms());
        match made {
            Ok((files, bytes)) => {
                (report.files, report.bytes) = (files, bytes);
                self.counts.made.fetch_add(1, Ordering::Relaxed);
                self.counts.whole_ms.store(report.ended_ms, Ordering::Relaxed);
                tracing::info!(to = report.to, files, bytes, "the backup is made");
            }
            Err(error) => {
                tracing::error!(to = report.to, %error, "there is no backup");
                report.error = Some(error.to_string());
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// In the Prometheus text format.
    #[must_use]
    pub fn metrics(&self) -> String {
        let Counts { made, failed, whole_ms } = &self.counts;
        let [made, failed, whole_ms] = [made, failed, whole_ms].map(|count| count.load(Ordering::Relaxed));
        let running = u8::from(self.report().is_some_and(|report| report.is_running));
        format!(
            "# HELP maru_backups_total Backups since the start, by outcome.\n\
             # TYPE maru_backups_total counter\n\
             maru_backups_total{{outcome=\"made\"}} {made}\n\
             maru_backups_total{{outcome=\"failed\"}} {failed}\n\
             # HELP maru_backup_running Whether one is being made.\n\
             # TYPE maru_backup_running gauge\n\
             maru_backup_running {running}\n\
             # HELP maru_backup_timestamp_seconds When the last one since the start was whole; 0: none was.\n\
             # TYPE maru_backup_timestamp_seconds gauge\n\
             maru_backup_timestamp_seconds {}\n",
            whole_ms / 1000
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::Database;
    use storage::Options;

    /// On this runtime nothing goes on but where the test waits.
    #[tokio::test]
    async fn one_is_made_at_a_time_and_its_end_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let store = Arc::new(Store::open(&data, &Options::default()).unwrap());
        let accounts = Accounts::open(&Database::in_directory(&data)).await.unwrap();
        let keep = Keep { set: Some(0), needed: 0 };
        let backups = Arc::new(Backups::new(&data, keep, store, accounts));
        assert_eq!(backups.report(), None);
        let to = folder.path().join("one");
        backups.clone().begin(&to).unwrap();
        let refused = backups.clone().begin(&folder.path().join("two")).unwrap_err();
        assert!(matches!(&refused, BackupRefused::Running(to) if to.ends_with("one")), "{refused}");
        let ended = async || {
            while backups.report().unwrap().is_running {
                tokio::task::yield_now().await;
            }
            backups.report().unwrap()
        };
        let report = ended().await;
        assert!(report.error.is_none() && report.files > 3 && report.bytes > 0, "{report:?}");
        assert!(report.ended_ms >= report.began_ms && to.join("maru-backup.json").exists());
        // One that fails says why, and the next one is begun.
        std::fs::write(data.join("backup.making"), "in the way").unwrap();
        backups.clone().begin(&folder.path().join("two")).unwrap();
        let report = ended().await;
        let text = backups.metrics();
        assert!(text.contains("outcome=\"made\"} 1\n") && text.contains("outcome=\"failed\"} 1\n"), "{text}");
        assert!(!text.contains("timestamp_seconds 0\n") && text.contains("running 0\n"), "{text}");
        assert!(report.error.unwrap().contains("backup.making") && !folder.path().join("two").exists());
        std::fs::remove_file(data.join("backup.making")).unwrap();
        backups.clone().begin(&folder.path().join("two")).unwrap();
        assert_eq!(ended().await.error, None);
    }
}
