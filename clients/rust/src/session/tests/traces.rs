//! What this session does, input by input, as `clients/traces.jsonl`: sessions in other languages replay it and have to do
//! the same. `MARU_BLESS=1` writes the file.
//!
//! A line is the beginning of a trace (`trace`), or one input (`in`) with all that came of it. Ids are decimal strings (and
//! no text is one), frames are hex; `after` is state, generation, cursor, sends without an ack, requests without an answer,
//! and the next deadline. What came of an input without `after` is part of what came of the next one with it.

use std::path::Path;

use serde_json::{Value, json};

use super::*;

mod drawn;
mod large;
mod told;

/// A session under observation.
struct Traced {
    session: Session,
    lines: Vec<String>,
    now: u64,
    /// Written and not answered, newest last.
    asked: Vec<Frame>,
}

impl Traced {
    fn begin(name: &str, config: Config, saved: Option<Saved>) -> Self {
        let kept = saved.as_ref().map(|saved| {
            let pending: Vec<String> = saved.pending.iter().map(|frame| hex(frame.bytes())).collect();
            json!({"cursor": {"generation": saved.cursor.generation.0, "at": saved.cursor.at.0}, "pending": pending})
        });
        let made = json!({
            "user": config.user.0.to_string(), "seed": config.seed.to_string(), "reconnectMsMin": config.reconnect_ms_min,
            "reconnectMsMax": config.reconnect_ms_max, "assumesPace": config.assumes_pace,
        });
        let first = json!({"trace": name, "config": made, "saved": kept});
        // Sessions in other languages do not say it yet.
        let config = Config { says_delivered: false, ..config };
        Self { session: Session::new(config, saved), lines: vec![first.to_string()], now: 0, asked: vec![] }
    }

    /// One input, and what comes of it.
    fn step(&mut self, input: Value, work: impl FnOnce(&mut Session, u64) -> Value) -> Vec<Event> {
        let result = work(&mut self.session, self.now);
        let told = events(&mut self.session);
        let frames = written(&mut self.session);
        let (cursor, session) = (self.session.cursor(), &self.session);
        let mut line = json!({ "now": self.now, "in": input, "after": [
            told::state(session.state()), cursor.generation.0, cursor.at.0, session.pending_len(), session.requests_len(),
            session.next_deadline(),
        ]});
        let parts = [
            ("result", result),
            ("events", told.iter().map(told::event).collect()),
            ("frames", frames.iter().map(|frame| json!(hex(frame.bytes()))).collect()),
        ];
        for (name, part) in parts {
            if !part.is_null() && part.as_array().is_none_or(|list| !list.is_empty()) {
                line[name] = part;
            }
        }
        self.lines.push(line.to_string());
        self.asked.extend(frames);
        told
    }

    fn connected(&mut self) {
        self.asked.clear();
        self.step(json!({"op": "connected", "token": "token"}), |session, now| {
            session.connected(now, "token");
            Value::Null
        });
    }

    fn disconnected(&mut self) {
        self.asked.clear();
        self.step(json!({"op": "disconnected"}), |session, now| {
            session.disconnected(now);
            Value::Null
        });
    }

    fn receive(&mut self, frame: &Frame) -> Vec<Event> {
        self.step(json!({"op": "receive", "frame": hex(frame.bytes())}), |session, now| {
            session.receive(now, frame.clone());
            Value::Null
        })
    }

    fn tick(&mut self, now: u64) -> Vec<Event> {
        self.now = self.now.max(now);
        self.step(json!({"op": "tick"}), |session, now| {
            session.tick(now);
            Value::Null
        })
    }

    fn woke(&mut self) {
        self.step(json!({"op": "woke"}), |session, now| {
            session.woke(now);
            Value::Null
        });
    }

    fn say(&mut self, channel: ChannelId, text: &str) {
        let input = json!({"op": "sendText", "args": [channel.0.to_string(), text]});
        self.step(input, |session, _| told::id(session.send_text(channel, text, None).map(|id| id.0)));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The greatest part of the rules, in the order in which a device meets them.
fn a_day() -> Vec<String> {
    let cursor = Cursor { generation: Generation(LIFE), at: InboxSeq(2) };
    let kept = encode(77, &SendText { channel: chat().0, text: "kept by an earlier run".into() });
    let saved = Saved { cursor, pending: vec![kept, encode(0, &Heartbeat { time_ms: 1 })] };
    let mut traced = Traced::begin("a day", config(), Some(saved));
    traced.say(chat(), "early");
    traced.connected();
    traced.now = 20;
    traced.receive(&welcome(2, 4));
    traced.receive(&message(chat(), 3, YOU, 3));
    traced.receive(&message(chat(), 4, ME, 77));
    traced.receive(&complete(2, 4));
    let early = traced.asked.last().unwrap().send_id();
    traced.receive(&ack(early, 5));
    traced.receive(&message(chat(), 4, ME, 77));
    for text in ["one", "two", "three"] {
        traced.say(chat(), text);
    }
    let ids: Vec<SendId> = ids(&traced.asked).split_off(traced.asked.len() - 3);
    traced.receive(&ack(ids[0], 6));
    traced.receive(&busy(ids[1].0, 50));
    traced.receive(&busy(ids[2].0, 10));
    traced.tick(30);
    traced.tick(70);
    traced.receive(&refused(ids[1].0));
    traced.now = 71;
    traced.disconnected();
    traced.tick(75);
    traced.woke();
    traced.tick(75);
    traced.connected();
    traced.receive(&encode(9, &Refusal::retry(Code::Busy, 400, "full").body()));
    traced.disconnected();
    traced.woke();
    traced.tick(475);
    traced.connected();
    traced.receive(&welcome(4, 4));
    traced.receive(&Frame::build(Kind(0x7777), 3, 1, b"whatever"));
    traced.receive(&Frame::build(Kind::COMPLETE, 1, 0, b"short"));
    traced.receive(&encode(0, &GoingAway { reconnect_after_ms: 1234, reason: 1001 }));
    traced.say(chat(), "waits");
    traced.disconnected();
    traced.tick(2000);
    traced.connected();
    let mut restored: Welcome = read(&welcome(1, 1)).unwrap();
    restored.generation = LIFE + 1;
    traced.receive(&encode(0, &restored));
    traced.receive(&encode(0, &Refusal::new(Code::Unauthenticated, "token", "logged out").body()));
    traced.say(chat(), "kept");
    traced.disconnected();
    traced.connected();
    traced.lines
}

/// Heartbeats, silence and reconnects of a device that nobody answers.
fn a_silent_server() -> Vec<String> {
    let config = Config { reconnect_ms_min: 100, reconnect_ms_max: 3000, ..config() };
    let mut traced = Traced::begin("a silent server", config, None);
    traced.connected();
    traced.receive(&welcome(0, 0));
    traced.receive(&complete(0, 7));
    for _ in 0..40 {
        let Some(at) = traced.session.next_deadline() else { break };
        let told = traced.tick(at);
        if told.contains(&Event::Dead) {
            traced.disconnected();
        }
        if told.contains(&Event::Reconnect) {
            if traced.now.is_multiple_of(2) { traced.connected() } else { traced.disconnected() }
        }
    }
    traced.lines
}

/// More to write than the server's pace allows.
fn a_slow_server() -> Vec<String> {
    let mut traced = Traced::begin("a slow server", config(), None);
    traced.connected();
    traced.receive(&drawn::welcome_v2(0, 0, [10, 8, 100]));
    for n in 0..12 {
        traced.say(chat(), &"x".repeat(n * 40 + 1));
    }
    for _ in 0..25 {
        if let Some(sent) = traced.asked.pop().filter(|frame| frame.kind().is_message()) {
            let seq = traced.now + 1;
            let answer = if traced.now % 3 == 1 {
                encode(sent.send_id().0, &Refusal::retry(Code::Rate, 120, "pace").body())
            } else {
                ack(sent.send_id(), seq)
            };
            traced.receive(&answer);
        }
        let Some(at) = traced.session.next_deadline() else { break };
        traced.tick(at.min(traced.now + 500));
    }
    traced.lines
}

/// More than may be on the way at a time, and refusals that narrow that.
fn a_full_window() -> Vec<String> {
    let mut traced = Traced::begin("a full window", config(), None);
    for n in 0..IN_FLIGHT_MAX + 40 {
        traced.say(chat(), &format!("n{n}"));
    }
    traced.connected();
    traced.receive(&drawn::welcome_v2(0, 0, [100_000, 100_000, 4096]));
    let mut seq = 0;
    for round in 0..2 {
        let asked: Vec<Frame> = traced.asked.drain(..).filter(|frame| frame.kind().is_message()).collect();
        for (place, frame) in asked.iter().enumerate() {
            // The first is stored, then all up to the middle, for the window to be seen while it widens.
            if place % 40 == 0 && (place > 0 || round == 0) {
                seq += 1;
                traced.receive(&ack(frame.send_id(), seq));
            } else {
                let answer = busy(frame.send_id().0, 5);
                traced.session.receive(traced.now, answer.clone());
                traced.lines.push(
                    json!({"now": traced.now, "in": {"op": "receive", "frame": hex(answer.bytes())}})
                        .to_string(),
                );
            }
        }
        traced.tick(traced.now + 5);
    }
    traced.lines
}

/// A server that has lost a part of this life, and does not say so by another generation.
fn a_loss() -> Vec<String> {
    let mut traced = Traced::begin("a loss", config(), None);
    traced.connected();
    traced.receive(&welcome(0, 9));
    traced.receive(&message(chat(), 3, YOU, 3));
    traced.receive(&complete(0, 9));
    traced.disconnected();
    traced.connected();
    traced.receive(&welcome(4, 4));
    traced.receive(&message(chat(), 3, YOU, 33));
    traced.receive(&complete(4, 5));
    traced.lines
}

#[test]
fn the_traces_are_what_this_session_does() {
    let mut lines =
        [a_day(), a_silent_server(), a_slow_server(), a_full_window(), a_loss(), large::trace()].concat();
    lines.extend((1..=20).flat_map(drawn::trace));
    let text = lines.join("\n") + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../traces.jsonl");
    if std::env::var_os("MARU_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "the session does something else than clients/traces.jsonl says; MARU_BLESS=1 writes it"
    );
}
