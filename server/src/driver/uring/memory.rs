//! Memory that the kernel reads and writes: see [`super::ring`] for why that is sound.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::io::{self, ErrorKind};
use std::ptr::NonNull;

/// Whole pages, zeroed, that neither move nor shrink.
pub(super) struct Memory {
    base: NonNull<u8>,
    layout: Layout,
    is_leaked: bool,
}

const PAGE_BYTES: usize = 4096;

// SAFETY: it is owned memory like a box's; nothing of it belongs to a thread.
#[allow(unsafe_code)]
unsafe impl Send for Memory {}

impl Memory {
    #[allow(unsafe_code)]
    pub(super) fn new(bytes: usize) -> io::Result<Self> {
        let layout = Layout::from_size_align(bytes.max(1), PAGE_BYTES).map_err(io::Error::other)?;
        // SAFETY: the layout is not empty.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(ErrorKind::OutOfMemory)?;
        Ok(Self { base, layout, is_leaked: false })
    }

    /// Bytes of it, as far as it has them.
    #[allow(unsafe_code)]
    pub(super) fn slice(&mut self, from: usize, len: usize) -> &mut [u8] {
        let from = from.min(self.layout.size());
        let len = len.min(self.layout.size() - from);
        // SAFETY: the range is within what was allocated, it was zeroed, and `self` is borrowed as long as the slice lives.
        // The kernel touches it only while [`super::pool::Pool`] says that a buffer is the kernel's, and reads it only while [`super::sends::Sends`] says
        // that a send is under way: nobody asks for those ranges then but for their address.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr().add(from), len) }
    }

    /// Where it begins: at a page.
    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// It is never freed.
    pub(super) fn leak(&mut self) {
        self.is_leaked = true;
    }
}

impl Drop for Memory {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        if !self.is_leaked {
            // SAFETY: it was allocated with this layout, and only once freed.
            unsafe { dealloc(self.base.as_ptr(), self.layout) };
        }
    }
}
