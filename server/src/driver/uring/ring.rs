//! The ring and the memory that the kernel reads and writes while operations are under way. All of the driver's unsafe code
//! but that of descriptors which the kernel made for us is here.
//!
//! What makes it sound, said once: every pointer that the kernel is given points into a [`Memory`] of [`Ring`], which lives
//! as long as the ring, is never moved, and is leaked if the kernel may still use it when the ring is dropped. Who may
//! touch which bytes of it when is decided by [`Pool`] and [`Sends`], which are tested without a kernel.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use io_uring::types::{BufRingEntry, CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use shard::ConnId;

use super::memory::Memory;
use super::pool::{BUFFER_BYTES, BUFFERS, Chain, Piece, Pool};
use super::sends::{AREA_BYTES, SENDS_MAX, Send, Sends};
use crate::driver;

/// Operations that wait to be submitted; when there are more they are submitted at once.
const SUBMISSIONS: u32 = 1024;
/// Completions that the kernel keeps for us before it keeps them for itself.
const COMPLETIONS: u32 = 4096;
/// The group of the receive buffers.
const GROUP: u16 = 0;
/// How long the kernel may take to end what is under way when the ring is dropped.
const END_PATIENCE_S: u64 = 5;

const _: () = assert!(SENDS_MAX <= SUBMISSIONS as usize && (BUFFERS as usize) < COMPLETIONS as usize);

/// One completion.
#[derive(Clone, Copy, Debug)]
pub(super) struct Completion {
    /// The number that was given with the operation.
    pub(super) data: u64,
    pub(super) result: i32,
    /// The operation goes on.
    pub(super) has_more: bool,
    /// The buffer that was filled.
    pub(super) buffer: Option<u16>,
}

/// How the ring is set up, best first. Kernels before 6.1 and 5.19 do not know the first two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Style {
    /// Completions are worked on when this thread asks for them, and never interrupt it.
    Deferred,
    /// They are worked on with the next system call.
    Cooperative,
    /// They interrupt the thread.
    Plain,
}

impl Style {
    pub(super) const ALL: [Self; 3] = [Self::Deferred, Self::Cooperative, Self::Plain];

    fn build(self) -> io::Result<IoUring> {
        let mut builder = IoUring::builder();
        builder.setup_clamp().setup_cqsize(COMPLETIONS);
        match self {
            Self::Deferred => builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag(),
            Self::Cooperative => builder.setup_coop_taskrun().setup_taskrun_flag(),
            Self::Plain => &mut builder,
        };
        builder.build(SUBMISSIONS)
    }
}

/// Builds with the best of the styles that the kernel knows: EINVAL says that it does not know one.
pub(super) fn best<T>(mut build: impl FnMut(Style) -> io::Result<T>) -> io::Result<T> {
    let mut last = io::Error::from(ErrorKind::Unsupported);
    for style in Style::ALL {
        match build(style) {
            Err(error) if error.kind() == ErrorKind::InvalidInput => last = error,
            other => return other,
        }
    }
    Err(last)
}

/// The ring.
pub(super) struct Ring {
    /// `None` once it is dropped, before the memory is.
    ring: Option<IoUring>,
    /// The list through which the kernel is given buffers.
    list: Memory,
    /// How many it was given, modulo 2^16.
    given: u16,
    received: Memory,
    pool: Pool,
    sent: Memory,
    sends: Sends,
    /// Completions that made room for operations.
    aside: VecDeque<Completion>,
    counters: driver::Ring,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("pool", &self.pool.held())
            .field("sends", &self.sends)
            .finish_non_exhaustive()
    }
}

impl Ring {
    /// A ring with all its buffers given to the kernel.
    ///
    /// # Errors
    /// Of the kernel: EPERM (forbidden), ENOSYS (too old, or forbidden), ENOMEM (locked memory), EMFILE.
    pub(super) fn new() -> io::Result<Self> {
        let ring = best(Style::build)?;
        let missing = [
            (ring.params().is_feature_ext_arg(), "waiting with a timeout (Linux 5.11)"),
            (ring.params().is_feature_nodrop(), "completions that are never dropped (Linux 5.5)"),
        ];
        if let Some((_, what)) = missing.iter().find(|(has, _)| !has) {
            return Err(io::Error::new(ErrorKind::Unsupported, *what));
        }
        let mut ring = Self {
            ring: Some(ring),
            list: Memory::new(usize::from(BUFFERS) * size_of::<BufRingEntry>())?,
            given: 0,
            received: Memory::new(usize::from(BUFFERS) * BUFFER_BYTES)?,
            pool: Pool::new(),
            sent: Memory::new(AREA_BYTES)?,
            sends: Sends::default(),
            aside: VecDeque::new(),
            counters: driver::Ring { rings_now: 1, ..driver::Ring::default() },
        };
        ring.register()?;
        (0..BUFFERS).for_each(|buffer| ring.offer(buffer));
        Ok(ring)
    }

    #[allow(unsafe_code)]
    fn register(&self) -> io::Result<()> {
        let list = self.list.base().as_ptr() as u64;
        // SAFETY: the list is so many entries long, begins at a page, and lives as long as the ring (see the module).
        unsafe { self.ring()?.submitter().register_buf_ring_with_flags(list, BUFFERS, GROUP, 0) }
    }

    fn ring(&self) -> io::Result<&IoUring> {
        self.ring.as_ref().ok_or_else(|| ErrorKind::NotConnected.into())
    }

    /// Queues an operation for the next [`Self::submit`] or [`Self::wait`].
    ///
    /// # Errors
    /// Of the kernel, when the queue is full and it takes nothing.
    #[allow(unsafe_code)]
    pub(super) fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        self.counters.submissions += 1;
        loop {
            let ring = self.ring.as_mut().ok_or(ErrorKind::NotConnected)?;
            // SAFETY: the only operations with a pointer are the sends of `Self::send`, whose bytes lie in `sent` and are
            // not written again before `Sends` has seen their completions; a receive takes its buffers from the list,
            // where `Pool` has put those alone that nobody reads. All others name a descriptor, which is looked up
            // when the operation is submitted and is kept open until its last completion.
            if unsafe { ring.submission().push(entry) }.is_ok() {
                return Ok(());
            }
            self.submit()?;
            // A kernel that keeps completions for itself may take no operation before they are taken.
            let mut aside = std::mem::take(&mut self.aside);
            self.take(&mut aside);
            self.aside = aside;
        }
    }

    /// Copies a send's bytes and queues it. `None`: there is no room before [`Self::completions`] of those under way.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub(super) fn send(
        &mut self,
        kind: u64,
        fd: RawFd,
        (conn, socket): (ConnId, u64),
        slices: &[IoSlice<'_>],
    ) -> io::Result<Option<()>> {
        let len = slices.iter().map(|slice| slice.len()).sum();
        let Some((number, send)) = self.sends.add(conn, socket, len) else { return Ok(None) };
        let Send { from, len, .. } = send;
        let mut rest = self.sent.slice(from, len);
        for slice in slices {
            let count = slice.len().min(rest.len());
            let (to, behind) = rest.split_at_mut(count);
            to.copy_from_slice(slice.get(..count).unwrap_or_default());
            rest = behind;
        }
        let start = self.sent.slice(from, len).as_ptr();
        let entry = opcode::Send::new(Fd(fd), start, u32::try_from(len).unwrap_or(0))
            .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
            .build()
            .user_data(kind | number);
        self.push(&entry)?;
        Ok(Some(()))
    }

    /// A send has completed.
    pub(super) fn sent(&mut self, number: u64) -> Option<Send> {
        self.sends.complete(number)
    }

    pub(super) fn sends_under_way(&self) -> usize {
        self.sends.under_way()
    }

    /// Submits what is queued, waits for nothing.
    ///
    /// # Errors
    /// Of the kernel, when it will never take anything.
    pub(super) fn submit(&mut self) -> io::Result<()> {
        self.counters.enters += 1;
        passing(self.ring()?.submitter().submit())
    }

    /// The same, and waits until something has completed, or `timeout` is over (`None`: no end).
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.counters.enters += 1;
        let submitter = self.ring()?.submitter();
        passing(match timeout {
            None => submitter.submit_and_wait(1),
            Some(Duration::ZERO) => submitter.submit(),
            Some(timeout) => {
                let until = Timespec::from(timeout);
                submitter.submit_with_args(1, &SubmitArgs::new().timespec(&until))
            }
        })
    }

    /// Takes what has completed. Says whether the kernel has more at once.
    pub(super) fn completions(&mut self, to: &mut VecDeque<Completion>) -> bool {
        to.append(&mut self.aside);
        self.take(to)
    }

    fn take(&mut self, to: &mut VecDeque<Completion>) -> bool {
        let Some(ring) = &mut self.ring else { return false };
        let before = to.len();
        to.extend(ring.completion().map(|entry| Completion {
            data: entry.user_data(),
            result: entry.result(),
            has_more: cqueue::more(entry.flags()),
            buffer: cqueue::buffer_select(entry.flags()),
        }));
        self.counters.completions += (to.len() - before) as u64;
        let submission = ring.submission();
        let is_over = submission.cq_overflow();
        self.counters.overflows += u64::from(is_over);
        is_over || submission.taskrun()
    }

    /// A buffer was filled for a connection.
    #[must_use]
    pub(super) fn fill(&mut self, chain: &mut Chain, buffer: u16, len: usize) -> bool {
        self.pool.fill(chain, buffer, len)
    }

    /// The next bytes that were received of a connection. Whoever has read the last of a buffer gives it back.
    pub(super) fn next(&mut self, chain: &mut Chain, limit: usize) -> Option<(&mut [u8], Piece)> {
        let piece = self.pool.next(chain, limit)?;
        let start = usize::from(piece.buffer) * BUFFER_BYTES + piece.from;
        Some((self.received.slice(start, piece.len), piece))
    }

    /// The kernel may fill a buffer again.
    pub(super) fn give_back(&mut self, buffer: u16) {
        let was_spent = self.pool.give_back(buffer);
        debug_assert!(was_spent, "buffer {buffer} is somebody's");
        if was_spent {
            self.offer(buffer);
        }
    }

    #[allow(unsafe_code)]
    fn offer(&mut self, buffer: u16) {
        let list = self.list.base().cast::<BufRingEntry>();
        let start = self.received.slice(usize::from(buffer) * BUFFER_BYTES, BUFFER_BYTES).as_ptr();
        // SAFETY: the place is within the list, because BUFFERS is a power of two, and the kernel does not look at it
        // before the tail says so. The tail lies where the crate says, in the first entry, in a field that the three
        // setters leave alone.
        unsafe {
            let entry = &mut *list.add(usize::from(self.given & (BUFFERS - 1))).as_ptr();
            entry.set_addr(start as u64);
            entry.set_len(u32::try_from(BUFFER_BYTES).unwrap_or(0));
            entry.set_bid(buffer);
            self.given = self.given.wrapping_add(1);
            let tail = BufRingEntry::tail(list.as_ptr()).cast::<AtomicU16>();
            (*tail).store(self.given, Ordering::Release);
        }
    }

    /// The group from which receives take their buffers.
    pub(super) fn group() -> u16 {
        GROUP
    }

    pub(super) fn counters(&self) -> driver::Ring {
        driver::Ring { held_now: self.pool.held().into(), ..self.counters }
    }

    pub(super) fn count_short(&mut self) {
        self.counters.buffers_short += 1;
    }

    /// Ends all that is under way, and waits until it has ended; what completes is there to be taken once more. False: the
    /// kernel does not end it.
    pub(super) fn end(&mut self) -> bool {
        let _ = self.submit();
        let Ok(ring) = self.ring() else { return true };
        let patience = Timespec::new().sec(END_PATIENCE_S);
        match ring.submitter().register_sync_cancel(Some(patience), CancelBuilder::any()) {
            Err(error) if error.kind() != ErrorKind::NotFound => false,
            _ => self.submit().is_ok(),
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let is_over = self.end();
        drop(self.ring.take());
        if !is_over {
            // An operation may write into it still.
            self.received.leak();
            self.list.leak();
            self.sent.leak();
        }
    }
}

/// Passes what only says that the time is over, or that completions are to be taken first.
fn passing(outcome: io::Result<usize>) -> io::Result<()> {
    match outcome.map_err(|error| error.raw_os_error().ok_or(error)) {
        Ok(_) | Err(Ok(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN)) => Ok(()),
        Err(Ok(errno)) => Err(io::Error::from_raw_os_error(errno)),
        Err(Err(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring, or words on why there is none.
    fn ring() -> Option<Ring> {
        Ring::new().inspect_err(|error| eprintln!("not tested: no io_uring here ({error})")).ok()
    }

    #[test]
    fn completions_that_do_not_fit_are_kept_by_the_kernel() {
        let Some(mut ring) = ring() else { return };
        let count = u64::from(2 * COMPLETIONS + SUBMISSIONS);
        // Nobody looks at completions meanwhile, but where the kernel takes nothing more.
        for data in 0..count {
            ring.push(&opcode::Nop::new().build().user_data(data)).unwrap();
        }
        let mut found = VecDeque::new();
        while found.len() < count as usize {
            ring.submit().unwrap();
            ring.completions(&mut found);
        }
        assert!(found.iter().map(|done| done.data).eq(0..count), "each once, in order");
    }

    #[test]
    fn what_is_sent_lies_still_until_it_was_taken() {
        use std::io::Read;
        use std::os::fd::AsRawFd;
        let Some(mut ring) = ring() else { return };
        let (from, mut to) = std::os::unix::net::UnixStream::pair().unwrap();
        let slices = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two")];
        ring.send(8 << 56, from.as_raw_fd(), (ConnId(5), 6), &slices).unwrap().unwrap();
        assert_eq!(ring.sends_under_way(), 1);
        ring.wait(None).unwrap();
        let mut found = VecDeque::new();
        ring.completions(&mut found);
        assert_eq!((found[0].data, found[0].result), (8 << 56, 7));
        assert_eq!(ring.sent(0).map(|send| (send.conn, send.socket, send.len)), Some((ConnId(5), 6, 7)));
        let mut read = [0; 7];
        to.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"one two");
    }

    #[test]
    fn a_receive_that_is_armed_ends_with_the_ring() {
        use std::io::Write;
        use std::os::fd::AsRawFd;
        let Some(mut ring) = ring() else { return };
        let (mut from, to) = std::os::unix::net::UnixStream::pair().unwrap();
        ring.push(&opcode::RecvMulti::new(Fd(to.as_raw_fd()), GROUP).build().user_data(3)).unwrap();
        from.write_all(b"hello").unwrap();
        ring.wait(None).unwrap();
        let (mut found, mut chain) = (VecDeque::new(), Chain::default());
        ring.completions(&mut found);
        let done = found.pop_front().unwrap();
        assert!(done.has_more && done.result == 5);
        assert!(ring.fill(&mut chain, done.buffer.unwrap(), 5));
        let (bytes, piece) = ring.next(&mut chain, 64).unwrap();
        assert_eq!(bytes, b"hello");
        ring.give_back(piece.buffer);
        assert!(ring.end());
        ring.completions(&mut found);
        assert_eq!(
            found.pop_front().map(|done| (done.data, done.result, done.has_more)),
            Some((3, -libc::ECANCELED, false))
        );
    }
}
