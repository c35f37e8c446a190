//! Worker processes: how many, started, told, heard, ended.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use super::Order;
use crate::draws::Draws;
use crate::link::Place;
use crate::probe;
use crate::scenario::{Load, Scenario};
use crate::wire::{Line, Spec, Word};

/// Descriptors of a worker that are no connections, with room.
const SPARE_DESCRIPTORS: u64 = 64;
/// Descriptors that a Maru server keeps for HTTP and its own use, besides a quarter for its stores.
const SERVER_FILES: u64 = 2048;
/// Patience with a server that does not answer to the first connection.
const REACH: Duration = Duration::from_secs(5);

/// What the coordinator hears.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A worker says something.
    Line(usize, Box<Line>),
    /// A worker has said its last.
    End(usize),
    /// The user wants an end.
    Signal,
}

/// The processes.
#[derive(Debug)]
pub(super) struct Crew {
    children: Vec<(Child, ChildStdin)>,
    done: Vec<bool>,
    heard: Receiver<Heard>,
}

/// How many workers hold the devices.
pub(super) fn count(order: &Order) -> Result<u32, String> {
    let devices = u64::from(order.scenario.devices);
    if (order.logins.len() as u64) < devices {
        return Err(format!(
            "{devices} devices need as many tokens, and there are {}; `maru admin create-users --count {devices} \
             --tokens FILE` makes them",
            order.logins.len()
        ));
    }
    let room = probe::descriptors().saturating_sub(SPARE_DESCRIPTORS);
    if room == 0 {
        return Err("the limit of descriptors (ulimit -n) leaves no room for a connection".into());
    }
    let needed = u32::try_from(devices.div_ceil(room)).unwrap_or(u32::MAX);
    match order.workers {
        Some(workers) if workers < needed => Err(format!(
            "--workers {workers}: {devices} devices need {needed}, because a process may hold {} descriptors here \
             (ulimit -Hn)",
            probe::descriptors()
        )),
        Some(workers) if u64::from(workers) > devices / u64::from(order.scenario.devices_per_user) => {
            Err("--workers: more workers than users".into())
        }
        _ if needed > 1 && !order.away.is_empty() => {
            Err("group.away: a run of one group needs one worker, and so a descriptor for each device".into())
        }
        Some(workers) if workers > 1 && !order.away.is_empty() => {
            Err("--workers: a run with group.away has one group, and so one worker".into())
        }
        Some(workers) => Ok(workers),
        None => Ok(needed),
    }
}

/// What limits will do to this run, in words, before it starts.
pub(super) fn warnings(order: &Order, workers: u32) -> Vec<String> {
    let devices = u64::from(order.scenario.devices);
    let mut words = Vec::new();
    if workers > 1 && order.workers.is_none() {
        words.push(format!(
            "a process may hold {} descriptors here: {devices} devices are divided between {workers} workers",
            probe::descriptors()
        ));
    }
    if let Some(limit) = order.server_pid.and_then(probe::descriptors_of)
        && devices > limit.saturating_sub(limit / 4 + SERVER_FILES)
    {
        words.push(format!(
            "the server may hold {limit} descriptors and keeps a quarter and {SERVER_FILES} of them for its files: it \
             will refuse connections above about {}, and this run will end without all {devices}",
            limit.saturating_sub(limit / 4 + SERVER_FILES)
        ));
    }
    let ip = order.place.address.ip();
    if !ip.is_loopback() && devices > probe::local_ports() {
        words.push(format!(
            "this machine has {} local ports for one server address: connections above that cannot be made \
             (net.ipv4.ip_local_port_range)",
            probe::local_ports()
        ));
    }
    words
}

/// One plain connection, so that a wrong address is named before anything is started.
pub(super) fn check_reachable(place: &Place) -> Result<(), String> {
    match TcpStream::connect_timeout(&place.address, REACH) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "the server cannot be reached at {}: {error}; --server takes what `maru ready ... ws=` says",
            place.url()
        )),
    }
}

impl Crew {
    pub(super) fn start(order: &Order, workers: u32) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| format!("own program: {error}"))?;
        let (hears, heard) = channel();
        order.signals.tell(hears.clone());
        let mut crew = Self { children: Vec::new(), done: vec![false; workers as usize], heard };
        let mut draws = Draws::new(order.seed);
        let (devices, each) = (order.scenario.devices as usize, order.scenario.devices_per_user as usize);
        let mut first = 0;
        for worker in 0..workers {
            let left = (workers - worker) as usize;
            // A user's devices are in one worker.
            let share = ((devices - first) / each).div_ceil(left) * each;
            let logins = order.logins.iter().skip(first).take(share).cloned().collect();
            first += share;
            let spec = Spec {
                scenario: share_of(&order.scenario, share),
                place: order.place.clone(),
                fingerprint: order.fingerprint,
                worker,
                cpu: order.cpu,
                verify: order.verify,
                seed: draws.next(),
                logins,
                away: if worker == 0 { order.away.clone() } else { Vec::new() },
            };
            let mut child = Command::new(&program)
                .arg("worker")
                // Ctrl-C is for the coordinator, which tells them.
                .process_group(0)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .map_err(|error| format!("a worker cannot be started: {error}"))?;
            let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
                return Err("a worker has no pipes".into());
            };
            let hears = hears.clone();
            std::thread::spawn(move || {
                let lines = BufReader::new(stdout).lines().map_while(Result::ok);
                for line in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
                    if hears.send(Heard::Line(worker as usize, Box::new(line))).is_err() {
                        return;
                    }
                }
                let _ = hears.send(Heard::End(worker as usize));
            });
            crew.children.push((child, stdin));
            crew.tell(worker as usize, &spec)?;
        }
        Ok(crew)
    }

    fn tell(&mut self, worker: usize, order: &impl serde::Serialize) -> Result<(), String> {
        let mut text = serde_json::to_string(order).map_err(|error| error.to_string())?;
        text.push('\n');
        let Some((_, stdin)) = self.children.get_mut(worker) else { return Ok(()) };
        let told = stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush());
        told.map_err(|error| format!("worker {worker} does not listen: {error}"))
    }

    pub(super) fn tell_all(&mut self, word: Word) -> Result<(), String> {
        (0..self.children.len()).try_for_each(|worker| self.tell(worker, &word))
    }

    pub(super) fn next(&self, patience: Duration) -> Result<Heard, RecvTimeoutError> {
        self.heard.recv_timeout(patience)
    }

    pub(super) fn len(&self) -> usize {
        self.children.len()
    }

    pub(super) fn is_done(&self, worker: usize) -> bool {
        self.done.get(worker).copied().unwrap_or(false)
    }

    pub(super) fn set_done(&mut self, worker: usize) {
        if let Some(done) = self.done.get_mut(worker) {
            *done = true;
        }
    }

    /// Whoever still runs is not needed any more.
    pub(super) fn end(&mut self) {
        for (child, _) in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.end();
    }
}

/// A worker's part of a scenario: everything that counts over all devices shrinks with them.
fn share_of(scenario: &Scenario, devices: usize) -> Scenario {
    #[allow(clippy::cast_precision_loss)]
    let share = devices as f64 / f64::from(scenario.devices);
    let mut part = scenario.clone();
    part.devices = u32::try_from(devices).unwrap_or(u32::MAX);
    part.connect.per_s *= share;
    let Load { rate, ramp_to, .. } = scenario.load;
    (part.load.rate, part.load.ramp_to) = (rate * share, ramp_to * share);
    part.cut.per_s *= share;
    part
}
