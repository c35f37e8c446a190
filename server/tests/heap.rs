//! Large blocks that are freed go back to the system, whatever lives between them. A binary of its own: it looks at the
//! resident memory of the process.

use std::fs;

const BLOCK: usize = 1 << 20;
const BLOCKS: usize = 128;

/// In pages of 4 KiB.
fn resident() -> Option<usize> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    Some(text.split(' ').nth(1)?.parse::<usize>().ok()? * 4096)
}

#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn what_large_blocks_leave_goes_back() {
    server::heap::give_back_large_blocks();
    // The first one freed is what would make the allocator keep the next ones.
    drop(vec![1_u8; 2 * BLOCK]);
    let mut small = Vec::new();
    let large: Vec<Vec<u8>> = (0..BLOCKS)
        .map(|_| {
            small.push(vec![1_u8; 1000]);
            vec![1_u8; BLOCK]
        })
        .collect();
    let full = resident().unwrap();
    drop(large);
    let gone = full.saturating_sub(resident().unwrap());
    assert!(gone > BLOCKS * BLOCK * 3 / 4, "{gone} of {} bytes went back", BLOCKS * BLOCK);
    assert_eq!(small.len(), BLOCKS);
}
