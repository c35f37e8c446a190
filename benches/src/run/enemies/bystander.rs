//! Somebody who only wants to talk.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use protocol::Kind;
use protocol::body::message::SendText;

use super::attack::Scene;
use super::socket::Socket;
use crate::run::Outcome;

/// Between two of its messages.
const EVERY: Duration = Duration::from_millis(10);

pub(super) struct Bystander;

impl Bystander {
    /// Talks while `meanwhile` runs, and for at least so long; the times to its acks in microseconds. The enemies have the
    /// lowest priority, so that they do not hold the bystander up in this process, where no server could help it.
    pub(super) fn watch<T: Send>(
        scene: &Scene,
        lasts: Duration,
        meanwhile: impl FnOnce() -> T + Send,
    ) -> Outcome<(T, Vec<f64>)> {
        let mut talker = scene.device(0, 0)?;
        let until = Instant::now() + lasts;
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let enemies = scope.spawn(|| {
                yield_to_all();
                let outcome = meanwhile();
                done.store(true, Ordering::Release);
                outcome
            });
            let mut times = Vec::new();
            while !done.load(Ordering::Acquire) || Instant::now() < until {
                let time = talk(&mut talker, scene, times.len() as u64 + 1);
                times.push(time.map_err(|error| format!("the bystander: {error}"))?);
                std::thread::sleep(EVERY);
            }
            Ok((enemies.join().map_err(|_| "the enemies panicked")?, times))
        })
    }
}

/// Only an idle thread is put aside at once by one that wakes up: one with a lower priority runs its slice to the end (sched(7);
/// milliseconds on Linux 6.6 and later), which was most of what the bystander seemed to wait for.
#[allow(unsafe_code)]
fn yield_to_all() {
    let param = libc::sched_param { sched_priority: 0 };
    // SAFETY: the pointer is to a value of this frame, which the call only reads; 0 is the calling thread.
    let _ = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const param) };
}

fn talk(talker: &mut Socket, scene: &Scene, number: u64) -> Outcome<f64> {
    let id = scene.next_id(number);
    let body = SendText { channel: scene.friends().0, text: "how are you?".into() };
    let began = Instant::now();
    talker.send(&body, id)?;
    let answer = talker.wait(|frame| frame.header().id == id)?;
    if answer.kind() != Kind::SEND_ACK {
        return Err(format!(
            "refused: {:?}",
            protocol::body::read::<protocol::body::session::Reject>(&answer)
        )
        .into());
    }
    Ok(began.elapsed().as_secs_f64() * 1e6)
}

/// The 99th percentile; no number of nothing.
pub(super) fn p99(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get((times.len() * 99 / 100).min(times.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
