//! What the process's heap gives back to the system.

/// Fixes what glibc otherwise raises by itself, up to 32 MiB, as soon as a large block is freed. From then on memtables and
/// half messages, a megabyte at a time, would lie among small blocks that live long, and what they leave would never go
/// back. Elsewhere this does nothing. To be called before there are threads.
#[allow(unsafe_code)]
pub fn give_back_large_blocks() {
    #[cfg(target_env = "gnu")]
    {
        /// Blocks of at least so many bytes are a mapping of their own, and go back when they are freed.
        const MAPPED_BYTES: libc::c_int = 256 * 1024;
        /// So many free bytes at the end of a heap stay for the next who needs some.
        const SPARE_BYTES: libc::c_int = 256 * 1024;
        // SAFETY: mallopt takes two numbers and only sets parameters of the allocator; no other thread is there yet.
        unsafe {
            // It fails for what glibc does not know, and leaves all as it was.
            libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES);
            libc::mallopt(libc::M_TRIM_THRESHOLD, SPARE_BYTES);
        }
    }
}
