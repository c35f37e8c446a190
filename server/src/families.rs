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
/// What cannot be read is tried again so much later.
const UNREAD_PAUSE: Duration = Duration::from_secs(60);
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
    /// Starts it. `may_write` is asked before each step whether so many bytes are welcome: what moves takes room twice for a while,
    /// and a disk that is nearly full is not to be met by that.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(data: &Arc<Store>, may_write: impl Fn(u64) -> bool + Send + 'static) -> io::Result<Self> {
        let (wakes, woken) = sync_channel(1);
        let data = data.clone();
        let thread = std::thread::Builder::new()
            .name("families".into())
            .spawn(move || run(&data, &woken, &may_write))?;
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

fn run(data: &Store, woken: &Receiver<Word>, may_write: &dyn Fn(u64) -> bool) {
    let mut pause = Duration::ZERO;
    while let Ok(Word::Wake) | Err(RecvTimeoutError::Timeout) = woken.recv_timeout(pause) {
        if !may_write(STEP_BYTES as u64) {
            pause = IDLE;
            continue;
        }
        pause = match data.move_messages(STEP_BYTES) {
            Ok(Moved::Messages(_) | Moved::Switched) => PAUSE,
            Ok(Moved::Waiting) => READERS_PAUSE,
            Ok(Moved::Nothing) => IDLE,
            // Another thread's commit has failed, and ends the process.
            Err(storage::StoreError::Poisoned) => return,
            Err(error) if data.is_poisoned() => fatal::commit_failed(&error),
            Err(error) => {
                tracing::warn!(%error, "messages cannot be read, so they stay in their family for now");
                UNREAD_PAUSE
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use protocol::body::encode;
    use protocol::body::message::SendText;
    use protocol::commit::{Batch, Part, Row};
    use protocol::{BayId, ChannelId, Seq, ShardId, Stamp, UserId};

    use super::*;

    #[test]
    fn nothing_moves_while_the_disk_is_nearly_full() {
        let (data, channel) = (Arc::new(Store::memory()), ChannelId::direct(UserId(1), UserId(2)));
        let message = |seq| {
            let frame = encode(seq, &SendText { channel: channel.0, text: "hello".into() });
            let stamp = Stamp { seq: Seq(seq), time_ms: seq, sender: UserId(1) };
            Row::Message { channel, seq: Seq(seq), frame: frame.stamp(stamp) }
        };
        let parts = vec![Part { bay: BayId::of_channel(channel), rows: (1..=9).map(message).collect() }];
        data.commit(&[Batch { shard: ShardId(0), number: 1, parts }]).unwrap();
        data.give_family(channel).unwrap();

        let (asked, has_room) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let may_write = {
            let (asked, has_room) = (asked.clone(), has_room.clone());
            move |_| {
                asked.fetch_add(1, Ordering::AcqRel);
                has_room.load(Ordering::Acquire)
            }
        };
        let families = Families::start(&data, may_write).unwrap();
        // It was refused, and came again because somebody woke it.
        while asked.load(Ordering::Acquire) < 3 {
            families.mover().wake();
            std::thread::yield_now();
        }
        assert_eq!(data.stats().moved, 0);
        has_room.store(true, Ordering::Release);
        while data.families()[0].is_moving() {
            families.mover().wake();
            std::thread::yield_now();
        }
        families.end();
        assert_eq!(data.stats().moved, 9);
    }
}
