//! What the coordinator and its workers say to each other: JSON lines over stdin and stdout.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::ledger::Faults;
use crate::link::{Landings, Place};
use crate::meter::Interval;
use crate::scenario::Scenario;

/// A device's identity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) user: u64,
    pub(crate) token: String,
    /// A device that connects by QUIC.
    pub(crate) road: Option<Road>,
}

/// The way to QUIC, as `GET /v1/route` told it for a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Road {
    pub(crate) address: SocketAddr,
    /// Where the user lives.
    pub(crate) shard: u16,
}

/// The first line to a worker. The scenario is already its share of the whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) scenario: Scenario,
    pub(crate) place: Place,
    /// SHA-256 of the server's certificate, when there is QUIC.
    pub(crate) fingerprint: Option<[u8; 32]>,
    pub(crate) worker: u32,
    pub(crate) cpu: Option<usize>,
    pub(crate) verify: bool,
    pub(crate) seed: u64,
    pub(crate) logins: Vec<Login>,
    /// Members of the first group who never connect.
    pub(crate) away: Vec<u64>,
}

/// Every other line to a worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    /// Load begins at this time of `CLOCK_MONOTONIC`.
    Go { at_ns: u64 },
    /// The run ends now; what was counted is told.
    Stop,
}

/// A line from a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// Everybody is connected, groups stand.
    Ready {
        /// From the first dial to the last device that was live.
        connect_s: f64,
    },
    Interval(Box<Interval>),
    /// The last line of a run that came to its end.
    Done(Box<Outcome>),
    /// The last line of one that did not; words.
    Fatal(String),
}

/// What a worker knows at its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Of a verified run.
    pub(crate) faults: Option<Faults>,
    /// Sends of the schedule that the session had no room for.
    pub(crate) unsent: u64,
    /// Sends that were refused for good.
    pub(crate) refused: u64,
    /// Acks and deliveries that were still missing at the end.
    pub(crate) unacked: u64,
    pub(crate) undelivered: u64,
    /// Writes that left something for later, because the server allows a session no more.
    #[serde(default)]
    pub(crate) paced: u64,
    /// Rejects on the wire, by word.
    pub(crate) rejects: BTreeMap<String, u64>,
    /// Ends of connections that nobody of us asked for, by word.
    pub(crate) closes: BTreeMap<String, u64>,
    /// Connections that we cut.
    pub(crate) cuts: u64,
    /// QUIC connections by where they were served.
    #[serde(default)]
    pub(crate) landings: Landings,
    /// Storms that are over.
    #[serde(default)]
    pub(crate) storms: Vec<StormReport>,
    /// Why the run ended early; words.
    pub(crate) cut_short: Option<String>,
    /// Most memory of the tool, KiB.
    pub(crate) rss_kib: u64,
}

/// A storm from which everybody is back.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct StormReport {
    /// When, in the counted seconds.
    pub(crate) at_s: f64,
    /// Connections that were cut.
    pub(crate) cut: u64,
    /// From the moment when the first might come back until the last was authenticated.
    pub(crate) back_s: f64,
}

impl Outcome {
    /// Adds another worker's.
    pub(crate) fn merge(&mut self, other: &Self) {
        match (&mut self.faults, &other.faults) {
            (Some(into), Some(from)) => into.merge(from),
            (into @ None, from) => into.clone_from(from),
            _ => {}
        }
        self.unsent += other.unsent;
        self.refused += other.refused;
        self.paced += other.paced;
        self.unacked += other.unacked;
        self.undelivered += other.undelivered;
        self.cuts += other.cuts;
        self.landings.home += other.landings.home;
        self.landings.elsewhere += other.landings.elsewhere;
        self.rss_kib += other.rss_kib;
        for (word, count) in &other.rejects {
            *self.rejects.entry(word.clone()).or_default() += count;
        }
        for (word, count) in &other.closes {
            *self.closes.entry(word.clone()).or_default() += count;
        }
        // Workers meet the same storms at the same times.
        for (place, storm) in other.storms.iter().enumerate() {
            match self.storms.get_mut(place) {
                Some(mine) => {
                    mine.cut += storm.cut;
                    mine.back_s = mine.back_s.max(storm.back_s);
                }
                None => self.storms.push(*storm),
            }
        }
        if self.cut_short.is_none() {
            self.cut_short.clone_from(&other.cut_short);
        }
    }
}
