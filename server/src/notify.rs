//! What a service manager is told, by the protocol of sd_notify(3): a datagram to the socket that `NOTIFY_SOCKET` names.
//! Best effort: without a manager, or when it does not read, nothing happens and nobody waits.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The way to the manager, if there is one. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Notify {
    socket: Option<Arc<UnixDatagram>>,
    /// The manager restarts whoever is silent for so long.
    watchdog: Option<Duration>,
}

impl Notify {
    /// As the environment says.
    #[must_use]
    pub fn from_environment() -> Self {
        let text = |key: &str| std::env::var(key).ok();
        let is_for_us = text("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = text("WATCHDOG_USEC").filter(|_| is_for_us).and_then(|us| us.parse().ok());
        let socket = text("NOTIFY_SOCKET").and_then(|name| match connect(&name) {
            Ok(socket) => Some(Arc::new(socket)),
            Err(error) => {
                tracing::warn!(name, %error, "the service manager cannot be told anything (NOTIFY_SOCKET)");
                None
            }
        });
        Self { watchdog: watchdog.filter(|us| *us > 0).map(Duration::from_micros), socket }
    }

    /// How often the manager wants a sign of life at least, with time to spare; `None`: it wants none.
    #[must_use]
    pub fn sign_every(&self) -> Option<Duration> {
        self.socket.as_ref().and(self.watchdog).map(|limit| limit / 3)
    }

    /// The server serves.
    pub fn ready(&self) {
        self.say("READY=1\nSTATUS=serving");
    }

    /// The settings are read again; [`Self::ready`] says that this is done.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let now_us = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={now_us}"));
    }

    /// The server drains and ends.
    pub fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=draining");
    }

    /// A sign of life.
    pub fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    /// One line for whoever asks the manager how it goes.
    pub fn status(&self, words: &str) {
        self.say(&format!("STATUS={}", words.replace('\n', " ")));
    }

    fn say(&self, text: &str) {
        if let Some(socket) = &self.socket {
            // A manager that does not read loses it: the next sign of life comes soon.
            let _ = socket.send(text.as_bytes());
        }
    }
}

fn connect(name: &str) -> std::io::Result<UnixDatagram> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
