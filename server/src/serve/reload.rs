//! SIGHUP: the log's level, the audit and the issuers are read again from where they came from. Certificates are, too, by
//! [`crate::certificate`]; everything else needs a restart, and is named.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use api::Issuers;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::Flags;
use crate::config::{self, Config, ConfigError};
use crate::logging::{self, Wanted};
use crate::notify::Notify;

/// Settings that count from the next SIGHUP on.
const READ_AGAIN: &[&str] = &["log", "audit", "issuers"];

/// What the settings were made of.
struct Read {
    flags: Flags,
    environment: Vec<(String, String)>,
    file: Option<PathBuf>,
    wanted: Wanted,
    issuers: Issuers,
    /// What the file said at the start: what the server goes by but for [`READ_AGAIN`].
    at_start: BTreeMap<String, String>,
}

/// Takes SIGHUP for as long as the runtime lives. With no file of settings, none of issuers and no certificate there is nothing to read
/// again, and SIGHUP keeps its meaning: the end, as for a program whose terminal is gone.
///
/// # Errors
/// The signal cannot be taken.
pub(super) fn watch(
    runtime: &Runtime,
    flags: &Flags,
    config: &Config,
    issuers: Issuers,
    notify: Notify,
) -> io::Result<()> {
    let environment: Vec<_> = config::environment().collect();
    let file = config::file(&environment, flags.config.as_deref());
    if file.is_none() && config.tls_cert.is_none() && config.issuers.is_none() {
        return Ok(());
    }
    let at_start = file.as_deref().and_then(|path| config::written(path).ok()).unwrap_or_default();
    let mut read =
        Read { flags: flags.clone(), environment, file, wanted: config.logged(), issuers, at_start };
    let _inside = runtime.enter();
    let mut hangup = signal(SignalKind::hangup())?;
    runtime.spawn(async move {
        while hangup.recv().await.is_some() {
            notify.reloading();
            let again = tokio::task::spawn_blocking(move || {
                read.again();
                read
            });
            let Ok(done) = again.await else { return };
            read = done;
            notify.ready();
        }
    });
    Ok(())
}

impl Read {
    fn again(&mut self) {
        match self.load() {
            Ok((config, needs_restart)) => {
                self.take(config.logged(), &needs_restart);
                self.take_issuers(&config);
            }
            Err(error) => {
                tracing::error!(%error, "the settings cannot be read again; those from before stay");
            }
        }
    }

    /// The settings, and those that the file has changed and that need a restart.
    fn load(&self) -> Result<(Config, Vec<String>), ConfigError> {
        let config = config::load(&self.flags.set, self.environment.clone(), self.file.as_deref())?;
        config.refuse_clear_text()?;
        let now = self.file.as_deref().map(config::written).transpose()?.unwrap_or_default();
        let names = now.keys().chain(self.at_start.keys().filter(|key| !now.contains_key(*key)));
        let other = names.filter(|key| now.get(*key) != self.at_start.get(*key));
        let needs_restart = other.filter(|key| !READ_AGAIN.contains(&key.as_str()));
        let needs_restart = needs_restart.cloned().collect();
        Ok((config, needs_restart))
    }

    /// The file of issuers, and what it names. A mistake in it changes nothing, so that nobody is locked out by one.
    fn take_issuers(&self, config: &Config) {
        match config::issuers(config.issuers.as_deref()) {
            Ok(again) if again.is_empty() && self.issuers.is_empty() => {}
            Ok(again) => {
                self.issuers.replace(&again);
                tracing::info!(issuers = again.names().join(" "), "the issuers were read again");
            }
            Err(error) => {
                tracing::error!(%error, "the issuers cannot be read again; those from before stay");
            }
        }
    }

    fn take(&mut self, wanted: Wanted, needs_restart: &[String]) {
        let was = std::mem::replace(&mut self.wanted, wanted);
        // Said while it can be heard.
        let is_quieter = wanted.level < was.level;
        if !is_quieter {
            logging::change(wanted);
        }
        let Wanted { level, audit } = wanted;
        tracing::info!(log = %level, log_before = %was.level, audit, "the settings were read again");
        if !needs_restart.is_empty() {
            let settings = needs_restart.join(", ");
            tracing::warn!(
                settings,
                "these settings have changed in the file; they count from the next start on"
            );
        }
        if is_quieter {
            logging::change(wanted);
        }
    }
}
