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
    /// Talks while `meanwhile` runs, and for at least so long; the times to its acks in microseconds.
    pub(super) fn watch<T>(
        scene: &Scene,
        lasts: Duration,
        meanwhile: impl FnOnce() -> Outcome<T>,
    ) -> Outcome<(T, Vec<f64>)> {
        let mut talker = scene.device(0, 0)?;
        let until = Instant::now() + lasts;
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let talking = scope.spawn(|| {
                let mut times = Vec::new();
                while !done.load(Ordering::Acquire) || Instant::now() < until {
                    match talk(&mut talker, scene, times.len() as u64 + 1) {
                        Ok(time) => times.push(time),
                        Err(error) => return Err(error.to_string()),
                    }
                    std::thread::sleep(EVERY);
                }
                Ok(times)
            });
            let outcome = meanwhile();
            done.store(true, Ordering::Release);
            let times = talking.join().map_err(|_| "the bystander panicked")?;
            Ok((outcome?, times.map_err(|error| format!("the bystander: {error}"))?))
        })
    }
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
