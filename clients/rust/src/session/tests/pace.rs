//! A session that has much to write, against a server that counts.

use std::collections::VecDeque;

use protocol::body::session::WelcomeV2;

use super::*;
use crate::session::limits::{TOKENS_BURST_DEFAULT, TOKENS_BURST_PERCENT, TOKENS_PER_S_DEFAULT};

/// One way, in milliseconds.
const LATENCY_MS: u64 = 40;

/// A server that takes sends as long as its bucket lasts. Once it has refused, it refuses until its hint is over, so that
/// nothing overtakes what was refused.
struct Server {
    per_s: u64,
    burst: u64,
    /// In thousandths of a token.
    level: u64,
    at: u64,
    closed_until: u64,
    stored: Vec<SendId>,
    taken: usize,
    refused: usize,
    answers: VecDeque<(u64, Frame)>,
}

impl Server {
    fn new(per_s: u64, burst: u64) -> Self {
        let (stored, answers) = (Vec::new(), VecDeque::new());
        Self {
            per_s,
            burst,
            level: burst * 1000,
            at: 0,
            closed_until: 0,
            stored,
            taken: 0,
            refused: 0,
            answers,
        }
    }

    fn take(&mut self, now: u64, frame: &Frame) {
        self.taken += 1;
        self.level = (self.level + (now - self.at) * self.per_s).min(self.burst * 1000);
        self.at = now;
        let id = frame.send_id();
        let answer = if now < self.closed_until || self.level < 1000 {
            self.refused += 1;
            let wait = self.closed_until.saturating_sub(now).max(1000_u64.div_ceil(self.per_s));
            self.closed_until = now + wait;
            encode(id.0, &Refusal::retry(Code::Rate, u32::try_from(wait).unwrap(), "pace").body())
        } else {
            self.level -= 1000;
            if !self.stored.contains(&id) {
                self.stored.push(id);
            }
            let seq = self.stored.iter().position(|stored| *stored == id).unwrap();
            ack(id, seq as u64 + 1)
        };
        self.answers.push_back((now + LATENCY_MS, answer));
    }
}

/// Runs until nothing is pending; how long that took.
fn run(session: &mut Session, server: &mut Server) -> u64 {
    let (mut now, mut on_the_way) = (0, VecDeque::new());
    while session.pending_len() > 0 {
        on_the_way.extend(written(session).into_iter().map(|frame| (now + LATENCY_MS, frame)));
        let due = [
            session.next_deadline(),
            on_the_way.front().map(|(at, _)| *at),
            server.answers.front().map(|(at, _)| *at),
        ];
        now = due.into_iter().flatten().min().unwrap().max(now);
        while let Some((_, frame)) = on_the_way.pop_front_if(|(at, _)| *at <= now) {
            if frame.kind().is_message() {
                server.take(now, &frame);
            }
        }
        while let Some((_, frame)) = server.answers.pop_front_if(|(at, _)| *at <= now) {
            session.receive(now, frame);
        }
        session.tick(now);
        assert!(now < 3_600_000, "{} are still pending", session.pending_len());
    }
    now
}

fn with_pending(count: usize) -> (Session, Vec<SendId>) {
    let mut session = Session::new(config(), None);
    let sends = (0..count).map(|n| say(&mut session, &n.to_string())).collect();
    greet(&mut session, 0, 0, 0);
    (session, sends)
}

#[test]
fn three_thousand_pending_sends_are_never_refused() {
    let (mut session, sends) = with_pending(3000);
    let mut server = Server::new(u64::from(TOKENS_PER_S_DEFAULT), u64::from(TOKENS_BURST_DEFAULT));
    let took = run(&mut session, &mut server);
    assert_eq!((server.taken, server.refused), (3000, 0));
    assert_eq!(server.stored, sends);
    assert!(took < 15_000, "{took} ms");
}

#[test]
fn a_pace_that_other_devices_eat_into_costs_few_frames_and_no_order() {
    for (per_s, burst) in [(100, 1000), (100, 100), (50, 500), (20, 20)] {
        let (mut session, sends) = with_pending(3000);
        let mut server = Server::new(per_s, burst);
        run(&mut session, &mut server);
        assert_eq!(server.stored, sends, "{per_s} a second, {burst} at once");
        assert!(server.taken <= 3600, "{} frames; {per_s} a second, {burst} at once", server.taken);
    }
}

/// Answers all that is written at this moment, until nothing more is; how much that was.
fn use_the_burst(session: &mut Session, now_ms: u64) -> usize {
    let mut count = 0;
    loop {
        let frames = written(session);
        if frames.is_empty() {
            return count;
        }
        for frame in frames {
            count += 1;
            session.receive(now_ms, ack(frame.send_id(), count as u64));
        }
    }
}

#[test]
fn what_waits_for_tokens_has_a_deadline() {
    let (mut session, _) = with_pending(2000);
    let burst = u64::from(TOKENS_BURST_DEFAULT) * TOKENS_BURST_PERCENT / 100;
    assert_eq!(use_the_burst(&mut session, 0) as u64, burst);
    assert!(session.waits_for_pace());
    let at = session.next_deadline().unwrap();
    assert!((1..10).contains(&at), "{at} ms");
    session.tick(at);
    assert_eq!(use_the_burst(&mut session, at), 1);
}

#[test]
fn a_request_does_not_wait_behind_sends() {
    let (mut session, _) = with_pending(3000);
    use_the_burst(&mut session, 0);
    let request = session.history(chat(), None, None, 200, true).unwrap();
    let (mut sends, mut now) = (0, 0);
    loop {
        let frames = written(&mut session);
        if frames.iter().any(|frame| frame.header().id == request.0) {
            break;
        }
        sends += frames.len();
        now = session.next_deadline().unwrap();
        session.tick(now);
    }
    assert!(sends < 40 && now < 1000, "{sends} sends and {now} ms came first");
}

/// What measures servers must not hold back what they did not ask it to.
#[test]
fn a_server_that_names_no_pace_is_taken_to_have_the_usual_one_unless_told_otherwise() {
    let burst = u64::from(TOKENS_BURST_DEFAULT) * TOKENS_BURST_PERCENT / 100;
    for (assumes_pace, written_at_once) in [(true, burst), (false, 2000)] {
        let mut session = Session::new(Config { assumes_pace, ..config() }, None);
        greet(&mut session, 0, 0, 0);
        for n in 0..2000 {
            say(&mut session, &n.to_string());
        }
        assert_eq!(use_the_burst(&mut session, 0) as u64, written_at_once);
    }
}

#[test]
fn the_pace_is_the_one_that_welcome_names() {
    let (mut session, _) = with_pending(40);
    session.disconnected(1);
    session.connected(2, "token");
    written(&mut session);
    let Welcome { user, device, generation, start, head, time_ms, expires_ms, .. } =
        read(&welcome(0, 0)).unwrap();
    let slow = WelcomeV2 {
        tokens_per_s: 10,
        tokens_burst: 8,
        token_bytes: 100,
        user,
        device,
        generation,
        start,
        head,
        time_ms,
        expires_ms,
        heartbeat_ms: 30_000,
        group_members_max: 100,
        kinds: vec![],
    };
    session.receive(2, encode(0, &slow));
    assert_eq!(use_the_burst(&mut session, 2), 6);
    session.tick(1002);
    assert_eq!(use_the_burst(&mut session, 1002), 6, "a second later the share of the burst is there again");
}

#[test]
fn a_new_connection_begins_with_a_full_bucket() {
    let (mut session, _) = with_pending(10);
    let first = written(&mut session);
    session.receive(0, encode(first[0].header().id, &Refusal::retry(Code::Rate, 60_000, "pace").body()));
    assert_eq!(session.poll_transmit(), None);
    session.disconnected(1);
    greet(&mut session, 2, 0, 0);
    assert_eq!(ids(&written(&mut session)), ids(&first));
}
