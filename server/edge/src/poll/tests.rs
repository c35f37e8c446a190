use protocol::body::{encode, read, session};
use protocol::token::{Claims, Key, sign};
use protocol::{Code, DeviceId, Frame, Kind, UserId};

use super::*;

fn keys() -> [Key; 1] {
    [Key { id: 1, secret: [5; 32] }]
}

fn moment(keys: &[Key]) -> Moment<'_> {
    Moment { now_ms: 1000, wall_ms: 50_000, close_ms: 500, keys, rules: &protocol::web::ANYBODY }
}

fn hello(device: u64) -> Frame {
    let claims = Claims { user: UserId(1), device: DeviceId(device), expires_ms: 60_000, issued_ms: 1 };
    encode(77, &session::Hello { generation: 3, cursor: 4, token: sign(&keys()[0], &claims) })
}

fn beat(time_ms: u64) -> Frame {
    encode(0, &session::Heartbeat { time_ms })
}

fn body(frames: &[Frame]) -> Bytes {
    frames.iter().flat_map(|frame| frame.bytes().to_vec()).collect::<Vec<_>>().into()
}

/// A session, and what it told.
#[derive(Default)]
struct World {
    poll: Poll,
    told: Vec<Event>,
}

impl World {
    fn live() -> Self {
        let mut world = Self::default();
        assert_eq!(world.ask(1, &[hello(9)]), Ok(Taken::New));
        assert!(matches!(world.told.remove(0), Event::Hello(_)));
        world.poll.transmit(beat(1).into_bytes());
        assert_eq!(world.poll.answer().unwrap().number, 1);
        world
    }

    fn ask(&mut self, number: u64, frames: &[Frame]) -> Result<Taken, Misplaced> {
        self.bring(number, &body(frames))
    }

    fn bring(&mut self, number: u64, body: &Bytes) -> Result<Taken, Misplaced> {
        let told = &mut self.told;
        let mut sink = |event| {
            told.push(event);
            Flow::More
        };
        self.poll.on_request(&moment(&keys()), number, body, &mut sink)
    }

    fn resume(&mut self) {
        let told = &mut self.told;
        let mut sink = |event| {
            told.push(event);
            Flow::More
        };
        self.poll.resume(&moment(&keys()), &mut sink);
    }
}

#[test]
fn a_request_waits_until_there_is_something() {
    let mut world = World::live();
    assert_eq!(world.ask(2, &[beat(5)]), Ok(Taken::New));
    assert_eq!(world.told, [Event::Frame(beat(5))]);
    assert!(!world.poll.has_answer());
    world.poll.transmit(body(&[beat(6), beat(7)]));
    world.poll.transmit(body(&[beat(8)]));
    assert!(world.poll.has_answer());
    let answer = world.poll.answer().unwrap();
    assert_eq!((answer.number, answer.close, answer.len()), (2, None, 3 * beat(6).bytes().len()));
    assert_eq!(answer.frames.concat(), body(&[beat(6), beat(7), beat(8)]));
    assert_eq!((world.poll.answer(), world.poll.has_answer()), (None, false), "one request has one answer");
}

#[test]
fn a_lost_answer_is_given_again_and_frames_are_told_once() {
    let mut world = World::live();
    assert_eq!(world.ask(2, &[beat(5)]), Ok(Taken::New));
    assert_eq!(world.ask(2, &[beat(5)]), Ok(Taken::Waits), "its answer may be on the way to nobody");
    world.poll.transmit(body(&[beat(6)]));
    let answer = world.poll.answer().unwrap();
    for _ in 0..3 {
        assert_eq!(world.ask(2, &[beat(5)]), Ok(Taken::Again(answer.clone())));
    }
    assert_eq!(world.told, [Event::Frame(beat(5))]);
    // The next one may be under way together with it: only the one after that shows that the answer came.
    assert_eq!(world.ask(3, &[]), Ok(Taken::New));
    assert_eq!(world.ask(2, &[beat(5)]), Ok(Taken::Again(answer.clone())));
    assert_eq!(world.poll.queued_bytes(), 0, "whoever waits has it, or asks again");
    world.poll.answer().unwrap();
    assert_eq!(world.poll.queued_bytes(), answer.len());
    assert_eq!(world.ask(4, &[]), Ok(Taken::New));
    assert_eq!(world.poll.queued_bytes(), 0);
    assert_eq!(world.ask(2, &[beat(5)]), Err(Misplaced::Number { expected: 5 }));
}

#[test]
fn a_newer_request_ends_the_wait_of_the_older_one() {
    let mut world = World::live();
    assert_eq!(world.ask(2, &[]), Ok(Taken::New));
    assert!(world.poll.waits_before(3) && !world.poll.waits_before(4) && !world.poll.waits_before(2));
    assert_eq!(world.ask(3, &[]), Err(Misplaced::Number { expected: 3 }), "the caller answers it first");
    assert_eq!(world.poll.answer().unwrap(), Answer { number: 2, frames: vec![], close: None });
    assert_eq!(world.ask(3, &[beat(1)]), Ok(Taken::New));
    for wrong in [0, 1, 5, u64::MAX] {
        let kept = world.ask(wrong, &[beat(9)]);
        assert_eq!(kept, Err(Misplaced::Number { expected: 4 }), "{wrong}");
    }
    assert_eq!(world.told, [Event::Frame(beat(1))]);
}

#[test]
fn what_the_core_does_not_read_waits_and_nothing_is_taken_behind_it() {
    let mut world = World::live();
    world.poll.pause();
    assert_eq!(world.ask(2, &[beat(1), beat(2)]), Ok(Taken::New));
    assert_eq!(world.told, []);
    world.poll.answer().unwrap();
    assert_eq!(world.ask(3, &[beat(3)]), Err(Misplaced::Paused));
    world.resume();
    assert_eq!(world.told, [Event::Frame(beat(1)), Event::Frame(beat(2))]);
    assert_eq!(world.ask(3, &[beat(3)]), Ok(Taken::New));
}

#[test]
fn the_end_is_told_in_an_answer_and_again() {
    let mut world = World::live();
    world.poll.transmit(body(&[beat(1)]));
    world.poll.close(CloseCode::Replaced);
    world.poll.transmit(body(&[beat(2)]));
    world.poll.close(CloseCode::Normal);
    assert_eq!(world.ask(2, &[beat(3)]), Ok(Taken::New));
    assert!(world.told.is_empty(), "nothing is told behind the end");
    let answer = world.poll.answer().unwrap();
    assert_eq!(
        answer,
        Answer { number: 2, frames: vec![body(&[beat(1)])], close: Some(CloseCode::Replaced) }
    );
    assert_eq!(world.ask(2, &[beat(3)]), Ok(Taken::Again(answer)));
}

#[test]
fn whoever_repeats_without_end_is_sent_away() {
    let mut world = World::live();
    for _ in 0..POLL_REPEATS_MAX {
        assert!(matches!(world.ask(1, &[hello(9)]), Ok(Taken::Again(_))));
        assert!(world.poll.is_live());
    }
    assert!(matches!(world.ask(1, &[hello(9)]), Ok(Taken::Again(_))));
    assert_eq!(world.poll.close_code(), Some(CloseCode::TooManyFaults));
    let mut world = World::live();
    for number in 2..100 {
        assert_eq!(world.ask(number, &[]), Ok(Taken::New));
        assert_eq!(world.ask(number, &[]), Ok(Taken::Waits));
        world.poll.answer().unwrap();
    }
    assert!(world.poll.is_live(), "a bad network is no fault");
}

#[test]
fn what_is_no_frame_ends_it() {
    let cut = body(&[beat(1)]).slice(..17);
    let stamped = {
        let mut bytes = beat(1).bytes().to_vec();
        bytes[7] |= 1;
        Bytes::from(bytes)
    };
    for (bad, code) in [(cut, CloseCode::Protocol), (stamped, CloseCode::Protocol)] {
        let mut world = World::live();
        assert_eq!(world.bring(2, &bad), Ok(Taken::New));
        assert_eq!((world.poll.close_code(), world.poll.has_answer()), (Some(code), true));
    }
    let mut world = World::live();
    let many: Vec<Frame> = (0..=WS_MESSAGE_FRAMES_MAX as u64).map(beat).collect();
    world.ask(2, &many).unwrap();
    assert_eq!(world.told.len(), WS_MESSAGE_FRAMES_MAX);
    assert_eq!(world.poll.close_code(), Some(CloseCode::TooBig));
}

#[test]
fn it_begins_with_hello() {
    let mut world = World::default();
    world.ask(1, &[beat(1)]).unwrap();
    assert_eq!(world.told, [Event::Refused(Code::Unauthenticated)]);
    let answer = world.poll.answer().unwrap();
    assert_eq!(answer.close, Some(CloseCode::Unauthenticated));
    let reject = Frame::receive(&answer.frames[0]).unwrap();
    assert_eq!(reject.kind(), Kind::REJECT);
    assert_eq!(read::<session::Reject>(&reject).unwrap().code, Code::Unauthenticated.number());
    // A second one is refused, and the session goes on.
    let mut world = World::live();
    world.ask(2, &[hello(10), beat(1)]).unwrap();
    assert_eq!(world.told, [Event::Refused(Code::Forbidden), Event::Frame(beat(1))]);
    assert!(world.poll.is_live());
}
