//! The thread that moves messages of channels into families of their own and back, a little at a time, so that it is never in
//! the way of what an ack waits for.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use storage::{Moved, Store};

use crate::fatal;

/// Bytes that one step moves, about: one write of the store that others may wait behind.
const STEP_BYTES: usize = 128 * 1024;
/// Between two steps: what waits for the store's log goes first.
const PAUSE: Duration = Duration::from_millis(5);
/// How long readers that go by what was are waited for.
const READERS_PAUSE: Duration = Duration::from_millis(100);
/// How often it is looked whether there is something to do that nobody said.
const IDLE: Duration = Duration::from_secs(1);

/// Wakes the thread.
#[derive(Clone, Debug)]
pub struct Mover(SyncSender<Word>);

#[derive(Clone, Copy, Debug)]
enum Word {
    Wake,
    End,
}

impl Mover {
    /// There is something to move.
    pub fn wake(&self) {
        // One that has not been taken yet is enough.
        let _ = self.0.try_send(Word::Wake);
    }
}

/// The thread.
#[derive(Debug)]
pub struct Families {
    mover: Mover,
    thread: JoinHandle<()>,
}

impl Families {
    /// Starts it.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(data: &Arc<Store>) -> io::Result<Self> {
        let (wakes, woken) = sync_channel(1);
        let data = data.clone();
        let thread = std::thread::Builder::new().name("families".into()).spawn(move || run(&data, &woken))?;
        Ok(Self { mover: Mover(wakes), thread })
    }

    /// What wakes it.
    #[must_use]
    pub fn mover(&self) -> Mover {
        self.mover.clone()
    }

    /// Ends it behind its step. What is not moved is moved by the next process.
    pub fn end(self) {
        let _ = self.mover.0.send(Word::End);
        // A thread that panicked has ended the process already.
        let _ = self.thread.join();
    }
}

fn run(data: &Store, woken: &Receiver<Word>) {
    let mut pause = Duration::ZERO;
    while let Ok(Word::Wake) | Err(RecvTimeoutError::Timeout) = woken.recv_timeout(pause) {
        pause = match data.move_messages(STEP_BYTES) {
            Ok(Moved::Messages(_) | Moved::Switched) => PAUSE,
            Ok(Moved::Waiting) => READERS_PAUSE,
            Ok(Moved::Nothing) => IDLE,
            // Another thread's commit has failed, and ends the process.
            Err(storage::StoreError::Poisoned) => return,
            Err(error) => fatal::commit_failed(&error),
        };
    }
}
