//! The course of a run: connect, warm up, measure, wait for what is missing.

use std::sync::mpsc::Receiver;

use mio::Events;
use protocol::UserId;
use protocol::limits::{GROUP_MEMBERS_DEFAULT, GROUP_MEMBERS_MAX};

use super::{EVENTS_PER_TURN, Engine};
use crate::clock::{MS, SECOND, now_ns, of_seconds, seconds};
use crate::ledger::Faults;
use crate::meter::Phase;
use crate::pace::{Pace, even_ns};
use crate::scenario::Scenario;
use crate::wire::{Line, Outcome, Word};

/// Quiet after the last delivery before a run is over: a message that is told twice is heard within it.
const QUIET_NS: u64 = 300 * MS;

/// Members with whom a group begins that is to be a large channel: no more than a server allows that nobody has set.
const CREATED_MEMBERS: usize = GROUP_MEMBERS_DEFAULT - 1;

impl Engine {
    /// Runs from the first dial to the end. `words` of the coordinator come at any time.
    ///
    /// # Errors
    /// Words, when there is nothing to report.
    pub(crate) fn run(mut self, words: Receiver<Word>) -> Result<Outcome, String> {
        self.words = Some(words);
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        let began = now_ns();
        self.connect(&mut events)?;
        self.create_groups(&mut events)?;
        let connect_s = seconds(now_ns().saturating_sub(began));
        let _ = self.lines.send(Line::Ready { connect_s });
        let begin = self.wait_go(&mut events)?;
        self.load(&mut events, begin)?;
        self.drain(&mut events)?;
        Ok(self.end())
    }

    fn connect(&mut self, events: &mut Events) -> Result<(), String> {
        let now = now_ns();
        self.enter(Phase::Connect, now);
        self.last_progress_ns = now;
        for device in 0..self.devices.len() {
            let wanted_ns = even_ns(now, device, self.spec.scenario.connect.per_s);
            self.want_dial(u32::try_from(device).unwrap_or(u32::MAX), wanted_ns, true);
        }
        while self.been_live < self.devices.len() as u64 || self.connected < self.devices.len() as u64 {
            self.turn(events, now_ns() + SECOND)?;
            self.check_connects()?;
        }
        Ok(())
    }

    fn check_connects(&self) -> Result<(), String> {
        let is_due = self.dials.front().is_none_or(|(_, wanted_ns)| *wanted_ns <= now_ns());
        let waited = seconds(now_ns().saturating_sub(self.last_progress_ns));
        if waited <= self.spec.scenario.patience_s || !is_due {
            return Ok(());
        }
        Err(format!(
            "{} of {} devices are connected and none came for {waited:.0} s; last: {}",
            self.connected,
            self.devices.len(),
            if self.last_error.is_empty() { "no answer" } else { &self.last_error },
        ))
    }

    fn create_groups(&mut self, events: &mut Events) -> Result<(), String> {
        for place in 0..self.cast.groups.len() {
            let Some(channel) = self.cast.groups.get(place).copied() else { continue };
            self.create_group(channel)?;
        }
        self.last_progress_ns = now_ns();
        // Who does not follow yet is told nothing, and that is no fault of the server.
        while self.created < self.cast.groups.len() || self.following.len() < self.followers() {
            self.turn(events, now_ns() + SECOND)?;
            if now_ns() > self.last_progress_ns + of_seconds(self.spec.scenario.patience_s) {
                return Err(format!(
                    "{} of {} groups were created in time, and {} of {} devices follow theirs",
                    self.created,
                    self.cast.groups.len(),
                    self.following.len(),
                    self.followers(),
                ));
            }
        }
        Ok(())
    }

    /// Devices that are to follow a large channel.
    fn followers(&self) -> usize {
        let groups = self.cast.groups.iter().filter_map(|group| self.cast.channels.get(*group as usize));
        let members = groups.map(|group| group.members.len());
        members.filter(|members| *members + self.spec.away.len() > GROUP_MEMBERS_MAX).sum()
    }

    fn create_group(&mut self, channel: u32) -> Result<(), String> {
        let now = now_ns();
        let Some(cast) = self.cast.channels.get_mut(channel as usize) else { return Ok(()) };
        let Some(owner) = cast.members.first().copied() else { return Ok(()) };
        let members = cast.members.iter().filter_map(|member| self.devices.get(*member as usize));
        let mut users: Vec<_> = members.map(|device| device.session.user()).collect();
        users.dedup();
        users.extend(self.spec.away.iter().map(|user| UserId(*user)));
        if users.len() > GROUP_MEMBERS_MAX {
            // With those who come later it becomes a large channel.
            let rest = users.split_off(CREATED_MEMBERS);
            self.to_add.insert(channel, rest);
        }
        let Some(device) = self.devices.get_mut(owner as usize) else { return Ok(()) };
        let (_, id) = device
            .session
            .create_group(&format!("load {channel}"), &users, None)
            .map_err(|refusal| format!("a group could not be created: {}", refusal.text))?;
        device.creates = Some(channel);
        cast.id = id;
        self.group_channels.insert(id, channel);
        self.settle(owner, now);
        self.flush();
        Ok(())
    }

    fn wait_go(&mut self, events: &mut Events) -> Result<u64, String> {
        loop {
            if let Some(begin) = self.begin_ns {
                return Ok(begin);
            }
            self.turn(events, now_ns() + SECOND)?;
        }
    }

    fn load(&mut self, events: &mut Events, begin: u64) -> Result<(), String> {
        let scenario = self.spec.scenario.clone();
        let measure = begin + of_seconds(scenario.warmup_s);
        let end = measure + of_seconds(scenario.seconds);
        self.turns_until(events, begin)?;
        self.window_ns = (measure, end);
        self.enter(
            if measure > begin { Phase::Warmup } else { Phase::Measure },
            begin.max(self.interval_begin_ns),
        );
        self.set_paces(&scenario, begin, measure);
        self.begin_loops(&scenario);
        self.turns_until(events, measure)?;
        if measure > begin {
            self.enter(Phase::Measure, now_ns());
        }
        self.stall(end);
        self.turns_until(events, end)?;
        self.unstall();
        (self.sends, self.cuts, self.flips, self.is_looping) = (None, None, None, false);
        self.storms_ns.clear();
        self.enter(Phase::Drain, now_ns());
        Ok(())
    }

    /// Some read nothing until `end`.
    fn stall(&mut self, end: u64) {
        for device in &self.cast.stalled {
            if let Some(entry) = self.devices.get_mut(*device as usize) {
                (entry.is_stalled, entry.cut_until_ns) = (true, end);
            }
        }
    }

    /// They take what has waited for them: it is owed as everything is.
    fn unstall(&mut self) {
        for device in std::mem::take(&mut self.cast.stalled) {
            if let Some(entry) = self.device(device) {
                entry.is_stalled = false;
            }
            // The kernel has told of it already.
            self.on_ready(device, true, false);
        }
    }

    fn set_paces(&mut self, scenario: &Scenario, begin: u64, measure: u64) {
        let load = &scenario.load;
        if load.rate > 0.0 && load.ramp_to > 0.0 {
            let (arrivals, to, ramp_s) = (load.arrivals, load.ramp_to, scenario.warmup_s + scenario.seconds);
            self.sends = Some(Pace::ramped(arrivals, begin, load.rate, to, ramp_s, &mut self.draws));
        } else if load.rate > 0.0 {
            self.sends = Some(Pace::fixed(load.arrivals, begin, load.rate, &mut self.draws));
        }
        if scenario.cut.per_s > 0.0 {
            let arrivals = crate::scenario::Arrivals::Poisson;
            self.cuts = Some(Pace::fixed(arrivals, begin, scenario.cut.per_s, &mut self.draws));
        }
        if scenario.presence.flips_per_s > 0.0 {
            let arrivals = crate::scenario::Arrivals::Constant;
            self.flips = Some(Pace::fixed(arrivals, measure, scenario.presence.flips_per_s, &mut self.draws));
        }
        self.storms_ns = scenario.cut.storms_at_s.iter().map(|at_s| measure + of_seconds(*at_s)).collect();
        self.storms_ns.sort_unstable_by(|a, b| b.cmp(a));
    }

    fn begin_loops(&mut self, scenario: &Scenario) {
        if scenario.load.rate > 0.0 || scenario.load.depth == 0 {
            return;
        }
        self.is_looping = true;
        for _ in 0..scenario.load.depth {
            for place in 0..self.cast.senders.len() {
                if let Some(device) = self.cast.senders.get(place).copied() {
                    let now = now_ns();
                    self.send(device, now, now);
                }
            }
        }
        self.flush();
    }

    fn turns_until(&mut self, events: &mut Events, until: u64) -> Result<(), String> {
        while now_ns() < until && self.outcome.cut_short.is_none() {
            self.turn(events, until)?;
            self.check_server();
        }
        Ok(())
    }

    /// A server that is gone for longer than the scenario's patience ends the load.
    fn check_server(&mut self) {
        let now = now_ns();
        if self.connected > 0 {
            self.last_progress_ns = now;
        }
        let gone_s = seconds(now.saturating_sub(self.last_progress_ns));
        if gone_s > self.spec.scenario.patience_s && self.outcome.cut_short.is_none() {
            self.outcome.cut_short =
                Some(format!("the server was gone for {gone_s:.0} s; last: {}", self.last_error));
        }
    }

    fn drain(&mut self, events: &mut Events) -> Result<(), String> {
        let deadline = now_ns() + of_seconds(self.spec.scenario.drain_s);
        // Devices that are away by our own cut come back now.
        while self.outcome.cut_short.is_none() && now_ns() < deadline && !self.is_settled() {
            self.turn(events, now_ns() + QUIET_NS / 3)?;
            self.check_server();
        }
        self.enter(Phase::Drain, now_ns());
        Ok(())
    }

    fn is_settled(&self) -> bool {
        let has_all = match &self.ledger {
            Some(ledger) => ledger.is_settled() && self.connected == self.devices.len() as u64,
            None => self.unacked == 0 && self.delivered >= self.owed,
        };
        let is_quiet = now_ns() > self.last_delivery_ns + QUIET_NS;
        let has_sent = self.next_number > 0;
        has_all && (is_quiet || !has_sent)
    }

    fn end(mut self) -> Outcome {
        let mut outcome = std::mem::take(&mut self.outcome);
        outcome.unacked = self.unacked;
        outcome.undelivered = self.owed.saturating_sub(self.delivered);
        outcome.rss_kib = crate::probe::own_peak_kib();
        outcome.landings = self.kit.landings();
        let now = now_ns();
        for link in self.devices.iter_mut().filter_map(|device| device.link.take()) {
            // QUIC's end is not told by the kernel.
            link.end(&mut self.kit, false, now);
        }
        if let Some(ledger) = self.ledger.take() {
            let (unacked, undelivered) = ledger.missing();
            (outcome.unacked, outcome.undelivered) = (unacked, undelivered);
            let mut faults: Faults = ledger.finish(&self.cast.channels);
            if outcome.cut_short.is_some() {
                // What was on the way when the server went for good is not judged.
                faults.lost = 0;
                faults.examples.retain(|words| !words.starts_with("lost:"));
            }
            outcome.faults = Some(faults);
        }
        outcome
    }
}
