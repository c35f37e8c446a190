//! An allocator that counts, for checks that a path allocates nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNT: Cell<Count> = const { Cell::new(Count { allocations: 0, bytes: 0 }) };
}

/// What one thread has asked of the heap since it began; growing in place counts as an allocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Allocations and reallocations.
    pub allocations: u64,
    /// Bytes asked for.
    pub bytes: u64,
}

/// The system's allocator, counting for each thread: `#[global_allocator] static HEAP: Counting = Counting;`
#[derive(Debug)]
pub struct Counting;

impl Counting {
    /// What this thread has asked for so far.
    #[must_use]
    pub fn count() -> Count {
        COUNT.try_with(Cell::get).unwrap_or_default()
    }

    /// What `work` asks for.
    pub fn during<T>(work: impl FnOnce() -> T) -> (T, Count) {
        let before = Self::count();
        let made = work();
        let after = Self::count();
        let count =
            Count { allocations: after.allocations - before.allocations, bytes: after.bytes - before.bytes };
        (made, count)
    }
}

fn asked(bytes: usize) {
    let _ = COUNT.try_with(|count| {
        let Count { allocations, bytes: before } = count.get();
        count.set(Count { allocations: allocations + 1, bytes: before + bytes as u64 });
    });
}

// SAFETY: every call is passed on to the system's allocator as it came; counting allocates nothing.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        asked(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        asked(new_size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}
