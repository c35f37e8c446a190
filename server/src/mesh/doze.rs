//! The sleep and wake protocol between one sleeper (a shard thread) and any number of posters.
//!
//! The danger is a lost wake-up: the sleeper looks at its rings, finds nothing, and a poster pushes and looks at the
//! flag before the sleeper has raised it. Both sides therefore write first, then fence, then read what the other wrote:
//!
//! ```text
//! sleeper: raise flag    | fence | look at rings -> sleep only if all are empty
//! poster:  push to ring  | fence | look at flag  -> ring the bell only if it was raised
//! ```
//!
//! Of two such pairs, at least one sees the other's write, so either the sleeper stays up or the poster rings. The
//! flag changes by swaps only, which keeps its modification order plain for the checker and costs nothing where one
//! sleep is one syscall. The protocol is generic over its flag so that the loom model in the tests runs the very same
//! lines.

use std::sync::atomic::{AtomicBool, Ordering, fence};

/// An atomic flag and the full fence that goes with it: the machine's, or the model checker's.
pub trait Flag {
    /// A lowered flag.
    fn lowered() -> Self;
    /// Loads, relaxed.
    fn get(&self) -> bool;
    /// Swaps, acquire and release.
    fn swap(&self, raised: bool) -> bool;
    /// A sequentially consistent fence.
    fn fence();
}

impl Flag for AtomicBool {
    fn lowered() -> Self {
        Self::new(false)
    }

    fn get(&self) -> bool {
        self.load(Ordering::Relaxed)
    }

    fn swap(&self, raised: bool) -> bool {
        Self::swap(self, raised, Ordering::AcqRel)
    }

    fn fence() {
        fence(Ordering::SeqCst);
    }
}

/// Whether the sleeper is asleep, or about to be.
#[derive(Debug)]
pub struct Doze<F> {
    asleep: F,
}

impl<F: Flag> Default for Doze<F> {
    fn default() -> Self {
        Self { asleep: F::lowered() }
    }
}

impl<F: Flag> Doze<F> {
    /// The sleeper is about to sleep. `idle` looks at everything a poster can have written. True: it may sleep, and who
    /// writes from now on rings the bell. False: something has come, the flag is lowered again.
    pub fn lie_down(&self, idle: impl FnOnce() -> bool) -> bool {
        self.asleep.swap(true);
        F::fence();
        if idle() {
            return true;
        }
        self.get_up();
        false
    }

    /// The sleeper is awake, whatever woke it.
    pub fn get_up(&self) {
        if self.asleep.get() {
            self.asleep.swap(false);
        }
    }

    /// A poster has written. True: it must ring the bell. Of many posters one is told so, once a sleep.
    pub fn must_ring(&self) -> bool {
        F::fence();
        self.asleep.get() && self.asleep.swap(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicUsize;

    impl Flag for loom::sync::atomic::AtomicBool {
        fn lowered() -> Self {
            Self::new(false)
        }
        fn get(&self) -> bool {
            self.load(Ordering::Relaxed)
        }
        fn swap(&self, raised: bool) -> bool {
            Self::swap(self, raised, Ordering::AcqRel)
        }
        fn fence() {
            loom::sync::atomic::fence(Ordering::SeqCst);
        }
    }

    /// The same flag without its fence: what the model must catch.
    struct Unfenced(loom::sync::atomic::AtomicBool);

    impl Flag for Unfenced {
        fn lowered() -> Self {
            Self(loom::sync::atomic::AtomicBool::new(false))
        }
        fn get(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
        fn swap(&self, raised: bool) -> bool {
            self.0.swap(raised, Ordering::AcqRel)
        }
        fn fence() {}
    }

    /// `posters` threads push one item each; the sleeper takes turns until it has all. A ring is a relaxed counter
    /// here, weaker than any real one. The bell is a counter too: what eventfd is. Loom runs every
    /// interleaving, or every one with so many preemptions.
    fn model<F: Flag + Send + Sync + 'static>(posters: usize, preemptions: Option<usize>) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = preemptions;
        builder.check(move || {
            let doze = Arc::new(Doze::<F>::default());
            let ring = Arc::new(AtomicUsize::new(0));
            let bell = Arc::new(AtomicUsize::new(0));
            let threads: Vec<_> = (0..posters)
                .map(|_| {
                    let (doze, ring, bell) = (doze.clone(), ring.clone(), bell.clone());
                    loom::thread::spawn(move || {
                        ring.fetch_add(1, Ordering::Relaxed);
                        if doze.must_ring() {
                            bell.fetch_add(1, Ordering::AcqRel);
                        }
                    })
                })
                .collect();
            let (mut taken, mut tries) = (0, 0);
            let slept = loop {
                taken += ring.swap(0, Ordering::Relaxed);
                if taken == posters {
                    break false;
                }
                tries += 1;
                if doze.lie_down(|| ring.load(Ordering::Relaxed) == 0) {
                    break true;
                }
            };
            for thread in threads {
                thread.join().unwrap();
            }
            // Every poster is through. A sleeper that lies here must have been rung, or it lies for ever.
            if slept && ring.load(Ordering::Relaxed) > 0 {
                assert!(bell.load(Ordering::Acquire) > 0, "a wake-up was lost");
            }
            assert!(bell.load(Ordering::Acquire) <= tries, "one sleep was rung twice");
        });
    }

    #[test]
    fn no_wake_up_is_lost_with_one_poster() {
        model::<loom::sync::atomic::AtomicBool>(1, None);
    }

    #[test]
    fn no_wake_up_is_lost_with_two_posters() {
        model::<loom::sync::atomic::AtomicBool>(2, Some(2));
    }

    #[test]
    #[should_panic(expected = "a wake-up was lost")]
    fn the_model_can_fail() {
        model::<Unfenced>(1, None);
    }
}
