//! The life of operations and buffers of one socket, driven by a kernel that a test makes up: it completes what it likes
//! when it likes, cuts a multishot short, runs out of buffers, ends and breaks.

use std::collections::VecDeque;

use super::intake::{Ask, End, HELD_MAX, Intake, Op, Received, Source};
use super::pool::{BUFFERS, Chain, Pool};

/// Draws of a test; the same for the same seed.
struct Draws(u64);

impl Draws {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// The kernel's side of a socket: bytes are numbers that rise.
#[derive(Default)]
struct Kernel {
    armed: Vec<Op>,
    cancelled: Vec<Op>,
    /// Bytes that have come and were not taken.
    queue: VecDeque<u64>,
    sent: u64,
    has_ended: bool,
    free: Vec<u16>,
    filled: Vec<Vec<u64>>,
    /// A poll tells once for each arrival.
    is_edge: bool,
}

impl Kernel {
    fn new() -> Self {
        let filled = vec![Vec::new(); BUFFERS.into()];
        Self { free: (0..BUFFERS).collect(), filled, ..Self::default() }
    }

    fn ask(&mut self, ask: Ask) {
        match ask {
            Ask::Arm(op) => {
                assert!(!self.armed.contains(&op), "{op:?} is armed twice");
                self.armed.push(op);
                self.is_edge |= op == Op::Poll && (!self.queue.is_empty() || self.has_ended);
            }
            Ask::Cancel(op) => {
                assert!(self.armed.contains(&op), "{op:?} is not armed");
                self.cancelled.push(op);
            }
        }
    }

    fn arrive(&mut self, count: u64) {
        self.queue.extend(self.sent..self.sent + count);
        self.sent += count;
        self.is_edge |= count > 0;
    }

    fn end(&mut self, op: Op) {
        self.armed.retain(|armed| *armed != op);
        self.cancelled.retain(|cancelled| *cancelled != op);
    }
}

/// One life: what the driver does around [`Intake`], with everything else made up.
struct Life {
    kernel: Kernel,
    intake: Intake,
    pool: Pool,
    chain: Chain,
    read: Vec<u64>,
    /// So many of them stand in order.
    checked: usize,
    /// What the driver believes: there may be something to read.
    is_readable: bool,
    has_ended: bool,
    now_ms: u64,
}

impl Life {
    fn new() -> Self {
        let mut intake = Intake::default();
        intake.settle();
        let (kernel, pool, chain) = (Kernel::new(), Pool::new(), Chain::default());
        Self {
            kernel,
            intake,
            pool,
            chain,
            read: Vec::new(),
            checked: 0,
            is_readable: false,
            has_ended: false,
            now_ms: 0,
        }
    }

    fn tend(&mut self) {
        while let Some(ask) = self.intake.next_ask() {
            self.kernel.ask(ask);
        }
    }

    /// The kernel completes something, or nothing.
    fn complete(&mut self, draws: &mut Draws) {
        let ops =
            Op::ALL.map(|op| (op, self.kernel.armed.contains(&op), self.kernel.cancelled.contains(&op)));
        for (op, is_armed, is_cancelled) in ops {
            if is_armed && !draws.one_in(4) {
                // What comes before the cancel has been seen is still delivered.
                match op {
                    Op::Poll => self.complete_poll(is_cancelled, draws),
                    Op::Receive => self.complete_receive(is_cancelled, draws),
                    Op::Room => {
                        self.kernel.end(op);
                        self.intake.on_room();
                    }
                }
            }
        }
        self.tend();
    }

    fn complete_poll(&mut self, is_cancelled: bool, draws: &mut Draws) {
        let is_last = (is_cancelled && draws.one_in(2)) || draws.one_in(16);
        let is_news = std::mem::take(&mut self.kernel.is_edge);
        if !is_news && !is_last {
            return;
        }
        if is_last {
            self.kernel.end(Op::Poll);
        }
        self.is_readable |= is_news;
        if self.intake.on_poll(!is_last, is_news, self.now_ms) {
            self.intake.receive();
        }
    }

    fn complete_receive(&mut self, is_cancelled: bool, draws: &mut Draws) {
        let is_last = (is_cancelled && draws.one_in(2)) || draws.one_in(16);
        let count = self.kernel.queue.len().min(3);
        let (received, has_more) = if count == 0 && self.kernel.has_ended {
            (Received::End(End::Ended), false)
        } else if count == 0 || draws.one_in(8) {
            if !is_last && count == 0 {
                return;
            }
            (Received::Stopped, false)
        } else if let Some(buffer) = self.kernel.free.pop() {
            self.kernel.filled[usize::from(buffer)] = self.kernel.queue.drain(..count).collect();
            assert!(self.pool.fill(&mut self.chain, buffer, count), "the buffer was the kernel's");
            (Received::Bytes, !is_last)
        } else {
            (Received::Stopped, false)
        };
        if !has_more {
            self.kernel.end(Op::Receive);
        }
        self.intake.on_received(received, has_more, self.chain.len(), self.now_ms);
        self.is_readable |= matches!(received, Received::Bytes | Received::End(_));
    }

    /// The driver reads once, as [`super::Uring`] does.
    fn read(&mut self, draws: &mut Draws) {
        if !self.is_readable {
            return;
        }
        let limit = 1 + draws.below(4) as usize;
        match self.intake.source(self.chain.len()) {
            Source::Nothing => self.is_readable = false,
            Source::End(_) => {
                self.intake.on_end_told();
                self.has_ended = true;
                self.is_readable = false;
            }
            Source::Socket => {
                assert!(!self.kernel.armed.contains(&Op::Receive), "two readers of one socket");
                let count = self.kernel.queue.len().min(limit);
                self.read.extend(self.kernel.queue.drain(..count));
                self.has_ended |= count == 0 && self.kernel.has_ended;
                self.intake.on_read(count < limit);
                self.is_readable = count == limit;
            }
            Source::Buffer => {
                let piece = self.pool.next(&mut self.chain, limit).unwrap();
                let bytes = &self.kernel.filled[usize::from(piece.buffer)];
                self.read.extend(&bytes[piece.from..piece.from + piece.len]);
                if piece.is_last {
                    assert!(self.pool.give_back(piece.buffer));
                    self.kernel.free.push(piece.buffer);
                }
                self.is_readable = self.intake.has_more(self.chain.len());
            }
        }
    }

    fn check(&mut self) {
        for (place, byte) in self.read.iter().enumerate().skip(self.checked) {
            assert_eq!(*byte, place as u64, "out of order: {:?}", self.read);
        }
        self.checked = self.read.len();
        assert_eq!(usize::from(self.pool.held()) + self.kernel.free.len(), usize::from(BUFFERS));
        assert!(!(self.kernel.armed.contains(&Op::Receive) && self.intake.is_quiet()));
    }
}

/// A life with a seed; says how often a receive was armed.
fn live(seed: u64, frees: usize) -> u32 {
    let mut draws = Draws(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut life = Life::new();
    // Other connections hold the rest.
    let others: Vec<u16> = life.kernel.free.drain(frees..).collect();
    let mut other = Chain::default();
    assert!(others.iter().all(|buffer| life.pool.fill(&mut other, *buffer, 1)));
    let mut receives = 0;
    life.tend();
    for _ in 0..400 {
        life.now_ms += draws.below(400);
        let count = draws.below(8);
        if draws.one_in(2) {
            life.kernel.arrive(count);
        }
        let had = life.kernel.armed.contains(&Op::Receive);
        life.complete(&mut draws);
        receives += u32::from(!had && life.kernel.armed.contains(&Op::Receive));
        for _ in 0..draws.below(4) {
            life.read(&mut draws);
        }
        if draws.one_in(20) {
            life.intake.rest();
            life.tend();
        }
        if draws.one_in(10) {
            life.intake.wait_for_room();
            life.tend();
        }
        life.check();
    }
    // The peer ends, and nothing that it sent is lost.
    life.kernel.has_ended = true;
    life.kernel.is_edge = true;
    for _ in 0..2000 {
        life.complete(&mut draws);
        life.read(&mut draws);
        life.check();
    }
    assert!(life.has_ended, "seed {seed}: the end was not told");
    assert_eq!(life.read.len() as u64, life.kernel.sent, "seed {seed}: bytes are missing");
    // Then it is let go, with whatever is under way.
    life.intake.leave();
    life.tend();
    for _ in 0..200 {
        life.complete(&mut draws);
        life.check();
    }
    assert!(life.intake.is_quiet() && life.kernel.armed.is_empty(), "seed {seed}: something never ended");
    receives
}

#[test]
fn no_byte_is_lost_or_out_of_order_and_no_buffer_has_two_owners() {
    let mut receives = 0;
    for seed in 1..=400 {
        receives += live(seed, usize::from(BUFFERS));
    }
    assert!(receives > 1000, "the busy way was hardly taken: {receives}");
}

#[test]
fn where_buffers_are_short_bytes_come_all_the_same() {
    for frees in [1, 2, 5] {
        for seed in 1..=100 {
            live(seed, frees);
        }
    }
}

#[test]
fn whoever_is_idle_waits_by_a_poll_and_whoever_is_busy_is_received_from() {
    let mut intake = Intake::default();
    assert_eq!(intake.next_ask(), Some(Ask::Arm(Op::Poll)));
    assert_eq!(intake.next_ask(), None);
    // Before it is settled nothing is taken ahead: it may leave for its home.
    assert!((0..10).all(|now_ms| !intake.on_poll(true, true, now_ms)));
    intake.settle();
    assert!(!intake.on_poll(true, true, 5000), "five seconds of silence");
    assert!(!intake.on_poll(true, true, 5100));
    assert!(intake.on_poll(true, true, 5200));
    intake.receive();
    assert_eq!(intake.next_ask(), Some(Ask::Cancel(Op::Poll)));
    assert_eq!(intake.next_ask(), Some(Ask::Arm(Op::Receive)));
    assert_eq!(intake.source(0), Source::Nothing, "the receive has the socket");
    assert!(!intake.on_poll(false, false, 5200));
    // Bytes that are not read end it; the poll comes back when it has ended, not before.
    intake.on_received(Received::Bytes, true, HELD_MAX - 1, 5300);
    assert_eq!(intake.next_ask(), None);
    intake.on_received(Received::Bytes, true, HELD_MAX, 5300);
    assert_eq!(intake.next_ask(), Some(Ask::Cancel(Op::Receive)));
    assert_eq!(intake.next_ask(), None);
    intake.on_received(Received::Bytes, true, HELD_MAX + 1, 5300);
    intake.on_received(Received::Stopped, false, HELD_MAX + 1, 5300);
    assert_eq!(intake.next_ask(), Some(Ask::Arm(Op::Poll)));
    assert_eq!((intake.source(1), intake.source(0)), (Source::Buffer, Source::Socket));
}

#[test]
fn whoever_leaves_with_everything_under_way_leaves_when_all_has_ended() {
    let mut intake = Intake::default();
    intake.settle();
    intake.receive();
    intake.wait_for_room();
    assert_eq!(intake.next_ask(), Some(Ask::Arm(Op::Receive)));
    assert_eq!(intake.next_ask(), Some(Ask::Arm(Op::Room)));
    intake.leave();
    assert_eq!(intake.next_ask(), Some(Ask::Cancel(Op::Receive)));
    assert_eq!(intake.next_ask(), Some(Ask::Cancel(Op::Room)));
    intake.on_room();
    assert!(!intake.is_quiet());
    intake.on_received(Received::Bytes, true, 1, 0);
    assert!(!intake.is_quiet(), "bytes that were received before the cancel are collected");
    intake.on_received(Received::of(-libc::ECANCELED), false, 1, 0);
    assert!(intake.is_quiet());
    assert_eq!(intake.next_ask(), None);
}

#[test]
fn what_the_kernel_says_is_understood() {
    for (result, received) in [
        (5, Received::Bytes),
        (0, Received::End(End::Ended)),
        (-libc::ECANCELED, Received::Stopped),
        (-libc::ENOBUFS, Received::Stopped),
        (-libc::EINVAL, Received::Unable),
        (-libc::ECONNRESET, Received::End(End::Broken(libc::ECONNRESET))),
    ] {
        assert_eq!(Received::of(result), received, "{result}");
    }
}
