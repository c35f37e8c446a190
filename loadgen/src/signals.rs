//! SIGINT and SIGTERM: the first ends a run early and keeps what was counted, a second ends it at once.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::run::Heard;

/// What a shell says of a program that a SIGINT ended.
const ENDED: i32 = 130;

/// Who is told. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Signals(Arc<Mutex<Option<Sender<Heard>>>>);

impl Signals {
    /// Watches from now on. While no run is under way a signal ends the process.
    ///
    /// # Errors
    /// Words.
    pub(crate) fn watch() -> Result<Self, String> {
        let words = |error: std::io::Error| format!("signals: {error}");
        let signals = Self(Arc::default());
        let runtime = Builder::new_current_thread().enable_io().build().map_err(words)?;
        let inside = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt()).map_err(words)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(words)?;
        drop(inside);
        let told = signals.clone();
        std::thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    let run = told.0.lock().unwrap_or_else(PoisonError::into_inner);
                    if run.as_ref().is_none_or(|run| run.send(Heard::Signal).is_err()) {
                        std::process::exit(ENDED);
                    }
                }
            });
        });
        Ok(signals)
    }

    /// From now on this run is told.
    pub(crate) fn tell(&self, run: Sender<Heard>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(run);
    }
}
