//! The coordinator: it divides a scenario between worker processes, starts them at one moment, listens to them and to
//! the server's own counters, and puts the report together.

mod crew;
mod judge;

use std::collections::BTreeMap;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use client::operator::Operator;

use crate::clock::{MS, now_ns};
use crate::link::Place;
use crate::meter::{Interval, Phase};
use crate::probe::{self, Sample};
use crate::progress::Progress;
use crate::report::{Latencies, Point, Report, ServerUse, Totals, VERSION, Verdict};
use crate::scenario::Scenario;
use crate::scrape::{Scrape, ServerLatency};
use crate::signals::Signals;
use crate::wire::{Line, Login, Outcome, Word};
use crew::Crew;
pub(crate) use crew::Heard;

/// Between the word and the load: every worker has heard of it by then.
const GO_IN_NS: u64 = 50 * MS;
/// A worker that says nothing for so long hangs: intervals come every second.
const SILENCE: Duration = Duration::from_secs(120);

/// The same after a signal.
const STOPPING: Duration = Duration::from_secs(5);

/// A run as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) scenario: Scenario,
    pub(crate) command: String,
    pub(crate) place: Place,
    pub(crate) fingerprint: Option<[u8; 32]>,
    pub(crate) logins: Vec<Login>,
    /// Users who are members and never connect.
    pub(crate) away: Vec<u64>,
    pub(crate) verify: bool,
    pub(crate) workers: Option<u32>,
    pub(crate) cpu: Option<usize>,
    pub(crate) server_pid: Option<u32>,
    pub(crate) server_core: Option<usize>,
    /// The admin listener whose metrics hold the server's own latencies.
    pub(crate) metrics: Option<Operator>,
    pub(crate) signals: Signals,
    pub(crate) seed: u64,
}

/// What is known so far.
#[derive(Debug, Default)]
struct Gathered {
    intervals: BTreeMap<(Phase, u32), Interval>,
    samples: BTreeMap<(Phase, u32), Sample>,
    last_sample: Option<Sample>,
    /// Samples with the connections at their time.
    memory: Vec<(u64, Sample)>,
    /// CPU seconds of each worker in the counted part.
    cpu_s: Vec<f64>,
    softirq_stands_apart: bool,
    /// The server's own latencies before the counted part, and after it.
    scraped: [Option<Scrape>; 2],
    outcome: Outcome,
    connect_s: f64,
    partial: Vec<String>,
}

/// Runs a scenario to its end, or as far as it gets.
///
/// # Errors
/// Words, when there is nothing to report: the server cannot be reached, a token is wrong.
pub(crate) fn run(order: &Order, progress: &mut Progress) -> Result<Report, String> {
    let began = jiff::Timestamp::now();
    // Whole seconds are enough for a date.
    let date = jiff::Timestamp::from_second(began.as_second()).unwrap_or(began).to_string();
    let workers = crew::count(order)?;
    for words in crew::warnings(order, workers) {
        progress.say(&words);
    }
    crew::check_reachable(&order.place)?;
    let first = order.server_pid.map(|pid| Sample::take(pid, order.server_core)).transpose()?;
    let mut gathered = Gathered {
        last_sample: first,
        cpu_s: vec![0.0; workers as usize],
        softirq_stands_apart: probe::softirq_stands_apart(),
        ..Gathered::default()
    };
    gathered.memory.extend(first.map(|sample| (0, sample)));
    gathered.scraped = [order.metrics.as_ref().map(Scrape::take).transpose()?, None];
    let mut crew = Crew::start(order, workers)?;
    progress.say(&format!(
        "{}: {} devices, {}, {workers} worker{}",
        order.scenario.name,
        order.scenario.devices,
        order.scenario.loop_words(),
        if workers == 1 { "" } else { "s" },
    ));
    let heard = listen(order, &mut crew, &mut gathered, progress);
    gathered.scrape(order, Phase::Drain);
    crew.end();
    progress.clear();
    match heard {
        // Whatever was counted before is kept and marked.
        Err(words) if gathered.has_counted() => gathered.partial.push(words),
        Err(words) => return Err(words),
        Ok(()) => {}
    }
    Ok(report(order, workers, date, gathered))
}

fn listen(
    order: &Order,
    crew: &mut Crew,
    gathered: &mut Gathered,
    progress: &mut Progress,
) -> Result<(), String> {
    let (mut ready, mut done, mut is_stopped) = (0, 0, false);
    while done < crew.len() {
        let heard = match crew.next(if is_stopped { STOPPING } else { SILENCE }) {
            Ok(heard) => heard,
            Err(RecvTimeoutError::Timeout) => return Err(format!("no worker spoke for {SILENCE:?}")),
            Err(RecvTimeoutError::Disconnected) => return Err("the workers are gone".into()),
        };
        let (worker, line) = match heard {
            Heard::Line(worker, line) => (worker, *line),
            Heard::End(worker) if crew.is_done(worker) => continue,
            Heard::End(worker) => return Err(format!("worker {worker} ended without a result")),
            Heard::Signal if is_stopped => return Err("stopped by a second signal".into()),
            Heard::Signal => {
                is_stopped = true;
                progress.say("a signal: ending early");
                crew.tell_all(Word::Stop)?;
                continue;
            }
        };
        match line {
            Line::Ready { connect_s } => {
                gathered.connect_s = gathered.connect_s.max(connect_s);
                ready += 1;
                if ready == crew.len() {
                    progress.say(&format!("all connected after {:.1} s", gathered.connect_s));
                    crew.tell_all(Word::Go { at_ns: now_ns() + GO_IN_NS })?;
                }
            }
            Line::Interval(interval) => {
                gathered.take(order, worker, *interval, progress);
            }
            Line::Done(outcome) => {
                crew.set_done(worker);
                done += 1;
                let reasons = &mut gathered.partial;
                reasons.extend(outcome.cut_short.clone().filter(|reason| !reasons.contains(reason)));
                gathered.outcome.merge(&outcome);
            }
            Line::Fatal(words) => return Err(words),
        }
    }
    Ok(())
}

impl Gathered {
    fn has_counted(&self) -> bool {
        self.intervals.keys().any(|(phase, _)| *phase >= Phase::Warmup)
    }

    fn take(&mut self, order: &Order, worker: usize, interval: Interval, progress: &mut Progress) {
        let key = (interval.phase, interval.index);
        if interval.phase == Phase::Measure
            && let Some(cpu_s) = self.cpu_s.get_mut(worker)
        {
            *cpu_s += interval.cpu_s;
        }
        let merged = match self.intervals.entry(key) {
            std::collections::btree_map::Entry::Occupied(mut there) => {
                there.get_mut().merge(&interval);
                there.into_mut()
            }
            std::collections::btree_map::Entry::Vacant(place) => place.insert(interval),
        };
        if worker > 0 {
            return;
        }
        let connected = merged.connected;
        progress.show(merged);
        self.scrape(order, key.0);
        if let Some(pid) = order.server_pid
            && let Ok(sample) = Sample::take(pid, order.server_core)
        {
            if let Some(before) = self.last_sample.replace(sample) {
                self.samples.insert(key, sample.since(&before));
            }
            // A process that has just died has no memory; one that is under load has more than connections cost.
            if key.0 == Phase::Connect && sample.rss_kib > 0 {
                self.memory.push((connected, sample));
            }
        }
    }

    /// Keeps the last read before the counted part, and the last one after it: what was sent there is acked there, however
    /// late. A server that is gone for a moment leaves the read before that.
    fn scrape(&mut self, order: &Order, phase: Phase) {
        let [before, after] = &mut self.scraped;
        let place = match phase {
            Phase::Connect | Phase::Warmup => before,
            Phase::Measure => return,
            Phase::Drain => after,
        };
        if let Some(scrape) = order.metrics.as_ref().and_then(|server| Scrape::take(server).ok()) {
            *place = Some(scrape);
        }
    }

    fn server_latency(&self) -> Option<ServerLatency> {
        let [before, after] = &self.scraped;
        Some(after.as_ref()?.since(before.as_ref()?))
    }

    fn points(&self) -> Vec<Point> {
        let cpu_us = |key| self.samples.get(key).map(|sample| sample.cpu_us(self.softirq_stands_apart));
        let rss_kib = |key| self.samples.get(key).map(|sample| sample.rss_kib);
        let intervals = self.intervals.iter();
        intervals.map(|(key, interval)| point(interval, cpu_us(key), rss_kib(key))).collect()
    }

    #[allow(clippy::cast_precision_loss)]
    fn server_use(&self, order: &Order) -> Option<ServerUse> {
        order.server_pid?;
        let counted = self.samples.iter().filter(|((phase, _), _)| *phase == Phase::Measure);
        let mut used = Sample::default();
        let (mut delivered, mut connection_s) = (0.0, 0.0);
        for (key, sample) in counted {
            used.user_us += sample.user_us;
            used.system_us += sample.system_us;
            used.softirq_us += sample.softirq_us;
            used.core_busy_us += sample.core_busy_us;
            used.voluntary += sample.voluntary;
            used.involuntary += sample.involuntary;
            (used.rss_kib, used.kernel_kib) = (sample.rss_kib, sample.kernel_kib);
            if let Some(interval) = self.intervals.get(key) {
                delivered += interval.delivered as f64;
                connection_s += interval.connected as f64 * interval.seconds;
            }
        }
        let cpu_us = used.cpu_us(self.softirq_stands_apart);
        let per = |us: u64, of: f64| if of > 0.0 { us as f64 / of } else { 0.0 };
        let connections = f64::from(order.scenario.devices);
        let slope_of = |pick: fn(&Sample) -> u64| {
            let points = self.memory.iter().filter(|(connected, _)| *connected as f64 >= connections / 10.0);
            let slope = judge::slope(
                points.map(|(connected, sample)| (*connected as f64, pick(sample) as f64 * 1024.0)),
            );
            // Memory that was free before says nothing about connections.
            slope.filter(|bytes| *bytes > 0.0)
        };
        Some(ServerUse {
            used,
            softirq_stands_apart: self.softirq_stands_apart,
            cpu_us_per_delivery: per(cpu_us, delivered),
            user_us_per_delivery: per(used.user_us, delivered),
            system_us_per_delivery: per(used.system_us, delivered),
            softirq_us_per_delivery: per(used.softirq_us, delivered),
            switches_per_delivery: per(used.voluntary + used.involuntary, delivered),
            cpu_us_per_connection_s: per(cpu_us, connection_s),
            bytes_per_connection: slope_of(|sample| sample.rss_kib),
            kernel_bytes_per_pair: slope_of(|sample| sample.kernel_kib),
        })
    }
}

#[allow(clippy::cast_precision_loss)]
fn point(interval: &Interval, cpu_us: Option<u64>, server_rss_kib: Option<u64>) -> Point {
    let rate = |count: u64| if interval.seconds > 0.0 { count as f64 / interval.seconds } else { 0.0 };
    let delivered = interval.delivered as f64;
    Point {
        phase: interval.phase,
        begin_s: interval.begin_s,
        seconds: interval.seconds,
        offered_per_s: rate(interval.offered),
        acked_per_s: rate(interval.acked),
        delivered_per_s: rate(interval.delivered),
        connected: interval.connected,
        connects_per_s: rate(interval.connects),
        ack_p50_us: interval.ack.us(0.5),
        ack_p99_us: interval.ack.us(0.99),
        delivery_p50_us: interval.delivery.us(0.5),
        delivery_p99_us: interval.delivery.us(0.99),
        delivery_max_us: interval.delivery.max_us(),
        tool_cores: if interval.seconds > 0.0 { interval.cpu_s / interval.seconds } else { 0.0 },
        server_us_per_delivery: cpu_us.filter(|_| delivered > 0.0).map(|us| us as f64 / delivered),
        server_rss_kib,
    }
}

fn report(order: &Order, workers: u32, date: String, gathered: Gathered) -> Report {
    let intervals: Vec<Interval> = gathered.intervals.values().cloned().collect();
    let totals = Totals::of(&intervals, gathered.connect_s);
    let latencies = Latencies::of(&intervals);
    let mut verdict = Verdict { partial: gathered.partial.clone(), ..Verdict::default() };
    judge::judge(order, &totals, &latencies, &gathered.cpu_s, &gathered.outcome, &mut verdict);
    Report {
        maru_load: VERSION,
        command: order.command.clone(),
        date,
        machine: probe::machine(),
        server: order.place.url(),
        scenario: order.scenario.clone(),
        workers,
        verdict,
        totals,
        latencies,
        server_use: gathered.server_use(order),
        server_latency: gathered.server_latency(),
        timeline: gathered.points(),
        outcome: gathered.outcome,
        intervals,
    }
}
