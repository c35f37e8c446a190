//! What one connection is doing, and when it has taken too long over it.
//!
//! | doing | who is waited for | ends |
//! |---|---|---|
//! | Idle | the peer, to ask | by hyper's time for a head; first to give way |
//! | Taking | the peer, to send its body | by the time of the exchange |
//! | Working | the server: never gives way | by the time of the exchange |
//! | Answering | the peer, to take the answer | by a time without progress, and by that of the exchange |
//!
//! An answer that is made as it is taken, an export, has a longer time than an exchange.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::limits::Patience;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Doing {
    Idle,
    Taking,
    Working,
    Answering,
}

/// Shared by a connection's task, its stream, its requests and the table of places.
#[derive(Debug)]
pub(super) struct Pulse {
    patience: Patience,
    state: Mutex<State>,
    gives_way: Notify,
}

#[derive(Clone, Copy, Debug)]
struct State {
    doing: Doing,
    /// Since when.
    since: Instant,
    /// The exchange that began first and is not over ends by then.
    exchange_by: Option<Instant>,
    /// The peer takes something by then.
    taken_by: Option<Instant>,
    /// More of the answer is being made: what the kernel has taken is not all of it.
    is_long: bool,
}

impl Pulse {
    pub(super) fn new(patience: Patience) -> Self {
        let state = State {
            doing: Doing::Idle,
            since: Instant::now(),
            exchange_by: None,
            taken_by: None,
            is_long: false,
        };
        Self { patience, state: Mutex::new(state), gives_way: Notify::new() }
    }

    /// A request's head is whole. Requests that come before the last answer was taken have no time of their own.
    pub(super) fn asked(&self, has_body: bool) {
        let mut state = self.lock();
        state.begin(if has_body { Doing::Taking } else { Doing::Working });
        let by = state.since + self.patience.exchange;
        state.exchange_by.get_or_insert(by);
    }

    /// The request's body has ended.
    pub(super) fn took_body(&self) {
        let mut state = self.lock();
        if state.doing == Doing::Taking {
            state.begin(Doing::Working);
        }
    }

    /// The answer is made.
    pub(super) fn answered(&self) {
        self.lock().begin(Doing::Answering);
    }

    /// The answer is one that takes long: it has a time of its own from here on. Whoever takes nothing of it is waited for no
    /// longer than for any other.
    pub(super) fn lengthens(&self) {
        let mut state = self.lock();
        state.is_long = true;
        state.exchange_by = Some(Instant::now() + self.patience.long);
    }

    /// The end of such an answer is made.
    pub(super) fn ends(&self) {
        self.lock().is_long = false;
    }

    /// The kernel has taken all there was.
    pub(super) fn flushed(&self) {
        let mut state = self.lock();
        state.taken_by = None;
        if state.doing == Doing::Answering && !state.is_long {
            state.begin(Doing::Idle);
            state.exchange_by = None;
        }
    }

    /// The kernel takes no more until the peer reads.
    pub(super) fn blocked(&self) {
        let stalled = self.patience.stalled;
        self.lock().taken_by.get_or_insert_with(|| Instant::now() + stalled);
    }

    /// The kernel took something.
    pub(super) fn wrote(&self) {
        self.lock().taken_by = None;
    }

    /// When the connection is over unless something happens.
    pub(super) fn over_at(&self) -> Option<Instant> {
        let state = self.lock();
        [state.exchange_by, state.taken_by].into_iter().flatten().min()
    }

    /// Whom it waits for, and since when.
    pub(super) fn doing(&self) -> (Doing, Instant) {
        let state = self.lock();
        (state.doing, state.since)
    }

    /// Its place is another's now.
    pub(super) fn give_way(&self) {
        self.gives_way.notify_one();
    }

    pub(super) async fn gave_way(&self) {
        self.gives_way.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin(&mut self, doing: Doing) {
        (self.doing, self.since) = (doing, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn an_exchange_has_one_time_whatever_it_does() {
        let pulse = Pulse::new(Patience::default());
        let began = Instant::now();
        let after = |seconds| Some(began + Duration::from_secs(seconds));
        let pass = |seconds| tokio::time::advance(Duration::from_secs(seconds));
        assert_eq!((pulse.doing(), pulse.over_at()), ((Doing::Idle, began), None));
        pulse.asked(true);
        assert_eq!((pulse.doing().0, pulse.over_at()), (Doing::Taking, after(60)));
        pass(5).await;
        pulse.took_body();
        pulse.flushed();
        assert_eq!((pulse.doing().0, pulse.over_at()), (Doing::Working, after(60)));
        pass(5).await;
        pulse.answered();
        pulse.blocked();
        assert_eq!((pulse.doing().0, pulse.over_at()), (Doing::Answering, after(20)));
        pass(9).await;
        pulse.wrote();
        pulse.blocked();
        assert_eq!(pulse.over_at(), after(29), "a slow reader goes on");
        pulse.blocked();
        // Another request before the answer was taken has no time of its own.
        pulse.asked(false);
        pulse.answered();
        pulse.wrote();
        assert_eq!(pulse.over_at(), after(60));
        pulse.flushed();
        assert_eq!((pulse.doing().0, pulse.over_at()), (Doing::Idle, None));
        pulse.asked(false);
        assert_eq!(pulse.over_at(), after(79));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_answer_has_a_time_of_its_own_and_is_not_over_when_all_of_it_so_far_was_taken() {
        let patience = Patience::default();
        let pulse = Pulse::new(patience);
        let began = Instant::now();
        pulse.asked(false);
        pulse.lengthens();
        pulse.answered();
        for _ in 0..3 {
            pulse.flushed();
            assert_eq!((pulse.doing().0, pulse.over_at()), (Doing::Answering, Some(began + patience.long)));
        }
        pulse.blocked();
        assert_eq!(pulse.over_at(), Some(began + patience.stalled), "nobody is waited for who takes nothing");
        pulse.wrote();
        pulse.ends();
        pulse.flushed();
        assert_eq!((pulse.doing().0, pulse.over_at()), (Doing::Idle, None));
    }
}
