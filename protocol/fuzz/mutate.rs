//! Seeded mutation of good inputs: what every fuzz test runs, a bounded number of times in `make test` and for long in `make fuzz`.
//! The same seed gives the same inputs, on every machine.
//!
//! MARU_FUZZ_TIMES: so many times a target's own number of inputs. MARU_FUZZ_SEED: the number of the first input, 0 when it is not set.

use std::ops::Range;

use protocol::partition::mix64;

/// A seeded walk through the numbers.
pub(crate) struct Walk(u64);

impl Walk {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix64(seed))
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = mix64(self.0);
        (self.0 % bound.max(1) as u64) as usize
    }
}

/// One to four small changes. `others` are inputs that pieces are taken from.
pub(crate) fn mutate(bytes: &mut Vec<u8>, others: &[Vec<u8>], walk: &mut Walk) {
    const LIKELY: [u8; 10] = [0, 1, 2, 0x7f, 0x80, 0xff, 8, 9, 0x88, 0xfe];
    for _ in 0..=walk.below(4) {
        let at = walk.below(bytes.len());
        match walk.below(9) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << walk.below(8),
            1 if !bytes.is_empty() => bytes[at] = LIKELY[walk.below(LIKELY.len())],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, LIKELY[walk.below(LIKELY.len())]),
            4 if !bytes.is_empty() => {
                bytes.remove(at);
            }
            5 if !bytes.is_empty() => {
                let from = walk.below(bytes.len());
                let len = walk.below(9).min(bytes.len() - from.max(at));
                bytes.copy_within(from..from + len, at);
            }
            6 if !others.is_empty() => {
                let other = &others[walk.below(others.len())];
                let from = walk.below(other.len());
                let len = walk.below(33).min(other.len() - from);
                bytes.splice(at..at, other[from..from + len].iter().copied());
            }
            7 if !bytes.is_empty() => {
                let len = walk.below(33).min(bytes.len() - at);
                bytes.drain(at..at + len);
            }
            _ => bytes.push(walk.below(256) as u8),
        }
    }
}

// Settings are arguments everywhere else; a test has none.
#[allow(clippy::disallowed_methods)]
fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}; must be a number")))
}

/// The numbers of the inputs, so many unless it is said otherwise.
pub(crate) fn numbers(inputs: u64) -> Range<u64> {
    let inputs = inputs.saturating_mul(variable("MARU_FUZZ_TIMES").unwrap_or(1));
    let first = variable("MARU_FUZZ_SEED").unwrap_or(0);
    first..first.saturating_add(inputs)
}

/// The input of this number.
pub(crate) fn input(seeds: &[Vec<u8>], number: u64) -> Vec<u8> {
    let mut walk = Walk::new(number);
    let mut bytes = seeds[walk.below(seeds.len())].clone();
    mutate(&mut bytes, seeds, &mut walk);
    bytes
}

/// Checks the seeds as they are and so many mutations of them. A panic is the finding: it is told which input it was.
pub(crate) fn each_mutation(target: &str, seeds: &[Vec<u8>], inputs: u64, mut check: impl FnMut(&[u8])) {
    for seed in seeds {
        check(seed);
    }
    let numbers = numbers(inputs);
    println!("fuzz {target}: {} inputs from number {}", numbers.end - numbers.start, numbers.start);
    for number in numbers {
        let bytes = input(seeds, number);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&bytes)));
        if let Err(panic) = outcome {
            eprintln!(
                "fuzz {target}: MARU_FUZZ_SEED={number}, bytes {bytes:02x?}, {:?}",
                String::from_utf8_lossy(&bytes)
            );
            std::panic::resume_unwind(panic);
        }
    }
}
