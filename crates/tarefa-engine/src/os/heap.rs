//! The heap of the C library.

/// Hands out all free memory that lies between what is in use, for good.
///
/// For a process that others are forked from. What they take would come from such holes, each on a
/// page of its own, which the first write to it copies; now it comes from the end of the heap,
/// side by side. Nothing new is asked of the system. Does nothing with another library than glibc.
pub fn fill_holes() {
    #[cfg(all(target_env = "gnu", not(miri)))]
    gnu::fill_holes();
}

#[cfg(all(target_env = "gnu", not(miri)))]
mod gnu {
    /// The most blocks that are taken, whatever the heap looks like.
    const MOST: usize = 100_000;

    pub(super) fn fill_holes() {
        // SAFETY: reads the allocator's own figures, and where the heap ends.
        let (figures, end) = unsafe { (libc::mallinfo(), libc::sbrk(0) as usize) };
        // Negative from 2 GiB on: then nothing lies before the end.
        let Ok(at_the_end) = usize::try_from(figures.keepcost) else { return };
        let end = end.saturating_sub(at_the_end);
        let mut left = MOST;
        for size in sizes() {
            while left > 0 && takes_a_hole(size, end) {
                left -= 1;
            }
        }
    }

    /// Large ones first, as otherwise the small ones would cut them up.
    fn sizes() -> impl Iterator<Item = usize> {
        // A block has eight bytes more than a multiple of sixteen.
        (11..=16).rev().map(|power| 1 << power).chain((1..=127).rev().map(|n| n * 16 + 8))
    }

    /// Takes a block of that size for good, unless it lies at the end of the heap.
    fn takes_a_hole(size: usize, end: usize) -> bool {
        // SAFETY: no precondition; a block that is not given back is never used.
        let block = unsafe { libc::malloc(size) };
        if block.is_null() || block as usize >= end {
            // SAFETY: just allocated, or null, which `free` takes.
            unsafe { libc::free(block) };
            return false;
        }
        true
    }
}
