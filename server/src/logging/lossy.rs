//! Lines to a stream that may block or fail, by a thread of their own.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

/// Lines that wait at most.
const LINES_MAX: usize = 8192;
/// Bytes of them.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// The way to the thread. Whoever pushes never waits.
#[derive(Debug)]
pub(super) struct Lossy {
    items: Sender<Item>,
    meter: Arc<Meter>,
}

#[derive(Debug)]
enum Item {
    Line(Vec<u8>),
    /// Everything before it was tried: its drop says so.
    Mark(#[allow(dead_code)] Sender<()>),
}

#[derive(Debug, Default)]
struct Meter {
    waiting_bytes: AtomicUsize,
    lost: AtomicU64,
}

impl Lossy {
    /// Without a thread everything is lost, and the process goes on.
    pub(super) fn start(name: &str, stream: impl Write + Send + 'static) -> Self {
        let (items, waiting) = bounded(LINES_MAX);
        let meter = Arc::<Meter>::default();
        let work = Work { items: waiting, meter: meter.clone(), stream };
        drop(std::thread::Builder::new().name(name.to_owned()).spawn(move || work.run()));
        Self { items, meter }
    }

    pub(super) fn push(&self, line: Vec<u8>) {
        let bytes = line.len();
        let waiting = self.meter.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        if waiting.saturating_add(bytes) > BYTES_MAX || self.items.try_send(Item::Line(line)).is_err() {
            self.meter.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.meter.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A line that is not lost for want of room at once, and a wait until it is out.
    pub(super) fn push_at_last(&self, line: Vec<u8>, within: Duration) {
        let bytes = line.len();
        self.meter.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.items.send_timeout(Item::Line(line), within).is_err() {
            self.meter.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.meter.lost.fetch_add(1, Ordering::Relaxed);
        }
        self.flush(within);
    }

    /// Waits until what was pushed before is out, but not longer than that (twice, if the queue is full).
    pub(super) fn flush(&self, within: Duration) {
        let (done, wait) = bounded::<()>(1);
        if self.items.send_timeout(Item::Mark(done), within).is_ok() {
            let _ = wait.recv_timeout(within);
        }
    }

    pub(super) fn lost(&self) -> u64 {
        self.meter.lost.load(Ordering::Relaxed)
    }
}

/// The thread.
struct Work<W> {
    items: Receiver<Item>,
    meter: Arc<Meter>,
    stream: W,
}

impl<W: Write> Work<W> {
    fn run(mut self) {
        let mut told = 0;
        while let Ok(item) = self.items.recv() {
            let Item::Line(line) = item else { continue };
            self.meter.waiting_bytes.fetch_sub(line.len(), Ordering::Relaxed);
            if self.stream.write_all(&line).and_then(|()| self.stream.flush()).is_err() {
                self.meter.lost.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let lost = self.meter.lost.load(Ordering::Relaxed);
            if lost > told && self.items.is_empty() {
                // It comes in by the queue like any other line.
                tracing::warn!(
                    lost = lost - told,
                    "lines were lost: nobody read them in time, or the stream was broken"
                );
                told = lost;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::Mutex;
    use std::sync::mpsc;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// Writes when it is let, and keeps what it wrote.
    struct Gate(mpsc::Receiver<io::Result<()>>, Arc<Mutex<Vec<u8>>>);

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().unwrap_or(Ok(()))?;
            self.1.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    type Written = Arc<Mutex<Vec<u8>>>;

    fn gate() -> (mpsc::Sender<io::Result<()>>, Written, Lossy) {
        let (opens, opened) = mpsc::channel();
        let written = Written::default();
        let lossy = Lossy::start("test", Gate(opened, written.clone()));
        (opens, written, lossy)
    }

    #[test]
    fn nobody_waits_for_a_stream_that_takes_nothing_and_what_is_over_the_bound_is_counted() {
        let (opens, written, lossy) = gate();
        // One of them may be with the thread already.
        for _ in 0..LINES_MAX + 10 {
            lossy.push(b"x\n".to_vec());
        }
        assert!((9..=10).contains(&lossy.lost()), "{}", lossy.lost());
        let before = lossy.lost();
        lossy.flush(Duration::from_millis(1));
        drop(opens);
        lossy.flush(PATIENCE);
        assert_eq!(written.lock().unwrap().len() as u64, 2 * ((LINES_MAX + 10) as u64 - before));
        lossy.push(b"on it goes\n".to_vec());
        lossy.flush(PATIENCE);
        assert!(written.lock().unwrap().ends_with(b"on it goes\n"));
    }

    #[test]
    fn bytes_have_a_bound_too() {
        let (opens, _, lossy) = gate();
        for _ in 0..9 {
            lossy.push(vec![b'x'; BYTES_MAX / 8]);
        }
        // The first may have left the queue for the thread.
        assert!(lossy.lost() <= 1);
        lossy.push(vec![b'x'; BYTES_MAX / 8]);
        assert!(lossy.lost() >= 1);
        drop(opens);
    }

    #[test]
    fn a_broken_stream_costs_its_lines_and_no_others() {
        let (opens, written, lossy) = gate();
        opens.send(Err(io::ErrorKind::BrokenPipe.into())).unwrap();
        lossy.push(b"gone\n".to_vec());
        lossy.flush(PATIENCE);
        assert_eq!(lossy.lost(), 1);
        drop(opens);
        lossy.push_at_last(b"there\n".to_vec(), PATIENCE);
        assert_eq!((lossy.lost(), &**written.lock().unwrap()), (1, &b"there\n"[..]));
    }
}
