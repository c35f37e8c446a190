use std::sync::Mutex;
use std::time::Instant;

use protocol::Frame;
use protocol::body::{encode, session};
use protocol::token::{Claims, sign};
use shard::Tick;

use super::*;

const ANN: (UserId, DeviceId) = (UserId(1), DeviceId(10));
const BOB: (UserId, DeviceId) = (UserId(2), DeviceId(20));

type Got = Arc<Mutex<Vec<Result<Answer, NotPolled>>>>;

struct World {
    polls: Polls,
    told: Vec<Told>,
    now: Now,
    got: Got,
}

fn keys() -> Arc<[Key]> {
    [Key { id: 1, secret: [5; 32] }].into()
}

fn hello((user, device): (UserId, DeviceId)) -> Frame {
    let claims = Claims { user, device, expires_ms: 60_000, issued_ms: 1 };
    encode(77, &session::Hello { generation: 3, cursor: 4, token: sign(&keys()[0], &claims) })
}

fn beat() -> Bytes {
    encode(0, &session::Heartbeat { time_ms: 7 }).into_bytes()
}

impl World {
    fn new() -> Self {
        let now = Now { tick: Tick(1000), wall_ms: 50_000, at: Instant::now() };
        Self { polls: Polls::new(keys()), told: Vec::new(), now, got: Got::default() }
    }

    /// With a session of Ann's whose first request is answered.
    fn live() -> (Self, ConnId) {
        let (mut world, conn) = (Self::new(), conn_of(5));
        world.ask(conn, ANN, 1, hello(ANN).into_bytes());
        assert_eq!(world.inputs(), ["hello"]);
        world.polls.transmit(conn, beat());
        world.flush();
        assert_eq!(world.answers(), [(1, 1, None)]);
        world.inputs();
        (world, conn)
    }

    fn ask(&mut self, conn: ConnId, device: (UserId, DeviceId), number: u64, frames: Bytes) {
        let got = self.got.clone();
        let reply: PollReply = Box::new(move |answer| got.lock().unwrap().push(answer));
        self.bring(Polling::Request { conn, device, number, frames, reply });
    }

    fn bring(&mut self, polling: Polling) {
        self.polls.ask(self.now, polling, &mut self.told);
    }

    fn flush(&mut self) {
        self.polls.flush(self.now, &mut self.told);
    }

    fn inputs(&mut self) -> Vec<&'static str> {
        let word = |told: Told| match told {
            Told::Input(Input::Hello { .. }) => "hello",
            Told::Input(Input::Frame { .. }) => "frame",
            Told::Input(Input::Egress { queued: 0, .. }) => "drained",
            Told::Input(Input::Egress { .. }) => "egress",
            Told::Input(Input::Closed { .. }) => "closed",
            _ => "other",
        };
        self.told.drain(..).map(word).collect()
    }

    /// The numbers of answers, how many frames they have, and the ends.
    fn answers(&mut self) -> Vec<(u64, usize, Option<CloseCode>)> {
        let got = std::mem::take(&mut *self.got.lock().unwrap());
        got.into_iter().map(|answer| answer.unwrap()).map(|a| (a.number, a.frames.len(), a.close)).collect()
    }

    fn refusals(&mut self) -> Vec<NotPolled> {
        let got = std::mem::take(&mut *self.got.lock().unwrap());
        got.into_iter().map(|answer| answer.unwrap_err()).collect()
    }
}

#[test]
fn numbers_say_what_they_are() {
    for number in [0, 1, u64::MAX >> 9] {
        assert!(is_poll(conn_of(number)) && conn_of(number).0 < ConnId::END);
    }
    let (quic, tcp) = (ConnId((ConnId::END >> 1) | POLL | 7), ConnId(POLL - 1));
    assert!(!is_poll(quic) && !is_poll(tcp));
}

#[test]
fn a_request_waits_for_frames_and_a_newer_one_ends_its_wait() {
    let (mut world, conn) = World::live();
    world.ask(conn, ANN, 2, Bytes::new());
    world.flush();
    assert_eq!(world.answers(), []);
    world.polls.transmit(conn, beat());
    world.polls.transmit(conn, beat());
    world.flush();
    assert_eq!(world.answers(), [(2, 2, None)], "one answer for all that a turn brings");
    world.ask(conn, ANN, 3, Bytes::new());
    world.ask(conn, ANN, 4, beat());
    assert_eq!(world.answers(), [(3, 0, None)]);
    world.flush();
    world.bring(Polling::Enough { conn, number: 3 });
    assert_eq!(world.answers(), [], "that one is answered");
    world.bring(Polling::Enough { conn, number: 4 });
    assert_eq!(world.answers(), [(4, 0, None)]);
    let counters = world.polls.counters();
    assert_eq!((counters.requests, counters.empty, counters.begun, counters.sessions_now), (4, 2, 1, 1));
}

#[test]
fn what_is_not_shown_to_have_come_counts_as_waiting() {
    let (mut world, conn) = World::live();
    world.polls.transmit(conn, beat());
    world.flush();
    assert_eq!(world.inputs(), ["egress"]);
    world.ask(conn, ANN, 2, Bytes::new());
    world.flush();
    assert_eq!(world.answers(), [(2, 1, None)]);
    world.ask(conn, ANN, 3, Bytes::new());
    world.flush();
    assert_eq!(world.inputs(), ["drained"], "whoever waits has what came before, or asks for it");
    world.bring(Polling::Enough { conn, number: 3 });
    world.flush();
    assert_eq!(world.inputs(), ["egress"]);
    world.ask(conn, ANN, 4, Bytes::new());
    world.bring(Polling::Enough { conn, number: 4 });
    world.flush();
    assert_eq!(world.inputs(), ["drained"]);
}

#[test]
fn an_answer_that_finds_nobody_waits_for_the_request_that_comes_again() {
    let (mut world, conn) = World::live();
    world.ask(conn, ANN, 2, beat());
    world.bring(Polling::Gone { conn, number: 2 });
    world.polls.transmit(conn, beat());
    world.flush();
    assert_eq!(world.answers(), []);
    world.ask(conn, ANN, 2, beat());
    world.flush();
    assert_eq!(world.answers(), [(2, 1, None)]);
    world.ask(conn, ANN, 2, beat());
    assert_eq!(world.answers(), [(2, 1, None)], "and once more");
    assert_eq!(world.inputs().iter().filter(|word| **word == "frame").count(), 1);
    // Of two that wait for the same, the older hears that it need not.
    world.ask(conn, ANN, 3, Bytes::new());
    world.ask(conn, ANN, 3, Bytes::new());
    assert_eq!(world.refusals(), [NotPolled::Repeated]);
}

#[test]
fn nobody_asks_in_a_session_of_somebody_else() {
    let (mut world, conn) = World::live();
    world.ask(conn, BOB, 2, beat());
    world.ask(conn, (ANN.0, BOB.1), 2, beat());
    world.ask(conn_of(6), ANN, 2, beat());
    assert_eq!(world.refusals(), [NotPolled::Unknown; 3]);
    world.bring(Polling::End { conn, device: BOB });
    assert_eq!(world.inputs(), [""; 0]);
    // A Hello of Ann's behind Bob's token.
    world.ask(conn_of(7), BOB, 1, hello(ANN).into_bytes());
    world.flush();
    assert_eq!(world.answers(), [(1, 0, Some(CloseCode::Unauthenticated))]);
    assert_eq!(world.inputs(), [""; 0], "the core hears nothing of it");
    world.ask(conn, ANN, 9, beat());
    assert_eq!(world.refusals(), [NotPolled::Number { expected: 2 }]);
}

#[test]
fn the_end_is_told_to_whoever_comes_within_the_time_of_a_farewell() {
    let (mut world, conn) = World::live();
    world.polls.transmit(conn, beat());
    world.polls.close(world.now, conn, CloseCode::Replaced, &mut world.told);
    world.polls.close(world.now, conn, CloseCode::Normal, &mut world.told);
    assert_eq!(world.inputs(), ["closed"]);
    assert!(world.polls.is_idle());
    world.flush();
    world.ask(conn, ANN, 2, beat());
    world.flush();
    assert_eq!(world.answers(), [(2, 1, Some(CloseCode::Replaced))]);
    assert_eq!(world.inputs(), [""; 0]);
    world.now.tick = Tick(world.polls.next_deadline().unwrap());
    world.flush();
    world.ask(conn, ANN, 2, beat());
    assert_eq!(world.refusals(), [NotPolled::Unknown]);
    assert_eq!(world.polls.counters().sessions_now, 0);
    // The device itself.
    let (mut world, conn) = World::live();
    world.ask(conn, ANN, 2, Bytes::new());
    world.bring(Polling::End { conn, device: ANN });
    assert!(!world.polls.is_idle(), "somebody waits to hear of it");
    world.flush();
    assert_eq!(world.answers(), [(2, 0, Some(CloseCode::Normal))]);
    assert!(world.polls.is_idle());
}

#[test]
fn a_device_has_one_session() {
    let (mut world, conn) = World::live();
    world.ask(conn, ANN, 2, Bytes::new());
    for number in 10..20 {
        world.ask(conn_of(number), ANN, 1, hello(ANN).into_bytes());
        world.polls.transmit(conn_of(number), beat());
        world.flush();
        assert_eq!(world.polls.entries.len(), 1);
        if number == 10 {
            assert_eq!(world.inputs(), ["closed", "hello", "egress"]);
            assert_eq!(world.answers(), [(2, 0, Some(CloseCode::Replaced)), (1, 1, None)]);
        }
    }
    world.ask(conn, ANN, 3, Bytes::new());
    assert_eq!(world.got.lock().unwrap().pop().unwrap(), Err(NotPolled::Unknown));
    world.now.tick = Tick(world.polls.next_deadline().unwrap() + 1);
    world.flush();
    assert_eq!((world.polls.entries.len(), world.polls.of_device.len()), (1, 1), "the newest lives on");
}

#[test]
fn what_the_core_does_not_read_comes_when_it_does() {
    let (mut world, conn) = World::live();
    world.polls.pause(conn);
    world.ask(conn, ANN, 2, [beat(), beat()].concat().into());
    world.flush();
    assert_eq!(world.inputs(), ["egress"], "it counts while it waits");
    world.bring(Polling::Enough { conn, number: 2 });
    world.answers();
    world.ask(conn, ANN, 3, beat());
    assert_eq!(world.refusals(), [NotPolled::Busy]);
    world.polls.resume(world.now, conn, &mut world.told);
    assert_eq!(world.inputs(), ["frame", "frame"]);
}
