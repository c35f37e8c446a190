//! Connections: making them at a pace, losing them, cutting them.

use std::net::{IpAddr, Ipv4Addr};

use mio::{Interest, Token};
use rustix::io::Errno;

use super::Engine;
use super::device::Stands;
use crate::clock::MS;
use crate::link::{Call, Link, Lost};

/// Connections from one source address; the kernel has some 28,000 ports for each.
const PER_SOURCE: u32 = 10_000;

impl Engine {
    /// Queues a dial that is wanted at a time. Those that come back go before those that come for the first time.
    pub(super) fn want_dial(&mut self, device: u32, wanted_ns: u64, is_first: bool) {
        let Some(entry) = self.device(device) else { return };
        if entry.is_queued || entry.link.is_some() {
            return;
        }
        entry.is_queued = true;
        entry.away_until_ms = 0;
        if is_first {
            self.dials.push_back((device, wanted_ns));
        } else {
            self.dials.push_front((device, wanted_ns));
        }
    }

    pub(super) fn may_dial(&self) -> bool {
        self.dialing < self.spec.scenario.connect.in_flight
    }

    pub(super) fn pump_dials(&mut self, now: u64) {
        while self.may_dial() {
            let Some((device, wanted_ns)) = self.dials.pop_front_if(|(_, wanted_ns)| *wanted_ns <= now)
            else {
                return;
            };
            self.dial(device, wanted_ns, now);
        }
    }

    fn dial(&mut self, device: u32, wanted_ns: u64, now: u64) {
        let seed = self.draws.next();
        self.dialed += 1;
        let source = self.source(device);
        let Some(entry) = self.device(device) else { return };
        let call = Call { road: entry.road, source, seed, user: entry.session.user() };
        let outcome = Link::dial(&mut self.kit, call, now);
        let outcome = outcome.and_then(|mut link| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registered = self.poll.registry().register(link.source(), Token(device as usize), interest);
            match registered {
                Ok(()) => Ok(link),
                Err(error) => {
                    link.end(&mut self.kit, false, now);
                    Err(error)
                }
            }
        });
        let Some(entry) = self.device(device) else { return };
        entry.is_queued = false;
        match outcome {
            Ok(link) => {
                entry.link = Some(Box::new(link));
                entry.dial_from_ns = wanted_ns;
                entry.stands = Stands::Dialing;
                self.dialing += 1;
                // QUIC speaks first.
                self.settle(device, now);
            }
            Err(error) => {
                entry.session.disconnected(now / MS);
                self.note_dial_error(&error);
                self.settle(device, now);
            }
        }
    }

    fn note_dial_error(&mut self, error: &std::io::Error) {
        self.last_error = error.to_string();
        let code = error.raw_os_error();
        if code == Some(Errno::MFILE.raw_os_error()) || code == Some(Errno::NFILE.raw_os_error()) {
            self.fatal = Some(format!(
                "out of descriptors with {} connections open: {error}; raise `ulimit -n` or use --workers",
                self.connected
            ));
        } else if code == Some(Errno::ADDRNOTAVAIL.raw_os_error()) {
            self.fatal = Some(format!(
                "no free local port with {} connections open: {error}; see net.ipv4.ip_local_port_range",
                self.connected
            ));
        }
    }

    /// Loopback has sixteen million addresses; each brings its own ports.
    fn source(&self, device: u32) -> Option<Ipv4Addr> {
        let IpAddr::V4(server) = self.spec.place.address.ip() else { return None };
        if !server.is_loopback() {
            return None;
        }
        let [_, worker] = u16::try_from(self.spec.worker).unwrap_or(u16::MAX).to_be_bytes();
        let block = u8::try_from(device / PER_SOURCE % 250).unwrap_or(0);
        Some(Ipv4Addr::new(127, 1, worker, block + 1))
    }

    /// The connection stands: Hello.
    pub(super) fn on_open(&mut self, device: u32, now: u64) {
        if let Some(entry) = self.device(device) {
            let token = std::mem::take(&mut entry.token);
            entry.session.connected(now / MS, &token);
            entry.token = token;
        }
    }

    /// A connection ended that nobody of us ended.
    pub(super) fn lose(&mut self, device: u32, lost: Lost, now: u64) {
        let words = match lost {
            Lost::Closed(None) => "closed without a word".to_owned(),
            Lost::Closed(Some(code)) => close_words(code),
            Lost::Broken(words) => words,
        };
        let was_up = self.is_welcomed(device);
        let Some(link) = self.forget_link(device) else { return };
        link.end(&mut self.kit, false, now);
        if matches!(lost_code(&words), Some(4003)) {
            self.fatal =
                Some("the server closed a connection as replaced (4003): a token is used twice".into());
        }
        self.last_error.clone_from(&words);
        let what = if was_up { "a connection was lost" } else { "a connection was not made" };
        *self.outcome.closes.entry(format!("{what}: {words}")).or_default() += 1;
        if let Some(entry) = self.device(device) {
            entry.session.disconnected(now / MS);
        }
        self.settle(device, now);
    }

    /// Takes the connection away from a device and out of all counts.
    pub(super) fn forget_link(&mut self, device: u32) -> Option<Box<Link>> {
        let entry = self.device(device)?;
        let link = entry.link.take()?;
        match std::mem::replace(&mut entry.stands, Stands::Down) {
            Stands::Dialing => self.dialing = self.dialing.saturating_sub(1),
            Stands::Welcomed => {
                self.connected = self.connected.saturating_sub(1);
                self.interval.disconnects += 1;
            }
            Stands::Down => {}
        }
        Some(link)
    }

    /// Cuts a connection on purpose; the device stays away for as long as the scenario says.
    pub(super) fn cut(&mut self, device: u32, now: u64) {
        if !self.is_welcomed(device) {
            return;
        }
        let cut = &self.spec.scenario.cut;
        let spread_ms = usize::try_from(cut.spread_ms).unwrap_or(usize::MAX);
        let away_ms = cut.offline_ms + if spread_ms > 0 { self.draws.below(spread_ms) as u64 } else { 0 };
        let Some(link) = self.forget_link(device) else { return };
        link.end(&mut self.kit, true, now);
        self.outcome.cuts += 1;
        let Some(entry) = self.device(device) else { return };
        entry.session.disconnected(now / MS);
        entry.away_until_ms = (now / MS + away_ms).max(1);
        entry.cut_until_ns = now + away_ms * MS;
        if away_ms == 0 {
            self.want_dial(device, now, false);
        }
        self.settle(device, now);
    }

    /// A cut device whose time away is over.
    pub(super) fn come_back(&mut self, device: u32, now: u64) {
        let Some(entry) = self.device(device) else { return };
        if entry.away_until_ms > 0 && entry.away_until_ms <= now / MS && entry.link.is_none() {
            let wanted_ns = entry.away_until_ms * MS;
            self.want_dial(device, wanted_ns.min(now), false);
        }
    }

    /// The session wants to connect again; a device that was sent away waits for its time.
    pub(super) fn on_reconnect(&mut self, device: u32, now: u64) {
        let Some(entry) = self.device(device) else { return };
        if entry.away_until_ms > now / MS {
            // Its timer stands for that time.
            return;
        }
        self.want_dial(device, now, false);
    }
}

fn close_words(code: u16) -> String {
    let known = protocol::CloseCode::from_number(code);
    known.map_or_else(|| format!("close {code}"), |known| format!("close {code} {}", known.word()))
}

fn lost_code(words: &str) -> Option<u16> {
    words.strip_prefix("close ")?.split(' ').next()?.parse().ok()
}
